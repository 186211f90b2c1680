from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.constants import AVOGADRO, EARTH_GM, EARTH_RADIUS, MOLAR_MASS
from da.drivers import Drivers, load_drivers
from da.msis import Atmosphere, GeomagneticActivity, Msis, MsisVersion

STORM = np.datetime64("2010-04-05T12:00", "ns")
LATITUDE = np.arange(-80.0, 81.0, 20.0)
LONGITUDE = np.arange(0.0, 360.0, 20.0)
ALTITUDE_KM = np.arange(100.0, 551.0, 25.0)

# The library computes exp(ln n) in single precision, and neighbours between 32 and 64 lie 2^-18 = 3.8e-6 apart. Two
# ways to compute may therefore differ by two or three such steps in a number density and by two in their sum.
SINGLE_PRECISION = 2.0 * 2.0**-18


@pytest.fixture(scope="module")
def april_2010() -> Drivers:
    return load_drivers(np.datetime64("2010-03-31"), np.datetime64("2010-04-19"))


def constant_drivers(kp_thirds: int, f107_sfu: float = 80.0) -> Drivers:
    days = 12
    return Drivers(
        day=np.datetime64("2010-04-01") + np.arange(days),
        f107_observed_sfu=np.full(days, f107_sfu),
        f107_81day_sfu=np.full(days, 80.0),
        kp_thirds=np.full(8 * days, kp_thirds),
        source="made for a test",
    )


def on_globe(msis: Msis, time: np.datetime64 = STORM, **offsets: float) -> Atmosphere:
    return msis.on_grid(time, LATITUDE, LONGITUDE, ALTITUDE_KM, **offsets)


def global_mean(field: np.ndarray) -> np.ndarray:
    weight = np.cos(np.radians(LATITUDE))[:, None]
    return (field * weight).sum(axis=(1, 2)) / (weight.sum() * LONGITUDE.size)


def assert_same(one: Atmosphere, other: Atmosphere) -> None:
    assert_array_equal(one.density, other.density)
    assert_array_equal(one.temperature, other.temperature)
    for name, values in one.number_density.items():
        assert_array_equal(values, other.number_density[name])


@pytest.mark.parametrize("version", list(MsisVersion))
def test_that_a_grid_holds_the_values_of_a_track_through_its_points(april_2010: Drivers, version: MsisVersion) -> None:
    msis = Msis(april_2010, version)
    latitude, longitude, altitude = np.array([-35.0, 10.0]), np.array([0.0, 120.0, 240.0]), np.array([180.0, 474.0])
    grid = msis.on_grid(STORM, latitude, longitude, altitude)
    assert grid.density.shape == (2, 2, 3)
    h, a, o = (axis.ravel() for axis in np.meshgrid(altitude, latitude, longitude, indexing="ij"))
    track = msis.along_track(np.full(h.size, STORM), a, o, h)
    assert_array_equal(grid.density.ravel(), track.density)
    assert_array_equal(grid.temperature.ravel(), track.temperature)
    for name, values in grid.number_density.items():
        assert_array_equal(values.ravel(), track.number_density[name])


@pytest.mark.parametrize("length", [1, 3])
def test_that_axes_of_equal_length_are_a_grid(april_2010: Drivers, length: int) -> None:
    msis = Msis(april_2010)
    axis = np.arange(1.0, length + 1.0)
    grid = msis.on_grid(STORM, 20.0 * axis, 50.0 * axis, 150.0 * axis)
    assert grid.density.shape == grid.temperature.shape == (length,) * 3
    corner = msis.along_track(STORM, 20.0 * axis[-1:], 50.0 * axis[:1], 150.0 * axis[-1:])
    assert grid.density[-1, -1, 0] == corner.density[0]


def test_that_versions_2_0_and_2_1_agree_in_density_and_species_up_to_single_precision(april_2010: Drivers) -> None:
    first, second = (on_globe(Msis(april_2010, version)) for version in (MsisVersion.MSIS20, MsisVersion.MSIS21))
    assert_allclose(first.density, second.density, rtol=SINGLE_PRECISION)
    for name, values in first.number_density.items():
        assert_allclose(values, second.number_density[name], rtol=1.5 * SINGLE_PRECISION, err_msg=name)


def test_that_version_00_is_denser_by_more_than_a_tenth_at_the_heights_of_champ_and_grace(april_2010: Drivers) -> None:
    # Measured on this storm: 17.5 % at 302 km, 15.5 % at 474 km.
    altitude = np.array([302.0, 474.0])
    old, new = (
        Msis(april_2010, version).on_grid(STORM, LATITUDE, LONGITUDE, altitude).density
        for version in (MsisVersion.MSIS00, MsisVersion.MSIS21)
    )
    ratio = global_mean(old) / global_mean(new)
    assert np.all((ratio > 1.10) & (ratio < 1.20))


@pytest.mark.parametrize("version", list(MsisVersion))
def test_that_a_result_does_not_depend_on_the_version_called_before(april_2010: Drivers, version: MsisVersion) -> None:
    msis = Msis(april_2010, version)
    before = on_globe(msis)
    for other in MsisVersion:
        on_globe(Msis(april_2010, other, GeomagneticActivity.DAILY), f107_offset_sfu=30.0)
    assert_same(on_globe(msis), before)


@pytest.mark.parametrize("version", list(MsisVersion))
def test_that_both_geomagnetic_modes_agree_at_an_unchanging_ap_of_4(version: MsisVersion) -> None:
    # Both modes are written in ap - 4 (Hedin 1987, doi:10.1029/JA092iA05p04649), which vanishes at Kp 1.
    drivers, time = constant_drivers(kp_thirds=3), np.datetime64("2010-04-08T12:00", "ns")
    storm, daily = (on_globe(Msis(drivers, version, activity), time) for activity in GeomagneticActivity)
    assert_array_equal(storm.density, daily.density)
    disturbed = constant_drivers(kp_thirds=15)
    storm, daily = (on_globe(Msis(disturbed, version, activity), time) for activity in GeomagneticActivity)
    assert np.abs(storm.density / daily.density - 1.0).max() > 0.1


def test_that_at_the_height_of_a_storm_only_the_history_of_ap_shows_it_in_full(april_2010: Drivers) -> None:
    storm, daily = (
        global_mean(Msis(april_2010, activity=activity).on_grid(STORM, LATITUDE, LONGITUDE, np.array([474.0])).density)
        for activity in GeomagneticActivity
    )
    assert storm[0] / daily[0] > 1.1


@pytest.mark.parametrize("version", list(MsisVersion))
def test_that_the_species_make_up_the_total_density(april_2010: Drivers, version: MsisVersion) -> None:
    atmosphere = on_globe(Msis(april_2010, version))
    mass = {name: MOLAR_MASS[name] / AVOGADRO * values for name, values in atmosphere.number_density.items()}
    share = np.sum(list(mass.values()), axis=0) / atmosphere.density
    # Missing: anomalous oxygen, up to 0.3 % at 550 km that day. In excess: version 00 counts with molar masses
    # rounded to 28, 32, 16 and 4 g/mol, up to 0.07 %; the 2.x versions differ by rounding alone.
    excess = 8e-4 if version is MsisVersion.MSIS00 else 2.0 * SINGLE_PRECISION
    assert share.max() < 1.0 + excess
    assert share.min() > 0.996


def test_that_the_species_of_the_state_carry_98_9_and_97_9_percent_of_the_mass_at_champ_and_grace(
    april_2010: Drivers,
) -> None:
    altitude = np.array([302.0, 474.0])
    shares = []
    for day in range(14):
        time = np.datetime64("2010-04-01T12:00", "ns") + np.timedelta64(day, "D")
        atmosphere = Msis(april_2010).on_grid(time, LATITUDE, LONGITUDE, altitude)
        assert atmosphere.unmodelled_mass_ratio.min() > 1.0
        shares.append(1.0 / global_mean(atmosphere.unmodelled_mass_ratio))
    # The days of these two weeks scatter by 0.2 and 0.6 %, with a lower share on quieter days.
    assert_allclose(np.mean(shares, axis=0), [0.989, 0.979], rtol=0, atol=0.003)


def test_that_nitrogen_atoms_are_most_of_what_the_state_lacks(april_2010: Drivers) -> None:
    atmosphere = Msis(april_2010).on_grid(STORM, LATITUDE, LONGITUDE, np.array([302.0, 474.0]))
    missing = global_mean(atmosphere.density - atmosphere.modelled_density)
    nitrogen = global_mean(MOLAR_MASS["N"] / AVOGADRO * atmosphere.number_density["N"])
    assert np.all(nitrogen / missing > 0.9)
    assert np.all(nitrogen / missing < 1.0)


@pytest.mark.parametrize("version", list(MsisVersion))
def test_that_pressure_decreases_with_height(april_2010: Drivers, version: MsisVersion) -> None:
    pressure = on_globe(Msis(april_2010, version)).pressure
    assert np.all(pressure > 0.0)
    assert np.all(np.diff(pressure, axis=0) < 0.0)


@pytest.mark.parametrize("altitude_km", [250.0, 400.0, 500.0])
def test_that_pressure_and_density_are_in_hydrostatic_balance(april_2010: Drivers, altitude_km: float) -> None:
    # Each modelled species is in diffusive equilibrium up there: dp/dz = -rho g. Over 2 km the difference quotient is
    # good to (dz/H)^2/6 < 2e-4; gravity for a sphere leaves 0.3 % of flattening and 0.34 % of centrifugal force, and
    # MSIS multiplies the profiles by slowly varying chemical corrections.
    altitude = altitude_km + np.array([-1.0, 0.0, 1.0])
    atmosphere = Msis(april_2010).on_grid(STORM, LATITUDE, LONGITUDE, altitude)
    weight = (atmosphere.pressure[0] - atmosphere.pressure[2]) / 2e3
    gravity = EARTH_GM / (EARTH_RADIUS + 1e3 * altitude_km) ** 2
    assert_allclose(weight / (atmosphere.modelled_density[1] * gravity), 1.0, rtol=0, atol=0.008)


def test_that_an_offset_of_f107_equals_drivers_with_that_much_more_flux(april_2010: Drivers) -> None:
    brighter = replace(
        april_2010,
        f107_observed_sfu=april_2010.f107_observed_sfu + 12.0,
        f107_81day_sfu=april_2010.f107_81day_sfu + 12.0,
    )
    assert_same(on_globe(Msis(april_2010), f107_offset_sfu=12.0), on_globe(Msis(brighter)))


def test_that_an_offset_of_kp_equals_drivers_with_that_much_more_activity() -> None:
    time = np.datetime64("2010-04-08T12:00", "ns")
    offset = on_globe(Msis(constant_drivers(7)), time, kp_offset=1.0)
    shifted = on_globe(Msis(constant_drivers(10)), time)
    assert_allclose(offset.density, shifted.density, rtol=SINGLE_PRECISION)


@pytest.mark.parametrize("offset", [{"f107_offset_sfu": 5.0}, {"kp_offset": 1.0 / 3.0}])
def test_that_more_activity_makes_the_upper_thermosphere_denser_everywhere(
    april_2010: Drivers, offset: dict[str, float]
) -> None:
    ratio = on_globe(Msis(april_2010), **offset).density / on_globe(Msis(april_2010)).density
    assert np.all(ratio[ALTITUDE_KM >= 200.0] > 1.0)
    growth = global_mean(ratio)[ALTITUDE_KM >= 200.0]
    assert np.all(np.diff(growth) > 0.0)


def test_that_the_flux_of_the_day_before_counts_and_not_that_of_the_day() -> None:
    flux = np.full(12, 80.0)
    flux[7] = 120.0
    flare, calm = (replace(constant_drivers(3), f107_observed_sfu=f) for f in (flux, np.full(12, 80.0)))
    on_the_day, the_day_after = (np.datetime64(f"2010-04-{day:02d}T12:00", "ns") for day in (8, 9))
    assert_same(on_globe(Msis(flare), on_the_day), on_globe(Msis(calm), on_the_day))
    assert np.all(on_globe(Msis(flare), the_day_after).density[-1] > on_globe(Msis(calm), the_day_after).density[-1])


@pytest.mark.parametrize("name", ["latitude", "longitude", "altitude"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_that_a_position_that_is_not_finite_is_refused_by_name(april_2010: Drivers, name: str, bad: float) -> None:
    position = {"latitude": np.array([10.0]), "longitude": np.array([20.0]), "altitude": np.array([300.0])}
    position[name] = np.array([bad])
    arguments = (position["latitude"], position["longitude"], position["altitude"])
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        Msis(april_2010).along_track(np.array([STORM]), *arguments)
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        Msis(april_2010).on_grid(STORM, *arguments)


def test_that_a_track_with_columns_of_different_length_is_refused(april_2010: Drivers) -> None:
    two, three = np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="equal lengths"):
        Msis(april_2010).along_track(np.full(2, STORM), two, three, two)


def test_that_no_output_is_missing_at_any_height_of_the_state(april_2010: Drivers) -> None:
    for version in MsisVersion:
        atmosphere = on_globe(Msis(april_2010, version))
        assert np.isfinite(atmosphere.density).all()
        assert np.isfinite(atmosphere.temperature).all()
        for values in atmosphere.number_density.values():
            assert np.isfinite(values).all()
            assert np.all(values >= 0.0)


@pytest.mark.parametrize("activity", list(GeomagneticActivity))
def test_that_the_library_never_looks_indices_up(
    april_2010: Drivers, activity: GeomagneticActivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the library looked indices up")

    monkeypatch.setattr("pymsis.msis.get_f107_ap", refuse)
    assert np.all(on_globe(Msis(april_2010, activity=activity)).density > 0.0)
