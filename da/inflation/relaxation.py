r"""Relaxation of the analysis spread towards the forecast's; the forgetting factor acts inside the filter.

- RTPS (Whitaker & Hamill 2012, doi:10.1175/MWR-D-11-00276.1, Eq. 2):
  :math:`x'^a_i \leftarrow x'^a_i (\alpha (\sigma^b - \sigma^a)/\sigma^a + 1)`, per variable.
- RTPP (Zhang et al. 2004, doi:10.1175/1520-0493(2004)132<1238:IOIEAO>2.0.CO;2, Eq. 5):
  :math:`x'^a_i \leftarrow (1 - \alpha) x'^a_i + \alpha x'^b_i`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def _check(relaxation: float) -> None:
    if not 0.0 <= relaxation <= 1.0:
        raise ValueError(f"relaxation must lie within [0, 1], not {relaxation}")


def relax_to_prior_spread(forecast: FloatArray, analysis: FloatArray, relaxation: float) -> FloatArray:
    """Return the analysis (rows, members) with its spread relaxed to the forecast's, its mean unchanged (RTPS).

    Rows whose analysis spread is zero keep it: no factor can restore what is not there.
    """
    _check(relaxation)
    spread_forecast = forecast.std(axis=1, ddof=1)
    spread_analysis = analysis.std(axis=1, ddof=1)
    safe = np.where(spread_analysis > 0.0, spread_analysis, 1.0)
    factor = np.where(spread_analysis > 0.0, relaxation * (spread_forecast - spread_analysis) / safe + 1.0, 1.0)
    mean = analysis.mean(axis=1, keepdims=True)
    return np.asarray(mean + factor[:, None] * (analysis - mean))


def relax_to_prior_perturbations(forecast: FloatArray, analysis: FloatArray, relaxation: float) -> FloatArray:
    """Return the analysis (rows, members) with its perturbations blended with the forecast's (RTPP)."""
    _check(relaxation)
    mean = analysis.mean(axis=1, keepdims=True)
    prior = forecast - forecast.mean(axis=1, keepdims=True)
    return np.asarray(mean + (1.0 - relaxation) * (analysis - mean) + relaxation * prior)
