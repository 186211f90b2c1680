"""Tables that a report has beside those of an evaluation: the runs, their key figures, and run against run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from da.errors import ThermodaError
from da.report.configuration import ABSENT
from da.report.reported_run import ReportedRun
from da.verification.bootstrap import Interval
from da.verification.details import compare_runs, tested_row
from da.verification.evaluation import Activity, Row

_SHORT = {
    Row.MSIS: "MSIS",
    Row.CALIBRATED_MSIS: "calibrated\nMSIS",
    Row.PERSISTED: "persisted\nscale factor",
    Row.OPEN_LOOP: "open\nloop",
    Row.FORECAST: "forecast",
    Row.ANALYSIS: "analysis",
}
COMPARED = (Row.FORECAST, Row.ANALYSIS, Row.OPEN_LOOP)
_FACTS = {
    "start": "first time",
    "stop": "last time",
    "model": "model",
    "members": "members",
    "assimilated_satellite": "calibrating satellite",
    "seed": "seed",
    "ranks": "ranks",
    "finished": "finished",
}


def _number(value: float, digits: int = 3) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _shortened(version: str) -> str:
    """Return a version with the first digits of a commit, and what follows them, such as "+changes"."""
    commit, plus, rest = version.partition("+")
    return f"{commit[:10]}{plus}{rest}"


def facts_table(runs: Sequence[ReportedRun]) -> Table:
    """Return what the provenance of the runs says."""
    table = Table(title="Runs", box=box.HORIZONTALS)
    table.add_column("")
    for run in runs:
        table.add_column(escape(run.label), justify="right")
    table.add_row("folder", *(escape(run.folder.name) for run in runs))
    for key, label in _FACTS.items():
        table.add_row(label, *(escape(str(run.provenance.get(key, ABSENT))) for run in runs))
    versions = [str(run.provenance.get("commit", ABSENT)) for run in runs]
    table.add_row("version of the code", *(escape(_shortened(version)) for version in versions))
    seconds = [sum(run.provenance.get("phase_seconds", {}).values()) for run in runs]
    table.add_row("computing time", *(f"{value:.0f} s" if value else ABSENT for value in seconds))
    return table


def key_table(runs: Sequence[ReportedRun]) -> Table:
    """Return the root mean square ln(observed/modelled) of every row of every run along every satellite."""
    table = Table(
        title="RMS of ln(observed/modelled) at all points",
        caption="0.10 is about 10 %. The last columns are the mean ln(observed/modelled) and the spread over the error "
        "of the forecast, or of the open loop of a run that assimilates nothing.",
        box=box.HORIZONTALS,
    )
    for header in ("run", "satellite"):
        table.add_column(header)
    for header in (*_SHORT.values(), "forecast\nmean", "spread/\nerror"):
        table.add_column(header, justify="right")
    for run in runs:
        if run.details is None:
            table.add_row(escape(run.label), "not evaluated", *[""] * (len(Row) + 2))
            continue
        for one in run.details.evaluation.satellites:
            scores = {row: statistics.pairs.value() for row, statistics in one.statistics[Activity.ALL].items()}
            tested = scores[tested_row(one)]
            table.add_row(
                escape(run.label),
                escape(f"{one.satellite} ({one.role})"),
                *(_number(scores[row].rms_log_ratio) if row in scores else "" for row in _SHORT),
                _number(tested.mean_log_ratio),
                _number(tested.spread_to_error, 2),
            )
    return table


def significance_table(runs: Sequence[ReportedRun]) -> Table:
    """Return the paired comparison of the first run with each of the others, along every satellite that both have."""
    first = runs[0]
    table = Table(
        title=escape(f"{first.label} (A) against each other run (B), at common points"),
        caption="skill of A = 1 − MSE(A)/MSE(B) of ln(observed/modelled), with its 95 % interval; p: of no difference, "
        "by paired block bootstrap and by Diebold-Mariano over orbits. Call a difference significant if both are "
        "small.",
        box=box.HORIZONTALS,
    )
    for header in ("B", "satellite", "row"):
        table.add_column(header)
    for header in ("n", "RMS of A", "RMS of B", "skill of A", "p boot.", "p D.-M."):
        table.add_column(header, justify="right")
    for other in runs[1:]:
        for cells in _comparisons(first, other):
            table.add_row(escape(other.label), *cells)
    return table


def _comparisons(first: ReportedRun, other: ReportedRun) -> list[list[str]]:
    if first.details is None or other.details is None:
        return [["not evaluated", *[""] * 7]]
    mine, theirs = first.details.evaluation, other.details.evaluation
    rows = {one.satellite: set(one.modelled) for one in theirs.satellites}
    found = []
    for one in mine.satellites:
        satellite = one.satellite
        for row in (row for row in COMPARED if row in set(one.modelled) & rows.get(satellite, set())):
            try:
                result = compare_runs(mine, theirs, satellite, row)
            except ThermodaError as error:
                found.append([escape(satellite), escape(f"{row}: {error}"), *[""] * 6])
                continue
            test = result.significance
            scores = (result.first.rms_log_ratio, result.second.rms_log_ratio)
            values = [
                *map(_number, scores),
                _interval(test.skill),
                *map(_p, (test.p_bootstrap, test.p_diebold_mariano)),
            ]
            found.append([escape(satellite), str(row), str(result.n), *values])
    return found or [["no common satellite", *[""] * 7]]


def _interval(interval: Interval) -> str:
    value, lower, upper = (_number(number, 2) for number in (interval.value, interval.lower, interval.upper))
    # The backslash keeps rich from reading brackets as markup.
    return f"{value} \\[{lower}, {upper}]" if lower else value


def _p(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}" if value >= 0.001 else "<0.001"
