"""The history files of the stand-in for TIE-GCM: what it reads of a source, and what it writes, in either version."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import netCDF4
import numpy as np
from faults import ShutdownError
from law import FIELDS, Fields
from numpy.typing import NDArray

DAY_S = 86_400
LAW_FIELDS = tuple(name + suffix for name in FIELDS for suffix in ("", "_NM"))
NOTE = "written by a stand-in for tests: this is not TIE-GCM"
KINDS: dict[str, Any] = {"2.0": "NETCDF3_CLASSIC", "3.0": "NETCDF4"}
HEADER_INDICES = {
    "f107d": "f107_sfu",
    "f107a": "f107a_sfu",
    "hpower": "power_gw",
    "ctpoten": "potential_kv",
    "joulefac": "joule_factor",
}


class Snapshot:
    """One time of a history: every variable as it stands in the file.

    Parameters
    ----------
    dataset : netCDF4.Dataset
    index : int
        Of the time.
    """

    def __init__(self, dataset: Any, index: int) -> None:
        self.dimensions = {name: None if one.isunlimited() else one.size for name, one in dataset.dimensions.items()}
        self.attributes = {name: dataset.getncattr(name) for name in dataset.ncattrs()}
        self.schema: dict[str, tuple[Any, tuple[str, ...], dict[str, Any]]] = {}
        self.values: dict[str, NDArray[Any]] = {}
        for name, variable in dataset.variables.items():
            attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
            self.schema[name] = (variable.dtype, variable.dimensions, attributes)
            timed = "time" in variable.dimensions
            self.values[name] = np.asarray(variable[index] if timed else variable[...])

    @property
    def fields(self) -> Fields:
        """Fields that the law moves, by name."""
        return {name: np.asarray(self.values[name], np.float64) for name in LAW_FIELDS}

    @property
    def level(self) -> NDArray[np.float64]:
        """z of the mid-levels."""
        return np.asarray(self.values["lev"], np.float64)


def opened(path: Path, mode: Literal["r", "r+"] = "r") -> Any:
    """Return an open dataset that hands out what stands in the file."""
    try:
        dataset = netCDF4.Dataset(path, mode)
    except OSError as error:
        raise ShutdownError(f"Error from netcdf library: cannot open {path}: {error}") from error
    dataset.set_auto_maskandscale(False)
    return dataset


def find_time(dataset: Any, wanted: tuple[int, ...]) -> int:
    """Return the index of a model time (day, hour, minute[, second]); by mtime alone, as the model looks for it."""
    times = np.asarray(dataset["mtime"][:])
    padded = np.zeros((len(times), 4), int)
    padded[:, : times.shape[1]] = times
    target = np.array([*wanted, 0][:4])
    found = np.flatnonzero((padded == target).all(axis=1))
    if not found.size:
        raise ShutdownError(f"nc_rdhist: history {' '.join(map(str, wanted))} not found")
    return int(found[0])


def model_time(time_s: int, year: int) -> tuple[int, int, tuple[int, int, int, int]]:
    """Return year, day of the year and (day, hour, minute, second), day 1 following the last of a year."""
    day, rest = divmod(time_s, DAY_S)
    days = 366 if calendar.isleap(year) else 365
    if day > days:
        year, day = year + 1, day - days
    return year, day, (day, rest // 3600, rest % 3600 // 60, rest % 60)


def create(path: Path, version: str, snapshot: Snapshot, start_s: int, year: int) -> Any:
    """Return a new, empty history with the variables of a snapshot, in the form of a version."""
    dataset = netCDF4.Dataset(path, "w", format=KINDS[version])
    dataset.set_fill_off()
    dataset.set_auto_maskandscale(False)
    sizes = {**snapshot.dimensions, "mtimedim": 3 if version == "2.0" else 4}
    for name, size in sizes.items():
        dataset.createDimension(name, size)
    for name, (dtype, dimensions, attributes) in snapshot.schema.items():
        variable = dataset.createVariable(name, dtype, dimensions, fill_value=False)
        variable.setncatts({**attributes, **(_time_attributes(version, start_s, year) if name == "time" else {})})
        if "time" not in dimensions:
            variable[...] = snapshot.values[name]
    dataset.setncatts({**snapshot.attributes, "history_type": "primary", "stand_in": NOTE})
    return dataset


def _time_attributes(version: str, start_s: int, year: int) -> dict[str, Any]:
    origin = datetime(year, 1, 1, tzinfo=UTC) + timedelta(seconds=start_s - DAY_S)
    unit, width = ("minutes", 3) if version == "2.0" else ("seconds", 4)
    day, clock = start_s // DAY_S, (origin.hour, origin.minute, origin.second)
    return {
        "units": f"{unit} since {origin.year}-{origin.month}-{origin.day} {clock[0]}:{clock[1]}:{clock[2]}",
        "initial_year": np.int32(year),
        "initial_day": np.int32(day),
        "initial_mtime": np.array([day, *clock][:width], np.int32),
    }


def append(
    dataset: Any, version: str, snapshot: Snapshot, fields: Fields, time_s: int, year: int, header: dict[str, float]
) -> None:
    """Write one history behind the last one.

    Parameters
    ----------
    snapshot : Snapshot
        What is copied: all that the law does not move.
    fields : mapping
        What the law moves, and whatever else is to differ from the snapshot.
    time_s, year : int
        Seconds since the begin of day 0 of the year in which the run started.
    header : mapping
        Scalars of the time, by variable.
    """
    index = dataset.dimensions["time"].size
    start = dataset["time"]
    since_s = time_s - (int(start.initial_day) * DAY_S + int(np.dot([3600, 60, 1], _clock(start.initial_mtime))))
    since_s += _days_between(int(start.initial_year), year) * DAY_S
    actual_year, day, mtime = model_time(time_s, year)
    timed = {
        "mtime": mtime[: dataset.dimensions["mtimedim"].size],
        "time": since_s / (60.0 if version == "2.0" else 1.0),
        "year": actual_year,
        "day": day,
        "ut": (time_s % DAY_S) / 3600.0,
        **header,
        **fields,
    }
    for name, (_, dimensions, _) in snapshot.schema.items():
        if "time" in dimensions:
            dataset[name][index] = timed.get(name, snapshot.values[name])
        elif name in header:
            dataset[name][...] = header[name]
    dataset.nhist = np.int32(index + 1)


def _clock(mtime: Any) -> list[int]:
    return ([int(one) for one in np.atleast_1d(mtime)] + [0])[1:4]


def _days_between(first: int, last: int) -> int:
    return (datetime(last, 1, 1, tzinfo=UTC) - datetime(first, 1, 1, tzinfo=UTC)).days


def append_secondary(
    dataset: Any, version: str, snapshot: Snapshot, fields: Fields, time_s: int, year: int, names: list[str], kind: str
) -> None:
    """Write one secondary history: the fields asked for as far as the stand-in has them, and always TN, O1, O2, Z."""
    values = {**snapshot.values, **fields}
    values["N2"] = 1.0 - values["O1"] - values["O2"] - values["HE"]
    values["DEN"] = _density(values)
    asked = [name for name in dict.fromkeys(["TN", "O2", "O1", "Z", *names]) if name in values]
    for name in asked:
        if name not in dataset.variables:
            levels = "ilev" if name == "DEN" else "lev"
            dimensions = snapshot.schema[name][1] if name in snapshot.schema else ("time", levels, "lat", "lon")
            dataset.createVariable(name, kind, dimensions, fill_value=False)
    index = dataset.dimensions["time"].size
    actual_year, day, mtime = model_time(time_s, year)
    dataset["mtime"][index] = mtime[: dataset.dimensions["mtimedim"].size]
    dataset["time"][index] = float(time_s) / (60.0 if version == "2.0" else 1.0)
    dataset["year"][index], dataset["day"][index] = actual_year, day
    for name in asked:
        dataset[name][index] = values[name]


def _density(values: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return DEN [g cm-3] at the interfaces, with the model's too large value at the top one."""
    mean = 1.0 / (values["O2"] / 32 + values["O1"] / 16 + values["HE"] / 4 + values["N2"] / 28)
    mass = np.concatenate([1.5 * mean[:1] - 0.5 * mean[1:2], 0.5 * (mean[1:] + mean[:-1])])
    temperature = np.concatenate(
        [values["TLBC"][None], 0.5 * (values["TN"][1:-1] + values["TN"][:-2]), values["TN"][-2:-1]]
    )
    pressure = 5e-4 * np.exp(-np.asarray(values["ilev"], np.float64))[:, None, None]
    density = pressure * mass / (8.314e7 * temperature)
    density[-1] *= np.exp(0.5)
    return np.asarray(density)


def create_secondary(path: Path, version: str, snapshot: Snapshot, start_s: int, year: int) -> Any:
    """Return a new secondary history without fields."""
    dataset = netCDF4.Dataset(path, "w", format=KINDS[version])
    dataset.set_fill_off()
    dataset.set_auto_maskandscale(False)
    for name, size in {**snapshot.dimensions, "mtimedim": 3 if version == "2.0" else 4}.items():
        dataset.createDimension(name, size)
    for name in ("time", "lon", "lat", "lev", "ilev", "mtime", "year", "day", "p0", "p0_model"):
        dtype, dimensions, attributes = snapshot.schema[name]
        variable = dataset.createVariable(name, dtype, dimensions, fill_value=False)
        variable.setncatts(attributes)
        if "time" not in dimensions:
            variable[...] = snapshot.values[name]
    origin = datetime(year, 1, 1, tzinfo=UTC) - timedelta(days=1)
    unit = "minutes" if version == "2.0" else "seconds"
    dataset["time"].units = f"{unit} since {origin.year}-{origin.month}-{origin.day} 0:0:0"
    dataset.setncatts({**snapshot.attributes, "history_type": "secondary", "stand_in": NOTE})
    return dataset
