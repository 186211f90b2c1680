"""The job scripts on a Slurm cluster of this machine: what they start ends, is requeued, goes on and is complete."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

pytestmark = pytest.mark.slurm

LIMIT_S = 300.0
CHAIN_LIMIT_S = 1500.0
WriteExperiment = Callable[..., Path]


def provenance(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    return content


def show(job: dict[str, str], log: Path) -> None:
    """Print what becomes part of the report of a failing test."""
    names = ("JobId", "ArrayTaskId", "JobState", "ExitCode", "Restarts", "RunTime", "TimeLimit")
    print({name: job[name] for name in names if name in job}, log.read_text(encoding="utf-8"), sep="\n")  # noqa: T201


@pytest.mark.parametrize("launch", ["srun --mpi=pmi2 --wait=60", "mpiexec"])
def test_that_a_job_runs_an_experiment_on_its_ranks(
    slurm: Any, tiny_experiment: WriteExperiment, tmp_path: Path, launch: str
) -> None:
    file = tiny_experiment()
    options = ("--ntasks=2", "--time=10", "--output=log")
    number = slurm.submit(tmp_path, "run.sh", file, options=options, THERMODA_LAUNCH=launch)
    (job,) = slurm.ended(number, LIMIT_S)
    show(job, tmp_path / "log")
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("COMPLETED", "0:0", "0")
    assert provenance(tmp_path / "runs" / "tiny")["ranks"] == 2


def test_that_processes_that_do_not_see_each_other_are_refused(
    slurm: Any, tiny_experiment: WriteExperiment, tmp_path: Path
) -> None:
    options = ("--ntasks=2", "--time=10", "--output=log")
    number = slurm.submit(tmp_path, "run.sh", tiny_experiment(), options=options, THERMODA_LAUNCH="srun --mpi=none")
    (job,) = slurm.ended(number, LIMIT_S)
    show(job, tmp_path / "log")
    assert (job["JobState"], job["ExitCode"]) == ("FAILED", "2:0")
    assert "the launcher started 2 processes but the MPI library in use" in (tmp_path / "log").read_text()
    assert not (tmp_path / "runs").exists()


def test_that_a_fault_of_the_experiment_ends_the_job_without_another_try(
    slurm: Any, tiny_experiment: WriteExperiment, tmp_path: Path
) -> None:
    file = tiny_experiment(ensemble={"member": 3})
    number = slurm.submit(tmp_path, "restart_chain.sh", file, options=("--ntasks=2", "--time=10", "--output=log"))
    (job,) = slurm.ended(number, LIMIT_S)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "2:0", "0")
    assert "ensemble.member: not a key; did you mean members?" in (tmp_path / "log").read_text()


def test_that_an_array_makes_the_runs_of_a_sweep_and_their_key_figures(
    slurm: Any,
    tiny_experiment: WriteExperiment,
    tmp_path: Path,
    command_line: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tiny_experiment(experiment={"stop": "2010-04-05T03:00:00Z"})
    monkeypatch.chdir(tmp_path)
    axis = ("--set", "analysis.forgetting_factor=0.8,0.9,1.0")
    written = command_line("sweep", file, "--name", "factors", *axis, "--files-only")
    assert written.out == "written: 3 files in runs/factors\n"
    options = ("--array=0-2%2", "--ntasks=2", "--time=10", "--output=log-%a")
    number = slurm.submit(tmp_path, "sweep.sh", "runs/factors", options=options)
    jobs = slurm.ended(number, 2 * LIMIT_S)
    for job in jobs:
        show(job, tmp_path / f"log-{job['ArrayTaskId']}")
    assert sorted(job["ArrayTaskId"] for job in jobs) == ["0", "1", "2"]
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    with xr.open_dataset(tmp_path / "runs" / "factors" / "key_figures.nc") as figures:
        assert figures["outcome"].to_numpy().tolist() == ["complete"] * 3
        np.testing.assert_array_equal(figures["analysis_forgetting_factor"], [0.8, 0.9, 1.0])
        assert np.all(np.isfinite(figures["rms_log_ratio"].isel(group=0)))


def test_that_a_run_stopped_at_the_time_limit_requeues_itself_goes_on_and_is_that_of_one_job(
    slurm: Any, tiny_experiment: WriteExperiment, tmp_path: Path
) -> None:
    def long(name: str) -> Path:
        # 97 cycles of two forecasts that take half a second more. Slurm sends the signal up to a minute early: after
        # 30 to 90 s of a job of two minutes.
        times = {"start": "2010-04-01T00:00:00Z", "stop": "2010-04-05T00:00:00Z"}
        section = {"experiment": {**times, "output_folder": str(tmp_path / "runs" / name)}}
        return tiny_experiment(**section, output={"interval_min": 60}).rename(tmp_path / f"{name}.yaml")

    slowly = f"srun --mpi=pmi2 --wait=10 python {Path(__file__).with_name('slowly.py')}"
    options = ("--ntasks=2", "--time=2", "--signal=B:USR1@30", "--output=chain.log")
    chain = slurm.submit(tmp_path, "restart_chain.sh", long("chain"), options=options, THERMODA_LAUNCH=slowly)
    options = ("--ntasks=2", "--time=40", "--output=whole.log")
    whole = slurm.submit(tmp_path, "run.sh", long("whole"), options=options)
    (chained,), (at_once,) = (slurm.ended(number, CHAIN_LIMIT_S) for number in (chain, whole))
    show(chained, tmp_path / "chain.log")
    show(at_once, tmp_path / "whole.log")
    assert (chained["JobState"], at_once["JobState"]) == ("COMPLETED", "COMPLETED")
    assert int(chained["Restarts"]) >= 1
    assert "back into the queue" in (tmp_path / "chain.log").read_text()
    runs = tmp_path / "runs"
    assert not list(runs.glob("*.partial"))
    assert len(provenance(runs / "chain")["interruptions"]) >= 1
    for name in ("open_loop.nc", "forecast.nc", "analysis.nc"):
        with xr.open_dataset(runs / "chain" / name) as one, xr.open_dataset(runs / "whole" / name) as other:
            assert one.equals(other), name
