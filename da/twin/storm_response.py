"""A storm response of the synthetic truth's own: delayed, slowly relaxing, stronger towards the poles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.drivers import ApInterpolation, Drivers

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

STEP = np.timedelta64(300 * 10**9, "ns")
"""Step of the sum over the past: 5 min."""

MEMORY_RELAXATIONS = 4.0
"""The past is remembered for this many relaxation times, beyond which its weight would be below 2 percent."""

_STEP_H = 5.0 / 60.0
_LOOK_AHEAD_OF_MIDPOINTS_H = 1.5 + _STEP_H
_AP_SCALE = 100.0


@dataclass(frozen=True, eq=False)
class StormResponse:
    """Response in ln density to the geomagnetic activity of the past only.

    ::

        s(t, lat) = response [f + (1 - f) sin^2 lat] S(t) / (1 + S(t))
        S(t) = sum_j w_j q(t - lag - j dt),   w_j ~ exp(-j dt / relaxation),   sum_j w_j = 1
        q = max(ap - quiet_ap, 0) / 100

    with ``dt`` = 5 min, ``j dt`` up to four relaxation times, and ``f`` the ``equator_fraction``. ``S`` is
    summed on a fixed 5-min grid of UTC and linear in between, so that it does not depend on which times are
    asked for together. Where ap is read linearly between the mid-points of its intervals, it begins to follow
    an interval 1.5 h before that begins; the lag must be longer than that.

    Parameters
    ----------
    drivers : Drivers
    response : float
        Change of ln density at the poles that the strongest storms tend to; half of it is reached by a
        lasting ap of ``quiet_ap + 100``.
    quiet_ap : float
        ap [2 nT] up to which there is no response.
    lag_h, relaxation_h : float
    equator_fraction : float
        Response at the equator relative to the poles.

    Raises
    ------
    ValueError
        If the relaxation time is not positive or the lag so short that ``s`` would depend on the future.
    """

    drivers: Drivers
    response: float
    quiet_ap: float
    lag_h: float
    relaxation_h: float
    equator_fraction: float

    def __post_init__(self) -> None:
        """Refuse a response that would not be causal."""
        midpoints = self.drivers.ap_interpolation is ApInterpolation.MIDPOINTS
        shortest = _LOOK_AHEAD_OF_MIDPOINTS_H if midpoints else _STEP_H
        if not self.lag_h >= shortest:
            raise ValueError(f"the storm lag must be at least {shortest:.2f} h (causality), not {self.lag_h}")
        if not self.relaxation_h > 0.0:
            raise ValueError(f"the storm relaxation time must be positive, not {self.relaxation_h}")

    def evaluate(self, time: TimeArray, latitude: FloatArray) -> FloatArray:
        """Return ``s`` at times and latitudes [degrees], arrays (n,): change of ln density.

        Raises
        ------
        ThermodaError
            If the drivers do not reach back over lag and memory.
        """
        if self.response == 0.0 or time.size == 0:
            return np.zeros(time.shape)
        pattern = self.equator_fraction + (1.0 - self.equator_fraction) * np.sin(np.radians(latitude)) ** 2
        activity = self.activity(time)
        return np.asarray(self.response * pattern * activity / (1.0 + activity), dtype=np.float64)

    def activity(self, time: TimeArray) -> FloatArray:
        """Return the delayed and smoothed activity ``S`` at times (n,), not negative."""
        elapsed, step = time.astype("datetime64[ns]").astype(np.int64), int(STEP.astype(np.int64))
        first, last = int(elapsed.min()) // step, int(elapsed.max()) // step + 1
        weights = self._weights()
        nodes = np.arange(first - weights.size + 1, last + 1) * step
        lag = np.timedelta64(round(self.lag_h * 3600.0e9), "ns")
        ap = self.drivers.ap(nodes.astype("datetime64[ns]") - lag)
        smoothed = np.convolve(np.maximum(ap - self.quiet_ap, 0.0) / _AP_SCALE, weights, mode="valid")
        position = (elapsed - first * step) / step
        return np.asarray(np.interp(position, np.arange(smoothed.size), smoothed), dtype=np.float64)

    def _weights(self) -> FloatArray:
        ages_h = _STEP_H * np.arange(1 + round(MEMORY_RELAXATIONS * self.relaxation_h / _STEP_H))
        weights = np.exp(-ages_h / self.relaxation_h)
        return np.asarray(weights / weights.sum(), dtype=np.float64)
