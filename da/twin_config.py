"""Sections of the experiment file about twin experiments: the synthetic truth, and the satellites that measure it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from da.config_section import Positive, Section
from da.twin import NAMED_ORBITS, TwinTruthSettings
from da.yaml_source import key_fault

_DEFAULT = TwinTruthSettings()
_ELEMENTS = (
    "inclination_deg",
    "right_ascension_deg",
    "argument_of_latitude_deg",
    "eccentricity",
    "argument_of_perigee_deg",
)


def _named_orbit(value: str) -> str:
    if value not in NAMED_ORBITS:
        raise ValueError(f"must be one of {', '.join(NAMED_ORBITS)}")
    return value


Angle = Annotated[float, Field(ge=0.0, lt=360.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class SyntheticSatellite(Section):
    """A satellite in the twin's truth; its orbit by elements, by name, or by two-line elements."""

    altitude_km: float | None = Field(
        None, ge=150.0, le=1500.0, description="Mean height above the ellipsoid (of the semi-major axis)"
    )
    inclination_deg: float | None = Field(None, gt=0.0, le=180.0)
    right_ascension_deg: Angle = Field(0.0, description="Of the ascending node, at the start")
    argument_of_latitude_deg: Angle = Field(0.0, description="At the start")
    eccentricity: float = Field(0.0, ge=0.0, le=0.05)
    argument_of_perigee_deg: Angle = Field(0.0, description="At the start")
    orbit: Annotated[str, AfterValidator(_named_orbit)] | None = Field(
        None, description="A named orbit: " + ", ".join(NAMED_ORBITS)
    )
    two_line_elements: tuple[str, str] | None = Field(None, description="The two lines, for SGP4")
    two_line_elements_file: Path | None = Field(
        None, description="File of element sets, of which the one nearest to the start is taken"
    )
    catalogue_number: int | None = Field(None, ge=0, le=99999, description="Of the satellite, where a file has several")
    sampling_s: float = Field(30.0, gt=0.0, le=600.0)
    relative_noise: float = Field(0.03, ge=0.0, le=1.0, description="Standard deviation of the noise in ln density")

    @model_validator(mode="after")
    def _one_orbit(self) -> SyntheticSatellite:
        forms = ("orbit", "two_line_elements", "two_line_elements_file")
        given = [name for name in forms if getattr(self, name) is not None]
        if not given:
            for name in ("altitude_km", "inclination_deg"):
                if getattr(self, name) is None:
                    raise key_fault(f"is required, unless the orbit is given by {', '.join(forms)}", name)
        for name in ("altitude_km", *_ELEMENTS, *given[1:]):
            if given and name in self.model_fields_set:
                raise key_fault(f"has no meaning beside {given[0]}; leave one of them out", name)
        if self.catalogue_number is not None and self.two_line_elements_file is None:
            raise key_fault("has no meaning without two_line_elements_file; leave it out", "catalogue_number")
        return self


class TwinSection(Section):
    """Synthetic truth that synthetic satellites measure; amplitudes are in ln density, and zero switches a term off."""

    f107_error_sfu: float = Field(_DEFAULT.f107_error_sfu, description="Constant error of the F10.7 the truth sees")
    f107_variation_sfu: NotNegative = Field(
        _DEFAULT.f107_variation_sfu, description="Standard deviation of a wandering error of the daily F10.7"
    )
    f107_memory_d: Positive = Field(_DEFAULT.f107_memory_d, description="e-folding time of its correlation")
    kp_variation: NotNegative = Field(
        _DEFAULT.kp_variation, description="Standard deviation of a wandering error of Kp"
    )
    kp_memory_d: Positive = Field(_DEFAULT.kp_memory_d, description="e-folding time of its correlation")
    lower_height_factor_ln: float = Field(
        _DEFAULT.lower_height_factor_ln, description="ln of the density factor at and below 200 km"
    )
    upper_height_factor_ln: float = Field(
        _DEFAULT.upper_height_factor_ln, description="ln of the density factor at and above 550 km"
    )
    storm_response: NotNegative = Field(
        _DEFAULT.storm_response,
        description="Global mean at 400 km that a lasting ap of 100 above the quiet level would tend to, if linear",
    )
    storm_quiet_ap: NotNegative = Field(_DEFAULT.storm_quiet_ap, description="ap up to which there is no heating")
    storm_saturation_ap: Positive = Field(
        _DEFAULT.storm_saturation_ap, description="ap above the quiet level at which the heating is half of the linear"
    )
    storm_descent_time_h: Positive = Field(
        _DEFAULT.storm_descent_time_h, description="Lag of the storm below 120 km behind that above 300 km"
    )
    storm_speed_m_s: float = Field(
        _DEFAULT.storm_speed_m_s, gt=0.0, le=1500.0, description="Speed at which small disturbances spread"
    )
    storm_drag_time_h: float = Field(_DEFAULT.storm_drag_time_h, ge=0.5, description="Ion drag on the spreading")
    storm_cooling_time_h: float = Field(
        _DEFAULT.storm_cooling_time_h, ge=1.0, description="e-folding time of weak storms"
    )
    storm_overcooling: float = Field(
        _DEFAULT.storm_overcooling, ge=0.0, le=20.0, description="Increase of the cooling rate per unit of response"
    )
    storm_nitric_oxide_time_h: float = Field(
        _DEFAULT.storm_nitric_oxide_time_h, ge=1.0, description="Lag of that increase"
    )
    tad_rate_per_day: float = Field(
        _DEFAULT.tad_rate_per_day, ge=0.0, le=38.0, description="Travelling disturbances; a quarter in quiet times"
    )
    tad_amplitude: NotNegative = Field(
        _DEFAULT.tad_amplitude, description="At launch and 400 km; half of it in quiet times"
    )
    tad_damping_time_h: Positive = Field(_DEFAULT.tad_damping_time_h)
    day_to_day_lower_rms: NotNegative = Field(
        _DEFAULT.day_to_day_lower_rms, description="Tides and planetary waves at and below 120 km"
    )
    day_to_day_upper_rms: NotNegative = Field(
        _DEFAULT.day_to_day_upper_rms, description="Tides and planetary waves at and above 400 km"
    )
    day_to_day_memory_d: Positive = Field(_DEFAULT.day_to_day_memory_d, description="e-folding time of amplitudes")

    def settings(self) -> TwinTruthSettings:
        """Return the settings of the truth."""
        return TwinTruthSettings(**self.model_dump())
