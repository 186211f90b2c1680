from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from da.drivers import Drivers
from da.twin.driver_errors import DriverErrors

NONE = DriverErrors(3, 0.0, 0.0, 5.0, 0.0, 0.5)


def test_that_without_errors_every_value_is_unchanged(april_2010: Drivers) -> None:
    same = NONE.applied(april_2010)
    np.testing.assert_array_equal(same.f107_observed_sfu, april_2010.f107_observed_sfu)
    np.testing.assert_array_equal(same.f107_81day_sfu, april_2010.f107_81day_sfu)
    np.testing.assert_array_equal(same.kp_thirds, april_2010.kp_thirds)


def test_that_the_constant_error_shifts_daily_and_81_day_f107(april_2010: Drivers) -> None:
    shifted = replace(NONE, f107_error_sfu=5.0).applied(april_2010)
    np.testing.assert_allclose(shifted.f107_observed_sfu - april_2010.f107_observed_sfu, 5.0)
    np.testing.assert_allclose(shifted.f107_81day_sfu - april_2010.f107_81day_sfu, 5.0)


def test_that_wandering_errors_have_the_stated_size_over_many_seeds(april_2010: Drivers) -> None:
    active = replace(april_2010, kp_thirds=np.full_like(april_2010.kp_thirds, 13))
    f107, kp = [], []
    for seed in range(150):
        made = DriverErrors(seed, 0.0, 4.0, 5.0, 0.5, 0.5).applied(active)
        f107.append(made.f107_observed_sfu - active.f107_observed_sfu)
        kp.append((made.kp_thirds - active.kp_thirds) / 3.0)
        np.testing.assert_array_equal(made.f107_81day_sfu, active.f107_81day_sfu)
    # 150 independent draws: a relative standard error of the deviation of 1 / sqrt(300) = 0.06.
    assert np.std(f107) == pytest.approx(4.0, rel=0.2)
    # Rounding to thirds adds 1/12 of a squared third: 0.51.
    assert np.std(kp) == pytest.approx(0.51, rel=0.2)


def test_that_errors_stay_within_what_indices_can_be(april_2010: Drivers) -> None:
    made = DriverErrors(0, -60.0, 30.0, 5.0, 5.0, 0.5).applied(april_2010)
    assert made.f107_observed_sfu.min() >= 60.0
    assert made.kp_thirds.min() >= 0
    assert made.kp_thirds.max() <= 27


def test_that_the_error_of_a_day_does_not_depend_on_the_days_held(april_2010: Drivers) -> None:
    errors = DriverErrors(2, 0.0, 3.0, 5.0, 0.4, 0.5)
    later = replace(
        april_2010,
        day=april_2010.day[2:],
        f107_observed_sfu=april_2010.f107_observed_sfu[2:],
        f107_81day_sfu=april_2010.f107_81day_sfu[2:],
        kp_thirds=april_2010.kp_thirds[16:],
    )
    whole, part = errors.applied(april_2010), errors.applied(later)
    np.testing.assert_array_equal(whole.kp_thirds[16:], part.kp_thirds)
    np.testing.assert_array_equal(whole.f107_observed_sfu[2:], part.f107_observed_sfu)
