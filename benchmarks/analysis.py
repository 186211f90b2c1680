"""CPU time and memory of one analysis at the size of the mission, beside this machine's matrix-product rate.

    OPENBLAS_NUM_THREADS=1 python benchmarks/analysis.py > benchmarks/analysis.txt

State 601,344 (72 x 36 x 29 cells, 8 fields), 100 members, 3078 observations on the 20 deg x 25 km data grid,
Gaspari-Cohn with a support of 7 cells, periodic longitude; sub-domains of 3 x 3 x 3 cells, whole columns, and single
cells. Numbers are random: the cost does not depend on them.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from da.calibration import DataGrid
from da.filters import naive
from da.filters.estkf import apply_transform, ensemble_transform
from da.filters.lestkf import ObservedEnsemble, analyse_sub_domains
from da.localization import (
    IndexMetric,
    Localization,
    LocalObservations,
    Weighting,
    block_sub_domains,
    select_local_observations,
)
from da.provenance import source_commit, versions

SHAPE, FIELDS, MEMBERS, SAMPLE = (29, 36, 72), 8, 100, 144
LOCALIZATION = Localization(7.0, Weighting.GASPARI_COHN, 7.0)
BLOCKS = {"blocks 3x3x3": (3, 3, 3), "columns": (29, 1, 1), "cells": (1, 1, 1)}
LEVEL_HEIGHT_KM = np.array(
    [97.5, 100.3, 103.2, 106.2, 109.6, 113.5, 118.4, 124.6, 132.3, 141.6, 152.6, 165.1, 179.0, 194.3, 210.9, 228.7]
    + [247.7, 267.7, 288.8, 310.8, 333.7, 357.5, 382.1, 407.6, 434.2, 462.2, 492.3, 525.3, 563.2]
)
"""Global mean of the mid-levels on 1 April 2010 by NRLMSIS 2.1; altitude becomes a level index through it."""


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def observation_positions(vertical: bool) -> np.ndarray:
    """Return index positions (observations, 3); without the vertical for columns, which see a whole profile."""
    altitude_km, latitude, longitude = DataGrid.regular().points()
    level = np.interp(altitude_km, LEVEL_HEIGHT_KM, np.arange(29.0)) if vertical else np.zeros(altitude_km.size)
    return np.column_stack([level, (latitude + 87.5) / 5.0, np.mod(longitude + 180.0, 360.0) / 5.0])


def product_rate() -> float:
    """Return this machine's rate of large matrix products [GFLOP/s], one thread."""
    a = np.random.default_rng(0).standard_normal((1500, 1500))
    return 2.0 * 1500**3 / min(cpu_seconds(lambda: a @ a) for _ in range(3)) / 1e9


def textbook_seconds(
    ensemble: np.ndarray, rows: list[np.ndarray], observed: ObservedEnsemble, local: LocalObservations
) -> float:
    """Return the CPU time that the textbook filter would take for all sub-domains, from an even sample of them."""
    sample = np.linspace(0, len(rows) - 1, SAMPLE).astype(int)

    def analyse() -> None:
        for block in sample:
            index, weight = local.of(block)
            values, inverse = observed.innovation[index], weight / observed.variance[index]
            naive.estkf(ensemble[rows[block]], observed.anomalies[index], values, inverse)

    return cpu_seconds(analyse) * len(rows) / SAMPLE


def stages(observed: ObservedEnsemble, local: LocalObservations, rows: int) -> dict[str, float]:
    """Return the CPU time per sub-domain [us] of each stage, at the median number of local observations."""
    count = int(np.median(local.counts))
    anomalies, inverse = observed.anomalies[:count], np.full(count, 0.5)
    gram = anomalies @ anomalies.T if count < MEMBERS else anomalies.T @ anomalies
    forecast = np.random.default_rng(1).standard_normal((rows, MEMBERS))
    transform = ensemble_transform(anomalies, observed.innovation[:count], inverse)
    repeat = 200
    parts = {
        "eigendecomposition": lambda: np.linalg.eigh(gram),
        "weights, with it": lambda: ensemble_transform(anomalies, observed.innovation[:count], inverse),
        "application": lambda: apply_transform(forecast, transform),
    }
    return {
        name: 1e6 * min(cpu_seconds(lambda work=work: [work() for _ in range(repeat)]) for _ in range(3)) / repeat
        for name, work in parts.items()
    }


def report(
    name: str, block: tuple[int, int, int], ensemble: np.ndarray, observed: ObservedEnsemble, rate: float
) -> None:
    """Print the figures of one choice of sub-domains."""
    domains = block_sub_domains(SHAPE, block)
    centre, vertical = domains.centre.copy(), block[0] < SHAPE[0]
    if not vertical:
        centre[:, 0] = 0.0
    cells = int(np.prod(SHAPE))
    rows = [(np.arange(FIELDS)[:, None] * cells + own[None, :]).ravel() for own in domains.cells]
    position = observation_positions(vertical)
    found: list[LocalObservations] = []
    metric = IndexMetric(72.0)
    search = cpu_seconds(lambda: found.append(select_local_observations(centre, position, LOCALIZATION, metric)))
    local = found[0]
    twin = textbook_seconds(ensemble, rows, observed, local)
    total = cpu_seconds(lambda: analyse_sub_domains(ensemble, rows, observed, local, out=ensemble))
    apply_flops = 2.0 * ensemble.shape[0] * MEMBERS**2
    count = local.counts
    print(
        f"\n{name}: {len(domains)} sub-domains, {count.min()}-{count.max()} local observations, mean {count.mean():.1f}"
    )
    print(f"  select and taper    {search:8.2f} s CPU")
    print(f"  weights and apply   {total:8.2f} s CPU   ({total / len(domains) * 1e6:.0f} us per sub-domain)")
    print(f"  textbook twin       {twin:8.2f} s CPU   (da.filters.naive on {SAMPLE} sub-domains, extrapolated)")
    print(f"  floor: products     {apply_flops / rate / 1e9:8.2f} s    (X T alone at the rate above)")
    for stage, microseconds in stages(observed, local, rows[0].size).items():
        print(f"  {stage:<20}{microseconds:7.0f} us at the median number of observations")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(BLOCKS))
    only = parser.parse_args().only
    threadpool_limits(limits=1)
    rate = product_rate()
    cpu = [
        line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("model name")
    ]
    print(f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {source_commit()}")
    print(
        f"machine   {cpu[0].partition(':')[2].strip()}, {platform.system()}; "
        f"matrix products {rate:.1f} GFLOP/s on one thread"
    )
    print("versions  " + ", ".join(f"{name} {number}" for name, number in versions().items()))
    rng = np.random.default_rng(0)
    ensemble = rng.standard_normal((FIELDS * int(np.prod(SHAPE)), MEMBERS))
    observed = ObservedEnsemble.of(rng.standard_normal((3078, MEMBERS)), rng.standard_normal(3078), np.full(3078, 2.0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, block in BLOCKS.items():
        if only in (None, name):
            report(name, block, ensemble, observed, rate)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"\nensemble {ensemble.nbytes / 2**20:.0f} MiB; "
        f"peak memory grew by {(after - before) / 1024:.0f} MiB in all analyses"
    )


if __name__ == "__main__":
    main()
