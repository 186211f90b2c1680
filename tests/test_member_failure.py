"""Members that fail: who replaces them, by what, and that a run goes on or ends as its policy says."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from da.config import read_experiment
from da.cycle import MemberForecasts
from da.errors import MemberForecastError, ThermodaError
from da.execution import failure_policy
from da.member_failure import (
    Afterwards,
    MemberFailurePolicy,
    combined_inputs,
    combined_state,
    forecast_members,
    replacements,
)
from da.model import MemberInputs
from da.parallel import AgreedError, SerialCommunicator
from model_adapters import registry
from model_adapters.template import TemplateModel, TemplateSettings

START = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
REPLACE = MemberFailurePolicy(then=Afterwards.REPLACE, seed=3)
MEMBERS = 6
CAUSES = {2: "member 2 broke its neck"}


class Fragile(TemplateModel):
    """Members of some numbers fail: by an exception, or by a state that is not finite."""

    def __init__(self, settings: TemplateSettings, raising: tuple[int, ...] = (), nan: tuple[int, ...] = ()) -> None:
        super().__init__(settings)
        self.raising, self.nan, self.steps = raising, nan, [1]

    def forecast(self, states: Any, start: Any, stop: Any, inputs: MemberInputs) -> Any:
        result = super().forecast(states, start, stop, inputs)
        numbers = inputs.member_numbers(states.shape[1])
        causes = {place: f"member {number} raised" for place, number in enumerate(numbers) if number in self.raising}
        if stop > start:
            result[7, np.isin(numbers, self.nan)] = np.inf
            if causes:
                raise MemberForecastError(causes, result)
        return result


class Divisible(Fragile):
    """Recovers where its step is divided by enough."""

    enough = 4

    def with_step_divided(self, divisor: int) -> Any:
        self.steps.append(divisor)
        if divisor >= self.enough:
            return TemplateModel(TemplateSettings())
        return Fragile(TemplateSettings(), self.raising, self.nan)


def _inputs() -> MemberInputs:
    offsets = np.linspace(-100.0, 100.0, MEMBERS)
    return MemberInputs({"equilibrium_temperature_k": offsets}, numbers=np.arange(MEMBERS))


def _states(model: TemplateModel) -> np.ndarray:
    return model.initial(START, _inputs(), [np.random.default_rng(0)] * MEMBERS)


def _forecasts(model: TemplateModel, policy: MemberFailurePolicy) -> MemberForecasts:
    return MemberForecasts(SerialCommunicator(), model, _inputs(), 0, policy)


def test_that_donors_are_healthy_and_different_and_follow_from_seed_time_and_member() -> None:
    numbers = list(range(10))
    causes = {1: "", 4: "", 7: ""}
    plan = replacements(causes, numbers, REPLACE, START)
    assert [one.member for one in plan] == [1, 4, 7]
    for one in plan:
        three = {one.donor, one.first, one.second}
        assert len(three) == 3
        assert not three & causes.keys()
    # The order in which ranks report members does not matter.
    assert replacements(dict(reversed(causes.items())), numbers[::-1], REPLACE, START) == plan
    assert replacements(causes, numbers, replace(REPLACE, seed=4), START) != plan
    assert replacements(causes, numbers, REPLACE, START + HOUR) != plan


def test_that_donors_are_drawn_evenly() -> None:
    numbers = list(range(6))
    donors = [replacements({0: ""}, numbers, REPLACE, START + n * HOUR)[0].donor for n in range(2000)]
    share = np.bincount(donors, minlength=6) / 2000.0
    assert share[0] == 0.0
    # A share of 1/5 of 2000 draws has a standard deviation of 0.009; five of them.
    assert np.abs(share[1:] - 0.2).max() < 0.045


@pytest.mark.parametrize(
    ("policy", "causes", "said"),
    [
        (MemberFailurePolicy(), CAUSES, "member 2 broke its neck"),
        (MemberFailurePolicy(), {**CAUSES, 3: "other"}, r"broke its neck \(and 1 more\)"),
        (REPLACE, dict.fromkeys((0, 1, 2, 3), "all alike"), "4 of 6 members failed together"),
        (replace(REPLACE, largest_failing_fraction=1.0), dict.fromkeys(range(4), ""), "2 healthy members are left"),
    ],
)
def test_that_the_run_ends_with_the_cause_where_the_policy_or_the_number_of_members_says_so(
    policy: MemberFailurePolicy, causes: dict[int, str], said: str
) -> None:
    with pytest.raises(ThermodaError, match=said):
        replacements(causes, range(6), policy, START)


def test_that_a_replacement_differs_from_its_donor_by_twice_the_covariance_times_the_square_of_the_factor() -> None:
    layout, rng, draws = TemplateModel(TemplateSettings()).layout, np.random.default_rng(5), 4000
    centre = np.full(layout.state_size, 0.2)
    first, second = (
        [centre + 0.01 * rng.standard_normal(layout.state_size) for _ in range(draws // 1000)] for _ in range(2)
    )
    # Every element is a draw: 4 times 11136 of them estimate a standard deviation within 0.4 %; five of those.
    bounded = np.concatenate(
        [
            (combined_state(layout, centre, a, b, 0.5) - centre)[layout.offset("mass_fraction_O") :]
            for a, b in zip(first, second, strict=True)
        ]
    )
    assert_allclose(bounded.std(), 0.01 * np.sqrt(2.0) * 0.5, rtol=0.02)


def test_that_a_replacement_keeps_the_constraints_of_the_state() -> None:
    layout = TemplateModel(TemplateSettings()).layout
    rng = np.random.default_rng(1)
    three = [rng.uniform(0.0, 0.6, layout.state_size) for _ in range(3)]
    state = combined_state(layout, *three, 2.0)[:, None]
    for one in layout.fields:
        values = layout.field(state, one.name)
        assert values.min() >= one.lower
        assert values.max() <= one.upper
    fractions = [layout.field(state, f"mass_fraction_{name}") for name in ("O", "O2", "He")]
    # Three roundings of numbers below one.
    assert np.sum(fractions, axis=0).max() <= 1.0 + 1e-15


def test_that_inputs_of_a_replacement_stay_within_those_it_is_made_from() -> None:
    made = combined_inputs({"a": 1.0, "b": 0.0}, {"a": 3.0, "b": 1.0}, {"a": 0.0, "b": -1.0}, 0.5)
    assert made == {"a": 2.5, "b": 1.0}
    assert combined_inputs({"a": 3.0}, {"a": 3.0}, {"a": 0.0}, 0.5) == {"a": 3.0}


@pytest.mark.parametrize("fault", ["raising", "nan"])
def test_that_healthy_members_are_what_they_would_be_without_the_failure(fault: str) -> None:
    model = Fragile(TemplateSettings(), **{fault: (1, 4)})
    states = _states(model)
    expected = TemplateModel(TemplateSettings()).forecast(states, START, START + HOUR, _inputs())
    result = _forecasts(model, REPLACE).advance(states, START, START + HOUR)
    healthy = [0, 2, 3, 5]
    assert_array_equal(result.states[:, healthy], expected[:, healthy])
    assert np.isfinite(result.states).all()
    for event in result.events:
        made = event.replacement
        assert made is not None
        three = [expected[:, number] for number in (made.donor, made.first, made.second)]
        assert_array_equal(result.states[:, event.member], combined_state(model.layout, *three, 0.5))
        offsets = result.forecasts.inputs.perturbations["equilibrium_temperature_k"]
        assert offsets[event.member] != _inputs().perturbations["equilibrium_temperature_k"][event.member]
    assert [event.member for event in result.events] == [1, 4]


def test_that_a_shorter_step_is_tried_as_often_as_asked_for_and_used_where_it_helps() -> None:
    model = Divisible(TemplateSettings(), raising=(3,))
    states = _states(model)
    expected = TemplateModel(TemplateSettings()).forecast(states, START, START + HOUR, _inputs())
    made = forecast_members(model, model.forecast, states, START, START + HOUR, _inputs(), retries=3)
    assert model.steps == [1, 2, 4]
    assert not made.causes
    assert made.recovered == {3: ("member 3 raised", 4)}
    assert_array_equal(made.states, expected)
    once = forecast_members(model, model.forecast, states, START, START + HOUR, _inputs(), retries=1)
    assert once.causes == {3: "member 3 raised"}


def test_that_retries_are_left_out_where_the_model_has_no_other_step() -> None:
    model = Fragile(TemplateSettings(), nan=(0,))
    made = forecast_members(model, model.forecast, _states(model), START, START + HOUR, _inputs(), retries=3)
    assert list(made.causes) == [0]


def test_that_the_default_policy_of_the_framework_stops_with_phase_and_member() -> None:
    model = Fragile(TemplateSettings(), raising=(5,))
    with pytest.raises(AgreedError, match=r"forecast from 2010-04-05T00.*: member 5 raised"):
        _forecasts(model, MemberFailurePolicy()).advance(_states(model), START, START + HOUR)


def test_that_a_failure_of_no_member_or_of_one_that_is_not_there_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="among 2"):
        MemberForecastError({}, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="among 2"):
        MemberForecastError({2: "?"}, np.zeros((3, 2)))


def test_that_every_key_of_the_experiment_reaches_the_policy(tiny_experiment: Callable[..., Path]) -> None:
    default = failure_policy(read_experiment(tiny_experiment())[0])
    assert default == MemberFailurePolicy(1, Afterwards.REPLACE, 0.5, 0.5, seed=7)
    keys = {
        "retries_with_half_step": 2,
        "then": "stop",
        "difference_factor": 0.25,
        "largest_failing_fraction": 0.75,
    }
    changed = failure_policy(read_experiment(tiny_experiment(ensemble={"on_member_failure": keys}))[0])
    assert changed == MemberFailurePolicy(2, Afterwards.STOP, 0.25, 0.75, seed=7)


class _OftenSick(TemplateModel):
    """Member 1 of every ensemble is not a number after each forecast."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: MemberInputs) -> Any:
        result = super().forecast(states, start, stop, inputs)
        if stop > start:
            result[3, inputs.member_numbers(states.shape[1]) == 1] = np.nan
        return result


def test_that_a_run_with_a_member_that_always_fails_is_finished_and_tells_every_event(
    tiny_experiment: Callable[..., Path],
    command_line: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(registry.ADAPTERS, "sick", registry.Adapter(TemplateSettings, _OftenSick))
    perturbations = {"f107_sfu": None, "equilibrium_temperature_k": {"standard_deviation": 50.0, "truncation": 150.0}}
    file = tiny_experiment(
        model={"adapter": "sick", "settings": {"resolution_deg": None}}, ensemble={"perturbations": perturbations}
    )
    ended = command_line("run", file)
    assert ended.status == 0, ended.err
    # Two forecasts of half an hour in each of two ensembles.
    assert "4 times a failed member was replaced" in ended.out
    folder = tmp_path / "runs" / "tiny"
    with (folder / "member_failures.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [(row["ensemble"], row["member"]) for row in rows] == 2 * [("open_loop", "1"), ("assimilation", "1")]
    assert all("has nan in temperature" in row["cause"] for row in rows)
    assert all({row["donor"], row["plus"], row["minus"]} == {"0", "2", "3"} for row in rows)
    told = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["member_failures"]
    assert told == {"replaced": 4, "with_a_shorter_step": 0}
    with xr.open_dataset(folder / "filter.nc") as written:
        assert written["members_replaced"].values.tolist() == [0, 2]
    with xr.open_dataset(folder / "analysis.nc") as written:
        assert np.isfinite(written["density"]).all()
