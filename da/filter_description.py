"""What an experiment assimilates, and how, in one line of words per choice; for the summary before a run."""

from __future__ import annotations

from da.analysis_config import (
    INFINITY,
    AnalysisSection,
    AnalysisVariable,
    DirectTrackSection,
    DistanceMetric,
    LocalizationSection,
    TrackLocalizationSection,
)
from da.calibration_config import PAUSE, STOP
from da.config import Experiment

Localities = LocalizationSection | TrackLocalizationSection


def describe_filter(experiment: Experiment) -> dict[str, str]:
    """Return the choices of the analysis: name -> one line."""
    if not experiment.experiment.assimilate:
        return {"assimilated": f"nothing: the open loop alone; {experiment.calibration.satellite} calibrates NRLMSIS"}
    analysis = experiment.analysis
    lines = {"assimilated": describe_data_grid(experiment), "gaps of densities": describe_gaps(experiment)}
    lines |= {f"direct track {name}": describe_track(track) for name, track in experiment.direct_tracks.items()}
    lines["variable"] = "density" if analysis.variable is AnalysisVariable.DENSITY else "ln of density"
    lines["distance"] = describe_distance(analysis.localization)
    lines["weights"] = describe_weights(analysis.localization)
    lines["inflation"] = describe_inflation(analysis)
    if analysis.innovation_check is not None:
        threshold = analysis.innovation_check.threshold
        lines["innovation check"] = f"refuses what is beyond {threshold:g} standard deviations of the innovation"
    if analysis.update_fraction:
        parts = (f"{name} {fraction:g}" for name, fraction in analysis.update_fraction.items())
        lines["part of the increment"] = ", ".join(parts)
    lines["parameters"] = describe_parameters(analysis)
    return lines


def describe_data_grid(experiment: Experiment) -> str:
    """Say whether the data grid is assimilated, and what the calibrating satellite is for."""
    satellite = experiment.calibration.satellite
    if experiment.data_grid.assimilate:
        return f"data grid of NRLMSIS calibrated along {satellite}"
    return f"direct tracks only; {satellite} calibrates NRLMSIS, whose data grid is written, not assimilated"


def describe_gaps(experiment: Experiment) -> str:
    """Say what is done where the calibrating satellite has no densities."""
    calibration = experiment.calibration
    gaps, filled = calibration.gaps, f"filled up to {calibration.longest_filled_h:g} h"
    if gaps.persistence is not None:
        time_h, deviation = (
            value if isinstance(value, str) else f"{value:g}"
            for value in (gaps.persistence.relaxation_time_h, gaps.persistence.standard_deviation)
        )
        return (
            f"{filled}; beyond, the latest factor persists (relaxation time {time_h} h, standard deviation {deviation})"
        )
    words = {PAUSE: "the data grid pauses", STOP: "the run does not begin"}
    return f"{filled}; beyond, {words.get(gaps.then, f'the factor of {gaps.then}')}"


def describe_track(track: DirectTrackSection) -> str:
    """Say which densities of a satellite are used, and how far they are trusted."""
    parts = [
        f"{track.satellite}, {track.window_min:g} min before each analysis, relative error {track.relative_error:g}"
    ]
    if track.leave_out_outliers:
        parts.append("outliers left out")
    if track.thinning_s is not None:
        parts.append(f"at most one density in {track.thinning_s:g} s")
    if track.superobbing_s is not None:
        parts.append(f"averages of {track.superobbing_s:g} s")
    if track.localization is not None:
        parts += [describe_distance(track.localization), describe_weights(track.localization)]
    return "; ".join(parts)


def describe_distance(section: Localities) -> str:
    """Say how distance is measured and how far observations are local."""
    if section.cutoff_radius is None:
        return "none: all observations are local"
    levels = ("vertical_cutoff_radius_scale_heights", "vertical_cutoff_radius_km", "vertical_cutoff_radius_cells")
    vertical = next((value for key in levels if (value := getattr(section, key)) is not None), section.cutoff_radius)
    unit = "scale heights" if section.vertical_cutoff_key == levels[0] else section.metric.unit
    height = "height does not count" if vertical == INFINITY else f"in height {vertical:g} {unit}"
    kind = "index" if section.metric is DistanceMetric.INDEX else "great circle"
    return f"{kind}, cut-off {section.cutoff_radius:g} {section.metric.unit}, {height}"


def describe_weights(section: Localities) -> str:
    """Say how observations are weighted, and how weights reach the cells."""
    unit, parts = section.metric.unit, ["uniform"]
    if section.support_radius is not None:
        parts = [f"Gaspari-Cohn, zero at {section.support_radius:g} {unit}"]
    elif section.decay_radius is not None:
        parts = [f"exponential, 1/e at {section.decay_radius:g} {unit}"]
    if section.regulated:
        parts.append("regulated")
    if section.error_correlation_radius is not None:
        parts.append(f"errors correlated up to {section.error_correlation_radius:g} {unit}")
    if isinstance(section, LocalizationSection) and section.weight_interpolation_cells is not None:
        parts.append(f"computed every {section.weight_interpolation_cells} cells and interpolated")
    return ", ".join(parts)


def describe_inflation(analysis: AnalysisSection) -> str:
    """Say what keeps the spread of the ensemble up."""
    parts: list[str] = []
    adaptive, fixed = analysis.adaptive_inflation, f"{analysis.forgetting_factor:g}"
    if adaptive is not None:
        begin = (
            f"{adaptive.initial:g} +- {adaptive.standard_deviation:g}"
            if adaptive.restart_file is None
            else str(adaptive.restart_file)
        )
        parts.append(f"adaptive per sub-domain from {begin}, {adaptive.lower:g} to {adaptive.upper:g}")
    elif analysis.adaptive_forgetting is not None:
        parts.append(f"forgetting factor {analysis.adaptive_forgetting}ly adaptive, else {fixed}")
    elif analysis.forgetting_factor != 1.0:
        parts.append(f"forgetting factor {fixed}")
    if analysis.relaxation is not None:
        parts.append(f"{analysis.relaxation.method} {analysis.relaxation.factor:g}")
    if analysis.additive_inflation is not None:
        additive = analysis.additive_inflation
        parts.append(f"{additive.factor:g} times perturbations of {additive.file}")
    return "; ".join(parts) or "none"


def describe_parameters(analysis: AnalysisSection) -> str:
    """Say which inputs of the model are estimated."""
    parts = [f"{name} (mean increment times {one.mean_damping:g})" for name, one in analysis.parameters.items()]
    return ", ".join(parts) or "none estimated"
