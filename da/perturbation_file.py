"""The file of perturbations that additive inflation draws from: what it holds, how it is checked and written.

It is a netCDF file with one variable per field of the state, by the field's name, with the dimensions (sample, level,
latitude, longitude) in this order and under any names. Levels, latitudes and longitudes are those of the model; where
the file has coordinates they are compared.

- A twin at the previous model step (``temperature_previous``) may be left out: it moves with its field.
- A field that is left out is not perturbed; at least one must be there.
- Slots of the state that hold no data are left alone, whatever the file has there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.classic_netcdf import check_complete
from da.errors import ThermodaError
from da.hdf5_heaps import check_heaps
from da.model import PREVIOUS, StateField, StateLayout

FloatArray = NDArray[np.float64]

AXES = ("level", "latitude", "longitude")
AXIS_UNITS = ("1", "degrees_north", "degrees_east")

MOST_SAMPLES = 100_000
"""A damaged file may announce any number; each sample of a grid of 5 degrees has half a megabyte."""

SAME_PLACE = 1e-3
"""Coordinates of the file may differ from the grid's by this part of a step: single precision is enough."""

SAME_UNITS = {"1": ("1", "", "kg kg-1", "kg/kg")}
"""Other ways to write the unit of a field."""


def write_perturbation_set(path: Path, layout: StateLayout, samples: FloatArray, title: str = "perturbations") -> None:
    """Write a file of perturbations that additive inflation can draw from, replacing the file of this name.

    Samples may be anything whose differences are perturbations: the members of an ensemble, states of other times,
    differences of two forecasts for one time. A twin at the previous step that equals its field is not written.

    Parameters
    ----------
    path : Path
    layout : StateLayout
        Of the model.
    samples : array (state_size, samples)
        At least two; slots that hold no data may have any value.
    title : str
        Global attribute: where the samples come from.

    Raises
    ------
    ValueError
        If the samples do not fit the layout, are fewer than two or not finite.
    ThermodaError
        If the file cannot be written.

    Examples
    --------
    A set of the deviations of an ensemble from its mean::

        write_perturbation_set(Path("set.nc"), model.layout, states - states.mean(axis=1, keepdims=True))
    """
    if samples.ndim != 2 or len(samples) != layout.state_size or samples.shape[1] < 2:
        raise ValueError(f"samples {samples.shape} must be ({layout.state_size}, at least 2)")
    columns = {field.name: samples[layout.offset(field.name) :][: real_cells(layout, field)] for field in layout.fields}
    wrong = [name for name, values in columns.items() if not np.isfinite(values).all()]
    if wrong:
        raise ValueError(f"samples of {wrong[0]} are not all finite")
    try:
        with Dataset(path, "w", format="NETCDF4") as dataset:
            dataset.setncatts({"title": title})
            _write_axes(dataset, layout, samples.shape[1])
            for field in layout.fields:
                twin_of = columns.get(field.name.removesuffix(PREVIOUS)) if field.name.endswith(PREVIOUS) else None
                if twin_of is None or not np.array_equal(columns[field.name], twin_of):
                    _write_field(dataset, layout, field, columns[field.name])
    except (OSError, RuntimeError) as error:
        raise ThermodaError(f"{path}: cannot be written ({error})") from error


def _write_axes(dataset: Dataset, layout: StateLayout, sample_count: int) -> None:
    dataset.createDimension("sample", sample_count)
    for name, units in zip(AXES, AXIS_UNITS, strict=True):
        values = getattr(layout.grid, name)
        dataset.createDimension(name, values.size)
        variable = dataset.createVariable(name, "f8", (name,))
        variable[:] = values
        variable.units = units


def _write_field(dataset: Dataset, layout: StateLayout, field: StateField, values: FloatArray) -> None:
    variable = dataset.createVariable(
        field.name,
        "f8",
        ("sample", *AXES),
        compression="zlib",
        complevel=1,
        chunksizes=(1, *layout.grid.shape),
        fill_value=np.nan,
    )
    variable.units = field.unit
    for number in range(values.shape[1]):
        sample = np.full(layout.grid.cells, np.nan)
        sample[: len(values)] = values[:, number]
        variable[number] = sample.reshape(layout.grid.shape)


@contextmanager
def opened(path: Path, *, check: bool = False) -> Iterator[Dataset]:
    """Open a file of perturbations for reading; ThermodaError where there is none or it is no netCDF file.

    The first time a file is opened its structure is to be checked.
    """
    try:
        if not path.is_file():
            raise ThermodaError(f"{path}: there is no such file (analysis.additive_inflation.file)")
        if check:
            check_complete(path)
            check_heaps(path)
        dataset = Dataset(path)
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ThermodaError(f"{path}: is not a netCDF file that can be read ({error})") from error
    with dataset:
        yield dataset


def real_cells(layout: StateLayout, field: StateField) -> int:
    """Return how many cells of a field hold data; they are its first ones."""
    levels, latitudes, longitudes = layout.grid.shape
    return (levels - field.missing_top_levels) * latitudes * longitudes


def perturbed_fields(path: Path, dataset: Dataset, layout: StateLayout) -> dict[str, tuple[str, ...]]:
    """Return which fields of the state each variable perturbs; ThermodaError for a variable without a meaning."""
    held = [name for name in dataset.variables if name in layout.names]
    for name in dataset.variables:
        if name not in layout.names and name not in dataset.dimensions and name not in AXES:
            near = difflib.get_close_matches(name, layout.names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(layout.names)}"
            raise ThermodaError(f"{path}: the state has no field '{name}'; {hint}")
        field = name.removesuffix(PREVIOUS)
        if name in held and field not in held and field in layout.names:
            raise ThermodaError(
                f"{path}: has {name} without {field}; give {field}, with which {name} moves where it is left out"
            )
    if not held:
        raise ThermodaError(f"{path}: has no field of the state; it needs at least one of: {', '.join(layout.names)}")
    found: dict[str, tuple[str, ...]] = {}
    for name in layout.names:
        source = name if name in held else name.removesuffix(PREVIOUS)
        if source in held:
            found[source] = (*found.get(source, ()), name)
    return found


def check_variable(path: Path, dataset: Dataset, name: str, layout: StateLayout) -> None:
    """Raise ThermodaError where shape, type, units or coordinates of a field are not those of the state."""
    variable, shape = dataset.variables[name], layout.grid.shape
    if variable.shape[1:] != shape:
        has = ", ".join(f"{one} {size}" for one, size in zip(variable.dimensions, variable.shape, strict=True))
        needs = ", ".join(f"{one} {size}" for one, size in zip(AXES, shape, strict=True))
        raise ThermodaError(f"{path}: {name} has the dimensions ({has}); it must have (sample, {needs})")
    if not np.issubdtype(variable.dtype, np.number):
        raise ThermodaError(f"{path}: {name} must hold numbers, not {variable.dtype}")
    unit = layout.fields[layout.names.index(name)].unit
    if "units" in variable.ncattrs() and str(variable.units).strip() not in SAME_UNITS.get(unit, (unit,)):
        raise ThermodaError(f"{path}: the units of {name} are '{variable.units}'; they must be '{unit}'")
    for axis, dimension in zip(AXES, variable.dimensions[1:], strict=True):
        for coordinate in sorted({axis, dimension} & set(dataset.variables)):
            _check_coordinate(path, coordinate, dataset.variables[coordinate], axis, getattr(layout.grid, axis))


def _check_coordinate(path: Path, name: str, variable: Any, axis: str, expected: FloatArray) -> None:
    right = f"{expected.size} values from {expected[0]:g} to {expected[-1]:g}"
    if variable.shape != expected.shape or not np.issubdtype(variable.dtype, np.number):
        raise ThermodaError(f"{path}: {name} has the shape {variable.shape}; the {axis} of the model has {right}")
    values = np.ma.asarray(variable[:], dtype=np.float64).filled(np.nan)
    step = expected[1] - expected[0] if expected.size > 1 else 1.0
    wrong = np.flatnonzero(~(np.abs(values - expected) <= SAME_PLACE * step))
    if wrong.size:
        first = int(wrong[0])
        raise ThermodaError(
            f"{path}: {name}[{first}] is {values[first]:g} and must be {expected[first]:g}; "
            f"the {axis} of the model has {right}"
        )


def sample_count_of(path: Path, dataset: Dataset, variables: tuple[str, ...]) -> int:
    """Return the number of samples, at least two and the same for all variables; ThermodaError otherwise."""
    first = dataset.variables[variables[0]]
    for name in variables[1:]:
        other = dataset.variables[name]
        if other.dimensions[0] != first.dimensions[0]:
            raise ThermodaError(
                f"{path}: {name} counts its samples by '{other.dimensions[0]}'; "
                f"it must be '{first.dimensions[0]}', as for {variables[0]}"
            )
    if first.shape[0] > MOST_SAMPLES:
        raise ThermodaError(
            f"{path}: {variables[0]} announces {first.shape[0]} samples; at most {MOST_SAMPLES} are read"
        )
    if first.shape[0] < 2:
        raise ThermodaError(f"{path}: {variables[0]} has {first.shape[0]} samples; at least 2 are needed")
    return int(first.shape[0])
