from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from da.drivers import ApInterpolation, Drivers, kp_thirds_to_ap
from da.errors import ThermodaError
from da.twin.storm_response import StormResponse

Build = Callable[..., Drivers]
HOUR = np.timedelta64(3600 * 10**9, "ns")
FIRST_DAY = np.datetime64("2010-04-01", "ns")
STORM_INTERVAL = 64
STORM_BEGIN = FIRST_DAY + 3 * STORM_INTERVAL * HOUR
MIDPOINTS, STEPPED = ApInterpolation.MIDPOINTS, ApInterpolation.STEPPED


def storm(drivers: Drivers, **changes: float) -> StormResponse:
    values = {"response": 1.0, "quiet_ap": 15.0, "lag_h": 3.0, "relaxation_h": 12.0, "equator_fraction": 0.5}
    return StormResponse(drivers, **(values | changes))


def test_that_lasting_activity_gives_the_stated_response_and_latitude_pattern(drivers_of: Build) -> None:
    steady = storm(drivers_of({}, elsewhere=21), response=0.8)
    time = np.repeat(FIRST_DAY + 200 * HOUR, 3)
    lasting = (kp_thirds_to_ap(21) - 15.0) / 100.0
    expected = 0.8 * np.array([1.0, 0.5, 1.0]) * lasting / (1.0 + lasting)
    np.testing.assert_allclose(steady.evaluate(time, np.array([90.0, 0.0, -90.0])), expected, rtol=1e-12)


def test_that_there_is_no_response_in_quiet_times(drivers_of: Build) -> None:
    quiet = storm(drivers_of({}, elsewhere=6))
    time = FIRST_DAY + np.arange(100, 110) * HOUR
    assert np.all(quiet.evaluate(time, np.full(10, 70.0)) == 0.0)


@pytest.mark.parametrize("interpolation", [MIDPOINTS, STEPPED])
def test_that_the_response_depends_only_on_the_past(drivers_of: Build, interpolation: ApInterpolation) -> None:
    after = dict.fromkeys(range(STORM_INTERVAL, 160), 24)
    calm = storm(drivers_of({40: 18}, interpolation=interpolation))
    stormy = storm(drivers_of({40: 18} | after, interpolation=interpolation))
    time = STORM_BEGIN + np.arange(-72, 24) * HOUR
    before = time <= STORM_BEGIN
    latitude = np.full(time.size, 60.0)
    np.testing.assert_array_equal(calm.evaluate(time, latitude)[before], stormy.evaluate(time, latitude)[before])
    assert np.all(stormy.evaluate(time, latitude)[-12:] > calm.evaluate(time, latitude)[-12:] + 0.1)


def test_that_the_shortest_allowed_lag_is_still_causal(drivers_of: Build) -> None:
    lag_h = 1.5 + 5.0 / 60.0
    stormy = storm(drivers_of(dict.fromkeys(range(STORM_INTERVAL, 160), 27)), lag_h=lag_h)
    time = STORM_BEGIN + np.arange(-3600, 1, 7) * np.timedelta64(1, "s")
    assert np.all(stormy.activity(time) == 0.0)
    assert stormy.activity(np.array([STORM_BEGIN + HOUR]))[0] > 0.0


def test_that_the_response_waits_for_the_lag(drivers_of: Build) -> None:
    pulse = storm(drivers_of({STORM_INTERVAL: 27}, interpolation=STEPPED), lag_h=5.0)
    time = STORM_BEGIN + np.arange(20) * HOUR
    activity = pulse.activity(time)
    # Stepped ap begins at once, so that the first grid point with a response is the one at exactly the lag.
    assert np.all(activity[:5] == 0.0)
    assert np.all(activity[5:] > 0.0)


def test_that_the_response_relaxes_exponentially_after_a_storm_and_ends(drivers_of: Build) -> None:
    pulse = storm(drivers_of({STORM_INTERVAL: 27}, interpolation=STEPPED))
    activity = pulse.activity(STORM_BEGIN + np.arange(72) * HOUR)
    assert np.argmax(activity) in (5, 6)
    relaxing = activity[6:48]
    np.testing.assert_allclose(relaxing[1:] / relaxing[:-1], np.exp(-1.0 / 12.0), rtol=1e-10)
    # Lag, memory and the pulse itself: 3 + 48 + 3 h.
    assert np.all(activity[55:] == 0.0)


def test_that_the_total_response_to_a_pulse_is_its_own_integral(drivers_of: Build) -> None:
    pulse = storm(drivers_of({STORM_INTERVAL: 27}, interpolation=STEPPED))
    activity = pulse.activity(STORM_BEGIN + np.arange(12 * 72) * HOUR // 12)
    # The weights add up to one, so that the sum over all points is that of q: 36 points of (400 - 15) / 100.
    assert activity.sum() == pytest.approx(36 * 3.85, rel=1e-12)


def test_that_the_response_is_linear_in_time_between_its_grid_points(drivers_of: Build) -> None:
    stormy = storm(drivers_of({STORM_INTERVAL: 27}))
    begin = STORM_BEGIN + 4 * HOUR
    left, middle, right = stormy.activity(begin + np.array([0, 60, 300]) * np.timedelta64(10**9, "ns"))
    assert right > left > 0.0
    assert middle == pytest.approx(left + (right - left) / 5.0, rel=1e-12)


def test_that_the_response_does_not_depend_on_the_other_times_asked_for(april_2010: Drivers) -> None:
    response = storm(april_2010)
    time = np.datetime64("2010-04-05T00:00:17", "ns") + np.arange(60) * 37 * np.timedelta64(1, "m")
    together = response.activity(time)
    alone = np.array([response.activity(time[i : i + 1])[0] for i in range(60)])
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(response.activity(time[::-1]), together[::-1], rtol=1e-12)


@pytest.mark.parametrize(("interpolation", "lag_h"), [(MIDPOINTS, 1.5), (STEPPED, 0.0)])
def test_that_a_lag_that_would_see_the_future_is_refused(
    drivers_of: Build, interpolation: ApInterpolation, lag_h: float
) -> None:
    with pytest.raises(ValueError, match="lag"):
        storm(drivers_of({}, interpolation=interpolation), lag_h=lag_h)


def test_that_a_relaxation_time_of_zero_is_refused(drivers_of: Build) -> None:
    with pytest.raises(ValueError, match="relaxation"):
        storm(drivers_of({}), relaxation_h=0.0)


def test_that_drivers_without_the_needed_past_are_refused(drivers_of: Build) -> None:
    with pytest.raises(ThermodaError, match="made for a test"):
        storm(drivers_of({})).activity(np.array([FIRST_DAY + 50 * HOUR]))


def test_that_the_history_kept_for_msis_is_enough_for_the_default_response(drivers_of: Build) -> None:
    drivers = drivers_of({})
    earliest = FIRST_DAY + np.timedelta64(585 * 6, "m")
    drivers.require(earliest, earliest)
    assert storm(drivers).activity(np.array([earliest]))[0] == 0.0
