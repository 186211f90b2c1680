"""Skill of free forecasts by lead time, of a run whose fields have a closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da.errors import ThermodaError
from da.verification import detail_tables, details, evaluate, evaluation_dataset
from da.verification.baselines import persisted_scale_factor
from da.verification.evaluation import Evaluation, Row
from da.verification.lead_time import (
    LEAD_TIME_ROWS,
    PARTS,
    LeadTimeStatistics,
    class_edges_h,
    lead_time_statistics,
    since_analysis,
)

HOUR = np.timedelta64(3_600_000_000_000, "ns")
STARTS_H = (2, 8)
LENGTH_H = 10.0
FACTOR = 1.15
"""Over the analysis at the start; the synthetic run's fields are this factor times a profile of height."""


@pytest.fixture(scope="module")
def free_run(shared_run: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    """Return the folder of the shared run with free forecasts that rise by a hundredth per hour, and its evaluation."""
    folder = tmp_path_factory.mktemp("free") / "run"
    folder.mkdir()
    for path in shared_run.path.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    run = type(shared_run)(folder)
    for start in STARTS_H:
        hour = start + np.arange(0.0, LENGTH_H + 0.1, 0.5)
        run.fields(f"free_forecast_20100405T{start:02d}0000.nc", hour, FACTOR + 0.01 * (hour - start))
    return folder, evaluate(folder)


def test_that_every_row_is_scored_at_the_points_of_its_class(free_run: tuple[Path, Evaluation]) -> None:
    folder, evaluation = free_run
    for satellite, found in zip(evaluation.satellites, lead_time_statistics(evaluation, folder), strict=True):
        assert found.forecasts == 2
        assert list(found.classes) == ["0 to 1 h", "1 to 3 h", "3 to 6 h", "6 to 12 h"]
        time, begin = satellite.points.time, np.datetime64("2010-04-05T00:00", "ns")
        msis, calibrated = satellite.modelled[Row.MSIS], satellite.modelled[Row.CALIBRATED_MSIS]
        for name, (low, high) in zip(found.classes, ((0, 1), (1, 3), (3, 6), (6, 12)), strict=True):
            ratios: dict[Row, list[np.ndarray]] = {row: [] for row in LEAD_TIME_ROWS}
            for start in STARTS_H:
                lead = (time - begin) / HOUR - start
                here = (lead >= low) & (lead < min(high, LENGTH_H))
                held = persisted_scale_factor(time, msis, calibrated, np.array([begin + start * HOUR]))
                free = 1.02 * (FACTOR + 0.01 * lead) * profile(satellite.points.altitude_km)
                modelled = {**satellite.modelled, Row.PERSISTED: msis * held, Row.FORECAST: free}
                for row in LEAD_TIME_ROWS:
                    ratios[row].append(np.log(satellite.observed / modelled[row])[here])
            for row, values in ratios.items():
                scores, expected = found.classes[name][row].pairs.value(), np.concatenate(values)
                assert scores.n == expected.size > 0
                # Files hold single precision, and the profile is linear in ln density between levels.
                assert scores.rms_log_ratio == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-4)
                assert scores.mean_log_ratio == pytest.approx(np.mean(expected), abs=1e-5)
            assert found.classes[name][Row.FORECAST].distribution.n > 0


def profile(altitude_km: np.ndarray) -> np.ndarray:
    """Return the profile of the synthetic run."""
    return 3.0e-12 * np.exp(-(altitude_km - 400.0) / 50.0)


def test_that_statistics_of_forecasts_add_and_none_is_neutral(free_run: tuple[Path, Evaluation]) -> None:
    folder, evaluation = free_run
    whole = lead_time_statistics(evaluation, folder)[0]
    zero = LeadTimeStatistics.zero(whole.satellite, whole.edges_h)
    for name, rows in (zero + whole).classes.items():
        for row, statistics in rows.items():
            np.testing.assert_equal(asdict(statistics.pairs.value()), asdict(whole.classes[name][row].pairs.value()))
    assert (whole + whole).forecasts == 4
    assert (whole + whole).classes["0 to 1 h"][Row.MSIS].pairs.n == 2 * whole.classes["0 to 1 h"][Row.MSIS].pairs.n
    with pytest.raises(ValueError, match="different satellites"):
        whole + LeadTimeStatistics.zero("other", whole.edges_h)


def test_that_the_scores_are_kept_and_printed(free_run: tuple[Path, Evaluation]) -> None:
    folder, evaluation = free_run
    found = details(evaluation, folder)
    data = evaluation_dataset(found)
    assert data["free_forecast_rms_log_ratio"].dims == ("satellite", "lead_time", "row")
    np.testing.assert_array_equal(data["lead_time_bounds"], [[0, 1], [1, 3], [3, 6], [6, 12]])
    stored = data["free_forecast_rms_log_ratio"].to_numpy()
    for i, one in enumerate(found.free_forecasts):
        for k, rows in enumerate(one.classes.values()):
            for row in LEAD_TIME_ROWS:
                assert stored[i, k, list(Row).index(row)] == rows[row].pairs.value().rms_log_ratio
    assert np.isnan(stored[..., list(Row).index(Row.ANALYSIS)]).all()
    tables = {str(table.title): table for table in detail_tables(found)}
    titles = list(tables)
    errors = found.free_forecasts[0].rms_log_ratio()
    skill = tables["CHAMP: skill of the free forecasts against each row by lead time"]
    assert [str(column.header) for column in skill.columns[1:]] == [str(row) for row in LEAD_TIME_ROWS[:-1]]
    for row, column in zip(LEAD_TIME_ROWS[:-1], skill.columns[1:], strict=True):
        expected = 1.0 - (errors[Row.FORECAST] / errors[row]) ** 2
        np.testing.assert_allclose(np.array([float(str(cell)) for cell in column.cells]), expected, atol=0.00501)
    assert sum("2 free forecasts" in title for title in titles) == len(evaluation.satellites)


def test_that_a_run_without_free_forecasts_has_no_lead_times(shared_run: Any) -> None:
    evaluation = evaluate(shared_run.path)
    assert lead_time_statistics(evaluation, shared_run.path) == ()
    assert "lead_time" not in evaluation_dataset(details(evaluation, shared_run.path)).dims


def test_that_longer_forecasts_have_classes_of_a_day(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=4.0)
    hour = np.arange(0.0, 101.0, 4.0)
    run.fields("free_forecast_20100405T000000.nc", hour, 1.0 + 0.0 * hour)
    found = lead_time_statistics(evaluate(run.path), run.path)[0]
    assert list(found.classes)[-2:] == ["72 to 96 h", "96 to 120 h"]
    assert found.classes["48 to 72 h"][Row.MSIS].pairs.n == 0


def test_that_half_a_forecast_is_told(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=4.0)
    run.fields("free_forecast_20100405T000000.nc", np.zeros(1), np.ones(1))
    with pytest.raises(ThermodaError, match=r"free_forecast_20100405T000000\.nc: holds 1 records"):
        lead_time_statistics(evaluate(run.path), run.path)


def test_that_classes_are_half_open_and_reach_the_longest_lead_time() -> None:
    np.testing.assert_allclose(class_edges_h(1.0), np.arange(PARTS + 1) / PARTS)
    np.testing.assert_array_equal(class_edges_h(2.0), [0, 1, 3])
    np.testing.assert_array_equal(class_edges_h(72.0), [0, 1, 3, 6, 12, 24, 48, 72])
    np.testing.assert_array_equal(class_edges_h(73.0), [0, 1, 3, 6, 12, 24, 48, 72, 96])


def test_that_points_are_scored_by_the_time_since_the_latest_analysis(shared_run: Any) -> None:
    satellite = evaluate(shared_run.path).satellites[0]
    begin = np.datetime64("2010-04-05T00:00", "ns")
    for every_h, labels in ((1, "0 to 10 min"), (6, "0 to 1 h")):
        analyses = begin + np.arange(0, 25, every_h) * HOUR
        found = since_analysis(satellite, analyses)
        assert next(iter(found.classes)) == labels
        lead_h = np.mod(satellite.points.time - begin, every_h * HOUR) / HOUR
        edges = found.edges_h
        for number, rows in enumerate(found.classes.values()):
            here = (lead_h >= edges[number]) & (lead_h < edges[number + 1])
            for row, modelled in satellite.modelled.items():
                expected = np.log(satellite.observed / modelled)[here]
                assert rows[row].pairs.n == expected.size > 0
                assert rows[row].pairs.value().rms_log_ratio == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-12)
        assert sum(rows[Row.MSIS].pairs.n for rows in found.classes.values()) == satellite.observed.size


def test_that_points_before_the_first_analysis_have_no_lead_time(shared_run: Any) -> None:
    satellite = evaluate(shared_run.path).satellites[0]
    middle = satellite.points.time[700]
    found = since_analysis(satellite, np.array([middle]))
    assert sum(rows[Row.MSIS].pairs.n for rows in found.classes.values()) == satellite.observed.size - 700
    none = since_analysis(satellite, np.array([satellite.points.time[-1] + HOUR]))
    assert all(np.isnan(values).all() for values in none.rms_log_ratio().values())
