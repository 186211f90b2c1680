"""CPU time and memory of one analysis at the size of the mission, beside the floor that this machine sets.

    python benchmarks/analysis.py > benchmarks/analysis.txt
    mpirun -n 2 python benchmarks/analysis.py > benchmarks/analysis_2_ranks.txt

State 601,344 (72 x 36 x 29 cells, 8 fields), 100 members, 3078 observations on the 20 deg x 25 km data grid,
Gaspari-Cohn with a support of 7 cells, periodic longitude. Sub-domains are blocks of 3 x 3 x 3 cells, whole columns,
single cells, and single cells with weights interpolated from every third cell. The ensemble is random; observed
anomalies are white noise, and once strongly correlated, as those of a real ensemble are.

All times are the least of three repetitions. One rank alone also times the engine in place, each shape in a process of
its own, so that none hides the memory of another.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from da import distributed_analysis, interpolated_analysis
from da.analysis_engine import AnalysisEngine, AnalysisSettings
from da.calibration import DataGrid
from da.distributed_analysis import DistributedAnalysis
from da.filters import interpolation, lestkf, naive
from da.filters.coarse_nodes import CoarseNodes
from da.filters.interpolation import BoxRows
from da.filters.lestkf import ObservedEnsemble
from da.interpolated_analysis import InterpolatedAnalysis
from da.localization import (
    IndexMetric,
    Localization,
    LocalObservations,
    SubDomains,
    Weighting,
    block_sub_domains,
    select_local_observations,
)
from da.model import StateField, StateGrid, StateLayout
from da.parallel import (
    Communicator,
    MemberTranspose,
    SerialCommunicator,
    launched_size,
    limit_blas_threads,
    share,
    start_communicator,
)
from da.provenance import source_commit, versions

SHAPE, FIELDS, MEMBERS, OBSERVATIONS, SAMPLE, REPEAT = (29, 36, 72), 8, 100, 3078, 144, 3
CELLS = int(np.prod(SHAPE))
LOCALIZATION, METRIC = Localization(7.0, Weighting.GASPARI_COHN, 7.0), IndexMetric(72.0)
BLOCKS = {"blocks": (3, 3, 3), "columns": (29, 1, 1), "cells": (1, 1, 1)}
STEP = 3
GOAL_S = {"blocks": 1.0, "columns": 2.5, "cells": 15.0, "interpolated": 5.0}
REFERENCE_S = {"blocks": 3.0, "columns": 6.6, "cells": 58.0}
MEMORY_GOAL = 0.3
LEVEL_HEIGHT_KM = np.array(
    [97.5, 100.3, 103.2, 106.2, 109.6, 113.5, 118.4, 124.6, 132.3, 141.6, 152.6, 165.1, 179.0, 194.3, 210.9, 228.7]
    + [247.7, 267.7, 288.8, 310.8, 333.7, 357.5, 382.1, 407.6, 434.2, 462.2, 492.3, 525.3, 563.2]
)
"""Global mean of the mid-levels on 1 April 2010 by NRLMSIS 2.1; altitude becomes a level index through it."""


def cpu_seconds(work: Callable[[], object], repeat: int = REPEAT) -> float:
    """Return the least CPU time of some calls."""
    least = np.inf
    for _ in range(repeat):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return float(least)


def resident_mib(peak: bool = False) -> float:
    """Return the resident memory of this process, or its peak since :func:`forget_peak`."""
    key = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(key)) / 1024.0


def forget_peak() -> None:
    """Let the peak of resident memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


# --- the problem -----------------------------------------------------------------------------------------------------


def layout() -> StateLayout:
    """Return the grid and its fields."""
    grid = StateGrid(np.arange(29.0), -87.5 + 5.0 * np.arange(36), -180.0 + 5.0 * np.arange(72))
    return StateLayout(tuple(StateField(f"field{number}", "1") for number in range(FIELDS)), grid)


def member_states(members: range) -> np.ndarray:
    """Return random states (state, members) of some members; each member has a seed of its own."""
    states = np.empty((FIELDS * CELLS, len(members)))
    for column, member in enumerate(members):
        states[:, column] = np.random.default_rng([0, member]).standard_normal(FIELDS * CELLS)
    return states


def observation_positions(vertical: bool = True) -> np.ndarray:
    """Return index positions (observations, 3); without the vertical for columns, which see a whole profile."""
    altitude_km, latitude, longitude = DataGrid.regular().points()
    level = np.interp(altitude_km, LEVEL_HEIGHT_KM, np.arange(29.0)) if vertical else np.zeros(altitude_km.size)
    return np.column_stack([level, (latitude + 87.5) / 5.0, np.mod(longitude + 180.0, 360.0) / 5.0])


def observed_ensemble(correlated: bool) -> ObservedEnsemble:
    """Return HX and innovations: white noise, or ten smooth modes of many observation errors and little noise."""
    rng = np.random.default_rng(1)
    anomalies = rng.standard_normal((OBSERVATIONS, MEMBERS))
    if correlated:
        level, latitude, longitude = observation_positions().T
        phase = np.stack([level / 12.0, latitude / 9.0, 2.0 * np.pi * longitude / 72.0]).T
        waves = np.cos(phase @ rng.integers(0, 3, (3, 10)) + rng.uniform(0.0, 6.0, 10)) / np.arange(1, 11)
        anomalies = 0.1 * anomalies + 20.0 * waves @ rng.standard_normal((10, MEMBERS))
    return ObservedEnsemble.of(anomalies, rng.standard_normal(OBSERVATIONS), np.full(OBSERVATIONS, 2.0))


def sub_domains(name: str) -> SubDomains:
    """Return blocks, columns or cells; columns have no level."""
    domains = block_sub_domains(SHAPE, BLOCKS[name])
    centre = domains.centre * [0.0, 1.0, 1.0] if name == "columns" else domains.centre
    return SubDomains(domains.cells, centre)


def select(centre: np.ndarray, name: str) -> LocalObservations:
    """Return the local observations of some sub-domains."""
    return select_local_observations(centre, observation_positions(name != "columns"), LOCALIZATION, METRIC)


def rows_of(cells: np.ndarray) -> np.ndarray:
    """Return the rows of all fields of some cells."""
    return (np.arange(FIELDS)[:, None] * CELLS + cells).ravel()


# --- the engine alone ------------------------------------------------------------------------------------------------


def prepared(name: str, ensemble: np.ndarray, observed: ObservedEnsemble) -> tuple[np.ndarray, Callable[..., object]]:
    """Return the centres, and the analysis in place given their local observations."""
    if name == "interpolated":
        nodes = CoarseNodes(SHAPE, STEP, periodic=True)
        boxes = [nodes.box(number).cells for number in range(nodes.boxes)]
        rows = [BoxRows(rows_of(cells), np.tile(np.arange(cells.size), FIELDS)) for cells in boxes]
        numbers = np.arange(nodes.boxes)

        def interpolate(local: LocalObservations) -> object:
            return interpolation.analyse_interpolated(ensemble, nodes, numbers, rows, observed, local, out=ensemble)

        return nodes.centre, interpolate
    domains = sub_domains(name)
    domain_rows = [rows_of(cells) for cells in domains.cells]

    def analyse(local: LocalObservations) -> object:
        return lestkf.analyse_sub_domains(ensemble, domain_rows, observed, local, out=ensemble)

    return domains.centre, analyse


def measure_engine(name: str, correlated: bool, single: bool) -> dict[str, float]:
    """Return time and memory of selection and engine, in this process."""
    limit_blas_threads()
    ensemble = np.random.default_rng(0).standard_normal((FIELDS * CELLS, MEMBERS))
    if single:
        ensemble = ensemble.astype(np.float32)
    observed = observed_ensemble(correlated)
    centre, run = prepared(name, ensemble, observed)
    before = resident_mib()
    forget_peak()
    local = select(centre, name)
    run(local)
    growth = resident_mib(peak=True) - before
    found = {"growth": growth, "cpu": cpu_seconds(lambda: run(local)), "ensemble": ensemble.nbytes / 2**20}
    found["condition"] = float(np.median(conditions(observed, local)))
    return found


def conditions(observed: ObservedEnsemble, local: LocalObservations) -> list[float]:
    """Return the condition numbers of I + S S^T of a sample of sub-domains."""
    scaled = observed.scaled()[:, :MEMBERS] / np.sqrt(MEMBERS - 1.0)
    found = []
    for number in np.linspace(0, local.counts.size - 1, SAMPLE).astype(int):
        index, weight = local.of(number)
        found.append(1.0 + np.linalg.norm(scaled[index] * np.sqrt(weight)[:, None], 2) ** 2)
    return found


def in_own_process(name: str, *flags: str) -> dict[str, float]:
    """Return what :func:`measure_engine` finds in a process of its own."""
    command = [sys.executable, __file__, "--engine", name, *flags]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def single_precision_error() -> float:
    """Return the largest difference of a single precision analysis of blocks, in standard deviations of the prior."""
    domains = sub_domains("blocks")
    numbers = np.linspace(0, len(domains) - 1, SAMPLE).astype(int)
    rng, cells = np.random.default_rng(2), [domains.cells[number] for number in numbers]
    start = np.concatenate([[0], np.cumsum([FIELDS * own.size for own in cells])])
    ensemble = rng.standard_normal((int(start[-1]), MEMBERS)).astype(np.float32)
    parts = [slice(int(a), int(b)) for a, b in zip(start[:-1], start[1:], strict=True)]
    observed, local = observed_ensemble(False), select(domains.centre[numbers], "blocks")
    single = lestkf.analyse_sub_domains(ensemble, parts, observed, local).ensemble
    double = lestkf.analyse_sub_domains(ensemble.astype(np.float64), parts, observed, local).ensemble
    return float(np.abs(single - double).max())


# --- the floor -------------------------------------------------------------------------------------------------------


def product_rate() -> float:
    """Return this machine's rate of large matrix products [GFLOP/s], one thread."""
    a = np.random.default_rng(0).standard_normal((1500, 1500))
    return 2.0 * 1500**3 / cpu_seconds(lambda: a @ a) / 1e9


def copy_seconds() -> float:
    """Return the time in which the ensemble is read once and written once."""
    source, target = np.ones((FIELDS * CELLS, MEMBERS)), np.ones((FIELDS * CELLS, MEMBERS))
    return cpu_seconds(lambda: np.copyto(target, source))


def floor_flops(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the operations of the matrix products: Gram matrix, projection, application by the cheapest way."""
    k = np.minimum(counts, MEMBERS).astype(np.float64)
    form = np.where(counts < MEMBERS, 4.0 * k**2 * MEMBERS, 2.0 * counts * MEMBERS**2)
    matrix = 2.0 * (k**2 * MEMBERS + k * MEMBERS**2 + rows * MEMBERS**2)
    product, factors = 2.0 * (k**2 * MEMBERS + 2.0 * rows * k * MEMBERS), 2.0 * rows * k * (2.0 * MEMBERS + k)
    return form + np.minimum(np.minimum(matrix, product), factors)


def reduction_flops(counts: np.ndarray) -> np.ndarray:
    """Return the operations of the reduction to tridiagonal form and of its orthogonal factor."""
    return 8.0 / 3.0 * np.minimum(counts, MEMBERS).astype(np.float64) ** 3


def textbook_seconds(local: LocalObservations, rows: int) -> float:
    """Return the CPU time that the textbook filter would take for all sub-domains, from an even sample of them."""
    observed, sample = observed_ensemble(False), np.linspace(0, local.counts.size - 1, SAMPLE).astype(int)
    forecast = np.random.default_rng(3).standard_normal((rows, MEMBERS))

    def analyse() -> None:
        for block in sample:
            index, weight = local.of(block)
            values, inverse = observed.innovation[index], weight / observed.variance[index]
            naive.estkf(forecast, observed.anomalies[index], values, inverse)

    return cpu_seconds(analyse, 1) * local.counts.size / SAMPLE


# --- the whole analysis over the ranks -------------------------------------------------------------------------------


class Clock:
    """CPU and wall seconds by stage, of functions that are watched where they are called."""

    def __init__(self) -> None:
        self.seconds: dict[str, np.ndarray] = {}

    def add(self, stage: str, began: tuple[float, float]) -> None:
        """Add what has passed since."""
        passed = np.array([time.process_time() - began[0], time.perf_counter() - began[1]])
        self.seconds[stage] = self.seconds.get(stage, np.zeros(2)) + passed

    def timed(self, stage: str, work: Callable[[], Any]) -> Any:
        """Run and time a call."""
        began = time.process_time(), time.perf_counter()
        result = work()
        self.add(stage, began)
        return result

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Time every call of a function, or of a method, from now on."""
        original = getattr(owner, name)
        setattr(owner, name, lambda *args, **kwargs: self.timed(stage, lambda: original(*args, **kwargs)))

    def watch_generator(self, owner: Any, name: str, stage: str) -> None:
        """Time what a generator does, without what is done with its items."""
        original = getattr(owner, name)

        def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:
            items, nothing = original(*args, **kwargs), object()
            while (item := self.timed(stage, lambda: next(items, nothing))) is not nothing:
                yield item

        setattr(owner, name, generate)


def watched() -> Clock:
    """Return a clock of the stages of an analysis."""
    clock = Clock()
    for method in ("to_rows", "to_members"):
        clock.watch(MemberTranspose, method, "transpose")
    for module in (lestkf, interpolation):
        clock.watch_generator(module, "local_transforms", "weights")
    clock.watch(distributed_analysis, "analyse_sub_domains", "engine")
    clock.watch(interpolated_analysis, "analyse_interpolated", "engine")
    return clock


STAGES = ("select and taper", "transpose", "weights", "application", "other")


def run_distributed(
    comm: Communicator, engine: AnalysisEngine, name: str, states: np.ndarray, clock: Clock
) -> tuple[np.ndarray, int]:
    """Return CPU and wall seconds (stages and total, 2) of the fastest of some analyses, and the selected pairs."""
    observed = observed_ensemble(False)
    engine.balance(select(engine.centre[engine.own], name).counts)
    best = np.full((len(STAGES) + 1, 2), np.inf)
    for _ in range(REPEAT):
        comm.allgather(None)
        clock.seconds.clear()
        began = time.process_time(), time.perf_counter()
        local = clock.timed("select and taper", lambda: select(engine.centre[engine.own], name))
        engine.analyse(states, observed, local, np.ones(engine.own.size), AnalysisSettings(), "benchmark")
        clock.add("total", began)
        found = clock.seconds
        found["application"] = found["engine"] - found["weights"]
        found["other"] = found["total"] - found["engine"] - found["transpose"] - found["select and taper"]
        times = np.array([found[stage] for stage in (*STAGES, "total")])
        # Ranks choose the same repetition: the one that was over first.
        if max(comm.allgather(float(times[-1, 1]))) < max(comm.allgather(float(best[-1, 1]))):
            best = times
    return best, int(local.index.size)


def report_distributed(comm: Communicator, name: str, states: np.ndarray, clock: Clock) -> None:
    """Print the stages of the whole analysis."""
    forget_peak()
    engine: AnalysisEngine
    if name == "interpolated":
        engine = InterpolatedAnalysis(comm, layout(), CoarseNodes(SHAPE, STEP, periodic=True), MEMBERS)
    else:
        engine = DistributedAnalysis(comm, layout(), sub_domains(name), MEMBERS)
    times, pairs = run_distributed(comm, engine, name, states, clock)
    gathered = comm.gather((times, pairs, resident_mib(peak=True), len(engine.own)))
    if gathered is None:
        return
    every = np.stack([one[0] for one in gathered])
    whole = every[:, -1, 0].sum()
    print(f"  {'the whole analysis':<20}{'CPU s, most loaded':>20}{'all ranks':>11}{'wall s':>9}{'share of CPU':>14}")
    for number, stage in enumerate((*STAGES, "total")):
        cpu, wall = every[:, number, 0], every[:, number, 1]
        print(f"  {stage:<20}{cpu.max():20.2f}{cpu.sum():11.2f}{wall.max():9.2f}{100.0 * cpu.sum() / whole:12.0f} %")
    print(f"  local observations of all sub-domains by rank: {', '.join(str(one[1]) for one in gathered)}")
    print(f"  sub-domains or nodes by rank: {', '.join(str(one[3]) for one in gathered)}")
    print(
        f"  peak memory by rank: {', '.join(f'{one[2]:.0f}' for one in gathered)} MiB, "
        f"with {states.nbytes / 2**20:.0f} MiB of forecast and as much of analysis on each rank"
    )


def report_engine(name: str, rate: float, copy_s: float) -> None:
    """Print the engine alone, beside its goal, its floor and the textbook."""
    nodes = CoarseNodes(SHAPE, STEP, periodic=True) if name == "interpolated" else None
    domains = sub_domains(name) if nodes is None else None
    centre = domains.centre if domains is not None else nodes.centre if nodes is not None else np.empty(0)
    local = select(centre, name)
    rows = np.array([FIELDS * own.size for own in domains.cells]) if domains is not None else np.zeros(len(centre))
    products = floor_flops(local.counts, rows).sum()
    if nodes is not None:
        # All cells: T from eight nodes, times the fields.
        products += (2.0 * local.counts * MEMBERS**2).sum() + 2.0 * CELLS * (8.0 + FIELDS) * MEMBERS**2
    flops, floor_s = products + reduction_flops(local.counts).sum(), products / rate / 1e9 + copy_s
    found = in_own_process(name)
    cpu = found["cpu"]
    print(f"  engine alone, in place: {cpu:.2f} s CPU (goal {GOAL_S[name]:g} s)")
    print(
        f"    {cpu / len(centre) * 1e6:.0f} us per transform, {flops / cpu / 1e9:.1f} GFLOP/s, "
        f"{100.0 * flops / cpu / 1e9 / rate:.0f} % of the rate of products"
    )
    print(
        f"    floor {floor_s:.2f} s, of which the engine takes {cpu / floor_s:.1f}: "
        f"{products / 1e9:.1f} GFLOP of products {products / rate / 1e9:.2f} s, "
        f"ensemble read and written once {copy_s:.2f} s"
    )
    print(
        f"    memory grows by {found['growth']:.0f} MiB with the selection, "
        f"{found['growth'] / found['ensemble']:.2f} of the ensemble (goal {MEMORY_GOAL:g})"
    )
    if name == "blocks":
        report_variants(found)
    if domains is not None:
        twin = textbook_seconds(local, int(np.median(rows)))
        print(f"    textbook twin {twin:.2f} s CPU (da.filters.naive on {SAMPLE} sub-domains, extrapolated)")
        print(f"    PDAF (Fortran) {REFERENCE_S[name]:g} s: reference figure of a machine like this, not measured here")


def report_variants(found: dict[str, float]) -> None:
    """Print what correlated anomalies and a state in single precision change."""
    correlated, single = in_own_process("blocks", "--correlated"), in_own_process("blocks", "--single")
    print(
        f"    median condition number {found['condition']:.1f}; with correlated observed anomalies "
        f"{correlated['condition']:.0f}: {correlated['cpu']:.2f} s CPU"
    )
    print(
        f"    state in single precision: {single['cpu']:.2f} s CPU, memory grows by {single['growth']:.0f} MiB, "
        f"largest error {single_precision_error():.1e} standard deviations"
    )


def report_machine(comm: Communicator, rate: float, copy_s: float) -> None:
    """Print where this was measured."""
    cpu = [
        line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("model name")
    ]
    print(f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {source_commit()}")
    copies = 2.0 * FIELDS * CELLS * MEMBERS * 8.0 / copy_s / 1e9
    print(f"machine   {cpu[0].partition(':')[2].strip()}, {platform.system()}")
    print(f"one thread: matrix products {rate:.1f} GFLOP/s, copies {copies:.1f} GB/s read and written")
    print("versions  " + ", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"ranks     {comm.size}, one thread each; ensemble {FIELDS * CELLS * MEMBERS * 8 / 2**20:.0f} MiB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(GOAL_S))
    parser.add_argument("--engine", choices=list(GOAL_S), help="print time and memory of the engine alone as JSON")
    parser.add_argument("--correlated", action="store_true", help="with --engine: correlated observed anomalies")
    parser.add_argument("--single", action="store_true", help="with --engine: the state in single precision")
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(measure_engine(options.engine, options.correlated, options.single)))
        return
    limit_blas_threads()
    comm = start_communicator() if launched_size() else SerialCommunicator()
    rate, copy_s = product_rate(), copy_seconds()
    if comm.rank == 0:
        report_machine(comm, rate, copy_s)
    states, clock = member_states(share(MEMBERS, comm.size, comm.rank)), watched()
    for name in GOAL_S:
        if options.only not in (None, name):
            continue
        if comm.rank == 0:
            print(f"\n{name}", flush=True)
        if comm.size == 1:
            report_engine(name, rate, copy_s)
        report_distributed(comm, name, states, clock)


if __name__ == "__main__":
    main()
