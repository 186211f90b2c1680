"""The localized analysis over the ranks: sub-domains dealt out by cost, the state transposed slab by slab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.filters.lestkf import AnalysisError, ObservedEnsemble, Relaxation, analyse_sub_domains
from da.load_balance import balanced_shares, imbalance, predicted_cost
from da.localization import LocalObservations, SubDomains
from da.model import StateLayout
from da.parallel import Communicator, MemberTranspose, collective

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

SLAB_BYTES = 64 * 2**20
"""Size of the part of the state that a rank holds with all members at a time."""

TOLERATED_IMBALANCE = 1.05
"""Shares are dealt out anew where the largest exceeds the mean cost by more."""


def state_rows(layout: StateLayout, cells: Sequence[IndexArray]) -> tuple[IndexArray, IndexArray]:
    """Return the state rows of some sets of cells, all fields of each, without slots that hold no data.

    Parameters
    ----------
    layout : StateLayout
    cells : sequence of arrays
        Flat (level, latitude, longitude) indices.

    Returns
    -------
    rows : array
        Of all sets, one set after the other; within a set field by field.
    start : array (sets + 1,)
        Set s owns ``rows[start[s]:start[s + 1]]``.
    """
    if not cells:
        return np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    whole = np.concatenate(cells)
    number = np.repeat(np.arange(len(cells)), [one.size for one in cells])
    per_level = layout.grid.shape[1] * layout.grid.shape[2]
    rows, owner = [], []
    for position, field in enumerate(layout.fields):
        real = whole < (layout.grid.shape[0] - field.missing_top_levels) * per_level
        rows.append(position * layout.grid.cells + whole[real])
        owner.append(number[real])
    owners = np.concatenate(owner)
    start = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(cells)))])
    return np.concatenate(rows)[np.argsort(owners, kind="stable")], start.astype(np.int64)


@dataclass(frozen=True)
class AnalysisSettings:
    """What is done to the rows of a sub-domain besides its transform.

    Parameters
    ----------
    relaxation : callable or None
        See :mod:`da.inflation`.
    update_fraction : array (state_size,) or None
        Part of the increment that each row receives.
    """

    relaxation: Relaxation | None = None
    update_fraction: FloatArray | None = None


@dataclass(frozen=True)
class _Slab:
    """Some of a rank's sub-domains: where they stand among its own, and their rows in the slab."""

    own: slice
    parts: list[slice]
    rows: IndexArray
    transpose: MemberTranspose


class AnalysisEngine(Protocol):
    """The transforms of an analysis over the ranks, computed for sub-domains or at nodes between which they vary."""

    @property
    def centre(self) -> FloatArray:
        """Where transforms are computed, (sub-domains, 3) in index units."""
        ...

    @property
    def own(self) -> IndexArray:
        """Numbers of those that this rank computes."""
        ...

    def balance(self, own_counts: IndexArray) -> bool:
        """Deal the work out anew if its predicted cost asks for it, and tell whether that was done."""
        ...

    def gather(self, own: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the values of all, on all ranks, from those of each rank's own."""
        ...

    def analyse(
        self,
        states: FloatArray,
        observed: ObservedEnsemble,
        local: LocalObservations,
        forgetting_factor: FloatArray,
        settings: AnalysisSettings,
        when: str,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the analysed states and the degrees of freedom of the own transforms."""
        ...


class DistributedAnalysis:
    """The analysis of all sub-domains of a state, over the ranks.

    Parameters
    ----------
    comm : Communicator
    layout : StateLayout
    domains : SubDomains
    members : int
        Of the whole ensemble.
    """

    def __init__(self, comm: Communicator, layout: StateLayout, domains: SubDomains, members: int) -> None:
        self._comm, self._layout, self._domains, self._members = comm, layout, domains, members
        _, start = state_rows(layout, domains.cells)
        self._rows_per_domain = np.diff(start)
        # Until observations are known: in turn, so that every rank gets its part of the poles and of the top.
        self._deal([np.arange(rank, len(domains), comm.size, dtype=np.int64) for rank in range(comm.size)])

    @property
    def centre(self) -> FloatArray:
        """Centres of all sub-domains (sub-domains, 3) in index units."""
        return self._domains.centre

    @property
    def own(self) -> IndexArray:
        """Numbers of this rank's sub-domains."""
        return self._shares[self._comm.rank]

    def balance(self, own_counts: IndexArray) -> bool:
        """Deal sub-domains out anew if their predicted costs ask for it, and tell whether that was done.

        Parameters
        ----------
        own_counts : array (own sub-domains,)
            Number of local observations.
        """
        if self._comm.size == 1:
            return False
        cost = predicted_cost(self.gather(own_counts), self._rows_per_domain, self._members)
        shares = balanced_shares(cost, self._comm.size)
        if imbalance(cost, self._shares) <= TOLERATED_IMBALANCE * imbalance(cost, shares):
            return False
        self._deal(shares)
        return True

    def gather(self, own: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the values of all sub-domains, on all ranks, from those of each rank's own."""
        parts = self._comm.allgather(own)
        whole = np.zeros(len(self._domains), dtype=own.dtype)
        for numbers, part in zip(self._shares, parts, strict=True):
            whole[numbers] = part
        return whole

    def analyse(
        self,
        states: FloatArray,
        observed: ObservedEnsemble,
        local: LocalObservations,
        forgetting_factor: FloatArray,
        settings: AnalysisSettings,
        when: str,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the analysed states (state_size, local members) and the degrees of freedom of the own sub-domains.

        Parameters
        ----------
        states : array (state_size, local members)
            Not changed.
        observed : ObservedEnsemble
        local : LocalObservations
            Of the own sub-domains.
        forgetting_factor : array (own sub-domains,)
        settings : AnalysisSettings
        when : str
            For messages.

        Raises
        ------
        ThermodaError
            On all ranks, naming the place, where a sub-domain fails.
        """
        result, freedom = states.copy(), np.zeros(self.own.size)
        for slab in self._slabs:
            rows = slab.transpose.to_rows(states)
            with collective(self._comm, when):
                freedom[slab.own] = self._analyse_slab(slab, rows, observed, local, forgetting_factor, settings)
            slab.transpose.to_members(rows, result)
        return result, freedom

    def _analyse_slab(
        self,
        slab: _Slab,
        rows: FloatArray,
        observed: ObservedEnsemble,
        local: LocalObservations,
        forgetting_factor: FloatArray,
        settings: AnalysisSettings,
    ) -> FloatArray:
        fraction = None if settings.update_fraction is None else settings.update_fraction[slab.rows]
        try:
            return analyse_sub_domains(
                rows,
                slab.parts,
                observed,
                local.between(slab.own.start, slab.own.stop),
                forgetting_factor[slab.own],
                settings.relaxation,
                fraction,
                out=rows,
            ).degrees_of_freedom
        except AnalysisError as error:
            number = int(self.own[slab.own][error.block])
            raise ThermodaError(f"sub-domain {number} around {self._place(number)} failed: {error.cause}") from error

    def _place(self, number: int) -> str:
        cells = self._domains.cells[number]
        return self._layout.locate(int(cells[cells.size // 2])).partition(" at ")[2]

    def _deal(self, shares: list[IndexArray]) -> None:
        self._shares = shares
        count = max(1, -(-self._layout.state_size * self._members * 8 // (self._comm.size * SLAB_BYTES)))
        edges = [np.linspace(0, own.size, count + 1).astype(np.int64) for own in shares]
        self._slabs = [self._slab([slice(edge[k], edge[k + 1]) for edge in edges]) for k in range(count)]

    def _slab(self, parts_of_shares: list[slice]) -> _Slab:
        rank, cells = self._comm.rank, self._domains.cells
        laid_out = [
            state_rows(self._layout, [cells[number] for number in share[part]])
            for share, part in zip(self._shares, parts_of_shares, strict=True)
        ]
        rows, start = laid_out[rank]
        parts = [slice(int(a), int(b)) for a, b in pairwise(start)]
        transpose = MemberTranspose(self._comm, self._members, [of_rank for of_rank, _ in laid_out])
        return _Slab(parts_of_shares[rank], parts, rows, transpose)
