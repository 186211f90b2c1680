r"""Heating by solar extreme and far ultraviolet radiation, absorbed by O, O2 and N2.

.. math:: q(p, \chi) = \sum_b F_b \, \epsilon_b \, e^{-\tau_b} \sum_i \sigma_{bi} \frac{w_i}{m_i},
          \qquad \tau_b = \sum_i \sigma_{bi} N_i(p, \chi)

in W kg-1: photon flux F, heat per absorbed photon epsilon, cross section sigma, mass fraction w, molecular mass m and
slant column N. Bands are those of Solomon & Qian (2005), doi:10.1029/2005JA011160, their fluxes linear in F10.7 as in
EUVAC (Richards et al. 1994, doi:10.1029/94JA00518):

.. math:: F_b = F_b^{80} \, (1 + A_b (P - 80)), \qquad P = (F_{10.7} + \bar F_{10.7}) / 2

Below 105 nm heat is a fixed share of the photon's energy. Above, O2 is dissociated and heat is what its bond leaves
over; what recombination of O below 100 km gives back is not counted. The distance of the sun is the mean one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx

from da.constants import AVOGADRO, EARTH_RADIUS, MOLAR_MASS
from model_adapters.column_physics.thermal import ReferenceColumn

FloatArray = NDArray[np.float64]

ABSORBERS = ("O", "O2", "N2")

BANDS = np.array(
    [
        (172.5, 3.397e11, 5.937e-04, 0.0, 0.5, 0.0),
        (167.5, 1.998e11, 6.089e-04, 0.0, 1.5, 0.0),
        (162.5, 1.055e11, 1.043e-03, 0.0, 3.4, 0.0),
        (157.5, 7.260e10, 1.125e-03, 0.0, 6.0, 0.0),
        (152.5, 5.080e10, 1.531e-03, 0.0, 10.0, 0.0),
        (147.5, 2.802e10, 1.202e-03, 0.0, 13.0, 0.0),
        (142.5, 1.824e10, 1.873e-03, 0.0, 15.0, 0.0),
        (137.5, 1.387e10, 2.632e-03, 0.0, 12.0, 0.0),
        (132.5, 2.659e10, 2.877e-03, 0.0, 2.2, 0.0),
        (127.5, 7.790e09, 2.610e-03, 0.0, 0.4, 0.0),
        (122.5, 1.509e10, 3.739e-03, 0.0, 13.0, 0.0),
        (121.6, 3.940e11, 4.230e-03, 0.0, 0.01, 0.0),
        (117.5, 8.399e09, 2.541e-03, 0.0, 1.4, 0.0),
        (112.5, 3.200e09, 2.099e-03, 0.0, 0.4, 0.0),
        (107.5, 3.298e09, 3.007e-03, 0.0, 1.0, 0.0),
        (103.8, 4.235e09, 4.825e-03, 0.0, 1.15, 0.0),
        (100.7, 4.419e09, 5.021e-03, 0.0, 1.63, 0.0),
        (98.10, 4.482e09, 3.950e-03, 0.0, 18.7, 2.55),
        (94.40, 7.156e08, 4.422e-03, 0.0, 32.5, 115.0),
        (94.40, 1.028e09, 4.955e-03, 0.0, 14.4, 14.4),
        (94.40, 3.818e08, 4.915e-03, 0.0, 13.4, 2.18),
        (85.55, 8.448e08, 5.437e-03, 3.79, 13.3, 71.7),
        (85.55, 3.655e09, 5.261e-03, 4.10, 10.9, 13.1),
        (85.55, 2.364e09, 5.310e-03, 3.00, 10.5, 2.14),
        (72.40, 1.142e09, 3.680e-03, 4.79, 24.9, 54.5),
        (72.40, 1.459e09, 5.719e-03, 8.52, 23.6, 23.0),
        (59.50, 4.830e09, 5.857e-03, 13.1, 27.0, 23.1),
        (43.00, 2.861e09, 1.458e-02, 10.7, 20.3, 19.7),
        (30.50, 8.380e09, 7.059e-03, 7.72, 16.8, 11.7),
        (25.70, 4.342e09, 2.575e-02, 6.02, 13.2, 9.94),
        (18.95, 5.612e09, 1.433e-02, 3.78, 7.63, 5.09),
        (11.25, 1.270e09, 9.182e-03, 1.32, 2.63, 1.53),
        (5.100, 5.326e08, 1.343e-02, 0.325, 0.646, 0.346),
        (2.500, 2.850e07, 6.247e-02, 0.105, 0.210, 1.14),
        (1.300, 2.000e06, 2.000e-01, 0.113, 0.225, 0.141),
        (0.600, 1.000e04, 3.710e-01, 0.017, 0.034, 0.0201),
        (0.225, 5.010e01, 6.240e-01, 2.27e-3, 4.54e-3, 2.53e-3),
    ]
)
"""Wavelength [nm]; photons at P = 80 [cm-2 s-1]; A [1/sfu]; cross sections of O, O2 and N2 [1e-18 cm2].

Where N2 absorbs in lines, a range of wavelengths is split by cross section.
"""

REFERENCE_F107_SFU = 80.0
HEATING_EFFICIENCY = 0.45
"""Share of the energy absorbed below 105 nm that heats the neutral gas where it is absorbed: a mean over the column of
the 0.5 to 0.55 near 150 km and about 0.3 at 400 km of Roble et al. (1987), doi:10.1029/JA092iA08p08745."""

IONISING_WAVELENGTH_NM = 105.0
PHOTON_ENERGY_NM = 1.98644586e-16
"""h c [J nm], from the exact constants of the SI."""

BOND_ENERGY_O2 = 5.12 * 1.602176634e-19
"""Energy that dissociates O2 [J]. The O(1D) that comes of it is taken as quenched on the spot."""


def photon_flux(f107_sfu: float) -> FloatArray:
    """Return the photon flux of the bands outside the atmosphere [m-2 s-1], never negative.

    Parameters
    ----------
    f107_sfu : float
        P: half the sum of the daily and the 81-day mean F10.7 [sfu].
    """
    scale = 1.0 + BANDS[:, 2] * (f107_sfu - REFERENCE_F107_SFU)
    return np.asarray(1e4 * BANDS[:, 1] * np.maximum(scale, 0.0))


def photon_flux_per_sfu(f107_sfu: float) -> FloatArray:
    """Return the derivative of `photon_flux` with respect to P [m-2 s-1 sfu-1]."""
    return np.asarray(np.where(photon_flux(f107_sfu) > 0.0, 1e4 * BANDS[:, 1] * BANDS[:, 2], 0.0))


def heat_per_photon(efficiency: float = HEATING_EFFICIENCY) -> FloatArray:
    """Return the heat that an absorbed photon of each band leaves in the gas [J]."""
    energy = PHOTON_ENERGY_NM / BANDS[:, 0]
    return np.asarray(np.where(BANDS[:, 0] < IONISING_WAVELENGTH_NM, efficiency * energy, energy - BOND_ENERGY_O2))


def euv_heating(
    column: ReferenceColumn,
    height: FloatArray,
    cos_zenith: ArrayLike,
    f107_sfu: float,
    efficiency: float = HEATING_EFFICIENCY,
) -> FloatArray:
    """Return the heating rate by sunlight [W kg-1].

    Parameters
    ----------
    column : ReferenceColumn
    height : array (levels,)
        Geometric height of its levels [m].
    cos_zenith : array (...)
        Cosine of the solar zenith angle; negative below the horizon, where a high level may still be lit.
    f107_sfu : float
        P, see `photon_flux`.
    efficiency : float
        See `HEATING_EFFICIENCY`.

    Returns
    -------
    array (levels, ...)
    """
    return _absorbed(column, height, cos_zenith, photon_flux(f107_sfu) * heat_per_photon(efficiency))


def euv_heating_per_sfu(
    column: ReferenceColumn,
    height: FloatArray,
    cos_zenith: ArrayLike,
    f107_sfu: float,
    efficiency: float = HEATING_EFFICIENCY,
) -> FloatArray:
    """Return the derivative of `euv_heating` with respect to P, in the same column [W kg-1 sfu-1]."""
    return _absorbed(column, height, cos_zenith, photon_flux_per_sfu(f107_sfu) * heat_per_photon(efficiency))


def sphere_nodes(count: int = 64) -> tuple[FloatArray, FloatArray]:
    """Return cosines of zenith angles and weights, summing to one, that average over the globe.

    On a sphere in parallel light the cosine is uniform on [-1, 1]: Gauss-Legendre nodes, half on the night side, none
    on the kink at the horizon.
    """
    nodes, weights = np.polynomial.legendre.leggauss(count // 2)
    cosines = np.concatenate([0.5 * (nodes - 1.0), 0.5 * (nodes + 1.0)])
    return cosines, np.concatenate([weights, weights]) / 4.0


def global_mean_euv_heating(
    column: ReferenceColumn, height: FloatArray, f107_sfu: float, efficiency: float = HEATING_EFFICIENCY
) -> FloatArray:
    """Return the mean of `euv_heating` over the globe [W kg-1], (levels,), one column everywhere."""
    cosines, weights = sphere_nodes()
    return np.asarray(euv_heating(column, height, cosines, f107_sfu, efficiency) @ weights)


def chapman(x: ArrayLike, cos_zenith: ArrayLike) -> FloatArray:
    r"""Return Chapman's function: slant over vertical column of an exponential atmosphere, sun above the horizon.

    .. math:: Ch = \sqrt{\pi x / 2} \; e^{y^2} \mathrm{erfc}(y), \quad y = \sqrt{x / 2} \, \cos\chi

    Smith & Smith (1972), doi:10.1029/JA077i019p03592, good to 1 % for x > 50.

    Parameters
    ----------
    x : array
        Distance from the Earth's centre in scale heights.
    cos_zenith : array, broadcasts against ``x``
        0 to 1.
    """
    root = np.sqrt(0.5 * np.asarray(x, dtype=np.float64))
    return np.asarray(np.sqrt(np.pi) * root * erfcx(root * np.asarray(cos_zenith)))


def vertical_columns(column: ReferenceColumn) -> dict[str, FloatArray]:
    """Return the molecules of each absorber above each level [m-2], (levels,).

    Log-linear in zp between levels; above the top in diffusive equilibrium, where the column is p_i / (m_i g).
    """
    columns = {}
    for gas in ABSORBERS:
        mass = MOLAR_MASS[gas] / AVOGADRO
        integrand = column.fraction(gas) * column.pressure / (mass * column.gravity)
        lower, upper = integrand[:-1], integrand[1:]
        layers = column.step * (lower - upper) / np.log(lower / upper)
        top = column.mole_fraction(gas)[-1] * column.pressure[-1] / (mass * column.gravity[-1])
        columns[gas] = top + np.concatenate([np.cumsum(layers[::-1])[::-1], [0.0]])
    return columns


def _absorbed(column: ReferenceColumn, height: FloatArray, cos_zenith: ArrayLike, power: FloatArray) -> FloatArray:
    """Return the sum over bands of power [W m-2] times absorption per mass [m2 kg-1]."""
    cosine = np.asarray(cos_zenith, dtype=np.float64)
    slant = _slant_columns(column, height, cosine.ravel())
    lit = np.isfinite(slant["O2"])
    heating = np.zeros((column.zp.size, cosine.size))
    for band, incoming in zip(BANDS, power, strict=True):
        cross_sections = dict(zip(ABSORBERS, 1e-22 * band[3:], strict=True))
        depth = sum(sigma * np.where(lit, slant[gas], 0.0) for gas, sigma in cross_sections.items())
        per_mass = sum(
            sigma * column.fraction(gas) * (AVOGADRO / MOLAR_MASS[gas]) for gas, sigma in cross_sections.items()
        )
        heating += incoming * np.asarray(per_mass)[:, None] * np.where(lit, np.exp(-depth), 0.0)
    return heating.reshape(column.zp.size, *cosine.shape)


def _slant_columns(column: ReferenceColumn, height: FloatArray, cosine: FloatArray) -> dict[str, FloatArray]:
    """Return molecules towards the sun [m-2], (levels, points); infinite where the ray passes below the lowest level.

    Below the horizon the ray goes through a tangent point: twice the column from there, less the part behind.
    """
    if height.shape != column.zp.shape or not np.all(np.diff(height) > 0.0):
        raise ValueError("height must increase, one value per level")
    radius = EARTH_RADIUS + height[:, None]
    above = cosine >= 0.0
    tangent = radius * np.sqrt(1.0 - np.minimum(cosine, 0.0) ** 2) - EARTH_RADIUS
    seen = above | (tangent >= height[0])
    slant = {}
    for gas, vertical in vertical_columns(column).items():
        density = column.mole_fraction(gas) * column.density / column.mean_molar_mass * AVOGADRO
        scale = vertical / density
        direct = vertical[:, None] * chapman(radius / scale[:, None], np.abs(cosine))
        log_column = np.interp(tangent, height, np.log(vertical))
        behind = np.exp(log_column) * chapman((EARTH_RADIUS + tangent) / np.interp(tangent, height, scale), 0.0)
        slant[gas] = np.where(seen, np.where(above, direct, 2.0 * behind - direct), np.inf)
    return slant
