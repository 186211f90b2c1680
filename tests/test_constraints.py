from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal

from da.constraints import clip_to_bounds, close_mass_balance, constrain

SPECIES = ("O", "O2", "He")
BOUNDS = {"temperature": (100.0, np.inf), **dict.fromkeys(SPECIES, (1e-9, 1.0))}
ROUNDING = 4.0 * np.finfo(float).eps

any_state = arrays.arrays(np.float64, (4, 6), elements=st.floats(-3.0, 3.0))


def fields_of(state: np.ndarray) -> dict[str, np.ndarray]:
    return {"temperature": 500.0 * state[0], **{name: state[i + 1] for i, name in enumerate(SPECIES)}}


def test_that_values_outside_are_moved_to_the_bound_and_counted() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, np.inf])
    clipped, outside = clip_to_bounds(values, 0.0, 1.0)
    assert_array_equal(clipped, [0.0, 0.0, 0.5, 1.0, 1.0, 1.0])
    assert outside == 3


def test_that_composition_scaled_down_keeps_its_ratios_where_bounds_are_zero() -> None:
    fractions = (np.array([0.9, 0.5]), np.array([0.5, 0.2]), np.array([0.1, 0.1]))
    closed, cells = close_mass_balance(fractions, (0.0, 0.0, 0.0))
    assert cells == 1
    assert_allclose([part[0] for part in closed], np.array([0.9, 0.5, 0.1]) / 1.5, rtol=ROUNDING)
    assert_array_equal([part[1] for part in closed], [0.5, 0.2, 0.1])


def test_that_composition_that_leaves_room_for_nitrogen_is_returned_as_it_is() -> None:
    fractions = (np.array([0.7]), np.array([0.2]), np.array([0.1 - 1e-16]))
    closed, cells = close_mass_balance(fractions, (0.0, 0.0, 0.0))
    assert cells == 0
    assert all(one is other for one, other in zip(closed, fractions, strict=True))


def test_that_scaling_down_does_not_break_a_lower_bound() -> None:
    fractions = (np.array([1.0]), np.array([1.0]), np.array([1e-9]))
    closed, _ = close_mass_balance(fractions, (1e-9, 1e-9, 1e-9))
    assert closed[2][0] == 1e-9
    assert_allclose([closed[0][0], closed[1][0]], 0.5 * (1.0 - 1e-9), rtol=ROUNDING)


@given(any_state)
def test_that_any_state_comes_to_lie_within_all_constraints(state: np.ndarray) -> None:
    result, _ = constrain(fields_of(state), BOUNDS, (SPECIES,))
    for name, (lower, upper) in BOUNDS.items():
        assert np.all((result[name] >= lower) & (result[name] <= upper))
    assert np.all(sum(result[name] for name in SPECIES) <= 1.0 + ROUNDING)


@given(any_state)
def test_that_constraining_twice_is_constraining_once(state: np.ndarray) -> None:
    once, _ = constrain(fields_of(state), BOUNDS, (SPECIES,))
    twice, _ = constrain(once, BOUNDS, (SPECIES,))
    for name, values in once.items():
        assert_allclose(twice[name], values, rtol=ROUNDING)


@given(any_state)
def test_that_hits_count_what_was_changed_and_the_input_stays(state: np.ndarray) -> None:
    fields = fields_of(state)
    before = {name: values.copy() for name, values in fields.items()}
    result, hits = constrain(fields, BOUNDS, (SPECIES,))
    for name, (lower, upper) in BOUNDS.items():
        assert_array_equal(fields[name], before[name])
        assert hits[name] == np.sum((before[name] < lower) | (before[name] > upper))
    assert np.sum(result["temperature"] != before["temperature"]) == hits["temperature"]
    clipped = [np.clip(before[name], 1e-9, 1.0) for name in SPECIES]
    assert hits["sum of O, O2, He"] == np.sum(np.sum(clipped, axis=0) > 1.0)


def test_that_a_state_within_the_constraints_is_untouched() -> None:
    state = np.full((4, 6), 0.3)
    fields = fields_of(state)
    result, hits = constrain(fields, BOUNDS, (SPECIES,))
    assert not any(hits.values())
    assert all(result[name] is values for name, values in fields.items())


def test_that_groups_of_mass_fractions_are_closed_apart() -> None:
    fields = {
        "O": np.array([0.9]),
        "O2": np.array([0.6]),
        "O_previous": np.array([0.5]),
        "O2_previous": np.array([0.4]),
    }
    bounds = dict.fromkeys(fields, (0.0, 1.0))
    result, hits = constrain(fields, bounds, (("O", "O2"), ("O_previous", "O2_previous")))
    assert_allclose([result["O"][0], result["O2"][0]], [0.6, 0.4], rtol=ROUNDING)
    assert result["O_previous"] is fields["O_previous"]
    assert (hits["sum of O, O2"], hits["sum of O_previous, O2_previous"]) == (1, 0)
