"""The spin-up of members: in one go in memory, in parts that can be interrupted where members live in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from da.config import Experiment, read_experiment
from da.cycle import Forecasted
from da.errors import MemberForecastError, ThermodaError
from da.execution import build_forecasts
from da.member_remedies import Drop, Replacement
from da.model import SPIN_UP, MemberInputs, MembersInFiles
from da.parallel import SerialCommunicator
from da.spin_up import require_files, spin_up_edges, spun_up
from model_adapters.template import TemplateModel, TemplateSettings

DAY = np.timedelta64(86_400_000_000_000, "ns")
MEMBERS = 4
Files = dict[tuple[str, int, Any], np.ndarray]


class Filed(TemplateModel):
    """The template, whose members are also kept in a dictionary that outlives it, as files would."""

    def __init__(self, files: Files, failing: Mapping[tuple[int, int], int] | None = None) -> None:
        super().__init__(TemplateSettings())
        self.files, self.made, self.claims = files, list[tuple[int, str]](), dict[str, Any]()
        self.failing = dict(failing or {})

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Any) -> np.ndarray:
        states = super().initial(time, inputs, rngs)
        self._keep(states, time, inputs, range(states.shape[1]))
        return states

    def forecast(
        self, states: np.ndarray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> np.ndarray:
        result = super().forecast(states, start, stop, inputs)
        numbers = inputs.member_numbers(states.shape[1]).tolist()
        self.made += [(number, str(stop)[:10]) for number in numbers]
        causes = {place: f"member {number} failed" for place, number in enumerate(numbers) if self._fails(number, stop)}
        self._keep(result, stop, inputs, [place for place in range(len(numbers)) if place not in causes])
        if causes:
            raise MemberForecastError(causes, result)
        return result

    def _fails(self, number: int, stop: np.datetime64) -> bool:
        return (number, stop.astype("datetime64[D]").item().day) in self.failing

    def _keep(self, states: np.ndarray, time: np.datetime64, inputs: MemberInputs, places: Any) -> None:
        numbers = inputs.member_numbers(states.shape[1])
        for place in places:
            self.files[inputs.ensemble, int(numbers[place]), time.item()] = states[:, place].copy()

    def claim(self, ensemble: str, description: Mapping[str, Any]) -> None:
        self.claims[ensemble] = description

    def begin(self, time: np.datetime64, inputs: MemberInputs, source: str) -> None:
        for number in inputs.member_numbers(MEMBERS).tolist():
            self.files[inputs.ensemble, number, time.item()] = self.files[source, number, time.item()]

    def stored(self, time: np.datetime64, inputs: MemberInputs) -> np.ndarray:
        assert inputs.numbers is not None
        return np.array([(inputs.ensemble, int(one), time.item()) in self.files for one in inputs.numbers])

    def restored(self, time: np.datetime64, inputs: MemberInputs) -> np.ndarray:
        assert inputs.numbers is not None
        return np.stack([self.files[inputs.ensemble, int(one), time.item()] for one in inputs.numbers], axis=1)

    def adopt(self, state: np.ndarray, time: np.datetime64, ensemble: str, source: int, member: int) -> np.ndarray:
        assert (ensemble, source, time.item()) in self.files
        self.files[ensemble, member, time.item()] = state
        return state

    def hold(self, times: Any) -> None:
        self.held = times

    def discard(self, ensemble: str) -> None:
        for key in [key for key in self.files if key[0] == ensemble]:
            del self.files[key]


@pytest.fixture
def experiment(tiny_experiment: Callable[..., Path]) -> Experiment:
    return _experiment(tiny_experiment, {})


def _experiment(tiny_experiment: Callable[..., Path], more: dict[str, Any]) -> Experiment:
    perturbations = {"f107_sfu": None, "equilibrium_temperature_k": {"standard_deviation": 50.0, "truncation": 150.0}}
    changes: dict[str, Any] = {"members": MEMBERS, "spin_up_days": 2.5, "perturbations": perturbations}
    changes |= more
    return read_experiment(tiny_experiment(ensemble=changes, model={"adapter": "template"}))[0]


def _spun_up(experiment: Experiment, model: TemplateModel, told: list[Any] | None = None) -> Forecasted:
    forecasts = build_forecasts(experiment, "template", model, None, SerialCommunicator())
    return spun_up(experiment, forecasts, lambda *progress: (told if told is not None else []).append(progress))


def test_that_parts_are_days_from_the_begin_to_the_start(experiment: Experiment) -> None:
    edges = spin_up_edges(experiment)
    assert [str(edge)[:13] for edge in edges] == ["2010-04-02T12", "2010-04-03T12", "2010-04-04T12", "2010-04-05T00"]


def test_that_members_in_files_are_spun_up_as_those_in_memory(experiment: Experiment) -> None:
    told: list[Any] = []
    model = Filed({})
    assert isinstance(model, MembersInFiles)
    in_parts = _spun_up(experiment, model, told)
    at_once = _spun_up(experiment, TemplateModel(TemplateSettings()))
    # The template is an exact solution; three parts round three times.
    np.testing.assert_allclose(in_parts.states, at_once.states, rtol=1e-14)
    assert [done for _, done, _ in told] == [1, 2, 3]
    assert set(model.claims) == {SPIN_UP}
    assert model.claims[SPIN_UP]["ensemble.spin_up_days"] == 2.5


def test_that_an_interrupted_spin_up_goes_on_where_each_member_was(experiment: Experiment) -> None:
    whole: Files = {}
    expected = _spun_up(experiment, Filed(whole)).states
    edges = [edge.item() for edge in spin_up_edges(experiment)]
    # Member 0 is done, 1 lacks the last part, 2 two of them, and 3 was never begun.
    left = {key: state for key, state in whole.items() if edges.index(key[2]) <= {0: 3, 1: 2, 2: 1, 3: -1}[key[1]]}
    model = Filed(left)
    assert_array_equal(_spun_up(experiment, model).states, expected)
    again = [(3, "2010-04-03"), (2, "2010-04-04"), (3, "2010-04-04"), *((n, "2010-04-05") for n in (1, 2, 3))]
    assert model.made == again
    complete = Filed(left)
    assert_array_equal(_spun_up(experiment, complete).states, expected)
    assert complete.made == []


def test_that_a_failing_member_of_a_resumed_spin_up_is_replaced_by_members_that_were_done(
    experiment: Experiment,
) -> None:
    whole: Files = {}
    _spun_up(experiment, Filed(whole))
    start = spin_up_edges(experiment)[-1].item()
    del whole[SPIN_UP, 2, start]
    result = _spun_up(experiment, Filed(whole, {(2, 5): 1}))
    (event,) = result.events
    assert event.member == 2
    made = event.outcome
    assert isinstance(made, Replacement)
    assert {made.donor, made.first, made.second} == {0, 1, 3}
    assert_array_equal(result.states[:, 2], whole[SPIN_UP, 2, start])
    assert np.isfinite(result.states).all()


def test_that_members_go_on_with_their_own_files_where_one_before_them_is_dropped(
    experiment: Experiment, tiny_experiment: Callable[..., Path]
) -> None:
    whole: Files = {}
    expected = _spun_up(experiment, Filed(whole)).states
    policy = {"on_member_failure": {"then": "drop"}}
    dropping = _experiment(tiny_experiment, policy)
    # Member 3 is done, the others lack two parts; 1 fails in the first of them.
    edges = [edge.item() for edge in spin_up_edges(experiment)]
    left = {key: state for key, state in whole.items() if key[1] == 3 or edges.index(key[2]) <= 1}
    model = Filed(left, {(1, 4): 1})
    result = _spun_up(dropping, model)
    assert [event.outcome for event in result.events] == [Drop(1, 3)]
    assert result.forecasts.inputs.numbers is not None
    assert result.forecasts.inputs.numbers.tolist() == [0, 2, 3]
    assert_array_equal(result.states, expected[:, [0, 2, 3]])
    assert model.made == [(0, "2010-04-04"), (1, "2010-04-04"), (2, "2010-04-04"), (0, "2010-04-05"), (2, "2010-04-05")]


def test_that_members_in_memory_are_refused_by_name() -> None:
    require_files("filed", Filed({}))
    with pytest.raises(ThermodaError, match="'template' keeps its members in memory"):
        require_files("template", TemplateModel(TemplateSettings()))
