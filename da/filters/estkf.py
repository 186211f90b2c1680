r"""Error-subspace transform Kalman filter (Nerger et al. 2012, doi:10.1175/MWR-D-11-00102.1).

With N members, p observations, :math:`\Omega` an orthonormal basis (N, N-1) of the vectors that sum to zero,
:math:`L = HX\,\Omega` (p, N-1) and the forgetting factor :math:`\varrho`::

    A^-1 = rho (N-1) I + L^T R^-1 L                                       (N-1, N-1)
    w    = A L^T R^-1 d,     d = y - mean(HX)                             (N-1,)
    Xa   = xbar 1^T + X Omega (w 1^T + sqrt(N-1) A^(1/2) Omega^T)         (state, N)

The symmetric square root makes the result independent of the basis, and since the rows of HX' = HX - mean(HX) sum to
zero, :math:`\Omega L^T = HX'^T`. With the scaled anomalies :math:`S = R^{-1/2} HX'` (p, N), :math:`a = \varrho(N-1)`
and S S^T or S^T S diagonalised, everything can be written in the space of the members::

    Xa = xbar 1^T + X' (w 1^T + sqrt(N-1) C),   w (N,),  C (N, N) symmetric
    p < N:   S S^T = U diag(l) U^T,  V = S^T U
             w = V diag(1/(a + l)) U^T R^-1/2 d
             C = a^-1/2 I - V diag(1/(sqrt(a) sqrt(a+l) (sqrt(a) + sqrt(a+l)))) V^T
    p >= N:  S^T S = V diag(l) V^T
             w = V diag(1/(a + l)) V^T S^T R^-1/2 d
             C = V diag((a + l)^-1/2) V^T

Both forms act alike on X', whose rows sum to zero; the first costs O(p^2 N + p^3), the second O(p N^2 + N^3).
The difference of square roots in the first is written as a quotient, which stays exact for l -> 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class EnsembleTransform:
    """What one analysis does to the anomalies of its rows.

    Parameters
    ----------
    mean_weights : array (members,)
        The analysis mean is xbar + X' mean_weights.
    anomaly_transform : array (members, members)
        The analysis anomalies are X' anomaly_transform.
    """

    mean_weights: FloatArray
    anomaly_transform: FloatArray


def _check(
    observed_anomalies: FloatArray, innovation: FloatArray, inverse_variance: FloatArray, forgetting_factor: float
) -> None:
    observations, members = observed_anomalies.shape
    if members < 2:
        raise ValueError(f"an ensemble needs at least 2 members, not {members}")
    if innovation.shape != (observations,) or inverse_variance.shape != (observations,):
        raise ValueError(
            f"innovation {innovation.shape} and inverse variance {inverse_variance.shape} "
            f"must have shape ({observations},)"
        )
    if not forgetting_factor > 0.0:
        raise ValueError(f"the forgetting factor must be positive, not {forgetting_factor}")
    if not (np.isfinite(observed_anomalies).all() and np.isfinite(innovation).all()):
        raise ValueError("observed anomalies or innovation are not finite")
    if not (np.isfinite(inverse_variance).all() and (inverse_variance >= 0.0).all()):
        raise ValueError("inverse observation error variances must be finite and not negative")


def ensemble_transform(
    observed_anomalies: FloatArray,
    innovation: FloatArray,
    inverse_variance: FloatArray,
    forgetting_factor: float = 1.0,
) -> EnsembleTransform:
    """Return the transform of one (global or local) analysis.

    Parameters
    ----------
    observed_anomalies : array (observations, members)
        HX minus its mean over the members.
    innovation : array (observations,)
        d = y - mean(HX).
    inverse_variance : array (observations,)
        Diagonal of R^-1, already multiplied (once) by the localization weights.
    forgetting_factor : float
        Below one it inflates the prior covariance by its inverse.

    Raises
    ------
    ValueError
        If shapes disagree or a number is not finite.
    numpy.linalg.LinAlgError
        If the eigendecomposition does not converge.
    """
    _check(observed_anomalies, innovation, inverse_variance, forgetting_factor)
    members = observed_anomalies.shape[1]
    root = np.sqrt(inverse_variance)
    scaled = root[:, None] * observed_anomalies
    a = forgetting_factor * (members - 1)
    if scaled.shape[0] < members:
        weights, square_root = _observation_space(scaled, root * innovation, a)
    else:
        weights, square_root = _member_space(scaled, root * innovation, a)
    return EnsembleTransform(weights, np.sqrt(members - 1.0) * square_root)


def _observation_space(scaled: FloatArray, departure: FloatArray, a: float) -> tuple[FloatArray, FloatArray]:
    eigenvalues, u = np.linalg.eigh(scaled @ scaled.T)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    v = scaled.T @ u
    weights = v @ ((u.T @ departure) / (a + eigenvalues))
    root_a, root_sum = np.sqrt(a), np.sqrt(a + eigenvalues)
    reduction = (v / (root_a * root_sum * (root_a + root_sum))) @ v.T
    return weights, np.eye(scaled.shape[1]) / root_a - reduction


def _member_space(scaled: FloatArray, departure: FloatArray, a: float) -> tuple[FloatArray, FloatArray]:
    eigenvalues, v = np.linalg.eigh(scaled.T @ scaled)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    weights = v @ ((v.T @ (scaled.T @ departure)) / (a + eigenvalues))
    return weights, (v / np.sqrt(a + eigenvalues)) @ v.T


def apply_transform(rows: FloatArray, transform: EnsembleTransform) -> FloatArray:
    """Return the analysed rows (rows, members) of the forecast rows, which stay as they are."""
    mean = rows.mean(axis=1, keepdims=True)
    anomalies = rows - mean
    return np.asarray(mean + (anomalies @ transform.mean_weights)[:, None] + anomalies @ transform.anomaly_transform)


def analyse(
    ensemble: FloatArray,
    observed_ensemble: FloatArray,
    values: FloatArray,
    variance: FloatArray,
    forgetting_factor: float = 1.0,
) -> FloatArray:
    """Return the global analysis (rows, members) of an ensemble.

    Parameters
    ----------
    ensemble : array (rows, members)
        Forecast; not changed.
    observed_ensemble : array (observations, members)
        HX.
    values, variance : array (observations,)
        Observations and their error variances.
    forgetting_factor : float
        See :func:`ensemble_transform`.

    Examples
    --------
    An observation of the first of two variables, as exact as the ensemble, halves the distance to it:

    >>> forecast = np.array([[-1.0, 1.0], [-2.0, 2.0]])
    >>> analysis = analyse(forecast, forecast[:1], np.array([1.0]), np.array([2.0]))
    >>> analysis.mean(axis=1)
    array([0.5, 1. ])
    """
    mean = observed_ensemble.mean(axis=1)
    transform = ensemble_transform(observed_ensemble - mean[:, None], values - mean, 1.0 / variance, forgetting_factor)
    return apply_transform(ensemble, transform)
