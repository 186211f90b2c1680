"""The runs of a study: each made in its own processes, evaluated, and recorded, whatever becomes of the others."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import xarray as xr

from da.config import to_datetime64
from da.doctor import launcher_environment
from da.errors import ThermodaError
from da.key_figures import RunRecord, configuration_items, run_figures, update, write_run_figures
from da.storage import partial_path, under_way
from da.stored_dataset import TEXTS, TIMES, require_variable, stored_dataset, stored_values, stored_whole
from da.study import (
    ExperimentReader,
    PlannedRun,
    State,
    in_order_of_need,
    planned,
    provenance_of,
    refuse_other_configurations,
)
from da.verification import Comparison, details, evaluate, write_evaluation, write_evaluation_netcdf

LOGS = "logs"
REMOVE = "remove it"


@dataclass(frozen=True)
class Outcome:
    """How a run of a study ended.

    Parameters
    ----------
    run : PlannedRun
    text : str
        "complete", or what went wrong.
    completion : float
    missed : tuple of Comparison
        Figures that the experiment expects and its run did not give.
    """

    run: PlannedRun
    text: str
    completion: float
    missed: tuple[Comparison, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the run is complete, evaluated, and as expected."""
        return self.text == State.COMPLETE and not self.missed

    def faults(self) -> list[str]:
        """Return what the user must know of a run that is not good, a line each."""
        told = [] if self.text == State.COMPLETE else [self.text]
        return told + [
            f"{one.expected.satellite}, {one.expected.row}, {one.expected.statistic}: {one.found:.4g} instead of "
            f"{one.expected.value:.4g} +- {one.expected.tolerance:.4g}"
            for one in self.missed
        ]


@dataclass(frozen=True)
class Launch:
    """How runs are started: under ``launcher`` on several ranks, or plainly on one."""

    ranks: int
    launcher: Path | None

    def __post_init__(self) -> None:
        if self.ranks > 1 and self.launcher is None:
            raise ThermodaError(f"--ranks {self.ranks}: there is no mpiexec; see python -m da doctor")

    def command(self, file: Path, overwrite: bool) -> list[str]:
        """Return the command that runs a file, or goes on with what an interrupted run left."""
        python = [sys.executable, "-m", "da"]
        if self.launcher is not None and self.ranks > 1:
            python = [str(self.launcher), "-n", str(self.ranks), sys.executable, "-m", "mpi4py", "-m", "da"]
        return [*python, "run", "--overwrite" if overwrite else "--resume", str(file)]


def run_study(
    runs: Sequence[PlannedRun],
    folder: Path,
    launch: Launch,
    reader: ExperimentReader,
    report: Callable[[str], None],
    swept: tuple[str, ...] = (),
) -> tuple[list[Outcome], xr.Dataset]:
    """Make, evaluate and record the runs of a study one after the other; what others take from comes first.

    Parameters
    ----------
    runs : sequence of PlannedRun
    folder : Path
        Of the study: key figures, logs.
    launch : Launch
    reader : ExperimentReader
    report : callable
        Called with a line for the user before and after each run.
    swept : tuple of str
        Dotted keys that the study varies.

    Returns
    -------
    list of Outcome, and the collected key figures of the folder
    """
    outcomes = []
    for number, run in enumerate(in_order_of_need(runs), 1):
        numbered = partial(_report_numbered, report, f"[{number}/{len(runs)}]")
        try:
            outcome, evaluation = _made(_as_it_is_now(run, reader), folder, launch, reader, numbered)
        except ThermodaError as error:
            outcomes.append(Outcome(run, str(error), 0.0))
            numbered(f"{run.name}: not run: {error}")
            continue
        outcomes.append(outcome)
        write_run_figures(folder, run_figures(_record(outcome, swept), evaluation))
    return outcomes, update(folder)


def _as_it_is_now(run: PlannedRun, reader: ExperimentReader) -> PlannedRun:
    """Return a run with what there is of it now: another process may have made it since the study was planned.

    Raises
    ------
    ThermodaError
        If another process is at it, or has made something else there that nobody agreed to replace.
    """
    if under_way(run.folder):
        raise ThermodaError(f"another process is writing {partial_path(run.folder)}")
    now = planned(run.file, run.experiment, reader)
    if now.state is State.OTHER and run.state is not State.OTHER:
        refuse_other_configurations([now])
    return now


def _record(outcome: Outcome, swept: tuple[str, ...]) -> RunRecord:
    run = outcome.run
    wall_time_s = _wall_time_s(run) if outcome.completion == 1.0 else float("nan")
    items = configuration_items(run.experiment)
    return RunRecord(run.name, outcome.text, outcome.completion, wall_time_s, items, swept)


def _report_numbered(report: Callable[[str], None], number: str, text: str) -> None:
    report(f"{number} {text}")


def _made(
    run: PlannedRun, folder: Path, launch: Launch, reader: ExperimentReader, report: Callable[[str], None]
) -> tuple[Outcome, xr.Dataset | None]:
    """Return how a run ended, made if need be, and its evaluation where it is complete.

    Raises
    ------
    ThermodaError
        If another process is making it.
    """
    if run.state is State.COMPLETE:
        report(f"{run.name}: complete already")
    else:
        problem = _run(run, folder / LOGS / f"{run.name}.log", launch, report)
        # Of two processes that start a run at the same time the second one fails, and the result of the first counts.
        if problem and _as_it_is_now(run, reader).state is not State.COMPLETE:
            return Outcome(run, problem, _completion(run)), None
    evaluation = None
    try:
        evaluation = evaluated(run.folder)
        missed = tuple(one for one in _compared(run, evaluation) if not one.met)
    except ThermodaError as error:
        what = "cannot be evaluated" if evaluation is None else "cannot be compared with what it expects"
        report(f"{run.name}: {what}")
        return Outcome(run, f"complete, but {what}: {error}", 1.0), evaluation
    return Outcome(run, State.COMPLETE.value, 1.0, missed), evaluation


def _run(run: PlannedRun, log: Path, launch: Launch, report: Callable[[str], None]) -> str:
    """Run an experiment in its own processes; return what went wrong, or nothing."""
    log.parent.mkdir(parents=True, exist_ok=True)
    report(f"{run.name}: running, log in {log}")
    began = time.perf_counter()
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            launch.command(run.file, run.state is State.OTHER),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            env=launcher_environment(),
        )
    elapsed = time.perf_counter() - began
    if done.returncode == 0:
        report(f"{run.name}: complete after {elapsed:.0f} s")
        return ""
    problem = _last_error(log, done.returncode)
    report(f"{run.name}: FAILED after {elapsed:.0f} s: {problem}")
    return problem


def _last_error(log: Path, status: int) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    reason = (told or lines[-1:] or ["it said nothing"])[-1]
    return reason if told else f"ended with status {status}: {reason}"


def _completion(run: PlannedRun) -> float:
    """Return the part of the analyses, or of the open loop, that a run made before it ended."""
    section = run.experiment.experiment
    file = "analysis.nc" if section.assimilate else "open_loop.nc"
    path = partial_path(run.folder) / file
    try:
        with stored_dataset(path) as analyses:
            last = stored_values(path, analyses, "time", ("time",), TIMES)[-1:]
    except ThermodaError:
        return 0.0
    start, stop = to_datetime64(section.start), to_datetime64(section.stop)
    return float((last[0] - start) / (stop - start)) if last.size else 0.0


def _wall_time_s(run: PlannedRun) -> float:
    return float(sum(provenance_of(run.folder).get("phase_seconds", {}).values()))


def evaluated(folder: Path) -> xr.Dataset:
    """Return the evaluation of a complete run; it is made and written where it is missing or older than the run.

    Raises
    ------
    ThermodaError
        If the run cannot be evaluated.
    """
    path = folder / "evaluation.nc"
    if not path.is_file() or path.stat().st_mtime_ns < (folder / "provenance.json").stat().st_mtime_ns:
        evaluation = evaluate(folder)
        write_evaluation(evaluation, folder)
        write_evaluation_netcdf(details(evaluation, folder), path)
    with stored_dataset(path, REMOVE) as dataset:
        for name in ("satellite_name", "role"):
            require_variable(path, dataset, name, ("satellite",), TEXTS, REMOVE)
        for name in ("row", "group"):
            require_variable(path, dataset, f"{name}_name", (name,), TEXTS, REMOVE)
        return stored_whole(path, dataset, REMOVE)


def _compared(run: PlannedRun, evaluation: xr.Dataset) -> list[Comparison]:
    """Return the figures that an experiment expects with those of its evaluation."""
    by_name = evaluation.set_xindex("satellite_name").set_xindex("row_name").set_xindex("group_name")
    found = []
    for one in run.experiment.expect:
        if one.statistic not in by_name:
            raise ThermodaError(f"{run.file}: expect: there is no statistic '{one.statistic}'")
        value = by_name[one.statistic].sel(satellite_name=one.satellite, row_name=one.row, group_name="all")
        found.append(Comparison(one, float(value)))
    return found
