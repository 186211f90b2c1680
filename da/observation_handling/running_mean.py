r"""Running means along a track, for densities that are themselves means over minutes of flight.

A product may resolve less than its sampling suggests. Densities derived from precise orbit determination come from
accelerations that are estimated with the orbit, at a much lower resolution than an accelerometer's (van den IJssel et
al. 2020, doi:10.1016/j.asr.2020.01.004): each is an average over the minutes around it. They are compared with

.. math:: \bar\rho(t) = \frac{1}{W} \int_{t - W/2}^{t + W/2} \rho(\mathbf{x}(t'), t')\,\mathrm{d}t'

along the same orbit :math:`\mathbf{x}(t)`: the mean of density, not of its logarithm, because drag is linear in it.
It multiplies a wave of period T by :math:`\mathrm{sinc}(W/T) = \sin(\pi W/T)/(\pi W/T)`.

**An approximation.** The average of a filter and smoother that let accelerations vary at random has no sharp ends, and
its width changes with the strength of the signal; a running mean of fixed width stands for it.

The integral is the exact one of a step function: each record holds half-way to its neighbours, next to a gap for half
of the median time between records. Windows of which less than :data:`SMALLEST_SHARE` is held have no mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.observation_handling.time_steps import increasing_nanoseconds

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
TimeArray = NDArray[np.datetime64]

SMALLEST_SHARE = 0.8
"""Of a window, that must be held by records: the middle of what is held is then off by at most a tenth of it."""

GAP_STEPS = 1.5
"""Records further apart than this many median steps have a gap between them."""


@dataclass(frozen=True, eq=False)
class Footprints:
    """The records that each mean consists of, one mean after the other.

    Parameters
    ----------
    record : array (samples,)
        Index of the record.
    weight : array (samples,)
        Share of the record in its mean, positive; those of one mean sum to one.
    first : array (means,)
        Where the samples of each mean begin; every mean has at least one.
    """

    record: IndexArray
    weight: FloatArray
    first: IndexArray


def running_mean(time: TimeArray, values: FloatArray, window_s: float) -> FloatArray:
    """Return the running mean of the values of a track, at the times of its records.

    Parameters
    ----------
    time : array (n,), datetime64
        UTC, strictly increasing.
    values : array (n,)
        NaN: no record.
    window_s : float
        Width W of the window [s], centred on each record; 0: the values as they are, bit for bit.

    Returns
    -------
    array (n,)
        NaN where less than :data:`SMALLEST_SHARE` of the window is held, as it is half a window from either end.

    Raises
    ------
    ValueError
        If times do not increase strictly, lengths differ, or the window is negative or infinite.
    """
    seconds = _seconds(time, window_s)
    if values.shape != seconds.shape:
        raise ValueError(f"values have shape {values.shape}, time has {seconds.shape}")
    if window_s == 0.0:
        return values
    known = np.isfinite(values)
    if not known.any():
        return np.full(values.shape, np.nan)
    left, right = _cells(seconds[known], _step(seconds))
    edges = np.column_stack([left, right]).ravel()
    held = np.concatenate([[0.0], np.cumsum(right - left)])
    integral = np.concatenate([[0.0], np.cumsum((right - left) * values[known])])
    # Both are constant between the end of a cell and the begin of the next one.
    place = np.column_stack([np.arange(left.size), np.arange(1, left.size + 1)]).ravel()
    low, high = seconds - 0.5 * window_s, seconds + 0.5 * window_s
    covered, total = (
        np.interp(high, edges, so_far[place]) - np.interp(low, edges, so_far[place]) for so_far in (held, integral)
    )
    enough = covered >= SMALLEST_SHARE * window_s
    return np.asarray(np.divide(total, covered, out=np.full(values.shape, np.nan), where=enough))


def has_whole_window(time: TimeArray, window_s: float) -> NDArray[np.bool_]:
    """Return for which records of a track, (n,), enough of the window around them is held."""
    return np.isfinite(running_mean(time, np.ones(time.shape), window_s))


def footprints(time: TimeArray, at: IndexArray, window_s: float) -> Footprints:
    """Return of which records, with which weights, the running means at some records consist.

    Their weighted sums are what :func:`running_mean` gives, up to rounding.

    Parameters
    ----------
    time : array (n,), datetime64
        UTC, strictly increasing.
    at : array (means,)
        Indices of records, at which enough of the window is held.
    window_s : float
        Width of the window [s], positive.

    Raises
    ------
    ValueError
        If times do not increase strictly, the window is not positive, or too little of one is held.
    """
    seconds = _seconds(time, window_s)
    if window_s == 0.0:
        raise ValueError("a mean needs a window")
    left, right = _cells(seconds, _step(seconds))
    low, high = seconds[at] - 0.5 * window_s, seconds[at] + 0.5 * window_s
    begin, end = np.searchsorted(right, low, side="right"), np.searchsorted(left, high, side="left")
    count = end - begin
    first = (np.cumsum(count) - count).astype(np.int64)
    mean = np.repeat(np.arange(at.size), count)
    record = np.arange(count.sum()) - first[mean] + begin[mean]
    width = np.minimum(right[record], high[mean]) - np.maximum(left[record], low[mean])
    covered = np.add.reduceat(width, first) if at.size else np.zeros(0)
    if (covered < SMALLEST_SHARE * window_s).any():
        raise ValueError("too little of a window is held by records")
    return Footprints(record.astype(np.int64), width / covered[mean], first)


def _seconds(time: TimeArray, window_s: float) -> FloatArray:
    """Return the times since the first one."""
    if not 0.0 <= window_s < np.inf:
        raise ValueError(f"the window of a running mean must not be negative or infinite: {window_s}")
    stamps = increasing_nanoseconds(time)
    return np.asarray((stamps - stamps[:1]) / 1e9, dtype=np.float64)


def _step(seconds: FloatArray) -> float:
    """Return the median time between records; without two of them any window holds too little."""
    return float(np.median(np.diff(seconds))) if seconds.size > 1 else 0.0


def _cells(seconds: FloatArray, step_s: float) -> tuple[FloatArray, FloatArray]:
    """Return begin and end of what each record holds; the cells do not overlap."""
    distance = np.diff(seconds)
    half = 0.5 * np.where(distance > GAP_STEPS * step_s, step_s, distance)
    outer = [0.5 * step_s]
    return seconds - np.concatenate([outer, half]), seconds + np.concatenate([half, outer])
