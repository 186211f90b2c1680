from __future__ import annotations

import zipfile
from pathlib import Path

import cdflib
import numpy as np
import pytest
from cdflib.cdfwrite import CDF as CdfWriter

from da.errors import ThermodaError
from da.tracks import read_tracks
from da.tracks.content import Content
from da.tracks.swarm import read_swarm

FILL = 9.99e32
START_MS = 63_437_644_800_000.0  # CDF_EPOCH of 2010-04-05T00:00:00

UNITS = {"time": "-", "density": "kg/m3", "altitude": "m", "latitude": "deg", "longitude": "deg"}


def values(n: int = 5) -> dict[str, np.ndarray]:
    return {
        "time": START_MS + 10_000.0 * np.arange(n),
        "density": np.linspace(1e-12, 2e-12, n),
        "altitude": np.full(n, 458_357.0),
        "latitude": np.linspace(-10.0, -9.0, n),
        "longitude": np.full(n, 190.0),
    }


def write_cdf(
    path: Path, data: dict[str, np.ndarray], units: dict[str, str], system: str = "UTC", fill: str = "0.99900E+33"
) -> Content:
    """Write a file as ESA does: scalar variables, fill values as text attributes."""
    writer = CdfWriter(path, cdf_spec={"Encoding": 6})
    writer.write_globalattrs({"SATELLITE": {0: "Swarm-C"}, "TIME SYSTEM": {0: system}})
    for name, array in data.items():
        kind = {"time": 31, "validity_flag": 1}.get(name, 45)
        if name == "time" and array.dtype == np.int64:
            kind = 33
        spec = {"Variable": name, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": []}
        variable = {"FILLVAL": "127" if name == "validity_flag" else fill}
        if name in units:
            variable["UNITS"] = units[name]
        writer.write_var(spec, var_attrs=variable, var_data=array)
    writer.close()
    return Content(data=path.read_bytes(), name=path.name, suffix=".cdf")


def test_that_units_time_and_longitude_are_converted(tmp_path: Path):
    track = read_swarm(write_cdf(tmp_path / "a.cdf", values(), UNITS), "swarm-c")
    expected = np.datetime64("2010-04-05", "ns") + np.arange(5) * np.timedelta64(10, "s")
    np.testing.assert_array_equal(track.time, expected)
    np.testing.assert_array_equal(track.altitude_km, np.full(5, 458.357))
    np.testing.assert_array_equal(track.longitude, np.full(5, -170.0))
    np.testing.assert_array_equal(track.density, values()["density"])
    assert track.latitude_kind == "geodetic"


def test_that_the_conversion_of_time_agrees_with_the_cdf_library(tmp_path: Path):
    data = values() | {"time": START_MS + np.array([0.0, 123.0, 1e9, 1e11, 4e11])}
    track = read_swarm(write_cdf(tmp_path / "a.cdf", data, UNITS), "swarm-c")
    np.testing.assert_array_equal(track.time, cdflib.cdfepoch.to_datetime(data["time"]).astype("datetime64[ns]"))


def test_that_fill_values_and_flags_are_left_out(tmp_path: Path):
    data = values(6) | {"validity_flag": np.array([0, 0, 1, 0, 127, 0], dtype=np.int8)}
    data["density"][0] = FILL
    data["time"][1] = FILL
    track = read_swarm(write_cdf(tmp_path / "a.cdf", data, UNITS), "champ")
    np.testing.assert_array_equal(track.density, data["density"][[3, 5]])
    assert track.dropped == {"missing": 2, "flagged": 2}


def test_that_gps_time_is_converted_where_the_file_states_it(tmp_path: Path):
    track = read_swarm(write_cdf(tmp_path / "a.cdf", values(), UNITS, "GPS"), "champ")
    assert track.time[0] == np.datetime64("2010-04-04T23:59:45")


def test_that_other_units_and_time_systems_are_refused(tmp_path: Path):
    with pytest.raises(ThermodaError, match=r"a\.cdf, altitude: unit 'ft'"):
        read_swarm(write_cdf(tmp_path / "a.cdf", values(), UNITS | {"altitude": "ft"}), "x")
    without = {name: unit for name, unit in UNITS.items() if name != "density"}
    with pytest.raises(ThermodaError, match=r"b\.cdf, density: the variable has no attribute UNITS"):
        read_swarm(write_cdf(tmp_path / "b.cdf", values(), without), "x")
    with pytest.raises(ThermodaError, match="time system 'TAI'"):
        read_swarm(write_cdf(tmp_path / "c.cdf", values(), UNITS, "TAI"), "x")
    with pytest.raises(ThermodaError, match=r"d\.cdf, time: the attribute FILLVAL is \['none'\], expected a number"):
        read_swarm(write_cdf(tmp_path / "d.cdf", values(), UNITS, fill="none"), "x")


def test_that_missing_or_unlike_variables_are_named(tmp_path: Path):
    data = {name: array for name, array in values().items() if name != "altitude"}
    with pytest.raises(ThermodaError, match="no variable altitude; it has density, latitude"):
        read_swarm(write_cdf(tmp_path / "a.cdf", data, UNITS), "x")
    with pytest.raises(ThermodaError, match="differ in their number of records"):
        read_swarm(write_cdf(tmp_path / "b.cdf", values() | {"density": np.full(3, 1e-12)}, UNITS), "x")
    nanoseconds = {"time": np.arange(5, dtype=np.int64) * 10**10}
    with pytest.raises(ThermodaError, match="time is of type CDF_TIME_TT2000, expected CDF_EPOCH"):
        read_swarm(write_cdf(tmp_path / "c.cdf", values() | nanoseconds, UNITS), "x")


@pytest.mark.parametrize("keep", [8, 100, 400, 1500])
def test_that_truncated_files_are_refused(tmp_path: Path, keep: int):
    whole = write_cdf(tmp_path / "a.cdf", values(), UNITS)
    assert keep < len(whole.data)
    with pytest.raises(ThermodaError, match="cut: "):
        read_swarm(Content(data=whole.data[:keep], name="cut", suffix=".cdf"), "x")


def test_that_three_real_days_join_to_one_track(data_folder: Path):
    paths = sorted((data_folder / "density").glob("SW_OPER_DNSCACC*.ZIP"))
    assert len(paths) == 3
    track = read_tracks(paths[::-1], "swarm-c")
    # 3 days of 8640 records, of which 2713 carry the fill value as their density.
    assert len(track) + track.dropped["missing"] == 3 * 8640
    assert track.dropped == {"missing": 2713}
    assert track.altitude_km.min() == pytest.approx(428.808, abs=1e-3)
    assert track.altitude_km.max() == pytest.approx(458.394, abs=1e-3)
    assert track.time[0] == np.datetime64("2021-11-03T00:00:20")


def test_that_a_bare_file_gives_the_same_as_its_archive(data_folder: Path, tmp_path: Path):
    path = min((data_folder / "density").glob("SW_OPER_DNSCACC*.ZIP"))
    with zipfile.ZipFile(path) as archive:
        bare = Path(archive.extract(path.stem + ".cdf", tmp_path))
    packed, plain = read_tracks([path], "swarm-c"), read_tracks([bare], "swarm-c")
    np.testing.assert_array_equal(packed.density, plain.density)
    np.testing.assert_array_equal(packed.time, plain.time)
    # The first value that is no fill value, as a direct look into the file shows it.
    assert plain.density[0] == cdflib.CDF(bare).varget("density")[2]
