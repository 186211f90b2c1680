"""Putting records into increasing time, and the distance between positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TimeOrder:
    """Which records to keep, in which order, and what was found on the way.

    Parameters
    ----------
    keep : array (m,)
        Indices of the records with distinct times, in increasing time.
    duplicates : int
        Records that repeat an earlier one's time and values.
    conflicting : int
        Records that repeat an earlier one's time with another value.
    reordered : int
        Records that stood after a later one.
    """

    keep: NDArray[np.intp]
    duplicates: int
    conflicting: int
    reordered: int


def order_in_time(time: NDArray[np.datetime64], values: FloatArray) -> TimeOrder:
    """Sort by time and keep the first record of each time.

    Parameters
    ----------
    time : array (n,), datetime64
        Without NaT.
    values : array (n, k)
        What makes two records of one time the same.

    Returns
    -------
    TimeOrder
    """
    order = np.argsort(time, kind="stable")
    sorted_time, sorted_values = time[order], values[order]
    new = np.ones(time.size, dtype=bool)
    new[1:] = sorted_time[1:] != sorted_time[:-1]
    leader = np.maximum.accumulate(np.where(new, np.arange(time.size), 0))
    same = (sorted_values == sorted_values[leader]).all(axis=1)
    late = time[1:] < np.maximum.accumulate(time)[:-1]
    return TimeOrder(
        keep=order[new],
        duplicates=int(np.count_nonzero(~new & same)),
        conflicting=int(np.count_nonzero(~new & ~same)),
        reordered=int(np.count_nonzero(late)),
    )


def angular_separation(
    latitude: FloatArray, longitude: FloatArray, other_latitude: FloatArray, other_longitude: FloatArray
) -> FloatArray:
    """Return the angle at the centre of a sphere between pairs of positions, by the haversine formula.

    Parameters
    ----------
    latitude, longitude, other_latitude, other_longitude : array (n,)
        Degrees.

    Returns
    -------
    array (n,)
        Degrees, 0 to 180.
    """
    lat, lon, other_lat, other_lon = map(np.radians, (latitude, longitude, other_latitude, other_longitude))
    haversine = (
        np.sin((other_lat - lat) / 2) ** 2 + np.cos(lat) * np.cos(other_lat) * np.sin((other_lon - lon) / 2) ** 2
    )
    angle: FloatArray = np.degrees(2 * np.arcsin(np.sqrt(np.clip(haversine, 0.0, 1.0))))
    return angle
