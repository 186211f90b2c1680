"""World maps without any download: fields in longitude and latitude, coasts, the Sun, border of day and night."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, Normalize
from numpy.typing import NDArray

from da.figures.coastline import coastline
from da.figures.style import ORANGE
from da.verification.strata import solar_zenith_deg

FloatArray = NDArray[np.float64]


def subsolar_point(time: np.datetime64) -> tuple[float, float]:
    """Return geodetic latitude and longitude [degrees] of the place with the Sun in the zenith.

    The cosines of the zenith angles at 0 N 0 E, 0 N 90 E and the pole are the components of the direction to the Sun.
    """
    latitude, longitude = np.array([0.0, 0.0, 90.0]), np.array([0.0, 90.0, 0.0])
    x, y, z = np.cos(np.radians(solar_zenith_deg(np.full(3, time), latitude, longitude)))
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def terminator(time: np.datetime64, points: int = 361) -> tuple[FloatArray, FloatArray]:
    r"""Return longitudes and latitudes [degrees] of the border of day and night: :math:`\tan\phi = -\cos h/\tan\delta`.

    Here h is the hour angle of the Sun and :math:`\delta` its declination.
    """
    declination, sun = subsolar_point(time)
    longitude = np.linspace(-180.0, 180.0, points)
    hour_angle = np.radians(longitude - sun)
    # On the days of the equinoxes the border is a pair of meridians; a declination of 0.001 degrees draws it.
    tangent = np.tan(np.radians(declination if abs(declination) > 1e-3 else 1e-3))
    return longitude, np.degrees(np.arctan(-np.cos(hour_angle) / tangent))


def draw_world(axes: Axes, *, left: bool = True, bottom: bool = True) -> None:
    """Draw the coasts and name the axes; inner panels leave the names to the outer ones."""
    axes.plot(*coastline().T, color="0.25", lw=0.4, zorder=2, scalex=False, scaley=False)
    axes.set_xlim(-180.0, 180.0)
    axes.set_ylim(-90.0, 90.0)
    axes.set_xticks([-120, 0, 120], ["120°W", "0°", "120°E"])
    axes.set_yticks([-60, 0, 60], ["60°S", "0°", "60°N"])
    axes.tick_params(labelleft=left, labelbottom=bottom)


def draw_sun(axes: Axes, time: np.datetime64) -> None:
    """Draw the subsolar point as a circle and the border of day and night as a line."""
    latitude, longitude = subsolar_point(time)
    axes.plot(*terminator(time), color=ORANGE, lw=1.2, zorder=3)
    axes.plot([longitude], [latitude], "o", color=ORANGE, mec="black", mew=0.5, ms=6, zorder=4)


def draw_field(
    axes: Axes, latitude: FloatArray, longitude: FloatArray, values: FloatArray, scale: Normalize, colours: Colormap
) -> QuadMesh:
    """Draw a field on a global grid.

    Parameters
    ----------
    axes : Axes
    latitude : array (rows,)
        Increasing [degrees].
    longitude : array (columns,)
        Equally spaced around the globe, from any meridian [degrees].
    values : array (rows, columns)
    scale : Normalize
    colours : Colormap
    """
    east = np.mod(longitude + 180.0, 360.0) - 180.0
    order = np.argsort(east)
    step = 360.0 / longitude.size
    # The first column again, beyond the last one: its cell may be cut by the edge of the map.
    bounds = east[order[0]] + step * (np.arange(longitude.size + 2) - 0.5)
    wrapped = np.concatenate([values[:, order], values[:, order[:1]]], axis=1)
    middle = 0.5 * (latitude[1:] + latitude[:-1])
    outer = (2.0 * latitude[0] - middle[0], 2.0 * latitude[-1] - middle[-1])
    rows = np.clip(np.concatenate([outer[:1], middle, outer[1:]]), -90.0, 90.0)
    return axes.pcolormesh(bounds, rows, wrapped, rasterized=True, zorder=1, norm=scale, cmap=colours)


def symmetric(values: FloatArray, percentile: float = 98.0) -> Normalize:
    """Return a scale about zero that holds this percentile of the absolute values."""
    known = np.abs(values[np.isfinite(values)])
    limit = float(np.percentile(known, percentile)) if known.size else 1.0
    limit = limit or 1.0
    return Normalize(-limit, limit)
