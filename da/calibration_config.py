"""Sections of the experiment file about step one: the filter, outliers, gaps, and satellites that disagree."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from da.calibration import FilterKind
from da.config_section import Name, Positive, Section
from da.msis import GeomagneticActivity, MsisVersion
from da.yaml_source import key_fault

PAUSE, PERSIST, STOP = "pause", "persist", "stop"
"""What ``calibration.gaps.then`` may be besides the name of a satellite."""

ESTIMATED = "estimated"


def _number_or_estimated(value: Any) -> Any:
    if isinstance(value, str) and value != ESTIMATED:
        raise ValueError(f"must be a number or '{ESTIMATED}'")
    return value


PositiveOrEstimated = Annotated[Positive | Literal["estimated"], BeforeValidator(_number_or_estimated)]


class LowPassSection(Section):
    """Low-pass filter of the scale factors."""

    kind: FilterKind = Field(FilterKind.ZERO_PHASE, description="'zero_phase' (uses future data) or 'causal'")
    cutoff_h: Positive = Field(3.0, description="Period at which the amplitude is 1/sqrt(2)")
    order: int = Field(4, ge=1, le=8)


class QualitySection(Section):
    """Outliers of the scale factors."""

    outlier_window_h: Positive = Field(1.0, description="Bursts of up to nearly half of it are recognized")
    outlier_threshold: Positive = Field(4.0, description="In robust standard deviations (MAD / 0.6745)")
    outlier_floor: float = Field(0.02, ge=0.0, description="Smallest standard deviation of ln s to judge by")


class PersistenceSection(Section):
    """How the latest scale factor is forgotten, as a Gauss-Markov process in its logarithm."""

    relaxation_time_h: PositiveOrEstimated = Field(
        description="In which it relaxes towards one by 1/e; 'estimated': from the scale factors of the run"
    )
    standard_deviation: PositiveOrEstimated = Field(
        description="That ln s has about zero, which the error grows to; 'estimated': from those of the run"
    )


class GapsSection(Section):
    """What is done where the calibrating satellite has no densities: in long gaps, and before and after its track."""

    longest_filled_h: Positive | None = Field(
        None, description="Gaps up to this are filled; default: low_pass.cutoff_h"
    )
    then: str = Field(
        PAUSE,
        description="Elsewhere: 'pause' the assimilation of the data grid, 'persist' with the latest scale factor, "
        "'stop' before the run begins, or the name of another satellite whose scale factor is taken",
    )
    persistence: PersistenceSection | None = Field(None, description="Needed for 'persist'")

    @model_validator(mode="after")
    def _persistence_has_a_use(self) -> GapsSection:
        if self.then == PERSIST and self.persistence is None:
            raise key_fault(
                "must give relaxation_time_h and standard_deviation, numbers or 'estimated', for then: persist",
                "persistence",
            )
        if self.then != PERSIST and self.persistence is not None:
            raise key_fault(f"has no use for then: {self.then}; leave it out", "persistence")
        return self

    @property
    def satellite(self) -> str | None:
        """The satellite whose scale factor is taken, if one is."""
        return None if self.then in (PAUSE, PERSIST, STOP) else self.then


class Disagreeing(StrEnum):
    """What is done about satellites that disagree."""

    WARN = "warn"
    STOP = "stop"


class DisagreementSection(Section):
    """Satellites that enter the analyses, whose scale factors differ: when that is too much, and what follows."""

    accepted: float = Field(0.1, ge=0.0, description="Difference in ln s that is no disagreement")
    threshold: Positive = Field(3.0, description="Standard errors beyond it that are one")
    then: Disagreeing = Field(Disagreeing.WARN, description="'warn', or 'stop' before the run begins")


class CalibrationSection(Section):
    """Step one: NRLMSIS calibrated along one satellite."""

    satellite: Name = Field(description="The satellite that is assimilated")
    msis_version: MsisVersion = Field(MsisVersion.MSIS21, description="'2.1', '2.0' or '00'")
    geomagnetic_activity: GeomagneticActivity = Field(GeomagneticActivity.STORM, description="'storm' or 'daily'")
    low_pass: LowPassSection = LowPassSection()
    quality: QualitySection = QualitySection()
    gaps: GapsSection = GapsSection()
    disagreement: DisagreementSection = DisagreementSection()
    margin_h: float = Field(6.0, ge=0.0, description="Densities before start and after stop that the filter may use")

    @property
    def satellites(self) -> tuple[str, ...]:
        """The satellites along which NRLMSIS is calibrated: the first one, and that which may take its place."""
        other = self.gaps.satellite
        return (self.satellite,) if other is None else (self.satellite, other)

    @property
    def longest_filled_h(self) -> float:
        """Gaps up to this are filled."""
        return self.low_pass.cutoff_h if self.gaps.longest_filled_h is None else self.gaps.longest_filled_h
