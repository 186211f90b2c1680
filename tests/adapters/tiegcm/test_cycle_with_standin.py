"""The whole cycle with the stand-in as the executable: a program for tests, not TIE-GCM; no skill is read off it."""

from __future__ import annotations

import csv
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from da.doctor import find_launcher
from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.state import layout_of, read_state

REPOSITORY = Path(__file__).resolve().parents[3]
STAND_IN = Path(__file__).with_name("standin")
case = SimpleNamespace(**runpy.run_path(str(STAND_IN / "case.py")))
BEGIN, STOP = np.datetime64("2010-04-04T22:00", "ns"), np.datetime64("2010-04-05T02:00", "ns")
MEMBERS = 4
CONSTANTS = {"power_gw": 20.0, "cross_tail_potential_kv": 40.0, "f107_sfu": 80.0, "f107a_sfu": 85.0}
OBSERVED = ("forecast_mean", "forecast_spread", "analysis_mean", "analysis_spread")
WriteExperiment = Callable[..., Path]


@dataclass(frozen=True)
class Bench:
    """A start-up history on a 30-degree grid, an executable, and an experiment of four members, analysed every hour."""

    folder: Path
    write: WriteExperiment

    def settings(self, work: str = "work", **launcher: Any) -> dict[str, Any]:
        command = {"command": ["{executable}", "{namelist}"], "executable": str(self.folder / "tiegcm"), "ranks": 1}
        return {
            "start_up_history": str(self.folder / "start_up.nc"),
            "work_folder": str(self.folder / work),
            "launcher": {**command, "at_once": 2, "time_out_s": 60.0, "grace_s": 1.0, **launcher},
            "namelist": CONSTANTS,
        }

    def experiment(self, model: dict[str, Any], name: str = "run", stop_h: int = 1, **changes: Any) -> Path:
        """Write the experiment; only the section ``model`` is that of one model."""
        path = self.write(
            experiment={"stop": f"2010-04-05T{stop_h:02d}:00:00Z", "output_folder": str(self.folder / name)},
            model={"settings": {"resolution_deg": None}} | model,
            ensemble={
                "members": MEMBERS,
                "spin_up_days": 1.0 / 12.0,
                "perturbations": {"joule_ln_factor": {"standard_deviation": 0.2, "truncation": 0.6}},
                **changes,
            },
            output={"interval_min": 60},
        )
        return path.rename(self.folder / f"{name}.yaml")

    def member(self, number: int, ensemble: str = "assimilation", work: str = "work") -> Path:
        return self.folder / work / ensemble / f"mem{number:04d}"

    def states(self, ensemble: str, work: str = "work") -> np.ndarray:
        """Return the last states (state_size, members) on file."""
        layout = layout_of(read_header(self.folder / "start_up.nc"))
        name = "history_20100405T020000.nc"
        files = [self.member(number, ensemble, work) / name for number in range(MEMBERS)]
        return np.stack([read_state(file, STOP, layout) for file in files], axis=1)

    def observed(self, name: str) -> xr.Dataset:
        with xr.open_dataset(self.folder / name / "observations.nc") as dataset:
            return dataset.load()


@pytest.fixture
def bench(tmp_path: Path, small_history: Any, tiny_experiment: WriteExperiment) -> Bench:
    small_history(tmp_path / "start_up.nc", times=(BEGIN,), latitudes=6, longitudes=12)
    case.write_executable(tmp_path / "tiegcm")
    return Bench(tmp_path, tiny_experiment)


def _start(*command: object) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "OMPI_", "PMIX_"))}
    environment = {**clean, "PYTHONPATH": str(REPOSITORY)}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.mpi
def test_that_the_cycle_with_files_on_one_and_three_ranks_is_that_of_the_same_law_in_memory(
    bench: Bench, command_line: Callable[..., Any]
) -> None:
    in_memory = {"start_up_history": str(bench.folder / "start_up.nc"), **CONSTANTS}
    law = bench.experiment({"adapter": "standin_law", "settings": {"resolution_deg": None, **in_memory}}, "law", 2)
    _start(sys.executable, STAND_IN / "law_adapter.py", bench.folder / "law.npz", "run", law)
    ended = command_line("run", bench.experiment({"adapter": "tiegcm", "settings": _tiegcm(bench)}, "one", 2))
    assert ended.status == 0, ended.err
    three = bench.experiment({"adapter": "tiegcm", "settings": _tiegcm(bench, "work3")}, "three", 2)
    _start(find_launcher(), "-n", 3, sys.executable, "-m", "mpi4py", "-m", "da", "run", three)

    expected = bench.observed("law")
    assert expected.sizes["time"] == 3
    assert (expected["analysis_mean"] != expected["forecast_mean"]).any()
    with np.load(bench.folder / "law.npz") as saved:
        for name, work in (("one", "work"), ("three", "work3")):
            for variable in OBSERVED:
                assert_allclose(bench.observed(name)[variable], expected[variable], rtol=1e-12, err_msg=variable)
            for ensemble in ("open_loop", "assimilation"):
                assert_allclose(bench.states(ensemble, work), saved[ensemble], rtol=1e-12, err_msg=ensemble)
        # Observations have made a difference, members differ, and both ensembles began with one spin-up.
        assert np.abs(saved["assimilation"] - saved["open_loop"]).max() > 1.0
        assert saved["open_loop"].std(axis=1).max() > 0.5
    assert_array_equal(bench.states("open_loop", "work3"), bench.states("open_loop"))


def _tiegcm(bench: Bench, work: str = "work", **launcher: Any) -> dict[str, Any]:
    return {"resolution_deg": None, **bench.settings(work, **launcher)}


def test_that_one_experiment_runs_with_either_model_by_its_model_section_alone(
    bench: Bench, command_line: Callable[..., Any]
) -> None:
    sections = {
        "column_physics": {"resolution_deg": 15.0},
        "tiegcm": _tiegcm(bench),
    }
    texts = []
    for adapter, settings in sections.items():
        file = bench.experiment({"adapter": adapter, "settings": settings}, f"run_{adapter}")
        ended = command_line("run", file)
        assert ended.status == 0, ended.err
        assert bench.observed(f"run_{adapter}").sizes["time"] == 2
        lines = file.read_text(encoding="utf-8").splitlines()
        begin = lines.index("model:")
        end = next(n for n in range(begin + 1, len(lines)) if not lines[n].startswith(" "))
        texts.append([line.replace(adapter, "MODEL") for line in lines[:begin] + lines[end:]])
    assert texts[0] == texts[1]


def test_that_a_spin_up_goes_on_where_it_was_ended_and_a_run_from_it_outlives_members_that_fail(
    bench: Bench, command_line: Callable[..., Any]
) -> None:
    stopping = bench.experiment({"adapter": "tiegcm", "settings": _tiegcm(bench)}, on_member_failure={"then": "stop"})
    fault = bench.member(2, "spin_up") / "standin_fault"
    fault.parent.mkdir(parents=True)
    fault.write_text("crash")
    error = command_line("spinup", stopping).error
    assert "member 2, cycle to 2010-04-05T00:00:00" in error
    assert "told to crash" in error
    fault.unlink()
    logs = {number: bench.member(number, "spin_up") / "model_20100405T000000.log" for number in range(MEMBERS)}
    before = {number: log.stat().st_mtime_ns for number, log in logs.items()}
    ended = command_line("spinup", stopping)
    assert ended.status == 0, ended.err
    assert "4 members spun up over 0.0833333 days" in ended.out
    assert [number for number, log in logs.items() if log.stat().st_mtime_ns != before[number]] == [2]

    (bench.member(3)).mkdir(parents=True)
    (bench.member(1, "open_loop")).mkdir(parents=True)
    (bench.member(3) / "standin_fault").write_text("crash")
    (bench.member(1, "open_loop") / "standin_fault").write_text("once missing_time")
    ended = command_line("run", bench.experiment({"adapter": "tiegcm", "settings": _tiegcm(bench)}))
    assert ended.status == 0, ended.err
    assert [number for number, log in logs.items() if log.stat().st_mtime_ns != before[number]] == [2]
    assert "1 times a shorter step saved a member that had failed, 1 times a failed member was replaced" in ended.out
    folder = bench.folder / "run"
    with (folder / "member_failures.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [(row["ensemble"], row["member"], row["step_divisor"]) for row in rows] == [
        ("open_loop", "1", "2"),
        ("assimilation", "3", "0"),
    ]
    assert "told to crash" in rows[1]["cause"]
    assert json.loads((folder / "provenance.json").read_text())["member_failures"]["replaced"] == 1
    observed = bench.observed("run")
    assert all(np.isfinite(observed[name].values[observed["used"].values == 1]).all() for name in OBSERVED)
    other = bench.experiment({"adapter": "tiegcm", "settings": _tiegcm(bench)}, "other", spin_up_days=0.0)
    assert "was made with another ensemble.spin_up_days" in command_line("run", other).error


def test_that_members_in_memory_are_not_spun_up_by_a_command(
    tiny_experiment: WriteExperiment, command_line: Callable[..., Any]
) -> None:
    error = command_line("spinup", tiny_experiment()).error
    assert "model.adapter: 'msis_relaxation' keeps its members in memory" in error


def test_that_a_fault_of_all_members_ends_the_run_with_one_line(bench: Bench, command_line: Callable[..., Any]) -> None:
    case.write_executable(bench.folder / "tiegcm", "3.0")
    error = command_line("run", bench.experiment({"adapter": "tiegcm", "settings": _tiegcm(bench)})).error
    assert "4 of 4 members failed together" in error
    assert "Cannot match namelist object name start" in error


def test_that_check_tells_sizes_and_runs_without_starting_any(bench: Bench, command_line: Callable[..., Any]) -> None:
    ended = command_line("check", bench.experiment({"adapter": "tiegcm", "settings": _tiegcm(bench)}))
    assert ended.status == 0, ended.err
    # Four members: one part of spin-up, and one forecast in each of two ensembles.
    assert "12 runs of the model" in ended.out
    assert not list((bench.folder / "work").rglob("*"))
