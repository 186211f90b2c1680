"""Diagnostics in observation space: a linear filter with known covariances gives back what it was told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from da.diagnostics import consistency_ratios, degrees_of_freedom_for_signal
from da.errors import ThermodaError
from da.verification.observation_space import InnovationStatistics, chi_square, read_innovation_statistics


def scalar_filter(
    n: int, prior: float, error: float, assumed_error: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return innovation, residual, assumed error, forecast and analysis spread of n scalar analyses."""
    rng = np.random.default_rng(seed)
    innovation = prior * rng.standard_normal(n) + error * rng.standard_normal(n)
    gain = prior**2 / (prior**2 + assumed_error**2)
    analysis = np.sqrt(1.0 - gain) * prior
    ones = np.ones(n)
    return innovation, (1.0 - gain) * innovation, assumed_error * ones, prior * ones, analysis * ones


def test_that_true_covariances_give_ratios_of_one() -> None:
    n = 40000
    found = InnovationStatistics.of(np.full(n, 300.0), *scalar_filter(n, 2.0, 1.5, 1.5)).value()[0]
    # Variances estimated from n samples err by sqrt(2/n), their roots by half of it; four of each.
    close = {"abs": 4.0 * np.sqrt(2.0 / n)}
    assert found.altitude_km == 300.0
    assert found.n == n
    assert found.chi_square == pytest.approx(1.0, **close)
    assert found.observation_error_ratio == pytest.approx(1.0, **close)
    assert found.background_error_ratio == pytest.approx(1.0, **close)
    assert found.analysis_error_ratio == pytest.approx(1.0, **close)
    assert found.degrees_of_freedom == pytest.approx(n * 4.0 / (4.0 + 2.25), rel=1e-12)


def test_that_an_assumed_error_too_small_is_told_from_one_too_large() -> None:
    n = 5000
    for assumed, sign in ((0.7, 1.0), (3.0, -1.0)):
        found = InnovationStatistics.of(np.full(n, 300.0), *scalar_filter(n, 2.0, 1.5, assumed)).value()[0]
        assert sign * (found.observation_error_ratio - 1.0) > 0.1
        assert sign * (found.chi_square - 1.0) > 0.1


def test_that_the_ratios_are_the_roots_of_those_of_the_filter_record() -> None:
    innovation, residual, error, prior, posterior = scalar_filter(500, 1.0, 2.0, 1.3)
    found = InnovationStatistics.of(np.full(500, 250.0), innovation, residual, error, prior, posterior).total()
    expected = consistency_ratios(innovation / error, residual / error, (prior / error) ** 2, np.ones(500))
    assert found.observation_error_ratio**2 == pytest.approx(expected.observation, rel=1e-12)
    assert found.background_error_ratio**2 == pytest.approx(expected.forecast, rel=1e-12)


def test_that_chunks_and_order_do_not_matter_and_gaps_are_left_out() -> None:
    rng = np.random.default_rng(4)
    altitude = rng.choice([100.0, 300.0, 325.0], 300)
    columns = scalar_filter(300, 1.0, 1.0, 1.0)
    columns[0][5] = np.nan
    altitude[6] = np.nan
    whole = InnovationStatistics.of(altitude, *columns)
    total = InnovationStatistics.zero()
    for part in np.split(rng.permutation(300), [10, 10, 200]):
        total = total + InnovationStatistics.of(altitude[part], *(column[part] for column in columns))
    assert sum(one.n for one in total.value()) == whole.total().n == 298
    assert [one.altitude_km for one in total.value()] == [100.0, 300.0, 325.0]
    for one, other in zip(total.value(), whole.value(), strict=True):
        assert one.chi_square == pytest.approx(other.chi_square, rel=1e-12)
        assert one.background_error_ratio == pytest.approx(other.background_error_ratio, rel=1e-12)


def test_that_nothing_is_undefined_and_impossible_errors_are_refused() -> None:
    assert InnovationStatistics.zero().value() == []
    assert np.isnan(InnovationStatistics.zero().total().chi_square)
    with pytest.raises(ValueError, match="must be positive"):
        InnovationStatistics.of(*(np.zeros(1) for _ in range(6)))
    with pytest.raises(ValueError, match="different classes"):
        InnovationStatistics.zero(25.0) + InnovationStatistics.zero(50.0)


def test_that_chi_square_equals_the_dense_quadratic_form_and_has_the_expected_size() -> None:
    rng = np.random.default_rng(5)
    anomalies = rng.standard_normal((30, 12))
    anomalies -= anomalies.mean(axis=1, keepdims=True)
    variance = rng.uniform(0.5, 2.0, 30)
    covariance = anomalies @ anomalies.T / 11.0 + np.diag(variance)
    root = np.linalg.cholesky(covariance)
    statistics = []
    for _ in range(200):
        innovation = root @ rng.standard_normal(30)
        found = chi_square(innovation, anomalies, variance)
        assert found.statistic == pytest.approx(innovation @ np.linalg.solve(covariance, innovation), rel=1e-10)
        statistics.append(found.statistic)
    # Mean p = 30, standard deviation sqrt(2 p / 200).
    assert abs(np.mean(statistics) - 30.0) < 4.0 * np.sqrt(60.0 / 200.0)
    with pytest.raises(ValueError, match="do not go with"):
        chi_square(np.zeros(3), anomalies, variance)


def test_that_degrees_of_freedom_from_the_analysis_spread_are_those_of_the_dense_formula() -> None:
    rng = np.random.default_rng(6)
    anomalies = rng.standard_normal((15, 8))
    anomalies -= anomalies.mean(axis=1, keepdims=True)
    variance = rng.uniform(0.5, 2.0, 15)
    prior = anomalies @ anomalies.T / 7.0
    posterior = prior - prior @ np.linalg.solve(prior + np.diag(variance), prior)
    spreads = (np.sqrt(np.diag(matrix)) for matrix in (prior, posterior))
    found = InnovationStatistics.of(np.full(15, 400.0), np.ones(15), np.ones(15), np.sqrt(variance), *spreads)
    expected = degrees_of_freedom_for_signal(anomalies, variance)
    assert found.total().degrees_of_freedom == pytest.approx(expected, rel=1e-10)


def write_observations(path: Path, name: str = "density", drop: str = "") -> xr.Dataset:
    rng = np.random.default_rng(7)
    shape = ("time", "observation")
    values = {
        key: (shape, rng.uniform(1.0, 2.0, (3, 5)))
        for key in (name, "error_standard_deviation", "forecast_mean", "analysis_mean")
    }
    values |= {key: (shape, np.full((3, 5), 0.3)) for key in ("forecast_spread", "analysis_spread")}
    used = np.ones((3, 5), dtype=np.int8)
    used[0, 1], used[2, 3:] = 0, -1
    values |= {"altitude": (shape, np.full((3, 5), 325.0)), "used": (shape, used)}
    dataset = xr.Dataset(values, coords={"time": np.arange(3)}).drop_vars(drop or [])
    dataset.to_netcdf(path)
    return dataset


@pytest.mark.parametrize("name", ["density", "ln_density"])
def test_that_files_are_read_without_refused_and_missing_observations(tmp_path: Path, name: str) -> None:
    dataset = write_observations(tmp_path / "observations.nc", name)
    found = read_innovation_statistics(tmp_path / "observations.nc").total()
    used = dataset["used"].to_numpy() == 1
    d = ((dataset[name] - dataset["forecast_mean"]) / dataset["error_standard_deviation"]).to_numpy()[used]
    assert found.n == 12
    assert found.rms_innovation == pytest.approx(np.sqrt(np.mean(d**2)), rel=1e-12)


def test_that_faulty_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "observations.nc"
    write_observations(path, drop="used")
    with pytest.raises(ThermodaError, match=r"observations\.nc has no variable used"):
        read_innovation_statistics(path)
    path.unlink()
    write_observations(path, name="something")
    with pytest.raises(ThermodaError, match="has no observed values"):
        read_innovation_statistics(path)
    path.write_text("text")
    with pytest.raises(ThermodaError, match="is not readable netCDF"):
        read_innovation_statistics(path)
