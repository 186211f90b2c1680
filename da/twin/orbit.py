"""A circular satellite orbit about the oblate, rotating Earth: positions at any time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.constants import EARTH_EQUATORIAL_RADIUS, EARTH_GM, EARTH_J2
from da.geodesy import geodetic_from_cartesian, greenwich_sidereal_angle_deg

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_SECONDS_PER_DAY = 86400.0
_DEGREES_PER_HOUR = 15.0
_MEAN_SUN_DEG_PER_DAY = 0.98564736629
"""Motion of the mean Sun in right ascension: the excess of the sidereal angle over 360 degrees in a day."""
_MEAN_HEIGHT_POINTS = 256
_MEAN_HEIGHT_ROUNDS = 4


class GeodeticPosition(NamedTuple):
    """Positions (n,): degrees, longitude in [-180, 180), and km above the WGS84 ellipsoid."""

    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray


def _height_on_circle(radius_m: float, sine_of_latitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return geodetic latitude [deg] and height [m] of a radius and the sine of a geocentric latitude."""
    cosine = np.sqrt(np.maximum(1.0 - sine_of_latitude**2, 0.0))
    return geodetic_from_cartesian(radius_m * cosine, radius_m * sine_of_latitude)


@dataclass(frozen=True)
class CircularOrbit:
    """Circular orbit with the secular perturbations of J2.

    The geocentric radius ``r`` is constant, so the height above the ellipsoid varies along the orbit by up to
    21 km (lowest over the equator, highest over the poles). ``altitude_km`` is the **mean** of that height
    over one revolution, and ``r`` is computed from it. Short-periodic oscillations by J2 (about 10 km), drag,
    higher harmonics and the motion of the pole are left out.

    Node and argument of latitude move uniformly, with ``n = sqrt(GM / r^3)`` and
    ``k = (3/2) J2 (R_e / r)^2`` (Vallado 2013, Fundamentals of Astrodynamics and Applications, Chap. 9, for
    eccentricity 0)::

        d node / dt = -n k cos i
        d u / dt    =  n (1 + k (3 - 4 sin^2 i))

    Parameters
    ----------
    altitude_km : float
        Mean height above the WGS84 ellipsoid [km], positive.
    inclination_deg : float
        0 to 180.
    right_ascension_deg : float
        Right ascension of the ascending node at the epoch, counted from the mean equinox.
    argument_of_latitude_deg : float
        Angle along the orbit from the ascending node at the epoch.
    epoch : datetime64, UTC

    Raises
    ------
    ValueError
        If a number is not finite, the altitude not positive or the inclination out of range.
    """

    altitude_km: float
    inclination_deg: float
    right_ascension_deg: float
    argument_of_latitude_deg: float
    epoch: np.datetime64

    def __post_init__(self) -> None:
        """Refuse impossible elements."""
        angles = (self.right_ascension_deg, self.argument_of_latitude_deg)
        if not np.all(np.isfinite(angles)) or np.isnat(self.epoch):
            raise ValueError("the angles and the epoch of an orbit must be finite")
        if not (np.isfinite(self.altitude_km) and self.altitude_km > 0.0):
            raise ValueError(f"altitude_km must be positive, not {self.altitude_km}")
        if not 0.0 <= self.inclination_deg <= 180.0:
            raise ValueError(f"inclination_deg must lie within 0 and 180, not {self.inclination_deg}")

    @classmethod
    def from_node_local_time(
        cls,
        altitude_km: float,
        inclination_deg: float,
        node_local_time_h: float,
        argument_of_latitude_deg: float,
        epoch: np.datetime64,
    ) -> CircularOrbit:
        """Return the orbit whose ascending node stands at a local mean solar time [h] at the epoch.

        The longitude of the node is ``15 (LT - UT)`` degrees; its right ascension adds the sidereal angle.
        """
        longitude = _DEGREES_PER_HOUR * (node_local_time_h - float(_universal_time_h(epoch)))
        right_ascension = float(np.mod(longitude + greenwich_sidereal_angle_deg(epoch), 360.0))
        return cls(altitude_km, inclination_deg, right_ascension, argument_of_latitude_deg, epoch)

    @cached_property
    def radius_m(self) -> float:
        """Constant geocentric radius [m] at which the mean height above the ellipsoid is ``altitude_km``.

        Fixed-point iteration: the mean height grows with the radius at a slope within 1e-5 of one, so that
        each round gains five digits.
        """
        u = np.linspace(0.0, 2.0 * np.pi, _MEAN_HEIGHT_POINTS, endpoint=False)
        sine = np.sin(np.radians(self.inclination_deg)) * np.sin(u)
        radius = EARTH_EQUATORIAL_RADIUS + 1.0e3 * self.altitude_km
        for _ in range(_MEAN_HEIGHT_ROUNDS):
            radius += 1.0e3 * self.altitude_km - float(np.mean(_height_on_circle(radius, sine)[1]))
        return radius

    @property
    def kepler_period_s(self) -> float:
        """Period of the unperturbed orbit, ``2 pi sqrt(r^3 / GM)`` [s]."""
        return float(2.0 * np.pi * np.sqrt(self.radius_m**3 / EARTH_GM))

    @property
    def nodal_period_s(self) -> float:
        """Time from one ascending node to the next, with J2 [s]."""
        return 360.0 * _SECONDS_PER_DAY / self._latitude_argument_rate_deg_per_day

    @property
    def node_rate_deg_per_day(self) -> float:
        """Precession of the node [degrees per day], positive eastward."""
        return -self._mean_motion_deg_per_day * self._oblateness * float(np.cos(np.radians(self.inclination_deg)))

    @property
    def local_time_rate_h_per_day(self) -> float:
        """Drift of the local mean solar time of the node [h per day]; zero for a sun-synchronous orbit."""
        return (self.node_rate_deg_per_day - _MEAN_SUN_DEG_PER_DAY) / _DEGREES_PER_HOUR

    @property
    def _mean_motion_deg_per_day(self) -> float:
        return 360.0 * _SECONDS_PER_DAY / self.kepler_period_s

    @property
    def _oblateness(self) -> float:
        return 1.5 * EARTH_J2 * (EARTH_EQUATORIAL_RADIUS / self.radius_m) ** 2

    @property
    def _latitude_argument_rate_deg_per_day(self) -> float:
        sine = float(np.sin(np.radians(self.inclination_deg)))
        return self._mean_motion_deg_per_day * (1.0 + self._oblateness * (3.0 - 4.0 * sine**2))

    def node_local_time_h(self, time: ArrayLike) -> FloatArray:
        """Return the local mean solar time of the ascending node [h], array (n,) in [0, 24)."""
        stamps = _as_times(time)
        longitude = self._node_deg(stamps) - greenwich_sidereal_angle_deg(stamps)
        return np.asarray(np.mod(_universal_time_h(stamps) + longitude / _DEGREES_PER_HOUR, 24.0), dtype=np.float64)

    def positions(self, time: ArrayLike) -> GeodeticPosition:
        """Return where the satellite is.

        Parameters
        ----------
        time : array (n,) or scalar, datetime64, UTC
            Before or after the epoch.

        Returns
        -------
        GeodeticPosition
            Arrays (n,): geodetic latitude, longitude, height above the ellipsoid [km].
        """
        stamps = _as_times(time)
        rate = self._latitude_argument_rate_deg_per_day
        u = np.radians(self.argument_of_latitude_deg + rate * self._days(stamps))
        inclination = np.radians(self.inclination_deg)
        from_node = np.degrees(np.arctan2(np.cos(inclination) * np.sin(u), np.cos(u)))
        longitude = self._node_deg(stamps) + from_node - greenwich_sidereal_angle_deg(stamps)
        latitude, height = _height_on_circle(self.radius_m, np.sin(inclination) * np.sin(u))
        return GeodeticPosition(latitude, np.mod(longitude + 180.0, 360.0) - 180.0, 1.0e-3 * height)

    def _node_deg(self, time: TimeArray) -> FloatArray:
        return self.right_ascension_deg + self.node_rate_deg_per_day * self._days(time)

    def _days(self, time: TimeArray) -> FloatArray:
        elapsed = (time - self.epoch.astype("datetime64[ns]")).astype(np.int64)
        return np.asarray(elapsed / (_SECONDS_PER_DAY * 1.0e9), dtype=np.float64)


def _as_times(time: ArrayLike) -> TimeArray:
    return np.atleast_1d(np.asarray(time, dtype="datetime64[ns]"))


def _universal_time_h(time: ArrayLike) -> FloatArray:
    stamps: TimeArray = np.asarray(time, dtype="datetime64[ns]")
    since_midnight = (stamps - stamps.astype("datetime64[D]")).astype("timedelta64[ns]").astype(np.int64)
    return np.asarray(since_midnight / 3600.0e9, dtype=np.float64)
