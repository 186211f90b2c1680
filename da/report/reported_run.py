"""One run as a report sees it: what its folder says of it, and its evaluation or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from da.errors import ThermodaError
from da.stored_provenance import read_provenance
from da.verification import EvaluationDetails, details, evaluate

_MARKS = ("provenance.json", "experiment.yaml")


@dataclass(frozen=True)
class ReportedRun:
    """A run of a report.

    Parameters
    ----------
    label : str
        Its name, different from those of the other runs of the report.
    folder : Path
    provenance : dict
        Content of ``provenance.json``; empty where there is none.
    details : EvaluationDetails or None
        None where it could not be evaluated.
    gaps : tuple of str
        What is missing, in words.
    """

    label: str
    folder: Path
    provenance: Mapping[str, Any]
    details: EvaluationDetails | None
    gaps: tuple[str, ...]


def read_runs(folders: Sequence[Path]) -> list[ReportedRun]:
    """Return the runs of some folders, in their order.

    Raises
    ------
    ThermodaError
        If a folder is not that of a run, or is named twice.
    """
    for number, folder in enumerate(folders):
        _require_run(folder)
        if folder.resolve() in [other.resolve() for other in folders[:number]]:
            raise ThermodaError(f"{folder}: is named twice; name every run once")
    contents = [_provenance(folder) for folder in folders]
    names = [str(content.get("name", folder.name)) for folder, (content, _) in zip(folders, contents, strict=True)]
    labels = _distinct(names, folders)
    return [
        _read(label, folder, content, gaps)
        for label, folder, (content, gaps) in zip(labels, folders, contents, strict=True)
    ]


def _require_run(folder: Path) -> None:
    if not folder.is_dir():
        raise ThermodaError(f"{folder}: is not a folder; name the folder of a run")
    if not any((folder / mark).is_file() for mark in _MARKS):
        raise ThermodaError(f"{folder}: is not the folder of a run; it has neither {' nor '.join(_MARKS)}")


def _provenance(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        return read_provenance(folder, "repeat the run"), ()
    except FileNotFoundError:
        return {}, ("provenance.json is missing: the run is not complete",)
    except ThermodaError as error:
        return {}, (str(error),)


def _distinct(names: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Return the names, followed by the folder where several runs have one name, and by a number where that is so."""
    named = [
        name if names.count(name) == 1 else f"{name} ({folder.name})"
        for name, folder in zip(names, folders, strict=True)
    ]
    return [
        name if named.count(name) == 1 else f"{name} {named[: number + 1].count(name)}"
        for number, name in enumerate(named)
    ]


def _read(label: str, folder: Path, provenance: dict[str, Any], gaps: tuple[str, ...]) -> ReportedRun:
    missing = tuple(
        f"track_{name}.nc is missing: nothing is said along {name}"
        for name in provenance.get("satellites", [])
        if not (folder / f"track_{name}.nc").is_file()
    )
    if gaps:
        return ReportedRun(label, folder, provenance, None, (*gaps, *missing))
    try:
        evaluated = details(evaluate(folder, without_missing_tracks=True), folder)
    except ThermodaError as error:
        return ReportedRun(label, folder, provenance, None, (*missing, f"it could not be evaluated: {error}"))
    return ReportedRun(label, folder, provenance, evaluated, missing)
