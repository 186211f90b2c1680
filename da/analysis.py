"""One analysis of a distributed ensemble: observe, localize, transform, constrain.

Members arrive spread over the ranks. Their observed counterparts HX are gathered on all ranks (small); the state is
transposed so that each rank holds all members of its sub-domains (:mod:`da.analysis_engine`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from da.analysis_engine import AnalysisEngine, AnalysisSettings
from da.analysis_observations import AnalysisObservations, GridPositions, ObservedBatch, SourceLocalization
from da.constraints import constrain
from da.errors import ThermodaError
from da.filter_record import FilterRecord, filter_record
from da.filters.lestkf import AnalysisError, Relaxation, analyse_sub_domains
from da.inflation import InflationState
from da.inflation import update as updated_inflation
from da.inflation.prior import PriorInflation
from da.localization import IndexMetric, LocalObservations
from da.model import PREVIOUS, MemberInputs, StateLayout, composition_groups
from da.observations import ObservationBatch, SourceBatch
from da.parallel import Communicator, MemberTranspose, collective, gather_members, share
from da.parameters import EstimatedParameters, ParameterSettings, estimate
from da.perturbation_set import AdditiveInflation

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]

Observe = Callable[[FloatArray, FloatArray, ObservationBatch], FloatArray]
"""``observe(states, height, batch)`` returns HX (observations, local members)."""

Height = Callable[[FloatArray], FloatArray]
"""``height(states)`` returns geometric heights [m] (levels, latitudes, longitudes, local members)."""


@dataclass(frozen=True)
class FilterSettings:
    """How an analysis is made.

    Parameters
    ----------
    localizations : dict of source -> SourceLocalization
    inflation : PriorInflation
        Of the forecast covariance.
    relaxation : callable or None
        Relaxation of the analysis spread, see :mod:`da.inflation`.
    update_fractions : dict of field -> float
        Part of the increment that a field, and its twin at the previous step, receives; others receive all of it.
    innovation_threshold : float or None
        Observations further from the forecast, in standard deviations of the innovation, are refused.
    parameters : dict of name -> ParameterSettings
        Perturbed inputs that are estimated.
    """

    localizations: Mapping[str, SourceLocalization]
    inflation: PriorInflation = field(default_factory=PriorInflation)
    relaxation: Relaxation | None = None
    update_fractions: Mapping[str, float] = field(default_factory=dict)
    innovation_threshold: float | None = None
    parameters: Mapping[str, ParameterSettings] = field(default_factory=dict)


@dataclass(frozen=True)
class AnalysisDiagnostics:
    """What one analysis did; the same on all ranks.

    Parameters
    ----------
    time : datetime64[ns]
    batches : tuple of ObservationBatch
        With the errors that the filter used.
    forecast, analysis : array (observations, members)
        HX before and after, in the order of the batches.
    used : array of bool (observations,)
        False where the innovation check refused.
    constraint_hits : dict
        Number of values that each constraint changed, summed over the members.
    centre : array (sub-domains, 3)
        In index units.
    local_observations, degrees_of_freedom, forgetting_factor : array (sub-domains,)
    inflation : InflationState or None
        Of the adaptive inflation, after this analysis.
    parameters : EstimatedParameters or None
    """

    time: np.datetime64
    batches: tuple[ObservationBatch, ...]
    forecast: FloatArray
    analysis: FloatArray
    used: BoolArray
    constraint_hits: dict[str, int]
    centre: FloatArray
    local_observations: IndexArray
    degrees_of_freedom: FloatArray
    forgetting_factor: FloatArray
    inflation: InflationState | None = None
    parameters: EstimatedParameters | None = None

    def filter_record(self, members_replaced: int = 0, members_dropped: int = 0) -> FilterRecord:
        """Return what is written of it besides the observations; see :class:`FilterRecord` for the arguments."""
        state, estimated = self.inflation, self.parameters
        return filter_record(
            self.time,
            self.batches,
            self.forecast,
            self.analysis,
            self.used,
            centre=self.centre,
            local_observations=self.local_observations,
            degrees_of_freedom=self.degrees_of_freedom,
            forgetting_factor=self.forgetting_factor,
            constraint_hits=self.constraint_hits,
            inflation=None if state is None else (state.mean, state.standard_deviation),
            parameters=None
            if estimated is None
            else {name: (estimated.before[name], after) for name, after in estimated.after.items()},
            members_replaced=members_replaced,
            members_dropped=members_dropped,
        )


@dataclass(frozen=True)
class AnalysisResult:
    """What an analysis returns on each rank.

    Parameters
    ----------
    states : array (state_size, local members)
    inputs : MemberInputs
        With the parameters that were estimated.
    diagnostics : AnalysisDiagnostics
    """

    states: FloatArray
    inputs: MemberInputs
    diagnostics: AnalysisDiagnostics


@dataclass(frozen=True)
class _LocalProblem:
    """What a rank knows of its own sub-domains before the transform."""

    local: LocalObservations
    factors: FloatArray


def row_fractions(layout: StateLayout, fractions: Mapping[str, float]) -> FloatArray | None:
    """Return the part of its increment that each row of the state (state_size,) receives, or None where all do."""
    if not fractions:
        return None
    own = [fractions.get(name.removesuffix(PREVIOUS), 1.0) for name in layout.names]
    return np.repeat(np.array(own), layout.grid.cells)


class LocalizedAnalysis:
    """The analysis step of a run.

    Parameters
    ----------
    comm : Communicator
    layout : StateLayout
    engine : AnalysisEngine
        Of the same layout and ensemble.
    settings : FilterSettings
    observe : callable
        See :data:`Observe`.
    additive : AdditiveInflation or None
    inflation : InflationState or None
        Of all sub-domains, to continue from; None: as the settings say.
    """

    def __init__(
        self,
        comm: Communicator,
        layout: StateLayout,
        engine: AnalysisEngine[Any],
        settings: FilterSettings,
        observe: Observe,
        additive: AdditiveInflation | None = None,
        inflation: InflationState | None = None,
    ) -> None:
        self._comm, self._layout, self._engine = comm, layout, engine
        self._settings, self._observe, self._additive = settings, observe, additive
        adaptive = settings.inflation.adaptive
        if inflation is None and adaptive is not None:
            inflation = InflationState.initial(len(engine.centre), adaptive)
        self._inflation = inflation
        self._rows = AnalysisSettings(settings.relaxation, row_fractions(layout, settings.update_fractions))
        cells = [np.asarray(share(layout.grid.cells, comm.size, rank), dtype=np.int64) for rank in range(comm.size)]
        self._height_transpose = MemberTranspose(comm, cells)

    @property
    def inflation(self) -> InflationState | None:
        """The adaptive inflation of all sub-domains, after the analyses so far."""
        return self._inflation

    @property
    def shares(self) -> list[IndexArray]:
        """The work of each rank."""
        return self._engine.shares

    def go_on(self, inflation: InflationState | None, shares: Sequence[IndexArray]) -> None:
        """Take the inflation that another process learned and, from as many ranks, its way to deal out the work.

        The work is dealt out by what the analyses so far cost; sums over another share may end in other bits.
        """
        self._inflation = inflation
        if len(shares) == self._comm.size:
            self._engine.share_out(shares)

    def observe(
        self, states: FloatArray, height: FloatArray, batches: Sequence[SourceBatch], time: np.datetime64
    ) -> list[ObservedBatch]:
        """Return the batches with their counterparts in all members, on all ranks.

        Raises
        ------
        ThermodaError
            On all ranks, naming the place, where the observation operator fails.
        """
        with collective(self._comm, f"observation operator at {time}"):
            local = [self._checked_observe(states, height, one.batch) for one in batches]
        return [
            ObservedBatch(one.source, one.batch, gather_members(self._comm, own))
            for one, own in zip(batches, local, strict=True)
        ]

    def update(
        self,
        states: FloatArray,
        height: Height,
        inputs: MemberInputs,
        observed: Sequence[ObservedBatch],
        time: np.datetime64,
    ) -> AnalysisResult:
        """Return the analysis of the states (state_size, local members), which stay as they are.

        Raises
        ------
        ThermodaError
            On all ranks, naming time and place, where an observation operator or a sub-domain fails.
        """
        when = f"analysis at {time}"
        positions = GridPositions(self._layout, self._mean_height(height(states)))
        settings = self._settings
        with collective(self._comm, when):
            observations = AnalysisObservations.assemble(
                observed, settings.localizations, positions, settings.innovation_threshold
            )
        problem = self._local_problem(observations)
        updated, freedom = self._engine.analyse(
            states, observations.ensemble, problem.local, problem.factors, self._rows, when
        )
        factors = self._engine.gather(problem.factors)
        self._learn_inflation(observations, problem.local)
        estimated, new_inputs = self._estimate(observations, inputs, states.shape[1])
        if self._additive is not None:
            additive = replace(self._additive, members=observations.ensemble.members)
            updated = additive.add(updated, _number_of(time))
        updated, hits = self._constrain(updated)
        diagnostics = AnalysisDiagnostics(
            time,
            observations.batches,
            observations.forecast,
            self._observed_analysis(updated, height, observed, observations, factors, time),
            observations.used,
            self._summed(hits) | ({} if estimated is None else _limits(estimated)),
            self._engine.centre,
            self._engine.gather(problem.local.counts),
            self._engine.gather(freedom),
            factors,
            self._inflation,
            estimated,
        )
        return AnalysisResult(updated, new_inputs, diagnostics)

    def _checked_observe(self, states: FloatArray, height: FloatArray, batch: ObservationBatch) -> FloatArray:
        observed = self._observe(states, height, batch)
        bad = np.argwhere(~np.isfinite(observed))
        if bad.size:
            point, member = bad[0]
            raise ThermodaError(
                f"the observation operator gives {observed[point, member]} for local member {member}: "
                f"{batch.locate(int(point))}"
            )
        return observed

    def _mean_height(self, height: FloatArray) -> FloatArray:
        own = self._height_transpose.to_rows(height.reshape(-1, height.shape[-1]))
        return np.concatenate(self._comm.allgather(own.mean(axis=1))).reshape(self._layout.grid.shape)

    def _local_problem(self, observations: AnalysisObservations) -> _LocalProblem:
        engine = self._engine
        local = observations.local(engine.centre[engine.own])
        if engine.balance(local.counts):
            local = observations.local(engine.centre[engine.own])
        ensemble, state = observations.ensemble, self._inflation
        own = None if state is None else InflationState(state.mean[engine.own], state.standard_deviation[engine.own])
        factors = self._settings.inflation.factors(
            local, ensemble.innovation, observations.forecast_variance, observations.innovation_error_variance, own
        )
        return _LocalProblem(local, factors)

    def _learn_inflation(self, observations: AnalysisObservations, local: LocalObservations) -> None:
        engine, adaptive, state = self._engine, self._settings.inflation.adaptive, self._inflation
        if adaptive is None or state is None:
            return
        ensemble = observations.ensemble
        own = updated_inflation(
            InflationState(state.mean[engine.own], state.standard_deviation[engine.own]),
            local,
            ensemble.innovation,
            observations.forecast_variance,
            observations.innovation_error_variance,
            adaptive,
        )
        self._inflation = InflationState(engine.gather(own.mean), engine.gather(own.standard_deviation))

    def _estimate(
        self, observations: AnalysisObservations, inputs: MemberInputs, local_members: int
    ) -> tuple[EstimatedParameters | None, MemberInputs]:
        settings = self._settings.parameters
        if not settings:
            return None, inputs
        local = np.stack([inputs.perturbation(name, local_members) for name in settings])
        whole = gather_members(self._comm, local)
        altitude_km = observations.joined.position[observations.used, 2]
        with collective(self._comm, "estimation of parameters"):
            try:
                estimated = estimate(
                    dict(zip(settings, whole, strict=True)), settings, observations.ensemble, altitude_km
                )
            except AnalysisError as error:
                raise ThermodaError(f"analysis.parameters: {error.cause}") from error
        own = share(whole.shape[1], self._comm.size, self._comm.rank)
        new = {name: values[own.start : own.stop] for name, values in estimated.after.items()}
        return estimated, replace(inputs, perturbations={**inputs.perturbations, **new})

    def _observed_analysis(
        self,
        states: FloatArray,
        height: Height,
        observed: Sequence[ObservedBatch],
        observations: AnalysisObservations,
        factors: FloatArray,
        time: np.datetime64,
    ) -> FloatArray:
        """Return HX of the analysis (observations, members).

        States of earlier times are no more: what was compared with them is transformed as a row of the state would be.
        """
        present = [SourceBatch(one.source, one.batch) for one in observed if one.batch.time == time]
        now = iter(self.observe(states, height(states), present, time))
        parts = zip(observed, observations.joined.parts, strict=True)
        return np.concatenate(
            [
                next(now).forecast if one.batch.time == time else self._transformed(observations, rows, factors)
                for one, rows in parts
            ]
        )

    def _transformed(self, observations: AnalysisObservations, rows: slice, factors: FloatArray) -> FloatArray:
        forecast, centre = observations.forecast[rows], observations.index_position[rows]
        metric = IndexMetric(observations.longitude_period)
        domains = cKDTree(metric.embed(self._engine.centre), boxsize=metric.box)
        nearest = np.asarray(domains.query(metric.embed(centre))[1], dtype=np.int64)
        own = share(len(forecast), self._comm.size, self._comm.rank)
        part = slice(own.start, own.stop)
        with collective(self._comm, "observations of the window"):
            try:
                analysis = analyse_sub_domains(
                    forecast[part],
                    [slice(row, row + 1) for row in range(len(own))],
                    observations.ensemble,
                    observations.local(centre[part]),
                    factors[nearest[part]],
                    self._settings.relaxation,
                ).ensemble
            except AnalysisError as error:
                raise ThermodaError(f"the analysis at an observation failed: {error.cause}") from error
        return np.concatenate(self._comm.allgather(analysis))

    def _constrain(self, states: FloatArray) -> tuple[FloatArray, dict[str, int]]:
        bounds = {one.name: (one.lower, one.upper) for one in self._layout.fields}
        fields, hits = constrain(self._layout.split(states), bounds, composition_groups(self._layout))
        return (self._layout.join(fields) if any(hits.values()) else states), hits

    def _summed(self, hits: dict[str, int]) -> dict[str, int]:
        parts: Sequence[dict[str, int]] = self._comm.allgather(hits)
        return {name: sum(part[name] for part in parts) for name in hits}


def _number_of(time: np.datetime64) -> int:
    """Return a number that depends on the time of an analysis alone; not negative before 1970 either."""
    return int(time.astype("datetime64[s]").astype(np.int64)) % 2**63


def _limits(estimated: EstimatedParameters) -> dict[str, int]:
    return {f"limit of {name}": count for name, count in estimated.limited.items()}
