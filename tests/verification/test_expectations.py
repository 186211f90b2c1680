"""Figures that an experiment expects: every row and column of the tables may be named."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from da.config import ExpectedSection
from da.errors import ThermodaError
from da.verification.evaluation import Activity, Row, evaluate
from da.verification.expectations import compare_expectations
from da.verification.tables import score_columns


def expected(row: str, value: float, statistic: str = "rms_log_ratio") -> ExpectedSection:
    return ExpectedSection(satellite="CHAMP", row=row, statistic=statistic, value=value, tolerance=0.01)


def test_that_every_row_of_an_evaluation_may_be_expected() -> None:
    assert get_args(ExpectedSection.model_fields["row"].annotation) == tuple(str(row) for row in Row)


def test_that_what_is_expected_of_each_row_is_compared_with_what_its_table_shows(shared_run: Any) -> None:
    evaluation = evaluate(shared_run.path)
    for row in Row:
        found = score_columns(evaluation.satellites[0], Activity.ALL, row)["rms_log_ratio"]
        (good, bad) = compare_expectations(evaluation, [expected(row, found + 0.005), expected(row, found + 0.02)])
        assert good.found == found
        assert (good.met, bad.met) == (True, False)


def test_that_unknown_satellites_and_statistics_are_told(shared_run: Any) -> None:
    evaluation = evaluate(shared_run.path)
    with pytest.raises(ThermodaError, match="there is no statistic 'beauty'"):
        compare_expectations(evaluation, [expected("MSIS", 0.0, "beauty")])
