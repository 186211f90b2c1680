from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.drivers import Drivers, load_drivers
from da.errors import ThermodaError
from da.model import PREVIOUS, THERMOSPHERE_FIELDS, MemberInputs
from model_adapters.column_physics import fitted
from model_adapters.column_physics.adapter import (
    FLAT_HEIGHT_M,
    FLAT_TEMPERATURE_K,
    ColumnPhysics,
    ColumnPhysicsSettings,
    LowerBoundary,
)
from model_adapters.column_physics.anomalies import FRACTIONS, anomalies_of, fields_of
from model_adapters.column_physics.composition import mass_anomaly_matrix
from model_adapters.tiegcm_grid import LEVELS

FIELDS = ("temperature", *FRACTIONS)
QUIET = np.datetime64("2010-04-03T12:00", "ns")
STORM = np.datetime64("2010-04-05T12:00", "ns")
HOUR = np.timedelta64(1, "h")
MINUTE = np.timedelta64(1, "m")


def members(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(i) for i in range(count)]


@pytest.fixture(scope="module")
def storm() -> Drivers:
    """Drivers of April 2010: quiet until the storm of the 5th."""
    return load_drivers(np.datetime64("2010-03-31"), np.datetime64("2010-04-19"))


@pytest.fixture(scope="module")
def quiet(storm: Drivers) -> Drivers:
    """Drivers with the Kp of the reference, without perturbations nothing heats."""
    return replace(storm, kp_thirds=np.full_like(storm.kp_thirds, 3))


@pytest.fixture(scope="module")
def model() -> ColumnPhysics:
    return ColumnPhysics(ColumnPhysicsSettings(resolution_deg=15.0))


def anomalies(model: ColumnPhysics, states: np.ndarray, time: np.datetime64, drivers: Drivers) -> np.ndarray:
    """Return tau and c as (4, levels, latitudes, longitudes, members)."""
    fields = {name: model.layout.field(states, name) for name in FIELDS}
    tau, ratio = anomalies_of(fields, model._reference.at(drivers, time))
    return np.concatenate([tau, ratio]).reshape(4, *tau.shape)


def states_of(model: ColumnPhysics, found: np.ndarray, time: np.datetime64, drivers: Drivers) -> np.ndarray:
    """Return states with these anomalies, and twins that are nobody's."""
    tau, ratio = found[0], found[1:].reshape(-1, *found.shape[2:])
    fields = fields_of(model._reference.at(drivers, time), tau, ratio)
    twins = {name + PREVIOUS: np.full_like(values, 0.25) for name, values in fields.items()}
    return model.layout.join(fields | twins)


def random_anomalies(model: ColumnPhysics, count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    scale = np.array([10.0, 0.2, 0.2, 0.2]).reshape(4, 1, 1, 1, 1)
    return scale * rng.standard_normal((4, *model.layout.grid.shape, count))


def ratio_rounding(model: ColumnPhysics, states: np.ndarray) -> float:
    """Return by how much ln(w / w_N2) is uncertain: eps over the smallest share of N2, a few times."""
    nitrogen = 1.0 - sum(model.layout.field(states, name) for name in FRACTIONS)
    return float(20.0 * np.finfo(float).eps / nitrogen.min())


def area_mean(model: ColumnPhysics, values: np.ndarray) -> np.ndarray:
    """Return the global mean of (..., latitudes, longitudes, members) as (..., members)."""
    area = np.cos(np.radians(model.layout.grid.latitude))
    return np.einsum("...jim,j->...m", values, area / area.sum()) / values.shape[-2]


def test_that_states_and_anomalies_are_the_same_information(model: ColumnPhysics, storm: Drivers) -> None:
    expected = random_anomalies(model, 2)
    states = states_of(model, expected, STORM, storm)
    found = anomalies(model, states, STORM, storm)
    # T of up to 1500 K rounds by eps of it; ln(w / w_N2) by eps over the share of N2.
    assert_allclose(found[0], expected[0], rtol=0, atol=1500.0 * 4.0 * np.finfo(float).eps)
    assert_allclose(found[1:], expected[1:], rtol=0, atol=ratio_rounding(model, states))
    again = states_of(model, found, STORM, storm)
    assert_allclose(again, states, rtol=ratio_rounding(model, states))


def test_that_a_temperature_anomaly_below_all_bounds_gives_the_bound(model: ColumnPhysics, storm: Drivers) -> None:
    cold = np.zeros((4, *model.layout.grid.shape, 1))
    cold[0] = -1e4
    assert np.all(model.layout.field(states_of(model, cold, STORM, storm), "temperature") == 100.0)


def test_that_without_forcing_the_reference_stays_the_reference(model: ColumnPhysics, quiet: Drivers) -> None:
    inputs, stop = MemberInputs({}, quiet), QUIET + 15 * HOUR
    states = model.forecast(model.initial(QUIET, inputs, members(1)), QUIET, stop, inputs)
    expected = model.initial(stop, inputs, members(1))
    # Fifteen steps, past midnight, round ln(w / w_N2), each on its own.
    for name in FIELDS:
        tolerance = 15.0 * ratio_rounding(model, states)
        assert_allclose(model.layout.field(states, name), model.layout.field(expected, name), rtol=tolerance)


def test_that_the_reference_is_quiet_where_hemispheric_power_was_measured(model: ColumnPhysics, storm: Drivers) -> None:
    class Measured:
        def at(self, times: np.ndarray) -> np.ndarray:
            return np.full(times.size, 90.0)

    measured = replace(storm, hemispheric_power=Measured())
    time = np.array([STORM])
    assert measured.hemispheric_power_gw(time)[0] == 90.0
    assert model._reference.quiet(measured).hemispheric_power_gw(time)[0] < 20.0


def test_that_initial_members_are_in_balance_with_their_lower_boundaries(model: ColumnPhysics, quiet: Drivers) -> None:
    offsets = {"lower_boundary_temperature_k": 8.0, "atomic_oxygen_ln_ratio": 0.2, "helium_ln_ratio": -0.3}
    inputs = MemberInputs({name: np.array([0.0, value]) for name, value in offsets.items()}, quiet)
    states = model.initial(QUIET, inputs, members(2))
    stop = QUIET + 6 * HOUR
    before = anomalies(model, states, QUIET, quiet)
    after = anomalies(model, model.forecast(states, QUIET, stop, inputs), stop, quiet)
    assert np.all(np.abs(before[:2, 0, ..., 1]) > 0.1)
    assert_allclose(after, before, rtol=0, atol=1e-8)


def test_that_the_initial_previous_fields_are_those_a_step_earlier(model: ColumnPhysics, quiet: Drivers) -> None:
    inputs = MemberInputs({}, quiet)
    now = model.initial(QUIET, inputs, members(1))
    earlier = model.initial(QUIET - MINUTE, inputs, members(1))
    for name in FIELDS:
        assert_array_equal(model.layout.field(now, name + PREVIOUS), model.layout.field(earlier, name))


def test_that_anomalies_decay_in_the_global_mean_back_to_the_reference(model: ColumnPhysics, quiet: Drivers) -> None:
    """Conduction and diffusion flow towards the lower boundary, cooling takes heat on all levels.

    One member begins with heat, the other with more O and He.
    """
    inputs = MemberInputs({}, quiet)
    latitude = np.radians(model.layout.grid.latitude)[:, None]
    longitude = np.radians(model.layout.grid.longitude)
    # Positive everywhere, strongest at one place.
    pattern = np.exp(2.0 * (np.cos(latitude) * np.cos(longitude) - 1.0))
    start = np.zeros((4, *model.layout.grid.shape, 2))
    start[0, ..., 0] = 100.0 * pattern
    start[1, ..., 1] = start[3, ..., 1] = 0.3 * pattern
    time, states = QUIET, states_of(model, start, QUIET, quiet)
    column = model._operators.day(quiet, QUIET).column
    weight = column.layer_mass * column.heat_capacity
    mass = mass_anomaly_matrix(column)[: LEVELS.size]
    heat, oxygen = [], []
    for stop in QUIET + 20 * HOUR * np.arange(4):
        states, time = model.forecast(states, time, stop, inputs), stop
        mean = area_mean(model, anomalies(model, states, time, quiet))
        heat.append(float(weight @ mean[0, :, 0]))
        oxygen.append(float(np.sum(mass @ mean[1:, ..., 1].ravel())))
    for found, left in ((heat, 2e-2), (oxygen, 0.7)):
        assert np.all(np.diff(found) < 0.0)
        assert 0.0 < found[-1] < left * found[0]


def test_that_every_mode_of_a_column_decays(model: ColumnPhysics, quiet: Drivers) -> None:
    physics = model._operators.day(quiet, QUIET)
    together = np.block([[physics.conduction, -physics.cooling_by_composition], [physics.coupling, physics.diffusion]])
    for matrix in (physics.conduction, physics.diffusion, together):
        assert np.linalg.eigvals(matrix).real.max() < 0.0


def test_that_a_flat_lower_boundary_has_tiegcms_temperature_and_height(quiet: Drivers) -> None:
    model = ColumnPhysics(ColumnPhysicsSettings(resolution_deg=15.0, lower_boundary=LowerBoundary.FLAT))
    inputs = MemberInputs({}, quiet)
    states = model.initial(QUIET, inputs, members(1))
    reference = model._reference.at(quiet, QUIET)
    lowest = anomalies(model, states, QUIET, quiet)[0, 0, ..., 0] + reference.temperature[0, ..., 0]
    wanted = FLAT_TEMPERATURE_K - reference.bottom_temperature[..., 0]
    # Half a step above the boundary its offset is felt in one proportion everywhere.
    share = ((lowest - reference.temperature[0, ..., 0]) / wanted)[np.abs(wanted) > 0.5]
    assert_allclose(share, share[0], rtol=1e-9)
    assert 0.3 < share[0] < 1.0
    height = model.height(states, QUIET, inputs)
    assert np.ptp(height[0]) < 300.0
    assert FLAT_HEIGHT_M < height[0].min() < FLAT_HEIGHT_M + 2000.0
    # The initial state is in balance with the boundary of its time, which moves with the reference's tides.
    stop = QUIET + 3 * HOUR
    change = anomalies(model, model.forecast(states, QUIET, stop, inputs), stop, quiet)[0]
    assert np.abs(change - anomalies(model, states, QUIET, quiet)[0]).max() < np.abs(wanted).max()


@pytest.mark.parametrize(
    "settings", [{"level_step": 0.25}, {"level_step": 1.0}, {"longitude_resolution_deg": 10.0}], ids=str
)
def test_that_any_grid_has_the_heights_of_tiegcms(storm: Drivers, settings: dict[str, float]) -> None:
    """Three hours of the storm, height of zp = 2: half and double the step differ by less than 1 km of about 300."""
    inputs, heights = MemberInputs({}, storm), []
    for one in ({}, settings):
        model = ColumnPhysics(ColumnPhysicsSettings(resolution_deg=15.0, **one))
        start = STORM - 3 * HOUR
        states = model.forecast(model.initial(start, inputs, members(1)), start, STORM, inputs)
        profile = area_mean(model, model.height(states, STORM, inputs)[None])[0, :, 0]
        heights.append(np.interp(2.0, model.layout.grid.level, profile))
    assert abs(heights[1] - heights[0]) < 1000.0


@pytest.mark.parametrize("minutes", [10, 60, 150])
def test_that_previous_fields_follow_their_definition_after_any_change(
    model: ColumnPhysics, storm: Drivers, minutes: int
) -> None:
    inputs = MemberInputs({}, storm)
    balanced = model.initial(STORM, inputs, members(1))
    changed = balanced.copy()
    model.layout.field(changed, "temperature")[10:20] += 40.0
    stop = STORM + minutes * MINUTE
    step = (stop - STORM) // max(1, -(-minutes // 60))
    found = model.forecast(changed, STORM, stop, inputs)
    then = changed if minutes <= 60 else model.forecast(changed, STORM, stop - step, inputs)
    share = MINUTE / step
    for name in FIELDS:
        now, before = model.layout.field(found, name), model.layout.field(then, name)
        expected = now + share * (before - now)
        assert_allclose(model.layout.field(found, name + PREVIOUS), expected, rtol=1e-13)


def test_that_a_forecast_does_not_see_the_previous_fields(model: ColumnPhysics, storm: Drivers) -> None:
    inputs = MemberInputs({}, storm)
    states = model.initial(STORM, inputs, members(1))
    twins = states.copy()
    for name in FIELDS:
        model.layout.field(twins, name + PREVIOUS)[:] *= 0.7
    stop = STORM + HOUR
    assert_array_equal(model.forecast(twins, STORM, stop, inputs), model.forecast(states, STORM, stop, inputs))


def test_that_an_increment_of_temperature_fades_without_overshooting(model: ColumnPhysics, quiet: Drivers) -> None:
    inputs = MemberInputs({}, quiet)
    start = np.zeros((4, *model.layout.grid.shape, 1))
    start[0, 14] = 40.0
    states, time, at_level = states_of(model, start, QUIET, quiet), QUIET, [40.0]
    for _ in range(12):
        states, time = model.forecast(states, time, time + 10 * MINUTE, inputs), time + 10 * MINUTE
        tau = anomalies(model, states, time, quiet)[0]
        assert tau.min() > -1e-9
        at_level.append(float(tau[14].mean()))
    change = np.diff(at_level)
    assert np.all(change < 0.0)
    assert np.all(np.diff(change) > 0.0)


def test_that_states_far_off_evolve_smoothly(model: ColumnPhysics, quiet: Drivers) -> None:
    """Half as warm again, hardly any O, hardly anything but O: what an analysis may leave at worst."""
    inputs, lowest = MemberInputs({}, quiet), THERMOSPHERE_FIELDS[2].lower
    states = model.initial(QUIET, inputs, members(3))
    model.layout.field(states, "temperature")[..., 0] *= 1.5
    oxygen = model.layout.field(states, FRACTIONS[0])
    oxygen[..., 1], oxygen[..., 2] = lowest, 1.0 - 3.0 * lowest
    for name in FRACTIONS[1:]:
        model.layout.field(states, name)[..., 2] = lowest
    time, found = QUIET, [area_mean(model, anomalies(model, states, QUIET, quiet))[0]]
    for _ in range(12):
        states, time = model.forecast(states, time, time + 10 * MINUTE, inputs), time + 10 * MINUTE
        found.append(area_mean(model, anomalies(model, states, time, quiet))[0])
    change = np.diff(np.array(found), axis=0)
    assert np.all(np.isfinite(states))
    # Heat fades on every level, ever slower in the column as a whole once its sharpest edges are gone.
    assert np.all(change[..., 0] < 0.0)
    assert np.all(np.diff(change[1:, :, 0].mean(axis=1)) > 0.0)
    # Less O cools less, more O more, at rates of some K per hour and without jumps.
    assert np.all(np.sign(change.mean(axis=1)[:, 1:]) == [1.0, -1.0])
    assert np.abs(change[..., 1:]).max() < 6.0


def test_that_activity_below_that_of_the_reference_cools(storm: Drivers) -> None:
    model = ColumnPhysics(ColumnPhysicsSettings(resolution_deg=15.0, quiet_kp=3.0))
    calm = replace(storm, kp_thirds=np.zeros_like(storm.kp_thirds))
    inputs, stop = MemberInputs({}, calm), QUIET + 6 * HOUR
    tau = anomalies(model, model.forecast(model.initial(QUIET, inputs, members(1)), QUIET, stop, inputs), stop, calm)[0]
    assert np.all(area_mean(model, tau)[5:] < -0.1)
    assert tau.min() > -60.0


def test_that_a_start_before_the_drivers_is_refused_in_one_line(model: ColumnPhysics, quiet: Drivers) -> None:
    first = quiet.day[0].astype("datetime64[ns]")
    for start in (first - 24 * HOUR, first + 24 * HOUR):
        with pytest.raises(ThermodaError, match=f"holds the days {quiet.day[0]}"):
            model.initial(start, MemberInputs({}, quiet), members(1))


def test_that_nitric_oxide_needs_the_drivers_of_the_days_before(model: ColumnPhysics, quiet: Drivers) -> None:
    """Where the table begins with the history of ap, a forecast says what it lacks."""
    inputs, start = MemberInputs({}, quiet), quiet.day[0].astype("datetime64[ns]") + 72 * HOUR
    states = model.initial(start, inputs, members(1))
    with pytest.raises(ThermodaError, match="does not cover Kp or ap"):
        model.forecast(states, start, start + HOUR, inputs)


@pytest.mark.parametrize("length", [np.timedelta64(1, "s"), np.timedelta64(90, "m"), np.timedelta64(100, "m")], ids=str)
def test_that_any_length_across_the_new_year_follows_the_reference(
    model: ColumnPhysics, length: np.timedelta64
) -> None:
    stop = np.datetime64("2010-01-01T00:30", "ns")
    drivers = load_drivers(np.datetime64("2009-12-31"), np.datetime64("2010-01-01"))
    calm = replace(drivers, kp_thirds=np.full_like(drivers.kp_thirds, 3))
    inputs = MemberInputs({}, calm)
    states = model.forecast(model.initial(stop - length, inputs, members(1)), stop - length, stop, inputs)
    expected = model.initial(stop, inputs, members(1))
    for name in FIELDS:
        tolerance = 2.0 * ratio_rounding(model, states)
        assert_allclose(model.layout.field(states, name), model.layout.field(expected, name), rtol=tolerance)


def test_that_anomalies_move_in_longitude_at_the_rate_of_the_settings(model: ColumnPhysics, quiet: Drivers) -> None:
    inputs = MemberInputs({}, quiet)
    longitude = np.radians(model.layout.grid.longitude)
    start = np.zeros((4, *model.layout.grid.shape, 1))
    start[...] = np.array([30.0, 0.1, 0.1, 0.1]).reshape(4, 1, 1, 1, 1) * np.cos(longitude)[:, None]
    stop = QUIET + HOUR
    states = model.forecast(states_of(model, start, QUIET, quiet), QUIET, stop, inputs)
    found = anomalies(model, states, stop, quiet)[..., 0]
    wave = found @ np.exp(-1j * longitude)
    strong = np.abs(wave) > 0.1 * np.abs(wave).max(axis=(1, 2), keepdims=True)
    assert np.all(strong.any(axis=2).mean(axis=1) > 0.5)
    assert_allclose(np.degrees(np.angle(wave[strong])), -fitted.ROTATION_DEG_PER_H, rtol=0, atol=1e-8)


def test_that_one_forecast_of_two_hours_is_two_of_one_bit_for_bit(model: ColumnPhysics, storm: Drivers) -> None:
    inputs = MemberInputs({"joule_ln_factor": np.array([-0.3, 0.3])}, storm)
    states = states_of(model, random_anomalies(model, 2), STORM, storm)
    once = model.forecast(states, STORM, STORM + 2 * HOUR, inputs)
    half = model.forecast(states, STORM, STORM + HOUR, inputs)
    assert_array_equal(model.forecast(half, STORM + HOUR, STORM + 2 * HOUR, inputs), once)


def test_that_six_forecasts_of_ten_minutes_are_close_to_one_of_an_hour(model: ColumnPhysics, storm: Drivers) -> None:
    inputs = MemberInputs({}, storm)
    begin = model.initial(STORM - 6 * HOUR, inputs, members(1))
    states = model.forecast(begin, STORM - 6 * HOUR, STORM, inputs)
    once = model.forecast(states, STORM, STORM + HOUR, inputs)
    often, time = states, STORM
    for _ in range(6):
        often, time = model.forecast(often, time, time + 10 * MINUTE, inputs), time + 10 * MINUTE
    start = anomalies(model, states, STORM, storm)
    one, six = (anomalies(model, each, time, storm) for each in (once, often))
    # Heating over 15 against 10 minutes, spread from the middle of each: measured 0.5 K of 12.7 K that the hour brings.
    # Thermal diffusion, by the trapezoidal rule over an hour or ten minutes, differed by 5e-4 in ln(w_He / w_N2).
    difference, change = (np.sqrt(np.mean((six - other) ** 2, axis=(1, 2, 3, 4))) for other in (one, start))
    assert difference[0] < 0.08 * change[0]
    assert np.all(difference[1:] < 2e-3)


@pytest.mark.parametrize("kp", [0.5, 1.2])
def test_that_a_quiet_kp_that_is_no_third_is_refused(kp: float) -> None:
    with pytest.raises(ValueError, match="thirds"):
        ColumnPhysicsSettings(quiet_kp=kp)


@pytest.mark.parametrize("resolution", [7.0, 25.0])
def test_that_a_resolution_that_does_not_divide_the_globe_is_refused(resolution: float) -> None:
    with pytest.raises(ValueError, match="resolution_deg"):
        ColumnPhysicsSettings(resolution_deg=resolution)


def test_that_more_members_than_are_advanced_at_once_do_not_see_each_other(
    model: ColumnPhysics, storm: Drivers
) -> None:
    count = 35
    offsets = np.linspace(-0.5, 0.5, count)
    inputs = MemberInputs({"joule_ln_factor": offsets, "lower_boundary_height_m": 100.0 * offsets}, storm)
    stop = STORM + 2 * HOUR
    together = model.forecast(model.initial(STORM, inputs, members(count)), STORM, stop, inputs)
    height = model.height(together, stop, inputs)
    last = [count - 1]
    alone = MemberInputs({name: values[last] for name, values in inputs.perturbations.items()}, storm)
    states = model.forecast(model.initial(STORM, alone, members(1)), STORM, stop, alone)
    assert_allclose(states, together[:, last], rtol=1e-12)
    assert_allclose(model.height(states, stop, alone), height[..., last], rtol=1e-12)
