"""Formulas of the solar wind: worked values, limits, signs, and another formula where both hold."""

from __future__ import annotations

import numpy as np
import pytest

from da.drivers.convection import (
    PROTON_PRESSURE,
    SMALLEST_DENSITY_CM3,
    SMALLEST_VELOCITY_KM_S,
    dynamic_pressure_npa,
    hemispheric_power_from_solar_wind,
    polar_cap_potential_kv,
    reconnection_field_mv_m,
)


def winds(seed: int = 5, count: int = 500) -> tuple[np.ndarray, ...]:
    """Return By, Bz [nT], speed [km/s] and density [cm-3] of many winds, storms included."""
    rng = np.random.default_rng(seed)
    field = rng.normal(0.0, 8.0, (2, count))
    return field[0], field[1], rng.uniform(280.0, 900.0, count), np.exp(rng.normal(1.5, 0.7, count))


def test_that_the_pressure_is_that_of_the_protons() -> None:
    # 1.6726e-27 kg * 5e6 m-3 * (4e5 m/s)^2 in nPa.
    assert dynamic_pressure_npa(5.0, 400.0) == pytest.approx(1.6726e-27 * 5e6 * 4e5**2 * 1e9, rel=1e-12)


def test_that_the_field_is_v_b_sin_squared_of_half_the_clock_angle() -> None:
    by, bz, velocity, _ = winds()
    angle = np.arctan2(by, bz)
    expected = 1e-3 * velocity * np.hypot(by, bz) * np.sin(angle / 2) ** 2
    # Northward fields subtract two nearly equal numbers below 40 nT: 1e-14 of these, times 0.9.
    np.testing.assert_allclose(reconnection_field_mv_m(by, bz, velocity), expected, rtol=1e-12, atol=1e-13)


def test_that_the_field_of_a_southward_wind_is_v_b_and_of_a_northward_one_nothing() -> None:
    assert reconnection_field_mv_m(0.0, -5.0, 400.0) == pytest.approx(2.0)
    assert reconnection_field_mv_m(0.0, 5.0, 400.0) == 0.0
    assert reconnection_field_mv_m(0.0, 0.0, 400.0) == 0.0


def test_that_a_worked_example_of_the_potential_is_met() -> None:
    # E = 5 mV/m; density for P = 1 nPa: 30 + 288 = 318 kV without limit, 1600 / 10 = 160 kV saturated.
    density = 1.0 / (PROTON_PRESSURE * 500.0**2)
    assert polar_cap_potential_kv(0.0, -10.0, 500.0, density, 10.0) == pytest.approx(318.0 * 160.0 / 478.0)


def test_that_without_conductance_the_potential_is_linear_in_the_field() -> None:
    bz = -np.linspace(0.0, 50.0, 11)
    potential = polar_cap_potential_kv(0.0, bz, 450.0, 6.0, 1e-12)
    # The saturated potential is 1e15 kV: its part in the sum is below 1e-11.
    np.testing.assert_allclose(np.diff(potential, 2), 0.0, atol=1e-7)
    assert potential[0] == pytest.approx(30.0)


def test_that_the_strongest_field_reaches_the_saturated_potential_and_none_exceeds_it() -> None:
    by, bz, velocity, density = winds()
    limit = 160.0 * np.cbrt(dynamic_pressure_npa(density, velocity))
    assert np.all(polar_cap_potential_kv(by, bz, velocity, density) < limit)
    np.testing.assert_allclose(polar_cap_potential_kv(0.0, -1e9, velocity, density), limit, rtol=1e-6)


def test_that_density_lowers_a_weak_and_raises_a_saturated_potential() -> None:
    weak = polar_cap_potential_kv(0.0, -4.0, 400.0, np.array([4.0, 8.0]), 0.1)
    strong = polar_cap_potential_kv(0.0, -40.0, 700.0, np.array([4.0, 8.0]))
    assert weak[1] < weak[0]
    assert strong[1] > strong[0]


def test_that_potential_grows_with_southward_field_and_speed_and_ignores_the_sign_of_by() -> None:
    by, bz, velocity, density = winds()
    potential = polar_cap_potential_kv(by, bz, velocity, density)
    assert np.all(polar_cap_potential_kv(by, bz - 1.0, velocity, density) >= potential)
    assert np.all(polar_cap_potential_kv(by, bz, velocity + 45.0, density) > potential)
    np.testing.assert_array_equal(polar_cap_potential_kv(-by, bz, velocity, density), potential)


def test_that_the_potential_of_moderate_winds_is_that_of_boyle_within_their_scatter() -> None:
    by, bz = np.array([0.0, 0.0, 3.0, 0.0]), np.array([-3.0, -5.0, -3.0, -10.0])
    velocity = np.array([400.0, 450.0, 400.0, 500.0])
    total = np.hypot(by, bz)
    # Boyle et al. (1997), doi:10.1029/96JA01742; its scatter about measurements is some 15 kV.
    boyle = 1e-4 * velocity**2 + 11.7 * total * np.sin(np.abs(np.arctan2(by, bz)) / 2) ** 3
    assert np.abs(polar_cap_potential_kv(by, bz, velocity, 5.0) - boyle).max() < 25.0


def test_that_worked_examples_of_the_power_are_met() -> None:
    # 2 (6 + 16.5 + 0.065 * 150), 2 (5 + 0.05 * 150), the cap of the speed at 700 km/s, the smallest power.
    assert hemispheric_power_from_solar_wind(-5.0, 450.0) == pytest.approx(64.5)
    assert hemispheric_power_from_solar_wind(5.0, 450.0) == pytest.approx(25.0)
    assert hemispheric_power_from_solar_wind(-5.0, 900.0) == hemispheric_power_from_solar_wind(-5.0, 700.0)
    assert hemispheric_power_from_solar_wind(9.0, 210.0) == 5.0


def test_that_power_follows_the_southward_field_alone() -> None:
    bz = -np.linspace(0.1, 30.0, 50)
    assert np.all(np.diff(hemispheric_power_from_solar_wind(bz, 500.0)) > 0)
    assert np.ptp(hemispheric_power_from_solar_wind(-bz, 500.0)) == 0.0


def test_that_winds_slower_or_thinner_than_any_count_as_the_smallest() -> None:
    slow, thin = SMALLEST_VELOCITY_KM_S, SMALLEST_DENSITY_CM3
    assert polar_cap_potential_kv(1.0, -2.0, -50.0, -3.0) == polar_cap_potential_kv(1.0, -2.0, slow, thin)
    assert hemispheric_power_from_solar_wind(-2.0, 0.0) == hemispheric_power_from_solar_wind(-2.0, slow)
    assert np.isfinite(polar_cap_potential_kv(0.0, 0.0, 0.0, 0.0))


def test_that_a_conductance_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        polar_cap_potential_kv(0.0, 0.0, 400.0, 5.0, 0.0)
