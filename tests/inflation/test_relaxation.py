"""Relaxation of the analysis spread."""

from __future__ import annotations

import numpy as np
import pytest

from da.inflation import relax_to_prior_perturbations, relax_to_prior_spread

RNG = np.random.default_rng(3)
FORECAST = RNG.standard_normal((5, 8)) * 3.0 + 10.0
ANALYSIS = RNG.standard_normal((5, 8)) + 11.0


def test_that_rtps_gives_the_weighted_mean_of_both_spreads_and_keeps_the_mean() -> None:
    relaxed = relax_to_prior_spread(FORECAST, ANALYSIS, 0.8)
    expected = 0.8 * FORECAST.std(axis=1, ddof=1) + 0.2 * ANALYSIS.std(axis=1, ddof=1)
    np.testing.assert_allclose(relaxed.std(axis=1, ddof=1), expected, rtol=1e-13)
    np.testing.assert_allclose(relaxed.mean(axis=1), ANALYSIS.mean(axis=1), rtol=1e-14)


def test_that_rtpp_blends_perturbations_and_keeps_the_mean() -> None:
    relaxed = relax_to_prior_perturbations(FORECAST, ANALYSIS, 0.3)
    expected = 0.7 * (ANALYSIS - ANALYSIS.mean(axis=1, keepdims=True)) + 0.3 * (
        FORECAST - FORECAST.mean(axis=1, keepdims=True)
    )
    np.testing.assert_allclose(relaxed - relaxed.mean(axis=1, keepdims=True), expected, atol=1e-13)
    np.testing.assert_allclose(relaxed.mean(axis=1), ANALYSIS.mean(axis=1), rtol=1e-14)


@pytest.mark.parametrize("relax", [relax_to_prior_spread, relax_to_prior_perturbations])
def test_that_no_relaxation_changes_nothing(relax) -> None:  # type: ignore[no-untyped-def]
    np.testing.assert_allclose(relax(FORECAST, ANALYSIS, 0.0), ANALYSIS, rtol=1e-15)


def test_that_full_rtpp_restores_the_perturbations_of_the_forecast() -> None:
    relaxed = relax_to_prior_perturbations(FORECAST, ANALYSIS, 1.0)
    np.testing.assert_allclose(
        relaxed - relaxed.mean(axis=1, keepdims=True), FORECAST - FORECAST.mean(axis=1, keepdims=True), atol=1e-13
    )


def test_that_rtps_leaves_rows_without_spread_alone() -> None:
    analysis = ANALYSIS.copy()
    analysis[2] = 4.0
    np.testing.assert_array_equal(relax_to_prior_spread(FORECAST, analysis, 0.5)[2], 4.0)


@pytest.mark.parametrize("factor", [-0.1, 1.1])
def test_that_factors_outside_zero_and_one_are_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="relaxation"):
        relax_to_prior_spread(FORECAST, ANALYSIS, factor)
