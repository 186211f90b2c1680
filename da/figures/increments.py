"""Increments of analyses as maps at fixed heights, with the satellite, the Sun and the terminator (Figure 10)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.maps import draw_field, draw_sun, draw_world, symmetric
from da.figures.style import WIDTH_IN, Drawing, in_style, minute
from da.verification.run_folder import StoredTrack, read_track
from da.verification.sampling import FieldFile, Points, open_fields

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

ALTITUDES_KM = (200.0, 300.0, 400.0, 500.0)
SHOWN = 3
"""Analyses in a figure."""

NEAR = np.timedelta64(5, "m")
"""A satellite is drawn where it has a point within this time of the analysis."""


def density_increment(
    forecast: FieldFile, analysis: FieldFile, number: int, altitude_km: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return latitudes, longitudes and 100 (analysis/forecast - 1) at one height [percent] (latitudes, longitudes).

    Parameters
    ----------
    forecast, analysis : FieldFile
    number : int
        Of the analysis.
    altitude_km : float

    Raises
    ------
    ThermodaError
        If the forecast has no record at the time of the analysis.
    """
    before = np.flatnonzero(forecast.time == analysis.time[number])
    if not before.size:
        raise ThermodaError(f"{forecast.path}: no record at {minute(analysis.time[number])}, the time of an analysis")
    latitude, longitude = analysis.coordinate("lat"), analysis.coordinate("lon")
    rows, columns = (values.ravel() for values in np.meshgrid(latitude, longitude, indexing="ij"))
    time = np.full(rows.size, analysis.time[number])
    points = Points(time, rows, columns, np.full(rows.size, altitude_km))
    ratio = analysis.sample(number, points).density / forecast.sample(int(before[0]), points).density
    return latitude, longitude, (100.0 * (ratio - 1.0)).reshape(latitude.size, longitude.size)


def first_analyses(times: TimeArray) -> list[int]:
    """Return the numbers of the first analyses."""
    return list(range(min(SHOWN, len(times))))


def storm_analyses(times: TimeArray, epoch: np.datetime64) -> list[int]:
    """Return the numbers of the analyses nearest to the epoch of a storm, in order."""
    return sorted(np.argsort(np.abs(times - epoch), kind="stable")[:SHOWN].tolist())


@in_style
def increment_drawing(run: Path, name: str, numbers: Sequence[int]) -> Drawing:
    """Return maps of the increments of some analyses at four heights.

    Parameters
    ----------
    run : Path
    name : str
        Of the choice, for the file.
    numbers : sequence of int
        Of the analyses.

    Raises
    ------
    ThermodaError
        If a file is missing or cannot be read.
    """
    tracks = [track for track in map(read_track, sorted(run.glob("track_*.nc"))) if track.role == "assimilated"]
    figure = Figure(figsize=(WIDTH_IN, 6.6), layout="constrained")
    panels = figure.subplots(len(ALTITUDES_KM), len(numbers), squeeze=False, sharex=True, sharey=True)
    colours = mpl.colormaps["RdBu_r"]
    largest = []
    with open_fields(run / "forecast.nc") as forecast, open_fields(run / "analysis.nc") as analysis:
        times = analysis.time[list(numbers)]
        # From above to below, like the atmosphere.
        for row, altitude in enumerate(ALTITUDES_KM[::-1]):
            fields = [density_increment(forecast, analysis, number, altitude) for number in numbers]
            scale = symmetric(np.stack([values for *_, values in fields]))
            largest.append(f"{scale.vmax:.1f} % at {altitude:g} km")
            for column, (latitude, longitude, values) in enumerate(fields):
                axes = panels[row, column]
                mesh = draw_field(axes, latitude, longitude, values, scale, colours)
                draw_world(axes, left=column == 0, bottom=row == len(ALTITUDES_KM) - 1)
                draw_sun(axes, times[column])
                for track in tracks:
                    _draw_satellite(axes, track, times[column])
                axes.set_title(f"{altitude:g} km, {minute(times[column])} UTC")
            figure.colorbar(mesh, ax=panels[row].tolist(), extend="both", pad=0.01, label="increment [%]")
    names = ", ".join(track.satellite for track in tracks) or "none"
    return Drawing(
        f"increments_{name}",
        f"Increments of density, {minute(times[0])} to {minute(times[-1])} UTC",
        "Analysis over forecast of the mean density at fixed heights, minus one. Star: assimilated satellite "
        f"({names}); circle: subsolar point; orange line: border of day and night. Colours hold 98 % of the values of "
        "a row. Coasts: Natural Earth.",
        f"World maps of increments. 98 % of the absolute increments lie within {', '.join(largest)}.",
        figure,
    )


def position(track: StoredTrack, time: np.datetime64) -> tuple[float, float] | None:
    """Return latitude and longitude [degrees] of the point of a track nearest in time, None where all are too far."""
    offset = np.abs(track.points.time - time)
    nearest = int(np.argmin(offset))
    if offset[nearest] > NEAR:
        return None
    return float(track.points.latitude[nearest]), float(track.points.longitude[nearest])


def _draw_satellite(axes: mpl.axes.Axes, track: StoredTrack, time: np.datetime64) -> None:
    place = position(track, time)
    if place is not None:
        east = np.mod(place[1] + 180.0, 360.0) - 180.0
        axes.plot([east], [place[0]], "*", color="black", mec="white", mew=0.5, ms=9, zorder=5)
