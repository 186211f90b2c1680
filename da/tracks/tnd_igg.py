"""Reader of TND-IGG RL01: densities of CHAMP, GRACE-A and Swarm-C by the University of Bonn, monthly netCDF.

Vielberg et al. (2021), doi:10.1594/PANGAEA.931347; files are called like ``champTNDIGGRL01201004.nc``, one record per
10 s. No such file was at hand. The layout follows the reader that the same institute publishes in its coupling of
TIE-GCM to PDAF (doi:10.5281/zenodo.23103186): ``time`` (with units like ``seconds since ...``, GPS time), ``density``,
``lat`` (geodetic), ``lon``, ``alt``, all along one dimension, NaN where unknown; and a group ``gap`` of the flags
``accelerometer``, ``orbit`` and ``starcamera``, not zero where that instrument has a gap. Records with any flag are
left out, as there.

Not known from there: the units in the file. The attribute ``units`` decides where it stands; where it is missing,
degrees, m (in which the institute's reader uses the altitude) and kg m-3 are assumed, and this is logged. Also accepted
are the longer names in `VARIABLE_NAMES`.
"""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from da.classic_netcdf import check_complete_content
from da.errors import ThermodaError
from da.hdf5_heaps import check_heaps_of_content
from da.tracks.content import Content
from da.tracks.gps_time import GPS_EPOCH, TimeScale, gps_to_utc
from da.tracks.records import RawRecords, clean_track
from da.tracks.track import DensityTrack, FloatArray, TimeArray
from da.tracks.units import degrees_per, kg_m3_per, km_per

VARIABLE_NAMES = {
    "time": ("time",),
    "density": ("density",),
    "latitude": ("lat", "latitude"),
    "longitude": ("lon", "longitude"),
    "altitude": ("alt", "altitude"),
}
GAP_GROUP = "gap"
GAP_FLAGS = ("accelerometer", "orbit", "starcamera")
DEFAULT_UNITS = {"latitude": "deg", "longitude": "deg", "altitude": "m", "density": "kg/m3"}

MOST_RECORDS = 4_000_000
"""A year has 3.2 million records of 10 s; a damaged file may announce any number, without holding them."""

_MAGIC = (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05")
_TIME_UNITS = re.compile(
    r"\s*(\w+)\s+since\s+(\d{4}-\d{1,2}-\d{1,2})(?:[T\s]+(\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?))?"
)
_SECONDS = {"second": 1.0, "sec": 1.0, "s": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0, "day": 86400.0}
_UNREADABLE = (OSError, RuntimeError, ValueError)
_logger = logging.getLogger(__name__)


def is_netcdf(data: bytes) -> bool:
    """Tell whether bytes start as a netCDF file (classic or HDF5) does."""
    return data.startswith(_MAGIC)


def read_tnd_igg(content: Content, satellite: str, time_scale: TimeScale = "GPS") -> DensityTrack:
    """Read a monthly TND-IGG file.

    Parameters
    ----------
    content : Content
        The file.
    satellite : str
        Name of the satellite.
    time_scale : {"GPS", "UTC"}
        Scale of the file's times.

    Returns
    -------
    DensityTrack
        Geodetic, without ``sigma``.

    Raises
    ------
    ThermodaError
        If the file is malformed, lacks a variable or has another unit, or has no valid record.
    """
    check_complete_content(content.data, content.name)
    check_heaps_of_content(content.data, content.name)
    try:
        with netCDF4.Dataset("inmemory.nc", memory=content.data) as dataset:
            variables = {role: _variable(dataset, role, content.name) for role in VARIABLE_NAMES}
            values = {role: _values(variable, content.name) for role, variable in variables.items()}
            units = {role: _unit(variable, role, content.name) for role, variable in variables.items()}
            flagged = _gaps(dataset, values["time"].size, content.name)
    except _UNREADABLE as error:
        raise ThermodaError(f"{content.name}: corrupt or unreadable netCDF file ({error})") from error
    lengths = {role: array.shape for role, array in values.items()}
    if len(set(lengths.values())) != 1 or values["time"].ndim != 1:
        raise ThermodaError(f"{content.name}: variables differ in shape or are no series ({lengths})")
    records = RawRecords(
        time=_utc(values["time"], units["time"], time_scale, content.name),
        latitude=values["latitude"] * degrees_per(units["latitude"], f"{content.name}, latitude"),
        longitude=values["longitude"] * degrees_per(units["longitude"], f"{content.name}, longitude"),
        altitude_km=values["altitude"] * km_per(units["altitude"], f"{content.name}, altitude"),
        density=values["density"] * kg_m3_per(units["density"], f"{content.name}, density"),
        flagged=flagged,
    )
    return clean_track(records, satellite, content.name)


def _variable(dataset: Any, role: str, name: str) -> Any:
    for candidate in VARIABLE_NAMES[role]:
        if candidate in dataset.variables:
            return dataset.variables[candidate]
    expected = " or ".join(VARIABLE_NAMES[role])
    present = ", ".join(dataset.variables) or "none"
    raise ThermodaError(f"{name}: no variable {expected} for the {role}; it has {present}")


def _values(variable: Any, name: str) -> FloatArray:
    if getattr(variable.dtype, "kind", "") not in "iuf":
        raise ThermodaError(f"{name}: variable {variable.name} must hold numbers")
    chunks = variable.chunking() or "contiguous"
    chunk = 1 if chunks == "contiguous" else math.prod(chunks)
    if max(variable.size, chunk) > MOST_RECORDS:
        raise ThermodaError(
            f"{name}: variable {variable.name} announces {variable.size} values in blocks of {chunk}; "
            f"at most {MOST_RECORDS} records are read"
        )
    filled: FloatArray = np.ma.filled(np.ma.asarray(variable[...]).astype(np.float64), np.nan)
    return filled


def _unit(variable: Any, role: str, name: str) -> str:
    if "units" in variable.ncattrs():
        return str(variable.getncattr("units"))
    if role == "time":
        raise ThermodaError(f"{name}: variable {variable.name} has no attribute units, expected '... since ...'")
    _logger.warning("%s: %s has no attribute units, %s is assumed", name, variable.name, DEFAULT_UNITS[role])
    return DEFAULT_UNITS[role]


def _gaps(dataset: Any, size: int, name: str) -> NDArray[np.bool_]:
    """Return which records an instrument's gap flag marks; a file without the group marks none."""
    flagged = np.zeros(size, dtype=bool)
    if GAP_GROUP not in dataset.groups:
        return flagged
    group = dataset.groups[GAP_GROUP]
    for flag in GAP_FLAGS:
        if flag not in group.variables:
            raise ThermodaError(f"{name}: group {GAP_GROUP} has no variable {flag}")
        values = _values(group.variables[flag], name)
        if values.shape != flagged.shape:
            raise ThermodaError(f"{name}: gap flag {flag} has shape {values.shape}, expected {flagged.shape}")
        flagged |= values != 0
    return flagged


def _utc(values: FloatArray, units: str, time_scale: TimeScale, name: str) -> TimeArray:
    match = _TIME_UNITS.match(units)
    step = _SECONDS.get(match.group(1).lower().removesuffix("s") or "s") if match else None
    if match is None or step is None:
        raise ThermodaError(f"{name}: units of time are '{units}', expected like 'seconds since 2010-04-01 00:00:00'")
    reference = _reference(match, units, name)
    with np.errstate(over="ignore", invalid="ignore"):
        milliseconds = values * (step * 1e3)
        # Beyond +-9.2e12 ms (292 years) from 1970 datetime64[ns] overflows; such values are no times.
        usable = np.abs(milliseconds + float(reference.astype(np.int64))) < 9e12
    time = np.full(values.shape, np.datetime64("NaT"), dtype="datetime64[ns]")
    # Whole milliseconds: days as floats are good to a microsecond only, and the product has one record per 10 s.
    elapsed = np.rint(milliseconds[usable]).astype(np.int64).astype("timedelta64[ms]")
    time[usable] = reference + elapsed
    if time_scale == "GPS":
        convertible = time >= GPS_EPOCH
        time[~convertible] = np.datetime64("NaT")
        time[convertible] = gps_to_utc(time[convertible])
    return time


def _reference(match: re.Match[str], units: str, name: str) -> np.datetime64:
    date = "-".join(f"{int(part):02d}" for part in match.group(2).split("-"))
    clock = (match.group(3) or "0:0:0").split(":")
    padded = ":".join(part.rjust(2, "0") for part in clock[:2])
    seconds = float(clock[2]) if len(clock) > 2 else 0.0
    try:
        return np.datetime64(f"{date}T{padded}", "ms") + np.timedelta64(round(seconds * 1000), "ms")
    except ValueError as error:
        raise ThermodaError(f"{name}: units of time are '{units}', whose date is not valid") from error
