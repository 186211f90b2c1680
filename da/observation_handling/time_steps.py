"""Times of a track as whole nanoseconds, so that steps and windows are compared exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IndexArray = NDArray[np.int64]
TimeArray = NDArray[np.datetime64]


def increasing_nanoseconds(time: TimeArray) -> IndexArray:
    """Return nanoseconds since 1970-01-01 UTC of the times (n,) of a track.

    Raises
    ------
    ValueError
        If the times are not one-dimensional, hold a NaT or do not increase strictly.
    """
    stamps = np.asarray(time, dtype="datetime64[ns]")
    if stamps.ndim != 1 or np.isnat(stamps).any():
        raise ValueError("the times of a track must be one-dimensional and without NaT")
    nanoseconds = stamps.astype(np.int64)
    backward = np.flatnonzero(nanoseconds[1:] <= nanoseconds[:-1])
    if backward.size:
        raise ValueError(f"the times of a track must increase strictly; they do not after {stamps[backward[0]]}")
    return nanoseconds


def whole_nanoseconds(seconds: float, name: str) -> int:
    """Return a positive duration [s] in nanoseconds; ValueError, calling it ``name``, for any other number."""
    if not 1e-9 <= seconds < np.inf:
        raise ValueError(f"{name} must be positive and finite, not {seconds}")
    return round(1e9 * seconds)
