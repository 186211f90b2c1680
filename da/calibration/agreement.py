r"""Whether two satellites agree: their scale factors, each against NRLMSIS, over the time that both measured.

Of both series of ln s the median over intervals of one and a half hours is taken, about an orbit, so that what differs
along it cancels and outliers do not count. The differences :math:`d_i` of these have the median :math:`\tilde d`; its
standard error is that of the median of normal differences, :math:`\sqrt{\pi/2}\,\hat\sigma/\sqrt{n_e}`, with
:math:`\hat\sigma` 1.4826 times the median absolute deviation, and with the number of independent values
:math:`n_e = n (1 - r)/(1 + r)` from the correlation r of successive differences (Zwiers & von Storch 1995,
doi:10.1175/1520-0442(1995)008<0336:TSCIAI>2.0.CO;2).

NRLMSIS itself is not wrong by one factor at all heights and local times, and drag coefficients differ between products
by ten per cent and more (March et al. 2019, doi:10.1016/j.asr.2018.07.009). Satellites therefore disagree only where
the median is beyond an accepted difference by more than some standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.calibration.quality_control import MAD_TO_STANDARD_DEVIATION
from da.calibration.scale_factors import ScaleFactors

FloatArray = NDArray[np.float64]

INTERVAL_S = 5400.0
FEWEST_RECORDS = 5
"""Records that make the mean of an interval."""
FEWEST_INTERVALS = 5
"""From fewer, neither a spread nor a correlation can be told."""
LARGEST_CORRELATION = 0.95
"""Beyond it, the number of independent values is anyone's guess."""


@dataclass(frozen=True)
class Agreement:
    """How the scale factors of two satellites compare.

    Parameters
    ----------
    first, second : str
        Names of the satellites.
    difference : float
        Median of ln(s_first / s_second); NaN where it cannot be told.
    error : float
        Its standard error.
    intervals : int
        Number of intervals in which both measured.
    """

    first: str
    second: str
    difference: float
    error: float
    intervals: int

    @property
    def known(self) -> bool:
        """Whether both measured for long enough together."""
        return bool(np.isfinite(self.difference))

    def beyond(self, accepted: float, threshold: float) -> bool:
        """Return whether the difference exceeds an accepted one of ln s by more than so many standard errors."""
        return self.known and abs(self.difference) > accepted + threshold * self.error

    @property
    def describe(self) -> str:
        """The comparison in words."""
        if not self.known:
            return f"{self.first} and {self.second} measured together for too short a time to be compared"
        return (
            f"scale factors of {self.first} are {np.exp(self.difference):.3f} times those of {self.second} "
            f"(ln {self.difference:+.3f} +- {self.error:.3f}, {self.intervals} intervals of "
            f"{INTERVAL_S / 3600.0:g} h)"
        )


def agreement(first: ScaleFactors, second: ScaleFactors) -> Agreement:
    """Return how the scale factors of two satellites compare; outliers may be among them."""
    origin = min(first.time[0], second.time[0])
    ours, theirs = (_means(one, origin) for one in (first, second))
    length = min(ours.size, theirs.size)
    difference = ours[:length] - theirs[:length]
    both = np.isfinite(difference)
    count = int(np.count_nonzero(both))
    if count < FEWEST_INTERVALS:
        return Agreement(first.satellite, second.satellite, np.nan, np.nan, count)
    median = float(np.median(difference[both]))
    deviation = MAD_TO_STANDARD_DEVIATION * float(np.median(np.abs(difference[both] - median)))
    correlation = _successive_correlation(difference - median, 3.0 * deviation)
    independent = max(count * (1.0 - correlation) / (1.0 + correlation), 1.0)
    error = float(np.sqrt(0.5 * np.pi / independent)) * deviation
    return Agreement(first.satellite, second.satellite, median, error, count)


def _means(factors: ScaleFactors, origin: np.datetime64) -> FloatArray:
    """Return the median of ln s in each interval since the origin, NaN where there are too few records."""
    number = ((factors.time - origin) // np.timedelta64(round(1e9 * INTERVAL_S), "ns")).astype(np.int64)
    edges = np.searchsorted(number, np.arange(number[-1] + 2))
    parts = [factors.ln_factor[low:high] for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return np.array([np.median(part) if part.size >= FEWEST_RECORDS else np.nan for part in parts])


def _successive_correlation(values: FloatArray, limit: float) -> float:
    """Return the correlation of successive values, those beyond the limit brought to it; at least zero."""
    bounded = np.clip(values, -limit, limit)
    first, second = bounded[:-1], bounded[1:]
    both = np.isfinite(first) & np.isfinite(second)
    variance = float(np.nanmean(bounded**2))
    if not both.any() or variance == 0.0:
        return 0.0
    return float(np.clip(np.mean(first[both] * second[both]) / variance, 0.0, LARGEST_CORRELATION))
