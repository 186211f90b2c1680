"""Signals that arrive while members run: noted at once, obeyed where nothing can be left half started."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

_WATCHED = (signal.SIGINT, signal.SIGTERM)
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)

STATUS_OF_SIGNALS = 128
"""A program that a signal ends has this plus its number as exit status, by the custom of shells."""


class Interruption:
    """Context in which SIGINT and SIGTERM are noted instead of ending this process.

    An exception out of nowhere could fall between the start of a process and the note that it was started; a SIGTERM
    would end us and leave all members running. Handlers that others have set stay. Outside of the main thread, where
    Python allows no handlers, nothing is noted.
    """

    def __init__(self) -> None:
        self._noted: int | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _WATCHED:
                if signal.getsignal(number) in _DEFAULTS:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if kind is None:
            self.obey()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number

    def obey(self) -> None:
        """Raise KeyboardInterrupt or SystemExit if a signal has been noted."""
        if self._noted == signal.SIGINT:
            raise KeyboardInterrupt
        if self._noted is not None:
            raise SystemExit(STATUS_OF_SIGNALS + self._noted)
