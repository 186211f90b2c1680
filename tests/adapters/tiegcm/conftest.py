"""Small synthetic histories of TIE-GCM in both versions, and the folder of the real ones.

The synthetic files have the layout of the real ones (dimensions, types, names, units, missing values) and a smooth
atmosphere that is plausible at a glance and in hydrostatic balance; no number of theirs means anything.
"""

from __future__ import annotations

import gzip
import os
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from netCDF4 import Dataset
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

REPOSITORY = Path(__file__).resolve().parents[3]
MISSING = 1e36
MASKED_AT_TOP = ("TN", "UN", "VN", "TI", "TE")
START = np.datetime64("2002-03-22T00:00", "ns")

KINDS = {"2.0": "NETCDF3_CLASSIC", "3.0": "NETCDF4"}
"""Kind of netCDF that each version writes."""

SCALARS = {
    "f107d": 120.0,
    "f107a": 120.0,
    "hpower": 18.0,
    "ctpoten": 30.0,
    "Kp": MISSING,
    "bximf": MISSING,
    "byimf": 0.0,
    "bzimf": MISSING,
    "swvel": MISSING,
    "swden": MISSING,
    "al": MISSING,
    "colfac": 1.5,
    "joulefac": 1.5,
    "alfac": 0.1,
    "alfad": 0.5,
}
UNITS = {
    "TN": "K",
    "TI": "K",
    "TE": "K",
    "UN": "cm/s",
    "VN": "cm/s",
    "O1": "mmr",
    "O2": "mmr",
    "HE": "mmr",
    "Z": "cm",
    "NE": "cm-3",
    "TLBC": "K",
}
FILES = ("gpi_ncfile", "saber_ncfile", "tidi_ncfile", "gswm_mi_di_ncfile")
UNKNOWN_TO_US = "PEDERSEN"


class SmallHistory(Protocol):
    """Write a small primary history and return its path."""

    def __call__(
        self,
        path: Path,
        version: str = "2.0",
        *,
        times: Sequence[np.datetime64] = (START,),
        levels: int = 29,
        level_step: float = 0.5,
        latitudes: int = 4,
        longitudes: int = 8,
        step_s: int | None = None,
        file_format: str | None = None,
        scalars: Mapping[str, float] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the history: ``fields`` replaces whole variables by values that broadcast, ``scalars`` inputs."""
        ...


def _atmosphere(zp: FloatArray, latitude: FloatArray, longitude: FloatArray) -> dict[str, FloatArray]:
    """Return the fields of one record on mid-levels, (levels, latitudes, longitudes)."""
    wave = np.cos(np.radians(latitude))[:, None] * np.cos(np.radians(longitude))[None, :]
    above = (zp + 7.0)[:, None, None]
    oxygen = 0.80 / (1.0 + np.exp(-(above - 6.5) / 1.4)) + 0.0 * wave
    molecular = 0.23 / (1.0 + np.exp((above - 5.0) / 1.0)) - 0.5 * oxygen / (1.0 + np.exp(2.0 * above))
    fields = {
        "TN": 181.0 + (720.0 + 60.0 * wave) * (1.0 - np.exp(-above / 3.0)),
        "UN": 1.0e4 * wave * above / (1.0 + above),
        "VN": -0.5e4 * wave * above / (1.0 + above),
        "O1": oxygen * (1.0 + 0.02 * wave),
        "O2": np.maximum(molecular, 4e-6) + 1e-9 * wave,
        "HE": 1.2e-6 * np.exp(0.8 * above) * (1.0 - 0.2 * wave),
        "N4S": 1e-4 + 0.0 * wave * above,
        "NO": 1e-6 + 0.0 * wave * above,
        "AR": 1.1e-2 * np.exp(-above) + 0.0 * wave,
        "OP": 1e4 * (1.0 + 0.1 * wave) + 0.0 * above,
        "N2D": -1e-9 + 0.0 * wave * above,
        "O2P": 1e3 + 0.0 * wave * above,
    }
    fields["TI"] = fields["TN"] + 2.0 * above
    fields["TE"] = fields["TN"] + 5.0 * above
    return fields


def _interface_height_cm(fields: Mapping[str, FloatArray], level_step: float) -> FloatArray:
    """Return a geopotential height with the level's own mass and a gravity of 870 cm s-2."""
    n2 = 1.0 - fields["O1"] - fields["O2"] - fields["HE"]
    mass = 1.0 / (fields["O1"] / 16.0 + fields["O2"] / 32.0 + fields["HE"] / 4.0 + n2 / 28.0)
    thickness = 8.314e7 / 870.0 * level_step * fields["TN"] / mass
    bottom = np.full((1, *thickness.shape[1:]), 9.637229e6)
    return np.concatenate([bottom, bottom + np.cumsum(thickness[:-1], axis=0)])


def _all_fields(version: str, zp: FloatArray, latitude: FloatArray, longitude: FloatArray) -> dict[str, FloatArray]:
    fields = _atmosphere(zp, latitude, longitude)
    step = float(zp[1] - zp[0])
    height = _interface_height_cm(fields, step)
    fields |= {"Z": height, "NE": 1e5 + 0.0 * height, "OMEGA": 1e-6 * fields["UN"] / 1e4, "POTEN": 10.0 * fields["VN"]}
    twins = ["TN", "UN", "VN", "O2", "O1", "HE", "N4S", "NO", "AR", "OP", *(["N2D"] if version == "3.0" else [])]
    fields |= {f"{name}_NM": 0.999 * fields[name] for name in twins}
    for name in (*MASKED_AT_TOP, "TN_NM", "UN_NM", "VN_NM"):
        fields[name][-1] = MISSING
    fields[UNKNOWN_TO_US] = np.sin(height / 1e6)
    surface = np.zeros(height.shape[1:])
    fields |= {"TLBC": surface + 181.0, "TLBC_NM": surface + 181.0}
    fields |= {name: surface for name in ("ULBC", "VLBC", "ULBC_NM", "VLBC_NM")}
    if version == "3.0":
        fields |= {name: np.full_like(surface, MISSING) for name in ("gzigm1", "gzigm2", "gnsrhs")}
    return fields


def _mtime(time: np.datetime64, version: str) -> list[int]:
    stamp = time.astype("datetime64[s]").item()
    return [stamp.timetuple().tm_yday, stamp.hour, stamp.minute, *([stamp.second] if version == "3.0" else [])]


def _define(dataset: Dataset, version: str, sizes: Mapping[str, int]) -> None:
    dataset.createDimension("time", None)
    for name, size in sizes.items():
        dataset.createDimension(name, size)
    numbers = 3 if version == "2.0" else 4
    dataset.createDimension("mtimedim", numbers)
    for name, size in {"latlon": 2, "dtidedim": 2, "sdtidedim": 10, "datelen": 24, "filelen": 1024}.items():
        dataset.createDimension(name, size)
    dataset.setncatts(
        {
            "label": "synthetic",
            "create_date": "01/01/01 00:00:00",
            "logname": "tester",
            "host": "none",
            "system": "LINUX",
            "model_name": "tiegcm",
            "model_version": f"tiegcm{version}",
            "history_type": "primary",
            "run_type": "initial",
            "source_file": "",
            "source_mtime": np.array([80] + [0] * (numbers - 1), dtype=np.int32),
            "initial_file": "synthetic",
            "missing_value": MISSING,
            "potential_model": "HEELIS",
            "tuv_lbc_intop": np.int32(0),
        }
    )


def _write_coordinates(dataset: Dataset, axes: Mapping[str, FloatArray], version: str, step_s: int) -> None:
    for name, values in axes.items():
        dataset.createVariable(name, "f8", (name,))[:] = values
    unit = "minutes" if version == "2.0" else "seconds"
    dataset.createVariable("time", "f8", ("time",)).units = f"{unit} since 2002-3-22 0:0:0"
    dataset.createVariable("mtime", "i4", ("time", "mtimedim"))
    for name in ("year", "day", "calendar_advance", "iter", "ntask_mpi"):
        dataset.createVariable(name, "i4", ("time",))
    dataset.createVariable("ut", "f8", ("time",))
    dataset.createVariable("timestep", "i4", ())[...] = step_s
    for name, value in {"p0": 5e-7, "p0_model": 5e-4, "grav": 870.0, "LBC": -7.0}.items():
        dataset.createVariable(name, "f8", ())[...] = value
    dataset.createVariable("mag", "f8", ("latlon", "latlon"))[:] = 9.96920996838687e36
    dataset.createVariable("write_date", "S1", ("time", "datelen"))
    for name in FILES:
        dataset.createVariable(name, "S1", ("time", "filelen"))
    for name in SCALARS:
        dataset.createVariable(name, "f8", ("time",))


def _write_record(dataset: Dataset, record: int, time: np.datetime64, version: str, step_s: int) -> None:
    mtime = _mtime(time, version)
    seconds = int((time - START) / np.timedelta64(1, "s"))
    dataset["time"][record] = seconds / 60.0 if version == "2.0" else float(seconds)
    dataset["mtime"][record] = mtime
    dataset["year"][record] = int(time.astype("datetime64[Y]").astype(int)) + 1970
    dataset["day"][record] = mtime[0]
    dataset["calendar_advance"][record] = 1
    dataset["ntask_mpi"][record] = 4
    dataset["iter"][record] = (mtime[0] * 86400 + mtime[1] * 3600 + mtime[2] * 60) // step_s
    dataset["ut"][record] = mtime[1] + mtime[2] / 60.0
    dataset["write_date"][record] = np.array(list("01/01/01 00:00:00".ljust(24)), dtype="S1")
    for name in FILES:
        dataset[name][record] = np.full(1024, b" ", dtype="S1")


def _field_dimensions(name: str, values: FloatArray) -> tuple[str, ...]:
    if values.ndim == 2:
        return "time", "lat", "lon"
    return "time", "ilev" if name in ("Z", "NE", "OMEGA", "POTEN") else "lev", "lat", "lon"


def write_small_history(
    path: Path,
    version: str = "2.0",
    *,
    times: Sequence[np.datetime64] = (START,),
    levels: int = 29,
    level_step: float = 0.5,
    latitudes: int = 4,
    longitudes: int = 8,
    step_s: int | None = None,
    file_format: str | None = None,
    scalars: Mapping[str, float] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Path:
    step = step_s or {"2.0": 60, "3.0": 30}[version]
    interface = -7.0 + level_step * np.arange(levels)
    axes = {
        "lon": -180.0 + 360.0 / longitudes * np.arange(longitudes),
        "lat": -90.0 + 180.0 / latitudes * (np.arange(latitudes) + 0.5),
        "lev": interface + 0.5 * level_step,
        "ilev": interface,
        "mlon": np.linspace(-180.0, 180.0, 5),
        "mlat": np.linspace(-90.0, 90.0, 3),
    }
    content = _all_fields(version, axes["lev"], axes["lat"], axes["lon"])
    content |= {name: np.broadcast_to(values, content[name].shape) for name, values in (fields or {}).items()}
    inputs = SCALARS | dict(scalars or {})
    with Dataset(path, "w", format=file_format or KINDS[version]) as dataset:
        _define(dataset, version, {name: values.size for name, values in axes.items()})
        _write_coordinates(dataset, axes, version, step)
        for name, values in content.items():
            variable = dataset.createVariable(name, "f8", _field_dimensions(name, values))
            variable.setncatts({"long_name": name, "units": UNITS.get(name, ""), "missing_value": MISSING})
        dataset.set_auto_maskandscale(False)
        for record, time in enumerate(times):
            _write_record(dataset, record, time.astype("datetime64[ns]"), version, step)
            for name, value in inputs.items():
                dataset[name][record] = value
            for name, values in content.items():
                dataset[name][record] = np.where(values < 1e35, values * (1.0 + 0.001 * record), values)
    return path


@pytest.fixture(scope="session")
def small_history() -> SmallHistory:
    """Return the writer of small histories: ``small_history(path, "3.0", latitudes=6)``."""
    return write_small_history


@pytest.fixture(scope="session")
def tiegcm_folder() -> Path:
    """Folder of the real histories: beside the data that THERMODA_DATA names, or the repository's shared folder."""
    candidates = [REPOSITORY.parent / "shared" / "tiegcm"]
    if root := os.environ.get("THERMODA_DATA"):
        candidates.insert(0, Path(root).parent / "tiegcm")
    for folder in candidates:
        if folder.is_dir():
            return folder
    pytest.skip("no folder 'tiegcm': set THERMODA_DATA to the folder of the real data, whose sibling it is")


@pytest.fixture(scope="session")
def real_history(tiegcm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Real histories, unpacked: "2.0" and "3.0" primary, "secondary" of version 2.0. Not to be changed: copy them."""
    folder = tmp_path_factory.mktemp("tiegcm")
    names = {
        "2.0": "tiegcm20_5deg_prim_2002-083-00.nc",
        "3.0": "tiegcm30_5deg_prim_2002-081-0010.nc",
        "secondary": "tiegcm20_5deg_sech_2002-081-0010.nc",
    }
    for name in names.values():
        with gzip.open(tiegcm_folder / f"{name}.gz") as packed, (folder / name).open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    return {key: folder / name for key, name in names.items()}


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file of this process grow beyond some bytes for a while: writes fail as they do on a full disk."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    return limited
