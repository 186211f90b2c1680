"""Where the heat of the oval goes: maps of Joule and particle heating after the winds of the past two days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers
from da.model import StateGrid
from model_adapters.column_physics.geomagnetic import DipoleAxis, dipole_axis, subsolar_point
from model_adapters.column_physics.heating import (
    auroral_oval,
    cell_areas,
    joule_map,
    northern_joule_share,
    particle_map,
)
from model_adapters.column_physics.waves import ComplexArray, WaveAdjustment

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

HOUR = np.timedelta64(3600, "s").astype("timedelta64[ns]")

HISTORY_H = 48
"""Heating further back has done its work: what is left of its wave is below 1 % (:mod:`fitted`)."""

CACHED_SPECTRA = 4 * HISTORY_H
CACHED_WEIGHTS = 8


@dataclass(frozen=True)
class PowerHistory:
    """Powers of Joule and particle heating at any time of the past, with their oval.

    Parameters
    ----------
    drivers : Drivers
        Of the oval, which is one for all members.
    power_gw : callable
        ``power_gw(times)`` returns the powers on the whole globe (2, times, members) [GW]: Joule, particles.
    """

    drivers: Drivers
    power_gw: Callable[[TimeArray], FloatArray]


class HighLatitudeHeating:
    """Maps of the heating, in hours of the clock, of which spectra are kept.

    Parameters
    ----------
    grid : StateGrid
    waves : WaveAdjustment
    """

    def __init__(self, grid: StateGrid, waves: WaveAdjustment) -> None:
        self._grid, self._waves = grid, waves
        self._area = cell_areas(grid.latitude, grid.longitude.size)
        self._axis: tuple[np.datetime64, DipoleAxis] | None = None
        # The drivers are kept with what was computed from them: the identity of a living object is unique.
        self._spectra: dict[tuple[int, int], tuple[Drivers, ComplexArray]] = {}
        self._weights: dict[int, ComplexArray] = {}

    def spectra(self, time: np.datetime64, history: PowerHistory) -> ComplexArray:
        """Return the spectra (2, wavenumbers, modes, members) of what is left of both heatings at a time [GW m-2].

        That is the heating less the cooling by expansion. Heating of the past is held over hours of the clock.
        """
        hours = self._hours(time)
        middles = hours + HOUR // 2
        weights = self._expansion(time, hours)
        now = (
            self._maps_spectra(history.drivers, time)[..., None]
            * history.power_gw(np.array([time]))[:, 0][:, None, None, :]
        )
        past = np.stack([self._kept_spectra(history.drivers, middle) for middle in middles])
        powers = history.power_gw(middles)
        result = np.empty(now.shape, dtype=np.complex128)
        for kind in range(len(now)):
            factors = (weights * past[:, kind]).reshape(hours.size, -1).T
            cooling = factors.real @ powers[kind] + 1j * (factors.imag @ powers[kind])
            result[kind] = now[kind] - cooling.reshape(now[kind].shape)
        return result

    def spread(self, spectra: ComplexArray, elapsed_s: float) -> FloatArray:
        """Return maps (sources, latitudes, longitudes, members) of spectra, diffused and turned for a time."""
        drift = self._waves.drift(elapsed_s)[..., None]
        return np.stack([self._waves.maps(drift * one) for one in spectra])

    def _hours(self, time: np.datetime64) -> TimeArray:
        """Return the beginnings of the last hours of the clock, the current one last."""
        current = time.astype("datetime64[h]").astype("datetime64[ns]")
        return np.asarray(current + HOUR * np.arange(1 - HISTORY_H, 1))

    def _expansion(self, time: np.datetime64, hours: TimeArray) -> ComplexArray:
        key = int((time - hours[-1]).astype(np.int64))
        if key not in self._weights:
            while len(self._weights) >= CACHED_WEIGHTS:
                self._weights.pop(next(iter(self._weights)))
            since_begin = (time - hours) / np.timedelta64(1, "s")
            since_end = np.maximum(since_begin - 3600.0, 0.0)
            self._weights[key] = self._waves.expansion(since_begin, since_end)
        return self._weights[key]

    def _kept_spectra(self, drivers: Drivers, time: np.datetime64) -> ComplexArray:
        key = (id(drivers), int(time.astype(np.int64)))
        if key not in self._spectra:
            while len(self._spectra) >= CACHED_SPECTRA:
                self._spectra.pop(next(iter(self._spectra)))
            self._spectra[key] = (drivers, self._maps_spectra(drivers, time))
        return self._spectra[key][1]

    def _maps_spectra(self, drivers: Drivers, time: np.datetime64) -> ComplexArray:
        """Return the spectra (2, wavenumbers, modes) of the shares of the globe's Joule and particle heating [m-2]."""
        at = np.array([time])
        oval = auroral_oval(drivers.hemispheric_power_gw(at), drivers.cross_tail_potential_kv(at))
        latitude, local_time = self._magnetic(time)
        cell_deg = 180.0 / self._grid.latitude.size
        share = northern_joule_share(subsolar_point(time).latitude)
        joule = joule_map(oval, latitude, local_time, self._area, northern_share=share)
        particles = particle_map(oval, latitude, local_time, self._area, resolution_deg=cell_deg)
        return self._waves.spectrum(np.stack([joule[..., 0], particles[..., 0]]))

    def _magnetic(self, time: np.datetime64) -> tuple[FloatArray, FloatArray]:
        """Return magnetic latitude [degrees] and local time [h] of the cells; the axis is that of the month's first."""
        month = time.astype("datetime64[M]")
        if self._axis is None or self._axis[0] != month:
            self._axis = (month, dipole_axis(month.astype("datetime64[ns]")))
        axis = self._axis[1]
        latitude, longitude = np.broadcast_arrays(self._grid.latitude[:, None], self._grid.longitude[None, :])
        return axis.coordinates(latitude, longitude)[0], axis.local_time(latitude, longitude, time)
