"""The analysis step against independently computed answers, member by member."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from da.filters import naive
from da.filters.estkf import analyse
from da.filters.lestkf import ObservedEnsemble, analyse_sub_domains
from da.localization import IndexMetric, Localization, Weighting, block_sub_domains, select_local_observations

# The answers carry rounding of about 1e-13 of the prior spread; 1e-11 leaves room for another LAPACK.
TOLERANCE = 1e-11
UNIFORM = Localization(7.0, Weighting.UNIFORM)
GASPARI_COHN = Localization(7.0, Weighting.GASPARI_COHN, 7.0)

LOCAL_CASES = {
    "b_lestkf_uniform": ("cells", UNIFORM, 1.0),
    "c_lestkf_gc": ("cells", GASPARI_COHN, 1.0),
    "d_lestkf_gc_f09": ("cells", GASPARI_COHN, 0.9),
    "g_lestkf_gc_blocks3_f09": ("blocks3", GASPARI_COHN, 0.9),
}


def _load(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}.npz") as content:
        return {key: content[key] for key in content.files}


def _assert_equal_in_units_of_spread(analysis: np.ndarray, expected: np.ndarray, forecast: np.ndarray) -> None:
    spread = forecast.std(axis=1, ddof=1, keepdims=True)
    assert np.max(np.abs(analysis - expected) / spread) < TOLERANCE


def _longitude_last(xyz: np.ndarray) -> np.ndarray:
    return xyz[:, ::-1]


@pytest.mark.parametrize("filter_", [analyse, None], ids=["engine", "textbook"])
def test_that_the_global_filter_reproduces_case_a(reference_folder: Path, filter_: object) -> None:
    inputs, answer = _load(reference_folder, "inputs"), _load(reference_folder, "a_estkf_global")
    forecast = inputs["X"].copy()
    if filter_ is None:
        analysis = naive.estkf(forecast, inputs["HX"], inputs["y"], 1.0 / inputs["rvar"])
    else:
        analysis = analyse(forecast, inputs["HX"], inputs["y"], inputs["rvar"])
    _assert_equal_in_units_of_spread(analysis, answer["Xa"], inputs["X"])
    np.testing.assert_array_equal(forecast, inputs["X"])


@pytest.mark.parametrize("case", LOCAL_CASES)
def test_that_the_localized_filter_reproduces_every_local_case(reference_folder: Path, case: str) -> None:
    domains, localization, forgetting_factor = LOCAL_CASES[case]
    inputs, answer = _load(reference_folder, "inputs"), _load(reference_folder, case)
    start, row = inputs[f"{domains}_ptr"], inputs[f"{domains}_idx"]
    domain_rows = [row[a:b] for a, b in zip(start[:-1], start[1:], strict=True)]
    # None of the cases at hand has a periodic axis.
    local = select_local_observations(
        _longitude_last(inputs[f"{domains}_xyz"]), _longitude_last(inputs["oxyz"]), localization, IndexMetric(None)
    )
    observed = ObservedEnsemble.of(inputs["HX"], inputs["y"], inputs["rvar"])
    analysis = analyse_sub_domains(inputs["X"], domain_rows, observed, local, forgetting_factor).ensemble
    _assert_equal_in_units_of_spread(analysis, answer["Xa"], inputs["X"])


def test_that_our_blocks_are_those_of_the_reference(reference_folder: Path) -> None:
    inputs = _load(reference_folder, "inputs")
    nx, ny, nz, fields = inputs["grid"]
    blocks = block_sub_domains((nz, ny, nx), (3, 3, 3))
    expected = {
        tuple(centre): set(inputs["blocks3_idx"][inputs["blocks3_ptr"][b] : inputs["blocks3_ptr"][b + 1]].tolist())
        for b, centre in enumerate(_longitude_last(inputs["blocks3_xyz"]).tolist())
    }
    cells = nx * ny * nz
    ours = {
        tuple(centre): {int(cell + field * cells) for cell in own for field in range(fields)}
        for own, centre in zip(blocks.cells, blocks.centre.tolist(), strict=True)
    }
    assert ours == expected
