"""The one way into density products: files in, a track out, with the reader chosen by what is in each file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from da.errors import ThermodaError
from da.tracks.content import Content, load_content
from da.tracks.gps_time import TimeScale
from da.tracks.sutton import is_native_form, is_start_form, read_native_form, read_start_form
from da.tracks.swarm import is_cdf, read_swarm
from da.tracks.text import text_lines
from da.tracks.tnd_igg import is_netcdf, read_tnd_igg
from da.tracks.track import DensityTrack, concatenate
from da.tracks.tudelft import is_tudelft, read_tudelft


def read_tracks(paths: Sequence[Path], satellite: str, *, unstated_time_scale: TimeScale = "GPS") -> DensityTrack:
    """Read and join density files of one satellite.

    Each file is recognized by its content: Sutton v2.2 (native or ``#START``), TU Delft v02, ESA Swarm CDF, TND-IGG
    netCDF; each plain or as the only data file in a zip archive.

    Parameters
    ----------
    paths : sequence of Path
        At least one; in any order.
    satellite : str
        Name that the track gets.
    unstated_time_scale : {"GPS", "UTC"}
        Time scale of files that do not state theirs, which are ``#START`` copies and TND-IGG.

    Returns
    -------
    DensityTrack
        UTC, strictly increasing, at least one record; what was left out is counted in ``dropped``.

    Raises
    ------
    ThermodaError
        If no file is given, or one is missing, malformed, of an unknown kind, without a valid record, or not of the
        same satellite and convention as the others.
    """
    if not paths:
        raise ThermodaError(f"no density files given for {satellite}, expected at least one")
    return concatenate([_read(load_content(path), satellite, unstated_time_scale) for path in paths])


def _read(content: Content, satellite: str, unstated_time_scale: TimeScale) -> DensityTrack:
    if is_cdf(content.data):
        return read_swarm(content, satellite)
    if is_netcdf(content.data):
        return read_tnd_igg(content, satellite, unstated_time_scale)
    if b"\0" not in content.data[:4096]:
        lines = text_lines(content)
        if is_tudelft(lines):
            return read_tudelft(content, satellite)
        if is_start_form(lines):
            return read_start_form(content, satellite, unstated_time_scale)
        if is_native_form(lines):
            return read_native_form(content, satellite)
    raise ThermodaError(
        f"{content.name}: not a known density product; expected Sutton v2.2 or #START text, TU Delft v02 text, "
        "ESA Swarm CDF or TND-IGG netCDF"
    )
