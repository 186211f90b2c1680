r"""How storm heat leaves the oval: a damped wave of winds that expands the heated gas and compresses the rest.

Heating S of a pressure level drives the divergence of a horizontal wind, which cools by expansion and carries the heat
away. Eliminating the wind from the linear equations of momentum, mass and heat leaves, about a resting atmosphere,

.. math::

   \frac{\partial E}{\partial t} = S - d + K_h \nabla^2 E, \qquad
   \frac{\partial d}{\partial t} = -c^2 \nabla^2 E - f_w d + K_h \nabla^2 d,

with E the temperature that the heating brings [K], d the cooling by expansion [K s-1], c the speed of the wave, f_w the
drag on the wind (ions, and what the wave spends on the levels above) and K_h viscosity and conduction. This is gravity-
wave adjustment (Gill 1982, Atmosphere-Ocean Dynamics, section 5.6; for storms Richmond & Matsushita 1975,
doi:10.1029/JA080i019p02839): heat reaches the equator in some three hours, overshoots, and levels out.

Winds are no part of the state. They are therefore those of the heating alone, which the drivers of the past tell: what
comes out is the heating that is left of S when winds have done their work,

.. math:: S(t) - d(t) = S(t) - \int_0^\infty G(s) \, S(t - s) \, ds,

whose global mean is that of S. Anomalies that an analysis makes spread by diffusion. In eigenfunctions of the
Laplacian on the grid with eigenvalue -k, G is :math:`c^2 k \, (e^{\lambda_+ s} - e^{\lambda_- s}) /
(\lambda_+ - \lambda_-)` with the roots of :math:`(\lambda + K_h k)(\lambda + K_h k + f_w) + c^2 k = 0`, and
heating that is held over a time is integrated exactly. Everything moves with the rotation of anomalies meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.constants import EARTH_RADIUS
from model_adapters.column_physics.horizontal import meridional_modes

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class WaveSettings:
    """Numbers of the wave.

    Parameters
    ----------
    speed_m_s : float
        c; zero leaves the heat where it is.
    drag_rate : float
        f_w [s-1].
    diffusivity_m2_s : float
        K_h.
    rotation_deg_per_h : float
        Motion in geographic longitude, eastward positive.
    """

    speed_m_s: float
    drag_rate: float
    diffusivity_m2_s: float
    rotation_deg_per_h: float


class WaveAdjustment:
    """Spreads maps of heating (latitudes, longitudes), through their spectra (wavenumbers, modes).

    Parameters
    ----------
    latitude, longitude : (latitudes,), (longitudes,)
        Centres of equal cells that cover the globe [degrees].
    settings : WaveSettings
    radius_m : float
        Of the sphere.
    """

    def __init__(
        self, latitude: FloatArray, longitude: FloatArray, settings: WaveSettings, radius_m: float = EARTH_RADIUS
    ) -> None:
        self._longitudes, self._settings = longitude.size, settings
        wavenumbers = longitude.size // 2 + 1
        modes = meridional_modes(latitude, 1.0, np.zeros(latitude.size), radius_m, wavenumbers)
        # Rounding leaves the uniform mode a rate of 1e-29 or so of either sign.
        self._square = np.where(-modes.rate * radius_m**2 < 1e-9, 0.0, -modes.rate)
        self._to_modes = modes.vectors.transpose(0, 2, 1) * modes.scaling
        self._from_modes = modes.vectors / modes.scaling[:, None]
        self._turning = np.arange(wavenumbers) * np.radians(settings.rotation_deg_per_h) / 3600.0

    def spectrum(self, maps: FloatArray) -> ComplexArray:
        """Return the spectra (..., wavenumbers, modes) of maps (..., latitudes, longitudes)."""
        waves = np.moveaxis(np.fft.rfft(maps, axis=-1), -1, -2)
        return np.asarray(np.matmul(self._to_modes, waves[..., None])[..., 0])

    def maps(self, spectra: ComplexArray) -> FloatArray:
        """Return the maps (latitudes, longitudes, members) of spectra (wavenumbers, modes, members)."""
        real, imaginary = np.matmul(self._from_modes, spectra.real), np.matmul(self._from_modes, spectra.imag)
        waves = (real + 1j * imaginary).transpose(1, 0, 2)
        return np.fft.irfft(waves, n=self._longitudes, axis=1)

    def drift(self, elapsed_s: float) -> ComplexArray:
        """Return what a spectrum is multiplied by in a time: diffusion and rotation, no wave (wavenumbers, modes)."""
        faded = np.exp(-self._settings.diffusivity_m2_s * self._square * elapsed_s)
        return np.asarray(faded * np.exp(-1j * self._turning * elapsed_s)[:, None])

    def expansion(self, since_begin_s: FloatArray, since_end_s: FloatArray) -> ComplexArray:
        """Return d of heating by 1 K s-1, held from a begin to an end (times, wavenumbers, modes).

        The heating turns with the anomalies from the middle of its time.

        Parameters
        ----------
        since_begin_s, since_end_s : array (times,)
            Time from begin and end until now, not negative [s].
        """
        middle = 0.5 * (since_begin_s + since_end_s)
        turned = np.exp(-1j * np.multiply.outer(middle, self._turning))
        return np.asarray((self._integral(since_begin_s) - self._integral(since_end_s)) * turned[:, :, None])

    def _integral(self, elapsed_s: FloatArray) -> FloatArray:
        """Return the integral of G from 0 to a time (times, wavenumbers, modes)."""
        settings = self._settings
        fading = settings.diffusivity_m2_s * self._square + 0.5 * settings.drag_rate
        stiffness = settings.speed_m_s**2 * self._square
        frequency = np.sqrt((stiffness - 0.25 * settings.drag_rate**2).astype(np.complex128))
        # Where both roots are one, a tiny distance between them gives the limit to rounding.
        frequency = np.where(np.abs(frequency) < 1e-9, 1e-9, frequency)
        elapsed = elapsed_s[:, None, None]
        above, below = (1j * sign * frequency - fading for sign in (1.0, -1.0))
        terms = [np.expm1(root * elapsed) / np.where(root == 0.0, 1.0, root) for root in (above, below)]
        return np.asarray((stiffness * (terms[0] - terms[1]) / (2j * frequency)).real)
