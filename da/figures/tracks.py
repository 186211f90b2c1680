"""Densities along one satellite's track (Figures 4 and 11 of Corbin & Kusche 2022), orbit averages and Kp.

Panels (a) and (b) show densities around the strongest geomagnetic activity, (b) with the spread of the forecasts as a
band, (c) orbit averages of ln(observation/model) over the whole period and (d) Kp. Transits of the poles are marked:
dashed the northern, dotted the southern ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.figures.style import (
    COLOUR,
    DASHES,
    MARKER,
    SHADE,
    TEXT_POINTS,
    WIDTH_IN,
    Drawing,
    broken,
    date_axis,
    day_number,
    hide_dates,
    in_style,
    legend_above,
    minute,
    write_drawing,
)
from da.verification.details import tested_row
from da.verification.evaluation import STORM_KP, Activity, Evaluation, Row, SatelliteEvaluation
from da.verification.orbits import GAP, orbit_number
from da.verification.run_folder import ANALYSIS_FILE
from da.verification.sampling import open_fields
from da.verification.tables import density_exponent

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]
Window = tuple[np.datetime64, np.datetime64]

WINDOW = np.timedelta64(12, "h")
"""Longest period shown in panels (a) and (b)."""

ORBIT_GAP = np.timedelta64(150, "m")
"""Lines of orbit averages are broken where there is none for longer than this, more than one orbit and a half."""

_EMPIRICAL = (Row.MSIS, Row.CALIBRATED_MSIS, Row.PERSISTED)
_ENSEMBLE = (Row.OPEN_LOOP, Row.FORECAST, Row.ANALYSIS)
_POLE_DEG = 80.0
_DAY = np.timedelta64(1, "D")


def write_figures(run: Path, evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write ``<track>.pdf`` and ``<track>.png`` of every satellite into a folder and return their paths.

    Parameters
    ----------
    run : Path
        Folder of the run, for the times of its analyses.
    evaluation : Evaluation
        Of this run.
    folder : Path
        Made where it is missing; a figure appears under its name only when it is whole.
    """
    times = analysis_times(run)
    drawings = [storm_drawing(evaluation, satellite, times) for satellite in evaluation.satellites]
    return [path for drawing in drawings for path in write_drawing(drawing, folder)]


def analysis_times(run: Path) -> TimeArray:
    """Return the times of a run's analyses; none where it assimilates nothing."""
    if not (run / ANALYSIS_FILE).is_file():
        return np.array([], dtype="datetime64[ns]")
    with open_fields(run / ANALYSIS_FILE) as analysis:
        return analysis.time


@in_style
def storm_drawing(evaluation: Evaluation, satellite: SatelliteEvaluation, analysis_time: TimeArray) -> Drawing:
    """Return one satellite's densities around the strongest Kp, its orbit averages and Kp (Figure 11).

    Parameters
    ----------
    evaluation : Evaluation
        For the title.
    satellite : SatelliteEvaluation
        One of its satellites.
    analysis_time : array, datetime64[ns]
        Drawn as dotted lines.
    """
    figure = Figure(figsize=(WIDTH_IN, 8.6), layout="constrained")
    grid = figure.add_gridspec(4, 1, height_ratios=(3.0, 3.0, 3.0, 1.0))
    window = storm_window(satellite.points.time, satellite.kp)
    ratios = figure.add_subplot(grid[2])
    activity = figure.add_subplot(grid[3], sharex=ratios)
    panels = (figure.add_subplot(grid[0]), figure.add_subplot(grid[1]))
    _draw_window(panels, satellite, analysis_time, window)
    _draw_ratios(ratios, satellite)
    _draw_kp(activity, satellite, window)
    for axes, title in (
        (ratios, "(c) orbit means"),
        (activity, "(d) geomagnetic activity (bar: period of a and b; grey: Kp ≥ 5)"),
    ):
        _dress(axes, title)
    hide_dates(ratios)
    _title(figure, evaluation, satellite)
    return Drawing(
        satellite.key,
        f"{satellite.satellite}: density along the track, and orbit means",
        "Densities (a, b) around the strongest geomagnetic activity, with ± one standard deviation of the forecast; "
        "vertical lines: analyses (b), transits of the poles (a; dashed: north, dotted: south). Means over orbits of "
        "ln(observed/modelled) (c) and Kp (d) of the whole run.",
        _alternative(satellite, window),
        figure,
    )


@in_style
def first_hours_drawing(
    evaluation: Evaluation, satellite: SatelliteEvaluation, analysis_time: TimeArray
) -> Drawing | None:
    """Return the densities of the first hours (Figure 4), or None where these are what the storm's figure shows."""
    time = satellite.points.time
    window = (time[0], min(time[0] + WINDOW, time[-1]))
    if storm_window(time, satellite.kp) == window:
        return None
    figure = Figure(figsize=(WIDTH_IN, 4.6), layout="constrained")
    first, second = figure.subplots(2, 1)
    _draw_window((first, second), satellite, analysis_time, window)
    _title(figure, evaluation, satellite)
    return Drawing(
        f"{satellite.key}_first_hours",
        f"{satellite.satellite}: density along the track in the first hours",
        "Densities of the first hours of the run, with ± one standard deviation of the forecast; vertical lines: "
        "analyses (b), transits of the poles (a; dashed: north, dotted: south).",
        _alternative(satellite, window),
        figure,
    )


def storm_window(time: TimeArray, kp: FloatArray) -> Window:
    """Return the period of at most 12 h around the strongest Kp, or the first hours where no point has Kp >= 5.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        Increasing.
    kp : array (n,)
    """
    first, last = time[0], time[-1]
    start = first
    if kp.max() >= STORM_KP:
        strongest = np.flatnonzero(kp == kp.max())
        later = strongest[np.r_[False, np.diff(strongest) > 1]]
        end = strongest[-1] if not later.size else strongest[np.searchsorted(strongest, later[0]) - 1]
        middle = time[strongest[0]] + (time[end] - time[strongest[0]]) / 2
        start = max(first, min(middle - WINDOW / 2, last - WINDOW))
    return start, min(start + WINDOW, last)


def storm_periods(time: TimeArray, kp: FloatArray) -> list[Window]:
    """Return the first and last time of every unbroken series of points with Kp >= 5."""
    edges = np.diff(np.r_[0, (kp >= STORM_KP).astype(np.int64), 0])
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [(time[begin], time[end]) for begin, end in zip(begins, ends, strict=True)]


def pole_transits(time: TimeArray, latitude: FloatArray) -> tuple[TimeArray, TimeArray]:
    """Return the times at which a track is closest to the northern and to the southern pole, beyond 80 degrees.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
    latitude : array (n,)
        Degrees; ends of the track are no transits.
    """
    inner = latitude[1:-1]
    north = (inner > _POLE_DEG) & (inner >= latitude[:-2]) & (inner > latitude[2:])
    south = (inner < -_POLE_DEG) & (inner <= latitude[:-2]) & (inner < latitude[2:])
    return time[1:-1][north], time[1:-1][south]


def shade_storms(axes: Axes, time: TimeArray, kp: FloatArray) -> None:
    """Shade the periods with Kp >= 5."""
    for begin, end in storm_periods(time, kp):
        axes.axvspan(day_number(begin), day_number(end), color=SHADE, lw=0, zorder=0)


def _alternative(satellite: SatelliteEvaluation, window: Window) -> str:
    """Return in words what the lines show: how far each row is from the observations."""
    rows = satellite.statistics[Activity.ALL]
    scores = ", ".join(f"{row} {rows[row].pairs.value().rms_log_ratio:.3f}" for row in satellite.modelled)
    return (
        f"Line plots of observed and modelled density along {satellite.satellite} from {minute(window[0])} to "
        f"{minute(window[1])} UTC. Root mean square of ln(observed/modelled) over the whole run: {scores}."
    )


def _title(figure: Figure, evaluation: Evaluation, satellite: SatelliteEvaluation) -> None:
    head, _, tail = evaluation.title(satellite).partition("; ")
    figure.align_ylabels()
    figure.suptitle(f"{head}\n{tail}")


def _draw_window(
    panels: tuple[Axes, Axes], satellite: SatelliteEvaluation, analysis_time: TimeArray, window: Window
) -> None:
    """Draw panels (a) and (b) of one period."""
    start, stop = window
    top, bottom = panels
    _draw_densities(top, satellite, _EMPIRICAL, window)
    _draw_densities(bottom, satellite, _ENSEMBLE, window)
    bottom.sharex(top)
    bottom.sharey(top)
    shown = analysis_time[(analysis_time >= start) & (analysis_time < stop)]
    for number, time in enumerate(shown):
        label = "analyses" if number == 0 else ""
        bottom.axvline(day_number(time), color="0.35", ls=":", lw=0.7, zorder=1, label=label)
    for times, dashes in zip(pole_transits(satellite.points.time, satellite.points.latitude), ("--", ":"), strict=True):
        for time in times[(times >= start) & (times < stop)]:
            top.axvline(day_number(time), color="0.6", ls=dashes, lw=0.6, zorder=1)
    _draw_spread(bottom, satellite, tested_row(satellite), window)
    _dress(top, "(a) empirical model")
    _dress(bottom, "(b) ensemble means")
    hide_dates(top)


def _draw_densities(axes: Axes, satellite: SatelliteEvaluation, rows: tuple[Row, ...], window: Window) -> None:
    start, stop = window
    time = satellite.points.time
    chosen = (time >= start) & (time <= stop)
    exponent = density_exponent(satellite)
    scale = 10.0**-exponent
    axes.plot(*broken(time[chosen], scale * satellite.observed[chosen], GAP), color="black", lw=0.9, label="observed")
    for row in (one for one in rows if one in satellite.modelled):
        series = broken(time[chosen], scale * satellite.modelled[row][chosen], GAP)
        axes.plot(*series, color=COLOUR[row], ls=DASHES[row], label=str(row))
    shade_storms(axes, time[chosen], satellite.kp[chosen])
    axes.set_xlim(day_number(start), day_number(stop))
    axes.set_ylabel(f"density [$10^{{{exponent}}}$ kg m$^{{-3}}$]")


def _draw_spread(axes: Axes, satellite: SatelliteEvaluation, row: Row, window: Window) -> None:
    start, stop = window
    time = satellite.points.time
    chosen = (time >= start) & (time <= stop)
    scale = 10.0 ** -density_exponent(satellite)
    mean, spread = scale * satellite.modelled[row][chosen], scale * satellite.spread[row][chosen]
    if np.isfinite(spread).any():
        (at, low), (_, high) = (broken(time[chosen], mean + sign * spread, GAP) for sign in (-1.0, 1.0))
        axes.fill_between(at, low, high, color=COLOUR[row], alpha=0.2, lw=0, label=f"{row} ± spread", zorder=1.5)


def _draw_ratios(axes: Axes, satellite: SatelliteEvaluation) -> None:
    """Draw averages over orbits, leaving out those of which more than a quarter of the points is missing."""
    time = satellite.points.time
    orbit = orbit_number(time, satellite.points.latitude)
    number = np.bincount(orbit)
    whole = number >= 0.75 * number.max()
    days = np.bincount(orbit, (time - time[0]) / _DAY) / number
    middle = time[0] + (days * _DAY.astype("m8[ns]")).astype("m8[ns]")
    for row, modelled in satellite.modelled.items():
        mean = np.bincount(orbit, np.log(satellite.observed / modelled)) / number
        series = broken(middle[whole], mean[whole], ORBIT_GAP)
        size = float(np.clip(250.0 / number.size, 1.0, 3.0))
        axes.plot(*series, color=COLOUR[row], marker=MARKER[row], ms=size, lw=0.8, label=str(row))
    axes.axhline(0.0, color="black", lw=0.8, zorder=1)
    shade_storms(axes, time, satellite.kp)
    axes.set_ylabel("ln(observed/modelled)")


def _draw_kp(axes: Axes, satellite: SatelliteEvaluation, window: Window) -> None:
    time, kp = satellite.points.time, satellite.kp
    axes.fill_between(*broken(time, kp, GAP), step="post", color="0.55", lw=0)
    axes.axhline(STORM_KP, color="black", lw=0.6, ls="--")
    axes.plot(list(window), [9.4, 9.4], color="black", lw=2.5, solid_capstyle="butt")
    shade_storms(axes, time, kp)
    axes.set_xlim(day_number(time[0]), day_number(time[-1]))
    axes.set_ylim(0.0, 10.0)
    axes.set_yticks([0, 3, 5, 7, 9])
    axes.set_ylabel("Kp")


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=TEXT_POINTS)
    date_axis(axes)
    if axes.get_legend_handles_labels()[1] and axes.get_ylabel() != "Kp":
        legend_above(axes)
