"""Free forecasts do not depend on the number of ranks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

Launch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.mpi
def test_that_free_forecasts_are_the_same_on_one_and_two_ranks(
    launch: Launch, tmp_path: Path, tiny_experiment: Callable[..., Path]
) -> None:
    records = []
    for ranks in (1, 2):
        folder = tmp_path / f"run{ranks}"
        free = {"start": ["2010-04-05T00:00:00Z"], "length_h": 1.0}
        file = tiny_experiment(experiment={"output_folder": str(folder)}, free_forecasts=free)
        launch(ranks, "-m", "mpi4py", "-m", "da", "run", str(file))
        with xr.open_dataset(folder / "free_forecast_20100405T000000.nc") as dataset:
            records.append(dataset.load())
    one, two = records
    assert one.sizes["time"] == 3
    for name in ("density", "height", "temperature", "data_grid_density"):
        # Rounding of the last stored digit, of five, may go either way.
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, err_msg=name)
