"""What heats and cools the members beyond the quiet reference: the oval, their own F10.7, and NO."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers
from da.model import MemberInputs, StateGrid
from model_adapters.column_physics import fitted
from model_adapters.column_physics.cooling import auroral_nitric_oxide, lagged
from model_adapters.column_physics.euv import euv_heating_per_sfu
from model_adapters.column_physics.geomagnetic import solar_zenith_angle
from model_adapters.column_physics.heating import (
    CHARACTERISTIC_ENERGY_KEV,
    GIGAWATT,
    joule_power_gw,
    joule_profile,
    particle_heating_power_gw,
    particle_profile,
)
from model_adapters.column_physics.high_latitude import HighLatitudeHeating, PowerHistory
from model_adapters.column_physics.thermal import ReferenceColumn
from model_adapters.column_physics.waves import ComplexArray, WaveAdjustment

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

NITRIC_OXIDE_HISTORY = np.timedelta64(72, "h")
"""How far back NO remembers: three times its lag. What came before weighs 5 %, and counts as the first hour of it."""

EUV_REFERENCE_F107_SFU = 100.0
"""About which heating per F10.7 is taken; it is linear but for a floor of the fluxes."""

ENERGY_NODES_KEV = CHARACTERISTIC_ENERGY_KEV * np.array([0.5, 1.0, 2.0])
"""Profiles of particles are quadratic in ln E between these, and held beyond them."""


@dataclass(frozen=True)
class Heating:
    """Heating of temperature anomalies at a time.

    Parameters
    ----------
    profiles : array (levels, sources)
        Of the oval's sources [K s-1 per GW m-2].
    spectra : array (sources, wavenumbers, modes, members)
        Of their maps [GW m-2].
    patterns, amplitudes : array (levels, latitudes, longitudes, n), (n, members)
        Other heating, the same but for a factor in all members [K s-1].
    """

    profiles: FloatArray
    spectra: ComplexArray
    patterns: FloatArray
    amplitudes: FloatArray


class Forcing:
    """Heating and NO of the members at a time.

    Parameters
    ----------
    grid : StateGrid
    waves : WaveAdjustment
        Which takes heat out of the oval.
    """

    def __init__(self, grid: StateGrid, waves: WaveAdjustment) -> None:
        self._grid = grid
        self.high_latitude = HighLatitudeHeating(grid, waves)

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
        own = PowerHistory(inputs.required_drivers(), lambda times: _powers(times, inputs, members))
        counted = PowerHistory(quiet, lambda times: _powers(times, MemberInputs({}, quiet), 1))
        spectra = self.high_latitude.spectra(time, own) - self.high_latitude.spectra(time, counted)
        shares = particle_profile(column, CHARACTERISTIC_ENERGY_KEV)
        energy = CHARACTERISTIC_ENERGY_KEV + inputs.perturbation("auroral_energy_kev", members)
        if np.any(energy != CHARACTERISTIC_ENERGY_KEV):
            shares = particle_profile(column, ENERGY_NODES_KEV)
            weights = _energy_weights(energy)
            spectra = np.concatenate([spectra[:1], weights[:, None, None, :] * spectra[1:]])
        profiles = np.column_stack([joule_profile(column), shares]) * GIGAWATT / column.heat_capacity[:, None]
        offset = inputs.perturbation("f107_sfu", members)
        patterns = np.empty((*self._grid.shape, 0))
        if offset.any():
            patterns = self._euv_per_sfu(column, height, time)[..., None]
        return Heating(profiles, spectra, patterns, fitted.EUV_FACTOR * offset[None][: patterns.shape[-1]])

    def more_nitric_oxide(self, time: np.datetime64, inputs: MemberInputs, quiet: Drivers, members: int) -> FloatArray:
        """Return NO beyond that of the reference (2, members): in units of climatological and of auroral NO.

        Auroral NO follows the power of the past days; a member's factor multiplies both.
        """
        step = np.timedelta64(1, "h")
        times = np.arange(time - NITRIC_OXIDE_HISTORY, time + step, step)
        here = inputs.required_drivers().high_latitude(
            times,
            velocity_offset_km_s=_solar_wind_offset(inputs, "solar_wind_velocity_km_s", members),
            density_offset_cm3=_solar_wind_offset(inputs, "solar_wind_density_cm3", members),
            power_offset_gw=inputs.perturbation("hemispheric_power_gw", members),
        )
        power = np.maximum(here.hemispheric_power_gw, 0.0)
        remembered = lagged(times, power, np.array([time]), fitted.NITRIC_OXIDE_LAG_S)[0]
        calm = float(quiet.hemispheric_power_gw(np.array([time]))[0])
        auroral = auroral_nitric_oxide(remembered, calm, fitted.NITRIC_OXIDE_GAIN_PER_GW)
        offset = inputs.perturbation("nitric_oxide_ln_factor", members)
        return np.stack([np.expm1(offset), np.exp(offset) * auroral])

    def _euv_per_sfu(self, column: ReferenceColumn, height: FloatArray, time: np.datetime64) -> FloatArray:
        """Return heating by 1 sfu of F10.7 (levels, latitudes, longitudes) [K s-1]."""
        latitude, longitude = self._grid.latitude[:, None], self._grid.longitude[None, :]
        cosine = np.cos(np.radians(solar_zenith_angle(latitude, longitude, time)))
        per_sfu = euv_heating_per_sfu(column, height, cosine, EUV_REFERENCE_F107_SFU)
        return np.asarray(per_sfu / column.heat_capacity[:, None, None])


def _powers(times: TimeArray, inputs: MemberInputs, members: int) -> FloatArray:
    """Return Joule and particle heating of the whole globe (2, times, members) [GW]."""
    drivers = inputs.required_drivers()
    here = drivers.high_latitude(
        times,
        velocity_offset_km_s=_solar_wind_offset(inputs, "solar_wind_velocity_km_s", members),
        density_offset_cm3=_solar_wind_offset(inputs, "solar_wind_density_cm3", members),
        power_offset_gw=inputs.perturbation("hemispheric_power_gw", members),
        potential_offset_kv=inputs.perturbation("cross_tail_potential_kv", members),
    )
    joule = fitted.JOULE_FACTOR * joule_power_gw(here.hemispheric_power_gw, here.cross_tail_potential_kv)
    joule = joule * np.exp(inputs.perturbation("joule_ln_factor", members))
    return np.stack([joule, particle_heating_power_gw(here.hemispheric_power_gw)])


def _solar_wind_offset(inputs: MemberInputs, name: str, members: int) -> FloatArray | float:
    """Return the offsets of a solar-wind input; without any, 0, which every source of the drivers takes."""
    offset = inputs.perturbation(name, members)
    return offset if offset.any() else 0.0


def _energy_weights(energy_kev: FloatArray) -> FloatArray:
    """Return the weights of the nodes (nodes, members), Lagrange's in ln E."""
    nodes = np.log(ENERGY_NODES_KEV)
    at = np.log(np.clip(energy_kev, ENERGY_NODES_KEV[0], ENERGY_NODES_KEV[-1]))
    weights = np.ones((nodes.size, at.size))
    for k, own in enumerate(nodes):
        for other in np.delete(nodes, k):
            weights[k] *= (at - other) / (own - other)
    return weights
