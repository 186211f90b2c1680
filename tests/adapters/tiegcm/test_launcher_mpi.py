"""MPI under MPI: members that run under a launcher, started from processes that run under one."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from da.doctor import find_launcher
from model_adapters.tiegcm.judging import finite_and_bounded
from model_adapters.tiegcm.launch_outcome import Cause, MemberJob
from model_adapters.tiegcm.launcher import run_members
from model_adapters.tiegcm.launcher_settings import LauncherSettings

STAND_IN = Path(__file__).with_name("standin")
REPOSITORY = Path(__file__).resolve().parents[3]
case = SimpleNamespace(**runpy.run_path(str(STAND_IN / "case.py")))
TIME = np.datetime64("2002-03-22T01:00", "ns")
MakeFolder = Callable[..., Path]


@pytest.fixture
def launcher() -> str:
    found = find_launcher()
    if found is None:
        pytest.fail("no mpiexec: install the extra 'mpi'")
    return str(found)


@pytest.fixture
def folder(tmp_path: Path, small_history: Any) -> MakeFolder:
    """Make the folder of a member of version 3.0, which runs on two ranks."""
    case.write_executable(tmp_path / "tiegcm", "3.0")

    def make(number: int, fault: str = "") -> Path:
        made = tmp_path / f"mem{number:03d}"
        made.mkdir()
        small_history(made / "analysis.nc", "3.0", levels=9, level_step=1.75)
        (made / "m.inp").write_text(case.namelist_text("3.0"))
        (made / "standin_fault").write_text(fault)
        return made

    return make


def _settings(launcher: str, executable: Path, **changes: Any) -> LauncherSettings:
    command = (launcher, "-n", "{ranks}", "{executable}", "{namelist}")
    values = {"command": command, "executable": executable, "ranks": 2, "time_out_s": 60.0, "grace_s": 2.0}
    return LauncherSettings(**{**values, **changes})


@pytest.mark.mpi
@pytest.mark.parametrize("nested", [True, False], ids=["members under mpiexec", "members alone"])
def test_that_members_run_from_two_ranks_of_ours(
    launcher: str, folder: MakeFolder, tmp_path: Path, nested: bool
) -> None:
    for number in range(3):
        folder(number)
    members = ([launcher, "-n", "{ranks}"] if nested else []) + ["{executable}", "{namelist}"]
    program = [sys.executable, str(STAND_IN / "nested.py"), str(tmp_path), str(tmp_path / "tiegcm"), *members]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [launcher, "-n", "2", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    assert [(member, rank, size) for member, rank, size, _, _ in rows] == [(0, 0, 2), (1, 1, 2), (2, 0, 2)]
    assert all(succeeded for *_, succeeded in rows), rows


@pytest.mark.mpi
@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_that_the_model_itself_refuses_a_number_of_ranks(
    launcher: str, folder: MakeFolder, tmp_path: Path, version: str
) -> None:
    case.write_executable(tmp_path / "tiegcm", version)
    job = MemberJob(0, folder(0), "m.inp", "forecast.nc", TIME)
    ranks = {"2.0": 2, "3.0": 3}[version]
    (outcome,) = run_members((job,), _settings(launcher, tmp_path / "tiegcm", ranks=ranks), finite_and_bounded)
    assert outcome.cause is Cause.NO_NORMAL_EXIT
    assert f"mp_init: {ranks}" in outcome.detail


@pytest.mark.mpi
def test_that_a_crash_of_one_rank_is_told_by_the_model_and_not_by_the_launcher(
    launcher: str, folder: MakeFolder, tmp_path: Path
) -> None:
    job = MemberJob(0, folder(0, "crash 3"), "m.inp", "forecast.nc", TIME)
    (outcome,) = run_members((job,), _settings(launcher, tmp_path / "tiegcm"), finite_and_bounded)
    assert outcome.cause is Cause.NO_NORMAL_EXIT
    assert "told to crash" in outcome.detail


@pytest.mark.mpi
@pytest.mark.parametrize("fault", ["hang", "hang_deaf"])
def test_that_a_time_out_ends_all_ranks_though_the_launcher_gave_them_sessions_of_their_own(
    launcher: str, folder: MakeFolder, tmp_path: Path, fault: str
) -> None:
    made = folder(0, fault)
    job = MemberJob(0, made, "m.inp", "forecast.nc", TIME)
    (outcome,) = run_members((job,), _settings(launcher, tmp_path / "tiegcm", time_out_s=6.0), finite_and_bounded)
    assert outcome.cause is Cause.TIME_OUT, outcome.message
    assert (made / "hanging.pid").exists(), outcome.message
    working_here = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == made:
                working_here.append((entry.name, (entry / "cmdline").read_bytes()))
        except OSError:
            continue
    assert working_here == []
