"""Averages along a track: values, places, times, and above all their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from da.observation_handling import SuperObservations, error_factor_of_mean, superobservations

START = np.datetime64("2010-04-05T00:00:00", "ns")
SECOND = np.timedelta64(1_000_000_000, "ns")
INFINITE = float("inf")


def averages(time: np.ndarray, superobbing_s: float = 60.0, tau: float = 0.0, **columns: Any) -> SuperObservations:
    defaults = {"latitude": 10.0, "longitude": 20.0, "altitude_km": 400.0, "density": 3e-12}
    filled = {name: np.broadcast_to(columns.get(name, value), time.shape) for name, value in defaults.items()}
    return superobservations(time, **filled, superobbing_s=superobbing_s, correlation_time_s=tau)


def dense_factor(seconds: np.ndarray, tau: float) -> float:
    """Standard deviation of the mean over that of one value, from the full correlation matrix."""
    correlation = np.exp(-np.abs(seconds[:, None] - seconds) / tau)
    return float(np.sqrt(correlation.sum()) / seconds.size)


SECONDS = st.lists(st.integers(0, 3000), min_size=1, max_size=60, unique=True).map(sorted)


@given(SECONDS, st.integers(1, 900))
def test_that_every_record_is_in_one_average_and_its_mean_time_inside_the_window(
    seconds: list[int], width: int
) -> None:
    time = START + np.array(seconds) * SECOND
    found = averages(time, float(width))
    number = (time.astype(np.int64) // 10**9) // width
    assert_array_equal(found.count, np.unique(number, return_counts=True)[1])
    assert_array_equal(found.time.astype(np.int64) // 10**9 // width, np.unique(number))
    assert (np.diff(found.time) > 0 * SECOND).all()


@given(SECONDS, st.integers(0, 59))
def test_that_averages_do_not_depend_on_where_the_file_begins(seconds: list[int], dropped: int) -> None:
    assume(dropped < len(seconds))
    time = START + np.array(seconds) * SECOND
    rng = np.random.default_rng(1)
    density, altitude = rng.uniform(1e-12, 5e-12, time.size), rng.uniform(300.0, 500.0, time.size)
    whole = averages(time, density=density, altitude_km=altitude)
    part = averages(time[dropped:], density=density[dropped:], altitude_km=altitude[dropped:])
    common = slice(1 - part.time.size, None) if part.time.size > 1 else slice(0, 0)
    for name in ("time", "density", "altitude_km", "count", "error_factor"):
        assert_array_equal(getattr(part, name)[common], getattr(whole, name)[common])


def test_that_windows_begin_at_multiples_of_their_length_since_1970() -> None:
    time = np.datetime64("2010-04-05T00:00:50", "ns") + np.arange(8) * 10 * SECOND
    found = averages(time)
    assert_array_equal(found.count, [1, 6, 1])
    expected = ["2010-04-05T00:00:50", "2010-04-05T00:01:25", "2010-04-05T00:02:00"]
    assert_array_equal(found.time, np.array(expected, dtype="datetime64[ns]"))


def test_that_the_average_of_an_exponential_is_its_value_at_the_mean_position() -> None:
    # 60 s of an orbit that climbs 0.2 km per second through a scale height of 40 km, with irregular sampling.
    elapsed = np.array([0.0, 5.0, 10.0, 35.0, 40.0, 55.0])
    altitude = 300.0 + 0.2 * elapsed
    density = 1e-11 * np.exp(-(altitude - 300.0) / 40.0)
    found = averages(START + elapsed.astype(np.int64) * SECOND, density=density, altitude_km=altitude)
    at_mean = 1e-11 * np.exp(-(found.altitude_km - 300.0) / 40.0)
    assert_allclose(found.density, at_mean, rtol=1e-13)
    # The arithmetic mean lies above by var(ln rho) / 2; the next order is a hundredth of that here.
    excess = density.mean() / at_mean[0] - 1.0
    assert_allclose(excess, 0.5 * np.log(density).var(), rtol=0.02)
    assert excess > 1e-3


def test_that_places_are_averaged_across_the_date_line_and_the_pole() -> None:
    time = START + np.arange(2) * SECOND
    date_line = averages(time, latitude=[0.0, 0.0], longitude=[179.0, -179.0])
    assert_allclose(np.abs(date_line.longitude), 180.0, atol=1e-12)
    assert -180.0 <= date_line.longitude[0] < 180.0
    pole = averages(time, latitude=[88.0, 84.0], longitude=[0.0, 180.0])
    # From 88 deg on one side to 84 deg on the other it is 8 deg; the middle is 86 deg on the second one's meridian.
    assert_allclose(pole.latitude, 88.0, atol=1e-11)
    assert_allclose(np.abs(pole.longitude), 180.0, atol=1e-9)


@given(st.floats(0.0, 360.0), st.floats(0.0, 180.0), st.integers(2, 12))
def test_that_equal_steps_along_a_great_circle_have_the_middle_of_the_arc_as_their_place(
    node: float, inclination: float, count: int
) -> None:
    def place(argument: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, i, o = np.radians(argument), np.radians(inclination), np.radians(node)
        x = np.cos(o) * np.cos(u) - np.sin(o) * np.sin(u) * np.cos(i)
        y = np.sin(o) * np.cos(u) + np.cos(o) * np.sin(u) * np.cos(i)
        return x, y, np.sin(u) * np.sin(i)

    argument = 70.0 + 2.0 * np.arange(count)
    x, y, z = place(argument)
    latitude, longitude = np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x))
    found = averages(START + np.arange(count) * SECOND, latitude=latitude, longitude=longitude)
    phi, lam = np.radians(found.latitude[0]), np.radians(found.longitude[0])
    middle = np.array(place(np.array([argument.mean()]))).ravel()
    # arcsin loses half of the digits near the poles.
    assert_allclose([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], middle, atol=3e-8)


@given(SECONDS, st.floats(0.5, 1e5))
def test_that_errors_of_averages_are_those_of_the_full_correlation_matrix(seconds: list[int], tau: float) -> None:
    elapsed = np.array(seconds)
    found = averages(START + elapsed * SECOND, 300.0, tau)
    expected = [dense_factor(elapsed[elapsed // 300 == window], tau) for window in np.unique(elapsed // 300)]
    assert_allclose(found.error_factor, expected, rtol=1e-12)


@pytest.mark.parametrize("tau", [0.0, 3.0, 40.0, 1e6, INFINITE])
@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_that_equal_steps_give_the_formula_by_lags(count: int, tau: float) -> None:
    found = averages(START + np.arange(count) * 5 * SECOND, 60.0, tau)
    assert_allclose(found.error_factor, [error_factor_of_mean(count, 5.0, tau)], rtol=1e-14)


@pytest.mark.parametrize("count", [1, 2, 6, 12])
def test_that_uncorrelated_errors_average_out_and_fully_correlated_ones_do_not(count: int) -> None:
    assert error_factor_of_mean(count, 5.0, 0.0) == pytest.approx(1.0 / np.sqrt(count), rel=1e-15)
    assert error_factor_of_mean(count, 5.0, INFINITE) == 1.0
    # Near the limits: phi = exp(-40) and phi = 1 - 1e-12.
    assert error_factor_of_mean(count, 40.0, 1.0) == pytest.approx(1.0 / np.sqrt(count), rel=1e-15)
    assert error_factor_of_mean(count, 1.0, 1e12) == pytest.approx(1.0, rel=1e-11)


@given(st.integers(1, 50), st.floats(0.1, 100.0), st.floats(0.0, 1e4), st.floats(1.0, 10.0))
def test_that_errors_of_means_lie_between_the_limits_and_grow_with_correlation(
    count: int, step: float, tau: float, longer: float
) -> None:
    factor = error_factor_of_mean(count, step, tau)
    rounding = 1e-12
    assert 1.0 / np.sqrt(count) - rounding <= factor <= error_factor_of_mean(count, step, longer * tau) + rounding
    assert factor <= 1.0 + rounding


def test_that_simulated_autoregressive_errors_average_as_the_formula_says() -> None:
    rng = np.random.default_rng(11)
    count, draws, phi = 12, 40_000, np.exp(-5.0 / 30.0)
    noise = rng.normal(size=(count, draws))
    series = [noise[0]]
    for step in noise[1:]:
        series.append(phi * series[-1] + np.sqrt(1.0 - phi**2) * step)
    simulated = np.mean(series, axis=0).std()
    # The standard deviation of 40000 draws is known to 1 / sqrt(2 x 40000) = 0.35 %.
    assert simulated == pytest.approx(error_factor_of_mean(count, 5.0, 30.0), rel=4 * 0.0035)


def test_that_single_records_stay_as_they_are() -> None:
    time = START + np.arange(5) * 60 * SECOND
    latitude, longitude = np.linspace(-89.0, 89.0, 5), np.linspace(-180.0, 179.0, 5)
    density = np.geomspace(1e-13, 1e-9, 5)
    found = averages(time, latitude=latitude, longitude=longitude, density=density, tau=20.0)
    assert_array_equal(found.time, time)
    assert_array_equal(found.error_factor, np.ones(5))
    # Through logarithms near -30 and unit vectors near the poles, and back.
    assert_allclose(found.density, density, rtol=1e-14)
    assert_allclose(found.latitude, latitude, atol=1e-12)
    assert_allclose(found.longitude, longitude, atol=1e-11)


def test_that_an_empty_track_has_no_averages() -> None:
    assert averages(START + np.arange(0) * SECOND).time.size == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"superobbing_s": 0.0}, "superobbing window must be positive"),
        ({"tau": -1.0}, "correlation time must not be negative"),
        ({"tau": np.nan}, "correlation time must not be negative"),
        ({"density": np.array([1.0, 0.0, 1.0])}, "be positive"),
        ({"density": np.array([1.0, np.nan, 1.0])}, "be positive"),
    ],
)
def test_that_a_wrong_argument_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        averages(START + np.arange(3) * SECOND, **changes)


def test_that_a_window_as_long_as_an_orbit_is_refused() -> None:
    angle = np.arange(0.0, 360.0, 10.0)
    with pytest.raises(ValueError, match="no mean position"):
        averages(START + np.arange(36) * SECOND, longitude=angle, latitude=0.0)


def test_that_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="latitude has shape"):
        superobservations(START + np.arange(3) * SECOND, np.zeros(2), np.zeros(3), np.ones(3), np.ones(3), 60.0, 0.0)


@pytest.mark.parametrize(("count", "step"), [(0, 5.0), (-1, 5.0), (2, -5.0), (2, np.nan)])
def test_that_the_mean_of_nothing_or_of_times_that_run_backwards_is_refused(count: int, step: float) -> None:
    with pytest.raises(ValueError, match="at least one value and a step"):
        error_factor_of_mean(count, step, 0.0)


def test_that_a_correlation_time_of_almost_nothing_is_none() -> None:
    assert error_factor_of_mean(4, 1.0, 1e-309) == 0.5
