"""What every perturbable input does to density: its sign, and where it acts most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from da.drivers import Drivers, SolarWind, load_drivers
from da.model import MemberInputs
from da.observations import ObservationBatch
from da.observing import observe_density
from model_adapters.column_physics.adapter import ColumnPhysics, ColumnPhysicsSettings

START = np.datetime64("2010-04-04T12:00", "ns")
STOP = START + np.timedelta64(24, "h")
ALTITUDE_KM = np.array([150.0, 300.0, 475.0])

SIGN = {
    "f107_sfu": (10.0, 1),
    "hemispheric_power_gw": (10.0, 1),
    "cross_tail_potential_kv": (10.0, 1),
    "solar_wind_velocity_km_s": (80.0, 1),
    # A denser wind lifts the saturated potential.
    "solar_wind_density_cm3": (4.0, 1),
    "joule_ln_factor": (0.3, 1),
    "nitric_oxide_ln_factor": (0.5, -1),
    # Harder electrons go deeper, where there is more gas and more cooling.
    "auroral_energy_kev": (1.0, -1),
    # Less atomic oxygen.
    "eddy_ln_factor": (0.5, -1),
    "lower_boundary_temperature_k": (8.0, 1),
    "lower_boundary_height_m": (300.0, 1),
    "atomic_oxygen_ln_ratio": (0.2, 1),
    "helium_ln_ratio": (0.5, 1),
}
"""Size of an increase, and the sign of what density at 300 and 475 km then does in the global mean."""

WINDS = {"lower_boundary_zonal_wind_m_s": 20.0, "lower_boundary_meridional_wind_m_s": 20.0}
HEATS = ("f107_sfu", "cross_tail_potential_kv", "solar_wind_velocity_km_s", "solar_wind_density_cm3", "joule_ln_factor")
"""Not hemispheric power, which also makes NO that cools higher levels."""


@pytest.fixture(scope="module")
def windy() -> Drivers:
    """Drivers that follow a steady wind with a southward field."""
    time = np.datetime64("2010-03-30", "ns") + np.arange(0, 24 * 8) * np.timedelta64(1, "h")
    steady = {"bx_nt": 0.0, "by_nt": 1.0, "bz_nt": -5.0, "velocity_km_s": 500.0, "density_cm3": 5.0}
    series = {name: np.full(time.size, value) for name, value in (steady | {"temperature_k": 1e5}).items()}
    drivers = load_drivers(np.datetime64("2010-03-28"), np.datetime64("2010-04-09"))
    return replace(drivers, solar_wind=SolarWind(time=time, **series))


@pytest.fixture(scope="module")
def model() -> ColumnPhysics:
    return ColumnPhysics(ColumnPhysicsSettings(resolution_deg=15.0))


@pytest.fixture(scope="module")
def responses(model: ColumnPhysics, windy: Drivers) -> dict[str, np.ndarray]:
    """Return the change of ln density after a day (altitudes, latitudes, longitudes), by input."""
    sizes = {name: size for name, (size, _) in SIGN.items()} | WINDS
    count = len(sizes) + 1
    perturbations = {name: size * np.eye(count)[number + 1] for number, (name, size) in enumerate(sizes.items())}
    inputs, grid = MemberInputs(perturbations, windy), model.layout.grid
    rngs = [np.random.default_rng(member) for member in range(count)]
    states = model.forecast(model.initial(START, inputs, rngs), START, STOP, inputs)
    altitude, latitude, longitude = (
        axis.ravel() for axis in np.meshgrid(ALTITUDE_KM, grid.latitude, grid.longitude, indexing="ij")
    )
    ones = np.ones(altitude.size)
    batch = ObservationBatch(ones, ones, latitude, longitude, altitude, STOP, "points", ones)
    density = np.log(observe_density(model, states, model.height(states, STOP, inputs), batch))
    change = (density[:, 1:] - density[:, :1]).reshape(ALTITUDE_KM.size, *grid.shape[1:], -1)
    return {name: change[..., number] for number, name in enumerate(sizes)}


def global_mean(model: ColumnPhysics, change: np.ndarray) -> np.ndarray:
    area = np.cos(np.radians(model.layout.grid.latitude))
    return np.asarray(np.einsum("kji,j->k", change, area / area.sum()) / change.shape[2])


def test_that_every_perturbable_input_is_looked_at(model: ColumnPhysics) -> None:
    assert {*SIGN, *WINDS} == set(model.perturbable_inputs)


@pytest.mark.parametrize("name", SIGN)
def test_that_density_above_300_km_answers_with_the_sign_of_the_physics(
    model: ColumnPhysics, responses: dict[str, np.ndarray], name: str
) -> None:
    mean = SIGN[name][1] * global_mean(model, responses[name])
    assert mean[2] > 1e-3
    # Helium is a trace at 300 km.
    assert mean[1] > (0.0 if name == "helium_ln_ratio" else 3e-4)


@pytest.mark.parametrize("name", HEATS)
def test_that_what_heats_raises_density_most_where_most_has_expanded_below(
    model: ColumnPhysics, responses: dict[str, np.ndarray], name: str
) -> None:
    mean = global_mean(model, responses[name])
    assert mean[2] > mean[1] > abs(mean[0])


@pytest.mark.parametrize("name", WINDS)
def test_that_winds_at_the_lower_boundary_move_density_and_make_none(
    model: ColumnPhysics, responses: dict[str, np.ndarray], name: str
) -> None:
    change = responses[name]
    size = np.sqrt(global_mean(model, change**2))
    assert np.all(size[1:] > 1e-4)
    assert np.all(np.abs(global_mean(model, change)) < 0.5 * size)


def test_that_sunlight_raises_density_more_by_day_and_aurora_more_at_high_latitudes(
    model: ColumnPhysics, responses: dict[str, np.ndarray]
) -> None:
    grid = model.layout.grid
    hour = (12.0 + grid.longitude / 15.0) % 24.0
    day = np.abs(hour - 12.0) < 6.0
    sunlit = responses["f107_sfu"][1, np.abs(grid.latitude) < 45.0]
    assert sunlit[:, day].mean() > sunlit[:, ~day].mean()
    stormy = responses["joule_ln_factor"][1].mean(axis=1)
    assert stormy[np.abs(grid.latitude) > 60.0].mean() > stormy[np.abs(grid.latitude) < 30.0].mean()


def test_that_responses_to_small_inputs_are_proportional(model: ColumnPhysics, windy: Drivers) -> None:
    small = {"lower_boundary_meridional_wind_m_s": 5.0, "eddy_ln_factor": 0.01, "auroral_energy_kev": 0.02}
    found, stop = {}, START + np.timedelta64(3, "h")
    for name, size in small.items():
        inputs = MemberInputs({name: size * np.array([0.0, 1.0, 2.0])}, windy)
        rngs = [np.random.default_rng(member) for member in range(3)]
        states = model.forecast(model.initial(START, inputs, rngs), START, stop, inputs)
        temperature = model.layout.field(states, "temperature")
        found[name] = temperature[..., 1:] - temperature[..., :1]
        assert_allclose(found[name][..., 1], 2.0 * found[name][..., 0], atol=0.05 * np.abs(found[name]).max())
