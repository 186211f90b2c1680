r"""Day-to-day variability as it comes from below: tides and planetary waves whose amplitudes wander over days.

Each wave is :math:`\mathrm{Re}[A(t) \, e^{i (s \lambda + 2 \pi f t - \psi(z))}] \, \Theta(\varphi)` with the zonal
wavenumber ``s`` (positive: westward), the frequency ``f`` and the complex amplitude

.. math:: A(t) = J^{-1/2} \sum_j e^{i (\omega_j t + \varphi_j)}

of mean square one. The frequencies are drawn from a Cauchy distribution of scale 1/memory, which gives ``A`` the
covariance :math:`e^{-|t|/memory}` of a first-order autoregressive process, but for any time without a beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from da.seeding import Purpose, stream
from da.twin.dipole import days_since_2000

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

LOWER_KM, UPPER_KM = 120.0, 400.0
"""Heights at and beyond which the amplitudes are the two given ones; linear in between."""

_TERMS = 24
_FASTEST_PER_DAY = 1.0
_TURNING_FROM_KM, _TURNING_DEPTH_KM = 100.0, 50.0


@dataclass(frozen=True)
class WaveKind:
    """One tide or planetary wave.

    Parameters
    ----------
    name : str
        In the notation of the field: DW1 is diurnal, westward, wavenumber 1.
    wavenumber : int
        Positive westward.
    frequency_per_day : float
    share : float
        Weight of its variance among all waves.
    antisymmetric : bool
        About the equator.
    wavelength_km : float
        Vertical, at 100 km; above, viscosity makes the phase turn ever less, by a factor e in 50 km.
    """

    name: str
    wavenumber: int
    frequency_per_day: float
    share: float
    antisymmetric: bool = False
    wavelength_km: float = np.inf


KINDS = (
    WaveKind("DW1", 1, 1.0, 0.15, wavelength_km=60.0),
    WaveKind("SW2", 2, 2.0, 0.25, wavelength_km=80.0),
    WaveKind("SW1", 1, 2.0, 0.05, antisymmetric=True, wavelength_km=80.0),
    WaveKind("TW3", 3, 3.0, 0.05, wavelength_km=80.0),
    WaveKind("DE3", -3, 1.0, 0.15, wavelength_km=60.0),
    WaveKind("quasi-two-day wave", 3, 0.5, 0.10, antisymmetric=True),
    WaveKind("ultra-fast Kelvin wave", -1, 1.0 / 3.0, 0.05),
    WaveKind("six-day wave", 1, 1.0 / 6.0, 0.10),
    WaveKind("ten-day wave", 1, 0.1, 0.05, antisymmetric=True),
    WaveKind("zonal mean", 0, 0.0, 0.05),
)
"""The best-known ones (Forbes 2021, Upper Atmosphere Dynamics and Energetics, Chap. 3; Oberheide et al. 2011,
doi:10.1029/2011JA016784); the shares are a choice, not a measurement."""


@dataclass(frozen=True)
class DayToDay:
    """Sum of all waves of a seed.

    Parameters
    ----------
    seed : int
    lower_rms, upper_rms : float
        Root mean square over the sphere and a long time, in ln density, at 120 and at 400 km.
    memory_d : float
        e-folding time of the amplitudes' correlation.
    """

    seed: int
    lower_rms: float
    upper_rms: float
    memory_d: float

    def evaluate(
        self, time: TimeArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
    ) -> FloatArray:
        """Return the change of ln density at times and places (n,) and heights (n,) or (heights, n) [km]."""
        result = np.zeros(np.broadcast_shapes(altitude_km.shape, time.shape))
        if self.lower_rms == 0.0 and self.upper_rms == 0.0:
            return result
        days = days_since_2000(time)
        for number, kind in enumerate(KINDS):
            phase = kind.wavenumber * np.radians(longitude) + 2.0 * np.pi * kind.frequency_per_day * days
            wave = self.amplitude(number, time) * np.exp(1j * phase) * _latitude_profile(kind, latitude)
            turned = np.exp(-2j * np.pi * _turning_height(altitude_km) / kind.wavelength_km)
            result += np.sqrt(2.0 * kind.share) * np.real(wave * turned)
        rms = np.interp(altitude_km, [LOWER_KM, UPPER_KM], [self.lower_rms, self.upper_rms])
        return np.asarray(rms * result, dtype=np.float64)

    def amplitude(self, number: int, time: TimeArray) -> NDArray[np.complex128]:
        """Return the complex amplitude ``A`` of one of `KINDS` at times (n,)."""
        frequency, phase = self._spectrum[number]
        unique, where = np.unique(time, return_inverse=True)
        turns = np.multiply.outer(days_since_2000(unique), frequency) + phase
        return np.asarray(np.exp(1j * turns).sum(axis=1)[where.ravel()] / np.sqrt(_TERMS), dtype=np.complex128)

    @cached_property
    def _spectrum(self) -> FloatArray:
        """Frequencies [rad per day] and phases, (kinds, 2, terms)."""
        rng = stream(self.seed, Purpose.TWIN_TRUTH, DAY_TO_DAY_STREAM)
        uniform = rng.uniform(size=(len(KINDS), 2, _TERMS))
        return np.stack([cauchy_frequencies(uniform[:, 0], self.memory_d), 2.0 * np.pi * uniform[:, 1]], axis=1)


DAY_TO_DAY_STREAM = 0
"""Number of the random stream of these waves."""


def cauchy_frequencies(uniform: FloatArray, memory_d: float) -> FloatArray:
    """Return frequencies [rad per day] of scale 1/memory from numbers in [0, 1), none above one cycle a day."""
    fastest = 2.0 * np.pi * _FASTEST_PER_DAY
    widest = np.arctan(fastest * memory_d) / np.pi
    return np.asarray(np.tan(2.0 * np.pi * widest * (uniform - 0.5)) / memory_d, dtype=np.float64)


def _turning_height(altitude_km: FloatArray) -> FloatArray:
    """Return the integral over height [km] of the factor by which the phase turns, zero at 100 km."""
    above = (altitude_km - _TURNING_FROM_KM) / _TURNING_DEPTH_KM
    return np.asarray(_TURNING_DEPTH_KM * -np.expm1(-above), dtype=np.float64)


def _latitude_profile(kind: WaveKind, latitude: FloatArray) -> FloatArray:
    """Return Theta, of mean square one on the sphere: cos^2, or sin cos^2, and constant for the zonal mean."""
    phi = np.radians(latitude)
    if kind.wavenumber == 0:
        return np.ones_like(phi)
    if kind.antisymmetric:
        return np.asarray(np.sin(phi) * np.cos(phi) ** 2 * np.sqrt(105.0 / 8.0), dtype=np.float64)
    return np.asarray(np.cos(phi) ** 2 * np.sqrt(15.0 / 8.0), dtype=np.float64)
