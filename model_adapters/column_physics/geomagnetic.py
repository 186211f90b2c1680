r"""Where the sun and the magnetic dipole stand: zenith angles, magnetic latitude and magnetic local time.

The dipole is the centred dipole of the International Geomagnetic Reference Field (Alken et al. 2021,
doi:10.1186/s40623-020-01288-x), its coefficients linear between epochs. Coordinates and local time follow Laundal &
Richmond (2017), doi:10.1007/s11214-016-0275-y: sections 3.1 and 5, with

.. math:: MLT = (\phi - \phi_{sun}) / 15 + 12

in hours, :math:`\phi` the magnetic longitude of the point and of the subsolar point [degrees].

Latitudes are directions from the Earth's centre here. Taking a geodetic latitude for one errs by 0.19 degrees at most,
little beside the distance of some degrees between this dipole's and the real field's coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.errors import ThermodaError

FloatArray = NDArray[np.float64]

J2000 = np.datetime64("2000-01-01T12:00", "ns")
"""Epoch from which the solar formulae count days."""

DEGREES_PER_HOUR = 15.0

LARGEST_DECLINATION_DEG = 23.44
"""Of the sun, at solstice."""


@dataclass(frozen=True)
class SubsolarPoint:
    """Where the sun is overhead: latitude (its declination) and longitude in [-180, 180) [degrees]."""

    latitude: float
    longitude: float


@dataclass(frozen=True)
class DipoleAxis:
    """Axis of the centred dipole.

    Attributes
    ----------
    pole_latitude, pole_longitude : float
        Its pole in the northern hemisphere, geocentric [degrees].
    """

    pole_latitude: float
    pole_longitude: float

    def coordinates(self, latitude: ArrayLike, longitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return magnetic latitude and magnetic longitude in [-180, 180) [degrees].

        Longitude zero is the half circle from pole to pole through the geographic south pole.

        Parameters
        ----------
        latitude, longitude : arrays that broadcast against each other
            Geographic [degrees].
        """
        pole, angle = np.radians(self.pole_latitude), np.radians(np.asarray(latitude, np.float64))
        east_of_pole = np.radians(np.asarray(longitude, np.float64) - self.pole_longitude)
        towards_pole = np.cos(angle) * np.cos(east_of_pole)
        along_axis = np.sin(pole) * np.sin(angle) + np.cos(pole) * towards_pole
        prime = np.sin(pole) * towards_pole - np.cos(pole) * np.sin(angle)
        east = np.cos(angle) * np.sin(east_of_pole)
        magnetic_latitude = np.arctan2(along_axis, np.hypot(prime, east))
        return np.degrees(magnetic_latitude), _half_turn(np.degrees(np.arctan2(east, prime)))

    def local_time(self, latitude: ArrayLike, longitude: ArrayLike, time: np.datetime64) -> FloatArray:
        """Return the magnetic local time [h], in [0, 24).

        Parameters
        ----------
        latitude, longitude : arrays that broadcast against each other
            Geographic [degrees].
        time : datetime64
            UTC.
        """
        sun = subsolar_point(time)
        from_sun = self.coordinates(latitude, longitude)[1] - self.coordinates(sun.latitude, sun.longitude)[1]
        hours = np.mod(from_sun / DEGREES_PER_HOUR + 12.0, 24.0)
        # The remainder of a tiny negative number rounds to the divisor.
        return np.where(hours < 24.0, hours, 0.0)


def dipole_axis(time: np.datetime64) -> DipoleAxis:
    """Return the axis of IGRF's dipole.

    Parameters
    ----------
    time : datetime64
        UTC.

    Raises
    ------
    ThermodaError
        If the coefficients do not cover ``time``.
    """
    from ppigrf.ppigrf import read_shc

    cosine, sine = read_shc()
    epochs = cosine.index.to_numpy().astype("datetime64[ns]")
    if not epochs[0] <= time <= epochs[-1]:
        first, last = (np.datetime_as_string(epoch, unit="D") for epoch in epochs[[0, -1]])
        raise ThermodaError(f"no magnetic dipole for {time}: the coefficients of the IGRF cover {first} to {last}")
    seconds = (epochs - epochs[0]) / np.timedelta64(1, "s")
    now = (time - epochs[0]) / np.timedelta64(1, "s")
    series = (cosine[(1, 0)], cosine[(1, 1)], sine[(1, 1)])
    g10, g11, h11 = (float(np.interp(now, seconds, values.to_numpy())) for values in series)
    # The northern pole of the dipole is a magnetic south pole: the axis points against (g11, h11, g10).
    latitude = np.degrees(np.arctan2(-g10, np.hypot(g11, h11)))
    return DipoleAxis(float(latitude), float(np.degrees(np.arctan2(-h11, -g11))))


def subsolar_point(time: np.datetime64) -> SubsolarPoint:
    """Return where the sun is overhead.

    The Astronomical Almanac's low-precision formulae for the sun, good to 0.01 degrees in ecliptic longitude from 1950
    to 2050. UTC stands for the almanac's time scales, which moves the sun by less than 0.001 degrees and the longitude
    by 0.004.

    Parameters
    ----------
    time : datetime64
        UTC.
    """
    days = float((time - J2000) / np.timedelta64(1, "D"))
    mean_longitude = 280.460 + 0.9856474 * days
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(mean_longitude + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    obliquity = np.radians(23.439 - 4.0e-7 * days)
    right_ascension = np.degrees(np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic)))
    declination = np.degrees(np.arcsin(np.sin(obliquity) * np.sin(ecliptic)))
    equation_of_time = _half_turn(mean_longitude - right_ascension)
    hours_from_noon = 24.0 * (days % 1.0)
    longitude = _half_turn(-DEGREES_PER_HOUR * hours_from_noon - equation_of_time)
    return SubsolarPoint(float(declination), float(longitude))


def solar_zenith_angle(latitude: ArrayLike, longitude: ArrayLike, time: np.datetime64) -> FloatArray:
    """Return the angle between the local vertical and the sun [degrees], without refraction and parallax.

    Parameters
    ----------
    latitude, longitude : arrays that broadcast against each other
        Geographic [degrees]; the vertical is that to which the latitude belongs.
    time : datetime64
        UTC.
    """
    sun = subsolar_point(time)
    angle, declination = np.radians(np.asarray(latitude, np.float64)), np.radians(sun.latitude)
    hour_angle = np.radians(np.asarray(longitude, np.float64) - sun.longitude)
    across = np.cos(angle) * np.sin(hour_angle)
    along = np.sin(angle) * np.cos(declination) - np.cos(angle) * np.sin(declination) * np.cos(hour_angle)
    cosine = np.sin(angle) * np.sin(declination) + np.cos(angle) * np.cos(declination) * np.cos(hour_angle)
    # The two-argument arctangent keeps its digits where the sun is overhead, unlike the arccosine.
    zenith_angle: FloatArray = np.degrees(np.arctan2(np.hypot(across, along), cosine))
    return zenith_angle


def _half_turn(degrees: ArrayLike) -> FloatArray:
    """Return angles in [-180, 180)."""
    angle: FloatArray = np.mod(np.asarray(degrees, np.float64) + 180.0, 360.0) - 180.0
    return angle
