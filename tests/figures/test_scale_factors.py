"""Scale factors by orbit and argument of latitude."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da.errors import ThermodaError
from da.figures.scale_factors import BIN_DEG, by_argument_of_latitude, calibrating_track, scale_factor_drawing
from da.verification.orbits import argument_of_latitude_deg, orbits_of


def test_that_cells_hold_the_means_of_their_points(small_run: Path) -> None:
    track = calibrating_track(small_run)
    values = np.arange(track.observed.size, dtype=np.float64)
    grid = by_argument_of_latitude(track, values)
    argument = argument_of_latitude_deg(track.points.time, track.points.latitude)
    orbit = orbits_of(track.points)
    # The first orbit comes before the gap of hour 3: its column is its number.
    for place in (3, 40):
        inside = (orbit == 1) & (argument // BIN_DEG == place)
        assert inside.any()
        assert grid.values[place, 1] == pytest.approx(values[inside].mean(), rel=1e-12)


def test_that_a_gap_is_a_column_without_values(small_run: Path) -> None:
    track = calibrating_track(small_run)
    grid = by_argument_of_latitude(track, np.ones(track.observed.size))
    empty = np.flatnonzero(~np.isfinite(grid.values).any(axis=0))
    assert empty.size == 1
    hours = (grid.start[empty[0] : empty[0] + 2] - track.points.time[0]) / np.timedelta64(1, "m")
    np.testing.assert_array_equal(hours, [179.0, 240.0])
    assert np.all(np.diff(grid.start) > np.timedelta64(0))


def test_that_raw_and_filtered_factors_are_drawn(small_run: Path) -> None:
    drawing = scale_factor_drawing(small_run)
    images = [
        np.asarray(axes.collections[0].get_array())
        for axes in drawing.figure.get_axes()
        if axes.get_title(loc="left")[:3] in ("(a)", "(d)")
    ]
    for image, factor in zip(images, (1.05 / 1.25, 1.0 / 1.25), strict=True):
        np.testing.assert_allclose(image[np.isfinite(image)], factor, rtol=1e-12)
    side = next(axes for axes in drawing.figure.get_axes() if axes.get_title(loc="left").startswith("(b)"))
    np.testing.assert_allclose(side.get_lines()[0].get_xdata(), 1.05 / 1.25, rtol=1e-12)


def test_that_points_without_a_value_are_left_out(small_run: Path) -> None:
    track = calibrating_track(small_run)
    missing = replace(track, observed=np.full(track.observed.size, np.nan))
    assert not np.isfinite(by_argument_of_latitude(missing, missing.observed).values).any()


def test_that_a_missing_calibration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match=r"calibration\.nc is missing"):
        scale_factor_drawing(tmp_path)
