r"""Localized ESTKF with interpolated weights (Yang et al. 2009, doi:10.1002/qj.353).

The transforms T of :mod:`da.filters.estkf` vary smoothly from place to place where local observations enter and leave
with small weights. They are computed at coarse nodes alone and interpolated, linearly in each index, to every cell::

    T_cell = sum_c w_c T_c,   sum_c w_c = 1          (members, members), c: the at most eight nodes around the cell
    Xa     = x + (X - x) T_cell                      (fields of the cell, members), x: the first member

The columns of each T sum to one, so those of :math:`T_{cell}` do, and a constant stays a constant. A node without
local observations has T = I, to which the forgetting factor is not applied. Boxes of cells are taken band by band of
latitude, so that the transforms of two lines of latitude are held at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.filters.coarse_nodes import Box, CoarseNodes
from da.filters.lestkf import (
    AnalysisError,
    LocalAnalysis,
    ObservedEnsemble,
    Relaxation,
    analysis_target,
    local_transforms,
    relaxed,
)
from da.localization import LocalObservations

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

CHUNK_ELEMENTS = 90_000
"""Numbers of interpolated transforms that are made at a time: 0.7 MiB, what a processor's inner cache holds."""

MATRICES_AT_ONCE = 32
"""Transforms that are multiplied out at a time, so that work memory stays small."""


@dataclass(frozen=True)
class BoxRows:
    """Where the fields of a box's cells are.

    Parameters
    ----------
    rows : array (rows,) or slice
        Rows of the ensemble, in any order.
    cell_of_row : array of int (rows,)
        Which cell of the box, numbered as in :attr:`da.filters.coarse_nodes.Box.cells`, each row belongs to. Cells may
        have different numbers of rows, or none.
    """

    rows: IndexArray | slice
    cell_of_row: IndexArray

    def table(self, cells: int) -> tuple[IndexArray, BoolArray]:
        """Return row numbers (cells, most rows of a cell), and which of them are real.

        Raises
        ------
        ValueError
            If rows and their cells differ in number, or a cell is not in the box.
        """
        rows = np.arange(self.rows.start, self.rows.stop) if isinstance(self.rows, slice) else self.rows
        counts = np.bincount(self.cell_of_row, minlength=cells)
        if rows.shape != self.cell_of_row.shape or counts.size != cells:
            raise ValueError(
                f"{rows.size} rows of {self.cell_of_row.size} cells, up to cell {counts.size - 1} of {cells}, "
                "do not make a box"
            )
        position = np.arange(counts.max())
        real = position < counts[:, None]
        entry = (np.cumsum(counts) - counts)[:, None] + np.where(real, position, 0)
        ordered = rows[np.argsort(self.cell_of_row, kind="stable")]
        return ordered.take(entry, mode="clip"), real


def interpolated(matrices: FloatArray, weights: FloatArray) -> FloatArray:
    """Return weighted sums (cells, members, members) of transforms (corners, members, members).

    Where one weight is one and all others are zero, the result is that transform, bit for bit.
    """
    corners, members, _ = matrices.shape
    return np.asarray((weights @ matrices.reshape(corners, -1)).reshape(-1, members, members))


class _HeldTransforms:
    """Transforms of the nodes that are needed at the moment, in a fixed piece of memory.

    ``local`` and ``factors`` are those of all nodes of the share, which are numbered by their position in it.
    """

    def __init__(
        self,
        observed: ObservedEnsemble,
        local: LocalObservations,
        factors: FloatArray,
        capacity: int,
        dtype: np.dtype[np.float64],
    ) -> None:
        self._observed, self._local, self._factors = observed, local, factors
        self._matrices = np.empty((capacity, observed.members, observed.members), dtype=dtype)
        self._slot = np.full(local.counts.size, -1, dtype=np.int64)
        self.identity: BoolArray = local.counts == 0
        self.degrees_of_freedom = np.zeros(local.counts.size)

    def __getitem__(self, nodes: IndexArray) -> FloatArray:
        """Return a copy of the matrices of some held nodes."""
        return np.asarray(self._matrices[self._slot[nodes]])

    def hold(self, nodes: IndexArray) -> None:
        """Forget all nodes but these and compute those that are missing."""
        unwanted = np.ones(self._slot.size, dtype=np.bool_)
        unwanted[nodes] = False
        self._slot[unwanted] = -1
        missing = nodes[self._slot[nodes] < 0]
        free = np.setdiff1d(np.arange(len(self._matrices)), self._slot)
        self._slot[missing] = free[: missing.size]
        self._matrices[self._slot[missing[self.identity[missing]]]] = np.eye(self._observed.members)
        observed_nodes = missing[~self.identity[missing]]
        try:
            self._compute(observed_nodes)
        except AnalysisError as error:
            raise AnalysisError(int(observed_nodes[error.block]), error.cause) from error

    def _compute(self, nodes: IndexArray) -> None:
        for batch in local_transforms(self._observed, self._local.of_sub_domains(nodes), self._factors[nodes]):
            for start in range(0, len(batch.sub_domains), MATRICES_AT_ONCE):
                transforms = batch.transforms[start : start + MATRICES_AT_ONCE]
                groups = batch.sub_domains[start : start + MATRICES_AT_ONCE]
                for matrix, freedom, group in zip(
                    transforms.matrices(), transforms.degrees_of_freedom, groups, strict=True
                ):
                    self._matrices[self._slot[nodes[group]]] = matrix
                    self.degrees_of_freedom[nodes[group]] = freedom


@dataclass(frozen=True)
class _Application:
    """How the rows of a box are transformed: the arguments of :func:`analyse_interpolated` that all boxes share."""

    ensemble: FloatArray
    out: FloatArray
    relaxation: Relaxation | None
    update_fraction: FloatArray | None

    def transform(self, box: Box, rows: BoxRows, matrices: FloatArray, identity: BoolArray) -> None:
        """Transform a box by the matrices of its corners, leaving out cells whose transform is the identity."""
        weights = box.weights.astype(matrices.dtype, copy=False)
        table, real = rows.table(box.cells.size)
        touched = np.flatnonzero((box.weights[:, ~identity] > 0.0).any(axis=1) & real.any(axis=1))
        size = max(1, CHUNK_ELEMENTS // matrices[0].size)
        for start in range(0, touched.size, size):
            cells = touched[start : start + size]
            forecast = self.ensemble[table[cells]]
            first = forecast[:, :, :1]
            analysis = (forecast - first) @ interpolated(matrices, weights[cells])
            analysis += first
            # A forecast that is not finite spoils its whole row, so that one member tells.
            finite = np.isfinite(analysis[:, :, 0].sum(axis=1))
            if not finite.all():
                raise AnalysisError(int(box.cells[cells[np.argmin(finite)]]), "the analysis is not finite")
            self._finish(table[cells][real[cells]], forecast[real[cells]], analysis[real[cells]])

    def _finish(self, rows: IndexArray, forecast: FloatArray, analysis: FloatArray) -> None:
        fraction = None if self.update_fraction is None else self.update_fraction[rows]
        self.out[rows] = relaxed(forecast, analysis, self.relaxation, fraction)


def analyse_interpolated(
    ensemble: FloatArray,
    nodes: CoarseNodes,
    boxes: IndexArray,
    box_rows: Sequence[BoxRows],
    observed: ObservedEnsemble,
    local: LocalObservations,
    forgetting_factor: ArrayLike = 1.0,
    relaxation: Relaxation | None = None,
    update_fraction: FloatArray | None = None,
    out: FloatArray | None = None,
) -> LocalAnalysis:
    """Return the analysis of the cells of some boxes, by weights interpolated from the nodes around them.

    Parameters
    ----------
    ensemble : array (rows, members)
        Forecast; not changed unless it is also ``out``. In single precision it stays so, and transforms are then
        interpolated in it; they are computed in double precision.
    nodes : CoarseNodes
    boxes : array (boxes,)
        Numbers of the boxes to analyse, increasing: a rank's share. A run of consecutive ones needs fewest nodes.
    box_rows : sequence of BoxRows
        Rows of each of these boxes.
    observed : ObservedEnsemble
        Of all observations.
    local : LocalObservations
        Which of them each of the nodes ``nodes.nodes_of(boxes)`` uses, in that order, and with which weight.
    forgetting_factor : float or array
        Of each of these nodes: prior covariance divided by it where there is at least one local observation.
    relaxation : callable or None
        ``relaxation(forecast rows, analysed rows)`` returns relaxed rows; see :mod:`da.inflation`.
    update_fraction : array (rows,) or None
        Which part of its increment each row receives; None: all of it.
    out : array (rows, members) or None
        Where to write the analysis; ``ensemble`` itself saves the memory of a second one.

    Raises
    ------
    AnalysisError
        Where a transform or an analysed row is not finite; its ``block`` is the flat number of the grid cell.
    ValueError
        If boxes do not increase, or numbers of boxes, rows, nodes or forgetting factors disagree.

    Notes
    -----
    Cells all of whose nodes (with a weight above zero) have no local observations, and rows of no box, keep their
    members bit for bit. A node's transform and a box's analysis depend on nothing but themselves: nodes on the border
    of two shares are computed in both, alike, and the result does not depend on how boxes are shared out.

    With step 1 the result is that of :func:`da.filters.lestkf.analyse_sub_domains` for single cells, which takes less
    memory then.
    """
    own = nodes.nodes_of(boxes)
    if len(box_rows) != len(boxes) or local.counts.size != own.size:
        raise ValueError(
            f"{len(boxes)} boxes around {own.size} nodes, but rows of {len(box_rows)} boxes and local observations of "
            f"{local.counts.size} nodes"
        )
    if not (np.diff(boxes) > 0).all():
        raise ValueError("boxes must increase")
    out = analysis_target(ensemble, out)
    bands = [
        part for part in np.split(np.arange(len(boxes)), np.flatnonzero(np.diff(nodes.band(boxes))) + 1) if part.size
    ]
    corners = np.searchsorted(own, nodes.corners(boxes))
    capacity = max((np.unique(corners[band]).size for band in bands), default=0)
    factors = np.broadcast_to(np.asarray(forgetting_factor, dtype=np.float64), own.shape)
    held = _HeldTransforms(observed, local, factors, capacity, ensemble.dtype)
    application = _Application(ensemble, out, relaxation, update_fraction)
    for band in bands:
        try:
            held.hold(np.unique(corners[band]))
        except AnalysisError as error:
            raise AnalysisError(int(nodes.cells[own[error.block]]), error.cause) from error
        for number in band:
            identity = held.identity[corners[number]]
            if not identity.all():
                application.transform(nodes.box(int(boxes[number])), box_rows[number], held[corners[number]], identity)
    return LocalAnalysis(out, held.degrees_of_freedom)
