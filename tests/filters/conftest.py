"""A small analysis for the tests of :func:`da.filters.assimilate.assimilate`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from da.localization import IndexMetric, Localization, Weighting

MEMBERS, OBSERVATIONS, DOMAINS, ROWS_PER_DOMAIN = 8, 15, 6, 4
ROWS = DOMAINS * ROWS_PER_DOMAIN
NEAR = Localization(12.0, Weighting.GASPARI_COHN, 12.0)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@pytest.fixture
def arguments() -> dict[str, Any]:
    """Domains along a line, most of them near observations; no array can be written to."""
    rng = np.random.default_rng(20)
    arrays = {
        "ensemble": rng.standard_normal((ROWS, MEMBERS)) + 5.0,
        "observed_ensemble": rng.standard_normal((OBSERVATIONS, MEMBERS)) + 2.0,
        "values": 2.0 + 1.5 * rng.standard_normal(OBSERVATIONS),
        "error_standard_deviation": rng.uniform(0.7, 1.4, OBSERVATIONS),
        "centre": np.column_stack([np.zeros((DOMAINS, 2)), 10.0 * np.arange(DOMAINS)]),
        "position": np.column_stack([rng.uniform(0, 1, (OBSERVATIONS, 2)), rng.uniform(0, 25, OBSERVATIONS)]),
    }
    domains = [_frozen(rows) for rows in rng.permutation(ROWS).reshape(DOMAINS, ROWS_PER_DOMAIN)]
    fixed: dict[str, Any] = {"sub_domains": domains, "metric": IndexMetric(None), "localization": NEAR}
    return {name: _frozen(array) for name, array in arrays.items()} | fixed
