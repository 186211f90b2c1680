r"""Scores of ensembles and of predictive distributions, addable over chunks.

An ensemble of M members :math:`x_i` and the observation y (Gneiting & Raftery 2007, doi:10.1198/016214506000001437,
Eq. 21):

.. math:: \mathrm{CRPS} = \frac1M\sum_i |x_i - y| - \frac{1}{2M^2}\sum_{i,j}|x_i - x_j|,

with :math:`M(M-1)` instead of :math:`M^2` for the *fair* score, which does not reward small ensembles for too little
spread (Ferro 2014, doi:10.1002/qj.2270). Where a run keeps only mean and standard deviation of the densities,
:class:`LogNormalScores` takes them for those of a log-normal density: :math:`\ln\rho` is normal with
:math:`\sigma^2 = \ln(1 + s^2/m^2)` and mean :math:`\mu = \ln m - \sigma^2/2`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray
from scipy.special import ndtr

from da.verification.keyed_sums import FloatArray

PIT_BINS = 10
PROBABILITY_CLASSES = 10


@dataclass(frozen=True)
class LogNormalValue:
    """Scores of predictive distributions of ln density; NaN without any.

    Parameters
    ----------
    n : int
    crps : float
        Mean continuous ranked probability score of ln density [-]; comparable with the mean absolute ln ratio of a
        forecast without a spread, which is its CRPS.
    bias, dispersion : float
        Mean and standard deviation of the reduced centred variable (ln o - mu) / sigma (Candille et al. 2007,
        doi:10.1175/MWR3429.1): 0 and 1 for a reliable distribution; a dispersion above 1 is too little spread.
    pit : array (PIT_BINS,)
        Relative frequency of the probability integral transform; flat, 1/PIT_BINS each, if reliable.
    """

    n: int
    crps: float
    bias: float
    dispersion: float
    pit: FloatArray


@dataclass(frozen=True)
class LogNormalScores:
    """Sums over points of the scores of log-normal predictive distributions.

    Parameters
    ----------
    n : int
    crps, reduced, reduced_squared : float
        Sums of the CRPS, of the reduced centred variable and of its square.
    pit : array (PIT_BINS,)
        Counts.
    """

    n: int
    crps: float
    reduced: float
    reduced_squared: float
    pit: FloatArray

    @classmethod
    def zero(cls) -> LogNormalScores:
        """Return the scores of no points, the neutral element of the addition."""
        return cls(0, 0.0, 0.0, 0.0, np.zeros(PIT_BINS))

    @classmethod
    def of(cls, observed: FloatArray, modelled: FloatArray, spread: FloatArray) -> LogNormalScores:
        r"""Return the scores of points (n,); those without a positive, finite spread or density are left out.

        With :math:`z = (\ln o - \mu)/\sigma`, CRPS is :math:`\sigma[z(2\Phi(z)-1) + 2\varphi(z) - \pi^{-1/2}]`
        (Gneiting et al. 2005, doi:10.1175/MWR2904.1, Eq. 5).

        Parameters
        ----------
        observed, modelled, spread : array (n,)
            Observation, ensemble mean and ensemble standard deviation of density [kg m-3].
        """
        values = np.stack([observed, modelled, spread])
        known = np.all(np.isfinite(values) & (values > 0.0), axis=0)
        observed, modelled, spread = values[:, known]
        variance = np.log1p((spread / modelled) ** 2)
        sigma = np.sqrt(variance)
        reduced = (np.log(observed / modelled) + 0.5 * variance) / sigma
        probability = ndtr(reduced)
        density = np.exp(-0.5 * reduced**2) / np.sqrt(2.0 * np.pi)
        crps = sigma * (reduced * (2.0 * probability - 1.0) + 2.0 * density - 1.0 / np.sqrt(np.pi))
        pit, _ = np.histogram(probability, bins=PIT_BINS, range=(0.0, 1.0))
        total, squared = float(reduced.sum()), float(np.sum(reduced**2))
        return cls(int(known.sum()), float(crps.sum()), total, squared, pit.astype(np.float64))

    def __add__(self, other: LogNormalScores) -> LogNormalScores:
        """Return the scores of both sets of points together."""
        return LogNormalScores(
            self.n + other.n,
            self.crps + other.crps,
            self.reduced + other.reduced,
            self.reduced_squared + other.reduced_squared,
            self.pit + other.pit,
        )

    def value(self) -> LogNormalValue:
        """Return the mean scores."""
        if not self.n:
            nan = float("nan")
            return LogNormalValue(0, nan, nan, nan, np.full(PIT_BINS, np.nan))
        bias = self.reduced / self.n
        dispersion = float(np.sqrt(max(self.reduced_squared / self.n - bias**2, 0.0)))
        return LogNormalValue(self.n, self.crps / self.n, bias, dispersion, self.pit / self.n)


@dataclass(frozen=True)
class EnsembleValue:
    """Scores of an ensemble; NaN without points.

    Parameters
    ----------
    n : int
    crps, fair_crps : float
        In the units of the values.
    rmse, spread : float
        Of the ensemble mean, and square root of (M + 1)/M times the mean variance: equal for a reliable ensemble
        (Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1).
    rank_frequency : array (members + 1,)
        Rank histogram (Hamill 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2), relative frequencies.
    flatness : float
        Chi-square of the counts against a flat histogram over its degrees of freedom M: about 1 if flat and the
        observations are independent; along an orbit they are not, and larger values are no proof.
    """

    n: int
    crps: float
    fair_crps: float
    rmse: float
    spread: float
    rank_frequency: FloatArray
    flatness: float


@dataclass(frozen=True)
class EnsembleScores:
    """Sums over points of the scores of an ensemble.

    Parameters
    ----------
    n : int
    sums : array (4,)
        Of absolute differences to the observation (mean over members), absolute differences between members (sum
        over pairs over M^2), squared error of the mean, and variance with M - 1.
    ranks : array (members + 1,)
        Counts; an observation equal to k members counts 1/(k + 1) in each of the ranks that it may have.
    """

    n: int
    sums: FloatArray
    ranks: FloatArray

    @classmethod
    def zero(cls, members: int) -> EnsembleScores:
        """Return the scores of no points, the neutral element of the addition."""
        return cls(0, np.zeros(4), np.zeros(members + 1))

    @classmethod
    def of(cls, observed: FloatArray, ensemble: FloatArray) -> EnsembleScores:
        """Return the scores of observations (n,) and members (n, members); points with a NaN are left out.

        Raises
        ------
        ValueError
            If shapes do not fit or there are fewer than two members.
        """
        if ensemble.ndim != 2 or ensemble.shape[0] != observed.size or ensemble.shape[1] < 2:
            raise ValueError(f"{observed.shape} observations do not go with an ensemble {ensemble.shape}")
        known = np.isfinite(observed) & np.isfinite(ensemble).all(axis=1)
        y, members = observed[known], np.sort(ensemble[known], axis=1)
        size = members.shape[1]
        # Of sorted members, sum over pairs |x_i - x_j| = 2 sum_i (2 i - M + 1) x_i with i from 0.
        pairs = 2.0 * (members @ (2.0 * np.arange(size) - size + 1.0)) / size**2
        error = np.abs(members - y[:, None]).mean(axis=1)
        squared = (members.mean(axis=1) - y) ** 2
        sums = np.stack([error, pairs, squared, members.var(axis=1, ddof=1)]).sum(axis=1)
        return cls(int(known.sum()), sums, _rank_counts(y, members))

    def __add__(self, other: EnsembleScores) -> EnsembleScores:
        """Return the scores of both sets of points; ValueError if the numbers of members differ."""
        if self.ranks.size != other.ranks.size:
            raise ValueError(f"ensembles of {self.ranks.size - 1} and {other.ranks.size - 1} members cannot be added")
        return EnsembleScores(self.n + other.n, self.sums + other.sums, self.ranks + other.ranks)

    def value(self) -> EnsembleValue:
        """Return the mean scores."""
        size = self.ranks.size - 1
        if not self.n:
            nan = float("nan")
            return EnsembleValue(0, nan, nan, nan, nan, np.full(size + 1, np.nan), nan)
        error, pairs, squared, variance = self.sums / self.n
        expected = self.n / (size + 1)
        return EnsembleValue(
            n=self.n,
            crps=float(error - 0.5 * pairs),
            fair_crps=float(error - 0.5 * pairs * size / (size - 1)),
            rmse=float(np.sqrt(squared)),
            spread=float(np.sqrt(variance * (size + 1) / size)),
            rank_frequency=self.ranks / self.n,
            flatness=float(np.sum((self.ranks - expected) ** 2) / expected / size),
        )


def _rank_counts(observed: FloatArray, members: FloatArray) -> FloatArray:
    below = np.sum(members < observed[:, None], axis=1)
    equal = np.sum(members == observed[:, None], axis=1)
    counts = np.zeros(members.shape[1] + 1)
    for ties in np.unique(equal):
        lowest = below[equal == ties]
        for step in range(int(ties) + 1):
            np.add.at(counts, lowest + step, 1.0 / (ties + 1.0))
    return counts


def _sums(index: NDArray[np.int64], values: FloatArray, size: int) -> FloatArray:
    return np.bincount(index, values, minlength=size).astype(np.float64)


@dataclass(frozen=True)
class SpreadSkill:
    """Error against spread in classes of spread: the points of a reliable ensemble lie on the diagonal.

    Parameters
    ----------
    edges : array (classes + 1,)
        Of the spread; values outside are left out and counted nowhere.
    count, variance, squared_error : array (classes,)
        Number, sum of variances and sum of squared errors in each class.
    """

    edges: FloatArray
    count: FloatArray
    variance: FloatArray
    squared_error: FloatArray

    @classmethod
    def of(cls, error: FloatArray, spread: FloatArray, edges: FloatArray) -> SpreadSkill:
        """Return the classes of errors and spreads (n,) in the same units; NaN are left out."""
        known = np.isfinite(error) & np.isfinite(spread) & (spread >= edges[0]) & (spread < edges[-1])
        index = np.searchsorted(edges, spread[known], side="right") - 1
        size = edges.size - 1
        return cls(
            edges,
            _sums(index, np.ones(index.size), size),
            _sums(index, spread[known] ** 2, size),
            _sums(index, error[known] ** 2, size),
        )

    @classmethod
    def zero(cls, edges: FloatArray) -> SpreadSkill:
        """Return empty classes, the neutral element of the addition."""
        return cls(edges, *(np.zeros(edges.size - 1) for _ in range(3)))

    def __add__(self, other: SpreadSkill) -> SpreadSkill:
        """Return the classes of both sets of points; ValueError if the classes differ."""
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("spread-skill classes with different edges cannot be added")
        return SpreadSkill(
            self.edges,
            self.count + other.count,
            self.variance + other.variance,
            self.squared_error + other.squared_error,
        )

    def value(self) -> tuple[FloatArray, FloatArray]:
        """Return root mean square spread and error of each class (classes,); NaN where a class is empty."""
        number = np.where(self.count > 0.0, self.count, np.nan)
        return np.sqrt(self.variance / number), np.sqrt(self.squared_error / number)


@dataclass(frozen=True)
class ReliabilityValue:
    """Reliability diagram and decomposition of the Brier score (Murphy 1973).

    ``brier = reliability - resolution + uncertainty`` exactly, for probabilities replaced by the mean of their class.

    Parameters
    ----------
    probability, frequency : array (classes,)
        Mean forecast probability and observed relative frequency; NaN where a class is empty.
    count : array (classes,)
    reliability, resolution, uncertainty, brier : float
        ``brier`` is that of the probabilities themselves.
    """

    probability: FloatArray
    frequency: FloatArray
    count: FloatArray
    reliability: float
    resolution: float
    uncertainty: float
    brier: float


@dataclass(frozen=True)
class Reliability:
    """Forecast probabilities of an event, such as a density above a threshold, against its occurrence.

    Parameters
    ----------
    count, probability, occurred : array (classes,)
        Number of forecasts in classes of probability of equal width, sums of probabilities and of occurrences.
    squared : float
        Sum of squared differences, for the Brier score.
    """

    count: FloatArray
    probability: FloatArray
    occurred: FloatArray
    squared: float

    @classmethod
    def zero(cls, classes: int = PROBABILITY_CLASSES) -> Reliability:
        """Return empty classes, the neutral element of the addition."""
        return cls(np.zeros(classes), np.zeros(classes), np.zeros(classes), 0.0)

    @classmethod
    def of(cls, probability: FloatArray, occurred: FloatArray, classes: int = PROBABILITY_CLASSES) -> Reliability:
        """Return the classes of probabilities (n,) in [0, 1] and occurrences (n,), 0 or 1; NaN are left out."""
        known = np.isfinite(probability) & np.isfinite(occurred)
        p, o = probability[known], occurred[known]
        if np.any((p < 0.0) | (p > 1.0)) or not np.all(np.isin(o, (0.0, 1.0))):
            raise ValueError("probabilities must lie within 0 and 1, occurrences be 0 or 1")
        index = np.minimum((p * classes).astype(np.int64), classes - 1)
        number, probabilities, occurrences = (_sums(index, values, classes) for values in (np.ones(p.size), p, o))
        return cls(number, probabilities, occurrences, float(np.sum((p - o) ** 2)))

    def __add__(self, other: Reliability) -> Reliability:
        """Return the classes of both sets of forecasts."""
        if self.count.size != other.count.size:
            raise ValueError(f"{self.count.size} and {other.count.size} classes cannot be added")
        return Reliability(
            self.count + other.count,
            self.probability + other.probability,
            self.occurred + other.occurred,
            self.squared + other.squared,
        )

    def value(self) -> ReliabilityValue:
        """Return the diagram and the decomposition; NaN without forecasts."""
        n = self.count.sum()
        number = np.where(self.count > 0.0, self.count, np.nan)
        probability, frequency = self.probability / number, self.occurred / number
        if not n:
            return ReliabilityValue(probability, frequency, self.count, *[float("nan")] * 4)
        climate = self.occurred.sum() / n
        return ReliabilityValue(
            probability,
            frequency,
            self.count,
            reliability=float(np.nansum(self.count * (probability - frequency) ** 2) / n),
            resolution=float(np.nansum(self.count * (frequency - climate) ** 2) / n),
            uncertainty=float(climate * (1.0 - climate)),
            brier=self.squared / float(n),
        )


def exceedance_probability(modelled: FloatArray, spread: FloatArray, threshold: FloatArray) -> FloatArray:
    """Return the probability that log-normal densities of this mean and standard deviation exceed thresholds (n,)."""
    variance = np.log1p((spread / modelled) ** 2)
    centre = np.log(modelled) - 0.5 * variance
    return np.asarray(scipy.stats.norm.sf((np.log(threshold) - centre) / np.sqrt(variance)))
