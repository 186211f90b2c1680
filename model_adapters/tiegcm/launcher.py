"""Run members as jobs: a bounded number together, each with a time-out, its own log, and an outcome that is judged.

One thread looks after all of them. Whatever ends this function - the last member, an exception, Ctrl-C, the batch
system's SIGTERM - no process of a member outlives it; should this process be killed outright, the kernel ends the
launchers.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_adapters.tiegcm.environment import member_environment
from model_adapters.tiegcm.interruption import Interruption
from model_adapters.tiegcm.launch_outcome import (
    LINES_SHOWN,
    Cause,
    FileStamp,
    HistoryFaults,
    MemberJob,
    Outcome,
    judge,
    log_tail,
)
from model_adapters.tiegcm.launcher_settings import LauncherSettings
from model_adapters.tiegcm.member_processes import POLL_S, MemberProcesses, end_all, new_mark

LOG_PREFIX = "model_"
LOG_SUFFIX = ".log"
CYCLES_KEPT = 2
"""Cycles whose logs stay in a member's folder."""


@dataclass(frozen=True)
class _Running:
    """A member at work."""

    job: MemberJob
    processes: MemberProcesses
    log: Path
    started_s: float
    before: FileStamp

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self.started_s


def run_members(
    jobs: Sequence[MemberJob],
    settings: LauncherSettings,
    history_faults: HistoryFaults,
    at_once: int = 1,
    base: Mapping[str, str] = os.environ,
) -> list[Outcome]:
    """Run jobs and return their outcomes, in the order of the jobs.

    A member that fails does not stop the others, and nothing is tried again here: what is to follow from an outcome is
    the caller's to say.

    Parameters
    ----------
    jobs : sequence of MemberJob
        Each with a folder of its own, which holds all that the model needs.
    settings : LauncherSettings
    history_faults : callable
        ``finite_and_bounded`` of the histories: what is wrong with the output at the expected time.
    at_once : int
        How many run together.
    base : mapping
        Environment from which the members' is made.

    Raises
    ------
    ValueError
        If two jobs share a folder, or a namelist is not a bare name.
    KeyboardInterrupt, SystemExit
        On SIGINT and SIGTERM, after all members were ended.
    """
    _check_jobs(jobs, at_once)
    waiting, running = deque(jobs), list[_Running]()
    outcomes: dict[Path, Outcome] = {}
    with Interruption() as interruption:
        try:
            while waiting or running:
                interruption.obey()
                while waiting and len(running) < at_once:
                    _start(waiting.popleft(), settings, base, running, outcomes)
                _collect(running, outcomes, settings, history_faults)
                if running:
                    time.sleep(POLL_S)
        finally:
            end_all([one.processes for one in running], settings.grace_s)
    return [outcomes[job.folder] for job in jobs]


def _check_jobs(jobs: Sequence[MemberJob], at_once: int) -> None:
    if at_once < 1:
        raise ValueError(f"at_once must be at least 1, not {at_once}")
    if len({job.folder for job in jobs}) < len(jobs):
        raise ValueError("every job needs a folder of its own")
    for job in jobs:
        # TIE-GCM's buffers hold 120 characters: names within the working directory are short.
        if Path(job.namelist).name != job.namelist or Path(job.output).name != job.output:
            raise ValueError(f"namelist and output of a job are names in its folder, not {job.namelist}, {job.output}")


def log_path(job: MemberJob) -> Path:
    """Return the file that holds what the model says in a job: by cycle, and by attempt after the first.

    >>> job = MemberJob(3, Path("mem003"), "m.inp", "out.nc", np.datetime64("2002-03-22T01:00"), attempt=2)
    >>> log_path(job).name
    'model_20020322T010000_2.log'
    """
    time_text = np.datetime_as_string(job.expected_time, unit="s").replace("-", "").replace(":", "")
    attempt = f"_{job.attempt}" if job.attempt > 1 else ""
    return job.folder / f"{LOG_PREFIX}{time_text}{attempt}{LOG_SUFFIX}"


def _remove_old_logs(folder: Path) -> None:
    """Keep the logs of the cycles last run, with all attempts; by age, for a resumed run may go back in time."""
    logs = sorted(folder.glob(f"{LOG_PREFIX}*{LOG_SUFFIX}"), key=lambda log: log.stat().st_mtime_ns, reverse=True)
    cycles = list(dict.fromkeys(_cycle(log) for log in logs))
    for log in logs:
        if _cycle(log) not in cycles[:CYCLES_KEPT]:
            log.unlink()


def _cycle(log: Path) -> str:
    return log.stem.removeprefix(LOG_PREFIX).partition("_")[0]


def _start(
    job: MemberJob,
    settings: LauncherSettings,
    base: Mapping[str, str],
    running: list[_Running],
    outcomes: dict[Path, Outcome],
) -> None:
    """Start a job, or note that it could not be started."""
    log = log_path(job)
    environment = member_environment(base, settings.environment, settings.data_folder, new_mark())
    before = FileStamp.of(job.output_path)
    try:
        with log.open("wb") as file:
            processes = MemberProcesses(settings.command_of(job), job.folder, environment, file, settings.keep_binding)
    except OSError as error:
        outcomes[job.folder] = Outcome(job, Cause.NOT_STARTED, str(error), None, 0.0, log, ())
        return
    running.append(_Running(job, processes, log, time.monotonic(), before))
    _remove_old_logs(job.folder)


def _collect(
    running: list[_Running], outcomes: dict[Path, Outcome], settings: LauncherSettings, history_faults: HistoryFaults
) -> None:
    """Judge the members that have ended and end those whose time is over."""
    ended = [one for one in running if one.processes.exit_status is not None]
    late = [one for one in running if one not in ended and one.wall_s > settings.time_out_s]
    walls_s = {one.job.folder: one.wall_s for one in (*ended, *late)}
    # What an ended launcher has left behind goes too, before its output is read.
    end_all([one.processes for one in (*ended, *late)], settings.grace_s)
    for one in late:
        lines = tuple(log_tail(one.log)[-LINES_SHOWN:])
        detail = f"not done after {settings.time_out_s:g} s"
        wall_s = walls_s[one.job.folder]
        outcomes[one.job.folder] = Outcome(one.job, Cause.TIME_OUT, detail, None, wall_s, one.log, lines)
        running.remove(one)
    for one in ended:
        status = one.processes.exit_status
        if status is not None:
            wall_s = walls_s[one.job.folder]
            outcomes[one.job.folder] = judge(one.job, status, wall_s, one.log, one.before, history_faults)
        running.remove(one)
