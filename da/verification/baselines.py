r"""The rows without which no skill can be judged: MSIS, calibrated MSIS and the persisted scale factor.

**Persisted scale factor** is :math:`\rho_\mathrm{MSIS}(t, x)\, s(t_k)` for :math:`t_k \le t < t_{k+1}`: NRLMSIS at the
time and place of the point, with the indices of that time, times the scale factor of the calibration held constant from
the latest analysis (in a free forecast: from lead time zero). It uses as much as the forecast from the same analysis
does, where calibrated MSIS uses the factor of the time of the point itself. :math:`s = \rho_\mathrm{calibrated} /
\rho_\mathrm{MSIS}` is read off the satellite's own track, linear in time in its logarithm between the nearest points,
so that no row needs a file of its own. A low-pass filter of zero phase lets :math:`s(t_k)` know two to three hours of
later data; the row is then a hindcast, like calibrated MSIS.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.verification.keyed_sums import FloatArray

TimeArray = NDArray[np.datetime64]


def persisted_scale_factor(
    time: TimeArray, msis: FloatArray, calibrated_msis: FloatArray, held_since: TimeArray
) -> FloatArray:
    """Return the scale factor at each point of a track, held constant from the latest time of ``held_since``.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        Increasing.
    msis, calibrated_msis : array (n,)
        Densities along the track [kg m-3], finite and positive.
    held_since : array (k,), datetime64[ns]
        Increasing: times of the analyses, or the single one at which a free forecast starts.

    Returns
    -------
    array (n,)
        NaN before the first of these times, and everywhere without a point or a time.
    """
    if not time.size or not held_since.size:
        return np.full(time.size, np.nan)
    second = np.timedelta64(1, "s")
    seconds, since = ((stamps - time[0]) / second for stamps in (time, held_since))
    ln_factor = np.interp(since, seconds, np.log(calibrated_msis / msis))
    latest = np.searchsorted(held_since, time, side="right") - 1
    return np.where(latest >= 0, np.exp(ln_factor[np.maximum(latest, 0)]), np.nan)
