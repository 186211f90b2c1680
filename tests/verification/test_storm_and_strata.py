"""Storm phases, peak errors, and groups of points."""

from __future__ import annotations

import numpy as np
import pytest

from da.verification.orbits import OrbitMeans
from da.verification.sampling import Points
from da.verification.statistics import PairStatistics
from da.verification.storm import (
    PHASES,
    StormPhase,
    epoch_of_dst,
    epoch_of_kp,
    peak_errors,
    phase_masks,
    pre_storm_ratio,
)
from da.verification.strata import (
    add_groups,
    altitude_edges,
    by_edges,
    by_group,
    groupings,
    local_time_h,
    solar_zenith_deg,
)
from model_adapters.column_physics.geomagnetic import solar_zenith_angle

EPOCH = np.datetime64("2010-04-05T10:00", "ns")
MINUTE = np.timedelta64(1, "m")


def hourly(start_h: float, stop_h: float, step_h: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    hours = np.arange(start_h, stop_h, step_h)
    return EPOCH + (hours * 60.0).astype(np.int64) * MINUTE, hours


def orbit_means(hours: np.ndarray, observed: np.ndarray, modelled: np.ndarray) -> OrbitMeans:
    time = EPOCH + np.round(hours * 60.0).astype(np.int64) * MINUTE
    return OrbitMeans(np.arange(hours.size), np.full(hours.size, 180), time, observed, modelled)


def test_that_the_epoch_is_the_middle_of_the_first_series_of_the_largest_kp() -> None:
    time, hours = hourly(-24.0, 24.0, 0.5)
    kp = np.select([(hours >= -3) & (hours < 0), (hours >= 6) & (hours < 9)], [7.0, 7.0], 2.0)
    found = epoch_of_kp(time, kp)
    assert found is not None
    assert abs(found - (EPOCH - 90 * MINUTE)) <= 15 * MINUTE
    kp[::7] = np.nan
    assert epoch_of_kp(time, kp) is not None
    assert epoch_of_kp(time, np.full(time.size, 4.9)) is None
    assert epoch_of_kp(time[:0], kp[:0]) is None


def test_that_the_epoch_of_dst_is_its_minimum_in_a_storm() -> None:
    time, hours = hourly(-24.0, 24.0, 1.0)
    dst = -80.0 * np.exp(-0.1 * np.abs(hours - 3.0))
    dst[0] = np.nan
    assert epoch_of_dst(time, dst) == EPOCH + 180 * MINUTE
    assert epoch_of_dst(time, 0.5 * dst) is None


def test_that_phases_are_half_open_and_do_not_overlap() -> None:
    time, hours = hourly(-40.0, 60.0)
    masks = phase_masks(time, EPOCH)
    assert np.sum([*masks.values()], axis=0).max() == 1
    for phase, (start, stop) in PHASES.items():
        np.testing.assert_array_equal(masks[phase], (hours >= start) & (hours < stop))


def test_that_debiasing_gives_the_observed_mean_before_the_storm() -> None:
    time, _ = hourly(-40.0, 10.0)
    rng = np.random.default_rng(0)
    observed, modelled = 1e-12 * (1.0 + rng.random((2, time.size)))
    observed[:50:9] = np.nan
    ratio = pre_storm_ratio(time, EPOCH, observed, modelled)
    before = phase_masks(time, EPOCH)[StormPhase.PRE_STORM] & np.isfinite(observed)
    assert np.mean(ratio * modelled[before]) == pytest.approx(observed[before].mean(), rel=1e-13)
    assert np.isnan(pre_storm_ratio(time, EPOCH + 1000 * 60 * MINUTE, observed, modelled))


def test_that_a_late_and_weak_peak_has_the_errors_it_was_made_with() -> None:
    hours = np.arange(-30.0, 30.0, 1.5)
    observed = 1.0 + np.exp(-(((hours - 3.0) / 6.0) ** 2))
    late = 2.0 * (1.0 + 0.6 * np.exp(-(((hours - 6.0) / 6.0) ** 2)))
    found = peak_errors(orbit_means(hours, observed, late), EPOCH)
    assert found.time_h == 3.0
    # The gaussians reach exp(-(15/6)^2) = 0.2 % of their height 12 h before the epoch.
    assert found.amplitude_percent == pytest.approx(-40.0, abs=0.5)
    assert found.density_percent == pytest.approx(100.0 * (2.0 * 1.6 / 2.0 - 1.0), abs=1e-9)
    itself = peak_errors(orbit_means(hours, observed, observed), EPOCH)
    assert (itself.amplitude_percent, itself.density_percent, itself.time_h) == (0.0, 0.0, 0.0)


def test_that_peaks_are_undefined_without_storm_orbits_or_rise() -> None:
    hours = np.arange(-30.0, 30.0, 1.5)
    flat = np.ones(hours.size)
    assert np.isnan(peak_errors(orbit_means(hours, flat, flat), None).time_h)
    assert np.isnan(peak_errors(orbit_means(hours - 100.0, flat, flat), EPOCH).time_h)
    assert np.isnan(peak_errors(orbit_means(hours, flat, flat), EPOCH).amplitude_percent)
    late = hours > -12.0
    no_quiet = peak_errors(orbit_means(hours[late], flat[late], flat[late]), EPOCH)
    assert np.isnan(no_quiet.amplitude_percent)
    assert no_quiet.density_percent == 0.0


def test_that_edges_are_half_open_but_for_the_last() -> None:
    grouping = by_edges("Kp", np.array([0.0, 2.0, 8.99, 9.0, 9.5, -1.0, np.nan]), (0.0, 2.0, 9.0))
    assert grouping.group.tolist() == [0, 1, 1, 1, -1, -1, -1]
    assert grouping.labels == ("0 to 2", "2 to 9")
    with pytest.raises(ValueError, match="must increase"):
        by_edges("Kp", np.zeros(1), (1.0, 1.0))


def test_that_local_time_is_universal_time_plus_longitude() -> None:
    time = np.array(["2010-04-05T06:00", "2010-04-05T06:00", "2010-04-05T23:00"], dtype="datetime64[ns]")
    np.testing.assert_allclose(local_time_h(time, np.array([0.0, -105.0, 45.0])), [6.0, 23.0, 2.0])


def test_that_the_solar_zenith_angle_agrees_with_the_models_and_with_the_solstice() -> None:
    rng = np.random.default_rng(1)
    for day in ("2002-11-21T03:17", "2010-04-05T15:00", "2024-10-10T22:41"):
        time = np.datetime64(day, "ns")
        latitude, longitude = rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50)
        ours = solar_zenith_deg(np.full(50, time), latitude, longitude)
        # Two low-precision formulas for the position of the Sun.
        np.testing.assert_allclose(ours, solar_zenith_angle(latitude, longitude, time), atol=0.05)
    noon = np.array(["2010-06-21T12:02"], dtype="datetime64[ns]")
    assert solar_zenith_deg(noon, np.array([23.44]), np.array([0.0]))[0] < 0.3


def test_that_every_point_belongs_to_one_group_of_each_kind() -> None:
    rng = np.random.default_rng(2)
    n = 400
    time = EPOCH + np.sort(rng.integers(-36 * 60, 48 * 60, n)) * MINUTE
    points = Points(time, rng.uniform(-90, 90, n), rng.uniform(-180, 180, n), rng.uniform(290, 340, n))
    found = groupings(points, rng.uniform(0.0, 9.0, n), EPOCH)
    assert [one.name for one in found] == ["storm phase", "Kp", "local time", "sunlight", "latitude", "altitude"]
    for one in found:
        assert np.all(one.group >= 0)
        assert sum(int(mask.sum()) for _, mask in one.masks()) == n
    assert altitude_edges(np.array([290.0, 340.0])) == (275.0, 300.0, 325.0, 350.0)
    assert "storm phase" not in {one.name for one in groupings(points, np.zeros(n), None)}


def test_that_statistics_of_groups_add_over_chunks_to_those_of_all() -> None:
    rng = np.random.default_rng(3)
    observed, modelled = np.exp(0.2 * rng.standard_normal((2, 300)))
    grouping = by_edges("Kp", rng.uniform(0, 9, 300), (0.0, 3.0, 6.0, 9.0))

    def of(mask: np.ndarray) -> PairStatistics:
        return PairStatistics.of(observed[mask], modelled[mask])

    whole = by_group(grouping, of)
    half = np.arange(300) < 120
    parts = [by_group(grouping, lambda mask, part=part: of(mask & part)) for part in (half, ~half)]
    both = add_groups(*parts)
    assert sum(one.n for one in both.values()) == 300
    for label, statistic in whole.items():
        assert both[label].n == statistic.n
        assert both[label].value().rmse == pytest.approx(statistic.value().rmse, rel=1e-12)
