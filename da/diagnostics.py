r"""What an analysis tells about itself: information gained, effective members, and consistency of spread and error.

With observed anomalies :math:`HX'` (observations, members) of N members, :math:`HPH^T = HX' HX'^T / (N - 1)` and
:math:`C = R^{-1/2} HPH^T R^{-1/2}`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def degrees_of_freedom_for_signal(
    observed_anomalies: FloatArray, error_variance: FloatArray, forgetting_factor: float = 1.0
) -> float:
    r"""Return :math:`\mathrm{tr}(HK) = \mathrm{tr}[C/\varrho \, (C/\varrho + I)^{-1}]` by dense algebra.

    The number of independent quantities that the observations determine better than the forecast does (Rodgers 2000,
    doi:10.1142/3171, Section 2.4; Cardinali et al. 2004, doi:10.1256/qj.03.205). Costs O(p^3) for p observations: the
    textbook twin of what the filter obtains along the way.

    Parameters
    ----------
    observed_anomalies : array (observations, members)
    error_variance : array (observations,)
        In a local analysis divided by the localization weight; infinity for weight zero.
    forgetting_factor : float

    Returns
    -------
    float
        Between zero and the lesser of observations and members - 1.

    Examples
    --------
    >>> degrees_of_freedom_for_signal(np.array([[-1.0, -1.0, 0.0, 1.0, 1.0]]), np.array([1.0]))
    0.5
    """
    if not forgetting_factor > 0.0:
        raise ValueError(f"the forgetting factor must be positive, not {forgetting_factor}")
    scaled = _scaled(observed_anomalies, error_variance)
    prior = scaled @ scaled.T / forgetting_factor
    return float(np.trace(np.linalg.solve(prior + np.eye(len(prior)), prior)))


def effective_ensemble_size(observed_anomalies: FloatArray, error_variance: FloatArray) -> float:
    r"""Return :math:`(\sum l_i)^2 / \sum l_i^2` of the eigenvalues of C: how many directions share the spread.

    Bretherton et al. (1999, doi:10.1175/1520-0442(1999)012<1990:TENOSD>2.0.CO;2). Since the sums are
    tr(C) and the squared Frobenius norm of C, no eigenvalue is computed.

    Parameters
    ----------
    observed_anomalies : array (observations, members)
    error_variance : array (observations,)

    Returns
    -------
    float
        Between one and the lesser of observations and members - 1; zero without any spread.

    Examples
    --------
    >>> one = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    >>> effective_ensemble_size(np.stack([one, 2.0 * one]), np.ones(2))
    1.0
    """
    scaled = _scaled(observed_anomalies, error_variance)
    small = scaled @ scaled.T if scaled.shape[0] < scaled.shape[1] else scaled.T @ scaled
    total = float(np.trace(small))
    return total**2 / float(np.sum(small**2)) if total > 0.0 else 0.0


def _scaled(observed_anomalies: FloatArray, error_variance: FloatArray) -> FloatArray:
    """Return R^-1/2 HX' / sqrt(N - 1)."""
    observations, members = observed_anomalies.shape
    if error_variance.shape != (observations,) or members < 2:
        raise ValueError(
            f"observed anomalies {observed_anomalies.shape} of at least two members do not go with error variances "
            f"{error_variance.shape}"
        )
    if not (error_variance > 0.0).all():
        raise ValueError("error variances must be positive")
    return np.asarray(observed_anomalies / np.sqrt((members - 1.0) * error_variance)[:, None])


@dataclass(frozen=True)
class SpreadErrorRatio:
    """Spread over root-mean-square innovation.

    Parameters
    ----------
    total : float
        With the observation errors in the spread, sqrt(mean(HPH + R)): one if both are right.
    ensemble : float
        Of the ensemble alone, sqrt(mean(HPH)): the share of the innovations that it accounts for.
    """

    total: float
    ensemble: float


def spread_error_ratio(
    observed_variance: FloatArray, error_variance: FloatArray, innovation: FloatArray
) -> SpreadErrorRatio:
    """Return how the spread compares with the innovations.

    The total one rests on E[d d^T] = H P H^T + R (Desroziers et al. 2005, doi:10.1256/qj.05.108, Eq. 1); below one,
    forecast and observations claim to know more than they do. Infinite where all innovations are zero.

    Parameters
    ----------
    observed_variance, error_variance, innovation : array (observations,)
        Variance of HX over the members as the analysis used it (inflated, if so), R, and y minus the mean of HX.

    Raises
    ------
    ValueError
        If shapes differ or there is no observation.
    """
    _check_vectors(observed_variance, error_variance, innovation)
    error = np.sqrt(np.mean(innovation**2))
    spreads = np.sqrt([np.mean(observed_variance + error_variance), np.mean(observed_variance)])
    with np.errstate(divide="ignore", invalid="ignore"):
        total, ensemble = spreads / error
    return SpreadErrorRatio(float(total), float(ensemble))


@dataclass(frozen=True)
class ConsistencyRatios:
    """Estimated over assumed variances in observation space; one where the assumption holds.

    Parameters
    ----------
    innovation : float
        E[d d] over H P H^T + R.
    forecast : float
        E[(d - r) d] over H P H^T.
    observation : float
        E[r d] over R.
    """

    innovation: float
    forecast: float
    observation: float


def consistency_ratios(
    innovation: FloatArray, residual: FloatArray, observed_variance: FloatArray, error_variance: FloatArray
) -> ConsistencyRatios:
    """Return the consistency of assumed variances (Desroziers et al. 2005, doi:10.1256/qj.05.108, Eqs. 1-3).

    With d = y - H(forecast mean) and r = y - H(analysis mean), products averaged over the observations estimate the
    variances, if the gain itself rests on the true ones.

    Parameters
    ----------
    innovation, residual : array (observations,)
        d and r.
    observed_variance, error_variance : array (observations,)
        Diagonals of H P H^T and R.

    Raises
    ------
    ValueError
        If shapes differ or there is no observation, or no forecast variance at all.
    """
    _check_vectors(innovation, residual, observed_variance, error_variance)
    spread, noise = float(np.mean(observed_variance)), float(np.mean(error_variance))
    if not (spread > 0.0 and noise > 0.0):
        raise ValueError(f"mean forecast variance {spread} and error variance {noise} must be positive")
    return ConsistencyRatios(
        innovation=float(np.mean(innovation**2)) / (spread + noise),
        forecast=float(np.mean((innovation - residual) * innovation)) / spread,
        observation=float(np.mean(residual * innovation)) / noise,
    )


def _check_vectors(*vectors: FloatArray) -> None:
    shapes = {vector.shape for vector in vectors}
    if len(shapes) != 1 or not vectors[0].size:
        raise ValueError(f"vectors over the same observations, one at least, are needed, not {sorted(shapes)}")
