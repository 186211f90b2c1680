from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from da.constants import EARTH_RADIUS
from da.drivers import Drivers
from da.twin.dipole import Dipole
from da.twin.disturbances import TravellingDisturbance, TravellingDisturbances

Build = Callable[..., Drivers]
LAUNCH = np.datetime64("2010-04-05T06:00:00", "ns")
MINUTE = np.timedelta64(60 * 10**9, "ns")


def disturbances(drivers: Drivers, seed: int = 1, **changes: object) -> TravellingDisturbances:
    made = TravellingDisturbances(
        drivers, seed, 24.0, 0.15, (600.0, 800.0), 3.0, 900.0, 150.0, 15.0, 400.0, Dipole(90.0, 0.0)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def single(drivers: Drivers, **changes: object) -> TravellingDisturbances:
    """One disturbance, from the north alone, at magnetic longitude 0 with 700 m/s."""
    made = disturbances(drivers, **changes)
    for day in range(14690, 14715):
        made._kept[day] = ()
    one = TravellingDisturbance(LAUNCH, 0.2, 0.0, 700.0, 68.0, 0.0)
    made._kept[int(LAUNCH.astype("datetime64[D]").astype(int))] = (one,)
    return made


def crest(made: TravellingDisturbances, minutes: int, altitude_km: float = 400.0) -> float:
    latitude = np.arange(-60.0, 80.0, 0.1)
    n = latitude.size
    wave = made.evaluate(np.repeat(LAUNCH + minutes * MINUTE, n), latitude, np.zeros(n), np.full(n, altitude_km))
    return float(latitude[np.argmax(wave)])


def test_that_a_crest_leaves_the_oval_and_travels_equatorward_at_its_speed(drivers_of: Build) -> None:
    made = single(drivers_of({}))
    for minutes in (60, 180):
        # At most one step of latitude, and the damping's pull on the crest.
        travelled = np.degrees(700.0 * 60.0 * minutes / EARTH_RADIUS)
        assert crest(made, minutes) == pytest.approx(68.0 - travelled, abs=0.5)


def test_that_greater_heights_are_reached_first_by_the_vertical_phase_speed(drivers_of: Build) -> None:
    made = single(drivers_of({}))
    ahead_deg = crest(made, 120, 250.0) - crest(made, 120, 400.0)
    assert ahead_deg == pytest.approx(np.degrees(700.0 * (150e3 / 150.0) / EARTH_RADIUS), abs=0.3)


def test_that_a_disturbance_fades_with_its_damping_time_and_is_gone_after_its_lifetime(drivers_of: Build) -> None:
    made = single(drivers_of({}))
    heights = []
    for minutes in (60, 240):
        place = np.array([crest(made, minutes)])
        time = np.array([LAUNCH + minutes * MINUTE])
        heights.append(made.evaluate(time, place, np.zeros(1), np.full(1, 400.0))[0])
    assert heights[1] / heights[0] == pytest.approx(np.exp(-1.0), rel=0.03)
    late = np.repeat(LAUNCH + 60 * 24 * MINUTE, 100)
    assert np.all(made.evaluate(late, np.linspace(-80, 80, 100), np.zeros(100), np.full(100, 400.0)) == 0.0)


def test_that_a_disturbance_is_strongest_in_its_sector_and_absent_at_the_pole(drivers_of: Build) -> None:
    made = single(drivers_of({}))
    time, height = np.repeat(LAUNCH + 30 * MINUTE, 3), np.full(3, 400.0)
    wave = made.evaluate(time, np.full(3, crest(made, 30)), np.array([0.0, 60.0, 180.0]), height)
    assert wave[0] > 1.4 * wave[1] > 0.0
    assert wave[2] < 0.2 * wave[0]
    pole = made.evaluate(np.array([LAUNCH]), np.array([90.0]), np.zeros(1), np.full(1, 400.0))
    assert abs(pole[0]) < 0.004


def test_that_the_number_follows_the_activity(drivers_of: Build) -> None:
    first, last = np.datetime64("2010-04-01", "ns"), np.datetime64("2010-04-21", "ns")
    counts = {}
    for thirds in (3, 21):
        made = disturbances(drivers_of({}, elsewhere=thirds))
        counts[thirds] = len(made.between(first, last))
    # Twenty days of 24 x 0.25, and of 24 x (0.25 + 1.17 / 2.17), within four standard deviations of Poisson's law.
    assert counts[3] == pytest.approx(120.0, abs=4 * np.sqrt(120.0))
    assert counts[21] == pytest.approx(378.0, abs=4 * np.sqrt(378.0))


def test_that_what_is_drawn_depends_on_seed_and_day_but_not_on_the_period_asked_for(drivers_of: Build) -> None:
    drivers = drivers_of({}, elsewhere=12)
    day, next_day = np.datetime64("2010-04-07", "ns"), np.datetime64("2010-04-08", "ns")
    alone = disturbances(drivers).between(day, next_day)
    within = disturbances(drivers).between(np.datetime64("2010-04-02", "ns"), np.datetime64("2010-04-12", "ns"))
    assert alone
    assert alone == tuple(one for one in within if day <= one.launch < next_day)
    later = replace(
        drivers,
        day=drivers.day[3:],
        f107_observed_sfu=drivers.f107_observed_sfu[3:],
        f107_81day_sfu=drivers.f107_81day_sfu[3:],
        kp_thirds=drivers.kp_thirds[24:],
    )
    assert disturbances(later).between(day, next_day) == alone
    assert disturbances(drivers, seed=2).between(day, next_day) != alone
    assert all(600.0 <= one.speed_m_s <= 800.0 for one in within)


@pytest.mark.parametrize("changes", [{"amplitude": 0.0}, {"rate_per_day": 0.0}])
def test_that_zero_switches_the_term_off(drivers_of: Build, changes: dict[str, object]) -> None:
    made = disturbances(drivers_of({}, elsewhere=20), **changes)
    time = LAUNCH + np.arange(100) * MINUTE
    assert np.all(made.evaluate(time, np.linspace(-90, 90, 100), np.zeros(100), np.full(100, 400.0)) == 0.0)
