"""Whether the spread of the ensemble tells its error: error against spread, ranks of the observations, reliability."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from da.figures.style import COLOUR, DASHES, MARKER, WIDTH_IN, Drawing, in_style
from da.verification.details import EvaluationDetails, SatelliteDetails
from da.verification.evaluation import Activity
from da.verification.probabilistic import PIT_BINS


@in_style
def reliability_drawing(details: EvaluationDetails) -> Drawing:
    """Return error against spread, ranks of the observations and reliability diagrams, of all satellites.

    Parameters
    ----------
    details : EvaluationDetails
    """
    number = len(details.satellites)
    figure = Figure(figsize=(WIDTH_IN, 0.4 + 2.5 * number), layout="constrained")
    panels = figure.subplots(number, 3, squeeze=False)
    for (left, middle, right), one in zip(panels, details.satellites, strict=True):
        _draw_spread_skill(left, one)
        _draw_ranks(middle, one)
        _draw_reliability(right, one)
        left.set_title(f"{one.satellite.satellite} ({one.satellite.role})")
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=6)
    return Drawing(
        "reliability",
        "Spread and skill, ranks of the observations, reliability",
        "Left: root mean square error of ln density in classes of its spread; on the diagonal (black) if reliable, "
        "above it if the ensemble is too sure of itself; larger markers stand for more points. Middle: how often the "
        "observation falls into each tenth of the predicted distribution (log-normal; probability integral transform, "
        "the rank histogram of an ensemble whose members are not stored); flat if reliable, U-shaped if the spread is "
        "too small. Right: observed frequency of a density above the median of those observed, in classes of its "
        "predicted probability; on the diagonal if reliable. Rows without an ensemble are in the tables.",
        f"Plots of error against spread, rank histograms and reliability diagrams. {_in_words(details)}",
        figure,
    )


def _draw_spread_skill(axes: Axes, one: SatelliteDetails) -> None:
    largest = 0.0
    for row, classes in one.spread_skill.items():
        spread, error = classes.value()
        known = np.flatnonzero(np.isfinite(spread) & np.isfinite(error))
        if not known.size:
            continue
        share = classes.count[known] / classes.count.sum()
        axes.plot(spread[known], error[known], color=COLOUR[row], ls=DASHES[row], label=str(row))
        axes.scatter(spread[known], error[known], 8.0 + 60.0 * share, color=COLOUR[row], marker=MARKER[row], zorder=3)
        largest = max(largest, float(np.max(error[known])), float(np.max(spread[known])))
    limit = 1.08 * largest or 1.0
    axes.plot([0.0, limit], [0.0, limit], color="black", lw=0.7, zorder=1)
    axes.set_xlim(0.0, limit)
    axes.set_ylim(0.0, limit)
    axes.set_xlabel("spread of ln density")
    axes.set_ylabel("RMS error of ln density")


def _draw_ranks(axes: Axes, one: SatelliteDetails) -> None:
    bounds = np.linspace(0.0, 1.0, PIT_BINS + 1)
    for row in one.spread_skill:
        frequency = one.satellite.statistics[Activity.ALL][row].distribution.value().pit
        if np.isfinite(frequency).all():
            axes.stairs(PIT_BINS * frequency, bounds, color=COLOUR[row], ls=DASHES[row], lw=1.2, label=str(row))
    axes.axhline(1.0, color="black", lw=0.7, zorder=1)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("probability of a smaller density")
    axes.set_ylabel("frequency / uniform")


def _draw_reliability(axes: Axes, one: SatelliteDetails) -> None:
    for row in one.spread_skill:
        value = one.reliability[row].value()
        known = np.flatnonzero(value.count)
        if not known.size:
            continue
        share = value.count[known] / value.count.sum()
        probability, frequency = value.probability[known], value.frequency[known]
        axes.plot(probability, frequency, color=COLOUR[row], ls=DASHES[row])
        axes.scatter(probability, frequency, 8.0 + 60.0 * share, color=COLOUR[row], marker=MARKER[row], zorder=3)
    axes.plot([0.0, 1.0], [0.0, 1.0], color="black", lw=0.7, zorder=1)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("observed frequency")


def _in_words(details: EvaluationDetails) -> str:
    parts = []
    for one in details.satellites:
        for row in one.spread_skill:
            ratio = one.satellite.statistics[Activity.ALL][row].pairs.value().spread_to_error
            if np.isfinite(ratio):
                parts.append(f"{one.satellite.satellite} {row} {ratio:.2f}")
    return f"Spread over error: {', '.join(parts) or 'not known'}."
