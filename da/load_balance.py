"""Which rank analyses which sub-domains: predicted cost, and shares of nearly equal cost.

Observations crowd in some sub-domains, and the analysis of a crowded one takes many times longer than that of a lonely
one. Dealing out by predicted cost keeps ranks from waiting for one another.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Counts = NDArray[np.integer[Any]]

PRODUCT_FLOPS = 6.0
"""Multiplications and additions per element of the small matrix products: the Gram matrix and two projections."""

DECOMPOSITION_FLOPS = 35.0
"""Floating-point operations per cubed size of a symmetric eigendecomposition, in those of matrix products.

About 9 are executed (Golub & Van Loan, 2013, Sec. 8.3), at a quarter of the rate of products: LAPACK's divide and
conquer took 0.64 ms for 100 x 100 where products ran at 53 GFLOP/s.
"""

DOMAIN_FLOPS = 1.0e6
"""Work per sub-domain that does not depend on its size (calls, gathering), in operations of products: some 20 us."""


def predicted_cost(
    local_counts: Counts,
    rows_per_domain: Counts,
    members: int,
    product_flops: float = PRODUCT_FLOPS,
    decomposition_flops: float = DECOMPOSITION_FLOPS,
    domain_flops: float = DOMAIN_FLOPS,
) -> FloatArray:
    r"""Return the predicted cost of the analysis of each sub-domain, in operations of matrix products.

    Parameters
    ----------
    local_counts : array of int (sub-domains,)
        Number of local observations p.
    rows_per_domain : array of int (sub-domains,)
        Number of state rows n.
    members : int
        N.
    product_flops, decomposition_flops : float
        c1 and c2 of the formula.
    domain_flops : float
        c0, of every sub-domain, observed or not.

    Notes
    -----
    The weights are found in the smaller of the two spaces, and applied to n rows:

    .. math::

        c_0 + 2 n N^2 + \begin{cases} c_1 p^2 N + c_2 p^3 & p < N \\ c_1 p N^2 + c_2 N^3 & p \ge N \end{cases}

    Sub-domains without observations stay as they are and cost :math:`c_0`.

    >>> predicted_cost(np.array([0, 50, 200]), np.array([8, 8, 8]), 100) / 1e6
    array([ 1.   ,  7.035, 48.16 ])
    """
    if members < 2:
        raise ValueError(f"an ensemble has two members at least, not {members}")
    observed, rows = np.asarray(local_counts, dtype=np.float64), np.asarray(rows_per_domain, dtype=np.float64)
    smaller = np.minimum(observed, members)
    weights = product_flops * observed * smaller * members + decomposition_flops * smaller**3
    apply = np.where(observed > 0.0, 2.0 * rows * members**2, 0.0)
    return np.asarray(domain_flops + weights + apply)


def balanced_shares(cost: FloatArray, ranks: int) -> list[IndexArray]:
    """Deal out sub-domains so that the costs of all ranks are nearly equal.

    Parameters
    ----------
    cost : array (sub-domains,)
        Not negative.
    ranks : int
        Number of shares; with fewer sub-domains than ranks, some shares are empty.

    Returns
    -------
    list of arrays
        Sub-domains of each rank, increasing; every sub-domain is in exactly one of them.

    Notes
    -----
    Longest processing time first: each sub-domain, in order of falling cost, goes to the rank with the least so far.
    The largest share is at most 4/3 - 1/(3 ranks) of the best possible (Graham, 1969, doi:10.1137/0117039). Ties go to
    the lower sub-domain and the lower rank, so that all ranks find the same shares without talking to one another.

    >>> balanced_shares(np.array([3.0, 3.0, 2.0, 2.0, 2.0]), 2)
    [array([0, 2, 4]), array([1, 3])]
    """
    if ranks < 1:
        raise ValueError(f"sub-domains are dealt out to one rank at least, not to {ranks}")
    if not np.all(np.isfinite(cost)) or np.any(cost < 0.0):
        raise ValueError("costs must be finite and not negative")
    owner = np.empty(len(cost), dtype=np.int64)
    loads = [(0.0, rank) for rank in range(ranks)]
    for domain in np.argsort(-cost, kind="stable").tolist():
        load, rank = loads[0]
        owner[domain] = rank
        heapq.heapreplace(loads, (load + float(cost[domain]), rank))
    by_owner = np.argsort(owner, kind="stable")
    return np.split(by_owner, np.searchsorted(owner[by_owner], np.arange(1, ranks)))


def imbalance(cost: FloatArray, shares: Sequence[IndexArray]) -> float:
    """Return the largest cost of a share over the mean of all shares: one is perfect, their number the worst.

    >>> imbalance(np.array([1.0, 1.0, 2.0]), [np.array([0, 1]), np.array([2])])
    1.0
    """
    totals = np.array([cost[share].sum() for share in shares])
    return float(totals.max() / totals.mean()) if totals.any() else 1.0
