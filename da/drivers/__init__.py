"""What drives the thermosphere: solar flux, geomagnetic activity, auroral power, convection, solar wind."""

from da.drivers.convection import hemispheric_power_from_solar_wind, polar_cap_potential_kv
from da.drivers.drivers import Drivers
from da.drivers.empirical import (
    cross_tail_potential_from_kp,
    hemispheric_power_from_kp,
    kp_from_cross_tail_potential,
    kp_from_hemispheric_power,
)
from da.drivers.geomagnetic import AP_OF_KP_THIRDS, ApInterpolation, ap_to_kp_thirds, kp_thirds_to_ap
from da.drivers.hemispheric_power import HemisphericPower, read_hemispheric_power
from da.drivers.high_latitude import (
    SOLAR_WIND_INPUTS,
    HighLatitudeForcing,
    HighLatitudeSource,
    OutsideSolarWind,
)
from da.drivers.loading import load_drivers
from da.drivers.solar_wind import DEFAULT_MAX_GAP_MIN, SolarWind, SolarWindState, read_solar_wind
from da.drivers.space_weather_table import SpaceWeatherTable, read_space_weather_table, shipped_tables

__all__ = [
    "AP_OF_KP_THIRDS",
    "DEFAULT_MAX_GAP_MIN",
    "SOLAR_WIND_INPUTS",
    "ApInterpolation",
    "Drivers",
    "HemisphericPower",
    "HighLatitudeForcing",
    "HighLatitudeSource",
    "OutsideSolarWind",
    "SolarWind",
    "SolarWindState",
    "SpaceWeatherTable",
    "ap_to_kp_thirds",
    "cross_tail_potential_from_kp",
    "hemispheric_power_from_kp",
    "hemispheric_power_from_solar_wind",
    "kp_from_cross_tail_potential",
    "kp_from_hemispheric_power",
    "kp_thirds_to_ap",
    "load_drivers",
    "polar_cap_potential_kv",
    "read_hemispheric_power",
    "read_solar_wind",
    "read_space_weather_table",
    "shipped_tables",
]
