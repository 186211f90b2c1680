from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from da.constants import BOLTZMANN
from model_adapters.column_physics import cooling
from model_adapters.column_physics.thermal import FloatArray, ReferenceColumn

DAY = 86400.0
START = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3600, "s")
Emission = Callable[[ReferenceColumn], tuple[FloatArray, FloatArray]]

NITRIC_OXIDE = np.full(30, 1e-6)


def by_nitric_oxide(column: ReferenceColumn) -> tuple[FloatArray, FloatArray]:
    return cooling.nitric_oxide_cooling(column, NITRIC_OXIDE[: column.zp.size])


@pytest.mark.parametrize("emission", [cooling.carbon_dioxide_cooling, cooling.oxygen_cooling, by_nitric_oxide])
def test_that_derivatives_are_those_of_finite_differences(thermosphere: ReferenceColumn, emission: Emission) -> None:
    value, derivative = emission(thermosphere)
    step = 0.01
    above = emission(replace(thermosphere, temperature=thermosphere.temperature + step))[0]
    below = emission(replace(thermosphere, temperature=thermosphere.temperature - step))[0]
    # Second-order error (960 K step / T^2)^2 / 6 stays below 1e-7; rounding is 1e-16 / (step / T) ~ 1e-11.
    scale = np.abs(value) / thermosphere.temperature
    assert np.all(value > 0.0)
    assert np.all(np.abs(derivative - (above - below) / (2.0 * step)) < 1e-6 * scale)


def test_that_every_level_is_damped_and_warm_anomalies_cool(thermosphere: ReferenceColumn) -> None:
    for f107, kp in ((70.0, 1.0), (200.0, 3.0)):
        fraction = cooling.nitric_oxide_fraction(thermosphere, f107, kp)
        rates = cooling.cooling_rates(thermosphere, fraction)
        assert np.all(rates.total() > 0.0)
        assert np.all(rates.oxygen > 0.0)
        assert np.all(rates.nitric_oxide > 0.0)
        assert np.all(rates.total(3.0) > rates.total())


def test_that_time_scales_are_of_the_published_size(thermosphere: ReferenceColumn) -> None:
    # After storms the thermosphere recovers within half a day to two days as NO near 130 to 170 km cools it
    # (Lei et al. 2012; Mlynczak et al. 2003, doi:10.1029/2003GL017693, who call it a thermostat).
    fraction = cooling.nitric_oxide_fraction(thermosphere, 180.0, 4.0)
    rates = cooling.cooling_rates(thermosphere, fraction)
    hours = 1.0 / (3600.0 * rates.total(2.0))
    fastest = hours[(thermosphere.zp > -4.0) & (thermosphere.zp < 0.0)].min()
    assert 3.0 < fastest < 48.0
    # Conduction, not radiation, governs above 250 km: more than a week.
    assert np.all(hours[thermosphere.zp > 2.0] > 168.0)
    # CO2 rules below 110 km, with time scales of hours to a day or two.
    low = thermosphere.zp < -5.5
    assert np.all(rates.carbon_dioxide[low] > 10.0 * rates.nitric_oxide[low])
    assert np.all((DAY * rates.carbon_dioxide[low] > 0.3) & (DAY * rates.carbon_dioxide[low] < 15.0))


def test_that_nitric_oxide_cools_more_with_activity(thermosphere: ReferenceColumn) -> None:
    power = []
    for f107, kp in ((70.0, 1.0), (70.0, 4.0), (200.0, 1.0)):
        fraction = cooling.nitric_oxide_fraction(thermosphere, f107, kp)
        emitted = cooling.nitric_oxide_cooling(thermosphere, fraction)[0]
        power.append(5.3e14 * float(emitted @ thermosphere.layer_mass))
    assert power[1] > power[0]
    assert power[2] > power[0]
    # SABER: some 5e10 to 4e11 W over the globe (Mlynczak et al. 2003 and later); one column here.
    assert 1e10 < power[0] < power[2] < 1e12


def test_that_nitric_oxide_passes_through_its_nodes_and_peaks_where_observed(thermosphere: ReferenceColumn) -> None:
    fraction = cooling.nitric_oxide_fraction(thermosphere, 120.0, 3.0)
    density = fraction * thermosphere.pressure / (BOLTZMANN * thermosphere.temperature)
    inside = (thermosphere.zp > -7.0) & (thermosphere.zp < 3.0)
    expected = np.exp(np.interp(thermosphere.zp[inside], cooling.NO_ZP, np.log(cooling.NO_DENSITY)))
    assert_allclose(density[inside], expected, rtol=1e-12)
    assert 5e13 < density.max() < 2e14
    assert -6.0 <= thermosphere.zp[density.argmax()] <= -4.5
    # Beyond the last node the slope goes on.
    top = np.diff(np.log(density[thermosphere.zp > 3.0])) / thermosphere.step
    assert_allclose(top, np.log(cooling.NO_DENSITY[-1] / cooling.NO_DENSITY[-2]) / 3.0, rtol=1e-9)


def test_that_carbon_dioxide_thins_out_with_its_own_scale_height(thermosphere: ReferenceColumn) -> None:
    fraction = cooling.carbon_dioxide_fraction(thermosphere)
    assert fraction[0] < cooling.CO2_AT_BOTTOM
    assert np.all(np.diff(fraction) < 0.0)
    partial = np.log(fraction * thermosphere.pressure)
    expected = -cooling.CO2_MOLAR_MASS / thermosphere.mean_molar_mass
    # Trapezoids between levels.
    found = np.diff(partial) / thermosphere.step
    assert_allclose(found, 0.5 * (expected[1:] + expected[:-1]), rtol=1e-10)


def test_that_auroral_nitric_oxide_is_linear_in_the_lagged_power_beyond_the_quiet_one() -> None:
    assert_allclose(cooling.auroral_nitric_oxide(np.array([20.0, 70.0, 10.0]), 20.0, 0.02), [0.0, 1.0, -0.2])


@pytest.mark.parametrize("tau_h", [1.0, 24.0, 1000.0])
def test_that_the_filter_answers_a_step_with_its_closed_form(tau_h: float) -> None:
    times = START + np.array([0, 10, 11, 60]) * HOUR
    values = np.array([0.0, 0.0, 1.0, 1.0])
    hours = np.array([0.0, 5.0, 10.0, 10.5, 11.0, 20.0, 60.0])
    found = cooling.lagged(times, values, START + (hours * 3600).astype("timedelta64[s]"), 3600.0 * tau_h)
    rise = np.clip(hours - 10.0, 0.0, 1.0)
    within = rise - tau_h * (1.0 - np.exp(-rise / tau_h))
    after = 1.0 - (1.0 - within) * np.exp(-np.maximum(hours - 11.0, 0.0) / tau_h)
    expected = np.where(hours <= 11.0, within, after)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_that_the_filter_is_the_integral_of_its_definition() -> None:
    rng = np.random.default_rng(3)
    hours = np.cumsum(rng.uniform(1.0, 4.0, 20))
    times = START + (hours * 3600).astype("timedelta64[s]")
    exact = (times - times[0]) / np.timedelta64(1, "s") / 3600.0
    values, tau = rng.uniform(10.0, 100.0, 20), 7.0
    at = 33.0

    def weighted(age: float) -> float:
        return float(np.interp(at - age, exact, values) * np.exp(-age / tau) / tau)

    knots = np.sort(at - exact[exact < at])
    recent = quad(weighted, 0.0, at, points=knots[:-1], limit=400, epsrel=1e-10)[0]
    expected = recent + values[0] * np.exp(-at / tau)
    found = cooling.lagged(times, values, times[0] + np.timedelta64(int(at), "h"), 3600.0 * tau)
    assert_allclose(found, [expected], rtol=1e-8)


def test_that_the_filter_keeps_a_constant_and_treats_members_alike() -> None:
    times = START + np.arange(5) * HOUR
    values = np.array([[1.0, 2.0], [3.0, 2.0], [0.0, 2.0], [1.0, 2.0], [5.0, 2.0]])
    at = START + np.array([0, 90, 240]) * np.timedelta64(60, "s")
    found = cooling.lagged(times, values, at, 5400.0)
    assert found.shape == (3, 2)
    assert_allclose(found[:, 1], 2.0, rtol=1e-14)
    assert_allclose(found[:, 0], cooling.lagged(times, values[:, 0], at, 5400.0), rtol=1e-14)
    assert_allclose(cooling.lagged(times[:1], values[:1], START, 5400.0), values[:1])


def test_that_the_filter_does_not_depend_on_how_a_line_is_cut() -> None:
    coarse = cooling.lagged(START + np.array([0, 12]) * HOUR, np.array([5.0, 29.0]), START + 9 * HOUR, DAY)
    fine = cooling.lagged(START + np.arange(13) * HOUR, 5.0 + 2.0 * np.arange(13), START + 9 * HOUR, DAY)
    assert_allclose(coarse, fine, rtol=1e-13)


def test_that_times_outside_and_wrong_series_are_refused() -> None:
    times = START + np.arange(3) * HOUR
    values = np.ones(3)
    with pytest.raises(ValueError, match="a time outside"):
        cooling.lagged(times, values, START + 3 * HOUR, DAY)
    with pytest.raises(ValueError, match="a time outside"):
        cooling.lagged(times, values, START - HOUR, DAY)
    for bad in ((times[::-1], values, DAY), (times, values[:2], DAY), (times, values, 0.0)):
        with pytest.raises(ValueError, match="increase strictly"):
            cooling.lagged(bad[0], bad[1], START, bad[2])
