from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from da.errors import ThermodaError
from da.tracks import read_tracks

FileWriter = Callable[[str, str | bytes], Path]
ZipWriter = Callable[[str, Mapping[str, bytes]], Path]

START = "made by hand\n#START\n 2016 12 31 23 58 48 0 91.15 53.58 467.9 1.6e-12\n"


def test_that_the_content_not_the_name_decides(write: FileWriter, write_zip: ZipWriter, pod_text: str):
    plain = read_tracks([write("density.nc", pod_text)], "swarm-a")
    packed = read_tracks([write_zip("density.dat", {"x.asc": pod_text.encode()})], "swarm-a")
    np.testing.assert_array_equal(plain.time, packed.time)
    assert plain.satellite == "swarm-a"
    assert plain.source.endswith("density.nc")


def test_that_files_of_different_form_join(write: FileWriter, pod_text: str):
    track = read_tracks([write("pod.txt", pod_text), write("copy.txt", START)], "swarm-a", unstated_time_scale="UTC")
    assert len(track) == 4
    assert track.time[0] == np.datetime64("2016-12-31T23:58:48")


def test_that_the_time_scale_reaches_files_that_do_not_state_theirs(write: FileWriter):
    path = write("copy.txt", START)
    assert read_tracks([path], "x").time[0] == np.datetime64("2016-12-31T23:58:31")
    assert read_tracks([path], "x", unstated_time_scale="UTC").time[0] == np.datetime64("2016-12-31T23:58:48")


def test_that_a_file_given_twice_adds_duplicates_only(write: FileWriter, pod_text: str):
    path = write("pod.txt", pod_text)
    track = read_tracks([path, path], "swarm-a")
    assert len(track) == 3
    assert track.dropped == {"duplicate": 3}


@pytest.mark.parametrize("content", ["nothing known\n1 2 3\n", b"\x00\x01\x02\x03" * 10, b"GIF89a\xff\xfe"])
def test_that_unknown_content_is_refused(write: FileWriter, content: str | bytes):
    with pytest.raises(ThermodaError, match=r"what\.txt: not a"):
        read_tracks([write("what.txt", content)], "x")


def test_that_no_file_and_a_missing_file_are_refused(tmp_path: Path):
    with pytest.raises(ThermodaError, match="no density files given for champ"):
        read_tracks([], "champ")
    with pytest.raises(ThermodaError, match="no such file"):
        read_tracks([tmp_path / "gone.txt"], "champ")


def test_that_two_real_satellites_under_one_name_are_refused(data_folder: Path):
    paths = [data_folder / "density" / f"S{letter}_DNS_POD_2024_10_v02.zip" for letter in "AB"]
    with pytest.raises(ThermodaError, match="one satellite only"):
        read_tracks(paths, "swarm")


def test_that_real_satellites_fly_no_faster_than_the_laws_of_motion_allow(data_folder: Path):
    for name in ("champ_sutton_20021121_20021130.txt", "SA_DNS_POD_2024_10_v02.zip"):
        track = read_tracks([data_folder / "density" / name], name)
        elapsed_s = np.diff(track.time) / np.timedelta64(1, "s")
        phi, lam = np.radians(track.latitude), np.radians(track.longitude)
        vector = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
        chord = np.linalg.norm(np.diff(vector, axis=1), axis=0)
        close = elapsed_s <= 60.0
        speed = np.degrees(2 * np.arcsin(chord[close] / 2)) / elapsed_s[close]
        # At 385-495 km one orbit takes 92-94.5 min: 0.0635-0.0652 deg/s; up to 0.0042 deg/s more or less for the
        # turning Earth. Rounding of times to 1 s in 45 s does not move the median.
        assert 0.060 < np.median(speed) < 0.070
