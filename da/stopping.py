"""Signals that ask a run to stop: noted at once, obeyed by all ranks together at the end of a phase.

SIGTERM is what ``kill`` and queues send; SIGUSR1 is what Slurm sends ahead of a time limit (``--signal=USR1@120``). A
second SIGTERM ends the process at once, by the system, whatever it is doing.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

from da.parallel import AgreedError, Communicator

WATCHED = (signal.SIGTERM, signal.SIGUSR1)


class RunStopped(AgreedError):
    """The run ended where a signal asked it to, with a restart point; raised on all ranks alike."""


class StopRequest:
    """Context in which the signals are noted instead of ending this process.

    Outside of the main thread, where Python allows no handlers, nothing is noted.
    """

    def __init__(self) -> None:
        self._noted = ""
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in WATCHED}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = self._noted or signal.Signals(number).name
        if number == signal.SIGTERM:
            # By the system, as Python's own handlers wait for what numpy or MPI is doing.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def agreed(self, comm: Communicator) -> str:
        """Return the name of a signal that any rank has noted, the same on all ranks; empty where none has."""
        return next((name for name in comm.allgather(self._noted) if name), "")
