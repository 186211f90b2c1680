"""The processes of one run of one member: all that its launcher started, wherever they went, and their end.

A launcher puts its processes into sessions of their own (MPICH's Hydra does), where no signal to a process group
reaches them. They all carry a mark in their environment, by which they are found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from da.errors import ThermodaError
from model_adapters.tiegcm import member_start
from model_adapters.tiegcm.environment import MARK

PROC = Path("/proc")
POLL_S = 0.05
KILL_LIMIT_S = 30.0
"""How long a killed process may take to vanish: one that waits for a dead file server never does."""


class MemberProcesses:
    """A started launcher and what it starts.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Working directory.
    environment : mapping
        Must carry the mark.
    log : file
        Open for writing; takes standard output and standard error.
    bound : bool
        Whether the processors stay those to which this process is bound.

    Raises
    ------
    OSError
        If the folder is not there or the system starts no process.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: IO[bytes], bound: bool
    ) -> None:
        self._mark = f"{MARK}={environment[MARK]}".encode()
        starter = [sys.executable, "-I", "-S", member_start.__file__, str(os.getpid()), "bound" if bound else "free"]
        self._launcher = subprocess.Popen(
            [*starter, *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def exit_status(self) -> int | None:
        """Exit status of the launcher, None while it runs; negative: the signal that ended it."""
        return self._launcher.poll()

    def left(self) -> list[int]:
        """Return the ids of all processes that carry the mark, the launcher's among them."""
        return [pid for pid in _own_process_ids() if self._mark in _environment_entries(pid)]

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the launcher's process group and to every marked process outside of it."""
        if self.exit_status is None:
            _send(os.killpg, self._launcher.pid, number)
        for pid in self.left():
            _send(os.kill, pid, number)

    def ask_to_end(self) -> None:
        """Ask the launcher's process group to end: it takes along what it started, on other machines too."""
        if self.exit_status is None:
            _send(os.killpg, self._launcher.pid, signal.SIGTERM)


def new_mark() -> str:
    """Return a mark that no other run of a member has."""
    return uuid.uuid4().hex


def end_all(processes: Iterable[MemberProcesses], grace_s: float) -> None:
    """End processes for good: asked first, so that launchers tidy up, then killed; nothing of them is left.

    Parameters
    ----------
    processes : iterable of MemberProcesses
    grace_s : float
        Time [s] that all of them together have after they are asked.

    Raises
    ------
    ThermodaError
        If a process does not vanish even when it is killed.
    """
    ending = list(processes)
    for one in ending:
        one.ask_to_end()
    if _none_left(ending, grace_s):
        return
    # Again and again: between a look and a signal a dying process may have started another.
    if not _none_left(ending, KILL_LIMIT_S, signal.SIGKILL):
        stubborn = ", ".join(str(pid) for one in ending for pid in one.left())
        raise ThermodaError(
            f"TIE-GCM: process {stubborn} does not end when killed; look at the file system it waits for"
        )


def _none_left(ending: Sequence[MemberProcesses], limit_s: float, number: signal.Signals | None = None) -> bool:
    """Wait until all have ended, sending a signal again and again if one is given; return whether they have."""
    deadline = time.monotonic() + limit_s
    while any(one.exit_status is None or one.left() for one in ending):
        if time.monotonic() >= deadline:
            return False
        for one in ending:
            if number is not None:
                one.signal_all(number)
        time.sleep(POLL_S)
    return True


def _send(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(pid, number)


def _own_process_ids() -> list[int]:
    if not PROC.is_dir():
        return []
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _environment_entries(pid: int) -> list[bytes]:
    """Return what a process was started with; nothing for one of another user, or dead, or not yet reaped."""
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
