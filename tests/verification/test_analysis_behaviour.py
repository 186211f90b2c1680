"""Behaviour of analyses by height and in a storm, on records whose numbers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from da.verification.analysis_behaviour import (
    LATER_ANALYSES,
    analysis_course,
    analysis_profiles,
    storm_factor,
)
from da.verification.analysis_records import AnalysisRecords

FloatArray = NDArray[np.float64]

HEIGHT = np.array([300.0, 400.0, 500.0])
PLACES = 5


def records(observed: FloatArray, forecast: FloatArray, analysis: FloatArray, **more: FloatArray) -> AnalysisRecords:
    """Return records of logarithms given by analysis and height, at five places of each height."""
    shape = (len(observed), HEIGHT.size)
    defaults = {"error": 0.05, "forecast_spread": 0.1, "analysis_spread": 0.04}
    values = {"observed": observed, "forecast": forecast, "analysis": analysis}
    values |= {name: more.get(name, np.full(shape, value)) for name, value in defaults.items()}
    repeated = {name: np.repeat(np.asarray(one, dtype=np.float64), PLACES, axis=1) for name, one in values.items()}
    longitude = np.tile(np.arange(PLACES) * 20.0, (len(observed), HEIGHT.size))
    return AnalysisRecords(
        time=np.datetime64("2010-04-05T00", "ns") + np.arange(len(observed)) * np.timedelta64(1, "h"),
        latitude=np.zeros(longitude.shape),
        longitude=longitude,
        altitude_km=np.tile(np.repeat(HEIGHT, PLACES), (len(observed), 1)),
        in_logarithm=True,
        **repeated,
    )


def as_densities(one: AnalysisRecords) -> AnalysisRecords:
    """Return the same records as densities; spreads and errors are those of the forecast's and analysis's densities."""
    forecast, analysis = np.exp(one.forecast), np.exp(one.analysis)
    return replace(
        one,
        observed=np.exp(one.observed),
        forecast=forecast,
        analysis=analysis,
        error=one.error * forecast,
        forecast_spread=one.forecast_spread * forecast,
        analysis_spread=one.analysis_spread * analysis,
        in_logarithm=False,
    )


def random_records(rng: np.random.Generator, analyses: int = 12) -> AnalysisRecords:
    shape = (analyses, HEIGHT.size)
    return records(*(rng.normal(-27.0, 0.3, shape) for _ in range(3)))


def adopting(parts: list[list[float]], innovation: float = 0.2) -> AnalysisRecords:
    """Return analyses that adopt these parts of an innovation, by analysis and height."""
    adopted = np.array(parts)
    zero = np.zeros(adopted.shape)
    return records(zero + innovation, zero, innovation * adopted)


def test_that_profiles_are_the_same_of_densities_and_of_their_logarithms() -> None:
    logarithms = random_records(np.random.default_rng(1))
    one, other = analysis_profiles(logarithms), analysis_profiles(as_densities(logarithms))
    np.testing.assert_array_equal(one.height_km, HEIGHT)
    for name in ("innovation", "error", "forecast_spread"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10, err_msg=name)
    np.testing.assert_allclose(one.innovation, (logarithms.observed - logarithms.forecast)[:, ::PLACES], rtol=1e-12)


def test_that_profiles_do_not_depend_on_the_unit_of_density() -> None:
    densities = as_densities(random_records(np.random.default_rng(2)))
    fields = ("observed", "forecast", "analysis", "error", "forecast_spread", "analysis_spread")
    scaled = replace(densities, **{name: 1e12 * getattr(densities, name) for name in fields})
    one, other = analysis_profiles(densities), analysis_profiles(scaled)
    for name in ("innovation", "error", "forecast_spread", "spread_left", "adopted"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, err_msg=name)


def test_that_first_and_later_analyses_are_told_apart_above_a_bound() -> None:
    later = [[0.5, -0.1, -0.3]] * LATER_ANALYSES
    profiles = analysis_profiles(adopting([[0.9, 1.5, 2.5], *later, [9.0, 9.0, 9.0]]))
    assert profiles.first_adopted(350.0) == pytest.approx(2.0)
    assert profiles.first_adopted(250.0) == pytest.approx(1.5)
    # The ninth analysis after the first is not among them.
    assert profiles.later_adopted(350.0) == pytest.approx(-0.2)
    assert np.isnan(profiles.first_adopted(600.0))


@pytest.mark.parametrize(
    ("adopted", "begins"),
    [([0.9, 1.1, 2.0], 400.0), ([1.2, 1.1, 2.0], 300.0), ([1.2, 0.9, 2.0], 500.0), ([2.0, 2.0, 0.9], np.nan)],
)
def test_that_an_overshoot_begins_where_all_heights_above_overshoot(adopted: list[float], begins: float) -> None:
    np.testing.assert_equal(analysis_profiles(adopting([adopted])).overshoot_from_km(), begins)


def test_that_error_over_spread_grows_from_the_first_to_the_second_forecast() -> None:
    zero = np.zeros((3, 3))
    spread = np.array([[0.2, 0.3, 0.4], [0.1, 0.1, 0.1], [0.4, 0.4, 0.4]])
    error = np.array([[0.1] * 3, [0.2] * 3, [9.0] * 3])
    profiles = analysis_profiles(records(zero + 0.1, zero, zero, forecast_spread=spread, error=error))
    np.testing.assert_allclose(profiles.error_ratio_growth(), [4.0, 6.0, 8.0])
    alone = analysis_profiles(records(zero[:1] + 0.1, zero[:1], zero[:1]))
    assert np.isnan(alone.error_ratio_growth()).all()


def test_that_a_fall_of_density_alone_makes_error_over_spread_grow() -> None:
    zero, fall = np.zeros((2, 3)), np.array([[0.0] * 3, [-0.9] * 3])
    densities = as_densities(records(zero + 0.1, fall, fall))
    # The assumed error is a part of uncalibrated MSIS, which does not fall with the model.
    constant = replace(densities, error=np.full(densities.error.shape, 0.05))
    np.testing.assert_allclose(analysis_profiles(constant).error_ratio_growth(), np.exp(0.9))


def test_that_later_analyses_are_told_by_height() -> None:
    later = [[0.5, -0.1, np.nan], [0.7, -0.3, np.nan]]
    found = analysis_profiles(adopting([[9.0] * 3, *later])).later_adopted_by_height()
    np.testing.assert_allclose(found, [0.6, -0.2, np.nan])


def test_that_one_pattern_gives_what_the_kalman_filter_does_with_members_along_it() -> None:
    rng = np.random.default_rng(3)
    pattern, innovation, sigma = np.array([0.03, 0.05, 0.07]), np.array([-0.7, -0.5, -0.3]), 0.05
    weights = rng.standard_normal(20)
    weights = (weights - weights.mean()) / weights.std(ddof=1)
    members = pattern[:, None] * weights
    covariance = members @ members.T / (weights.size - 1)
    gain = covariance @ np.linalg.inv(covariance + sigma**2 * np.eye(3))
    zero = np.zeros((1, 3))
    found = records(zero + innovation, zero, zero + gain @ innovation, forecast_spread=zero + pattern)
    profiles = analysis_profiles(found)
    np.testing.assert_allclose(profiles.adopted[0], (gain @ innovation) / innovation, rtol=1e-12)
    for reference_km in HEIGHT:
        np.testing.assert_allclose(profiles.adopted_by_one_pattern(reference_km), profiles.adopted[0], rtol=1e-10)
    # The spread grows with height and the innovation shrinks: the adopted part grows by both.
    assert profiles.adopted[0, 2] / profiles.adopted[0, 0] == pytest.approx(7.0 / 3.0 * 7.0 / 3.0)


def test_that_departures_leave_out_what_the_observed_density_did() -> None:
    hours = np.arange(6.0)[:, None]
    observed = 0.1 * hours**2 + np.zeros((6, 3))
    # Each analysis meets the observations; the model follows them but for 0.03 per hour times the height's number.
    drift = 0.03 * np.array([1.0, 2.0, 3.0])
    forecast = observed + drift
    for densities in (False, True):
        found = records(observed, forecast, observed)
        course = analysis_course(as_densities(found) if densities else found, 410.0)
        np.testing.assert_allclose(course.departure, np.full(5, 0.06), rtol=1e-9)
        np.testing.assert_allclose(course.correction, np.full(5, 0.06), rtol=1e-9)
        np.testing.assert_array_equal(course.stop - course.start, np.timedelta64(1, "h"))


def test_that_the_first_correction_is_left_out_and_refused_observations_do_not_count() -> None:
    zero = np.zeros((3, 3))
    found = records(zero, zero, np.array([[9.0] * 3, [0.1] * 3, [0.2] * 3]))
    observed = found.observed.copy()
    observed[1, 0] = np.nan
    analysis = found.analysis.copy()
    analysis[1, 0] = np.nan
    course = analysis_course(replace(found, observed=observed, analysis=analysis), 300.0)
    np.testing.assert_allclose(course.correction, [0.1, 0.2])
    assert course.start[0] == found.time[0]


def test_that_there_is_no_departure_where_the_observations_have_moved() -> None:
    found = random_records(np.random.default_rng(4), 3)
    moving = replace(found, longitude=found.longitude + np.arange(3.0)[:, None])
    course = analysis_course(moving, 300.0)
    assert np.isnan(course.departure).all()
    np.testing.assert_array_equal(course.correction, analysis_course(found, 300.0).correction)


def test_that_a_storm_factor_is_the_ratio_of_medians() -> None:
    values = np.array([1.0, 2.0, 9.0, np.nan, 6.0, 8.0])
    storm = np.array([False, False, False, False, True, True])
    assert storm_factor(values, storm) == pytest.approx(7.0 / 2.0)
    assert np.isnan(storm_factor(values, np.zeros(6, dtype=bool)))
    assert np.isnan(storm_factor(values, np.ones(6, dtype=bool)))
