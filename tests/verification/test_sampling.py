"""Sampling of stored fields against closed forms.

Stored values are float32. A density is then known to 2^-24 = 6e-8, and a height below 2^19 m to 2^-6 m, which is 3e-7
of the scale height of 50 km; both ends of a layer add: 1e-6 covers every sampled density. A relative spread is the
ratio of two stored numbers: 2e-7.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from da.errors import ThermodaError
from da.verification.sampling import (
    Points,
    Samples,
    forecast_trajectories,
    interpolate_profile,
    linear_trajectory,
    open_fields,
    sample,
)

START = np.datetime64("2010-04-05T00:00:00", "ns")
STORED = 1e-6


def points_at(hour: np.ndarray, altitude_km: float = 410.0, seed: int = 1) -> Points:
    rng = np.random.default_rng(seed)
    latitude = np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, hour.size)))
    latitude[:2] = (-90.0, 90.0)
    time = START + np.round(hour * 3.6e12).astype("m8[ns]")
    return Points(time, latitude, rng.uniform(-180.0, 360.0, hour.size), np.full(hour.size, altitude_km))


def sample_file(path: Path, points: Points) -> Samples:
    with open_fields(path) as source:
        return sample(linear_trajectory(source), points)


def sample_forecast(folder: Path, points: Points) -> Samples:
    with open_fields(folder / "forecast.nc") as forecast, open_fields(folder / "analysis.nc") as analysis:
        return sample(forecast_trajectories(forecast, analysis), points)


def test_that_the_open_loop_is_exact_for_densities_exponential_in_height_and_linear_in_time(shared_run: Any) -> None:
    hour = np.random.default_rng(4).uniform(0.0, 24.0, 300)
    points = points_at(hour)
    expected = shared_run.open_loop_factor(hour) * shared_run.profile(points.altitude_km)
    np.testing.assert_allclose(sample_file(shared_run.path / "open_loop.nc", points).density, expected, rtol=STORED)


def test_that_analyses_are_joined_linearly_and_nothing_stands_outside_them(shared_run: Any) -> None:
    hour = np.array([0.0, 0.999, 1.0, 1.5, 7.25, 23.999, 24.0, 25.0])
    points = points_at(hour)
    sampled = sample_file(shared_run.path / "analysis.nc", points).density
    np.testing.assert_array_equal(np.isnan(sampled), (hour < 1.0) | (hour >= 24.0))
    expected = shared_run.analysis_factor(hour) * shared_run.profile(points.altitude_km)
    np.testing.assert_allclose(sampled[2:6], expected[2:6], rtol=STORED)


def test_that_the_sawtooth_of_forecasts_and_analyses_is_reproduced_on_both_sides_of_every_analysis(
    shared_run: Any,
) -> None:
    second = 1.0 / 3600.0
    at = np.arange(1.0, 24.0)
    hour = np.concatenate([np.linspace(0.0, 23.9, 400), at - second, at, at + second])
    points = points_at(hour)
    expected = shared_run.forecast_factor(hour) * shared_run.profile(points.altitude_km)
    np.testing.assert_allclose(sample_forecast(shared_run.path, points).density, expected, rtol=STORED)


def test_that_the_forecast_at_an_analysis_time_is_the_analysis(shared_run: Any) -> None:
    points = points_at(np.arange(1.0, 24.0))
    forecast = sample_forecast(shared_run.path, points).density
    analysis = sample_file(shared_run.path / "analysis.nc", points).density
    np.testing.assert_array_equal(forecast, analysis)


def test_that_linear_interpolation_in_time_errs_by_no_more_than_theory_for_exponential_growth(
    make_run: Callable[..., Any],
) -> None:
    run = make_run(hours=3.0)
    hour = np.array([0.0, 1.0, 2.0, 3.0])
    rate = 0.4
    run.fields("open_loop.nc", hour, np.exp(rate * hour))
    at = np.linspace(0.0, 2.999, 200)
    points = points_at(at)
    sampled = sample_file(run.path / "open_loop.nc", points).density
    relative = sampled / (np.exp(rate * at) * run.profile(points.altitude_km)) - 1.0
    # The chord of a convex function lies above it by at most (step^2/8) max f''; relative to the smallest f of the
    # interval that is (rate step)^2/8 exp(rate step).
    assert np.all(relative >= -STORED)
    assert relative.max() <= rate**2 / 8.0 * np.exp(rate)
    assert relative.max() >= 0.9 * rate**2 / 8.0 * np.exp(-rate / 2.0)


def test_that_fields_linear_in_latitude_are_exact_between_rows_and_even_across_the_pole(
    make_run: Callable[..., Any],
) -> None:
    slope = 0.3
    run = make_run(hours=2.0, latitude_slope=slope)
    latitude = np.array([-60.0, 0.3, 44.0, 84.9, 86.0, 89.0, 90.0, -88.0])
    n = latitude.size
    time = np.full(n, START + np.timedelta64(10, "m"))
    points = Points(time, latitude, np.linspace(-170.0, 170.0, n), np.full(n, 430.0))
    factor = sample_file(run.path / "open_loop.nc", points).density / run.profile(points.altitude_km)
    # Between the last row (85 deg) and the same row beyond the pole both neighbours hold the value of 85 deg.
    expected = run.open_loop_factor(1.0 / 6.0) * (1.0 + slope * np.clip(latitude, -85.0, 85.0) / 90.0)
    np.testing.assert_allclose(factor, expected, rtol=STORED)


def test_that_the_order_of_the_points_does_not_matter(shared_run: Any) -> None:
    points = points_at(np.random.default_rng(6).uniform(0.0, 24.0, 120))
    shuffled = np.random.default_rng(7).permutation(120)
    one = sample_forecast(shared_run.path, points)
    other = sample_forecast(shared_run.path, points.take(shuffled))
    np.testing.assert_array_equal(other.density, one.density[shuffled])
    np.testing.assert_array_equal(other.relative_spread, one.relative_spread[shuffled])


def test_that_no_points_give_no_samples(shared_run: Any) -> None:
    points = points_at(np.array([1.0, 2.0])).take(np.zeros(0, dtype=np.int64))
    assert sample_forecast(shared_run.path, points).density.shape == (0,)


def test_that_the_relative_spread_is_that_of_the_data_grid_linear_in_altitude_and_time(shared_run: Any) -> None:
    hour = np.random.default_rng(9).uniform(0.0, 24.0, 100)
    points = points_at(hour, altitude_km=437.0)
    expected = shared_run.relative_spread(hour, points.altitude_km)
    sampled = sample_file(shared_run.path / "open_loop.nc", points).relative_spread
    np.testing.assert_allclose(sampled, expected, rtol=2e-7)


def test_that_the_sampled_spread_is_that_of_an_isothermal_ensemble_at_fixed_height(
    make_run: Callable[..., Any],
) -> None:
    run = make_run(hours=2.0)
    path = run.path / "open_loop.nc"
    base_km, scale_height_km, mean_temperature, deviation = 120.0, 45.0, 900.0, 9.0
    temperature = mean_temperature + deviation * np.random.default_rng(1).standard_normal(50)
    with xr.open_dataset(path) as source:
        dataset = source.load()
    altitude = dataset["data_alt"].to_numpy()
    ratio = mean_temperature / temperature
    depth = (altitude[:, None] - base_km) / scale_height_km
    members = ratio * np.exp(-depth * ratio)
    shape = dataset["data_grid_density"].shape
    for name, profile in (
        ("data_grid_density", members.mean(axis=1)),
        ("data_grid_density_spread", members.std(axis=1, ddof=1)),
    ):
        dataset[name] = (dataset[name].dims, np.broadcast_to(profile[None, :, None, None], shape))
    dataset.to_netcdf(path)
    points = points_at(np.array([0.1, 0.7, 1.2]), altitude_km=450.0)
    sampled = sample_file(path, points).relative_spread
    relative = temperature.std(ddof=1) / mean_temperature
    factor = -1.0 + (450.0 - base_km) / scale_height_km
    # First order in relative = 1 %; the next order changes ln rho by about factor^2 relative^2 / 2 per member and
    # depth x relative^2, hence the standard deviation by less than (factor + 2) relative of itself.
    np.testing.assert_allclose(sampled, factor * relative, rtol=(factor + 2.0) * relative)
    # On a level of pressure the density varies with 1/T alone: a spread more than six times smaller.
    assert np.all(sampled > 6.0 * relative)


def test_that_profiles_continue_by_one_step_beyond_the_grid_and_no_further() -> None:
    altitude = np.array([100.0, 125.0, 150.0])
    profile = np.repeat(2.0 * altitude[:, None], 5, axis=1)
    values = interpolate_profile(altitude, profile, np.array([74.0, 75.0, 110.0, 175.0, 176.0]))
    np.testing.assert_allclose(values, [np.nan, 150.0, 220.0, 350.0, np.nan], rtol=1e-15)


def test_that_a_file_without_a_data_grid_has_no_spread_and_says_why(make_run: Callable[..., Any]) -> None:
    run = make_run(hours=2.0, spread=False)
    with open_fields(run.path / "open_loop.nc") as source:
        assert "data_grid_density_spread" in source.spread_missing
    sampled = sample_file(run.path / "open_loop.nc", points_at(np.array([0.5, 1.0, 1.5])))
    assert np.all(np.isnan(sampled.relative_spread))
    assert np.all(np.isfinite(sampled.density))


def rewrite(path: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    with xr.open_dataset(path) as source:
        dataset = source.load()
    change(dataset).to_netcdf(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda dataset: dataset.drop_vars("height"), "has no variable height"),
        (lambda dataset: dataset.isel(time=slice(None, None, -1)), "time does not increase strictly"),
        (lambda dataset: dataset.assign(density=0.0 * dataset["density"]), "is not positive"),
    ],
)
def test_that_faulty_files_are_refused_by_name(
    make_run: Callable[..., Any], change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    path = make_run(hours=2.0).path / "open_loop.nc"
    rewrite(path, change)
    with pytest.raises(ThermodaError, match=message) as caught:
        sample_file(path, points_at(np.array([0.5, 1.0])))
    assert str(path) in str(caught.value)


def test_that_a_file_that_is_not_netcdf_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "open_loop.nc"
    path.write_text("no fields")
    with pytest.raises(ThermodaError, match=r"open_loop\.nc is not readable netCDF"), open_fields(path):
        pass
