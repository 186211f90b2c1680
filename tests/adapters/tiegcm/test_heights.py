"""Heights and densities against the model's own, and against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netCDF4 import Dataset
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from da.hydrostatics import effective_radius, geometric_height, mid_level_height, surface_gravity
from da.operators import modelled_density
from model_adapters.tiegcm import heights
from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.model_time import Version
from model_adapters.tiegcm.state import layout_of, read_state

FloatArray = NDArray[np.float64]
VERSIONS: tuple[Version, ...] = ("2.0", "3.0")
FIVE_DEGREES = np.linspace(-87.5, 87.5, 36)


def _fields(path: Path, *names: str) -> tuple[FloatArray, ...]:
    with Dataset(path) as dataset:
        dataset.set_auto_maskandscale(False)
        return tuple(np.asarray(dataset[name][0], dtype=np.float64) for name in names)


def _uniform(levels: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    latitude = np.array([-67.5, -22.5, 22.5, 67.5])
    shape = (levels, 4, 3, 2)
    return np.full(shape, 800.0), np.full(shape, 20e-3), np.full(shape[1:], 97e3), latitude


@pytest.mark.parametrize(("version", "tolerance_m"), [("2.0", 0.5), ("3.0", 20.0)])
def test_that_the_geopotential_of_the_previous_step_is_that_on_file(
    real_history: dict[str, Path], version: Version, tolerance_m: float
) -> None:
    # The model computes Z from the fields before the step; on file these have passed its time filter, which in 2.0
    # (steady after three days) moves heights by 0.4 m at most and in 3.0 (ten minutes after the start) by 16 m.
    temperature, w_o, w_o2, w_he, height = _fields(real_history[version], "TN_NM", "O1_NM", "O2_NM", "HE_NM", "Z")
    mass = heights.molar_mass(w_o, w_o2, w_he)
    computed = heights.geopotential_height(version, temperature, mass, 1e-2 * height[0], 0.5)
    assert_allclose(computed[:-1], 1e-2 * height, rtol=0.0, atol=tolerance_m)


def test_that_each_version_has_its_own_molar_mass_of_a_layer(real_history: dict[str, Path]) -> None:
    temperature, w_o, w_o2, w_he, height = _fields(real_history["3.0"], "TN_NM", "O1_NM", "O2_NM", "HE_NM", "Z")
    mass = heights.molar_mass(w_o, w_o2, w_he)
    as_in_2_0 = heights.geopotential_height("2.0", temperature, mass, 1e-2 * height[0], 0.5)
    assert np.max(np.abs(as_in_2_0[:-1] - 1e-2 * height)) > 1000.0


def test_that_geometric_heights_agree_with_those_of_the_model_to_500_m_below_the_top(
    real_history: dict[str, Path],
) -> None:
    # ZG lags T by one step of 60 s, which moves Z by up to 0.48 km in the primary history of the same run.
    names = ("TN", "O1", "O2", "HE", "Z", "ZG", "ZGMID")
    temperature, w_o, w_o2, w_he, geopotential, expected, expected_mid = _fields(real_history["secondary"], *names)
    mass = heights.molar_mass(w_o, w_o2, w_he)
    computed = heights.geometric_height("2.0", temperature, mass, 1e-2 * geopotential[0], FIVE_DEGREES, 0.5)
    error = (computed[:-1] - 1e-2 * expected)[:-1]
    assert np.max(np.abs(error)) < 500.0
    # The lag comes and goes with local time; the mean over the globe hardly moves in a step.
    assert np.max(np.abs(error.mean(axis=(1, 2)))) < 2.0
    assert np.max(np.abs(heights.at_levels(computed) - 1e-2 * expected_mid)[:-2]) < 500.0


def test_that_the_models_own_heights_at_the_top_are_extrapolated_and_too_low(real_history: dict[str, Path]) -> None:
    names = ("TN", "O1", "O2", "HE", "Z", "ZG", "ZGMID")
    temperature, w_o, w_o2, w_he, geopotential, height, middle = _fields(real_history["secondary"], *names)
    # To rounding: 4 cm in float32 at 650 km, doubled by the extrapolation.
    assert_allclose(height[-1], 2.0 * height[-2] - height[-3], rtol=0.0, atol=16.0)
    assert_allclose(middle[-1], 1.5 * height[-1] - 0.5 * height[-2], rtol=0.0, atol=16.0)
    mass = heights.molar_mass(w_o, w_o2, w_he)
    ours = heights.at_levels(
        heights.geometric_height("2.0", temperature, mass, 1e-2 * geopotential[0], FIVE_DEGREES, 0.5)
    )
    lack = ours - 1e-2 * middle
    assert 1e3 < lack[-2].mean() < 4e3
    assert 8e3 < lack[-1].mean() < 16e3


def test_that_the_geometric_height_is_exact_to_2_m_where_the_thickness_is_that_of_the_file(
    real_history: dict[str, Path],
) -> None:
    # Temperatures from the thickness of Z on file have no lag: what remains is the formula and rounding to float32.
    names = ("O1", "O2", "HE", "Z", "ZG")
    w_o, w_o2, w_he, geopotential, expected = _fields(real_history["secondary"], *names)
    mass = heights.molar_mass(w_o, w_o2, w_he)
    at_interfaces = heights.interface_molar_mass(mass)
    layer_mass = 0.5 * (at_interfaces[1:] + at_interfaces[:-1])
    temperature = np.full_like(mass, np.nan)
    temperature[:-1] = 1e-2 * np.diff(geopotential, axis=0) * 8.70 * layer_mass / (0.5 * 8.314)
    computed = heights.geometric_height("2.0", temperature, mass, 1e-2 * geopotential[0], FIVE_DEGREES, 0.5)
    assert_allclose(computed[:-2], 1e-2 * expected[:-1], rtol=0.0, atol=2.0)


def test_that_densities_at_interfaces_agree_with_den_to_015_percent_but_at_the_faulty_top(
    real_history: dict[str, Path],
) -> None:
    names = ("TN", "O1", "O2", "HE", "TLBC", "DEN")
    temperature, w_o, w_o2, w_he, bottom, expected = _fields(real_history["secondary"], *names)
    mass = heights.molar_mass(w_o, w_o2, w_he)
    computed = heights.interface_density(np.arange(-7.0, 7.5, 0.5), temperature, mass, bottom)
    ratio = computed / (1e3 * expected)
    assert np.max(np.abs(ratio[:-1] - 1.0)) < 1.5e-3
    # The model's fault: e^0.5 too much at the highest interface; there a step changes density by up to 0.17 %.
    assert_allclose(ratio[-1] * np.exp(0.5), 1.0, rtol=2e-3)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_the_observation_operator_and_the_model_have_the_same_density_at_levels(
    real_history: dict[str, Path], version: Version
) -> None:
    # Constants differ: R by 5.5e-5, the molar mass of N2 by 4.8e-4 and of He by 6.5e-4.
    path = real_history[version]
    header = read_header(path)
    layout = layout_of(header)
    states = read_state(path, header.times[0], layout)[:, None]
    temperature, *fractions = (
        layout.field(states, name)
        for name in ("temperature", "mass_fraction_O", "mass_fraction_O2", "mass_fraction_He")
    )
    ours = modelled_density(header.pressure, temperature, *fractions)
    model = heights.level_density(header.level, temperature, heights.molar_mass(*fractions))
    assert_allclose(ours, model, rtol=7e-4)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_an_isothermal_mixed_atmosphere_has_the_closed_form_geopotential(version: Version) -> None:
    temperature, mass, bottom, _ = _uniform(9)
    computed = heights.geopotential_height(version, temperature, mass, bottom, 0.5)
    expected = 97e3 + 8.314 * 800.0 / (20e-3 * 8.70) * 0.5 * np.arange(10.0)
    assert_allclose(computed, np.broadcast_to(expected[:, None, None, None], computed.shape), rtol=1e-14)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_geometric_heights_converge_with_the_step_to_hydrostatic_balance_of_their_gravity(
    version: Version,
) -> None:
    # g is taken at (ZG + Z) / 2, with Z above ZG by some permille: the limit is not the exact height, but within 2 %
    # of the difference that variable gravity makes. In the small, 1 km, the exact law holds to second order.
    temperature, mass, bottom, latitude = _uniform(9)
    step = 1e3 / (8.314 * 800.0 / (20e-3 * 8.70)) / 8.0
    computed = heights.geometric_height(version, temperature, mass, bottom, latitude, step)[-2]
    radius = effective_radius(latitude)[:, None, None]
    start = radius * bottom / (radius + bottom)
    gas = heights.HEIGHT_GAS_CONSTANT * 800.0 / 20e-3
    exact = geometric_height(start + gas * 8.0 * step / surface_gravity(latitude)[:, None, None], radius)
    assert_allclose(computed - bottom, exact - bottom, rtol=1e-4)


def test_that_heights_lie_within_800_m_of_the_exact_integral_up_to_the_top(real_history: dict[str, Path]) -> None:
    path = real_history["2.0"]
    header = read_header(path)
    layout = layout_of(header)
    states = read_state(path, header.times[0], layout)[:, None]
    bottom, _ = heights.read_bottom(path, header.times[0])
    model = heights.state_height("2.0", states, layout, bottom[..., None])
    fractions = [layout.field(states, f"mass_fraction_{species}") for species in ("O", "O2", "He")]
    exact = mid_level_height(
        layout.field(states, "temperature"),
        heights.molar_mass(*fractions),
        bottom[..., None],
        header.latitude,
        header.level_step,
    )
    # The exact one lies lower by what the model's g(ZG, Z) makes, and takes trapezoids instead of steps.
    difference = model - exact
    assert np.max(model) > 650e3
    assert np.max(np.abs(difference)) < 800.0


@pytest.mark.parametrize("version", VERSIONS)
def test_that_members_have_the_heights_they_have_alone(
    tmp_path: Path, small_history: Callable[..., Path], version: Version
) -> None:
    path = small_history(tmp_path / "a.nc", version)
    header = read_header(path)
    layout = layout_of(header)
    state = read_state(path, header.times[0], layout)
    states = np.stack([state, 1.01 * state], axis=1)
    bottom, surface = heights.read_bottom(path, header.times[0])
    assert_allclose(bottom, 96372.29, rtol=1e-9)
    assert_array_equal(surface, np.full((4, 8), 181.0))
    bottoms = np.stack([bottom, bottom + 1e3], axis=-1)
    together = heights.state_height(version, states, layout, bottoms)
    assert together.shape == (29, 4, 8, 2)
    assert np.all(np.diff(together, axis=0) > 0.0)
    for member in range(2):
        part = slice(member, member + 1)
        assert_array_equal(
            heights.state_height(version, states[:, part], layout, bottoms[..., part]), together[..., part]
        )


def test_that_the_slot_without_data_does_not_matter_for_heights_and_interface_densities() -> None:
    temperature, mass, bottom, latitude = _uniform(8)
    junk = temperature.copy()
    junk[-1] = 1e36
    for version in VERSIONS:
        assert_array_equal(
            heights.geometric_height(version, junk, mass, bottom, latitude, 0.5),
            heights.geometric_height(version, temperature, mass, bottom, latitude, 0.5),
        )
    interface, surface = -7.0 + 0.5 * np.arange(8), np.full(bottom.shape, 181.0)
    assert_array_equal(
        heights.interface_density(interface, junk, mass, surface),
        heights.interface_density(interface, temperature, mass, surface),
    )
