"""Addable statistics against numpy and scipy, and their addition over any chunks."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from da.verification.statistics import CollectedValues, PairStatistics

EPS = np.finfo(np.float64).eps


def pairs(n: int, seed: int = 3, size: float = 3e-12, error: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    observed = size * np.exp(0.5 * rng.standard_normal(n))
    modelled = observed * np.exp(error * rng.standard_normal(n) + 0.1)
    return observed, modelled, 0.15 * modelled * rng.random(n)


def test_that_scores_equal_the_formulas_of_numpy_and_scipy() -> None:
    observed, modelled, spread = pairs(500)
    scores = PairStatistics.of(observed, modelled, spread).value()
    log_ratio = np.log(observed / modelled)
    rmse = np.sqrt(np.mean((modelled - observed) ** 2))
    # Sums of 500 numbers of one sign differ between two orders of addition by at most 500 eps, relative.
    close = {"rel": 500 * EPS}
    assert scores.n == 500
    assert scores.mean_difference == pytest.approx(np.mean(modelled - observed), **close)
    assert scores.rmse == pytest.approx(rmse, **close)
    assert scores.mean_log_ratio == pytest.approx(np.mean(log_ratio), **close)
    assert scores.std_log_ratio == pytest.approx(np.std(log_ratio), **close)
    assert scores.rms_log_ratio == pytest.approx(np.sqrt(np.mean(log_ratio**2)), **close)
    assert scores.correlation == pytest.approx(scipy.stats.pearsonr(observed, modelled).statistic, **close)
    assert scores.spread_to_error == pytest.approx(np.sqrt(np.mean(spread**2)) / rmse, **close)


@given(
    cuts=st.lists(st.integers(0, 200), max_size=12),
    seed=st.integers(0, 2**16),
    exponent=st.integers(-18, 3),
    error=st.floats(1e-3, 2.0),
)
def test_that_any_chunking_gives_the_same_scores(cuts: list[int], seed: int, exponent: int, error: float) -> None:
    observed, modelled, spread = pairs(200, seed, 10.0**exponent, error)
    whole = PairStatistics.of(observed, modelled, spread).value()
    total = PairStatistics.zero()
    for part in np.split(np.arange(200), np.sort(cuts)):
        total = total + PairStatistics.of(observed[part], modelled[part], spread[part])
    chunked = total.value()
    # Each mean carries at most (200 + 12) roundings of terms no larger than the mean of the absolute values; the
    # second moments about the mean are sums of positive terms. Hence 1e3 eps of the sizes below.
    log_size = np.mean(np.abs(np.log(observed / modelled)))
    size = np.array([1.0, np.mean(np.abs(modelled - observed)), whole.rmse, log_size, 1.0, 1.0, 1.0, 1.0])
    size[4:6] = whole.rms_log_ratio
    size[7] = whole.spread_to_error
    assert np.all(np.abs(np.subtract(astuple(chunked), astuple(whole))) <= 1e3 * EPS * size)


@given(split=st.integers(0, 40))
def test_that_addition_commutes_and_zero_is_neutral(split: int) -> None:
    observed, modelled, _ = pairs(40)
    left = PairStatistics.of(observed[:split], modelled[:split])
    right = PairStatistics.of(observed[split:], modelled[split:])
    one, other = (left + right).value(), (right + left).value()
    np.testing.assert_allclose(astuple(one)[:7], astuple(other)[:7], rtol=1e3 * EPS)
    np.testing.assert_array_equal((left + PairStatistics.zero()).comoment, left.comoment)
    np.testing.assert_array_equal((PairStatistics.zero() + left).mean, left.mean)


def test_that_a_small_deviation_on_a_large_mean_survives_where_raw_squares_cancel() -> None:
    # ln ratios of 10 with a scatter of 1e-8: mean of squares minus square of mean has an error of 100 eps ~ 2e-14, far
    # above the variance of 1e-16; the deviations themselves are known to 10 eps ~ 2e-15, 2e-7 of their size.
    rng = np.random.default_rng(5)
    scatter = 1e-8 * rng.standard_normal(1000)
    modelled = np.full(1000, 1e-12)
    observed = modelled * np.exp(10.0 + scatter)
    total = PairStatistics.zero()
    for part in np.split(np.arange(1000), 20):
        total = total + PairStatistics.of(observed[part], modelled[part])
    assert total.value().std_log_ratio == pytest.approx(np.std(scatter), rel=1e-6)


def test_that_a_perfect_model_has_no_error_and_correlation_one() -> None:
    observed, _, spread = pairs(100)
    scores = PairStatistics.of(observed, observed.copy(), spread).value()
    assert (scores.mean_difference, scores.rmse, scores.rms_log_ratio) == (0.0, 0.0, 0.0)
    # The two standard deviations are the same number; only the last two divisions round.
    assert scores.correlation == pytest.approx(1.0, abs=4 * EPS)
    assert np.isnan(scores.spread_to_error)


def test_that_rms_squared_is_mean_squared_plus_std_squared() -> None:
    observed, modelled, _ = pairs(77)
    scores = PairStatistics.of(observed, modelled).value()
    expected = scores.mean_log_ratio**2 + scores.std_log_ratio**2
    assert scores.rms_log_ratio**2 == pytest.approx(expected, rel=8 * EPS)


def test_that_scaling_both_densities_leaves_dimensionless_scores_unchanged() -> None:
    observed, modelled, spread = pairs(60)
    one = PairStatistics.of(observed, modelled, spread).value()
    # A power of two scales without rounding.
    factor = 2.0**-300
    other = PairStatistics.of(factor * observed, factor * modelled, factor * spread).value()
    assert astuple(other)[3:] == astuple(one)[3:]
    assert other.rmse == factor * one.rmse


def test_that_scores_without_an_ensemble_or_without_pairs_are_undefined_not_zero() -> None:
    observed, modelled, spread = pairs(10)
    without = PairStatistics.of(observed, modelled)
    assert np.isnan(without.value().spread_to_error)
    assert np.isnan((without + PairStatistics.of(observed, modelled, spread)).value().spread_to_error)
    empty = PairStatistics.zero().value()
    assert empty.n == 0
    assert np.all(np.isnan(astuple(empty)[1:]))
    assert np.isnan(PairStatistics.of(np.full(5, 1e-12), np.linspace(1, 2, 5)).value().correlation)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1e-12])
def test_that_densities_without_a_logarithm_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="modelled densities must be finite and positive"):
        PairStatistics.of(np.array([1e-12]), np.array([bad]))


def test_that_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        PairStatistics.of(np.ones(3), np.ones(2))


def test_that_the_median_of_collected_parts_is_the_median_of_all_values() -> None:
    values = np.random.default_rng(2).standard_normal(31)
    total = CollectedValues.zero()
    for part in np.split(values, [4, 4, 20]):
        total = total + CollectedValues(part)
    assert total.median() == np.median(values)
    assert np.isnan(CollectedValues.zero().median())
