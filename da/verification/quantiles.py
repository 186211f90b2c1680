r"""Medians and quantiles that add over chunks.

No summary of fixed size gives a quantile exactly. Two are offered: :class:`~da.verification.statistics.CollectedValues`
keeps every value (exact; 8 bytes each), :class:`LogRatioHistogram` counts :math:`\ln(\rho^o/\rho^m)` in fixed bins
(memory does not grow; error at most half a bin, 0.05 % of the density with the default width of 0.001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from da.verification.keyed_sums import FloatArray, IntArray


@dataclass(frozen=True)
class LogRatioHistogram:
    """Counts of ln ratios in bins of equal width, with the values beyond the last edges kept in the outermost bins.

    Parameters
    ----------
    counts : array of int (bins,)
    width : float
        Of a bin in ln(observation/model).
    limit : float
        The bins reach from ``-limit`` to ``limit``: with 5, ratios from 1/148 to 148.
    """

    counts: IntArray
    width: float
    limit: float

    @classmethod
    def zero(cls, width: float = 1e-3, limit: float = 5.0) -> LogRatioHistogram:
        """Return the histogram of no values, the neutral element of the addition."""
        if not 0.0 < width <= limit:
            raise ValueError(f"bins of {width} do not divide the range from {-limit} to {limit}")
        return cls(np.zeros(round(2.0 * limit / width), dtype=np.int64), width, limit)

    @classmethod
    def of(
        cls, observed: FloatArray, modelled: FloatArray, width: float = 1e-3, limit: float = 5.0
    ) -> LogRatioHistogram:
        """Return the histogram of pairs (n,); pairs without a logarithm (NaN, not positive) are left out."""
        empty = cls.zero(width, limit)
        known = np.isfinite(observed) & np.isfinite(modelled) & (observed > 0.0) & (modelled > 0.0)
        ratio = np.log(observed[known] / modelled[known])
        index = np.clip(np.floor((ratio + limit) / width), 0, empty.counts.size - 1).astype(np.int64)
        return cls(np.bincount(index, minlength=empty.counts.size).astype(np.int64), width, limit)

    def __add__(self, other: LogRatioHistogram) -> LogRatioHistogram:
        """Return the histogram of both sets of pairs.

        Raises
        ------
        ValueError
            If the bins differ.
        """
        if (self.width, self.limit) != (other.width, other.limit):
            raise ValueError("histograms of different bins cannot be added")
        return LogRatioHistogram(self.counts + other.counts, self.width, self.limit)

    @property
    def n(self) -> int:
        """Number of values counted."""
        return int(self.counts.sum())

    def quantile(self, probability: float) -> float:
        """Return the middle of the bin in which the quantile lies; NaN without values.

        The quantile is the smallest value with at least ``probability`` of the values at or below it ("inverted_cdf").
        """
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"a probability lies within 0 and 1, not {probability}")
        if not self.n:
            return float("nan")
        needed = max(1, int(np.ceil(probability * self.n - 1e-9)))
        bin_number = int(np.searchsorted(np.cumsum(self.counts), needed))
        return float((bin_number + 0.5) * self.width - self.limit)
