"""The sections about gaps and satellites that disagree: what they refuse, by line and in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from da.config import read_experiment
from da.errors import ThermodaError
from da.filter_description import describe_filter

WriteExperiment = Callable[..., Path]
GRACE = {"grace": {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0}}}
PERSISTENCE = {"relaxation_time_h": 12.0, "standard_deviation": "estimated"}


def gaps(**section: Any) -> dict[str, Any]:
    return {"calibration": {"gaps": section}, "satellites": GRACE}


WRONG = [
    (gaps(then="wait"), "calibration.gaps.then: 'wait' is not among pause, persist, stop, grace"),
    (gaps(then="champ"), "calibration.gaps.then: 'champ' is not among pause, persist, stop, grace"),
    (gaps(then="persist"), "calibration.gaps.persistence: must give relaxation_time_h and standard_deviation"),
    (gaps(persistence=PERSISTENCE), "calibration.gaps.persistence: has no use for then: pause; leave it out"),
    (gaps(then="persist", persistence={"relaxation_time_h": 3.0}), "standard_deviation: this key is required"),
    (gaps(then="persist", persistence=PERSISTENCE | {"relaxation_time_h": -1.0}), "relaxation_time_h"),
    (gaps(then="persist", persistence=PERSISTENCE | {"relaxation_time_h": True}), "must not be true"),
    (gaps(then="persist", persistence=PERSISTENCE | {"relaxation_time_h": float("inf")}), "relaxation_time_h"),
    (
        gaps(then="persist", persistence=PERSISTENCE | {"standard_deviation": "guessed"}),
        "must be a number or 'estimated'",
    ),
    (gaps(longest_filled_h=0.0), "longest_filled_h: must be greater than 0"),
    (gaps(longest_filled_h=float("nan")), "longest_filled_h: must be a finite number"),
    (
        gaps(then="persist", persistence=PERSISTENCE) | {"observation_error": {"half_life_horizontal_rad": 1.0}},
        "calibration.gaps.then: must not be 'persist' with a finite observation_error.half_life_horizontal_rad",
    ),
    (
        gaps(then="grace")
        | {"direct_tracks": {"own": {"satellite": "grace", "window_min": 30, "relative_error": 0.1}}},
        "calibration.gaps.then: 'grace' is that of a direct track already",
    ),
    ({"calibration": {"quality": {"max_gap_h": 6.0}}}, "max_gap_h: not a key"),
    ({"calibration": {"disagreement": {"then": "ignore"}}}, "calibration.disagreement.then: must be 'warn' or 'stop'"),
    ({"calibration": {"disagreement": {"threshold": 0.0}}}, "disagreement.threshold: must be greater than 0"),
    (
        {"calibration": {"disagreement": {"accepted": -0.1}}},
        "disagreement.accepted: must be greater than or equal to 0",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), WRONG, ids=[problem[:60] for _, problem in WRONG])
def test_that_a_wrong_value_is_refused_with_its_line(
    tiny_experiment: WriteExperiment, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ThermodaError) as caught:
        read_experiment(tiny_experiment(**changes))
    message = str(caught.value)
    assert ", line " in message
    assert problem in message


def test_that_gaps_up_to_the_cut_off_are_filled_unless_told_otherwise(tiny_experiment: WriteExperiment) -> None:
    def filled(**calibration: Any) -> float:
        return read_experiment(tiny_experiment(calibration=calibration))[0].calibration.longest_filled_h

    assert filled() == 3.0
    assert filled(low_pass={"cutoff_h": 5.0}) == 5.0
    assert filled(low_pass={"cutoff_h": 5.0}, gaps={"longest_filled_h": 1.5}) == 1.5


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "filled up to 3 h; beyond, the data grid pauses"),
        ({"then": "stop", "longest_filled_h": 2.0}, "filled up to 2 h; beyond, the run does not begin"),
        ({"then": "grace"}, "filled up to 3 h; beyond, the factor of grace"),
        (
            {"then": "persist", "persistence": PERSISTENCE},
            "filled up to 3 h; beyond, the latest factor persists (relaxation time 12 h, standard deviation estimated)",
        ),
    ],
)
def test_that_what_happens_in_gaps_is_told_in_words(
    tiny_experiment: WriteExperiment, section: dict[str, Any], words: str
) -> None:
    experiment, _ = read_experiment(tiny_experiment(**gaps(**section)))
    assert describe_filter(experiment)["gaps of densities"] == words


def test_that_a_satellite_that_may_take_over_counts_as_used(tiny_experiment: WriteExperiment) -> None:
    assert read_experiment(tiny_experiment(**gaps(then="grace")))[0].used_satellites == ("champ", "grace")
    assert read_experiment(tiny_experiment(**gaps()))[0].used_satellites == ("champ",)
