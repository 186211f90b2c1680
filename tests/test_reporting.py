"""What a run tells its user at the end."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from da.config import read_experiment
from da.reporting import cutoff_keys, print_run_summary

WriteExperiment = Callable[..., Path]

GRACE = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}
TRACK = {"satellite": "grace", "window_min": 60, "relative_error": 0.1}
KM = {"metric": "great_circle", "weighting": "uniform", "cutoff_radius_km": 900.0, "vertical_cutoff_radius_km": 50.0}
CELLS = {"weighting": "uniform", "cutoff_radius_cells": 4.0}
WHOLE = {"weighting": "uniform", "cutoff_radius_cells": None, "sub_domain": "whole"}
ONLY_TRACKS = {"assimilate": False}


@pytest.mark.parametrize(
    ("localization", "track", "data_grid", "keys"),
    [
        (CELLS, None, {}, ["analysis.localization.cutoff_radius_cells"]),
        (KM | {"cutoff_radius_cells": None}, None, {}, ["analysis.localization.cutoff_radius_km"]),
        (CELLS, TRACK, ONLY_TRACKS, ["analysis.localization.cutoff_radius_cells"]),
        (
            CELLS,
            TRACK | {"localization": KM},
            {},
            ["analysis.localization.cutoff_radius_cells", "direct_tracks.own.localization.cutoff_radius_km"],
        ),
        (CELLS, TRACK | {"localization": KM}, ONLY_TRACKS, ["direct_tracks.own.localization.cutoff_radius_km"]),
        (WHOLE, None, {}, []),
    ],
)
def test_that_unobserved_sub_domains_are_told_with_the_keys_that_decide(
    tiny_experiment: WriteExperiment,
    localization: dict[str, Any],
    track: dict[str, Any] | None,
    data_grid: dict[str, Any],
    keys: list[str],
) -> None:
    tracks = {"direct_tracks": {"own": track}, "satellites": {"grace": GRACE}} if track else {}
    path = tiny_experiment(analysis={"localization": localization}, data_grid=data_grid, **tracks)
    experiment = read_experiment(path)[0]
    assert cutoff_keys(experiment) == keys
    console = Console(file=io.StringIO(), width=60)
    provenance = {
        "ranks": 1,
        "phase_seconds": {},
        "peak_memory_bytes": [2**20],
        "sub_domains_without_observations": 3,
        "member_failures": {"replaced": 0, "with_a_shorter_step": 0},
    }
    print_run_summary(console, experiment, provenance, 1.0)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "warning: up to 3 sub-domains saw no observation and were not analysed" in printed
    end = f"not analysed; {' or '.join(keys)} may be too small\n" if keys else "not analysed\n"
    assert end in printed
    print_run_summary(console, experiment, provenance | {"sub_domains_without_observations": 0}, 1.0)
    assert console.file.getvalue().count("warning") == 1  # type: ignore[attr-defined]
    failures = {"member_failures": {"with_a_shorter_step": 2, "replaced": 0, "drawn": 0, "dropped": 1}}
    print_run_summary(console, experiment, provenance | failures, 1.0)
    told = "2 times a shorter step saved a member that had failed, 1 failed members were left out for good; see "
    assert told in console.file.getvalue()  # type: ignore[attr-defined]
