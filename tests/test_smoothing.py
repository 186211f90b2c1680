"""Densities that are running means along an orbit: what is compared with them is averaged alike, from YAML to H."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.calibration import scale_factors
from da.config import Experiment, read_experiment
from da.direct_tracks import DirectTrackSettings, direct_track
from da.drivers import load_drivers
from da.errors import ThermodaError
from da.model import MemberInputs
from da.msis import Msis
from da.observation_handling import running_mean
from da.observation_plan import observation_plan
from da.observations import ObservationBatch, SampledPlaces
from da.observing import observe_density
from da.preparation import prepare, track_margins
from da.tracks import DensityTrack
from da.tracks.track import concatenate
from model_adapters.template import TemplateModel, TemplateSettings

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
START = np.datetime64("2010-04-05T00:00:00", "ns")
MINUTE = np.timedelta64(60_000_000_000, "ns")
GRACE = {"synthetic": {"altitude_km": 470, "inclination_deg": 89.0, "sampling_s": 60, "relative_noise": 0.0}}
TRACK = {"satellite": "grace", "window_min": 60, "relative_error": 0.1}
SMOOTHED = GRACE | {"smoothing_min": 15}
WriteExperiment = Callable[..., Path]


def experiment_of(path: Path) -> Experiment:
    return read_experiment(path)[0]


@pytest.fixture(scope="module")
def msis() -> Msis:
    return Msis(load_drivers(np.datetime64("2010-04-04"), np.datetime64("2010-04-07")))


@pytest.fixture(scope="module")
def orbit(msis: Msis) -> DensityTrack:
    """A polar orbit of 92 min, a record every 30 s for six hours, through NRLMSIS itself."""
    seconds = np.arange(0.0, 6 * 3600.0, 30.0)
    argument = 2.0 * np.pi * seconds / 5520.0
    latitude = np.degrees(np.arcsin(np.sin(np.radians(87.3)) * np.sin(argument)))
    longitude = (20.0 - seconds / 240.0 + 180.0 * (np.cos(argument) < 0) + 180.0) % 360.0 - 180.0
    altitude = 470.0 + 15.0 * np.sin(argument)
    time = START + np.rint(1e9 * seconds).astype(np.int64).astype("timedelta64[ns]")
    density = msis.along_track(time, latitude, longitude, altitude).density
    return DensityTrack("swarm", time, latitude, longitude, altitude, density)


def smoothed(track: DensityTrack, window_s: float) -> DensityTrack:
    """The running means of a track, where they exist."""
    mean = running_mean(track.time, track.density, window_s)
    columns = {name: getattr(track, name) for name in ("time", "latitude", "longitude", "altitude_km")}
    known = np.isfinite(mean)
    chosen = {name: values[known] for name, values in columns.items()}
    return replace(track, **chosen, density=mean[known], smoothing_s=window_s)


def test_that_a_track_hands_its_smoothing_on_and_joins_only_its_like(orbit: DensityTrack) -> None:
    whole = replace(orbit, smoothing_s=900.0)
    parts = [whole.between(START, START + 60 * MINUTE), whole.between(START + 60 * MINUTE, START + 400 * MINUTE)]
    assert [part.smoothing_s for part in parts] == [900.0, 900.0]
    assert concatenate(parts).smoothing_s == 900.0
    with pytest.raises(ValueError, match="tracks of different smoothing: 900 and 0 s"):
        concatenate([parts[0], replace(parts[1], smoothing_s=0.0)])
    for wrong in (-1.0, np.inf, float("nan")):
        with pytest.raises(ValueError, match="smoothing_s"):
            replace(orbit, smoothing_s=wrong)


def test_that_scale_factors_of_smoothed_nrlmsis_are_one_if_the_smoothing_is_known(
    msis: Msis, orbit: DensityTrack
) -> None:
    measured = smoothed(orbit, 900.0)
    known = scale_factors(measured, msis)
    # Means of the measured track lack those of its own ends: inside, both are the mean of the same values.
    inside = (known.time >= START + 25 * MINUTE) & (known.time <= measured.time[-1] - 25 * MINUTE)
    assert np.count_nonzero(inside) > 600
    assert_allclose(known.ln_factor[inside], 0.0, atol=1e-9)
    unknown = scale_factors(replace(measured, smoothing_s=0.0), msis)
    assert unknown.time.size == len(measured)
    # NRLMSIS varies by a factor of two along the orbit; its second harmonic, 46 min, loses sinc(15/46) = 17 %.
    assert 0.02 < unknown.ln_factor.std() < 0.2


def test_that_scale_factors_are_missing_where_the_mean_of_nrlmsis_is(msis: Msis, orbit: DensityTrack) -> None:
    track = replace(orbit, smoothing_s=900.0)
    found = scale_factors(track, msis)
    # 0.8 of 15 min are held from 4.5 min on, the half step before the first record counted.
    assert found.time[0] == track.time[9]
    assert found.time.size == len(track) - 18
    assert_array_equal(scale_factors(orbit, msis).time, orbit.time)


def test_that_direct_densities_carry_the_places_of_their_whole_window(msis: Msis, orbit: DensityTrack) -> None:
    track = replace(orbit, smoothing_s=900.0)
    direct = direct_track(track, msis, DirectTrackSettings(0.1, thinning_s=900.0))
    batch = direct.batch(START, START + 60 * MINUTE)
    assert batch is not None
    assert batch.sampled is not None
    assert len(batch) == batch.sampled.first.size == 4
    # The mean over the places of any function of them, here of the altitude, is its running mean.
    expected = running_mean(track.time, track.altitude_km, 900.0)[np.isin(track.time, direct.records.time)][:4]
    assert_allclose(batch.sampled.mean(batch.sampled.altitude_km[:, None])[:, 0], expected, rtol=1e-12)
    place = (batch.sampled.latitude, batch.sampled.longitude, batch.sampled.altitude_km)
    assert place[0].size == 25 + 3 * 31
    # The first record kept is the tenth, around which 0.8 of the window are held; it begins with the track.
    assert_array_equal(place[0][:25], track.latitude[:25])
    at = np.concatenate([np.searchsorted(track.time, one) + np.arange(-15, 16) for one in direct.records.time[1:4]])
    assert_array_equal(place[0][25:118], track.latitude[at])
    ratio = msis.along_track(track.time[at], *(one[25:118] for one in place)).unmodelled_mass_ratio
    assert_array_equal(batch.sampled.unmodelled_mass_ratio[25:118], ratio)
    points = direct_track(orbit, msis, DirectTrackSettings(0.1)).batch(START, START + MINUTE)
    assert points is not None
    assert points.sampled is None


def test_that_densities_without_a_whole_window_are_not_assimilated(msis: Msis, orbit: DensityTrack) -> None:
    gap = (orbit.time < START + 100 * MINUTE) | (orbit.time > START + 130 * MINUTE)
    columns = {name: getattr(orbit, name)[gap] for name in ("time", "latitude", "longitude", "altitude_km", "density")}
    track = replace(orbit, **columns, smoothing_s=900.0)
    records = direct_track(track, msis, DirectTrackSettings(0.1)).records
    minutes = (records.time - START) / MINUTE
    assert minutes[0] == 4.5
    # Of 15 min, 3 may be missing: the last record before the gap is held for a quarter of a minute.
    assert not ((minutes > 100.0 - 0.5 + 0.25 + 3.0 - 7.5) & (minutes < 130.5 - 0.25 - 3.0 + 7.5)).any()
    short = replace(orbit.between(START, START + 5 * MINUTE), smoothing_s=900.0)
    with pytest.raises(ThermodaError, match="no density has enough others around it for a mean of 15 min"):
        direct_track(short, msis, DirectTrackSettings(0.1))
    with pytest.raises(ValueError, match="not averaged again"):
        direct_track(track, msis, DirectTrackSettings(0.1, superobbing_s=60.0))


def test_that_h_of_an_average_is_the_average_of_h_for_every_member() -> None:
    model = TemplateModel(TemplateSettings())
    inputs = MemberInputs({"equilibrium_temperature_k": np.array([-50.0, 0.0, 60.0])})
    states = model.initial(START, inputs, [np.random.default_rng(seed) for seed in range(3)])
    height = model.height(states, START, inputs)
    rng = np.random.default_rng(3)
    latitude, longitude, altitude = (rng.uniform(*limits, 7) for limits in ((-90, 90), (-180, 180), (300, 500)))
    ratio, weight = rng.uniform(1.0, 1.03, 7), np.array([0.2, 0.5, 0.3, 0.25, 0.25, 0.25, 0.25])
    places = ObservationBatch(*np.ones((2, 7)), latitude, longitude, altitude, START, "places", ratio)
    sampled = SampledPlaces(latitude, longitude, altitude, ratio, weight, np.array([0, 3]))
    columns = [np.full(2, value) for value in (1e-12, 1e-13, 0.0, 0.0, 400.0)]
    batch = ObservationBatch(*columns, START, "means", np.ones(2), sampled=sampled)
    at_places = observe_density(model, states, height, places)
    expected = np.stack([weight[:3] @ at_places[:3], weight[3:] @ at_places[3:]])
    assert_allclose(observe_density(model, states, height, batch), expected, rtol=1e-14)
    logarithm = observe_density(model, states, height, batch.in_ln_density())
    assert_allclose(logarithm, np.log(expected), rtol=1e-14)
    with pytest.raises(ValueError, match="cannot be selected"):
        batch.select(np.array([True, False]))
    with pytest.raises(ValueError, match="places sampled for 2 of 7"):
        replace(places, sampled=sampled)


def test_that_a_synthetic_satellite_may_measure_running_means_of_the_truth(tiny_experiment: WriteExperiment) -> None:
    def along_grace(section: dict[str, Any], calibrating: str) -> DensityTrack:
        calibration = {"margin_h": 0.5, "satellite": calibrating}
        return prepare(experiment_of(tiny_experiment(satellites={"grace": section}, calibration=calibration))).tracks[
            "grace"
        ]

    tracks = [along_grace(section, "champ") for section in (GRACE, GRACE | {"smoothing_min": 16})]
    longer = along_grace(GRACE, "grace")
    mean = running_mean(longer.time, longer.density, 960.0)
    assert_array_equal(tracks[1].time, tracks[0].time)
    assert_allclose(tracks[1].density, mean[np.isin(longer.time, tracks[1].time)], rtol=1e-9)
    assert (tracks[0].smoothing_s, tracks[1].smoothing_s) == (0.0, 960.0)
    assert 1e-4 < np.abs(np.log(tracks[1].density / tracks[0].density)).max() < 0.5


def test_that_step_one_and_the_first_analysis_reach_half_a_window_further(tiny_experiment: WriteExperiment) -> None:
    changes = {"direct_tracks": {"own": TRACK | {"thinning_s": 900}}}
    experiment = experiment_of(tiny_experiment(satellites={"grace": SMOOTHED}, **changes))
    margins = track_margins(experiment, "grace")
    assert (margins.before, margins.after) == (135 * MINUTE // 2, 15 * MINUTE // 2)
    step_one = prepare(experiment)
    records = observation_plan(experiment, step_one, _OneHour()).due(START, after_analysis=False)[-1].batch
    # One in 15 min of the hour before, from its begin on: all windows are whole.
    assert len(records) == 4
    calibrating = {"champ": {"smoothing_min": 10}}
    whole = experiment_of(tiny_experiment(satellites=calibrating, calibration={"margin_h": 0.0}))
    assert track_margins(whole, "champ").before == 5 * MINUTE
    assert prepare(whole).calibrated.time[0] <= START + MINUTE


class _OneHour:
    output_times = START + np.array([0, 30, 60]) * MINUTE
    analysis_times = START + np.array([0, 60]) * MINUTE


MEAN = "each density of 'grace' is a mean over 15 min already (satellites.grace.smoothing_min)"
FAULTS = [
    ({"smoothing_min": -1}, TRACK, "satellites.grace.smoothing_min: must be greater than or equal to 0 (given: -1)"),
    ({"smoothing_min": 61}, TRACK, "satellites.grace.smoothing_min: must be less than or equal to 60 (given: 61)"),
    ({"smothing_min": 15}, TRACK, "satellites.grace.smothing_min: not a key; did you mean smoothing_min?"),
    ({"smoothing_min": 15}, TRACK, f"direct_tracks.own: {MEAN}; set thinning_s to at least 900"),
    (
        {"smoothing_min": 15},
        TRACK | {"thinning_s": 600},
        f"direct_tracks.own.thinning_s: {MEAN}; set thinning_s to at least 900",
    ),
    (
        {"smoothing_min": 15},
        TRACK | {"superobbing_s": 600},
        f"direct_tracks.own.superobbing_s: {MEAN}; leave it out, and set thinning_s to at least 900",
    ),
]


@pytest.mark.parametrize(("satellite", "track", "problem"), FAULTS, ids=[problem[:60] for *_, problem in FAULTS])
def test_that_a_smoothing_that_cannot_be_is_refused_with_its_line(
    tiny_experiment: WriteExperiment, satellite: dict[str, Any], track: dict[str, Any], problem: str
) -> None:
    path = tiny_experiment(satellites={"grace": GRACE | satellite}, direct_tracks={"own": track})
    with pytest.raises(ThermodaError) as told:
        read_experiment(path)
    message = str(told.value)
    assert message.startswith(f"{path}, line ")
    assert message.endswith(problem)


def test_that_thinned_means_and_tracks_that_are_no_means_are_accepted(tiny_experiment: WriteExperiment) -> None:
    for satellite, track in ((SMOOTHED, TRACK | {"thinning_s": 900}), (GRACE, TRACK | {"superobbing_s": 60})):
        experiment = experiment_of(tiny_experiment(satellites={"grace": satellite}, direct_tracks={"own": track}))
        assert experiment.satellites["grace"].smoothing_min == satellite.get("smoothing_min", 0.0)


def test_that_all_experiments_of_the_storm_of_2024_assimilate_swarm_a_alone() -> None:
    paths = sorted((EXPERIMENTS / "swarm_2024_10").glob("[!_]*.yaml"))
    assert len(paths) == 6
    for path in paths:
        experiment = experiment_of(path)
        assert experiment.used_satellites == ("swarm_a",)
        assert {name: one.smoothing_min for name, one in experiment.satellites.items()} == {
            "swarm_a": 15.0,
            "swarm_b": 15.0,
        }
        assert experiment.experiment.name == f"swarm_2024_10_{path.stem}"


def test_that_averaging_nrlmsis_alike_lowers_the_scatter_of_real_densities(data_folder: Path) -> None:
    """Of Swarm-A on 8 October 2024, a quiet day; the mean stays, as the densities of whole orbits do."""
    from da.tracks import read_tracks

    whole = read_tracks([data_folder / "density" / "SA_DNS_POD_2024_10_v02.zip"], "swarm_a")
    day = whole.between(np.datetime64("2024-10-08"), np.datetime64("2024-10-09"))
    drivers = load_drivers(np.datetime64("2024-10-05"), np.datetime64("2024-10-10"))
    points, means = (scale_factors(replace(day, smoothing_s=window), Msis(drivers)) for window in (0.0, 900.0))
    assert means.ln_factor.std() < 0.97 * points.ln_factor.std()
    assert abs(means.ln_factor.mean() - points.ln_factor.mean()) < 0.01
