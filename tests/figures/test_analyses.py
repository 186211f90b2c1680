"""Numbers of analyses by height, and the figures that show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from da.errors import ThermodaError
from da.figures.height_ratios import adopted_fraction_drawing, edges, spread_ratio_drawing
from da.verification.analysis_records import AnalysisRecords, read_analyses


def records(altitude: np.ndarray, **changes: np.ndarray) -> AnalysisRecords:
    ones = np.ones(altitude.shape)
    values = {"observed": ones, "error": ones, "forecast": ones, "forecast_spread": ones, "analysis": ones}
    values |= {"analysis_spread": ones, "latitude": ones, "longitude": ones, "altitude_km": altitude, **changes}
    time = np.datetime64("2010-04-05T00", "ns") + np.arange(len(altitude)) * np.timedelta64(1, "h")
    return AnalysisRecords(time=time, in_logarithm=False, **values)


def test_that_the_adopted_part_is_that_of_the_paper(small_run: Path) -> None:
    height, (low, median, high) = read_analyses(small_run).quartiles(read_analyses(small_run).adopted_fraction())
    np.testing.assert_array_equal(height, np.arange(100.0, 551.0, 75.0))
    # Forecasts are 1.2 of the observations, analyses 1.1, 0.9 and 1.3: (1.1 - 1.2) / (1 - 1.2) = 0.5 and so on.
    np.testing.assert_allclose(median[:, height < 350.0], 0.5, rtol=1e-9)
    np.testing.assert_allclose(median[0, height > 350.0], 1.5, rtol=1e-9)
    np.testing.assert_allclose(median[1:, height > 350.0], -0.5, rtol=1e-9)
    np.testing.assert_allclose(low, high, rtol=1e-9)


def test_that_quartiles_are_those_of_each_height_and_leave_out_missing_values() -> None:
    altitude = np.array([[300.0, 300.0, 300.0, 400.0], [300.0, 300.0, 300.0, np.nan]])
    values = np.array([[1.0, 2.0, 9.0, 5.0], [np.nan, 4.0, 8.0, 7.0]])
    height, quartiles = records(altitude).quartiles(values)
    np.testing.assert_array_equal(height, [300.0, 400.0])
    np.testing.assert_allclose(quartiles[:, 0], [[1.5, 5.0], [2.0, 5.0], [5.5, 5.0]])
    np.testing.assert_allclose(quartiles[:, 1], [[5.0, np.nan], [6.0, np.nan], [7.0, np.nan]])


def test_that_heights_of_tracks_are_sorted_into_classes_of_twenty_five_kilometres() -> None:
    altitude = np.linspace(300.5, 349.5, 100)[None, :]
    height, quartiles = records(altitude).quartiles(altitude)
    np.testing.assert_array_equal(height, [312.5, 337.5])
    medians = [np.median(altitude[altitude < 325.0]), np.median(altitude[altitude > 325.0])]
    np.testing.assert_allclose(quartiles[1, 0], medians)


def test_that_the_figures_draw_medians_and_quartiles_of_the_first_analyses(small_run: Path) -> None:
    found = read_analyses(small_run)
    figure = adopted_fraction_drawing(found).figure
    profiles = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 7]
    assert len(profiles) == 9
    np.testing.assert_allclose(profiles[0].get_xdata(), [0.5, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5], rtol=1e-9)
    np.testing.assert_allclose(profiles[1].get_xdata(), [0.5, 0.5, 0.5, 0.5, -0.5, -0.5, -0.5], rtol=1e-9)
    np.testing.assert_allclose(figure.axes[1].collections[0].get_array().ravel()[:2], [0.5, 0.5], rtol=1e-9)


def test_that_ratios_of_standard_deviations_are_drawn(small_run: Path) -> None:
    drawing = spread_ratio_drawing(read_analyses(small_run))
    errors, spreads, whole, *_ = drawing.figure.axes
    np.testing.assert_allclose(errors.get_lines()[0].get_xdata(), 3.0, rtol=1e-9)
    np.testing.assert_allclose(spreads.get_lines()[0].get_xdata(), 0.2, rtol=1e-9)
    np.testing.assert_allclose(spreads.get_lines()[1].get_xdata(), 0.4, rtol=1e-9)
    np.testing.assert_allclose(whole.collections[0].get_array()[0], [0.2, *[0.4] * 12], rtol=1e-9)
    assert "0.20 at 100 km" in drawing.alternative


def test_that_cells_meet_half_way_between_their_centres() -> None:
    np.testing.assert_array_equal(edges(np.array([0.0, 2.0, 6.0])), [-1.0, 1.0, 4.0, 8.0])
    np.testing.assert_array_equal(edges(np.array([300.0])), [287.5, 312.5])


def test_that_refused_observations_are_missing_and_a_file_of_them_alone_is_an_error(
    small_run: Path, tmp_path: Path
) -> None:
    with xr.open_dataset(small_run / "observations.nc") as dataset:
        changed = dataset.load()
    changed["used"][0, :] = 0
    changed.to_netcdf(tmp_path / "observations.nc")
    found = read_analyses(tmp_path)
    assert np.isnan(found.observed[0]).all()
    assert np.isfinite(found.observed[1]).all()
    changed["used"][:] = 0
    (tmp_path / "refused").mkdir()
    changed.to_netcdf(tmp_path / "refused" / "observations.nc")
    with pytest.raises(ThermodaError, match="no observation that was assimilated"):
        read_analyses(tmp_path / "refused")


def test_that_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match=r"observations\.nc is missing"):
        read_analyses(tmp_path)
