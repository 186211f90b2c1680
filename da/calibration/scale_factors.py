"""Scale factors: measured density over that of NRLMSIS at the same place and time, in logarithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.geodesy import geodetic_latitude
from da.msis import Msis
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
    """Return the scale factors of all records of a track."""
    model = msis.along_track(track.time, track_latitude(track), track.longitude, track.altitude_km)
    return ScaleFactors(track.time, np.log(track.density / model.density), track.satellite)
