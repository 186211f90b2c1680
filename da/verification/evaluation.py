"""Evaluation of a run along satellites' tracks: the densities to compare, at the same points, and their scores.

Modelled densities hold O, O2, He and N2 alone; times the track's ``unmodelled_mass_ratio`` they are total densities
like the observations and the empirical model. All rows of a satellite are compared at the same points: those where
every row has a value. MSIS, calibrated MSIS and MSIS times the persisted scale factor are among the rows of every
evaluation (:mod:`da.verification.baselines`). Where observations are running means along the track, so is every row
(:mod:`da.observation_handling.running_mean`): that of an ensemble is the mean of its members' averages; its spread, the
average of the spreads at the points, is an upper bound of theirs, for what members were along the track is not kept.
"Quiet" is Kp < 5 and "storm" Kp >= 5 (Corbin & Kusche 2022, Figure 2); their statistics are added to give those of all
points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.observation_handling import running_mean
from da.verification.baselines import persisted_scale_factor
from da.verification.chunks import Scheduler, map_reduce
from da.verification.probabilistic import LogNormalScores
from da.verification.run_folder import (
    ANALYSIS_FILE,
    FORECAST_FILE,
    OPEN_LOOP_FILE,
    RunFolder,
    StoredTrack,
    open_run,
    read_track,
)
from da.verification.sampling import (
    Points,
    Samples,
    forecast_trajectories,
    in_parts_of_time,
    linear_trajectory,
    open_fields,
    sample,
)
from da.verification.statistics import CollectedValues, PairStatistics, Scores
from da.verification.storm import STORM_KP, epoch_of_kp

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

SAMPLED_TOGETHER = np.timedelta64(6, "h")
"""Time of a chunk of sampling: short enough for a day to occupy several workers, and each reads few records twice."""

__all__ = ["STORM_KP", "Activity", "Evaluation", "Row", "RowStatistics", "SatelliteEvaluation", "evaluate"]


class Row(StrEnum):
    """What is compared with the observations."""

    MSIS = "MSIS"
    CALIBRATED_MSIS = "calibrated MSIS"
    PERSISTED = "persisted scale factor"
    OPEN_LOOP = "open loop"
    FORECAST = "forecast"
    ANALYSIS = "analysis"


class Activity(StrEnum):
    """Which points are compared, by Kp."""

    ALL = "all"
    QUIET = "quiet (Kp < 5)"
    STORM = "storm (Kp >= 5)"


@dataclass(frozen=True)
class RowStatistics:
    """Statistics of one row: those that add exactly, and the values that medians need.

    Parameters
    ----------
    pairs : PairStatistics
    differences : CollectedValues
        Model minus observation [kg m-3].
    log_ratios : CollectedValues
        ln(observation/model).
    distribution : LogNormalScores
        Of the points where the spread of the row is known; of none for a row without an ensemble.
    """

    pairs: PairStatistics
    differences: CollectedValues
    log_ratios: CollectedValues
    distribution: LogNormalScores

    @classmethod
    def zero(cls) -> RowStatistics:
        """Return the statistics of no points."""
        return cls(PairStatistics.zero(), CollectedValues.zero(), CollectedValues.zero(), LogNormalScores.zero())

    @classmethod
    def of(cls, observed: FloatArray, modelled: FloatArray, spread: FloatArray | None = None) -> RowStatistics:
        """Return the statistics of points (n,): observed, modelled and, if known, standard deviation [kg m-3]."""
        known = np.full(observed.shape, np.nan) if spread is None else spread
        return cls(
            PairStatistics.of(observed, modelled, spread),
            CollectedValues(modelled - observed),
            CollectedValues(np.log(observed / modelled)),
            LogNormalScores.of(observed, modelled, known),
        )

    def __add__(self, other: RowStatistics) -> RowStatistics:
        """Return the statistics of both sets of points together."""
        return RowStatistics(
            self.pairs + other.pairs,
            self.differences + other.differences,
            self.log_ratios + other.log_ratios,
            self.distribution + other.distribution,
        )

    def value(self) -> tuple[Scores, float]:
        """Return the scores and the median difference [kg m-3]."""
        return self.pairs.value(), self.differences.median()


@dataclass(frozen=True)
class SatelliteEvaluation:
    """One satellite's comparison.

    Parameters
    ----------
    key : str
        ``track_<satellite>``, the stem of the track's file name.
    satellite, role : str
        Name, and "assimilated" or "independent".
    points : Points
        The n points at which all rows are compared.
    kp, observed : array (n,)
        Kp, and the observed density [kg m-3].
    modelled, spread : mapping of Row to array (n,)
        Total density and its ensemble standard deviation [kg m-3]; rows without an ensemble have no spread.
    left_out : mapping of str to int
        Number of points of the track that are not compared, by the first reason met.
    statistics : mapping of Activity to mapping of Row to RowStatistics
    epoch : datetime64[ns] or None
        Middle of the strongest Kp of the whole track; None where Kp stays below 5.
    smoothing_s : float
        Width of the running mean that observations and rows are [s]; 0: none.
    """

    key: str
    satellite: str
    role: str
    points: Points
    kp: FloatArray
    observed: FloatArray
    modelled: Mapping[Row, FloatArray]
    spread: Mapping[Row, FloatArray]
    left_out: Mapping[str, int]
    statistics: Mapping[Activity, Mapping[Row, RowStatistics]]
    epoch: np.datetime64 | None = None
    smoothing_s: float = 0.0

    def row_statistics(self, row: Row, chosen: NDArray[np.bool_]) -> RowStatistics:
        """Return the statistics of one row at the chosen points (n,)."""
        spread = self.spread[row][chosen] if row in self.spread else None
        return RowStatistics.of(self.observed[chosen], self.modelled[row][chosen], spread)


@dataclass(frozen=True)
class Evaluation:
    """All satellites of one run.

    Parameters
    ----------
    name, start, stop : str
        Of the run.
    satellites : tuple of SatelliteEvaluation
    notes : tuple of str
        What a reader of the tables must know, such as why a column is blank.
    """

    name: str
    start: str
    stop: str
    satellites: tuple[SatelliteEvaluation, ...]
    notes: tuple[str, ...]

    def satellites_of(self, role: str) -> str:
        """Return the names of the satellites with this role, or "none"."""
        return ", ".join(one.satellite for one in self.satellites if one.role == role) or "none"

    def title(self, satellite: SatelliteEvaluation) -> str:
        """Return which satellite, run and period a table or figure shows, and what was assimilated."""
        start, stop = (time.removesuffix("Z").replace("T", " ") for time in (self.start, self.stop))
        return (
            f"{satellite.satellite} ({satellite.role}), run {self.name}, {start} to {stop} UTC; "
            f"assimilated: {self.satellites_of('assimilated')}; independent: {self.satellites_of('independent')}"
        )


@dataclass(frozen=True)
class _SampledRows:
    """Samples of the rows that are read from the files of a run; adding puts points after each other."""

    rows: Mapping[Row, Samples]

    @classmethod
    def zero(cls, files: Sequence[str]) -> _SampledRows:
        """Return the samples of no points, for a run that has these files."""
        return cls({row: Samples(np.zeros(0), np.zeros(0)) for row, name in _FILES.items() if name in files})

    def __add__(self, other: _SampledRows) -> _SampledRows:
        """Return the samples of both."""
        return _SampledRows({row: samples + other.rows[row] for row, samples in self.rows.items()})


def evaluate(run: Path, scheduler: Scheduler | None = None, *, without_missing_tracks: bool = False) -> Evaluation:
    """Compare a complete run with the densities of all its satellites.

    Parameters
    ----------
    run : Path
        Folder with the stored fields and ``track_<satellite>.nc``.
    scheduler : Scheduler or None
        Where the fields are sampled, in chunks of :data:`SAMPLED_TOGETHER`; the result is bitwise the same for all of
        them (:func:`da.verification.chunks.map_reduce`).
    without_missing_tracks : bool
        Go on where the file of a satellite of the run is missing, as long as there is one of another.

    Raises
    ------
    ThermodaError
        If the run is not complete, a file or variable is missing, or no point of a track can be compared.
    """
    folder = open_run(run, without_missing_tracks=without_missing_tracks)
    tracks = [read_track(path) for path in folder.tracks]
    usable = [np.flatnonzero(track.usable()) for track in tracks]
    analyses, notes = _analyses_and_notes(folder)
    points = _joined([track.points.take(index) for track, index in zip(tracks, usable, strict=True)])
    chunks, back = in_parts_of_time(points, SAMPLED_TOGETHER)
    # Workers may have another working directory.
    statistic = partial(_sample_rows, folder.path.resolve(), folder.files)
    sampled = map_reduce(statistic, chunks, _SampledRows.zero(folder.files), scheduler=scheduler).rows
    parts = np.split(back, np.cumsum([index.size for index in usable])[:-1])
    satellites = tuple(
        _compare(track, index, {row: samples.take(part) for row, samples in sampled.items()}, analyses)
        for track, index, part in zip(tracks, usable, parts, strict=True)
    )
    for note_of in (_note_on_unknown_spread, _note_on_smoothing):
        notes += tuple(note for one in satellites if (note := note_of(one)))
    return Evaluation(folder.name, folder.start, folder.stop, satellites, notes)


def _note_on_unknown_spread(satellite: SatelliteEvaluation) -> str:
    """Return why spread/error is blank where only some points have a spread, or an empty string."""
    known = np.isfinite(satellite.spread[Row.OPEN_LOOP])
    if known.all() or not known.any():
        return ""
    return (
        f"spread/error is blank: {satellite.satellite} leaves the altitudes of the data grid at "
        f"{np.count_nonzero(~known)} of {known.size} points; extend data_grid.altitude_max_km (or _min_km)"
    )


def _note_on_smoothing(satellite: SatelliteEvaluation) -> str:
    """Return that observations and rows are running means, or an empty string."""
    if satellite.smoothing_s == 0.0:
        return ""
    return (
        f"{satellite.satellite}: densities are means over {satellite.smoothing_s / 60.0:g} min along the track, and so "
        "are all rows; their spread is an upper bound"
    )


def _joined(parts: Sequence[Points]) -> Points:
    """Return the points of all tracks together, so that every record is read once for all satellites."""
    return Points(
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.latitude for part in parts]),
        np.concatenate([part.longitude for part in parts]),
        np.concatenate([part.altitude_km for part in parts]),
    )


def _analyses_and_notes(folder: RunFolder) -> tuple[TimeArray, tuple[str, ...]]:
    """Return the times of the analyses, and notes for the reader.

    Without assimilation they are the times at which the experiment would have its analyses, so that the persisted scale
    factor is that of the runs that have them.
    """
    with ExitStack() as stack:
        files = {name: stack.enter_context(open_fields(folder.path / name)) for name in folder.files}
        notes = [
            f"spread/error is blank: {file.path.name} gives no spread at fixed height ({file.spread_missing})"
            for file in files.values()
            if file.spread_missing
        ]
        if folder.open_loop_from:
            notes.append(f"the row {Row.OPEN_LOOP} is that of run {folder.open_loop_from}")
        if folder.assimilates:
            return files[ANALYSIS_FILE].time, tuple(notes)
        first, last = (files[OPEN_LOOP_FILE].time[number] for number in (0, -1))
        interval = folder.analysis_interval or last - first
        notes.append(f"nothing is assimilated; the scale factor is held for {interval / np.timedelta64(1, 'h'):g} h")
        return np.arange(first, last + np.timedelta64(1, "ns"), interval), tuple(notes)


_FILES = {Row.OPEN_LOOP: OPEN_LOOP_FILE, Row.FORECAST: FORECAST_FILE, Row.ANALYSIS: ANALYSIS_FILE}
"""In which file the records of a row are."""


def _sample_rows(run: Path, names: Sequence[str], points: Points) -> _SampledRows:
    """Return the samples of the rows at some points."""
    with ExitStack() as stack:
        files = {name: stack.enter_context(open_fields(run / name)) for name in names}
        trajectories = {
            row: forecast_trajectories(files[name], files[ANALYSIS_FILE])
            if row is Row.FORECAST
            else linear_trajectory(files[name])
            for row, name in _FILES.items()
            if name in files
        }
        return _SampledRows({row: sample(trajectory, points) for row, trajectory in trajectories.items()})


def _compare(
    track: StoredTrack, usable: NDArray[np.int64], samples: Mapping[Row, Samples], analyses: TimeArray
) -> SatelliteEvaluation:
    """Keep the points where every row has a value, and reduce them."""
    left_out = {"a stored value of the track is missing": track.observed.size - usable.size}
    complete = np.ones(usable.size, dtype=bool)
    for row, values in samples.items():
        has_value = np.isfinite(values.density)
        left_out[f"no {row} there"] = int(np.count_nonzero(complete & ~has_value))
        complete &= has_value
    modelled, spread = _rows(track, usable, samples, analyses)
    averaged = np.all([np.isfinite(values) for values in modelled.values()], axis=0)
    left_out["no whole window of a running mean"] = int(np.count_nonzero(complete & ~averaged))
    complete &= averaged
    if not complete.any():
        reasons = ", ".join(f"{reason}: {number}" for reason, number in left_out.items() if number)
        raise ThermodaError(
            f"{track.key}.nc: none of its {track.observed.size} points can be compared ({reasons}); "
            "its times must lie between the first and the last analysis of the run"
        )
    index = usable[complete]
    modelled, spread = ({row: values[complete] for row, values in rows.items()} for rows in (modelled, spread))
    observed, kp = track.observed[index], track.kp[index]
    return SatelliteEvaluation(
        track.key,
        track.satellite,
        track.role,
        track.points.take(index),
        kp,
        observed,
        modelled,
        spread,
        {reason: number for reason, number in left_out.items() if number},
        _statistics(kp, observed, modelled, spread),
        epoch_of_kp(track.points.time, track.kp),
        track.smoothing_s,
    )


def _rows(
    track: StoredTrack, usable: NDArray[np.int64], samples: Mapping[Row, Samples], analyses: TimeArray
) -> tuple[dict[Row, FloatArray], dict[Row, FloatArray]]:
    """Return density and spread of the rows at the usable points of a track, averaged as its observations are."""
    time, msis, calibrated = track.points.time[usable], track.msis[usable], track.calibrated_msis[usable]
    modelled = {
        Row.MSIS: msis,
        Row.CALIBRATED_MSIS: calibrated,
        Row.PERSISTED: msis * persisted_scale_factor(time, msis, calibrated, analyses),
    }
    modelled |= {row: values.density * track.unmodelled_mass_ratio[usable] for row, values in samples.items()}
    spread = {row: modelled[row] * values.relative_spread for row, values in samples.items()}

    def averaged(rows: Mapping[Row, FloatArray]) -> dict[Row, FloatArray]:
        return {row: running_mean(time, values, track.smoothing_s) for row, values in rows.items()}

    return averaged(modelled), averaged(spread)


def _statistics(
    kp: FloatArray, observed: FloatArray, modelled: Mapping[Row, FloatArray], spread: Mapping[Row, FloatArray]
) -> dict[Activity, dict[Row, RowStatistics]]:
    """Return the statistics of quiet and storm points and, added, of all."""

    def of(row: Row, chosen: NDArray[np.bool_]) -> RowStatistics:
        return RowStatistics.of(observed[chosen], modelled[row][chosen], spread[row][chosen] if row in spread else None)

    quiet = {row: of(row, kp < STORM_KP) for row in modelled}
    storm = {row: of(row, kp >= STORM_KP) for row in modelled}
    both = {row: quiet[row] + storm[row] for row in modelled}
    return {Activity.ALL: both, Activity.QUIET: quiet, Activity.STORM: storm}
