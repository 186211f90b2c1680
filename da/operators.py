r"""Observation operator H: density at points from ensembles of states (Corbin & Kusche 2022, Eqs. 2-4).

.. math:: \rho = p \bar M / (R T), \quad 1/\bar M = w_O/M_O + w_{O2}/M_{O2} + w_{He}/M_{He} + w_{N2}/M_{N2}

with :math:`w_{N2} = 1 - w_O - w_{O2} - w_{He}`. In each of the four columns around a point ln rho is interpolated
(extrapolated) linearly in geometric height and exponentiated, then combined bilinearly in longitude and latitude.
Beyond the last row of latitudes the neighbour is the same row on the other side of the pole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.constants import GAS_CONSTANT, MOLAR_MASS

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


DENSITY_FIELDS = ("temperature", "mass_fraction_O", "mass_fraction_O2", "mass_fraction_He")
"""Fields of the state from which density is computed."""


def mean_molar_mass(w_o: FloatArray, w_o2: FloatArray, w_he: FloatArray) -> FloatArray:
    """Return the mean molar mass [kg mol-1] of O, O2, He and N2 from mass fractions (Eq. 4)."""
    w_n2 = 1.0 - w_o - w_o2 - w_he
    moles_per_kg = w_o / MOLAR_MASS["O"] + w_o2 / MOLAR_MASS["O2"] + w_he / MOLAR_MASS["He"] + w_n2 / MOLAR_MASS["N2"]
    return np.asarray(1.0 / moles_per_kg)


def modelled_density(
    pressure: FloatArray, temperature: FloatArray, w_o: FloatArray, w_o2: FloatArray, w_he: FloatArray
) -> FloatArray:
    """Return the mass density [kg m-3] of O, O2, He and N2 by the ideal gas law (Eq. 3).

    Parameters
    ----------
    pressure : array (levels,)
        Pa, per level.
    temperature, w_o, w_o2, w_he : array (levels, latitudes, longitudes, members)
        Temperature [K] and mass fractions.
    """
    column = pressure[:, None, None, None]
    return np.asarray(column * mean_molar_mass(w_o, w_o2, w_he) / (GAS_CONSTANT * temperature))


@dataclass(frozen=True)
class HorizontalStencil:
    """The four columns around each point and their bilinear weights.

    Parameters
    ----------
    column : array (points, 4)
        Index of the column in the flattened (latitude, longitude) grid.
    weight : array (points, 4)
        Non-negative, rows sum to one.
    """

    column: IndexArray
    weight: FloatArray


def horizontal_stencil(
    grid_latitude: FloatArray, grid_longitude: FloatArray, latitude: FloatArray, longitude: FloatArray
) -> HorizontalStencil:
    """Return the bilinear stencil of points on a regular, globally periodic grid.

    Parameters
    ----------
    grid_latitude, grid_longitude : array
        Degrees, equally spaced; the longitudes close the circle and their number is even, so that every meridian
        continues beyond the pole; the outermost latitudes lie at the poles or half a step from them.
    latitude, longitude : array (points,)
        Degrees.

    Raises
    ------
    ValueError
        If the grid is not global or a latitude lies outside [-90, 90].
    """
    n_lat, n_lon = grid_latitude.size, grid_longitude.size
    d_lon = 360.0 / n_lon
    if n_lon % 2 or not np.allclose(np.diff(grid_longitude), d_lon, rtol=1e-9):
        raise ValueError("the horizontal grid must close the circle with an even number of equal steps in longitude")
    if n_lat < 2:
        raise ValueError("the horizontal grid must have at least two latitudes")
    d_lat = float(grid_latitude[1] - grid_latitude[0])
    for to_pole in (90.0 + float(grid_latitude[0]), 90.0 - float(grid_latitude[-1])):
        if not np.any(np.isclose(to_pole, [0.0, 0.5 * d_lat], rtol=0.0, atol=1e-6 * d_lat)):
            raise ValueError("the outermost latitudes of the grid must lie at the poles or half a step from them")
    if not np.all(np.abs(latitude) <= 90.0):
        raise ValueError("latitudes must lie within [-90, 90] degrees")
    row = (latitude - grid_latitude[0]) / d_lat
    south = np.floor(row).astype(np.int64)
    fraction_north = row - south
    position = np.mod(longitude - grid_longitude[0], 360.0) / d_lon
    west = np.floor(position).astype(np.int64)
    fraction_east = position - west
    columns, weights = [], []
    for step_lat, weight_lat in ((0, 1.0 - fraction_north), (1, fraction_north)):
        rows = south + step_lat
        beyond_pole = (rows < 0) | (rows >= n_lat)
        rows = np.where(rows < 0, -1 - rows, np.where(rows >= n_lat, 2 * n_lat - 1 - rows, rows))
        for step_lon, weight_lon in ((0, 1.0 - fraction_east), (1, fraction_east)):
            meridian = np.mod(west + step_lon + np.where(beyond_pole, n_lon // 2, 0), n_lon)
            columns.append(rows * n_lon + meridian)
            weights.append(weight_lat * weight_lon)
    return HorizontalStencil(np.stack(columns, axis=1), np.stack(weights, axis=1))


def bracketing_level(height: FloatArray, column: IndexArray, altitude: FloatArray) -> IndexArray:
    """Return the level k with height[k] <= altitude < height[k + 1], clipped to the lowest and highest pair.

    Parameters
    ----------
    height : array (levels, columns, members)
        Increasing along the first axis, of two levels or more.
    column : array (pairs,)
        Column of each pair of a point and a neighbouring column.
    altitude : array (pairs,)
        In the unit of ``height``.

    Returns
    -------
    array (pairs, members)
        Found by bisection, for all pairs and members at once.
    """
    members = np.arange(height.shape[2])[None, :]
    columns = column[:, None]
    low = np.zeros((column.size, height.shape[2]), dtype=np.int64)
    high = np.full_like(low, height.shape[0] - 1)
    for _ in range(int(np.ceil(np.log2(max(height.shape[0] - 1, 2))))):
        middle = (low + high) // 2
        above = height[middle, columns, members] <= altitude[:, None]
        low = np.where(above, middle, low)
        high = np.where(above, high, middle)
    return np.asarray(np.minimum(low, height.shape[0] - 2))


def interpolate_log_linear(
    density: FloatArray, height: FloatArray, stencil: HorizontalStencil, altitude: FloatArray
) -> FloatArray:
    """Return the density at points: ln-linear in height per column, then bilinear in the horizontal (Eq. 2).

    Parameters
    ----------
    density, height : array (levels, latitudes, longitudes, members)
        Density [kg m-3], positive, and geometric height [m].
    stencil : HorizontalStencil
        Of the points.
    altitude : array (points,)
        Geometric height of the points [m].

    Returns
    -------
    array (points, members)
    """
    levels, members = density.shape[0], density.shape[-1]
    used, pair_column = np.unique(stencil.column, return_inverse=True)
    pair_column = pair_column.ravel()
    columns_height = height.reshape(levels, -1, members)[:, used]
    columns_log = np.log(density.reshape(levels, -1, members)[:, used])
    pair_altitude = np.repeat(altitude, 4)
    lower = bracketing_level(columns_height, pair_column, pair_altitude)
    where = (pair_column[:, None], np.arange(members)[None, :])
    bottom, top = columns_height[(lower, *where)], columns_height[(lower + 1, *where)]
    log_bottom, log_top = columns_log[(lower, *where)], columns_log[(lower + 1, *where)]
    slope = (log_top - log_bottom) / (top - bottom)
    at_altitude = np.exp(log_bottom + slope * (pair_altitude[:, None] - bottom))
    return np.asarray(np.einsum("pc,pcm->pm", stencil.weight, at_altitude.reshape(-1, 4, members)))


def level_index(height: FloatArray, stencil: HorizontalStencil, altitude: FloatArray) -> FloatArray:
    """Return the fractional level index of points in a height field, linear in height, extrapolated at both ends.

    Parameters
    ----------
    height : array (levels, latitudes, longitudes)
        Ensemble-mean geometric height [m].
    stencil, altitude
        Of the points, as in :func:`interpolate_log_linear`.

    Returns
    -------
    array (points,)
    """
    levels = height.shape[0]
    if levels == 1:
        return np.zeros(altitude.size)
    profile = np.einsum("pc,kpc->kp", stencil.weight, height.reshape(levels, -1)[:, stencil.column])
    points = np.arange(altitude.size)
    lower = bracketing_level(profile[:, :, None], points, altitude)[:, 0]
    bottom, top = profile[lower, points], profile[lower + 1, points]
    return np.asarray(lower + (altitude - bottom) / (top - bottom))


@dataclass(frozen=True)
class DensityOperator:
    """H for one state grid: from temperature and composition to density on the grid and at points.

    Parameters
    ----------
    level_pressure : array (levels,)
        Pa.
    latitude, longitude : array
        Of the state grid, degrees.
    """

    level_pressure: FloatArray
    latitude: FloatArray
    longitude: FloatArray

    def on_grid(self, fields: Mapping[str, FloatArray]) -> FloatArray:
        """Return the density [kg m-3] of the modelled species of all cells, (levels, latitudes, longitudes, n)."""
        return modelled_density(self.level_pressure, *(fields[name] for name in DENSITY_FIELDS))

    def stencil(self, latitude: FloatArray, longitude: FloatArray) -> HorizontalStencil:
        """Return the horizontal stencil of points (degrees)."""
        return horizontal_stencil(self.latitude, self.longitude, latitude, longitude)

    def at_points(
        self,
        density: FloatArray,
        height: FloatArray,
        stencil: HorizontalStencil,
        altitude_km: FloatArray,
        unmodelled_mass_ratio: FloatArray,
    ) -> FloatArray:
        """Return the total density [kg m-3] at points, (points, members).

        Parameters
        ----------
        density, height : array (levels, latitudes, longitudes, members)
            From :meth:`on_grid`, and geometric height [m].
        stencil : HorizontalStencil
        altitude_km : array (points,)
        unmodelled_mass_ratio : array (points,)
            Total mass density over that of O, O2, He and N2: the state has no Ar, N, H and anomalous O, which carry 1
            to 3 % of the mass at satellite heights. The ratio is taken from NRLMSIS and applied here, in one place,
            so that observations stay as they were measured.
        """
        modelled = interpolate_log_linear(density, height, stencil, 1e3 * altitude_km)
        return np.asarray(modelled * unmodelled_mass_ratio[:, None])
