"""Densities on the data grid of a run: of the stored ensembles, and of NRLMSIS where it was assimilated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.stored_dataset import TIMES, stored_dataset, stored_values
from da.verification.analysis_records import AnalysisRecords
from da.verification.evaluation import Row
from da.verification.run_folder import ANALYSIS_FILE, FORECAST_FILE, OPEN_LOOP_FILE
from da.verification.sampling import FieldFile, open_fields

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_FILES = {Row.OPEN_LOOP: OPEN_LOOP_FILE, Row.FORECAST: FORECAST_FILE, Row.ANALYSIS: ANALYSIS_FILE}

LARGEST_LN_FACTOR = 50.0
"""Of a scale factor; more would be a damaged number."""


@dataclass(frozen=True)
class GridSeries:
    """Ensemble mean and spread of total density on the data grid.

    Parameters
    ----------
    time : array (times,), datetime64[ns]
    altitude_km, latitude, longitude : array
        Of the grid.
    mean, spread : array (times, altitudes, latitudes, longitudes)
        [kg m-3].
    """

    time: TimeArray
    altitude_km: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    mean: FloatArray
    spread: FloatArray

    def nearest(self, altitude_km: float, latitude: float, longitude: float) -> tuple[int, int, int]:
        """Return the indices of the cell nearest to a place."""
        east = np.mod(self.longitude - longitude + 180.0, 360.0) - 180.0
        offsets = (self.altitude_km - altitude_km, self.latitude - latitude, east)
        level, row, column = (int(np.argmin(np.abs(offset))) for offset in offsets)
        return level, row, column


def read_grid(path: Path, times: TimeArray) -> GridSeries:
    """Return the records of a file of stored fields at those of the given times that it has.

    Raises
    ------
    ThermodaError
        If the file is missing, cannot be read, or holds no densities on the data grid.
    """
    with open_fields(path) as fields:
        if fields.spread_missing:
            raise ThermodaError(f"{path}: no density on the data grid ({fields.spread_missing})")
        return _records(fields, np.flatnonzero(np.isin(fields.time, times)))


def grid_times(path: Path) -> TimeArray:
    """Return the times of a file of stored fields.

    Raises
    ------
    ThermodaError
        If the file is missing or cannot be read.
    """
    with open_fields(path) as fields:
        return fields.time


def stored_rows(run: Path) -> dict[Row, Path]:
    """Return the files of the ensembles that a run has: the open loop alone where it assimilates nothing."""
    found = {row: run / name for row, name in _FILES.items()}
    assimilates = any(found[row].is_file() for row in (Row.FORECAST, Row.ANALYSIS))
    return found if assimilates else {Row.OPEN_LOOP: found[Row.OPEN_LOOP]}


def _records(fields: FieldFile, index: NDArray[np.int64]) -> GridSeries:
    altitude, latitude, longitude = (fields.coordinate(name) for name in ("data_alt", "data_lat", "data_lon"))
    shape = (index.size, altitude.size, latitude.size, longitude.size)
    mean, spread = np.empty(shape), np.empty(shape)
    dimensions = ("data_alt", "data_lat", "data_lon")
    for number, record in enumerate(index):
        mean[number] = fields.record("data_grid_density", int(record), dimensions)
        spread[number] = fields.record("data_grid_density_spread", int(record), dimensions)
    return GridSeries(fields.time[index], altitude, latitude, longitude, mean, spread)


def calibrated_on_grid(records: AnalysisRecords, grid: GridSeries) -> FloatArray:
    """Return the assimilated densities of calibrated NRLMSIS (analyses, altitudes, latitudes, longitudes) [kg m-3].

    NaN where a cell was not assimilated; all of them in a run that assimilates tracks alone.
    """
    return _placed(records, grid, records.density())


def errors_on_grid(records: AnalysisRecords, grid: GridSeries) -> FloatArray:
    """Return the assumed errors of :func:`calibrated_on_grid` [kg m-3]; those of a logarithm times the density."""
    error = records.error * records.density() if records.in_logarithm else records.error
    return _placed(records, grid, error)


def _placed(records: AnalysisRecords, grid: GridSeries, values: FloatArray) -> FloatArray:
    """Return values at the cells of the grid where the observations stand; other observations are passed over."""
    shape = (grid.altitude_km.size, grid.latitude.size, grid.longitude.size)
    whole = np.full((len(records.time), *shape), np.nan)
    analysis, observation = np.nonzero(np.isfinite(values))
    places, exact = [], np.ones(analysis.size, dtype=bool)
    for axis, given, period in (
        (grid.altitude_km, records.altitude_km, np.inf),
        (grid.latitude, records.latitude, np.inf),
        (grid.longitude, records.longitude, 360.0),
    ):
        offset = given[analysis, observation][:, None] - axis
        if np.isfinite(period):
            offset = np.mod(offset + 0.5 * period, period) - 0.5 * period
        nearest = np.argmin(np.abs(offset), axis=1)
        exact &= np.abs(offset[np.arange(nearest.size), nearest]) < 1e-3
        places.append(nearest)
    level, row, column = (place[exact] for place in places)
    whole[analysis[exact], level, row, column] = values[analysis[exact], observation[exact]]
    return whole


def filtered_scale_factor(run: Path, times: TimeArray) -> FloatArray:
    """Return the filtered scale factor of a run at times (n,), linear in its logarithm; NaN outside its series.

    Raises
    ------
    ThermodaError
        If ``calibration.nc`` is missing or cannot be read.
    """
    path = run / "calibration.nc"
    with stored_dataset(path) as dataset:
        time = stored_values(path, dataset, "time", ("time",), TIMES)
        ln_factor = stored_values(path, dataset, "ln_factor_filtered", ("time",))
    if not time.size or not np.all(np.diff(time) > np.timedelta64(0, "ns")) or np.any(ln_factor > LARGEST_LN_FACTOR):
        raise ThermodaError(f"{path}: must hold increasing times and factors as a run writes them; repeat the run")
    second = np.timedelta64(1, "s")
    inside = np.interp((times - time[0]) / second, (time - time[0]) / second, ln_factor)
    return np.where((times >= time[0]) & (times <= time[-1]), np.exp(inside), np.nan)
