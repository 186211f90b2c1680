"""Maps: the Sun, coasts, increments, bias along tracks, sub-domains."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from da.errors import ThermodaError
from da.figures.coastline import coastline
from da.figures.increments import density_increment, first_analyses, increment_drawing, position, storm_analyses
from da.figures.maps import draw_field, subsolar_point, symmetric, terminator
from da.figures.simplify_coastline import coastline_text, rings, thinned
from da.figures.sub_domains import read_sub_domains, sub_domain_drawing
from da.figures.track_maps import bias_map_drawing, mean_log_ratio
from da.verification.evaluation import Row, evaluate
from da.verification.run_folder import read_track
from da.verification.sampling import open_fields
from da.verification.strata import solar_zenith_deg

START = np.datetime64("2010-04-05T00:00:00", "ns")


@pytest.mark.parametrize(
    ("time", "latitude", "longitude"),
    [
        # Solstice and equinox of 2010 (11:28 UT on 21 June, 17:32 UT on 20 March); the equation of time is -1.8 and
        # -7.4 min there: 0 degrees at noon, 15 degrees to the west per hour, a quarter of a degree per minute.
        ("2010-06-21T11:28", 23.44, 15.0 * (32.0 / 60.0) + 1.8 / 4.0),
        ("2010-03-20T17:32", 0.0, -15.0 * (5.0 + 32.0 / 60.0) + 7.4 / 4.0),
    ],
)
def test_that_the_sun_stands_where_almanacs_have_it(time: str, latitude: float, longitude: float) -> None:
    # The almanac's low-precision formulas are good to 0.01 degrees, the quoted equation of time to 0.05 min.
    assert subsolar_point(np.datetime64(time, "ns")) == pytest.approx((latitude, longitude), abs=0.05)


def test_that_the_zenith_angle_is_ninety_degrees_along_the_terminator_and_zero_below_the_sun() -> None:
    longitude, latitude = terminator(START)
    zenith = solar_zenith_deg(np.full(longitude.size, START), latitude, longitude)
    np.testing.assert_allclose(zenith, 90.0, atol=1e-6)
    place = [np.array([value]) for value in subsolar_point(START)]
    # Near zero the arc cosine turns rounding of 1e-16 into 1e-8 rad.
    assert solar_zenith_deg(np.array([START]), *place)[0] == pytest.approx(0.0, abs=1e-5)


def test_that_coasts_are_where_they_are_and_lines_do_not_cross_the_map() -> None:
    longitude, latitude = coastline().T
    assert np.nanmax(np.abs(longitude)) <= 180.0
    assert np.nanmax(np.abs(latitude)) <= 90.0
    steps = np.abs(np.diff(longitude))
    assert np.nanmax(steps[np.isfinite(steps)]) < 30.0
    for east, north in ((18.5, -34.4), (-5.6, 36.0), (-34.8, -7.2)):
        # Cape of Good Hope, Gibraltar, the eastern end of Brazil.
        assert np.nanmin(np.hypot(longitude - east, latitude - north)) < 1.0


def test_that_no_point_of_a_thinned_line_is_further_away_than_the_tolerance() -> None:
    angle = np.linspace(0.0, np.pi, 500)
    line = np.column_stack([np.cos(angle), np.sin(angle)])
    kept = thinned(line, 0.01)
    assert len(kept) < 30
    np.testing.assert_array_equal(kept[[0, -1]], line[[0, -1]])
    parts = np.interp(angle, np.arccos(kept[:, 0]), np.arange(len(kept)))
    low = np.minimum(parts.astype(int), len(kept) - 2)
    along = kept[low + 1] - kept[low]
    offset = line - kept[low]
    across = (along[:, 0] * offset[:, 1] - along[:, 1] * offset[:, 0]) / np.hypot(*along.T)
    assert np.abs(across).max() <= 0.01


def test_that_arcs_are_decoded_joined_and_turned() -> None:
    topology = {
        "transform": {"scale": [0.5, 2.0], "translate": [10.0, -4.0]},
        "arcs": [[[0, 0], [2, 1], [2, 1]], [[0, 0], [0, 5], [4, -3]]],
        "objects": {"land": {"type": "Polygon", "arcs": [[0, -2]]}},
    }
    (ring,) = rings(topology)
    np.testing.assert_array_equal(ring, [[10.0, -4.0], [11.0, -2.0], [12.0, 0.0], [10.0, 6.0], [10.0, -4.0]])
    assert coastline_text(json.loads(json.dumps(topology)), 0.1).splitlines()[-1] == "100 -40 120 0 100 60 100 -40"


def test_that_a_field_is_drawn_once_around_the_globe_whatever_meridian_it_starts_from() -> None:
    latitude = np.array([-45.0, 45.0])
    for start in (0.0, -180.0, -90.0):
        longitude = start + 90.0 * np.arange(4)
        axes = Figure().subplots()
        values = np.tile(np.cos(np.radians(longitude)), (2, 1))
        mesh = draw_field(axes, latitude, longitude, values, Normalize(-1.0, 1.0), mpl.colormaps["RdBu_r"])
        corners = mesh.get_coordinates()
        middle = corners[0, :-1, 0] + 45.0
        np.testing.assert_allclose(mesh.get_array()[0], np.cos(np.radians(middle)), atol=1e-12)
        assert corners[0, 0, 0] <= -180.0 <= 180.0 <= corners[0, -1, 0]
        np.testing.assert_allclose(corners[:, 0, 1], [-90.0, 0.0, 90.0])


def test_that_a_symmetric_scale_holds_most_values() -> None:
    scale = symmetric(np.array([-1.0, 2.0, np.nan, 3.0]), 100.0)
    assert (scale.vmin, scale.vmax) == (-3.0, 3.0)
    assert symmetric(np.zeros(3)).vmax == 1.0


def test_that_increments_are_those_of_the_stored_densities(small_run: Path) -> None:
    with open_fields(small_run / "forecast.nc") as forecast, open_fields(small_run / "analysis.nc") as analysis:
        latitude, longitude, percent = density_increment(forecast, analysis, 2, 333.0)
    assert percent.shape == (latitude.size, longitude.size) == (6, 6)
    np.testing.assert_allclose(percent, 100.0 * (1.1 / 1.2 - 1.0), rtol=1e-9)


def test_that_every_map_shows_the_assimilated_satellite_and_the_sun(small_run: Path) -> None:
    figure = increment_drawing(small_run, "first", [0, 1]).figure
    maps = [axes for axes in figure.axes if "km" in axes.get_title(loc="left")]
    assert len(maps) == 8
    stars = [line for line in maps[1].get_lines() if line.get_marker() == "*"]
    track = read_track(small_run / "track_champ.nc")
    assert len(stars) == 1
    assert float(stars[0].get_ydata()[0]) == pytest.approx(track.points.latitude[60])
    suns = [line for line in maps[1].get_lines() if line.get_marker() == "o"]
    assert float(suns[0].get_ydata()[0]) == pytest.approx(subsolar_point(track.points.time[60])[0])


def test_that_a_satellite_in_a_gap_has_no_position(small_run: Path) -> None:
    track = read_track(small_run / "track_champ.nc")
    assert position(track, START + np.timedelta64(210, "m")) is None
    assert position(track, track.points.time[5]) == (track.points.latitude[5], track.points.longitude[5])


def test_that_analyses_are_the_first_ones_and_those_nearest_to_the_storm() -> None:
    times = START + np.arange(10) * np.timedelta64(1, "h")
    assert first_analyses(times) == [0, 1, 2]
    assert first_analyses(times[:2]) == [0, 1]
    assert storm_analyses(times, times[6]) == [5, 6, 7]


def test_that_the_bias_is_the_mean_of_the_points_of_a_cell(small_run: Path) -> None:
    satellite = evaluate(small_run).satellites[0]
    latitude, longitude, mean = mean_log_ratio(satellite, Row.MSIS)
    assert mean.shape == (18, 18)
    np.testing.assert_allclose(mean[np.isfinite(mean)], np.log(1.05 / 1.25), rtol=1e-12)
    inside = (np.abs(satellite.points.latitude - latitude[9]) < 5.0) & (
        np.abs(satellite.points.longitude - longitude[9]) < 10.0
    )
    assert np.isfinite(mean[9, 9]) == inside.any()
    drawn = [mesh for axes in bias_map_drawing(satellite).figure.axes[:6] for mesh in axes.collections]
    np.testing.assert_allclose(np.ma.compressed(np.ma.masked_invalid(drawn[0].get_array())), np.log(1.05 / 1.25))


def test_that_sub_domains_stand_at_their_places(small_run: Path) -> None:
    maps = read_sub_domains(small_run)
    np.testing.assert_allclose(maps.altitude_km, [110.0, 380.0])
    np.testing.assert_allclose(maps.latitude, [-45.0, 45.0])
    np.testing.assert_allclose(maps.longitude, [-120.0, 60.0])
    np.testing.assert_allclose(maps.values["local_observations"].ravel(), 10.0 * np.arange(8))
    figure = sub_domain_drawing(small_run).figure
    top = next(axes for axes in figure.axes if axes.get_title(loc="left") == "about 380 km: local observations")
    np.testing.assert_allclose(top.collections[0].get_array()[:, :2], [[40.0, 50.0], [60.0, 70.0]])


def test_that_a_missing_filter_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThermodaError, match=r"filter\.nc is missing"):
        sub_domain_drawing(tmp_path)
