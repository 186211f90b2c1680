"""A run that was interrupted, and gone on with, has the files of one that was not; other runs are refused."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr
from netCDF4 import Dataset

from da.errors import MemberForecastError
from da.recording import RunRecorder
from model_adapters import registry
from model_adapters.msis_relaxation import MsisRelaxation

WriteExperiment = Callable[..., Path]
CommandLine = Callable[..., Any]

LONGER = {
    "experiment": {"stop": "2010-04-05T03:00:00Z"},
    "satellites": {"grace": {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 300}}},
    "direct_tracks": {"late": {"satellite": "grace", "window_min": 60, "relative_error": 0.1}},
    "analysis": {"adaptive_inflation": {}},
    "output": {"interval_min": 20},
}
"""Three hours with adaptive inflation and a track whose records wait for the next analysis."""


def _same_files(one: Path, other: Path) -> bool:
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    for path in one.glob("*.nc"):
        with Dataset(path) as first, Dataset(other / path.name) as second:
            first.set_auto_mask(False)
            second.set_auto_mask(False)
            assert set(first.variables) == set(second.variables)
            for name in first.variables:
                assert first[name][:].tobytes() == second[name][:].tobytes(), (path.name, name)
    return (one / "member_failures.csv").read_bytes() == (other / "member_failures.csv").read_bytes()


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a signal come, once, while a record of a time is written: ``stopped_after("2010-04-05T01:20")``."""
    arranged: dict[tuple[np.datetime64, str], signal.Signals] = {}
    ordinary = RunRecorder.assimilation

    def assimilation(self: RunRecorder, record: Any) -> None:
        ordinary(self, record)
        if number := arranged.pop((record.time, str(record.phase)), None):
            signal.raise_signal(number)

    def arrange(time: str, phase: str = "forecast", number: signal.Signals = signal.SIGUSR1) -> None:
        arranged[np.datetime64(time, "ns"), phase] = number

    monkeypatch.setattr(RunRecorder, "assimilation", assimilation)
    return arrange


def test_that_an_interrupted_run_ends_as_an_uninterrupted_one(
    tiny_experiment: WriteExperiment,
    command_line: CommandLine,
    stopped_after: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    runs, file = tmp_path / "runs", tiny_experiment(**LONGER)
    assert command_line("run", file).status == 0
    (runs / "tiny").rename(runs / "whole")
    stopped_after("2010-04-05T00:40")
    ended = command_line("run", file)
    assert (ended.status, ended.err.startswith("stopped by SIGUSR1 after 2010-04-05T00:40")) == (75, True)
    assert f"python -m da resume {runs / 'tiny'}" in " ".join(ended.err.split())
    assert [one.name for one in sorted((runs / "tiny.partial" / "restart").iterdir())] == [
        "20100405T000000_1_forecast",
        "20100405T004000_1_forecast",
    ]
    refused = command_line("run", file).error
    assert "tiny.partial: is an unfinished run; go on with python -m da resume" in refused
    assert "--overwrite" in refused
    stopped_after("2010-04-05T02:00", "analysis", signal.SIGTERM)
    assert command_line("resume", file).status == 75
    monkeypatch.chdir(tmp_path)
    assert command_line("resume", "runs/tiny.partial").status == 0
    assert _same_files(runs / "tiny", runs / "whole")
    story = json.loads((runs / "tiny" / "provenance.json").read_text(encoding="utf-8"))["interruptions"]
    assert [(one["from"], one["stopped_by"]) for one in story] == [
        ("2010-04-05T00:40:00 (forecast)", "SIGUSR1"),
        ("2010-04-05T02:00:00 (analysis)", "SIGTERM"),
    ]
    again = command_line("resume", runs / "tiny")
    assert (again.status, "is complete already" in again.out) == (0, True)


class _Crashing(MsisRelaxation):
    """Members that crash at some times."""

    AT: ClassVar = {("assimilation", "T00:20"): 0, ("open_loop", "T00:40"): 4, ("assimilation", "T01:40"): 3}

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        result = super().forecast(states, start, stop, inputs)
        number = self.AT.get((inputs.ensemble, str(stop)[10:16]))
        places = np.flatnonzero(inputs.member_numbers(states.shape[1]) == number).tolist()
        if places:
            raise MemberForecastError({places[0]: f"member {number} crashed"}, result)
        return result


@pytest.mark.parametrize(("then", "left"), [("draw", [6, 6]), ("drop", [4, 5])], ids=["draw", "drop"])
def test_that_members_that_failed_are_what_they_became_when_a_run_goes_on(
    tiny_experiment: WriteExperiment,
    command_line: CommandLine,
    stopped_after: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    then: str,
    left: list[int],
) -> None:
    ordinary = registry.ADAPTERS["msis_relaxation"]
    monkeypatch.setitem(registry.ADAPTERS, "crashing", registry.Adapter(ordinary.settings, _Crashing))
    ensemble = {"members": 6, "on_member_failure": {"then": then, "retries_with_half_step": 0}}
    runs, file = tmp_path / "runs", tiny_experiment(**LONGER, model={"adapter": "crashing"}, ensemble=ensemble)
    assert command_line("run", file).status == 0
    (runs / "tiny").rename(runs / "whole")
    # With observations that wait, whose H(x) forgets who was dropped; then right after an analysis.
    for number, (time, phase) in enumerate((("2010-04-05T00:20", "forecast"), ("2010-04-05T02:00", "analysis"))):
        stopped_after(time, phase)
        assert command_line("resume" if number else "run", file).status == 75
    assert command_line("resume", file).status == 0
    assert _same_files(runs / "tiny", runs / "whole")
    for folder in ("tiny", "whole"):
        told = json.loads((runs / folder / "provenance.json").read_text(encoding="utf-8"))
        assert [told["members_left"][name] for name in ("assimilation", "open_loop")] == left
        assert sum(told["member_failures"].values()) == 3


@pytest.fixture
def unfinished(
    tiny_experiment: WriteExperiment,
    command_line: CommandLine,
    stopped_after: Callable[..., None],
    tmp_path: Path,
) -> Path:
    """Return the folder of a run that was stopped, next to the table that it read."""
    from da.drivers.space_weather_table import shipped_tables

    shutil.copyfile(shipped_tables()[0], tmp_path / "indices.txt")
    stopped_after("2010-04-05T00:30")
    assert command_line("run", tiny_experiment(drivers={"table": str(tmp_path / "indices.txt")})).status == 75
    return tmp_path / "runs" / "tiny.partial"


def test_that_another_run_is_refused_with_the_difference(
    unfinished: Path, command_line: CommandLine, tiny_experiment: WriteExperiment, tmp_path: Path
) -> None:
    table = tmp_path / "indices.txt"
    other = tiny_experiment(drivers={"table": str(table)}, analysis={"forgetting_factor": 0.9}, ensemble={"members": 5})
    told = command_line("resume", other).error
    assert "analysis.forgetting_factor was 1.0 and is 0.9" in told
    assert "ensemble.members was 4 and is 5" in told
    content = table.read_bytes()
    table.write_bytes(content + b"\n")
    assert "drivers.table: indices.txt has another content" in command_line("resume", unfinished).error
    table.write_bytes(content)
    same = tiny_experiment(drivers={"table": str(table)}, restart={"every": 3, "keep": 1})
    assert command_line("resume", same).status == 0
    inputs = json.loads((unfinished.with_name("tiny") / "provenance.json").read_text(encoding="utf-8"))["input_files"]
    assert list(inputs["drivers.table"]) == [str(table)]


def test_that_a_damaged_point_is_told_and_the_one_before_it_serves(
    unfinished: Path, command_line: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    points = sorted((unfinished / "restart").iterdir())
    for path in points[-1].glob("members*"):
        path.write_bytes(path.read_bytes()[:-1])
    assert command_line("resume", unfinished).status == 0
    assert "is damaged" in caplog.text
    assert "the restart point before it is tried" in caplog.text
    story = json.loads((unfinished.with_name("tiny") / "provenance.json").read_text(encoding="utf-8"))["interruptions"]
    assert story[0]["from"] == "2010-04-05T00:00:00 (forecast)"
    assert "is damaged" in story[0]["damaged_restart_points"][0]


def test_that_a_run_without_a_usable_point_is_an_error(unfinished: Path, command_line: CommandLine) -> None:
    for path in (unfinished / "restart").glob("*/common*"):
        path.unlink()
    assert "no restart point is left: begin anew" in command_line("resume", unfinished).error


def test_that_a_run_that_was_killed_before_its_first_point_begins_anew(
    unfinished: Path, command_line: CommandLine
) -> None:
    shutil.rmtree(unfinished / "restart")
    assert command_line("resume", unfinished).status == 0
    story = json.loads((unfinished.with_name("tiny") / "provenance.json").read_text(encoding="utf-8"))["interruptions"]
    assert story[0]["from"] == "the begin: there was no restart point"


def test_that_other_code_is_told_and_noted(
    unfinished: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("da.restart_description.code_checksum", lambda: "another")
    assert command_line("resume", unfinished).status == 0
    assert "the code has changed: source was" in caplog.text


def test_that_there_must_be_something_to_resume(command_line: CommandLine, tmp_path: Path) -> None:
    assert "neither a complete nor an unfinished run" in command_line("resume", tmp_path / "nothing").error


def test_that_overwriting_begins_anew_and_no_point_is_left(
    unfinished: Path, command_line: CommandLine, tmp_path: Path
) -> None:
    assert command_line("run", tmp_path / "tiny.yaml", "--overwrite").status == 0
    final = unfinished.with_name("tiny")
    assert json.loads((final / "provenance.json").read_text(encoding="utf-8"))["interruptions"] == []
    assert [path.name for path in final.iterdir() if path.name.startswith(".") or path.is_dir()] == []


def test_that_points_are_written_only_when_asked_for(
    tiny_experiment: WriteExperiment, command_line: CommandLine, stopped_after: Callable[..., None], tmp_path: Path
) -> None:
    stopped_after("2010-04-05T01:00")
    assert command_line("run", tiny_experiment(restart={"every": 0})).status == 75
    partial = tmp_path / "runs" / "tiny.partial"
    assert [one.name for one in (partial / "restart").iterdir()] == ["20100405T010000_1_forecast"]
    with xr.open_dataset(partial / "analysis.nc") as analyses:
        assert analyses.sizes["time"] == 1
