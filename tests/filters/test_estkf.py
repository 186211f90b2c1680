"""The global transform against theory, its textbook twin, and its invariances."""

from __future__ import annotations

import numpy as np
import pytest

from da.filters import naive
from da.filters.estkf import EnsembleTransforms, analyse, ensemble_transforms, scaled_block


def _problem(
    seed: int, members: int = 12, observations: int = 7, rows: int = 9
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ensemble, linear operator, HX, values, variances."""
    rng = np.random.default_rng(seed)
    ensemble = rng.standard_normal((rows, members)) * rng.uniform(0.1, 10.0, (rows, 1)) + rng.normal(0, 50, (rows, 1))
    operator = rng.standard_normal((observations, rows))
    observed = operator @ ensemble
    variance = rng.uniform(0.1, 5.0, observations)
    return ensemble, operator, observed, observed.mean(axis=1) + rng.normal(0, 3, observations), variance


def _assert_close(actual: np.ndarray, expected: np.ndarray, scale: np.ndarray, digits: float = 1e-11) -> None:
    """Compare in units of the forecast spread; 1e-11 leaves a factor of 100 above the rounding seen."""
    assert np.max(np.abs(actual - expected) / scale) < digits


def _spread(ensemble: np.ndarray) -> np.ndarray:
    return np.asarray(ensemble.std(axis=1, ddof=1, keepdims=True))


def _transform(
    observed: np.ndarray, values: np.ndarray, variance: np.ndarray, forgetting_factor: float = 1.0, padding: int = 0
) -> EnsembleTransforms:
    """Return the transform, with a number of observations of weight zero added."""
    mean = observed.mean(axis=1)
    block = scaled_block(observed - mean[:, None], values - mean, 1.0 / variance)
    block = np.concatenate([block, np.zeros((padding, block.shape[1]))])
    return ensemble_transforms(block[None], np.array([forgetting_factor]))


@pytest.mark.parametrize("forgetting_factor", [1.0, 0.8])
@pytest.mark.parametrize("observations", [1, 7, 11, 12, 40])
def test_that_mean_and_covariance_are_those_of_the_kalman_filter(observations: int, forgetting_factor: float) -> None:
    ensemble, operator, observed, values, variance = _problem(1, observations=observations)
    analysis = analyse(ensemble, observed, values, variance, forgetting_factor)
    mean, covariance = naive.kalman_filter(
        ensemble.mean(axis=1), np.cov(ensemble) / forgetting_factor, operator, values, np.diag(variance)
    )
    spread = _spread(ensemble)
    _assert_close(analysis.mean(axis=1, keepdims=True), mean[:, None], spread)
    _assert_close(np.cov(analysis), covariance, spread * spread.T)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_that_the_engine_equals_the_textbook(seed: int, scale: float) -> None:
    for observations in (3, 30):
        ensemble, _, observed, values, variance = _problem(seed, observations=observations)
        expected = naive.estkf(ensemble, observed, values, 1.0 / (scale * variance), 0.95)
        actual = analyse(ensemble, observed, values, scale * variance, 0.95)
        # The condition number of A grows with 1/scale, and with it the rounding of both.
        _assert_close(actual, expected, _spread(ensemble), 1e-11 * max(1.0, 1.0 / scale))


@pytest.mark.parametrize("forgetting_factor", [1.0, 0.7, 1.3])
@pytest.mark.parametrize("observations", [1, 2, 5, 11])
def test_that_both_forms_give_the_same_matrix_and_its_columns_sum_to_one(
    observations: int, forgetting_factor: float
) -> None:
    _, _, observed, values, variance = _problem(3, observations=observations)
    # Observations of weight zero change nothing but the form: with twelve members, the second one from 12 on.
    first = _transform(observed, values, variance, forgetting_factor)
    second = _transform(observed, values, variance, forgetting_factor, padding=12)
    assert (first.basis.shape[1], second.basis.shape[1]) == (observations, 12)
    np.testing.assert_allclose(first.matrices(), second.matrices(), atol=1e-12)
    np.testing.assert_allclose(first.matrices().sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(first.degrees_of_freedom, second.degrees_of_freedom, atol=1e-12)


@pytest.mark.parametrize("observations", [1, 6, 11, 12, 30])
@pytest.mark.parametrize("forgetting_factor", [1.0, 0.6])
def test_that_the_degrees_of_freedom_for_signal_are_the_trace_of_the_influence_matrix(
    observations: int, forgetting_factor: float
) -> None:
    _, _, observed, values, variance = _problem(14, observations=observations)
    covariance = np.atleast_2d(np.cov(observed)) / forgetting_factor
    influence = covariance @ np.linalg.inv(covariance + np.diag(variance))
    found = _transform(observed, values, variance, forgetting_factor).degrees_of_freedom
    np.testing.assert_allclose(found, np.trace(influence), rtol=1e-11)


def test_that_analyses_taken_together_are_those_taken_alone_bit_for_bit() -> None:
    rng = np.random.default_rng(15)
    for observations in (3, 12, 20):
        # Spectra from weak to strong, so that condition numbers fall into several groups.
        block = rng.standard_normal((6, observations, 13)) * 10.0 ** np.arange(-3.0, 3.0)[:, None, None]
        factors = rng.uniform(0.5, 1.0, 6)
        together = ensemble_transforms(block.copy(), factors)
        for number in range(6):
            alone = ensemble_transforms(block[number : number + 1].copy(), factors[number : number + 1])
            np.testing.assert_array_equal(together[number : number + 1].matrices(), alone.matrices())


def test_that_a_state_in_single_precision_stays_so_and_is_right_to_its_digits() -> None:
    ensemble, _, observed, values, variance = _problem(16, rows=40)
    transform = _transform(observed, values, variance, 0.9)
    single = transform.apply(ensemble[None].astype(np.float32))
    assert single.dtype == np.float32
    # Rounding of the departures and of the mean, which reaches 150: a few times 150 * 6e-8, in units of the value.
    np.testing.assert_allclose(single, transform.apply(ensemble[None]), atol=2e-4)


@pytest.mark.parametrize("rows", [1, 6, 7, 40])
def test_that_few_rows_and_many_rows_are_transformed_alike(rows: int) -> None:
    _, _, observed, values, variance = _problem(12)
    ensemble = np.random.default_rng(1).standard_normal((rows, 12)) + 1000.0
    transform = _transform(observed, values, variance, 0.9)
    anomalies = ensemble - ensemble.mean(axis=1, keepdims=True)
    expected = ensemble.mean(axis=1, keepdims=True) + anomalies @ transform.matrices()[0]
    # Rounding at a mean of 1000 leaves 2e-13 of a spread of one.
    _assert_close(transform.apply(ensemble[None])[0], expected, _spread(ensemble), 2e-12)


@pytest.mark.parametrize("factor", [1e-20, 1e-6, 1e6, 1e20])
def test_that_the_unit_of_the_observations_does_not_matter(factor: float) -> None:
    ensemble, _, observed, values, variance = _problem(4)
    scaled = analyse(ensemble, factor * observed, factor * values, factor**2 * variance)
    _assert_close(scaled, analyse(ensemble, observed, values, variance), _spread(ensemble))


def test_that_the_order_of_observations_and_members_does_not_matter() -> None:
    ensemble, _, observed, values, variance = _problem(5)
    expected = analyse(ensemble, observed, values, variance)
    order, members = np.random.default_rng(0).permutation(7), np.random.default_rng(1).permutation(12)
    _assert_close(analyse(ensemble, observed[order], values[order], variance[order]), expected, _spread(ensemble))
    permuted = analyse(ensemble[:, members], observed[:, members], values, variance)
    _assert_close(permuted, expected[:, members], _spread(ensemble))


def test_that_worthless_observations_change_nothing_but_what_forgetting_inflates() -> None:
    ensemble, _, observed, values, _ = _problem(7)
    ignored = analyse(ensemble, observed, values, np.full(7, 1e30))
    _assert_close(ignored, ensemble, _spread(ensemble))
    inflated = analyse(ensemble, observed, values, np.full(7, 1e30), forgetting_factor=0.25)
    # rho = 1/4 multiplies the covariance by 4, the spread by 2.
    _assert_close(_spread(inflated), 2.0 * _spread(ensemble), _spread(ensemble))


def test_that_near_perfect_observations_of_the_state_are_adopted() -> None:
    ensemble = _problem(8, rows=4)[0]
    values = ensemble.mean(axis=1) + 1.0
    analysis = analyse(ensemble, ensemble, values, np.full(4, 1e-8))
    # The remaining departure is R / (P + R), at most 1e-8 / 1e-3 here.
    np.testing.assert_allclose(analysis.mean(axis=1), values, atol=1e-5)


def test_that_the_forecast_is_not_changed() -> None:
    ensemble, _, observed, values, variance = _problem(9)
    copies = [array.copy() for array in (ensemble, observed, values, variance)]
    analyse(ensemble, observed, values, variance)
    for array, copy in zip((ensemble, observed, values, variance), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_that_the_basis_of_the_error_subspace_is_orthonormal_and_sums_to_zero() -> None:
    omega = naive.error_subspace_basis(9)
    np.testing.assert_allclose(omega.T @ omega, np.eye(8), atol=1e-15)
    np.testing.assert_allclose(omega.sum(axis=0), 0.0, atol=1e-15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anomalies": np.zeros((2, 1))}, "at least 2 members"),
        ({"innovation": np.zeros(3)}, "shape"),
        ({"inverse": np.array([1.0, -1.0])}, "not negative"),
        ({"inverse": np.array([1.0, np.inf])}, "finite"),
    ],
)
def test_that_impossible_input_is_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "anomalies": np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]]),
        "innovation": np.zeros(2),
        "inverse": np.ones(2),
    }
    with pytest.raises(ValueError, match=message):
        scaled_block(*(arguments | change).values())  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_that_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    ensemble, _, observed, values, variance = _problem(11)
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="not finite"):
        analyse(ensemble, observed, np.where(np.arange(7) == 3, bad, values), variance)


def test_that_a_forgetting_factor_must_be_positive() -> None:
    ensemble, _, observed, values, variance = _problem(11)
    with pytest.raises(ValueError, match="forgetting factor"):
        analyse(ensemble, observed, values, variance, 0.0)


def test_that_a_transform_acts_on_each_row_alone() -> None:
    ensemble, _, observed, values, variance = _problem(10)
    transform = _transform(observed, values, variance)
    whole = transform.apply(ensemble[None])[0]
    for row in range(ensemble.shape[0]):
        alone = transform.apply(ensemble[None, row : row + 1])[0]
        _assert_close(alone, whole[row : row + 1], _spread(ensemble)[row])
