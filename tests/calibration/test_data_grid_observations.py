"""Observations of one analysis time: values, errors, distances from the satellite."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from da.calibration import CalibratedMsis, DataGrid, ObservationError, data_grid_batch
from da.calibration.data_grid_observations import satellite_position, spherical_distance
from da.calibration.observation_error import height_factor
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks import DensityTrack

TIME = np.datetime64("2010-04-04T06:00", "ns")
STORM_TIME = np.datetime64("2010-04-05T10:00", "ns")
INFINITE = float("inf")
GRID = DataGrid.regular(longitude_step_deg=60.0, latitude_step_deg=40.0, altitude_step_km=150.0)


def _calibrated(msis: Msis, factor: float = 1.25) -> CalibratedMsis:
    time = TIME + np.array([-48, 48], dtype="timedelta64[h]")
    return CalibratedMsis(msis, "CHAMP", time, np.log([factor, factor]))


def _track(latitude: float = 10.0, longitude: float = 60.0, altitude_km: float = 400.0) -> DensityTrack:
    times = np.array([TIME, STORM_TIME])
    columns = [np.full(2, value) for value in (latitude, longitude, altitude_km, 1e-12)]
    return DensityTrack("CHAMP", times, *columns)


def test_that_values_are_the_factor_times_nrlmsis_at_the_points(msis: Msis) -> None:
    batch = data_grid_batch(_calibrated(msis), GRID, TIME, _track(), ObservationError(4.0, INFINITE, 100.0))
    altitude_km, latitude, longitude = GRID.points()
    model = msis.along_track(np.full(latitude.size, TIME), latitude, longitude, altitude_km)
    np.testing.assert_array_equal(batch.altitude_km, altitude_km)
    np.testing.assert_array_equal(batch.latitude, latitude)
    np.testing.assert_array_equal(batch.longitude, longitude)
    # Single precision inside NRLMSIS, and columns in another order.
    np.testing.assert_allclose(batch.values, 1.25 * model.density, rtol=1e-5)
    np.testing.assert_allclose(batch.unmodelled_mass_ratio, model.unmodelled_mass_ratio, rtol=1e-5)
    assert np.all((batch.unmodelled_mass_ratio > 0.999) & (batch.unmodelled_mass_ratio < 1.1))
    assert (batch.time, batch.operator, "CHAMP" in batch.source) == (TIME, "density", True)


def test_that_the_standard_deviation_comes_from_the_uncalibrated_density(msis: Msis) -> None:
    error = ObservationError(4.0, 1.0, 100.0)
    low, high = (data_grid_batch(_calibrated(msis, s), GRID, TIME, _track(), error) for s in (0.5, 2.0))
    np.testing.assert_array_equal(low.error_standard_deviation, high.error_standard_deviation)
    np.testing.assert_allclose(high.values, 4.0 * low.values, rtol=1e-12)


def test_that_without_dependence_on_distance_only_height_activity_and_p0_matter(msis: Msis) -> None:
    error = ObservationError(4.0, INFINITE, INFINITE)
    for time, kp_weight in ((TIME, 1.0), (STORM_TIME, (40.0 - 3.0 * 23.0 / 3.0) / 26.0)):
        batch = data_grid_batch(_calibrated(msis, 1.0), GRID, time, _track(), error)
        # Kp was 7 2/3 from 9 to 12 UT on 5 April 2010.
        expected = height_factor(batch.altitude_km) * batch.values / kp_weight / 4.0
        np.testing.assert_allclose(batch.error_standard_deviation, expected, rtol=1e-12)


def test_that_trust_is_greatest_where_the_satellite_is_and_halved_a_half_life_away(msis: Msis) -> None:
    grid = DataGrid(np.array([300.0, 400.0, 500.0]), np.array([0.0]), np.array([0.0, 30.0, 180.0]))
    track = _track(latitude=0.0, longitude=30.0, altitude_km=400.0)
    batch = data_grid_batch(_calibrated(msis, 1.0), grid, TIME, track, ObservationError(1.0, np.radians(30.0), 100.0))
    weight = (height_factor(batch.altitude_km) * batch.values / batch.error_standard_deviation).reshape(3, 3)
    # Along the equator geocentric distances are heights and spherical distances are longitudes: 30, 0 and 150 degrees.
    expected = np.outer([0.5, 1.0, 0.5], [0.5, 1.0, 0.5**5])
    np.testing.assert_allclose(weight, expected, rtol=1e-9)


def test_that_vertical_distance_is_geocentric_not_ellipsoidal(msis: Msis) -> None:
    grid = DataGrid(np.array([400.0]), np.array([0.0, 90.0]), np.array([0.0]))
    track = _track(latitude=0.0, longitude=0.0, altitude_km=400.0)
    batch = data_grid_batch(_calibrated(msis, 1.0), grid, TIME, track, ObservationError(1.0, INFINITE, 10.0))
    weight = height_factor(batch.altitude_km) * batch.values / batch.error_standard_deviation
    # The pole is 21.385 km closer to the centre than the equator (WGS84).
    np.testing.assert_allclose(weight, [1.0, 0.5**2.13847], rtol=1e-4)


def test_that_spherical_distances_keep_their_digits_near_zero_and_near_pi() -> None:
    angle = np.array([1e-9, 1e-3, 1.0, np.pi / 2, np.pi - 1e-9, np.pi])
    vectors = 7e6 * np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    np.testing.assert_allclose(spherical_distance(vectors, np.array([[6.8e6, 0.0, 0.0]])), angle, rtol=1e-12)


def test_that_the_position_is_that_of_the_nearest_record(track_of: Callable[..., DensityTrack]) -> None:
    track = track_of(np.zeros_like, hours=1.0)
    asked = track.time[17] + np.timedelta64(29, "s")
    position = satellite_position(track, asked, needs_horizontal=True)
    assert position == (track.latitude[17], track.longitude[17], track.altitude_km[17])


def test_that_an_unknown_position_is_refused_only_where_the_horizontal_distance_matters(msis: Msis) -> None:
    late = TIME + np.timedelta64(6, "m")
    batch = data_grid_batch(_calibrated(msis), GRID, late, _track(), ObservationError(1.0, INFINITE, 100.0))
    assert len(batch) == batch.values.size == np.prod(GRID.shape)
    with pytest.raises(ThermodaError, match="CHAMP: where it was at 2010-04-04T06:06.* is unknown"):
        data_grid_batch(_calibrated(msis), GRID, late, _track(), ObservationError(1.0, 1.0, 100.0))
