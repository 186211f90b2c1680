"""The open loop of another run in place of a run's own: it does not depend on what is assimilated.

A study of many set-ups of the analysis makes one open loop. Its file becomes a part of every run that takes it (a
second name of the same file where the file system has such names, else a copy), so that each run is whole by itself.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from da.config import Experiment
from da.errors import ThermodaError
from da.stored_provenance import read_provenance

FILE = "open_loop.nc"
DECIDING = ("drivers", "model", "ensemble", "output")
"""Sections that an open loop depends on, or that its file shows."""
DECIDING_KEYS = {
    "experiment": ("start", "stop", "seed"),
    "calibration": ("msis_version", "geomagnetic_activity"),
    "data_grid": (
        "longitude_step_deg",
        "latitude_step_deg",
        "latitude_limit_deg",
        "altitude_min_km",
        "altitude_max_km",
        "altitude_step_km",
    ),
}
SHOWN = 3


@dataclass(frozen=True)
class BorrowedOpenLoop:
    """The run whose open loop is taken.

    Parameters
    ----------
    folder : Path
    name : str
        Of the run.
    """

    folder: Path
    name: str

    def put_into(self, folder: Path) -> None:
        """Make the file a part of another run; OSError where that fails."""
        source, target = self.folder / FILE, folder / FILE
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def source_folder(experiment: Experiment) -> Path | None:
    """Return the folder of the run whose open loop an experiment takes, None where it makes its own."""
    given = experiment.open_loop.from_run
    return None if given is None else Path(os.path.normpath(experiment.experiment.output_folder / given))


def borrowed_open_loop(experiment: Experiment) -> BorrowedOpenLoop | None:
    """Return the run whose open loop an experiment takes, None where it makes its own.

    Raises
    ------
    ThermodaError
        If that run is not complete, or another open loop would come of this experiment.
    """
    folder = source_folder(experiment)
    if folder is None:
        return None
    where = f"open_loop.from_run: {folder}"
    try:
        content = read_provenance(folder, "repeat that run")
        there, name = _deciding(content["configuration"]), str(content["name"])
    except FileNotFoundError:
        raise ThermodaError(f"{where}: is not a complete run; run that experiment first") from None
    except ThermodaError as error:
        raise ThermodaError(f"open_loop.from_run: {error}") from error
    except KeyError as error:
        raise ThermodaError(f"{where}: its provenance.json has no {error}; repeat that run") from error
    if not (folder / FILE).is_file():
        raise ThermodaError(f"{where}: has no {FILE}; repeat that run")
    here = _deciding(json.loads(experiment.model_dump_json()))
    differing = [key for key in dict.fromkeys((*there, *here)) if there.get(key) != here.get(key)]
    if differing:
        shown = "; ".join(f"{key} is {there.get(key)} there and {here.get(key)} here" for key in differing[:SHOWN])
        more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise ThermodaError(f"{where}: has another open loop than this experiment: {shown}{more}")
    return BorrowedOpenLoop(folder, name)


def _deciding(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an open loop depends on, by dotted key."""
    found: dict[str, Any] = {}
    for section in dict.fromkeys((*DECIDING, *DECIDING_KEYS)):
        content = configuration.get(section) or {}
        kept = DECIDING_KEYS.get(section, tuple(content))
        found |= _flat({key: content.get(key) for key in kept}, f"{section}.")
    return found


def _flat(content: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
