from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.constants import GAS_CONSTANT, MOLAR_MASS
from da.operators import (
    DensityOperator,
    HorizontalStencil,
    bracketing_level,
    horizontal_stencil,
    interpolate_log_linear,
    level_index,
    mean_molar_mass,
    modelled_density,
)

LATITUDE = np.arange(-87.5, 90.0, 5.0)
LONGITUDE = np.arange(-180.0, 180.0, 5.0)
COLUMNS = LATITUDE.size * LONGITUDE.size


def scattered(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-90.0, 90.0, count), rng.uniform(-180.0, 180.0, count)


def interpolated(field: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Interpolate a field (latitudes, longitudes) by the stencil alone."""
    stencil = horizontal_stencil(LATITUDE, LONGITUDE, latitude, longitude)
    return np.sum(field.ravel()[stencil.column] * stencil.weight, axis=1)


def on_sphere(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    phi, lam = np.radians(latitude), np.radians(longitude)
    return np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)


def one_column(height: np.ndarray) -> tuple[np.ndarray, HorizontalStencil]:
    """Return heights (levels, 1, 1, 1) and a stencil of 7 points that lie in that column."""
    return height[:, None, None, None], HorizontalStencil(np.zeros((7, 4), dtype=np.int64), np.full((7, 4), 0.25))


@pytest.mark.parametrize("species", ["O", "O2", "He", "N2"])
def test_that_a_pure_gas_has_its_own_molar_mass(species: str) -> None:
    fractions = [np.array([1.0 if name == species else 0.0]) for name in ("O", "O2", "He")]
    assert_allclose(mean_molar_mass(*fractions), MOLAR_MASS[species], rtol=1e-15)


def test_that_equal_numbers_of_molecules_have_the_arithmetic_mean_of_the_molar_masses() -> None:
    mass = np.array([MOLAR_MASS[name] for name in ("O", "O2", "He", "N2")])
    fractions = mass / mass.sum()
    assert_allclose(mean_molar_mass(*fractions[:3, None]), mass.mean(), rtol=1e-14)


def test_that_the_density_of_nitrogen_at_standard_conditions_is_1_25_kg_per_cubic_metre() -> None:
    # N2 at 273.15 K and 101325 Pa: 28.0134e-3 * 101325 / (8.314463 * 273.15) = 1.24982.
    cell, none = np.full((1, 1, 1, 1), 273.15), np.zeros((1, 1, 1, 1))
    density = modelled_density(np.array([101_325.0]), cell, none, none, none)
    assert_allclose(density, 1.24982, rtol=1e-5)


def test_that_density_is_computed_cell_by_cell_from_pressure_temperature_and_composition() -> None:
    rng = np.random.default_rng(3)
    pressure = np.array([1e-2, 1e-5])
    shape = (2, 3, 4, 5)
    temperature, fractions = rng.uniform(200.0, 1500.0, shape), rng.dirichlet(np.ones(4), shape)
    operator = DensityOperator(pressure, LATITUDE, LONGITUDE)
    fields = {"temperature": temperature}
    fields |= {f"mass_fraction_{name}": fractions[..., i] for i, name in enumerate(("O", "O2", "He"))}
    density = operator.on_grid(fields)
    for cell in [(0, 0, 0, 0), (1, 2, 3, 4), (1, 0, 2, 1)]:
        w = fractions[cell]
        moles = w[0] / 15.9994e-3 + w[1] / 31.9988e-3 + w[2] / 4.002602e-3 + w[3] / 28.0134e-3
        assert_allclose(density[cell], pressure[cell[0]] / (moles * GAS_CONSTANT * temperature[cell]), rtol=1e-13)


def test_that_stencil_weights_are_not_negative_and_sum_to_one() -> None:
    stencil = horizontal_stencil(LATITUDE, LONGITUDE, *scattered(2000))
    assert stencil.weight.min() >= 0.0
    assert_allclose(stencil.weight.sum(axis=1), 1.0, rtol=0, atol=1e-14)
    assert stencil.column.min() >= 0
    assert stencil.column.max() < COLUMNS


def test_that_a_point_on_a_column_takes_that_column_alone() -> None:
    row, column = (index.ravel() for index in np.indices((LATITUDE.size, LONGITUDE.size)))
    stencil = horizontal_stencil(LATITUDE, LONGITUDE, LATITUDE[row], LONGITUDE[column])
    assert_array_equal(stencil.weight[:, 0], 1.0)
    assert_array_equal(stencil.column[:, 0], np.arange(COLUMNS))


def test_that_bilinear_fields_are_interpolated_exactly() -> None:
    rng = np.random.default_rng(2)
    latitude, longitude = rng.uniform(-87.5, 87.5, 500), rng.uniform(-180.0, 175.0, 500)

    def bilinear(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        return 2.0 + 0.3 * lat - 0.1 * lon + 0.007 * lat * lon

    field = bilinear(LATITUDE[:, None], LONGITUDE[None, :])
    assert_allclose(interpolated(field, latitude, longitude), bilinear(latitude, longitude), rtol=0, atol=1e-11)


def test_that_longitude_is_periodic() -> None:
    field = np.random.default_rng(4).standard_normal((LATITUDE.size, LONGITUDE.size))
    latitude, longitude = scattered(300)
    found = interpolated(field, latitude, longitude)
    for turns in (-360.0, 360.0, 720.0):
        assert_allclose(interpolated(field, latitude, longitude + turns), found, rtol=0, atol=1e-10)


def test_that_a_point_between_the_last_and_the_first_meridian_lies_between_both() -> None:
    field = np.random.default_rng(4).standard_normal((LATITUDE.size, LONGITUDE.size))
    found = interpolated(field, np.full(2, 2.5), np.array([178.75, -181.25]))
    assert_allclose(found, 0.25 * field[18, -1] + 0.75 * field[18, 0], rtol=1e-12)


def test_that_interpolation_is_as_good_across_the_poles_as_elsewhere() -> None:
    # On a great circle over the pole, bilinear interpolation of x, y or z errs by (5 deg)^2 / 8 = 9.5e-4 along it; one
    # cell of longitude adds as much again. A wrong neighbour beyond the pole would err by up to 2 sin(2.5 deg) = 0.087.
    for pole in (-1.0, 1.0):
        longitude = scattered(500)[1]
        latitude = pole * np.random.default_rng(6).uniform(87.5, 90.0, 500)
        grid = on_sphere(LATITUDE[:, None], LONGITUDE[None, :])
        for field, exact in zip(grid, on_sphere(latitude, longitude), strict=True):
            values = interpolated(np.broadcast_to(field, (36, 72)), latitude, longitude)
            assert_allclose(values, exact, rtol=0, atol=2.0 * np.radians(5.0) ** 2 / 8.0)


@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_that_a_point_on_the_pole_is_the_mean_of_opposite_columns(pole: float) -> None:
    field = np.random.default_rng(4).standard_normal((LATITUDE.size, LONGITUDE.size))
    row = field[0 if pole < 0.0 else -1]
    found = interpolated(field, np.full(72, pole), LONGITUDE)
    assert_allclose(found, 0.5 * (row + np.roll(row, 36)), rtol=0, atol=1e-14)


def test_that_a_pole_in_the_grid_needs_no_neighbour_beyond() -> None:
    latitude, longitude = np.linspace(-90.0, 90.0, 19), np.arange(0.0, 360.0, 30.0)
    stencil = horizontal_stencil(latitude, longitude, np.array([90.0, -90.0]), np.array([60.0, 60.0]))
    assert_array_equal(stencil.weight[:, 0], 1.0)
    assert_array_equal(stencil.column[:, 0], [18 * 12 + 2, 2])


@pytest.mark.parametrize("outside", [90.0 + 1e-9, -91.0, np.nan])
def test_that_a_latitude_that_is_none_is_refused(outside: float) -> None:
    with pytest.raises(ValueError, match=r"within \[-90, 90\]"):
        horizontal_stencil(LATITUDE, LONGITUDE, np.array([0.0, outside]), np.zeros(2))


@pytest.mark.parametrize("longitude", [np.arange(0.0, 350.0, 10.0), np.arange(0.0, 360.0, 40.0), np.zeros(1)])
def test_that_longitudes_that_do_not_close_the_circle_evenly_are_refused(longitude: np.ndarray) -> None:
    with pytest.raises(ValueError, match="close the circle with an even number"):
        horizontal_stencil(LATITUDE, longitude, np.zeros(1), np.zeros(1))


@pytest.mark.parametrize("latitude", [np.arange(-60.0, 61.0, 20.0), np.arange(-87.5, 80.0, 5.0)])
def test_that_latitudes_that_do_not_mirror_at_the_poles_are_refused(latitude: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at the poles or half a step from them"):
        horizontal_stencil(latitude, LONGITUDE, np.zeros(1), np.zeros(1))


def test_that_a_single_latitude_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two latitudes"):
        horizontal_stencil(np.zeros(1), LONGITUDE, np.zeros(1), np.zeros(1))


@pytest.mark.parametrize("levels", range(2, 31))
def test_that_bisection_finds_the_level_that_a_sorted_search_finds(levels: int) -> None:
    rng = np.random.default_rng(levels)
    height = np.cumsum(rng.uniform(0.1, 3.0, (levels, 5, 4)), axis=0)
    column = rng.integers(0, 5, 60)
    altitude = rng.uniform(-1.0, 1.1 * height.max(), 60)
    # Some altitudes are exactly a level, where the pair above it is meant.
    altitude[:20] = height[rng.integers(0, levels, 20), column[:20], 0]
    found = bracketing_level(height, column, altitude)
    assert found.shape == (60, 4)
    for pair in range(60):
        for member in range(4):
            right = np.searchsorted(height[:, column[pair], member], altitude[pair], side="right")
            assert found[pair, member] == np.clip(right - 1, 0, levels - 2)


def test_that_an_exponential_atmosphere_is_interpolated_and_extrapolated_exactly() -> None:
    height = 97e3 + np.cumsum(np.random.default_rng(1).uniform(3e3, 40e3, 29))
    columns, stencil = one_column(height)
    density = 1e-9 * np.exp(-(columns - 97e3) / 50e3)
    altitude = np.array([90e3, 97e3, 150e3, height[7], 400e3, height[-1], height[-1] + 100e3])
    found = interpolate_log_linear(density, columns, stencil, altitude)
    assert_allclose(found[:, 0], 1e-9 * np.exp(-(altitude - 97e3) / 50e3), rtol=1e-12)


def test_that_beyond_the_last_level_the_slope_of_the_last_pair_goes_on() -> None:
    columns, stencil = one_column(np.array([100e3, 200e3, 300e3]))
    density = np.array([8.0, 4.0, 1.0])[:, None, None, None]
    altitude = np.array([0.0, 100e3, 150e3, 200e3, 250e3, 300e3, 400e3])
    found = interpolate_log_linear(density, columns, stencil, altitude)[:, 0]
    assert_allclose(found, [16.0, 8.0, 4.0 * np.sqrt(2.0), 4.0, 2.0, 1.0, 0.25], rtol=1e-13)


def test_that_members_and_columns_with_heights_of_their_own_do_not_mix() -> None:
    rng = np.random.default_rng(8)
    latitude, longitude = scattered(50)
    scale = rng.uniform(30e3, 70e3, (1, 36, 72, 3))
    bottom = rng.uniform(95e3, 99e3, (1, 36, 72, 3))
    height = bottom + scale * np.arange(0.5, 15.0)[:, None, None, None]
    density = 1e-8 * np.exp(-(height - bottom) / scale)
    altitude = rng.uniform(100e3, 500e3, 50)
    stencil = horizontal_stencil(LATITUDE, LONGITUDE, latitude, longitude)
    found = interpolate_log_linear(density, height, stencil, altitude)
    column_scale, column_bottom = (values.reshape(-1, 3)[stencil.column] for values in (scale, bottom))
    at_altitude = 1e-8 * np.exp(-(altitude[:, None, None] - column_bottom) / column_scale)
    assert_allclose(found, np.sum(stencil.weight[..., None] * at_altitude, axis=1), rtol=1e-11)


def test_that_interpolation_is_linear_between_columns_and_not_in_their_logarithms() -> None:
    latitude, longitude = np.array([-45.0, 45.0]), np.array([0.0, 90.0, 180.0, 270.0])
    height = np.broadcast_to(np.array([100e3, 200e3])[:, None, None, None], (2, 2, 4, 1))
    density = np.ones((2, 2, 4, 1))
    density[:, :, 1] = 9.0
    stencil = horizontal_stencil(latitude, longitude, np.array([45.0]), np.array([45.0]))
    assert_allclose(interpolate_log_linear(density, height, stencil, np.array([150e3])), 5.0, rtol=1e-14)


@pytest.mark.parametrize("levels", [2, 3, 29])
def test_that_the_level_index_is_the_inverse_of_the_height_at_an_index(levels: int) -> None:
    rng = np.random.default_rng(levels)
    height = 97e3 + np.cumsum(rng.uniform(5e3, 40e3, (levels, 36, 72)), axis=0)
    latitude, longitude = scattered(200)
    stencil = horizontal_stencil(LATITUDE, LONGITUDE, latitude, longitude)
    index = rng.uniform(-0.8, levels - 0.2, 200)
    profile = np.array([interpolated(level, latitude, longitude) for level in height])
    lower = np.clip(np.floor(index).astype(int), 0, levels - 2)
    points = np.arange(200)
    step = profile[lower + 1, points] - profile[lower, points]
    altitude = profile[lower, points] + (index - lower) * step
    assert_allclose(level_index(height, stencil, altitude), index, rtol=0, atol=1e-9)


def test_that_a_single_level_has_the_index_zero() -> None:
    stencil = horizontal_stencil(LATITUDE, LONGITUDE, np.zeros(3), np.zeros(3))
    assert_array_equal(level_index(np.full((1, 36, 72), 3e5), stencil, np.array([1e5, 3e5, 9e5])), 0.0)


def test_that_what_the_model_lacks_multiplies_the_density_point_by_point() -> None:
    rng = np.random.default_rng(5)
    operator = DensityOperator(np.array([1e-3, 1e-4, 1e-5]), LATITUDE, LONGITUDE)
    height = np.cumsum(rng.uniform(50e3, 90e3, (3, 36, 72, 2)), axis=0)
    density = rng.uniform(1e-12, 1e-11, height.shape)
    stencil = operator.stencil(*scattered(9))
    altitude_km, ratio = rng.uniform(100.0, 250.0, 9), rng.uniform(1.0, 1.04, 9)
    plain = operator.at_points(density, height, stencil, altitude_km, np.ones(9))
    assert_array_equal(plain, interpolate_log_linear(density, height, stencil, 1e3 * altitude_km))
    assert_array_equal(operator.at_points(density, height, stencil, altitude_km, ratio), plain * ratio[:, None])
