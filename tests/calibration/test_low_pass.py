from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal

from da.calibration import FilterKind, LowPass
from da.errors import ThermodaError

STEP_S = 60.0
KINDS = list(FilterKind)
CUTOFF_HZ = 1.0 / (3.0 * 3600.0)

# The slowest pole of order 4 fades as exp(-2 pi sin(pi/8) f_c t), by exp(-2.4) per cut-off period (a ninth faster still
# where the zero-phase form raises the design frequency): 12 periods of 3 h leave less than 1e-12.
SETTLED = slice(36 * 60, -36 * 60)


def times(hours: float) -> np.ndarray:
    return STEP_S * np.arange(round(hours * 60))


def design_sections(order: int, cutoff_h: float) -> np.ndarray:
    """Butterworth sections whose squared amplitude is 1/sqrt(2) at the cut-off, from the closed form."""
    warped = np.tan(np.pi * STEP_S / (3600.0 * cutoff_h)) / (np.sqrt(2.0) - 1.0) ** (0.5 / order)
    return signal.butter(order, np.arctan(warped) / (np.pi * STEP_S), fs=1.0 / STEP_S, output="sos")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [1, 2, 4, 6])
@pytest.mark.parametrize("cutoff_h", [1.0, 3.0, 12.0])
def test_that_the_amplitude_is_one_over_root_two_at_the_cut_off(kind: FilterKind, order: int, cutoff_h: float) -> None:
    low_pass = LowPass(kind, cutoff_h, order)
    frequency = np.array([1.0 / (3600.0 * cutoff_h)])
    assert_allclose(low_pass.amplitude(frequency, STEP_S), np.sqrt(0.5), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("relative_frequency", [0.1, 0.5, 0.9, 1.0, 1.2, 1.93, 5.0])
def test_that_a_sinusoid_far_from_the_ends_is_scaled_by_the_amplitude(
    kind: FilterKind, relative_frequency: float
) -> None:
    frequency = relative_frequency * CUTOFF_HZ
    t = times(144.0)
    low_pass = LowPass(kind)
    filtered = low_pass.apply(np.sin(2 * np.pi * frequency * t + 0.4), STEP_S)[SETTLED]
    phase = 2 * np.pi * frequency * t[SETTLED] + 0.4
    (sine, cosine), *_ = np.linalg.lstsq(np.stack([np.sin(phase), np.cos(phase)], axis=1), filtered)
    expected = float(low_pass.amplitude(np.array([frequency]), STEP_S)[0])
    assert np.hypot(sine, cosine) == pytest.approx(expected, rel=1e-6, abs=1e-10)
    residual = filtered - sine * np.sin(phase) - cosine * np.cos(phase)
    assert np.abs(residual).max() < 1e-9
    if kind is FilterKind.ZERO_PHASE:
        assert cosine == pytest.approx(0.0, abs=1e-10)
        assert sine > 0.0


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_that_the_amplitude_falls_from_one_to_zero_at_the_nyquist_frequency(order: int) -> None:
    frequency = np.linspace(0.0, 0.5 / STEP_S, 1001)
    for kind in KINDS:
        amplitude = LowPass(kind, order=order).amplitude(frequency, STEP_S)
        assert amplitude[0] == 1.0
        assert np.all(np.diff(amplitude) <= 0.0)
        assert amplitude[-1] < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_that_the_orbit_of_a_satellite_is_stopped_and_its_day_is_passed(kind: FilterKind) -> None:
    orbit, day = LowPass(kind).amplitude(1.0 / np.array([93.0 * 60.0, 86400.0]), STEP_S)
    assert orbit < 0.1
    assert day > 0.9999


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 100, 5000])
def test_that_a_constant_passes_from_the_first_value_to_the_last(kind: FilterKind, size: int) -> None:
    # The poles lie 2 pi f_c dt = 0.035 off one, so that the gain of each section, a quotient of squares of that, keeps
    # 1e-16 / 0.035^2 = 1e-13; two sections run twice.
    assert_allclose(LowPass(kind).apply(np.full(size, -0.7), STEP_S), -0.7, rtol=1e-12)


def test_that_a_linear_trend_is_kept_by_zero_phase() -> None:
    trend = 0.3 - 2e-6 * times(144.0)
    filtered = LowPass().apply(trend, STEP_S)
    assert_allclose(filtered[SETTLED], trend[SETTLED], rtol=0, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_that_the_causal_form_delays_a_trend_by_the_stated_time(order: int) -> None:
    slope = 1e-5
    t = times(288.0)
    filtered = LowPass(FilterKind.CAUSAL, 3.0, order).apply(slope * t, STEP_S)
    delay_s = t[-1] - filtered[-1] / slope
    # The closed form is the analogue filter's; the bilinear transform changes it by (pi f_c dt)^2 / 3 = 1e-4.
    assert delay_s == pytest.approx(1.0 / (2 * np.pi * CUTOFF_HZ * np.sin(np.pi / (2 * order))), rel=2e-4)
    if order == 4:
        assert delay_s / 60.0 == pytest.approx(75.0, abs=0.5)


def test_that_zero_phase_commutes_with_reversal_of_time(rng: np.random.Generator) -> None:
    values = np.cumsum(rng.standard_normal(144 * 60)) / 100.0
    forward = LowPass().apply(values, STEP_S)
    backward = LowPass().apply(values[::-1], STEP_S)[::-1]
    assert_allclose(forward[SETTLED], backward[SETTLED], rtol=0, atol=1e-9)


def test_that_the_future_does_not_change_the_causal_past(rng: np.random.Generator) -> None:
    values = rng.standard_normal(600)
    other = values.copy()
    other[400:] = rng.standard_normal(200)
    causal = LowPass(FilterKind.CAUSAL)
    before, after = causal.apply(values, STEP_S), causal.apply(other, STEP_S)
    assert_array_equal(before[:400], after[:400])
    assert np.all(before[400:] != after[400:])
    assert_array_equal(causal.apply(values[:400], STEP_S), before[:400])


def test_that_the_future_does_change_the_past_at_zero_phase(rng: np.random.Generator) -> None:
    values = rng.standard_normal(600)
    other = values.copy()
    other[400:] += 1.0
    difference = LowPass().apply(other, STEP_S) - LowPass().apply(values, STEP_S)
    # Half of a step of one has arrived where it happens.
    assert difference[399] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_that_the_filter_is_linear_and_leaves_its_argument_alone(kind: FilterKind, rng: np.random.Generator) -> None:
    one, other = rng.standard_normal((2, 700))
    kept = one.copy()
    low_pass = LowPass(kind)
    both = low_pass.apply(2.0 * one - 3.0 * other, STEP_S)
    assert_allclose(both, 2.0 * low_pass.apply(one, STEP_S) - 3.0 * low_pass.apply(other, STEP_S), rtol=0, atol=1e-8)
    assert_array_equal(one, kept)


def test_that_the_zero_phase_response_has_faded_within_the_padding() -> None:
    impulse = np.zeros(144 * 60)
    impulse[impulse.size // 2] = 1.0
    response = np.abs(LowPass().apply(impulse, STEP_S))
    from_peak_h = np.abs(np.arange(impulse.size) - impulse.size // 2) / 60.0
    assert response[from_peak_h > 9.0].max() < 1e-3 * response.max()


def test_that_even_padding_smooths_the_last_value_where_odd_padding_takes_over_its_noise(
    rng: np.random.Generator,
) -> None:
    # White noise beside a signal of one cycle a day; the signal itself turns by little within a cut-off period.
    noise = 0.1 * rng.standard_normal((200, 24 * 60))
    signal_ = 0.2 * np.sin(2 * np.pi * times(24.0) / 86400.0 + rng.uniform(0.0, 2 * np.pi, (200, 1)))
    low_pass = LowPass()
    even = np.array([low_pass.apply(series, STEP_S)[-1] for series in signal_ + noise])
    odd = signal.sosfiltfilt(design_sections(4, 3.0), signal_ + noise, axis=1, padtype="odd", padlen=540)[:, -1]
    # Odd reflection makes the series antisymmetric about its last value, which a symmetric kernel returns.
    assert_allclose(odd, (signal_ + noise)[:, -1], rtol=0, atol=1e-3)
    even_error, odd_error = (np.sqrt(np.mean((end - signal_[:, -1]) ** 2)) for end in (even, odd))
    # The 200 last values scatter by 5 % about 0.1.
    assert odd_error == pytest.approx(0.1, rel=0.2)
    assert even_error < 0.35 * odd_error


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_cut_off_beyond_the_nyquist_frequency_is_refused_with_the_limit(kind: FilterKind) -> None:
    # Steps of 15 min resolve periods longer than half an hour.
    for cutoff_h in (0.25, 0.5):
        with pytest.raises(ThermodaError, match=r"calibration\.low_pass\.cutoff_h is 0\.\d+.* more than 0\.5"):
            LowPass(kind, cutoff_h).apply(np.zeros(10), 900.0)
    assert_allclose(LowPass(kind, 0.51).apply(np.ones(10), 900.0), 1.0, rtol=1e-9)


def test_that_parameters_without_meaning_are_refused() -> None:
    for change in ({"cutoff_h": 0.0}, {"cutoff_h": np.inf}, {"cutoff_h": np.nan}, {"order": 0}):
        with pytest.raises(ValueError, match="must be positive"):
            replace(LowPass(), **change)


@pytest.mark.parametrize("values", [np.array([]), np.array([0.0, np.nan]), np.zeros((2, 2))])
def test_that_a_series_that_cannot_be_filtered_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one-dimensional, finite and not empty"):
        LowPass().apply(values, STEP_S)
