"""Estimated parameters against linear theory: Kalman gain times damping, spread, limits, and what they are told by."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.filters import naive
from da.filters.lestkf import ObservedEnsemble
from da.parameters import ParameterSettings, estimate

MEMBERS = 12


def _ensemble(seed: int, observations: int, members: int = MEMBERS) -> tuple[np.ndarray, np.ndarray, ObservedEnsemble]:
    """Return parameter members, HX that mixes the parameter with noise, and the observed ensemble."""
    rng = np.random.default_rng(seed)
    parameter = rng.normal(5.0, 3.0, members)
    hx = rng.uniform(-2.0, 2.0, (observations, 1)) * parameter + rng.standard_normal((observations, members))
    observed = ObservedEnsemble.of(hx, rng.normal(0.0, 4.0, observations), rng.uniform(0.5, 3.0, observations))
    return parameter, hx, observed


def _one(
    parameter: np.ndarray, settings: ParameterSettings, observed: ObservedEnsemble, altitude_km: np.ndarray
) -> tuple[np.ndarray, int]:
    found = estimate({"p": parameter}, {"p": settings}, observed, altitude_km)
    return found.after["p"], found.limited["p"]


def _kalman(parameter: np.ndarray, hx: np.ndarray, values: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """Return mean and variance that the Kalman filter gives a parameter with these sample covariances."""
    covariance = np.cov(np.vstack([parameter, hx]))
    mean = np.concatenate([[parameter.mean()], hx.mean(axis=1)])
    operator = np.eye(len(mean))[1:]
    after, covariance = naive.kalman_filter(mean, covariance, operator, values, np.diag(variance))
    return float(after[0]), float(covariance[0, 0])


@pytest.mark.parametrize("damping", [0.0, 0.1, 0.5, 1.0])
def test_that_a_parameter_that_is_observed_itself_gets_the_kalman_mean_times_damping(damping: float) -> None:
    parameter, error, value = np.random.default_rng(1).normal(2.0, 3.0, MEMBERS), 1.5, 9.0
    hx = 4.0 * parameter[None] + 1.0
    observed = ObservedEnsemble.of(hx, np.array([value]), np.array([error**2]))
    after, _ = _one(parameter, ParameterSettings(damping, relaxation=0.0), observed, np.array([300.0]))
    variance = parameter.var(ddof=1)
    gain = variance * 4.0 / (16.0 * variance + error**2)
    expected = parameter.mean() + damping * gain * (value - 4.0 * parameter.mean() - 1.0)
    assert_allclose(after.mean(), expected, rtol=1e-13)
    # Damping is for the mean alone.
    assert_allclose(after.var(ddof=1), variance * (1.0 - 4.0 * gain), rtol=1e-12)


@pytest.mark.parametrize("observations", [3, 40])
def test_that_several_observations_act_as_in_the_kalman_filter(observations: int) -> None:
    parameter, hx, observed = _ensemble(2, observations)
    values = observed.innovation + hx.mean(axis=1)
    after, _ = _one(parameter, ParameterSettings(1.0, relaxation=0.0), observed, np.full(observations, 300.0))
    mean, variance = _kalman(parameter, hx, values, observed.variance)
    assert_allclose(after.mean(), mean, rtol=1e-11)
    assert_allclose(after.var(ddof=1), variance, rtol=1e-10)


def test_that_a_weight_divides_the_error_variance() -> None:
    parameter, hx, observed = _ensemble(3, 6)
    values = observed.innovation + hx.mean(axis=1)
    settings = ParameterSettings(1.0, observation_weight=0.2, relaxation=0.0)
    after, _ = _one(parameter, settings, observed, np.full(6, 300.0))
    mean, variance = _kalman(parameter, hx, values, observed.variance / 0.2)
    assert_allclose([after.mean(), after.var(ddof=1)], [mean, variance], rtol=1e-11)


def test_that_observations_outside_the_altitudes_are_not_used() -> None:
    parameter, hx, observed = _ensemble(4, 6)
    values, altitude_km = observed.innovation + hx.mean(axis=1), np.array([99.9, 100.0, 150.0, 200.0, 200.1, 500.0])
    settings = ParameterSettings(1.0, altitude_min_km=100.0, altitude_max_km=200.0, relaxation=0.0)
    after, _ = _one(parameter, settings, observed, altitude_km)
    mean, variance = _kalman(parameter, hx[1:4], values[1:4], observed.variance[1:4])
    assert_allclose([after.mean(), after.var(ddof=1)], [mean, variance], rtol=1e-11)


def test_that_without_observations_a_parameter_stays() -> None:
    parameter, _, observed = _ensemble(5, 4)
    settings = ParameterSettings(1.0, altitude_min_km=1000.0, relaxation=0.5)
    after, limited = _one(parameter, settings, observed, np.full(4, 300.0))
    assert_allclose(after, parameter, rtol=1e-14)
    assert limited == 0
    nothing = ObservedEnsemble.of(np.zeros((0, MEMBERS)), np.zeros(0), np.zeros(0))
    assert_allclose(_one(parameter, ParameterSettings(1.0), nothing, np.zeros(0))[0], parameter, rtol=1e-14)


@pytest.mark.parametrize("relaxation", [0.0, 0.4, 1.0])
def test_that_the_spread_is_relaxed_to_that_of_the_forecast(relaxation: float) -> None:
    parameter, _, observed = _ensemble(6, 5)
    altitude_km = np.full(5, 300.0)
    undamped, _ = _one(parameter, ParameterSettings(1.0, relaxation=0.0), observed, altitude_km)
    after, _ = _one(parameter, ParameterSettings(0.3, relaxation=relaxation), observed, altitude_km)
    before, reduced = parameter.std(ddof=1), undamped.std(ddof=1)
    assert reduced < 0.9 * before
    assert_allclose(after.std(ddof=1), relaxation * before + (1.0 - relaxation) * reduced, rtol=1e-12)
    assert_allclose(after.mean() - parameter.mean(), 0.3 * (undamped.mean() - parameter.mean()), rtol=1e-11)


def test_that_members_beyond_the_limit_are_moved_to_it_and_counted() -> None:
    parameter, _, observed = _ensemble(7, 5)
    altitude_km = np.full(5, 300.0)
    free, none = _one(parameter, ParameterSettings(1.0), observed, altitude_km)
    limit = float(np.sort(np.abs(free))[-4]) * (1.0 + 1e-9)
    after, limited = _one(parameter, ParameterSettings(1.0, limit=limit), observed, altitude_km)
    assert (none, limited) == (0, 3)
    assert_array_equal(after, np.clip(free, -limit, limit))


def test_that_each_parameter_is_estimated_by_its_own_settings_and_none_disturbs_another() -> None:
    first, _, observed = _ensemble(8, 5)
    second = np.random.default_rng(9).standard_normal(MEMBERS)
    kept = first.copy()
    settings = {"a": ParameterSettings(0.7, relaxation=0.2), "b": ParameterSettings(0.2, 0.5, relaxation=0.9)}
    altitude_km = np.full(5, 300.0)
    together = estimate({"b": second, "a": first, "untouched": second}, settings, observed, altitude_km)
    assert set(together.before) == set(together.after) == set(together.limited) == {"a", "b"}
    for name, values in (("a", first), ("b", second)):
        assert_array_equal(together.before[name], values)
        assert_array_equal(together.after[name], _one(values, settings[name], observed, altitude_km)[0])
    assert_array_equal(first, kept)


def test_that_a_parameter_without_correlation_moves_as_far_as_chance_correlates_it() -> None:
    # The sampling error of a correlation from N members is 1/sqrt(N); it bounds what an unrelated parameter does.
    members, rng = 4000, np.random.default_rng(10)
    parameter, hx = rng.standard_normal(members), rng.standard_normal((1, members))
    observed = ObservedEnsemble.of(hx, np.array([3.0]), np.array([1.0]))
    after, _ = _one(parameter, ParameterSettings(1.0), observed, np.array([300.0]))
    # Gain times innovation: r * 3 / 2, four standard errors.
    assert abs(after.mean() - parameter.mean()) < 4.0 / np.sqrt(members) * 1.5


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mean_damping": 1.1}, "mean_damping"),
        ({"mean_damping": -0.1}, "mean_damping"),
        ({"mean_damping": np.nan}, "mean_damping"),
        ({"relaxation": 2.0}, "relaxation"),
        ({"observation_weight": 0.0}, "observation_weight"),
        ({"observation_weight": 1.5}, "observation_weight"),
        ({"limit": 0.0}, "limit"),
    ],
)
def test_that_settings_out_of_range_are_refused(keys: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ParameterSettings(**{"mean_damping": 0.5, **keys})
