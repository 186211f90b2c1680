"""Figures of a run along its satellites' tracks: one PNG per satellite, for papers and reports.

Panels (a) and (b) show densities around the strongest geomagnetic activity, (b) with the spread of the forecasts as a
band, (c) orbit averages of ln(observation/model) over the whole period and (d) Kp. Figures are built without pyplot: no
state is shared between them and no window opens. The colours are those of Okabe & Ito (2008), distinct for
colour-blind readers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.verification.evaluation import STORM_KP, Evaluation, Row, SatelliteEvaluation
from da.verification.orbits import GAP, orbit_number
from da.verification.sampling import open_fields
from da.verification.tables import density_exponent

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

WINDOW = np.timedelta64(12, "h")
"""Longest period shown in panels (a) and (b)."""

ORBIT_GAP = np.timedelta64(150, "m")
"""Lines of orbit averages are broken where there is none for longer than this, more than one orbit and a half."""

_COLOUR = {
    Row.MSIS: "#E69F00",
    Row.CALIBRATED_MSIS: "#CC79A7",
    Row.PERSISTED: "#0072B2",
    Row.OPEN_LOOP: "#56B4E9",
    Row.FORECAST: "#009E73",
    Row.ANALYSIS: "#D55E00",
}
_MARKER = {
    Row.MSIS: "s",
    Row.CALIBRATED_MSIS: "D",
    Row.PERSISTED: "P",
    Row.OPEN_LOOP: "^",
    Row.FORECAST: "o",
    Row.ANALYSIS: "v",
}
_DASHES = {
    Row.MSIS: "--",
    Row.CALIBRATED_MSIS: "-",
    Row.PERSISTED: ":",
    Row.OPEN_LOOP: "--",
    Row.FORECAST: "-",
    Row.ANALYSIS: (0, (4, 1, 1, 1)),
}
_STORM_COLOUR = "#E4E4E4"
_TEXT_SIZE = 8.0
_DAY = np.timedelta64(1, "D")


def write_figures(run: Path, evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write ``<track>.png`` of every satellite into a folder and return their paths.

    Parameters
    ----------
    run : Path
        Folder of the run, for the times of its analyses.
    evaluation : Evaluation
        Of this run.
    folder : Path
        Made where it is missing; a figure appears under its name only when it is whole.
    """
    with open_fields(run / "analysis.nc") as analysis:
        analysis_time = analysis.time
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for satellite in evaluation.satellites:
        path = folder / f"{satellite.key}.png"
        partial = path.with_name(f".{path.name}.partial")
        satellite_figure(evaluation, satellite, analysis_time).savefig(partial, format="png", dpi=200)
        partial.replace(path)
        paths.append(path)
    return paths


def satellite_figure(evaluation: Evaluation, satellite: SatelliteEvaluation, analysis_time: TimeArray) -> Figure:
    """Return one satellite's figure.

    Parameters
    ----------
    evaluation : Evaluation
        For the title.
    satellite : SatelliteEvaluation
        One of its satellites.
    analysis_time : array, datetime64[ns]
        Drawn as dotted lines.
    """
    figure = Figure(figsize=(7.2, 8.6), layout="constrained")
    grid = figure.add_gridspec(4, 1, height_ratios=(3.0, 3.0, 3.0, 1.0))
    top, middle = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    ratios = figure.add_subplot(grid[2])
    activity = figure.add_subplot(grid[3], sharex=ratios)
    start, stop = storm_window(satellite.points.time, satellite.kp)
    _draw_densities(top, satellite, (Row.MSIS, Row.CALIBRATED_MSIS, Row.PERSISTED), start, stop)
    _draw_densities(middle, satellite, (Row.OPEN_LOOP, Row.FORECAST, Row.ANALYSIS), start, stop)
    middle.sharex(top)
    middle.sharey(top)
    shown = analysis_time[(analysis_time >= start) & (analysis_time < stop)]
    for number, time in enumerate(shown):
        label = "analyses" if number == 0 else ""
        middle.axvline(_day_number(time), color="0.35", ls=":", lw=0.7, zorder=1, label=label)
    _draw_spread(middle, satellite, Row.FORECAST, start, stop)
    _draw_ratios(ratios, satellite)
    _draw_kp(activity, satellite, start, stop)
    for axes, title in (
        (top, "(a) empirical model"),
        (middle, "(b) ensemble means"),
        (ratios, "(c) orbit means"),
        (activity, "(d) geomagnetic activity (bar: period of a and b)"),
    ):
        _dress(axes, title)
    for axes in (top, ratios):
        axes.tick_params(labelbottom=False)
        axes.xaxis.get_offset_text().set_visible(False)
    head, _, tail = evaluation.title(satellite).partition("; ")
    figure.align_ylabels()
    figure.suptitle(f"{head}\n{tail}", fontsize=_TEXT_SIZE + 1)
    return figure


def storm_window(time: TimeArray, kp: FloatArray) -> tuple[np.datetime64, np.datetime64]:
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


def storm_periods(time: TimeArray, kp: FloatArray) -> list[tuple[np.datetime64, np.datetime64]]:
    """Return the first and last time of every unbroken series of points with Kp >= 5."""
    edges = np.diff(np.r_[0, (kp >= STORM_KP).astype(np.int64), 0])
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [(time[begin], time[end]) for begin, end in zip(begins, ends, strict=True)]


def _day_number(time: np.datetime64) -> float:
    """Return a time in matplotlib's unit for dates: days since 1970."""
    return float(date2num(time))  # type: ignore[no-untyped-call]


def _broken(time: TimeArray, values: FloatArray, gap: np.timedelta64 = GAP) -> tuple[TimeArray, FloatArray]:
    """Return the series with a NaN inside every gap, where a line must not be drawn."""
    gaps = np.flatnonzero(np.diff(time) > gap) + 1
    return np.insert(time, gaps, time[gaps - 1] + np.timedelta64(1, "s")), np.insert(values, gaps, np.nan)


def _draw_densities(
    axes: Axes, satellite: SatelliteEvaluation, rows: tuple[Row, ...], start: np.datetime64, stop: np.datetime64
) -> None:
    time = satellite.points.time
    chosen = (time >= start) & (time <= stop)
    exponent = density_exponent(satellite)
    scale = 10.0**-exponent
    axes.plot(*_broken(time[chosen], scale * satellite.observed[chosen]), color="black", lw=0.9, label="observed")
    for row in rows:
        series = _broken(time[chosen], scale * satellite.modelled[row][chosen])
        axes.plot(*series, color=_COLOUR[row], ls=_DASHES[row], lw=1.1, label=str(row))
    _shade_storms(axes, time[chosen], satellite.kp[chosen], label="")
    axes.set_xlim(_day_number(start), _day_number(stop))
    axes.set_ylabel(f"density [$10^{{{exponent}}}$ kg m$^{{-3}}$]", fontsize=_TEXT_SIZE)


def _draw_spread(
    axes: Axes, satellite: SatelliteEvaluation, row: Row, start: np.datetime64, stop: np.datetime64
) -> None:
    time = satellite.points.time
    chosen = (time >= start) & (time <= stop)
    scale = 10.0 ** -density_exponent(satellite)
    mean, spread = scale * satellite.modelled[row][chosen], scale * satellite.spread[row][chosen]
    if np.isfinite(spread).any():
        (at, low), (_, high) = (_broken(time[chosen], mean + sign * spread) for sign in (-1.0, 1.0))
        axes.fill_between(at, low, high, color=_COLOUR[row], alpha=0.2, lw=0, label="forecast ± spread", zorder=1.5)


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
        series = _broken(middle[whole], mean[whole], ORBIT_GAP)
        size = float(np.clip(250.0 / number.size, 1.0, 3.0))
        axes.plot(*series, color=_COLOUR[row], marker=_MARKER[row], ms=size, lw=0.8, label=str(row))
    axes.axhline(0.0, color="black", lw=0.8, zorder=1)
    _shade_storms(axes, time, satellite.kp)
    axes.set_ylabel("ln(observed/modelled)", fontsize=_TEXT_SIZE)


def _draw_kp(axes: Axes, satellite: SatelliteEvaluation, start: np.datetime64, stop: np.datetime64) -> None:
    time, kp = satellite.points.time, satellite.kp
    axes.fill_between(*_broken(time, kp), step="post", color="0.55", lw=0)
    axes.axhline(STORM_KP, color="black", lw=0.6, ls="--")
    axes.plot([start, stop], [9.4, 9.4], color="black", lw=2.5, solid_capstyle="butt")
    _shade_storms(axes, time, kp)
    axes.set_xlim(_day_number(time[0]), _day_number(time[-1]))
    axes.set_ylim(0.0, 10.0)
    axes.set_yticks([0, 3, 5, 7, 9])
    axes.set_ylabel("Kp", fontsize=_TEXT_SIZE)


def _shade_storms(axes: Axes, time: TimeArray, kp: FloatArray, label: str = "Kp ≥ 5") -> None:
    for begin, end in storm_periods(time, kp):
        axes.axvspan(_day_number(begin), _day_number(end), color=_STORM_COLOUR, lw=0, zorder=0, label=label)
        label = ""


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=_TEXT_SIZE)
    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_fontsize(_TEXT_SIZE)
    axes.tick_params(labelsize=_TEXT_SIZE, direction="in", top=True, right=True)
    axes.margins(x=0.0)
    if axes.get_legend_handles_labels()[1] and axes.get_ylabel() != "Kp":
        style = {"frameon": False, "handlelength": 1.5, "columnspacing": 0.8, "borderaxespad": 0.2}
        axes.legend(fontsize=_TEXT_SIZE - 1, ncols=7, loc="lower right", bbox_to_anchor=(1.0, 1.0), **style)
