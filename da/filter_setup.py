"""From the sections of the configuration to the objects of the analysis."""

from __future__ import annotations

from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.analysis import FilterSettings, LocalizedAnalysis
from da.analysis_config import (
    AdaptiveInflationSection,
    AnalysisSection,
    DistanceMetric,
    LocalizationSection,
    TrackLocalizationSection,
)
from da.analysis_engine import AnalysisEngine
from da.analysis_observations import SourceLocalization
from da.analysis_storage import read_inflation_state
from da.config import Experiment
from da.distributed_analysis import DistributedAnalysis
from da.errors import ThermodaError
from da.filters.coarse_nodes import CoarseNodes
from da.filters.lestkf import Relaxation
from da.grid_position import VerticalCoordinate
from da.inflation import (
    AdaptiveInflationSettings,
    InflationState,
    relax_to_prior_perturbations,
    relax_to_prior_spread,
)
from da.inflation.prior import PriorInflation, PriorInflationKind
from da.interpolated_analysis import InterpolatedAnalysis
from da.localization import Localization, SubDomains, sub_domains_of_shape
from da.model import ForecastModel
from da.observation_plan import DATA_GRID
from da.observing import observe_density
from da.parallel import Communicator, collective, from_root
from da.parameters import ParameterSettings
from da.perturbation_set import AdditiveInflation, PerturbationSet

FloatArray = NDArray[np.float64]


def sub_domains(experiment: Experiment, model: ForecastModel) -> SubDomains:
    """Return the sub-domains of the model's grid."""
    section = experiment.analysis.localization
    return sub_domains_of_shape(model.layout.grid.shape, section.sub_domain, section.block_cells)


def source_localization(section: LocalizationSection | TrackLocalizationSection) -> SourceLocalization:
    """Return cut-off, weights and metric of one source."""
    radius = float("inf") if section.cutoff_radius is None else section.cutoff_radius
    if section.metric is DistanceMetric.INDEX:
        vertical, vertical_radius = VerticalCoordinate.LEVELS, section.vertical_cutoff_radius_cells
    elif section.vertical_cutoff_radius_km is not None:
        vertical, vertical_radius = VerticalCoordinate.KM, section.vertical_cutoff_radius_km
    else:
        vertical, vertical_radius = VerticalCoordinate.SCALE_HEIGHTS, section.vertical_cutoff_radius_scale_heights
    return SourceLocalization(
        Localization(radius, section.weighting, section.support_radius, section.decay_radius),
        vertical,
        vertical_radius,
        section.regulated,
        section.error_correlation_radius,
    )


def _prior_inflation(section: AnalysisSection) -> PriorInflation:
    if section.adaptive_inflation is not None:
        adaptive = AdaptiveInflationSettings(**section.adaptive_inflation.model_dump(exclude={"restart_file"}))
        return PriorInflation(PriorInflationKind.ADAPTIVE, adaptive=adaptive)
    kind = section.adaptive_forgetting or "fixed"
    return PriorInflation(PriorInflationKind(kind), section.forgetting_factor)


def _relaxation(section: AnalysisSection) -> Relaxation | None:
    if section.relaxation is None:
        return None
    method = relax_to_prior_spread if section.relaxation.method == "rtps" else relax_to_prior_perturbations
    return partial(method, relaxation=section.relaxation.factor)


def _parameters(experiment: Experiment) -> dict[str, ParameterSettings]:
    return {
        name: ParameterSettings(
            one.mean_damping,
            one.observation_weight,
            float("-inf") if one.altitude_min_km is None else one.altitude_min_km,
            float("inf") if one.altitude_max_km is None else one.altitude_max_km,
            one.relaxation,
            experiment.ensemble.perturbations[name].truncation,
        )
        for name, one in experiment.analysis.parameters.items()
    }


def filter_settings(experiment: Experiment) -> FilterSettings:
    """Return how analyses are made."""
    section = experiment.analysis
    localizations = {DATA_GRID: source_localization(section.localization)} | {
        name: source_localization(experiment.track_localization(name)) for name in experiment.direct_tracks
    }
    check = section.innovation_check
    return FilterSettings(
        localizations,
        _prior_inflation(section),
        _relaxation(section),
        section.update_fraction,
        None if check is None else check.threshold,
        _parameters(experiment),
    )


def build_engine(experiment: Experiment, model: ForecastModel, comm: Communicator) -> AnalysisEngine[Any]:
    """Return what computes and applies the transforms."""
    section, members, layout = experiment.analysis.localization, experiment.ensemble.members, model.layout
    # Between nodes at every cell there is nothing to interpolate.
    if section.weight_interpolation_cells in (None, 1):
        return DistributedAnalysis(comm, layout, sub_domains(experiment, model), members)
    nodes = CoarseNodes(layout.grid.shape, section.weight_interpolation_cells, layout.grid.periodic_longitude)
    return InterpolatedAnalysis(comm, layout, nodes, members)


def _continued_inflation(path: Path, centre: FloatArray, section: AdaptiveInflationSection) -> InflationState:
    """Return the state that an earlier run left; ThermodaError where these settings do not allow it."""
    state = InflationState(*read_inflation_state(path, centre))
    lowest, highest = state.mean.min(), state.mean.max()
    if not section.lower <= lowest <= highest <= section.upper:
        raise ThermodaError(
            f"{path}: its inflation reaches from {lowest:g} to {highest:g}, which analysis.adaptive_inflation.lower "
            f"({section.lower:g}) and upper ({section.upper:g}) must enclose"
        )
    widest = state.standard_deviation.max()
    if not widest < sqrt(2.0) * section.lower:
        raise ThermodaError(
            f"{path}: its inflation has a standard deviation of {widest:g}, which must be less than sqrt(2) times "
            f"analysis.adaptive_inflation.lower ({section.lower:g})"
        )
    return state


def build_analysis(experiment: Experiment, model: ForecastModel, comm: Communicator) -> LocalizedAnalysis:
    """Return the analysis step.

    Raises
    ------
    ThermodaError
        On all ranks, if a file of perturbations or of an inflation to continue from does not fit.
    """
    section, members = experiment.analysis, experiment.ensemble.members
    engine = build_engine(experiment, model, comm)
    inflation, additive = None, None
    restart = section.adaptive_inflation
    if restart is not None and restart.restart_file is not None:
        path = restart.restart_file
        inflation = from_root(comm, lambda: _continued_inflation(path, engine.centre, restart))
    if section.additive_inflation is not None:
        with collective(comm, "analysis.additive_inflation"):
            perturbations = PerturbationSet.open(
                section.additive_inflation.file, model.layout, check_values=comm.rank == 0
            )
        additive = AdditiveInflation(
            perturbations, section.additive_inflation.factor, comm, members, experiment.experiment.seed
        )
    observe = partial(observe_density, model)
    return LocalizedAnalysis(comm, model.layout, engine, filter_settings(experiment), observe, additive, inflation)
