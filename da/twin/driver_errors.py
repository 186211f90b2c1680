"""Drivers as the synthetic truth feels them: the published indices with errors that nobody is told."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers
from da.seeding import Purpose, stream
from da.twin.day_to_day import cauchy_frequencies
from da.twin.dipole import days_since_2000

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

F107_STREAM, KP_STREAM = 1, 2
"""Numbers of the random streams of the two errors."""

SMALLEST_F107_SFU = 60.0
"""No error brings F10.7 below this: the quietest Sun measured had about 64 sfu."""

_TERMS = 24
_KP_MIDDLES = np.arange(90, 1440, 180) * np.timedelta64(60_000_000_000, "ns")


@dataclass(frozen=True)
class DriverErrors:
    """Errors of F10.7 and Kp.

    Parameters
    ----------
    seed : int
    f107_error_sfu : float
        Constant, added to the daily and to the 81-day F10.7.
    f107_variation_sfu : float
        Standard deviation of what wanders, added to the daily F10.7 alone.
    f107_memory_d : float
        e-folding time of its correlation.
    kp_variation : float
        Standard deviation of what wanders in Kp. It is added in thirds, as Kp is counted, within 0 and 9.
    kp_memory_d : float
    """

    seed: int
    f107_error_sfu: float
    f107_variation_sfu: float
    f107_memory_d: float
    kp_variation: float
    kp_memory_d: float

    def applied(self, drivers: Drivers) -> Drivers:
        """Return the drivers with the errors; without any, their values are unchanged.

        Both wandering errors are sums of cosines with the spectrum of a first-order autoregressive process
        (`da.twin.day_to_day`), so that they depend on the seed and the time alone.
        """
        midnight = drivers.day.astype("datetime64[ns]")
        noon = np.asarray(midnight + np.timedelta64(12, "h"), dtype="datetime64[ns]")
        wandering = self.f107_variation_sfu * self._series(F107_STREAM, noon, self.f107_memory_d)
        middles = np.asarray(midnight[:, None] + _KP_MIDDLES, dtype="datetime64[ns]")
        thirds = 3.0 * self.kp_variation * self._series(KP_STREAM, middles.ravel(), self.kp_memory_d)
        daily = drivers.f107_observed_sfu + self.f107_error_sfu + wandering
        changed = drivers.kp_thirds + np.rint(thirds).astype(drivers.kp_thirds.dtype)
        return replace(
            drivers,
            f107_observed_sfu=np.maximum(daily, np.minimum(SMALLEST_F107_SFU, drivers.f107_observed_sfu)),
            f107_81day_sfu=drivers.f107_81day_sfu + self.f107_error_sfu,
            kp_thirds=np.clip(changed, 0, 27),
        )

    def _series(self, number: int, time: TimeArray, memory_d: float) -> FloatArray:
        """Return a series of mean square one at times (n,)."""
        uniform = stream(self.seed, Purpose.TWIN_TRUTH, number).uniform(size=(2, _TERMS))
        frequency = cauchy_frequencies(uniform[0], memory_d)
        turns = np.multiply.outer(days_since_2000(time), frequency) + 2.0 * np.pi * uniform[1]
        return np.asarray(np.sqrt(2.0 / _TERMS) * np.cos(turns).sum(axis=1), dtype=np.float64)
