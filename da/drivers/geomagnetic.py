"""Geomagnetic activity: the planetary index Kp in exact thirds, its linear equivalent ap, and ap in time.

Kp comes in steps of one third (0, 1/3, ..., 9), which no decimal holds exactly. It is therefore kept as the
integer number of thirds, 0 to 27, and turned into ap by table.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TimeArray = NDArray[np.datetime64]

MAX_KP_THIRDS = 27
"""Kp = 9, the end of the scale, in thirds."""

AP_OF_KP_THIRDS: IntArray = np.array(
    [0, 2, 3, 4, 5, 6, 7, 9, 12, 15, 18, 22, 27, 32, 39, 48, 56, 67, 80, 94, 111, 132, 154, 179, 207, 236, 300, 400]
)
"""ap [2 nT] of Kp = 0, 1/3, ..., 9: Matzka et al. (2021), doi:10.1029/2020SW002641, Table 2."""
AP_OF_KP_THIRDS.flags.writeable = False

INTERVAL = np.timedelta64(3 * 3600 * 10**9, "ns")
"""Length of the interval that one Kp describes: 3 h."""

HALF_INTERVAL = INTERVAL // 2

HISTORY_LAGS = 20
"""Number of 3-hourly values (lags 0, 3, ..., 57 h) that the ap history of NRLMSIS reaches back over."""

HISTORY_SPAN = (HISTORY_LAGS - 1) * INTERVAL
"""How far the ap history reaches back: 57 h."""


class ApInterpolation(StrEnum):
    """How 3-hourly values are read between their intervals.

    ``MIDPOINTS``: each value stands at the middle of its interval (01:30, 04:30, ... UT), linear in between.
    ``STEPPED``: each value holds throughout its half-open interval, so that it jumps at 03, 06, ... UT.
    """

    MIDPOINTS = "midpoints"
    STEPPED = "stepped"


def kp_thirds_to_ap(kp_thirds: ArrayLike) -> FloatArray:
    """Return ap of Kp given in thirds; exact for whole thirds, linear in Kp between two of them.

    Parameters
    ----------
    kp_thirds : array_like
        Kp in thirds (Kp = thirds / 3), 0 to 27; need not be whole.

    Returns
    -------
    array, same shape
        ap [2 nT], 0 to 400.

    Raises
    ------
    ValueError
        If a value lies outside 0 to 27 or is not a number.
    """
    thirds = np.asarray(kp_thirds, dtype=np.float64)
    if not np.all((thirds >= 0) & (thirds <= MAX_KP_THIRDS)):
        raise ValueError("Kp in thirds must lie within 0 and 27")
    whole = np.arange(MAX_KP_THIRDS + 1, dtype=np.float64)
    return np.asarray(np.interp(thirds, whole, AP_OF_KP_THIRDS.astype(np.float64)), dtype=np.float64)


def ap_to_kp_thirds(ap: ArrayLike) -> IntArray:
    """Return Kp in thirds of ap, which must be one of the 28 values of the table: the inverse of the table.

    Parameters
    ----------
    ap : array_like
        ap [2 nT].

    Returns
    -------
    array of int, same shape
        Kp in thirds, 0 to 27.

    Raises
    ------
    ValueError
        If a value is none of the 28.
    """
    values = np.asarray(ap, dtype=np.float64)
    thirds = np.minimum(np.searchsorted(AP_OF_KP_THIRDS, values), MAX_KP_THIRDS)
    if not np.all(AP_OF_KP_THIRDS[thirds] == values):
        raise ValueError("ap must be one of the 28 values that Kp in thirds can give")
    return np.asarray(thirds, dtype=np.int64)


def shifted_kp_thirds(kp_thirds: ArrayLike, kp_offset: float) -> FloatArray:
    """Return ``clip(Kp + kp_offset, 0, 9)`` in (no longer whole) thirds; an offset of 0 changes nothing.

    Raises
    ------
    ValueError
        If the offset is not finite.
    """
    if not np.isfinite(kp_offset):
        raise ValueError(f"kp_offset must be finite, not {kp_offset}")
    return np.clip(np.asarray(kp_thirds, dtype=np.float64) + 3.0 * kp_offset, 0.0, float(MAX_KP_THIRDS))


def locate(
    time: TimeArray, series_start: np.datetime64, count: int, interpolation: ApInterpolation, lags: int = 1
) -> tuple[IntArray, FloatArray]:
    """Return where ``time`` falls in a 3-hourly series: ``value = (1 - weight) v[index] + weight v[index + 1]``.

    Times are compared as whole nanoseconds, so that a boundary of an interval never goes astray by rounding.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
    series_start : datetime64[ns]
        Begin of the first interval.
    count : int
        Number of intervals.
    interpolation : ApInterpolation
        Stepped series have weight 0.
    lags : int
        Number of values needed at and before each time, the current one included.

    Returns
    -------
    index : array (n,), int
        At least ``lags - 1``; where the weight is not 0, ``index + 1`` exists too.
    weight : array (n,)
        In [0, 1).

    Raises
    ------
    ValueError
        If a time needs an interval that the series does not have.
    """
    shift = HALF_INTERVAL if interpolation is ApInterpolation.MIDPOINTS else np.timedelta64(0, "ns")
    elapsed = (time - (series_start + shift)).astype(np.int64)
    index, rest = np.divmod(elapsed, INTERVAL.astype(np.int64))
    weight = rest / float(INTERVAL.astype(np.int64))
    if interpolation is ApInterpolation.STEPPED:
        weight = np.zeros_like(weight)
    if np.any(index < lags - 1) or np.any(index + (weight > 0) > count - 1):
        raise ValueError("a time lies outside the 3-hourly series (or its history reaches before it)")
    return index, weight


def lagged_values(
    values: FloatArray, series_start: np.datetime64, time: TimeArray, interpolation: ApInterpolation, lags: int
) -> FloatArray:
    """Return a 3-hourly series at ``time``, 3 h before, 6 h before, ... (``lags`` values each).

    Parameters
    ----------
    values : array (m,)
        Consecutive 3-hourly values.
    series_start, time, interpolation, lags
        As in `locate`.

    Returns
    -------
    array (n, lags)
        Column ``k`` is the series at ``time - 3 k`` hours.
    """
    index, weight = locate(time, series_start, values.size, interpolation, lags)
    at = index[:, np.newaxis] - np.arange(lags)
    following = np.minimum(at + 1, values.size - 1)
    series = (1.0 - weight[:, np.newaxis]) * values[at] + weight[:, np.newaxis] * values[following]
    return np.asarray(series, dtype=np.float64)


def ap_history(ap: FloatArray, first_day: np.datetime64, time: TimeArray, interpolation: ApInterpolation) -> FloatArray:
    """Return the seven ap values that NRLMSIS takes for its storm-time mode.

    Picone et al. (2002), doi:10.1029/2002JA009430: (0) daily Ap, (1) ap now, (2-4) ap 3, 6, 9 h before,
    (5) mean of the eight ap 12 to 33 h before, (6) mean of the eight ap 36 to 57 h before.

    Parameters
    ----------
    ap : array (8 d,)
        3-hourly ap of ``d`` consecutive days.
    first_day : datetime64[D]
        First of these days.
    time : array (n,), datetime64[ns]
    interpolation : ApInterpolation
        How ap is read between its intervals, at every lag alike.

    Returns
    -------
    array (n, 7)
        Column 0 is the unrounded mean of the eight ap of the UTC day of each time: it steps at midnight.

    Raises
    ------
    ValueError
        If a time or its 57 h of history lie outside the series.
    """
    start = first_day.astype("datetime64[ns]")
    lagged = lagged_values(ap, start, time, interpolation, HISTORY_LAGS)
    day = (time.astype("datetime64[D]") - first_day.astype("datetime64[D]")).astype(np.int64)
    daily = ap.reshape(-1, 8).mean(axis=1)[day]
    means = lagged[:, 4:].reshape(-1, 2, 8).mean(axis=2)
    return np.column_stack([daily, lagged[:, :4], means])
