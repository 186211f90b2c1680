"""Each weight pinned to its formula, its limits and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from da.filters import naive
from da.localization import exponential, gaspari_cohn, regulated_weight


def test_that_gaspari_cohn_is_pinned_at_its_known_values() -> None:
    assert gaspari_cohn(np.array([0.0]), 7.0)[0] == 1.0
    np.testing.assert_allclose(gaspari_cohn(np.array([3.5]), 7.0), 5.0 / 24.0, rtol=1e-14)
    np.testing.assert_array_equal(gaspari_cohn(np.array([7.0, 7.1, 1e9]), 7.0), 0.0)


def test_that_gaspari_cohn_is_a_cone_convolved_with_itself_in_space() -> None:
    """Eq. 4.10 is the self-convolution over three dimensions of the cone 1 - r/c, r <= c (their Sec. 4c, a = 1/2)."""
    node, weight = np.polynomial.legendre.leggauss(200)
    radius, radius_weight = 0.5 * (node + 1.0), 0.5 * weight

    def convolution(distance: float) -> float:
        apart = np.sqrt(radius[:, None] ** 2 + distance**2 - 2.0 * radius[:, None] * distance * node[None, :])
        mean_over_directions = np.maximum(1.0 - apart, 0.0) @ weight
        return float(np.sum(radius_weight * (1.0 - radius) * radius**2 * mean_over_directions))

    for distance in (0.2, 0.6, 1.0, 1.3, 1.8):
        # The kinks of the cone limit 200-point quadrature to about 1e-5.
        expected = convolution(distance) / convolution(0.0)
        assert gaspari_cohn(np.array([distance]), 2.0)[0] == pytest.approx(expected, abs=5e-5)


def test_that_gaspari_cohn_falls_monotonically_and_smoothly() -> None:
    distance = np.linspace(0.0, 8.0, 8001)
    weight = gaspari_cohn(distance, 7.0)
    slope = np.diff(weight) / np.diff(distance)
    assert (np.diff(weight) <= 1e-15).all()
    assert (weight >= 0.0).all()
    # The second derivative is at most 10/3 / c^2 = 0.27, so slopes a step of 1e-3 apart differ by less than 3e-4.
    assert np.abs(np.diff(slope)).max() < 3e-4


def test_that_the_pieces_of_gaspari_cohn_meet_with_value_and_two_derivatives() -> None:
    """At d = c both polynomials of Eq. 4.10 have the value 5/24, slope -17/24 / c and curvature 17/12 / c^2."""
    c, step = 3.5, 1e-3 * 3.5
    at = gaspari_cohn(c + step * np.arange(-2.0, 3.0), 2.0 * c)
    before, after = (at[2] - at[1]) / step, (at[3] - at[2]) / step
    # A one-sided difference is off by half a step of curvature: 17/24 * 1e-3 / c.
    np.testing.assert_allclose([before * c, after * c], -17.0 / 24.0, atol=7.2e-4)
    curvature = np.array([at[0] - 2 * at[1] + at[2], at[2] - 2 * at[3] + at[4]]) * (c / step) ** 2
    # Third derivatives there are at most 21/4 in units of c, so one step away curvature differs by less than 6e-3.
    np.testing.assert_allclose(curvature, 17.0 / 12.0, atol=6e-3)


def test_that_gaspari_cohn_is_flat_at_both_ends() -> None:
    near, far = gaspari_cohn(np.array([1e-4]), 2.0)[0], gaspari_cohn(np.array([2.0 - 1e-2]), 2.0)[0]
    # 1 - 5/3 z^2 to leading order; and of order (2 - z)^4 or higher before the support radius.
    assert 1.0 - near == pytest.approx(5.0 / 3.0 * 1e-8, rel=1e-3)
    assert 0.0 <= far < 1e-8


@pytest.mark.parametrize("support_radius", [0.0, -1.0, np.nan])
def test_that_a_support_radius_that_is_not_positive_is_refused(support_radius: float) -> None:
    with pytest.raises(ValueError, match="support radius"):
        gaspari_cohn(np.array([1.0]), support_radius)


def test_that_exponential_weights_are_the_exponential_function() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.uniform(0.0, 30.0, (2, 50))
    assert exponential(np.array([0.0]), 7.0)[0] == 1.0
    np.testing.assert_allclose(exponential(np.array([7.0, 14.0]), 7.0), [1.0 / np.e, np.e**-2], rtol=1e-15)
    # exp(a + b) = exp(a) exp(b); arguments of up to 9 carry 9 eps of relative error each.
    product = exponential(one, 7.0) * exponential(other, 7.0)
    np.testing.assert_allclose(exponential(one + other, 7.0), product, rtol=1e-14)


@pytest.mark.parametrize("decay_radius", [0.0, -1.0, np.nan])
def test_that_a_decay_radius_that_is_not_positive_is_refused(decay_radius: float) -> None:
    with pytest.raises(ValueError, match="decay radius"):
        exponential(np.array([1.0]), decay_radius)


def test_that_the_regulated_weight_is_the_published_formula() -> None:
    rng = np.random.default_rng(2)
    weight, forecast, error = rng.uniform(0.0, 1.0, 200), rng.uniform(0.0, 9.0, 200), rng.uniform(0.1, 9.0, 200)
    total = forecast + error
    published = weight * error / total / (1.0 - weight * forecast / total)
    # 1 - w P / (P + R) is at least R / (P + R) > 0.01, so cancellation costs two digits at most.
    np.testing.assert_allclose(regulated_weight(weight, forecast, error), published, rtol=1e-13)


def test_that_the_regulated_weight_has_its_limits() -> None:
    weight, one = np.linspace(0.0, 1.0, 11), np.ones(11)
    np.testing.assert_array_equal(regulated_weight(weight, 0.0 * one, one), weight)
    np.testing.assert_array_equal(regulated_weight(np.array([0.0, 1.0]), one[:2], one[:2]), [0.0, 1.0])
    assert (regulated_weight(weight, one, one)[1:-1] < weight[1:-1]).all()
    # An accurate observation is hardly trusted at a distance: w^R -> w R / ((1 - w) P) -> 0.
    assert regulated_weight(np.array([0.5]), np.array([1e6]), np.array([1.0]))[0] == pytest.approx(1e-6, rel=1e-5)


@pytest.mark.parametrize("error_variance", [0.04, 1.0, 25.0])
def test_that_regulated_weights_give_the_gain_of_a_localized_covariance(error_variance: float) -> None:
    """Of one observation, rows updated each with its own w^R get w P_xy / (P_yy + R), and the plain weight does not."""
    rng = np.random.default_rng(3)
    weight = gaspari_cohn(np.arange(7.0), 7.0)
    ensemble = rng.standard_normal((7, 12)) + rng.standard_normal(12)
    anomalies = ensemble - ensemble.mean(axis=1, keepdims=True)
    covariance = anomalies @ anomalies[0] / 11.0
    value = ensemble[0].mean() + 1.5
    localized = weight * covariance / (covariance[0] + error_variance)

    def gain(factor: np.ndarray) -> np.ndarray:
        mean = [
            naive.estkf(row[None], ensemble[:1], np.array([value]), np.array([w / error_variance])).mean()
            for row, w in zip(ensemble, factor, strict=True)
        ]
        return (np.array(mean) - ensemble.mean(axis=1)) / 1.5

    regulated = regulated_weight(weight, np.full(7, covariance[0]), np.full(7, error_variance))
    # Twelve members of size one, sums and a small inverse: some hundred roundings.
    np.testing.assert_allclose(gain(regulated), localized, atol=1e-13)
    assert np.abs(gain(weight) - localized).max() > 1e-3
