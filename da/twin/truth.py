"""A synthetic thermosphere for twin experiments that no model built on NRLMSIS 2.1 represents exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.drivers import Drivers
from da.msis import Msis, MsisVersion
from da.seeding import Purpose, stream
from da.twin.disturbances import GlobalModulation, TravellingWave, draw_modulation, draw_waves
from da.twin.storm_response import StormResponse

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_WAVES_STREAM, _MODULATION_STREAM = 0, 1


@dataclass(frozen=True)
class TwinTruthSettings:
    """How far the truth departs from NRLMSISE-00.

    All amplitudes are changes of ln density (0.1 is about 10 percent). Zero switches a term off.

    Parameters
    ----------
    f107_error_sfu : float
        Added to the daily and the 81-day F10.7 that NRLMSISE-00 sees.
    lower_altitude_km, upper_altitude_km : float
        Heights between which the height factor is linear; it is constant below and above.
    lower_height_factor_ln, upper_height_factor_ln : float
        Logarithm of the height factor at those heights.
    reference_altitude_km, growth_height_km : float
        Waves, modulation and storm term grow as ``exp((h - reference) / growth)``.
    wave_count : int
        Number of travelling waves.
    wave_amplitude_range : tuple of 2 floats
        Peak amplitude of one wave at the reference height; its rms there is smaller by sqrt(2).
    wave_speed_range_m_s, wave_period_range_h : tuple of 2 floats
    modulation_rms : float
        Of the global modulation at the reference height.
    modulation_period_range_d : tuple of 2 floats
        Days.
    storm_response : float
        At the poles and the reference height, for the strongest storms; half of it for a lasting ap of 100
        above the quiet level.
    storm_quiet_ap, storm_lag_h, storm_relaxation_h, storm_equator_fraction : float
        See `StormResponse`.

    Raises
    ------
    ValueError
        If a range is reversed or not positive, or the heights are not in order.
    """

    f107_error_sfu: float = -10.0
    lower_altitude_km: float = 200.0
    upper_altitude_km: float = 550.0
    lower_height_factor_ln: float = -0.25
    upper_height_factor_ln: float = -0.15
    reference_altitude_km: float = 400.0
    growth_height_km: float = 400.0
    wave_count: int = 3
    wave_amplitude_range: tuple[float, float] = (0.07, 0.10)
    wave_speed_range_m_s: tuple[float, float] = (400.0, 700.0)
    wave_period_range_h: tuple[float, float] = (1.5, 3.0)
    modulation_rms: float = 0.05
    modulation_period_range_d: tuple[float, float] = (2.0, 8.0)
    storm_response: float = 1.5
    storm_quiet_ap: float = 15.0
    storm_lag_h: float = 3.0
    storm_relaxation_h: float = 12.0
    storm_equator_fraction: float = 0.5

    def __post_init__(self) -> None:
        """Refuse settings without meaning."""
        if not self.lower_altitude_km < self.upper_altitude_km:
            raise ValueError("lower_altitude_km must lie below upper_altitude_km")
        if not self.growth_height_km > 0.0:
            raise ValueError("growth_height_km must be positive")
        if self.wave_count < 0 or not 0.0 <= self.wave_amplitude_range[0] <= self.wave_amplitude_range[1]:
            raise ValueError("wave_count and wave_amplitude_range must not be negative (the latter in rising order)")
        for name in ("wave_speed_range_m_s", "wave_period_range_h", "modulation_period_range_d"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high:
                raise ValueError(f"{name} must be two positive numbers in rising order, not {(low, high)}")

    def without_disturbances(self) -> TwinTruthSettings:
        """Return the same settings with every departure from NRLMSISE-00 switched off."""
        return replace(
            self,
            f107_error_sfu=0.0,
            lower_height_factor_ln=0.0,
            upper_height_factor_ln=0.0,
            wave_count=0,
            modulation_rms=0.0,
            storm_response=0.0,
        )


@dataclass(frozen=True, eq=False)
class TwinTruth:
    """Density of the synthetic truth, at any time and place.

    ::

        ln rho = ln rho_00(F10.7 + f107_error)          NRLMSISE-00 with a wrong Sun
               + H(h)                                   linear between two heights, constant outside
               + G(h) [sum_k w_k(t, lat, lon)           travelling waves, `TravellingWave`
                       + m(t)                           global modulation, `GlobalModulation`
                       + s(t, lat)]                     own storm term, `StormResponse`
        G(h)   = exp((h - reference_altitude) / growth_height)

    with ``H`` going from ``lower_height_factor_ln`` to ``upper_height_factor_ln``. Waves and modulation
    follow from the seed alone (independent streams, so that the number of waves does not change the
    modulation); everything else is given by drivers and settings.

    Parameters
    ----------
    drivers : Drivers
        True indices; the truth sees its F10.7 shifted and its Kp as it is.
    settings : TwinTruthSettings
    seed : int
        Not negative.
    """

    drivers: Drivers
    settings: TwinTruthSettings = TwinTruthSettings()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that do not fit the drivers when the truth is made, not when it is used."""
        if self.seed < 0:
            raise ValueError(f"the seed must not be negative, not {self.seed}")
        _ = self.storm

    @cached_property
    def waves(self) -> tuple[TravellingWave, ...]:
        """Travelling waves of this seed; amplitudes hold at the reference height."""
        s = self.settings
        return draw_waves(
            stream(self.seed, Purpose.TWIN_TRUTH, _WAVES_STREAM),
            s.wave_count,
            s.wave_amplitude_range,
            s.wave_speed_range_m_s,
            s.wave_period_range_h,
        )

    @cached_property
    def modulation(self) -> GlobalModulation:
        """Global modulation of this seed at the reference height."""
        s = self.settings
        rng = stream(self.seed, Purpose.TWIN_TRUTH, _MODULATION_STREAM)
        return draw_modulation(rng, s.modulation_rms, s.modulation_period_range_d)

    @cached_property
    def storm(self) -> StormResponse:
        """Storm term at the reference height."""
        s = self.settings
        return StormResponse(
            self.drivers,
            s.storm_response,
            s.storm_quiet_ap,
            s.storm_lag_h,
            s.storm_relaxation_h,
            s.storm_equator_fraction,
        )

    @cached_property
    def climatology(self) -> Msis:
        """NRLMSISE-00 with the truth's shifted F10.7."""
        offset = self.settings.f107_error_sfu
        shifted = replace(
            self.drivers,
            f107_observed_sfu=self.drivers.f107_observed_sfu + offset,
            f107_81day_sfu=self.drivers.f107_81day_sfu + offset,
        )
        return Msis(shifted, MsisVersion.MSIS00)

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
        return np.asarray(background * np.exp(self.departure(stamps, lat, lon, altitude)), dtype=np.float64)

    def departure(
        self, time: ArrayLike, latitude: ArrayLike, longitude: ArrayLike, altitude_km: ArrayLike
    ) -> FloatArray:
        """Return ``ln rho - ln rho_00``, all terms but the climatology; arguments as of `density`."""
        stamps, lat, lon, altitude = _points(time, latitude, longitude, altitude_km)
        disturbance = self.modulation.evaluate(stamps) + self.storm.evaluate(stamps, lat)
        for wave in self.waves:
            disturbance += wave.evaluate(stamps, lat, lon)
        return self.height_factor_ln(altitude) + self.growth(altitude) * disturbance

    def height_factor_ln(self, altitude_km: ArrayLike) -> FloatArray:
        """Return ``H(h)`` at heights [km] of any shape."""
        s = self.settings
        heights = (s.lower_altitude_km, s.upper_altitude_km)
        values = (s.lower_height_factor_ln, s.upper_height_factor_ln)
        return np.asarray(np.interp(np.asarray(altitude_km, dtype=np.float64), heights, values), dtype=np.float64)

    def growth(self, altitude_km: ArrayLike) -> FloatArray:
        """Return ``G(h)`` at heights [km] of any shape."""
        above = np.asarray(altitude_km, dtype=np.float64) - self.settings.reference_altitude_km
        return np.asarray(np.exp(above / self.settings.growth_height_km), dtype=np.float64)


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
