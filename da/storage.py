"""Results on disk: CF netCDF, step by step, in a folder that gets its final name only when it is complete.

While a run is under way its folder is called ``<name>.partial``; a run that fails leaves it under that name, so that no
later command takes it for whole.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import xarray as xr
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.model import StateGrid
from da.moments import EnsembleMoments

FloatArray = NDArray[np.float64]

PARTIAL_SUFFIX = ".partial"
RETIRED_SUFFIX = ".replaced"
LOCK_NAME = "lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""How file systems without locks, such as some of clusters, answer."""
SPREAD = "_spread"
CHUNK_CACHE = 2**20
"""Bytes kept per variable; every record is written once, and the library's default of 16 MiB adds up."""
CONVENTIONS = "CF-1.11"
TIME_UNITS = "seconds since 1970-01-01 00:00:00"
SIGNIFICANT_DIGITS = {"mean": 5, "height": 6, "spread": 3}
"""Digits kept: errors of at most 5e-5 in means and 5e-3 in spreads, far below what they mean. zlib needs no plug-in to
read, and with the bytes shuffled it halves what is left."""


@dataclass(frozen=True)
class StoredField:
    """How one quantity appears in a file.

    Parameters
    ----------
    units, long_name : str
    standard_name : str
        From the CF table, or empty.
    dimensions : tuple of str
        Without time.
    """

    units: str
    long_name: str
    standard_name: str = ""
    dimensions: tuple[str, ...] = ("level", "lat", "lon")


STORED_FIELDS = {
    "density": StoredField("kg m-3", "mass density of O, O2, He and N2"),
    "height": StoredField("m", "geometric height of the mid-levels", "height_above_reference_ellipsoid"),
    "temperature": StoredField("K", "neutral temperature", "air_temperature"),
    "mass_fraction_O": StoredField("1", "mass fraction of atomic oxygen"),
    "mass_fraction_O2": StoredField("1", "mass fraction of molecular oxygen"),
    "mass_fraction_He": StoredField("1", "mass fraction of helium"),
    "data_grid_density": StoredField(
        "kg m-3", "total mass density on the data grid", "air_density", ("altitude", "data_lat", "data_lon")
    ),
}


@dataclass(frozen=True)
class OutputAxes:
    """Coordinates of the stored fields.

    Parameters
    ----------
    state : StateGrid
    altitude_km, latitude, longitude : array
        Of the data grid.
    """

    state: StateGrid
    altitude_km: FloatArray
    latitude: FloatArray
    longitude: FloatArray


def _write_axis(file: Dataset, name: str, values: FloatArray, attributes: Mapping[str, str]) -> None:
    file.createDimension(name, values.size)
    variable = file.createVariable(name, "f8", (name,))
    variable[:] = values
    variable.setncatts(dict(attributes))


def write_time(file: Dataset) -> None:
    """Create the dimension and the coordinate of time, to be filled record by record."""
    file.createDimension("time", None)
    variable = file.createVariable("time", "f8", ("time",))
    variable.setncatts(
        {"units": TIME_UNITS, "calendar": "standard", "standard_name": "time", "axis": "T", "long_name": "time (UTC)"}
    )


def seconds_since_epoch(time: np.datetime64) -> float:
    """Return a time in the units of the files."""
    return float((time - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "s"))


class EnsembleFile:
    """One netCDF file of ensemble means and spreads, a record per time, flushed after each.

    Parameters
    ----------
    path : Path
    axes : OutputAxes
    fields : tuple of str
        Keys of :data:`STORED_FIELDS`.
    attributes : dict
        Global attributes.
    """

    def __init__(self, path: Path, axes: OutputAxes, fields: tuple[str, ...], attributes: Mapping[str, Any]) -> None:
        self._file = Dataset(path, "w", format="NETCDF4")
        self._file.setncatts({"Conventions": CONVENTIONS, **attributes})
        write_time(self._file)
        grid = axes.state
        _write_axis(
            self._file,
            "level",
            grid.level,
            {"units": "1", "axis": "Z", "positive": "up", "long_name": "zp = ln(p0/p) of the mid-levels, p0 = 5e-5 Pa"},
        )
        latitude = {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude"}
        longitude = {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude"}
        _write_axis(self._file, "lat", grid.latitude, latitude | {"axis": "Y"})
        _write_axis(self._file, "lon", grid.longitude, longitude | {"axis": "X"})
        altitude = {"units": "km", "standard_name": "height_above_reference_ellipsoid", "positive": "up"}
        _write_axis(self._file, "altitude", axes.altitude_km, altitude | {"long_name": "altitude of the data grid"})
        _write_axis(self._file, "data_lat", axes.latitude, latitude | {"long_name": "latitude of the data grid"})
        _write_axis(self._file, "data_lon", axes.longitude, longitude | {"long_name": "longitude of the data grid"})
        for name in fields:
            self._create(name, "", STORED_FIELDS[name])
            if name != "height":
                self._create(f"{name}{SPREAD}", " (ensemble standard deviation)", STORED_FIELDS[name])

    def _create(self, name: str, suffix: str, stored: StoredField) -> None:
        digits = SIGNIFICANT_DIGITS["spread" if suffix else "height" if name == "height" else "mean"]
        variable = self._file.createVariable(
            name,
            "f4",
            ("time", *stored.dimensions),
            compression="zlib",
            complevel=1,
            chunksizes=(1, *(len(self._file.dimensions[axis]) for axis in stored.dimensions)),
            quantize_mode="GranularBitRound",
            significant_digits=digits,
            chunk_cache=CHUNK_CACHE,
        )
        kind = suffix or " (ensemble mean)"
        variable.setncatts({"units": stored.units, "long_name": stored.long_name + kind, "cell_methods": "time: point"})
        if stored.standard_name and not suffix:
            variable.standard_name = stored.standard_name

    def append(self, time: np.datetime64, moments: Mapping[str, EnsembleMoments]) -> None:
        """Write the record of one time."""
        record = len(self._file.dimensions["time"])
        for name, field in moments.items():
            self._file.variables[name][record] = field.mean
            if name != "height":
                self._file.variables[f"{name}{SPREAD}"][record] = field.spread
        self._file.variables["time"][record] = seconds_since_epoch(time)
        self._file.sync()

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file.isopen():
            self._file.close()


def partial_path(final: Path) -> Path:
    """Return the name that the folder of a run has while it is under way."""
    return final.with_name(final.name + PARTIAL_SUFFIX)


def refuse_occupied(final: Path, overwrite: bool) -> None:
    """Raise ThermodaError where the folder of a run cannot be written or may not be replaced; changes nothing."""
    partial, retired = partial_path(final), final.with_name(final.name + RETIRED_SUFFIX)
    if final.exists() and not overwrite:
        raise ThermodaError(f"{final}: exists already; choose another experiment.output_folder or add --overwrite")
    if final.exists() and not (final / "provenance.json").is_file():
        raise ThermodaError(f"{final}: is not the folder of a run and is not overwritten; choose another folder")
    if partial.exists() and not any((partial / name).is_file() for name in ("experiment.yaml", LOCK_NAME)):
        raise ThermodaError(f"{partial}: exists and is not an unfinished run; remove it or choose another folder")
    if retired.exists():
        raise ThermodaError(f"{retired}: was left while a run was replaced; remove it or give it another name")


def _locked(partial: Path) -> TextIO:
    """Return the open lock file of an unfinished run; ThermodaError where another process holds it."""
    lock = (partial / LOCK_NAME).open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ThermodaError(
            f"{partial}: another run is writing there; wait for it or choose another experiment.output_folder"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        logging.getLogger(__name__).warning("%s: files cannot be locked here; start no second run into it", partial)
    return lock


class RunFolder:
    """The folder of a run, under its partial name until :meth:`complete`; used on rank 0 only.

    A lock that ends with the process tells a run under way from what an unfinished one left; the latter is removed.

    Parameters
    ----------
    final : Path
        Name of the complete run.
    overwrite : bool
        Replace an earlier run of that name when this one is complete.

    Raises
    ------
    ThermodaError
        If a run of that name exists and may not be replaced, another run is under way there, something else has one of
        the names, or the folder cannot be created.
    """

    def __init__(self, final: Path, overwrite: bool) -> None:
        refuse_occupied(final, overwrite)
        self.final, self.path = final, partial_path(final)
        try:
            if self.path.exists():
                with _locked(self.path):
                    shutil.rmtree(self.path)
            self.path.mkdir(parents=True)
            self._lock = _locked(self.path)
        except OSError as error:
            raise ThermodaError(f"{self.path}: cannot be created ({error.strerror})") from error

    def write_text(self, name: str, text: str) -> None:
        """Write a small file."""
        (self.path / name).write_text(text, encoding="utf-8")

    def close(self) -> None:
        """Release the lock, whether the run is complete or not."""
        self._lock.close()

    def complete(self, provenance: Mapping[str, Any]) -> None:
        """Write the provenance and give the folder its final name."""
        self.write_text("provenance.json", json.dumps({**provenance, "complete": True}, indent=2) + "\n")
        (self.path / LOCK_NAME).unlink()
        if self.final.exists():
            retired = self.final.with_name(self.final.name + RETIRED_SUFFIX)
            self.final.replace(retired)
            self.path.replace(self.final)
            shutil.rmtree(retired)
        else:
            self.path.replace(self.final)


def write_table(
    path: Path, columns: Mapping[str, tuple[NDArray[Any], str, str]], attributes: Mapping[str, Any]
) -> None:
    """Write columns along time as CF netCDF.

    Parameters
    ----------
    path : Path
    columns : dict of name -> (values, units, long name)
        ``time`` (datetime64[ns], its units are ignored) is the coordinate.
    attributes : dict
    """
    time = columns["time"][0]
    data = xr.Dataset(
        {
            name: ("time", values, {"units": units, "long_name": long_name})
            for name, (values, units, long_name) in columns.items()
            if name != "time"
        },
        coords={"time": ("time", time, {"standard_name": "time", "long_name": "time (UTC)"})},
        attrs={"Conventions": CONVENTIONS, **attributes},
    )
    encoding: dict[str, Any] = {str(name): {"_FillValue": None} for name in data.variables}
    encoding["time"] |= {"units": TIME_UNITS, "dtype": "f8"}
    data.to_netcdf(path, encoding=encoding)
