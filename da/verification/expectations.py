"""The figures that an experiment's YAML expects, against those that its run gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from da.config import ExpectedSection
from da.errors import ThermodaError
from da.verification.evaluation import Activity, Evaluation, Row
from da.verification.tables import score_columns


@dataclass(frozen=True)
class Comparison:
    """One expected figure and what was found.

    Parameters
    ----------
    expected : ExpectedSection
    found : float
    """

    expected: ExpectedSection
    found: float

    @property
    def met(self) -> bool:
        """Whether the figure lies within its tolerance; one that is not defined does not."""
        return abs(self.found - self.expected.value) <= self.expected.tolerance


def compare_expectations(evaluation: Evaluation, expected: Sequence[ExpectedSection]) -> list[Comparison]:
    """Return each expected figure with the one found.

    Raises
    ------
    ThermodaError
        If a satellite or a statistic has no such name.
    """
    return [Comparison(one, _found(evaluation, one)) for one in expected]


def _found(evaluation: Evaluation, expected: ExpectedSection) -> float:
    satellites = {one.satellite: one for one in evaluation.satellites}
    if expected.satellite not in satellites:
        raise ThermodaError(f"expect: there is no satellite '{expected.satellite}', only {', '.join(satellites)}")
    scores = score_columns(satellites[expected.satellite], Activity.ALL, Row(expected.row))
    if expected.statistic not in scores:
        raise ThermodaError(f"expect: there is no statistic '{expected.statistic}'; known are {', '.join(scores)}")
    return scores[expected.statistic]


def expectations_table(comparisons: Sequence[Comparison]) -> Table:
    """Return the comparisons as a table."""
    table = Table(title="figures that the experiment expects", title_justify="left")
    for heading in ("satellite", "row", "statistic"):
        table.add_column(heading)
    for heading in ("expected", "tolerance", "found"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for one in comparisons:
        wanted = one.expected
        numbers = (f"{number:.4g}" for number in (wanted.value, wanted.tolerance, one.found))
        table.add_row(wanted.satellite, wanted.row, wanted.statistic, *numbers, "met" if one.met else "NOT MET")
    return table
