"""Textbook twins of the filters, written as printed and as slow as they are plain: for tests and verification only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def error_subspace_basis(members: int) -> FloatArray:
    """Return the deterministic Omega (members, members - 1) of Nerger et al. (2012), Eq. 21."""
    a = 1.0 / (members * (1.0 / np.sqrt(members) + 1.0))
    omega = np.full((members, members - 1), -a)
    omega[np.arange(members - 1), np.arange(members - 1)] = 1.0 - a
    omega[-1] = -1.0 / np.sqrt(members)
    return omega


def estkf(
    ensemble: FloatArray,
    observed_ensemble: FloatArray,
    values: FloatArray,
    inverse_variance: FloatArray,
    forgetting_factor: float = 1.0,
) -> FloatArray:
    """Return the ESTKF analysis (rows, members) of Nerger et al. (2012), Eqs. 23-31, with Omega written out.

    Parameters
    ----------
    ensemble : array (rows, members)
    observed_ensemble : array (observations, members)
    values, inverse_variance : array (observations,)
    forgetting_factor : float
    """
    members = ensemble.shape[1]
    omega = error_subspace_basis(members)
    ell = observed_ensemble @ omega
    r_inverse = np.diag(inverse_variance)
    a_inverse = forgetting_factor * (members - 1) * np.eye(members - 1) + ell.T @ r_inverse @ ell
    eigenvalues, vectors = np.linalg.eigh(a_inverse)
    a = vectors @ np.diag(1.0 / eigenvalues) @ vectors.T
    root = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
    w = a @ ell.T @ r_inverse @ (values - observed_ensemble.mean(axis=1))
    mean = ensemble.mean(axis=1, keepdims=True)
    return np.asarray(mean + ensemble @ omega @ (w[:, None] + np.sqrt(members - 1.0) * root @ omega.T))


def kalman_filter(
    mean: FloatArray,
    covariance: FloatArray,
    operator: FloatArray,
    values: FloatArray,
    error_covariance: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return mean (n,) and covariance (n, n) of the Kalman filter analysis (Kalman 1960).

    Parameters
    ----------
    mean, covariance : array (n,), (n, n)
        Forecast.
    operator : array (p, n)
        Linear H.
    values, error_covariance : array (p,), (p, p)
        Observations and R.
    """
    gain = covariance @ operator.T @ np.linalg.inv(operator @ covariance @ operator.T + error_covariance)
    return mean + gain @ (values - operator @ mean), covariance - gain @ operator @ covariance
