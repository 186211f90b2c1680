"""Free forecasts, open loops by themselves and open loops of other runs: what a run makes besides its analyses."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da.borrowed_open_loop import borrowed_open_loop
from da.cli import main
from da.config import Experiment, read_experiment
from da.cycle import CycleRecord, MemberForecasts, Phase
from da.endings import EXIT_STOPPED
from da.errors import ThermodaError
from da.free_forecasts import FreeForecastPlan, free_forecast, free_forecast_name
from da.key_figures import RunRecord, run_figures
from da.model import FREE_FORECAST, MemberInputs
from da.parallel import SerialCommunicator
from da.reporting import RunProgress
from da.verification import Row, evaluate

HOUR = np.timedelta64(3_600_000_000_000, "ns")
START = np.datetime64("2010-04-05T00:00", "ns")
GRACE = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}
LONGER = {"stop": "2010-04-05T03:00:00Z"}
FREE = {"every_h": 1.0, "length_h": 2.0}
ALONE = {"assimilate": False}
ALONE_TEXT = ""
FREE_TEXT = "free_forecasts: {every_h: 1.0, length_h: 2.0}\n"
TAKEN_TEXT = "open_loop: {from_run: ../alone}\n"
COMMON = """
experiment: {name: common, start: 2010-04-05T00:00:00Z, stop: 2010-04-05T03:00:00Z, seed: 7}
satellites:
  champ: {synthetic: {altitude_km: 302, inclination_deg: 87.3, sampling_s: 120}}
  grace: {synthetic: {altitude_km: 474, inclination_deg: 89.0, sampling_s: 120}}
calibration: {satellite: champ}
data_grid: {longitude_step_deg: 90, latitude_step_deg: 40, altitude_min_km: 200, altitude_step_km: 100}
observation_error: {weight_p0: 4.0, half_life_vertical_km: 100.0}
model: {adapter: msis_relaxation, settings: {resolution_deg: 30.0}}
ensemble:
  members: 4
  spin_up_days: 0.0
  perturbations: {f107_sfu: {standard_deviation: 8.0, truncation: 24.0}}
analysis: {interval_h: 1.0, localization: {cutoff_radius_cells: 4.0, weighting: uniform}}
output: {interval_min: 30}
"""
Write = Callable[..., Path]
Command = Callable[..., Any]


def written(folder: Path, name: str) -> xr.Dataset:
    with xr.open_dataset(folder / name, engine="netcdf4") as dataset:
        return dataset.load()


def fault(path: Path) -> str:
    with pytest.raises(ThermodaError) as found:
        read_experiment(path)
    return str(found.value)


def whole(tiny_experiment: Write, **changes: Any) -> Path:
    """Write the tiny experiment with three hours and two satellites."""
    changes["experiment"] = LONGER | changes.get("experiment", {})
    return tiny_experiment(satellites={"grace": GRACE}, **changes)


def made(folder: Path, text: str, *command: str) -> int:
    """Write an experiment that inherits the common one, into a file of the folder's name, and run it."""
    file = folder.parent / f"{folder.name}.yaml"
    section = f"inherits: common.yaml\nexperiment: {{output_folder: {folder}"
    file.write_text(f"{section}{', assimilate: false' if text == ALONE_TEXT else ''}}}\n{text}", encoding="utf-8")
    kept, sys.argv = sys.argv, ["thermoda", *(command or ("run", str(file)))]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = kept
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs of three hours: an open loop alone, one with free forecasts, one with another's loop."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "common.yaml").write_text(COMMON, encoding="utf-8")
    for name, text in (("alone", ALONE_TEXT), ("free", FREE_TEXT), ("taken", TAKEN_TEXT)):
        assert made(folder / name, text) == 0
    return folder


def test_that_a_free_forecast_begins_with_the_analysis_and_goes_on_as_the_cycle_does_up_to_the_next_one(
    runs: Path,
) -> None:
    folder = runs / "free"
    forecast, analysis = written(folder, "forecast.nc"), written(folder, "analysis.nc")
    names = sorted(path.name for path in folder.glob("*free_forecast*"))
    # From the last analysis on there are neither drivers nor densities.
    assert names == [f"free_forecast_20100405T0{hour}0000.nc" for hour in (0, 1, 2)]
    for number, name in enumerate(names):
        free, start = written(folder, name), START + number * HOUR
        assert free.sizes["time"] == (5 if number < 2 else 3)
        before_next = forecast.sel(time=slice(start + np.timedelta64(1, "ns"), start + HOUR))
        for variable in ("density", "density_spread", "temperature", "data_grid_density"):
            np.testing.assert_array_equal(free[variable][0], analysis[variable].sel(time=start))
            np.testing.assert_array_equal(free[variable][1:3], before_next[variable])
        if number < 2:
            assert (free["density"][4] != forecast["density"].sel(time=start + 2 * HOUR)).any()


def test_that_free_forecasts_are_scored_by_lead_time_with_all_baselines(runs: Path, command_line: Command) -> None:
    folder = runs / "free"
    ended = command_line("evaluate", folder, "--no-figures")
    assert ended.status == 0
    assert "3 free forecasts" in ended.out
    assert "free forecasts know the indices and the solar wind of their own time" in " ".join(ended.out.split())
    scores = written(folder, "evaluation.nc").set_xindex("lead_time_name").set_xindex("row_name")
    assert scores["lead_time_name"].to_numpy().tolist() == ["0 to 1 h", "1 to 3 h"]
    baselines = ["MSIS", "calibrated MSIS", "persisted scale factor", "open loop", "forecast"]
    assert np.isfinite(scores["free_forecast_rms_log_ratio"].sel(row_name=baselines)).all()
    kept = run_figures(RunRecord("free", "complete", 1.0, 1.0, {}), written(folder, "evaluation.nc"))
    assert kept["free_forecast_rms_log_ratio"].dims == ("run", "satellite", "lead_time", "row")
    np.testing.assert_array_equal(kept["lead_time_name"], scores["lead_time_name"])
    for number, satellite in enumerate(evaluate(folder).satellites):
        assert scores["free_forecast_number"].sel(lead_time_name="0 to 1 h", row_name="MSIS")[number] == (
            satellite.points.time.size
        )


@pytest.mark.parametrize(
    ("one", "other", "files"),
    [
        ({"every_h": 1.0}, {"every_h": 2.0}, 2),
        ({"start": ["2010-04-05T01:00:00Z"]}, {"start": ["2010-04-05T00:00:00Z", "2010-04-05T02:00:00Z"]}, 2),
    ],
)
def test_that_the_starts_act(tiny_experiment: Write, one: Any, other: Any, files: int) -> None:
    plans = [
        FreeForecastPlan.of(read_experiment(whole(tiny_experiment, free_forecasts=content))[0])
        for content in (one, other)
    ]
    assert plans[0].starts != plans[1].starts
    assert len(plans[1].starts) == files


def test_that_length_and_interval_act_and_the_end_of_the_run_cuts(tiny_experiment: Write) -> None:
    content = {"every_h": 1.0, "length_h": 2.0, "interval_min": 40}
    plan = FreeForecastPlan.of(read_experiment(whole(tiny_experiment, free_forecasts=content))[0])
    forecasts = MemberForecasts(SerialCommunicator(), None, MemberInputs({}), 0)  # type: ignore[arg-type]

    def times(hour: int) -> list[int]:
        record = CycleRecord(START + hour * HOUR, Phase.ANALYSIS, np.zeros((1, 2)), forecasts)
        found = plan.schedule(record)
        return [] if found is None else ((found.output_times - START) / HOUR * 60).astype(int).tolist()

    assert times(0) == [0, 40, 80, 120]
    assert times(2) == [120, 160]
    assert times(3) == []
    forecast = CycleRecord(START, Phase.FORECAST, np.zeros((1, 2)), forecasts)
    assert plan.schedule(forecast) is None


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"free_forecasts": {"length_h": 2}}, "free_forecasts: give either 'start' or 'every_h'"),
    ({"free_forecasts": {"every_h": 1, "start": ["2010-04-05T00:00:00Z"]}}, "free_forecasts: give either"),
    ({"free_forecasts": {"every_h": 1.5}}, "free_forecasts.every_h: must be a multiple of analysis.interval_h (1 h)"),
    ({"free_forecasts": {"every_h": 1, "length_h": 1.1}}, "free_forecasts.length_h: must be a multiple of the time"),
    (
        {"free_forecasts": {"start": ["2010-04-05T00:30:00Z"]}},
        "free_forecasts.start.0: must be the time of an analysis before experiment.stop",
    ),
    ({"free_forecasts": {"start": ["2010-04-05T03:00:00Z"]}}, "free_forecasts.start.0: must be the time"),
    (
        {"free_forecasts": {"start": ["2010-04-05T02:00:00Z", "2010-04-05T01:00:00Z"]}},
        "free_forecasts.start: must increase",
    ),
    ({"free_forecasts": {"every_h": 1, "lenght_h": 1}}, "lenght_h: not a key; did you mean length_h?"),
    (
        {"experiment": ALONE, "free_forecasts": FREE},
        "free_forecasts: have no analyses to start from: experiment.assimilate: false makes the open loop alone",
    ),
    ({"experiment": ALONE, "open_loop": {"from_run": "../a"}}, "open_loop.from_run: leaves nothing to run"),
    (
        {
            "experiment": ALONE,
            "direct_tracks": {"g": {"satellite": "grace", "window_min": 30, "relative_error": 0.1}},
        },
        "direct_tracks: are not assimilated",
    ),
    (
        {
            "experiment": ALONE,
            "expect": [{"satellite": "champ", "row": "analysis", "statistic": "rmse", "value": 1.0, "tolerance": 1.0}],
        },
        "expect.0.row: has no 'analysis'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS, ids=[message[:45] for _, message in FAULTS])
def test_that_what_cannot_be_is_told_with_its_key(
    tiny_experiment: Write, changes: dict[str, Any], message: str
) -> None:
    assert message in fault(whole(tiny_experiment, **changes))


def test_that_a_run_without_assimilation_makes_the_same_open_loop_and_nothing_else(
    runs: Path, command_line: Command
) -> None:
    both, alone = runs / "free", runs / "alone"
    names = {path.name for path in alone.iterdir()}
    assert not names & {"forecast.nc", "analysis.nc", "observations.nc", "filter.nc"}
    assert {"open_loop.nc", "calibration.nc", "track_champ.nc", "track_grace.nc"} <= names
    xr.testing.assert_identical(written(alone, "open_loop.nc"), written(both, "open_loop.nc"))
    assert written(alone, "track_champ.nc").attrs["role"] == "calibrating"
    assert written(alone, "track_grace.nc").attrs["role"] == "independent"

    here, there = evaluate(alone), evaluate(both)
    rows = (Row.MSIS, Row.CALIBRATED_MSIS, Row.PERSISTED, Row.OPEN_LOOP)
    for one, other in zip(here.satellites, there.satellites, strict=True):
        assert tuple(one.modelled) == rows
        np.testing.assert_array_equal(one.points.time, other.points.time)
        for row in rows:
            np.testing.assert_array_equal(one.modelled[row], other.modelled[row])
    ended = command_line("evaluate", alone)
    assert ended.status == 0, ended.err
    assert "is the open loop better?" in ended.out
    scores = written(alone, "evaluation.nc").set_xindex("row_name")["rmse_kg_m3"].sel(group=0)
    assert np.isnan(scores.sel(row_name=["forecast", "analysis"])).all()
    assert np.isfinite(scores.sel(row_name=list(rows))).all()


def test_that_the_open_loop_of_another_run_is_taken_as_it_is_and_told(runs: Path) -> None:
    source, taken = runs / "alone", runs / "taken"
    assert (taken / "open_loop.nc").read_bytes() == (source / "open_loop.nc").read_bytes()
    provenance = json.loads((taken / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["open_loop_from"] == {"run": "common", "folder": str(source)}
    assert "open loop forecast" not in provenance["phase_seconds"]
    assert str(source / "open_loop.nc") in provenance["input_files"]["open_loop.from_run"]
    evaluation, own = evaluate(taken), evaluate(runs / "free")
    assert "the row open loop is that of run common" in evaluation.notes
    for one, other in zip(evaluation.satellites, own.satellites, strict=True):
        assert tuple(one.modelled) == tuple(Row)
        for row in Row:
            np.testing.assert_array_equal(one.modelled[row], other.modelled[row])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiment": {"seed": 8}}, "has another open loop than this experiment: experiment.seed is 7 there and 8"),
        ({"ensemble": {"members": 5}}, "ensemble.members is 4 there and 5 here"),
        ({"model": {"settings": {"resolution_deg": 15.0}}}, "model.settings.resolution_deg is 30.0 there and 15.0"),
        ({"output": {"composition": False}}, "output.composition is True there and False here"),
        ({"data_grid": {"altitude_step_km": 50}}, "data_grid.altitude_step_km is 100.0 there and 50.0 here"),
        ({"calibration": {"msis_version": "2.0"}}, "calibration.msis_version is 2.1 there and 2.0 here"),
        ({"open_loop": {"from_run": "../lost"}}, "lost: is not a complete run; run that experiment first"),
    ],
)
def test_that_an_open_loop_that_is_not_this_one_is_refused(
    tiny_experiment: Write, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "runs" / "source"
    folder.mkdir(parents=True)
    (folder / "open_loop.nc").touch()
    experiment = read_experiment(tiny_experiment(experiment=ALONE))[0]
    content = {"name": "source", "configuration": json.loads(experiment.model_dump_json())}
    (folder / "provenance.json").write_text(json.dumps(content), encoding="utf-8")
    taking = {"open_loop": {"from_run": "../source"}}
    same = borrowed_open_loop(read_experiment(tiny_experiment(**taking))[0])
    assert same is not None
    assert (same.folder, same.name) == (folder, "source")
    with pytest.raises(ThermodaError, match=re.escape(message)):
        borrowed_open_loop(read_experiment(tiny_experiment(**(taking | changes)))[0])


@pytest.mark.parametrize(("text", "straight"), [("ALONE", "alone"), ("TAKEN", "free")])
def test_that_runs_are_resumed_to_the_same_files(
    runs: Path, monkeypatch: pytest.MonkeyPatch, text: str, straight: str
) -> None:
    content = ALONE_TEXT if text == "ALONE" else f"{TAKEN_TEXT}{FREE_TEXT}"

    def stop_at(self: RunProgress, total: int, done: int, text: str) -> None:
        if done == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    folder = runs / f"resumed_{straight}"
    with monkeypatch.context() as patched:
        patched.setattr(RunProgress, "update", stop_at)
        assert made(folder, content) == EXIT_STOPPED
    assert made(folder, content, "resume", str(folder)) == 0
    files = sorted(path.name for path in (runs / straight).glob("*.nc") if path.name != "evaluation.nc")
    assert files == sorted(path.name for path in folder.glob("*.nc"))
    for name in files:
        xr.testing.assert_identical(written(folder, name), written(runs / straight, name))


class FilesModel:
    """Counts what is asked of a model whose members live in files."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def begin(self, time: np.datetime64, inputs: MemberInputs, source: str) -> None:
        self.asked.append(("begin", inputs.ensemble, source))

    def discard(self, ensemble: str) -> None:
        self.asked.append(("discard", ensemble))

    def forecast(self, states: np.ndarray, start: Any, stop: Any, inputs: MemberInputs) -> np.ndarray:
        return states.copy()

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_that_members_in_files_branch_off_and_are_removed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import da.cycle
    from da.cycle import Forecasted, Schedule

    def advance(self: MemberForecasts, states: np.ndarray, *_: Any) -> Forecasted:
        return Forecasted(states, self)

    monkeypatch.setattr(da.cycle.MemberForecasts, "advance", advance)
    model = FilesModel()
    forecasts = MemberForecasts(SerialCommunicator(), model, MemberInputs({}, ensemble="assimilation"), 0)  # type: ignore[arg-type]
    analysed = CycleRecord(START, Phase.ANALYSIS, np.ones((3, 2)), forecasts)
    records = list(free_forecast(analysed, Schedule(START, START + 2 * HOUR, HOUR, HOUR)))
    assert [record.time for record in records] == [START, START + HOUR, START + 2 * HOUR]
    assert {record.forecasts.inputs.ensemble for record in records} == {FREE_FORECAST}
    assert model.asked == [("begin", FREE_FORECAST, "assimilation"), ("discard", FREE_FORECAST)]


def test_that_the_name_of_a_file_is_its_start() -> None:
    assert free_forecast_name(START + HOUR // 2) == "free_forecast_20100405T003000"


def test_that_an_experiment_tells_what_it_makes(tiny_experiment: Write, command_line: Command) -> None:
    ended = command_line("check", whole(tiny_experiment, experiment=ALONE))
    assert ended.status == 0, ended.err
    assert "nothing: the open loop alone; champ calibrates NRLMSIS" in " ".join(ended.out.split())
    told = command_line("check", whole(tiny_experiment, free_forecasts=FREE | {"length_h": 1.0}))
    assert "3, of at most 1 h, with the drivers of their own time" in " ".join(told.out.split())


def test_that_used_satellites_are_those_of_analyses(tiny_experiment: Write) -> None:
    experiment: Experiment = read_experiment(whole(tiny_experiment, experiment=ALONE))[0]
    assert experiment.used_satellites == ()
