"""What the analysis in one call says about wrong arguments: one line, naming the argument and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from da.filters.assimilate import CompressedRows, Inflation, assimilate
from da.filters.lestkf import AnalysisError
from da.inflation import AdaptiveInflationSettings, InflationState
from da.localization import LocalObservations, select_local_observations

ROWS, DOMAINS = 24, 6


def _with(name: str, place: Any, value: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(arguments: dict[str, Any]) -> dict[str, Any]:
        array = np.array(arguments[name])
        array[place] = value
        return {name: array}

    return change


WRONG: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "flat ensemble": (lambda a: {"ensemble": a["ensemble"][:, 0]}, r"^ensemble must have shape .* not \(24,\)"),
    "one member": (lambda a: {"ensemble": a["ensemble"][:, :1]}, r"^ensemble has 1 member.* 2 at least"),
    "no rows": (lambda a: {"ensemble": a["ensemble"][:0]}, r"^ensemble must have shape .* not \(0, 8\)"),
    "complex": (lambda a: {"ensemble": a["ensemble"] * 1j}, r"^ensemble must hold real numbers, not complex128"),
    "ragged": (lambda a: {"values": [[1.0], [1.0, 2.0]]}, "^values cannot be read as an array"),
    "nan in a sub-domain": (_with("ensemble", (5, 2), np.nan), r"^ensemble must be finite .* row 5 .* member 2"),
    "other members": (
        lambda a: {"observed_ensemble": a["observed_ensemble"][:, 1:]},
        r"^observed_ensemble must have shape \(observations, 8\).* not \(15, 7\)",
    ),
    "infinite HX": (
        _with("observed_ensemble", (3, 1), np.inf),
        r"^observed_ensemble must be finite: observed_ensemble\[3, 1\] is inf",
    ),
    "too few values": (lambda a: {"values": a["values"][1:]}, r"^values must have shape \(15,\).* not \(14,\)"),
    "nan value": (_with("values", 7, np.nan), r"^values must be finite: values\[7\] is nan"),
    "masked value": (
        lambda a: {"values": np.ma.masked_less(a["values"], 2.0)},
        "^values has masked numbers: leave those",
    ),
    "errors as a column": (
        lambda a: {"error_standard_deviation": a["error_standard_deviation"][:, None]},
        r"^error_standard_deviation must have shape \(15,\), .* or one number for all, not \(15, 1\)",
    ),
    "negative error": (
        _with("error_standard_deviation", 4, -1.0),
        r"^error_standard_deviation must be positive.* observation 4 is -1",
    ),
    "error too small": (lambda a: {"error_standard_deviation": 1e-200}, "^error_standard_deviation must be positive"),
    "nan error": (_with("error_standard_deviation", 4, np.nan), "^error_standard_deviation must be finite"),
    "no sub-domain": (lambda a: {"sub_domains": []}, "^sub_domains must name one sub-domain at least"),
    "empty sub-domain": (
        lambda a: {"sub_domains": [*a["sub_domains"][:5], []]},
        r"^sub_domains\[5\] is empty",
    ),
    "overlapping rows": (
        lambda a: {"sub_domains": [[0, 1], [2, 1]]},
        "^sub_domains overlap: row 1 is in sub-domain 0 and again in 1",
    ),
    "repeated row": (lambda a: {"sub_domains": [[3, 3]]}, "^sub_domains overlap: row 3 .* 0 and again in 0"),
    "row beyond the state": (
        lambda a: {"sub_domains": [[0], [ROWS]]},
        r"^sub_domains\[1\] holds row 24: the ensemble has rows 0 to 23",
    ),
    "negative row": (lambda a: {"sub_domains": [[-1]]}, r"^sub_domains\[0\] holds row -1"),
    "mask": (
        lambda a: {"sub_domains": [np.ones(ROWS, dtype=bool)]},
        r"^sub_domains\[0\] must be a one-dimensional array of row numbers, .* not bool",
    ),
    "slice": (lambda a: {"sub_domains": [slice(0, 3)]}, r"^sub_domains\[0\] must be a one-dimensional array"),
    "rows as fractions": (lambda a: {"sub_domains": [[0.0]]}, r"^sub_domains\[0\] must be .* not float64"),
    "compressed rows that end early": (
        lambda a: {"sub_domains": CompressedRows([0, 3], np.arange(5))},
        "^start of sub_domains must begin with 0, .* length of index, 5",
    ),
    "compressed rows that begin late": (
        lambda a: {"sub_domains": CompressedRows([1, 5], np.arange(5))},
        "^start of sub_domains must begin with 0",
    ),
    "compressed rows that go back": (
        lambda a: {"sub_domains": CompressedRows([0, 3, 2, 5], np.arange(5))},
        "^start of sub_domains must begin with 0, never fall",
    ),
    "other centres": (
        lambda a: {"centre": a["centre"][1:]},
        r"^centre must have shape \(6, 3\), one row per sub-domain .* not \(5, 3\)",
    ),
    "positions in the plane": (
        lambda a: {"position": a["position"][:, 1:]},
        r"^position must have shape \(15, 3\), one row per observation .* not \(15, 2\)",
    ),
    "nan position": (_with("position", (2, 0), np.nan), r"^position must be finite: position\[2, 0\] is nan"),
    "no metric": (lambda a: {"metric": None}, "^metric is missing: a Localization needs sub_domains, centre"),
    "no positions": (lambda a: {"position": None}, "^position is missing"),
    "no centres": (lambda a: {"centre": None}, "^centre is missing"),
    "no rows of sub-domains": (lambda a: {"sub_domains": None}, "^sub_domains is missing"),
    "geometry of the global filter": (
        lambda a: {"localization": None},
        "^sub_domains has no meaning where localization is None, the global filter: leave it out",
    ),
    "selected twice": (
        lambda a: {
            "localization": select_local_observations(a["centre"], a["position"], a["localization"], a["metric"])
        },
        "^centre has no meaning where localization is LocalObservations",
    ),
    "selected for others": (
        lambda a: _ready(LocalObservations(np.array([0, 1]), np.array([0]), np.ones(1))),
        "^localization is of 1 sub-domains, sub_domains of 6",
    ),
    "selected beyond the observations": (
        lambda a: _ready(LocalObservations(np.arange(DOMAINS + 1), np.full(DOMAINS, 15), np.ones(DOMAINS))),
        "^localization refers to observations 15 to 15: there are 0 to 14",
    ),
    "negative weight": (
        lambda a: _ready(LocalObservations(np.arange(DOMAINS + 1), np.arange(DOMAINS), -np.ones(DOMAINS))),
        "^the weights of localization must be finite and not negative",
    ),
    "fewer weights": (
        lambda a: _ready(LocalObservations(np.arange(DOMAINS + 1), np.arange(DOMAINS), np.ones(1))),
        r"^localization has \(6,\) indices and \(1,\) weights",
    ),
    "threshold": (lambda a: {"innovation_threshold": 0.0}, "threshold of the innovation check must be positive"),
    "fractions of another state": (
        lambda a: {"update_fraction": np.ones(3)},
        r"^update_fraction must have shape \(24,\), one per row",
    ),
    "fraction above one": (
        lambda a: {"update_fraction": np.full(ROWS, 1.5)},
        r"^update_fraction must lie within \[0, 1\], not 1.5",
    ),
    "state of inflation without use": (
        lambda a: {"inflation_state": InflationState(np.ones(DOMAINS), np.ones(DOMAINS))},
        "^inflation_state has no meaning without inflation.adaptive_inflation",
    ),
    "state of inflation of others": (
        lambda a: {
            "inflation": Inflation(adaptive_inflation=AdaptiveInflationSettings()),
            "inflation_state": InflationState(np.ones(2), np.ones(2)),
        },
        r"^inflation_state is of shape \(2,\): there are 6 sub-domains",
    ),
}


def _ready(local: LocalObservations) -> dict[str, Any]:
    return {"localization": local, "centre": None, "position": None, "metric": None}


@pytest.mark.parametrize("case", WRONG)
def test_that_a_wrong_argument_is_named(arguments: dict[str, Any], case: str) -> None:
    change, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as failure:
        assimilate(**(arguments | change(arguments)))
    assert "\n" not in str(failure.value)


def test_that_the_global_filter_has_to_be_asked_for(arguments: dict[str, Any]) -> None:
    del arguments["localization"]
    with pytest.raises(TypeError, match="localization"):
        assimilate(**arguments)


def test_that_another_kind_of_localization_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="^localization must be a Localization.* not 7.0"):
        assimilate(**(arguments | {"localization": 7.0}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"forgetting_factor": 0.0}, "^forgetting_factor must be positive and finite, not 0.0"),
        ({"forgetting_factor": np.nan}, "^forgetting_factor must be positive"),
        ({"adaptive_forgetting": "both"}, "^adaptive_forgetting must be 'global', 'local' or None, not 'both'"),
        ({"relaxation_to_spread": 1.1}, r"^relaxation_to_spread must lie within \[0, 1\], not 1.1"),
        ({"relaxation_to_spread": 0.5, "relaxation_to_perturbations": 0.5}, "exclude each other"),
        ({"adaptive_inflation": AdaptiveInflationSettings(), "forgetting_factor": 0.9}, "^adaptive_inflation excludes"),
        (
            {"adaptive_inflation": AdaptiveInflationSettings(), "adaptive_forgetting": "local"},
            "^adaptive_inflation excludes",
        ),
    ],
)
def test_that_choices_of_inflation_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Inflation(**settings)


def test_that_a_sub_domain_that_overflows_is_named(arguments: dict[str, Any]) -> None:
    change = _with("observed_ensemble", (slice(None), 0), 1e200)(arguments)
    with np.errstate(all="ignore"), pytest.raises(AnalysisError, match="^sub-domain 0 failed: .* not finite"):
        assimilate(**(arguments | change))
