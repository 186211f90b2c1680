"""Reader of the accelerometer densities of CHAMP and GRACE by Sutton, version 2.2, and of the ``#START`` copies.

Two text forms are understood.

**Native** (``Density_3deg_YY_DDD.ascii``; Sutton, E. K. (2011): Accelerometer-Derived Atmospheric Density from the
CHAMP and GRACE Satellites): one file per day, averages in bins of 3 deg of latitude. The first line names version and
author, the second one the columns, separated by semicolons; records follow. Columns of version 2.2:

1. two-digit year, 2. day of year, 3. second of day in GPS time, 4. centre latitude of the bin [deg], 5. geodetic
latitude [deg], 6. longitude [deg], 7. height [km], 8. local time [h], 9. quasi-dipole latitude [deg], 10. magnetic
longitude [deg], 11. magnetic local time [h], 12. neutral density [kg/m^3], 13. density normalized to 400 km, 14. the
same to 410 km, 15. density of NRLMSISE-00 at the satellite, 16. uncertainty of the density [kg/m^3], 17. number of
points in the bin, 18. number of interpolated points in the bin, 19. mean drag coefficient.

The names and the first records of a real file (CHAMP, 2002, day 335) are public with the CHAMP converter of NCAR's Data
Assimilation Research Testbed; the layout is built from them. Columns are found by these names; a file without the line
of names is taken to have exactly the 19 columns above. Not verified: the files of GRACE (``Density_graceA_3deg``),
other versions, and which fill values occur (none is documented).

**#START**: what the GITM model's tools make of the native files. Free text up to a line ``#START``, then year, month,
day, hour, minute, second, millisecond, longitude [deg], latitude [deg], altitude [km], density [kg/m3]. The form has no
units, no column names, no uncertainty and no word on the time scale. GPS time is assumed, as in the source: the last
record of a copy that ends on 30 November 2002 and the first one of the native file of the next day are 25 s apart if
the copying subtracted nothing, 12 s if it subtracted the leap seconds, and CHAMP flew 1.5 deg of latitude between them,
for which it needs 25 s. A parameter says otherwise. Latitudes are geodetic as in the source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.tracks.content import Content
from da.tracks.gps_time import GPS_EPOCH, TimeScale, gps_to_utc
from da.tracks.records import RawRecords, clean_track
from da.tracks.text import check_records, parse_table, text_lines
from da.tracks.track import DensityTrack, TimeArray
from da.tracks.units import kg_m3_per, km_per

START_MARK = "#START"
NAMES_MARK = "two-digit year"
# Lowest and highest value of each part of a calendar time; 60 s is a leap second in UTC.
_CALENDAR = {
    "year": (1980, 2100),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 60),
    "ms": (0, 999),
}
_START_COLUMNS = (*_CALENDAR, "longitude", "latitude", "altitude", "density")
_NATIVE_COLUMNS = 19
_NATIVE_FORM = re.compile(r"\s*\d{2}\s+\d{1,3}\s+\d+\.\d+\s+-?\d+\s")

# How the line of names starts each column's name, and its number and unit where the line is missing.
_NATIVE = {
    "year": ("two-digit year", 1, "years"),
    "day": ("day of the year", 2, "days"),
    "second": ("second of the day", 3, "GPS time,sec"),
    "latitude": ("satellite geodetic latitude", 5, "deg"),
    "longitude": ("satellite longitude", 6, "deg"),
    "altitude": ("satellite height", 7, "km"),
    "density": ("neutral density (", 12, "kg/m^3"),
    "sigma": ("uncertainty in neutral density", 16, "kg/m^3"),
}


def is_start_form(lines: Sequence[str]) -> bool:
    """Tell whether a text has the ``#START`` line."""
    return any(line.strip() == START_MARK for line in lines)


def is_native_form(lines: Sequence[str]) -> bool:
    """Tell whether a text is a native file, by its line of names or, without one, by the form of its first record."""
    head = [line for line in lines[:20] if line.strip()]
    if any(NAMES_MARK in line.lower() for line in head):
        return True
    return any(_NATIVE_FORM.match(line) and len(line.split()) == _NATIVE_COLUMNS for line in head[:3])


def read_start_form(content: Content, satellite: str, time_scale: TimeScale = "GPS") -> DensityTrack:
    """Read a ``#START`` copy.

    Parameters
    ----------
    content : Content
        The file.
    satellite : str
        Name of the satellite.
    time_scale : {"GPS", "UTC"}
        Scale of the file's times; see the module's docstring for the default.

    Returns
    -------
    DensityTrack
        Geodetic, without ``sigma``.

    Raises
    ------
    ThermodaError
        If the file is malformed or has no valid record.
    """
    lines = text_lines(content)
    marks = [index for index, line in enumerate(lines) if line.strip() == START_MARK]
    if not marks:
        raise ThermodaError(f"{content.name}: no line '{START_MARK}' before the records")
    first = marks[0] + 1
    table = parse_table(lines, first, _START_COLUMNS, (), content.name)
    records = RawRecords(
        time=_to_utc(_calendar_time(table, lines, first, content.name), time_scale, lines, first, content.name),
        latitude=table["latitude"],
        longitude=table["longitude"],
        altitude_km=table["altitude"],
        density=table["density"],
    )
    return clean_track(records, satellite, content.name)


def read_native_form(content: Content, satellite: str) -> DensityTrack:
    """Read a native ``Density_3deg`` file; its times are GPS time.

    Parameters
    ----------
    content : Content
        The file.
    satellite : str
        Name of the satellite.

    Returns
    -------
    DensityTrack
        Geodetic, with ``sigma``.

    Raises
    ------
    ThermodaError
        If the file is malformed, its units are unknown, or it has no valid record.
    """
    lines = text_lines(content)
    first, header = _native_header(lines, content.name)
    columns = _native_columns(header, content.name)
    names = [f"column {number}" for number in range(1, len(header) + 1)] if header else None
    table = parse_table(lines, first, names or _default_names(), (), content.name)
    values = {role: table[f"column {number}"] for role, (number, _) in columns.items()}
    units = {role: unit for role, (_, unit) in columns.items()}
    if "gps" not in units["second"].lower():
        raise ThermodaError(f"{content.name}: second of the day in '{units['second']}', expected GPS time in seconds")
    scale = kg_m3_per(units["density"], f"{content.name}, density")
    sigma_scale = kg_m3_per(units["sigma"], f"{content.name}, uncertainty")
    time = _day_of_year_time(values, lines, first, content.name)
    records = RawRecords(
        time=_to_utc(time, "GPS", lines, first, content.name),
        latitude=values["latitude"],
        longitude=values["longitude"],
        altitude_km=values["altitude"] * km_per(units["altitude"], f"{content.name}, height"),
        density=values["density"] * scale,
        sigma=values["sigma"] * sigma_scale,
    )
    return clean_track(records, satellite, content.name)


def _native_header(lines: Sequence[str], name: str) -> tuple[int, list[str]]:
    """Return the index of the first line after the header, and the column names (none if there is no such line)."""
    for index, line in enumerate(lines[:20]):
        if NAMES_MARK in line.lower():
            return index + 1, [column.strip() for column in line.strip().strip(";").split(";")]
    for index, line in enumerate(lines[:20]):
        if _NATIVE_FORM.match(line):
            return index, []
    raise ThermodaError(f"{name}: no line of column names ('Two-digit Year (years);...') and no records in its place")


def _default_names() -> list[str]:
    return [f"column {number}" for number in range(1, _NATIVE_COLUMNS + 1)]


def _native_columns(header: Sequence[str], name: str) -> dict[str, tuple[int, str]]:
    """Return number, from 1, and unit of each needed column."""
    if not header:
        return {role: (number, unit) for role, (_, number, unit) in _NATIVE.items()}
    columns = {}
    for role, (beginning, _, _) in _NATIVE.items():
        found = [number for number, title in enumerate(header, start=1) if title.lower().startswith(beginning)]
        if len(found) != 1:
            raise ThermodaError(f"{name}: {len(found)} columns named '{beginning}...', expected exactly one")
        unit = re.search(r"\(([^()]*)\)\s*$", header[found[0] - 1])
        if unit is None:
            raise ThermodaError(f"{name}: column '{header[found[0] - 1]}' has no unit in parentheses")
        columns[role] = (found[0], unit.group(1))
    return columns


def _day_of_year_time(values: dict[str, NDArray[Any]], lines: Sequence[str], first: int, name: str) -> TimeArray:
    year, day, second = values["year"], values["day"], values["second"]
    valid = (year >= 0) & (year <= 99) & (np.trunc(year) == year)
    valid &= (day >= 1) & (day <= 366) & (np.trunc(day) == day)
    # Averages may be stamped past midnight by rounding, but never by a whole bin.
    valid &= (second >= 0) & (second < 86_401)
    check_records(valid, lines, first, name, "expected two-digit year, day of year 1-366 and second of day below 86400")
    start = (2000 + year.astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[ns]")
    elapsed_ms = np.rint((day - 1) * 86_400_000 + second * 1000).astype(np.int64)
    time: TimeArray = start + elapsed_ms.astype("timedelta64[ms]")
    return time


def _calendar_time(table: NDArray[Any], lines: Sequence[str], first: int, name: str) -> TimeArray:
    valid = np.ones(table.shape, dtype=bool)
    for column, (lowest, highest) in _CALENDAR.items():
        values = table[column]
        valid &= (values >= lowest) & (values <= highest) & (np.trunc(values) == values)
    problem = "expected year, month, day, hour, minute, second and millisecond as whole numbers of a valid date"
    check_records(valid, lines, first, name, problem)
    whole = {column: table[column].astype(np.int64) for column in _CALENDAR}
    month = ((whole["year"] - 1970) * 12 + whole["month"] - 1).astype("datetime64[M]")
    day = month.astype("datetime64[D]") + (whole["day"] - 1).astype("timedelta64[D]")
    check_records(day.astype("datetime64[M]") == month, lines, first, name, problem)
    seconds = whole["hour"] * 3600 + whole["minute"] * 60 + whole["second"]
    time: TimeArray = day.astype("datetime64[ns]") + (seconds * 1000 + whole["ms"]).astype("timedelta64[ms]")
    return time


def _to_utc(time: TimeArray, time_scale: TimeScale, lines: Sequence[str], first: int, name: str) -> TimeArray:
    if time_scale == "UTC":
        return time
    check_records(time >= GPS_EPOCH, lines, first, name, "GPS time before 1980-01-06")
    return gps_to_utc(time)
