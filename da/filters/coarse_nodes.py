"""Coarse nodes of a grid, and the boxes of cells between them, for weights interpolated in index space.

Node lines lie on every so many indices of each axis. Where longitude is periodic the last interval closes at the first
line; everywhere else the last index is a line too, so that every cell lies between nodes. Boxes are half-open: the
cells of a line belong to the box above it, those of the last line to the last box. Both are numbered with latitude
slowest, then longitude, then level, so that a run of consecutive boxes touches few lines of latitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True)
class _Axis:
    """Node lines of one axis, and its intervals: cells, the one or two lines around them, weights (cells, lines)."""

    line: IndexArray
    cells: list[IndexArray]
    corners: IndexArray
    weights: list[FloatArray]


def _axis(size: int, step: int, periodic: bool) -> _Axis:
    line = np.arange(0, size, step, dtype=np.int64)
    if not periodic and line[-1] < size - 1:
        line = np.append(line, size - 1)
    if line.size == 1:
        return _Axis(line, [np.arange(size)], np.zeros((1, 1), dtype=np.int64), [np.ones((size, 1))])
    lower = np.arange(line.size if periodic else line.size - 1)
    edge = np.append(line, size) if periodic else line
    cells = [np.arange(edge[n], edge[n + 1]) for n in lower]
    if not periodic:
        cells[-1] = np.append(cells[-1], size - 1)
    weights = []
    for n, own in zip(lower, cells, strict=True):
        upper_weight = (own - edge[n]) / (edge[n + 1] - edge[n])
        weights.append(np.column_stack([1.0 - upper_weight, upper_weight]))
    return _Axis(line, cells, np.column_stack([lower, (lower + 1) % line.size]), weights)


@dataclass(frozen=True)
class Box:
    """The cells between node lines.

    Parameters
    ----------
    cells : array (cells,)
        Flat (level, latitude, longitude) indices, level slowest.
    corners : array (corners,)
        Numbers of the at most eight nodes around them.
    weights : array (cells, corners)
        Trilinear; those of a cell sum to one.
    """

    cells: IndexArray
    corners: IndexArray
    weights: FloatArray


@dataclass(frozen=True)
class CoarseNodes:
    """Every ``step``-th cell of a grid in each direction, at which weights are computed.

    Parameters
    ----------
    shape : tuple of int
        Levels, latitudes, longitudes.
    step : int
        Distance of node lines [cells].
    periodic : bool
        Whether longitude is.

    Raises
    ------
    ValueError
        Where shape or step are not positive.

    >>> nodes = CoarseNodes((29, 36, 72), 3, periodic=True)
    >>> len(nodes.cells), nodes.boxes, nodes.centre[-1].tolist()
    (3432, 2880, [28.0, 35.0, 69.0])
    """

    shape: tuple[int, int, int]
    step: int
    periodic: bool

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.step < 1:
            raise ValueError(f"grid {self.shape} and step {self.step} must be positive")

    @cached_property
    def _axes(self) -> tuple[_Axis, _Axis, _Axis]:
        level, latitude, longitude = self.shape
        return (
            _axis(level, self.step, False),
            _axis(latitude, self.step, False),
            _axis(longitude, self.step, self.periodic),
        )

    @cached_property
    def centre(self) -> FloatArray:
        """Index positions (nodes, 3) of the nodes: level, latitude, longitude."""
        level, latitude, longitude = (axis.line for axis in self._axes)
        j, i, k = np.meshgrid(latitude, longitude, level, indexing="ij")
        return np.column_stack([k.ravel(), j.ravel(), i.ravel()]).astype(np.float64)

    @cached_property
    def cells(self) -> IndexArray:
        """Flat cell index (nodes,) of each node."""
        level, latitude, longitude = self.centre.astype(np.int64).T
        return np.asarray((level * self.shape[1] + latitude) * self.shape[2] + longitude)

    @property
    def boxes(self) -> int:
        """Number of boxes."""
        return int(np.prod([len(axis.cells) for axis in self._axes]))

    def _intervals(self, boxes: IndexArray) -> tuple[IndexArray, IndexArray, IndexArray]:
        level, latitude, longitude = (len(axis.cells) for axis in self._axes)
        j, i, k = np.unravel_index(boxes, (latitude, longitude, level))
        return np.asarray(k), np.asarray(j), np.asarray(i)

    def band(self, boxes: IndexArray) -> IndexArray:
        """Return the band of latitudes (boxes,) of some boxes."""
        return self._intervals(boxes)[1]

    def corners(self, boxes: IndexArray) -> IndexArray:
        """Return the numbers of the nodes (boxes, corners) around some boxes."""
        levels, _, longitudes = (axis.line.size for axis in self._axes)
        k, j, i = (axis.corners[number] for axis, number in zip(self._axes, self._intervals(boxes), strict=True))
        number = (j[:, None, :, None] * longitudes + i[:, None, None, :]) * levels + k[:, :, None, None]
        return np.asarray(number.reshape(len(boxes), int(np.prod(number.shape[1:]))))

    def nodes_of(self, boxes: IndexArray) -> IndexArray:
        """Return the numbers, increasing, of all nodes around some boxes."""
        return np.unique(self.corners(boxes))

    def box(self, number: int) -> Box:
        """Return one box."""
        one = np.array([number])
        parts = [
            (axis.cells[interval[0]], axis.weights[interval[0]])
            for axis, interval in zip(self._axes, self._intervals(one), strict=True)
        ]
        (k, level), (j, latitude), (i, longitude) = parts
        cells = (k[:, None, None] * self.shape[1] + j[:, None]) * self.shape[2] + i
        weights = (
            level[:, None, None, :, None, None]
            * latitude[None, :, None, None, :, None]
            * longitude[None, None, :, None, None, :]
        )
        return Box(cells.ravel(), self.corners(one)[0], weights.reshape(cells.size, -1))

    def box_cost(self, node_cost: FloatArray, cell_cost: float) -> FloatArray:
        """Return the cost (boxes,) of each box, to which a node's cost is shared out evenly by the boxes around it.

        Parameters
        ----------
        node_cost : array (nodes,)
            Of the transform of each node.
        cell_cost : float
            Of interpolation and application per cell, in the same unit.
        """
        corners = self.corners(np.arange(self.boxes))
        share = node_cost / np.bincount(corners.ravel(), minlength=node_cost.size)
        # Box by box cells are products of intervals, as numbered.
        level, latitude, longitude = (np.array([own.size for own in axis.cells]) for axis in self._axes)
        cells = latitude[:, None, None] * longitude[:, None] * level
        return np.asarray(share[corners].sum(axis=1) + cell_cost * cells.ravel())


def contiguous_shares(cost: FloatArray, ranks: int) -> list[IndexArray]:
    """Cut boxes into runs of consecutive ones of nearly equal cost, one per rank.

    Parameters
    ----------
    cost : array (boxes,)
        Not negative.
    ranks : int
        With fewer boxes than ranks some runs are empty.

    Returns
    -------
    list of arrays
        Boxes of each rank. A run's cost differs from the mean by at most the largest cost of a box.

    >>> contiguous_shares(np.array([1.0, 1.0, 1.0, 3.0]), 2)
    [array([0, 1, 2]), array([3])]
    """
    if ranks < 1:
        raise ValueError(f"boxes are dealt out to one rank at least, not to {ranks}")
    if not np.all(np.isfinite(cost)) or np.any(cost < 0.0):
        raise ValueError("costs must be finite and not negative")
    total = np.cumsum(cost)
    # A box goes to the rank in whose part of the total its middle falls.
    middle = total - 0.5 * cost
    targets = (total[-1] if total.size else 0.0) * np.arange(1, ranks) / ranks
    return np.split(np.arange(cost.size), np.searchsorted(middle, targets))
