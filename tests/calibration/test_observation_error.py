"""Eqs. 5 to 8 of Corbin & Kusche (2022)."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from da.calibration import ObservationError
from da.calibration.observation_error import distance_weight, geomagnetic_weight, height_factor

INFINITE = float("inf")
ZERO = np.zeros(1)


def _sigma(error: ObservationError, density: float = 1e-12, kp: float = 0.0, **where: float) -> float:
    """Standard deviation of one point: altitude_km, rad, km."""
    defaults = (("altitude_km", 250.0), ("rad", 0.0), ("km", 0.0))
    columns = [np.array([where.get(name, default)]) for name, default in defaults]
    return float(error.standard_deviation(np.array([density]), columns[0], kp, columns[1], columns[2])[0])


@pytest.mark.parametrize(
    ("altitude_km", "factor"), [(100.0, 0.048), (250.0, 0.148), (325.0, 0.198), (400.0, 0.248), (563.0, 0.298)]
)
def test_that_the_height_factor_is_the_printed_one(altitude_km: float, factor: float) -> None:
    assert height_factor(np.array([altitude_km]))[0] == pytest.approx(factor, rel=1e-12)


def test_that_the_height_factor_is_continuous_at_400_km_and_increases_everywhere() -> None:
    below, above = height_factor(np.array([np.nextafter(400.0, 0.0), 400.0]))
    assert below == pytest.approx(0.148 + 150.0 / 1500.0, abs=1e-14)
    assert above == pytest.approx(below, abs=1e-14)
    assert np.all(np.diff(height_factor(np.linspace(100.0, 700.0, 601))) > 0.0)


@pytest.mark.parametrize(
    ("thirds", "weight"), [(0, 1.0), (13, 1.0), (14, 1.0), (15, 25.0 / 26.0), (20, 20.0 / 26.0), (27, 0.5)]
)
def test_that_the_geomagnetic_weight_is_the_printed_one(thirds: int, weight: float) -> None:
    assert geomagnetic_weight(np.array([thirds / 3.0]))[0] == pytest.approx(weight, rel=1e-14)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_that_each_half_life_halves_the_weight(count: int) -> None:
    horizontal = distance_weight(np.array([0.4 * count]), ZERO, 0.4, INFINITE)
    vertical = distance_weight(ZERO, np.array([-100.0 * count]), INFINITE, 100.0)
    both = distance_weight(np.array([0.4 * count]), np.array([100.0 * count]), 0.4, 100.0)
    np.testing.assert_allclose([horizontal[0], vertical[0], both[0]], [0.5**count, 0.5**count, 0.25**count], rtol=1e-14)


def test_that_the_printed_exponentials_are_the_powers_of_two() -> None:
    rad, km = np.linspace(0.0, np.pi, 7), np.linspace(-300.0, 300.0, 7)
    printed = np.exp(-np.log(2.0) / 0.7 * rad) * np.exp(-np.log(2.0) / 150.0 * np.abs(km))
    np.testing.assert_allclose(distance_weight(rad, km, 0.7, 150.0), printed, rtol=1e-13)


def test_that_an_infinite_half_life_means_no_dependence_on_that_distance() -> None:
    error = ObservationError(4.0, INFINITE, INFINITE)
    assert _sigma(error, rad=np.pi, km=-400.0) == _sigma(error)


def test_that_the_standard_deviation_is_the_product_of_its_factors() -> None:
    error = ObservationError(4.0, 0.5, 100.0)
    got = _sigma(error, density=3e-12, kp=9.0, altitude_km=400.0, rad=0.5, km=-100.0)
    assert got == pytest.approx(0.248 * 3e-12 / 0.5 / 0.25 / 4.0, rel=1e-12)


def test_that_trust_falls_with_height_activity_and_distance_and_grows_with_p0() -> None:
    error = ObservationError(1.0, 0.5, 100.0)
    start = _sigma(error)
    assert _sigma(error, altitude_km=260.0) > start
    assert _sigma(error, kp=5.0) > start == _sigma(error, kp=4.0)
    assert _sigma(error, rad=0.1) > start
    assert _sigma(error, km=10.0) == _sigma(error, km=-10.0) > start
    assert _sigma(ObservationError(2.0, 0.5, 100.0)) == pytest.approx(0.5 * start)
    assert _sigma(error, density=2e-12) == pytest.approx(2.0 * start)


@pytest.mark.parametrize("name", [field.name for field in fields(ObservationError)])
@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan])
def test_that_parameters_that_are_not_positive_are_refused(name: str, wrong: float) -> None:
    settings = {"weight_p0": 1.0, "half_life_horizontal_rad": 1.0, "half_life_vertical_km": 100.0}
    with pytest.raises(ValueError, match="must be positive"):
        ObservationError(**(settings | {name: wrong}))
