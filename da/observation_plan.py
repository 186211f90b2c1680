"""What is observed when: the data grid at the analyses, direct tracks at the output times nearest to their records.

The cycle asks at every output time, and at an analysis time a second time after the analysis: records shortly after it
are compared with the state from which the next forecast starts (:mod:`da.direct_tracks`). HX of what is compared before
an analysis time is kept until the analysis that uses it.

Sources may fail: a track has a gap, or ends early. An analysis uses what there is; without anything it leaves the
forecast as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from da.analysis_config import DirectTrackSection
from da.calibration import FactorState, QualityControl, without_outliers
from da.config import Experiment
from da.direct_tracks import ComparisonWindow, DirectTrack, DirectTrackSettings, comparison_windows, direct_track
from da.observations import DENSITY, LN_DENSITY, ObservationBatch, SourceBatch
from da.preparation import StepOne
from da.tracks import DensityTrack

TimeArray = NDArray[np.datetime64]

DATA_GRID = "data_grid"
"""Name of the source that is the data grid; direct tracks are named by their keys in the configuration."""

DataGridSource = Callable[[np.datetime64], ObservationBatch]
"""Returns the densities of the data grid at an analysis time."""


class OutputSchedule(Protocol):
    """Times of a run."""

    @property
    def output_times(self) -> TimeArray:
        """Times at which the ensemble may be compared with observations, increasing."""
        ...

    @property
    def analysis_times(self) -> TimeArray:
        """Those of them at which there is an analysis."""
        ...


class ObservationPlan:
    """All observations of a run, handed out when the state that they are compared with is there. Lives on rank 0.

    Parameters
    ----------
    data_grid : callable or None
        See :data:`DataGridSource`; None: it is not assimilated.
    tracks : dict of name -> DirectTrack
    windows : dict of name -> timedelta64
        How long before an analysis the records are that it uses, for each direct track.
    output_times, analysis_times : array of datetime64
        Increasing; every analysis time is an output time.
    variable : {"density", "ln_density"}
        In which the analysis is made; the batches are given in it.
    data_grid_times : array of datetime64 or None
        Analysis times at which there is a data grid; None: all.

    Raises
    ------
    ValueError
        If tracks and windows differ in their names, a track bears the name of the data grid, the variable is another
        one, or times and windows are not as :func:`da.direct_tracks.comparison_windows` wants them.
    """

    def __init__(
        self,
        data_grid: DataGridSource | None,
        tracks: Mapping[str, DirectTrack],
        windows: Mapping[str, np.timedelta64],
        output_times: TimeArray,
        analysis_times: TimeArray,
        variable: str = DENSITY,
        data_grid_times: TimeArray | None = None,
    ) -> None:
        if tracks.keys() != windows.keys() or DATA_GRID in tracks:
            raise ValueError(f"tracks {list(tracks)} and windows {list(windows)}: one of each, none called {DATA_GRID}")
        if variable not in (DENSITY, LN_DENSITY):
            raise ValueError(f"the variable must be '{DENSITY}' or '{LN_DENSITY}', not '{variable}'")
        self._data_grid, self._tracks, self._variable = data_grid, dict(tracks), variable
        self._output_times = _nanoseconds(output_times)
        self._analysis_times = _nanoseconds(analysis_times)
        self._grid_times = self._analysis_times if data_grid_times is None else _nanoseconds(data_grid_times)
        self._windows: dict[tuple[int, bool], list[tuple[str, ComparisonWindow]]] = defaultdict(list)
        for name in tracks:
            for window in comparison_windows(output_times, analysis_times, windows[name]):
                compared_at = _nanosecond(window.compared_at)
                after = compared_at in self._analysis_times and compared_at < _nanosecond(window.assimilated_at)
                self._windows[compared_at, after].append((name, window))

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of all sources, in the order in which :meth:`due` gives them."""
        return (*(() if self._data_grid is None else (DATA_GRID,)), *self._tracks)

    @property
    def outliers(self) -> dict[str, int]:
        """Number of densities of each direct track that were left out as outliers."""
        return {name: track.records.dropped.get("outlier", 0) for name, track in self._tracks.items()}

    @property
    def unobserved(self) -> TimeArray:
        """Analysis times, in their order, for which no source has an observation."""
        observed: set[int] = set() if self._data_grid is None else set(self._grid_times)
        for name, window in (one for windows in self._windows.values() for one in windows):
            edges = np.array([window.start_exclusive, window.stop_inclusive])
            if np.ptp(np.searchsorted(self._tracks[name].records.time, edges, side="right")):
                observed.add(_nanosecond(window.assimilated_at))
        missing = np.array(sorted(self._analysis_times - observed), dtype=np.int64)
        return missing.astype("datetime64[ns]")

    def due(self, time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
        """Return what is compared with the state of an output time; a source without observations does not appear.

        Driven once through the output times, and twice at the analysis times, it gives each record of
        ``(analysis - window, analysis]`` of every analysis once.

        Parameters
        ----------
        time : datetime64
            An output time.
        after_analysis : bool
            False: the state before an analysis, or at a time without one. All that is given at an analysis time enters
            that analysis; what is given earlier enters the next one.
            True: the state after the analysis of this time. What is given enters the next analysis.

        Raises
        ------
        ValueError
            If it is no output time.
        ThermodaError
            If an observation has no logarithm where the variable is "ln_density".
        """
        now = _nanosecond(time)
        if now not in self._output_times:
            raise ValueError(f"{time} is no output time")
        found = []
        if self._data_grid is not None and not after_analysis and now in self._grid_times:
            found.append(SourceBatch(DATA_GRID, self._data_grid(time)))
        for name, window in self._windows.get((now, after_analysis), ()):
            batch = self._tracks[name].batch(window.start_exclusive, window.stop_inclusive, window.compared_at)
            if batch is not None:
                found.append(SourceBatch(name, batch))
        if self._variable == LN_DENSITY:
            return [SourceBatch(one.source, one.batch.in_ln_density()) for one in found]
        return found


def observation_plan(experiment: Experiment, step_one: StepOne, schedule: OutputSchedule) -> ObservationPlan:
    """Return the plan of an experiment.

    Raises
    ------
    ThermodaError
        If a direct track has no density.
    """
    sections, times, msis = experiment.direct_tracks, schedule.analysis_times, step_one.calibrated.msis
    return ObservationPlan(
        step_one.data_grid.batch if experiment.data_grid.assimilate else None,
        {
            name: direct_track(_quality_controlled(experiment, one, step_one), msis, direct_track_settings(one))
            for name, one in sections.items()
        },
        {name: np.timedelta64(round(6e10 * one.window_min), "ns") for name, one in sections.items()},
        schedule.output_times,
        times,
        str(experiment.analysis.variable),
        times[step_one.data_grid.state(times) != FactorState.HELD],
    )


def _quality_controlled(experiment: Experiment, section: DirectTrackSection, step_one: StepOne) -> DensityTrack:
    track = step_one.tracks[section.satellite]
    if not section.leave_out_outliers or not len(track):
        return track
    control = QualityControl(**experiment.calibration.quality.model_dump())
    return without_outliers(track, step_one.calibrated.msis, control)


def direct_track_settings(section: DirectTrackSection) -> DirectTrackSettings:
    """Return how the densities of a direct track are reduced; errors are fully correlated unless told otherwise."""
    given = section.error_correlation_time_s
    return DirectTrackSettings(
        section.relative_error, section.thinning_s, section.superobbing_s, np.inf if given is None else given
    )


def _nanosecond(time: np.datetime64) -> int:
    return int(time.astype("datetime64[ns]").astype(np.int64))


def _nanoseconds(times: TimeArray) -> frozenset[int]:
    return frozenset(times.astype("datetime64[ns]").astype(np.int64).tolist())
