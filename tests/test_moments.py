from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from da.moments import EnsembleMoments, merged


@st.composite
def ensembles_and_cuts(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    """Return an ensemble (3, members) with a mean far from zero and where it is cut into non-empty parts."""
    members = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mean = draw(st.sampled_from([0.0, 1.0, -1e3, 1e6]))
    scale = draw(st.sampled_from([1e-12, 1.0, 1e4]))
    cuts = draw(st.lists(st.integers(1, members - 1), unique=True).map(sorted))
    return scale * (mean + rng.standard_normal((3, members))), cuts


def tolerance(ensemble: np.ndarray) -> float:
    """Return the relative error to be expected of a variance.

    Chan et al. (1983): a difference of means is good to eps |mean|, which relative to the spread is eps times the
    condition number sqrt(1 + mean^2 / variance), once for each of at most n merges and n members summed.
    """
    condition = np.sqrt(1.0 + ensemble.mean(axis=-1) ** 2 / ensemble.var(axis=-1)).max()
    return float(4.0 * ensemble.shape[-1] * np.finfo(float).eps * condition)


@settings(max_examples=200)
@given(ensembles_and_cuts())
def test_that_any_split_merges_to_the_moments_of_the_whole(case: tuple[np.ndarray, list[int]]) -> None:
    ensemble, cuts = case
    whole = merged(EnsembleMoments.of(part) for part in np.split(ensemble, cuts, axis=1))
    assert whole.members == ensemble.shape[1]
    rounding = 4.0 * ensemble.shape[1] * np.finfo(float).eps * np.abs(ensemble).max()
    assert_allclose(whole.mean, ensemble.mean(axis=1), rtol=0, atol=rounding)
    assert_allclose(whole.spread, ensemble.std(axis=1, ddof=1), rtol=tolerance(ensemble))


@given(ensembles_and_cuts())
def test_that_the_order_of_the_parts_does_not_matter(case: tuple[np.ndarray, list[int]]) -> None:
    ensemble, cuts = case
    parts = [EnsembleMoments.of(part) for part in np.split(ensemble, cuts, axis=1)]
    assert_allclose(merged(parts[::-1]).spread, merged(parts).spread, rtol=2.0 * tolerance(ensemble))


def test_that_members_one_by_one_give_the_same_as_together() -> None:
    ensemble = 300.0 + np.random.default_rng(1).standard_normal((2, 5, 12))
    one_by_one = merged(EnsembleMoments.of(ensemble[..., [member]]) for member in range(12))
    assert_allclose(one_by_one.spread, ensemble.std(axis=-1, ddof=1), rtol=tolerance(ensemble))


def test_that_a_small_spread_on_a_large_mean_is_not_lost() -> None:
    # Sums of squares would lose all digits here: 1e16 + 1 is 1e16.
    ensemble = 1e8 + np.array([[-1.0, 0.0, 1.0, 2.0]])
    whole = merged(EnsembleMoments.of(ensemble[:, [member]]) for member in range(4))
    assert_allclose(whole.spread, np.sqrt(5.0 / 3.0), rtol=1e-7)


def test_that_a_single_member_has_a_mean_but_no_deviation() -> None:
    alone = EnsembleMoments.of(np.array([[5.0], [7.0]]))
    assert alone.members == 1
    assert_array_equal(alone.mean, [5.0, 7.0])
    assert_array_equal(alone.squared_deviations, 0.0)
    with pytest.raises(ValueError, match="at least two members"):
        _ = alone.spread


def test_that_merging_leaves_the_parts_untouched() -> None:
    first, second = EnsembleMoments.of(np.array([[1.0, 2.0]])), EnsembleMoments.of(np.array([[7.0, 9.0]]))
    _ = first + second
    assert (first.members, first.mean[0], first.squared_deviations[0]) == (2, 1.5, 0.5)
    assert (second.members, second.mean[0], second.squared_deviations[0]) == (2, 8.0, 2.0)
