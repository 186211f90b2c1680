"""Whether the densities of a file can be in the unit that it says, judged by NRLMSIS."""

from __future__ import annotations

import numpy as np

from da.calibration.scale_factors import track_latitude
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks.track import DensityTrack
from da.tracks.wrong_units import LARGEST_RATIO, is_plausible, likely_cause

RECORDS_COMPARED = 500
"""Of a file, evenly over it; a median of as many is known to a few per cent."""


def refuse_other_unit(track: DensityTrack, msis: Msis) -> None:
    """Raise ThermodaError where the densities of a track, from one file, are by no means those of NRLMSIS.

    Parameters
    ----------
    track : DensityTrack
        Without records nothing is said.
    msis : Msis
        Of the time of the track.
    """
    if not len(track):
        return
    chosen = np.unique(np.linspace(0, len(track) - 1, min(len(track), RECORDS_COMPARED)).astype(np.int64))
    place = (track_latitude(track)[chosen], track.longitude[chosen], track.altitude_km[chosen])
    model = msis.along_track(track.time[chosen], *place).density
    ratio = 10.0 ** float(np.clip(np.median(np.log10(track.density[chosen]) - np.log10(model)), -300.0, 300.0))
    if not is_plausible(ratio):
        raise ThermodaError(
            f"{track.source}: its densities are {ratio:.2g} times those of NRLMSIS (median of {chosen.size}, "
            f"{track.satellite}); between 1/{LARGEST_RATIO:g} and {LARGEST_RATIO:g} is possible: {likely_cause(ratio)}"
        )
