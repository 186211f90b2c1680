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


def close_mass_balance(
    fractions: tuple[FloatArray, ...], lower: tuple[float, ...]
) -> tuple[tuple[FloatArray, ...], int]:
    """Return mass fractions scaled down, where their sum exceeds one, to sum to one; and in how many cells.

    What is scaled is the part of each fraction above its lower bound, so that no bound is broken: the ratios of these
    parts are kept, and no N2 is left. With bounds of zero that is the feasible composition along the same ray.

    Parameters
    ----------
    fractions : tuple of arrays of one shape
        Each at or above its bound.
    lower : tuple of float
        Lower bounds, which sum to less than one.
    """
    excess = np.sum(fractions, axis=0) > 1.0
    cells = int(np.count_nonzero(excess))
    if not cells:
        return fractions, 0
    above = [fraction - bound for fraction, bound in zip(fractions, lower, strict=True)]
    scale = (1.0 - sum(lower)) / np.where(excess, np.sum(above, axis=0), 1.0)
    return tuple(
        np.where(excess, bound + part * scale, fraction)
        for fraction, bound, part in zip(fractions, lower, above, strict=True)
    ), cells


def constrain(
    fields: Mapping[str, FloatArray],
    bounds: Mapping[str, tuple[float, float]],
    compositions: tuple[tuple[str, ...], ...],
) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Return the constrained fields, and how many values each constraint changed.

    The input stays as it is; a field that no constraint changes is returned as it was given, not copied.

    Parameters
    ----------
    fields : dict of name -> array
        Analysed fields.
    bounds : dict of name -> (lower, upper)
        Bounds per field.
    compositions : tuple of tuples of names
        Groups of mass fractions that may sum to at most one, all of them with bounds.
    """
    result = dict(fields)
    hits: dict[str, int] = {}
    for name, (lower, upper) in bounds.items():
        result[name], hits[name] = clip_to_bounds(result[name], lower, upper)
    for group in compositions:
        fractions, lowest = tuple(result[name] for name in group), tuple(bounds[name][0] for name in group)
        closed, hits[f"sum of {', '.join(group)}"] = close_mass_balance(fractions, lowest)
        result.update(zip(group, closed, strict=True))
    return result, hits
