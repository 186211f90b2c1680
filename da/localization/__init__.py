"""Localization: which observations each sub-domain of the state uses, and with which weight.

Each sub-domain holds all fields of its grid cells (Nerger et al. 2006, doi:10.1007/s10236-006-0083-0). Observations
count as local up to and including the cut-off radius around its centre, in the distance of a metric, and R^-1 is
multiplied **once** by a weight of that distance (Hunt et al. 2007, doi:10.1016/j.physd.2006.11.008). So::

    grid -> sub_domains -> centres -> selection (metrics, weights) -> LocalObservations -> da.filters
"""

from da.localization.metrics import GreatCircleMetric, IndexMetric, Metric, vertical_scale
from da.localization.selection import (
    Localization,
    LocalObservations,
    merge_sources,
    regulated,
    select_local_observations,
)
from da.localization.sub_domains import SubDomains, SubDomainShape, block_sub_domains, sub_domains_of_shape
from da.localization.weights import Weighting, exponential, gaspari_cohn, regulated_weight

__all__ = [
    "GreatCircleMetric",
    "IndexMetric",
    "LocalObservations",
    "Localization",
    "Metric",
    "SubDomainShape",
    "SubDomains",
    "Weighting",
    "block_sub_domains",
    "exponential",
    "gaspari_cohn",
    "merge_sources",
    "regulated",
    "regulated_weight",
    "select_local_observations",
    "sub_domains_of_shape",
    "vertical_scale",
]
