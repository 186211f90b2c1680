"""Reports of real, tiny runs: what the page holds, what missing files leave, and what a browser makes of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from da.figures.run_figures import Gap
from da.figures.style import Drawing
from da.report import writing
from da.report.reported_run import read_runs
from da.verification.details import EvaluationDetails

CommandLine = Callable[..., Any]
VOID = {"meta", "img", "br", "link"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Structure(HTMLParser):
    """Checks that elements close in order, and collects identifiers, links, headings and images."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.identifiers: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if identifier := given.get("id"):
            self.identifiers.append(identifier)
        if tag == "a":
            self.links.append(given["href"] or "")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(given)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())


def parsed(page: Path) -> Structure:
    structure = Structure()
    structure.feed(page.read_text(encoding="utf-8"))
    structure.close()
    return structure


@pytest.fixture
def runs(tiny_experiment: Callable[..., Path], command_line: CommandLine, tmp_path: Path) -> list[Path]:
    """Two tiny runs that differ in one key, with a satellite that is not assimilated."""
    grace = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}
    folders = []
    for name, weight in (("first", 4.0), ("second", 1.0)):
        folder = tmp_path / "runs" / name
        file = tiny_experiment(
            experiment={"name": name, "stop": "2010-04-05T02:00:00Z", "output_folder": str(folder)},
            satellites={"grace": grace},
            observation_error={"weight_p0": weight},
        )
        assert command_line("run", file).status == 0
        folders.append(folder)
    return folders


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the scale factors alone, and name every gap: all figures of a run take half a minute."""
    every = writing.run_drawings

    def few(run: Path, details: EvaluationDetails | None) -> Iterator[Drawing | Gap]:
        yield from (one for one in every(run, details) if isinstance(one, Gap) or one.name == "scale_factors")

    monkeypatch.setattr(writing, "run_drawings", few)


@pytest.mark.usefixtures("few_figures")
def test_that_two_runs_make_one_self_contained_page(
    runs: list[Path], command_line: CommandLine, tmp_path: Path
) -> None:
    page = tmp_path / "out" / "report.html"
    ended = command_line("report", *runs, "--output", page)
    assert (ended.status, ended.err) == (0, "")
    text = page.read_text(encoding="utf-8")
    structure = parsed(page)
    assert structure.open == []
    assert len(set(structure.identifiers)) == len(structure.identifiers)
    assert not re.search(r"<script|<link|@import|url\(|src=\"(?!data:)", text)
    for link in structure.links:
        assert link[1:] in structure.identifiers if link.startswith("#") else (page.parent / link).is_file(), link
    assert structure.headings[0] == 1
    assert max(b - a for a, b in zip(structure.headings, structure.headings[1:], strict=False)) <= 1
    assert len(structure.images) == 3
    assert all(len(image["alt"] or "") > 40 for image in structure.images)
    words = html.unescape(re.sub(r"<[^>]+>", " ", text))
    for expected in (
        "observation_error.weight_p0",
        "calibrated MSIS",
        "persisted scale factor",
        "skill of A",
        "second",
    ):
        assert expected in words
    # The one key that differs, with both values, and no other.
    (row,) = re.findall(r"<tr><th scope=\"row\">observation_error\.weight_p0</th>(.*?)</tr>", text)[:1]
    assert re.findall(r">([^<>]+)</td>", row) == ["4.0", "1.0"]
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report_figures"]


@pytest.mark.usefixtures("few_figures")
def test_that_what_is_missing_leaves_a_named_gap(runs: list[Path], command_line: CommandLine, tmp_path: Path) -> None:
    first, second = runs
    for name in ("track_grace.nc", "filter.nc", "calibration.nc", "observations.nc"):
        (first / name).unlink()
    (second / "provenance.json").unlink()
    page = tmp_path / "report.html"
    ended = command_line("report", first, second, "--output", page)
    assert (ended.status, ended.err) == (0, "")
    words = html.unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))
    assert "track_grace.nc is missing: nothing is said along grace" in words
    assert "provenance.json is missing: the run is not complete" in words
    for name in ("filter.nc", "calibration.nc", "observations.nc"):
        assert re.search(rf"not drawn, because \S*{re.escape(name)} is missing", words), name
    assert parsed(page).open == []


def test_that_a_folder_that_is_no_run_is_one_clear_error(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is not the folder of a run" in command_line("report", tmp_path / "empty").error
    assert "is not a folder" in command_line("report", tmp_path / "absent").error


def test_that_a_run_is_named_once(runs: list[Path], command_line: CommandLine, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert "is named twice" in command_line("report", runs[0], runs[0], "--output", page).error
    assert not page.exists()


def test_that_runs_of_one_name_are_told_apart(runs: list[Path], tmp_path: Path) -> None:
    for run in runs:
        content = json.loads((run / "provenance.json").read_text())
        (run / "provenance.json").write_text(json.dumps({**content, "name": "same"}))
    assert [run.label for run in read_runs(runs)] == ["same (first)", "same (second)"]
    shutil.copytree(runs[0], tmp_path / "elsewhere" / "first")
    labels = [run.label for run in read_runs([runs[0], tmp_path / "elsewhere" / "first"])]
    assert labels == ["same (first) 1", "same (first) 2"]


def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: install one of {', '.join(BROWSERS)} to check the width of the page")
    return found


def test_that_the_page_does_not_scroll_sideways_in_a_browser(
    runs: list[Path], command_line: CommandLine, tmp_path: Path
) -> None:
    program = browser()
    page = tmp_path / "report.html"
    assert command_line("report", runs[0], "--output", page).status == 0
    for width in (1280, 390):
        scroll_width, inner_width, loaded, images = widths(program, page, width)
        assert inner_width == width
        assert scroll_width <= inner_width
        assert loaded == images > 10


def widths(program: str, page: Path, width: int) -> list[int]:
    """Return the widths of content and frame of a page in a browser, its images that can be seen, and all of them."""
    # A frame as wide as the screen to be tested: browsers without a screen have a smallest window.
    frame = html.escape(page.read_text(encoding="utf-8"))
    script = (
        "addEventListener('load', () => { const page = document.querySelector('iframe');"
        "const inside = page.contentDocument.scrollingElement;"
        "const images = [...page.contentDocument.images];"
        "document.title = [inside.scrollWidth, page.contentWindow.innerWidth,"
        "images.filter(one => one.naturalWidth > 0).length, images.length].join(' '); });"
    )
    host = page.with_name("host.html")
    host.write_text(
        f'<!DOCTYPE html><title>none</title><iframe style="border:0" width="{width}" height="900" srcdoc="{frame}">'
        f"</iframe><script>{script}</script>",
        encoding="utf-8",
    )
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.with_name('profile')}"]
    shown = subprocess.run(
        [*command, "--virtual-time-budget=20000", "--dump-dom", host.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    ).stdout
    (title,) = re.findall(r"<title>([^<]*)</title>", shown[:2000])
    return [int(number) for number in title.split()]
