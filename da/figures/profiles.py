"""Median density by height of NRLMSIS, open loop, forecast and analysis, and where they cross (Figure 5)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.data_grid import calibrated_on_grid, filtered_scale_factor, grid_times, read_grid, stored_rows
from da.figures.style import COLOUR, DASHES, MARKER, WIDTH_IN, Drawing, in_style
from da.verification.analysis_records import read_analyses
from da.verification.evaluation import Row
from da.verification.run_folder import read_track

FloatArray = NDArray[np.float64]
Profiles = Mapping[Row, FloatArray]

_BEHIND_TEXT = {"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "pad": 0.8}
"""So that a label on lines can be read."""


def median_profiles(run: Path) -> tuple[FloatArray, Profiles]:
    """Return the altitudes [km] and median densities [kg m-3] by altitude, over all cells and times of analyses.

    A run that assimilates nothing has the open loop alone, at all its times.

    NRLMSIS is calibrated NRLMSIS, as assimilated, over the filtered scale factor. Both are absent where a run does not
    assimilate the data grid.

    Raises
    ------
    ThermodaError
        If a file is missing or cannot be read.
    """
    files = stored_rows(run)
    times = grid_times(files.get(Row.ANALYSIS, files[Row.OPEN_LOOP]))
    grids = {row: read_grid(path, times) for row, path in files.items()}
    found = {row: np.median(grid.mean, axis=(0, 2, 3)) for row, grid in grids.items()}
    grid = grids.get(Row.ANALYSIS, grids[Row.OPEN_LOOP])
    try:
        records = read_analyses(run)
        factor = filtered_scale_factor(run, records.time)
    except ThermodaError:
        return grid.altitude_km, found
    calibrated = calibrated_on_grid(records, grid)
    if np.isfinite(calibrated).any(axis=(0, 2, 3)).all():
        msis = calibrated / factor[:, None, None, None]
        pair = ((Row.MSIS, msis), (Row.CALIBRATED_MSIS, calibrated))
        found = {row: np.nanmedian(values, axis=(0, 2, 3)) for row, values in pair} | found
    return grid.altitude_km, found


def crossings(altitude_km: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the altitudes [km] at which two profiles are equal, their ln ratio being linear between the levels."""
    ratio = np.log(first / second)
    lower = np.flatnonzero(ratio[:-1] * ratio[1:] < 0.0)
    part = ratio[lower] / (ratio[lower] - ratio[lower + 1])
    between = altitude_km[lower] + part * (altitude_km[lower + 1] - altitude_km[lower])
    return np.sort(np.concatenate([between, altitude_km[ratio == 0.0]]))


@in_style
def profile_drawing(run: Path) -> Drawing:
    """Return the median profiles, and their ratios to one of them, with the heights of the satellites.

    Raises
    ------
    ThermodaError
        If a file is missing or cannot be read.
    """
    altitude, profiles = median_profiles(run)
    reference = Row.CALIBRATED_MSIS if Row.CALIBRATED_MSIS in profiles else Row.OPEN_LOOP
    figure = Figure(figsize=(WIDTH_IN, 4.2), layout="constrained")
    # A single profile has no ratio to another one.
    left, *right = figure.subplots(1, min(len(profiles), 2), sharey=True, squeeze=False)[0]
    found = np.zeros(0)
    _draw_profiles(left, altitude, profiles)
    left.set_xscale("log")
    left.set_xlabel("median density [kg m$^{-3}$]")
    left.set_ylabel("altitude [km]")
    left.set_title("(a) median density")
    for axes in right:
        _draw_profiles(axes, altitude, {row: values / profiles[reference] for row, values in profiles.items()})
        axes.set_xlabel(f"median density / {reference}")
        axes.set_title(f"(b) over {reference}")
        found = _draw_crossings(axes, altitude, profiles)
    _draw_satellites(run, (left, *right), altitude)
    left.legend(loc="lower left")
    return Drawing(
        "profiles",
        "Median density by height",
        _caption(profiles, reference),
        f"Profiles of density. {_in_words(altitude, profiles, reference)} Crossings at "
        f"{', '.join(f'{height:.0f} km' for height in found) or 'no height'}.",
        figure,
    )


def _draw_profiles(axes: Axes, altitude: FloatArray, profiles: Profiles) -> None:
    for row, values in profiles.items():
        axes.plot(values, altitude, color=COLOUR[row], ls=DASHES[row], marker=MARKER[row], ms=2.5, label=str(row))


def _caption(profiles: Profiles, reference: Row) -> str:
    satellites = "Dashed lines: mean heights of the satellites"
    if len(profiles) == 1:
        return (
            f"Medians of the {reference} over all cells of the data grid and all its times. {satellites}. The run "
            "assimilates nothing; NRLMSIS on the data grid is with the runs that assimilate it."
        )
    other, scope = "MSIS", ""
    if Row.MSIS not in profiles:
        other, scope = "forecast", " NRLMSIS is absent: the run does not assimilate the data grid."
    return (
        "Medians over all cells of the data grid and all times of analyses (a), and their ratio to "
        f"{reference} (b). {satellites}; dotted lines: crossings of open loop and {other}.{scope}"
    )


def _in_words(altitude: FloatArray, profiles: Profiles, reference: Row) -> str:
    parts = []
    for row, values in profiles.items():
        ratio = np.interp((300.0, 500.0), altitude, values / profiles[reference])
        parts.append(f"{row} {ratio[0]:.2f} and {ratio[1]:.2f}")
    return f"Ratio to {reference} at 300 and 500 km: {', '.join(parts)}."


def _draw_crossings(axes: Axes, altitude: FloatArray, profiles: Profiles) -> FloatArray:
    other = Row.MSIS if Row.MSIS in profiles else Row.FORECAST
    found = crossings(altitude, profiles[Row.OPEN_LOOP], profiles[other])
    for height in found:
        axes.axhline(height, color="black", ls=":", lw=0.9)
        axes.annotate(
            f"{height:.0f} km",
            (1.0, height),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            xytext=(-4, 1),
            textcoords="offset points",
            bbox=_BEHIND_TEXT,
        )
    return found


def _draw_satellites(run: Path, panels: tuple[Axes, ...], altitude: FloatArray) -> None:
    for path in sorted(run.glob("track_*.nc")):
        track = read_track(path)
        height = float(np.nanmean(track.points.altitude_km))
        if not altitude[0] <= height <= altitude[-1]:
            continue
        for axes in panels:
            axes.axhline(height, color="0.5", ls="--", lw=0.8, zorder=1)
        panels[0].annotate(
            track.satellite,
            (1.0, height),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            xytext=(-4, 1),
            textcoords="offset points",
        )
