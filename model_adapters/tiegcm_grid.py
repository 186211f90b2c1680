"""The grid of TIE-GCM: its pressure levels, and cells that cover the globe at a resolution."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from da.model import THERMOSPHERE_FIELDS, StateGrid, StateLayout

LEVEL_STEP = 0.5
LEVELS = np.arange(-6.75, 7.5, LEVEL_STEP)
"""zp of TIE-GCM's 29 mid-levels."""


def _divides_the_globe(step: float) -> float:
    if 180.0 % step or (360.0 / step) % 2:
        raise ValueError("must divide 180")
    return step


ResolutionDeg = Annotated[
    float, Field(ge=2.5, description="Horizontal step of the state grid"), AfterValidator(_divides_the_globe)
]
"""A horizontal step [degrees] that fits the globe; 5 and 2.5 are TIE-GCM's own."""


def thermosphere_layout(resolution_deg: float) -> StateLayout:
    """Return the state of Corbin & Kusche (2022), Eq. 1, on TIE-GCM's levels and cells of this step [degrees]."""
    latitude = np.arange(-90.0 + 0.5 * resolution_deg, 90.0, resolution_deg)
    grid = StateGrid(LEVELS, latitude, np.arange(-180.0, 180.0, resolution_deg))
    return StateLayout(THERMOSPHERE_FIELDS, grid)
