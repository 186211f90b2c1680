"""What becomes of a member that fails is the same on any number of ranks, and the ranks agree."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da.time_limit import EXIT_HUNG

Launch = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = str(Path(__file__).with_name("failing.py"))
PERTURBATIONS = {"f107_sfu": None, "equilibrium_temperature_k": {"standard_deviation": 50.0, "truncation": 150.0}}
DROP = {"then": "drop", "fewest_members": 3}


def _changes(**policy: Any) -> dict[str, Any]:
    return {
        "model": {"adapter": "failing", "settings": {"resolution_deg": None}},
        "ensemble": {"perturbations": PERTURBATIONS, "on_member_failure": policy},
    }


def _results(folder: Path) -> tuple[xr.Dataset, str]:
    with xr.open_dataset(folder / "observations.nc") as written:
        return written.load(), (folder / "member_failures.csv").read_text(encoding="utf-8")


def _assert_same(found: tuple[xr.Dataset, str], expected: tuple[xr.Dataset, str]) -> None:
    assert found[1] == expected[1]
    for name in ("forecast_mean", "forecast_spread", "analysis_mean", "analysis_spread"):
        np.testing.assert_allclose(found[0][name], expected[0][name], rtol=1e-12, err_msg=name)


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("policy", "words", "failures"),
    [({}, "replaced by", 4), ({"then": "draw"}, "drawn anew", 4), (DROP, "left out for good", 2)],
    ids=["replace", "draw", "drop"],
)
def test_that_a_run_with_a_failing_member_is_the_same_on_one_two_and_three_ranks(
    launch: Launch,
    tmp_path: Path,
    tiny_experiment: Callable[..., Path],
    policy: dict[str, Any],
    words: str,
    failures: int,
) -> None:
    # Four members: on three ranks the last rank holds the failing one alone, and gets another where it is dropped.
    results = []
    for ranks in (1, 2, 3):
        folder = tmp_path / f"run{ranks}"
        file = tiny_experiment(experiment={"output_folder": str(folder)}, **_changes(**policy))
        done = launch(ranks, PROGRAM, "member", "run", str(file))
        assert done.stderr.count(f"member 3 {words}") == failures, done.stderr
        results.append(_results(folder))
    expected, *others = results
    assert expected[1].count("MODEL SHUTDOWN") == failures // 2
    assert (expected[0]["analysis_mean"] != expected[0]["forecast_mean"]).any()
    for found in others:
        _assert_same(found, expected)


@pytest.mark.mpi
def test_that_a_run_without_a_dropped_member_goes_on_with_another_number_of_ranks(
    launch: Launch, tmp_path: Path, tiny_experiment: Callable[..., Path]
) -> None:
    file = tiny_experiment(**_changes(**DROP))
    launch(1, PROGRAM, "member", "run", str(file))
    (tmp_path / "runs" / "tiny").rename(tmp_path / "runs" / "whole")
    assert launch(2, PROGRAM, "stopping", "run", str(file), check=False).returncode == 75
    launch(3, PROGRAM, "stopping", "resume", str(file))
    _assert_same(_results(tmp_path / "runs" / "tiny"), _results(tmp_path / "runs" / "whole"))


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("ranks", "policy", "said"),
    [
        (3, {"then": "stop"}, "member 3"),
        (2, {"largest_failing_fraction": 0.1}, "1 of 4 members failed together"),
    ],
)
def test_that_all_ranks_end_with_one_line_where_the_policy_ends_the_run(
    launch: Launch, tiny_experiment: Callable[..., Path], ranks: int, policy: dict[str, Any], said: str
) -> None:
    done = launch(ranks, PROGRAM, "member", "run", str(tiny_experiment(**_changes(**policy))), check=False)
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "error:" in line.lower()]
    assert len(lines) == 1, done.stdout + done.stderr
    assert said in lines[0]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.mpi
def test_that_a_member_that_hangs_on_one_rank_is_replaced_and_no_rank_waits(
    launch: Launch, tiny_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    file = tiny_experiment(**_changes(time_limit_s=0.2))
    done = launch(2, PROGRAM, "slow", "run", str(file))
    assert done.stderr.count("member 3 took longer than the 0.2 s") == 4
    assert (tmp_path / "runs" / "tiny" / "provenance.json").is_file()


@pytest.mark.mpi
def test_that_a_rank_that_nothing_can_interrupt_ends_all_ranks_and_leaves_restart_points(
    launch: Launch, tiny_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    file = tiny_experiment(experiment={"stop": "2010-04-05T02:00:00Z"}, **_changes(time_limit_s=0.5))
    done = launch(2, PROGRAM, "lost", "run", str(file), check=False)
    assert done.returncode == EXIT_HUNG, done.stderr
    assert "of members [2, 3]: does not return after" in done.stderr
    points = (tmp_path / "runs" / "tiny.partial" / "restart").iterdir()
    assert sorted(one.name for one in points) == ["20100405T000000_1_forecast", "20100405T010000_2_analysis"]
    launch(2, PROGRAM, "member", "resume", str(file))
