from __future__ import annotations

import numpy as np
import pytest

from da.twin.day_to_day import KINDS, DayToDay, cauchy_frequencies

START = np.datetime64("2010-01-01", "ns")
HOUR = np.timedelta64(3600 * 10**9, "ns")


def sphere(points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    time = START + rng.integers(0, 24 * 3650, points) * HOUR
    return time, np.degrees(np.arcsin(rng.uniform(-1, 1, points))), rng.uniform(-180, 180, points)


def test_that_the_shares_are_those_of_one_variance() -> None:
    assert sum(kind.share for kind in KINDS) == pytest.approx(1.0)


@pytest.mark.parametrize(("altitude_km", "expected"), [(100.0, 0.08), (120.0, 0.08), (260.0, 0.06), (500.0, 0.04)])
def test_that_the_root_mean_square_is_the_stated_one_at_each_height(altitude_km: float, expected: float) -> None:
    # Over ten years; each of ten amplitudes is a sum of 24 terms of equal size.
    values = DayToDay(3, 0.08, 0.04, 5.0).evaluate(*sphere(20_000), np.full(20_000, altitude_km))
    assert np.sqrt(np.mean(values**2)) == pytest.approx(expected, rel=0.1)
    assert abs(values.mean()) < 0.1 * expected


def test_that_amplitudes_lose_their_memory_as_a_first_order_process_does() -> None:
    # Averaged over seeds and waves; with the truncated Cauchy distribution within 0.05 of exp(-t / memory).
    time = START + np.arange(0, 24 * 1000, 12) * HOUR
    for lag_d, expected in ((2.0, np.exp(-0.4)), (10.0, np.exp(-2.0))):
        shift = int(2 * lag_d)
        correlation = []
        for seed in range(12):
            waves = DayToDay(seed, 0.1, 0.1, 5.0)
            for number in range(len(KINDS)):
                amplitude = waves.amplitude(number, time)
                product = np.mean(amplitude[shift:] * np.conj(amplitude[:-shift]))
                correlation.append(np.real(product) / np.mean(np.abs(amplitude) ** 2))
        assert np.mean(correlation) == pytest.approx(expected, abs=0.08)


def test_that_no_frequency_exceeds_a_cycle_a_day() -> None:
    frequency = cauchy_frequencies(np.array([0.0, 0.5, 1.0 - 1e-12]), 5.0)
    np.testing.assert_allclose(frequency, [-2.0 * np.pi, 0.0, 2.0 * np.pi], atol=1e-9)


def test_that_seeds_are_reproducible_and_differ() -> None:
    points = (*sphere(50), np.full(50, 300.0))
    first, again, other = (DayToDay(seed, 0.08, 0.08, 5.0).evaluate(*points) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.02


def test_that_zero_amplitudes_switch_the_term_off() -> None:
    assert np.all(DayToDay(1, 0.0, 0.0, 5.0).evaluate(*sphere(10), np.full(10, 150.0)) == 0.0)


def test_that_many_heights_at_once_are_those_one_by_one() -> None:
    waves, points = DayToDay(1, 0.08, 0.05, 5.0), sphere(20)
    heights = np.array([110.0, 160.0, 400.0])
    together = waves.evaluate(*points, heights[:, None])
    for row, height in zip(together, heights, strict=True):
        np.testing.assert_allclose(row, waves.evaluate(*points, np.full(20, height)), rtol=1e-12, atol=1e-15)
