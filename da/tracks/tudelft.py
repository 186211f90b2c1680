"""Reader of the density text files of TU Delft, version 02, for accelerometer and for GNSS-derived products.

A header of comment lines numbers the columns and gives their meaning and unit::

    # Column  3:         Time system: UTC or GPS (differs per mission)
    # Column  4:  f10.3  Altitude (m), GRS80
    # Column  9:  e15.8  Density derived from GPS accelerations (kg/m3)

Records follow: date, time, time system, altitude, geodetic longitude and latitude, local solar time, argument of
latitude, density. Accelerometer products (``DNS_ACC``) add the running orbit average of the density and a flag for each
of the two (0 nominal, 1 anomalous); GNSS-derived ones (``DNS_POD``) do not. Columns are found by the header, never by
position. Records whose density is flagged are left out. Positions refer to the ellipsoid GRS80, whose semi-axes differ
from those of WGS 84 by 0.1 mm at most.

The POD form was read from real Swarm files; the ACC form rests on the header of GRACE files as quoted in public code.
Version 01, whose header has another form, is refused by the missing or ambiguous columns. Data: Delft University of
Technology, CC BY 4.0; Siemes et al. (2023), doi:10.1051/swsc/2023014; van den IJssel et al. (2020),
doi:10.1016/j.asr.2020.01.004.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.tracks.content import Content
from da.tracks.gps_time import GPS_EPOCH, gps_to_utc
from da.tracks.records import RawRecords, clean_track
from da.tracks.text import COMMENT, check_records, parse_table, record_line, text_lines
from da.tracks.track import DensityTrack, TimeArray
from da.tracks.units import degrees_per, kg_m3_per, km_per

_COLUMN_LINE = re.compile(r"#\s*Column\s+(\d+):\s*(?:[a-z]\d+(?:\.\d+)?\s+)?(\S.*)", re.IGNORECASE)
_TIME_SYSTEMS = ("UTC", "GPS")

# What the header calls each needed column.
_ROLES = {
    "date": re.compile(r"date\b"),
    "time": re.compile(r"time \("),
    "system": re.compile(r"time system\b"),
    "altitude": re.compile(r"altitude\b"),
    "longitude": re.compile(r"(geodetic |geocentric )?longitude\b"),
    "latitude": re.compile(r"(geodetic|geocentric) latitude\b"),
    "density": re.compile(r"density\b"),
}
_FLAG = re.compile(r"flag for density\b")


@dataclass(frozen=True)
class _Header:
    """Titles of the columns in their order, the role of the needed ones, and where the records start."""

    titles: list[str]
    roles: dict[str, int]
    first: int


def is_tudelft(lines: Sequence[str]) -> bool:
    """Tell whether a text has the header lines that number the columns."""
    return any(_COLUMN_LINE.match(line) for line in lines[:200])


def read_tudelft(content: Content, satellite: str) -> DensityTrack:
    """Read a TU Delft density file; each record states its time system.

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
        If the file is malformed, a needed column or unit is missing, or there is no valid record.
    """
    lines = text_lines(content)
    header = _header(lines, content.name)
    words = [_field(header.roles[role]) for role in ("date", "time", "system")]
    names = [_field(number) for number in range(1, len(header.titles) + 1)]
    table = parse_table(lines, header.first, names, words, content.name)
    values = {role: table[_field(number)] for role, number in header.roles.items()}
    measured = ("altitude", "longitude", "latitude", "density")
    units = {role: _unit(header.titles[header.roles[role] - 1]) for role in measured}
    degrees = {role: degrees_per(units[role], f"{content.name}, {role}") for role in ("longitude", "latitude")}
    records = RawRecords(
        time=_utc(values, lines, header.first, content.name),
        latitude=values["latitude"] * degrees["latitude"],
        longitude=values["longitude"] * degrees["longitude"],
        altitude_km=values["altitude"] * km_per(units["altitude"], f"{content.name}, altitude"),
        density=values["density"] * kg_m3_per(units["density"], f"{content.name}, density"),
        flagged=values["flag"] != 0 if "flag" in values else None,
        latitude_kind=header.titles[header.roles["latitude"] - 1].split()[0].lower(),
    )
    return clean_track(records, satellite, content.name)


def _field(number: int) -> str:
    return f"column {number}"


def _header(lines: Sequence[str], name: str) -> _Header:
    records = (index for index, line in enumerate(lines) if line.strip() and not line.startswith(COMMENT))
    first = next(records, len(lines))
    titles: list[str] = []
    for index, line in enumerate(lines[:first], start=1):
        match = _COLUMN_LINE.match(line)
        if match is None:
            continue
        if int(match.group(1)) != len(titles) + 1:
            raise ThermodaError(f"{name}, line {index}: column {match.group(1)} follows column {len(titles)}")
        titles.append(match.group(2).strip())
    roles = {role: _find(pattern, titles, name, role) for role, pattern in _ROLES.items()}
    flags = [number for number, title in enumerate(titles, start=1) if _FLAG.match(title.lower())]
    if len(flags) == 1:
        roles["flag"] = flags[0]
    return _Header(titles, roles, first)


def _find(pattern: re.Pattern[str], titles: Sequence[str], name: str, role: str) -> int:
    found = [number for number, title in enumerate(titles, start=1) if pattern.match(title.lower())]
    if len(found) != 1:
        raise ThermodaError(
            f"{name}: the header ('# Column N: ...') names {len(found)} columns of {role}, expected one"
        )
    return found[0]


def _unit(title: str) -> str:
    match = re.search(r"\(([^()]*)\)", title)
    return match.group(1) if match else ""


def _utc(values: dict[str, NDArray[Any]], lines: Sequence[str], first: int, name: str) -> TimeArray:
    system = values["system"]
    check_records(np.isin(system, _TIME_SYSTEMS), lines, first, name, "the time system must be UTC or GPS")
    time = _parse_time(values["date"], values["time"], lines, first, name)
    gps = system == "GPS"
    check_records(~gps | (time >= GPS_EPOCH), lines, first, name, "GPS time before 1980-01-06")
    if gps.any():
        time[gps] = gps_to_utc(time[gps])
    return time


def _parse_time(
    date: NDArray[np.str_], clock: NDArray[np.str_], lines: Sequence[str], first: int, name: str
) -> TimeArray:
    stamps = np.strings.add(np.strings.add(date, "T"), clock)
    try:
        return stamps.astype("datetime64[ns]")
    except ValueError as error:
        for index, stamp in enumerate(stamps.tolist()):
            if not _is_time(stamp):
                number = record_line(lines, first, index)
                found = stamp.replace("T", " ", 1)
                problem = f"'{found}' is no time of the form yyyy-mm-dd hh:mm:ss.sss"
                raise ThermodaError(f"{name}, line {number}: {problem}") from error
        raise


def _is_time(stamp: str) -> bool:
    try:
        np.datetime64(stamp)
    except ValueError:
        return False
    return True
