"""What a result says of its origin."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from da import provenance as module
from da.config import Experiment, read_experiment
from da.provenance import provenance, source_commit, versions


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def test_that_a_run_tells_configuration_seed_versions_ranks_and_times_in_strict_json(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    file = tiny_experiment()
    assert command_line("run", file).status == 0
    folder = tmp_path / "runs" / "tiny"
    content = json.loads((folder / "provenance.json").read_text(encoding="utf-8"), parse_constant=_not_json)
    assert content["complete"] is True
    assert (content["name"], content["seed"], content["members"], content["ranks"]) == ("tiny", 7, 4, 1)
    assert (content["start"], content["stop"]) == ("2010-04-05T00:00:00Z", "2010-04-05T01:00:00Z")
    assert (content["assimilated_satellite"], content["satellites"]) == ("champ", ["champ"])
    assert content["versions"]["numpy"] == version("numpy")
    assert content["command"][1:] == ["run", str(file)]
    assert {"step one", "initial states", "output"} <= set(content["phase_seconds"])
    assert len(content["peak_memory_bytes"]) == 1
    assert Experiment.model_validate(content["configuration"]) == read_experiment(file)[0]
    assert (folder / "experiment.yaml").read_bytes() == file.read_bytes()


def test_that_versions_name_every_package_whose_numbers_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(versions()) == {"python", "thermoda", *module.PACKAGES}


def test_that_the_commit_is_a_full_hash_marked_where_files_were_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "da").mkdir()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "da" / "provenance.py"))
    assert source_commit() == "none"

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "a.txt").write_text("1", encoding="utf-8")
    git("init")
    assert source_commit() == "none"
    git("add", "a.txt")
    git("commit", "-m", "first")
    assert re.fullmatch(r"[0-9a-f]{40}", source_commit())
    (tmp_path / "a.txt").write_text("2", encoding="utf-8")
    assert re.fullmatch(r"[0-9a-f]{40}\+changes", source_commit())


def test_that_a_machine_without_git_says_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "da").mkdir()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "da" / "provenance.py"))
    monkeypatch.setenv("PATH", "")
    assert source_commit() == "none"


def test_that_times_of_phases_are_rounded_and_nothing_else_is(tiny_experiment: Callable[..., Path]) -> None:
    experiment, _ = read_experiment(tiny_experiment())
    content = provenance(experiment, 3, {"output": 1.23456}, [1, 2, 3])
    assert content["phase_seconds"] == {"output": 1.23}
    assert content["peak_memory_bytes"] == [1, 2, 3]
    assert content["ranks"] == 3
