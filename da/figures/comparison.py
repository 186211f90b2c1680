"""Errors of several runs side by side, with their intervals, beside the rows without which no skill can be judged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from da.figures.style import COLOUR, MARKER, WIDTH_IN, Drawing, in_style
from da.verification.details import EvaluationDetails, SatelliteDetails
from da.verification.evaluation import Row

STATISTIC = "rms_log_ratio"


@in_style
def comparison_drawing(runs: Mapping[str, EvaluationDetails]) -> Drawing:
    """Return the root mean square ln(observed/modelled) of all rows of all runs along every satellite.

    Parameters
    ----------
    runs : mapping of label to EvaluationDetails
        At least one.
    """
    names = list(dict.fromkeys(one.satellite.satellite for details in runs.values() for one in details.satellites))
    height = 0.9 + 0.32 * len(runs) + 0.5
    figure = Figure(figsize=(WIDTH_IN, 0.4 + height * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    words = []
    for axes, name in zip(panels, names, strict=True):
        found = {
            label: one
            for label, details in runs.items()
            for one in details.satellites
            if one.satellite.satellite == name
        }
        _draw_satellite(axes, found)
        axes.set_title(f"{name}: 95 % intervals over orbits")
        words += [
            f"{name} {label} {row} {one.intervals[row][STATISTIC].value:.3f}"
            for label, one in found.items()
            for row in (Row.CALIBRATED_MSIS, one.tested)
        ]
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=6, handletextpad=0.2)
    panels[-1].set_xlabel("RMS ln(observed/modelled)")
    return Drawing(
        "comparison",
        "Errors of all runs",
        "Root mean square of ln(observed/modelled) at all points of a run, with 95 % block-bootstrap intervals over "
        "orbits. Intervals of two runs that overlap may still differ significantly: their errors are correlated, and "
        "the paired test is in the table of significance.",
        f"Dots with intervals, one line per run. {'; '.join(words)}.",
        figure,
    )


def _draw_satellite(axes: Axes, found: Mapping[str, SatelliteDetails]) -> None:
    for number, one in enumerate(found.values()):
        rows = list(one.intervals)
        for place, row in enumerate(rows):
            interval = one.intervals[row][STATISTIC]
            at = number + 0.6 * (place / (len(rows) - 1) - 0.5)
            label = str(row) if number == 0 else ""
            axes.plot([interval.value], [at], MARKER[row], color=COLOUR[row], ms=4, ls="none", label=label)
            if np.isfinite(interval.lower):
                axes.plot([interval.lower, interval.upper], [at, at], color=COLOUR[row], lw=1.0)
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(left=0.0)
    axes.tick_params(axis="y", length=0)
