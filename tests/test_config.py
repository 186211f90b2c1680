"""The experiment file: what is accepted, what is refused, and what the message says."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from da.config import Experiment, json_schema, read_experiment, to_datetime64
from da.errors import ThermodaError
from model_adapters.registry import ADAPTERS

WriteExperiment = Callable[..., Path]
QUICKSTART = Path(__file__).resolve().parents[1] / "experiments" / "quickstart.yaml"


@pytest.fixture
def quickstart(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write the quickstart experiment with one piece of its text replaced."""

    def write(old: str, new: str) -> Path:
        text = QUICKSTART.read_text()
        assert old in text
        path = tmp_path / "quickstart.yaml"
        path.write_text(text.replace(old, new, 1))
        return path

    return write


def fault(path: Path) -> str:
    """Return what is said of a file, without its name."""
    with pytest.raises(ThermodaError) as raised:
        read_experiment(path)
    message = str(raised.value)
    assert "\n" not in message
    return message.removeprefix(str(path))


def line_of(path: Path, beginning: str) -> int:
    """Return the number of the first line that begins with a text, indentation apart."""
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(beginning))


MISSPELT = {
    "experiment": ("experiment:", "experment:", "experment", "experiment"),
    "analysis": ("analysis:", "analyses:", "analyses", "analysis"),
    "name": ("name: quickstart", "nam: quickstart", "experiment.nam", "name"),
    "altitude_km": ("altitude_km: 302", "altitude_k: 302", "satellites.champ.synthetic.altitude_k", "altitude_km"),
    "synthetic": ("synthetic:", "syntetic:", "satellites.champ.syntetic", "synthetic"),
    "satellite": ("  satellite:", "  satelite:", "calibration.satelite", "satellite"),
    "half-life": ("half_life_vertical_km", "half_life_vertical_m", "observation_error.half_life_vertical_m", None),
    "members": ("members:", "member:", "ensemble.member", "members"),
    "truncation": ("truncation: 24.0", "trunction: 24.0", "ensemble.perturbations.f107_sfu.trunction", "truncation"),
    "correlation": ("correlation: 0.9", "corelation: 0.9", "ensemble.correlations.0.corelation", "correlation"),
    "cutoff": ("cutoff_radius_cells", "cutof_radius_cells", "analysis.localization.cutof_radius_cells", None),
    "interval_min": ("interval_min", "interval_h", "output.interval_h", "interval_min"),
    "model settings": ("  settings:", "  setings:", "model.setings", "settings"),
}


@pytest.mark.parametrize("case", MISSPELT)
def test_that_a_misspelt_key_of_any_section_is_named_with_line_path_and_the_key_meant(
    quickstart: Callable[[str, str], Path], case: str
) -> None:
    old, new, key, meant = MISSPELT[case]
    path = quickstart(old, new)
    line = QUICKSTART.read_text().partition(old)[0].count("\n") + 1
    assert fault(path) == f", line {line}: {key}: not a key; did you mean {meant or old.rstrip(':')}?"


REQUIRED = [
    *[
        (section,)
        for section in ("experiment", "satellites", "calibration", "observation_error", "model", "ensemble", "analysis")
    ],
    ("experiment", "name"),
    ("experiment", "seed"),
    ("experiment", "output_folder"),
    ("calibration", "satellite"),
    ("observation_error", "weight_p0"),
    ("observation_error", "half_life_vertical_km"),
    ("model", "adapter"),
    ("ensemble", "members"),
    ("ensemble", "spin_up_days"),
    ("analysis", "localization"),
    ("analysis", "localization", "weighting"),
    ("ensemble", "perturbations", "f107_sfu", "truncation"),
]


@pytest.mark.parametrize("key", REQUIRED, ids=".".join)
def test_that_a_missing_required_key_is_named_at_the_line_of_its_section(
    tiny_experiment: WriteExperiment, key: tuple[str, ...]
) -> None:
    changes: Any = None
    for part in reversed(key):
        changes = {part: changes}
    path = tiny_experiment(**changes)
    where = f", line {line_of(path, f'{key[-2]}:')}" if len(key) > 1 else ""
    assert fault(path) == f"{where}: {'.'.join(key)}: this key is required"


def changes_for(key: str, value: Any) -> dict[str, Any]:
    """Return the nested changes that set one key."""
    result: Any = value
    for part in reversed(key.split(".")):
        result = {part: result}
    return dict(result)


WRONG = [
    ("experiment.seed", -1, "must be greater than or equal to 0 (given: -1)"),
    ("experiment.seed", 1.5, "must be a valid integer, got a number with a fractional part (given: 1.5)"),
    ("experiment.seed", True, "must not be true"),
    ("experiment.name", "a/b", "a name begins with a letter and holds letters, digits, '-' and '_' only (given: a/b)"),
    ("experiment.name", 2002, "must be a valid string (given: 2002)"),
    ("experiment.output_folder", "", "must name a folder, such as runs/quickstart (given: )"),
    ("experiment.output_folder", "runs/..", "must name a folder, such as runs/quickstart (given: runs/..)"),
    ("experiment.output_folder", 5, "must be a path (given: 5)"),
    ("drivers.ap_interpolation", "linear", "must be 'midpoints' or 'stepped' (given: linear)"),
    ("drivers.allow_predicted", "maybe", "must be a valid boolean, unable to interpret input (given: maybe)"),
    ("drivers.high_latitude_source", "ae", "must be 'kp' or 'solar_wind' (given: ae)"),
    (
        "drivers.high_latitude_source",
        "solar_wind",
        "solar_wind: must name the files of the solar wind for high_latitude_source: solar_wind",
    ),
    ("drivers.solar_wind", ["a.dat"], "solar_wind: has no use without high_latitude_source: solar_wind; leave it out"),
    ("drivers.max_gap_min", 90, "max_gap_min: has no use without high_latitude_source: solar_wind; leave it out"),
    ("drivers.outside_solar_wind", "kp", "has no use without high_latitude_source: solar_wind; leave it out"),
    ("drivers.outside_solar_wind", "ap", "must be 'refuse' or 'kp' (given: ap)"),
    (
        "ensemble.perturbations.solar_wind_density_cm3",
        {"standard_deviation": 0.1, "truncation": 0.3},
        "has no effect without drivers.high_latitude_source: solar_wind; leave it out",
    ),
    (
        "analysis.localization.sub_domain",
        "whole",
        "is required, except for sub_domain: whole, which has none",
    ),
    (
        "analysis.localization.sub_domain",
        "column",
        "must be .inf for sub_domain: column, whose levels share one analysis",
    ),
    ("ensemble.correlations", "a.dat", "must be a list, such as [a, b] (given: a.dat)"),
    ("satellites.champ.synthetic.altitude_km", 100, "must be greater than or equal to 150 (given: 100)"),
    ("satellites.champ.synthetic.orbit", "champ_2011", "must be one of champ_2010, grace_a_2010 (given: champ_2011)"),
    ("satellites.champ.synthetic.orbit", "champ_2010", "has no meaning beside orbit; leave one of them out"),
    (
        "satellites.champ.synthetic.catalogue_number",
        26405,
        "has no meaning without two_line_elements_file; leave it out",
    ),
    ("satellites.champ.synthetic.eccentricity", 0.5, "must be less than or equal to 0.05 (given: 0.5)"),
    (
        "satellites.champ.synthetic.altitude_km",
        None,
        "is required, unless the orbit is given by orbit, two_line_elements, two_line_elements_file",
    ),
    ("twin.tad_amplitude", -0.1, "must be greater than or equal to 0 (given: -0.1)"),
    ("satellites.champ.synthetic.relative_noise", "3 %", "unable to parse string as a number (given: 3 %)"),
    ("satellites.champ.files", ["a"], "give either 'files' or 'synthetic'"),
    ("calibration.satellite", "grace", "'grace' is not among satellites: champ"),
    ("calibration.msis_version", 2.1, "must be '00', '2.0' or '2.1', as text in quotes (given: 2.1)"),
    ("calibration.low_pass.kind", "acausal", "(given: acausal)"),
    ("calibration.low_pass.order", 9, "must be less than or equal to 8 (given: 9)"),
    ("data_grid.altitude_max_km", 150, "must not be below altitude_min_km"),
    ("data_grid.longitude_step_deg", 0, "must be greater than or equal to 0.5 (given: 0)"),
    ("observation_error.weight_p0", 0, "must be greater than 0 (given: 0)"),
    ("observation_error.half_life_vertical_km", -1, "must be greater than 0 (given: -1)"),
    ("model.settings", 5, "must be a section of keys (given: 5)"),
    ("ensemble.members", 0, "must be greater than or equal to 2 (given: 0)"),
    ("ensemble.members", 1, "must be greater than or equal to 2 (given: 1)"),
    ("ensemble.members", [4], "must be a valid integer"),
    ("ensemble.spin_up_days", 61, "must be less than or equal to 60 (given: 61)"),
    ("ensemble.correlations", [{"inputs": ["a"], "correlation": 0}], "inputs.1: this entry of the list is required"),
    ("ensemble.correlations", [{"inputs": ["a", "b", "c"], "correlation": 0}], "inputs: has too many entries"),
    ("ensemble.correlations", [{"inputs": ["a", "b"], "correlation": 1}], "must be less than 1 (given: 1)"),
    ("analysis.localization.weighting", "gaspari_cohn", "belongs to weighting: gaspari_cohn, and to it alone"),
    ("analysis.localization.support_radius_cells", 3, "belongs to weighting: gaspari_cohn, and to it alone"),
    ("analysis.localization.block_cells", 0, "must be greater than or equal to 1 (given: 0)"),
    ("analysis.forgetting_factor", 1.1, "must be less than or equal to 1 (given: 1.1)"),
    ("analysis.relaxation", {"method": "rtpx", "factor": 0.5}, "must be 'rtps' or 'rtpp' (given: rtpx)"),
    ("analysis.relaxation", 5, "must be a section of keys (given: 5)"),
    ("analysis.interval_h", 0.7, "must divide the time from experiment.start to experiment.stop"),
    ("analysis.interval_h", 0.33333333333, "must divide the time from experiment.start to experiment.stop"),
    ("analysis.interval_h", 2, "must divide the time from experiment.start to experiment.stop"),
    ("output.interval_min", 7, "must divide analysis.interval_h"),
    ("output.interval_min", 120, "must divide analysis.interval_h"),
    ("output.interval_min", 1e-9, "must be greater than or equal to 0.1 (given: 1e-09)"),
    (
        "expect",
        [{"satellite": "grace", "row": "MSIS", "statistic": "bias", "value": 1, "tolerance": 1}],
        "expect.0.satellite: 'grace' is not among satellites: champ",
    ),
]


@pytest.mark.parametrize(("key", "value", "problem"), WRONG, ids=[f"{key}={value}" for key, value, _ in WRONG])
def test_that_a_wrong_value_is_refused_with_its_line_and_what_would_be_right(
    tiny_experiment: WriteExperiment, key: str, value: Any, problem: str
) -> None:
    message = fault(tiny_experiment(**changes_for(key, value)))
    assert message.startswith(", line ")
    assert key.rpartition(".")[0] in message
    assert message.endswith(problem)


def test_that_an_empty_list_of_satellites_is_refused(tmp_path: Path) -> None:
    text = QUICKSTART.read_text()
    start, stop = text.index("satellites:\n"), text.index("calibration:\n")
    path = tmp_path / "none.yaml"
    path.write_text(text[:start] + "satellites: {}\n" + text[stop:])
    assert fault(path).endswith("satellites: has too few entries")


FLOATS = [
    "twin.f107_error_sfu",
    "twin.storm_response",
    "satellites.champ.synthetic.sampling_s",
    "calibration.margin_h",
    "calibration.low_pass.cutoff_h",
    "calibration.quality.outlier_floor",
    "data_grid.altitude_step_km",
    "data_grid.altitude_min_km",
    "observation_error.weight_p0",
    "ensemble.spin_up_days",
    "ensemble.perturbations.f107_sfu.standard_deviation",
    "ensemble.perturbations.f107_sfu.truncation",
    "analysis.interval_h",
    "analysis.localization.cutoff_radius_cells",
    "analysis.forgetting_factor",
    "output.interval_min",
]
HALF_LIVES = ["observation_error.half_life_horizontal_rad", "observation_error.half_life_vertical_km"]


@pytest.mark.parametrize("key", FLOATS)
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_that_infinities_and_nan_are_refused(tiny_experiment: WriteExperiment, key: str, value: float) -> None:
    assert f"{key}: must be a finite number (given: {value})" in fault(tiny_experiment(**changes_for(key, value)))


@pytest.mark.parametrize("key", HALF_LIVES)
def test_that_a_half_life_may_be_infinite_but_not_nan(tiny_experiment: WriteExperiment, key: str) -> None:
    experiment, _ = read_experiment(tiny_experiment(**changes_for(key, float("inf"))))
    assert getattr(experiment.observation_error, key.rpartition(".")[2]) == float("inf")
    for value in (float("nan"), float("-inf")):
        assert f"{key}: must be greater than 0" in fault(tiny_experiment(**changes_for(key, value)))


TIMES = [
    "2010-04-05T00:00:00Z",
    "2010-04-05T00:00:00",
    "2010-04-05 00:00:00",
    "2010-04-05T00:00Z",
    "2010-04-05T02:00:00+02:00",
    "2010-04-04T20:30:00-03:30",
    "2010-04-05T05:45+05:45",
    '"2010-04-05T00:00:00Z"',
    '"2010-04-05T02:00+02:00"',
]


@pytest.mark.parametrize("text", TIMES)
def test_that_times_with_and_without_zone_are_read_as_utc(quickstart: Callable[[str, str], Path], text: str) -> None:
    experiment, _ = read_experiment(quickstart("start: 2010-04-05T00:00:00Z", f"start: {text}"))
    assert experiment.experiment.start == datetime(2010, 4, 5)
    assert type(experiment.experiment.start) is datetime
    assert to_datetime64(experiment.experiment.start) == np.datetime64("2010-04-05", "ns")


FORM = "experiment.start: must be a time like 2010-04-05T00:00:00Z"
NO_TIMES = {
    "2010-04-05": FORM,
    '"2010-04-05"': FORM,
    '"next tuesday"': FORM,
    "20100405": FORM,
    "9999-12-31T23:00:00-05:00": FORM,
    "1600-01-01T00:00:00Z": "experiment.start: the year must lie between 1700 and 2199",
    "2010-02-30T00:00:00Z": "not a valid value (day is out of range for month)",
    "2010-04-05T24:30:00Z": "not a valid value (hour must be in 0..23)",
}


@pytest.mark.parametrize("text", NO_TIMES)
def test_that_what_is_no_time_is_refused_with_the_form_of_one(
    quickstart: Callable[[str, str], Path], text: str
) -> None:
    message = fault(quickstart("start: 2010-04-05T00:00:00Z", f"start: {text}"))
    assert message.startswith(", line 6: " + NO_TIMES[text])


@pytest.mark.parametrize("start", ["2010-04-06T00:00:00Z", "2011-01-01T00:00:00Z", "2010-04-06T00:00:00-01:00"])
def test_that_a_stop_that_is_not_later_than_the_start_is_reported_at_its_line(
    quickstart: Callable[[str, str], Path], start: str
) -> None:
    path = quickstart("start: 2010-04-05T00:00:00Z", f"start: {start}")
    assert fault(path) == ", line 7: experiment.stop: must be later than experiment.start"


@pytest.mark.parametrize("interval_h", [1 / 3, 0.25, 0.05, 1.0])
def test_that_intervals_that_divide_in_nanoseconds_are_accepted(
    tiny_experiment: WriteExperiment, interval_h: float
) -> None:
    path = tiny_experiment(analysis={"interval_h": interval_h}, output={"interval_min": 20.0 * interval_h})
    assert read_experiment(path)[0].analysis.interval_h == interval_h


@pytest.mark.parametrize(
    ("adapter", "settings", "problem"),
    [
        ("msis_relaxation", {"resolution_dg": 10}, "resolution_dg: not a key; did you mean resolution_deg?"),
        ("msis_relaxation", {"resolution_deg": 7}, "resolution_deg: must divide 180 (given: 7)"),
        (
            "msis_relaxation",
            {"decay_time_top_h": float("inf")},
            "decay_time_top_h: must be a finite number (given: inf)",
        ),
        ("template", {"relaxation_time_h": 0}, "relaxation_time_h: must be greater than 0 (given: 0)"),
        ("lorenz96", {"forcng": 8}, "forcng: not a key; did you mean forcing?"),
    ],
)
def test_that_settings_of_the_model_are_checked_by_its_adapter_with_line_and_path(
    tiny_experiment: WriteExperiment, adapter: str, settings: dict[str, Any], problem: str
) -> None:
    path = tiny_experiment(model={"adapter": adapter, "settings": {"resolution_deg": None, **settings}})
    _, source = read_experiment(path)
    line = line_of(path, next(iter(settings)) + ":")
    with pytest.raises(ThermodaError) as raised:
        source.validate(ADAPTERS[adapter].settings, ("model", "settings"))
    assert str(raised.value) == f"{path}, line {line}: model.settings.{problem}"


def test_that_an_experiment_cannot_be_changed(tiny_experiment: WriteExperiment) -> None:
    experiment, _ = read_experiment(tiny_experiment())

    def sections(model: BaseModel) -> list[BaseModel]:
        inner = [value for name in type(model).model_fields if isinstance(value := getattr(model, name), BaseModel)]
        return [model, *(one for section in inner for one in sections(section))]

    for section in sections(experiment):
        name = next(iter(type(section).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, getattr(section, name))


def test_that_an_experiment_survives_pickling_between_ranks(tiny_experiment: WriteExperiment) -> None:
    experiment, _ = read_experiment(tiny_experiment())
    assert pickle.loads(pickle.dumps(experiment)) == experiment


def test_that_an_experiment_written_as_json_is_read_back_the_same(tiny_experiment: WriteExperiment) -> None:
    experiment, _ = read_experiment(tiny_experiment())
    text = experiment.model_dump_json()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["observation_error"]["half_life_horizontal_rad"] == "Infinity"
    assert Experiment.model_validate(content) == experiment


def test_that_the_schema_refuses_unknown_keys_in_every_section() -> None:
    schema = json.loads(json_schema())
    assert schema["additionalProperties"] is False
    assert all(one["additionalProperties"] is False for one in schema["$defs"].values() if one["type"] == "object")


@pytest.mark.parametrize("key", ["block_cells", "vertical_cutoff_radius_cells"])
def test_that_keys_without_meaning_for_the_whole_state_are_refused(tiny_experiment: WriteExperiment, key: str) -> None:
    localization = {"sub_domain": "whole", "cutoff_radius_cells": None, key: 3}
    assert f"{key}: has no meaning for sub_domain: whole" in fault(
        tiny_experiment(analysis={"localization": localization})
    )


def test_that_a_twin_without_synthetic_satellites_is_refused(tiny_experiment: WriteExperiment) -> None:
    changes = {"satellites": {"champ": {"synthetic": None, "files": ["a.txt"]}}, "twin": {"tad_rate_per_day": 2}}
    assert "twin: has no meaning without a synthetic satellite" in fault(tiny_experiment(**changes))
