"""The command line: the only place that puts configuration, models and the framework together."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.exceptions import TyperException

from da.errors import ThermodaError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from da.config import Experiment
    from da.parallel import Communicator

app = typer.Typer(
    name="thermoda",
    help="Two-step assimilation of satellite accelerometer densities into thermosphere models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EXIT_INPUT = 2
"""Exit status for faults of input or data; 1 is for programming errors."""

EXIT_INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment YAML file", metavar="FILE")]


def _launched_rank() -> int:
    """Return the rank the launcher gave this process, before MPI is started; 0 outside a launcher."""
    return next((int(value) for name in RANK_VARIABLES if (value := os.environ.get(name, "")).isdigit()), 0)


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of any error")] = False) -> None:
    """Take the options that stand before the command."""


@app.command("run")
def run_command(
    file: ExperimentFile,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run of that folder")] = False,
) -> None:
    """Run an experiment: open loop and assimilation. Start under mpirun for several processes."""
    from da.execution import execute
    from da.parallel import collective, from_root, start_communicator
    from da.reporting import RunProgress, print_run_summary
    from model_adapters.registry import find_adapter

    comm = start_communicator()
    began = time.perf_counter()
    with _ending_together(comm):
        experiment, settings, text = from_root(comm, lambda: _read(file))
        with collective(comm, ""):
            model = find_adapter(experiment.model.adapter).build(settings)
        with RunProgress(_console(), enabled=comm.rank == 0) as progress:
            result = execute(comm, experiment, text, model, overwrite, progress.update)
    if comm.rank == 0:
        print_run_summary(_console(), experiment, result, time.perf_counter() - began)


@app.command("check")
def check_command(file: ExperimentFile) -> None:
    """Validate an experiment and print what it resolves to, without running it."""
    from da.checking import resolve, resolved_table
    from model_adapters.registry import find_adapter

    experiment, settings, _ = _read(file)
    resolved = resolve(experiment, find_adapter(experiment.model.adapter).build(settings))
    _console().print(resolved_table(file, experiment, settings, resolved))


@app.command("spinup")
def spinup_command(file: ExperimentFile) -> None:
    """Make the ensemble that a run starts from, for models whose members live in files; goes on where it was ended."""
    from da.execution import build_forecasts, refuse_idle_ranks
    from da.parallel import collective, from_root, start_communicator
    from da.preparation import experiment_drivers
    from da.reporting import RunProgress, print_spin_up_summary
    from da.spin_up import require_files, spun_up
    from model_adapters.registry import find_adapter

    comm = start_communicator()
    began = time.perf_counter()
    with _ending_together(comm):
        experiment, settings, _ = from_root(comm, lambda: _read(file))
        with collective(comm, ""):
            model = find_adapter(experiment.model.adapter).build(settings)
            require_files(experiment.model.adapter, model)
            refuse_idle_ranks(experiment, comm)
        drivers = from_root(comm, lambda: experiment_drivers(experiment))
        with collective(comm, ""):
            forecasts = build_forecasts(experiment, experiment.model.adapter, model, drivers, comm)
        with RunProgress(_console(), enabled=comm.rank == 0) as progress:
            result = spun_up(experiment, forecasts, progress.update)
    if comm.rank == 0:
        print_spin_up_summary(_console(), experiment, result.events, time.perf_counter() - began)


@app.command("evaluate")
def evaluate_command(
    run: Annotated[Path, typer.Argument(help="Folder of a complete run", metavar="RUN")],
    figures: Annotated[bool, typer.Option(help="Draw figures into the folder of the run")] = True,
) -> None:
    """Compare MSIS, calibrated MSIS, persisted scale factor, open loop, forecast and analysis along every satellite."""
    from da.config import read_experiment
    from da.verification import (
        compare_expectations,
        detail_tables,
        details,
        evaluate,
        expectations_table,
        tables,
        write_evaluation,
        write_evaluation_netcdf,
        write_figures,
    )

    evaluation = evaluate(run)
    more = details(evaluation, run)
    console = _console()
    for table in (*tables(evaluation), *detail_tables(more)):
        console.print(table)
    written = [*write_evaluation(evaluation, run), write_evaluation_netcdf(more, run / "evaluation.nc")]
    if figures:
        written += write_figures(run, evaluation, run / "figures")
    console.print("written: " + ", ".join(str(path) for path in written), style="dim", soft_wrap=True, markup=False)
    comparisons = compare_expectations(evaluation, read_experiment(run / "experiment.yaml")[0].expect)
    if comparisons:
        console.print(expectations_table(comparisons))
    if missed := [one for one in comparisons if not one.met]:
        raise ThermodaError(f"{run}: {len(missed)} of {len(comparisons)} expected figures are not met")


@app.command("schema")
def schema_command(
    output: Annotated[Path | None, typer.Argument(help="File to write; default: standard output")] = None,
) -> None:
    """Write the JSON schema of experiment files, from which editors complete keys."""
    from da.config import json_schema

    if output is None:
        typer.echo(json_schema())
        return
    try:
        output.write_text(json_schema() + "\n", encoding="utf-8")
    except OSError as error:
        raise ThermodaError(f"{output}: cannot be written ({error.strerror})") from error


@app.command("doctor")
def doctor_command() -> None:
    """Check the installation: MPI launcher and library, BLAS threads, versions, data folder, a 2-rank round trip."""
    from da.doctor import diagnose, diagnosis_table

    findings = diagnose()
    _console().print(diagnosis_table(findings))
    if not all(finding.good for finding in findings):
        raise ThermodaError("doctor: " + "; ".join(finding.advice for finding in findings if not finding.good))


@app.command("round-trip", hidden=True)
def round_trip_command() -> None:
    """Exchange blocks between all ranks and print what each saw; used by ``doctor``."""
    from da.doctor import round_trip

    for line in round_trip():
        typer.echo(line)


def _read(file: Path) -> tuple[Experiment, BaseModel, str]:
    """Return an experiment, the settings of its model, and the text of the file."""
    from da.config import read_experiment
    from model_adapters.registry import find_adapter

    experiment, source = read_experiment(file)
    try:
        adapter = find_adapter(experiment.model.adapter)
    except ThermodaError as error:
        raise source.error(("model", "adapter"), str(error)) from error
    return experiment, source.validate(adapter.settings, ("model", "settings")), file.read_text(encoding="utf-8")


def _console() -> Console:
    width = None if sys.stdout.isatty() else 132
    return Console(width=width, soft_wrap=False)


@contextmanager
def _ending_together(comm: Communicator) -> Iterator[None]:
    """Let an error that one rank alone meets end all ranks, also where python was not started with ``-m mpi4py``."""
    from da.parallel import AgreedError

    if comm.size > 1:
        _abort_on_programming_errors(comm)
    try:
        yield
    except AgreedError:
        # Every rank is here: ending MPI in order keeps its launcher from reporting an abort beside our one line.
        if comm.size > 1:
            comm.finalize()
        raise
    except ThermodaError as error:
        if comm.size > 1 and not _debug():
            _print_error(str(error))
            comm.abort(EXIT_INPUT)
        raise


def _abort_on_programming_errors(comm: Communicator) -> None:
    report = sys.excepthook

    def end_all(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        report(kind, error, trace)
        sys.stderr.flush()
        comm.abort(1)

    sys.excepthook = end_all


def _print_error(message: str) -> None:
    """Print one line, whatever the message holds."""
    text = escape(" ".join(message.split()))
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {text}")


def _debug() -> bool:
    return "--debug" in sys.argv


def _end(status: int, message: str) -> NoReturn:
    if _launched_rank() == 0:
        _print_error(message)
    sys.exit(status)


def main() -> None:
    """Run the command line; faults of input are one line on rank 0 and exit status 2 on all ranks."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        status = app(args=arguments, standalone_mode=False)
    except ThermodaError as error:
        if _debug():
            raise
        _end(EXIT_INPUT, str(error))
    except TyperException as error:
        _end(EXIT_INPUT, error.format_message() or "a command is needed, one of those above")
    except typer.Exit as exit_:
        status = exit_.exit_code
    except typer.Abort:
        status = EXIT_INTERRUPTED
    if status == EXIT_INTERRUPTED:
        _end(EXIT_INTERRUPTED, "interrupted; a run under way is not complete and stays in <output_folder>.partial")
    sys.exit(status or 0)
