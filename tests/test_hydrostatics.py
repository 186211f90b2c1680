from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from da.constants import (
    EARTH_EQUATORIAL_RADIUS,
    EARTH_FLATTENING,
    EARTH_GM,
    EARTH_J2,
    EARTH_ROTATION_RATE,
    GAS_CONSTANT,
)
from da.geodesy import cartesian_from_geodetic
from da.hydrostatics import (
    effective_radius,
    geometric_height,
    geopotential_height,
    mid_level_height,
    surface_gravity,
)

LATITUDE = np.linspace(-90.0, 90.0, 37)
MOLAR_MASS = 0.020


def somigliana(latitude: np.ndarray) -> np.ndarray:
    """Return normal gravity on the WGS84 ellipsoid (NIMA TR8350.2, Eq. 4-1)."""
    sine = np.sin(np.radians(latitude)) ** 2
    eccentricity = EARTH_FLATTENING * (2.0 - EARTH_FLATTENING)
    return 9.7803253359 * (1.0 + 0.00193185265241 * sine) / np.sqrt(1.0 - eccentricity * sine)


def gravity_of_potential(latitude: np.ndarray, height: float) -> np.ndarray:
    """Return |grad (GM/r - J2 term + centrifugal potential)|, of which the next term, J4, is 1e-5."""
    x, z = cartesian_from_geodetic(latitude, np.full_like(latitude, height))
    r = np.hypot(x, z)
    oblate = 1.5 * EARTH_J2 * (EARTH_EQUATORIAL_RADIUS / r) ** 2
    inward = EARTH_GM / r**3
    along_x = inward * x * (1.0 + oblate * (1.0 - 5.0 * (z / r) ** 2)) - EARTH_ROTATION_RATE**2 * x
    along_z = inward * z * (1.0 + oblate * (3.0 - 5.0 * (z / r) ** 2))
    return np.hypot(along_x, along_z)


def column(temperature: np.ndarray) -> np.ndarray:
    """Return one profile at all latitudes, (levels, latitudes, 1, 1)."""
    return np.broadcast_to(temperature[:, None, None, None], (temperature.size, LATITUDE.size, 1, 1))


def heights(temperature: np.ndarray, step: float, bottom_m: float = 97e3) -> np.ndarray:
    fields = column(temperature)
    bottom = np.full((LATITUDE.size, 1, 1), bottom_m)
    return mid_level_height(fields, np.full_like(fields, MOLAR_MASS), bottom, LATITUDE, step)[:, :, 0, 0]


def test_that_sea_level_gravity_is_normal_gravity_to_two_parts_in_a_hundred_thousand() -> None:
    # The formula leaves out the second harmonic of the table, which is 6e-6; the rest is the age of the ellipsoid.
    assert_allclose(surface_gravity(LATITUDE), somigliana(LATITUDE), rtol=2e-5)
    assert_allclose(surface_gravity(np.array([0.0, 90.0])), [9.7803, 9.8322], rtol=3e-5)


def test_that_the_effective_radius_fits_the_gradient_of_normal_gravity() -> None:
    # dg/dh = -2 g / a (1 + f + m - 2 f sin^2), m = w^2 a^2 b / GM (Heiskanen & Moritz 1967, Eq. 2-121).
    semi_minor = EARTH_EQUATORIAL_RADIUS * (1.0 - EARTH_FLATTENING)
    m = EARTH_ROTATION_RATE**2 * EARTH_EQUATORIAL_RADIUS**2 * semi_minor / EARTH_GM
    sine = np.sin(np.radians(LATITUDE)) ** 2
    expected = EARTH_EQUATORIAL_RADIUS / (1.0 + EARTH_FLATTENING + m - 2.0 * EARTH_FLATTENING * sine)
    assert_allclose(effective_radius(LATITUDE), expected, rtol=7e-5)


@pytest.mark.parametrize(("height_km", "margin"), [(0.0, 2e-5), (100.0, 2e-5), (300.0, 7e-5), (600.0, 2.5e-4)])
def test_that_gravity_aloft_is_that_of_the_rotating_ellipsoid(height_km: float, margin: float) -> None:
    # (r0 / (r0 + z))^2 follows the value and the gradient at sea level; the curvature 3 (z / r0)^2 is off by up to
    # 2 (r0 / a - 1) of itself, 1.4 % at the equator or 3.6e-4 at 600 km, about half of which higher terms take back.
    radius = effective_radius(LATITUDE)
    found = surface_gravity(LATITUDE) * (radius / (radius + 1e3 * height_km)) ** 2
    assert_allclose(found, gravity_of_potential(LATITUDE, 1e3 * height_km), rtol=margin)


def test_that_geopotential_height_is_the_integral_of_gravity() -> None:
    radius = effective_radius(np.array([35.0]))
    node, weight = np.polynomial.legendre.leggauss(20)
    height = 600e3
    gravity_ratio = (radius / (radius + 0.5 * height * (node + 1.0))) ** 2
    assert_allclose(geopotential_height(np.array([height]), radius), 0.5 * height * weight @ gravity_ratio, rtol=1e-13)


def test_that_geometric_and_geopotential_height_are_inverse() -> None:
    radius = effective_radius(LATITUDE)
    height = np.broadcast_to(np.linspace(-1e3, 1.2e6, 200)[:, None], (200, LATITUDE.size))
    assert_allclose(geometric_height(geopotential_height(height, radius), radius), height, rtol=1e-13)


@pytest.mark.parametrize("step", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("levels", [1, 2, 29])
def test_that_an_isothermal_column_has_levels_a_constant_geopotential_apart(levels: int, step: float) -> None:
    radius = effective_radius(LATITUDE)
    scale_height = GAS_CONSTANT * 1000.0 / (MOLAR_MASS * surface_gravity(LATITUDE))
    above_bottom = step * (np.arange(levels) + 0.5)[:, None]
    expected = geometric_height(geopotential_height(np.array(97e3), radius) + scale_height * above_bottom, radius)
    assert_allclose(heights(np.full(levels, 1000.0), step), expected, rtol=1e-13)


def test_that_a_temperature_linear_in_the_level_is_integrated_exactly() -> None:
    step = 0.5
    level = step * (np.arange(20) + 0.5)
    found = geopotential_height(heights(300.0 + 40.0 * level, step), effective_radius(LATITUDE))
    integral = GAS_CONSTANT / (MOLAR_MASS * surface_gravity(LATITUDE)) * (300.0 * level + 20.0 * level**2)[:, None]
    bottom = geopotential_height(np.array(97e3), effective_radius(LATITUDE))
    assert_allclose(found, bottom + integral, rtol=1e-13)


def test_that_the_error_falls_with_the_square_of_the_step_for_a_temperature_linear_in_height() -> None:
    # T = T0 + G Z and dZ/dzp = R T / (M g0) give T = T0 exp(k zp), Z = T0 (exp(k zp) - 1) / G with k = R G / (M g0).
    lapse, bottom_temperature = 1.5e-3, 400.0
    gravity, radius = surface_gravity(np.zeros(1)), effective_radius(np.zeros(1))
    k = float(GAS_CONSTANT * lapse / (MOLAR_MASS * gravity[0]))
    errors = []
    for step in (0.5, 0.25, 0.125):
        level = step * (np.arange(round(10.0 / step)) + 0.5)
        temperature = (bottom_temperature * np.exp(k * level))[:, None, None, None]
        found = mid_level_height(
            temperature, np.full_like(temperature, MOLAR_MASS), np.zeros((1, 1, 1)), np.zeros(1), step
        )[:, 0, 0, 0]
        exact = geometric_height(bottom_temperature * np.expm1(k * level) / lapse, radius)
        # The levels of different steps do not coincide; relative errors at the top of the column are compared.
        errors.append(abs(found[-1] / exact[-1] - 1.0))
    assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 2.0, rtol=0, atol=0.1)


def test_that_members_and_columns_stay_apart() -> None:
    rng = np.random.default_rng(1)
    temperature, mass = rng.uniform(200.0, 1500.0, (6, 3, 4, 2)), rng.uniform(0.01, 0.03, (6, 3, 4, 2))
    bottom, latitude = rng.uniform(90e3, 100e3, (3, 4, 2)), np.array([-60.0, 0.0, 60.0])
    together = mid_level_height(temperature, mass, bottom, latitude, 0.5)
    for j in range(3):
        alone = mid_level_height(
            temperature[:, j : j + 1, 1:2, 1:],
            mass[:, j : j + 1, 1:2, 1:],
            bottom[j : j + 1, 1:2, 1:],
            latitude[[j]],
            0.5,
        )
        assert_allclose(alone[:, 0, 0, 0], together[:, j, 1, 1], rtol=1e-14)
