r"""Outliers, regular sampling and gaps of scale-factor series.

Outliers are found by Hampel's identifier: a value further than k robust standard deviations (1.4826 MAD) from the
median of its surroundings (Pearson 2002, doi:10.1109/87.974338). Gaps are filled by Whittaker's smoother (Eilers 2003,
doi:10.1021/ac034173t), which minimises :math:`\sum w_i (y_i - z_i)^2 + \lambda \sum (\Delta^2 z_i)^2`: it carries level
and slope into a gap, where linear interpolation takes over the noise of the two values beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from da.calibration.scale_factors import ScaleFactors
from da.errors import ThermodaError

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

MAD_TO_STANDARD_DEVIATION = 1.4826
"""For a normal distribution."""

CHUNK = 2048
"""Records whose surroundings are gathered at once."""


@dataclass(frozen=True)
class QualityControl:
    """Limits of the quality control.

    Parameters
    ----------
    outlier_window_h : float
        Full width of the surroundings.
    outlier_threshold : float
        k, in robust standard deviations.
    outlier_floor : float
        Smallest standard deviation of ln s to judge by.
    max_gap_h : float
        Longer gaps are an error.
    step_s : float
        Step of the regular series; what is measured within one step is averaged.

    Raises
    ------
    ValueError
        If a limit is negative, or one other than the floor is zero.
    """

    outlier_window_h: float = 1.0
    outlier_threshold: float = 4.0
    outlier_floor: float = 0.02
    max_gap_h: float = 6.0
    step_s: float = 60.0

    def __post_init__(self) -> None:
        positive = (self.outlier_window_h, self.outlier_threshold, self.max_gap_h, self.step_s)
        if not all(0.0 < limit < np.inf for limit in positive) or not 0.0 <= self.outlier_floor < np.inf:
            raise ValueError(f"limits of the quality control must be positive and finite: {self}")


@dataclass(frozen=True)
class RegularSeries:
    """A series without gaps at equal steps.

    Parameters
    ----------
    start : datetime64[ns]
        Time of the first value.
    step_s : float
    values : array (n,)
    filled : array of bool (n,)
        Where no measurement stands behind the value.
    """

    start: np.datetime64
    step_s: float
    values: FloatArray
    filled: NDArray[np.bool_]

    @property
    def time(self) -> TimeArray:
        """Times of the values."""
        step = np.timedelta64(round(1e9 * self.step_s), "ns")
        return np.asarray(self.start + np.arange(self.values.size) * step)


def _seconds(time: TimeArray, origin: np.datetime64) -> FloatArray:
    return np.asarray((time - origin) / np.timedelta64(1, "s"), dtype=np.float64)


def hampel_outliers(
    seconds: FloatArray, values: FloatArray, window_s: float, threshold: float, floor: float
) -> NDArray[np.bool_]:
    """Return which values lie too far from the median of their surroundings.

    Parameters
    ----------
    seconds, values : array (n,)
        Increasing times, and values.
    window_s : float
        Full width of the surroundings, centred on each value.
    threshold, floor : float
        Limit in robust standard deviations, and the smallest standard deviation to judge by.
    """
    first = np.searchsorted(seconds, seconds - 0.5 * window_s, side="left")
    last = np.searchsorted(seconds, seconds + 0.5 * window_s, side="right")
    outlier = np.zeros(values.size, dtype=bool)
    for begin in range(0, values.size, CHUNK):
        part = slice(begin, min(begin + CHUNK, values.size))
        index = first[part, None] + np.arange(int((last - first)[part].max()))
        inside = index < last[part, None]
        around = np.where(inside, values[np.minimum(index, values.size - 1)], np.nan)
        median = np.nanmedian(around, axis=1)
        deviation = MAD_TO_STANDARD_DEVIATION * np.nanmedian(np.abs(around - median[:, None]), axis=1)
        outlier[part] = np.abs(values[part] - median) > threshold * np.maximum(deviation, floor)
    return outlier


def whittaker(values: FloatArray, weights: FloatArray, smoothness: float) -> FloatArray:
    """Return Whittaker's smoother with second differences: the solution of (W + lambda D2^T D2) z = W y.

    Parameters
    ----------
    values, weights : array (n,), n >= 3
        Values without weight may be anything finite; at least two weights must not be zero.
    smoothness : float
        lambda. Far from the ends the gain at frequency f is 1 / (1 + lambda (2 sin(pi f dt))^4), one half where
        lambda = (2 sin(pi f dt))^-4.
    """
    n = values.size
    upper = np.zeros((3, n))
    diagonal = np.full(n, 6.0)
    diagonal[[0, -1]] = 1.0
    diagonal[[1, -2]] = 5.0 if n > 3 else 4.0
    first = np.full(n - 1, -4.0)
    first[[0, -1]] = -2.0
    upper[2] = weights + smoothness * diagonal
    upper[1, 1:] = smoothness * first
    upper[0, 2:] = smoothness
    return np.asarray(solveh_banded(upper, weights * values))


def regular_series(factors: ScaleFactors, control: QualityControl, cutoff_h: float) -> tuple[RegularSeries, int]:
    """Return the series at equal steps, outliers left out and gaps filled, and the number of outliers.

    Parameters
    ----------
    factors : ScaleFactors
    control : QualityControl
    cutoff_h : float
        Period at which the smoother that fills gaps halves a sinusoid.

    Raises
    ------
    ThermodaError
        If there are fewer than three steps, or a gap is longer than allowed.
    """
    seconds = _seconds(factors.time, factors.time[0])
    outlier = hampel_outliers(
        seconds,
        factors.ln_factor,
        3600.0 * control.outlier_window_h,
        control.outlier_threshold,
        control.outlier_floor,
    )
    step = np.timedelta64(round(1e9 * control.step_s), "ns")
    elapsed = (factors.time - factors.time[0])[~outlier]
    index = np.asarray(elapsed // step, dtype=np.int64)
    n = int(index[-1]) + 1
    if n < 3:
        raise ThermodaError(
            f"{factors.satellite}: {n * control.step_s:g} s of densities cannot be filtered; give a longer track"
        )
    count = np.bincount(index, minlength=n)
    total = np.bincount(index, weights=factors.ln_factor[~outlier], minlength=n)
    empty = count == 0
    _refuse_long_gaps(empty, factors.time[0], step, control.max_gap_h, factors.satellite)
    # A mean belongs to the mean time of its records: with one record per step that is its begin, not its middle.
    start = factors.time[0] + np.mean(elapsed % step)
    means = np.divide(total, count, out=np.zeros(n), where=~empty)
    smoothness = (2.0 * np.sin(np.pi * control.step_s / (3600.0 * cutoff_h))) ** -4
    values = np.where(empty, whittaker(means, (~empty).astype(float), smoothness), means)
    return RegularSeries(start, control.step_s, values, empty), int(outlier.sum())


def _refuse_long_gaps(
    empty: NDArray[np.bool_], start: np.datetime64, step: np.timedelta64, max_gap_h: float, satellite: str
) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        hours = (last - first) * step / np.timedelta64(1, "h")
        if hours > max_gap_h:
            begin, end = (np.datetime_as_string(start + int(edge) * step, unit="s") for edge in (first, last))
            raise ThermodaError(
                f"{satellite}: no density from {begin} to {end} ({hours:.1f} h); "
                f"calibration.quality.max_gap_h allows {max_gap_h:g} h"
            )
