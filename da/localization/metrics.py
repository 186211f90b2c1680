"""Distances between the centres of sub-domains and observations.

A metric places positions in a space where a tree finds neighbours (:meth:`embed`) and measures its distance there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from da.constants import EARTH_RADIUS

FloatArray = NDArray[np.float64]

# Distances of the tree and of the metric differ by rounding; the search reaches further by more than that.
ROUNDING = 1e-9


class Metric(Protocol):
    """What the selection of local observations needs to know of a distance."""

    @property
    def box(self) -> FloatArray | None:
        """Period of each coordinate of the embedding (zero: none), or None where no coordinate is periodic."""

    def embed(self, position: FloatArray) -> FloatArray:
        """Return coordinates (..., dimensions) of positions (..., 3) for a search by Euclidean distance."""

    def embedded_distance(self, centre: FloatArray, position: FloatArray) -> FloatArray:
        """Return the distances of embedded positions, by this metric; broadcasts but for the last axis."""

    def distance(self, centre: FloatArray, position: FloatArray) -> FloatArray:
        """Return the distances of positions (..., 3), which broadcast but for the last axis."""

    def reach(self, cutoff: float) -> float:
        """Return a Euclidean distance in the embedding that no two positions within ``cutoff`` exceed."""


def vertical_scale(cutoff_radius: float, vertical_cutoff_radius: float) -> float:
    """Return the factor of vertical differences with which the vertical has a cut-off radius of its own.

    Parameters
    ----------
    cutoff_radius : float
        Horizontal, in the unit of the distance.
    vertical_cutoff_radius : float
        Vertical difference, in the unit of the vertical coordinate, that counts like ``cutoff_radius``; infinity:
        vertical differences do not count.

    Returns
    -------
    float
        In units of the distance per unit of the vertical coordinate; 1 where the cut-off radius is infinite, because
        then all observations are local at any distance.

    Raises
    ------
    ValueError
        Where a radius is not positive.

    >>> vertical_scale(7.0, 2.0), vertical_scale(7.0, np.inf)
    (3.5, 0.0)
    """
    if not cutoff_radius > 0.0:
        raise ValueError(f"the cut-off radius must be positive, not {cutoff_radius}")
    if not vertical_cutoff_radius > 0.0:
        raise ValueError(f"the vertical cut-off radius must be positive, not {vertical_cutoff_radius}")
    return 1.0 if np.isinf(cutoff_radius) else cutoff_radius / vertical_cutoff_radius


def _check_scale(scale: float) -> None:
    if not 0.0 <= scale < np.inf:
        raise ValueError(f"the factor of vertical differences must be finite and not negative, not {scale}")


def _norm(offset: FloatArray, dimensions: int) -> FloatArray:
    # Term by term: a sum over a last axis of three takes several times longer.
    total = offset[..., 0] ** 2
    for axis in range(1, dimensions):
        total = total + offset[..., axis] ** 2
    return np.asarray(np.sqrt(total))


@dataclass(frozen=True)
class IndexMetric:
    """L2 distance in units of grid cells; the poles are edges, as in index space they must be.

    Positions are (level, latitude, longitude) indices, which may be fractional.

    Parameters
    ----------
    longitude_period : float or None
        Number of cells around the globe, or None where longitude is not periodic.
    level_scale : float
        Factor of level differences, see :func:`vertical_scale`.

    >>> IndexMetric(72.0).distance(np.array([0.0, 0.0, 1.0]), np.array([[0.0, 3.0, 69.0], [0.0, 0.0, 5.0]]))
    array([5., 4.])
    """

    longitude_period: float | None
    level_scale: float = 1.0

    def __post_init__(self) -> None:
        _check_scale(self.level_scale)
        if self.longitude_period is not None and not 0.0 < self.longitude_period < np.inf:
            raise ValueError(f"the period of longitude must be positive and finite, not {self.longitude_period}")

    @property
    def box(self) -> FloatArray | None:
        """Period of each coordinate of the embedding (zero: none), or None where longitude is not periodic."""
        return None if self.longitude_period is None else np.array([0.0, 0.0, self.longitude_period])

    def embed(self, position: FloatArray) -> FloatArray:
        """Return scaled indices (..., 3), longitude within [0, period)."""
        embedded: FloatArray = np.asarray(position, dtype=np.float64) * np.array([self.level_scale, 1.0, 1.0])
        if self.longitude_period is not None:
            wrapped = np.mod(embedded[..., 2], self.longitude_period)
            # The remainder of a tiny negative number rounds to the period itself, which is not in the box.
            embedded[..., 2] = np.where(wrapped < self.longitude_period, wrapped, 0.0)
        return embedded

    def embedded_distance(self, centre: FloatArray, position: FloatArray) -> FloatArray:
        """Return the distances [cells] of embedded positions."""
        offset = np.abs(position - centre)
        if self.longitude_period is not None:
            np.minimum(offset[..., 2], self.longitude_period - offset[..., 2], out=offset[..., 2])
        return _norm(offset, 3)

    def distance(self, centre: FloatArray, position: FloatArray) -> FloatArray:
        """Return the distances [cells] of positions (..., 3), which broadcast but for the last axis."""
        return self.embedded_distance(self.embed(centre), self.embed(position))

    def reach(self, cutoff: float) -> float:
        """Return the Euclidean distance in the embedding within which everything within ``cutoff`` [cells] lies."""
        return cutoff * (1.0 + ROUNDING)


@dataclass(frozen=True)
class GreatCircleMetric:
    r"""Great-circle distance and vertical difference, combined as :math:`\sqrt{arc^2 + (s \Delta v)^2}` [km].

    Positions are (vertical coordinate, latitude [deg], longitude [deg]); the vertical coordinate has a unit of its own,
    such as km or scale heights. Meridians meet: observations across the pole are near, and longitude needs no period.

    Parameters
    ----------
    vertical_scale_km : float
        s, km of distance per unit of the vertical coordinate, see :func:`vertical_scale`.
    radius_km : float
        Radius of the sphere on which arcs are measured; by default the mean radius of the Earth.

    Notes
    -----
    Positions are embedded as three coordinates on the sphere and one vertical. The arc follows from their chord and the
    chord to the antipode, :math:`2 r \arctan(|a - b| / |a + b|)`, exact to rounding at every distance. A chord is never
    longer than its arc, so the Euclidean distance in the embedding never exceeds this distance.

    >>> GreatCircleMetric(7.0).distance(np.array([0.0, 85.0, 0.0]), np.array([[0.0, 85.0, 180.0]])).round(2)
    array([1111.95])
    """

    vertical_scale_km: float
    radius_km: float = EARTH_RADIUS / 1e3

    def __post_init__(self) -> None:
        _check_scale(self.vertical_scale_km)
        if not 0.0 < self.radius_km < np.inf:
            raise ValueError(f"the radius of the sphere must be positive and finite, not {self.radius_km}")

    @property
    def box(self) -> FloatArray | None:
        """No coordinate of the embedding is periodic."""
        return None

    def embed(self, position: FloatArray) -> FloatArray:
        """Return coordinates (..., 4) [km]: three on the sphere, and the scaled vertical coordinate."""
        vertical, latitude, longitude = np.moveaxis(np.asarray(position, dtype=np.float64), -1, 0)
        north, east = np.deg2rad(latitude), np.deg2rad(longitude)
        along = self.radius_km * np.cos(north)
        height = self.radius_km * np.sin(north)
        return np.stack([along * np.cos(east), along * np.sin(east), height, vertical * self.vertical_scale_km], -1)

    def embedded_distance(self, centre: FloatArray, position: FloatArray) -> FloatArray:
        """Return the distances [km] of embedded positions."""
        offset = position - centre
        chord, to_antipode = _norm(offset, 3), _norm(position + centre, 3)
        return np.asarray(np.hypot(2.0 * self.radius_km * np.arctan2(chord, to_antipode), offset[..., 3]))

    def distance(self, centre: FloatArray, position: FloatArray) -> FloatArray:
        """Return the distances [km] of positions (..., 3), which broadcast but for the last axis."""
        return self.embedded_distance(self.embed(centre), self.embed(position))

    def reach(self, cutoff: float) -> float:
        """Return the Euclidean distance in the embedding within which everything within ``cutoff`` [km] lies."""
        if self.vertical_scale_km > 0.0:
            return cutoff * (1.0 + ROUNDING)
        half_angle = min(0.5 * cutoff / self.radius_km, 0.5 * np.pi)
        # Where the chord is nearly the diameter it hardly grows with the arc, but it still is a bound of it.
        return float(2.0 * self.radius_km * np.sin(half_angle)) * (1.0 + ROUNDING)
