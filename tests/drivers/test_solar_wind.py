"""Solar wind: gaps, fill values and damaged lines, on made-up and real minutes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from da.drivers.solar_wind import QUANTITIES, SolarWind, read_solar_wind
from da.errors import ThermodaError

AT = np.datetime64
MINUTE = np.timedelta64(1, "m")
START = AT("2010-04-01T00:00", "ns")
HEADER = ["", "made up", "", "#TIMEDELAY", "0.0", "", "#START"]


def series(minutes: np.ndarray, max_gap_min: float = 60.0) -> SolarWind:
    """Return a series in which every quantity equals its minute."""
    values = minutes.astype(float)
    return SolarWind(START + minutes * MINUTE, *([values] * 6), max_gap_min=max_gap_min)


def row(minute: int, bz: float = -3.0, vx: float = -300.0) -> str:
    return f" 2010 04 01 {minute // 60:02d} {minute % 60:02d} 00 000 1.0 2.0 {bz} {vx} 0.0 400.0 5.0 100000.0"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def _write(lines: list[str], name: str = "omni.dat") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([*HEADER, *lines]) + "\n")
        return path

    return _write


def test_that_a_bridged_gap_is_linear() -> None:
    wind = series(np.array([0, 1, 2, 62, 63]))
    asked = START + np.arange(0, 63 * 60, 17) * np.timedelta64(1, "s")
    for name in QUANTITIES:
        np.testing.assert_allclose(getattr(wind.at(asked), name), (asked - START) / MINUTE, rtol=1e-13)
    wind.require(START, START + 63 * MINUTE)


def test_that_a_longer_gap_is_refused_by_name_inside_and_tolerated_outside_the_period() -> None:
    wind = series(np.array([0, 1, 2, 63, 64]))
    message = "bx_nt has a gap of 61 min from 2010-04-01T00:02.*to 2010-04-01T01:03"
    with pytest.raises(ThermodaError, match=message):
        wind.at(START + 30 * MINUTE)
    with pytest.raises(ThermodaError, match=message):
        wind.require(START, START + 64 * MINUTE)
    with pytest.raises(ThermodaError, match=message):
        wind.require(START + 30 * MINUTE, START + 31 * MINUTE)
    wind.require(START, START + 2 * MINUTE)
    wind.require(START + 63 * MINUTE, START + 64 * MINUTE)
    np.testing.assert_array_equal(wind.at(START + np.array([2, 63]) * MINUTE).bz_nt, [2.0, 63.0])
    series(np.array([0, 1, 2, 63, 64]), max_gap_min=61).require(START, START + 64 * MINUTE)


def test_that_ends_are_held_no_longer_than_a_gap() -> None:
    wind = series(np.arange(10), max_gap_min=5)
    np.testing.assert_array_equal(wind.at(START + np.array([-5, 14]) * MINUTE).bz_nt, [0.0, 9.0])
    for outside in (-6, 15):
        with pytest.raises(ThermodaError, match="known from"):
            wind.at(START + outside * MINUTE)
        with pytest.raises(ThermodaError, match="known from"):
            wind.require(START + min(outside, 0) * MINUTE, START + max(outside, 0) * MINUTE)


def test_that_trimming_changes_no_answer_in_the_period() -> None:
    wind = series(np.arange(0, 600, 7))
    start, stop = START + 200 * MINUTE, START + 300 * MINUTE
    asked = start + np.arange(101) * MINUTE
    trimmed = wind.trimmed(start, stop)
    assert trimmed.time.size < wind.time.size / 2
    np.testing.assert_allclose(trimmed.at(asked).bz_nt, wind.at(asked).bz_nt, rtol=1e-13)


def test_that_fill_values_are_gaps_of_their_own_quantity_only(write) -> None:
    wind = read_solar_wind([write([row(0), row(1, bz=9999.99), row(2, vx=99999.9), row(3)])])
    np.testing.assert_array_equal(np.isnan(wind.bz_nt), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(wind.velocity_km_s), [False, False, True, False])
    assert wind.at(START + MINUTE).bz_nt[0] == -3.0


@pytest.mark.parametrize(
    ("column", "fill", "quantity"),
    [
        (7, "9999.99", "bx_nt"),
        (8, "9999.99", "by_nt"),
        (9, "9999.99", "bz_nt"),
        (10, "99999.9", "velocity_km_s"),
        (11, "99999.9", "velocity_km_s"),
        (12, "99999.9", "velocity_km_s"),
        (13, "999.99", "density_cm3"),
        (14, "9999999.0", "temperature_k"),
    ],
)
def test_that_the_fill_value_of_every_column_is_known(write, column: int, fill: str, quantity: str) -> None:
    cells = row(1).split()
    cells[column] = fill
    wind = read_solar_wind([write([row(0), " ".join(cells)])])
    missing = [name for name in QUANTITIES if np.isnan(getattr(wind, name)[1])]
    assert missing == [quantity]


def test_that_velocity_is_the_magnitude_of_its_three_components(write) -> None:
    assert read_solar_wind([write([row(0)])]).velocity_km_s[0] == 500.0


def test_that_a_quantity_never_measured_is_refused(write) -> None:
    wind = read_solar_wind([write([row(0, bz=9999.99), row(1, bz=9999.99)])])
    with pytest.raises(ThermodaError, match="bz_nt has no value"):
        wind.at(START)


def test_that_the_time_delay_is_added(write) -> None:
    path = write([row(0)])
    path.write_text(path.read_text().replace("#TIMEDELAY\n0.0", "#TIMEDELAY\n90.0"))
    assert read_solar_wind([path]).time[0] == START + np.timedelta64(90, "s")


def test_that_files_join_in_order_of_time_only(write) -> None:
    first, second = write([row(0), row(1)], "a.dat"), write([row(2), row(3)], "b.dat")
    assert read_solar_wind([first, second]).time.size == 4
    with pytest.raises(ThermodaError, match=r"a\.dat: begins at 2010-04-01T00:00.*not after the end"):
        read_solar_wind([second, first])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (" 2010 04 01 00 01 00 000 1.0 2.0", "line 9: expected 15 numbers"),
        (row(1).replace("-3.0", "-3.O"), "line 9: expected 15 numbers"),
        (row(1).replace("04 01", "04 31"), "line 9: .* is no time"),
        (row(1).replace("00 01 00 000", "24 01 00 000"), "line 9: .* is no time"),
        (row(1).replace("2010", "nan"), "line 9: .* is no time"),
        (row(0), "line 9: 2010-04-01T00:00.* does not come after"),
    ],
)
def test_that_a_damaged_line_is_refused_with_its_place(write, bad: str, message: str) -> None:
    path = write([row(0), bad, row(2)])
    with pytest.raises(ThermodaError, match=message) as caught:
        read_solar_wind([path])
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no heading\n", "there is no line #START"),
        ("#START\n\n", "no data"),
        ("#VAR\n#START\n", "line 1: unknown keyword '#VAR'"),
        ("#TIMEDELAY\nsoon\n#START\n", "line 2: expected seconds"),
    ],
)
def test_that_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "omni.dat"
    path.write_text(text)
    with pytest.raises(ThermodaError, match=message):
        read_solar_wind([path])
    with pytest.raises(ThermodaError, match="cannot be read"):
        read_solar_wind([tmp_path / "absent.dat"])


def test_that_inconsistent_series_are_refused() -> None:
    with pytest.raises(ValueError, match="increase"):
        series(np.array([0, 2, 1]))
    with pytest.raises(ValueError, match="max_gap_min"):
        series(np.arange(3), max_gap_min=0.0)
    with pytest.raises(ValueError, match="3 values"):
        SolarWind(START + np.arange(3) * MINUTE, *([np.zeros(2)] * 6))
    with pytest.raises(ValueError, match="at least one"):
        read_solar_wind([])


def test_that_the_april_2010_file_reads_whole_with_its_real_gaps(data_folder: Path) -> None:
    path = data_folder / "drivers" / "omni_imf_20100401_20100430.dat"
    wind = read_solar_wind([path])
    data_lines = path.read_text().split("#START")[1].split("\n")
    assert wind.time.size == sum(bool(line.strip()) for line in data_lines)
    with pytest.raises(ThermodaError, match="gap of 131 min from 2010-04-01T11:59"):
        wind.require(AT("2010-04-01"), AT("2010-04-02"))
    # The shock of 5 April 2010 reached the Earth a little after 8 UT.
    before, after = wind.at([AT("2010-04-05T07:30"), AT("2010-04-05T09:30")]).velocity_km_s
    assert after > before + 100
