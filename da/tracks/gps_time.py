"""GPS time and UTC: the leap seconds between them.

GPS time runs without leap seconds since it agreed with UTC on 6 January 1980 (IS-GPS-200, section 3.3.4), so that it is
ahead of UTC by one second for each leap second inserted since. The leap seconds are those announced by the IERS in
Bulletin C; the last one was inserted at the end of 2016. The table is complete through 30 June 2026, the first date for
which Bulletin C 70 leaves a leap second open; for later times the difference of 18 s is an assumption, and its use is
logged.
"""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TimeArray = NDArray[np.datetime64]
TimeScale = Literal["UTC", "GPS"]

GPS_EPOCH = np.datetime64("1980-01-06T00:00:00", "ns")
"""The instant at which GPS time and UTC agreed; neither conversion is defined before it."""

TABLE_END = np.datetime64("2026-07-01T00:00:00", "ns")
"""First UTC instant before which a leap second unknown to this table may have been inserted."""

_LEAP_DATES = (
    "1981-07-01",
    "1982-07-01",
    "1983-07-01",
    "1985-07-01",
    "1988-01-01",
    "1990-01-01",
    "1991-01-01",
    "1992-07-01",
    "1993-07-01",
    "1994-07-01",
    "1996-01-01",
    "1997-07-01",
    "1999-01-01",
    "2006-01-01",
    "2009-01-01",
    "2012-07-01",
    "2015-07-01",
    "2017-01-01",
)

_SECOND = np.timedelta64(1_000_000_000, "ns")
_logger = logging.getLogger(__name__)


def gps_minus_utc(utc: TimeArray) -> NDArray[np.int64]:
    """Return by how many seconds GPS time is ahead of UTC.

    Parameters
    ----------
    utc : array, datetime64
        UTC, from 1980-01-06.

    Returns
    -------
    array of int64, same shape
        Seconds.

    Raises
    ------
    ValueError
        If a time lies before the start of GPS time or is NaT.
    """
    _check(utc)
    return np.searchsorted(_leap_times(), utc, side="right").astype(np.int64)


def gps_to_utc(gps: TimeArray) -> TimeArray:
    """Convert GPS time to UTC.

    `datetime64` has no 23:59:60: instants inside a leap second become the last nanosecond before midnight, so that
    the order of the times is kept.

    Parameters
    ----------
    gps : array (n,), datetime64
        GPS time, from 1980-01-06.

    Returns
    -------
    array (n,), datetime64[ns]
        UTC.

    Raises
    ------
    ValueError
        If a time lies before the start of GPS time or is NaT.
    """
    _check(gps)
    leaps = _leap_times()
    passed = np.arange(1, leaps.size + 1)
    # On the GPS scale a leap second begins when the clock is ahead of midnight by the number of earlier ones.
    begins = leaps + (passed - 1) * _SECOND
    began = np.searchsorted(begins, gps, side="right")
    utc = _shifted(gps, -began)
    midnight = np.concatenate([[GPS_EPOCH], leaps])[began]
    inside = utc < midnight
    utc[inside] = midnight[inside] - np.timedelta64(1, "ns")
    return utc


def utc_to_gps(utc: TimeArray) -> TimeArray:
    """Convert UTC to GPS time.

    Parameters
    ----------
    utc : array, datetime64
        UTC, from 1980-01-06.

    Returns
    -------
    array, datetime64[ns], same shape
        GPS time.

    Raises
    ------
    ValueError
        If a time lies before the start of GPS time or is NaT.
    """
    return _shifted(utc, gps_minus_utc(utc))


def _shifted(time: TimeArray, seconds: NDArray[np.int64]) -> TimeArray:
    shifted: TimeArray = np.add(time.astype("datetime64[ns]"), seconds.astype("timedelta64[s]"))
    return shifted


def _leap_times() -> TimeArray:
    return np.array(_LEAP_DATES, dtype="datetime64[ns]")


def _check(time: TimeArray) -> None:
    if not np.all(time >= GPS_EPOCH):
        raise ValueError("GPS time is not defined before 1980-01-06T00:00:00 UTC")
    if np.any(time >= TABLE_END):
        _logger.warning("times after 2026-06-30 are converted on the assumption that no leap second was inserted")
