"""Members really run, with the stand-in in place of TIE-GCM: every way to fail, and nothing left behind."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model_adapters.tiegcm.environment import MARK
from model_adapters.tiegcm.judging import finite_and_bounded
from model_adapters.tiegcm.launch_outcome import Cause, MemberJob, Outcome
from model_adapters.tiegcm.launcher import log_path, run_members
from model_adapters.tiegcm.launcher_settings import LauncherSettings

STAND_IN = Path(__file__).with_name("standin")
case = SimpleNamespace(**runpy.run_path(str(STAND_IN / "case.py")))
END = np.datetime64("2002-03-22T01:00", "ns")
MakeJobs = Callable[..., list[MemberJob]]


@pytest.fixture
def jobs(tmp_path: Path, small_history: Any) -> MakeJobs:
    """Make jobs, one for each fault given (an empty text: none)."""
    template = small_history(tmp_path / "template.nc", levels=9, level_step=1.75)
    case.write_executable(tmp_path / "tiegcm")

    def make(*faults: str) -> list[MemberJob]:
        made = []
        for number, fault in enumerate(faults):
            folder = tmp_path / f"mem{number:03d}"
            folder.mkdir()
            (folder / "analysis.nc").hardlink_to(template)
            (folder / "m.inp").write_text(case.namelist_text())
            (folder / "standin_fault").write_text(fault)
            made.append(MemberJob(number, folder, "m.inp", "forecast.nc", END))
        return made

    return make


def _settings(tmp_path: Path, **changes: Any) -> LauncherSettings:
    values = {"command": ("{executable}", "{namelist}"), "executable": tmp_path / "tiegcm", "ranks": 1}
    return LauncherSettings(**{**values, "time_out_s": 60.0, "grace_s": 0.5, **changes})


def _run(jobs: Sequence[MemberJob], tmp_path: Path, at_once: int = 2, **changes: Any) -> list[Outcome]:
    return run_members(jobs, _settings(tmp_path, **changes), finite_and_bounded, at_once)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _members_alive(folder: Path) -> list[int]:
    """Return the processes that carry a member's mark and work in a folder below."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            marked = entry.name.isdigit() and MARK.encode() in (entry / "environ").read_bytes()
            if marked and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _wait_for(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_that_good_members_succeed_in_the_order_of_the_jobs(jobs: MakeJobs, tmp_path: Path) -> None:
    made = jobs("slow 0.5", "", "")
    outcomes = _run(made, tmp_path, at_once=3)
    assert [one.job for one in outcomes] == made
    assert all(one.succeeded for one in outcomes), [one.message for one in outcomes]
    assert [one.exit_status for one in outcomes] == [0, 0, 0]
    assert "done in" in outcomes[0].message
    assert outcomes[0].last_lines[-1] == "NORMAL EXIT"
    assert outcomes[0].wall_s >= 0.5


FAULTS = {
    "crash 0": (Cause.NO_NORMAL_EXIT, "told to crash"),
    "crash 77": (Cause.NO_NORMAL_EXIT, "told to crash"),
    "killed": (Cause.NO_NORMAL_EXIT, "signal 11"),
    "no_normal_exit": (Cause.NO_NORMAL_EXIT, "exit status 0"),
    "no_output": (Cause.NO_OUTPUT, "forecast.nc was not written"),
    "missing_time": (Cause.BAD_HISTORY, "has no history of 2002-03-22T01:00:00"),
    "nan": (Cause.BAD_HISTORY, "is not finite"),
    "unbounded": (Cause.BAD_HISTORY, "TN leaves"),
    "truncated": (Cause.BAD_HISTORY, "forecast.nc"),
}


def test_that_every_fault_is_told_with_its_cause_and_stops_no_other_member(jobs: MakeJobs, tmp_path: Path) -> None:
    outcomes = _run(jobs(*FAULTS, ""), tmp_path)
    for (fault, (cause, said)), outcome in zip(FAULTS.items(), outcomes, strict=False):
        assert outcome.cause is cause, (fault, outcome.message)
        assert said in outcome.message, (fault, outcome.message)
        assert f"member {outcome.job.member}, cycle to 2002-03-22T01:00:00" in outcome.message
        assert str(outcome.job.folder) in outcome.message
        assert outcome.last_lines[-1] in outcome.log.read_text()
    assert outcomes[-1].succeeded, outcomes[-1].message


def test_that_a_shutdown_before_the_first_step_is_told_though_the_exit_status_is_zero(
    jobs: MakeJobs, tmp_path: Path
) -> None:
    unknown, long, other = jobs("", "", "")
    (unknown.folder / "m.inp").write_text(case.namelist_text(ALFAC="0.3"))
    (long.folder / "m.inp").write_text(case.namelist_text(SOURCE=f"'{'x' * 130}'"))
    (other.folder / "m.inp").write_text(case.namelist_text("3.0"))
    outcomes = _run((unknown, long, other), tmp_path)
    for outcome, said in zip(outcomes, ("object name alfac", "End of record", "object name pristart"), strict=True):
        assert outcome.cause is Cause.NO_NORMAL_EXIT
        assert said in outcome.detail


def test_that_what_cannot_be_started_is_told(jobs: MakeJobs, tmp_path: Path) -> None:
    absent, good = jobs("", "")
    lost = replace(absent, folder=tmp_path / "no such folder")
    outcomes = _run((lost, good), tmp_path)
    assert outcomes[0].cause is Cause.NOT_STARTED
    assert "no such folder" in outcomes[0].message
    assert outcomes[1].succeeded
    (no_program,) = _run((absent,), tmp_path, command=("no-such-launcher", "{namelist}"))
    assert no_program.cause is Cause.NO_NORMAL_EXIT
    assert no_program.detail == "cannot start no-such-launcher: No such file or directory"


@pytest.mark.parametrize("fault", ["hang", "hang_deaf"])
def test_that_a_time_out_ends_every_process_of_the_member_and_no_other(
    jobs: MakeJobs, tmp_path: Path, fault: str
) -> None:
    made = jobs(fault, "slow 2.5")
    hanging, slow = _run(made, tmp_path, time_out_s=4.0)
    assert hanging.cause is Cause.TIME_OUT
    assert "not done after 4 s" in hanging.message
    assert "Step" in hanging.message
    assert 4.0 <= hanging.wall_s < 10.0
    assert slow.succeeded, slow.message
    pids = [int(path.read_text()) for path in made[0].folder.glob("*.pid")]
    assert len(pids) == (2 if fault == "hang_deaf" else 1)
    assert not any(_alive(pid) for pid in pids)
    assert _members_alive(tmp_path) == []


def test_that_what_a_launcher_leaves_behind_when_it_ends_is_ended_too(jobs: MakeJobs, tmp_path: Path) -> None:
    (job,) = jobs("")
    script = f"setsid sleep 60 & echo $! > left.pid; '{tmp_path / 'tiegcm'}' m.inp"
    (outcome,) = _run((job,), tmp_path, command=("sh", "-c", script, "{namelist}"))
    assert outcome.succeeded, outcome.message
    assert not _alive(int((job.folder / "left.pid").read_text()))
    assert _members_alive(tmp_path) == []


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_that_no_more_members_run_together_than_allowed(jobs: MakeJobs, tmp_path: Path, at_once: int) -> None:
    # Each member notes when it came and went; the times of one machine's clock order them.
    spell = 'date +%s.%N > came; sleep 0.3; date +%s.%N > went; echo "NORMAL EXIT"'
    made = jobs(*[""] * 5)
    run_members(made, _settings(tmp_path, command=("sh", "-c", spell, "{namelist}")), lambda path, time: [], at_once)
    came, went = (np.array([float((job.folder / name).read_text()) for job in made]) for name in ("came", "went"))
    together = [int(np.sum((came <= moment) & (went > moment))) for moment in came]
    assert max(together) == at_once


def test_that_the_logs_of_the_last_two_cycles_are_kept_with_all_attempts(jobs: MakeJobs, tmp_path: Path) -> None:
    (job,) = jobs("")
    hours = [END + np.timedelta64(hour, "h") for hour in (0, 1, 1, 2)]
    for time_, attempt in zip(hours, (1, 1, 2, 1), strict=True):
        _run((replace(job, expected_time=time_, attempt=attempt),), tmp_path)
    names = sorted(path.name for path in job.folder.glob("model_*.log"))
    assert names == ["model_20020322T020000.log", "model_20020322T020000_2.log", "model_20020322T030000.log"]


def test_that_a_second_attempt_with_half_the_step_can_succeed(jobs: MakeJobs, tmp_path: Path) -> None:
    (job,) = jobs("unstable 30")
    (first,) = _run((job,), tmp_path)
    assert first.cause is Cause.BAD_HISTORY
    (job.folder / "half.inp").write_text(case.namelist_text(step_s=30))
    (second,) = _run((replace(job, namelist="half.inp", attempt=2),), tmp_path)
    assert second.succeeded, second.message
    assert {first.log, second.log} == {log_path(job), log_path(second.job)}
    assert first.log.exists()


def test_that_a_member_has_the_limits_and_the_variables_that_the_model_needs(jobs: MakeJobs, tmp_path: Path) -> None:
    (job,) = jobs("")
    script = "ulimit -s; ulimit -Hs; echo $LOGNAME $TGCMDATA $EXTRA $GFORTRAN_UNBUFFERED_ALL $PMI_RANK; pwd"
    settings = _settings(
        tmp_path, command=("sh", "-c", script, "{namelist}"), data_folder=tmp_path, environment={"EXTRA": "one two"}
    )
    base = {"PATH": os.environ["PATH"], "LOGNAME": "someone", "PMI_RANK": "1"}
    run_members((job,), settings, finite_and_bounded, base=base)
    stack, hard, variables, folder = log_path(job).read_text().splitlines()
    assert stack == hard
    assert variables == f"someone {tmp_path} one two 1"
    assert folder == str(job.folder)


def test_that_processors_to_which_we_are_bound_do_not_bind_members(jobs: MakeJobs, tmp_path: Path) -> None:
    ours = os.sched_getaffinity(0)
    if len(ours) < 2:
        pytest.skip("needs two processors")
    free, bound = jobs("", "")
    code = "import os; print(sorted(os.sched_getaffinity(0)))"
    command = (sys.executable, "-c", code, "{namelist}")
    os.sched_setaffinity(0, {min(ours)})
    try:
        _run((free,), tmp_path, command=command)
        _run((bound,), tmp_path, command=command, keep_binding=True)
    finally:
        os.sched_setaffinity(0, ours)
    assert set(json.loads(log_path(free).read_text())) >= ours
    assert log_path(bound).read_text().strip() == f"[{min(ours)}]"


def test_that_an_exception_of_ours_leaves_no_member_behind(jobs: MakeJobs, tmp_path: Path) -> None:
    made = jobs("hang", "")

    def broken(path: Path, time: np.datetime64) -> list[str]:
        _wait_for((made[0].folder / "hanging.pid").exists)
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        run_members(made, _settings(tmp_path), broken, at_once=2)
    assert not _alive(int((made[0].folder / "hanging.pid").read_text()))
    assert _members_alive(tmp_path) == []


PROGRAM = textwrap.dedent("""
    import signal
    import sys
    from pathlib import Path
    import numpy as np
    from model_adapters.tiegcm.launch_outcome import MemberJob
    from model_adapters.tiegcm.launcher import run_members
    from model_adapters.tiegcm.launcher_settings import LauncherSettings
    # What is started in the background of a shell script begins with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    root = Path(sys.argv[1])
    settings = LauncherSettings(command=("{executable}", "{namelist}"), executable=root / "tiegcm", grace_s=0.5)
    time = np.datetime64("2002-03-22T01:00", "ns")
    jobs = [MemberJob(i, root / f"mem{i:03d}", "m.inp", "forecast.nc", time) for i in range(3)]
    run_members(jobs, settings, lambda path, time: [], at_once=2)
""")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_that_a_signal_to_us_ends_all_members_and_starts_no_more(
    jobs: MakeJobs, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    made = jobs("hang", "hang", "")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as ours:
        _wait_for(lambda: all((job.folder / "hanging.pid").exists() for job in made[:2]))
        ours.send_signal(number)
        assert ours.wait(timeout=30) == status
    # Where we are killed outright, the kernel's signal to the launchers is on its way.
    _wait_for(lambda: _members_alive(tmp_path) == [])
    assert not log_path(made[2]).exists()
