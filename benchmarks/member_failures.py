"""What members that fail cost: a small twin with and without failures, by what is done about them.

python benchmarks/member_failures.py --seeds 3 > benchmarks/member_failures.txt

The experiment is quickstart on a coarse grid. "every tenth forecast": each forecast of a member fails with probability
0.1, whatever it has become meanwhile. "every tenth member": members 4 and 14 of 20 fail in each forecast. The scores
are those of forecasts of up to an hour: along CHAMP, which is assimilated, and along GRACE, which is not. Changes
against the undisturbed run of the same seed are followed by their standard error over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from da.cli import main
from da.errors import MemberForecastError
from model_adapters import registry
from model_adapters.column_physics.adapter import ColumnPhysics

QUICKSTART = Path(__file__).resolve().parents[1] / "experiments" / "quickstart.yaml"
MEMBERS = 20
FAILING_SHARE = 0.1
ALWAYS_FAILING = (4, 14)
NONE, FORECASTS, PERSONS = "none", "every tenth forecast", "every tenth member"
CASES = (
    (NONE, "stop"),
    (FORECASTS, "replace"),
    (FORECASTS, "draw"),
    (FORECASTS, "drop"),
    (PERSONS, "replace"),
    (PERSONS, "draw"),
    (PERSONS, "drop"),
)
SATELLITES = ("champ", "grace")


class Failing(ColumnPhysics):
    """Members that fail as ``failures`` says, and as their number and the time decide."""

    failures = NONE

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        """Return the forecasts, or raise what failed."""
        result = super().forecast(states, start, stop, inputs)
        seconds = int(stop.astype("datetime64[s]").astype(np.int64))
        failed = {
            place: f"member {number} crashed"
            for place, number in enumerate(inputs.member_numbers(states.shape[1]).tolist())
            if stop > start and inputs.ensemble and self._fails(number, seconds)
        }
        if failed:
            raise MemberForecastError(failed, result)
        return result

    def _fails(self, number: int, seconds: int) -> bool:
        if self.failures == FORECASTS:
            return bool(np.random.default_rng([seconds, number]).random() < FAILING_SHARE)
        return self.failures == PERSONS and number in ALWAYS_FAILING


@dataclass(frozen=True)
class Outcome:
    """One run: whether it was finished, how many failures and members there were, and its scores by satellite."""

    finished: bool
    failures: int = 0
    left: int = 0
    misfit: tuple[float, ...] = (np.nan, np.nan)
    spread: tuple[float, ...] = (np.nan, np.nan)


def _ended(*arguments: str) -> str:
    """Run the command line and return its error, or nothing."""
    sys.argv, told = ["thermoda", *arguments], io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(told):
        try:
            main()
        except SystemExit as ended:
            return told.getvalue() if ended.code else ""
    raise AssertionError("the command line always ends its process")


def outcome(root: Path, failures: str, then: str, seed: int) -> Outcome:
    """Run one case."""
    name = f"{failures}_{then}_{seed}".replace(" ", "_")
    content = {
        "inherits": str(QUICKSTART),
        "experiment": {
            "name": name,
            "stop": "2010-04-05T12:00:00Z",
            "seed": seed,
            "output_folder": str(root / name),
        },
        "model": {"adapter": "failing", "settings": {"resolution_deg": 15.0}},
        "ensemble": {
            "members": MEMBERS,
            "spin_up_days": 1.0,
            "on_member_failure": {"retries_with_half_step": 0, "then": then},
        },
        "analysis": {"localization": {"block_cells": 2, "cutoff_radius_cells": 5.0, "support_radius_cells": 5.0}},
        "output": {"interval_min": 30.0, "composition": False},
    }
    file = root / f"{name}.yaml"
    with file.open("w", encoding="utf-8") as stream:
        YAML().dump(content, stream)
    Failing.failures = failures
    error = _ended("run", str(file))
    if "members would be left" in error:
        return Outcome(finished=False)
    if error := error or _ended("evaluate", str(root / name)):
        raise SystemExit(f"{name}: {error}")
    told = json.loads((root / name / "provenance.json").read_text(encoding="utf-8"))
    with (root / name / "evaluation.csv").open(encoding="utf-8") as table:
        rows = {
            row["satellite"]: row
            for row in csv.DictReader(table)
            if row["row"] == "forecast" and row["activity"] == "all"
        }
    return Outcome(
        finished=True,
        failures=sum(told["member_failures"].values()),
        left=told["members_left"]["assimilation"],
        misfit=tuple(float(rows[one]["rms_log_ratio"]) for one in SATELLITES),
        spread=tuple(float(rows[one]["spread_to_error"]) for one in SATELLITES),
    )


def _line(failures: str, then: str, found: list[Outcome], undisturbed: list[Outcome]) -> str:
    finished = [(one, other) for one, other in zip(found, undisturbed, strict=True) if one.finished]
    text = f"{failures:21s} {then if failures != NONE else '-':8s} {len(finished):3d}/{len(found):<3d}"
    if not finished:
        return text
    text += f" {np.mean([one.failures for one, _ in finished]):8.0f} {np.mean([one.left for one, _ in finished]):7.1f}"
    for place in range(len(SATELLITES)):
        text += f"  {np.mean([one.misfit[place] for one, _ in finished]):.4f}"
        change = np.array([one.misfit[place] - other.misfit[place] for one, other in finished])
        error = change.std(ddof=1) / np.sqrt(change.size) if change.size > 1 else np.nan
        text += f" {change.mean():+.4f} +- {error:.4f}" if failures != NONE else " " * 18
        text += f" {np.mean([one.spread[place] for one, _ in finished]):5.2f}"
    return text


def campaign(root: Path, seeds: int) -> None:
    """Run all cases with all seeds and print the table, a line as soon as it is known."""
    began = time.monotonic()
    registry.ADAPTERS["failing"] = registry.Adapter(registry.ADAPTERS["column_physics"].settings, Failing)
    logging.getLogger("da.member_settlement").setLevel(logging.ERROR)
    print(f"{MEMBERS} members, 12 analyses, {seeds} seeds; root-mean-square of ln(observed/forecast)")
    print(f"{'':66s}{'CHAMP (assimilated)':32s}  {'GRACE (independent)'}")
    columns = f"{'failing':21s} {'then':8s} {'finished':8s} {'failures':>7s} {'members':>7s}"
    print(columns + 2 * f"  {'rms':6s} {'change':17s} {'s/e':>5s}", flush=True)
    undisturbed: list[Outcome] = []
    for failures, then in CASES:
        found = [outcome(root, failures, then, seed) for seed in range(1, seeds + 1)]
        undisturbed = undisturbed or found
        print(_line(failures, then, found, undisturbed), flush=True)
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        campaign(Path(folder), arguments.seeds)
