r"""Orbits of any track: their numbers, arguments of latitude, and averages of density over them.

Orbits are counted at northward crossings of the equator (ascending nodes) and at gaps of the track; a track that never
crosses the equator is divided by the Kepler period :math:`2\pi\sqrt{a^3/GM}` of its mean altitude. The numbers need
times and latitudes of the whole track; with them, the averages add over chunks that cut orbits anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.constants import EARTH_EQUATORIAL_RADIUS, EARTH_GM
from da.verification.keyed_sums import FloatArray, IntArray, KeyedSums
from da.verification.sampling import Points
from da.verification.statistics import PairStatistics

TimeArray = NDArray[np.datetime64]

GAP = np.timedelta64(20, "m")
"""Orbits are divided where a track has no points for longer than this."""

COMPLETE = 0.75
"""Share of the points of the best-covered orbit that an orbit must have for its average to count."""

_EPOCH = np.datetime64("2000-01-01", "ns")
_SECOND = np.timedelta64(1, "s")


def orbit_number(time: TimeArray, latitude: FloatArray) -> IntArray:
    """Return the number of each point's orbit, counted at northward equator crossings and at gaps in the track.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        Increasing.
    latitude : array (n,)
        Degrees.
    """
    if not time.size:
        return np.zeros(0, dtype=np.int64)
    northward = (latitude[:-1] < 0.0) & (latitude[1:] >= 0.0)
    return np.concatenate([[0], np.cumsum(northward | (np.diff(time) > GAP))])


def kepler_period_s(altitude_km: float) -> float:
    """Return the period of a circular orbit at an altitude above the equatorial radius [s]."""
    radius = EARTH_EQUATORIAL_RADIUS + 1e3 * altitude_km
    return float(2.0 * np.pi * np.sqrt(radius**3 / EARTH_GM))


def orbits_of(points: Points) -> IntArray:
    """Return the number of each point's orbit, by crossings of the equator or, without any, by the Kepler period."""
    if np.any(points.latitude < 0.0) and np.any(points.latitude >= 0.0):
        return orbit_number(points.time, points.latitude)
    if not points.time.size:
        return np.zeros(0, dtype=np.int64)
    period = kepler_period_s(float(np.mean(points.altitude_km)))
    return np.asarray((points.time - points.time[0]) / _SECOND // period, dtype=np.int64)


def argument_of_latitude_deg(time: TimeArray, latitude: FloatArray) -> FloatArray:
    r"""Return the angle along the orbit from the ascending node [0, 360) degrees: :math:`\sin u = \sin\phi/\sin i`.

    The inclination (or its supplement) is the largest latitude of the track; northward motion is read off the
    neighbouring points, never across a gap. Points without a neighbour, and tracks along the equator, get NaN.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        Increasing.
    latitude : array (n,)
        Degrees.
    """
    if time.size < 2 or not np.abs(latitude).max() > 0.0:
        return np.full(time.size, np.nan)
    step = np.where(np.diff(time) > GAP, np.nan, np.diff(latitude))
    backward, forward = np.r_[np.nan, step], np.r_[step, np.nan]
    # Across the turning point the two differences have opposite signs; their sum tells on which side the point lies.
    motion = np.where(np.isnan(backward), forward, np.where(np.isnan(forward), backward, backward + forward))
    ratio = np.sin(np.radians(latitude)) / np.sin(np.radians(np.abs(latitude).max()))
    ascending = np.degrees(np.arcsin(np.clip(ratio, -1.0, 1.0)))
    angle = np.where(motion >= 0.0, ascending, 180.0 - ascending)
    return np.where(np.isnan(motion), np.nan, np.mod(angle, 360.0))


@dataclass(frozen=True)
class OrbitMeans:
    """Averages over complete orbits.

    Parameters
    ----------
    number : array of int (orbits,)
    count : array of int (orbits,)
        Points averaged.
    time : array (orbits,), datetime64[ns]
        Mean time of the points.
    observed, modelled : array (orbits,)
        Mean density [kg m-3].
    """

    number: IntArray
    count: IntArray
    time: TimeArray
    observed: FloatArray
    modelled: FloatArray

    @property
    def ratio(self) -> FloatArray:
        """Observed over modelled mean density of each orbit (orbits,)."""
        return np.asarray(self.observed / self.modelled)

    def statistics(self) -> PairStatistics:
        """Return the statistics of the orbit means: ln ratios of averages, not averages of ln ratios."""
        return PairStatistics.of(self.observed, self.modelled)


@dataclass(frozen=True)
class OrbitSums:
    """Sums of observed and modelled density per orbit; adding merges the parts of one orbit.

    Parameters
    ----------
    sums : KeyedSums
        Of seconds since 2000, observed and modelled density.
    """

    sums: KeyedSums

    @classmethod
    def zero(cls) -> OrbitSums:
        """Return the sums of no points, the neutral element of the addition."""
        return cls(KeyedSums.zero(("seconds", "observed", "modelled")))

    @classmethod
    def of(cls, orbit: IntArray, time: TimeArray, observed: FloatArray, modelled: FloatArray) -> OrbitSums:
        """Return the sums of points (n,) in any order; points where a density is NaN are left out.

        Parameters
        ----------
        orbit : array of int (n,)
            From :func:`orbits_of` on the whole track.
        time : array (n,), datetime64[ns]
        observed, modelled : array (n,)
            Densities [kg m-3].
        """
        seconds = (time - _EPOCH) / _SECOND
        return cls(KeyedSums.of(orbit, {"seconds": seconds, "observed": observed, "modelled": modelled}))

    def __add__(self, other: OrbitSums) -> OrbitSums:
        """Return the sums of both sets of points together."""
        return OrbitSums(self.sums + other.sums)

    def value(self) -> OrbitMeans:
        """Return the averages of the orbits with at least :data:`COMPLETE` of the largest number of points."""
        sums = self.sums
        if sums.count.size:
            sums = sums.take(sums.count >= COMPLETE * sums.count.max())
        time = _EPOCH + (1e9 * sums.mean("seconds")).astype("m8[ns]")
        return OrbitMeans(sums.keys, sums.count, time, sums.mean("observed"), sums.mean("modelled"))
