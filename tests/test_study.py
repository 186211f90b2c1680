"""Studies: what is run, what is left alone, what becomes of failures, and the figures of all runs together."""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da import key_figures, study_runs
from da.cli import main
from da.doctor import find_launcher
from da.errors import ThermodaError
from da.key_figures import RunRecord, collect, run_figures, update, write_run_figures
from da.study import study_files
from da.study_runs import Launch

GRACE = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}
ROW = {"row_name": "forecast", "group_name": "all"}


def in_this_process(command: list[str], stdout: Any, **_: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as a study would in a process of its own."""
    arguments, kept = command[command.index("da") + 1 :], sys.argv
    sys.argv = ["thermoda", *arguments]
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stdout), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = kept
    return subprocess.CompletedProcess(command, int(ended.value.code or 0))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let runs be made in this process; return the commands that were started."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return in_this_process(command, **options)

    monkeypatch.setattr(
        study_runs, "subprocess", SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    )
    return commands


@pytest.fixture
def study(tmp_path: Path, tiny_experiment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write experiments that inherit the tiny one, by name, into the folder of a study; None removes one."""
    folder = tmp_path / "trials"
    folder.mkdir()
    tiny_experiment(satellites={"grace": GRACE}).rename(folder / "_tiny.yaml")
    monkeypatch.chdir(tmp_path)
    # Where files are looked for is told in errors.
    monkeypatch.delenv("THERMODA_DATA", raising=False)

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            head = f"inherits: _tiny.yaml\nexperiment: {{name: {name}, output_folder: runs/trials/{name}}}\n"
            (folder / f"{name}.yaml").write_text(head + text, encoding="utf-8")
        return folder

    return write


def made(folder: Path) -> int:
    return (folder / "provenance.json").stat().st_mtime_ns


def test_that_a_study_runs_evaluates_and_records_all_and_goes_on_after_a_failure(
    study: Callable[..., Path], started: list[list[str]], command_line: Callable[..., Any], tmp_path: Path
) -> None:
    lost = "satellites: {champ: {synthetic: null, files: [lost.txt]}}\n"
    folder = study(a="", b=lost, c="analysis: {forgetting_factor: 0.9}\nsatellites: {grace: null}\n")
    ended = command_line("study", folder)
    runs = tmp_path / "runs" / "trials"
    assert ended.error == "runs/trials: 1 of 3 runs failed or missed figures: b"
    assert [command[-1] for command in started] == [str(folder / f"{name}.yaml") for name in "abc"]
    assert "b: satellites.champ.files: there is no file lost.txt" in ended.out
    assert "there is no file lost.txt" in (runs / "logs" / "b.log").read_text(encoding="utf-8")
    words = ended.out.split()
    assert words.count("(assimilated)") == 2
    assert words.count("(independent)") == 1
    assert "failed at 0 %" in ended.out

    figures = collect(runs)
    assert figures["run_name"].to_numpy().tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(figures["completion"], [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(figures["analysis_forgetting_factor"], [1.0, 1.0, 0.9])
    assert figures["satellites_champ_files"].to_numpy().tolist() == ["[]", '["lost.txt"]', "[]"]
    for number, name in ((0, "a"), (2, "c")):
        scores = json.loads((runs / name / "evaluation.json").read_text(encoding="utf-8"))["satellites"]
        for one in scores:
            along = figures.isel(run=number).sel(satellite_name=one["satellite"], group_name="all")
            for row, statistics in one["scores"]["all"].items():
                assert float(along["rms_log_ratio"].sel(row_name=row)) == statistics["rms_log_ratio"]
    assert np.isnan(figures["rms_log_ratio"].sel(run_name="c", satellite_name="grace", **ROW))
    assert np.isnan(figures["rms_log_ratio"].sel(run_name="b")).all()

    before = [made(runs / name) for name in "ac"]
    again = command_line("study", folder, "--only", "a", "--only", "c.yaml")
    assert again.status == 0
    assert len(started) == 3
    assert [made(runs / name) for name in "ac"] == before
    assert collect(runs).sizes["run"] == 3
    table = command_line("study", folder, "--table-only")
    assert table.status == 0
    assert "failed at 0 %" in table.out


def test_that_a_complete_run_of_another_configuration_is_replaced_only_on_demand(
    study: Callable[..., Path], started: list[list[str]], command_line: Callable[..., Any], tmp_path: Path
) -> None:
    folder = study(a="")
    assert command_line("study", folder).status == 0
    study(a="model: {settings: {resolution_deg: 30}}\n")
    assert command_line("study", folder).status == 0
    assert len(started) == 1
    study(a="ensemble: {members: 5}\n")
    error = command_line("study", folder).error
    assert error.startswith("runs/trials/a: is a complete run of another configuration than ")
    assert "ensemble.members is 4 there and 5 here" in error
    assert len(started) == 1
    assert "other configuration" in command_line("study", folder, "--table-only").out
    assert command_line("study", folder, "--overwrite").status == 0
    assert "--overwrite" in started[1]
    assert json.loads((tmp_path / "runs/trials/a/provenance.json").read_text())["members"] == 5
    assert command_line("study", folder, "--overwrite").status == 0
    assert len(started) == 2


def test_that_figures_that_were_expected_otherwise_end_a_study_with_an_error(
    study: Callable[..., Path], started: list[list[str]], command_line: Callable[..., Any]
) -> None:
    expected = "{satellite: champ, row: MSIS, statistic: rms_log_ratio, value: VALUE, tolerance: 0.2}"
    folder = study(a=f"expect: [{expected}]\n".replace("VALUE", "0.2"))
    assert command_line("study", folder).status == 0
    study(a=f"expect: [{expected}]\n".replace("VALUE", "5"))
    ended = command_line("study", folder)
    assert ended.status == 2
    assert "a: champ, MSIS, rms_log_ratio: 0.2" in ended.out
    assert "instead of 5 +- 0.2" in ended.out
    assert len(started) == 1
    study(a=f"expect: [{expected}]\n".replace("rms_log_ratio", "beauty").replace("VALUE", "5"))
    assert "there is no statistic 'beauty'" in command_line("study", folder).out


def test_that_a_run_that_ends_early_tells_how_far_it_came(
    study: Callable[..., Path], command_line: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def killed(command: list[str], stdout: Any, **_: object) -> subprocess.CompletedProcess[str]:
        partial = tmp_path / "runs" / "trials" / "a.partial"
        partial.mkdir(parents=True)
        (partial / "experiment.yaml").touch()
        times = np.array(["2010-04-05T00:00", "2010-04-05T00:15"], dtype="datetime64[ns]")
        xr.Dataset(coords={"time": times}).to_netcdf(partial / "analysis.nc")
        stdout.write("25 %\nKilled\n")
        return subprocess.CompletedProcess(command, -9)

    monkeypatch.setattr(
        study_runs, "subprocess", SimpleNamespace(run=killed, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    )
    ended = command_line("study", study(a=""))
    assert ended.status == 2
    assert "failed at 25 %" in ended.out
    assert "a: ended with status -9: Killed" in ended.out
    assert float(collect(tmp_path / "runs" / "trials")["completion"].item()) == 0.25


def test_that_a_run_under_way_elsewhere_is_left_alone(
    study: Callable[..., Path], started: list[list[str]], command_line: Callable[..., Any], tmp_path: Path
) -> None:
    folder = study(a="", b="satellites: {champ: {synthetic: null, files: [lost.txt]}}\n")
    partial = tmp_path / "runs" / "trials" / "a.partial"
    partial.mkdir(parents=True)
    with (partial / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = command_line("study", folder)
    assert "another process is writing runs/trials/a.partial" in ended.out
    assert [Path(command[-1]).stem for command in started] == ["b"]
    assert collect(tmp_path / "runs" / "trials")["run_name"].to_numpy().tolist() == ["b"]


def test_that_a_run_that_another_process_made_meanwhile_counts(
    study: Callable[..., Path], command_line: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def beaten(command: list[str], stdout: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        assert in_this_process(command, stdout, **options).returncode == 0
        return in_this_process(command, stdout, **options)

    monkeypatch.setattr(
        study_runs, "subprocess", SimpleNamespace(run=beaten, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    )
    ended = command_line("study", study(a=""))
    assert ended.status == 0
    assert "is complete already" in (tmp_path / "runs" / "trials" / "logs" / "a.log").read_text(encoding="utf-8")
    assert float(collect(tmp_path / "runs" / "trials")["completion"].item()) == 1.0


def test_that_faults_of_any_file_are_told_before_the_first_run(
    study: Callable[..., Path], started: list[list[str]], command_line: Callable[..., Any]
) -> None:
    folder = study(a="", b="ensemble: {member: 5}\n")
    assert command_line("study", folder).error.endswith(
        "b.yaml, line 3: ensemble.member: not a key; did you mean members?"
    )
    unknown = "ensemble: {perturbations: {tides: {standard_deviation: 1, truncation: 2}}}\n"
    study(b=unknown)
    assert f"{folder}/b.yaml: " in command_line("study", folder).error
    (study(b="") / "b.yaml").write_text((folder / "a.yaml").read_text(), encoding="utf-8")
    assert command_line("study", folder).error.endswith(
        "experiment.name a is that of " + str(folder / "a.yaml") + " already"
    )
    study(b="")
    assert (
        command_line("study", folder, "--only", "aa").error == "--only aa: there is no such experiment; did you mean a?"
    )
    assert started == []


def test_that_a_study_is_not_started_under_a_launcher(
    study: Callable[..., Path], command_line: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMI_SIZE", "2")
    assert "study: starts its runs under mpiexec itself" in command_line("study", study(a="")).error


def test_that_bases_and_other_files_are_no_experiments(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match="is not a folder"):
        study_files(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ThermodaError, match=r"holds no experiment file \(\*\.yaml\)$"):
        study_files(tmp_path)
    (tmp_path / "_base.yaml").touch()
    with pytest.raises(ThermodaError, match="but bases, whose names begin with '_'"):
        study_files(tmp_path)
    for name in ("b.yaml", "a.yml", ".hidden"):
        (tmp_path / name).touch()
    assert [path.name for path in study_files(tmp_path)] == ["a.yml", "b.yaml"]


def test_that_several_ranks_need_a_launcher() -> None:
    command = Launch(3, Path("/bin/mpiexec")).command(Path("a.yaml"), overwrite=True)
    assert command == [
        *("/bin/mpiexec", "-n", "3", sys.executable, "-m", "mpi4py", "-m", "da", "run", "--overwrite", "a.yaml")
    ]
    alone = Launch(1, None).command(Path("a.yaml"), overwrite=False)
    assert alone == [sys.executable, "-m", "da", "run", "--resume", "a.yaml"]
    with pytest.raises(ThermodaError, match="--ranks 2: there is no mpiexec"):
        Launch(2, None)


@pytest.mark.mpi
def test_that_runs_are_made_under_the_launcher(
    study: Callable[..., Path], command_line: Callable[..., Any], tmp_path: Path
) -> None:
    assert find_launcher() is not None
    ended = command_line("study", study(a=""), "--ranks", 2)
    assert ended.status == 0, ended.out
    provenance = json.loads((tmp_path / "runs/trials/a/provenance.json").read_text(encoding="utf-8"))
    assert provenance["ranks"] == 2
    assert "4 members on 2 ranks" in (tmp_path / "runs/trials/logs/a.log").read_text(encoding="utf-8")
    assert [str(Path(name).name) for name in provenance["configuration_files"]] == ["a.yaml", "_tiny.yaml"]


def evaluation(satellites: list[str], rows: list[str], offset: float) -> xr.Dataset:
    """Return something like an evaluation whose values tell their place."""
    groups = ["all", "quiet", "storm", "Kp: 0 to 2"]
    values = offset + np.arange(len(satellites) * len(groups) * len(rows), dtype=float)
    return xr.Dataset(
        {
            "rms_log_ratio": (("satellite", "group", "row"), values.reshape(len(satellites), len(groups), len(rows))),
            "orbit_time": (("satellite", "orbit"), np.zeros((len(satellites), 3))),
        },
        {
            "satellite_name": ("satellite", satellites),
            "role": ("satellite", ["independent"] * len(satellites)),
            "row_name": ("row", rows),
            "group_name": ("group", groups),
        },
    )


def record(name: str, swept: tuple[str, ...] = (), **items: Any) -> RunRecord:
    return RunRecord(name, "complete", 1.0, 3.5, {key.replace("__", "."): value for key, value in items.items()}, swept)


def test_that_figures_of_runs_with_other_satellites_and_rows_are_joined_by_their_names(tmp_path: Path) -> None:
    one, other = evaluation(["x", "y"], ["MSIS", "analysis"], 0.0), evaluation(["z", "x"], ["analysis", "MSIS"], 100.0)
    for name, content in (("one", one), ("other", other)):
        write_run_figures(tmp_path, run_figures(record(name), content))
    figures = update(tmp_path)
    for name, content in (("one", one), ("other", other)):
        by_name = content.set_xindex("satellite_name").set_xindex("row_name").set_xindex("group_name")
        for satellite in content["satellite_name"].to_numpy():
            for row in ("MSIS", "analysis"):
                place = {"satellite_name": satellite, "row_name": row, "group_name": "storm"}
                found = figures["rms_log_ratio"].sel(run_name=name, **place)
                assert float(found) == float(by_name["rms_log_ratio"].sel(**place))
    assert np.isnan(figures["rms_log_ratio"].sel(run_name="one", satellite_name="z")).all()
    assert figures["role"].sel(run_name="other", satellite_name="y").item() == ""
    assert figures["group_name"].to_numpy().tolist() == ["all", "quiet", "storm"]
    with xr.open_dataset(tmp_path / "key_figures.nc") as stored:
        xr.testing.assert_equal(
            stored.load(), figures.reset_index(["run_name", "satellite_name", "row_name", "group_name"])
        )
        assert stored.attrs["Conventions"].startswith("CF-1.")


def test_that_configuration_items_that_differ_or_were_swept_are_coordinates(tmp_path: Path) -> None:
    same = {"experiment__seed": 7, "model__adapter": "x"}
    write_run_figures(
        tmp_path, run_figures(record("a", ("only.one",), a__b=3, half__life="Infinity", only__one=1, **same), None)
    )
    write_run_figures(
        tmp_path, run_figures(record("b", (), a__b=2.5, half__life=100.0, kind="rtps", only__one=1, **same), None)
    )
    figures = collect(tmp_path)
    assert figures["a_b"].to_numpy().tolist() == [3.0, 2.5]
    assert figures["a_b"].attrs["long_name"] == "a.b"
    assert figures["half_life"].to_numpy().tolist() == [np.inf, 100.0]
    assert figures["kind"].to_numpy().tolist() == ["", "rtps"]
    assert figures["only_one"].to_numpy().tolist() == [1.0, 1.0]
    assert "experiment_seed" not in figures.coords


def test_that_what_was_swept_stays_noted_where_a_run_is_recorded_again(tmp_path: Path) -> None:
    for swept in (("a.b",), ()):
        write_run_figures(tmp_path, run_figures(record("a", swept, a__b=1), None))
    assert collect(tmp_path).attrs["swept"] == "a.b"


def test_that_a_run_that_comes_while_figures_are_collected_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run_figures(tmp_path, run_figures(record("a"), None))
    calls: list[int] = []

    def late(folder: Path, scheduler: None = None) -> xr.Dataset:
        found = collect(folder)
        if not calls:
            write_run_figures(folder, run_figures(record("b"), None))
        calls.append(found.sizes["run"])
        return found

    monkeypatch.setattr(key_figures, "collect", late)
    assert update(tmp_path)["run_name"].to_numpy().tolist() == ["a", "b"]
    assert calls == [1, 2]
    with xr.open_dataset(tmp_path / "key_figures.nc") as stored:
        assert stored.sizes["run"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"key_figures", "key_figures.nc"}


def test_that_missing_and_broken_figures_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match="there are no key figures of any run"):
        collect(tmp_path)
    (tmp_path / "key_figures").mkdir()
    (tmp_path / "key_figures" / "a.nc").write_text("not netCDF")
    with pytest.raises(ThermodaError, match=r"a\.nc is not readable netCDF"):
        collect(tmp_path)
