r"""Inflation that varies in space and time, learned from innovations (Anderson 2009).

Anderson (2009, doi:10.1111/j.1600-0870.2008.00361.x) takes the inflation :math:`\lambda` of the forecast covariance for
a random variable. Here every sub-domain has one, with mean b and standard deviation :math:`\sigma`; its prior is
:math:`N(b, \sigma^2)`. An observation with innovation d, error variance :math:`s_o^2` and forecast variance
:math:`s_p^2 = (HPH^T)_{ii}` of the ensemble **before inflation** has the likelihood

.. math:: N(d; 0, \theta^2), \quad \theta^2 = [1 + \gamma (\sqrt\lambda - 1)]^2 s_p^2 + s_o^2.

The new b is the mode of the product of the two; the paper replaces the likelihood by its tangent and solves a
quadratic, here the maximum is found exactly. With :math:`u = 1 + \gamma (\sqrt\lambda - 1)` and
:math:`\ell = \ln\theta^2`::

    f(lambda)  = -(lambda - b)^2 / (2 sigma^2) - ell/2 - d^2 / (2 theta^2)           to be maximised
    f'(lambda) = -(lambda - b) / sigma^2 + ell'/2 (d^2/theta^2 - 1) = 0,   ell' = gamma u s_p^2 / (sqrt(lambda) theta^2)

The likelihood peaks where theta^2 = d^2, at lambda* say, and all roots lie between b and lambda*. There f' falls
strictly, so that the root is one: for lambda* > b both factors of the second term are positive and fall; for
lambda* < b the term's slope is at most 1/(2 lambda^2), less than 1/sigma^2 if sigma < sqrt(2) lambda, which
:class:`AdaptiveInflationSettings` demands of the lower bound. Newton steps kept inside the bracket find it.

The new standard deviation is that of the normal density through the posterior at its mode and one old standard
deviation above (as in the paper): :math:`\sigma^2 \leftarrow -\sigma^2 / (2 [f(b_u + \sigma) - f(b_u)])`. It is kept
from growing, which keeps the condition above, and from falling below a floor, without which inflation would cease to
follow changes.

Departures from the paper: it has one inflation per state variable and :math:`\gamma` is the product of the localization
and the ensemble correlation of that variable with the observation; a sub-domain holds many variables, so here
:math:`\gamma` is the localization weight alone, an upper bound, and uncorrelated observations count too. All
observations are compared with the forecast, also after the first has been used: innovations that share a forecast error
count as independent. Since each observation meets the result of the one before, the order of observations matters
(slightly), as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.localization import LocalObservations

FloatArray = NDArray[np.float64]

NEWTON_STEPS = 100
"""Steps after which a search counts as failed."""
RELATIVE_STEP = 1e-12
"""A search ends with a step this small; the error left by the last Newton step is of its square."""


@dataclass(frozen=True)
class AdaptiveInflationSettings:
    """How the inflation of the forecast covariance is learned.

    Parameters
    ----------
    initial, standard_deviation : float
        Mean and standard deviation of the inflation before the first analysis.
    minimum_standard_deviation : float
        Floor of the standard deviation; equal to ``standard_deviation``, it never changes.
    lower, upper : float
        Bounds of the mean, around one.
    damping : float
        Within [0, 1]: what is left of (mean - 1) from one analysis to the next.

    Notes
    -----
    Near one and with weights of one, an analysis moves the mean by about sigma^2 times the sum of s_p^4 / (2 theta^4)
    over its local observations towards what they ask for, while damping takes away its share. Observations much less
    certain than the forecast need a damping next to one, or it wins.

    Raises
    ------
    ValueError
        If bounds do not enclose one and the initial value, if the standard deviation exceeds sqrt(2) times the lower
        bound (the posterior could have two modes) or lies below its own floor, or if damping is outside [0, 1].
    """

    initial: float = 1.0
    standard_deviation: float = 0.6
    minimum_standard_deviation: float = 0.1
    lower: float = 0.9
    upper: float = 10.0
    damping: float = 0.99

    def __post_init__(self) -> None:
        if not (0.0 < self.lower <= 1.0 <= self.upper < np.inf and self.lower <= self.initial <= self.upper):
            raise ValueError(
                f"bounds {self.lower} and {self.upper} of inflation must be positive and finite, and enclose one and "
                f"the initial value {self.initial}"
            )
        if not 0.0 < self.minimum_standard_deviation <= self.standard_deviation:
            raise ValueError(
                f"the standard deviation {self.standard_deviation} of inflation must not lie below its minimum "
                f"{self.minimum_standard_deviation}, nor that at or below zero"
            )
        if self.standard_deviation >= np.sqrt(2.0) * self.lower:
            raise ValueError(
                f"the standard deviation {self.standard_deviation} of inflation must be less than sqrt(2) times its "
                f"lower bound {self.lower}"
            )
        if not 0.0 <= self.damping <= 1.0:
            raise ValueError(f"the damping of inflation must lie within [0, 1], not {self.damping}")


@dataclass(frozen=True)
class InflationState:
    """All that adaptive inflation remembers: what a restart must hold.

    Parameters
    ----------
    mean, standard_deviation : array (sub-domains,)
        Of the inflation of the forecast covariance.
    """

    mean: FloatArray
    standard_deviation: FloatArray

    @classmethod
    def initial(cls, sub_domains: int, settings: AdaptiveInflationSettings) -> InflationState:
        """Return the state before the first analysis."""
        return cls(np.full(sub_domains, settings.initial), np.full(sub_domains, settings.standard_deviation))

    @property
    def forgetting_factors(self) -> FloatArray:
        """Factors (sub-domains,) with which the analysis inflates: sqrt(mean) multiplies the anomalies."""
        return 1.0 / self.mean


def update(
    state: InflationState,
    local: LocalObservations,
    innovation: FloatArray,
    forecast_variance: FloatArray,
    error_variance: FloatArray,
    settings: AdaptiveInflationSettings,
) -> InflationState:
    """Return the state after the innovations of one analysis and the damping that follows it.

    The paper inflates an analysis with the state **before** its own innovations; the returned one is then the next
    analysis' state. Each sub-domain's result depends on its own state and local observations alone.

    Parameters
    ----------
    state : InflationState
        Of the same sub-domains as ``local``.
    local : LocalObservations
        The weight serves as gamma and must lie within [0, 1]; observations are used in the given order.
    innovation : array (observations,)
        y minus the mean of HX.
    forecast_variance : array (observations,)
        Variance of HX over the members (divisor members - 1), **not** inflated.
    error_variance : array (observations,)
        Not multiplied by any weight.
    settings : AdaptiveInflationSettings

    Returns
    -------
    InflationState
        Sub-domains without local observations are damped and keep their standard deviation.

    Raises
    ------
    ValueError
        If shapes differ, numbers are not finite, variances or weights are out of range, or the state is outside the
        bounds of the settings.
    ArithmeticError
        If the search for a mode does not end.
    """
    _check_observations(local, innovation, forecast_variance, error_variance)
    _check_state(state, local, settings)
    mean, deviation = state.mean.copy(), state.standard_deviation.copy()
    order = np.argsort(-local.counts, kind="stable")
    ordered = local.counts[order]
    for rank in range(int(ordered[0]) if ordered.size else 0):
        domain = order[: np.searchsorted(-ordered, -rank, side="left")]
        entry = local.start[domain] + rank
        index = local.index[entry]
        weight = local.weight[entry]
        likelihood = _Likelihood(weight, forecast_variance[index], error_variance[index], innovation[index])
        mean[domain], deviation[domain] = _assimilate(mean[domain], deviation[domain], likelihood, settings)
    damped = 1.0 + settings.damping * (mean - 1.0)
    return InflationState(np.clip(damped, settings.lower, settings.upper), deviation)


@dataclass(frozen=True)
class _Likelihood:
    """Likelihood of one observation in each of several sub-domains; all arrays (sub-domains,)."""

    gamma: FloatArray
    forecast_variance: FloatArray
    error_variance: FloatArray
    innovation: FloatArray

    def _theta_squared(self, inflation: FloatArray) -> tuple[FloatArray, FloatArray]:
        u = 1.0 + self.gamma * (np.sqrt(inflation) - 1.0)
        return u, u**2 * self.forecast_variance + self.error_variance

    def logarithm(self, inflation: FloatArray) -> FloatArray:
        """Return the logarithm of the likelihood, without constants."""
        _, theta2 = self._theta_squared(inflation)
        return np.asarray(-0.5 * (np.log(theta2) + self.innovation**2 / theta2))

    def derivatives(self, inflation: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the first and second derivative of the logarithm with respect to inflation."""
        root = np.sqrt(inflation)
        u, theta2 = self._theta_squared(inflation)
        slope = self.gamma * u * self.forecast_variance / (root * theta2)
        decline = (1.0 - self.gamma) / (u * root) + 2.0 * self.gamma * u * self.forecast_variance / theta2
        curvature = -0.5 * slope * decline / root
        misfit = self.innovation**2 / theta2
        return 0.5 * slope * (misfit - 1.0), 0.5 * (curvature * (misfit - 1.0) - slope**2 * misfit)

    def peak(self, otherwise: FloatArray, settings: AdaptiveInflationSettings) -> FloatArray:
        """Return where within the bounds the likelihood is largest; ``otherwise`` where it does not depend on it."""
        informative = self.gamma * self.forecast_variance > 0.0
        gamma = np.where(informative, self.gamma, 1.0)
        variance = np.where(informative, self.forecast_variance, 1.0)
        u = np.sqrt(np.maximum(self.innovation**2 - self.error_variance, 0.0) / variance)
        root = np.clip((u - 1.0) / gamma + 1.0, np.sqrt(settings.lower), np.sqrt(settings.upper))
        return np.where(informative, np.clip(root**2, settings.lower, settings.upper), otherwise)


def _assimilate(
    mean: FloatArray, deviation: FloatArray, likelihood: _Likelihood, settings: AdaptiveInflationSettings
) -> tuple[FloatArray, FloatArray]:
    """Return mode and standard deviation (sub-domains,) after one observation each."""
    mode = _mode(mean, deviation, likelihood, settings)
    above = mode + deviation
    drop = likelihood.logarithm(above) - likelihood.logarithm(mode)
    drop += 0.5 * ((mode - mean) ** 2 - (above - mean) ** 2) / deviation**2
    # Where the mode is cut off at the upper bound, the posterior may still rise: nothing is learned about its width.
    falling = drop < -0.5
    narrowed = deviation / np.sqrt(np.where(falling, -2.0 * drop, 1.0))
    return mode, np.maximum(narrowed, settings.minimum_standard_deviation)


def _mode(
    mean: FloatArray, deviation: FloatArray, likelihood: _Likelihood, settings: AdaptiveInflationSettings
) -> FloatArray:
    """Return the largest posterior density's place within the bounds (sub-domains,)."""
    peak = likelihood.peak(mean, settings)
    lowest, highest = np.minimum(mean, peak), np.maximum(mean, peak)
    # A peak cut off at a bound may leave no root in between: then the posterior rises all the way to the bound.
    slope, _ = _derivatives(peak, mean, deviation, likelihood)
    mode = np.where(slope * (peak - mean) > 0.0, peak, mean)
    searching = (mode == mean) & (lowest < highest)
    for _ in range(NEWTON_STEPS):
        first, second = _derivatives(mode, mean, deviation, likelihood)
        lowest, highest = np.where(first >= 0.0, mode, lowest), np.where(first <= 0.0, mode, highest)
        step = mode - np.divide(first, second, out=np.zeros_like(first), where=second < 0.0)
        inside = (second < 0.0) & (step >= lowest) & (step <= highest)
        step = np.where(inside, step, 0.5 * (lowest + highest))
        change = np.abs(step - mode)
        # Sub-domains that are done stay, so that none depends on how many steps the others need.
        mode = np.where(searching, step, mode)
        searching &= change > RELATIVE_STEP * mode
        if not searching.any():
            return mode
    raise ArithmeticError(f"no mode of inflation found for {np.count_nonzero(searching)} sub-domains")


def _derivatives(
    inflation: FloatArray, mean: FloatArray, deviation: FloatArray, likelihood: _Likelihood
) -> tuple[FloatArray, FloatArray]:
    """Return the first and second derivative of the logarithm of the posterior density."""
    first, second = likelihood.derivatives(inflation)
    return first - (inflation - mean) / deviation**2, second - 1.0 / deviation**2


def _check_observations(
    local: LocalObservations, innovation: FloatArray, forecast_variance: FloatArray, error_variance: FloatArray
) -> None:
    if not innovation.shape == forecast_variance.shape == error_variance.shape:
        raise ValueError(
            f"innovation {innovation.shape}, forecast variance {forecast_variance.shape} and error variance "
            f"{error_variance.shape} must have the same shape"
        )
    if not all(np.isfinite(vector).all() for vector in (innovation, forecast_variance, error_variance)):
        raise ValueError("innovations and variances must be finite")
    if not ((forecast_variance >= 0.0).all() and (error_variance > 0.0).all()):
        raise ValueError("forecast variances must not be negative, and error variances positive")
    if local.weight.size and not (local.weight.min() >= 0.0 and local.weight.max() <= 1.0):
        raise ValueError("localization weights must lie within [0, 1]")


def _check_state(state: InflationState, local: LocalObservations, settings: AdaptiveInflationSettings) -> None:
    if not state.mean.shape == state.standard_deviation.shape == local.counts.shape:
        raise ValueError(
            f"inflation of {state.mean.shape} with standard deviation of {state.standard_deviation.shape} for "
            f"{local.counts.size} sub-domains"
        )
    if not ((state.mean >= settings.lower) & (state.mean <= settings.upper)).all():
        raise ValueError(f"inflation must lie within [{settings.lower}, {settings.upper}]")
    widest = np.sqrt(2.0) * settings.lower
    if not ((state.standard_deviation > 0.0) & (state.standard_deviation < widest)).all():
        raise ValueError(f"standard deviations of inflation must be positive and less than {widest:.3g}")
