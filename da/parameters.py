r"""Estimation of global parameters with the state: perturbed inputs as extra rows of the analysis.

A parameter (an offset of F10.7, a lower-boundary temperature, ...) has no place. It uses all observations within limits
of altitude, with one common weight of R^-1, and its own transform of the ensemble. Its analysed mean is damped,

.. math:: \bar\theta^a = \bar\theta^f + \alpha (\tilde\theta - \bar\theta^f), \quad 0 \le \alpha \le 1,

because an ensemble attributes every error of the model to the few parameters that it varies: undamped updates follow
what the parameters cannot explain. The spread is relaxed to that of the forecast (Whitaker & Hamill 2012), since
parameters that are constant in time never regain what an analysis takes from it. Augmentation of the state by
parameters: Anderson (2001), doi:10.1175/1520-0493(2001)129<2884:AEAKFF>2.0.CO;2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.filters.lestkf import ObservedEnsemble, analyse_sub_domains
from da.inflation import relax_to_prior_spread
from da.localization import LocalObservations

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ParameterSettings:
    """How one parameter is estimated.

    Parameters
    ----------
    mean_damping : float
        alpha: part of its mean increment that the parameter gets.
    observation_weight : float
        Factor of R^-1 for all observations.
    altitude_min_km, altitude_max_km : float
        Observations outside are not used.
    relaxation : float
        How far the spread is relaxed to that of the forecast, from 0 to 1.
    limit : float
        Members are kept within +-limit, as their first draws were.
    """

    mean_damping: float
    observation_weight: float = 1.0
    altitude_min_km: float = -np.inf
    altitude_max_km: float = np.inf
    relaxation: float = 1.0
    limit: float = np.inf

    def __post_init__(self) -> None:
        for name in ("mean_damping", "relaxation"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie within [0, 1], not {getattr(self, name)}")
        if not 0.0 < self.observation_weight <= 1.0:
            raise ValueError(f"observation_weight must lie within (0, 1], not {self.observation_weight}")
        if not self.limit > 0.0:
            raise ValueError(f"the limit must be positive, not {self.limit}")


@dataclass(frozen=True)
class EstimatedParameters:
    """Parameters of all members before and after one analysis.

    Parameters
    ----------
    before, after : dict of name -> array (members,)
    limited : dict of name -> int
        Number of members that the limit moved.
    """

    before: Mapping[str, FloatArray]
    after: Mapping[str, FloatArray]
    limited: Mapping[str, int]


def estimate(
    values: Mapping[str, FloatArray],
    settings: Mapping[str, ParameterSettings],
    observed: ObservedEnsemble,
    altitude_km: FloatArray,
) -> EstimatedParameters:
    """Return the analysed parameters.

    Parameters
    ----------
    values : dict of name -> array (members,)
        Of all members.
    settings : dict of name -> ParameterSettings
        Of the same names.
    observed : ObservedEnsemble
        Of the observations used.
    altitude_km : array (observations,)

    Raises
    ------
    da.filters.lestkf.AnalysisError
        If the transform of a parameter is not finite.
    """
    after: dict[str, FloatArray] = {}
    limited: dict[str, int] = {}
    for name, own in settings.items():
        index = np.flatnonzero((altitude_km >= own.altitude_min_km) & (altitude_km <= own.altitude_max_km))
        local = LocalObservations(np.array([0, index.size]), index, np.full(index.size, own.observation_weight))
        forecast = values[name][None]
        analysis = analyse_sub_domains(forecast, [slice(0, 1)], observed, local).ensemble
        relaxed = relax_to_prior_spread(forecast, analysis, own.relaxation)
        increment = relaxed.mean() - forecast.mean()
        damped = relaxed[0] - (1.0 - own.mean_damping) * increment
        after[name] = np.clip(damped, -own.limit, own.limit)
        limited[name] = int(np.count_nonzero(after[name] != damped))
    return EstimatedParameters({name: values[name] for name in settings}, after, limited)
