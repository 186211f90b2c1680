from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.drivers import Drivers, load_drivers
from da.errors import ThermodaError
from da.model import StateGrid
from da.msis import Atmosphere, GeomagneticActivity, Msis, MsisVersion
from model_adapters.msis_reference import (
    SPECIES,
    DriverNodes,
    MsisReference,
    hermite_profiles,
    member_kp_offset,
    trigonometric_interpolation,
)

NOON = np.datetime64("2010-04-08T12:00", "ns")
STORM = np.datetime64("2010-04-05T12:00", "ns")
LEVELS = np.arange(-6.75, 7.5, 0.5)
NONE = np.zeros(1)


def constant_drivers(kp_thirds: int, f107_sfu: float = 80.0) -> Drivers:
    days = 12
    return Drivers(
        day=np.datetime64("2010-04-01") + np.arange(days),
        f107_observed_sfu=np.full(days, f107_sfu),
        f107_81day_sfu=np.full(days, f107_sfu),
        kp_thirds=np.full(8 * days, kp_thirds),
        source="made for a test",
    )


def reference(
    step_deg: float = 30.0, nodes: DriverNodes | None = None, version: MsisVersion = MsisVersion.MSIS21
) -> MsisReference:
    latitude = np.arange(-90.0 + 0.5 * step_deg, 90.0, step_deg)
    grid = StateGrid(LEVELS, latitude, np.arange(-180.0, 180.0, step_deg))
    nodes = nodes or DriverNodes(16.0, 1.5)
    return MsisReference(grid, TIEGCM_REFERENCE_PRESSURE, version, GeomagneticActivity.STORM, nodes)


def log_variables(variables: dict[str, np.ndarray]) -> np.ndarray:
    """Return ln T and the three ln(w / w_N2), (variables, levels, latitudes, longitudes, members)."""
    return np.stack([np.log(variables["temperature"]), *(variables[name] for name in SPECIES)])


@pytest.mark.parametrize("f107", [16.0, 5.0])
@pytest.mark.parametrize("kp", [1.5, 0.5])
def test_that_the_weights_at_the_nodes_choose_the_node(f107: float, kp: float) -> None:
    nodes = DriverNodes(f107, kp)
    offsets = np.array(nodes.offsets())
    assert_allclose(nodes.weights(offsets[:, 0], offsets[:, 1]), np.eye(6), rtol=0, atol=1e-15)


def test_that_weights_sum_to_one_and_reproduce_every_polynomial_of_second_order() -> None:
    nodes = DriverNodes(16.0, 1.5)
    x, y = np.random.default_rng(1).uniform(-2.0, 2.0, (2, 100)) * [[16.0], [1.5]]

    def monomials(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([np.ones_like(x), x, y, x**2, x * y, y**2])

    at_nodes = monomials(*np.array(nodes.offsets()).T)
    weights = nodes.weights(x, y)
    assert_allclose(weights.sum(axis=0), 1.0, rtol=0, atol=1e-14)
    assert_allclose(at_nodes @ weights, monomials(x, y), rtol=1e-12, atol=1e-12)


def test_that_an_offset_of_a_node_gives_nrlmsis_at_the_shifted_drivers() -> None:
    nodes = DriverNodes(16.0, 1.0)
    members = reference(nodes=nodes).at(
        constant_drivers(9),
        NOON,
        np.array([0.0, 16.0, -16.0, 0.0, 0.0, 16.0]),
        np.array([0.0, 0.0, 0.0, 1.0, -1.0, 1.0]),
    )
    shifted = [(9, 80.0), (9, 96.0), (9, 64.0), (12, 80.0), (6, 80.0), (12, 96.0)]
    for member, (kp_thirds, f107) in enumerate(shifted):
        variables, bottom = reference(nodes=nodes).at(constant_drivers(kp_thirds, f107), NOON, NONE, NONE)
        # NRLMSIS answers in single precision: number densities are good to 4e-6.
        found, expected = log_variables(members[0])[..., member], log_variables(variables)[..., 0]
        assert_allclose(found, expected, rtol=0, atol=2e-5)
        assert_allclose(members[1][..., member], bottom[..., 0], rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("f107", "kp", "ln_t", "ln_ratio"),
    [
        (8.0, 0.0, 2e-4, 6e-3),
        (-8.0, 0.0, 2e-4, 6e-3),
        (24.0, 0.0, 6e-4, 9e-3),
        (-24.0, 0.0, 6e-4, 9e-3),
        # What NRLMSIS adds for ap bends where ap(Kp) does, which no parabola follows.
        (0.0, 0.75, 2e-2, 9e-2),
        (8.0, -0.75, 2e-2, 9e-2),
    ],
)
def test_that_the_polynomial_is_good_between_the_nodes(
    april_2010: Drivers, f107: float, kp: float, ln_t: float, ln_ratio: float
) -> None:
    between = log_variables(reference().at(april_2010, STORM, np.array([f107]), np.array([kp]))[0])
    # The corner (x, y) of finer nodes is a node, so that this is NRLMSIS itself.
    exact = DriverNodes(abs(f107) or 16.0, abs(kp) or 1.5)
    if f107 * kp < 0.0:
        shifted = replace(
            april_2010,
            f107_observed_sfu=april_2010.f107_observed_sfu + f107,
            f107_81day_sfu=april_2010.f107_81day_sfu + f107,
        )
        direct = log_variables(reference(nodes=exact).at(shifted, STORM, NONE, np.array([kp]))[0])
    else:
        direct = log_variables(reference(nodes=exact).at(april_2010, STORM, np.array([f107]), np.array([kp]))[0])
    error = np.abs(between - direct).max(axis=(1, 2, 3, 4))
    assert error[0] < ln_t
    assert error[1:].max() < ln_ratio


def test_that_interpolation_to_five_degrees_is_as_good_as_claimed(april_2010: Drivers) -> None:
    fine = StateGrid(LEVELS, np.arange(-87.5, 90.0, 5.0), np.arange(-180.0, 180.0, 5.0))
    # Twelve latitudes 15 degrees apart and eight longitudes 45 degrees apart are evaluated as they are.
    few = StateGrid(LEVELS, np.arange(-82.5, 90.0, 15.0), np.arange(-180.0, 180.0, 45.0))
    interpolated, direct = (
        MsisReference(
            grid, TIEGCM_REFERENCE_PRESSURE, MsisVersion.MSIS21, GeomagneticActivity.STORM, DriverNodes(16.0, 1.5)
        )
        for grid in (fine, few)
    )
    variables, bottom = interpolated.at(april_2010, STORM, NONE, NONE)
    expected, expected_bottom = direct.at(april_2010, STORM, NONE, NONE)
    error = np.abs(log_variables(variables)[:, :, 1::3, ::9] - log_variables(expected)).max(axis=(1, 2, 3, 4))
    assert error[0] < 7e-4
    assert error[1:].max() < 5e-3
    assert_allclose(bottom[1::3, ::9], expected_bottom, rtol=0, atol=10.0)


@pytest.mark.parametrize("n", [4, 16])
def test_that_trigonometric_interpolation_is_exact_below_half_the_number_of_nodes(n: int) -> None:
    nodes = -180.0 + 360.0 / n * np.arange(n)
    target = np.random.default_rng(1).uniform(-400.0, 400.0, 50)
    matrix = trigonometric_interpolation(nodes, target)
    assert_allclose(matrix.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    for wavenumber in range(n // 2):
        for wave in (np.cos, np.sin):
            assert_allclose(
                matrix @ wave(wavenumber * np.radians(nodes)), wave(wavenumber * np.radians(target)), rtol=0, atol=1e-12
            )


def test_that_trigonometric_interpolation_at_the_nodes_returns_the_nodes() -> None:
    nodes = -180.0 + 22.5 * np.arange(16)
    assert_allclose(trigonometric_interpolation(nodes, nodes), np.eye(16), rtol=0, atol=1e-13)
    assert_allclose(trigonometric_interpolation(nodes, nodes + 360.0), np.eye(16), rtol=0, atol=1e-12)


def uneven_columns(heights: int) -> np.ndarray:
    steps = np.random.default_rng(4).uniform(0.5, 1.5, (heights - 1, 2, 3))
    return np.concatenate([np.zeros((1, 2, 3)), np.cumsum(steps / steps.sum(axis=0), axis=0)])


def test_that_profiles_are_exact_for_parabolas_on_uneven_levels() -> None:
    coordinate = uneven_columns(9)
    coefficients = np.random.default_rng(5).standard_normal((3, 4, 1, 2, 3))

    def parabola(x: np.ndarray) -> np.ndarray:
        return coefficients[0] + coefficients[1] * x + coefficients[2] * x**2

    target = np.linspace(0.0, 1.0, 41)
    result = hermite_profiles(coordinate, parabola(coordinate), target)
    assert_allclose(result, parabola(target[:, None, None]), rtol=0, atol=1e-13)


def test_that_the_error_of_profiles_falls_with_the_third_power_of_the_step() -> None:
    target = np.linspace(0.2, 0.8, 301)
    errors = []
    for intervals in (20, 40, 80):
        coordinate = np.broadcast_to(np.linspace(0.0, 1.0, intervals + 1)[:, None, None], (intervals + 1, 1, 1))
        result = hermite_profiles(coordinate, np.sin(4.0 * coordinate)[None], target)
        errors.append(np.abs(result[0, :, 0, 0] - np.sin(4.0 * target)).max())
    assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 3.0, rtol=0, atol=0.15)


@pytest.mark.parametrize("target", [[-0.01, 0.5], [0.5, 1.01]])
def test_that_profiles_are_not_extrapolated(target: list[float]) -> None:
    coordinate = uneven_columns(9)
    with pytest.raises(ValueError, match="outside the heights"):
        hermite_profiles(coordinate, coordinate[None], np.array(target))


@pytest.mark.parametrize("kp_thirds", range(28))
def test_that_no_offset_of_the_forcing_is_no_offset_of_kp(kp_thirds: int) -> None:
    offset = member_kp_offset(constant_drivers(kp_thirds), NOON, np.zeros(2), np.zeros(2))
    # The relation of hemispheric power has a step of 0.006 GW at Kp 7: the round trip differs by 2e-4 there.
    assert_allclose(offset, 0.0, rtol=0, atol=1e-4 if kp_thirds == 21 else 1e-12)


@pytest.mark.parametrize("kp_thirds", [0, 1, 9, 20, 27])
def test_that_kp_grows_with_both_offsets_and_stays_within_its_scale(kp_thirds: int) -> None:
    drivers, none = constant_drivers(kp_thirds), np.zeros(61)
    offsets = np.linspace(-30.0, 30.0, 61)
    for power, potential in ((offsets, none), (none, offsets), (offsets, offsets)):
        found = member_kp_offset(drivers, NOON, power, potential)
        assert np.all(np.diff(found) >= -1e-12)
        assert np.ptp(found) > 0.2
        assert found.min() + kp_thirds / 3.0 >= -1e-12
        assert found.max() + kp_thirds / 3.0 <= 9.0 + 1e-12


def test_that_forcing_below_that_of_kp_0_counts_as_kp_0() -> None:
    # At Kp 0 there are 12 GW and 15 kV: the second and third members would have less than nothing.
    power, potential = np.array([-9.0, -13.0, -100.0]), np.array([-12.0, -16.0, -100.0])
    assert_allclose(member_kp_offset(constant_drivers(0), NOON, power, potential), 0.0, rtol=0, atol=1e-12)
    assert_allclose(member_kp_offset(constant_drivers(2), NOON, 10 * power, 10 * potential), -2.0 / 3.0, atol=1e-12)


def test_that_an_offset_of_either_forcing_shifts_kp_by_half_the_inverse_relation() -> None:
    # At Kp 3: dHP/dKp = 16.82 * 0.32 exp(0.96) = 14.06 GW and dCTP/dKp = 15 + 1.6 * 3 = 19.8 kV.
    found = member_kp_offset(constant_drivers(9), NOON, np.array([0.1, 0.0]), np.array([0.0, 0.1]))
    assert_allclose(found, [0.5 * 0.1 / 14.06, 0.5 * 0.1 / 19.8], rtol=5e-3)


def test_that_drivers_are_told_apart_though_they_lie_at_the_same_address() -> None:
    lasting = reference()
    for f107 in (70.0, 90.0, 110.0, 130.0):
        found, _ = lasting.at(constant_drivers(6, f107), NOON, NONE, NONE)
        expected, _ = reference().at(constant_drivers(6, f107), NOON, NONE, NONE)
        assert_array_equal(found["temperature"], expected["temperature"])


@pytest.mark.parametrize("time", ["1989-03-14T00", "2003-10-31T00", "2024-05-11T12", "2008-12-20T06"])
def test_that_the_strongest_storms_and_the_deepest_minimum_lie_within_the_profiles(time: str) -> None:
    when = np.datetime64(time, "ns")
    variables, bottom = reference().at(load_drivers(when, when), when, NONE, NONE)
    assert np.isfinite(log_variables(variables)).all()
    assert bottom.min() > 84e3


def test_that_days_of_the_highest_kp_under_the_most_active_sun_lie_within_the_profiles() -> None:
    variables, _ = reference().at(constant_drivers(27, 350.0), NOON, NONE, NONE)
    assert np.isfinite(log_variables(variables)).all()


def test_that_levels_above_the_profiles_are_refused() -> None:
    grid = StateGrid(np.arange(-6.75, 10.0, 0.5), np.array([-45.0, 45.0]), np.arange(0.0, 360.0, 90.0))
    nodes = DriverNodes(16.0, 1.5)
    tall = MsisReference(grid, TIEGCM_REFERENCE_PRESSURE, MsisVersion.MSIS21, GeomagneticActivity.STORM, nodes)
    with pytest.raises(ThermodaError, match=r"NRLMSIS 2.1 at 2010-04-08T12:00:00 .* top level above 1720 km"):
        tall.at(constant_drivers(27, 350.0), NOON, NONE, NONE)


def test_that_temperatures_that_are_not_positive_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # NRLMSISE-00 gives them at Kp 9, as at the upper nodes in October 2003 and May 2024, and fills the screen.
    on_grid = Msis.on_grid

    def broken(self: Msis, *axes: np.ndarray, kp_offset: float, **offsets: float) -> Atmosphere:
        atmosphere = on_grid(self, *axes, kp_offset=kp_offset, **offsets)
        return replace(atmosphere, temperature=-atmosphere.temperature) if kp_offset > 0.0 else atmosphere

    monkeypatch.setattr(Msis, "on_grid", broken)
    with pytest.raises(ThermodaError, match=r"sfu and Kp \+1.5 gives temperatures .* take another version"):
        reference().at(constant_drivers(9), NOON, NONE, NONE)
