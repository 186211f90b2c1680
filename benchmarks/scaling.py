"""Constants of the predicted cost of an analysis, measured; load imbalance and scaling to a thousand ranks from them.

    python benchmarks/scaling.py > benchmarks/scaling.txt

Weights are timed for 10 to 200 local observations, with the strongly correlated anomalies of ``analysis.py``, and the
application for as many rows as a cell, a block and a column have. The rest is arithmetic: shares are dealt out as an
analysis does, at the size of the mission; the state of 0.625 degrees (4e8 numbers) is taken to have the same
distribution of local observations. ``--bandwidth`` is what one rank sends per second, with packing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from analysis import (
    FIELDS,
    MEMBERS,
    OBSERVATIONS,
    block_sub_domains,
    cpu_seconds,
    observed_ensemble,
    product_rate,
    select,
    sub_domains,
)
from scipy.optimize import nnls

from da.filters.lestkf import analyse_sub_domains, local_transforms
from da.load_balance import balanced_shares, imbalance, predicted_cost
from da.localization import LocalObservations
from da.parallel import limit_blas_threads

COUNTS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 99, 100, 120, 150, 200)
ROWS = (8, 64, 216, 232)
RANKS = (1, 2, 4, 10, 30, 100, 300, 1000)
MISSION_STATE, FINE_STATE = 601_344, 400_000_000
BANDWIDTH = 0.5e9
"""Bytes that a rank sends per second, as measured by analysis.py on two ranks of one machine."""


def same_size(count: int, domains: int) -> LocalObservations:
    """Return local observations of sub-domains with equally many, at random."""
    rng = np.random.default_rng(count)
    index = np.sort(np.array([rng.choice(OBSERVATIONS, count, replace=False) for _ in range(domains)]), axis=1)
    return LocalObservations(
        np.arange(domains + 1) * count, index.ravel().astype(np.int32), rng.uniform(0.1, 1.0, index.size)
    )


def weight_seconds(count: int, domains: int = 200) -> float:
    """Return the CPU time of one transform."""
    observed, local = observed_ensemble(True), same_size(count, domains)
    return cpu_seconds(lambda: [None for _ in local_transforms(observed, local)]) / domains


def application_seconds(rows: int, domains: int = 400) -> float:
    """Return the CPU time in which one sub-domain with 48 observations is read, transformed and written."""
    observed, local = observed_ensemble(True), same_size(48, domains)
    ensemble = np.random.default_rng(0).standard_normal((rows * domains, MEMBERS))
    order = np.random.default_rng(1).permutation(rows * domains).reshape(domains, rows)
    with_weights = cpu_seconds(lambda: analyse_sub_domains(ensemble, list(order), observed, local, out=ensemble))
    return with_weights / domains - weight_seconds(48, domains)


def report_constants(rate: float) -> None:
    """Print the measured times and the constants that fit them best, relative to each."""
    count, rows = np.array(COUNTS, dtype=float), np.array(ROWS, dtype=float)
    weights, application = (
        np.array([weight_seconds(p) for p in COUNTS]),
        np.array([application_seconds(n) for n in ROWS]),
    )
    smaller = np.minimum(count, MEMBERS)
    terms = np.column_stack([np.ones_like(count), count * smaller * MEMBERS, smaller**2]) / rate
    fitted, _ = nnls(terms / weights[:, None], np.ones_like(count))
    of_rows = np.column_stack([np.ones_like(rows), rows * MEMBERS**2]) / rate
    applied, _ = nnls(of_rows / application[:, None], np.ones_like(rows))
    print(
        f"constants c0 = {fitted[0] + applied[0]:.2g}, c1 = {fitted[1]:.1f}, c2 = {fitted[2]:.0f}, "
        f"c3 = {applied[1]:.1f} operations at {rate / 1e9:.1f} GFLOP/s"
    )
    print("local observations   measured us   fitted us   with the defaults us")
    default = predicted_cost(np.array(COUNTS), np.zeros(len(COUNTS), dtype=int), MEMBERS) / rate
    for p, measured, found, usual in zip(COUNTS, weights, terms @ fitted, default, strict=True):
        print(f"{p:18d}{measured * 1e6:14.0f}{found * 1e6:12.0f}{usual * 1e6:23.0f}")
    print("rows                 measured us   fitted us")
    for n, measured, found in zip(ROWS, application, of_rows @ applied, strict=True):
        print(f"{n:18d}{measured * 1e6:14.0f}{found * 1e6:12.0f}")


def mission_costs(name: str) -> np.ndarray:
    """Return the predicted cost of each sub-domain of the mission."""
    domains = sub_domains(name)
    rows = np.array([FIELDS * cells.size for cells in domains.cells])
    return predicted_cost(select(domains.centre, name).counts, rows, MEMBERS)


def sent_bytes(state: int, ranks: int) -> float:
    """Return what the rank with most members sends in both transposes; beyond one member a rank, it no longer falls."""
    return 2.0 * 8.0 * state * -(-MEMBERS // ranks) * (1.0 - 1.0 / ranks)


def report_scaling(name: str, rate: float, bandwidth: float) -> None:
    """Print imbalance and predicted times at the size of the mission and at 0.625 degrees."""
    cost = mission_costs(name)
    whole, growth = cost.sum() / rate, FINE_STATE / MISSION_STATE
    print(f"\n{name}: {cost.size} sub-domains, predicted {whole:.2f} s on one rank")
    print("         imbalance      mission: compute  transpose   total s  efficiency     0.625 deg: compute  transpose")
    for ranks in RANKS:
        worst = imbalance(cost, balanced_shares(cost, ranks))
        # The largest share of many more sub-domains exceeds the mean by less: by one of the cheapest at most.
        fine = 1.0 + (worst - 1.0) / growth
        compute, transpose = whole * worst / ranks, sent_bytes(MISSION_STATE, ranks) / bandwidth
        total = compute + transpose
        print(
            f"{ranks:6d}{worst:10.3f}{compute:22.3f}{transpose:11.3f}{total:10.3f}{whole / ranks / total:12.2f}"
            f"{growth * whole * fine / ranks:21.1f}{sent_bytes(FINE_STATE, ranks) / bandwidth:11.1f}"
        )


def wall_seconds(work: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def report_dealing() -> None:
    """Print what dealing out costs, which every rank does for itself."""
    for name in ("blocks", "cells"):
        cost = mission_costs(name)
        seconds = wall_seconds(lambda cost=cost: balanced_shares(cost, 1000))
        print(f"dealing {cost.size} {name} out to 1000 ranks: {seconds:.2f} s")
    print(f"numbering cells: {wall_seconds(lambda: block_sub_domains((29, 36, 72), (1, 1, 1))):.2f} s")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bandwidth", type=float, default=BANDWIDTH, help="bytes sent per second and rank")
    bandwidth = parser.parse_args().bandwidth
    limit_blas_threads()
    rate = product_rate() * 1e9
    report_constants(rate)
    print(f"\ntranspose at {bandwidth / 1e9:.2f} GB/s sent per rank")
    for name in ("blocks", "cells"):
        report_scaling(name, rate, bandwidth)
    print()
    report_dealing()


if __name__ == "__main__":
    main()
