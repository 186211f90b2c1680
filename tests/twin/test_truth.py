from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from da.drivers import Drivers
from da.errors import ThermodaError
from da.msis import Msis, MsisVersion
from da.twin import AnalyticOrbit, TwinTruth, TwinTruthSettings

START = np.datetime64("2010-04-04T00:00:00", "ns")
STORM_ONSET = np.datetime64("2010-04-05T06:00:00", "ns")
MINUTE = np.timedelta64(60 * 10**9, "ns")
QUIET_SETTINGS = TwinTruthSettings().without_disturbances()

Points = tuple[NDArray[np.datetime64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@pytest.fixture(scope="module")
def points() -> Points:
    time = START + np.arange(0, 2880, 7) * MINUTE
    position = AnalyticOrbit(474.0, 89.0, 10.0, 0.0, START).positions(time)
    return time, position.latitude, position.longitude, position.altitude_km


@pytest.fixture(scope="module")
def truth(april_2010: Drivers) -> TwinTruth:
    return TwinTruth(april_2010, seed=1)


def test_that_the_truth_without_its_terms_is_nrlmsise_00(april_2010: Drivers, points: Points) -> None:
    expected = Msis(april_2010, MsisVersion.MSIS00).along_track(*points).density
    np.testing.assert_array_equal(TwinTruth(april_2010, QUIET_SETTINGS).density(*points), expected)


def test_that_the_wrong_sun_shifts_daily_and_81_day_f107(april_2010: Drivers, points: Points) -> None:
    shifted = replace(
        april_2010,
        f107_observed_sfu=april_2010.f107_observed_sfu - 10.0,
        f107_81day_sfu=april_2010.f107_81day_sfu - 10.0,
    )
    expected = Msis(shifted, MsisVersion.MSIS00).along_track(*points).density
    truth = TwinTruth(april_2010, replace(QUIET_SETTINGS, f107_error_sfu=-10.0))
    np.testing.assert_array_equal(truth.density(*points), expected)
    assert np.all(expected < TwinTruth(april_2010, QUIET_SETTINGS).density(*points))


def test_that_the_same_seed_gives_the_same_truth_and_another_seed_another(
    truth: TwinTruth, april_2010: Drivers, points: Points
) -> None:
    first = truth.density(*points)
    np.testing.assert_array_equal(first, TwinTruth(april_2010, seed=1).density(*points))
    other = TwinTruth(april_2010, seed=5).density(*points)
    assert np.std(np.log(other / first)) > 0.05


def test_that_switching_one_term_off_changes_no_draw_of_the_others(april_2010: Drivers, points: Points) -> None:
    everything = TwinTruth(april_2010, seed=9)
    fewer = TwinTruth(april_2010, TwinTruthSettings(tad_amplitude=0.0, f107_variation_sfu=0.0), seed=9)
    np.testing.assert_array_equal(everything.day_to_day.evaluate(*points), fewer.day_to_day.evaluate(*points))
    np.testing.assert_array_equal(everything.true_drivers.kp_thirds, fewer.true_drivers.kp_thirds)


def test_that_the_truth_of_a_point_does_not_depend_on_the_order_of_the_points(truth: TwinTruth, points: Points) -> None:
    order = np.random.default_rng(0).permutation(points[0].size)
    shuffled = truth.density(points[0][order], points[1][order], points[2][order], points[3][order])
    # The climatology comes in single precision (6e-8) and may be evaluated along another path.
    np.testing.assert_allclose(shuffled, truth.density(*points)[order], rtol=1e-6)


def test_that_each_term_alone_adds_up_to_the_whole_departure(april_2010: Drivers, points: Points) -> None:
    everything = TwinTruthSettings()
    alone = [
        replace(QUIET_SETTINGS, lower_height_factor_ln=-0.25, upper_height_factor_ln=-0.15),
        replace(QUIET_SETTINGS, tad_amplitude=everything.tad_amplitude, kp_variation=everything.kp_variation),
        replace(QUIET_SETTINGS, day_to_day_lower_rms=0.08, day_to_day_upper_rms=0.08),
        replace(QUIET_SETTINGS, storm_response=everything.storm_response, kp_variation=everything.kp_variation),
    ]
    parts = [TwinTruth(april_2010, settings, seed=2).departure(*points) for settings in alone]
    assert all(np.abs(part).max() > 0.01 for part in parts)
    whole = TwinTruth(april_2010, everything, seed=2).departure(*points)
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, rtol=0, atol=1e-14)


def test_that_the_height_factor_is_linear_between_its_heights_and_constant_outside(
    april_2010: Drivers,
) -> None:
    settings = replace(
        QUIET_SETTINGS,
        lower_altitude_km=200.0,
        upper_altitude_km=400.0,
        lower_height_factor_ln=-0.2,
        upper_height_factor_ln=0.4,
    )
    factor = TwinTruth(april_2010, settings).height_factor_ln([100.0, 200.0, 250.0, 400.0, 600.0])
    np.testing.assert_allclose(factor, [-0.2, -0.2, -0.05, 0.4, 0.4], rtol=1e-14)


def test_that_travelling_disturbances_grow_exponentially_with_height(april_2010: Drivers, points: Points) -> None:
    # Infinitely fast vertical phase: the same wave at all heights.
    settings = replace(
        QUIET_SETTINGS,
        tad_amplitude=0.2,
        tad_growth_height_km=300.0,
        tad_vertical_phase_speed_m_s=1e12,
        reference_altitude_km=350.0,
    )
    truth = TwinTruth(april_2010, settings, seed=3)
    at_heights = [truth.departure(*points[:3], np.full(points[0].size, height)) for height in (350.0, 650.0, 50.0)]
    assert np.abs(at_heights[0]).max() > 0.02
    np.testing.assert_allclose(at_heights[1], np.e * at_heights[0], rtol=0.0, atol=1e-8)
    np.testing.assert_allclose(at_heights[2], at_heights[0] / np.e, rtol=0.0, atol=1e-8)


def test_that_the_truth_on_a_grid_is_that_at_its_points(truth: TwinTruth) -> None:
    time = np.datetime64("2010-04-05T13:00", "ns")
    latitude, longitude = np.array([-60.0, 0.0, 60.0]), np.array([-90.0, 30.0])
    altitude_km = np.array([150.0, 302.0, 474.0])
    atmosphere, departure = truth.on_grid(time, latitude, longitude, altitude_km)
    alt, lat, lon = (axis.ravel() for axis in np.meshgrid(altitude_km, latitude, longitude, indexing="ij"))
    expected = truth.density(np.repeat(time, alt.size), lat, lon, alt)
    np.testing.assert_allclose((atmosphere.density * np.exp(departure)).ravel(), expected, rtol=1e-6)


def test_that_activity_after_a_time_changes_nothing_but_the_climatology_before_it(
    truth: TwinTruth, april_2010: Drivers, points: Points
) -> None:
    changed = april_2010.kp_thirds.copy()
    first_changed = int((STORM_ONSET - april_2010.day[0].astype("datetime64[ns]")) / (180 * MINUTE))
    changed[first_changed:] = 27
    other = TwinTruth(replace(april_2010, kp_thirds=changed), seed=1)
    before = points[0] <= STORM_ONSET
    difference = truth.departure(*points) - other.departure(*points)
    assert np.all(difference[before] == 0.0)
    assert np.abs(difference[~before]).max() > 0.1


def test_that_the_assimilating_climatology_differs_from_the_truth_by_more_than_a_factor(
    truth: TwinTruth, april_2010: Drivers, points: Points
) -> None:
    ratio = np.log(truth.density(*points) / Msis(april_2010).along_track(*points).density)
    assert -0.5 < ratio.mean() < 0.0
    assert 0.08 < ratio.std() < 0.3


def test_that_inputs_are_left_as_they_are(truth: TwinTruth, points: Points) -> None:
    copies = [values.copy() for values in points]
    truth.density(*points)
    for values, copy in zip(points, copies, strict=True):
        np.testing.assert_array_equal(values, copy)


@pytest.mark.parametrize(
    "changes",
    [
        {"lower_altitude_km": 600.0},
        {"storm_base_altitude_km": 400.0},
        {"tad_growth_height_km": 0.0},
        {"tad_rate_per_day": -1.0},
        {"tad_amplitude": float("nan")},
        {"tad_speed_range_m_s": (800.0, 600.0)},
        {"tad_speed_range_m_s": (0.0, 500.0)},
        {"storm_drag_time_h": 0.0},
        {"storm_overcooling": -0.1},
        {"day_to_day_memory_d": 0.0},
        {"kp_variation": -0.5},
    ],
)
def test_that_settings_without_meaning_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        TwinTruthSettings(**changes)  # type: ignore[arg-type]


def test_that_a_negative_seed_is_refused_at_once(april_2010: Drivers) -> None:
    with pytest.raises(ValueError, match="seed"):
        TwinTruth(april_2010, seed=-1)


def test_that_points_of_different_number_or_not_finite_are_refused(truth: TwinTruth) -> None:
    with pytest.raises(ValueError, match="one length"):
        truth.density([START], [0.0, 1.0], [0.0], [400.0])
    with pytest.raises(ValueError, match="finite"):
        truth.density([START], [0.0], [np.nan], [400.0])


def test_that_times_without_drivers_are_refused(truth: TwinTruth) -> None:
    with pytest.raises(ThermodaError):
        truth.density([np.datetime64("2012-01-01T00:00:00", "ns")], [0.0], [0.0], [400.0])
