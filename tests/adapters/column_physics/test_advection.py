from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.constants import EARTH_RADIUS
from da.model import StateGrid
from model_adapters.column_physics.advection import BOTTOM_ZP, FADING_SCALE_HEIGHTS, advection_per_wind
from model_adapters.tiegcm_grid import thermosphere_layout


def grid(resolution_deg: float = 5.0) -> StateGrid:
    return thermosphere_layout(resolution_deg).grid


def fading(on: StateGrid) -> np.ndarray:
    return np.exp(-(on.level - BOTTOM_ZP) / FADING_SCALE_HEIGHTS)[:, None, None] / EARTH_RADIUS


def wave(on: StateGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a field (levels, latitudes, longitudes, 1), and its exact tendencies by both winds."""
    latitude, longitude = np.radians(on.latitude)[None, :, None], np.radians(on.longitude)[None, None, :]
    height = 1.0 + 0.1 * np.arange(on.level.size)[:, None, None]
    field = height * (np.sin(latitude) + np.cos(latitude) * np.cos(longitude))
    zonal = fading(on) * height * np.cos(latitude) * np.sin(longitude)
    slope = np.cos(latitude) - np.sin(latitude) * np.cos(longitude)
    return field[..., None], zonal, -fading(on) * height * np.cos(latitude) * slope


def test_that_a_meridional_wind_carries_the_sine_of_latitude() -> None:
    # -v cos(lat) d(sin(lat))/dlat / r = -v cos^2(lat) / r; between neighbours the slope is less by sin(h) / h.
    on = grid()
    field = np.broadcast_to(np.sin(np.radians(on.latitude))[:, None, None], (*on.shape, 1))
    zonal, meridional = np.moveaxis(advection_per_wind(field, on), -1, 0)
    step = np.radians(5.0)
    expected = -fading(on) * np.cos(np.radians(on.latitude))[:, None] ** 2 * np.sin(step) / step
    assert_allclose(meridional[:, 1:-1], np.broadcast_to(expected, on.shape)[:, 1:-1], rtol=1e-10)
    assert_array_equal(zonal, 0.0)


def test_that_a_zonal_wind_carries_the_cosine_of_longitude() -> None:
    on = grid()
    field = np.broadcast_to(np.cos(np.radians(on.longitude))[:, None], (*on.shape, 1))
    zonal, meridional = np.moveaxis(advection_per_wind(field, on), -1, 0)
    step = np.radians(5.0)
    expected = fading(on) * np.sin(np.radians(on.longitude)) * np.sin(step) / step
    assert_allclose(zonal, np.broadcast_to(expected, on.shape), atol=1e-12 / EARTH_RADIUS)
    assert_allclose(meridional, 0.0, atol=1e-14 / EARTH_RADIUS)


def largest_error(resolution_deg: float) -> float:
    on = grid(resolution_deg)
    field, *exact = wave(on)
    found = advection_per_wind(field, on)
    return max(float(np.abs(found[..., k] - exact[k]).max()) for k in range(2)) * EARTH_RADIUS


def test_that_errors_fall_with_the_square_of_the_grid_step_up_to_the_poles() -> None:
    errors = np.array([largest_error(resolution) for resolution in (10.0, 5.0, 2.5)])
    assert errors[0] < 0.05
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 1.8)


def test_that_a_uniform_field_is_not_advected() -> None:
    on = grid(10.0)
    found = advection_per_wind(np.full((*on.shape, 1), 700.0), on)
    assert_allclose(found, 0.0, atol=700.0 * 1e-14 / EARTH_RADIUS)


@pytest.mark.parametrize("cells", [1, 13])
def test_that_no_longitude_is_special(cells: int) -> None:
    on = grid(10.0)
    field = wave(on)[0] ** 2
    turned = advection_per_wind(np.roll(field, cells, axis=2), on)
    assert_array_equal(turned, np.roll(advection_per_wind(field, on), cells, axis=2))


def test_that_a_mirrored_field_is_carried_by_the_mirrored_wind() -> None:
    on = grid(10.0)
    field = wave(on)[0] ** 2
    zonal, meridional = np.moveaxis(advection_per_wind(field, on), -1, 0)
    other_zonal, other_meridional = np.moveaxis(advection_per_wind(field[:, ::-1], on), -1, 0)
    scale = 1e-14 * np.abs(field).max() / EARTH_RADIUS
    assert_allclose(other_zonal[:, ::-1], zonal, rtol=0, atol=10.0 * scale)
    assert_allclose(other_meridional[:, ::-1], -meridional, rtol=0, atol=100.0 * scale)
