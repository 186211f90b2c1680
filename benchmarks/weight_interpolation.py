"""What interpolated weights cost in accuracy and save in CPU time, beside weights of its own for every cell.

    OPENBLAS_NUM_THREADS=1 python benchmarks/weight_interpolation.py > benchmarks/weight_interpolation.txt

29 levels, 18 latitudes, 36 longitudes (periodic), 2 fields, 40 members; truth and members are independent Gaussian
fields of unit variance with the same smooth correlation in index space. One field is observed at 700 random places,
more of them at the upper levels, with errors of 0.3 and of 1. Gaspari-Cohn weights vanish at 7 cells. Differences are
root mean squares, over all cells that the full analysis changes, between the means of both analyses; "largest" is the
largest single one. "Error" is the root-mean-square error of the observed field's mean against the truth.

The last table is the cost at the size of the mission: 29 x 36 x 72 cells, 8 fields, 100 members, 3078 observations at
random places; memory is the most that the analysis in place, with the selection of observations, held at once.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import scipy.linalg  # noqa: F401  its own linear algebra library must be loaded before its threads are limited
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from threadpoolctl import threadpool_limits

from da.filters.coarse_nodes import CoarseNodes
from da.filters.interpolation import BoxRows, analyse_interpolated
from da.filters.lestkf import ObservedEnsemble, analyse_sub_domains
from da.localization import IndexMetric, Localization, Weighting, select_local_observations
from da.provenance import source_commit, versions

FloatArray = NDArray[np.float64]

SHAPE, FIELDS, MEMBERS, OBSERVATIONS = (29, 18, 36), 2, 40, 700
ERRORS = (0.3, 1.0)
CORRELATION_CELLS = (4.0, 2.0, 3.0)
LOCALIZATION = Localization(7.0, Weighting.GASPARI_COHN, 7.0)
STEPS = (1, 2, 3, 4, 6)
MISSION_SHAPE, MISSION_FIELDS, MISSION_MEMBERS, MISSION_OBSERVATIONS = (29, 36, 72), 8, 100, 3078
MISSION_STEPS = (2, 3, 4, 6)
REPEAT = 2


@dataclass(frozen=True)
class Problem:
    """Forecast rows (fields x cells, members), field by field; truth (cells,) of the first, which is observed."""

    shape: tuple[int, int, int]
    fields: int
    rows: FloatArray
    position: FloatArray
    observed: ObservedEnsemble
    truth: FloatArray

    @property
    def cells(self) -> int:
        """Number of grid cells."""
        return int(np.prod(self.shape))

    @property
    def metric(self) -> IndexMetric:
        """Distance in cells, longitude periodic."""
        return IndexMetric(float(self.shape[2]))

    def rows_of(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of all fields of some cells."""
        return np.asarray((np.arange(self.fields)[:, None] * self.cells + cells).ravel())


def smooth_fields(rng: np.random.Generator, count: int) -> FloatArray:
    """Return Gaussian fields (count, levels, latitudes, longitudes) of unit variance, smooth in index space."""
    noise = rng.standard_normal((count, *SHAPE))
    fields = np.stack([gaussian_filter(one, CORRELATION_CELLS, mode=["nearest", "nearest", "wrap"]) for one in noise])
    return np.asarray(fields / fields.std())


def smooth_problem(rng: np.random.Generator, error: float) -> Problem:
    """Return the problem of the first tables: members and truth from one climate, the first field observed."""
    members = [smooth_fields(rng, MEMBERS) for _ in range(FIELDS)]
    truth = smooth_fields(rng, 1)[0]
    position = rng.uniform(0.0, 1.0, (OBSERVATIONS, 3)) * [SHAPE[0] - 1.0, SHAPE[1] - 1.0, SHAPE[2]]
    position[:, 0] = (SHAPE[0] - 1.0) * np.sqrt(position[:, 0] / (SHAPE[0] - 1.0))

    def observe(field: FloatArray) -> FloatArray:
        return np.asarray(map_coordinates(field, position.T, order=1, mode="grid-wrap"))

    values = observe(truth) + error * rng.standard_normal(OBSERVATIONS)
    seen = np.stack([observe(member) for member in members[0]], axis=1)
    rows = np.concatenate([one.reshape(MEMBERS, -1).T for one in members])
    observed = ObservedEnsemble.of(seen, values, np.full(OBSERVATIONS, error**2))
    return Problem(SHAPE, FIELDS, np.ascontiguousarray(rows), position, observed, truth.ravel())


def mission_problem(rng: np.random.Generator) -> Problem:
    """Return random numbers at the size of the mission, on which cost does not depend."""
    rows = rng.standard_normal((MISSION_FIELDS * int(np.prod(MISSION_SHAPE)), MISSION_MEMBERS))
    position = rng.uniform(0.0, 1.0, (MISSION_OBSERVATIONS, 3)) * MISSION_SHAPE
    observed = ObservedEnsemble.of(
        rng.standard_normal((MISSION_OBSERVATIONS, MISSION_MEMBERS)),
        rng.standard_normal(MISSION_OBSERVATIONS),
        np.full(MISSION_OBSERVATIONS, 2.0),
    )
    return Problem(MISSION_SHAPE, MISSION_FIELDS, rows, position, observed, np.zeros(0))


def full(problem: Problem) -> Callable[[], FloatArray]:
    """Return the analysis with weights of its own for every cell, ready to run."""
    cells = np.arange(problem.cells)
    centre = np.column_stack(np.unravel_index(cells, problem.shape)).astype(float)
    rows = [problem.rows_of(cells[cell : cell + 1]) for cell in cells]

    def run() -> FloatArray:
        local = select_local_observations(centre, problem.position, LOCALIZATION, problem.metric)
        return analyse_sub_domains(problem.rows, rows, problem.observed, local).ensemble

    return run


def coarse(problem: Problem, step: int, in_place: bool = False) -> Callable[[], FloatArray]:
    """Return the analysis with weights at every ``step``-th cell, ready to run."""
    nodes = CoarseNodes(problem.shape, step, periodic=True)
    box_rows = []
    for number in range(nodes.boxes):
        cells = nodes.box(number).cells
        box_rows.append(BoxRows(problem.rows_of(cells), np.tile(np.arange(cells.size), problem.fields)))
    out = problem.rows if in_place else None

    def run() -> FloatArray:
        local = select_local_observations(nodes.centre, problem.position, LOCALIZATION, problem.metric)
        boxes = np.arange(nodes.boxes)
        return analyse_interpolated(problem.rows, nodes, boxes, box_rows, problem.observed, local, out=out).ensemble

    return run


def timed(run: Callable[[], FloatArray], repeat: int) -> tuple[FloatArray, float]:
    """Return the result of a call and the least CPU time [s] of some."""
    seconds = []
    for _ in range(repeat):
        began = time.process_time()
        result = run()
        seconds.append(time.process_time() - began)
    return result, min(seconds)


def rms(values: FloatArray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def report_accuracy(problem: Problem, error: float) -> None:
    """Print the differences at one observation error."""
    exact, exact_seconds = timed(full(problem), REPEAT)
    changed = (exact != problem.rows).any(axis=1)
    mean, spread = exact[changed].mean(axis=1), exact[changed].std(axis=1, ddof=1)
    increment = mean - problem.rows[changed].mean(axis=1)
    exact_error = error_of(problem, exact, changed)
    print(
        f"\nobservation error {error:g}; full analysis of {problem.cells} cells: {exact_seconds:.2f} s CPU, "
        f"increment {rms(increment):.3f},\n"
        f"spread {rms(problem.rows[changed].std(axis=1, ddof=1)):.3f} -> {rms(spread):.3f}, "
        f"error {error_of(problem, problem.rows, changed):.3f} -> {exact_error:.3f}"
    )
    print("              mean difference                      ratio to the full analysis")
    print("step  nodes   / increment   / spread   largest / spread   spread    error   CPU s   CPU time")
    for step in STEPS:
        analysis, seconds = timed(coarse(problem, step), REPEAT)
        difference = analysis[changed].mean(axis=1) - mean
        spread_ratio = rms(analysis[changed].std(axis=1, ddof=1)) / rms(spread)
        error_ratio = error_of(problem, analysis, changed) / exact_error
        nodes = len(CoarseNodes(problem.shape, step, periodic=True).cells)
        print(
            f"{step:4d}{nodes:7d}{rms(difference) / rms(increment):14.1e}{rms(difference) / rms(spread):11.1e}"
            f"{np.abs(difference / spread).max():19.1e}{spread_ratio:9.4f}{error_ratio:9.4f}"
            f"{seconds:8.2f}{seconds / exact_seconds:11.2f}"
        )


def error_of(problem: Problem, rows: FloatArray, changed: NDArray[np.bool_]) -> float:
    """Return the error of the observed field's mean in the cells that the full analysis changes."""
    cells = changed[: problem.cells]
    return rms((rows[: problem.cells].mean(axis=1) - problem.truth)[cells])


def report_cost(problem: Problem) -> None:
    """Print CPU time and memory at the size of the mission."""
    print(f"\nmission: {problem.cells} cells, {MISSION_MEMBERS} members, {MISSION_OBSERVATIONS} observations")
    print("step  nodes   CPU s   peak work memory")
    for step in MISSION_STEPS:
        run = coarse(problem, step, in_place=True)
        _, seconds = timed(run, REPEAT)
        tracemalloc.start()
        run()
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        nodes = len(CoarseNodes(problem.shape, step, periodic=True).cells)
        print(f"{step:4d}{nodes:7d}{seconds:8.2f}{peak:16.0f} MB")


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    threadpool_limits(limits=1)
    print(f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {source_commit()}")
    print("versions  " + ", ".join(f"{name} {number}" for name, number in versions().items()))
    for error in ERRORS:
        report_accuracy(smooth_problem(np.random.default_rng(1), error), error)
    report_cost(mission_problem(np.random.default_rng(2)))


if __name__ == "__main__":
    main()
