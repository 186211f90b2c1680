"""Magnetic latitude, longitude and local time in a tilted centred dipole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_ORIGIN = np.datetime64("2000-01-01T00:00:00", "ns")
_EQUINOX = np.datetime64("2000-03-20T07:35:00", "ns")
_TROPICAL_YEAR_DAYS = 365.2422
_SINE_OF_OBLIQUITY = 0.39778


def days_since_2000(time: TimeArray) -> FloatArray:
    """Return days since 2000 January 1, 0 h UTC, array (n,)."""
    return np.asarray((time - _ORIGIN).astype("timedelta64[ns]").astype(np.int64) / 86400.0e9, dtype=np.float64)


def sine_of_declination(time: TimeArray) -> FloatArray:
    """Return the sine of the Sun's declination on a circular orbit of the Earth, array (n,); good to 0.02."""
    days = days_since_2000(time) - days_since_2000(np.atleast_1d(_EQUINOX))
    return np.asarray(_SINE_OF_OBLIQUITY * np.sin(2.0 * np.pi * days / _TROPICAL_YEAR_DAYS), dtype=np.float64)


@dataclass(frozen=True)
class Dipole:
    """Centred dipole whose axis leaves the Earth at a geocentric place.

    Parameters
    ----------
    pole_latitude, pole_longitude : float
        Of the northern pole, degrees. The default is that of the IGRF-13 for 2010.0, Alken et al. (2021),
        doi:10.1186/s40623-020-01288-x. It moves by 0.1 degrees in two years, which a made-up truth may ignore.
    """

    pole_latitude: float = 80.08
    pole_longitude: float = -72.21

    def coordinates(self, latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return magnetic latitude and longitude [degrees] of places [degrees]; arrays of one shape.

        The magnetic longitude is counted from the meridian opposite to the geographic north pole, so that it is the
        geographic one less that of the pole where both poles coincide.
        """
        phi, pole = np.radians(latitude), np.radians(self.pole_latitude)
        east = np.radians(longitude - self.pole_longitude)
        x = np.cos(phi) * np.cos(east) * np.sin(pole) - np.sin(phi) * np.cos(pole)
        y = np.cos(phi) * np.sin(east)
        z = np.sin(phi) * np.sin(pole) + np.cos(phi) * np.cos(east) * np.cos(pole)
        return np.degrees(np.arcsin(np.clip(z, -1.0, 1.0))), np.degrees(np.arctan2(y, x))

    def midnight_longitude(self, time: TimeArray) -> FloatArray:
        """Return the magnetic longitude of magnetic midnight [degrees], array (n,): opposite to the mean Sun."""
        day_fraction = np.mod(days_since_2000(time), 1.0)
        solar_latitude = np.degrees(np.arcsin(sine_of_declination(time)))
        return np.asarray(self.coordinates(solar_latitude, 180.0 - 360.0 * day_fraction)[1] + 180.0, dtype=np.float64)
