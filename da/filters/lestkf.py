"""Localized ESTKF: one ensemble transform per sub-domain, from its local observations (Nerger et al. 2006, 2012)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.filters.estkf import apply_transform, ensemble_transform
from da.localization import LocalObservations

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Relaxation = Callable[[FloatArray, FloatArray], FloatArray]


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


def analyse_sub_domains(
    ensemble: FloatArray,
    domain_rows: Sequence[IndexArray | slice],
    observed: ObservedEnsemble,
    local: LocalObservations,
    forgetting_factor: float = 1.0,
    relaxation: Relaxation | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return the analysis of a set of disjoint sub-domains.

    Parameters
    ----------
    ensemble : array (rows, members)
        Forecast; not changed unless it is also ``out``.
    domain_rows : sequence of arrays or slices
        Rows of each sub-domain; slices, where a sub-domain's rows are contiguous, save a copy.
    observed : ObservedEnsemble
        Of all observations.
    local : LocalObservations
        Which of them each sub-domain uses, and with which weight.
    forgetting_factor : float
        Prior covariance divided by it where there is at least one local observation.
    relaxation : callable or None
        ``relaxation(forecast rows, analysed rows)`` returns relaxed rows; see :mod:`da.inflation`.
    out : array (rows, members) or None
        Where to write the analysis; ``ensemble`` itself saves the memory of a second one.

    Returns
    -------
    array (rows, members)
        ``out``. Sub-domains without local observations, and rows of no sub-domain, keep their members bit for bit.

    Raises
    ------
    AnalysisError
        With the number of the sub-domain, where its linear algebra fails or gives numbers that are not finite.
    """
    if out is None:
        out = ensemble.copy()
    elif out is not ensemble:
        out[...] = ensemble
    inverse_variance = 1.0 / observed.variance
    for block, rows in enumerate(domain_rows):
        index, weight = local.of(block)
        if index.size == 0:
            continue
        forecast = ensemble[rows]
        try:
            transform = ensemble_transform(
                observed.anomalies[index],
                observed.innovation[index],
                weight * inverse_variance[index],
                forgetting_factor,
            )
        except (np.linalg.LinAlgError, ValueError) as error:
            raise AnalysisError(block, str(error)) from error
        analysis = apply_transform(forecast, transform)
        if relaxation is not None:
            analysis = relaxation(forecast, analysis)
        # A sum is finite only if every term is, and takes a third of the time of looking at each.
        if not np.isfinite(analysis.sum()):
            raise AnalysisError(block, "the analysis is not finite")
        out[rows] = analysis
    return out
