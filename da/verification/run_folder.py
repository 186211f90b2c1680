"""What the folder of a finished run must hold to be evaluated: its provenance and the satellites' tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.observation_handling import running_mean
from da.stored_dataset import REPEAT, TIMES, stored_dataset, stored_values
from da.stored_provenance import FILE, read_provenance
from da.verification.sampling import Points

FloatArray = NDArray[np.float64]

OPEN_LOOP_FILE, FORECAST_FILE, ANALYSIS_FILE = "open_loop.nc", "forecast.nc", "analysis.nc"
FIELD_FILES = (OPEN_LOOP_FILE, FORECAST_FILE, ANALYSIS_FILE)
FREE_FORECASTS = "free_forecast_*.nc"
INTERVAL_H = (0.02, 10_000.0)
"""Between two analyses; more or less would be a damaged number."""

ROLES = ("assimilated", "calibrating", "independent")
"""What a satellite is to a run; "calibrating": its densities calibrate NRLMSIS in a run that assimilates nothing."""

LONGEST_SMOOTHING_S = 86_400.0

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
    try:
        provenance = read_provenance(path, REPEAT)
    except FileNotFoundError as error:
        raise ThermodaError(f"{path / FILE} is missing: the run is not complete; finish it first") from error
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
    wanted = [f"track_{name}.nc" for name in provenance.get("satellites", [])]
    missing = [name for name in wanted if not (path / name).is_file()]
    if missing and not without_missing_tracks:
        raise ThermodaError(f"{path}: {', '.join(missing)} missing; copy the whole run folder or repeat the run")
    name, start, stop = (str(provenance[key]) for key in ("name", "start", "stop"))
    interval = _hours(_section(configuration, "analysis").get("interval_h"))
    source = str(_section(provenance, "open_loop_from").get("run", ""))
    return RunFolder(path, name, start, stop, tracks, files, tuple(sorted(path.glob(FREE_FORECASTS))), interval, source)


def _section(content: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return a section of a provenance, empty where an older run has none."""
    found = content.get(key)
    return found if isinstance(found, Mapping) else {}


def _hours(value: object) -> np.timedelta64:
    """Return a length of time, 0 where it is not given or no run has such a one."""
    if not isinstance(value, (int, float)) or not INTERVAL_H[0] <= value <= INTERVAL_H[1]:
        return np.timedelta64(0, "ns")
    return np.timedelta64(round(3.6e12 * value), "ns")


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
    smoothing_s : float
        Width of the running mean along the track that each observation is [s]; 0: none. All else is at the points.
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
    smoothing_s: float = 0.0

    def averaged(self, values: FloatArray) -> FloatArray:
        """Return values at all points (n,) averaged as the observations are; NaN where they are not enough for it."""
        return running_mean(self.points.time, values, self.smoothing_s)

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
    with stored_dataset(path) as dataset:
        if missing := [name for name in ("time", *_TRACK_VARIABLES) if name not in dataset.variables]:
            raise ThermodaError(f"{path} has no variable {', '.join(missing)}; repeat the run")
        attributes = dict(dataset.attrs)
        time = stored_values(path, dataset, "time", ("time",), TIMES)
        columns = [stored_values(path, dataset, name, ("time",)) for name in _TRACK_VARIABLES]
    satellite, role = (str(attributes.get(name, "")) for name in ("satellite", "role"))
    if not satellite or role not in ROLES:
        raise ThermodaError(f"{path}: attributes satellite={satellite!r}, role={role!r}; role must be one of {ROLES}")
    if not np.all(np.diff(time) > np.timedelta64(0, "ns")):
        raise ThermodaError(f"{path}: time does not increase strictly; repeat the run")
    latitude, longitude, altitude, observed, msis, calibrated, ratio, kp = columns
    if np.any(np.abs(latitude) > 90.0):
        raise ThermodaError(f"{path}: latitudes must lie within [-90, 90] degrees; repeat the run")
    points, smoothing_s = Points(time, latitude, longitude, altitude), attributes.get("smoothing_s", 0.0)
    if not isinstance(smoothing_s, (int, float, np.number)) or not 0.0 <= smoothing_s <= LONGEST_SMOOTHING_S:
        raise ThermodaError(f"{path}: attribute smoothing_s={smoothing_s}; must be a number of seconds; repeat the run")
    return StoredTrack(path.stem, satellite, role, points, observed, msis, calibrated, ratio, kp, float(smoothing_s))
