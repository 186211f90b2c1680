"""The readers of files, those of other people and those of runs, each with valid files to start from.

Loaded by file name: by the tests of this folder, and by ``benchmarks/fuzz.py``. A reader may give a result or raise
`ThermodaError` with one line that names the file; all else is a fault.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cdflib.cdfwrite import CDF as CdfWriter
from netCDF4 import Dataset

from da.analysis_storage import CENTRE, FilterFile, read_inflation_state
from da.classic_netcdf import check_complete
from da.config import read_experiment
from da.drivers.hemispheric_power import read_hemispheric_power
from da.drivers.solar_wind import read_solar_wind
from da.drivers.space_weather_table import read_space_weather_table
from da.errors import ThermodaError
from da.model import THERMOSPHERE_FIELDS, StateGrid, StateLayout
from da.perturbation_set import PerturbationSet, write_perturbation_set
from da.tracks import read_tracks
from da.twin.two_line_orbit import read_two_line_elements
from da.yaml_source import YamlSource
from model_adapters.tiegcm.history import AT_BOTTOM, ON_INTERFACES, ON_LEVELS, read_header
from model_adapters.tiegcm.judging import finite_and_bounded
from model_adapters.tiegcm.namelist import parse_namelist

START = np.datetime64("2010-04-05T00:00:00", "ns")
STOP = np.datetime64("2010-04-05T02:00:00", "ns")
Seeds = Callable[[Path], list[bytes]]


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Parameters
    ----------
    name : str
    suffix : str
        Of its files.
    read : callable
        Reads the file of a path.
    seeds : callable
        Returns valid files; it may use an empty folder.
    modules : tuple of str
        Whose branches guide the fuzzer.
    tokens : tuple of bytes
        What a mutation may put in.
    file : str
        Name of the file within the folder of the seeds, where the reader wants a certain one; it is then enough if a
        message names the file's folder.
    """

    name: str
    suffix: str
    read: Callable[[Path], object]
    seeds: Seeds
    modules: tuple[str, ...]
    tokens: tuple[bytes, ...] = ()
    file: str = ""

    def path_in(self, folder: Path) -> Path:
        """Return where the file is to be written whose reading is tried."""
        path = folder / (self.file or f"input{self.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def put(path: Path, data: bytes) -> None:
    """Write a new file of this name: what HDF5 knows of one that it could not read it keeps while that is there."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def fault_of(reader: Reader, path: Path) -> str | None:
    """Return what is wrong with the way in which a reader took a file, None where it kept to its documentation."""
    with warnings.catch_warnings():
        # Libraries warn about attributes; numbers that overflow are ours to catch.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", DeprecationWarning)
        try:
            reader.read(path)
        except ThermodaError as error:
            message = str(error)
            if len(message.splitlines()) != 1 or not message.isprintable():
                return f"the message is not one printable line: {message!r}"
            named = path.name in message or (reader.file and str(path.parent) in message)
            return None if named else f"the message does not name the file: {message}"
    return None


def _tracks(path: Path) -> object:
    return read_tracks([path], "champ")


def _start_form(folder: Path) -> list[bytes]:
    rows = [f" 2010 04 05 00 0{i} 15 0 10.0 {-40.0 + 4 * i:9.5f} 302.0 1.{i}e-11" for i in range(4)]
    return [("made by a test\n\n#START\n" + "\n".join(rows) + "\n").encode()]


def _native_form(folder: Path) -> list[bytes]:
    names = (
        "Two-digit Year (years);Day of the Year (days);Second of the Day (GPS time,sec);Center Latitude of 3-degree "
        "Bin (deg);Satellite Geodetic Latitude (deg);Satellite Longitude (deg);Satellite Height (km);Satellite Local "
        "Time (hours);Satellite Quasi-Dipole Latitude (deg);Satellite Magnetic Longitude (deg);Satellite Magnetic "
        "Local Time (hours);Neutral Density (kg/m^3);Neutral Density Normalized to 400km using NRLMSISe00;Neutral "
        "Density Normalized to 410km using NRLMSISe00;NRLMSISe00 Neutral Density at Satellite Height;Uncertainty in "
        "Neutral Density (kg/m^3);Number of Data Points in Current Averaging Bin;Number of Points in Current "
        "Averaging Bin that Required Interpolation;Average Coefficient of Drag Used in Current Averaging Bin"
    )
    row = "{:02d} 095 {:9.3f} {:3d} {:8.4f} 120.50 302.1 13.2 -40.1 10.2 12.1 1.{}e-11 2e-12 2e-12 3e-11 1e-13 10 0 2.3"
    rows = [row.format(10, 45.0 * i, 3 * i, 3.0 * i + 0.1, i) for i in range(4)]
    with_names = "\n".join(["Version 2.2, made by a test", names, *rows, ""])
    return [with_names.encode(), "\n".join([*rows, ""]).encode()]


def _tudelft(folder: Path) -> list[bytes]:
    titles = (
        "        Date (yyyy-mm-dd)",
        "        Time (hh:mm:ss.sss)",
        "        Time system: UTC or GPS (differs per mission)",
        " f10.3  Altitude (m), GRS80",
        " f13.8  Geodetic longitude (deg), GRS80",
        " f13.8  Geodetic latitude (deg), GRS80",
        "  f6.3  Local solar time (h)",
        " f13.8  Argument of latitude (deg)",
        " e15.8  Density derived from accelerometer measurements (kg/m3)",
        "  f4.1  Flag for density: 0 = nominal data, 1 = anomalous data (-)",
    )
    head = [f"# Column {number:2d}: {title}" for number, title in enumerate(titles, start=1)]
    row = "2010-04-05 00:00:{:02d}.000 {} 467673.875  91.220  {:.3f}  6.254  127.231  0.{}E-11  {}.0"
    rows = [row.format(10 * i + 5, ("GPS", "UTC")[i // 3], 52.0 - i, i + 1, i % 2) for i in range(5)]
    return ["\n".join([*head, *rows, ""]).encode()]


def _swarm(folder: Path) -> list[bytes]:
    count = 4
    values: dict[str, np.ndarray[Any, Any]] = {
        "time": 63_437_644_800_000.0 + 10_000.0 * np.arange(count),
        "density": np.linspace(1e-12, 2e-12, count),
        "altitude": np.full(count, 458_357.0),
        "latitude": np.linspace(-10.0, -9.0, count),
        "longitude": np.full(count, 190.0),
        "validity_flag": np.array([0, 0, 1, 0], dtype=np.int8),
    }
    units = {"density": "kg/m3", "altitude": "m", "latitude": "deg", "longitude": "deg"}
    found = []
    for name, compress in (("plain", 0), ("packed", 6)):
        path = folder / f"{name}.cdf"
        writer = CdfWriter(path, cdf_spec={"Encoding": 6})
        writer.write_globalattrs({"TIME SYSTEM": {0: "UTC"}})
        for variable, array in values.items():
            kind = {"time": 31, "validity_flag": 1}.get(variable, 45)
            spec = {"Variable": variable, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": []}
            spec["Compress"] = compress
            attributes = {"FILLVAL": "0.99900E+33"} | ({"UNITS": units[variable]} if variable in units else {})
            writer.write_var(spec, var_attrs=attributes, var_data=array)
        writer.close()
        found.append(path.read_bytes())
    return found


def _zipped(folder: Path) -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            archive.writestr("track.txt", _start_form(folder)[0])
            archive.writestr("readme.txt", b"made by a test")
        found.append(stream.getvalue())
    return found


def _tnd_igg(folder: Path, kind: str) -> list[bytes]:
    count = 4
    columns = {
        "time": (15.0 + 10.0 * np.arange(count), "seconds since 2010-04-05 00:00:00"),
        "density": (np.linspace(1e-11, 2e-11, count), "kg/m^3"),
        "lat": (np.linspace(-1.0, 2.0, count), "deg"),
        "lon": (np.full(count, 200.0), "deg"),
        "alt": (np.full(count, 302_500.0), "m"),
    }
    path = folder / "tnd.nc"
    with Dataset(path, "w", format=kind) as dataset:
        dataset.createDimension("time", count)
        for name, (values, units) in columns.items():
            variable = dataset.createVariable(name, "f8", ("time",), fill_value=-999.0)
            variable[:] = values
            variable.units = units
    return [path.read_bytes()]


def _celestrak(folder: Path) -> list[bytes]:
    heading = "DATE," + ",".join(f"KP{i}" for i in range(1, 9)) + ",F10.7_OBS,F10.7_DATA_TYPE,F10.7_OBS_CENTER81"
    rows = [f"2010-04-0{day}," + "20,33,7,0,90,13,47,," + f"{75 + day}.1,OBS,75.2" for day in range(1, 8)]
    rows.append("2010-04-08," + "20," * 8 + "75.0,PRD,75.2")
    csv = "\n".join([heading, *rows, ""])
    kp = "".join(f"{one:3d}" for one in (20, 33, 7, 0, 90, 13, 47, 20))
    text_rows = [f"2010 04 0{day} 2405 12{kp}".ljust(113) + " 75.3  76.1  " for day in range(1, 8)]
    text = ["VERSION 1.2", "UPDATED 2010 Apr 08", "BEGIN OBSERVED", *text_rows, "END OBSERVED"]
    return [csv.encode(), "\n".join([*text, "BEGIN DAILY_PREDICTED", text_rows[0], "END DAILY_PREDICTED", ""]).encode()]


def _omni(folder: Path) -> list[bytes]:
    rows = [f"2010 04 05 00 0{i} 00 000 1.2 -3.4 9999.99 -400.0 10.0 5.0 4.5 90000.0" for i in range(5)]
    return [("text\n#TIMEDELAY\n60.0\n\n#START\n" + "\n".join(rows) + "\n").encode()]


def _polar_passes(folder: Path) -> list[bytes]:
    row = "2010-04-05 0{}:{}3:00 NOAA-1{} ({})  7  29.67   0.82"
    rows = [row.format(i // 2, i % 2, 5 + i, "NS"[i % 2]) for i in range(5)]
    return [(":Data_list: made by a test\n# comment\n" + "\n".join(rows) + "\n").encode()]


def _elements(folder: Path) -> list[bytes]:
    first = "1 25544U 98067A   10095.51782528  .00002182  00000-0  50000-4 0  292"
    second = "2 25544  51.6416 247.4627 0006703 130.5360 325.0288 15.7212539156353"
    lines = [_with_check_sum(line.encode() + b"0") for line in (first, second)]
    return [b"\n".join([b"ISS", *lines, b""])]


def _read_elements(path: Path) -> object:
    """Read the file with its check sums mended, or hardly a mutation would pass them."""
    with contextlib.suppress(OSError):
        if path.is_file():
            lines = path.read_bytes().split(b"\n")
            path.write_bytes(b"\n".join(_with_check_sum(line) if len(line) == 69 else line for line in lines))
    return read_two_line_elements(path, START).positions(START)


def _with_check_sum(line: bytes) -> bytes:
    total = sum(one - 48 if 48 <= one <= 57 else one == 45 for one in line[:68])
    return line[:68] + str(total % 10).encode()


EXPERIMENT = """\
experiment: {name: tiny, start: 2010-04-05T00:00:00Z, stop: 2010-04-05T01:00:00Z, seed: 7, output_folder: runs/tiny}
satellites:
  champ: {synthetic: {altitude_km: 302, inclination_deg: 87.3, sampling_s: 120}}
calibration: {satellite: champ}
observation_error: &error {weight_p0: 4.0, half_life_vertical_km: .inf}
model:
  adapter: msis_relaxation
  settings: {resolution_deg: 30.0}
ensemble:
  members: 4
  spin_up_days: 0.0
  perturbations: {f107_sfu: {standard_deviation: 8.0, truncation: 24.0}}
analysis: {interval_h: 1.0, localization: {cutoff_radius_cells: 4.0, weighting: uniform}}
"""


def _experiments(folder: Path) -> list[bytes]:
    (folder / "base.yaml").write_text(EXPERIMENT, encoding="utf-8")
    changes = "inherits: base.yaml\nensemble:\n  members: 8\noutput: {<<: &x {interval_min: 30}}\n"
    return [
        EXPERIMENT.encode(),
        changes.encode(),
        b"a: &a [1, 'b', \"c\"]\nd: >-\n  e\n\n  f\nb: [*a, !!int 3, 2010-04-05]\n",
    ]


def _read_yaml(path: Path) -> object:
    source = YamlSource.read(path)
    source.resolved()
    return read_experiment(path)


def _namelists(folder: Path) -> list[bytes]:
    return [b"! comment\n&tgcm_input\n LABEL = 'o''clock', START=81,0,0 STEP=60\n TIDE = 10*0., 1.5d-3 T=.true.\n/\n"]


def _history(folder: Path, kind: str) -> list[bytes]:
    sizes = {"lev": 4, "ilev": 4, "lat": 2, "lon": 2}
    path = folder / "history.nc"
    with Dataset(path, "w", format=kind) as dataset:
        dataset.setncatts({"history_type": "primary", "tuv_lbc_intop": np.int32(0)})
        for name, size in {"time": None, **sizes, "mtimedim": 3}.items():
            dataset.createDimension(name, size)
        for name, size in sizes.items():
            start = {"lev": -6.75, "ilev": -7.0, "lat": -45.0, "lon": -180.0}[name]
            step = {"lev": 0.5, "ilev": 0.5, "lat": 90.0, "lon": 180.0}[name]
            dataset.createVariable(name, "f8", (name,))[:] = start + step * np.arange(size)
        dataset.createVariable("mtime", "i4", ("time", "mtimedim"))[0] = [81, 0, 10]
        dataset.createVariable("year", "i4", ("time",))[0] = 2010
        dataset.createVariable("timestep", "i4", ())[...] = 60
        dataset.createVariable("p0_model", "f8", ())[...] = 5e-4
        dataset.createVariable("f107d", "f8", ("time",))[0] = 120.0
        for name in (*ON_LEVELS, *ON_INTERFACES, *AT_BOTTOM):
            level = () if name in AT_BOTTOM else ("ilev",) if name in ON_INTERFACES else ("lev",)
            variable = dataset.createVariable(name, "f8", ("time", *level, "lat", "lon"))
            variable.units = "K"
            variable[0] = 0.1 if name[:2] in ("O1", "O2", "HE") else 200.0
    return [path.read_bytes()]


def _read_history(path: Path) -> object:
    faults = finite_and_bounded(path, np.datetime64("2010-03-22T00:10", "ns"))
    for fault in faults:
        if path.name not in fault or not fault.isprintable():
            raise ValueError(f"a fault does not name its file, or has several lines: {fault!r}")
    return read_header(path)


GRID = StateGrid(np.array([-1.0, 0.0]), np.array([-45.0, 45.0]), np.array([0.0, 180.0]))
LAYOUT = StateLayout(THERMOSPHERE_FIELDS[:1], GRID)


def _perturbations(folder: Path) -> list[bytes]:
    path = folder / "perturbations.nc"
    write_perturbation_set(path, LAYOUT, np.arange(16.0).reshape(8, 2))
    return [path.read_bytes()]


CENTRES = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 2.0]])


def _inflation(folder: Path) -> list[bytes]:
    path = folder / "filter.nc"
    with Dataset(path, "w") as dataset:
        dataset.createDimension("time", None)
        dataset.createDimension("sub_domain", 2)
        time = dataset.createVariable("time", "f8", ("time",))
        time.units = "seconds since 1970-01-01"
        time[0] = 1e9
        for name, values in zip(CENTRE, CENTRES.T, strict=True):
            dataset.createVariable(name, "f8", ("sub_domain",))[:] = values
        for name in FilterFile.INFLATION:
            dataset.createVariable(name, "f8", ("time", "sub_domain"))[0] = [1.0, 1.1]
    return [path.read_bytes()]


NUMBERS = (b"nan", b"inf", b"-inf", b"-1", b"1e300", b"-1e999", b"****", b"", b"9" * 30, b"0x10", b"1_0", b"\xd9\xa3")
BINARY = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00" * 8, b"\x3b\x9a\xca\x00", b"\xff" * 8)
TRACKS = ("da.tracks", "da.input_file")

READERS = {
    reader.name: reader
    for reader in (
        Reader("sutton_start", ".txt", _tracks, _start_form, TRACKS, NUMBERS),
        Reader("sutton_native", ".ascii", _tracks, _native_form, TRACKS, NUMBERS),
        Reader("tudelft", ".txt", _tracks, _tudelft, TRACKS, NUMBERS),
        Reader("swarm_cdf", ".cdf", _tracks, _swarm, (*TRACKS, "cdflib.cdfread"), BINARY),
        Reader("zip", ".zip", _tracks, _zipped, (*TRACKS, "zipfile"), (*BINARY, b"PK\x05\x06", b"PK\x06\x06", b"../")),
        Reader("tnd_igg_classic", ".nc", _tracks, lambda at: _tnd_igg(at, "NETCDF3_CLASSIC"), TRACKS, BINARY),
        Reader("tnd_igg_hdf5", ".nc", _tracks, lambda at: _tnd_igg(at, "NETCDF4"), TRACKS, BINARY),
        Reader(
            "space_weather",
            ".csv",
            lambda path: read_space_weather_table(path, np.datetime64("2010-04-02"), np.datetime64("2010-04-08")),
            _celestrak,
            ("da.drivers.space_weather_table", "da.input_file"),
            NUMBERS,
        ),
        Reader(
            "solar_wind",
            ".dat",
            lambda path: read_solar_wind([path]),
            _omni,
            ("da.drivers.solar_wind", "da.input_file"),
            (*NUMBERS, b"#START", b"#TIMEDELAY"),
        ),
        Reader(
            "hemispheric_power",
            ".txt",
            lambda path: read_hemispheric_power([path], START, STOP),
            _polar_passes,
            ("da.drivers.hemispheric_power", "da.input_file"),
            NUMBERS,
        ),
        Reader(
            "two_line_elements",
            ".tle",
            _read_elements,
            _elements,
            ("da.twin.two_line_orbit", "da.input_file", "sgp4.io"),
            NUMBERS,
        ),
        Reader(
            "yaml",
            ".yaml",
            _read_yaml,
            _experiments,
            ("da.yaml_source", "da.inheritance", "da.config", "ruamel.yaml"),
            (
                b"<<: ",
                b"*a",
                b"&a ",
                b"!!",
                b"? ",
                b"- ",
                b"|\n",
                b"%YAML 1.1\n",
                b"---\n",
                b"null",
                b"1e400",
                b"\xef\xbb\xbf",
            ),
        ),
        Reader(
            "namelist",
            ".nml",
            lambda path: parse_namelist(path.read_text(encoding="latin-1"), str(path)),
            _namelists,
            ("model_adapters.tiegcm.namelist",),
            (*NUMBERS, b"99999*1", b"&end", b"&tgcm_input"),
        ),
        Reader(
            "classic_header",
            ".nc",
            check_complete,
            lambda at: _tnd_igg(at, "NETCDF3_CLASSIC") + _tnd_igg(at, "NETCDF3_64BIT_DATA"),
            ("da.classic_netcdf",),
            BINARY,
        ),
        Reader(
            "history_classic",
            ".nc",
            _read_history,
            lambda at: _history(at, "NETCDF3_CLASSIC"),
            ("model_adapters.tiegcm", "da.classic_netcdf"),
            BINARY,
        ),
        Reader(
            "history_hdf5", ".nc", _read_history, lambda at: _history(at, "NETCDF4"), ("model_adapters.tiegcm",), BINARY
        ),
        Reader(
            "perturbation_set",
            ".nc",
            lambda path: PerturbationSet.open(path, LAYOUT),
            _perturbations,
            ("da.perturbation_file", "da.perturbation_set"),
            BINARY,
        ),
        Reader(
            "inflation_state",
            ".nc",
            lambda path: read_inflation_state(path, CENTRES),
            _inflation,
            ("da.analysis_storage",),
            BINARY,
        ),
    )
}
"""By name."""


def _of_run_files() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz_run_files", Path(__file__).with_name("run_files.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.run_file_readers(Reader, lambda folder: _history(folder, "NETCDF3_CLASSIC"))


READERS |= {reader.name: reader for reader in _of_run_files()}
