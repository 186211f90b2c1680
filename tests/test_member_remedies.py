"""What failed members become: copies and draws with the covariance that theory asks for, or fewer members."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.errors import ThermodaError
from da.member_failure import Afterwards, MemberFailurePolicy
from da.member_remedies import (
    Draw,
    Drop,
    Replacement,
    combined_inputs,
    combined_state,
    constrained,
    draw_weights,
    drawn_inputs,
    remedies,
    weighted_sum,
)
from da.model import StateLayout
from model_adapters.template import TemplateModel, TemplateSettings

START = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
REPLACE = MemberFailurePolicy(then=Afterwards.REPLACE, seed=3)
DRAW = MemberFailurePolicy(then=Afterwards.DRAW, seed=3)
DROP = MemberFailurePolicy(then=Afterwards.DROP, fewest_members=4, seed=3)
CAUSES = {2: "member 2 broke its neck"}
COPY = Replacement(9, 0, 1, 2)


def _members(count: int) -> dict[int, dict[str, float]]:
    return {number: {"a": float(number)} for number in range(count)}


def _layout() -> StateLayout:
    return TemplateModel(TemplateSettings()).layout


def test_that_donors_are_healthy_and_different_and_follow_from_seed_time_and_member() -> None:
    members, causes = _members(10), {1: "", 4: "", 7: ""}
    plan = remedies(causes, members, REPLACE, START)
    assert [one.member for one in plan] == [1, 4, 7]
    for one in plan:
        assert isinstance(one, Replacement)
        three = {one.donor, one.first, one.second}
        assert len(three) == 3
        assert not three & causes.keys()
    # The order in which ranks report members does not matter.
    assert remedies(dict(reversed(causes.items())), dict(reversed(members.items())), REPLACE, START) == plan
    assert remedies(causes, members, replace(REPLACE, seed=4), START) != plan
    assert remedies(causes, members, REPLACE, START + HOUR) != plan


def test_that_draws_use_all_healthy_members_and_follow_from_seed_time_and_member() -> None:
    members, causes = _members(10), {1: "", 4: ""}
    plan = remedies(causes, members, DRAW, START)
    for one in plan:
        assert isinstance(one, Draw)
        assert sorted(one.weights) == [0, 2, 3, 5, 6, 7, 8, 9]
        assert one.weights[one.donor] == max(one.weights.values())
        # Eight weights of order one: some roundings of 2^-53.
        assert sum(one.weights.values()) == pytest.approx(1.0, abs=1e-15)
    assert plan[0] != replace(plan[1], member=1)
    assert remedies(dict(reversed(causes.items())), dict(reversed(members.items())), DRAW, START) == plan
    assert remedies(causes, members, replace(DRAW, seed=4), START) != plan
    assert remedies(causes, members, DRAW, START + HOUR) != plan


def test_that_donors_are_drawn_evenly() -> None:
    found = [remedies({0: ""}, _members(6), REPLACE, START + n * HOUR)[0] for n in range(2000)]
    share = np.bincount([one.donor for one in found if isinstance(one, Replacement)], minlength=6) / 2000.0
    assert share[0] == 0.0
    # A share of 1/5 of 2000 draws has a standard deviation of 0.009; five of them.
    assert np.abs(share[1:] - 0.2).max() < 0.045


@pytest.mark.parametrize(
    ("policy", "causes", "said"),
    [
        (MemberFailurePolicy(), CAUSES, "member 2 broke its neck"),
        (MemberFailurePolicy(), {**CAUSES, 3: "other"}, r"broke its neck \(and 1 more\)"),
        (REPLACE, dict.fromkeys((0, 1, 2, 3), "all alike"), "4 of 6 members failed together"),
        (DROP, dict.fromkeys((0, 1, 2, 3), "all alike"), "4 of 6 members failed together"),
        (replace(REPLACE, largest_failing_fraction=1.0), dict.fromkeys(range(4), ""), r"2 healthy .* \(3 are needed\)"),
        (replace(DRAW, largest_failing_fraction=1.0), dict.fromkeys(range(5), ""), r"1 healthy .* \(2 are needed\)"),
        (DROP, {**CAUSES, 3: "", 4: ""}, "3 members would be left, fewer than the 4 of .*fewest_members.*neck"),
    ],
)
def test_that_the_run_ends_with_the_cause_where_the_policy_or_the_number_of_members_says_so(
    policy: MemberFailurePolicy, causes: dict[int, str], said: str
) -> None:
    with pytest.raises(ThermodaError, match=said):
        remedies(causes, _members(6), policy, START)


def test_that_members_are_dropped_down_to_the_fewest() -> None:
    assert remedies({5: "", 1: ""}, _members(6), DROP, START) == [Drop(1, 4), Drop(5, 4)]


@pytest.mark.parametrize(("healthy", "members"), [(5, 8), (2, 3), (9, 10)])
def test_that_draws_keep_mean_and_sample_covariance_on_average(healthy: int, members: int) -> None:
    rng, trials, missing = np.random.default_rng(11), 5000, members - healthy
    given = rng.standard_normal((3, healthy)) * np.array([[1.0], [20.0], [1e-3]]) + np.array([[5.0], [800.0], [0.2]])
    expected = np.cov(given)
    mean, covariance = np.zeros(3), np.zeros((3, 3))
    for _ in range(trials):
        drawn = given @ np.stack([draw_weights(rng, healthy, members) for _ in range(missing)], axis=1)
        whole = np.hstack([given, drawn])
        mean += whole.mean(axis=1) / trials
        covariance += np.cov(whole) / trials
    scale, beta_2 = np.sqrt(np.diag(expected)), members / (members - 1.0)
    # The mean of all moves by the sum of the draws' deviations over N: variance m beta^2 P / N^2.
    error = np.sqrt(missing * beta_2 / trials) / members
    assert np.abs((mean - given.mean(axis=1)) / scale).max() < 5.0 * error
    # (N - 1) S is quadratic in the draws, with eigenvalues 1 (m - 1 times) and 1 - m/N: twice the sum of their squares
    # is its variance in units of beta^4 P^2, and at most that between two variables.
    spread = np.sqrt(2.0 * (missing - 1.0 + (1.0 - missing / members) ** 2)) * beta_2 / (members - 1.0)
    error = spread / np.sqrt(trials)
    assert np.abs((covariance - expected) / np.outer(scale, scale)).max() < 5.0 * error
    if (healthy, members) == (5, 8):
        # Draws of covariance P alone would lose m / (N (N - 1)) of it, which this test can tell.
        assert missing / (members * (members - 1.0)) > 2.0 * 5.0 * error


def test_that_draws_stay_in_the_span_of_the_healthy_members() -> None:
    rng = np.random.default_rng(2)
    given = rng.standard_normal((30, 4))
    drawn = given @ draw_weights(rng, 4, 6)
    anomalies = given - given.mean(axis=1, keepdims=True)
    departure = drawn - given.mean(axis=1)
    # A least-squares fit leaves some roundings of numbers of order one.
    rest = departure - anomalies @ np.linalg.lstsq(anomalies, departure, rcond=None)[0]
    assert np.abs(rest).max() < 1e-13


def test_that_a_weighted_sum_has_the_same_bits_whoever_has_which_rows() -> None:
    rng = np.random.default_rng(4)
    ensemble, weights = rng.standard_normal((1000, 6)), dict(zip((0, 2, 3, 5), draw_weights(rng, 4, 6), strict=True))
    ensemble[:, [1, 4]] = np.nan
    whole = weighted_sum(ensemble, weights)
    assert_array_equal(np.concatenate([weighted_sum(part, weights) for part in np.split(ensemble, [1, 334])]), whole)
    assert_allclose(whole, ensemble[:, [0, 2, 3, 5]] @ list(weights.values()), rtol=0.0, atol=1e-14)
    ensemble[:500] = 0.1
    assert_array_equal(weighted_sum(ensemble, weights)[:500], ensemble[:500, 0])


def test_that_inputs_of_a_drawn_member_lie_within_their_truncation() -> None:
    members = {number: {"a": 3.0 * (-1.0) ** number, "b": 1.0 + 0.1 * number} for number in range(8)}
    policy = replace(DRAW, truncations={"a": 3.0})
    beyond = 0
    for hour in range(200):
        unlimited, drawn = (remedies({7: ""}, members, one, START + hour * HOUR)[0] for one in (DRAW, policy))
        assert isinstance(drawn, Draw)
        assert isinstance(unlimited, Draw)
        inputs = drawn_inputs(drawn, members, policy.truncations)
        # Repeated, not cut off: state and input have the same weights.
        for name in ("a", "b"):
            assert inputs[name] == pytest.approx(sum(w * members[n][name] for n, w in drawn.weights.items()), abs=1e-14)
        assert abs(inputs["a"]) <= 3.0
        beyond += drawn != unlimited
    # |a| leaves one standard deviation, a little less than 3, in about a third of all draws.
    assert 40 < beyond < 100


def test_that_inputs_are_put_onto_a_truncation_that_no_draw_can_keep() -> None:
    members = {number: {"a": 3.0 + 1e-9 * number} for number in range(4)}
    drawn = remedies({0: ""}, members, replace(DRAW, truncations={"a": 2.0}), START)[0]
    assert isinstance(drawn, Draw)
    assert drawn_inputs(drawn, members, {"a": 2.0}) == {"a": 2.0}


def test_that_a_replacement_differs_from_its_donor_by_twice_the_covariance_times_the_square_of_the_factor() -> None:
    layout, rng = _layout(), np.random.default_rng(5)
    centre = np.full(layout.state_size, 0.2)
    # Every element is a draw: 4 times 11136 of them estimate a standard deviation within 0.4 %; five of those.
    differences = []
    for _ in range(4):
        three = {number: centre + 0.01 * rng.standard_normal(layout.state_size) for number in (1, 2)} | {0: centre}
        differences.append((combined_state(layout, COPY, three, 0.5) - centre)[layout.offset("mass_fraction_O") :])
    assert_allclose(np.concatenate(differences).std(), 0.01 * np.sqrt(2.0) * 0.5, rtol=0.02)


def test_that_a_member_made_anew_keeps_the_constraints_of_the_state() -> None:
    layout, rng = _layout(), np.random.default_rng(1)
    three = {number: rng.uniform(0.0, 0.6, layout.state_size) for number in range(3)}
    wild = rng.uniform(-1.0, 2.0, layout.state_size)
    for made in (combined_state(layout, COPY, three, 2.0), constrained(layout, wild)):
        state = made[:, None]
        for one in layout.fields:
            values = layout.field(state, one.name)
            assert values.min() >= one.lower
            assert values.max() <= one.upper
        fractions = [layout.field(state, f"mass_fraction_{name}") for name in ("O", "O2", "He")]
        # Three roundings of numbers below one.
        assert np.sum(fractions, axis=0).max() <= 1.0 + 1e-15


def test_that_inputs_of_a_replacement_stay_within_those_it_is_made_from() -> None:
    members = {0: {"a": 1.0, "b": 0.0}, 1: {"a": 3.0, "b": 1.0}, 2: {"a": 0.0, "b": -1.0}}
    assert combined_inputs(COPY, members, 0.5) == {"a": 2.5, "b": 1.0}
    assert combined_inputs(Replacement(9, 1, 1, 2), members, 0.5) == {"a": 3.0, "b": 1.0}
