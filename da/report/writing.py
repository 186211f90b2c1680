"""Writing a report: the page, and its figures as files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from da.atomic_file import replace_text
from da.errors import ThermodaError
from da.figures.comparison import comparison_drawing
from da.figures.run_figures import Gap, run_drawings
from da.figures.style import Drawing, write_drawing
from da.report.configuration import differences_table, whole_table
from da.report.findings import findings
from da.report.markup import drawing_html, findings_html, gap_html, identifier, table_html
from da.report.page import Section, page_html
from da.report.reported_run import ReportedRun, read_runs
from da.report.run_tables import facts_table, key_table, significance_table
from da.verification import detail_tables, tables

FORMATS = ("pdf", "svg", "png")


def write_report(folders: Sequence[Path], output: Path) -> list[Path]:
    """Write the report of some runs, and return the paths of the page and of the figures' files.

    Parameters
    ----------
    folders : sequence of Path
        Of the runs, at least one. The first is compared with each of the others.
    output : Path
        The page; the figures come into ``<its stem>_figures`` beside it.

    Raises
    ------
    ThermodaError
        If a folder is not that of a run, or a file cannot be written. What a run lacks is a gap in the report.
    """
    runs = read_runs(folders)
    report = _Report(output, runs)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        sections = list(report.sections())
        names = ", ".join(run.label for run in runs)
        replace_text(output, page_html(f"Report: {names}", report.lead(), sections))
    except OSError as error:
        raise ThermodaError(f"{output}: cannot be written ({error})") from error
    return [output, *report.written]


class _Report:
    """The sections of a report, whose figures are written while they are made."""

    def __init__(self, output: Path, runs: Sequence[ReportedRun]) -> None:
        self._output, self._runs = output, runs
        self._folder = output.with_name(f"{output.stem}_figures")
        self.written: list[Path] = []

    def lead(self) -> str:
        """Return one sentence on what is reported."""
        number = len(self._runs)
        many = f"{number} runs, the first of them against each other" if number > 1 else "One run"
        return (
            f"{many}, with MSIS, calibrated MSIS and the persisted scale factor beside every ensemble. "
            "Ratios are observed over modelled densities; all times are UTC."
        )

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the page in their order."""
        yield Section("key-figures", "Key figures", self._key_figures())
        warnings = "".join(f"<h3>{escape(run.label)}</h3>{findings_html(findings(run))}" for run in self._runs)
        yield Section("warnings", "Warnings", warnings)
        yield Section("configuration", "Configuration", self._configuration())
        for number, run in enumerate(self._runs, start=1):
            yield Section(f"run-{number}-tables", f"{run.label}: tables", _tables(run))
            yield Section(f"run-{number}-figures", f"{run.label}: figures", self._figures(number, run))

    def _key_figures(self) -> str:
        parts = [table_html(key_table(self._runs))]
        evaluated = {run.label: run.details for run in self._runs if run.details is not None}
        if len(self._runs) > 1:
            parts.append(table_html(significance_table(self._runs)))
            if evaluated:
                parts.append(self._drawing(comparison_drawing(evaluated), self._folder))
        return "".join(parts)

    def _configuration(self) -> str:
        parts = [table_html(facts_table(self._runs))]
        if len(self._runs) > 1:
            parts.append(table_html(differences_table(self._runs)))
        for run in self._runs:
            if run.provenance.get("configuration"):
                table = table_html(whole_table(run))
                parts.append(f"<details><summary>All keys of {escape(run.label)}</summary>{table}</details>")
        return "".join(parts)

    def _figures(self, number: int, run: ReportedRun) -> str:
        folder = self._folder / f"{number}-{identifier(run.label)}"
        return "".join(
            gap_html(one) if isinstance(one, Gap) else self._drawing(one, folder)
            for one in run_drawings(run.folder, run.details)
        )

    def _drawing(self, drawing: Drawing, folder: Path) -> str:
        paths = write_drawing(drawing, folder, FORMATS)
        self.written += paths
        return drawing_html(drawing, paths, self._output)


def _tables(run: ReportedRun) -> str:
    if run.details is None:
        return f'<p class="gap">There are no tables: {escape("; ".join(run.gaps))}.</p>'
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in run.details.evaluation.notes)
    found = (*tables(run.details.evaluation), *detail_tables(run.details))
    return "".join(map(table_html, found)) + notes
