r"""Vertical conduction and diffusion of anomalies as matrices over the levels, and their exact propagators.

Finite volumes on equally spaced mid-levels of zp = ln(p0/p). The layer of level k has the mass m_k per area, fluxes
live on the interfaces half a step above and below it, and a tendency is the difference of two fluxes over m_k: what
leaves one layer enters the next, to rounding. Nothing flows through the top. At the bottom interface, half a step
below the lowest level, the anomaly is prescribed: zero, or an offset whose effect the functions ``..._boundary`` give,

.. math:: \frac{d\tau}{dt} = A \tau + b \, \tau_{lb} .

With ``closed=True`` nothing flows through the bottom either. All matrices are tridiagonal with positive entries beside
the diagonal, hence similar to symmetric ones: their eigenvalues are real, and negative where the column is not closed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from da.constants import GAS_CONSTANT, MOLAR_MASS
from model_adapters.column_physics.thermal import (
    CONDUCTIVITY_EXPONENT,
    SPECIES,
    THERMAL_DIFFUSION_FACTOR,
    ReferenceColumn,
)

FloatArray = NDArray[np.float64]


def conduction_matrix(column: ReferenceColumn, eddy: FloatArray, *, closed: bool = False) -> FloatArray:
    r"""Return the matrix of vertical heat conduction of temperature anomalies.

    Heat conduction in pressure coordinates (Dickinson et al. 1984,
    doi:10.1175/1520-0469(1984)041<0205:TGCWCD>2.0.CO;2), molecular and by eddies,

    .. math:: c_p \frac{\partial T}{\partial t} = \frac{g}{p} \frac{\partial}{\partial zp} \left[
              \frac{\kappa}{H} \frac{\partial T}{\partial zp}
              + \frac{p}{g} c_p k_E \left( \frac{\partial T}{\partial zp} + \frac{g H}{c_p} \right) \right],

    linearised about the column with its composition kept. As :math:`\kappa \propto T^{0.69}` and
    :math:`H \propto T`, the anomaly of the first flux is
    :math:`(\kappa T^{0.31} / H) \, \partial(T^{-0.31} \tau) / \partial zp`: in a steady flux an anomaly grows upward
    with :math:`T^{0.31}`. The second is down the gradient of potential temperature, and
    :math:`\partial\tau / \partial zp + R \tau / (M c_p)` its anomaly.

    Parameters
    ----------
    column : ReferenceColumn
    eddy : array (levels,)
        :math:`k_E`, eddy diffusion coefficient over the squared scale height [s-1].
    closed : bool
        No flux through the bottom, in place of a fixed temperature.

    Returns
    -------
    array (levels, levels)
        s-1. ``column.layer_mass * column.heat_capacity`` are the weights of the conserved heat content.
    """
    capacity = column.layer_mass * column.heat_capacity
    return _divergence(_conduction_fluxes(column, eddy)[0], closed) / capacity[:, None]


def conduction_boundary(column: ReferenceColumn, eddy: FloatArray) -> FloatArray:
    """Return the rate (levels,) [s-1] at which an offset of the bottom temperature heats each level."""
    tendency = np.zeros(column.zp.size)
    below = _conduction_fluxes(column, eddy)[1]
    tendency[0] = below / (column.layer_mass[0] * column.heat_capacity[0])
    return tendency


def eddy_heating(column: ReferenceColumn, eddy: FloatArray) -> FloatArray:
    """Return the heating (levels,) [K s-1] of the column itself by eddies, the second flux of `conduction_matrix`.

    Eddies carry heat down the gradient of potential temperature, out of the thermosphere; the temperature at the
    bottom continues that of the levels above it.
    """
    mixing, adiabatic = _eddy_conductance(column, eddy)
    below = np.concatenate([[_at_bottom(column.temperature)], column.temperature[:-1]])
    flux = mixing * (np.exp(adiabatic) * column.temperature - np.exp(-adiabatic) * below)
    return np.asarray(np.diff(flux, append=0.0) / (column.layer_mass * column.heat_capacity))


def diffusion_matrix(column: ReferenceColumn, species: str, eddy: FloatArray, *, closed: bool = False) -> FloatArray:
    r"""Return the matrix of vertical diffusion of anomalies c of ln(w_i/w_N2), one species at a time.

    The velocity of a gas relative to N2 is, exactly in a mixture of the two and with
    :meth:`ReferenceColumn.mixture_diffusion` in others at rest to N2 (Stefan-Maxwell equations; Chapman & Cowling),

    .. math:: U_i = -\frac{D_i}{H} \left[ \frac{\partial}{\partial zp} \ln\frac{w_i}{w_{N2}}
              - \frac{M_{N2} - M_i}{\bar M} + \alpha_i \frac{\partial \ln T}{\partial zp} \right],

    and the two exchange mass, :math:`\mu_i = w_i w_{N2} / (w_i + w_{N2})` of it for each unit of c:

    .. math:: \frac{p}{g} \mu_i \frac{\partial c}{\partial t} = \frac{\partial}{\partial zp} \left[
              \frac{p}{g} \mu_i \left(\frac{D_i}{H^2} + k_E\right) \frac{\partial c}{\partial zp} \right].

    :math:`\mu_i` is :math:`w_i` for a trace gas and :math:`w_{N2}` where the other dominates. Coefficients are those
    of the column; the other two ratios and the mean molar mass keep their values
    (:mod:`model_adapters.column_physics.composition` lets all vary).

    Parameters
    ----------
    column : ReferenceColumn
    species : str
        O, O2 or He.
    eddy : array (levels,)
        s-1, see :func:`conduction_matrix`.
    closed : bool
        No flux through the bottom, in place of a fixed ratio.

    Returns
    -------
    array (levels, levels)
        s-1. ``column.layer_mass * exchanged_mass(column, species)`` are the weights of the conserved mass.
    """
    coefficient = _diffusive_coefficient(column, species) + _eddy_coefficient(column, species, eddy)
    fluxes = _gradient(column.zp.size) * _conductance(coefficient, column.step)[:, None]
    return _divergence(fluxes, closed) / _exchangeable(column, species)[:, None]


def diffusion_boundary(column: ReferenceColumn, species: str, eddy: FloatArray) -> FloatArray:
    """Return the rate (levels,) [s-1] at which an offset of ln(w_i/w_N2) at the bottom changes each level."""
    coefficient = _diffusive_coefficient(column, species) + _eddy_coefficient(column, species, eddy)
    tendency = np.zeros(column.zp.size)
    tendency[0] = _conductance(coefficient, column.step)[0] / _exchangeable(column, species)[0]
    return tendency


def thermal_diffusion_matrix(column: ReferenceColumn, species: str, *, closed: bool = False) -> FloatArray:
    r"""Return the matrix that turns temperature anomalies into tendencies of c.

    On levels of pressure diffusive equilibrium, :math:`\partial_{zp} \ln(w_i/w_{N2}) = (M_{N2} - M_i)/\bar M
    - \alpha_i \partial_{zp} \ln T`, knows temperature by thermal diffusion alone. What a temperature anomaly adds to
    the flux is :math:`\alpha_i \partial_{zp}(\tau / T)`; in equilibrium :math:`c = -\alpha_i \tau / T` above a bottom
    without anomaly. Zero for O and O2, whose factor is zero.

    Parameters
    ----------
    column : ReferenceColumn
    species : str
    closed : bool
        No flux through the bottom; otherwise the temperature there has no anomaly.

    Returns
    -------
    array (levels, levels)
        s-1 K-1.
    """
    gradient = _gradient(column.zp.size) / column.temperature[None, :]
    conductance = _conductance(_diffusive_coefficient(column, species), column.step)
    fluxes = THERMAL_DIFFUSION_FACTOR[species] * conductance[:, None] * gradient
    return _divergence(fluxes, closed) / _exchangeable(column, species)[:, None]


def thermal_diffusion_boundary(column: ReferenceColumn, species: str) -> FloatArray:
    """Return the rate (levels,) [s-1 K-1] of c by thermal diffusion, per offset of the bottom temperature."""
    conductance = _conductance(_diffusive_coefficient(column, species), column.step)[0]
    relative = THERMAL_DIFFUSION_FACTOR[species] / _at_bottom(column.temperature)
    tendency = np.zeros(column.zp.size)
    tendency[0] = conductance * relative / _exchangeable(column, species)[0]
    return tendency


def diffusion_tendency(
    column: ReferenceColumn, species: str, eddy: FloatArray, log_ratio: FloatArray, bottom_log_ratio: float
) -> FloatArray:
    r"""Return the tendency of the whole ln(w_i/w_N2), not of its anomaly, with the coefficients of the column.

    The equation of :func:`diffusion_matrix` with the terms that do not depend on the ratio: separation by mass, and
    thermal diffusion in the column's temperature gradient. Photodissociation and recombination are not in it.

    Parameters
    ----------
    column : ReferenceColumn
    species : str
    eddy : array (levels,)
        s-1.
    log_ratio : array (levels,)
    bottom_log_ratio : float
        Half a step below the lowest level.

    Returns
    -------
    array (levels,)
        s-1.
    """
    molecular = _conductance(_diffusive_coefficient(column, species), column.step)
    distance = np.full(column.zp.size, column.step)
    distance[0] *= 0.5
    log_temperature = np.diff(np.log(column.temperature), prepend=np.log(_at_bottom(column.temperature)))
    lift = (MOLAR_MASS["N2"] - MOLAR_MASS[species]) * distance / _on_interfaces(column.mean_molar_mass)
    drift = molecular * (THERMAL_DIFFUSION_FACTOR[species] * log_temperature - lift)
    tendency = diffusion_matrix(column, species, eddy) @ log_ratio
    tendency += diffusion_boundary(column, species, eddy) * bottom_log_ratio
    return np.asarray(tendency + np.diff(drift, append=0.0) / _exchangeable(column, species))


def exchanged_mass(column: ReferenceColumn, species: str) -> FloatArray:
    """Return mu = w_i w_N2 / (w_i + w_N2) (levels,): change of mass fraction per unit of ln(w_i/w_N2)."""
    own, nitrogen = column.fraction(species), column.fraction("N2")
    return np.asarray(own * nitrogen / (own + nitrogen))


def propagator(matrix: FloatArray, dt: float) -> FloatArray:
    """Return exp(A dt) (levels, levels), which advances anomalies by dt [s] without forcing."""
    return np.asarray(expm(matrix * dt))


def forced(matrix: FloatArray, dt: float) -> FloatArray:
    r"""Return :math:`\int_0^{dt} e^{A s} ds` (levels, levels) [s], the answer after dt [s] to a constant forcing.

    It is the upper right block of the exponential of :math:`(A, 1; 0, 0) dt` (Van Loan 1978,
    doi:10.1109/TAC.1978.1101743), which needs no inverse of A.
    """
    size = matrix.shape[0]
    augmented = np.zeros((2 * size, 2 * size))
    augmented[:size, :size] = matrix * dt
    augmented[:size, size:] = np.eye(size) * dt
    return np.asarray(expm(augmented)[:size, size:])


def _conduction_fluxes(column: ReferenceColumn, eddy: FloatArray) -> tuple[FloatArray, float]:
    """Return downward heat fluxes on interfaces as a matrix (levels, levels), and the one per K of bottom offset."""
    weak = CONDUCTIVITY_EXPONENT - 1.0
    per_gradient = column.conductivity / column.scale_height * column.temperature**-weak
    molecular = _conductance(per_gradient, column.step)
    mixing, adiabatic = _eddy_conductance(column, eddy)
    scaled = column.temperature**weak
    above = molecular * scaled + mixing * np.exp(adiabatic)
    scaled_below = np.concatenate([[_at_bottom(column.temperature) ** weak], scaled[:-1]])
    below = molecular * scaled_below + mixing * np.exp(-adiabatic)
    return np.diag(above) - np.diag(below[1:], -1), float(below[0])


def _eddy_conductance(column: ReferenceColumn, eddy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return heat flux by eddies per difference (levels,), and the adiabatic change of ln T from interface to level."""
    mixing = _conductance(column.heat_capacity * column.pressure / column.gravity * eddy, column.step)
    half_step = np.full(column.zp.size, 0.5 * column.step)
    half_step[0] *= 0.5
    return mixing, half_step * _on_interfaces(GAS_CONSTANT / (column.mean_molar_mass * column.heat_capacity))


def _diffusive_coefficient(column: ReferenceColumn, species: str) -> FloatArray:
    """Return (p/g) mu D/H^2 (levels,) [kg m-2 s-1]."""
    if species not in SPECIES:
        raise ValueError(f"species must be one of {', '.join(SPECIES)}, not {species}")
    rate = column.mixture_diffusion(species) / column.scale_height**2
    return np.asarray(column.pressure / column.gravity * exchanged_mass(column, species) * rate)


def _eddy_coefficient(column: ReferenceColumn, species: str, eddy: FloatArray) -> FloatArray:
    return np.asarray(column.pressure / column.gravity * exchanged_mass(column, species) * eddy)


def _exchangeable(column: ReferenceColumn, species: str) -> FloatArray:
    return np.asarray(column.layer_mass * exchanged_mass(column, species))


def _at_bottom(profile: FloatArray) -> float:
    """Return a positive profile at the bottom interface, half a step below the lowest level."""
    return _below(profile, 0.5)


def _below(profile: FloatArray, steps: float) -> float:
    """Return a profile some steps below its lowest level, exponential as between the lowest two."""
    return float(profile[0] * (profile[0] / profile[1]) ** steps) if profile[1] > 0.0 else float(profile[0])


def _on_interfaces(profile: FloatArray) -> FloatArray:
    """Return a profile below each level, half-way to the next; first: half-way to the bottom interface.

    Geometric means, exact for the exponential profiles that an atmosphere is made of. The lowest point lies a quarter
    of a step below the lowest level, where a difference over half a step is of second order.
    """
    return np.concatenate([[_below(profile, 0.25)], np.sqrt(profile[1:] * profile[:-1])])


def _conductance(coefficient: FloatArray, step: float) -> FloatArray:
    """Return flux per difference between the two sides of each interface (levels,), from flux per gradient."""
    distance = np.full(coefficient.size, step)
    distance[0] *= 0.5
    return np.asarray(_on_interfaces(coefficient) / distance)


def _gradient(levels: int) -> FloatArray:
    """Return the matrix of differences across interfaces, level minus the one below it; zero below the lowest."""
    return np.eye(levels) - np.eye(levels, k=-1)


def _divergence(fluxes: FloatArray, closed: bool) -> FloatArray:
    """Return what layers gain (levels, levels) from downward fluxes through the interfaces below them."""
    below = fluxes.copy()
    if closed:
        below[0] = 0.0
    above = np.zeros_like(below)
    above[:-1] = fluxes[1:]
    return above - below
