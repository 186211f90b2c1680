"""Members that fail: attempts with a shorter step, and that a run goes on or ends as its policy says."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from da.config import read_experiment
from da.cycle import MemberForecasts
from da.errors import MemberForecastError, ThermodaError
from da.execution import failure_policy, refuse_idle_ranks
from da.member_failure import Afterwards, MemberFailurePolicy, forecast_members
from da.member_remedies import Draw, Drop, Replacement, combined_state, drawn_inputs
from da.model import MemberInputs, refuse_unusable_time_limit
from da.parallel import AgreedError, SerialCommunicator
from model_adapters import registry
from model_adapters.template import TemplateModel, TemplateSettings

START = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
REPLACE = MemberFailurePolicy(then=Afterwards.REPLACE, seed=3)
MEMBERS = 6
LONG_S = 20.0


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
        made = event.outcome
        assert isinstance(made, Replacement)
        columns = dict(enumerate(expected.T))
        assert_array_equal(result.states[:, event.member], combined_state(model.layout, made, columns, 0.5))
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
    truncations = {"f107_sfu": 24.0}
    assert default == MemberFailurePolicy(1, Afterwards.REPLACE, 0.5, 0.5, 2, truncations=truncations, seed=7)
    shared = {"retries_with_half_step": 2, "largest_failing_fraction": 0.75, "time_limit_s": 9.0}
    for keys, expected in (
        ({"then": "replace", "difference_factor": 0.25}, (2, Afterwards.REPLACE, 0.25, 0.75, 2, 9.0)),
        ({"then": "drop", "fewest_members": 3}, (2, Afterwards.DROP, 0.5, 0.75, 3, 9.0)),
        ({"then": "draw"}, (2, Afterwards.DRAW, 0.5, 0.75, 2, 9.0)),
        ({"then": "stop"}, (2, Afterwards.STOP, 0.5, 0.75, 2, 9.0)),
    ):
        file = tiny_experiment(ensemble={"on_member_failure": keys | shared})
        assert failure_policy(read_experiment(file)[0]) == MemberFailurePolicy(*expected, truncations, 7)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"then": "forget"}, r"ensemble.on_member_failure.then: .*'replace', 'draw', 'drop' or 'stop'"),
        ({"then": "draw", "difference_factor": 0.25}, "difference_factor: has no use without then: replace"),
        ({"fewest_members": 3}, "fewest_members: has no use without then: drop"),
        ({"then": "drop", "fewest_members": 5}, r"fewest_members: must not be more than ensemble.members \(4\)"),
        ({"then": "drop", "fewest_members": 1}, "fewest_members: .* 2"),
        ({"time_limit_s": 0.0}, "time_limit_s: .* 0"),
    ],
)
def test_that_a_key_without_meaning_is_refused_with_its_line(
    tiny_experiment: Callable[..., Path], keys: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ThermodaError, match=rf"tiny.yaml, line \d+: .*{problem}"):
        read_experiment(tiny_experiment(ensemble={"on_member_failure": keys}))


def test_that_more_ranks_than_members_may_be_left_are_refused(tiny_experiment: Callable[..., Path]) -> None:
    three_ranks: Any = SimpleNamespace(size=3)
    for policy, members in (({"then": "drop", "fewest_members": 3}, 4), ({"then": "draw"}, 4), ({"then": "drop"}, 5)):
        ensemble = {"members": members, "on_member_failure": policy}
        refuse_idle_ranks(read_experiment(tiny_experiment(ensemble=ensemble))[0], three_ranks)
    experiment = read_experiment(tiny_experiment(ensemble={"on_member_failure": {"then": "drop"}}))[0]
    with pytest.raises(ThermodaError, match="3 ranks, but .* be dropped until 2 are left: start at most as many"):
        refuse_idle_ranks(experiment, three_ranks)


def test_that_half_of_the_members_may_be_lost_by_default(tiny_experiment: Callable[..., Path]) -> None:
    for members, fewest in ((2, 2), (3, 2), (4, 2), (7, 4), (40, 20)):
        ensemble = {"members": members, "on_member_failure": {"then": "drop"}}
        assert read_experiment(tiny_experiment(ensemble=ensemble))[0].ensemble.fewest_members == fewest


class _OftenSick(TemplateModel):
    """The last member of every ensemble is not a number after each forecast."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: MemberInputs) -> Any:
        result = super().forecast(states, start, stop, inputs)
        if stop > start:
            result[3, inputs.member_numbers(states.shape[1]) == 3] = np.nan
        return result


PERTURBATIONS = {"f107_sfu": None, "equilibrium_temperature_k": {"standard_deviation": 50.0, "truncation": 150.0}}
SICK = {"adapter": "sick", "settings": {"resolution_deg": None}}


@pytest.mark.parametrize(
    ("policy", "outcome", "words", "filter_counts", "left"),
    [
        ({}, "replaced", "4 times a failed member was replaced", ([4, 4], [0, 2], [0, 0]), 4),
        ({"then": "draw"}, "drawn", "4 times a failed member was drawn anew", ([4, 4], [0, 2], [0, 0]), 4),
        ({"then": "drop"}, "dropped", "2 failed members were left out for good", ([4, 3], [0, 0], [0, 1]), 3),
    ],
    ids=["default", "draw", "drop"],
)
def test_that_a_run_with_a_member_that_always_fails_is_finished_and_tells_every_event(
    tiny_experiment: Callable[..., Path],
    command_line: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    policy: dict[str, Any],
    outcome: str,
    words: str,
    filter_counts: tuple[list[int], ...],
    left: int,
) -> None:
    monkeypatch.setitem(registry.ADAPTERS, "sick", registry.Adapter(TemplateSettings, _OftenSick))
    file = tiny_experiment(model=SICK, ensemble={"perturbations": PERTURBATIONS, "on_member_failure": policy})
    ended = command_line("run", file)
    assert ended.status == 0, ended.err
    assert words in ended.out
    folder = tmp_path / "runs" / "tiny"
    with (folder / "member_failures.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    # Two forecasts of half an hour in each of two ensembles; who is dropped does not fail again.
    times = 1 if outcome == "dropped" else 2
    assert [(row["ensemble"], row["member"]) for row in rows] == times * [("open_loop", "3"), ("assimilation", "3")]
    assert all("has nan in temperature" in row["cause"] and row["outcome"] == outcome for row in rows)
    if outcome == "replaced":
        assert all({row["donor"], row["plus"], row["minus"]} == {"0", "1", "2"} for row in rows)
    assert sum("member 3 " in record.message for record in caplog.records) == len(rows)
    told = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    counts = {"with_a_shorter_step": 0, "replaced": 0, "drawn": 0, "dropped": 0} | {outcome: len(rows)}
    assert told["member_failures"] == counts
    assert told["members_left"] == {"open_loop": left, "assimilation": left}
    with xr.open_dataset(folder / "filter.nc") as written:
        names = ("members", "members_replaced", "members_dropped")
        assert tuple(written[name].values.tolist() for name in names) == filter_counts
    with xr.open_dataset(folder / "analysis.nc") as written:
        assert np.isfinite(written["density"]).all()


def test_that_a_member_dropped_in_the_spin_up_leaves_the_run_of_fewer_members(
    tiny_experiment: Callable[..., Path],
    command_line: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(registry.ADAPTERS, "sick", registry.Adapter(TemplateSettings, _OftenSick))
    results = {}
    # Random streams belong to the numbers of members, so that three members are the first three of four.
    for members, policy in ((4, {"then": "drop", "fewest_members": 3}), (3, {"then": "stop"})):
        ensemble = {"members": members, "spin_up_days": 0.1, "perturbations": PERTURBATIONS}
        analysis = {"adaptive_inflation": {}, "parameters": {"equilibrium_temperature_k": {"mean_damping": 0.5}}}
        file = tiny_experiment(
            experiment={"output_folder": str(tmp_path / f"run{members}")},
            model=SICK,
            ensemble=ensemble | {"on_member_failure": policy},
            analysis=analysis,
        )
        ended = command_line("run", file)
        assert ended.status == 0, ended.err
        for name in ("analysis", "forecast", "open_loop", "observations"):
            with xr.open_dataset(tmp_path / f"run{members}" / f"{name}.nc") as written:
                results[members, name] = written.load()
    for name in ("analysis", "forecast", "open_loop", "observations"):
        for variable in results[3, name].variables:
            assert_array_equal(results[4, name][variable], results[3, name][variable], err_msg=f"{name} {variable}")


def test_that_a_run_ends_with_its_restart_points_where_too_few_members_are_left(
    tiny_experiment: Callable[..., Path],
    command_line: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(registry.ADAPTERS, "sick", registry.Adapter(TemplateSettings, _OftenSick))
    policy = {"then": "drop", "fewest_members": 4}
    file = tiny_experiment(model=SICK, ensemble={"perturbations": PERTURBATIONS, "on_member_failure": policy})
    told = command_line("run", file).err
    assert "3 members would be left, fewer than the 4 of ensemble.on_member_failure.fewest_members" in told
    points = (tmp_path / "runs" / "tiny.partial" / "restart").iterdir()
    assert [one.name for one in points] == ["20100405T000000_1_forecast"]


def test_that_a_drawn_member_is_the_weighted_sum_of_the_healthy_ones_in_state_and_inputs() -> None:
    model = Fragile(TemplateSettings(), nan=(1, 4))
    states = _states(model)
    expected = TemplateModel(TemplateSettings()).forecast(states, START, START + HOUR, _inputs())
    policy = replace(REPLACE, then=Afterwards.DRAW, truncations={"equilibrium_temperature_k": 150.0})
    result = _forecasts(model, policy).advance(states, START, START + HOUR)
    healthy = [0, 2, 3, 5]
    assert_array_equal(result.states[:, healthy], expected[:, healthy])
    offsets = result.forecasts.inputs.perturbations["equilibrium_temperature_k"]
    members = {n: {"equilibrium_temperature_k": float(v)} for n, v in enumerate(np.linspace(-100.0, 100.0, MEMBERS))}
    for event in result.events:
        made = event.outcome
        assert isinstance(made, Draw)
        assert sorted(made.weights) == healthy
        summed = sum(weight * expected[:, number] for number, weight in made.weights.items())
        # Weights of order one and temperatures near 800 K: some roundings of 800 x 2^-53.
        assert_allclose(result.states[:, event.member], summed, rtol=1e-14)
        own = drawn_inputs(made, members, policy.truncations)["equilibrium_temperature_k"]
        assert offsets[event.member] == own
        # The state belongs to the input: T is between its own equilibrium and the mean, as that of all members.
        temperature = result.states[0, event.member]
        assert_allclose((temperature - 800.0) / own, (expected[0, 0] - 800.0) / -100.0, rtol=1e-9)


def test_that_what_waits_for_the_analysis_forgets_a_dropped_member() -> None:
    model = Fragile(TemplateSettings(), nan=(0, 3))
    result = _forecasts(model, replace(REPLACE, then=Afterwards.DROP)).advance(_states(model), START, START + HOUR)
    assert [event.outcome for event in result.events] == [Drop(0, 4), Drop(3, 4)]
    assert result.kept is not None
    assert result.kept.tolist() == [1, 2, 4, 5]
    inputs = result.forecasts.inputs
    assert (inputs.numbers.tolist(), inputs.lowest) == ([1, 2, 4, 5], 1)  # type: ignore[union-attr]
    assert result.states.shape[1] == 4
    assert_array_equal(inputs.perturbations["equilibrium_temperature_k"], np.linspace(-100.0, 100.0, 6)[result.kept])


class _Slow(TemplateModel):
    """Member 2 needs for ever where it is forecast at all."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: MemberInputs) -> Any:
        end = time.monotonic() + LONG_S
        while stop > start and 2 in inputs.member_numbers(states.shape[1]) and time.monotonic() < end:
            pass
        return super().forecast(states, start, stop, inputs)


def test_that_the_member_that_takes_too_long_is_found_and_the_others_are_as_without_it() -> None:
    model = _Slow(TemplateSettings())
    states = _states(model)
    expected = TemplateModel(TemplateSettings()).forecast(states, START, START + HOUR, _inputs())
    result = _forecasts(model, replace(REPLACE, time_limit_s=0.05)).advance(states, START, START + HOUR)
    assert [event.member for event in result.events] == [2]
    assert result.events[0].cause.startswith("member 2 took longer than the 0.05 s")
    healthy = [0, 1, 3, 4, 5]
    assert_array_equal(result.states[:, healthy], expected[:, healthy])


def test_that_a_limit_of_time_is_refused_for_models_that_start_programs() -> None:
    names = ("claim", "begin", "stored", "restored", "adopt", "hold", "discard")
    files: Any = type("Files", (), dict.fromkeys(names, print))
    with pytest.raises(ThermodaError, match="time_limit_s: model 'outside' starts programs of its own"):
        refuse_unusable_time_limit("outside", files(), 5.0)
    refuse_unusable_time_limit("outside", files(), None)
    refuse_unusable_time_limit("template", TemplateModel(TemplateSettings()), 5.0)
