"""The readers of files that runs write themselves, which a kill, a copy or a full disk may damage.

Loaded by file name, by ``readers.py``. Most of them want a whole folder: the seeds make it.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from da.analysis_storage import CENTRE
from da.borrowed_open_loop import borrowed_open_loop
from da.checksums import file_checksum
from da.config import Experiment
from da.errors import ThermodaError
from da.figures.data_grid import filtered_scale_factor
from da.figures.scale_factors import calibrating_track
from da.figures.sub_domains import QUANTITIES, read_sub_domains
from da.input_file import is_there
from da.interruptions import interruptions
from da.key_figures import RunRecord, collect, configuration_items, run_figures, write_run_figures
from da.member_failure_file import COLUMNS, MemberFailureFile
from da.model import ASSIMILATION
from da.parallel import SerialCommunicator
from da.report.configuration import differences_table, whole_table
from da.report.findings import read_filter_counts
from da.report.reported_run import read_runs
from da.report.run_tables import facts_table
from da.restart import BATCH_COLUMNS, FORMAT, newest_description, restored
from da.restart_file import RestartFolder, read_arrays, write_arrays, write_index
from da.run_collection import EvaluatedRun, _record
from da.run_lock import holder_of, is_held
from da.stored_json import read_json
from da.study import ExperimentReader, PlannedRun, State, laid_over, planned
from da.study_runs import evaluated
from da.study_table import OF_FORECAST, study_table
from da.verification import Row
from da.verification.analysis_records import read_analyses
from da.verification.observation_space import read_innovation_statistics
from da.verification.run_folder import open_run, read_track
from da.verification.sampling import Points, open_fields
from da.yaml_source import YamlSource
from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.lower_boundary import LOWER_BOUNDARY_INPUTS, write_lower_boundary_files
from model_adapters.tiegcm.member_folders import DESCRIPTION, MemberFolders
from model_adapters.tiegcm.namelist_settings import LowerBoundaryFiles

START = np.datetime64("2010-04-05T00:00:00", "ns")
STOP = np.datetime64("2010-04-05T02:00:00", "ns")
POINT = "20100405T000000_1_forecast"
JSON_TOKENS = (b"NaN", b"-Infinity", b"1e999", b"9" * 30, b"null", b"true", b"[]", b"{}", b'""', b"[" * 60, b"\\ud800")
NUMBERS = (b"nan", b"-1", b"1e300", b"9" * 30, b'"', b",,", b"\0")
BINARY = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00" * 8, b"\x7f\xf8" + b"\0" * 6)


def all_of(*calls: Callable[[], object]) -> None:
    """Call them all, and raise the error of the first that has one: none may be left out because of another."""
    errors = []
    for call in calls:
        try:
            call()
        except ThermodaError as error:
            errors.append(error)
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _dataset(path: Path) -> Iterator[dict[str, Any]]:
    """Write a netCDF file, and one in the classic format beside it, of variables that the body puts in.

    HDF5 has checksums of its own over most of its structure: hardly a mutation passes them. The library reads both.
    """
    variables: dict[str, Any] = {}
    yield variables
    attributes = variables.pop("attributes", {})
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = xr.Dataset(variables, attrs=attributes)
    labels = [name for name, one in variables.items() if np.asarray(one[1]).dtype.kind == "U"]
    dataset = dataset.set_coords(labels)
    for target, kind in ((path, "NETCDF4"), (_classic(path), "NETCDF3_CLASSIC")):
        dataset.to_netcdf(target, engine="netcdf4", format=kind)


def _classic(path: Path) -> Path:
    return path.with_suffix(".classic")


def _both(path: Path) -> list[bytes]:
    return [path.read_bytes(), _classic(path).read_bytes()]


def _times(count: int) -> np.ndarray[Any, Any]:
    return START + np.arange(count) * np.timedelta64(3600, "s").astype("m8[ns]")


def _restart_point(folder: Path) -> list[bytes]:
    point = folder / "points" / POINT
    point.mkdir(parents=True, exist_ok=True)
    members = {f"{ASSIMILATION}.states": np.arange(6.0).reshape(3, 2), f"{ASSIMILATION}.perturbation.f107": np.ones(2)}
    waiting = {f"waiting.0.{name}": np.full(1, 2.0) for name in BATCH_COLUMNS} | {"waiting.0.forecast": np.ones((1, 2))}
    common = waiting | {
        "share.0": np.arange(3),
        "inflation.mean": np.ones(2),
        "inflation.standard_deviation": np.ones(2),
    }
    checksum = write_arrays(point / "members_00000.arrays", members)
    batch = {"name": "a", "source": "b", "time": str(START), "operator": "density"}
    write_index(
        point,
        {
            "format": FORMAT,
            "time": str(START),
            "phase": "forecast",
            "members": [{"file": "members_00000.arrays", "numbers": {ASSIMILATION: [0, 1]}, "sha256": checksum}],
            "waiting": [batch],
            "counted": {"done": 1},
            "stopped_by": "",
            "common": {"file": "common.arrays", "sha256": write_arrays(point / "common.arrays", common)},
            "run": {"configuration": {}, "inputs": {}, "code": {}, "files": {}},
        },
    )
    return [(point / "index.json").read_bytes()]


def _read_restart_index(path: Path) -> object:
    """Read a restart point with the checksum of its index mended, or hardly a mutation would pass it."""
    with contextlib.suppress(OSError, ValueError):
        whole = read_json(path)
        if isinstance(whole, dict) and isinstance(whole.get("content"), dict):
            text = json.dumps(whole["content"], sort_keys=True, separators=(",", ":"))
            path.write_text(json.dumps(whole | {"sha256": hashlib.sha256(text.encode()).hexdigest()}))
    folder = RestartFolder(path.parent.parent)
    newest_description(folder)
    forecasts: Any = SimpleNamespace(model=object())
    return restored(SerialCommunicator(), folder, forecasts)


def _arrays(folder: Path) -> list[bytes]:
    path = folder / "whole.arrays"
    write_arrays(path, {"a": np.arange(6.0).reshape(3, 2), "b": np.array([1, 2]), "c": np.array(["x"])})
    return [path.read_bytes()]


def _read_arrays(path: Path) -> object:
    """Read arrays, which must be those that were written or none at all."""
    found = read_arrays(path, file_checksum(path.with_name("whole.arrays")))
    if found["a"].tolist() != np.arange(6.0).reshape(3, 2).tolist():
        raise ValueError("other arrays than were written")
    return found


EXPERIMENT = """\
experiment: {name: tiny, start: 2010-04-05T00:00:00Z, stop: 2010-04-05T01:00:00Z, seed: 7, output_folder: OUTPUT}
satellites:
  champ: {synthetic: {altitude_km: 302, inclination_deg: 87.3, sampling_s: 120}}
calibration: {satellite: champ}
observation_error: {weight_p0: 4.0, half_life_vertical_km: .inf}
model: {adapter: msis_relaxation, settings: {resolution_deg: 30.0}}
ensemble: {members: 4, spin_up_days: 0.0, perturbations: {f107_sfu: {standard_deviation: 8.0, truncation: 24.0}}}
analysis: {interval_h: 1.0, localization: {cutoff_radius_cells: 4.0, weighting: uniform}}
"""


def _experiment(folder: Path, output: Path, more: str = "") -> Experiment:
    path = folder / f"{output.name}.yaml"
    path.write_text(EXPERIMENT.replace("OUTPUT", str(output)) + more, encoding="utf-8")
    return _validated(path)


def _validated(path: Path) -> Experiment:
    return YamlSource.read(path).validate(Experiment)


def _same(experiment: Experiment) -> Experiment:
    return experiment


READER = ExperimentReader(lambda source: source.validate(Experiment), _same)


def _run(folder: Path) -> list[bytes]:
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    for name in ("open_loop.nc", "forecast.nc", "analysis.nc", "track_champ.nc"):
        (run / name).touch()
    experiment = _experiment(folder, run)
    _experiment(folder, folder / "other", "open_loop: {from_run: ../run}\n")
    content = {
        "name": "tiny",
        "start": "2010-04-05T00:00:00Z",
        "stop": "2010-04-05T01:00:00Z",
        "satellites": ["champ"],
        "model": "msis_relaxation",
        "members": 4,
        "seed": 7,
        "ranks": 1,
        "finished": "2026-11-21T00:00:00",
        "commit": "none",
        "phase_seconds": {"open loop": 1.0},
        "member_failures": {"dropped": 0},
        "open_loop_from": {"run": "a", "folder": "b"},
        "configuration": json.loads(experiment.model_dump_json()),
        "complete": True,
    }
    return [json.dumps(content).encode()]


def _read_provenance(path: Path) -> None:
    run, folder = path.parent, path.parent.parent
    experiment = _validated(folder / "run.yaml")
    borrower = _validated(folder / "other.yaml")

    def report() -> None:
        runs = read_runs([run])
        for table in (facts_table(runs), differences_table(runs), whole_table(runs[0])):
            "".join(str(cell) for column in table.columns for cell in column.cells)

    all_of(
        lambda: open_run(run),
        report,
        lambda: planned(folder / "run.yaml", experiment, READER),
        lambda: _record(EvaluatedRun(run, None), _same),
        lambda: borrowed_open_loop(borrower),
    )


def _interruptions(folder: Path) -> list[bytes]:
    return [json.dumps([{"resumed": "2026-11-21", "ranks": 1, "damaged_restart_points": []}]).encode()]


def _read_interruptions(path: Path) -> None:
    if not all(isinstance(one, dict) for one in interruptions(path.parent)):
        raise ValueError("an interruption that says nothing")


def _lock(folder: Path) -> list[bytes]:
    return [json.dumps({"process": 1, "host": "here", "since": "now"}).encode(), b""]


def _failures(folder: Path) -> list[bytes]:
    rows = [COLUMNS, *[["2010-04-05T00:00:00", "open_loop", number, "dropped", *[""] * 5, "a, b"] for number in (0, 1)]]
    path = folder / "failures.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return [path.read_bytes()]


def _track(folder: Path, name: str = "track.nc") -> list[bytes]:
    with _dataset(folder / name) as file:
        file["time"] = ("time", _times(4))
        for column in ("latitude", "longitude", "kp"):
            file[column] = ("time", np.arange(4.0))
        for column in ("density", "density_msis", "density_calibrated_msis"):
            file[column] = ("time", np.full(4, 1e-12))
        file["altitude"], file["unmodelled_mass_ratio"] = ("time", np.full(4, 400.0)), ("time", np.ones(4))
        file["attributes"] = {"satellite": "champ", "role": "assimilated", "smoothing_s": 0.0}
    return _both(folder / name)


def _fields(folder: Path, name: str = "fields.nc") -> list[bytes]:
    latitude, longitude = np.array([-45.0, 45.0]), np.array([0.0, 90.0, 180.0, 270.0])
    with _dataset(folder / name) as file:
        file["time"], file["level"] = ("time", _times(2)), ("level", np.arange(3.0))
        file["lat"], file["lon"] = ("lat", latitude), ("lon", longitude)
        file["data_alt"] = ("data_alt", np.array([300.0, 400.0]))
        file["data_lat"], file["data_lon"] = ("data_lat", latitude), ("data_lon", longitude)
        profile = np.broadcast_to(np.array([3.0, 2.0, 1.0])[:, None, None], (2, 3, 2, 4)).astype(np.float32)
        file["density"] = (("time", "level", "lat", "lon"), 1e-12 * profile)
        file["height"] = (("time", "level", "lat", "lon"), 1e5 * (6.0 - profile))
        for column in ("data_grid_density", "data_grid_density_spread"):
            file[column] = (("time", "data_alt", "data_lat", "data_lon"), np.full((2, 2, 2, 4), 1e-12, np.float32))
    return _both(folder / name)


def _read_fields(path: Path) -> None:
    points = Points(_times(2), np.array([10.0, -80.0]), np.array([20.0, -170.0]), np.array([350.0, 390.0]))
    with open_fields(path) as fields:
        for record in range(min(fields.time.size, 2)):
            fields.sample(record, points)


def _observations(folder: Path) -> list[bytes]:
    along = ("time", "observation")
    names = ("latitude", "longitude", "altitude", "error_standard_deviation", "density")
    with _dataset(folder / "valid.nc") as file:
        file["time"] = ("time", _times(2))
        for name in (*names, "forecast_mean", "forecast_spread", "analysis_mean", "analysis_spread"):
            file[name] = (along, np.arange(1.0, 7.0).reshape(2, 3))
        file["used"] = (along, np.ones((2, 3), dtype=np.int8))
    return _both(folder / "valid.nc")


def _filter(folder: Path) -> list[bytes]:
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    _fields(run, "analysis.nc")
    with _dataset(folder / "valid.nc") as file:
        file["time"] = ("time", _times(2))
        for name, values in zip(CENTRE, ([0.0, 1.0], [0.0, 0.0], [2.0, 2.0]), strict=True):
            file[name] = ("sub_domain", np.array(values))
        for name in QUANTITIES:
            file[name] = (("time", "sub_domain"), np.ones((2, 2)))
        file["constraint"] = ("constraint", np.arange(2), {"flag_meanings": "one two"})
        file["constraint_hits"] = (("time", "constraint"), np.ones((2, 2), dtype=np.int64))
        file["members_replaced"], file["unobserved_sub_domains"] = ("time", np.ones(2)), ("time", np.zeros(2))
    return _both(folder / "valid.nc")


def _calibration(folder: Path) -> list[bytes]:
    _track(folder / "run", "track_champ.nc")
    with _dataset(folder / "valid.nc") as file:
        file["time"], file["ln_factor_filtered"] = ("time", _times(3)), ("time", np.array([0.1, 0.2, 0.1]))
        file["attributes"] = {"satellite": "champ"}
    return _both(folder / "valid.nc")


def _evaluation(folder: Path) -> list[bytes]:
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    (run / "provenance.json").write_text("{}")
    with _dataset(folder / "valid.nc") as file:
        file["satellite_name"], file["role"] = ("satellite", ["champ"]), ("satellite", ["assimilated"])
        file["row_name"], file["group_name"] = ("row", [str(row) for row in Row]), ("group", ["all", "Kp: 0 to 2"])
        for name in ("rms_log_ratio", *OF_FORECAST):
            file[name] = (("satellite", "group", "row"), np.full((1, 2, len(Row)), 0.2))
    return _both(folder / "valid.nc")


RECORD = RunRecord("tiny", "complete", 1.0, 2.0, {"ensemble.members": 4, "model.adapter": "a"}, ("ensemble.members",))


def _read_evaluation(path: Path) -> object:
    # Only an evaluation that is newer than its run is read; an older one is made anew.
    return run_figures(RECORD, evaluated(path.parent)) if path.is_file() else evaluated(path.parent)


def _key_figures(folder: Path) -> list[bytes]:
    study, source = folder / "study", folder / "evaluation.nc"
    experiment = _experiment(folder, folder / "tiny")
    source.write_bytes(_evaluation(folder / "of_run")[0])
    with xr.open_dataset(source, engine="netcdf4") as dataset:
        evaluation = dataset.load()
    record = RunRecord("other", "complete", 1.0, 2.0, configuration_items(experiment))
    write_run_figures(study, run_figures(record, evaluation))
    path = write_run_figures(study, run_figures(RECORD, evaluation))
    with xr.open_dataset(path, engine="netcdf4") as dataset:
        dataset.load().to_netcdf(_classic(source), engine="netcdf4", format="NETCDF3_CLASSIC")
    return [path.read_bytes(), _classic(source).read_bytes()]


def _read_key_figures(path: Path) -> object:
    study = path.parent.parent
    experiment = _validated(study.parent / "tiny.yaml")
    return study_table(collect(study), [PlannedRun(path, experiment, State.COMPLETE)])


def _overlays(folder: Path) -> list[bytes]:
    _experiment(folder, folder / "base")
    return [
        b"ensemble: {members: 8}\nanalysis:\n  interval_h: 0.5\n",
        b"experiment: {seed: 3}\nobservation_error: {weight_p0: 2.0}\n",
    ]


def _read_overlay(path: Path) -> object:
    return laid_over([YamlSource.read(path.with_name("base.yaml"))], YamlSource.read(path), "laid", READER)


DESCRIBED = {"experiment.seed": 7, "drivers.table": None, "ensemble.members": [1, 2]}


def _description(folder: Path) -> list[bytes]:
    return [json.dumps(DESCRIBED).encode()]


def _read_description(path: Path) -> object:
    return MemberFolders(path.parent.parent).claim(path.parent.name, DESCRIBED)


def _lower_boundary(folder: Path, history: Callable[[Path], list[bytes]]) -> list[bytes]:
    (folder / "history.nc").write_bytes(history(folder)[0])
    header = read_header(folder / "history.nc")
    write_lower_boundary_files(folder, header, START, STOP, {LOWER_BOUNDARY_INPUTS[0]: 5.0}, LowerBoundaryFiles())
    with _dataset(folder / "gswm.nc") as file:
        shape = (24, 12, header.latitude.size, header.longitude.size)
        for name in ("Z", "TN", "UN", "VN"):
            file[name] = (("time", "nmonth", "lat", "lon"), np.zeros(shape, np.float32))
    return [(folder / "saber.nc").read_bytes(), (folder / "gswm.nc").read_bytes()]


def _read_lower_boundary(path: Path) -> object:
    header, target = read_header(path.with_name("history.nc")), path.parent / "target"
    target.mkdir(exist_ok=True)
    tidal = is_there(path) and b"nmonth" in path.read_bytes()
    files = LowerBoundaryFiles(**{"gswm_mi_di_file" if tidal else "saber_file": str(path)})
    return write_lower_boundary_files(target, header, START, STOP, {LOWER_BOUNDARY_INPUTS[0]: 5.0}, files)


def run_file_readers(reader: type[Any], history: Callable[[Path], list[bytes]]) -> tuple[Any, ...]:
    """Return the readers of this file; they are made by a class that ``readers.py`` has.

    Parameters
    ----------
    reader : type
        Of a reader under test.
    history : callable
        Makes a primary history, whose grid a lower boundary has.
    """
    stored = ("da.stored_dataset",)
    json_modules = ("da.stored_json", "da.stored_provenance", "json")

    def of_json(name: str, file: str, read: Any, seeds: Any, *modules: str) -> Any:
        return reader(name, ".json", read, seeds, (*json_modules, *modules), JSON_TOKENS, file)

    def of_netcdf(name: str, file: str, read: Any, seeds: Any, *modules: str) -> Any:
        return reader(name, ".nc", read, seeds, (*stored, *modules), BINARY, file)

    return (
        of_json(
            "restart_index",
            f"points/{POINT}/index.json",
            _read_restart_index,
            _restart_point,
            "da.restart",
            "da.restart_file",
            "da.restart_members",
        ),
        reader("restart_arrays", ".arrays", _read_arrays, _arrays, ("da.restart_file",), BINARY),
        of_json(
            "provenance",
            "run/provenance.json",
            _read_provenance,
            _run,
            "da.verification.run_folder",
            "da.report",
            "da.study",
            "da.borrowed_open_loop",
        ),
        of_json("interruptions", "interruptions.json", _read_interruptions, _interruptions, "da.interruptions"),
        of_json("lock", "lock", lambda path: (holder_of(path.parent), is_held(path.parent)), _lock, "da.run_lock"),
        reader(
            "member_failures",
            ".csv",
            lambda path: MemberFailureFile(path, kept=2),
            _failures,
            ("da.member_failure_file",),
            NUMBERS,
        ),
        of_netcdf("track", "", lambda path: read_track(path).usable(), _track, "da.verification.run_folder"),
        of_netcdf("fields", "", _read_fields, _fields, "da.verification.sampling", "da.operators"),
        of_netcdf(
            "observations",
            "run/observations.nc",
            lambda path: all_of(lambda: read_innovation_statistics(path), lambda: read_analyses(path.parent)),
            _observations,
            "da.verification.observation_space",
            "da.verification.analysis_records",
        ),
        of_netcdf(
            "filter",
            "run/filter.nc",
            lambda path: all_of(lambda: read_filter_counts(path), lambda: read_sub_domains(path.parent)),
            _filter,
            "da.report.findings",
            "da.figures.sub_domains",
        ),
        of_netcdf(
            "calibration",
            "run/calibration.nc",
            lambda path: all_of(
                lambda: filtered_scale_factor(path.parent, _times(2)), lambda: calibrating_track(path.parent)
            ),
            _calibration,
            "da.figures.data_grid",
            "da.figures.scale_factors",
        ),
        of_netcdf("evaluation", "run/evaluation.nc", _read_evaluation, _evaluation, "da.study_runs", "da.key_figures"),
        of_netcdf(
            "key_figures",
            "study/key_figures/tiny.nc",
            _read_key_figures,
            _key_figures,
            "da.key_figures",
            "da.study_table",
        ),
        reader(
            "overlay",
            ".yaml",
            _read_overlay,
            _overlays,
            ("da.study", "da.inheritance", "da.yaml_source"),
            (b"<<: ", b"*a", b"&a ", b"? ", b"null", b"inherits: ", b"experiment: ", b"output_folder: "),
        ),
        of_json(
            "spin_up_description",
            f"ensemble/{DESCRIPTION}",
            _read_description,
            _description,
            "model_adapters.tiegcm.member_folders",
        ),
        of_netcdf(
            "lower_boundary",
            "",
            _read_lower_boundary,
            lambda folder: _lower_boundary(folder, history),
            "model_adapters.tiegcm.lower_boundary",
            "da.classic_netcdf",
        ),
    )
