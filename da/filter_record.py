"""What one analysis leaves for those who judge the filter: numbers of the whole analysis and maps over sub-domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from da.diagnostics import consistency_ratios, effective_ensemble_size, spread_error_ratio
from da.observations import ObservationBatch

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class SourceCount:
    """How many observations of one source were used, and how many were refused."""

    used: int
    refused: int


@dataclass(frozen=True)
class ParameterMoments:
    """Mean and standard deviation over the members of one estimated parameter, before and after an analysis."""

    mean_before: float
    standard_deviation_before: float
    mean_after: float
    standard_deviation_after: float

    @classmethod
    def of(cls, before: FloatArray, after: FloatArray) -> ParameterMoments:
        """Return the moments of the members' values (members,), with ``members - 1`` in the denominator."""
        return cls(float(before.mean()), float(before.std(ddof=1)), float(after.mean()), float(after.std(ddof=1)))


@dataclass(frozen=True)
class InnovationDiagnostics:
    """Numbers of :mod:`da.diagnostics` over the observations that were used, in units of their errors; NaN without any.

    Densities span many orders of magnitude: each observation is divided by its error standard deviation, so that all of
    them count, not the largest alone. The spread is that of the forecast before the filter inflates it.

    Parameters
    ----------
    effective_ensemble_size : float
    spread_error_ratio_total, spread_error_ratio_ensemble : float
        With and without the observation errors in the spread.
    consistency_innovation, consistency_forecast, consistency_observation : float
        Estimated over assumed variances.
    """

    effective_ensemble_size: float
    spread_error_ratio_total: float
    spread_error_ratio_ensemble: float
    consistency_innovation: float
    consistency_forecast: float
    consistency_observation: float

    @classmethod
    def of(
        cls, values: FloatArray, error_standard_deviation: FloatArray, forecast: FloatArray, analysis: FloatArray
    ) -> InnovationDiagnostics:
        """Return the numbers of observations (observations,) and HX (observations, members) before and after."""
        nothing = cls(*([np.nan] * 6))
        if not values.size:
            return nothing
        mean = forecast.mean(axis=1)
        anomalies = (forecast - mean[:, None]) / error_standard_deviation[:, None]
        innovation = (values - mean) / error_standard_deviation
        residual = (values - analysis.mean(axis=1)) / error_standard_deviation
        variance, ones = np.sum(anomalies**2, axis=1) / (anomalies.shape[1] - 1), np.ones(values.size)
        if not variance.any():
            return nothing
        ratio = spread_error_ratio(variance, ones, innovation)
        consistency = consistency_ratios(innovation, residual, variance, ones)
        return cls(
            effective_ensemble_size(anomalies, ones),
            ratio.total,
            ratio.ensemble,
            consistency.innovation,
            consistency.forecast,
            consistency.observation,
        )


@dataclass(frozen=True)
class Summary:
    """Smallest, mean and largest value over the sub-domains that were analysed."""

    minimum: float
    mean: float
    maximum: float


@dataclass(frozen=True, eq=False)
class FilterRecord:
    """Diagnostics of one analysis.

    Parameters
    ----------
    time : datetime64[ns]
    centre : array (sub-domains, 3)
        Centres in index units (level, latitude, longitude), by which sub-domains are known again.
    sources : dict of name -> SourceCount
    local_observations : array of int (sub-domains,)
    degrees_of_freedom : array (sub-domains,)
        For signal; zero without local observations.
    forgetting_factor : array (sub-domains,)
    innovations : InnovationDiagnostics
    constraint_hits : dict of name -> int
        Number of values that each constraint changed, summed over the members.
    inflation_mean, inflation_standard_deviation : array (sub-domains,) or None
        State of the adaptive inflation after the analysis; both or none.
    parameters : dict of name -> ParameterMoments
    members : int
        Of the ensemble that was analysed.
    members_replaced, members_dropped : int
        Since the analysis before, because they had failed: made anew, and left out for good.

    Raises
    ------
    ValueError
        If arrays differ in length, or one half of the inflation is missing.
    """

    time: np.datetime64
    centre: FloatArray
    sources: Mapping[str, SourceCount]
    local_observations: IndexArray
    degrees_of_freedom: FloatArray
    forgetting_factor: FloatArray
    innovations: InnovationDiagnostics
    constraint_hits: Mapping[str, int] = field(default_factory=dict)
    inflation_mean: FloatArray | None = None
    inflation_standard_deviation: FloatArray | None = None
    parameters: Mapping[str, ParameterMoments] = field(default_factory=dict)
    members: int = 0
    members_replaced: int = 0
    members_dropped: int = 0

    def __post_init__(self) -> None:
        domains = len(self.local_observations)
        if self.centre.shape != (domains, 3):
            raise ValueError(f"centres have shape {self.centre.shape}, expected ({domains}, 3)")
        if (self.inflation_mean is None) != (self.inflation_standard_deviation is None):
            raise ValueError("adaptive inflation has a mean and a standard deviation, or neither")
        for name in ("degrees_of_freedom", "forgetting_factor", "inflation_mean", "inflation_standard_deviation"):
            values = getattr(self, name)
            if values is not None and values.shape != (domains,):
                raise ValueError(f"{name} has shape {values.shape}, expected ({domains},)")

    @property
    def unobserved_sub_domains(self) -> int:
        """Number of sub-domains without observations, which keep their members."""
        return int(np.count_nonzero(self.local_observations == 0))

    def summary(self, values: FloatArray) -> Summary:
        """Return the extremes and the mean of an array (sub-domains,) where there are observations; NaN if nowhere."""
        analysed = values[self.local_observations > 0]
        if not analysed.size:
            return Summary(np.nan, np.nan, np.nan)
        return Summary(float(analysed.min()), float(analysed.mean()), float(analysed.max()))


def filter_record(
    time: np.datetime64,
    batches: Sequence[ObservationBatch],
    forecast: FloatArray,
    analysis: FloatArray,
    used: BoolArray,
    *,
    centre: FloatArray,
    local_observations: IndexArray,
    degrees_of_freedom: FloatArray,
    forgetting_factor: FloatArray,
    constraint_hits: Mapping[str, int],
    inflation: tuple[FloatArray, FloatArray] | None = None,
    parameters: Mapping[str, tuple[FloatArray, FloatArray]] | None = None,
    members_replaced: int = 0,
    members_dropped: int = 0,
) -> FilterRecord:
    """Return the record of an analysis from its own arrays.

    Parameters
    ----------
    time : datetime64[ns]
        Of the analysis.
    batches : sequence of ObservationBatch
        At least one; the errors are those that the analysis used.
    forecast, analysis : array (observations, members)
        HX before and after, in the order of the batches.
    used : array of bool (observations,)
    centre, local_observations, degrees_of_freedom, forgetting_factor, constraint_hits
        See :class:`FilterRecord`.
    inflation : tuple of arrays (sub-domains,) or None
        Mean and standard deviation of the adaptive inflation after the analysis.
    parameters : dict of name -> (before, after), arrays (members,)
    members_replaced, members_dropped : int
        See :class:`FilterRecord`.
    """
    values = np.concatenate([batch.values for batch in batches])
    error = np.concatenate([batch.error_standard_deviation for batch in batches])
    mean, deviation = (None, None) if inflation is None else inflation
    return FilterRecord(
        time=time,
        centre=centre,
        sources=count_sources([batch.source for batch in batches], [len(batch) for batch in batches], used),
        local_observations=local_observations,
        degrees_of_freedom=degrees_of_freedom,
        forgetting_factor=forgetting_factor,
        innovations=InnovationDiagnostics.of(values[used], error[used], forecast[used], analysis[used]),
        constraint_hits=constraint_hits,
        inflation_mean=mean,
        inflation_standard_deviation=deviation,
        parameters={name: ParameterMoments.of(*members) for name, members in (parameters or {}).items()},
        members=forecast.shape[1],
        members_replaced=members_replaced,
        members_dropped=members_dropped,
    )


def count_sources(labels: Sequence[str], sizes: Sequence[int], used: BoolArray) -> dict[str, SourceCount]:
    """Return how many observations of each source were used and refused.

    Parameters
    ----------
    labels, sizes : sequence
        Source and number of observations of each batch; batches with one label are one source.
    used : array of bool (observations,)
        In the order of the batches.

    Raises
    ------
    ValueError
        If the sizes do not add up to the observations.

    >>> count_sources(["grid", "track", "track"], [2, 1, 1], np.array([True, False, True, True]))
    {'grid': SourceCount(used=1, refused=1), 'track': SourceCount(used=2, refused=0)}
    """
    if sum(sizes) != used.size:
        raise ValueError(f"batches of {sum(sizes)} observations, but {used.size} flags")
    counts: dict[str, SourceCount] = {}
    start = 0
    for label, size in zip(labels, sizes, strict=True):
        kept = int(np.count_nonzero(used[start : start + size]))
        start += size
        so_far = counts.get(label, SourceCount(0, 0))
        counts[label] = SourceCount(so_far.used + kept, so_far.refused + size - kept)
    return counts
