"""Empirical high-latitude forcing as functions of the solar wind: polar-cap potential and auroral hemispheric power.

Magnetic fields are in GSM; `da.drivers.high_latitude` says which average of the solar wind enters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

PROTON_PRESSURE = 1.6726e-6
"""Proton mass [kg] in units that turn cm-3 (km/s)^2 into nPa."""

SMALLEST_VELOCITY_KM_S = 200.0
SMALLEST_DENSITY_CM3 = 0.1
"""Slower or thinner wind counts as these, so that the offset of a member cannot take it where no wind is."""

POLAR_CAP_CONDUCTANCE_S = 10.0
"""Pedersen conductance of the polar cap that limits the potential. A choice, constant in time: with it the mean
potential of April 2010, February 2022 and October 2024 is within 10 % of what Kp gives (with 6 S it is 20 % more)."""

VISCOUS_POTENTIAL_KV = 30.0
LARGEST_COUNTED_VELOCITY_KM_S = 700.0
SMALLEST_HEMISPHERIC_POWER_GW = 2.5
POWER_FACTOR = 2.0
"""From the powers of NOAA and DMSP satellites, which Emery et al. fitted, to those that TIMED/GUVI images give."""


def dynamic_pressure_npa(density_cm3: ArrayLike, velocity_km_s: ArrayLike) -> FloatArray:
    """Return the dynamic pressure ``m_p n v^2`` of the protons [nPa]; helium, some 15 % more, is left out.

    Parameters
    ----------
    density_cm3, velocity_km_s : array_like
        Broadcast; counted as `SMALLEST_DENSITY_CM3` and `SMALLEST_VELOCITY_KM_S` where smaller.
    """
    density = np.maximum(np.asarray(density_cm3, dtype=np.float64), SMALLEST_DENSITY_CM3)
    return np.asarray(PROTON_PRESSURE * density * _velocity(velocity_km_s) ** 2, dtype=np.float64)


def reconnection_field_mv_m(by_nt: ArrayLike, bz_nt: ArrayLike, velocity_km_s: ArrayLike) -> FloatArray:
    r"""Return the interplanetary electric field along the reconnection line [mV/m].

    :math:`E = v B_T \sin^2(\theta/2)` of Kan & Lee (1979), doi:10.1029/GL006i007p00577, with
    :math:`B_T^2 = B_y^2 + B_z^2` and the clock angle :math:`\theta`, :math:`\cos\theta = B_z / B_T`, so that
    :math:`B_T \sin^2(\theta/2) = (B_T - B_z) / 2`, which has no singularity.

    Parameters
    ----------
    by_nt, bz_nt, velocity_km_s : array_like
        Broadcast.
    """
    by, bz = np.asarray(by_nt, dtype=np.float64), np.asarray(bz_nt, dtype=np.float64)
    return np.asarray(1e-3 * _velocity(velocity_km_s) * 0.5 * (np.hypot(by, bz) - bz), dtype=np.float64)


def polar_cap_potential_kv(
    by_nt: ArrayLike,
    bz_nt: ArrayLike,
    velocity_km_s: ArrayLike,
    density_cm3: ArrayLike,
    conductance_s: float = POLAR_CAP_CONDUCTANCE_S,
) -> FloatArray:
    r"""Return the potential across the polar cap [kV], which saturates in strong wind.

    Siscoe et al. (2002), doi:10.1029/2001JA000109, after Hill:

    .. math:: \Phi = \frac{\Phi_m \Phi_s}{\Phi_m + \Phi_s}, \qquad \Phi_m = 30 + 57.6 \, E P^{-1/6}, \qquad
              \Phi_s = 1600 \, P^{1/3} / \Sigma

    with the field E [mV/m] of `reconnection_field_mv_m`, the dynamic pressure P [nPa] and the conductance Sigma [S].
    The density enters by P alone: a denser wind makes the magnetosphere smaller (less potential while E is small) and
    lets stronger currents flow (more potential when saturated). In the superstorms of 2003 measured potentials
    saturated at some 260 kV, Hairston et al. (2005), doi:10.1029/2004JA010864.

    Parameters
    ----------
    by_nt, bz_nt, velocity_km_s, density_cm3 : array_like
        Broadcast.
    conductance_s : float
        Positive.

    Raises
    ------
    ValueError
        If the conductance is not positive.
    """
    if not conductance_s > 0.0:
        raise ValueError(f"the conductance must be positive, not {conductance_s}")
    pressure = dynamic_pressure_npa(density_cm3, velocity_km_s)
    reconnecting = 57.6 * reconnection_field_mv_m(by_nt, bz_nt, velocity_km_s) * pressure ** (-1.0 / 6.0)
    unlimited = VISCOUS_POTENTIAL_KV + reconnecting
    saturated = 1600.0 * np.cbrt(pressure) / conductance_s
    return np.asarray(unlimited * saturated / (unlimited + saturated), dtype=np.float64)


def hemispheric_power_from_solar_wind(bz_nt: ArrayLike, velocity_km_s: ArrayLike) -> FloatArray:
    r"""Return the power that auroral particles bring into one hemisphere [GW].

    Emery et al. (2008), doi:10.1029/2007JA012866, in the form in which TIE-GCM and WACCM-X compute it: twice

    .. math:: 6.0 + 3.3 |B_z| + (0.05 + 0.003 |B_z|) (\min(v, 700) - 300) \quad (B_z < 0), \qquad
              5.0 + 0.05 (\min(v, 700) - 300) \quad (B_z \ge 0)

    but at least twice 2.5 GW. (The description of TIE-GCM prints 0.06 for the first 0.05, its code computes 0.05.) The
    fit is to hours of moderate wind; it grows without limit in Bz and steps by 2 GW where Bz changes sign.

    Parameters
    ----------
    bz_nt, velocity_km_s : array_like
        Broadcast.
    """
    bz = np.asarray(bz_nt, dtype=np.float64)
    southward = np.maximum(-bz, 0.0)
    above = np.minimum(_velocity(velocity_km_s), LARGEST_COUNTED_VELOCITY_KM_S) - 300.0
    power = np.where(bz < 0.0, 6.0, 5.0) + 3.3 * southward + (0.05 + 0.003 * southward) * above
    return np.asarray(POWER_FACTOR * np.maximum(power, SMALLEST_HEMISPHERIC_POWER_GW), dtype=np.float64)


def _velocity(velocity_km_s: ArrayLike) -> FloatArray:
    return np.maximum(np.asarray(velocity_km_s, dtype=np.float64), SMALLEST_VELOCITY_KM_S)
