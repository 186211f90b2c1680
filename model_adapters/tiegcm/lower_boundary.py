"""A member's own lower boundary: netCDF files of temperature, height and winds that TIE-GCM adds to its background.

Offsets are the same everywhere and at all times (Corbin & Kusche 2022, Table 1). Without tides they stand in files of
the kind that TIE-GCM reads SABER (temperature, height) and TIDI (winds) climatologies from: hourly, on the model grid.
With GSWM tides, which exclude those files, they are added to a copy of one of the tidal files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from netCDF4 import Dataset, Variable
from numpy.typing import NDArray

from da.classic_netcdf import check_complete
from da.errors import ThermodaError
from da.hdf5_heaps import check_heaps
from da.input_file import is_there
from model_adapters.tiegcm.history import HistoryHeader
from model_adapters.tiegcm.namelist import Scalar
from model_adapters.tiegcm.namelist_keys import GSWM_FILES
from model_adapters.tiegcm.namelist_settings import LowerBoundaryFiles, refuse

TimeArray = NDArray[np.datetime64]

LOWER_BOUNDARY_INPUTS = (
    "lower_boundary_temperature_k",
    "lower_boundary_height_m",
    "lower_boundary_zonal_wind_m_s",
    "lower_boundary_meridional_wind_m_s",
)

LARGEST_OFFSET = dict(zip(LOWER_BOUNDARY_INPUTS, (80.0, 20e3, 300.0, 300.0), strict=True))
"""Beyond these a member is no thermosphere any more; the model's own background is 181 K, 96.37 km and no wind."""

MISSING_DATA = 1e36
"""Attribute ``missing_data``. The model compares values with it and, where it is absent, with whatever is in memory."""

SMALL = 2**16
"""Bytes with which a file in memory begins; it grows."""

MOST_TIMES = 1_000_000
"""Hours of a century."""

LARGEST_YEAR = 10_000

_HOUR = np.timedelta64(1, "h")
_GSWM_SHAPE = {"time": 24, "nmonth": 12}


@dataclass(frozen=True)
class _Quantity:
    """One variable of a file: the offset it takes, and the units that the model understands, as factors from SI."""

    name: str
    offset: str
    units: Mapping[str, float]


_TEMPERATURE, _HEIGHT, _ZONAL, _MERIDIONAL = LOWER_BOUNDARY_INPUTS
_WIND_UNITS = {"m/s": 1.0, "cm/s": 100.0}
_HOURLY = {
    "SABER_NCFILE": (
        _Quantity("T", _TEMPERATURE, {"deg K": 1.0, "K": 1.0}),
        _Quantity("Z", _HEIGHT, {"km": 1e-3, "cm": 100.0}),
    ),
    "TIDI_NCFILE": (_Quantity("U", _ZONAL, _WIND_UNITS), _Quantity("V", _MERIDIONAL, _WIND_UNITS)),
}
_GSWM = (
    _Quantity("Z", _HEIGHT, {"m": 1.0}),
    _Quantity("TN", _TEMPERATURE, {"K": 1.0}),
    _Quantity("UN", _ZONAL, {"m/s": 1.0}),
    _Quantity("VN", _MERIDIONAL, {"m/s": 1.0}),
)


def write_lower_boundary_files(
    folder: Path,
    header: HistoryHeader,
    start: np.datetime64,
    stop: np.datetime64,
    offsets: Mapping[str, float],
    background: LowerBoundaryFiles,
) -> dict[str, tuple[Scalar, ...]]:
    """Write the files of one member's lower boundary into its folder and return the keys that name them.

    Files that the member takes as they are come as links, so that no path in the namelist is long.

    Parameters
    ----------
    folder : Path
        Where the member's job runs; files of former calls are replaced.
    header : HistoryHeader
        Of the source history, for the grid.
    start, stop : datetime64
        Of the forecast.
    offsets : mapping of str to float
        This member's perturbed inputs; those that are not of `LOWER_BOUNDARY_INPUTS` are left alone.
    background : LowerBoundaryFiles

    Returns
    -------
    dict
        Entries of the namelist; empty where the model's own lower boundary is used unperturbed.

    Raises
    ------
    ThermodaError
        If an offset is out of range, files exclude each other, or a file does not suit the model grid or the period.
    """
    used = _checked_offsets(offsets)
    given = {key: path for key in (*GSWM_FILES, *_HOURLY) if (path := getattr(background, _setting(key))) is not None}
    tidal = [key for key in given if key in GSWM_FILES]
    hourly = [key for key in given if key in _HOURLY]
    if tidal and hourly:
        raise refuse(f"lower_boundary.{_setting(hourly[0])}", given[hourly[0]], "must not be given with GSWM files")
    entries: dict[str, tuple[Scalar, ...]] = {}
    for key in GSWM_FILES if tidal else _HOURLY:
        perturbed = key == tidal[0] if tidal else any(one.offset in used for one in _HOURLY[key])
        own = used if perturbed else {}
        if key not in given and not own:
            continue
        target = folder / f"{key.removesuffix('_NCFILE').lower()}.nc"
        target.unlink(missing_ok=True)
        if key not in given:
            _write_hourly(target, header, _hours(start, stop), _HOURLY[key], own)
        else:
            _take_over(_existing(key, given[key]), target, key, header, (start, stop), own)
        entries[key] = (target.name,)
    return entries


def given_files(background: LowerBoundaryFiles) -> dict[str, Path]:
    """Return the files that the settings name, by the model's key; ThermodaError where one is not there."""
    named = {key: getattr(background, _setting(key)) for key in (*GSWM_FILES, *_HOURLY)}
    return {key: _existing(key, name) for key, name in named.items() if name is not None}


def _setting(key: str) -> str:
    return key.removesuffix("_NCFILE").lower() + "_file"


def _checked_offsets(offsets: Mapping[str, float]) -> dict[str, float]:
    for name in LOWER_BOUNDARY_INPUTS:
        if not abs(value := offsets.get(name, 0.0)) <= LARGEST_OFFSET[name]:
            raise ThermodaError(f"TIE-GCM: the offset of {name} ({value:g}) must be within +-{LARGEST_OFFSET[name]:g}")
    return {name: float(offsets[name]) for name in LOWER_BOUNDARY_INPUTS if offsets.get(name, 0.0)}


def _hours(start: np.datetime64, stop: np.datetime64) -> TimeArray:
    """Return the hours that enclose a period, one more on both sides.

    The model looks for the period in fractions of a year, whose rounding must not leave an end outside.
    """
    first = start.astype("datetime64[h]") - _HOUR
    last = (stop.astype("datetime64[s]") + np.timedelta64(3599, "s")).astype("datetime64[h]") + _HOUR
    return np.arange(first, last + _HOUR, _HOUR)


def _write_hourly(
    path: Path,
    header: HistoryHeader,
    hours: TimeArray,
    quantities: tuple[_Quantity, ...],
    offsets: Mapping[str, float],
) -> None:
    """Write a file of constant fields, classic netCDF, which both versions read."""
    # In memory first: where a classic file cannot be closed on a full disk, the library ends this process later.
    file = Dataset(path.name, "w", format="NETCDF3_CLASSIC", memory=SMALL)
    _fill_hourly(file, header, hours, quantities, offsets)
    path.write_bytes(file.close())


def _fill_hourly(
    file: Dataset,
    header: HistoryHeader,
    hours: TimeArray,
    quantities: tuple[_Quantity, ...],
    offsets: Mapping[str, float],
) -> None:
    for name, size in (("time", hours.size), ("lat", header.latitude.size), ("lon", header.longitude.size)):
        file.createDimension(name, size)
    years = hours.astype("datetime64[Y]")
    calendar = {
        "year": years.astype(np.int64) + 1970,
        "day": (hours.astype("datetime64[D]") - years.astype("datetime64[D]")).astype(np.int64) + 1,
        "hour": (hours - hours.astype("datetime64[D]")).astype("timedelta64[h]").astype(np.int64),
    }
    for name, values in calendar.items():
        file.createVariable(name, "i4", ("time",))[:] = values
    for name, axis, units in (
        ("lat", header.latitude, "degrees_north"),
        ("lon", header.longitude, "degrees_east"),
    ):
        variable = file.createVariable(name, "f8", (name,))
        variable.units = units
        variable[:] = axis
    for one in quantities:
        units, factor = next(iter(one.units.items()))
        variable = file.createVariable(one.name, "f8", ("time", "lat", "lon"))
        variable.setncatts({"units": units, "missing_data": MISSING_DATA})
        variable[:] = offsets.get(one.offset, 0.0) * factor


def _existing(key: str, given: str) -> Path:
    path = Path(os.path.expandvars(given)).expanduser().absolute()
    name = f"lower_boundary.{_setting(key)}"
    if "$" in str(path):
        raise refuse(name, given, "names an environment variable that is not set")
    if not is_there(path):
        raise refuse(name, given, "must be an existing file")
    return path


def _take_over(
    source: Path,
    target: Path,
    key: str,
    header: HistoryHeader,
    period: tuple[np.datetime64, np.datetime64],
    offsets: Mapping[str, float],
) -> None:
    """Link to a file of the user, or copy it and add offsets; either way check that the model could read it."""
    quantities = _HOURLY.get(key, _GSWM)
    try:
        check_complete(source)
        check_heaps(source)
        with Dataset(source) as file:
            _check_grid(source, file, key, header, quantities)
            if key in _HOURLY:
                _check_period(source, file, period)
        if not offsets:
            target.symlink_to(source)
            return
        shutil.copyfile(source, target)
        with Dataset(target, "r+") as file:
            file.set_auto_maskandscale(False)
            for one in quantities:
                if one.offset in offsets:
                    variable = file.variables[one.name]
                    _add(variable, offsets[one.offset] * _factor(source, variable, one, key))
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ThermodaError(f"{source}: cannot be read or copied as netCDF: {error}") from error


def _check_grid(
    source: Path, file: Dataset, key: str, header: HistoryHeader, quantities: tuple[_Quantity, ...]
) -> None:
    grid = {"lat": header.latitude.size, "lon": header.longitude.size}
    sizes = {**_GSWM_SHAPE, **grid} if key in GSWM_FILES else {"time": None, **grid}
    for one in quantities:
        if one.name not in file.variables:
            raise ThermodaError(f"{source}: has no variable {one.name}, which TIE-GCM reads from {key}")
        variable = file.variables[one.name]
        if variable.dimensions != tuple(sizes):
            raise ThermodaError(
                f"{source}: {one.name} has the dimensions {', '.join(variable.dimensions)}; must be {', '.join(sizes)}"
            )
        if variable.dtype.kind != "f" or {"scale_factor", "add_offset"} & set(variable.ncattrs()):
            raise ThermodaError(f"{source}: {one.name} is packed or not real; the model reads plain real numbers")
    for name, size in sizes.items():
        if size is not None and len(file.dimensions[name]) != size:
            found = len(file.dimensions[name])
            raise ThermodaError(f"{source}: has {found} {name}; the model grid and format need {size}")


def _check_period(source: Path, file: Dataset, period: tuple[np.datetime64, np.datetime64]) -> None:
    """Refuse a file whose hours do not enclose a forecast."""
    if any(name not in file.variables for name in ("year", "day", "hour")):
        raise ThermodaError(f"{source}: must tell its times by the variables year, day and hour")
    year, day, hour = (_whole_numbers(source, file, name) for name in ("year", "day", "hour"))
    times = (year - 1970).astype("datetime64[Y]").astype("datetime64[h]") + 24 * (day - 1) + hour
    if times.size < 2 or np.any(np.diff(times) <= np.timedelta64(0, "h")):
        raise ThermodaError(f"{source}: must hold at least two increasing times")
    if times[0] > period[0] or times[-1] < period[1]:
        raise ThermodaError(f"{source}: holds {times[0]} to {times[-1]}; must enclose {period[0]} to {period[1]}")


def _whole_numbers(source: Path, file: Dataset, name: str) -> NDArray[np.int64]:
    variable = file.variables[name]
    if variable.dimensions != ("time",) or np.dtype(variable.dtype).kind not in "iuf":
        raise ThermodaError(f"{source}: {name} must be numbers along time")
    if variable.size > MOST_TIMES:
        raise ThermodaError(f"{source}: holds {variable.size} times; at most {MOST_TIMES} are expected")
    values = np.ma.filled(variable[:].astype(np.float64), np.nan)
    if not np.all(np.abs(values) < LARGEST_YEAR):
        raise ThermodaError(f"{source}: {name} holds what is no number of a date")
    return values.astype(np.int64)


def _factor(source: Path, variable: Variable[Any], quantity: _Quantity, key: str) -> float:
    """Return the number by which an offset in SI is in the units of the file. GSWM files are read without any look."""
    if key in GSWM_FILES:
        return next(iter(quantity.units.values()))
    units = str(getattr(variable, "units", ""))
    if units not in quantity.units:
        allowed = " or ".join(repr(one) for one in quantity.units)
        raise ThermodaError(f"{source}: {quantity.name} has the units {units!r}; must be {allowed}")
    return quantity.units[units]


def _add(variable: Variable[Any], value: float) -> None:
    """Add a number to a variable in place, missing values left as they are."""
    old = np.asarray(variable[:])
    missing = [
        getattr(variable, name)
        for name in ("missing_data", "missing_value", "_FillValue")
        if name in variable.ncattrs()
    ]
    variable[:] = np.where(np.isin(old, missing), old, old + old.dtype.type(value))
