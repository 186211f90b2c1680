"""Predicted cost against its formula, shares against Graham's bounds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.load_balance import balanced_shares, imbalance, predicted_cost

COSTS = st.lists(st.just(0.0) | st.floats(1e-3, 1e9), min_size=1, max_size=60).map(np.array)


def _largest(cost: np.ndarray, shares: list[np.ndarray]) -> float:
    return max(float(cost[share].sum()) for share in shares)


def _best(cost: np.ndarray, ranks: int) -> float:
    """Return the smallest possible largest share, by trying every division."""
    owners = np.array(list(product(range(ranks), repeat=cost.size)))
    return float(np.max([(owners == rank) @ cost for rank in range(ranks)], axis=0).min())


def test_that_cost_is_counted_in_the_smaller_space() -> None:
    counts, rows = np.array([0, 1, 50, 99, 100, 228]), np.array([8, 8, 216, 232, 8, 232])
    cost = predicted_cost(counts, rows, 100, product_flops=3.0, square_flops=5.0, row_flops=2.0, domain_flops=7.0)
    apply = 2.0 * rows * 100**2
    expected = [
        7.0,
        7.0 + 3.0 * 100 + 5.0 + apply[1],
        7.0 + 3.0 * 50**2 * 100 + 5.0 * 50**2 + apply[2],
        7.0 + 3.0 * 99**2 * 100 + 5.0 * 99**2 + apply[3],
        7.0 + 3.0 * 100**3 + 5.0 * 100**2 + apply[4],
        7.0 + 3.0 * 228 * 100**2 + 5.0 * 100**2 + apply[5],
    ]
    np.testing.assert_allclose(cost, expected, rtol=1e-15)


def test_that_cost_grows_with_observations_across_the_change_of_space() -> None:
    counts = np.arange(300)
    cost = predicted_cost(counts, np.full(300, 216), 100)
    assert (np.diff(cost) > 0.0).all()
    # From one below the number of members to it, the cost rises by its slope, with no jump between the two formulas.
    assert cost[100] - cost[99] < 1.1 * (cost[99] - cost[98])


def test_that_cost_is_of_an_ensemble() -> None:
    with pytest.raises(ValueError, match="two members"):
        predicted_cost(np.array([1]), np.array([1]), 1)


@given(cost=COSTS, ranks=st.integers(1, 9))
def test_that_every_sub_domain_is_dealt_out_once_and_shares_increase(cost: np.ndarray, ranks: int) -> None:
    shares = balanced_shares(cost, ranks)
    assert len(shares) == ranks
    assert sorted(np.concatenate(shares).tolist()) == list(range(cost.size))
    for share in shares:
        assert share.dtype == np.int64
        assert (np.diff(share) > 0).all()


@given(cost=COSTS, ranks=st.integers(1, 9))
def test_that_shares_are_within_the_bound_of_list_scheduling(cost: np.ndarray, ranks: int) -> None:
    """Graham (1966): when the largest share got its last sub-domain, every other had at least as much as it before."""
    bound = cost.sum() / ranks + (1.0 - 1.0 / ranks) * cost.max()
    assert _largest(cost, balanced_shares(cost, ranks)) <= bound * (1.0 + 1e-12)


@given(cost=st.lists(st.integers(1, 40), min_size=1, max_size=8).map(np.array), ranks=st.integers(2, 3))
def test_that_shares_are_within_the_bound_of_longest_processing_time(cost: np.ndarray, ranks: int) -> None:
    largest = _largest(cost, balanced_shares(cost.astype(float), ranks))
    assert largest <= (4.0 / 3.0 - 1.0 / (3.0 * ranks)) * _best(cost, ranks) * (1.0 + 1e-12)


@pytest.mark.parametrize("ranks", [2, 3, 4, 7])
def test_that_the_bound_is_reached_by_the_example_it_is_known_for(ranks: int) -> None:
    """Costs 2m-1, 2m-1, ..., m+1, m+1, m, m, m are best divided into 3m each; longest first ends at 4m - 1."""
    pairs = np.repeat(np.arange(2 * ranks - 1, ranks, -1), 2)
    cost = np.concatenate([pairs, [ranks] * 3]).astype(float)
    shares = balanced_shares(cost, ranks)
    assert cost.sum() == 3 * ranks**2
    assert _largest(cost, shares) == 4 * ranks - 1
    assert imbalance(cost, shares) == pytest.approx(4.0 / 3.0 - 1.0 / (3.0 * ranks))


def test_that_shares_are_the_same_every_time_and_ties_go_to_the_lower() -> None:
    rng = np.random.default_rng(1)
    cost = rng.integers(1, 5, 500).astype(float)
    first, second = balanced_shares(cost, 7), balanced_shares(cost.copy(), 7)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [share.tolist() for share in balanced_shares(np.ones(5), 3)] == [[0, 3], [1, 4], [2]]


def test_that_the_order_of_sub_domains_does_not_change_the_loads() -> None:
    rng = np.random.default_rng(2)
    cost = rng.uniform(1.0, 9.0, 300)
    order = rng.permutation(300)
    here, there = balanced_shares(cost, 5), balanced_shares(cost[order], 5)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(np.sort(order[other]), one)


def test_that_ranks_without_work_get_empty_shares() -> None:
    shares = balanced_shares(np.array([2.0, 1.0]), 4)
    assert [share.tolist() for share in shares] == [[0], [1], [], []]
    assert [share.tolist() for share in balanced_shares(np.zeros(0), 2)] == [[], []]


def test_that_shares_by_cost_are_more_even_than_in_turn() -> None:
    rng = np.random.default_rng(3)
    cost = predicted_cost(rng.integers(0, 200, 2000), np.full(2000, 64), 100)
    shares = balanced_shares(cost, 16)
    # When the largest share got its last and cheapest sub-domain it had less than the mean.
    last = min(shares, key=lambda one: -cost[one].sum())
    assert imbalance(cost, shares) < 1.0 + cost[last].min() * 16 / cost.sum() + 1e-9
    assert imbalance(cost, [np.arange(rank, 2000, 16) for rank in range(16)]) > 1.02


def test_that_imbalance_is_the_largest_over_the_mean() -> None:
    cost = np.array([1.0, 2.0, 3.0, 6.0])
    assert imbalance(cost, [np.array([0, 1]), np.array([2, 3])]) == 1.5
    assert imbalance(cost, [np.arange(4), np.zeros(0, dtype=np.int64)]) == 2.0
    assert imbalance(np.zeros(2), [np.array([0]), np.array([1])]) == 1.0


@pytest.mark.parametrize(("cost", "ranks"), [([1.0], 0), ([-1.0], 2), ([np.nan], 2), ([np.inf], 2)])
def test_that_wrong_costs_and_numbers_of_ranks_are_refused(cost: list[float], ranks: int) -> None:
    with pytest.raises(ValueError, match=r"rank|costs"):
        balanced_shares(np.array(cost), ranks)
