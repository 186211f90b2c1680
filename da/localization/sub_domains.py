"""Sub-domains: disjoint blocks of grid cells, each holding all fields of its cells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


class SubDomainShape(StrEnum):
    """Which cells share one analysis."""

    BLOCK = "block"
    """Blocks of a few cells in every direction; of one cell, if so wished."""
    COLUMN = "column"
    """All levels of a block of columns."""
    WHOLE = "whole"
    """The whole state: no localization."""


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
