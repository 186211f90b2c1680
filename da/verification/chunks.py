"""Statistics of long series as map and reduce: chunks in parallel through dask, the sum in the order of the chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any, Literal, Protocol, Self, TypeVar


class ClusterClient(Protocol):
    """What is needed of ``distributed.Client``, the connection to a dask cluster (:mod:`da.cluster`)."""

    def get(self, dsk: Any, keys: Any, **options: Any) -> Any:
        """Return the results of a graph's keys."""
        ...


Scheduler = Literal["synchronous", "threads", "processes"] | ClusterClient


class Addable(Protocol):
    """A statistic that adds over disjoint sets of points."""

    def __add__(self, other: Self, /) -> Self:
        """Return the statistic of both sets of points together."""
        ...


Chunk = TypeVar("Chunk")
Statistic = TypeVar("Statistic", bound=Addable)


def slices(n: int, size: int) -> Iterator[slice]:
    """Yield half-open slices of at most ``size`` that cover ``n`` points in order.

    >>> list(slices(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if size < 1:
        raise ValueError(f"chunks hold at least one point, not {size}")
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def total(zero: Statistic, parts: Iterable[Statistic]) -> Statistic:
    """Return the sum of the parts, from the left, so that rounding does not depend on who computed them."""
    return reduce(lambda so_far, part: so_far + part, parts, zero)


def map_reduce(
    statistic: Callable[[Chunk], Statistic],
    chunks: Iterable[Chunk],
    zero: Statistic,
    *,
    scheduler: Scheduler | None = None,
) -> Statistic:
    """Return the statistic of all chunks together.

    Parameters
    ----------
    statistic : callable
        Chunk -> addable statistic. With dask it runs once per chunk, in no particular order; reading belongs here, so
        that no chunk is in memory before its turn.
    chunks : iterable
        Slices, file names, months: whatever ``statistic`` takes.
    zero : addable statistic
        Returned where there is no chunk.
    scheduler : {"synchronous", "threads", "processes"}, ClusterClient or None
        Of dask; None: one chunk after the other without dask. The result is bitwise the same for all of them, because
        the parts are added in the order of the chunks. Workers of a cluster get ``statistic`` and its chunk pickled.
    """
    if scheduler is None:
        return total(zero, map(statistic, chunks))
    import dask

    tasks = [dask.delayed(statistic, pure=False)(chunk) for chunk in chunks]  # type: ignore[attr-defined]
    parts: tuple[Statistic, ...] = dask.compute(*tasks, scheduler=scheduler)  # type: ignore[attr-defined,no-untyped-call]
    return total(zero, parts)
