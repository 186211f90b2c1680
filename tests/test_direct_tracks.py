"""One satellite's densities as observations: what is cut when, with which errors, compared with which state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from da.direct_tracks import ComparisonWindow, DirectTrack, DirectTrackSettings, comparison_windows, direct_track
from da.drivers import load_drivers
from da.errors import ThermodaError
from da.geodesy import geodetic_latitude
from da.msis import Msis
from da.tracks import DensityTrack

START = np.datetime64("2010-04-05T00:00:00", "ns")
SECOND = np.timedelta64(1_000_000_000, "ns")
MINUTE = 60 * SECOND


@pytest.fixture(scope="module")
def msis() -> Msis:
    return Msis(load_drivers(np.datetime64("2010-04-04"), np.datetime64("2010-04-07")))


def orbit(seconds: np.ndarray, **changes: Any) -> DensityTrack:
    """A polar orbit of 5400 s through an atmosphere of 50 km scale height, climbing by 20 km from the equator."""
    argument = 2.0 * np.pi * seconds / 5400.0
    latitude = np.degrees(np.arcsin(np.sin(np.radians(87.0)) * np.sin(argument)))
    longitude = (20.0 - seconds / 240.0 + 180.0 * (np.cos(argument) < 0) + 180.0) % 360.0 - 180.0
    altitude = 350.0 + 20.0 * np.sin(argument)
    columns = {
        "time": START + np.asarray(1e9 * seconds, dtype=np.int64).astype("timedelta64[ns]"),
        "latitude": latitude,
        "longitude": longitude,
        "altitude_km": altitude,
        "density": 1e-11 * np.exp(-(altitude - 350.0) / 50.0),
    }
    return DensityTrack("champ", **(columns | changes))


def test_that_a_batch_holds_the_records_after_its_start_up_to_and_with_its_end(msis: Msis) -> None:
    track = orbit(np.arange(0.0, 600.0, 60.0))
    direct = direct_track(track, msis, DirectTrackSettings(relative_error=0.2))
    batch = direct.batch(START + 60 * SECOND, START + 180 * SECOND)
    assert batch is not None
    assert_array_equal(batch.values, track.density[2:4])
    assert_array_equal(batch.error_standard_deviation, 0.2 * track.density[2:4])
    assert_array_equal(batch.position, np.column_stack([track.latitude, track.longitude, track.altitude_km])[2:4])
    assert (batch.time, batch.operator) == (START + 180 * SECOND, "density")
    assert "champ" in batch.source
    later = direct.batch(START, START + 60 * SECOND, START + 300 * SECOND)
    assert later is not None
    assert (len(later), later.time) == (1, START + 300 * SECOND)


def test_that_a_window_without_records_gives_no_batch(msis: Msis) -> None:
    direct = direct_track(orbit(np.array([0.0, 600.0])), msis, DirectTrackSettings(relative_error=0.1))
    assert direct.batch(START, START + 599 * SECOND) is None
    assert direct.batch(START, START) is None
    with pytest.raises(ValueError, match="does not go forward"):
        direct.batch(START + SECOND, START)


def test_that_the_unmodelled_mass_ratio_is_that_of_nrlmsis_at_the_records(msis: Msis) -> None:
    track = orbit(np.arange(0.0, 5400.0, 60.0))
    batch = direct_track(track, msis, DirectTrackSettings(relative_error=0.1)).batch(START - SECOND, track.time[-1])
    assert batch is not None
    expected = msis.along_track(track.time, track.latitude, track.longitude, track.altitude_km).unmodelled_mass_ratio
    assert_array_equal(batch.unmodelled_mass_ratio, expected)
    # Between 330 and 370 km nitrogen atoms and argon carry one or two percent.
    assert ((expected > 1.003) & (expected < 1.05)).all()


def test_that_geocentric_latitudes_become_geodetic_before_anything_else(msis: Msis) -> None:
    seconds = np.arange(0.0, 5400.0, 10.0)
    geocentric = orbit(seconds, latitude_kind="geocentric")
    for reduction in ({}, {"thinning_s": 60.0}):
        direct = direct_track(geocentric, msis, DirectTrackSettings(0.1, **reduction))
        batch = direct.batch(START - SECOND, geocentric.time[-1])
        assert batch is not None
        every = slice(None, None, 6 if reduction else 1)
        expected = geodetic_latitude(geocentric.latitude, 1e3 * geocentric.altitude_km)[every]
        assert_array_equal(batch.latitude, expected)
        assert np.abs(batch.latitude - geocentric.latitude[every]).max() > 0.15
    geodetic = orbit(seconds, latitude=geodetic_latitude(geocentric.latitude, 1e3 * geocentric.altitude_km))
    averaged = [
        direct_track(one, msis, DirectTrackSettings(0.1, superobbing_s=60.0)).records for one in (geocentric, geodetic)
    ]
    assert_array_equal(averaged[0].latitude, averaged[1].latitude)


def test_that_thinning_is_done_once_for_the_whole_track_and_not_per_window(msis: Msis) -> None:
    track = orbit(np.arange(0.0, 1800.0, 10.0))
    direct = direct_track(track, msis, DirectTrackSettings(0.1, thinning_s=70.0))
    edges = START + np.arange(-60, 1800 + 60, 100) * SECOND
    batches = [direct.batch(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]
    values = np.concatenate([batch.values for batch in batches if batch is not None])
    assert_array_equal(values, track.density[::7])


@pytest.mark.parametrize(
    ("tau", "factor"), [(0.0, 1.0 / np.sqrt(6.0)), (float("inf"), 1.0)], ids=["uncorrelated", "fully correlated"]
)
def test_that_averages_have_the_error_of_a_mean(msis: Msis, tau: float, factor: float) -> None:
    settings_ = DirectTrackSettings(0.2, superobbing_s=60.0, error_correlation_time_s=tau)
    direct = direct_track(orbit(np.arange(0.0, 1800.0, 10.0)), msis, settings_)
    batch = direct.batch(START, START + 30 * MINUTE)
    assert batch is not None
    assert len(batch) == 30
    assert_allclose(batch.error_standard_deviation, 0.2 * factor * batch.values, rtol=1e-14)


def test_that_averages_of_nrlmsis_are_its_values_at_the_mean_place_up_to_curvature(
    msis: Msis,
) -> None:
    seconds = np.arange(0.0, 5400.0, 5.0)
    track = orbit(seconds)
    model = msis.along_track(track.time, track.latitude, track.longitude, track.altitude_km)
    error = {}
    for window in (120.0, 300.0):
        measured = orbit(seconds, density=model.density)
        records = direct_track(measured, msis, DirectTrackSettings(0.1, superobbing_s=window)).records
        there = msis.along_track(records.time, records.latitude, records.longitude, records.altitude_km).density
        error[window] = float(np.sqrt(np.mean(np.log(records.density / there) ** 2)))
    # ln rho has curvatures of up to about one per square radian here; 120 s are 8 degrees, whose variance is
    # 8^2 / 12 square degrees = 0.0016 square radians, of which half counts. It grows with the square of the window.
    assert error[120.0] < 0.0008
    assert error[300.0] / error[120.0] == pytest.approx((300.0 / 120.0) ** 2, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relative_error": 0.0}, "relative_error"),
        ({"relative_error": np.nan}, "relative_error"),
        ({"thinning_s": 0.0}, "thinning_s"),
        ({"thinning_s": np.inf}, "thinning_s"),
        ({"superobbing_s": -1.0}, "superobbing_s"),
        ({"superobbing_s": 601.0}, "at most 600"),
        ({"thinning_s": 60.0, "superobbing_s": 60.0}, "exclude each other"),
        ({"error_correlation_time_s": -1.0}, "error_correlation_time_s"),
    ],
)
def test_that_a_wrong_setting_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DirectTrackSettings(**({"relative_error": 0.1} | changes))


def test_that_an_empty_track_is_refused_by_satellite(msis: Msis) -> None:
    with pytest.raises(ThermodaError, match="champ: there is no density to assimilate"):
        direct_track(orbit(np.zeros(0)), msis, DirectTrackSettings(0.1))
    with pytest.raises(ValueError, match="need errors and geodetic"):
        DirectTrack(orbit(np.array([0.0])), msis)


# --- which records meet which output time


@st.composite
def schedules(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Output times 1 to 30 minutes apart, and every n-th of them an analysis time."""
    step, per_analysis, analyses = draw(st.integers(1, 30)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    first = draw(st.integers(0, per_analysis))
    outputs = START + np.arange(first + per_analysis * analyses + 1) * step * MINUTE
    return outputs, outputs[first::per_analysis]


RECORD_SECONDS = st.lists(st.integers(-7200, 50_000), min_size=1, max_size=60, unique=True).map(sorted)


def nearest_allowed(outputs: np.ndarray, analyses: np.ndarray, record: np.datetime64) -> tuple[Any, Any]:
    """Return output and analysis time of one record, by looking at all of them."""
    analysis = analyses[analyses >= record][0]
    earlier = analyses[analyses < analysis]
    allowed = outputs[(outputs >= (earlier[-1] if earlier.size else outputs[0])) & (outputs <= analysis)]
    return allowed[np.argmin(np.abs(allowed - record))], analysis


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedules(), RECORD_SECONDS)
def test_that_every_record_is_used_once_and_compared_at_the_nearest_output_time(
    msis: Msis, schedule: tuple[np.ndarray, np.ndarray], seconds: list[int]
) -> None:
    outputs, analyses = schedule
    interval = np.min(np.diff(analyses)) if analyses.size > 1 else 60 * MINUTE
    time = START + np.array(seconds) * SECOND
    place = [np.full(time.size, value) for value in (0.0, 0.0, 400.0)]
    marked = DensityTrack("champ", time, *place, density=1.0 + np.arange(time.size))
    direct = direct_track(marked, msis, DirectTrackSettings(0.1))
    met: dict[int, tuple[Any, Any]] = {}
    for one in comparison_windows(outputs, analyses, interval):
        batch = direct.batch(one.start_exclusive, one.stop_inclusive, one.compared_at)
        for value in [] if batch is None else batch.values:
            number = int(value) - 1
            assert number not in met
            met[number] = (one.compared_at, one.assimilated_at)
    due = np.flatnonzero((time > analyses[0] - interval) & (time <= analyses[-1])).tolist()
    assert sorted(met) == due
    for number in due:
        assert met[number] == nearest_allowed(outputs, analyses, time[number])


@given(schedules(), st.floats(0.01, 1.0))
def test_that_a_shorter_window_leaves_out_the_earliest_records_of_each_analysis_alone(
    schedule: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    outputs, analyses = schedule
    interval = np.min(np.diff(analyses)) if analyses.size > 1 else 60 * MINUTE
    window = np.timedelta64(max(int(share * (interval / SECOND)), 1) * 10**9, "ns")
    found = comparison_windows(outputs, analyses, window)
    for analysis in analyses:
        own = [one for one in found if one.assimilated_at == analysis]
        assert (own[0].start_exclusive, own[-1].stop_inclusive) == (analysis - window, analysis)
        assert [one.stop_inclusive for one in own[:-1]] == [one.start_exclusive for one in own[1:]]
        assert all(one.compared_at <= analysis and one.start_exclusive < one.stop_inclusive for one in own)
    assert [one.start_exclusive for one in found] == sorted(one.start_exclusive for one in found)


def test_that_records_just_after_an_analysis_meet_the_state_of_its_time_and_the_next_analysis() -> None:
    outputs, window = START + np.arange(3) * 30 * MINUTE, 60 * MINUTE
    found = comparison_windows(outputs, outputs[::2], window)
    minutes = [START + m * MINUTE for m in (-60, 0, 15, 45, 60)]
    assert found == [
        ComparisonWindow(outputs[0], outputs[0], minutes[0], minutes[1]),
        ComparisonWindow(outputs[0], outputs[2], minutes[1], minutes[2]),
        ComparisonWindow(outputs[1], outputs[2], minutes[2], minutes[3]),
        ComparisonWindow(outputs[2], outputs[2], minutes[3], minutes[4]),
    ]


@pytest.mark.parametrize(
    ("outputs", "analyses", "window", "message"),
    [
        ([0, 30, 60], [0, 45], 30, "must be an output time"),
        ([0, 60, 30], [0, 60], 30, "increase strictly"),
        ([0, 30, 60], [60, 0], 30, "increase strictly"),
        ([0, 30, 60], [0, 60], 0, "window must be positive"),
        ([0, 30, 60], [0, 30, 60], 31, "at most the interval between analyses"),
    ],
)
def test_that_times_that_do_not_fit_are_refused(outputs: Any, analyses: Any, window: int, message: str) -> None:
    times = [START + np.array(minutes) * MINUTE for minutes in (outputs, analyses)]
    with pytest.raises(ValueError, match=message):
        comparison_windows(*times, window * MINUTE)


def test_that_a_run_without_analyses_compares_nothing() -> None:
    assert comparison_windows(START + np.arange(3) * MINUTE, START + np.arange(0) * MINUTE, MINUTE) == []
