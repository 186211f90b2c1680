from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from da.constants import EARTH_EQUATORIAL_RADIUS, EARTH_GM, EARTH_J2
from da.geodesy import cartesian_from_geodetic
from da.twin import AnalyticOrbit

EPOCH = np.datetime64("2010-04-04T05:30:00", "ns")
SECOND = np.timedelta64(1, "s")
CHAMP_INCLINATION = 87.3


def orbit(altitude_km: float = 400.0, inclination_deg: float = CHAMP_INCLINATION) -> AnalyticOrbit:
    return AnalyticOrbit(altitude_km, inclination_deg, 30.0, 10.0, EPOCH)


def one_revolution(satellite: AnalyticOrbit, points: int = 4000) -> NDArray[np.datetime64]:
    fractions = np.arange(points) / points
    return EPOCH + np.round(1e9 * satellite.nodal_period_s * fractions).astype("timedelta64[ns]")


def test_that_an_orbit_at_geostationary_height_takes_one_sidereal_day() -> None:
    # Over the equator the height is counted from the equatorial radius; both numbers are textbook values.
    assert orbit(35786.03, 0.0).kepler_period_s == pytest.approx(86164.1, abs=0.1)


def test_that_a_geostationary_satellite_stays_over_one_longitude() -> None:
    satellite = orbit(35786.03, 0.0)
    time = EPOCH + np.arange(0, 86400, 600) * SECOND
    longitude = np.unwrap(satellite.positions(time).longitude, period=360.0)
    # J2 alone speeds the satellite up by 2 k = 7.4e-5 of 361 degrees a day: 0.027 degrees.
    assert np.ptp(longitude) < 0.03


def test_that_the_radius_obeys_keplers_third_law() -> None:
    low, high = orbit(302.0), orbit(474.0)
    ratio = high.kepler_period_s / low.kepler_period_s
    assert ratio**2 == pytest.approx((high.semi_major_axis_m / low.semi_major_axis_m) ** 3, rel=1e-14)


@pytest.mark.parametrize("inclination_deg", [0.0, 51.6, CHAMP_INCLINATION, 98.2, 180.0])
def test_that_the_given_altitude_is_the_mean_height_above_the_ellipsoid(inclination_deg: float) -> None:
    satellite = orbit(302.0, inclination_deg)
    altitude_km = satellite.positions(one_revolution(satellite)).altitude_km
    assert altitude_km.mean() == pytest.approx(302.0, abs=1e-6)


def test_that_a_polar_orbit_is_lowest_over_the_equator_by_the_difference_of_the_semi_axes() -> None:
    satellite = orbit(302.0, 90.0)
    position = satellite.positions(one_revolution(satellite))
    assert np.ptp(position.altitude_km) == pytest.approx(6378.137 - 6356.752, abs=1e-3)
    assert abs(position.latitude[np.argmin(position.altitude_km)]) < 0.1
    assert abs(position.latitude[np.argmax(position.altitude_km)]) > 89.9


@pytest.mark.parametrize(("inclination_deg", "highest"), [(30.0, 30.0), (CHAMP_INCLINATION, 87.3), (98.2, 81.8)])
def test_that_the_highest_geocentric_latitude_is_the_inclination(inclination_deg: float, highest: float) -> None:
    satellite = orbit(500.0, inclination_deg)
    position = satellite.positions(one_revolution(satellite))
    axis_distance, z = cartesian_from_geodetic(position.latitude, 1e3 * position.altitude_km)
    geocentric = np.degrees(np.arctan2(z, axis_distance))
    np.testing.assert_allclose(np.hypot(axis_distance, z), satellite.semi_major_axis_m, rtol=1e-14)
    # 4000 points miss the summit by at most 0.045 degrees along the orbit: 2e-5 degrees of latitude or less.
    assert geocentric.max() == pytest.approx(highest, abs=3e-5)
    assert geocentric.min() == pytest.approx(-highest, abs=3e-5)


def test_that_the_equator_is_crossed_northward_once_in_a_nodal_period() -> None:
    satellite = AnalyticOrbit(400.0, 60.0, 0.0, 0.0, EPOCH)
    period = np.round(satellite.nodal_period_s * 1e9 * np.arange(5)).astype("timedelta64[ns]")
    np.testing.assert_allclose(satellite.positions(EPOCH + period).latitude, 0.0, atol=1e-6)
    assert np.all(satellite.positions(EPOCH + period + SECOND).latitude > 0.0)


def test_that_the_nodal_period_is_keplers_at_60_degrees_and_shorter_below() -> None:
    # 3 - 4 sin^2 i vanishes at 60 degrees and is 3 at the equator.
    at_60, equatorial = orbit(400.0, 60.0), orbit(400.0, 0.0)
    k = 1.5 * EARTH_J2 * (EARTH_EQUATORIAL_RADIUS / equatorial.semi_major_axis_m) ** 2
    assert at_60.nodal_period_s == pytest.approx(at_60.kepler_period_s, rel=1e-14)
    assert equatorial.kepler_period_s / equatorial.nodal_period_s == pytest.approx(1 + 3 * k, rel=1e-14)


@pytest.mark.parametrize("inclination_deg", [28.5, CHAMP_INCLINATION, 98.2])
def test_that_the_node_precesses_as_the_textbook_says(inclination_deg: float) -> None:
    # -2.06474e14 a^(-7/2) cos i degrees a day, a in km (Wertz & Larson, Space Mission Analysis and Design).
    satellite = orbit(500.0, inclination_deg)
    expected = -2.06474e14 * (1e-3 * satellite.semi_major_axis_m) ** -3.5 * np.cos(np.radians(inclination_deg))
    assert satellite.node_rate_deg_per_day == pytest.approx(expected, rel=1e-4)


def test_that_the_node_precesses_as_the_integrated_equations_of_motion_with_j2_do() -> None:
    satellite = AnalyticOrbit(450.0, 70.0, 0.0, 0.0, EPOCH)

    def motion(_: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        x, radius = y[:3], np.linalg.norm(y[:3])
        oblate = 1.5 * EARTH_J2 * EARTH_GM * EARTH_EQUATORIAL_RADIUS**2 / radius**5
        squared = 5.0 * (x[2] / radius) ** 2
        pull = -EARTH_GM * x / radius**3 + oblate * x * (squared - np.array([1.0, 1.0, 3.0]))
        return np.concatenate([y[3:], pull])

    speed = np.sqrt(EARTH_GM / satellite.semi_major_axis_m)
    inclination = np.radians(70.0)
    start = [satellite.semi_major_axis_m, 0, 0, 0, speed * np.cos(inclination), speed * np.sin(inclination)]
    end = solve_ivp(motion, (0.0, 86400.0), start, method="DOP853", rtol=1e-10, atol=1e-4).y[:, -1]
    normal = np.cross(end[:3], end[3:])
    node = np.degrees(np.arctan2(normal[0], -normal[1]))
    # Mean and osculating radius differ by some J2 = 1e-3; the node swings by 0.03 degrees in a revolution.
    assert node == pytest.approx(satellite.node_rate_deg_per_day, abs=0.03 + 4e-3 * abs(node))
    assert node < -2.0


def test_that_a_sun_synchronous_inclination_keeps_its_local_time() -> None:
    satellite = orbit(700.0, 98.2)
    # The inclination is quoted to 0.1 degrees: half of it changes the rate by 0.006; 10 km of altitude, the
    # difference between mean and equatorial height, change it by 0.005.
    assert satellite.node_rate_deg_per_day == pytest.approx(0.9856, abs=0.011)
    year = EPOCH + np.timedelta64(365, "D")
    drift = satellite.node_local_time_h(year)[0] - satellite.node_local_time_h(EPOCH)[0]
    assert abs(drift) < 365 * 0.011 / 15.0


@pytest.mark.parametrize("altitude_km", [302.0, 400.0, 454.0])
def test_that_champ_covers_all_local_times_in_about_131_days(altitude_km: float) -> None:
    # Ascending and descending half-orbits together need 12 h of drift of the node.
    days = 12.0 / abs(orbit(altitude_km).local_time_rate_h_per_day)
    assert days == pytest.approx(131.0, abs=2.0)


def test_that_the_local_time_of_the_node_drifts_at_the_stated_rate() -> None:
    satellite = orbit(400.0)
    times = EPOCH + np.arange(11) * np.timedelta64(1, "D")
    local_time = np.unwrap(satellite.node_local_time_h(times), period=24.0)
    # The sidereal angle of 2010 has quadratic terms below 1e-10 degrees a day; the rest is rounding.
    np.testing.assert_allclose(np.diff(local_time), satellite.local_time_rate_h_per_day, rtol=0, atol=1e-8)


def test_that_an_orbit_made_from_a_local_time_crosses_the_equator_at_it() -> None:
    satellite = AnalyticOrbit.from_node_local_time(302.0, CHAMP_INCLINATION, 15.25, 0.0, EPOCH)
    position = satellite.positions(EPOCH)
    universal_time_h = 5.5
    assert satellite.node_local_time_h(EPOCH)[0] == pytest.approx(15.25, abs=1e-9)
    assert position.latitude[0] == pytest.approx(0.0, abs=1e-9)
    assert position.longitude[0] == pytest.approx(15.0 * (15.25 - universal_time_h), abs=1e-9)


def test_that_longitudes_stay_within_minus_180_and_180() -> None:
    longitude = orbit().positions(EPOCH + np.arange(-86400, 86400, 60) * SECOND).longitude
    assert longitude.min() >= -180.0
    assert longitude.max() < 180.0
    assert np.ptp(longitude) > 350.0


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ((0.0, 87.0, 0.0, 0.0), "altitude_km"),
        ((float("nan"), 87.0, 0.0, 0.0), "altitude_km"),
        ((400.0, 181.0, 0.0, 0.0), "inclination_deg"),
        ((400.0, 87.0, float("inf"), 0.0), "finite"),
    ],
)
def test_that_impossible_elements_are_refused(elements: tuple[float, float, float, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        AnalyticOrbit(*elements, EPOCH)


ECCENTRIC = AnalyticOrbit(500.0, 70.0, 30.0, 40.0, EPOCH, 0.02, 100.0)


def test_that_an_orbit_with_vanishing_eccentricity_is_the_circular_one() -> None:
    time = EPOCH + np.arange(0, 86400, 300) * SECOND
    circular = AnalyticOrbit(500.0, 70.0, 30.0, 40.0, EPOCH).positions(time)
    almost = AnalyticOrbit(500.0, 70.0, 30.0, 40.0, EPOCH, 1e-12, 100.0).positions(time)
    for one, other in zip(circular, almost, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-7)


def test_that_perigee_and_apogee_lie_ea_below_and_above() -> None:
    time = EPOCH + np.arange(0, 12000, 2) * SECOND
    position = ECCENTRIC.positions(time)
    axis_distance, z = cartesian_from_geodetic(position.latitude, 1e3 * position.altitude_km)
    radius = np.hypot(axis_distance, z)
    a = ECCENTRIC.semi_major_axis_m
    np.testing.assert_allclose([radius.min(), radius.max()], [0.98 * a, 1.02 * a], rtol=1e-7)


def test_that_the_satellite_starts_at_its_argument_of_latitude() -> None:
    position = ECCENTRIC.positions(EPOCH)
    axis_distance, z = cartesian_from_geodetic(position.latitude, 1e3 * position.altitude_km)
    sine = np.sin(np.radians(70.0)) * np.sin(np.radians(40.0))
    np.testing.assert_allclose(z / np.hypot(axis_distance, z), sine, rtol=1e-12)


def test_that_areas_are_swept_evenly_without_oblateness() -> None:
    # Kepler's second law: the area from perigee grows as E - e sin E, that is with the mean anomaly.
    days = np.linspace(0.0, 0.1, 2000)
    true, radius = ECCENTRIC._true_anomaly(days)
    true = np.unwrap(true)
    swept = np.cumsum(0.5 * radius[1:] * radius[:-1] * np.sin(np.diff(true)))
    np.testing.assert_allclose(np.diff(swept), np.diff(swept)[0], rtol=1e-6)


def test_that_the_perigee_stands_still_at_the_critical_inclination() -> None:
    # 2 - (5/2) sin^2 i vanishes at 63.43 degrees; an equatorial perigee advances by twice what its node goes back.
    critical = AnalyticOrbit(500.0, np.degrees(np.arcsin(np.sqrt(0.8))), 0.0, 0.0, EPOCH, 0.01)
    equatorial = AnalyticOrbit(500.0, 0.0, 0.0, 0.0, EPOCH, 0.01)
    assert critical.perigee_rate_deg_per_day == pytest.approx(0.0, abs=1e-12)
    assert equatorial.perigee_rate_deg_per_day == pytest.approx(-2.0 * equatorial.node_rate_deg_per_day, rel=1e-12)


def test_that_too_large_an_eccentricity_is_refused() -> None:
    with pytest.raises(ValueError, match="eccentricity"):
        AnalyticOrbit(500.0, 70.0, 0.0, 0.0, EPOCH, 0.5)
