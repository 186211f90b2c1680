from __future__ import annotations

import numpy as np
import pytest

from da.twin.dipole import Dipole, sine_of_declination


def test_that_a_dipole_along_the_axis_has_geographic_coordinates() -> None:
    latitude, longitude = np.array([-60.0, 0.0, 45.0]), np.array([-170.0, 10.0, 100.0])
    magnetic = Dipole(90.0, 0.0).coordinates(latitude, longitude)
    np.testing.assert_allclose(magnetic[0], latitude, atol=1e-12)
    np.testing.assert_allclose(magnetic[1], longitude, atol=1e-12)


def test_that_the_poles_of_the_dipole_have_magnetic_latitude_90_and_opposite_places_opposite_latitudes() -> None:
    dipole = Dipole()
    north = dipole.coordinates(np.array([dipole.pole_latitude]), np.array([dipole.pole_longitude]))[0]
    assert north[0] == pytest.approx(90.0, abs=1e-5)
    latitude, longitude = np.array([33.0, -71.0]), np.array([12.0, 140.0])
    here = dipole.coordinates(latitude, longitude)[0]
    np.testing.assert_allclose(dipole.coordinates(-latitude, longitude + 180.0)[0], -here, atol=1e-12)


def test_that_magnetic_midnight_lies_opposite_to_the_sun() -> None:
    # At 12 h UT of an equinox the Sun stands over longitude zero.
    noon = np.array(["2010-03-20T12:00"], dtype="datetime64[ns]")
    midnight = Dipole(90.0, 0.0).midnight_longitude(noon)[0]
    assert np.mod(midnight, 360.0) == pytest.approx(180.0, abs=1e-9)


@pytest.mark.parametrize(("day", "expected"), [("2010-03-20", 0.0), ("2010-06-21", 0.3978), ("2010-12-21", -0.3978)])
def test_that_the_declination_is_that_of_the_season(day: str, expected: float) -> None:
    # A circular orbit of the Earth is up to two days ahead or behind.
    assert sine_of_declination(np.array([day], dtype="datetime64[ns]"))[0] == pytest.approx(expected, abs=0.02)
