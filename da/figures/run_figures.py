"""All figures of one run, each by itself: what a run lacks leaves a gap with its reason and stops nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.cells import cell_drawing, periods
from da.figures.data_grid import grid_times, stored_rows
from da.figures.height_ratios import adopted_fraction_drawing, spread_ratio_drawing
from da.figures.histograms import histogram_drawing
from da.figures.increments import first_analyses, increment_drawing, storm_analyses
from da.figures.lead_time import lead_time_drawing
from da.figures.profiles import profile_drawing
from da.figures.reliability import reliability_drawing
from da.figures.scale_factors import scale_factor_drawing
from da.figures.style import Drawing
from da.figures.sub_domains import sub_domain_drawing
from da.figures.track_maps import bias_map_drawing
from da.figures.tracks import analysis_times, first_hours_drawing, storm_drawing
from da.verification.analysis_records import read_analyses
from da.verification.details import EvaluationDetails
from da.verification.evaluation import Row

TimeArray = NDArray[np.datetime64]


@dataclass(frozen=True)
class Gap:
    """A figure that could not be drawn.

    Parameters
    ----------
    title : str
        Of the figure.
    reason : str
        What the run lacks.
    """

    title: str
    reason: str


def run_drawings(run: Path, details: EvaluationDetails | None) -> Iterator[Drawing | Gap]:
    """Yield all figures of a run in the order of the paper, and the gaps.

    Parameters
    ----------
    run : Path
        Its folder.
    details : EvaluationDetails or None
        None where the run could not be evaluated; figures along tracks are then gaps.
    """
    yield from _attempt("Scale factors of NRLMSIS", lambda: [scale_factor_drawing(run)])
    yield from _of_tracks(run, details)
    yield from _attempt("Median density by height", lambda: [profile_drawing(run)])
    epoch = _epoch(details)
    yield from _attempt("Density at cells of the data grid", lambda: _cells(run, epoch))
    if details is None or all(one.tested is Row.FORECAST for one in details.satellites):
        yield from _of_analyses(run, epoch)
        if details is not None:
            yield from _attempt("Skill by lead time", lambda: [lead_time_drawing(details, analysis_times(run))])
    else:
        title = "Adopted part of the innovation, ratios of standard deviations, increments, sub-domains, lead time"
        yield Gap(title, "the run assimilates nothing")
    if details is not None:
        evaluation = details.evaluation
        yield from _attempt("Differences from the observations", lambda: [histogram_drawing(evaluation)])
        yield from _attempt("Bias along the tracks", lambda: [bias_map_drawing(one) for one in evaluation.satellites])
        yield from _attempt("Spread and skill, ranks, reliability", lambda: [reliability_drawing(details)])


def _of_analyses(run: Path, epoch: np.datetime64 | None) -> Iterator[Drawing | Gap]:
    yield from _attempt("Adopted part of the innovation", lambda: [adopted_fraction_drawing(read_analyses(run))])
    yield from _attempt("Ratios of standard deviations", lambda: [spread_ratio_drawing(read_analyses(run))])
    yield from _attempt("Increments of density", lambda: _increments(run, epoch))
    yield from _attempt("Local observations and degrees of freedom", lambda: [sub_domain_drawing(run)])


def _attempt(title: str, draw: Callable[[], list[Drawing]]) -> list[Drawing | Gap]:
    try:
        return list(draw())
    except ThermodaError as error:
        return [Gap(title, str(error))]


def _epoch(details: EvaluationDetails | None) -> np.datetime64 | None:
    satellites = details.evaluation.satellites if details is not None else ()
    return next((one.epoch for one in satellites if one.epoch is not None), None)


def _of_tracks(run: Path, details: EvaluationDetails | None) -> list[Drawing | Gap]:
    if details is None:
        return [Gap("Density along the tracks", "the run could not be evaluated, for the reason given above")]
    evaluation = details.evaluation

    def draw() -> list[Drawing]:
        times = analysis_times(run)
        found: list[Drawing] = []
        for satellite in evaluation.satellites:
            first = first_hours_drawing(evaluation, satellite, times)
            found += [*([first] if first is not None else []), storm_drawing(evaluation, satellite, times)]
        return found

    return _attempt("Density along the tracks", draw)


def _cells(run: Path, epoch: np.datetime64 | None) -> list[Drawing]:
    files = stored_rows(run)
    times = grid_times(files.get(Row.ANALYSIS, files[Row.OPEN_LOOP]))
    if not times.size:
        raise ThermodaError(f"{run} holds no record of its ensembles")
    return [cell_drawing(run, name, window) for name, window in periods(times, epoch)]


def _increments(run: Path, epoch: np.datetime64 | None) -> list[Drawing]:
    times = _times(run)
    chosen = {"first": first_analyses(times)}
    if epoch is not None and times[0] < epoch < times[-1]:
        chosen["storm"] = storm_analyses(times, epoch)
    return [increment_drawing(run, name, numbers) for name, numbers in chosen.items()]


def _times(run: Path) -> TimeArray:
    if not (run / "analysis.nc").is_file():
        raise ThermodaError(f"{run / 'analysis.nc'} is missing")
    times = analysis_times(run)
    if not times.size:
        raise ThermodaError(f"{run / 'analysis.nc'} holds no analysis")
    return times
