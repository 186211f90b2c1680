"""Runs that were made one by one, such as by the tasks of a job array: evaluated and put together, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from pydantic import ValidationError

from da.config import Experiment
from da.errors import ThermodaError
from da.key_figures import RunRecord, configuration_items, run_figures, update, write_run_figures
from da.study import State, provenance_of
from da.study_runs import evaluated
from da.verification.chunks import Scheduler, map_reduce


@dataclass(frozen=True)
class EvaluatedRun:
    """A complete run and its evaluation, or why there is none.

    Parameters
    ----------
    folder : Path
    evaluation : Dataset or None
        Content of its ``evaluation.nc``.
    problem : str
        Empty for a run that was evaluated.
    """

    folder: Path
    evaluation: xr.Dataset | None
    problem: str = ""

    @property
    def outcome(self) -> str:
        """What the key figures say of the run."""
        return f"complete, but cannot be evaluated: {self.problem}" if self.problem else State.COMPLETE.value


def complete_runs(folder: Path) -> list[Path]:
    """Return the complete runs that lie in a folder, by name.

    Raises
    ------
    ThermodaError
        If there is none.
    """
    found = sorted(
        path.parent for path in folder.glob("*/provenance.json") if provenance_of(path.parent).get("complete")
    )
    if not found:
        raise ThermodaError(f"{folder}: holds no folder of a complete run")
    return found


def evaluate_runs(folders: Sequence[Path], scheduler: Scheduler | None = None) -> tuple[EvaluatedRun, ...]:
    """Return the evaluations of complete runs, each made and written where it is missing or older than its run.

    Parameters
    ----------
    folders : sequence of Path
    scheduler : Scheduler or None
        Where the runs are evaluated, one to a task; results and files are bitwise the same.
    """
    return map_reduce(_evaluate, [folder.resolve() for folder in folders], (), scheduler=scheduler)


def _evaluate(folder: Path) -> tuple[EvaluatedRun, ...]:
    try:
        return (EvaluatedRun(folder, evaluated(folder)),)
    except ThermodaError as error:
        return (EvaluatedRun(folder, None, str(error)),)


def collect_runs(
    folder: Path, complete: Callable[[Experiment], Experiment], scheduler: Scheduler | None = None
) -> tuple[xr.Dataset, list[EvaluatedRun]]:
    """Evaluate the complete runs that lie in a folder, and write their key figures as a study does.

    Parameters
    ----------
    folder : Path
        Holds the folders of the runs; gets ``key_figures.nc`` and ``key_figures/``.
    complete : callable
        ``complete(experiment)`` fills in the settings of a run's model.
    scheduler : Scheduler or None

    Returns
    -------
    Dataset
        Collected key figures, those of earlier runs of the folder among them.
    list of EvaluatedRun
        Those that cannot be evaluated.

    Raises
    ------
    ThermodaError
        If there is no complete run, or its provenance is not that of a run.
    """
    runs = evaluate_runs(complete_runs(folder), scheduler)
    for run in runs:
        write_run_figures(folder, run_figures(_record(run, complete), run.evaluation))
    return update(folder, scheduler), [run for run in runs if run.problem]


def _record(run: EvaluatedRun, complete: Callable[[Experiment], Experiment]) -> RunRecord:
    content = provenance_of(run.folder)
    try:
        experiment = complete(Experiment.model_validate(content.get("configuration")))
    except ValidationError as error:
        raise ThermodaError(
            f"{run.folder / 'provenance.json'}: its configuration is not valid in this version "
            f"({'.'.join(map(str, error.errors()[0]['loc']))}); repeat the run or move it out of {run.folder.parent}"
        ) from error
    wall_time_s = float(sum(content.get("phase_seconds", {}).values()))
    name = experiment.experiment.name
    return RunRecord(name, run.outcome, 1.0, wall_time_s, configuration_items(experiment))
