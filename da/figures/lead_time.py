"""Skill by lead time: of the forecasts since their last analysis, and of free forecasts where a run has any.

A free forecast is a file ``free_forecast_*.nc`` of stored fields like ``forecast.nc`` whose first record is the state
from which it starts. Every row is compared at the same points; the persisted scale factor is held from lead time zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.style import COLOUR, DASHES, MARKER, WIDTH_IN, Drawing, in_style
from da.verification.baselines import persisted_scale_factor
from da.verification.evaluation import Evaluation, Row, SatelliteEvaluation
from da.verification.run_folder import read_track
from da.verification.sampling import linear_trajectory, open_fields, sample

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

FREE = "free_forecast_*.nc"
FREE_STEP_H = 6.0
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


def free_forecasts(run: Path, satellite: SatelliteEvaluation, longest_h: float = 72.0) -> LeadTimeSums | None:
    """Return the sums of all free forecasts of a run by lead time, or None where it has none.

    The row "forecast" is the free forecast; "analysis" is absent.

    Raises
    ------
    ThermodaError
        If a file cannot be read.
    """
    whole = None
    edges = np.arange(0.0, longest_h + FREE_STEP_H, FREE_STEP_H)
    for path in sorted(run.glob(FREE)):
        sums = _free_forecast(path, run, satellite, edges)
        whole = sums if whole is None else whole + sums
    return whole


def _free_forecast(path: Path, run: Path, satellite: SatelliteEvaluation, edges: FloatArray) -> LeadTimeSums:
    track = read_track(run / f"{satellite.key}.nc")
    time, points = satellite.points.time, satellite.points
    mass_ratio = track.unmodelled_mass_ratio[np.searchsorted(track.points.time, time)]
    with open_fields(path) as fields:
        density = sample(linear_trajectory(fields), points).density * mass_ratio
        start = fields.time[:1]
    msis = satellite.modelled[Row.MSIS]
    held = persisted_scale_factor(time, msis, satellite.modelled[Row.CALIBRATED_MSIS], start)
    rows = {
        Row.MSIS: msis,
        Row.CALIBRATED_MSIS: satellite.modelled[Row.CALIBRATED_MSIS],
        Row.PERSISTED: msis * held,
        Row.OPEN_LOOP: satellite.modelled[Row.OPEN_LOOP],
        Row.FORECAST: density,
    }
    ratios = {row: np.log(satellite.observed / modelled) for row, modelled in rows.items()}
    return LeadTimeSums.of((time - start[0]) / _HOUR, ratios, edges)


@in_style
def lead_time_drawing(run: Path, evaluation: Evaluation, analyses: TimeArray) -> Drawing:
    """Return root mean square ln(observed/modelled) by lead time, of all satellites.

    Parameters
    ----------
    run : Path
    evaluation : Evaluation
        Of this run.
    analyses : array, datetime64[ns]

    Raises
    ------
    ThermodaError
        If there is no analysis, or a free forecast cannot be read.
    """
    if not analyses.size:
        raise ThermodaError(f"{run / 'analysis.nc'} holds no analysis")
    found = [(one, since_analysis(one, analyses), free_forecasts(run, one)) for one in evaluation.satellites]
    free = any(longer is not None for *_, longer in found)
    figure = Figure(figsize=(WIDTH_IN, 0.4 + 2.6 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), 2 if free else 1, squeeze=False)
    words = []
    for axes, (satellite, short, longer) in zip(panels, found, strict=True):
        name = f"{satellite.satellite} ({satellite.role})"
        _draw_sums(axes[0], short, 60.0, "minutes since the latest analysis")
        axes[0].set_title(name if not free else f"{name}, cycled")
        if longer is not None:
            _draw_sums(axes[1], longer, 1.0, "hours since the start of the free forecast")
            axes[1].set_title(f"{name}, free")
        elif free:
            axes[1].set_axis_off()
        ends = {row: values[np.isfinite(values)] for row, values in short.value().items()}
        words += [f"{name} {row} {values[0]:.3f} to {values[-1]:.3f}" for row, values in ends.items() if values.size]
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
    long = f" Right: free forecasts from {len(list(run.glob(FREE)))} analyses." if free else ""
    return Drawing(
        "lead_time",
        "Skill by lead time",
        "Root mean square of ln(observed/modelled) by the time since the latest analysis. Rows without an analysis "
        f"show what the choice of points alone does.{long}",
        f"Lines of root mean square ln(observed/modelled) by lead time, first to last class: {'; '.join(words)}.",
        figure,
    )


def _draw_sums(axes: Axes, sums: LeadTimeSums, unit: float, label: str) -> None:
    middle = unit * 0.5 * (sums.edges_h[1:] + sums.edges_h[:-1])
    for row, values in sums.value().items():
        axes.plot(middle, values, color=COLOUR[row], ls=DASHES[row], marker=MARKER[row], ms=3.5, label=str(row))
    axes.set_xlim(unit * sums.edges_h[0], unit * sums.edges_h[-1])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(label)
    axes.set_ylabel("RMS ln(observed/modelled)")
