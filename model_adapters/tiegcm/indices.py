"""Solar flux and high-latitude forcing of a forecast, as TIE-GCM takes them, from our drivers.

Which F10.7 a time has is said by `FluxDay`; an offset of F10.7 is added to the daily value and to the 81-day mean,
since the model's solar fluxes follow the mean of both. With Weimer's model TIE-GCM takes constants for both only: they
are the means over the forecast. With Heelis's model, offsets of the solar wind act on power and potential where the
drivers compute these from the solar wind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from da.drivers import SOLAR_WIND_INPUTS, Drivers, kp_from_cross_tail_potential
from model_adapters.tiegcm.namelist_settings import (
    FluxDay,
    HeelisInputs,
    PotentialModel,
    TiegcmNamelistSettings,
    refuse,
)

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

WIND_LAGS = np.arange(5, 21, 5) * np.timedelta64(1, "m")
"""Weimer's model gets the mean solar wind from 20 to 5 minutes before, as TIE-GCM's own files of it are prepared."""

_DAY = np.timedelta64(1, "D")
_NOON = np.timedelta64(12, "h")


def indices(
    settings: TiegcmNamelistSettings, drivers: Drivers, times: TimeArray, offsets: Mapping[str, float]
) -> dict[str, FloatArray]:
    """Return what drives one member, by the keys of the namelist.

    Parameters
    ----------
    settings : TiegcmNamelistSettings
        Constants there take the place of the drivers.
    drivers : Drivers
    times : array (n,) of datetime64[ns]
        Over the forecast.
    offsets : mapping of str to float
        This member's perturbed inputs.

    Returns
    -------
    dict of str to array (n,)
        F107 and F107A [sfu]; with Heelis POWER [GW] and CTPOTEN [kV], or KP; with Weimer BXIMF, BYIMF, BZIMF [nT],
        SWVEL [km/s] and SWDEN [cm-3].

    Raises
    ------
    ThermodaError
        If the drivers do not hold what is needed.
    """
    flux = {
        "F107": _daily_flux(settings, drivers, times) + offsets.get("f107_sfu", 0.0),
        "F107A": _mean_flux(settings, drivers, times) + offsets.get("f107_sfu", 0.0),
    }
    if settings.potential_model is PotentialModel.HEELIS:
        return {**_heelis(settings, drivers, times, offsets), **flux}
    constant = {key: np.full(times.size, values.mean()) for key, values in flux.items()}
    return {**_solar_wind(drivers, times, offsets), **constant}


def _daily_flux(settings: TiegcmNamelistSettings, drivers: Drivers, times: TimeArray) -> FloatArray:
    if settings.f107_sfu is not None:
        return np.full(times.size, settings.f107_sfu)
    if settings.f107_day is FluxDay.PREVIOUS_DAY:
        return drivers.f107_previous_day(times)
    earlier, weight = _noons(times)
    # The value of a day is the one "of the previous day" of the day after.
    before, after = (
        drivers.f107_previous_day(earlier + _DAY),
        drivers.f107_previous_day(_needed(earlier, weight) + _DAY),
    )
    return np.asarray((1.0 - weight) * before + weight * after)


def _mean_flux(settings: TiegcmNamelistSettings, drivers: Drivers, times: TimeArray) -> FloatArray:
    if settings.f107a_sfu is not None:
        return np.full(times.size, settings.f107a_sfu)
    if settings.f107_day is FluxDay.PREVIOUS_DAY:
        return drivers.f107_81day(times)
    earlier, weight = _noons(times)
    before, after = drivers.f107_81day(earlier), drivers.f107_81day(_needed(earlier, weight))
    return np.asarray((1.0 - weight) * before + weight * after)


def _noons(times: TimeArray) -> tuple[TimeArray, FloatArray]:
    """Return the noon at or before each time and how far it is to the next, 0 to 1."""
    shifted = np.asarray(times - _NOON, dtype="datetime64[ns]")
    days = shifted.astype("datetime64[D]")
    return np.asarray(days + _NOON, dtype="datetime64[ns]"), np.asarray((shifted - days) / _DAY, dtype=np.float64)


def _needed(earlier: TimeArray, weight: FloatArray) -> TimeArray:
    """Return the noon after, or the same where nothing is taken from it."""
    return np.where(weight > 0.0, earlier + _DAY, earlier)


def _heelis(
    settings: TiegcmNamelistSettings, drivers: Drivers, times: TimeArray, offsets: Mapping[str, float]
) -> dict[str, FloatArray]:
    if settings.heelis_inputs is HeelisInputs.KP:
        # The relation of potential to Kp is one to one: this is Kp as the drivers interpolate it.
        by_kp = replace(drivers, solar_wind=None, hemispheric_power=None)
        return {"KP": kp_from_cross_tail_potential(by_kp.cross_tail_potential_kv(times))}
    values = {"POWER": settings.power_gw, "CTPOTEN": settings.cross_tail_potential_kv}
    series = {key: np.full(times.size, value) for key, value in values.items() if value is not None}
    if len(series) < len(values):
        velocity, density = (offsets.get(name, 0.0) for name in SOLAR_WIND_INPUTS)
        forcing = drivers.high_latitude(times, velocity_offset_km_s=velocity, density_offset_cm3=density)
        by_drivers = {"POWER": forcing.hemispheric_power_gw, "CTPOTEN": forcing.cross_tail_potential_kv}
        series = {key: series.get(key, column[:, 0]) for key, column in by_drivers.items()}
    return {
        "POWER": series["POWER"] + offsets.get("hemispheric_power_gw", 0.0),
        "CTPOTEN": series["CTPOTEN"] + offsets.get("cross_tail_potential_kv", 0.0),
    }


def _solar_wind(drivers: Drivers, times: TimeArray, offsets: Mapping[str, float]) -> dict[str, FloatArray]:
    if drivers.solar_wind is None:
        raise refuse("potential_model", "WEIMER", "needs the solar wind, but the drivers hold none; give OMNI files")
    lagged = np.asarray(times[:, np.newaxis] - WIND_LAGS, dtype="datetime64[ns]")
    wind = drivers.solar_wind.at(lagged.ravel())
    velocity, density = (offsets.get(name, 0.0) for name in SOLAR_WIND_INPUTS)
    return {
        key: values.reshape(lagged.shape).mean(axis=1) + offset
        for key, values, offset in (
            ("BXIMF", wind.bx_nt, 0.0),
            ("BYIMF", wind.by_nt, 0.0),
            ("BZIMF", wind.bz_nt, 0.0),
            ("SWVEL", wind.velocity_km_s, velocity),
            ("SWDEN", wind.density_cm3, density),
        )
    }
