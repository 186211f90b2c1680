"""How long a call in this process may take, and what happens to one that takes longer.

Python ends a call where it can: an alarm raises an exception in the main thread between two steps of the interpreter.
A call of compiled code is not interrupted; where it returns at last, it is ended then. Where it does not return, no
other member can be forecast either, and the ranks would wait for each other for ever: after a time of grace a thread
tells what hangs and ends the process, with all other ranks. A call that also keeps the interpreter to itself lets no
thread of Python run; after as much time again the C library's own thread (:mod:`faulthandler`) writes where it hangs,
and ends the process. Restart points are as they were.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import TypeVar

from da.parallel import READING_S

T = TypeVar("T")

STDERR = 2
"""The descriptor, as threads of the C library know no stream of Python."""

EXIT_HUNG = 70
"""Status of a process that ended because a call did not return (EX_SOFTWARE)."""

GRACE_S = 30.0
"""Time for a call of compiled code to return, in which nothing can be done."""


class TimeLimitExceeded(Exception):  # noqa: N818 - it is what happened, not a fault of this program
    """A call took longer than it may."""


class _Alarm(BaseException):
    """What ends a call; no handler of ordinary exceptions in a model holds it up."""


@dataclass(frozen=True)
class TimeLimit:
    """A limit of wall time for calls in the main thread.

    Parameters
    ----------
    seconds : float
    abort : callable
        ``abort(status)`` ends the other ranks too.
    grace_s : float
        See this module.
    """

    seconds: float
    abort: Callable[[int], None]
    grace_s: float

    def times(self, factor: float) -> TimeLimit:
        """Return the limit of a call that may take so many times as long."""
        return replace(self, seconds=self.seconds * factor)

    def within(self, work: Callable[[], T], what: str) -> T:
        """Return what ``work`` returns.

        Parameters
        ----------
        work : callable
            Its exceptions are passed on. One that is ended leaves nothing of use behind.
        what : str
            For messages.

        Raises
        ------
        TimeLimitExceeded
            If it takes longer.
        ValueError
            Outside of the main thread, where Python allows no alarm.
        """
        try:
            with self._watched(what), self._alarm():
                return work()
        except _Alarm as alarm:
            raise TimeLimitExceeded(f"{what}: longer than {self.seconds:g} s") from alarm

    @contextmanager
    def _alarm(self) -> Iterator[None]:
        armed = True

        def ring(number: int, frame: FrameType | None) -> None:
            # Python may come to this only after the alarm was taken back.
            if armed:
                raise _Alarm

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            yield
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)

    @contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        """End the process where the alarm cannot end the call."""
        timer = threading.Timer(self.seconds + self.grace_s, self._give_up, (what,))
        timer.daemon = True
        timer.start()
        faulthandler.dump_traceback_later(self.seconds + 2.0 * self.grace_s, exit=True, file=STDERR)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            timer.cancel()

    def _give_up(self, what: str) -> None:
        logging.getLogger(__name__).critical(
            "%s: does not return after %g s and cannot be interrupted; this run ends with status %d and can be gone "
            "on with from its last restart point: python -m da resume",
            what,
            self.seconds + self.grace_s,
            EXIT_HUNG,
        )
        faulthandler.dump_traceback(file=STDERR)
        time.sleep(min(READING_S, 0.5 * self.grace_s))
        try:
            self.abort(EXIT_HUNG)
        finally:
            os._exit(EXIT_HUNG)
