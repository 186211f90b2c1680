from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import eig

from da.constants import GAS_CONSTANT, MOLAR_MASS
from model_adapters.column_physics.thermal import (
    CONDUCTIVITY_EXPONENT,
    SPECIES,
    THERMAL_DIFFUSION_FACTOR,
    FloatArray,
    ReferenceColumn,
    eddy_rate,
)
from model_adapters.column_physics.vertical import (
    conduction_boundary,
    conduction_matrix,
    diffusion_boundary,
    diffusion_matrix,
    diffusion_tendency,
    exchanged_mass,
    forced,
    propagator,
    thermal_diffusion_boundary,
    thermal_diffusion_matrix,
)

Isothermal = Callable[..., tuple[ReferenceColumn, dict[str, float]]]


def well_mixed(step: float, temperature: Callable[[FloatArray], FloatArray] | float) -> ReferenceColumn:
    zp = np.arange(-7.0 + 0.5 * step, 7.5, step)
    ones = np.ones(zp.size)
    profile = temperature(zp) if callable(temperature) else temperature * ones
    return ReferenceColumn(zp, profile, {"O": 0.3 * ones, "O2": 0.1 * ones, "He": 1e-5 * ones}, 9.0 * ones)


def warming(zp: FloatArray) -> FloatArray:
    return np.asarray(190.0 + 810.0 / (1.0 + np.exp(-(zp + 2.5))))


def conductance(column: ReferenceColumn) -> float:
    """kappa T^0.31 / H of a well-mixed column, which is constant."""
    return float((column.conductivity / column.scale_height * column.temperature ** (1.0 - CONDUCTIVITY_EXPONENT))[0])


def test_that_a_constant_heat_flux_gives_the_profile_of_conduction() -> None:
    # Heat put into the top layer alone flows down through all others: tau = F H / kappa (zp + 7), exactly.
    column, flux = well_mixed(0.5, 800.0), 1e-4
    heating = np.zeros(column.zp.size)
    heating[-1] = flux / (column.layer_mass[-1] * column.heat_capacity[-1])
    matrix = conduction_matrix(column, np.zeros(column.zp.size))
    anomaly = np.linalg.solve(matrix, -heating)
    expected = flux * column.scale_height / column.conductivity * (column.zp + 7.0)
    assert_allclose(anomaly, expected, rtol=1e-9)


def steady_error(step: float) -> float:
    # Heated by q per kg everywhere, no flux above: with theta = T^-0.31 tau and a = kappa T^0.31 / H constant,
    # a theta' = q (p - p_top) / g, so that theta = q p0 / (g a) (e^7 - e^-zp - (zp + 7) e^-7.5).
    column, heating = well_mixed(step, warming), 0.01
    matrix = conduction_matrix(column, np.zeros(column.zp.size))
    anomaly = np.linalg.solve(matrix, np.full(column.zp.size, -heating / column.heat_capacity[0]))
    scale = heating * column.reference_pressure / (9.0 * conductance(column))
    theta = scale * (np.exp(7.0) - np.exp(-column.zp) - (column.zp + 7.0) * np.exp(-7.5))
    expected = theta * column.temperature ** (1.0 - CONDUCTIVITY_EXPONENT)
    return float(np.max(np.abs(anomaly / expected - 1.0)[column.zp > -6.0]))


def test_that_conduction_converges_with_the_square_of_the_step() -> None:
    errors = np.array([steady_error(step) for step in (0.5, 0.25, 0.125)])
    assert errors[0] < 0.05
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 1.8)


def trace_error(step: float) -> float:
    # A trace gas whose share grows as exp(zp), in N2: p D / H^2 and hence a = (p/g) D / H^2 are constant. Increased
    # everywhere at a rate s, a c' = (p0 s / g) exp(-zp) (top - zp), and c the integral of it from the bottom.
    zp = np.arange(-7.0 + 0.5 * step, 7.5, step)
    ones = np.ones(zp.size)
    held = {"O": 1e-12 * ones, "O2": 1e-12 * ones, "He": 1e-10 * np.exp(zp)}
    column, rate = ReferenceColumn(zp, 800.0 * ones, held, 9.0 * ones), 1e-6
    matrix = diffusion_matrix(column, "He", np.zeros(zp.size))
    response = np.linalg.solve(matrix, np.full(zp.size, -rate))
    diffusivity = column.pressure * column.binary_diffusion("He", "N2") / column.scale_height**2
    scale = column.reference_pressure * rate / diffusivity[0]

    def integral(level: FloatArray | float) -> FloatArray:
        return np.asarray(np.exp(-level) * (1.0 - (7.5 - level)))

    expected = scale * (integral(zp) - integral(-7.0))
    return float(np.max(np.abs(response / expected - 1.0)[zp > -6.0]))


def test_that_diffusion_converges_with_the_square_of_the_step() -> None:
    errors = np.array([trace_error(step) for step in (0.5, 0.25, 0.125)])
    assert errors[0] < 0.05
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 1.8)


def test_that_a_closed_column_keeps_its_heat(thermosphere: ReferenceColumn) -> None:
    matrix = conduction_matrix(thermosphere, eddy_rate(thermosphere.zp), closed=True)
    weight = thermosphere.layer_mass * thermosphere.heat_capacity
    assert_allclose(weight @ matrix, 0.0, atol=1e-13 * np.max(weight[:, None] * np.abs(matrix)))
    anomaly = np.random.default_rng(3).normal(size=thermosphere.zp.size)
    after = propagator(matrix, 86400.0) @ anomaly
    assert_allclose(weight @ after, weight @ anomaly, rtol=1e-9)


def test_that_eddies_alone_make_potential_temperature_uniform() -> None:
    column = well_mixed(0.5, 600.0)
    fast = conduction_matrix(column, np.full(column.zp.size, 1e12), closed=True)
    exponent = GAS_CONSTANT / (column.mean_molar_mass * column.heat_capacity)
    uniform = np.exp(-exponent * column.zp)
    assert_allclose(fast @ uniform, 0.0, atol=1e-9 * np.max(np.abs(fast)))


@pytest.mark.parametrize("species", SPECIES)
def test_that_a_closed_column_keeps_its_gas(thermosphere: ReferenceColumn, species: str) -> None:
    matrix = diffusion_matrix(thermosphere, species, eddy_rate(thermosphere.zp), closed=True)
    weight = thermosphere.layer_mass * exchanged_mass(thermosphere, species)
    heat = thermal_diffusion_matrix(thermosphere, species, closed=True)
    for operator in (matrix, heat):
        scale = np.max(weight[:, None] * np.abs(operator), initial=1e-300)
        assert_allclose(weight @ operator, 0.0, atol=1e-13 * scale)


@pytest.mark.parametrize("step", [0.25, 0.5])
def test_that_all_eigenvalues_are_real_and_negative(step: float) -> None:
    column = well_mixed(step, warming)
    eddy = eddy_rate(column.zp)
    operators = [conduction_matrix(column, eddy), *(diffusion_matrix(column, name, eddy) for name in SPECIES)]
    for matrix in operators:
        rates = np.linalg.eigvals(matrix)
        assert np.max(np.abs(rates.imag)) <= 1e-12 * np.max(np.abs(rates))
        assert np.max(rates.real) < 0.0


def test_that_the_slowest_mode_decays_with_its_eigenvalue(thermosphere: ReferenceColumn) -> None:
    matrix = conduction_matrix(thermosphere, eddy_rate(thermosphere.zp))
    rates, modes = np.linalg.eig(matrix)
    for index in np.argsort(-rates.real)[:4]:
        mode, rate = modes[:, index].real, float(rates[index].real)
        after = propagator(matrix, 3600.0) @ mode
        assert_allclose(after, np.exp(3600.0 * rate) * mode, atol=1e-9 * np.max(np.abs(mode)))
        gained = forced(matrix, 3600.0) @ mode
        assert_allclose(gained, np.expm1(3600.0 * rate) / rate * mode, atol=1e-9 * np.max(np.abs(gained)))


@pytest.mark.parametrize("dt", [60.0, 3600.0, 86400.0])
def test_that_short_steps_make_a_long_one(thermosphere: ReferenceColumn, dt: float) -> None:
    # Halves, and thirds, whose exponentials are scaled by other powers of two than the whole.
    eddy = eddy_rate(thermosphere.zp)
    for matrix in (conduction_matrix(thermosphere, eddy), diffusion_matrix(thermosphere, "He", eddy)):
        whole, answer = propagator(matrix, dt), forced(matrix, dt)
        for parts in (2, 3):
            short, gained = propagator(matrix, dt / parts), forced(matrix, dt / parts)
            assert_allclose(np.linalg.matrix_power(short, parts), whole, atol=1e-9)
            steps = [np.linalg.matrix_power(short, k) @ gained for k in range(parts)]
            assert_allclose(np.sum(steps, axis=0), answer, atol=1e-9 * dt)


def test_that_no_time_changes_nothing(thermosphere: ReferenceColumn) -> None:
    matrix = conduction_matrix(thermosphere, eddy_rate(thermosphere.zp))
    assert_allclose(propagator(matrix, 0.0), np.eye(thermosphere.zp.size), atol=0.0)
    assert_allclose(forced(matrix, 0.0), 0.0, atol=0.0)


def test_that_propagators_damp_and_never_turn_warm_into_cold(thermosphere: ReferenceColumn) -> None:
    eddy = eddy_rate(thermosphere.zp)
    for name in SPECIES:
        step = propagator(diffusion_matrix(thermosphere, name, eddy), 3600.0)
        assert np.min(step) > -1e-10
        assert np.max(step.sum(axis=1)) < 1.0 + 1e-10


def test_that_a_bottom_offset_of_a_ratio_ends_up_everywhere(thermosphere: ReferenceColumn) -> None:
    eddy = eddy_rate(thermosphere.zp)
    for name in SPECIES:
        matrix = diffusion_matrix(thermosphere, name, eddy)
        response = np.linalg.solve(matrix, -diffusion_boundary(thermosphere, name, eddy))
        assert_allclose(response, 1.0, rtol=1e-6)


def test_that_a_bottom_offset_of_temperature_grows_with_the_conductance_of_warm_gas() -> None:
    column = well_mixed(0.5, warming)
    none = np.zeros(column.zp.size)
    response = np.linalg.solve(conduction_matrix(column, none), -conduction_boundary(column, none))
    growth = column.temperature ** (1.0 - CONDUCTIVITY_EXPONENT)
    assert_allclose(response / response[0], growth / growth[0], rtol=1e-9)
    # Less than 1 % from the bottom interface to the lowest level: T is extrapolated to it from the two levels above.
    assert_allclose(response[0], (column.temperature[0] / warming(np.array(-7.0))) ** 0.31, rtol=0.01)


def test_that_gases_in_diffusive_equilibrium_stay_there(isothermal: Isothermal) -> None:
    # With the composition of the column made of gases each with its own scale height, the whole operator is at rest
    # where these ratios are; from anywhere else it returns to them. Slopes, and hence scale heights, to 1 %.
    column, bottom = isothermal()
    none = np.zeros(column.zp.size)
    for name in SPECIES:
        exact = np.log(column.fraction(name) / column.fraction("N2"))
        tendency = diffusion_tendency(column, name, none, exact, bottom[name])
        steady = exact - np.linalg.solve(diffusion_matrix(column, name, none), tendency)
        assert_allclose(np.diff(steady), np.diff(exact), rtol=0.01)
        assert_allclose(steady, exact, atol=0.02)


def test_that_every_gas_falls_off_with_its_own_scale_height_in_an_isothermal_column(isothermal: Isothermal) -> None:
    column, bottom = isothermal(0.25)
    none = np.zeros(column.zp.size)
    steady = {}
    for name in SPECIES:
        exact = np.log(column.fraction(name) / column.fraction("N2"))
        tendency = diffusion_tendency(column, name, none, exact, bottom[name])
        steady[name] = exact - np.linalg.solve(diffusion_matrix(column, name, none), tendency)
    settled = ReferenceColumn.from_log_ratio(column.zp, column.temperature, steady, column.gravity)
    per_level = 0.5 * column.step * (settled.scale_height[1:] + settled.scale_height[:-1])
    for name in (*SPECIES, "N2"):
        decline = -np.diff(np.log(settled.mole_fraction(name) * settled.pressure)) / per_level
        expected = GAS_CONSTANT * column.temperature[0] / (MOLAR_MASS[name] * column.gravity[0])
        assert_allclose(1.0 / decline, expected, rtol=0.01)


def test_that_diffusive_equilibrium_on_pressure_levels_knows_no_temperature_but_by_thermal_diffusion() -> None:
    cold, warm = well_mixed(0.5, 600.0), well_mixed(0.5, warming)
    none = np.zeros(cold.zp.size)
    for name in SPECIES:
        steady = [
            np.linalg.solve(
                diffusion_matrix(column, name, none),
                -diffusion_tendency(column, name, none, none, bottom_log_ratio=0.0),
            )
            for column in (cold, warm)
        ]
        bottom = warm.temperature[0] ** 1.5 / warm.temperature[1] ** 0.5
        expected = -THERMAL_DIFFUSION_FACTOR[name] * np.log(warm.temperature / bottom)
        assert_allclose(steady[1] - steady[0], expected, atol=1e-8)


def test_that_helium_follows_the_warmth_and_oxygen_does_not(thermosphere: ReferenceColumn) -> None:
    none = np.zeros(thermosphere.zp.size)
    anomaly = 50.0 * np.exp(0.1 * thermosphere.zp)
    for name in SPECIES:
        source = thermal_diffusion_matrix(thermosphere, name) @ anomaly
        response = np.linalg.solve(diffusion_matrix(thermosphere, name, none), -source)
        expected = -THERMAL_DIFFUSION_FACTOR[name] * anomaly / thermosphere.temperature
        assert_allclose(response, expected, atol=1e-9)
    offset = thermal_diffusion_boundary(thermosphere, "He")
    below = np.linalg.solve(diffusion_matrix(thermosphere, "He", none), -offset)
    bottom = thermosphere.temperature[0] ** 1.5 / thermosphere.temperature[1] ** 0.5
    assert_allclose(below, -0.38 / bottom, rtol=1e-6)


def test_that_coupling_vanishes_for_a_constant_relative_anomaly(thermosphere: ReferenceColumn) -> None:
    tau = 0.05 * thermosphere.temperature
    closed = thermal_diffusion_matrix(thermosphere, "He", closed=True) @ tau
    scale = np.abs(thermal_diffusion_matrix(thermosphere, "He")) @ tau
    assert_allclose(closed / scale, 0.0, atol=1e-12)


def test_that_propagators_agree_with_the_eigenvalue_decomposition(thermosphere: ReferenceColumn) -> None:
    matrix = diffusion_matrix(thermosphere, "O", eddy_rate(thermosphere.zp))
    rates, modes = eig(matrix)
    expected = (modes * np.exp(rates * 3600.0)) @ np.linalg.inv(modes)
    assert_allclose(propagator(matrix, 3600.0), expected.real, atol=1e-8)


def test_that_an_unknown_species_is_refused(thermosphere: ReferenceColumn) -> None:
    with pytest.raises(ValueError, match="species must be one of O, O2, He, not N2"):
        diffusion_matrix(thermosphere, "N2", eddy_rate(thermosphere.zp))
