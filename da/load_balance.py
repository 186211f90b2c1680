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

PRODUCT_FLOPS = 0.8
"""Operations per observation, size of the smaller space and member: with large products, Gram matrix and projection."""

SQUARE_FLOPS = 3200.0
"""Operations of products, in whose time one element of the small square matrices is dealt with.

Reduction to tridiagonal form and the functions of what is left are bound by memory and calls: for up to a hundred
observations they take a time that grows like the square of their number (``benchmarks/scaling.py``).
"""

ROW_FLOPS = 4.7
"""Operations per row and squared number of members: two of them multiply, the others read, write and shift the row."""

DOMAIN_FLOPS = 0.5e6
"""Work per sub-domain that does not depend on its size (calls, gathering), in operations of products: some 10 us."""


def predicted_cost(
    local_counts: Counts,
    rows_per_domain: Counts,
    members: int,
    product_flops: float = PRODUCT_FLOPS,
    square_flops: float = SQUARE_FLOPS,
    row_flops: float = ROW_FLOPS,
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
    product_flops, square_flops, row_flops : float
        c1, c2 and c3 of the formula.
    domain_flops : float
        c0, of every sub-domain, observed or not.

    Notes
    -----
    The weights are found in the smaller of the two spaces, of size k = min(p, N), and applied to n rows:

    .. math:: c_0 + c_1 p k N + c_2 k^2 + c_3 n N^2

    Sub-domains without observations stay as they are and cost :math:`c_0`. The constants were fitted at N = 100, p from
    10 to 200, and n from 8 to 232.

    >>> predicted_cost(np.array([0, 50, 200]), np.array([8, 8, 8]), 100) / 1e6
    array([ 0.5  ,  9.076, 34.476])
    """
    if members < 2:
        raise ValueError(f"an ensemble has two members at least, not {members}")
    observed, rows = np.asarray(local_counts, dtype=np.float64), np.asarray(rows_per_domain, dtype=np.float64)
    smaller = np.minimum(observed, members)
    weights = product_flops * observed * smaller * members + square_flops * smaller**2
    apply = np.where(observed > 0.0, row_flops * rows * members**2, 0.0)
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
