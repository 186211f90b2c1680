"""Become the launcher of a member: ``python -I -S member_start.py PARENT free|bound COMMAND...``.

A process of its own between ours and the launcher, which sets what a child inherits and then replaces itself:

- the stack limit goes up to the hard limit, for TIE-GCM's automatic arrays overflow the usual 8 MiB. Code run between
  fork and exec (``preexec_fn``) may deadlock where other threads hold locks, as MPI's do; raising our own limit would
  change this process too; a limit set after the start comes too late for what was already executed;
- the processors to which an MPI bound our rank are released, or all processes of a member would share one core;
- the kernel is asked to end the launcher when our process dies, however it dies.

It knows the standard library alone and starts in some hundredths of a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

CANNOT_START = "cannot start"
"""How the line begins that says why a member could not be started."""

CANNOT_START_STATUS = 127
SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def main() -> None:
    """Prepare this process and replace it by the command."""
    parent, binding, *command = sys.argv[1:]
    _end_with(int(parent))
    _raise_stack_limit()
    if binding == "free":
        _release_processors()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{CANNOT_START} {command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_START_STATUS)


def _raise_stack_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))


def _release_processors() -> None:
    if hasattr(os, "sched_setaffinity"):
        # The kernel takes out those that the control group of the job does not grant.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, range(os.cpu_count() or 1))


def _end_with(parent: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(CANNOT_START_STATUS)


if __name__ == "__main__":
    main()
