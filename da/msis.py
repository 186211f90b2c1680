"""NRLMSIS with its indices always given: densities, temperature and composition along tracks and on grids.

The wrapped library looks indices up, over the network if need be, when it is not given any; it takes arrays of equal
length for positions along a track; it is ten times faster where altitude varies fastest; and it computes in single
precision, behind one lock for all threads. All of that is dealt with here, and only here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pymsis
from numpy.typing import NDArray
from pymsis import Variable

from da.constants import AVOGADRO, BOLTZMANN, MOLAR_MASS
from da.drivers import Drivers

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

MODELLED_SPECIES = ("O", "O2", "He", "N2")
"""What the state of the assimilating model consists of."""

_COLUMN = {
    "N2": Variable.N2,
    "O2": Variable.O2,
    "O": Variable.O,
    "He": Variable.HE,
    "H": Variable.H,
    "Ar": Variable.AR,
    "N": Variable.N,
}


class MsisVersion(StrEnum):
    """Versions of the model."""

    MSIS00 = "00"
    """NRLMSISE-00, Picone et al. (2002), doi:10.1029/2002JA009430."""
    MSIS20 = "2.0"
    """NRLMSIS 2.0, Emmert et al. (2021), doi:10.1029/2020EA001321."""
    MSIS21 = "2.1"
    """NRLMSIS 2.1, Emmert et al. (2022), doi:10.1029/2022JA030896; equal to 2.0 but for NO."""


class GeomagneticActivity(StrEnum):
    """How geomagnetic activity enters."""

    STORM = "storm"
    """History of 3-hourly ap over 57 hours."""
    DAILY = "daily"
    """Daily Ap alone."""


@dataclass(frozen=True)
class Atmosphere:
    """Output of NRLMSIS, arrays of one common shape.

    Parameters
    ----------
    density : array
        Total mass density [kg m-3].
    temperature : array
        K.
    number_density : dict of species -> array
        m-3; zero where the model gives none.
    """

    density: FloatArray
    temperature: FloatArray
    number_density: dict[str, FloatArray]

    @property
    def pressure(self) -> FloatArray:
        """Partial pressure of O, O2, He and N2 together [Pa]."""
        number = np.sum([self.number_density[name] for name in MODELLED_SPECIES], axis=0)
        return np.asarray(BOLTZMANN * self.temperature * number)

    @property
    def modelled_density(self) -> FloatArray:
        """Mass density of O, O2, He and N2 [kg m-3]."""
        mass = [MOLAR_MASS[name] / AVOGADRO * self.number_density[name] for name in MODELLED_SPECIES]
        return np.asarray(np.sum(mass, axis=0))

    @property
    def unmodelled_mass_ratio(self) -> FloatArray:
        """Total density over that of O, O2, He and N2, at least about one."""
        return np.asarray(self.density / self.modelled_density)


@dataclass(frozen=True)
class Msis:
    """NRLMSIS driven by given indices.

    Parameters
    ----------
    drivers : Drivers
    version : MsisVersion
    activity : GeomagneticActivity
    """

    drivers: Drivers
    version: MsisVersion = MsisVersion.MSIS21
    activity: GeomagneticActivity = GeomagneticActivity.STORM

    def along_track(
        self, time: TimeArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
    ) -> Atmosphere:
        """Return the atmosphere at points (n,), geodetic coordinates.

        Raises
        ------
        ValueError
            If lengths differ or a coordinate is not finite.
        """
        time = np.atleast_1d(time)
        if not time.shape == latitude.shape == longitude.shape == altitude_km.shape:
            raise ValueError("times and coordinates along a track must have equal lengths")
        output = self._calculate(time, longitude, latitude, altitude_km, time, 0.0, 0.0)
        return _atmosphere(output.reshape(time.size, -1))

    def on_grid(
        self,
        time: np.datetime64,
        latitude: FloatArray,
        longitude: FloatArray,
        altitude_km: FloatArray,
        *,
        f107_offset_sfu: float = 0.0,
        kp_offset: float = 0.0,
    ) -> Atmosphere:
        """Return the atmosphere on a grid at one time, arrays (altitudes, latitudes, longitudes).

        Parameters
        ----------
        time : datetime64
        latitude, longitude, altitude_km : array
            Geodetic axes.
        f107_offset_sfu : float
            Added to the daily F10.7 and to its 81-day mean.
        kp_offset : float
            Added to every Kp, see :meth:`da.drivers.Drivers.ap_history`.
        """
        # A column at a time as a track: altitude varies fastest, and no accident of equal axis lengths can matter.
        lat, lon, alt = (axis.ravel() for axis in np.meshgrid(latitude, longitude, altitude_km, indexing="ij"))
        times = np.full(lat.size, time, dtype="datetime64[ns]")
        output = self._calculate(times, lon, lat, alt, np.atleast_1d(times[0]), f107_offset_sfu, kp_offset)
        columns = output.reshape(latitude.size, longitude.size, altitude_km.size, -1)
        return _atmosphere(np.moveaxis(columns, 2, 0))

    def _calculate(
        self,
        time: TimeArray,
        longitude: FloatArray,
        latitude: FloatArray,
        altitude_km: FloatArray,
        driver_time: TimeArray,
        f107_offset_sfu: float,
        kp_offset: float,
    ) -> FloatArray:
        for name, values in (("latitude", latitude), ("longitude", longitude), ("altitude", altitude_km)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite")
        n = time.size
        f107 = self.drivers.f107_previous_day(driver_time) + f107_offset_sfu
        f107a = self.drivers.f107_81day(driver_time) + f107_offset_sfu
        ap = self.drivers.ap_history(driver_time, kp_offset)
        output = pymsis.calculate(
            time,
            longitude,
            latitude,
            altitude_km,
            np.broadcast_to(f107, (n,)),
            np.broadcast_to(f107a, (n,)),
            np.broadcast_to(ap, (n, 7)),
            version=float(self.version) if self.version is not MsisVersion.MSIS00 else 0,
            geomagnetic_activity=-1 if self.activity is GeomagneticActivity.STORM else 1,
        )
        return np.asarray(output, dtype=np.float64)


def _atmosphere(output: FloatArray) -> Atmosphere:
    number = {name: np.nan_to_num(output[..., column], nan=0.0) for name, column in _COLUMN.items()}
    return Atmosphere(output[..., Variable.MASS_DENSITY], output[..., Variable.TEMPERATURE], number)
