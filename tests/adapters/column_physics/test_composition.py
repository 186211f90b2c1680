from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose

from model_adapters.column_physics.composition import (
    composition_boundary,
    composition_matrix,
    mass_anomaly_matrix,
    temperature_coupling,
)
from model_adapters.column_physics.thermal import SPECIES, ReferenceColumn, eddy_rate
from model_adapters.column_physics.vertical import diffusion_matrix, propagator, thermal_diffusion_matrix

Isothermal = Callable[..., tuple[ReferenceColumn, dict[str, float]]]


def by_species(stacked: np.ndarray, column: ReferenceColumn) -> dict[str, np.ndarray]:
    return dict(zip(SPECIES, stacked.reshape(len(SPECIES), column.zp.size), strict=True))


def test_that_a_closed_column_keeps_the_mass_of_every_species(thermosphere: ReferenceColumn) -> None:
    per_layer = mass_anomaly_matrix(thermosphere)
    levels = thermosphere.zp.size
    totals = per_layer.reshape(len(SPECIES), levels, -1).sum(axis=1)
    for operator in (
        composition_matrix(thermosphere, eddy_rate(thermosphere.zp), closed=True),
        temperature_coupling(thermosphere, closed=True),
    ):
        scale = np.max(np.abs(per_layer) @ np.abs(operator))
        assert_allclose(totals @ operator, 0.0, atol=1e-13 * scale)


def test_that_mass_anomalies_are_those_of_a_slightly_changed_column(thermosphere: ReferenceColumn) -> None:
    rng, size = np.random.default_rng(5), 1e-6
    anomaly = size * rng.normal(size=(len(SPECIES), thermosphere.zp.size))
    nitrogen = thermosphere.fraction("N2")
    changed = ReferenceColumn.from_log_ratio(
        thermosphere.zp,
        thermosphere.temperature,
        {name: np.log(thermosphere.fraction(name) / nitrogen) + anomaly[i] for i, name in enumerate(SPECIES)},
        thermosphere.gravity,
    )
    linear = by_species(mass_anomaly_matrix(thermosphere) @ anomaly.ravel(), thermosphere)
    for name in SPECIES:
        exact = thermosphere.layer_mass * (changed.fraction(name) - thermosphere.fraction(name))
        assert_allclose(linear[name], exact, rtol=1e-4, atol=1e-9 * np.max(np.abs(exact)))


@pytest.mark.parametrize("changed", SPECIES)
def test_that_an_offset_below_leads_to_another_diffusive_equilibrium(isothermal: Isothermal, changed: str) -> None:
    # Two columns of gases each with its own scale height, with slightly different mixtures at the bottom: their
    # difference is the steady response. The lighter mixture is thicker, so that all three ratios differ on a level.
    offset, none = 1e-3, np.zeros(58)
    column, _ = isothermal(0.25)
    other, _ = isothermal(0.25, **{changed: offset})
    source = composition_boundary(column, none)[:, SPECIES.index(changed)]
    response = by_species(np.linalg.solve(composition_matrix(column, none), -source), column)
    for name in SPECIES:
        log_ratios = [np.log(one.fraction(name) / one.fraction("N2")) for one in (column, other)]
        expected = (log_ratios[1] - log_ratios[0]) / offset
        assert_allclose(response[name], expected, rtol=0.01, atol=0.005)


def test_that_a_trace_in_nitrogen_diffuses_as_if_alone() -> None:
    zp = np.arange(-6.75, 7.5, 0.5)
    ones = np.ones(zp.size)
    traces = {name: 1e-7 * ones for name in SPECIES}
    column = ReferenceColumn(zp, 800.0 * ones, traces, 9.0 * ones)
    eddy = eddy_rate(zp)
    together = composition_matrix(column, eddy).reshape(3, zp.size, 3, zp.size)
    heat = temperature_coupling(column).reshape(3, zp.size, zp.size)
    for i, name in enumerate(SPECIES):
        alone = diffusion_matrix(column, name, eddy)
        # The lowest interface takes its coefficient half a step below the level here, a quarter of a step there.
        assert_allclose(together[i, 1:, i], alone[1:], atol=1e-5 * np.max(np.abs(alone)))
        coupling = thermal_diffusion_matrix(column, name)
        assert_allclose(heat[i, 1:], coupling[1:], atol=1e-6 / 800.0 * np.max(np.abs(alone)))


def test_that_all_modes_decay_without_oscillation(thermosphere: ReferenceColumn) -> None:
    rates = np.linalg.eigvals(composition_matrix(thermosphere, eddy_rate(thermosphere.zp)))
    assert np.max(rates.real) < 0.0
    assert np.max(np.abs(rates.imag)) < 1e-6 * np.max(np.abs(rates.real))


def test_that_helium_follows_the_warmth(thermosphere: ReferenceColumn) -> None:
    # Far from the bottom c = 0.38 tau / T for He, reduced by what helium itself contributes to the mean molar mass.
    none = np.zeros(thermosphere.zp.size)
    tau = 0.1 * thermosphere.temperature * (thermosphere.zp + 7.0) / 14.0
    response = np.linalg.solve(composition_matrix(thermosphere, none), -(temperature_coupling(thermosphere) @ tau))
    helium = by_species(response, thermosphere)["He"]
    assert_allclose(helium[:15], 0.38 * (tau / thermosphere.temperature)[:15], rtol=0.02)


def test_that_three_short_steps_make_a_long_one(thermosphere: ReferenceColumn) -> None:
    matrix = composition_matrix(thermosphere, eddy_rate(thermosphere.zp))
    third = propagator(matrix, 1200.0)
    assert_allclose(third @ third @ third, propagator(matrix, 3600.0), atol=1e-9)
