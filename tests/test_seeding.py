from __future__ import annotations

from itertools import product

import numpy as np
from numpy.testing import assert_array_equal

from da.seeding import Purpose, stream, streams


def raw(seed: int, purpose: Purpose, number: int, count: int = 4) -> tuple[int, ...]:
    return tuple(stream(seed, purpose, number).bit_generator.random_raw(count).tolist())


def test_that_a_stream_depends_on_seed_purpose_and_number_and_on_nothing_else() -> None:
    keys = list(product((0, 1, 2, 2010), Purpose, (0, 1, 2, 99)))
    first = {key: raw(*key) for key in keys}
    assert len(set(first.values())) == len(keys)
    assert first == {key: raw(*key) for key in reversed(keys)}


def test_that_streams_are_one_stream_per_number_in_order() -> None:
    for number, generator in zip((5, 0, 3), streams(1, Purpose.INITIAL_STATE, (5, 0, 3)), strict=True):
        expected = stream(1, Purpose.INITIAL_STATE, number)
        assert_array_equal(generator.standard_normal(10), expected.standard_normal(10))
    assert streams(1, Purpose.INITIAL_STATE, ()) == []


def test_that_drawing_from_one_stream_leaves_the_others_alone() -> None:
    first, second = streams(1, Purpose.PERTURBATIONS, range(2))
    first.standard_normal(1000)
    assert second.random() == stream(1, Purpose.PERTURBATIONS, 1).random()


def test_that_streams_of_members_and_purposes_are_not_correlated() -> None:
    n = 4000
    draws = [stream(3, purpose, number).standard_normal(n) for purpose, number in product(Purpose, range(5))]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    # 300 pairs with a standard error of 1 / sqrt(n): the largest of them is expected at 2.9 of these.
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)


def test_that_the_numbers_that_old_runs_are_repeated_from_stay_as_they_are() -> None:
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "PERTURBATIONS": 1,
        "INITIAL_STATE": 2,
        "TWIN_TRUTH": 3,
        "TWIN_NOISE": 4,
        "ADDITIVE_INFLATION": 5,
        "MEMBER_REPLACEMENT": 6,
    }
    assert raw(2010, Purpose.PERTURBATIONS, 3, 2) == (17321893798305324829, 4597245823889440775)
