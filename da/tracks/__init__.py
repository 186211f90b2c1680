"""Densities along satellite orbits: one type, `DensityTrack`, and readers of the published products.

`read_tracks` recognizes Sutton's, TU Delft's, ESA's and Bonn's files by their content.
"""

from __future__ import annotations

from da.tracks.reader import read_tracks
from da.tracks.track import DensityTrack, concatenate

__all__ = ["DensityTrack", "concatenate", "read_tracks"]
