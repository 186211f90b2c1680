"""The command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from da.doctor import mpi_family
from da.yaml_source import YamlSource, plain

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


def test_that_the_quickstart_resolves_to_what_it_says(command_line: Callable[..., Any]) -> None:
    ended = command_line("check", EXPERIMENTS / "quickstart.yaml")
    assert ended.status == 0
    for text in ("150,336 values on 36 x 18 x 29 cells", "3078 per analysis, 25 analyses", "720", "40, perturbed"):
        assert text in ended.out


def test_that_the_real_experiment_resolves(
    command_line: Callable[..., Any], data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERMODA_DATA", str(data_folder))
    ended = command_line("check", EXPERIMENTS / "champ_grace_2002" / "two_step.yaml")
    assert ended.status == 0
    assert "champ 18381, grace 18615" in ended.out
    assert "241 analyses" in ended.out


def test_that_the_schema_knows_every_section(command_line: Callable[..., Any], tmp_path: Path) -> None:
    assert command_line("schema", tmp_path / "schema.json").status == 0
    schema = json.loads((tmp_path / "schema.json").read_text(encoding="utf-8"))
    assert json.loads(command_line("schema").out) == schema
    assert {"experiment", "satellites", "calibration", "observation_error", "model"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("arguments", [("frobnicate",), ("run",), ("run", "--frobnicate", "x.yaml"), ("run", "x.yaml")])
def test_that_wrong_commands_are_one_line(command_line: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    assert command_line(*arguments).error


def test_that_no_command_gives_the_help_and_one_error_line(command_line: Callable[..., Any]) -> None:
    ended = command_line()
    assert ended.error == "a command is needed, one of those above"
    assert "evaluate" in ended.out


def test_that_debug_keeps_the_cause_of_an_error_met_on_the_first_rank(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from da.cli import main
    from da.errors import ThermodaError

    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["thermoda", "run", str(tmp_path / "bad.yaml"), "--debug"])
    with pytest.raises(ThermodaError) as raised:
        main()
    causes: list[str] = []
    error: BaseException | None = raised.value
    while error is not None:
        causes.append(type(error).__name__)
        error = error.__cause__
    assert causes == ["AgreedError", "ThermodaError", "ParserError"]


def _unknown_to_schema(content: Any, part: dict[str, Any], schema: dict[str, Any], path: str = "") -> list[str]:
    """Return the keys of a parsed YAML file that a schema does not know."""
    options = [part, *part.get("anyOf", [])]
    options = [schema["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in options]
    if isinstance(content, list):
        items = next((one["items"] for one in options if "items" in one), {})
        return [key for one in content for key in _unknown_to_schema(one, items, schema, path)]
    if not isinstance(content, dict):
        return []
    known = {name: one for option in options for name, one in option.get("properties", {}).items()}
    free = next((one["additionalProperties"] for one in options if one.get("additionalProperties")), None)
    unknown = [f"{path}.{key}" for key in content if key not in known and free is None]
    # What no schema binds, such as model.settings, has True in place of one.
    inner = [(key, known.get(key, free)) for key in content if isinstance(known.get(key, free), dict)]
    return unknown + [
        name for key, one in inner for name in _unknown_to_schema(content[key], one, schema, f"{path}.{key}")
    ]


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.rglob("[!_]*.yaml")), ids=lambda file: file.stem)
def test_that_the_schema_knows_every_key_of_the_examples_and_no_misspelt_one(
    command_line: Callable[..., Any], file: Path
) -> None:
    schema = json.loads(command_line("schema").out)
    content = plain(YamlSource.read(file).root)
    assert _unknown_to_schema(content, schema, schema) == []
    satellite = next(iter(content["satellites"]))
    content["satellites"][satellite]["synthetc"] = {}
    content["analysis"]["localization"]["cutof"] = 1
    assert _unknown_to_schema(content, schema, schema) == [
        f".satellites.{satellite}.synthetc",
        ".analysis.localization.cutof",
    ]


def test_that_a_schema_that_cannot_be_written_is_one_line(command_line: Callable[..., Any], tmp_path: Path) -> None:
    error = command_line("schema", tmp_path / "nowhere" / "schema.json").error
    assert error.endswith("schema.json: cannot be written (No such file or directory)")


def test_that_markup_and_line_breaks_in_names_reach_the_user_as_they_are(
    command_line: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "[bold]x[red].yaml"
    assert command_line("check", file).error == f"{file}: there is no such file"
    assert command_line("check", tmp_path / "a\nb.yaml").error == f"{tmp_path}/a b.yaml: there is no such file"


def test_that_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from da.cli import main
    from da.errors import ThermodaError

    monkeypatch.setattr("sys.argv", ["thermoda", "--debug", "check", "nowhere.yaml"])
    with pytest.raises(ThermodaError, match=r"nowhere\.yaml"):
        main()


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("MPICH Version:      5.0.2", "MPICH"),
        ("HYDRA build details:\n    Version: 5.0.0", "MPICH"),
        ("Open MPI v5.0.6, package: ...", "Open MPI"),
        ("mpiexec (OpenRTE) 4.1.4", "Open MPI"),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.11", "Intel MPI"),
        ("something else", None),
    ],
)
def test_that_launchers_and_libraries_are_recognised(text: str, family: str | None) -> None:
    assert mpi_family(text) == family


@pytest.mark.parametrize(
    ("localization", "sub_domains"),
    [
        ({"sub_domain": "whole", "cutoff_radius_cells": None}, "1"),
        ({"sub_domain": "column", "vertical_cutoff_radius_cells": float("inf"), "block_cells": 1}, "72"),
        ({"block_cells": 1}, "2088"),
    ],
)
def test_that_the_shape_of_sub_domains_is_what_the_file_says(
    tiny_experiment: Callable[..., Path],
    command_line: Callable[..., Any],
    localization: dict[str, Any],
    sub_domains: str,
) -> None:
    ended = command_line("check", tiny_experiment(analysis={"localization": localization}))
    assert ended.status == 0, ended.err
    (line,) = [line for line in ended.out.splitlines() if line.strip("│ ").startswith("sub-domains ")]
    assert f" {sub_domains} " in line


def test_that_sub_domains_without_observations_are_told(
    tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    file = tiny_experiment(analysis={"localization": {"cutoff_radius_cells": 0.1}})
    assert "see none and are not analysed" in " ".join(command_line("check", file).out.split())
    ended = command_line("run", file)
    assert ended.status == 0
    assert "sub-domains saw no observation" in ended.out


def test_that_an_interrupted_run_says_so(
    tiny_experiment: Callable[..., Path], command_line: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("da.execution.prepare", interrupted)
    ended = command_line("run", tiny_experiment())
    assert ended.status == 130
    assert ended.err.startswith("error: interrupted;")


def test_that_a_missing_track_of_a_run_is_named(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    grace = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}
    assert command_line("run", tiny_experiment(satellites={"grace": grace})).status == 0
    (tmp_path / "runs" / "tiny" / "track_grace.nc").unlink()
    assert "track_grace.nc missing" in command_line("evaluate", tmp_path / "runs" / "tiny").error
