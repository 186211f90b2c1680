"""Densities on the data grid: profiles by height and series at cells."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from da.errors import ThermodaError
from da.figures.cells import cell_drawing, periods, sawtooth
from da.figures.data_grid import calibrated_on_grid, errors_on_grid, filtered_scale_factor, grid_times, read_grid
from da.figures.profiles import crossings, median_profiles, profile_drawing
from da.verification.analysis_records import read_analyses
from da.verification.evaluation import Row

START = np.datetime64("2010-04-05T00:00:00", "ns")
HOUR = np.timedelta64(3600, "s").astype("m8[ns]")
FACTORS = {Row.MSIS: 1.25, Row.CALIBRATED_MSIS: 1.0, Row.OPEN_LOOP: 1.5, Row.FORECAST: 1.2, Row.ANALYSIS: 1.1}


def truth(altitude_km: np.ndarray) -> np.ndarray:
    return 1.02 * 3.0e-12 * np.exp(-(altitude_km - 400.0) / 50.0)


def test_that_profiles_are_the_medians_of_every_row(small_run: Path) -> None:
    altitude, profiles = median_profiles(small_run)
    assert set(profiles) == set(FACTORS)
    for row, values in profiles.items():
        np.testing.assert_allclose(values, FACTORS[row] * truth(altitude), rtol=1e-12)


def test_that_profiles_are_drawn_with_the_heights_of_the_satellites(small_run: Path) -> None:
    drawing = profile_drawing(small_run)
    left, right = drawing.figure.axes
    ratios = {line.get_label(): line.get_xdata() for line in right.get_lines()}
    np.testing.assert_allclose(ratios[str(Row.OPEN_LOOP)], 1.5, rtol=1e-12)
    levels = {float(line.get_ydata()[0]) for line in left.get_lines() if len(line.get_ydata()) == 2}
    assert levels == {300.0, 480.0}


def test_that_profiles_cross_where_their_logarithms_do() -> None:
    altitude = np.array([100.0, 200.0, 300.0, 400.0])
    second = np.ones(4)
    # ln ratio 1, -1, -3, 1: zero half-way in the first layer and three quarters up in the last.
    np.testing.assert_allclose(crossings(altitude, np.exp([1.0, -1.0, -3.0, 1.0]), second), [150.0, 375.0])
    np.testing.assert_allclose(crossings(altitude, np.exp([1.0, 0.0, 1.0, 2.0]), second), [200.0])
    assert crossings(altitude, 2.0 * second, second).size == 0


def test_that_without_assimilated_cells_the_empirical_rows_are_absent(small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / "observations.nc").unlink()
    assert set(median_profiles(run)[1]) == {Row.OPEN_LOOP, Row.FORECAST, Row.ANALYSIS}
    assert "does not assimilate" in profile_drawing(run).caption


def test_that_observations_stand_at_their_cells(small_run: Path) -> None:
    grid = read_grid(small_run / "analysis.nc", grid_times(small_run / "analysis.nc"))
    records = read_analyses(small_run)
    density = calibrated_on_grid(records, grid)
    np.testing.assert_allclose(density[0, :, 3, 5], truth(grid.altitude_km), rtol=1e-12)
    assert np.isfinite(density).all()
    np.testing.assert_allclose(errors_on_grid(records, grid), 0.3 * density, rtol=1e-12)


def test_that_the_scale_factor_is_interpolated_and_not_extrapolated(small_run: Path) -> None:
    factor = filtered_scale_factor(small_run, START + np.array([-2, 0, 5]) * HOUR)
    np.testing.assert_allclose(factor, [np.nan, 0.8, 0.8])


def test_that_forecasts_come_before_the_analysis_of_their_time(small_run: Path) -> None:
    window = (START, START + 2 * HOUR)
    forecast, analysis = (
        read_grid(small_run / name, np.arange(window[0], window[1] + HOUR // 2, HOUR // 2))
        for name in ("forecast.nc", "analysis.nc")
    )
    time, mean, spread = sawtooth(forecast, analysis, (4, 4, 0))
    np.testing.assert_array_equal((time - START) / HOUR, [0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0])
    np.testing.assert_allclose(mean / truth(forecast.altitude_km[4:5]), [1.2, 1.1, 1.2, 1.2, 1.1, 1.2, 1.2, 1.1])
    np.testing.assert_allclose(spread / mean, [0.1, 0.02, 0.1, 0.1, 0.04, 0.1, 0.1, 0.04])


def test_that_a_panel_draws_its_cell(small_run: Path) -> None:
    figure = cell_drawing(small_run, "first_days", (START, START + 12 * HOUR)).figure
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == "325 km, 60°N"
    drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_allclose(drawn["open loop"], 1.5 * truth(np.array([325.0]))[0], rtol=1e-12)
    assert len(drawn["forecast and analysis"]) == 25 + 13


def test_that_the_storm_gets_a_period_of_its_own_where_it_is_another() -> None:
    times = START + np.arange(0, 24 * 10) * HOUR
    first = ("first_days", (times[0], times[0] + 48 * HOUR))
    assert periods(times, None) == [first]
    epoch = START + 100 * HOUR
    assert periods(times, epoch) == [first, ("storm", (epoch - 24 * HOUR, epoch + 24 * HOUR))]
    assert periods(times, START + 10 * HOUR) == [first]
    late = periods(times, times[-1])
    assert late[1] == ("storm", (times[-1] - 48 * HOUR, times[-1]))
    assert periods(times[:20], epoch) == [("first_days", (times[0], times[19]))]


def test_that_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match=r"open_loop\.nc is missing"):
        cell_drawing(tmp_path, "first_days", (START, START + HOUR))
