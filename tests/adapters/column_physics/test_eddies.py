from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from da.constants import GAS_CONSTANT
from model_adapters.column_physics import fitted
from model_adapters.column_physics.composition import composition_boundary, composition_matrix, eddy_tendency
from model_adapters.column_physics.step_operators import ColumnPhysicsOfDay
from model_adapters.column_physics.thermal import SPECIES, FloatArray, ReferenceColumn, eddy_rate
from model_adapters.column_physics.vertical import conduction_boundary, conduction_matrix, eddy_heating


def log_ratios(column: ReferenceColumn) -> FloatArray:
    return np.stack([np.log(column.fraction(name) / column.fraction("N2")) for name in SPECIES])


def conducted(column: ReferenceColumn, eddy: FloatArray) -> FloatArray:
    """Return the tendency of the temperature itself, which the linear operator gives for fluxes linear in it."""
    bottom = column.temperature[0] ** 1.5 / column.temperature[1] ** 0.5
    return conduction_matrix(column, eddy) @ column.temperature + conduction_boundary(column, eddy) * bottom


def mixed(column: ReferenceColumn, eddy: FloatArray) -> FloatArray:
    """Return the tendency of the log ratios themselves, in so far as it is linear in them."""
    ratios = log_ratios(column)
    bottom = 1.5 * ratios[:, 0] - 0.5 * ratios[:, 1]
    return composition_matrix(column, eddy) @ ratios.ravel() + composition_boundary(column, eddy) @ bottom


@pytest.mark.parametrize("ln_factor", [0.5, -0.3, 0.05])
def test_that_more_eddies_change_the_tendency_by_their_own(thermosphere: ReferenceColumn, ln_factor: float) -> None:
    # Fluxes by eddies are linear in the coefficient: e^x - 1 times them is the exact change, which has them as its
    # derivative at x = 0. Molecular tendencies of up to 1e-1 K/s, a million times larger on top, cancel to rounding.
    eddy = eddy_rate(thermosphere.zp)
    for tendency, own in ((conducted, eddy_heating), (mixed, eddy_tendency)):
        change = tendency(thermosphere, np.exp(ln_factor) * eddy) - tendency(thermosphere, eddy)
        scale = np.abs(own(thermosphere, eddy)).max()
        assert_allclose(change / np.expm1(ln_factor), own(thermosphere, eddy), rtol=0, atol=1e-7 * scale)


def test_that_eddies_carry_heat_out_of_an_isothermal_column_at_the_adiabatic_rate() -> None:
    # The flux (p/g) c_p k_E g H / c_p through the bottom interface is what the column loses.
    zp = np.arange(-7.0 + 0.05, 7.5, 0.1)
    ones = np.ones(zp.size)
    column = ReferenceColumn(zp, 300.0 * ones, {"O": 0.1 * ones, "O2": 0.1 * ones, "He": 1e-6 * ones}, 9.0 * ones)
    heating = eddy_heating(column, eddy_rate(zp))
    lost = -np.sum(heating * column.layer_mass * column.heat_capacity)
    bottom = column.reference_pressure * np.exp(7.0)
    expected = bottom * eddy_rate(np.array([-7.0]))[0] * column.scale_height[0]
    # Coefficients of the lowest interface are taken a quarter of a step above it, where p k_E is 4 % less.
    assert_allclose(lost, expected, rtol=0.05)
    assert heating[0] < 0.0


def test_that_eddies_leave_a_well_mixed_column_of_uniform_potential_temperature_alone() -> None:
    zp = np.arange(-6.75, 7.5, 0.5)
    ones = np.ones(zp.size)
    fractions = {"O": 0.3 * ones, "O2": 0.1 * ones, "He": 1e-5 * ones}
    isothermal = ReferenceColumn(zp, 500.0 * ones, fractions, 9.0 * ones)
    exponent = GAS_CONSTANT / (isothermal.mean_molar_mass * isothermal.heat_capacity)
    mixed_column = replace(isothermal, temperature=500.0 * np.exp(-exponent * (zp + 7.0)))
    eddy = eddy_rate(zp)
    scale = np.abs(eddy_heating(isothermal, eddy)).max()
    assert_allclose(eddy_heating(mixed_column, eddy), 0.0, atol=1e-5 * scale)
    assert_allclose(eddy_tendency(isothermal, eddy), 0.0, atol=1e-12 * eddy.max())


def test_that_eddies_bring_oxygen_down(thermosphere: ReferenceColumn) -> None:
    # O and He grow upward relative to N2, O2 declines: mixing works against each near the turbopause.
    tendency = dict(zip(SPECIES, eddy_tendency(thermosphere, eddy_rate(thermosphere.zp)).reshape(3, -1), strict=True))
    assert tendency["O"][0] < 0.0
    assert tendency["He"][0] < 0.0
    assert tendency["O2"][0] > 0.0


@pytest.fixture
def physics(thermosphere: ReferenceColumn) -> ColumnPhysicsOfDay:
    return ColumnPhysicsOfDay.of(thermosphere, np.linspace(1e5, 6e5, thermosphere.zp.size), 80.0, 1.0)


def without_overturning(physics: ColumnPhysicsOfDay, monkeypatch: pytest.MonkeyPatch) -> ColumnPhysicsOfDay:
    monkeypatch.setattr(fitted, "OVERTURNING_RATE", 0.0)
    return ColumnPhysicsOfDay.of(physics.column, physics.height, 80.0, 1.0)


def test_that_overturning_leaves_every_balance_as_it_was(
    physics: ColumnPhysicsOfDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = without_overturning(physics, monkeypatch)
    assert np.abs(physics.diffusion - still.diffusion).max() > 0.0
    rng = np.random.default_rng(8)
    drawn = rng.normal(size=5), rng.normal(size=(3, 5)), rng.normal(size=5)
    for found, expected in zip(physics.balance(*drawn), still.balance(*drawn), strict=True):
        assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_that_overturning_hastens_the_decay_of_every_mode_of_composition(
    physics: ColumnPhysicsOfDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = np.sort(np.linalg.eigvals(physics.diffusion).real)
    overturning = fitted.OVERTURNING_RATE
    still = np.sort(np.linalg.eigvals(without_overturning(physics, monkeypatch).diffusion).real)
    assert still[-1] < 0.0
    assert rates[-1] < -overturning
    assert_allclose(rates, still - overturning, rtol=1e-6)


def test_that_balances_are_where_the_equations_stand_still(physics: ColumnPhysicsOfDay) -> None:
    bottom_k, bottom_ratio, eddies = np.array([5.0]), np.array([[0.2], [0.0], [-0.3]]), np.array([0.4])
    tau, ratio = physics.balance(bottom_k, bottom_ratio, eddies)
    warming = physics.bottom_temperature * bottom_k[0] + physics.eddy_temperature * eddies[0]
    mixing = physics.bottom_ratio @ bottom_ratio[:, 0] + physics.eddy_ratio * eddies[0]
    # tau' = A tau - D c + heating, c' = B c + C tau + mixing.
    cooling = physics.cooling_by_composition @ ratio[:, 0]
    for matrix, found, driven in (
        (physics.conduction, tau[:, 0], warming - cooling),
        (physics.diffusion, ratio[:, 0], mixing + physics.coupling @ tau[:, 0]),
    ):
        assert_allclose(matrix @ found, -driven, rtol=0, atol=1e-9 * (np.abs(matrix) @ np.abs(found)).max())
    # More eddies take atomic oxygen out of the thermosphere. With it goes what excites CO2 and NO: their own cooling is
    # more than made up for.
    _, fewer = physics.balance(np.zeros(1), np.zeros((3, 1)), eddies)
    assert np.all(fewer[: physics.column.zp.size] < 0.0)
    assert np.sum(physics.eddy_temperature * physics.column.layer_mass * physics.column.heat_capacity) < 0.0
