"""Whole analyses against hand-made ones: sources, checks, weights, inflation, windows, parameters and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.analysis import AnalysisResult, FilterSettings, LocalizedAnalysis, row_fractions
from da.analysis_observations import ObservedBatch, SourceLocalization
from da.cycle import MemberForecasts, Phase, Schedule, run
from da.distributed_analysis import DistributedAnalysis
from da.errors import ThermodaError
from da.filters import estkf, naive
from da.grid_position import VerticalCoordinate
from da.inflation import (
    AdaptiveInflationSettings,
    InflationState,
    relax_to_prior_perturbations,
    relax_to_prior_spread,
    update,
)
from da.inflation.prior import PriorInflation, PriorInflationKind
from da.localization import (
    Localization,
    LocalObservations,
    SubDomains,
    Weighting,
    block_sub_domains,
    exponential,
    gaspari_cohn,
)
from da.model import PREVIOUS, THERMOSPHERE_FIELDS, MemberInputs, StateField, StateGrid, StateLayout, composition_groups
from da.observations import ObservationBatch, SourceBatch
from da.observing import observe_density
from da.parallel import SerialCommunicator
from da.parameters import ParameterSettings
from da.perturbation_set import AdditiveInflation, PerturbationSet, write_perturbation_set
from da.seeding import Purpose, streams
from model_adapters.template import TemplateModel, TemplateSettings

TIME = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
MEMBERS = 8
GRID = StateGrid(np.arange(3.0), np.arange(-67.5, 90.0, 45.0), np.arange(6) * 60.0)
WIND = "wind"
LAYOUT = StateLayout(
    tuple(StateField(name + suffix, "1") for name in ("temperature", WIND) for suffix in ("", PREVIOUS)), GRID
)
CELLS = GRID.cells
EVERYWHERE = SourceLocalization(Localization(np.inf, Weighting.UNIFORM))
NEAR = SourceLocalization(Localization(1.8, Weighting.GASPARI_COHN, 2.4))
FAR = SourceLocalization(Localization(3.0, Weighting.EXPONENTIAL, decay_radius=1.2))
SINGLE = block_sub_domains(GRID.shape, (1, 1, 1))
WHOLE = block_sub_domains(GRID.shape, GRID.shape)
NO_INPUTS = MemberInputs({})


def _height(states: np.ndarray) -> np.ndarray:
    """Level k lies at 100 + 50 k km in all members."""
    rise = 1e5 + 5e4 * np.arange(3.0)[:, None, None, None]
    return np.broadcast_to(rise, (*GRID.shape, states.shape[1]))


def _cell(batch: ObservationBatch) -> np.ndarray:
    level = np.rint((batch.altitude_km - 100.0) / 50.0).astype(int)
    row, column = np.rint((batch.latitude + 67.5) / 45.0).astype(int), np.rint(batch.longitude / 60.0).astype(int) % 6
    return np.asarray(np.ravel_multi_index((level, row, column), GRID.shape))


def _observe(states: np.ndarray, height: np.ndarray, batch: ObservationBatch) -> np.ndarray:
    """Return the temperature of the cell in which an observation lies."""
    return states[_cell(batch)]


def _states(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((LAYOUT.state_size, MEMBERS))


def _batch(seed: int, count: int, source: str, time: np.datetime64 = TIME) -> ObservationBatch:
    """Return observations of random cells, with values that have little to do with the states."""
    rng = np.random.default_rng(seed)
    level, row, column = rng.integers(0, [[3], [4], [6]], (3, count))
    return ObservationBatch(
        2.0 * rng.standard_normal(count),
        rng.uniform(0.5, 1.5, count),
        45.0 * row - 67.5,
        60.0 * column,
        50.0 * level + 100.0,
        time,
        source,
        np.ones(count),
    )


def _observed(states: np.ndarray, *batches: ObservationBatch) -> list[ObservedBatch]:
    return [ObservedBatch(batch.source, batch, states[_cell(batch)]) for batch in batches]


def _distance(batch: ObservationBatch) -> np.ndarray:
    """Return index distances (cells, observations), written out."""
    index = np.stack(np.unravel_index(np.arange(CELLS), GRID.shape), axis=1)[:, None]
    offset = np.abs(index - np.stack(np.unravel_index(_cell(batch), GRID.shape), axis=1)).astype(float)
    offset[..., 2] = np.minimum(offset[..., 2], 6.0 - offset[..., 2])
    return np.asarray(np.sqrt(np.sum(offset**2, axis=-1)))


def _near_weights(batch: ObservationBatch) -> np.ndarray:
    distance = _distance(batch)
    return np.where(distance <= 1.8, gaspari_cohn(distance, 2.4), 0.0)


def _far_weights(batch: ObservationBatch) -> np.ndarray:
    distance = _distance(batch)
    return np.where(distance <= 3.0, exponential(distance, 1.2), 0.0)


def _by_hand(
    states: np.ndarray,
    batches: list[ObservationBatch],
    weights: np.ndarray,
    factors: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Return the textbook analysis, cell by cell, with weights (cells, observations)."""
    result, factors = states.copy(), np.broadcast_to(factors, CELLS)
    hx = np.concatenate([states[_cell(batch)] for batch in batches])
    values = np.concatenate([batch.values for batch in batches])
    inverse = 1.0 / np.concatenate([batch.error_standard_deviation for batch in batches]) ** 2
    for cell in range(CELLS):
        rows, seen = np.arange(4) * CELLS + cell, weights[cell] > 0.0
        if seen.any():
            result[rows] = naive.estkf(
                states[rows], hx[seen], values[seen], weights[cell, seen] * inverse[seen], float(factors[cell])
            )
    return result


def _filter(
    settings: FilterSettings,
    domains: SubDomains = SINGLE,
    layout: StateLayout = LAYOUT,
    additive: AdditiveInflation | None = None,
    inflation: InflationState | None = None,
) -> LocalizedAnalysis:
    comm = SerialCommunicator()
    engine = DistributedAnalysis(comm, layout, domains, MEMBERS)
    return LocalizedAnalysis(comm, layout, engine, settings, _observe, additive, inflation)


def _updated(
    settings: FilterSettings, *batches: ObservationBatch, states: np.ndarray | None = None, **keys: Any
) -> AnalysisResult:
    states = _states() if states is None else states
    before = states.copy()
    result = _filter(settings, **keys).update(states, _height, NO_INPUTS, _observed(states, *batches), TIME)
    assert_array_equal(states, before)
    return result


GRID_BATCH, TRACK_BATCH = _batch(1, 20, "grid"), _batch(2, 9, "track")


def test_that_two_sources_with_different_radii_are_one_analysis_with_their_weights_merged() -> None:
    result = _updated(FilterSettings({"grid": NEAR, "track": FAR}), GRID_BATCH, TRACK_BATCH)
    weights = np.hstack([_near_weights(GRID_BATCH), _far_weights(TRACK_BATCH)])
    expected = _by_hand(_states(), [GRID_BATCH, TRACK_BATCH], weights)
    assert_allclose(result.states, expected, atol=1e-12)
    # Observations at the support radius count among the local ones, but Gaspari-Cohn ends beyond this cut-off.
    assert_array_equal(result.diagnostics.local_observations, np.count_nonzero(weights, axis=1))


def test_that_the_order_of_sources_does_not_matter() -> None:
    settings = FilterSettings({"grid": NEAR, "track": FAR})
    one, other = _updated(settings, GRID_BATCH, TRACK_BATCH), _updated(settings, TRACK_BATCH, GRID_BATCH)
    assert_allclose(one.states, other.states, atol=1e-13)


def test_that_one_uniform_source_for_the_whole_state_is_the_global_filter() -> None:
    states, inflation = _states(), PriorInflation(forgetting_factor=0.8)
    result = _updated(FilterSettings({"grid": EVERYWHERE}, inflation), GRID_BATCH, domains=WHOLE)
    expected = estkf.analyse(
        states, states[_cell(GRID_BATCH)], GRID_BATCH.values, GRID_BATCH.error_standard_deviation**2, 0.8
    )
    assert_allclose(result.states, expected, atol=1e-13)
    assert result.diagnostics.local_observations.tolist() == [20]
    cells = _updated(FilterSettings({"grid": EVERYWHERE}, inflation), GRID_BATCH, domains=SINGLE)
    assert_allclose(cells.states, expected, atol=1e-13)


def test_that_refused_observations_change_nothing_and_are_told() -> None:
    settings = FilterSettings({"grid": NEAR, "track": FAR}, innovation_threshold=10.0)
    values = GRID_BATCH.values.copy()
    values[[2, 11]] += [100.0, -100.0]
    kept = np.ones(20, dtype=bool)
    kept[[2, 11]] = False
    with_outliers = _updated(settings, replace(GRID_BATCH, values=values), TRACK_BATCH)
    without = _updated(settings, GRID_BATCH.select(kept), TRACK_BATCH)
    assert_array_equal(with_outliers.states, without.states)
    diagnostics = with_outliers.diagnostics
    assert np.flatnonzero(~diagnostics.used).tolist() == [2, 11]
    assert_array_equal(diagnostics.local_observations, without.diagnostics.local_observations)
    assert diagnostics.forecast.shape == diagnostics.analysis.shape == (29, MEMBERS)
    # Refused observations keep their place in the record, with HX before and after.
    assert_array_equal(diagnostics.forecast[2], _states()[_cell(GRID_BATCH)[2]])
    assert_array_equal(diagnostics.analysis[2], with_outliers.states[_cell(GRID_BATCH)[2]])
    counts = {name: (one.used, one.refused) for name, one in diagnostics.filter_record().sources.items()}
    assert counts == {"grid": (18, 2), "track": (9, 0)}


def test_that_an_analysis_of_refused_observations_alone_keeps_every_bit() -> None:
    far_off = replace(GRID_BATCH, values=GRID_BATCH.values + 1e4)
    for inflation in (
        PriorInflation(forgetting_factor=0.9),
        PriorInflation(PriorInflationKind.GLOBAL),
        PriorInflation(PriorInflationKind.LOCAL),
        PriorInflation(PriorInflationKind.ADAPTIVE, adaptive=AdaptiveInflationSettings()),
    ):
        settings = FilterSettings({"grid": NEAR}, inflation, innovation_threshold=5.0)
        result = _updated(settings, far_off)
        assert_array_equal(result.states, _states())
        assert not result.diagnostics.used.any()
        assert not result.diagnostics.degrees_of_freedom.any()


def test_that_correlated_errors_enter_the_analysis_and_its_record() -> None:
    source = replace(NEAR, error_correlation_radius=2.2)
    result = _updated(FilterSettings({"grid": source}), GRID_BATCH)
    factor = gaspari_cohn(_distance(GRID_BATCH)[_cell(GRID_BATCH)], 2.2).sum(axis=1)
    assert factor.max() > 2.0
    inflated = replace(GRID_BATCH, error_standard_deviation=GRID_BATCH.error_standard_deviation * np.sqrt(factor))
    assert_allclose(result.states, _by_hand(_states(), [inflated], _near_weights(GRID_BATCH)), atol=1e-11)
    told = result.diagnostics.batches[0].error_standard_deviation
    assert_allclose(told, inflated.error_standard_deviation, rtol=1e-12)


def test_that_a_regulated_weight_gives_a_single_observation_the_gain_of_a_localized_covariance() -> None:
    states, batch = _states(), _batch(3, 1, "grid")
    result = _updated(FilterSettings({"grid": replace(NEAR, regulated=True)}), batch)
    hx = states[_cell(batch)[0]]
    anomalies = states - states.mean(axis=1, keepdims=True)
    covariance = anomalies @ (hx - hx.mean()) / (MEMBERS - 1)
    gain = covariance / (hx.var(ddof=1) + batch.error_standard_deviation[0] ** 2)
    weight = np.tile(_near_weights(batch)[:, 0], 4)
    expected = states.mean(axis=1) + weight * gain * (batch.values[0] - hx.mean())
    assert_allclose(result.states.mean(axis=1), expected, atol=1e-13)
    # The plain weight of R^-1 does not, so that the test can tell them apart.
    plain = _updated(FilterSettings({"grid": NEAR}), batch).states.mean(axis=1)
    assert np.abs(plain - expected).max() > 1e-3


def test_that_an_update_fraction_acts_on_a_field_and_on_its_twin() -> None:
    states, full = _states(), _updated(FilterSettings({"grid": NEAR}), GRID_BATCH).states
    for fraction in (0.0, 0.5, 1.0):
        result = _updated(FilterSettings({"grid": NEAR}, update_fractions={WIND: fraction}), GRID_BATCH).states
        # A fraction of one is x + (a - x), which may round the last bit.
        assert_allclose(result[: 2 * CELLS], full[: 2 * CELLS], atol=1e-15, rtol=1e-15)
        if fraction == 0.0:
            assert_array_equal(result[2 * CELLS :], states[2 * CELLS :])
        middle = states + fraction * (full - states)
        assert_allclose(result[2 * CELLS :], middle[2 * CELLS :], atol=1e-15, rtol=1e-15)
    assert np.abs(full - states)[2 * CELLS :].max() > 0.1


def test_that_row_fractions_are_those_of_fields_and_twins() -> None:
    assert row_fractions(LAYOUT, {}) is None
    expected = np.repeat([0.25, 0.25, 1.0, 1.0], CELLS)
    assert_array_equal(row_fractions(LAYOUT, {"temperature": 0.25}), expected)


def test_that_compositions_are_grouped_by_time() -> None:
    layout = StateLayout(THERMOSPHERE_FIELDS, GRID)
    now = ("mass_fraction_O", "mass_fraction_O2", "mass_fraction_He")
    assert composition_groups(layout) == (now, tuple(name + PREVIOUS for name in now))
    assert composition_groups(StateLayout((StateField("x", "1"),), GRID)) == ()


def test_that_relaxation_acts_on_every_sub_domain() -> None:
    full = _updated(FilterSettings({"grid": NEAR}), GRID_BATCH).states
    for relax in (relax_to_prior_spread, relax_to_prior_perturbations):
        relaxation = partial(relax, relaxation=0.6)
        result = _updated(FilterSettings({"grid": NEAR}, relaxation=relaxation), GRID_BATCH).states
        assert_allclose(result, relaxation(_states(), full), atol=1e-13)


def test_that_adaptive_forgetting_uses_the_factors_of_its_definition() -> None:
    states, weights = _states(), _near_weights(GRID_BATCH)
    hx, error = states[_cell(GRID_BATCH)], GRID_BATCH.error_standard_deviation**2
    spread, squared = hx.var(axis=1, ddof=1), (GRID_BATCH.values - hx.mean(axis=1)) ** 2
    fixed = 0.9

    def quotient(seen: np.ndarray) -> float:
        excess = np.mean(squared[seen]) - np.mean(error[seen]) if seen.any() else -1.0
        return fixed if excess < 0.0 else float(np.clip(np.mean(spread[seen]) / excess, 0.01, 100.0))

    expected = {
        PriorInflationKind.GLOBAL: np.full(CELLS, quotient(np.ones(20, dtype=bool))),
        PriorInflationKind.LOCAL: np.array([quotient(seen) for seen in weights > 0.0]),
    }
    assert np.unique(expected[PriorInflationKind.LOCAL]).size > 10
    assert fixed not in expected[PriorInflationKind.GLOBAL]
    for kind, factors in expected.items():
        result = _updated(FilterSettings({"grid": NEAR}, PriorInflation(kind, fixed)), GRID_BATCH)
        assert_allclose(result.diagnostics.forgetting_factor, factors, rtol=1e-12)
        assert_allclose(result.states, _by_hand(states, [GRID_BATCH], weights, factors), atol=1e-11)


ADAPTIVE = AdaptiveInflationSettings(initial=1.1, damping=0.95)


def _dense(weights: np.ndarray) -> LocalObservations:
    counts = np.count_nonzero(weights, axis=1)
    index = np.nonzero(weights)[1]
    return LocalObservations(np.concatenate([[0], np.cumsum(counts)]), index, weights[weights > 0.0])


def test_that_adaptive_inflation_learns_after_it_was_used_and_is_returned() -> None:
    states, weights = _states(), _near_weights(GRID_BATCH)
    hx, local = states[_cell(GRID_BATCH)], _dense(weights)
    settings = FilterSettings({"grid": NEAR}, PriorInflation(PriorInflationKind.ADAPTIVE, adaptive=ADAPTIVE))
    analysis, state = _filter(settings), InflationState.initial(CELLS, ADAPTIVE)
    for number in range(3):
        result = analysis.update(states, _height, NO_INPUTS, _observed(states, GRID_BATCH), TIME + number * HOUR)
        # The state before these innovations inflates this analysis.
        expected = _by_hand(states, [GRID_BATCH], weights, 1.0 / state.mean)
        assert_allclose(result.states, expected, atol=1e-11)
        assert_allclose(result.diagnostics.forgetting_factor, 1.0 / state.mean, rtol=1e-12)
        state = update(
            state,
            local,
            GRID_BATCH.values - hx.mean(axis=1),
            hx.var(axis=1, ddof=1),
            GRID_BATCH.error_standard_deviation**2,
            ADAPTIVE,
        )
        returned = result.diagnostics.inflation
        assert returned is not None
        assert_allclose(returned.mean, state.mean, rtol=1e-11)
        assert_allclose(returned.standard_deviation, state.standard_deviation, rtol=1e-11)
    assert np.ptp(state.mean) > 0.1


def test_that_adaptive_inflation_continues_from_the_state_that_it_is_given() -> None:
    settings = FilterSettings({"grid": NEAR}, PriorInflation(PriorInflationKind.ADAPTIVE, adaptive=ADAPTIVE))
    whole = _filter(settings)
    states = _states()
    observed = _observed(states, GRID_BATCH)
    first = whole.update(states, _height, NO_INPUTS, observed, TIME)
    second = whole.update(first.states, _height, NO_INPUTS, _observed(first.states, GRID_BATCH), TIME + HOUR)
    restarted = _filter(settings, inflation=first.diagnostics.inflation)
    again = restarted.update(first.states, _height, NO_INPUTS, _observed(first.states, GRID_BATCH), TIME + HOUR)
    assert_array_equal(again.states, second.states)
    assert first.diagnostics.inflation is not second.diagnostics.inflation


def test_that_an_analysis_in_ln_density_is_the_one_made_by_hand() -> None:
    model, rng = TemplateModel(TemplateSettings()), np.random.default_rng(4)
    inputs = MemberInputs({"equilibrium_temperature_k": rng.normal(0.0, 80.0, MEMBERS)})
    states = model.initial(TIME, inputs, streams(1, Purpose.INITIAL_STATE, range(MEMBERS)))
    height, count = partial(model.height, time=TIME, inputs=inputs), 15
    altitude_km = rng.uniform(150.0, 400.0, count)
    place = rng.uniform(-80.0, 80.0, count), rng.uniform(-180.0, 180.0, count), altitude_km
    unit = ObservationBatch(np.ones(count), np.ones(count), *place, TIME, "grid", np.full(count, 1.01))
    hx = observe_density(model, states, height(states), unit)
    values = hx.mean(axis=1) * rng.lognormal(0.2, 0.3, count)
    batch = replace(unit, values=values, error_standard_deviation=0.15 * values)
    comm, domains = SerialCommunicator(), block_sub_domains(model.layout.grid.shape, model.layout.grid.shape)
    engine = DistributedAnalysis(comm, model.layout, domains, MEMBERS)
    settings = FilterSettings({"grid": EVERYWHERE})
    analysis = LocalizedAnalysis(comm, model.layout, engine, settings, partial(observe_density, model))

    def analysed(one: ObservationBatch) -> AnalysisResult:
        observed = analysis.observe(states, height(states), [SourceBatch("grid", one)], TIME)
        result = analysis.update(states, height, inputs, observed, TIME)
        assert not any(result.diagnostics.constraint_hits.values())
        return result

    in_ln, plain = analysed(batch.in_ln_density()), analysed(batch)
    by_hand = estkf.analyse(states, np.log(hx), np.log(values), np.full(count, 0.15**2))
    # Temperatures of 800 K; the densities differ by rounding from one call of the operator to the next.
    assert_allclose(in_ln.states, by_hand, rtol=1e-10, atol=1e-12)
    assert_allclose(plain.states, estkf.analyse(states, hx, values, (0.15 * values) ** 2), rtol=1e-10, atol=1e-12)
    assert np.abs(in_ln.states - plain.states).max() > 1.0
    assert_allclose(in_ln.diagnostics.forecast, np.log(hx), rtol=1e-12)
    assert_allclose(in_ln.diagnostics.analysis, np.log(observe_density(model, by_hand, height(by_hand), unit)))


class LinearModel:
    """x(t + 1 h) = M x(t), on a ring."""

    perturbable_inputs = ()
    reference_pressure = 1.0

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix
        grid = StateGrid(np.zeros(1), np.zeros(1), np.arange(len(matrix)) * 360.0 / len(matrix))
        self.layout = StateLayout((StateField("x", "1"),), grid)

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: list[np.random.Generator]) -> np.ndarray:
        return np.stack([rng.standard_normal(len(self.matrix)) for rng in rngs], axis=1)

    def forecast(
        self, states: np.ndarray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> np.ndarray:
        return np.linalg.matrix_power(self.matrix, int((stop - start) / HOUR)) @ states

    def height(self, states: np.ndarray, time: np.datetime64, inputs: MemberInputs) -> np.ndarray:
        return np.zeros((*self.layout.grid.shape, states.shape[1]))


def _ring_batch(where: list[int], values: np.ndarray, time: np.datetime64, size: int, sigma: float) -> ObservationBatch:
    n, zeros = len(where), np.zeros(len(where))
    longitude = np.array(where) * 360.0 / size
    return ObservationBatch(values, np.full(n, sigma), zeros, longitude, zeros, time, "track", np.ones(n))


def _ring_filter(model: LinearModel, members: int, settings: FilterSettings) -> LocalizedAnalysis:
    def pick(states: np.ndarray, height: np.ndarray, batch: ObservationBatch) -> np.ndarray:
        return states[np.rint(batch.longitude * len(model.matrix) / 360.0).astype(int) % len(model.matrix)]

    comm, domains = SerialCommunicator(), block_sub_domains(model.layout.grid.shape, (1, 1, 1))
    engine = DistributedAnalysis(comm, model.layout, domains, members)
    return LocalizedAnalysis(comm, model.layout, engine, settings, pick)


WINDOW = ((0, [0, 3]), (1, [1, 2, 5]), (2, [4]))
"""Hours at which something is compared, and where; the first is the hour of the analysis before."""


@pytest.mark.parametrize("relaxation", [None, partial(relax_to_prior_perturbations, relaxation=0.3)])
@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_that_a_window_is_assimilated_as_if_the_model_were_run_backwards(factor: float, relaxation: Any) -> None:
    rng, size, members, sigma = np.random.default_rng(6), 6, 30, 0.5
    model = LinearModel(np.linalg.qr(rng.standard_normal((size, size)))[0] * 1.1)
    values = {hour: rng.standard_normal(len(where)) for hour, where in WINDOW}

    def due(time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
        hour = int((time - TIME) / HOUR)
        if after_analysis != (hour == 0) or hour not in values:
            return []
        return [SourceBatch("track", _ring_batch(dict(WINDOW)[hour], values[hour], time, size, sigma))]

    settings = FilterSettings({"track": EVERYWHERE}, PriorInflation(forgetting_factor=factor), relaxation)
    analysis = _ring_filter(model, members, settings)
    initial = model.initial(TIME, NO_INPUTS, streams(1, Purpose.INITIAL_STATE, range(members)))
    forecasts = MemberForecasts(SerialCommunicator(), model, NO_INPUTS, 0)  # type: ignore[arg-type]
    records = list(run(forecasts, initial, Schedule(TIME, TIME + 2 * HOUR, 2 * HOUR, HOUR), analysis, due))
    # At the beginning nothing is observed before the analysis: it is the forecast, and makes no diagnostics.
    assert [str(record.phase) for record in records] == ["forecast", "analysis", "forecast", "forecast", "analysis"]
    assert records[1].diagnostics is None
    forecast, last = model.matrix @ model.matrix @ initial, records[-1]
    backwards = np.linalg.inv(model.matrix)
    operator = np.vstack([np.eye(size)[where] @ np.linalg.matrix_power(backwards, 2 - hour) for hour, where in WINDOW])
    y = np.concatenate([values[hour] for hour, _ in WINDOW])
    mean, covariance = naive.kalman_filter(
        forecast.mean(axis=1), np.cov(forecast) / factor, operator, y, sigma**2 * np.eye(len(y))
    )
    assert_allclose(last.states.mean(axis=1), mean, atol=1e-12)
    if relaxation is None:
        assert_allclose(np.cov(last.states), covariance, atol=1e-12)
    assert last.diagnostics is not None
    assert_allclose(last.diagnostics.forecast, operator @ forecast, atol=1e-12)
    assert_allclose(last.diagnostics.analysis, operator @ last.states, atol=1e-12)


def test_that_what_waits_is_used_once_and_only_by_the_next_analysis() -> None:
    model, seen = LinearModel(np.eye(4)), []

    def due(time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
        seen.append((int((time - TIME) / HOUR), after_analysis))
        where = [0, 1] if after_analysis else [2]
        return [SourceBatch("track", _ring_batch(where, np.zeros(len(where)), time, 4, 1.0))]

    analysis = _ring_filter(model, 5, FilterSettings({"track": EVERYWHERE}))
    states = np.random.default_rng(1).standard_normal((4, 5))
    forecasts = MemberForecasts(SerialCommunicator(), model, NO_INPUTS, 0)  # type: ignore[arg-type]
    plan = Schedule(TIME, TIME + 4 * HOUR, 2 * HOUR, HOUR)
    records = [one for one in run(forecasts, states, plan, analysis, due) if one.phase is Phase.ANALYSIS]
    assert seen == [(0, False), (0, True), (1, False), (2, False), (2, True), (3, False), (4, False), (4, True)]
    times = [[int((one.time - TIME) / HOUR) for one in record.diagnostics.batches] for record in records]  # type: ignore[union-attr]
    assert times == [[0], [0, 1, 2], [2, 3, 4]]
    sizes = [[len(one) for one in record.diagnostics.batches] for record in records]  # type: ignore[union-attr]
    assert sizes == [[1], [2, 1, 1], [2, 1, 1]]


def test_that_what_the_window_saw_is_transformed_with_the_factor_of_its_own_sub_domain() -> None:
    model, members, rng = LinearModel(np.eye(6)), 10, np.random.default_rng(7)
    local = SourceLocalization(Localization(1.2, Weighting.UNIFORM))
    settings = FilterSettings({"track": local}, PriorInflation(PriorInflationKind.LOCAL, 0.9))
    states, hx = rng.standard_normal((6, members)), rng.standard_normal((3, members))
    # Across the date line the first cell, which sees the second observation too, is nearer to the first than the last.
    cells, place = [0, 1, 3], np.array([5.6, 1.0, 3.0])
    batch = _ring_batch(cells, np.array([3.0, 2.0, -6.0]), TIME - HOUR, 6, 0.5)
    batch = replace(batch, longitude=place * 60.0)
    analysis = _ring_filter(model, members, settings)
    height = partial(model.height, time=TIME, inputs=NO_INPUTS)
    found = analysis.update(states, height, NO_INPUTS, [ObservedBatch("track", batch, hx)], TIME).diagnostics
    factors = found.forgetting_factor
    assert np.unique(factors[[0, 1, 3, 5]]).size == 4
    for number, cell in enumerate(cells):
        own = slice(number, number + 1)
        expected = naive.estkf(hx[own], hx[own], batch.values[own], np.array([4.0]), float(factors[cell]))
        assert_allclose(found.analysis[own], expected, atol=1e-12)


class DrivenModel(LinearModel):
    """x(t + 1 h) = x(t) + p, with a p of each member."""

    def forecast(
        self, states: np.ndarray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> np.ndarray:
        return states + int((stop - start) / HOUR) * inputs.perturbation("p", states.shape[1])


def test_that_the_next_forecast_is_driven_by_the_estimated_parameters() -> None:
    model, rng, members = DrivenModel(np.eye(4)), np.random.default_rng(11), 6
    settings = FilterSettings({"track": EVERYWHERE}, parameters={"p": ParameterSettings(1.0, relaxation=0.0)})

    def due(time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
        return [] if after_analysis else [SourceBatch("track", _ring_batch([1], np.array([9.0]), time, 4, 0.3))]

    first = MemberInputs({"p": rng.standard_normal(members)})
    forecasts = MemberForecasts(SerialCommunicator(), model, first, 0)  # type: ignore[arg-type]
    plan = Schedule(TIME, TIME + 2 * HOUR, HOUR, HOUR)
    initial = rng.standard_normal((4, members))
    records = list(run(forecasts, initial, plan, _ring_filter(model, members, settings), due))
    before = first.perturbations["p"]
    for analysed, forecast in zip(records[1::2], records[2::2], strict=False):
        after = analysed.forecasts.inputs.perturbations["p"]
        assert np.abs(after - before).max() > 1e-3
        assert_array_equal(forecast.states, analysed.states + after)
        before = after
    assert forecasts.inputs is first
    # The record of a forecast bears the inputs that made it.
    assert records[0].forecasts.inputs is first


BOUNDED = StateLayout((StateField("temperature", "K", lower=-0.2), *LAYOUT.fields[1:]), GRID)


def test_that_constraints_follow_the_analysis_and_are_seen_by_its_observations() -> None:
    states = np.maximum(_states(), -0.2)
    settings = FilterSettings({"grid": NEAR})
    free, bound = (_updated(settings, GRID_BATCH, states=states, layout=one) for one in (LAYOUT, BOUNDED))
    expected = free.states.copy()
    expected[:CELLS] = np.maximum(expected[:CELLS], -0.2)
    assert_array_equal(bound.states, expected)
    assert bound.diagnostics.constraint_hits["temperature"] == np.count_nonzero(free.states[:CELLS] < -0.2) > 0
    assert_array_equal(bound.diagnostics.analysis, expected[_cell(GRID_BATCH)])


@pytest.fixture
def additive(tmp_path: Path) -> Iterator[Callable[[StateLayout], AdditiveInflation]]:
    path = tmp_path / "set.nc"

    def build(layout: StateLayout) -> AdditiveInflation:
        write_perturbation_set(path, layout, np.random.default_rng(8).standard_normal((layout.state_size, 12)))
        return AdditiveInflation(PerturbationSet.open(path, layout), 0.5, SerialCommunicator(), MEMBERS, seed=3)

    return build


def test_that_additive_inflation_leaves_the_mean_and_depends_on_the_time_alone(
    additive: Callable[[StateLayout], AdditiveInflation],
) -> None:
    settings, states = FilterSettings({"grid": NEAR}), _states()
    plain = _updated(settings, GRID_BATCH).states

    def at(time: np.datetime64) -> np.ndarray:
        batch = replace(GRID_BATCH, time=time)
        analysis = _filter(settings, additive=additive(LAYOUT))
        return analysis.update(states, _height, NO_INPUTS, _observed(states, batch), time).states

    inflated = at(TIME)
    assert_allclose(inflated.mean(axis=1), plain.mean(axis=1), atol=1e-14)
    # 576 variances of 8 members, raised by 0.25 in the mean: its standard error is below 0.01.
    growth = np.mean(inflated.var(axis=1, ddof=1) - plain.var(axis=1, ddof=1))
    assert 0.2 < growth < 0.3
    assert_array_equal(inflated, at(TIME))
    assert np.abs(inflated - at(TIME + HOUR)).max() > 0.1
    before_1970 = at(np.datetime64("1965-01-01T00:00", "ns"))
    assert_allclose(before_1970.mean(axis=1), plain.mean(axis=1), atol=1e-14)


def test_that_constraints_come_after_additive_inflation(
    additive: Callable[[StateLayout], AdditiveInflation],
) -> None:
    states, settings = np.maximum(_states(), -0.2), FilterSettings({"grid": NEAR})
    free = _updated(settings, GRID_BATCH, states=states, additive=additive(LAYOUT)).states[:CELLS]
    bound = _updated(settings, GRID_BATCH, states=states, layout=BOUNDED, additive=additive(BOUNDED))
    assert_array_equal(bound.states[:CELLS], np.maximum(free, -0.2))
    assert bound.diagnostics.constraint_hits["temperature"] == np.count_nonzero(free < -0.2) > 0
    assert_array_equal(bound.diagnostics.analysis, bound.states[_cell(GRID_BATCH)])


def test_that_estimated_parameters_reach_the_inputs_and_the_record() -> None:
    states, rng = _states(), np.random.default_rng(9)
    cell = int(_cell(GRID_BATCH)[0])
    one = GRID_BATCH.select(np.arange(20) == 0)
    inputs = MemberInputs({"p": 3.0 * states[cell] + 1.0, "other": rng.standard_normal(MEMBERS)})
    limit = 1.0 + 3.0 * float(np.abs(states[cell]).max())
    settings = FilterSettings({"grid": NEAR}, parameters={"p": ParameterSettings(0.4, relaxation=1.0, limit=limit)})
    result = _filter(settings).update(states, _height, inputs, _observed(states, one), TIME)
    variance = states[cell].var(ddof=1)
    gain = variance / (variance + one.error_standard_deviation[0] ** 2)
    after = result.inputs.perturbations["p"]
    assert_allclose(
        after.mean(), 3.0 * states[cell].mean() + 1.0 + 0.4 * 3.0 * gain * (one.values[0] - states[cell].mean())
    )
    assert_allclose(after.std(ddof=1), 3.0 * states[cell].std(ddof=1), rtol=1e-12)
    assert result.inputs.perturbations["other"] is inputs.perturbations["other"]
    told = result.diagnostics.parameters
    assert told is not None
    assert_array_equal(told.before["p"], inputs.perturbations["p"])
    assert_array_equal(told.after["p"], after)
    assert result.diagnostics.constraint_hits["limit of p"] == 0
    moments = result.diagnostics.filter_record().parameters["p"]
    assert_allclose([moments.mean_before, moments.mean_after], [inputs.perturbations["p"].mean(), after.mean()])


def test_that_parameters_use_what_the_check_keeps_within_their_altitudes() -> None:
    states = _states()
    parameter = np.random.default_rng(10).standard_normal(MEMBERS)
    values = GRID_BATCH.values.copy()
    values[2] += 1e3
    settings = FilterSettings(
        {"grid": NEAR},
        innovation_threshold=10.0,
        parameters={"p": ParameterSettings(1.0, altitude_max_km=160.0, relaxation=0.0)},
    )
    observed = _observed(states, replace(GRID_BATCH, values=values))
    after = _filter(settings).update(states, _height, MemberInputs({"p": parameter}), observed, TIME)
    kept = (np.arange(20) != 2) & (GRID_BATCH.altitude_km <= 160.0)
    assert 3 < kept.sum() < 19
    used = GRID_BATCH.select(kept)
    expected = estkf.analyse(parameter[None], states[_cell(used)], used.values, used.error_standard_deviation**2)[0]
    assert_allclose(after.inputs.perturbations["p"], expected, atol=1e-12)


def test_that_an_observation_operator_that_fails_is_told_with_its_place() -> None:
    states = _states()
    states[_cell(GRID_BATCH)[4], 3] = np.nan
    with pytest.raises(ThermodaError, match=r"gives nan for local member 3: observation at .* from grid at latitude"):
        _filter(FilterSettings({"grid": NEAR})).observe(
            states, _height(states), [SourceBatch("grid", GRID_BATCH)], TIME
        )


def test_that_degrees_of_freedom_are_the_trace_of_the_influence_matrix() -> None:
    result, states, weights = _updated(FilterSettings({"grid": NEAR}), GRID_BATCH), _states(), _near_weights(GRID_BATCH)
    for cell in range(CELLS):
        seen = weights[cell] > 0.0
        hx, error = states[_cell(GRID_BATCH)][seen], GRID_BATCH.error_standard_deviation[seen] ** 2
        covariance = np.atleast_2d(np.cov(hx)) if seen.any() else np.zeros((0, 0))
        influence = covariance @ np.linalg.inv(covariance + np.diag(error / weights[cell, seen]))
        assert_allclose(result.diagnostics.degrees_of_freedom[cell], np.trace(influence), atol=1e-11)


SOURCE = SourceLocalization(Localization(1.8, Weighting.GASPARI_COHN, 2.4), vertical_cutoff_radius=1.4)
CIRCLE = replace(SOURCE, localization=Localization(6000.0, Weighting.UNIFORM), vertical=VerticalCoordinate.KM)
PARAMETER = ParameterSettings(0.5, relaxation=0.5)
PLAIN = FilterSettings({"grid": SOURCE}, parameters={"p": PARAMETER})


def _source(**changes: Any) -> FilterSettings:
    return replace(PLAIN, localizations={"grid": replace(SOURCE, **changes)})


def _inflated(*arguments: Any, **keys: Any) -> FilterSettings:
    return replace(PLAIN, inflation=PriorInflation(*arguments, **keys))


def _estimated(**changes: Any) -> FilterSettings:
    return replace(PLAIN, parameters={"p": replace(PARAMETER, **changes)})


def _radii(*arguments: Any, **keys: Any) -> FilterSettings:
    return _source(localization=Localization(*arguments, **keys))


LEARNING = _inflated(PriorInflationKind.ADAPTIVE, adaptive=AdaptiveInflationSettings())
PAIRS: dict[type, dict[str, tuple[FilterSettings, FilterSettings]]] = {
    FilterSettings: {
        "localizations": (PLAIN, _radii(1.2, Weighting.UNIFORM)),
        "inflation": (PLAIN, _inflated(forgetting_factor=0.8)),
        "relaxation": (PLAIN, replace(PLAIN, relaxation=partial(relax_to_prior_spread, relaxation=0.5))),
        "update_fractions": (PLAIN, replace(PLAIN, update_fractions={WIND: 0.5})),
        "innovation_threshold": (PLAIN, replace(PLAIN, innovation_threshold=1.0)),
        "parameters": (PLAIN, replace(PLAIN, parameters={})),
    },
    SourceLocalization: {
        "localization": (PLAIN, _radii(1.8, Weighting.UNIFORM)),
        "vertical": (
            replace(PLAIN, localizations={"grid": replace(CIRCLE, vertical_cutoff_radius=1.5)}),
            replace(
                PLAIN,
                localizations={
                    "grid": replace(CIRCLE, vertical=VerticalCoordinate.SCALE_HEIGHTS, vertical_cutoff_radius=1.5)
                },
            ),
        ),
        "vertical_cutoff_radius": (PLAIN, _source(vertical_cutoff_radius=2.0)),
        "regulated": (PLAIN, _source(regulated=True)),
        "error_correlation_radius": (PLAIN, _source(error_correlation_radius=2.0)),
    },
    Localization: {
        "cutoff_radius": (PLAIN, _radii(1.2, Weighting.GASPARI_COHN, 2.4)),
        "weighting": (_radii(1.8, Weighting.UNIFORM), _radii(1.8, Weighting.EXPONENTIAL, decay_radius=2.4)),
        "support_radius": (PLAIN, _radii(1.8, Weighting.GASPARI_COHN, 2.6)),
        "decay_radius": (
            _radii(1.8, Weighting.EXPONENTIAL, decay_radius=2.4),
            _radii(1.8, Weighting.EXPONENTIAL, decay_radius=2.0),
        ),
    },
    PriorInflation: {
        "kind": (PLAIN, _inflated(PriorInflationKind.LOCAL)),
        "forgetting_factor": (_inflated(PriorInflationKind.LOCAL, 0.9), _inflated(PriorInflationKind.LOCAL, 0.8)),
        "adaptive": (LEARNING, _inflated(PriorInflationKind.ADAPTIVE, adaptive=ADAPTIVE)),
    },
    AdaptiveInflationSettings: {
        name: (LEARNING, _inflated(PriorInflationKind.ADAPTIVE, adaptive=AdaptiveInflationSettings(**{name: value})))
        for name, value in {
            "initial": 1.3,
            "standard_deviation": 0.5,
            "minimum_standard_deviation": 0.6,
            "lower": 1.0,
            "upper": 1.05,
            "damping": 0.5,
        }.items()
    },
    ParameterSettings: {
        "mean_damping": (PLAIN, _estimated(mean_damping=0.6)),
        "observation_weight": (PLAIN, _estimated(observation_weight=0.5)),
        "altitude_min_km": (PLAIN, _estimated(altitude_min_km=120.0)),
        "altitude_max_km": (PLAIN, _estimated(altitude_max_km=180.0)),
        "relaxation": (PLAIN, _estimated(relaxation=0.6)),
        "limit": (PLAIN, _estimated(limit=0.5)),
    },
}


@pytest.mark.parametrize(("kind", "name"), [(kind, field.name) for kind in PAIRS for field in fields(kind)])
def test_that_every_setting_acts(kind: type, name: str) -> None:
    def outcome(settings: FilterSettings) -> np.ndarray:
        """Return states and parameters after two analyses, as one vector."""
        analysis, states, inputs = _filter(settings), _states(), MemberInputs({"p": _states(1)[0]})
        for hour in range(2):
            observed = _observed(states, replace(GRID_BATCH, time=TIME + hour * HOUR))
            result = analysis.update(states, _height, inputs, observed, TIME + hour * HOUR)
            states, inputs = result.states, result.inputs
        return np.concatenate([states.ravel(), inputs.perturbations["p"]])

    one, other = PAIRS[kind][name]
    assert_array_equal(outcome(one), outcome(one))
    assert np.abs(outcome(one) - outcome(other)).max() > 1e-6
