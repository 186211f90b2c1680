"""Checks of an installation: what is found, and what is advised."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from da import doctor
from da.doctor import Finding, diagnosis_table, find_launcher, round_trip

OTHER_MPI = "#!/bin/sh\necho 'mpirun (Open MPI) 5.0.6'\n"


@pytest.fixture
def launcher(tmp_path: Path) -> Callable[[str], Path]:
    """Write a launcher of the given text."""

    def write(text: str) -> Path:
        path = tmp_path / "mpiexec"
        path.write_text(text, encoding="utf-8")
        path.chmod(stat.S_IRWXU)
        return path

    return write


def test_that_the_launcher_beside_this_python_comes_before_that_of_the_path(
    monkeypatch: pytest.MonkeyPatch, launcher: Callable[[str], Path], tmp_path: Path
) -> None:
    other = launcher(OTHER_MPI)
    monkeypatch.setenv("PATH", str(tmp_path))
    own = Path(sys.executable).parent / "mpiexec"
    assert find_launcher() == (own if own.exists() else other)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert find_launcher() == other
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_launcher() is None


@pytest.mark.mpi
def test_that_this_installation_is_healthy(command_line: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THERMODA_DATA", raising=False)
    ended = command_line("doctor")
    assert ended.status == 0, ended.out
    assert "rank 0 of 2" in ended.out
    assert "rank 1 of 2" in ended.out
    assert "bad" not in ended.out


def test_that_a_launcher_of_another_mpi_is_told_with_what_to_start_instead(launcher: Callable[[str], Path]) -> None:
    finding = doctor._check_launcher(launcher(OTHER_MPI))
    assert not finding.good
    assert "Open MPI" in finding.result
    assert finding.advice.startswith("start with the mpiexec of")


def test_that_processes_that_do_not_see_each_other_are_told(launcher: Callable[[str], Path]) -> None:
    alone = launcher("#!/bin/sh\nfor i in 1 2; do echo 'rank 0 of 1, BLAS threads: 1' >/dev/null; done\n")
    (finding,) = doctor._check_round_trip(alone)
    assert not finding.good
    assert "do not see each other" in finding.advice


def test_that_several_blas_threads_per_rank_are_told(launcher: Callable[[str], Path]) -> None:
    text = "#!/bin/sh\necho 'rank 0 of 2, BLAS threads: 8'\necho 'rank 1 of 2, BLAS threads: 8'\n"
    trip, threads = doctor._check_round_trip(launcher(text))
    assert trip.good
    assert not threads.good
    assert "OPENBLAS_NUM_THREADS=1" in threads.advice


def test_that_a_launcher_that_hangs_is_given_up(
    launcher: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ROUND_TRIP_LIMIT_S", 0.2)
    (finding,) = doctor._check_round_trip(launcher("#!/bin/sh\nexec sleep 5\n"))
    assert not finding.good
    assert "hangs" in finding.advice


def test_that_one_process_exchanges_with_itself() -> None:
    assert round_trip() == ["rank 0 of 1, BLAS threads: 1"]


@pytest.mark.parametrize(("folder", "good"), [(None, True), ("empty", False), ("full", True), ("nowhere", False)])
def test_that_the_data_folder_is_judged_by_what_it_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str | None, good: bool
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "champ.txt").write_text("x", encoding="utf-8")
    monkeypatch.delenv("THERMODA_DATA", raising=False)
    if folder is not None:
        monkeypatch.setenv("THERMODA_DATA", str(tmp_path / folder))
    finding = doctor._check_data_folder()
    assert finding.good is good
    assert bool(finding.advice) is not good


def test_that_a_bad_finding_ends_the_command_with_its_advice(
    command_line: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [Finding("versions", "1"), Finding("MPI", "none", False, "install an MPI")]
    monkeypatch.setattr("da.doctor.diagnose", lambda: findings)
    assert command_line("doctor").error == "doctor: install an MPI"
    assert diagnosis_table(findings).row_count == 2
