"""One analysis in one call: its answers, its limits, its invariances and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da.diagnostics import degrees_of_freedom_for_signal, effective_ensemble_size, spread_error_ratio
from da.filters import estkf, naive
from da.filters.assimilate import CompressedRows, Inflation, assimilate
from da.inflation import (
    AdaptiveInflationSettings,
    InflationState,
    global_forgetting_factor,
    local_forgetting_factors,
    update,
)
from da.localization import (
    IndexMetric,
    Localization,
    LocalObservations,
    Weighting,
    regulated,
    select_local_observations,
)

OBSERVATIONS, DOMAINS, ROWS_PER_DOMAIN = 15, 6, 4
ROWS = DOMAINS * ROWS_PER_DOMAIN
GEOMETRY = ("sub_domains", "centre", "position", "metric")
OBSERVATION_ARGUMENTS = ("observed_ensemble", "values", "error_standard_deviation", "position")

REFERENCE_CASES = {
    "b_lestkf_uniform": ("cells", Localization(7.0, Weighting.UNIFORM), 1.0),
    "c_lestkf_gc": ("cells", Localization(7.0, Weighting.GASPARI_COHN, 7.0), 1.0),
    "d_lestkf_gc_f09": ("cells", Localization(7.0, Weighting.GASPARI_COHN, 7.0), 0.9),
    "g_lestkf_gc_blocks3_f09": ("blocks3", Localization(7.0, Weighting.GASPARI_COHN, 7.0), 0.9),
}
# The answers carry rounding of about 1e-13 of the prior spread; 1e-11 leaves room for another LAPACK.
REFERENCE_TOLERANCE = 1e-11


def _global(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in GEOMETRY} | {"localization": None}


def _selected(arguments: dict[str, Any]) -> LocalObservations:
    return select_local_observations(
        arguments["centre"], arguments["position"], arguments["localization"], arguments["metric"]
    )


def _innovation_numbers(arguments: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return variance of HX, innovation and error variance."""
    observed = arguments["observed_ensemble"]
    innovation = arguments["values"] - observed.mean(axis=1)
    return observed.var(axis=1, ddof=1), innovation, arguments["error_standard_deviation"] ** 2


# ---- answers and limits


def _load(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}.npz") as content:
        return {key: content[key] for key in content.files}


@pytest.mark.parametrize("compressed", [False, True], ids=["list", "compressed rows"])
@pytest.mark.parametrize("case", REFERENCE_CASES)
def test_that_every_local_reference_case_is_reproduced(reference_folder: Path, case: str, compressed: bool) -> None:
    domains, localization, forgetting_factor = REFERENCE_CASES[case]
    inputs, answer = _load(reference_folder, "inputs"), _load(reference_folder, case)
    start, index = inputs[f"{domains}_ptr"], inputs[f"{domains}_idx"]
    rows = CompressedRows(start, index) if compressed else np.split(index, start[1:-1])
    result = assimilate(
        inputs["X"],
        inputs["HX"],
        inputs["y"],
        np.sqrt(inputs["rvar"]),
        localization=localization,
        sub_domains=rows,
        centre=inputs[f"{domains}_xyz"][:, ::-1],
        position=inputs["oxyz"][:, ::-1],
        metric=IndexMetric(None),
        inflation=Inflation(forgetting_factor),
    )
    spread = inputs["X"].std(axis=1, ddof=1, keepdims=True)
    assert np.max(np.abs(result.ensemble - answer["Xa"]) / spread) < REFERENCE_TOLERANCE
    assert result.diagnostics.rows_in_no_sub_domain == 0


def test_that_the_global_reference_case_is_reproduced(reference_folder: Path) -> None:
    inputs, answer = _load(reference_folder, "inputs"), _load(reference_folder, "a_estkf_global")
    result = assimilate(inputs["X"], inputs["HX"], inputs["y"], np.sqrt(inputs["rvar"]), localization=None)
    spread = inputs["X"].std(axis=1, ddof=1, keepdims=True)
    assert np.max(np.abs(result.ensemble - answer["Xa"]) / spread) < REFERENCE_TOLERANCE


def test_that_without_localization_it_is_the_global_filter(arguments: dict[str, Any]) -> None:
    result = assimilate(**_global(arguments), inflation=Inflation(0.9))
    names = ("ensemble", "observed_ensemble", "values")
    expected = estkf.analyse(*(arguments[n] for n in names), arguments["error_standard_deviation"] ** 2, 0.9)
    np.testing.assert_allclose(result.ensemble, expected, rtol=1e-13)
    assert result.diagnostics.local_observations.tolist() == [OBSERVATIONS]


def test_that_an_infinite_cutoff_is_the_global_filter_in_every_sub_domain(arguments: dict[str, Any]) -> None:
    everywhere = Localization(np.inf, Weighting.UNIFORM)
    result = assimilate(**(arguments | {"localization": everywhere}))
    np.testing.assert_allclose(result.ensemble, assimilate(**_global(arguments)).ensemble, rtol=1e-13)


def test_that_no_observation_changes_no_bit(arguments: dict[str, Any]) -> None:
    none = {name: arguments[name][:0] for name in OBSERVATION_ARGUMENTS}
    for given in (arguments | none, _global(arguments | none)):
        result = assimilate(**given, inflation=Inflation(0.5, relaxation_to_spread=0.5), innovation_threshold=3.0)
        np.testing.assert_array_equal(result.ensemble, arguments["ensemble"])
        assert result.ensemble is not arguments["ensemble"]
        assert result.diagnostics.spread_error_ratio is None
        assert result.diagnostics.effective_ensemble_size == 0.0


def test_that_local_observations_selected_before_give_the_same_numbers(arguments: dict[str, Any]) -> None:
    ready = {"localization": _selected(arguments), "centre": None, "position": None, "metric": None}
    np.testing.assert_array_equal(assimilate(**(arguments | ready)).ensemble, assimilate(**arguments).ensemble)


def test_that_rows_of_no_sub_domain_are_kept_whatever_they_hold(arguments: dict[str, Any]) -> None:
    ensemble, nobody = arguments["ensemble"].copy(), np.concatenate(arguments["sub_domains"][:2])
    ensemble[nobody] = np.nan
    fewer = {"ensemble": ensemble, "sub_domains": arguments["sub_domains"][2:], "centre": arguments["centre"][2:]}
    result = assimilate(**(arguments | fewer))
    expected = assimilate(**arguments).ensemble.copy()
    expected[nobody] = np.nan
    np.testing.assert_array_equal(result.ensemble, expected)
    assert result.diagnostics.rows_in_no_sub_domain == nobody.size == 2 * ROWS_PER_DOMAIN


def test_that_single_precision_stays_and_costs_its_own_digits_alone(arguments: dict[str, Any]) -> None:
    single = assimilate(**(arguments | {"ensemble": arguments["ensemble"].astype(np.float32)}))
    assert single.ensemble.dtype == np.float32
    double = assimilate(**arguments).ensemble
    assert double.dtype == np.float64
    # Numbers up to 10 with a rounding of 6e-8 each, through sums of 8 products.
    np.testing.assert_allclose(single.ensemble, double, atol=1e-5)


def test_that_numbers_in_foreign_order_of_bytes_and_whole_numbers_are_read(arguments: dict[str, Any]) -> None:
    foreign = {name: arguments[name].astype(">f8") for name in ("ensemble", "observed_ensemble", "values")}
    np.testing.assert_array_equal(assimilate(**(arguments | foreign)).ensemble, assimilate(**arguments).ensemble)
    whole = assimilate([[1, 3], [2, 6]], [[1, 3]], [3], 2**0.5, localization=None)
    np.testing.assert_allclose(whole.ensemble.mean(axis=1), [2.5, 5.0], rtol=1e-13)


# ---- invariances


def test_that_the_unit_of_observations_does_not_matter(arguments: dict[str, Any]) -> None:
    scaled = {name: 1e-12 * arguments[name] for name in OBSERVATION_ARGUMENTS[:3]}
    settings: dict[str, Any] = {"innovation_threshold": 1.5, "inflation": Inflation(adaptive_forgetting="local")}
    actual, expected = (assimilate(**given, **settings) for given in (arguments | scaled, arguments))
    np.testing.assert_allclose(actual.ensemble, expected.ensemble, rtol=1e-12)
    assert actual.diagnostics.spread_error_ratio is not None
    assert expected.diagnostics.spread_error_ratio is not None
    assert actual.diagnostics.spread_error_ratio.total == pytest.approx(
        expected.diagnostics.spread_error_ratio.total, rel=1e-12
    )


def test_that_the_order_of_observations_does_not_matter(arguments: dict[str, Any]) -> None:
    order = np.random.default_rng(2).permutation(OBSERVATIONS)
    shuffled = {name: arguments[name][order] for name in OBSERVATION_ARGUMENTS}
    actual, expected = (
        assimilate(**given, innovation_threshold=1.5, regulate_weights=True)
        for given in (arguments | shuffled, arguments)
    )
    np.testing.assert_allclose(actual.ensemble, expected.ensemble, rtol=1e-12)
    np.testing.assert_array_equal(actual.diagnostics.used, expected.diagnostics.used[order])


def test_that_permuted_members_give_the_same_members_permuted(arguments: dict[str, Any]) -> None:
    order = np.random.default_rng(3).permutation(arguments["ensemble"].shape[1])
    permuted = {name: arguments[name][:, order] for name in ("ensemble", "observed_ensemble")}
    actual = assimilate(**(arguments | permuted)).ensemble
    np.testing.assert_allclose(actual, assimilate(**arguments).ensemble[:, order], rtol=1e-12)


def test_that_the_order_of_sub_domains_does_not_matter(arguments: dict[str, Any]) -> None:
    backwards = {"sub_domains": arguments["sub_domains"][::-1], "centre": arguments["centre"][::-1]}
    actual, expected = assimilate(**(arguments | backwards)), assimilate(**arguments)
    np.testing.assert_array_equal(actual.ensemble, expected.ensemble)
    np.testing.assert_array_equal(actual.diagnostics.degrees_of_freedom, expected.diagnostics.degrees_of_freedom[::-1])


def test_that_one_error_for_all_is_that_error_for_each(arguments: dict[str, Any]) -> None:
    each = arguments | {"error_standard_deviation": np.full(OBSERVATIONS, 0.8)}
    for_all = arguments | {"error_standard_deviation": 0.8}
    np.testing.assert_array_equal(assimilate(**for_all).ensemble, assimilate(**each).ensemble)


# ---- options


def test_that_refused_observations_leave_no_trace(arguments: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"inflation": Inflation(adaptive_forgetting="global"), "regulate_weights": True}
    checked = assimilate(**arguments, **settings, innovation_threshold=1.2)
    used = checked.diagnostics.used
    assert 0 < checked.diagnostics.refused_observations == np.count_nonzero(~used) < OBSERVATIONS
    without = arguments | {name: arguments[name][used] for name in OBSERVATION_ARGUMENTS}
    expected = assimilate(**without, **settings)
    np.testing.assert_array_equal(checked.ensemble, expected.ensemble)
    np.testing.assert_array_equal(checked.diagnostics.local_observations, expected.diagnostics.local_observations)
    variance, innovation, error = _innovation_numbers(arguments)
    np.testing.assert_array_equal(used, np.abs(innovation) <= 1.2 * np.sqrt(variance + error))


@pytest.mark.parametrize("kind", ["global", "local"])
def test_that_adaptive_forgetting_factors_are_those_of_their_definition(arguments: dict[str, Any], kind: Any) -> None:
    result = assimilate(**arguments, inflation=Inflation(0.9, adaptive_forgetting=kind))
    numbers, local = _innovation_numbers(arguments), _selected(arguments)
    expected = (
        np.full(DOMAINS, global_forgetting_factor(*numbers, fixed=0.9))
        if kind == "global"
        else local_forgetting_factors(local, *numbers, fixed=0.9)
    )
    factors = result.diagnostics.forgetting_factor
    np.testing.assert_allclose(factors, expected, rtol=1e-12)
    one = int(np.argmax(local.counts))
    index, weight = local.of(one)
    rows = arguments["sub_domains"][one]
    names = ("observed_ensemble", "values")
    twin = naive.estkf(
        arguments["ensemble"][rows],
        *(arguments[name][index] for name in names),
        weight / arguments["error_standard_deviation"][index] ** 2,
        factors[one],
    )
    np.testing.assert_allclose(result.ensemble[rows], twin, rtol=1e-12)


def test_that_relaxation_to_spread_mixes_the_spreads_of_forecast_and_analysis(arguments: dict[str, Any]) -> None:
    plain = assimilate(**arguments).ensemble
    relaxed = assimilate(**arguments, inflation=Inflation(relaxation_to_spread=0.7)).ensemble
    expected = 0.3 * plain.std(axis=1) + 0.7 * arguments["ensemble"].std(axis=1)
    np.testing.assert_allclose(relaxed.std(axis=1), expected, rtol=1e-12)
    np.testing.assert_allclose(relaxed.mean(axis=1), plain.mean(axis=1), rtol=1e-12)


def test_that_full_relaxation_to_perturbations_gives_the_forecast_ones_back(arguments: dict[str, Any]) -> None:
    relaxed = assimilate(**arguments, inflation=Inflation(relaxation_to_perturbations=1.0)).ensemble
    forecast = arguments["ensemble"]
    np.testing.assert_allclose(
        relaxed - relaxed.mean(axis=1, keepdims=True), forecast - forecast.mean(axis=1, keepdims=True), atol=1e-13
    )


def test_that_adaptive_inflation_acts_with_what_it_knew_before_and_returns_what_it_learned(
    arguments: dict[str, Any],
) -> None:
    settings = AdaptiveInflationSettings(initial=1.5)
    inflation = Inflation(adaptive_inflation=settings)
    first = assimilate(**arguments, inflation=inflation)
    np.testing.assert_allclose(first.ensemble, assimilate(**arguments, inflation=Inflation(1 / 1.5)).ensemble)
    variance, innovation, error = _innovation_numbers(arguments)
    expected = update(
        InflationState.initial(DOMAINS, settings), _selected(arguments), innovation, variance, error, settings
    )
    assert first.inflation_state is not None
    np.testing.assert_allclose(first.inflation_state.mean, expected.mean, rtol=1e-12)
    second = assimilate(**arguments, inflation=inflation, inflation_state=first.inflation_state)
    np.testing.assert_array_equal(second.diagnostics.forgetting_factor, 1.0 / first.inflation_state.mean)
    assert np.ptp(second.diagnostics.forgetting_factor) > 0.0


def test_that_regulated_weights_are_those_of_the_localization_package(arguments: dict[str, Any]) -> None:
    variance, _, error = _innovation_numbers(arguments)
    ready = {"centre": None, "position": None, "metric": None}
    weights = arguments | ready | {"localization": regulated(_selected(arguments), variance, error)}
    actual = assimilate(**arguments, regulate_weights=True).ensemble
    np.testing.assert_allclose(actual, assimilate(**weights).ensemble, rtol=1e-12)
    assert np.abs(actual - assimilate(**arguments).ensemble).max() > 1e-3


def test_that_rows_receive_their_part_of_the_increment(arguments: dict[str, Any]) -> None:
    fraction = np.linspace(0.0, 1.0, ROWS)
    forecast, full = arguments["ensemble"], assimilate(**arguments).ensemble
    actual = assimilate(**arguments, update_fraction=fraction).ensemble
    np.testing.assert_allclose(actual, forecast + fraction[:, None] * (full - forecast), rtol=1e-13)


def test_that_diagnostics_are_those_of_dense_algebra(arguments: dict[str, Any]) -> None:
    diagnostics = assimilate(**arguments, inflation=Inflation(0.8)).diagnostics
    local, (variance, innovation, error) = _selected(arguments), _innovation_numbers(arguments)
    observed = arguments["observed_ensemble"]
    anomalies = observed - observed.mean(axis=1, keepdims=True)
    for domain in range(DOMAINS):
        index, weight = local.of(domain)
        expected = degrees_of_freedom_for_signal(anomalies[index], error[index] / weight, 0.8)
        assert diagnostics.degrees_of_freedom[domain] == pytest.approx(expected, rel=1e-11, abs=1e-14)
    np.testing.assert_array_equal(diagnostics.local_observations, local.counts)
    assert diagnostics.sub_domains_without_observations == np.count_nonzero(local.counts == 0) > 0
    assert diagnostics.effective_ensemble_size == pytest.approx(effective_ensemble_size(anomalies, error), rel=1e-12)
    expected_ratio = spread_error_ratio(variance / error, np.ones(OBSERVATIONS), innovation / np.sqrt(error))
    assert diagnostics.spread_error_ratio == expected_ratio
    assert diagnostics.refused_observations == diagnostics.unseen_observations == 0


def test_that_observations_near_no_sub_domain_are_counted(arguments: dict[str, Any]) -> None:
    position = arguments["position"].copy()
    position[:4, 0] = 1e4
    assert assimilate(**(arguments | {"position": position})).diagnostics.unseen_observations == 4
