"""Whether a history is one to go on from: the model itself neither looks for NaN nor fails on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.errors import ThermodaError
from model_adapters.tiegcm.history import (
    AT_BOTTOM,
    COMPOSITION,
    MASKED_AT_TOP,
    NO_DATA_ABOVE,
    ON_INTERFACES,
    ON_LEVELS,
    PREVIOUS_STEP,
    opened,
    read_header,
)

FloatArray = NDArray[np.float64]

TEMPERATURES_K = (99.9, 5000.0)
"""What TN may be: its minimum in the model, 100 K, less what filters and rounding take off where it is reached; and
twice the hottest thermosphere of a great storm."""

IONISED_TEMPERATURES_K = (100.0, 2.0e4)
WINDS_CM_S = (-3.0e5, 3.0e5)
"""3 km/s, three times the speed of sound in a hot thermosphere."""

FRACTIONS = (0.0, 1.0)
SUM_TOLERANCE = 1e-9
"""By how much O + O2 + He may exceed one by rounding and the time filter."""

BOUNDS = (
    {name + step: TEMPERATURES_K for name in ("TN",) for step in ("", PREVIOUS_STEP)}
    | dict.fromkeys(("TE", "TI"), IONISED_TEMPERATURES_K)
    | {name + step: WINDS_CM_S for name in ("UN", "VN") for step in ("", PREVIOUS_STEP)}
    | {name + step: FRACTIONS for name in COMPOSITION for step in ("", PREVIOUS_STEP)}
    | {"TLBC": TEMPERATURES_K}
)
"""Lower and upper bound by variable, in the units of the file. Minor species may be slightly negative: not bounded."""

MUST_HAVE_DATA = (*ON_LEVELS, *ON_INTERFACES, *AT_BOTTOM)
"""Variables in which a missing value below the top is a fault."""


def finite_and_bounded(path: Path, time: np.datetime64) -> list[str]:
    """Return what is wrong with the record of a time, in words; an empty list where a run may start from it.

    All floating-point variables on latitudes and longitudes are looked at, known or not: they must be finite where
    they have data. Those of the dynamics must have data and lie within bounds, and O, O2 and He may not sum to more
    than one.

    Parameters
    ----------
    path : Path
        What a run left behind; a file that is absent, damaged, no primary history, or without the time is a fault.
    time : datetime64
    """
    try:
        index = read_header(path).index_of(time)
        with opened(path) as dataset:
            faults = [fault for name in _field_names(dataset) for fault in _faults(dataset, name, index)]
            faults += [fault for step in ("", PREVIOUS_STEP) for fault in _excess(dataset, step, index)]
    except ThermodaError as error:
        return [str(error)]
    return [f"{path}: {fault}" for fault in faults]


def _field_names(dataset: Dataset) -> list[str]:
    return [
        name
        for name, variable in dataset.variables.items()
        if variable.dimensions[:1] == ("time",)
        and variable.dimensions[-2:] == ("lat", "lon")
        and variable.dtype.kind == "f"
    ]


def _live(dataset: Dataset, name: str, index: int) -> FloatArray:
    """Return the slots of a field that the model uses."""
    values = np.asarray(dataset[name][index], dtype=np.float64)
    return values[:-1] if name in MASKED_AT_TOP else values


def _faults(dataset: Dataset, name: str, index: int) -> list[str]:
    values = _live(dataset, name, index)
    missing = np.abs(values) > NO_DATA_ABOVE
    if number := int(np.count_nonzero(~np.isfinite(values))):
        return [f"{name} is not finite in {number} of {values.size} values"]
    if name in MUST_HAVE_DATA and missing.any():
        return [f"{name} is missing in {int(np.count_nonzero(missing))} of {values.size} values"]
    lower, upper = BOUNDS.get(name, (-np.inf, np.inf))
    outside = ~missing & ((values < lower) | (values > upper))
    if outside.any():
        worst = values[outside][np.argmax(np.abs(values[outside] - np.clip(values[outside], lower, upper)))]
        number = int(np.count_nonzero(outside))
        units = getattr(dataset[name], "units", "")
        return [f"{name} leaves [{lower:g}, {upper:g}] {units} in {number} values, up to {worst:g}"]
    return []


def _excess(dataset: Dataset, step: str, index: int) -> list[str]:
    total = np.sum([_live(dataset, species + step, index) for species in COMPOSITION], axis=0)
    number = int(np.count_nonzero(total > 1.0 + SUM_TOLERANCE))
    names = " + ".join(species + step for species in COMPOSITION)
    return [f"{names} exceeds one in {number} values, up to {np.max(total):g}"] if number else []
