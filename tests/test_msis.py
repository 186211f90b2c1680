"""NRLMSIS behind its wrapper: both ways of calling it, versions, indices, composition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pymsis
import pytest

from da.constants import AVOGADRO, BOLTZMANN, GAS_CONSTANT, MOLAR_MASS
from da.drivers import Drivers, load_drivers
from da.msis import MODELLED_SPECIES, Atmosphere, GeomagneticActivity, Msis, MsisVersion

STORM_TIME = np.datetime64("2010-04-05T12:00", "ns")
SINGLE_PRECISION = 2e-6
"""Relative; the library computes in single precision (1.2e-7) and a dozen operations lie between the sums compared."""


@pytest.fixture(scope="module")
def drivers() -> Drivers:
    return load_drivers(np.datetime64("2010-04-04"), np.datetime64("2010-04-07"))


@pytest.fixture(scope="module")
def msis(drivers: Drivers) -> Msis:
    return Msis(drivers)


def _global_grid(msis: Msis, altitude_km: float, time: np.datetime64 = STORM_TIME, **offsets: float) -> Atmosphere:
    return msis.on_grid(time, np.arange(-85.0, 86.0, 10.0), np.arange(0.0, 360.0, 20.0), np.array([altitude_km]), **offsets)


def _global_mean(values: np.ndarray) -> float:
    """Area mean over the grid of `_global_grid`."""
    weight = np.cos(np.radians(np.arange(-85.0, 86.0, 10.0)))
    return float(np.sum(values[0] * weight[:, None]) / (np.sum(weight) * values.shape[-1]))


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 3, 3), (4, 3, 2), (1, 5, 5), (5, 1, 1)])
def test_that_a_grid_equals_the_track_through_its_points_also_for_axes_of_equal_length(
    msis: Msis, sizes: tuple[int, int, int]
) -> None:
    altitude_km = np.linspace(150.0, 500.0, sizes[0])
    latitude = np.linspace(-70.0, 80.0, sizes[1])
    longitude = np.linspace(-150.0, 120.0, sizes[2])
    grid = msis.on_grid(STORM_TIME, latitude, longitude, altitude_km)
    assert grid.density.shape == sizes
    alt, lat, lon = (axis.ravel() for axis in np.meshgrid(altitude_km, latitude, longitude, indexing="ij"))
    track = msis.along_track(np.full(lat.size, STORM_TIME), lat, lon, alt)
    # The order of the points differs, and the library starts each column afresh: rounding only.
    np.testing.assert_allclose(grid.density.ravel(), track.density, rtol=SINGLE_PRECISION)
    np.testing.assert_allclose(grid.temperature.ravel(), track.temperature, rtol=SINGLE_PRECISION)
    np.testing.assert_allclose(grid.number_density["O"].ravel(), track.number_density["O"], rtol=SINGLE_PRECISION)


def test_that_a_grid_equals_the_library_called_in_its_own_grid_mode(msis: Msis, drivers: Drivers) -> None:
    latitude, longitude, altitude_km = np.array([-40.0, 10.0, 65.0]), np.array([0.0, 90.0]), np.array([120.0, 300.0])
    output = pymsis.calculate(
        STORM_TIME,
        longitude,
        latitude,
        altitude_km,
        drivers.f107_previous_day(STORM_TIME),
        drivers.f107_81day(STORM_TIME),
        drivers.ap_history(STORM_TIME),
        version=2.1,
        geomagnetic_activity=-1,
    )
    expected = np.transpose(output[0, ..., pymsis.Variable.MASS_DENSITY], (2, 1, 0))
    grid = msis.on_grid(STORM_TIME, latitude, longitude, altitude_km)
    np.testing.assert_allclose(grid.density, expected, rtol=SINGLE_PRECISION)


def test_that_longitude_is_periodic(msis: Msis) -> None:
    altitude_km, latitude = np.array([300.0]), np.array([35.0])
    west = msis.on_grid(STORM_TIME, latitude, np.array([-100.0]), altitude_km)
    east = msis.on_grid(STORM_TIME, latitude, np.array([260.0]), altitude_km)
    # Angles of some hundred degrees in single precision are good to 3e-5 deg.
    np.testing.assert_allclose(west.density, east.density, rtol=1e-5)


@pytest.mark.parametrize("version", list(MsisVersion))
def test_that_the_library_is_always_given_its_indices_and_never_looks_them_up(
    drivers: Drivers, version: MsisVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("indices were looked up")

    monkeypatch.setattr("pymsis.msis.get_f107_ap", refuse)
    assert np.all(_global_grid(Msis(drivers, version), 400.0).density > 0.0)


def test_that_indices_reach_the_library_as_it_defines_them(
    drivers: Drivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def record(*arguments: Any, **options: Any) -> np.ndarray:
        seen["f107s"], seen["f107as"], seen["aps"] = arguments[4:7]
        seen.update(options)
        return np.ones((len(arguments[0]), 11))

    monkeypatch.setattr("da.msis.pymsis.calculate", record)
    times = STORM_TIME + np.array([0, 24], dtype="timedelta64[h]")
    zeros = np.zeros(2)
    Msis(drivers, activity=GeomagneticActivity.DAILY).along_track(times, zeros, zeros, zeros + 300.0)
    first = int(np.flatnonzero(drivers.day == np.datetime64("2010-04-05"))[0])
    np.testing.assert_array_equal(seen["f107s"], drivers.f107_observed_sfu[first - 1 : first + 1])
    np.testing.assert_array_equal(seen["f107as"], drivers.f107_81day_sfu[first : first + 2])
    np.testing.assert_array_equal(seen["aps"], drivers.ap_history(times))
    assert seen["geomagnetic_activity"] == 1


def test_that_versions_2_0_and_2_1_agree_in_density_and_the_older_one_is_denser(drivers: Drivers) -> None:
    at_302 = {version: _global_grid(Msis(drivers, version), 302.0).density for version in MsisVersion}
    np.testing.assert_allclose(at_302[MsisVersion.MSIS20], at_302[MsisVersion.MSIS21], rtol=SINGLE_PRECISION)
    ratio = _global_mean(at_302[MsisVersion.MSIS00]) / _global_mean(at_302[MsisVersion.MSIS21])
    # Emmert et al. (2021), Sec. 4: thermospheric density of 2.0 is lower than that of 00, by ten to twenty percent.
    assert 1.08 < ratio < 1.22


@pytest.mark.parametrize(("altitude_km", "least_ratio"), [(300.0, 1.04), (474.0, 1.08)])
def test_that_the_3_hourly_history_feels_a_storm_that_daily_activity_smears(
    drivers: Drivers, altitude_km: float, least_ratio: float
) -> None:
    storm = _global_mean(_global_grid(Msis(drivers), altitude_km).density)
    daily = _global_mean(_global_grid(Msis(drivers, activity=GeomagneticActivity.DAILY), altitude_km).density)
    assert storm > least_ratio * daily


@pytest.mark.parametrize("version", list(MsisVersion))
def test_that_total_density_is_the_sum_over_the_species(drivers: Drivers, version: MsisVersion) -> None:
    atmosphere = _global_grid(Msis(drivers, version), 300.0)
    mass = sum(MOLAR_MASS[name] / AVOGADRO * number for name, number in atmosphere.number_density.items())
    # The library rounds molar masses to four digits; anomalous O and NO are not in the sum.
    np.testing.assert_allclose(mass, atmosphere.density, rtol=5e-3)


@pytest.mark.parametrize(("altitude_km", "percent"), [(302.0, 98.9), (474.0, 97.9), (550.0, 96.9)])
def test_that_the_modelled_species_carry_the_known_part_of_the_mass(
    msis: Msis, altitude_km: float, percent: float
) -> None:
    ratio = _global_grid(msis, altitude_km).unmodelled_mass_ratio
    assert ratio.min() > 1.0
    # Known to a tenth of a percent as a mean over place and time; the storm of the day moves it by some tenths.
    assert 100.0 / np.mean(ratio) == pytest.approx(percent, abs=0.5)


def test_that_pressure_and_density_of_the_modelled_species_obey_the_ideal_gas_law(msis: Msis) -> None:
    atmosphere = _global_grid(msis, 250.0)
    number = sum(atmosphere.number_density[name] for name in MODELLED_SPECIES)
    mean_molar_mass = atmosphere.modelled_density / number * AVOGADRO
    expected = atmosphere.modelled_density * GAS_CONSTANT * atmosphere.temperature / mean_molar_mass
    np.testing.assert_allclose(atmosphere.pressure, expected, rtol=1e-12)
    np.testing.assert_allclose(atmosphere.pressure, BOLTZMANN * number * atmosphere.temperature, rtol=1e-12)


def test_that_an_offset_of_f107_equals_drivers_with_a_shifted_flux(msis: Msis, drivers: Drivers) -> None:
    shifted = replace(
        drivers, f107_observed_sfu=drivers.f107_observed_sfu + 7.0, f107_81day_sfu=drivers.f107_81day_sfu + 7.0
    )
    offset = _global_grid(msis, 400.0, f107_offset_sfu=7.0)
    np.testing.assert_array_equal(offset.density, _global_grid(Msis(shifted), 400.0).density)
    assert np.all(offset.density > _global_grid(msis, 400.0).density)


def test_that_an_offset_of_kp_heats_where_it_is_positive_and_cools_where_it_is_negative(msis: Msis) -> None:
    mean = [_global_mean(_global_grid(msis, 400.0, kp_offset=offset).density) for offset in (-1.0, 0.0, 1.0)]
    assert mean[0] < 0.97 * mean[1] < 0.97**2 * mean[2]
    neutral = _global_grid(msis, 400.0, kp_offset=0.0).density
    np.testing.assert_array_equal(neutral, _global_grid(msis, 400.0).density)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_that_a_coordinate_that_is_not_finite_is_refused_by_name(msis: Msis, place: int, bad: float) -> None:
    coordinates = [np.array([10.0, 20.0]), np.array([0.0, 1.0]), np.array([300.0, 400.0])]
    coordinates[place][1] = bad
    name = ("latitude", "longitude", "altitude")[place]
    with pytest.raises(ValueError, match=name):
        msis.along_track(np.full(2, STORM_TIME), *coordinates)
    with pytest.raises(ValueError, match=name):
        msis.on_grid(STORM_TIME, *coordinates)


def test_that_unequal_lengths_along_a_track_are_refused(msis: Msis) -> None:
    with pytest.raises(ValueError, match="equal lengths"):
        msis.along_track(np.full(2, STORM_TIME), np.zeros(2), np.zeros(2), np.full(3, 300.0))


def test_that_inputs_stay_as_they_were(msis: Msis) -> None:
    latitude, longitude, altitude_km = np.array([10.0]), np.array([20.0]), np.array([300.0, 320.0])
    for axis in (latitude, longitude, altitude_km):
        axis.setflags(write=False)
    assert msis.on_grid(STORM_TIME, latitude, longitude, altitude_km).density.dtype == np.float64
