"""Calls that take too long: ended where Python can, and the process where it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from da.time_limit import EXIT_HUNG, TimeLimit, TimeLimitExceeded

HUNG = """
import ctypes, sys
from da.time_limit import TimeLimit
library = ctypes.{library}(None)
mutex = ctypes.create_string_buffer(256)
library.pthread_mutex_lock(mutex)

def aborted(status):
    print("aborted with", status, flush=True)

def computed():
    # Locked already: waits for ever, whatever signals come.
    library.pthread_mutex_lock(mutex)

TimeLimit(0.1, aborted, grace_s=0.3).within(computed, "forecast of members [3]")
"""


def _never(status: int) -> None:
    raise AssertionError(f"ended with {status}")


def _endless() -> None:
    while True:
        np.linalg.norm(np.ones(10))


def test_that_a_call_that_is_in_time_returns_what_it_returns() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert TimeLimit(20.0, _never, 30.0).within(lambda: 5, "") == 5
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("wait", [_endless, lambda: time.sleep(20.0)], ids=["computing", "waiting"])
def test_that_a_call_that_takes_too_long_is_ended(wait: Callable[[], None]) -> None:
    limit, began = TimeLimit(0.025, _never, 30.0).times(2), time.monotonic()
    with pytest.raises(TimeLimitExceeded, match=r"^forecast: longer than 0.05 s$"):
        limit.within(wait, "forecast")
    assert 0.05 <= time.monotonic() - began < 10.0
    assert limit.within(lambda: 5, "") == 5


def test_that_a_model_that_catches_ordinary_exceptions_is_ended_too() -> None:
    def stubborn() -> None:
        while True:
            try:
                _endless()
            except Exception:  # noqa: BLE001 - what careless code of a model does
                continue

    with pytest.raises(TimeLimitExceeded):
        TimeLimit(0.05, _never, 30.0).within(stubborn, "forecast")


def test_that_exceptions_of_the_call_pass() -> None:
    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        TimeLimit(20.0, _never, 30.0).within(broken, "")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_that_other_threads_have_no_limit() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="main thread"):
        pool.submit(TimeLimit(20.0, _never, 30.0).within, lambda: 5, "").result()


@pytest.mark.parametrize(("library", "status"), [("CDLL", EXIT_HUNG), ("PyDLL", 1)])
def test_that_a_compiled_call_that_never_returns_ends_the_process_and_tells_where(library: str, status: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-c", HUNG.format(library=library)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60.0, check=False)
    assert ended.returncode == status, ended.stderr
    assert 'in computed\n  File "' in ended.stderr
    if library == "CDLL":
        assert ended.stdout == "aborted with 70\n"
        assert "forecast of members [3]: does not return after 0.4 s and cannot be interrupted" in ended.stderr
    else:
        # It keeps the interpreter to itself: no thread of Python can say more.
        assert "Timeout (0:00:00.700000)!" in ended.stderr
