"""Post-processing by dask workers in Slurm jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

pytestmark = pytest.mark.slurm

REPOSITORY = Path(__file__).resolve().parents[2]


def test_that_workers_in_jobs_give_bitwise_what_one_process_gives(
    slurm: Any, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("dask_jobqueue", reason="the extra 'cluster' is not installed")
    file = tiny_experiment(experiment={"stop": "2010-04-05T03:00:00Z"})
    assert command_line("run", file).status == 0
    run = tmp_path / "runs" / "tiny"
    found = {}
    settings = tmp_path / "slurm.yaml"
    settings.write_text(
        f'jobs: 2\nmemory_per_job: 1GiB\ntime_limit: "00:05:00"\ninterface: lo\nlog_folder: {tmp_path}/logs\n',
        encoding="utf-8",
    )
    for name, options in {"serial": (), "jobs": ("--cluster", f"slurm:{settings}")}.items():
        for command in (("evaluate", run, "--no-figures"), ("density", run, "--step-deg", 30)):
            arguments = (sys.executable, "-m", "da", *command, *options)
            slurm.command(*arguments, folder=tmp_path, PYTHONPATH=str(REPOSITORY), limit_s=300.0)
        found[name] = [xr.load_dataset(run / f"{kind}.nc") for kind in ("evaluation", "density_statistics")]
    assert all(one.identical(other) for one, other in zip(found["serial"], found["jobs"], strict=True))
    jobs = [line for line in slurm.command("scontrol", "-o", "show", "job").splitlines() if "dask-worker" in line]
    # Two for each of the two commands; one that was still waiting for its turn is cancelled with the others.
    assert len(jobs) == 4
    assert list((tmp_path / "logs").iterdir())
