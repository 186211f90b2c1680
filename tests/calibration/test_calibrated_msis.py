"""From a track to a calibrated NRLMSIS, and its factor in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from da.calibration import CalibratedMsis, FilterKind, LowPass, QualityControl, calibrate
from da.calibration.gaps import ContinuedFactor
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks import DensityTrack

START = np.datetime64("2010-04-04T00:00", "ns")
MINUTE = np.timedelta64(60, "s")


def _orbital(hours: np.ndarray) -> np.ndarray:
    return 0.15 * np.sin(2.0 * np.pi * hours / 1.5)


@pytest.mark.parametrize("kind", list(FilterKind))
def test_that_a_constant_factor_is_found_exactly_and_cures_the_model_along_the_track(
    msis: Msis, track_of: Callable[..., DensityTrack], kind: FilterKind
) -> None:
    track = track_of(lambda hours: np.full(hours.shape, np.log(1.3)), hours=12.0)
    calibrated, report = calibrate(track, msis, LowPass(kind), QualityControl())
    density, atmosphere, _ = ContinuedFactor(calibrated).along_track(track)
    np.testing.assert_allclose(density, track.density, rtol=1e-8)
    np.testing.assert_allclose(density, 1.3 * atmosphere.density, rtol=1e-8)
    assert (report.records, report.outliers, report.filled, report.gaps) == (720, 0, 0, 0)
    np.testing.assert_allclose(report.raw.ln_factor, np.log(1.3), atol=1e-9)
    np.testing.assert_allclose(report.filtered, np.log(1.3), atol=1e-9)


def test_that_the_orbital_signal_vanishes_and_the_daily_one_stays(
    msis: Msis, track_of: Callable[..., DensityTrack]
) -> None:
    def daily(hours: np.ndarray) -> np.ndarray:
        return 0.2 * np.sin(2.0 * np.pi * hours / 24.0)

    track = track_of(lambda hours: daily(hours) + _orbital(hours), hours=72.0)
    low_pass = LowPass()
    calibrated, report = calibrate(track, msis, low_pass, QualityControl())
    hours = np.arange(12.0, 60.0, 0.1)
    found = np.log(calibrated.factor(START + (3.6e12 * hours).astype("timedelta64[ns]")))
    # The orbital wave leaves 0.15 times its amplitude response (0.28 %); averages over one minute are linear between.
    left = 0.15 * low_pass.amplitude(np.array([1.0 / 5400.0]), 60.0)[0]
    np.testing.assert_allclose(found, daily(hours), atol=1.1 * left)
    # The surroundings of the first and the last record are one-sided, so that a steep wave may seem an outlier there.
    assert report.outliers <= 2


def test_that_a_gap_and_outliers_are_reported_and_bridged(msis: Msis, track_of: Callable[..., DensityTrack]) -> None:
    def factor(hours: np.ndarray) -> np.ndarray:
        return 0.1 + 2.0 * np.isin(np.round(60.0 * hours), [100, 900])

    track = track_of(factor, hours=24.0, keep=lambda hours: (hours < 6.0) | (hours >= 8.0))
    calibrated, report = calibrate(track, msis, LowPass(), QualityControl())
    assert (report.records, report.outliers, report.filled, report.gaps) == (22 * 60, 2, 122, 3)
    np.testing.assert_allclose(calibrated.ln_factor, 0.1, atol=1e-7)


def test_that_the_factor_is_linear_in_the_logarithm_between_its_times(msis: Msis) -> None:
    time = START + np.array([0, 60, 120]) * MINUTE
    calibrated = CalibratedMsis(msis, "CHAMP", time, np.array([0.0, 0.2, -0.2]))
    asked = START + np.array([0, 15, 60, 90, 120]) * MINUTE
    np.testing.assert_allclose(calibrated.factor(asked), np.exp([0.0, 0.05, 0.2, 0.0, -0.2]), rtol=1e-14)


def test_that_the_factor_is_held_for_ten_minutes_beyond_its_span_and_refused_after_that(msis: Msis) -> None:
    time = START + np.array([0, 60]) * MINUTE
    calibrated = CalibratedMsis(msis, "CHAMP", time, np.array([0.1, 0.2]))
    held = calibrated.factor(START + np.array([-10, 70]) * MINUTE)
    np.testing.assert_allclose(held, np.exp([0.1, 0.2]), rtol=1e-14)
    for late in (START - 10 * MINUTE - np.timedelta64(1, "s"), START + 71 * MINUTE):
        with pytest.raises(
            ThermodaError, match="CHAMP: .* lies outside .* 2010-04-04T00:00:00.* to 2010-04-04T01:00:00"
        ):
            calibrated.factor(np.array([START, late]))


def test_that_the_causal_calibration_does_not_know_what_comes_later(
    msis: Msis, track_of: Callable[..., DensityTrack]
) -> None:
    whole = track_of(lambda hours: 0.3 * (hours >= 12.0) + _orbital(hours), hours=24.0)
    first_half = whole.between(START, START + 720 * MINUTE)
    asked = START + np.arange(0, 718) * MINUTE
    for kind, knows_later in ((FilterKind.CAUSAL, False), (FilterKind.ZERO_PHASE, True)):
        # Only the filter is asked: the identifier of outliers, centred on each value, looks ahead by half its window.
        control = QualityControl(outlier_threshold=100.0)
        parts = [calibrate(track, msis, LowPass(kind), control)[0].factor(asked) for track in (whole, first_half)]
        assert (np.abs(parts[0] - parts[1]).max() > 1e-3) == knows_later


def test_that_a_track_without_records_is_refused(msis: Msis, track_of: Callable[..., DensityTrack]) -> None:
    empty = track_of(np.zeros_like, hours=2.0).between(START - MINUTE, START)
    with pytest.raises(ThermodaError, match="CHAMP: no density within"):
        calibrate(replace(empty, source="a test"), msis, LowPass(), QualityControl())


@pytest.mark.parametrize("cadence_s", [30.0, 60.0])
@pytest.mark.parametrize("period_h", [2.0, 3.0, 6.0, 24.0])
def test_that_a_sinusoidal_factor_is_found_at_its_time_with_the_amplitude_of_the_filter(
    msis: Msis, track_of: Callable[..., DensityTrack], period_h: float, cadence_s: float
) -> None:
    def factor(hours: np.ndarray) -> np.ndarray:
        return 0.2 * np.sin(2.0 * np.pi * hours / period_h)

    track = track_of(factor, hours=96.0, step_s=cadence_s)
    low_pass = LowPass()
    calibrated, _ = calibrate(track, msis, low_pass, QualityControl(outlier_threshold=100.0))
    hours = np.arange(24.0, 72.0, 0.05)
    found = np.log(calibrated.factor(START + (3.6e12 * hours).astype("timedelta64[ns]")))
    amplitude = low_pass.amplitude(np.array([1.0 / (3600.0 * period_h)]), 60.0)[0]
    # Averages over, and lines between, steps of 60 s are wrong in the second order of (pi 60 s / period). A shift in
    # time by half a step would be wrong in the first, by 38 times as much at a period of 2 h.
    second_order = 0.5 * 0.2 * (np.pi * 60.0 / (3600.0 * period_h)) ** 2
    np.testing.assert_allclose(found, amplitude * factor(hours), rtol=0, atol=second_order + 1e-8)
    if period_h == 3.0:
        assert amplitude == pytest.approx(np.sqrt(0.5), rel=1e-12)
