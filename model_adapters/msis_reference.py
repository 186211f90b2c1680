r"""NRLMSIS on pressure levels, as a smooth function of the members' driver offsets.

At one time NRLMSIS is evaluated at six pairs of offsets of F10.7 and Kp. Each gives temperature, ln(w_i/w_N2)
of O, O2 and He, and the height of the bottom interface, at the pressures of the state grid. Members in between follow
from a polynomial of second order in both offsets, by one matrix product for all of them.

Pressure is that of the modelled species alone, p = kB T (n_O + n_O2 + n_He + n_N2): the model's atmosphere consists of
these four, as TIE-GCM's does. What else NRLMSIS contains (Ar, N, H, anomalous O) is accounted for in the observation
operator by the ratio of total to modelled mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from da.constants import MOLAR_MASS
from da.drivers import (
    AP_OF_KP_THIRDS,
    Drivers,
    cross_tail_potential_from_kp,
    hemispheric_power_from_kp,
    kp_from_cross_tail_potential,
    kp_from_hemispheric_power,
)
from da.errors import ThermodaError
from da.model import StateGrid
from da.msis import Atmosphere, GeomagneticActivity, Msis, MsisVersion

FloatArray = NDArray[np.float64]

SPECIES = ("O", "O2", "He")
VARIABLES = ("temperature", *SPECIES)

ALTITUDE_KM = np.concatenate(
    [
        np.arange(84.0, 132.0, 3.0),
        np.arange(132.0, 200.0, 6.0),
        np.arange(200.0, 1000.0, 40.0),
        np.arange(1000.0, 1800.0, 80.0),
    ]
)
"""Heights of the profiles, dense where temperature bends. They enclose zp = -7 ... 7.25: with the default nodes
zp = 7.25 lay at 1360 km at most in the storms of March 1989, October 2003 and May 2024, and days of Kp 9 at F10.7 of
350 sfu do not raise it beyond the last one.
"""

FINEST_LATITUDE_STEP_DEG = 10.0
"""NRLMSIS holds harmonics up to degree 6: latitudes every 10 degrees with the poles, cubic in between, were good to
7e-4 in ln T and 5e-3 in ln(w/w_N2), rms 1e-4 and 5e-4, on 5 April 2010."""

LONGITUDES = 16
"""Its zonal harmonics end at 3 (terdiurnal), and what is not linear in them falls off fast: sixteen longitudes,
trigonometric in between, were good to 1e-4 in ln T and 3e-3 in ln(w/w_N2) on 5 April 2010."""


class OffsetNodes(Protocol):
    """Pairs of offsets at which NRLMSIS is evaluated, and how members in between follow from them."""

    def offsets(self) -> list[tuple[float, float]]:
        """Return the nodes (F10.7 [sfu], Kp)."""
        ...

    def weights(self, f107_offset_sfu: FloatArray, kp_offset: FloatArray) -> FloatArray:
        """Return the weights (nodes, members) of the nodes, which sum to one."""
        ...


@dataclass(frozen=True)
class DriverNodes:
    """Offsets of F10.7 and Kp at which NRLMSIS is evaluated, and the polynomial through them.

    Quadratic in each offset, with one mixed term: six coefficients, six evaluations. Exact without offsets. With the
    default distances, on 5 April 2010, it was good to 6e-4 in ln T for F10.7 offsets up to 24 sfu, but to 2e-2 only
    for Kp offsets of 0.75, because NRLMSIS bends where ap does; from Kp 0, where it bends most, to half the response.

    Parameters
    ----------
    f107_sfu, kp : float
        Distance of the nodes from zero.
    """

    f107_sfu: float
    kp: float

    def offsets(self) -> list[tuple[float, float]]:
        """Return the nodes (F10.7, Kp): the centre, two on each axis, and one corner."""
        f, k = self.f107_sfu, self.kp
        return [(0.0, 0.0), (-f, 0.0), (f, 0.0), (0.0, -k), (0.0, k), (f, k)]

    def weights(self, f107_offset_sfu: FloatArray, kp_offset: FloatArray) -> FloatArray:
        """Return the weights (6, members) of the nodes, in their order; they sum to one."""
        x, y = f107_offset_sfu / self.f107_sfu, kp_offset / self.kp
        mixed = x * y
        return np.stack(
            [
                1.0 - x**2 - y**2 + mixed,
                0.5 * x * (x - 1.0),
                0.5 * x * (x + 1.0) - mixed,
                0.5 * y * (y - 1.0),
                0.5 * y * (y + 1.0) - mixed,
                mixed,
            ]
        )


def member_kp_offset(
    drivers: Drivers, time: np.datetime64, hemispheric_power_gw: FloatArray, cross_tail_potential_kv: FloatArray
) -> FloatArray:
    """Return the Kp offset (members,) that stands for offsets of hemispheric power [GW] and cross-tail potential [kV].

    NRLMSIS knows neither; each offset is turned into Kp by inverting the empirical relation at the present Kp (read
    from the interpolated ap, so that it does not jump every three hours), and the two are averaged. An offset below
    the forcing of Kp 0, or above that of Kp 9, counts as far as that Kp.
    """
    thirds = np.arange(AP_OF_KP_THIRDS.size, dtype=np.float64)
    kp = np.interp(drivers.ap(time), AP_OF_KP_THIRDS, thirds) / 3.0
    power = np.maximum(hemispheric_power_from_kp(kp) + hemispheric_power_gw, 0.0)
    potential = np.maximum(cross_tail_potential_from_kp(kp) + cross_tail_potential_kv, 0.0)
    by_power, by_potential = kp_from_hemispheric_power(power), kp_from_cross_tail_potential(potential)
    return np.asarray(0.5 * (by_power + by_potential) - kp)


class MsisReference:
    """Coefficients of the reference state at one time after the other, the last few kept.

    Parameters
    ----------
    grid : StateGrid
    reference_pressure : float
        p0 [Pa].
    version, activity
        Of NRLMSIS.
    nodes : OffsetNodes
    """

    def __init__(
        self,
        grid: StateGrid,
        reference_pressure: float,
        version: MsisVersion,
        activity: GeomagneticActivity,
        nodes: OffsetNodes,
    ) -> None:
        self._grid = grid
        self._version, self._activity, self._nodes = version, activity, nodes
        step = float(grid.level[1] - grid.level[0])
        zp = np.concatenate([[grid.level[0] - 0.5 * step], grid.level])
        self._minus_log_pressure = zp - np.log(reference_pressure)
        self._latitude, self._to_latitude = _latitude_nodes(grid.latitude)
        self._longitude, self._to_longitude = _longitude_nodes(grid.longitude)
        # The drivers are kept with what was computed from them: the identity of a living object is unique.
        self._kept: dict[tuple[int, int], tuple[Drivers, FloatArray]] = {}

    def at(
        self, drivers: Drivers, time: np.datetime64, f107_offset_sfu: FloatArray, kp_offset: FloatArray
    ) -> tuple[dict[str, FloatArray], FloatArray]:
        """Return the reference of members with the given offsets (members,).

        Returns
        -------
        variables : dict
            ``temperature`` [K] and ln(w_i/w_N2) of O, O2, He, each (levels, latitudes, longitudes, members).
        bottom_height : array (latitudes, longitudes, members)
            Geometric height [m] of the bottom interface.

        Raises
        ------
        ThermodaError
            If NRLMSIS gives no usable profile for these drivers.
        """
        weights = self._nodes.weights(f107_offset_sfu, kp_offset)
        values = self._coefficients(drivers, time).T @ weights
        cells, members = self._grid.cells, weights.shape[1]
        variables = {
            name: values[i * cells : (i + 1) * cells].reshape(*self._grid.shape, members)
            for i, name in enumerate(VARIABLES)
        }
        return variables, values[len(VARIABLES) * cells :].reshape(*self._grid.shape[1:], members)

    def _coefficients(self, drivers: Drivers, time: np.datetime64) -> FloatArray:
        key = (id(drivers), int(time.astype("datetime64[ns]").astype(np.int64)))
        if key not in self._kept:
            msis = Msis(drivers, self._version, self._activity)
            nodes = [self._profile(msis, time, f107, kp) for f107, kp in self._nodes.offsets()]
            while len(self._kept) >= 4:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = (drivers, np.stack(nodes))
        return self._kept[key][1]

    def _profile(self, msis: Msis, time: np.datetime64, f107_offset_sfu: float, kp_offset: float) -> FloatArray:
        atmosphere = msis.on_grid(
            time, self._latitude, self._longitude, ALTITUDE_KM, f107_offset_sfu=f107_offset_sfu, kp_offset=kp_offset
        )
        if not np.all(atmosphere.temperature > 0.0):
            raise ThermodaError(
                f"{self._place(time, f107_offset_sfu, kp_offset)} gives temperatures that are not positive; "
                "take another version, or smaller distances of its nodes"
            )
        minus_log_pressure = -np.log(atmosphere.pressure)
        if np.any(minus_log_pressure[-1] < self._minus_log_pressure[-1]):
            raise ThermodaError(
                f"{self._place(time, f107_offset_sfu, kp_offset)} has the top level above {ALTITUDE_KM[-1]:g} km; "
                "profiles end there"
            )
        stacked = np.stack(
            [*_variables(atmosphere), np.broadcast_to(1e3 * ALTITUDE_KM[:, None, None], atmosphere.density.shape)]
        )
        on_levels = hermite_profiles(minus_log_pressure, stacked, self._minus_log_pressure)
        on_grid = self._to_latitude @ on_levels @ self._to_longitude.T
        return np.concatenate([on_grid[:-1, 1:].ravel(), on_grid[-1, 0].ravel()])

    def _place(self, time: np.datetime64, f107_offset_sfu: float, kp_offset: float) -> str:
        when, offsets = time.astype("datetime64[s]"), f"F10.7 {f107_offset_sfu:+g} sfu and Kp {kp_offset:+g}"
        return f"model.settings: NRLMSIS {self._version} at {when} with {offsets}"


def _variables(atmosphere: Atmosphere) -> list[FloatArray]:
    mass = {name: MOLAR_MASS[name] * atmosphere.number_density[name] for name in (*SPECIES, "N2")}
    return [atmosphere.temperature, *(np.log(mass[name] / mass["N2"]) for name in SPECIES)]


def _latitude_nodes(latitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the latitudes of evaluation and the matrix that interpolates from them to the grid's."""
    if latitude.size < 2 or latitude[1] - latitude[0] >= FINEST_LATITUDE_STEP_DEG:
        return latitude, np.eye(latitude.size)
    nodes = np.linspace(-90.0, 90.0, round(180.0 / FINEST_LATITUDE_STEP_DEG) + 1)
    return nodes, np.asarray(CubicSpline(nodes, np.eye(nodes.size))(latitude))


def _longitude_nodes(longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the longitudes of evaluation and the trigonometric interpolation matrix to the grid's."""
    if longitude.size <= LONGITUDES:
        return longitude, np.eye(longitude.size)
    nodes = np.arange(LONGITUDES, dtype=np.float64) * (360.0 / LONGITUDES) - 180.0
    return nodes, trigonometric_interpolation(nodes, longitude)


def trigonometric_interpolation(nodes: FloatArray, target: FloatArray) -> FloatArray:
    """Return the matrix (targets, nodes) that interpolates periodic values at equally spaced nodes [degrees].

    Each row holds the Dirichlet kernel sin(n x / 2) / (n tan(x / 2)) of an even number n of nodes, which is exact for
    zonal wavenumbers below n / 2.
    """
    n = nodes.size
    x = np.radians(target[:, None] - nodes[None, :])
    half = 0.5 * np.mod(x + np.pi, 2.0 * np.pi) - 0.5 * np.pi
    at_node = np.abs(np.sin(half)) < 1e-12
    kernel = np.sin(n * half) / (n * np.tan(np.where(at_node, 1.0, half)))
    return np.where(at_node, 1.0, kernel)


def hermite_profiles(coordinate: FloatArray, values: FloatArray, target: FloatArray) -> FloatArray:
    """Interpolate profiles with a coordinate of their own per column, piecewise cubic with parabolic slopes.

    Parameters
    ----------
    coordinate : array (heights, latitudes, longitudes)
        Increasing with height.
    values : array (variables, heights, latitudes, longitudes)
    target : array (levels,)
        Within the coordinate's range in every column.

    Returns
    -------
    array (variables, levels, latitudes, longitudes)
        Third-order accurate; exact for parabolas.

    Raises
    ------
    ValueError
        If a target lies outside a column.
    """
    if np.any(coordinate[0] > target[0]) or np.any(coordinate[-1] < target[-1]):
        raise ValueError("the pressure levels lie outside the heights at which the profiles are evaluated")
    width = np.diff(coordinate, axis=0)
    chord = np.diff(values, axis=1) / width
    slope = np.empty_like(values)
    slope[:, 1:-1] = (width[1:] * chord[:, :-1] + width[:-1] * chord[:, 1:]) / (width[1:] + width[:-1])
    slope[:, 0] = 2.0 * chord[:, 0] - slope[:, 1]
    slope[:, -1] = 2.0 * chord[:, -1] - slope[:, -2]
    below = np.stack([np.sum(coordinate <= level, axis=0) - 1 for level in target])
    below = np.clip(below, 0, coordinate.shape[0] - 2)

    def pick(field: FloatArray, index: NDArray[np.int64]) -> FloatArray:
        return np.take_along_axis(field, np.broadcast_to(index, (*field.shape[:-3], *index.shape)), axis=-3)

    h = pick(width, below)
    t = (target[:, None, None] - pick(coordinate, below)) / h
    left, right = pick(values, below), pick(values, below + 1)
    slope_left, slope_right = pick(slope, below), pick(slope, below + 1)
    return np.asarray(
        (1.0 + 2.0 * t) * (1.0 - t) ** 2 * left
        + t * (1.0 - t) ** 2 * h * slope_left
        + t**2 * (3.0 - 2.0 * t) * right
        + t**2 * (t - 1.0) * h * slope_right
    )
