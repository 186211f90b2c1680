"""A fault campaign: kills, full disks, damaged files and sick members of a small run, and what became of them.

    python benchmarks/faults.py > benchmarks/faults.txt

A small twin experiment is run once on two ranks; then faults are put upon further runs of it. The moment of a fault is
a random hour of the experiment (from a seed; also before the first restart point) and a random delay of up to what an
hour of it takes. A run that is killed is gone on with by ``python -m da resume`` on as many ranks; one, two or four
kills in turn hit the same run. Then its files are compared with those of the undisturbed run, bit for bit. Results that
other processes might read are opened after every kill, and at random moments of a run; a value that is missing counts
as unreadable.

The disk is a tmpfs, for which one must be root; elsewhere that part is left out. ``--program`` is for the children: the
command line with an adapter whose members fail in every tenth forecast.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from netCDF4 import Dataset
from processes import descendants, ranks_of
from ruamel.yaml import YAML

from da.cli import main
from da.doctor import find_launcher, launcher_environment
from da.drivers.space_weather_table import shipped_tables
from da.endings import EXIT_STOPPED
from da.errors import MemberForecastError
from da.storage import partial_path

REPOSITORY = Path(__file__).resolve().parents[1]
SEED, RANKS, LIMIT_S, POLL_S = 20100405, 2, 300.0, 0.01
HOURS = 8
"""Length of the experiment; a restart point follows every hour."""
STRIKES = (1, 2, 4)
"""Kills that one run gets before it may go on to its end, in turn."""
FAILING_SHARE = 0.1
ENSEMBLE_FILES = ("open_loop", "forecast", "analysis")

EXPERIMENT: dict[str, Any] = {
    "experiment": {
        "name": "faults",
        "start": "2010-04-05T00:00:00Z",
        "stop": "2010-04-05T08:00:00Z",
        "seed": 7,
    },
    "drivers": {"table": "indices.txt"},
    "satellites": {
        "champ": {"synthetic": {"altitude_km": 302, "inclination_deg": 87.3, "sampling_s": 120}},
        "grace": {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 300}},
    },
    "calibration": {"satellite": "champ"},
    "direct_tracks": {"late": {"satellite": "grace", "window_min": 60, "relative_error": 0.1}},
    "data_grid": {"longitude_step_deg": 90, "latitude_step_deg": 40, "altitude_min_km": 200, "altitude_step_km": 100},
    "observation_error": {"weight_p0": 4.0, "half_life_vertical_km": 100.0},
    "model": {"adapter": "msis_relaxation", "settings": {"resolution_deg": 30.0}},
    "ensemble": {
        "members": 10,
        "spin_up_days": 0.0,
        "perturbations": {"f107_sfu": {"standard_deviation": 8.0, "truncation": 24.0}},
        "on_member_failure": {"retries_with_half_step": 0, "then": "replace"},
    },
    "analysis": {
        "interval_h": 1.0,
        "localization": {"cutoff_radius_cells": 4.0, "weighting": "uniform"},
        "adaptive_inflation": {},
    },
    "output": {"interval_min": 20},
}


@dataclass
class Count:
    """How often a kind of fault was tried, and what became of the runs."""

    fault: str
    tried: int = 0
    recovered: int = 0
    equal: int = 0
    unreadable: int = 0

    def line(self) -> str:
        """Return the row of the table."""
        return f"{self.fault:58s} {self.tried:5d} {self.recovered:9d} {self.equal:13d} {self.unreadable:10d}"


@dataclass(frozen=True)
class Run:
    """One run of the experiment in a folder of its own."""

    home: Path
    adapter: str = ""

    @property
    def final(self) -> Path:
        """Folder of the complete run."""
        return self.home / "run"

    @property
    def partial(self) -> Path:
        """Folder of the unfinished run."""
        return partial_path(self.final)

    def write(self) -> None:
        """Write the experiment, and the indices that it reads."""
        self.home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shipped_tables()[0], self.home / "indices.txt")
        content = {**EXPERIMENT, "experiment": {**EXPERIMENT["experiment"], "output_folder": "run"}}
        if self.adapter:
            content["model"] = {**EXPERIMENT["model"], "adapter": self.adapter}
        yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
        yaml.default_flow_style = False
        yaml.dump(content, stream)
        (self.home / "faults.yaml").write_text(stream.getvalue(), encoding="utf-8")

    def start(self, command: str, ranks: int = RANKS) -> subprocess.Popen[bytes]:
        """Start ``run`` or ``resume`` on some ranks."""
        target = "faults.yaml" if command == "run" else "run"
        program = [str(Path(__file__).resolve()), "--program"] if self.adapter else ["-m", "mpi4py", "-m", "da"]
        environment = launcher_environment() | {
            "PYTHONPATH": str(REPOSITORY),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with (self.home / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [str(find_launcher()), "-n", str(ranks), sys.executable, *program, command, target],
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def complete(self, command: str, ranks: int = RANKS) -> int:
        """Run to the end and return the exit status."""
        return self.start(command, ranks).wait(LIMIT_S)

    def go_on(self) -> bool:
        """Resume, or start where nothing was begun; return whether the run is complete then."""
        return self.complete("resume" if self.partial.exists() else "run") == 0 and self.final.exists()

    def hour(self) -> int:
        """Return the hour of the newest restart point, -1 where there is none yet."""
        return max((int(point.name[9:11]) for point in (self.partial / "restart").glob("2*")), default=-1)

    def unreadable(self) -> int:
        """Return how many of the output files cannot be read, or have a record that is not whole."""
        folder = self.partial if self.partial.exists() else self.final
        return sum(not readable(path) for path in folder.glob("[!.]*.nc"))


def readable(path: Path) -> bool:
    """Return whether a file can be opened and read, in a process of its own, and no value of a record is missing."""
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            status = 0 if _is_whole(path) else 1
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _is_whole(path: Path) -> bool:
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            dataset.load()
            names = dataset.variables if path.stem in ENSEMBLE_FILES else ("time",)
            return all(not dataset[name].isnull().any() for name in names)
    except (OSError, ValueError, RuntimeError, KeyError):
        return False


def equal(one: Path, other: Path) -> bool:
    """Return whether two runs have the same results, bit for bit."""
    files = sorted(path.name for path in one.glob("*.nc"))
    if files != sorted(path.name for path in other.glob("*.nc")):
        return False
    if (one / "member_failures.csv").read_bytes() != (other / "member_failures.csv").read_bytes():
        return False
    return all(_equal_files(one / name, other / name) for name in files)


def _equal_files(one: Path, other: Path) -> bool:
    with Dataset(one) as first, Dataset(other) as second:
        first.set_auto_mask(False)
        second.set_auto_mask(False)
        names = set(first.variables)
        return names == set(second.variables) and all(
            first[name].shape == second[name].shape and first[name][:].tobytes() == second[name][:].tobytes()
            for name in names
        )


def kill_one_rank(launcher: subprocess.Popen[bytes], rng: np.random.Generator) -> None:
    """Kill one rank without warning."""
    if ranks := ranks_of(launcher.pid):
        os.kill(int(rng.choice(ranks)), signal.SIGKILL)


def kill_all(launcher: subprocess.Popen[bytes], rng: np.random.Generator) -> None:
    """Kill the launcher and all that it started without warning."""
    for one in (launcher.pid, *descendants(launcher.pid)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def kill_launcher(launcher: subprocess.Popen[bytes], rng: np.random.Generator) -> None:
    """Kill the launcher alone without warning, and wait until the ranks that lost it are gone."""
    orphans = descendants(launcher.pid)
    launcher.kill()
    end = time.monotonic() + LIMIT_S
    while any(Path(f"/proc/{orphan}").exists() for orphan in orphans) and time.monotonic() < end:
        time.sleep(POLL_S)


def terminate(launcher: subprocess.Popen[bytes], rng: np.random.Generator) -> None:
    """Send the launcher SIGTERM, which it hands on."""
    launcher.send_signal(signal.SIGTERM)


Fault = Callable[[subprocess.Popen[bytes], np.random.Generator], None]


class Campaign:
    """All faults, one after the other.

    Parameters
    ----------
    root : Path
        Where runs are made.
    minutes : float
        After which no further fault is tried.
    """

    def __init__(self, root: Path, minutes: float) -> None:
        self._root, self._rng, self._number = root, np.random.default_rng(SEED), 0
        self._end = time.monotonic() + 60.0 * minutes
        self.reference = Run(root / "reference")
        self.reference.write()
        process = self.reference.start("run")
        self._folder_there(self.reference, process)
        began = time.monotonic()
        if process.wait(LIMIT_S):
            raise SystemExit((self.reference.home / "log.txt").read_text(encoding="utf-8"))
        self.duration_s = time.monotonic() - began

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self._end

    def new_run(self, adapter: str = "") -> Run:
        """Return a run in a new folder."""
        self._number += 1
        run = Run(self._root / f"{self._number:04d}", adapter)
        run.write()
        return run

    def kills(self, fault: str, strike: Fault, count: int) -> Count:
        """Strike runs at random moments, some of them repeatedly, and go on with them."""
        result = Count(fault)
        while result.tried < count and not self.late:
            run, struck = self.new_run(), 0
            for _ in range(min(STRIKES[self._number % len(STRIKES)], count - result.tried)):
                if not self._struck(run, "resume" if run.partial.exists() else "run", strike):
                    break
                struck += 1
                result.unreadable += run.unreadable()
            done = run.go_on() if not run.final.exists() else True
            same = done and equal(self.reference.final, run.final)
            result.tried += struck
            result.recovered += struck * done
            result.equal += struck * same
            if not same:
                print(f"# {fault}: see {run.home}")
                continue
            shutil.rmtree(run.home)
        return result

    def damaged(self, fault: str, damage: Callable[[Path], None], count: int) -> Count:
        """Damage the newest restart point of killed runs."""
        result = Count(fault)
        while result.tried < count and not self.late:
            run = self.new_run()
            if not self._struck(run, "run", kill_all) or len(list((run.partial / "restart").glob("2*"))) < 2:
                continue
            damage(sorted((run.partial / "restart").glob("2*"))[-1])
            done = run.go_on()
            told = done and json.loads((run.final / "provenance.json").read_text(encoding="utf-8"))["interruptions"]
            result.tried += 1
            result.recovered += bool(told and told[-1]["damaged_restart_points"])
            result.equal += done and equal(self.reference.final, run.final)
            shutil.rmtree(run.home)
        return result

    def lost_input(self) -> Count:
        """Take an input file away, change it, and give it back."""
        result = Count("input file lost, then changed (refused), then given back")
        run = self.new_run()
        while not self._struck(run, "run", kill_all, late=True):
            run = self.new_run()
        table = run.home / "indices.txt"
        content = table.read_bytes()
        table.unlink()
        refused = run.complete("resume") == 2
        table.write_bytes(content + b"\n")
        refused &= run.complete("resume") == 2
        table.write_bytes(content)
        result.tried, done = 1, run.go_on()
        result.recovered, result.equal = int(done and refused), int(done and equal(self.reference.final, run.final))
        return result

    def full_disk(self, share: float, result: Count) -> None:
        """Let a run meet a disk with room for a share of what it needs, then make room."""
        run = self.new_run()
        with tmpfs(run.home) as resize:
            run.write()
            given = sum(path.stat().st_size for path in run.home.iterdir())
            resize(given + int(share * self._needed()))
            stopped = run.complete("run")
            result.tried += 1
            result.unreadable += run.unreadable()
            lines = [line for line in _log(run) if line.startswith("error: ")]
            clean = stopped == 2 and len(lines) == 1 and "make room" in lines[0]
            resize(2**28)
            done = run.go_on()
            result.recovered += done and clean
            result.equal += done and equal(self.reference.final, run.final)

    def _needed(self) -> int:
        """Return about how much an unfinished run writes: outputs twice, and as much again for restart points."""
        return 3 * sum(path.stat().st_size for path in self.reference.final.iterdir())

    def sick_members(self, count: int) -> tuple[Count, float, float]:
        """Let every tenth forecast of a member fail, and kill such runs; return also the misfits without and with."""
        result, undisturbed = (
            Count(f"{FAILING_SHARE:.0%} of members' forecasts fail, and SIGKILL"),
            self.new_run("sick"),
        )
        if undisturbed.complete("run"):
            raise SystemExit("\n".join(_log(undisturbed)))
        while result.tried < count and not self.late:
            run = self.new_run("sick")
            if not self._struck(run, "run", kill_all):
                continue
            result.tried += 1
            result.unreadable += run.unreadable()
            done = run.go_on()
            result.recovered += done
            result.equal += done and equal(undisturbed.final, run.final)
            shutil.rmtree(run.home)
        return result, misfit(self.reference.final), misfit(undisturbed.final)

    def read_meanwhile(self, count: int) -> Count:
        """Copy and read results at random moments of a run; here "recovered" are those that were whole."""
        result, copied = Count("results opened, and copied and opened, during a run"), self._root / "copy"
        copied.mkdir()
        while result.tried < count and not self.late:
            run = self.new_run()
            process = run.start("run")
            self._folder_there(run, process)
            while process.poll() is None and result.tried < count:
                time.sleep(float(self._rng.uniform(0.0, 0.1)))
                files = sorted(run.partial.glob("[!.]*.nc"))
                if not files:
                    continue
                path = files[int(self._rng.integers(len(files)))]
                try:
                    shutil.copyfile(path, copied / path.name)
                    whole = readable(copied / path.name) and readable(path)
                except OSError:
                    # The folder got its final name in between.
                    continue
                whole |= not path.exists()
                result.tried += 1
                result.recovered += whole
                result.unreadable += not whole
            process.wait(LIMIT_S)
            result.equal = result.recovered if equal(self.reference.final, run.final) else 0
        return result

    def _folder_there(self, run: Run, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None and not run.partial.exists():
            time.sleep(POLL_S)

    def _struck(self, run: Run, command: str, strike: Fault, late: bool = False) -> bool:
        """Start, strike at a random moment, and return whether the run was hit before its end."""
        process = run.start(command)
        self._folder_there(run, process)
        hour = int(self._rng.integers(max(run.hour(), 1 if late else -1), HOURS))
        while process.poll() is None and run.hour() < hour:
            time.sleep(POLL_S)
        time.sleep(float(self._rng.uniform(0.0, self.duration_s / HOURS)))
        if process.poll() is not None:
            return False
        strike(process, self._rng)
        status = process.wait(LIMIT_S)
        time.sleep(0.2)
        if strike is terminate and status not in (0, EXIT_STOPPED):
            print(f"# SIGTERM: exit status {status}")
        return not run.final.exists()


def _log(run: Run) -> list[str]:
    return (run.home / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()


def misfit(folder: Path) -> float:
    """Return the root-mean-square of ln(observed / forecast mean) of all observations."""
    with xr.open_dataset(folder / "observations.nc") as dataset:
        return float(np.sqrt(np.mean((np.log(dataset["density"]) - np.log(dataset["forecast_mean"])) ** 2)))


@contextmanager
def tmpfs(folder: Path) -> Iterator[Callable[[int], None]]:
    """Mount a file system in memory and yield what changes its size [bytes]."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2**28}", "tmpfs", str(folder)], check=True)
    try:
        yield lambda size: subprocess.run(
            ["mount", "-o", f"remount,size={size}", str(folder)], check=True, stdout=subprocess.DEVNULL
        )
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def flip_a_byte(point: Path) -> None:
    """Damage the members of a restart point."""
    path = point / "members_00001.arrays"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_the_index(point: Path) -> None:
    """Cut the index of a restart point short."""
    path = point / "index.json"
    path.write_bytes(path.read_bytes()[:-100])


def lose_a_file(point: Path) -> None:
    """Remove a file of a restart point."""
    (point / "common.arrays").unlink()


def as_program() -> None:
    """Be the command line, with an adapter whose members fail in a share of their forecasts, always in the same."""
    from model_adapters import registry
    from model_adapters.msis_relaxation import MsisRelaxation

    ordinary = registry.ADAPTERS["msis_relaxation"]

    class Sick(MsisRelaxation):
        """Members that fail by chance, as their number and the time decide."""

        def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
            result = super().forecast(states, start, stop, inputs)
            if stop == start:
                return result
            seconds = int(stop.astype("datetime64[s]").astype(np.int64))
            failed = {
                place: f"member {number} crashed"
                for place, number in enumerate(inputs.member_numbers(states.shape[1]).tolist())
                if np.random.default_rng([seconds, number]).random() < FAILING_SHARE
            }
            if failed:
                raise MemberForecastError(failed, result)
            return result

    registry.ADAPTERS["sick"] = registry.Adapter(ordinary.settings, Sick)
    main()


def campaign(root: Path, kills: int, minutes: float) -> None:
    """Put all faults upon runs and print the table, a line as soon as it is known."""
    began, one = time.monotonic(), Campaign(root, minutes)
    print(f"{kills} times SIGKILL at random moments of a run of {one.duration_s:.1f} s on {RANKS} ranks, seed {SEED}")
    print(f"{'fault':58s} {'tried':>5s} {'recovered':>9s} {'results equal':>13s} {'unreadable':>10s}", flush=True)

    def show(count: Count) -> None:
        print(count.line(), flush=True)

    show(one.damaged("newest restart point: a byte flipped", flip_a_byte, 2))
    show(one.damaged("newest restart point: index cut short", cut_the_index, 1))
    show(one.damaged("newest restart point: a file lost", lose_a_file, 1))
    show(one.lost_input())
    if os.geteuid() == 0:
        full = Count("disk full, at a part of what the run needs")
        for share in (0.2, 0.4, 0.6):
            one.full_disk(share, full)
        show(full)
    show(one.read_meanwhile(100))
    sick, without, with_failures = one.sick_members(3)
    show(sick)
    # Last, as the time is up on a busy machine before all are done.
    third = kills // 3
    show(one.kills("SIGKILL of one rank", kill_one_rank, kills - 2 * third))
    show(one.kills("SIGKILL of mpirun alone", kill_launcher, third))
    show(one.kills("SIGKILL of mpirun and all ranks", kill_all, third))
    show(one.kills("SIGTERM of mpirun", terminate, third))
    print(
        f"root-mean-square of ln(observed/forecast): {without:.4f} undisturbed, {with_failures:.4f} with "
        f"{FAILING_SHARE:.0%} of the members' forecasts failing"
    )
    print(f"{time.monotonic() - began:.0f} s in all; load of the machine {os.getloadavg()[1]:.0f}")


if __name__ == "__main__":
    if "--program" in sys.argv:
        sys.argv.remove("--program")
        as_program()
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--kills", type=int, default=50, help="how often SIGKILL strikes; SIGTERM comes beside")
        parser.add_argument("--minutes", type=float, default=24.0, help="no further fault is tried after this time")
        arguments = parser.parse_args()
        with tempfile.TemporaryDirectory() as folder:
            campaign(Path(folder), arguments.kills, arguments.minutes)
