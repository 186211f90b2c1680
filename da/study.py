"""A study: a folder of experiments, and what there is of each before it starts.

A file whose name begins with ``_`` is a base that others inherit, not an experiment. What is complete with the same
configuration is not run again (:mod:`da.study_runs`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.comments import CommentedMap

from da.atomic_file import replace_text
from da.borrowed_open_loop import source_folder
from da.config import Experiment
from da.errors import ThermodaError
from da.inheritance import INHERITS, to_yaml
from da.key_figures import Item, configuration_items
from da.storage import refuse_occupied
from da.stored_provenance import FILE, read_provenance
from da.yaml_source import YamlSource

BASE_PREFIX = "_"
"""Files whose names begin like this are inherited, not run."""

SUFFIXES = (".yaml", ".yml")
RUNS = Path("runs")
SHOWN_DIFFERENCES = 4
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
SET_BY_THE_STUDY = (("experiment", "name"), ("experiment", "output_folder"))
"""Keys that experiments of a study cannot have alike."""


@dataclass(frozen=True)
class ExperimentReader:
    """What only the composition root knows of experiments: their models.

    Parameters
    ----------
    validate : callable
        ``validate(source)`` returns the experiment of a file with all settings of its model; ThermodaError for any
        fault that needs no data to be seen.
    complete : callable
        ``complete(experiment)`` fills in the settings of an earlier experiment's model.
    """

    validate: Callable[[YamlSource], Experiment]
    complete: Callable[[Experiment], Experiment]


class State(StrEnum):
    """What a study finds of a run before it starts."""

    COMPLETE = "complete"
    WAITING = "to be run"
    OTHER = "to be replaced"


@dataclass(frozen=True)
class PlannedRun:
    """One experiment of a study.

    Parameters
    ----------
    file : Path
    experiment : Experiment
    state : State
    differences : tuple of str
        Between a complete run of that folder and this experiment.
    """

    file: Path
    experiment: Experiment
    state: State
    differences: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.experiment.experiment.name

    @property
    def folder(self) -> Path:
        """Folder of the run's results."""
        return self.experiment.experiment.output_folder


def study_files(folder: Path) -> list[Path]:
    """Return the experiment files of a folder by name, without those that are bases only.

    Raises
    ------
    ThermodaError
        If there is no such folder, or none in it.
    """
    if not folder.is_dir():
        raise ThermodaError(f"{folder} is not a folder; name one that holds experiment files")
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    found = [path for path in files if not path.name.startswith(BASE_PREFIX)]
    if not found:
        bases = f" but bases, whose names begin with '{BASE_PREFIX}'" if files else ""
        raise ThermodaError(f"{folder}: holds no experiment file (*.yaml){bases}")
    return found


@dataclass(frozen=True)
class LaidOver:
    """An experiment of a study with an overlay: its file, what stands in it, and the experiment.

    Parameters
    ----------
    file : Path
        In the folder of the results; not there yet.
    text : str
    experiment : Experiment
    """

    file: Path
    text: str
    experiment: Experiment


def overlay_name(folder: Path, overlay: Path, given: str | None) -> str:
    """Return the name of a study with an overlay: the given one, or those of folder and overlay together.

    Examples
    --------
    >>> overlay_name(Path("experiments/mine"), Path("experiments/mine/_reduced.yaml"), None)
    'mine_reduced'
    """
    name = f"{folder.resolve().name}_{overlay.stem.lstrip('_')}" if given is None else given
    if not NAME.fullmatch(name):
        raise ThermodaError(f"--name {name}: a name begins with a letter and holds letters, digits, '-' and '_' only")
    return name


def laid_over(
    sources: Sequence[YamlSource], overlay: YamlSource, name: str, reader: ExperimentReader
) -> list[LaidOver]:
    """Return the experiments of a study with a file laid over each, results in a folder of that name.

    Each one is a file of its own that inherits that of the study and holds what the overlay says; nothing is written.

    Raises
    ------
    ThermodaError
        For the first fault, with the line of the overlay or of the experiment, and the experiment.
    """
    for path in SET_BY_THE_STUDY:
        if isinstance(overlay.at(path[:1]), CommentedMap) and path[1] in overlay.at(path[:1]):
            raise overlay.error(path, "is that of each experiment of the study; leave it out, and see --name")
    folder, found = RUNS / name, []
    for source in sources:
        file = source.path
        try:
            own = reader.validate(source.under(overlay)).experiment.output_folder
        except ThermodaError as error:
            raise ThermodaError(f"{error} [with {overlay.path} over {file}]") from error
        section = CommentedMap(output_folder=str(folder / own.name))
        values = CommentedMap(overlay.root)
        values["experiment"] = CommentedMap(overlay.at(("experiment",))) | section
        experiment = reader.validate(source.with_values(values))
        base = os.path.relpath(file.resolve(), folder.resolve())
        text = to_yaml(CommentedMap({INHERITS: base}) | values, f"{overlay.path} over {file}")
        found.append(LaidOver(folder / file.name, text, experiment))
    return found


def write_laid_over(experiments: Sequence[LaidOver]) -> None:
    """Write the files of a study with an overlay, which :func:`study_files` finds again."""
    for one in experiments:
        try:
            one.file.parent.mkdir(parents=True, exist_ok=True)
            replace_text(one.file, one.text)
        except OSError as error:
            raise ThermodaError(f"{one.file}: cannot be written ({error.strerror})") from error


def in_order_of_need(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return the runs with each after that whose open loop it takes, otherwise in their order."""
    by_folder = {os.path.normpath(run.folder): run for run in runs}
    ordered: list[PlannedRun] = []

    def add(run: PlannedRun, above: tuple[PlannedRun, ...]) -> None:
        if run in above:
            raise ThermodaError(f"{run.file}: open_loop.from_run goes round in a circle")
        source = source_folder(run.experiment)
        needed = None if source is None else by_folder.get(str(source))
        if needed is not None:
            add(needed, (*above, run))
        if run not in ordered:
            ordered.append(run)

    for run in runs:
        add(run, ())
    return ordered


def plan(files: Sequence[tuple[Path, Experiment]], reader: ExperimentReader) -> list[PlannedRun]:
    """Return the runs of validated experiments, with what there is of each.

    Raises
    ------
    ThermodaError
        If two of them have the same name or folder, or a folder cannot be used.
    """
    for what in ("name", "output_folder"):
        seen: dict[Any, Path] = {}
        for file, experiment in files:
            value = getattr(experiment.experiment, what)
            if value in seen:
                raise ThermodaError(f"{file}: experiment.{what} {value} is that of {seen[value]} already")
            seen[value] = file
    return [planned(file, experiment, reader) for file, experiment in files]


def chosen(sources: Sequence[YamlSource], names: Sequence[str]) -> list[YamlSource]:
    """Return the experiments with these names, of experiments or files, or all; ThermodaError for one that none has."""
    titles = {source.path: str(source.at(("experiment", "name"))) for source in sources}
    known = {label: path for path, title in titles.items() for label in (path.name, path.stem, title)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(titles.values())}"
            raise ThermodaError(f"--only {name}: there is no such experiment; {hint}")
    wanted = {known[name] for name in names} if names else set(titles)
    return [source for source in sources if source.path in wanted]


def refuse_other_configurations(runs: Sequence[PlannedRun]) -> None:
    """Raise ThermodaError where a complete run of another configuration stands in the way."""
    others = [run for run in runs if run.state is State.OTHER]
    if not others:
        return
    first = others[0]
    shown = "; ".join(first.differences[:SHOWN_DIFFERENCES])
    more = len(first.differences) - SHOWN_DIFFERENCES
    shown += f"; and {more} more" if more > 0 else ""
    also = f" (and so are {', '.join(str(run.folder) for run in others[1:])})" if len(others) > 1 else ""
    raise ThermodaError(
        f"{first.folder}: is a complete run of another configuration than {first.file}: {shown}{also}; "
        "choose another experiment.output_folder or add --overwrite"
    )


def planned(file: Path, experiment: Experiment, reader: ExperimentReader) -> PlannedRun:
    """Return a run with what there is of it now; ThermodaError where its folder is of another kind."""
    final = experiment.experiment.output_folder
    refuse_occupied(final, overwrite=True)
    if not final.exists():
        return PlannedRun(file, experiment, State.WAITING)
    found = _differences(final, experiment, reader)
    return PlannedRun(file, experiment, State.OTHER if found else State.COMPLETE, found)


def provenance_of(folder: Path) -> dict[str, Any]:
    """Return what a complete run tells of itself."""
    try:
        return read_provenance(folder, "remove the folder")
    except FileNotFoundError as error:
        raise ThermodaError(f"{folder / FILE}: is missing; remove the folder") from error


def _differences(folder: Path, experiment: Experiment, reader: ExperimentReader) -> tuple[str, ...]:
    """Return the items in which a complete run differs from an experiment; keys new since then have their defaults."""
    try:
        stored = reader.complete(Experiment.model_validate(provenance_of(folder).get("configuration")))
    except ValidationError as error:
        fault = error.errors()[0]
        return (f"its configuration is no longer valid ({'.'.join(map(str, fault['loc']))}: {fault['msg']})",)
    there, here = configuration_items(stored), configuration_items(experiment)
    keys = [key for key in dict.fromkeys((*there, *here)) if there.get(key) != here.get(key)]
    return tuple(f"{key} is {_shown(there, key)} there and {_shown(here, key)} here" for key in keys)


def _shown(items: Mapping[str, Item], key: str) -> str:
    return str(items[key]) if key in items else "not given"
