from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from da.constants import EARTH_RADIUS
from da.twin.disturbances import TIME_ORIGIN, TravellingWave, draw_modulation, draw_waves

SECOND = np.timedelta64(1, "s")
WAVE = TravellingWave(0.08, 500.0, 2.0, 0.4, 75.0, 20.0)
AMPLITUDE, SPEED, PERIOD = (0.07, 0.10), (400.0, 700.0), (1.5, 3.0)


def times_from(start: str, count: int, step_s: int) -> NDArray[np.datetime64]:
    return np.datetime64(start, "ns") + np.arange(count) * step_s * SECOND


def test_that_a_front_moves_equatorward_at_the_phase_speed() -> None:
    elapsed_s = np.arange(0, 7200, 600)
    away_deg = 20.0 + np.degrees(WAVE.speed_m_s * elapsed_s / EARTH_RADIUS)
    latitude, longitude = WAVE.source_latitude - away_deg, np.full(elapsed_s.size, WAVE.source_longitude)
    time = np.datetime64("2010-04-05T03:00:00", "ns") + elapsed_s * SECOND
    relative = WAVE.evaluate(time, latitude, longitude) / WAVE.envelope(latitude, longitude)
    np.testing.assert_allclose(relative, relative[0], rtol=0, atol=1e-9)
    assert abs(relative[0]) > 0.1 * WAVE.amplitude


def test_that_a_wave_has_amplitude_over_root_two_as_rms_over_a_period_where_its_envelope_is_one() -> None:
    time = times_from("2010-04-05T00:00:00", 72, 100)
    place = np.full(72, WAVE.source_latitude - 60.0), np.full(72, WAVE.source_longitude)
    wave = WAVE.evaluate(time, *place)
    np.testing.assert_allclose(WAVE.envelope(*place), 1.0, rtol=1e-12)
    # 72 points share one period evenly, so that the mean square of the cosine is 1/2 up to rounding.
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(WAVE.amplitude / np.sqrt(2.0), rel=1e-6)


def test_that_the_envelope_vanishes_at_the_source_and_opposite_to_it_and_never_exceeds_one() -> None:
    ends = WAVE.envelope(np.array([75.0, -75.0]), np.array([20.0, -160.0]))
    np.testing.assert_allclose(ends, 0.0, atol=1e-7)
    latitude, longitude = np.meshgrid(np.linspace(-90, 90, 91), np.linspace(-180, 180, 91))
    envelope = WAVE.envelope(latitude.ravel(), longitude.ravel())
    assert envelope.min() > -1e-15
    assert envelope.max() <= 1.0 + 1e-15


def test_that_a_wave_has_one_value_at_the_pole_whatever_the_longitude() -> None:
    time = np.repeat(np.datetime64("2010-04-05T00:00:00", "ns"), 5)
    wave = WAVE.evaluate(time, np.full(5, 90.0), np.linspace(-180.0, 180.0, 5))
    np.testing.assert_allclose(wave, wave[0], rtol=0, atol=1e-12)


def test_that_the_sum_of_waves_has_the_rms_of_independent_waves() -> None:
    waves = draw_waves(np.random.default_rng(5), 3, AMPLITUDE, SPEED, PERIOD)
    days, step_s = 100, 600
    time = times_from("2010-01-01T00:00:00", days * 86400 // step_s, step_s)
    latitude, longitude = np.full(time.size, 5.0), np.full(time.size, 40.0)
    local = [wave.amplitude * wave.envelope(latitude[:1], longitude[:1])[0] for wave in waves]
    total = sum(wave.evaluate(time, latitude, longitude) for wave in waves)
    # A cosine of angular frequency w averages over the span T to less than 2 / (w T). The square of a sum
    # holds products of two waves (difference and sum of the frequencies) and of each with itself.
    phase = 2.0 * np.pi * 24.0 * days
    rest = sum(a**2 / (2.0 * phase / u.period_h) for a, u in zip(local, waves, strict=True))
    for (a, u), (b, v) in itertools.combinations(zip(local, waves, strict=True), 2):
        slow, fast = abs(1.0 / u.period_h - 1.0 / v.period_h), 1.0 / u.period_h + 1.0 / v.period_h
        rest += 2.0 * a * b / phase * (1.0 / slow + 1.0 / fast)
    expected = sum(a**2 / 2.0 for a in local)
    assert rest < 0.05 * expected
    # Sums in steps of 600 s exceed the integrals by x / sin x, x = w 300 s < 0.7: less than a tenth.
    assert np.mean(np.square(total)) == pytest.approx(expected, abs=1.1 * rest)


def test_that_drawn_waves_stay_within_their_ranges_and_come_from_both_hemispheres() -> None:
    waves = draw_waves(np.random.default_rng(0), 50, AMPLITUDE, SPEED, PERIOD)
    for attribute, (low, high) in {"amplitude": AMPLITUDE, "speed_m_s": SPEED, "period_h": PERIOD}.items():
        values = np.array([getattr(wave, attribute) for wave in waves])
        assert low <= values.min() < values.max() <= high
    latitudes = np.array([wave.source_latitude for wave in waves])
    assert np.all((np.abs(latitudes) >= 70.0) & (np.abs(latitudes) <= 85.0))
    assert np.count_nonzero(latitudes > 0) == 25


def test_that_the_modulation_has_the_stated_rms_and_no_fast_part() -> None:
    modulation = draw_modulation(np.random.default_rng(3), 0.05, (2.0, 8.0))
    days = 20000
    time = TIME_ORIGIN + np.arange(2 * days) * np.timedelta64(12, "h")
    values = modulation.evaluate(time)
    # Cross terms fall off with the span: periods that differ by 1 percent at 8 days leave 0.4 percent each.
    assert np.sqrt(np.mean(values**2)) == pytest.approx(0.05, rel=0.02)
    # The steepest slope is the sum of the amplitudes times 2 pi / 2 d, in half a day.
    assert np.abs(np.diff(values)).max() < 0.05 * np.sqrt(2.0 / 3.0) * 3 * 2 * np.pi / 2.0 * 0.5
