from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from da.drivers import ApInterpolation, Drivers, load_drivers
from da.errors import ThermodaError
from da.twin.dipole import Dipole
from da.twin.storm_dynamics import StormLayer
from da.twin.storm_response import StormResponse, kp_to_ap

Build = Callable[..., Drivers]
HOUR = np.timedelta64(3600 * 10**9, "ns")
FIRST_DAY = np.datetime64("2010-04-01", "ns")
STORM_INTERVAL = 24
STORM_BEGIN = FIRST_DAY + 3 * STORM_INTERVAL * HOUR
STORMY = dict.fromkeys(range(STORM_INTERVAL, STORM_INTERVAL + 4), 20)


def storm(drivers: Drivers, **changes: object) -> StormResponse:
    values = {
        "layer": StormLayer(),
        "response": 0.8,
        "quiet_ap": 15.0,
        "saturation_ap": 300.0,
        "base_altitude_km": 70.0,
        "reference_altitude_km": 400.0,
        "descent_time_h": 4.0,
    }
    return StormResponse(drivers, **(values | changes))  # type: ignore[arg-type]


def at(response: StormResponse, hours: list[float], latitude: float, altitude_km: float = 400.0) -> np.ndarray:
    """Return zonal means hours after the storm's begin."""
    longitude = np.arange(0.0, 360.0, 30.0)
    time = STORM_BEGIN + np.repeat(np.array(hours) * 3600, 12).astype("timedelta64[s]")
    n = time.size
    values = response.evaluate(time, np.full(n, latitude), np.tile(longitude, len(hours)), np.full(n, altitude_km))
    return values.reshape(-1, 12).mean(axis=1)


@pytest.fixture(scope="module")
def response(drivers_of: Build) -> StormResponse:
    """The response to half a day of Kp 7 in calm days."""
    return storm(drivers_of(STORMY, days=7))


def test_that_lasting_activity_gives_the_stated_global_mean_without_saturation_and_overcooling(
    drivers_of: Build,
) -> None:
    layer = StormLayer(overcooling=0.0, cooling_time_h=6.0)
    steady = storm(drivers_of({}, elsewhere=18, days=5), layer=layer, saturation_ap=1e12)
    # Nineteen cooling times: 6e-9 is missing.
    late = steady.global_mean(np.array([FIRST_DAY + 5 * 24 * HOUR - 6 * HOUR]))[0]
    assert late == pytest.approx(0.8 * (kp_to_ap(np.array(6.0)) - 15.0) / 100.0, rel=1e-6)


def test_that_the_heating_saturates_to_half_at_the_stated_ap(drivers_of: Build) -> None:
    linear, saturating = (storm(drivers_of({}), saturation_ap=ap, quiet_ap=0.0) for ap in (1e12, 80.0))
    kp = np.array([6.0])
    assert kp_to_ap(kp)[0] == 80.0
    np.testing.assert_allclose(saturating.heating(kp), 0.5 * linear.heating(kp), rtol=1e-9)


def test_that_there_is_no_response_in_quiet_times(drivers_of: Build) -> None:
    assert np.all(at(storm(drivers_of({}, elsewhere=6, days=5)), [0.0, 30.0], 70.0) == 0.0)


@pytest.mark.parametrize("interpolation", list(ApInterpolation))
def test_that_the_response_depends_only_on_the_past(drivers_of: Build, interpolation: ApInterpolation) -> None:
    calm = storm(drivers_of({10: 18}, interpolation=interpolation, days=5))
    stormy = storm(drivers_of({10: 18} | STORMY, interpolation=interpolation, days=5))
    before, after = [-20.0, -1.0, 0.0], [6.0, 12.0]
    np.testing.assert_array_equal(at(calm, before, 60.0), at(stormy, before, 60.0))
    assert np.all(at(stormy, after, 60.0) > at(calm, after, 60.0) + 0.05)


def test_that_the_storm_reaches_the_equator_two_to_four_hours_after_the_ovals(response: StormResponse) -> None:
    hours = list(np.arange(0.0, 12.0, 0.25))

    def onset(latitude: float) -> float:
        values = 0.5 * (at(response, hours, latitude) + at(response, hours, -latitude))
        return hours[int(np.argmax(values > 0.03))]

    assert 2.0 <= onset(0.0) - onset(70.0) <= 4.0
    assert onset(70.0) < onset(45.0) < onset(0.0)


def test_that_latitudes_equalise_after_the_storm(response: StormResponse) -> None:
    during, later = (at(response, [hour], 75.0)[0] / at(response, [hour], 0.0)[0] for hour in (3.0, 24.0))
    assert during > 3.0
    assert later == pytest.approx(1.0, abs=0.1)


def test_that_hemispheres_are_alike_at_equinox_with_a_dipole_along_the_axis(drivers_of: Build) -> None:
    march = np.datetime64("2010-03-18") + np.arange(4)
    drivers = replace(drivers_of({16: 21, 17: 21}, days=4), day=march)
    response = storm(drivers, dipole=Dipole(90.0, 0.0))
    time = np.repeat(np.datetime64("2010-03-20T04:00", "ns"), 30)
    latitude, longitude = np.linspace(0.0, 90.0, 30), np.linspace(-180.0, 180.0, 30)
    north, south = (response.expansion(time, sign * latitude, longitude)[0] for sign in (1.0, -1.0))
    # The Sun is half a day from the equator's plane: 0.6 x 0.4 x 2 pi / 730.
    np.testing.assert_allclose(north, south, rtol=0.0, atol=0.005 * np.abs(north).max())
    assert north.max() > 0.05


def test_that_the_summer_hemisphere_is_heated_more(drivers_of: Build) -> None:
    june = np.datetime64("2010-06-18") + np.arange(4)
    response = storm(replace(drivers_of({16: 21, 17: 21}, days=4), day=june))
    time = np.repeat(np.datetime64("2010-06-20T02:00", "ns"), 12)
    longitude = np.arange(0.0, 360.0, 30.0)
    north, south = (response.expansion(time, np.full(12, lat), longitude)[0].mean() for lat in (65.0, -65.0))
    assert north > 1.3 * south


def test_that_height_enters_linearly_from_the_base_and_the_lower_thermosphere_lags(response: StormResponse) -> None:
    np.testing.assert_allclose(response.height_profile(np.array([50.0, 70.0, 235.0, 400.0])), [0.0, 0.0, 0.5, 1.0])
    hours = list(np.arange(0.0, 48.0, 0.5))
    low, high = at(response, hours, 65.0, 120.0), at(response, hours, 65.0, 400.0)
    assert hours[int(np.argmax(low))] > hours[int(np.argmax(high))] + 0.9
    assert low.max() > 0.01


def test_that_many_heights_at_once_are_those_one_by_one(response: StormResponse) -> None:
    time = np.repeat(STORM_BEGIN + 5 * HOUR, 4)
    latitude, longitude = np.array([0.0, 30.0, 60.0, -80.0]), np.array([0.0, 90.0, 180.0, -90.0])
    heights = np.array([120.0, 200.0, 500.0])
    together = response.evaluate(time, latitude, longitude, heights[:, None])
    for row, height in zip(together, heights, strict=True):
        np.testing.assert_allclose(row, response.evaluate(time, latitude, longitude, np.full(4, height)), rtol=1e-12)


def test_that_days_of_kp_9_stay_finite_and_bounded(drivers_of: Build) -> None:
    extreme = storm(drivers_of({}, elsewhere=27, days=7))
    means = extreme.global_mean(FIRST_DAY + np.arange(168) * HOUR)
    assert np.isfinite(means).all()
    # Less than the linear response to the saturated heating, 0.8 x 3.85 / (1 + 3.85 / 3).
    assert 0.5 < means.max() < 1.35


def test_that_the_storm_of_march_2013_adds_what_nrlmsise_00_lacks() -> None:
    # A first-principles run of that storm peaks 0.23 in global-mean ln density at 400 km above NRLMSISE-00's response.
    drivers = load_drivers(np.datetime64("2013-03-15"), np.datetime64("2013-03-20"))
    time = np.datetime64("2013-03-17", "ns") + np.arange(48) * HOUR
    assert 0.15 < storm(drivers, response=0.74).global_mean(time).max() < 0.25


def test_that_times_without_drivers_are_refused(drivers_of: Build) -> None:
    with pytest.raises(ThermodaError, match="hold the days 2010-04-01 to 2010-04-05"):
        at(storm(drivers_of({}, days=5)), [5000.0], 0.0)


@pytest.mark.parametrize("changes", [{"saturation_ap": 0.0}, {"descent_time_h": 0.0}, {"base_altitude_km": 500.0}])
def test_that_a_response_without_meaning_is_refused(drivers_of: Build, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        storm(drivers_of({}), **changes)
