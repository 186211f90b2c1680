"""A member that fails is replaced from other ranks where its own has no healthy one, and the ranks agree."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

Launch = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = str(Path(__file__).with_name("failing.py"))
PERTURBATIONS = {"f107_sfu": None, "equilibrium_temperature_k": {"standard_deviation": 50.0, "truncation": 150.0}}


def _changes(**policy: Any) -> dict[str, Any]:
    return {
        "model": {"adapter": "failing", "settings": {"resolution_deg": None}},
        "ensemble": {"perturbations": PERTURBATIONS, "on_member_failure": policy},
    }


@pytest.mark.mpi
def test_that_a_run_with_a_failing_member_is_the_same_on_one_two_and_three_ranks(
    launch: Launch, tmp_path: Path, tiny_experiment: Callable[..., Path]
) -> None:
    # Four members: on three ranks the last rank holds the failing one alone.
    results = []
    for ranks in (1, 2, 3):
        folder = tmp_path / f"run{ranks}"
        file = tiny_experiment(experiment={"output_folder": str(folder)}, **_changes())
        done = launch(ranks, PROGRAM, "member", "run", str(file))
        assert done.stderr.count("member 3 replaced by") == 4, done.stderr
        with xr.open_dataset(folder / "observations.nc") as written:
            results.append((written.load(), (folder / "member_failures.csv").read_text(encoding="utf-8")))
    (expected, events), *others = results
    assert events.count("MODEL SHUTDOWN") == 2
    assert (expected["analysis_mean"] != expected["forecast_mean"]).any()
    for written, told in others:
        assert told == events
        for name in ("forecast_mean", "forecast_spread", "analysis_mean", "analysis_spread"):
            np.testing.assert_allclose(written[name], expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("ranks", "policy", "said"),
    [(3, {"then": "stop"}, "member 3"), (2, {"largest_failing_fraction": 0.1}, "1 of 4 members failed together")],
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
