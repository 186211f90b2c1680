"""The analysis with interpolated weights over the ranks: a rank has a run of boxes, and computes the nodes around it.

Nodes on the border of two shares are computed by both, which costs less than sending transforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.distributed_analysis import TOLERATED_IMBALANCE, AnalysisSettings, Scalar, state_rows
from da.errors import ThermodaError
from da.filters.coarse_nodes import CoarseNodes, contiguous_shares
from da.filters.interpolation import BoxRows, analyse_interpolated
from da.filters.lestkf import AnalysisError, ObservedEnsemble
from da.load_balance import imbalance, predicted_cost
from da.localization import LocalObservations
from da.model import StateLayout
from da.parallel import Communicator, MemberTranspose, collective

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

SLAB_BYTES = 256 * 2**20
"""Size of the part of the state that a rank holds with all members at a time; nodes between them count twice."""


@dataclass(frozen=True)
class _Slab:
    """A run of a rank's boxes: their rows in the slab, and the nodes around them as positions among the rank's own."""

    boxes: IndexArray
    box_rows: list[BoxRows]
    nodes: IndexArray
    rows: IndexArray
    transpose: MemberTranspose


class InterpolatedAnalysis:
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
        self._comm, self._layout, self._nodes, self._members = comm, layout, nodes, members
        self._boxes = [nodes.box(number).cells for number in range(nodes.boxes)]
        self._position = np.empty(layout.grid.cells, dtype=np.int64)
        for cells in self._boxes:
            self._position[cells] = np.arange(cells.size)
        self._deal(contiguous_shares(np.ones(nodes.boxes), comm.size))

    @property
    def centre(self) -> FloatArray:
        """Positions of all nodes (nodes, 3) in index units."""
        return self._nodes.centre

    @property
    def own(self) -> IndexArray:
        """Numbers of the nodes around this rank's boxes."""
        return self._own_nodes[self._comm.rank]

    def balance(self, own_counts: IndexArray) -> bool:
        """Deal boxes out anew if their predicted costs ask for it, and tell whether that was done.

        Parameters
        ----------
        own_counts : array (own nodes,)
            Number of local observations.
        """
        if self._comm.size == 1:
            return False
        counts, fields = self.gather(own_counts), len(self._layout.fields)
        node_cost = predicted_cost(counts, np.zeros_like(counts), self._members)
        # Per cell a transform is interpolated from eight nodes and applied to its fields, at a third of the usual rate.
        cost = self._nodes.box_cost(node_cost, 6.0 * (8.0 + fields) * self._members**2)
        shares = contiguous_shares(cost, self._comm.size)
        if imbalance(cost, self._shares) <= TOLERATED_IMBALANCE * imbalance(cost, shares):
            return False
        self._deal(shares)
        return True

    def gather(self, own: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the values of all nodes, on all ranks, from those of each rank's own."""
        whole = np.zeros(len(self._nodes.cells), dtype=own.dtype)
        for numbers, part in zip(self._own_nodes, self._comm.allgather(own), strict=True):
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
        """Return the analysed states (state_size, local members) and the degrees of freedom of the own nodes.

        Parameters
        ----------
        states : array (state_size, local members)
            Not changed.
        observed : ObservedEnsemble
        local : LocalObservations
            Of the own nodes.
        forgetting_factor : array (own nodes,)
        settings : AnalysisSettings
        when : str
            For messages.

        Raises
        ------
        ThermodaError
            On all ranks, naming the place, where a node or a cell fails.
        """
        result, freedom = states.copy(), np.zeros(self.own.size)
        for slab in self._slabs:
            rows = slab.transpose.to_rows(states)
            fraction = None if settings.update_fraction is None else settings.update_fraction[slab.rows]
            with collective(self._comm, when):
                try:
                    freedom[slab.nodes] = analyse_interpolated(
                        rows,
                        self._nodes,
                        slab.boxes,
                        slab.box_rows,
                        observed,
                        local.of_sub_domains(slab.nodes),
                        forgetting_factor[slab.nodes],
                        settings.relaxation,
                        fraction,
                        out=rows,
                    ).degrees_of_freedom
                except AnalysisError as error:
                    place = self._layout.locate(error.block).partition(" at ")[2]
                    raise ThermodaError(f"the weights around {place} failed: {error.cause}") from error
            slab.transpose.to_members(rows, result)
        return result, freedom

    def _deal(self, shares: list[IndexArray]) -> None:
        self._shares = shares
        self._own_nodes = [self._nodes.nodes_of(boxes) for boxes in shares]
        count = max(1, -(-self._layout.state_size * self._members * 8 // (self._comm.size * SLAB_BYTES)))
        runs = [np.array_split(boxes, count) for boxes in shares]
        self._slabs = [self._slab([of_rank[number] for of_rank in runs]) for number in range(count)]

    def _slab(self, boxes_of_rank: list[IndexArray]) -> _Slab:
        rank = self._comm.rank
        laid_out = [state_rows(self._layout, [self._boxes[number] for number in boxes]) for boxes in boxes_of_rank]
        rows, start = laid_out[rank]
        cell = self._position[rows % self._layout.grid.cells]
        box_rows = [BoxRows(slice(int(a), int(b)), cell[a:b]) for a, b in zip(start[:-1], start[1:], strict=True)]
        transpose = MemberTranspose(self._comm, self._members, [of_rank for of_rank, _ in laid_out])
        boxes = boxes_of_rank[rank]
        nodes = np.searchsorted(self.own, self._nodes.nodes_of(boxes))
        return _Slab(boxes, box_rows, nodes, rows, transpose)
