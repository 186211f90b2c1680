"""Weights, blocks, distances and selection, each pinned to its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from da.localization import (
    Localization,
    SubDomainShape,
    Weighting,
    block_sub_domains,
    gaspari_cohn,
    index_distance,
    select_local_observations,
    sub_domains_of_shape,
)


def test_that_gaspari_cohn_is_pinned_at_its_known_values() -> None:
    assert gaspari_cohn(np.array([0.0]), 7.0)[0] == 1.0
    np.testing.assert_allclose(gaspari_cohn(np.array([3.5]), 7.0), 5.0 / 24.0, rtol=1e-14)
    np.testing.assert_array_equal(gaspari_cohn(np.array([7.0, 7.1, 1e9]), 7.0), 0.0)


def test_that_gaspari_cohn_is_a_cone_convolved_with_itself_in_space() -> None:
    """Eq. 4.10 is the self-convolution over three dimensions of the cone 1 - r/c, r <= c (their Sec. 4c, a = 1/2)."""
    node, weight = np.polynomial.legendre.leggauss(200)
    radius, radius_weight = 0.5 * (node + 1.0), 0.5 * weight

    def convolution(distance: float) -> float:
        apart = np.sqrt(radius[:, None] ** 2 + distance**2 - 2.0 * radius[:, None] * distance * node[None, :])
        mean_over_directions = np.maximum(1.0 - apart, 0.0) @ weight
        return float(np.sum(radius_weight * (1.0 - radius) * radius**2 * mean_over_directions))

    for distance in (0.2, 0.6, 1.0, 1.3, 1.8):
        # The kinks of the cone limit 200-point quadrature to about 1e-5.
        expected = convolution(distance) / convolution(0.0)
        assert gaspari_cohn(np.array([distance]), 2.0)[0] == pytest.approx(expected, abs=5e-5)


def test_that_gaspari_cohn_falls_monotonically_and_smoothly() -> None:
    distance = np.linspace(0.0, 8.0, 8001)
    weight = gaspari_cohn(distance, 7.0)
    slope = np.diff(weight) / np.diff(distance)
    assert (np.diff(weight) <= 1e-15).all()
    assert (weight >= 0.0).all()
    # The second derivative is at most 10/3 / c^2 = 0.27, so slopes a step of 1e-3 apart differ by less than 3e-4.
    assert np.abs(np.diff(slope)).max() < 3e-4


def test_that_blocks_cover_every_cell_once_and_have_their_centre_in_the_middle() -> None:
    shape = (7, 5, 8)
    domains = block_sub_domains(shape, (3, 2, 3))
    assert sorted(np.concatenate(domains.cells).tolist()) == list(range(np.prod(shape)))
    for cells, centre in zip(domains.cells, domains.centre, strict=True):
        np.testing.assert_allclose(np.mean(np.unravel_index(cells, shape), axis=1), centre)


@pytest.mark.parametrize("period", [None, 24.0])
@pytest.mark.parametrize("weighting", list(Weighting))
def test_that_selection_equals_brute_force(period: float | None, weighting: Weighting) -> None:
    rng = np.random.default_rng(5)
    centre = rng.uniform(0, 24, (60, 3))
    position = rng.uniform([-3.0, 0.0, -30.0], [27.0, 24.0, 30.0], (200, 3))
    if period is None:
        position[:, 2] = np.abs(position[:, 2])
    support = 5.0 if weighting is Weighting.GASPARI_COHN else None
    localization = Localization(5.0, weighting, support)
    local = select_local_observations(centre, position, localization, period)
    for block in range(len(centre)):
        offset = (
            np.abs(np.mod(position[:, 2], period) - centre[block, 2]) if period else position[:, 2] - centre[block, 2]
        )
        along = np.minimum(offset, period - offset) if period else offset
        distance = np.sqrt(
            (position[:, 0] - centre[block, 0]) ** 2 + (position[:, 1] - centre[block, 1]) ** 2 + along**2
        )
        expected = np.flatnonzero(distance <= 5.0)
        index, weight = local.of(block)
        np.testing.assert_array_equal(index, expected)
        reference = gaspari_cohn(distance[expected], 5.0) if support else np.ones(expected.size)
        np.testing.assert_allclose(weight, reference, atol=1e-14)


def test_that_an_observation_exactly_at_the_cut_off_is_local() -> None:
    position = np.array([[0.0, 3.0, 4.0], [0.0, 3.0, np.nextafter(4.0, 5.0) + 1e-12]])
    local = select_local_observations(np.zeros((1, 3)), position, Localization(5.0, Weighting.GASPARI_COHN, 5.0), None)
    assert local.of(0)[0].tolist() == [0]
    assert local.of(0)[1].tolist() == [0.0]


def test_that_distances_close_around_the_globe() -> None:
    centre = np.array([0.0, 0.0, 0.5])
    position = np.array([[0.0, 0.0, 71.5], [0.0, 0.0, 36.5], [0.0, 0.0, 40.5]])
    np.testing.assert_allclose(index_distance(centre, position, 72.0), [1.0, 36.0, 32.0])


def test_that_no_observations_select_none() -> None:
    local = select_local_observations(np.zeros((3, 3)), np.zeros((0, 3)), Localization(5.0, Weighting.UNIFORM), None)
    assert local.counts.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "arguments",
    [
        (0.0, Weighting.UNIFORM, None),
        (7.0, Weighting.GASPARI_COHN, None),
        (7.0, Weighting.UNIFORM, 7.0),
        (7.0, Weighting.UNIFORM, None, -1.0),
        (np.inf, Weighting.GASPARI_COHN, 7.0),
    ],
)
def test_that_contradictory_localization_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="radius"):
        Localization(*arguments)


def test_that_a_vertical_cut_off_of_its_own_scales_level_differences() -> None:
    position = np.array([[2.0, 0.0, 0.0], [2.1, 0.0, 0.0], [1.0, 3.5, 0.0], [0.0, 7.0, 0.0]])
    localization = Localization(7.0, Weighting.GASPARI_COHN, 7.0, vertical_cutoff_radius_cells=2.0)
    index, weight = select_local_observations(np.zeros((1, 3)), position, localization, None).of(0)
    assert index.tolist() == [0, 2, 3]
    # Two levels count like seven cells; one level and half the radius are sqrt(1/2) of it.
    np.testing.assert_allclose(weight, gaspari_cohn(np.array([7.0, 7.0 * np.sqrt(0.5), 7.0]), 7.0), atol=1e-15)


def test_that_an_infinite_vertical_cut_off_ignores_levels() -> None:
    rng = np.random.default_rng(8)
    position = rng.uniform(0.0, 20.0, (100, 3))
    flat = position * [0.0, 1.0, 1.0]
    centre = rng.uniform(0.0, 20.0, (5, 3))
    horizontal = Localization(6.0, Weighting.GASPARI_COHN, 6.0, vertical_cutoff_radius_cells=np.inf)
    equal = Localization(6.0, Weighting.GASPARI_COHN, 6.0)
    ours = select_local_observations(centre, position, horizontal, 20.0)
    theirs = select_local_observations(centre * [0.0, 1.0, 1.0], flat, equal, 20.0)
    np.testing.assert_array_equal(ours.index, theirs.index)
    np.testing.assert_allclose(ours.weight, theirs.weight, rtol=1e-14)


def test_that_no_localization_takes_every_observation_at_full_weight() -> None:
    local = select_local_observations(np.zeros((2, 3)), np.ones((3, 3)), Localization(np.inf, Weighting.UNIFORM), 8.0)
    assert local.index.tolist() == [0, 1, 2, 0, 1, 2]
    assert local.weight.tolist() == [1.0] * 6


def test_that_shapes_of_sub_domains_are_what_their_names_say() -> None:
    grid = (29, 36, 72)
    columns = sub_domains_of_shape(grid, SubDomainShape.COLUMN, 1)
    assert len(columns) == 36 * 72
    assert {cells.size for cells in columns.cells} == {29}
    assert len(sub_domains_of_shape(grid, SubDomainShape.COLUMN, 3)) == 12 * 24
    assert len(sub_domains_of_shape(grid, SubDomainShape.BLOCK, 1)) == 29 * 36 * 72
    (everything,) = sub_domains_of_shape(grid, SubDomainShape.WHOLE, 3).cells
    np.testing.assert_array_equal(everything, np.arange(29 * 36 * 72))
