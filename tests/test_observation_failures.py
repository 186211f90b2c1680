"""Runs whose observations fail: gaps, tracks that end early, wrong units, satellites that disagree, lost files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da.config import read_experiment
from da.drivers import load_drivers
from da.execution import schedule
from da.observation_plan import observation_plan
from da.preparation import prepare
from da.tracks import DensityTrack
from da.twin import AnalyticOrbit, TwinTruth, synthetic_track
from da.twin_config import TwinSection

WriteExperiment = Callable[..., Path]
CommandLine = Callable[..., Any]
START = np.datetime64("2010-04-05T00:00:00", "ns")
HOUR = np.timedelta64(3600_000_000_000, "ns")

HEADER = """\
# Column  1:         Date (yyyy-mm-dd)
# Column  2:         Time (hh:mm:ss.sss)
# Column  3:         Time system: UTC or GPS (differs per mission)
# Column  4:  f10.3  Altitude (m), GRS80
# Column  5:  f13.8  Geodetic longitude (deg), GRS80
# Column  6:  f13.8  Geodetic latitude (deg), GRS80
# Column  7:  e15.8  Density derived from GPS accelerations (kg/m3)
"""
LONG = {"experiment": {"stop": "2010-04-05T12:00:00Z"}, "output": {"interval_min": 60}}
CHAMP_MISSES = ((4.0, 8.5), (11.0, 99.0))
"""Hours without densities of CHAMP: the analyses of 5 to 8 h and of 12 h have none."""


def write_track(
    path: Path, track: DensityTrack, missing: tuple[tuple[float, float], ...] = (), factor: float = 1.0
) -> str:
    hours = (track.time - START) / HOUR
    keep = ~np.any([(hours >= first) & (hours < last) for first, last in (*missing, (0.0, 0.0))], axis=0)
    lines = [
        f"{time[:10]} {time[11:]} UTC {1e3 * altitude:.3f} {longitude:.8f} {latitude:.8f} {factor * density:.8e}"
        for time, altitude, longitude, latitude, density in zip(
            np.datetime_as_string(track.time[keep], unit="ms").tolist(),
            track.altitude_km[keep],
            track.longitude[keep],
            track.latitude[keep],
            track.density[keep],
            strict=True,
        )
    ]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def tracks() -> dict[str, DensityTrack]:
    """Twelve hours of both satellites, with a margin of three, through a truth of their own."""
    drivers = load_drivers(START - 24 * HOUR, START + 24 * HOUR)
    truth = TwinTruth(drivers, TwinSection().settings(), 7)
    return {
        name: synthetic_track(
            name,
            AnalyticOrbit(altitude_km, 89.0, node_deg, 0.0, START),
            truth,
            START - 3 * HOUR,
            START + 15 * HOUR,
            rng=np.random.default_rng(1),
            step_s=120.0,
        )
        for name, altitude_km, node_deg in (("champ", 302.0, 0.0), ("grace", 474.0, 90.0))
    }


@dataclass
class Runs:
    """Writes the files of both satellites, and runs experiments with them."""

    folder: Path
    tracks: dict[str, DensityTrack]
    write: WriteExperiment
    command_line: CommandLine

    def files(self, **champ: Any) -> dict[str, Any]:
        return {
            "champ": {
                "synthetic": None,
                "files": [write_track(self.folder / "champ.txt", self.tracks["champ"], **champ)],
            },
            "grace": {"files": [write_track(self.folder / "grace.txt", self.tracks["grace"])]},
        }

    def experiment(self, *, missing: tuple[tuple[float, float], ...] = CHAMP_MISSES, **changes: Any) -> Path:
        calibration = {"margin_h": 3.0} | changes.pop("calibration", {})
        satellites = changes.pop("satellites", None) or self.files(missing=missing)
        return self.write(satellites=satellites, calibration=calibration, **LONG, **changes)

    def run(self, **changes: Any) -> tuple[str, Path, dict[str, Any]]:
        """Return what was printed, the folder, and what the provenance says of the observations."""
        ended = self.command_line("run", self.experiment(**changes), "--overwrite")
        assert ended.status == 0, ended.err
        folder = self.folder / "runs" / "tiny"
        return " ".join(ended.out.split()), folder, json.loads((folder / "provenance.json").read_text())["observations"]


@pytest.fixture
def runs(
    tmp_path: Path, tracks: dict[str, DensityTrack], tiny_experiment: WriteExperiment, command_line: CommandLine
) -> Runs:
    return Runs(tmp_path, tracks, tiny_experiment, command_line)


def hours_of(path: Path) -> list[float]:
    with xr.open_dataset(path) as dataset:
        return [float(hours) for hours in (dataset["time"].to_numpy() - START) / HOUR]


MISSING = [5, 6, 7, 8, 12]
OBSERVED = [0, 1, 2, 3, 4, 9, 10, 11]


def test_that_by_default_a_run_goes_on_as_a_forecast_where_densities_are_missing_and_says_so(
    runs: Runs, command_line: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    printed, folder, told = runs.run()
    sentences = [
        "nothing is assimilated from 2010-04-05T05:00:00 to 2010-04-05T08:00:00 (4 of 13 analyses)",
        "nothing is assimilated from 2010-04-05T12:00:00 to 2010-04-05T12:00:00 (1 of 13 analyses)",
    ]
    assert all(f"warning: {one}" in printed for one in sentences)
    assert [record.getMessage() for record in caplog.records if "assimilated" in record.getMessage()] == sentences
    assert [one["analyses"] for one in told["skipped"]] == [4, 1]
    assert [one["from"] for one in told["gaps"]] == ["2010-04-05T04:08:00", "2010-04-05T11:08:00"]
    assert told["warnings"] == sentences
    for name in ("observations.nc", "filter.nc"):
        assert hours_of(folder / name) == OBSERVED
        with xr.open_dataset(folder / name) as dataset:
            assert dataset.attrs["analyses_without_observations"] == 5
            assert dataset.attrs["times_without_observations"].split()[0] == "2010-04-05T05:00:00"
    # An analysis without observations is the forecast.
    assert hours_of(folder / "analysis.nc") == list(range(13))
    with xr.open_dataset(folder / "analysis.nc") as after, xr.open_dataset(folder / "forecast.nc") as before:
        same = (after["density"] == before["density"]).all(dim=("level", "lat", "lon")).to_numpy()
    assert np.flatnonzero(same).tolist() == MISSING
    with xr.open_dataset(folder / "calibration.nc") as dataset:
        assert dataset.attrs["gaps_not_filled"] == 1
        assert "outliers" in dataset
    with xr.open_dataset(folder / "track_grace.nc") as dataset:
        hours = (dataset["time"].to_numpy() - START) / HOUR
        held = dataset["scale_factor_state"].to_numpy() == 3
        assert np.array_equal(held, ((hours > 4.14) & (hours < 8.33)) | (hours > 11.14))
        assert np.isfinite(dataset["density_calibrated_msis"]).all()
    ended = command_line("evaluate", folder, "--no-figures")
    assert ended.status == 0, ended.err


def test_that_the_factor_persists_with_growing_errors_where_that_is_asked_for(runs: Runs) -> None:
    def persisting(relaxation_time_h: float | str) -> dict[str, Any]:
        section = {"relaxation_time_h": relaxation_time_h, "standard_deviation": 0.5}
        return {"calibration": {"gaps": {"then": "persist", "persistence": section}}}

    printed, folder, told = runs.run(**persisting(4.0))
    assert hours_of(folder / "observations.nc") == list(range(13))
    with xr.open_dataset(folder / "observations.nc") as dataset:
        words = dataset["source"].attrs["flag_meanings"].split()
        assert words == ["NRLMSIS_2.1_calibrated_along_champ", "NRLMSIS_2.1_calibrated_along_champ_persisted"]
        assert np.flatnonzero((dataset["source"].to_numpy() == 1).all(axis=1)).tolist() == MISSING
        ratio = (dataset["error_standard_deviation"] / dataset["density"]).to_numpy().mean(axis=1)
    assert (np.diff(ratio[4:9]) > 0.0).all()
    assert ratio[9] < ratio[5]
    assert "5 of 13 analyses use a scale factor that persists" in printed
    assert told["persistence"] == {"relaxation_time_h": 4.0, "standard_deviation": 0.5}
    assert (told["skipped"], len(told["persisted"])) == ([], 5)
    slowly = prepare(read_experiment(runs.experiment(**persisting(40.0)))[0])
    batch = slowly.data_grid.batch(START + 8 * HOUR)
    assert np.mean(batch.error_standard_deviation / batch.values) < ratio[8]
    estimated = prepare(read_experiment(runs.experiment(missing=(), **persisting("estimated")))[0])
    persistence = estimated.factor.persistence
    assert persistence is not None
    assert persistence.standard_deviation == 0.5
    assert 1.0 < persistence.relaxation_time_h < 1000.0


def test_that_another_satellite_takes_over_and_disagreement_is_told(runs: Runs) -> None:
    satellites = runs.files(missing=CHAMP_MISSES, factor=2.0)
    printed, folder, told = runs.run(satellites=satellites, calibration={"gaps": {"then": "grace"}})
    with xr.open_dataset(folder / "observations.nc") as dataset:
        words = dataset["source"].attrs["flag_meanings"].split()
        number = dataset["source"].to_numpy()[:, 0].astype(int)
    expected = ["grace" if hour in MISSING else "champ" for hour in range(13)]
    assert [words[one].rpartition("_")[2] for one in number] == expected
    assert "5 of 13 analyses use the scale factor of grace" in printed
    assert len(told["along_grace"]) == 5
    (agreement,) = told["agreement"]
    assert agreement["satellites"] == ["champ", "grace"]
    assert agreement["ln_ratio"] == pytest.approx(np.log(2.0), abs=0.3)
    assert "warning: satellites disagree: scale factors of champ are" in printed
    with xr.open_dataset(folder / "track_grace.nc") as dataset:
        assert dataset.attrs["role"] == "assimilated"
        assert set(dataset["scale_factor_state"].to_numpy().tolist()) == {0, 2}


def test_that_a_gap_ends_the_run_before_it_begins_where_that_is_asked_for(
    runs: Runs, command_line: CommandLine
) -> None:
    stop: dict[str, Any] = {"calibration": {"gaps": {"then": "stop"}}}
    assert (
        "champ: no scale factor from 2010-04-05T04:08:00 to 2010-04-05T08:20:00 (4.2 h) for want of densities"
        in command_line("check", runs.experiment(**stop)).error
    )
    assert command_line("check", runs.experiment(missing=(), **stop)).status == 0
    longer: dict[str, Any] = {"calibration": {"gaps": {"then": "stop", "longest_filled_h": 5.0}}}
    assert command_line("check", runs.experiment(missing=((4.0, 8.5),), **longer)).status == 0


def test_that_check_tells_of_gaps_and_that_nothing_at_all_is_refused(runs: Runs, command_line: CommandLine) -> None:
    ended = command_line("check", runs.experiment())
    assert "WARNING: nothing is assimilated from 2010-04-05T05:00:00" in " ".join(ended.out.replace("│", " ").split())
    # The window of the direct track holds densities at no analysis.
    path = runs.write(
        satellites=runs.files(missing=((5.4, 5.6), (6.4, 6.6))),
        calibration={"margin_h": 3.0},
        data_grid={"assimilate": False},
        direct_tracks={"own": {"satellite": "champ", "window_min": 6, "relative_error": 0.1}},
        experiment={"start": "2010-04-05T05:30:00Z", "stop": "2010-04-05T06:30:00Z"},
        output={"interval_min": 60},
    )
    error = command_line("check", path).error
    assert "none of the 2 analyses from 2010-04-05T05:30:00 to 2010-04-05T06:30:00 has an observation: champ" in error


@pytest.mark.parametrize(("factor", "words"), [(1e-3, "g cm-3"), (1e12, "ng m-3"), (1e-12, "scaled twice")])
def test_that_one_file_in_another_unit_is_named_among_many(
    runs: Runs, command_line: CommandLine, factor: float, words: str
) -> None:
    grace = runs.tracks["grace"]
    half = START + 6 * HOUR
    parts = [grace.between(grace.time[0], half), grace.between(half, grace.time[-1])]
    files = [
        write_track(runs.folder / "first.txt", parts[0]),
        write_track(runs.folder / "second.txt", parts[1], (), factor),
    ]
    satellites = runs.files() | {"grace": {"files": files}}
    message = command_line("run", runs.experiment(satellites=satellites)).error
    assert "second.txt: its densities are " in message
    assert f"a factor of about 10^{round(np.log10(factor))}" in message
    assert words in message


def test_that_satellites_that_disagree_end_the_run_where_that_is_asked_for(
    runs: Runs, command_line: CommandLine
) -> None:
    track = {"own": {"satellite": "grace", "window_min": 60, "relative_error": 0.1}}
    satellites = runs.files(factor=2.0)
    stop = {"then": "stop"}
    for more, refused in (({}, True), ({"accepted": 2.0}, False), ({"threshold": 1e3}, False)):
        path = runs.experiment(satellites=satellites, direct_tracks=track, calibration={"disagreement": stop | more})
        ended = command_line("check", path)
        assert ended.status == (2 if refused else 0), ended.err
        assert ("calibration.disagreement.then is 'stop'" in ended.err) == refused


def test_that_lost_files_are_named(runs: Runs, command_line: CommandLine) -> None:
    satellites = runs.files()
    satellites["champ"]["files"].append(str(runs.folder / "lost_*.txt"))
    assert (
        "satellites.champ.files: there is no file" in command_line("run", runs.experiment(satellites=satellites)).error
    )
    (runs.folder / "lost_1.txt").write_text("")
    assert "lost_1.txt" in command_line("run", runs.experiment(satellites=satellites)).error


def test_that_spikes_of_direct_tracks_are_left_out_where_that_is_asked_for(runs: Runs) -> None:
    grace = runs.tracks["grace"]
    spiked = np.arange(grace.time.size) % 40 == 7
    broken = replace(grace, density=np.where(spiked, 5.0 * grace.density, grace.density))
    satellites = runs.files() | {"grace": {"files": [write_track(runs.folder / "spikes.txt", broken)]}}
    section = {"satellite": "grace", "window_min": 60, "relative_error": 0.1}
    for leave_out in (False, True):
        track = {"own": section | {"leave_out_outliers": leave_out}}
        experiment, _ = read_experiment(runs.experiment(satellites=satellites, direct_tracks=track))
        step_one = prepare(experiment)
        plan = observation_plan(experiment, step_one, schedule(experiment))
        times = schedule(experiment).output_times
        due = [plan.due(time, after) for time in times for after in (False, True)]
        given = np.concatenate([one.batch.values for batches in due for one in batches if one.source == "own"])
        written = np.isin(np.round(given, 18), np.round(broken.density[spiked], 18))
        inside = (broken.time > START - HOUR) & (broken.time <= START + 12 * HOUR)
        assert np.count_nonzero(written) == (0 if leave_out else np.count_nonzero(spiked & inside))
        assert (plan.outliers["own"] >= np.count_nonzero(spiked & inside)) == leave_out
