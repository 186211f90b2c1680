"""Coastlines for maps, from a file of the package: nothing is downloaded."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@cache
def coastline() -> FloatArray:
    """Return longitude and latitude (points, 2) of all coasts [degrees], with a NaN between one ring and the next.

    Natural Earth 4.1, land 1:110m (public domain), thinned to 0.15 degrees; see :mod:`da.figures.simplify_coastline`.
    The outline of Antarctica along the pole and along the meridian of 180 degrees, which is no coast, is left out.
    """
    text = files("da.figures").joinpath("coastline.txt").read_text(encoding="utf-8")
    parts = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        ring = np.array(line.split(), dtype=np.float64).reshape(-1, 2) / 10.0
        edge = (np.abs(ring[:, 0]) >= 179.9) | (ring[:, 1] <= -89.9)
        # A step between two points of the frame is no coast.
        ring[1:][edge[1:] & edge[:-1]] = np.nan
        # Land on both sides of the meridian of 180 degrees is drawn in two parts.
        jumps = np.flatnonzero(np.abs(np.diff(ring[:, 0])) > 180.0) + 1
        parts += [np.insert(ring, jumps, np.nan, axis=0), np.full((1, 2), np.nan)]
    whole = np.concatenate(parts)
    whole.setflags(write=False)
    return whole
