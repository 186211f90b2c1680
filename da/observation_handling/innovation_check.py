r"""Innovation check: observations too far from the ensemble to be of its world are refused.

An innovation :math:`d = y - \overline{HX}` has the variance :math:`HPH^T + R` if forecast and observation errors are
independent and their statistics right (Desroziers et al. 2005, doi:10.1256/qj.05.108). One with

.. math:: |d_i| > k \sqrt{(HPH^T)_{ii} + \sigma_i^2}

is refused; for normal errors that happens by chance with probability erfc(k / sqrt 2), 6e-5 for k = 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CheckedInnovations:
    """What the check of one source found.

    Parameters
    ----------
    used : array of bool (observations,)
    refused_position : array (refused, 3)
        Latitude, longitude [degrees] and altitude [km] of those refused.
    """

    used: BoolArray
    refused_position: FloatArray

    @property
    def used_count(self) -> int:
        """Number of observations kept."""
        return int(np.count_nonzero(self.used))

    @property
    def refused_count(self) -> int:
        """Number of observations refused."""
        return int(self.used.size - self.used_count)


def innovation_check(
    observed_ensemble: FloatArray, values: FloatArray, error_standard_deviation: FloatArray, threshold: float
) -> BoolArray:
    """Return which observations are kept: those with |d| <= k sqrt(HPH^T + R), the bound itself included.

    Parameters
    ----------
    observed_ensemble : array (observations, members)
        HX; its variance over the members is taken with N - 1.
    values, error_standard_deviation : array (observations,)
        In the unit of HX.
    threshold : float
        k, positive; infinity keeps everything.

    Raises
    ------
    ValueError
        If shapes disagree, there are fewer than two members, a number is not finite, an error is not positive or the
        threshold is not.

    Examples
    --------
    Anomalies of -3 and 3 have the variance 18; with an error variance of 7 the bound is 2 x 5:

    >>> forecast = np.array([[-3.0, 3.0], [-3.0, 3.0]])
    >>> innovation_check(forecast, np.array([10.0, 10.1]), np.sqrt([7.0, 7.0]), 2.0)
    array([ True, False])
    """
    if observed_ensemble.ndim != 2 or observed_ensemble.shape[1] < 2:
        raise ValueError(f"the observed ensemble has shape {observed_ensemble.shape}: it needs two members or more")
    if not values.shape == error_standard_deviation.shape == observed_ensemble.shape[:1]:
        raise ValueError(
            f"values {values.shape} and errors {error_standard_deviation.shape} must have the length of the observed "
            f"ensemble, {observed_ensemble.shape[0]}"
        )
    if not threshold > 0.0:
        raise ValueError(f"the threshold of the innovation check must be positive, not {threshold}")
    # A comparison with NaN is false: it would refuse an observation for what is a fault of the forecast.
    if not (np.isfinite(observed_ensemble).all() and np.isfinite(values).all()):
        raise ValueError("observed ensemble or values are not finite")
    if not (error_standard_deviation > 0.0).all():
        raise ValueError("errors must be positive")
    variance = observed_ensemble.var(axis=1, ddof=1) + error_standard_deviation**2
    return np.asarray(np.abs(values - observed_ensemble.mean(axis=1)) <= threshold * np.sqrt(variance))


def check_innovations(
    observed_ensemble: FloatArray,
    values: FloatArray,
    error_standard_deviation: FloatArray,
    threshold: float,
    position: FloatArray,
) -> CheckedInnovations:
    """Return :func:`innovation_check` with the positions of what it refuses, for counts and messages.

    Parameters
    ----------
    observed_ensemble, values, error_standard_deviation, threshold
        As there.
    position : array (observations, 3)
        Latitude, longitude [degrees] and altitude [km], as from ``ObservationBatch.position``.

    Raises
    ------
    ValueError
        As there, or if the positions have another shape.
    """
    if position.shape != (values.size, 3):
        raise ValueError(f"positions have shape {position.shape}, expected ({values.size}, 3)")
    used = innovation_check(observed_ensemble, values, error_standard_deviation, threshold)
    return CheckedInnovations(used, position[~used])
