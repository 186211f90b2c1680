r"""How analyses behave by height and in a storm: the numbers behind the findings of Corbin & Kusche (2022).

All quantities are logarithmic or relative, so that heights, and quiet and disturbed times, can be compared: of observed
densities :math:`y`, and ensemble means :math:`f` before and :math:`a` after an analysis at the same places,

- innovation :math:`\ln(y / f)` and correction :math:`\ln(a / f)`;
- spread: standard deviation over mean;
- departure during the forecast from analysis k to k + 1, :math:`\ln(f_{k+1} / a_k) - \ln(y_{k+1} / y_k)`: how the model
  leaves the state that it was given, less what the observed atmosphere did meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.verification.analysis_records import AnalysisRecords

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]
BoolArray = NDArray[np.bool_]

LATER_ANALYSES = 8
"""Analyses after the first one that Figure 8 of Corbin & Kusche (2022) shows."""


@dataclass(frozen=True)
class AnalysisProfiles:
    """Medians over the observations at each height, for every analysis; NaN where there is none.

    Parameters
    ----------
    height_km : array (heights,)
    innovation : array (analyses, heights)
        ln(observed / forecast).
    error, forecast_spread : array (analyses, heights)
        Assumed observation error and forecast spread, over the forecast mean.
    error_ratio : array (analyses, heights)
        Assumed error over forecast spread, of densities (Figure 9 of the paper).
    spread_left : array (analyses, heights)
        Analysis over forecast spread, of densities.
    adopted : array (analyses, heights)
        Adopted part of the innovation (:meth:`da.verification.analysis_records.AnalysisRecords.adopted_fraction`).
    """

    height_km: FloatArray
    innovation: FloatArray
    error: FloatArray
    forecast_spread: FloatArray
    error_ratio: FloatArray
    spread_left: FloatArray
    adopted: FloatArray

    def nearest(self, height_km: float) -> int:
        """Return the number of the height that is nearest."""
        return int(np.argmin(np.abs(self.height_km - height_km)))

    def first_adopted(self, above_km: float) -> float:
        """Return the median over heights above a bound of what the first analysis adopts."""
        return _median(self.adopted[0, self.height_km > above_km])

    def later_adopted(self, above_km: float) -> float:
        """Return the same of the next :data:`LATER_ANALYSES` analyses, their heights taken together."""
        return _median(self.adopted[1 : 1 + LATER_ANALYSES, self.height_km > above_km])

    def overshoot_from_km(self) -> float:
        """Return the height from which on the first analysis adopts more than one at all heights; NaN if nowhere."""
        beyond = np.logical_and.accumulate((self.adopted[0] > 1.0)[::-1])[::-1]
        return float(self.height_km[np.argmax(beyond)]) if beyond.any() else float("nan")

    def later_adopted_by_height(self) -> FloatArray:
        """Return what the next :data:`LATER_ANALYSES` analyses adopt at each height (heights,), their median."""
        return np.array([_median(part) for part in self.adopted[1 : 1 + LATER_ANALYSES].T])

    def error_ratio_growth(self) -> FloatArray:
        """Return assumed error over forecast spread at the second analysis, over that at the first (heights,)."""
        if len(self.error_ratio) < 2:
            return np.full(self.height_km.size, np.nan)
        return np.asarray(self.error_ratio[1] / self.error_ratio[0])

    def adopted_by_one_pattern(self, reference_km: float) -> FloatArray:
        r"""Return what the first analysis would adopt if all members differed by multiples of one profile (heights,).

        A correction :math:`c_r` at the reference height then brings :math:`c_r s(z) / s_r` at height z with relative
        spreads s, so that the adopted part is :math:`\alpha_r (d_r / d(z)) (s(z) / s_r)` with innovations d: an
        overshoot at greater height needs a spread that grows faster with height than the innovation.
        """
        reference, innovation, spread = self.nearest(reference_km), self.innovation[0], self.forecast_spread[0]
        correction = self.adopted[0, reference] * innovation[reference]
        pattern = spread / spread[reference] if spread[reference] > 0.0 else np.full(spread.shape, np.nan)
        nothing = np.full(spread.shape, np.nan)
        return np.asarray(np.divide(correction * pattern, innovation, out=nothing, where=innovation != 0.0))


def analysis_profiles(records: AnalysisRecords) -> AnalysisProfiles:
    """Return the medians by height of all analyses of a run."""
    innovation = _ln(records, records.observed) - _ln(records, records.forecast)
    scale = 1.0 if records.in_logarithm else records.forecast
    values = (
        innovation,
        records.error / scale,
        records.forecast_spread / scale,
        records.error_ratio(),
        records.spread_ratio(),
        records.adopted_fraction(),
    )
    height, _ = records.quartiles(innovation)
    return AnalysisProfiles(height, *(records.quartiles(one)[1][1] for one in values))


@dataclass(frozen=True)
class AnalysisCourse:
    """Corrections and departures at one height, from the second analysis on.

    Parameters
    ----------
    start, stop : array (analyses - 1,), datetime64[ns]
        Of the forecast from the analysis before to this one.
    correction : array (analyses - 1,)
        Root mean square over the observations of ln(analysis / forecast).
    departure : array (analyses - 1,)
        Root mean square of ln(forecast / analysis before), less the same of the observed densities.
    """

    start: TimeArray
    stop: TimeArray
    correction: FloatArray
    departure: FloatArray


def analysis_course(records: AnalysisRecords, height_km: float) -> AnalysisCourse:
    """Return corrections and departures at the height of observations that is nearest to the given one.

    The first analysis is left out: it corrects what the model was before anything was assimilated. Departures are known
    where an observation is at the same place in the analysis before.
    """
    known = np.unique(np.round(records.altitude_km[np.isfinite(records.altitude_km)], 3))
    level = known[np.argmin(np.abs(known - height_km))]
    here = np.abs(records.altitude_km - level) < 1e-3
    densities = (records.observed, records.forecast, records.analysis)
    observed, forecast, analysis = (np.where(here, _ln(records, values), np.nan) for values in densities)
    departure = (forecast[1:] - analysis[:-1]) - (observed[1:] - observed[:-1])
    moved = (records.latitude[1:] != records.latitude[:-1]) | (records.longitude[1:] != records.longitude[:-1])
    return AnalysisCourse(
        records.time[:-1],
        records.time[1:],
        _root_mean_square(analysis[1:] - forecast[1:]),
        _root_mean_square(np.where(moved, np.nan, departure)),
    )


def storm_factor(values: FloatArray, storm: BoolArray) -> float:
    """Return the median in the storm over that in quiet conditions; NaN where either has no value.

    Parameters
    ----------
    values : array (n,)
        NaN values are left out.
    storm : array (n,)
        Which values belong to the storm.
    """
    disturbed, quiet = _median(values[storm]), _median(values[~storm])
    return disturbed / quiet if quiet > 0.0 else float("nan")


def _ln(records: AnalysisRecords, values: FloatArray) -> FloatArray:
    """Return the logarithm of densities as the records hold them; NaN where a density is not positive."""
    if records.in_logarithm:
        return values
    return np.log(values, out=np.full(values.shape, np.nan), where=values > 0.0)


def _median(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _root_mean_square(values: FloatArray) -> FloatArray:
    """Return the root mean square over the last axis of the finite values; NaN where there is none."""
    finite = np.isfinite(values)
    number = finite.sum(axis=-1)
    total = np.sum(np.where(finite, values, 0.0) ** 2, axis=-1)
    mean = np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
    return np.asarray(np.sqrt(mean))
