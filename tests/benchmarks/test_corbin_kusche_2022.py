"""How runs are compared with the tables and findings of the paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray as xr
from ruamel.yaml import YAML

from da.config import Experiment
from da.verification import Row
from da.verification.analysis_behaviour import AnalysisProfiles

PAPERS_FAILURE = {"first": 2.0, "later": -0.1, "kept": 0.2, "jumps": 3.0}
"""Numbers of analyses with all failures of the paper."""


@dataclass(frozen=True)
class Scripts:
    """The three scripts of the comparison."""

    runs: ModuleType
    findings: ModuleType
    printed: ModuleType

    def run(self, champ: tuple[float, float], grace: tuple[float, float], identifier: str = "13") -> Any:
        """Return a run with these medians [g cm-3] of open loop and forecast."""
        rows, values = list(Row), np.full((2, 3, 6), np.nan)
        for number, pair in enumerate((champ, grace)):
            for row, value in zip((Row.OPEN_LOOP, Row.FORECAST), pair, strict=True):
                values[number, 0, rows.index(row)] = 1e3 * value
        labels = {
            "satellite": ["champ", "grace"],
            "group": ["all", "quiet", "storm"],
            "row": [str(row) for row in rows],
        }
        dataset = xr.Dataset({"median_difference_kg_m3": (tuple(labels), values)})
        for name, found in labels.items():
            dataset = dataset.assign_coords({f"{name}_name": (name, found)}).set_xindex(f"{name}_name")
        return self.runs.StudyRun(identifier, Path("nowhere"), None, 1.0, dataset)

    def behaviour(self, first: float, later: float, kept: float, jumps: float) -> Any:
        """Return analyses that behave like this above 350 km, and in a storm."""
        adopted = np.array([[0.9, first, first], *[[0.5, later, later]] * 8])
        ones = np.ones(adopted.shape)
        ratio = np.array([[0.5] * 3, *[[0.5, 0.5 / kept, 0.5 / kept]] * 8])
        profiles = AnalysisProfiles(np.array([300.0, 400.0, 500.0]), ones, ones, ones, ratio, ones, adopted)
        of_both, height_km = {"champ": jumps, "grace": jumps}, {"champ": 300.0, "grace": 500.0}
        return self.findings.Behaviour(profiles, height_km, of_both, of_both, of_both)

    def judged(self, run: Any, behaviour: Any) -> dict[str, bool | None]:
        """Return the verdicts by the key of the finding."""
        return {one.key: one.judge(run, behaviour).reproduced for one in self.findings.FINDINGS}


@pytest.fixture(scope="module")
def scripts(script: Callable[[str], ModuleType]) -> Scripts:
    return Scripts(*(script(f"corbin_kusche_2022{part}") for part in ("_runs", "_findings", "")))


@pytest.fixture
def experiment(tiny_experiment: Callable[..., Path]) -> Callable[..., Experiment]:
    """Return a maker of tiny experiments, changed."""

    def make(**changes: Any) -> Experiment:
        return Experiment.model_validate(YAML(typ="safe", pure=True).load(tiny_experiment(**changes)))

    return make


def test_that_the_papers_own_medians_pass_for_the_papers_findings(scripts: Scripts) -> None:
    open_loop, failure = scripts.runs.PAPER_OPEN_LOOP, scripts.behaviour(**PAPERS_FAILURE)
    for name, paper in scripts.runs.TABLE_3.items():
        run = scripts.run((open_loop["champ"], paper.champ), (open_loop["grace"], paper.grace), name)
        assert set(scripts.judged(run, failure).values()) == {True}, name
        for finding in scripts.findings.FINDINGS[:3]:
            assert finding.judge(run, failure).value == pytest.approx(finding.of_paper(paper)), finding.key


@pytest.mark.parametrize(
    ("champ", "grace", "wrong"),
    [
        ((1e-15, 1.2e-16), (1e-16, -1e-16), {"a"}),
        ((1e-15, -1e-16), (1e-16, 1.1e-16), {"b1"}),
        ((-1e-15, -1e-16), (1e-16, -0.9e-16), {"b2"}),
        ((-1e-15, -1e-16), (1e-16, -0.9e-17), {"b1", "b2"}),
        ((1e-15, 1e-15), (1e-16, 1e-17), {"a", "b1", "b2"}),
    ],
)
def test_that_medians_are_judged_by_their_ratio_to_the_open_loop(
    scripts: Scripts, champ: tuple[float, float], grace: tuple[float, float], wrong: set[str]
) -> None:
    judged = scripts.judged(scripts.run(champ, grace), scripts.behaviour(**PAPERS_FAILURE))
    assert {key for key, reproduced in judged.items() if not reproduced} == wrong


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"first": 0.95}, {"c1"}),
        ({"later": 0.05}, {"c2"}),
        ({"kept": 0.6}, {"d"}),
        ({"jumps": 1.4}, {"e1", "e2"}),
    ],
)
def test_that_each_failure_is_judged_by_its_own_number(
    scripts: Scripts, changed: dict[str, float], wrong: set[str]
) -> None:
    run = scripts.run((1e-15, 1e-17), (1e-16, -1e-16))
    judged = scripts.judged(run, scripts.behaviour(**(PAPERS_FAILURE | changed)))
    assert {key for key, reproduced in judged.items() if not reproduced} == wrong


def test_that_what_is_not_known_is_no_verdict(scripts: Scripts) -> None:
    run = scripts.run((np.nan, 1e-17), (1e-16, np.nan))
    judged = scripts.judged(run, scripts.behaviour(**(PAPERS_FAILURE | {"jumps": np.nan})))
    assert {key for key, reproduced in judged.items() if reproduced is None} == {"a", "b1", "b2", "e1", "e2"}
    finding = scripts.findings.FINDINGS[0]
    assert finding.verdict({"13": finding.judge(run, None)}) == "cannot be judged"


def test_that_a_sum_tells_in_which_runs_a_finding_is_reproduced(scripts: Scripts) -> None:
    finding = scripts.findings.FINDINGS[0]
    good = finding.judge(scripts.run((1e-15, 1e-17), (1.0, 1.0)), None)
    bad = finding.judge(scripts.run((1e-15, 5e-16), (1.0, 1.0)), None)
    assert finding.verdict({"10": good, "11": bad}) == "reproduced in part, in 1 of 2 (10); 2.00 to 100.00"
    assert finding.verdict({"13": good}) == "reproduced, in 1 of 1; 100.00; 13: 100.0 yes"
    assert finding.verdict({"11": bad}) == "not reproduced, in 0 of 1; 2.00"


def test_that_completion_is_the_part_of_the_time_that_was_reached(
    scripts: Scripts, experiment: Callable[..., Experiment], tmp_path: Path
) -> None:
    half = experiment(experiment={"stop": "2010-04-05T10:00:00Z"})
    assert scripts.runs.completion(tmp_path, half) == 0.0
    time = np.datetime64("2010-04-05T00", "ns") + np.arange(5) * np.timedelta64(1, "h")
    xr.Dataset(coords={"time": time}).to_netcdf(tmp_path / "analysis.nc")
    assert scripts.runs.completion(tmp_path, half) == pytest.approx(0.4)
    open_loop = experiment(experiment={"stop": "2010-04-05T10:00:00Z", "assimilate": False})
    assert scripts.runs.completion(tmp_path, open_loop) == 0.0


def test_that_other_settings_than_those_of_the_paper_are_told(
    scripts: Scripts, experiment: Callable[..., Experiment]
) -> None:
    same = scripts.runs.StudyRun("13", Path("nowhere"), experiment(), 1.0, None)
    assert same.unlike_the_paper() == []
    other = scripts.runs.StudyRun("16", Path("nowhere"), experiment(), 1.0, None)
    assert other.unlike_the_paper() == [
        "half-life 100.0 instead of inf",
        "forgetting factor 1.0 instead of 0.75",
    ]


def test_that_kp_is_that_of_the_middle_of_a_forecast(scripts: Scripts) -> None:
    hour, start = np.timedelta64(1, "h"), np.datetime64("2010-04-05T00", "ns")
    time = start + np.arange(60) * np.timedelta64(10, "m")
    kp = np.where(time < start + 3 * hour, 2.0, 6.0)
    begins = start + np.arange(5) * hour
    np.testing.assert_array_equal(scripts.findings.kp_during(time, kp, begins, begins + hour), [2, 2, 2, 6, 6])
    # The middle of the forecast counts, not its end.
    assert scripts.findings.kp_during(time, kp, begins[2:3], begins[2:3] + hour) == [2.0]


def test_that_a_study_is_printed_with_the_papers_numbers_and_every_row(
    scripts: Scripts,
    tiny_experiment: Callable[..., Path],
    command_line: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    synthetic = {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}
    file = tiny_experiment(
        experiment={"output_folder": str(tmp_path / "study" / "13"), "stop": "2010-04-05T02:00:00Z"},
        satellites={"grace": {"synthetic": synthetic}},
    )
    assert command_line("run", file).status == 0
    scripts.printed.main([str(tmp_path / "study")])
    out = capsys.readouterr().out
    (row,) = (line for line in out.splitlines() if line.startswith("13 ") and "| 100 %" in line)
    assert "-7.1e-17" in row
    assert "-1.3e-16" in row
    for words in ("MSIS", "calibrated", "persisted", "open loop", "forecast", "analysis", "nature run"):
        assert words in out
    for finding in scripts.findings.FINDINGS:
        assert f"\n{finding.key:<3} {finding.heading}: " in out
    (table,) = (words for line in out.splitlines() if (words := line.split())[:2] == ["13", "GRACE"])
    with xr.open_dataset(tmp_path / "study" / "13" / "evaluation.nc") as evaluation:
        expected = evaluation["rms_log_ratio"].isel(satellite=1, group=0).to_numpy()
    np.testing.assert_allclose([float(one) for one in table[2:8]], expected, atol=5.1e-4)


def test_that_a_folder_without_runs_is_one_error_line(scripts: Scripts, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="error: .* holds no run of the paper"):
        scripts.printed.main([str(tmp_path)])
