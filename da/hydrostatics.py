r"""Geometric height of pressure levels, by hydrostatic balance with latitude-dependent gravity.

With zp = ln(p0/p) the geopotential obeys :math:`d\Phi/dzp = R T / \bar M`. It is integrated by the trapezoidal rule
between mid-levels (second order), and geopotential height is turned into geometric height in closed form for a
gravity that decreases with the square of the distance: :math:`g(z) = g_0 (r_0 / (r_0 + z))^2`, with (Smithsonian
Meteorological Tables, List 1951, p. 217, as in TIE-GCM) :math:`g_0 = 9.80616 (1 - 0.0026373 \cos 2\varphi)` m s-2 and
:math:`r_0 = 2 g_0 / (3.085462 \cdot 10^{-6} + 2.27 \cdot 10^{-9} \cos 2\varphi)` m.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.constants import GAS_CONSTANT

FloatArray = NDArray[np.float64]


def surface_gravity(latitude: FloatArray) -> FloatArray:
    """Return the effective gravity at sea level [m s-2] at latitudes [degrees]."""
    return np.asarray(9.80616 * (1.0 - 0.0026373 * np.cos(2.0 * np.radians(latitude))))


def effective_radius(latitude: FloatArray) -> FloatArray:
    """Return r0 of the inverse-square law that fits gravity and its gradient at latitudes [degrees], in m."""
    gradient = 3.085462e-6 + 2.27e-9 * np.cos(2.0 * np.radians(latitude))
    return np.asarray(2.0 * surface_gravity(latitude) / gradient)


def geopotential_height(height: FloatArray, radius: FloatArray) -> FloatArray:
    """Return geopotential height [m], in units of the local surface gravity, of geometric height [m]."""
    return np.asarray(radius * height / (radius + height))


def geometric_height(geopotential: FloatArray, radius: FloatArray) -> FloatArray:
    """Return geometric height [m] of geopotential height [m]; inverse of :func:`geopotential_height`."""
    return np.asarray(radius * geopotential / (radius - geopotential))


def mid_level_height(
    temperature: FloatArray,
    molar_mass: FloatArray,
    bottom_height: FloatArray,
    latitude: FloatArray,
    level_step: float,
) -> FloatArray:
    """Return the geometric height [m] of mid-levels above a bottom interface half a step below the lowest of them.

    Parameters
    ----------
    temperature, molar_mass : array (levels, latitudes, longitudes, members)
        K and kg mol-1.
    bottom_height : array (latitudes, longitudes, members)
        Geometric height of the bottom interface [m].
    latitude : array (latitudes,)
        Degrees.
    level_step : float
        Step of zp between mid-levels.

    Returns
    -------
    array (levels, latitudes, longitudes, members)
    """
    gravity = surface_gravity(latitude)[:, None, None]
    radius = effective_radius(latitude)[:, None, None]
    scale_height = GAS_CONSTANT * temperature / (molar_mass * gravity)
    # The scale height at the bottom interface is extrapolated, 1.5 H0 - 0.5 H1; its mean with H0 is the trapezoid.
    first_above = scale_height[1] if scale_height.shape[0] > 1 else scale_height[0]
    bottom_half = 0.5 * level_step * (1.25 * scale_height[0] - 0.25 * first_above)
    steps = 0.5 * level_step * (scale_height[1:] + scale_height[:-1])
    geopotential = np.empty_like(scale_height)
    geopotential[0] = geopotential_height(bottom_height, radius) + bottom_half
    np.cumsum(steps, axis=0, out=geopotential[1:])
    geopotential[1:] += geopotential[0]
    return geometric_height(geopotential, radius)
