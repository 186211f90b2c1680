"""Figures: what they draw, and that they are written whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.dates import date2num
from matplotlib.image import imread

from da.verification.evaluation import Evaluation, Row, evaluate
from da.verification.figures import orbit_number, satellite_figure, storm_periods, storm_window, write_figures

START = np.datetime64("2010-04-05T00:00:00", "ns")
MINUTE = np.timedelta64(60, "s").astype("m8[ns]")


@pytest.fixture(scope="module")
def evaluation(shared_run: Any) -> Evaluation:
    return evaluate(shared_run.path)


def minutes(*ranges: tuple[int, int]) -> np.ndarray:
    return START + np.concatenate([np.arange(*pair) for pair in ranges]) * MINUTE


def test_that_one_png_with_content_is_written_per_satellite(
    shared_run: Any, evaluation: Evaluation, tmp_path: Path
) -> None:
    paths = write_figures(shared_run.path, evaluation, tmp_path / "figures")
    assert sorted((tmp_path / "figures").iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["track_champ.png", "track_grace.png"]
    for path in paths:
        image = imread(path)
        assert image.shape[:2] == (1720, 1440)
        assert np.std(image[..., :3]) > 0.05


def test_that_the_panels_draw_every_row_at_its_densities(evaluation: Evaluation) -> None:
    satellite = evaluation.satellites[0]
    figure = satellite_figure(evaluation, satellite, minutes((60, 1440)))
    drawn = {line.get_label(): line for axes in figure.axes[:2] for line in axes.get_lines()}
    assert {"observed", *map(str, Row)} <= set(drawn)
    start, stop = storm_window(satellite.points.time, satellite.kp)
    chosen = (satellite.points.time >= start) & (satellite.points.time <= stop)
    for row in Row:
        values = np.asarray(drawn[str(row)].get_ydata())
        np.testing.assert_allclose(values[np.isfinite(values)], 1e12 * satellite.modelled[row][chosen], rtol=1e-14)
    ratios = {line.get_label(): np.asarray(line.get_ydata()) for line in figure.axes[2].get_lines()}
    # The empirical row is 0.8 of the truth without its wave, whose mean logarithm over an orbit is about -0.15^2/4.
    middle = np.nanmedian(ratios[str(Row.MSIS)])
    assert middle == pytest.approx(np.log(1.0 / 0.8) - 0.15**2 / 4.0, abs=5e-3)


def test_that_lines_are_broken_in_the_gap_of_the_track(evaluation: Evaluation) -> None:
    figure = satellite_figure(evaluation, evaluation.satellites[0], minutes((0, 1)))
    line = next(line for line in figure.axes[0].get_lines() if line.get_label() == "observed")
    x, y = np.asarray(line.get_xdata(), dtype="M8[ns]"), np.asarray(line.get_ydata())
    assert np.count_nonzero(np.isnan(y)) == 1
    assert START + 300 * MINUTE - MINUTE < x[np.isnan(y)][0] < START + 360 * MINUTE


def test_that_only_storms_are_shaded(evaluation: Evaluation) -> None:
    figure = satellite_figure(evaluation, evaluation.satellites[0], minutes((0, 1)))
    (span,) = figure.axes[2].patches
    expected = [date2num(START + minute * MINUTE) for minute in (540, 900)]
    # The last point with Kp >= 5 lies half a minute before the end.
    np.testing.assert_allclose([span.get_x(), span.get_x() + span.get_width()], expected, rtol=0.0, atol=0.51 / 1440.0)


def test_that_the_window_is_twelve_hours_around_the_first_series_of_the_strongest_kp() -> None:
    time = minutes((0, 2880))
    kp = np.full(time.size, 3.0)
    kp[1200:1380] = 7.0
    kp[2000:2100] = 7.0
    start, stop = storm_window(time, kp)
    middle = time[1200] + (time[1379] - time[1200]) / 2
    assert start == middle - np.timedelta64(6, "h")
    assert stop == middle + np.timedelta64(6, "h")


def test_that_the_window_stays_inside_the_period_and_starts_it_when_quiet() -> None:
    time = minutes((0, 2880))
    quiet = np.full(time.size, 3.0)
    assert storm_window(time, quiet) == (time[0], time[0] + np.timedelta64(12, "h"))
    late = np.where(np.arange(time.size) > 2800, 6.0, 3.0)
    assert storm_window(time, late) == (time[-1] - np.timedelta64(12, "h"), time[-1])
    short = time[:100]
    assert storm_window(short, np.full(100, 8.0)) == (short[0], short[-1])


def test_that_orbits_are_counted_at_northward_crossings_and_gaps() -> None:
    time = minutes((0, 184), (300, 350))
    elapsed = (time - START) / MINUTE
    number = orbit_number(time, 80.0 * np.sin(2.0 * np.pi * (elapsed - 0.5) / 92.0))
    # Northward crossings at 0.5 and 92.5 min, a gap from 183 to 300 min, no northward crossing after it before 368.5.
    np.testing.assert_array_equal(np.unique(number, return_counts=True), [[0, 1, 2, 3], [1, 92, 91, 50]])


def test_that_storm_periods_are_the_unbroken_series_of_kp_five_and_more() -> None:
    time = minutes((0, 6))
    kp = np.array([5.0, 4.9, 6.0, 6.0, 2.0, 5.0])
    assert storm_periods(time, kp) == [(time[0], time[0]), (time[2], time[3]), (time[5], time[5])]
    assert storm_periods(time, np.zeros(6)) == []
