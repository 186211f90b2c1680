"""Localized ESTKF: one ensemble transform per sub-domain, from its local observations (Nerger et al. 2006, 2012).

Sub-domains are taken in the order of their number of local observations, so that those with equally many go through the
linear algebra together; sub-domains that see the same observations with the same weights share one transform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.filters.estkf import EnsembleTransforms, ensemble_transforms, scaled_block
from da.localization import LocalObservations

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Relaxation = Callable[[FloatArray, FloatArray], FloatArray]

BATCH_ELEMENTS = 600_000
"""Numbers of scaled observed anomalies that are worked on at a time: 5 MiB, well within a processor's cache."""

COUNT_STEP = 4
"""Numbers of observations are filled up to a multiple of this by observations of weight zero, for fuller batches."""

RETAINED_BYTES = 31 * 2**20
"""Work memory that is kept between batches; a few of them are used."""


class AnalysisError(ArithmeticError):
    """The analysis of one sub-domain failed; ``block`` is its number."""

    def __init__(self, block: int, cause: str) -> None:
        super().__init__(cause)
        self.block = block
        self.cause = cause


@dataclass(frozen=True)
class ObservedEnsemble:
    """The observation side of an analysis, the same for all sub-domains.

    Parameters
    ----------
    anomalies : array (observations, members)
        HX minus its mean.
    innovation : array (observations,)
        y minus the mean of HX.
    variance : array (observations,)
        Observation error variances.
    """

    anomalies: FloatArray
    innovation: FloatArray
    variance: FloatArray

    @classmethod
    def of(cls, observed_ensemble: FloatArray, values: FloatArray, variance: FloatArray) -> ObservedEnsemble:
        """Split HX (observations, members) into anomalies and innovation."""
        mean = observed_ensemble.mean(axis=1)
        return cls(observed_ensemble - mean[:, None], values - mean, variance)

    @property
    def members(self) -> int:
        """Size of the ensemble."""
        return int(self.anomalies.shape[1])

    def scaled(self) -> FloatArray:
        """Return R^-1/2 [HX', d] (observations, members + 1)."""
        return scaled_block(self.anomalies, self.innovation, 1.0 / self.variance)


@dataclass(frozen=True)
class TransformBatch:
    """Transforms of a few sub-domains with equally many observations.

    Parameters
    ----------
    transforms : EnsembleTransforms
    sub_domains : list of arrays
        Numbers of the sub-domains that each transform serves.
    """

    transforms: EnsembleTransforms
    sub_domains: list[IndexArray]


def local_transforms(
    observed: ObservedEnsemble, local: LocalObservations, forgetting_factor: ArrayLike = 1.0
) -> Iterator[TransformBatch]:
    """Yield the transforms of all sub-domains that have local observations.

    Parameters
    ----------
    observed : ObservedEnsemble
    local : LocalObservations
        Which observations each sub-domain uses, and with which weight.
    forgetting_factor : float or array (sub-domains,)
        Prior covariance divided by it.

    Raises
    ------
    AnalysisError
        With the number of a sub-domain that uses an observation, or has a transform, that is not finite.
    ValueError
        If a variance or a forgetting factor is not positive.
    """
    factors = np.broadcast_to(np.asarray(forgetting_factor, dtype=np.float64), local.counts.shape)
    if not (factors > 0.0).all():
        raise ValueError(f"forgetting factors must be positive, not {factors.min()}")
    if local.index.size * (observed.members + 1) > BATCH_ELEMENTS:
        _keep_freed_memory()
    scaled, members = observed.scaled(), observed.members
    _refuse_infinite_observations(scaled, local)
    shared = _sharing_sub_domains(local, factors)
    first = np.array([numbers[0] for numbers in shared], dtype=np.int64)
    counts = local.counts[first]
    width = -(-counts // COUNT_STEP) * COUNT_STEP
    for observations in np.unique(width).tolist():
        same = np.flatnonzero(width == observations)
        size = max(1, BATCH_ELEMENTS // (observations * (members + 1)))
        for part in (same[start : start + size] for start in range(0, same.size, size)):
            block = _local_block(scaled, local, first[part], observations)
            transforms = ensemble_transforms(block, factors[first[part]])
            _refuse_infinite(transforms, first[part])
            yield TransformBatch(transforms, [shared[number] for number in part])


def _keep_freed_memory() -> None:
    """Let the work memory of one batch serve the next.

    The C library of most Linux systems (glibc) returns freed memory beyond a threshold, which it raises to the largest
    array freed so far, up to 32 MiB. Fetching the same pages again for every batch took a tenth of an analysis. The
    array is never touched; other C libraries take no notice.
    """
    np.empty(RETAINED_BYTES, dtype=np.uint8)


def _refuse_infinite_observations(scaled: FloatArray, local: LocalObservations) -> None:
    bad = np.logical_not(np.isfinite(scaled).all(axis=1))
    if bad[local.index].any():
        entry = int(np.argmax(bad[local.index]))
        sub_domain = int(np.searchsorted(local.start, entry, side="right")) - 1
        raise AnalysisError(sub_domain, "observed anomalies or innovation are not finite")


def _local_block(
    scaled: FloatArray, local: LocalObservations, sub_domains: IndexArray, observations: int
) -> FloatArray:
    """Return R^-1/2 [HX', d] (sub-domains, observations, members + 1) with localized R, zero beyond what there is."""
    position = np.arange(observations)
    real = position < local.counts[sub_domains][:, None]
    entries = np.where(real, local.start[sub_domains][:, None] + position, 0)
    block = scaled[local.index[entries]]
    block *= np.sqrt(np.where(real, local.weight[entries], 0.0))[:, :, None]
    return block


def _sharing_sub_domains(local: LocalObservations, factors: FloatArray) -> list[IndexArray]:
    """Return groups of sub-domains with the same observations, weights and forgetting factor."""
    occupied = np.flatnonzero(local.counts > 0)
    if not occupied.size:
        return []
    # Sums with irregular multipliers tell nearly all different sub-domains apart; equal sums are looked at closely.
    multiplier = np.modf(np.arange(1.0, int(local.index.max()) + 2.0) * np.sqrt(2.0))[0]
    sums = np.add.reduceat(multiplier[local.index] * (1.0 + local.weight), local.start[occupied]) + factors[occupied]
    _, inverse, sizes = np.unique(sums, return_inverse=True, return_counts=True)
    candidates = sizes[inverse] > 1
    groups: dict[tuple[bytes, bytes, float], list[int]] = {}
    for number in occupied[candidates].tolist():
        index, weight = local.of(number)
        groups.setdefault((index.tobytes(), weight.tobytes(), float(factors[number])), []).append(number)
    alone = [np.array([number]) for number in occupied[~candidates]]
    return alone + [np.array(numbers) for numbers in groups.values()]


def _refuse_infinite(transforms: EnsembleTransforms, sub_domains: IndexArray) -> None:
    finite = np.isfinite(transforms.mean_weight.sum(axis=1)) & np.isfinite(transforms.kernel.sum(axis=(1, 2)))
    if not finite.all():
        raise AnalysisError(int(sub_domains[np.argmin(finite)]), "the ensemble transform is not finite")


@dataclass(frozen=True)
class LocalAnalysis:
    """What a local analysis returns, with a transform per sub-domain or with interpolated ones.

    Parameters
    ----------
    ensemble : array (rows, members)
    degrees_of_freedom : array (sub-domains,) or (nodes,)
        For signal, of each transform; zero without observations.
    """

    ensemble: FloatArray
    degrees_of_freedom: FloatArray


def analysis_target(ensemble: FloatArray, out: FloatArray | None) -> FloatArray:
    """Return the array (rows, members) to write an analysis to, holding the forecast: ``out``, or a copy."""
    if out is None:
        return ensemble.copy()
    if out is not ensemble:
        out[...] = ensemble
    return out


def relaxed(
    forecast: FloatArray, analysis: FloatArray, relaxation: Relaxation | None, update_fraction: FloatArray | None
) -> FloatArray:
    """Return analysed rows (rows, members) after relaxation, and with the fraction (rows,) of their increment."""
    if relaxation is not None:
        analysis = relaxation(forecast, analysis)
    if update_fraction is not None:
        analysis = forecast + update_fraction[:, None] * (analysis - forecast)
    return analysis


def analyse_sub_domains(
    ensemble: FloatArray,
    domain_rows: Sequence[IndexArray | slice],
    observed: ObservedEnsemble,
    local: LocalObservations,
    forgetting_factor: ArrayLike = 1.0,
    relaxation: Relaxation | None = None,
    update_fraction: FloatArray | None = None,
    out: FloatArray | None = None,
) -> LocalAnalysis:
    """Return the analysis of a set of disjoint sub-domains.

    Parameters
    ----------
    ensemble : array (rows, members)
        Forecast; not changed unless it is also ``out``. In single precision it stays so; the weights never are.
    domain_rows : sequence of arrays or slices
        Rows of each sub-domain; slices, where a sub-domain's rows are contiguous, save a copy.
    observed : ObservedEnsemble
        Of all observations.
    local : LocalObservations
        Which of them each sub-domain uses, and with which weight.
    forgetting_factor : float or array (sub-domains,)
        Prior covariance divided by it where there is at least one local observation.
    relaxation : callable or None
        ``relaxation(forecast rows, analysed rows)`` returns relaxed rows; see :mod:`da.inflation`.
    update_fraction : array (rows,) or None
        Which part of its increment each row receives; None: all of it.
    out : array (rows, members) or None
        Where to write the analysis; ``ensemble`` itself saves the memory of a second one.

    Raises
    ------
    AnalysisError
        With the number of the sub-domain, where its linear algebra gives numbers that are not finite.

    Notes
    -----
    Sub-domains without local observations, and rows of no sub-domain, keep their members bit for bit.
    """
    out = analysis_target(ensemble, out)
    freedom = np.zeros(len(domain_rows))
    for batch in local_transforms(observed, local, forgetting_factor):
        for transforms, numbers in _applications(batch, domain_rows, observed.members):
            freedom[numbers] = transforms.degrees_of_freedom
            for rows in _row_pieces([domain_rows[number] for number in numbers]):
                forecast = ensemble[rows] if isinstance(rows, slice) else ensemble.take(rows, axis=0)
                stacked = transforms.apply(forecast.reshape(len(numbers), -1, observed.members))
                # A forecast that is not finite spoils its whole row, so that one member tells.
                finite = np.isfinite(stacked[:, :, 0].sum(axis=1))
                if not finite.all():
                    raise AnalysisError(int(numbers[np.argmin(finite)]), "the analysis is not finite")
                fraction = None if update_fraction is None else update_fraction[rows]
                out[rows] = relaxed(forecast, stacked.reshape(-1, observed.members), relaxation, fraction)
    return LocalAnalysis(out, freedom)


STACKED_ELEMENTS = 45_000
"""Numbers of the state that are transformed at a time: what a processor's inner cache holds."""

MOST_ROWS = 16_384
"""Rows of one sub-domain that are copied at a time."""


def _applications(
    batch: TransformBatch, domain_rows: Sequence[IndexArray | slice], members: int
) -> Iterator[tuple[EnsembleTransforms, IndexArray]]:
    """Yield transforms and the sub-domains that they apply to, small sub-domains of one size together."""
    if any(numbers.size > 1 for numbers in batch.sub_domains):
        for position, numbers in enumerate(batch.sub_domains):
            for number in numbers:
                yield batch.transforms[position : position + 1], np.array([number])
        return
    numbers = np.concatenate(batch.sub_domains)
    sizes = np.array([_size(domain_rows[number]) for number in numbers])
    start = 0
    while start < numbers.size:
        most = max(1, STACKED_ELEMENTS // max(1, int(sizes[start]) * members))
        different = np.flatnonzero(sizes[start : start + most] != sizes[start])
        stop = start + (int(different[0]) if different.size else min(most, numbers.size - start))
        yield batch.transforms[start:stop], numbers[start:stop]
        start = stop


def _size(rows: IndexArray | slice) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else rows.size


def _row_pieces(rows: list[IndexArray | slice]) -> Iterator[IndexArray | slice]:
    """Yield the rows of several small sub-domains together, or those of a large one in pieces."""
    if len(rows) > 1:
        yield np.concatenate([np.arange(one.start, one.stop) if isinstance(one, slice) else one for one in rows])
        return
    whole = rows[0]
    for start in range(0, _size(whole), MOST_ROWS):
        if isinstance(whole, slice):
            yield slice(whole.start + start, min(whole.start + start + MOST_ROWS, whole.stop))
        else:
            yield whole[start : start + MOST_ROWS]
