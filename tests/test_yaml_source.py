"""YAML files and what is said of their faults: the line, the key's whole path, the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from da.errors import ThermodaError
from da.yaml_source import YamlSource, key_fault, plain

STRICT = ConfigDict(extra="forbid", frozen=True)


class Leaf(BaseModel):
    model_config = STRICT

    radius_km: float = Field(gt=0.0)
    colour: str = "red"


class Tree(BaseModel):
    model_config = STRICT

    leaf: Leaf
    named: dict[str, Leaf] = Field(default_factory=dict)
    listed: tuple[Leaf, ...] = ()
    optional: Leaf | None = None


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


def fault(path: Path, text: str | bytes, section: type[BaseModel] = Tree) -> str:
    """Return the message, without the file's folder, that a text gives."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ThermodaError) as raised:
        YamlSource.read(path).validate(section)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


UNKNOWN_KEYS = {
    "at the root": ("leaf: {radius_km: 1}\nlisted: []\nnamd: {}\n", 3, "namd", "named"),
    "in a section": ("leaf:\n  radius_km: 1\n  color: red\n", 3, "leaf.color", "colour"),
    "in a flow mapping": ("leaf: {radius_km: 1, color: red}\n", 1, "leaf.color", "colour"),
    "instead of a required key": ("leaf:\n\n  radius_k: 1\n", 3, "leaf.radius_k", "radius_km"),
    "under a free name": (
        "leaf: {radius_km: 1}\nnamed:\n  oak:\n    radius_m: 1\n",
        4,
        "named.oak.radius_m",
        "radius_km",
    ),
    "in a list": (
        "leaf: {radius_km: 1}\nlisted:\n  - radius_km: 1\n  - radius_km: 2\n    colou: red\n",
        5,
        "listed.1.colou",
        "colour",
    ),
    "in an optional section": ("leaf: {radius_km: 1}\noptional:\n  radiu_km: 1\n", 3, "optional.radiu_km", "radius_km"),
    "behind a comment and Windows line ends": (
        "# comment\r\nleaf:\r\n  radus_km: 1\r\n",
        3,
        "leaf.radus_km",
        "radius_km",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN_KEYS)
def test_that_an_unknown_key_is_named_with_line_path_and_nearest_valid_name(source: Path, case: str) -> None:
    text, line, key, meant = UNKNOWN_KEYS[case]
    assert fault(source, text) == f", line {line}: {key}: not a key; did you mean {meant}?"


def test_that_a_key_like_no_valid_one_lists_the_valid_ones(source: Path) -> None:
    message = fault(source, "leaf: {radius_km: 1, zzz: 2}\n")
    assert message == ", line 1: leaf.zzz: not a key; valid here are colour, radius_km"


FAULTS = {
    "missing key": ("\nleaf:\n  colour: red\n", ", line 2: leaf.radius_km: this key is required"),
    "missing section": ("listed: []\n", ": leaf: this key is required"),
    "missing key in a list": (
        "leaf: {radius_km: 1}\nlisted:\n  - {}\n",
        ", line 3: listed.0.radius_km: this key is required",
    ),
    "wrong type": (
        "leaf: {radius_km: far}\n",
        "leaf.radius_km: must be a valid number, unable to parse string as a number (given: far)",
    ),
    "nothing given": ("leaf:\n  radius_km:\n", ", line 2: leaf.radius_km: must be a valid number (given: nothing)"),
    "number for text": ("leaf: {radius_km: 1, colour: 7}\n", "leaf.colour: must be a valid string (given: 7)"),
    "out of range": ("leaf: {radius_km: -1}\n", "leaf.radius_km: must be greater than 0 (given: -1)"),
    "number for a section": ("leaf: 5\n", ", line 1: leaf: must be a section of keys (given: 5)"),
    "list for a section": ("leaf: [1, 2]\n", ", line 1: leaf: must be a section of keys"),
    "section for a list": (
        "leaf: {radius_km: 1}\nlisted: {a: 1}\n",
        ", line 2: listed: must be a list, such as [a, b]",
    ),
    "text for a list": (
        "leaf: {radius_km: 1}\nlisted: x\n",
        ", line 2: listed: must be a list, such as [a, b] (given: x)",
    ),
    "number as a name": (
        "leaf: {radius_km: 1}\nnamed:\n  1: {radius_km: 1}\n",
        ", line 3: named.1: must be a valid string (given: 1)",
    ),
    "list as a key": ("leaf: {radius_km: 1}\n? [a, b]\n: 1\n", ": keys should be strings"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_that_a_wrong_value_is_named_with_line_path_and_what_would_be_right(source: Path, case: str) -> None:
    text, expected = FAULTS[case]
    assert fault(source, text).endswith(expected)


def test_that_a_value_with_line_breaks_and_great_length_stays_one_short_line(source: Path) -> None:
    message = fault(source, 'leaf: {radius_km: "' + "a\\n" * 500 + '"}\n')
    assert len(message) < 300
    assert message.endswith("...)")


def test_that_a_key_with_a_line_break_stays_one_line(source: Path) -> None:
    assert "leaf.a b: not a key" in fault(source, 'leaf: {radius_km: 1, "a\\nb": 2}\n')


SYNTAX = {
    "duplicate key": ("a: 1\nb: 2\na: 3\n", ', line 3: while constructing a mapping: found duplicate key "a"'),
    "duplicate section": (
        "a:\n  x: 1\na:\n  x: 2\n",
        ', line 3: while constructing a mapping: found duplicate key "a"',
    ),
    "tab": (
        "a:\n\tb: 1\n",
        ", line 2: while scanning for the next token: found character '\\t' that cannot start any token",
    ),
    "indentation": ("a:\n  b: 1\n c: 2\n", "; check the indentation"),
    "open bracket": (
        "a: 1\nb: [1, 2\n",
        ", line 3: while parsing a flow sequence: expected ',' or ']', but got '<stream end>'",
    ),
    "open quote": ("a: 'x\n", ", line 2: while scanning a quoted scalar: found unexpected end of stream"),
    "second document": (
        "a: 1\n---\nb: 2\n",
        ", line 2: expected a single document in the stream: but found another document",
    ),
    "undefined alias": ("a: 1\nb: *x\n", ", line 2: found undefined alias 'x'"),
    "impossible date": (
        "a: 1\nb: 2010-02-30T00:00:00Z\n",
        ", line 2: not a valid value (day is out of range for month)",
    ),
    "impossible hour": ("a: 2010-02-03T25:00:00Z\n", ", line 1: not a valid value (hour must be in 0..23)"),
    "a word called a number": (
        "a: !!int x\n",
        ", line 1: not a valid value (invalid literal for int() with base 10: 'x')",
    ),
    "null byte": ("a: \0\n", ": unacceptable character #x0000: special characters are not allowed"),
    "empty": ("", ": an experiment is a mapping of sections, such as 'experiment:'"),
    "comment only": ("# nothing\n", ": an experiment is a mapping of sections, such as 'experiment:'"),
    "list": ("- a\n- b\n", ": an experiment is a mapping of sections, such as 'experiment:'"),
    "word": ("hello\n", ": an experiment is a mapping of sections, such as 'experiment:'"),
    "not UTF-8": (b"a: 1\nb: \xe4\n", ", line 2: not UTF-8 text (byte 0xe4)"),
    "UTF-16": ("a: 1\n".encode("utf-16"), ", line 1: not UTF-8 text (byte 0xff)"),
    "nested too deeply": ("a: " + "[" * 2000, ", line 1: nested more than 40 levels deep"),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_that_a_file_that_is_not_one_mapping_is_named_with_the_line_of_the_fault(source: Path, case: str) -> None:
    text, expected = SYNTAX[case]
    assert fault(source, text).endswith(expected)


def test_that_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match=r"nowhere\.yaml: there is no such file"):
        YamlSource.read(tmp_path / "nowhere.yaml")
    with pytest.raises(ThermodaError, match="cannot be read \\(Is a directory\\)"):
        YamlSource.read(tmp_path)


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.system", "!!python/object/new:os.system", "!!python/name:os.system", "!mine"],
)
@pytest.mark.parametrize("value", ["[touch {}]", "{{args: [touch {}]}}", "touch {}"])
def test_that_tags_run_no_code_and_are_refused(source: Path, tag: str, value: str) -> None:
    victim = source.with_name("victim")
    message = fault(source, f"leaf:\n  radius_km: {tag} {value.format(victim)}\n")
    assert message.startswith(", line 2: the tag ")
    assert not victim.exists()


def test_that_a_key_that_came_by_a_merge_is_reported_at_its_mapping(source: Path) -> None:
    text = "leaf: {radius_km: 1}\nnamed:\n  a: &a\n    radius_km: 1\n  b:\n    <<: *a\n    radius_km: -1\n"
    assert fault(source, text).startswith(", line 7: named.b.radius_km: must be greater than 0")
    merged = "leaf: {radius_km: 1}\nnamed:\n  b:\n    <<: {radius_km: -1}\n"
    assert fault(source, merged).startswith(", line 3: named.b.radius_km: must be greater than 0")


class Pair(BaseModel):
    low: float
    high: float

    def model_post_init(self, context: object, /) -> None:
        if self.high < self.low:
            raise key_fault("must not be below low", "high")


class Pairs(BaseModel):
    pairs: tuple[Pair, ...]


def test_that_a_fault_of_two_keys_together_is_reported_at_the_key_that_the_validator_names(source: Path) -> None:
    text = "pairs:\n  - low: 1\n    high: 2\n  - low: 2\n    high: 1\n"
    assert fault(source, text, Pairs) == ", line 5: pairs.1.high: must not be below low"


def test_that_a_section_is_validated_with_its_place_in_the_file(source: Path) -> None:
    source.write_text("a: 1\nmodel:\n  settings:\n    radius: 1\n")
    with pytest.raises(ThermodaError, match=r"line 4: model\.settings\.radius: not a key; did you mean radius_km\?"):
        YamlSource.read(source).validate(Leaf, ("model", "settings"))
    with pytest.raises(ThermodaError, match=r"line 2: model\.other\.radius_km: this key is required"):
        YamlSource.read(source).validate(Leaf, ("model", "other"))


def test_that_an_unknown_key_is_reported_before_other_faults(source: Path) -> None:
    assert "colr: not a key" in fault(source, "leaf:\n  radius_km: -1\n  colr: red\n")


def test_that_plain_keeps_values_and_leaves_no_type_of_the_yaml_library(source: Path) -> None:
    source.write_text("a: 1.50\nb: 0x10\nc: 'q'\nd: &x [1, {e: true}]\nf: *x\ng: .inf\nh: null\n")
    content = plain(YamlSource.read(source).root)
    nested = [1, {"e": True}]
    assert content == {"a": 1.5, "b": 16, "c": "q", "d": nested, "f": nested, "g": float("inf"), "h": None}
    assert [type(value) for value in content.values()] == [float, int, str, list, list, float, type(None)]
    assert [type(key) for key in content] == [str] * 7


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab:-[]{}&*!<>|'\"#%@ \n\t0.1~?,", max_size=40))
def test_that_any_text_is_a_valid_file_or_gives_one_line(source: Path, text: str) -> None:
    source.write_text(text)
    message = None
    try:
        YamlSource.read(source).validate(Leaf)
    except ThermodaError as error:
        message = str(error)
    assert message is None or len(message.splitlines()) == 1
