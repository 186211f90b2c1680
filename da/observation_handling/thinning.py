"""Thinning of densely sampled tracks: a record is kept when it is late enough after the last kept one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.observation_handling.time_steps import increasing_nanoseconds, whole_nanoseconds


def thinned(time: NDArray[np.datetime64], thinning_s: float) -> NDArray[np.bool_]:
    """Return which records of a track are kept.

    The first record is kept, then each first one that lies ``thinning_s`` or more after the last kept one. After a gap
    the first record is kept and the counting goes on from there, so that no grid of times is forced upon the track.

    Parameters
    ----------
    time : array (n,), datetime64
        Strictly increasing.
    thinning_s : float
        Shortest distance in time between kept records [s].

    Raises
    ------
    ValueError
        If the times do not increase strictly or the distance is not positive.

    Examples
    --------
    >>> start = np.datetime64("2010-04-05T00:00:00", "ns")
    >>> thinned(start + np.array([0, 5, 10, 15, 47, 52, 57]) * np.timedelta64(1, "s"), 10.0)
    array([ True, False,  True, False,  True, False,  True])
    """
    stamps, step = increasing_nanoseconds(time), whole_nanoseconds(thinning_s, "the thinning distance")
    keep = np.zeros(stamps.size, dtype=bool)
    record = 0
    while record < stamps.size:
        keep[record] = True
        record = int(np.searchsorted(stamps, stamps[record] + step))
    return keep
