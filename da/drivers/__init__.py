"""What drives the thermosphere: solar flux, geomagnetic activity, auroral power, convection, solar wind."""

from da.drivers.drivers import Drivers, load_drivers
from da.drivers.empirical import (
    cross_tail_potential_from_kp,
    hemispheric_power_from_kp,
    kp_from_cross_tail_potential,
    kp_from_hemispheric_power,
)
from da.drivers.geomagnetic import AP_OF_KP_THIRDS, ApInterpolation, ap_to_kp_thirds, kp_thirds_to_ap
from da.drivers.hemispheric_power import HemisphericPower, read_hemispheric_power
from da.drivers.solar_wind import SolarWind, SolarWindState, read_solar_wind
from da.drivers.space_weather_table import SpaceWeatherTable, read_space_weather_table, shipped_tables

__all__ = [
    "AP_OF_KP_THIRDS",
    "ApInterpolation",
    "Drivers",
    "HemisphericPower",
    "SolarWind",
    "SolarWindState",
    "SpaceWeatherTable",
    "ap_to_kp_thirds",
    "cross_tail_potential_from_kp",
    "hemispheric_power_from_kp",
    "kp_from_cross_tail_potential",
    "kp_from_hemispheric_power",
    "kp_thirds_to_ap",
    "load_drivers",
    "read_hemispheric_power",
    "read_solar_wind",
    "read_space_weather_table",
    "shipped_tables",
]
