"""NRLMSIS times the filtered scale factor of one satellite: step one of Corbin & Kusche (2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.calibration.low_pass import LowPass
from da.calibration.quality_control import QualityControl, RegularSeries, regular_series
from da.calibration.scale_factors import ScaleFactors, scale_factors, track_latitude
from da.errors import ThermodaError
from da.msis import Atmosphere, Msis
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
        Filtered ln s at these times.
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
            If a time lies more than ten minutes outside the calibrated span.
        """
        times = np.atleast_1d(time)
        outside = (times < self.time[0] - EDGE) | (times > self.time[-1] + EDGE)
        if outside.any():
            raise ThermodaError(
                f"{self.satellite}: {times[outside][0]} lies outside the time of its densities, "
                f"{self.time[0]} to {self.time[-1]}"
            )
        seconds = (times - self.time[0]) / np.timedelta64(1, "s")
        known = (self.time - self.time[0]) / np.timedelta64(1, "s")
        return np.asarray(np.exp(np.interp(seconds, known, self.ln_factor)))

    def along_track(self, track: DensityTrack) -> tuple[FloatArray, Atmosphere]:
        """Return the calibrated density [kg m-3] at a track's points (n,), and NRLMSIS there."""
        atmosphere = self.msis.along_track(track.time, track_latitude(track), track.longitude, track.altitude_km)
        return self.factor(track.time) * atmosphere.density, atmosphere


@dataclass(frozen=True)
class CalibrationReport:
    """What step one did, for tables and files.

    Parameters
    ----------
    raw : ScaleFactors
        Of every record.
    series : RegularSeries
        Outliers left out, gaps filled, before the filter.
    filtered : array
        The series after the filter.
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
        """Number of runs of filled values."""
        return int(np.sum(np.diff(self.series.filled.astype(np.int8), prepend=0) == 1))


def calibrate(
    track: DensityTrack, msis: Msis, low_pass: LowPass, control: QualityControl
) -> tuple[CalibratedMsis, CalibrationReport]:
    """Return NRLMSIS calibrated along a track, and the report.

    Raises
    ------
    ThermodaError
        If the track is empty, too short to be filtered, or has too long a gap.
    """
    if len(track) == 0:
        raise ThermodaError(f"{track.satellite}: no density within the time of the experiment (from {track.source})")
    raw = scale_factors(track, msis)
    series, outliers = regular_series(raw, control, low_pass.cutoff_h)
    filtered = low_pass.apply(series.values, series.step_s)
    report = CalibrationReport(raw, series, filtered, outliers)
    return CalibratedMsis(msis, track.satellite, series.time, filtered), report
