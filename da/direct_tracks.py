r"""Densities measured along an orbit as observations of the filter, without a calibrated model between: one step.

An analysis uses the records of a window before it. They are compared with the ensemble near their own times, not with
that of the analysis time: at the output time nearest to each record the observed ensemble HX is computed, and the HX of
all of them are assimilated together (asynchronous assimilation, Sakov et al. 2010,
doi:10.1111/j.1600-0870.2009.00417.x). :func:`comparison_windows` says which records meet which output time::

    output times        o0          o1          o2          o3 = analysis
    records       (     o0    ](    o1    ](    o2    ](    o3]
                  begin of the analysis window            its end

The windows are half-open, (start, stop], and disjoint. A record shortly after an analysis is nearest to the output time
of that analysis: it is compared with the state *after* it, from which the next forecast starts.

Densities that are running means along the orbit (``DensityTrack.smoothing_s``) are compared with the mean of the
densities at the places of all records within the window around each of them, for every member by itself, all with the
state of the output time nearest to the middle (:mod:`da.observation_handling.running_mean`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from da.calibration.scale_factors import track_latitude
from da.errors import ThermodaError
from da.msis import Msis
from da.observation_handling import footprints, has_whole_window, superobservations, thinned
from da.observations import ObservationBatch, SampledPlaces
from da.tracks.track import DensityTrack

TimeArray = NDArray[np.datetime64]

LONGEST_SUPEROBBING_S = 600.0
"""A satellite moves 40 degrees in this time; NRLMSIS averaged over it is 1 % (rms) off its value at the mean place."""


@dataclass(frozen=True)
class DirectTrackSettings:
    """How one satellite's densities are reduced and how far they are trusted.

    Parameters
    ----------
    relative_error : float
        Standard deviation of one record over its density.
    thinning_s : float or None
        Shortest time between records that are used; see :func:`da.observation_handling.thinned`.
    superobbing_s : float or None
        Window of averages, at most ten minutes; see :func:`da.observation_handling.superobservations`.
    error_correlation_time_s : float
        Of the records' errors, for the error of averages. By default the errors are fully correlated: what limits the
        densities of accelerometers (drag coefficient, calibration, winds) does not average out within minutes.

    Raises
    ------
    ValueError
        If a number is out of range, or both thinning and superobbing are asked for.
    """

    relative_error: float
    thinning_s: float | None = None
    superobbing_s: float | None = None
    error_correlation_time_s: float = np.inf

    def __post_init__(self) -> None:
        if not 0.0 < self.relative_error < np.inf:
            raise ValueError(f"relative_error must be positive and finite, not {self.relative_error}")
        if self.thinning_s is not None and self.superobbing_s is not None:
            raise ValueError("thinning_s and superobbing_s exclude each other")
        if self.thinning_s is not None and not 0.0 < self.thinning_s < np.inf:
            raise ValueError(f"thinning_s must be positive and finite, not {self.thinning_s}")
        if self.superobbing_s is not None and not 0.0 < self.superobbing_s <= LONGEST_SUPEROBBING_S:
            raise ValueError(
                f"superobbing_s must be positive and at most {LONGEST_SUPEROBBING_S:g}, not {self.superobbing_s}"
            )
        if not self.error_correlation_time_s >= 0.0:
            raise ValueError(f"error_correlation_time_s must not be negative: {self.error_correlation_time_s}")


@dataclass(frozen=True, eq=False)
class DirectTrack:
    """One satellite's densities, reduced and with errors, from which batches are cut.

    Parameters
    ----------
    records : DensityTrack
        Geodetic latitudes; ``sigma`` is the error that the filter is given.
    msis : Msis
        Tells the part of the mass that the state does not model.
    places : DensityTrack or None
        All records of the track, over which ``records`` are running means; None where they are not.
    """

    records: DensityTrack
    msis: Msis
    places: DensityTrack | None = None

    def __post_init__(self) -> None:
        if self.records.sigma is None or self.records.latitude_kind != "geodetic":
            raise ValueError("direct tracks need errors and geodetic latitudes; direct_track() gives them")

    def batch(
        self,
        start_exclusive: np.datetime64,
        stop_inclusive: np.datetime64,
        compared_at: np.datetime64 | None = None,
    ) -> ObservationBatch | None:
        """Return the observations with ``start_exclusive < time <= stop_inclusive``, or None where there are none.

        Parameters
        ----------
        start_exclusive, stop_inclusive : datetime64
            UTC. Windows that join end to end give every record exactly once.
        compared_at : datetime64 or None
            Time of the state that they are compared with, which the batch bears; None: the end of the window.

        Raises
        ------
        ValueError
            If the window does not go forward in time.
        """
        bears = stop_inclusive if compared_at is None else compared_at
        start, stop, time = np.array([start_exclusive, stop_inclusive, bears], dtype="datetime64[ns]")
        if not start <= stop:
            raise ValueError(f"the window ({start}, {stop}] does not go forward in time")
        track, sigma = self.records, self.records.sigma
        low, high = np.searchsorted(track.time, np.array([start, stop]), side="right").tolist()
        if sigma is None or low == high:
            return None
        part = slice(low, high)
        place = (track.latitude[part], track.longitude[part], track.altitude_km[part])
        return ObservationBatch(
            values=track.density[part],
            error_standard_deviation=sigma[part],
            latitude=place[0],
            longitude=place[1],
            altitude_km=place[2],
            time=time,
            source=f"densities measured along {track.satellite}",
            unmodelled_mass_ratio=self.msis.along_track(track.time[part], *place).unmodelled_mass_ratio,
            sampled=None if self.places is None else self._sampled(self.places, track.time[part]),
        )

    def _sampled(self, places: DensityTrack, time: TimeArray) -> SampledPlaces:
        found = footprints(places.time, np.searchsorted(places.time, time), places.smoothing_s)
        at = found.record
        place = (places.latitude[at], places.longitude[at], places.altitude_km[at])
        ratio = self.msis.along_track(places.time[at], *place).unmodelled_mass_ratio
        return SampledPlaces(*place, ratio, found.weight, found.first)


def direct_track(track: DensityTrack, msis: Msis, settings: DirectTrackSettings) -> DirectTrack:
    """Return a track made ready: geodetic, thinned or averaged as a whole, with errors.

    The reduction is done once, before any window is cut, so that it does not depend on the times of the analyses.
    Errors are ``relative_error * density``, for averages times the factor that an average of correlated errors has. An
    average belongs to its mean time; up to half of its window may lie after the analysis that uses it. Running means
    whose window is not whole are left out before the track is thinned.

    Raises
    ------
    ThermodaError
        If the track is empty, or no running mean has a whole window.
    ValueError
        If running means are to be averaged again.
    """
    if not len(track):
        raise ThermodaError(f"{track.satellite}: there is no density to assimilate (from {track.source})")
    geodetic = replace(track, latitude=track_latitude(track), latitude_kind="geodetic")
    if track.smoothing_s > 0.0:
        return _of_running_means(geodetic, msis, settings)
    if settings.superobbing_s is not None:
        reduced, factor = _averaged(geodetic, settings.superobbing_s, settings.error_correlation_time_s)
    else:
        reduced, factor = _kept(geodetic, settings.thinning_s), np.ones(1)
    return DirectTrack(replace(reduced, sigma=settings.relative_error * factor * reduced.density), msis)


def _of_running_means(track: DensityTrack, msis: Msis, settings: DirectTrackSettings) -> DirectTrack:
    if settings.superobbing_s is not None:
        raise ValueError(f"densities that are means over {track.smoothing_s:g} s are not averaged again, but thinned")
    whole = _selected(track, has_whole_window(track.time, track.smoothing_s))
    if not len(whole):
        raise ThermodaError(
            f"{track.satellite}: no density has enough others around it for a mean of {track.smoothing_s / 60.0:g} min "
            f"(from {track.source})"
        )
    kept = _kept(whole, settings.thinning_s)
    return DirectTrack(replace(kept, sigma=settings.relative_error * kept.density), msis, track)


def _kept(track: DensityTrack, thinning_s: float | None) -> DensityTrack:
    return track if thinning_s is None else _selected(track, thinned(track.time, thinning_s))


def _selected(track: DensityTrack, keep: NDArray[np.bool_]) -> DensityTrack:
    columns = {name: getattr(track, name)[keep] for name in ("time", "latitude", "longitude", "altitude_km", "density")}
    return replace(track, sigma=None, **columns)


def _averaged(
    track: DensityTrack, superobbing_s: float, correlation_time_s: float
) -> tuple[DensityTrack, NDArray[np.float64]]:
    means = superobservations(
        track.time, track.latitude, track.longitude, track.altitude_km, track.density, superobbing_s, correlation_time_s
    )
    reduced = replace(
        track,
        time=means.time,
        latitude=means.latitude,
        longitude=means.longitude,
        altitude_km=means.altitude_km,
        density=means.density,
        sigma=None,
    )
    return reduced, means.error_factor


@dataclass(frozen=True)
class ComparisonWindow:
    """Records with ``start_exclusive < time <= stop_inclusive`` meet one output time and enter one analysis.

    Parameters
    ----------
    compared_at : datetime64[ns]
        Output time at which HX is computed.
    assimilated_at : datetime64[ns]
        Analysis time that uses it: ``compared_at`` or later. Where ``compared_at`` is itself an earlier analysis time,
        HX is that of the state after that analysis.
    start_exclusive, stop_inclusive : datetime64[ns]
    """

    compared_at: np.datetime64
    assimilated_at: np.datetime64
    start_exclusive: np.datetime64
    stop_inclusive: np.datetime64


def comparison_windows(
    output_times: TimeArray, analysis_times: TimeArray, window: np.timedelta64
) -> list[ComparisonWindow]:
    """Return, in order of time, which records meet which output time.

    Each analysis uses the records of ``(analysis - window, analysis]``. Each of those is compared at the nearest output
    time from the preceding analysis to its own, the earlier one of two equally near; before the first analysis there
    are the output times up to it. No record belongs to two windows; with a window as long as the interval between
    analyses every record from ``first analysis - window`` (exclusive) to the last analysis belongs to one.

    Parameters
    ----------
    output_times, analysis_times : array of datetime64
        Strictly increasing; every analysis time is an output time.
    window : timedelta64
        Positive, at most the shortest interval between analyses.

    Raises
    ------
    ValueError
        If the times or the window do not obey this.
    """
    outputs = np.asarray(output_times, dtype="datetime64[ns]")
    analyses = np.asarray(analysis_times, dtype="datetime64[ns]")
    zero = np.timedelta64(0, "ns")
    if (np.diff(outputs) <= zero).any() or (np.diff(analyses) <= zero).any():
        raise ValueError("times of output and of analysis must increase strictly")
    if not np.isin(analyses, outputs).all():
        raise ValueError("every analysis time must be an output time")
    if not window > zero or (np.diff(analyses) < window).any():
        raise ValueError(f"the window must be positive and at most the interval between analyses, not {window}")
    before = [outputs[0], *analyses[:-1]] if analyses.size else []
    found: list[ComparisonWindow] = []
    for previous, analysis in zip(before, analyses, strict=True):
        candidates = outputs[(outputs >= previous) & (outputs <= analysis)]
        found += _windows_of_one_analysis(candidates, analysis - window)
    return found


def _windows_of_one_analysis(candidates: TimeArray, begin: np.datetime64) -> Sequence[ComparisonWindow]:
    analysis = candidates[-1]
    middle = candidates[:-1] + np.diff(candidates) // 2
    edges = np.maximum(np.concatenate([[begin], middle, [analysis]]), begin)
    return [
        ComparisonWindow(candidate, analysis, start, stop)
        for candidate, (start, stop) in zip(candidates, pairwise(edges), strict=True)
        if stop > start
    ]
