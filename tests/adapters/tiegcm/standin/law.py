r"""The law by which the stand-in for TIE-GCM advances temperature and mass fractions.

THIS IS NOT TIE-GCM and not physics. No figure of skill may ever be quoted from it: it only makes every part of a
history file move in a way that a test can foretell.

Each field :math:`X` of T, O, O2 and He relaxes, element by element, towards a fixed profile with a rate of its level,

.. math::
    X^{n+1} = \frac{X_{NM} + 2 \Delta t\, k(z)\, P_X(z)}{1 + 2 \Delta t\, k(z)}, \qquad
    X_{NM}' = 0.95\, X^n + 0.025\, (X_{NM} + X^{n+1}),

the leapfrog step with the time filter that TIE-GCM uses (weight 0.05), the damping taken at the new time. As there,
what is added to X without its twin is absent after the first step, back after the second, and rings. With

.. math::
    k(z) &= (0.1 + 0.06\,(z + 7)) / 86400\,\mathrm{s} \\
    h &= J\,(2\,HP + CTP) \\
    T_\infty &= 700 + 1.5\,F + 1.0\,\bar F + h \\
    P_T(z) &= 181 + (T_\infty - 181)\,(1 - e^{-(z+7)/3}) \\
    P_{O}(z) &= 0.8\, S((z - 1)/2) / (1 + h/1000) \\
    P_{O2}(z) &= 0.22\, S(-(z + 1)/2)\,(1 + h/1000) / (1.5 + h/1000) \\
    P_{He}(z) &= 1.2\cdot 10^{-6} + 0.1\, S(z - 6)

with z = ln(p0/p), S the logistic function, J the Joule factor, HP the hemispheric power [GW], CTP the cross-tail
potential [kV], F and :math:`\bar F` the F10.7 of the day and its mean [sfu]. All steps are convex combinations, so
fractions stay fractions. Slots that hold the missing value stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Fields = dict[str, FloatArray]

FIELDS = ("TN", "O1", "O2", "HE")
"""Names of the fields in a history; their twins carry the suffix ``_NM``."""

FILTER = 0.05
MISSING_ABOVE = 1e30


@dataclass(frozen=True)
class Forcing:
    """Inputs of the law: numbers, or arrays that broadcast against the last axes of the fields."""

    f107_sfu: ArrayLike = 120.0
    f107a_sfu: ArrayLike = 120.0
    power_gw: ArrayLike = 18.0
    potential_kv: ArrayLike = 30.0
    joule_factor: ArrayLike = 1.5

    @property
    def heating(self) -> FloatArray:
        """h of the law [K]."""
        power, potential = np.asarray(self.power_gw), np.asarray(self.potential_kv)
        return np.asarray(np.asarray(self.joule_factor) * (2.0 * power + potential), np.float64)


def _logistic(x: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def rate(level: FloatArray) -> FloatArray:
    """Return k [1/s] at the levels."""
    return np.asarray((0.1 + 0.06 * (level + 7.0)) / 86_400.0)


def profiles(level: FloatArray, forcing: Forcing) -> Fields:
    """Return P of each field.

    Parameters
    ----------
    level : array
        z, broadcastable: (levels, 1, 1) for one member, (levels, 1, 1, 1) with members last.
    forcing : Forcing
    """
    heating = forcing.heating
    relative = heating / 1000.0
    top = 700.0 + 1.5 * np.asarray(forcing.f107_sfu) + 1.0 * np.asarray(forcing.f107a_sfu) + heating
    return {
        "TN": 181.0 + (top - 181.0) * (1.0 - np.exp(-(level + 7.0) / 3.0)),
        "O1": 0.8 * _logistic((level - 1.0) / 2.0) / (1.0 + relative),
        "O2": 0.22 * _logistic(-(level + 1.0) / 2.0) * (1.0 + relative) / (1.5 + relative),
        "HE": 1.2e-6 + 0.1 * _logistic(level - 6.0) + 0.0 * relative,
    }


def step(fields: Mapping[str, FloatArray], level: FloatArray, step_s: float, forcing: Forcing) -> Fields:
    """Return X and X_NM of all fields one model step later.

    Parameters
    ----------
    fields : mapping of name -> array (levels, latitudes, longitudes[, members])
        ``TN``, ``TN_NM``, ... ``HE_NM``.
    level : array (levels,)
        z of the mid-levels.
    step_s : float
    forcing : Forcing
    """
    z = level.reshape(-1, *[1] * (fields["TN"].ndim - 1))
    weight = 2.0 * step_s * rate(z)
    result: Fields = {}
    for name, profile in profiles(z, forcing).items():
        now, before = fields[name], fields[f"{name}_NM"]
        after = (before + weight * profile) / (1.0 + weight)
        filtered = (1.0 - FILTER) * now + 0.5 * FILTER * (before + after)
        result[name] = np.where(np.abs(now) > MISSING_ABOVE, now, after)
        result[f"{name}_NM"] = np.where(np.abs(before) > MISSING_ABOVE, before, filtered)
    return result


def advance(fields: Mapping[str, FloatArray], level: FloatArray, step_s: float, steps: int, forcing: Forcing) -> Fields:
    """Return the fields after a number of steps under constant forcing; see :func:`step`."""
    result = dict(fields)
    for _ in range(steps):
        result = step(result, level, step_s, forcing)
    return result
