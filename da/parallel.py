"""Processes: the only module that knows MPI, with a serial twin of the same interface.

Members are spread over ranks for forecasts; sub-domains are spread over ranks for the analysis. The transpose between
the two is one Alltoallv each way. HX and the mean heights that localization uses are formed from all members in their
order, so that the posterior does not depend on the number of ranks; moments for output are merged rank by rank and may
differ in their last bits.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from da.errors import ThermodaError

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
T = TypeVar("T")

LAUNCHER_SIZE_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables in which a launcher tells its processes how many they are: Hydra (MPICH, Intel MPI) and srun with PMI-2,
Open MPI, and srun as such. A launcher that srun carries to the nodes sets its own, which comes first."""

READING_S = 1.0
"""To be waited between the last words of a rank and its abort: a launcher drops what it has not passed on by then."""


class Communicator(Protocol):
    """What the framework needs of a group of processes."""

    rank: int
    size: int

    def allgather(self, item: T) -> list[T]:
        """Return the items of all ranks, on all ranks, in rank order."""
        ...

    def broadcast(self, item: T | None) -> T:
        """Return the item of rank 0 on all ranks."""
        ...

    def gather(self, item: T) -> list[T] | None:
        """Return the items of all ranks on rank 0, None elsewhere."""
        ...

    def exchange(self, blocks: Sequence[FloatArray], shapes: Sequence[tuple[int, ...]]) -> list[FloatArray]:
        """Send ``blocks[r]`` to rank r and return what each rank sent here, of the given shapes (Alltoallv)."""
        ...

    def abort(self, code: int) -> None:
        """End all ranks at once."""
        ...

    def finalize(self) -> None:
        """End the communication in order; called by all ranks, and nothing may be communicated afterwards."""
        ...


class SerialCommunicator:
    """One process, no MPI."""

    rank = 0
    size = 1

    def allgather(self, item: T) -> list[T]:
        """Return the item in a list."""
        return [item]

    def broadcast(self, item: T | None) -> T:
        """Return the item."""
        if item is None:
            raise ValueError("rank 0 must provide the item to broadcast")
        return item

    def gather(self, item: T) -> list[T] | None:
        """Return the item in a list."""
        return [item]

    def exchange(self, blocks: Sequence[FloatArray], shapes: Sequence[tuple[int, ...]]) -> list[FloatArray]:
        """Return the only block."""
        return [blocks[0].reshape(shapes[0])]

    def abort(self, code: int) -> None:
        """End the process."""
        raise SystemExit(code)

    def finalize(self) -> None:
        """Do nothing."""


class MpiCommunicator:
    """All processes that the launcher started."""

    def __init__(self) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._world = MPI.COMM_WORLD
        self.rank: int = self._world.Get_rank()
        self.size: int = self._world.Get_size()

    def allgather(self, item: T) -> list[T]:
        """Return the items of all ranks."""
        return list(self._world.allgather(item))

    def broadcast(self, item: T | None) -> T:
        """Return the item of rank 0."""
        result: T = self._world.bcast(item, root=0)
        return result

    def gather(self, item: T) -> list[T] | None:
        """Return the items of all ranks on rank 0."""
        result: list[T] | None = self._world.gather(item, root=0)
        return result

    def exchange(self, blocks: Sequence[FloatArray], shapes: Sequence[tuple[int, ...]]) -> list[FloatArray]:
        """One Alltoallv of doubles."""
        send_counts = [block.size for block in blocks]
        counts = [int(np.prod(shape)) for shape in shapes]
        received = np.empty(sum(counts))
        self._world.Alltoallv(
            [
                np.concatenate([block.ravel() for block in blocks]),
                (send_counts, _starts(send_counts)),
                self._mpi.DOUBLE,
            ],
            [received, (counts, _starts(counts)), self._mpi.DOUBLE],
        )
        parts = np.split(received, np.cumsum(counts)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def abort(self, code: int) -> None:
        """End all ranks at once."""
        self._world.Abort(code)

    def finalize(self) -> None:
        """Finalize MPI."""
        self._mpi.Finalize()

    @property
    def library(self) -> str:
        """First line of the MPI library's own description."""
        return str(self._mpi.Get_library_version()).splitlines()[0].strip()


def _starts(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts)[:-1].tolist()]


def launched_size() -> int | None:
    """Return how many processes the launcher says it started, or None outside a launcher."""
    for name in LAUNCHER_SIZE_VARIABLES:
        if (value := os.environ.get(name, "")).isdigit():
            return int(value)
    return None


def limit_blas_threads() -> None:
    """Let BLAS use one thread in this process.

    The matrices of an analysis are small: threads cost more than they give, and with several ranks on a node they
    slow a decomposition of 99 x 99 down a hundredfold. Parallelism comes from ranks. Only libraries that are loaded
    can be limited, and scipy brings one of its own.
    """
    importlib.import_module("scipy.linalg")
    threadpool_limits(limits=1, user_api="blas")


def start_communicator() -> Communicator:
    """Return MPI's communicator, one BLAS thread per rank.

    Raises
    ------
    ThermodaError
        If the launcher started several processes and the MPI library that mpi4py found sees only one: the launcher
        belongs to another MPI, and every process would take itself for rank 0.
    """
    comm = MpiCommunicator()
    launched = launched_size()
    if launched is not None and launched != comm.size:
        raise ThermodaError(
            f"the launcher started {launched} processes but the MPI library in use ({comm.library}) sees {comm.size}: "
            "start with the mpirun that belongs to it; 'python -m da doctor' compares them"
        )
    limit_blas_threads()
    return comm


class AgreedError(ThermodaError):
    """A fault of input or data that is raised on all ranks alike, so that each can end by itself."""


@contextmanager
def collective(comm: Communicator, phase: str) -> Iterator[None]:
    """Run local work and end all ranks alike where it failed on one of them.

    The body must not communicate. A ThermodaError on any rank is raised on all of them as an AgreedError with the
    message of the lowest rank; other exceptions are programming errors and propagate at once.
    """
    own: ThermodaError | None = None
    try:
        yield
    except ThermodaError as error:
        own = error
    messages = [text for text in comm.allgather(None if own is None else str(own)) if text is not None]
    if messages:
        raise AgreedError(messages[0] if phase in messages[0] else f"{phase}: {messages[0]}") from own


def from_root(comm: Communicator, produce: Callable[[], T]) -> T:
    """Return on all ranks what ``produce`` returns on rank 0; its ThermodaError becomes an AgreedError on all ranks."""
    outcome: tuple[Any, str | None] | None = None
    own: ThermodaError | None = None
    if comm.rank == 0:
        try:
            outcome = (produce(), None)
        except ThermodaError as error:
            own, outcome = error, (None, str(error))
    result, message = comm.broadcast(outcome)
    if message is not None:
        raise AgreedError(message) from own
    value: T = result
    return value


def share(items: int, size: int, rank: int) -> range:
    """Return the contiguous share of a rank; shares differ by at most one item.

    >>> [list(share(5, 3, rank)) for rank in range(3)]
    [[0, 1], [2, 3], [4]]
    """
    base, extra = divmod(items, size)
    start = rank * base + min(rank, extra)
    return range(start, start + base + (rank < extra))


class MemberTranspose:
    """The two distributions of an ensemble: whole members of some, or all members of some rows.

    Parameters
    ----------
    comm : Communicator
    rows_of_rank : sequence of arrays
        State rows that each rank analyses.
    """

    def __init__(self, comm: Communicator, rows_of_rank: Sequence[IndexArray]) -> None:
        self._comm = comm
        self._rows_of_rank = rows_of_rank

    def to_rows(self, local_members: FloatArray) -> FloatArray:
        """Return this rank's rows (rows, all members) of an ensemble given as (state, local members)."""
        own = self._rows_of_rank[self._comm.rank].size
        counts = self._comm.allgather(local_members.shape[1])
        parts = self._comm.exchange(
            [local_members[rows] for rows in self._rows_of_rank], [(own, count) for count in counts]
        )
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def to_members(self, rows: FloatArray, out: FloatArray) -> None:
        """Write this rank's rows, of all members, to (state, local members) of every rank; other rows stay."""
        local = out.shape[1]
        starts = np.cumsum([0, *self._comm.allgather(local)])
        blocks = [rows[:, a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
        parts = self._comm.exchange(blocks, [(own.size, local) for own in self._rows_of_rank])
        for own, part in zip(self._rows_of_rank, parts, strict=True):
            out[own] = part


def gather_members(comm: Communicator, local: FloatArray) -> FloatArray:
    """Return (n, all members) on all ranks from the (n, local members) of each, in the order of the members."""
    parts = comm.allgather(np.ascontiguousarray(local))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
