r"""One analysis in one call, for notebooks and models outside this package.

The caller's model stays the caller's: what enters is arrays. :func:`assimilate` checks them, selects and weights local
observations (:mod:`da.localization`), refuses those far from the ensemble (:mod:`da.observation_handling`), finds the
forgetting factors (:mod:`da.inflation`), lets the localized ESTKF transform the ensemble (:mod:`da.filters.lestkf`) and
tells what happened (:mod:`da.diagnostics`). It adds no mathematics of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.diagnostics import SpreadErrorRatio, effective_ensemble_size, spread_error_ratio
from da.filters.arguments import (
    CompressedRows,
    DomainRows,
    Observations,
    checked_ensemble,
    checked_local_observations,
    checked_observations,
    checked_places,
    checked_rows,
    checked_update_fraction,
    missing,
    refuse_given,
    refuse_missing_rows,
)
from da.filters.lestkf import AnalysisError, ObservedEnsemble, Relaxation, analyse_sub_domains
from da.inflation import (
    AdaptiveInflationSettings,
    InflationState,
    global_forgetting_factor,
    local_forgetting_factors,
    relax_to_prior_perturbations,
    relax_to_prior_spread,
    update,
)
from da.localization import (
    IndexMetric,
    Localization,
    LocalObservations,
    Metric,
    Weighting,
    regulated,
    select_local_observations,
)
from da.observation_handling import innovation_check

__all__ = ["Assimilation", "AssimilationDiagnostics", "CompressedRows", "Inflation", "assimilate"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Inflation:
    """What keeps the spread of the ensemble up.

    Parameters
    ----------
    forgetting_factor : float
        Divides the forecast covariance, so that 0.98 inflates it by 2 %. With ``adaptive_forgetting`` it serves where
        innovations say nothing.
    adaptive_forgetting : "global", "local" or None
        Forgetting factors from the innovations of this analysis: one of all observations, or one per sub-domain.
    adaptive_inflation : AdaptiveInflationSettings or None
        Inflation per sub-domain that is learned from one analysis to the next; see ``inflation_state`` of
        :func:`assimilate`. Takes the place of both above.
    relaxation_to_spread, relaxation_to_perturbations : float
        Within [0, 1]; how far the analysis' spread (RTPS) or perturbations (RTPP) return to the forecast's. One of the
        two at most.

    Raises
    ------
    ValueError
        Where a number is out of range or two choices exclude each other.
    """

    forgetting_factor: float = 1.0
    adaptive_forgetting: Literal["global", "local"] | None = None
    adaptive_inflation: AdaptiveInflationSettings | None = None
    relaxation_to_spread: float = 0.0
    relaxation_to_perturbations: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.forgetting_factor < np.inf:
            raise ValueError(f"forgetting_factor must be positive and finite, not {self.forgetting_factor}")
        if self.adaptive_forgetting not in ("global", "local", None):
            raise ValueError(f"adaptive_forgetting must be 'global', 'local' or None, not {self.adaptive_forgetting!r}")
        if self.adaptive_inflation and (self.adaptive_forgetting or self.forgetting_factor != 1.0):
            raise ValueError("adaptive_inflation excludes adaptive_forgetting and a forgetting_factor other than 1")
        for name in ("relaxation_to_spread", "relaxation_to_perturbations"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie within [0, 1], not {getattr(self, name)}")
        if self.relaxation_to_spread and self.relaxation_to_perturbations:
            raise ValueError("relaxation_to_spread and relaxation_to_perturbations exclude each other")

    @property
    def relaxation(self) -> Relaxation | None:
        """What relaxes the analysed rows, if anything."""
        if self.relaxation_to_spread:
            return partial(relax_to_prior_spread, relaxation=self.relaxation_to_spread)
        if self.relaxation_to_perturbations:
            return partial(relax_to_prior_perturbations, relaxation=self.relaxation_to_perturbations)
        return None


NO_INFLATION = Inflation()


@dataclass(frozen=True, eq=False)
class AssimilationDiagnostics:
    """What an analysis tells about itself.

    Parameters
    ----------
    local_observations : array of int (sub-domains,)
        Number of observations used by each sub-domain.
    degrees_of_freedom : array (sub-domains,)
        For signal, trace(HK) of each local analysis: how many quantities the observations determine better than the
        forecast does. Zero without observations.
    forgetting_factor : array (sub-domains,)
        As applied where there are observations; sub-domains without any are left as they are.
    used : array of bool (observations,)
        False for those that the innovation check refused.
    unseen_observations : int
        Observations that passed the check but are local to no sub-domain.
    rows_in_no_sub_domain : int
        Rows of the state that were kept as they are because no sub-domain holds them.
    effective_ensemble_size : float
        How many directions share the spread in units of the observation errors, from one to members - 1; zero without
        observations or without spread.
    spread_error_ratio : SpreadErrorRatio or None
        Spread of the forecast over its innovations, both in units of the observation errors and over the observations
        used; before inflation. None without observations.
    """

    local_observations: IndexArray
    degrees_of_freedom: FloatArray
    forgetting_factor: FloatArray
    used: BoolArray
    unseen_observations: int
    rows_in_no_sub_domain: int
    effective_ensemble_size: float
    spread_error_ratio: SpreadErrorRatio | None

    @property
    def refused_observations(self) -> int:
        """Number of observations that the innovation check refused."""
        return int(np.count_nonzero(~self.used))

    @property
    def sub_domains_without_observations(self) -> int:
        """Number of sub-domains that the analysis left as they were."""
        return int(np.count_nonzero(self.local_observations == 0))


@dataclass(frozen=True, eq=False)
class Assimilation:
    """What :func:`assimilate` returns.

    Parameters
    ----------
    ensemble : array (state_size, members)
        The analysis, in the precision of the forecast.
    diagnostics : AssimilationDiagnostics
    inflation_state : InflationState or None
        With adaptive inflation, what the next analysis needs (and a restart must hold).
    """

    ensemble: FloatArray
    diagnostics: AssimilationDiagnostics
    inflation_state: InflationState | None


def assimilate(
    ensemble: ArrayLike,
    observed_ensemble: ArrayLike,
    values: ArrayLike,
    error_standard_deviation: ArrayLike,
    *,
    localization: Localization | LocalObservations | None,
    sub_domains: Sequence[ArrayLike] | CompressedRows | None = None,
    centre: ArrayLike | None = None,
    position: ArrayLike | None = None,
    metric: Metric | None = None,
    regulate_weights: bool = False,
    inflation: Inflation = NO_INFLATION,
    inflation_state: InflationState | None = None,
    innovation_threshold: float | None = None,
    update_fraction: ArrayLike | None = None,
) -> Assimilation:
    """Return the analysis of an ensemble by the localized or global ESTKF, with diagnostics; no argument is changed.

    Parameters
    ----------
    ensemble : array (state_size, members)
        Forecast, any units. In single precision it stays so; the linear algebra is in double precision.
    observed_ensemble : array (observations, members)
        HX: what each member of the forecast says about each observation.
    values, error_standard_deviation : array (observations,)
        Observations and the standard deviation of their independent errors, in the unit of HX; a single number serves
        as the error of all.
    localization : Localization, LocalObservations or None
        Cut-off and weights, for which ``sub_domains``, ``centre``, ``position`` and ``metric`` are needed too; or
        observations already selected for ``sub_domains``; or None, which has to be said, for the global filter: one
        analysis of all rows from all observations.
    sub_domains : list of arrays of int, or CompressedRows
        Rows of each sub-domain, disjoint. Rows of none are kept, whatever they hold.
    centre : array (sub-domains, 3)
        Where each sub-domain is, in the coordinates of the metric. Coordinates not in use are zero.
    position : array (observations, 3)
        Where each observation is.
    metric : IndexMetric or GreatCircleMetric
    regulate_weights : bool
        Use regulated localization weights (Nerger et al. 2012, doi:10.1002/qj.945).
    inflation : Inflation
    inflation_state : InflationState or None
        For ``inflation.adaptive_inflation``: what the analysis before returned; None begins anew.
    innovation_threshold : float or None
        Refuse observations with |y - mean(HX)| > threshold * sqrt(HPH^T + R), see
        :func:`da.observation_handling.innovation_check`; None refuses none.
    update_fraction : array (state_size,) or None
        Which part of its increment each row receives, within [0, 1]; None: all of it.

    Raises
    ------
    ValueError
        Naming the argument that has a wrong shape, does not fit the others, holds a number that is not finite or not
        allowed, or is missing.
    TypeError
        Where ``localization`` is not given or is something else.
    AnalysisError
        Where the linear algebra of a sub-domain overflows; names the sub-domain.

    Notes
    -----
    Equations: :mod:`da.filters.estkf`. Sub-domains without local observations keep their members bit for bit.

    Examples
    --------
    The first of two variables is observed as precisely as the ensemble knows it. Their ensembles are correlated, but
    the second lies beyond the cut-off:

    >>> forecast = np.array([[-1.0, 1.0], [-2.0, 2.0]])
    >>> near = Localization(1.5, Weighting.UNIFORM)
    >>> places = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    >>> result = assimilate(
    ...     forecast, forecast[:1], [1.0], np.sqrt(2.0), localization=near, sub_domains=[[0], [1]],
    ...     centre=places, position=places[:1], metric=IndexMetric(None),
    ... )
    >>> result.ensemble.mean(axis=1).round(12), result.diagnostics.local_observations
    (array([0.5, 0. ]), array([1, 0]))
    >>> assimilate(forecast, forecast[:1], [1.0], np.sqrt(2.0), localization=None).ensemble.mean(axis=1).round(12)
    array([0.5, 1. ])
    """
    forecast = checked_ensemble(ensemble)
    state_size, members = forecast.shape
    given = checked_observations(observed_ensemble, values, error_standard_deviation, members)
    fraction = checked_update_fraction(update_fraction, state_size)
    domains, selected = _domains(state_size, given.values.size, localization, sub_domains, centre, position, metric)
    refuse_missing_rows(forecast, domains.owner)
    used = _used(given, innovation_threshold)
    observed = ObservedEnsemble.of(given.ensemble[used], given.values[used], given.standard_deviation[used] ** 2)
    variance = np.sum(observed.anomalies**2, axis=1) / (members - 1)
    local = _of_used(selected, used)
    if regulate_weights:
        local = regulated(local, variance, observed.variance)
    factors, learned = _forgetting(inflation, inflation_state, local, observed, variance)
    try:
        analysis = analyse_sub_domains(
            forecast, domains.rows, observed, local, factors, inflation.relaxation, update_fraction=fraction
        )
    except AnalysisError as error:
        raise AnalysisError(error.block, f"sub-domain {error.block} failed: {error.cause}") from error
    diagnostics = AssimilationDiagnostics(
        local_observations=local.counts,
        degrees_of_freedom=analysis.degrees_of_freedom,
        forgetting_factor=factors,
        used=used,
        unseen_observations=int(observed.variance.size - np.unique(local.index).size),
        rows_in_no_sub_domain=int(np.count_nonzero(domains.owner < 0)),
        effective_ensemble_size=effective_ensemble_size(observed.anomalies, observed.variance),
        spread_error_ratio=_spread_error_ratio(observed, variance),
    )
    return Assimilation(analysis.ensemble, diagnostics, learned)


def _domains(
    state_size: int,
    observations: int,
    localization: Localization | LocalObservations | None,
    sub_domains: Sequence[ArrayLike] | CompressedRows | None,
    centre: ArrayLike | None,
    position: ArrayLike | None,
    metric: Metric | None,
) -> tuple[DomainRows, LocalObservations]:
    """Return the sub-domains and the observations of each."""
    if localization is None:
        unused = {"sub_domains": sub_domains, "centre": centre, "position": position, "metric": metric}
        refuse_given("None, the global filter", unused)
        everything, nowhere = Localization(np.inf, Weighting.UNIFORM), np.zeros((observations, 3))
        whole = select_local_observations(np.zeros((1, 3)), nowhere, everything, IndexMetric(None))
        return DomainRows.whole(state_size), whole
    if not isinstance(localization, Localization | LocalObservations):
        raise TypeError(f"localization must be a Localization, LocalObservations or None, not {localization!r}")
    if sub_domains is None:
        raise missing("sub_domains")
    domains = checked_rows(sub_domains, state_size)
    if isinstance(localization, LocalObservations):
        refuse_given("LocalObservations", {"centre": centre, "position": position, "metric": metric})
        return domains, checked_local_observations(localization, len(domains.rows), observations)
    centres = checked_places("centre", centre, len(domains.rows), "sub-domain")
    positions = checked_places("position", position, observations, "observation")
    if metric is None:
        raise missing("metric")
    return domains, select_local_observations(centres, positions, localization, metric)


def _used(given: Observations, threshold: float | None) -> BoolArray:
    """Return which observations the innovation check lets pass."""
    if threshold is None:
        return np.ones(given.values.size, dtype=np.bool_)
    return innovation_check(given.ensemble, given.values, given.standard_deviation, threshold)


def _of_used(local: LocalObservations, used: BoolArray) -> LocalObservations:
    """Return the local observations without those refused, numbered by what is left."""
    if used.all():
        return local
    kept = used[local.index]
    start = np.concatenate([[0], np.cumsum(kept)])[local.start]
    number = np.cumsum(used) - 1
    return LocalObservations(start, number[local.index[kept]].astype(local.index.dtype), local.weight[kept])


def _forgetting(
    inflation: Inflation,
    state: InflationState | None,
    local: LocalObservations,
    observed: ObservedEnsemble,
    variance: FloatArray,
) -> tuple[FloatArray, InflationState | None]:
    """Return the forgetting factor of each sub-domain, and what adaptive inflation has learned."""
    settings, domains = inflation.adaptive_inflation, local.counts.size
    if settings is not None:
        before = InflationState.initial(domains, settings) if state is None else state
        if not before.mean.shape == before.standard_deviation.shape == (domains,):
            raise ValueError(f"inflation_state is of shape {before.mean.shape}: there are {domains} sub-domains")
        learned = update(before, local, observed.innovation, variance, observed.variance, settings)
        return before.forgetting_factors, learned
    if state is not None:
        raise ValueError("inflation_state has no meaning without inflation.adaptive_inflation: leave it out")
    fixed, spreads = inflation.forgetting_factor, (variance, observed.innovation, observed.variance)
    if inflation.adaptive_forgetting == "local":
        return local_forgetting_factors(local, *spreads, fixed=fixed), None
    factor = global_forgetting_factor(*spreads, fixed=fixed) if inflation.adaptive_forgetting else fixed
    return np.full(domains, factor), None


def _spread_error_ratio(observed: ObservedEnsemble, variance: FloatArray) -> SpreadErrorRatio | None:
    """Return the ratio with every observation in units of its error, so that all count, not the largest alone."""
    if not variance.size:
        return None
    scaled = observed.innovation / np.sqrt(observed.variance)
    return spread_error_ratio(variance / observed.variance, np.ones(variance.size), scaled)
