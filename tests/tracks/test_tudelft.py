from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from da.errors import ThermodaError
from da.tracks import read_tracks
from da.tracks.content import Content
from da.tracks.tudelft import read_tudelft


def content(text: str) -> Content:
    return Content(data=text.encode(), name="file.txt", suffix=".txt")


def test_that_a_gnss_derived_file_is_read_with_the_time_system_of_each_record(pod_text: str):
    track = read_tudelft(content(pod_text), "swarm-a")
    expected = ["2016-12-31T23:59:00", "2016-12-31T23:59:30.5", "2017-01-01T00:00:00"]
    np.testing.assert_array_equal(track.time, np.array(expected, dtype="datetime64[ns]"))
    np.testing.assert_allclose(track.longitude, [91.22038979, 191.32796160 - 360.0, 91.41719404], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(track.latitude, [52.82748031, 50.91401823, 48.99943390])
    np.testing.assert_allclose(track.altitude_km, [467.673875, 467.289281, 466.905209], rtol=1e-15)
    np.testing.assert_array_equal(track.density, [0.16235507e-11, 0.16303298e-11, 0.16203394e-11])
    assert track.latitude_kind == "geodetic"
    assert track.dropped == {}


def test_that_an_accelerometer_file_gives_density_not_its_mean_and_leaves_out_flagged_records(acc_text: str):
    track = read_tudelft(content(acc_text), "grace")
    np.testing.assert_array_equal(track.density, [0.2e-11, 0.4e-11])
    assert track.dropped == {"flagged": 1}
    assert track.time[0] == np.datetime64("2010-04-05T00:00:00")


def test_that_units_of_the_header_are_obeyed(pod_text: str):
    text = pod_text.replace("Altitude (m)", "Altitude (km)").replace("(kg/m3)", "(g/cm3)")
    for metres, km in (("467673.875", "467.673875"), ("467289.281", "467.289281"), ("466905.209", "466.905209")):
        text = text.replace(metres, km)
    track = read_tudelft(content(text.replace("E-11", "E-14")), "swarm-a")
    np.testing.assert_allclose(track.density[0], 0.16235507e-11, rtol=1e-15)
    assert track.altitude_km[0] == 467.673875


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("UTC 467289.281", "TAI 467289.281", "line 13: the time system must be UTC or GPS"),
        ("2016-12-31 23:59:30.500", "2016-12-31 23:59:61.500", "line 13: .* is no time of the form"),
        ("2016-12-31 23:59:30.500", "2016-02-30 23:59:30.500", "line 13: .* is no time of the form"),
        ("2016-12-31 23:59:30.500", "366/2016 23:59:30.500", "line 13: '366/2016 23:59:30.500' is no time"),
        ("0.16303298E-11", "", "line 13: expected 9 columns, found 8"),
        ("0.16303298E-11", "0.163O3298E-11", "line 13: column 9 is '0.163O3298E-11'"),
        ("# Column  4:", "# column four:", "column 5 follows column 3"),
        ("Geodetic latitude", "Latitude", "0 columns of latitude"),
        ("Density derived", "Mass derived", "0 columns of density"),
        ("Argument of latitude (deg)", "Density of a model (kg/m3)", "2 columns of density"),
        ("Altitude (m)", "Altitude (ft)", "unit 'ft' is not understood"),
    ],
)
def test_that_malformed_files_are_explained(pod_text: str, old: str, new: str, message: str):
    assert old in pod_text
    with pytest.raises(ThermodaError, match=message):
        read_tudelft(content(pod_text.replace(old, new)), "swarm-a")


def test_that_a_header_without_records_is_refused(pod_text: str):
    header = "\n".join(line for line in pod_text.splitlines() if line.startswith("#"))
    with pytest.raises(ThermodaError, match="no records after the header"):
        read_tudelft(content(header), "swarm-a")


@pytest.mark.parametrize(
    ("name", "records", "lowest_km", "highest_km"),
    [
        ("SA_DNS_POD_2024_10_v02.zip", 89280, 459.388796, 492.491428),
        ("SB_DNS_POD_2024_10_v02.zip", 89040, 500.479557, 531.535094),
    ],
)
def test_that_a_real_month_is_read_whole_and_fast(
    data_folder: Path, name: str, records: int, lowest_km: float, highest_km: float
):
    path = data_folder / "density" / name
    began = time.process_time()
    track = read_tracks([path], name[:2])
    # About 0.4 s were measured; the margin is for slow machines, not for a slow reader (a Python loop takes longer).
    assert time.process_time() - began < 4.0
    assert len(track) == records
    np.testing.assert_allclose([track.altitude_km.min(), track.altitude_km.max()], [lowest_km, highest_km], rtol=1e-14)
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    first, last = [[line for line in lines if not line.startswith("#")][index].split() for index in (0, -1)]
    for index, words in ((0, first), (-1, last)):
        assert track.time[index] == np.datetime64(f"{words[0]}T{words[1]}")
        assert words[2] == "UTC"
        assert track.altitude_km[index] == pytest.approx(float(words[3]) / 1000, rel=1e-15)
        assert [track.longitude[index], track.latitude[index]] == [float(words[4]), float(words[5])]
        assert track.density[index] == float(words[8])
