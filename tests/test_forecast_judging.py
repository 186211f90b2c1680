"""What counts as a failed forecast besides what a model says itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from da.forecast_judging import faults
from da.model import THERMOSPHERE_FIELDS, StateField, StateGrid, StateLayout

GRID = StateGrid(np.array([-6.75, -6.25]), np.array([-45.0, 45.0]), np.array([0.0, 120.0, 240.0]))
LAYOUT = StateLayout(THERMOSPHERE_FIELDS, GRID)
NUMBERS = np.array([4, 5, 9])
PLACE = "at level -6.25, latitude -45, longitude 120"


def _states() -> np.ndarray:
    values = {"temperature": 800.0, "mass_fraction_O": 0.3, "mass_fraction_O2": 0.2, "mass_fraction_He": 1e-6}
    columns = [np.full(GRID.cells, values[name.removesuffix("_previous")]) for name in LAYOUT.names]
    return np.repeat(np.concatenate(columns)[:, None], 3, axis=1)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("temperature", np.nan, f"has nan in temperature {PLACE}"),
        ("mass_fraction_He", -np.inf, f"has -inf in mass_fraction_He {PLACE}"),
        ("temperature", 99.0, rf"has 99 K, outside \[99.9, 5000\], in temperature {PLACE}"),
        ("temperature_previous", 5001.0, rf"has 5001 K, outside .* in temperature_previous {PLACE}"),
        ("mass_fraction_O2", -1e-6, rf"has -1e-06, outside \[-1e-09, 1\], in mass_fraction_O2 {PLACE}"),
        ("mass_fraction_O", 1.001, rf"has 1.001, outside .* in mass_fraction_O {PLACE}"),
        (
            "mass_fraction_O",
            0.9,
            r"has 1.1 as the sum of mass_fraction_O, .*_He, above 1, at level -6.25",
        ),
    ],
)
def test_that_a_state_that_cannot_be_is_told_with_member_value_and_place(field: str, value: float, told: str) -> None:
    states = _states()
    states[LAYOUT.offset(field) + 7, 1] = value
    found = faults(LAYOUT, states, NUMBERS)
    assert list(found) == [1]
    with pytest.raises(AssertionError, match=f"^member 5 {told}"):
        raise AssertionError(found[1])
    assert faults(LAYOUT, states, NUMBERS, known={1: "its model ended"}) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", 99.95), ("temperature", 4999.0), ("mass_fraction_O2", -5e-10), ("mass_fraction_He", 0.5 + 5e-10)],
)
def test_that_what_rounding_and_filters_leave_is_no_fault(field: str, value: float) -> None:
    states = _states()
    states[LAYOUT.offset(field) + 7, 1] = value
    assert faults(LAYOUT, states, NUMBERS) == {}


def test_that_every_member_at_fault_is_told_once() -> None:
    states = _states()
    states[LAYOUT.offset("temperature")] = [np.nan, 9000.0, 800.0]
    states[LAYOUT.offset("mass_fraction_O") + 3] = [2.0, 2.0, 2.0]
    found = faults(LAYOUT, states, NUMBERS)
    assert {place: told.split()[3] for place, told in found.items()} == {0: "nan", 1: "9000", 2: "2,"}


def test_that_slots_without_data_and_fields_without_limits_need_only_be_finite() -> None:
    fields = (replace(THERMOSPHERE_FIELDS[0], missing_top_levels=1), StateField("wind", "m s-1"))
    layout, states = StateLayout(fields, GRID), np.full((24, 3), 800.0)
    states[6:12], states[12:] = 0.0, -1e30
    assert faults(layout, states, NUMBERS) == {}
    states[5, 2] = 0.0
    assert list(faults(layout, states, NUMBERS)) == [2]
    assert list(faults(layout, states, NUMBERS, known=[2])) == []
