"""Hemispheric power and cross-tail potential from Kp, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.drivers.empirical import (
    cross_tail_potential_from_kp,
    hemispheric_power_from_kp,
    kp_from_cross_tail_potential,
    kp_from_hemispheric_power,
)

THIRDS = np.arange(28) / 3.0


def test_that_hemispheric_power_has_the_printed_values() -> None:
    expected = [16.82 - 4.86, 16.82 * math.exp(0.96) - 4.86, (153.13 + 300.0) / 2, 300.0]
    np.testing.assert_allclose(hemispheric_power_from_kp([0.0, 3.0, 8.0, 9.0]), expected, rtol=1e-14)


def test_that_cross_tail_potential_has_the_printed_values() -> None:
    np.testing.assert_allclose(cross_tail_potential_from_kp([0.0, 1.0, 5.0, 9.0]), [15.0, 30.8, 110.0, 214.8])


@pytest.mark.parametrize("relation", [hemispheric_power_from_kp, cross_tail_potential_from_kp])
def test_that_forcing_grows_with_every_third_of_kp(relation) -> None:
    assert np.all(np.diff(relation(THIRDS)) > 0)


@given(kp=st.floats(0, 9))
def test_that_kp_comes_back_from_hemispheric_power(kp: float) -> None:
    # The constants leave a step of 0.006 GW at Kp 7, where the slope is 51 GW per Kp: at most 2e-4 of Kp.
    tolerance = 2e-4 if 7 <= kp < 7.001 else 1e-12
    assert kp_from_hemispheric_power(hemispheric_power_from_kp(kp)) == pytest.approx(kp, abs=tolerance)


@given(kp=st.floats(0, 9))
def test_that_kp_comes_back_from_the_cross_tail_potential(kp: float) -> None:
    assert kp_from_cross_tail_potential(cross_tail_potential_from_kp(kp)) == pytest.approx(kp, abs=1e-12)


@pytest.mark.parametrize("inverse", [kp_from_hemispheric_power, kp_from_cross_tail_potential])
def test_that_forcing_beyond_the_scale_gives_its_ends(inverse) -> None:
    np.testing.assert_array_equal(inverse([0.0, 5.0, 1000.0]), [0.0, 0.0, 9.0])


@pytest.mark.parametrize("relation", [hemispheric_power_from_kp, cross_tail_potential_from_kp])
@pytest.mark.parametrize("bad", [-0.1, 9.1, np.nan])
def test_that_kp_outside_its_scale_is_refused(relation, bad: float) -> None:
    with pytest.raises(ValueError, match="within 0 and 9"):
        relation([3.0, bad])


@pytest.mark.parametrize("inverse", [kp_from_hemispheric_power, kp_from_cross_tail_potential])
@pytest.mark.parametrize("bad", [-0.1, np.nan])
def test_that_negative_forcing_is_refused(inverse, bad: float) -> None:
    with pytest.raises(ValueError, match="negative"):
        inverse([bad])
