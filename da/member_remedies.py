r"""What becomes of members whose forecasts failed for good: made anew from the healthy ones, or left out.

State and perturbed inputs are treated together, as states belong to inputs. With n healthy members :math:`x_k` of
mean :math:`\bar x` and sample covariance :math:`P = \sum_k (x_k - \bar x)(x_k - \bar x)^T / (n - 1)`:

**Replaced** by a perturbed copy of a healthy member,

.. math:: x_f = x_d + \alpha \, (x_a - x_b),

d, a, b drawn from the healthy members, all different. A draw of P is :math:`(x_a - x_b)/\sqrt 2`: the new member
differs from its donor d by :math:`2 \alpha^2 P` on average.

**Drawn** from the distribution that the healthy members stand for, those of the last analysis carried to this time:

.. math:: x_f = \bar x + \sqrt{\frac{N}{(N - 1)(n - 1)}} \sum_k g_k (x_k - \bar x), \quad g_k \sim N(0, 1),

N the number of members with those drawn. The mean stays on average, as :math:`E[x_f] = \bar x`. So does the sample
covariance: with m = N - n independent draws of covariance :math:`\beta^2 P` about :math:`\bar x`, the mean of all N
moves by s, :math:`E[s s^T] = m \beta^2 P / N^2`, and the sum of squares about it is on average

.. math:: (n - 1) P + m \beta^2 P - N E[s s^T] = (n - 1 + m \beta^2 (N - 1) / N) P,

which is (N - 1) P for :math:`\beta^2 = N / (N - 1)`. A draw whose inputs leave their truncation is repeated, as the
first draws of inputs are (:mod:`da.perturbations`).

**Left out** for good: mean and covariance are those of the n members that are left, with factor 1/(n - 1).

No new member adds a direction to those that the healthy ones span. Which numbers are drawn depends on the seed, the
time and the failed member alone, not on the ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.constraints import constrain
from da.errors import ThermodaError
from da.member_failure import Afterwards, MemberFailurePolicy
from da.model import StateLayout, composition_groups
from da.seeding import Purpose, stream

FloatArray = NDArray[np.float64]
Inputs = Mapping[str, float]

FEWEST_HEALTHY = {Afterwards.REPLACE: 3, Afterwards.DRAW: 2}
"""A donor and two others, whose difference sets the copy apart; two, that there is a spread."""

MEMBER_NUMBERS = 2**20
"""More than there are members: a time and a member make one number of a random stream."""

MAXIMUM_DRAWS = 1000
"""Draws after which inputs that leave their truncation are put onto it."""


@dataclass(frozen=True)
class ShorterStep:
    """A member whose forecast succeeded with a part of the model step."""

    divisor: int

    kind = "with_a_shorter_step"

    @property
    def words(self) -> str:
        """What was done."""
        return f"forecast with 1/{self.divisor} of the model step"


@dataclass(frozen=True)
class Replacement:
    """Members, by number, from which a failed one is made: ``donor`` plus a part of ``first`` minus ``second``."""

    member: int
    donor: int
    first: int
    second: int

    kind = "replaced"

    @property
    def words(self) -> str:
        """What was done."""
        return f"replaced by member {self.donor} and a part of the difference of {self.first} and {self.second}"


@dataclass(frozen=True)
class Draw:
    """Weights, by number, with which healthy members sum up to a new one; they sum to one.

    Parameters
    ----------
    member : int
    donor : int
        The member with the largest weight, from which comes what is neither state nor input.
    weights : dict of member -> float
    """

    member: int
    donor: int
    weights: Mapping[int, float]

    kind = "drawn"

    @property
    def words(self) -> str:
        """What was done."""
        return f"drawn anew from the covariance of {len(self.weights)} healthy members"


@dataclass(frozen=True)
class Drop:
    """A member that is left out from now on, with how many are left."""

    member: int
    left: int

    kind = "dropped"

    @property
    def words(self) -> str:
        """What was done."""
        return f"left out for good, {self.left} members are left"


Remedy = Replacement | Draw | Drop
KINDS = (ShorterStep.kind, Replacement.kind, Draw.kind, Drop.kind)


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
    outcome : ShorterStep, Replacement, Draw or Drop
    """

    time: np.datetime64
    ensemble: str
    member: int
    cause: str
    outcome: ShorterStep | Remedy


def remedies(
    causes: Mapping[int, str], members: Mapping[int, Inputs], policy: MemberFailurePolicy, time: np.datetime64
) -> list[Remedy]:
    """Return what becomes of failed members, in the order of their numbers; the same on all ranks.

    Parameters
    ----------
    causes : dict of member -> str
        Of all members that failed.
    members : dict of member -> dict of input -> float
        Of all members, failed or not.
    policy : MemberFailurePolicy
    time : datetime64
        End of the forecast.

    Raises
    ------
    ThermodaError
        With the cause of the first, where the policy says stop, too many members failed, or too few are left.
    """
    failed, healthy = sorted(causes), {number: members[number] for number in sorted(members) if number not in causes}
    told = causes[failed[0]] + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
    if policy.then is Afterwards.STOP:
        raise ThermodaError(told)
    if len(failed) > policy.largest_failing_fraction * len(members):
        raise ThermodaError(
            f"{len(failed)} of {len(members)} members failed together, more than "
            f"ensemble.on_member_failure.largest_failing_fraction allows; the first: {told}"
        )
    if policy.then is Afterwards.DROP:
        return _dropped(failed, len(healthy), policy, told)
    if len(healthy) < FEWEST_HEALTHY[policy.then]:
        raise ThermodaError(
            f"{len(healthy)} healthy members are left, of which a new one cannot be made "
            f"({FEWEST_HEALTHY[policy.then]} are needed); the first that failed: {told}"
        )
    if policy.then is Afterwards.DRAW:
        return [_drawn(member, healthy, len(members), policy, time) for member in failed]
    return [_copied(member, list(healthy), policy.seed, time) for member in failed]


def _dropped(failed: Sequence[int], left: int, policy: MemberFailurePolicy, told: str) -> list[Remedy]:
    if left < policy.fewest_members:
        raise ThermodaError(
            f"{left} members would be left, fewer than the {policy.fewest_members} of "
            f"ensemble.on_member_failure.fewest_members; the first that failed now: {told}"
        )
    return [Drop(member, left) for member in failed]


def _stream(member: int, seed: int, time: np.datetime64) -> np.random.Generator:
    second = int(time.astype("datetime64[s]").astype(np.int64)) % 2**63
    return stream(seed, Purpose.MEMBER_REPLACEMENT, MEMBER_NUMBERS * second + member)


def _copied(member: int, healthy: Sequence[int], seed: int, time: np.datetime64) -> Replacement:
    chosen = _stream(member, seed, time).choice(np.asarray(healthy), size=3, replace=False)
    return Replacement(member, *(int(one) for one in chosen))


def _drawn(
    member: int, healthy: Mapping[int, Inputs], members: int, policy: MemberFailurePolicy, time: np.datetime64
) -> Draw:
    rng, numbers = _stream(member, policy.seed, time), list(healthy)
    for _ in range(MAXIMUM_DRAWS):
        weights = draw_weights(rng, len(numbers), members)
        named = dict(zip(numbers, weights.tolist(), strict=True))
        inputs = _summed(named, healthy)
        if all(abs(value) <= policy.truncations.get(name, np.inf) for name, value in inputs.items()):
            break
    return Draw(member, numbers[int(np.argmax(weights))], named)


def draw_weights(rng: np.random.Generator, healthy: int, members: int) -> FloatArray:
    """Return the weights (healthy,) of the healthy members in one that is drawn; they sum to one.

    Parameters
    ----------
    rng : Generator
    healthy : int
        n of the equation of this module, at least two.
    members : int
        N: with all that are drawn.
    """
    numbers = rng.standard_normal(healthy)
    scale = np.sqrt(members / ((members - 1.0) * (healthy - 1.0)))
    return np.asarray(1.0 / healthy + scale * (numbers - numbers.mean()))


def _summed(weights: Mapping[int, float], members: Mapping[int, Inputs]) -> dict[str, float]:
    names = next(iter(members.values()))
    return {name: sum(weight * members[number][name] for number, weight in weights.items()) for name in names}


def drawn_inputs(draw: Draw, members: Mapping[int, Inputs], truncations: Mapping[str, float]) -> dict[str, float]:
    """Return the inputs of a drawn member, within their truncations."""
    summed = _summed(draw.weights, {number: members[number] for number in draw.weights})
    limits = {name: truncations.get(name, np.inf) for name in summed}
    return {name: float(np.clip(value, -limits[name], limits[name])) for name, value in summed.items()}


def combined_inputs(made: Replacement, members: Mapping[int, Inputs], factor: float) -> dict[str, float]:
    """Return the inputs of a replaced member, each within those of the three that it is made from."""
    result, first, second = {}, members[made.first], members[made.second]
    for name, value in members[made.donor].items():
        three = (value, first[name], second[name])
        result[name] = float(np.clip(value + factor * (first[name] - second[name]), min(three), max(three)))
    return result


def combined_state(
    layout: StateLayout, made: Replacement, members: Mapping[int, FloatArray], factor: float
) -> FloatArray:
    """Return ``donor + factor (first - second)`` (state_size,) within the constraints of the layout.

    Parameters
    ----------
    layout : StateLayout
    made : Replacement
    members : dict of member -> array (state_size,)
        The three at least.
    factor : float
    """
    return constrained(layout, members[made.donor] + factor * (members[made.first] - members[made.second]))


def constrained(layout: StateLayout, state: FloatArray) -> FloatArray:
    """Return a state (state_size,) within the constraints of the layout."""
    bounds = {one.name: (one.lower, one.upper) for one in layout.fields}
    return layout.join(constrain(layout.split(state[:, None]), bounds, composition_groups(layout))[0])[:, 0]


def weighted_sum(ensemble: FloatArray, weights: Mapping[int, float]) -> FloatArray:
    """Return the sum (rows,) of columns of an ensemble (rows, members) with weights that sum to one.

    Rows do not depend on each other in any bit, so that ranks may have any part of them: columns are added one after
    the other. What they share stays exactly, as differences to the first are summed.

    Parameters
    ----------
    ensemble : array (rows, members)
        Columns without a weight may hold anything.
    weights : dict of column -> float
    """
    first, *others = sorted(weights)
    total = np.zeros(len(ensemble))
    for column in others:
        total += weights[column] * (ensemble[:, column] - ensemble[:, first])
    return np.asarray(ensemble[:, first] + total)
