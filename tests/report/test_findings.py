"""Warnings of a report, from analyses whose numbers are made for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from da.errors import ThermodaError
from da.report.findings import inconsistent_innovations, overshoot, read_filter_counts, spread_collapse
from da.verification.analysis_records import AnalysisRecords
from da.verification.details import EvaluationDetails
from da.verification.evaluation import Evaluation
from da.verification.observation_space import InnovationStatistics

ALTITUDE = np.array([300.0, 400.0, 500.0])


def records(adopted: list[list[float]], left: list[list[float]]) -> AnalysisRecords:
    """Return analyses with these adopted parts and these parts of the spread left, by height."""
    fraction, ratio = np.array(adopted), np.array(left)
    ones = np.ones(fraction.shape)
    return AnalysisRecords(
        time=np.datetime64("2010-04-05T00", "ns") + np.arange(len(fraction)) * np.timedelta64(1, "h"),
        latitude=ones,
        longitude=ones,
        altitude_km=ALTITUDE * ones,
        observed=2.0 * ones,
        error=ones,
        forecast=ones,
        forecast_spread=ones,
        analysis=1.0 + fraction,
        analysis_spread=ratio,
        in_logarithm=False,
    )


def test_that_a_collapse_of_the_spread_is_told_with_its_heights() -> None:
    (one,) = spread_collapse(records([[0.5] * 3] * 2, [[0.6, 0.4, 0.2], [0.1, 0.1, 0.1]]))
    assert one.name == "collapse of spread"
    assert "between 400 and 500 km" in one.text
    assert "0.20 at 500 km" in one.text


def test_that_half_of_the_spread_is_no_collapse_and_later_analyses_do_not_count() -> None:
    assert spread_collapse(records([[0.5] * 3] * 2, [[0.5, 0.6, 0.7], [0.1, 0.1, 0.1]])) == []


def test_that_an_overshoot_counts_above_350_km_alone() -> None:
    (one,) = overshoot(records([[9.0, 1.2, 1.0], [0.5, 0.5, 0.5]], [[1.0] * 3] * 2))
    assert one.name == "overshoot"
    assert "at 400 km; most 1.20 at 400 km" in one.text
    assert overshoot(records([[9.0, 1.1, 1.0], [0.5, 0.5, 0.5]], [[1.0] * 3] * 2)) == []


def test_that_later_analyses_pushed_away_are_told_with_their_share() -> None:
    (one,) = overshoot(records([[0.5] * 3, [-9.0, -0.1, -0.2], [0.5, -0.1, 0.5]], [[1.0] * 3] * 3))
    assert one.name == "pushed away"
    assert "75 %" in one.text


def test_that_innovations_are_judged_by_chi_square_at_every_height() -> None:
    ones = np.ones(3)
    # Spread and error 1: the assumed variance is 2; innovations squared 2, 8 and 0.5 give 1, 4 and 0.25.
    innovation = np.sqrt(np.array([2.0, 8.0, 0.5]))
    statistics = InnovationStatistics.of(ALTITUDE, innovation, 0.5 * innovation, ones, ones, ones)
    evaluation = Evaluation("made", "2010-04-05T00:00:00Z", "2010-04-06T00:00:00Z", (), ())
    above, below = inconsistent_innovations(EvaluationDetails(evaluation, (), statistics))
    assert "more than 2 times" in above.text
    assert "4.00 times at 400 km" in above.text
    assert "less than 0.5 times" in below.text
    assert "0.25 times at 500 km" in below.text
    assert inconsistent_innovations(EvaluationDetails(evaluation, (), None)) == []


def test_that_counts_of_the_filter_are_summed_over_the_analyses(tmp_path: Path) -> None:
    path = tmp_path / "filter.nc"
    meanings = {"flag_meanings": "temperature mass_fraction_O"}
    dataset = xr.Dataset(
        {
            "constraint_hits": (("time", "constraint"), [[1, 0], [2, 5]]),
            "members_replaced": ("time", [0, 3]),
            "unobserved_sub_domains": ("time", [7, 2]),
        },
        coords={"constraint": ("constraint", [0, 1], meanings)},
    )
    dataset.to_netcdf(path)
    assert read_filter_counts(path) == ({"temperature": 3, "mass_fraction_O": 5}, 3, 7)
    dataset.drop_vars(["constraint_hits", "constraint", "members_replaced"]).to_netcdf(tmp_path / "older.nc")
    assert read_filter_counts(tmp_path / "older.nc") == ({}, 0, 7)


def test_that_a_filter_file_that_is_none_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match="is missing"):
        read_filter_counts(tmp_path / "filter.nc")
    (tmp_path / "filter.nc").write_text("no netCDF")
    with pytest.raises(ThermodaError, match="not readable netCDF"):
        read_filter_counts(tmp_path / "filter.nc")
