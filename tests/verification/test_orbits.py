"""Orbits of tracks, and averages over them that add over chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.verification.keyed_sums import KeyedSums
from da.verification.orbits import (
    OrbitSums,
    argument_of_latitude_deg,
    kepler_period_s,
    orbit_number,
    orbits_of,
)
from da.verification.sampling import Points

START = np.datetime64("2010-04-05T00:00:00", "ns")
PERIOD_S = 5520.0
INCLINATION_DEG = 87.0


def circular(hours: float, step_s: float = 30.0, phase_deg: float = 90.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, latitudes and arguments of latitude of a circular orbit over a sphere."""
    second = np.arange(0.0, hours * 3600.0, step_s)
    angle = np.mod(phase_deg + 360.0 * second / PERIOD_S, 360.0)
    latitude = np.degrees(np.arcsin(np.sin(np.radians(INCLINATION_DEG)) * np.sin(np.radians(angle))))
    return START + (second * 1e9).astype("m8[ns]"), latitude, angle


def test_that_the_argument_of_latitude_is_that_of_the_orbit() -> None:
    time, latitude, angle = circular(6.0)
    found = argument_of_latitude_deg(time, latitude)
    error = np.abs(np.mod(found - angle + 180.0, 360.0) - 180.0)
    # The largest sampled latitude misses the inclination by at most half a step of 2 degrees: sin u is then too large
    # by 1 - cos(1 degree) = 1.5e-4, which near the turning point is acos(1 - 1.5e-4) = 1 degree, and an argument on the
    # wrong side of it errs by at most twice that.
    assert error.max() < 2.0
    assert np.median(error) < 0.02


def test_that_arguments_of_latitude_do_not_reach_across_gaps_or_from_single_points() -> None:
    time, latitude, _ = circular(1.0)
    alone = np.r_[time[:1], time[60:62]]
    found = argument_of_latitude_deg(alone, latitude[[0, 60, 61]])
    np.testing.assert_array_equal(np.isnan(found), [True, False, False])
    assert np.isnan(argument_of_latitude_deg(time[:1], latitude[:1])).all()
    assert np.isnan(argument_of_latitude_deg(time[:5], np.zeros(5))).all()


def test_that_orbits_begin_at_ascending_nodes() -> None:
    time, latitude, angle = circular(10.0)
    nodes = np.flatnonzero(np.diff(angle) < 0.0) + 1
    np.testing.assert_array_equal(np.flatnonzero(np.diff(orbit_number(time, latitude))) + 1, nodes)


def test_that_a_track_along_one_hemisphere_is_divided_by_the_kepler_period() -> None:
    time = START + np.arange(0, 6 * 3600, 60) * np.timedelta64(1, "s")
    points = Points(time, np.full(time.size, 5.0), np.zeros(time.size), np.full(time.size, 400.0))
    orbit = orbits_of(points)
    # 400 km: 92.4 minutes (Vallado 2013), hence six hours hold orbits 0 to 3.
    assert kepler_period_s(400.0) == pytest.approx(92.4 * 60.0, rel=2e-3)
    assert np.unique(orbit).tolist() == [0, 1, 2, 3]
    assert np.count_nonzero(orbit == 1) in (92, 93)


def test_that_orbit_means_are_the_means_of_complete_orbits() -> None:
    time, latitude, _ = circular(8.0)
    rng = np.random.default_rng(1)
    observed, modelled = rng.random((2, time.size)) + 1.0
    orbit = orbit_number(time, latitude)
    means = OrbitSums.of(orbit, time, observed, modelled).value()
    counts = np.bincount(orbit)
    expected = [number for number in range(counts.size) if counts[number] >= 0.75 * counts.max()]
    assert means.number.tolist() == expected
    assert len(expected) < counts.size
    for k, number in enumerate(expected):
        inside = orbit == number
        assert means.observed[k] == pytest.approx(observed[inside].mean(), rel=1e-14)
        assert means.ratio[k] == pytest.approx(observed[inside].mean() / modelled[inside].mean(), rel=1e-13)
        middle = time[inside][0] + (time[inside][-1] - time[inside][0]) / 2
        assert abs(means.time[k] - middle) < np.timedelta64(1, "ms")
    scores = means.statistics().value()
    assert scores.std_log_ratio == pytest.approx(np.std(np.log(means.ratio)), rel=1e-12)


@given(cuts=st.lists(st.integers(0, 600), max_size=8), seed=st.integers(0, 1000))
def test_that_orbit_sums_do_not_depend_on_chunks_or_order(cuts: list[int], seed: int) -> None:
    time, latitude, _ = circular(5.0)
    rng = np.random.default_rng(seed)
    observed, modelled = np.exp(0.3 * rng.standard_normal((2, time.size)))
    observed[rng.integers(0, time.size, 20)] = np.nan
    orbit = orbit_number(time, latitude)
    whole = OrbitSums.of(orbit, time, observed, modelled).value()
    total = OrbitSums.zero()
    for part in np.split(rng.permutation(time.size), np.sort(cuts)):
        total = total + OrbitSums.of(orbit[part], time[part], observed[part], modelled[part])
    chunked = total.value()
    np.testing.assert_array_equal(chunked.number, whole.number)
    np.testing.assert_array_equal(chunked.count, whole.count)
    # Sums of at most 200 positive numbers in another order.
    np.testing.assert_allclose(chunked.observed, whole.observed, rtol=400 * np.finfo(float).eps)
    np.testing.assert_allclose(chunked.modelled, whole.modelled, rtol=400 * np.finfo(float).eps)


def test_that_gaps_and_no_points_leave_orbits_out() -> None:
    time, latitude, _ = circular(5.0)
    density = np.ones(time.size)
    gap = density.copy()
    orbit = orbit_number(time, latitude)
    gap[orbit == 1] = np.nan
    assert 1 not in OrbitSums.of(orbit, time, gap, density).value().number
    empty = OrbitSums.zero().value()
    assert empty.count.size == empty.time.size == 0
    assert empty.statistics().value().n == 0
    assert orbits_of(Points(time[:0], latitude[:0], latitude[:0], latitude[:0])).size == 0


def test_that_sums_of_other_quantities_or_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        KeyedSums.zero(("a",)) + KeyedSums.zero(("b",))
    with pytest.raises(ValueError, match="do not go with"):
        KeyedSums.of(np.zeros(2, np.int64), {"a": np.zeros(3)})
