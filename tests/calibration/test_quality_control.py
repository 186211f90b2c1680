from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.calibration import QualityControl, ScaleFactors
from da.calibration.quality_control import CHUNK, hampel_outliers, regular_series, whittaker
from da.errors import ThermodaError

START = np.datetime64("2010-04-04T00:00", "ns")
HOUR_S = 3600.0


def factors_at(seconds: np.ndarray, values: np.ndarray) -> ScaleFactors:
    return ScaleFactors(START + np.round(1e9 * seconds).astype("timedelta64[ns]"), values, "TESTSAT")


def slow_hampel(seconds: np.ndarray, values: np.ndarray, window_s: float, threshold: float, floor: float) -> np.ndarray:
    """The definition, one value at a time."""
    outlier = np.zeros(values.size, dtype=bool)
    for i in range(values.size):
        around = values[np.abs(seconds - seconds[i]) <= 0.5 * window_s]
        median = np.median(around)
        deviation = max(1.4826 * np.median(np.abs(around - median)), floor)
        outlier[i] = abs(values[i] - median) > threshold * deviation
    return outlier


def second_differences(n: int) -> np.ndarray:
    return np.diff(np.eye(n), n=2, axis=0)


@pytest.mark.parametrize("window_s", [120.0, 3600.0])
def test_that_hampel_agrees_with_its_definition_on_irregular_times(rng: np.random.Generator, window_s: float) -> None:
    # Whole seconds, so that distances are exact and the edges of a window mean the same to both.
    seconds = np.cumsum(rng.integers(1, 90, CHUNK + 300)).astype(np.float64)
    values = rng.standard_normal(seconds.size) * rng.choice([0.01, 0.1, 1.0], seconds.size)
    for threshold, floor in ((4.0, 0.02), (2.0, 0.0)):
        fast = hampel_outliers(seconds, values, window_s, threshold, floor)
        assert_array_equal(fast, slow_hampel(seconds, values, window_s, threshold, floor))
        assert fast.any()
        assert not fast.all()


def test_that_a_spike_is_an_outlier_and_an_orbital_sinusoid_is_none(rng: np.random.Generator) -> None:
    seconds = np.arange(0.0, 12 * HOUR_S, 45.0)
    values = 0.2 * np.sin(2 * np.pi * seconds / (93 * 60.0)) + 0.02 * rng.standard_normal(seconds.size)
    assert not hampel_outliers(seconds, values, HOUR_S, 4.0, 0.02).any()
    spikes = [0, 333, 334, seconds.size - 1]
    values[spikes] += np.log(3.0)
    assert_array_equal(np.flatnonzero(hampel_outliers(seconds, values, HOUR_S, 4.0, 0.02)), spikes)


def test_that_no_value_is_an_outlier_within_the_floor_of_a_constant() -> None:
    seconds, values = 60.0 * np.arange(100), np.zeros(100)
    values[50] = 4.0 * 0.02
    assert not hampel_outliers(seconds, values, HOUR_S, 4.0, 0.02).any()
    values[50] *= 1.0 + 1e-12
    assert_array_equal(np.flatnonzero(hampel_outliers(seconds, values, HOUR_S, 4.0, 0.02)), [50])


@pytest.mark.parametrize("n", [3, 4, 5, 50])
@pytest.mark.parametrize("smoothness", [1e-2, 1.0, 1e4])
def test_that_whittaker_solves_its_normal_equations(rng: np.random.Generator, n: int, smoothness: float) -> None:
    values, weights = rng.standard_normal(n), rng.uniform(0.0, 2.0, n)
    weights[1] = 0.0
    differences = second_differences(n)
    matrix = np.diag(weights) + smoothness * differences.T @ differences
    dense = np.linalg.solve(matrix, weights * values)
    # Both solutions are good to rounding times the condition of the matrix.
    assert_allclose(whittaker(values, weights, smoothness), dense, rtol=0, atol=1e-14 * np.linalg.cond(matrix))


@pytest.mark.parametrize("n", [3, 4, 5, 50])
def test_that_whittaker_reproduces_straight_lines_from_two_values(n: int) -> None:
    line = 0.4 - 0.03 * np.arange(n)
    weights = np.zeros(n)
    weights[[0, n - 2]] = 1.0
    # The penalty of a line is zero, and two values fix it; the condition for n = 50 is about n^4.
    assert_allclose(whittaker(np.where(weights > 0, line, 99.0), weights, 1.0), line, rtol=0, atol=1e-9)
    assert_allclose(whittaker(line, np.ones(n), 1e4), line, rtol=0, atol=1e-11)


@pytest.mark.parametrize("relative_frequency", [0.3, 1.0, 2.0])
def test_that_whittaker_has_the_stated_gain_and_one_half_at_its_frequency(relative_frequency: float) -> None:
    n, step_s, cutoff_s = 6000, 60.0, 3 * HOUR_S
    smoothness = (2.0 * np.sin(np.pi * step_s / cutoff_s)) ** -4
    frequency = relative_frequency / cutoff_s
    sinusoid = np.cos(2 * np.pi * frequency * step_s * (np.arange(n) - n // 2))
    gain = 1.0 / (1.0 + smoothness * (2.0 * np.sin(np.pi * frequency * step_s)) ** 4)
    middle = slice(n // 3, -n // 3)
    # A sinusoid is an eigenvector of the penalty away from the ends, whose effect fades by exp(-2 pi / sqrt(2)) per
    # cut-off period: eleven periods leave 1e-21.
    assert_allclose(whittaker(sinusoid, np.ones(n), smoothness)[middle], gain * sinusoid[middle], rtol=0, atol=1e-9)
    if relative_frequency == 1.0:
        assert gain == pytest.approx(0.5, rel=1e-12)


def test_that_a_complete_series_is_passed_on_as_it_is(rng: np.random.Generator) -> None:
    values = 0.02 * rng.standard_normal(200)
    series, outliers = regular_series(factors_at(60.0 * np.arange(200), values), QualityControl(), 3.0)
    assert outliers == 0
    assert_array_equal(series.values, values)
    assert not series.filled.any()
    # One record per step: each value keeps its time.
    assert_array_equal(series.time, START + np.arange(200) * np.timedelta64(60, "s"))


@pytest.mark.parametrize("cadence_s", [10.0, 30.0, 45.0, 60.0])
def test_that_a_trend_keeps_its_place_in_time_whatever_the_cadence(cadence_s: float) -> None:
    slope = 1e-6
    seconds = np.arange(0.0, 6 * HOUR_S, cadence_s)
    series, _ = regular_series(factors_at(seconds, slope * seconds), QualityControl(), 3.0)
    expected = slope * ((series.time - START) / np.timedelta64(1, "s"))
    # At 45 s some steps hold one record and some two: their mean times scatter by 22.5 s, without a common shift.
    scatter_s = 22.6 if cadence_s == 45.0 else 1e-6
    assert np.abs(series.values - expected).max() < slope * scatter_s
    assert np.mean(series.values - expected) == pytest.approx(0.0, abs=slope * 1.0)


def test_that_a_step_holds_the_mean_of_its_records() -> None:
    seconds = np.array([0.0, 20.0, 40.0, 60.0, 100.0, 130.0])
    values = np.array([0.01, 0.02, 0.03, 0.05, 0.03, -0.01])
    series, _ = regular_series(factors_at(seconds, values), QualityControl(), 3.0)
    assert_allclose(series.values, [0.02, 0.04, -0.01], rtol=0, atol=1e-15)


def test_that_an_outlier_is_counted_and_replaced_from_its_surroundings() -> None:
    values = 1e-4 * np.arange(300)
    values[120] = 5.0
    series, outliers = regular_series(factors_at(60.0 * np.arange(300), values), QualityControl(), 3.0)
    assert outliers == 1
    assert_array_equal(np.flatnonzero(series.filled), [120])
    # A line is continued exactly; Whittaker's penalty of 7e5 costs six digits of sixteen.
    assert_allclose(series.values, 1e-4 * np.arange(300), rtol=0, atol=1e-9)


def test_that_whittaker_bridges_gaps_of_a_noisy_sinusoid_better_than_linear_interpolation(
    rng: np.random.Generator,
) -> None:
    seconds = 60.0 * np.arange(24 * 60)
    gap = (seconds >= 8 * HOUR_S) & (seconds < 12 * HOUR_S)
    smooth, linear, control = [], [], QualityControl(outlier_threshold=99.0, longest_filled_h=4.0)
    for _ in range(50):
        truth = 0.2 * np.sin(2 * np.pi * seconds / (24 * HOUR_S) + rng.uniform(0.0, 2 * np.pi))
        values = truth + 0.05 * rng.standard_normal(seconds.size)
        series, _ = regular_series(factors_at(seconds[~gap], values[~gap]), control, 3.0)
        assert_array_equal(series.filled, gap)
        assert_array_equal(series.values[~gap], values[~gap])
        smooth.append(series.values[gap] - truth[gap])
        linear.append(np.interp(seconds[gap], seconds[~gap], values[~gap]) - truth[gap])
    assert np.sqrt(np.mean(np.square(smooth))) < 0.8 * np.sqrt(np.mean(np.square(linear)))


def test_that_a_gap_longer_than_is_filled_cuts_the_series_and_nothing_passes_over_it(
    rng: np.random.Generator,
) -> None:
    seconds = 60.0 * np.arange(24 * 60)
    gap = (seconds >= 5 * HOUR_S) & (seconds < 11.5 * HOUR_S)
    hole = (seconds >= 15 * HOUR_S) & (seconds < 16 * HOUR_S)
    values = 0.02 * rng.standard_normal(seconds.size) + 0.5 * (seconds > 8 * HOUR_S)
    kept = ~(gap | hole)
    series, _ = regular_series(factors_at(seconds[kept], values[kept]), QualityControl(), 3.0)
    assert_array_equal(np.isnan(series.values), gap)
    assert_array_equal(series.filled, hole)
    assert series.stretches == [slice(0, 300), slice(690, 1440)]
    # Either side is what it is without the other one.
    late = seconds >= 11.5 * HOUR_S
    alone, _ = regular_series(factors_at(seconds[late & kept], values[late & kept]), QualityControl(), 3.0)
    assert_array_equal(series.values[late], alone.values)
    filled, _ = regular_series(factors_at(seconds[kept], values[kept]), QualityControl(longest_filled_h=6.5), 3.0)
    assert filled.filled.sum() == 390 + 60


def test_that_a_stretch_shorter_than_half_of_the_cut_off_is_left_out_with_its_gaps() -> None:
    seconds = 60.0 * np.arange(24 * 60)
    kept = (seconds < 6 * HOUR_S) | (seconds >= 18 * HOUR_S)
    for length_h, remains in ((1.4, False), (1.6, True)):
        island = (seconds >= 12 * HOUR_S) & (seconds < (12 + length_h) * HOUR_S)
        at = seconds[kept | island]
        series, _ = regular_series(factors_at(at, np.zeros(at.size)), QualityControl(), 3.0)
        assert len(series.stretches) == 2 + remains
    crumbs = seconds[(seconds % (5 * HOUR_S)) < HOUR_S]
    with pytest.raises(
        ThermodaError, match=r"gaps of more than 3 h cut its densities into 5 pieces .* less than 1.5 h"
    ):
        regular_series(factors_at(crumbs, np.zeros(crumbs.size)), QualityControl(), 3.0)


@pytest.mark.parametrize("factor", [5.0, 0.2])
@pytest.mark.parametrize("burst", [1, 2, 4, 8])
def test_that_spikes_and_short_bursts_are_found_and_counted(
    rng: np.random.Generator, factor: float, burst: int
) -> None:
    """A day and more at 45 s with a signal along the orbit, weather within it, a storm, and noise."""
    seconds = 45.0 * np.arange(3000)
    orbit = 2.0 * np.pi * seconds / 5550.0
    storm = 0.4 * np.exp(-0.5 * ((seconds - 70_000.0) / 9000.0) ** 2)
    clean = 0.15 * np.sin(orbit) + 0.08 * np.sin(3.1 * orbit) + storm + 0.05 * rng.standard_normal(seconds.size)
    spiked = np.zeros(seconds.size, dtype=bool)
    for first in [0, *range(90, 2900, 140), seconds.size - burst]:
        spiked[first : first + burst] = True
    values = clean + np.log(factor) * spiked
    found = hampel_outliers(seconds, values, 3600.0, 4.0, 0.02)
    assert found[spiked].all()
    # Four robust standard deviations of what is not quite normal: a few in a thousand at most.
    assert np.count_nonzero(found & ~spiked) <= 0.005 * seconds.size
    series, count = regular_series(factors_at(seconds, values), QualityControl(), 3.0)
    assert count == series.outliers.sum() == np.count_nonzero(found)
    step = np.minimum(seconds[found] // 60.0, series.outliers.size - 1).astype(int)
    assert_array_equal(series.outliers, np.bincount(step, minlength=series.outliers.size))


@pytest.mark.parametrize("records", [1, 2])
def test_that_a_series_of_fewer_than_three_steps_is_refused(records: int) -> None:
    short = factors_at(60.0 * np.arange(records), np.zeros(records))
    with pytest.raises(ThermodaError, match=f"TESTSAT: {60 * records} s of densities"):
        regular_series(short, QualityControl(), 3.0)
    series, _ = regular_series(factors_at(60.0 * np.arange(3), np.zeros(3)), QualityControl(), 3.0)
    assert series.values.size == 3


@pytest.mark.parametrize(
    "name", ["outlier_window_h", "outlier_threshold", "longest_filled_h", "step_s", "outlier_floor"]
)
def test_that_limits_without_meaning_are_refused(name: str) -> None:
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="must be positive and finite"):
            QualityControl(**{name: bad})
