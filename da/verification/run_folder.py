"""What the folder of a finished run must hold to be evaluated: its provenance and the satellites' tracks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.verification.sampling import Points

FloatArray = NDArray[np.float64]

OPEN_LOOP_FILE, FORECAST_FILE, ANALYSIS_FILE = "open_loop.nc", "forecast.nc", "analysis.nc"
FIELD_FILES = (OPEN_LOOP_FILE, FORECAST_FILE, ANALYSIS_FILE)
FREE_FORECASTS = "free_forecast_*.nc"
ROLES = ("assimilated", "calibrating", "independent")
"""What a satellite is to a run; "calibrating": its densities calibrate NRLMSIS in a run that assimilates nothing."""

_TRACK_VARIABLES = (
    "latitude",
    "longitude",
    "altitude",
    "density",
    "density_msis",
    "density_calibrated_msis",
    "unmodelled_mass_ratio",
    "kp",
)


@dataclass(frozen=True)
class RunFolder:
    """A complete run.

    Parameters
    ----------
    path : Path
        Of the folder.
    name, start, stop : str
        Of the experiment; UTC as written in the provenance.
    tracks : tuple of Path
        ``track_*.nc``, sorted by name.
    files : tuple of str
        Those of :data:`FIELD_FILES` that the run has: the open loop alone where it assimilates nothing.
    free_forecasts : tuple of Path
        In order of their start.
    analysis_interval : timedelta64[ns]
        0 where the folder does not tell.
    open_loop_from : str
        Name of the run whose open loop is shown; empty where it is the run's own.
    """

    path: Path
    name: str
    start: str
    stop: str
    tracks: tuple[Path, ...]
    files: tuple[str, ...] = FIELD_FILES
    free_forecasts: tuple[Path, ...] = ()
    analysis_interval: np.timedelta64 = field(default_factory=lambda: np.timedelta64(0, "ns"))
    open_loop_from: str = ""

    @property
    def assimilates(self) -> bool:
        """Whether the run has analyses."""
        return ANALYSIS_FILE in self.files


def open_run(path: Path, *, without_missing_tracks: bool = False) -> RunFolder:
    """Return what a run folder says of itself.

    Parameters
    ----------
    path : Path
    without_missing_tracks : bool
        Whether tracks may be missing, as long as there is one.

    Raises
    ------
    ThermodaError
        If the folder is missing, the run is not complete, or a file that the evaluation needs is not there.
    """
    if not path.is_dir():
        raise ThermodaError(f"{path} is not a folder; name the folder of a finished run")
    provenance = _read_provenance(path / "provenance.json")
    if provenance.get("complete") is not True:
        raise ThermodaError(f'{path}: the run is not complete (see "complete" in provenance.json); finish it first')
    if missing := [key for key in ("name", "start", "stop") if key not in provenance]:
        raise ThermodaError(f"{path / 'provenance.json'}: no {', '.join(missing)}; repeat the run")
    configuration = _section(provenance, "configuration")
    assimilates = _section(configuration, "experiment").get("assimilate", True)
    files = FIELD_FILES if assimilates else (OPEN_LOOP_FILE,)
    if missing := [name for name in files if not (path / name).is_file()]:
        raise ThermodaError(f"{path}: {', '.join(missing)} missing; copy the whole run folder or repeat the run")
    tracks = tuple(sorted(path.glob("track_*.nc")))
    if not tracks:
        raise ThermodaError(f"{path}: no track_<satellite>.nc; name a satellite in the experiment and repeat it")
    named = provenance.get("satellites", [])
    wanted = [f"track_{name}.nc" for name in named] if isinstance(named, list) else []
    missing = [name for name in wanted if not (path / name).is_file()]
    if missing and not without_missing_tracks:
        raise ThermodaError(f"{path}: {', '.join(missing)} missing; copy the whole run folder or repeat the run")
    name, start, stop = (str(provenance[key]) for key in ("name", "start", "stop"))
    interval_h = _section(configuration, "analysis").get("interval_h", 0.0)
    interval = np.timedelta64(round(3.6e12 * interval_h) if isinstance(interval_h, (int, float)) else 0, "ns")
    source = str(_section(provenance, "open_loop_from").get("run", ""))
    return RunFolder(path, name, start, stop, tracks, files, tuple(sorted(path.glob(FREE_FORECASTS))), interval, source)


def _section(content: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return a section of a provenance, empty where an older run has none."""
    found = content.get(key)
    return found if isinstance(found, Mapping) else {}


def _read_provenance(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ThermodaError(f"{path} is missing: the run is not complete; finish it first") from error
    except (OSError, ValueError) as error:
        raise ThermodaError(f"{path} cannot be read as JSON ({error}); repeat the run") from error
    if not isinstance(content, dict):
        raise ThermodaError(f"{path} must hold a JSON object; repeat the run")
    return content


@dataclass(frozen=True)
class StoredTrack:
    """One satellite's densities as stored with a run.

    Parameters
    ----------
    key : str
        Stem of the file name, for the names of figures.
    satellite : str
        Name of the satellite.
    role : {"assimilated", "calibrating", "independent"}
        Whether its densities went into the run.
    points : Points
        Places and times, strictly increasing in time.
    observed, msis, calibrated_msis : array (n,)
        Total mass densities [kg m-3].
    unmodelled_mass_ratio : array (n,)
        Total density over the density of the modelled species [-].
    kp : array (n,)
        Kp of the three hours around each point.
    """

    key: str
    satellite: str
    role: str
    points: Points
    observed: FloatArray
    msis: FloatArray
    calibrated_msis: FloatArray
    unmodelled_mass_ratio: FloatArray
    kp: FloatArray

    def usable(self) -> NDArray[np.bool_]:
        """Return where every stored value is finite and every density and ratio is positive."""
        positive = (self.observed, self.msis, self.calibrated_msis, self.unmodelled_mass_ratio)
        place = (self.points.latitude, self.points.longitude, self.points.altitude_km)
        finite = np.all([np.isfinite(values) for values in (*positive, *place, self.kp)], axis=0)
        return np.asarray(finite & np.all([values > 0.0 for values in positive], axis=0))


def read_track(path: Path) -> StoredTrack:
    """Read ``track_<satellite>.nc``.

    Raises
    ------
    ThermodaError
        If the file cannot be read, lacks a variable or attribute, or holds impossible times or latitudes.
    """
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            dataset.load()
    except (OSError, ValueError) as error:
        raise ThermodaError(f"{path} is not readable netCDF ({error}); repeat the run") from error
    if missing := [name for name in ("time", *_TRACK_VARIABLES) if name not in dataset.variables]:
        raise ThermodaError(f"{path} has no variable {', '.join(missing)}; repeat the run")
    satellite, role = (str(dataset.attrs.get(name, "")) for name in ("satellite", "role"))
    if not satellite or role not in ROLES:
        raise ThermodaError(f"{path}: attributes satellite={satellite!r}, role={role!r}; role must be one of {ROLES}")
    time = dataset["time"].to_numpy().astype("datetime64[ns]")
    if not np.all(np.diff(time) > np.timedelta64(0, "ns")):
        raise ThermodaError(f"{path}: time does not increase strictly; repeat the run")
    latitude, longitude, altitude, *others = (
        np.asarray(dataset[name].to_numpy(), dtype=np.float64) for name in _TRACK_VARIABLES
    )
    if np.any(np.abs(latitude) > 90.0):
        raise ThermodaError(f"{path}: latitudes must lie within [-90, 90] degrees; repeat the run")
    return StoredTrack(path.stem, satellite, role, Points(time, latitude, longitude, altitude), *others)
