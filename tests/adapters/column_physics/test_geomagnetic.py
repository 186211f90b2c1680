from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from da.constants import EARTH_FLATTENING
from da.errors import ThermodaError
from model_adapters.column_physics.geomagnetic import (
    DipoleAxis,
    dipole_axis,
    solar_zenith_angle,
    subsolar_point,
)

LATITUDE = np.arange(-87.5, 90.0, 5.0)[:, None]
LONGITUDE = np.arange(-180.0, 180.0, 5.0)
STORM = np.datetime64("2010-04-05T12:00", "ns")

ALMANAC_ERROR_DEG = 0.01
"""Of the low-precision formulae, as the almanac states it."""


def geodetic(latitude: float) -> float:
    """Return the geodetic latitude on the ellipsoid of a geocentric one [degrees]."""
    return float(np.degrees(np.arctan(np.tan(np.radians(latitude)) / (1.0 - EARTH_FLATTENING) ** 2)))


def unit_vectors(latitude: np.ndarray | float, longitude: np.ndarray | float) -> np.ndarray:
    lat, lon = np.broadcast_arrays(np.radians(latitude), np.radians(longitude))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


@pytest.mark.parametrize(
    ("year", "latitude", "longitude"),
    [(1900, 78.68, -68.79), (1950, 78.55, -68.85), (1960, 78.58, -69.47), (1980, 78.88, -70.76)],
)
def test_that_the_pole_is_that_of_the_table_of_igrf_13(year: int, latitude: float, longitude: float) -> None:
    """Alken et al. (2021), table 4, in geodetic latitude; its last digit is not always the nearest."""
    axis = dipole_axis(np.datetime64(f"{year}-01-01", "ns"))
    assert_allclose([geodetic(axis.pole_latitude), axis.pole_longitude], [latitude, longitude], rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("year", "latitude", "longitude"), [(2000, 79.54, -71.57), (2005, 79.75, -71.80), (2010, 80.02, -72.21)]
)
def test_that_the_pole_is_that_of_the_centred_dipole_of_the_definitive_models(
    year: int, latitude: float, longitude: float
) -> None:
    """Geocentric latitudes of the Woods Hole Oceanographic Institution (deeptow.whoi.edu/cdpole.html)."""
    axis = dipole_axis(np.datetime64(f"{year}-01-01", "ns"))
    assert_allclose([axis.pole_latitude, axis.pole_longitude], [latitude, longitude], rtol=0, atol=0.01)


def test_that_the_pole_between_epochs_lies_between_those_of_the_epochs() -> None:
    before, between, after = (dipole_axis(np.datetime64(day, "ns")) for day in ("2005-01-01", STORM, "2015-01-01"))
    assert before.pole_latitude < between.pole_latitude < after.pole_latitude
    assert before.pole_longitude > between.pole_longitude > after.pole_longitude


@pytest.mark.parametrize("day", ["1899-12-31", "2031-01-01"])
def test_that_a_time_without_coefficients_is_refused_in_one_line(day: str) -> None:
    with pytest.raises(ThermodaError, match=r"IGRF cover 1900-01-01 to 2030-01-01$"):
        dipole_axis(np.datetime64(day, "ns"))


def test_that_the_coefficients_are_read_only_when_they_are_needed() -> None:
    code = "import sys, model_adapters.column_physics.geomagnetic; sys.exit('ppigrf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_that_magnetic_latitude_is_what_the_distance_from_the_pole_leaves_of_ninety_degrees() -> None:
    axis = dipole_axis(STORM)
    pole = unit_vectors(axis.pole_latitude, axis.pole_longitude)
    expected = np.degrees(np.arcsin(np.tensordot(pole, unit_vectors(LATITUDE, LONGITUDE), 1)))
    assert_allclose(axis.coordinates(LATITUDE, LONGITUDE)[0], expected, rtol=0, atol=1e-10)


def test_that_magnetic_coordinates_are_a_rotation() -> None:
    """Angles between all pairs of points stay, and so does the sense of rotation."""
    rng = np.random.default_rng(7)
    latitude, longitude = np.degrees(np.arcsin(rng.uniform(-1, 1, 40))), rng.uniform(-180, 180, 40)
    before = unit_vectors(latitude, longitude)
    after = unit_vectors(*dipole_axis(STORM).coordinates(latitude, longitude))
    assert_allclose(after.T @ after, before.T @ before, rtol=0, atol=1e-13)
    assert_allclose(np.linalg.det(after[:, :3]), np.linalg.det(before[:, :3]), rtol=1e-10)


def test_that_the_geographic_south_pole_lies_on_magnetic_longitude_zero() -> None:
    axis = dipole_axis(STORM)
    latitude, longitude = axis.coordinates(-90.0, 33.0)
    assert_allclose([latitude, longitude], [-axis.pole_latitude, 0.0], rtol=0, atol=1e-10)


def test_that_an_untilted_dipole_has_solar_local_time() -> None:
    axis = DipoleAxis(pole_latitude=90.0, pole_longitude=0.0)
    sun = subsolar_point(STORM)
    local_time = axis.local_time(LATITUDE, LONGITUDE, STORM)
    expected = np.mod((LONGITUDE - sun.longitude) / 15.0 + 12.0, 24.0)
    assert_allclose(local_time, np.broadcast_to(expected, local_time.shape), rtol=0, atol=1e-10)


@pytest.mark.parametrize("hour", [0, 5, 11, 17, 23])
def test_that_it_is_magnetic_noon_on_the_magnetic_meridian_of_the_sun(hour: int) -> None:
    """Points of that meridian, found by walking from the dipole's pole through the subsolar point."""
    time = np.datetime64("2010-06-21T00:00", "ns") + np.timedelta64(hour, "h")
    axis, sun = dipole_axis(time), subsolar_point(time)
    pole, towards = unit_vectors(axis.pole_latitude, axis.pole_longitude), unit_vectors(sun.latitude, sun.longitude)
    across = towards - (towards @ pole) * pole
    across /= np.linalg.norm(across)
    distance = np.radians(np.array([10.0, 60.0, 90.0, 170.0]))
    x, y, z = np.outer(pole, np.cos(distance)) + np.outer(across, np.sin(distance))
    local_time = axis.local_time(np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x)), time)
    assert_allclose(local_time, 12.0, rtol=0, atol=1e-10)


def test_that_magnetic_local_time_goes_round_the_clock_once_a_day() -> None:
    """Unevenly, as the dipole is tilted, but never backwards; the sun itself moves on by less than 0.01 h a day."""
    axis = dipole_axis(STORM)
    times = STORM + np.arange(25) * np.timedelta64(1, "h")
    clock = np.array([axis.local_time(65.0, 20.0, time) for time in times])
    advance = np.mod(np.diff(clock), 24.0)
    assert np.all((advance > 0.8) & (advance < 1.2))
    assert_allclose(advance.sum(), 24.0, rtol=0, atol=0.02)
    assert advance.max() - advance.min() > 0.01


def test_that_magnetic_local_time_stays_below_24_hours() -> None:
    axis = dipole_axis(STORM)
    minutes = STORM + np.arange(0, 1440, 7) * np.timedelta64(1, "m")
    clock = np.array([axis.local_time(LATITUDE, LONGITUDE, time) for time in minutes])
    assert clock.min() >= 0.0
    assert clock.max() < 24.0


@pytest.mark.parametrize(
    ("instant", "declination"),
    [("2010-03-20T17:32", 0.0), ("2010-06-21T11:28", 23.438), ("2010-09-23T03:09", 0.0), ("2010-12-21T23:38", -23.438)],
)
def test_that_the_seasons_of_2010_begin_when_the_almanac_says(instant: str, declination: float) -> None:
    """Equinoxes and solstices as published to the minute, in which declination changes by less than 3e-4 degrees."""
    sun = subsolar_point(np.datetime64(instant, "ns"))
    assert_allclose(sun.latitude, declination, rtol=0, atol=ALMANAC_ERROR_DEG)


def test_that_declination_is_that_of_a_published_example() -> None:
    """Meeus (1998), Astronomical Algorithms, example 25.a: apparent declination on 13 October 1992, 0 h."""
    sun = subsolar_point(np.datetime64("1992-10-13", "ns"))
    assert_allclose(sun.latitude, -7.78507, rtol=0, atol=ALMANAC_ERROR_DEG)


def test_that_the_sun_is_overhead_at_the_subsolar_point_and_underfoot_opposite() -> None:
    sun = subsolar_point(STORM)
    assert_allclose(solar_zenith_angle(sun.latitude, sun.longitude, STORM), 0.0, atol=1e-12)
    assert_allclose(solar_zenith_angle(-sun.latitude, sun.longitude + 180.0, STORM), 180.0, rtol=0, atol=1e-10)


def test_that_at_equinox_the_zenith_angle_has_its_closed_form() -> None:
    """cos chi = cos lat cos(lon - lon_sun) for declination zero, within the declination of the published instant."""
    equinox = np.datetime64("2010-03-20T17:32", "ns")
    hour_angle = np.radians(LONGITUDE - subsolar_point(equinox).longitude)
    expected = np.degrees(np.arccos(np.cos(np.radians(LATITUDE)) * np.cos(hour_angle)))
    assert_allclose(solar_zenith_angle(LATITUDE, LONGITUDE, equinox), expected, rtol=0, atol=ALMANAC_ERROR_DEG)


def test_that_the_zenith_angle_is_that_of_a_published_example() -> None:
    """Reda & Andreas (2004), doi:10.1016/j.solener.2003.12.003, appendix: elevation 39.872046 degrees unrefracted.

    Theirs is seen from the ground, which lowers the sun by its parallax of 8.794 arc seconds times sin(zenith angle).
    """
    time = np.datetime64("2003-10-17T19:30:30", "ns")
    angle = solar_zenith_angle(39.742476, -105.1786, time)
    parallax = 8.794 / 3600.0 * np.sin(np.radians(angle))
    assert_allclose(angle + parallax, 90.0 - 39.872046, rtol=0, atol=ALMANAC_ERROR_DEG)
