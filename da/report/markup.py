"""Pieces of an HTML page: text, tables in boxes of their own that scroll, figures inside the page."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from da.figures.run_figures import Gap
from da.figures.style import Drawing
from da.report.findings import Finding

MOST_SVG_BYTES = 300_000
"""Larger drawings are in the page as PNG; their files beside it are vectors all the same."""

_KINDS = {".svg": "image/svg+xml", ".png": "image/png"}


def identifier(text: str) -> str:
    """Return a name for a place in a page, or of a folder, of letters, digits and dashes.

    >>> identifier("RMS of ln(o/m)")
    'rms-of-ln-o-m'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "run"


def _plain(cell: object) -> str:
    """Return a cell without the terminal's markup, as HTML; its line breaks are kept."""
    return "<br>".join(escape(Text.from_markup(line).plain.strip()) for line in str(cell).split("\n"))


def table_html(table: Table) -> str:
    """Return a table of the terminal as HTML: title as heading, groups as header rows, caption as note."""
    columns = table.columns
    title = _plain(table.title or "")
    head = "".join(_header(column) for column in columns)
    body = "".join(
        _row([str(cell) for cell in cells], columns) for cells in zip(*(c.cells for c in columns), strict=True)
    )
    note = f'<p class="note">{_plain(table.caption)}</p>' if table.caption else ""
    label = title.replace("<br>", " ")
    # The title stands outside the table, so that it does not scroll with it.
    return (
        f'<div class="box"><h3>{title}</h3><div class="scroll" tabindex="0" role="region" aria-label="Table: {label}">'
        f'<table aria-label="{label}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}</div>'
    )


def _header(column: Column) -> str:
    name = _plain(column.header).removesuffix("<br>")
    kind = ' class="number"' if column.justify == "right" else ""
    return f'<th scope="col"{kind}>{name}</th>' if name else "<td></td>"


def _row(cells: Sequence[str], columns: Sequence[Column]) -> str:
    first, *others = cells
    if len(others) > 1 and not any(others):
        return f'<tr class="group"><th scope="rowgroup" colspan="{len(cells)}">{_plain(first)}</th></tr>'
    values = "".join(
        f'<td class="number">{_plain(cell)}</td>' if column.justify == "right" else f"<td>{_plain(cell)}</td>"
        for cell, column in zip(others, columns[1:], strict=True)
    )
    return f'<tr><th scope="row">{_plain(first)}</th>{values}</tr>'


def findings_html(findings: Sequence[Finding]) -> str:
    """Return warnings as a list, or that there is none."""
    if not findings:
        return "<p>No warnings.</p>"
    items = "".join(
        f'<li><strong class="badge">{escape(one.name)}</strong> {escape(one.text)}</li>' for one in findings
    )
    return f'<ul class="warnings">{items}</ul>'


def drawing_html(drawing: Drawing, paths: Sequence[Path], page: Path) -> str:
    """Return a figure: its image inside the page, its caption, and links to its files.

    Parameters
    ----------
    drawing : Drawing
    paths : sequence of Path
        Its files, among them one of SVG and one of PNG.
    page : Path
        The file of the page, to which the links are relative.
    """
    by_kind = {path.suffix: path for path in paths}
    small = by_kind[".svg"].stat().st_size <= MOST_SVG_BYTES
    content = base64.b64encode(by_kind[".svg" if small else ".png"].read_bytes()).decode("ascii")
    kind = _KINDS[".svg" if small else ".png"]
    links = ", ".join(
        f'<a href="{escape(path.relative_to(page.parent).as_posix())}">{suffix.removeprefix(".").upper()}</a>'
        for suffix, path in by_kind.items()
    )
    width, height = (round(96.0 * size) for size in drawing.figure.get_size_inches())
    title = escape(drawing.title)
    return (
        f'<figure><div class="scroll" tabindex="0" role="region" aria-label="Figure: {title}">'
        f'<img src="data:{kind};base64,{content}" alt="{escape(drawing.alternative)}" '
        f'width="{width}" height="{height}">'
        f"</div><figcaption><strong>{title}.</strong> {escape(drawing.caption)} "
        f'<span class="files">Files: {links}</span></figcaption></figure>'
    )


def gap_html(gap: Gap) -> str:
    """Return the place of a figure that could not be drawn."""
    return f'<p class="gap"><strong>{escape(gap.title)}</strong>: not drawn, because {escape(gap.reason)}.</p>'
