"""What came of one run of one member: success, or what failed, with the last lines of the model's log.

The exit status decides nothing: TIE-GCM ends with NORMAL EXIT and status 0 on fields that are not numbers, and hands an
unset number to the system when it stops by itself.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

HistoryFaults = Callable[[Path, np.datetime64], Sequence[str]]
"""``faults(path, time)`` returns what is wrong with the history of a time, an absent file and time included."""

TAIL_BYTES = 65_536
LINES_SHOWN = 6

_NORMAL_EXIT = re.compile(r"(?<!AB)NORMAL EXIT$")
"""How the last line of each rank ends; a launcher may put a rank, or half a line of another one, before it."""

_FATAL = re.compile(
    r"MODEL SHUTDOWN|stop message|Fortran runtime error|Cannot match namelist object name|End of record"
    r"|Error from netcdf library|SIGSEGV|Segmentation fault|cannot start |error while loading shared libraries"
    r"|oom-kill|Out Of Memory|DUE TO TIME LIMIT|BAD TERMINATION|KILLED BY SIGNAL|noticed that process|srun: error"
)
"""Lines that say why a run ended, the first of which is the cause more often than the last."""

_BANNER = "MODEL SHUTDOWN"
"""Says nothing; the reason stands in a line that begins with ``>>>`` before it and in one after it."""

_COMPLAINT = re.compile(r">>>\s*(?!WARNING)\w")
_STACK_FAULT = re.compile(r"SIGSEGV|Segmentation fault|signal 11\b")


class Cause(Enum):
    """Why a run of a member is not a success."""

    NOT_STARTED = "could not be started"
    TIME_OUT = "ran into the time-out"
    NO_NORMAL_EXIT = "did not end with NORMAL EXIT"
    NO_OUTPUT = "wrote no output history"
    BAD_HISTORY = "wrote a history that cannot be used"


@dataclass(frozen=True)
class MemberJob:
    """One run of one member, as plain data: another attempt is ``dataclasses.replace(job, attempt=2, namelist=...)``.

    Parameters
    ----------
    member : int
        Number in the ensemble.
    folder : Path
        Working directory of the model; no two jobs share one.
    namelist : str
        Name of the namelist in the folder.
    output : str
        Name of the output history in the folder.
    expected_time : datetime64
        Time that the output must hold; it names the cycle.
    attempt : int
        Number of the attempt in this cycle, from 1.
    """

    member: int
    folder: Path
    namelist: str
    output: str
    expected_time: np.datetime64
    attempt: int = 1

    @property
    def output_path(self) -> Path:
        """Path of the output history."""
        return self.folder / self.output


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Parameters
    ----------
    job : MemberJob
    cause : Cause or None
        None: success.
    detail : str
        What exactly failed, in a few words.
    exit_status : int or None
        Of the launcher; None where it did not start or was ended. Negative: a signal.
    wall_s : float
        Time [s] that it took.
    log : Path
        File that holds all that the model said.
    last_lines : tuple of str
        End of the log.
    """

    job: MemberJob
    cause: Cause | None
    detail: str
    exit_status: int | None
    wall_s: float
    log: Path
    last_lines: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        """Whether the member may go on from the output history."""
        return self.cause is None

    @property
    def message(self) -> str:
        """One line that names member, cycle, folder, cause and the last lines of the log."""
        job = self.job
        time = np.datetime_as_string(job.expected_time, unit="s")
        attempt = f", attempt {job.attempt}" if job.attempt > 1 else ""
        head = f"TIE-GCM member {job.member}, cycle to {time}{attempt}, in {job.folder}"
        if self.cause is None:
            return f"{head}: done in {self.wall_s:.0f} s"
        said = " | ".join(self.last_lines) or "nothing"
        return f"{head}: {self.cause.value}: {self.detail}; {self.log.name} ends with: {said}"


@dataclass(frozen=True)
class FileStamp:
    """When a file was last written and how long it is; zeros where there is none."""

    written_ns: int = 0
    size: int = 0

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """Return the stamp of a path."""
        try:
            found = path.stat()
        except OSError:
            return cls()
        return cls(found.st_mtime_ns, found.st_size)


def log_tail(log: Path) -> list[str]:
    """Return the last lines of a log that hold anything; none where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - TAIL_BYTES, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def ends_normally(lines: Sequence[str]) -> bool:
    """Return whether a run came to its NORMAL EXIT, and nothing fatal was said after that.

    Each rank says so by itself when its part of MPI is ended, and other ranks, libraries and launchers may still talk.

    >>> ends_normally(["NORMAL EXIT", "End execution", "[node1:77] 3 more processes have sent help message"])
    True
    >>> ends_normally(["NORMAL EXIT", "MODEL SHUTDOWN"]), ends_normally(["ABNORMAL EXIT"])
    (False, False)
    """
    first = next((number for number, line in enumerate(lines) if _NORMAL_EXIT.search(line.rstrip())), len(lines))
    return first < len(lines) and not any(_FATAL.search(line) for line in lines[first:])


def why_it_ended(lines: Sequence[str], exit_status: int | None) -> str:
    """Return what a log's tail first names as a fatal fault, with the model's own reason, or else the exit status."""
    fatal = [number for number, line in enumerate(lines) if _FATAL.search(line)]
    if fatal:
        reason = _reason(lines, fatal)
    elif exit_status is not None and exit_status < 0:
        reason = f"ended by signal {-exit_status}"
    else:
        reason = f"exit status {exit_status}"
    limit = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if _STACK_FAULT.search(reason) and limit != resource.RLIM_INFINITY:
        reason += f" (members have a stack of at most {limit / 2**20:g} MiB: 'ulimit -Hs' should be unlimited)"
    return reason


def _reason(lines: Sequence[str], fatal: Sequence[int]) -> str:
    """Return the first fatal line that says something, after what the model complained of just before it."""
    first = fatal[0]
    said = lines[next((number for number in fatal if _BANNER not in lines[number]), first)].strip()
    before = [line.strip() for line in lines[max(first - LINES_SHOWN, 0) : first] if _COMPLAINT.match(line.strip())]
    return f"{before[-1]}; {said}" if before and _BANNER in lines[first] else said


def judge(
    job: MemberJob, exit_status: int, wall_s: float, log: Path, before: FileStamp, history_faults: HistoryFaults
) -> Outcome:
    """Return the outcome of a run that has ended by itself.

    Parameters
    ----------
    before : FileStamp
        Of the output history before the run: one of an earlier run is no success of this.
    history_faults : callable
    """
    lines = log_tail(log)
    cause, detail = _fault(job, exit_status, lines, before, history_faults)
    return Outcome(job, cause, detail, exit_status, wall_s, log, tuple(lines[-LINES_SHOWN:]))


def _fault(
    job: MemberJob, exit_status: int, lines: Sequence[str], before: FileStamp, history_faults: HistoryFaults
) -> tuple[Cause | None, str]:
    if not ends_normally(lines):
        return Cause.NO_NORMAL_EXIT, why_it_ended(lines, exit_status)
    if FileStamp.of(job.output_path) in (before, FileStamp()):
        return Cause.NO_OUTPUT, f"{job.output} was not written"
    faults = list(history_faults(job.output_path, job.expected_time))
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        return Cause.BAD_HISTORY, f"{faults[0]}{more}"
    return None, ""
