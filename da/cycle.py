"""The loop over time: forecast, observe, analyse, constrain, record. Nothing else loops over time.

``run`` is a generator. Writing, progress and checks are consumers of the records that it yields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from da.analysis import AnalysisDiagnostics, LocalizedAnalysis
from da.analysis_observations import ObservedBatch
from da.member_failure import Forecast, MemberFailurePolicy, forecast_members
from da.member_remedies import MemberEvent
from da.member_settlement import settle
from da.model import ForecastModel, MemberInputs, MembersInFiles
from da.observations import SourceBatch
from da.parallel import Communicator, collective
from da.time_limit import GRACE_S, TimeLimit

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
ObservationSource = Callable[[np.datetime64, bool], Sequence[SourceBatch]]
"""``due(time, after_analysis)`` returns what is compared with the state at an output time, the same on all ranks.

Observations of an analysis time are due before the analysis; after it, those that the next analysis will use.
"""


class Phase(StrEnum):
    """Which state a record holds."""

    FORECAST = "forecast"
    ANALYSIS = "analysis"


@dataclass(frozen=True)
class Schedule:
    """Times of output and analysis, both counted from ``start``; ``stop`` is the last one.

    Parameters
    ----------
    start, stop : datetime64[ns]
    analysis_interval, output_interval : timedelta64
        The output interval divides the analysis interval, which divides the whole period.

    Raises
    ------
    ValueError
        If they do not.
    """

    start: np.datetime64
    stop: np.datetime64
    analysis_interval: np.timedelta64
    output_interval: np.timedelta64

    def __post_init__(self) -> None:
        zero = np.timedelta64(0, "ns")
        if not (self.stop > self.start and self.output_interval > zero):
            raise ValueError("the schedule must have a positive length and output interval")
        if self.analysis_interval % self.output_interval != zero:
            raise ValueError("the output interval must divide the analysis interval")
        if (self.stop - self.start) % self.analysis_interval != zero:
            raise ValueError("the analysis interval must divide the period from start to stop")

    @property
    def output_times(self) -> NDArray[np.datetime64]:
        """Times at which states are recorded, ``start`` and ``stop`` included."""
        return np.arange(self.start, self.stop + np.timedelta64(1, "ns"), self.output_interval)

    @property
    def analysis_times(self) -> NDArray[np.datetime64]:
        """Times of the analyses, ``start`` and ``stop`` included."""
        return np.arange(self.start, self.stop + np.timedelta64(1, "ns"), self.analysis_interval)


@dataclass(frozen=True)
class MemberForecasts:
    """The members of this rank: a model, their inputs, and where they stand in the whole ensemble.

    Parameters
    ----------
    comm : Communicator
    model : ForecastModel
    inputs : MemberInputs
    first_member : int
        Number of this rank's first member, where the inputs hold no numbers.
    policy : MemberFailurePolicy
        What is done about members that fail; by default the run ends.
    """

    comm: Communicator
    model: ForecastModel
    inputs: MemberInputs
    first_member: int
    policy: MemberFailurePolicy = field(default_factory=MemberFailurePolicy)

    def advance(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, forecast: Forecast | None = None
    ) -> Forecasted:
        """Return the members at ``stop``, those that failed mended, made anew or left out as the policy says.

        Parameters
        ----------
        states : array (state_size, local members)
        start, stop : datetime64
        forecast : callable, optional
            In place of the model's own.

        Raises
        ------
        ThermodaError
            On all ranks, where a member failed and the policy ends the run.
        """
        phase = f"forecast from {start} to {stop}"
        inputs = self.inputs
        if inputs.numbers is None:
            inputs = replace(inputs, numbers=self.first_member + np.arange(states.shape[1]))
        with collective(self.comm, phase):
            local = forecast_members(
                self.model,
                forecast or self.model.forecast,
                states,
                start,
                stop,
                inputs,
                self.policy.retries_with_half_step,
                self._limit,
            )
        advanced = settle(self.comm, self.model, local, stop, inputs, self.policy, phase)
        made = self if advanced.inputs is inputs else replace(self, inputs=advanced.inputs)
        return Forecasted(advanced.states, made, advanced.events, advanced.kept)

    @property
    def _limit(self) -> TimeLimit | None:
        seconds = self.policy.time_limit_s
        return None if seconds is None else TimeLimit(seconds, self.comm.abort, GRACE_S)

    def branched(self, ensemble: str, time: np.datetime64) -> MemberForecasts:
        """Return the same members as another ensemble of the run, which begins at ``time``."""
        inputs = replace(self.inputs, ensemble=ensemble)
        if isinstance(self.model, MembersInFiles):
            with collective(self.comm, f"{ensemble} at {time}"):
                self.model.begin(time, inputs, self.inputs.ensemble)
        return replace(self, inputs=inputs)

    def height(self, states: FloatArray, time: np.datetime64) -> FloatArray:
        """Return geometric heights [m] of the members' mid-levels; ThermodaError on all ranks where one fails."""
        with collective(self.comm, f"heights at {time}"):
            return self.model.height(states, time, self.inputs)


@dataclass(frozen=True)
class Forecasted:
    """Members at the end of a forecast.

    Parameters
    ----------
    states : array (state_size, local members)
    forecasts : MemberForecasts
        With the inputs of members made anew, without members left out.
    events : tuple of MemberEvent
        Members that failed meanwhile, of all ranks.
    kept : array of int or None
        Places, among the members of all ranks before, of those that are left; None where all are.
    """

    states: FloatArray
    forecasts: MemberForecasts
    events: tuple[MemberEvent, ...] = ()
    kept: IndexArray | None = None


@dataclass(frozen=True)
class CycleRecord:
    """The ensemble at one time, before or after an analysis.

    Parameters
    ----------
    time : datetime64[ns]
    phase : Phase
    states : array (state_size, local members)
    forecasts : MemberForecasts
        With the inputs of the members at this time.
    diagnostics : AnalysisDiagnostics or None
        Of the analysis that led to this record; None where nothing was observed and the analysis is the forecast.
    events : tuple of MemberEvent
        Members that failed in the forecast that led to this record.
    waiting : tuple of ObservedBatch
        What was compared with earlier states and enters the next analysis.
    """

    time: np.datetime64
    phase: Phase
    states: FloatArray
    forecasts: MemberForecasts
    diagnostics: AnalysisDiagnostics | None = None
    events: tuple[MemberEvent, ...] = ()
    waiting: tuple[ObservedBatch, ...] = ()


def run(
    forecasts: MemberForecasts,
    states: FloatArray,
    schedule: Schedule,
    analysis: LocalizedAnalysis | None,
    observations: ObservationSource,
) -> Iterator[CycleRecord]:
    """Advance an ensemble through the schedule and yield a record per output time and per analysis.

    Parameters
    ----------
    forecasts : MemberForecasts
    states : array (state_size, local members)
        At ``schedule.start``; not changed.
    schedule : Schedule
    analysis : LocalizedAnalysis or None
        None runs the open loop.
    observations : callable
        See :data:`ObservationSource`; called on all ranks at each analysis time.

    Yields
    ------
    CycleRecord
        At an analysis time the forecast first, then the analysis; without any observation that is the same state.
    """
    advanced = forecasts.advance(states, schedule.start, schedule.start)
    first = CycleRecord(schedule.start, Phase.FORECAST, advanced.states, advanced.forecasts, events=advanced.events)
    yield first
    yield from run_on(first, schedule, analysis, observations)


def run_on(
    last: CycleRecord, schedule: Schedule, analysis: LocalizedAnalysis | None, observations: ObservationSource
) -> Iterator[CycleRecord]:
    """Yield the records that follow one of :func:`run`, which need not have been made by this process.

    Parameters
    ----------
    last : CycleRecord
        Its states are not changed.
    schedule, analysis, observations
        As of :func:`run`.
    """
    analysis_times = set(schedule.analysis_times.tolist())
    time, states, forecasts, waiting = last.time, last.states, last.forecasts, list(last.waiting)
    analysed = last.phase is Phase.ANALYSIS

    def observed(after_analysis: bool) -> list[ObservedBatch]:
        batches = observations(time, after_analysis)
        if analysis is None or not batches:
            return []
        return analysis.observe(states, forecasts.height(states, time), batches, time)

    for next_time in (*schedule.output_times[schedule.output_times > time], None):
        if analysis is not None and not analysed:
            waiting += observed(after_analysis=False)
        if analysis is not None and time.item() in analysis_times:
            if not analysed:
                diagnostics = None
                if waiting:
                    height = partial(forecasts.height, time=time)
                    result = analysis.update(states, height, forecasts.inputs, waiting, time)
                    states, forecasts, waiting = result.states, replace(forecasts, inputs=result.inputs), []
                    diagnostics = result.diagnostics
                yield CycleRecord(time, Phase.ANALYSIS, states, forecasts, diagnostics)
            waiting += observed(after_analysis=True)
        if next_time is None:
            return
        advanced = forecasts.advance(states, time, next_time)
        states, forecasts, time, analysed = advanced.states, advanced.forecasts, next_time, False
        if advanced.kept is not None:
            waiting = [replace(one, forecast=one.forecast[:, advanced.kept]) for one in waiting]
        yield CycleRecord(time, Phase.FORECAST, states, forecasts, events=advanced.events, waiting=tuple(waiting))
