r"""Inflation: what keeps the spread of an ensemble from falling behind its error.

- :mod:`~da.inflation.forgetting`: forgetting factors from the innovations of one analysis, global or per sub-domain.
- :mod:`~da.inflation.adaptive`: inflation that varies in space and is learned over time; its state goes into restarts.
- :mod:`~da.inflation.relaxation`: relaxation of the analysis spread towards the forecast's.
- :mod:`~da.inflation.additive`: perturbations drawn from a supplied set.

A forgetting factor :math:`\varrho` divides the forecast covariance inside the analysis; an inflation :math:`\lambda`
multiplies it: :math:`\varrho = 1/\lambda`, and anomalies grow by :math:`\sqrt\lambda`.
"""

from da.inflation.adaptive import AdaptiveInflationSettings, InflationState, update
from da.inflation.additive import add_centred_perturbations, draw_sample_numbers
from da.inflation.forgetting import global_forgetting_factor, local_forgetting_factors
from da.inflation.relaxation import relax_to_prior_perturbations, relax_to_prior_spread

__all__ = [
    "AdaptiveInflationSettings",
    "InflationState",
    "add_centred_perturbations",
    "draw_sample_numbers",
    "global_forgetting_factor",
    "local_forgetting_factors",
    "relax_to_prior_perturbations",
    "relax_to_prior_spread",
    "update",
]
