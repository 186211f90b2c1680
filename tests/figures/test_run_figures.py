"""All figures of a run, and what is left where files are missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from da.figures.run_figures import Gap, run_drawings
from da.verification.details import details
from da.verification.evaluation import evaluate

ALL = {
    "scale_factors",
    "track_champ",
    "track_grace",
    "profiles",
    "cells_first_days",
    "adopted_fraction",
    "spread_ratio",
    "increments_first",
    "increments_storm",
    "sub_domains",
    "histograms",
    "track_champ_bias_map",
    "track_grace_bias_map",
    "reliability",
    "lead_time",
}


def test_that_a_whole_run_gives_every_figure_with_words_for_those_who_do_not_see_it(small_run: Path) -> None:
    drawn = list(run_drawings(small_run, details(evaluate(small_run), small_run)))
    assert {one.name for one in drawn if not isinstance(one, Gap)} == ALL
    assert [one for one in drawn if isinstance(one, Gap)] == []
    assert all(len(one.alternative) > 40 and "nan" not in one.alternative for one in drawn if not isinstance(one, Gap))


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        ("calibration.nc", {"scale_factors"}),
        ("observations.nc", {"adopted_fraction", "spread_ratio"}),
        ("filter.nc", {"sub_domains"}),
        ("track_grace.nc", {"track_grace", "track_grace_bias_map"}),
    ],
)
def test_that_a_missing_file_costs_its_own_figures_alone(
    small_run: Path, tmp_path: Path, missing: str, lost: set[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / missing).unlink()
    found = details(evaluate(run, without_missing_tracks=True), run)
    drawn = list(run_drawings(run, found))
    assert {one.name for one in drawn if not isinstance(one, Gap)} == ALL - lost
    assert all(missing in one.reason for one in drawn if isinstance(one, Gap))


def test_that_a_run_without_an_evaluation_keeps_the_figures_of_its_analyses(small_run: Path) -> None:
    drawn = list(run_drawings(small_run, None))
    assert {"scale_factors", "profiles", "adopted_fraction"} <= {one.name for one in drawn if not isinstance(one, Gap)}
    assert [one.title for one in drawn if isinstance(one, Gap)] == ["Density along the tracks"]


def test_that_a_run_that_assimilates_nothing_gives_the_figures_of_its_open_loop(
    small_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    for name in ("forecast", "analysis", "observations", "filter"):
        (run / f"{name}.nc").unlink()
    provenance = json.loads((run / "provenance.json").read_text())
    provenance["configuration"]["experiment"]["assimilate"] = False
    (run / "provenance.json").write_text(json.dumps(provenance))
    drawn = list(run_drawings(run, details(evaluate(run), run)))
    of_analyses = {
        "adopted_fraction",
        "spread_ratio",
        "increments_first",
        "increments_storm",
        "sub_domains",
        "lead_time",
    }
    assert {one.name for one in drawn if not isinstance(one, Gap)} == ALL - of_analyses
    assert [one.reason for one in drawn if isinstance(one, Gap)] == ["the run assimilates nothing"]
    assert all("nan" not in one.alternative for one in drawn if not isinstance(one, Gap))
