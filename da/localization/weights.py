r"""Weights of observations as functions of their distance, factors of R^-1."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Weighting(StrEnum):
    """Weight of a local observation as a function of its distance."""

    UNIFORM = "uniform"
    """One for every local observation."""
    GASPARI_COHN = "gaspari_cohn"
    """Gaspari & Cohn (1999), Eq. 4.10: one at zero distance, zero at the support radius and beyond."""
    EXPONENTIAL = "exponential"
    """One at zero distance, 1/e at the decay radius; cut off where it is still positive."""


def gaspari_cohn(distance: FloatArray, support_radius: float) -> FloatArray:
    r"""Return the fifth-order piecewise rational weight of Gaspari & Cohn (1999), Eq. 4.10.

    Parameters
    ----------
    distance : array
        Not negative.
    support_radius : float
        Distance, in the same unit, from which on the weight is exactly zero: 2c of the paper. At half of it the
        weight is 5/24.

    Raises
    ------
    ValueError
        Where the support radius is not positive.

    Notes
    -----
    With :math:`z = |d|/c` (doi:10.1002/qj.49712555417)::

        z <= 1: -z^5/4 + z^4/2 + 5 z^3/8 - 5 z^2/3 + 1
        z <= 2:  z^5/12 - z^4/2 + 5 z^3/8 + 5 z^2/3 - 5 z + 4 - 2/(3 z)

    >>> gaspari_cohn(np.array([0.0, 3.5, 7.0]), 7.0) * 24
    array([24.,  5.,  0.])
    """
    if not support_radius > 0.0:
        raise ValueError(f"the support radius must be positive, not {support_radius}")
    z = np.minimum(np.asarray(distance) * (2.0 / support_radius), 2.0)
    inner = (((-0.25 * z + 0.5) * z + 0.625) * z - 5.0 / 3.0) * z**2 + 1.0
    outside_core = np.maximum(z, 1.0)
    polynomial = (
        (((outside_core / 12.0 - 0.5) * outside_core + 0.625) * outside_core + 5.0 / 3.0) * outside_core - 5.0
    ) * outside_core
    outer = polynomial + 4.0 - 2.0 / (3.0 * outside_core)
    return np.where(z <= 1.0, inner, np.where(z < 2.0, np.maximum(outer, 0.0), 0.0))


def exponential(distance: FloatArray, decay_radius: float) -> FloatArray:
    """Return the weight exp(-d / L).

    Parameters
    ----------
    distance : array
        d, not negative.
    decay_radius : float
        L, in the same unit: the distance at which the weight is 1/e.

    Raises
    ------
    ValueError
        Where the decay radius is not positive.

    >>> exponential(np.array([0.0, 7.0 * np.log(2.0)]), 7.0)
    array([1. , 0.5])
    """
    if not decay_radius > 0.0:
        raise ValueError(f"the decay radius must be positive, not {decay_radius}")
    return np.asarray(np.exp(np.asarray(distance) * (-1.0 / decay_radius)))


def regulated_weight(weight: FloatArray, forecast_variance: FloatArray, error_variance: FloatArray) -> FloatArray:
    r"""Return the regulated weight of Nerger et al. (2012), doi:10.1002/qj.945.

    Parameters
    ----------
    weight : array
        w, between 0 and 1.
    forecast_variance : array
        :math:`\sigma_P^2`, forecast variance of the observed quantity, (H P H^T)_ii.
    error_variance : array
        :math:`\sigma_R^2`, positive.

    Notes
    -----
    For one observation, weighting R^-1 by

    .. math::

        w^R = \frac{w \sigma_R^2}{\sigma_P^2 + \sigma_R^2}
              \left(1 - \frac{w \sigma_P^2}{\sigma_P^2 + \sigma_R^2}\right)^{-1}
            = \frac{w \sigma_R^2}{\sigma_R^2 + (1 - w) \sigma_P^2}

    gives the gain :math:`w P H^T / (\sigma_P^2 + \sigma_R^2)` of a covariance localized by w. The right-hand form is
    the one computed: its denominator is a sum of terms that are not negative.

    >>> regulated_weight(np.array([0.5]), np.array([3.0]), np.array([1.0]))
    array([0.2])
    """
    return weight * error_variance / (error_variance + (1.0 - weight) * forecast_variance)
