"""Files that get a record per analysis: round trip, several sources, varying numbers, restart of the inflation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da.analysis_storage import FilterFile, ObservationFile, read_inflation_state
from da.errors import ThermodaError
from da.filter_record import FilterRecord, InnovationDiagnostics, ParameterMoments, SourceCount
from da.observations import ObservationBatch

START = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
CENTRE = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 4.0], [1.0, 4.0, 1.5]])
GRID, TRACK = "NRLMSIS 2.1 calibrated along champ", "densities measured along grace"


def _batch(size: int, source: str, hours: int, seed: int = 0) -> ObservationBatch:
    rng = np.random.default_rng(seed)
    return ObservationBatch(
        values=1e-12 * rng.uniform(1.0, 2.0, size),
        error_standard_deviation=1e-13 * rng.uniform(1.0, 2.0, size),
        latitude=rng.uniform(-90.0, 90.0, size),
        longitude=rng.uniform(-180.0, 180.0, size),
        altitude_km=rng.uniform(200.0, 500.0, size),
        time=START + hours * HOUR,
        source=source,
        unmodelled_mass_ratio=np.ones(size),
    )


def _observed(size: int, seed: int) -> np.ndarray:
    return 1e-12 * np.random.default_rng(seed).uniform(1.0, 2.0, (size, 6))


@pytest.fixture
def record() -> Callable[..., FilterRecord]:
    """Build the record of an hour with inflation and one parameter."""

    def build(hours: int, **changes: Any) -> FilterRecord:
        rng = np.random.default_rng(hours)
        one = FilterRecord(
            time=START + hours * HOUR,
            centre=CENTRE,
            sources={GRID: SourceCount(10, 1)},
            local_observations=np.array([4, 0, 7]),
            degrees_of_freedom=np.array([1.5, 0.0, 2.5]),
            forgetting_factor=np.array([0.75, 1.0, 0.5]),
            innovations=InnovationDiagnostics(4.5, 0.75, 0.625, 1.25, 1.5, 0.875),
            constraint_hits={"temperature": 3, "sum of mass_fraction_O, mass_fraction_O2": 2},
            inflation_mean=rng.uniform(1.0, 2.0, 3),
            inflation_standard_deviation=rng.uniform(0.1, 0.6, 3),
            parameters={"f107_sfu": ParameterMoments(0.0, 8.0, -1.5, 7.0)},
        )
        return replace(one, **changes)

    return build


def test_that_observations_of_several_sources_come_back_with_their_source_and_use(tmp_path: Path) -> None:
    batches = (_batch(5, GRID, 1), _batch(2, TRACK, 0, 1), _batch(1, TRACK, 1, 2))
    used = np.array([True, False, True, True, True, True, False, True])
    before, after = _observed(8, 3), _observed(8, 4)
    file = ObservationFile(tmp_path / "observations.nc", {"title": "test"})
    file.append(START + HOUR, batches, before, after, used)
    file.close()
    with xr.open_dataset(tmp_path / "observations.nc") as dataset:
        record = dataset.isel(time=0)
        np.testing.assert_array_equal(record.density, np.concatenate([one.values for one in batches]))
        np.testing.assert_array_equal(record.altitude, np.concatenate([one.altitude_km for one in batches]))
        np.testing.assert_array_equal(record.used, used)
        np.testing.assert_array_equal(record.source, [0] * 5 + [1] * 3)
        # Mean and standard deviation differ from numpy's own by rounding only.
        np.testing.assert_allclose(record.forecast_mean, before.mean(axis=1), rtol=1e-14)
        np.testing.assert_allclose(record.analysis_spread, after.std(axis=1, ddof=1), rtol=1e-13)
        assert dataset.source.attrs["flag_meanings"].split() == [
            "NRLMSIS_2.1_calibrated_along_champ",
            "densities_measured_along_grace",
        ]
        assert dataset.used.attrs["flag_meanings"] == "refused used"
        assert dataset.density.attrs["units"] == "kg m-3"
        assert record.observations == 8
        # The second batch was compared with the state an hour earlier, but belongs to this analysis.
        assert record.time == START + HOUR


def test_that_analyses_may_have_different_numbers_of_observations(tmp_path: Path) -> None:
    sizes = (3, 5, 2)
    file = ObservationFile(tmp_path / "observations.nc", {})
    for hours, size in enumerate(sizes):
        source = TRACK if hours == 1 else GRID
        time = START + hours * HOUR
        file.append(
            time, (_batch(size, source, hours),), _observed(size, 1), _observed(size, 2), np.ones(size, dtype=bool)
        )
    file.close()
    with xr.open_dataset(tmp_path / "observations.nc") as dataset:
        assert dataset.observations.values.tolist() == list(sizes)
        for name in ("density", "latitude", "forecast_mean", "used", "source"):
            assert dataset[name].count("observation").values.tolist() == list(sizes), name
        assert [dataset.source[hours, 0].item() for hours in range(3)] == [0, 1, 0]
        np.testing.assert_array_equal(dataset.time, START + np.arange(3) * HOUR)


def test_that_a_source_without_observations_leaves_no_trace(tmp_path: Path) -> None:
    file = ObservationFile(tmp_path / "observations.nc", {})
    file.append(START, (_batch(0, GRID, 0),), _observed(0, 1), _observed(0, 2), np.zeros(0, dtype=bool))
    batches = (_batch(0, GRID, 1), _batch(2, TRACK, 1))
    file.append(START + HOUR, batches, _observed(2, 1), _observed(2, 2), np.ones(2, dtype=bool))
    file.close()
    with xr.open_dataset(tmp_path / "observations.nc") as dataset:
        assert dataset.observations.values.tolist() == [0, 2]
        assert dataset.source.values[1].tolist() == [1, 1]
        assert np.isnan(dataset.density.values[0]).all()


def test_that_logarithms_of_density_are_not_called_densities(tmp_path: Path) -> None:
    batch = _batch(3, GRID, 1).in_ln_density()
    file = ObservationFile(tmp_path / "observations.nc", {})
    file.append(START + HOUR, (batch,), np.log(_observed(3, 1)), np.log(_observed(3, 2)), np.ones(3, dtype=bool))
    file.close()
    with xr.open_dataset(tmp_path / "observations.nc") as dataset:
        assert "density" not in dataset
        np.testing.assert_array_equal(dataset.ln_density[0], batch.values)
        assert dataset.ln_density.attrs["units"] == dataset.forecast_mean.attrs["units"] == "1"


def test_that_diagnostics_come_back_while_the_file_is_still_being_written(
    tmp_path: Path, record: Callable[..., FilterRecord]
) -> None:
    file = FilterFile(tmp_path / "filter.nc", {"title": "test"})
    for hours in (1, 2):
        file.append(record(hours))
        with xr.open_dataset(tmp_path / "filter.nc") as dataset:
            assert dataset.sizes["time"] == hours
    file.close()
    one = record(2)
    with xr.open_dataset(tmp_path / "filter.nc") as dataset:
        latest = dataset.isel(time=-1)
        expected = {
            "degrees_of_freedom_total": 4.0,
            "degrees_of_freedom_mean": 2.0,
            "degrees_of_freedom_maximum": 2.5,
            "effective_ensemble_size": 4.5,
            "spread_error_ratio_total": 0.75,
            "spread_error_ratio_ensemble": 0.625,
            "consistency_innovation": 1.25,
            "consistency_forecast": 1.5,
            "consistency_observation": 0.875,
            "forgetting_factor_minimum": 0.5,
            "forgetting_factor_mean": 0.625,
            "forgetting_factor_maximum": 0.75,
            "unobserved_sub_domains": 1,
            "f107_sfu_mean_before": 0.0,
            "f107_sfu_standard_deviation_before": 8.0,
            "f107_sfu_mean_after": -1.5,
            "f107_sfu_standard_deviation_after": 7.0,
        }
        assert {name: latest[name].item() for name in expected} == expected
        np.testing.assert_array_equal(latest.local_observations, one.local_observations)
        np.testing.assert_array_equal(latest.degrees_of_freedom, one.degrees_of_freedom)
        np.testing.assert_array_equal(latest.inflation_mean, one.inflation_mean)
        np.testing.assert_array_equal(
            np.column_stack([latest.level_index, latest.latitude_index, latest.longitude_index]), CENTRE
        )
        assert {"level_index", "latitude_index", "longitude_index"} <= set(dataset.degrees_of_freedom.coords)
        assert latest.constraint_hits.values.tolist() == [3, 2]
        assert dataset.constraint.attrs["flag_meanings"] == "temperature sum_of_mass_fraction_O_mass_fraction_O2"
        assert dataset.f107_sfu_mean_after.attrs["units"] == "1e-22 W m-2 Hz-1"


def test_that_a_source_that_comes_later_was_counted_as_none_before(
    tmp_path: Path, record: Callable[..., FilterRecord]
) -> None:
    file = FilterFile(tmp_path / "filter.nc", {})
    file.append(record(1))
    file.append(record(2, sources={TRACK: SourceCount(6, 2), GRID: SourceCount(9, 2)}))
    file.append(record(3, sources={TRACK: SourceCount(5, 0)}))
    file.close()
    with xr.open_dataset(tmp_path / "filter.nc") as dataset:
        assert dataset.source.values.tolist() == [0, 1]
        assert dataset.source.attrs["flag_meanings"].split()[1] == "densities_measured_along_grace"
        np.testing.assert_array_equal(dataset.observations_used, [[10, 0], [9, 6], [0, 5]])
        np.testing.assert_array_equal(dataset.observations_refused, [[1, 0], [2, 2], [0, 0]])
        assert dataset.observations_used.dtype == np.int64


def test_that_a_run_without_options_has_no_variables_for_them(
    tmp_path: Path, record: Callable[..., FilterRecord]
) -> None:
    file = FilterFile(tmp_path / "filter.nc", {})
    file.append(record(1, inflation_mean=None, inflation_standard_deviation=None, parameters={}, constraint_hits={}))
    file.close()
    with xr.open_dataset(tmp_path / "filter.nc") as dataset:
        assert [name for name in dataset.variables if name.startswith(("inflation", "f107"))] == []
        for name, variable in dataset.variables.items():
            assert {"long_name", "units"} <= set(variable.attrs) | ({"units"} if name == "time" else set()), name
    with pytest.raises(ThermodaError, match="has no inflation_mean; a restart needs the filter.nc of a run with"):
        read_inflation_state(tmp_path / "filter.nc", CENTRE)


def test_that_the_inflation_is_restarted_bit_for_bit_from_the_last_or_a_given_analysis(
    tmp_path: Path, record: Callable[..., FilterRecord]
) -> None:
    file = FilterFile(tmp_path / "filter.nc", {})
    for hours in (1, 2, 3):
        file.append(record(hours))
    file.close()
    for time, hours in ((None, 3), (START + HOUR, 1)):
        mean, deviation = read_inflation_state(tmp_path / "filter.nc", CENTRE, time)
        np.testing.assert_array_equal(mean, record(hours).inflation_mean)
        np.testing.assert_array_equal(deviation, record(hours).inflation_standard_deviation)
        assert mean.dtype == deviation.dtype == np.float64


def test_that_the_inflation_of_other_sub_domains_or_times_is_refused(
    tmp_path: Path, record: Callable[..., FilterRecord]
) -> None:
    path = tmp_path / "filter.nc"
    file = FilterFile(path, {})
    file.append(record(1))
    file.close()
    for centre in (CENTRE[:2], CENTRE + 0.5):
        with pytest.raises(ThermodaError, match=rf"its 3 sub-domains are not the {len(centre)} of this experiment"):
            read_inflation_state(path, centre)
    with pytest.raises(ThermodaError, match="has no analysis at 2010-04-05T07.*; it has 1 from 2010-04-05T01"):
        read_inflation_state(path, CENTRE, START + 7 * HOUR)
    with pytest.raises(ThermodaError, match=r"there is no such file \(analysis\.adaptive_inflation\.restart_file\)"):
        read_inflation_state(tmp_path / "none.nc", CENTRE)
    (tmp_path / "text.nc").write_text("no netCDF", encoding="utf-8")
    with pytest.raises(ThermodaError, match="text.nc: is not a netCDF file that can be read"):
        read_inflation_state(tmp_path / "text.nc", CENTRE)
