"""Densities along tracks: what is drawn, and that figures are written whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.dates import date2num
from matplotlib.image import imread

from da.figures.tracks import (
    first_hours_drawing,
    pole_transits,
    storm_drawing,
    storm_periods,
    storm_window,
    write_figures,
)
from da.verification.evaluation import Evaluation, Row, evaluate

START = np.datetime64("2010-04-05T00:00:00", "ns")
MINUTE = np.timedelta64(60, "s").astype("m8[ns]")


@pytest.fixture(scope="module")
def evaluation(small_run: Path) -> Evaluation:
    return evaluate(small_run)


def minutes(*ranges: tuple[int, int]) -> np.ndarray:
    return START + np.concatenate([np.arange(*pair) for pair in ranges]) * MINUTE


def test_that_a_vector_file_and_a_png_with_content_are_written_per_satellite(
    small_run: Path, evaluation: Evaluation, tmp_path: Path
) -> None:
    paths = write_figures(small_run, evaluation, tmp_path / "figures")
    assert sorted((tmp_path / "figures").iterdir()) == sorted(paths)
    assert {path.name for path in paths} == {
        f"track_{name}.{kind}" for name in ("champ", "grace") for kind in ("pdf", "png")
    }
    for path in paths:
        if path.suffix == ".png":
            image = imread(path)
            assert image.shape[:2] == (1720, 1440)
            assert np.std(image[..., :3]) > 0.05
        else:
            assert path.read_bytes().startswith(b"%PDF")


def test_that_the_panels_draw_every_row_at_its_densities(evaluation: Evaluation) -> None:
    satellite = evaluation.satellites[0]
    figure = storm_drawing(evaluation, satellite, minutes((60, 720))).figure
    panels = {axes.get_title(loc="left")[:3]: axes for axes in figure.axes}
    drawn = {line.get_label(): line for name in ("(a)", "(b)") for line in panels[name].get_lines()}
    assert {"observed", *map(str, Row)} <= set(drawn)
    for row in Row:
        values = np.asarray(drawn[str(row)].get_ydata())
        np.testing.assert_allclose(values[np.isfinite(values)], 1e11 * satellite.modelled[row], rtol=1e-14)
    ratios = {line.get_label(): np.asarray(line.get_ydata()) for line in panels["(c)"].get_lines()}
    # Observations are 1.05 of the profile, MSIS is 1.25 of it.
    msis = ratios[str(Row.MSIS)]
    np.testing.assert_allclose(msis[np.isfinite(msis)], np.log(1.05 / 1.25), rtol=1e-12)


def test_that_lines_are_broken_in_the_gap_of_the_track(evaluation: Evaluation) -> None:
    figure = storm_drawing(evaluation, evaluation.satellites[0], minutes((0, 1))).figure
    line = next(line for axes in figure.axes for line in axes.get_lines() if line.get_label() == "observed")
    x, y = np.asarray(line.get_xdata(), dtype="M8[ns]"), np.asarray(line.get_ydata())
    assert np.count_nonzero(np.isnan(y)) == 1
    assert START + 180 * MINUTE - MINUTE < x[np.isnan(y)][0] < START + 240 * MINUTE


def test_that_only_storms_are_shaded(evaluation: Evaluation) -> None:
    figure = storm_drawing(evaluation, evaluation.satellites[0], minutes((0, 1))).figure
    axes = next(one for one in figure.axes if one.get_title(loc="left").startswith("(c)"))
    (span,) = axes.patches
    # The last point with Kp >= 5 lies a minute before the end of hour 6.
    expected = [date2num(START + minute * MINUTE) for minute in (360, 419)]
    np.testing.assert_allclose([span.get_x(), span.get_x() + span.get_width()], expected, rtol=0.0, atol=1e-9)


def test_that_first_hours_are_not_drawn_twice(evaluation: Evaluation) -> None:
    assert first_hours_drawing(evaluation, evaluation.satellites[0], minutes((0, 1))) is None


def test_that_transits_are_the_extremes_of_latitude_beyond_eighty_degrees() -> None:
    time = minutes((0, 185))
    latitude = 85.0 * np.sin(2.0 * np.pi * np.arange(185) / 92.0)
    north, south = pole_transits(time, latitude)
    np.testing.assert_array_equal((north - START) / MINUTE, [23, 115])
    np.testing.assert_array_equal((south - START) / MINUTE, [69, 161])
    assert [part.size for part in pole_transits(time, 0.9 * latitude)] == [0, 0]


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


def test_that_storm_periods_are_the_unbroken_series_of_kp_five_and_more() -> None:
    time = minutes((0, 6))
    kp = np.array([5.0, 4.9, 6.0, 6.0, 2.0, 5.0])
    assert storm_periods(time, kp) == [(time[0], time[0]), (time[2], time[3]), (time[5], time[5])]
    assert storm_periods(time, np.zeros(6)) == []
