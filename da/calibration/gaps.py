r"""The scale factor where the calibrating satellite has no densities: in gaps too long to be filled, before, after.

Three things can be done there. To **pause**: there is no factor to assimilate. To take the factor of **another
satellite**, where that one has one. Or to **persist**: the latest factor is believed less and less. For that its
logarithm is taken for a stationary Gauss-Markov process of mean zero, standard deviation :math:`\sigma` and
correlation time :math:`\tau`, the only stationary Gaussian process whose future depends on its present alone (Doob
1942, doi:10.2307/1968873). Given :math:`x_0`, the latest :math:`x = \ln s`, a time :math:`t` later it has (Uhlenbeck &
Ornstein 1930, doi:10.1103/PhysRev.36.823)

.. math:: \mathrm{E}[x(t)] = x_0\,e^{-t/\tau}, \qquad \mathrm{Var}[x(t)] = \sigma^2 (1 - e^{-2t/\tau}).

The factor relaxes towards one. Its variance grows linearly at first, :math:`2 \sigma^2 t/\tau`, and ends at that of
NRLMSIS without any calibration, :math:`\sigma^2`; it is added to the relative error variance of the observations. A
mean of zero is meant: with it :math:`\sigma` is the root mean square of :math:`\ln s`, bias of NRLMSIS included, and a
bias that stays makes :math:`\tau` long.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from da.calibration.calibrated_msis import CalibratedMsis
from da.calibration.scale_factors import track_latitude
from da.errors import ThermodaError
from da.msis import Atmosphere
from da.tracks.track import DensityTrack

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

FEWEST_LAGS = 4.0
"""Pairs of values over so many lags must exist to estimate a correlation."""


class FactorState(IntEnum):
    """Where the scale factor of a time is from."""

    KNOWN = 0
    """The calibrating satellite."""
    PERSISTED = 1
    """Its latest value, relaxed."""
    FALLBACK = 2
    """Another satellite."""
    HELD = 3
    """Its nearest earlier value (before the first: that), to compare with only; nothing to assimilate."""


@dataclass(frozen=True)
class Persistence:
    """How fast, and how far, the scale factor is forgotten.

    Parameters
    ----------
    relaxation_time_h : float
        tau.
    standard_deviation : float
        sigma, of ln s about zero.

    Raises
    ------
    ValueError
        If one of them is not positive and finite.
    """

    relaxation_time_h: float
    standard_deviation: float

    def __post_init__(self) -> None:
        if not 0.0 < self.relaxation_time_h < np.inf or not 0.0 < self.standard_deviation < np.inf:
            raise ValueError(f"relaxation time and standard deviation must be positive and finite: {self}")

    def relaxed(self, ln_factor: FloatArray, elapsed_h: FloatArray) -> FloatArray:
        """Return the expected ln s a time after its latest value."""
        return np.asarray(ln_factor * np.exp(-elapsed_h / self.relaxation_time_h))

    def variance(self, elapsed_h: FloatArray) -> FloatArray:
        """Return the variance of ln s a time after its latest value."""
        return np.asarray(-(self.standard_deviation**2) * np.expm1(-2.0 * elapsed_h / self.relaxation_time_h))


def estimated_persistence(calibrated: CalibratedMsis, lag_h: float) -> Persistence:
    r"""Return the parameters that the scale factors of a run itself have.

    sigma is the root mean square of ln s; with the correlation about zero :math:`\rho(L)` of values a lag apart,
    :math:`\tau = -L / \ln \rho(L)`.

    Parameters
    ----------
    calibrated : CalibratedMsis
        With values at equal steps.
    lag_h : float
        L; the cut-off period of the filter, as values closer than that are alike by the filter alone.

    Raises
    ------
    ThermodaError
        If there are too few values, or they are not correlated, or do not change.
    """
    values = calibrated.ln_factor
    step_h = float((calibrated.time[1] - calibrated.time[0]) / np.timedelta64(1, "h"))
    lag = round(lag_h / step_h)
    first, second = values[:-lag], values[lag:]
    both = np.isfinite(first) & np.isfinite(second)
    advice = "give calibration.gaps.persistence numbers"
    if np.count_nonzero(both) < FEWEST_LAGS * lag:
        raise ThermodaError(
            f"{calibrated.satellite}: less than {FEWEST_LAGS * lag_h:g} h of scale factors {lag_h:g} h apart, too few "
            f"to estimate how long they are remembered; {advice}"
        )
    products = np.mean(first[both] * second[both])
    correlation = float(products / (0.5 * np.mean(first[both] ** 2 + second[both] ** 2)))
    if not 0.0 < correlation < 1.0 - 1e-9:
        raise ThermodaError(
            f"{calibrated.satellite}: scale factors {lag_h:g} h apart have the correlation {correlation:.3f}, from "
            f"which no relaxation time follows; {advice}"
        )
    return Persistence(-lag_h / np.log(correlation), float(np.sqrt(np.nanmean(values**2))))


@dataclass(frozen=True)
class FactorValues:
    """The scale factor at some times.

    Parameters
    ----------
    ln_factor, variance : array (n,)
        ln s, and what is added to the relative error variance of observations made with it.
    state : array of int (n,)
        See :class:`FactorState`.
    """

    ln_factor: FloatArray
    variance: FloatArray
    state: NDArray[np.int8]


@dataclass(frozen=True)
class ContinuedFactor:
    """The scale factor of one satellite, and what takes its place where there is none.

    Parameters
    ----------
    calibrated : CalibratedMsis
    persistence : Persistence or None
    fallback : CalibratedMsis or None
        Along another satellite.

    Raises
    ------
    ValueError
        If both are given.
    """

    calibrated: CalibratedMsis
    persistence: Persistence | None = None
    fallback: CalibratedMsis | None = None

    def __post_init__(self) -> None:
        if self.persistence is not None and self.fallback is not None:
            raise ValueError("a factor persists or is taken from another satellite, not both")

    def at(self, time: TimeArray) -> FactorValues:
        """Return the scale factor at times (n,)."""
        known = self.calibrated.known_ln_factor(time)
        latest, elapsed_h = self.calibrated.latest(time)
        missing = np.isnan(known)
        ln_factor, variance = np.where(missing, latest, known), np.zeros(time.size)
        state = np.where(missing, FactorState.HELD, FactorState.KNOWN).astype(np.int8)
        if self.persistence is not None:
            # Time goes forward: there is nothing to persist before the first value.
            persists = missing & (elapsed_h > 0.0)
            ln_factor[persists] = self.persistence.relaxed(latest[persists], elapsed_h[persists])
            variance[persists] = self.persistence.variance(elapsed_h[persists])
            state[persists] = FactorState.PERSISTED
        if self.fallback is not None:
            others = self.fallback.known_ln_factor(time)
            replaced = missing & np.isfinite(others)
            ln_factor[replaced], state[replaced] = others[replaced], FactorState.FALLBACK
        return FactorValues(ln_factor, variance, state)

    def along_track(self, track: DensityTrack) -> tuple[FloatArray, Atmosphere, NDArray[np.int8]]:
        """Return the calibrated density [kg m-3] at a track's points (n,), NRLMSIS there, and whence the factor is."""
        atmosphere = self.calibrated.msis.along_track(
            track.time, track_latitude(track), track.longitude, track.altitude_km
        )
        values = self.at(track.time)
        return np.exp(values.ln_factor) * atmosphere.density, atmosphere, values.state
