"""How many members run together: bounded by the settings and by what the batch system has granted.

The model's processes of all our ranks together, ``our ranks x at once x ranks``, are not to outnumber the processors of
a Slurm job. Two ways to start are meant:

- The batch script starts this program without ``srun``, on one or a few ranks, and members are job steps:
  ``command: [srun, --exact, -n, "{ranks}", "{executable}", "{namelist}"]``. With ``--exact`` a step takes only the
  processors that it asks for, and one that finds none free waits; the time-out counts the waiting.
- The batch script starts this program by ``srun``. Its own step then holds processors, and members' steps must be
  allowed to share them: ``[srun, --overlap, --exact, ...]``. Our ranks sit idle meanwhile, but Slurm may put several
  such steps on the same processors; the first way is the safer one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from da.errors import ThermodaError
from model_adapters.tiegcm.launcher_settings import LauncherSettings

CPUS_PER_NODE = "SLURM_JOB_CPUS_PER_NODE"

_GROUP = re.compile(r"(\d+)(?:\(x(\d+)\))?")


def allocated_processors(base: Mapping[str, str]) -> int | None:
    """Return the processors of the Slurm job that this process belongs to, or None outside of one.

    >>> allocated_processors({"SLURM_JOB_CPUS_PER_NODE": "16(x2),8"})
    40

    Raises
    ------
    ThermodaError
        If ``SLURM_JOB_CPUS_PER_NODE`` cannot be read.
    """
    text = base.get(CPUS_PER_NODE)
    if text is None:
        return None
    groups = [_GROUP.fullmatch(part.strip()) for part in text.split(",")]
    counts = [int(group[1]) * int(group[2] or 1) for group in groups if group is not None]
    if len(counts) < len(groups):
        raise ThermodaError(f"{CPUS_PER_NODE}={text}: cannot be read; a list like 16(x2),8 is expected")
    return sum(counts)


def members_at_once(settings: LauncherSettings, our_ranks: int, base: Mapping[str, str]) -> int:
    """Return how many members each of our ranks may run together.

    ``at_once`` of the settings, but within a Slurm job no more than its processors hold. Outside of one nothing tells
    what is ours, and the default is one.

    Parameters
    ----------
    settings : LauncherSettings
    our_ranks : int
        Number of our MPI processes, each of which runs members.
    base : mapping
        Environment of this process.

    Raises
    ------
    ThermodaError
        If the Slurm job does not hold one member for each of our ranks.
    """
    granted = allocated_processors(base)
    if granted is None:
        return settings.at_once or 1
    fitting = granted // (our_ranks * settings.ranks)
    if fitting == 0:
        raise ThermodaError(
            f"launcher.ranks: {our_ranks} of our ranks with a member of {settings.ranks} ranks each need "
            f"{our_ranks * settings.ranks} processors; the Slurm job has {granted}"
        )
    return min(settings.at_once or fitting, fitting)
