"""Kp and ap: the table, the shift, the interpolation in time and the history."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.drivers.geomagnetic import (
    AP_OF_KP_THIRDS,
    ApInterpolation,
    ap_history,
    ap_to_kp_thirds,
    kp_thirds_to_ap,
    lagged_values,
    shifted_kp_thirds,
)

HOUR = np.timedelta64(1, "h")
DAY_ONE = np.datetime64("2010-04-01")
START = DAY_ONE.astype("datetime64[ns]")


def test_that_all_28_ap_values_come_back_as_their_own_kp() -> None:
    thirds = np.arange(28)
    np.testing.assert_array_equal(ap_to_kp_thirds(kp_thirds_to_ap(thirds)), thirds)
    np.testing.assert_array_equal(kp_thirds_to_ap(thirds), AP_OF_KP_THIRDS)


def test_that_ap_has_the_anchor_values_of_the_scale() -> None:
    whole_kp = [0, 4, 7, 15, 27, 48, 80, 132, 207, 400]
    np.testing.assert_array_equal(kp_thirds_to_ap(3 * np.arange(10)), whole_kp)


@given(offset=st.integers(-9, 9), thirds=st.integers(0, 27))
def test_that_a_shift_by_thirds_of_kp_stays_on_the_table(offset: int, thirds: int) -> None:
    shifted = kp_thirds_to_ap(shifted_kp_thirds([thirds], float(Fraction(offset, 3))))[0]
    # 3 * (k / 3) is k to within one rounding of a number below 10; the steepest slope of the table is 100 per third.
    assert shifted == pytest.approx(AP_OF_KP_THIRDS[np.clip(thirds + offset, 0, 27)], abs=100 * 1e-14)


@given(low=st.floats(-3, 3), high=st.floats(-3, 3), thirds=st.integers(0, 27))
def test_that_a_larger_offset_never_gives_a_smaller_ap(low: float, high: float, thirds: int) -> None:
    smaller, larger = sorted((low, high))
    assert kp_thirds_to_ap(shifted_kp_thirds(thirds, smaller)) <= kp_thirds_to_ap(shifted_kp_thirds(thirds, larger))


@pytest.mark.parametrize("bad", [-0.1, 27.1, np.nan])
def test_that_kp_outside_its_scale_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="within 0 and 27"):
        kp_thirds_to_ap([bad])


@pytest.mark.parametrize("bad", [1.0, 401.0, -1.0, np.nan])
def test_that_an_ap_off_the_table_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="28 values"):
        ap_to_kp_thirds([bad])


def test_that_an_infinite_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="kp_offset"):
        shifted_kp_thirds([3], np.inf)


def test_that_midpoint_interpolation_reproduces_a_linear_series() -> None:
    # Values equal to the hour of each mid-point: a linear interpolation must return the hour of any time.
    values = 1.5 + 3.0 * np.arange(80)
    time = START + np.arange(90, 14280, 7) * np.timedelta64(1, "m")
    found = lagged_values(values, START, time, ApInterpolation.MIDPOINTS, lags=1)[:, 0]
    np.testing.assert_allclose(found, (time - START) / HOUR, rtol=1e-13)


def test_that_a_step_falls_exactly_on_the_boundary() -> None:
    values = np.arange(8.0)
    nanosecond = np.timedelta64(1, "ns")
    time = START + 3 * HOUR + np.array([-1, 0, 1]) * nanosecond
    found = lagged_values(values, START, time, ApInterpolation.STEPPED, lags=1)[:, 0]
    np.testing.assert_array_equal(found, [0.0, 1.0, 1.0])


def test_that_the_last_midpoint_needs_no_following_interval_and_a_moment_later_does() -> None:
    values = np.arange(8.0)
    last = np.array([START + 22 * HOUR + 30 * np.timedelta64(1, "m")])
    assert lagged_values(values, START, last, ApInterpolation.MIDPOINTS, lags=1)[0, 0] == 7.0
    with pytest.raises(ValueError, match="outside"):
        lagged_values(values, START, last + np.timedelta64(1, "ns"), ApInterpolation.MIDPOINTS, lags=1)


@pytest.mark.parametrize("interpolation", list(ApInterpolation))
def test_that_a_constant_ap_gives_a_constant_history(interpolation: ApInterpolation) -> None:
    time = START + (60 + np.arange(0, 100, 0.7) * 60).astype("timedelta64[m]") + 60 * HOUR
    history = ap_history(np.full(80 * 8, 27.0), DAY_ONE, time, interpolation)
    np.testing.assert_allclose(history, 27.0, rtol=1e-15)


def test_that_the_history_shifts_by_one_column_in_three_hours() -> None:
    ap = kp_thirds_to_ap(np.arange(80) % 28)
    time = START + np.arange(60, 200) * HOUR
    now = ap_history(ap, DAY_ONE, time, ApInterpolation.MIDPOINTS)
    later = ap_history(ap, DAY_ONE, time + 3 * HOUR, ApInterpolation.MIDPOINTS)
    np.testing.assert_allclose(later[:, 2:5], now[:, 1:4], rtol=1e-13)
