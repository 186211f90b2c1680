"""Scale factors along the calibrating track against argument of latitude and time, raw and filtered (Figure 3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.style import BLUE, WIDTH_IN, Drawing, date_axis, day_numbers, hide_dates, in_style
from da.stored_dataset import stored_dataset
from da.stored_provenance import NAME
from da.verification.orbits import GAP, argument_of_latitude_deg, orbits_of
from da.verification.run_folder import StoredTrack, read_track
from da.verification.strata import solar_zenith_deg

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

BIN_DEG = 5.0
QUARTILES = (25.0, 50.0, 75.0)
_POLES_DEG = (90.0, 270.0)


@dataclass(frozen=True)
class FactorGrid:
    """Means of a quantity along a track, sorted by orbit and argument of latitude.

    Parameters
    ----------
    start : array (columns + 1,), datetime64[ns]
        Bounds of the columns: orbits, and the gaps between them.
    bounds_deg : array (bins + 1,)
        Bounds of the classes of argument of latitude.
    values : array (bins, columns)
        NaN without points.
    """

    start: TimeArray
    bounds_deg: FloatArray
    values: FloatArray


def calibrating_track(run: Path) -> StoredTrack:
    """Return the track of the satellite by which a run's NRLMSIS is calibrated.

    Raises
    ------
    ThermodaError
        If ``calibration.nc`` or the track is missing or cannot be read.
    """
    path = run / "calibration.nc"
    with stored_dataset(path) as dataset:
        satellite = str(dataset.attrs.get("satellite", ""))
    if not NAME.fullmatch(satellite):
        raise ThermodaError(f"{path}: attribute satellite={satellite!r} is no name of a satellite; repeat the run")
    track = run / f"track_{satellite}.nc"
    if not track.is_file():
        raise ThermodaError(f"{track} is missing, the track of the calibrating satellite")
    return read_track(track)


def by_argument_of_latitude(track: StoredTrack, values: FloatArray) -> FactorGrid:
    """Return means of values (n,) of a track's points by orbit and 5 degrees of argument of latitude."""
    time = track.points.time
    argument = argument_of_latitude_deg(time, track.points.latitude)
    orbit = orbits_of(track.points)
    start, column = _columns(time, orbit)
    bins = int(360.0 / BIN_DEG)
    usable = np.isfinite(argument) & np.isfinite(values)
    place = (argument[usable] // BIN_DEG).astype(np.int64) * (start.size - 1) + column[usable]
    size = bins * (start.size - 1)
    count = np.bincount(place, minlength=size)
    total = np.bincount(place, values[usable], minlength=size)
    mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
    return FactorGrid(start, np.linspace(0.0, 360.0, bins + 1), mean.reshape(bins, -1))


def _columns(time: TimeArray, orbit: NDArray[np.int64]) -> tuple[TimeArray, NDArray[np.int64]]:
    """Return the bounds of the columns, one per orbit and one per gap between two, and the column of each point."""
    first = np.flatnonzero(np.r_[True, np.diff(orbit) > 0])
    after_gap = np.r_[False, time[first[1:]] - time[first[1:] - 1] > GAP]
    shift = np.cumsum(after_gap)
    rank = np.searchsorted(orbit[first], orbit)
    start = np.insert(time[first], np.flatnonzero(after_gap), time[first[after_gap] - 1])
    return np.append(start, time[-1]), rank + shift[rank]


@in_style
def scale_factor_drawing(run: Path) -> Drawing:
    """Return the scale factors of a run, raw and filtered.

    Raises
    ------
    ThermodaError
        If the run does not hold them.
    """
    track = calibrating_track(run)
    usable = track.usable()
    if not usable.any():
        raise ThermodaError(f"{run / track.key}.nc holds no usable point")
    raw = np.where(usable, track.observed / track.averaged(np.where(usable, track.msis, np.nan)), np.nan)
    filtered = np.where(usable, track.calibrated_msis / track.msis, np.nan)
    figure = Figure(figsize=(WIDTH_IN, 8.4), layout="constrained")
    halves = figure.add_gridspec(2, 1)
    limits = Normalize(*np.nanpercentile(raw, (1.0, 99.0)))
    for number, (values, letters, name) in enumerate(((raw, "abc", "raw"), (filtered, "def", "filtered"))):
        part = figure.add_subfigure(halves[number])
        _draw_block(part, track, values, limits, letters, name)
    middle = np.nanmedian(filtered)
    return Drawing(
        "scale_factors",
        f"Scale factors of NRLMSIS along {track.satellite}",
        f"Observed density of {track.satellite} over that of NRLMSIS (a) and after the low-pass filter (d), by time "
        "and argument of latitude; solid lines: border of day and night, dashed lines: closest to the poles. Medians "
        "(lines) and quartiles (bands) by argument of latitude (b, e) and by orbit (c, f).",
        f"Images of the scale factor by time and argument of latitude. Median of the raw factor "
        f"{np.nanmedian(raw):.2f}, of the filtered one {middle:.2f}; standard deviations {np.nanstd(raw):.2f} and "
        f"{np.nanstd(filtered):.2f}.",
        figure,
    )


def _draw_block(
    part: SubFigure, track: StoredTrack, values: FloatArray, limits: Normalize, letters: str, name: str
) -> None:
    """Draw the image, its medians by argument of latitude to the right, and by orbit below."""
    grid = part.add_gridspec(2, 2, width_ratios=(4.0, 1.0), height_ratios=(2.2, 1.0))
    image = part.add_subplot(grid[0, 0])
    side = part.add_subplot(grid[0, 1], sharey=image)
    below = part.add_subplot(grid[1, 0], sharex=image)
    sorted_values = by_argument_of_latitude(track, values)
    mesh = image.pcolormesh(
        day_numbers(sorted_values.start),
        sorted_values.bounds_deg,
        sorted_values.values,
        cmap=mpl.colormaps["cividis"],
        norm=limits,
        rasterized=True,
    )
    _draw_night(image, track)
    _draw_medians(side, sorted_values, along_time=False)
    _draw_medians(below, sorted_values, along_time=True)
    for axes in (image, side):
        axes.set_yticks([0, 90, 180, 270, 360])
        for pole in _POLES_DEG:
            axes.axhline(pole, color="black", ls="--", lw=0.6)
    image.set_ylabel("argument of latitude [°]")
    side.tick_params(labelleft=False)
    below.set_ylabel("scale factor")
    date_axis(below)
    hide_dates(image)
    for axes, letter, what in zip(
        (image, side, below), letters, (f"scale factor, {name}", "by argument", "scale factor by orbit"), strict=True
    ):
        axes.set_title(f"({letter}) {what}")
    corner = part.add_subplot(grid[1, 1])
    corner.set_axis_off()
    bar = corner.inset_axes((0.0, 0.55, 1.0, 0.18))
    part.colorbar(mesh, cax=bar, orientation="horizontal", extend="both", label="scale factor")


def _draw_night(axes: Axes, track: StoredTrack) -> None:
    """Draw the border of day and night, where the solar zenith angle at the points is 90 degrees."""
    points = track.points
    grid = by_argument_of_latitude(track, solar_zenith_deg(points.time, points.latitude, points.longitude))
    if grid.values.shape[1] < 2:
        return
    days, bounds = day_numbers(grid.start), grid.bounds_deg
    middles = 0.5 * (days[1:] + days[:-1]), 0.5 * (bounds[1:] + bounds[:-1])
    if np.nanmin(grid.values) < 90.0 < np.nanmax(grid.values):
        axes.contour(*middles, grid.values, levels=[90.0], colors="black", linewidths=0.9)


def _draw_medians(axes: Axes, grid: FactorGrid, *, along_time: bool) -> None:
    """Draw median and quartiles of the grid's rows or columns."""
    axis = 0 if along_time else 1
    known = np.any(np.isfinite(grid.values), axis=axis)
    values = np.where(np.expand_dims(known, axis), grid.values, 0.0)
    low, median, high = np.where(known, np.nanpercentile(values, QUARTILES, axis=axis), np.nan)
    bounds = day_numbers(grid.start) if along_time else grid.bounds_deg
    at = 0.5 * (bounds[1:] + bounds[:-1])
    if along_time:
        axes.plot(at, median, color=BLUE)
        axes.fill_between(at, low, high, color=BLUE, alpha=0.25, lw=0)
    else:
        axes.plot(median, at, color=BLUE)
        axes.fill_betweenx(at, low, high, color=BLUE, alpha=0.25, lw=0)
