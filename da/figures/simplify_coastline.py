"""How ``coastline.txt`` was made: the rings of a TopoJSON file of land, thinned, in tenths of a degree.

Source: Natural Earth 4.1, land 1:110m (naturalearthdata.com, public domain), as TopoJSON (the file ``land-110m.json``
of the package ``world-atlas``). To make it again::

    python -m da.figures.simplify_coastline land-110m.json da/figures/coastline.txt
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

TOLERANCE_DEG = 0.15
"""Largest distance between a ring and its thinned form; half a line's width on a map over one column."""

HEADER = "# Coastline: Natural Earth 4.1, land 1:110m (public domain), thinned to 0.15 degrees.\n" + (
    "# One ring a line: longitude and latitude of its points in turn, in tenths of a degree.\n"
)


def decoded_arcs(topology: dict[str, Any]) -> list[FloatArray]:
    """Return the arcs (points, 2) in degrees: running sums of the quantized steps, scaled (TopoJSON 1.0, 2.1.3)."""
    scale, origin = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    return [np.cumsum(np.array(arc, dtype=np.float64), axis=0) * scale + origin for arc in topology["arcs"]]


def rings(topology: dict[str, Any]) -> Iterator[FloatArray]:
    """Yield the rings (points, 2) of all polygons; a number ``~k`` is arc k backwards (TopoJSON 1.0, 2.1.4)."""
    arcs = decoded_arcs(topology)
    for collection in topology["objects"].values():
        for geometry in collection.get("geometries", [collection]):
            polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
            for ring in (ring for polygon in polygons for ring in polygon):
                parts = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in ring]
                # An arc starts where the one before ends.
                yield np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def thinned(line: FloatArray, tolerance: float) -> FloatArray:
    """Return the line (n, 2) with fewer points, none further than the tolerance from it (Douglas & Peucker 1973)."""
    keep = np.zeros(len(line), dtype=bool)
    keep[[0, -1]] = True
    pending = [(0, len(line) - 1)]
    while pending:
        first, last = pending.pop()
        if last - first < 2:
            continue
        distance = _distance(line[first + 1 : last], line[first], line[last])
        furthest = int(np.argmax(distance))
        if distance[furthest] > tolerance:
            middle = first + 1 + furthest
            keep[middle] = True
            pending += [(first, middle), (middle, last)]
    return line[keep]


def _distance(points: FloatArray, start: FloatArray, stop: FloatArray) -> FloatArray:
    """Return the distance of points (n, 2) from the segment between two others."""
    along = stop - start
    length = float(along @ along)
    part = np.clip((points - start) @ along / length, 0.0, 1.0) if length else np.zeros(len(points))
    return np.asarray(np.hypot(*(points - start - part[:, None] * along).T))


def coastline_text(topology: dict[str, Any], tolerance: float = TOLERANCE_DEG) -> str:
    """Return the content of ``coastline.txt``; rings that shrink to less than a triangle are left out."""
    lines = []
    for ring in rings(topology):
        tenths = np.rint(10.0 * thinned(ring, tolerance)).astype(int)
        kept = np.r_[True, np.any(np.diff(tenths, axis=0) != 0, axis=1)]
        if kept.sum() >= 4:
            lines.append(" ".join(map(str, tenths[kept].ravel())))
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(coastline_text(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")
