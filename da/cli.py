"""The command line: the only place that puts configuration, models and the framework together."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from typer.exceptions import TyperException

from da.endings import EXIT_INPUT, EXIT_INTERRUPTED, EXIT_STOPPED, debugging, end, ending_together
from da.errors import ThermodaError
from da.yaml_source import YamlSource

if TYPE_CHECKING:
    from pydantic import BaseModel

    from da.config import Experiment
    from da.inheritance import ResolvedText
    from da.parallel import Communicator
    from da.study import ExperimentReader, PlannedRun

app = typer.Typer(
    name="thermoda",
    help="Two-step assimilation of satellite accelerometer densities into thermosphere models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment YAML file", metavar="FILE")]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", help="Dask cluster: local, local:WORKERS or slurm:FILE; default: this process alone"),
]
Ranks = Annotated[int, typer.Option(min=1, help="Processes of each run, under mpiexec if more than one")]


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of any error")] = False) -> None:
    """Take the options that stand before the command."""


@app.command("run")
def run_command(
    file: ExperimentFile,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run of that folder")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run of that folder; leave a complete one alone")
    ] = False,
) -> None:
    """Run an experiment: open loop and assimilation. Start under mpirun for several processes."""
    from da.execution import execute
    from da.parallel import collective, from_root, start_communicator
    from da.reporting import RunProgress, print_run_summary
    from model_adapters.registry import find_adapter

    if resume and overwrite:
        raise ThermodaError("run: --resume goes on with a run and --overwrite begins it anew: give one of them")
    comm = start_communicator()
    began = time.perf_counter()
    with ending_together(comm):
        begun = resume and from_root(comm, lambda: _is_begun(file))
    if begun:
        _resume(comm, file)
        return
    with ending_together(comm):
        experiment, settings, configuration = from_root(comm, lambda: _read(file))
        with collective(comm, ""):
            model = find_adapter(experiment.model.adapter).build(settings)
        with RunProgress(_console(), enabled=comm.rank == 0) as progress:
            result = execute(comm, experiment, configuration, model, overwrite, progress.update)
    if comm.rank == 0:
        print_run_summary(_console(), experiment, result, time.perf_counter() - began)


@app.command("resume")
def resume_command(
    run: Annotated[Path, typer.Argument(help="Folder of the run, or its experiment YAML file", metavar="RUN")],
) -> None:
    """Go on with an unfinished run from its last restart point; start under mpirun on any number of processes."""
    from da.parallel import start_communicator

    _resume(start_communicator(), run)


def _resume(comm: Communicator, run: Path) -> None:
    """Go on with the unfinished run of a folder or of an experiment file."""
    from da.execution import execute
    from da.parallel import collective, from_root
    from da.reporting import RunProgress, print_run_summary
    from model_adapters.registry import find_adapter

    began = time.perf_counter()
    with ending_together(comm):
        unfinished = from_root(comm, lambda: _unfinished(run))
        if unfinished is None:
            if comm.rank == 0:
                _console().print(f"{run}: is complete already; there is nothing to resume", soft_wrap=True)
            return
        experiment, settings, configuration = unfinished
        with collective(comm, ""):
            model = find_adapter(experiment.model.adapter).build(settings)
        with RunProgress(_console(), enabled=comm.rank == 0) as progress:
            result = execute(comm, experiment, configuration, model, True, progress.update, resume=True)
    if comm.rank == 0:
        print_run_summary(_console(), experiment, result, time.perf_counter() - began)


@app.command("check")
def check_command(
    file: ExperimentFile,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print the YAML with all that it inherits")] = False,
) -> None:
    """Validate an experiment and print what it resolves to, without running it."""
    from da.checking import resolve, resolved_table
    from model_adapters.registry import find_adapter

    experiment, settings, configuration = _read(file)
    if resolved:
        typer.echo(configuration.text, nl=False)
        return
    sizes = resolve(experiment, find_adapter(experiment.model.adapter).build(settings))
    _console().print(resolved_table(file, experiment, settings, sizes))


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
    with ending_together(comm):
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
    cluster: ClusterOption = None,
) -> None:
    """Compare MSIS, calibrated MSIS, persisted scale factor, open loop, forecast and analysis along every satellite."""
    from da.cluster import open_cluster
    from da.config import read_experiment
    from da.figures.tracks import write_figures
    from da.verification import (
        compare_expectations,
        detail_tables,
        details,
        evaluate,
        expectations_table,
        tables,
        write_evaluation,
        write_evaluation_netcdf,
    )

    with open_cluster(cluster) as scheduler:
        evaluation = evaluate(run, scheduler)
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


@app.command("report")
def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; the first is compared with the others")],
    output: Annotated[Path, typer.Option(help="The page; figures come into a folder beside it")] = Path("report.html"),
) -> None:
    """Write one HTML page on runs: configuration, tables, figures, warnings, and run against run."""
    from da.report import write_report

    page, *figures = write_report(runs, output)
    _console().print(f"written: {page}, and {len(figures)} files of figures beside it", soft_wrap=True, markup=False)


@app.command("collect")
def collect_command(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the folders of runs", metavar="DIR")],
    cluster: ClusterOption = None,
) -> None:
    """Evaluate all complete runs of a folder that are not evaluated yet, and write their key figures into one file."""
    from da.cluster import open_cluster
    from da.key_figures import FILE
    from da.run_collection import collect_runs

    with open_cluster(cluster) as scheduler:
        figures, problems = collect_runs(folder, _experiment_reader().complete, scheduler)
    text = f"written: {folder / FILE}: {figures.sizes['run']} runs"
    _console().print(text, soft_wrap=True, markup=False, highlight=False)
    if problems:
        raise ThermodaError(f"{folder}: {len(problems)} runs cannot be evaluated: {problems[0].problem}")


@app.command("density")
def density_command(
    run: Annotated[Path, typer.Argument(help="Folder of a complete run", metavar="RUN")],
    altitudes_km: Annotated[str, typer.Option(help="Altitudes, separated by commas")] = "250,400,550",
    step_deg: Annotated[float, typer.Option(help="Step in latitude and longitude")] = 10.0,
    local_time: Annotated[
        bool, typer.Option("--local-time", help="Cells stay at their local solar time instead of their longitude")
    ] = False,
    cluster: ClusterOption = None,
) -> None:
    """Write statistics over time of the densities of open loop, forecast and analysis in the cells of a grid."""
    from da.cluster import open_cluster
    from da.verification.density_statistics import (
        FILE,
        DensityGrid,
        density_statistics_table,
        parse_altitudes,
        run_density_statistics,
        write_density_statistics,
    )

    grid = DensityGrid.regular(parse_altitudes(altitudes_km), step_deg, local_time)
    with open_cluster(cluster) as scheduler:
        statistics = run_density_statistics(run, grid, scheduler)
    _console().print(density_statistics_table(statistics))
    written = write_density_statistics(statistics, run / FILE)
    _console().print(f"written: {written}", style="dim", soft_wrap=True, markup=False)


@app.command("study")
def study_command(
    folder: Annotated[Path, typer.Argument(help="Folder of experiment files", metavar="DIR")],
    ranks: Ranks = 1,
    only: Annotated[list[str] | None, typer.Option(help="Name of an experiment; may be repeated")] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="YAML laid over every experiment; results go to runs/NAME", metavar="FILE")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --overlay; default: names of DIR and FILE, such as mine_reduced")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace runs of another configuration")] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; print the table of what is there")
    ] = False,
) -> None:
    """Run all experiments of a folder that are not complete yet, evaluate them, and print one table."""
    from da.key_figures import update
    from da.study import RUNS, chosen, laid_over, overlay_name, plan, study_files, write_laid_over
    from da.study_table import study_table

    _refuse_launcher("study")
    reader, results = _experiment_reader(), RUNS / folder.resolve().name
    sources = [YamlSource.read(file) for file in study_files(folder)]
    wanted = chosen(sources, only or ())
    if overlay is None:
        if name is not None:
            raise ThermodaError(f"--name {name}: belongs to --overlay; without it results go to {results}")
        all_runs = plan([(source.path, reader.validate(source)) for source in sources], reader)
        runs = [run for run in all_runs if run.file in {source.path for source in wanted}]
    else:
        results = RUNS / overlay_name(folder, overlay, name)
        laid = laid_over(wanted, YamlSource.read(overlay), results.name, reader)
        if not table_only:
            write_laid_over(laid)
        runs = plan([(one.file, one.experiment) for one in laid], reader)
    if table_only:
        _console().print(study_table(update(results), runs))
        return
    _make_study(runs, results, reader, ranks, overwrite)


@app.command("sweep")
def sweep_command(
    file: ExperimentFile,
    values: Annotated[list[str], typer.Option("--set", help="section.key=value,value; may be repeated")],
    name: Annotated[str | None, typer.Option(help="Results go to runs/NAME; default: that of FILE with _sweep")] = None,
    ranks: Ranks = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace runs of another configuration")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run; write nothing")] = False,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Write the variants' files for a job array; run nothing")
    ] = False,
) -> None:
    """Run an experiment with all combinations of values, evaluate the runs, and print one table."""
    from da.study import RUNS, plan
    from da.sweep import parse_axis, sweep_name, validated, variants, write_variants

    _refuse_launcher("sweep")
    reader, source, name = _experiment_reader(), YamlSource.read(file), sweep_name(file, name)
    axes = [parse_axis(text) for text in values]
    grid = variants(name, axes)
    runs = plan(validated(source, grid, name, reader), reader)
    if dry_run:
        for run, variant in zip(runs, grid, strict=True):
            typer.echo(f"{run.folder}: {run.state}: {variant.describe()}")
        return
    write_variants(source, grid, name)
    if files_only:
        typer.echo(f"written: {len(grid)} files in {RUNS / name}")
        return
    _make_study(runs, RUNS / name, reader, ranks, overwrite, tuple(axis.key for axis in axes))


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


def _read(file: Path) -> tuple[Experiment, BaseModel, ResolvedText]:
    """Return an experiment, the settings of its model, and its resolved text with the files that it came from."""
    source = YamlSource.read(file)
    return *_validated(source), source.resolved()


def _is_begun(file: Path) -> bool:
    """Return whether there is a complete or an unfinished run of an experiment."""
    from da.storage import partial_path

    final = _read(file)[0].experiment.output_folder
    return final.exists() or partial_path(final).is_dir()


def _unfinished(run: Path) -> tuple[Experiment, BaseModel, ResolvedText] | None:
    """Return the experiment of an unfinished run, None where the run is complete.

    Parameters
    ----------
    run : Path
        Its folder, with or without the suffix of unfinished ones, or the file of the experiment.
    """
    from da.storage import PARTIAL_SUFFIX, partial_path

    if run.is_file():
        experiment, settings, configuration = _read(run)
        final = experiment.experiment.output_folder
    else:
        final = run.with_name(run.name.removesuffix(PARTIAL_SUFFIX))
    partial = partial_path(final)
    if not partial.is_dir():
        if (final / "provenance.json").is_file():
            return None
        raise ThermodaError(f"{final}: there is neither a complete nor an unfinished run; start one with da run")
    if not run.is_file():
        experiment, settings, configuration = _read(partial / "experiment.yaml")
        section = experiment.experiment.model_copy(update={"output_folder": final})
        experiment = experiment.model_copy(update={"experiment": section})
    return experiment, settings, configuration


def _validated(source: YamlSource) -> tuple[Experiment, BaseModel]:
    """Return the experiment of a source, and the settings of its model."""
    from da.config import Experiment
    from model_adapters.registry import find_adapter

    experiment = source.validate(Experiment)
    try:
        adapter = find_adapter(experiment.model.adapter)
    except ThermodaError as error:
        raise source.error(("model", "adapter"), str(error)) from error
    return experiment, source.validate(adapter.settings, ("model", "settings"))


def _experiment_reader() -> ExperimentReader:
    """Return how a study validates experiments, which needs their models."""
    from da.checking import refuse_misfits
    from da.study import ExperimentReader
    from model_adapters.registry import find_adapter

    def with_settings(experiment: Experiment, settings: BaseModel) -> Experiment:
        model = experiment.model.model_copy(update={"settings": settings.model_dump(mode="json")})
        return experiment.model_copy(update={"model": model})

    def validate(source: YamlSource) -> Experiment:
        experiment, settings = _validated(source)
        try:
            refuse_misfits(experiment, find_adapter(experiment.model.adapter).build(settings))
        except ThermodaError as error:
            raise ThermodaError(f"{source.path}: {error}") from error
        return with_settings(experiment, settings)

    def complete(experiment: Experiment) -> Experiment:
        adapter = find_adapter(experiment.model.adapter)
        return with_settings(experiment, adapter.settings.model_validate(experiment.model.settings))

    return ExperimentReader(validate, complete)


def _refuse_launcher(command: str) -> None:
    from da.parallel import launched_size

    if (launched_size() or 1) > 1:
        raise ThermodaError(f"{command}: starts its runs under mpiexec itself; start it without, and give --ranks")


def _make_study(
    runs: Sequence[PlannedRun],
    folder: Path,
    reader: ExperimentReader,
    ranks: int,
    overwrite: bool,
    swept: tuple[str, ...] = (),
) -> None:
    """Make the runs of a study, print its table, and end with an error where a run did."""
    from da.doctor import find_launcher
    from da.key_figures import FILE
    from da.study import refuse_other_configurations
    from da.study_runs import Launch, run_study
    from da.study_table import study_table

    if not overwrite:
        refuse_other_configurations(runs)
    console = _console()

    def report(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    outcomes, figures = run_study(runs, folder, Launch(ranks, find_launcher()), reader, report, swept)
    console.print(study_table(figures, runs))
    for outcome in outcomes:
        for line in outcome.faults():
            report(f"{outcome.run.name}: {line}")
    report(f"written: {folder / FILE}")
    if bad := [outcome.run.name for outcome in outcomes if not outcome.good]:
        raise ThermodaError(f"{folder}: {len(bad)} of {len(outcomes)} runs failed or missed figures: {', '.join(bad)}")


def _console() -> Console:
    width = None if sys.stdout.isatty() else 132
    return Console(width=width, soft_wrap=False)


def main() -> None:
    """Run the command line; faults of input are one line on rank 0 and exit status 2 on all ranks."""
    from da.stopping import RunStopped

    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        status = app(args=arguments, standalone_mode=False)
    except RunStopped as stopped:
        end(EXIT_STOPPED, str(stopped), "")
    except ThermodaError as error:
        if debugging():
            raise
        end(EXIT_INPUT, str(error))
    except TyperException as error:
        end(EXIT_INPUT, error.format_message() or "a command is needed, one of those above")
    except typer.Exit as exit_:
        status = exit_.exit_code
    except typer.Abort:
        status = EXIT_INTERRUPTED
    if status == EXIT_INTERRUPTED:
        end(EXIT_INTERRUPTED, "interrupted; a run under way is not complete and stays in <output_folder>.partial")
    sys.exit(status or 0)
