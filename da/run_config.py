"""Sections on what a run makes besides its analyses: the open loop, or that of another run, and free forecasts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from da.config_section import Positive, Section, UtcTime
from da.yaml_source import key_fault


class OpenLoopSection(Section):
    """Where the ensemble without assimilation comes from; by default the run makes it."""

    from_run: Path | None = Field(
        None, description="Folder of a complete run with the same open loop, relative to experiment.output_folder"
    )


class FreeForecastsSection(Section):
    """Forecasts without assimilation that start from analyses."""

    start: tuple[UtcTime, ...] = Field((), description="Analysis times from which they start; or every_h")
    every_h: Positive | None = Field(None, description="One every so many hours, from the first analysis on; or start")
    length_h: Positive = Field(72.0, description="Longest lead time; each one ends at experiment.stop at the latest")
    interval_min: Positive | None = Field(None, description="Time between records; default: output.interval_min")

    @model_validator(mode="after")
    def _one_choice(self) -> FreeForecastsSection:
        if bool(self.start) == (self.every_h is not None):
            raise ValueError("give either 'start' or 'every_h'")
        if list(self.start) != sorted(set(self.start)):
            raise key_fault("must increase", "start")
        return self
