"""The localized analysis over the ranks, one transform per sub-domain, dealt out by cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.analysis_engine import AnalysisEngine, AnalysisSettings, Slab, state_rows
from da.errors import ThermodaError
from da.filters.lestkf import AnalysisError, ObservedEnsemble, analyse_sub_domains
from da.load_balance import balanced_shares, predicted_cost
from da.localization import LocalObservations, SubDomains
from da.model import StateLayout
from da.parallel import Communicator

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

SLAB_BYTES = 64 * 2**20
"""Size of the part of the state that a rank holds with all members at a time."""


class DistributedAnalysis(AnalysisEngine[Slab]):
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
        super().__init__(comm, layout, members)
        self._domains = domains
        _, start = state_rows(layout, domains.cells)
        self._rows_per_domain = np.diff(start)
        # Until observations are known: in turn, so that every rank gets its part of the poles and of the top.
        self._deal([np.arange(rank, len(domains), comm.size, dtype=np.int64) for rank in range(comm.size)])

    @property
    def centre(self) -> FloatArray:
        """Centres of all sub-domains (sub-domains, 3) in index units."""
        return self._domains.centre

    def _transforms_of(self, share: IndexArray) -> IndexArray:
        return share

    def _cost(self, counts: IndexArray) -> FloatArray:
        return predicted_cost(counts, self._rows_per_domain, self._members)

    def _dealt(self, cost: FloatArray) -> list[IndexArray]:
        return balanced_shares(cost, self._comm.size)

    def _deal(self, shares: list[IndexArray]) -> None:
        self._shares = shares
        count = self._slab_count(SLAB_BYTES)
        edges = [np.linspace(0, own.size, count + 1).astype(np.int64) for own in shares]
        self._slabs = [self._slab([np.arange(edge[k], edge[k + 1]) for edge in edges]) for k in range(count)]

    def _slab(self, positions_of_rank: list[IndexArray]) -> Slab:
        cells = [
            [self._domains.cells[number] for number in share[positions]]
            for share, positions in zip(self._shares, positions_of_rank, strict=True)
        ]
        rows, parts, transpose = self._laid_out(cells)
        return Slab(positions_of_rank[self._comm.rank], parts, rows, transpose)

    def _analyse_slab(
        self,
        slab: Slab,
        rows: FloatArray,
        observed: ObservedEnsemble,
        local: LocalObservations,
        forgetting_factor: FloatArray,
        settings: AnalysisSettings,
    ) -> FloatArray:
        try:
            return analyse_sub_domains(
                rows,
                slab.parts,
                observed,
                local,
                forgetting_factor,
                settings.relaxation,
                settings.update_fraction,
                out=rows,
            ).degrees_of_freedom
        except AnalysisError as error:
            number = int(self.own[slab.transforms[error.block]])
            cells = self._domains.cells[number]
            place = self._layout.locate(int(cells[cells.size // 2])).partition(" at ")[2]
            raise ThermodaError(f"sub-domain {number} around {place} failed: {error.cause}") from error
