r"""Horizontal spreading of anomalies on the sphere: diffusion, a meridional wind and solid rotation, exact in time.

An anomaly :math:`a(\varphi, \lambda, t)` at a pressure level obeys

.. math::

   \frac{\partial a}{\partial t} = K_h \nabla^2 a
       - \frac{v}{r} \frac{\partial a}{\partial \varphi}
       - \omega \frac{\partial a}{\partial \lambda}.

With :math:`a = \sum_m a_m(\varphi) e^{i m \lambda}` the wavenumbers separate. In latitude, fluxes through the edges of
cells (:math:`\cos\varphi` there, zero at the poles) divided by cell areas, less what converging wind alone would pile
up, make a tridiagonal matrix, of second order in the latitude step; to it :math:`-K_h m^2 / (r \cos\varphi)^2` adds a
diagonal. A constant stays constant: the air that a diverging wind takes away comes from above and below, with the same
anomaly. Without wind the mean weighted by cell areas is conserved. As long as
:math:`|v| r \Delta\varphi < 2 K_h` (a cell Peclet number below two) the off-diagonals are positive. Then the zonal
mean of a positive anomaly stays positive, and a diagonal scaling makes the matrix symmetric: by the root of the cell
area and, about, :math:`\exp(-\int v r \, d\varphi / 2 K_h)`. Its exponential follows from one real eigendecomposition
for all durations. The rotation commutes with all this and is a shift of phase, part of the transform back to
longitudes.

Both transforms are matrix products. For 72 longitudes that costs no more than a fast Fourier transform along an axis
that is not the last, and wavenumbers that diffusion has removed are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.constants import EARTH_RADIUS

FloatArray = NDArray[np.float64]

VANISHED = 1e-12
"""Wavenumbers of which no latitude keeps more than this share are dropped."""

LARGEST_SCALING = 1e6
"""The scaling multiplies errors of rounding; a wind that asks for more is refused."""

CACHED_DURATIONS = 4
"""Propagators are kept for this many durations: a model step and what an experiment asks for besides it."""


class HorizontalOperator:
    """Advances anomalies (levels, latitudes, longitudes, members) by diffusion, meridional wind and rotation.

    Parameters
    ----------
    latitude, longitude : (latitudes,), (longitudes,)
        Centres of equal cells that cover the globe, ascending [degrees].
    diffusivity_m2_s : float or (levels,)
        K_h.
    rotation_deg_per_h : float
        omega, eastward positive. What stays at a local time moves by -15.
    meridional_wind_m_s : (latitudes,) or (levels, latitudes), optional
        v, northward positive; see :func:`meridional_wind`. Between cells the mean of both is taken. Levels of equal
        K_h and v share their matrices.
    radius_m : float
        Radius r of the sphere.

    Raises
    ------
    ValueError
        If the cells are unequal or leave gaps, K_h is negative or v too large for K_h and the latitude step.
    """

    def __init__(
        self,
        latitude: ArrayLike,
        longitude: ArrayLike,
        diffusivity_m2_s: float | FloatArray,
        rotation_deg_per_h: float = 0.0,
        meridional_wind_m_s: ArrayLike | None = None,
        radius_m: float = EARTH_RADIUS,
    ) -> None:
        latitude, longitude = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        _check_grid(latitude, longitude)
        diffusivity = np.atleast_1d(np.asarray(diffusivity_m2_s, np.float64))
        if diffusivity.ndim != 1 or not np.all(np.isfinite(diffusivity) & (diffusivity >= 0.0)):
            raise ValueError("diffusivity_m2_s must be a number or one per level, each finite and not negative")
        wind = np.zeros(latitude.size) if meridional_wind_m_s is None else np.asarray(meridional_wind_m_s, np.float64)
        wind = np.atleast_2d(wind)
        if wind.ndim != 2 or wind.shape[1] != latitude.size or not np.all(np.isfinite(wind)):
            raise ValueError(f"meridional_wind_m_s must be {latitude.size} finite numbers, for all levels or each")
        groups, self._group_of_level = np.unique(_level_rows(diffusivity, wind), axis=0, return_inverse=True)
        wavenumbers = longitude.size // 2 + 1
        self._modes = [meridional_modes(latitude, row[0], row[1:], radius_m, wavenumbers) for row in groups]
        self._latitudes, self._longitudes = latitude.size, longitude.size
        self._rotation = np.radians(rotation_deg_per_h) / 3600.0
        self._cache: dict[tuple[float, np.dtype[np.floating]], _Propagator] = {}

    def advance(self, anomaly: NDArray[np.floating], duration_s: float) -> NDArray[np.floating]:
        """Return the anomaly after ``duration_s``; double precision, or single if ``anomaly`` is.

        At the Nyquist wavenumber a rotation shows its cosine only, as the grid cannot hold the sine: whole cells are
        exact, parts of a cell fade it, so that for this wavenumber alone two steps are not one of twice the length.

        Parameters
        ----------
        anomaly : (levels, latitudes, longitudes, members)
        duration_s : float
            Not negative.

        Raises
        ------
        ValueError
            If the shape is not that of the grid and the levels of K_h, or the duration is negative or not finite.
        """
        self._check_shape(anomaly.shape)
        if not 0.0 <= duration_s < np.inf:
            raise ValueError(f"duration_s must be finite and not negative, not {duration_s}")
        if duration_s == 0.0:
            return anomaly.copy()
        dtype: np.dtype[np.floating] = np.dtype(np.float32 if anomaly.dtype == np.float32 else np.float64)
        step = self._propagator(float(duration_s), dtype)
        members = anomaly.shape[3]
        result = np.empty(anomaly.shape, dtype)
        # Level by level: what lies between the three products then stays in the cache of the processor.
        for level, values in enumerate(anomaly):
            group = self._group_of_level[level if self._group_of_level.size > 1 else 0]
            spectrum = np.matmul(step.analysis, values.astype(dtype, copy=False))
            by_wavenumber = spectrum.reshape(self._latitudes, -1, 2 * members).transpose(1, 0, 2)
            advanced = np.empty_like(spectrum)
            target = advanced.reshape(self._latitudes, -1, 2 * members).transpose(1, 0, 2)
            np.matmul(step.meridional[group], by_wavenumber, out=target)
            np.matmul(step.synthesis, advanced, out=result[level])
        return result

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        levels = self._group_of_level.size
        if len(shape) != 4 or shape[1:3] != (self._latitudes, self._longitudes) or levels not in (1, shape[0]):
            expected = f"({levels if levels > 1 else 'levels'}, {self._latitudes}, {self._longitudes}, members)"
            raise ValueError(f"anomaly has shape {shape}, not {expected}")

    def _propagator(self, duration_s: float, dtype: np.dtype[np.floating]) -> _Propagator:
        key = (duration_s, dtype)
        if key not in self._cache:
            if len(self._cache) == CACHED_DURATIONS:
                del self._cache[next(iter(self._cache))]
            meridional = np.stack([modes.propagator(duration_s) for modes in self._modes])
            kept = np.abs(meridional).max(axis=(0, 2, 3)) > VANISHED
            meridional = meridional[:, : kept.nonzero()[0].max(initial=0) + 1]
            count = meridional.shape[1]
            self._cache[key] = _Propagator(
                _analysis_matrix(self._longitudes, count).astype(dtype),
                meridional.astype(dtype),
                _synthesis_matrix(self._longitudes, count, self._rotation * duration_s).astype(dtype),
            )
        return self._cache[key]


def meridional_wind(latitude: ArrayLike, equatorward_m_s: float = 0.0, summer_to_winter_m_s: float = 0.0) -> FloatArray:
    r"""Return a smooth wind that vanishes at the poles, :math:`-v_e \sin 2\varphi - v_s \cos\varphi` [m/s].

    The two gravest patterns: a storm's wind from both polar regions to the equator, and the seasonal wind across it.
    The second carries a storm's changes to lower latitudes in the summer hemisphere and holds them back in the winter
    one (Fuller-Rowell et al. 1996, doi:10.1029/95JA02614). In a time t diffusion spreads over sqrt(2 K_h t) and hides a
    displacement v t that is much smaller.

    Parameters
    ----------
    latitude : (latitudes,)
        [degrees].
    equatorward_m_s : float
        v_e, largest at 45 degrees.
    summer_to_winter_m_s : float
        v_s, on the equator; positive when it is summer in the north.
    """
    angle = np.radians(np.asarray(latitude, np.float64))
    wind: FloatArray = -equatorward_m_s * np.sin(2.0 * angle) - summer_to_winter_m_s * np.cos(angle)
    return wind


@dataclass(frozen=True)
class _Propagator:
    """Matrices of one duration: to wavenumbers, in latitude for each group and wavenumber, back to longitudes."""

    analysis: NDArray[np.floating]
    meridional: NDArray[np.floating]
    synthesis: NDArray[np.floating]


@dataclass(frozen=True)
class MeridionalModes:
    """Eigenvalues (wavenumbers, latitudes) [1/s], eigenvectors of the scaled matrices, and the scaling (latitudes,)."""

    rate: FloatArray
    vectors: FloatArray
    scaling: FloatArray

    def propagator(self, duration_s: float) -> FloatArray:
        """Return the matrix exponentials (wavenumbers, latitudes, latitudes)."""
        decay = np.exp(self.rate * duration_s)[:, None, :]
        symmetric = (self.vectors * decay) @ self.vectors.transpose(0, 2, 1)
        return symmetric * self.scaling / self.scaling[:, None]


def meridional_modes(
    latitude: FloatArray, diffusivity: float, wind: FloatArray, radius_m: float, wavenumbers: int
) -> MeridionalModes:
    """Decompose the tridiagonal matrices of all zonal wavenumbers.

    Through the edge between cells j and j + 1 flows ``cos(edge) (v (a_j + a_j+1) / 2 - K (a_j+1 - a_j) / (r dphi))``;
    cell j has the area ``r (sin(edge above) - sin(edge below))``, both per radian of longitude and radius.
    """
    centre = np.radians(latitude)
    step = np.pi / latitude.size
    edge = 0.5 * (centre[1:] + centre[:-1])
    area = radius_m * 2.0 * np.sin(0.5 * step) * np.cos(centre)
    advection = 0.5 * np.cos(edge) * 0.5 * (wind[1:] + wind[:-1])
    diffusion = np.cos(edge) * diffusivity / (radius_m * step)
    if np.any((advection != 0.0) & (np.abs(advection) >= diffusion)):
        largest = 2.0 * diffusivity / (radius_m * step)
        raise ValueError(f"meridional_wind_m_s must stay below 2 K_h / (r dphi) = {largest:.3g} m/s between cells")
    gain_of_lower, gain_of_upper = diffusion - advection, diffusion + advection
    tilt = np.sqrt(np.divide(gain_of_lower, gain_of_upper, out=np.ones(edge.size), where=diffusion > 0.0))
    tilt = np.cumprod(np.insert(tilt, 0, 1.0))
    if tilt.max() > LARGEST_SCALING * tilt.min():
        raise ValueError(f"meridional_wind_m_s is too strong for K_h = {diffusivity:.3g} m2/s: rounding would show")
    off_diagonal = np.sqrt(gain_of_lower * gain_of_upper / (area[1:] * area[:-1]))
    # Minus the sum of what neighbours give, so that a constant has no tendency.
    diagonal = -(np.append(gain_of_lower, 0.0) + np.insert(gain_of_upper, 0, 0.0)) / area
    zonal = diffusivity * (np.arange(wavenumbers)[:, None] / (radius_m * np.cos(centre))) ** 2
    matrices = np.zeros((wavenumbers, latitude.size, latitude.size))
    row = np.arange(latitude.size)
    matrices[:, row, row] = diagonal - zonal
    matrices[:, row[1:], row[:-1]] = off_diagonal
    matrices[:, row[:-1], row[1:]] = off_diagonal
    rate, vectors = np.linalg.eigh(matrices)
    return MeridionalModes(rate, vectors, tilt * np.sqrt(area))


def _phases(longitudes: int, wavenumbers: int, shift: float) -> FloatArray:
    """Return m (lambda - shift), (wavenumbers, longitudes) [rad], whole turns exactly."""
    turns = np.outer(np.arange(wavenumbers), np.arange(longitudes)) % longitudes / longitudes
    return 2.0 * np.pi * turns - shift * np.arange(wavenumbers)[:, None]


def _analysis_matrix(longitudes: int, wavenumbers: int) -> FloatArray:
    """Return (2 wavenumbers, longitudes): rows alternate between cosine and sine coefficients."""
    phase = _phases(longitudes, wavenumbers, 0.0)
    weight = np.full(wavenumbers, 2.0 / longitudes)
    weight[0] = 1.0 / longitudes
    if 2 * (wavenumbers - 1) == longitudes:
        weight[-1] = 1.0 / longitudes
    rows: FloatArray = np.stack([np.cos(phase), np.sin(phase)], axis=1) * weight[:, None, None]
    return rows.reshape(-1, longitudes)


def _synthesis_matrix(longitudes: int, wavenumbers: int, shift: float) -> FloatArray:
    """Return (longitudes, 2 wavenumbers): the field of the coefficients, moved eastward by ``shift`` [rad]."""
    phase = _phases(longitudes, wavenumbers, shift)
    return np.stack([np.cos(phase), np.sin(phase)], axis=1).reshape(-1, longitudes).T.copy()


def _level_rows(diffusivity: FloatArray, wind: FloatArray) -> FloatArray:
    """Return K_h and v of each level, (levels, 1 + latitudes), or of all levels if there is one row."""
    if diffusivity.size > 1 and len(wind) > 1 and diffusivity.size != len(wind):
        raise ValueError(f"diffusivity_m2_s has {diffusivity.size} levels, meridional_wind_m_s {len(wind)}")
    levels = max(diffusivity.size, len(wind))
    rows = np.empty((levels, 1 + wind.shape[1]))
    rows[:, 0], rows[:, 1:] = diffusivity, wind
    return rows


def _check_grid(latitude: FloatArray, longitude: FloatArray) -> None:
    """Refuse grids other than equal cells around the whole globe."""
    if latitude.ndim != 1 or longitude.ndim != 1 or latitude.size < 2 or longitude.size < 2:
        raise ValueError("latitude and longitude must be arrays of one dimension with two or more values")
    step = 180.0 / latitude.size
    if not np.allclose(latitude, -90.0 + step * (np.arange(latitude.size) + 0.5), rtol=0.0, atol=1e-6):
        raise ValueError(f"latitude must be the centres of {latitude.size} equal cells from -90 to 90")
    if not np.allclose(np.diff(longitude), 360.0 / longitude.size, rtol=0.0, atol=1e-6):
        raise ValueError(f"longitude must go round the globe in {longitude.size} equal steps")
