"""Which observations of which source each sub-domain sees, with which weight and error, against hand-made ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.analysis_observations import AnalysisObservations, GridPositions, ObservedBatch, SourceLocalization
from da.constants import EARTH_RADIUS
from da.grid_position import VerticalCoordinate
from da.localization import Localization, Weighting, exponential, gaspari_cohn, regulated_weight
from da.model import StateField, StateGrid, StateLayout
from da.observations import ObservationBatch

TIME = np.datetime64("2010-04-05T00:00", "ns")
MEMBERS = 6
GRID = StateGrid(np.arange(5) * 0.5, np.arange(-75.0, 90.0, 30.0), np.arange(8) * 45.0)
LAYOUT = StateLayout((StateField("x", "1"),), GRID)
HEIGHT = np.broadcast_to(1e5 + 5e4 * np.arange(5.0)[:, None, None], GRID.shape)
"""Level k lies at 100 + 50 k km."""
POSITIONS = GridPositions(LAYOUT, HEIGHT)
KM_PER_DEGREE = 1e-3 * EARTH_RADIUS * np.pi / 180.0


def _observed(source: str, index: np.ndarray, seed: int, sigma: float = 0.5) -> ObservedBatch:
    """Return observations at fractional indices (n, 3), with values and HX from a generator."""
    rng, n = np.random.default_rng(seed), len(index)
    batch = ObservationBatch(
        rng.standard_normal(n),
        rng.uniform(0.5, 1.5, n) * sigma,
        -75.0 + 30.0 * index[:, 1],
        45.0 * index[:, 2],
        100.0 + 50.0 * index[:, 0],
        TIME,
        source,
        np.ones(n),
    )
    return ObservedBatch(source, batch, rng.standard_normal((n, MEMBERS)))


def _scattered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(0.0, 4.0, count), rng.uniform(0.0, 5.0, count), rng.uniform(0.0, 8.0, count)])


def _index_distance(centre: np.ndarray, index: np.ndarray, level_scale: float = 1.0) -> np.ndarray:
    """Return distances (centres, observations) in cells, written out."""
    offset = np.abs(centre[:, None] - index)
    offset[..., 2] = np.minimum(offset[..., 2], 8.0 - offset[..., 2])
    return np.asarray(np.sqrt((level_scale * offset[..., 0]) ** 2 + offset[..., 1] ** 2 + offset[..., 2] ** 2))


def _arc_km(centre: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return great-circle distances [km] by the haversine formula."""
    north, east = np.deg2rad(-75.0 + 30.0 * centre[:, None, 1]), np.deg2rad(45.0 * centre[:, None, 2])
    north2, east2 = np.deg2rad(-75.0 + 30.0 * index[:, 1]), np.deg2rad(45.0 * index[:, 2])
    h = np.sin(0.5 * (north2 - north)) ** 2 + np.cos(north) * np.cos(north2) * np.sin(0.5 * (east2 - east)) ** 2
    return np.asarray(2e-3 * EARTH_RADIUS * np.arcsin(np.sqrt(h)))


def _dense(observations: AnalysisObservations, centre: np.ndarray) -> np.ndarray:
    """Return the weights (centres, used observations), NaN where an observation is not local."""
    local = observations.local(centre)
    result = np.full((len(centre), int(observations.used.sum())), np.nan)
    for number in range(len(centre)):
        index, weight = local.of(number)
        assert np.all(np.diff(index) > 0)
        result[number, index] = weight
    return result


def _cells() -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(5.0), np.arange(6.0), np.arange(8.0), indexing="ij"), axis=-1).reshape(-1, 3)


INDEX = SourceLocalization(Localization(2.5, Weighting.GASPARI_COHN, 4.0))
CIRCLE = SourceLocalization(
    Localization(3000.0, Weighting.EXPONENTIAL, decay_radius=900.0), VerticalCoordinate.KM, vertical_cutoff_radius=60.0
)


def test_that_a_great_circle_source_sees_across_the_pole_and_an_index_source_does_not() -> None:
    # 15 degrees from the pole, and 5 degrees beyond it on the other side.
    centre, beyond = np.array([[2.0, 5.0, 0.0]]), np.array([[2.0, 5.0 + 10.0 / 30.0, 4.0]])
    wide = SourceLocalization(Localization(3.9, Weighting.UNIFORM))
    circle = SourceLocalization(
        Localization(20.1 * KM_PER_DEGREE, Weighting.UNIFORM), VerticalCoordinate.KM, vertical_cutoff_radius=1.0
    )
    narrow = replace(circle, localization=Localization(19.9 * KM_PER_DEGREE, Weighting.UNIFORM))
    seen = [POSITIONS.select(one, centre, beyond).counts.tolist() for one in (wide, circle, narrow)]
    assert seen == [[0], [1], [0]]


def test_that_index_sources_see_around_the_date_line_and_beside_the_pole_only() -> None:
    centre = np.array([[2.0, 5.0, 0.0]])
    places = np.array([[2.0, 5.0, 7.5], [2.0, 5.0, 0.5], [2.0, 5.0, 4.0], [3.4, 5.0, 0.0]])
    local = POSITIONS.select(SourceLocalization(Localization(1.0, Weighting.UNIFORM)), centre, places)
    assert local.index.tolist() == [0, 1]


@pytest.mark.parametrize("vertical_cutoff", [None, 0.8, 5.0, np.inf])
def test_that_index_distances_have_a_vertical_radius_of_their_own(vertical_cutoff: float | None) -> None:
    source = replace(INDEX, vertical_cutoff_radius=vertical_cutoff)
    observed, centre = _observed("a", _scattered(60, 1), 2), _cells()
    observations = AnalysisObservations.assemble([observed], {"a": source}, POSITIONS, None)
    scale = 1.0 if vertical_cutoff is None else 2.5 / vertical_cutoff
    distance = _index_distance(centre, _scattered(60, 1), scale)
    expected = np.where(distance <= 2.5, gaspari_cohn(distance, 4.0), np.nan)
    # Rounding of the indices that are computed from places.
    assert_allclose(_dense(observations, centre), expected, atol=1e-12, rtol=0.0)


@pytest.mark.parametrize(
    ("vertical", "cutoff"),
    [
        (VerticalCoordinate.KM, 60.0),
        (VerticalCoordinate.KM, np.inf),
        (VerticalCoordinate.SCALE_HEIGHTS, 0.6),
        (VerticalCoordinate.SCALE_HEIGHTS, np.inf),
    ],
)
def test_that_great_circle_distances_combine_arc_and_height(vertical: VerticalCoordinate, cutoff: float) -> None:
    source = replace(CIRCLE, vertical=vertical, vertical_cutoff_radius=cutoff)
    index, centre = _scattered(60, 3), _cells()
    observations = AnalysisObservations.assemble([_observed("a", index, 4)], {"a": source}, POSITIONS, None)
    per_level = 50.0 if vertical is VerticalCoordinate.KM else 0.5
    rise = np.abs(centre[:, None, 0] - index[:, 0]) * per_level * 3000.0 / cutoff
    distance = np.hypot(_arc_km(centre, index), rise)
    expected = np.where(distance <= 3000.0, exponential(distance, 900.0), np.nan)
    # Distances of 3000 km rounded to 1e-9 km, relative to the decay radius.
    assert_allclose(_dense(observations, centre), expected, atol=1e-11, rtol=0.0)
    assert 0 < np.count_nonzero(np.isfinite(expected)) < expected.size / 2


def test_that_each_of_several_sources_has_its_own_radii_weights_and_metric() -> None:
    first, second, centre = _scattered(25, 5), _scattered(40, 6), _cells()
    observed = [_observed("grid", first, 7), _observed("track", second, 8)]
    observations = AnalysisObservations.assemble(observed, {"track": CIRCLE, "grid": INDEX}, POSITIONS, None)
    near = _index_distance(centre, first)
    far = np.hypot(_arc_km(centre, second), np.abs(centre[:, None, 0] - second[:, 0]) * 50.0 * 3000.0 / 60.0)
    expected = np.hstack(
        [
            np.where(near <= 2.5, gaspari_cohn(near, 4.0), np.nan),
            np.where(far <= 3000.0, exponential(far, 900.0), np.nan),
        ]
    )
    assert_allclose(_dense(observations, centre), expected, atol=1e-11, rtol=0.0)


def _with_outliers(observed: ObservedBatch, outliers: list[int]) -> ObservedBatch:
    values = observed.batch.values.copy()
    values[outliers] += 1e3
    return replace(observed, batch=replace(observed.batch, values=values))


def _without(observed: ObservedBatch, outliers: list[int]) -> ObservedBatch:
    kept = np.ones(len(observed.batch), dtype=bool)
    kept[outliers] = False
    return replace(observed, batch=observed.batch.select(kept), forecast=observed.forecast[kept])


REGULATED = replace(INDEX, regulated=True, error_correlation_radius=1.5)
OUTLIERS = {"grid": [0, 3, 24], "track": [7], "clean": []}


def test_that_refused_observations_leave_no_trace_but_their_flags() -> None:
    localizations = {"grid": REGULATED, "track": replace(CIRCLE, error_correlation_radius=2000.0), "clean": INDEX}
    clean = [
        _observed("grid", _scattered(25, 9), 1),
        _observed("track", _scattered(12, 10), 2),
        _observed("clean", _scattered(5, 11), 3),
    ]
    spoilt = [_with_outliers(one, OUTLIERS[one.source]) for one in clean]
    checked = AnalysisObservations.assemble(spoilt, localizations, POSITIONS, 20.0)
    pure = AnalysisObservations.assemble(
        [_without(one, OUTLIERS[one.source]) for one in clean], localizations, POSITIONS, 20.0
    )
    assert np.flatnonzero(~checked.used).tolist() == [0, 3, 24, 25 + 7]
    assert pure.used.all()
    assert len(checked.joined.values) == checked.used.size == len(checked.forecast) == 42
    places = np.concatenate([one.batch.position for one in clean])[[0, 3, 24, 32]]
    assert_array_equal(checked.joined.position[~checked.used], places)
    for name in ("anomalies", "innovation", "variance"):
        assert_array_equal(getattr(checked.ensemble, name), getattr(pure.ensemble, name))
    mine, theirs = checked.local(_cells()), pure.local(_cells())
    for name in ("start", "index", "weight"):
        assert_array_equal(getattr(mine, name), getattr(theirs, name))


def test_that_the_check_judges_an_observation_by_its_own_error() -> None:
    # 16 observations at one place with fully correlated errors: inflated, their errors would be four times larger.
    index = np.tile([2.0, 2.0, 2.0], (16, 1))
    source = replace(INDEX, error_correlation_radius=1.0)
    batch = _observed("a", index, 1).batch
    batch = replace(batch, values=np.full(16, 3.0), error_standard_deviation=np.ones(16))
    observed = ObservedBatch("a", batch, np.zeros((16, MEMBERS)))
    counts = [
        AnalysisObservations.assemble([observed], {"a": source}, POSITIONS, threshold).used.sum()
        for threshold in (2.9, 3.1)
    ]
    assert counts == [0, 16]


def test_that_inflation_is_learned_from_innovations_with_the_error_of_each_observation() -> None:
    index = np.tile([2.0, 2.0, 2.0], (16, 1))
    source = replace(INDEX, error_correlation_radius=1.0)
    found = AnalysisObservations.assemble([_observed("a", index, 1)], {"a": source}, POSITIONS, None)
    np.testing.assert_allclose(found.ensemble.variance, 16.0 * found.innovation_error_variance)
    np.testing.assert_array_equal(
        found.innovation_error_variance, _observed("a", index, 1).batch.error_standard_deviation ** 2
    )


def test_that_without_a_check_everything_is_used() -> None:
    observed = _with_outliers(_observed("a", _scattered(10, 1), 1), [2])
    assert AnalysisObservations.assemble([observed], {"a": INDEX}, POSITIONS, None).used.all()


def test_that_no_observation_is_local_where_all_are_refused() -> None:
    observed = _with_outliers(_observed("a", _scattered(4, 1), 1), [0, 1, 2, 3])
    for source in (INDEX, REGULATED, CIRCLE, replace(CIRCLE, error_correlation_radius=500.0)):
        observations = AnalysisObservations.assemble([observed], {"a": source}, POSITIONS, 5.0)
        assert observations.local(_cells()).counts.tolist() == [0] * GRID.cells
        assert observations.forecast_variance.shape == (0,)


def test_that_correlated_errors_inflate_variances_by_the_sum_of_their_correlations() -> None:
    radius, index = 2.0, _scattered(30, 12)
    grid, track = _observed("grid", index, 1), _observed("track", _scattered(5, 13), 2)
    before = grid.batch.error_standard_deviation.copy()
    localizations = {"grid": replace(INDEX, error_correlation_radius=radius), "track": INDEX}
    observations = AnalysisObservations.assemble([grid, track], localizations, POSITIONS, None)
    factor = gaspari_cohn(_index_distance(index, index), radius).sum(axis=1)
    expected = np.concatenate([factor * before**2, track.batch.error_standard_deviation**2])
    assert factor.max() > 1.5
    assert_allclose(observations.ensemble.variance, expected, rtol=1e-11)
    assert_allclose(observations.batches[0].error_standard_deviation ** 2, expected[:30], rtol=1e-11)
    assert_array_equal(grid.batch.error_standard_deviation, before)


def test_that_great_circle_sources_correlate_their_errors_in_km() -> None:
    index = _scattered(30, 14)
    source = replace(CIRCLE, error_correlation_radius=4000.0)
    observed = _observed("track", index, 1)
    observations = AnalysisObservations.assemble([observed], {"track": source}, POSITIONS, None)
    distance = np.hypot(_arc_km(index, index), np.abs(index[:, None, 0] - index[:, 0]) * 50.0 * 3000.0 / 60.0)
    expected = gaspari_cohn(distance, 4000.0).sum(axis=1) * observed.batch.error_standard_deviation**2
    assert_allclose(observations.ensemble.variance, expected, rtol=1e-9)


def test_that_a_source_shares_its_errors_however_its_batches_are_cut() -> None:
    whole = _observed("track", _scattered(30, 15), 1)
    mask = np.arange(30) < 11
    parts = [
        ObservedBatch("track", replace(whole.batch.select(keep), time=time), whole.forecast[keep])
        for keep, time in ((mask, TIME - np.timedelta64(1, "h")), (~mask, TIME))
    ]
    localizations = {"track": replace(INDEX, error_correlation_radius=2.0)}
    together = AnalysisObservations.assemble([whole], localizations, POSITIONS, None)
    cut = AnalysisObservations.assemble(parts, localizations, POSITIONS, None)
    # Another order of the sum over neighbours.
    assert_allclose(cut.ensemble.variance, together.ensemble.variance, rtol=1e-14)


def test_that_each_source_regulates_with_the_variances_of_its_own_observations() -> None:
    first, second, centre = _scattered(20, 16), _scattered(30, 17), _cells()
    observed = [_with_outliers(_observed("plain", first, 1), [4, 5]), _observed("regulated", second, 2)]
    localizations = {"plain": INDEX, "regulated": replace(INDEX, regulated=True)}
    observations = AnalysisObservations.assemble(observed, localizations, POSITIONS, 20.0)
    kept = np.delete(first, [4, 5], axis=0)
    plain, weight = (
        np.where(distance <= 2.5, gaspari_cohn(distance, 4.0), np.nan)
        for distance in (_index_distance(centre, kept), _index_distance(centre, second))
    )
    variance, error = observed[1].forecast.var(axis=1, ddof=1), observed[1].batch.error_standard_deviation ** 2
    expected = np.hstack([plain, regulated_weight(weight, variance, error)])
    assert_allclose(_dense(observations, centre), expected, atol=1e-12, rtol=0.0)
    assert np.nanmax(np.abs(expected[:, 18:] - weight)) > 0.1


def test_that_forecast_variances_are_those_of_the_members() -> None:
    observed = _observed("a", _scattered(9, 18), 3)
    observations = AnalysisObservations.assemble([observed], {"a": INDEX}, POSITIONS, None)
    assert_allclose(observations.forecast_variance, observed.forecast.var(axis=1, ddof=1), rtol=1e-13)


def test_that_observations_in_different_variables_are_refused() -> None:
    density = _observed("a", _scattered(3, 1), 1)
    logarithm = replace(density, batch=replace(density.batch, operator="ln_density"))
    with pytest.raises(ValueError, match="one operator"):
        AnalysisObservations.assemble([density, logarithm], {"a": INDEX}, POSITIONS, None)


def test_that_great_circle_distances_need_a_vertical_radius() -> None:
    with pytest.raises(ValueError, match="vertical cut-off radius"):
        SourceLocalization(Localization(3000.0, Weighting.UNIFORM), VerticalCoordinate.KM)


def test_that_longitude_has_a_period_where_the_grid_says_so() -> None:
    open_grid = replace(GRID, periodic_longitude=False)
    assert POSITIONS.longitude_period == 8.0
    assert GridPositions(StateLayout(LAYOUT.fields, open_grid), HEIGHT).longitude_period is None
