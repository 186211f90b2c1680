"""The lock of a run's folder: it ends with its process, and names the process that has it or had it."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from da.errors import ThermodaError
from da.stored_json import parse_json

LOCK_NAME = "lock"
LARGEST_PROCESS = 2**31

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""How file systems without locks, such as some of clusters, answer."""


@dataclass(frozen=True)
class Holder:
    """The process that writes a run.

    Parameters
    ----------
    process : int
    host : str
    since : str
        UTC.
    """

    process: int
    host: str
    since: str

    @classmethod
    def here(cls) -> Holder:
        """Return this process."""
        return cls(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"

    @property
    def may_live(self) -> bool:
        """Whether it runs, as far as one can tell from here: of another host nothing is known."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return self.process != os.getpid()


def _holder(text: str) -> Holder | None:
    try:
        found = Holder(**parse_json(text))
    except (ValueError, TypeError):
        return None
    process_is_one = isinstance(found.process, int) and 0 < found.process < LARGEST_PROCESS
    return found if process_is_one and isinstance(found.host, str) and isinstance(found.since, str) else None


def holder_of(partial: Path) -> str:
    """Return who has, or had, the lock of an unfinished run, in words."""
    try:
        found = _holder((partial / LOCK_NAME).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return "a process that is not named" if found is None else str(found)


def is_held(partial: Path) -> bool:
    """Return whether another process holds the lock of an unfinished run now."""
    try:
        lock = (partial / LOCK_NAME).open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            holder = _holder(lock.read())
            return holder is not None and holder.may_live
    return False


def acquired(partial: Path) -> TextIO:
    """Return the open lock file of an unfinished run, which is released when it is closed or the process ends.

    The lock of a process that is no more is taken over, and that process is named.

    Raises
    ------
    ThermodaError
        If another process has it. Where files cannot be locked, a process of another host is taken to run still.
    OSError
        If the file cannot be opened.
    """
    log = logging.getLogger(__name__)
    lock = (partial / LOCK_NAME).open("a+", encoding="utf-8", errors="replace")
    lock.seek(0)
    former = _holder(lock.read())
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise _refusal(partial, former) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            lock.close()
            raise
        if former is not None and former.may_live:
            lock.close()
            raise _refusal(partial, former, f"; if it runs no more, remove {partial / LOCK_NAME}") from None
        log.warning("%s: files cannot be locked here; start no second run into it", partial)
    if former is not None:
        log.warning("%s: the lock of %s, which runs no more, is taken over", partial, former)
    lock.truncate(0)
    lock.write(json.dumps(asdict(Holder.here())))
    lock.flush()
    return lock


def _refusal(partial: Path, holder: Holder | None, more: str = "") -> ThermodaError:
    who = "" if holder is None else f" ({holder})"
    return ThermodaError(
        f"{partial}: another run is writing there{who}; wait for it or choose another experiment.output_folder{more}"
    )
