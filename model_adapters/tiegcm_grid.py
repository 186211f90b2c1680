"""The grid of TIE-GCM: its pressure levels, and cells that cover the globe at a resolution."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from da.model import THERMOSPHERE_FIELDS, StateGrid, StateLayout

LEVEL_STEP = 0.5
LEVELS = np.arange(-6.75, 7.5, LEVEL_STEP)
"""zp of TIE-GCM's 29 mid-levels."""
HIGHEST_INTERFACE = 7.0
"""zp of the highest interface with a mid-level above it; the lowest interface has the opposite sign."""


def _divides_the_globe(step: float) -> float:
    if 180.0 % step or (360.0 / step) % 2:
        raise ValueError("must divide 180")
    return step


ResolutionDeg = Annotated[
    float, Field(ge=2.5, description="Horizontal step of the state grid"), AfterValidator(_divides_the_globe)
]
"""A horizontal step [degrees] that fits the globe; 5 and 2.5 are TIE-GCM's own."""


def _divides_the_levels(step: float) -> float:
    if (2.0 * HIGHEST_INTERFACE) % step:
        raise ValueError(f"must divide {2.0 * HIGHEST_INTERFACE:g}, from zp = -7 to 7")
    return step


LevelStep = Annotated[
    float, Field(gt=0.0, le=1.0, description="Step of zp of the state grid"), AfterValidator(_divides_the_levels)
]
"""A step of zp; TIE-GCM's own are 0.5 at 5 degrees and 0.25 at 2.5 degrees."""


def thermosphere_layout(
    resolution_deg: float, longitude_resolution_deg: float | None = None, level_step: float = LEVEL_STEP
) -> StateLayout:
    """Return the state of Corbin & Kusche (2022), Eq. 1, on TIE-GCM's range of levels and cells that cover the globe.

    Parameters
    ----------
    resolution_deg : float
        Step of latitude [degrees].
    longitude_resolution_deg : float, optional
        Step of longitude [degrees]; that of latitude by default.
    level_step : float
        Step of zp; the lowest mid-level lies half of it above -7, the highest half of it above 7.
    """
    latitude = np.arange(-90.0 + 0.5 * resolution_deg, 90.0, resolution_deg)
    longitude = np.arange(-180.0, 180.0, longitude_resolution_deg or resolution_deg)
    count = round(2.0 * HIGHEST_INTERFACE / level_step) + 1
    level = -HIGHEST_INTERFACE + level_step * (np.arange(count, dtype=np.float64) + 0.5)
    return StateLayout(THERMOSPHERE_FIELDS, StateGrid(level, latitude, longitude))
