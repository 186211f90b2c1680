"""Analysis RMSE on Lorenz-96 beside published figures: 40 variables, all observed every 0.05 with unit error.

    python benchmarks/lorenz96.py > benchmarks/lorenz96.txt

Published: Sakov & Oke (2008, doi:10.1175/2007MWR2021.1), Table 1, for the global square-root filters (0.18); the score
that the DAPPER collection of reproductions (JOSS 05150) lists for its LETKF with 7 members (0.22). "Inflation" scales
anomalies; the forgetting factor is its inverse square. Gaspari-Cohn's support is 3.64 times DAPPER's localization
radius.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from da.filters.lestkf import ObservedEnsemble, analyse_sub_domains
from da.localization import Localization, LocalObservations, Weighting, select_local_observations
from da.model import MemberInputs
from model_adapters.lorenz96 import Lorenz96, Lorenz96Settings

VARIABLES, CYCLES, SPIN_UP = 40, 10_000, 400
START, STEP = np.datetime64("2000-01-01", "ns"), np.timedelta64(6, "h")
NO_INPUTS = MemberInputs({})


@dataclass(frozen=True)
class Variant:
    """A filter set-up and the RMSE published for it."""

    members: int
    inflation: float
    support_radius_cells: float | None
    published: float


VARIANTS = (
    Variant(24, 1.013, None, 0.18),
    Variant(28, 1.02, None, 0.18),
    Variant(40, 1.01, None, 0.18),
    Variant(7, 1.04, 14.6, 0.22),
)


def local_observations(support_radius_cells: float | None) -> tuple[list[slice], LocalObservations]:
    """Return sub-domains and their observations: one variable each, or the whole ring."""
    ring = np.column_stack([np.zeros(VARIABLES), np.zeros(VARIABLES), np.arange(float(VARIABLES))])
    if support_radius_cells is None:
        everywhere = select_local_observations(ring[:1], ring, Localization(1e3, Weighting.UNIFORM), None)
        return [slice(0, VARIABLES)], everywhere
    localization = Localization(support_radius_cells, Weighting.GASPARI_COHN, support_radius_cells)
    cells = [slice(i, i + 1) for i in range(VARIABLES)]
    return cells, select_local_observations(ring, ring, localization, float(VARIABLES))


def scores(variant: Variant, seed: int) -> tuple[float, float]:
    """Return mean analysis RMSE and mean spread after the spin-up."""
    model, rng = Lorenz96(Lorenz96Settings()), np.random.default_rng(seed)
    truth = model.initial(START, NO_INPUTS, [rng])
    ensemble = truth + rng.standard_normal((VARIABLES, variant.members))
    domains, local = local_observations(variant.support_radius_cells)
    errors, spreads = np.empty(CYCLES), np.empty(CYCLES)
    for cycle in range(CYCLES):
        truth = model.forecast(truth, START, START + STEP, NO_INPUTS)
        ensemble = model.forecast(ensemble, START, START + STEP, NO_INPUTS)
        values = truth[:, 0] + rng.standard_normal(VARIABLES)
        observed = ObservedEnsemble.of(ensemble, values, np.ones(VARIABLES))
        analyse_sub_domains(ensemble, domains, observed, local, variant.inflation**-2, out=ensemble)
        errors[cycle] = np.sqrt(np.mean((ensemble.mean(axis=1) - truth[:, 0]) ** 2))
        spreads[cycle] = np.sqrt(ensemble.var(axis=1, ddof=1).mean())
    return float(errors[SPIN_UP:].mean()), float(spreads[SPIN_UP:].mean())


def main() -> None:
    """Print the table."""
    threadpool_limits(limits=1)
    print(f"{CYCLES} cycles, the first {SPIN_UP} left out, three seeds; RMSE and spread of the analysis")
    print("members  inflation  support [cells]  RMSE per seed           mean    published   spread")
    for variant in VARIANTS:
        results = [scores(variant, seed) for seed in (1, 2, 3)]
        errors = "  ".join(f"{error:.4f}" for error, _ in results)
        mean, spread = np.mean(results, axis=0)
        support = "global" if variant.support_radius_cells is None else f"{variant.support_radius_cells:g}"
        print(
            f"{variant.members:7d}  {variant.inflation:9g}  {support:>15}  {errors}  {mean:.4f}  "
            f"{variant.published:9.2f}   {spread:.3f}"
        )


if __name__ == "__main__":
    main()
