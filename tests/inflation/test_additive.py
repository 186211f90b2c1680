"""Additive inflation: the draw, the mean that stays and the covariance that grows."""

from __future__ import annotations

import numpy as np
import pytest

from da.inflation import add_centred_perturbations, draw_sample_numbers


@pytest.mark.parametrize(("samples", "members"), [(30, 8), (8, 8), (5, 23), (2, 2)])
def test_that_no_sample_is_drawn_again_before_all_others_were(samples: int, members: int) -> None:
    numbers = draw_sample_numbers(np.random.default_rng(1), samples, members)
    uses = np.bincount(numbers, minlength=samples)
    assert numbers.shape == (members,)
    assert uses.size == samples
    assert uses.max() - uses.min() <= 1


def test_that_equal_generators_draw_alike_and_later_draws_differ() -> None:
    first, second = np.random.default_rng(7), np.random.default_rng(7)
    np.testing.assert_array_equal(draw_sample_numbers(first, 50, 20), draw_sample_numbers(second, 50, 20))
    assert (draw_sample_numbers(first, 50, 20) != draw_sample_numbers(np.random.default_rng(7), 50, 20)).any()


def test_that_every_member_is_as_likely_to_get_every_sample() -> None:
    # Each of 12 x 5 pairs is drawn with probability 1/12; six binomial standard deviations cover 60 pairs.
    rng, draws = np.random.default_rng(2), 6000
    counts = np.zeros((5, 12))
    for _ in range(draws):
        counts[np.arange(5), draw_sample_numbers(rng, 12, 5)] += 1
    assert np.abs(counts - draws / 12).max() < 6.0 * np.sqrt(draws / 12 * 11 / 12)


def test_that_the_mean_of_the_ensemble_stays_whichever_members_a_process_holds() -> None:
    rng = np.random.default_rng(3)
    ensemble, samples = 300.0 + rng.standard_normal((6, 10)), 50.0 + 20.0 * rng.standard_normal((6, 10))
    mean = samples.mean(axis=1)
    before = ensemble.copy(), samples.copy()
    whole = add_centred_perturbations(ensemble, samples, mean, 0.4)
    np.testing.assert_allclose(whole.mean(axis=1), ensemble.mean(axis=1), rtol=1e-14)
    parts = [add_centred_perturbations(ensemble[:, p], samples[:, p], mean, 0.4) for p in (slice(0, 3), slice(3, 10))]
    np.testing.assert_array_equal(np.hstack(parts), whole)
    np.testing.assert_array_equal(ensemble, before[0])
    np.testing.assert_array_equal(samples, before[1])


def test_that_the_covariance_grows_by_the_squared_factor_times_that_of_the_set() -> None:
    # Drawing without replacement is unbiased for the set's covariance (divisor samples - 1), and independent of the
    # members; the mean over the draws is compared within five of its own standard errors.
    rng, factor, draws = np.random.default_rng(4), 0.7, 4000
    mixing = np.array([[1.0, 0.0], [0.8, 0.5]])
    ensemble, supply = rng.standard_normal((2, 12)), mixing @ rng.standard_normal((2, 40))
    covariances = np.empty((draws, 2, 2))
    for draw in range(draws):
        samples = supply[:, draw_sample_numbers(rng, 40, 12)]
        covariances[draw] = np.cov(add_centred_perturbations(ensemble, samples, samples.mean(axis=1), factor))
    expected = np.cov(ensemble) + factor**2 * np.cov(supply)
    error = covariances.std(axis=0) / np.sqrt(draws)
    assert (np.abs(covariances.mean(axis=0) - expected) < 5.0 * error).all()
    assert (error < 0.01 * np.diag(expected).max()).all()


def test_that_factor_zero_changes_nothing() -> None:
    ensemble = np.random.default_rng(5).standard_normal((3, 4))
    samples = 1e6 * np.random.default_rng(6).standard_normal((3, 4))
    np.testing.assert_array_equal(add_centred_perturbations(ensemble, samples, samples.mean(axis=1), 0.0), ensemble)


def test_that_unfit_arguments_are_refused() -> None:
    members = np.zeros((2, 3))
    with pytest.raises(ValueError, match="do not fit"):
        add_centred_perturbations(members, np.zeros((2, 2)), np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="do not fit"):
        add_centred_perturbations(members, members, np.zeros(3), 1.0)
    for factor in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="factor"):
            add_centred_perturbations(members, members, np.zeros(2), factor)
    for samples, count in ((1, 5), (5, 1)):
        with pytest.raises(ValueError, match="at least two"):
            draw_sample_numbers(np.random.default_rng(0), samples, count)
