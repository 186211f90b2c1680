"""The Drivers object: look-ups on real and made-up days, its edges, and what load_drivers refuses."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da.drivers import (
    AP_OF_KP_THIRDS,
    ApInterpolation,
    Drivers,
    HemisphericPower,
    cross_tail_potential_from_kp,
    hemispheric_power_from_kp,
    load_drivers,
    read_space_weather_table,
    shipped_tables,
)
from da.drivers.loading import needed_days
from da.errors import ThermodaError

AT = np.datetime64
HOUR = np.timedelta64(1, "h")
MINUTE = np.timedelta64(1, "m")
NANOSECOND = np.timedelta64(1, "ns")
APRIL, MAY = AT("2010-04-01T00:00"), AT("2010-05-01T00:00")
MODES = list(ApInterpolation)


@pytest.fixture(scope="module", params=MODES)
def april(request: pytest.FixtureRequest) -> Drivers:
    """April 2010 from the shipped table, once per mode."""
    return load_drivers(APRIL, MAY, ap_interpolation=request.param)


def synthetic(days: int = 10, mode: ApInterpolation = ApInterpolation.MIDPOINTS, **changes: object) -> Drivers:
    """Ten days from 2010-04-01 with Kp thirds 0, 1, 2, ... modulo 28 and F10.7 of 100, 101, ... sfu."""
    drivers = Drivers(
        day=AT("2010-04-01", "D") + np.arange(days),
        f107_observed_sfu=100.0 + np.arange(days),
        f107_81day_sfu=200.0 + np.arange(days),
        kp_thirds=np.arange(8 * days) % 28,
        ap_interpolation=mode,
    )
    return replace(drivers, **changes)  # type: ignore[arg-type]


def newest_observed_day() -> np.datetime64:
    """Return the last observed day of the shipped tables, whatever their version."""
    tables = [read_space_weather_table(path, AT("2020-01-01"), AT("2020-01-02")) for path in shipped_tables()]
    return max(table.last_observed_day for table in tables)


def naive_ap(drivers: Drivers, time: np.datetime64) -> float:
    """Return ap at one time by the definition, interval by interval."""
    ap = [float(AP_OF_KP_THIRDS[third]) for third in drivers.kp_thirds]
    hours = (time - drivers.day[0].astype("datetime64[ns]")) / HOUR
    if drivers.ap_interpolation is ApInterpolation.STEPPED:
        return ap[int(hours // 3)]
    midpoints = [3.0 * i + 1.5 for i in range(len(ap))]
    after = next(i for i, midpoint in enumerate(midpoints) if midpoint >= hours)
    if midpoints[after] == hours:
        return ap[after]
    part = (hours - midpoints[after - 1]) / 3.0
    return (1 - part) * ap[after - 1] + part * ap[after]


def naive_history(drivers: Drivers, time: np.datetime64) -> list[float]:
    """Return the seven values at one time, as the documentation of NRLMSIS words them."""
    first = int((time.astype("datetime64[D]") - drivers.day[0]) / np.timedelta64(1, "D")) * 8
    daily = sum(float(AP_OF_KP_THIRDS[third]) for third in drivers.kp_thirds[first : first + 8]) / 8
    recent = [naive_ap(drivers, time - lag * HOUR) for lag in (0, 3, 6, 9)]
    middle = [naive_ap(drivers, time - lag * HOUR) for lag in range(12, 34, 3)]
    distant = [naive_ap(drivers, time - lag * HOUR) for lag in range(36, 58, 3)]
    return [daily, *recent, sum(middle) / 8, sum(distant) / 8]


def test_that_the_history_equals_a_hand_written_loop_in_april_2010(april: Drivers) -> None:
    time = np.arange(AT("2010-04-03T00:00", "ns"), AT("2010-04-08T00:00", "ns"), 67 * MINUTE)
    expected = [naive_history(april, moment) for moment in time]
    # Two sums of at most eight numbers below 400 in another order.
    np.testing.assert_allclose(april.ap_history(time), expected, rtol=1e-12)


def test_that_the_largest_kp_of_april_2010_is_7_and_two_thirds_on_the_5th(april: Drivers) -> None:
    time = APRIL + np.arange(30 * 24 * 2) * 30 * MINUTE
    kp = april.kp(time)
    highest = time[kp == kp.max()]
    assert kp.max() == 23 / 3
    assert highest.min() == AT("2010-04-05T09:00")
    assert highest.max() == AT("2010-04-05T11:30")


def test_that_f107_is_that_of_the_day_before_and_changes_at_midnight() -> None:
    drivers = synthetic()
    midnight = AT("2010-04-05T00:00", "ns")
    around = np.array([midnight - NANOSECOND, midnight, midnight + 23 * HOUR])
    np.testing.assert_array_equal(drivers.f107_previous_day(around), [102.0, 103.0, 103.0])
    np.testing.assert_array_equal(drivers.f107_81day(around), [203.0, 204.0, 204.0])


def test_that_observed_not_adjusted_f107_is_taken() -> None:
    drivers = load_drivers(APRIL, MAY)
    assert drivers.f107_previous_day(AT("2010-04-05T12:00"))[0] == 78.7
    assert drivers.f107_81day(AT("2010-04-05T12:00"))[0] == 79.1


def test_that_interpolated_ap_is_continuous_and_stepped_ap_is_not() -> None:
    time = AT("2010-04-05T00:00", "ns") + np.arange(24 * 60) * MINUTE
    smooth, stepped = (load_drivers(APRIL, MAY, ap_interpolation=mode) for mode in MODES)
    # From 67 to 154 in 3 h would be 0.5 a minute; no jump between neighbours of the table exceeds 400 in 180 min.
    assert np.abs(np.diff(smooth.ap(time))).max() < 400 / 180
    assert np.abs(np.diff(stepped.ap(time))).max() > 50


def test_that_interpolation_keeps_the_mean_of_ap() -> None:
    smooth, stepped = (load_drivers(APRIL, MAY, ap_interpolation=mode) for mode in MODES)
    # At the middles of minutes the trapezoids sum exactly: only the half intervals at both ends can differ.
    time = APRIL + np.arange(30 * 24 * 60) * MINUTE + 30 * np.timedelta64(1, "s")
    ends = 400 * 1.5 / (30 * 24)
    assert smooth.ap(time).mean() == pytest.approx(stepped.ap(time).mean(), abs=ends)
    assert stepped.ap(time).mean() == pytest.approx(stepped.ap_history(time)[:, 0].mean(), rel=1e-12)


def test_that_offset_zero_is_the_table_and_large_offsets_reach_the_ends_of_the_scale(april: Drivers) -> None:
    time = APRIL + 90 * MINUTE + np.arange(200) * 3 * HOUR
    exact = AP_OF_KP_THIRDS[np.rint(3 * april.kp(time)).astype(int)]
    np.testing.assert_array_equal(april.ap(time), exact)
    np.testing.assert_array_equal(april.ap(time, kp_offset=9.0), 400.0)
    np.testing.assert_array_equal(april.ap_history(time, kp_offset=-9.0), 0.0)


def test_that_an_offset_of_one_third_moves_one_row_up_the_table() -> None:
    drivers = synthetic(mode=ApInterpolation.STEPPED)
    time = AT("2010-04-01T00:00") + np.arange(27) * 3 * HOUR
    np.testing.assert_allclose(drivers.ap(time, kp_offset=1 / 3), AP_OF_KP_THIRDS[1:], rtol=1e-13)


def test_that_forcing_without_measurements_follows_kp(april: Drivers) -> None:
    time = AT("2010-04-05T01:30") + np.arange(8) * 3 * HOUR
    np.testing.assert_allclose(april.hemispheric_power_gw(time), hemispheric_power_from_kp(april.kp(time)))
    np.testing.assert_allclose(april.cross_tail_potential_kv(time), cross_tail_potential_from_kp(april.kp(time)))


def test_that_measured_power_is_preferred_to_kp() -> None:
    passes = APRIL.astype("datetime64[ns]") + np.arange(240) * HOUR
    measured = HemisphericPower(passes, np.full(240, 42.0), np.arange(240) % 2 == 0)
    drivers = synthetic(hemispheric_power=measured)
    np.testing.assert_allclose(drivers.hemispheric_power_gw(APRIL + 77 * HOUR), 42.0)


def test_that_a_scalar_time_gives_one_value() -> None:
    drivers = synthetic()
    assert drivers.ap_history(AT("2010-04-05T12:00")).shape == (1, 7)
    assert drivers.kp(AT("2010-04-05")).shape == (1,)


def test_that_a_time_that_is_no_date_is_refused() -> None:
    with pytest.raises(TypeError, match="datetime64"):
        synthetic().kp(1.0)
    with pytest.raises(ThermodaError):
        synthetic().kp(AT("NaT"))


@pytest.mark.parametrize(("mode", "shift"), [(ApInterpolation.STEPPED, 0), (ApInterpolation.MIDPOINTS, 90)])
def test_that_the_history_begins_57_hours_in_and_ends_with_the_table(mode: ApInterpolation, shift: int) -> None:
    drivers = synthetic(mode=mode)
    first = APRIL.astype("datetime64[ns]") + 57 * HOUR + shift * MINUTE
    last = AT("2010-04-11T00:00", "ns") - (shift * MINUTE if shift else NANOSECOND)
    drivers.require(first, last)
    assert np.isfinite(drivers.ap_history([first, last])).all()
    for outside in (first - NANOSECOND, last + NANOSECOND):
        with pytest.raises(ThermodaError, match="holds the days 2010-04-01 to 2010-04-10"):
            drivers.ap_history(outside)
        with pytest.raises(ThermodaError, match="ap and its history over 57 h"):
            drivers.require(min(outside, first), max(outside, first))


def test_that_f107_of_a_day_before_the_table_is_refused_by_name() -> None:
    with pytest.raises(ThermodaError, match="F10.7 of 2010-03-31 is needed"):
        synthetic().f107_previous_day(AT("2010-04-01T05:00"))
    with pytest.raises(ThermodaError, match="F10.7 of 2010-04-11 is needed"):
        synthetic().f107_81day(AT("2010-04-11T00:00"))


@pytest.mark.parametrize("mode", MODES)
def test_that_exactly_the_needed_days_suffice(mode: ApInterpolation) -> None:
    for minutes in range(0, 2 * 1440, 45):
        start = AT("2010-04-05T00:00", "ns") + minutes * MINUTE
        first, last = needed_days(start, start, mode)
        days = int((last - first).astype(int)) + 1
        enough = replace(synthetic(days, mode), day=first + np.arange(days))
        enough.require(start, start)
        assert enough.f107_previous_day(start).size == 1
        assert enough.f107_81day(start).size == 1
        for short in (first + np.arange(1, days), first + np.arange(days - 1)):
            with pytest.raises(ThermodaError):
                replace(synthetic(days - 1, mode), day=short).require(start, start)


def test_that_inputs_are_not_changed_and_the_margin_is_kept() -> None:
    drivers = load_drivers(AT("2010-04-05"), AT("2010-04-06"))
    assert drivers.day[0] == AT("2010-03-30")
    assert drivers.day[-1] == AT("2010-04-09")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"day": AT("2010-04-01", "D") + 2 * np.arange(10)}, "consecutive"),
        ({"f107_81day_sfu": np.ones(9)}, "must have 10 values"),
        ({"f107_observed_sfu": np.full(10, np.nan)}, "finite and positive"),
        ({"kp_thirds": np.full(80, 28)}, "within 0 and 27"),
        ({"kp_thirds": np.full(80, 3.0)}, "80 integers"),
    ],
)
def test_that_inconsistent_drivers_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic(**changes)


def test_that_predicted_days_are_refused_by_name_unless_allowed(write_csv: Callable[..., Path]) -> None:
    table = write_csv(predicted_from=6)
    start, stop = AT("2010-04-05"), AT("2010-04-08T12:00")
    load_drivers(start, AT("2010-04-06T22:30"), table=table)
    with pytest.raises(ThermodaError, match="2010-04-07 is predicted.*last observed day of the table is 2010-04-06"):
        load_drivers(start, stop, table=table)
    allowed = load_drivers(start, stop, table=table, allow_predicted=True)
    assert allowed.day[-1] == AT("2010-04-10")
    assert "predicted after 2010-04-06" in allowed.source


def test_that_the_margin_never_holds_predictions_that_were_not_allowed(write_csv: Callable[..., Path]) -> None:
    drivers = load_drivers(AT("2010-04-05"), AT("2010-04-05T12:00"), table=write_csv(predicted_from=6))
    assert drivers.day[-1] == AT("2010-04-06")


def test_that_means_with_predictions_in_them_are_declared() -> None:
    assert "contain predicted" not in load_drivers(APRIL, MAY).source
    last = newest_observed_day()
    recent = load_drivers(last - 30, last - 20)
    assert recent.source.endswith(f"81-day means from {last - 39} on contain predicted F10.7")


def test_that_a_blank_matters_only_inside_the_period(write_csv: Callable[..., Path]) -> None:
    def blank_on_day_nine(lines: list[str]) -> list[str]:
        return [line.replace(",108,", ",,") for line in lines]

    table = write_csv(edit=blank_on_day_nine)
    assert load_drivers(AT("2010-04-05"), AT("2010-04-07"), table=table).day[-1] == AT("2010-04-08")
    with pytest.raises(ThermodaError, match="2010-04-09 lacks a value"):
        load_drivers(AT("2010-04-05"), AT("2010-04-09"), table=table)


def test_that_the_margin_ends_before_a_blank(write_csv: Callable[..., Path]) -> None:
    table = write_csv(edit=lambda lines: [line.replace(",101,", ",,").replace(",108,", ",,") for line in lines])
    drivers = load_drivers(AT("2010-04-06"), AT("2010-04-06T12:00"), table=table)
    assert drivers.day[0] == AT("2010-04-03")
    assert drivers.day[-1] == AT("2010-04-08")


def test_that_a_missing_day_and_the_end_of_the_table_are_named(write_csv: Callable[..., Path]) -> None:
    table = write_csv(edit=lambda lines: [line for line in lines if not line.startswith("2010-04-06")])
    with pytest.raises(ThermodaError, match="2010-04-06 is not in the table"):
        load_drivers(AT("2010-04-05"), AT("2010-04-08"), table=table)
    with pytest.raises(ThermodaError, match="2010-04-11 is not in the table; the last observed day.*2010-04-10"):
        load_drivers(AT("2010-04-10"), AT("2010-04-12"), table=table)
    with pytest.raises(ThermodaError, match="2010-03-31 is not in the table"):
        load_drivers(AT("2010-04-03T09:00"), AT("2010-04-05"), table=table)


def test_that_of_the_shipped_tables_the_one_that_has_the_period_is_taken() -> None:
    assert "SW-All.txt" in load_drivers(APRIL, MAY).source
    last = newest_observed_day()
    load_drivers(last - 30, last - 20)
    with pytest.raises(ThermodaError, match=f"{last + 1} is predicted"):
        load_drivers(last - 5, last + 5)


def test_that_loading_a_fortnight_takes_no_noticeable_time() -> None:
    begin = clock.process_time()
    load_drivers(AT("2010-04-01"), AT("2010-04-15"))
    assert clock.process_time() - begin < 1.0


def test_that_a_stop_before_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match="before start"):
        load_drivers(MAY, APRIL)
    with pytest.raises(ValueError, match="before start"):
        synthetic().require(MAY, APRIL)


def test_that_measured_power_is_read_and_required_with_its_history(data_folder: Path) -> None:
    files = [data_folder / "drivers" / "noaa_hemispheric_power_2010.txt"]
    start, stop = AT("2010-04-05T00:00"), AT("2010-04-06T00:00")
    drivers = load_drivers(start, stop, hemispheric_power_files=files)
    assert drivers.hemispheric_power_gw(start - 72 * HOUR).size == 1
    storm = drivers.hemispheric_power_gw(AT("2010-04-05T09:30"))
    assert storm > 2 * drivers.hemispheric_power_gw(AT("2010-04-05T03:00"))
    with pytest.raises(ThermodaError, match="pass within 3 h of 2009-12-30T00:00:00; give files"):
        load_drivers(AT("2010-01-02"), AT("2010-01-03"), hemispheric_power_files=files)
