"""The filter's sections of the experiment file: what is accepted, and every combination that is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from da.analysis_config import (
    AdaptiveInflationSection,
    AnalysisSection,
    AnalysisVariable,
    DistanceMetric,
    LocalizationSection,
    refuse_unknown_update_fractions,
)
from da.config import Experiment, read_experiment
from da.errors import ThermodaError
from da.inflation import AdaptiveInflationSettings
from da.localization import Localization, SubDomainShape, Weighting
from da.model import THERMOSPHERE_FIELDS

WriteExperiment = Callable[..., Path]
FIELDS = [field.name for field in THERMOSPHERE_FIELDS]
GRACE = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0}}
TRACK = {"satellite": "grace", "window_min": 30, "relative_error": 0.1}
GREAT_CIRCLE = {
    "metric": "great_circle",
    "cutoff_radius_cells": None,
    "cutoff_radius_km": 2000.0,
    "vertical_cutoff_radius_km": 100.0,
}
WHOLE = {"sub_domain": "whole", "cutoff_radius_cells": None}
COLUMN = {"sub_domain": "column", "vertical_cutoff_radius_cells": float("inf")}


@pytest.fixture
def localized(tiny_experiment: WriteExperiment) -> Callable[..., Path]:
    """Write the tiny experiment with keys of its localization changed."""
    return lambda **keys: tiny_experiment(analysis={"localization": keys})


@pytest.fixture
def analysed(tiny_experiment: WriteExperiment) -> Callable[..., Path]:
    """Write the tiny experiment with keys of its analysis changed."""
    return lambda **keys: tiny_experiment(analysis=keys)


@pytest.fixture
def tracked(tiny_experiment: WriteExperiment) -> Callable[..., Path]:
    """Write the tiny experiment with a second satellite whose densities are assimilated directly."""

    def write(changes: dict[str, Any] | None = None, **sections: Any) -> Path:
        return tiny_experiment(satellites={"grace": GRACE}, direct_tracks={"own": TRACK | (changes or {})}, **sections)

    return write


def fault(path: Path) -> str:
    """Return what is said of a file, without its name and line."""
    with pytest.raises(ThermodaError) as raised:
        read_experiment(path)
    message = str(raised.value)
    assert "\n" not in message
    assert re.match(re.escape(str(path)) + r", line \d+: ", message), message
    return re.sub(r"^, line \d+: ", "", message.removeprefix(str(path)))


def test_that_defaults_are_the_filter_without_any_of_its_options(tiny_experiment: WriteExperiment) -> None:
    experiment, _ = read_experiment(tiny_experiment())
    analysis = experiment.analysis
    assert analysis.variable is AnalysisVariable.DENSITY
    assert analysis.localization.metric is DistanceMetric.INDEX
    assert not analysis.localization.regulated
    assert (analysis.forgetting_factor, analysis.update_fraction, analysis.parameters) == (1.0, {}, {})
    options = ("adaptive_forgetting", "adaptive_inflation", "relaxation", "additive_inflation", "innovation_check")
    assert [getattr(analysis, name) for name in options] == [None] * len(options)
    assert (analysis.localization.weight_interpolation_cells, experiment.direct_tracks) == (None, {})
    assert experiment.data_grid.assimilate
    assert experiment.used_satellites == ("champ",)


@pytest.mark.parametrize(
    "keys",
    [
        {"weighting": "uniform"},
        {"weighting": "gaspari_cohn", "support_radius_cells": 4.0, "regulated": True},
        {"weighting": "exponential", "decay_radius_cells": 2.0, "error_correlation_radius_cells": 1.5},
        GREAT_CIRCLE | {"weighting": "gaspari_cohn", "support_radius_km": 2000.0, "error_correlation_radius_km": 9.0},
        GREAT_CIRCLE | {"weighting": "exponential", "decay_radius_km": 500.0, "regulated": True},
        GREAT_CIRCLE | {"vertical_cutoff_radius_km": None, "vertical_cutoff_radius_scale_heights": 2.0},
        GREAT_CIRCLE | {"vertical_cutoff_radius_km": float("inf")},
        GREAT_CIRCLE | {"sub_domain": "column", "vertical_cutoff_radius_km": float("inf")},
        COLUMN,
        WHOLE,
        {"block_cells": 1, "weight_interpolation_cells": 3},
    ],
)
def test_that_every_complete_localization_is_accepted_and_fits_the_filter(
    localized: Callable[..., Path], keys: dict[str, Any]
) -> None:
    section = read_experiment(localized(**keys))[0].analysis.localization
    cutoff = float("inf") if section.cutoff_radius is None else section.cutoff_radius
    built = Localization(cutoff, section.weighting, section.support_radius, section.decay_radius)
    assert (section.sub_domain is SubDomainShape.WHOLE) == (built.cutoff_radius == float("inf"))


def test_that_lengths_are_those_of_the_metric(localized: Callable[..., Path]) -> None:
    keys = GREAT_CIRCLE | {"weighting": "exponential", "decay_radius_km": 500.0, "error_correlation_radius_km": 30.0}
    section = read_experiment(localized(**keys))[0].analysis.localization
    lengths = (section.cutoff_radius, section.decay_radius, section.error_correlation_radius, section.support_radius)
    assert lengths == (2000.0, 500.0, 30.0, None)
    assert section.vertical_cutoff_key == "vertical_cutoff_radius_km"
    assert section.levels_count
    assert section.weighting is Weighting.EXPONENTIAL


EXPONENTIAL_KM = GREAT_CIRCLE | {"weighting": "exponential"}
LOCALIZATION_FAULTS: list[tuple[dict[str, Any], str]] = [
    (
        {"cutoff_radius_km": 500.0},
        "cutoff_radius_km: belongs to metric: great_circle; with metric: index give cutoff_radius_cells",
    ),
    (
        {"vertical_cutoff_radius_km": 50.0},
        "vertical_cutoff_radius_km: belongs to metric: great_circle; with metric: index give "
        "vertical_cutoff_radius_cells",
    ),
    (
        {"vertical_cutoff_radius_scale_heights": 2.0},
        "vertical_cutoff_radius_scale_heights: belongs to metric: great_circle; with metric: index give "
        "vertical_cutoff_radius_cells",
    ),
    (
        GREAT_CIRCLE | {"cutoff_radius_cells": 4.0},
        "cutoff_radius_cells: belongs to metric: index; with metric: great_circle give cutoff_radius_km",
    ),
    (
        GREAT_CIRCLE | {"weighting": "gaspari_cohn", "support_radius_cells": 4.0},
        "support_radius_cells: belongs to metric: index; with metric: great_circle give support_radius_km",
    ),
    (
        {"error_correlation_radius_km": 4.0},
        "error_correlation_radius_km: belongs to metric: great_circle; with metric: index give "
        "error_correlation_radius_cells",
    ),
    ({"weighting": "gaspari_cohn"}, "support_radius_cells: belongs to weighting: gaspari_cohn, and to it alone"),
    ({"support_radius_cells": 4.0}, "support_radius_cells: belongs to weighting: gaspari_cohn, and to it alone"),
    (
        GREAT_CIRCLE | {"weighting": "gaspari_cohn"},
        "support_radius_km: belongs to weighting: gaspari_cohn, and to it alone",
    ),
    ({"weighting": "exponential"}, "decay_radius_cells: belongs to weighting: exponential, and to it alone"),
    ({"decay_radius_cells": 4.0}, "decay_radius_cells: belongs to weighting: exponential, and to it alone"),
    (EXPONENTIAL_KM, "decay_radius_km: belongs to weighting: exponential, and to it alone"),
    (
        EXPONENTIAL_KM | {"decay_radius_km": 300.0, "support_radius_km": 900.0},
        "support_radius_km: belongs to weighting: gaspari_cohn, and to it alone",
    ),
    (
        {"regulated": True},
        "regulated: changes nothing for weighting: uniform; leave it out or choose another one",
    ),
    (
        {"cutoff_radius_cells": None},
        "cutoff_radius_cells: is required, except for sub_domain: whole, which has none",
    ),
    (
        GREAT_CIRCLE | {"cutoff_radius_km": None},
        "cutoff_radius_km: is required, except for sub_domain: whole, which has none",
    ),
    (
        GREAT_CIRCLE | {"vertical_cutoff_radius_km": None},
        "vertical_cutoff_radius_km: is required with metric: great_circle, or vertical_cutoff_radius_scale_heights "
        "instead; .inf: height does not count",
    ),
    (
        GREAT_CIRCLE | {"vertical_cutoff_radius_scale_heights": 2.0},
        "vertical_cutoff_radius_scale_heights: says the same as vertical_cutoff_radius_km; leave one of them out",
    ),
    (
        {"sub_domain": "column"},
        "vertical_cutoff_radius_cells: must be .inf for sub_domain: column, whose levels share one analysis",
    ),
    (
        GREAT_CIRCLE | {"sub_domain": "column"},
        "vertical_cutoff_radius_km: must be .inf for sub_domain: column, whose levels share one analysis",
    ),
    (
        GREAT_CIRCLE
        | {
            "sub_domain": "column",
            "vertical_cutoff_radius_km": None,
            "vertical_cutoff_radius_scale_heights": 3.0,
        },
        "vertical_cutoff_radius_scale_heights: must be .inf for sub_domain: column, whose levels share one analysis",
    ),
    (
        {"weight_interpolation_cells": 3},
        "weight_interpolation_cells: interpolates to single cells: it needs sub_domain: block with block_cells: 1",
    ),
    (
        COLUMN | {"block_cells": 1, "weight_interpolation_cells": 3},
        "weight_interpolation_cells: interpolates to single cells: it needs sub_domain: block with block_cells: 1",
    ),
    ({"block_cells": 1, "weight_interpolation_cells": 0}, "weight_interpolation_cells: must be greater than or equal"),
    ({"metric": "euclidean"}, "metric: must be 'index' or 'great_circle' (given: euclidean)"),
    ({"weighting": "gauss"}, "weighting: must be 'uniform', 'gaspari_cohn' or 'exponential' (given: gauss)"),
    ({"cutoff_radius_cells": float("inf")}, "cutoff_radius_cells: must be a finite number"),
    (GREAT_CIRCLE | {"cutoff_radius_km": float("inf")}, "cutoff_radius_km: must be a finite number"),
    (GREAT_CIRCLE | {"vertical_cutoff_radius_km": 0}, "vertical_cutoff_radius_km: must be greater than 0"),
    ({"regulated": "perhaps"}, "regulated: must be a valid boolean"),
    ({"support_radius": 4.0}, "support_radius: not a key; did you mean support_radius_km?"),
    (WHOLE | {"metric": "great_circle"}, "metric: has no meaning for sub_domain: whole; leave it out"),
    (WHOLE | {"weighting": "exponential", "decay_radius_cells": 2.0}, "weighting: must be uniform for sub_domain"),
    (WHOLE | {"block_cells": 2}, "block_cells: has no meaning for sub_domain: whole; leave it out"),
    (
        WHOLE | {"vertical_cutoff_radius_cells": 2},
        "vertical_cutoff_radius_cells: has no meaning for sub_domain: whole; leave it out",
    ),
    (
        WHOLE | {"error_correlation_radius_cells": 2},
        "error_correlation_radius_cells: has no meaning for sub_domain: whole; leave it out",
    ),
    (
        WHOLE | {"weight_interpolation_cells": 2},
        "weight_interpolation_cells: has no meaning for sub_domain: whole; leave it out",
    ),
    (WHOLE | {"regulated": True}, "regulated: changes nothing for weighting: uniform"),
]


@pytest.mark.parametrize(("keys", "problem"), LOCALIZATION_FAULTS, ids=[problem for _, problem in LOCALIZATION_FAULTS])
def test_that_radii_and_weights_that_contradict_each_other_are_refused(
    localized: Callable[..., Path], keys: dict[str, Any], problem: str
) -> None:
    assert fault(localized(**keys)).startswith(f"analysis.localization.{problem}")


F107 = {"f107_sfu": {}}
ANALYSIS_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"variable": "pressure"}, "variable: must be 'density' or 'ln_density' (given: pressure)"),
    (
        {"adaptive_inflation": {}, "adaptive_forgetting": "local"},
        "adaptive_forgetting: excludes adaptive_inflation: leave one of them out",
    ),
    (
        {"adaptive_inflation": {}, "forgetting_factor": 0.9},
        "forgetting_factor: must be 1 with adaptive_inflation, which inflates the same covariance",
    ),
    ({"adaptive_forgetting": "both"}, "adaptive_forgetting: must be 'global' or 'local' (given: both)"),
    ({"adaptive_inflation": {"lower": 0.0}}, "adaptive_inflation.lower: must be greater than 0"),
    ({"adaptive_inflation": {"lower": 2.0}}, "adaptive_inflation.lower: must be less than or equal to 1"),
    ({"adaptive_inflation": {"upper": 0.5}}, "adaptive_inflation.upper: must be greater than or equal to 1"),
    (
        {"adaptive_inflation": {"standard_deviation": 1.5}},
        "adaptive_inflation.standard_deviation: must be less than sqrt(2) times lower (1.27)",
    ),
    (
        {"adaptive_inflation": {"initial": 0.5}},
        "adaptive_inflation.initial: must lie between lower (0.9) and upper (10)",
    ),
    (
        {"adaptive_inflation": {"initial": 101, "upper": 100}},
        "adaptive_inflation.initial: must lie between lower (0.9) ",
    ),
    (
        {"adaptive_inflation": {"standard_deviation": 0.05}},
        "adaptive_inflation.standard_deviation: must not be below minimum_standard_deviation (0.1)",
    ),
    ({"adaptive_inflation": {"damping": 1.1}}, "adaptive_inflation.damping: must be less than or equal to 1"),
    ({"adaptive_inflation": {"restart_file": 5}}, "adaptive_inflation.restart_file: must be a path (given: 5)"),
    ({"additive_inflation": {"factor": 0.5}}, "additive_inflation.file: this key is required"),
    ({"additive_inflation": {"file": "a.nc", "factor": 0}}, "additive_inflation.factor: must be greater than 0"),
    ({"innovation_check": {"threshold": 0}}, "innovation_check.threshold: must be greater than 0"),
    ({"innovation_check": {}}, "innovation_check.threshold: this key is required"),
    ({"update_fraction": {"temperature": 1.5}}, "update_fraction.temperature: must be less than or equal to 1"),
    ({"update_fraction": {"temperature": True}}, "update_fraction.temperature: must not be true"),
    (
        {"update_fraction": {"mass_fraction_He_previous": 0.5}},
        "update_fraction.mass_fraction_He_previous: follows its field; give the fraction of mass_fraction_He",
    ),
    (
        {"parameters": {"f107": {}}},
        "parameters.f107: is not perturbed in ensemble.perturbations, and only what differs between the members can be "
        "estimated",
    ),
    ({"parameters": {"f107_sfu": {"mean_damping": 2}}}, "parameters.f107_sfu.mean_damping: must be less than or equal"),
    (
        {"parameters": {"f107_sfu": {"observation_weight": 0}}},
        "parameters.f107_sfu.observation_weight: must be greater",
    ),
    ({"parameters": {"f107_sfu": {"relaxation": 1.1}}}, "parameters.f107_sfu.relaxation: must be less than or equal"),
    (
        {"parameters": {"f107_sfu": {"damping": 1}}},
        "parameters.f107_sfu.damping: not a key; did you mean mean_damping?",
    ),
    (
        {"parameters": {"f107_sfu": {"altitude_min_km": 300, "altitude_max_km": 200}}},
        "parameters.f107_sfu.altitude_max_km: must be above altitude_min_km",
    ),
    (
        {"parameters": {"f107_sfu": {"altitude_min_km": 600}}},
        "parameters.f107_sfu: no altitude of data_grid lies within its limits",
    ),
]


@pytest.mark.parametrize(("keys", "problem"), ANALYSIS_FAULTS, ids=[problem for _, problem in ANALYSIS_FAULTS])
def test_that_options_of_the_filter_that_contradict_each_other_are_refused(
    analysed: Callable[..., Path], keys: dict[str, Any], problem: str
) -> None:
    assert fault(analysed(**keys)).startswith(f"analysis.{problem}")


def test_that_a_parameter_without_spread_cannot_be_estimated(tiny_experiment: WriteExperiment) -> None:
    path = tiny_experiment(
        ensemble={"perturbations": {"f107_sfu": {"standard_deviation": 0.0}}}, analysis={"parameters": F107}
    )
    assert fault(path).startswith(
        "analysis.parameters.f107_sfu: has a standard_deviation of 0 in ensemble.perturbations"
    )


def test_that_a_parameter_may_see_a_direct_track_alone(tracked: Callable[..., Path]) -> None:
    path = tracked(analysis={"parameters": {"f107_sfu": {"altitude_min_km": 560}}})
    assert read_experiment(path)[0].analysis.parameters["f107_sfu"].mean_damping == 0.1


TRACK_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"satellite": "swarm"}, "satellite: 'swarm' is not among satellites: champ, grace"),
    (
        {"satellite": "champ"},
        "satellite: 'champ' is calibration.satellite, whose densities the data grid brings already: the same "
        "measurements would be used twice; choose another one or set data_grid.assimilate: false",
    ),
    (
        {"window_min": 61},
        "window_min: must not be longer than analysis.interval_h (1 h), or two analyses would use the same "
        "measurements",
    ),
    ({"window_min": 0}, "window_min: must be greater than 0 (given: 0)"),
    ({"relative_error": 0}, "relative_error: must be greater than 0 (given: 0)"),
    ({"relative_error": 2}, "relative_error: must be less than or equal to 1 (given: 2)"),
    ({"thinning_s": 30, "superobbing_s": 60}, "superobbing_s: excludes thinning_s: leave one of them out"),
    ({"thinning_s": 1801}, "thinning_s: must not be longer than window_min (30 min)"),
    ({"window_min": 5, "superobbing_s": 400}, "superobbing_s: must not be longer than window_min (5 min)"),
    ({"superobbing_s": 601}, "superobbing_s: must be less than or equal to 600"),
    ({"error_correlation_time_s": 60}, "error_correlation_time_s: belongs to superobbing_s"),
    ({"windw_min": 3}, "windw_min: not a key; did you mean window_min?"),
    ({"localization": {"weighting": "uniform"}}, "localization.cutoff_radius_cells: this key is required"),
    (
        {"localization": {"weighting": "uniform", "cutoff_radius_cells": 3, "block_cells": 1}},
        "localization.block_cells: not a key",
    ),
    (
        {"localization": {"weighting": "uniform", "cutoff_radius_cells": 3, "support_radius_cells": 1}},
        "localization.support_radius_cells: belongs to weighting: gaspari_cohn, and to it alone",
    ),
    (
        {"localization": {"weighting": "uniform", "metric": "great_circle", "cutoff_radius_km": 3}},
        "localization.vertical_cutoff_radius_km: is required with metric: great_circle",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), TRACK_FAULTS, ids=[problem for _, problem in TRACK_FAULTS])
def test_that_direct_tracks_that_cannot_be_are_refused(
    tracked: Callable[..., Path], changes: dict[str, Any], problem: str
) -> None:
    assert fault(tracked(changes)).startswith(f"direct_tracks.own.{problem}")


def test_that_two_direct_tracks_of_one_satellite_are_refused(tiny_experiment: WriteExperiment) -> None:
    path = tiny_experiment(satellites={"grace": GRACE}, direct_tracks={"a": TRACK, "b": TRACK})
    assert fault(path).startswith("direct_tracks.b.satellite: 'grace' is that of direct_tracks.a already")


def test_that_a_track_is_not_called_like_the_data_grid(tiny_experiment: WriteExperiment) -> None:
    path = tiny_experiment(satellites={"grace": GRACE}, direct_tracks={"data_grid": TRACK})
    assert fault(path) == "direct_tracks.data_grid: is the name of the data grid; choose another one"


def test_that_an_analysis_needs_something_to_assimilate(tiny_experiment: WriteExperiment) -> None:
    assert fault(tiny_experiment(data_grid={"assimilate": False})) == (
        "data_grid.assimilate: is false without any direct_tracks: nothing would be assimilated"
    )


def test_that_the_calibrating_satellite_may_be_a_direct_track_instead_of_the_data_grid(
    tracked: Callable[..., Path],
) -> None:
    experiment, _ = read_experiment(tracked({"satellite": "champ"}, data_grid={"assimilate": False}))
    assert experiment.used_satellites == ("champ",)
    assert not experiment.data_grid.assimilate


def test_that_a_direct_track_has_the_localization_of_the_analysis_or_its_own(tracked: Callable[..., Path]) -> None:
    experiment, _ = read_experiment(tracked())
    assert experiment.track_localization("own") == experiment.analysis.localization
    assert experiment.used_satellites == ("champ", "grace")
    own = {"weighting": "exponential", "cutoff_radius_cells": 9.0, "decay_radius_cells": 3.0}
    experiment, _ = read_experiment(tracked({"localization": own}))
    assert experiment.track_localization("own").cutoff_radius == 9.0


@pytest.mark.parametrize(
    ("localization", "problem"),
    [
        (
            COLUMN,
            "direct_tracks.own.localization.vertical_cutoff_radius_cells: must be .inf for "
            "analysis.localization.sub_domain: column, whose levels share one analysis",
        ),
        (
            WHOLE,
            "direct_tracks.own.localization: has no meaning for analysis.localization.sub_domain: whole; leave it out",
        ),
    ],
)
def test_that_the_localization_of_a_direct_track_must_suit_the_sub_domains(
    tracked: Callable[..., Path], localization: dict[str, Any], problem: str
) -> None:
    own = {"weighting": "uniform", "cutoff_radius_cells": 9.0}
    assert fault(tracked({"localization": own}, analysis={"localization": localization})) == problem


def test_that_all_options_together_survive_being_written_as_json(tracked: Callable[..., Path]) -> None:
    path = tracked(
        {"superobbing_s": 60, "error_correlation_time_s": 30},
        analysis={
            "variable": "ln_density",
            "localization": GREAT_CIRCLE | {"vertical_cutoff_radius_km": float("inf")},
            "update_fraction": {"mass_fraction_He": 0.5},
            "adaptive_inflation": {"restart_file": "runs/a/filter.nc"},
            "relaxation": {"method": "rtps", "factor": 0.5},
            "additive_inflation": {"file": "perturbations.nc", "factor": 0.1},
            "innovation_check": {"threshold": 4.0},
            "parameters": F107,
        },
    )
    experiment, _ = read_experiment(path)
    assert Experiment.model_validate(json.loads(experiment.model_dump_json())) == experiment


def test_that_a_fraction_of_a_field_that_the_state_does_not_have_is_refused(analysed: Callable[..., Path]) -> None:
    section = read_experiment(analysed(update_fraction={"mass_fraction_he": 0.5, "temperature": 0.0}))[0].analysis
    with pytest.raises(
        ThermodaError, match=r"analysis\.update_fraction: the state has no field 'mass_fraction_he'; did"
    ):
        refuse_unknown_update_fractions(section, FIELDS)
    refuse_unknown_update_fractions(section, [*FIELDS, "mass_fraction_he"])
    with pytest.raises(ThermodaError, match="no field 'mass_fraction_he'; it has: x"):
        refuse_unknown_update_fractions(section, ["x", "x_previous"])


@pytest.mark.parametrize("keys", [{}, {"lower": 0.5, "initial": 0.5}, {"upper": 1.0, "damping": 0.0}])
def test_that_adaptive_inflation_has_the_defaults_and_bounds_of_the_filter(keys: dict[str, float]) -> None:
    section = AdaptiveInflationSection(**keys)  # type: ignore[arg-type]
    assert AdaptiveInflationSettings(**section.model_dump(exclude={"restart_file"})) == AdaptiveInflationSettings(
        **keys
    )


def test_that_a_section_is_built_without_a_file_too() -> None:
    localization = LocalizationSection(cutoff_radius_cells=4.0, weighting=Weighting.UNIFORM)
    assert AnalysisSection(localization=localization).localization.levels_count
