"""States of the nature run: the observation operator must make the synthetic truth of them."""

from __future__ import annotations

import numpy as np
import pytest

from da.drivers import Drivers
from da.hydrostatics import mid_level_height
from da.model import MemberInputs
from da.operators import DensityOperator, mean_molar_mass
from da.seeding import Purpose, streams
from da.twin import TwinTruth
from model_adapters.nature import SEED_STEP, Nature, NatureSettings

STORM = np.datetime64("2010-04-05T12:00", "ns")
HOUR = np.timedelta64(3600 * 10**9, "ns")


@pytest.fixture(scope="module")
def nature() -> Nature:
    return Nature(NatureSettings(resolution_deg=5.0, seed=5))


def initial(nature: Nature, inputs: MemberInputs, members: int = 1) -> np.ndarray:
    return nature.initial(STORM, inputs, streams(0, Purpose.INITIAL_STATE, range(members)))


@pytest.mark.parametrize(
    ("altitude_km", "rms"), [(150.0, 0.015), (200.0, 0.01), (302.0, 0.01), (400.0, 0.01), (474.0, 0.015)]
)
def test_that_the_operator_makes_the_truth_of_the_states(
    nature: Nature, april_2010: Drivers, altitude_km: float, rms: float
) -> None:
    # Limited by interpolation: ln-linear in height below, bilinear between columns five degrees apart above.
    inputs = MemberInputs({}, april_2010)
    states = initial(nature, inputs)
    grid, rng = nature.layout.grid, np.random.default_rng(0)
    latitude, longitude = np.degrees(np.arcsin(rng.uniform(-1, 1, 400))), rng.uniform(-180, 180, 400)
    time, altitude = np.repeat(STORM, 400), np.full(400, altitude_km)
    truth = TwinTruth(april_2010, seed=5)
    ratio = truth.climatology.along_track(time, latitude, longitude, altitude).unmodelled_mass_ratio
    operator = DensityOperator(nature.reference_pressure * np.exp(-grid.level), grid.latitude, grid.longitude)
    height = nature.height(states, STORM, inputs)
    density = operator.on_grid(nature.layout.split(states))
    made = operator.at_points(density, height, operator.stencil(latitude, longitude), altitude, ratio)[:, 0]
    error = np.log(made / truth.density(time, latitude, longitude, altitude))
    assert np.sqrt(np.mean(error**2)) < rms
    assert abs(error.mean()) < 0.013


def test_that_at_its_own_cells_the_density_is_the_truths(nature: Nature, april_2010: Drivers) -> None:
    # No interpolation by the operator here: what is left is the spline through the truth's columns.
    inputs = MemberInputs({}, april_2010)
    states = initial(nature, inputs)
    grid = nature.layout.grid
    operator = DensityOperator(nature.reference_pressure * np.exp(-grid.level), grid.latitude, grid.longitude)
    density = operator.on_grid(nature.layout.split(states))[..., 0]
    height_km = 1e-3 * nature.height(states, STORM, inputs)[..., 0]
    level, row, column = np.ix_(range(4, 29, 6), range(0, 36, 10), range(0, 72, 18))
    latitude = np.broadcast_to(grid.latitude[row], (5, 4, 4)).ravel()
    longitude = np.broadcast_to(grid.longitude[column], (5, 4, 4)).ravel()
    altitude, time = height_km[level, row, column].ravel(), np.repeat(STORM, 80)
    truth = TwinTruth(april_2010, seed=5)
    ratio = truth.climatology.along_track(time, latitude, longitude, altitude).unmodelled_mass_ratio
    expected = truth.density(time, latitude, longitude, altitude) / ratio
    np.testing.assert_allclose(density[level, row, column].ravel(), expected, rtol=3e-3)


def test_that_the_heights_are_hydrostatic_over_the_bottom(nature: Nature, april_2010: Drivers) -> None:
    inputs = MemberInputs({}, april_2010)
    states = initial(nature, inputs)
    fields = nature.layout.split(states)
    height = nature.height(states, STORM, inputs)
    molar_mass = mean_molar_mass(*(fields[f"mass_fraction_{name}"] for name in ("O", "O2", "He")))
    bottom = height[0] * 0.0 + nature._truth_fields(STORM, inputs, 1)[1]
    again = mid_level_height(fields["temperature"], molar_mass, bottom, nature.layout.grid.latitude, 0.5)
    np.testing.assert_array_equal(height, again)
    assert 92e3 < bottom.min() < bottom.max() < 102e3


def test_that_a_truth_stays_the_truth_and_a_departure_halves_in_its_half_life(april_2010: Drivers) -> None:
    nature = Nature(NatureSettings(resolution_deg=30.0, decay_time_h=10.0))
    inputs = MemberInputs({}, april_2010)
    states = initial(nature, inputs)
    later = nature.initial(STORM + 2 * HOUR, inputs, streams(0, Purpose.INITIAL_STATE, [0]))
    np.testing.assert_allclose(nature.forecast(states, STORM, STORM + 2 * HOUR, inputs), later, rtol=1e-12)
    warm = states.copy()
    nature.layout.field(warm, "temperature")[...] *= 1.1
    kept = nature.layout.field(nature.forecast(warm, STORM, STORM + 2 * HOUR, inputs), "temperature")
    np.testing.assert_allclose(
        np.log(kept / nature.layout.field(later, "temperature")), np.log(1.1) * np.exp(-0.2), rtol=1e-9
    )


def test_that_members_are_truths_of_other_seeds(april_2010: Drivers) -> None:
    nature = Nature(NatureSettings(resolution_deg=30.0, seed=5))
    inputs = MemberInputs({"realization": np.array([0.0, 1.2, -1.0, 1.0])}, april_2010)
    states = initial(nature, inputs, 4)
    np.testing.assert_array_equal(states[:, 1], states[:, 3])
    assert len({float(column.sum()) for column in states.T}) == 3
    other = Nature(NatureSettings(resolution_deg=30.0, seed=5 + 2 * SEED_STEP))
    np.testing.assert_array_equal(initial(other, MemberInputs({}, april_2010))[:, 0], states[:, 1])
