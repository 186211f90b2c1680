"""The posterior does not depend on the number of ranks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

Launch = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = str(Path(__file__).with_name("posterior.py"))


@pytest.mark.mpi
@pytest.mark.parametrize("weights", ["plain", "interpolated"])
def test_that_the_posterior_is_the_same_on_one_two_and_three_ranks_and_without_mpi(
    launch: Launch, tmp_path: Path, weights: str
) -> None:
    files = {ranks: tmp_path / f"posterior{ranks}.npy" for ranks in (1, 2, 3)}
    for ranks, file in files.items():
        launch(ranks, PROGRAM, str(file), weights)
    serial = tmp_path / "serial.npy"
    launch(1, PROGRAM, str(serial), "serial", weights)
    expected = np.load(serial)
    assert expected.std(axis=1).max() > 1.0
    for file in files.values():
        np.testing.assert_allclose(np.load(file), expected, rtol=1e-12)


@pytest.mark.mpi
def test_that_a_whole_run_is_the_same_on_one_two_and_three_ranks(
    launch: Launch, tmp_path: Path, tiny_experiment: Callable[..., Path]
) -> None:
    records = []
    for ranks in (1, 2, 3):
        folder = tmp_path / f"run{ranks}"
        file = tiny_experiment(experiment={"output_folder": str(folder)})
        launch(ranks, "-m", "mpi4py", "-m", "da", "run", str(file))
        with xr.open_dataset(folder / "observations.nc") as dataset:
            records.append(dataset.load())
    for other in records[1:]:
        for name in ("forecast_mean", "forecast_spread", "analysis_mean", "analysis_spread"):
            np.testing.assert_allclose(other[name], records[0][name], rtol=1e-12, err_msg=name)
    assert (records[0]["analysis_mean"] != records[0]["forecast_mean"]).any()
