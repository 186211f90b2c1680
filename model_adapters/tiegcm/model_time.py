"""Times as TIE-GCM writes them: a calendar year and mtime (day of the year, hour, minute; in 3.0 also second)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from da.errors import ThermodaError

Version = Literal["2.0", "3.0"]

MTIME_LENGTH: dict[Version, int] = {"2.0": 3, "3.0": 4}
"""How many numbers a time has in the histories and in the namelist of a version."""

SMALLEST_UNIT: dict[Version, str] = {"2.0": "minute", "3.0": "second"}
"""What the last number of a time counts."""

YEARS = range(1700, 2200)
"""Years whose times datetime64[ns] can hold, with room for margins."""

LIMITS = (24, 60, 60)
"""Hours of a day, minutes of an hour, seconds of a minute."""


def time_of(year: int, mtime: Sequence[int]) -> np.datetime64:
    """Return the time of a calendar year and an mtime of three or four numbers.

    >>> time_of(2002, (81, 0, 10))
    np.datetime64('2002-03-22T00:10:00.000000000')

    Raises
    ------
    ThermodaError
        If the year does not have that day, or hour, minute or second lie outside their ranges.
    """
    if int(year) not in YEARS:
        raise ThermodaError(f"the year {int(year)} of a history must lie between {YEARS.start} and {YEARS.stop - 1}")
    day, clock = int(mtime[0]), [int(number) for number in mtime[1:]]
    first = np.datetime64(f"{int(year):04d}-01-01", "D")
    days = int((np.datetime64(f"{int(year) + 1:04d}-01-01", "D") - first).astype(np.int64))
    in_range = all(0 <= number < limit for number, limit in zip(clock, LIMITS, strict=False))
    if not 1 <= day <= days or not in_range:
        raise ThermodaError(f"mtime {' '.join(map(str, mtime))} is no time of the year {int(year)}, of {days} days")
    seconds = sum(number * unit for number, unit in zip(clock, (3600, 60, 1), strict=False))
    time: np.datetime64 = (first + np.timedelta64(day - 1, "D")).astype("datetime64[ns]")
    return time + np.timedelta64(seconds, "s")


def mtime_of(time: np.datetime64, version: Version) -> tuple[int, ...]:
    """Return (day of the year, hour, minute[, second]) of a time: the inverse of :func:`time_of`.

    >>> mtime_of(np.datetime64("2002-12-31T23:59"), "3.0")
    (365, 23, 59, 0)

    Raises
    ------
    ThermodaError
        If the time is not a whole minute (version 2.0) or second (version 3.0).
    """
    since_day = time.astype("datetime64[ns]") - time.astype("datetime64[D]")
    day = int((time.astype("datetime64[D]") - time.astype("datetime64[Y]")).astype(np.int64)) + 1
    seconds, rest = divmod(int(since_day / np.timedelta64(1, "ns")), 10**9)
    numbers = (day, seconds // 3600, seconds // 60 % 60, seconds % 60)
    length = MTIME_LENGTH[version]
    if rest or any(numbers[length:]):
        raise ThermodaError(f"{time}: is not a whole {SMALLEST_UNIT[version]}, which TIE-GCM {version} counts in")
    return numbers[:length]


def year_of(time: np.datetime64) -> int:
    """Return the calendar year of a time (``START_YEAR`` of the namelist)."""
    return int(time.astype("datetime64[Y]").astype(np.int64)) + 1970
