"""YAML files made to harm: no code runs, no time or memory is lost, and no file but the run's own is touched."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml.composer import MaxDepthExceededError

from da import yaml_source
from da.errors import ThermodaError
from da.yaml_source import DEEPEST, LONGEST_CHAIN, MOST_VALUES, SIZE_LIMIT, YamlSource

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_S = 60.0
"""Of one file, on a slow and busy machine; without the limits it would be years."""

_LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
_LAUGHING_KEYS = (
    "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)) + "? *a39\n: 1\n"
)
_LAUGHING_SECTIONS = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{l: *a{i - 1}, r: *a{i - 1}}}\n" for i in range(1, 60))

REFUSED = {
    "a billion laughs": (_LAUGHS, f"more than {MOST_VALUES} keys and values, aliases written out"),
    "a billion laughs in sections": (_LAUGHING_SECTIONS, f"more than {MOST_VALUES} keys and values"),
    "a billion laughs in a key": (_LAUGHING_KEYS, "keys should be strings"),
    "an alias inside what it repeats": ("a: &a [*a]\n", "an alias stands inside what it repeats"),
    "a section inside itself": ("a: &a {b: *a}\n", "an alias stands inside what it repeats"),
    "lists in lists": ("a: " + "[" * 100_000, f"nested more than {DEEPEST} levels deep"),
    "sections in sections": ("a: " + "{a: " * 60_000, f"nested more than {DEEPEST} levels deep"),
    "dashes": ("- " * 100_000, f"nested more than {DEEPEST} levels deep"),
    "questions": ("? " * 100_000, f"nested more than {DEEPEST} levels deep"),
    "a number of 200 000 digits": ("a: " + "9" * 200_000, "not a valid value"),
    "a file beyond the limit": ("#" * (SIZE_LIMIT + 1), f"larger than the limit of {SIZE_LIMIT} bytes"),
    "another version of YAML": ("%YAML 1.1\n---\na: 1\n", "expected YAML 1.2"),
    "tabs": ("a:\n\t\tb: 1\n", "cannot start any token"),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


@pytest.mark.parametrize("case", REFUSED)
def test_that_a_bomb_is_refused_with_one_line_in_bounded_time(source: Path, case: str) -> None:
    text, expected = REFUSED[case]
    source.write_text(text, encoding="utf-8")
    begin = time.process_time()
    with pytest.raises(ThermodaError) as raised:
        YamlSource.read(source)
    assert expected in str(raised.value)
    assert str(raised.value).startswith(str(source))
    assert time.process_time() - begin < LONGEST_S


LARGE = {
    "a word of 200 000 letters": "a: " + "x" * 200_000,
    "a key of 900 letters": "x" * 900 + ": 1",
    "a quoted text of escapes": 'a: "' + "\\n" * 60_000 + '"',
    "a folded text": "a: >\n" + "  x\n\n" * 20_000,
    "comments": "a: 1\n" + "# x\n" * 40_000,
}


@pytest.mark.parametrize("case", LARGE)
def test_that_large_but_plain_content_is_read_in_bounded_time(source: Path, case: str) -> None:
    source.write_text(LARGE[case], encoding="utf-8")
    begin = time.process_time()
    assert len(YamlSource.read(source).root) == 1
    assert time.process_time() - begin < LONGEST_S


def test_that_an_alias_that_repeats_little_is_welcome(source: Path) -> None:
    source.write_text("a: &a {b: 1}\nc: [*a, *a]\nd: {<<: *a, e: 2}\n", encoding="utf-8")
    assert yaml_source.plain(YamlSource.read(source).root)["d"] == {"b": 1, "e": 2}


def test_that_an_anchor_may_be_used_again_without_a_warning(source: Path) -> None:
    source.write_text("a: &a 1\nb: &a 2\nc: *a\n", encoding="utf-8")
    assert YamlSource.read(source).root["c"] == 2


def test_that_the_depth_limit_is_an_error_of_the_yaml_library() -> None:
    assert issubclass(MaxDepthExceededError, yaml_source.MarkedYAMLError)


def test_that_a_chain_of_files_has_an_end(tmp_path: Path) -> None:
    for number in range(LONGEST_CHAIN + 1):
        (tmp_path / f"{number}.yaml").write_text(f"inherits: {number + 1}.yaml\na: 1\n", encoding="utf-8")
    with pytest.raises(ThermodaError, match=f"the last of {LONGEST_CHAIN} files that inherit"):
        YamlSource.read(tmp_path / "0.yaml")


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/dev/stdin", ".", "long" * 100, '"a\\0b"', "../x/../../.."])
def test_that_only_a_regular_file_is_inherited(source: Path, name: str) -> None:
    os.mkfifo(source.with_name("pipe"))
    source.write_text(f"inherits: {name}\n", encoding="utf-8")
    with pytest.raises(ThermodaError, match="inherits: there is no file"):
        YamlSource.read(source)


def test_that_an_inherits_that_came_by_a_merge_is_refused_or_followed_with_one_line(source: Path) -> None:
    source.write_text("x: &x {inherits: nowhere.yaml}\n<<: *x\n", encoding="utf-8")
    with pytest.raises(ThermodaError, match=r"file\.yaml"):
        YamlSource.read(source)


PRECIOUS = "three years"


def _precious(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text(PRECIOUS, encoding="utf-8")
    return folder / "thesis.txt"


@pytest.mark.parametrize("way", ["up", "link"])
@pytest.mark.parametrize("option", [(), ("--overwrite",)])
def test_that_no_way_round_leads_a_run_over_a_foreign_folder(
    tmp_path: Path,
    tiny_experiment: Callable[..., Path],
    command_line: Callable[..., Any],
    way: str,
    option: tuple[str, ...],
) -> None:
    thesis = _precious(tmp_path / "work")
    (tmp_path / "runs").mkdir()
    if way == "link":
        (tmp_path / "runs" / "tiny").symlink_to(thesis.parent)
    target = {"up": tmp_path / "runs" / ".." / "work", "link": tmp_path / "runs" / "tiny"}[way]
    error = command_line("run", tiny_experiment(experiment={"output_folder": str(target)}), *option).error
    assert str(target) in error
    assert thesis.read_text(encoding="utf-8") == PRECIOUS
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["thesis.txt"]


def test_that_an_unfinished_run_does_not_take_the_place_of_foreign_files(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    thesis = _precious(tmp_path / "runs" / "tiny.partial")
    assert "not an unfinished run" in command_line("run", tiny_experiment(), "--overwrite").error
    assert thesis.read_text(encoding="utf-8") == PRECIOUS


@pytest.mark.parametrize("name", ["../up", "a/b", "/tmp/x", "..", "a\0b", "-x", "a b", ""])
@pytest.mark.parametrize("place", ["name", "satellite"])
def test_that_names_that_become_parts_of_files_hold_no_path(
    tiny_experiment: Callable[..., Path], command_line: Callable[..., Any], name: str, place: str
) -> None:
    synthetic = {"synthetic": {"altitude_km": 302, "inclination_deg": 87.3, "sampling_s": 120}}
    changes = {"name": {"experiment": {"name": name}}, "satellite": {"satellites": {name: synthetic}}}[place]
    assert "a name begins with a letter" in command_line("check", tiny_experiment(**changes)).error


@pytest.mark.parametrize("folder", ["a\0b", ".", "..", "/", ""])
def test_that_a_folder_of_results_has_a_name_that_can_be_written(
    tiny_experiment: Callable[..., Path], command_line: Callable[..., Any], folder: str
) -> None:
    assert (
        "experiment.output_folder" in command_line("check", tiny_experiment(experiment={"output_folder": folder})).error
    )


SHELLS = re.compile(
    r"shell\s*=\s*True|os\.(system|popen)|subprocess\.get(status)?output|pty\.spawn|\beval\(|(?<![.\w])exec\("
)


def test_that_no_argument_reaches_a_shell() -> None:
    files = [path for folder in ("da", "model_adapters", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")]
    assert len(files) > 100
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if SHELLS.search(line)
    ]
    assert found == []
