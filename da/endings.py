"""How a command ends: one line on standard error and one exit status, the same on every rank."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.markup import escape

from da.errors import ThermodaError

if TYPE_CHECKING:
    from da.parallel import Communicator

EXIT_INPUT = 2
"""Exit status for faults of input or data; 1 is for programming errors."""

EXIT_STOPPED = 75
"""Exit status of all ranks where a signal stopped a run that can be resumed: EX_TEMPFAIL of sysexits.h, try again."""

EXIT_INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
"""Where launchers tell a process its rank."""


def launched_rank() -> int:
    """Return the rank the launcher gave this process, before MPI is started; 0 outside a launcher."""
    return next((int(value) for name in RANK_VARIABLES if (value := os.environ.get(name, "")).isdigit()), 0)


@contextmanager
def ending_together(comm: Communicator) -> Iterator[None]:
    """Let an error that one rank alone meets end all ranks, also where python was not started with ``-m mpi4py``."""
    from da.parallel import AgreedError

    if comm.size > 1:
        _abort_on_programming_errors(comm)
    try:
        yield
    except AgreedError:
        # Every rank is here: ending MPI in order keeps its launcher from reporting an abort beside our one line.
        if comm.size > 1:
            comm.finalize()
        raise
    except ThermodaError as error:
        if comm.size > 1 and not debugging():
            print_error(str(error))
            _abort(comm, EXIT_INPUT)
        raise


def _abort_on_programming_errors(comm: Communicator) -> None:
    report = sys.excepthook

    def end_all(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        report(kind, error, trace)
        _abort(comm, 1)

    sys.excepthook = end_all


def _abort(comm: Communicator, status: int) -> None:
    from da.parallel import READING_S

    sys.stderr.flush()
    time.sleep(READING_S)
    comm.abort(status)


def print_error(message: str, label: str = "[bold red]error:[/] ") -> None:
    """Print one line, whatever the message holds."""
    text = escape(" ".join(message.split()))
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"{label}{text}")


def debugging() -> bool:
    """Return whether the traceback of an error is wanted."""
    return "--debug" in sys.argv


def end(status: int, message: str, label: str = "[bold red]error:[/] ") -> NoReturn:
    """Print one line on rank 0, and end this process with a status."""
    if launched_rank() == 0:
        print_error(message, label)
    sys.exit(status)
