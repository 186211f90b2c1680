"""High-latitude forcing of members: from Kp, from the solar wind, measured, and where one gives way to another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da.drivers import (
    Drivers,
    HemisphericPower,
    HighLatitudeForcing,
    OutsideSolarWind,
    SolarWind,
    cross_tail_potential_from_kp,
    hemispheric_power_from_kp,
    hemispheric_power_from_solar_wind,
    load_drivers,
    polar_cap_potential_kv,
)
from da.errors import ThermodaError

AT = np.datetime64
HOUR = np.timedelta64(1, "h")
MINUTE = np.timedelta64(1, "m")
START = AT("2010-04-04T00:00", "ns")
STEADY = {"by_nt": 2.0, "bz_nt": -4.0, "velocity_km_s": 450.0, "density_cm3": 5.0}


def wind(minutes: int = 4 * 1440, **changes: object) -> SolarWind:
    """Return steady minutes from START, with changed quantities."""
    values = {"bx_nt": 0.0, "temperature_k": 1e5} | STEADY | changes
    time = START + np.arange(minutes) * MINUTE
    return SolarWind(time, **{name: np.broadcast_to(value, minutes) for name, value in values.items()})


def drivers(**changes: object) -> Drivers:
    """Return twenty days from 2010-03-25 with Kp 3, driven by steady wind."""
    steady = Drivers(
        day=AT("2010-03-25", "D") + np.arange(20),
        f107_observed_sfu=np.full(20, 80.0),
        f107_81day_sfu=np.full(20, 80.0),
        kp_thirds=np.full(160, 9),
        solar_wind=wind(),
    )
    return replace(steady, **changes)  # type: ignore[arg-type]


def test_that_steady_wind_gives_the_formulas_at_every_time_and_without_offsets_one_member() -> None:
    time = START + np.arange(2, 24) * HOUR
    forcing = drivers().high_latitude(time)
    assert forcing.shape == (22, 1)
    np.testing.assert_allclose(forcing.cross_tail_potential_kv, polar_cap_potential_kv(2.0, -4.0, 450.0, 5.0))
    np.testing.assert_allclose(forcing.hemispheric_power_gw, hemispheric_power_from_solar_wind(-4.0, 450.0))
    np.testing.assert_array_equal(drivers().hemispheric_power_gw(time), forcing.hemispheric_power_gw[:, 0])
    np.testing.assert_array_equal(drivers().cross_tail_potential_kv(time), forcing.cross_tail_potential_kv[:, 0])


def test_that_offsets_of_members_enter_the_formulas_and_leave_the_other_members_alone() -> None:
    velocity, density = np.array([0.0, 45.0, -60.0]), np.array([0.0, 0.1, -0.3])
    time = START + np.arange(2, 75) * HOUR
    offsets = {"velocity_offset_km_s": velocity, "density_offset_cm3": density}
    forcing = drivers().high_latitude(time, **offsets)
    assert forcing.shape == (73, 3)
    expected = polar_cap_potential_kv(2.0, -4.0, 450.0 + velocity, 5.0 + density)
    np.testing.assert_allclose(forcing.cross_tail_potential_kv, np.tile(expected, (73, 1)))
    expected = hemispheric_power_from_solar_wind(-4.0, 450.0 + velocity)
    np.testing.assert_allclose(forcing.hemispheric_power_gw, np.tile(expected, (73, 1)))
    alone = drivers().high_latitude(time, velocity_offset_km_s=velocity[1:2], density_offset_cm3=density[1:2])
    np.testing.assert_array_equal(alone.cross_tail_potential_kv[:, 0], forcing.cross_tail_potential_kv[:, 1])


@pytest.mark.parametrize("source", [None, wind()], ids=["kp", "solar wind"])
def test_that_offsets_of_power_and_potential_are_added_and_nothing_becomes_negative(source: SolarWind | None) -> None:
    driven = drivers(solar_wind=source)
    time = START + np.arange(2, 5) * HOUR
    forcing = driven.high_latitude(
        time, power_offset_gw=np.array([5.0, -999.0]), potential_offset_kv=np.array([8.0, -999.0])
    )
    np.testing.assert_allclose(forcing.hemispheric_power_gw[:, 0], driven.hemispheric_power_gw(time) + 5.0)
    np.testing.assert_allclose(forcing.cross_tail_potential_kv[:, 0], driven.cross_tail_potential_kv(time) + 8.0)
    assert not forcing.hemispheric_power_gw[:, 1].any()
    assert not forcing.cross_tail_potential_kv[:, 1].any()


def test_that_a_southward_turn_acts_after_10_minutes_and_wholly_after_50() -> None:
    minutes = np.arange(4 * 1440)
    turned = drivers(solar_wind=wind(by_nt=0.0, bz_nt=np.where(minutes < 600, 5.0, -5.0)))
    potential = turned.cross_tail_potential_kv(START + (600 + np.array([-60, 9, 30, 50, 60])) * MINUTE)
    assert potential[0] == potential[1] == polar_cap_potential_kv(0.0, 5.0, 450.0, 5.0)
    assert potential[1] < potential[2] < potential[3]
    np.testing.assert_allclose(potential[3:], polar_cap_potential_kv(0.0, -5.0, 450.0, 5.0))


def test_that_nothing_of_the_future_enters() -> None:
    until = START + 600 * MINUTE
    changed = np.where(np.arange(4 * 1440) > 600, 99.0, -4.0)
    np.testing.assert_array_equal(
        drivers(solar_wind=wind(bz_nt=changed)).hemispheric_power_gw(until), drivers().hemispheric_power_gw(until)
    )


def test_that_measured_power_is_preferred_to_both_sources_and_the_potential_is_not_touched() -> None:
    passes = START - 72 * HOUR + np.arange(170) * HOUR
    measured = HemisphericPower(passes, np.full(170, 42.0), np.arange(170) % 2 == 0)
    time = START + np.arange(2, 9) * HOUR
    for source in (None, wind()):
        driven = drivers(solar_wind=source, hemispheric_power=measured)
        forcing = driven.high_latitude(time, power_offset_gw=np.array([0.0, 3.0]))
        np.testing.assert_allclose(forcing.hemispheric_power_gw, [[42.0, 45.0]] * 7)
        np.testing.assert_allclose(driven.hemispheric_power_gw(time), 42.0)
        expected = replace(driven, hemispheric_power=None).cross_tail_potential_kv(time)
        np.testing.assert_array_equal(driven.cross_tail_potential_kv(time), expected)


def test_that_kp_stands_in_before_and_after_the_wind_only_where_declared() -> None:
    declared = drivers(outside_solar_wind=OutsideSolarWind.KP)
    time = START + np.array([-24, 0, 1, 95, 97]) * HOUR
    potential = declared.high_latitude(time, velocity_offset_km_s=np.array([0.0, 45.0])).cross_tail_potential_kv
    by_wind = polar_cap_potential_kv(2.0, -4.0, np.array([450.0, 495.0]), 5.0)
    by_kp = np.full(2, cross_tail_potential_from_kp(3.0))
    np.testing.assert_allclose(potential, [by_kp, by_kp, by_wind, by_wind, by_kp])
    np.testing.assert_allclose(declared.hemispheric_power_gw(time)[0], hemispheric_power_from_kp(3.0))
    with pytest.raises(ThermodaError, match="is known from 2010-04-04T00:00.*outside_solar_wind: kp"):
        drivers().high_latitude(time)
    assert "Kp before and after" in declared.high_latitude_description()["cross_tail_potential"]
    assert "Kp" not in drivers().high_latitude_description()["hemispheric_power"]


def test_that_times_all_outside_the_wind_follow_kp() -> None:
    declared = drivers(outside_solar_wind=OutsideSolarWind.KP)
    forcing = declared.high_latitude(START - 5 * HOUR, density_offset_cm3=np.array([0.0, 1.0]))
    np.testing.assert_allclose(forcing.hemispheric_power_gw, np.full((1, 2), hemispheric_power_from_kp(3.0)))


def test_that_a_gap_between_measurements_is_refused_even_where_kp_stands_in_outside() -> None:
    density = np.full(4 * 1440, 5.0)
    density[600:800] = np.nan
    gap = drivers(solar_wind=wind(density_cm3=density), outside_solar_wind=OutsideSolarWind.KP)
    message = "density_cm3 has a gap of 201 min from 2010-04-04T09:59 to 2010-04-04T13:20.*max_gap_min: 60"
    with pytest.raises(ThermodaError, match=message):
        gap.high_latitude(START + 700 * MINUTE)
    with pytest.raises(ThermodaError, match=message):
        gap.require(START + 24 * HOUR, START + 48 * HOUR)
    filled = replace(gap, solar_wind=replace(wind(density_cm3=density), max_gap_min=240.0))
    filled.require(START, START + 48 * HOUR)


def test_that_quantities_that_no_formula_takes_may_be_absent() -> None:
    blank = drivers(solar_wind=wind(bx_nt=np.nan, temperature_k=np.nan))
    assert blank.cross_tail_potential_kv(START + 80 * HOUR).size == 1
    blank.require(START + 80 * HOUR, START + 81 * HOUR)


def test_that_the_72_hours_before_must_be_covered_too() -> None:
    enough = START + 72 * HOUR + 50 * MINUTE
    drivers().require(enough, enough + HOUR)
    drivers().require(enough - 60 * MINUTE, enough)
    with pytest.raises(ThermodaError, match="2010-04-03T22:59 to"):
        drivers().require(enough - 61 * MINUTE, enough)
    drivers(outside_solar_wind=OutsideSolarWind.KP).require(START - 10 * HOUR, enough)


def test_that_wind_of_another_time_is_refused_where_kp_would_do_all_the_work() -> None:
    with pytest.raises(ThermodaError, match="none of which is within.*high_latitude_source: kp"):
        drivers(outside_solar_wind=OutsideSolarWind.KP).require(START - 20 * HOUR, START - 10 * HOUR)


def test_that_offsets_of_the_wind_are_refused_where_kp_drives() -> None:
    with pytest.raises(ValueError, match="follow Kp"):
        drivers(solar_wind=None).high_latitude(START, density_offset_cm3=np.array([0.1]))
    assert drivers(solar_wind=None).high_latitude(START, density_offset_cm3=np.zeros(3)).shape == (1, 1)


def test_that_forcings_of_two_sources_merge_in_order() -> None:
    wide = HighLatitudeForcing(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    narrow = HighLatitudeForcing(np.array([[5.0], [6.0]]), np.array([[7.0], [8.0]]))
    merged = wide.merged(narrow, np.array([False, True, False]))
    np.testing.assert_array_equal(merged.hemispheric_power_gw, [[5, 5], [1, 2], [6, 6]])
    np.testing.assert_array_equal(merged.cross_tail_potential_kv, [[7, 7], [3, 4], [8, 8]])


def test_that_trimming_while_loading_changes_no_forcing_of_the_run(data_folder: Path) -> None:
    files = [data_folder / "drivers" / "omni_imf_20100401_20100430.dat"]
    start, stop = AT("2010-04-05T00:00"), AT("2010-04-06T00:00")
    settings = {"solar_wind_files": files, "max_gap_min": 240.0}
    short, long = load_drivers(start, stop, **settings), load_drivers(start, AT("2010-04-20"), **settings)
    assert short.solar_wind is not None
    assert long.solar_wind is not None
    assert short.solar_wind.time.size < long.solar_wind.time.size / 3
    time = np.arange(start - 72 * HOUR, stop, HOUR)
    np.testing.assert_allclose(short.cross_tail_potential_kv(time), long.cross_tail_potential_kv(time), rtol=1e-12)
    with pytest.raises(ThermodaError, match="OMNI solar wind.*2010-04-01T00:00 to .*; 2010-03-31T11:10"):
        load_drivers(AT("2010-04-03T12:00"), stop, **settings | {"max_gap_min": 45.0})


def test_that_both_sources_agree_on_april_2010_as_documented(data_folder: Path) -> None:
    files = [data_folder / "drivers" / "omni_imf_20100401_20100430.dat"]
    first, last = AT("2010-04-04T00:00"), AT("2010-04-29T23:00")
    driven = load_drivers(
        first, last, solar_wind_files=files, max_gap_min=240.0, outside_solar_wind=OutsideSolarWind.KP
    )
    by_kp = replace(driven, solar_wind=None)
    time = np.arange(AT("2010-04-01T01:00", "ns"), AT("2010-04-30T00:00"), HOUR)
    for name, mean, correlation, peak in (
        ("cross_tail_potential_kv", (48.9, 45.2), 0.745, (150.6, 168.0)),
        ("hemispheric_power_gw", (31.4, 28.2), 0.769, (116.4, 177.6)),
    ):
        own, kp = getattr(driven, name)(time), getattr(by_kp, name)(time)
        assert (own.mean(), kp.mean()) == pytest.approx(mean, abs=0.1)
        assert np.corrcoef(own, kp)[0, 1] == pytest.approx(correlation, abs=0.002)
        assert (own.max(), kp.max()) == pytest.approx(peak, abs=0.1)
        assert {str(time[one.argmax()])[:10] for one in (own, kp)} == {"2010-04-05"}
