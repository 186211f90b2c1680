"""Skill by lead time along every satellite, against what needs no ensemble and what needs no assimilation.

The lead time is that since the latest analysis, or that of free forecasts since the analysis at which they start.

**Free forecasts.** All rows are compared at the same points, those of the evaluation that a free forecast reaches, and
the statistics of all free forecasts of a run are added. What is known at the start of a forecast is MSIS times the
scale factor of that time, the **persisted scale factor**: the honest rival. **Calibrated MSIS** takes the factor of the
time of the point, which nobody knows at the start; it shows what hindsight would give. Free forecasts, open loop and
MSIS know the indices and the solar wind of the times that they reach. Where observations are running means along the
track, so are all rows; a free forecast is averaged over its own times alone, and its first minutes are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.observation_handling import running_mean
from da.verification.baselines import persisted_scale_factor
from da.verification.evaluation import Evaluation, Row, RowStatistics, SatelliteEvaluation
from da.verification.run_folder import FREE_FORECASTS, read_track
from da.verification.sampling import linear_trajectory, open_fields, sample

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

LEAD_TIME_EDGES_H = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 72.0)
"""Classes of lead time; longer forecasts have further ones of a day."""

PARTS = 6
"""Classes of lead times that all lie in the first class above, as those between hourly analyses do."""

LEAD_TIME_ROWS = (Row.MSIS, Row.CALIBRATED_MSIS, Row.PERSISTED, Row.OPEN_LOOP, Row.FORECAST)
"""What is compared with free forecasts; the forecast is the free one."""

_HOUR = np.timedelta64(1, "h")
_DAY_H = 24.0


@dataclass(frozen=True)
class LeadTimeStatistics:
    """Statistics by lead time along one satellite.

    Parameters
    ----------
    satellite : str
    forecasts : int
        Number of forecasts.
    edges_h : array (classes + 1,)
        Half-open.
    classes : mapping of str to mapping of Row to RowStatistics
        By "0 to 1 h" and so on; of no points where no forecast has any in a class.
    """

    satellite: str
    forecasts: int
    edges_h: FloatArray
    classes: Mapping[str, Mapping[Row, RowStatistics]]

    @classmethod
    def zero(cls, satellite: str, edges_h: FloatArray, rows: Sequence[Row] = LEAD_TIME_ROWS) -> LeadTimeStatistics:
        """Return the statistics of no forecast."""
        nothing = {row: RowStatistics.zero() for row in rows}
        return cls(satellite, 0, edges_h, dict.fromkeys(_labels(edges_h), nothing))

    def __add__(self, other: LeadTimeStatistics) -> LeadTimeStatistics:
        """Return the statistics of the forecasts of both; ValueError where satellite or classes differ."""
        if self.satellite != other.satellite or not np.array_equal(self.edges_h, other.edges_h):
            raise ValueError("lead times of different satellites or classes cannot be added")
        classes = {
            name: {row: one + other.classes[name][row] for row, one in rows.items()}
            for name, rows in self.classes.items()
        }
        return LeadTimeStatistics(self.satellite, self.forecasts + other.forecasts, self.edges_h, classes)

    def rms_log_ratio(self) -> dict[Row, FloatArray]:
        """Return the root mean square ln(observed/modelled) (classes,) of each row; NaN without points."""
        rows = next(iter(self.classes.values()))
        return {row: np.array([one[row].pairs.value().rms_log_ratio for one in self.classes.values()]) for row in rows}


def class_edges_h(longest_h: float) -> FloatArray:
    """Return the edges of the classes that lead times below ``longest_h`` reach.

    Examples
    --------
    >>> class_edges_h(12.0)
    array([ 0.,  1.,  3.,  6., 12.])
    """
    if longest_h <= LEAD_TIME_EDGES_H[1]:
        return np.linspace(0.0, longest_h, PARTS + 1)
    further = np.arange(LEAD_TIME_EDGES_H[-1] + _DAY_H, longest_h + _DAY_H, _DAY_H)
    edges = np.array([*LEAD_TIME_EDGES_H, *further])
    return edges[: np.searchsorted(edges, longest_h, side="left") + 1]


def _labels(edges_h: FloatArray) -> list[str]:
    short = edges_h[-1] <= LEAD_TIME_EDGES_H[1]
    bounds, unit = (60.0 * edges_h, "min") if short else (edges_h, "h")
    return [f"{low:g} to {high:g} {unit}" for low, high in pairwise(bounds.tolist())]


def since_analysis(satellite: SatelliteEvaluation, analyses: TimeArray) -> LeadTimeStatistics:
    """Return the statistics of all rows by time since the latest analysis, up to the longest time between two.

    Parameters
    ----------
    satellite : SatelliteEvaluation
    analyses : array, datetime64[ns]
        Increasing times of the analyses, at least one.
    """
    time = satellite.points.time
    latest = np.searchsorted(analyses, time, side="right") - 1
    lead_h = np.where(latest >= 0, (time - analyses[np.maximum(latest, 0)]) / _HOUR, np.nan)
    # A single analysis has no next one: the class ends after the last point.
    after = float(np.nanmax(lead_h, initial=0.0)) + 1e-6
    longest_h = float(np.max(np.diff(analyses)) / _HOUR) if analyses.size > 1 else after
    edges = class_edges_h(longest_h)
    place = np.searchsorted(edges, lead_h, side="right") - 1
    zero = LeadTimeStatistics.zero(satellite.satellite, edges, tuple(satellite.modelled))
    classes = {
        name: {row: satellite.row_statistics(row, place == number) for row in rows}
        for number, (name, rows) in enumerate(zero.classes.items())
    }
    return LeadTimeStatistics(satellite.satellite, analyses.size, edges, classes)


def lead_time_statistics(evaluation: Evaluation, run: Path) -> tuple[LeadTimeStatistics, ...]:
    """Return the statistics of all free forecasts of a run, one per satellite; none where it has no free forecast.

    Parameters
    ----------
    evaluation : Evaluation
        Of this run.
    run : Path
        Its folder.

    Raises
    ------
    ThermodaError
        If a file cannot be read.
    """
    paths = sorted(run.glob(FREE_FORECASTS))
    if not paths:
        return ()
    edges = class_edges_h(max(_length_h(path) for path in paths))
    found = []
    for satellite in evaluation.satellites:
        ratio = _mass_ratio(satellite, run)
        whole = LeadTimeStatistics.zero(satellite.satellite, edges)
        for path in paths:
            whole = whole + _of_one(path, satellite, ratio, edges)
        found.append(whole)
    return tuple(found)


def _length_h(path: Path) -> float:
    with open_fields(path) as fields:
        if fields.time.size < 2:
            raise ThermodaError(f"{path}: holds {fields.time.size} records; it is not a whole forecast, repeat the run")
        return float((fields.time[-1] - fields.time[0]) / _HOUR)


def _mass_ratio(satellite: SatelliteEvaluation, run: Path) -> FloatArray:
    """Return total over modelled density at the points (n,) of a satellite."""
    track = read_track(run / f"{satellite.key}.nc")
    return track.unmodelled_mass_ratio[np.searchsorted(track.points.time, satellite.points.time)]


def _of_one(
    path: Path, satellite: SatelliteEvaluation, mass_ratio: FloatArray, edges: FloatArray
) -> LeadTimeStatistics:
    time = satellite.points.time
    with open_fields(path) as fields:
        start, stop = fields.time[0], fields.time[-1]
        chosen = np.flatnonzero((time >= start) & (time < stop))
        samples = sample(linear_trajectory(fields), satellite.points.take(chosen))
    msis, calibrated = satellite.modelled[Row.MSIS], satellite.modelled[Row.CALIBRATED_MSIS]
    held = persisted_scale_factor(time, msis, calibrated, np.array([start]))
    modelled = {row: satellite.modelled[row][chosen] for row in (Row.MSIS, Row.CALIBRATED_MSIS, Row.OPEN_LOOP)}
    free = samples.density * mass_ratio[chosen]
    mean, spread_of_free = (
        running_mean(time[chosen], values, satellite.smoothing_s) for values in (free, free * samples.relative_spread)
    )
    modelled |= {Row.PERSISTED: (msis * held)[chosen], Row.FORECAST: mean}
    spread = {Row.OPEN_LOOP: satellite.spread[Row.OPEN_LOOP][chosen], Row.FORECAST: spread_of_free}
    observed, usable = satellite.observed[chosen], np.isfinite(modelled[Row.FORECAST])
    place = np.searchsorted(edges, (time[chosen] - start) / _HOUR, side="right") - 1

    def of(row: Row, number: int) -> RowStatistics:
        here = usable & (place == number)
        return RowStatistics.of(observed[here], modelled[row][here], spread[row][here] if row in spread else None)

    zero = LeadTimeStatistics.zero(satellite.satellite, edges)
    classes = {name: {row: of(row, number) for row in LEAD_TIME_ROWS} for number, name in enumerate(zero.classes)}
    return LeadTimeStatistics(satellite.satellite, 1, edges, classes)
