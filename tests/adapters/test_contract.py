"""What `da.model.ForecastModel` promises, held against every registered adapter.

A newly registered adapter is tested with its default settings and hourly forecasts; an entry in `CASES` makes that
cheaper, and says what more can be asked of it.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.drivers import Drivers, SolarWind
from da.errors import ThermodaError
from da.model import PREVIOUS, ForecastModel, MemberInputs, StateLayout, refuse_unknown_perturbations
from da.seeding import Purpose, streams
from model_adapters.registry import ADAPTERS, find_adapter

START = np.datetime64("2010-04-05T09:00", "ns")
MEMBERS = 3

# Rounding differs between a matrix product for one member and one for several; ln and exp amplify it by ten at most,
# and 1 - sum of mass fractions by one over the share of N2: see `neighbour_tolerance` where that falls below 2e-3.
NEIGHBOUR_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Case:
    """How an adapter is tested.

    `flow` says that two forecasts in a row are the same as one over both: an exact solution, or fixed steps. Then
    `previous_flows` says so of the fields of the previous step too. `inert` names inputs that what stands in for the
    model in this suite does not read.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    interval: np.timedelta64 = np.timedelta64(1, "h")  # noqa: RUF009
    needs_drivers: bool = False
    flow: bool = False
    previous_flows: bool = False
    inert: tuple[str, ...] = ()


CASES = {
    "column_physics": Case({"resolution_deg": 15.0}, needs_drivers=True, flow=True, previous_flows=True),
    "lorenz96": Case({"variables": 12, "spin_up_steps": 200}, np.timedelta64(6, "h"), flow=True, previous_flows=True),
    # The fields of the previous step take the reference as linear in time over one forecast: they do not compose.
    "msis_relaxation": Case({"resolution_deg": 30.0}, needs_drivers=True, flow=True),
    "nature": Case({"resolution_deg": 30.0}, needs_drivers=True, flow=True, previous_flows=True),
    "template": Case(flow=True, previous_flows=True),
}
ALL = sorted(ADAPTERS)


@dataclass(frozen=True)
class Trial:
    """A model with perturbed members, drawn away from where it would put them itself."""

    name: str
    model: ForecastModel
    case: Case
    inputs: MemberInputs
    initial: np.ndarray
    states: np.ndarray

    @property
    def layout(self) -> StateLayout:
        return self.model.layout

    @property
    def stop(self) -> np.datetime64:
        return START + self.case.interval

    def forecast(self) -> np.ndarray:
        return self.model.forecast(self.states, START, self.stop, self.inputs)


@pytest.fixture(scope="module", autouse=True)
def _tiegcm_with_its_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let TIE-GCM be a program for tests that keeps its files and no physics, from a small synthetic history.

    TIE-GCM does not start twice where it would have gone on: its forecasts do not compose, and none is claimed to. Of
    its inputs the program reads neither lower boundaries nor the collision factor; that they arrive in the files that
    TIE-GCM reads is tested beside the adapter.
    """
    folder, tests = tmp_path_factory.mktemp("tiegcm"), Path(__file__).parent / "tiegcm"
    history = runpy.run_path(str(tests / "conftest.py"))["write_small_history"]
    start_up = history(folder / "start_up.nc", times=(START,), levels=9, level_step=1.75)
    executable = runpy.run_path(str(tests / "standin" / "case.py"))["write_executable"](folder / "tiegcm")
    launcher = {"command": ("{executable}", "{namelist}"), "executable": executable, "ranks": 1, "at_once": MEMBERS}
    settings = {"start_up_history": start_up, "work_folder": folder / "work", "launcher": launcher}
    boundary = [f"lower_boundary_{name}" for name in ("temperature_k", "height_m", "zonal_wind_m_s")]
    inert = (*boundary, "lower_boundary_meridional_wind_m_s", "collision_ln_factor")
    CASES["tiegcm"] = Case(settings, needs_drivers=True, inert=inert)
    yield
    del CASES["tiegcm"]


def build(name: str) -> ForecastModel:
    adapter = find_adapter(name)
    return adapter.build(adapter.settings(**CASES.get(name, Case()).settings))


def member_inputs(model: ForecastModel, drivers: Drivers) -> MemberInputs:
    offsets = np.array([-0.5, 0.0, 0.5])
    return MemberInputs({name: np.roll(offsets, i) for i, name in enumerate(model.perturbable_inputs)}, drivers)


def subset(inputs: MemberInputs, members: list[int]) -> MemberInputs:
    return replace(inputs, perturbations={name: values[members] for name, values in inputs.perturbations.items()})


def drivers_of(model: ForecastModel, april_2010: Drivers) -> Drivers:
    """Return drivers that follow the solar wind where the model can use it: then all its inputs act."""
    if not getattr(model, "understands_solar_wind", False):
        return april_2010
    time = START + np.arange(-96, 72) * np.timedelta64(1, "h")
    steady = {"bx_nt": 0.0, "by_nt": 1.0, "bz_nt": -5.0, "velocity_km_s": 500.0, "density_cm3": 5.0}
    series = {name: np.full(time.size, value) for name, value in (steady | {"temperature_k": 1e5}).items()}
    return replace(april_2010, solar_wind=SolarWind(time=time, **series))


@pytest.fixture(scope="module", params=ALL)
def trial(request: pytest.FixtureRequest, april_2010: Drivers) -> Iterator[Trial]:
    model = build(request.param)
    drivers = drivers_of(model, april_2010)
    inputs = member_inputs(model, drivers)
    initial = model.initial(START, inputs, streams(1, Purpose.INITIAL_STATE, range(MEMBERS)))
    # Smaller by up to 5 % everywhere: mass fractions still leave room for N2.
    states = initial * np.random.default_rng(2).uniform(0.95, 1.0, initial.shape)
    for one in model.layout.fields:
        values = model.layout.field(states, one.name)
        np.clip(values, one.lower, one.upper, out=values)
    states.flags.writeable = False
    yield Trial(request.param, model, CASES.get(request.param, Case()), inputs, initial, states)
    for name, offsets in member_inputs(model, drivers).perturbations.items():
        assert_array_equal(inputs.perturbations[name], offsets, err_msg="a model changed its inputs")


def assert_within_bounds(layout: StateLayout, states: np.ndarray) -> None:
    assert states.shape == (layout.state_size, MEMBERS)
    assert np.isfinite(states).all()
    for one in layout.fields:
        values = layout.field(states, one.name)
        assert values.min() >= one.lower, one.name
        assert values.max() <= one.upper, one.name
    for previous in (False, True):
        names = [n for n in layout.names if n.startswith("mass_fraction_") and n.endswith(PREVIOUS) is previous]
        if names:
            assert np.max(np.sum([layout.field(states, name) for name in names], axis=0)) <= 1.0


def smallest_share_of_nitrogen(layout: StateLayout, states: np.ndarray) -> float:
    names = [n for n in layout.names if n.startswith("mass_fraction_") and not n.endswith(PREVIOUS)]
    return float(np.min(1.0 - np.sum([layout.field(states, name) for name in names], axis=0))) if names else 1.0


def neighbour_tolerance(layout: StateLayout, states: np.ndarray) -> float:
    return max(NEIGHBOUR_TOLERANCE, 10.0 * np.finfo(float).eps / smallest_share_of_nitrogen(layout, states))


def test_that_a_forecast_of_zero_length_is_a_copy_of_its_input(trial: Trial) -> None:
    result = trial.model.forecast(trial.states, START, START, trial.inputs)
    assert_array_equal(result, trial.states)
    assert not np.shares_memory(result, trial.states)


def test_that_a_forecast_leaves_its_input_untouched(trial: Trial) -> None:
    states = trial.states.copy()
    result = trial.model.forecast(states, START, trial.stop, trial.inputs)
    trial.model.height(states, START, trial.inputs)
    assert_array_equal(states, trial.states)
    assert not np.shares_memory(result, states)


def test_that_a_forecast_moves_every_member(trial: Trial) -> None:
    assert np.all(np.any(trial.forecast() != trial.states, axis=0))


def test_that_two_forecasts_from_one_state_are_equal_bit_for_bit(trial: Trial) -> None:
    first = trial.forecast()
    elsewhere = trial.stop + trial.case.interval
    trial.model.forecast(trial.states, trial.stop, elsewhere, trial.inputs)
    assert_array_equal(trial.forecast(), first)


def test_that_a_forecast_depends_on_nothing_that_the_model_did_before(trial: Trial) -> None:
    fresh = build(trial.name).forecast(trial.states, START, trial.stop, trial.inputs)
    assert_allclose(fresh, trial.forecast(), rtol=NEIGHBOUR_TOLERANCE)


@pytest.mark.parametrize("trial", [name for name in ALL if CASES.get(name, Case()).flow], indirect=True)
def test_that_two_forecasts_in_a_row_are_one_over_both(trial: Trial) -> None:
    end = trial.stop + 2 * trial.case.interval
    once = trial.model.forecast(trial.states, START, end, trial.inputs)
    twice = trial.model.forecast(trial.forecast(), trial.stop, end, trial.inputs)
    # Each leg rounds a handful of times, ln(w / w_N2) with an amplification of 1 / w_N2.
    tolerance = 10.0 * np.finfo(float).eps / smallest_share_of_nitrogen(trial.layout, once)
    for name in trial.layout.names:
        if trial.case.previous_flows or not name.endswith(PREVIOUS):
            expected = trial.layout.field(once, name)
            assert_allclose(trial.layout.field(twice, name), expected, rtol=tolerance, err_msg=name)


def test_that_a_forecast_does_not_go_back_in_time(trial: Trial) -> None:
    with pytest.raises(ValueError, match="before start"):
        trial.model.forecast(trial.states, trial.stop, START, trial.inputs)


@pytest.mark.parametrize("members", [[0], [2], [0, 2], [2, 0, 1]])
def test_that_a_member_does_not_depend_on_its_neighbours_or_place(trial: Trial, members: list[int]) -> None:
    model, inputs = trial.model, subset(trial.inputs, members)
    initial = model.initial(START, inputs, streams(1, Purpose.INITIAL_STATE, members))
    alone = np.ascontiguousarray(trial.states[:, members])
    forecast = model.forecast(alone, START, trial.stop, inputs)
    height = model.height(alone, START, inputs)
    tolerance = neighbour_tolerance(trial.layout, trial.forecast())
    assert_allclose(initial, trial.initial[:, members], rtol=tolerance)
    assert_allclose(forecast, trial.forecast()[:, members], rtol=tolerance)
    together = model.height(trial.states, START, trial.inputs)
    assert_allclose(height, together[..., members], rtol=NEIGHBOUR_TOLERANCE)


def test_that_the_initial_members_follow_from_their_random_streams(trial: Trial) -> None:
    again = trial.model.initial(START, trial.inputs, streams(1, Purpose.INITIAL_STATE, range(MEMBERS)))
    assert_array_equal(again, trial.initial)


def test_that_fields_are_views_that_join_to_the_state_again(trial: Trial) -> None:
    fields = trial.layout.split(trial.states)
    assert list(fields) == list(trial.layout.names)
    assert all(values.shape == (*trial.layout.grid.shape, MEMBERS) for values in fields.values())
    assert all(np.shares_memory(values, trial.states) for values in fields.values())
    assert_array_equal(trial.layout.join(fields), trial.states)


def test_that_units_bounds_grid_and_inputs_are_declared(trial: Trial) -> None:
    layout, model = trial.layout, trial.model
    assert len(set(layout.names)) == len(layout.names) > 0
    for one in layout.fields:
        assert one.unit
        assert one.lower < one.upper
        assert 0 <= one.missing_top_levels < layout.grid.level.size
        if one.name.endswith(PREVIOUS):
            assert one.name.removesuffix(PREVIOUS) in layout.names
    assert layout.state_size == len(layout.fields) * np.prod(layout.grid.shape)
    assert np.abs(layout.grid.latitude).max() <= 90.0
    assert np.ptp(layout.grid.longitude) < 360.0
    assert model.reference_pressure > 0.0
    assert len(set(model.perturbable_inputs)) == len(model.perturbable_inputs)


def test_that_initial_and_forecast_states_keep_their_bounds(trial: Trial) -> None:
    assert_within_bounds(trial.layout, trial.initial)
    assert_within_bounds(trial.layout, trial.forecast())


def test_that_heights_are_finite_and_increase_with_the_level(trial: Trial) -> None:
    for states, time in ((trial.initial, START), (trial.forecast(), trial.stop)):
        height = trial.model.height(states, time, trial.inputs)
        assert height.shape == (*trial.layout.grid.shape, MEMBERS)
        assert np.isfinite(height).all()
        if trial.layout.grid.level.size > 1:
            assert np.all(np.diff(height, axis=0) > 0.0)


def test_that_every_input_that_may_be_perturbed_changes_the_forecast_or_the_heights(trial: Trial) -> None:
    model = trial.model
    twins = np.repeat(trial.states[:, :1], 2, axis=1)
    for name in (one for one in model.perturbable_inputs if one not in trial.case.inert):
        inputs = replace(trial.inputs, perturbations={name: np.array([0.0, 1.0])})
        forecast = model.forecast(twins, START, trial.stop, inputs)
        height = model.height(forecast, trial.stop, inputs)
        change = [np.ptp(values, axis=-1).max() / np.abs(values).max() for values in (forecast, height + 1.0)]
        assert max(change) > 1e3 * NEIGHBOUR_TOLERANCE, name


def test_that_inputs_that_a_model_does_not_have_are_refused_by_name(trial: Trial) -> None:
    refuse_unknown_perturbations(trial.name, trial.model, trial.model.perturbable_inputs)
    with pytest.raises(ThermodaError, match=f"'{trial.name}' has no input 'phase_of_the_moon'"):
        refuse_unknown_perturbations(trial.name, trial.model, [*trial.model.perturbable_inputs, "phase_of_the_moon"])


def test_that_offsets_for_another_number_of_members_are_refused_by_name(trial: Trial) -> None:
    for name in trial.model.perturbable_inputs:
        inputs = replace(trial.inputs, perturbations={name: np.zeros(MEMBERS + 1)})
        with pytest.raises(ValueError, match=f"'{name}' has shape"):
            trial.model.initial(START, inputs, streams(1, Purpose.INITIAL_STATE, range(MEMBERS)))
        with pytest.raises(ValueError, match=f"'{name}' has shape"):
            trial.model.forecast(trial.states, START, trial.stop, inputs)


def test_that_missing_drivers_are_refused_or_not_needed(trial: Trial) -> None:
    inputs = replace(trial.inputs, drivers=None)
    rngs = streams(1, Purpose.INITIAL_STATE, range(MEMBERS))
    if trial.case.needs_drivers:
        with pytest.raises(ThermodaError, match="drivers"):
            trial.model.initial(START, inputs, rngs)
        with pytest.raises(ThermodaError, match="drivers"):
            trial.model.forecast(trial.states, START, trial.stop, inputs)
    else:
        assert_array_equal(trial.model.initial(START, inputs, rngs), trial.initial)
        forecast = trial.model.forecast(trial.states, START, trial.stop, inputs)
        assert_array_equal(forecast, trial.forecast())


@pytest.mark.parametrize("name", ALL)
def test_that_a_setting_that_a_model_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="colour"):
        ADAPTERS[name].settings(colour="blue")


def test_that_an_adapter_that_is_not_registered_is_refused_with_those_that_are() -> None:
    with pytest.raises(ThermodaError, match=f"no 'gcm'; registered are {', '.join(ALL)}"):
        find_adapter("gcm")
