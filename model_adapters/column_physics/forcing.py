"""What heats the members beyond the quiet reference: Joule and auroral heating, and their own F10.7."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers
from da.model import MemberInputs, StateGrid
from model_adapters.column_physics import fitted
from model_adapters.column_physics.cooling import lagged, nitric_oxide_factor
from model_adapters.column_physics.euv import euv_heating_per_sfu
from model_adapters.column_physics.geomagnetic import DipoleAxis, dipole_axis, solar_zenith_angle
from model_adapters.column_physics.heating import (
    CHARACTERISTIC_ENERGY_KEV,
    auroral_oval,
    cell_areas,
    heating_rate,
    joule_map,
    joule_power_gw,
    joule_profile,
    particle_heating_power_gw,
    particle_map,
    particle_profile,
)
from model_adapters.column_physics.thermal import ReferenceColumn

FloatArray = NDArray[np.float64]

HISTORY = np.timedelta64(72, "h")
"""How far back NO remembers: six times its lag."""

EUV_REFERENCE_F107_SFU = 100.0
"""About which heating per F10.7 is taken; it is linear but for a floor of the fluxes."""


@dataclass(frozen=True)
class Heating:
    """Heating of temperature anomalies: a few patterns, which every member has with amplitudes of its own.

    Parameters
    ----------
    patterns : array (levels, latitudes, longitudes, patterns)
        K s-1, or what remains of it after a step [K], per unit of amplitude.
    amplitudes : array (patterns, members)
        Joule and particle heating [GW], F10.7 offset [sfu], and minus one for the heating of the reference.
    """

    patterns: FloatArray
    amplitudes: FloatArray


class Forcing:
    """Heating and NO of the members at a time.

    Parameters
    ----------
    grid : StateGrid
    """

    def __init__(self, grid: StateGrid) -> None:
        self._grid = grid
        self._area = cell_areas(grid.latitude, grid.longitude.size)
        self._axis: tuple[np.datetime64, DipoleAxis] | None = None

    def heating(
        self,
        column: ReferenceColumn,
        height: FloatArray,
        time: np.datetime64,
        inputs: MemberInputs,
        quiet: Drivers,
        members: int,
    ) -> Heating:
        """Return the heating at a time.

        The oval is that of the drivers without offsets, one for all members; its power is each member's own.

        Parameters
        ----------
        column : ReferenceColumn
        height : array (levels,)
            Of its levels [m].
        time : datetime64
        inputs : MemberInputs
        quiet : Drivers
            Of the reference, whose own heating is not counted again.
        members : int
        """
        drivers, at = inputs.required_drivers(), np.array([time])
        power = drivers.hemispheric_power_gw(at) + inputs.perturbation("hemispheric_power_gw", members)
        potential = drivers.cross_tail_potential_kv(at) + inputs.perturbation("cross_tail_potential_kv", members)
        joule = fitted.JOULE_FACTOR * joule_power_gw(power, potential)
        joule = joule * np.exp(inputs.perturbation("joule_ln_factor", members))
        active = self._high_latitude(column, time, drivers)
        quiet_power, quiet_potential = quiet.hemispheric_power_gw(at), quiet.cross_tail_potential_kv(at)
        quiet_joule = fitted.JOULE_FACTOR * joule_power_gw(quiet_power, quiet_potential)
        quiet_amplitudes = np.stack([quiet_joule, particle_heating_power_gw(quiet_power)])
        patterns = [active, self._high_latitude(column, time, quiet) @ quiet_amplitudes]
        amplitudes = [joule, particle_heating_power_gw(power), np.full(members, -1.0)]
        offset = inputs.perturbation("f107_sfu", members)
        if offset.any():
            patterns.append(self._euv_per_sfu(column, height, time)[..., None])
            amplitudes.append(fitted.EUV_FACTOR * offset)
        return Heating(np.concatenate(patterns, axis=-1), np.stack(amplitudes))

    def nitric_oxide_factor(
        self, time: np.datetime64, inputs: MemberInputs, quiet: Drivers, members: int
    ) -> FloatArray:
        """Return what multiplies climatological NO (members,): it follows the auroral power of the past days."""
        step = np.timedelta64(1, "h")
        times = np.arange(time - HISTORY, time + step, step)
        power = inputs.required_drivers().hemispheric_power_gw(times)[:, None]
        power = np.maximum(power + inputs.perturbation("hemispheric_power_gw", members), 0.0)
        remembered = lagged(times, power, np.array([time]), fitted.NITRIC_OXIDE_LAG_S)[0]
        factor = nitric_oxide_factor(remembered, float(quiet.hemispheric_power_gw(np.array([time]))[0]))
        return np.asarray(factor * np.exp(inputs.perturbation("nitric_oxide_ln_factor", members)))

    def _high_latitude(self, column: ReferenceColumn, time: np.datetime64, drivers: Drivers) -> FloatArray:
        """Return heating by Joule and particle power, each of 1 GW (levels, latitudes, longitudes, 2) [K s-1]."""
        at = np.array([time])
        oval = auroral_oval(drivers.hemispheric_power_gw(at), drivers.cross_tail_potential_kv(at))
        latitude, local_time = self._magnetic(time)
        cell_deg = 180.0 / self._grid.latitude.size
        joule = joule_map(oval, latitude, local_time, self._area)
        particles = particle_map(oval, latitude, local_time, self._area, resolution_deg=cell_deg)
        by_depth = particle_profile(column, CHARACTERISTIC_ENERGY_KEV)
        rates = [
            heating_rate(joule_profile(column), joule, 1.0, column.heat_capacity),
            heating_rate(by_depth, particles, 1.0, column.heat_capacity),
        ]
        return np.concatenate(rates, axis=-1)

    def _euv_per_sfu(self, column: ReferenceColumn, height: FloatArray, time: np.datetime64) -> FloatArray:
        """Return heating by 1 sfu of F10.7 (levels, latitudes, longitudes) [K s-1]."""
        latitude, longitude = self._grid.latitude[:, None], self._grid.longitude[None, :]
        cosine = np.cos(np.radians(solar_zenith_angle(latitude, longitude, time)))
        per_sfu = euv_heating_per_sfu(column, height, cosine, EUV_REFERENCE_F107_SFU)
        return np.asarray(per_sfu / column.heat_capacity[:, None, None])

    def _magnetic(self, time: np.datetime64) -> tuple[FloatArray, FloatArray]:
        """Return magnetic latitude [degrees] and local time [h] of the cells; the axis is that of the month's first."""
        month = time.astype("datetime64[M]")
        if self._axis is None or self._axis[0] != month:
            self._axis = (month, dipole_axis(month.astype("datetime64[ns]")))
        axis = self._axis[1]
        latitude, longitude = np.broadcast_arrays(self._grid.latitude[:, None], self._grid.longitude[None, :])
        return axis.coordinates(latitude, longitude)[0], axis.local_time(latitude, longitude, time)
