from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from model_adapters.column_physics.composition import composition_boundary, composition_matrix, temperature_coupling
from model_adapters.column_physics.cooling import cooling_rates, nitric_oxide_cooling, nitric_oxide_fraction
from model_adapters.column_physics.nonlinear_column import Disturbance, NonlinearColumn, Term
from model_adapters.column_physics.thermal import CONDUCTIVITY_EXPONENT, SPECIES, ReferenceColumn, eddy_rate
from model_adapters.column_physics.vertical import conduction_boundary, conduction_matrix, forced

Isothermal = Callable[..., tuple[ReferenceColumn, dict[str, float]]]

LOSS_RATE = 7e-6
LINEAR_MODEL_NEGLECTS = frozenset({Term.HEAT_COMPOSITION, Term.DIFFUSION})
"""Composition in the heat equation, and the answer of the reference's own diffusive fluxes to an anomaly."""


def twin_of(column: ReferenceColumn, eddy: np.ndarray) -> NonlinearColumn:
    return NonlinearColumn(column, eddy, nitric_oxide_fraction(column, 120.0, 1.0), LOSS_RATE)


@pytest.fixture
def twin(thermosphere: ReferenceColumn) -> NonlinearColumn:
    return twin_of(thermosphere, eddy_rate(thermosphere.zp))


def conduction_and_cooling(twin: NonlinearColumn) -> np.ndarray:
    """Return A of the linear model."""
    rates = cooling_rates(twin.reference, twin.nitric_oxide).total()
    return conduction_matrix(twin.reference, twin.eddy) - np.diag(rates + LOSS_RATE)


def linear_matrix(twin: NonlinearColumn) -> np.ndarray:
    """Return the linear operators A, B and C as one matrix."""
    levels, column = twin.reference.zp.size, twin.reference
    none = np.zeros((levels, 3 * levels))
    below = [temperature_coupling(column), composition_matrix(column, twin.eddy)]
    return np.block([[conduction_and_cooling(twin), none], below])


def heating_of(twin: NonlinearColumn, top_anomaly: float, seconds: float) -> Disturbance:
    """Return the uniform heating that changes the topmost linear temperature by so much in a time."""
    unit = Disturbance(np.ones(twin.reference.zp.size))
    response = forced(conduction_and_cooling(twin), seconds) @ (unit.heating / twin.reference.heat_capacity)
    return Disturbance(unit.heating * top_anomaly / response[-1])


def linear_answer(twin: NonlinearColumn, heating: Disturbance, seconds: float) -> np.ndarray:
    source = np.concatenate([heating.heating / twin.reference.heat_capacity, np.zeros(3 * twin.reference.zp.size)])
    return np.asarray(forced(linear_matrix(twin), seconds) @ source)


def test_that_the_reference_is_steady(twin: NonlinearColumn) -> None:
    assert_array_equal(twin.tendency(twin.rest, twin.undisturbed), 0.0)
    after = twin.integrate(twin.rest, twin.undisturbed, [86400.0])[0]
    assert_array_equal(after, 0.0)


def test_that_the_linear_operators_are_its_derivative(twin: NonlinearColumn) -> None:
    # Central differences of 0.01 K and 1e-5 are good to their squares and to rounding over them.
    held = replace(twin, tangent=LINEAR_MODEL_NEGLECTS)
    linear = linear_matrix(twin)
    derivative = held.jacobian(held.rest, held.undisturbed)
    levels = twin.reference.zp.size
    for rows in (slice(0, levels), slice(levels, 4 * levels)):
        for columns in (slice(0, levels), slice(levels, 4 * levels)):
            scale = max(np.max(np.abs(linear[rows, columns])), 1e-30)
            assert_allclose(derivative[rows, columns], linear[rows, columns], atol=1e-7 * scale, rtol=1e-6)


def test_that_the_full_equations_conduct_and_cool_by_the_linear_operator(twin: NonlinearColumn) -> None:
    levels = twin.reference.zp.size
    derivative = twin.jacobian(twin.rest, twin.undisturbed)[:levels, :levels]
    linear = conduction_and_cooling(twin)
    assert_allclose(derivative, linear, atol=1e-8 * np.max(np.abs(linear)))


def test_that_nothing_is_neglected_in_diffusion_where_the_reference_is_in_equilibrium(isothermal: Isothermal) -> None:
    # Neglected is what an anomaly does to the reference's own fluxes: none without eddies in diffusive equilibrium.
    differences = []
    for step in (0.5, 0.25):
        column, _ = isothermal(step)
        still = twin_of(column, np.zeros(column.zp.size))
        levels = column.zp.size
        derivative = still.jacobian(still.rest, still.undisturbed)[levels:, levels:]
        linear = composition_matrix(column, still.eddy)
        differences.append(np.max(np.abs(derivative - linear)[1:].sum(axis=1) / np.abs(linear)[1:].sum(axis=1)))
    assert differences[0] < 0.02
    assert differences[1] < 0.5 * differences[0]


def test_that_offsets_of_the_bottom_act_as_in_the_linear_model(twin: NonlinearColumn) -> None:
    held, levels, none = replace(twin, tangent=LINEAR_MODEL_NEGLECTS), twin.reference.zp.size, twin.undisturbed
    warmer, colder = (replace(none, bottom_temperature=offset) for offset in (0.01, -0.01))
    slope = (held.tendency(held.rest, warmer) - held.tendency(held.rest, colder)) / 0.02
    assert_allclose(slope[:levels], conduction_boundary(twin.reference, twin.eddy), rtol=1e-7)
    boundary = composition_boundary(twin.reference, twin.eddy)
    for i in range(len(SPECIES)):
        offset = 1e-5 * np.eye(len(SPECIES))[i]
        more, less = (replace(none, bottom_ratio=sign * offset) for sign in (1.0, -1.0))
        slope = (held.tendency(held.rest, more) - held.tendency(held.rest, less)) / 2e-5
        assert_allclose(slope[levels:], boundary[:, i], atol=1e-7 * np.max(np.abs(boundary[:, i])))


def test_that_more_nitric_oxide_cools_the_reference_and_damps_anomalies(twin: NonlinearColumn) -> None:
    levels, double = twin.reference.zp.size, replace(twin.undisturbed, nitric_oxide_factor=2.0)
    cooling, slope = nitric_oxide_cooling(twin.reference, twin.nitric_oxide)
    assert_allclose(twin.tendency(twin.rest, double)[:levels], -cooling / twin.reference.heat_capacity, atol=1e-12)
    change = twin.jacobian(twin.rest, double) - twin.jacobian(twin.rest, twin.undisturbed)
    expected = np.diag(-slope / twin.reference.heat_capacity)
    assert_allclose(change[:levels, :levels], expected, atol=1e-6 * np.max(np.abs(expected)) + 1e-11)


def test_that_the_error_of_the_linear_model_grows_with_the_square_of_the_anomaly(twin: NonlinearColumn) -> None:
    held, seconds = replace(twin, tangent=LINEAR_MODEL_NEGLECTS), 12 * 3600.0
    errors = []
    for amplitude in (10.0, 20.0):
        heating = heating_of(twin, amplitude, seconds)
        error = held.integrate(held.rest, heating, [seconds])[0] - linear_answer(twin, heating, seconds)
        errors.append(np.max(np.abs(error[: twin.reference.zp.size])))
    assert errors[-1] < 0.5
    # The next order is the amplitude over the lowest temperatures, 200 K, times this one: some percent at 10 K.
    assert_allclose(np.log2(np.array(errors[1:]) / errors[:-1]), 2.0, atol=0.1)


def test_that_with_all_tangents_temperature_obeys_the_linear_model(twin: NonlinearColumn) -> None:
    held, seconds, levels = replace(twin, tangent=frozenset(Term)), 24 * 3600.0, twin.reference.zp.size
    heating = heating_of(twin, 300.0, seconds)
    found = held.integrate(held.rest, heating, [seconds])[0, :levels]
    # The integration's relative tolerance of 1e-6 is per step, of which there are a few hundred.
    assert_allclose(found, linear_answer(twin, heating, seconds)[:levels], rtol=1e-4, atol=1e-3)


def test_that_heating_warms_and_as_much_cooling_cools_by_about_as_much(twin: NonlinearColumn) -> None:
    seconds, levels = 6 * 3600.0, twin.reference.zp.size
    warm, cold = (
        twin.integrate(twin.rest, heating_of(twin, amplitude, seconds), [seconds])[0, :levels]
        for amplitude in (50.0, -50.0)
    )
    assert np.all(warm > 0.0)
    assert np.all(cold < 0.0)
    # Cooling as exp(-960 K / T) has a second derivative 960 / T^2 times the first: half of it is 0.005 per K at 300 K,
    # which makes 13 % of 25 K there, of that share which is radiated.
    assert np.max(np.abs(warm + cold)) < 0.06 * np.max(warm)


def test_that_a_closed_column_keeps_its_heat_and_every_gas(twin: NonlinearColumn) -> None:
    rng, closed = np.random.default_rng(2), replace(twin, closed=True)
    levels, mass = twin.reference.zp.size, twin.reference.layer_mass
    anomaly = np.concatenate([50.0 * rng.normal(size=levels), 0.1 * rng.normal(size=3 * levels)])
    heat = closed._conduction(anomaly, closed.undisturbed)
    assert abs(mass @ heat) < 1e-12 * (mass @ np.abs(heat))
    rates, column = closed._diffusion(anomaly, closed.undisturbed), closed.column(anomaly)
    fractions = np.stack([column.fraction(name) for name in SPECIES])
    change = fractions * (rates - np.sum(fractions * rates, axis=0))
    # Small shares of fast opposite changes: rounding of the largest of the three.
    assert_allclose(change @ mass, 0.0, atol=1e-11 * np.max(np.abs(change) @ mass))


def test_that_a_constant_flux_in_a_mixed_column_makes_a_power_of_temperature_linear() -> None:
    # kappa / H dT/dzp is the gradient of T^0.69 but for a constant.
    zp = np.arange(-6.75, 7.5, 0.5)
    ones = np.ones(zp.size)
    fractions = {"O": 0.3 * ones, "O2": 0.1 * ones, "He": 1e-5 * ones}
    column = ReferenceColumn(zp, 500.0 * ones, fractions, 9.0 * ones)
    still = twin_of(column, 0.0 * ones)
    power = 500.0**CONDUCTIVITY_EXPONENT + 3.0 * (zp + 7.0)
    anomaly = np.concatenate([power ** (1.0 / CONDUCTIVITY_EXPONENT) - 500.0, np.zeros(3 * zp.size)])
    gain = still._conduction(anomaly, still.undisturbed) * column.layer_mass
    assert_allclose(gain[:-1], 0.0, atol=1e-9 * abs(gain[-1]))
    assert gain[-1] < 0.0


def test_that_two_halves_of_a_time_make_the_whole(twin: NonlinearColumn) -> None:
    heating = heating_of(twin, 200.0, 6 * 3600.0)
    half, whole = twin.integrate(twin.rest, heating, [3 * 3600.0, 6 * 3600.0])
    again = twin.integrate(half, heating, [3 * 3600.0])[0]
    levels = twin.reference.zp.size
    assert_allclose(again[:levels], whole[:levels], atol=0.02)
    assert_allclose(again[levels:], whole[levels:], atol=1e-4)
