"""Which observations the innovation check keeps, to the last bit at its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.observation_handling import check_innovations, innovation_check

EXACT_ENSEMBLE = np.array([[-2.0, -2.0, -2.0, 2.0, 2.0, 2.0, -2.0, 2.0, 0.0]])
"""Sum of squares 32, N - 1 = 8: variance 4."""
EXACT_ERROR = np.array([1.5])
"""Variance 2.25, together 6.25, standard deviation 2.5: all exact in binary."""


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_that_an_innovation_equal_to_the_bound_is_kept_and_the_next_number_beyond_it_refused(sign: float) -> None:
    bound = 3.0 * 2.5
    beyond = np.nextafter(bound, np.inf)
    assert innovation_check(EXACT_ENSEMBLE, np.array([sign * bound]), EXACT_ERROR, 3.0).tolist() == [True]
    assert innovation_check(EXACT_ENSEMBLE, np.array([sign * beyond]), EXACT_ERROR, 3.0).tolist() == [False]


def test_that_the_forecast_variance_is_taken_with_n_minus_one() -> None:
    # With N instead of N - 1 the variance were 32/9 and the bound 3 sqrt(3.56 + 2.25) = 7.23.
    assert innovation_check(EXACT_ENSEMBLE, np.array([7.4]), EXACT_ERROR, 3.0).all()


def test_that_normal_innovations_are_refused_as_often_as_the_error_function_says() -> None:
    rng = np.random.default_rng(5)
    n, members = 20_000, 400
    observed = rng.normal(0.0, 3.0, (n, members))
    values = rng.normal(0.0, 5.0, n)
    refused = np.mean(~innovation_check(observed, values, np.full(n, 4.0), 2.0))
    # erfc(2 / sqrt 2) = 0.0455. The mean and the variance of 400 members smear it by less than 0.001 (a variance of
    # 9 / 400 more, and 5 % of noise in a term that is 9 of 25); 20000 draws by 0.0015 (one sigma).
    assert abs(refused - 0.0455) < 0.001 + 4 * 0.0015


@given(st.integers(0, 2**31), st.floats(0.5, 5.0), st.integers(-40, 40), st.permutations(range(12)))
def test_that_units_and_the_order_of_observations_do_not_matter(
    seed: int, threshold: float, exponent: int, order: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    observed, values = rng.normal(size=(12, 6)), rng.normal(0.0, 4.0, 12)
    error = rng.uniform(0.1, 2.0, 12)
    used = innovation_check(observed, values, error, threshold)
    # Powers of two change no digit.
    unit = 2.0**exponent
    np.testing.assert_array_equal(innovation_check(unit * observed, unit * values, unit * error, threshold), used)
    np.testing.assert_array_equal(
        innovation_check(observed[order], values[order], error[order], threshold), used[order]
    )


@given(st.integers(0, 2**31), st.floats(0.1, 5.0), st.floats(1.0, 3.0))
def test_that_a_higher_threshold_refuses_nothing_more(seed: int, threshold: float, factor: float) -> None:
    rng = np.random.default_rng(seed)
    data = (rng.normal(size=(30, 4)), rng.normal(0.0, 5.0, 30), rng.uniform(0.1, 1.0, 30))
    low, high = (innovation_check(*data, k) for k in (threshold, factor * threshold))
    assert not np.any(low & ~high)
    assert innovation_check(*data, np.inf).all()


def test_that_the_positions_and_counts_of_refused_observations_are_told() -> None:
    observed = np.tile(EXACT_ENSEMBLE, (4, 1))
    values, error = np.array([0.0, 50.0, 1.0, -50.0]), np.full(4, 1.5)
    position = np.column_stack([np.arange(4.0), np.arange(4.0) + 10.0, np.arange(4.0) + 300.0])
    found = check_innovations(observed, values, error, 3.0, position)
    np.testing.assert_array_equal(found.used, [True, False, True, False])
    np.testing.assert_array_equal(found.refused_position, [[1.0, 11.0, 301.0], [3.0, 13.0, 303.0]])
    assert (found.used_count, found.refused_count) == (2, 2)


def test_that_no_observations_are_no_refusals() -> None:
    found = check_innovations(np.zeros((0, 5)), np.zeros(0), np.zeros(0), 3.0, np.zeros((0, 3)))
    assert (found.used_count, found.refused_count) == (0, 0)


GOOD = {"observed": np.zeros((2, 3)), "values": np.zeros(2), "error": np.ones(2), "threshold": 3.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observed": np.zeros((2, 1))}, "two members"),
        ({"values": np.zeros(3)}, "length of the observed ensemble"),
        ({"threshold": 0.0}, "threshold .* must be positive"),
        ({"threshold": np.nan}, "threshold .* must be positive"),
        ({"observed": np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]])}, "not finite"),
        ({"values": np.array([np.inf, 0.0])}, "not finite"),
        ({"error": np.array([1.0, 0.0])}, "errors must be positive"),
    ],
)
def test_that_a_wrong_argument_is_refused_rather_than_the_observation(changes: dict, message: str) -> None:
    call = GOOD | changes
    with pytest.raises(ValueError, match=message):
        innovation_check(call["observed"], call["values"], call["error"], call["threshold"])


def test_that_positions_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="positions have shape"):
        check_innovations(np.zeros((2, 3)), np.zeros(2), np.ones(2), 3.0, np.zeros((3, 3)))
