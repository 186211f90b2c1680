"""Geodetic coordinates on the WGS84 ellipsoid, and the Earth's rotation angle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.constants import EARTH_EQUATORIAL_RADIUS, EARTH_FLATTENING

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_FIRST_ECCENTRICITY_SQUARED = EARTH_FLATTENING * (2.0 - EARTH_FLATTENING)
_SECOND_ECCENTRICITY_SQUARED = _FIRST_ECCENTRICITY_SQUARED / (1.0 - _FIRST_ECCENTRICITY_SQUARED)
_POLAR_RADIUS = EARTH_EQUATORIAL_RADIUS * (1.0 - EARTH_FLATTENING)
_BOWRING_ROUNDS = 2
_J2000 = np.datetime64("2000-01-01T12:00:00", "ns")
_NANOSECONDS_PER_DAY = 86400.0e9


def cartesian_from_geodetic(latitude: ArrayLike, height_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the meridian-plane coordinates of points given by geodetic latitude and ellipsoidal height.

    With the prime-vertical radius ``N = a / sqrt(1 - e^2 sin^2 lat)``: ``p = (N + h) cos lat`` and
    ``z = (N (1 - e^2) + h) sin lat`` (NIMA TR8350.2, Chap. 4).

    Parameters
    ----------
    latitude, height_m : array_like of one broadcast shape
        Geodetic latitude [degrees] and height above the ellipsoid [m].

    Returns
    -------
    axis_distance, z : arrays
        Distance from the rotation axis and height above the equatorial plane [m].
    """
    phi = np.radians(np.asarray(latitude, dtype=np.float64))
    height = np.asarray(height_m, dtype=np.float64)
    prime_vertical = EARTH_EQUATORIAL_RADIUS / np.sqrt(1.0 - _FIRST_ECCENTRICITY_SQUARED * np.sin(phi) ** 2)
    axis_distance = (prime_vertical + height) * np.cos(phi)
    z = (prime_vertical * (1.0 - _FIRST_ECCENTRICITY_SQUARED) + height) * np.sin(phi)
    return axis_distance, z


def geodetic_from_cartesian(axis_distance: ArrayLike, z: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return geodetic latitude and ellipsoidal height of points in a meridian plane.

    Bowring (1976), Survey Review 23, 323-327: ``tan lat = (z + e'^2 b sin^3 beta) / (p - e^2 a cos^3 beta)``
    with the reduced latitude ``tan beta = (1 - f) tan lat``, started from ``tan beta = z / ((1 - f) p)``. Up
    to 1000 km one round is good to 7 mm and a second one to rounding. The height
    ``p cos lat + z sin lat - a sqrt(1 - e^2 sin^2 lat)`` stays well conditioned at the poles.

    Parameters
    ----------
    axis_distance, z : array_like of one broadcast shape
        Distance from the rotation axis (not negative) and height above the equatorial plane [m].

    Returns
    -------
    latitude : array
        Geodetic latitude [degrees].
    height_m : array
        Height above the ellipsoid [m].
    """
    p = np.asarray(axis_distance, dtype=np.float64)
    height_above_equator = np.asarray(z, dtype=np.float64)
    beta = np.arctan2(height_above_equator, (1.0 - EARTH_FLATTENING) * p)
    phi = beta
    for _ in range(_BOWRING_ROUNDS):
        phi = np.arctan2(
            height_above_equator + _SECOND_ECCENTRICITY_SQUARED * _POLAR_RADIUS * np.sin(beta) ** 3,
            p - _FIRST_ECCENTRICITY_SQUARED * EARTH_EQUATORIAL_RADIUS * np.cos(beta) ** 3,
        )
        beta = np.arctan2((1.0 - EARTH_FLATTENING) * np.sin(phi), np.cos(phi))
    curvature = np.sqrt(1.0 - _FIRST_ECCENTRICITY_SQUARED * np.sin(phi) ** 2)
    height = p * np.cos(phi) + height_above_equator * np.sin(phi) - EARTH_EQUATORIAL_RADIUS * curvature
    return np.degrees(phi), np.asarray(height, dtype=np.float64)


def greenwich_sidereal_angle_deg(time: ArrayLike) -> FloatArray:
    """Return Greenwich mean sidereal time as an angle in [0, 360).

    With ``d`` days and ``T = d / 36525`` centuries since 2000 January 1, 12 h UT, ``280.46061837 +
    360.98564736629 d + 0.000387933 T^2 - T^3 / 38710000`` degrees: Meeus (1998), Astronomical Algorithms, Eq.
    12.4, which is the IAU 1982 expression. UTC stands for UT1 (less than 0.9 s, 0.004 degrees).

    Parameters
    ----------
    time : array_like of datetime64, UTC

    Returns
    -------
    array, same shape
        Degrees.
    """
    stamps: TimeArray = np.asarray(time, dtype="datetime64[ns]")
    days = (stamps - _J2000).astype(np.int64) / _NANOSECONDS_PER_DAY
    centuries = days / 36525.0
    angle = 280.46061837 + 360.98564736629 * days + 0.000387933 * centuries**2 - centuries**3 / 38710000.0
    return np.asarray(np.mod(angle, 360.0), dtype=np.float64)


def geocentric_position(latitude: FloatArray, longitude: FloatArray, height_m: FloatArray) -> FloatArray:
    """Return Earth-fixed Cartesian positions [m], (n, 3), of geodetic latitude, longitude [degrees] and height [m]."""
    axis_distance, z = cartesian_from_geodetic(latitude, height_m)
    angle = np.radians(longitude)
    return np.stack([axis_distance * np.cos(angle), axis_distance * np.sin(angle), z], axis=-1)


def geodetic_latitude(geocentric_latitude: FloatArray, height_m: FloatArray) -> FloatArray:
    """Return the geodetic latitude [degrees] of points of geocentric latitude [degrees] at ellipsoidal heights [m].

    Solves ``tan lat_geocentric = (N (1 - e^2) + h) / (N + h) tan lat`` for the geodetic latitude; N depends on it so
    weakly that each round gains more than two digits.
    """
    tangent = np.tan(np.radians(geocentric_latitude))
    latitude = np.asarray(geocentric_latitude, dtype=np.float64)
    for _ in range(5):
        prime_vertical = EARTH_EQUATORIAL_RADIUS / np.sqrt(
            1.0 - _FIRST_ECCENTRICITY_SQUARED * np.sin(np.radians(latitude)) ** 2
        )
        flattening = (prime_vertical * (1.0 - _FIRST_ECCENTRICITY_SQUARED) + height_m) / (prime_vertical + height_m)
        latitude = np.degrees(np.arctan(tangent / flattening))
    return latitude
