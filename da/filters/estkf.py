r"""Error-subspace transform Kalman filter (Nerger et al. 2012, doi:10.1175/MWR-D-11-00102.1).

With N members, p observations, :math:`\Omega` an orthonormal basis (N, N-1) of the vectors that sum to zero,
:math:`L = HX\,\Omega` (p, N-1) and the forgetting factor :math:`\varrho`::

    A^-1 = rho (N-1) I + L^T R^-1 L                                       (N-1, N-1)
    w    = A L^T R^-1 d,     d = y - mean(HX)                             (N-1,)
    Xa   = xbar 1^T + X Omega (w 1^T + sqrt(N-1) A^(1/2) Omega^T)         (state, N)

The symmetric square root makes the result independent of the basis, and since the rows of HX' = HX - mean(HX) sum
to zero, :math:`\Omega L^T = HX'^T`. With the scaled anomalies :math:`S = R^{-1/2} HX'` (p, N),
:math:`a = \varrho(N-1)`, c = sqrt(N-1), and S S^T or S^T S diagonalised, the analysis can be written as one matrix of
the size of the ensemble, whose columns sum to one::

    Xa = X T,   T = 1/N 1 1^T + w 1^T + c/sqrt(a) (I - 1/N 1 1^T) - V diag(r) V^T      (N, N)

    p < N:   S S^T = U diag(l) U^T,   V = S^T U (N, p),   r = c / (sqrt(a) sqrt(a+l) (sqrt(a) + sqrt(a+l)))
             w = V diag(1/(a + l)) U^T R^-1/2 d
    p >= N:  S^T S = V diag(l) V^T,   V (N, N),           r = c l / (sqrt(a) sqrt(a+l) (sqrt(a) + sqrt(a+l)))
             w = V diag(1/(a + l)) V^T S^T R^-1/2 d

The first form costs O(p^2 N + p^3), the second O(p N^2 + N^3). The difference of inverse square roots is written as a
quotient, which stays exact for l -> 0. Many rows are best multiplied by T, O(N^2) per row once T is formed; few rows by
its factors, O(N p) per row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class EnsembleTransform:
    """The matrix T of one analysis, in factors.

    Parameters
    ----------
    mean_weights : array (members,)
        w; sums to zero.
    scale : float
        c / sqrt(a): what happens to anomalies that no observation sees.
    basis : array (members, k)
        V; its columns sum to zero (p < N) or are orthonormal (p >= N).
    reduction : array (k,)
        r, not negative.
    """

    mean_weights: FloatArray
    scale: float
    basis: FloatArray
    reduction: FloatArray

    def matrix(self) -> FloatArray:
        """Return T (members, members)."""
        members = self.mean_weights.size
        matrix = (self.basis * -self.reduction) @ self.basis.T
        matrix += (self.mean_weights + (1.0 - self.scale) / members)[:, None]
        matrix.flat[:: members + 1] += self.scale
        return matrix


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
    form = _observation_space if scaled.shape[0] < members else _member_space
    return form(scaled, root * innovation, a)


def _observation_space(scaled: FloatArray, departure: FloatArray, a: float) -> EnsembleTransform:
    eigenvalues, u = np.linalg.eigh(scaled @ scaled.T)
    np.maximum(eigenvalues, 0.0, out=eigenvalues)
    v = scaled.T @ u
    weights = v @ ((departure @ u) / (a + eigenvalues))
    c, root_a, root_sum = np.sqrt(scaled.shape[1] - 1.0), np.sqrt(a), np.sqrt(a + eigenvalues)
    return EnsembleTransform(weights, c / root_a, v, c / (root_a * root_sum * (root_a + root_sum)))


def _member_space(scaled: FloatArray, departure: FloatArray, a: float) -> EnsembleTransform:
    eigenvalues, v = np.linalg.eigh(scaled.T @ scaled)
    np.maximum(eigenvalues, 0.0, out=eigenvalues)
    weights = v @ (((departure @ scaled) @ v) / (a + eigenvalues))
    c, root_a, root_sum = np.sqrt(scaled.shape[1] - 1.0), np.sqrt(a), np.sqrt(a + eigenvalues)
    return EnsembleTransform(weights, c / root_a, v, c * eigenvalues / (root_a * root_sum * (root_a + root_sum)))


def apply_transform(rows: FloatArray, transform: EnsembleTransform) -> FloatArray:
    """Return the analysed rows (rows, members) of the forecast rows, which stay as they are.

    Since the columns of T sum to one, Xa = x + (X - x) T for any x. The first member serves as x: what is multiplied is
    of the size of the spread, so that no digits are lost to a mean that may be a thousand times larger.
    """
    first = rows[:, :1]
    departures = rows - first
    if 2 * rows.shape[0] > rows.shape[1]:
        result = departures @ transform.matrix()
        result += first
        return np.asarray(result)
    basis = transform.basis
    constant = departures @ transform.mean_weights + (1.0 - transform.scale) * departures.mean(axis=1)
    result = ((departures @ basis) * -transform.reduction) @ basis.T
    departures *= transform.scale
    result += departures
    result += first + constant[:, None]
    return np.asarray(result)


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
