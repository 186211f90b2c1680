"""From the configuration to step one: NRLMSIS calibrated along its satellites, gaps, and whether satellites agree."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from da.calibration import (
    Agreement,
    CalibratedMsis,
    CalibrationReport,
    ContinuedFactor,
    LowPass,
    Persistence,
    QualityControl,
    agreement,
    calibrate,
    estimated_persistence,
    scale_factors,
)
from da.calibration_config import ESTIMATED, STOP, CalibrationSection, Disagreeing
from da.config import Experiment, to_datetime64
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks import DensityTrack


def continued_factor(
    section: CalibrationSection, tracks: Mapping[str, DensityTrack], msis: Msis
) -> tuple[ContinuedFactor, CalibrationReport]:
    """Return the scale factor of the calibrating satellite with what takes its place in gaps, and what was done.

    Parameters
    ----------
    section : CalibrationSection
    tracks : dict of satellite -> DensityTrack
        Of the satellites of the section, as long as the filter may use them.
    msis : Msis

    Raises
    ------
    ThermodaError
        If a track cannot be calibrated along, or persistence cannot be estimated.
    """
    low_pass = LowPass(section.low_pass.kind, section.low_pass.cutoff_h, section.low_pass.order)
    control = QualityControl(**section.quality.model_dump(), longest_filled_h=section.longest_filled_h)
    calibrated, report = calibrate(tracks[section.satellite], msis, low_pass, control)
    fallback = None
    if section.gaps.satellite is not None:
        fallback, _ = calibrate(tracks[section.gaps.satellite], msis, low_pass, control)
    return ContinuedFactor(calibrated, _persistence(section, calibrated), fallback), report


def _persistence(section: CalibrationSection, calibrated: CalibratedMsis) -> Persistence | None:
    given = section.gaps.persistence
    if given is None:
        return None
    time_h, deviation = given.relaxation_time_h, given.standard_deviation
    if time_h == ESTIMATED or deviation == ESTIMATED:
        found = estimated_persistence(calibrated, section.low_pass.cutoff_h)
        time_h = found.relaxation_time_h if time_h == ESTIMATED else time_h
        deviation = found.standard_deviation if deviation == ESTIMATED else deviation
    return Persistence(float(time_h), float(deviation))


def refuse_gaps(experiment: Experiment, calibrated: CalibratedMsis) -> None:
    """Raise ThermodaError for the first gap within the experiment, where the configuration wants to stop then."""
    if experiment.calibration.gaps.then != STOP:
        return
    start, stop = to_datetime64(experiment.experiment.start), to_datetime64(experiment.experiment.stop)
    gaps = calibrated.gaps(start, stop)
    if gaps:
        (first, last), hours = gaps[0], (gaps[0][1] - gaps[0][0]) / np.timedelta64(1, "h")
        begin, end = (np.datetime_as_string(time, unit="s") for time in (first, last))
        raise ThermodaError(
            f"{calibrated.satellite}: no scale factor from {begin} to {end} ({hours:.1f} h) for want of densities; "
            f"calibration.gaps.longest_filled_h is {experiment.calibration.longest_filled_h:g}, and 'then' is '{STOP}'"
        )


def agreements(experiment: Experiment, tracks: Mapping[str, DensityTrack], msis: Msis) -> tuple[Agreement, ...]:
    """Return how the satellites that enter the analyses agree, pair by pair.

    Raises
    ------
    ThermodaError
        If two disagree and the configuration wants to stop then.
    """
    names = [name for name in experiment.used_satellites if len(tracks[name])]
    if len(names) < 2:
        return ()
    factors = {name: scale_factors(tracks[name], msis) for name in names}
    measured = [name for name in names if factors[name].time.size]
    found = tuple(agreement(factors[one], factors[other]) for one, other in combinations(measured, 2))
    if experiment.calibration.disagreement.then is Disagreeing.STOP and (told := disagreements(experiment, found)):
        raise ThermodaError(f"{told[0]}; calibration.disagreement.then is '{Disagreeing.STOP}'")
    return found


def disagreements(experiment: Experiment, found: tuple[Agreement, ...]) -> list[str]:
    """Return a sentence for each pair that does not agree as the configuration wants it."""
    section = experiment.calibration.disagreement
    return [
        f"satellites disagree: {one.describe}; accepted is {section.accepted:g} and {section.threshold:g} "
        "standard errors (calibration.disagreement)"
        for one in found
        if one.beyond(section.accepted, section.threshold)
    ]
