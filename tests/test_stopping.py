"""Signals that stop a run: noted, agreed on, and a second SIGTERM that does not wait."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from da.parallel import SerialCommunicator
from da.stopping import StopRequest


class _TwoRanks(SerialCommunicator):
    """The other rank has noted something."""

    size = 2

    def __init__(self, other: str) -> None:
        self._other = other

    def allgather(self, item):  # type: ignore[no-untyped-def]
        return [item, self._other]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_that_a_signal_is_noted_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.agreed(SerialCommunicator()) == ""
        signal.raise_signal(number)
        assert stop.agreed(SerialCommunicator()) == number.name
    assert signal.getsignal(number) == before


def test_that_what_another_rank_noted_counts() -> None:
    with StopRequest() as stop:
        assert stop.agreed(_TwoRanks("SIGUSR1")) == "SIGUSR1"
        assert stop.agreed(_TwoRanks("")) == ""


def test_that_a_sigterm_after_slurms_signal_is_not_the_second_one() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGTERM)
        assert stop.agreed(SerialCommunicator()) == "SIGUSR1"


def test_that_a_second_sigterm_ends_the_process_at_once() -> None:
    program = (
        "import signal\nfrom da.stopping import StopRequest\n"
        "with StopRequest():\n    signal.raise_signal(signal.SIGTERM)\n    print('noted', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM)\n    print('survived')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "noted\n", done.stderr
    assert done.returncode == -signal.SIGTERM


def test_that_nothing_is_watched_outside_of_the_main_thread() -> None:
    found = []

    def work() -> None:
        with StopRequest() as stop:
            found.append(stop.agreed(SerialCommunicator()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [""]
