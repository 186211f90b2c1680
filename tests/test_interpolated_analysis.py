"""Interpolated weights over the ranks: the plain filter where nodes are cells, and the same in slabs."""

from __future__ import annotations

import numpy as np
import pytest

from da import interpolated_analysis
from da.analysis_engine import AnalysisSettings, state_rows
from da.distributed_analysis import DistributedAnalysis
from da.errors import ThermodaError
from da.filters.coarse_nodes import CoarseNodes
from da.filters.lestkf import ObservedEnsemble
from da.interpolated_analysis import InterpolatedAnalysis
from da.localization import IndexMetric, Localization, LocalObservations, Weighting, block_sub_domains
from da.localization import select_local_observations as select
from da.model import StateField, StateGrid, StateLayout
from da.parallel import SerialCommunicator

SHAPE, MEMBERS = (5, 6, 8), 9
LOCALIZATION = Localization(2.5, Weighting.GASPARI_COHN, 2.5)


@pytest.fixture
def layout() -> StateLayout:
    """Two fields, one of them without a top level."""
    grid = StateGrid(np.arange(5.0), np.linspace(-75.0, 75.0, 6), np.arange(0.0, 360.0, 45.0))
    return StateLayout((StateField("a", "1"), StateField("b", "1", missing_top_levels=1)), grid)


@pytest.fixture
def states(layout: StateLayout) -> np.ndarray:
    """An ensemble of white noise around a hundred."""
    return 100.0 + np.random.default_rng(0).standard_normal((layout.state_size, MEMBERS))


@pytest.fixture
def observed() -> ObservedEnsemble:
    """Forty observations."""
    rng = np.random.default_rng(1)
    return ObservedEnsemble.of(rng.standard_normal((40, MEMBERS)), rng.standard_normal(40), np.full(40, 0.5))


def _local(centre: np.ndarray) -> LocalObservations:
    position = np.random.default_rng(2).uniform(0.0, 1.0, (40, 3)) * np.array([4.0, 3.0, 8.0])
    return select(centre, position, LOCALIZATION, IndexMetric(8.0))


def _analyse(
    engine: InterpolatedAnalysis | DistributedAnalysis, states: np.ndarray, observed: ObservedEnsemble
) -> tuple[np.ndarray, np.ndarray]:
    local = _local(engine.centre[engine.own])
    settings = AnalysisSettings(update_fraction=np.linspace(0.5, 1.0, len(states)))
    return engine.analyse(states, observed, local, np.full(engine.own.size, 0.9), settings, "analysis")


def _interpolated(layout: StateLayout, step: int) -> InterpolatedAnalysis:
    return InterpolatedAnalysis(SerialCommunicator(), layout, CoarseNodes(SHAPE, step, periodic=True), MEMBERS)


def test_that_nodes_at_every_cell_give_the_analysis_of_single_cells(
    layout: StateLayout, states: np.ndarray, observed: ObservedEnsemble
) -> None:
    single = DistributedAnalysis(SerialCommunicator(), layout, block_sub_domains(SHAPE, (1, 1, 1)), MEMBERS)
    expected, freedom = _analyse(single, states, observed)
    engine = _interpolated(layout, 1)
    actual, node_freedom = _analyse(engine, states, observed)
    # Rounding of numbers near a hundred.
    np.testing.assert_allclose(actual, expected, atol=1e-12)
    cells = CoarseNodes(SHAPE, 1, periodic=True).cells
    np.testing.assert_allclose(node_freedom, freedom[cells], atol=1e-12)


def test_that_slots_without_data_and_cells_far_from_observations_keep_their_bits(
    layout: StateLayout, states: np.ndarray, observed: ObservedEnsemble
) -> None:
    engine = _interpolated(layout, 2)
    before = states.copy()
    actual, _ = _analyse(engine, states, observed)
    np.testing.assert_array_equal(states, before)
    rows, _ = state_rows(layout, [np.arange(layout.grid.cells)])
    empty = np.setdiff1d(np.arange(layout.state_size), rows)
    assert empty.size == 6 * 8
    np.testing.assert_array_equal(actual[empty], states[empty])
    assert (actual[rows] != states[rows]).any()


def test_that_slabs_do_not_change_the_result(
    layout: StateLayout, states: np.ndarray, observed: ObservedEnsemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, freedom = _analyse(_interpolated(layout, 2), states, observed)
    monkeypatch.setattr(interpolated_analysis, "SLAB_BYTES", layout.state_size * MEMBERS * 8 // 4)
    actual, slab_freedom = _analyse(_interpolated(layout, 2), states, observed)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(slab_freedom, freedom)


def test_that_a_failing_cell_is_named(layout: StateLayout, states: np.ndarray, observed: ObservedEnsemble) -> None:
    states[0, 3] = np.inf
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ThermodaError, match="around level 0, latitude -75, longitude 0"),
    ):
        _analyse(_interpolated(layout, 2), states, observed)
