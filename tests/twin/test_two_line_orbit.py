from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from da.errors import ThermodaError
from da.geodesy import cartesian_from_geodetic
from da.twin import AnalyticOrbit, TwoLineOrbit, read_two_line_elements

FIRST = "1 06251U 62025E   06176.82412014  .00008885  00000-0  12808-3 0  3985"
SECOND = "2 06251  58.0579  54.0425 0030035 139.1568 221.1854 15.56387291  6774"
ORBIT = TwoLineOrbit(FIRST, SECOND)
OTHER_FIRST = "1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753"
OTHER_SECOND = "2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667"
MINUTE_NS = 60_000_000_000


def published(satellite: str) -> np.ndarray:
    """Return minutes since the epoch and positions [km] of Vallado et al. (2006), which the propagator comes with."""
    rows, inside = [], False
    for line in (files("sgp4") / "tcppver.out").read_text().splitlines():
        words = line.split()
        if words[1:] == ["xx"]:
            inside = words[0] == satellite
        elif inside:
            rows.append([float(word) for word in words[:4]])
    return np.array(rows)


@pytest.mark.parametrize(("satellite", "lines"), [("6251", (FIRST, SECOND)), ("5", (OTHER_FIRST, OTHER_SECOND))])
def test_that_positions_are_the_published_verification_values(satellite: str, lines: tuple[str, str]) -> None:
    expected, orbit = published(satellite), TwoLineOrbit(*lines)
    assert len(expected) > 10
    time = orbit.epoch + np.round(expected[:, 0] * MINUTE_NS).astype("timedelta64[ns]")
    # The epoch is held to a microsecond, within which the satellite moves by 1e-5 km.
    np.testing.assert_allclose(orbit.inertial_positions(time), expected[:, 1:], rtol=0.0, atol=3e-5)


def test_that_the_epoch_is_the_day_of_the_year_of_the_first_line() -> None:
    begin = np.datetime64("2006-01-01", "ns")
    expected = 175.82412014 * 86400.0
    assert (ORBIT.epoch - begin) / np.timedelta64(1, "s") == pytest.approx(expected, abs=1e-5)


def test_that_geodetic_positions_keep_the_distance_from_the_centre() -> None:
    time = ORBIT.epoch + np.arange(0, 200) * MINUTE_NS
    position = ORBIT.positions(time)
    radius_km = 1e-3 * np.hypot(*cartesian_from_geodetic(position.latitude, 1e3 * position.altitude_km))
    np.testing.assert_allclose(radius_km, np.linalg.norm(ORBIT.inertial_positions(time), axis=1), rtol=1e-12)
    assert np.abs(position.latitude).max() == pytest.approx(58.2, abs=0.2)
    assert position.longitude.min() >= -180.0
    assert position.longitude.max() < 180.0


def test_that_the_orbit_agrees_with_the_analytic_one_of_the_same_elements() -> None:
    # The analytic orbit lacks drag and short-periodic terms: some 10 km in position, that is 0.1 degrees or so.
    time = ORBIT.epoch + np.arange(0, 180, 5) * MINUTE_NS
    mean_motion = 15.56387291 * 2.0 * np.pi / 86400.0
    semi_major_axis_km = (398600.4418 / mean_motion**2) ** (1.0 / 3.0)
    orbit = AnalyticOrbit(semi_major_axis_km - 6371.0, 58.0579, 54.0425, 0.3422, ORBIT.epoch, 0.0030035, 139.1568)
    exact, simple = ORBIT.positions(time), orbit.positions(time)
    np.testing.assert_allclose(simple.latitude, exact.latitude, rtol=0.0, atol=1.0)
    np.testing.assert_allclose(simple.altitude_km, exact.altitude_km, rtol=0.0, atol=25.0)
    away = np.mod(simple.longitude - exact.longitude + 180.0, 360.0) - 180.0
    assert np.abs(away).max() < 1.5


def test_that_times_far_from_the_epoch_are_refused_with_both() -> None:
    with pytest.raises(
        ThermodaError, match=r"epoch of the elements, 2006-06-25T19:46, lies more than 14 days from 2010"
    ):
        ORBIT.positions(np.datetime64("2010-04-05", "ns"))


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (FIRST[:-1] + "6", SECOND, "check sum of line 1 is 6, but its digits give 5"),
        (FIRST[:-2], SECOND, "line 1 must begin with '1 ' and have 69 characters"),
        (SECOND, FIRST, "line 1 must begin"),
        (FIRST, OTHER_SECOND, "of satellites 06251 and 00005"),
    ],
)
def test_that_lines_that_are_no_element_set_are_refused(first: str, second: str, problem: str) -> None:
    with pytest.raises(ThermodaError, match=f"^there: .*{problem}"):
        TwoLineOrbit(first, second, "there")


def test_that_the_set_nearest_in_time_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sets.tle"
    path.write_text(f"DELTA 1 DEB\n{FIRST}\n{SECOND}\nVANGUARD\n{OTHER_FIRST}\n{OTHER_SECOND}\n")
    assert read_two_line_elements(path, ORBIT.epoch, 6251).epoch == ORBIT.epoch
    with pytest.raises(ThermodaError, match="holds the satellites 00005, 06251; name one of them"):
        read_two_line_elements(path, ORBIT.epoch)
    with pytest.raises(ThermodaError, match="no two-line elements of satellite 7; it has 00005, 06251"):
        read_two_line_elements(path, ORBIT.epoch, 7)


def test_that_files_without_elements_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.tle"
    with pytest.raises(ThermodaError, match="cannot be read"):
        read_two_line_elements(path, ORBIT.epoch)
    path.write_text("nothing\n")
    with pytest.raises(ThermodaError, match="holds no two-line elements$"):
        read_two_line_elements(path, ORBIT.epoch)
