"""Travelling disturbances: single waves that leave both ovals at moments drawn from the seed, and fade on their way."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from da.constants import EARTH_RADIUS
from da.drivers import Drivers
from da.seeding import Purpose, stream
from da.twin.dipole import Dipole
from da.twin.storm_response import AP_SCALE, OVAL_LATITUDE_DEG, OVAL_SHIFT_PER_KP_DEG, kp_to_ap

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]
Range = tuple[float, float]

DAY_STREAMS = 10_000
"""Number of the random stream of the disturbances of 1970 January 1; each later day has the next one."""

LIFETIMES = 5.0
"""After this many damping times a disturbance, below 1 % of its amplitude, is left out."""

_MOST_PER_DAY = 48.0
_SECTOR_SQUARED = float(np.radians(60.0) ** 2)
_POLE_DISTANCE_DEG, _POLE_EDGE_DEG = 12.0, 3.0
_RISE_H = 0.5
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True)
class TravellingDisturbance:
    """One disturbance, seen in both hemispheres.

    Parameters
    ----------
    launch : datetime64
        Before it there is nothing; its crest leaves the ovals' middle then, at the reference height.
    amplitude_north, amplitude_south : float
        Before it fades, ln density at the reference height.
    speed_m_s : float
    oval_latitude : float
        Magnetic latitude of the ovals' middle, degrees.
    magnetic_longitude : float
        About which it is strongest, degrees.
    """

    launch: np.datetime64
    amplitude_north: float
    amplitude_south: float
    speed_m_s: float
    oval_latitude: float
    magnetic_longitude: float


@dataclass(frozen=True, eq=False)
class TravellingDisturbances:
    r"""All disturbances of a seed.

    Candidates are drawn for each UTC day from a random stream of its own, and kept with a probability that follows
    the activity of their moment, so that what happens does not depend on the period that is asked for: the expected
    number per day is ``rate x (0.25 + x / (1 + x))`` with ``x = max(ap - quiet_ap, 0) / 100``. From each oval one
    leaves with an amplitude that is ``amplitude (0.5 + x / (1 + x))`` times a factor drawn between 0.5 and 1.5:

    .. math::

       w = a \, r(t') \, C(\lambda_m) \, e^{-\xi^2/2} \cos(\pi \xi), \quad \xi = (d - v (t' + l)) / width

    with the age ``t'`` since the launch, at which it begins to rise within half an hour, and fades,
    ``r = (1 - exp(-(t' / 0.5 h)^2)) exp(-t' / damping)``; the distance ``d`` from the oval along the magnetic meridian,
    equatorward and beyond the equator; the sector ``C = exp((cos(dl) - 1) / (pi/3)^2)`` about a magnetic longitude
    within 60 degrees of midnight; and the lead ``l = (z - reference) / v_z``: like gravity waves whose energy goes up,
    the phase goes down, and greater heights are reached first. Nothing is left poleward of 78 degrees.

    Parameters
    ----------
    drivers : Drivers
        Their Kp.
    seed : int
    rate_per_day, amplitude : float
    speed_range_m_s : tuple of 2 floats
    damping_time_h, width_km, vertical_phase_speed_m_s : float
    quiet_ap, reference_altitude_km : float
    dipole : Dipole
    """

    drivers: Drivers
    seed: int
    rate_per_day: float
    amplitude: float
    speed_range_m_s: Range
    damping_time_h: float
    width_km: float
    vertical_phase_speed_m_s: float
    quiet_ap: float
    reference_altitude_km: float
    dipole: Dipole = field(default_factory=Dipole)
    _kept: dict[int, tuple[TravellingDisturbance, ...]] = field(default_factory=dict, init=False, repr=False)

    def evaluate(
        self, time: TimeArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
    ) -> FloatArray:
        """Return ``w``, before its growth with height, at times and places (n,), heights (n,) or (heights, n) [km].

        Raises
        ------
        ThermodaError
            If the drivers do not hold the times and those some hours before.
        """
        result = np.zeros(np.broadcast_shapes(altitude_km.shape, time.shape))
        if self.amplitude == 0.0 or self.rate_per_day == 0.0 or time.size == 0:
            return result
        magnetic_latitude, magnetic_longitude = self.dipole.coordinates(latitude, longitude)
        above_km = np.broadcast_to(altitude_km - self.reference_altitude_km, result.shape)
        lead_h = above_km / (3.6 * self.vertical_phase_speed_m_s)
        for one in self.between(time.min() - self._lifetime(), time.max()):
            age_h = (time - one.launch).astype("timedelta64[ns]").astype(np.int64) / _HOUR_NS
            seen = np.flatnonzero((age_h > 0.0) & (age_h < LIFETIMES * self.damping_time_h))
            if seen.size:
                places = (magnetic_latitude[seen], magnetic_longitude[seen])
                result[..., seen] += self._wave(one, age_h[seen], lead_h[..., seen], *places)
        return result

    def between(self, first: np.datetime64, last: np.datetime64) -> tuple[TravellingDisturbance, ...]:
        """Return the disturbances that were launched in ``[first, last)``; days without drivers have none."""
        first_day = max(first.astype("datetime64[D]"), self.drivers.day[0])
        last_day = min(last.astype("datetime64[D]"), self.drivers.day[-1])
        days = np.arange(first_day, last_day + np.timedelta64(1, "D"))
        launched = (one for day in days for one in self._of_day(int(day.astype(np.int64))))
        return tuple(one for one in launched if first <= one.launch < last)

    def _lifetime(self) -> np.timedelta64:
        return np.timedelta64(round(LIFETIMES * self.damping_time_h * _HOUR_NS), "ns")

    def _of_day(self, day: int) -> tuple[TravellingDisturbance, ...]:
        if day not in self._kept:
            self._kept[day] = tuple(self._drawn(day))
        return self._kept[day]

    def _drawn(self, day: int) -> list[TravellingDisturbance]:
        rng = stream(self.seed, Purpose.TWIN_TRUTH, DAY_STREAMS + day)
        count = int(rng.poisson(_MOST_PER_DAY))
        chance, hour, north, south, speed, sector = rng.uniform(size=(6, count))
        launch = np.datetime64(day, "D") + np.round(24.0 * _HOUR_NS * hour).astype("timedelta64[ns]")
        kp = self.drivers.kp(launch)
        x = np.maximum(kp_to_ap(kp) - self.quiet_ap, 0.0) / AP_SCALE
        share = x / (1.0 + x)
        midnight = self.dipole.midnight_longitude(launch)
        amplitude = self.amplitude * (0.5 + share)
        slowest, fastest = self.speed_range_m_s
        return [
            TravellingDisturbance(
                launch[i],
                float(amplitude[i] * (0.5 + north[i])),
                float(amplitude[i] * (0.5 + south[i])),
                float(slowest + (fastest - slowest) * speed[i]),
                float(OVAL_LATITUDE_DEG - OVAL_SHIFT_PER_KP_DEG * kp[i]),
                float(midnight[i] + 120.0 * (sector[i] - 0.5)),
            )
            for i in np.flatnonzero(chance * _MOST_PER_DAY < self.rate_per_day * (0.25 + share))
        ]

    def _wave(
        self,
        one: TravellingDisturbance,
        age_h: FloatArray,
        lead_h: FloatArray,
        latitude: FloatArray,
        longitude: FloatArray,
    ) -> FloatArray:
        sector = np.exp((np.cos(np.radians(longitude - one.magnetic_longitude)) - 1.0) / _SECTOR_SQUARED)
        polar = 1.0 / (1.0 + np.exp((np.abs(latitude) - 90.0 + _POLE_DISTANCE_DEG) / _POLE_EDGE_DEG))
        wave = np.zeros_like(lead_h)
        for sign, amplitude in ((1.0, one.amplitude_north), (-1.0, one.amplitude_south)):
            distance_km = 1e-3 * EARTH_RADIUS * np.radians(one.oval_latitude - sign * latitude)
            phase = (distance_km - 3.6 * one.speed_m_s * (age_h + lead_h)) / self.width_km
            wave += amplitude * np.exp(-0.5 * phase**2) * np.cos(np.pi * phase)
        lasting = np.exp(-age_h / self.damping_time_h) * -np.expm1(-((age_h / _RISE_H) ** 2))
        return np.asarray(wave * lasting * sector * polar, dtype=np.float64)
