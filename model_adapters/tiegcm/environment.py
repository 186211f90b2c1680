"""The environment of a member: that of this process without what our own MPI and our own Slurm step put into it.

A launcher that finds the variables by which another one tells its processes who they are takes itself for one of them:
``mpirun`` under ``mpirun`` hangs, joins the wrong run, or starts all processes as rank 0. What is left out here and
needed nevertheless can be given in the settings, which have the last word.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path

OWN_MPI = (
    *("OMPI_", "OPAL_", "ORTE_", "PRTE_", "PRRTE_"),
    *("PMIX_", "PMI_", "PMI2_", "MPI_", "HYDRA_", "HYDI_", "I_MPI_", "PALS_"),
)
"""Prefixes of what Open MPI (first line), PMI, MPICH, Intel MPI and Cray's launcher tell the processes they start."""

INSTALLATION = frozenset(
    ("I_MPI_ROOT", "MPI_HOME", "MPI_ROOT", "OPAL_PREFIX", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
)
"""Where an MPI is installed and what it may do: said by modules and users, not by a launcher."""

OWN_SLURM_TASK = (
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_GTIDS",
    "SLURM_TASK_PID",
    "SLURM_STEP",
    "SLURM_LAUNCH_",
    "SLURM_SRUN_COMM_",
    "SLURM_CPU_BIND",
    "SLURM_MEM_BIND",
    "SLURM_DISTRIBUTION",
    "SLURM_EXACT",
    "SLURM_OVERLAP",
    "SLURM_PMI",
    "SBATCH_CPU_BIND",
)
"""Prefixes of what describes the step and the task that we are. What describes the job stays: srun finds it by that."""

MARK = "THERMODA_MEMBER_RUN"
"""Variable that marks every process of one run of one member, so that none is left behind."""


def member_environment(
    base: Mapping[str, str],
    extra: Mapping[str, str],
    data_folder: Path | None,
    mark: str,
) -> dict[str, str]:
    """Return the environment in which a member is started.

    Parameters
    ----------
    base : mapping
        Environment of this process.
    extra : mapping
        Variables of the settings; they replace those of ``base`` and may bring back what is left out.
    data_folder : Path or None
        ``TGCMDATA``; None leaves it as it is.
    mark : str
        Value of ``THERMODA_MEMBER_RUN``.
    """
    result = {name: value for name, value in base.items() if not _is_own(name)}
    # Without LOGNAME the model stops before it begins, and batch systems do not always set it.
    result["LOGNAME"] = base.get("LOGNAME") or base.get("USER") or _user_name()
    result["GFORTRAN_UNBUFFERED_ALL"] = "1"
    if data_folder is not None:
        result["TGCMDATA"] = str(data_folder.absolute())
    return {**result, **extra, MARK: mark}


def _is_own(name: str) -> bool:
    if name in INSTALLATION:
        return False
    return name.startswith((*OWN_MPI, *OWN_SLURM_TASK))


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run a user id that has no name; the model only wants a word.
        return "thermoda"
