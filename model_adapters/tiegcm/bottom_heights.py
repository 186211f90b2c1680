"""The heights of the members' lowest interfaces, read once from each history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_adapters.tiegcm.heights import read_bottom
from model_adapters.tiegcm.launch_outcome import FileStamp

FloatArray = NDArray[np.float64]

MOST_KEPT = 1000
"""Histories whose bottoms are kept: 20 MB at 5 degrees."""


class BottomHeights:
    """Reads what several calls of one time ask for once; a file that was written anew is read anew."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, FileStamp, np.datetime64], FloatArray] = {}

    def of(self, path: Path, record: np.datetime64) -> FloatArray:
        """Return the height [m] of the lowest interface (latitudes, longitudes) in one record of a history."""
        key = (path, FileStamp.of(path), record)
        if key not in self._known:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[key] = read_bottom(path, record)[0]
        return self._known[key]
