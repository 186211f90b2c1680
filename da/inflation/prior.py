"""Inflation of the forecast covariance within one analysis: which forgetting factor each sub-domain gets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from da.inflation.adaptive import AdaptiveInflationSettings, InflationState
from da.inflation.forgetting import global_forgetting_factor, local_forgetting_factors
from da.localization import LocalObservations

FloatArray = NDArray[np.float64]


class PriorInflationKind(StrEnum):
    """Where forgetting factors come from."""

    FIXED = "fixed"
    GLOBAL = "global"
    """From all innovations of the analysis."""
    LOCAL = "local"
    """From the innovations that each sub-domain sees."""
    ADAPTIVE = "adaptive"
    """From the innovations of all analyses so far (:mod:`da.inflation.adaptive`)."""


@dataclass(frozen=True)
class PriorInflation:
    """How the forecast covariance is inflated.

    Parameters
    ----------
    kind : PriorInflationKind
    forgetting_factor : float
        Of the fixed kind; of the global and local kinds where innovations give none.
    adaptive : AdaptiveInflationSettings or None
        Of the adaptive kind, and of it alone.
    """

    kind: PriorInflationKind = PriorInflationKind.FIXED
    forgetting_factor: float = 1.0
    adaptive: AdaptiveInflationSettings | None = None

    def __post_init__(self) -> None:
        if (self.kind is PriorInflationKind.ADAPTIVE) != (self.adaptive is not None):
            raise ValueError("settings of adaptive inflation belong to that kind, and to it alone")
        if not self.forgetting_factor > 0.0:
            raise ValueError(f"the forgetting factor must be positive, not {self.forgetting_factor}")

    def factors(
        self,
        local: LocalObservations,
        innovation: FloatArray,
        forecast_variance: FloatArray,
        error_variance: FloatArray,
        state: InflationState | None,
    ) -> FloatArray:
        """Return the forgetting factors (sub-domains,).

        Parameters
        ----------
        local : LocalObservations
        innovation, forecast_variance, error_variance : array (observations,)
        state : InflationState or None
            Of these sub-domains, for the adaptive kind.
        """
        fixed = self.forgetting_factor
        if self.kind is PriorInflationKind.LOCAL:
            return local_forgetting_factors(local, forecast_variance, innovation, error_variance, fixed)
        if self.kind is PriorInflationKind.ADAPTIVE:
            if state is None:
                raise ValueError("adaptive inflation needs its state")
            return state.forgetting_factors
        if self.kind is PriorInflationKind.GLOBAL:
            fixed = global_forgetting_factor(forecast_variance, innovation, error_variance, fixed)
        return np.full(local.counts.size, fixed)
