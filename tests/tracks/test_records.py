from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.errors import ThermodaError
from da.tracks.records import RawRecords, clean_track, wrap_longitude


def raw(n: int = 8, **changes: Any) -> RawRecords:
    fields: dict[str, Any] = {
        "time": np.datetime64("2010-04-05", "ns") + np.arange(n) * np.timedelta64(10, "s"),
        "latitude": np.linspace(-10.0, 10.0, n),
        "longitude": np.full(n, 20.0),
        "altitude_km": np.full(n, 302.0),
        "density": np.full(n, 1e-11),
    }
    return RawRecords(**(fields | changes))


def with_value(name: str, index: int, value: Any) -> dict[str, Any]:
    values = getattr(raw(), name).copy()
    values[index] = value
    return {name: values}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (with_value("density", 3, np.nan), "missing"),
        (with_value("density", 3, np.inf), "missing"),
        (with_value("time", 3, np.datetime64("NaT")), "missing"),
        (with_value("latitude", 3, np.nan), "missing"),
        (with_value("density", 3, 0.0), "not_positive"),
        (with_value("density", 3, -1e-13), "not_positive"),
        (with_value("density", 3, 9.99e32), "out_of_range"),
        (with_value("latitude", 3, 99.0), "out_of_range"),
        (with_value("longitude", 3, 999.0), "out_of_range"),
        (with_value("altitude_km", 3, 0.0), "out_of_range"),
        (with_value("altitude_km", 3, 302_000.0), "out_of_range"),
    ],
)
def test_that_what_is_no_measurement_is_left_out_and_counted(changes: dict[str, Any], reason: str):
    track = clean_track(raw(**changes), "champ", "file")
    assert track.dropped == {reason: 1}
    np.testing.assert_array_equal(track.latitude, np.delete(raw().latitude, 3))


def test_that_flagged_records_and_bad_uncertainties_are_left_out():
    flagged = np.zeros(8, dtype=bool)
    flagged[[0, 2]] = True
    sigma = np.full(8, 1e-13)
    sigma[4], sigma[5] = 0.0, np.nan
    track = clean_track(raw(flagged=flagged, sigma=sigma), "champ", "file")
    assert track.dropped == {"flagged": 2, "not_positive": 1, "missing": 1}
    assert len(track) == 4


def test_that_a_reversed_block_is_put_in_order_and_a_repeated_record_dropped():
    order = np.array([0, 1, 5, 4, 3, 2, 6, 6])
    records = raw(time=raw().time[order], latitude=raw().latitude[order])
    track = clean_track(records, "champ", "file")
    np.testing.assert_array_equal(track.time, raw().time[:7])
    np.testing.assert_array_equal(track.latitude, raw().latitude[:7])
    assert track.dropped == {"duplicate": 1}
    assert track.reordered == 3


def test_that_gaps_stay_gaps():
    records = raw(**with_value("density", 4, np.nan))
    track = clean_track(records, "champ", "file")
    assert np.diff(track.time).max() == np.timedelta64(20, "s")


def test_that_a_file_without_a_valid_record_is_refused_with_the_reasons():
    with pytest.raises(ThermodaError, match=r"file\.txt: no valid record among 8 \(8 not positive\)"):
        clean_track(raw(density=np.zeros(8)), "champ", "file.txt")


@given(st.floats(-540.0, 540.0))
def test_that_wrapped_longitudes_lie_in_the_interval_and_point_the_same_way(longitude: float):
    wrapped = wrap_longitude(np.array([longitude]))
    assert -180.0 <= wrapped[0] < 180.0
    # Two additions of at most 720 deg round by at most an ulp of 1024 each: 2.3e-13 deg.
    turns = (wrapped[0] - longitude) / 360.0
    assert abs(turns - round(turns)) * 360.0 < 1e-12


@given(st.floats(-180.0, 180.0, exclude_max=True))
def test_that_longitudes_already_in_the_interval_are_untouched(longitude: float):
    assert wrap_longitude(np.array([longitude]))[0] == longitude
