"""Results on disk: CF netCDF, step by step, in a folder that gets its final name only when it is complete.

While a run is under way its folder is called ``<name>.partial``; a run that fails leaves it under that name, so that no
later command takes it for whole.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.atomic_file import replace_text, replacing
from da.errors import ThermodaError
from da.hdf5_heaps import check_heaps
from da.model import StateGrid
from da.moments import EnsembleMoments
from da.restart_file import RestartFolder
from da.run_lock import LOCK_NAME, acquired, holder_of, is_held

FloatArray = NDArray[np.float64]

PARTIAL_SUFFIX = ".partial"
RETIRED_SUFFIX = ".replaced"
RESTART_NAME = "restart"
INTERRUPTIONS_NAME = "interruptions.json"
SPREAD = "_spread"
CHUNK_CACHE = 2**20
"""Bytes kept per variable; every record is written once, and the library's default of 16 MiB adds up."""
CONVENTIONS = "CF-1.11"
PLACES = {"latitude": "latitude", "longitude": "longitude", "altitude": "height_above_reference_ellipsoid"}
"""CF standard names of the places of observations by the names of their variables."""
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
        "kg m-3", "total mass density on the data grid", "air_density", ("data_alt", "data_lat", "data_lon")
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


def record_of(file: Dataset, time: np.datetime64) -> int:
    """Return the number of the record of a time: that which it has already, or the next one; times only increase."""
    known = np.asarray(file.variables["time"][:], dtype=np.float64)
    return int(np.searchsorted(known, seconds_since_epoch(time)))


def require_records(path: Path, count: int) -> None:
    """Raise ThermodaError where a file is not there or has fewer records than a restart point says."""
    try:
        check_heaps(path)
        with Dataset(path) as file:
            found = len(file.dimensions["time"])
    except (OSError, RuntimeError, KeyError) as error:
        raise ThermodaError(f"{path}: cannot be gone on with ({error}); begin anew with run --overwrite") from error
    if found < count:
        raise ThermodaError(
            f"{path}: has {found} records, the restart point was written after {count}; begin anew with run --overwrite"
        )


class EnsembleFile:
    """One netCDF file of ensemble means and spreads, a record per time, flushed after each.

    A record of a time that is there already is written anew, as a run that is resumed does.

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
        altitude = {"units": "km", "standard_name": PLACES["altitude"], "positive": "up"}
        _write_axis(self._file, "data_alt", axes.altitude_km, altitude | {"long_name": "altitude of the data grid"})
        _write_axis(self._file, "data_lat", axes.latitude, latitude | {"long_name": "latitude of the data grid"})
        _write_axis(self._file, "data_lon", axes.longitude, longitude | {"long_name": "longitude of the data grid"})
        for name in fields:
            self._create(name, "", STORED_FIELDS[name])
            if name != "height":
                self._create(f"{name}{SPREAD}", " (ensemble standard deviation)", STORED_FIELDS[name])

    @classmethod
    def reopened(cls, path: Path) -> EnsembleFile:
        """Return a file that was closed, for more records; OSError where it cannot be opened."""
        file = cls.__new__(cls)
        file._file = Dataset(path, "r+")
        return file

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
        if stored.units == "K":
            # Else a program that converts units could not tell a temperature from a standard deviation of one.
            variable.units_metadata = f"temperature: {'difference' if suffix else 'on_scale'}"

    def append(self, time: np.datetime64, moments: Mapping[str, EnsembleMoments]) -> None:
        """Write the record of one time."""
        record = record_of(self._file, time)
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
    if can_be_resumed(final) and not overwrite:
        if is_held(partial):
            raise ThermodaError(f"{partial}: another run is writing there ({holder_of(partial)}); wait for it")
        raise ThermodaError(
            f"{partial}: is an unfinished run; go on with python -m da resume {shlex.quote(str(final))}, or begin "
            "anew with --overwrite"
        )
    if retired.exists():
        raise ThermodaError(f"{retired}: was left while a run was replaced; remove it or give it another name")


def under_way(final: Path) -> bool:
    """Return whether another process is writing the run of this folder now."""
    return is_held(partial_path(final))


def can_be_resumed(final: Path) -> bool:
    """Return whether there is an unfinished run of this folder with a restart point."""
    return bool(RestartFolder(partial_path(final) / RESTART_NAME).points())


class RunFolder:
    """The folder of a run, under its partial name until :meth:`complete`; used on rank 0 only.

    A lock that ends with the process tells a run under way from what an unfinished one left; the latter is removed, or
    continued.

    Parameters
    ----------
    final : Path
        Name of the complete run.
    overwrite : bool
        Replace an earlier run of that name when this one is complete, and what an unfinished one left at once.
    continued : bool
        Go on with what an unfinished run left. It replaces an earlier run: none would have been begun beside one.

    Raises
    ------
    ThermodaError
        If a run of that name exists and may not be replaced, another run is under way there, something else has one of
        the names, or the folder cannot be created.
    """

    def __init__(self, final: Path, overwrite: bool, continued: bool = False) -> None:
        self.final, self.path = final, partial_path(final)
        if not continued:
            refuse_occupied(final, overwrite)
        try:
            if self.path.exists() and not continued:
                with acquired(self.path):
                    shutil.rmtree(self.path)
            self.path.mkdir(parents=True, exist_ok=continued)
            self._lock = acquired(self.path)
        except OSError as error:
            raise ThermodaError(f"{self.path}: cannot be created ({error.strerror})") from error

    @property
    def restart(self) -> RestartFolder:
        """Where the restart points are."""
        return RestartFolder(self.path / RESTART_NAME)

    def write_text(self, name: str, text: str) -> None:
        """Write a small file, which appears at once and complete."""
        replace_text(self.path / name, text)

    def close(self) -> None:
        """Release the lock, whether the run is complete or not."""
        self._lock.close()

    def complete(self, provenance: Mapping[str, Any]) -> None:
        """Write the provenance, give the folder its final name, and remove what only a resumed run needs."""
        self.write_text("provenance.json", json.dumps({**provenance, "complete": True}, indent=2) + "\n")
        (self.path / LOCK_NAME).unlink()
        if self.final.exists():
            retired = self.final.with_name(self.final.name + RETIRED_SUFFIX)
            self.final.replace(retired)
            self.path.replace(self.final)
            shutil.rmtree(retired)
        else:
            self.path.replace(self.final)
        # Not before: a run that is killed here must have its restart points or its final name.
        shutil.rmtree(self.final / RESTART_NAME, ignore_errors=True)
        (self.final / INTERRUPTIONS_NAME).unlink(missing_ok=True)


def write_table(
    path: Path, columns: Mapping[str, tuple[NDArray[Any], str, str]], attributes: Mapping[str, Any]
) -> None:
    """Write columns along time as CF netCDF.

    Parameters
    ----------
    path : Path
    columns : dict of name -> (values, units, long name)
        ``time`` (datetime64[ns], its units are ignored) is the coordinate; those of :data:`PLACES` are the places of
        the other ones.
    attributes : dict
    """
    time = columns["time"][0]
    variables = {
        name: ("time", values, {"units": units, "long_name": long_name})
        for name, (values, units, long_name) in columns.items()
        if name != "time"
    }
    for name in variables.keys() & PLACES.keys():
        variables[name][2]["standard_name"] = PLACES[name]
    data = xr.Dataset(
        variables,
        coords={"time": ("time", time, {"standard_name": "time", "long_name": "time (UTC)"})},
        attrs={"Conventions": CONVENTIONS, **attributes},
    ).set_coords([name for name in PLACES if name in variables])
    encoding: dict[str, Any] = {str(name): {"_FillValue": None} for name in data.variables}
    encoding["time"] |= {"units": TIME_UNITS, "dtype": "f8"}
    with replacing(path) as partial:
        data.to_netcdf(partial, encoding=encoding)
