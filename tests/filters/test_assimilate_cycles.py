"""The analysis coupled to a model of one's own, advection around a ring, against the theory of linear estimation."""

from __future__ import annotations

import numpy as np
import pytest

from da.filters import naive
from da.filters.assimilate import Inflation, assimilate
from da.localization import IndexMetric, Localization, Weighting


def _advect(state: np.ndarray) -> np.ndarray:
    """Move everything by one cell, exactly, while a twentieth of it decays."""
    return 0.95 * np.roll(state, 1, axis=0)


def test_that_cycles_with_a_linear_model_are_those_of_the_kalman_filter() -> None:
    cells, members, error = 24, 10, 0.5
    rng = np.random.default_rng(4)
    ensemble = np.cumsum(rng.standard_normal((cells, members)), axis=0)
    mean, covariance = ensemble.mean(axis=1), np.cov(ensemble)
    step, seen = _advect(np.eye(cells)), np.arange(0, cells, 3)
    for _ in range(12):
        ensemble, mean, covariance = _advect(ensemble), step @ mean, step @ covariance @ step.T
        values = rng.standard_normal(seen.size)
        ensemble = assimilate(ensemble, ensemble[seen], values, error, localization=None).ensemble
        mean, covariance = naive.kalman_filter(
            mean, covariance, np.eye(cells)[seen], values, error**2 * np.eye(seen.size)
        )
    # A deterministic square-root filter and a linear model: equal but for rounding, which each cycle adds to.
    np.testing.assert_allclose(ensemble.mean(axis=1), mean, atol=1e-11)
    np.testing.assert_allclose(np.cov(ensemble), covariance, atol=1e-11)


@pytest.mark.parametrize("forgetting_factor", [1.0, 0.8])
def test_that_cells_of_their_own_gain_precision_as_scalar_estimates_do(forgetting_factor: float) -> None:
    cells, members, cycles, prior, error = 200, 20, 8, 1.5, 0.6
    rng = np.random.default_rng(11)
    truth = 10.0 + np.sin(2.0 * np.pi * np.arange(cells) / cells)
    anomalies = rng.standard_normal((cells, members))
    anomalies -= anomalies.mean(axis=1, keepdims=True)
    anomalies *= prior / anomalies.std(axis=1, ddof=1, keepdims=True)
    ensemble = truth[:, None] + prior * rng.standard_normal((cells, 1)) + anomalies
    place = np.column_stack([np.zeros((cells, 2)), np.arange(cells)])
    for _ in range(cycles):
        truth, ensemble = np.roll(truth, 1), np.roll(ensemble, 1, axis=0)
        values = truth + error * rng.standard_normal(cells)
        ensemble = assimilate(
            ensemble,
            ensemble,
            values,
            error,
            localization=Localization(0.5, Weighting.UNIFORM),
            sub_domains=np.arange(cells)[:, None],
            centre=place,
            position=place,
            metric=IndexMetric(float(cells)),
            inflation=Inflation(forgetting_factor),
        ).ensemble
    # Precision p <- rho p + 1/error^2 in every cycle, a geometric series.
    kept = forgetting_factor ** np.arange(cycles)
    precision = forgetting_factor**cycles / prior**2 + kept.sum() / error**2
    np.testing.assert_allclose(ensemble.var(axis=1, ddof=1), 1.0 / precision, rtol=1e-11)
    if forgetting_factor == 1.0:
        # Errors are normal with just that variance: a sum of squares of mean 200 and variance 400; four deviations.
        misfit = np.sum((ensemble.mean(axis=1) - truth) ** 2) * precision
        assert abs(misfit - cells) < 4.0 * np.sqrt(2.0 * cells)
