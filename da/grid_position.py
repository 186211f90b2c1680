"""Positions on the state grid: fractional indices of observations, and places of fractional indices."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from da.model import StateLayout
from da.operators import horizontal_stencil, level_index

FloatArray = NDArray[np.float64]


class VerticalCoordinate(StrEnum):
    """What vertical distances are measured in."""

    LEVELS = "levels"
    """Index of the level, with latitude and longitude as indices too."""
    KM = "km"
    """Geometric height, with latitude and longitude in degrees."""
    SCALE_HEIGHTS = "scale_heights"
    """zp = ln(p0/p), with latitude and longitude in degrees."""


def observation_index_position(
    layout: StateLayout, mean_height: FloatArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
) -> FloatArray:
    """Return fractional grid indices (points, 3) of points: level, latitude, longitude.

    Parameters
    ----------
    layout : StateLayout
    mean_height : array (levels, latitudes, longitudes)
        Ensemble-mean geometric height [m], through which altitude becomes a level index.
    latitude, longitude, altitude_km : array (points,)
    """
    grid = layout.grid
    step = 360.0 / grid.longitude.size
    column = np.mod(longitude - grid.longitude[0], 360.0) / step
    if grid.latitude.size == 1:
        return np.column_stack([np.zeros_like(column), np.zeros_like(column), column])
    row = (latitude - grid.latitude[0]) / (grid.latitude[1] - grid.latitude[0])
    stencil = horizontal_stencil(grid.latitude, grid.longitude, latitude, longitude)
    return np.column_stack([level_index(mean_height, stencil, 1e3 * altitude_km), row, column])


def place_of_index(
    layout: StateLayout, mean_height: FloatArray, index: FloatArray, vertical: VerticalCoordinate
) -> FloatArray:
    """Return vertical coordinate, latitude and longitude [degrees] (points, 3) of fractional indices.

    Parameters
    ----------
    layout : StateLayout
        On a grid with several levels and latitudes.
    mean_height : array (levels, latitudes, longitudes)
        Ensemble-mean geometric height [m].
    index : array (points, 3)
        Level, latitude, longitude; levels beyond the ends are extrapolated.
    vertical : VerticalCoordinate
        Height in km, or scale heights.
    """
    grid = layout.grid
    # The index of a pole may lead to a latitude beyond it by rounding.
    latitude = np.clip(grid.latitude[0] + index[:, 1] * (grid.latitude[1] - grid.latitude[0]), -90.0, 90.0)
    longitude = grid.longitude[0] + index[:, 2] * 360.0 / grid.longitude.size
    lower = np.clip(np.floor(index[:, 0]).astype(np.int64), 0, grid.level.size - 2)
    fraction = index[:, 0] - lower
    if vertical is VerticalCoordinate.SCALE_HEIGHTS:
        bottom, top = grid.level[lower], grid.level[lower + 1]
    else:
        stencil = horizontal_stencil(grid.latitude, grid.longitude, latitude, longitude)
        columns = 1e-3 * mean_height.reshape(grid.level.size, -1)
        bottom, top = (
            np.sum(stencil.weight * columns[level[:, None], stencil.column], axis=1) for level in (lower, lower + 1)
        )
    return np.column_stack([bottom + fraction * (top - bottom), latitude, longitude])
