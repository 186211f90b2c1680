from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import dblquad

from da.constants import EARTH_RADIUS
from da.drivers import cross_tail_potential_from_kp, hemispheric_power_from_kp
from model_adapters.column_physics import heating
from model_adapters.column_physics.thermal import FloatArray, ReferenceColumn

LATITUDE = np.arange(-87.5, 90.0, 5.0)
LONGITUDES = 72
AREA = heating.cell_areas(LATITUDE, LONGITUDES)
LOCAL_TIME = np.broadcast_to(np.arange(LONGITUDES) * (24.0 / LONGITUDES), AREA.shape)
POWER = np.array([12.0, 40.0, 150.0])
POTENTIAL = np.array([20.0, 70.0, 160.0])


def tilted_latitude() -> FloatArray:
    """Magnetic latitude of the grid's cells for a pole 10 degrees off."""
    latitude, longitude = np.radians(LATITUDE)[:, None], 2.0 * np.pi * np.arange(LONGITUDES) / LONGITUDES
    tilt = np.radians(10.0)
    sine = np.sin(latitude) * np.cos(tilt) + np.cos(latitude) * np.sin(tilt) * np.cos(longitude)
    return np.degrees(np.arcsin(sine))


def upright_latitude() -> FloatArray:
    return np.repeat(LATITUDE[:, None], LONGITUDES, axis=1)


def test_that_cells_cover_the_sphere() -> None:
    assert_allclose(AREA.sum(), 4.0 * np.pi * EARTH_RADIUS**2, rtol=1e-14)
    assert np.all(AREA > 0.0)


def test_that_heat_on_the_grid_is_the_power_exactly(thermosphere: ReferenceColumn) -> None:
    oval = heating.auroral_oval(POWER, POTENTIAL)
    capacity = thermosphere.heat_capacity
    cells = thermosphere.layer_mass[:, None, None, None] * AREA[None, :, :, None] * capacity[:, None, None, None]
    joule = heating.heating_rate(
        heating.joule_profile(thermosphere),
        heating.joule_map(oval, tilted_latitude(), LOCAL_TIME, AREA),
        heating.joule_power_gw(POWER, POTENTIAL),
        capacity,
    )
    assert joule.shape == (thermosphere.zp.size, *AREA.shape, 3)
    assert_allclose(np.sum(joule * cells, axis=(0, 1, 2)), 1e9 * heating.joule_power_gw(POWER, POTENTIAL), rtol=1e-12)
    particles = heating.heating_rate(
        heating.particle_profile(thermosphere, np.array([1.0, 2.0, 5.0])),
        heating.particle_map(oval, tilted_latitude(), LOCAL_TIME, AREA, resolution_deg=5.0),
        heating.particle_heating_power_gw(POWER),
        capacity,
    )
    # Two hemispheres, half of the particles' power each.
    assert_allclose(np.sum(particles * cells, axis=(0, 1, 2)), 1e9 * POWER, rtol=1e-12)


@pytest.mark.parametrize("make", [heating.joule_map, heating.particle_map])
def test_that_hemispheres_mirror_each_other_and_share_the_power(make) -> None:
    spread = make(heating.auroral_oval(POWER, POTENTIAL), upright_latitude(), LOCAL_TIME, AREA)
    assert_allclose(spread, spread[::-1], rtol=1e-12)
    northern = tilted_latitude() >= 0.0
    tilted = make(heating.auroral_oval(POWER, POTENTIAL), tilted_latitude(), LOCAL_TIME, AREA)
    assert_allclose(np.sum(tilted * AREA[..., None], axis=(0, 1)), 1.0, rtol=1e-13)
    assert_allclose(np.sum((tilted * AREA[..., None])[northern], axis=0), 0.5, rtol=1e-13)


@pytest.mark.parametrize("share", [0.4, 0.62])
def test_that_joule_heating_is_shared_between_the_hemispheres_as_stated(share: float) -> None:
    northern, oval = tilted_latitude() >= 0.0, heating.auroral_oval(POWER, POTENTIAL)
    power = heating.joule_map(oval, tilted_latitude(), LOCAL_TIME, AREA, northern_share=share) * AREA[..., None]
    assert_allclose(power.sum(axis=(0, 1)), 1.0, rtol=1e-12)
    assert_allclose(power[northern].sum(axis=0), share, rtol=1e-12)


def test_that_summer_gets_its_share_at_solstice_and_half_at_equinox() -> None:
    found = [heating.northern_joule_share(declination, 0.6) for declination in (23.44, 0.0, -23.44)]
    assert_allclose(found, [0.6, 0.5, 0.4], rtol=1e-12)


def test_that_the_oval_without_an_offset_is_the_same_at_all_local_times() -> None:
    oval = heating.auroral_oval(POWER, POTENTIAL)
    spread = heating.joule_map(oval, upright_latitude(), LOCAL_TIME, AREA, offset_deg=0.0)
    assert_allclose(spread, np.broadcast_to(spread[:, :1], spread.shape), rtol=1e-10)
    centre = heating.joule_map(oval, upright_latitude(), LOCAL_TIME, AREA)
    # The circle reaches lower latitudes at midnight (first longitude) than at noon.
    low, midnight, noon = np.searchsorted(LATITUDE, 57.5), 0, LONGITUDES // 2
    assert np.all(centre[low, midnight] > centre[low, noon])


def test_that_heating_is_largest_on_the_circle_and_precipitation_at_midnight() -> None:
    oval = heating.auroral_oval(POWER, POTENTIAL)
    fine = np.arange(-89.5, 90.0, 1.0)
    area = heating.cell_areas(fine, 24)
    local_time = np.broadcast_to(np.arange(24.0), area.shape)
    latitude = np.repeat(fine[:, None], 24, axis=1)
    particles = heating.particle_map(oval, latitude, local_time, area)
    northern = particles[90:]
    crest_midnight = fine[90 + northern[:, 0].argmax(axis=0)]
    crest_noon = fine[90 + northern[:, 12].argmax(axis=0)]
    # Half a cell of 1 degree.
    assert np.all(np.abs(90.0 - oval.radius_deg - 1.0 - crest_midnight) <= 0.51)
    assert np.all(np.abs(90.0 - oval.radius_deg + 1.0 - crest_noon) <= 0.51)
    ratio = northern[:, 0].max(axis=0) / northern[:, 12].max(axis=0)
    assert_allclose(ratio, oval.midnight_flux / oval.noon_flux, rtol=0.06)
    assert np.all(ratio > 1.5)


def test_that_the_oval_grows_with_its_drivers() -> None:
    kp = np.linspace(0.0, 9.0, 19)
    oval = heating.auroral_oval(hemispheric_power_from_kp(kp), cross_tail_potential_from_kp(kp))
    assert np.all(np.diff(oval.radius_deg) > 0.0)
    assert np.all(np.diff(oval.midnight_half_width_deg) > 0.0)
    # Feldstein's oval at midnight: from about 70 degrees in quiet to 60 and less in storms.
    assert 68.0 < 90.0 - oval.radius_deg[0] < 72.0
    assert 60.0 < 90.0 - oval.radius_deg[-1] < 66.0


def test_that_joule_power_is_the_dissipation_of_its_potential() -> None:
    power, potential = np.array([50.0]), np.array([80.0])
    oval = heating.auroral_oval(power, potential)
    radius, width = float(oval.radius_deg[0]), float(oval.width_deg[0])
    flux = 1e12 * power[0] / oval.area[0]
    ring = np.hypot(heating.BACKGROUND_CONDUCTANCE, 5.0 * np.sqrt(flux))

    def loss(r: float, _angle: float) -> float:
        field = 0.5 * 80e3 / radius * (1.0 if r < radius else (radius / r) ** 2)
        inside = abs(r - radius) < 0.5 * width
        return float(field**2 * (ring if inside else heating.BACKGROUND_CONDUCTANCE) * r)

    edges = [0.0, radius - 0.5 * width, radius, radius + 0.5 * width, 200.0 * radius]
    total = sum(
        dblquad(loss, 0.0, 2.0 * np.pi, a + 1e-9, b - 1e-9)[0] for a, b in zip(edges[:-1], edges[1:], strict=True)
    )
    # What lies beyond 200 radii is 1/40000 of the outer half.
    assert_allclose(heating.joule_power_gw(power, potential), 2e-9 * total, rtol=1e-4)


def test_that_joule_power_has_the_published_size_and_signs() -> None:
    kp = np.array([1.0, 2.3, 5.0, 8.0])
    power, potential = hemispheric_power_from_kp(kp), cross_tail_potential_from_kp(kp)
    joule = heating.joule_power_gw(power, potential)
    # Knipp et al. (2004): 95 GW in the mean, with storms; more than the sun's 464 GW in the fifteen largest of them.
    assert 5.0 < joule[0] < joule[1] < 95.0 < joule[2] < 464.0 < joule[3] < 2000.0
    assert np.all(heating.joule_power_gw(power + 5.0, potential) > joule)
    assert np.all(heating.joule_power_gw(power, potential + 5.0) > joule)


def test_that_offsets_below_the_smallest_drivers_count_as_these() -> None:
    assert_allclose(heating.joule_power_gw(-3.0, -10.0), heating.joule_power_gw(1.0, 5.0))
    assert_allclose(heating.particle_heating_power_gw(-3.0), heating.particle_heating_power_gw(1.0))


def test_that_joule_heating_is_positive_and_grows_upward_from_the_bottom_of_the_region(
    thermosphere: ReferenceColumn,
) -> None:
    profile = heating.joule_profile(thermosphere)
    assert np.all(profile > 0.0)
    assert_allclose(profile @ thermosphere.layer_mass, 1.0, rtol=1e-13)
    # Per volume the largest heating is that of the Pedersen conductivity, at 110 to 150 km.
    by_volume = profile * thermosphere.density
    assert -5.0 <= thermosphere.zp[by_volume.argmax()] <= -2.5
    assert profile[thermosphere.zp > -3.0].min() > 10.0 * profile[0]


@pytest.mark.parametrize(("energy", "lost"), [(0.5, 0.08), (2.0, 0.04), (5.0, 0.02), (20.0, 0.02)])
def test_that_electrons_leave_their_power_in_the_atmosphere(energy: float, lost: float) -> None:
    zp = np.arange(-20.0, 14.0, 0.05)
    column_mass = 5e-5 * np.exp(-zp) / 9.0
    left = np.sum(heating.fang_dissipation(column_mass, np.array(energy))) * 0.05
    # The soft ones are scattered back in part; the authors give a few per cent as the error of the fit.
    assert 1.0 - lost < left < 1.01


def test_that_harder_electrons_go_deeper(thermosphere: ReferenceColumn) -> None:
    profile = heating.particle_profile(thermosphere, np.array([0.5, 2.0, 8.0]))
    assert np.all(profile > 0.0)
    assert_allclose(thermosphere.layer_mass @ profile, np.ones(3), rtol=1e-13)
    depth = (thermosphere.layer_mass * thermosphere.zp) @ profile
    assert np.all(np.diff(depth) < 0.0)
    # Ionisation by 2 keV (mean 4 keV) is largest at 110 to 130 km.
    crest = thermosphere.zp[(profile[:, 1] * thermosphere.layer_mass).argmax()]
    assert -5.5 <= crest <= -3.0


def test_that_members_do_not_depend_on_their_neighbours(thermosphere: ReferenceColumn) -> None:
    together = heating.particle_map(heating.auroral_oval(POWER, POTENTIAL), tilted_latitude(), LOCAL_TIME, AREA)
    alone = heating.particle_map(heating.auroral_oval(POWER[1:2], POTENTIAL[1:2]), tilted_latitude(), LOCAL_TIME, AREA)
    assert_allclose(together[..., 1], alone[..., 0], rtol=1e-14)


def test_that_wrong_input_is_refused(thermosphere: ReferenceColumn) -> None:
    with pytest.raises(ValueError, match="characteristic energy"):
        heating.particle_profile(thermosphere, np.array([0.0]))
    with pytest.raises(ValueError, match="no cell near"):
        heating.joule_map(heating.auroral_oval(POWER, POTENTIAL), np.abs(upright_latitude()), LOCAL_TIME, AREA)
