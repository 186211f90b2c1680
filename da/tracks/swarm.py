"""Reader of density in the Common Data Format: ESA's Swarm ``DNSxACC_2_`` and its siblings for CHAMP and GRACE.

Variables (Swarm product handbook; product definition SW-TN-DUT-GS-129_01 for CHAMP, GRACE and GRACE-FO): ``time``
(CDF_EPOCH, UTC), ``density``, ``altitude``, ``latitude``, ``longitude``, and in the newer products ``validity_flag``
(0 nominal, 1 anomalous). Units and fill values are taken from the variables' attributes ``UNITS`` and ``FILLVAL``, the
time system from the file's attribute ``TIME SYSTEM`` (UTC, as documented, where that is missing). Latitudes are
geodetic (GRS80) unless a description says otherwise.

The Swarm form was read from real files of Swarm-C; that of CHAMP, GRACE and GRACE-FO follows the published list of
variables only.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.tracks.cdf_structure import checked_cdf
from da.tracks.content import SIZE_LIMIT, Content
from da.tracks.gps_time import GPS_EPOCH, gps_to_utc
from da.tracks.records import RawRecords, clean_track
from da.tracks.track import DensityTrack, FloatArray, TimeArray
from da.tracks.units import degrees_per, kg_m3_per, km_per

_MAGIC = (b"\xcd\xf3\x00\x01", b"\xcd\xf2\x60\x02", b"\x00\x00\xff\xff\x00\x00\xff\xff")
_NEEDED = ("time", "density", "altitude", "latitude", "longitude")
_EPOCH_TYPE = "CDF_EPOCH"

# CDF_EPOCH counts ms from 0000-01-01 in the proleptic Gregorian calendar: 719528 days before 1970-01-01.
_UNIX_EPOCH_MS = 719_528 * 86_400_000

# What the CDF library was seen to raise for damaged files; it has no error type of its own.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


def is_cdf(data: bytes) -> bool:
    """Tell whether bytes start as a Common Data Format file does."""
    return data.startswith(_MAGIC)


def read_swarm(content: Content, satellite: str) -> DensityTrack:
    """Read a density file in the Common Data Format.

    Parameters
    ----------
    content : Content
        The file.
    satellite : str
        Name of the satellite.

    Returns
    -------
    DensityTrack
        Without ``sigma``.

    Raises
    ------
    ThermodaError
        If the file is malformed, lacks a variable or has another unit, or has no valid record.
    """
    values, attributes, file_attributes = _load(content)
    lengths = {name: len(array) for name, array in values.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ThermodaError(f"{content.name}: variables differ in their number of records ({listed})")
    floats = {name: _filled(values[name], attributes[name], f"{content.name}, {name}") for name in _NEEDED}
    units = {name: _unit(attributes[name], f"{content.name}, {name}") for name in _NEEDED[1:]}
    records = RawRecords(
        time=_utc(floats["time"], file_attributes, content.name),
        latitude=floats["latitude"] * degrees_per(units["latitude"], f"{content.name}, latitude"),
        longitude=floats["longitude"] * degrees_per(units["longitude"], f"{content.name}, longitude"),
        altitude_km=floats["altitude"] * km_per(units["altitude"], f"{content.name}, altitude"),
        density=floats["density"] * kg_m3_per(units["density"], f"{content.name}, density"),
        flagged=values["validity_flag"] != 0 if "validity_flag" in values else None,
        latitude_kind=_latitude_kind(attributes["latitude"]),
    )
    return clean_track(records, satellite, content.name)


def _load(content: Content) -> tuple[dict[str, NDArray[Any]], dict[str, dict[str, Any]], dict[str, Any]]:
    """Return arrays and attributes of the variables, and the attributes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        # The CDF library opens paths only, and the bytes may come out of an archive.
        path = Path(folder) / "density.cdf"
        try:
            path.write_bytes(checked_cdf(content.data, SIZE_LIMIT))
            file = cdflib.CDF(path)
            present = set(file.cdf_info().zVariables) | set(file.cdf_info().rVariables)
            _check_variables(file, present, content.name)
            names = [name for name in (*_NEEDED, "validity_flag") if name in present]
            values = {name: np.atleast_1d(file.varget(name)) for name in names}
            attributes = {name: dict(file.varattsget(name)) for name in names}
            return values, attributes, dict(file.globalattsget())
        except _UNREADABLE as error:
            raise ThermodaError(f"{content.name}: corrupt or unreadable CDF file ({error})") from error


def _check_variables(file: Any, present: set[str], name: str) -> None:
    missing = [variable for variable in _NEEDED if variable not in present]
    if missing:
        raise ThermodaError(f"{name}: no variable {', '.join(missing)}; it has {', '.join(sorted(present)) or 'none'}")
    empty = [variable for variable in _NEEDED if file.varinq(variable).Last_Rec < 0]
    if empty:
        raise ThermodaError(f"{name}: no records in variable {', '.join(empty)}")
    kind = file.varinq("time").Data_Type_Description
    if kind != _EPOCH_TYPE:
        raise ThermodaError(f"{name}: variable time is of type {kind}, expected {_EPOCH_TYPE}")


def _filled(values: NDArray[Any], attributes: dict[str, Any], where: str) -> FloatArray:
    result = np.array(values, dtype=np.float64)
    if "FILLVAL" in attributes:
        # The attribute is text in Swarm files, with fewer digits than the stored value may have.
        stated = np.ravel(attributes["FILLVAL"])
        try:
            fill = float(stated[0])
        except (ValueError, IndexError) as error:
            raise ThermodaError(f"{where}: the attribute FILLVAL is {stated.tolist()}, expected a number") from error
        result[np.isclose(result, fill, rtol=1e-6, atol=0.0)] = np.nan
    return result


def _unit(attributes: dict[str, Any], where: str) -> str:
    if "UNITS" not in attributes:
        raise ThermodaError(f"{where}: the variable has no attribute UNITS")
    return str(attributes["UNITS"])


def _utc(epoch_ms: FloatArray, file_attributes: dict[str, Any], name: str) -> TimeArray:
    stated = " ".join(map(str, np.ravel(file_attributes.get("TIME SYSTEM", "UTC")))).strip()
    if stated not in ("UTC", "GPS"):
        raise ThermodaError(f"{name}: time system '{stated}', expected UTC or GPS")
    unix_ms = epoch_ms - _UNIX_EPOCH_MS
    # Beyond +-9.2e12 ms (292 years) datetime64[ns] overflows; such values are pads, not times.
    usable = np.abs(unix_ms) < 9e12
    time = np.full(unix_ms.shape, np.datetime64("NaT"), dtype="datetime64[ns]")
    time[usable] = np.rint(unix_ms[usable]).astype(np.int64).astype("datetime64[ms]")
    if stated == "GPS":
        convertible = time >= GPS_EPOCH
        time[~convertible] = np.datetime64("NaT")
        time[convertible] = gps_to_utc(time[convertible])
    return time


def _latitude_kind(attributes: dict[str, Any]) -> str:
    return "geocentric" if "geocentric" in str(attributes.get("VARIABLE DESCRIPTION", "")).lower() else "geodetic"
