"""Histories packed smaller: netCDF-4, deflated without loss, and without the records that nobody needs again.

Every variable and attribute comes along as it stands, known or not. Both versions of the model read either kind of
netCDF, provided that their netCDF library has its HDF5 part with zlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from netCDF4 import Dataset

from da.errors import ThermodaError
from model_adapters.tiegcm.history import read_header


def repack(source: Path, destination: Path, time: np.datetime64, level: int, *, all_records: bool) -> None:
    """Write a history anew, smaller.

    Parameters
    ----------
    source, destination : Path
        The destination appears at once and complete.
    time : datetime64
        Of the record that is needed.
    level : int
        Of zlib, 0 to 9.
    all_records : bool
        Keep the others too.

    Raises
    ------
    ThermodaError
        If the source is no history or has no such record, or the destination cannot be written.
    """
    header = read_header(source)
    records = list(range(header.times.size)) if all_records else [header.index_of(time)]
    partial = destination.with_name(f".{destination.name}.partial")
    try:
        # Not `opened`, which takes every fault for one of the source: a full disk is more likely.
        with Dataset(source) as old, Dataset(partial, "w", format="NETCDF4") as new:
            old.set_auto_maskandscale(False)
            _copy(old, new, records, level)
        partial.replace(destination)
    except (OSError, RuntimeError) as error:
        raise ThermodaError(f"{destination}: cannot be written from {source.name} ({error})") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(old: Dataset, new: Dataset, records: list[int], level: int) -> None:
    new.set_auto_maskandscale(False)
    new.set_fill_off()
    new.setncatts({name: old.getncattr(name) for name in old.ncattrs()})
    for name, dimension in old.dimensions.items():
        new.createDimension(name, None if dimension.isunlimited() else dimension.size)
    for name, variable in old.variables.items():
        packing: dict[str, Any] = {}
        if variable.ndim > 2 and level:
            packing = {"zlib": True, "complevel": level, "shuffle": True}
        fill = variable.getncattr("_FillValue") if "_FillValue" in variable.ncattrs() else None
        copy = new.createVariable(name, variable.dtype, variable.dimensions, fill_value=fill, **packing)
        copy.set_auto_maskandscale(False)
        copy.setncatts({key: variable.getncattr(key) for key in variable.ncattrs() if key != "_FillValue"})
        if "time" not in variable.dimensions:
            copy[...] = variable[...]
            continue
        for position, record in enumerate(records):
            copy[position] = variable[record]
