"""Running means along a track: their theory, gaps, ends, and what they consist of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from da.observation_handling import footprints, has_whole_window, running_mean
from da.observation_handling.running_mean import SMALLEST_SHARE

START = np.datetime64("2024-10-10T00:00:00", "ns")
STEP_S = 30.0
WINDOW_S = 900.0
EPS = np.finfo(float).eps


def times(seconds: np.ndarray) -> np.ndarray:
    return START + np.rint(1e9 * seconds).astype(np.int64).astype("timedelta64[ns]")


def regular(hours: float) -> np.ndarray:
    return np.arange(0.0, 3600.0 * hours, STEP_S)


def test_that_no_window_is_the_identity_bit_for_bit() -> None:
    values = np.random.default_rng(1).normal(size=50)
    values[7] = np.nan
    assert_array_equal(running_mean(times(np.sort(np.random.default_rng(2).uniform(0, 1e5, 50))), values, 0.0), values)


def test_that_the_mean_of_a_constant_is_that_constant_and_is_missing_at_the_ends() -> None:
    seconds = regular(24.0)
    mean = running_mean(times(seconds), np.full(seconds.size, 3e-12), WINDOW_S)
    # The mean is a difference of two sums of n terms over another one.
    assert_allclose(mean[np.isfinite(mean)], 3e-12, rtol=4.0 * seconds.size * EPS)
    # At a distance d from the end half of the window, d and half a step are held.
    held = np.minimum(0.5 * WINDOW_S, seconds + 0.5 * STEP_S) + 0.5 * WINDOW_S
    assert_array_equal(np.isfinite(mean[: seconds.size // 2]), held[: seconds.size // 2] >= SMALLEST_SHARE * WINDOW_S)
    assert_array_equal(np.isfinite(mean), np.isfinite(mean)[::-1])


@pytest.mark.parametrize("period_s", [1200.0, 1800.0, 2840.0, 5680.0, 20_000.0])
def test_that_a_sinusoid_is_attenuated_by_the_sinc_of_window_over_period(period_s: float) -> None:
    seconds = regular(24.0)
    phase = 2.0 * np.pi * seconds / period_s
    mean = running_mean(times(seconds), np.sin(phase), WINDOW_S)
    inside = slice(100, -100)
    # numpy's sinc(x) is sin(pi x)/(pi x). Of a step function, whose steps are those of the records and of which the two
    # outermost count half, the factor is sinc(W/T) x / tan(x) with x = pi dt/T, and 0 < 1 - x/tan(x) < x^2/2 for x < 1.
    x = np.pi * STEP_S / period_s
    factor = np.sinc(WINDOW_S / period_s)
    assert_allclose(mean[inside], factor * np.sin(phase)[inside], rtol=0.0, atol=abs(factor) * x**2 / 2.0 + 1e-12)
    exact = factor * x / np.tan(x)
    assert_allclose(mean[inside], exact * np.sin(phase)[inside], rtol=0.0, atol=1e-11)


def test_that_a_wave_as_long_as_the_window_vanishes_and_a_line_stays() -> None:
    seconds = regular(12.0)
    wave = running_mean(times(seconds), np.cos(2.0 * np.pi * seconds / WINDOW_S), WINDOW_S)
    line = running_mean(times(seconds), 5.0 - 1e-4 * seconds, WINDOW_S)
    inside = slice(15, -15)
    assert np.abs(wave[inside]).max() < 1e-11
    assert_allclose(line[inside], (5.0 - 1e-4 * seconds)[inside], rtol=1e-11)


def test_that_a_gap_takes_away_windows_that_it_covers_too_far_and_no_others() -> None:
    seconds = regular(6.0)
    first, last = 7200.0, 9000.0
    seconds = seconds[(seconds <= first) | (seconds >= last)]
    mean = running_mean(times(seconds), 1.0 + 0.0 * seconds, WINDOW_S)
    inside = (seconds > 3600.0) & (seconds < 18000.0)
    # Beside the gap a record is held for half a step.
    into_gap = np.maximum(seconds + 0.5 * WINDOW_S - (first + 0.5 * STEP_S), 0.0)
    out_of_gap = np.maximum((last - 0.5 * STEP_S) - (seconds - 0.5 * WINDOW_S), 0.0)
    missing = np.where(seconds <= first, into_gap, out_of_gap)
    enough = WINDOW_S - missing >= SMALLEST_SHARE * WINDOW_S - 1e-9
    assert_array_equal(np.isfinite(mean)[inside], enough[inside])
    assert 0 < np.count_nonzero(~enough & inside) < 30


def test_that_a_short_gap_leaves_the_mean_of_what_is_there() -> None:
    seconds = np.delete(regular(2.0), np.arange(120, 124))
    values = np.random.default_rng(3).uniform(1.0, 2.0, seconds.size)
    mean = running_mean(times(seconds), values, WINDOW_S)
    at = 119
    window = np.abs(seconds - seconds[at]) <= 0.5 * WINDOW_S
    weight = np.where(np.abs(seconds[window] - seconds[at]) == 0.5 * WINDOW_S, 0.5, 1.0)
    assert_allclose(mean[at], np.average(values[window], weights=weight), rtol=1e-12)


def test_that_a_missing_value_counts_like_a_record_that_is_not_there() -> None:
    seconds = regular(3.0)
    values = np.random.default_rng(4).uniform(1.0, 2.0, seconds.size)
    missing = np.random.default_rng(5).uniform(size=seconds.size) < 0.1
    with_nan = running_mean(times(seconds), np.where(missing, np.nan, values), WINDOW_S)
    without = running_mean(times(seconds[~missing]), values[~missing], WINDOW_S)
    assert_allclose(with_nan[~missing], without, rtol=1e-12)
    assert np.isnan(running_mean(times(seconds), np.full(seconds.size, np.nan), WINDOW_S)).all()


@given(st.integers(0, 2**31), st.floats(60.0, 3600.0), st.floats(0.0, 0.3))
def test_that_footprints_give_the_running_means_and_their_weights_sum_to_one(
    seed: int, window_s: float, absent: float
) -> None:
    rng = np.random.default_rng(seed)
    seconds = np.arange(0.0, 9000.0, STEP_S) + rng.uniform(-5.0, 5.0, 300)
    seconds = np.rint(seconds[rng.uniform(size=300) >= absent] * 1e6) / 1e6
    values = rng.uniform(0.5, 2.0, seconds.size)
    mean = running_mean(times(seconds), values, window_s)
    at = np.flatnonzero(has_whole_window(times(seconds), window_s))
    assert_array_equal(at, np.flatnonzero(np.isfinite(mean)))
    if not at.size:
        return
    found = footprints(times(seconds), at, window_s)
    assert (found.weight > 0.0).all()
    assert_allclose(np.add.reduceat(found.weight, found.first), 1.0, rtol=1e-12)
    assert_allclose(np.add.reduceat(found.weight * values[found.record], found.first), mean[at], rtol=1e-11)
    middle = np.repeat(at, np.diff(np.append(found.first, found.record.size)))
    # A record whose cell reaches into the window lies at most half a cell outside it.
    reach = 0.5 * (window_s + 1.5 * np.median(np.diff(seconds)))
    assert (np.abs(seconds[found.record] - seconds[middle]) <= reach).all()


def test_that_running_means_of_members_have_the_mean_of_the_members_and_no_more_than_their_mean_spread() -> None:
    seconds = regular(4.0)
    members = np.random.default_rng(6).lognormal(size=(8, seconds.size))
    averaged = np.stack([running_mean(times(seconds), member, WINDOW_S) for member in members])
    inside = np.isfinite(averaged[0])
    assert_allclose(
        averaged.mean(axis=0)[inside], running_mean(times(seconds), members.mean(axis=0), WINDOW_S)[inside], rtol=1e-10
    )
    bound = running_mean(times(seconds), members.std(axis=0, ddof=1), WINDOW_S)
    assert (averaged.std(axis=0, ddof=1)[inside] < bound[inside]).all()
    # Members that differ by one factor each: the bound is reached.
    alike = np.linspace(0.8, 1.2, 8)[:, None] * members[0]
    spread = np.stack([running_mean(times(seconds), member, WINDOW_S) for member in alike]).std(axis=0, ddof=1)
    assert_allclose(
        spread[inside], running_mean(times(seconds), alike.std(axis=0, ddof=1), WINDOW_S)[inside], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("window_s", "size", "problem"),
    [
        (-1.0, 3, "negative or infinite"),
        (np.inf, 3, "negative or infinite"),
        (float("nan"), 3, "negative or infinite"),
        (WINDOW_S, 2, "values have shape"),
    ],
)
def test_that_wrong_arguments_are_refused(window_s: float, size: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        running_mean(times(np.arange(3.0)), np.ones(size), window_s)


def test_that_footprints_of_windows_that_are_not_whole_are_refused() -> None:
    seconds = regular(1.0)
    with pytest.raises(ValueError, match="too little"):
        footprints(times(seconds), np.array([0]), WINDOW_S)
    with pytest.raises(ValueError, match="a mean needs a window"):
        footprints(times(seconds), np.array([60]), 0.0)
    nothing = footprints(times(seconds), np.array([], dtype=np.int64), WINDOW_S)
    assert nothing.record.size == nothing.first.size == 0
    assert np.isnan(running_mean(times(np.array([0.0])), np.ones(1), WINDOW_S)).all()
    assert running_mean(times(np.array([])), np.array([]), WINDOW_S).size == 0
