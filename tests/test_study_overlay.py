"""Studies with a file laid over every experiment, and the order of runs that take the open loop of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from ruamel.yaml import YAML

from da import study_runs
from da.config import read_experiment
from da.errors import ThermodaError
from da.study import PlannedRun, State, in_order_of_need, overlay_name
from da.study_runs import Outcome

Command = Callable[..., Any]
OVERLAY = """
experiment: {stop: 2010-04-05T02:00:00Z}
ensemble: {members: 6}
satellites: {grace: null}
"""


@pytest.fixture
def study(tmp_path: Path, tiny_experiment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a study of an open loop and two assimilations that take it, and an overlay."""
    folder = tmp_path / "trials"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    grace = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}
    tiny_experiment(satellites={"grace": grace}).rename(folder / "_tiny.yaml")
    taking = "open_loop: {from_run: ../z}\n"
    for name, section, text in (
        ("a", "", taking),
        ("b", "", f"{taking}analysis: {{forgetting_factor: 0.9}}\n"),
        ("z", ", assimilate: false", ""),
    ):
        head = f"inherits: _tiny.yaml\nexperiment: {{name: {name}, output_folder: runs/trials/{name}{section}}}\n"
        (folder / f"{name}.yaml").write_text(head + text, encoding="utf-8")
    (folder / "_small.yaml").write_text(OVERLAY, encoding="utf-8")
    return folder


@dataclass
class Made:
    """Notes which runs a study starts, in place of them."""

    files: list[Path]

    def __call__(self, run: PlannedRun, *_: object) -> tuple[Outcome, xr.Dataset | None]:
        """Note a run."""
        self.files.append(run.file)
        return Outcome(run, State.COMPLETE.value, 0.5), None


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    noted = Made([])
    monkeypatch.setattr(study_runs, "_made", noted)
    return noted.files


def test_that_one_command_makes_all_experiments_with_the_overlay_in_a_folder_of_its_own(
    study: Path, made: list[Path], command_line: Command, tmp_path: Path
) -> None:
    ended = command_line("study", study, "--overlay", study / "_small.yaml")
    assert ended.status == 0, ended.err
    folder = Path("runs") / "trials_small"
    # The open loop that the others take comes first.
    assert made == [folder / f"{name}.yaml" for name in "zab"]
    for name in "abz":
        experiment, source = read_experiment(folder / f"{name}.yaml")
        assert experiment.experiment.output_folder == folder / name
        assert experiment.experiment.name == name
        assert experiment.ensemble.members == 6
        assert list(experiment.satellites) == ["champ"]
        assert f"{study / '_small.yaml'} over {study / name}.yaml" in (folder / f"{name}.yaml").read_text("utf-8")
        assert [layer.path.name for layer in source.layers] == [f"{name}.yaml", f"{name}.yaml", "_tiny.yaml"]
    assert read_experiment(folder / "b.yaml")[0].analysis.forgetting_factor == 0.9
    assert read_experiment(study / "a.yaml")[0].ensemble.members == 4
    assert (folder / "key_figures.nc").is_file()


def test_that_the_name_may_be_given_and_the_written_folder_is_a_study_itself(
    study: Path, made: list[Path], command_line: Command
) -> None:
    assert command_line("study", study, "--overlay", study / "_small.yaml", "--name", "mini").status == 0
    first = list(made)
    made.clear()
    assert command_line("study", Path("runs") / "mini", "--only", "b").status == 0
    assert made == [first[2]] == [Path("runs") / "mini" / "b.yaml"]


def test_that_an_overlay_need_only_suit_the_experiments_that_are_chosen(
    study: Path, made: list[Path], command_line: Command
) -> None:
    with (study / "b.yaml").open("a", encoding="utf-8") as stream:
        stream.write("calibration: {satellite: grace}\n")
    # The overlay takes GRACE away, with which b is calibrated.
    assert "over " + str(study / "b.yaml") in command_line("study", study, "--overlay", study / "_small.yaml").error
    ended = command_line("study", study, "--overlay", study / "_small.yaml", "--only", "a", "--only", "z.yaml")
    assert ended.status == 0, ended.err
    folder = Path("runs") / "trials_small"
    assert made == [folder / "z.yaml", folder / "a.yaml"]
    assert not (folder / "b.yaml").exists()


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("ensemble: {member: 6}", (), r"_small\.yaml, line 1: ensemble\.member: not a key; did you mean members\?"),
        ("experiment: {name: x}", (), r"_small\.yaml, line 1: experiment\.name: is that of each experiment"),
        ("experiment: {output_folder: x}", (), r"experiment\.output_folder: is that of each experiment"),
        ("ensemble: {members: 6}", ("--name", "a b"), "--name a b: a name begins with a letter"),
    ],
)
def test_that_faults_of_an_overlay_are_told_with_its_line_and_nothing_is_written(
    study: Path, command_line: Command, text: str, arguments: Sequence[str], message: str
) -> None:
    (study / "_small.yaml").write_text(text, encoding="utf-8")
    ended = command_line("study", study, "--overlay", study / "_small.yaml", *arguments)
    with pytest.raises(ThermodaError, match=message):
        raise ThermodaError(ended.error)
    assert not Path("runs").exists()


def test_that_a_name_belongs_to_an_overlay(study: Path, command_line: Command) -> None:
    assert "--name x: belongs to --overlay" in command_line("study", study, "--name", "x").error


def test_that_the_name_of_a_study_with_an_overlay_joins_both(tmp_path: Path) -> None:
    assert overlay_name(tmp_path / "mine", Path("elsewhere/_reduced.yaml"), None) == "mine_reduced"
    assert overlay_name(tmp_path / "mine", Path("_reduced.yaml"), "other") == "other"


def test_that_runs_that_take_from_each_other_in_a_circle_are_refused(study: Path) -> None:
    runs = []
    for name, other in (("a", "b"), ("b", "a")):
        file = study / f"{name}.yaml"
        content = YAML(typ="safe").load(file.read_text("utf-8")) | {"open_loop": {"from_run": f"../{other}"}}
        with file.open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(content, stream)
        runs.append(PlannedRun(file, read_experiment(file)[0], State.WAITING))
    with pytest.raises(ThermodaError, match=r"a\.yaml: open_loop\.from_run goes round in a circle"):
        in_order_of_need(runs)


def test_that_all_experiments_of_the_paper_are_there_and_take_one_open_loop() -> None:
    folder = Path(__file__).resolve().parents[1] / "experiments" / "corbin_kusche_2022"
    loops, perturbed = {}, {}
    for number in (1, 2, 3):
        experiment = read_experiment(folder / f"ols_{number}.yaml")[0]
        assert not experiment.experiment.assimilate
        assert experiment.open_loop.from_run is None
        settings, source = experiment.model.settings, str(experiment.drivers.high_latitude_source)
        loops[number] = (source, settings.get("lower_boundary", "climatology"))
        perturbed[number] = set(experiment.ensemble.perturbations)
    # Table 2: Heelis and Weimer are Kp and the solar wind.
    assert loops == {1: ("kp", "flat"), 2: ("kp", "climatology"), 3: ("solar_wind", "climatology")}
    # Table 1: either hemispheric power and potential, or velocity and density.
    heelis, weimer = {"hemispheric_power_gw", "cross_tail_potential_kv"}, perturbed[3] - perturbed[1]
    assert perturbed[1] == perturbed[2]
    assert perturbed[1] - perturbed[3] == heelis
    assert weimer == {"solar_wind_velocity_km_s", "solar_wind_density_cm3"}
    for number in range(10, 22):
        experiment = read_experiment(folder / f"{number}.yaml")[0]
        assert experiment.experiment.assimilate
        assert str(experiment.open_loop.from_run) == "../ols_3"


@pytest.mark.parametrize(
    ("overlay", "left_out"),
    [
        ("_reduced", set()),
        ("_biased_truth", set()),
        ("_champ_grace_2002", {"ols_1", "ols_2"}),
        ("_swarm_2024_10", {"ols_1", "ols_2"}),
    ],
)
def test_that_the_overlays_of_the_papers_study_suit_its_experiments(
    command_line: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlay: str, left_out: set[str]
) -> None:
    folder = Path(__file__).resolve().parents[1] / "experiments" / "corbin_kusche_2022"
    monkeypatch.chdir(tmp_path)
    named = sorted({file.stem for file in folder.glob("[!_]*.yaml")} - left_out)
    chosen = [word for name in named for word in ("--only", name)] if left_out else []
    ended = command_line("study", folder, "--overlay", folder / f"{overlay}.yaml", *chosen, "--table-only")
    assert "there are no key figures of any run; run the study first" in ended.error
    assert len(named) == 15 - len(left_out)
