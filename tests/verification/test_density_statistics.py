"""Statistics over time of densities in the cells of a grid, against the closed form of a synthetic run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from da.errors import ThermodaError
from da.verification.density_statistics import (
    CellMoments,
    DensityGrid,
    density_statistics_table,
    file_statistics,
    parse_altitudes,
    run_density_statistics,
    write_density_statistics,
)

STORED = 1e-6
"""Relative error of sampled densities from float32 files, derived in test_sampling.py."""


@pytest.fixture(scope="module")
def statistics(shared_run: Any) -> xr.Dataset:
    return run_density_statistics(shared_run.path, DensityGrid.regular([300.0, 400.0, 500.0], 30.0))


def factors(run: Any, source: str) -> np.ndarray:
    """Return the factors of the records of a file, which the density is proportional to."""
    with xr.open_dataset(run.path / f"{source}.nc") as file:
        # The lowest level at the equator has a known height.
        density, height = file["density"][:, 0, 9, 18], file["height"][:, 0, 9, 18]
        return np.asarray(density / run.profile(height / 1e3), dtype=np.float64)


@pytest.mark.parametrize("source", ["open_loop", "forecast", "analysis"])
def test_that_moments_over_time_are_those_of_the_closed_form(
    shared_run: Any, statistics: xr.Dataset, source: str
) -> None:
    factor, one = factors(shared_run, source), statistics.sel(source=source)
    profile = shared_run.profile(one["alt"].to_numpy())[:, None, None]
    assert int(one["records"]) == factor.size

    def everywhere(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, one["density_mean"].shape)

    np.testing.assert_allclose(one["density_mean"], everywhere(factor.mean() * profile), rtol=STORED)
    np.testing.assert_allclose(one["density_lowest"], everywhere(factor.min() * profile), rtol=STORED)
    np.testing.assert_allclose(one["density_highest"], everywhere(factor.max() * profile), rtol=STORED)
    # An error e of each value is one of e sqrt(mean^2 + std^2) / std of the deviation.
    rtol = STORED * np.sqrt(1.0 + (factor.mean() / factor.std()) ** 2)
    np.testing.assert_allclose(one["density_std"], everywhere(factor.std() * profile), rtol=rtol)
    np.testing.assert_allclose(one["ln_density_mean"], everywhere(np.log(factor).mean() + np.log(profile)), atol=STORED)
    np.testing.assert_allclose(one["ln_density_std"], everywhere(np.log(factor).std()), atol=2 * STORED)


def test_that_the_spread_is_that_of_the_data_grid(shared_run: Any, statistics: xr.Dataset) -> None:
    found = statistics["relative_spread_mean"].sel(source="open_loop", alt=400.0)
    np.testing.assert_allclose(found, shared_run.relative_spread(np.array(12.0), np.array(400.0)), rtol=STORED)


def test_that_cells_of_local_time_follow_the_sun() -> None:
    grid = DensityGrid.regular([400.0], 45.0, local_time=True)
    points = grid.points(np.datetime64("2010-04-05T06:00:00", "ns"))
    hour = np.mod(6.0 + points.longitude / 15.0, 24.0).reshape(grid.shape)
    np.testing.assert_allclose(hour, np.broadcast_to(grid.longitude / 15.0, grid.shape), atol=1e-12)


def test_that_a_wave_that_follows_the_sun_varies_in_longitude_alone(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=24.0, step_minutes=60)
    with xr.open_dataset(run.path / "open_loop.nc") as source:
        fields = source.load()
    hour = (fields["time"] - fields["time"][0]) / np.timedelta64(1, "h") + fields["lon"] / 15.0
    fields["density"] = fields["density"] * 0.0 + 1e-12 * np.exp(0.3 * np.cos(2.0 * np.pi * (hour - 14.0) / 24.0))
    fields.transpose("time", "level", ...).to_netcdf(run.path / "open_loop.nc")
    # The Sun moves by one and a half of the model's columns in an hour: every other record lies half-way between two,
    # where interpolation lowers a wave by 1 - cos(5 degrees) of its amplitude.
    grid = DensityGrid(np.array([400.0]), np.array([5.0]), np.arange(0.0, 360.0, 30.0), local_time=True)
    wave = file_statistics(run.path / "open_loop.nc", grid)
    assert np.all(wave.ln_density.value()[1] < 0.3 * (1.0 - np.cos(np.radians(5.0))) + STORED)
    expected = 0.3 * np.cos(np.radians(grid.longitude - 210.0))
    np.testing.assert_allclose(wave.ln_density.value()[0] - np.log(1e-12), expected, atol=2e-3)
    fixed = DensityGrid(grid.altitude_km, grid.latitude, grid.longitude)
    still = file_statistics(run.path / "open_loop.nc", fixed)
    # A cosine of amplitude 0.3 has a standard deviation of 0.3 / sqrt(2); one of 25 records comes twice.
    np.testing.assert_allclose(still.ln_density.value()[1], 0.3 / np.sqrt(2.0), rtol=0.05)


@given(
    values=st.lists(st.lists(st.floats(-5.0, 5.0) | st.just(float("nan")), min_size=3, max_size=3), max_size=9),
    cut=st.integers(0, 9),
)
def test_that_moments_add_up_over_any_cut_and_leave_out_gaps(values: list[list[float]], cut: int) -> None:
    def summed(part: list[list[float]]) -> CellMoments:
        total = CellMoments.of(np.full(3, np.nan))
        for one in part:
            total = total + CellMoments.of(np.array(one))
        return total

    mean, deviation = (summed(values[:cut]) + summed(values[cut:])).value()
    for cell in range(3):
        known = np.array([one[cell] for one in values if np.isfinite(one[cell])])
        if not known.size:
            assert np.isnan(mean[cell])
            assert np.isnan(deviation[cell])
        else:
            assert mean[cell] == pytest.approx(known.mean(), abs=1e-14 * 9 * 5)
            # The error of a root is that of its square over twice the root: 1e-7 where the square is rounding alone.
            assert deviation[cell] == pytest.approx(known.std(), rel=1e-10, abs=1e-7)


def test_that_the_file_and_the_table_hold_what_was_found(statistics: xr.Dataset, tmp_path: Path) -> None:
    path = write_density_statistics(statistics, tmp_path / "density_statistics.nc")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    with xr.open_dataset(path) as stored:
        xr.testing.assert_identical(stored.load(), statistics)
    assert density_statistics_table(statistics).row_count == 9


def test_that_wrong_grids_are_refused(shared_run: Any, tmp_path: Path) -> None:
    assert parse_altitudes("300,400.5") == [300.0, 400.5]
    for text in ("", "300,", "-1", "nan", "inf", "high"):
        with pytest.raises(ThermodaError, match="--altitudes-km"):
            parse_altitudes(text)
    for step in (0.0, -5.0, 7.0, 180.0, float("nan")):
        with pytest.raises(ThermodaError, match="must divide 180"):
            DensityGrid.regular([400.0], step)
    with xr.open_dataset(shared_run.path / "analysis.nc") as source:
        kept = source[["density", "height"]].isel(time=slice(0, 0)).drop_encoding()
        kept.to_netcdf(tmp_path / "empty.nc", unlimited_dims=["time"])
    with pytest.raises(ThermodaError, match=r"empty.nc: holds no record"):
        file_statistics(tmp_path / "empty.nc", DensityGrid.regular([400.0], 45.0))
