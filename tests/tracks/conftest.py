"""Builders of small tracks and product files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da.tracks import DensityTrack

TrackBuilder = Callable[..., DensityTrack]
FileWriter = Callable[[str, str | bytes], Path]
ZipWriter = Callable[[str, Mapping[str, bytes]], Path]

_TUDELFT_COLUMNS = """\
# Thermosphere neutral density and crosswind data (c) by
#   Delft University of Technology
# Column  1:         Date (yyyy-mm-dd)
# Column  2:         Time (hh:mm:ss.sss)
# Column  3:         Time system: UTC or GPS (differs per mission)
# Column  4:  f10.3  Altitude (m), GRS80
# Column  5:  f13.8  Geodetic longitude (deg), GRS80
# Column  6:  f13.8  Geodetic latitude (deg), GRS80
# Column  7:   f6.3  Local solar time (h)
# Column  8:  f13.8  Argument of latitude (deg)
"""
_POD = "# Column  9:  e15.8  Density derived from GPS accelerations (kg/m3)\n"
_ACC = """\
# Column  9:  e15.8  Density derived from accelerometer measurements (kg/m3)
# Column 10:  e15.8  Running orbit average of density (kg/m3)
# Column 11:   f4.1  Flag for density: 0 = nominal data, 1 = anomalous data (-)
# Column 12:   f4.1  Flag for running orbit average density: 0 = nominal data, 1 = anomalous data (-)
"""


@pytest.fixture
def write(tmp_path: Path) -> FileWriter:
    """Write a file of text or bytes."""

    def writer(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


@pytest.fixture
def write_zip(tmp_path: Path) -> ZipWriter:
    """Write a zip archive of the given members."""

    def writer(name: str, members: Mapping[str, bytes]) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return path

    return writer


@pytest.fixture
def track() -> TrackBuilder:
    """Build a track that flies north from the equator by 0.06 deg/s, one record per 10 s."""

    def builder(start: str = "2010-04-05T00:00:00", n: int = 6, **changes: Any) -> DensityTrack:
        origin = np.datetime64("2010-04-05T00:00:00", "ns")
        time = np.datetime64(start, "ns") + np.arange(n) * np.timedelta64(10, "s")
        elapsed_s = (time - origin) / np.timedelta64(1, "s")
        fields: dict[str, Any] = {
            "satellite": "champ",
            "time": time,
            "latitude": 0.06 * elapsed_s,
            "longitude": np.full(n, 12.0),
            "altitude_km": np.full(n, 302.0),
            "density": 1e-11 + 1e-15 * elapsed_s,
            "source": start,
        }
        return DensityTrack(**(fields | changes))

    return builder


@pytest.fixture
def pod_text() -> str:
    """TU Delft v02 file of a GNSS-derived product."""
    return (
        _TUDELFT_COLUMNS
        + _POD
        + "2016-12-31 23:59:00.000 UTC 467673.875   91.22038979   52.82748031  6.254  127.23133980  0.16235507E-11\n"
        + "2016-12-31 23:59:30.500 UTC 467289.281  191.32796160   50.91401823  6.269  129.15305558  0.16303298E-11\n"
        + "2017-01-01 00:00:18.000 GPS 466905.209   91.41719404   48.99943390  6.283  131.07468171  0.16203394E-11\n"
    )


@pytest.fixture
def acc_text() -> str:
    """TU Delft v02 file of an accelerometer product, its second record flagged."""
    return (
        _TUDELFT_COLUMNS
        + _ACC
        + "2010-04-05 00:00:15.000 GPS 467673.875   91.220   52.827  6.254  127.231  0.2E-11  0.9E-11  0.0  1.0\n"
        + "2010-04-05 00:00:25.000 GPS 467289.281   91.328   50.914  6.269  129.153  0.3E-11  0.9E-11  1.0  0.0\n"
        + "2010-04-05 00:00:35.000 GPS 466905.209   91.417   48.999  6.283  131.075  0.4E-11  0.9E-11  0.0  0.0\n"
    )
