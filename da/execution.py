"""One run, from the configuration to the folder of its results: open loop and assimilation of the same members."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from da.analysis import LocalizedAnalysis
from da.analysis_config import refuse_unknown_update_fractions
from da.borrowed_open_loop import BorrowedOpenLoop, borrowed_open_loop
from da.config import Experiment, to_datetime64
from da.cycle import CycleRecord, Forecasted, MemberForecasts, ObservationSource, Schedule, run, run_on
from da.errors import ThermodaError
from da.filter_setup import build_analysis
from da.free_forecasts import FreeForecastPlan
from da.inheritance import ResolvedText
from da.member_failure import Afterwards, MemberFailurePolicy
from da.model import (
    ASSIMILATION,
    OPEN_LOOP,
    SPIN_UP,
    ForecastModel,
    MemberInputs,
    refuse_unknown_perturbations,
    refuse_unusable_time_limit,
    refuse_unused_high_latitude,
)
from da.observation_coverage import ObservationCoverage, observation_coverage
from da.observation_plan import observation_plan
from da.observations import SourceBatch
from da.observing import require_density
from da.parallel import Communicator, collective, from_root, share
from da.perturbations import Perturbation, PerturbationModel
from da.phase_timer import PhaseTimer
from da.preparation import StepOne, prepare
from da.provenance import provenance
from da.recording import RunRecorder
from da.restart import Restored
from da.restart_description import RunDescription
from da.resuming import restart_writer, resumed
from da.run_loop import RunLoop
from da.seeding import Purpose, streams
from da.spin_up import spun_up
from da.stopping import StopRequest
from da.storage import refuse_occupied

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
"""``progress(total, done, text)`` is called on rank 0 after every output time."""


def perturbation_model(experiment: Experiment) -> PerturbationModel:
    """Return the distribution of the perturbed inputs."""
    section = experiment.ensemble
    return PerturbationModel(
        {name: Perturbation(one.standard_deviation, one.truncation) for name, one in section.perturbations.items()},
        [(*one.inputs, one.correlation) for one in section.correlations],
    )


def schedule(experiment: Experiment) -> Schedule:
    """Return the times of output and analysis."""
    return Schedule(
        to_datetime64(experiment.experiment.start),
        to_datetime64(experiment.experiment.stop),
        np.timedelta64(round(3.6e12 * experiment.analysis.interval_h), "ns"),
        np.timedelta64(round(6e10 * experiment.output.interval_min), "ns"),
    )


def failure_policy(experiment: Experiment) -> MemberFailurePolicy:
    """Return what is done about members that fail."""
    section = experiment.ensemble
    return MemberFailurePolicy(
        **section.on_member_failure.model_dump(exclude={"fewest_members"}),
        fewest_members=section.fewest_members,
        truncations={name: one.truncation for name, one in section.perturbations.items()},
        seed=experiment.experiment.seed,
    )


def build_forecasts(
    experiment: Experiment,
    model_name: str,
    model: ForecastModel,
    step_one_drivers: Any,
    comm: Communicator,
    ensemble: str = SPIN_UP,
) -> MemberForecasts:
    """Return this rank's members with their perturbed inputs."""
    perturbations = perturbation_model(experiment)
    refuse_unknown_perturbations(model_name, model, perturbations.names)
    own = share(experiment.ensemble.members, comm.size, comm.rank)
    draws = perturbations.draw(streams(experiment.experiment.seed, Purpose.PERTURBATIONS, own))
    inputs = MemberInputs(draws, step_one_drivers, np.arange(own.start, own.stop), ensemble, comm.size)
    return MemberForecasts(comm, model, inputs, own.start, failure_policy(experiment))


def prepared_observations(
    experiment: Experiment, step_one: StepOne | None, plan: Schedule, comm: Communicator
) -> tuple[ObservationSource, ObservationCoverage | None]:
    """Return what is observed when; rank 0, which holds step one, tells the others.

    It alone has the second, and only where something is assimilated: what there is where observations fail.
    """
    coverage = None
    with collective(comm, ""):
        prepared = None if step_one is None else observation_plan(experiment, step_one, plan)
        if step_one is not None and prepared is not None and experiment.experiment.assimilate:
            coverage = observation_coverage(experiment, step_one, prepared, plan.analysis_times)
            coverage.log()

    def due(time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
        def batches() -> list[SourceBatch]:
            if prepared is None:
                raise ValueError("only rank 0 holds step one")
            return prepared.due(time, after_analysis)

        return from_root(comm, batches)

    return due, coverage


def refuse_idle_ranks(experiment: Experiment, comm: Communicator) -> None:
    """Raise ThermodaError where there are more ranks than members, or than may be left of them."""
    members, fewest = experiment.ensemble.members, experiment.ensemble.fewest_members
    if comm.size > members:
        raise ThermodaError(f"{comm.size} ranks for {members} members: start at most as many ranks as members")
    if comm.size > fewest and experiment.ensemble.on_member_failure.then is Afterwards.DROP:
        raise ThermodaError(
            f"{comm.size} ranks, but ensemble.on_member_failure lets members be dropped until {fewest} are left: start "
            "at most as many ranks, or raise its fewest_members"
        )


def execute(
    comm: Communicator,
    experiment: Experiment,
    configuration: ResolvedText,
    model: ForecastModel,
    overwrite: bool,
    progress: Progress,
    resume: bool = False,
) -> dict[str, Any]:
    """Run an experiment, or go on with it, and return its provenance (on all ranks).

    Parameters
    ----------
    comm : Communicator
    experiment : Experiment
    configuration : ResolvedText
    model : ForecastModel
    overwrite : bool
        See :class:`da.storage.RunFolder`.
    progress : callable
    resume : bool
        Go on with an unfinished run of the same folder, from its newest restart point or, without one, anew.

    Raises
    ------
    RunStopped
        On all ranks, after a restart point, where one of them got SIGTERM or SIGUSR1.
    ThermodaError
        On all ranks alike, for any fault of input or data; no folder of the run's final name is left then.
    """
    with collective(comm, ""):
        require_density(experiment.model.adapter, model)
        refuse_unused_high_latitude(experiment.model.adapter, model, experiment.drivers.beyond_kp)
        refuse_unknown_update_fractions(experiment.analysis, model.layout.names)
        refuse_unusable_time_limit(experiment.model.adapter, model, experiment.ensemble.on_member_failure.time_limit_s)
        refuse_idle_ranks(experiment, comm)
        if not resume:
            refuse_occupied(experiment.experiment.output_folder, overwrite)
        borrowed = borrowed_open_loop(experiment)
    with StopRequest() as stop:
        return _executed(comm, experiment, configuration, model, overwrite, progress, resume, stop, borrowed)


_Driven = tuple[Iterator[CycleRecord], Iterator[CycleRecord] | None, CycleRecord | None]
Given = TypeVar("Given")


@dataclass(frozen=True)
class _Ensembles:
    """What is driven: the leading ensemble, the open loop beside it, and the last record of that one.

    The assimilation leads where there is one; without it the open loop does, and there is none beside it.
    """

    plan: Schedule
    analysis: LocalizedAnalysis | None
    due: ObservationSource
    own_open_loop: bool

    def begun(self, initial: Forecasted) -> _Driven:
        """Return the records of both from the start of the run."""
        branch = partial(initial.forecasts.branched, time=self.plan.start)
        free = None
        if self.own_open_loop:
            free = run(branch(OPEN_LOOP), initial.states, self.plan, None, self.due)
        if self.analysis is None:
            return _required(free), None, None
        return run(branch(ASSIMILATION), initial.states, self.plan, self.analysis, self.due), free, None

    def gone_on(self, found: Restored, forecasts: MemberForecasts) -> _Driven:
        """Return the records of both from a restart point."""
        first, last = found.records(forecasts)
        free = None if last is None else run_on(last, self.plan, None, self.due)
        if self.analysis is None:
            return _required(free), None, None
        self.analysis.go_on(found.inflation, found.shares)
        return run_on(_required(first), self.plan, self.analysis, self.due), free, last


def _required(given: Given | None) -> Given:
    if given is None:
        raise ValueError("the run lacks the ensemble that leads it")
    return given


def _executed(
    comm: Communicator,
    experiment: Experiment,
    configuration: ResolvedText,
    model: ForecastModel,
    overwrite: bool,
    progress: Progress,
    resume: bool,
    stop: StopRequest,
    borrowed: BorrowedOpenLoop | None,
) -> dict[str, Any]:
    timer = PhaseTimer()
    prepared: list[StepOne] = []

    def prepare_on_root() -> Any:
        prepared.append(prepare(experiment))
        return prepared[0].drivers

    drivers = timer.measure("step one", lambda: from_root(comm, prepare_on_root))
    step_one = prepared[0] if prepared else None
    with collective(comm, ""):
        forecasts = build_forecasts(experiment, experiment.model.adapter, model, drivers, comm)
    analysis = build_analysis(experiment, model, comm) if experiment.experiment.assimilate else None
    plan = schedule(experiment)
    due, coverage = prepared_observations(experiment, step_one, plan, comm)
    description = from_root(comm, lambda: RunDescription.of(experiment, model, configuration.checksums))
    resumption = resumed(comm, experiment, forecasts, description) if resume else None
    found = None if resumption is None else resumption.restored
    counted = None if found is None else found.counted
    overwrite = overwrite or resume
    text, told = configuration.text, partial(progress, plan.output_times.size)
    recording = (comm, experiment, text, model, step_one, overwrite, counted, borrowed, coverage)
    with closing(RunRecorder(*recording)) as recorder:
        restarts = restart_writer(comm, experiment, description)
        loop = RunLoop(comm, recorder, restarts, analysis, FreeForecastPlan.of(experiment), timer, stop, told)
        ensembles = _Ensembles(plan, analysis, due, borrowed is None)
        if resumption is not None:
            description = replace(description, files=resumption.files or description.files)
            restarts.description = description
            recorder.note_interruptions(resumption.interruptions)
        if found is None:
            initial = timer.measure("initial states", lambda: spun_up(experiment, forecasts))
            recorder.member_events(initial.events)
            cycle, free, last = ensembles.begun(initial)
        else:
            loop.go_on(found.counted)
            restarts.go_on(found, model)
            cycle, free, last = ensembles.gone_on(found, forecasts)
        open_loop = None if free is None else timer.records("open loop", free)
        loop.drive(timer.records("open loop" if analysis is None else "assimilation", cycle), open_loop, last)
        peak_memory = comm.allgather(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        result = provenance(experiment, comm.size, dict(timer.seconds), peak_memory)
        result["sub_domains_without_observations"] = loop.unobserved
        result["drivers"] = drivers.high_latitude_description()
        result["configuration_files"] = dict(description.files)
        result["configuration_sha256"] = description.configuration_checksum
        result["input_files"] = description.inputs
        result["source_sha256"] = description.code["source"]
        result["member_failures"] = recorder.member_failures
        result["members_left"] = from_root(comm, lambda: recorder.members_left)
        result["observations"] = from_root(comm, lambda: {} if coverage is None else coverage.described())
        if borrowed is not None:
            result["open_loop_from"] = {"run": borrowed.name, "folder": str(borrowed.folder)}
        result["interruptions"] = [] if resumption is None else resumption.interruptions
        recorder.complete(result)
    return result
