"""What is done with observations before the filter sees them: checked, thinned, averaged, errors inflated.

Independent of where observations come from: arrays in, new arrays out. `check_innovations` refuses observations that no
member comes near; `thinned` and `superobservations` reduce densely sampled tracks; `variance_factors` compensates for
error correlations that a diagonal R leaves out.
"""

from __future__ import annotations

from da.observation_handling.effective_number import effective_number, variance_factors
from da.observation_handling.innovation_check import CheckedInnovations, check_innovations, innovation_check
from da.observation_handling.superobbing import SuperObservations, error_factor_of_mean, superobservations
from da.observation_handling.thinning import thinned

__all__ = [
    "CheckedInnovations",
    "SuperObservations",
    "check_innovations",
    "effective_number",
    "error_factor_of_mean",
    "innovation_check",
    "superobservations",
    "thinned",
    "variance_factors",
]
