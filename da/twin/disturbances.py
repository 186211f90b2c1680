"""What a climatology cannot have: travelling waves and a slow global modulation, drawn from a seed.

Both are relative changes in ln density that are given by closed formulas for every time and place, so that
any set of points, in any order, sees the same atmosphere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.constants import EARTH_RADIUS

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]
Range = tuple[float, float]

TIME_ORIGIN = np.datetime64("2000-01-01T00:00:00", "ns")
"""Time at which the phases of waves and modulation are counted from."""

_SOURCE_LATITUDE_RANGE_DEG = (70.0, 85.0)
_ENVELOPE_NORM = 4.0 / (3.0 * np.sqrt(3.0))


def seconds_since_origin(time: TimeArray) -> FloatArray:
    """Return seconds since `TIME_ORIGIN`, array (n,)."""
    return np.asarray((time - TIME_ORIGIN).astype("timedelta64[ns]").astype(np.int64) / 1.0e9, dtype=np.float64)


@dataclass(frozen=True)
class TravellingWave:
    """A large-scale travelling disturbance that spreads from a source in the auroral zone, equatorward.

    With the great-circle angle ``a`` from the source and the distance ``d = a R`` on the sphere of the
    Earth's mean radius ``R``::

        w(t, lat, lon) = amplitude e(a) cos(2 pi (d - speed t) / (speed period) + phase)
        e(a) = 4 / (3 sqrt 3) sin a (1 + cos a)

    The envelope ``e`` is 1 at 60 degrees from the source, 0.77 at 90, and vanishes at the source, where the
    direction of travel is undefined, and opposite to it. Fronts of constant phase move away from the source
    at ``speed``.

    Parameters
    ----------
    amplitude : float
        Peak of ``w`` (ln density) where the envelope is 1.
    speed_m_s, period_h : float
        Phase speed and period; the wavelength is their product.
    phase_rad : float
    source_latitude, source_longitude : float
        Degrees.
    """

    amplitude: float
    speed_m_s: float
    period_h: float
    phase_rad: float
    source_latitude: float
    source_longitude: float

    def envelope(self, latitude: FloatArray, longitude: FloatArray) -> FloatArray:
        """Return the envelope ``e`` at places [degrees], arrays (n,): 0 to 1."""
        return _envelope(self._angle(latitude, longitude))

    def evaluate(self, time: TimeArray, latitude: FloatArray, longitude: FloatArray) -> FloatArray:
        """Return ``w`` at times and places [degrees], arrays (n,): change of ln density."""
        angle = self._angle(latitude, longitude)
        period_s = 3600.0 * self.period_h
        cycles = angle * EARTH_RADIUS / (self.speed_m_s * period_s) - seconds_since_origin(time) / period_s
        wave = np.cos(2.0 * np.pi * cycles + self.phase_rad)
        return np.asarray(self.amplitude * _envelope(angle) * wave, dtype=np.float64)

    def _angle(self, latitude: FloatArray, longitude: FloatArray) -> FloatArray:
        phi, source = np.radians(latitude), np.radians(self.source_latitude)
        cos_longitude = np.cos(np.radians(longitude - self.source_longitude))
        cosine = np.sin(phi) * np.sin(source) + np.cos(phi) * np.cos(source) * cos_longitude
        return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)), dtype=np.float64)


@dataclass(frozen=True)
class GlobalModulation:
    """A slow change of ln density that is the same everywhere.

    ``m(t) = rms sqrt(2 / J) sum_j cos(2 pi t / P_j + phase_j)``; its mean square over a long time is
    ``rms^2``.

    Parameters
    ----------
    rms : float
    period_d : tuple of J floats
        Periods [days].
    phase_rad : tuple of J floats
    """

    rms: float
    period_d: tuple[float, ...]
    phase_rad: tuple[float, ...]

    def evaluate(self, time: TimeArray) -> FloatArray:
        """Return ``m`` at times (n,)."""
        days = seconds_since_origin(time)[:, None] / 86400.0
        terms = np.cos(2.0 * np.pi * days / np.array(self.period_d) + np.array(self.phase_rad))
        return np.asarray(self.rms * np.sqrt(2.0 / len(self.period_d)) * terms.sum(axis=1), dtype=np.float64)


def draw_waves(
    rng: np.random.Generator, count: int, amplitude: Range, speed_m_s: Range, period_h: Range
) -> tuple[TravellingWave, ...]:
    """Return ``count`` waves, from north and south by turns, each property uniform within its range.

    Sources lie 70 to 85 degrees from the equator at any longitude, phases are uniform.
    """
    waves = []
    for number in range(count):
        hemisphere = 1.0 if number % 2 == 0 else -1.0
        waves.append(
            TravellingWave(
                amplitude=rng.uniform(*amplitude),
                speed_m_s=rng.uniform(*speed_m_s),
                period_h=rng.uniform(*period_h),
                phase_rad=rng.uniform(0.0, 2.0 * np.pi),
                source_latitude=hemisphere * rng.uniform(*_SOURCE_LATITUDE_RANGE_DEG),
                source_longitude=rng.uniform(-180.0, 180.0),
            )
        )
    return tuple(waves)


def draw_modulation(rng: np.random.Generator, rms: float, period_d: Range, terms: int = 3) -> GlobalModulation:
    """Return a modulation of ``terms`` cosines: periods uniform within ``period_d`` [days], random phases."""
    periods = rng.uniform(*period_d, size=terms)
    phases = rng.uniform(0.0, 2.0 * np.pi, size=terms)
    return GlobalModulation(rms, tuple(float(p) for p in periods), tuple(float(p) for p in phases))


def _envelope(angle: FloatArray) -> FloatArray:
    return np.asarray(_ENVELOPE_NORM * np.sin(angle) * (1.0 + np.cos(angle)), dtype=np.float64)
