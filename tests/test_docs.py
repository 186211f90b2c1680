"""The documentation's examples run and print what stands there; its tables name what exists."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from da.filters.assimilate import AssimilationDiagnostics, Inflation, assimilate

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST_EXAMPLE = 30


def _blocks(page: Path) -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_that_the_examples_of_a_page_run_in_order_and_print_what_follows_them(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {"__name__": "example"}
    blocks = [*_blocks(page), ("end", "")]
    for (kind, text), (after, shown) in zip(blocks[:-1], blocks[1:], strict=True):
        if kind == "python":
            exec(compile(text, str(page), "exec"), names)
            printed = capsys.readouterr().out
            assert printed == (shown if after == "text" else "")


def test_that_a_model_of_ones_own_is_coupled_within_thirty_lines() -> None:
    example = next(text for kind, text in _blocks(DOCS / "filter.md") if kind == "python" and "def model(" in text)
    lines = [line for line in example.splitlines() if line.strip()]
    assert len(lines) <= LONGEST_EXAMPLE
    assert max(map(len, lines)) <= 120


def test_that_the_tables_name_every_option_and_every_diagnostic() -> None:
    page = (DOCS / "filter.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    options = set(inspect.signature(assimilate).parameters)
    assert told == options | {one.name for owner in (Inflation, AssimilationDiagnostics) for one in fields(owner)}


def test_that_the_files_named_exist() -> None:
    page = (DOCS / "filter.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:da|benchmarks|docs)/[\w/.]+)`", page))
    assert named
    assert [name for name in sorted(named) if not (DOCS.parent / name).exists()] == []
