r"""Real spherical harmonics up to a degree, their slopes, and a grid on which products of three are integrated exactly.

:math:`Y_{l0} = \bar P_{l0}`, :math:`Y_{lm} = \sqrt 2 \bar P_{lm} \cos m\lambda` and
:math:`Y_{l,-m} = \sqrt 2 \bar P_{lm} \sin m\lambda`, orthonormal on the unit sphere, without the sign
:math:`(-1)^m`. Their Laplacian is :math:`-l(l+1) Y_{lm}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_CHUNK = 8192


@dataclass(frozen=True)
class HarmonicGrid:
    """Gaussian grid of n points with the harmonics and their slopes, matrices (n, K)."""

    latitude: FloatArray
    longitude: FloatArray
    weight: FloatArray
    value: FloatArray
    southward_slope: FloatArray
    eastward_slope: FloatArray


@dataclass(frozen=True)
class Harmonics:
    """Triangular truncation at degree ``highest``: K = (highest + 1)^2 functions.

    Parameters
    ----------
    highest : int
        At least 1.
    """

    highest: int

    @cached_property
    def _orders(self) -> list[tuple[int, int]]:
        return [(degree, order) for degree in range(self.highest + 1) for order in range(-degree, degree + 1)]

    @cached_property
    def degree(self) -> FloatArray:
        """Degree l of each function, array (K,)."""
        return np.array([degree for degree, _ in self._orders], dtype=np.float64)

    def values(self, latitude: FloatArray, longitude: FloatArray) -> FloatArray:
        """Return the functions at places [degrees] (n,), matrix (n, K)."""
        legendre = self._legendre(np.radians(90.0 - latitude))
        return self._combine(legendre, np.radians(longitude))

    def synthesis(self, coefficients: FloatArray, latitude: FloatArray, longitude: FloatArray) -> FloatArray:
        """Return sums of the functions with coefficients of their own at each place.

        Parameters
        ----------
        coefficients : array (n, K, fields)
            Or (1, K, fields), the same for all places.
        latitude, longitude : array (n,)
            Degrees.

        Returns
        -------
        array (n, fields)
        """
        result = np.empty((latitude.size, coefficients.shape[2]))
        shared = coefficients.shape[0] == 1
        for first in range(0, latitude.size, _CHUNK):
            part = slice(first, first + _CHUNK)
            values = self.values(latitude[part], longitude[part])
            result[part] = values @ coefficients[0] if shared else np.einsum("nk,nkf->nf", values, coefficients[part])
        return result

    def grid(self) -> HarmonicGrid:
        """Return the grid on which products of three functions are integrated exactly (the 3/2 rule)."""
        rows = (3 * self.highest + 2) // 2
        columns = 3 * self.highest + 1
        sine, row_weight = np.polynomial.legendre.leggauss(rows)
        latitude = np.repeat(np.degrees(np.arcsin(sine)), columns)
        longitude = np.tile(np.arange(columns) * (360.0 / columns), rows)
        colatitude, angle = np.radians(90.0 - latitude), np.radians(longitude)
        legendre = self._legendre(colatitude)
        return HarmonicGrid(
            latitude,
            longitude,
            np.repeat(row_weight, columns) * (2.0 * np.pi / columns),
            self._combine(legendre, angle),
            self._combine(self._slope(legendre), angle),
            self._combine(legendre, angle, eastward=True) / np.sin(colatitude)[:, None],
        )

    def _legendre(self, colatitude: FloatArray) -> dict[tuple[int, int], FloatArray]:
        """Return the normalised associated Legendre functions by the stable recursion in the degree."""
        cosine, sine = np.cos(colatitude), np.sin(colatitude)
        found = {(0, 0): np.full(colatitude.shape, np.sqrt(0.25 / np.pi))}
        for m in range(self.highest + 1):
            if m > 0:
                found[m, m] = np.sqrt((2 * m + 1) / (2 * m)) * sine * found[m - 1, m - 1]
            if m < self.highest:
                found[m + 1, m] = np.sqrt(2 * m + 3) * cosine * found[m, m]
            for n in range(m + 2, self.highest + 1):
                a = np.sqrt((4 * n**2 - 1) / (n**2 - m**2))
                b = np.sqrt(((n - 1) ** 2 - m**2) / (4 * (n - 1) ** 2 - 1))
                found[n, m] = a * (cosine * found[n - 1, m] - b * found[n - 2, m])
        return found

    def _slope(self, legendre: dict[tuple[int, int], FloatArray]) -> dict[tuple[int, int], FloatArray]:
        """Return the derivatives in colatitude: half of the sum over the neighbouring orders."""
        nothing = np.zeros_like(legendre[0, 0])
        slope = {}
        for (n, m), _ in legendre.items():
            above = np.sqrt((n - m) * (n + m + 1)) * legendre.get((n, m + 1), nothing)
            below = np.sqrt((n + m) * (n - m + 1)) * legendre.get((n, m - 1), nothing)
            slope[n, m] = -above if m == 0 else 0.5 * (below - above)
        return slope

    def _combine(
        self, legendre: dict[tuple[int, int], FloatArray], angle: FloatArray, *, eastward: bool = False
    ) -> FloatArray:
        """Return (n, K) products with the cosines and sines of longitude, or with their derivatives."""
        result = np.empty((angle.size, len(self._orders)))
        for column, (n, m) in enumerate(self._orders):
            order = abs(m)
            cosine, sine = np.cos(order * angle), np.sin(order * angle)
            even, odd = (-order * sine, order * cosine) if eastward else (cosine, sine)
            zonal = even if m >= 0 else odd
            result[:, column] = legendre[n, order] * zonal * (1.0 if m == 0 else np.sqrt(2.0))
        return result
