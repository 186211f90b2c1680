r"""Whether a forecast is one to go on from: finite, and nowhere beyond what its fields can be.

Temperatures within their limits and mass fractions that are not negative, with those of O, O2 and He summing to one at
most, make a density :math:`\rho = p \bar M / (R T)` that is positive: it needs no limit of its own.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from da.model import FRACTION_TOLERANCE, StateField, StateLayout, composition_groups

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def faults(layout: StateLayout, states: FloatArray, numbers: IndexArray, known: Collection[int] = ()) -> dict[int, str]:
    """Return what is wrong with members, by position; those without a fault are left out.

    Parameters
    ----------
    layout : StateLayout
        Its fields say beyond which values a forecast counts as failed. Slots that hold no data need only be finite.
    states : array (state_size, members)
    numbers : array of int (members,)
        Of the members, for the words.
    known : collection of int
        Positions of members that failed already, which are not looked at.
    """
    found: dict[int, str] = {}
    for place in np.flatnonzero(~np.isfinite(states).all(axis=0)).tolist():
        row = int(np.argmax(~np.isfinite(states[:, place])))
        found[place] = f"member {numbers[place]} has {states[row, place]} in {layout.locate(row)}"
    sound = [place for place in range(states.shape[1]) if place not in found and place not in known]
    for field in layout.fields:
        for place, told in _beyond(layout, field, states).items():
            if place in sound:
                found.setdefault(place, f"member {numbers[place]} has {told}")
    for group in composition_groups(layout):
        for place, told in _excess(layout, group, states).items():
            if place in sound:
                found.setdefault(place, f"member {numbers[place]} has {told}")
    return {place: told for place, told in found.items() if place not in known}


def _beyond(layout: StateLayout, field: StateField, states: FloatArray) -> dict[int, str]:
    """Return where a field leaves its limits first, of each member that does so."""
    low, high = field.failing_below, field.failing_above
    if low == -np.inf and high == np.inf:
        return {}
    first = layout.offset(field.name)
    live = _live(layout, field, states)
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero((live.min(axis=0) < low) | (live.max(axis=0) > high))
    told = {}
    for place in bad.tolist():
        row = int(np.argmax((live[:, place] < low) | (live[:, place] > high)))
        unit = "" if field.unit == "1" else f" {field.unit}"
        told[place] = f"{live[row, place]:g}{unit}, outside [{low:g}, {high:g}], in {layout.locate(first + row)}"
    return told


def _excess(layout: StateLayout, group: tuple[str, ...], states: FloatArray) -> dict[int, str]:
    """Return where mass fractions sum to more than one first, of each member in which they do."""
    fields = [layout.fields[layout.names.index(name)] for name in group]
    size = min(len(_live(layout, field, states)) for field in fields)
    total = np.sum([_live(layout, field, states)[:size] for field in fields], axis=0)
    told = {}
    for place in np.flatnonzero(total.max(axis=0) > 1.0 + FRACTION_TOLERANCE).tolist():
        row = int(np.argmax(total[:, place] > 1.0 + FRACTION_TOLERANCE))
        where = layout.locate(row).partition(" at ")[2]
        told[place] = f"{total[row, place]:g} as the sum of {', '.join(group)}, above 1, at {where}"
    return told


def _live(layout: StateLayout, field: StateField, states: FloatArray) -> FloatArray:
    """Return the rows of a field that hold data, (cells, members)."""
    levels, latitudes, longitudes = layout.grid.shape
    first = layout.offset(field.name)
    return states[first : first + (levels - field.missing_top_levels) * latitudes * longitudes]
