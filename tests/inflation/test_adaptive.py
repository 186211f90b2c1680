"""Adaptive inflation against brute-force maximisation, and against innovations of known variance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from da.filters.estkf import analyse
from da.inflation import AdaptiveInflationSettings, InflationState, update
from da.localization import LocalObservations

FREE = AdaptiveInflationSettings(
    initial=1.0, standard_deviation=0.6, minimum_standard_deviation=1e-6, lower=0.5, upper=50.0, damping=1.0
)


def _one_each(domains: int, weight: np.ndarray | float) -> LocalObservations:
    """Return one observation of its own for every sub-domain."""
    return LocalObservations(
        np.arange(domains + 1), np.arange(domains), np.broadcast_to(np.asarray(weight, dtype=float), domains).copy()
    )


def _random_observations(seed: int, domains: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, innovations, forecast and error variances over several orders of magnitude."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.0, 1.0, domains)
    spread, error = 10.0 ** rng.uniform(-2, 2, domains), 10.0 ** rng.uniform(-2, 2, domains)
    innovation = np.sqrt(spread + error) * rng.standard_normal(domains) * 10.0 ** rng.uniform(-1, 1, domains)
    return weight, innovation, spread, error


def _log_posterior(
    inflation: np.ndarray,
    mean: float,
    deviation: float,
    observation: tuple[float, float, float, float],
) -> np.ndarray:
    gamma, innovation, spread, error = observation
    theta2 = (1.0 + gamma * (np.sqrt(inflation) - 1.0)) ** 2 * spread + error
    density = np.exp(-0.5 * innovation**2 / theta2) / np.sqrt(theta2)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(density) - 0.5 * ((inflation - mean) / deviation) ** 2)


@pytest.mark.parametrize(("lower", "deviation"), [(1.0, 0.6), (1.0, 1.4), (0.5, 0.7), (0.1, 0.14)])
def test_that_the_new_mean_is_the_mode_found_by_brute_force(lower: float, deviation: float) -> None:
    # A first grid of 20001 points over all that the bounds allow, a second one within its best cell's neighbours: the
    # spacing of the second, twice (50 - 0.1)/20000/10000, bounds the distance from the true maximum, but for rounding:
    # near its mode the density is flat to within 1e-15 over about sqrt(1e-15) standard deviations.
    settings = replace(FREE, lower=lower, standard_deviation=deviation, minimum_standard_deviation=1e-6, upper=50.0)
    domains = 60
    weight, innovation, spread, error = _random_observations(1, domains)
    mean = np.random.default_rng(2).uniform(lower, 5.0, domains)
    state = InflationState(mean, np.full(domains, deviation))
    after = update(state, _one_each(domains, weight), innovation, spread, error, settings)
    for domain in range(domains):
        observation = (weight[domain], innovation[domain], spread[domain], error[domain])
        grid = np.linspace(lower, 50.0, 20_001)
        for _ in range(2):
            best = int(np.argmax(_log_posterior(grid, mean[domain], deviation, observation)))
            fine = grid[max(best - 1, 0)], grid[min(best + 1, 20_000)]
            grid = np.linspace(*fine, 20_001)
        assert abs(after.mean[domain] - grid[10_000]) < 5e-7 + (fine[1] - fine[0])


def test_that_the_new_standard_deviation_is_that_of_the_normal_density_through_two_points_of_the_posterior() -> None:
    domains = 60
    weight, innovation, spread, error = _random_observations(3, domains)
    before = InflationState.initial(domains, FREE)
    after = update(before, _one_each(domains, weight), innovation, spread, error, FREE)
    narrowed = 0
    for domain in range(domains):
        observation = (weight[domain], innovation[domain], spread[domain], error[domain])
        points = after.mean[domain] + np.array([0.0, 0.6])
        at_mode, above = _log_posterior(points, 1.0, 0.6, observation)
        expected = min(np.sqrt(0.6**2 / (2.0 * (at_mode - above))), 0.6)
        narrowed += expected < 0.6
        np.testing.assert_allclose(after.standard_deviation[domain], expected, rtol=1e-7)
    assert narrowed > domains / 4


def test_that_an_exact_linear_likelihood_moves_the_mean_by_its_slope() -> None:
    # With a tiny prior variance the likelihood is linear within it: the mode moves by sigma^2 times the slope of its
    # logarithm, s (d^2/theta^2 - 1) / (2 theta^2) for gamma = 1; the neglected curvature is of order sigma^2.
    sigma, spread, error, innovation = 1e-4, 2.0, 0.5, 3.0
    state = InflationState(np.array([1.5]), np.array([sigma]))
    settings = replace(FREE, standard_deviation=sigma, minimum_standard_deviation=1e-9)
    after = update(state, _one_each(1, 1.0), np.array([innovation]), np.array([spread]), np.array([error]), settings)
    theta2 = 1.5 * spread + error
    slope = spread * (innovation**2 / theta2 - 1.0) / (2.0 * theta2)
    np.testing.assert_allclose((after.mean[0] - 1.5) / sigma**2, slope, rtol=1e-6)


def _assimilate_innovations(
    true: float, count: int, domains: int, settings: AdaptiveInflationSettings
) -> list[InflationState]:
    """Return the states of domains with ``count`` innovations each of variance true + 0.5, at a quarter and the end."""
    rng, per_cycle, error = np.random.default_rng(11), 10, 0.5
    entries = domains * per_cycle
    local = LocalObservations(np.arange(domains + 1) * per_cycle, np.arange(entries), np.ones(entries))
    state, kept = InflationState.initial(domains, settings), []
    for cycle in range(1, count // per_cycle + 1):
        innovation = np.sqrt(true + error) * rng.standard_normal(entries)
        state = update(state, local, innovation, np.ones(entries), np.full(entries, error), settings)
        if cycle in (count // per_cycle // 4, count // per_cycle):
            kept.append(state)
    return kept


def test_that_the_mean_converges_to_the_inflation_the_innovations_were_drawn_with() -> None:
    # Each innovation carries the information I = s^2/(2 theta^4) on lambda. A Bayesian would know it to 1/sqrt(n I).
    # Since the deviation is kept from growing, precision grows k = E[max(z^2 - 1/2, 0)] / (1/2) = 1.358 times as fast
    # (z standard normal), and steps are 1/k of the best: the theory of stochastic approximation with gain a/n then
    # gives a^2/(2a - 1) = 1.146 times the variance, a = 1/k.
    true, count, domains = 2.0, 4000, 300
    quarter, end = _assimilate_innovations(true, count, domains, FREE)
    information = 0.5 / (true + 0.5) ** 2
    expected = np.sqrt(1.146 / (count * information))
    # The scatter over domains is known to 1/sqrt(2 domains) = 4 %; four of those, and higher orders, are allowed.
    np.testing.assert_allclose(end.mean.std(), expected, rtol=0.2)
    assert np.abs(end.mean - true).max() < 6.0 * expected
    # What remains of the first error is less than the scatter, and fades.
    assert abs(end.mean.mean() - true) < min(expected, 0.7 * abs(quarter.mean.mean() - true))
    assert (end.standard_deviation < quarter.standard_deviation).all()


def test_that_consistent_innovations_leave_the_mean_at_one_within_its_stationary_scatter() -> None:
    # At a constant deviation sigma the mean is a first-order autoregression, e <- (1 - sigma^2 I) e + sigma^2 noise of
    # variance I: stationary with the deviation sigma/sqrt(2), approached with (1 - sigma^2 I)^(2n).
    sigma, count, domains = 0.05, 2000, 300
    settings = replace(FREE, standard_deviation=sigma, minimum_standard_deviation=sigma)
    _, end = _assimilate_innovations(1.0, count, domains, settings)
    information = 0.5 / (1.0 + 0.5) ** 2
    expected = sigma / np.sqrt(2.0) * np.sqrt(1.0 - (1.0 - sigma**2 * information) ** (2 * count))
    np.testing.assert_allclose(end.mean.std(), expected, rtol=0.2)
    assert abs(end.mean.mean() - 1.0) < 5.0 * expected / np.sqrt(domains)
    np.testing.assert_array_equal(end.standard_deviation, sigma)


def test_that_inflation_grows_with_large_innovations_and_falls_with_small_ones() -> None:
    state = InflationState(np.full(2, 2.0), np.full(2, 0.5))
    after = update(state, _one_each(2, 1.0), np.array([6.0, 0.0]), np.ones(2), np.ones(2), FREE)
    assert after.mean[0] > 2.0 > after.mean[1]


@pytest.mark.parametrize(("weight", "spread"), [(0.0, 1.0), (1.0, 0.0)])
def test_that_an_observation_that_says_nothing_of_inflation_leaves_it_alone(weight: float, spread: float) -> None:
    state = InflationState(np.array([1.7]), np.array([0.4]))
    after = update(state, _one_each(1, weight), np.array([30.0]), np.array([spread]), np.ones(1), FREE)
    np.testing.assert_array_equal(after.mean, state.mean)
    np.testing.assert_allclose(after.standard_deviation, state.standard_deviation, rtol=1e-15)


def test_that_less_weight_moves_inflation_less() -> None:
    weight = np.array([0.05, 0.2, 0.5, 0.8, 1.0])
    state = InflationState.initial(5, FREE)
    after = update(state, _one_each(5, weight), np.full(5, 4.0), np.ones(5), np.ones(5), FREE)
    assert (np.diff(after.mean) > 0.0).all()


@pytest.mark.parametrize(("innovation", "bound"), [(1e8, 50.0), (0.0, 0.5)])
def test_that_bounds_hold_under_extreme_innovations_without_end(innovation: float, bound: float) -> None:
    settings = replace(FREE, minimum_standard_deviation=0.6)
    state, one = InflationState.initial(1, settings), np.ones(1)
    for _ in range(400):
        state = update(state, _one_each(1, 1.0), innovation * one, one, 1e-3 * one, settings)
    np.testing.assert_allclose(state.mean, bound, rtol=1e-15)
    assert settings.lower <= state.mean[0] <= settings.upper
    assert state.standard_deviation[0] == 0.6


def test_that_sub_domains_without_observations_are_damped_and_nothing_else() -> None:
    settings = replace(FREE, damping=0.8)
    state = InflationState(np.array([3.0, 0.6, 3.0]), np.array([0.3, 0.4, 0.5]))
    local = LocalObservations(np.array([0, 0, 0, 1]), np.array([0], dtype=np.int32), np.ones(1))
    one = np.ones(1)
    after = update(state, local, one, one, one, settings)
    np.testing.assert_allclose(after.mean[:2], [2.6, 0.68], rtol=1e-15)
    np.testing.assert_array_equal(after.standard_deviation[:2], [0.3, 0.4])
    undamped = update(state, local, one, one, one, replace(settings, damping=1.0))
    np.testing.assert_allclose(after.mean[2], 1.0 + 0.8 * (undamped.mean[2] - 1.0), rtol=1e-15)


def _network(seed: int, domains: int, observations: int) -> LocalObservations:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 12, domains)
    index = np.concatenate([np.sort(rng.choice(observations, count, replace=False)) for count in counts])
    return LocalObservations(np.concatenate([[0], np.cumsum(counts)]), index, rng.uniform(0.0, 1.0, index.size))


def test_that_results_do_not_depend_on_how_sub_domains_are_batched() -> None:
    domains, observations = 50, 40
    local = _network(21, domains, observations)
    _, innovation, spread, error = _random_observations(22, observations)
    settings = replace(FREE, damping=0.9)
    before = InflationState(np.random.default_rng(23).uniform(0.5, 9.0, domains), np.full(domains, 0.6))
    whole = update(before, local, innovation, spread, error, settings)
    for first, stop in ((0, 1), (1, 20), (20, 50)):
        entries = slice(local.start[first], local.start[stop])
        starts = local.start[first : stop + 1] - local.start[first]
        part = LocalObservations(starts, local.index[entries], local.weight[entries])
        state = InflationState(before.mean[first:stop], before.standard_deviation[first:stop])
        after = update(state, part, innovation, spread, error, settings)
        np.testing.assert_allclose(after.mean, whole.mean[first:stop], rtol=1e-13)
        np.testing.assert_allclose(after.standard_deviation, whole.standard_deviation[first:stop], rtol=1e-13)


def test_that_the_local_observations_are_used_one_after_the_other() -> None:
    _, innovation, spread, error = _random_observations(31, 4)
    weight = np.array([1.0, 0.7, 0.2, 0.9])
    together = LocalObservations(np.array([0, 4]), np.arange(4), weight)
    state = InflationState.initial(1, FREE)
    expected = state
    for number in range(4):
        single = LocalObservations(np.array([0, 1]), np.array([number]), weight[number : number + 1])
        expected = update(expected, single, innovation, spread, error, FREE)
    after = update(state, together, innovation, spread, error, FREE)
    np.testing.assert_allclose(after.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(after.standard_deviation, expected.standard_deviation, rtol=1e-13)


def test_that_units_of_the_observations_do_not_matter() -> None:
    domains = 40
    weight, innovation, spread, error = _random_observations(41, domains)
    local, state = _one_each(domains, weight), InflationState.initial(domains, FREE)
    after = update(state, local, innovation, spread, error, FREE)
    scaled = update(state, local, 1e-12 * innovation, 1e-24 * spread, 1e-24 * error, FREE)
    np.testing.assert_allclose(scaled.mean, after.mean, rtol=1e-9)


def test_that_nothing_given_is_changed() -> None:
    domains = 10
    weight, innovation, spread, error = _random_observations(51, domains)
    state = InflationState.initial(domains, FREE)
    given = [weight, innovation, spread, error, state.mean, state.standard_deviation]
    copies = [array.copy() for array in given]
    update(state, _one_each(domains, weight), innovation, spread, error, FREE)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_that_its_forgetting_factor_acts_as_anomalies_multiplied_by_the_square_root_of_the_mean() -> None:
    rng = np.random.default_rng(61)
    ensemble, values, variance = rng.standard_normal((5, 8)), rng.standard_normal(5), np.full(5, 0.5)
    factor = InflationState(np.array([1.44]), np.array([0.1])).forgetting_factors[0]
    mean = ensemble.mean(axis=1, keepdims=True)
    inflated = mean + 1.2 * (ensemble - mean)
    np.testing.assert_allclose(
        analyse(ensemble, ensemble, values, variance, factor), analyse(inflated, inflated, values, variance), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": 0.0}, "bounds"),
        ({"lower": 1.1}, "bounds"),
        ({"upper": 0.9}, "bounds"),
        ({"upper": np.inf}, "bounds"),
        ({"initial": 200.0}, "bounds"),
        ({"initial": np.nan}, "bounds"),
        ({"minimum_standard_deviation": 0.0}, "minimum"),
        ({"minimum_standard_deviation": 0.7}, "minimum"),
        ({"lower": 0.4}, "sqrt"),
        ({"damping": 1.1}, "damping"),
    ],
)
def test_that_unfit_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(AdaptiveInflationSettings(), **change)


def test_that_unfit_arguments_are_refused() -> None:
    state, local, one = InflationState.initial(2, FREE), _one_each(2, 1.0), np.ones(2)
    with pytest.raises(ValueError, match="same shape"):
        update(state, local, np.ones(3), one, one, FREE)
    with pytest.raises(ValueError, match="finite"):
        update(state, local, np.array([np.nan, 1.0]), one, one, FREE)
    with pytest.raises(ValueError, match="error variances positive"):
        update(state, local, one, one, 0.0 * one, FREE)
    with pytest.raises(ValueError, match="weights"):
        update(state, _one_each(2, 1.5), one, one, one, FREE)
    with pytest.raises(ValueError, match="2 sub-domains"):
        update(InflationState.initial(3, FREE), local, one, one, one, FREE)
    with pytest.raises(ValueError, match="within"):
        update(InflationState(60.0 * one, 0.1 * one), local, one, one, one, FREE)
    with pytest.raises(ValueError, match="standard deviations"):
        update(InflationState(one, 0.9 * one), local, one, one, one, FREE)
