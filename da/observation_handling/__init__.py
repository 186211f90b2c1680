"""What is done with observations before the filter sees them: checked, thinned, averaged, errors inflated.

Independent of where observations come from: arrays in, new arrays out. `check_innovations` refuses observations that no
member comes near; `thinned` and `superobservations` reduce densely sampled tracks; `variance_factors` compensates for
error correlations that a diagonal R leaves out; `running_mean` gives what a density averaged over minutes is compared
with.
"""

from __future__ import annotations

from da.observation_handling.effective_number import effective_number, variance_factors
from da.observation_handling.innovation_check import CheckedInnovations, check_innovations, innovation_check
from da.observation_handling.running_mean import Footprints, footprints, has_whole_window, running_mean
from da.observation_handling.superobbing import SuperObservations, error_factor_of_mean, superobservations
from da.observation_handling.thinning import thinned

__all__ = [
    "CheckedInnovations",
    "Footprints",
    "SuperObservations",
    "check_innovations",
    "effective_number",
    "error_factor_of_mean",
    "footprints",
    "has_whole_window",
    "innovation_check",
    "running_mean",
    "superobservations",
    "thinned",
    "variance_factors",
]
