"""Skill by lead time: since the latest analysis, and of free forecasts where a run has any.

Statistics and classes are those of :mod:`da.verification.lead_time`, as in the tables.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.style import COLOUR, DASHES, MARKER, WIDTH_IN, Drawing, in_style
from da.verification.details import EvaluationDetails
from da.verification.lead_time import LEAD_TIME_EDGES_H, LeadTimeStatistics, since_analysis

TimeArray = NDArray[np.datetime64]


@in_style
def lead_time_drawing(details: EvaluationDetails, analyses: TimeArray) -> Drawing:
    """Return root mean square ln(observed/modelled) by lead time, of all satellites.

    Parameters
    ----------
    details : EvaluationDetails
        With the statistics of the free forecasts, where the run has any.
    analyses : array, datetime64[ns]

    Raises
    ------
    ThermodaError
        If there is no analysis.
    """
    if not analyses.size:
        raise ThermodaError("the run has no analysis")
    satellites = [one.satellite for one in details.satellites]
    free = {one.satellite: one for one in details.free_forecasts}
    figure = Figure(figsize=(WIDTH_IN, 0.4 + 2.6 * len(satellites)), layout="constrained")
    panels = figure.subplots(len(satellites), 2 if free else 1, squeeze=False, sharey="row")
    words = []
    for axes, satellite in zip(panels, satellites, strict=True):
        name = f"{satellite.satellite} ({satellite.role})"
        short = since_analysis(satellite, analyses)
        _draw(axes[0], short, "since the latest analysis")
        axes[0].set_title(f"{name}, cycled" if free else name)
        if free:
            _draw(axes[1], free[satellite.satellite], "since the start of the free forecast")
            axes[1].set_title(f"{name}, free")
        # Not before both panels are drawn, which share the axis.
        axes[0].set_ylim(bottom=0.0)
        axes[0].set_ylabel("RMS ln(observed/modelled)")
        ends = {row: values[np.isfinite(values)] for row, values in short.rms_log_ratio().items()}
        words += [f"{name} {row} {values[0]:.3f} to {values[-1]:.3f}" for row, values in ends.items() if values.size]
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
    number = max((one.forecasts for one in details.free_forecasts), default=0)
    more = f" Right: {number} free forecasts; the scale factor persists from their start." if free else ""
    return Drawing(
        "lead_time",
        "Skill by lead time",
        "Root mean square of ln(observed/modelled) by the time since the latest analysis. Rows without an analysis "
        f"show what the choice of points alone does.{more}",
        f"Lines of root mean square ln(observed/modelled) by lead time, first to last class: {'; '.join(words)}.",
        figure,
    )


def _draw(axes: Axes, statistics: LeadTimeStatistics, label: str) -> None:
    short = statistics.edges_h[-1] <= LEAD_TIME_EDGES_H[1]
    bounds = (60.0 if short else 1.0) * statistics.edges_h
    middle = 0.5 * (bounds[1:] + bounds[:-1])
    for row, values in statistics.rms_log_ratio().items():
        axes.plot(middle, values, color=COLOUR[row], ls=DASHES[row], marker=MARKER[row], ms=3.5, label=str(row))
    axes.set_xlim(bounds[0], bounds[-1])
    axes.set_xlabel(f"{'minutes' if short else 'hours'} {label}")
