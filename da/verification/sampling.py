r"""Stored ensemble-mean densities along tracks: ln-linear in height, bilinear in the horizontal, linear in time last.

Three ways through the files of a run, with analyses at :math:`t_0 < t_1 < \dots`:

- *open loop* and *analysis*: linear in time between the successive records of one file;
- *forecast*: within :math:`[t_k, t_{k+1})` along the trajectory that starts from the analysis at :math:`t_k` and
  ends with the state before the analysis at :math:`t_{k+1}`. States from the two sides of an analysis are never mixed;
  the lead time runs from zero to the length of the interval. Before :math:`t_0` stands the initial trajectory.

Intervals of time are half-open, and nothing is extrapolated in time: points without a record on both sides get NaN.
Only one record at a time is in memory.

**Spread.** The standard deviation that a file holds on pressure levels is not the spread at a satellite's height: a
warmer member lowers the density on a level of pressure, but lifts the level, and at fixed height the second effect is
several times the first and of the other sign, :math:`\delta\ln\rho|_z = (-1 + (z - z_0)/H)\,\delta T/T` for an
isothermal column above :math:`z_0`. The relative spread is therefore taken from the *data grid*, whose heights are
fixed: ``data_grid_density_spread`` over ``data_grid_density``, linear in altitude, bilinear in the horizontal, linear
in time, times the sampled mean. It holds up to one step beyond the lowest and highest altitude and is NaN further out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.operators import HorizontalStencil, horizontal_stencil, interpolate_log_linear
from da.stored_dataset import REPEAT, TIMES, require_variable, stored_dataset, stored_values

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

EARLIEST, LATEST = np.datetime64("1957-01-01", "D"), np.datetime64("2100-01-01", "D")
"""Of a record; others, or none, would be a damaged number."""

THINNEST_LAYER_M, THICKEST_LAYER_M = 1e-3, 1e7
"""Between two levels; of other fields than an atmosphere's no density could be interpolated."""

SMALLEST_DENSITY, LARGEST_DENSITY = 1e-30, 1e3
"""[kg m-3]"""

_SPREAD = ("data_grid_density", "data_grid_density_spread", "data_alt", "data_lat", "data_lon")


@dataclass(frozen=True)
class Points:
    """Places and times of one or several tracks, in any order.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
        UTC.
    latitude, longitude, altitude_km : array (n,)
        Degrees, degrees, km.
    """

    time: TimeArray
    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray

    def take(self, index: NDArray[np.int64]) -> Points:
        """Return the points at ``index``."""
        return Points(self.time[index], self.latitude[index], self.longitude[index], self.altitude_km[index])


@dataclass(frozen=True)
class Samples:
    """Modelled densities at points.

    Parameters
    ----------
    density : array (n,)
        Mass density of the modelled species [kg m-3]; NaN where the files have no record on both sides in time.
    relative_spread : array (n,)
        Ensemble standard deviation over mean at fixed height [-]; NaN where it is not known.
    """

    density: FloatArray
    relative_spread: FloatArray

    def take(self, index: NDArray[np.int64]) -> Samples:
        """Return the samples at ``index``."""
        return Samples(self.density[index], self.relative_spread[index])

    def __add__(self, other: Samples) -> Samples:
        """Return the samples of the points of both, one after the other."""
        return Samples(
            np.concatenate([self.density, other.density]), np.concatenate([self.relative_spread, other.relative_spread])
        )


@dataclass(frozen=True)
class FieldFile:
    """One netCDF file of stored fields, read one record at a time.

    Parameters
    ----------
    path : Path
        For messages.
    dataset : xarray.Dataset
        Lazily read.
    time : array (records,), datetime64[ns]
        Strictly increasing.
    spread_missing : str
        Why the file gives no spread at fixed height; empty where it does.
    """

    path: Path
    dataset: xr.Dataset
    time: TimeArray
    spread_missing: str

    def coordinate(self, name: str) -> FloatArray:
        """Return a coordinate as float64."""
        return stored_values(self.path, self.dataset, name, (name,))

    def record(self, name: str, index: int, dimensions: tuple[str, ...]) -> FloatArray:
        """Return one variable at one time as float64 with the dimensions in this order."""
        require_variable(self.path, self.dataset, name, ("time", *dimensions))
        return stored_values(self.path, self.dataset[[name]].isel(time=index), name, dimensions)

    def sample(self, index: int, points: Points) -> Samples:
        """Return the state of record ``index`` at the places of the points.

        Raises
        ------
        ThermodaError
            If the record is not that of an atmosphere.
        """
        density = self.record("density", index, ("level", "lat", "lon"))[..., None]
        if np.any(density <= 0.0):
            raise ThermodaError(f"{self.path}: density at {self.time[index]} is not positive; repeat the run")
        height = self.record("height", index, ("level", "lat", "lon"))[..., None]
        step = np.diff(height, axis=0)
        if np.any((step < THINNEST_LAYER_M) | (step > THICKEST_LAYER_M)) or np.any(density > LARGEST_DENSITY):
            raise ThermodaError(f"{self.path}: height or density at {self.time[index]} is no atmosphere's; {REPEAT}")
        stencil = self._stencil("lat", "lon", points)
        # Where a value is missing or extrapolated beyond all numbers there is none: the point is left out and counted.
        with np.errstate(all="ignore"):
            values = interpolate_log_linear(density, height, stencil, 1e3 * points.altitude_km)[:, 0]
        return Samples(values, self._relative_spread(index, points))

    def _stencil(self, latitude: str, longitude: str, points: Points) -> HorizontalStencil:
        try:
            axes = self.coordinate(latitude), self.coordinate(longitude)
            return horizontal_stencil(*axes, points.latitude, points.longitude)
        except ValueError as error:
            raise ThermodaError(f"{self.path}: {latitude}, {longitude}: {error}; {REPEAT}") from error

    def _relative_spread(self, index: int, points: Points) -> FloatArray:
        if self.spread_missing:
            return np.full(points.time.size, np.nan)
        spread, mean = (
            self.record(name, index, ("data_alt", "data_lat", "data_lon"))
            for name in ("data_grid_density_spread", "data_grid_density")
        )
        stencil = self._stencil("data_lat", "data_lon", points)
        altitude = self.coordinate("data_alt")
        if not np.all(np.diff(altitude) > 0.0):
            raise ThermodaError(f"{self.path}: data_alt does not increase strictly; {REPEAT}")
        relative = np.divide(spread, mean, out=np.full(mean.shape, np.nan), where=mean > SMALLEST_DENSITY)
        profile = np.einsum("pc,kpc->kp", stencil.weight, relative.reshape(altitude.size, -1)[:, stencil.column])
        return interpolate_profile(altitude, profile, points.altitude_km)


def interpolate_profile(altitude: FloatArray, profile: FloatArray, at: FloatArray) -> FloatArray:
    """Return profiles (levels, points) at one altitude per point: linear, continued by at most one step, NaN beyond."""
    lower = np.clip(np.searchsorted(altitude, at, side="right") - 1, 0, altitude.size - 2)
    fraction = (at - altitude[lower]) / (altitude[lower + 1] - altitude[lower])
    point = np.arange(at.size)
    values = profile[lower, point] + fraction * (profile[lower + 1, point] - profile[lower, point])
    return np.where((fraction >= -1.0) & (fraction <= 2.0), values, np.nan)


def _spread_missing(path: Path, dataset: xr.Dataset) -> str:
    """Return why the relative spread at fixed height cannot be had from a file, or an empty string."""
    if missing := [name for name in _SPREAD if name not in dataset.variables]:
        return f"no {', '.join(missing)}"
    latitude, longitude = (stored_values(path, dataset, name, (name,)) for name in ("data_lat", "data_lon"))
    try:
        horizontal_stencil(latitude, longitude, np.zeros(1), np.zeros(1))
    except ValueError as error:
        return str(error)
    return "" if dataset["data_alt"].size > 1 else "only one altitude in the data grid"


@contextmanager
def open_fields(path: Path) -> Iterator[FieldFile]:
    """Open a file of stored fields for reading.

    Raises
    ------
    ThermodaError
        If the file cannot be read, lacks density or height, or its times do not increase strictly.
    """
    with stored_dataset(path) as dataset:
        if missing := [name for name in ("time", "lat", "lon", "density", "height") if name not in dataset.variables]:
            raise ThermodaError(f"{path} has no variable {', '.join(missing)}; it is not a file of stored fields")
        time = stored_values(path, dataset, "time", ("time",), TIMES)
        if not np.all((time >= EARLIEST) & (time <= LATEST)):
            raise ThermodaError(f"{path}: holds times before {EARLIEST} or after {LATEST}; {REPEAT}")
        if not np.all(np.diff(time) > np.timedelta64(0, "ns")):
            raise ThermodaError(f"{path}: time does not increase strictly; it was not written by one run")
        yield FieldFile(path, dataset, time, _spread_missing(path, dataset))


@dataclass(frozen=True)
class Node:
    """One record of one file as a point on a trajectory."""

    source: FieldFile
    index: int

    @property
    def time(self) -> np.datetime64:
        """Time of the record."""
        return np.datetime64(self.source.time[self.index])


Trajectory = Sequence[Node]


def linear_trajectory(source: FieldFile) -> list[Trajectory]:
    """Return all records of a file as one trajectory: the open loop, or successive analyses."""
    return [[Node(source, index) for index in range(source.time.size)]]


def forecast_trajectories(forecast: FieldFile, analysis: FieldFile) -> list[Trajectory]:
    """Return the initial trajectory and one trajectory from each analysis up to the state before the next.

    Parameters
    ----------
    forecast : FieldFile
        Its records in (t_k, t_{k+1}] come from the analysis at t_k; those up to t_0 from the initial state.
    analysis : FieldFile
        States after the analyses.
    """
    ends = np.searchsorted(forecast.time, analysis.time, side="right")
    bounds = [0, *ends.tolist(), forecast.time.size]
    runs = [[Node(forecast, index) for index in range(start, stop)] for start, stop in pairwise(bounds)]
    starts: list[list[Node]] = [[], *([Node(analysis, index)] for index in range(analysis.time.size))]
    return [start + run for start, run in zip(starts, runs, strict=True)]


def sample(trajectories: Sequence[Trajectory], points: Points) -> Samples:
    """Return the modelled densities at points, linear in time along each trajectory.

    Linear interpolation is the sum of the records times their hat functions, so each record is read once, for the
    points between its two neighbours in time.

    Parameters
    ----------
    trajectories : sequence
        Of nodes in increasing time; a point belongs to the trajectory whose first node is not after it and whose last
        node is after it.
    points : Points
        In any order.

    Returns
    -------
    Samples
        In the order of the points.
    """
    order = np.argsort(points.time, kind="stable")
    ordered = points.take(order)
    density, relative_spread = np.full(order.size, np.nan), np.full(order.size, np.nan)
    for trajectory in (trajectory for trajectory in trajectories if trajectory):
        time = np.array([node.time for node in trajectory])
        bounds = np.searchsorted(ordered.time, time, side="left")
        density[bounds[0] : bounds[-1]] = 0.0
        relative_spread[bounds[0] : bounds[-1]] = 0.0
        for number, node in enumerate(trajectory):
            part = slice(bounds[max(number - 1, 0)], bounds[min(number + 1, time.size - 1)])
            if part.start == part.stop:
                continue
            samples = node.source.sample(node.index, ordered.take(np.arange(part.start, part.stop)))
            weight = _hat(ordered.time[part], time, number)
            density[part] += weight * samples.density
            relative_spread[part] += weight * samples.relative_spread
    back = np.argsort(order)
    return Samples(density, relative_spread).take(back)


def in_parts_of_time(points: Points, length: np.timedelta64) -> tuple[list[Points], NDArray[np.int64]]:
    """Return the points in order of time, cut into parts of equal length, and the place of each point in that order.

    Parameters
    ----------
    points : Points
        In any order.
    length : timedelta64
        Of a part; the first begins with the earliest point, and parts without points are left out.

    Returns
    -------
    list of Points, and array of int (n,)
        What is found for the parts one after the other, taken at the places, is in the order of ``points``.
    """
    order = np.argsort(points.time, kind="stable")
    if not order.size:
        return [], order
    ordered = points.take(order)
    part = (ordered.time - ordered.time[0]) // length
    starts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), order.size]
    return [ordered.take(np.arange(start, stop)) for start, stop in pairwise(starts)], np.argsort(order)


def _hat(time: TimeArray, nodes: TimeArray, number: int) -> FloatArray:
    """Return the weight of one node in linear interpolation at times between its neighbours."""
    since = (time - nodes[0]) / np.timedelta64(1, "s")
    node_seconds = (nodes - nodes[0]) / np.timedelta64(1, "s")
    neighbours = slice(max(number - 1, 0), number + 2)
    unit = (nodes == nodes[number])[neighbours].astype(np.float64)
    return np.asarray(np.interp(since, node_seconds[neighbours], unit))
