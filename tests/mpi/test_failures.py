"""A fault on any rank ends all ranks, quickly and with one message."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Launch = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = str(Path(__file__).with_name("failing.py"))
TEMPLATE = {
    "model": {"adapter": "failing", "settings": {"resolution_deg": None}},
    "ensemble": {
        "perturbations": {
            "f107_sfu": None,
            "equilibrium_temperature_k": {"standard_deviation": 50.0, "truncation": 150.0},
        },
        "on_member_failure": {"then": "stop"},
    },
}


def _one_error_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "error:" in line.lower()]
    assert len(lines) == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Abort" not in done.stdout + done.stderr
    return lines[0]


@pytest.mark.mpi
@pytest.mark.parametrize("start", [("-m", "mpi4py", "-m", "da"), ("-m", "da")], ids=["with mpi4py", "plain"])
def test_that_a_bad_configuration_is_told_once(
    launch: Launch, tiny_experiment: Callable[..., Path], start: tuple[str, ...]
) -> None:
    file = tiny_experiment(ensemble={"member": 3})
    error = _one_error_line(launch(3, *start, "run", str(file), check=False))
    assert "ensemble.member: not a key; did you mean members?" in error


@pytest.mark.mpi
def test_that_more_ranks_than_members_are_refused(launch: Launch, tiny_experiment: Callable[..., Path]) -> None:
    file = tiny_experiment(ensemble={"members": 2})
    done = launch(3, "-m", "mpi4py", "-m", "da", "run", str(file), check=False)
    assert "3 ranks for 2 members" in _one_error_line(done)


@pytest.mark.mpi
def test_that_a_sick_member_on_one_rank_ends_all_with_its_number(
    launch: Launch, tiny_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    error = _one_error_line(launch(2, PROGRAM, "nan", "run", str(tiny_experiment(**TEMPLATE)), check=False))
    # Four members on two ranks: the first one of the second rank is member 2.
    assert "member 2 has nan in temperature" in error
    assert not (tmp_path / "runs" / "tiny").exists()


@pytest.mark.mpi
def test_that_a_programming_error_on_one_rank_ends_all_with_its_traceback(
    launch: Launch, tiny_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    done = launch(2, PROGRAM, "bug", "run", str(tiny_experiment(**TEMPLATE)), check=False)
    assert done.returncode != 0
    assert "RuntimeError: a programming error" in done.stderr
    assert "Traceback" in done.stderr
    assert not (tmp_path / "runs" / "tiny").exists()


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_that_a_fault_of_input_that_one_rank_alone_meets_ends_all_with_its_line(
    launch: Launch, tiny_experiment: Callable[..., Path], tmp_path: Path, ranks: int
) -> None:
    done = launch(ranks, PROGRAM, "height", "run", str(tiny_experiment(**TEMPLATE)), check=False)
    assert done.returncode != 0
    assert done.stderr.count("height.table: has no such level") == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "tiny").exists()


@pytest.mark.mpi
def test_that_a_fault_of_the_system_on_one_rank_ends_all(
    launch: Launch, tiny_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    done = launch(2, PROGRAM, "disk", "run", str(tiny_experiment(**TEMPLATE)), check=False)
    assert done.returncode != 0
    assert "Input/output error" in done.stderr
    assert not (tmp_path / "runs" / "tiny").exists()
