"""What every distributed analysis does: share out work by cost, and transform the state slab by slab.

What is shared out differs: sub-domains with a transform each (:mod:`da.distributed_analysis`), or boxes of cells
between nodes at which transforms are computed (:mod:`da.interpolated_analysis`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from da.filters.lestkf import ObservedEnsemble, Relaxation
from da.load_balance import imbalance
from da.localization import LocalObservations
from da.model import StateLayout
from da.parallel import Communicator, MemberTranspose, collective

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

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
class Slab:
    """A part of a rank's work, of which it holds all members at a time.

    Parameters
    ----------
    transforms : array
        The transforms that it needs, as positions among the rank's own.
    parts : list of slices
        Rows, within the slab, of each sub-domain or box.
    rows : array
        The slab's rows of the state.
    transpose : MemberTranspose
    """

    transforms: IndexArray
    parts: list[slice]
    rows: IndexArray
    transpose: MemberTranspose


SlabKind = TypeVar("SlabKind", bound=Slab)


class AnalysisEngine(ABC, Generic[SlabKind]):
    """The transforms of an analysis, computed and applied over the ranks.

    Parameters
    ----------
    comm : Communicator
    layout : StateLayout
    members : int
        Of the whole ensemble at the start, by which work is shared out; fewer may come to an analysis.
    """

    def __init__(self, comm: Communicator, layout: StateLayout, members: int) -> None:
        self._comm, self._layout, self._members = comm, layout, members
        self._shares: list[IndexArray] = []
        self._slabs: list[SlabKind] = []

    @property
    @abstractmethod
    def centre(self) -> FloatArray:
        """Where transforms are computed, (transforms, 3) in index units."""

    @abstractmethod
    def _transforms_of(self, share: IndexArray) -> IndexArray:
        """Return the numbers of the transforms that a share of the work needs, increasing."""

    @abstractmethod
    def _cost(self, counts: IndexArray) -> FloatArray:
        """Return the predicted cost of each unit of work from the local observations of each transform."""

    @abstractmethod
    def _dealt(self, cost: FloatArray) -> list[IndexArray]:
        """Return the units of work of each rank."""

    @abstractmethod
    def _deal(self, shares: list[IndexArray]) -> None:
        """Take these shares: lay out the slabs."""

    @abstractmethod
    def _analyse_slab(
        self,
        slab: SlabKind,
        rows: FloatArray,
        observed: ObservedEnsemble,
        local: LocalObservations,
        forgetting_factor: FloatArray,
        settings: AnalysisSettings,
    ) -> FloatArray:
        """Analyse the rows of a slab in place and return the degrees of freedom of its transforms.

        ``local``, ``forgetting_factor`` and ``settings`` are those of the slab. Raises ThermodaError with the place.
        """

    @property
    def own(self) -> IndexArray:
        """Numbers of the transforms that this rank computes."""
        return self._transforms_of(self._shares[self._comm.rank])

    @property
    def shares(self) -> list[IndexArray]:
        """The units of work of each rank, as they are dealt out now."""
        return self._shares

    def share_out(self, shares: Sequence[IndexArray]) -> None:
        """Deal the work out as another engine of the same work and as many ranks had it."""
        if len(shares) != self._comm.size:
            raise ValueError(f"shares of {len(shares)} ranks for {self._comm.size}")
        self._deal(list(shares))

    def balance(self, own_counts: IndexArray) -> bool:
        """Deal the work out anew if its predicted cost asks for it, and tell whether that was done.

        Parameters
        ----------
        own_counts : array (own transforms,)
            Number of local observations.
        """
        if self._comm.size == 1:
            return False
        cost = self._cost(self.gather(own_counts))
        shares = self._dealt(cost)
        if imbalance(cost, self._shares) <= TOLERATED_IMBALANCE * imbalance(cost, shares):
            return False
        self._deal(shares)
        return True

    def gather(self, own: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the values of all transforms, on all ranks, from those of each rank's own."""
        whole = np.zeros(len(self.centre), dtype=own.dtype)
        for share, part in zip(self._shares, self._comm.allgather(own), strict=True):
            whole[self._transforms_of(share)] = part
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
        """Return the analysed states (state_size, local members) and the degrees of freedom of the own transforms.

        Parameters
        ----------
        states : array (state_size, local members)
            Not changed.
        observed : ObservedEnsemble
        local : LocalObservations
            Of the own transforms.
        forgetting_factor : array (own transforms,)
        settings : AnalysisSettings
        when : str
            For messages.

        Raises
        ------
        ThermodaError
            On all ranks, naming the place, where a transform or a row fails.
        """
        result, freedom = states.copy(), np.zeros(self.own.size)
        fraction = settings.update_fraction
        for slab in self._slabs:
            rows = slab.transpose.to_rows(states)
            of_slab = AnalysisSettings(settings.relaxation, None if fraction is None else fraction[slab.rows])
            with collective(self._comm, when):
                freedom[slab.transforms] = self._analyse_slab(
                    slab,
                    rows,
                    observed,
                    local.of_sub_domains(slab.transforms),
                    forgetting_factor[slab.transforms],
                    of_slab,
                )
            slab.transpose.to_members(rows, result)
        return result, freedom

    def _slab_count(self, slab_bytes: int) -> int:
        """Return in how many slabs each rank's part of the state is worked on; the same on all ranks."""
        return max(1, -(-self._layout.state_size * self._members * 8 // (self._comm.size * slab_bytes)))

    def _laid_out(
        self, cells_of_rank: Sequence[Sequence[IndexArray]]
    ) -> tuple[IndexArray, list[slice], MemberTranspose]:
        """Return this rank's rows of a slab, the parts of its sets of cells, and the transpose between all ranks."""
        laid_out = [state_rows(self._layout, cells) for cells in cells_of_rank]
        rows, start = laid_out[self._comm.rank]
        parts = [slice(int(a), int(b)) for a, b in zip(start[:-1], start[1:], strict=True)]
        return rows, parts, MemberTranspose(self._comm, [of_rank for of_rank, _ in laid_out])
