"""The analysis with interpolated weights over the ranks: a rank has a run of boxes, and computes the nodes around it.

Nodes on the border of two shares are computed by both, which costs less than sending transforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.analysis_engine import AnalysisEngine, AnalysisSettings, Slab
from da.errors import ThermodaError
from da.filters.coarse_nodes import CoarseNodes, contiguous_shares
from da.filters.interpolation import BoxRows, analyse_interpolated
from da.filters.lestkf import AnalysisError, ObservedEnsemble
from da.load_balance import predicted_cost
from da.localization import LocalObservations
from da.model import StateLayout
from da.parallel import Communicator

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

SLAB_BYTES = 256 * 2**20
"""Size of the part of the state that a rank holds with all members at a time; nodes between them count twice."""


@dataclass(frozen=True)
class _BoxSlab(Slab):
    """A run of a rank's boxes, by their numbers."""

    boxes: IndexArray


class InterpolatedAnalysis(AnalysisEngine[_BoxSlab]):
    """The analysis of all cells of a state by weights interpolated between coarse nodes, over the ranks.

    Parameters
    ----------
    comm : Communicator
    layout : StateLayout
    nodes : CoarseNodes
        Of the layout's grid.
    members : int
        Of the whole ensemble.
    """

    def __init__(self, comm: Communicator, layout: StateLayout, nodes: CoarseNodes, members: int) -> None:
        super().__init__(comm, layout, members)
        self._nodes = nodes
        self._boxes = [nodes.box(number).cells for number in range(nodes.boxes)]
        self._position = np.empty(layout.grid.cells, dtype=np.int64)
        for cells in self._boxes:
            self._position[cells] = np.arange(cells.size)
        self._deal(contiguous_shares(np.ones(nodes.boxes), comm.size))

    @property
    def centre(self) -> FloatArray:
        """Positions of all nodes (nodes, 3) in index units."""
        return self._nodes.centre

    def _transforms_of(self, share: IndexArray) -> IndexArray:
        return self._nodes.nodes_of(share)

    def _cost(self, counts: IndexArray) -> FloatArray:
        fields = len(self._layout.fields)
        node_cost = predicted_cost(counts, np.zeros_like(counts), self._members)
        # Per cell a transform is interpolated from eight nodes and applied to its fields, at a third of the usual rate.
        return self._nodes.box_cost(node_cost, 6.0 * (8.0 + fields) * self._members**2)

    def _dealt(self, cost: FloatArray) -> list[IndexArray]:
        return contiguous_shares(cost, self._comm.size)

    def _deal(self, shares: list[IndexArray]) -> None:
        self._shares = shares
        count = self._slab_count(SLAB_BYTES)
        runs = [np.array_split(boxes, count) for boxes in shares]
        self._slabs = [self._slab([of_rank[number] for of_rank in runs]) for number in range(count)]

    def _slab(self, boxes_of_rank: list[IndexArray]) -> _BoxSlab:
        boxes = boxes_of_rank[self._comm.rank]
        rows, parts, transpose = self._laid_out([[self._boxes[number] for number in one] for one in boxes_of_rank])
        nodes = np.searchsorted(self.own, self._nodes.nodes_of(boxes))
        return _BoxSlab(nodes, parts, rows, transpose, boxes)

    def _analyse_slab(
        self,
        slab: _BoxSlab,
        rows: FloatArray,
        observed: ObservedEnsemble,
        local: LocalObservations,
        forgetting_factor: FloatArray,
        settings: AnalysisSettings,
    ) -> FloatArray:
        cell = self._position[slab.rows % self._layout.grid.cells]
        box_rows = [BoxRows(part, cell[part]) for part in slab.parts]
        try:
            return analyse_interpolated(
                rows,
                self._nodes,
                slab.boxes,
                box_rows,
                observed,
                local,
                forgetting_factor,
                settings.relaxation,
                settings.update_fraction,
                out=rows,
            ).degrees_of_freedom
        except AnalysisError as error:
            place = self._layout.locate(error.block).partition(" at ")[2]
            raise ThermodaError(f"the weights around {place} failed: {error.cause}") from error
