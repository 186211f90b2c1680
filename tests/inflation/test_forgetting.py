"""Adaptive forgetting factors against their definition and against innovations of known variance."""

from __future__ import annotations

import numpy as np
import pytest

from da.inflation import global_forgetting_factor, local_forgetting_factors
from da.localization import LocalObservations

FIXED = 0.97


def _network(seed: int, domains: int = 40, observations: int = 30) -> LocalObservations:
    """Return random local observations; every fifth sub-domain has none, the first and last among them."""
    rng = np.random.default_rng(seed)
    counts = np.where(np.arange(domains) % 5 == 0, 0, rng.integers(1, 8, domains))
    counts[-1] = 0
    index = np.concatenate([np.sort(rng.choice(observations, count, replace=False)) for count in counts])
    start = np.concatenate([[0], np.cumsum(counts)])
    return LocalObservations(start, index.astype(np.int32), rng.uniform(0.0, 1.0, index.size))


def _innovations(seed: int, observations: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(0.1, 2.0, observations),
        rng.standard_normal(observations) * 1.5,
        rng.uniform(0.1, 2.0, observations),
    )


def test_that_local_factors_are_the_quotient_of_unweighted_means_sub_domain_by_sub_domain() -> None:
    local, (spread, innovation, error) = _network(1), _innovations(2)
    factors = local_forgetting_factors(local, spread, innovation, error, FIXED)
    fell_back = 0
    for domain, factor in enumerate(factors):
        index, _ = local.of(domain)
        if not index.size:
            assert factor == FIXED
            continue
        quotient = spread[index].mean() / (np.mean(innovation[index] ** 2) - error[index].mean())
        fell_back += quotient < 0.0
        expected = FIXED if quotient < 0.0 else np.clip(quotient, 0.01, 100.0)
        np.testing.assert_allclose(factor, expected, rtol=1e-12)
    assert 0 < fell_back < factors.size / 2


def test_that_a_sub_domain_of_all_observations_has_the_global_factor() -> None:
    spread, innovation, error = _innovations(3)
    everything = LocalObservations(np.array([0, 30]), np.arange(30), np.ones(30))
    local = local_forgetting_factors(everything, spread, innovation, error, FIXED)
    np.testing.assert_allclose(local, global_forgetting_factor(spread, innovation, error, FIXED), rtol=1e-13)


def test_that_local_factors_do_not_depend_on_how_sub_domains_are_batched() -> None:
    local, (spread, innovation, error) = _network(4), _innovations(5)
    whole = local_forgetting_factors(local, spread, innovation, error, FIXED)
    for first, stop in ((0, 7), (7, 8), (8, 40)):
        entries = slice(local.start[first], local.start[stop])
        part = LocalObservations(
            local.start[first : stop + 1] - local.start[first], local.index[entries], local.weight[entries]
        )
        np.testing.assert_array_equal(
            local_forgetting_factors(part, spread, innovation, error, FIXED), whole[first:stop]
        )


def test_that_innovations_of_inflated_spread_give_back_its_forgetting_factor() -> None:
    # The mean of n squared innovations of variance v has the relative standard deviation sqrt(2/n); the quotient's is
    # v / (v - error) times that. Five of them are allowed.
    count, rho, spread, error = 50_000, 0.8, 1.0, 0.5
    total = spread / rho + error
    innovation = np.sqrt(total) * np.random.default_rng(6).standard_normal(count)
    factor = global_forgetting_factor(np.full(count, spread), innovation, np.full(count, error), 1.0)
    assert abs(factor / rho - 1.0) < 5.0 * np.sqrt(2.0 / count) * total / (total - error)


@pytest.mark.parametrize(
    ("spread", "innovation", "expected"),
    [
        pytest.param(1.0, 0.9, FIXED, id="innovations smaller than the errors"),
        pytest.param(1.0, 100.0, 0.01, id="far too little spread"),
        pytest.param(1000.0, 1.5, 100.0, id="far too much spread"),
        pytest.param(1.0, 1.0, 100.0, id="innovations as large as the errors alone"),
        pytest.param(0.0, 1.0, FIXED, id="no spread and no excess"),
    ],
)
def test_that_factors_are_clipped_or_fall_back(spread: float, innovation: float, expected: float) -> None:
    one = np.ones(3)
    assert global_forgetting_factor(spread * one, innovation * one, one, FIXED) == expected
    local = LocalObservations(np.array([0, 3, 3]), np.arange(3), one)
    factors = local_forgetting_factors(local, spread * one, innovation * one, one, FIXED)
    np.testing.assert_array_equal(factors, [expected, FIXED])


def test_that_no_observations_at_all_give_the_fixed_factor() -> None:
    nothing, none = (
        np.zeros(0),
        LocalObservations(np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0)),
    )
    assert global_forgetting_factor(nothing, nothing, nothing, FIXED) == FIXED
    np.testing.assert_array_equal(local_forgetting_factors(none, nothing, nothing, nothing, FIXED), [FIXED] * 3)


def test_that_units_of_the_observations_do_not_matter() -> None:
    local, (spread, innovation, error) = _network(7), _innovations(8)
    scaled = local_forgetting_factors(local, 1e-24 * spread, 1e-12 * innovation, 1e-24 * error, FIXED)
    np.testing.assert_allclose(scaled, local_forgetting_factors(local, spread, innovation, error, FIXED), rtol=1e-9)


def test_that_unfit_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        global_forgetting_factor(np.ones(2), np.ones(3), np.ones(3), 1.0)
    with pytest.raises(ValueError, match="positive"):
        global_forgetting_factor(np.ones(2), np.ones(2), np.ones(2), 0.0)
