"""Interpolated weights: the geometry of boxes and nodes, the limits of the analysis, and what it leaves alone."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from da.filters.coarse_nodes import CoarseNodes, contiguous_shares
from da.filters.interpolation import BoxRows, analyse_interpolated, interpolated
from da.filters.lestkf import AnalysisError, LocalAnalysis, ObservedEnsemble, analyse_sub_domains, local_transforms
from da.inflation import relax_to_prior_spread
from da.localization import IndexMetric, Localization, LocalObservations, Weighting, select_local_observations

SHAPE, FIELDS, MEMBERS, OBSERVATIONS = (5, 6, 8), 3, 9, 40
MISSING_TOP_LEVELS = (0, 1, 0)
NEAR = Localization(2.5, Weighting.GASPARI_COHN, 2.5)


@dataclass(frozen=True)
class Problem:
    """An ensemble on a small grid, of which one field has no data on the top level; only some places are observed."""

    rows: np.ndarray
    position: np.ndarray
    observed: ObservedEnsemble
    periodic: bool

    def rows_of(self, cells: np.ndarray) -> BoxRows:
        """Return the rows of some cells, numbered field by field."""
        size, per_level = int(np.prod(SHAPE)), SHAPE[1] * SHAPE[2]
        real = [cells < (SHAPE[0] - missing) * per_level for missing in MISSING_TOP_LEVELS]
        rows = np.concatenate([number * size + cells[own] for number, own in enumerate(real)])
        return BoxRows(rows, np.concatenate([np.flatnonzero(own) for own in real]))

    def select(self, centre: np.ndarray, localization: Localization = NEAR) -> LocalObservations:
        """Return the local observations of some places."""
        metric = IndexMetric(float(SHAPE[2]) if self.periodic else None)
        return select_local_observations(centre, self.position, localization, metric)

    def interpolate(self, step: int, boxes: np.ndarray | None = None, **settings: Any) -> LocalAnalysis:
        """Return the analysis with interpolated weights."""
        nodes = CoarseNodes(SHAPE, step, self.periodic)
        boxes = np.arange(nodes.boxes) if boxes is None else boxes
        local = self.select(nodes.centre[nodes.nodes_of(boxes)])
        box_rows = [self.rows_of(nodes.box(int(box)).cells) for box in boxes]
        return analyse_interpolated(self.rows, nodes, boxes, box_rows, self.observed, local, **settings)

    def single_cells(self, **settings: Any) -> LocalAnalysis:
        """Return the analysis with weights of its own for every cell."""
        cells = np.arange(int(np.prod(SHAPE)))
        rows = [np.asarray(self.rows_of(cells[cell : cell + 1]).rows) for cell in cells]
        local = self.select(cell_positions().astype(float))
        return analyse_sub_domains(self.rows, rows, self.observed, local, **settings)


def cell_positions() -> np.ndarray:
    """Return the index positions (cells, 3) of all cells."""
    return np.stack(np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij"), -1).reshape(-1, 3)


@pytest.fixture(params=[True, False], ids=["periodic", "not periodic"])
def problem(request: pytest.FixtureRequest) -> Problem:
    """Observations in the west and the north-east, so that some nodes have none."""
    rng = np.random.default_rng(11)
    position = rng.uniform(0.0, 1.0, (OBSERVATIONS, 3)) * [4.0, 2.0, 1.5]
    position[:5] = [0.0, 5.0, 6.0] + rng.uniform(0.0, 0.5, (5, 3))
    observed = rng.standard_normal((OBSERVATIONS, MEMBERS))
    values, variance = rng.standard_normal(OBSERVATIONS), rng.uniform(0.5, 2.0, OBSERVATIONS)
    rows = rng.standard_normal((FIELDS * int(np.prod(SHAPE)), MEMBERS)) + 100.0
    return Problem(rows, position, ObservedEnsemble.of(observed, values, variance), bool(request.param))


GRIDS = list(itertools.product([(5, 6, 8), (1, 1, 7), (4, 1, 2), (7, 3, 1)], [1, 2, 3, 9], [True, False]))


@pytest.mark.parametrize(("shape", "step", "periodic"), GRIDS)
def test_that_every_cell_belongs_to_exactly_one_box(shape: tuple[int, int, int], step: int, periodic: bool) -> None:
    nodes = CoarseNodes(shape, step, periodic)
    cells = np.concatenate([nodes.box(number).cells for number in range(nodes.boxes)])
    np.testing.assert_array_equal(np.sort(cells), np.arange(np.prod(shape)))


@pytest.mark.parametrize(("shape", "step", "periodic"), GRIDS)
def test_that_weights_sum_to_one_and_reproduce_linear_functions(
    shape: tuple[int, int, int], step: int, periodic: bool
) -> None:
    nodes = CoarseNodes(shape, step, periodic)
    for number in range(nodes.boxes):
        box = nodes.box(number)
        assert box.corners.size <= 8
        assert (box.weights >= 0.0).all()
        np.testing.assert_allclose(box.weights.sum(axis=1), 1.0, rtol=1e-15)
        position = np.column_stack(np.unravel_index(box.cells, shape)).astype(float)
        corner = nodes.centre[box.corners]
        if periodic:
            # Across the seam longitude goes on; with one line around the globe nothing depends on longitude.
            corner[corner[:, 2] < position[0, 2], 2] += shape[2]
        axes = [0, 1] if np.unique(nodes.centre[:, 2]).size == 1 else [0, 1, 2]
        np.testing.assert_allclose((box.weights @ corner)[:, axes], position[:, axes], atol=1e-14 * max(shape))


@pytest.mark.parametrize(("shape", "step", "periodic"), GRIDS)
def test_that_the_cell_of_a_node_has_its_weights(shape: tuple[int, int, int], step: int, periodic: bool) -> None:
    nodes = CoarseNodes(shape, step, periodic)
    np.testing.assert_array_equal(np.column_stack(np.unravel_index(nodes.cells, shape)), nodes.centre)
    node_of_cell = {int(cell): node for node, cell in enumerate(nodes.cells)}
    found = 0
    for number in range(nodes.boxes):
        box = nodes.box(number)
        for cell, weights in zip(box.cells.tolist(), box.weights, strict=True):
            if cell in node_of_cell:
                np.testing.assert_array_equal(weights, box.corners == node_of_cell[cell])
                found += 1
    assert found == len(nodes.cells)


def test_that_a_run_of_boxes_touches_two_lines_of_latitude_at_a_time() -> None:
    nodes = CoarseNodes((29, 36, 72), 3, periodic=True)
    bands = nodes.band(np.arange(nodes.boxes))
    assert (np.diff(bands) >= 0).all()
    for band in range(12):
        touched = nodes.nodes_of(np.flatnonzero(bands == band))
        assert np.unique(nodes.centre[touched, 1]).size == 2


def test_that_impossible_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        CoarseNodes((5, 0, 8), 2, periodic=True)
    with pytest.raises(ValueError, match="must be positive"):
        CoarseNodes((5, 6, 8), 0, periodic=True)


def test_that_interpolated_transforms_keep_the_sum_of_columns(problem: Problem) -> None:
    nodes = CoarseNodes(SHAPE, 3, problem.periodic)
    local = problem.select(nodes.centre, Localization(100.0, Weighting.GASPARI_COHN, 100.0))
    matrices = np.empty((len(nodes.centre), MEMBERS, MEMBERS))
    for batch in local_transforms(problem.observed, local, 0.9):
        for matrix, numbers in zip(batch.transforms.matrices(), batch.sub_domains, strict=True):
            matrices[numbers] = matrix
    for number in range(nodes.boxes):
        box = nodes.box(number)
        # Entries are below one and MEMBERS of them are summed.
        columns = interpolated(matrices[box.corners], box.weights).sum(axis=1)
        np.testing.assert_allclose(columns, 1.0, atol=1e-14)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"forgetting_factor": 0.8},
    {"relaxation": partial(relax_to_prior_spread, relaxation=0.6)},
    {"update_fraction": np.linspace(0.0, 1.0, FIELDS * int(np.prod(SHAPE)))},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["plain", "forgetting", "relaxed", "part of the increment"])
def test_that_step_one_is_the_analysis_of_single_cells(problem: Problem, settings: dict[str, Any]) -> None:
    expected, actual = problem.single_cells(**settings), problem.interpolate(1, **settings)
    np.testing.assert_allclose(actual.ensemble, expected.ensemble, rtol=0.0, atol=1e-12)
    nodes = CoarseNodes(SHAPE, 1, problem.periodic)
    np.testing.assert_array_equal(actual.degrees_of_freedom, expected.degrees_of_freedom[nodes.cells])
    untouched = (expected.ensemble == problem.rows).all(axis=1)
    np.testing.assert_array_equal((actual.ensemble == problem.rows).all(axis=1), untouched)


def test_that_nodes_have_the_analysis_of_their_own_cells(problem: Problem) -> None:
    nodes = CoarseNodes(SHAPE, 2, problem.periodic)
    rows = problem.rows_of(nodes.cells).rows
    factors = np.linspace(0.7, 1.0, len(nodes.cells))
    single = np.ones(int(np.prod(SHAPE)))
    single[nodes.cells] = factors
    expected = problem.single_cells(forgetting_factor=single).ensemble
    actual = problem.interpolate(2, forgetting_factor=factors).ensemble
    np.testing.assert_allclose(actual[rows], expected[rows], rtol=0.0, atol=1e-12)


def test_that_between_nodes_the_analysis_is_interpolated_between_theirs(problem: Problem) -> None:
    # With all cells alike, Xa = X T is as linear in T as T is between nodes.
    alike = replace(problem, rows=np.tile(problem.rows[:1], (problem.rows.shape[0], 1)))
    nodes = CoarseNodes(SHAPE, 3, problem.periodic)
    analysis = alike.interpolate(3).ensemble
    for number in range(nodes.boxes):
        box = nodes.box(number)
        expected = box.weights @ analysis[nodes.cells[box.corners]]
        np.testing.assert_allclose(analysis[box.cells], expected, rtol=0.0, atol=1e-12)


def test_that_identical_transforms_everywhere_interpolate_to_themselves(problem: Problem) -> None:
    everywhere = Localization(np.inf, Weighting.UNIFORM)
    nodes = CoarseNodes(SHAPE, 3, problem.periodic)
    boxes = np.arange(nodes.boxes)
    box_rows = [problem.rows_of(nodes.box(number).cells) for number in range(nodes.boxes)]
    local = problem.select(nodes.centre, everywhere)
    actual = analyse_interpolated(problem.rows, nodes, boxes, box_rows, problem.observed, local)
    rows = np.concatenate([np.asarray(one.rows) for one in box_rows])
    whole = analyse_sub_domains(problem.rows, [rows], problem.observed, problem.select(np.zeros((1, 3)), everywhere))
    np.testing.assert_allclose(actual.ensemble, whole.ensemble, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(actual.degrees_of_freedom, whole.degrees_of_freedom[0], rtol=1e-14)


def test_that_cells_between_unobserved_nodes_keep_their_members_bit_for_bit(problem: Problem) -> None:
    nodes = CoarseNodes(SHAPE, 2, problem.periodic)
    observed = problem.select(nodes.centre).counts > 0
    settings = {"forgetting_factor": 0.5, "relaxation": partial(relax_to_prior_spread, relaxation=0.7)}
    analysis = problem.interpolate(2, **settings).ensemble
    kept = (analysis == problem.rows).all(axis=1)
    idle_boxes = 0
    for number in range(nodes.boxes):
        box = nodes.box(number)
        rows = problem.rows_of(box.cells)
        moved = ((box.weights > 0.0) & observed[box.corners]).any(axis=1)
        np.testing.assert_array_equal(kept[rows.rows], ~moved[rows.cell_of_row])
        idle_boxes += not moved.any()
    assert 0 < idle_boxes < nodes.boxes


def test_that_the_forecast_stays_as_it_is_unless_it_is_the_output(problem: Problem) -> None:
    before = problem.rows.copy()
    expected = problem.interpolate(3).ensemble
    np.testing.assert_array_equal(problem.rows, before)
    elsewhere = np.empty_like(before)
    assert problem.interpolate(3, out=elsewhere).ensemble is elsewhere
    np.testing.assert_array_equal(elsewhere, expected)
    assert problem.interpolate(3, out=problem.rows).ensemble is problem.rows
    np.testing.assert_array_equal(problem.rows, expected)


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_that_shares_add_up_to_the_whole_bit_for_bit(problem: Problem, ranks: int) -> None:
    nodes = CoarseNodes(SHAPE, 2, problem.periodic)
    whole = problem.interpolate(2, forgetting_factor=0.9)
    joined, freedom = problem.rows.copy(), np.full(len(nodes.cells), np.nan)
    for boxes in contiguous_shares(nodes.box_cost(np.ones(len(nodes.cells)), 0.1), ranks):
        part = problem.interpolate(2, boxes, forgetting_factor=0.9)
        own = np.concatenate([np.asarray(problem.rows_of(nodes.box(int(box)).cells).rows) for box in boxes])
        joined[own] = part.ensemble[own]
        assert (np.delete(part.ensemble, own, axis=0) == np.delete(problem.rows, own, axis=0)).all()
        freedom[nodes.nodes_of(boxes)] = part.degrees_of_freedom
    np.testing.assert_array_equal(joined, whole.ensemble)
    np.testing.assert_array_equal(freedom, whole.degrees_of_freedom)


def test_that_rows_may_be_contiguous_or_in_any_order(problem: Problem) -> None:
    nodes = CoarseNodes(SHAPE, 3, problem.periodic)
    boxes = np.arange(nodes.boxes)
    named = [problem.rows_of(nodes.box(number).cells) for number in range(nodes.boxes)]
    rng = np.random.default_rng(0)
    mixed = [rng.permutation(one.cell_of_row.size) for one in named]
    order = np.concatenate([np.asarray(one.rows)[mix] for one, mix in zip(named, mixed, strict=True)])
    edge = np.cumsum([0, *(mix.size for mix in mixed)]).tolist()
    sliced = [
        BoxRows(slice(start, stop), one.cell_of_row[mix])
        for start, stop, one, mix in zip(edge[:-1], edge[1:], named, mixed, strict=True)
    ]
    local = problem.select(nodes.centre)
    actual = analyse_interpolated(problem.rows[order], nodes, boxes, sliced, problem.observed, local).ensemble
    np.testing.assert_allclose(actual, problem.interpolate(3).ensemble[order], rtol=0.0, atol=1e-12)


def test_that_a_state_in_single_precision_stays_so(problem: Problem) -> None:
    expected = problem.interpolate(3).ensemble
    single = replace(problem, rows=problem.rows.astype(np.float32)).interpolate(3).ensemble
    assert single.dtype == np.float32
    # The state is near 100, where single precision has steps of 8e-6; a few of them from products and sums.
    np.testing.assert_allclose(single, expected, rtol=0.0, atol=5e-5)


def test_that_transforms_of_few_lines_of_latitude_are_held_at_a_time() -> None:
    members, nodes = 60, CoarseNodes((8, 40, 24), 2, periodic=True)
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((8 * 40 * 24, members))
    position = rng.uniform(0.0, 1.0, (300, 3)) * nodes.shape
    observed = ObservedEnsemble.of(rng.standard_normal((300, members)), np.zeros(300), np.ones(300))
    local = select_local_observations(nodes.centre, position, Localization(4.0, Weighting.UNIFORM), IndexMetric(24.0))
    boxes = np.arange(nodes.boxes)
    box_rows = [BoxRows(nodes.box(number).cells, np.arange(nodes.box(number).cells.size)) for number in boxes]
    tracemalloc.start()
    analyse_interpolated(rows, nodes, boxes, box_rows, observed, local, out=rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Two of 21 lines take 3.5 MB; the rest is the work memory of a batch of transforms, which does not grow.
    assert peak < 0.5 * len(nodes.cells) * members**2 * 8


def test_that_an_empty_share_changes_nothing(problem: Problem) -> None:
    nothing = problem.interpolate(2, np.zeros(0, dtype=np.int64))
    np.testing.assert_array_equal(nothing.ensemble, problem.rows)
    assert nothing.degrees_of_freedom.size == 0


def test_that_a_transform_that_is_not_finite_is_told_with_the_cell_of_its_node(problem: Problem) -> None:
    innovation = problem.observed.innovation.copy()
    innovation[0] = np.nan
    spoiled = replace(problem, observed=replace(problem.observed, innovation=innovation))
    with pytest.raises(AnalysisError, match="innovation are not finite") as caught:
        spoiled.interpolate(2)
    place = cell_positions()[caught.value.block]
    assert IndexMetric(8.0 if problem.periodic else None).distance(place, problem.position[0]) <= NEAR.cutoff_radius
    assert caught.value.block in CoarseNodes(SHAPE, 2, problem.periodic).cells


def test_that_a_forecast_that_is_not_finite_is_told_with_its_cell(problem: Problem) -> None:
    cell = int(np.ravel_multi_index((1, 1, 1), SHAPE))
    problem.rows[2 * int(np.prod(SHAPE)) + cell, 4] = np.inf
    with np.errstate(invalid="ignore"), pytest.raises(AnalysisError, match="analysis is not finite") as caught:
        problem.interpolate(3)
    assert caught.value.block == cell


def test_that_calls_that_do_not_fit_together_are_refused(problem: Problem) -> None:
    nodes = CoarseNodes(SHAPE, 2, problem.periodic)
    boxes = np.arange(2)
    rows = [problem.rows_of(nodes.box(number).cells) for number in range(2)]
    local = problem.select(nodes.centre[nodes.nodes_of(boxes)])
    with pytest.raises(ValueError, match="rows of 1 boxes"):
        analyse_interpolated(problem.rows, nodes, boxes, rows[:1], problem.observed, local)
    with pytest.raises(ValueError, match="local observations of"):
        analyse_interpolated(problem.rows, nodes, boxes, rows, problem.observed, problem.select(nodes.centre))
    with pytest.raises(ValueError, match="must increase"):
        analyse_interpolated(problem.rows, nodes, boxes[::-1], rows, problem.observed, local)
    with pytest.raises(ValueError, match="do not make a box"):
        BoxRows(slice(0, 3), np.array([0, 1])).table(2)
    with pytest.raises(ValueError, match="do not make a box"):
        BoxRows(slice(0, 2), np.array([0, 2])).table(2)


@pytest.mark.parametrize("ranks", [1, 4, 50])
def test_that_shares_are_runs_of_nearly_equal_cost(ranks: int) -> None:
    cost = np.random.default_rng(3).uniform(0.0, 2.0, 30)
    shares = contiguous_shares(cost, ranks)
    assert len(shares) == ranks
    np.testing.assert_array_equal(np.concatenate(shares), np.arange(30))
    totals = np.array([cost[share].sum() for share in shares])
    assert np.abs(totals - cost.sum() / ranks).max() <= cost.max()


def test_that_the_cost_of_boxes_adds_up_to_that_of_nodes_and_cells() -> None:
    nodes = CoarseNodes((5, 6, 8), 3, periodic=True)
    node_cost = np.random.default_rng(5).uniform(0.0, 1.0, len(nodes.cells))
    cost = nodes.box_cost(node_cost, 0.25)
    assert cost.sum() == pytest.approx(node_cost.sum() + 0.25 * 240, rel=1e-12)
    bare = nodes.box_cost(np.zeros(len(nodes.cells)), 1.0)
    np.testing.assert_array_equal(bare, [nodes.box(number).cells.size for number in range(nodes.boxes)])


def test_that_shares_of_no_ranks_or_of_impossible_costs_are_refused() -> None:
    with pytest.raises(ValueError, match="one rank at least"):
        contiguous_shares(np.ones(3), 0)
    with pytest.raises(ValueError, match="finite and not negative"):
        contiguous_shares(np.array([1.0, -1.0]), 2)
