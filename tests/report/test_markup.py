"""Pieces of the page: text is escaped, tables keep their cells, configurations are compared."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.table import Table

from da.figures.run_figures import Gap
from da.figures.style import Drawing, write_drawing
from da.report import markup
from da.report.configuration import differences
from da.report.findings import Finding
from da.report.page import Section, page_html


class Cells(HTMLParser):
    """Text of every cell of a table, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_that_a_table_keeps_its_cells_without_the_markup_of_the_terminal() -> None:
    table = Table(title="a < b", caption="note & more")
    table.add_column("")
    table.add_column("skill\nof A", justify="right")
    table.add_column("p", justify="right")
    table.add_row("[bold]storm[/bold]", "", "")
    table.add_row(" <forecast>", "0.5 \\[0.1, 0.9]", "")
    text = markup.table_html(table)
    cells = Cells()
    cells.feed(text[text.index("<table") : text.index("</table>")])
    assert cells.rows == [["", "skillof A", "p"], ["storm"], ["<forecast>", "0.5 [0.1, 0.9]", ""]]
    assert "a &lt; b" in text
    assert "note &amp; more" in text
    assert 'colspan="3"' in text
    assert '<th scope="col" class="number">skill<br>of A</th>' in text


def test_that_a_row_whose_only_value_is_missing_is_no_group() -> None:
    table = Table()
    table.add_column("key")
    table.add_column("value")
    table.add_row("name", "")
    assert "rowgroup" not in markup.table_html(table)


@pytest.mark.parametrize(("points", "kind"), [(10, "svg+xml"), (40000, "png")])
def test_that_small_figures_are_vectors_in_the_page_and_large_ones_are_not(
    tmp_path: Path, points: int, kind: str
) -> None:
    figure = Figure(figsize=(3.0, 2.0))
    values = np.random.default_rng(1).standard_normal((2, points))
    figure.subplots().plot(*values, "o", rasterized=False)
    drawing = Drawing("dots", 'Dots & "dots"', "What they are.", "Dots <everywhere>.", figure)
    paths = write_drawing(drawing, tmp_path / "page_figures", ("pdf", "svg", "png"))
    text = markup.drawing_html(drawing, paths, tmp_path / "page.html")
    (found,) = re.findall(r'src="data:image/([a-z+]+);base64,([^"]+)"', text)
    assert found[0] == kind
    suffix = "svg" if kind == "svg+xml" else "png"
    assert base64.b64decode(found[1]) == (tmp_path / f"page_figures/dots.{suffix}").read_bytes()
    assert 'alt="Dots &lt;everywhere&gt;."' in text
    assert 'href="page_figures/dots.pdf"' in text
    assert 'width="288" height="192"' in text


def test_that_gaps_and_warnings_are_escaped() -> None:
    assert "&lt;x&gt;" in markup.gap_html(Gap("Increments", "<x> is missing"))
    assert markup.findings_html([]) == "<p>No warnings.</p>"
    assert "<script" not in markup.findings_html([Finding("missing", "<script>")])


def test_that_names_of_places_are_plain() -> None:
    assert markup.identifier("Run A (p0 = 4, ünï)") == "run-a-p0-4-n"
    assert markup.identifier("…") == "run"


def test_that_a_page_has_language_title_headings_and_nothing_from_outside() -> None:
    text = page_html("Report: a & b", "Lead.", [Section("first", "First <part>", "<p>body</p>")])
    assert text.startswith("<!DOCTYPE html>")
    assert '<html lang="en">' in text
    assert "<title>Report: a &amp; b</title>" in text
    assert 'name="viewport"' in text
    assert '<a href="#first">First &lt;part&gt;</a>' in text
    assert '<h2 id="first-title">First &lt;part&gt;</h2>' in text
    assert not re.search(r"<script|<link|@import|url\(|https?://", text)


def test_that_configurations_are_compared_key_by_key() -> None:
    first = {"experiment": {"name": "a", "seed": 1, "output_folder": "x"}, "analysis": {"p0": 4.0, "times": [1, 2]}}
    second = {"experiment": {"name": "b", "seed": 1, "output_folder": "y"}, "analysis": {"p0": 1.0, "times": [1, 2]}}
    assert differences([first, second]) == {"analysis.p0": (4.0, 1.0)}
    third = {**first, "direct_tracks": {"grace": {"window_min": 60}}}
    assert differences([first, third]) == {"direct_tracks.grace.window_min": (None, 60)}
    assert differences([first, first]) == {}
