"""Runs that are really killed under mpiexec, and gone on with on another number of ranks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netCDF4 import Dataset

from da.doctor import find_launcher, launcher_environment

WriteExperiment = Callable[..., Path]
Launch = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = ("-m", "mpi4py", "-m", "da")
LIMIT_S = 180.0
LONGER = {
    "experiment": {"stop": "2010-04-05T03:00:00Z"},
    "satellites": {"grace": {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 300}}},
    "direct_tracks": {"late": {"satellite": "grace", "window_min": 60, "relative_error": 0.1}},
    "analysis": {"adaptive_inflation": {}},
    "output": {"interval_min": 20},
}


def _started(ranks: int, file: Path) -> subprocess.Popen[bytes]:
    """Start a run, and return when its first analysis is in a restart point."""
    environment = launcher_environment() | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(
        [str(find_launcher()), "-n", str(ranks), sys.executable, *COMMAND, "run", str(file)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    restart = file.parent / "runs" / "tiny.partial" / "restart"
    end = time.monotonic() + LIMIT_S
    while not list(restart.glob("20100405T01*")):
        assert process.poll() is None, "the run ended before its restart point"
        assert time.monotonic() < end
        time.sleep(0.005)
    return process


def _ranks_of(launcher: int) -> list[int]:
    """Return the Python processes below a launcher."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text, name = path.read_text(), (path.parent / "cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            continue
        parents[int(path.parent.name)] = (int(text.rpartition(")")[2].split()[1]), b"python" in name)
    below = [launcher]
    for one in below:
        below += [child for child, (parent, _) in parents.items() if parent == one]
    return sorted(one for one in below[1:] if parents[one][1])


def _compare(one: Path, other: Path, rtol: float) -> None:
    """Compare the results of two runs; what is stored with few digits may differ in the last of them."""
    for path in one.glob("*.nc"):
        with Dataset(path) as first, Dataset(other / path.name) as second:
            assert set(first.variables) == set(second.variables)
            for name, variable in first.variables.items():
                there, here = variable[:], second[name][:]
                assert there.shape == here.shape, (path.name, name)
                if not rtol:
                    assert there.tobytes() == here.tobytes(), (path.name, name)
                    continue
                # Means have five digits, spreads three: a rounding that turns moves the last one by one.
                coarse = 1e-2 if name.endswith("_spread") else 1e-4
                limit = coarse if variable.dtype == np.float32 else rtol
                np.testing.assert_allclose(here, there, rtol=limit, atol=1e-300, err_msg=f"{path.name} {name}")


@pytest.fixture
def whole(launch: Launch, tiny_experiment: WriteExperiment, tmp_path: Path) -> Callable[[int], tuple[Path, Path]]:
    """Return the experiment and the folder of its uninterrupted run on some ranks."""

    def run(ranks: int) -> tuple[Path, Path]:
        file = tiny_experiment(**LONGER)
        launch(ranks, *COMMAND, "run", str(file))
        return file, (tmp_path / "runs" / "tiny").rename(tmp_path / "runs" / "whole")

    return run


@pytest.mark.mpi
def test_that_one_rank_alone_stops_all_and_the_same_number_ends_bit_for_bit(
    launch: Launch, whole: Callable[[int], tuple[Path, Path]]
) -> None:
    file, reference = whole(2)
    process = _started(2, file)
    os.kill(_ranks_of(process.pid)[-1], signal.SIGUSR1)
    assert process.wait(LIMIT_S) == 75
    launch(2, *COMMAND, "resume", str(file))
    _compare(reference, reference.with_name("tiny"), rtol=0.0)


@pytest.mark.mpi
@pytest.mark.parametrize(("ranks", "later", "victim"), [(1, 2, "all"), (2, 3, "one rank"), (3, 1, "all")])
def test_that_a_killed_run_goes_on_with_another_number_of_ranks(
    launch: Launch, whole: Callable[[int], tuple[Path, Path]], ranks: int, later: int, victim: str
) -> None:
    file, reference = whole(1)
    process = _started(ranks, file)
    found = _ranks_of(process.pid)
    assert len(found) >= ranks
    for one in found[-1:] if victim == "one rank" else [process.pid, *found]:
        os.kill(one, signal.SIGKILL)
    assert process.wait(LIMIT_S) != 0
    launch(later, *COMMAND, "resume", str(file))
    # Sums over the members of each rank are rounded differently; two hours of cycling amplify that a little.
    _compare(reference, reference.with_name("tiny"), rtol=1e-12)
