"""The scale factor without densities: nothing leaks over a gap, and what persists is believed less and less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.calibration import (
    CalibratedMsis,
    ContinuedFactor,
    DataGrid,
    DataGridSource,
    FactorState,
    FilterKind,
    LowPass,
    ObservationError,
    Persistence,
    QualityControl,
    calibrate,
    estimated_persistence,
)
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks import DensityTrack

START = np.datetime64("2010-04-04T00:00", "ns")
HOUR = np.timedelta64(3600_000_000_000, "ns")
MINUTE = HOUR // 60
INFINITE = float("inf")

TrackOf = Callable[..., DensityTrack]


def gap(begin_h: float, end_h: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda hours: (hours < begin_h) | (hours >= end_h)


def at(*hours: float) -> np.ndarray:
    return START + np.array([round(60 * one) for one in hours]) * MINUTE


@pytest.mark.parametrize("kind", list(FilterKind))
def test_that_a_step_across_a_gap_does_not_leak_and_constants_are_kept(
    msis: Msis, track_of: TrackOf, kind: FilterKind
) -> None:
    track = track_of(lambda hours: np.where(hours < 10.0, 0.3, -0.4), keep=gap(8.0, 13.0))
    calibrated, report = calibrate(track, msis, LowPass(kind), QualityControl())
    hours = (calibrated.time - START) / HOUR
    known = np.isfinite(calibrated.ln_factor)
    assert_array_equal(known, (hours < 8.0) | (hours >= 13.0 - 1e-6))
    # Rounding of densities, then of eight recursive sections over a thousand steps.
    assert_allclose(calibrated.ln_factor[known], np.where(hours[known] < 10.0, 0.3, -0.4), rtol=0, atol=1e-9)
    assert (report.long_gaps, report.gaps, report.filled) == (1, 0, 0)
    # Filled instead, the same step smears over hours.
    filled, _ = calibrate(track, msis, LowPass(kind), QualityControl(longest_filled_h=6.0))
    assert np.abs(filled.ln_factor[hours >= 13.0] + 0.4).max() > 0.01


def test_that_both_sides_of_a_gap_are_filtered_as_if_each_were_alone(msis: Msis, track_of: TrackOf) -> None:
    def factor(hours: np.ndarray) -> np.ndarray:
        return 0.2 * np.sin(2.0 * np.pi * hours / 7.0) + 0.1 * np.sin(2.0 * np.pi * hours / 1.5)

    track = track_of(factor, keep=gap(9.0, 14.0))
    control = QualityControl(outlier_threshold=100.0)
    whole, _ = calibrate(track, msis, LowPass(), control)
    for part in (track.between(START, START + 9 * HOUR), track.between(START + 14 * HOUR, START + 24 * HOUR)):
        alone, _ = calibrate(part, msis, LowPass(), control)
        assert_allclose(whole.factor(alone.time), np.exp(alone.ln_factor), rtol=1e-12)


def series(msis: Msis) -> CalibratedMsis:
    """ln s = 0.2 from 0 to 2 h, a gap, -0.1 from 8 to 10 h, in steps of ten minutes."""
    time = START + 10 * MINUTE * np.arange(61)
    hours = (time - START) / HOUR
    return CalibratedMsis(msis, "CHAMP", time, np.where(hours <= 2.0, 0.2, np.where(hours >= 8.0, -0.1, np.nan)))


def test_that_a_gap_is_known_as_one_and_refused(msis: Msis) -> None:
    calibrated = series(msis)
    found = calibrated.known_ln_factor(at(-1.0, -1 / 6, 0.0, 2.0, 2 + 1 / 6, 2.2, 7.8, 8 - 1 / 6, 9.05, 10.3))
    assert_allclose(found, [np.nan, 0.2, 0.2, 0.2, 0.2, np.nan, np.nan, -0.1, -0.1, np.nan], rtol=1e-14)
    with pytest.raises(ThermodaError, match=r"CHAMP: 2010-04-04T05:00:00.* lies in a gap of its densities"):
        calibrated.factor(at(1.0, 5.0))
    gaps = calibrated.gaps(START - HOUR, START + 11 * HOUR)
    edges = [(-60, -10), (130, 470), (610, 660)]
    assert gaps == [(START + begin * MINUTE, START + end * MINUTE) for begin, end in edges]
    assert calibrated.gaps(START, START + 2 * HOUR) == []


def test_that_what_persists_is_that_of_a_gauss_markov_process(msis: Msis) -> None:
    persistence = Persistence(relaxation_time_h=6.0, standard_deviation=0.15)
    values = ContinuedFactor(series(msis), persistence).at(at(-1.0, 1.0, 5.0, 7.0, 9.0, 22.0, 500.0))
    states = [3, 0, 1, 1, 0, 1, 1]
    assert_array_equal(values.state, states)
    elapsed = np.array([3.0, 5.0, 12.0, 490.0])
    latest = np.array([0.2, 0.2, -0.1, -0.1])
    persists = values.state == FactorState.PERSISTED
    assert_allclose(values.ln_factor[persists], latest * np.exp(-elapsed / 6.0), rtol=1e-12)
    assert_allclose(values.variance[persists], 0.15**2 * (1.0 - np.exp(-elapsed / 3.0)), rtol=1e-12)
    assert_array_equal(values.variance[~persists], 0.0)
    # At first 2 s^2 t / tau, in the end that of NRLMSIS without calibration.
    assert persistence.variance(np.array([1e-6]))[0] == pytest.approx(2.0 * 0.15**2 * 1e-6 / 6.0, rel=1e-5)
    assert values.variance[-1] == pytest.approx(0.15**2, rel=1e-12)


def test_that_the_law_is_that_of_many_realizations(rng: np.random.Generator) -> None:
    persistence, step_h, count = Persistence(5.0, 0.2), 0.25, 4000
    kept = np.exp(-step_h / 5.0)
    now = np.full(count, 0.3)
    for _ in range(16):
        now = kept * now + 0.2 * np.sqrt(1.0 - kept**2) * rng.standard_normal(count)
    after = np.array([4.0])
    # Four standard errors of mean and of variance.
    assert now.mean() == pytest.approx(persistence.relaxed(np.array([0.3]), after)[0], abs=4 * 0.2 / np.sqrt(count))
    assert now.var() == pytest.approx(persistence.variance(after)[0], rel=4 * np.sqrt(2.0 / count))


def test_that_relaxation_time_and_deviation_are_found_from_the_factors_of_a_run(
    msis: Msis, rng: np.random.Generator
) -> None:
    step_h, kept = 0.1, np.exp(-0.1 / 8.0)
    values = np.zeros(24_000)
    for number, noise in enumerate(rng.standard_normal(values.size - 1)):
        values[number + 1] = kept * values[number] + 0.15 * np.sqrt(1.0 - kept**2) * noise
    values[5000:9000] = np.nan
    time = START + round(60 * step_h) * MINUTE * np.arange(values.size)
    found = estimated_persistence(CalibratedMsis(msis, "CHAMP", time, values), 3.0)
    # 2000 h are 125 times 2 tau: standard errors of 6 % and 9 %.
    assert found.standard_deviation == pytest.approx(0.15, rel=0.2)
    assert found.relaxation_time_h == pytest.approx(8.0, rel=0.3)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.full(300, 0.2), "have the correlation 1.000"),
        (np.resize([0.1] * 30 + [-0.1] * 30, 300), "have the correlation -1.000"),
        (np.linspace(0.1, 0.2, 140), "less than 12 h of scale factors 3 h apart"),
    ],
)
def test_that_what_cannot_be_estimated_is_asked_for(msis: Msis, values: np.ndarray, problem: str) -> None:
    time = START + 6 * MINUTE * np.arange(values.size)
    with pytest.raises(ThermodaError, match=problem) as caught:
        estimated_persistence(CalibratedMsis(msis, "CHAMP", time, values), 3.0)
    assert "give calibration.gaps.persistence numbers" in str(caught.value)


def test_that_another_satellite_fills_in_where_it_can_and_else_the_latest_factor_is_held(msis: Msis) -> None:
    other = CalibratedMsis(msis, "GRACE", at(1.0, 4.0), np.array([0.5, 0.7]))
    values = ContinuedFactor(series(msis), fallback=other).at(at(-1.0, 1.5, 3.0, 5.0, 9.0, 12.0))
    assert_array_equal(values.state, [3, 0, 2, 3, 0, 3])
    assert_allclose(values.ln_factor, [0.2, 0.2, 0.5 + 0.2 * 2 / 3, 0.2, -0.1, -0.1], rtol=1e-12)
    assert_array_equal(values.variance, 0.0)
    with pytest.raises(ValueError, match="not both"):
        ContinuedFactor(series(msis), Persistence(1.0, 1.0), other)


def source(msis: Msis, track_of: TrackOf, factor: ContinuedFactor, half_life_rad: float = INFINITE) -> DataGridSource:
    track = track_of(np.zeros_like, hours=10.0, keep=gap(2.0, 8.0))
    grid = DataGrid(np.array([300.0, 500.0]), np.array([0.0]), np.array([0.0, 90.0]))
    error = ObservationError(4.0, half_life_rad, 100.0)
    return DataGridSource(factor, {"CHAMP": track, "GRACE": track}, grid, error)


def test_that_the_error_of_a_persisted_data_grid_has_both_parts(msis: Msis, track_of: TrackOf) -> None:
    factor = ContinuedFactor(series(msis), Persistence(6.0, 0.15))
    plain = source(msis, track_of, ContinuedFactor(series(msis)))
    time = at(5.0)
    persisted = source(msis, track_of, factor).batch(time[0])
    assert persisted.source == "NRLMSIS 2.1 calibrated along CHAMP, persisted"
    density = msis.on_grid(
        time[0], *(plain.grid.latitude, plain.grid.longitude, plain.grid.altitude_km)
    ).density.ravel()
    assert_allclose(persisted.values, density * np.exp(0.2 * np.exp(-0.5)), rtol=1e-12)
    everywhere = CalibratedMsis(msis, "CHAMP", START + 10 * MINUTE * np.arange(61), np.zeros(61))
    without = source(msis, track_of, ContinuedFactor(everywhere)).batch(time[0])
    expected = without.error_standard_deviation**2 + persisted.values**2 * 0.15**2 * (1.0 - np.exp(-1.0))
    assert_allclose(persisted.error_standard_deviation**2, expected, rtol=1e-12)
    assert plain.state(time)[0] == FactorState.HELD
    with pytest.raises(ValueError, match="nothing to observe"):
        plain.batch(time[0])


def test_that_the_data_grid_names_the_satellite_along_which_it_is_calibrated(msis: Msis, track_of: TrackOf) -> None:
    other = CalibratedMsis(msis, "GRACE", at(0.0, 10.0), np.array([0.5, 0.5]))
    found = source(msis, track_of, ContinuedFactor(series(msis), fallback=other))
    assert found.batch(at(5.0)[0]).source.endswith("calibrated along GRACE")
    assert found.batch(at(9.0)[0]).source.endswith("calibrated along CHAMP")


def test_that_there_is_no_data_grid_where_its_error_needs_a_place_that_is_unknown(
    msis: Msis, track_of: TrackOf
) -> None:
    everywhere = CalibratedMsis(msis, "CHAMP", START + 10 * MINUTE * np.arange(61), np.zeros(61))
    times = at(1.0, 2.05, 2.2, 5.0, 7.95)
    anywhere = source(msis, track_of, ContinuedFactor(everywhere))
    assert_array_equal(anywhere.state(times), FactorState.KNOWN)
    near = source(msis, track_of, ContinuedFactor(everywhere), half_life_rad=0.5)
    assert_array_equal(near.state(times), [0, 0, 3, 3, 0])
    persisted = source(msis, track_of, ContinuedFactor(series(msis), Persistence(1.0, 1.0)), half_life_rad=0.5)
    assert_array_equal(persisted.state(times), [0, 0, 3, 3, 0])


@pytest.mark.parametrize(("time_h", "deviation"), [(0.0, 0.1), (1.0, 0.0), (INFINITE, 0.1), (1.0, float("nan"))])
def test_that_persistence_without_meaning_is_refused(time_h: float, deviation: float) -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        Persistence(time_h, deviation)
