"""The page of a report: its head, its sections, and the contents that lead to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    name : str
        For links; once in a page.
    title : str
    body : str
        HTML.
    """

    name: str
    title: str
    body: str


def page_html(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return a whole page: no scripts, nothing from outside.

    Parameters
    ----------
    title, lead : str
        Text.
    sections : sequence of Section
    """
    style = files("da.report").joinpath("report.css").read_text(encoding="utf-8")
    contents = "".join(f'<li><a href="#{one.name}">{escape(one.title)}</a></li>' for one in sections)
    body = "".join(
        f'<section id="{one.name}" aria-labelledby="{one.name}-title">'
        f'<h2 id="{one.name}-title">{escape(one.title)}</h2>{one.body}</section>'
        for one in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p></header>\n'
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )
