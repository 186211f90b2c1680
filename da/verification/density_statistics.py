r"""Statistics over time of stored ensemble-mean densities, in each cell of any grid, file by file in chunks of records.

Cells lie at geometric altitudes; their horizontal place is fixed either in longitude or in local solar time
:math:`t_L = t_{UT} + \lambda / 15°`, where the daily wave stands still and its mean shape can be seen. Each record is
sampled as along tracks (:mod:`da.verification.sampling`): ln-linear in height, bilinear in the horizontal. Densities
are those of O, O2, He and N2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.table import Table

from da.atomic_file import replacing
from da.errors import ThermodaError
from da.storage import CONVENTIONS, PLACES
from da.verification.chunks import Scheduler, map_reduce, slices
from da.verification.run_folder import open_run
from da.verification.sampling import FieldFile, Points, open_fields

FloatArray = NDArray[np.float64]

FILE = "density_statistics.nc"
RECORDS_TOGETHER = 36
"""Records of a chunk: 6 h of output every 10 min."""

_KIND = "mass density of O, O2, He and N2, ensemble mean"


def parse_altitudes(text: str) -> list[float]:
    """Return the altitudes [km] of a list with commas.

    Raises
    ------
    ThermodaError
        If one is no positive number.

    Examples
    --------
    >>> parse_altitudes("250, 400")
    [250.0, 400.0]
    """
    try:
        altitudes = [float(part) for part in text.split(",")]
    except ValueError:
        altitudes = []
    if not altitudes or not all(0.0 < one < np.inf for one in altitudes):
        raise ThermodaError(f"--altitudes-km {text}: must be altitudes in km, such as 250,400,550")
    return altitudes


@dataclass(frozen=True)
class DensityGrid:
    """Cells of which statistics are made: all combinations of the three axes.

    Parameters
    ----------
    altitude_km, latitude : array
        Km, degrees.
    longitude : array
        Degrees; with ``local_time`` 15 degrees for each hour of local solar time since midnight.
    local_time : bool
        Whether the cells stay at their local solar time instead of their longitude.
    """

    altitude_km: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    local_time: bool = False

    @classmethod
    def regular(cls, altitude_km: Sequence[float], step_deg: float, local_time: bool = False) -> DensityGrid:
        """Return a global grid of equal steps, its latitudes half a step from the poles.

        Raises
        ------
        ThermodaError
            If the step does not divide 180 degrees.
        """
        rows = round(180.0 / step_deg) if 0.0 < step_deg <= 90.0 else 0
        if not rows or not np.isclose(rows * step_deg, 180.0):
            raise ThermodaError(f"--step-deg {step_deg:g}: must divide 180 degrees, such as 5 or 10")
        latitude = -90.0 + step_deg * (np.arange(rows, dtype=np.float64) + 0.5)
        longitude = step_deg * np.arange(2 * rows, dtype=np.float64)
        return cls(np.array(sorted(set(altitude_km))), latitude, longitude, local_time)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of altitudes, latitudes and longitudes."""
        return self.altitude_km.size, self.latitude.size, self.longitude.size

    def points(self, time: np.datetime64) -> Points:
        """Return the places of all cells at a time, longitude fastest."""
        shift = 0.0
        if self.local_time:
            shift = 15.0 * float((time - time.astype("datetime64[D]")) / np.timedelta64(1, "h"))
        altitude, latitude, longitude = np.meshgrid(
            self.altitude_km, self.latitude, self.longitude - shift, indexing="ij"
        )
        return Points(np.full(altitude.size, time), latitude.ravel(), longitude.ravel(), altitude.ravel())


@dataclass(frozen=True)
class CellMoments:
    """Number, mean and sum of squared deviations of the values in each cell; NaN is no value.

    Merged by the formula of Chan et al. (1983, doi:10.1080/00031305.1983.10483115).

    Parameters
    ----------
    n : array of int (cells,)
    mean, squared_deviations : array (cells,)
        Zero where there is no value.
    """

    n: NDArray[np.int64]
    mean: FloatArray
    squared_deviations: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> CellMoments:
        """Return the moments of one value (cells,) in each cell."""
        known = np.isfinite(values)
        return cls(known.astype(np.int64), np.where(known, values, 0.0), np.zeros(values.shape))

    def __add__(self, other: CellMoments) -> CellMoments:
        """Return the moments of both."""
        n = self.n + other.n
        share = other.n / np.maximum(n, 1)
        step = other.mean - self.mean
        squares = self.squared_deviations + other.squared_deviations + step**2 * (self.n * share)
        return CellMoments(n, self.mean + step * share, squares)

    def value(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation (with 1/n), NaN where there is no value."""
        known = self.n > 0
        root = np.sqrt(self.squared_deviations / np.maximum(self.n, 1))
        return np.where(known, self.mean, np.nan), np.where(known, root, np.nan)


@dataclass(frozen=True)
class DensityStatistics:
    """What is summed up over the records of one file, in each cell.

    Parameters
    ----------
    density, ln_density, relative_spread : CellMoments
        Of the density [kg m-3], its logarithm, and ensemble standard deviation over mean [-].
    lowest, highest : array (cells,)
        Densities [kg m-3].
    """

    density: CellMoments
    ln_density: CellMoments
    relative_spread: CellMoments
    lowest: FloatArray
    highest: FloatArray

    @classmethod
    def zero(cls, cells: int) -> DensityStatistics:
        """Return the statistics of no record."""
        none = CellMoments.of(np.full(cells, np.nan))
        return cls(none, none, none, np.full(cells, np.inf), np.full(cells, -np.inf))

    @classmethod
    def of(cls, file: FieldFile, record: int, grid: DensityGrid) -> DensityStatistics:
        """Return the statistics of one record."""
        samples = file.sample(record, grid.points(np.datetime64(file.time[record])))
        density = samples.density
        return cls(
            CellMoments.of(density),
            CellMoments.of(np.log(density)),
            CellMoments.of(samples.relative_spread),
            density,
            density,
        )

    def __add__(self, other: DensityStatistics) -> DensityStatistics:
        """Return the statistics of the records of both."""
        return DensityStatistics(
            self.density + other.density,
            self.ln_density + other.ln_density,
            self.relative_spread + other.relative_spread,
            np.minimum(self.lowest, other.lowest),
            np.maximum(self.highest, other.highest),
        )


def file_statistics(path: Path, grid: DensityGrid, scheduler: Scheduler | None = None) -> DensityStatistics:
    """Return the statistics over all records of one file of stored fields.

    Parameters
    ----------
    path : Path
        Such as ``open_loop.nc`` or ``analysis.nc`` of a run.
    grid : DensityGrid
    scheduler : Scheduler or None
        Where chunks of :data:`RECORDS_TOGETHER` are read, with bitwise the same result.

    Raises
    ------
    ThermodaError
        If the file cannot be read, holds no record, or its grid is not global.
    """
    with open_fields(path) as file:
        records = file.time.size
    if not records:
        raise ThermodaError(f"{path}: holds no record")
    zero = DensityStatistics.zero(int(np.prod(grid.shape)))
    statistic = partial(_of_records, path.resolve(), grid)
    return map_reduce(statistic, slices(records, RECORDS_TOGETHER), zero, scheduler=scheduler)


def _of_records(path: Path, grid: DensityGrid, records: slice) -> DensityStatistics:
    total = DensityStatistics.zero(int(np.prod(grid.shape)))
    with open_fields(path) as file:
        for record in range(records.start, records.stop):
            total = total + DensityStatistics.of(file, record, grid)
    return total


def run_density_statistics(run: Path, grid: DensityGrid, scheduler: Scheduler | None = None) -> xr.Dataset:
    """Return the statistics of the open loop, the forecast and the analysis of a complete run.

    Parameters
    ----------
    run : Path
    grid : DensityGrid
    scheduler : Scheduler or None

    Returns
    -------
    Dataset
        Dimensions (source, alt, lat, lon or local_time); the sources are the files' names without suffix.

    Raises
    ------
    ThermodaError
        If the run is not complete or a file cannot be used.
    """
    folder = open_run(run)
    found = {Path(name).stem: file_statistics(folder.path / name, grid, scheduler) for name in folder.files}
    horizontal = "local_time" if grid.local_time else "lon"
    dims = ("source", "alt", "lat", horizontal)
    per_source = [_variables(one) for one in found.values()]
    variables = {
        name: (dims, np.stack([one[name][0].reshape(grid.shape) for one in per_source]), attributes)
        for name, (_, attributes) in per_source[0].items()
    }
    records = [int(one.density.n.max()) for one in found.values()]
    title = f"statistics over time of densities of run {folder.name}, {folder.start} to {folder.stop} UTC"
    return xr.Dataset(
        {**variables, "records": ("source", records, {"units": "1", "long_name": "records of the file"})},
        {"source": ("source", list(found), {"long_name": "file of the run"}), **_axes(grid, horizontal)},
        {"Conventions": CONVENTIONS, "title": title},
    )


def _axes(grid: DensityGrid, horizontal: str) -> dict[str, Any]:
    height = {"units": "km", "standard_name": PLACES["altitude"], "long_name": "altitude", "positive": "up"}
    north = {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude"}
    east = {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude"}
    local = {"units": "h", "long_name": "local solar time, UT + longitude / 15 degrees"}
    return {
        "alt": ("alt", grid.altitude_km, height),
        "lat": ("lat", grid.latitude, north),
        horizontal: (horizontal, grid.longitude / 15.0 if grid.local_time else grid.longitude)
        + ((local,) if grid.local_time else (east,)),
    }


def _variables(statistics: DensityStatistics) -> dict[str, tuple[FloatArray, dict[str, str]]]:
    """Return the stored variables (cells,) with their attributes."""
    density, density_deviation = statistics.density.value()
    ln_density, ln_deviation = statistics.ln_density.value()
    spread, _ = statistics.relative_spread.value()
    mass = {"units": "kg m-3"}
    return {
        "density_mean": (density, mass | {"long_name": f"mean over time of {_KIND}"}),
        "density_std": (density_deviation, mass | {"long_name": f"standard deviation over time of {_KIND}"}),
        "density_lowest": (statistics.lowest, mass | {"long_name": f"lowest {_KIND}"}),
        "density_highest": (statistics.highest, mass | {"long_name": f"highest {_KIND}"}),
        "ln_density_mean": (ln_density, {"units": "1", "long_name": f"mean over time of ln({_KIND} in kg m-3)"}),
        "ln_density_std": (ln_deviation, {"units": "1", "long_name": f"standard deviation over time of ln({_KIND})"}),
        "relative_spread_mean": (
            spread,
            {"units": "1", "long_name": "mean over time of ensemble standard deviation over mean at fixed height"},
        ),
    }


def write_density_statistics(statistics: xr.Dataset, path: Path) -> Path:
    """Write the statistics as netCDF; the file appears under its name only when it is whole.

    Raises
    ------
    ThermodaError
        If it cannot be written.
    """
    encoding = {str(name): {"_FillValue": None} for name in statistics.variables}
    encoding["relative_spread_mean"] = {"_FillValue": np.nan}  # type: ignore[dict-item]
    try:
        with replacing(path) as partial_path:
            statistics.to_netcdf(partial_path, engine="netcdf4", encoding=encoding)
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def density_statistics_table(statistics: xr.Dataset) -> Table:
    """Return a table of global means, each cell weighted by its area, for each source and altitude."""
    table = Table(title=str(statistics.attrs["title"]), caption="global means; variation: standard deviation over time")
    for header in ("source", "records", "altitude [km]", "density [kg m-3]", "variation of ln density", "spread/mean"):
        table.add_column(header, justify="left" if header == "source" else "right")
    latitude = statistics["lat"]
    weights = latitude.copy(data=np.cos(np.radians(latitude.to_numpy())))
    horizontal = [str(name) for name in statistics["density_mean"].dims[2:]]
    names = ("density_mean", "ln_density_std", "relative_spread_mean")
    means = statistics[list(names)].weighted(weights).mean(horizontal)
    for source in statistics["source"].to_numpy():
        for altitude in statistics["alt"].to_numpy():
            density, variation, spread = (float(means[name].sel(source=source, alt=altitude)) for name in names)
            records = str(int(statistics["records"].sel(source=source)))
            blank = "" if np.isnan(spread) else f"{spread:.3f}"
            table.add_row(str(source), records, f"{altitude:g}", f"{density:.3e}", f"{variation:.3f}", blank)
    return table
