r"""Offsets of the wind at the lower boundary, which advect the reference.

.. math:: \dot\tau = -\frac{e^{-(zp + 7)/2}}{r} \left( u' \frac{\partial T}{\partial\lambda}
                     + v' \cos\varphi \frac{\partial T}{\partial\varphi} \right)

and the same for ln(w_i/w_N2). The winds are :math:`u' \cos\varphi` and :math:`v' \cos\varphi`, regular at the poles;
they fade upward over two scale heights, where molecular viscosity takes over (a choice). That they also advect
anomalies is of second order in offsets, and left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.constants import EARTH_RADIUS
from da.model import StateGrid

FloatArray = NDArray[np.float64]

BOTTOM_ZP = -7.0
FADING_SCALE_HEIGHTS = 2.0


def advection_per_wind(field: FloatArray, grid: StateGrid) -> FloatArray:
    """Return the tendency of a field of the reference by 1 m/s of zonal and of meridional wind offset.

    Parameters
    ----------
    field : array (levels, latitudes, longitudes, 1)
    grid : StateGrid

    Returns
    -------
    array (levels, latitudes, longitudes, 2)
        Units of the field, per second and m/s; centred differences, one-sided at the outermost latitudes.
    """
    values = field[..., 0]
    fading = np.exp(-(grid.level - BOTTOM_ZP) / FADING_SCALE_HEIGHTS) / EARTH_RADIUS
    step = np.radians(grid.longitude[1] - grid.longitude[0])
    east = (np.roll(values, -1, axis=2) - np.roll(values, 1, axis=2)) / (2.0 * step)
    north = np.gradient(values, np.radians(grid.latitude), axis=1) * np.cos(np.radians(grid.latitude))[:, None]
    return np.asarray(-fading[:, None, None, None] * np.stack([east, north], axis=-1))
