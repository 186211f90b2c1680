"""``run --resume``, which job scripts start whatever there is of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

WriteExperiment = Callable[..., Path]


def test_that_a_run_is_begun_and_a_complete_one_is_left_alone(
    tiny_experiment: WriteExperiment, command_line: Callable[..., Any], tmp_path: Path
) -> None:
    file = tiny_experiment()
    assert command_line("run", file, "--resume").status == 0
    made = (tmp_path / "runs" / "tiny" / "provenance.json").stat()
    ended = command_line("run", file, "--resume")
    assert (ended.status, "is complete already" in ended.out) == (0, True)
    assert (tmp_path / "runs" / "tiny" / "provenance.json").stat() == made


def test_that_a_run_is_not_gone_on_with_and_begun_anew(
    tiny_experiment: WriteExperiment, command_line: Callable[..., Any], tmp_path: Path
) -> None:
    error = command_line("run", tiny_experiment(), "--resume", "--overwrite").error
    assert error.endswith("give one of them")
    assert not (tmp_path / "runs").exists()
