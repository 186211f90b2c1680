"""Details of an evaluation: the baselines that are never missing, groups, tables, and the netCDF file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from rich.console import Console

from da.errors import ThermodaError
from da.verification.baselines import persisted_scale_factor
from da.verification.detail_tables import detail_tables
from da.verification.details import DEBIASED, EvaluationDetails, compare_runs, details, satellite_details
from da.verification.evaluation import Activity, Evaluation, Row, evaluate
from da.verification.evaluation_file import evaluation_dataset, write_evaluation_netcdf
from da.verification.tables import COLUMNS, score_columns, tables, write_evaluation

BASELINES = ("MSIS", "calibrated MSIS", "persisted scale factor")


@pytest.fixture(scope="module")
def found(shared_run: Any) -> EvaluationDetails:
    return details(evaluate(shared_run.path), shared_run.path)


def printed(found: EvaluationDetails) -> list[str]:
    console = Console(width=120, record=True, file=io.StringIO())
    shown = []
    for table in (*tables(found.evaluation), *detail_tables(found)):
        console.print(table)
        shown.append(console.export_text(clear=True))
    return shown


def test_that_no_skill_table_or_file_lacks_a_baseline(found: EvaluationDetails, tmp_path: Path) -> None:
    for text in printed(found):
        short = ("MSIS", "calibrated", "persisted")
        assert all(name in text for name in (short if "by group" in text else BASELINES))
    for satellite in found.evaluation.satellites:
        for rows in satellite.statistics.values():
            assert set(rows) == set(Row)
    for one in found.satellites:
        assert set(one.intervals) == set(one.peaks) == set(one.orbit_scores) == set(one.reliability) == set(Row)
        assert {str(row) for row in one.significance} == {*BASELINES, "open loop"}
        for groups in one.groups.values():
            assert all(set(rows) == set(Row) for rows in groups.values())
    for path in write_evaluation(found.evaluation, tmp_path):
        assert all(path.read_text().count(name) >= 2 for name in BASELINES)
    dataset = evaluation_dataset(found)
    assert set(BASELINES) <= set(dataset["row_name"].to_numpy())
    rows = dataset.set_index(row="row_name", group="group_name").sel(group="all", row=list(BASELINES))
    assert np.isfinite(rows["rms_log_ratio"]).all()


def test_that_the_persisted_factor_is_that_of_the_latest_analysis() -> None:
    minutes = np.arange(0, 300)
    time = np.datetime64("2010-04-05", "ns") + minutes * np.timedelta64(1, "m")
    msis = np.exp(0.1 * np.sin(minutes))
    factor = np.exp(0.003 * minutes)
    held = time[0] + np.array([60, 120, 200]) * np.timedelta64(1, "m")
    found = persisted_scale_factor(time, msis, factor * msis, held)
    latest = np.select([minutes < 60, minutes < 120, minutes < 200], [np.nan, 60.0, 120.0], 200.0)
    np.testing.assert_allclose(found, np.exp(0.003 * latest), rtol=1e-13)
    # In a gap of the track ln s is linear between its ends.
    kept = (minutes < 50) | (minutes > 70)
    gappy = persisted_scale_factor(time[kept], msis[kept], (factor * msis)[kept], held)
    np.testing.assert_allclose(gappy, found[kept], rtol=1e-13)
    free = persisted_scale_factor(time, msis, factor * msis, held[:1])
    np.testing.assert_allclose(free[60:], np.exp(0.18), rtol=1e-13)
    assert persisted_scale_factor(time[:0], msis[:0], msis[:0], held).size == 0
    assert np.isnan(persisted_scale_factor(time, msis, msis, held[:0])).all()


def test_that_persisting_a_constant_factor_is_calibrated_msis(found: EvaluationDetails) -> None:
    # The synthetic tracks have the factor 0.97 / 0.8 everywhere.
    for satellite in found.evaluation.satellites:
        expected = satellite.modelled[Row.CALIBRATED_MSIS]
        np.testing.assert_allclose(satellite.modelled[Row.PERSISTED], expected, rtol=1e-12)


def test_that_groups_add_to_all_points_and_hold_their_formulas(found: EvaluationDetails) -> None:
    for one in found.satellites:
        satellite = one.satellite
        for name, groups in one.groups.items():
            counts = [rows[Row.FORECAST].pairs.n for rows in groups.values()]
            assert sum(counts) == satellite.observed.size, name
        north = satellite.points.latitude >= 60.0
        log_ratio = np.log(satellite.observed / satellite.modelled[Row.FORECAST])[north]
        scores = one.groups["latitude"]["60 to 90 deg"][Row.FORECAST].pairs.value()
        assert scores.rms_log_ratio == pytest.approx(np.sqrt(np.mean(log_ratio**2)), rel=1e-12)


def test_that_spread_classes_hold_every_point_with_a_spread(found: EvaluationDetails) -> None:
    for one in found.satellites:
        assert set(one.spread_skill) == {Row.OPEN_LOOP, Row.FORECAST, Row.ANALYSIS}
        for row, classes in one.spread_skill.items():
            variance = np.log1p((one.satellite.spread[row] / one.satellite.modelled[row]) ** 2)
            error = np.log(one.satellite.observed / one.satellite.modelled[row]) + 0.5 * variance
            assert classes.count.sum() == one.satellite.observed.size
            assert classes.squared_error.sum() == pytest.approx(np.sum(error**2), rel=1e-12)
            # The synthetic relative spread lies between 0.1 and 0.17.
            assert classes.count[:2].sum() == classes.count[5:].sum() == 0


def test_that_reliability_is_that_of_a_density_above_the_observed_median(found: EvaluationDetails) -> None:
    stored = evaluation_dataset(found)
    for i, one in enumerate(found.satellites):
        satellite = one.satellite
        threshold = np.median(satellite.observed)
        occurred = satellite.observed > threshold
        for row, modelled in satellite.modelled.items():
            if row in satellite.spread:
                variance = np.log1p((satellite.spread[row] / modelled) ** 2)
                law = scipy.stats.norm(np.log(modelled) - 0.5 * variance, np.sqrt(variance))
                probability = law.sf(np.log(threshold))
            else:
                probability = (modelled > threshold).astype(float)
            expected = np.mean((probability - occurred) ** 2)
            assert one.reliability[row].value().brier == pytest.approx(expected, rel=1e-9)
            assert float(stored["brier"][i, list(Row).index(row)]) == pytest.approx(expected, rel=1e-9)
            assert int(stored["reliability_count"][i, list(Row).index(row)].sum()) == satellite.observed.size


def test_that_details_are_repeatable_bit_for_bit(found: EvaluationDetails) -> None:
    again = satellite_details(found.evaluation.satellites[0])
    assert again.intervals == found.satellites[0].intervals
    assert again.significance == found.satellites[0].significance


def test_that_debiased_phases_have_no_bias_before_the_storm(found: EvaluationDetails) -> None:
    satellite = found.evaluation.satellites[0]
    late = satellite.points.time[0] + np.timedelta64(20, "h")
    one = satellite_details(replace(satellite, epoch=late))
    before = one.groups[DEBIASED]["pre-storm"]
    biased = one.groups["storm phase"]["pre-storm"]
    for row in Row:
        observed = before[row].pairs.value()
        assert abs(observed.mean_difference) < 1e-12 * satellite.observed.mean()
        # One factor for each row changes the mean of ln o/m, not its standard deviation.
        expected = biased[row].pairs.value().std_log_ratio
        assert observed.std_log_ratio == pytest.approx(expected, rel=1e-9)
    quiet = satellite_details(replace(satellite, epoch=None))
    assert "storm phase" not in quiet.groups
    assert np.isnan(quiet.peaks[Row.FORECAST].time_h)


def test_that_tables_fit_120_columns(found: EvaluationDetails) -> None:
    for text in printed(found):
        assert max(len(line.rstrip()) for line in text.splitlines()) <= 120
        assert "…" not in text


def test_that_the_file_holds_the_scores_with_units_and_missing_values(found: EvaluationDetails, tmp_path: Path) -> None:
    path = write_evaluation_netcdf(found, tmp_path / "evaluation.nc")
    assert [one.name for one in tmp_path.iterdir()] == ["evaluation.nc"]
    with xr.open_dataset(path) as file:
        data = file.load()
    assert data.attrs["Conventions"].startswith("CF-1.")
    assert {"satellite": 2, "row": len(Row)}.items() <= dict(data.sizes).items()
    indexed = data.set_index(row="row_name", group="group_name", satellite="satellite_name")
    for satellite in found.evaluation.satellites:
        for activity in Activity:
            for row in Row:
                stored = indexed.sel(satellite=satellite.satellite, group=activity.name.lower(), row=str(row))
                expected = score_columns(satellite, activity, row)
                assert int(stored["number"]) == expected["n"]
                for column in COLUMNS[1:]:
                    assert float(stored[column]) == pytest.approx(expected[column], rel=1e-15, nan_ok=True)
    assert all("units" in data[name].attrs for name in data.data_vars if name != "orbit_time")
    assert data["rmse_kg_m3"].attrs["units"] == "kg m-3"
    means = found.satellites[0].orbits[Row.FORECAST]
    stored_orbits = data["orbit_modelled"].to_numpy()[0, list(Row).index(Row.FORECAST)]
    np.testing.assert_array_equal(stored_orbits[: means.count.size], means.modelled)
    # Seconds since 1970 as float64 resolve 0.2 microseconds.
    assert abs(data["orbit_time"].to_numpy()[0, 0] - means.time[0]) < np.timedelta64(1, "us")


def test_that_two_runs_are_compared_at_common_points(
    make_run: Callable[..., Any], found: EvaluationDetails, tmp_path: Path
) -> None:
    first = found.evaluation
    second = evaluate(make_run(hours=18.0).path)
    comparison = compare_runs(first, second, "CHAMP", Row.FORECAST)
    # 18 h at 30 s less the gap and the hour before the first analysis; both runs have the same forecasts.
    assert comparison.n == 16 * 120
    assert comparison.first == comparison.second
    assert comparison.significance.skill.value == 0.0
    with pytest.raises(ThermodaError, match="no satellite 'SWARM', only CHAMP, GRACE"):
        compare_runs(first, second, "SWARM")


def test_that_runs_on_other_data_or_times_are_not_compared(found: EvaluationDetails) -> None:
    first = found.evaluation
    satellite = first.satellites[0]
    other = replace(satellite, observed=1.1 * satellite.observed)
    with pytest.raises(ThermodaError, match="the densities of CHAMP differ"):
        compare_runs(first, _with(first, other), "CHAMP")
    moved = replace(satellite.points, time=satellite.points.time + np.timedelta64(7, "s"))
    with pytest.raises(ThermodaError, match="no common points"):
        compare_runs(first, _with(first, replace(satellite, points=moved)), "CHAMP")


def _with(evaluation: Evaluation, satellite: Any) -> Evaluation:
    return replace(evaluation, satellites=(satellite, *evaluation.satellites[1:]))
