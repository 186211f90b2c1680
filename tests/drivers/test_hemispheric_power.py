"""Measured hemispheric power: the weighted mean of passes, its limits, and the reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from da.drivers.hemispheric_power import HemisphericPower, read_hemispheric_power
from da.errors import ThermodaError

AT = np.datetime64
MINUTE = np.timedelta64(1, "m")
START = AT("2010-04-05T00:00", "ns")
GOOD = "2010-04-05 00:10:00 NOAA-15 (N)  5  10.00   1.00"


def passes(seed: int = 3, count: int = 200) -> HemisphericPower:
    rng = np.random.default_rng(seed)
    minutes = np.sort(rng.uniform(0, 24 * 60, count))
    time = START + (minutes * 60e9).astype(np.int64).astype("timedelta64[ns]")
    return HemisphericPower(time, rng.uniform(0, 80, count), rng.random(count) < 0.6)


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "power.txt"
    path.write_text("\n".join([":Data_list: power", "# comment", "", *lines]) + "\n")
    return path


def test_that_the_running_sums_equal_the_weighted_mean_pass_by_pass() -> None:
    power = passes()
    asked = START + np.arange(0, 1440, 11) * MINUTE
    for moment, found in zip(asked, power.at(asked), strict=True):
        distance_h = np.abs((power.time - moment) / np.timedelta64(1, "h"))
        weight = np.clip(1 - distance_h / 3.0, 0, None)
        halves = [np.average(power.power_gw[side], weights=weight[side]) for side in (power.northern, ~power.northern)]
        # Running sums of 200 values below 80 times distances below 8 half windows lose at most 1e-11.
        assert found == pytest.approx(sum(halves) / 2, abs=1e-9)


def test_that_the_hemispheres_count_alike_whatever_their_number_of_passes() -> None:
    time = START + np.arange(0, 60, 10) * MINUTE
    northern = np.array([True, True, True, True, True, False])
    power = HemisphericPower(time, np.where(northern, 10.0, 30.0), northern)
    assert power.at(START + 25 * MINUTE)[0] == pytest.approx(20.0)
    assert power.hemisphere_at(START, northern=True)[0] == pytest.approx(10.0)
    assert power.hemisphere_at(START, northern=False)[0] == pytest.approx(30.0)


def test_that_power_is_continuous_in_time() -> None:
    asked = START + 180 * MINUTE + np.arange(10800) * np.timedelta64(6, "s")
    steps = np.abs(np.diff(passes().at(asked)))
    # Each weight changes by 6 s / 3 h; the weights of a full window average 1/2, so that the mean of powers within
    # 0 and 80 GW moves by at most 80 * 2 * 6 s / 3 h = 0.09 GW. A pass that entered abruptly would make about 1 GW.
    assert steps.max() < 80 * 2 * 6 / 10800


def test_that_a_hemisphere_without_passes_is_named() -> None:
    power = HemisphericPower(START + np.arange(5) * MINUTE, np.ones(5), np.ones(5, dtype=bool))
    with pytest.raises(ThermodaError, match="no southern pass within 3 h of 2010-04-05T00:00"):
        power.at(START)
    with pytest.raises(ThermodaError, match="no northern pass within 3 h"):
        power.require(START, START + 200 * MINUTE)


def test_that_unreliable_passes_are_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        GOOD,
        "2010-04-05 00:20:00 NOAA-15 (S)  5  20.00   2.00",
        "2010-04-05 00:15:00 NOAA-16 (S)  5 500.00   2.01",
        "2010-04-09 00:15:00 NOAA-16 (S)  5  70.00   1.00",
    )
    power = read_hemispheric_power([path], START, START + 60 * MINUTE)
    np.testing.assert_array_equal(power.power_gw, [10.0, 20.0])
    np.testing.assert_array_equal(power.northern, [True, False])
    every = read_hemispheric_power([path], START, START + 60 * MINUTE, max_normalizing_factor=9.0)
    np.testing.assert_array_equal(every.power_gw, [10.0, 500.0, 20.0])


@pytest.mark.parametrize(
    "bad",
    [
        GOOD[:40],
        GOOD.replace("(N)", "(E)"),
        GOOD.replace("10.00", "10.0x"),
        GOOD.replace(" 10.00", "-10.00"),
        GOOD.replace("00:10:00", "00:61:00"),
    ],
)
def test_that_a_damaged_row_is_refused_with_its_place(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path, GOOD, bad)
    with pytest.raises(ThermodaError, match="line 5: expected 'yyyy-mm-dd hh:mm:ss") as caught:
        read_hemispheric_power([path], START, START + 60 * MINUTE)
    assert str(caught.value).startswith(str(path))


def test_that_a_file_without_passes_in_the_period_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match="no usable polar pass from 2009-12-31 21:00:00"):
        read_hemispheric_power([write(tmp_path, GOOD)], AT("2010-01-01"), AT("2010-01-02"))
    with pytest.raises(ThermodaError, match="cannot be read"):
        read_hemispheric_power([tmp_path / "absent.txt"], START, START)


def test_that_inconsistent_passes_are_refused() -> None:
    time = START + np.arange(3) * MINUTE
    north = np.ones(3, dtype=bool)
    with pytest.raises(ValueError, match="one length"):
        HemisphericPower(time, np.ones(2), north)
    with pytest.raises(ValueError, match="decrease"):
        HemisphericPower(time[::-1], np.ones(3), north)
    with pytest.raises(ValueError, match="negative"):
        HemisphericPower(time, -np.ones(3), north)
    with pytest.raises(ValueError, match="half_window_h"):
        HemisphericPower(time, np.ones(3), north, half_window_h=0.0)


def test_that_the_year_2010_covers_all_of_april(data_folder: Path) -> None:
    path = data_folder / "drivers" / "noaa_hemispheric_power_2010.txt"
    power = read_hemispheric_power([path], AT("2010-04-01"), AT("2010-05-01"))
    power.require(AT("2010-04-01"), AT("2010-05-01"))
    hourly = power.at(np.arange(AT("2010-04-01T00", "h"), AT("2010-05-01T00", "h")))
    # Kp of the month peaks on the 5th from 9 to 12 UT.
    strongest = AT("2010-04-01T00", "h") + int(hourly.argmax())
    assert AT("2010-04-05T08") <= strongest <= AT("2010-04-05T12")
    assert hourly.max() > 5 * np.median(hourly)


def test_that_several_files_are_one_list_and_a_pass_in_two_of_them_is_refused(tmp_path: Path) -> None:
    first = write(tmp_path, GOOD).rename(tmp_path / "first.txt")
    second = write(tmp_path, GOOD.replace("00:10:00", "00:05:00").replace("(N)", "(S)"))
    power = read_hemispheric_power([first, second], START, START + 60 * MINUTE)
    np.testing.assert_array_equal(power.time, START + np.array([5, 10]) * MINUTE)
    np.testing.assert_array_equal(power.northern, [False, True])
    with pytest.raises(ThermodaError, match=r"first\.txt, line 4: this pass is in a file before it"):
        read_hemispheric_power([first, first], START, START + 60 * MINUTE)
    with pytest.raises(ValueError, match="at least one"):
        read_hemispheric_power([], START, START)
