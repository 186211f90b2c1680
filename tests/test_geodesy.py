from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from da.constants import EARTH_EQUATORIAL_RADIUS, EARTH_FLATTENING
from da.geodesy import cartesian_from_geodetic, geocentric_position, geodetic_from_cartesian, geodetic_latitude

POLAR_RADIUS = EARTH_EQUATORIAL_RADIUS * (1.0 - EARTH_FLATTENING)

# Coordinates of 7e6 m carry a rounding error of 1e-9 m each; a few operations add up to less than 1e-8 m.
ROUNDING_M = 1e-8
ROUNDING_DEG = np.degrees(ROUNDING_M / EARTH_EQUATORIAL_RADIUS)


@pytest.mark.parametrize("height_m", [0.0, 100e3, 302e3, 1000e3])
def test_that_geodetic_to_cartesian_and_back_is_the_identity(height_m: float) -> None:
    latitude = np.linspace(-90.0, 90.0, 361)
    back, height = geodetic_from_cartesian(*cartesian_from_geodetic(latitude, height_m))
    assert_allclose(back, latitude, rtol=0, atol=ROUNDING_DEG)
    assert_allclose(height, height_m, rtol=0, atol=ROUNDING_M)


@pytest.mark.parametrize("height_m", [0.0, 100e3, 302e3, 1000e3])
def test_that_the_geodetic_latitude_of_a_geocentric_one_agrees_with_the_cartesian_formulas(height_m: float) -> None:
    latitude = np.linspace(-90.0, 90.0, 361)
    axis_distance, z = cartesian_from_geodetic(latitude, height_m)
    geocentric = np.degrees(np.arctan2(z, axis_distance))
    # Next to the poles the tangent of the geocentric latitude loses digits, but not the angle.
    assert_allclose(geodetic_latitude(geocentric, np.full(361, height_m)), latitude, rtol=0, atol=1e-11)


def test_that_on_the_ellipsoid_the_two_latitudes_differ_by_the_square_of_the_axis_ratio() -> None:
    geocentric = np.array([-60.0, 30.0, 45.0])
    tangent = np.tan(np.radians(geocentric)) / (1.0 - EARTH_FLATTENING) ** 2
    assert_allclose(geodetic_latitude(geocentric, np.zeros(3)), np.degrees(np.arctan(tangent)), rtol=0, atol=1e-12)


def test_that_equator_and_poles_have_one_latitude() -> None:
    fixed = np.array([-90.0, 0.0, 90.0])
    assert_allclose(geodetic_latitude(fixed, np.full(3, 400e3)), fixed, rtol=0, atol=1e-12)


def test_that_geodetic_latitude_is_odd_and_leaves_its_argument_alone() -> None:
    geocentric = np.linspace(1.0, 89.0, 9)
    kept = geocentric.copy()
    north = geodetic_latitude(geocentric, np.full(9, 300e3))
    assert_allclose(geodetic_latitude(-geocentric, np.full(9, 300e3)), -north, rtol=0, atol=1e-13)
    assert np.array_equal(geocentric, kept)
    # A point away from equator and poles sees the ellipsoid's normal lean polewards.
    assert np.all(north > geocentric)


def test_that_positions_on_the_axes_are_the_radii_plus_the_height() -> None:
    position = geocentric_position(
        np.array([0.0, 0.0, 0.0, 90.0, -90.0]), np.array([0.0, 90.0, 180.0, 33.0, 0.0]), np.full(5, 1e3)
    )
    equatorial, polar = EARTH_EQUATORIAL_RADIUS + 1e3, POLAR_RADIUS + 1e3
    expected = [[equatorial, 0, 0], [0, equatorial, 0], [-equatorial, 0, 0], [0, 0, polar], [0, 0, -polar]]
    # sin(180 deg) and cos(90 deg) are 1e-16 in binary numbers: 1e-9 m at this radius.
    assert_allclose(position, expected, rtol=0, atol=ROUNDING_M)


def test_that_a_position_turns_rigidly_with_longitude_and_repeats_after_a_circle() -> None:
    latitude, height = np.array([-70.0, 12.0]), np.array([150e3, 500e3])
    there = geocentric_position(latitude, np.array([-30.0, 170.0]), height)
    again = geocentric_position(latitude, np.array([330.0, 530.0]), height)
    assert_allclose(again, there, rtol=0, atol=ROUNDING_M)
    elsewhere = geocentric_position(latitude, np.array([60.0, 260.0]), height)
    assert_allclose(elsewhere[:, 2], there[:, 2], rtol=0, atol=0)
    # A quarter turn: (x, y) -> (-y, x).
    assert_allclose(elsewhere[:, :2], np.stack([-there[:, 1], there[:, 0]], axis=1), rtol=0, atol=ROUNDING_M)
