"""What an experiment resolves to, before it is run: sizes, observations, memory, expected cost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from rich.table import Table

from da.analysis_config import refuse_unknown_update_fractions
from da.analysis_observations import GridPositions
from da.borrowed_open_loop import source_folder
from da.config import Experiment
from da.cycle import Schedule
from da.drivers import Drivers
from da.execution import build_forecasts, perturbation_model, schedule
from da.filter_description import describe_filter
from da.filter_setup import build_analysis, build_engine, filter_settings
from da.filters.estkf import ensemble_transforms
from da.free_forecasts import FreeForecastPlan
from da.model import (
    ForecastModel,
    MembersInFiles,
    refuse_unknown_perturbations,
    refuse_unusable_time_limit,
    refuse_unused_high_latitude,
)
from da.observation_coverage import observation_coverage
from da.observation_plan import ObservationPlan, observation_plan
from da.observations import SourceBatch
from da.observing import observe_density, require_density
from da.parallel import SerialCommunicator, limit_blas_threads
from da.preparation import prepare
from da.seeding import Purpose, streams
from da.spin_up import spin_up_edges

FloatArray = NDArray[np.float64]

TRIAL_MEMBERS = (2, 6)
"""Sizes of two ensembles that are really made and advanced, to learn what members share and what each one adds."""

TRIAL = "trial"
"""Label of these ensembles."""

TRIAL_TRANSFORMS = 16
"""Transforms of one size that are timed together."""

ENSEMBLE_COPIES = 10
"""Open loop, forecast, transpose, analysis and the work space of a forecast: measured with msis_relaxation at 5 deg."""


WRITING = 1.5
"""Moments and files add about half of the rest, as the quickstart and the real case of 2002 show."""

PROCESS_BYTES = 0.2 * 2**30
"""Memory of one process without an ensemble: Python and the libraries."""


@dataclass(frozen=True)
class ResolvedExperiment:
    """Sizes and estimates of an experiment.

    Parameters
    ----------
    state_size, state_shape : int, tuple
        Length of the state vector; levels, latitudes, longitudes.
    observations : int
        Per analysis.
    analyses, outputs : int
        Number of analysis and output times.
    sub_domains : int
    local_observations : array (sub-domains,)
        At the second analysis, whose window lies within the experiment.
    records : dict of satellite -> int
    outliers : int
        Of the calibrating satellite's scale factors.
    warnings : list of str
        About observations that fail; see :class:`da.observation_coverage.ObservationCoverage`.
    memory_bytes : float
        Of both ensembles and the work space of an analysis, over all ranks.
    seconds : float
        Estimated CPU time of the run on one core, extrapolated from two small ensembles timed here.
    member_jobs : int
        Number of programs that are run for the members, whose time is not in ``seconds``; 0 for models of this process.
    """

    state_size: int
    state_shape: tuple[int, int, int]
    observations: int
    analyses: int
    outputs: int
    sub_domains: int
    local_observations: NDArray[np.int64]
    records: dict[str, int]
    outliers: int
    warnings: list[str]
    memory_bytes: float
    seconds: float
    member_jobs: int = 0


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def refuse_misfits(experiment: Experiment, model: ForecastModel) -> None:
    """Raise ThermodaError where an experiment asks of its model what that does not have; reads no data."""
    require_density(experiment.model.adapter, model)
    refuse_unknown_perturbations(experiment.model.adapter, model, perturbation_model(experiment).names)
    refuse_unused_high_latitude(experiment.model.adapter, model, experiment.drivers.beyond_kp)
    refuse_unknown_update_fractions(experiment.analysis, model.layout.names)
    refuse_unusable_time_limit(experiment.model.adapter, model, experiment.ensemble.on_member_failure.time_limit_s)
    if experiment.experiment.assimilate:
        build_analysis(experiment, model, SerialCommunicator())


def resolve(experiment: Experiment, model: ForecastModel) -> ResolvedExperiment:
    """Prepare step one and a few members, and return what a run would be.

    Raises
    ------
    ThermodaError
        For any fault that the run would meet at its start.
    """
    refuse_misfits(experiment, model)
    step_one = prepare(experiment)
    plan = schedule(experiment)
    limit_blas_threads()
    due, warnings = [], []
    if experiment.experiment.assimilate:
        observations = observation_plan(experiment, step_one, plan)
        warnings = observation_coverage(experiment, step_one, observations, plan.analysis_times).warnings()
        due = _observations_of_one_analysis(observations, plan)
    few, more = (_trial(experiment, model, step_one.drivers, due, members) for members in TRIAL_MEMBERS)
    local = _local_observations(experiment, model, few.mean_height, due)
    members, outputs = experiment.ensemble.members, plan.output_times.size
    analyses = plan.analysis_times.size if experiment.experiment.assimilate else 0
    forecasts = outputs * _ensembles(experiment) + _free_forecast_steps(experiment)
    forecast_s = _extrapolated(few.forecast_s, more.forecast_s, members)
    observe_s = _extrapolated(few.observe_s, more.observe_s, members)
    used = local[local > 0]
    transform_s = _transform_seconds(int(np.median(used)), members) if used.size else 0.0
    # H is applied to every state for output, and twice more per analysis.
    seconds = forecasts * (forecast_s + observe_s) + analyses * (used.size * transform_s + 3.0 * observe_s)
    seconds *= WRITING
    return ResolvedExperiment(
        state_size=model.layout.state_size,
        state_shape=model.layout.grid.shape,
        observations=sum(len(one.batch) for one in due),
        analyses=analyses,
        outputs=outputs,
        sub_domains=local.size,
        local_observations=local,
        records={name: len(track) for name, track in step_one.tracks.items()},
        outliers=step_one.report.outliers,
        warnings=warnings,
        memory_bytes=ENSEMBLE_COPIES * 8.0 * members * model.layout.state_size,
        seconds=seconds,
        member_jobs=_member_jobs(experiment, plan) if isinstance(model, MembersInFiles) else 0,
    )


def _ensembles(experiment: Experiment) -> int:
    """Return how many ensembles are advanced through the run: open loop and assimilation, or one of them."""
    return 2 if experiment.experiment.assimilate and experiment.open_loop.from_run is None else 1


def _free_forecast_steps(experiment: Experiment) -> int:
    """Return the number of forecasts of an ensemble from record to record that all free forecasts take together."""
    free = FreeForecastPlan.of(experiment)
    return sum(int(min(free.length, free.stop - start) // free.interval) for start in free.starts)


def _member_jobs(experiment: Experiment, plan: Schedule) -> int:
    """Return the number of forecasts of single members: of the spin-up, and of all ensembles between output times."""
    steps = _ensembles(experiment) * (plan.output_times.size - 1) + _free_forecast_steps(experiment)
    return experiment.ensemble.members * (len(spin_up_edges(experiment)) - 1 + steps)


def _observations_of_one_analysis(observations: ObservationPlan, plan: Schedule) -> list[SourceBatch]:
    """Return what the second analysis uses, or the next that uses anything, with all compared since the one before."""
    for first, second in pairwise(plan.analysis_times):
        found = observations.due(first, after_analysis=True)
        for output_time in plan.output_times[(plan.output_times > first) & (plan.output_times <= second)]:
            found += observations.due(output_time, after_analysis=False)
        if found:
            return found
    return observations.due(plan.analysis_times[0], after_analysis=False)


@dataclass(frozen=True)
class _Trial:
    """Times [s] of one output step and one application of H to a small ensemble, and its mean heights [m]."""

    forecast_s: float
    observe_s: float
    mean_height: FloatArray


def _trial(
    experiment: Experiment, model: ForecastModel, drivers: Drivers, due: Sequence[SourceBatch], members: int
) -> _Trial:
    small = experiment.model_copy(update={"ensemble": experiment.ensemble.model_copy(update={"members": members})})
    forecasts = build_forecasts(small, experiment.model.adapter, model, drivers, SerialCommunicator(), TRIAL)
    plan = schedule(experiment)
    begin = spin_up_edges(experiment)[0] if isinstance(model, MembersInFiles) else plan.start
    states = model.initial(
        begin, forecasts.inputs, streams(experiment.experiment.seed, Purpose.INITIAL_STATE, range(members))
    )
    height = forecasts.height(states, begin)
    observe_s = _seconds(lambda: [observe_density(model, states, height, one.batch) for one in due])
    if isinstance(model, MembersInFiles):
        # Its forecasts are programs that run for minutes.
        model.discard(TRIAL)
        return _Trial(0.0, observe_s, height.mean(axis=-1))
    times = plan.output_times
    model.forecast(states, times[0], times[1], forecasts.inputs)
    forecast_s = _seconds(lambda: model.forecast(states, times[1], times[min(2, times.size - 1)], forecasts.inputs))
    return _Trial(forecast_s, observe_s, height.mean(axis=-1))


def _extrapolated(few_s: float, more_s: float, members: int) -> float:
    """Return the time for all members, linear in their number."""
    few, more = TRIAL_MEMBERS
    return few_s + max(more_s - few_s, 0.0) / (more - few) * (members - few)


def _local_observations(
    experiment: Experiment, model: ForecastModel, mean_height: FloatArray, due: Sequence[SourceBatch]
) -> NDArray[np.int64]:
    positions = GridPositions(model.layout, mean_height)
    localizations = filter_settings(experiment).localizations
    centre = build_engine(experiment, model, SerialCommunicator()).centre
    counts = np.zeros(len(centre), dtype=np.int64)
    for one in due:
        counts += positions.select(localizations[one.source], centre, positions.index(one.batch)).counts
    return counts


def _transform_seconds(observations: int, members: int) -> float:
    """Return the time of one transform among others of its size, as the filter computes them."""
    block = np.random.default_rng(0).standard_normal((TRIAL_TRANSFORMS, observations, members + 1))
    factors = np.ones(TRIAL_TRANSFORMS)
    ensemble_transforms(block.copy(), factors)
    return min(_seconds(lambda: ensemble_transforms(block.copy(), factors)) for _ in range(3)) / TRIAL_TRANSFORMS


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.0f} min"


def _describe_smoothing(experiment: Experiment) -> dict[str, str]:
    """Say which satellites measure running means along their orbits, where any does."""
    smoothed = {name: one.smoothing_min for name, one in experiment.satellites.items() if one.smoothing_min > 0.0}
    means = ", ".join(f"{name} {minutes:g} min" for name, minutes in smoothed.items())
    return {"running means": f"{means}; all that is compared with them is averaged alike"} if means else {}


def _describe_forecasts(experiment: Experiment) -> dict[str, str]:
    """Say where the open loop is from, and how many free forecasts there are, where either is special."""
    lines = {}
    if (source := source_folder(experiment)) is not None:
        lines["open loop"] = f"that of {source}"
    free = FreeForecastPlan.of(experiment)
    if free.starts:
        hours = free.length / np.timedelta64(1, "h")
        lines["free forecasts"] = f"{len(free.starts)}, of at most {hours:g} h, with the drivers of their own time"
    return lines


def _describe_local(sub_domains: int, local: NDArray[np.int64]) -> dict[str, str]:
    blind = int(np.sum(local == 0))
    warning = f"; WARNING: {blind} sub-domains see none and are not analysed" if blind else ""
    return {
        "sub-domains": f"{sub_domains}",
        "local observations": f"minimum {local.min()}, median {np.median(local):g}, maximum {local.max()}{warning}",
    }


def resolved_table(file: Path, experiment: Experiment, settings: BaseModel, resolved: ResolvedExperiment) -> Table:
    """Return what an experiment resolves to as a table."""
    local = resolved.local_observations
    levels, rows, columns = resolved.state_shape
    table = Table(title=f"{file}: valid", show_header=False)
    table.add_column("quantity", style="bold")
    table.add_column("value", overflow="fold")
    section = experiment.experiment
    perturbed = ", ".join(experiment.ensemble.perturbations) or "none"
    content = {
        "name, seed": f"{section.name}, {section.seed}",
        "period": f"{section.start:%Y-%m-%d %H:%M} to {section.stop:%Y-%m-%d %H:%M} UTC",
        "results": str(section.output_folder)
        + (" (exists: run with --overwrite)" if section.output_folder.exists() else ""),
        "records": ", ".join(f"{name} {count}" for name, count in resolved.records.items()),
        **_describe_smoothing(experiment),
        "calibration": f"along {experiment.calibration.satellite} ({resolved.outliers} outliers left out)",
        **({"observations that fail": "WARNING: " + "; ".join(resolved.warnings)} if resolved.warnings else {}),
        **describe_filter(experiment),
        **_describe_forecasts(experiment),
        "model": f"{experiment.model.adapter}: {settings.model_dump(mode='json')}",
        "state": f"{resolved.state_size:,} values on {columns} x {rows} x {levels} cells (lon, lat, level)",
        "members": f"{experiment.ensemble.members}, perturbed: {perturbed}",
        "observations": f"{resolved.observations} per analysis, {resolved.analyses} analyses",
        **(_describe_local(resolved.sub_domains, local) if experiment.experiment.assimilate else {}),
        "outputs": f"{resolved.outputs} times",
        "memory": f"about {resolved.memory_bytes / 2**30:.2f} GiB over all ranks, and {PROCESS_BYTES / 2**30:.1f} GiB "
        f"per rank; this machine has {_machine_bytes() / 2**30:.0f} GiB",
        "expected cost": f"about {_duration(resolved.seconds)} of CPU time, extrapolated from a few members timed here",
    }
    if resolved.member_jobs:
        content["expected cost"] = (
            f"{resolved.member_jobs} runs of the model, and about {_duration(resolved.seconds)} of CPU time besides"
        )
    for key, value in content.items():
        table.add_row(key, value)
    return table
