"""Distances against independent formulas, and what a search by embedding relies on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from da.constants import EARTH_RADIUS
from da.localization import GreatCircleMetric, IndexMetric, Metric, vertical_scale

RADIUS_KM = EARTH_RADIUS / 1e3
DEGREE_KM = RADIUS_KM * np.pi / 180.0
# Coordinates on the sphere carry some 10 roundings of 1e-16 of its radius.
ROUNDING_KM = 2e-11

METRICS = {
    "cells": IndexMetric(None),
    "cells around the globe": IndexMetric(360.0, 2.5),
    "cells without levels": IndexMetric(360.0, 0.0),
    "sphere": GreatCircleMetric(55.0),
    "sphere without height": GreatCircleMetric(0.0),
}


def _vincenty_arc(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return arcs [km] by Vincenty's formula for the sphere, in latitudes and the difference of longitudes."""
    (_, north, east), (_, other_north, other_east) = np.deg2rad(first).T, np.deg2rad(second).T
    apart = other_east - east
    across = np.cos(other_north) * np.sin(apart)
    along = np.cos(north) * np.sin(other_north) - np.sin(north) * np.cos(other_north) * np.cos(apart)
    ahead = np.sin(north) * np.sin(other_north) + np.cos(north) * np.cos(other_north) * np.cos(apart)
    return RADIUS_KM * np.arctan2(np.hypot(across, along), ahead)


def _places(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform([0.0, -90.0, -180.0], [10.0, 90.0, 360.0], (count, 3))


def test_that_index_distances_are_l2_norms() -> None:
    rng = np.random.default_rng(4)
    centre, position = rng.uniform(0.0, 9.0, (2, 40, 3))
    expected = np.linalg.norm(centre - position, axis=1)
    np.testing.assert_allclose(IndexMetric(None).distance(centre, position), expected, rtol=1e-14)
    scaled = np.linalg.norm((centre - position) * [3.5, 1.0, 1.0], axis=1)
    np.testing.assert_allclose(IndexMetric(None, 3.5).distance(centre, position), scaled, rtol=1e-14)


def test_that_index_distances_close_around_the_globe() -> None:
    centre = np.array([0.0, 0.0, 0.5])
    position = np.array([[0.0, 0.0, 71.5], [0.0, 0.0, 36.5], [0.0, 0.0, 40.5], [0.0, 0.0, -72.0], [0.0, 0.0, 145.5]])
    np.testing.assert_allclose(IndexMetric(72.0).distance(centre, position), [1.0, 36.0, 32.0, 0.5, 1.0])


def test_that_poles_are_edges_in_index_units() -> None:
    across = IndexMetric(72.0).distance(np.array([0.0, 35.0, 0.0]), np.array([0.0, 35.0, 36.0]))
    assert across == 36.0


def test_that_a_longitude_just_below_zero_stays_in_the_box() -> None:
    metric = IndexMetric(72.0)
    embedded = metric.embed(np.array([[0.0, 0.0, -1e-17], [0.0, 0.0, 72.0], [0.0, 0.0, np.nextafter(72.0, 0.0)]]))
    assert (embedded[:, 2] >= 0.0).all()
    assert (embedded[:, 2] < 72.0).all()
    assert cKDTree(embedded, boxsize=metric.box).n == 3


def test_that_great_circles_equal_an_independent_formula() -> None:
    first, second = _places(5, 500), _places(6, 500)
    second[:, 0] = first[:, 0]
    distance = GreatCircleMetric(55.0).distance(first, second)
    np.testing.assert_allclose(distance, _vincenty_arc(first, second), rtol=0.0, atol=ROUNDING_KM)


@pytest.mark.parametrize("apart_km", [1e-6, 1e-3, 1.0, 0.5 * np.pi * RADIUS_KM, np.pi * RADIUS_KM - 1e-3])
def test_that_great_circles_are_exact_when_short_and_when_nearly_antipodal(apart_km: float) -> None:
    north = np.array([0.0, 0.0, 20.0]), np.array([0.0, np.rad2deg(apart_km / RADIUS_KM), 20.0])
    assert GreatCircleMetric(1.0).distance(*north) == pytest.approx(apart_km, abs=ROUNDING_KM)


def test_that_great_circles_cross_the_pole_and_the_date_line() -> None:
    metric = GreatCircleMetric(1.0)
    over_the_pole = metric.distance(np.array([0.0, 85.0, 0.0]), np.array([0.0, 85.0, 180.0]))
    assert over_the_pole == pytest.approx(10.0 * DEGREE_KM, abs=ROUNDING_KM)
    over_the_date_line = metric.distance(np.array([0.0, 0.0, 179.0]), np.array([0.0, 0.0, -179.0]))
    assert over_the_date_line == pytest.approx(2.0 * DEGREE_KM, abs=ROUNDING_KM)
    # At the pole longitude means nothing.
    assert metric.distance(np.array([0.0, -90.0, 12.0]), np.array([0.0, -90.0, 250.0])) < ROUNDING_KM


def test_that_antipodes_are_half_a_turn_apart() -> None:
    places = _places(7, 100)
    antipodes = places * [1.0, -1.0, 1.0] + [0.0, 0.0, 180.0]
    distance = GreatCircleMetric(1.0).distance(places, antipodes)
    np.testing.assert_allclose(distance, np.pi * RADIUS_KM, rtol=0.0, atol=ROUNDING_KM)


def test_that_vertical_differences_add_in_squares() -> None:
    metric = GreatCircleMetric(30.0, radius_km=6000.0)
    arc = 6000.0 * np.pi / 180.0
    distance = metric.distance(np.array([1.0, 0.0, 0.0]), np.array([[1.0, 1.0, 0.0], [5.0, 0.0, 0.0], [5.0, 1.0, 0.0]]))
    np.testing.assert_allclose(distance, [arc, 120.0, np.sqrt(arc**2 + 120.0**2)], rtol=1e-13)


def test_that_the_great_circle_does_not_change_with_longitude_zero() -> None:
    first, second = _places(8, 200), _places(9, 200)
    metric = GreatCircleMetric(55.0)
    turned = metric.distance(first + [0.0, 0.0, 77.7], second + [0.0, 0.0, 77.7])
    # Angles of up to 440 degrees carry 6e-14 degrees: 6e-12 km.
    np.testing.assert_allclose(turned, metric.distance(first, second), rtol=0.0, atol=2.0 * ROUNDING_KM)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_that_distances_broadcast_and_are_symmetric(metric: Metric) -> None:
    first, second = _places(10, 20), _places(11, 30)
    table = metric.distance(first[:, None], second[None])
    assert table.shape == (20, 30)
    np.testing.assert_array_equal(table, metric.distance(second[:, None], first[None]).T)
    assert table[3, 4] == metric.distance(first[3], second[4])


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@given(seed=st.integers(0, 2**32 - 1), farther=st.floats(0.0, 1.0))
def test_that_nothing_within_the_cut_off_is_out_of_reach(metric: Metric, seed: int, farther: float) -> None:
    places = _places(seed, 2)
    cutoff = float(metric.distance(places[0], places[1])) * (1.0 + farther)
    embedded = metric.embed(places)
    found = cKDTree(embedded[:1], boxsize=metric.box).count_neighbors(
        cKDTree(embedded[1:], boxsize=metric.box), metric.reach(cutoff)
    )
    assert found == 1


def test_that_inputs_stay_as_they_are() -> None:
    places = _places(12, 5)
    before = places.copy()
    for metric in METRICS.values():
        metric.distance(places, places[::-1])
    np.testing.assert_array_equal(places, before)


def test_that_a_vertical_cut_off_of_its_own_becomes_a_scale() -> None:
    assert vertical_scale(7.0, 2.0) == 3.5
    assert vertical_scale(7.0, np.inf) == 0.0
    assert vertical_scale(np.inf, 2.0) == 1.0
    for radii in ((0.0, 1.0), (1.0, 0.0), (1.0, -2.0), (np.nan, 1.0), (1.0, np.nan)):
        with pytest.raises(ValueError, match="radius must be positive"):
            vertical_scale(*radii)


@pytest.mark.parametrize("scale", [-1.0, np.inf, np.nan])
def test_that_a_vertical_scale_must_be_a_finite_number(scale: float) -> None:
    with pytest.raises(ValueError, match="vertical differences"):
        IndexMetric(72.0, scale)
    with pytest.raises(ValueError, match="vertical differences"):
        GreatCircleMetric(scale)


@pytest.mark.parametrize("size", [0.0, -72.0, np.inf, np.nan])
def test_that_periods_and_radii_must_be_positive(size: float) -> None:
    with pytest.raises(ValueError, match="period"):
        IndexMetric(size)
    with pytest.raises(ValueError, match="radius of the sphere"):
        GreatCircleMetric(1.0, size)
