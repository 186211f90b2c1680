"""Measured auroral hemispheric power: polar passes of the NOAA POES and MetOp satellites, and a power at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.errors import ThermodaError
from da.input_file import read_ascii_lines

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]
_Pass = tuple[np.datetime64, float, bool, float]

MAX_NORMALIZING_FACTOR = 2.0
"""Passes above are left out: NOAA gives its estimate a reasonable level of confidence up to a factor of 2.0."""

HALF_WINDOW_H = 3.0
"""Half width of the triangular window [h]; it weighs like a 3-hour mean, the cadence of Kp."""

_HOUR_NS = 3600.0e9
_ROW_LENGTH = 48


@dataclass(frozen=True)
class HemisphericPower:
    """Hemispheric power of single polar passes, both hemispheres, in the order of time.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        UTC at the centre of the pass, not decreasing (several satellites may pass at once).
    power_gw : array (n,)
        Estimated power of the auroral particles into the hemisphere passed [GW].
    northern : array (n,), bool
        True for passes over the northern hemisphere, False for the southern.
    half_window_h : float
        Half width of the triangular window of `at` [h].
    source : str

    Raises
    ------
    ValueError
        If lengths differ, times decrease, a power is negative, or the window is not positive.
    """

    time: TimeArray
    power_gw: FloatArray
    northern: NDArray[np.bool_]
    half_window_h: float = HALF_WINDOW_H
    source: str = ""

    def __post_init__(self) -> None:
        if not self.time.shape == self.power_gw.shape == self.northern.shape or self.time.ndim != 1:
            raise ValueError("time, power_gw and northern must be vectors of one length")
        if np.any(np.diff(self.time) < np.timedelta64(0, "ns")):
            raise ValueError("the times of passes must not decrease")
        if not np.all(np.isfinite(self.power_gw) & (self.power_gw >= 0)):
            raise ValueError("hemispheric power must be finite and not negative")
        if not self.half_window_h > 0:
            raise ValueError(f"half_window_h must be positive, not {self.half_window_h}")

    def at(self, time: ArrayLike) -> FloatArray:
        """Return the mean power of both hemispheres around each time [GW].

        In each hemisphere the passes within ``half_window_h`` are averaged with weights ``1 - |dt| / half_window_h``,
        so that the result is continuous in time; the two means are then averaged, so that the hemisphere with more
        passes does not count more. As it looks ahead by the half window, it is for hindcasts.

        Parameters
        ----------
        time : array_like (n,), datetime64

        Returns
        -------
        array (n,)

        Raises
        ------
        ThermodaError
            If a hemisphere has no pass within the window of a time.
        """
        times = np.atleast_1d(np.asarray(time)).astype("datetime64[ns]")
        return 0.5 * (self.hemisphere_at(times, northern=True) + self.hemisphere_at(times, northern=False))

    def hemisphere_at(self, time: ArrayLike, *, northern: bool) -> FloatArray:
        """Return the weighted mean power of one hemisphere around each time [GW], (n,); see `at`."""
        times = np.atleast_1d(np.asarray(time)).astype("datetime64[ns]")
        chosen = self.northern == northern
        power = self.power_gw[chosen]
        weighted = self._triangular_sum(self.time[chosen], power, times)
        weight = self._triangular_sum(self.time[chosen], np.ones_like(power), times)
        if (bad := np.flatnonzero(~(weight > 1e-6))).size:
            name = "northern" if northern else "southern"
            raise ThermodaError(
                f"{self.source or 'hemispheric power'}: no {name} pass within {self.half_window_h:g} h of "
                f"{times[bad[0]].astype('datetime64[s]')}; give files that cover the whole run and the days before it"
            )
        return np.asarray(weighted / weight, dtype=np.float64)

    def require(self, start: np.datetime64, stop: np.datetime64) -> None:
        """Refuse a period in which some time has no pass within its window.

        Raises
        ------
        ThermodaError
        """
        step = np.timedelta64(int(self.half_window_h * _HOUR_NS / 4), "ns")
        begin, end = start.astype("datetime64[ns]"), stop.astype("datetime64[ns]")
        self.at(np.append(np.arange(begin, end, step), end))

    def _triangular_sum(self, passes: TimeArray, values: FloatArray, times: TimeArray) -> FloatArray:
        """Return the sum of ``values * (1 - |dt| / half window)`` over the passes in the window, by running sums."""
        if passes.size == 0:
            return np.zeros(times.size)
        at_pass = (passes - passes[0]).astype(np.int64) / (self.half_window_h * _HOUR_NS)
        at_time = (times - passes[0]).astype(np.int64) / (self.half_window_h * _HOUR_NS)
        total = np.concatenate([[0.0], np.cumsum(values)])
        moment = np.concatenate([[0.0], np.cumsum(values * at_pass)])
        low, mid, high = (np.searchsorted(at_pass, at_time + shift) for shift in (-1.0, 0.0, 1.0))
        before = (1.0 - at_time) * (total[mid] - total[low]) + (moment[mid] - moment[low])
        after = (1.0 + at_time) * (total[high] - total[mid]) - (moment[high] - moment[mid])
        return np.asarray(before + after, dtype=np.float64)


def read_hemispheric_power(
    paths: Sequence[Path],
    start: np.datetime64,
    stop: np.datetime64,
    *,
    max_normalizing_factor: float = MAX_NORMALIZING_FACTOR,
    half_window_h: float = HALF_WINDOW_H,
) -> HemisphericPower:
    """Read NOAA's lists of polar passes around a period, one file or several (each is of a year).

    Fixed-width rows ``yyyy-mm-dd hh:mm:ss SATELLI (N)  7  29.67   0.82``: centre of the pass, satellite, hemisphere,
    activity level, power [GW] and the normalizing factor, which grows as a pass samples the aurora less well.

    Parameters
    ----------
    paths : sequence of Path
        At least one, in any order; a pass must not be in two of them.
    start, stop : datetime64
        Passes from one window before to one window after the period are kept.
    max_normalizing_factor : float
        Passes with a larger factor are left out.
    half_window_h : float
        Half width of the window of `HemisphericPower.at` [h].

    Returns
    -------
    HemisphericPower

    Raises
    ------
    ThermodaError
        If a file cannot be read, none has a pass in the period, or a row is malformed or in two files.
    """
    if not paths:
        raise ValueError("at least one file of hemispheric power is needed")
    window = np.timedelta64(int(half_window_h * _HOUR_NS), "ns")
    first = str((start.astype("datetime64[ns]") - window).astype("datetime64[s]")).replace("T", " ")
    last = str((stop.astype("datetime64[ns]") + window).astype("datetime64[s]")).replace("T", " ")
    rows: list[_Pass] = []
    seen: set[str] = set()
    for path in paths:
        rows += _passes(path, first, last, seen)
    kept = sorted((row for row in rows if row[3] <= max_normalizing_factor), key=lambda row: row[0])
    names = ", ".join(path.name for path in paths)
    if not kept:
        raise ThermodaError(f"{', '.join(map(str, paths))}: no usable polar pass from {first} to {last}")
    return HemisphericPower(
        time=np.array([row[0] for row in kept], dtype="datetime64[ns]"),
        power_gw=np.array([row[1] for row in kept]),
        northern=np.array([row[2] for row in kept]),
        half_window_h=half_window_h,
        source=f"NOAA POES hemispheric power, {names}",
    )


def _passes(path: Path, first: str, last: str, seen: set[str]) -> list[_Pass]:
    """Return the passes of one file from ``first`` to ``last``; adds them to those ``seen`` in files before."""
    try:
        lines = read_ascii_lines(path)
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ThermodaError(f"{path}: not a NOAA hemispheric power list: byte {error.start} is not ASCII") from error
    numbered = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and line[0] not in ":#" and first <= line[:19] <= last
    ]
    for number, line in numbered:
        if line in seen:
            raise ThermodaError(f"{path}, line {number}: this pass is in a file before it too; name each file once")
    seen.update(line for _, line in numbered)
    return [_parse(path, number, line) for number, line in numbered]


def _parse(path: Path, number: int, line: str) -> _Pass:
    expected = f"{path}, line {number}: expected 'yyyy-mm-dd hh:mm:ss SATELLI (N) level power factor'"
    if len(line) < _ROW_LENGTH or line[28:31] not in ("(N)", "(S)"):
        raise ThermodaError(f"{expected}, found {line!r}")
    try:
        time = np.datetime64(line[:19].replace(" ", "T"), "ns")
        power, factor = float(line[34:41]), float(line[41:48])
    except ValueError:
        raise ThermodaError(f"{expected}, found {line!r}") from None
    if not (0.0 <= power < np.inf and 0.0 < factor < np.inf):
        raise ThermodaError(f"{expected} with finite power >= 0 and factor > 0, found {line!r}")
    return time, power, line[28:31] == "(N)", factor
