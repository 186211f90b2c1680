from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from da.errors import ThermodaError
from da.tracks.content import Content
from da.tracks.tnd_igg import GAP_FLAGS, read_tnd_igg

UNITS = {"time": "seconds since 2010-04-01 00:00:00", "density": "kg/m^3", "lat": "deg", "lon": "deg", "alt": "m"}


def values(n: int = 6) -> dict[str, np.ndarray]:
    return {
        "time": 15.0 + 10.0 * np.arange(n),
        "density": np.linspace(1e-11, 2e-11, n),
        "lat": np.linspace(-1.0, 2.0, n),
        "lon": np.full(n, 200.0),
        "alt": np.full(n, 302_500.0),
    }


def write_netcdf(
    path: Path,
    data: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    gaps: Mapping[str, np.ndarray] | None = None,
    kind: str = "NETCDF4",
) -> Content:
    with netCDF4.Dataset(path, "w", format=kind) as dataset:
        for name, array in data.items():
            if array.size not in [dimension.size for dimension in dataset.dimensions.values()]:
                dataset.createDimension(f"n{array.size}" if dataset.dimensions else "time", array.size)
            dimension = next(key for key, value in dataset.dimensions.items() if value.size == array.size)
            variable = dataset.createVariable(name, "f8", (dimension,), fill_value=-999.0)
            variable[:] = array
            if name in units:
                variable.units = units[name]
        if gaps is not None:
            group = dataset.createGroup("gap")
            for name, array in gaps.items():
                group.createVariable(name, "i4", ("time",))[:] = array
    return Content(data=path.read_bytes(), name=path.name, suffix=".nc")


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
def test_that_a_file_is_read_in_utc_km_and_signed_longitude(tmp_path: Path, kind: Any):
    track = read_tnd_igg(write_netcdf(tmp_path / "a.nc", values(), UNITS, kind=kind), "champ")
    expected = np.datetime64("2010-04-01", "ns") + np.arange(6) * np.timedelta64(10, "s")
    np.testing.assert_array_equal(track.time, expected)
    np.testing.assert_array_equal(track.altitude_km, np.full(6, 302.5))
    np.testing.assert_array_equal(track.longitude, np.full(6, -160.0))
    np.testing.assert_array_equal(track.density, values()["density"])
    assert track.latitude_kind == "geodetic"


def test_that_times_stated_to_be_utc_are_left_alone(tmp_path: Path):
    track = read_tnd_igg(write_netcdf(tmp_path / "a.nc", values(), UNITS), "champ", "UTC")
    assert track.time[0] == np.datetime64("2010-04-01T00:00:15")


@pytest.mark.parametrize(
    ("units", "scale"),
    [
        ("days since 2000-01-01T12:00:00", 86400.0),
        ("hours since 2000-01-01 12:00", 3600.0),
        ("minutes since 2000-1-1 12:00:00.0", 60.0),
        ("s since 2000-01-01 12:00:00 UTC", 1.0),
    ],
)
def test_that_every_unit_of_time_gives_the_same_instants(tmp_path: Path, units: str, scale: float):
    stamps = np.datetime64("2010-04-01T00:00:15", "ns") + np.arange(6) * np.timedelta64(10, "s")
    elapsed_s = (stamps - np.datetime64("2000-01-01T12:00:00", "ns")) / np.timedelta64(1, "s")
    data = values() | {"time": elapsed_s / scale}
    track = read_tnd_igg(write_netcdf(tmp_path / "a.nc", data, UNITS | {"time": units}), "champ", "UTC")
    np.testing.assert_array_equal(track.time, stamps)


def test_that_fill_values_nan_and_gap_flags_are_left_out(tmp_path: Path):
    data = values()
    data["density"][0], data["density"][1] = np.nan, -999.0
    gaps = {name: np.zeros(6, dtype=int) for name in GAP_FLAGS}
    gaps["orbit"][2] = gaps["starcamera"][3] = gaps["accelerometer"][3] = 1
    track = read_tnd_igg(write_netcdf(tmp_path / "a.nc", data, UNITS, gaps), "champ")
    np.testing.assert_array_equal(track.density, data["density"][4:])
    assert track.dropped == {"missing": 2, "flagged": 2}


def test_that_longer_names_and_other_units_are_understood(tmp_path: Path):
    names = {"lat": "latitude", "lon": "longitude", "alt": "altitude"}
    data = {names.get(name, name): array for name, array in values().items()}
    data["altitude"], data["density"] = data["altitude"] / 1000, data["density"] / 1000
    units = {
        "time": UNITS["time"],
        "altitude": "km",
        "density": "g/cm3",
        "latitude": "degrees_north",
        "longitude": "deg",
    }
    track = read_tnd_igg(write_netcdf(tmp_path / "a.nc", data, units), "champ")
    np.testing.assert_array_equal(track.altitude_km, np.full(6, 302.5))
    np.testing.assert_allclose(track.density, values()["density"], rtol=1e-15)


def test_that_a_missing_unit_is_assumed_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    units = {name: unit for name, unit in UNITS.items() if name != "alt"}
    with caplog.at_level(logging.WARNING):
        track = read_tnd_igg(write_netcdf(tmp_path / "a.nc", values(), units), "champ")
    assert "alt has no attribute units, m is assumed" in caplog.text
    assert track.altitude_km[0] == 302.5


@pytest.mark.parametrize(
    ("name", "unit", "message"),
    [
        ("alt", "ft", r"a\.nc, altitude: unit 'ft'"),
        ("density", "1/m3", r"a\.nc, density: unit '1/m3'"),
        ("time", "fortnights since 2010-04-01", "units of time are 'fortnights"),
        ("time", "seconds", "units of time are 'seconds'"),
        ("time", "seconds since 2010-14-01", "whose date is not valid"),
    ],
)
def test_that_unknown_units_are_refused(tmp_path: Path, name: str, unit: str, message: str):
    with pytest.raises(ThermodaError, match=message):
        read_tnd_igg(write_netcdf(tmp_path / "a.nc", values(), UNITS | {name: unit}), "champ")


def test_that_incomplete_files_are_explained(tmp_path: Path):
    data = {name: array for name, array in values().items() if name != "alt"}
    with pytest.raises(
        ThermodaError, match="no variable alt or altitude for the altitude; it has time, density, lat, lon"
    ):
        read_tnd_igg(write_netcdf(tmp_path / "a.nc", data, UNITS), "champ")
    with pytest.raises(ThermodaError, match="differ in shape"):
        read_tnd_igg(write_netcdf(tmp_path / "b.nc", values() | {"alt": np.full(4, 3e5)}, UNITS), "champ")
    gaps = {name: np.zeros(6, dtype=int) for name in GAP_FLAGS[:2]}
    with pytest.raises(ThermodaError, match="group gap has no variable starcamera"):
        read_tnd_igg(write_netcdf(tmp_path / "c.nc", values(), UNITS, gaps), "champ")
    without = {name: unit for name, unit in UNITS.items() if name != "time"}
    with pytest.raises(ThermodaError, match="time has no attribute units"):
        read_tnd_igg(write_netcdf(tmp_path / "d.nc", values(), without), "champ")


def test_that_a_truncated_file_is_refused(tmp_path: Path):
    whole = write_netcdf(tmp_path / "a.nc", values(), UNITS)
    with pytest.raises(ThermodaError, match="corrupt or unreadable netCDF"):
        read_tnd_igg(Content(data=whole.data[:300], name="cut.nc", suffix=".nc"), "champ")
