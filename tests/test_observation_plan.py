"""Which observations the cycle is given when: every record once, for the right analysis, with the right state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from da.config import Experiment, read_experiment, to_datetime64
from da.direct_tracks import DirectTrack, DirectTrackSettings, direct_track
from da.drivers import load_drivers
from da.msis import Msis
from da.observation_plan import ObservationPlan, observation_plan
from da.observations import ObservationBatch, SourceBatch
from da.preparation import experiment_drivers, prepare, track_margins
from da.tracks import DensityTrack

START = np.datetime64("2010-04-05T00:00:00", "ns")
SECOND = np.timedelta64(1_000_000_000, "ns")
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

WriteExperiment = Callable[..., Path]


@dataclass(frozen=True)
class Times:
    """A schedule of a few hours."""

    output_times: np.ndarray
    analysis_times: np.ndarray


def times(output_min: int = 10, analysis_min: int = 60, hours: int = 3, first_analysis_min: int = 0) -> Times:
    minutes = np.arange(0, 60 * hours + 1)
    analyses = minutes[(minutes >= first_analysis_min) & ((minutes - first_analysis_min) % analysis_min == 0)]
    return Times(START + minutes[minutes % output_min == 0] * MINUTE, START + analyses * MINUTE)


@pytest.fixture(scope="module")
def msis() -> Msis:
    return Msis(load_drivers(np.datetime64("2010-04-04"), np.datetime64("2010-04-07")))


@pytest.fixture(scope="module")
def track(msis: Msis) -> DirectTrack:
    """A record every 25 s from 2 h before the start to 5 h after it, on and off the output times."""
    seconds = np.arange(-7200, 18000, 25)
    argument = 2.0 * np.pi * seconds / 5400.0
    records = DensityTrack(
        "champ",
        time=START + seconds * SECOND,
        latitude=80.0 * np.sin(argument),
        longitude=(seconds / 240.0 + 180.0) % 360.0 - 180.0,
        altitude_km=350.0 + 10.0 * np.cos(argument),
        # The number of the record, by which it is known again.
        density=1e-15 * (1.0 + np.arange(seconds.size)),
    )
    return direct_track(records, msis, DirectTrackSettings(0.1))


def data_grid(time: np.datetime64) -> ObservationBatch:
    columns = [np.full(2, value) for value in (1e-12, 1e-13, 0.0, 10.0, 300.0)]
    return ObservationBatch(*columns, time, "NRLMSIS", np.ones(2))


@dataclass(frozen=True)
class Handed:
    """One batch as the cycle got it."""

    compared_at: np.datetime64
    analysis: np.datetime64
    given: SourceBatch


def driven(plan: ObservationPlan, schedule: Times) -> list[Handed]:
    """Ask for everything in the order of the cycle; what an output time brings enters the next analysis."""
    found, waiting = [], []
    for time in schedule.output_times:
        waiting += [(time, one) for one in plan.due(time, after_analysis=False)]
        if time in schedule.analysis_times:
            found += [Handed(compared_at, time, one) for compared_at, one in waiting]
            waiting = [(time, one) for one in plan.due(time, after_analysis=True)]
        else:
            assert plan.due(time, after_analysis=True) == []
    assert waiting == []
    return found


SCHEDULES = [
    (times(), 60),
    (times(), 25),
    (times(output_min=60), 60),
    (times(output_min=30, analysis_min=30), 30),
    (times(output_min=7, analysis_min=21), 20),
    (times(first_analysis_min=30, analysis_min=60), 60),
    (times(first_analysis_min=60, analysis_min=120), 90),
]


@pytest.mark.parametrize(("schedule", "window_min"), SCHEDULES)
def test_that_each_record_of_a_window_is_handed_out_once_for_its_analysis_and_near_its_time(
    track: DirectTrack, schedule: Times, window_min: int
) -> None:
    window = window_min * MINUTE
    plan = ObservationPlan(None, {"own": track}, {"own": window}, schedule.output_times, schedule.analysis_times)
    handed = driven(plan, schedule)
    numbers = [np.rint(one.given.batch.values / 1e-15).astype(int) - 1 for one in handed]
    record_time = track.records.time
    for analysis in schedule.analysis_times:
        got = [part for one, part in zip(handed, numbers, strict=True) if one.analysis == analysis]
        expected = np.flatnonzero((record_time > analysis - window) & (record_time <= analysis))
        assert_array_equal(np.sort(np.concatenate(got)), expected)
    apart = schedule.output_times[1] - schedule.output_times[0]
    for one, part in zip(handed, numbers, strict=True):
        assert one.given.batch.time == one.compared_at
        distance = np.abs(record_time[part] - one.compared_at)
        # Only those before the first state of the run have no output time near them.
        assert (distance[record_time[part] > schedule.output_times[0]] * 2 <= apart).all()


def test_that_records_shortly_after_an_analysis_wait_for_the_state_after_it(track: DirectTrack) -> None:
    schedule = times()
    plan = ObservationPlan(None, {"own": track}, {"own": HOUR}, schedule.output_times, schedule.analysis_times)
    analysis = START + HOUR
    (before,) = plan.due(analysis, after_analysis=False)
    (after,) = plan.due(analysis, after_analysis=True)
    near = track.records
    for given, low, high in ((before, -5 * MINUTE, 0 * MINUTE), (after, 0 * MINUTE, 5 * MINUTE)):
        inside = (near.time > analysis + low) & (near.time <= analysis + high)
        assert_array_equal(given.batch.values, near.density[inside])
    assert plan.due(schedule.analysis_times[-1], after_analysis=True) == []


def test_that_the_data_grid_is_due_before_each_analysis_and_comes_first(track: DirectTrack) -> None:
    schedule = times()
    plan = ObservationPlan(
        data_grid, {"own": track}, {"own": 10 * MINUTE}, schedule.output_times, schedule.analysis_times
    )
    assert plan.sources == ("data_grid", "own")
    given = {
        (time, after): [one.source for one in plan.due(time, after)]
        for time, after in product(schedule.output_times, (False, True))
    }
    grid = {key for key, sources in given.items() if "data_grid" in sources}
    assert grid == {(time, False) for time in schedule.analysis_times}
    assert all(given[key] == ["data_grid", "own"] for key in grid)
    (first, _) = plan.due(START, after_analysis=False)
    assert (first.batch.time, len(first.batch)) == (START, 2)


def test_that_two_tracks_keep_their_names_and_order(track: DirectTrack) -> None:
    schedule = times()
    windows = {"b": HOUR, "a": HOUR}
    plan = ObservationPlan(None, {"b": track, "a": track}, windows, schedule.output_times, schedule.analysis_times)
    assert plan.sources == ("b", "a")
    assert [one.source for one in plan.due(START + HOUR, after_analysis=False)] == ["b", "a"]


def test_that_all_sources_are_given_in_ln_density_where_the_analysis_is_made_in_it(track: DirectTrack) -> None:
    schedule = times()
    arguments: Any = ({"own": track}, {"own": HOUR}, schedule.output_times, schedule.analysis_times)
    plain = ObservationPlan(data_grid, *arguments).due(START, after_analysis=False)
    logarithms = ObservationPlan(data_grid, *arguments, variable="ln_density").due(START, after_analysis=False)
    assert [one.source for one in logarithms] == ["data_grid", "own"]
    for one, other in zip(plain, logarithms, strict=True):
        assert (one.batch.operator, other.batch.operator) == ("density", "ln_density")
        assert_array_equal(other.batch.values, np.log(one.batch.values))
        assert_array_equal(other.batch.error_standard_deviation, one.batch.error_standard_deviation / one.batch.values)


def test_that_a_plan_refuses_what_makes_no_sense(track: DirectTrack) -> None:
    schedule = times()
    both = (schedule.output_times, schedule.analysis_times)
    with pytest.raises(ValueError, match="one of each"):
        ObservationPlan(None, {"own": track}, {}, *both)
    with pytest.raises(ValueError, match="none called data_grid"):
        ObservationPlan(None, {"data_grid": track}, {"data_grid": HOUR}, *both)
    with pytest.raises(ValueError, match="the variable must be"):
        ObservationPlan(None, {}, {}, *both, variable="temperature")
    with pytest.raises(ValueError, match="is no output time"):
        ObservationPlan(None, {}, {}, *both).due(START + SECOND, after_analysis=False)


def experiment_of(path: Path) -> Experiment:
    return read_experiment(path)[0]


SYNTHETIC = {"inclination_deg": 89.0, "sampling_s": 120}
GRACE = {"synthetic": SYNTHETIC | {"altitude_km": 474}}
CHAMP = {"synthetic": SYNTHETIC | {"altitude_km": 302, "relative_noise": 0.0}}
TRACK = {"satellite": "grace", "window_min": 60, "relative_error": 0.1}


def test_that_an_experiment_gives_its_plan_from_the_window_before_its_start_on(
    tiny_experiment: WriteExperiment,
) -> None:
    experiment = experiment_of(tiny_experiment(satellites={"grace": GRACE}, direct_tracks={"own": TRACK}))
    step_one = prepare(experiment)
    schedule = times(output_min=30, hours=1)
    plan = observation_plan(experiment, step_one, schedule)
    assert plan.sources == ("data_grid", "own")
    handed = driven(plan, schedule)
    densities = np.concatenate([one.given.batch.values for one in handed if one.given.source == "own"])
    # (start - 60 min, start + 60 min] at a record every two minutes.
    assert densities.size == 60
    track = step_one.tracks["grace"]
    assert (track.time[0], track.time[-1]) == (START - HOUR, START + HOUR)
    assert_array_equal(densities, track.density[1:])
    grids = [one for one in handed if one.given.source == "data_grid"]
    assert [one.analysis for one in grids] == list(schedule.analysis_times)


def test_that_a_plan_without_the_data_grid_holds_tracks_alone_and_the_variable_is_that_of_the_analysis(
    tiny_experiment: WriteExperiment,
) -> None:
    path = tiny_experiment(
        satellites={"grace": GRACE},
        direct_tracks={"own": TRACK | {"superobbing_s": 300.0, "error_correlation_time_s": 0.0}},
        data_grid={"assimilate": False},
        analysis={"variable": "ln_density"},
    )
    experiment = experiment_of(path)
    plan = observation_plan(experiment, prepare(experiment), times(output_min=30, hours=1))
    assert plan.sources == ("own",)
    (given,) = plan.due(START + HOUR, after_analysis=False)
    assert given.batch.operator == "ln_density"
    # Averages of two or three records with independent errors of 10 %.
    assert set(np.round(given.batch.error_standard_deviation, 12)) <= set(np.round(0.1 / np.sqrt([2.0, 3.0]), 12))


def test_that_errors_of_averages_are_fully_correlated_unless_told_otherwise(tiny_experiment: WriteExperiment) -> None:
    path = tiny_experiment(satellites={"grace": GRACE}, direct_tracks={"own": TRACK | {"superobbing_s": 300.0}})
    experiment = experiment_of(path)
    plan = observation_plan(experiment, prepare(experiment), times(output_min=30, hours=1))
    batch = next(one.batch for one in plan.due(START + HOUR, after_analysis=False) if one.source == "own")
    np.testing.assert_allclose(batch.error_standard_deviation, 0.1 * batch.values, rtol=1e-14)


@pytest.mark.parametrize(
    ("margin_h", "changes", "before", "after"),
    [
        (6.0, {}, 60 * MINUTE, 0 * MINUTE),
        (0.0, {}, 60 * MINUTE, 0 * MINUTE),
        (0.0, {"superobbing_s": 600.0}, 70 * MINUTE, 10 * MINUTE),
    ],
)
def test_that_margins_hold_the_window_of_the_first_analysis_and_whole_averages(
    tiny_experiment: WriteExperiment, margin_h: float, changes: dict[str, Any], before: np.timedelta64, after: Any
) -> None:
    path = tiny_experiment(
        satellites={"grace": GRACE},
        calibration={"margin_h": margin_h},
        direct_tracks={"own": TRACK | changes},
    )
    experiment = experiment_of(path)
    margins = track_margins(experiment, "grace")
    assert (margins.before, margins.after) == (before, after)
    calibrating = track_margins(experiment, "champ")
    assert calibrating.before == calibrating.after == int(margin_h) * HOUR
    drivers = experiment_drivers(experiment)
    assert np.isfinite(drivers.kp(np.array([START - max(before, int(margin_h) * HOUR)]))).all()


def test_that_the_window_of_a_direct_track_does_not_lengthen_the_calibration(tiny_experiment: WriteExperiment) -> None:
    def filtered(**sections: Any) -> np.ndarray:
        calibration = {"margin_h": 0.0, "gaps": {"longest_filled_h": 2.0}, "low_pass": {"cutoff_h": 0.5, "order": 2}}
        path = tiny_experiment(
            experiment={"stop": "2010-04-05T12:00:00Z"},
            satellites={"champ": CHAMP},
            calibration=calibration,
            **sections,
        )
        return prepare(experiment_of(path)).report.filtered

    direct = {"direct_tracks": {"own": TRACK | {"satellite": "champ"}}, "data_grid": {"assimilate": False}}
    assert_array_equal(filtered(**direct), filtered())


def test_that_start_and_stop_of_the_tiny_experiment_are_those_of_these_tests(tiny_experiment: WriteExperiment) -> None:
    section = experiment_of(tiny_experiment()).experiment
    assert (to_datetime64(section.start), to_datetime64(section.stop)) == (START, START + HOUR)
