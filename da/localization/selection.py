"""Which observations each sub-domain uses, and with which weight, in compressed rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from da.localization.metrics import Metric
from da.localization.weights import Weighting, exponential, gaspari_cohn, regulated_weight

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
ObservationIndex = NDArray[np.signedinteger[Any]]

PAIRS_PER_CHUNK = 1 << 15
"""Pairs of a centre and an observation handled at once; each takes up to 150 bytes of work memory."""


@dataclass(frozen=True)
class Localization:
    """Which observations a sub-domain uses, and with which weight.

    All radii are in the unit of the metric's distance: cells or km.

    Parameters
    ----------
    cutoff_radius : float
        Observations up to this distance (inclusive) are local; infinity makes all of them local.
    weighting : Weighting
        How R^-1 is weighted.
    support_radius : float or None
        For Gaspari-Cohn: the distance at which the weight becomes exactly zero.
    decay_radius : float or None
        For exponential weights: the distance at which the weight is 1/e.

    Raises
    ------
    ValueError
        Where radii are not positive, or contradict the kind of weights.
    """

    cutoff_radius: float
    weighting: Weighting
    support_radius: float | None = None
    decay_radius: float | None = None

    def __post_init__(self) -> None:
        radii = {"cut-off": self.cutoff_radius, "support": self.support_radius, "decay": self.decay_radius}
        for name, radius in radii.items():
            if radius is not None and not radius > 0.0:
                raise ValueError(f"the {name} radius must be positive, not {radius}")
        if (self.weighting is Weighting.GASPARI_COHN) != (self.support_radius is not None):
            raise ValueError("a support radius belongs to Gaspari-Cohn weights, and to them alone")
        if (self.weighting is Weighting.EXPONENTIAL) != (self.decay_radius is not None):
            raise ValueError("a decay radius belongs to exponential weights, and to them alone")
        if np.isinf(self.cutoff_radius) and self.weighting is not Weighting.UNIFORM:
            raise ValueError("an infinite cut-off radius goes with uniform weights")

    def weight(self, distance: FloatArray) -> FloatArray:
        """Return the factors of R^-1 for local observations at these distances."""
        if self.support_radius is not None:
            return gaspari_cohn(distance, self.support_radius)
        if self.decay_radius is not None:
            return exponential(distance, self.decay_radius)
        return np.ones_like(distance)


@dataclass(frozen=True)
class LocalObservations:
    """Local observations of each sub-domain in compressed rows.

    Parameters
    ----------
    start : array (sub-domains + 1,)
        Sub-domain b owns the entries ``start[b]:start[b + 1]``; begins with zero.
    index : array of int32 or int64 (entries,)
        Which observation, increasing within a sub-domain. Selection gives int32, half the memory, as long as it can
        number all observations.
    weight : array (entries,)
        Factor of the inverse error variance of that observation.
    """

    start: IndexArray
    index: ObservationIndex
    weight: FloatArray

    def of(self, block: int) -> tuple[ObservationIndex, FloatArray]:
        """Return indices and weights of one sub-domain."""
        entries = slice(self.start[block], self.start[block + 1])
        return self.index[entries], self.weight[entries]

    @property
    def counts(self) -> IndexArray:
        """Number of local observations per sub-domain."""
        return np.diff(self.start)

    def of_sub_domains(self, sub_domains: IndexArray) -> LocalObservations:
        """Return the local observations of some sub-domains, in the given order."""
        counts = self.counts[sub_domains]
        start = _starts(counts)
        entries = np.repeat(self.start[sub_domains] - start[:-1], counts) + np.arange(start[-1])
        return LocalObservations(start, self.index[entries], self.weight[entries])


def _index_type(observations: int) -> type[np.signedinteger[Any]]:
    return np.int32 if observations <= np.iinfo(np.int32).max else np.int64


def _starts(counts: NDArray[np.integer[Any]]) -> IndexArray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def select_local_observations(
    centre: FloatArray,
    position: FloatArray,
    localization: Localization,
    metric: Metric,
    pairs_per_chunk: int = PAIRS_PER_CHUNK,
) -> LocalObservations:
    """Find and weight the local observations of sub-domains.

    Parameters
    ----------
    centre : array (sub-domains, 3)
        Centres in the coordinates of the metric.
    position : array (observations, 3)
        Positions of the observations in the same coordinates.
    localization : Localization
        Cut-off and weights.
    metric : Metric
        :class:`~da.localization.metrics.IndexMetric` or :class:`~da.localization.metrics.GreatCircleMetric`.
    pairs_per_chunk : int
        Bound of the work memory: as many centres at once as have that many observations near, and one at least. The
        result does not depend on it.

    Raises
    ------
    ValueError
        Where a position is not finite.

    Notes
    -----
    Trees narrow the search; the decision is made by the metric's own distance, compared inclusively (in grid cells that
    is exact; on the sphere, up to rounding of 1e-11 km). Needs, beyond its result of 12 bytes per entry, about 150
    bytes per pair of a chunk and 70 per sub-domain.
    """
    if not len(position) or not len(centre):
        return LocalObservations(np.zeros(len(centre) + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0))
    if np.isinf(localization.cutoff_radius):
        return _all_observations(len(centre), len(position))
    centres, positions = metric.embed(centre), metric.embed(position)
    tree, reach = cKDTree(positions, boxsize=metric.box), metric.reach(localization.cutoff_radius)
    near = np.asarray(tree.query_ball_point(centres, reach, return_length=True), dtype=np.int64)
    index = np.empty(near.sum(), dtype=_index_type(len(position)))
    weight, counts, filled = np.empty(index.size), np.empty_like(near), 0
    for chunk in _chunks(near, pairs_per_chunk):
        block, candidate = _sorted_pairs(cKDTree(centres[chunk], boxsize=metric.box), tree, reach)
        distance = metric.embedded_distance(centres[chunk].take(block, axis=0), positions.take(candidate, axis=0))
        local = distance <= localization.cutoff_radius
        counts[chunk] = np.bincount(block[local], minlength=counts[chunk].size)
        entries = slice(filled, filled + int(np.count_nonzero(local)))
        index[entries] = candidate[local]
        weight[entries] = localization.weight(distance[local])
        filled = entries.stop
    # In place, because the few entries beyond the cut-off are not worth a second copy of all others.
    index.resize(filled, refcheck=False)
    weight.resize(filled, refcheck=False)
    return LocalObservations(_starts(counts), index, weight)


def _all_observations(domains: int, observations: int) -> LocalObservations:
    everything = np.arange(observations, dtype=_index_type(observations))
    start = np.arange(domains + 1, dtype=np.int64) * observations
    return LocalObservations(start, np.tile(everything, domains), np.ones(domains * observations))


def _chunks(near: IndexArray, pairs: int) -> Iterator[slice]:
    """Yield slices of consecutive centres with at most ``pairs`` pairs together, or of a single centre."""
    total, first = np.cumsum(near), 0
    while first < near.size:
        before = total[first - 1] if first else 0
        stop = max(int(np.searchsorted(total, before + pairs, side="right")), first + 1)
        yield slice(first, stop)
        first = stop


def _sorted_pairs(centres: Any, positions: Any, reach: float) -> tuple[IndexArray, IndexArray]:
    """Return the pairs (centre, position) of two trees within reach, sorted by centre, then by position."""
    pairs = centres.sparse_distance_matrix(positions, reach, output_type="ndarray")
    key = pairs["i"] * np.int64(positions.n) + pairs["j"]
    key.sort()
    centre, position = np.divmod(key, np.int64(positions.n))
    return centre, position


def merge_sources(parts: Sequence[LocalObservations], sizes: Sequence[int]) -> LocalObservations:
    """Join the local observations of several sources of the same sub-domains.

    Parameters
    ----------
    parts : sequence of LocalObservations
        One per source, each with its own cut-off and weights.
    sizes : sequence of int
        Number of observations of each source. Joined, the observations of source s are numbered from
        ``sum(sizes[:s])`` on.

    Raises
    ------
    ValueError
        Where the sources differ in their sub-domains, or a source has fewer observations than it refers to.
    """
    if len(parts) != len(sizes) or not parts:
        raise ValueError(f"{len(parts)} sources with {len(sizes)} sizes cannot be joined")
    if len({part.start.size for part in parts}) > 1:
        raise ValueError(f"sources have {[part.start.size - 1 for part in parts]} sub-domains")
    counts = np.column_stack([part.counts for part in parts])
    source = np.repeat(np.tile(np.arange(len(parts), dtype=np.int16), len(counts)), counts.ravel())
    index, weight, first = np.empty(source.size, dtype=_index_type(sum(sizes))), np.empty(source.size), 0
    for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        if part.index.size and part.index.max() >= size:
            raise ValueError(f"observation {part.index.max()} of a source of {size}")
        own = source == number
        index[own] = part.index + index.dtype.type(first)
        weight[own] = part.weight
        first += size
    return LocalObservations(_starts(counts.sum(axis=1)), index, weight)


def regulated(local: LocalObservations, forecast_variance: FloatArray, error_variance: FloatArray) -> LocalObservations:
    """Return the same observations with regulated weights, see :func:`~da.localization.weights.regulated_weight`.

    Parameters
    ----------
    local : LocalObservations
    forecast_variance, error_variance : array (observations,)
        (H P H^T)_ii and R_ii of every observation.
    """
    weight = np.empty_like(local.weight)
    for first in range(0, weight.size, PAIRS_PER_CHUNK):
        entries = slice(first, first + PAIRS_PER_CHUNK)
        index = local.index[entries]
        weight[entries] = regulated_weight(local.weight[entries], forecast_variance[index], error_variance[index])
    return LocalObservations(local.start, local.index, weight)
