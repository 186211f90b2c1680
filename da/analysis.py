"""One analysis of a distributed ensemble: observe, localize, transform, constrain.

Members arrive spread over the ranks. Their observed counterparts HX are gathered on all ranks (small); the state is
transposed so that each rank holds all members of its sub-domains, transformed there, and transposed back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.constraints import constrain
from da.errors import ThermodaError
from da.filters.lestkf import AnalysisError, ObservedEnsemble, Relaxation, analyse_sub_domains
from da.localization import Localization, LocalObservations, SubDomains, select_local_observations
from da.model import PREVIOUS, StateLayout
from da.observations import ObservationBatch
from da.operators import horizontal_stencil, level_index
from da.parallel import Communicator, MemberTranspose, collective, gather_members, share

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

Observe = Callable[[FloatArray, FloatArray, ObservationBatch], FloatArray]
"""``observe(states, height, batch)`` returns HX (observations, local members)."""

Height = Callable[[FloatArray], FloatArray]
"""``height(states)`` returns geometric heights [m] (levels, latitudes, longitudes, local members)."""


@dataclass(frozen=True)
class FilterSettings:
    """How an analysis is made.

    Parameters
    ----------
    localization : Localization
    forgetting_factor : float
    relaxation : callable or None
        Relaxation of the analysis spread, see :mod:`da.inflation`.
    """

    localization: Localization
    forgetting_factor: float = 1.0
    relaxation: Relaxation | None = None


@dataclass(frozen=True)
class AnalysisDiagnostics:
    """What one analysis did, in observation space; the same on all ranks.

    Parameters
    ----------
    batch : ObservationBatch
    forecast, analysis : array (observations, members)
        HX before and after.
    constraint_hits : dict
        Number of values that each constraint changed, summed over the members.
    local_observations : array (sub-domains,)
        How many observations each sub-domain used.
    """

    batch: ObservationBatch
    forecast: FloatArray
    analysis: FloatArray
    constraint_hits: dict[str, int]
    local_observations: IndexArray


def state_rows(layout: StateLayout, cells: IndexArray) -> IndexArray:
    """Return the state rows of all fields of some cells, leaving out slots that hold no data."""
    per_level = layout.grid.shape[1] * layout.grid.shape[2]
    rows = []
    for number, one in enumerate(layout.fields):
        real_cells = (layout.grid.shape[0] - one.missing_top_levels) * per_level
        rows.append(number * layout.grid.cells + cells[cells < real_cells])
    return np.concatenate(rows)


def composition_groups(layout: StateLayout) -> tuple[tuple[str, ...], ...]:
    """Return the groups of mass fractions that may sum to at most one: those of now, those of the previous step."""
    fractions = [name for name in layout.names if name.startswith("mass_fraction_")]
    now = tuple(name for name in fractions if not name.endswith(PREVIOUS))
    before = tuple(name for name in fractions if name.endswith(PREVIOUS))
    return tuple(group for group in (now, before) if group)


def observation_index_position(
    layout: StateLayout, mean_height: FloatArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
) -> FloatArray:
    """Return fractional grid indices (points, 3) of points: level, latitude, longitude.

    Parameters
    ----------
    layout : StateLayout
    mean_height : array (levels, latitudes, longitudes)
        Ensemble-mean geometric height [m], through which altitude becomes a level index.
    latitude, longitude, altitude_km : array (points,)
    """
    grid = layout.grid
    step = 360.0 / grid.longitude.size
    column = np.mod(longitude - grid.longitude[0], 360.0) / step
    if grid.latitude.size == 1:
        return np.column_stack([np.zeros_like(column), np.zeros_like(column), column])
    row = (latitude - grid.latitude[0]) / (grid.latitude[1] - grid.latitude[0])
    stencil = horizontal_stencil(grid.latitude, grid.longitude, latitude, longitude)
    return np.column_stack([level_index(mean_height, stencil, 1e3 * altitude_km), row, column])


@dataclass(frozen=True)
class _RankShare:
    """The sub-domains of one rank: their numbers, their rows in the state, and each one's part of those."""

    blocks: IndexArray
    rows: IndexArray
    parts: list[slice]


def _rank_share(layout: StateLayout, domains: SubDomains, size: int, rank: int) -> _RankShare:
    # Dealt out in turn, so that every rank gets its part of the poles and of the top, where observations crowd.
    blocks = np.arange(rank, len(domains), size, dtype=np.int64)
    rows = [state_rows(layout, domains.cells[block]) for block in blocks]
    edges = np.cumsum([0, *(own.size for own in rows)]).tolist()
    parts = [slice(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True)]
    return _RankShare(blocks, np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64), parts)


class LocalizedAnalysis:
    """The analysis step of a run.

    Parameters
    ----------
    comm : Communicator
    layout : StateLayout
    domains : SubDomains
    members : int
        Of the whole ensemble.
    settings : FilterSettings
    observe : callable
        See :data:`Observe`.
    """

    def __init__(
        self,
        comm: Communicator,
        layout: StateLayout,
        domains: SubDomains,
        members: int,
        settings: FilterSettings,
        observe: Observe,
    ) -> None:
        self._comm, self._layout, self._domains = comm, layout, domains
        self._settings, self._observe = settings, observe
        shares = [_rank_share(layout, domains, comm.size, rank) for rank in range(comm.size)]
        self._own = shares[comm.rank]
        self._transpose = MemberTranspose(comm, members, [part.rows for part in shares])
        self._cells_of_rank = [
            np.asarray(share(layout.grid.cells, comm.size, rank), dtype=np.int64) for rank in range(comm.size)
        ]
        self._height_transpose = MemberTranspose(comm, members, self._cells_of_rank)

    def update(
        self, states: FloatArray, height: Height, batch: ObservationBatch
    ) -> tuple[FloatArray, AnalysisDiagnostics]:
        """Return the analysed states (state_size, local members) and what was done; ``states`` stays as it is.

        Raises
        ------
        ThermodaError
            On all ranks, naming time and place, where an observation operator or a sub-domain fails.
        """
        comm, when = self._comm, f"analysis at {batch.time}"
        with collective(comm, when):
            forecast_height = height(states)
            local_forecast = self._checked_observe(states, forecast_height, batch)
        forecast = gather_members(comm, local_forecast)
        local = self._localize(self._mean_height(forecast_height), batch)
        rows = self._transpose.to_rows(states)
        with collective(comm, when):
            analysed = self._analyse(rows, forecast, batch, local)
        updated = self._transpose.to_members(analysed, states)
        updated, hits = self._constrain(updated)
        with collective(comm, when):
            local_analysis = self._checked_observe(updated, height(updated), batch)
        analysis = gather_members(comm, local_analysis)
        counts = np.zeros(len(self._domains), dtype=np.int64)
        for rank, part in enumerate(comm.allgather(local.counts)):
            counts[rank :: comm.size] = part
        return updated, AnalysisDiagnostics(batch, forecast, analysis, self._summed(hits), counts)

    def _checked_observe(self, states: FloatArray, height: FloatArray, batch: ObservationBatch) -> FloatArray:
        observed = self._observe(states, height, batch)
        bad = np.argwhere(~np.isfinite(observed))
        if bad.size:
            point, member = bad[0]
            raise ThermodaError(
                f"the observation operator gives {observed[point, member]} at latitude {batch.latitude[point]:g}, "
                f"longitude {batch.longitude[point]:g}, altitude {batch.altitude_km[point]:g} km "
                f"for local member {member}"
            )
        return observed

    def _mean_height(self, height: FloatArray) -> FloatArray:
        own = self._height_transpose.to_rows(height.reshape(-1, height.shape[-1]))
        return np.concatenate(self._comm.allgather(own.mean(axis=1))).reshape(self._layout.grid.shape)

    def _localize(self, mean_height: FloatArray, batch: ObservationBatch) -> LocalObservations:
        grid = self._layout.grid
        position = observation_index_position(
            self._layout, mean_height, batch.latitude, batch.longitude, batch.altitude_km
        )
        period = float(grid.longitude.size) if grid.periodic_longitude else None
        return select_local_observations(
            self._domains.centre[self._own.blocks], position, self._settings.localization, period
        )

    def _analyse(
        self, rows: FloatArray, forecast: FloatArray, batch: ObservationBatch, local: LocalObservations
    ) -> FloatArray:
        observed = ObservedEnsemble.of(forecast, batch.values, batch.error_standard_deviation**2)
        settings = self._settings
        try:
            return analyse_sub_domains(
                rows, self._own.parts, observed, local, settings.forgetting_factor, settings.relaxation, out=rows
            )
        except AnalysisError as error:
            block = self._own.blocks[error.block]
            middle = self._domains.cells[block][self._domains.cells[block].size // 2]
            place = self._layout.locate(middle).partition(" at ")[2]
            raise ThermodaError(f"sub-domain {block} around {place} failed: {error.cause}") from error

    def _constrain(self, states: FloatArray) -> tuple[FloatArray, dict[str, int]]:
        bounds = {one.name: (one.lower, one.upper) for one in self._layout.fields}
        fields, hits = constrain(self._layout.split(states), bounds, composition_groups(self._layout))
        return (self._layout.join(fields) if any(hits.values()) else states), hits

    def _summed(self, hits: dict[str, int]) -> dict[str, int]:
        parts: Sequence[dict[str, int]] = self._comm.allgather(hits)
        return {name: sum(part[name] for part in parts) for name in hits}
