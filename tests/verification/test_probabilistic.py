"""Scores of ensembles and distributions against a library, numerical integration and theory."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import scores.probability
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from da.verification.probabilistic import (
    EnsembleScores,
    LogNormalScores,
    Reliability,
    SpreadSkill,
    exceedance_probability,
)


def ensemble(n: int, members: int, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return observations and members; reliable for a spread of one."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal(n)
    return centre + rng.standard_normal(n), centre[:, None] + spread * rng.standard_normal((n, members))


def test_that_ensemble_crps_equals_the_library_scores() -> None:
    observed, members = ensemble(60, 9)
    found = EnsembleScores.of(observed, members).value()
    o, m = xr.DataArray(observed, dims="time"), xr.DataArray(members, dims=("time", "member"))
    for method, ours in (("ecdf", found.crps), ("fair", found.fair_crps)):
        theirs = scores.probability.crps_for_ensemble(m, o, "member", method=method)
        assert ours == pytest.approx(float(theirs), rel=1e-12)


def test_that_ranks_equal_the_library_scores_and_a_reliable_ensemble_has_flat_ranks() -> None:
    observed, members = ensemble(4000, 9)
    found = EnsembleScores.of(observed, members).value()
    o, m = xr.DataArray(observed, dims="time"), xr.DataArray(members, dims=("time", "member"))
    theirs = scores.probability.rank_histogram(m, o, "member", reduce_dims="all")
    np.testing.assert_allclose(found.rank_frequency, theirs.to_numpy(), atol=1e-12)
    # Chi-square over 9 degrees of freedom has mean 1 and standard deviation sqrt(2/9) = 0.47.
    assert found.flatness < 1.0 + 4 * 0.47
    assert found.spread == pytest.approx(found.rmse, rel=0.05)
    narrow = EnsembleScores.of(*ensemble(4000, 9, spread=0.5)).value()
    assert narrow.rank_frequency[0] > 0.2
    assert narrow.flatness > 50.0
    assert narrow.spread < 0.7 * narrow.rmse


def test_that_ties_are_shared_between_the_ranks_they_may_have() -> None:
    found = EnsembleScores.of(np.array([0.0, 5.0]), np.array([[0.0, 0.0, 1.0], [1.0, 2.0, 3.0]]))
    np.testing.assert_allclose(found.ranks, [1 / 3, 1 / 3, 1 / 3, 1.0])


@given(cuts=st.lists(st.integers(0, 80), max_size=6))
def test_that_ensemble_scores_do_not_depend_on_chunks_order_or_the_order_of_members(cuts: list[int]) -> None:
    observed, members = ensemble(80, 5)
    observed[3], members[7, 2] = np.nan, np.nan
    whole = EnsembleScores.of(observed, members[:, ::-1])
    total = EnsembleScores.zero(5)
    for part in np.split(np.random.default_rng(1).permutation(80), np.sort(cuts)):
        total = total + EnsembleScores.of(observed[part], members[part])
    assert total.n == whole.n == 78
    np.testing.assert_allclose(total.sums, whole.sums, rtol=1e-13)
    np.testing.assert_allclose(total.ranks, whole.ranks, rtol=1e-13)


def test_that_empty_and_unlike_ensembles_are_undefined_or_refused() -> None:
    empty = EnsembleScores.zero(4).value()
    assert np.isnan([empty.crps, empty.fair_crps, empty.spread, empty.flatness]).all()
    with pytest.raises(ValueError, match="cannot be added"):
        EnsembleScores.zero(4) + EnsembleScores.zero(5)
    with pytest.raises(ValueError, match="do not go with"):
        EnsembleScores.of(np.zeros(3), np.zeros((2, 4)))


def test_that_log_normal_crps_equals_its_integral() -> None:
    mean, spread, seen = 3e-12, 0.6e-12, 4.1e-12
    sigma = np.sqrt(np.log(1.0 + (spread / mean) ** 2))
    law = scipy.stats.norm(np.log(mean) - 0.5 * sigma**2, sigma)
    at = np.log(seen)
    below, _ = scipy.integrate.quad(lambda x: law.cdf(x) ** 2, at - 20 * sigma, at)
    above, _ = scipy.integrate.quad(lambda x: law.sf(x) ** 2, at, at + 20 * sigma)
    found = LogNormalScores.of(np.array([seen]), np.array([mean]), np.array([spread])).value()
    assert found.crps == pytest.approx(below + above, rel=1e-7)
    assert found.bias == pytest.approx((at - law.mean()) / sigma, rel=1e-12)


def test_that_log_normal_crps_tends_to_the_absolute_ln_ratio_without_spread() -> None:
    observed, modelled = np.array([2.0, 1.0]), np.array([1.0, 3.0])
    found = LogNormalScores.of(observed, modelled, 1e-9 * modelled).value()
    # The CRPS differs from the absolute error by sigma / sqrt(pi) at most.
    assert found.crps == pytest.approx(np.mean(np.abs(np.log(observed / modelled))), abs=1e-9)


def test_that_reliable_log_normal_forecasts_have_dispersion_one_and_flat_pit() -> None:
    rng = np.random.default_rng(2)
    n, sigma = 20000, 0.3
    centre = rng.standard_normal(n)
    observed = np.exp(centre + sigma * rng.standard_normal(n))
    mean = np.exp(centre + 0.5 * sigma**2)
    found = LogNormalScores.of(observed, mean, mean * np.sqrt(np.expm1(sigma**2))).value()
    # Sampling errors: 1/sqrt(n) of the mean, 1/sqrt(2n) of the deviation, sqrt(0.09/n) of a bin; four of each.
    assert abs(found.bias) < 4.0 / np.sqrt(n)
    assert abs(found.dispersion - 1.0) < 4.0 / np.sqrt(2.0 * n)
    assert np.abs(found.pit - 0.1).max() < 4.0 * np.sqrt(0.09 / n)


@given(cuts=st.lists(st.integers(0, 90), max_size=6))
def test_that_log_normal_scores_do_not_depend_on_chunks_and_leave_out_gaps(cuts: list[int]) -> None:
    rng = np.random.default_rng(3)
    observed, modelled, spread = np.exp(0.2 * rng.standard_normal((3, 90)))
    spread[4], spread[5], observed[6] = np.nan, 0.0, np.nan
    whole = LogNormalScores.of(observed, modelled, spread)
    total = LogNormalScores.zero()
    for part in np.split(rng.permutation(90), np.sort(cuts)):
        total = total + LogNormalScores.of(observed[part], modelled[part], spread[part])
    assert total.n == whole.n == 87
    np.testing.assert_array_equal(total.pit, whole.pit)
    close = {"rel": 1e-12, "abs": 1e-12}
    assert (total.crps, total.reduced) == pytest.approx((whole.crps, whole.reduced), **close)
    assert total.value().dispersion == pytest.approx(whole.value().dispersion, **close)
    assert np.isnan(LogNormalScores.zero().value().crps)


def test_that_spread_skill_classes_hold_the_points_of_their_spread_and_add() -> None:
    rng = np.random.default_rng(5)
    spread = rng.uniform(0.0, 1.0, 5000)
    error = spread * rng.standard_normal(5000)
    edges = np.linspace(0.1, 0.9, 5)
    error[0] = np.nan
    whole = SpreadSkill.of(error, spread, edges)
    halves = SpreadSkill.zero(edges) + SpreadSkill.of(error[:77], spread[:77], edges)
    halves = halves + SpreadSkill.of(error[77:], spread[77:], edges)
    predicted, found = whole.value()
    inside = (spread >= edges[1]) & (spread < edges[2]) & np.isfinite(error)
    assert found[1] == pytest.approx(np.sqrt(np.mean(error[inside] ** 2)), rel=1e-12)
    np.testing.assert_allclose(halves.value(), whole.value(), rtol=1e-12)
    # A reliable spread: errors of 1/sqrt(2 n) with about 1000 points per class, four of them.
    np.testing.assert_allclose(predicted, found, rtol=4.0 / np.sqrt(2000.0))
    assert np.isnan(SpreadSkill.zero(edges).value()).all()
    with pytest.raises(ValueError, match="different edges"):
        SpreadSkill.zero(edges) + SpreadSkill.zero(2.0 * edges)


def test_that_brier_scores_equal_the_library_scores_and_decompose() -> None:
    rng = np.random.default_rng(6)
    probability = np.round(rng.random(400), 1) * 0.8 + 0.05
    occurred = (rng.random(400) < probability).astype(float)
    found = Reliability.of(probability, occurred).value()
    theirs = scores.probability.brier_score(xr.DataArray(probability, dims="time"), xr.DataArray(occurred, dims="time"))
    assert found.brier == pytest.approx(float(theirs), rel=1e-12)
    # Each class holds one value of the probability, so that the decomposition is exact.
    classes = Reliability.of(probability, occurred, classes=100).value()
    assert classes.reliability - classes.resolution + classes.uncertainty == pytest.approx(classes.brier, rel=1e-12)
    halves = Reliability.zero() + Reliability.of(probability[:9], occurred[:9])
    halves = halves + Reliability.of(probability[9:], occurred[9:])
    np.testing.assert_allclose(halves.value().frequency, found.frequency, rtol=1e-12)
    assert np.isnan(Reliability.zero().value().brier)
    assert Reliability.of(np.array([np.nan, 0.5]), np.array([1.0, np.nan])).count.sum() == 0
    with pytest.raises(ValueError, match="probabilities must lie"):
        Reliability.of(np.array([1.2]), np.array([1.0]))


def test_that_exceedance_probabilities_are_those_of_the_log_normal_law() -> None:
    sigma = 0.4
    law = scipy.stats.lognorm(sigma, scale=2.0)
    found = exceedance_probability(np.array([law.mean()]), np.array([law.std()]), np.array([2.7]))
    assert found[0] == pytest.approx(law.sf(2.7), rel=1e-12)
