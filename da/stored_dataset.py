"""netCDF files of runs, read back without trusting them: a kill, a copy or a full disk may have damaged them.

Whatever is wrong with a file is one `ThermodaError` that names it: when it is opened, when a variable is asked for that
is not as a run writes it, or when its values are read. A header that promises more values than the file can hold is
refused before any memory is asked for.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.classic_netcdf import check_complete
from da.errors import ThermodaError
from da.hdf5_heaps import check_heaps

REPEAT = "repeat the run"

NUMBERS, TIMES, TEXTS = "iuf", "M", "OSU"
"""Kinds of numpy's types."""

_TYPES = {NUMBERS: "float64", TIMES: "datetime64[ns]", TEXTS: "object"}

LARGEST_EXPANSION = 1100
"""Bytes of values to a byte of their file at most: deflate packs no tighter than 1032 to 1 (RFC 1951, section 3.2.5: a
run of 258 takes two bits)."""

UNWRITTEN = 16 * 1024**2
"""Bytes of values that a file may have beyond this: those that were never written take no room."""

_LIBRARY_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What netCDF4, xarray and pandas raise over damaged attributes, types and values; they document none of it."""


@contextmanager
def stored_dataset(path: Path, remedy: str = REPEAT) -> Iterator[xr.Dataset]:
    """Open a netCDF file of a run, whose values are read when they are asked for.

    Parameters
    ----------
    path : Path
    remedy : str
        What the user can do about a damaged file.

    Raises
    ------
    ThermodaError
        If it is not there or cannot be opened, or, in the body, if its values cannot be read.
    """
    try:
        state = path.stat()
        _require_sound(path, state.st_size, state.st_mtime_ns, state.st_ino)
        with _quietly():
            dataset = xr.open_dataset(path, engine="netcdf4", cache=False)
    except _LIBRARY_FAULTS as error:
        raise _damaged(path, error, remedy) from error
    with dataset:
        try:
            yield dataset
        except (OSError, RuntimeError) as error:
            raise _damaged(path, error, remedy) from error


def stored_values(
    path: Path,
    dataset: xr.Dataset,
    name: str,
    dimensions: tuple[str, ...] | None = None,
    kinds: str = NUMBERS,
    remedy: str = REPEAT,
) -> NDArray[Any]:
    """Return the values of a variable, as float64 where they are numbers and as datetime64[ns] where they are times.

    Parameters
    ----------
    path : Path
        For messages.
    dataset : Dataset
    name : str
    dimensions : tuple of str or None
        That it must have, in any order; they are returned in this one. None: any.
    kinds : str
        Of its type, as in numpy.
    remedy : str

    Raises
    ------
    ThermodaError
        If there is no such variable, it has other dimensions or another type, or cannot be read.
    """
    require_variable(path, dataset, name, dimensions, kinds, remedy)
    try:
        with _quietly():
            array = dataset[name] if dimensions is None else dataset[name].transpose(*dimensions)
            decoded: NDArray[Any] = array.to_numpy().astype(_TYPES[kinds], copy=False)
    except _LIBRARY_FAULTS as error:
        raise _damaged(path, error, remedy) from error
    return decoded


def stored_whole(path: Path, dataset: xr.Dataset, remedy: str = REPEAT) -> xr.Dataset:
    """Return all that a file holds, in memory; ThermodaError where some of it cannot be read."""
    try:
        with _quietly():
            return dataset.load()
    except _LIBRARY_FAULTS as error:
        raise _damaged(path, error, remedy) from error


def require_variable(
    path: Path,
    dataset: xr.Dataset,
    name: str,
    dimensions: tuple[str, ...] | None = None,
    kinds: str = NUMBERS,
    remedy: str = REPEAT,
) -> None:
    """Raise ThermodaError where there is no such variable, or it has other dimensions or another type."""
    if name not in dataset.variables:
        raise ThermodaError(f"{path} has no variable {name}; {remedy}")
    found = dataset[name]
    if dimensions is not None and sorted(map(str, found.dims)) != sorted(dimensions):
        shown = ", ".join(map(str, found.dims)) or "none"
        raise ThermodaError(f"{path}: {name} has the dimensions {shown}, not {', '.join(dimensions)}; {remedy}")
    if found.dtype.kind not in kinds:
        raise ThermodaError(f"{path}: {name} has the type {found.dtype}, which no run writes; {remedy}")


@lru_cache(maxsize=64)
def _require_sound(path: Path, size: int, changed: int, node: int) -> None:
    """Raise where the structure of a file is damaged, looked at once for as long as the file is the same.

    Parameters
    ----------
    path : Path
    size, changed, node : int
        Bytes, time of the last change, and number of the file: together they tell that it is the same.
    """
    if not path.is_file():
        raise IsADirectoryError("not a regular file")
    check_complete(path)
    check_heaps(path)
    promised = 0
    with Dataset(path) as dataset:
        for name, variable in dataset.variables.items():
            promised += math.prod(variable.shape) * _item_size(variable.dtype)
            if promised > LARGEST_EXPANSION * size + UNWRITTEN:
                raise ValueError(f"up to {name} it promises {promised} bytes, more than a file of {size} can hold")


def _item_size(kind: object) -> int:
    return kind.itemsize if isinstance(kind, np.dtype) else np.dtype(object).itemsize


@contextmanager
def _quietly() -> Iterator[None]:
    """Let what is read of a damaged file be judged by its values, without warnings of how they were decoded."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _damaged(path: Path, error: Exception, remedy: str) -> ThermodaError:
    if isinstance(error, FileNotFoundError):
        return ThermodaError(f"{path} is missing")
    if isinstance(error, OSError) and error.strerror:
        return ThermodaError(f"{path} is not readable netCDF ({error.strerror}); {remedy}")
    return ThermodaError(f"{path} is not readable netCDF ({error}); {remedy}")
