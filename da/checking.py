"""What an experiment resolves to, before it is run: sizes, observations, memory, expected cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from rich.table import Table

from da.analysis import observation_index_position
from da.calibration import data_grid_batch
from da.config import Experiment
from da.execution import (
    build_forecasts,
    localization,
    observe_density,
    perturbation_model,
    schedule,
    sub_domains,
)
from da.filters.estkf import ensemble_transform
from da.localization import select_local_observations
from da.model import ForecastModel, refuse_unknown_perturbations
from da.parallel import SerialCommunicator
from da.preparation import prepare
from da.seeding import Purpose, streams

TRIAL_MEMBERS = 2
"""Members that are really made and advanced by one output step, to learn the cost."""


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
        At the first analysis.
    records : dict of satellite -> int
    outliers : int
        Of the calibrating satellite's scale factors.
    memory_bytes : float
        Of both ensembles and the work space of an analysis, over all ranks.
    seconds : float
        Estimated CPU time of the run on one core, timed here on two members.
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
    memory_bytes: float
    seconds: float


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def resolve(experiment: Experiment, model: ForecastModel) -> ResolvedExperiment:
    """Prepare step one and two members, and return what a run would be.

    Raises
    ------
    ThermodaError
        For any fault that the run would meet at its start.
    """
    perturbations = perturbation_model(experiment)
    refuse_unknown_perturbations(experiment.model.adapter, model, perturbations.names)
    step_one = prepare(experiment)
    plan = schedule(experiment)
    trial = experiment.model_copy(
        update={"ensemble": experiment.ensemble.model_copy(update={"members": TRIAL_MEMBERS})}
    )
    forecasts = build_forecasts(trial, experiment.model.adapter, model, step_one.drivers, SerialCommunicator())
    rngs = streams(experiment.experiment.seed, Purpose.INITIAL_STATE, range(TRIAL_MEMBERS))
    states = model.initial(plan.start, forecasts.inputs, rngs)
    height = forecasts.height(states, plan.start)
    batch = data_grid_batch(step_one.calibrated, step_one.grid, plan.start, step_one.calibrating_track, step_one.error)
    domains = sub_domains(experiment, model)
    position = observation_index_position(
        model.layout, height.mean(axis=-1), batch.latitude, batch.longitude, batch.altitude_km
    )
    grid = model.layout.grid
    period = float(grid.longitude.size) if grid.periodic_longitude else None
    counts = select_local_observations(domains.centre, position, localization(experiment), period).counts

    members, outputs, analyses = experiment.ensemble.members, plan.output_times.size, plan.analysis_times.size
    model.forecast(states, plan.start, plan.output_times[1], forecasts.inputs)
    forecast_s = _seconds(lambda: model.forecast(states, plan.start, plan.output_times[1], forecasts.inputs))
    observe_s = _seconds(lambda: observe_density(model, states, height, batch))
    transform_s = _transform_seconds(int(np.median(counts[counts > 0])) if counts.any() else 0, members)
    per_step = members / TRIAL_MEMBERS * (2.0 * forecast_s + 2.5 * observe_s)
    state_bytes = 8.0 * members * model.layout.state_size
    return ResolvedExperiment(
        state_size=model.layout.state_size,
        state_shape=grid.shape,
        observations=len(batch),
        analyses=analyses,
        outputs=outputs,
        sub_domains=len(domains),
        local_observations=counts,
        records={name: len(track) for name, track in step_one.tracks.items()},
        outliers=step_one.report.outliers,
        memory_bytes=5.0 * state_bytes,
        seconds=outputs * per_step
        + analyses * (len(domains) * transform_s + 4.0 * observe_s * members / TRIAL_MEMBERS),
    )


def _transform_seconds(observations: int, members: int) -> float:
    if observations == 0:
        return 0.0
    rng = np.random.default_rng(0)
    anomalies = rng.standard_normal((observations, members))
    innovation, inverse = rng.standard_normal(observations), np.ones(observations)
    ensemble_transform(anomalies, innovation, inverse)
    return min(_seconds(lambda: ensemble_transform(anomalies, innovation, inverse)) for _ in range(3))


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
        "results": str(section.output_folder),
        "records": ", ".join(f"{name} {count}" for name, count in resolved.records.items()),
        "assimilated": f"{experiment.calibration.satellite} ({resolved.outliers} outliers left out)",
        "model": f"{experiment.model.adapter}: {settings.model_dump(mode='json')}",
        "state": f"{resolved.state_size:,} values on {columns} x {rows} x {levels} cells (lon, lat, level)",
        "members": f"{experiment.ensemble.members}, perturbed: {perturbed}",
        "observations": f"{resolved.observations} per analysis, {resolved.analyses} analyses",
        "sub-domains": f"{resolved.sub_domains}",
        "local observations": f"minimum {local.min()}, median {np.median(local):g}, maximum {local.max()}",
        "outputs": f"{resolved.outputs} times",
        "memory": f"about {resolved.memory_bytes / 2**30:.2f} GiB over all ranks",
        "expected cost": f"about {resolved.seconds / 60:.1f} CPU minutes, timed here on {TRIAL_MEMBERS} members",
    }
    for key, value in content.items():
        table.add_row(key, value)
    return table
