r"""Scale factors: measured density over that of NRLMSIS at the same place and time, in logarithm.

Where the measured densities are running means along the orbit (``DensityTrack.smoothing_s``), those of NRLMSIS are
averaged in the same way before the division (:mod:`da.observation_handling.running_mean`):

.. math:: s(t) = \rho_{observed}(t) \Big/ \frac{1}{W} \int_{t - W/2}^{t + W/2} \rho_{MSIS}(\mathbf{x}(t'), t')\,dt'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.geodesy import geodetic_latitude
from da.msis import Msis
from da.observation_handling import running_mean
from da.tracks.track import DensityTrack

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]


@dataclass(frozen=True)
class ScaleFactors:
    """ln s along a track, s = rho_observed / rho_MSIS (Corbin & Kusche 2022, "Calibration of NRLMSIS 2.0").

    The logarithm is taken because ratios are multiplicative: the mean of ln s is unbiased where the mean of s is not.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
    ln_factor : array (n,)
    satellite : str
    """

    time: TimeArray
    ln_factor: FloatArray
    satellite: str


def track_latitude(track: DensityTrack) -> FloatArray:
    """Return the geodetic latitude of a track, whatever its product gives."""
    if track.latitude_kind == "geodetic":
        return track.latitude
    return geodetic_latitude(track.latitude, 1e3 * track.altitude_km)


def scale_factors(track: DensityTrack, msis: Msis) -> ScaleFactors:
    """Return the scale factors of the records of a track: of all, or of those around which the running mean exists."""
    model = msis.along_track(track.time, track_latitude(track), track.longitude, track.altitude_km)
    averaged = running_mean(track.time, model.density, track.smoothing_s)
    known = np.isfinite(averaged)
    return ScaleFactors(track.time[known], np.log(track.density[known] / averaged[known]), track.satellite)
