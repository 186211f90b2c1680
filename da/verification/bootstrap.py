r"""Confidence intervals and significance that respect the correlation along orbits.

Errors along a track are correlated over many points, and from orbit to orbit during a storm. Points are therefore
summed per orbit, and *blocks of L consecutive orbits* are drawn with replacement, wrapping round at the end (circular
block bootstrap, Politis & Romano 1992); L = n^(1/3) rounded up (rate of Hall et al. 1995, doi:10.1093/biomet/82.3.561)
unless given. Two models at the same points are compared with the same draws, so that what they share cancels.

The Diebold-Mariano test (1995, doi:10.1080/07350015.1995.10524599) uses orbit means of the difference of squared
ln ratios and the variance of their mean by Bartlett weights up to lag L - 1 (Newey & West 1987, doi:10.2307/1913610),
with Student's t of n - 1 degrees; for L = 1 it is the paired t-test and equals Harvey et al.'s (1997,
doi:10.1016/S0169-2070(96)00719-4) version for one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.stats

from da.verification.keyed_sums import FloatArray, IntArray, KeyedSums

MINIMUM_ORBITS = 6
"""Fewer orbits give no interval: their resamples are too few and too alike."""

REPLICATES = 1000
LEVEL = 0.95
_QUANTITIES = ("difference", "squared", "log_ratio", "log_ratio_squared", "percentage")


@dataclass(frozen=True)
class Interval:
    """A statistic with its confidence interval; the bounds are NaN where there are too few orbits.

    Parameters
    ----------
    value, lower, upper : float
    """

    value: float
    lower: float
    upper: float


def error_sums(orbit: IntArray, observed: FloatArray, modelled: FloatArray) -> KeyedSums:
    """Return the sums per orbit from which :func:`confidence_intervals` draws; they add over chunks.

    Parameters
    ----------
    orbit : array of int (n,)
    observed, modelled : array (n,)
        Densities [kg m-3]; points without a positive value of both are left out.
    """
    known = (observed > 0.0) & (modelled > 0.0) & np.isfinite(observed) & np.isfinite(modelled)
    o, m = observed[known], modelled[known]
    difference, log_ratio = m - o, np.log(o / m)
    quantities = (difference, difference**2, log_ratio, log_ratio**2, 100.0 * np.abs(difference) / o)
    return KeyedSums.of(orbit[known], dict(zip(_QUANTITIES, quantities, strict=True)))


def block_length(orbits: int) -> int:
    """Return the number of consecutive orbits drawn together, n^(1/3) rounded up."""
    # Rounding first keeps the cube root of 27 from being 3.0000000000000004.
    return max(1, int(np.ceil(round(orbits ** (1.0 / 3.0), 9))))


def resampled_counts(orbits: int, length: int, replicates: int, rng: np.random.Generator) -> IntArray:
    """Return how often each orbit is drawn in each replicate (replicates, orbits); every row sums to ``orbits``.

    Raises
    ------
    ValueError
        If the length of the blocks is not between one and the number of orbits.
    """
    if not 1 <= length <= orbits:
        raise ValueError(f"blocks of {length} orbits cannot be drawn from {orbits}")
    blocks = -(-orbits // length)
    starts = rng.integers(0, orbits, size=(replicates, blocks))
    drawn = ((starts[:, :, None] + np.arange(length)) % orbits).reshape(replicates, -1)[:, :orbits]
    flat = drawn + orbits * np.arange(replicates)[:, None]
    return np.bincount(flat.ravel(), minlength=replicates * orbits).reshape(replicates, orbits).astype(np.int64)


def _columns(means: FloatArray) -> dict[str, FloatArray]:
    """Return statistics from the means of the quantities (..., quantities)."""
    difference, squared, log_ratio, log_squared, percentage = np.moveaxis(means, -1, 0)
    return {
        "mean_difference": difference,
        "rmse": np.sqrt(squared),
        "mean_log_ratio": log_ratio,
        "std_log_ratio": np.sqrt(np.maximum(log_squared - log_ratio**2, 0.0)),
        "rms_log_ratio": np.sqrt(log_squared),
        "mape_percent": percentage,
    }


def confidence_intervals(
    sums: KeyedSums,
    rng: np.random.Generator,
    *,
    length: int | None = None,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Mapping[str, Interval]:
    """Return bias, RMSE, mean, std and RMS of ln ratio and MAPE with percentile intervals.

    Parameters
    ----------
    sums : KeyedSums
        Of :func:`error_sums`.
    rng : numpy.random.Generator
        The same seed gives the same intervals, whatever the chunks.
    length : int or None
        Consecutive orbits per block; None: :func:`block_length`.
    replicates : int
    level : float
        Of confidence.
    """
    orbits = sums.keys.size
    if not orbits:
        nan = float("nan")
        return {name: Interval(nan, nan, nan) for name in _columns(np.full(len(_QUANTITIES), np.nan))}
    found = _columns(sums.sums.sum(axis=0) / sums.count.sum())
    if orbits < MINIMUM_ORBITS:
        return {name: Interval(float(value), float("nan"), float("nan")) for name, value in found.items()}
    counts = resampled_counts(orbits, length or block_length(orbits), replicates, rng)
    drawn = _columns((counts @ sums.sums) / (counts @ sums.count)[:, None])
    tails = (0.5 - 0.5 * level, 0.5 + 0.5 * level)
    bounds = {name: np.quantile(values, tails) for name, values in drawn.items()}
    return {name: Interval(float(value), *(float(b) for b in bounds[name])) for name, value in found.items()}


def bootstrap_interval(
    values: FloatArray,
    orbit: IntArray,
    statistic: Callable[[FloatArray], float],
    rng: np.random.Generator,
    *,
    length: int | None = None,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Interval:
    """Return any statistic of values (n,), such as a median, with its block-bootstrap interval; slow but general.

    Parameters
    ----------
    values : array (n,)
        NaN are left out.
    orbit : array of int (n,)
    statistic : callable
        Values -> number.
    rng, length, replicates, level
        See :func:`confidence_intervals`.
    """
    known = np.isfinite(values)
    if not known.any():
        return Interval(*[float("nan")] * 3)
    kept = values[known]
    numbers, group = np.unique(orbit[known], return_inverse=True)
    if numbers.size < MINIMUM_ORBITS:
        return Interval(statistic(kept), float("nan"), float("nan"))
    counts = resampled_counts(numbers.size, length or block_length(numbers.size), replicates, rng)
    drawn = [statistic(np.repeat(kept, row[group])) for row in counts]
    lower, upper = np.quantile(drawn, (0.5 - 0.5 * level, 0.5 + 0.5 * level))
    return Interval(statistic(kept), float(lower), float(upper))


@dataclass(frozen=True)
class Significance:
    """Whether A and B differ in mean squared ln ratio.

    Parameters
    ----------
    orbits : int
        With points of both.
    skill : Interval
        1 - MSE(A) / MSE(B): positive where A is better.
    p_bootstrap : float
        Two-sided: twice the smaller share of replicates on either side of no difference, at least 1/replicates.
    p_diebold_mariano : float
        Two-sided.
    """

    orbits: int
    skill: Interval
    p_bootstrap: float
    p_diebold_mariano: float

    def significant(self, level: float = LEVEL) -> bool:
        """Return whether both tests reject equality at this level of confidence; False where they are undefined."""
        return max(self.p_bootstrap, self.p_diebold_mariano) < 1.0 - level


def compare_models(
    orbit: IntArray,
    observed: FloatArray,
    first: FloatArray,
    second: FloatArray,
    rng: np.random.Generator,
    *,
    length: int | None = None,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> Significance:
    """Return whether the first model's squared ln ratios are smaller than the second's, at the points that both have.

    Parameters
    ----------
    orbit : array of int (n,)
    observed, first, second : array (n,)
        Densities [kg m-3]; points where one is not positive are left out.
    rng, length, replicates, level
        See :func:`confidence_intervals`.
    """
    densities = np.stack([observed, first, second])
    known = np.all(np.isfinite(densities) & (densities > 0.0), axis=0)
    o, a, b = densities[:, known]
    losses = {"first": np.log(o / a) ** 2, "second": np.log(o / b) ** 2}
    sums = KeyedSums.of(orbit[known], losses)
    nan = float("nan")
    orbits, totals = sums.keys.size, sums.sums.sum(axis=0)
    # Without an error of the second, or for two equal models, there is nothing to compare.
    skill = 1.0 - float(totals[0] / totals[1]) if orbits and totals[1] > 0.0 else nan
    if orbits < MINIMUM_ORBITS or not np.any(sums.sums[:, 0] != sums.sums[:, 1]):
        return Significance(orbits, Interval(skill, nan, nan), nan, nan)
    length = length or block_length(orbits)
    drawn = resampled_counts(orbits, length, replicates, rng) @ sums.sums
    difference = drawn[:, 0] - drawn[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.quantile(1.0 - drawn[:, 0] / drawn[:, 1], (0.5 - 0.5 * level, 0.5 + 0.5 * level))
    share = min(float(np.mean(difference <= 0.0)), float(np.mean(difference >= 0.0)))
    p_bootstrap = min(1.0, max(2.0 * share, 1.0 / replicates))
    p_test = diebold_mariano(sums.mean("first") - sums.mean("second"), length)
    return Significance(orbits, Interval(skill, *(float(b) for b in bounds)), p_bootstrap, p_test)


def diebold_mariano(difference: FloatArray, length: int = 1) -> float:
    """Return the two-sided p-value of a mean of zero of orbit means of loss differences (orbits,).

    Parameters
    ----------
    difference : array (orbits,)
        In time order.
    length : int
        Autocovariances up to lag ``length - 1`` count.
    """
    n = difference.size
    if n < 2 or not 1 <= length <= n:
        raise ValueError(f"autocovariances up to lag {length - 1} of {n} differences cannot be estimated")
    deviation = difference - difference.mean()
    lags = [float(deviation[lag:] @ deviation[: n - lag]) / n for lag in range(length)]
    weights = 1.0 - np.arange(1, length) / length
    variance = lags[0] + 2.0 * float(weights @ np.array(lags[1:]))
    if not variance > 0.0:
        return float("nan")
    statistic = abs(float(difference.mean())) / float(np.sqrt(variance / (n - 1)))
    return float(2.0 * scipy.stats.t.sf(statistic, n - 1))
