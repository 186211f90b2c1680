r"""Outliers, regular sampling and gaps of scale-factor series.

Outliers are found by Hampel's identifier: a value further than k robust standard deviations (1.4826 MAD) from the
median of its surroundings (Pearson 2002, doi:10.1109/87.974338). Gaps are filled by Whittaker's smoother (Eilers 2003,
doi:10.1021/ac034173t), which minimises :math:`\sum w_i (y_i - z_i)^2 + \lambda \sum (\Delta^2 z_i)^2`: it carries level
and slope into a gap, where linear interpolation takes over the noise of the two values beside it.

Longer gaps cut the series into stretches. Nothing passes from one to the next: each is filled, and later filtered, as
if it were alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from da.calibration.scale_factors import ScaleFactors, scale_factors
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks.track import DensityTrack

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
    longest_filled_h : float
        Longer gaps are not filled.
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
    longest_filled_h: float = 3.0
    step_s: float = 60.0

    def __post_init__(self) -> None:
        positive = (self.outlier_window_h, self.outlier_threshold, self.longest_filled_h, self.step_s)
        if not all(0.0 < limit < np.inf for limit in positive) or not 0.0 <= self.outlier_floor < np.inf:
            raise ValueError(f"limits of the quality control must be positive and finite: {self}")


@dataclass(frozen=True)
class RegularSeries:
    """A series at equal steps, in stretches between gaps that are too long to be filled.

    Parameters
    ----------
    start : datetime64[ns]
        Time of the first value.
    step_s : float
    values : array (n,)
        NaN in gaps that were not filled.
    filled : array of bool (n,)
        Where no measurement stands behind the value.
    outliers : array of int (n,)
        Number of records of each step that were left out.
    """

    start: np.datetime64
    step_s: float
    values: FloatArray
    filled: NDArray[np.bool_]
    outliers: NDArray[np.int64]

    @property
    def time(self) -> TimeArray:
        """Times of the values."""
        step = np.timedelta64(round(1e9 * self.step_s), "ns")
        return np.asarray(self.start + np.arange(self.values.size) * step)

    @property
    def stretches(self) -> list[slice]:
        """Where there are values without a break."""
        return _runs(np.isfinite(self.values))


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


def outliers_of(factors: ScaleFactors, control: QualityControl) -> NDArray[np.bool_]:
    """Return which scale factors (n,) are outliers."""
    return hampel_outliers(
        _seconds(factors.time, factors.time[0]),
        factors.ln_factor,
        3600.0 * control.outlier_window_h,
        control.outlier_threshold,
        control.outlier_floor,
    )


def without_outliers(track: DensityTrack, msis: Msis, control: QualityControl) -> DensityTrack:
    """Return a track without the records whose scale factors are outliers; ``dropped`` counts them as ``outlier``."""
    factors = scale_factors(track, msis)
    if not factors.time.size:
        return track
    outlier = np.isin(track.time, factors.time[outliers_of(factors, control)])
    names = ("time", "latitude", "longitude", "altitude_km", "density")
    columns = {name: getattr(track, name)[~outlier] for name in names}
    sigma = None if track.sigma is None else track.sigma[~outlier]
    count = int(np.count_nonzero(outlier))
    return replace(track, **columns, sigma=sigma, dropped=track.dropped | ({"outlier": count} if count else {}))


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
    """Return the series at equal steps, outliers left out and short gaps filled, and the number of outliers.

    Between long gaps, stretches shorter than half of the cut-off period are left out with them: the filter would pass
    what they have of the signal along the orbit.

    Parameters
    ----------
    factors : ScaleFactors
    control : QualityControl
    cutoff_h : float
        Of the low-pass filter; at this period the smoother that fills gaps halves a sinusoid.

    Raises
    ------
    ThermodaError
        If there are fewer than three steps, or all stretches between long gaps are too short.
    """
    outlier = outliers_of(factors, control)
    step = np.timedelta64(round(1e9 * control.step_s), "ns")
    elapsed = factors.time - factors.time[0]
    index = np.asarray(elapsed // step, dtype=np.int64)
    kept = index[~outlier]
    n = int(kept[-1]) + 1
    if n < 3:
        raise ThermodaError(
            f"{factors.satellite}: {n * control.step_s:g} s of densities cannot be filtered; give a longer track"
        )
    count = np.bincount(kept, minlength=n)
    total = np.bincount(kept, weights=factors.ln_factor[~outlier], minlength=n)
    means = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    stretches = _stretches(count == 0, control, cutoff_h, factors.satellite)
    values = np.full(n, np.nan)
    for part in stretches:
        values[part] = _filled(means[part], control.step_s, cutoff_h)
    # A mean belongs to the mean time of its records: with one record per step that is its begin, not its middle.
    start = factors.time[0] + np.mean(elapsed[~outlier] % step)
    left_out = np.bincount(np.minimum(index[outlier], n - 1), minlength=n)
    series = RegularSeries(start, control.step_s, values, np.isfinite(values) & (count == 0), left_out)
    return series, int(outlier.sum())


def _filled(means: FloatArray, step_s: float, cutoff_h: float) -> FloatArray:
    """Return one stretch with the smoother's values where it has none of its own."""
    empty = np.isnan(means)
    smoothness = (2.0 * np.sin(np.pi * step_s / (3600.0 * cutoff_h))) ** -4
    return np.where(empty, whittaker(np.where(empty, 0.0, means), (~empty).astype(float), smoothness), means)


def _runs(where: NDArray[np.bool_]) -> list[slice]:
    """Return where a mask is true without a break."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8))).tolist()
    return [slice(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _stretches(empty: NDArray[np.bool_], control: QualityControl, cutoff_h: float, satellite: str) -> list[slice]:
    """Return the parts of a series between gaps that are too long to be filled."""
    steps_per_hour = 3600.0 / control.step_s
    gap = np.zeros(empty.size, dtype=bool)
    for run in _runs(empty):
        gap[run] = run.stop - run.start > control.longest_filled_h * steps_per_hour
    found = _runs(~gap)
    if len(found) == 1:
        return found
    long = [part for part in found if part.stop - part.start >= max(3.0, 0.5 * cutoff_h * steps_per_hour)]
    if not long:
        raise ThermodaError(
            f"{satellite}: gaps of more than {control.longest_filled_h:g} h cut its densities into {len(found)} pieces "
            f"of which none can be filtered (all less than {0.5 * cutoff_h:g} h long); see calibration.gaps"
        )
    return long
