"""Selection against brute force, its invariances, and the joining of sources."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.constants import EARTH_RADIUS
from da.localization import (
    GreatCircleMetric,
    IndexMetric,
    Localization,
    LocalObservations,
    Metric,
    Weighting,
    block_sub_domains,
    exponential,
    gaspari_cohn,
    merge_sources,
    regulated,
    regulated_weight,
    select_local_observations,
    vertical_scale,
)

RADIUS_KM = EARTH_RADIUS / 1e3
LOCALIZATIONS = {
    "uniform": Localization(5.0, Weighting.UNIFORM),
    "gaspari_cohn": Localization(5.0, Weighting.GASPARI_COHN, 6.0),
    "exponential": Localization(5.0, Weighting.EXPONENTIAL, decay_radius=2.0),
}


def _weight(localization: Localization, distance: np.ndarray) -> np.ndarray:
    if localization.weighting is Weighting.UNIFORM:
        return np.ones_like(distance)
    if localization.weighting is Weighting.EXPONENTIAL:
        return exponential(distance, localization.decay_radius or np.nan)
    return gaspari_cohn(distance, localization.support_radius or np.nan)


def _assert_equal(local: LocalObservations, expected: LocalObservations, rtol: float = 0.0) -> None:
    np.testing.assert_array_equal(local.start, expected.start)
    np.testing.assert_array_equal(local.index, expected.index)
    np.testing.assert_allclose(local.weight, expected.weight, rtol=rtol, atol=1e-14 if rtol else 0.0)


def _brute_index_distance(centre: np.ndarray, position: np.ndarray, period: float | None, scale: float) -> np.ndarray:
    offset = position - centre
    if period:
        turns = np.array([-2, -1, 0, 1, 2]) * period
        offset[:, 2] = np.abs(offset[:, 2, None] + turns).min(axis=1)
    return np.sqrt((scale * offset[:, 0]) ** 2 + offset[:, 1] ** 2 + offset[:, 2] ** 2)


def _brute_arc_distance(centre: np.ndarray, position: np.ndarray, scale: float) -> np.ndarray:
    """Return distances [km] by the haversine formula."""
    (north, east), (norths, easts) = np.deg2rad(centre[1:]), np.deg2rad(position[:, 1:]).T
    haversine = np.sin((norths - north) / 2) ** 2 + np.cos(north) * np.cos(norths) * np.sin((easts - east) / 2) ** 2
    arc = 2.0 * RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return np.sqrt(arc**2 + (scale * (position[:, 0] - centre[0])) ** 2)


@given(
    seed=st.integers(0, 2**32 - 1),
    period=st.sampled_from([None, 24.0]),
    scale=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    name=st.sampled_from(sorted(LOCALIZATIONS)),
)
def test_that_selection_in_index_units_equals_brute_force(
    seed: int, period: float | None, scale: float, name: str
) -> None:
    rng, localization = np.random.default_rng(seed), LOCALIZATIONS[name]
    # Half-integers make distances exact, ties with the cut-off included.
    centre = rng.integers(0, 48, (20, 3)) / 2.0
    position = rng.integers([-6, 0, -48], [54, 48, 72], (80, 3)) / 2.0
    local = select_local_observations(centre, position, localization, IndexMetric(period, scale))
    assert local.counts.sum() == local.index.size == local.weight.size
    for block in range(len(centre)):
        distance = _brute_index_distance(centre[block], position, period, scale)
        expected = np.flatnonzero(distance <= localization.cutoff_radius)
        index, weight = local.of(block)
        np.testing.assert_array_equal(index, expected)
        np.testing.assert_allclose(weight, _weight(localization, distance[expected]), atol=1e-14)


@given(
    seed=st.integers(0, 2**32 - 1),
    cutoff=st.floats(10.0, 25000.0),
    scale=st.sampled_from([0.0, 10.0, 500.0]),
    name=st.sampled_from(sorted(LOCALIZATIONS)),
)
def test_that_selection_on_the_sphere_equals_brute_force(seed: int, cutoff: float, scale: float, name: str) -> None:
    rng, weighting = np.random.default_rng(seed), Weighting(name)
    support = cutoff if weighting is Weighting.GASPARI_COHN else None
    decay = cutoff if weighting is Weighting.EXPONENTIAL else None
    localization = Localization(cutoff, weighting, support, decay)
    centre = rng.uniform([0.0, -90.0, -180.0], [10.0, 90.0, 180.0], (20, 3))
    position = rng.uniform([0.0, -90.0, 0.0], [10.0, 90.0, 360.0], (80, 3))
    local = select_local_observations(centre, position, localization, GreatCircleMetric(scale))
    for block in range(len(centre)):
        distance = _brute_arc_distance(centre[block], position, scale)
        index, weight = local.of(block)
        # Near the antipode the haversine formula loses half the digits: 1e-8 of the radius is 0.1 m.
        assert set(np.flatnonzero(distance < cutoff - 2e-4)) <= set(index.tolist())
        assert set(index.tolist()) <= set(np.flatnonzero(distance < cutoff + 2e-4))
        assert (np.diff(index) > 0).all()
        # The slopes of the weights are at most 1.5 over the cut-off radius, of 10 km at least.
        np.testing.assert_allclose(weight, _weight(localization, distance[index]), atol=3e-5)


@pytest.mark.parametrize("weighting", list(Weighting))
def test_that_longitudes_outside_the_period_are_wrapped(weighting: Weighting) -> None:
    rng = np.random.default_rng(5)
    centre, position = rng.uniform(0, 24, (60, 3)), rng.uniform(0.0, 24.0, (200, 3))
    away = position + np.outer(rng.integers(-2, 3, 200), [0.0, 0.0, 24.0])
    localization = LOCALIZATIONS[weighting.value]
    near = select_local_observations(centre, position, localization, IndexMetric(24.0))
    _assert_equal(select_local_observations(centre, away, localization, IndexMetric(24.0)), near, rtol=1e-12)


def test_that_an_observation_exactly_at_the_cut_off_is_local() -> None:
    position = np.array([[0.0, 3.0, 4.0], [0.0, 3.0, np.nextafter(4.0, 5.0) + 1e-12]])
    localization = Localization(5.0, Weighting.GASPARI_COHN, 5.0)
    local = select_local_observations(np.zeros((1, 3)), position, localization, IndexMetric(None))
    assert local.of(0)[0].tolist() == [0]
    assert local.of(0)[1].tolist() == [0.0]


def test_that_observations_across_the_pole_are_local_on_the_sphere_alone() -> None:
    place, other = np.array([[0.0, 85.0, 0.0]]), np.array([[0.0, 85.0, 180.0]])
    near = Localization(1200.0, Weighting.UNIFORM)
    assert select_local_observations(place, other, near, GreatCircleMetric(1.0)).counts.tolist() == [1]
    cells = Localization(3.0, Weighting.UNIFORM)
    # The same places on a grid of 5 degrees are 36 cells apart.
    row = np.array([[0.0, 35.0, 0.0]]), np.array([[0.0, 35.0, 36.0]])
    assert select_local_observations(*row, cells, IndexMetric(72.0)).counts.tolist() == [0]


def test_that_a_sphere_is_selected_alike_whatever_longitude_is_zero() -> None:
    rng = np.random.default_rng(6)
    centre, position = rng.uniform([0.0, -90.0, -180.0], [10.0, 90.0, 180.0], (2, 150, 3))
    localization, metric = Localization(4000.0, Weighting.GASPARI_COHN, 4000.0), GreatCircleMetric(200.0)
    here = select_local_observations(centre, position, localization, metric)
    turn = np.array([0.0, 0.0, 123.4])
    there = select_local_observations(centre + turn, position + turn, localization, metric)
    assert 0 < here.index.size < 150 * 150
    # Distances agree to 4e-11 km, and no pair is as near to the cut-off as that.
    _assert_equal(there, here, rtol=1e-11)


@pytest.mark.parametrize("metric", [IndexMetric(72.0), GreatCircleMetric(500.0)], ids=["cells", "sphere"])
@pytest.mark.parametrize("pairs", [1, 37, 1000, 10**9])
def test_that_the_bound_of_memory_does_not_change_the_result(metric: Metric, pairs: int) -> None:
    rng = np.random.default_rng(7)
    centre, position = rng.uniform(0.0, 72.0, (2, 300, 3))
    cutoff = 20.0 if isinstance(metric, IndexMetric) else 3000.0
    localization = Localization(cutoff, Weighting.GASPARI_COHN, cutoff)
    expected = select_local_observations(centre, position, localization, metric)
    assert 0 < expected.counts.min() < expected.counts.max() < 300
    _assert_equal(select_local_observations(centre, position, localization, metric, pairs), expected)


def test_that_work_memory_is_bounded() -> None:
    rng = np.random.default_rng(8)
    centre = block_sub_domains((10, 36, 72), (1, 1, 1)).centre
    position = rng.uniform(0.0, [10.0, 36.0, 72.0], (1000, 3))
    tracemalloc.start()
    try:
        local = select_local_observations(centre, position, LOCALIZATIONS["gaspari_cohn"], IndexMetric(72.0), 1 << 13)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result = local.start.nbytes + local.index.nbytes + local.weight.nbytes
    assert local.index.size > 20 * 2**13
    # As documented, 150 bytes per pair of a chunk and 70 per sub-domain; and some for 1000 observations and Python.
    assert peak - result < 150 * 2**13 + 70 * len(centre) + 500_000


def test_that_the_order_of_observations_does_not_matter() -> None:
    rng = np.random.default_rng(9)
    centre, position = rng.uniform(0.0, 24.0, (40, 3)), rng.uniform(0.0, 24.0, (150, 3))
    order = rng.permutation(150)
    sorted_ = select_local_observations(centre, position, LOCALIZATIONS["exponential"], IndexMetric(24.0))
    mixed = select_local_observations(centre, position[order], LOCALIZATIONS["exponential"], IndexMetric(24.0))
    np.testing.assert_array_equal(mixed.counts, sorted_.counts)
    for block in range(40):
        index, weight = mixed.of(block)
        assert dict(zip(order[index].tolist(), weight.tolist(), strict=True)) == dict(
            zip(*(part.tolist() for part in sorted_.of(block)), strict=True)
        )


def test_that_the_order_of_sub_domains_does_not_matter() -> None:
    rng = np.random.default_rng(10)
    centre, position = rng.uniform(0.0, 24.0, (40, 3)), rng.uniform(0.0, 24.0, (150, 3))
    order = rng.permutation(40)
    here = select_local_observations(centre, position, LOCALIZATIONS["gaspari_cohn"], IndexMetric(24.0), 50)
    there = select_local_observations(centre[order], position, LOCALIZATIONS["gaspari_cohn"], IndexMetric(24.0), 50)
    for place, block in enumerate(order):
        np.testing.assert_array_equal(there.of(place)[0], here.of(block)[0])
        np.testing.assert_array_equal(there.of(place)[1], here.of(block)[1])


@pytest.mark.parametrize(("domains", "observations"), [(3, 0), (0, 3), (0, 0)])
def test_that_nothing_selects_nothing(domains: int, observations: int) -> None:
    localization = LOCALIZATIONS["uniform"]
    local = select_local_observations(
        np.zeros((domains, 3)), np.zeros((observations, 3)), localization, IndexMetric(None)
    )
    assert local.counts.tolist() == [0] * domains
    assert local.index.size == local.weight.size == 0


def test_that_observations_out_of_reach_of_all_select_none() -> None:
    local = select_local_observations(
        np.zeros((2, 3)), np.full((4, 3), 50.0), LOCALIZATIONS["uniform"], IndexMetric(None)
    )
    assert local.start.tolist() == [0, 0, 0]
    assert local.index.size == 0


@pytest.mark.parametrize("metric", [IndexMetric(72.0), GreatCircleMetric(1.0)], ids=["cells", "sphere"])
def test_that_a_position_that_is_not_finite_is_refused(metric: Metric) -> None:
    with pytest.raises(ValueError, match="finite"):
        select_local_observations(np.zeros((1, 3)), np.full((2, 3), np.nan), LOCALIZATIONS["uniform"], metric)


@pytest.mark.parametrize(
    "arguments",
    [
        (0.0, Weighting.UNIFORM),
        (np.nan, Weighting.UNIFORM),
        (7.0, Weighting.GASPARI_COHN),
        (7.0, Weighting.GASPARI_COHN, -7.0),
        (7.0, Weighting.UNIFORM, 7.0),
        (7.0, Weighting.UNIFORM, None, 7.0),
        (7.0, Weighting.EXPONENTIAL),
        (7.0, Weighting.EXPONENTIAL, None, 0.0),
        (7.0, Weighting.EXPONENTIAL, 7.0, 7.0),
        (7.0, Weighting.GASPARI_COHN, 7.0, 7.0),
        (np.inf, Weighting.GASPARI_COHN, 7.0),
        (np.inf, Weighting.EXPONENTIAL, None, 7.0),
    ],
)
def test_that_contradictory_localization_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="radius"):
        Localization(*arguments)


def test_that_a_vertical_cut_off_of_its_own_scales_level_differences() -> None:
    position = np.array([[2.0, 0.0, 0.0], [2.1, 0.0, 0.0], [1.0, 3.5, 0.0], [0.0, 7.0, 0.0]])
    localization, metric = Localization(7.0, Weighting.GASPARI_COHN, 7.0), IndexMetric(None, vertical_scale(7.0, 2.0))
    index, weight = select_local_observations(np.zeros((1, 3)), position, localization, metric).of(0)
    assert index.tolist() == [0, 2, 3]
    # Two levels count like seven cells; one level and half the radius are sqrt(1/2) of it.
    np.testing.assert_allclose(weight, gaspari_cohn(np.array([7.0, 7.0 * np.sqrt(0.5), 7.0]), 7.0), atol=1e-15)


def test_that_a_vertical_cut_off_in_scale_heights_is_one_on_the_sphere() -> None:
    metric = GreatCircleMetric(vertical_scale(2000.0, 1.6))
    position = np.array([[1.6 - 1e-9, 10.0, 20.0], [1.6 + 1e-9, 10.0, 20.0], [0.8, 10.0, 20.0]])
    localization = Localization(2000.0, Weighting.GASPARI_COHN, 2000.0)
    local = select_local_observations(np.array([[0.0, 10.0, 20.0]]), position, localization, metric)
    assert local.index.tolist() == [0, 2]
    # Half the vertical radius is half the support: 5/24.
    assert local.weight[1] == pytest.approx(5.0 / 24.0, rel=1e-12)


def test_that_an_infinite_vertical_cut_off_ignores_levels() -> None:
    rng = np.random.default_rng(8)
    position = rng.uniform(0.0, 20.0, (100, 3))
    flat = position * [0.0, 1.0, 1.0]
    centre = rng.uniform(0.0, 20.0, (5, 3))
    localization = LOCALIZATIONS["gaspari_cohn"]
    ours = select_local_observations(centre, position, localization, IndexMetric(20.0, vertical_scale(5.0, np.inf)))
    theirs = select_local_observations(centre * [0.0, 1.0, 1.0], flat, localization, IndexMetric(20.0))
    _assert_equal(ours, theirs, rtol=1e-14)


@pytest.mark.parametrize("metric", [IndexMetric(8.0), GreatCircleMetric(0.0)], ids=["cells", "sphere"])
def test_that_no_localization_takes_every_observation_at_full_weight(metric: Metric) -> None:
    local = select_local_observations(
        np.zeros((2, 3)), np.ones((3, 3)), Localization(np.inf, Weighting.UNIFORM), metric
    )
    assert local.start.tolist() == [0, 3, 6]
    assert local.index.tolist() == [0, 1, 2, 0, 1, 2]
    assert local.weight.tolist() == [1.0] * 6


def test_that_sources_joined_equal_one_source_of_all() -> None:
    rng = np.random.default_rng(11)
    centre, position = rng.uniform(0.0, 24.0, (40, 3)), rng.uniform(0.0, 24.0, (150, 3))
    localization, metric = LOCALIZATIONS["gaspari_cohn"], IndexMetric(24.0)
    sizes = [60, 0, 7, 83]
    parts = [
        select_local_observations(centre, part, localization, metric)
        for part in np.split(position, np.cumsum(sizes)[:-1])
    ]
    whole = select_local_observations(centre, position, localization, metric)
    joined = merge_sources(parts, sizes)
    _assert_equal(joined, whole)
    assert joined.index.dtype == whole.index.dtype == np.int32


def test_that_sources_keep_their_own_radii_and_weights() -> None:
    centre, position = np.zeros((1, 3)), np.array([[0.0, 0.0, 4.0]])
    wide = select_local_observations(
        centre, position, Localization(8.0, Weighting.GASPARI_COHN, 8.0), IndexMetric(None)
    )
    short = select_local_observations(centre, position, Localization(3.0, Weighting.UNIFORM), IndexMetric(None))
    plain = select_local_observations(centre, position, Localization(4.0, Weighting.UNIFORM), IndexMetric(None))
    joined = merge_sources([wide, short, plain], [1, 1, 1])
    assert joined.index.tolist() == [0, 2]
    np.testing.assert_allclose(joined.weight, [5.0 / 24.0, 1.0], rtol=1e-14)


def test_that_sources_that_do_not_fit_are_refused() -> None:
    two = LocalObservations(np.array([0, 1, 2]), np.array([0, 1]), np.ones(2))
    one = LocalObservations(np.array([0, 1]), np.array([0]), np.ones(1))
    with pytest.raises(ValueError, match="sub-domains"):
        merge_sources([two, one], [2, 1])
    with pytest.raises(ValueError, match="observation 1 of a source of 1"):
        merge_sources([two, two], [2, 1])
    with pytest.raises(ValueError, match="cannot be joined"):
        merge_sources([two], [2, 1])
    with pytest.raises(ValueError, match="cannot be joined"):
        merge_sources([], [])


def test_that_regulation_uses_the_variances_of_each_observation() -> None:
    rng = np.random.default_rng(12)
    centre, position = rng.uniform(0.0, 24.0, (400, 3)), rng.uniform(0.0, 24.0, (1500, 3))
    local = select_local_observations(centre, position, LOCALIZATIONS["exponential"], IndexMetric(24.0))
    forecast, error = rng.uniform(0.0, 4.0, 1500), rng.uniform(0.1, 4.0, 1500)
    changed = regulated(local, forecast, error)
    _assert_equal(LocalObservations(changed.start, changed.index, local.weight), local)
    expected = regulated_weight(local.weight, forecast[local.index], error[local.index])
    np.testing.assert_array_equal(changed.weight, expected)
    assert (changed.weight < local.weight).all()
