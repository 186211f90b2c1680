"""Standard deviation of the data grid's densities (Corbin & Kusche 2022, Eqs. 5-8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

KP_OF_LOWER_WEIGHT = 14.0 / 3.0
"""Kp 4 2/3, from which on Eq. 7 lowers the weight."""


def height_factor(altitude_km: FloatArray) -> FloatArray:
    """Return f_h, the relative standard deviation of NRLMSIS at a height (Eq. 5).

    >>> height_factor(np.array([250.0, 400.0, 726.0]))
    array([0.148, 0.248, 0.348])
    """
    below = 0.148 + (altitude_km - 250.0) / 1500.0
    above = 0.248 + (altitude_km - 400.0) / 3260.0
    return np.where(altitude_km < 400.0, below, above)


def geomagnetic_weight(kp: FloatArray) -> FloatArray:
    """Return p_ga: one in quiet times, falling to 1/2 at Kp 9 (Eq. 7).

    >>> geomagnetic_weight(np.array([0.0, 9.0]))
    array([1. , 0.5])
    """
    # Kp 4 2/3 is no binary number; at it both branches give one, so the side it falls on does not matter.
    return np.where(kp < KP_OF_LOWER_WEIGHT, 1.0, (40.0 - 3.0 * kp) / 26.0)


def distance_weight(
    spherical_distance_rad: FloatArray,
    vertical_distance_km: FloatArray,
    half_life_horizontal_rad: float,
    half_life_vertical_km: float,
) -> FloatArray:
    """Return p_dist, halved at each half-life of spherical or vertical distance (Eq. 8).

    A half-life of infinity means no dependence.
    """
    _check_half_lives(half_life_horizontal_rad, half_life_vertical_km)
    exponent = spherical_distance_rad / half_life_horizontal_rad + np.abs(vertical_distance_km) / half_life_vertical_km
    return np.asarray(np.exp2(-exponent))


def _check_half_lives(horizontal_rad: float, vertical_km: float) -> None:
    for name, half_life in (("horizontal", horizontal_rad), ("vertical", vertical_km)):
        if not half_life > 0.0:
            raise ValueError(f"the {name} half-life must be positive or infinite, not {half_life}")


@dataclass(frozen=True)
class ObservationError:
    """Parameters of Eqs. 6 and 8.

    Parameters
    ----------
    weight_p0 : float
        p0; larger means smaller standard deviations.
    half_life_horizontal_rad, half_life_vertical_km : float
        Lambda_phi and Lambda_h, positive or infinite.

    Raises
    ------
    ValueError
        If one of them is not positive, or p0 is infinite.
    """

    weight_p0: float
    half_life_horizontal_rad: float
    half_life_vertical_km: float

    def __post_init__(self) -> None:
        if not 0.0 < self.weight_p0 < np.inf:
            raise ValueError(f"the weight p0 must be positive, not {self.weight_p0}")
        _check_half_lives(self.half_life_horizontal_rad, self.half_life_vertical_km)

    def standard_deviation(
        self,
        density: FloatArray,
        altitude_km: FloatArray,
        kp: FloatArray | float,
        spherical_distance_rad: FloatArray,
        vertical_distance_km: FloatArray,
    ) -> FloatArray:
        """Return sigma_rho [kg m-3] (Eq. 6).

        Parameters
        ----------
        density : array (n,)
            *Uncalibrated* density of NRLMSIS [kg m-3].
        altitude_km : array (n,)
        kp : float or array (n,)
        spherical_distance_rad, vertical_distance_km : array (n,)
            Distance from the satellite on the unit sphere, and difference of geocentric distances.
        """
        distance = distance_weight(
            spherical_distance_rad, vertical_distance_km, self.half_life_horizontal_rad, self.half_life_vertical_km
        )
        weight = geomagnetic_weight(np.asarray(kp, dtype=np.float64)) * distance * self.weight_p0
        return np.asarray(height_factor(altitude_km) * density / weight)
