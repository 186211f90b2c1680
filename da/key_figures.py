"""Key figures of many runs: one small netCDF file per run, and all of them together, to be compared with xarray.

A study's folder holds ``key_figures/<run>.nc``, written by whoever ran that run, and ``key_figures.nc``, collected from
them. Jobs that run at the same time therefore never write the same file but the collected one, which each replaces as a
whole until it holds every run that is there.

Dimensions are ``run``, ``satellite``, ``row`` (what is compared), ``group`` (which points), ``lead_time`` (of free
forecasts) and ``bound``; their labels are ``run_name`` and so on. The variables are those of a run's ``evaluation.nc``
that have these dimensions alone. Configuration items in which the runs differ are coordinates along ``run``:
``analysis_forgetting_factor`` is the key ``analysis.forgetting_factor``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from da.atomic_file import replacing
from da.config import Experiment
from da.errors import ThermodaError
from da.storage import CONVENTIONS
from da.stored_dataset import NUMBERS, TEXTS, require_variable, stored_dataset, stored_whole
from da.stored_json import parse_json
from da.stored_provenance import NAME
from da.verification.chunks import Scheduler, map_reduce

FOLDER = "key_figures"
FILE = "key_figures.nc"
LABELLED = ("satellite", "row", "group", "lead_time")
DIMENSIONS = {*LABELLED, "bound"}
GROUPS = ("all", "quiet", "storm")
REMEDY = "remove it and run the study again"
STORM_PHASE = "storm phase: "
NOT_COMPARED = ("experiment.output_folder", "experiment.reference", "expect", "restart")
"""Items that say nothing of what a run computes."""

Item = bool | int | float | str
Variable = tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]

RUN_VARIABLES = {
    "completion": {"units": "1", "long_name": "part of the experiment's analyses, or of its open loop, that was made"},
    "wall_time": {"units": "s", "long_name": "wall time of the run"},
    "outcome": {"long_name": "how the run ended"},
    "configuration": {"long_name": "resolved configuration, as JSON"},
}


@dataclass(frozen=True)
class RunRecord:
    """What is said of a run besides its scores.

    Parameters
    ----------
    name, outcome : str
    completion : float
        Part of its analyses that was made; 1 for a complete run.
    wall_time_s : float
        NaN where it is not known.
    configuration : dict
        Item by dotted key; see :func:`configuration_items`.
    swept : tuple of str
        Dotted keys that are coordinates of the collected file even where they do not differ.
    """

    name: str
    outcome: str
    completion: float
    wall_time_s: float
    configuration: Mapping[str, Item]
    swept: tuple[str, ...] = ()


def configuration_items(experiment: Experiment) -> dict[str, Item]:
    """Return what an experiment computes as values by dotted key; lists are JSON, what is not given is left out."""
    items: dict[str, Item] = {}

    def add(content: Mapping[str, Any], prefix: str) -> None:
        for name, value in content.items():
            key = f"{prefix}{name}"
            if key in NOT_COMPARED or value is None:
                continue
            if isinstance(value, dict):
                add(value, f"{key}.")
            else:
                items[key] = json.dumps(value) if isinstance(value, list) else value

    add(json.loads(experiment.model_dump_json()), "")
    return items


def run_figures(record: RunRecord, evaluation: xr.Dataset | None) -> xr.Dataset:
    """Return the key figures of one run.

    Parameters
    ----------
    record : RunRecord
    evaluation : Dataset or None
        Content of its ``evaluation.nc``; None for a run without.
    """
    text = json.dumps(dict(record.configuration))
    values = zip(RUN_VARIABLES, (record.completion, record.wall_time_s, record.outcome, text), strict=True)
    variables: dict[str, Any] = {name: ("run", [value], RUN_VARIABLES[name]) for name, value in values}
    coordinates: dict[str, Any] = {"run_name": ("run", [record.name], {"long_name": "run"})}
    if evaluation is not None:
        names = evaluation["group_name"].to_numpy().tolist()
        kept = [number for number, name in enumerate(names) if name in GROUPS or name.startswith(STORM_PHASE)]
        chosen = evaluation.isel(group=kept)
        for name, array in (*chosen.data_vars.items(), ("role", chosen["role"])):
            if array.dims and set(array.dims) <= DIMENSIONS:
                variables[str(name)] = (("run", *array.dims), array.to_numpy()[np.newaxis], dict(array.attrs))
        for dimension in (one for one in LABELLED if f"{one}_name" in chosen.coords):
            labels = chosen[f"{dimension}_name"]
            coordinates[f"{dimension}_name"] = (dimension, labels.to_numpy(), dict(labels.attrs))
    return xr.Dataset(variables, coordinates, {"swept": ", ".join(record.swept)})


def write_run_figures(folder: Path, figures: xr.Dataset) -> Path:
    """Write one run's key figures into the folder of a study and return the file's path.

    What a sweep varied stays noted where the run is recorded again outside it.
    """
    name = str(figures["run_name"].item())
    path = folder / FOLDER / f"{name}.nc"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not figures.attrs["swept"] and path.is_file():
        figures = figures.assign_attrs(swept=_read(path).attrs.get("swept", ""))
    _write_whole(figures.assign_attrs(title=f"key figures of run {name}"), path)
    return path


def collect(folder: Path, scheduler: Scheduler | None = None) -> xr.Dataset:
    """Return the key figures of all runs of a study, with its labels as indexes; reads the files of the single runs.

    Parameters
    ----------
    folder : Path
        Of the study.
    scheduler : Scheduler or None
        Where the files are read, with the same result (:func:`da.verification.chunks.map_reduce`).

    Examples
    --------
    ``collect(Path("runs/mine")).rms_log_ratio.sel(satellite_name="grace", row_name="forecast", group_name="all")`` is
    one number per run, in the order of ``run_name``.

    Raises
    ------
    ThermodaError
        If the folder holds no key figures, or a file cannot be read.
    """
    paths = _run_files(folder)
    if not paths:
        raise ThermodaError(f"{folder / FOLDER}: there are no key figures of any run; run the study first")
    none: tuple[xr.Dataset, ...] = ()
    parts = map_reduce(_read_one, [path.resolve() for path in paths], none, scheduler=scheduler)
    labels = {
        f"{name}_name": tuple(dict.fromkeys(label for one in parts for label in _labels(one, name)))
        for name in LABELLED
    }
    runs = [str(one["run_name"].item()) for one in parts]
    coordinates: dict[str, Any] = {
        "run_name": ("run", runs, {"long_name": "run"}),
        **{
            name: (name.removesuffix("_name"), list(values), _attributes_of(parts, name))
            for name, values in labels.items()
            if values
        },
        **_item_coordinates(parts),
    }
    title = f"key figures of {len(runs)} runs of {folder.name}"
    attributes = {"Conventions": CONVENTIONS, "title": title, "swept": ", ".join(_swept(parts))}
    whole = xr.Dataset(_joined(parts, labels), coordinates, attributes)
    for name in ("run_name", *(name for name, values in labels.items() if values)):
        whole = whole.set_xindex(name)
    return whole


def update(folder: Path, scheduler: Scheduler | None = None) -> xr.Dataset:
    """Write the collected file of a study and return its content.

    Where several jobs do this at once, the last one to replace the file looks for what came meanwhile and writes again,
    so that the file that stays holds every run.
    """
    while True:
        before = _state(folder)
        whole = collect(folder, scheduler)
        _write_whole(whole, folder / FILE)
        if _state(folder) == before:
            return whole


def _run_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / FOLDER).glob("*.nc") if not path.name.startswith("."))


def _state(folder: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.stat() for path in _run_files(folder)}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in found.items()}


def _read(path: Path) -> xr.Dataset:
    """Return the key figures of a run; ThermodaError where they are not what :func:`run_figures` gives."""
    with stored_dataset(path, REMEDY) as dataset:
        for name, variable in dataset.variables.items():
            kinds = TEXTS if variable.dtype.kind in TEXTS else NUMBERS
            require_variable(path, dataset, str(name), None, kinds, REMEDY)
        figures = stored_whole(path, dataset, REMEDY)
    fault = _fault(figures)
    if fault:
        raise ThermodaError(f"{path}: {fault}; {REMEDY}")
    return figures


def _fault(figures: xr.Dataset) -> str:
    """Return in which way a file does not hold the key figures of one run, or an empty string."""
    texts = ("run_name", "outcome", "configuration")
    for name in (*texts, *RUN_VARIABLES):
        if name not in figures.variables or figures[name].dims != ("run",):
            return f"has no {name} of a run"
        if (figures[name].dtype.kind in TEXTS) != (name in texts):
            return f"its {name} has the type {figures[name].dtype}"
    if not set(map(str, figures.dims)) <= {*DIMENSIONS, "run"} or figures.sizes["run"] != 1:
        return f"has the dimensions {dict(figures.sizes)}, which are not those of one run"
    if figures.sizes.get("bound", 2) != 2:
        return "an interval has two bounds"
    for name in (one for one in LABELLED if one in figures.dims):
        labels = figures[f"{name}_name"] if f"{name}_name" in figures.coords else None
        if labels is None or labels.dims != (name,) or np.unique(labels.to_numpy().astype(str)).size != labels.size:
            return f"has no distinct {name}_name"
    if wrong := [str(name) for name, one in figures.data_vars.items() if one.dims[:1] != ("run",)]:
        return f"{wrong[0]} is not of a run"
    if not NAME.fullmatch(str(figures["run_name"].item())):
        return "run_name is no name"
    try:
        items = parse_json(str(figures["configuration"].item()))
    except ValueError as error:
        return f"its configuration cannot be read as JSON ({error})"
    if not isinstance(items, dict) or not all(isinstance(one, (bool, int, float, str)) for one in items.values()):
        return "its configuration does not hold values by key"
    return ""


def _read_one(path: Path) -> tuple[xr.Dataset, ...]:
    return (_read(path),)


def _labels(part: xr.Dataset, dimension: str) -> list[str]:
    name = f"{dimension}_name"
    return [str(label) for label in part[name].to_numpy()] if name in part.coords else []


def _attributes_of(parts: Sequence[xr.Dataset], name: str) -> dict[str, Any]:
    return next(dict(one[name].attrs) for one in parts if name in one.variables)


def _joined(parts: Sequence[xr.Dataset], labels: Mapping[str, tuple[str, ...]]) -> dict[str, Variable]:
    """Return every variable of any run over all labels; missing is NaN, or no text."""
    place = {name: {label: number for number, label in enumerate(values)} for name, values in labels.items()}
    found: dict[str, Variable] = {}
    for name in dict.fromkeys(str(name) for one in parts for name in one.data_vars):
        given = [(number, one[name]) for number, one in enumerate(parts) if name in one.data_vars]
        dims = tuple(str(dimension) for dimension in given[0][1].dims)
        text = given[0][1].dtype.kind in "OUS"
        sizes = [len(place[f"{one}_name"]) if one in LABELLED else given[0][1].sizes[one] for one in dims[1:]]
        whole = np.full((len(parts), *sizes), "" if text else np.nan, dtype=object if text else np.float64)
        for number, array in given:
            index = [
                [place[f"{one}_name"][label] for label in _labels(parts[number], one)]
                if one in LABELLED
                else list(range(array.sizes[one]))
                for one in dims[1:]
            ]
            whole[np.ix_([number], *index)] = array.to_numpy()
        found[name] = (dims, whole, dict(given[0][1].attrs))
    return found


def _swept(parts: Sequence[xr.Dataset]) -> list[str]:
    """Return the dotted keys that any run says were swept."""
    return [
        key for key in dict.fromkeys(key for one in parts for key in str(one.attrs.get("swept", "")).split(", ")) if key
    ]


def belongs_to(key: str, keys: Sequence[str]) -> bool:
    """Return whether a dotted key is one of others, or lies in a section that is."""
    return any(key == one or key.startswith(f"{one}.") for one in keys)


def _item_coordinates(parts: Sequence[xr.Dataset]) -> dict[str, Variable]:
    """Return the configuration items that differ between runs, and those that were swept, along ``run``."""
    items = [json.loads(str(one["configuration"].item())) for one in parts]
    swept = _swept(parts)
    found: dict[str, Variable] = {}
    for key in dict.fromkeys(key for one in items for key in one):
        values = [one.get(key) for one in items]
        if key != "experiment.name" and (belongs_to(key, swept) or any(value != values[0] for value in values)):
            found[key.replace(".", "_")] = (("run",), _as_array(values), {"long_name": key})
    return found


def _as_array(values: Sequence[Item | None]) -> NDArray[Any]:
    """Return numbers with NaN for what is missing, or texts with an empty one for it."""
    numbers = [_as_number(value) for value in values]
    if None not in numbers:
        return np.array(numbers, dtype=np.float64)
    texts = ["" if one is None else one if isinstance(one, str) else json.dumps(one) for one in values]
    return np.array(texts, dtype=object)


def _as_number(value: Item | None) -> float | None:
    if value is None:
        return np.nan
    if value in ("Infinity", "-Infinity", "NaN"):
        return float(value)
    return None if isinstance(value, (bool, str)) else float(value)


def _write_whole(data: xr.Dataset, path: Path) -> None:
    """Write a netCDF file that appears under its name only when it is whole, whoever else writes it."""
    encoding: dict[str, Any] = {str(name): {"_FillValue": None} for name in data.variables}
    for name, array in data.data_vars.items():
        if array.dtype.kind == "f":
            encoding[str(name)] = {"_FillValue": np.nan}
    try:
        with replacing(path) as partial:
            data.assign_attrs(Conventions=CONVENTIONS).to_netcdf(partial, engine="netcdf4", encoding=encoding)
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be written ({error})") from error
