from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from da.constants import EARTH_RADIUS
from da.twin.storm_dynamics import STEP_S, LayerState, StormLayer

FREE = StormLayer(
    drag_time_h=np.inf, cooling_time_h=np.inf, overcooling=0.0, smoothing_time_h=np.inf, nitric_oxide_time_h=12.0
)


def disturbed(layer: StormLayer, amplitude: float, degrees: slice = slice(1, 36)) -> LayerState:
    rest = layer.at_rest()
    expansion = rest.expansion.copy()
    expansion[degrees] = amplitude * np.random.default_rng(0).normal(size=expansion[degrees].size)
    return replace(rest, expansion=expansion)


def advanced(layer: StormLayer, state: LayerState, steps: int) -> LayerState:
    nothing = np.zeros(state.expansion.size)
    for _ in range(steps):
        state = layer.step(state, nothing)
    return state


@pytest.mark.parametrize(("amplitude", "tolerance"), [(1e-6, 5e-3), (0.02, 1e-2)])
def test_that_free_waves_keep_their_energy(amplitude: float, tolerance: float) -> None:
    # The scheme takes (w dt)^6 / 72 of the energy of a wave of frequency w in a step: 3e-5 at degree 5, the shortest
    # one here, 4e-3 in 144 steps; nonlinear waves hand energy on to shorter ones.
    begin = disturbed(FREE, amplitude)
    end = advanced(FREE, begin, 144)
    assert FREE.energy(end) == pytest.approx(FREE.energy(begin), rel=tolerance)
    assert np.abs(end.potential).max() > 0.0


def test_that_the_total_is_conserved_by_large_waves_too() -> None:
    begin = disturbed(FREE, 0.1)
    begin.expansion[0] = 0.3
    end = advanced(FREE, begin, 50)
    assert end.mean_expansion == pytest.approx(begin.mean_expansion, rel=1e-12)
    assert np.abs(end.expansion - begin.expansion).max() > 0.05


@pytest.mark.parametrize("degree", [1, 2, 5])
def test_that_a_small_wave_swings_with_the_frequency_of_its_degree(degree: int) -> None:
    # Linear shallow water: w = c sqrt(l (l + 1)) / R. After a whole period the wave is back.
    omega = FREE.speed_m_s * np.sqrt(degree * (degree + 1.0)) / EARTH_RADIUS
    steps = 96
    at = degree * (degree + 1)
    begin = disturbed(FREE, 0.0)
    begin.expansion[at] = 1e-8
    end = advanced(FREE, begin, steps)
    assert end.expansion[at] == pytest.approx(1e-8 * np.cos(omega * STEP_S * steps), abs=3e-10)


def test_that_uniform_heat_decays_with_the_cooling_time_and_faster_after_strong_storms() -> None:
    layer = StormLayer(overcooling=0.0, cooling_time_h=20.0)
    uniform = layer.at_rest()
    uniform.expansion[0] = 0.5 * np.sqrt(4.0 * np.pi)
    left = advanced(layer, uniform, 60).mean_expansion
    assert left == pytest.approx(0.5 * np.exp(-10.0 / 20.0), rel=1e-9)
    weak = replace(uniform, expansion=0.1 * uniform.expansion)
    cooled = StormLayer(overcooling=3.0, overcooled_background=0.0, cooling_time_h=20.0)
    strong_left = advanced(cooled, uniform, 60).mean_expansion / 0.5
    weak_left = advanced(cooled, weak, 60).mean_expansion / 0.05
    assert strong_left < weak_left < left / 0.5
    assert strong_left < 0.9 * weak_left


def test_that_overcooling_ends_below_where_the_storm_began() -> None:
    layer = StormLayer(overcooling=3.0, overcooled_background=0.2)
    state = layer.at_rest()
    state.expansion[0] = 0.8 * np.sqrt(4.0 * np.pi)
    assert advanced(layer, state, 6 * 48).mean_expansion < -0.002


def test_that_a_front_runs_from_the_pole_at_the_stated_speed() -> None:
    layer = StormLayer(drag_time_h=np.inf, cooling_time_h=np.inf, overcooling=0.0, smoothing_time_h=5.0)
    grid = layer.grid
    state = layer.at_rest()
    bump = 1e-3 * np.exp(-0.5 * ((90.0 - grid.latitude) / 12.0) ** 2)
    state = replace(state, expansion=layer.project(bump))
    latitude = np.arange(-90.0, 91.0, 1.0)
    values = layer.harmonics.values(latitude, np.zeros(latitude.size))
    crest = []
    for _ in range(3):
        state = advanced(layer, state, 6)
        crest.append(latitude[np.argmax(values @ state.expansion)])
    travelled_m = EARTH_RADIUS * np.radians(np.diff(crest)[-1] * -1.0)
    # The crest of a bump as wide as this one lags behind its front; one degree and one crest are read to 1 degree.
    assert travelled_m / 3600.0 == pytest.approx(700.0, rel=0.2)
