"""Evaluation of a synthetic run: known scores, the same points for all rows, tables and files."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from da.errors import ThermodaError
from da.verification.evaluation import Activity, Evaluation, Row, evaluate
from da.verification.tables import tables, write_evaluation

STORED = 1e-6
"""Relative error of sampled densities from float32 files, derived in test_sampling.py."""


@pytest.fixture(scope="module")
def evaluation(shared_run: Any) -> Evaluation:
    return evaluate(shared_run.path)


def edit_track(path: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    with xr.open_dataset(path) as source:
        dataset = source.load()
    change(dataset).to_netcdf(path)


def hours(evaluation: Evaluation, number: int) -> np.ndarray:
    time = evaluation.satellites[number].points.time
    return (time - np.datetime64("2010-04-05", "ns")) / np.timedelta64(1, "h")


def test_that_every_row_has_the_densities_of_the_closed_form(shared_run: Any, evaluation: Evaluation) -> None:
    for number, satellite in enumerate(evaluation.satellites):
        hour = hours(evaluation, number)
        total = 1.02 * shared_run.profile(satellite.points.altitude_km)
        for row, factor in (
            (Row.OPEN_LOOP, shared_run.open_loop_factor(hour)),
            (Row.FORECAST, shared_run.forecast_factor(hour)),
            (Row.ANALYSIS, shared_run.analysis_factor(hour)),
        ):
            np.testing.assert_allclose(satellite.modelled[row], factor * total, rtol=STORED)


def test_that_scores_of_a_row_equal_the_formulas_on_its_densities(evaluation: Evaluation) -> None:
    satellite = evaluation.satellites[0]
    storm = satellite.kp >= 5.0
    observed, modelled = satellite.observed[storm], satellite.modelled[Row.FORECAST][storm]
    spread = satellite.spread[Row.FORECAST][storm]
    scores, median = satellite.statistics[Activity.STORM][Row.FORECAST].value()
    rmse = np.sqrt(np.mean((modelled - observed) ** 2))
    assert scores.n == np.count_nonzero(storm) == 6 * 120
    assert median == np.median(modelled - observed)
    assert scores.rmse == pytest.approx(rmse, rel=1e-12)
    assert scores.std_log_ratio == pytest.approx(np.std(np.log(observed / modelled)), rel=1e-12)
    assert scores.spread_to_error == pytest.approx(np.sqrt(np.mean(spread**2)) / rmse, rel=1e-12)


def test_that_the_spread_of_the_densities_is_the_relative_spread_at_their_height(
    shared_run: Any, evaluation: Evaluation
) -> None:
    satellite = evaluation.satellites[1]
    relative = satellite.spread[Row.OPEN_LOOP] / satellite.modelled[Row.OPEN_LOOP]
    expected = shared_run.relative_spread(hours(evaluation, 1), satellite.points.altitude_km)
    np.testing.assert_allclose(relative, expected, rtol=STORED)


def test_that_quiet_and_storm_together_are_all_points(evaluation: Evaluation) -> None:
    for satellite in evaluation.satellites:
        for row in Row:
            parts = [satellite.statistics[activity][row] for activity in (Activity.QUIET, Activity.STORM)]
            everything = satellite.statistics[Activity.ALL][row]
            assert everything.pairs.n == sum(part.pairs.n for part in parts) == satellite.observed.size
            rmse = np.sqrt(np.mean((satellite.modelled[row] - satellite.observed) ** 2))
            median = np.median(satellite.modelled[row] - satellite.observed)
            assert everything.value()[0].rmse == pytest.approx(rmse, rel=1e-12)
            assert everything.value()[1] == median


def test_that_all_rows_are_compared_at_the_points_where_every_row_has_a_value(evaluation: Evaluation) -> None:
    for number, satellite in enumerate(evaluation.satellites):
        counts = {satellite.statistics[Activity.ALL][row].pairs.n for row in Row}
        # 24 h at 30 s less the gap of one hour, less the hour before the first analysis.
        assert counts == {22 * 120}
        assert satellite.left_out == {"no analysis there": 120}
        assert hours(evaluation, number).min() == 1.0


def test_that_a_row_that_ends_early_or_holds_nan_limits_all_rows(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=6.0, roles={"CHAMP": "assimilated"})

    def shorten(fields: xr.Dataset) -> xr.Dataset:
        fields["density"][6] = np.nan
        return fields.isel(time=slice(0, 13))

    edit_track(run.path / "open_loop.nc", shorten)
    satellite = evaluate(run.path).satellites[0]
    # Records every 20 min: the NaN at 2 h empties 1:40 to 2:20, the end at 4 h the hour up to the gap at 5 h; the
    # analyses leave out the first hour.
    assert satellite.left_out == {"no open loop there": 200, "no analysis there": 120}
    counts = {satellite.statistics[Activity.ALL][row].pairs.n for row in Row}
    assert counts == {5 * 120 - 320}


def test_that_points_with_missing_or_impossible_values_are_left_out_and_counted(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=4.0, roles={"CHAMP": "assimilated"})

    def spoil(track: xr.Dataset) -> xr.Dataset:
        track["density"][200] = np.nan
        track["density"][201] = -1e-13
        track["kp"][202] = np.nan
        track["latitude"][203] = np.nan
        track["density_msis"][204] = np.nan
        return track

    edit_track(run.path / "track_champ.nc", spoil)
    satellite = evaluate(run.path).satellites[0]
    assert satellite.left_out == {"a stored value of the track is missing": 5, "no analysis there": 120}
    assert satellite.observed.size == 4 * 120 - 125
    assert np.all(np.isfinite(satellite.observed))


def test_that_a_perfect_model_has_zero_differences_and_correlation_one(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=4.0, roles={"CHAMP": "assimilated"})
    forecast = evaluate(run.path).satellites[0]

    def perfect(track: xr.Dataset) -> xr.Dataset:
        track["density"][120:] = forecast.modelled[Row.FORECAST]
        track["density_msis"][120:] = forecast.modelled[Row.FORECAST]
        return track

    edit_track(run.path / "track_champ.nc", perfect)
    rows = evaluate(run.path).satellites[0].statistics[Activity.ALL]
    for row in (Row.FORECAST, Row.MSIS):
        scores, median = rows[row].value()
        assert (scores.mean_difference, median, scores.rmse, scores.rms_log_ratio) == (0.0, 0.0, 0.0, 0.0)
        assert scores.correlation == pytest.approx(1.0, abs=1e-15)
    assert rows[Row.ANALYSIS].value()[0].rmse > 0.0


def test_that_several_satellites_give_the_same_scores_as_each_alone(
    make_run: Callable[..., Any], evaluation: Evaluation
) -> None:
    run = make_run()
    (run.path / "track_champ.nc").unlink()
    alone = evaluate(run.path).satellites
    assert [one.satellite for one in alone] == ["GRACE"]
    for row in Row:
        np.testing.assert_array_equal(alone[0].modelled[row], evaluation.satellites[1].modelled[row])


def test_that_titles_state_period_assimilated_and_independent_satellites(evaluation: Evaluation) -> None:
    title = evaluation.title(evaluation.satellites[1])
    assert title == (
        "GRACE (independent), run synthetic, 2010-04-05 00:00 to 2010-04-06 00:00 UTC; "
        "assimilated: CHAMP; independent: GRACE"
    )


def test_that_tables_fit_120_columns_and_show_every_score(evaluation: Evaluation) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    for table in tables(evaluation):
        console.print(table)
    text = console.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 120
    assert "…" not in text
    assert text.count("1e-12 kg m-3") == text.count("1e-13 kg m-3") == 3
    for word in ("CHAMP (assimilated)", "quiet (Kp < 5)", "storm (Kp >= 5)", "calibrated MSIS", "120 points left out"):
        assert word in text
    scores, median = evaluation.satellites[0].statistics[Activity.ALL][Row.FORECAST].value()
    line = next(line for line in text.splitlines() if line.strip().startswith("forecast"))
    expected = [scores.mean_difference * 1e12, median * 1e12, scores.rmse * 1e12, scores.mean_log_ratio]
    expected += [scores.std_log_ratio, scores.rms_log_ratio, scores.correlation, scores.spread_to_error]
    # Three decimals are printed.
    np.testing.assert_allclose([float(cell) for cell in line.split()[2:]], expected, atol=5.001e-4)


def test_that_csv_and_json_hold_the_same_exact_scores_and_leave_undefined_ones_blank(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    paths = write_evaluation(evaluation, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["evaluation.csv", "evaluation.json"]
    with paths[0].open() as file:
        lines = list(csv.DictReader(file))
    content = json.loads(paths[1].read_text())
    assert len(lines) == 2 * 3 * len(Row)
    for line in lines:
        stored = next(one for one in content["satellites"] if one["satellite"] == line["satellite"])
        scores = stored["scores"][line["activity"]][line["row"]]
        for column, value in scores.items():
            assert line[column] == "" if value is None else float(line[column]) == value
    blank = {line["row"] for line in lines if line["spread_to_error"] == ""}
    assert blank == {"MSIS", "calibrated MSIS", "persisted scale factor"}
    exact = evaluation.satellites[0].statistics[Activity.ALL][Row.ANALYSIS].value()[0]
    assert content["satellites"][0]["scores"]["all"]["analysis"]["rmse_kg_m3"] == exact.rmse


def test_that_files_without_a_spread_at_fixed_height_leave_the_column_blank_with_a_note(
    make_run: Callable[..., Any],
) -> None:
    run = make_run(hours=3.0, spread=False)
    evaluation = evaluate(run.path)
    scores, _ = evaluation.satellites[0].statistics[Activity.ALL][Row.FORECAST].value()
    assert np.isnan(scores.spread_to_error)
    assert len(evaluation.notes) == 3
    assert "spread/error is blank: open_loop.nc" in evaluation.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("provenance.json", None, r"provenance\.json is missing: the run is not complete"),
        ("provenance.json", '{"complete": false}', "the run is not complete"),
        ("provenance.json", '{"complete": true}', "no name, start, stop"),
        ("provenance.json", '{"complete": tru', r"provenance\.json cannot be read as JSON"),
        ("provenance.json", "[]", "must hold a JSON object"),
        ("forecast.nc", None, r"forecast\.nc missing"),
        ("track_champ.nc", "text", r"track_champ\.nc is not readable netCDF"),
    ],
)
def test_that_incomplete_runs_are_refused_by_the_name_of_what_is_missing(
    make_run: Callable[..., Any], name: str, content: str | None, message: str
) -> None:
    run = make_run(hours=2.0)
    (run.path / name).unlink()
    if content is not None:
        (run.path / name).write_text(content)
    with pytest.raises(ThermodaError, match=message) as caught:
        evaluate(run.path)
    assert str(run.path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda track: track.drop_vars("kp"), "has no variable kp"),
        (lambda track: track.assign_attrs(role="friend"), "role='friend'"),
        (lambda track: track.isel(time=slice(None, None, -1)), "time does not increase strictly"),
        (lambda track: track.assign(latitude=2.0 * track["latitude"]), r"latitudes must lie within \[-90, 90\]"),
        (lambda track: track.isel(time=slice(0, 60)), "none of its 60 points can be compared"),
    ],
)
def test_that_faulty_tracks_are_refused_by_name(
    make_run: Callable[..., Any], change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    run = make_run(hours=3.0)
    edit_track(run.path / "track_champ.nc", change)
    with pytest.raises(ThermodaError, match=message) as caught:
        evaluate(run.path)
    assert "track_champ.nc" in str(caught.value)


def test_that_a_run_without_tracks_or_a_folder_that_is_none_is_refused(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=2.0)
    for path in run.path.glob("track_*.nc"):
        path.unlink()
    with pytest.raises(ThermodaError, match="no track_<satellite>"):
        evaluate(run.path)
    shutil.rmtree(run.path)
    with pytest.raises(ThermodaError, match="is not a folder"):
        evaluate(run.path)
