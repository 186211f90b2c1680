"""Evaluation of a run along a satellite whose densities are running means: every row is averaged as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from da.errors import ThermodaError
from da.observation_handling import running_mean
from da.verification import evaluate
from da.verification.baselines import persisted_scale_factor
from da.verification.evaluation import Evaluation, Row
from da.verification.lead_time import lead_time_statistics
from da.verification.run_folder import read_track

WINDOW_S = 1200.0
STORED = 3e-6
"""Relative error of sampled densities from float32 files, derived in test_sampling.py, here of ratios of two."""


@pytest.fixture(scope="module")
def smoothed_run(shared_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared run, of which GRACE measures means over 20 minutes, with one free forecast."""
    folder: Path = tmp_path_factory.mktemp("smoothed") / "run"
    folder.mkdir()
    for path in shared_run.path.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    smooth(folder / "track_grace.nc")
    hour = 8.0 + np.arange(0.0, 6.1, 0.5)
    type(shared_run)(folder).fields("free_forecast_20100405T080000.nc", hour, 1.15 + 0.01 * (hour - 8.0))
    return folder


def smooth(path: Path, window_s: float = WINDOW_S) -> None:
    with xr.open_dataset(path) as source:
        dataset = source.load()
    dataset.attrs["smoothing_s"] = window_s
    dataset.to_netcdf(path)


@pytest.fixture(scope="module")
def pair(shared_run: Any, smoothed_run: Path) -> tuple[Evaluation, Evaluation]:
    return evaluate(shared_run.path), evaluate(smoothed_run)


def test_that_all_rows_of_a_smoothed_satellite_are_running_means_of_those_at_the_points(
    pair: tuple[Evaluation, Evaluation],
) -> None:
    points, means = (evaluation.satellites[1] for evaluation in pair)
    kept = np.isin(points.points.time, means.points.time)
    assert_array_equal(points.points.time[kept], means.points.time)
    assert_array_equal(points.observed[kept], means.observed)
    # Forecasts are there before the first analysis, whose rows bound the comparison: away from it, all is the same.
    inside = means.points.time > means.points.time[0] + np.timedelta64(20, "m")
    for row in Row:
        expected = running_mean(points.points.time, points.modelled[row], WINDOW_S)[kept]
        assert_allclose(means.modelled[row][inside], expected[inside], rtol=1e-11)
        assert np.abs(np.log(means.modelled[row] / points.modelled[row][kept])).max() > 1e-3


def test_that_the_spread_is_the_running_mean_of_the_spread(pair: tuple[Evaluation, Evaluation]) -> None:
    points, means = (evaluation.satellites[1] for evaluation in pair)
    kept = np.isin(points.points.time, means.points.time)
    for row, spread in points.spread.items():
        expected = running_mean(points.points.time, spread, WINDOW_S)[kept]
        inside = means.points.time > means.points.time[0] + np.timedelta64(20, "m")
        assert_allclose(means.spread[row][inside], expected[inside], rtol=1e-10)


def test_that_points_without_a_whole_window_are_left_out_and_counted(pair: tuple[Evaluation, Evaluation]) -> None:
    points, means = (evaluation.satellites[1] for evaluation in pair)
    lost = np.setdiff1d(points.points.time, means.points.time)
    # 0.8 of 20 min are held from 6 min, less half a step of 30 s, after the first record on, which makes 12 records.
    # There are four edges: the first analysis, the hour without records, and the end, 30 s after the last record.
    assert means.left_out["no whole window of a running mean"] == lost.size
    hours = (lost - np.datetime64("2010-04-05")) / np.timedelta64(1, "h")
    near = np.min(np.abs(hours[:, None] - np.array([1.0, 5.0 - 1.0 / 120.0, 6.0, 24.0 - 1.0 / 120.0])), axis=1)
    assert (near <= 6.0 / 60.0 + 1e-9).all()
    assert lost.size == 4 * 12


def test_that_the_other_satellite_and_the_observations_do_not_change(pair: tuple[Evaluation, Evaluation]) -> None:
    points, means = (evaluation.satellites[0] for evaluation in pair)
    assert points.smoothing_s == means.smoothing_s == 0.0
    for row in Row:
        assert_array_equal(points.modelled[row], means.modelled[row])
    assert points.left_out == means.left_out


def test_that_the_reader_of_the_tables_is_told(pair: tuple[Evaluation, Evaluation]) -> None:
    assert pair[0].notes == ()
    assert pair[1].notes == (
        "GRACE: densities are means over 20 min along the track, and so are all rows; their spread is an upper bound",
    )


def test_that_free_forecasts_are_averaged_alike(smoothed_run: Path, pair: tuple[Evaluation, Evaluation]) -> None:
    evaluation = pair[1]
    satellite = evaluation.satellites[1]
    found = lead_time_statistics(evaluation, smoothed_run)[1]
    start = np.datetime64("2010-04-05T08:00", "ns")
    lead = (satellite.points.time - start) / np.timedelta64(1, "h")
    chosen = (lead >= 0.0) & (lead < 6.0)
    profile = 3.0e-12 * np.exp(-(satellite.points.altitude_km - 400.0) / 50.0)
    free = running_mean(satellite.points.time[chosen], (1.02 * (1.15 + 0.01 * lead) * profile)[chosen], WINDOW_S)
    here = (lead[chosen] < 1.0) & np.isfinite(free)
    scores = found.classes["0 to 1 h"][Row.FORECAST].pairs.value()
    assert scores.n == np.count_nonzero(here) == 120 - 12
    ratio = np.log(satellite.observed[chosen] / free)[here]
    assert scores.mean_log_ratio == pytest.approx(ratio.mean(), rel=1e-4, abs=STORED)
    # The factor held is that of the start, whatever it multiplies.
    held = persisted_scale_factor(
        satellite.points.time,
        satellite.modelled[Row.MSIS],
        satellite.modelled[Row.CALIBRATED_MSIS],
        np.array([start]),
    )
    persisted = (satellite.modelled[Row.MSIS] * held)[chosen][here]
    expected = np.log(satellite.observed[chosen][here] / persisted).mean()
    assert found.classes["0 to 1 h"][Row.PERSISTED].pairs.value().mean_log_ratio == pytest.approx(expected, rel=1e-9)


def test_that_a_track_shorter_than_its_window_cannot_be_compared(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=4.0)
    smooth(run.path / "track_grace.nc", 5.0 * 3600.0)
    with pytest.raises(ThermodaError, match="no whole window of a running mean: "):
        evaluate(run.path)


def test_that_a_stored_track_averages_what_it_is_given(smoothed_run: Path) -> None:
    track = read_track(smoothed_run / "track_grace.nc")
    assert track.smoothing_s == WINDOW_S
    assert_array_equal(track.averaged(track.msis), running_mean(track.points.time, track.msis, WINDOW_S))
    assert_array_equal(replace(track, smoothing_s=0.0).averaged(track.msis), track.msis)
