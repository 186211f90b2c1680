from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm
from scipy.special import sph_legendre_p

from da.constants import EARTH_RADIUS
from model_adapters.column_physics.horizontal import HorizontalOperator, meridional_wind

K = 4e8
HOUR_S = 3600.0
LEVELS, MEMBERS = 3, 2
ROUNDING = 2e-12
"""Some hundred additions of numbers near one, after eigenvectors orthogonal to 1e-14, with wide room."""


def grid(latitudes: int = 36, longitudes: int = 72) -> tuple[np.ndarray, np.ndarray]:
    step = 180.0 / latitudes
    return -90.0 + step * (np.arange(latitudes) + 0.5), np.arange(longitudes) * 360.0 / longitudes - 180.0


LATITUDE, LONGITUDE = grid()
AREA = np.cos(np.radians(LATITUDE))
WIND = meridional_wind(LATITUDE, equatorward_m_s=30.0, summer_to_winter_m_s=20.0)


def noise(latitudes: int = 36, longitudes: int = 72, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(LEVELS, latitudes, longitudes, MEMBERS))


def without_nyquist(field: np.ndarray) -> np.ndarray:
    sign = (-1.0) ** np.arange(field.shape[2])[:, None]
    return field - sign * (field * sign).mean(axis=2, keepdims=True)


def global_mean(field: np.ndarray) -> np.ndarray:
    return np.einsum("j,ljkn->ln", AREA / AREA.sum() / field.shape[2], field)


def harmonic(degree: int, order: int, latitudes: int) -> np.ndarray:
    latitude, longitude = grid(latitudes, 24)
    meridional = sph_legendre_p(degree, order, np.radians(90.0 - latitude))[0]
    return (meridional[:, None] * np.cos(order * np.radians(longitude)))[None, :, :, None]


@pytest.mark.parametrize("rotation", [0.0, -7.5])
def test_that_the_area_weighted_mean_is_conserved_without_wind(rotation: float) -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, rotation)
    field = 100.0 + noise()
    assert_allclose(global_mean(operator.advance(field, 48 * HOUR_S)), global_mean(field), rtol=1e-13)


@pytest.mark.parametrize(("degree", "order"), [(1, 0), (1, 1), (2, 0), (2, 1), (3, 2), (5, 3), (8, 1)])
def test_that_spherical_harmonics_decay_at_their_rate_with_an_error_of_second_order(degree: int, order: int) -> None:
    """Half the latitude step leaves a quarter of the error (or less, where the leading term vanishes)."""
    duration_s = EARTH_RADIUS**2 / (K * degree * (degree + 1))
    errors = []
    for latitudes in (18, 36, 72):
        latitude, longitude = grid(latitudes, 24)
        field = harmonic(degree, order, latitudes)
        advanced = HorizontalOperator(latitude, longitude, K).advance(field, duration_s)
        weight = np.cos(np.radians(latitude))[None, :, None, None]
        errors.append(np.sqrt((weight * (advanced - np.exp(-1.0) * field) ** 2).sum() / (weight * field**2).sum()))
    assert errors[1] < 0.02 * degree
    assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 4.0, rtol=0.25)


def test_that_it_is_the_exponential_of_the_finite_volume_equations() -> None:
    """The whole matrix of a small grid, written down cell by cell, with a spectral second derivative in longitude."""
    latitudes, longitudes, duration_s, radius = 6, 5, 5 * HOUR_S, 6.5e6
    latitude, longitude = grid(latitudes, longitudes)
    wind, rotation = meridional_wind(latitude, 40.0, -25.0), 11.0
    phi, step = np.radians(latitude), np.pi / latitudes
    meridional = np.zeros((latitudes, latitudes))
    for lower in range(latitudes - 1):
        upper, edge = lower + 1, np.cos(phi[lower] + step / 2)
        flux = np.zeros(latitudes)
        flux[[lower, upper]] = 0.25 * (wind[lower] + wind[upper])
        flux[lower] += K / (radius * step)
        flux[upper] -= K / (radius * step)
        for cell, sign in ((lower, -1.0), (upper, 1.0)):
            area = np.sin(phi[cell] + step / 2) - np.sin(phi[cell] - step / 2)
            meridional[cell] += sign * edge * flux / (radius * area)
    # Air that a diverging wind takes away is replaced with the same anomaly.
    meridional -= np.diag(meridional.sum(axis=1))
    wavenumber = np.fft.fftfreq(longitudes, 1.0 / longitudes)
    fourier = np.fft.fft(np.eye(longitudes), axis=0) / longitudes
    first = (np.linalg.inv(fourier) @ np.diag(1j * wavenumber) @ fourier).real
    turning = np.radians(rotation) / HOUR_S * np.kron(np.eye(latitudes), first)
    zonal = K * np.kron(np.diag(1.0 / (radius * np.cos(phi)) ** 2), first @ first)
    matrix = np.kron(meridional, np.eye(longitudes)) + zonal - turning
    field = noise(latitudes, longitudes)
    expected = np.einsum("ij,ljn->lin", expm(matrix * duration_s), field.reshape(LEVELS, -1, MEMBERS))
    operator = HorizontalOperator(latitude, longitude, K, rotation, wind, radius_m=radius)
    assert_allclose(operator.advance(field, duration_s), expected.reshape(field.shape), rtol=0, atol=1e-11)


@pytest.mark.parametrize("longitudes", [72, 71])
@pytest.mark.parametrize("cells", [1, -3, 40])
def test_that_a_rotation_by_whole_cells_moves_the_values(cells: int, longitudes: int) -> None:
    latitude, longitude = grid(36, longitudes)
    rotation = cells * 360.0 / longitudes
    field = noise(longitudes=longitudes)
    moved = HorizontalOperator(latitude, longitude, 0.0, rotation).advance(field, HOUR_S)
    assert_allclose(moved, np.roll(field, cells, axis=2), rtol=0, atol=ROUNDING)


def test_that_what_turns_by_minus_15_degrees_an_hour_stays_at_its_local_time() -> None:
    angle = np.radians(LONGITUDE)
    local_noon_at_zero = np.broadcast_to(np.exp(np.cos(angle))[:, None], (1, 36, 72, 1))
    after = HorizontalOperator(LATITUDE, LONGITUDE, 0.0, -15.0).advance(local_noon_at_zero, 0.5 * HOUR_S)
    expected = np.exp(np.cos(angle + np.radians(7.5)))[:, None]
    assert_allclose(after, np.broadcast_to(expected, after.shape), rtol=0, atol=ROUNDING)


def test_that_spreading_does_not_depend_on_where_longitude_zero_lies() -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5, WIND)
    field = noise()
    first, then = operator.advance(np.roll(field, 11, axis=2), HOUR_S), operator.advance(field, HOUR_S)
    assert_allclose(first, np.roll(then, 11, axis=2), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("longitudes", [72, 71])
@pytest.mark.parametrize("diffusivity", [K, 1e6, 0.0])
def test_that_two_steps_are_one_of_their_joint_length(diffusivity: float, longitudes: int) -> None:
    latitude, longitude = grid(36, longitudes)
    wind = WIND if diffusivity == K else None
    operator = HorizontalOperator(latitude, longitude, diffusivity, -6.1, wind)
    field = noise(longitudes=longitudes)
    field = without_nyquist(field) if longitudes % 2 == 0 else field
    in_two = operator.advance(operator.advance(field, 0.4 * HOUR_S), 0.7 * HOUR_S)
    assert_allclose(in_two, operator.advance(field, 1.1 * HOUR_S), rtol=0, atol=ROUNDING)


def test_that_a_rotation_never_amplifies_the_nyquist_wavenumber() -> None:
    field = np.broadcast_to(((-1.0) ** np.arange(72))[:, None], (1, 36, 72, 1))
    after = HorizontalOperator(LATITUDE, LONGITUDE, 0.0, 1.0).advance(field, HOUR_S)
    assert_allclose(after, np.cos(np.radians(36.0)) * field, rtol=0, atol=ROUNDING)


def test_that_without_a_wind_north_and_south_are_alike() -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5)
    field = noise()
    mirrored = operator.advance(field[:, ::-1], 3 * HOUR_S)
    assert_allclose(mirrored, operator.advance(field, 3 * HOUR_S)[:, ::-1], rtol=0, atol=ROUNDING)


def test_that_a_mirrored_wind_spreads_a_mirrored_anomaly() -> None:
    june = HorizontalOperator(LATITUDE, LONGITUDE, K, 0.0, meridional_wind(LATITUDE, 20.0, 15.0))
    december = HorizontalOperator(LATITUDE, LONGITUDE, K, 0.0, meridional_wind(LATITUDE, 20.0, -15.0))
    field = noise()
    mirrored = december.advance(field[:, ::-1], 3 * HOUR_S)
    assert_allclose(mirrored, june.advance(field, 3 * HOUR_S)[:, ::-1], rtol=0, atol=ROUNDING)


def test_that_a_point_at_the_pole_spreads_to_all_longitudes_alike() -> None:
    """With 5 degrees an anomaly of one polar cell has spread round the pole within an hour, and stays finite."""
    field = np.zeros((1, 36, 72, 1))
    field[0, -1, 10, 0] = 1.0
    after = HorizontalOperator(LATITUDE, LONGITUDE, K).advance(field, HOUR_S)
    polar = after[0, -1, :, 0]
    assert np.all(np.isfinite(after))
    assert_allclose(polar, polar.mean(), rtol=0.1)
    assert polar.max() == polar[10]


@pytest.mark.parametrize("wind", [None, WIND])
def test_that_a_constant_stays_constant(wind: np.ndarray | None) -> None:
    constant = np.full((LEVELS, 36, 72, MEMBERS), 3.0)
    after = HorizontalOperator(LATITUDE, LONGITUDE, K, -15.0, wind).advance(constant, 24 * HOUR_S)
    assert_allclose(after, constant, rtol=1e-12)


def test_that_the_zonal_mean_of_a_positive_anomaly_stays_positive() -> None:
    """Also in a wind of 500 m/s; where hardly anything has arrived, to the rounding of the value that started."""
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, 0.0, meridional_wind(LATITUDE, 500.0))
    field = np.zeros((1, 36, 72, 1))
    field[0, 30] = 1.0
    after = operator.advance(field, 0.1 * HOUR_S)
    assert after.min() > -1e-14
    assert after[0, 20:].min() > 0.0


def test_that_the_centre_of_mass_moves_with_the_wind() -> None:
    """d<sin lat>/dt = v <cos lat - sin lat tan lat>/r - 2 K <sin lat>/r^2 in a short time, far from the poles.

    The first bracket is the divergence of v sin lat.
    """
    wind, duration_s = np.full(36, 20.0), 60.0
    field = np.exp(-(((LATITUDE - 20.0) / 12.0) ** 2))[None, :, None, None] * np.ones((1, 36, 72, 1))
    advanced = HorizontalOperator(LATITUDE, LONGITUDE, K, 0.0, wind).advance(field, duration_s)
    sine, cosine = np.sin(np.radians(LATITUDE))[:, None, None], np.cos(np.radians(LATITUDE))[:, None, None]
    rate = (global_mean(sine * advanced) - global_mean(sine * field)) / duration_s
    divergence = global_mean((cosine - sine**2 / cosine) * field)
    expected = 20.0 * divergence / EARTH_RADIUS - 2.0 * K * global_mean(sine * field) / EARTH_RADIUS**2
    assert_allclose(rate, expected, rtol=0.01)


def test_that_storm_heating_reaches_lower_latitudes_in_the_summer_hemisphere() -> None:
    """Equal anomalies at both ovals: in June more reaches 20 to 30 degrees in the north, and its middle lies lower.

    In six hours the seasonal wind parts the two by some 800 km, no small share of the 2000 km that diffusion spreads.
    """
    oval = np.exp(-(((np.abs(LATITUDE) - 67.5) / 5.0) ** 2))[None, :, None, None] * np.ones((1, 36, 72, 1))
    june = HorizontalOperator(LATITUDE, LONGITUDE, 1e8, 0.0, meridional_wind(LATITUDE, 40.0, 20.0))
    after = june.advance(oval, 6 * HOUR_S)[0].mean(axis=(1, 2))
    low, weight = (np.abs(LATITUDE) - 25.0) ** 2 < 25.0, after * np.cos(np.radians(LATITUDE))
    north = LATITUDE > 0.0
    assert after[low & north].mean() > 1.3 * after[low & ~north].mean()
    middle = [np.average(np.abs(LATITUDE[here]), weights=weight[here]) for here in (north, ~north)]
    assert middle[0] < middle[1] - 2.0
    assert after[low & ~north].min() > 0.01


def test_that_each_level_has_its_own_diffusivity() -> None:
    diffusivity = np.array([1e8, K, 1e8])
    field = noise()
    together = HorizontalOperator(LATITUDE, LONGITUDE, diffusivity, -7.5).advance(field, HOUR_S)
    for level, value in enumerate(diffusivity):
        alone = HorizontalOperator(LATITUDE, LONGITUDE, value, -7.5).advance(field[[level]], HOUR_S)
        assert_allclose(together[[level]], alone, rtol=0, atol=1e-10)


def test_that_each_level_has_its_own_wind() -> None:
    wind = np.stack([0.0 * WIND, WIND, -2.0 * WIND])
    field = noise()
    together = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5, wind).advance(field, HOUR_S)
    for level, values in enumerate(wind):
        alone = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5, values).advance(field[[level]], HOUR_S)
        assert_allclose(together[[level]], alone, rtol=0, atol=1e-10)


def test_that_members_do_not_influence_each_other() -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5, WIND)
    field = noise()
    alone = operator.advance(field[..., 1:], HOUR_S)
    assert_allclose(operator.advance(field, HOUR_S)[..., 1:], alone, rtol=0, atol=ROUNDING)


def test_that_single_precision_stays_single_and_agrees() -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5, WIND)
    field = noise()
    single = operator.advance(field.astype(np.float32), HOUR_S)
    assert single.dtype == np.float32
    assert_allclose(single, operator.advance(field, HOUR_S), rtol=0, atol=1e-5)


def test_that_the_argument_is_left_alone_and_no_time_changes_nothing() -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5, WIND)
    field = noise()
    kept = field.copy()
    still = operator.advance(field, 0.0)
    operator.advance(field, HOUR_S)
    assert_array_equal(still, kept)
    assert_array_equal(field, kept)
    assert not np.shares_memory(still, field)


def test_that_a_result_does_not_depend_on_the_durations_asked_for_before() -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, K, -7.5, WIND)
    field = noise()
    first = operator.advance(field, HOUR_S)
    for minutes in range(1, 8):
        operator.advance(field, 60.0 * minutes)
    assert_array_equal(operator.advance(field, HOUR_S), first)


def test_that_the_wind_blows_from_summer_to_winter_and_vanishes_at_the_poles() -> None:
    assert_allclose(meridional_wind([-90.0, 90.0], 40.0, 20.0), 0.0, atol=1e-14)
    assert_allclose(meridional_wind([-45.0, 45.0], 40.0), [40.0, -40.0])
    assert_allclose(meridional_wind([0.0], 40.0, 20.0), -20.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latitude": np.linspace(-90.0, 90.0, 37)}, "latitude must be the centres"),
        ({"latitude": LATITUDE[::-1]}, "latitude must be the centres"),
        ({"longitude": np.linspace(-180.0, 180.0, 73)}, "longitude must go round"),
        ({"longitude": [0.0]}, "two or more values"),
        ({"diffusivity_m2_s": -1.0}, "diffusivity_m2_s must be"),
        ({"diffusivity_m2_s": np.nan}, "diffusivity_m2_s must be"),
        ({"meridional_wind_m_s": np.zeros(35)}, "36 finite numbers"),
        ({"meridional_wind_m_s": np.full(36, np.nan)}, "36 finite numbers"),
        ({"meridional_wind_m_s": np.full(36, 1500.0)}, "must stay below"),
        ({"meridional_wind_m_s": np.full(36, 1300.0)}, "too strong"),
        ({"meridional_wind_m_s": np.zeros((2, 36)), "diffusivity_m2_s": np.full(3, K)}, "has 3 levels"),
        ({"diffusivity_m2_s": 0.0, "meridional_wind_m_s": WIND}, "must stay below"),
    ],
)
def test_that_an_operator_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    arguments = {"latitude": LATITUDE, "longitude": LONGITUDE, "diffusivity_m2_s": K} | changes
    with pytest.raises(ValueError, match=message):
        HorizontalOperator(**arguments)


def test_that_a_field_of_another_shape_or_a_negative_duration_is_refused() -> None:
    operator = HorizontalOperator(LATITUDE, LONGITUDE, np.full(LEVELS, K))
    with pytest.raises(ValueError, match=r"not \(3, 36, 72, members\)"):
        operator.advance(noise()[1:], HOUR_S)
    with pytest.raises(ValueError, match="duration_s"):
        operator.advance(noise(), -1.0)
