"""Sub-domains cover the grid, each cell once, and are shaped as their names say."""

from __future__ import annotations

import numpy as np
import pytest

from da.localization import SubDomainShape, block_sub_domains, sub_domains_of_shape


def test_that_blocks_cover_every_cell_once_and_have_their_centre_in_the_middle() -> None:
    shape = (7, 5, 8)
    domains = block_sub_domains(shape, (3, 2, 3))
    assert sorted(np.concatenate(domains.cells).tolist()) == list(range(np.prod(shape)))
    for cells, centre in zip(domains.cells, domains.centre, strict=True):
        np.testing.assert_allclose(np.mean(np.unravel_index(cells, shape), axis=1), centre)


def test_that_shapes_of_sub_domains_are_what_their_names_say() -> None:
    grid = (29, 36, 72)
    columns = sub_domains_of_shape(grid, SubDomainShape.COLUMN, 1)
    assert len(columns) == 36 * 72
    assert {cells.size for cells in columns.cells} == {29}
    assert len(sub_domains_of_shape(grid, SubDomainShape.COLUMN, 3)) == 12 * 24
    assert len(sub_domains_of_shape(grid, SubDomainShape.BLOCK, 1)) == 29 * 36 * 72
    (everything,) = sub_domains_of_shape(grid, SubDomainShape.WHOLE, 3).cells
    np.testing.assert_array_equal(everything, np.arange(29 * 36 * 72))


@pytest.mark.parametrize(("grid", "block"), [((0, 3, 3), (1, 1, 1)), ((3, 3, 3), (1, 0, 1))])
def test_that_empty_grids_and_blocks_are_refused(grid: tuple[int, int, int], block: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="positive in every direction"):
        block_sub_domains(grid, block)
