from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from da.errors import ThermodaError
from da.tracks import DensityTrack, concatenate
from da.tracks.ordering import angular_separation, order_in_time

TrackBuilder = Callable[..., DensityTrack]


def test_that_length_is_the_number_of_records(track: TrackBuilder):
    assert len(track(n=7)) == 7


def test_that_the_arrays_are_read_only_copies(track: TrackBuilder):
    density = np.full(6, 1e-12)
    built = track(density=density)
    density[0] = 5.0
    assert built.density[0] == 1e-12
    with pytest.raises(ValueError, match="read-only"):
        built.density[0] = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latitude": np.zeros(5)}, "latitude has shape"),
        ({"latitude": np.full(6, 90.5)}, "latitude"),
        ({"longitude": np.full(6, 180.0)}, "longitude"),
        ({"longitude": np.full(6, np.nan)}, "longitude"),
        ({"altitude_km": np.zeros(6)}, "altitude_km"),
        ({"density": np.array([1e-12, 1e-12, 0.0, 1e-12, 1e-12, 1e-12])}, r"density\[2\]"),
        ({"density": np.full(6, np.inf)}, "density"),
        ({"sigma": np.full(6, -1.0)}, "sigma"),
        ({"latitude_kind": "magnetic"}, "latitude_kind"),
        ({"time": np.full(6, np.datetime64("NaT", "ns"))}, "NaT"),
        ({"time": np.full(6, np.datetime64("2010-04-05", "ns"))}, "increase strictly"),
        ({"time": np.zeros((2, 3), dtype="datetime64[ns]")}, "dimensions"),
    ],
)
def test_that_invalid_values_are_refused_by_name(track: TrackBuilder, changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        track(**changes)


def test_that_a_window_is_half_open(track: TrackBuilder):
    built = track(sigma=np.arange(1.0, 7.0))
    part = built.between(np.datetime64("2010-04-05T00:00:10"), np.datetime64("2010-04-05T00:00:30"))
    np.testing.assert_array_equal(part.time, built.time[1:3])
    assert part.sigma is not None
    np.testing.assert_array_equal(part.sigma, [2.0, 3.0])


def test_that_adjacent_windows_hold_every_record_once(track: TrackBuilder):
    built = track(n=50)
    edges = np.datetime64("2010-04-05T00:00:00", "s") + np.arange(0, 700, 70) * np.timedelta64(1, "s")
    parts = [built.between(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True)]
    np.testing.assert_array_equal(np.concatenate([part.time for part in parts]), built.time)


def test_that_a_window_may_be_empty_but_not_backward(track: TrackBuilder):
    start = np.datetime64("2010-04-05T00:00:10")
    assert len(track().between(start, start)) == 0
    with pytest.raises(ValueError, match="forward"):
        track().between(start, start - np.timedelta64(1, "s"))


def test_that_parts_in_any_order_join_to_the_whole(track: TrackBuilder):
    first, second = track(n=6), track("2010-04-05T00:01:00", n=6)
    whole = track(n=12)
    for parts in ([first, second], [second, first]):
        joined = concatenate(parts)
        np.testing.assert_array_equal(joined.time, whole.time)
        np.testing.assert_array_equal(joined.density, whole.density)
        assert joined.dropped == {}


def test_that_overlapping_parts_lose_their_duplicates_with_a_count(track: TrackBuilder):
    joined = concatenate(
        [track(n=6, dropped={"missing": 2}), track("2010-04-05T00:00:30", n=6, dropped={"missing": 1})]
    )
    np.testing.assert_array_equal(joined.time, track(n=9).time)
    assert joined.dropped == {"missing": 3, "duplicate": 3}


def test_that_of_two_densities_at_one_time_the_first_given_stays(track: TrackBuilder):
    other = track(density=np.full(6, 9e-12))
    joined = concatenate([track(), other])
    np.testing.assert_array_equal(joined.density, track().density)
    assert joined.dropped == {"conflicting": 6}


def test_that_two_satellites_under_one_name_are_refused(track: TrackBuilder):
    opposite = track(longitude=np.full(6, -168.0), source="other.txt")
    with pytest.raises(ThermodaError, match=r"other\.txt is .* deg away .* one satellite only"):
        concatenate([track(), opposite])


def test_that_two_satellites_following_each_other_in_time_are_refused(track: TrackBuilder):
    with pytest.raises(ThermodaError, match="one satellite only"):
        concatenate([track(), track("2010-04-05T00:01:00", longitude=np.full(6, 60.0))])


def test_that_a_gap_of_hours_between_parts_is_no_sign_of_two_satellites(track: TrackBuilder):
    later = track("2010-04-05T06:00:00", latitude=np.full(6, -80.0), longitude=np.full(6, -100.0))
    assert len(concatenate([track(), later])) == 12


def test_that_parts_of_unlike_convention_are_refused(track: TrackBuilder):
    later = "2010-04-05T00:01:00"
    with pytest.raises(ThermodaError, match="uncertainty"):
        concatenate([track(), track(later, sigma=np.full(6, 1e-13))])
    with pytest.raises(ThermodaError, match="geocentric"):
        concatenate([track(), track(later, latitude_kind="geocentric")])
    with pytest.raises(ValueError, match="grace"):
        concatenate([track(), track(later, satellite="grace")])
    with pytest.raises(ValueError, match="no tracks"):
        concatenate([])


def test_that_sorting_is_stable_and_counts_late_records():
    seconds = np.array([0, 20, 30, 10, 15, 40, 20])
    time = np.datetime64("2010-04-05", "ns") + seconds * np.timedelta64(1, "s")
    values = np.array([0.0, 2.0, 3.0, 1.0, 1.5, 4.0, 2.0])[:, None]
    ordering = order_in_time(time, values)
    np.testing.assert_array_equal(ordering.keep, [0, 3, 4, 1, 2, 5])
    assert (ordering.duplicates, ordering.conflicting, ordering.reordered) == (1, 0, 3)


def test_that_separation_is_the_angle_between_unit_vectors():
    rng = np.random.default_rng(7)
    lat, lon = rng.uniform(-90, 90, (2, 200)), rng.uniform(-180, 180, (2, 200))
    phi, lam = np.radians(lat), np.radians(lon)
    vector = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    cross = np.linalg.norm(np.cross(vector[:, 0].T, vector[:, 1].T), axis=1)
    expected = np.degrees(np.arctan2(cross, (vector[:, 0] * vector[:, 1]).sum(axis=0)))
    # The haversine loses half the digits next to 180 deg: sqrt(2.2e-16) rad is 1e-6 deg.
    np.testing.assert_allclose(angular_separation(lat[0], lon[0], lat[1], lon[1]), expected, atol=1e-5)
