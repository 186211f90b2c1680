"""Fields of a history replaced in place: completely or not at all, and checked by reading them again."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.atomic_file import replacing
from da.errors import ThermodaError
from model_adapters.tiegcm.constraints import count_changes
from model_adapters.tiegcm.history import opened

FloatArray = NDArray[np.float64]
Fields = Mapping[str, FloatArray]


def replace_fields(path: Path, destination: Path, index: int, before: Fields, after: Fields) -> dict[str, FloatArray]:
    """Write the fields of one record that differ, and return them as the file holds them.

    Parameters
    ----------
    path, destination : Path
        The history, and where the changed one appears; both may be the same.
    index : int
        Record.
    before, after : dict of variable -> array (levels, latitudes, longitudes)
        What the file holds and what it is to hold.

    Raises
    ------
    ThermodaError
        If the file cannot be written, or does not hold afterwards what was meant; then nothing has changed.
    """
    changes = {name: values for name, values in after.items() if count_changes(before[name], values)}
    if not changes and path == destination:
        return {}
    try:
        with replacing(destination) as partial:
            shutil.copyfile(path, partial)
            # Readable as it was, and writable by its owner.
            partial.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)
            meant = _overwrite(partial, index, changes) if changes else {}
            _check(partial, index, meant)
    except (OSError, RuntimeError) as error:
        raise ThermodaError(f"{destination}: cannot be written ({error})") from error
    return meant


def _overwrite(path: Path, index: int, changes: Fields) -> dict[str, FloatArray]:
    """Overwrite a record of some variables; return the values as the type on file holds them."""
    meant = {}
    with Dataset(path, "r+") as dataset:
        dataset.set_auto_maskandscale(False)
        for name, values in changes.items():
            stored = values.astype(dataset[name].dtype)
            dataset[name][index] = stored
            meant[name] = stored.astype(np.float64)
    return meant


def _check(path: Path, index: int, meant: Fields) -> None:
    with opened(path) as dataset:
        for name, values in meant.items():
            if count_changes(values, np.asarray(dataset[name][index], dtype=np.float64)):
                raise ThermodaError(f"{path}: {name} was written but does not read back as what was meant")
