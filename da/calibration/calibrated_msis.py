"""NRLMSIS times the filtered scale factor of one satellite: step one of Corbin & Kusche (2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.calibration.low_pass import LowPass
from da.calibration.quality_control import QualityControl, RegularSeries, regular_series
from da.calibration.scale_factors import ScaleFactors, scale_factors
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks.track import DensityTrack

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

EDGE = np.timedelta64(10, "m")
"""How far beyond its first and last value the filtered factor is held; it changes by less than its noise meanwhile."""


@dataclass(frozen=True)
class CalibratedMsis:
    """NRLMSIS with a global, time-dependent scale factor.

    Parameters
    ----------
    msis : Msis
    satellite : str
        Whose densities calibrate it.
    time : array (n,), datetime64[ns]
    ln_factor : array (n,)
        Filtered ln s at these times; NaN in gaps, at least one is known.
    """

    msis: Msis
    satellite: str
    time: TimeArray
    ln_factor: FloatArray

    def factor(self, time: TimeArray) -> FloatArray:
        """Return the scale factor at times (n,): ln s linear between its values.

        Raises
        ------
        ThermodaError
            If a time lies more than ten minutes outside the calibrated span, or as far inside a gap.
        """
        times = np.atleast_1d(time)
        ln_factor = self.known_ln_factor(times)
        unknown = np.isnan(ln_factor)
        if unknown.any():
            first = times[unknown][0]
            where = "lies in a gap of" if self.time[0] <= first <= self.time[-1] else "lies outside the time of"
            raise ThermodaError(f"{self.satellite}: {first} {where} its densities, {self.time[0]} to {self.time[-1]}")
        return np.asarray(np.exp(ln_factor))

    def known_ln_factor(self, time: TimeArray) -> FloatArray:
        """Return ln s at times (n,), linear between its values, held for ten minutes beyond them; NaN elsewhere."""
        before, after = self._neighbours(time)
        number, known = np.flatnonzero(np.isfinite(self.ln_factor)), self.known_time
        since, until = time - known[before], known[after] - time
        # Neighbours that do not follow each other in the series have a gap between them.
        none = np.timedelta64(0, "ns")
        inside = (since >= none) & (until >= none) & (number[after] - number[before] <= 1)
        held = np.where(np.abs(since) <= np.abs(until), before, after)
        origin, second = known[0], np.timedelta64(1, "s")
        values = self.ln_factor[number]
        between = np.interp((time - origin) / second, (known - origin) / second, values)
        near = np.minimum(np.abs(since), np.abs(until)) <= EDGE
        return np.asarray(np.where(inside, between, np.where(near, values[held], np.nan)))

    def latest(self, time: TimeArray) -> tuple[FloatArray, FloatArray]:
        """Return, for times (n,), the latest known ln s and how long ago it was [h]: before the first, that one."""
        before, _ = self._neighbours(time)
        values = self.ln_factor[np.isfinite(self.ln_factor)][before]
        return values, np.asarray((time - self.known_time[before]) / np.timedelta64(1, "h"))

    def gaps(self, start: np.datetime64, stop: np.datetime64) -> list[tuple[np.datetime64, np.datetime64]]:
        """Return from when to when the factor is not known between two times."""
        number, known = np.flatnonzero(np.isfinite(self.ln_factor)), self.known_time
        broken = np.flatnonzero(np.diff(number) > 1)
        begins = [start, *(known[broken] + EDGE), known[-1] + EDGE]
        ends = [known[0] - EDGE, *(known[broken + 1] - EDGE), stop]
        inside = ((max(begin, start), min(end, stop)) for begin, end in zip(begins, ends, strict=True))
        return [(begin, end) for begin, end in inside if begin < end]

    @property
    def known_time(self) -> TimeArray:
        """Times at which the factor is known, as of :attr:`time`."""
        return self.time[np.isfinite(self.ln_factor)]

    def _neighbours(self, time: TimeArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return for each time the number of the known value at or before, and of that at or after it."""
        known = self.known_time
        before = np.searchsorted(known, time, side="right") - 1
        after = np.searchsorted(known, time, side="left")
        return np.maximum(before, 0), np.minimum(after, known.size - 1)


@dataclass(frozen=True)
class CalibrationReport:
    """What step one did, for tables and files.

    Parameters
    ----------
    raw : ScaleFactors
        Of every record.
    series : RegularSeries
        Outliers left out, short gaps filled, before the filter.
    filtered : array
        The series after the filter; NaN in long gaps.
    outliers : int
    """

    raw: ScaleFactors
    series: RegularSeries
    filtered: FloatArray
    outliers: int

    @property
    def records(self) -> int:
        """Number of records of the track, outliers included."""
        return int(self.raw.time.size)

    @property
    def filled(self) -> int:
        """Number of values of the regular series behind which no measurement stands."""
        return int(self.series.filled.sum())

    @property
    def gaps(self) -> int:
        """Number of runs of filled values; gaps too long to be filled are not among them."""
        return int(np.sum(np.diff(self.series.filled.astype(np.int8), prepend=0) == 1))

    @property
    def long_gaps(self) -> int:
        """Number of gaps within the track that were too long to be filled."""
        return len(self.series.stretches) - 1


def calibrate(
    track: DensityTrack, msis: Msis, low_pass: LowPass, control: QualityControl
) -> tuple[CalibratedMsis, CalibrationReport]:
    """Return NRLMSIS calibrated along a track, and the report.

    Raises
    ------
    ThermodaError
        If the track is empty, or too short to be filtered.
    """
    if len(track) == 0:
        raise ThermodaError(f"{track.satellite}: no density within the time of the experiment (from {track.source})")
    raw = scale_factors(track, msis)
    if not raw.time.size:
        raise ThermodaError(
            f"{track.satellite}: no density has enough others around it for a mean of {track.smoothing_s / 60.0:g} min "
            f"(from {track.source}); give a longer track, or a smaller smoothing_min"
        )
    series, outliers = regular_series(raw, control, low_pass.cutoff_h)
    filtered = np.full(series.values.size, np.nan)
    for part in series.stretches:
        filtered[part] = low_pass.apply(series.values[part], series.step_s)
    report = CalibrationReport(raw, series, filtered, outliers)
    return CalibratedMsis(msis, track.satellite, series.time, filtered), report
