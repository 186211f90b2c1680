"""Stand-in for TIE-GCM, for tests: ``python tests/adapters/tiegcm/standin m.inp``. THIS IS NOT TIE-GCM.

It honours the command line, the namelist, the history format and the failure modes of version 2.0 or 3.0
(``TIEGCM_STANDIN_VERSION``), stand-alone and under an MPI launcher, and moves temperature and mass fractions by the law
of ``law.py``, which has nothing to do with the thermosphere. No figure of skill is ever quoted from it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from faults import Fault, FortranError, ShutdownError, requested_fault
from histories import (
    HEADER_INDICES,
    Snapshot,
    append,
    append_secondary,
    create,
    create_secondary,
    find_time,
    model_time,
    opened,
)
from law import Fields, Forcing, step
from namelists import DAY_S, Run, planned_run, read_namelist

RANKS_2_0 = (1, 4, 8, 12, 16, 24, 32, 48, 64, 72, 80)
UNSET_STATUS = 0
"""Exit status of a shutdown: the model hands out what happens to stand in memory, and a zero deceives most."""

HANG_LIMIT_S = 300.0
STARTED_BY_MPI = ("PMI_RANK", "PMI_FD", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")


def say(text: str) -> None:
    """Write a line to standard output at once, as with GFORTRAN_UNBUFFERED_ALL=1."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Ranks:
    """The processes of the run: only rank 0 works."""

    def __init__(self) -> None:
        self._comm: Any = None
        if any(name in os.environ for name in STARTED_BY_MPI):
            from mpi4py import MPI

            self._comm = MPI.COMM_WORLD
        self.size = self._comm.size if self._comm else 1
        self.rank = self._comm.rank if self._comm else 0

    def meet(self) -> None:
        """Wait for all ranks without keeping the processors busy."""
        if self._comm is not None:
            request = self._comm.Ibarrier()
            while not request.Test():
                time.sleep(0.01)

    def abort(self, status: int) -> NoReturn:
        """End all ranks with this status."""
        sys.stdout.flush()
        sys.stderr.flush()
        if self.size > 1:
            # An abort may overtake what the launcher has not passed on yet.
            time.sleep(0.5)
            self._comm.Abort(status)
        os._exit(status)


def refuse_start(version: str, ranks: int) -> None:
    """Stop where the model does before it reads anything."""
    if not os.environ.get("LOGNAME"):
        raise ShutdownError("getlogname: environment variable LOGNAME is not set")
    divisors = [one for one in range(2, ranks) if ranks % one == 0]
    if version == "2.0" and ranks not in RANKS_2_0:
        raise ShutdownError(f"mp_init: {ranks} is not a valid number of tasks")
    if version == "3.0" and ranks > 2 and not divisors:
        raise ShutdownError(f"mp_init: {ranks} tasks is a prime number")


def read_source(run: Run) -> Snapshot:
    """Return the state at START: from SOURCE, or without it from OUTPUT."""
    if run.source is not None:
        with opened(run.source) as dataset:
            return Snapshot(dataset, find_time(dataset, run.source_time))
    _, _, start = model_time(run.start_s, run.year)
    with opened(run.output) as dataset:
        index = find_time(dataset, start)
        if index != dataset.dimensions["time"].size - 1:
            raise ShutdownError(f"the stand-in continues behind the last history only, not at {start}")
        return Snapshot(dataset, index)


def poisoned(snapshot: Snapshot) -> list[str]:
    """Return the variables that turn to NaN within three steps, as the model's do from such a start."""
    species = [snapshot.values[name] for name in ("O1", "O2", "HE")]
    if not all(np.all(np.abs(one) < 1e30) for one in species):
        return [name for name, one in snapshot.values.items() if one.ndim == 3 and one.dtype.kind == "f"]
    too_much = np.any(species[0] + species[1] + species[2] > 1.0)
    return [name for name in ("UN", "VN", "POTEN") if too_much and name in snapshot.values]


def hang(fault: Fault) -> None:
    """Stop moving; a deaf one does not hear SIGTERM and has a child that has left the process group."""
    if fault.word == "hang_deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        code = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep({HANG_LIMIT_S})"
        child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        Path("child.pid").write_text(str(child.pid), encoding="ascii")
    Path("hanging.pid").write_text(str(os.getpid()), encoding="ascii")
    time.sleep(HANG_LIMIT_S)


def fail_midway(fault: Fault, ranks: Ranks) -> None:
    """Do what a fault asks for half-way through the steps."""
    if fault.word == "crash":
        say(">>> stop message: the stand-in was told to crash\nMODEL SHUTDOWN")
        ranks.abort(int(fault.number or 0))
    if fault.word == "killed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault.word in ("hang", "hang_deaf"):
        hang(fault)


def spoiled(fault: Fault, run: Run, fields: Fields, sick: list[str], snapshot: Snapshot) -> Fields:
    """Return the fields of the last history as a fault leaves them."""
    names = list(sick)
    if fault.word == "nan" or (fault.word == "unstable" and run.step_s > (fault.number or 0.0)):
        names += [name for name, one in snapshot.values.items() if one.ndim == 3 and one.dtype.kind == "f"]
    result = {**fields, **{name: np.full_like(snapshot.values[name], np.nan) for name in names}}
    if fault.word == "unbounded":
        result["TN"] = np.where(result["TN"] > 1e30, result["TN"], 1e9)
    return result


def header(run: Run, forcing: Forcing, steps: int, snapshot: Snapshot) -> dict[str, float]:
    """Return the scalars that a history says of its run."""
    scalars = {name: float(np.asarray(getattr(forcing, field))) for name, field in HEADER_INDICES.items()}
    scalars |= {"iter": int(snapshot.values["iter"]) + steps, "timestep": run.step_s}
    return {name: value for name, value in scalars.items() if name in snapshot.schema}


def advance(run: Run, snapshot: Snapshot, fault: Fault, ranks: Ranks) -> None:
    """Step from START to STOP and write the histories."""
    fields, sick = snapshot.fields, poisoned(snapshot)
    steps = (run.stop_s - run.start_s) // run.step_s
    if fault.word == "no_output":
        return
    initial = run.source is not None
    output = create(run.output, run.version, snapshot, run.start_s, run.year) if initial else opened(run.output, "r+")
    with output:
        if initial:
            first = header(run, run.forcing(run.start_s), 0, snapshot)
            append(output, run.version, snapshot, fields, run.start_s, run.year, first)
        for number in range(1, steps + 1):
            now_s = run.start_s + number * run.step_s
            forcing = run.forcing(now_s - run.step_s)
            fields = step(fields, snapshot.level, float(run.step_s), forcing)
            say(f"Step {number:8d} of {steps:8d} mtime= {now_s // DAY_S} {now_s % DAY_S} s")
            if number == (steps + 1) // 2:
                fail_midway(fault, ranks)
            if (now_s - run.start_s) % run.history_s == 0 and fault.word != "missing_time":
                last = spoiled(fault, run, fields, sick if number >= 3 else [], snapshot)
                append(output, run.version, snapshot, last, now_s, run.year, header(run, forcing, number, snapshot))
                say(f"Wrote primary   history to {run.output}")
    write_secondary(run, snapshot, fields)


def write_secondary(run: Run, snapshot: Snapshot, fields: Fields) -> None:
    """Write the secondary history of STOP, where one is asked for: the stand-in knows that time only."""
    if not run.entries.get("secout"):
        return
    kind = "f8" if run.entries.get("sech_nbyte", [4.0])[0] == 8.0 else "f4"
    names = [str(one).strip() for one in run.entries.get("secflds", [])]
    with create_secondary(Path(str(run.entries["secout"][0])), run.version, snapshot, run.start_s, run.year) as file:
        append_secondary(file, run.version, snapshot, fields, run.stop_s, run.year, names, kind)


def work(namelist: Path, version: str, ranks: Ranks) -> None:
    """Do one run; a shutdown ends all ranks."""
    say("STAND-IN FOR TESTS: this is not TIE-GCM")
    try:
        refuse_start(version, ranks.size)
        fault = requested_fault(Path())
        say(f"Reading namelist input data from {namelist}")
        run = planned_run(read_namelist(namelist, version), version)
        say("Completed successful read of namelist inputs.")
        if fault.word == "slow":
            time.sleep(fault.number or 1.0)
        advance(run, read_source(run), fault, ranks)
    except ShutdownError as error:
        say(f">>> {error}\nstop message: {error}\nMODEL SHUTDOWN")
        ranks.abort(UNSET_STATUS)
    except FortranError as error:
        sys.stderr.write(f"Fortran runtime error: {error}\n")
        ranks.abort(2)
    if fault.word == "truncated":
        os.truncate(run.output, run.output.stat().st_size // 2)
    if fault.word != "no_normal_exit":
        say("End execution of the stand-in\nNORMAL EXIT")


def main() -> None:
    """Run the namelist named by the first argument."""
    version = os.environ.get("TIEGCM_STANDIN_VERSION", "2.0")
    ranks = Ranks()
    if ranks.rank == 0:
        work(Path(sys.argv[1]), version, ranks)
    ranks.meet()


if __name__ == "__main__":
    main()
