"""Step one with real densities: CHAMP calibrates, GRACE judges, 21 to 30 November 2002."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from da.calibration import (
    Agreement,
    CalibratedMsis,
    CalibrationReport,
    FilterKind,
    LowPass,
    QualityControl,
    agreement,
    calibrate,
    scale_factors,
)
from da.calibration.gaps import ContinuedFactor
from da.calibration.quality_control import hampel_outliers
from da.drivers import load_drivers
from da.msis import Msis
from da.tracks import DensityTrack, read_tracks

TOLERANCE = 0.01
"""Of mean and standard deviation of ln(measured / model): the expected figures are printed with two digits."""


@pytest.fixture(scope="module")
def champ(data_folder: Path) -> DensityTrack:
    return read_tracks([data_folder / "density" / "champ_sutton_20021121_20021130.txt"], "CHAMP")


@pytest.fixture(scope="module")
def grace(data_folder: Path) -> DensityTrack:
    return read_tracks([data_folder / "density" / "grace_sutton_20021121_20021130.txt"], "GRACE-A")


@pytest.fixture(scope="module")
def msis(champ: DensityTrack) -> Msis:
    return Msis(load_drivers(champ.time[0], champ.time[-1]))


@pytest.fixture(scope="module")
def zero_phase(champ: DensityTrack, msis: Msis) -> tuple[CalibratedMsis, CalibrationReport]:
    return calibrate(champ, msis, LowPass(FilterKind.ZERO_PHASE), QualityControl())


def _moments(track: DensityTrack, calibrated: CalibratedMsis) -> tuple[float, float]:
    """Mean and standard deviation of ln(measured / calibrated) where the factor is known."""
    inside = track.between(calibrated.time[0], calibrated.time[-1])
    ratio = np.log(inside.density / ContinuedFactor(calibrated).along_track(inside)[0])
    return float(ratio.mean()), float(ratio.std())


@pytest.mark.parametrize(("name", "mean", "deviation"), [("champ", 0.06, 0.14), ("grace", -0.04, 0.17)])
def test_that_uncalibrated_nrlmsis_departs_by_the_known_amount(
    request: pytest.FixtureRequest, msis: Msis, name: str, mean: float, deviation: float
) -> None:
    ln_factor = scale_factors(request.getfixturevalue(name), msis).ln_factor
    assert ln_factor.mean() == pytest.approx(mean, abs=TOLERANCE)
    assert ln_factor.std() == pytest.approx(deviation, abs=TOLERANCE)


def test_that_calibration_cures_champ_and_narrows_but_shifts_grace(
    champ: DensityTrack, grace: DensityTrack, zero_phase: tuple[CalibratedMsis, CalibrationReport]
) -> None:
    calibrated, _ = zero_phase
    assert _moments(champ, calibrated) == pytest.approx((0.00, 0.11), abs=TOLERANCE)
    assert _moments(grace, calibrated) == pytest.approx((-0.11, 0.14), abs=TOLERANCE)


def test_that_the_causal_form_is_a_little_worse_along_champ(
    champ: DensityTrack, msis: Msis, zero_phase: tuple[CalibratedMsis, CalibrationReport]
) -> None:
    causal, _ = calibrate(champ, msis, LowPass(FilterKind.CAUSAL), QualityControl())
    best, real_time = _moments(champ, zero_phase[0])[1], _moments(champ, causal)[1]
    assert best < real_time < best + 0.02


def test_that_few_records_are_outliers_and_the_filter_halves_the_variability(
    champ: DensityTrack, zero_phase: tuple[CalibratedMsis, CalibrationReport]
) -> None:
    _, report = zero_phase
    assert report.records == len(champ)
    assert 0 < report.outliers < 0.01 * report.records
    assert report.filled < 0.03 * report.series.values.size
    assert report.filtered.mean() == pytest.approx(report.raw.ln_factor.mean(), abs=0.005)
    assert report.filtered.std() < 0.7 * report.raw.ln_factor.std()


@pytest.mark.parametrize("factor", [5.0, 0.2])
@pytest.mark.parametrize("burst", [1, 3])
def test_that_spikes_in_real_densities_are_found(champ: DensityTrack, msis: Msis, factor: float, burst: int) -> None:
    raw = scale_factors(champ, msis)
    seconds = (raw.time - raw.time[0]) / np.timedelta64(1, "s")
    control = QualityControl()
    window_s, limits = 3600.0 * control.outlier_window_h, (control.outlier_threshold, control.outlier_floor)
    own = hampel_outliers(seconds, raw.ln_factor, window_s, *limits)
    spiked = np.zeros(seconds.size, dtype=bool)
    for first in range(100, seconds.size - burst, 150):
        spiked[first : first + burst] = True
    found = hampel_outliers(seconds, raw.ln_factor + np.log(factor) * spiked, window_s, *limits)
    # Each spike is compared with a true value that may be off by 0.5 in ln s itself, of the 1.6 that it is moved.
    assert np.count_nonzero(found & spiked) >= 0.995 * np.count_nonzero(spiked)
    assert np.count_nonzero(own) < 0.006 * own.size
    assert np.count_nonzero(found & ~spiked & ~own) < 0.001 * own.size


def test_that_champ_and_grace_agree_within_ten_per_cent_and_their_difference_is_known(
    champ: DensityTrack, grace: DensityTrack, msis: Msis
) -> None:
    found = agreement(scale_factors(champ, msis), scale_factors(grace, msis))
    assert isinstance(found, Agreement)
    # 0.06 and -0.04 are their means.
    assert found.difference == pytest.approx(0.10, abs=0.03)
    assert 0.002 < found.error < 0.03
    assert found.intervals > 150
    assert not found.beyond(0.1, 3.0)
    assert found.beyond(0.0, 3.0)
