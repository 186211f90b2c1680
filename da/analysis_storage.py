"""What the analyses of a run did, on disk: observations and their counterparts, and diagnostics of the filter.

Both files get a record per analysis and can be read while the run is under way. Sources and constraints are numbered in
the order in which they first appear; their names stand in the CF attributes ``flag_values`` and ``flag_meanings``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.classic_netcdf import check_complete
from da.errors import ThermodaError
from da.filter_record import BoolArray, FilterRecord
from da.hdf5_heaps import check_heaps
from da.moments import EnsembleMoments
from da.observations import DENSITY, ObservationBatch
from da.storage import CHUNK_CACHE, CONVENTIONS, PLACES, record_of, seconds_since_epoch, write_time

FloatArray = NDArray[np.float64]

NONE = -1
"""Fills whole numbers where an analysis has fewer observations than another one."""

LONGEST_DIMENSION = 10_000_000
"""A grid of one degree and a hundred levels has 6.5 million cells."""

CENTRE = ("level_index", "latitude_index", "longitude_index")
"""Coordinates of the sub-domains: their centres in cells of the state grid."""

PARAMETER_UNITS = {"sfu": "1e-22 W m-2 Hz-1", "gw": "GW", "kv": "kV", "k": "K", "m": "m", "km": "km", "ratio": "1"}
"""Units by the last part of the name of a parameter."""


class _Numbers:
    """Numbers for names, in the order of first appearance, kept in the CF flags of a variable."""

    def __init__(self, variable: Any, dimension_values: bool) -> None:
        self._variable, self._dimension_values = variable, dimension_values

    def of(self, name: str) -> int:
        word = re.sub(r"[^\w.+@-]+", "_", name)
        words = getattr(self._variable, "flag_meanings", "").split()
        if word not in words:
            words.append(word)
            if self._dimension_values:
                self._variable[len(words) - 1] = len(words) - 1
            self._variable.flag_values = np.arange(len(words), dtype=np.int32)
            self._variable.flag_meanings = " ".join(words)
        return words.index(word)


class _AnalysisFile:
    """A netCDF file that gets a record per analysis; its variables are created with the first one."""

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        self._file = Dataset(path, "w", format="NETCDF4")
        self._file.setncatts({"Conventions": CONVENTIONS, **attributes})
        write_time(self._file)

    @classmethod
    def reopened(cls, path: Path) -> Self:
        """Return a file that was closed, for more records; OSError where it cannot be opened."""
        file = cls.__new__(cls)
        file._file = Dataset(path, "r+")
        return file

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file.isopen():
            self._file.close()

    @property
    def _is_new(self) -> bool:
        return set(self._file.variables) == {"time"}

    def _create(
        self,
        name: str,
        kind: str,
        dimensions: tuple[str, ...],
        chunks: tuple[int, ...],
        fill_value: float | None = None,
        **attributes: str,
    ) -> Any:
        variable = self._file.createVariable(
            name,
            kind,
            dimensions,
            compression="zlib",
            complevel=1,
            chunksizes=chunks,
            chunk_cache=CHUNK_CACHE,
            fill_value=fill_value,
        )
        variable.setncatts(attributes)
        return variable

    def _write(self, time: np.datetime64, columns: Mapping[str, Any]) -> None:
        record = record_of(self._file, time)
        anew = record < len(self._file.dimensions["time"])
        for name, values in columns.items():
            variable = self._file.variables[name]
            if variable.ndim == 1:
                variable[record] = values
                continue
            if anew and len(values) < variable.shape[1]:
                variable[record, len(values) :] = np.ma.masked
            variable[record, : len(values)] = values
        self._file.variables["time"][record] = seconds_since_epoch(time)
        self._file.sync()


class ObservationFile(_AnalysisFile):
    """Observations and their ensemble counterparts, a record per analysis.

    An analysis with fewer observations than another one leaves the end of its record missing; ``observations`` tells
    how many there are.

    Parameters
    ----------
    path : Path
    attributes : dict
    """

    ENSEMBLE = {
        "error_standard_deviation": "observation error standard deviation",
        "forecast_mean": "ensemble mean of H(x) before the analysis",
        "forecast_spread": "ensemble standard deviation of H(x) before the analysis",
        "analysis_mean": "ensemble mean of H(x) after the analysis",
        "analysis_spread": "ensemble standard deviation of H(x) after the analysis",
    }

    def append(
        self,
        time: np.datetime64,
        batches: Sequence[ObservationBatch],
        forecast: FloatArray,
        analysis: FloatArray,
        used: BoolArray,
    ) -> None:
        """Write the record of one analysis.

        Parameters
        ----------
        time : datetime64[ns]
            Of the analysis; batches of direct tracks may be compared with the state of an earlier time.
        batches : sequence of ObservationBatch
            At least one.
        forecast, analysis : array (observations, members)
            HX before and after, in the order of the batches.
        used : array of bool (observations,)
            Which of them were assimilated; the others were refused.
        """
        if self._is_new:
            self._define(batches[0].operator, max(1, used.size))
        before, after = EnsembleMoments.of(forecast), EnsembleMoments.of(analysis)
        sources = _Numbers(self._file.variables["source"], dimension_values=False)
        joined = {
            name: np.concatenate([getattr(batch, name) for batch in batches])
            for name in ("values", "error_standard_deviation", "latitude", "longitude", "altitude_km")
        }
        columns = {
            batches[0].operator: joined.pop("values"),
            "altitude": joined.pop("altitude_km"),
            **joined,
            "forecast_mean": before.mean,
            "forecast_spread": before.spread,
            "analysis_mean": after.mean,
            "analysis_spread": after.spread,
            "used": used.astype(np.int8),
            "source": np.repeat([sources.of(one.source) for one in batches], [len(one) for one in batches]),
            "observations": used.size,
        }
        self._write(time, columns)

    def _define(self, operator: str, observations: int) -> None:
        self._file.createDimension("observation", None)
        along, chunks = ("time", "observation"), (1, observations)
        kind, units = ("", "kg m-3") if operator == DENSITY else ("ln of ", "1")
        observed = {operator: f"{kind}observed (or pseudo-observed) mass density"}
        place = {"coordinates": " ".join(PLACES)}
        for name, long_name in {**observed, **self.ENSEMBLE}.items():
            self._create(name, "f8", along, chunks, np.nan, units=units, long_name=long_name, **place)
        for name, units in {"latitude": "degrees_north", "longitude": "degrees_east", "altitude": "km"}.items():
            self._create(name, "f8", along, chunks, np.nan, units=units, long_name=name, standard_name=PLACES[name])
        used = self._create("used", "i1", along, chunks, NONE, units="1", long_name="whether assimilated", **place)
        used.flag_values, used.flag_meanings = np.array([0, 1], dtype=np.int8), "refused used"
        self._create("source", "i4", along, chunks, NONE, units="1", long_name="where it comes from", **place)
        self._create("observations", "i4", ("time",), (1,), units="1", long_name="number of observations")


class FilterFile(_AnalysisFile):
    """Diagnostics of the filter, a record per analysis; its last record restarts adaptive inflation.

    Parameters
    ----------
    path : Path
    attributes : dict
    """

    SCALARS = {
        "degrees_of_freedom_total": "degrees of freedom for signal, sum over sub-domains",
        "degrees_of_freedom_mean": "degrees of freedom for signal, mean over sub-domains with observations",
        "degrees_of_freedom_maximum": "degrees of freedom for signal, largest of a sub-domain",
        "forgetting_factor_minimum": "forgetting factor, smallest of the sub-domains with observations",
        "forgetting_factor_mean": "forgetting factor, mean over sub-domains with observations",
        "forgetting_factor_maximum": "forgetting factor, largest of the sub-domains with observations",
    }
    INNOVATIONS = {
        "effective_ensemble_size": "number of directions that share the spread of H(x)/sigma",
        "spread_error_ratio_total": "sqrt(mean(HPH + R)) over root-mean-square innovation, in units of sigma",
        "spread_error_ratio_ensemble": "sqrt(mean(HPH)) over root-mean-square innovation, in units of sigma",
        "consistency_innovation": "variance of innovations over HPH + R, in units of R",
        "consistency_forecast": "forecast variance estimated from the innovations over HPH, in units of R",
        "consistency_observation": "error variance estimated from innovations and residuals over R",
    }
    INFLATION = {
        "inflation_mean": "mean of the adaptive inflation factor after the analysis",
        "inflation_standard_deviation": "standard deviation of the adaptive inflation factor after the analysis",
    }
    COUNTS = {
        "observations_used": ("source", "number of observations assimilated"),
        "observations_refused": ("source", "number of observations refused by the innovation check"),
        "constraint_hits": ("constraint", "values changed by the constraint, over all members"),
    }
    PARAMETER = {
        "mean_before": "ensemble mean before the analysis",
        "standard_deviation_before": "ensemble standard deviation before the analysis",
        "mean_after": "ensemble mean after the analysis",
        "standard_deviation_after": "ensemble standard deviation after the analysis",
    }

    def append(self, record: FilterRecord) -> None:
        """Write the record of one analysis; all have the sub-domains, inflation and parameters of the first one."""
        if self._is_new:
            self._define(record)
        freedom, forgetting = record.summary(record.degrees_of_freedom), record.summary(record.forgetting_factor)
        columns: dict[str, Any] = {
            "degrees_of_freedom_total": record.degrees_of_freedom.sum(),
            "degrees_of_freedom_mean": freedom.mean,
            "degrees_of_freedom_maximum": freedom.maximum,
            "forgetting_factor_minimum": forgetting.minimum,
            "forgetting_factor_mean": forgetting.mean,
            "forgetting_factor_maximum": forgetting.maximum,
            "unobserved_sub_domains": record.unobserved_sub_domains,
            "members": record.members,
            "members_replaced": record.members_replaced,
            "members_dropped": record.members_dropped,
            "local_observations": record.local_observations,
            "degrees_of_freedom": record.degrees_of_freedom,
            "forgetting_factor": record.forgetting_factor,
        }
        columns |= self._counts(record) | asdict(record.innovations)
        if record.inflation_mean is not None:
            columns |= {name: getattr(record, name) for name in self.INFLATION}
        for parameter, moments in record.parameters.items():
            columns |= {f"{parameter}_{name}": getattr(moments, name) for name in self.PARAMETER}
        self._write(record.time, columns)

    def _counts(self, record: FilterRecord) -> dict[str, NDArray[np.int64]]:
        self._number("source", record.sources)
        self._number("constraint", record.constraint_hits)
        columns = {
            name: np.zeros(len(self._file.dimensions[dimension]), dtype=np.int64)
            for name, (dimension, _) in self.COUNTS.items()
        }
        for name, count in record.sources.items():
            number = self._numbers("source").of(name)
            columns["observations_used"][number] = count.used
            columns["observations_refused"][number] = count.refused
        for name, hits in record.constraint_hits.items():
            columns["constraint_hits"][self._numbers("constraint").of(name)] = hits
        return columns

    def _numbers(self, dimension: str) -> _Numbers:
        return _Numbers(self._file.variables[dimension], dimension_values=True)

    def _number(self, dimension: str, names: Iterable[str]) -> None:
        """Give every name a number; what is new was counted zero times in earlier records."""
        known = len(self._file.dimensions[dimension])
        for name in names:
            self._numbers(dimension).of(name)
        new = slice(known, len(self._file.dimensions[dimension]))
        earlier = len(self._file.dimensions["time"])
        for name, (along, _) in self.COUNTS.items():
            if along == dimension and earlier and new.stop > known:
                self._file.variables[name][:earlier, new] = 0

    def _define(self, record: FilterRecord) -> None:
        domains = len(record.centre)
        self._file.createDimension("sub_domain", domains)
        for name, centre in zip(CENTRE, record.centre.T, strict=True):
            long_name = f"{name.partition('_')[0]} of the centre of the sub-domain, in cells of the state grid"
            self._create(name, "f8", ("sub_domain",), (domains,), units="1", long_name=long_name)[:] = centre
        for name, long_name in {**self.SCALARS, **self.INNOVATIONS}.items():
            self._create(name, "f8", ("time",), (1,), np.nan, units="1", long_name=long_name)
        for name, long_name in {
            "unobserved_sub_domains": "sub-domains without observations",
            "members": "members of the ensemble",
            "members_replaced": "members made anew since the analysis before, because they had failed",
            "members_dropped": "members left out for good since the analysis before, because they had failed",
        }.items():
            self._create(name, "i4", ("time",), (1,), units="1", long_name=long_name)
        self._map("local_observations", "i4", domains, "number of local observations")
        self._map("degrees_of_freedom", "f4", domains, "degrees of freedom for signal")
        self._map("forgetting_factor", "f4", domains, "factor by which the prior covariance is divided")
        if record.inflation_mean is not None:
            for name, long_name in self.INFLATION.items():
                self._map(name, "f8", domains, long_name)
        for parameter in record.parameters:
            self._define_parameter(parameter)
        self._define_counts()

    def _map(self, name: str, kind: str, domains: int, long_name: str) -> None:
        along, coordinates = ("time", "sub_domain"), " ".join(CENTRE)
        self._create(name, kind, along, (1, domains), units="1", long_name=long_name, coordinates=coordinates)

    def _define_parameter(self, parameter: str) -> None:
        for name, long_name in self.PARAMETER.items():
            units = PARAMETER_UNITS.get(parameter.rpartition("_")[2], "1")
            full_name = f"{parameter}_{name}"
            self._create(full_name, "f8", ("time",), (1,), units=units, long_name=f"{parameter}: {long_name}")

    def _define_counts(self) -> None:
        for dimension in ("source", "constraint"):
            self._file.createDimension(dimension, None)
            self._create(dimension, "i4", (dimension,), (8,), units="1", long_name=f"number of the {dimension}")
        for name, (dimension, long_name) in self.COUNTS.items():
            self._create(name, "i8", ("time", dimension), (1, 8), units="1", long_name=long_name)


def read_inflation_state(
    path: Path, centre: FloatArray, time: np.datetime64 | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation (sub-domains,) of the adaptive inflation that a run left.

    Parameters
    ----------
    path : Path
        ``filter.nc`` of a run.
    centre : array (sub-domains, 3)
        Centres of the present sub-domains in index units; the file must have the same.
    time : datetime64 or None
        Analysis time; None: the last one.

    Raises
    ------
    ThermodaError
        If the file cannot be read, holds no inflation, belongs to other sub-domains, or has no such time.
    """
    try:
        if not path.is_file():
            raise ThermodaError(f"{path}: there is no such file (analysis.adaptive_inflation.restart_file)")
        _refuse_vast(path)
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            return _inflation_state(path, dataset, centre, time)
    except (OSError, RuntimeError, ValueError) as error:
        raise ThermodaError(f"{path}: is not a netCDF file that can be read ({error})") from error


def _refuse_vast(path: Path) -> None:
    """Raise ThermodaError where a dimension is longer than a run's: xarray reads coordinates when it opens a file."""
    check_complete(path)
    check_heaps(path)
    with Dataset(path) as dataset:
        for name, dimension in dataset.dimensions.items():
            if dimension.size > LONGEST_DIMENSION:
                raise ThermodaError(f"{path}: its dimension {name} of {dimension.size} is longer than a run has")


def _inflation_state(
    path: Path, dataset: xr.Dataset, centre: FloatArray, time: np.datetime64 | None
) -> tuple[FloatArray, FloatArray]:
    missing = [name for name in (*FilterFile.INFLATION, *CENTRE, "time") if name not in dataset.variables]
    if missing or not dataset["time"].size:
        what = f"no {missing[0]}" if missing else "no analysis"
        raise ThermodaError(f"{path}: has {what}; a restart needs the filter.nc of a run with adaptive_inflation")
    along = {name: dataset[name].dims for name in ("time", *CENTRE, *FilterFile.INFLATION)}
    wanted = [("time",), *(("sub_domain",),) * len(CENTRE), *(("time", "sub_domain"),) * len(FilterFile.INFLATION)]
    if list(along.values()) != wanted or any(dataset[name].dtype.kind not in "iufM" for name in along):
        raise ThermodaError(f"{path}: {', '.join(along)} are not those of the filter.nc of a run")
    theirs = np.column_stack([dataset[name].values for name in CENTRE])
    if theirs.shape != centre.shape or not np.array_equal(theirs, centre):
        raise ThermodaError(
            f"{path}: its {len(theirs)} sub-domains are not the {len(centre)} of this experiment; "
            "a restart needs a run with the same grid, sub_domain and block_cells"
        )
    times = dataset["time"].values.astype("datetime64[ns]")
    record = len(times) - 1
    if time is not None:
        found = np.flatnonzero(times == time)
        if not found.size:
            raise ThermodaError(
                f"{path}: has no analysis at {time}; it has {times.size} from {times[0]} to {times[-1]}"
            )
        record = int(found[-1])
    mean, deviation = (dataset[name][record].values.astype(np.float64) for name in FilterFile.INFLATION)
    return mean, deviation
