r"""Storms: their epoch, four phases, debiasing on the pre-storm density, and errors of the peak of orbit means.

The division of a storm into four phases about one epoch, and models debiased by the density before the storm, follow
the idea of the assessments of Bruinsma et al. (2021, doi:10.1051/swsc/2021002) and Bruinsma & Laurens (2024,
doi:10.1051/swsc/2024027). The epoch is the minimum of Dst or, where a run has no Dst, the middle of the first series of
the largest Kp. The bounds of the phases in hours are a choice of this package, :data:`PHASES`, not those authors'
numbers: state them with any result.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from da.verification.keyed_sums import FloatArray
from da.verification.orbits import OrbitMeans

TimeArray = NDArray[np.datetime64]

STORM_KP = 5.0
_HOUR = np.timedelta64(1, "h")


class StormPhase(StrEnum):
    """Part of a storm, by the time since its epoch."""

    PRE_STORM = "pre-storm"
    ONSET = "onset"
    MAIN = "main and recovery"
    POST_STORM = "post-storm"


PHASES: dict[StormPhase, tuple[float, float]] = {
    StormPhase.PRE_STORM: (-36.0, -12.0),
    StormPhase.ONSET: (-12.0, 0.0),
    StormPhase.MAIN: (0.0, 24.0),
    StormPhase.POST_STORM: (24.0, 48.0),
}
"""Half-open bounds of the phases [h after the epoch]."""


def epoch_of_kp(time: TimeArray, kp: FloatArray) -> np.datetime64 | None:
    """Return the middle of the first unbroken series of the largest Kp, None where no Kp reaches 5.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        Increasing.
    kp : array (n,)
        NaN are passed over.
    """
    known = np.isfinite(kp)
    time, kp = time[known], kp[known]
    if not kp.size or kp.max() < STORM_KP:
        return None
    strongest = np.flatnonzero(kp == kp.max())
    breaks = np.flatnonzero(np.diff(strongest) > 1)
    first, last = strongest[0], strongest[breaks[0] if breaks.size else -1]
    middle: np.datetime64 = time[first] + (time[last] - time[first]) // 2
    return middle


def epoch_of_dst(time: TimeArray, dst_nt: FloatArray, threshold_nt: float = -50.0) -> np.datetime64 | None:
    """Return the time of the minimum of Dst, None where it stays above the threshold of a moderate storm.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
    dst_nt : array (n,)
        Dst [nT]; NaN are passed over.
    threshold_nt : float
    """
    if not np.any(dst_nt <= threshold_nt):
        return None
    lowest: np.datetime64 = time[int(np.nanargmin(dst_nt))]
    return lowest


def phase_masks(time: TimeArray, epoch: np.datetime64) -> dict[StormPhase, NDArray[np.bool_]]:
    """Return the points (n,) of each phase."""
    hours = (time - epoch) / _HOUR
    return {phase: (hours >= start) & (hours < stop) for phase, (start, stop) in PHASES.items()}


def pre_storm_ratio(time: TimeArray, epoch: np.datetime64, observed: FloatArray, modelled: FloatArray) -> float:
    """Return the mean observed over the mean modelled density of the pre-storm phase; NaN without points.

    The debiased model is the model times this number: it then has the mean density that was observed before the storm.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
    epoch : datetime64[ns]
    observed, modelled : array (n,)
        Densities [kg m-3]; points without both are left out.
    """
    chosen = phase_masks(time, epoch)[StormPhase.PRE_STORM] & np.isfinite(observed) & np.isfinite(modelled)
    return float(observed[chosen].mean() / modelled[chosen].mean()) if chosen.any() else float("nan")


@dataclass(frozen=True)
class PeakErrors:
    """Errors of the largest orbit-mean density of a storm; NaN where undefined.

    Parameters
    ----------
    amplitude_percent : float
        100 (A_model / A_observed - 1), where A is the peak over the pre-storm mean, minus one: the relative rise of the
        density. -50 is a storm half as strong as observed. NaN without a pre-storm mean.
    density_percent : float
        100 (peak_model / peak_observed - 1), without debiasing.
    time_h : float
        Time of the modelled minus that of the observed peak [h]; negative: the model peaks too early. Its resolution
        is one orbit, about 1.5 h.
    """

    amplitude_percent: float
    density_percent: float
    time_h: float


def peak_errors(orbits: OrbitMeans, epoch: np.datetime64 | None) -> PeakErrors:
    """Return the errors of the storm's peak in orbit means, sought from onset to the end of the main phase.

    Parameters
    ----------
    orbits : OrbitMeans
        Of one model.
    epoch : datetime64[ns] or None
        Of the storm; None: there is none.
    """
    nothing = PeakErrors(*[float("nan")] * 3)
    if epoch is None:
        return nothing
    masks = phase_masks(orbits.time, epoch)
    storm = np.flatnonzero(masks[StormPhase.ONSET] | masks[StormPhase.MAIN])
    if storm.size < 2:
        return nothing
    seen, made = (storm[int(np.argmax(values[storm]))] for values in (orbits.observed, orbits.modelled))
    time_h = float((orbits.time[made] - orbits.time[seen]) / _HOUR)
    density = 100.0 * float(orbits.modelled[made] / orbits.observed[seen] - 1.0)
    before = masks[StormPhase.PRE_STORM]
    if not before.any():
        return PeakErrors(float("nan"), density, time_h)
    rise_seen = orbits.observed[seen] / orbits.observed[before].mean() - 1.0
    rise_made = orbits.modelled[made] / orbits.modelled[before].mean() - 1.0
    # A density that does not rise has no amplitude that a model could miss by a percentage.
    amplitude = 100.0 * float(rise_made / rise_seen - 1.0) if rise_seen > 0.0 else float("nan")
    return PeakErrors(amplitude, density, time_h)
