from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.drivers import Drivers, SolarWind, load_drivers
from da.model import MemberInputs
from model_adapters.column_physics import fitted, forcing
from model_adapters.column_physics.forcing import ENERGY_NODES_KEV, Forcing, Heating
from model_adapters.column_physics.heating import (
    CHARACTERISTIC_ENERGY_KEV,
    GIGAWATT,
    cell_areas,
    joule_power_gw,
    particle_heating_power_gw,
    particle_profile,
)
from model_adapters.column_physics.thermal import ReferenceColumn
from model_adapters.column_physics.waves import WaveAdjustment, WaveSettings
from model_adapters.tiegcm_grid import thermosphere_layout

GRID = thermosphere_layout(15.0).grid
AREA = cell_areas(GRID.latitude, GRID.longitude.size)
SETTINGS = WaveSettings(
    fitted.WAVE_SPEED, fitted.WAVE_DRAG_RATE, fitted.HORIZONTAL_DIFFUSIVITY, fitted.ROTATION_DEG_PER_H
)
STORM = np.datetime64("2010-04-05T12:00", "ns")
HOUR = np.timedelta64(1, "h")
QUIET_THIRDS = 3


@pytest.fixture(scope="module")
def storm() -> Drivers:
    return load_drivers(np.datetime64("2010-03-25"), np.datetime64("2010-04-10"))


@pytest.fixture(scope="module")
def quiet(storm: Drivers) -> Drivers:
    return replace(storm, kp_thirds=np.full_like(storm.kp_thirds, QUIET_THIRDS))


@pytest.fixture(scope="module")
def windy(storm: Drivers) -> Drivers:
    """Drivers that follow a steady wind with a southward field."""
    time = np.datetime64("2010-03-30", "ns") + np.arange(0, 24 * 10) * HOUR
    steady = {"bx_nt": 0.0, "by_nt": 1.0, "bz_nt": -5.0, "velocity_km_s": 500.0, "density_cm3": 5.0}
    series = {name: np.full(time.size, value) for name, value in (steady | {"temperature_k": 1e5}).items()}
    return replace(storm, solar_wind=SolarWind(time=time, **series))


@pytest.fixture(scope="module")
def forced() -> Forcing:
    return Forcing(GRID, WaveAdjustment(GRID.latitude, GRID.longitude, SETTINGS))


def heating_of(
    forced: Forcing, column: ReferenceColumn, drivers: Drivers, quiet: Drivers, **perturbations: list[float]
) -> Heating:
    offsets = {name: np.array(values) for name, values in perturbations.items()}
    members = next((values.size for values in offsets.values()), 1)
    height = np.linspace(1e5, 6e5, column.zp.size)
    return forced.heating(column, height, STORM, MemberInputs(offsets, drivers), quiet, members)


def heat_gw(forced: Forcing, heating: Heating, column: ReferenceColumn) -> np.ndarray:
    """Return the heat that oval and particles leave on the whole globe (members,) [GW]."""
    maps = forced.high_latitude.spread(heating.spectra, 0.0)
    per_area = np.einsum("l,ls->s", column.layer_mass * column.heat_capacity, heating.profiles)
    return np.einsum("s,sjim,ji->m", per_area, maps, AREA) / GIGAWATT


def test_that_the_globe_is_heated_by_what_the_storm_brings_beyond_the_reference(
    forced: Forcing, thermosphere: ReferenceColumn, storm: Drivers, quiet: Drivers
) -> None:
    found = heat_gw(forced, heating_of(forced, thermosphere, storm, quiet), thermosphere)
    powers = []
    for drivers in (storm, quiet):
        at = np.array([STORM])
        power, potential = drivers.hemispheric_power_gw(at), drivers.cross_tail_potential_kv(at)
        powers.append(fitted.JOULE_FACTOR * joule_power_gw(power, potential) + particle_heating_power_gw(power))
    assert powers[0][0] > 3.0 * powers[1][0]
    assert_allclose(found, powers[0] - powers[1], rtol=1e-10)


def test_that_the_drivers_of_the_reference_heat_nothing(
    forced: Forcing, thermosphere: ReferenceColumn, quiet: Drivers
) -> None:
    heating = heating_of(forced, thermosphere, quiet, quiet)
    assert np.all(heating.spectra == 0.0)
    assert heating.patterns.shape[-1] == 0


def test_that_offsets_of_power_and_potential_heat_as_their_formula_says(
    forced: Forcing, thermosphere: ReferenceColumn, storm: Drivers, quiet: Drivers
) -> None:
    found = heat_gw(
        forced,
        heating_of(
            forced,
            thermosphere,
            storm,
            quiet,
            hemispheric_power_gw=[0.0, 10.0, 0.0, 0.0],
            cross_tail_potential_kv=[0.0, 0.0, -8.0, 0.0],
            joule_ln_factor=[0.0, 0.0, 0.0, 0.3],
        ),
        thermosphere,
    )
    at = np.array([STORM])
    power, potential = float(storm.hemispheric_power_gw(at)[0]), float(storm.cross_tail_potential_kv(at)[0])
    joule = fitted.JOULE_FACTOR * joule_power_gw([power, power + 10.0, power], [potential, potential, potential - 8.0])
    expected = [joule[1] - joule[0] + 10.0, joule[2] - joule[0], np.expm1(0.3) * joule[0]]
    # 10 GW into each hemisphere, half of which heats.
    assert_allclose(found[1:] - found[0], expected, rtol=1e-8)


@pytest.mark.parametrize("energy", [0.7, 1.0, 1.4, 1.8, 2.001, 2.2, 2.8, 4.0, 6.0])
def test_that_particles_of_any_energy_are_those_of_few_profiles(
    forced: Forcing, thermosphere: ReferenceColumn, storm: Drivers, quiet: Drivers, energy: float
) -> None:
    offsets = [0.0, energy - CHARACTERISTIC_ENERGY_KEV]
    heating = heating_of(forced, thermosphere, storm, quiet, auroral_energy_kev=offsets)
    assert heating.profiles.shape == (thermosphere.zp.size, 1 + ENERGY_NODES_KEV.size)
    uniform = heating.spectra[1:, 0, -1].real
    per_power = thermosphere.heat_capacity[:, None] / GIGAWATT * (heating.profiles[:, 1:] @ uniform) / uniform.sum(0)
    held = np.clip(energy, ENERGY_NODES_KEV[0], ENERGY_NODES_KEV[-1])
    expected = particle_profile(thermosphere, np.array([CHARACTERISTIC_ENERGY_KEV, held]))
    at_node = np.isclose(held, ENERGY_NODES_KEV).any()
    scale = np.abs(expected).max(axis=0)
    assert_allclose(per_power[:, 0], expected[:, 0], rtol=0, atol=1e-12 * scale[0])
    # Quadratic in ln E between nodes a factor of two apart; at the top heating per mass falls faster than 1 / E. Of the
    # largest heating per mass 14 % are missed at most, 4 % within a tenth of the usual energy.
    tolerance = 1e-12 if at_node else 0.04 if abs(energy - CHARACTERISTIC_ENERGY_KEV) <= 0.21 else 0.15
    assert_allclose(per_power[:, 1], expected[:, 1], rtol=0, atol=tolerance * scale[1])
    # All of the power stays in the column, whatever its energy.
    assert_allclose(thermosphere.layer_mass @ per_power, 1.0, rtol=1e-12)


def test_that_members_of_one_energy_share_its_profile(
    forced: Forcing, thermosphere: ReferenceColumn, storm: Drivers, quiet: Drivers
) -> None:
    plain = heating_of(forced, thermosphere, storm, quiet)
    assert plain.profiles.shape == (thermosphere.zp.size, 2)
    other = heating_of(forced, thermosphere, storm, quiet, auroral_energy_kev=[0.0, 1e-9])
    whole = [one.profiles @ one.spectra[..., 0].reshape(len(one.spectra), -1) for one in (plain, other)]
    assert_allclose(whole[1], whole[0], rtol=0, atol=1e-12 * np.abs(whole[0]).max())


def test_that_offsets_of_the_solar_wind_act(
    forced: Forcing, thermosphere: ReferenceColumn, windy: Drivers, quiet: Drivers
) -> None:
    velocity, density = [0.0, 80.0, 0.0], [0.0, 0.0, 3.0]
    heating = heating_of(
        forced, thermosphere, windy, quiet, solar_wind_velocity_km_s=velocity, solar_wind_density_cm3=density
    )
    found = heat_gw(forced, heating, thermosphere)
    expected = windy.high_latitude(
        np.array([STORM]), velocity_offset_km_s=np.array(velocity), density_offset_cm3=np.array(density)
    )
    joule = joule_power_gw(expected.hemispheric_power_gw[0], expected.cross_tail_potential_kv[0])
    particles = particle_heating_power_gw(expected.hemispheric_power_gw[0])
    whole = fitted.JOULE_FACTOR * joule + particles
    assert_allclose(found - found[0], whole - whole[0], rtol=1e-8, atol=1e-8)
    assert whole[1] > 1.1 * whole[0]
    assert abs(whole[2] - whole[0]) > 0.1


def test_that_offsets_of_the_solar_wind_are_refused_where_drivers_follow_kp(
    forced: Forcing, thermosphere: ReferenceColumn, storm: Drivers, quiet: Drivers
) -> None:
    with pytest.raises(ValueError, match="follow Kp"):
        heating_of(forced, thermosphere, storm, quiet, solar_wind_velocity_km_s=[10.0])


def test_that_euv_is_proportional_to_the_offset_and_largest_under_the_sun(
    forced: Forcing, thermosphere: ReferenceColumn, quiet: Drivers
) -> None:
    heating = heating_of(forced, thermosphere, quiet, quiet, f107_sfu=[0.0, 5.0, -10.0])
    assert heating.patterns.shape == (*GRID.shape, 1)
    assert_allclose(heating.amplitudes, fitted.EUV_FACTOR * np.array([[0.0, 5.0, -10.0]]), rtol=1e-14)
    upper = heating.patterns[15, ..., 0]
    assert np.all(upper >= 0.0)
    row, column = np.unravel_index(int(np.argmax(upper)), upper.shape)
    assert abs(GRID.latitude[row]) < 30.0
    assert abs(GRID.longitude[column]) <= 15.0


class Measured:
    """A hemispheric power that jumps from one value to another."""

    def __init__(self, before_gw: float, after_gw: float, jump: np.datetime64) -> None:
        self._values, self._jump = (before_gw, after_gw), jump

    def at(self, times: np.ndarray) -> np.ndarray:
        return np.where(times < self._jump, *self._values)


def more_nitric_oxide(forced: Forcing, drivers: Drivers, quiet: Drivers, *ln_factors: float) -> np.ndarray:
    offsets = {"nitric_oxide_ln_factor": np.array(ln_factors)} if ln_factors else {}
    return forced.more_nitric_oxide(STORM, MemberInputs(offsets, drivers), quiet, max(len(ln_factors), 1))


def test_that_auroral_nitric_oxide_is_the_power_beyond_the_quiet_one_times_the_gain(
    forced: Forcing, quiet: Drivers
) -> None:
    calm = float(quiet.hemispheric_power_gw(np.array([STORM]))[0])
    held = replace(quiet, hemispheric_power=Measured(calm + 80.0, calm + 80.0, STORM))
    found = more_nitric_oxide(forced, held, quiet)
    assert_allclose(found, [[0.0], [80.0 * fitted.NITRIC_OXIDE_GAIN_PER_GW]], rtol=1e-12)


def test_that_nitric_oxide_of_the_reference_is_no_more_than_its_own(forced: Forcing, quiet: Drivers) -> None:
    assert_allclose(more_nitric_oxide(forced, quiet, quiet), 0.0, atol=1e-12)


def test_that_a_factor_of_a_member_multiplies_both_kinds_of_nitric_oxide(
    forced: Forcing, storm: Drivers, quiet: Drivers
) -> None:
    found = more_nitric_oxide(forced, storm, quiet, 0.0, 0.5, -0.2)
    assert found[1, 0] > 0.05
    assert_allclose(found[0], np.expm1([0.0, 0.5, -0.2]), rtol=1e-14)
    assert_allclose(found[1] / found[1, 0], np.exp([0.0, 0.5, -0.2]), rtol=1e-14)


def test_that_an_offset_of_hemispheric_power_makes_nitric_oxide(
    forced: Forcing, storm: Drivers, quiet: Drivers
) -> None:
    inputs = MemberInputs({"hemispheric_power_gw": np.array([0.0, 10.0, -5.0])}, storm)
    found = forced.more_nitric_oxide(STORM, inputs, quiet, 3)[1]
    assert_allclose(
        np.diff(found, prepend=0.0)[1:], fitted.NITRIC_OXIDE_GAIN_PER_GW * np.array([10.0, -15.0]), rtol=1e-9
    )


@pytest.mark.parametrize("hours", [3, 12, 24, 48])
def test_that_nitric_oxide_lags_behind_the_power(forced: Forcing, quiet: Drivers, hours: int) -> None:
    jumped = replace(quiet, hemispheric_power=Measured(20.0, 120.0, STORM - hours * HOUR))
    before = replace(quiet, hemispheric_power=Measured(20.0, 20.0, STORM))
    rise = (more_nitric_oxide(forced, jumped, quiet) - more_nitric_oxide(forced, before, quiet))[1, 0]
    # The jump lies in the hour before, on average half an hour earlier.
    closed = -np.expm1(-(hours + 0.5) * 3600.0 / fitted.NITRIC_OXIDE_LAG_S)
    assert_allclose(rise, 100.0 * fitted.NITRIC_OXIDE_GAIN_PER_GW * closed, rtol=1e-3)


def test_that_nitric_oxide_forgets_what_is_older_than_its_history(forced: Forcing, quiet: Drivers) -> None:
    # What lies before counts as what there was when the history begins.
    old = STORM - forcing.NITRIC_OXIDE_HISTORY - HOUR
    found = more_nitric_oxide(forced, replace(quiet, hemispheric_power=Measured(500.0, 20.0, old)), quiet)
    assert_array_equal(
        found, more_nitric_oxide(forced, replace(quiet, hemispheric_power=Measured(20.0, 20.0, old)), quiet)
    )
