"""Diagnostics of an analysis against dense algebra and draws of known variance."""

from __future__ import annotations

import numpy as np
import pytest

from da.diagnostics import (
    consistency_ratios,
    degrees_of_freedom_for_signal,
    effective_ensemble_size,
    spread_error_ratio,
)
from da.filters.naive import kalman_filter


def _anomalies(observations: int, members: int, seed: int = 1) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((observations, members))
    return np.asarray(values - values.mean(axis=1, keepdims=True))


@pytest.mark.parametrize(("observations", "members"), [(3, 12), (20, 6)])
@pytest.mark.parametrize("forgetting_factor", [1.0, 0.6])
def test_that_degrees_of_freedom_are_the_trace_by_the_kalman_filter(
    observations: int, members: int, forgetting_factor: float
) -> None:
    # For the optimal gain H K = H A H^T R^-1 with the analysis covariance A.
    anomalies = _anomalies(observations, members)
    variance = np.random.default_rng(2).uniform(0.2, 3.0, observations)
    prior = anomalies @ anomalies.T / (members - 1) / forgetting_factor
    _, posterior = kalman_filter(
        np.zeros(observations), prior, np.eye(observations), np.zeros(observations), np.diag(variance)
    )
    found = degrees_of_freedom_for_signal(anomalies, variance, forgetting_factor)
    np.testing.assert_allclose(found, np.sum(np.diag(posterior) / variance), rtol=1e-11)
    assert 0.0 < found < min(observations, members - 1)


def test_that_perfect_observations_determine_all_the_ensemble_spans_and_useless_ones_nothing() -> None:
    for observations, members, most in ((3, 12, 3), (20, 6, 5)):
        anomalies = _anomalies(observations, members)
        np.testing.assert_allclose(
            degrees_of_freedom_for_signal(anomalies, np.full(observations, 1e-9)), most, rtol=1e-6
        )
        assert degrees_of_freedom_for_signal(anomalies, np.full(observations, np.inf)) == 0.0


def test_that_an_observation_of_weight_zero_counts_as_absent() -> None:
    anomalies, variance = _anomalies(5, 9), np.array([0.5, 1.0, np.inf, 2.0, 0.1])
    kept = np.isfinite(variance)
    np.testing.assert_allclose(
        degrees_of_freedom_for_signal(anomalies, variance),
        degrees_of_freedom_for_signal(anomalies[kept], variance[kept]),
        rtol=1e-13,
    )


@pytest.mark.parametrize(("observations", "members"), [(4, 15), (15, 5)])
def test_that_the_effective_size_is_that_of_the_eigenvalues(observations: int, members: int) -> None:
    anomalies = _anomalies(observations, members)
    variance = np.random.default_rng(3).uniform(0.2, 3.0, observations)
    scaled = anomalies / np.sqrt(variance)[:, None]
    eigenvalues = np.linalg.eigvalsh(scaled @ scaled.T / (members - 1))
    found = effective_ensemble_size(anomalies, variance)
    np.testing.assert_allclose(found, eigenvalues.sum() ** 2 / np.sum(eigenvalues**2), rtol=1e-12)
    assert 1.0 <= found <= min(observations, members - 1)


def test_that_equal_spread_in_orthogonal_directions_counts_each_of_them() -> None:
    basis, _ = np.linalg.qr(_anomalies(7, 4).T)
    directions = basis[:, :3].T
    np.testing.assert_allclose(effective_ensemble_size(directions, np.ones(3)), 3.0, rtol=1e-12)
    np.testing.assert_allclose(effective_ensemble_size(directions, np.array([1.0, 1e12, 1e12])), 1.0, rtol=1e-9)
    assert effective_ensemble_size(np.zeros((3, 4)), np.ones(3)) == 0.0


def test_that_diagnostics_do_not_depend_on_the_units_of_the_observations() -> None:
    anomalies, variance = _anomalies(6, 5), np.full(6, 0.4)
    units = np.array([1e-12, 1.0, 1e3, 1e-6, 1.0, 1e9])
    for diagnostic in (degrees_of_freedom_for_signal, effective_ensemble_size):
        np.testing.assert_allclose(
            diagnostic(anomalies * units[:, None], variance * units**2), diagnostic(anomalies, variance), rtol=1e-12
        )


def test_that_the_spread_error_ratio_is_one_for_a_consistent_ensemble() -> None:
    # The mean of n squares of normal numbers has the relative standard deviation sqrt(2/n), its root half of that; the
    # variances spread over a factor of four raise n by less than two. Five deviations are allowed.
    count, rng = 40_000, np.random.default_rng(4)
    spread, error = rng.uniform(0.5, 2.0, count), rng.uniform(0.5, 2.0, count)
    innovation = np.sqrt(spread + error) * rng.standard_normal(count)
    ratio = spread_error_ratio(spread, error, innovation)
    assert abs(ratio.total - 1.0) < 5.0 * np.sqrt(2.0) * 0.5 * np.sqrt(2.0 / count)
    np.testing.assert_allclose(ratio.ensemble**2 / ratio.total**2, spread.mean() / (spread + error).mean(), rtol=1e-12)


def test_that_the_spread_error_ratio_of_given_numbers_is_as_defined() -> None:
    ratio = spread_error_ratio(np.array([3.0, 5.0]), np.array([4.0, 6.0]), np.array([3.0, -np.sqrt(9.0)]))
    np.testing.assert_allclose([ratio.total, ratio.ensemble], [1.0, 2.0 / 3.0], rtol=1e-15)
    assert np.isinf(spread_error_ratio(np.ones(2), np.ones(2), np.zeros(2)).total)


@pytest.mark.parametrize("overstated", [1.0, 4.0])
def test_that_a_scalar_analysis_shows_its_consistency(overstated: float) -> None:
    # Innovations of variance b + r, analysed with both variances overstated: the gain is right, all three estimates are
    # the mean squared innovation times a constant, and the ratios fall by the overstatement.
    count, b, r = 60_000, 2.0, 0.5
    innovation = np.sqrt(b + r) * np.random.default_rng(5).standard_normal(count)
    residual = innovation * r / (b + r)
    ratios = consistency_ratios(innovation, residual, np.full(count, overstated * b), np.full(count, overstated * r))
    found = np.array([ratios.innovation, ratios.forecast, ratios.observation])
    np.testing.assert_allclose(found, 1.0 / overstated, rtol=5.0 * np.sqrt(2.0 / count))


def test_that_a_wrong_share_of_the_forecast_shows_in_the_estimates() -> None:
    # With the assumed gain k = b'/(b' + r') the products have expectations k (b + r) and (1 - k)(b + r).
    count, b, r, assumed_b, assumed_r = 60_000, 1.0, 1.0, 0.25, 1.0
    gain = assumed_b / (assumed_b + assumed_r)
    innovation = np.sqrt(b + r) * np.random.default_rng(6).standard_normal(count)
    ratios = consistency_ratios(
        innovation, (1.0 - gain) * innovation, np.full(count, assumed_b), np.full(count, assumed_r)
    )
    expected = [(b + r) / 1.25, gain * (b + r) / 0.25, (1.0 - gain) * (b + r)]
    np.testing.assert_allclose(
        [ratios.innovation, ratios.forecast, ratios.observation], expected, rtol=5.0 * np.sqrt(2.0 / count)
    )


def test_that_unfit_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="do not go with"):
        effective_ensemble_size(np.zeros((3, 4)), np.ones(2))
    with pytest.raises(ValueError, match="at least two members"):
        effective_ensemble_size(np.zeros((3, 1)), np.ones(3))
    with pytest.raises(ValueError, match="positive"):
        degrees_of_freedom_for_signal(np.zeros((3, 4)), np.zeros(3))
    with pytest.raises(ValueError, match="forgetting factor"):
        degrees_of_freedom_for_signal(np.zeros((3, 4)), np.ones(3), 0.0)
    with pytest.raises(ValueError, match="one at least"):
        spread_error_ratio(np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="must be positive"):
        consistency_ratios(np.ones(2), np.ones(2), np.zeros(2), np.ones(2))
