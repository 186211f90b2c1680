"""Densities in another unit than their file says: told by how far they are from what air weighs at their height.

From F10.7 of 70 to 250 sfu the global mean density of NRLMSIS 2.1 grows by a factor of 2.5 at 200 km, 17 at 400 km, 51
at 600 km and 32 at 800 km: one who does not know the activity may be wrong by so much. One who does, as NRLMSIS, has
errors of 15 to 35 % (Corbin & Kusche 2022, Eq. 5), in storms some times that. Units differ by powers of 1000. A median
ratio to NRLMSIS beyond :data:`LARGEST_RATIO`, half of a thousand in logarithm, is therefore no weather, and the nearest
power of 1000 is the likely mistake.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LARGEST_RATIO = 30.0
"""Of densities to those of NRLMSIS, in the median and either way; about the square root of 1000."""

NAMED_WITHIN = 10.0
"""How far from a power of 1000 a ratio may be for its unit to be named: NRLMSIS is not off by more."""

UNITS = {
    -3: "g cm-3",
    3: "g m-3",
    6: "mg m-3",
    9: "kg km-3 or ug m-3",
    12: "ng m-3, g km-3 or 1e-12 kg m-3",
    15: "pg m-3 or 1e-12 g m-3",
    18: "1e-18 kg m-3",
}
"""In which the numbers of a file are likely to be, where they are 10^k times those in kg m-3."""

_ALTITUDE_KM = np.array([80.0, 100.0, 120.0, 150.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0, 2000.0])
_LN_DENSITY = np.log(
    [1.8e-5, 5.6e-7, 2.2e-8, 2.1e-9, 2.5e-10, 1.9e-11, 2.8e-12, 5.2e-13, 1.1e-13, 1.1e-14, 3.6e-15, 1e-16]
)


def usual_density(altitude_km: FloatArray) -> FloatArray:
    """Return about what air weighs at a height [kg m-3]: US Standard Atmosphere 1976, beyond 1000 km a rough guess.

    >>> usual_density(np.array([400.0])).round(14)
    array([2.8e-12])
    """
    return np.asarray(np.exp(np.interp(altitude_km, _ALTITUDE_KM, _LN_DENSITY)))


def is_plausible(ratio: float) -> bool:
    """Return whether a median ratio of densities to those of a model can be that of one unit.

    >>> is_plausible(3.0), is_plausible(0.001)
    (True, False)
    """
    return bool(1.0 / LARGEST_RATIO <= ratio <= LARGEST_RATIO)


def likely_cause(ratio: float) -> str:
    """Say what a ratio that is not plausible comes from, as far as its size tells.

    >>> likely_cause(1.3e-3)
    'a factor of about 10^-3: the numbers seem to be in g cm-3, not kg m-3'
    >>> likely_cause(2e-12)
    'a factor of about 10^-12: the numbers seem to have been scaled twice'
    """
    power = 3 * round(float(np.log10(ratio)) / 3.0)
    if power == 0 or abs(np.log10(ratio) - power) > np.log10(NAMED_WITHIN):
        return "no unit explains that; the file may be of another time, satellite or quantity"
    if power in UNITS:
        return f"a factor of about 10^{power}: the numbers seem to be in {UNITS[power]}, not kg m-3"
    twice = "scaled twice" if power < 0 else "left without their scale factor"
    return f"a factor of about 10^{power}: the numbers seem to have been {twice}"
