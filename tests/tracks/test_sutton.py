from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from da.errors import ThermodaError
from da.tracks.content import Content
from da.tracks.sutton import read_native_form, read_start_form

NAMES = (
    "Two-digit Year (years);Day of the Year (days);Second of the Day (GPS time,sec);"
    "Center Latitude of 3-degree Bin (deg);Satellite Geodetic Latitude (deg);Satellite Longitude (deg);"
    "Satellite Height (km);Satellite Local Time (hours);Satellite Quasi-Dipole Latitude (deg);"
    "Satellite Magnetic Longitude (deg);Satellite Magnetic Local Time (hours);Neutral Density (kg/m^3);"
    "Neutral Density Normalized to 400km using NRLMSISe00;Neutral Density Normalized to 410km using NRLMSISe00;"
    "NRLMSISe00 Neutral Density at Satellite Height;Uncertainty in Neutral Density (kg/m^3);"
    "Number of Data Points in Current Averaging Bin;"
    "Number of Points in Current Averaging Bin that Required Interpolation;"
    "Average Coefficient of Drag Used in Current Averaging Bin"
)
# The only two public records of the native product (CHAMP, 1 December 2002).
RECORDS = [
    "02 335     5.00 -81 -81.77896  -49.53857 425.890 20.6952 -66.53574   18.14557 20.2404 3.984040e-12 6.055089e-12 "
    "5.140307e-12 3.674791e-12 2.365927e-13  2  1 3.544",
    "02 335   920.00 -39 -38.83789  105.17609 418.575  7.2637 -51.63912  172.60585  6.7763 3.678825e-12 4.950072e-12 "
    "4.214455e-12 3.248075e-12 2.169564e-13  5  0 3.799",
]
NATIVE = "\n".join(["Version 2.2; created on 20-Mar-2009", NAMES, *RECORDS, ""])
START = """\
File made on : 12-Sep-2012
#START
 2002 11 21  0  0 15   0 125.47397  12.40273 405.660 4.830809e-12
 2002 11 21  0  0 55 500 325.43795  15.00349 405.639 4.701578e-12
"""


def content(text: str) -> Content:
    return Content(data=text.encode(), name="file.txt", suffix=".txt")


def test_that_a_native_record_is_read_as_its_column_names_say():
    track = read_native_form(content(NATIVE), "champ")
    expected = np.array(["2002-11-30T23:59:52", "2002-12-01T00:15:07"], dtype="datetime64[ns]")
    np.testing.assert_array_equal(track.time, expected)
    np.testing.assert_array_equal(track.latitude, [-81.77896, -38.83789])
    np.testing.assert_array_equal(track.longitude, [-49.53857, 105.17609])
    np.testing.assert_array_equal(track.altitude_km, [425.890, 418.575])
    np.testing.assert_array_equal(track.density, [3.984040e-12, 3.678825e-12])
    assert track.sigma is not None
    np.testing.assert_array_equal(track.sigma, [2.365927e-13, 2.169564e-13])
    assert track.latitude_kind == "geodetic"


def test_that_columns_are_found_by_name_when_their_order_differs():
    swapped = [0, 1, 2, 4, 3, 5, 11, 7, 8, 9, 10, 6, *range(12, 19)]
    titles, rows = NAMES.split(";"), [record.split() for record in RECORDS]
    lines = ["Version 2.2", ";".join(titles[i] for i in swapped), *[" ".join(row[i] for i in swapped) for row in rows]]
    track, usual = read_native_form(content("\n".join(lines)), "champ"), read_native_form(content(NATIVE), "champ")
    np.testing.assert_array_equal(track.latitude, usual.latitude)
    np.testing.assert_array_equal(track.density, usual.density)


def test_that_the_documented_layout_serves_where_the_names_are_missing():
    track = read_native_form(content("\n".join(["Version 2.2", *RECORDS])), "champ")
    np.testing.assert_array_equal(track.density, [3.984040e-12, 3.678825e-12])


def test_that_densities_in_g_cm3_become_kg_m3():
    text = NATIVE.replace("(kg/m^3)", "(g/cm^3)").replace("3.984040e-12", "3.984040e-15")
    track = read_native_form(content(text), "champ")
    assert track.density[0] == pytest.approx(3.984040e-12, rel=1e-15)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Neutral Density (kg/m^3);", "Neutral Density (lb/ft^3);", "unit 'lb/ft"),
        ("Satellite Height (km)", "Height (km)", "0 columns named 'satellite height"),
        ("Uncertainty in Neutral Density (kg/m^3)", "Uncertainty in Neutral Density", "no unit in parentheses"),
        ("(GPS time,sec)", "(sec)", "expected GPS time"),
        ("02 335   920.00", "02 335 99920.00", "line 4: expected two-digit year"),
        ("02 335   920.00", "02 400   920.00", "line 4: expected two-digit year"),
        ("  5  0 3.799", "  5  0", "line 4: expected 19 columns, found 18"),
    ],
)
def test_that_malformed_native_files_are_explained(old: str, new: str, message: str):
    assert old in NATIVE
    with pytest.raises(ThermodaError, match=message):
        read_native_form(content(NATIVE.replace(old, new)), "champ")


def test_that_a_copy_is_converted_from_gps_time_unless_told_otherwise():
    gps = read_start_form(content(START), "champ")
    utc = read_start_form(content(START), "champ", "UTC")
    assert utc.time[1] == np.datetime64("2002-11-21T00:00:55.500")
    np.testing.assert_array_equal(utc.time - gps.time, np.full(2, np.timedelta64(13, "s")))
    np.testing.assert_allclose(gps.longitude, [125.47397, 325.43795 - 360.0], rtol=0, atol=1e-12)
    assert gps.sigma is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("#START", "#BEGIN", "no line '#START'"),
        ("11 21  0  0 55", "02 30  0  0 55", "line 4: expected year, month, day"),
        ("11 21  0  0 55", "13 21  0  0 55", "line 4: expected year, month, day"),
        ("11 21  0  0 55", "11 21  0.5  0 55", "line 4: expected year, month, day"),
        ("405.639 4.701578e-12", "405.639", "line 4: expected 11 columns, found 10"),
        ("4.701578e-12", "dense", "line 4: density is 'dense'"),
    ],
)
def test_that_malformed_copies_are_explained(old: str, new: str, message: str):
    assert old in START
    with pytest.raises(ThermodaError, match=message):
        read_start_form(content(START.replace(old, new)), "champ")


def test_that_gps_time_before_its_epoch_is_refused():
    with pytest.raises(ThermodaError, match="line 3: GPS time before 1980-01-06"):
        read_start_form(content(START.replace("2002 11 21", "1980 01 01")), "champ")


@pytest.mark.parametrize(
    ("name", "records", "lowest_km", "highest_km", "first_time"),
    [
        ("champ_sutton_20021121_20021130.txt", 18381, 385.047, 428.327, "2002-11-21T00:00:02"),
        ("grace_sutton_20021121_20021130.txt", 18615, 474.280, 527.357, "2002-11-21T00:00:00"),
    ],
)
def test_that_the_real_copies_are_read_whole(
    data_folder: Path, name: str, records: int, lowest_km: float, highest_km: float, first_time: str
):
    path = data_folder / "density" / name
    track = read_start_form(Content(data=path.read_bytes(), name=name, suffix=".txt"), name)
    assert len(track) == records
    assert (track.altitude_km.min(), track.altitude_km.max()) == (lowest_km, highest_km)
    assert track.time[0] == np.datetime64(first_time)
    lines = path.read_text().splitlines()
    first = lines[[line.strip() for line in lines].index("#START") + 1].split()
    assert track.longitude[0] == pytest.approx((float(first[7]) + 180.0) % 360.0 - 180.0, abs=1e-12)
    assert [track.latitude[0], track.altitude_km[0], track.density[0]] == [float(word) for word in first[8:]]


def test_that_the_copy_continues_into_the_native_file_at_orbital_speed_if_both_are_in_gps_time(data_folder: Path):
    path = data_folder / "density" / "champ_sutton_20021121_20021130.txt"
    copied = Content(data=path.read_bytes(), name=path.name, suffix=".txt")
    native = read_native_form(content(NATIVE), "champ")
    inclination, mean_motion = np.radians(87.25), 360.0 / 5570.0
    speeds = {}
    for scale in ("GPS", "UTC"):
        track = read_start_form(copied, "champ", scale)
        elapsed_s = (native.time[0] - track.time[-1]) / np.timedelta64(1, "s")
        speeds[scale] = abs(native.latitude[0] - track.latitude[-1]) / elapsed_s
    middle = np.radians(abs(native.latitude[0] + track.latitude[-1]) / 2)
    # sin(latitude) = sin(i) sin(u) on a circular orbit, differentiated with respect to time.
    expected = mean_motion * np.sqrt(np.sin(inclination) ** 2 - np.sin(middle) ** 2) / np.cos(middle)
    # Times are whole seconds, so that the interval of 25 s is uncertain by 4 %; in the other scale it is 12 s.
    assert speeds["GPS"] == pytest.approx(expected, rel=0.05)
    assert speeds["UTC"] > 1.5 * expected
