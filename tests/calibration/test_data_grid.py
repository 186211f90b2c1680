"""Points of the data grid and their order."""

from __future__ import annotations

import numpy as np
import pytest

from da.calibration import DataGrid


def test_that_the_default_grid_is_the_published_one() -> None:
    grid = DataGrid.regular()
    np.testing.assert_array_equal(grid.longitude, np.arange(0.0, 341.0, 20.0))
    np.testing.assert_array_equal(grid.latitude, np.arange(-80.0, 81.0, 20.0))
    np.testing.assert_array_equal(grid.altitude_km, np.arange(100.0, 551.0, 25.0))
    assert grid.shape == (19, 9, 18)
    assert all(column.size == 3078 for column in grid.points())


def test_that_points_run_through_longitude_first_then_latitude_then_altitude() -> None:
    altitude_km, latitude, longitude = DataGrid.regular().points()
    np.testing.assert_array_equal(longitude[:18], np.arange(0.0, 341.0, 20.0))
    assert (longitude[18], latitude[0], latitude[18]) == (0.0, -80.0, -60.0)
    assert (altitude_km[9 * 18 - 1], altitude_km[9 * 18]) == (100.0, 125.0)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"longitude_step_deg": 10.0, "latitude_step_deg": 10.0}, (19, 17, 36)),
        ({"latitude_limit_deg": 90.0, "latitude_step_deg": 30.0}, (19, 7, 18)),
        ({"latitude_limit_deg": 0.0}, (19, 1, 18)),
        ({"altitude_min_km": 200.0, "altitude_max_km": 200.0}, (1, 9, 18)),
        ({"altitude_step_km": 40.0}, (12, 9, 18)),
        ({"longitude_step_deg": 0.1}, (19, 9, 3600)),
    ],
)
def test_that_steps_and_limits_give_the_expected_axes(settings: dict[str, float], shape: tuple[int, int, int]) -> None:
    grid = DataGrid.regular(**settings)
    assert grid.shape == shape
    assert grid.altitude_km[-1] <= settings.get("altitude_max_km", 550.0)


@pytest.mark.parametrize(
    "axes",
    [
        (np.array([]), np.array([0.0]), np.array([0.0])),
        (np.array([200.0, 100.0]), np.array([0.0]), np.array([0.0])),
        (np.array([np.nan]), np.array([0.0]), np.array([0.0])),
        (np.array([100.0]), np.array([0.0, 95.0]), np.array([0.0])),
        (np.array([100.0]), np.array([0.0]), np.array([0.0, 360.0])),
    ],
)
def test_that_axes_without_meaning_are_refused(axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="data grid"):
        DataGrid(*axes)
