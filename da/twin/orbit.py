"""A satellite orbit about the oblate, rotating Earth in closed form: positions at any time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

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
_KEPLER_ROUNDS = 30
_LARGEST_ECCENTRICITY = 0.2


class GeodeticPosition(NamedTuple):
    """Positions (n,): degrees, longitude in [-180, 180), and km above the WGS84 ellipsoid."""

    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray


class Orbit(Protocol):
    """Whatever says where a satellite is."""

    def positions(self, time: ArrayLike) -> GeodeticPosition:
        """Return the positions at times (n,), datetime64, UTC."""
        ...


def _height_on_circle(radius_m: FloatArray | float, sine_of_latitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return geodetic latitude [deg] and height [m] of a radius and the sine of a geocentric latitude."""
    cosine = np.sqrt(np.maximum(1.0 - sine_of_latitude**2, 0.0))
    return geodetic_from_cartesian(radius_m * cosine, radius_m * sine_of_latitude)


@dataclass(frozen=True)
class AnalyticOrbit:
    """Kepler orbit with the secular perturbations of J2.

    Short-periodic oscillations by J2 (about 10 km), drag, higher harmonics and the motion of the pole are left out.
    On a circular orbit the geocentric radius is constant, so the height above the ellipsoid varies by up to 21 km
    (lowest over the equator, highest over the poles).

    With ``n = sqrt(GM / a^3)`` and ``k = (3/2) J2 (R_e / p)^2``, ``p = a (1 - e^2)`` (Vallado 2013, Fundamentals of
    Astrodynamics and Applications, Chap. 9)::

        d node / dt    = -n k cos i
        d perigee / dt =  n k (2 - (5/2) sin^2 i)
        d M / dt       =  n (1 + k sqrt(1 - e^2) (1 - (3/2) sin^2 i))

    Parameters
    ----------
    altitude_km : float
        Gives the semi-major axis ``a``: the mean height above the WGS84 ellipsoid [km], positive, of the circular
        orbit of radius ``a`` over one revolution. Perigee and apogee lie ``e a`` below and above.
    inclination_deg : float
        0 to 180.
    right_ascension_deg : float
        Right ascension of the ascending node at the epoch, counted from the mean equinox.
    argument_of_latitude_deg : float
        Angle along the orbit from the ascending node at the epoch.
    epoch : datetime64, UTC
    eccentricity : float
        0 to 0.2.
    argument_of_perigee_deg : float
        Angle from the ascending node to the perigee at the epoch; without meaning on a circular orbit.

    Raises
    ------
    ValueError
        If a number is not finite, the altitude not positive, or inclination or eccentricity out of range.
    """

    altitude_km: float
    inclination_deg: float
    right_ascension_deg: float
    argument_of_latitude_deg: float
    epoch: np.datetime64
    eccentricity: float = 0.0
    argument_of_perigee_deg: float = 0.0

    def __post_init__(self) -> None:
        """Refuse impossible elements."""
        angles = (self.right_ascension_deg, self.argument_of_latitude_deg, self.argument_of_perigee_deg)
        if not np.all(np.isfinite(angles)) or np.isnat(self.epoch):
            raise ValueError("the angles and the epoch of an orbit must be finite")
        if not (np.isfinite(self.altitude_km) and self.altitude_km > 0.0):
            raise ValueError(f"altitude_km must be positive, not {self.altitude_km}")
        if not 0.0 <= self.inclination_deg <= 180.0:
            raise ValueError(f"inclination_deg must lie within 0 and 180, not {self.inclination_deg}")
        if not 0.0 <= self.eccentricity <= _LARGEST_ECCENTRICITY:
            raise ValueError(f"eccentricity must lie within 0 and {_LARGEST_ECCENTRICITY}, not {self.eccentricity}")

    @classmethod
    def from_node_local_time(
        cls,
        altitude_km: float,
        inclination_deg: float,
        node_local_time_h: float,
        argument_of_latitude_deg: float,
        epoch: np.datetime64,
    ) -> AnalyticOrbit:
        """Return the circular orbit whose ascending node stands at a local mean solar time [h] at the epoch.

        The longitude of the node is ``15 (LT - UT)`` degrees; its right ascension adds the sidereal angle.
        """
        longitude = _DEGREES_PER_HOUR * (node_local_time_h - float(_universal_time_h(epoch)))
        right_ascension = float(np.mod(longitude + greenwich_sidereal_angle_deg(epoch), 360.0))
        return cls(altitude_km, inclination_deg, right_ascension, argument_of_latitude_deg, epoch)

    @cached_property
    def semi_major_axis_m(self) -> float:
        """Radius [m] of the circular orbit whose mean height above the ellipsoid is ``altitude_km``.

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
        """Period of the unperturbed orbit, ``2 pi sqrt(a^3 / GM)`` [s]."""
        return float(2.0 * np.pi * np.sqrt(self.semi_major_axis_m**3 / EARTH_GM))

    @property
    def nodal_period_s(self) -> float:
        """Mean time from one ascending node to the next, with J2 [s]."""
        return 360.0 * _SECONDS_PER_DAY / (self.perigee_rate_deg_per_day + self._anomaly_rate_deg_per_day)

    @property
    def node_rate_deg_per_day(self) -> float:
        """Precession of the node [degrees per day], positive eastward."""
        return -self._mean_motion_deg_per_day * self._oblateness * float(np.cos(np.radians(self.inclination_deg)))

    @property
    def perigee_rate_deg_per_day(self) -> float:
        """Motion of the perigee along the orbit [degrees per day]."""
        return self._mean_motion_deg_per_day * self._oblateness * (2.0 - 2.5 * self._sine_squared)

    @property
    def local_time_rate_h_per_day(self) -> float:
        """Drift of the local mean solar time of the node [h per day]; zero for a sun-synchronous orbit."""
        return (self.node_rate_deg_per_day - _MEAN_SUN_DEG_PER_DAY) / _DEGREES_PER_HOUR

    @property
    def _mean_motion_deg_per_day(self) -> float:
        return 360.0 * _SECONDS_PER_DAY / self.kepler_period_s

    @property
    def _oblateness(self) -> float:
        parameter = self.semi_major_axis_m * (1.0 - self.eccentricity**2)
        return 1.5 * EARTH_J2 * (EARTH_EQUATORIAL_RADIUS / parameter) ** 2

    @property
    def _sine_squared(self) -> float:
        return float(np.sin(np.radians(self.inclination_deg)) ** 2)

    @property
    def _anomaly_rate_deg_per_day(self) -> float:
        change = self._oblateness * float(np.sqrt(1.0 - self.eccentricity**2)) * (1.0 - 1.5 * self._sine_squared)
        return self._mean_motion_deg_per_day * (1.0 + change)

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
        days = self._days(stamps)
        anomaly, radius = self._true_anomaly(days)
        u = np.radians(self.argument_of_perigee_deg + self.perigee_rate_deg_per_day * days) + anomaly
        inclination = np.radians(self.inclination_deg)
        from_node = np.degrees(np.arctan2(np.cos(inclination) * np.sin(u), np.cos(u)))
        longitude = self._node_deg(stamps) + from_node - greenwich_sidereal_angle_deg(stamps)
        latitude, height = _height_on_circle(radius, np.sin(inclination) * np.sin(u))
        return GeodeticPosition(latitude, np.mod(longitude + 180.0, 360.0) - 180.0, 1.0e-3 * height)

    def _true_anomaly(self, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the true anomaly [rad] and the radius [m] at days since the epoch, by Kepler's equation.

        ``E = M + e sin E`` as a fixed point gains a factor ``e`` in each round: 21 digits in thirty for 0.2.
        """
        e, shape = self.eccentricity, np.sqrt((1.0 - self.eccentricity) / (1.0 + self.eccentricity))
        at_epoch = np.radians(self.argument_of_latitude_deg - self.argument_of_perigee_deg)
        eccentric = 2.0 * np.arctan2(shape * np.sin(0.5 * at_epoch), np.cos(0.5 * at_epoch))
        mean = eccentric - e * np.sin(eccentric) + np.radians(self._anomaly_rate_deg_per_day * days)
        eccentric = mean
        for _ in range(_KEPLER_ROUNDS if e > 0.0 else 0):
            eccentric = mean + e * np.sin(eccentric)
        true = 2.0 * np.arctan2(np.sin(0.5 * eccentric), shape * np.cos(0.5 * eccentric))
        radius = self.semi_major_axis_m * (1.0 - e * np.cos(eccentric))
        return np.asarray(true, dtype=np.float64), np.asarray(radius, dtype=np.float64)

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
