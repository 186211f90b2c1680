"""Every number of the synthetic truth, with its unit; zero switches a term off."""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True)
class TwinTruthSettings:
    """How far the truth departs from NRLMSISE-00 at the published drivers.

    All amplitudes are changes of ln density (0.1 is about 10 percent).

    Parameters
    ----------
    f107_error_sfu : float
        Added to the daily and the 81-day F10.7 that the truth sees.
    f107_variation_sfu, f107_memory_d : float
        Standard deviation and e-folding time [days] of a wandering error of the daily F10.7.
    kp_variation, kp_memory_d : float
        The same for Kp.
    lower_altitude_km, upper_altitude_km : float
        Heights between which the height factor is linear; it is constant below and above.
    lower_height_factor_ln, upper_height_factor_ln : float
        Logarithm of the height factor at those heights.
    reference_altitude_km : float
        Where the amplitudes of storm and travelling disturbances hold.
    storm_response, storm_quiet_ap, storm_saturation_ap, storm_base_altitude_km, storm_descent_time_h : float
        See `da.twin.storm_response.StormResponse`.
    storm_speed_m_s, storm_drag_time_h, storm_cooling_time_h, storm_overcooling, storm_nitric_oxide_time_h : float
        See `da.twin.storm_dynamics.StormLayer`.
    tad_rate_per_day, tad_amplitude, tad_damping_time_h, tad_width_km, tad_vertical_phase_speed_m_s : float
    tad_speed_range_m_s : tuple of 2 floats
        Travelling disturbances, see `da.twin.disturbances.TravellingDisturbances`.
    tad_growth_height_km : float
        They grow as ``exp((z - reference) / growth)``.
    day_to_day_lower_rms, day_to_day_upper_rms, day_to_day_memory_d : float
        See `da.twin.day_to_day.DayToDay`.

    Raises
    ------
    ValueError
        If a number is negative or zero that must not be, a range is reversed, or the heights are not in order.
    """

    f107_error_sfu: float = -10.0
    f107_variation_sfu: float = 3.0
    f107_memory_d: float = 5.0
    kp_variation: float = 0.4
    kp_memory_d: float = 0.5
    lower_altitude_km: float = 200.0
    upper_altitude_km: float = 550.0
    lower_height_factor_ln: float = -0.25
    upper_height_factor_ln: float = -0.15
    reference_altitude_km: float = 400.0
    storm_response: float = 0.74
    storm_quiet_ap: float = 15.0
    storm_saturation_ap: float = 300.0
    storm_base_altitude_km: float = 70.0
    storm_descent_time_h: float = 4.0
    storm_speed_m_s: float = 700.0
    storm_drag_time_h: float = 1.5
    storm_cooling_time_h: float = 28.0
    storm_overcooling: float = 1.2
    storm_nitric_oxide_time_h: float = 12.0
    tad_rate_per_day: float = 24.0
    tad_amplitude: float = 0.15
    tad_speed_range_m_s: Range = (600.0, 800.0)
    tad_damping_time_h: float = 3.0
    tad_width_km: float = 1200.0
    tad_vertical_phase_speed_m_s: float = 150.0
    tad_growth_height_km: float = 300.0
    day_to_day_lower_rms: float = 0.08
    day_to_day_upper_rms: float = 0.08
    day_to_day_memory_d: float = 5.0

    def __post_init__(self) -> None:
        """Refuse settings without meaning."""
        if not self.lower_altitude_km < self.upper_altitude_km:
            raise ValueError("lower_altitude_km must lie below upper_altitude_km")
        if not self.storm_base_altitude_km < self.reference_altitude_km:
            raise ValueError("storm_base_altitude_km must lie below reference_altitude_km")
        for name in _POSITIVE:
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        low, high = self.tad_speed_range_m_s
        if not 0.0 < low <= high:
            raise ValueError(f"tad_speed_range_m_s must be two positive numbers in rising order, not {(low, high)}")

    def without_disturbances(self) -> TwinTruthSettings:
        """Return the same settings with every departure from NRLMSISE-00 switched off."""
        return replace(
            self,
            f107_error_sfu=0.0,
            f107_variation_sfu=0.0,
            kp_variation=0.0,
            lower_height_factor_ln=0.0,
            upper_height_factor_ln=0.0,
            storm_response=0.0,
            tad_amplitude=0.0,
            day_to_day_lower_rms=0.0,
            day_to_day_upper_rms=0.0,
        )


_POSITIVE = (
    "f107_memory_d",
    "kp_memory_d",
    "storm_saturation_ap",
    "storm_descent_time_h",
    "storm_speed_m_s",
    "storm_drag_time_h",
    "storm_cooling_time_h",
    "storm_nitric_oxide_time_h",
    "tad_damping_time_h",
    "tad_width_km",
    "tad_vertical_phase_speed_m_s",
    "tad_growth_height_km",
    "day_to_day_memory_d",
)
_NOT_NEGATIVE = (
    "f107_variation_sfu",
    "kp_variation",
    "storm_response",
    "storm_quiet_ap",
    "storm_overcooling",
    "tad_rate_per_day",
    "tad_amplitude",
    "day_to_day_lower_rms",
    "day_to_day_upper_rms",
)
