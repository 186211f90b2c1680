"""Experiment files that inherit: what comes out, which file and line a fault is told at, what a run records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml.comments import CommentedMap

from da.config import json_schema, read_experiment
from da.errors import ThermodaError
from da.inheritance import position, to_yaml
from da.yaml_source import YamlSource, plain

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    radius_km: float = Field(gt=0.0)
    colour: str | None = "red"


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")

    leaf: Leaf
    listed: tuple[Leaf, ...] = ()
    optional: Leaf | None = None


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """Write files by name, the first of which is returned."""

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path / f"{next(iter(texts))}.yaml"

    return write


def fault(path: Path) -> str:
    """Return what is said of a file, without folders."""
    with pytest.raises(ThermodaError) as raised:
        YamlSource.read(path).validate(Tree)
    return str(raised.value).replace(f"{path.parent}/", "")


MERGED = {
    "mappings are merged": ("a: {b: 1, c: 2}", "a: {c: 3, d: 4}", {"a": {"b": 1, "c": 3, "d": 4}}),
    "at any depth": ("a: {b: {c: {d: 1, e: 2}}}", "a: {b: {c: {e: 3}}}", {"a": {"b": {"c": {"d": 1, "e": 3}}}}),
    "lists are replaced": ("a: [1, 2, 3]", "a: [4]", {"a": [4]}),
    "mappings in lists too": ("a: [{b: 1}]", "a: [{c: 1}]", {"a": [{"c": 1}]}),
    "a scalar takes the place of a mapping": ("a: {b: 1}", "a: 2", {"a": 2}),
    "a mapping takes the place of a scalar": ("a: 2", "a: {b: 1}", {"a": {"b": 1}}),
    "null removes": ("a: {b: 1, c: 2}", "a: {b: null}", {"a": {"c": 2}}),
    "null removes whole sections": ("a: {b: 1}\nd: 1", "a: null", {"d": 1}),
    "null that removes nothing stays": ("a: {b: 1}", "a: {c: null}", {"a": {"b": 1, "c": None}}),
    "alternatives are switched": (
        "a: {files: [x]}",
        "a: {files: null, synthetic: {h: 1}}",
        {"a": {"synthetic": {"h": 1}}},
    ),
    "anchors hold inside their file": (
        "x: &x {b: 1}\na: *x",
        "y: &x {c: 2}\na: {<<: *x}",
        {"x": {"b": 1}, "a": {"b": 1, "c": 2}, "y": {"c": 2}},
    ),
}


@pytest.mark.parametrize("case", MERGED)
def test_that_an_inheriting_file_lies_over_the_other(files: Callable[..., Path], case: str) -> None:
    base, child, expected = MERGED[case]
    source = YamlSource.read(files(child=f"inherits: base.yaml\n{child}\n", base=base))
    assert plain(source.root) == expected
    assert [key for key in source.root if key in YamlSource.read(files(base=base)).root] == [
        key for key in YamlSource.read(files(base=base)).root if key in expected
    ]


def test_that_a_chain_is_followed_and_what_was_removed_may_come_again(files: Callable[..., Path]) -> None:
    path = files(
        child="inherits: middle.yaml\na: {d: 4}\n",
        middle="inherits: base.yaml\na: null\nb: 2\n",
        base="a: {c: 3}\nb: 1\ne: 5\n",
    )
    assert plain(YamlSource.read(path).root) == {"b": 2, "e": 5, "a": {"d": 4}}


def test_that_the_path_of_a_base_is_relative_to_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("one", "two/three", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "one" / "child.yaml").write_text("inherits: ../two/three/middle.yaml\n")
    (tmp_path / "two" / "three" / "middle.yaml").write_text("inherits: ../base.yaml\n")
    (tmp_path / "two" / "base.yaml").write_text("a: 1\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    source = YamlSource.read(Path("../one/child.yaml"))
    assert plain(source.root) == {"a": 1}
    assert [layer.path.resolve() for layer in source.layers[1:]] == [
        tmp_path / "two" / "three" / "middle.yaml",
        tmp_path / "two" / "base.yaml",
    ]


BASE = "leaf:\n  radius_km: 1\n  colour: red\nlisted:\n  - radius_km: 1\n"
FAULTS = {
    "wrong value of the base": (BASE.replace("1\n  colour", "-1\n  colour"), "", "base.yaml, line 2: leaf.radius_km: "),
    "wrong value of the child": (BASE, "leaf:\n  radius_km: -1\n", "child.yaml, line 3: leaf.radius_km: must be"),
    "unknown key of the base": (BASE + "\nlisted2: 1\n", "leaf: {}\n", "base.yaml, line 7: listed2: not a key"),
    "unknown key of the child": (
        BASE,
        "leaf:\n  radus_km: 2\n",
        "child.yaml, line 3: leaf.radus_km: not a key; did you mean radius_km?",
    ),
    "item of a list of the base": (
        BASE.replace("- radius_km: 1", "- radius_km: 0"),
        "leaf: {radius_km: 2}\n",
        "base.yaml, line 5: listed.0.radius_km: ",
    ),
    "item of a list of the child": (BASE, "listed:\n\n  - radius_km: 0\n", "child.yaml, line 4: listed.0.radius_km: "),
    "required key removed": (BASE, "leaf:\n  radius_km: null\n", "child.yaml, line 3: leaf.radius_km: this key is re"),
    "misspelt key removed": (BASE, "leaf:\n  color: null\n", "child.yaml, line 3: leaf.color: not a key; did you mean"),
    "required key in neither file": ("listed: []\n", "optional: {}\n", "child.yaml: leaf: this key is required"),
    "required key in a section of both": (
        "leaf: {}\n",
        "leaf: {colour: red}\n",
        "child.yaml, line 2: leaf.radius_km: this key is required",
    ),
    "duplicate key in the base": ("leaf: 1\nleaf: 2\n", "", "base.yaml, line 2: while constructing a mapping: found"),
    "base that is a list": ("- a\n", "", "base.yaml: an experiment is a mapping of sections"),
    "key that came by a merge": (
        "leaf:\n  <<: {radius_km: -1}\n",
        "leaf: {colour: red}\n",
        "base.yaml, line 1: leaf.radius_km: must be greater than 0",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_that_a_fault_is_told_with_the_file_and_line_in_which_its_key_stands(
    files: Callable[..., Path], case: str
) -> None:
    base, child, expected = FAULTS[case]
    assert fault(files(child=f"inherits: base.yaml\n{child}", base=base)).startswith(expected)


CHAINS = {
    "itself": ({"child": "inherits: child.yaml\n"}, "goes round in a circle, child.yaml -> child.yaml"),
    "each other": (
        {"child": "inherits: base.yaml\n", "base": "a: 1\ninherits: ./child.yaml\n"},
        "base.yaml, line 2: inherits: goes round in a circle, child.yaml -> base.yaml -> child.yaml",
    ),
    "nowhere": ({"child": "a: 1\ninherits: nowhere.yaml\n"}, "child.yaml, line 2: inherits: there is no file nowhere."),
    "a folder": ({"child": "inherits: .\n"}, "child.yaml, line 1: inherits: there is no file"),
    "a list": ({"child": "inherits: [a.yaml, b.yaml]\n"}, "line 1: inherits: must be the path of one file, such as"),
    "nothing": ({"child": "inherits:\nleaf: 1\n"}, "line 1: inherits: must be the path of one file, such as base"),
}


@pytest.mark.parametrize("case", CHAINS)
def test_that_a_chain_that_cannot_be_followed_is_one_line(files: Callable[..., Path], case: str) -> None:
    texts, expected = CHAINS[case]
    message = fault(files(**texts))
    assert expected in message
    assert "\n" not in message


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from leaves(value, (*path, key))


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.rglob("*.yaml")), ids=lambda file: file.stem)
def test_that_every_key_of_the_examples_stands_where_its_place_says(file: Path) -> None:
    source = YamlSource.read(file)
    checked = 0
    for path in leaves(source.root):
        where, line = position(source.layers, path)
        assert line is not None
        text = where.read_text(encoding="utf-8").splitlines()[line - 1]
        assert f"{path[-1]}:" in text if isinstance(path[-1], str) else True
        checked += 1
    assert checked > 5


@pytest.mark.parametrize(
    "file",
    sorted(one for one in EXPERIMENTS.rglob("*.yaml") if not one.name.startswith("_")),
    ids=lambda file: file.stem,
)
def test_that_the_resolved_text_of_an_example_is_the_same_experiment(file: Path, tmp_path: Path) -> None:
    experiment, source = read_experiment(file)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(source.resolved().text, encoding="utf-8")
    assert read_experiment(resolved)[0] == experiment
    assert len(YamlSource.read(resolved).layers) == 1


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=20),
)
KEYS = st.text("abcdefgh_0123456789", min_size=1, max_size=12)
CONTENT = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@given(content=st.dictionaries(KEYS, CONTENT, min_size=1, max_size=4))
def test_that_written_yaml_is_read_as_what_it_was(content: dict[str, Any], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("written") / "file.yaml"
    path.write_text(to_yaml(content, "a comment"), encoding="utf-8")
    assert plain(YamlSource.read(path).root) == content


def test_that_times_with_and_without_zone_are_the_same_in_the_resolved_text(files: Callable[..., Path]) -> None:
    times = "a: 2010-04-05T00:00:00Z\nb: 2010-04-05T02:00:00+02:00\nc: 2010-04-05 01:00:00\nd: 2010-04-05T00:00Z\n"
    source = YamlSource.read(files(child="inherits: base.yaml\n", base=times))
    for line in times.splitlines():
        assert line in source.resolved().text


def test_that_a_file_without_inheritance_is_its_own_resolved_text(files: Callable[..., Path]) -> None:
    text = "# mine\nleaf: {radius_km: 1.50}   # why\n"
    assert YamlSource.read(files(only=text)).resolved().text == text


def test_that_values_laid_over_a_source_are_told_at_the_lines_of_its_files(files: Callable[..., Path]) -> None:
    source = YamlSource.read(files(child="inherits: base.yaml\n\noptional: {radius_km: 2}\n", base=BASE))

    def message(**values: Any) -> str:
        with pytest.raises(ThermodaError) as raised:
            source.with_values(CommentedMap(values)).validate(Tree)
        return str(raised.value).rpartition("/")[2]

    assert message(leaf=CommentedMap(radius_km=-1)).startswith("base.yaml, line 2: leaf.radius_km: must be greater")
    assert message(optional=CommentedMap(radius_k=1)).startswith("child.yaml, line 3: optional.radius_k: not a key; di")
    assert source.with_values(CommentedMap(leaf=CommentedMap(radius_km=9))).validate(Tree).leaf.radius_km == 9.0
    assert source.validate(Tree).leaf.radius_km == 1.0


@pytest.fixture
def child(tmp_path: Path, tiny_experiment: Callable[..., Path]) -> Path:
    """Write an experiment that inherits the tiny one."""
    tiny_experiment()
    path = tmp_path / "child.yaml"
    path.write_text(
        "inherits: tiny.yaml\nexperiment:\n  name: child\n  output_folder: " + str(tmp_path / "runs" / "child") + "\n"
        "analysis: {forgetting_factor: 0.9}\n",
        encoding="utf-8",
    )
    return path


def test_that_a_run_records_what_it_resolved_to_and_the_files_it_came_from(
    tmp_path: Path, child: Path, command_line: Callable[..., Any]
) -> None:
    shown = command_line("check", child, "--resolved")
    assert shown.status == 0
    assert command_line("run", child).status == 0
    folder = tmp_path / "runs" / "child"
    recorded = folder / "experiment.yaml"
    assert recorded.read_text(encoding="utf-8") == shown.out
    assert read_experiment(recorded)[0] == read_experiment(child)[0]
    content = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    files = [child, tmp_path / "tiny.yaml"]
    assert content["configuration_files"] == {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    for file in files:
        file.unlink()
    assert command_line("evaluate", folder, "--no-figures").status == 0


def test_that_a_faulty_file_is_not_shown_as_resolved(child: Path, command_line: Callable[..., Any]) -> None:
    child.write_text(child.read_text().replace("forgetting", "forgeting"))
    assert command_line("check", child, "--resolved").error.endswith("did you mean forgetting_factor?")
    child.write_text(child.read_text().replace("analysis: {forgeting_factor: 0.9}", "model: {settings: {resol: 1}}"))
    assert "model.settings.resol: not a key" in command_line("check", child, "--resolved").error


def test_that_the_schema_lets_a_file_inherit_or_have_every_required_section() -> None:
    schema = json.loads(json_schema())
    assert schema["properties"]["inherits"]["type"] == "string"
    required = [one["required"] for one in schema["anyOf"]]
    assert ["inherits"] in required
    assert {"experiment", "satellites", "analysis"} <= set(required[0])
    assert "required" not in schema
