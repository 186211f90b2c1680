from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from da.errors import ThermodaError
from da.observations import ObservationBatch, join_batches

COLUMNS = ("values", "error_standard_deviation", "latitude", "longitude", "altitude_km", "unmodelled_mass_ratio")


def batch(**changes: Any) -> ObservationBatch:
    columns = {name: np.array([1.0, 2.0, 3.0]) for name in COLUMNS}
    return ObservationBatch(
        **(columns | {"time": np.datetime64("2010-04-05T12:00", "ns"), "source": "a test"} | changes)
    )


def test_that_the_length_of_a_batch_is_its_number_of_values() -> None:
    assert len(batch()) == 3
    assert len(batch(**dict.fromkeys(COLUMNS, np.array([])))) == 0


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "values"])
def test_that_a_column_of_another_length_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} has shape \(2,\), expected \(3,\)"):
        batch(**{name: np.array([1.0, 2.0])})


def test_that_values_in_a_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        batch(values=np.ones((3, 1)))


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_that_a_value_that_is_not_finite_is_refused_with_its_place_and_source(name: str, bad: float) -> None:
    with pytest.raises(ThermodaError, match=rf"2010-04-05T12.* from a test: {name}\[1\] is {bad}"):
        batch(**{name: np.array([1.0, bad, 3.0])})


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_that_an_error_that_is_not_positive_is_refused(bad: float) -> None:
    with pytest.raises(ThermodaError, match="errors must be positive"):
        batch(error_standard_deviation=np.array([1.0, bad, 3.0]))


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_that_a_selection_and_its_complement_hold_every_observation_once(mask: list[bool]) -> None:
    whole = batch(values=np.array([4.0, 5.0, 6.0]), latitude=np.array([10.0, 20.0, 30.0]))
    keep = np.array(mask)
    parts = whole.select(keep), whole.select(~keep)
    assert sum(len(part) for part in parts) == 3
    for name in COLUMNS:
        assert_array_equal(getattr(parts[0], name), getattr(whole, name)[keep])
        assert_array_equal(getattr(parts[1], name), getattr(whole, name)[~keep])
    assert parts[0].source == whole.source
    assert parts[0].operator == whole.operator


@pytest.mark.parametrize("mask", [np.array([True, False]), np.array([0, 1, 2])])
def test_that_a_mask_that_is_no_mask_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mask of 3 booleans is needed"):
        batch().select(mask)


def test_that_an_error_factor_changes_the_errors_alone() -> None:
    whole = batch(error_standard_deviation=np.array([1.0, 2.0, 4.0]))
    for factor, expected in ((3.0, [3.0, 6.0, 12.0]), (np.array([1.0, 2.0, 0.5]), [1.0, 4.0, 2.0])):
        scaled = whole.with_error_factor(factor)
        assert_array_equal(scaled.error_standard_deviation, expected)
        assert scaled.values is whole.values
    assert_array_equal(whole.error_standard_deviation, [1.0, 2.0, 4.0])


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan, np.inf, np.array([1.0, 0.0, 1.0])])
def test_that_an_error_factor_that_is_not_positive_is_refused(factor: Any) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        batch().with_error_factor(factor)


def test_that_too_few_error_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="error factors for 3 observations"):
        batch().with_error_factor(np.array([1.0, 2.0]))


def test_that_logarithms_have_the_relative_error_of_the_density() -> None:
    density, relative = np.array([1e-13, 4e-12, 2e-8]), np.array([0.05, 0.2, 0.4])
    logarithms = batch(values=density, error_standard_deviation=relative * density).in_ln_density()
    assert_array_equal(logarithms.values, np.log(density))
    assert_allclose(logarithms.error_standard_deviation, relative, rtol=1e-15)
    assert logarithms.operator == "ln_density"
    with pytest.raises(ValueError, match="no densities"):
        logarithms.in_ln_density()


@pytest.mark.parametrize("s", [0.02, 0.05, 0.1])
def test_that_first_order_errors_of_logarithms_are_as_accurate_as_documented(s: float) -> None:
    # Normal errors of y = 1, by Gauss-Hermite quadrature; beyond the stated terms the series goes on with s^4.
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    logarithm = np.log1p(s * nodes)
    bias = weights @ logarithm
    deviation = np.sqrt(weights @ (logarithm - bias) ** 2)
    assert deviation / s == pytest.approx(1.0 + 1.25 * s**2, abs=20.0 * s**4)
    assert bias == pytest.approx(-0.5 * s**2, abs=3.0 * s**4)
    # Lognormal errors of mean one and standard deviation s.
    assert np.sqrt(np.log1p(s**2)) / s == pytest.approx(1.0 - 0.25 * s**2, abs=s**4)


@pytest.mark.parametrize("bad", [0.0, -1e-12])
def test_that_a_density_without_a_logarithm_is_refused_with_time_place_and_source(bad: float) -> None:
    wrong = batch(values=np.array([1.0, bad, 3.0]), latitude=np.array([0.0, -12.5, 0.0]))
    with pytest.raises(ThermodaError) as told:
        wrong.in_ln_density()
    message = str(told.value)
    for part in ("2010-04-05T12:00", "a test", "latitude -12.50", "longitude 2.00", "altitude 2.0 km", "positive"):
        assert part in message
    assert "\n" not in message


def test_that_joined_sources_keep_their_order_and_their_places() -> None:
    one, none, other = (
        batch(source="one"),
        batch(**dict.fromkeys(COLUMNS, np.array([])), source="none"),
        batch(values=np.array([7.0, 8.0, 9.0]), source="other"),
    )
    joined = join_batches([one, none, other])
    assert joined.sizes == (3, 0, 3)
    for part, source in zip(joined.parts, (one, none, other), strict=True):
        assert_array_equal(joined.values[part], source.values)
        assert_array_equal(joined.error_standard_deviation[part], source.error_standard_deviation)
        assert_array_equal(joined.position[part], source.position)
    assert_array_equal(other.position, np.column_stack([other.latitude, other.longitude, other.altitude_km]))


def test_that_sources_of_different_operators_are_not_joined() -> None:
    with pytest.raises(ValueError, match="one operator, not density and ln_density"):
        join_batches([batch(), batch().in_ln_density()])
    with pytest.raises(ValueError, match="no observations"):
        join_batches([])
