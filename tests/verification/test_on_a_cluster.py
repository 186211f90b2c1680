"""Post-processing on a dask cluster gives, bit for bit, what one process gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da.cluster import DASHBOARD, SlurmClusterSettings, connected, open_cluster
from da.errors import ThermodaError
from da.key_figures import RunRecord, collect, run_figures, write_run_figures
from da.run_collection import complete_runs, evaluate_runs
from da.verification import details, evaluate, evaluation_dataset
from da.verification.chunks import map_reduce
from da.verification.density_statistics import DensityGrid, run_density_statistics
from da.verification.statistics import CollectedValues

distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Return the client of two workers; processes, as HDF5 does not bear threads."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": DASHBOARD}
    with connected(distributed.LocalCluster(**options)) as one:
        yield one


def test_that_chunks_are_added_in_their_order_whichever_worker_is_first(client: Any) -> None:
    chunks = [np.arange(start, start + 7.0) for start in range(0, 70, 7)]
    result = map_reduce(CollectedValues, chunks, CollectedValues.zero(), scheduler=client)
    np.testing.assert_array_equal(result.values, np.arange(70.0))


def test_that_a_run_is_evaluated_to_bitwise_the_same_dataset(shared_run: Any, client: Any) -> None:
    serial, parallel = (evaluate(shared_run.path, scheduler) for scheduler in (None, client))
    for one, other in zip(serial.satellites, parallel.satellites, strict=True):
        for row in one.modelled:
            np.testing.assert_array_equal(one.modelled[row], other.modelled[row])
        for row in one.spread:
            np.testing.assert_array_equal(one.spread[row], other.spread[row])
    datasets = [evaluation_dataset(details(one, shared_run.path)) for one in (serial, parallel)]
    assert datasets[0].identical(datasets[1])
    assert serial.notes == parallel.notes


def test_that_density_statistics_are_bitwise_the_same(shared_run: Any, client: Any) -> None:
    grid = DensityGrid.regular([300.0, 450.0], 30.0)
    serial, parallel = (run_density_statistics(shared_run.path, grid, scheduler) for scheduler in (None, client))
    assert serial.identical(parallel)


def test_that_a_fault_on_a_worker_is_the_same_error(make_run: Callable[..., Any], client: Any) -> None:
    run = make_run(hours=2.0)
    with xr.open_dataset(run.path / "analysis.nc") as source:
        spoilt = source.load()
    spoilt["density"][1] = -1e-12
    spoilt.to_netcdf(run.path / "analysis.nc")
    told = []
    for scheduler in (None, client):
        with pytest.raises(ThermodaError, match=r"analysis.nc: density at .* is not positive") as raised:
            evaluate(run.path, scheduler)
        told.append(str(raised.value))
    assert told[0] == told[1]


def test_that_key_figures_of_many_runs_are_collected_alike(shared_run: Any, tmp_path: Path, client: Any) -> None:
    evaluation = evaluation_dataset(details(evaluate(shared_run.path), shared_run.path))
    for number in range(12):
        scaled = evaluation.assign(rms_log_ratio=evaluation["rms_log_ratio"] * number)
        record = RunRecord(f"run_{number:02d}", "complete", 1.0, 1.0, {"analysis.forgetting_factor": 0.1 * number})
        write_run_figures(tmp_path, run_figures(record, None if number == 5 else scaled))
    assert collect(tmp_path).identical(collect(tmp_path, client))


def test_that_runs_are_evaluated_alike_and_one_that_cannot_be_does_not_stop_the_others(
    make_run: Callable[..., Any], tmp_path: Path, client: Any
) -> None:
    make_run(hours=3.0)
    for name in ("b", "damaged"):
        (tmp_path / name).mkdir()
        for file in (tmp_path / "run").iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    (tmp_path / "damaged" / "analysis.nc").write_bytes(b"CDF")
    parallel = evaluate_runs(complete_runs(tmp_path), client)
    for run in parallel:
        (run.folder / "evaluation.nc").unlink(missing_ok=True)
    serial = evaluate_runs(complete_runs(tmp_path))
    assert [run.folder.name for run in parallel] == ["b", "damaged", "run"]
    for one, other in zip(serial, parallel, strict=True):
        assert one.outcome == other.outcome
        if one.evaluation is not None and other.evaluation is not None:
            assert one.evaluation.identical(other.evaluation)
    assert "analysis.nc: is damaged or cut short" in parallel[1].problem
    assert (parallel[1].evaluation is None, parallel[0].outcome) == (True, "complete")


def test_that_the_command_line_starts_a_cluster_of_its_own(
    shared_run: Any, command_line: Callable[..., Any], tmp_path: Path
) -> None:
    for name, options in {"serial": (), "local": ("--cluster", "local:1")}.items():
        ended = command_line("density", shared_run.path, "--altitudes-km", "350", "--step-deg", 45, *options)
        assert ended.status == 0, ended.err
        (shared_run.path / "density_statistics.nc").replace(tmp_path / f"{name}.nc")
    serial, parallel = (xr.load_dataset(tmp_path / f"{name}.nc") for name in ("serial", "local"))
    assert serial.identical(parallel)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("many", "must be local, local:WORKERS or slurm:FILE"),
        ("local:0", "must be local"),
        ("local:two", "must be local"),
        ("slurm", "must be local"),
        ("slurm:nowhere.yaml", "nowhere.yaml: there is no such file"),
    ],
)
def test_that_wrong_descriptions_are_refused(description: str, message: str) -> None:
    with pytest.raises(ThermodaError, match=message), open_cluster(description):
        pass


def test_that_no_description_is_no_cluster() -> None:
    with open_cluster(None) as scheduler:
        assert scheduler is None


def test_that_a_wrong_key_of_the_slurm_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "slurm.yaml"
    file.write_text("partition: all\ntime_limit: 90\n", encoding="utf-8")
    with pytest.raises(ThermodaError, match=r"slurm.yaml, line 2: time_limit"), open_cluster(f"slurm:{file}"):
        pass
    file.write_text("partitoin: all\n", encoding="utf-8")
    with pytest.raises(ThermodaError, match=r"line 1: partitoin: not a key; did you mean partition"):
        open_cluster(f"slurm:{file}").__enter__()


def test_that_the_documentation_shows_every_key_of_the_slurm_file() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "postprocessing.md").read_text(encoding="utf-8")
    assert [name for name in SlurmClusterSettings.model_fields if f"\n{name}:" not in page] == []


def test_that_settings_become_the_directives_of_the_jobs() -> None:
    slurm = pytest.importorskip("dask_jobqueue.slurm", reason="the extra 'cluster' is not installed")
    from da.cluster import _slurm_options

    settings = SlurmClusterSettings(
        partition="compute",
        account="atmosphere",
        workers_per_job=3,
        memory_per_job="6GiB",
        time_limit="1-02:00:00",
        directives=("--constraint=haswell",),
        prologue=("module load python",),
    )
    options = _slurm_options(settings)
    del options["scheduler_options"]
    script = slurm.SLURMJob(scheduler="tcp://127.0.0.1:1", name="worker", **options).job_script()
    lines = ["-p compute", "-A atmosphere", "--cpus-per-task=3", "--mem=6G", "-t 1-02:00:00", "--constraint=haswell"]
    for line in lines:
        assert f"#SBATCH {line}\n" in script
    assert "\nmodule load python\n" in script
    assert "--nworkers 3" in script
