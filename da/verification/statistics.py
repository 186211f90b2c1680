r"""Statistics of model minus observation that add up over chunks, ranks, satellites and months.

Eight quantities per pair are reduced to their number, means and co-moments: the observed density :math:`\rho^o`, the
modelled :math:`\rho^m`, the difference :math:`\rho^m - \rho^o`, :math:`\ln(\rho^o/\rho^m)`, the ensemble variance, and
the absolute values of the difference, of the difference over the observation and of the logarithm.
Two such summaries are merged by the updating formula of Chan, Golub & LeVeque (1982,
doi:10.1007/978-3-642-51461-6_3), for co-moments

.. math:: C = C_a + C_b + \frac{n_a n_b}{n_a + n_b} (\bar x_b - \bar x_a)(\bar x_b - \bar x_a)^T,

which adds no differences of large sums of squares: nothing cancels, whatever the size of the densities. The median is
the exception: no summary of fixed size gives it exactly, so :class:`CollectedValues` keeps every value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_OBSERVED, _MODELLED, _DIFFERENCE, _LOG_RATIO, _VARIANCE, _ABSOLUTE, _PERCENTAGE, _ABSOLUTE_LOG = range(8)


@dataclass(frozen=True)
class Scores:
    r"""What a table shows of one set of pairs; NaN where a score is not defined.

    Parameters
    ----------
    n : int
        Number of pairs.
    mean_difference, rmse : float
        Mean and root mean square of model minus observation [kg m-3].
    mean_log_ratio, std_log_ratio, rms_log_ratio : float
        Of ln(observation/model) [-]; the standard deviation is taken with 1/n, so that rms^2 = mean^2 + std^2. In
        logarithms twice and half the observed density are errors of equal size, and quiet and storm weigh alike
        (on ratios as measures of thermosphere models: Bruinsma et al. 2021, doi:10.1051/swsc/2021002).
    correlation : float
        Pearson's, of the densities.
    spread_to_error : float
        Square root of the mean ensemble variance over ``rmse``; about 1 for an ensemble that knows its own error
        (Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1) where the error of the observations is small. NaN without
        an ensemble and for a perfect model.
    mean_absolute_difference : float
        [kg m-3].
    mape_percent : float
        Mean absolute percentage error, 100 mean(abs(model - observation) / observation).
    prediction_efficiency : float
        1 - mse / variance of the observations: 1 for a perfect model, 0 for one no better than the observed mean, and
        negative below that. With the two normalised errors it is recommended for densities of the thermosphere by
        Eyiguler et al. (2019, doi:10.1029/2018SW002033). NaN for constant observations.
    nrmse_mean, nrmse_range : float
        ``rmse`` over the mean, and over the range (largest minus smallest), of the observations [-]. The range makes
        the score of parts incomparable with that of the whole.
    mean_absolute_log_ratio : float
        Mean of abs(ln(observation/model)), the CRPS of a forecast of ln density that claims to be certain.
    """

    n: int
    mean_difference: float
    rmse: float
    mean_log_ratio: float
    std_log_ratio: float
    rms_log_ratio: float
    correlation: float
    spread_to_error: float
    mean_absolute_difference: float
    mape_percent: float
    prediction_efficiency: float
    nrmse_mean: float
    nrmse_range: float
    mean_absolute_log_ratio: float


@dataclass(frozen=True)
class PairStatistics:
    """Number, means and co-moments of pairs of observed and modelled densities.

    Parameters
    ----------
    n : int
        Number of pairs.
    mean : array (8,)
        Of observed density, modelled density, difference, ln ratio, ensemble variance (NaN without an ensemble),
        absolute difference, absolute percentage, absolute ln ratio.
    comoment : array (8, 8)
        Sums of products of the deviations from the means.
    lowest, highest : float
        Smallest and largest observed density; plus and minus infinity without pairs.
    """

    n: int
    mean: FloatArray
    comoment: FloatArray
    lowest: float = np.inf
    highest: float = -np.inf

    @classmethod
    def zero(cls) -> PairStatistics:
        """Return the statistics of no pairs, the neutral element of the addition."""
        return cls(0, np.zeros(8), np.zeros((8, 8)))

    @classmethod
    def of(cls, observed: FloatArray, modelled: FloatArray, spread: FloatArray | None = None) -> PairStatistics:
        """Return the statistics of pairs.

        Parameters
        ----------
        observed, modelled : array (n,)
            Densities [kg m-3], finite and positive.
        spread : array (n,), optional
            Ensemble standard deviation of the modelled density [kg m-3].

        Raises
        ------
        ValueError
            If the lengths differ or a density is not finite and positive.
        """
        if spread is None:
            spread = np.full(observed.shape, np.nan)
        if not observed.shape == modelled.shape == spread.shape or observed.ndim != 1:
            raise ValueError(
                f"observed {observed.shape}, modelled {modelled.shape} and spread {spread.shape} must be equally long"
            )
        for name, values in (("observed", observed), ("modelled", modelled)):
            if not np.all(np.isfinite(values) & (values > 0.0)):
                raise ValueError(f"{name} densities must be finite and positive")
        if observed.size == 0:
            return cls.zero()
        difference, log_ratio = modelled - observed, np.log(observed / modelled)
        absolute = np.abs(difference)
        columns = (difference, log_ratio, spread**2, absolute, 100.0 * absolute / observed, np.abs(log_ratio))
        quantities = np.stack([observed, modelled, *columns])
        mean = quantities.mean(axis=1)
        deviation = quantities - mean[:, None]
        return cls(observed.size, mean, deviation @ deviation.T, float(observed.min()), float(observed.max()))

    def __add__(self, other: PairStatistics) -> PairStatistics:
        """Return the statistics of both sets of pairs together."""
        if not self.n or not other.n:
            return self if self.n else other
        n = self.n + other.n
        step = other.mean - self.mean
        comoment = self.comoment + other.comoment + np.outer(step, step) * (self.n * other.n / n)
        mean = self.mean + step * (other.n / n)
        return PairStatistics(n, mean, comoment, min(self.lowest, other.lowest), max(self.highest, other.highest))

    def value(self) -> Scores:
        """Return the scores of the pairs; all but ``n`` are NaN where there are none."""
        if not self.n:
            return Scores(0, *[float("nan")] * 13)
        mean, root = self.mean, np.sqrt(np.diag(self.comoment) / self.n)
        rmse = float(np.hypot(mean[_DIFFERENCE], root[_DIFFERENCE]))
        spread = float(np.sqrt(mean[_VARIANCE]))
        return Scores(
            n=self.n,
            mean_difference=float(mean[_DIFFERENCE]),
            rmse=rmse,
            mean_log_ratio=float(mean[_LOG_RATIO]),
            std_log_ratio=float(root[_LOG_RATIO]),
            rms_log_ratio=float(np.hypot(mean[_LOG_RATIO], root[_LOG_RATIO])),
            correlation=self._correlation(root),
            spread_to_error=_over(spread, rmse),
            mean_absolute_difference=float(mean[_ABSOLUTE]),
            mape_percent=float(mean[_PERCENTAGE]),
            prediction_efficiency=1.0 - _over(rmse, float(root[_OBSERVED])) ** 2,
            nrmse_mean=rmse / float(mean[_OBSERVED]),
            nrmse_range=_over(rmse, self.highest - self.lowest),
            mean_absolute_log_ratio=float(mean[_ABSOLUTE_LOG]),
        )

    def _correlation(self, root: FloatArray) -> float:
        if not (root[_OBSERVED] > 0.0 and root[_MODELLED] > 0.0):
            return float("nan")
        # Two divisions instead of one by the product keep densities of any size away from underflow.
        covariance = self.comoment[_OBSERVED, _MODELLED] / self.n
        return float(np.clip(covariance / root[_OBSERVED] / root[_MODELLED], -1.0, 1.0))


def _over(value: float, scale: float) -> float:
    return value / scale if scale > 0.0 else float("nan")


@dataclass(frozen=True)
class CollectedValues:
    """All values of one quantity, kept because the median of parts does not give the median of the whole.

    Adding concatenates, so the memory grows with the number of values: 8 bytes each.

    Parameters
    ----------
    values : array (n,)
        In the order in which they were added.
    """

    values: FloatArray

    @classmethod
    def zero(cls) -> CollectedValues:
        """Return no values, the neutral element of the addition."""
        return cls(np.zeros(0))

    def __add__(self, other: CollectedValues) -> CollectedValues:
        """Return the values of both."""
        return CollectedValues(np.concatenate([self.values, other.values]))

    def median(self) -> float:
        """Return the median, NaN where there are no values."""
        return float(np.median(self.values)) if self.values.size else float("nan")

    def quantile(self, probability: float) -> float:
        """Return a quantile, linear between the values; NaN where there are none."""
        return float(np.quantile(self.values, probability)) if self.values.size else float("nan")
