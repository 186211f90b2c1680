from __future__ import annotations

import numpy as np
import pytest

from da.constants import EARTH_EQUATORIAL_RADIUS, EARTH_FLATTENING, EARTH_ROTATION_RATE
from da.geodesy import cartesian_from_geodetic, geodetic_from_cartesian, greenwich_sidereal_angle_deg

# Coordinates of 7e6 m carry a rounding error of 1e-9 m each; a few operations add up to less than 1e-8 m.
ROUNDING_M = 1e-8


@pytest.mark.parametrize("height_m", [0.0, 100e3, 474e3, 1000e3])
def test_that_the_geodetic_conversion_round_trips(height_m: float) -> None:
    latitude = np.linspace(-90.0, 90.0, 721)
    back, height = geodetic_from_cartesian(*cartesian_from_geodetic(latitude, height_m))
    np.testing.assert_allclose(height, height_m, rtol=0, atol=ROUNDING_M)
    np.testing.assert_allclose(back, latitude, rtol=0, atol=np.degrees(ROUNDING_M / EARTH_EQUATORIAL_RADIUS))


def test_that_height_is_counted_from_the_semi_axes_at_equator_and_pole() -> None:
    polar_radius = EARTH_EQUATORIAL_RADIUS * (1 - EARTH_FLATTENING)
    latitude, height = geodetic_from_cartesian([EARTH_EQUATORIAL_RADIUS + 5e3, 0.0], [0.0, polar_radius + 7e3])
    np.testing.assert_allclose(latitude, [0.0, 90.0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(height, [5e3, 7e3], rtol=0, atol=ROUNDING_M)


def test_that_geodetic_latitude_exceeds_geocentric_latitude_by_the_textbook_amount_at_45_degrees() -> None:
    axis_distance, z = cartesian_from_geodetic(45.0, 0.0)
    difference = 45.0 - np.degrees(np.arctan2(z, axis_distance))
    # On the ellipsoid tan(geocentric) = (1 - f)^2 tan(geodetic): 0.1924 degrees at 45 degrees.
    assert difference == pytest.approx(45.0 - np.degrees(np.arctan((1 - EARTH_FLATTENING) ** 2)), abs=1e-12)
    assert difference == pytest.approx(0.1924, abs=5e-5)


def test_that_sidereal_time_agrees_with_the_worked_examples_of_meeus() -> None:
    # Meeus (1998), Examples 12.a and 12.b, printed to 1e-4 s, which is 4e-7 degrees.
    time = np.array(["1987-04-10T00:00:00", "1987-04-10T19:21:00"], dtype="datetime64[ns]")
    expected_h = np.array([13 + 10 / 60 + 46.3668 / 3600, 8 + 34 / 60 + 57.0896 / 3600])
    np.testing.assert_allclose(greenwich_sidereal_angle_deg(time), 15.0 * expected_h, rtol=0, atol=4e-7)


def test_that_the_sidereal_angle_turns_at_the_rotation_rate_of_the_earth() -> None:
    time = np.datetime64("2010-04-05T00:00:00") + np.array([0, 3600], dtype="timedelta64[s]")
    turned = np.radians(np.diff(greenwich_sidereal_angle_deg(time))[0])
    # The equinox itself moves by 7.1e-12 rad/s, and the constant is printed to 1e-11 rad/s.
    assert turned / 3600.0 == pytest.approx(EARTH_ROTATION_RATE, abs=1.5e-11)
