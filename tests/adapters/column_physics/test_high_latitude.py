from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.constants import EARTH_RADIUS
from da.drivers import Drivers, load_drivers
from model_adapters.column_physics import fitted, high_latitude
from model_adapters.column_physics.heating import cell_areas
from model_adapters.column_physics.high_latitude import HighLatitudeHeating, PowerHistory
from model_adapters.column_physics.horizontal import meridional_modes
from model_adapters.column_physics.waves import WaveAdjustment, WaveSettings
from model_adapters.tiegcm_grid import thermosphere_layout

GRID = thermosphere_layout(10.0).grid
AREA = cell_areas(GRID.latitude, GRID.longitude.size)
STORM = np.datetime64("2013-03-17T12:20", "ns")
HOUR = np.timedelta64(1, "h")
SETTINGS = WaveSettings(
    fitted.WAVE_SPEED, fitted.WAVE_DRAG_RATE, fitted.HORIZONTAL_DIFFUSIVITY, fitted.ROTATION_DEG_PER_H
)
STEADY_GW = np.array([[200.0, 500.0], [30.0, 90.0]])


def fresh(settings: WaveSettings = SETTINGS) -> HighLatitudeHeating:
    return HighLatitudeHeating(GRID, WaveAdjustment(GRID.latitude, GRID.longitude, settings))


@pytest.fixture(scope="module")
def drivers() -> Drivers:
    """Drivers of the storm of 17 March 2013."""
    return load_drivers(np.datetime64("2013-03-08"), np.datetime64("2013-03-20"))


@pytest.fixture(scope="module")
def calm(drivers: Drivers) -> Drivers:
    return replace(drivers, kp_thirds=np.full_like(drivers.kp_thirds, 9))


def growing(times: np.ndarray) -> np.ndarray:
    """Return powers of two members (2, times, 2) [GW] that grow from day to day."""
    days = (times - np.datetime64("2013-03-08", "ns")) / np.timedelta64(24, "h")
    return np.stack([np.outer(days, [30.0, 50.0]), np.outer(days**2, [1.0, 2.0])])


def steady(times: np.ndarray) -> np.ndarray:
    return np.repeat(STEADY_GW[:, None], times.size, axis=1)


def test_that_the_power_on_the_grid_is_the_power_put_in(drivers: Drivers) -> None:
    heating = fresh()
    maps = heating.spread(heating.spectra(STORM, PowerHistory(drivers, growing)), 450.0)
    assert maps.shape == (2, *AREA.shape, 2)
    assert_allclose(np.einsum("sjim,ji->sm", maps, AREA), growing(np.array([STORM]))[:, 0], rtol=1e-10)


def test_that_heat_is_taken_from_the_oval_and_given_to_low_latitudes(drivers: Drivers) -> None:
    heating, still = fresh(), fresh(replace(SETTINGS, speed_m_s=0.0))
    history = PowerHistory(drivers, steady)
    moved, kept = (one.spread(one.spectra(STORM, history), 0.0)[..., 0] for one in (heating, still))
    oval, equator = np.abs(GRID.latitude) > 60.0, np.abs(GRID.latitude) < 30.0
    assert_allclose(kept[:, equator], 0.0, atol=1e-3 * kept.max())
    assert np.all(moved[:, equator].mean(axis=(1, 2)) > 0.0)
    assert np.all(moved[:, oval].mean(axis=(1, 2)) < 0.5 * kept[:, oval].mean(axis=(1, 2)))


def test_that_heating_does_not_depend_on_what_was_asked_before(drivers: Drivers, calm: Drivers) -> None:
    expected = fresh().spectra(STORM, PowerHistory(drivers, growing))
    used = fresh()
    for hours in (-80, -60, -3, 0, 1, 31):
        for minutes in (0, 7, 20, 31, 40, 45, 52, 58):
            other = STORM + hours * HOUR + np.timedelta64(minutes, "m")
            used.spectra(other, PowerHistory(calm if hours % 2 else drivers, growing))
    assert len(used._spectra) == high_latitude.CACHED_SPECTRA
    assert len(used._weights) == high_latitude.CACHED_WEIGHTS
    assert_array_equal(used.spectra(STORM, PowerHistory(drivers, growing)), expected)


def test_that_steady_heating_is_left_as_by_the_diffusivity_of_the_wave(calm: Drivers) -> None:
    # Zonal means hardly change when the oval turns about the magnetic pole, by less than 2 % of the largest mode (what
    # is even about the equator: 0.3 %), so that the closed form of a steady source holds for them:
    # K / (K + c^2 / (f + K k)) of it is left.
    heating = fresh()
    found = heating.spectra(STORM, PowerHistory(calm, steady))[:, 0]
    still = fresh(replace(SETTINGS, speed_m_s=0.0)).spectra(STORM, PowerHistory(calm, steady))[:, 0]
    square = -meridional_modes(GRID.latitude, 1.0, np.zeros(GRID.latitude.size), EARTH_RADIUS, 1).rate[0]
    waving = square * EARTH_RADIUS**2 > 1e-6
    spread = SETTINGS.speed_m_s**2 / (SETTINGS.drag_rate + SETTINGS.diffusivity_m2_s * square)
    expected = (SETTINGS.diffusivity_m2_s / (SETTINGS.diffusivity_m2_s + spread))[waving, None] * still[:, waving]
    scale = np.abs(still[:, waving]).max(axis=1, keepdims=True)
    assert np.all(np.abs(found[:, waving] - expected) < 0.02 * scale)
    # On the largest scales all but a few percent has been moved.
    assert np.all(np.abs(expected[:, -3:]) < 0.1 * scale)
    assert_allclose(found[:, ~waving], still[:, ~waving], rtol=1e-10)


def test_that_heating_before_the_history_has_done_its_work() -> None:
    waves = WaveAdjustment(GRID.latitude, GRID.longitude, SETTINGS)
    ever = np.array([30.0 * 86400.0])
    forgotten = waves.expansion(ever, np.array([3600.0 * high_latitude.HISTORY_H]))
    # In units of a heating that was always there; one day would leave 5 %.
    assert np.abs(forgotten).max() < 0.01
    assert np.abs(waves.expansion(ever, np.array([86400.0]))).max() > 0.02


def test_that_forgetting_older_heating_hardly_changes_the_maps_of_a_storm(
    drivers: Drivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = np.datetime64("2013-03-19T18:00", "ns")
    short = fresh()
    near = short.spread(short.spectra(at, PowerHistory(drivers, growing)), 450.0)
    monkeypatch.setattr(high_latitude, "HISTORY_H", 150)
    monkeypatch.setattr(high_latitude, "CACHED_SPECTRA", 600)
    far = fresh()
    complete = far.spread(far.spectra(at, PowerHistory(drivers, growing)), 450.0)
    assert np.abs(complete - near).max() < 0.01 * np.abs(complete).max()


def test_that_the_heating_of_an_hour_is_held_at_its_middle(drivers: Drivers) -> None:
    # The oval and the powers of each past hour are asked for at its middle, and those of now at the time itself.
    asked: list[np.ndarray] = []

    def recorded(times: np.ndarray) -> np.ndarray:
        asked.append(times)
        return steady(times)

    fresh().spectra(STORM, PowerHistory(drivers, recorded))
    assert_array_equal(asked[0], [STORM])
    last = np.datetime64("2013-03-17T12:30", "ns")
    assert_array_equal(asked[1], last + HOUR * np.arange(1 - high_latitude.HISTORY_H, 1))


def test_that_the_oval_follows_the_drivers_and_the_sun(drivers: Drivers, calm: Drivers) -> None:
    # Kp of 3 and of 6 to 7: heating reaches lower latitudes; and the centre of the oval turns with midnight.
    heating = fresh(replace(SETTINGS, speed_m_s=0.0))
    maps = {
        name: heating.spread(heating.spectra(time, PowerHistory(one, steady)), 0.0)[0, ..., 0]
        for name, one, time in (
            ("calm", calm, STORM),
            ("storm", drivers, STORM),
            ("later", calm, STORM + 12 * HOUR),
        )
    }
    latitude = {name: np.average(np.abs(GRID.latitude), weights=(one * AREA).sum(axis=1)) for name, one in maps.items()}
    assert latitude["storm"] < latitude["calm"] - 2.0
    assert np.abs(maps["later"] - maps["calm"]).max() > 0.02 * maps["calm"].max()
