"""Which records of a track thinning keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.observation_handling import thinned

START = np.datetime64("2010-04-05T00:00:00", "ns")
MILLISECOND = np.timedelta64(1_000_000, "ns")


def times(milliseconds: list[int]) -> np.ndarray:
    return START + np.array(sorted(milliseconds), dtype=np.int64) * MILLISECOND


TRACKS = st.lists(st.integers(0, 600_000), min_size=1, max_size=80, unique=True).map(times)


@given(TRACKS, st.integers(1, 90_000))
def test_that_kept_records_are_far_enough_apart_and_no_other_could_have_been_kept(
    time: np.ndarray, step_ms: int
) -> None:
    keep = thinned(time, step_ms / 1e3)
    step = step_ms * MILLISECOND
    assert keep[0]
    assert (np.diff(time[keep]) >= step).all()
    # Every record left out lies too near to the last kept one. With the two above this allows one answer only.
    last_kept = time[keep][np.cumsum(keep) - 1]
    assert (time[~keep] - last_kept[~keep] < step).all()


@given(TRACKS, st.integers(1, 90_000))
def test_that_thinning_twice_is_thinning_once(time: np.ndarray, step_ms: int) -> None:
    kept = time[thinned(time, step_ms / 1e3)]
    assert thinned(kept, step_ms / 1e3).all()


@given(TRACKS, st.integers(1, 90_000), st.integers(1, 100))
def test_that_counting_begins_anew_after_a_gap(time: np.ndarray, step_ms: int, gap_h: int) -> None:
    later = time[-1] + gap_h * 3_600_000 * MILLISECOND + (time - time[0])
    keep = thinned(np.concatenate([time, later]), step_ms / 1e3)
    alone = thinned(time, step_ms / 1e3)
    np.testing.assert_array_equal(keep, np.concatenate([alone, alone]))


def test_that_a_record_exactly_one_step_later_is_kept() -> None:
    time = START + np.array([0, 29_999_999_999, 30_000_000_000, 59_999_999_999], dtype="timedelta64[ns]")
    np.testing.assert_array_equal(thinned(time, 30.0), [True, False, True, False])


def test_that_a_step_shorter_than_the_sampling_keeps_everything() -> None:
    assert thinned(times(list(range(0, 50_000, 5_000))), 5.0).all()
    assert thinned(times([]), 5.0).size == 0


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_that_a_step_that_is_not_positive_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match="thinning distance must be positive"):
        thinned(times([0, 1]), step)


def test_that_times_out_of_order_are_refused_by_time() -> None:
    with pytest.raises(ValueError, match="not after 2010-04-05T00:00:01"):
        thinned(START + np.array([0, 1, 1], dtype="timedelta64[s]"), 5.0)
    with pytest.raises(ValueError, match="NaT"):
        thinned(np.array([START, np.datetime64("NaT")]), 5.0)
