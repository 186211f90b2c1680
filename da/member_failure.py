"""Members whose forecasts fail while others do not: what counts as a failure, and attempts with a shorter step.

A member fails where its model says so (:class:`da.errors.MemberForecastError`), its state is not one that can be
(:mod:`da.forecast_judging`), or its forecast takes too long (:mod:`da.time_limit`). What follows where a shorter step
does not help stands in :mod:`da.member_remedies`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from da.errors import MemberForecastError
from da.forecast_judging import faults
from da.model import ForecastModel, MemberInputs, StateLayout, StepDivisible
from da.time_limit import TimeLimit, TimeLimitExceeded

FloatArray = NDArray[np.float64]
Forecast = Callable[[FloatArray, np.datetime64, np.datetime64, MemberInputs], FloatArray]


class Afterwards(StrEnum):
    """What follows where all attempts failed: the member is made anew or left out, or the run ends."""

    REPLACE = "replace"
    DRAW = "draw"
    DROP = "drop"
    STOP = "stop"


@dataclass(frozen=True)
class MemberFailurePolicy:
    """What is done about members that fail.

    Parameters
    ----------
    retries_with_half_step : int
        Further attempts with 1/2, 1/4, ... of the model step, for models that can.
    then : Afterwards
    difference_factor : float
        alpha of :mod:`da.member_remedies`.
    largest_failing_fraction : float
        Where more of the members than this fail together, the fault is not theirs: the run ends.
    fewest_members : int
        Where fewer would be left of those that are left out for good, the run ends.
    time_limit_s : float or None
        Wall time of one member's forecast; None: no limit.
    truncations : dict of input -> float
        Inputs of a member drawn anew lie within +-truncation, as their first draws do.
    seed : int
    """

    retries_with_half_step: int = 0
    then: Afterwards = Afterwards.STOP
    difference_factor: float = 0.5
    largest_failing_fraction: float = 0.5
    fewest_members: int = 2
    time_limit_s: float | None = None
    truncations: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class LocalForecast:
    """The members of one rank after all attempts.

    Parameters
    ----------
    states : array (state_size, local members)
        Columns of members that failed hold nothing of use.
    causes : dict of position -> str
        Of the members that failed in every attempt: that of the first.
    recovered : dict of position -> (str, int)
        Cause of the first failure and divisor of the step, of the members that succeeded later.
    """

    states: FloatArray
    causes: Mapping[int, str] = field(default_factory=dict)
    recovered: Mapping[int, tuple[str, int]] = field(default_factory=dict)


def forecast_members(
    model: ForecastModel,
    forecast: Forecast,
    states: FloatArray,
    start: np.datetime64,
    stop: np.datetime64,
    inputs: MemberInputs,
    retries: int,
    limit: TimeLimit | None = None,
) -> LocalForecast:
    """Return the members of this rank at ``stop``, those that fail tried again as often as asked for.

    Parameters
    ----------
    model : ForecastModel
    forecast : callable
        The first attempt, as a rule ``model.forecast``.
    states : array (state_size, local members)
    start, stop : datetime64
    inputs : MemberInputs
        With the numbers of the members.
    retries : int
    limit : TimeLimit or None
        Of one member with the model's own step.
    """
    result, causes = _Attempt(model.layout, forecast, start, stop, limit).made(states, inputs)
    first, recovered = dict(causes), dict[int, tuple[str, int]]()
    for attempt in range(1, retries + 1):
        finer = model.with_step_divided(2**attempt) if causes and isinstance(model, StepDivisible) else None
        if finer is None:
            break
        positions = sorted(causes)
        longer = None if limit is None else limit.times(2**attempt)
        again, left = _Attempt(model.layout, finer.forecast, start, stop, longer).made(
            states[:, positions], inputs.of(positions)
        )
        mended = [number for number in range(len(positions)) if number not in left]
        result = result.copy()
        result[:, [positions[number] for number in mended]] = again[:, mended]
        recovered |= {positions[number]: (first[positions[number]], 2**attempt) for number in mended}
        causes = {positions[number]: cause for number, cause in left.items()}
    return LocalForecast(result, {position: first[position] for position in causes}, recovered)


@dataclass(frozen=True)
class _Attempt:
    """A forecast of some members with one model step."""

    layout: StateLayout
    forecast: Forecast
    start: np.datetime64
    stop: np.datetime64
    limit: TimeLimit | None

    def made(self, states: FloatArray, inputs: MemberInputs) -> tuple[FloatArray, dict[int, str]]:
        """Return states (state_size, members) at the end, and the causes of failure by position.

        Where the members together take too long, each is forecast by itself, so that those that do so are known.
        """
        members = states.shape[1]
        try:
            result, causes = self._together(states, inputs)
        except TimeLimitExceeded:
            if members == 1:
                return states, {0: self._late(int(inputs.member_numbers(members)[0]))}
            parts = [self.made(states[:, [place]], inputs.of([place])) for place in range(members)]
            result = np.concatenate([part for part, _ in parts], axis=1)
            return result, {place: cause[0] for place, (_, cause) in enumerate(parts) if cause}
        return result, faults(self.layout, result, inputs.member_numbers(members), causes) | causes

    def _together(self, states: FloatArray, inputs: MemberInputs) -> tuple[FloatArray, dict[int, str]]:
        limit = None if self.limit is None else self.limit.times(states.shape[1])
        try:
            if limit is None:
                return self.forecast(states, self.start, self.stop, inputs), {}
            return limit.within(lambda: self.forecast(states, self.start, self.stop, inputs), self._what(inputs)), {}
        except MemberForecastError as error:
            return error.states, dict(error.causes)

    def _what(self, inputs: MemberInputs) -> str:
        numbers: Sequence[int] = [] if inputs.numbers is None else inputs.numbers.tolist()
        return f"{inputs.ensemble or 'ensemble'}: forecast from {self.start} to {self.stop} of members {numbers}"

    def _late(self, number: int) -> str:
        seconds = 0.0 if self.limit is None else self.limit.seconds
        return f"member {number} took longer than the {seconds:g} s that ensemble.on_member_failure.time_limit_s gives"
