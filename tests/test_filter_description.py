"""The filter of an experiment in words: each choice is told, and told right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from da.config import read_experiment
from da.filter_description import describe_filter

WriteExperiment = Callable[..., Path]
GRACE = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0}}
TRACK = {"satellite": "grace", "window_min": 30, "relative_error": 0.1}
GREAT_CIRCLE = {
    "metric": "great_circle",
    "cutoff_radius_cells": None,
    "cutoff_radius_km": 2000.0,
    "vertical_cutoff_radius_scale_heights": 1.5,
}


def test_that_the_plain_filter_is_described(tiny_experiment: WriteExperiment) -> None:
    assert describe_filter(read_experiment(tiny_experiment())[0]) == {
        "assimilated": "data grid of NRLMSIS calibrated along champ",
        "gaps of densities": "filled up to 3 h; beyond, the data grid pauses",
        "variable": "density",
        "distance": "index, cut-off 4 cells, in height 4 cells",
        "weights": "uniform",
        "inflation": "none",
        "parameters": "none estimated",
    }


@pytest.mark.parametrize(
    ("analysis", "line", "text"),
    [
        ({"variable": "ln_density"}, "variable", "ln of density"),
        ({"localization": {"sub_domain": "whole", "cutoff_radius_cells": None}}, "distance", "none: all observations"),
        (
            {"localization": GREAT_CIRCLE},
            "distance",
            "great circle, cut-off 2000 km, in height 1.5 scale heights",
        ),
        ({"localization": {"vertical_cutoff_radius_cells": float("inf")}}, "distance", "height does not count"),
        ({"localization": {"vertical_cutoff_radius_cells": 2.0}}, "distance", "in height 2 cells"),
        (
            {"localization": {"weighting": "gaspari_cohn", "support_radius_cells": 7.0, "regulated": True}},
            "weights",
            "Gaspari-Cohn, zero at 7 cells, regulated",
        ),
        (
            {
                "localization": GREAT_CIRCLE
                | {"weighting": "exponential", "decay_radius_km": 500.0, "error_correlation_radius_km": 90.0}
            },
            "weights",
            "exponential, 1/e at 500 km, errors correlated up to 90 km",
        ),
        (
            {"localization": {"block_cells": 1, "weight_interpolation_cells": 3}},
            "weights",
            "uniform, computed every 3 cells and interpolated",
        ),
        ({"forgetting_factor": 0.95}, "inflation", "forgetting factor 0.95"),
        (
            {"forgetting_factor": 0.9, "adaptive_forgetting": "local"},
            "inflation",
            "forgetting factor locally adaptive, else 0.9",
        ),
        (
            {"adaptive_inflation": {}, "relaxation": {"method": "rtps", "factor": 0.8}},
            "inflation",
            "adaptive per sub-domain from 1 +- 0.6, 0.9 to 10; rtps 0.8",
        ),
        (
            {"adaptive_inflation": {"restart_file": "a/filter.nc"}},
            "inflation",
            "adaptive per sub-domain from a/filter.nc, 0.9 to 10",
        ),
        (
            {"additive_inflation": {"file": "p.nc", "factor": 0.2}},
            "inflation",
            "0.2 times perturbations of p.nc",
        ),
        ({"innovation_check": {"threshold": 4}}, "innovation check", "refuses what is beyond 4 standard deviations"),
        ({"update_fraction": {"temperature": 0.5}}, "part of the increment", "temperature 0.5"),
        ({"parameters": {"f107_sfu": {}}}, "parameters", "f107_sfu (mean increment times 0.1)"),
    ],
)
def test_that_every_choice_is_told(
    tiny_experiment: WriteExperiment, analysis: dict[str, Any], line: str, text: str
) -> None:
    described = describe_filter(read_experiment(tiny_experiment(analysis=analysis))[0])
    assert described[line].startswith(text) or described[line].endswith(text)
    assert all("\n" not in one for one in described.values())


def test_that_direct_tracks_and_what_they_replace_are_told(tiny_experiment: WriteExperiment) -> None:
    own = {"weighting": "uniform", "cutoff_radius_cells": 9.0}
    path = tiny_experiment(
        satellites={"grace": GRACE},
        data_grid={"assimilate": False},
        direct_tracks={"a": TRACK | {"superobbing_s": 60, "localization": own}, "b": TRACK | {"satellite": "champ"}},
    )
    lines = describe_filter(read_experiment(path)[0])
    assert lines["assimilated"].startswith("direct tracks only; champ calibrates NRLMSIS")
    assert lines["direct track a"] == (
        "grace, 30 min before each analysis, relative error 0.1; averages of 60 s; "
        "index, cut-off 9 cells, in height 9 cells; uniform"
    )
    assert lines["direct track b"] == "champ, 30 min before each analysis, relative error 0.1"


def test_that_the_summary_of_an_experiment_tells_its_filter(
    tiny_experiment: WriteExperiment, command_line: Callable[..., Any]
) -> None:
    path = tiny_experiment(analysis={"forgetting_factor": 0.9})
    ended = command_line("check", path)
    assert ended.status == 0, ended.err
    rows = [[part.strip() for part in line.split("│")[1:3]] for line in ended.out.splitlines() if "│" in line]
    shown = {row[0]: row[1] for row in rows if row[0]}
    described = describe_filter(read_experiment(path)[0])
    assert described.items() <= shown.items()
    assert shown["calibration"] == "along champ (0 outliers left out)"


def test_that_the_check_refuses_a_fraction_of_a_field_that_the_model_does_not_have(
    tiny_experiment: WriteExperiment, command_line: Callable[..., Any]
) -> None:
    path = tiny_experiment(analysis={"update_fraction": {"mass_fraction_N2": 0.5}})
    assert command_line("check", path).error.startswith(
        "analysis.update_fraction: the state has no field 'mass_fraction_N2'; did you mean mass_fraction_O2?"
    )
