"""Free forecasts by lead time, along every satellite, against what needs no ensemble and what needs no assimilation.

All rows are compared at the same points, those of the evaluation that a free forecast reaches, and the statistics of
all free forecasts of a run are added. What is known at the start of a forecast is MSIS times the scale factor of that
time, the **persisted scale factor**: the honest rival. **Calibrated MSIS** takes the factor of the time of the point,
which nobody knows at the start; it shows what hindsight would give. Free forecasts, open loop and MSIS know the indices
and the solar wind of the times that they reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.verification.baselines import persisted_scale_factor
from da.verification.evaluation import Evaluation, Row, RowStatistics, SatelliteEvaluation
from da.verification.run_folder import FREE_FORECASTS, read_track
from da.verification.sampling import linear_trajectory, open_fields, sample

FloatArray = NDArray[np.float64]

LEAD_TIME_EDGES_H = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 72.0)
"""Classes of lead time; longer forecasts have further ones of a day."""

LEAD_TIME_ROWS = (Row.MSIS, Row.CALIBRATED_MSIS, Row.PERSISTED, Row.OPEN_LOOP, Row.FORECAST)
"""What is compared; the forecast is the free one."""

_HOUR = np.timedelta64(1, "h")
_DAY_H = 24.0


@dataclass(frozen=True)
class LeadTimeStatistics:
    """Statistics of the free forecasts along one satellite.

    Parameters
    ----------
    satellite : str
    forecasts : int
        Number of free forecasts.
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
    def zero(cls, satellite: str, edges_h: FloatArray) -> LeadTimeStatistics:
        """Return the statistics of no forecast."""
        names = [f"{low:g} to {high:g} h" for low, high in zip(edges_h[:-1], edges_h[1:], strict=True)]
        rows = {row: RowStatistics.zero() for row in LEAD_TIME_ROWS}
        return cls(satellite, 0, edges_h, dict.fromkeys(names, rows))

    def __add__(self, other: LeadTimeStatistics) -> LeadTimeStatistics:
        """Return the statistics of the forecasts of both; ValueError where satellite or classes differ."""
        if self.satellite != other.satellite or not np.array_equal(self.edges_h, other.edges_h):
            raise ValueError("lead times of different satellites or classes cannot be added")
        classes = {
            name: {row: one + other.classes[name][row] for row, one in rows.items()}
            for name, rows in self.classes.items()
        }
        return LeadTimeStatistics(self.satellite, self.forecasts + other.forecasts, self.edges_h, classes)


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
    edges = _edges(max(_length_h(path) for path in paths))
    found = []
    for satellite in evaluation.satellites:
        ratio = _mass_ratio(satellite, run)
        whole = LeadTimeStatistics.zero(satellite.satellite, edges)
        for path in paths:
            whole = whole + _of_one(path, satellite, ratio, edges)
        found.append(whole)
    return tuple(found)


def _edges(longest_h: float) -> FloatArray:
    """Return the edges of the classes that forecasts of some length reach."""
    further = np.arange(LEAD_TIME_EDGES_H[-1] + _DAY_H, longest_h + _DAY_H, _DAY_H)
    edges = np.array([*LEAD_TIME_EDGES_H, *further])
    return edges[: np.searchsorted(edges, longest_h, side="left") + 1]


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
    modelled |= {Row.PERSISTED: (msis * held)[chosen], Row.FORECAST: samples.density * mass_ratio[chosen]}
    spread = {
        Row.OPEN_LOOP: satellite.spread[Row.OPEN_LOOP][chosen],
        Row.FORECAST: modelled[Row.FORECAST] * samples.relative_spread,
    }
    observed, usable = satellite.observed[chosen], np.isfinite(modelled[Row.FORECAST])
    place = np.searchsorted(edges, (time[chosen] - start) / _HOUR, side="right") - 1

    def of(row: Row, number: int) -> RowStatistics:
        here = usable & (place == number)
        return RowStatistics.of(observed[here], modelled[row][here], spread[row][here] if row in spread else None)

    zero = LeadTimeStatistics.zero(satellite.satellite, edges)
    classes = {name: {row: of(row, number) for row in LEAD_TIME_ROWS} for number, name in enumerate(zero.classes)}
    return LeadTimeStatistics(satellite.satellite, 1, edges, classes)
