"""From an unfinished run to what goes on with it: the restart point that fits, and the story of its interruptions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from da.config import Experiment
from da.cycle import MemberForecasts
from da.errors import ThermodaError
from da.interruptions import interruption, interruptions
from da.parallel import Communicator, from_root
from da.restart import RestartWriter, Restored, newest_description, restored
from da.restart_description import RunDescription
from da.restart_file import RestartFolder
from da.run_lock import holder_of, is_held
from da.storage import RESTART_NAME, partial_path


@dataclass(frozen=True)
class Resumption:
    """How a run is gone on with.

    Parameters
    ----------
    restored : Restored or None
        None: from the begin, as it was interrupted before its first restart point.
    files : dict of path -> SHA-256 or None
        The files of the experiment when it was begun.
    interruptions : list of dict
        This one included.
    """

    restored: Restored | None
    files: Mapping[str, str] | None
    interruptions: Sequence[dict[str, Any]]


def restart_folder(experiment: Experiment) -> RestartFolder:
    """Return where the restart points of an unfinished run are."""
    return RestartFolder(partial_path(experiment.experiment.output_folder) / RESTART_NAME)


def restart_writer(comm: Communicator, experiment: Experiment, description: RunDescription) -> RestartWriter:
    """Return what writes the restart points of a run."""
    section = experiment.restart
    interval = np.timedelta64(round(3.6e12 * experiment.analysis.interval_h * section.every), "ns")
    return RestartWriter(comm, restart_folder(experiment), description, interval, section.keep)


def resumed(
    comm: Communicator, experiment: Experiment, forecasts: MemberForecasts, description: RunDescription
) -> Resumption:
    """Return how the unfinished run of an experiment is gone on with; called on all ranks.

    Another configuration or changed input files are refused. Other code is not, as what interrupted a run may have been
    mended; the differences are logged as warnings and noted.

    Raises
    ------
    ThermodaError
        On all ranks, if there is nothing to go on with, or it belongs to another run, or cannot be read.
    """
    partial, folder = partial_path(experiment.experiment.output_folder), restart_folder(experiment)

    def checked() -> tuple[dict[str, str] | None, list[str]]:
        if not partial.is_dir():
            raise ThermodaError(f"{partial}: there is no unfinished run")
        if is_held(partial):
            raise ThermodaError(f"{partial}: another run is writing there ({holder_of(partial)}); wait for it")
        stored = newest_description(folder)
        if stored is None:
            return None, []
        return stored["files"], description.refuse_other(stored, str(folder.path))

    files, other_code = from_root(comm, checked)
    if comm.rank == 0:
        for difference in other_code:
            logging.getLogger(__name__).warning("%s: the code has changed: %s", folder.path, difference)
    found = restored(comm, folder, forecasts)
    story = from_root(comm, lambda: [*interruptions(partial), interruption(found, comm.size, other_code)])
    return Resumption(found, files, story)
