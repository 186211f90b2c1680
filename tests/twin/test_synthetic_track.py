from __future__ import annotations

import numpy as np
import pytest

from da.drivers import Drivers
from da.tracks.track import DensityTrack
from da.twin import AnalyticOrbit, TwinTruth, synthetic_track

START = np.datetime64("2010-04-04T00:00:00", "ns")
STOP = np.datetime64("2010-04-06T00:00:00", "ns")
ORBIT = AnalyticOrbit(302.0, 87.3, 40.0, 0.0, START)


@pytest.fixture(scope="module")
def truth(april_2010: Drivers) -> TwinTruth:
    return TwinTruth(april_2010, seed=7)


def track(truth: TwinTruth, noise_seed: int = 0, **options: float) -> DensityTrack:
    rng = np.random.default_rng(noise_seed)
    return synthetic_track("CHAMP-like", ORBIT, truth, START, STOP, rng=rng, **options)


def test_that_without_noise_a_track_is_the_truth_along_the_orbit(truth: TwinTruth) -> None:
    exact = track(truth, relative_noise=0.0)
    position = ORBIT.positions(exact.time)
    expected = truth.density(exact.time, *position)
    np.testing.assert_array_equal(exact.density, expected)
    np.testing.assert_array_equal(exact.longitude, position.longitude)
    assert exact.sigma is None


def test_that_samples_fill_the_half_open_window_evenly(truth: TwinTruth) -> None:
    times = track(truth).time
    assert times[0] == START
    assert times[-1] == STOP - np.timedelta64(30, "s")
    assert np.all(np.diff(times) == np.timedelta64(30, "s"))
    uneven = track(truth, step_s=50_000.0).time
    assert uneven.size == 4
    assert uneven[-1] < STOP


def test_that_the_noise_is_unbiased_and_has_the_stated_standard_deviation(truth: TwinTruth) -> None:
    noise = 0.2
    noisy, exact = track(truth, relative_noise=noise), track(truth, relative_noise=0.0)
    ratio = noisy.density / exact.density
    # Four standard errors: of the mean, noise / sqrt(n); of the standard deviation of a log-normal variable
    # with kurtosis 3.7 at this noise, noise sqrt((3.7 - 1) / 4 n). Without exp(-s^2 / 2) the mean is 1.02.
    error = 4.0 * noise / np.sqrt(ratio.size)
    assert error < 0.011
    assert ratio.mean() == pytest.approx(1.0, abs=error)
    assert ratio.std() == pytest.approx(noise, abs=error * np.sqrt((3.7 - 1.0) / 4.0))
    # White in time: the correlation of neighbours has the standard error 1 / sqrt(n).
    correlation = np.corrcoef(ratio[1:], ratio[:-1])[0, 1]
    assert abs(correlation) < 4.0 / np.sqrt(ratio.size)


def test_that_sigma_is_the_relative_noise_of_the_measured_density(truth: TwinTruth) -> None:
    noisy = track(truth, relative_noise=0.05)
    assert noisy.sigma is not None
    np.testing.assert_allclose(noisy.sigma, 0.05 * noisy.density, rtol=1e-15)


def test_that_tracks_are_reproducible_and_differ_between_generators(truth: TwinTruth) -> None:
    first, again, other = (track(truth, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.density, again.density)
    assert not np.any(first.density == other.density)


def test_that_the_track_says_that_it_is_synthetic_and_from_which_seed(truth: TwinTruth) -> None:
    made = track(truth)
    assert "synthetic" in made.source
    assert "seed 7" in made.source
    assert made.latitude_kind == "geodetic"
    assert made.satellite == "CHAMP-like"


@pytest.mark.parametrize("options", [{"step_s": 0.0}, {"relative_noise": -0.1}, {"relative_noise": float("nan")}])
def test_that_impossible_options_are_refused(truth: TwinTruth, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        track(truth, **options)


def test_that_an_empty_window_is_refused(truth: TwinTruth) -> None:
    with pytest.raises(ValueError, match="empty"):
        synthetic_track("X", ORBIT, truth, STOP, START, rng=np.random.default_rng(0))
