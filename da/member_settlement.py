"""Failed members of all ranks: what becomes of them is agreed on, done, and told.

Members that are left out leave gaps in the shares of the ranks. The others are dealt out anew, so that every rank has
the share that :func:`da.parallel.share` gives it of those that are left, as a resumed run would have.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.member_failure import LocalForecast, MemberFailurePolicy
from da.member_remedies import (
    Draw,
    Drop,
    Inputs,
    MemberEvent,
    Remedy,
    Replacement,
    ShorterStep,
    combined_inputs,
    combined_state,
    constrained,
    drawn_inputs,
    remedies,
    weighted_sum,
)
from da.model import ForecastModel, MemberInputs, MembersInFiles
from da.parallel import AgreedError, Communicator, MemberTranspose, collective, share

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

ROWS_PER_EXCHANGE = 2**17
"""Rows of which the ranks exchange all members at a time: 100 MiB over all ranks, with a hundred members."""


@dataclass(frozen=True)
class Advanced:
    """The members of one rank at the end of a forecast.

    Parameters
    ----------
    states : array (state_size, local members)
    inputs : MemberInputs
        With those of members made anew, without those left out.
    events : tuple of MemberEvent
        Of all ranks, on all of them.
    kept : array of int or None
        Places, among the members of all ranks before, of those that are left; None where all are.
    """

    states: FloatArray
    inputs: MemberInputs
    events: tuple[MemberEvent, ...] = ()
    kept: IndexArray | None = None


def settle(
    comm: Communicator,
    model: ForecastModel,
    local: LocalForecast,
    stop: np.datetime64,
    inputs: MemberInputs,
    policy: MemberFailurePolicy,
    phase: str,
) -> Advanced:
    """Do what the policy says about members that failed, over all ranks; called on all of them with what each has.

    Parameters
    ----------
    comm : Communicator
    model : ForecastModel
    local : LocalForecast
    stop : datetime64
    inputs : MemberInputs
        With the numbers of the members of this rank, its share of the whole ensemble in increasing order.
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
    parts = comm.allgather((causes, mended))
    all_causes = {number: cause for one, _ in parts for number, cause in one.items()}
    events = [
        MemberEvent(stop, inputs.ensemble, number, cause, ShorterStep(divisor))
        for number, (cause, divisor) in sorted(item for _, one in parts for item in one.items())
    ]
    result = Advanced(local.states, inputs)
    if all_causes:
        whole = _Whole.gathered(comm, numbers, inputs)
        try:
            plan = remedies(all_causes, whole.inputs, policy, stop)
        except ThermodaError as error:
            raise AgreedError(f"{phase}: {error}") from error
        result = _done(comm, model, result, whole, plan, stop, policy)
        events += [MemberEvent(stop, inputs.ensemble, one.member, all_causes[one.member], one) for one in plan]
    if comm.rank == 0:
        for event in events:
            _log(event)
    return replace(result, events=tuple(events))


@dataclass(frozen=True)
class _Whole:
    """What all ranks know of all members: their inputs, by number, and which rank has them."""

    inputs: Mapping[int, Inputs]
    of_rank: Sequence[Sequence[int]]

    @classmethod
    def gathered(cls, comm: Communicator, numbers: Sequence[int], inputs: MemberInputs) -> _Whole:
        own = [
            {name: float(values[place]) for name, values in inputs.perturbations.items()}
            for place in range(len(numbers))
        ]
        parts = comm.allgather((list(numbers), own))
        whole = {number: one for held, those in parts for number, one in zip(held, those, strict=True)}
        return cls(whole, [held for held, _ in parts])

    @property
    def numbers(self) -> list[int]:
        """Of all members, in the order in which the ranks have them."""
        return [number for held in self.of_rank for number in held]


def _done(
    comm: Communicator,
    model: ForecastModel,
    before: Advanced,
    whole: _Whole,
    plan: Sequence[Remedy],
    stop: np.datetime64,
    policy: MemberFailurePolicy,
) -> Advanced:
    dropped = {one.member for one in plan if isinstance(one, Drop)}
    if dropped:
        return _dealt_out(comm, before, whole, dropped)
    copies = [one for one in plan if isinstance(one, Replacement)]
    states = _with_draws(comm, before.states, whole.numbers, [one for one in plan if isinstance(one, Draw)])
    donors = _gathered_columns(comm, states, whole.of_rank[comm.rank], copies)
    perturbations = {name: values.copy() for name, values in before.inputs.perturbations.items()}
    own = whole.of_rank[comm.rank]
    with collective(comm, f"members made anew at {stop}"):
        for one in plan:
            if isinstance(one, Drop) or one.member not in own:
                continue
            place = own.index(one.member)
            if isinstance(one, Replacement):
                state = combined_state(model.layout, one, donors, policy.difference_factor)
                offsets = combined_inputs(one, whole.inputs, policy.difference_factor)
            else:
                state = constrained(model.layout, states[:, place])
                offsets = drawn_inputs(one, whole.inputs, policy.truncations)
            if isinstance(model, MembersInFiles):
                state = model.adopt(state, stop, before.inputs.ensemble, one.donor, one.member)
            states[:, place] = state
            for name, value in offsets.items():
                perturbations[name][place] = value
    return Advanced(states, replace(before.inputs, perturbations=perturbations))


def _gathered_columns(
    comm: Communicator, states: FloatArray, own: Sequence[int], copies: Sequence[Replacement]
) -> dict[int, FloatArray]:
    """Return the states (state_size,) of the members that copies are made from, on all ranks."""
    wanted = {number for one in copies for number in (one.donor, one.first, one.second)}
    mine = {number: states[:, place] for place, number in enumerate(own) if number in wanted}
    return {number: state for part in comm.allgather(mine) for number, state in part.items()}


def _with_draws(comm: Communicator, states: FloatArray, numbers: Sequence[int], draws: Sequence[Draw]) -> FloatArray:
    """Return a copy of the states (state_size, local members) with the drawn ones in their places.

    Sums run over all members of a row in their order, so that they do not depend on the number of ranks.
    """
    result = states.copy()
    if not draws:
        return result
    place = {number: column for column, number in enumerate(numbers)}
    for first in range(0, len(states), ROWS_PER_EXCHANGE):
        size = min(ROWS_PER_EXCHANGE, len(states) - first)
        rows = [first + np.asarray(share(size, comm.size, rank), dtype=np.int64) for rank in range(comm.size)]
        transpose = MemberTranspose(comm, rows)
        ensemble = transpose.to_rows(states)
        sums = [weighted_sum(ensemble, {place[n]: w for n, w in one.weights.items()}) for one in draws]
        for one, total in zip(draws, sums, strict=True):
            ensemble[:, place[one.member]] = total
        transpose.to_members(ensemble, result)
    return result


def _dealt_out(comm: Communicator, before: Advanced, whole: _Whole, dropped: set[int]) -> Advanced:
    """Return the members that are left, each rank with its share of them."""
    left = [number for number in whole.numbers if number not in dropped]
    shares = [[left[place] for place in share(len(left), comm.size, rank)] for rank in range(comm.size)]
    own, new = whole.of_rank[comm.rank], shares[comm.rank]
    states = before.states
    blocks = [states[:, [own.index(number) for number in part if number in own]] for part in shares]
    counts = [sum(number in new for number in held) for held in whole.of_rank]
    parts = comm.exchange(blocks, [(len(states), count) for count in counts])
    names = before.inputs.perturbations
    inputs = replace(
        before.inputs,
        perturbations={name: np.array([whole.inputs[number][name] for number in new]) for name in names},
        numbers=np.array(new, dtype=np.int64),
        lowest=left[0],
    )
    kept = np.flatnonzero([number not in dropped for number in whole.numbers])
    return Advanced(np.concatenate(parts, axis=1), inputs, kept=kept)


def _log(event: MemberEvent) -> None:
    where = f"{event.ensemble or 'ensemble'}, {np.datetime_as_string(event.time, unit='s')}"
    logging.getLogger(__name__).warning("%s: member %d %s: %s", where, event.member, event.outcome.words, event.cause)
