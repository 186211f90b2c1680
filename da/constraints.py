"""Physical constraints on an analysed state (Corbin & Kusche 2022, "State constraints").

Temperatures are positive (above the model's own lower bound), mass fractions lie within their bounds, and those of
O, O2, He and N2 sum to one, so that the first three may not exceed one together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def clip_to_bounds(values: FloatArray, lower: float, upper: float) -> tuple[FloatArray, int]:
    """Return the values within [lower, upper], and how many were outside."""
    outside = int(np.count_nonzero((values < lower) | (values > upper)))
    return (np.clip(values, lower, upper) if outside else values), outside


def close_mass_balance(fractions: tuple[FloatArray, ...]) -> tuple[tuple[FloatArray, ...], int]:
    """Return mass fractions scaled down, where their sum exceeds one, to sum to one; and in how many cells.

    Scaling keeps the ratios of the species and leaves no N2, the nearest feasible composition along that ray.
    """
    total = np.sum(fractions, axis=0)
    excess = total > 1.0
    cells = int(np.count_nonzero(excess))
    if not cells:
        return fractions, 0
    scale = np.where(excess, 1.0 / np.where(excess, total, 1.0), 1.0)
    return tuple(np.asarray(fraction * scale) for fraction in fractions), cells


def constrain(
    fields: Mapping[str, FloatArray],
    bounds: Mapping[str, tuple[float, float]],
    compositions: tuple[tuple[str, ...], ...],
) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Return constrained copies of the fields, and how many values each constraint changed.

    Parameters
    ----------
    fields : dict of name -> array
        Analysed fields.
    bounds : dict of name -> (lower, upper)
        Bounds per field.
    compositions : tuple of tuples of names
        Groups of mass fractions that may sum to at most one.
    """
    result = dict(fields)
    hits: dict[str, int] = {}
    for name, (lower, upper) in bounds.items():
        result[name], hits[name] = clip_to_bounds(result[name], lower, upper)
    for group in compositions:
        closed, hits[f"sum of {', '.join(group)}"] = close_mass_balance(tuple(result[name] for name in group))
        result.update(zip(group, closed, strict=True))
    return result, hits
