"""Solar wind and interplanetary magnetic field: minute values of OMNI, and values at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.errors import ThermodaError
from da.input_file import read_ascii_lines

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

DEFAULT_MAX_GAP_MIN = 60.0
"""Longest stretch without a measurement [min] that is bridged unless the user says otherwise."""

LONGEST_DELAY_S = 10 * 86400.0
"""Of the solar wind on its way to the Earth: from the Sun it takes some four days."""

_MINUTE_NS = 60.0e9
_COLUMNS = 15
_START = "#START"
_DELAY = "#TIMEDELAY"
_FILL_VALUES = (9999.99, 9999.99, 9999.99, 99999.9, 99999.9, 99999.9, 999.99, 9999999.0)


@dataclass(frozen=True)
class SolarWindState:
    """Solar wind at ``n`` times.

    Parameters
    ----------
    bx_nt, by_nt, bz_nt : array (n,)
        Interplanetary magnetic field, GSM [nT].
    velocity_km_s : array (n,)
        Flow speed (magnitude) [km/s].
    density_cm3 : array (n,)
        Proton number density [cm-3].
    temperature_k : array (n,)
        Proton temperature [K].
    """

    bx_nt: FloatArray
    by_nt: FloatArray
    bz_nt: FloatArray
    velocity_km_s: FloatArray
    density_cm3: FloatArray
    temperature_k: FloatArray


QUANTITIES = tuple(item.name for item in fields(SolarWindState))


@dataclass(frozen=True)
class SolarWind:
    """Time series of the solar wind; NaN where a quantity was not measured.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        UTC, strictly increasing.
    bx_nt, by_nt, bz_nt, velocity_km_s, density_cm3, temperature_k : array (n,)
        See `SolarWindState`.
    max_gap_min : float
        Longest time between two measurements of a quantity that is bridged linearly, and longest time by which the
        first and the last measurement are held beyond the ends [min].
    source : str

    Raises
    ------
    ValueError
        If lengths differ, times do not increase, or the gap is not positive.
    """

    time: TimeArray
    bx_nt: FloatArray
    by_nt: FloatArray
    bz_nt: FloatArray
    velocity_km_s: FloatArray
    density_cm3: FloatArray
    temperature_k: FloatArray
    max_gap_min: float = DEFAULT_MAX_GAP_MIN
    source: str = ""

    def __post_init__(self) -> None:
        if any(getattr(self, name).shape != (self.time.size,) for name in QUANTITIES):
            raise ValueError(f"every quantity must have {self.time.size} values, one a time")
        if np.any(np.diff(self.time) <= np.timedelta64(0, "ns")):
            raise ValueError("the times of the solar wind must increase strictly")
        if not self.max_gap_min > 0:
            raise ValueError(f"max_gap_min must be positive, not {self.max_gap_min}")

    def at(self, time: ArrayLike) -> SolarWindState:
        """Return the solar wind at each time, linear between measurements.

        Parameters
        ----------
        time : array_like (n,), datetime64

        Returns
        -------
        SolarWindState

        Raises
        ------
        ThermodaError
            If a time lies in a gap longer than ``max_gap_min``, or that far beyond the ends.
        """
        times = np.atleast_1d(np.asarray(time)).astype("datetime64[ns]")
        return SolarWindState(**{name: self.quantity_at(name, times) for name in QUANTITIES})

    def span(self, quantities: Sequence[str] = QUANTITIES) -> tuple[np.datetime64, np.datetime64]:
        """Return the first and the last time between which all ``quantities`` are measured (gaps apart).

        Raises
        ------
        ThermodaError
            If one of them is never measured.
        """
        known = {name: self._known(name) for name in quantities}
        for name, times in known.items():
            if times.size == 0:
                raise ThermodaError(f"{self._name()}: {name} has no value")
        return max(times[0] for times in known.values()), min(times[-1] for times in known.values())

    def require(self, start: np.datetime64, stop: np.datetime64, quantities: Sequence[str] = QUANTITIES) -> None:
        """Refuse a period that touches a gap longer than ``max_gap_min`` in any of the ``quantities``.

        Raises
        ------
        ThermodaError
            Naming the quantity and the gap.
        """
        begin, end = start.astype("datetime64[ns]"), stop.astype("datetime64[ns]")
        for name in quantities:
            known = self._known(name)
            self._check_ends(name, known, begin, end)
            long = np.diff(known) > self._max_gap()
            touched = np.flatnonzero(long & (known[:-1] < end) & (known[1:] > begin))
            if touched.size:
                self._refuse(name, known[touched[0]], known[touched[0] + 1])

    def trimmed(self, start: np.datetime64, stop: np.datetime64) -> SolarWind:
        """Return the part that ``[start, stop]`` needs: one longest bridged gap more on both sides."""
        gap = self._max_gap()
        keep = (self.time >= start - gap) & (self.time <= stop + gap)
        return replace(self, time=self.time[keep], **{name: getattr(self, name)[keep] for name in QUANTITIES})

    def _max_gap(self) -> np.timedelta64:
        return np.timedelta64(round(self.max_gap_min * _MINUTE_NS), "ns")

    def _known(self, name: str) -> TimeArray:
        return np.asarray(self.time[np.isfinite(getattr(self, name))])

    def quantity_at(self, name: str, times: TimeArray) -> FloatArray:
        """Return one of `QUANTITIES` at times (n,), datetime64[ns]; as `at`, which returns them all."""
        known = self._known(name)
        if times.size:
            self._check_ends(name, known, times.min(), times.max())
        last = known.size - 1
        after = np.clip(np.searchsorted(known, times), 0, last)
        before = np.clip(np.searchsorted(known, times, side="right") - 1, 0, last)
        if (bad := np.flatnonzero(known[after] - known[before] > self._max_gap())).size:
            self._refuse(name, known[before[bad[0]]], known[after[bad[0]]])
        values = getattr(self, name)[np.isfinite(getattr(self, name))]
        origin = self.time[0]
        seconds = ((times - origin).astype(np.int64), (known - origin).astype(np.int64))
        return np.asarray(np.interp(seconds[0], seconds[1], values), dtype=np.float64)

    def _check_ends(self, name: str, known: TimeArray, begin: np.datetime64, end: np.datetime64) -> None:
        if known.size == 0:
            raise ThermodaError(f"{self._name()}: {name} has no value around {begin} to {end}")
        if known[0] - begin > self._max_gap() or end - known[-1] > self._max_gap():
            raise ThermodaError(
                f"{self._name()}: {name} is known from {_minute(known[0])} to {_minute(known[-1])}; {_minute(begin)} "
                f"to {_minute(end)} is needed; give the files of all of it, or set outside_solar_wind: kp"
            )

    def _refuse(self, name: str, before: np.datetime64, after: np.datetime64) -> None:
        minutes = (after - before).astype(np.int64) / _MINUTE_NS
        raise ThermodaError(
            f"{self._name()}: {name} has a gap of {minutes:g} min from {_minute(before)} to {_minute(after)}; "
            f"at most max_gap_min: {self.max_gap_min:g} are bridged"
        )

    def _name(self) -> str:
        return self.source or "solar wind"


def _minute(time: np.datetime64) -> str:
    """Return a time as text, to the minute where it is a whole one."""
    minute = time.astype("datetime64[m]")
    return str(minute if minute == time else time)


def read_solar_wind(paths: Sequence[Path], max_gap_min: float = DEFAULT_MAX_GAP_MIN) -> SolarWind:
    """Read minute values of OMNI as prepared for thermosphere models (``omni_*.dat``), one file or several.

    After the line ``#START`` each line holds ``Y M D h m s ms``, Bx By Bz [nT, GSM], Vx Vy Vz [km/s], N [cm-3],
    T [K]. A ``#TIMEDELAY`` (seconds, on the line after) is added to the times. Lines of missing minutes are absent;
    OMNI's fill values (9999.99, 99999.9, 999.99, 9999999) are read as missing.

    Parameters
    ----------
    paths : sequence of Path
        At least one, in order of time, not overlapping.
    max_gap_min : float
        Longest gap that is bridged [min].

    Returns
    -------
    SolarWind

    Raises
    ------
    ThermodaError
        If a file cannot be read, a line is malformed, or times do not increase.
    """
    if not paths:
        raise ValueError("at least one solar wind file is needed")
    parts = [_read_file(path) for path in paths]
    time = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    for (earlier, _), (later, _), path in zip(parts[:-1], parts[1:], paths[1:], strict=True):
        if later[0] <= earlier[-1]:
            raise ThermodaError(f"{path}: begins at {later[0]}, not after the end {earlier[-1]} of the file before it")
    missing = np.any(np.isnan(values[:, 3:6]), axis=1)
    speed = np.where(missing, np.nan, np.sqrt(np.sum(values[:, 3:6] ** 2, axis=1)))
    return SolarWind(
        time=time,
        bx_nt=values[:, 0],
        by_nt=values[:, 1],
        bz_nt=values[:, 2],
        velocity_km_s=speed,
        density_cm3=values[:, 6],
        temperature_k=values[:, 7],
        max_gap_min=max_gap_min,
        source=f"OMNI solar wind, {', '.join(path.name for path in paths)}",
    )


def _read_file(path: Path) -> tuple[TimeArray, FloatArray]:
    """Return the times (n,) and the eight values (n, 8) of one file, fill values as NaN."""
    try:
        lines = read_ascii_lines(path)
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ThermodaError(f"{path}: not an OMNI file: byte {error.start} is not ASCII") from error
    begin, delay_s = _header(path, lines)
    numbers = [number for number in range(begin, len(lines)) if lines[number].strip()]
    if not numbers:
        raise ThermodaError(f"{path}: no data after the line {_START}")
    table = _numbers(path, lines, numbers)
    time = _to_time(path, table, numbers) + np.timedelta64(round(delay_s * 1e9), "ns")
    values = table[:, 7:].copy()
    if (bad := np.flatnonzero(np.any(np.abs(values) > _FILL_VALUES, axis=1))).size:
        row = int(bad[0])
        raise ThermodaError(f"{path}, line {numbers[row] + 1}: a value beyond OMNI's fill values, {_FILL_VALUES}")
    values[np.isclose(values, _FILL_VALUES, rtol=0.0, atol=1e-6)] = np.nan
    return time, values


def _header(path: Path, lines: list[str]) -> tuple[int, float]:
    delay_s = 0.0
    for number, line in enumerate(lines):
        keyword = line.strip()
        if keyword == _START:
            return number + 1, delay_s
        if keyword == _DELAY:
            text = lines[number + 1].strip() if number + 1 < len(lines) else ""
            delay_s = _delay(text, f"{path}, line {number + 2}")
        elif keyword.startswith("#"):
            raise ThermodaError(f"{path}, line {number + 1}: unknown keyword {keyword!r}; known: {_DELAY}, {_START}")
    raise ThermodaError(f"{path}: not an OMNI file: there is no line {_START}")


def _delay(text: str, where: str) -> float:
    try:
        delay_s = float(text)
    except ValueError:
        delay_s = np.nan
    if not abs(delay_s) <= LONGEST_DELAY_S:
        raise ThermodaError(f"{where}: expected seconds of delay, at most {LONGEST_DELAY_S:g}, found {text!r}")
    return delay_s


def _numbers(path: Path, lines: list[str], numbers: list[int]) -> FloatArray:
    try:
        table = np.loadtxt([lines[number] for number in numbers], dtype=np.float64, comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape == (len(numbers), _COLUMNS):
        return np.asarray(table, dtype=np.float64)
    number = next((number for number in numbers if not _is_row(lines[number])), numbers[0])
    raise ThermodaError(f"{path}, line {number + 1}: expected {_COLUMNS} numbers, found {lines[number].strip()!r}")


def _is_row(line: str) -> bool:
    try:
        return len([float(text) for text in line.split()]) == _COLUMNS and "_" not in line
    except ValueError:
        return False


def _to_time(path: Path, table: FloatArray, numbers: list[int]) -> TimeArray:
    """Return the times of the rows, having checked the calendar and the order."""
    # What is no whole number of a date, or far beyond any, becomes -1 and is refused below.
    whole = np.where(np.abs(table[:, :7]) < 1e4, table[:, :7], -1.0).astype(np.int64)
    month = (whole[:, 0] - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (whole[:, 1] - 1)
    day = month.astype("datetime64[D]") + (whole[:, 2] - 1)
    low, high = (1900, 1, 1, 0, 0, 0, 0), (2200, 12, 31, 23, 59, 60, 999)
    bad = np.any((whole < low) | (whole > high) | (whole != table[:, :7]), axis=1) | (day.astype("M8[M]") != month)
    ms = ((whole[:, 3] * 60 + whole[:, 4]) * 60 + whole[:, 5]) * 1000 + whole[:, 6]
    time = day.astype("datetime64[ns]") + ms.astype("timedelta64[ms]")
    if bad.any():
        row = int(np.argmax(bad))
        raise ThermodaError(f"{path}, line {numbers[row] + 1}: {table[row, :7].tolist()} is no time 'Y M D h m s ms'")
    if (back := np.flatnonzero(np.diff(time) <= np.timedelta64(0, "ns"))).size:
        row = int(back[0]) + 1
        raise ThermodaError(f"{path}, line {numbers[row] + 1}: {time[row]} does not come after the line before")
    return np.asarray(time)
