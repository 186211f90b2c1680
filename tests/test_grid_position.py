"""Fractional indices of observations and the places of such indices: each the inverse of the other, poles included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from da.grid_position import VerticalCoordinate, observation_index_position, place_of_index
from da.model import StateField, StateGrid, StateLayout
from da.operators import horizontal_stencil

LEVELS, ROWS, COLUMNS = 7, 6, 8


def _layout(rows: int = ROWS, columns: int = COLUMNS, at_poles: bool = False) -> StateLayout:
    latitude = np.linspace(-90.0, 90.0, rows) if at_poles else -90.0 + (np.arange(rows) + 0.5) * 180.0 / rows
    grid = StateGrid(np.arange(LEVELS) * 0.5 - 6.75, latitude, np.arange(columns) * 360.0 / columns - 180.0)
    return StateLayout((StateField("x", "1"),), grid)


def _height(layout: StateLayout, seed: int = 0) -> np.ndarray:
    """Return heights [m] that rise in uneven steps, different in every column."""
    steps = np.random.default_rng(seed).uniform(5e3, 40e3, layout.grid.shape)
    return np.asarray(1e5 + np.cumsum(steps, axis=0))


def _indices(count: int, seed: int) -> np.ndarray:
    """Return indices of all places of the globe, from a level below the lowest to one above the highest."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.uniform(-1.0, LEVELS, count), rng.uniform(-0.5, ROWS - 0.5, count), rng.uniform(0.0, COLUMNS, count)]
    )


def test_that_the_index_of_the_place_of_an_index_is_that_index() -> None:
    layout = _layout()
    height, index = _height(layout), _indices(300, 1)
    place = place_of_index(layout, height, index, VerticalCoordinate.KM)
    again = observation_index_position(layout, height, place[:, 1], place[:, 2], place[:, 0])
    # Heights of up to 400 km, rounded to 1e-16 of it, over the thinnest layer of 5 km.
    assert_allclose(again, index, atol=1e-11, rtol=0.0)


def test_that_the_place_of_the_index_of_a_place_is_that_place() -> None:
    layout, rng = _layout(), np.random.default_rng(2)
    height = _height(layout)
    latitude, longitude = rng.uniform(-90.0, 90.0, 300), rng.uniform(-180.0, 179.99, 300)
    altitude_km = rng.uniform(60.0, 500.0, 300)
    index = observation_index_position(layout, height, latitude, longitude, altitude_km)
    place = place_of_index(layout, height, index, VerticalCoordinate.KM)
    assert_allclose(place, np.column_stack([altitude_km, latitude, longitude]), atol=1e-10, rtol=0.0)


def test_that_levels_are_bracketed_by_the_heights_around_a_point() -> None:
    layout = _layout()
    height, index = _height(layout), _indices(200, 3)
    index[:, 0] = np.floor(index[:, 0])
    place = place_of_index(layout, height, index, VerticalCoordinate.KM)
    inside = (index[:, 0] >= 0) & (index[:, 0] < LEVELS)
    stencil = horizontal_stencil(layout.grid.latitude, layout.grid.longitude, place[:, 1], place[:, 2])
    columns = height.reshape(LEVELS, -1)
    for level, where, weight, column in zip(
        index[inside, 0].astype(int), place[inside], stencil.weight[inside], stencil.column[inside], strict=True
    ):
        assert_allclose(where[0], 1e-3 * weight @ columns[level, column], rtol=1e-13)


def test_that_scale_heights_are_the_levels_of_the_grid_continued_beyond_its_ends() -> None:
    layout = _layout()
    index = _indices(200, 4)
    place = place_of_index(layout, _height(layout), index, VerticalCoordinate.SCALE_HEIGHTS)
    assert_allclose(place[:, 0], -6.75 + 0.5 * index[:, 0], atol=1e-13)
    assert_allclose(place[:, 1], -75.0 + 30.0 * index[:, 1], atol=1e-12)
    assert_allclose(place[:, 2], -180.0 + 45.0 * index[:, 2], atol=1e-12)


@pytest.mark.parametrize("at_poles", [True, False])
def test_that_the_poles_have_a_place_on_grids_of_any_step(at_poles: bool) -> None:
    # Steps such as 180/7 degrees are rounded: the pole found back from its index must not lie beyond the pole.
    for rows in range(2, 60):
        layout = _layout(rows, 4, at_poles)
        height = _height(layout, rows)
        latitude, altitude_km = np.array([-90.0, 90.0]), np.array([120.0, 150.0])
        index = observation_index_position(layout, height, latitude, np.zeros(2), altitude_km)
        place = place_of_index(layout, height, index, VerticalCoordinate.KM)
        assert_allclose(place[:, 1], latitude, atol=1e-12, rtol=0.0)
        assert_allclose(place[:, 0], altitude_km, rtol=1e-11)


def test_that_longitudes_a_turn_apart_have_one_index_within_the_circle() -> None:
    layout = _layout()
    height, longitude = _height(layout), np.array([-180.0, 180.0, 540.0, 179.0, -181.0])
    index = observation_index_position(layout, height, np.zeros(5), longitude, np.full(5, 200.0))
    assert_allclose(index[:, 2], [0.0, 0.0, 0.0, 359.0 / 45.0, 359.0 / 45.0], atol=1e-12)
    assert_allclose(index[0], index[1], rtol=0.0, atol=0.0)


def test_that_on_a_ring_only_longitude_has_an_index() -> None:
    grid = StateGrid(np.zeros(1), np.zeros(1), np.arange(5) * 72.0)
    layout = StateLayout((StateField("x", "1"),), grid)
    longitude = np.array([0.0, 90.0, 359.0])
    index = observation_index_position(layout, np.zeros(grid.shape), np.zeros(3), longitude, np.array([0.0, 9.0, -9.0]))
    assert_allclose(index, np.column_stack([np.zeros(3), np.zeros(3), longitude / 72.0]), atol=1e-14)
