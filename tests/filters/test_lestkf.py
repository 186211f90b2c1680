"""The localized filter: its limits, its independence of how the domains are cut and ordered, and its failures."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from da.filters import lestkf
from da.filters.estkf import analyse
from da.filters.lestkf import AnalysisError, ObservedEnsemble, analyse_sub_domains
from da.inflation import relax_to_prior_spread
from da.localization import IndexMetric, Localization, LocalObservations, Weighting, select_local_observations

MEMBERS, OBSERVATIONS, DOMAINS, ROWS_PER_DOMAIN = 10, 15, 6, 4
EVERYWHERE = Localization(1e9, Weighting.GASPARI_COHN, 1e9)


@pytest.fixture
def problem() -> dict[str, Any]:
    """Domains along a line, observations scattered around it."""
    rng = np.random.default_rng(20)
    rows = rng.standard_normal((DOMAINS * ROWS_PER_DOMAIN, MEMBERS)) + 5.0
    observed = rng.standard_normal((OBSERVATIONS, MEMBERS)) + 2.0
    return {
        "rows": rows,
        "domains": [slice(block * ROWS_PER_DOMAIN, (block + 1) * ROWS_PER_DOMAIN) for block in range(DOMAINS)],
        "centre": np.column_stack([np.zeros(DOMAINS), np.zeros(DOMAINS), 10.0 * np.arange(DOMAINS)]),
        "position": np.column_stack([rng.uniform(0, 1, (OBSERVATIONS, 2)), rng.uniform(0, 25, OBSERVATIONS)]),
        "observed": observed,
        "values": rng.standard_normal(OBSERVATIONS),
        "variance": rng.uniform(0.5, 2.0, OBSERVATIONS),
    }


def _observed(problem: dict[str, Any]) -> ObservedEnsemble:
    return ObservedEnsemble.of(problem["observed"], problem["values"], problem["variance"])


def _analyse(problem: dict[str, Any], localization: Localization, **settings: object) -> np.ndarray:
    local = select_local_observations(problem["centre"], problem["position"], localization, IndexMetric(None))
    return analyse_sub_domains(problem["rows"], problem["domains"], _observed(problem), local, **settings).ensemble  # type: ignore[arg-type]


def test_that_a_huge_support_radius_gives_the_global_filter(problem: dict[str, Any]) -> None:
    expected = analyse(problem["rows"], problem["observed"], problem["values"], problem["variance"], 0.9)
    actual = _analyse(problem, EVERYWHERE, forgetting_factor=0.9)
    # At distances below 60 of 1e9 the weight differs from one by 5/3 z^2 < 3e-14.
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_that_domains_without_observations_keep_their_members_bit_for_bit(problem: dict[str, Any]) -> None:
    near = Localization(6.0, Weighting.UNIFORM)
    local = select_local_observations(problem["centre"], problem["position"], near, IndexMetric(None))
    empty = local.counts == 0
    assert 0 < empty.sum() < DOMAINS
    relaxation = partial(relax_to_prior_spread, relaxation=0.7)
    analysis = _analyse(problem, near, forgetting_factor=0.5, relaxation=relaxation)
    blocks = analysis.reshape(DOMAINS, ROWS_PER_DOMAIN, MEMBERS)
    forecast = problem["rows"].reshape(DOMAINS, ROWS_PER_DOMAIN, MEMBERS)
    np.testing.assert_array_equal(blocks[empty], forecast[empty])
    assert (blocks[~empty] != forecast[~empty]).all()


def test_that_an_observation_of_weight_zero_still_lets_its_domain_forget(problem: dict[str, Any]) -> None:
    local = LocalObservations(np.array([0, 1]), np.array([0]), np.array([0.0]))
    rows = problem["rows"][:ROWS_PER_DOMAIN]
    analysis = analyse_sub_domains(
        rows, [slice(0, ROWS_PER_DOMAIN)], _observed(problem), local, forgetting_factor=0.25
    ).ensemble
    np.testing.assert_allclose(analysis.std(axis=1), 2.0 * rows.std(axis=1), rtol=1e-12)


def test_that_neither_the_order_nor_the_division_of_domains_matters(problem: dict[str, Any]) -> None:
    near = Localization(12.0, Weighting.GASPARI_COHN, 12.0)
    whole = _analyse(problem, near).reshape(DOMAINS, ROWS_PER_DOMAIN, MEMBERS)
    for block in reversed(range(DOMAINS)):
        part = slice(block * ROWS_PER_DOMAIN, (block + 1) * ROWS_PER_DOMAIN)
        one = problem | {
            "rows": problem["rows"][part],
            "domains": [slice(0, ROWS_PER_DOMAIN)],
            "centre": problem["centre"][block : block + 1],
        }
        np.testing.assert_array_equal(_analyse(one, near), whole[block])


def test_that_the_order_of_observations_does_not_matter(problem: dict[str, Any]) -> None:
    near = Localization(12.0, Weighting.GASPARI_COHN, 12.0)
    order = np.random.default_rng(2).permutation(OBSERVATIONS)
    shuffled = problem | {name: problem[name][order] for name in ("position", "observed", "values", "variance")}
    np.testing.assert_allclose(_analyse(shuffled, near), _analyse(problem, near), rtol=1e-12)


def test_that_the_forecast_is_not_changed(problem: dict[str, Any]) -> None:
    before = problem["rows"].copy()
    _analyse(problem, EVERYWHERE)
    np.testing.assert_array_equal(problem["rows"], before)


def test_that_a_failing_domain_is_named(problem: dict[str, Any]) -> None:
    problem["rows"][2 * ROWS_PER_DOMAIN, 3] = np.inf
    with np.errstate(invalid="ignore"), pytest.raises(AnalysisError, match="not finite") as failure:
        _analyse(problem, EVERYWHERE)
    assert failure.value.block == 2


def test_that_observations_that_are_not_finite_stop_the_first_domain_that_uses_them(
    problem: dict[str, Any],
) -> None:
    problem["values"][:] = np.nan
    with pytest.raises(AnalysisError, match="not finite") as failure:
        _analyse(problem, EVERYWHERE)
    assert failure.value.block == 0


def test_that_a_transform_that_overflows_is_named(problem: dict[str, Any]) -> None:
    problem["observed"][:, 0] = 1e200
    with np.errstate(all="ignore"), pytest.raises(AnalysisError, match="transform is not finite"):
        _analyse(problem, EVERYWHERE)


def test_that_rows_may_be_scattered_and_the_analysis_written_over_the_forecast(problem: dict[str, Any]) -> None:
    near = Localization(12.0, Weighting.GASPARI_COHN, 12.0)
    expected = _analyse(problem, near)
    order = np.random.default_rng(4).permutation(DOMAINS * ROWS_PER_DOMAIN)
    place = np.argsort(order)
    scattered = problem | {
        "rows": problem["rows"][order],
        "domains": [place[domain] for domain in problem["domains"]],
    }
    analysis = _analyse(scattered, near, out=scattered["rows"])
    assert analysis is scattered["rows"]
    np.testing.assert_array_equal(analysis[place], expected)


def test_that_rows_of_no_domain_are_kept_bit_for_bit(problem: dict[str, Any]) -> None:
    problem["domains"], problem["centre"] = problem["domains"][1:], problem["centre"][1:]
    analysis = _analyse(problem, EVERYWHERE, out=np.full_like(problem["rows"], np.nan))
    np.testing.assert_array_equal(analysis[:ROWS_PER_DOMAIN], problem["rows"][:ROWS_PER_DOMAIN])


@pytest.mark.parametrize("scattered", [False, True])
def test_that_a_large_sub_domain_is_analysed_in_pieces_with_the_same_result(
    problem: dict[str, Any], scattered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(problem["rows"])
    whole = problem | {
        "domains": [np.random.default_rng(3).permutation(size) if scattered else slice(0, size)],
        "centre": problem["centre"][:1],
    }
    relaxation = partial(relax_to_prior_spread, relaxation=0.4)
    expected = _analyse(whole, EVERYWHERE, relaxation=relaxation, update_fraction=np.linspace(0.0, 1.0, size))
    monkeypatch.setattr(lestkf, "MOST_ROWS", 7)
    actual = _analyse(whole, EVERYWHERE, relaxation=relaxation, update_fraction=np.linspace(0.0, 1.0, size))
    # Pieces may be multiplied by the factors of the transform where the whole was multiplied by their product.
    np.testing.assert_allclose(actual, expected, rtol=1e-13)
