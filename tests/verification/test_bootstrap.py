"""Block-bootstrap intervals and tests: known coverage, limits, and independence of chunks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import scores.stats.statistical_tests
import xarray as xr

from da.verification.bootstrap import (
    block_length,
    bootstrap_interval,
    compare_models,
    confidence_intervals,
    diebold_mariano,
    error_sums,
    resampled_counts,
)


def orbit_errors(orbits: int, points: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return orbit numbers, observed and modelled densities whose ln ratio has one error per orbit."""
    rng = np.random.default_rng(seed)
    orbit = np.repeat(np.arange(orbits), points)
    log_ratio = shift + np.repeat(0.1 * rng.standard_normal(orbits), points)
    modelled = 1e-12 * np.exp(0.3 * rng.standard_normal(orbit.size))
    return orbit, modelled * np.exp(log_ratio), modelled


def test_that_every_resample_has_as_many_orbits_and_blocks_stay_together() -> None:
    counts = resampled_counts(12, 4, 50, np.random.default_rng(0))
    assert counts.shape == (50, 12)
    assert (counts.sum(axis=1) == 12).all()
    one = resampled_counts(12, 12, 5, np.random.default_rng(0))
    # One block of all orbits, wrapped round, is the sample itself.
    assert (one == 1).all()
    with pytest.raises(ValueError, match="cannot be drawn"):
        resampled_counts(3, 4, 5, np.random.default_rng(0))


def test_that_orbits_are_drawn_equally_often() -> None:
    counts = resampled_counts(10, 3, 4000, np.random.default_rng(1))
    # Each orbit is drawn once per replicate on average, with a variance of about the length of the blocks.
    assert np.abs(counts.mean(axis=0) - 1.0).max() < 4.0 * np.sqrt(3.0 / 4000.0)


@pytest.mark.parametrize(("orbits", "length"), [(1, 1), (8, 2), (27, 3), (28, 4), (220, 7)])
def test_that_the_length_of_blocks_grows_as_the_cube_root(orbits: int, length: int) -> None:
    assert block_length(orbits) == length


def test_that_intervals_respect_the_correlation_within_orbits() -> None:
    covered, naive = 0, 0
    for seed in range(100):
        orbit, observed, modelled = orbit_errors(60, 50, seed)
        found = confidence_intervals(error_sums(orbit, observed, modelled), np.random.default_rng(seed), replicates=300)
        interval = found["mean_log_ratio"]
        covered += interval.lower <= 0.0 <= interval.upper
        values = np.log(observed / modelled)
        naive += abs(values.mean()) <= 1.96 * values.std() / np.sqrt(values.size)
    # Nominal 95 of 100; percentile intervals from 60 orbits in 15 blocks fall short, to 92 of 100 (measured over 300
    # seeds, hence 84 is three standard deviations below). Points taken for
    # independent would claim seven times too narrow an interval: P(|z| < 1.96/7) = 22 %.
    assert covered >= 84
    assert naive <= 35


def test_that_values_of_intervals_are_the_statistics_of_all_points() -> None:
    orbit, observed, modelled = orbit_errors(20, 30, 3, shift=0.2)
    found = confidence_intervals(error_sums(orbit, observed, modelled), np.random.default_rng(0))
    log_ratio = np.log(observed / modelled)
    assert found["mean_log_ratio"].value == pytest.approx(log_ratio.mean(), rel=1e-12)
    assert found["std_log_ratio"].value == pytest.approx(log_ratio.std(), rel=1e-9)
    assert found["rms_log_ratio"].value == pytest.approx(np.sqrt(np.mean(log_ratio**2)), rel=1e-12)
    assert found["rmse"].value == pytest.approx(np.sqrt(np.mean((modelled - observed) ** 2)), rel=1e-12)
    for interval in found.values():
        assert interval.lower <= interval.value <= interval.upper


def test_that_one_seed_gives_one_interval_whatever_the_chunks() -> None:
    orbit, observed, modelled = orbit_errors(15, 20, 4)
    whole = confidence_intervals(error_sums(orbit, observed, modelled), np.random.default_rng(5))
    parts = [error_sums(orbit[p], observed[p], modelled[p]) for p in np.split(np.arange(300), [7, 130, 131])]
    chunked = confidence_intervals(sum(parts[1:], parts[0]), np.random.default_rng(5))
    for name, interval in whole.items():
        assert chunked[name].lower == pytest.approx(interval.lower, rel=1e-10)
        assert chunked[name].upper == pytest.approx(interval.upper, rel=1e-10)


def test_that_few_orbits_have_no_interval_and_no_points_no_value() -> None:
    found = confidence_intervals(error_sums(*orbit_errors(5, 10, 0)), np.random.default_rng(0))["rmse"]
    assert found.value > 0.0
    assert np.isnan([found.lower, found.upper]).all()
    gaps = np.full(3, np.nan)
    empty = confidence_intervals(error_sums(np.arange(3), gaps, gaps), np.random.default_rng(0))
    assert np.isnan(empty["mean_log_ratio"].value)
    assert np.isnan(bootstrap_interval(gaps, np.arange(3), np.median, np.random.default_rng(0)).value)


def test_that_the_general_bootstrap_equals_the_one_of_sums_for_a_mean() -> None:
    orbit, observed, modelled = orbit_errors(12, 9, 6)
    log_ratio = np.log(observed / modelled)
    fast = confidence_intervals(error_sums(orbit, observed, modelled), np.random.default_rng(7))["mean_log_ratio"]
    slow = bootstrap_interval(log_ratio, orbit, lambda values: float(values.mean()), np.random.default_rng(7))
    assert (slow.lower, slow.upper) == pytest.approx((fast.lower, fast.upper), rel=1e-9)
    median = bootstrap_interval(log_ratio, orbit, lambda values: float(np.median(values)), np.random.default_rng(7))
    assert median.lower <= np.median(log_ratio) <= median.upper


def test_that_a_better_model_is_found_better_and_equal_models_undecided() -> None:
    orbit, observed, modelled = orbit_errors(40, 30, 8)
    worse = modelled * 1.3
    found = compare_models(orbit, observed, modelled, worse, np.random.default_rng(0))
    one, two = np.mean(np.log(observed / modelled) ** 2), np.mean(np.log(observed / worse) ** 2)
    assert found.skill.value == pytest.approx(1.0 - one / two, rel=1e-12)
    assert found.skill.lower > 0.0
    assert found.significant()
    assert found.p_bootstrap == 1e-3
    reverse = compare_models(orbit, observed, worse, modelled, np.random.default_rng(0))
    assert reverse.skill.upper < 0.0
    assert reverse.p_diebold_mariano == pytest.approx(found.p_diebold_mariano, rel=1e-12)
    same = compare_models(orbit, observed, modelled, modelled.copy(), np.random.default_rng(0))
    assert same.skill.value == 0.0
    assert np.isnan(same.p_bootstrap)
    assert not same.significant()


def test_that_tests_of_equally_good_models_reject_as_rarely_as_they_claim() -> None:
    rejected = 0
    for seed in range(200):
        orbit, observed, _ = orbit_errors(48, 5, seed)
        rng = np.random.default_rng(1000 + seed)
        first, second = (observed * np.exp(np.repeat(0.1 * rng.standard_normal(48), 5)) for _ in range(2))
        rejected += compare_models(orbit, observed, first, second, rng, replicates=200).significant()
    # Nominally at most 5 % of 200, with a standard deviation of 3; tests with estimated variances reject somewhat more.
    assert rejected <= 22


def test_that_gaps_are_left_out_of_comparisons_pairwise() -> None:
    orbit, observed, first = orbit_errors(10, 10, 9)
    second = 1.1 * first
    kept = np.arange(100) % 7 != 0
    spoiled = np.where(kept, second, np.nan)
    found = compare_models(orbit, observed, first, spoiled, np.random.default_rng(0))
    expected = compare_models(orbit[kept], observed[kept], first[kept], second[kept], np.random.default_rng(0))
    assert found == expected
    nothing = compare_models(orbit, observed, first, np.full(100, np.nan), np.random.default_rng(0))
    assert nothing.orbits == 0
    assert np.isnan(nothing.skill.value)


def test_that_diebold_mariano_without_lags_is_the_paired_t_test_and_that_of_the_library() -> None:
    difference = np.random.default_rng(10).standard_normal(30) + 0.3
    expected = scipy.stats.ttest_1samp(difference, 0.0).pvalue
    assert diebold_mariano(difference) == pytest.approx(expected, rel=1e-12)
    series = xr.DataArray(difference[None, :], dims=("lead", "time"), coords={"lead": [1], "h": ("lead", [1])})
    theirs = scores.stats.statistical_tests.diebold_mariano(
        series, "lead", "h", method="HLN", statistic_distribution="t"
    )
    one_sided = float(theirs["confidence_gt_0"][0])
    assert diebold_mariano(difference) == pytest.approx(2.0 * min(one_sided, 1.0 - one_sided), rel=1e-10)


def test_that_lags_widen_the_test_for_positively_correlated_differences() -> None:
    rng = np.random.default_rng(11)
    noise = rng.standard_normal(200)
    correlated = np.convolve(noise, np.ones(5) / 5.0, mode="valid") + 0.05
    assert diebold_mariano(correlated, 6) > diebold_mariano(correlated, 1)
    assert np.isnan(diebold_mariano(np.ones(5)))
    with pytest.raises(ValueError, match="cannot be estimated"):
        diebold_mariano(np.ones(1))
