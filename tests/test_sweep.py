"""Sweeps: axes and variants, what is refused before anything is run, and the runs as coordinates."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from da import study_runs
from da.config import read_experiment
from da.errors import ThermodaError
from da.key_figures import collect
from da.sweep import Axis, parse_axis, sweep_name, variants
from da.yaml_source import plain

AXES = {
    "a.b=1,2": ("a.b", (1, 2)),
    "a.b=0.9,1e3,.inf": ("a.b", (0.9, 1000.0, float("inf"))),
    "a.b.c=rtps,rtpp": ("a.b.c", ("rtps", "rtpp")),
    'a.b="2.0",2.0': ("a.b", ("2.0", 2.0)),
    "a.b=null,{c: 1, d: [2, 3]}": ("a.b", (None, {"c": 1, "d": [2, 3]})),
    "a.b=[1, 2],[3]": ("a.b", ([1, 2], [3])),
    "a.b=x=y": ("a.b", ("x=y",)),
    "a.b=true": ("a.b", (True,)),
}


@pytest.mark.parametrize("text", AXES)
def test_that_the_values_of_an_axis_are_yaml(text: str) -> None:
    axis = parse_axis(text)
    assert (axis.key, plain(axis.values)) == AXES[text]
    assert [type(plain(value)) for value in axis.values] == [type(value) for value in AXES[text][1]]


NO_AXES = {
    "a.b": "must be section.key=value,value",
    "a=1": "must be section.key=value,value",
    "=1": "must be section.key=value,value",
    "a..b=1": "must be section.key=value,value",
    "a.b=": "gives no value",
    "a.b=1,2,1": "1 stands there twice",
    "a.b=[1": "the values are not YAML",
    "experiment.name=a": "is set by the sweep for each variant; see --name",
}


@pytest.mark.parametrize("text", NO_AXES)
def test_that_what_is_no_axis_is_refused(text: str) -> None:
    with pytest.raises(ThermodaError, match="^--set ") as raised:
        parse_axis(text)
    assert NO_AXES[text] in str(raised.value)


def test_that_variants_are_all_combinations_named_by_their_values() -> None:
    grid = variants("s", [Axis("x.radius", (3, 0.5)), Axis("y.radius", (-1,)), Axis("z.kind", ("a b", None, {"m": 2}))])
    assert [one.name for one in grid] == [
        f"x_radius_{radius}_y_radius_m1_kind_{kind}" for radius in ("3", "0p5") for kind in ("a_b", "none", "2")
    ]
    assert [list(one.values.values()) for one in grid[:3]] == [[3, -1, "a b"], [3, -1, None], [3, -1, {"m": 2}]]


def test_that_variants_whose_names_would_be_too_long_or_alike_are_numbered() -> None:
    assert [one.name for one in variants("s", [Axis("x.kind", ("2.0", 2.0))])] == ["kind_2_0", "kind_2"]
    assert [one.name for one in variants("s", [Axis("x.kind", ("a-b", "a_b"))])] == ["s_001", "s_002"]
    assert [one.name for one in variants("s", [Axis("x.kind", ("a" * 101,))])] == ["s_001"]


@pytest.mark.parametrize(("one", "other"), [("a.b", "a.b"), ("a.b", "a.b.c"), ("a.b.c", "a.b")])
def test_that_axes_inside_each_other_are_refused(one: str, other: str) -> None:
    with pytest.raises(ThermodaError, match="is set already"):
        variants("s", [Axis(one, (1,)), Axis(other, (1,))])


def test_that_the_name_of_a_sweep_is_that_of_its_file_or_given() -> None:
    assert sweep_name(Path("x/_base.yaml"), None) == "base_sweep"
    assert sweep_name(Path("x/_base.yaml"), "mine") == "mine"
    with pytest.raises(ThermodaError, match="--name a/b: a name begins with a letter"):
        sweep_name(Path("x.yaml"), "a/b")


REFUSED = {
    "analysis.localization.cutof_radius_cells=3": (
        "localization:",
        "analysis.localization.cutof_radius_cells: not a key; did you mean cutoff_radius_cells?",
    ),
    "analysis.localization.cutoff_radius_cells=3,-3": ("cutoff_radius_cells:", "must be greater than 0 (given: -3)"),
    "model.settings.resolution_dg=30,60": ("settings:", "not a key; did you mean resolution_deg?"),
    "ensemble.members.x=3": ("members:", "is a single value, which --set replaces as a whole; there is no ensemble."),
    "ensemble.perturbations.f107.truncation=3": ("perturbations:", "this key is required"),
    "analysis.interval_h=0.5,0.7": ("interval_h:", "must divide the time from experiment.start to experiment.stop"),
}


@pytest.fixture
def swept(tmp_path: Path, tiny_experiment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the experiment that is swept, and be in a folder of its own."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tiny_experiment()


@pytest.mark.parametrize("text", REFUSED)
def test_that_a_fault_of_any_variant_is_told_at_the_line_of_the_swept_file_before_anything_is_written(
    swept: Path, command_line: Callable[..., Any], text: str
) -> None:
    key, problem = REFUSED[text]
    lines = swept.read_text(encoding="utf-8").splitlines()
    line = next(number for number, one in enumerate(lines, 1) if one.strip().startswith(key))
    error = command_line("sweep", swept, "--set", text).error
    assert error.startswith(f"{swept}, line {line}: ")
    assert problem in error
    assert list(Path().iterdir()) == []


def test_that_an_unknown_section_is_refused_with_the_nearest_one(swept: Path, command_line: Callable[..., Any]) -> None:
    error = command_line("sweep", swept, "--set", "anlysis.forgetting_factor=0.9").error
    assert error.startswith(f"{swept}: anlysis: not a key; did you mean analysis?")


def test_that_a_dry_run_tells_the_variants_and_writes_nothing(swept: Path, command_line: Callable[..., Any]) -> None:
    relaxation = "analysis.relaxation=null,{method: rtps, factor: 0.5}"
    ended = command_line("sweep", swept, "--set", relaxation, "--set", "ensemble.members=4,5", "--dry-run")
    assert ended.status == 0
    assert [line.partition(": ")[0] for line in ended.out.splitlines()] == [
        f"runs/tiny_sweep/relaxation_{kind}_members_{members}" for kind in ("none", "rtps_0p5") for members in (4, 5)
    ]
    assert "to be run: analysis.relaxation=null, ensemble.members=4" in ended.out
    assert list(Path().iterdir()) == []


def test_that_a_sweep_is_run_compared_and_extended(
    swept: Path, tmp_path: Path, command_line: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command[-1])
        assert command_line("run", command[-1]).status == 0
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(
        study_runs, "subprocess", SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    )
    # Results on another disc: the files of the variants must find what they inherit from there.
    (tmp_path / "disc" / "deep" / "runs").mkdir(parents=True)
    Path("runs").symlink_to(tmp_path / "disc" / "deep" / "runs")
    radius = "analysis.localization.cutoff_radius_cells"
    factor = ("--set", "analysis.forgetting_factor=0.9")
    ended = command_line("sweep", swept, "--set", f"{radius}=2", *factor, "--name", "grid")
    assert ended.status == 0
    folder = Path("runs/grid")
    file = folder / "cutoff_radius_cells_2_forgetting_factor_0p9.yaml"
    assert commands == [str(file)]
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 9
    experiment, base = read_experiment(file)[0], read_experiment(swept)[0]
    assert experiment.analysis.localization.cutoff_radius_cells == 2.0
    assert experiment.analysis.forgetting_factor == 0.9
    assert experiment.ensemble == base.ensemble
    assert experiment.experiment.output_folder == folder / file.stem

    assert command_line("sweep", swept, "--set", f"{radius}=2,4", *factor, "--name", "grid").status == 0
    assert len(commands) == 2
    figures = collect(folder)
    assert figures["analysis_localization_cutoff_radius_cells"].to_numpy().tolist() == [2.0, 4.0]
    assert figures["analysis_forgetting_factor"].to_numpy().tolist() == [0.9, 0.9]
    scores = figures["rms_log_ratio"].sel(satellite_name="champ", row_name="analysis", group_name="all")
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    table = command_line("study", folder, "--table-only").out
    assert [line.split()[:3] for line in table.splitlines() if "(assimilated)" in line] == [
        ["2", "0.9", "complete"],
        ["4", "0.9", "complete"],
    ]
