"""Skill by lead time: since the latest analysis, and of free forecasts where a run has any.

The statistics of free forecasts are those of :mod:`da.verification.lead_time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.style import COLOUR, DASHES, MARKER, WIDTH_IN, Drawing, in_style
from da.verification.details import EvaluationDetails
from da.verification.evaluation import Row, SatelliteEvaluation
from da.verification.lead_time import LEAD_TIME_ROWS, LeadTimeStatistics

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_SHORT_CLASSES = 6
_HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class LeadTimeSums:
    """Sums of squared ln(observed/modelled) by class of lead time; adding merges points.

    Parameters
    ----------
    edges_h : array (classes + 1,)
        Half-open.
    count : array (classes,)
    squares : mapping of Row to array (classes,)
    """

    edges_h: FloatArray
    count: FloatArray
    squares: Mapping[Row, FloatArray]

    @classmethod
    def of(cls, lead_h: FloatArray, log_ratios: Mapping[Row, FloatArray], edges_h: FloatArray) -> LeadTimeSums:
        """Return the sums of points (n,); those outside the classes, or where any row is NaN, are left out."""
        usable = np.all([np.isfinite(values) for values in (lead_h, *log_ratios.values())], axis=0)
        usable &= (lead_h >= edges_h[0]) & (lead_h < edges_h[-1])
        place = np.searchsorted(edges_h, lead_h[usable], side="right") - 1
        size = edges_h.size - 1
        squares = {
            row: np.asarray(np.bincount(place, values[usable] ** 2, size), dtype=np.float64)
            for row, values in log_ratios.items()
        }
        return cls(edges_h, np.bincount(place, minlength=size).astype(np.float64), squares)

    def __add__(self, other: LeadTimeSums) -> LeadTimeSums:
        """Return the sums of both sets of points; ValueError if the classes or rows differ."""
        if not np.array_equal(self.edges_h, other.edges_h) or set(self.squares) != set(other.squares):
            raise ValueError("lead times of different classes or rows cannot be added")
        squares = {row: values + other.squares[row] for row, values in self.squares.items()}
        return LeadTimeSums(self.edges_h, self.count + other.count, squares)

    def value(self) -> dict[Row, FloatArray]:
        """Return the root mean squares (classes,) of each row; NaN without points."""
        known = self.count > 0
        return {
            row: np.sqrt(np.divide(values, self.count, out=np.full(values.size, np.nan), where=known))
            for row, values in self.squares.items()
        }


def since_analysis(satellite: SatelliteEvaluation, analyses: TimeArray) -> LeadTimeSums:
    """Return the sums of all rows by time since the latest analysis, in six classes of its longest value.

    Parameters
    ----------
    satellite : SatelliteEvaluation
    analyses : array, datetime64[ns]
        Increasing times of the analyses, at least one.
    """
    time = satellite.points.time
    latest = np.searchsorted(analyses, time, side="right") - 1
    lead = np.where(latest >= 0, (time - analyses[np.maximum(latest, 0)]) / _HOUR, np.nan)
    longest = float(np.max(np.diff(analyses)) / _HOUR) if analyses.size > 1 else float(np.nanmax(lead)) or 1.0
    ratios = {row: np.log(satellite.observed / modelled) for row, modelled in satellite.modelled.items()}
    return LeadTimeSums.of(lead, ratios, np.linspace(0.0, longest, _SHORT_CLASSES + 1))


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
    panels = figure.subplots(len(satellites), 2 if free else 1, squeeze=False)
    words = []
    for axes, satellite in zip(panels, satellites, strict=True):
        name = f"{satellite.satellite} ({satellite.role})"
        short = since_analysis(satellite, analyses)
        _draw(axes[0], 60.0 * short.edges_h, short.value(), "minutes since the latest analysis")
        axes[0].set_title(f"{name}, cycled" if free else name)
        if free:
            long = free[satellite.satellite]
            _draw(axes[1], long.edges_h, free_errors(long), "hours since the start of the free forecast")
            axes[1].set_title(f"{name}, free")
        ends = {row: values[np.isfinite(values)] for row, values in short.value().items()}
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


def free_errors(statistics: LeadTimeStatistics) -> dict[Row, FloatArray]:
    """Return the root mean squares (classes,) of each row of the free forecasts; NaN without points."""
    scores = {
        row: [rows[row].pairs.value().rms_log_ratio for rows in statistics.classes.values()] for row in LEAD_TIME_ROWS
    }
    return {row: np.array(values) for row, values in scores.items()}


def _draw(axes: Axes, bounds: FloatArray, errors: Mapping[Row, FloatArray], label: str) -> None:
    middle = 0.5 * (bounds[1:] + bounds[:-1])
    for row, values in errors.items():
        axes.plot(middle, values, color=COLOUR[row], ls=DASHES[row], marker=MARKER[row], ms=3.5, label=str(row))
    axes.set_xlim(bounds[0], bounds[-1])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(label)
    axes.set_ylabel("RMS ln(observed/modelled)")
