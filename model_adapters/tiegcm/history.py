"""Primary histories of TIE-GCM: what is in a file, and whether it is one.

Versions 2.0 and 3.0 are told apart by the length of mtime, three or four numbers. The kind of netCDF does not decide:
version 2.0 writes the classic format and 3.0 netCDF-4, but both read either, and a file may have been converted.
The time of a record is its mtime with its year, as for the model itself; the variable ``time`` is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.classic_netcdf import check_complete
from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.errors import ThermodaError
from da.hdf5_heaps import check_heaps
from da.model import StateGrid
from model_adapters.tiegcm.model_time import MTIME_LENGTH, Version, time_of

FloatArray = NDArray[np.float64]

MISSING = 1e36
"""Fill value of slots without data; larger by far than any value of a field."""

NO_DATA_ABOVE = 1e35
"""Values beyond are missing; the model leaves other values near 1e37 in unset scalars."""

PREVIOUS_STEP = "_NM"
"""Suffix of a field at the previous step (leapfrog time level n-1)."""

MASKED_AT_TOP = ("TN", "UN", "VN", "TI", "TE", "TN_NM", "UN_NM", "VN_NM")
"""Fields whose highest slot holds no data."""

COMPOSITION = ("O1", "O2", "HE")
"""Major species on file, as mass fractions; the rest is N2. Their highest slot is a real level."""

ON_LEVELS = (*MASKED_AT_TOP, *COMPOSITION, *(name + PREVIOUS_STEP for name in COMPOSITION))
ON_INTERFACES = ("Z", "OMEGA", "NE")
AT_BOTTOM = ("TLBC",)
AXES = ("lon", "lat", "lev", "ilev")
RECORD = ("mtime", "year", "timestep", "p0_model")
REQUIRED = (*AXES, *RECORD, *ON_LEVELS, *ON_INTERFACES, *AT_BOTTOM)
"""Variables without which a file is no primary history, or one of a version before 2.0."""

FEWEST_LEVELS = 4

MOST_CELLS = 2**26
"""Of a field; the finest grid of the model, of 0.625 degrees, has 16 million."""

LONGEST_AXIS = 100_000
"""Values along an axis, records included: a year has 52 560 of 10 min."""


@dataclass(frozen=True, eq=False)
class HistoryHeader:
    """What a primary history holds, without its fields.

    Parameters
    ----------
    path : Path
    version : {"2.0", "3.0"}
        Of the model that wrote the file.
    file_format : str
        Kind of netCDF: "NETCDF3_CLASSIC", "NETCDF4", ...
    level, interface : array (levels,)
        zp = ln(p0/p) of the mid-levels and of the interfaces, lowest first; interface k lies half a step below level k.
    latitude, longitude : array
        Degrees, as in the file.
    step_s : int
        Model step [s].
    times : array (records,) of datetime64[ns]
        Of the records, in the order of the file.
    scalars : dict of name -> array (records,)
        Inputs of the run, in the units of the file: f107d, f107a, hpower [GW], ctpoten [kV], Kp, bzimf, swvel, colfac,
        joulefac, alfac, alfad...; NaN where the model did not use them.
    """

    path: Path
    version: Version
    file_format: str
    level: FloatArray
    interface: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    step_s: int
    times: NDArray[np.datetime64]
    scalars: Mapping[str, FloatArray]

    @property
    def level_step(self) -> float:
        """Step of zp between levels."""
        return float(self.level[1] - self.level[0])

    @property
    def grid(self) -> StateGrid:
        """Levels, latitudes and longitudes as the grid of a state."""
        return StateGrid(self.level, self.latitude, self.longitude)

    @property
    def pressure(self) -> FloatArray:
        """Pressure [Pa] of the mid-levels, (levels,)."""
        return np.asarray(TIEGCM_REFERENCE_PRESSURE * np.exp(-self.level))

    @property
    def interface_pressure(self) -> FloatArray:
        """Pressure [Pa] of the interfaces, (levels,)."""
        return np.asarray(TIEGCM_REFERENCE_PRESSURE * np.exp(-self.interface))

    def index_of(self, time: np.datetime64) -> int:
        """Return the record of a time; ThermodaError where the file has none or several."""
        found = np.flatnonzero(self.times == time.astype("datetime64[ns]"))
        if found.size == 1:
            return int(found[0])
        wanted = np.datetime_as_string(time, unit="s")
        if found.size:
            raise ThermodaError(f"{self.path}: holds the time {wanted} {found.size} times; it must be there once")
        raise ThermodaError(f"{self.path}: has no history of {wanted}; it holds {_listed(self.times)}")


def _listed(times: NDArray[np.datetime64]) -> str:
    shown = [str(np.datetime_as_string(time, unit="s")) for time in times]
    return ", ".join(shown) if len(shown) <= 4 else f"{len(shown)} times from {shown[0]} to {shown[-1]}"


@contextmanager
def opened(path: Path) -> Iterator[Dataset]:
    """Open a history for reading, values as they are on file; ThermodaError where that fails, then or while reading."""
    try:
        if not path.is_file():
            raise ThermodaError(f"{path}: there is no such file; a TIE-GCM primary history is needed")
        check_complete(path)
        check_heaps(path)
        with Dataset(path) as dataset:
            dataset.set_auto_maskandscale(False)
            yield dataset
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ThermodaError(f"{path}: cannot be read as netCDF; it is damaged or something else ({error})") from error


def read_header(path: Path) -> HistoryHeader:
    """Return what a primary history holds.

    Raises
    ------
    ThermodaError
        If the file is absent, damaged or cut short, or is not a primary history of version 2.0 or 3.0: the message
        says what is missing.
    """
    with opened(path) as dataset:
        _refuse_incomplete(path, dataset)
        _check_shapes(path, dataset)
        version = _version(path, dataset)
        level, interface, latitude, longitude = (_axis(path, dataset, name) for name in ("lev", "ilev", "lat", "lon"))
        _check_levels(path, level, interface)
        return HistoryHeader(
            path=path,
            version=version,
            file_format=str(dataset.data_model),
            level=level,
            interface=interface,
            latitude=latitude,
            longitude=longitude,
            step_s=int(dataset["timestep"][...]),
            times=_times(path, dataset),
            scalars=_scalars(dataset),
        )


def _refuse_incomplete(path: Path, dataset: Dataset) -> None:
    """Raise ThermodaError that says which variables a file lacks to be a primary history."""
    missing = [name for name in REQUIRED if name not in dataset.variables]
    kind = str(getattr(dataset, "history_type", "")).strip()
    if missing:
        shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        called = f" but calls itself {kind}" if kind and kind != "primary" else ""
        raise ThermodaError(f"{path}: is not a TIE-GCM primary history{called}: it has no {shown}")
    if kind != "primary":
        raise ThermodaError(f"{path}: its history_type is '{kind}'; it must be 'primary'")
    if not np.array_equal(np.ravel(getattr(dataset, "tuv_lbc_intop", 1)), [0]):
        raise ThermodaError(
            f"{path}: tuv_lbc_intop must be there and 0; otherwise the lower boundary hides in the highest slots"
        )


def _check_shapes(path: Path, dataset: Dataset) -> None:
    for names, dimensions in (
        (ON_LEVELS, ("time", "lev", "lat", "lon")),
        (ON_INTERFACES, ("time", "ilev", "lat", "lon")),
        (AT_BOTTOM, ("time", "lat", "lon")),
        (("mtime",), ("time", "mtimedim")),
        (("year",), ("time",)),
        (("timestep", "p0_model"), ()),
        *(((axis,), (axis,)) for axis in AXES),
    ):
        for name in names:
            if dataset[name].dimensions != dimensions:
                has = ", ".join(dataset[name].dimensions)
                raise ThermodaError(
                    f"{path}: {name} has the dimensions ({has}); it must have ({', '.join(dimensions)})"
                )
            if getattr(dataset[name].dtype, "kind", "") not in "if":
                raise ThermodaError(f"{path}: {name} must hold numbers")
    _refuse_vast(path, dataset)
    pressure = 0.1 * float(dataset["p0_model"][...])
    if not np.isclose(pressure, TIEGCM_REFERENCE_PRESSURE, rtol=1e-6):
        raise ThermodaError(
            f"{path}: its reference pressure p0 is {pressure:g} Pa; it must be {TIEGCM_REFERENCE_PRESSURE:g} Pa"
        )
    if dataset.dimensions["time"].size == 0:
        raise ThermodaError(f"{path}: holds no history; the run that wrote it did not reach its first")


def _refuse_vast(path: Path, dataset: Dataset) -> None:
    """Raise ThermodaError where the axes are longer than any model's; a damaged file may announce what it lacks."""
    sizes = {name: dataset.dimensions[name].size for name in AXES}
    records = dataset.dimensions["time"].size
    if sizes["lev"] * sizes["lat"] * sizes["lon"] > MOST_CELLS or max(*sizes.values(), records) > LONGEST_AXIS:
        shown = ", ".join(f"{name} {size}" for name, size in (("time", records), *sizes.items()))
        raise ThermodaError(f"{path}: announces more than a history holds: {shown}")


def _version(path: Path, dataset: Dataset) -> Version:
    length = dataset.dimensions["mtimedim"].size
    for version, numbers in MTIME_LENGTH.items():
        if length == numbers:
            return version
    raise ThermodaError(f"{path}: mtime has {length} numbers; version 2.0 writes 3 and version 3.0 writes 4")


def _axis(path: Path, dataset: Dataset, name: str) -> FloatArray:
    values = np.asarray(dataset[name][:], dtype=np.float64)
    steps = np.diff(values)
    if values.size < 2 or not (np.all(steps > 0.0) and np.allclose(steps, steps[0], rtol=1e-9)):
        raise ThermodaError(f"{path}: {name} must be two or more values that increase in equal steps")
    return values


def _check_levels(path: Path, level: FloatArray, interface: FloatArray) -> None:
    half_step = 0.5 * (level[1] - level[0])
    if level.size < FEWEST_LEVELS:
        raise ThermodaError(f"{path}: has {level.size} levels; at least {FEWEST_LEVELS} are needed")
    if level.shape != interface.shape or not np.allclose(level - interface, half_step, rtol=0.0, atol=1e-9):
        raise ThermodaError(f"{path}: ilev must lie half a step below lev, level by level")


def _times(path: Path, dataset: Dataset) -> NDArray[np.datetime64]:
    try:
        return np.array(
            [time_of(year, mtime) for year, mtime in zip(dataset["year"][:], dataset["mtime"][:], strict=True)],
            dtype="datetime64[ns]",
        )
    except ThermodaError as error:
        raise ThermodaError(f"{path}: {error}") from error


def _scalars(dataset: Dataset) -> dict[str, FloatArray]:
    return {
        name: np.where(np.abs(variable[:]) < NO_DATA_ABOVE, variable[:], np.nan)
        for name, variable in dataset.variables.items()
        if variable.dimensions == ("time",) and variable.dtype.kind == "f" and name != "time"
    }
