"""What the analyses of a run did in observation space, by height: read from its record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.observations import DENSITY, LN_DENSITY
from da.stored_dataset import TIMES, stored_dataset, stored_values

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

MOST_HEIGHTS = 60
"""Observations at more different heights than these come from tracks and are sorted into classes."""

CLASS_KM = 25.0
QUARTILES = (25.0, 50.0, 75.0)

ALONG = ("time", "observation")
"""Dimensions of all that is said of an observation."""

_VARIABLES = (
    "latitude",
    "longitude",
    "altitude",
    "error_standard_deviation",
    "forecast_mean",
    "forecast_spread",
    "analysis_mean",
    "analysis_spread",
)


@dataclass(frozen=True)
class AnalysisRecords:
    """Observations of all analyses; refused ones and the ends of shorter records are NaN.

    Parameters
    ----------
    time : array (analyses,), datetime64[ns]
    latitude, longitude, altitude_km : array (analyses, observations)
        Degrees, degrees, km.
    observed, error, forecast, forecast_spread, analysis, analysis_spread : array (analyses, observations)
        Observed density (or its logarithm), its assumed error, and mean and spread of H(x) before and after.
    in_logarithm : bool
        Whether the densities are logarithms.
    """

    time: TimeArray
    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray
    observed: FloatArray
    error: FloatArray
    forecast: FloatArray
    forecast_spread: FloatArray
    analysis: FloatArray
    analysis_spread: FloatArray
    in_logarithm: bool

    def density(self) -> FloatArray:
        """Return the observed densities [kg m-3] (analyses, observations)."""
        return np.asarray(np.exp(self.observed)) if self.in_logarithm else self.observed

    def adopted_fraction(self) -> FloatArray:
        r"""Return :math:`(H(x^a) - H(x^f)) / (y - H(x^f))` (analyses, observations), Figure 8 of the paper.

        Zero: the observation had no effect; one: the analysis agrees with it; negative: it is pushed away from it.
        """
        innovation = self.observed - self.forecast
        nothing = np.full(innovation.shape, np.nan)
        part: FloatArray = np.divide(self.analysis - self.forecast, innovation, out=nothing, where=innovation != 0.0)
        return part

    def error_ratio(self) -> FloatArray:
        """Return assumed error over forecast spread (analyses, observations), Figure 9 of the paper."""
        return _ratio(self.error, self.forecast_spread)

    def spread_ratio(self) -> FloatArray:
        """Return analysis spread over forecast spread (analyses, observations)."""
        return _ratio(self.analysis_spread, self.forecast_spread)

    def quartiles(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return heights [km] (heights,) and the quartiles of values by analysis and height, (3, analyses, heights).

        Heights without an observation in an analysis are NaN there.
        """
        height = _heights(self.altitude_km)
        known = np.unique(height[np.isfinite(height)])
        found = np.full((3, len(self.time), known.size), np.nan)
        for number in range(len(self.time)):
            usable = np.isfinite(values[number]) & np.isfinite(height[number])
            order = np.argsort(height[number][usable], kind="stable")
            at, sorted_values = height[number][usable][order], values[number][usable][order]
            for part in np.split(np.arange(at.size), np.flatnonzero(np.diff(at)) + 1):
                if part.size:
                    place = np.searchsorted(known, at[part[0]])
                    found[:, number, place] = np.percentile(sorted_values[part], QUARTILES)
        return known, found


def _ratio(upper: FloatArray, lower: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(upper, lower, out=np.full(upper.shape, np.nan), where=lower > 0.0)
    return ratio


def _heights(altitude_km: FloatArray) -> FloatArray:
    """Return the altitudes themselves where they are those of a grid, else the middles of classes of 25 km."""
    rounded = np.round(altitude_km, 3)
    if np.unique(rounded[np.isfinite(rounded)]).size <= MOST_HEIGHTS:
        return rounded
    return np.asarray(CLASS_KM * (np.floor(altitude_km / CLASS_KM) + 0.5))


def read_analyses(run: Path) -> AnalysisRecords:
    """Return what ``observations.nc`` of a run holds.

    Raises
    ------
    ThermodaError
        If the file is missing, cannot be read, or holds no analysis or no assimilated observation.
    """
    path = run / "observations.nc"
    with stored_dataset(path) as dataset:
        return _read(path, dataset)


def _read(path: Path, dataset: xr.Dataset) -> AnalysisRecords:
    name = next((name for name in (DENSITY, LN_DENSITY) if name in dataset.variables), "density")
    if missing := [one for one in (*_VARIABLES, name, "used") if one not in dataset.variables]:
        raise ThermodaError(f"{path} has no variable {', '.join(missing)}; repeat the run")
    time = stored_values(path, dataset, "time", ("time",), TIMES)
    if not time.size:
        raise ThermodaError(f"{path} holds no analysis")
    used = stored_values(path, dataset, "used", ALONG) == 1
    if not used.any():
        raise ThermodaError(f"{path} holds no observation that was assimilated")

    def read(variable: str) -> FloatArray:
        return np.where(used, stored_values(path, dataset, variable, ALONG), np.nan)

    return AnalysisRecords(
        time=time,
        latitude=read("latitude"),
        longitude=read("longitude"),
        altitude_km=read("altitude"),
        observed=read(name),
        error=read("error_standard_deviation"),
        forecast=read("forecast_mean"),
        forecast_spread=read("forecast_spread"),
        analysis=read("analysis_mean"),
        analysis_spread=read("analysis_spread"),
        in_logarithm=name == LN_DENSITY,
    )
