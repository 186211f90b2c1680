"""The storm term of the synthetic truth: heating of the auroral ovals after the drivers, integrated once and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from da.drivers import AP_OF_KP_THIRDS, Drivers
from da.errors import ThermodaError
from da.twin.dipole import Dipole, sine_of_declination
from da.twin.storm_dynamics import STEP_S, StormLayer

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

AP_SCALE = 100.0
"""Unit of the activity above the quiet level: a lasting ap of 100 above it is a storm of Kp 6."""

OVAL_LATITUDE_DEG, OVAL_SHIFT_PER_KP_DEG = 70.0, 1.0
"""Magnetic latitude of the ovals' middle at Kp 0, and how far each unit of Kp brings them equatorward."""

_OVAL_WIDTH_DEG = 9.0
_NIGHT_SHARE = 0.4
_SUMMER_SHARE = 0.6
_SLOW_BELOW_KM, _FAST_ABOVE_KM = 120.0, 300.0
_TOP_KM = 700.0
_STEP_NS = round(1.0e9 * STEP_S)


def kp_to_ap(kp: FloatArray) -> FloatArray:
    """Return ap [2 nT] of Kp, linear between thirds."""
    return np.asarray(np.interp(3.0 * kp, np.arange(AP_OF_KP_THIRDS.size), AP_OF_KP_THIRDS), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class StormResponse:
    r"""Response in ln density to the geomagnetic activity since the drivers begin.

    The heating of :class:`~da.twin.storm_dynamics.StormLayer` is

    .. math:: Q = (r / \tau) \, P(t, lat, lon) \, x / (1 + x / s), \quad x = \max(ap - ap_q, 0) / 100

    with the ap of the 3-hour interval that holds ``t`` (never of a later one) and a pattern ``P`` of global mean 1: a
    ring about each magnetic pole, wider equatorward the larger Kp, stronger about magnetic midnight and in the summer
    hemisphere. The integration begins at rest with the first day that the drivers hold; those that
    `da.drivers.load_drivers` returns reach back by five days before what they were loaded for, four cooling times: 1 %
    of an earlier storm is missed.

    Height enters by ``A(z) = (z - base) / (reference - base)``, zero below ``base`` and constant above 700 km: what an
    expanding column does to ln density. Below 300 km ever more of ``h`` is replaced by its mean over the past,
    ``dg/dt = (h - g) / descent``, and all of it below 120 km.

    Parameters
    ----------
    drivers : Drivers
    layer : StormLayer
    response : float
        r, ln density at the reference height: the global mean that a lasting ap of 100 above the quiet level would
        tend to without saturation and overcooling. Zero switches the term off.
    quiet_ap : float
        ap [2 nT] up to which there is no heating.
    saturation_ap : float
        ap above the quiet level at which the heating is half of what it would be without saturation: ``100 s``.
    base_altitude_km, reference_altitude_km : float
        Heights where ``A`` is 0 and 1.
    descent_time_h : float
        Time by which the lower thermosphere lags.
    dipole : Dipole

    Raises
    ------
    ValueError
        If a time, a height or the saturation makes no sense.
    """

    drivers: Drivers
    layer: StormLayer
    response: float
    quiet_ap: float
    saturation_ap: float
    base_altitude_km: float
    reference_altitude_km: float
    descent_time_h: float
    dipole: Dipole = field(default_factory=Dipole)

    def __post_init__(self) -> None:
        """Refuse a response without meaning."""
        if not (self.saturation_ap > 0.0 and self.descent_time_h > 0.0):
            raise ValueError("storm: saturation_ap and descent_time_h must be positive")
        if not self.base_altitude_km < self.reference_altitude_km:
            raise ValueError("storm: base_altitude_km must lie below reference_altitude_km")

    def evaluate(
        self, time: TimeArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
    ) -> FloatArray:
        """Return the change of ln density at times and places (n,) [degrees] and heights (n,) or (heights, n) [km].

        Raises
        ------
        ThermodaError
            If the drivers do not hold a time.
        """
        shape = np.broadcast_shapes(altitude_km.shape, time.shape)
        if self.response == 0.0 or time.size == 0:
            return np.zeros(shape)
        fast, slow = self.expansion(time, latitude, longitude)
        share = np.interp(altitude_km, [_SLOW_BELOW_KM, _FAST_ABOVE_KM], [1.0, 0.0])
        return np.asarray(self.height_profile(altitude_km) * (fast + share * (slow - fast)), dtype=np.float64)

    def height_profile(self, altitude_km: FloatArray) -> FloatArray:
        """Return ``A`` at heights [km] of any shape."""
        above = np.minimum(altitude_km, _TOP_KM) - self.base_altitude_km
        return np.asarray(np.maximum(above, 0.0) / (self.reference_altitude_km - self.base_altitude_km))

    def expansion(self, time: TimeArray, latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``h`` and its lagged mean ``g`` at times and places (n,), linear in time between steps."""
        series = self._series
        position = (time.astype("datetime64[ns]") - self._start).astype(np.int64) / _STEP_NS
        if position.size and (position.min() < 0.0 or position.max() > series.shape[0] - 1):
            days = self.drivers.day
            raise ThermodaError(
                f"twin: the storm term needs drivers from {time.min()} to {time.max()}, but they hold the days "
                f"{days[0]} to {days[-1]}"
            )
        if np.ptp(position) == 0.0:
            position = position[:1]
        before = np.minimum(position.astype(np.int64), series.shape[0] - 2)
        weight = (position - before)[:, None, None]
        coefficients = (1.0 - weight) * series[before] + weight * series[before + 1]
        both = self.layer.harmonics.synthesis(coefficients, latitude, longitude)
        return both[:, 0], both[:, 1]

    def global_mean(self, time: TimeArray) -> FloatArray:
        """Return the global mean of ``h`` at times (n,)."""
        elapsed = (time.astype("datetime64[ns]") - self._start).astype(np.int64) / _STEP_NS
        means = self._series[:, 0, 0] * np.sqrt(0.25 / np.pi)
        return np.asarray(np.interp(elapsed, np.arange(means.size), means), dtype=np.float64)

    @property
    def _start(self) -> np.datetime64:
        return np.datetime64(self.drivers.day[0], "ns")

    @cached_property
    def _series(self) -> FloatArray:
        """Coefficients (times, K, 2) of ``h`` and ``g`` every `STEP_S` over the days of the drivers."""
        steps = round(self.drivers.day.size * 86400.0 / STEP_S)
        middles = self._start + np.timedelta64(_STEP_NS, "ns") * np.arange(steps) + np.timedelta64(_STEP_NS // 2, "ns")
        kp, declination = self.drivers.kp(middles), sine_of_declination(middles)
        midnight = self.dipole.midnight_longitude(middles)
        magnetic = self.dipole.coordinates(self.layer.grid.latitude, self.layer.grid.longitude)
        state, fading = self.layer.at_rest(), 1.0 - np.exp(-STEP_S / (3600.0 * self.descent_time_h))
        series = np.zeros((steps + 1, state.expansion.size, 2))
        strengths = self.heating(kp)
        # Before the first activity the layer is at rest.
        first = int(np.argmax(strengths > 0.0)) if np.any(strengths > 0.0) else steps
        for step in range(first, steps):
            strength = float(strengths[step])
            heating = np.zeros(state.expansion.size)
            if strength > 0.0:
                pattern = self._pattern(magnetic, float(kp[step]), float(midnight[step]), float(declination[step]))
                heating = strength * self.layer.project(pattern)
            state = self.layer.step(state, heating)
            series[step + 1, :, 0] = state.expansion
            series[step + 1, :, 1] = series[step, :, 1] + fading * (state.expansion - series[step, :, 1])
        return series

    def heating(self, kp: FloatArray) -> FloatArray:
        """Return the global-mean heating [s-1] at Kp (n,)."""
        x = np.maximum(kp_to_ap(kp) - self.quiet_ap, 0.0) / AP_SCALE
        saturated = x / (1.0 + x * AP_SCALE / self.saturation_ap)
        return np.asarray(self.response / (3600.0 * self.layer.cooling_time_h) * saturated, dtype=np.float64)

    def _pattern(
        self, magnetic: tuple[FloatArray, FloatArray], kp: float, midnight: float, declination: float
    ) -> FloatArray:
        latitude, longitude = magnetic
        from_oval = np.abs(latitude) - (OVAL_LATITUDE_DEG - OVAL_SHIFT_PER_KP_DEG * kp)
        ring = np.exp(-0.5 * (from_oval / _OVAL_WIDTH_DEG) ** 2)
        night = 1.0 + _NIGHT_SHARE * np.cos(np.radians(longitude - midnight)) * np.cos(np.radians(latitude))
        summer = 1.0 + _SUMMER_SHARE * np.sign(latitude) * declination
        pattern = ring * night * summer
        mean = np.sum(self.layer.grid.weight * pattern) / (4.0 * np.pi)
        return np.asarray(pattern / mean, dtype=np.float64)
