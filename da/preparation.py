"""From the configuration to what a run needs: drivers, tracks, step one, the data grid. Rank 0 alone does this."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from da.calibration import (
    CalibratedMsis,
    CalibrationReport,
    DataGrid,
    LowPass,
    ObservationError,
    QualityControl,
    calibrate,
    track_latitude,
)
from da.config import Experiment, SatelliteSection, SyntheticSatellite, TwinSection, to_datetime64
from da.drivers import Drivers, load_drivers
from da.errors import ThermodaError
from da.msis import Msis
from da.seeding import Purpose, stream
from da.tracks import DensityTrack, read_tracks
from da.twin import CircularOrbit, TwinTruth, TwinTruthSettings, synthetic_track

DATA_VARIABLE = "THERMODA_DATA"
"""Environment variable that names the folder of the user's measurements."""


@dataclass(frozen=True)
class StepOne:
    """What step one gives to step two.

    Parameters
    ----------
    drivers : Drivers
    tracks : dict of satellite -> DensityTrack
        Records from ``start`` to ``stop``; those of the calibrating satellite with the margin that its filter may use.
    calibrated : CalibratedMsis
    report : CalibrationReport
    grid : DataGrid
    error : ObservationError
    """

    drivers: Drivers
    tracks: dict[str, DensityTrack]
    calibrated: CalibratedMsis
    report: CalibrationReport
    grid: DataGrid
    error: ObservationError

    @property
    def calibrating_track(self) -> DensityTrack:
        """The track that is assimilated."""
        return self.tracks[self.calibrated.satellite]


def _hours(hours: float) -> np.timedelta64:
    return np.timedelta64(round(3.6e12 * hours), "ns")


def experiment_drivers(experiment: Experiment) -> Drivers:
    """Return the drivers from the begin of the spin-up to the end of the experiment, with the calibration's margins."""
    section = experiment.drivers
    margin = _hours(experiment.calibration.margin_h)
    return load_drivers(
        to_datetime64(experiment.experiment.start) - _hours(24.0 * experiment.ensemble.spin_up_days) - margin,
        to_datetime64(experiment.experiment.stop) + margin,
        table=section.table,
        allow_predicted=section.allow_predicted,
        ap_interpolation=section.ap_interpolation,
    )


def resolve_files(patterns: tuple[str, ...], satellite: str) -> list[Path]:
    """Return the files that the patterns name; relative patterns begin at THERMODA_DATA, if set, or here.

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
            raise ThermodaError(f"satellites.{satellite}.files: there is no file {root / pattern}{hint}")
        files += [Path(name) for name in found]
    return files


def _synthetic(
    experiment: Experiment, number: int, name: str, satellite: SyntheticSatellite, drivers: Drivers
) -> DensityTrack:
    seed, margin = experiment.experiment.seed, _hours(experiment.calibration.margin_h)
    start = to_datetime64(experiment.experiment.start)
    orbit = CircularOrbit(
        satellite.altitude_km,
        satellite.inclination_deg,
        satellite.right_ascension_deg,
        satellite.argument_of_latitude_deg,
        start,
    )
    truth = TwinTruth(drivers, TwinTruthSettings(**(experiment.twin or TwinSection()).model_dump()), seed)
    return synthetic_track(
        name,
        orbit,
        truth,
        start - margin,
        to_datetime64(experiment.experiment.stop) + margin,
        rng=stream(seed, Purpose.TWIN_NOISE, number),
        step_s=satellite.sampling_s,
        relative_noise=satellite.relative_noise,
    )


def _geodetic(track: DensityTrack) -> DensityTrack:
    """Return the track with geodetic latitudes, so that all that follows compares at the same place."""
    return replace(track, latitude=track_latitude(track), latitude_kind="geodetic")


def _track(experiment: Experiment, number: int, name: str, section: SatelliteSection, drivers: Drivers) -> DensityTrack:
    start, stop = to_datetime64(experiment.experiment.start), to_datetime64(experiment.experiment.stop)
    margin = _hours(experiment.calibration.margin_h if name == experiment.calibration.satellite else 0.0)
    if section.synthetic is not None:
        whole = _synthetic(experiment, number, name, section.synthetic, drivers)
    else:
        whole = _geodetic(read_tracks(resolve_files(section.files, name), name))
    inside = whole.between(start - margin, stop + margin)
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
    tracks = {
        name: _track(experiment, number, name, section, drivers)
        for number, (name, section) in enumerate(experiment.satellites.items())
    }
    calibration = experiment.calibration
    msis = Msis(drivers, calibration.msis_version, calibration.geomagnetic_activity)
    low_pass = LowPass(calibration.low_pass.kind, calibration.low_pass.cutoff_h, calibration.low_pass.order)
    calibrated, report = calibrate(
        tracks[calibration.satellite], msis, low_pass, QualityControl(**calibration.quality.model_dump())
    )
    return StepOne(
        drivers,
        tracks,
        calibrated,
        report,
        DataGrid.regular(**experiment.data_grid.model_dump()),
        ObservationError(**experiment.observation_error.model_dump()),
    )
