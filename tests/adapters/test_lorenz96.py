from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

from da.errors import ThermodaError
from da.model import MemberInputs
from da.seeding import Purpose, streams
from model_adapters.lorenz96 import Lorenz96, Lorenz96Settings

START = np.datetime64("2000-01-01", "ns")
UNPERTURBED = MemberInputs({})


def later(time_units: float) -> np.datetime64:
    """Return the time so many model time units, of five days each, after the start."""
    return START + np.timedelta64(round(time_units * 5 * 86_400e9), "ns")


def on_attractor(model: Lorenz96, members: int = 1) -> np.ndarray:
    return model.initial(START, UNPERTURBED, streams(3, Purpose.INITIAL_STATE, range(members)))


def tendency(_: float, x: np.ndarray, forcing: float) -> np.ndarray:
    """Return the equation as it is printed, one variable after the other."""
    n = x.size
    return np.array([(x[(i + 1) % n] - x[i - 2]) * x[i - 1] - x[i] + forcing for i in range(n)])


def test_that_the_error_of_the_integration_falls_with_the_fourth_power_of_the_step() -> None:
    x = on_attractor(Lorenz96(Lorenz96Settings()))
    exact = solve_ivp(tendency, (0.0, 0.5), x[:, 0], "DOP853", args=(8.0,), rtol=1e-12, atol=1e-12).y[:, -1]
    errors = []
    for step in (0.05, 0.025, 0.0125):
        model = Lorenz96(Lorenz96Settings(step_time_units=step))
        errors.append(np.linalg.norm(model.forecast(x, START, later(0.5), UNPERTURBED)[:, 0] - exact))
    order = np.log2(np.array(errors[:-1]) / errors[1:])
    # The next term of the error is one order smaller: at these steps it moves the order by some tenths.
    assert_allclose(order, 4.0, rtol=0, atol=0.4)
    assert abs(order[1] - 4.0) < 0.25


def test_that_without_forcing_the_energy_decays_by_friction_alone() -> None:
    # Advection conserves sum x^2, and friction gives d(sum x^2)/dt = -2 sum x^2.
    x = on_attractor(Lorenz96(Lorenz96Settings()), members=5)
    model = Lorenz96(Lorenz96Settings(forcing=0.0, step_time_units=0.01))
    result = model.forecast(x, START, later(1.0), UNPERTURBED)
    assert_allclose(np.sum(result**2, axis=0) / np.sum(x**2, axis=0), np.exp(-2.0), rtol=1e-5)


def test_that_forcing_as_an_input_is_forcing_as_a_setting() -> None:
    x = on_attractor(Lorenz96(Lorenz96Settings()), members=2)
    perturbed = Lorenz96(Lorenz96Settings()).forecast(
        x, START, later(1.0), MemberInputs({"forcing": np.array([0.0, -3.0])})
    )
    for member, forcing in enumerate((8.0, 5.0)):
        alone = Lorenz96(Lorenz96Settings(forcing=forcing)).forecast(x[:, [member]], START, later(1.0), UNPERTURBED)
        assert_array_equal(perturbed[:, [member]], alone)


def test_that_the_state_of_rest_is_a_fixed_point() -> None:
    model = Lorenz96(Lorenz96Settings())
    rest = np.full((40, 1), 8.0)
    assert_array_equal(model.forecast(rest, START, later(5.0), UNPERTURBED), rest)


def test_that_turning_the_ring_turns_the_forecast() -> None:
    model = Lorenz96(Lorenz96Settings())
    x = on_attractor(model)
    forecast = model.forecast(x, START, later(1.0), UNPERTURBED)
    turned = model.forecast(np.roll(x, 7, axis=0), START, later(1.0), UNPERTURBED)
    assert_array_equal(turned, np.roll(forecast, 7, axis=0))


def test_that_small_errors_grow_by_the_known_exponent() -> None:
    # Lorenz & Emanuel (1998): errors double in 2.1 days, 0.42 time units, which is an exponent of 1.65. Eight units
    # of forty members gave 1.67 to 1.73 for four seeds.
    model = Lorenz96(Lorenz96Settings())
    x = on_attractor(model, members=40)
    twin = x + 1e-11 * np.random.default_rng(5).standard_normal(x.shape)
    norms = []
    for begin, end in ((0.0, 2.0), (2.0, 10.0)):
        x, twin = (model.forecast(one, later(begin), later(end), UNPERTURBED) for one in (x, twin))
        norms.append(np.linalg.norm(twin - x, axis=0))
    exponent = np.mean(np.log(norms[1] / norms[0])) / 8.0
    assert exponent == pytest.approx(1.65, abs=0.2)


def test_that_members_start_apart_and_with_the_statistics_of_the_attractor() -> None:
    # Long means at F = 8: 2.34 and a standard deviation of 3.64 (measured over 10^5 steps; the energy balance
    # mean(x^2) = F mean(x) holds between them). Fifty members of 40 variables leave a scatter of 0.1.
    x = on_attractor(Lorenz96(Lorenz96Settings(spin_up_steps=200)), members=50)
    assert np.ptp(x, axis=1).min() > 5.0
    assert x.mean() == pytest.approx(2.34, abs=0.3)
    assert np.mean(x**2) == pytest.approx(8.0 * x.mean(), rel=0.1)


def test_that_the_usual_step_of_one_twentieth_lasts_six_hours() -> None:
    model = Lorenz96(Lorenz96Settings())
    x = on_attractor(model)
    with pytest.raises(ThermodaError, match="not a multiple of the step of 6 h"):
        model.forecast(x, START, START + np.timedelta64(3, "h"), UNPERTURBED)
    six_hours = model.forecast(x, START, START + np.timedelta64(6, "h"), UNPERTURBED)
    assert_array_equal(six_hours, model.forecast(x, START, later(0.05), UNPERTURBED))
