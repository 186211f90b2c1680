r"""Error inflation for correlated observations: as many as the correlation length sees count as one.

The filter knows a diagonal R. Where the errors of one source are correlated, :math:`R = \sigma^2 C` with
:math:`C_{ij} = \rho(d_{ij}; L)`, the variance of each observation is multiplied by

.. math:: f_i = \sum_j \rho(d_{ij}; L).

The information that p observations hold about a quantity they all measure is :math:`1^T R^{-1} 1`. Where all
:math:`f_i` are equal, :math:`C 1 = f 1`, hence :math:`1^T R^{-1} 1 = p / (f \sigma^2)`: the same as that of p
independent observations of variance :math:`f \sigma^2`. The factor is therefore exact for signals that vary little over
L. Signals shorter than L are measured better by correlated observations than by these (their differences are precise):
there it errs on the side of caution. Limits: for :math:`L \to 0` f is one; for :math:`L \to \infty`, or all at one
place, it is p, and p fully correlated observations of variance :math:`p \sigma^2` each give the information of a single
one, :math:`p / (p \sigma^2) = 1/\sigma^2`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.localization import Localization, Metric, Weighting, select_local_observations

FloatArray = NDArray[np.float64]


def variance_factors(position: FloatArray, radius: float, metric: Metric) -> FloatArray:
    """Return the factor f of each observation's error variance, at least one (at most their number).

    Parameters
    ----------
    position : array (observations, 3)
        Of one source, in the coordinates of the metric. Other sources have errors of their own.
    radius : float
        Distance from which on errors are uncorrelated: rho is the function of Gaspari & Cohn (1999), Eq. 4.10, of this
        support radius, in the unit of the metric (cells or km). It falls to 5/24 at half of it.
    metric : Metric
        :class:`da.localization.IndexMetric` or :class:`da.localization.GreatCircleMetric`.

    Raises
    ------
    ValueError
        If the radius is not positive and finite, or a position is not.

    Notes
    -----
    Standard deviations are multiplied by the square root. Memory grows with the number of pairs within the radius.
    """
    if not 0.0 < radius < np.inf:
        raise ValueError(f"the radius of error correlations must be positive and finite, not {radius}")
    if not len(position):
        return np.zeros(0)
    correlation = Localization(radius, Weighting.GASPARI_COHN, support_radius=radius)
    near = select_local_observations(position, position, correlation, metric)
    # Every observation is within reach of itself, so that no sum is empty.
    return np.asarray(np.add.reduceat(near.weight, near.start[:-1]))


def effective_number(factors: FloatArray) -> float:
    """Return how many independent observations have the same information: the sum of 1/f.

    >>> effective_number(np.array([4.0, 4.0, 4.0, 4.0, 1.0]))
    2.0
    """
    return float(np.sum(1.0 / factors))
