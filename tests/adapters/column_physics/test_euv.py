from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from da.constants import AVOGADRO, EARTH_RADIUS, MOLAR_MASS
from model_adapters.column_physics import euv
from model_adapters.column_physics.thermal import FloatArray, ReferenceColumn

DAY = 86400.0
GLOBE = 4.0 * np.pi * (EARTH_RADIUS + 130e3) ** 2


def heights(column: ReferenceColumn) -> FloatArray:
    """Heights [m] of a column's levels, the lowest at 97 km."""
    mean = 0.5 * (column.scale_height[1:] + column.scale_height[:-1])
    return np.concatenate([[97e3], 97e3 + np.cumsum(mean * column.step)])


@pytest.mark.parametrize("x", [100.0, 1000.0])
@pytest.mark.parametrize("degrees", [0.0, 60.0, 85.0, 90.0])
def test_that_chapmans_function_is_the_slant_column_of_an_exponential_atmosphere(x: float, degrees: float) -> None:
    cosine = np.cos(np.radians(degrees))

    def density(path: float) -> float:
        return float(np.exp(x - np.sqrt(x**2 + 2.0 * x * path * cosine + path**2)))

    slant = quad(density, 0.0, 40.0 * np.sqrt(x), limit=400, epsabs=0.0, epsrel=1e-8)[0]
    # Smith & Smith expand in 1/x: the next term is below 1/x of the first.
    assert_allclose(euv.chapman(x, cosine), slant, rtol=1.0 / x)


@pytest.mark.parametrize(("step", "tolerance"), [(0.5, 5.6e-2), (0.125, 3.5e-3)])
def test_that_columns_in_diffusive_equilibrium_are_partial_pressure_over_weight(
    isothermal: Callable[..., tuple[ReferenceColumn, dict[str, float]]], step: float, tolerance: float
) -> None:
    column, _ = isothermal(step)
    for gas, found in euv.vertical_columns(column).items():
        partial = column.mole_fraction(gas) * column.pressure
        # Log-linear between levels is exact but for the change of mean mass within a step: of second order, so that a
        # quarter of the step leaves a sixteenth of the error.
        assert_allclose(found, partial * AVOGADRO / (MOLAR_MASS[gas] * column.gravity), rtol=tolerance)


def test_that_a_vertical_sun_leaves_the_power_that_does_not_reach_the_ground(
    isothermal: Callable[..., tuple[ReferenceColumn, dict[str, float]]],
) -> None:
    column, _ = isothermal(0.25)
    heating = euv.euv_heating(column, heights(column), 1.0, 120.0)
    depth = sum(
        np.outer(1e-22 * euv.BANDS[:, 3 + position], euv.vertical_columns(column)[gas][[0, -1]])
        for position, gas in enumerate(euv.ABSORBERS)
    )
    reaching = (euv.photon_flux(120.0) * euv.heat_per_photon()) @ np.exp(-depth)
    weight = column.pressure / column.gravity * column.step
    weight[[0, -1]] *= 0.5
    # Trapezoids between the outermost levels; Chapman's function at the zenith is 1 - 1/x, with x from 200 up.
    assert_allclose(heating @ weight, reaching[1] - reaching[0], rtol=5e-3)


def test_that_the_derivative_is_that_of_finite_differences(thermosphere: ReferenceColumn) -> None:
    z, cosine = heights(thermosphere), np.linspace(-0.4, 1.0, 15)
    above = euv.euv_heating(thermosphere, z, cosine, 121.0)
    below = euv.euv_heating(thermosphere, z, cosine, 119.0)
    # The flux is linear, so that the central difference is exact but for rounding.
    slope = euv.euv_heating_per_sfu(thermosphere, z, cosine, 120.0)
    assert_allclose(slope, 0.5 * (above - below), rtol=1e-9, atol=1e-12 * slope.max())
    assert np.all(slope >= 0.0)


def test_that_no_band_gives_negative_light_at_any_activity() -> None:
    assert np.all(euv.photon_flux(60.0) >= 0.0)
    dark = euv.photon_flux(60.0) == 0.0
    assert np.any(dark)
    assert np.all(euv.photon_flux_per_sfu(60.0)[dark] == 0.0)


def test_that_night_is_dark_far_below_the_horizon_and_high_levels_are_lit_longer(
    thermosphere: ReferenceColumn,
) -> None:
    z = heights(thermosphere)
    heating = euv.euv_heating(thermosphere, z, np.cos(np.radians([95.0, 105.0, 130.0, 180.0])), 120.0)
    assert np.all(heating[:, 2:] == 0.0)
    assert heating[0, 0] == 0.0
    assert heating[-1, 0] > 0.0
    assert heating[-1, 1] > 0.0
    assert heating[-1, 1] < heating[-1, 0]


def test_that_heating_is_continuous_across_the_horizon_and_falls_with_the_zenith_angle(
    thermosphere: ReferenceColumn,
) -> None:
    z = heights(thermosphere)
    across = euv.euv_heating(thermosphere, z, np.array([1e-9, -1e-9]), 120.0)
    assert_allclose(across[:, 0], across[:, 1], rtol=1e-5, atol=1e-9 * across.max())
    cosine = np.linspace(-1.0, 1.0, 201)
    heating = euv.euv_heating(thermosphere, z, cosine, 120.0)
    assert np.all(np.diff(heating, axis=1) >= -1e-9 * heating.max())


def test_that_the_shape_of_the_zenith_angles_is_kept(thermosphere: ReferenceColumn) -> None:
    cosine = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    z = heights(thermosphere)
    heating = euv.euv_heating(thermosphere, z, cosine, 100.0)
    assert heating.shape == (thermosphere.zp.size, 3, 4)
    assert_allclose(heating[:, 2, 1], euv.euv_heating(thermosphere, z, cosine[2, 1], 100.0), rtol=1e-14)


def test_that_the_nodes_average_over_the_globe() -> None:
    cosine, weights = euv.sphere_nodes()
    assert_allclose(weights.sum(), 1.0, rtol=1e-14)
    # The mean of cos chi over the day side is a quarter of the globe's; that of its square a third.
    assert_allclose(np.maximum(cosine, 0.0) @ weights, 0.25, rtol=1e-13)
    assert_allclose(cosine**2 @ weights, 1.0 / 3.0, rtol=1e-13)


def test_that_the_global_mean_has_converged_in_the_number_of_nodes(thermosphere: ReferenceColumn) -> None:
    z = heights(thermosphere)
    cosine, weights = euv.sphere_nodes(512)
    fine = euv.euv_heating(thermosphere, z, cosine, 120.0) @ weights
    assert_allclose(euv.global_mean_euv_heating(thermosphere, z, 120.0), fine, rtol=5e-3)


def test_that_the_global_power_is_of_the_published_size(thermosphere: ReferenceColumn) -> None:
    # Knipp et al. (2004): 464 GW of solar power in the mean of 1975 to 2003, doi:10.1007/s11207-005-6393-4.
    z = heights(thermosphere)
    power = [
        float(euv.global_mean_euv_heating(thermosphere, z, f107) @ thermosphere.layer_mass) * GLOBE / 1e9
        for f107 in (70.0, 200.0)
    ]
    assert 250.0 < power[0] < power[1] < 1500.0
    # A few hundred kelvin a day near 170 km, about a thousand at 300 km.
    rate = DAY * euv.global_mean_euv_heating(thermosphere, z, 120.0) / thermosphere.heat_capacity
    assert 200.0 < np.interp(-1.0, thermosphere.zp, rate) < 1500.0
    assert 500.0 < np.interp(2.5, thermosphere.zp, rate) < 3000.0


def test_that_heights_that_do_not_increase_are_refused(thermosphere: ReferenceColumn) -> None:
    with pytest.raises(ValueError, match="height must increase"):
        euv.euv_heating(thermosphere, heights(thermosphere)[::-1], 1.0, 120.0)
