"""Every fault of input or data is one clear line and a non-zero status, and leaves no run of the final name."""

from __future__ import annotations

import errno
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da.cli import main
from model_adapters import registry
from model_adapters.template import TemplateModel, TemplateSettings

TRACK_HEADER = "made by a test\n\n#START\n"


@pytest.fixture
def failing_run(tmp_path: Path, command_line: Callable[..., Any]) -> Callable[[Path], str]:
    """Run an experiment that must fail; return the error after checking that nothing looks like a result."""

    def run(file: Path) -> str:
        error: str = command_line("run", file).error
        assert not (tmp_path / "runs" / "tiny").exists()
        partial = tmp_path / "runs" / "tiny.partial"
        if partial.exists():
            assert "tiny.partial" in command_line("evaluate", partial).error
        return error

    return run


def _with_file(tiny_experiment: Callable[..., Path], file: Path) -> Path:
    return tiny_experiment(satellites={"champ": {"synthetic": None, "files": [str(file)]}})


def _sutton(file: Path, day: int, records: int = 200) -> Path:
    lines = []
    for second, latitude in zip(range(0, 45 * records, 45), np.linspace(-60.0, 60.0, records), strict=True):
        clock = f"{second // 3600:2d} {second // 60 % 60:2d} {second % 60:2d} 0"
        lines.append(f" 2010 04 {day:02d} {clock} 10.0 {latitude:9.5f} 302.0 1.0e-11")
    file.write_text(TRACK_HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_that_the_tiny_experiment_runs_and_is_evaluated(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    assert command_line("run", tiny_experiment()).status == 0
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"tiny"}
    ended = command_line("evaluate", tmp_path / "runs" / "tiny", "--no-figures")
    assert ended.status == 0
    for row in ("MSIS", "calibrated MSIS", "open loop", "forecast", "analysis"):
        assert row in ended.out


def test_that_a_missing_track_file_is_named(
    tmp_path: Path, tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str]
) -> None:
    error = failing_run(_with_file(tiny_experiment, tmp_path / "nowhere.ascii"))
    assert "satellites.champ.files" in error
    assert "nowhere.ascii" in error


def test_that_a_corrupt_zip_is_named(
    tmp_path: Path, tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str]
) -> None:
    file = tmp_path / "track.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("track.txt", "0123456789" * 500)
    content = bytearray(file.read_bytes())
    content[40:60] = b"\xff" * 20
    file.write_bytes(content)
    assert "track.zip" in failing_run(_with_file(tiny_experiment, file))


def test_that_an_empty_track_is_named(
    tmp_path: Path, tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str]
) -> None:
    file = tmp_path / "empty.txt"
    file.write_text(TRACK_HEADER, encoding="utf-8")
    assert "empty.txt" in failing_run(_with_file(tiny_experiment, file))


def test_that_a_malformed_track_names_its_line(
    tmp_path: Path, tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str]
) -> None:
    file = _sutton(tmp_path / "champ.txt", 5)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[10] = lines[10].replace("302.0", "three hundred")
    file.write_text("\n".join(lines), encoding="utf-8")
    error = failing_run(_with_file(tiny_experiment, file))
    assert "champ.txt" in error
    assert "line 11" in error


def test_that_a_track_outside_the_experiment_is_told_with_both_times(
    tmp_path: Path, tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str]
) -> None:
    error = failing_run(_with_file(tiny_experiment, _sutton(tmp_path / "late.txt", 20)))
    assert "2010-04-20" in error
    assert "2010-04-05" in error


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"adapter": "msis_relaxatoin"}}, ("model.adapter", "msis_relaxatoin", "msis_relaxation")),
        (
            {"model": {"adapter": "lorenz96", "settings": {"resolution_deg": None}}},
            ("lorenz96", "temperature"),
        ),
        ({"ensemble": {"members": 0}}, ("ensemble.members", "line")),
        ({"ensemble": {"members": 1}}, ("ensemble.members", "line")),
        (
            {"ensemble": {"perturbations": {"solar_wind_speed": {"standard_deviation": 1.0, "truncation": 3.0}}}},
            ("solar_wind_speed", "f107_sfu"),
        ),
        ({"calibration": {"satellite": "goce"}}, ("goce", "champ")),
        ({"model": {"settings": {"resolution_deg": 30.0, "decay_time_h": 3}}}, ("model.settings.decay_time_h",)),
        ({"experiment": {"start": "2035-01-01T00:00:00Z", "stop": "2035-01-01T01:00:00Z"}}, ("last observed day",)),
        ({"drivers": {"table": "/nowhere/SW-All.csv"}}, ("/nowhere/SW-All.csv",)),
        (
            {"drivers": {"high_latitude_source": "solar_wind", "solar_wind": ["/nowhere/omni.dat"]}},
            ("drivers.high_latitude_source: solar_wind", "msis_relaxation", "leave it out"),
        ),
        ({"drivers": {"hemispheric_power": ["/nowhere/power.txt"]}}, ("drivers.hemispheric_power", "msis_relaxation")),
        (
            {
                "drivers": {"high_latitude_source": "solar_wind", "solar_wind": ["/nowhere/omni.dat"]},
                "model": {"adapter": "template", "settings": {"resolution_deg": None}},
                "ensemble": {"perturbations": {"f107_sfu": None}},
            },
            ("drivers.high_latitude_source: solar_wind", "template", "leave it out"),
        ),
    ],
    ids=lambda value: "",
)
def test_that_impossible_configurations_are_refused_by_name(
    tiny_experiment: Callable[..., Path],
    failing_run: Callable[[Path], str],
    changes: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    error = failing_run(tiny_experiment(**changes))
    for word in words:
        assert word in error


def test_that_a_driver_table_that_ends_too_early_tells_its_last_day(
    tmp_path: Path, tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str]
) -> None:
    experiment = {"start": "2150-01-01T00:00:00Z", "stop": "2150-01-01T01:00:00Z"}
    error = failing_run(tiny_experiment(experiment=experiment, drivers={"allow_predicted": True}))
    assert "SW-" in error
    assert "2150" in error


def _celestrak(file: Path, days: int, predicted_from: int) -> Path:
    """Write a table of Kp 2 and F10.7 100 from 2010-03-25 on, its last days predicted."""
    heading = "DATE," + ",".join(f"KP{i}" for i in range(1, 9)) + ",F10.7_OBS,F10.7_DATA_TYPE,F10.7_OBS_CENTER81"
    first = np.datetime64("2010-03-25")
    rows = [
        f"{first + i}," + "20," * 8 + ("100.0,OBS,100.0" if i < predicted_from else "100.0,PRD,100.0")
        for i in range(days)
    ]
    file.write_text("\n".join([heading, *rows]) + "\n", encoding="ascii")
    return file


def test_that_a_named_table_must_reach_the_end_of_the_experiment(
    tmp_path: Path,
    tiny_experiment: Callable[..., Path],
    failing_run: Callable[[Path], str],
    command_line: Callable[..., Any],
) -> None:
    table = _celestrak(tmp_path / "SW.csv", 20, 20)
    file = tiny_experiment(drivers={"table": str(table)})
    assert command_line("check", file).status == 0
    error = failing_run(tiny_experiment(drivers={"table": str(_celestrak(table, 10, 10))}))
    for word in ("SW.csv", "2010-04-02 to 2010-04-05", "2010-04-04 is not in the table", "2010-04-03"):
        assert word in error


def test_that_predicted_days_are_refused_until_they_are_allowed(
    tmp_path: Path,
    tiny_experiment: Callable[..., Path],
    failing_run: Callable[[Path], str],
    command_line: Callable[..., Any],
) -> None:
    table = str(_celestrak(tmp_path / "SW.csv", 20, 10))
    error = failing_run(tiny_experiment(drivers={"table": table}))
    for word in ("SW.csv", "predicted, not observed", "allow_predicted"):
        assert word in error
    allowed = tiny_experiment(drivers={"table": table, "allow_predicted": True})
    assert command_line("check", allowed).status == 0


def test_that_a_track_of_nan_alone_is_named(
    tmp_path: Path, tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str]
) -> None:
    file = _sutton(tmp_path / "champ.txt", 5)
    file.write_text(file.read_text(encoding="utf-8").replace("1.0e-11", "NaN"), encoding="utf-8")
    error = failing_run(_with_file(tiny_experiment, file))
    assert "champ.txt" in error


def test_that_a_full_disk_stops_the_run_and_leaves_it_partial(
    tiny_experiment: Callable[..., Path], failing_run: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("da.storage.EnsembleFile.append", full)
    error = failing_run(tiny_experiment())
    assert "cannot be written" in error
    assert "No space left on device" in error


def test_that_a_programming_error_keeps_its_type_and_leaves_no_result(
    tmp_path: Path, tiny_experiment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("da.cycle.MemberForecasts.height", broken)
    monkeypatch.setattr("sys.argv", ["thermoda", "run", str(tiny_experiment())])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main()
    assert not (tmp_path / "runs" / "tiny").exists()


class _SickModel(TemplateModel):
    """Its second member is not a number after the first forecast."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        result = super().forecast(states, start, stop, inputs)
        if stop > start:
            result[5, 1] = np.nan
        return result


class _HeavenlyModel(TemplateModel):
    """Its levels have no height, so that no observation can be computed."""

    def height(self, states: Any, time: Any, inputs: Any) -> Any:
        return np.full_like(super().height(states, time, inputs), np.nan)


@pytest.mark.parametrize(
    ("model", "words"),
    [(_SickModel, ("forecast from", "member 1", "temperature")), (_HeavenlyModel, ("observation operator", "nan"))],
)
def test_that_numbers_that_are_not_finite_stop_the_run_with_their_place(
    tiny_experiment: Callable[..., Path],
    failing_run: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
    model: type[TemplateModel],
    words: tuple[str, ...],
) -> None:
    monkeypatch.setitem(registry.ADAPTERS, "sick", registry.Adapter(TemplateSettings, model))
    perturbations = {"f107_sfu": None, "equilibrium_temperature_k": {"standard_deviation": 50.0, "truncation": 150.0}}
    changes: dict[str, Any] = {"adapter": "sick", "settings": {"resolution_deg": None}}
    ensemble = {"perturbations": perturbations, "on_member_failure": {"then": "stop"}}
    error = failing_run(tiny_experiment(model=changes, ensemble=ensemble))
    for word in words:
        assert word in error


def test_that_an_existing_run_is_replaced_on_request_alone(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    file, result = tiny_experiment(), tmp_path / "runs" / "tiny"
    assert command_line("run", file).status == 0
    before = (result / "provenance.json").read_bytes()
    assert "--overwrite" in command_line("run", file).error
    assert (result / "provenance.json").read_bytes() == before
    assert command_line("run", file, "--overwrite").status == 0
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"tiny"}


def test_that_a_folder_that_is_no_run_is_never_replaced(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    precious = tmp_path / "runs" / "tiny" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("three years", encoding="utf-8")
    assert "not the folder of a run" in command_line("run", tiny_experiment(), "--overwrite").error
    assert precious.read_text(encoding="utf-8") == "three years"


def test_that_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    blocked.chmod(stat.S_IREAD)
    file = tiny_experiment(experiment={"output_folder": str(blocked / "runs")})
    assert str(blocked) in command_line("run", file).error


def test_that_an_unfinished_run_is_not_evaluated(tmp_path: Path, command_line: Callable[..., Any]) -> None:
    assert "nowhere" in command_line("evaluate", tmp_path / "nowhere").error
    (tmp_path / "tiny.partial").mkdir()
    assert "tiny.partial" in command_line("evaluate", tmp_path / "tiny.partial").error
