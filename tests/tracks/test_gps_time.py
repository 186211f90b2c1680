from __future__ import annotations

import logging

import numpy as np
import pytest
from cdflib.epochs import CDFepoch

from da.tracks.gps_time import GPS_EPOCH, TABLE_END, gps_minus_utc, gps_to_utc, utc_to_gps


def times(*stamps: str) -> np.ndarray:
    return np.array(stamps, dtype="datetime64[ns]")


def test_that_every_leap_second_agrees_with_the_independent_table_of_the_cdf_library():
    # TAI - UTC = GPS - UTC + 19 s; the library's table starts with fractional values before 1972.
    rows = [row for row in CDFepoch.LTS if row[0] >= 1980]
    assert len(rows) >= 19
    for year, month, day, tai_minus_utc, *_ in rows:
        midnight = np.datetime64(f"{int(year)}-{int(month):02d}-{int(day):02d}", "ns")
        if midnight < GPS_EPOCH:
            continue
        before, after = gps_minus_utc(np.array([midnight - np.timedelta64(1, "ns"), midnight]))
        assert after == tai_minus_utc - 19
        assert before == after - 1


def test_that_gps_time_agrees_with_utc_at_its_epoch():
    assert gps_to_utc(np.array([GPS_EPOCH])) == [GPS_EPOCH]


@pytest.mark.parametrize(
    ("gps", "utc"),
    [
        ("2002-11-21T00:00:13", "2002-11-21T00:00:00"),
        ("2010-04-05T09:00:15", "2010-04-05T09:00:00"),
        ("2024-10-10T00:00:18", "2024-10-10T00:00:00"),
        ("2017-01-01T00:00:16.999", "2016-12-31T23:59:59.999"),
        ("2017-01-01T00:00:17", "2016-12-31T23:59:59.999999999"),
        ("2017-01-01T00:00:17.5", "2016-12-31T23:59:59.999999999"),
        ("2017-01-01T00:00:18", "2017-01-01T00:00:00"),
    ],
)
def test_that_known_instants_are_converted(gps: str, utc: str):
    np.testing.assert_array_equal(gps_to_utc(times(gps)), times(utc))


def test_that_the_conversions_are_inverse_outside_leap_seconds():
    utc = np.arange("1980-01-06", "2025-12-31", 11, dtype="datetime64[D]").astype("datetime64[ns]")
    np.testing.assert_array_equal(gps_to_utc(utc_to_gps(utc)), utc)


def test_that_the_order_is_kept_across_a_leap_second():
    gps = np.datetime64("2017-01-01T00:00:10", "ns") + np.arange(160) * np.timedelta64(100, "ms")
    assert (np.diff(gps_to_utc(gps)) >= np.timedelta64(0, "ns")).all()


def test_that_the_input_is_not_changed():
    gps = times("2017-01-01T00:00:17.5")
    kept = gps.copy()
    gps_to_utc(gps)
    np.testing.assert_array_equal(gps, kept)


@pytest.mark.parametrize("stamp", ["1980-01-05T23:59:59", "NaT"])
def test_that_times_without_gps_time_are_refused(stamp: str):
    with pytest.raises(ValueError, match="1980-01-06"):
        gps_to_utc(times(stamp))


def test_that_the_use_beyond_the_table_is_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        gps_to_utc(np.array([TABLE_END - np.timedelta64(1, "s")]))
        assert not caplog.records
        gps_to_utc(np.array([TABLE_END]))
    assert "no leap second" in caplog.text
