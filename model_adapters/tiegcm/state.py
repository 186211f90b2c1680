"""The state vector in a history: read from one of its records, and written back in place.

Temperature and the mass fractions of O, O2 and He stand on the mid-levels, each with its twin of the previous step.
The model is a leapfrog: an increment to a field without its twin makes it ring, so both are read and written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.model import PREVIOUS, THERMOSPHERE_FIELDS, StateLayout
from model_adapters.tiegcm.constraints import LIMITS, admissible, count_changes
from model_adapters.tiegcm.history import NO_DATA_ABOVE, PREVIOUS_STEP, HistoryHeader, opened, read_header
from model_adapters.tiegcm.history_writer import replace_fields

FloatArray = NDArray[np.float64]

VARIABLES = {
    name + suffix: variable + step
    for name, variable in (
        ("temperature", "TN"),
        ("mass_fraction_O", "O1"),
        ("mass_fraction_O2", "O2"),
        ("mass_fraction_He", "HE"),
    )
    for suffix, step in (("", ""), (PREVIOUS, PREVIOUS_STEP))
}
"""Variable of the history that holds each field of the state."""

WARMER = ("TE", "TI")
"""Temperatures that are raised to that of the neutrals where an analysis passes them."""


@dataclass(frozen=True)
class Written:
    """What a write did.

    Parameters
    ----------
    state : array (state_size,)
        What the file holds now, as :func:`read_state` returns it.
    changed : dict of variable -> int
        Number of values changed on file; variables that were not touched are left out.
    limited : dict of constraint -> int
        Number of values that a constraint changed on the way from the analysis to the file.
    """

    state: FloatArray
    changed: Mapping[str, int]
    limited: Mapping[str, int]


def layout_of(header: HistoryHeader) -> StateLayout:
    """Return the layout of the state on the grid of a history, with the species limits of its version.

    The highest slot of the temperatures holds no data, so that no analysis changes it; that of the mass fractions does.
    """
    limits = LIMITS[header.version]
    fields = []
    for field in THERMOSPHERE_FIELDS:
        variable = VARIABLES[field.name].removesuffix(PREVIOUS_STEP)
        if variable == "TN":
            fields.append(replace(field, missing_top_levels=1))
        else:
            fields.append(replace(field, lower=limits.lowest[variable]))
    return StateLayout(tuple(fields), header.grid)


def read_state(path: Path, time: np.datetime64, layout: StateLayout) -> FloatArray:
    """Return the state of one record, (state_size,), in the order of the layout.

    The highest slot of the temperatures, which holds no data, is given the value below it: the model itself takes the
    atmosphere as isothermal from there on (T at the highest interface is that of the level below).

    Raises
    ------
    ThermodaError
        If the file is no primary history, has no record of that time or another grid, or a value is missing or not
        finite.
    """
    header = read_header(path)
    _check_grid(header, layout)
    index = header.index_of(time)
    with opened(path) as dataset:
        fields = {name: _field(dataset, VARIABLES[name], index) for name in layout.names}
    state = _as_state(fields, layout)
    bad = np.flatnonzero(~(np.abs(state) < NO_DATA_ABOVE))
    if bad.size:
        raise ThermodaError(
            f"{path}: {bad.size} values of the state are missing or not finite, first {layout.locate(int(bad[0]))}"
        )
    return state


def fill_top(states: FloatArray, layout: StateLayout) -> FloatArray:
    """Return states whose slots without data hold the value of the level below them.

    Parameters
    ----------
    states : array (state_size, members)
    """
    filled = states.copy()
    for field in layout.fields:
        if field.missing_top_levels:
            values = layout.field(filled, field.name)
            values[-field.missing_top_levels :] = values[-field.missing_top_levels - 1]
    return filled


def write_state(
    path: Path, time: np.datetime64, state: FloatArray, layout: StateLayout, destination: Path | None = None
) -> Written:
    """Write a state into one record of a history, and check that the file holds what was meant.

    Only values that differ are written: both time levels of the state, and TE and TI where temperature rose above
    them. Everything else (other records, slots without data, other variables) stays bit for bit, and so does the
    whole file where nothing differs. What the analysis changed is made admissible first
    (:func:`model_adapters.tiegcm.constraints.admissible`); what it left alone stays as the model wrote it.

    The file appears under its name at once and complete, or not at all. A symbolic link is replaced by a file of
    its own, so that a history which members share is never written to.

    Parameters
    ----------
    path : Path
        The history.
    time : datetime64
        Of the record.
    state : array (state_size,)
    layout : StateLayout
    destination : Path, optional
        Where the changed history is to appear, in place of ``path``, which then stays as it is.

    Raises
    ------
    ThermodaError
        If the file is no primary history, has no such record or another grid, cannot be written, or does not hold
        afterwards what was meant; if the state is not finite.
    ValueError
        If the state has another size.
    """
    if state.shape != (layout.state_size,):
        raise ValueError(f"a state of shape {state.shape}; the layout has ({layout.state_size},)")
    bad = np.flatnonzero(~np.isfinite(state))
    if bad.size:
        raise ThermodaError(f"{path}: not written: the state is not finite, first {layout.locate(int(bad[0]))}")
    header = read_header(path)
    _check_grid(header, layout)
    index = header.index_of(time)
    with opened(path) as dataset:
        before = {name: _field(dataset, name, index) for name in (*VARIABLES.values(), *WARMER)}
    fields, limited = admissible(header.version, before, _wanted(state, layout, before))
    meant = replace_fields(path, destination or path, index, before, fields)
    changed = {name: count_changes(before[name], values) for name, values in meant.items()}
    after = {name: meant.get(VARIABLES[name], before[VARIABLES[name]]) for name in layout.names}
    return Written(_as_state(after, layout), changed, limited)


def _wanted(state: FloatArray, layout: StateLayout, before: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the fields of a state by variable, slots without data as they are on file."""
    wanted = {}
    for field in layout.fields:
        values = layout.field(state[:, None], field.name)[..., 0].copy()
        if field.missing_top_levels:
            top = slice(-field.missing_top_levels, None)
            values[top] = before[VARIABLES[field.name]][top]
        wanted[VARIABLES[field.name]] = values
    return wanted


def _as_state(fields: Mapping[str, FloatArray], layout: StateLayout) -> FloatArray:
    states = layout.join({name: values[..., None] for name, values in fields.items()})
    return np.asarray(fill_top(states, layout)[:, 0])


def _field(dataset: Dataset, name: str, index: int) -> FloatArray:
    return np.asarray(dataset[name][index], dtype=np.float64)


def _check_grid(header: HistoryHeader, layout: StateLayout) -> None:
    for name in ("level", "latitude", "longitude"):
        file, expected = getattr(header.grid, name), getattr(layout.grid, name)
        if not np.array_equal(file, expected):
            raise ThermodaError(
                f"{header.path}: has {file.size} {name}s from {file[0]:g} to {file[-1]:g}; "
                f"the state has {expected.size} from {expected[0]:g} to {expected[-1]:g}"
            )
