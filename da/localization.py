r"""Localization of the analysis: sub-domains, distances in grid-index units, and weights of observations.

Each sub-domain is a block of grid cells holding all fields of those cells (Nerger et al. 2006,
doi:10.1007/s10236-006-0083-0). Observations count as local up to and including the cut-off radius around the centre of
the block, and R^-1 is multiplied **once** by a weight of the distance (Hunt et al. 2007,
doi:10.1016/j.physd.2006.11.008). Distances are L2 norms in index units (level, latitude, longitude), longitude being
periodic; where the vertical has a cut-off of its own, level differences are first scaled by the ratio of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


class Weighting(StrEnum):
    """Weight of a local observation as a function of its distance."""

    UNIFORM = "uniform"
    """One for every local observation."""
    GASPARI_COHN = "gaspari_cohn"
    """Gaspari & Cohn (1999), Eq. 4.10: one at zero distance, zero at the support radius and beyond."""


def gaspari_cohn(distance: FloatArray, support_radius: float) -> FloatArray:
    r"""Return the fifth-order piecewise rational weight of Gaspari & Cohn (1999), Eq. 4.10.

    Parameters
    ----------
    distance : array
        Not negative.
    support_radius : float
        Distance, in the same unit, from which on the weight is exactly zero: 2c of the paper. At half of it the
        weight is 5/24.

    Notes
    -----
    With :math:`z = |d|/c` (doi:10.1002/qj.49712555417)::

        z <= 1: -z^5/4 + z^4/2 + 5 z^3/8 - 5 z^2/3 + 1
        z <= 2:  z^5/12 - z^4/2 + 5 z^3/8 + 5 z^2/3 - 5 z + 4 - 2/(3 z)

    >>> gaspari_cohn(np.array([0.0, 3.5, 7.0]), 7.0) * 24
    array([24.,  5.,  0.])
    """
    if not support_radius > 0.0:
        raise ValueError(f"the support radius must be positive, not {support_radius}")
    z = np.minimum(np.asarray(distance) * (2.0 / support_radius), 2.0)
    inner = (((-0.25 * z + 0.5) * z + 0.625) * z - 5.0 / 3.0) * z**2 + 1.0
    outside_core = np.maximum(z, 1.0)
    polynomial = (
        (((outside_core / 12.0 - 0.5) * outside_core + 0.625) * outside_core + 5.0 / 3.0) * outside_core - 5.0
    ) * outside_core
    outer = polynomial + 4.0 - 2.0 / (3.0 * outside_core)
    return np.where(z <= 1.0, inner, np.where(z < 2.0, np.maximum(outer, 0.0), 0.0))


class SubDomainShape(StrEnum):
    """Which cells share one analysis."""

    BLOCK = "block"
    """Blocks of a few cells in every direction; of one cell, if so wished."""
    COLUMN = "column"
    """All levels of a block of columns."""
    WHOLE = "whole"
    """The whole state: no localization."""


@dataclass(frozen=True)
class Localization:
    """Which observations a sub-domain uses, and with which weight.

    Parameters
    ----------
    cutoff_radius_cells : float
        Observations up to this distance (inclusive) are local; infinity makes all of them local.
    weighting : Weighting
        How R^-1 is weighted.
    support_radius_cells : float or None
        For Gaspari-Cohn: the distance at which the weight becomes exactly zero.
    vertical_cutoff_radius_cells : float or None
        Level difference that counts like a horizontal distance of ``cutoff_radius_cells``; None: the same; infinity:
        level differences do not count.
    """

    cutoff_radius_cells: float
    weighting: Weighting
    support_radius_cells: float | None = None
    vertical_cutoff_radius_cells: float | None = None

    def __post_init__(self) -> None:
        if not self.cutoff_radius_cells > 0.0:
            raise ValueError(f"the cut-off radius must be positive, not {self.cutoff_radius_cells}")
        if (self.weighting is Weighting.GASPARI_COHN) != (self.support_radius_cells is not None):
            raise ValueError("a support radius belongs to Gaspari-Cohn weights, and to them alone")
        if self.vertical_cutoff_radius_cells is not None and not self.vertical_cutoff_radius_cells > 0.0:
            raise ValueError(f"the vertical cut-off radius must be positive, not {self.vertical_cutoff_radius_cells}")
        if np.isinf(self.cutoff_radius_cells) and self.weighting is not Weighting.UNIFORM:
            raise ValueError("an infinite cut-off radius goes with uniform weights")

    @property
    def level_scale(self) -> float:
        """Factor of level differences in the distance."""
        if self.vertical_cutoff_radius_cells is None or np.isinf(self.cutoff_radius_cells):
            return 1.0
        return self.cutoff_radius_cells / self.vertical_cutoff_radius_cells

    def weight(self, distance: FloatArray) -> FloatArray:
        """Return the factors of R^-1 for local observations at these distances [cells]."""
        if self.support_radius_cells is None:
            return np.ones_like(distance)
        return gaspari_cohn(distance, self.support_radius_cells)


@dataclass(frozen=True)
class SubDomains:
    """Disjoint blocks of grid cells.

    Parameters
    ----------
    cells : list of arrays
        Flat (level, latitude, longitude) indices of the cells of each block.
    centre : array (blocks, 3)
        Centre in index units (level, latitude, longitude).
    """

    cells: list[IndexArray]
    centre: FloatArray

    def __len__(self) -> int:
        return len(self.cells)


def block_sub_domains(shape: tuple[int, int, int], block: tuple[int, int, int]) -> SubDomains:
    """Cut a grid into blocks of at most ``block`` cells (levels, latitudes, longitudes).

    Blocks begin at index 0 of each axis; the last one of an axis is smaller where the size does not divide.

    >>> domains = block_sub_domains((29, 36, 72), (3, 3, 3))
    >>> len(domains), domains.centre[0].tolist(), domains.centre[-1].tolist()
    (2880, [1.0, 1.0, 1.0], [27.5, 34.0, 70.0])
    """
    if min(shape) < 1 or min(block) < 1:
        raise ValueError(f"grid {shape} and block {block} must be positive in every direction")
    index = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    edges = [range(0, size, step) for size, step in zip(shape, block, strict=True)]
    cells, centre = [], []
    for k in edges[0]:
        for j in edges[1]:
            for i in edges[2]:
                part = index[k : k + block[0], j : j + block[1], i : i + block[2]]
                cells.append(part.ravel())
                centre.append([start + (n - 1) / 2 for start, n in zip((k, j, i), part.shape, strict=True)])
    return SubDomains(cells, np.array(centre))


@dataclass(frozen=True)
class LocalObservations:
    """Local observations of each sub-domain in compressed rows.

    Parameters
    ----------
    start : array (blocks + 1,)
        Block b owns the entries ``start[b]:start[b + 1]``.
    index, weight : array (entries,)
        Which observation (increasing within a block), and the factor of its inverse variance.
    """

    start: IndexArray
    index: IndexArray
    weight: FloatArray

    def of(self, block: int) -> tuple[IndexArray, FloatArray]:
        """Return indices and weights of one sub-domain."""
        entries = slice(self.start[block], self.start[block + 1])
        return self.index[entries], self.weight[entries]

    @property
    def counts(self) -> IndexArray:
        """Number of local observations per sub-domain."""
        return np.diff(self.start)


def sub_domains_of_shape(grid: tuple[int, int, int], shape: SubDomainShape, block_cells: int) -> SubDomains:
    """Return the sub-domains of a grid (levels, latitudes, longitudes).

    Parameters
    ----------
    grid : tuple of int
    shape : SubDomainShape
    block_cells : int
        Cells per side, in every direction for blocks, in the horizontal for columns.
    """
    if shape is SubDomainShape.WHOLE:
        return block_sub_domains(grid, grid)
    levels = block_cells if shape is SubDomainShape.BLOCK else grid[0]
    return block_sub_domains(grid, (levels, block_cells, block_cells))


def index_distance(centre: FloatArray, position: FloatArray, period: float | None) -> FloatArray:
    """Return L2 distances in index units; the last axis (longitude) has the given period, or none.

    >>> index_distance(np.array([0.0, 0.0, 1.0]), np.array([[0.0, 0.0, 71.0]]), 72.0)
    array([2.])
    """
    offset = np.abs(position - centre)
    if period is not None:
        offset[..., 2] = np.minimum(offset[..., 2], period - offset[..., 2])
    return np.asarray(np.sqrt(np.sum(offset**2, axis=-1)))


def select_local_observations(
    centre: FloatArray, position: FloatArray, localization: Localization, longitude_period: float | None
) -> LocalObservations:
    """Find and weight the local observations of sub-domains.

    Parameters
    ----------
    centre : array (blocks, 3)
        Centres in index units (level, latitude, longitude).
    position : array (observations, 3)
        Fractional indices of the observations; longitude within [0, period) where periodic.
    localization : Localization
        Cut-off and weights.
    longitude_period : float or None
        Number of cells around the globe, or None where longitude is not periodic.
    """
    start = np.zeros(len(centre) + 1, dtype=np.int64)
    if not len(position):
        return LocalObservations(start, np.zeros(0, dtype=np.int64), np.zeros(0))
    if np.isinf(localization.cutoff_radius_cells):
        everything = np.tile(np.arange(len(position)), len(centre))
        return LocalObservations(np.arange(len(centre) + 1) * len(position), everything, np.ones(everything.size))
    scale = np.array([localization.level_scale, 1.0, 1.0])
    centre, wrapped, box = centre * scale, position * scale, None
    if longitude_period is not None:
        wrapped[:, 2] = np.mod(wrapped[:, 2], longitude_period)
        box = np.array([0.0, 0.0, longitude_period])
    # The trees narrow the search; the decision is made by the exact, inclusive comparison below.
    reach = localization.cutoff_radius_cells * (1.0 + 1e-9)
    near: Any = cKDTree(centre, boxsize=box).sparse_distance_matrix(
        cKDTree(wrapped, boxsize=box), reach, output_type="coo_matrix"
    )
    pairs = near.tocsr()
    pairs.sort_indices()
    candidate = pairs.indices.astype(np.int64)
    block = np.repeat(np.arange(len(centre)), np.diff(pairs.indptr))
    distance = index_distance(centre[block], wrapped[candidate], longitude_period)
    local = distance <= localization.cutoff_radius_cells
    start[1:] = np.cumsum(np.bincount(block[local], minlength=len(centre)))
    return LocalObservations(start, candidate[local], localization.weight(distance[local]))
