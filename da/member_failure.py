r"""Members that fail while others do not: tried again with a shorter step, replaced by others, or the end of the run.

A member fails where its model says so (:class:`da.errors.MemberForecastError`) or its state is not finite. What is not
mended by a shorter step is replaced, in the augmented space of state and perturbed inputs, by

.. math:: x_f = x_d + \alpha \, (x_a - x_b),

d, a, b drawn from the members that did not fail, all different. A draw of the ensemble's covariance P is
:math:`(x_a - x_b)/\sqrt 2`: the new member differs from its donor d by :math:`2 \alpha^2 P` on average. Inputs come
along because states belong to them, and because those of the failed member are what it failed with; they are kept
within those of the three. Which members are drawn depends on the seed, the time and the failed member alone, not
on the ranks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from da.analysis import composition_groups
from da.constraints import constrain
from da.errors import MemberForecastError, ThermodaError
from da.model import ForecastModel, MemberInputs, MembersInFiles, StateLayout, StepDivisible
from da.parallel import AgreedError, Communicator, collective
from da.seeding import Purpose, stream

FloatArray = NDArray[np.float64]
Forecast = Callable[[FloatArray, np.datetime64, np.datetime64, MemberInputs], FloatArray]

FEWEST_HEALTHY = 3
"""A donor and two others, whose difference sets the copy apart."""

MEMBER_NUMBERS = 2**20
"""More than there are members: a time and a member make one number of a random stream."""


class Afterwards(StrEnum):
    """What follows where all attempts failed: the member is replaced, or the run ends."""

    REPLACE = "replace"
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
        alpha.
    largest_failing_fraction : float
        Where more of the members than this fail together, the fault is not theirs: the run ends.
    seed : int
    """

    retries_with_half_step: int = 0
    then: Afterwards = Afterwards.STOP
    difference_factor: float = 0.5
    largest_failing_fraction: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Replacement:
    """Members, by number, from which a failed one is made: ``donor`` plus a part of ``first`` minus ``second``."""

    member: int
    donor: int
    first: int
    second: int


@dataclass(frozen=True)
class MemberEvent:
    """A member that failed, and what became of it.

    Parameters
    ----------
    time : datetime64
        End of the forecast.
    ensemble : str
    member : int
        Number in the ensemble.
    cause : str
        Of its first failure.
    step_divisor : int
        Of the attempt that succeeded; 0 where none did.
    replacement : Replacement or None
    """

    time: np.datetime64
    ensemble: str
    member: int
    cause: str
    step_divisor: int = 0
    replacement: Replacement | None = None

    @property
    def remedy(self) -> str:
        """What was done, in words."""
        if self.replacement is None:
            return f"forecast with 1/{self.step_divisor} of the model step"
        made = self.replacement
        return f"replaced by member {made.donor} and a part of the difference of {made.first} and {made.second}"


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


@dataclass(frozen=True)
class Advanced:
    """The members of one rank at the end of a forecast.

    Parameters
    ----------
    states : array (state_size, local members)
    inputs : MemberInputs
        With those of replaced members.
    events : tuple of MemberEvent
        Of all ranks, on all of them.
    """

    states: FloatArray
    inputs: MemberInputs
    events: tuple[MemberEvent, ...] = ()


def forecast_members(
    model: ForecastModel,
    forecast: Forecast,
    states: FloatArray,
    start: np.datetime64,
    stop: np.datetime64,
    inputs: MemberInputs,
    retries: int,
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
    """
    result, causes = _attempt(model.layout, forecast, states, start, stop, inputs)
    first, recovered = dict(causes), dict[int, tuple[str, int]]()
    for attempt in range(1, retries + 1):
        finer = model.with_step_divided(2**attempt) if causes and isinstance(model, StepDivisible) else None
        if finer is None:
            break
        positions = sorted(causes)
        again, left = _attempt(model.layout, finer.forecast, states[:, positions], start, stop, inputs.of(positions))
        mended = [number for number in range(len(positions)) if number not in left]
        result = result.copy()
        result[:, [positions[number] for number in mended]] = again[:, mended]
        recovered |= {positions[number]: (first[positions[number]], 2**attempt) for number in mended}
        causes = {positions[number]: cause for number, cause in left.items()}
    return LocalForecast(result, {position: first[position] for position in causes}, recovered)


def _attempt(
    layout: StateLayout,
    forecast: Forecast,
    states: FloatArray,
    start: np.datetime64,
    stop: np.datetime64,
    inputs: MemberInputs,
) -> tuple[FloatArray, dict[int, str]]:
    """Return states and the causes of failure by position."""
    try:
        result, causes = forecast(states, start, stop, inputs), dict[int, str]()
    except MemberForecastError as error:
        result, causes = error.states, dict(error.causes)
    numbers = inputs.member_numbers(states.shape[1])
    for position in np.flatnonzero(~np.isfinite(result).all(axis=0)).tolist():
        if position not in causes:
            row = int(np.argmax(~np.isfinite(result[:, position])))
            causes[position] = f"member {numbers[position]} has {result[row, position]} in {layout.locate(row)}"
    return result, causes


def replacements(
    causes: Mapping[int, str], numbers: Sequence[int], policy: MemberFailurePolicy, time: np.datetime64
) -> list[Replacement]:
    """Return how failed members are replaced; the same on all ranks.

    Parameters
    ----------
    causes : dict of member -> str
        Of all members that failed.
    numbers : sequence of int
        Of all members, failed or not.
    policy : MemberFailurePolicy
    time : datetime64
        End of the forecast.

    Raises
    ------
    ThermodaError
        With the cause of the first, where the policy says stop, too many members failed, or too few are left.
    """
    failed, healthy = sorted(causes), [number for number in sorted(numbers) if number not in causes]
    told = causes[failed[0]] + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
    if policy.then is Afterwards.STOP:
        raise ThermodaError(told)
    if len(failed) > policy.largest_failing_fraction * len(numbers):
        raise ThermodaError(
            f"{len(failed)} of {len(numbers)} members failed together, more than "
            f"ensemble.on_member_failure.largest_failing_fraction allows; the first: {told}"
        )
    if len(healthy) < FEWEST_HEALTHY:
        raise ThermodaError(
            f"{len(healthy)} healthy members are left, of which a new one cannot be made ({FEWEST_HEALTHY} are "
            f"needed); the first that failed: {told}"
        )
    return [_drawn(member, healthy, policy.seed, time) for member in failed]


def _drawn(member: int, healthy: Sequence[int], seed: int, time: np.datetime64) -> Replacement:
    second = int(time.astype("datetime64[s]").astype(np.int64)) % 2**63
    rng = stream(seed, Purpose.MEMBER_REPLACEMENT, MEMBER_NUMBERS * second + member)
    return Replacement(member, *(int(one) for one in rng.choice(np.asarray(healthy), size=3, replace=False)))


def combined_state(
    layout: StateLayout, donor: FloatArray, first: FloatArray, second: FloatArray, factor: float
) -> FloatArray:
    """Return ``donor + factor (first - second)`` (state_size,) within the constraints of the layout."""
    state = donor + factor * (first - second)
    bounds = {one.name: (one.lower, one.upper) for one in layout.fields}
    return layout.join(constrain(layout.split(state[:, None]), bounds, composition_groups(layout))[0])[:, 0]


def combined_inputs(
    donor: Mapping[str, float], first: Mapping[str, float], second: Mapping[str, float], factor: float
) -> dict[str, float]:
    """Return the inputs of a replaced member, each within those of the three that it is made from."""
    result = {}
    for name, value in donor.items():
        three = (value, first[name], second[name])
        result[name] = float(np.clip(value + factor * (first[name] - second[name]), min(three), max(three)))
    return result


@dataclass(frozen=True)
class _Member:
    """State (state_size,) and inputs of one member, as ranks hand them to each other."""

    state: FloatArray
    inputs: Mapping[str, float]


def settle(
    comm: Communicator,
    model: ForecastModel,
    local: LocalForecast,
    stop: np.datetime64,
    inputs: MemberInputs,
    policy: MemberFailurePolicy,
    phase: str,
) -> Advanced:
    """Replace what failed, over all ranks; called on all of them with what each has.

    Parameters
    ----------
    comm : Communicator
    model : ForecastModel
    local : LocalForecast
    stop : datetime64
    inputs : MemberInputs
        With the numbers of the members of this rank.
    policy : MemberFailurePolicy
    phase : str
        For messages.

    Raises
    ------
    AgreedError
        On all ranks, where the policy ends the run.
    """
    numbers = inputs.member_numbers(local.states.shape[1]).tolist()
    causes = {numbers[position]: cause for position, cause in local.causes.items()}
    mended = {numbers[position]: what for position, what in local.recovered.items()}
    parts = comm.allgather((numbers, causes, mended))
    all_causes = {number: cause for _, one, _ in parts for number, cause in one.items()}
    events = [
        MemberEvent(stop, inputs.ensemble, number, cause, divisor)
        for number, (cause, divisor) in sorted(item for _, _, one in parts for item in one.items())
    ]
    states = local.states
    if all_causes:
        try:
            plan = replacements(all_causes, [number for one, _, _ in parts for number in one], policy, stop)
        except ThermodaError as error:
            raise AgreedError(f"{phase}: {error}") from error
        states, inputs = _replaced(comm, model, states, stop, inputs, plan, policy.difference_factor)
        events += [MemberEvent(stop, inputs.ensemble, one.member, all_causes[one.member], 0, one) for one in plan]
    if comm.rank == 0:
        for event in events:
            _log(event)
    return Advanced(states, inputs, tuple(events))


def _replaced(
    comm: Communicator,
    model: ForecastModel,
    states: FloatArray,
    stop: np.datetime64,
    inputs: MemberInputs,
    plan: Sequence[Replacement],
    factor: float,
) -> tuple[FloatArray, MemberInputs]:
    numbers = inputs.member_numbers(states.shape[1]).tolist()
    wanted = {number for one in plan for number in (one.donor, one.first, one.second)}
    own = {
        number: _Member(states[:, place], {name: float(one[place]) for name, one in inputs.perturbations.items()})
        for place, number in enumerate(numbers)
        if number in wanted
    }
    found = {number: one for part in comm.allgather(own) for number, one in part.items()}
    states = states.copy()
    perturbations = {name: values.copy() for name, values in inputs.perturbations.items()}
    with collective(comm, f"replacement of members at {stop}"):
        for one in plan:
            if one.member not in numbers:
                continue
            place, three = numbers.index(one.member), [found[n] for n in (one.donor, one.first, one.second)]
            state = combined_state(model.layout, three[0].state, three[1].state, three[2].state, factor)
            if isinstance(model, MembersInFiles):
                state = model.adopt(state, stop, inputs.ensemble, one.donor, one.member)
            states[:, place] = state
            offsets = combined_inputs(three[0].inputs, three[1].inputs, three[2].inputs, factor)
            for name, value in offsets.items():
                perturbations[name][place] = value
    return states, replace(inputs, perturbations=perturbations)


def _log(event: MemberEvent) -> None:
    where = f"{event.ensemble or 'ensemble'}, {np.datetime_as_string(event.time, unit='s')}"
    logging.getLogger(__name__).warning("%s: member %d %s: %s", where, event.member, event.remedy, event.cause)
