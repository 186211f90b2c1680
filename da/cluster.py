"""Dask clusters for post-processing: of this machine by default, or of jobs of a Slurm cluster by a YAML file.

What is computed does not depend on the cluster (:func:`da.verification.chunks.map_reduce`). The packages of the extra
``cluster`` are needed here and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from da.config_section import Section
from da.errors import ThermodaError
from da.yaml_source import YamlSource

if TYPE_CHECKING:
    from da.verification.chunks import ClusterClient

FORMS = "local, local:WORKERS or slurm:FILE"
GRAPH_LIMIT = "1GB"
"""Size of a graph above which dask warns; points of tracks travel to the workers in it, and are meant to."""

DASHBOARD = "127.0.0.1:0"
"""Any free port, not to be reached from other machines."""


class SlurmClusterSettings(Section):
    """What a site must say of the Slurm jobs in which dask workers run."""

    partition: str | None = Field(None, description="Partition (--partition); default: that of the site")
    account: str | None = Field(None, description="Account (--account); default: that of the user")
    jobs: int = Field(1, ge=1, description="Jobs that are submitted, each with workers of its own")
    workers_per_job: int = Field(1, ge=1, description="Processes of a job, a core each")
    memory_per_job: str = Field("4GiB", pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$", description="Memory of a job, as 4GiB")
    time_limit: str = Field(
        "01:00:00",
        pattern=r"^(\d+-)?\d{1,2}:\d{2}:\d{2}$",
        description="Longest time of a job, as [D-]HH:MM:SS",
    )
    interface: str | None = Field(None, description="Network interface of the nodes, such as ib0")
    directives: tuple[str, ...] = Field((), description="Further #SBATCH options, such as --constraint=haswell")
    prologue: tuple[str, ...] = Field((), description="Lines of the job before the worker starts, such as module loads")
    local_directory: Path | None = Field(None, description="Folder of the workers' temporary files, on the node itself")
    log_folder: Path | None = Field(None, description="Folder of the jobs' outputs; default: the working directory")


@contextmanager
def open_cluster(description: str | None) -> Iterator[ClusterClient | None]:
    """Yield the client of a cluster, which is there until the body ends; None without a description.

    Parameters
    ----------
    description : str or None
        ``local``: a worker process for each processor of this machine; ``local:3``: three of them; ``slurm:FILE``:
        Slurm jobs with the settings of a YAML file (:class:`SlurmClusterSettings`).

    Raises
    ------
    ThermodaError
        If the description or the file is wrong, or dask's packages for clusters are not installed.
    """
    if description is None:
        yield None
        return
    kind, _, rest = description.partition(":")
    if kind == "local" and (not rest or (rest.isdigit() and int(rest) > 0)):
        with connected(_local(int(rest or len(os.sched_getaffinity(0))))) as client:
            yield client
    elif kind == "slurm" and rest:
        with connected(_slurm(YamlSource.read(Path(rest)).validate(SlurmClusterSettings))) as client:
            yield client
    else:
        raise ThermodaError(f"--cluster {description}: must be {FORMS}")


@contextmanager
def connected(cluster: Any) -> Iterator[ClusterClient]:
    """Yield a client of a cluster of dask; cluster and client are closed when the body ends."""
    import dask
    from distributed import Client

    limit = {"distributed.admin.large-graph-warning-threshold": GRAPH_LIMIT}
    with cluster, dask.config.set(limit), Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        yield client


def _local(workers: int) -> Any:
    try:
        from distributed import LocalCluster
    except ImportError as error:
        raise _not_installed("distributed") from error
    # Processes, for netCDF files are read under one lock per process.
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": DASHBOARD}
    return LocalCluster(n_workers=workers, **options)  # type: ignore[no-untyped-call]


def _slurm(settings: SlurmClusterSettings) -> Any:
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError as error:
        raise _not_installed("dask_jobqueue") from error
    try:
        cluster = SLURMCluster(**_slurm_options(settings))
    except (OSError, ValueError) as error:
        raise ThermodaError(f"--cluster slurm: dask cannot set up its jobs ({error})") from error
    cluster.scale(jobs=settings.jobs)  # type: ignore[no-untyped-call]
    return cluster


def _slurm_options(settings: SlurmClusterSettings) -> dict[str, Any]:
    """Return the settings as dask-jobqueue has them."""
    options: dict[str, Any] = {
        "queue": settings.partition,
        "account": settings.account,
        "cores": settings.workers_per_job,
        "processes": settings.workers_per_job,
        "memory": settings.memory_per_job,
        "walltime": settings.time_limit,
        "interface": settings.interface,
        "job_extra_directives": list(settings.directives),
        "job_script_prologue": list(settings.prologue),
        "local_directory": None if settings.local_directory is None else str(settings.local_directory),
        "log_directory": None if settings.log_folder is None else str(settings.log_folder),
        "scheduler_options": {"dashboard_address": DASHBOARD},
    }
    return {name: value for name, value in options.items() if value is not None}


def _not_installed(package: str) -> ThermodaError:
    return ThermodaError(f"--cluster: there is no package {package}; install it with pip install 'thermoda[cluster]'")
