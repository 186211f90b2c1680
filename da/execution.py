"""One run, from the configuration to the folder of its results: open loop and assimilation of the same members."""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.analysis_config import refuse_unknown_update_fractions
from da.config import Experiment, to_datetime64
from da.cycle import CycleRecord, MemberForecasts, ObservationSource, Phase, Schedule, run
from da.errors import ThermodaError
from da.filter_setup import build_analysis
from da.inheritance import ResolvedText
from da.member_failure import MemberFailurePolicy
from da.model import (
    ASSIMILATION,
    OPEN_LOOP,
    SPIN_UP,
    ForecastModel,
    MemberInputs,
    refuse_unknown_perturbations,
    refuse_unused_high_latitude,
)
from da.observation_plan import observation_plan
from da.observations import SourceBatch
from da.observing import require_density
from da.parallel import Communicator, collective, from_root, share
from da.perturbations import Perturbation, PerturbationModel
from da.preparation import StepOne, prepare
from da.provenance import provenance
from da.recording import RunRecorder
from da.seeding import Purpose, streams
from da.spin_up import spun_up
from da.storage import refuse_occupied

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
"""``progress(total, done, text)`` is called on rank 0 after every output time."""


@dataclass
class PhaseTimer:
    """Wall time per phase [s] on this rank."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def measure(self, phase: str, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returns, its time added to the phase."""
        began = time.perf_counter()
        result = work()
        self.seconds[phase] += time.perf_counter() - began
        return result

    def records(self, name: str, records: Iterable[CycleRecord]) -> Iterator[CycleRecord]:
        """Yield the records, the time that each took added to its phase."""
        iterator = iter(records)
        while True:
            began = time.perf_counter()
            record = next(iterator, None)
            if record is None:
                return
            self.seconds[f"{name} {record.phase}"] += time.perf_counter() - began
            yield record


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
    return MemberFailurePolicy(**experiment.ensemble.on_member_failure.model_dump(), seed=experiment.experiment.seed)


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
) -> ObservationSource:
    """Return what is observed when; rank 0, which holds step one, tells the others."""
    with collective(comm, ""):
        prepared = None if step_one is None else observation_plan(experiment, step_one, plan)

    def due(time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
        def batches() -> list[SourceBatch]:
            if prepared is None:
                raise ValueError("only rank 0 holds step one")
            return prepared.due(time, after_analysis)

        return from_root(comm, batches)

    return due


def refuse_idle_ranks(experiment: Experiment, comm: Communicator) -> None:
    """Raise ThermodaError where there are more ranks than members."""
    if comm.size > experiment.ensemble.members:
        raise ThermodaError(
            f"{comm.size} ranks for {experiment.ensemble.members} members: start at most as many ranks as members"
        )


def execute(
    comm: Communicator,
    experiment: Experiment,
    configuration: ResolvedText,
    model: ForecastModel,
    overwrite: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Run an experiment and return its provenance (on all ranks).

    Raises
    ------
    ThermodaError
        On all ranks alike, for any fault of input or data; no folder of the run's final name is left then.
    """
    with collective(comm, ""):
        require_density(experiment.model.adapter, model)
        refuse_unused_high_latitude(experiment.model.adapter, model, experiment.drivers.beyond_kp)
        refuse_unknown_update_fractions(experiment.analysis, model.layout.names)
        refuse_idle_ranks(experiment, comm)
        refuse_occupied(experiment.experiment.output_folder, overwrite)
    timer = PhaseTimer()
    prepared: list[StepOne] = []

    def prepare_on_root() -> Any:
        prepared.append(prepare(experiment))
        return prepared[0].drivers

    drivers = timer.measure("step one", lambda: from_root(comm, prepare_on_root))
    step_one = prepared[0] if prepared else None
    with collective(comm, ""):
        forecasts = build_forecasts(experiment, experiment.model.adapter, model, drivers, comm)
    analysis = build_analysis(experiment, model, comm)
    initial = timer.measure("initial states", lambda: spun_up(experiment, forecasts))
    plan = schedule(experiment)
    due = prepared_observations(experiment, step_one, plan, comm)
    branch = partial(initial.forecasts.branched, time=plan.start)
    open_loop = timer.records("open loop", run(branch(OPEN_LOOP), initial.states, plan, None, due))
    cycle = timer.records("assimilation", run(branch(ASSIMILATION), initial.states, plan, analysis, due))
    with closing(RunRecorder(comm, experiment, configuration.text, model, step_one, overwrite)) as recorder:
        recorder.member_events(initial.events)
        unobserved = _record(cycle, open_loop, recorder, comm, timer, partial(progress, plan.output_times.size))
        peak_memory = comm.allgather(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        result = provenance(experiment, comm.size, dict(timer.seconds), peak_memory)
        result["sub_domains_without_observations"] = unobserved
        result["drivers"] = drivers.high_latitude_description()
        result["configuration_files"] = configuration.checksums
        result["member_failures"] = recorder.member_failures
        recorder.complete(result)
    return result


def _record(
    cycle: Iterator[CycleRecord],
    open_loop: Iterator[CycleRecord],
    recorder: RunRecorder,
    comm: Communicator,
    timer: PhaseTimer,
    progress: Callable[[int, str], None],
) -> int:
    """Drive both runs, write their records, and return how many sub-domains at most saw no observation."""
    done, unobserved = 0, 0
    for record in cycle:
        if record.diagnostics is not None:
            unobserved = max(unobserved, int(np.count_nonzero(record.diagnostics.local_observations == 0)))
        # Both runs advance together, so that a model may use what it computed for a time for both.
        if record.phase is Phase.FORECAST:
            timer.measure("output", partial(recorder.open_loop, next(open_loop)))
            done += 1
            if comm.rank == 0:
                progress(done, str(record.time)[:16])
        timer.measure("output", partial(recorder.assimilation, record))
    return unobserved
