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
    rows: FloatArray,
    row_start: Sequence[int] | IndexArray,
    observed: ObservedEnsemble,
    local: LocalObservations,
    forgetting_factor: float = 1.0,
    relaxation: Relaxation | None = None,
) -> FloatArray:
    """Return the analysed rows of a set of sub-domains.

    Parameters
    ----------
    rows : array (rows, members)
        Forecast, ordered by sub-domain; not changed.
    row_start : array (blocks + 1,)
        Sub-domain b owns ``rows[row_start[b]:row_start[b + 1]]``.
    observed : ObservedEnsemble
        Of all observations.
    local : LocalObservations
        Which of them each sub-domain uses, and with which weight.
    forgetting_factor : float
        Prior covariance divided by it where there is at least one local observation.
    relaxation : callable or None
        ``relaxation(forecast rows, analysed rows)`` returns relaxed rows; see :mod:`da.inflation`.

    Returns
    -------
    array (rows, members)
        Sub-domains without local observations keep their members bit for bit.

    Raises
    ------
    AnalysisError
        With the number of the sub-domain, where its linear algebra fails or gives numbers that are not finite.
    """
    analysed = rows.copy()
    for block in range(len(row_start) - 1):
        index, weight = local.of(block)
        if index.size == 0:
            continue
        own = slice(row_start[block], row_start[block + 1])
        try:
            transform = ensemble_transform(
                observed.anomalies[index],
                observed.innovation[index],
                weight / observed.variance[index],
                forgetting_factor,
            )
        except (np.linalg.LinAlgError, ValueError) as error:
            raise AnalysisError(block, str(error)) from error
        result = apply_transform(rows[own], transform)
        if relaxation is not None:
            result = relaxation(rows[own], result)
        if not np.isfinite(result).all():
            raise AnalysisError(block, "the analysis is not finite")
        analysed[own] = result
    return analysed
