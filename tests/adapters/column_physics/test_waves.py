from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from da.constants import EARTH_RADIUS
from model_adapters.column_physics.horizontal import meridional_modes
from model_adapters.column_physics.waves import WaveAdjustment, WaveSettings

LATITUDE = np.arange(-85.0, 90.0, 10.0)
LONGITUDE = np.arange(-180.0, 180.0, 15.0)
SETTINGS = WaveSettings(speed_m_s=560.0, drag_rate=1.0 / 28800.0, diffusivity_m2_s=2.0e8, rotation_deg_per_h=-9.75)
STILL = replace(SETTINGS, rotation_deg_per_h=0.0)
HOUR = 3600.0


def heating() -> np.ndarray:
    """Return a positive map (latitudes, longitudes) without any symmetry."""
    return np.random.default_rng(4).gamma(2.0, size=(LATITUDE.size, LONGITUDE.size))


def area_mean(maps: np.ndarray) -> np.ndarray:
    area = np.cos(np.radians(LATITUDE))
    return np.asarray(np.einsum("j,ji...->...", area / area.sum(), maps) / LONGITUDE.size)


def expanded(waves: WaveAdjustment, source: np.ndarray, begin_h: float, end_h: float) -> np.ndarray:
    """Return the map of d by a source held from one time to another, in hours before now."""
    weights = waves.expansion(np.array([begin_h * HOUR]), np.array([end_h * HOUR]))[0]
    return waves.maps((weights * waves.spectrum(source))[..., None])[..., 0]


def squares(latitude: np.ndarray, wavenumbers: int) -> np.ndarray:
    """Return k of the modes [m-2] (wavenumbers, modes)."""
    return np.asarray(-meridional_modes(latitude, 1.0, np.zeros(latitude.size), EARTH_RADIUS, wavenumbers).rate)


def test_that_maps_come_back_from_their_spectra() -> None:
    waves = WaveAdjustment(LATITUDE, LONGITUDE, SETTINGS)
    source = np.stack([heating(), heating() ** 2], axis=0)
    spectra = np.moveaxis(waves.spectrum(source), 0, -1)
    assert_allclose(np.moveaxis(waves.maps(spectra), -1, 0), source, rtol=0, atol=1e-12 * source.max())


@pytest.mark.parametrize(("begin_h", "end_h"), [(0.5, 0.0), (6.0, 5.0), (48.0, 0.0)])
def test_that_winds_move_heat_and_make_none(begin_h: float, end_h: float) -> None:
    cooling = expanded(WaveAdjustment(LATITUDE, LONGITUDE, SETTINGS), heating(), begin_h, end_h)
    assert np.abs(cooling).max() > 1e-3
    assert_allclose(area_mean(cooling), 0.0, atol=1e-12 * np.abs(cooling).max())


def test_that_without_speed_heat_stays_where_it_is() -> None:
    waves = WaveAdjustment(LATITUDE, LONGITUDE, replace(SETTINGS, speed_m_s=0.0))
    assert np.all(expanded(waves, heating(), 12.0, 0.0) == 0.0)


def test_that_uniform_heating_drives_no_wind() -> None:
    waves = WaveAdjustment(LATITUDE, LONGITUDE, SETTINGS)
    assert_allclose(expanded(waves, np.ones_like(heating()), 24.0, 0.0), 0.0, atol=1e-12)


def numerical(square: float, settings: WaveSettings, begin_s: float, end_s: float) -> float:
    """Return d of one mode by the two equations of the module, integrated numerically."""
    fading, stiffness = settings.diffusivity_m2_s * square, settings.speed_m_s**2 * square

    def tendency(source: float, values: np.ndarray) -> list[float]:
        heat, cooling = values
        return [source - cooling - fading * heat, stiffness * heat - (settings.drag_rate + fading) * cooling]

    values = np.zeros(2)
    for source, duration in ((1.0, begin_s - end_s), (0.0, end_s)):
        if duration > 0.0:
            options = {"method": "DOP853", "rtol": 1e-10, "atol": 1e-13}
            values = solve_ivp(lambda _, y, s=source: tendency(s, y), (0.0, duration), values, **options).y[:, -1]
    return float(values[1])


@pytest.mark.parametrize("damping", [0.0, 0.3, 1.0, 8.0], ids=["undamped", "ringing", "critical", "overdamped"])
@pytest.mark.parametrize(("begin_h", "end_h"), [(0.5, 0.0), (3.0, 2.0), (20.0, 8.0)])
def test_that_the_expansion_is_the_solution_of_its_equations(damping: float, begin_h: float, end_h: float) -> None:
    wavenumbers = LONGITUDE.size // 2 + 1
    square = squares(LATITUDE, wavenumbers)
    for chosen in ((0, -2), (1, -1), (2, -3)):
        # Where the drag is twice the frequency, both roots are one.
        drag = damping * 2.0 * STILL.speed_m_s * np.sqrt(square[chosen])
        settings = replace(STILL, drag_rate=float(drag))
        waves = WaveAdjustment(LATITUDE, LONGITUDE, settings)
        found = waves.expansion(np.array([begin_h * HOUR]), np.array([end_h * HOUR]))[0][chosen]
        expected = numerical(float(square[chosen]), settings, begin_h * HOUR, end_h * HOUR)
        # At criticality the tiny distance between the roots, 1e-9 s-1, leaves eps / (1e-9 s-1 * time).
        assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_that_steady_heating_is_spread_as_by_a_diffusivity_of_speed_squared_over_drag() -> None:
    # E = S / (D k), D = K + c^2 / (f + K k), and K k E is what is left of S for diffusion to spread.
    waves = WaveAdjustment(LATITUDE, LONGITUDE, STILL)
    square = squares(LATITUDE, LONGITUDE.size // 2 + 1)
    left = 1.0 - waves.expansion(np.array([60.0 * 86400.0]), np.zeros(1))[0].real
    fading = STILL.diffusivity_m2_s * square
    total = STILL.diffusivity_m2_s + STILL.speed_m_s**2 / (STILL.drag_rate + fading)
    waving = square * EARTH_RADIUS**2 > 1e-6
    assert_allclose(left[waving], (STILL.diffusivity_m2_s / total)[waving], rtol=1e-9)
    assert_allclose(left[~waving], 1.0, rtol=1e-12)


def test_that_a_pulse_travels_at_the_speed_of_the_wave() -> None:
    latitude = np.arange(-89.0, 90.0, 2.0)
    settings = WaveSettings(speed_m_s=600.0, drag_rate=0.0, diffusivity_m2_s=0.0, rotation_deg_per_h=0.0)
    waves = WaveAdjustment(latitude, np.arange(-180.0, 180.0, 90.0), settings)
    cap = np.exp(-0.5 * ((90.0 - latitude) / 6.0) ** 2)[:, None] * np.ones(4)
    metres_per_degree = np.pi * EARTH_RADIUS / 180.0
    times = np.arange(3.0, 8.5, 0.5) * HOUR
    weights = waves.expansion(times, times - 60.0)
    spectrum = waves.spectrum(cap)
    # Ahead of the pulse winds converge, which heats: the front is where d is least.
    fronts = [latitude[int(np.argmin(waves.maps((one * spectrum)[..., None])[:, 0, 0]))] for one in weights]
    travelled = settings.speed_m_s * times / metres_per_degree
    moved, expected = fronts[0] - np.array(fronts), travelled - travelled[0]
    assert expected[-1] > 90.0
    assert np.all(np.abs(moved - expected) <= 2.0)


def test_that_intervals_add_up() -> None:
    waves = WaveAdjustment(LATITUDE, LONGITUDE, STILL)
    edges = np.array([9.0, 7.5, 4.0, 1.0, 0.0]) * HOUR
    parts = waves.expansion(edges[:-1], edges[1:]).sum(axis=0)
    assert_allclose(parts, waves.expansion(edges[:1], edges[-1:])[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cells", [1, 7])
def test_that_no_longitude_is_special(cells: int) -> None:
    waves = WaveAdjustment(LATITUDE, LONGITUDE, SETTINGS)
    source = heating()
    turned = expanded(waves, np.roll(source, cells, axis=1), 7.0, 1.0)
    assert_allclose(turned, np.roll(expanded(waves, source, 7.0, 1.0), cells, axis=1), rtol=0, atol=1e-12)


def test_that_north_and_south_are_alike() -> None:
    waves = WaveAdjustment(LATITUDE, LONGITUDE, SETTINGS)
    source = heating()
    mirrored = expanded(waves, source[::-1], 7.0, 1.0)
    assert_allclose(mirrored, expanded(waves, source, 7.0, 1.0)[::-1], rtol=0, atol=1e-11)


def test_that_the_wave_turns_with_the_anomalies() -> None:
    # From the middle of the time of heating: four cells of 15 degrees in 6 h at -10 degrees an hour.
    turning = WaveAdjustment(LATITUDE, LONGITUDE, replace(SETTINGS, rotation_deg_per_h=-10.0))
    still = WaveAdjustment(LATITUDE, LONGITUDE, STILL)
    source = heating()
    found = expanded(turning, source, 6.5, 5.5)
    assert_allclose(found, np.roll(expanded(still, source, 6.5, 5.5), -4, axis=1), rtol=0, atol=1e-12)


def test_that_what_drifts_fades_by_diffusion_and_keeps_its_mean() -> None:
    waves = WaveAdjustment(LATITUDE, LONGITUDE, SETTINGS)
    source = heating()
    drifted = waves.maps((waves.drift(2.0 * HOUR) * waves.spectrum(source))[..., None])[..., 0]
    assert_allclose(area_mean(drifted), area_mean(source), rtol=1e-12)
    assert drifted.std() < 0.5 * source.std()
    square = squares(LATITUDE, LONGITUDE.size // 2 + 1)
    expected = np.exp(-SETTINGS.diffusivity_m2_s * np.maximum(square, 0.0) * 2.0 * HOUR)
    assert_allclose(np.abs(waves.drift(2.0 * HOUR)), expected, rtol=1e-12)
