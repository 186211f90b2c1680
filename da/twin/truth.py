"""A synthetic thermosphere, the nature run, that no model built on NRLMSIS 2.1 represents exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.drivers import Drivers
from da.msis import Atmosphere, Msis, MsisVersion
from da.twin.day_to_day import DayToDay
from da.twin.disturbances import TravellingDisturbances
from da.twin.driver_errors import DriverErrors
from da.twin.settings import TwinTruthSettings
from da.twin.storm_dynamics import StormLayer
from da.twin.storm_response import StormResponse

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class TwinTruth:
    """Density of the synthetic truth, at any time and place.

    ::

        ln rho = ln rho_00(F10.7 and Kp with errors)    NRLMSISE-00, `DriverErrors`
               + H(z)                                   linear between two heights, constant outside
               + s(t, lat, lon, z)                      own storm response, `StormResponse`
               + G(z) w(t, lat, lon, z)                 travelling disturbances, `TravellingDisturbances`
               + v(t, lat, lon, z)                      day-to-day variability from below, `DayToDay`
        G(z)   = exp((z - reference_altitude) / tad_growth_height)

    with ``H`` going from ``lower_height_factor_ln`` to ``upper_height_factor_ln``. Errors, disturbances and
    variability follow from the seed by independent random streams, and storm and disturbances from Kp with its
    errors. A point's density depends on no other point that is asked for.

    Parameters
    ----------
    drivers : Drivers
        Published indices.
    settings : TwinTruthSettings
    seed : int
        Not negative.
    """

    drivers: Drivers
    settings: TwinTruthSettings = TwinTruthSettings()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an impossible seed."""
        if self.seed < 0:
            raise ValueError(f"the seed must not be negative, not {self.seed}")

    @cached_property
    def true_drivers(self) -> Drivers:
        """The indices with the errors of this seed: what the truth is driven by."""
        s = self.settings
        errors = DriverErrors(
            self.seed, s.f107_error_sfu, s.f107_variation_sfu, s.f107_memory_d, s.kp_variation, s.kp_memory_d
        )
        return errors.applied(self.drivers)

    @cached_property
    def climatology(self) -> Msis:
        """NRLMSISE-00 at the true drivers."""
        return Msis(self.true_drivers, MsisVersion.MSIS00)

    @cached_property
    def storm(self) -> StormResponse:
        """Storm term."""
        s = self.settings
        layer = StormLayer(
            s.storm_speed_m_s,
            s.storm_drag_time_h,
            s.storm_cooling_time_h,
            s.storm_overcooling,
            nitric_oxide_time_h=s.storm_nitric_oxide_time_h,
        )
        return StormResponse(
            self.true_drivers,
            layer,
            s.storm_response,
            s.storm_quiet_ap,
            s.storm_saturation_ap,
            s.storm_base_altitude_km,
            s.reference_altitude_km,
            s.storm_descent_time_h,
        )

    @cached_property
    def travelling(self) -> TravellingDisturbances:
        """Travelling disturbances of this seed."""
        s = self.settings
        return TravellingDisturbances(
            self.true_drivers,
            self.seed,
            s.tad_rate_per_day,
            s.tad_amplitude,
            s.tad_speed_range_m_s,
            s.tad_damping_time_h,
            s.tad_width_km,
            s.tad_vertical_phase_speed_m_s,
            s.storm_quiet_ap,
            s.reference_altitude_km,
        )

    @cached_property
    def day_to_day(self) -> DayToDay:
        """Day-to-day variability of this seed."""
        s = self.settings
        return DayToDay(self.seed, s.day_to_day_lower_rms, s.day_to_day_upper_rms, s.day_to_day_memory_d)

    def density(self, time: ArrayLike, latitude: ArrayLike, longitude: ArrayLike, altitude_km: ArrayLike) -> FloatArray:
        """Return the true total mass density at points of a track.

        Parameters
        ----------
        time : array (n,), datetime64, UTC
        latitude, longitude : array (n,)
            Geodetic, degrees.
        altitude_km : array (n,)
            Height above the ellipsoid [km].

        Returns
        -------
        array (n,)
            Density [kg m-3].

        Raises
        ------
        ThermodaError
            If the drivers do not cover the times and their history.
        ValueError
            If a value is not finite or the lengths differ.
        """
        stamps, lat, lon, altitude = _points(time, latitude, longitude, altitude_km)
        background = self.climatology.along_track(stamps, lat, lon, altitude).density
        return np.asarray(background * np.exp(self._departure(stamps, lat, lon, altitude)), dtype=np.float64)

    def departure(
        self, time: ArrayLike, latitude: ArrayLike, longitude: ArrayLike, altitude_km: ArrayLike
    ) -> FloatArray:
        """Return ``ln rho - ln rho_00``, all terms but the climatology; arguments as of `density`."""
        return self._departure(*_points(time, latitude, longitude, altitude_km))

    def on_grid(
        self, time: np.datetime64, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
    ) -> tuple[Atmosphere, FloatArray]:
        """Return the climatology and the departure from it on a grid at one time.

        Parameters
        ----------
        time : datetime64
        latitude, longitude, altitude_km : array
            Geodetic axes.

        Returns
        -------
        Atmosphere
            Arrays (altitudes, latitudes, longitudes).
        array (altitudes, latitudes, longitudes)
            ``ln rho - ln rho_00``.
        """
        atmosphere = self.climatology.on_grid(time, latitude, longitude, altitude_km)
        lat, lon = (axis.ravel() for axis in np.meshgrid(latitude, longitude, indexing="ij"))
        stamps: TimeArray = np.full(lat.size, time, dtype="datetime64[ns]")
        departure = self._departure(stamps, lat, lon, altitude_km[:, None])
        return atmosphere, departure.reshape(atmosphere.density.shape)

    def _departure(
        self, time: TimeArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
    ) -> FloatArray:
        points = (time, latitude, longitude, altitude_km)
        travelling = np.exp(self._growth_exponent(altitude_km)) * self.travelling.evaluate(*points)
        own = self.storm.evaluate(*points) + travelling + self.day_to_day.evaluate(*points)
        return np.asarray(self.height_factor_ln(altitude_km) + own, dtype=np.float64)

    def height_factor_ln(self, altitude_km: ArrayLike) -> FloatArray:
        """Return ``H(z)`` at heights [km] of any shape."""
        s = self.settings
        heights = (s.lower_altitude_km, s.upper_altitude_km)
        values = (s.lower_height_factor_ln, s.upper_height_factor_ln)
        return np.asarray(np.interp(np.asarray(altitude_km, dtype=np.float64), heights, values), dtype=np.float64)

    def _growth_exponent(self, altitude_km: FloatArray) -> FloatArray:
        above = np.minimum(altitude_km, _HIGHEST_GROWTH_KM) - self.settings.reference_altitude_km
        return np.asarray(above / self.settings.tad_growth_height_km, dtype=np.float64)


_HIGHEST_GROWTH_KM = 700.0


def _points(
    time: ArrayLike, latitude: ArrayLike, longitude: ArrayLike, altitude_km: ArrayLike
) -> tuple[TimeArray, FloatArray, FloatArray, FloatArray]:
    stamps: TimeArray = np.atleast_1d(np.asarray(time, dtype="datetime64[ns]"))
    places = [np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (latitude, longitude, altitude_km)]
    if stamps.ndim != 1 or any(values.shape != stamps.shape for values in places):
        raise ValueError("time, latitude, longitude and altitude_km must be arrays of one length")
    if np.any(np.isnat(stamps)) or not np.all(np.isfinite(places)):
        raise ValueError("time, latitude, longitude and altitude_km must be finite")
    return stamps, places[0], places[1], places[2]
