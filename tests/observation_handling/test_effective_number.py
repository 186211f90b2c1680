"""Error inflation for correlated observations: its limits, and the information that it preserves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from da.filters.estkf import analyse
from da.localization import GreatCircleMetric, IndexMetric, Metric, gaspari_cohn
from da.observation_handling import effective_number, variance_factors

METRICS: list[Metric] = [IndexMetric(72.0), IndexMetric(None, 2.0), GreatCircleMetric(20.0)]


def scattered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(0, 28, count), rng.uniform(0.0, 35.0, count), rng.uniform(0.0, 71.9, count)])


@pytest.mark.parametrize("metric", METRICS)
def test_that_the_factor_is_the_sum_of_gaspari_cohn_correlations(metric: Metric) -> None:
    position = scattered(120, 1)
    distance = metric.embedded_distance(metric.embed(position)[:, None], metric.embed(position))
    radius = float(np.median(distance))
    factors = variance_factors(position, radius, metric)
    assert_allclose(factors, gaspari_cohn(distance, radius).sum(axis=1), rtol=1e-12)
    assert factors.max() > 5.0


@pytest.mark.parametrize("metric", METRICS)
def test_that_without_correlation_the_factor_is_one(metric: Metric) -> None:
    assert_allclose(variance_factors(scattered(50, 2), 1e-9, metric), 1.0, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("metric", METRICS)
def test_that_observations_at_one_place_or_within_an_endless_radius_count_as_one(metric: Metric) -> None:
    count = 40
    together = np.tile(scattered(1, 3), (count, 1))
    assert_allclose(variance_factors(together, 0.5, metric), count, rtol=1e-14)
    # Gaspari-Cohn falls as 1 - 20/3 (d/L)^2: below rounding for distances of 1e-9 L.
    apart = variance_factors(scattered(count, 3), 1e14, metric)
    assert_allclose(apart, count, rtol=1e-14)
    assert effective_number(apart) == pytest.approx(1.0, rel=1e-13)


def test_that_copies_with_the_factor_have_the_analysis_of_a_single_observation() -> None:
    rng = np.random.default_rng(4)
    state, copies = rng.normal(size=(6, 10)), 7
    observed, value, variance = state[2:3] + 0.5 * state[3:4], np.array([1.7]), np.array([0.3])
    factors = variance_factors(np.tile([[3.0, 4.0, 5.0]], (copies, 1)), 2.0, IndexMetric(72.0))
    single = analyse(state, observed, value, variance)
    several = analyse(state, np.tile(observed, (copies, 1)), np.tile(value, copies), factors * variance)
    # Two eigenproblems of order ten: some ten roundings of numbers of order one.
    assert_allclose(several, single, rtol=0.0, atol=1e-13)
    # The Kalman filter's variance of the observed quantity; copies taken at face value are seven times too confident.
    face_value = analyse(state, np.tile(observed, (copies, 1)), np.tile(value, copies), np.full(copies, 0.3))
    prior = observed.var(ddof=1)
    for analysis, precision in ((several, 1.0 / 0.3), (face_value, copies / 0.3)):
        variance_after = np.var(analysis[2] + 0.5 * analysis[3], ddof=1)
        assert variance_after == pytest.approx(1.0 / (1.0 / prior + precision), rel=1e-12)


@pytest.mark.parametrize("radius", [1.5, 4.0, 9.0])
def test_that_on_a_ring_the_information_about_a_constant_is_that_of_the_full_covariance(radius: float) -> None:
    # All observations of a ring see the same: the row sums of C are equal, and 1^T C^-1 1 = p / f holds exactly.
    position = np.column_stack([np.zeros(36), np.zeros(36), np.arange(36.0)])
    metric = IndexMetric(36.0)
    correlation = gaspari_cohn(metric.distance(position[:, None], position), radius)
    factors = variance_factors(position, radius, metric)
    ones = np.ones(36)
    exact = float(ones @ np.linalg.solve(correlation, ones))
    assert exact == pytest.approx(np.sum(1.0 / factors), rel=1e-10)
    assert effective_number(factors) == pytest.approx(36.0 / factors[0], rel=1e-13)


@given(st.integers(0, 2**31), st.integers(1, 40), st.floats(0.01, 200.0))
def test_that_factors_lie_between_one_and_the_number_of_observations(seed: int, count: int, radius: float) -> None:
    factors = variance_factors(scattered(count, seed), radius, IndexMetric(72.0))
    rounding = 1e-12
    assert (factors >= 1.0 - rounding).all()
    assert (factors <= count * (1.0 + rounding)).all()
    assert 1.0 - rounding <= effective_number(factors) <= count * (1.0 + rounding)


@given(st.integers(0, 2**31), st.permutations(range(30)))
def test_that_the_order_of_observations_does_not_matter(seed: int, order: list[int]) -> None:
    position = scattered(30, seed)
    factors = variance_factors(position, 8.0, IndexMetric(72.0))
    assert_allclose(variance_factors(position[order], 8.0, IndexMetric(72.0)), factors[order], rtol=1e-13)


def test_that_observations_across_the_pole_count_by_great_circle() -> None:
    position = np.array([[0.0, 89.0, 0.0], [0.0, 89.0, 180.0]])
    # Two degrees, 222 km, apart.
    assert variance_factors(position, 1000.0, GreatCircleMetric(1.0)).min() > 1.5


def test_that_no_observations_have_no_factors() -> None:
    assert variance_factors(np.zeros((0, 3)), 1.0, IndexMetric(72.0)).size == 0
    assert effective_number(np.zeros(0)) == 0.0


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, np.inf])
def test_that_a_radius_that_is_not_positive_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="radius of error correlations"):
        variance_factors(scattered(3, 1), radius, IndexMetric(72.0))
