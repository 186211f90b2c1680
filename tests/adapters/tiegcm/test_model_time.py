"""mtime and calendar years to times and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.errors import ThermodaError
from model_adapters.tiegcm.model_time import mtime_of, time_of, year_of

MINUTES = st.integers(0, 60 * 24 * 366 * 40).map(lambda number: np.datetime64("1995-01-01T00:00") + number)


@given(MINUTES, st.integers(0, 59))
def test_that_every_second_of_many_years_survives_the_way_to_mtime_and_back(minute: np.datetime64, second: int) -> None:
    time = minute.astype("datetime64[ns]") + np.timedelta64(second, "s")
    assert time_of(year_of(time), mtime_of(time, "3.0")) == time
    assert time_of(year_of(minute), mtime_of(minute, "2.0")) == minute


@pytest.mark.parametrize(
    ("time", "year", "mtime"),
    [
        ("2002-12-31T23:59", 2002, (365, 23, 59)),
        ("2003-01-01T00:00", 2003, (1, 0, 0)),
        ("2004-02-29T12:30", 2004, (60, 12, 30)),
        ("2004-12-31T00:00", 2004, (366, 0, 0)),
        ("1900-03-01T00:00", 1900, (60, 0, 0)),
    ],
)
def test_that_year_ends_and_leap_days_have_the_mtime_of_the_calendar(
    time: str, year: int, mtime: tuple[int, ...]
) -> None:
    moment = np.datetime64(time, "ns")
    assert (year_of(moment), mtime_of(moment, "2.0")) == (year, mtime)
    assert time_of(year, mtime) == moment


def test_that_a_time_finer_than_the_version_counts_is_refused() -> None:
    assert mtime_of(np.datetime64("2002-03-22T00:10:30"), "3.0") == (81, 0, 10, 30)
    with pytest.raises(ThermodaError, match="not a whole minute, which TIE-GCM 2.0 counts in"):
        mtime_of(np.datetime64("2002-03-22T00:10:30"), "2.0")
    with pytest.raises(ThermodaError, match="not a whole second"):
        mtime_of(np.datetime64("2002-03-22T00:10:30.5"), "3.0")


@pytest.mark.parametrize("mtime", [(366, 0, 0), (0, 0, 0), (81, 24, 0), (81, 0, 60), (81, 0, 0, 60), (81, -1, 0)])
def test_that_an_mtime_outside_its_year_or_day_is_refused(mtime: tuple[int, ...]) -> None:
    with pytest.raises(ThermodaError, match="is no time of the year 2002, of 365 days"):
        time_of(2002, mtime)
