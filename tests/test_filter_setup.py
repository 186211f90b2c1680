"""From the configuration to the analysis: every accepted key acts, and each value arrives in its own place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import da.observation_plan
from da.analysis_config import (
    AdaptiveInflationSection,
    AdditiveInflationSection,
    AnalysisSection,
    DirectTrackSection,
    InnovationCheckSection,
    LocalizationSection,
    ParameterSection,
    RelaxationSection,
    TrackLocalizationSection,
)
from da.analysis_observations import ObservedBatch, SourceLocalization
from da.analysis_storage import FilterFile
from da.config import Experiment, read_experiment
from da.config_section import Section
from da.direct_tracks import DirectTrackSettings
from da.errors import ThermodaError
from da.execution import schedule
from da.filter_setup import build_analysis, filter_settings, source_localization, sub_domains
from da.grid_position import VerticalCoordinate
from da.inflation import AdaptiveInflationSettings, relax_to_prior_perturbations, relax_to_prior_spread
from da.inflation.prior import PriorInflation, PriorInflationKind
from da.localization import Localization, Weighting
from da.model import THERMOSPHERE_FIELDS, MemberInputs, StateGrid, StateLayout
from da.observation_plan import DATA_GRID, observation_plan
from da.observations import ObservationBatch
from da.observing import observe_density
from da.parallel import SerialCommunicator
from da.parameters import ParameterSettings
from da.perturbation_set import write_perturbation_set
from da.seeding import Purpose, streams
from model_adapters.template import TemplateModel, TemplateSettings

START = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
MEMBERS = 4


class SmallModel(TemplateModel):
    """The template on 9 levels, 3 latitudes and 4 longitudes, from 97 to about 200 km."""

    def __init__(self) -> None:
        super().__init__(TemplateSettings())
        grid = StateGrid(np.arange(-6.75, -2.5, 0.5), np.array([-60.0, 0.0, 60.0]), np.arange(-180.0, 180.0, 90.0))
        self.layout = StateLayout(THERMOSPHERE_FIELDS, grid)


MODEL = SmallModel()


def _changed(content: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    """Return the content with keys set; with None, removed."""
    result = functools.reduce(lambda one, other: one | other, changes, content)
    return {key: value for key, value in result.items() if value is not None}


INDEX = {
    "weighting": "gaspari_cohn",
    "cutoff_radius_cells": 1.6,
    "support_radius_cells": 3.0,
}
EXPONENTIAL = {"weighting": "exponential", "support_radius_cells": None, "decay_radius_cells": 2.0}
CIRCLE = {
    "metric": "great_circle",
    "weighting": "gaspari_cohn",
    "cutoff_radius_km": 8000.0,
    "vertical_cutoff_radius_km": 60.0,
    "support_radius_km": 11000.0,
}
EXPONENTIAL_KM = {"weighting": "exponential", "support_radius_km": None, "decay_radius_km": 4000.0}
SCALE_HEIGHTS = {"vertical_cutoff_radius_km": None, "vertical_cutoff_radius_scale_heights": 2.0}

LOCALITY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "metric": (INDEX, CIRCLE),
    "weighting": (
        _changed(INDEX, EXPONENTIAL),
        _changed(INDEX, {"weighting": "uniform", "support_radius_cells": None}),
    ),
    "regulated": (INDEX, INDEX | {"regulated": True}),
    "cutoff_radius_cells": (INDEX, INDEX | {"cutoff_radius_cells": 1.1}),
    "vertical_cutoff_radius_cells": (INDEX, INDEX | {"vertical_cutoff_radius_cells": 3.0}),
    "support_radius_cells": (INDEX, INDEX | {"support_radius_cells": 2.0}),
    "decay_radius_cells": (
        _changed(INDEX, EXPONENTIAL),
        _changed(INDEX, EXPONENTIAL, {"decay_radius_cells": 1.0}),
    ),
    "error_correlation_radius_cells": (INDEX, INDEX | {"error_correlation_radius_cells": 1.0}),
    "cutoff_radius_km": (CIRCLE, CIRCLE | {"cutoff_radius_km": 5000.0}),
    "vertical_cutoff_radius_km": (CIRCLE, CIRCLE | {"vertical_cutoff_radius_km": 30.0}),
    "vertical_cutoff_radius_scale_heights": (
        _changed(CIRCLE, SCALE_HEIGHTS),
        _changed(CIRCLE, SCALE_HEIGHTS, {"vertical_cutoff_radius_scale_heights": 1.0}),
    ),
    "support_radius_km": (CIRCLE, CIRCLE | {"support_radius_km": 9000.0}),
    "decay_radius_km": (
        _changed(CIRCLE, EXPONENTIAL_KM),
        _changed(CIRCLE, EXPONENTIAL_KM, {"decay_radius_km": 2000.0}),
    ),
    "error_correlation_radius_km": (CIRCLE, CIRCLE | {"error_correlation_radius_km": 3000.0}),
}
"""Two contents of a localization for each key that all of them have, differing in that key as far as it may alone."""

ADAPTIVE = {"standard_deviation": 0.6, "minimum_standard_deviation": 0.1}
PARAMETER = {"mean_damping": 0.5, "relaxation": 0.5}
TRACK = {"satellite": "grace", "window_min": 30, "relative_error": 0.1}
SUPEROBBED = TRACK | {"superobbing_s": 120}
WHOLE = {"sub_domain": "whole", "weighting": "uniform", "cutoff_radius_cells": None}
NO_LEVELS = {"vertical_cutoff_radius_cells": float("inf"), "block_cells": 1}

CASES: dict[type[Section], dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    LocalizationSection: {
        **LOCALITY,
        "sub_domain": (INDEX, WHOLE),
        "block_cells": (INDEX, INDEX | {"block_cells": 1}),
        "weight_interpolation_cells": (
            INDEX | {"block_cells": 1},
            INDEX | {"block_cells": 1, "weight_interpolation_cells": 2},
        ),
    },
    TrackLocalizationSection: LOCALITY,
    RelaxationSection: {
        "method": ({"method": "rtps", "factor": 0.5}, {"method": "rtpp", "factor": 0.5}),
        "factor": ({"method": "rtps", "factor": 0.5}, {"method": "rtps", "factor": 0.6}),
    },
    AdaptiveInflationSection: {
        "initial": (ADAPTIVE, ADAPTIVE | {"initial": 1.2}),
        "standard_deviation": (ADAPTIVE, ADAPTIVE | {"standard_deviation": 0.4}),
        "minimum_standard_deviation": (ADAPTIVE, ADAPTIVE | {"minimum_standard_deviation": 0.6}),
        "lower": (ADAPTIVE, ADAPTIVE | {"lower": 1.0}),
        "upper": (ADAPTIVE, ADAPTIVE | {"upper": 1.02}),
        "damping": (ADAPTIVE, ADAPTIVE | {"damping": 0.3}),
        "restart_file": (ADAPTIVE, ADAPTIVE | {"restart_file": "filter.nc"}),
    },
    AdditiveInflationSection: {
        "file": ({"file": "one.nc"}, {"file": "other.nc"}),
        "factor": ({"file": "one.nc"}, {"file": "one.nc", "factor": 0.5}),
    },
    InnovationCheckSection: {"threshold": ({"threshold": 3.0}, {"threshold": 1.0})},
    ParameterSection: {
        "mean_damping": (PARAMETER, PARAMETER | {"mean_damping": 0.6}),
        "observation_weight": (PARAMETER, PARAMETER | {"observation_weight": 0.5}),
        "altitude_min_km": (PARAMETER, PARAMETER | {"altitude_min_km": 140.0}),
        "altitude_max_km": (PARAMETER, PARAMETER | {"altitude_max_km": 150.0}),
        "relaxation": (PARAMETER, PARAMETER | {"relaxation": 0.7}),
    },
    AnalysisSection: {
        "interval_h": ({}, {"interval_h": 0.5}),
        "variable": ({}, {"variable": "ln_density"}),
        "localization": ({"localization": INDEX}, {"localization": CIRCLE}),
        "update_fraction": ({}, {"update_fraction": {"temperature": 0.5}}),
        "forgetting_factor": ({}, {"forgetting_factor": 0.8}),
        "adaptive_forgetting": ({"adaptive_forgetting": "global"}, {"adaptive_forgetting": "local"}),
        "adaptive_inflation": ({}, {"adaptive_inflation": {"initial": 1.2}}),
        "relaxation": ({}, {"relaxation": {"method": "rtpp", "factor": 0.5}}),
        "additive_inflation": ({}, {"additive_inflation": {"file": "one.nc"}}),
        "innovation_check": ({}, {"innovation_check": {"threshold": 1.0}}),
        "parameters": ({}, {"parameters": {"f107_sfu": PARAMETER}}),
    },
    DirectTrackSection: {
        "satellite": (TRACK, TRACK | {"satellite": "swarm"}),
        "window_min": (TRACK, TRACK | {"window_min": 40}),
        "relative_error": (TRACK, TRACK | {"relative_error": 0.2}),
        "leave_out_outliers": (TRACK, TRACK | {"leave_out_outliers": True}),
        "thinning_s": (TRACK, TRACK | {"thinning_s": 60}),
        "superobbing_s": (TRACK, SUPEROBBED),
        "error_correlation_time_s": (SUPEROBBED, SUPEROBBED | {"error_correlation_time_s": 0.0}),
        "localization": (TRACK, TRACK | {"localization": CIRCLE}),
    },
}

ELSEWHERE = {
    (AnalysisSection, "interval_h"): "times",
    (AnalysisSection, "variable"): "observations",
    **{
        (DirectTrackSection, name): "observations" for name in DirectTrackSection.model_fields if name != "localization"
    },
}
"""Keys that act before the analysis; all others change what it does with the same observations."""


def _place(kind: type[Section], content: dict[str, Any]) -> dict[str, Any]:
    """Return the sections of an experiment in which the content of one section stands."""
    if kind is AnalysisSection:
        return {"analysis": content}
    if kind is DirectTrackSection:
        return {"direct_tracks": {"track": content}}
    if kind is TrackLocalizationSection:
        return {"direct_tracks": {"track": TRACK | {"localization": content}}}
    key = {
        LocalizationSection: "localization",
        RelaxationSection: "relaxation",
        AdaptiveInflationSection: "adaptive_inflation",
        AdditiveInflationSection: "additive_inflation",
        InnovationCheckSection: "innovation_check",
    }.get(kind)
    return {"analysis": {key: content} if key else {"parameters": {"f107_sfu": content}}}


SYNTHETIC = {"synthetic": {"altitude_km": 400, "inclination_deg": 80.0}}
Read = Callable[..., Experiment]


@pytest.fixture
def read(tiny_experiment: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read the tiny experiment, changed, in a folder that holds perturbations and an inflation to continue from."""
    monkeypatch.chdir(tmp_path)

    def build(**changes: Any) -> Experiment:
        whole: dict[str, Any] = {
            "satellites": {"grace": SYNTHETIC, "swarm": SYNTHETIC},
            "data_grid": {"altitude_min_km": 100},
            "ensemble": {"members": MEMBERS},
        }
        localization = changes.get("analysis", {}).get("localization", INDEX)
        own_radius = {} if "cutoff_radius_cells" in localization else {"cutoff_radius_cells": None}
        analysis = changes.get("analysis", {}) | {"localization": own_radius | localization}
        return read_experiment(tiny_experiment(**(whole | changes | {"analysis": analysis})))[0]

    return build


@pytest.fixture
def files(read: Read, tmp_path: Path) -> None:
    """Two sets of perturbations, and the record of a run with adaptive inflation."""
    rng = np.random.default_rng(1)
    for name in ("one.nc", "other.nc"):
        write_perturbation_set(tmp_path / name, MODEL.layout, rng.standard_normal((MODEL.layout.state_size, 6)))
    _write_inflation(read, tmp_path / "filter.nc", 1.5, 0.3)


def _write_inflation(read: Read, path: Path, mean: float, deviation: float) -> None:
    experiment = read(analysis={"adaptive_inflation": ADAPTIVE})
    diagnostics = _update(experiment)[1]
    record, size = diagnostics.filter_record(), len(diagnostics.centre)
    file = FilterFile(path, {"title": "test"})
    file.append(
        replace(
            record,
            inflation_mean=mean + 0.01 * np.arange(size),
            inflation_standard_deviation=np.full(size, deviation),
        )
    )
    file.close()


def _states(inputs: MemberInputs) -> np.ndarray:
    """Return members that differ by a few per cent from place to place."""
    states = MODEL.initial(START, inputs, streams(1, Purpose.INITIAL_STATE, range(MEMBERS)))
    return np.asarray(states * (1.0 + 0.05 * np.random.default_rng(2).standard_normal(states.shape)))


def _observed(states: np.ndarray, height: Callable[..., np.ndarray], name: str, time: np.datetime64) -> ObservedBatch:
    """Return densities that are off by the factor of a fair part of their spread, and their counterparts."""
    rng, count = np.random.default_rng(len(name)), 40
    place = rng.uniform(-85.0, 85.0, count), rng.uniform(-180.0, 180.0, count), rng.uniform(105.0, 190.0, count)
    unit = ObservationBatch(np.ones(count), np.ones(count), *place, time, name, np.full(count, 1.01))
    hx = observe_density(MODEL, states, height(states), unit)
    values = hx.mean(axis=1) * rng.lognormal(0.0, 0.1, count)
    return ObservedBatch(name, replace(unit, values=values, error_standard_deviation=0.05 * values), hx)


def _update(experiment: Experiment) -> tuple[list[np.ndarray], Any]:
    """Return states and parameters after each of two analyses, and what the last one tells."""
    inputs = MemberInputs({"f107_sfu": np.random.default_rng(3).normal(0.0, 8.0, MEMBERS)})
    analysis, states = build_analysis(experiment, MODEL, SerialCommunicator()), _states(inputs)
    found = []
    for time in (START, START + HOUR):
        height = partial(MODEL.height, time=time, inputs=inputs)
        observed = [_observed(states, height, name, time) for name in (DATA_GRID, *experiment.direct_tracks)]
        result = analysis.update(states, height, inputs, observed, time)
        states, inputs = result.states, result.inputs
        found += [states.ravel(), inputs.perturbations["f107_sfu"]]
    return found, result.diagnostics


@dataclass(frozen=True)
class FakeTrack:
    """Tells of what it was made, and gives one observation per window."""

    satellite: str
    settings: DirectTrackSettings

    def batch(self, start: np.datetime64, stop: np.datetime64, at: np.datetime64) -> ObservationBatch:
        one, minutes = np.ones(1), float((stop - start) / np.timedelta64(1, "m"))
        return ObservationBatch(one * minutes, one, 0 * one, 0 * one, 300.0 * one, at, repr(self), one)


def _handed_out(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return what the plan gives through a run, with tracks and a data grid that tell of what they were made."""
    with monkeypatch.context() as patched:
        one = np.ones(1)
        patched.setattr(da.observation_plan, "direct_track", lambda track, msis, settings: FakeTrack(track, settings))
        patched.setattr(da.observation_plan, "without_outliers", lambda track, msis, control: f"{track}, sifted")
        step_one: Any = SimpleNamespace(
            calibrated=SimpleNamespace(msis=None),
            data_grid=SimpleNamespace(
                batch=lambda time: ObservationBatch(one, one, 0 * one, 0 * one, 300 * one, time, "grid", one),
                state=lambda times: np.zeros(times.size, dtype=np.int8),
            ),
            tracks={name: name for name in experiment.satellites},
        )
        times = schedule(experiment)
        plan = observation_plan(experiment, step_one, times)
        return [
            (time, after, one.source, one.batch.source, one.batch.operator, one.batch.values.tolist())
            for time in times.output_times.astype(np.int64).tolist()
            for after in (False, True)
            for one in plan.due(np.datetime64(time, "ns"), after)
        ]


@pytest.mark.parametrize("kind", list(CASES))
def test_that_every_key_of_a_section_has_a_case(kind: type[Section]) -> None:
    assert set(CASES[kind]) == set(kind.model_fields)


def test_that_every_section_of_the_analysis_has_cases() -> None:
    import da.analysis_config

    sections = {
        one
        for one in vars(da.analysis_config).values()
        if isinstance(one, type)
        and issubclass(one, Section)
        and one is not Section
        and not one.__name__.startswith("_")
    }
    assert sections == set(CASES)


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind in CASES for key in CASES[kind]])
def test_that_every_accepted_key_acts(
    kind: type[Section], key: str, read: Read, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    first, second = CASES[kind][key]
    assert first.get(key) != second.get(key)
    if ".nc" in str(second):
        request.getfixturevalue("files")
    one, other = read(**_place(kind, first)), read(**_place(kind, second))
    acts_on = ELSEWHERE.get((kind, key), "analysis")
    if acts_on == "times":
        assert_array_equal(schedule(one).analysis_times, schedule(one).output_times[::2])
        assert schedule(one).analysis_times.tolist() != schedule(other).analysis_times.tolist()
    elif acts_on == "observations":
        handed = [_handed_out(experiment, monkeypatch) for experiment in (one, one, other)]
        assert handed[0]
        assert handed[0] == handed[1]
        assert handed[0] != handed[2]
    else:
        results = [np.concatenate(_update(experiment)[0]) for experiment in (one, one, other)]
        assert_array_equal(results[0], results[1])
        # States are 800 K and fractions, parameters of order ten; what a key does is far above rounding.
        assert np.abs(results[0] - results[2]).max() > 1e-6


def test_that_the_data_grid_is_assimilated_only_if_so_wished(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = {"track": TRACK}
    both = _handed_out(read(direct_tracks=tracks), monkeypatch)
    alone = _handed_out(
        read(direct_tracks=tracks, data_grid={"altitude_min_km": 100, "assimilate": False}), monkeypatch
    )
    assert {one[2] for one in both} == {DATA_GRID, "track"}
    assert alone == [one for one in both if one[2] != DATA_GRID]


def _source(read: Read, content: dict[str, Any]) -> SourceLocalization:
    return source_localization(read(analysis={"localization": content}).analysis.localization)


def test_that_radii_arrive_in_their_own_places(read: Read) -> None:
    inf = float("inf")
    gaspari_cohn = Localization(1.6, Weighting.GASPARI_COHN, support_radius=3.0)
    assert _source(read, INDEX) == SourceLocalization(gaspari_cohn)
    changed = {"vertical_cutoff_radius_cells": 2.5, "regulated": True, "error_correlation_radius_cells": 0.7}
    assert _source(read, INDEX | changed) == SourceLocalization(gaspari_cohn, VerticalCoordinate.LEVELS, 2.5, True, 0.7)
    assert _source(read, CIRCLE | {"error_correlation_radius_km": 900.0}) == SourceLocalization(
        Localization(8000.0, Weighting.GASPARI_COHN, support_radius=11000.0), VerticalCoordinate.KM, 60.0, False, 900.0
    )
    assert _source(read, _changed(CIRCLE, EXPONENTIAL_KM, SCALE_HEIGHTS)) == SourceLocalization(
        Localization(8000.0, Weighting.EXPONENTIAL, decay_radius=4000.0), VerticalCoordinate.SCALE_HEIGHTS, 2.0
    )
    endless = _changed(CIRCLE, SCALE_HEIGHTS, {"vertical_cutoff_radius_scale_heights": inf})
    assert _source(read, endless).vertical_cutoff_radius == inf
    assert _source(read, WHOLE) == SourceLocalization(Localization(inf, Weighting.UNIFORM))


def test_that_a_track_has_its_own_localization_or_that_of_the_analysis(read: Read) -> None:
    tracks = {"near": TRACK | {"localization": CIRCLE}, "far": TRACK | {"satellite": "swarm"}}
    settings = filter_settings(read(direct_tracks=tracks, analysis={"localization": INDEX}))
    assert set(settings.localizations) == {DATA_GRID, "near", "far"}
    assert settings.localizations["far"] == settings.localizations[DATA_GRID] == _source(read, INDEX)
    assert settings.localizations["near"] == _source(read, CIRCLE)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, PriorInflation()),
        ({"forgetting_factor": 0.9}, PriorInflation(PriorInflationKind.FIXED, 0.9)),
        (
            {"forgetting_factor": 0.9, "adaptive_forgetting": "global"},
            PriorInflation(PriorInflationKind.GLOBAL, 0.9),
        ),
        ({"adaptive_forgetting": "local"}, PriorInflation(PriorInflationKind.LOCAL)),
        (
            {
                "adaptive_inflation": {
                    "initial": 1.1,
                    "standard_deviation": 0.5,
                    "minimum_standard_deviation": 0.2,
                    "lower": 0.9,
                    "upper": 7.0,
                    "damping": 0.8,
                }
            },
            PriorInflation(
                PriorInflationKind.ADAPTIVE, adaptive=AdaptiveInflationSettings(1.1, 0.5, 0.2, 0.9, 7.0, 0.8)
            ),
        ),
    ],
)
def test_that_inflation_is_the_one_asked_for(read: Read, content: dict[str, Any], expected: PriorInflation) -> None:
    assert filter_settings(read(analysis=content)).inflation == expected


def test_that_relaxation_is_the_one_asked_for(read: Read) -> None:
    assert filter_settings(read()).relaxation is None
    for method, function in (("rtps", relax_to_prior_spread), ("rtpp", relax_to_prior_perturbations)):
        relaxation = filter_settings(read(analysis={"relaxation": {"method": method, "factor": 0.3}})).relaxation
        assert isinstance(relaxation, partial)
        assert (relaxation.func, relaxation.keywords) == (function, {"relaxation": 0.3})


def test_that_parameters_have_their_settings_and_the_truncation_of_their_draws(read: Read) -> None:
    content = {"mean_damping": 0.2, "observation_weight": 0.3, "relaxation": 0.4}
    bounded = content | {"altitude_min_km": 120.0, "altitude_max_km": 450.0}
    inf = float("inf")
    for one, limits in ((content, (-inf, inf)), (bounded, (120.0, 450.0))):
        found = filter_settings(read(analysis={"parameters": {"f107_sfu": one}})).parameters
        assert found == {"f107_sfu": ParameterSettings(0.2, 0.3, *limits, 0.4, limit=24.0)}


def test_that_the_check_and_the_fractions_are_those_asked_for(read: Read) -> None:
    content = {"innovation_check": {"threshold": 3.5}, "update_fraction": {"mass_fraction_He": 0.25}}
    settings = filter_settings(read(analysis=content))
    assert (settings.innovation_threshold, settings.update_fractions) == (3.5, {"mass_fraction_He": 0.25})
    plain = filter_settings(read())
    assert (plain.innovation_threshold, plain.update_fractions, plain.parameters) == (None, {}, {})


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (INDEX, 3 * 1 * 2),
        (INDEX | {"block_cells": 1}, 9 * 3 * 4),
        (INDEX | NO_LEVELS | {"sub_domain": "column", "block_cells": 2}, 2 * 2),
        (WHOLE, 1),
    ],
)
def test_that_sub_domains_have_the_shape_asked_for(read: Read, content: dict[str, Any], count: int) -> None:
    domains = sub_domains(read(analysis={"localization": content}), MODEL)
    assert len(domains) == count
    assert_array_equal(np.sort(np.concatenate(domains.cells)), np.arange(MODEL.layout.grid.cells))


@pytest.mark.usefixtures("files")
def test_that_inflation_continues_where_an_earlier_run_ended(read: Read) -> None:
    content = {"adaptive_inflation": ADAPTIVE | {"restart_file": "filter.nc", "damping": 1.0}}
    experiment = read(analysis=content | {"innovation_check": {"threshold": 1e-9}})
    # All observations are refused and nothing is damped: the state of the file comes through unchanged.
    inflation = _update(experiment)[1].inflation
    assert_array_equal(inflation.mean, 1.5 + 0.01 * np.arange(6))
    assert_array_equal(inflation.standard_deviation, np.full(6, 0.3))


@pytest.mark.parametrize(
    ("mean", "deviation", "changes", "message"),
    [
        (1.5, 0.3, {"upper": 1.52}, r"filter\.nc: its inflation reaches from 1\.5 to 1\.55, which .*upper \(1\.52\)"),
        (0.9, 0.3, {"lower": 1.0}, r"filter\.nc: its inflation reaches from 0\.9 to 0\.95, which .*lower \(1\)"),
        (1.5, 1.5, {"lower": 1.0}, r"filter\.nc: its inflation has a standard deviation of 1\.5, .*lower \(1\)"),
    ],
)
def test_that_an_inflation_that_the_settings_do_not_allow_is_refused_at_once(
    read: Read, tmp_path: Path, mean: float, deviation: float, changes: dict[str, float], message: str
) -> None:
    _write_inflation(read, tmp_path / "filter.nc", mean, deviation)
    content = {"adaptive_inflation": ADAPTIVE | {"restart_file": "filter.nc"} | changes}
    with pytest.raises(ThermodaError, match=message):
        build_analysis(read(analysis=content), MODEL, SerialCommunicator())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"additive_inflation": {"file": "none.nc"}}, r"none\.nc"),
        ({"adaptive_inflation": {"restart_file": "none.nc"}}, r"none\.nc: there is no such file"),
    ],
)
def test_that_files_that_are_not_there_are_told_before_the_run(
    read: Read, content: dict[str, Any], message: str
) -> None:
    with pytest.raises(ThermodaError, match=message):
        build_analysis(read(analysis=content), MODEL, SerialCommunicator())
