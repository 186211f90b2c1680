r"""Diffusion of O, O2 and He through N2 and through each other, all at once.

With q_i = ln(w_i/w_N2) of the three species and velocities U_i relative to N2, the Stefan-Maxwell equations read
(x: mole fractions, D: binary coefficients, U of N2 zero; as solved in TIE-GCM by Dickinson et al. 1984,
doi:10.1175/1520-0469(1984)041<0205:TGCWCD>2.0.CO;2)

.. math:: \frac{y_i}{H} = -\sum_j K_{ij} U_j, \quad
          y_i = \frac{\partial q_i}{\partial zp} - \frac{M_{N2} - M_i}{\bar M}
                + \alpha_i \frac{\partial \ln T}{\partial zp}, \quad
          K_{ii} = \frac{x_i + x_{N2}}{D_{i,N2}} + \sum_{j \neq i} \frac{x_j}{D_{ij}}, \quad
          K_{ij} = x_j \left( \frac{1}{D_{j,N2}} - \frac{1}{D_{ij}} \right) .

Mass fractions change by :math:`\delta w_i = \sum_j W_{ij} c_j`, :math:`W_{ij} = w_i (\delta_{ij} - w_j)`, and the same
W turns velocities relative to N2 into mass fluxes relative to the centre of mass, :math:`J_i = \rho W_{ij} U_j`. So

.. math:: \frac{p}{g} W \frac{\partial c}{\partial t} = \frac{\partial}{\partial zp} \left\{ \frac{p}{g} W \left[
          \frac{K^{-1}}{H^2} y' + k_E \frac{\partial c}{\partial zp} \right] \right\}, \quad
          y'_i = \frac{\partial c_i}{\partial zp} - (M_{N2} - M_i) \, \delta \frac{1}{\bar M}
                 + \alpha_i \frac{\partial}{\partial zp} \frac{\tau}{T},

where :math:`\delta (1/\bar M) = \sum_{ij} (1/M_i - 1/M_{N2}) W_{ij} c_j`: a lighter column is thicker between two
pressures, and separates further. The coefficients are those of the column: the flux that is left in a column out of
equilibrium is taken as unchanged.

Vectors hold the three species after each other: element ``s * levels + k`` is species s of
:data:`~model_adapters.column_physics.thermal.SPECIES` on level k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.constants import MOLAR_MASS
from model_adapters.column_physics.thermal import GASES, SPECIES, THERMAL_DIFFUSION_FACTOR, ReferenceColumn

FloatArray = NDArray[np.float64]

LIGHTER_THAN_NITROGEN = np.array([MOLAR_MASS["N2"] - MOLAR_MASS[name] for name in SPECIES])
"""M_N2 - M_i [kg mol-1]."""


def composition_matrix(column: ReferenceColumn, eddy: FloatArray, *, closed: bool = False) -> FloatArray:
    """Return the matrix of vertical diffusion of the anomalies of ln(w/w_N2) of all three species.

    Parameters
    ----------
    column : ReferenceColumn
    eddy : array (levels,)
        Eddy diffusion coefficient over the squared scale height [s-1].
    closed : bool
        No flux through the bottom, in place of fixed ratios.

    Returns
    -------
    array (3 levels, 3 levels)
        s-1. A closed column conserves the mass of every species, see :func:`mass_anomaly_matrix`.
    """
    fluxes = _composition_fluxes(column, eddy)[0]
    return _tendency(column, fluxes, closed)


def composition_boundary(column: ReferenceColumn, eddy: FloatArray) -> FloatArray:
    """Return the rates (3 levels, 3) [s-1] at which offsets of ln(w/w_N2) at the bottom change the ratios."""
    fluxes = np.zeros((column.zp.size, len(SPECIES), 1, len(SPECIES)))
    fluxes[0, :, 0] = _composition_fluxes(column, eddy)[1]
    return _tendency(column, fluxes, closed=False)


def temperature_coupling(column: ReferenceColumn, *, closed: bool = False) -> FloatArray:
    """Return the matrix (3 levels, levels) [s-1 K-1] of thermal diffusion, driven by temperature anomalies.

    The bottom temperature has no anomaly, or nothing flows through the bottom when ``closed``.
    """
    levels = column.zp.size
    distance = _distance(column)[:, None]
    relative = (np.eye(levels) - np.eye(levels, k=-1)) / column.temperature / distance
    factor = np.array([THERMAL_DIFFUSION_FACTOR[name] for name in SPECIES])
    fluxes = np.einsum("fij,j,fl->fil", _mobility(_interfaces(column)), factor, relative)
    return _tendency(column, fluxes[..., None], closed)


def eddy_tendency(column: ReferenceColumn, eddy: FloatArray) -> FloatArray:
    """Return the tendency (3 levels,) [s-1] of the log ratios of the column itself by eddies alone.

    The ratios at the bottom continue those of the levels above it.
    """
    faces = _interfaces(column)
    ratios = [np.log(column.fraction(name) / column.fraction("N2")) for name in SPECIES]
    at_bottom = [np.log(faces.fraction(name)[0] / faces.fraction("N2")[0]) for name in SPECIES]
    gradient = np.diff(np.stack(ratios), prepend=np.array(at_bottom)[:, None], axis=1) / _distance(column)
    fluxes = np.einsum("fij,jf->fi", _eddy_mixing(faces, eddy), gradient)
    return _tendency(column, fluxes[:, :, None, None], closed=False)[:, 0]


def mass_anomaly_matrix(column: ReferenceColumn) -> FloatArray:
    """Return the matrix (3 levels, 3 levels) [kg m-2] from c to the anomalous mass of each species in each layer."""
    weight = column.layer_mass[:, None, None] * _fraction_response(column)
    return _stacked(np.einsum("kij,kl->kilj", weight, np.eye(column.zp.size)))


def _composition_fluxes(column: ReferenceColumn, eddy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return downward fluxes (interfaces, 3, levels, 3) [kg m-2 s-1], and (3, 3) per offset at the bottom."""
    levels, faces = column.zp.size, _interfaces(column)
    above, below = np.eye(levels), np.eye(levels, k=-1)
    identity = np.eye(len(SPECIES))
    gradient = np.einsum("fl,ij->filj", (above - below) / _distance(column)[:, None], identity)
    mean = 0.5 * (above + below)
    separation = np.einsum("i,fl,lj->filj", LIGHTER_THAN_NITROGEN, mean, _inverse_molar_mass_response(column))
    mixing = _eddy_mixing(faces, eddy)
    mobility = _mobility(faces)
    fluxes = np.einsum("fij,fjlm->film", mobility, gradient - separation)
    fluxes += np.einsum("fij,fjlm->film", mixing, gradient)
    at_bottom = _inverse_molar_mass_response(faces)[0]
    bottom_gradient = -identity / _distance(column)[0]
    lift = 0.5 * np.outer(LIGHTER_THAN_NITROGEN, at_bottom)
    return fluxes, mobility[0] @ (bottom_gradient - lift) + mixing[0] @ bottom_gradient


def _interfaces(column: ReferenceColumn) -> ReferenceColumn:
    """Return the column on the interfaces below its levels: means of ln T and ln(w/w_N2), the lowest extrapolated."""

    def lowered(profile: FloatArray) -> FloatArray:
        lowest = 1.5 * profile[0] - 0.5 * profile[1]
        return np.concatenate([[lowest], 0.5 * (profile[1:] + profile[:-1])])

    nitrogen = np.log(column.fraction("N2"))
    ratios = {name: lowered(np.log(column.fraction(name)) - nitrogen) for name in SPECIES}
    temperature = np.exp(lowered(np.log(column.temperature)))
    zp = column.zp - 0.5 * column.step
    return ReferenceColumn.from_log_ratio(zp, temperature, ratios, lowered(column.gravity), column.reference_pressure)


def _eddy_on_interfaces(eddy: FloatArray) -> FloatArray:
    """Return the eddy rate on interfaces (levels,); the lowest continues the decline above it."""
    lowest = eddy[0] * np.sqrt(eddy[0] / eddy[1]) if eddy[1] > 0.0 else eddy[0]
    return np.concatenate([[lowest], np.sqrt(eddy[1:] * eddy[:-1])])


def _eddy_mixing(faces: ReferenceColumn, eddy: FloatArray) -> FloatArray:
    """Return (p/g) W k_E on interfaces (levels, 3, 3) [kg m-2 s-1]."""
    mixed = faces.pressure / faces.gravity * _eddy_on_interfaces(eddy)
    return np.asarray(mixed[:, None, None] * _fraction_response(faces))


def _distance(column: ReferenceColumn) -> FloatArray:
    distance = np.full(column.zp.size, column.step)
    distance[0] *= 0.5
    return distance


def _mobility(column: ReferenceColumn) -> FloatArray:
    """Return (p/g) W K^-1 / H^2 (levels, 3, 3) [kg m-2 s-1]."""
    drag = np.zeros((column.zp.size, len(SPECIES), len(SPECIES)))
    for i, own in enumerate(SPECIES):
        drag[:, i, i] = 1.0 / column.mixture_diffusion(own)
        for j, other in enumerate(SPECIES):
            if i != j:
                difference = 1.0 / column.binary_diffusion(other, "N2") - 1.0 / column.binary_diffusion(own, other)
                drag[:, i, j] = column.mole_fraction(other) * difference
    scale = column.pressure / (column.gravity * column.scale_height**2)
    return np.asarray(scale[:, None, None] * (_fraction_response(column) @ np.linalg.inv(drag)))


def _fraction_response(column: ReferenceColumn) -> FloatArray:
    """Return W (levels, 3, 3)."""
    fraction = np.stack([column.fraction(name) for name in SPECIES], axis=-1)
    return np.asarray(fraction[:, :, None] * (np.eye(len(SPECIES)) - fraction[:, None, :]))


def _inverse_molar_mass_response(column: ReferenceColumn) -> FloatArray:
    """Return the derivatives (levels, 3) [mol kg-1] of 1/M with respect to the log ratios."""
    excess = np.array([1.0 / MOLAR_MASS[name] - 1.0 / MOLAR_MASS["N2"] for name in SPECIES])
    return np.asarray(np.einsum("i,kij->kj", excess, _fraction_response(column)))


def _tendency(column: ReferenceColumn, fluxes: FloatArray, closed: bool) -> FloatArray:
    """Return tendencies of the log ratios, stacked, from downward fluxes (interfaces, 3, sources, components)."""
    gain = -fluxes
    if closed:
        gain[0] = 0.0
    gain[:-1] += fluxes[1:]
    fraction = {name: column.fraction(name) for name in GASES}
    # The inverse of W, in closed form (Sherman-Morrison).
    inverse = np.stack([np.diag([1.0 / fraction[name][k] for name in SPECIES]) for k in range(column.zp.size)])
    inverse += (1.0 / fraction["N2"])[:, None, None]
    return _stacked(np.einsum("kij,kjlm->kilm", inverse / column.layer_mass[:, None, None], gain))


def _stacked(blocks: FloatArray) -> FloatArray:
    """Return (levels, 3, sources, components) as a matrix, species by species."""
    levels, species, sources, components = blocks.shape
    return blocks.transpose(1, 0, 3, 2).reshape(species * levels, components * sources)
