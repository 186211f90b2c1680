r"""Forgetting factors that match the forecast spread to the innovations of one analysis.

For a consistent forecast the innovations obey :math:`E[d^2] = s_p^2/\varrho + s_o^2` with the ensemble's variance
:math:`s_p^2 = (HPH^T)_{ii}` before inflation and the error variance :math:`s_o^2` (Desroziers et al. 2005,
doi:10.1256/qj.05.108, Eq. 1). Means over observations in place of the expectation give

.. math:: \varrho = \overline{s_p^2} / (\overline{d^2} - \overline{s_o^2}).

Where innovations are smaller than the errors alone explain, the quotient is negative and says nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.localization import LocalObservations

FloatArray = NDArray[np.float64]

LOWEST, HIGHEST = 0.01, 100.0
"""Adaptive factors are clipped to this range."""


def global_forgetting_factor(
    observed_variance: FloatArray, innovation: FloatArray, error_variance: FloatArray, fixed: float
) -> float:
    r"""Return one forgetting factor from all observations.

    Parameters
    ----------
    observed_variance : array (observations,)
        Variance of HX over the members (divisor members - 1), not inflated.
    innovation : array (observations,)
        y minus the mean of HX.
    error_variance : array (observations,)
    fixed : float
        What to return without observations or where the quotient is negative.

    Returns
    -------
    float
        Within [0.01, 100], or ``fixed``.

    Raises
    ------
    ValueError
        If the arrays differ in shape, or ``fixed`` is not positive.

    Examples
    --------
    >>> one = np.ones(4)
    >>> global_forgetting_factor(one, 2.0 * one, 2.0 * one, fixed=1.0)  # 4 = 1/0.5 + 2
    0.5
    """
    _check(observed_variance, innovation, error_variance, fixed)
    count = np.array([innovation.size])
    spread = np.array([observed_variance.sum()])
    return float(_factors(spread, np.array([np.sum(innovation**2 - error_variance)]), count, fixed)[0])


def local_forgetting_factors(
    local: LocalObservations,
    observed_variance: FloatArray,
    innovation: FloatArray,
    error_variance: FloatArray,
    fixed: float,
) -> FloatArray:
    """Return one forgetting factor per sub-domain, from its local observations.

    Their localization weights do not enter; an observation at the cut-off counts as much as one in the centre.

    Parameters
    ----------
    local : LocalObservations
    observed_variance, innovation, error_variance : array (observations,)
        Of all observations, see :func:`global_forgetting_factor`.
    fixed : float
        For sub-domains without observations and for those whose quotient is negative.

    Returns
    -------
    array (sub-domains,)
        Within [0.01, 100], or ``fixed``. A sub-domain's factor depends on its own observations alone.

    Raises
    ------
    ValueError
        See :func:`global_forgetting_factor`.
    """
    _check(observed_variance, innovation, error_variance, fixed)
    excess = innovation**2 - error_variance
    return _factors(_local_sums(local, observed_variance), _local_sums(local, excess), local.counts, fixed)


def _check(observed_variance: FloatArray, innovation: FloatArray, error_variance: FloatArray, fixed: float) -> None:
    if not observed_variance.shape == innovation.shape == error_variance.shape:
        raise ValueError(
            f"observed variance {observed_variance.shape}, innovation {innovation.shape} and error variance "
            f"{error_variance.shape} must have the same shape"
        )
    if not fixed > 0.0:
        raise ValueError(f"the fixed forgetting factor must be positive, not {fixed}")


def _local_sums(local: LocalObservations, values: FloatArray) -> FloatArray:
    """Return the sum of ``values`` over the local observations of each sub-domain."""
    sums, seeing = np.zeros(local.counts.size), local.counts > 0
    if seeing.any():
        # Empty sub-domains own no entries, so the starts of all others still bound their segments.
        sums[seeing] = np.add.reduceat(values[local.index], local.start[:-1][seeing])
    return sums


def _factors(spread: FloatArray, excess: FloatArray, count: NDArray[np.int64], fixed: float) -> FloatArray:
    """Return spread/excess, clipped; ``fixed`` where it is negative, undefined, or of no observation."""
    usable = (count > 0) & (excess >= 0.0) & ((spread > 0.0) | (excess > 0.0))
    with np.errstate(divide="ignore"):
        quotient = np.divide(spread, excess, out=np.full(spread.shape, fixed), where=usable)
    return np.where(usable, np.clip(quotient, LOWEST, HIGHEST), fixed)
