"""The moving reference: NRLMSIS at a constant quiet Kp and the real F10.7, and its global-mean column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers
from da.hydrostatics import effective_radius, mid_level_height, surface_gravity
from da.model import StateGrid
from da.msis import GeomagneticActivity, MsisVersion
from da.operators import mean_molar_mass
from model_adapters.column_physics.thermal import SPECIES, ReferenceColumn
from model_adapters.msis_reference import MsisReference

FloatArray = NDArray[np.float64]

MEAN_LATITUDE = np.array([45.0])
"""Where gravity has about its global mean [degrees]."""


@dataclass(frozen=True)
class UnperturbedNode:
    """The one node of a reference that is the same for all members."""

    def offsets(self) -> list[tuple[float, float]]:
        """Return no offset of F10.7 and Kp."""
        return [(0.0, 0.0)]

    def weights(self, f107_offset_sfu: FloatArray, kp_offset: FloatArray) -> FloatArray:
        """Return ones (1, members)."""
        return np.ones((1, f107_offset_sfu.size))


@dataclass(frozen=True)
class ReferenceState:
    """The reference at one time.

    Parameters
    ----------
    temperature : array (levels, latitudes, longitudes, 1)
        K.
    log_ratio : dict of O, O2, He -> array of the same shape
        ln(w_i/w_N2).
    bottom_height : array (latitudes, longitudes, 1)
        Geometric height of the bottom interface [m].
    """

    temperature: FloatArray
    log_ratio: Mapping[str, FloatArray]
    bottom_height: FloatArray

    @property
    def bottom_temperature(self) -> FloatArray:
        """Temperature of the bottom interface [K] (latitudes, longitudes, 1), linear from the levels above it."""
        return np.asarray(1.5 * self.temperature[0] - 0.5 * self.temperature[1])


class QuietReference:
    """NRLMSIS without storms, on the levels of the state grid.

    Parameters
    ----------
    grid : StateGrid
    reference_pressure : float
        p0 [Pa].
    version : MsisVersion
    quiet_kp : float
        Kp of the reference at all times, rounded to a third.
    """

    def __init__(self, grid: StateGrid, reference_pressure: float, version: MsisVersion, quiet_kp: float) -> None:
        self._grid, self._pressure = grid, reference_pressure
        self._thirds = round(3.0 * quiet_kp)
        self._msis = MsisReference(grid, reference_pressure, version, GeomagneticActivity.STORM, UnperturbedNode())
        self._quiet: tuple[Drivers, Drivers] | None = None

    def quiet(self, drivers: Drivers) -> Drivers:
        """Return the drivers with Kp constant and quiet, and nothing else that tells of activity."""
        if self._quiet is None or self._quiet[0] is not drivers:
            kp_thirds = np.full_like(drivers.kp_thirds, self._thirds)
            self._quiet = (drivers, replace(drivers, kp_thirds=kp_thirds, hemispheric_power=None, solar_wind=None))
        return self._quiet[1]

    def at(self, drivers: Drivers, time: np.datetime64) -> ReferenceState:
        """Return the reference at a time.

        Raises
        ------
        ThermodaError
            If the drivers do not cover the time, or NRLMSIS gives no usable profile for them.
        """
        none = np.zeros(1)
        variables, bottom = self._msis.at(self.quiet(drivers), time, none, none)
        return ReferenceState(variables["temperature"], {name: variables[name] for name in SPECIES}, bottom)

    def column(self, state: ReferenceState) -> tuple[ReferenceColumn, FloatArray]:
        """Return the global-mean column of a reference state and the heights [m] of its levels.

        Means are those of temperature, ln(w_i/w_N2) and bottom height, weighted by area.
        """
        temperature = self._mean(state.temperature)
        ratios = {name: self._mean(state.log_ratio[name]) for name in SPECIES}
        ratio = {name: np.exp(value) for name, value in ratios.items()}
        nitrogen = 1.0 / (1.0 + sum(ratio.values()))
        molar_mass = mean_molar_mass(*(ratio[name] * nitrogen for name in SPECIES))
        bottom = self._mean(state.bottom_height[None]).reshape(1, 1, 1)
        step = float(self._grid.level[1] - self._grid.level[0])
        as_field = (slice(None), None, None, None)
        height = mid_level_height(temperature[as_field], molar_mass[as_field], bottom, MEAN_LATITUDE, step)[:, 0, 0, 0]
        radius = effective_radius(MEAN_LATITUDE)[0]
        gravity = surface_gravity(MEAN_LATITUDE)[0] * (radius / (radius + height)) ** 2
        return ReferenceColumn.from_log_ratio(self._grid.level, temperature, ratios, gravity, self._pressure), height

    def _mean(self, field: FloatArray) -> FloatArray:
        """Return global means (levels,)."""
        area = np.cos(np.radians(self._grid.latitude))
        return np.asarray(np.einsum("kjim,j->k", field, area) / (area.sum() * field.shape[2]))
