"""Empirical high-latitude forcing as functions of Kp: auroral hemispheric power and cross-tail potential.

These are the relations that TIE-GCM applies when it is driven by Kp alone (Heelis convection, no solar wind).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_BRANCH_KP = 7.0
_POWER_AT_BRANCH_GW = 153.13
_POWER_AT_MAX_GW = 300.0
_MAX_KP = 9.0
_POWER_SLOPE = (_POWER_AT_MAX_GW - _POWER_AT_BRANCH_GW) / (_MAX_KP - _BRANCH_KP)


def _checked_kp(kp: ArrayLike) -> FloatArray:
    values = np.asarray(kp, dtype=np.float64)
    if not np.all((values >= 0.0) & (values <= _MAX_KP)):
        raise ValueError("Kp must lie within 0 and 9")
    return values


def _exponential_power(kp: FloatArray) -> FloatArray:
    return np.asarray(16.82 * np.exp(0.32 * kp) - 4.86, dtype=np.float64)


def hemispheric_power_from_kp(kp: ArrayLike) -> FloatArray:
    """Return the power that auroral particles bring into one hemisphere.

    ``HP = 16.82 exp(0.32 Kp) - 4.86`` GW for ``Kp <= 7``, fitted to TIMED/GUVI images (Zhang & Paxton 2008,
    doi:10.1016/j.jastp.2008.03.008, in the form that the documentation of TIE-GCM 2.0 and of WACCM prints), and a
    straight line from 153.13 GW at 7 to 300 GW at 9 above. The printed constants leave a step of -0.006 GW at
    ``Kp = 7``, which is kept.

    Parameters
    ----------
    kp : array_like
        Kp, 0 to 9, not necessarily in thirds.

    Returns
    -------
    array, same shape
        Hemispheric power [GW].

    Raises
    ------
    ValueError
        If a value lies outside 0 to 9.
    """
    values = _checked_kp(kp)
    linear = _POWER_AT_BRANCH_GW + (values - _BRANCH_KP) * _POWER_SLOPE
    return np.asarray(np.where(values <= _BRANCH_KP, _exponential_power(values), linear), dtype=np.float64)


def kp_from_hemispheric_power(power_gw: ArrayLike) -> FloatArray:
    """Return the Kp that `hemispheric_power_from_kp` turns into a given power.

    Powers below that of Kp 0 (11.96 GW) give 0 and above that of Kp 9 (300 GW) give 9. Within the 0.006 GW of the
    step at Kp 7 the smaller Kp is taken; the round trip differs there by less than 2e-4.

    Parameters
    ----------
    power_gw : array_like
        Hemispheric power [GW], not negative.

    Returns
    -------
    array, same shape
        Kp, clipped to [0, 9].

    Raises
    ------
    ValueError
        If a power is negative or not a number.
    """
    power = _checked_positive(power_gw, "hemispheric power")
    exponential = np.log((power + 4.86) / 16.82) / 0.32
    linear = _BRANCH_KP + (power - _POWER_AT_BRANCH_GW) / _POWER_SLOPE
    below = power <= _exponential_power(np.array(_BRANCH_KP))
    return np.clip(np.where(below, exponential, linear), 0.0, _MAX_KP)


def cross_tail_potential_from_kp(kp: ArrayLike) -> FloatArray:
    """Return the electric potential across the polar cap, ``15 + 15 Kp + 0.8 Kp^2`` kV.

    The relation is TIE-GCM's own fit to data (``ctpoten_from_kp``, documentation of TIE-GCM 2.0, parameter ``KP``).
    It is close to, but not, the linear ``16.5 + 15.5 Kp`` of Boyle et al. (1997), doi:10.1029/96JA01742.

    Parameters
    ----------
    kp : array_like
        Kp, 0 to 9, not necessarily in thirds.

    Returns
    -------
    array, same shape
        Cross-tail (cross polar cap) potential [kV], 15 to 214.8.

    Raises
    ------
    ValueError
        If a value lies outside 0 to 9.
    """
    values = _checked_kp(kp)
    return np.asarray(15.0 + values * (15.0 + 0.8 * values), dtype=np.float64)


def kp_from_cross_tail_potential(potential_kv: ArrayLike) -> FloatArray:
    """Return the Kp that `cross_tail_potential_from_kp` turns into a given potential.

    Potentials below 15 kV give 0 and above 214.8 kV give 9.

    Parameters
    ----------
    potential_kv : array_like
        Cross-tail potential [kV], not negative.

    Returns
    -------
    array, same shape
        Kp, clipped to [0, 9].

    Raises
    ------
    ValueError
        If a potential is negative or not a number.
    """
    potential = np.maximum(_checked_positive(potential_kv, "cross-tail potential"), 15.0)
    root = np.sqrt(15.0**2 + 4.0 * 0.8 * (potential - 15.0))
    return np.clip((root - 15.0) / (2.0 * 0.8), 0.0, _MAX_KP)


def _checked_positive(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not np.all(array >= 0.0):
        raise ValueError(f"the {name} must not be negative")
    return array
