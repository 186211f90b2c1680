"""From the configuration to what a run needs: drivers, tracks, step one, the data grid. Rank 0 alone does this."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from da.calibration import (
    Agreement,
    CalibratedMsis,
    CalibrationReport,
    ContinuedFactor,
    DataGridSource,
    ObservationError,
    refuse_other_unit,
    track_latitude,
)
from da.calibration_setup import agreements, continued_factor, refuse_gaps
from da.config import Experiment, to_datetime64
from da.drivers import Drivers, load_drivers
from da.errors import ThermodaError
from da.msis import Msis
from da.satellite_config import SatelliteSection
from da.seeding import Purpose, stream
from da.tracks import DensityTrack, concatenate, read_tracks
from da.twin import (
    NAMED_ORBITS,
    AnalyticOrbit,
    Orbit,
    TwinTruth,
    TwoLineOrbit,
    read_two_line_elements,
    synthetic_track,
)
from da.twin_config import SyntheticSatellite, TwinSection

DATA_VARIABLE = "THERMODA_DATA"
"""Environment variable that names the folder of the user's measurements."""


@dataclass(frozen=True)
class StepOne:
    """What step one gives to step two.

    Parameters
    ----------
    drivers : Drivers
    tracks : dict of satellite -> DensityTrack
        Records from ``start`` to ``stop``; those of the calibrating satellite with the margin that its filter may use,
        those of direct tracks with the window of the first analysis.
    report : CalibrationReport
    data_grid : DataGridSource
        What the data grid observes, and when it can.
    agreements : tuple of Agreement
        Of the satellites that enter the analyses.
    """

    drivers: Drivers
    tracks: dict[str, DensityTrack]
    report: CalibrationReport
    data_grid: DataGridSource
    agreements: tuple[Agreement, ...]

    @property
    def factor(self) -> ContinuedFactor:
        """The scale factor of any time."""
        return self.data_grid.factor

    @property
    def calibrated(self) -> CalibratedMsis:
        """NRLMSIS calibrated along the calibrating satellite."""
        return self.factor.calibrated


def _hours(hours: float) -> np.timedelta64:
    return np.timedelta64(round(3.6e12 * hours), "ns")


@dataclass(frozen=True)
class Margins:
    """How much longer than the experiment something must be, in time: a filter, and first windows, reach beyond it."""

    before: np.timedelta64
    after: np.timedelta64


def track_margins(experiment: Experiment, satellite: str) -> Margins:
    """Return how far before ``start`` and after ``stop`` the densities of a satellite are used.

    The calibration uses its margin; the first analysis uses the window of a direct track before it. Averages of
    superobbing take all of their records, those at the edges too, and so do running means.
    """
    half_smoothing_h = experiment.satellites[satellite].smoothing_min / 120.0
    calibrates = satellite in experiment.calibration.satellites
    calibrating = experiment.calibration.margin_h + half_smoothing_h if calibrates else 0.0
    before, after = [_hours(calibrating)], [_hours(calibrating)]
    for track in experiment.direct_tracks.values():
        if track.satellite == satellite:
            average_h = (track.superobbing_s or 0.0) / 3600.0 + half_smoothing_h
            before.append(_hours(track.window_min / 60.0 + average_h))
            after.append(_hours(average_h))
    return Margins(max(before), max(after))


def widest_margins(experiment: Experiment) -> Margins:
    """Return margins that hold those of the calibration and of every satellite, running means included."""
    calibration = _hours(experiment.calibration.margin_h)
    tracks = [track_margins(experiment, name) for name in experiment.satellites]
    half_smoothing = max(_hours(one.smoothing_min / 120.0) for one in experiment.satellites.values())
    return Margins(
        max(calibration, *(one.before for one in tracks)) + half_smoothing,
        max(calibration, *(one.after for one in tracks)) + half_smoothing,
    )


def experiment_drivers(experiment: Experiment) -> Drivers:
    """Return the drivers from the begin of the spin-up to the end of the experiment, with the widest margins."""
    section = experiment.drivers
    margins = widest_margins(experiment)
    return load_drivers(
        to_datetime64(experiment.experiment.start) - _hours(24.0 * experiment.ensemble.spin_up_days) - margins.before,
        to_datetime64(experiment.experiment.stop) + margins.after,
        table=section.table,
        allow_predicted=section.allow_predicted,
        ap_interpolation=section.ap_interpolation,
        solar_wind_files=resolve_files(section.solar_wind, "drivers.solar_wind"),
        max_gap_min=section.max_gap_min,
        outside_solar_wind=section.outside_solar_wind,
        hemispheric_power_files=resolve_files(section.hemispheric_power, "drivers.hemispheric_power"),
    )


def resolve_files(patterns: tuple[str, ...], key: str) -> list[Path]:
    """Return the files that the patterns under a key name; relative ones begin at THERMODA_DATA, if set, or here.

    Raises
    ------
    ThermodaError
        If a pattern names no file.
    """
    root = Path(os.environ.get(DATA_VARIABLE, "."))
    files: list[Path] = []
    for pattern in patterns:
        found = sorted(glob.glob(str(root / pattern)))  # noqa: PTH207 - the pattern may be absolute
        if not found:
            hint = "" if DATA_VARIABLE in os.environ else f"; set {DATA_VARIABLE} to the folder that holds it"
            raise ThermodaError(f"{key}: there is no file {root / pattern}{hint}")
        files += [Path(name) for name in found]
    return files


def _orbit(satellite: SyntheticSatellite, start: np.datetime64, stop: np.datetime64, name: str) -> Orbit:
    """Return the orbit of a synthetic satellite from ``start`` to ``stop``; elements hold at ``start``."""
    key = f"satellites.{name}.synthetic"
    if satellite.orbit is not None:
        return NAMED_ORBITS[satellite.orbit].orbit(start, stop, f"{key}.orbit")
    if satellite.two_line_elements is not None:
        return TwoLineOrbit(*satellite.two_line_elements, f"{key}.two_line_elements")
    if satellite.two_line_elements_file is not None:
        path = Path(os.environ.get(DATA_VARIABLE, ".")) / satellite.two_line_elements_file
        return read_two_line_elements(path, start, satellite.catalogue_number)
    if satellite.altitude_km is None or satellite.inclination_deg is None:
        raise ValueError(f"{key}: the configuration lets nothing pass without an orbit")
    return AnalyticOrbit(
        satellite.altitude_km,
        satellite.inclination_deg,
        satellite.right_ascension_deg,
        satellite.argument_of_latitude_deg,
        start,
        satellite.eccentricity,
        satellite.argument_of_perigee_deg,
    )


def _truth(experiment: Experiment, drivers: Drivers) -> TwinTruth:
    return TwinTruth(drivers, (experiment.twin or TwinSection()).settings(), experiment.experiment.seed)


def _synthetic(
    experiment: Experiment, number: int, name: str, satellite: SyntheticSatellite, truth: TwinTruth
) -> DensityTrack:
    margins = widest_margins(experiment)
    start, stop = to_datetime64(experiment.experiment.start), to_datetime64(experiment.experiment.stop)
    return synthetic_track(
        name,
        _orbit(satellite, start, stop, name),
        truth,
        start - margins.before,
        stop + margins.after,
        rng=stream(experiment.experiment.seed, Purpose.TWIN_NOISE, number),
        step_s=satellite.sampling_s,
        relative_noise=satellite.relative_noise,
        smoothing_s=60.0 * experiment.satellites[name].smoothing_min,
    )


def _geodetic(track: DensityTrack) -> DensityTrack:
    """Return the track with geodetic latitudes, so that all that follows compares at the same place."""
    return replace(track, latitude=track_latitude(track), latitude_kind="geodetic")


def _is_direct(experiment: Experiment, satellite: str) -> bool:
    return any(track.satellite == satellite for track in experiment.direct_tracks.values())


def _measured(
    experiment: Experiment, name: str, section: SatelliteSection, margins: Margins, msis: Msis
) -> DensityTrack:
    """Return the track of all files of a satellite, each in the unit that it should be in."""
    files = resolve_files(section.files, f"satellites.{name}.files")
    parts = [read_tracks([file], name) for file in files]
    start, stop = to_datetime64(experiment.experiment.start), to_datetime64(experiment.experiment.stop)
    for part in parts:
        refuse_other_unit(part.between(start - margins.before, stop + margins.after), msis)
    return replace(_geodetic(concatenate(parts)), smoothing_s=60.0 * section.smoothing_min)


def _track(
    experiment: Experiment, number: int, name: str, section: SatelliteSection, truth: TwinTruth, msis: Msis
) -> DensityTrack:
    start, stop = to_datetime64(experiment.experiment.start), to_datetime64(experiment.experiment.stop)
    margins = track_margins(experiment, name)
    if section.synthetic is not None:
        whole = _synthetic(experiment, number, name, section.synthetic, truth)
    else:
        whole = _measured(experiment, name, section, margins, msis)
    # An analysis uses the record of its own time; the window of ``between`` is open at its end.
    last = stop + margins.after + np.timedelta64(int(_is_direct(experiment, name)), "ns")
    inside = whole.between(start - margins.before, last)
    if len(whole.between(start, stop)) == 0:
        raise ThermodaError(
            f"satellites.{name}: its densities from {whole.time[0]} to {whole.time[-1]} ({whole.source}) "
            f"lie outside the experiment, {start} to {stop}"
        )
    return inside


def prepare(experiment: Experiment) -> StepOne:
    """Read drivers and tracks and calibrate NRLMSIS.

    Raises
    ------
    ThermodaError
        For any missing, malformed or unsuitable input.
    """
    drivers = experiment_drivers(experiment)
    truth = _truth(experiment, drivers)
    calibration = experiment.calibration
    msis = Msis(drivers, calibration.msis_version, calibration.geomagnetic_activity)
    tracks = {
        name: _track(experiment, number, name, section, truth, msis)
        for number, (name, section) in enumerate(experiment.satellites.items())
    }
    calibrating = {name: _for_the_filter(experiment, tracks[name]) for name in calibration.satellites}
    factor, report = continued_factor(calibration, calibrating, msis)
    refuse_gaps(experiment, factor.calibrated)
    agreed = agreements(experiment, tracks, msis)
    error = ObservationError(**experiment.observation_error.model_dump())
    return StepOne(drivers, tracks, report, DataGridSource(factor, tracks, experiment.data_grid.grid(), error), agreed)


def _for_the_filter(experiment: Experiment, track: DensityTrack) -> DensityTrack:
    """Return what step one may use of a track: the window of a direct track of the satellite may reach further back."""
    start, stop = to_datetime64(experiment.experiment.start), to_datetime64(experiment.experiment.stop)
    half_smoothing_h = experiment.satellites[track.satellite].smoothing_min / 120.0
    margin = _hours(experiment.calibration.margin_h) + _hours(half_smoothing_h)
    return track.between(start - margin, stop + margin)
