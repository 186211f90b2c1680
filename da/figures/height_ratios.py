"""What an analysis does by height: adopted part of the innovation and ratios of standard deviations (Figures 8, 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from da.figures.style import BLUE, SKY, VERMILION, WIDTH_IN, Drawing, date_axis, day_numbers, in_style, minute
from da.verification.analysis_records import AnalysisRecords

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

FIRST_FRACTIONS = 9
FIRST_RATIOS = 4
"""Analyses drawn as profiles: as many as in the paper."""

_HALF_HOUR = np.timedelta64(30, "m")


FRACTION_EDGES = (-0.25, -0.05, 0.05, 0.25, 0.5, 0.75, 0.95, 1.05, 1.25)
FRACTION_COLOURS = ListedColormap(
    ["#F2B58A", "#F7F7F7", *mpl.colormaps["cividis_r"](np.linspace(0.1, 0.95, 5)), SKY]
).with_extremes(under=VERMILION, over=BLUE)
"""Orange: away from the observations; white: no effect; the darker, the more is adopted; blue: overshoot."""


@dataclass(frozen=True)
class _Scale:
    """Colours of a quantity over time and height."""

    colours: Colormap
    limits: Normalize
    extend: Literal["both", "max"]
    label: str


@in_style
def adopted_fraction_drawing(records: AnalysisRecords) -> Drawing:
    """Return the adopted part of the innovation by height: profiles of the first analyses, and all analyses.

    Parameters
    ----------
    records : AnalysisRecords
    """
    height, quartiles = records.quartiles(records.adopted_fraction())
    figure = Figure(figsize=(WIDTH_IN, 4.2), layout="constrained")
    profiles, whole = figure.subplots(1, 2, width_ratios=(1.0, 1.3), sharey=True)
    _draw_profiles(profiles, records.time, height, quartiles, FIRST_FRACTIONS)
    for value, dashes in ((0.0, "-"), (1.0, "--")):
        profiles.axvline(value, color="black", lw=0.7, ls=dashes, zorder=1)
    medians = quartiles[1, :FIRST_FRACTIONS]
    known = medians[np.isfinite(medians)]
    profiles.set_xlim(max(-2.0, np.min(known, initial=-0.25)), min(4.0, np.max(known, initial=1.5)))
    profiles.set_xlabel("adopted part of the innovation")
    profiles.set_ylabel("altitude [km]")
    profiles.set_title("(a) first analyses")
    scale = _Scale(FRACTION_COLOURS, BoundaryNorm(FRACTION_EDGES, FRACTION_COLOURS.N), "both", "median adopted part")
    _draw_whole(whole, records.time, height, quartiles[1], scale)
    whole.set_title("(b) all analyses")
    title = "analysis (UTC)"
    figure.legend(*profiles.get_legend_handles_labels(), loc="outside lower center", ncols=5, title=title)
    return Drawing(
        "adopted_fraction",
        "Adopted part of the innovation",
        "(H(xᵃ) − H(xᶠ)) / (y − H(xᶠ)) by height. Zero: no effect; one: the analysis agrees with the observations; "
        "below zero (orange in b): pushed away from them; above one (blue in b): overshoot. Lines in (a): medians, "
        "bands: quartiles; (b): medians, and within 0.05 of zero white.",
        f"Profiles of the adopted part of the innovation. {_in_words(height, quartiles[1, 0])}",
        figure,
    )


@in_style
def spread_ratio_drawing(records: AnalysisRecords) -> Drawing:
    """Return ratios of standard deviations by height: assumed error and analysis spread, over forecast spread.

    Parameters
    ----------
    records : AnalysisRecords
    """
    height, errors = records.quartiles(records.error_ratio())
    _, spreads = records.quartiles(records.spread_ratio())
    figure = Figure(figsize=(WIDTH_IN, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.2, 1.0))
    left = figure.add_subplot(grid[0, 0])
    right = figure.add_subplot(grid[0, 1], sharey=left)
    whole = figure.add_subplot(grid[1, :], sharey=left)
    for axes, quartiles, title in (
        (left, errors, "(a) assumed error / forecast spread"),
        (right, spreads, "(b) analysis spread / forecast spread"),
    ):
        _draw_profiles(axes, records.time, height, quartiles, FIRST_RATIOS)
        axes.axvline(1.0, color="black", lw=0.7, ls="--", zorder=1)
        axes.set_title(title)
        axes.set_xlabel("ratio of standard deviations")
    left.set_xscale("log")
    left.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    left.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    left.xaxis.set_minor_formatter(NullFormatter())
    left.legend(title="analysis (UTC)", loc="best", handlelength=1.2)
    upper = spreads[2, :FIRST_RATIOS]
    right.set_xlim(0.0, 1.05 * np.max(upper[np.isfinite(upper)], initial=1.05))
    left.set_ylabel("altitude [km]")
    scale = _Scale(mpl.colormaps["cividis"].with_extremes(over=VERMILION), Normalize(0.0, 1.0), "max", "median ratio")
    _draw_whole(whole, records.time, height, spreads[1], scale)
    whole.set_ylabel("altitude [km]")
    whole.set_title("(c) analysis spread / forecast spread, all analyses")
    return Drawing(
        "spread_ratio",
        "Ratios of standard deviations",
        "By height: assumed observation error over the spread of the forecast (a), and spread of the analysis over "
        "that of the forecast (b, c). Above one in (a), the observations are trusted less than the forecast; a small "
        "ratio in (b) is a collapse of the spread. Lines: medians; bands: quartiles.",
        "Profiles of ratios of standard deviations. Analysis over forecast spread at the first analysis: "
        f"{_in_words(height, spreads[1, 0])}",
        figure,
    )


def _in_words(height: FloatArray, values: FloatArray) -> str:
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return "No value is known."
    shown = known[np.unique(np.linspace(0, known.size - 1, 5).astype(int))]
    return "Medians: " + ", ".join(f"{values[place]:.2f} at {height[place]:g} km" for place in shown) + "."


def _draw_profiles(axes: Axes, time: TimeArray, height: FloatArray, quartiles: FloatArray, number: int) -> None:
    """Draw medians and quartiles (3, analyses, heights) of the first analyses; a single height as points."""
    shown = min(number, len(time))
    colours = mpl.colormaps["cividis"](np.linspace(0.0, 0.95, shown))
    for index in range(shown):
        low, median, high = quartiles[:, index]
        label = minute(time[index])[5:]
        marker = "o" if height.size < 3 else ""
        axes.plot(median, height, color=colours[index], marker=marker, ms=3, label=label, zorder=3)
        axes.fill_betweenx(height, low, high, color=colours[index], alpha=0.12, lw=0)


def _draw_whole(axes: Axes, time: TimeArray, height: FloatArray, median: FloatArray, scale: _Scale) -> None:
    """Draw medians (analyses, heights) over time and height."""
    axes.pcolormesh(
        day_numbers(_edges_of_time(time)),
        edges(height),
        median.T,
        cmap=scale.colours,
        norm=scale.limits,
        rasterized=True,
    )
    date_axis(axes, ticks=6)
    mappable = ScalarMappable(scale.limits, scale.colours)
    axes.figure.colorbar(mappable, ax=axes, extend=scale.extend, pad=0.02).set_label(scale.label)


def edges(centres: FloatArray) -> FloatArray:
    """Return the bounds (n + 1,) of cells around increasing centres (n,): half-way, and as far beyond the ends."""
    if centres.size == 1:
        return np.array([centres[0] - 0.5 * 25.0, centres[0] + 0.5 * 25.0])
    middle = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[2.0 * centres[0] - middle[0]], middle, [2.0 * centres[-1] - middle[-1]]])


def _edges_of_time(time: TimeArray) -> TimeArray:
    """Return the bounds of cells around times: each begins half an interval before its analysis."""
    if len(time) == 1:
        return np.array([time[0] - _HALF_HOUR, time[0] + _HALF_HOUR])
    seconds = (time - time[0]) / np.timedelta64(1, "s")
    bounds: TimeArray = time[0] + (1e9 * edges(np.asarray(seconds))).astype("m8[ns]")
    return bounds
