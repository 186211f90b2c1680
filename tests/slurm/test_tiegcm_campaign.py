"""The TIE-GCM campaign on a Slurm cluster, with the stand-in for the model: members are job steps."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slurm

TIEGCM_TESTS = Path(__file__).resolve().parents[1] / "adapters" / "tiegcm"
LIMIT_S = 400.0


def campaign(folder: Path, write: Callable[..., Path]) -> Path:
    """Write a start-up history, the stand-in and an experiment of three members and two analyses."""
    begin = np.datetime64("2010-04-04T23:00", "ns")
    history = runpy.run_path(str(TIEGCM_TESTS / "conftest.py"))["write_small_history"]
    history(folder / "start_up.nc", times=(begin,), latitudes=6, longitudes=12)
    runpy.run_path(str(TIEGCM_TESTS / "standin" / "case.py"))["write_executable"](folder / "tiegcm")
    launcher = {
        "command": ["srun", "--exact", "-n", "{ranks}", "{executable}", "{namelist}"],
        "executable": str(folder / "tiegcm"),
        "ranks": 1,
        "time_out_s": 120.0,
    }
    constants = {"power_gw": 20.0, "cross_tail_potential_kv": 40.0, "f107_sfu": 80.0, "f107a_sfu": 85.0}
    settings = {"start_up_history": str(folder / "start_up.nc"), "work_folder": str(folder / "work")}
    return write(
        model={
            "adapter": "tiegcm",
            "settings": {"resolution_deg": None, **settings, "launcher": launcher, "namelist": constants},
        },
        ensemble={
            "members": 3,
            "spin_up_days": 1.0 / 24.0,
            "perturbations": {"f107_sfu": None, "joule_ln_factor": {"standard_deviation": 0.2, "truncation": 0.6}},
        },
        output={"interval_min": 60},
    )


def test_that_a_campaign_spins_up_and_runs_its_members_as_job_steps(
    slurm: Any, tiny_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    file = campaign(tmp_path, tiny_experiment)
    number = slurm.submit(tmp_path, "tiegcm.sh", file, options=("--ntasks=2", "--time=10", "--output=log"))
    (job,) = slurm.ended(number, LIMIT_S)
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), log
    provenance = json.loads((tmp_path / "runs" / "tiny" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["complete"]
    assert not any(provenance["member_failures"].values())
    told = (Path(slurm.environment["SLURM_CONF"]).parent / "slurmd.log").read_text(encoding="utf-8")
    # Three members: an hour of spin-up, then an hour of the open loop and one of the assimilation.
    assert told.count(f"launch task StepId={number}.") == 9
