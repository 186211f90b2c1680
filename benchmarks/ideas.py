"""What single choices of the localized filter give, measured by undoing each.

    python benchmarks/ideas.py > benchmarks/ideas.txt

Weights of the blocks of ``analysis.py``, and of its cells where it says so, with strongly correlated observed
anomalies. CPU seconds, the least of three repetitions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
from analysis import FIELDS, MEMBERS, METRIC, cpu_seconds, observation_positions, observed_ensemble, select, sub_domains

from da.filters import estkf, lestkf
from da.filters.estkf import EnsembleTransforms, ensemble_transforms
from da.filters.lestkf import ObservedEnsemble, local_transforms
from da.localization import Localization, LocalObservations, Weighting, select_local_observations
from da.parallel import limit_blas_threads


@contextmanager
def setting(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Give a name of a module another value for a while."""
    usual = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, usual)


def weights_seconds(observed: ObservedEnsemble, local: LocalObservations, repeat: int = 3) -> float:
    """Return the CPU time of all transforms."""
    return cpu_seconds(lambda: [None for _ in local_transforms(observed, local)], repeat)


def report_forms() -> None:
    """Print the observation-space form against the member form for fewer observations than members."""
    print("\np observations, both forms (us per transform; the member form is forced by observations of weight zero)")
    for count in (10, 25, 50, 75, 99):
        block = np.random.default_rng(0).standard_normal((40, count, MEMBERS + 1))
        padded = np.concatenate([block, np.zeros((40, MEMBERS - count, MEMBERS + 1))], axis=1)
        small, large = (
            cpu_seconds(lambda one=one: ensemble_transforms(one.copy(), np.ones(40))) / 40 * 1e6
            for one in (block, padded)
        )
        print(f"{count:6d}{small:8.0f}{large:8.0f}")


def with_matrix(transforms: EnsembleTransforms, rows: np.ndarray) -> np.ndarray:
    """Return the analysed rows by T itself."""
    return (rows - rows[..., :1]) @ transforms.matrices() + rows[..., :1]


def report_application() -> None:
    """Print the application by T itself against the cheapest way."""
    print("\nrows, local observations: by T, as chosen (us per sub-domain)")
    rng = np.random.default_rng(0)
    for count in (FIELDS, 27 * FIELDS):
        for size in (25, 50, 75):
            transforms = ensemble_transforms(rng.standard_normal((1, size, MEMBERS + 1)), np.ones(1))
            rows = rng.standard_normal((1, count, MEMBERS))
            works = (lambda t=transforms, r=rows: with_matrix(t, r), lambda t=transforms, r=rows: t.apply(r))
            seconds = [cpu_seconds(lambda w=w: [w() for _ in range(500)]) / 500 * 1e6 for w in works]
            print(f"{count:6d}{size:6d}{seconds[0]:8.0f}{seconds[1]:8.0f}")


def report_sharing(observed: ObservedEnsemble) -> None:
    """Print uniform weights, which many neighbouring cells have in common, against weights that differ."""
    print("\ncells, cut-off 2 cells, uniform weights")
    localization = Localization(2.0, Weighting.UNIFORM)
    local = select_local_observations(sub_domains("cells").centre, observation_positions(), localization, METRIC)
    observed_cells = int((local.counts > 0).sum())
    transforms = sum(len(batch.sub_domains) for batch in local_transforms(observed, local))
    shared = weights_seconds(observed, local, 1)
    # Weights that differ by a rounding error are not shared.
    tiny = 1.0 + 1e-13 * np.random.default_rng(0).standard_normal(local.weight.size)
    alone = weights_seconds(observed, LocalObservations(local.start, local.index, local.weight * tiny), 1)
    print(f"  {observed_cells} observed cells, {transforms} transforms: {shared:.2f} s shared, {alone:.2f} s alone")


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    limit_blas_threads()
    observed, white = observed_ensemble(True), observed_ensemble(False)
    local = select(sub_domains("blocks").centre, "blocks")
    print("                                     correlated   white noise")
    # The C library never forgets what it was told to keep, so that without it comes first.
    for module, name, values in (
        (lestkf, "RETAINED_BYTES", (0, 31 * 2**20)),
        (lestkf, "BATCH_ELEMENTS", (50_000, 200_000, 400_000, 600_000, 1_000_000)),
        (lestkf, "COUNT_STEP", (1, 2, 4, 8, 16)),
        (estkf, "CONDITION_STEP", (4.0, 16.0, 64.0, 256.0)),
    ):
        for value in values:
            with setting(module, name, value):
                times = [weights_seconds(one, local) for one in (observed, white)]
            print(f"{name:<18}{value:12,.0f}{times[0]:16.2f}{times[1]:14.2f}")
    report_forms()
    report_application()
    report_sharing(observed)


if __name__ == "__main__":
    main()
