"""The observation side of one analysis: several sources, each with its own localization, error inflation and check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.filters.lestkf import ObservedEnsemble
from da.grid_position import VerticalCoordinate, observation_index_position, place_of_index
from da.localization import (
    GreatCircleMetric,
    IndexMetric,
    Localization,
    LocalObservations,
    Metric,
    merge_sources,
    regulated,
    select_local_observations,
    vertical_scale,
)
from da.model import StateLayout
from da.observation_handling import innovation_check, variance_factors
from da.observations import JoinedObservations, ObservationBatch, join_batches

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class SourceLocalization:
    """How the observations of one source are localized.

    Parameters
    ----------
    localization : Localization
        Radii in cells (vertical coordinate: levels) or km.
    vertical : VerticalCoordinate
        Levels: distance in cells of the grid; otherwise along the great circle, and in this vertical coordinate.
    vertical_cutoff_radius : float or None
        Difference in the vertical coordinate that counts like the horizontal cut-off; None: the same number of cells.
    regulated : bool
        Weights regulated after Nerger et al. (2012).
    error_correlation_radius : float or None
        Where errors are correlated up to this distance: variances grow with the number of observations within it.
    """

    localization: Localization
    vertical: VerticalCoordinate = VerticalCoordinate.LEVELS
    vertical_cutoff_radius: float | None = None
    regulated: bool = False
    error_correlation_radius: float | None = None

    def __post_init__(self) -> None:
        if self.vertical is not VerticalCoordinate.LEVELS and self.vertical_cutoff_radius is None:
            raise ValueError("great-circle distances need a vertical cut-off radius of their own")

    def metric(self, longitude_period: float | None) -> Metric:
        """Return the distance, on a grid of so many cells around the globe."""
        cutoff, vertical = self.localization.cutoff_radius, self.vertical_cutoff_radius
        scale = 1.0 if vertical is None else vertical_scale(cutoff, vertical)
        if self.vertical is VerticalCoordinate.LEVELS:
            return IndexMetric(longitude_period, scale)
        return GreatCircleMetric(scale)


@dataclass(frozen=True)
class GridPositions:
    """Positions on the state grid at the time of an analysis.

    Parameters
    ----------
    layout : StateLayout
    mean_height : array (levels, latitudes, longitudes)
        Ensemble-mean geometric height [m].
    """

    layout: StateLayout
    mean_height: FloatArray

    @property
    def longitude_period(self) -> float | None:
        """Number of cells around the globe, or None where longitude is not periodic."""
        grid = self.layout.grid
        return float(grid.longitude.size) if grid.periodic_longitude else None

    def index(self, batch: ObservationBatch) -> FloatArray:
        """Return fractional indices (observations, 3): level, latitude, longitude."""
        return observation_index_position(
            self.layout, self.mean_height, batch.latitude, batch.longitude, batch.altitude_km
        )

    def in_coordinates_of(self, vertical: VerticalCoordinate, index: FloatArray) -> FloatArray:
        """Return the positions (points, 3) that a metric with this vertical coordinate expects."""
        if vertical is VerticalCoordinate.LEVELS:
            return index
        return place_of_index(self.layout, self.mean_height, index, vertical)

    def select(self, source: SourceLocalization, centre: FloatArray, index: FloatArray) -> LocalObservations:
        """Return the local observations, at ``index`` (observations, 3), of ``centre`` (points, 3), both as indices."""
        return select_local_observations(
            self.in_coordinates_of(source.vertical, centre),
            self.in_coordinates_of(source.vertical, index),
            source.localization,
            source.metric(self.longitude_period),
        )


@dataclass(frozen=True)
class ObservedBatch:
    """A batch of one source with its counterpart in the ensemble.

    Parameters
    ----------
    source : str
        Name under which its localization is found.
    batch : ObservationBatch
    forecast : array (observations, members)
        HX of all members.
    """

    source: str
    batch: ObservationBatch
    forecast: FloatArray


@dataclass(frozen=True)
class AnalysisObservations:
    """All observations of one analysis, ready for selection.

    Parameters
    ----------
    batches : tuple of ObservationBatch
        With the errors that the filter uses.
    joined : JoinedObservations
    forecast : array (observations, members)
    used : array of bool (observations,)
        False where the innovation check refused.
    ensemble : ObservedEnsemble
        Of the observations used, in their order.
    innovation_error_variance : array (observations used,)
        Of each observation by itself, as its innovation obeys; the filter's grows with correlated neighbours.
    index_position : array (observations, 3)
        Fractional indices of all observations.
    """

    batches: tuple[ObservationBatch, ...]
    joined: JoinedObservations
    forecast: FloatArray
    used: BoolArray
    ensemble: ObservedEnsemble
    innovation_error_variance: FloatArray
    index_position: FloatArray
    _localizations: tuple[SourceLocalization, ...]
    _positions: GridPositions

    @classmethod
    def assemble(
        cls,
        observed: Sequence[ObservedBatch],
        localizations: Mapping[str, SourceLocalization],
        positions: GridPositions,
        check_threshold: float | None,
    ) -> AnalysisObservations:
        """Check innovations, inflate errors for their correlation, and join the sources.

        An innovation has the error of its own observation; what is refused correlates with nothing that is used.

        Parameters
        ----------
        observed : sequence of ObservedBatch
        localizations : dict of source -> SourceLocalization
        positions : GridPositions
        check_threshold : float or None
            k of :func:`da.observation_handling.innovation_check`; None: no check.
        """
        indices = [positions.index(one.batch) for one in observed]
        used = [_checked(one, check_threshold) for one in observed]
        batches = _with_correlated_errors(observed, indices, used, localizations, positions)
        joined, whole = join_batches(batches), np.concatenate(used)
        forecast = np.concatenate([one.forecast for one in observed])
        ensemble = ObservedEnsemble.of(
            forecast[whole], joined.values[whole], joined.error_standard_deviation[whole] ** 2
        )
        alone = np.concatenate([one.batch.error_standard_deviation for one in observed])[whole] ** 2
        chosen = tuple(localizations[one.source] for one in observed)
        return cls(batches, joined, forecast, whole, ensemble, alone, np.concatenate(indices), chosen, positions)

    @property
    def longitude_period(self) -> float | None:
        """Number of cells around the globe, or None where longitude is not periodic."""
        return self._positions.longitude_period

    @property
    def forecast_variance(self) -> FloatArray:
        """(HPH^T)_ii of the observations used, with members - 1."""
        anomalies = self.ensemble.anomalies
        return np.asarray(np.einsum("om,om->o", anomalies, anomalies) / (anomalies.shape[1] - 1))

    def local(self, centre: FloatArray) -> LocalObservations:
        """Return the local observations, among those used, of points (points, 3) given as fractional indices."""
        parts: list[LocalObservations] = []
        sizes: list[int] = []
        for rows, one in zip(self.joined.parts, self._localizations, strict=True):
            own = self.index_position[rows][self.used[rows]]
            parts.append(self._positions.select(one, centre, own))
            if one.regulated:
                variance, start = self.forecast_variance, sum(sizes)
                own_rows = slice(start, start + len(own))
                parts[-1] = regulated(parts[-1], variance[own_rows], self.ensemble.variance[own_rows])
            sizes.append(len(own))
        return parts[0] if len(parts) == 1 else merge_sources(parts, sizes)


def _checked(one: ObservedBatch, threshold: float | None) -> BoolArray:
    if threshold is None:
        return np.ones(len(one.batch), dtype=np.bool_)
    return innovation_check(one.forecast, one.batch.values, one.batch.error_standard_deviation, threshold)


def _with_correlated_errors(
    observed: Sequence[ObservedBatch],
    indices: Sequence[FloatArray],
    used: Sequence[BoolArray],
    localizations: Mapping[str, SourceLocalization],
    positions: GridPositions,
) -> tuple[ObservationBatch, ...]:
    """Return the batches with inflated errors; those of one source, compared at different times, share its errors."""
    batches = [one.batch for one in observed]
    for source in dict.fromkeys(one.source for one in observed):
        localization = localizations[source]
        if localization.error_correlation_radius is None:
            continue
        own = [number for number, one in enumerate(observed) if one.source == source]
        index = np.concatenate([indices[number][used[number]] for number in own])
        variance = variance_factors(
            positions.in_coordinates_of(localization.vertical, index),
            localization.error_correlation_radius,
            localization.metric(positions.longitude_period),
        )
        edges = np.cumsum([np.count_nonzero(used[number]) for number in own])[:-1]
        for number, part in zip(own, np.split(np.sqrt(variance), edges), strict=True):
            factor = np.ones(used[number].size)
            factor[used[number]] = part
            batches[number] = batches[number].with_error_factor(factor)
    return tuple(batches)
