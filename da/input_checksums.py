"""Versions and checksums of all files that a run reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from da.borrowed_open_loop import FILE as OPEN_LOOP_FILE
from da.borrowed_open_loop import source_folder
from da.checksums import file_checksum
from da.config import Experiment
from da.drivers.space_weather_table import shipped_tables
from da.errors import ThermodaError
from da.model import ForecastModel, ReadsFiles
from da.preparation import resolve_files

PACKAGE = Path(__file__).resolve().parent
CODE_FOLDERS = (PACKAGE, PACKAGE.parent / "model_adapters")


def input_files(experiment: Experiment, model: ForecastModel) -> dict[str, list[Path]]:
    """Return the files that a run reads, by the key of the configuration that names them.

    Raises
    ------
    ThermodaError
        If a pattern names no file.
    """
    drivers, analysis = experiment.drivers, experiment.analysis
    found: dict[str, list[Path]] = {
        "drivers.table": shipped_tables() if drivers.table is None else [drivers.table],
        "drivers.solar_wind": resolve_files(drivers.solar_wind, "drivers.solar_wind"),
        "drivers.hemispheric_power": resolve_files(drivers.hemispheric_power, "drivers.hemispheric_power"),
    }
    for name, section in experiment.satellites.items():
        key = f"satellites.{name}.files"
        found[key] = resolve_files(section.files, key)
        if section.synthetic is not None and section.synthetic.two_line_elements_file is not None:
            key = f"satellites.{name}.synthetic.two_line_elements_file"
            found[key] = resolve_files((str(section.synthetic.two_line_elements_file),), key)
    if analysis.adaptive_inflation is not None and analysis.adaptive_inflation.restart_file is not None:
        found["analysis.adaptive_inflation.restart_file"] = [analysis.adaptive_inflation.restart_file]
    if analysis.additive_inflation is not None:
        found["analysis.additive_inflation.file"] = [analysis.additive_inflation.file]
    if (source := source_folder(experiment)) is not None:
        found["open_loop.from_run"] = [source / OPEN_LOOP_FILE]
    if isinstance(model, ReadsFiles):
        found["model.settings"] = list(model.files_read)
    return {key: files for key, files in found.items() if files}


def input_checksums(experiment: Experiment, model: ForecastModel) -> dict[str, dict[str, str]]:
    """Return the SHA-256 of every file that a run reads, by key and path.

    Raises
    ------
    ThermodaError
        If a file cannot be read.
    """
    try:
        return {
            key: {str(path): file_checksum(path) for path in files}
            for key, files in input_files(experiment, model).items()
        }
    except OSError as error:
        raise ThermodaError(f"{error.filename}: cannot be read ({error.strerror})") from error


def code_checksum() -> str:
    """Return the SHA-256 of the source of this package and the adapters: another one may compute other numbers."""
    whole = hashlib.sha256()
    for folder in CODE_FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            whole.update(f"{path.relative_to(folder.parent)}\0".encode())
            whole.update(path.read_bytes() + b"\0")
    return whole.hexdigest()


def changed_inputs(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what differs between two sets of checksums, a phrase each; files are known by key and name.

    >>> changed_inputs({"drivers.table": {"a/x.csv": "1"}}, {"drivers.table": {"b/x.csv": "2"}})
    ['drivers.table: x.csv has another content']
    """
    told = []
    for key in dict.fromkeys((*before, *now)):
        there, here = (
            [(Path(path).name, checksum) for path, checksum in one.get(key, {}).items()] for one in (before, now)
        )
        if there == here:
            continue
        names, present = [name for name, _ in there], [name for name, _ in here]
        if names != present:
            told.append(f"{key}: the files were {', '.join(names) or 'none'} and are {', '.join(present) or 'none'}")
            continue
        told += [f"{key}: {one[0]} has another content" for one, other in zip(there, here, strict=True) if one != other]
    return told
