"""Addable statistics against numpy and scipy, and their addition over any chunks."""

from __future__ import annotations

from dataclasses import asdict, astuple

import numpy as np
import pytest
import scipy.stats
import scores
import xarray as xr
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
    found = PairStatistics.of(observed, modelled, spread).value()
    log_ratio = np.log(observed / modelled)
    rmse = np.sqrt(np.mean((modelled - observed) ** 2))
    # Sums of 500 numbers of one sign differ between two orders of addition by at most 500 eps, relative.
    close = {"rel": 500 * EPS}
    assert found.n == 500
    assert found.mean_difference == pytest.approx(np.mean(modelled - observed), **close)
    assert found.rmse == pytest.approx(rmse, **close)
    assert found.mean_log_ratio == pytest.approx(np.mean(log_ratio), **close)
    assert found.std_log_ratio == pytest.approx(np.std(log_ratio), **close)
    assert found.rms_log_ratio == pytest.approx(np.sqrt(np.mean(log_ratio**2)), **close)
    assert found.correlation == pytest.approx(scipy.stats.pearsonr(observed, modelled).statistic, **close)
    assert found.spread_to_error == pytest.approx(np.sqrt(np.mean(spread**2)) / rmse, **close)
    absolute = np.abs(modelled - observed)
    assert found.mean_absolute_difference == pytest.approx(np.mean(absolute), **close)
    assert found.mape_percent == pytest.approx(100.0 * np.mean(absolute / observed), **close)
    efficiency = 1.0 - np.sum((modelled - observed) ** 2) / np.sum((observed - observed.mean()) ** 2)
    # One minus a ratio near one cancels: absolute, not relative, rounding.
    assert found.prediction_efficiency == pytest.approx(efficiency, abs=1e3 * EPS)
    assert found.nrmse_mean == pytest.approx(rmse / observed.mean(), **close)
    assert found.nrmse_range == pytest.approx(rmse / np.ptp(observed), **close)
    assert found.mean_absolute_log_ratio == pytest.approx(np.mean(np.abs(log_ratio)), **close)


def test_that_scores_agree_with_the_library_scores() -> None:
    observed, modelled, _ = pairs(300)
    ours = PairStatistics.of(observed, modelled).value()
    o, m = xr.DataArray(observed, dims="time"), xr.DataArray(modelled, dims="time")
    close = {"rel": 1e3 * EPS}
    assert ours.mean_difference == pytest.approx(float(scores.continuous.additive_bias(m, o)), **close)
    assert ours.rmse == pytest.approx(float(scores.continuous.rmse(m, o)), **close)
    assert ours.mean_absolute_difference == pytest.approx(float(scores.continuous.mae(m, o)), **close)
    assert ours.correlation == pytest.approx(float(scores.continuous.correlation.pearsonr(m, o)), **close)
    # The Nash-Sutcliffe efficiency of hydrology is the prediction efficiency.
    assert ours.prediction_efficiency == pytest.approx(float(scores.continuous.nse(m, o)), abs=1e3 * EPS)


def test_that_prediction_efficiency_is_one_for_truth_zero_for_the_observed_mean_and_undefined_for_a_constant() -> None:
    observed, _, _ = pairs(50)
    perfect = PairStatistics.of(observed, observed.copy()).value()
    assert (perfect.prediction_efficiency, perfect.nrmse_mean, perfect.mape_percent) == (1.0, 0.0, 0.0)
    climate = PairStatistics.of(observed, np.full(50, observed.mean())).value()
    assert climate.prediction_efficiency == pytest.approx(0.0, abs=1e3 * EPS)
    constant = PairStatistics.of(np.full(4, 2.0), np.array([1.0, 2.0, 3.0, 4.0])).value()
    assert np.isnan(constant.prediction_efficiency)
    assert np.isnan(constant.nrmse_range)


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
    size = np.array([1.0, whole.mean_absolute_difference, whole.rmse, log_size, *[whole.rms_log_ratio] * 2, 1.0])
    size = np.append(size, astuple(whole)[7:])
    # The efficiency is one minus a ratio of second moments.
    size[10] = 1.0 + abs(1.0 - whole.prediction_efficiency)
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
    found = PairStatistics.of(observed, observed.copy(), spread).value()
    assert (found.mean_difference, found.rmse, found.rms_log_ratio) == (0.0, 0.0, 0.0)
    # The two standard deviations are the same number; only the last two divisions round.
    assert found.correlation == pytest.approx(1.0, abs=4 * EPS)
    assert np.isnan(found.spread_to_error)


def test_that_rms_squared_is_mean_squared_plus_std_squared() -> None:
    observed, modelled, _ = pairs(77)
    found = PairStatistics.of(observed, modelled).value()
    expected = found.mean_log_ratio**2 + found.std_log_ratio**2
    assert found.rms_log_ratio**2 == pytest.approx(expected, rel=8 * EPS)


def test_that_scaling_both_densities_leaves_dimensionless_scores_unchanged() -> None:
    observed, modelled, spread = pairs(60)
    one = PairStatistics.of(observed, modelled, spread).value()
    # A power of two scales without rounding.
    factor = 2.0**-300
    other = PairStatistics.of(factor * observed, factor * modelled, factor * spread).value()
    with_units = {"mean_difference", "rmse", "mean_absolute_difference"}
    for name, value in asdict(one).items():
        assert getattr(other, name) == (factor * value if name in with_units else value)


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
