"""Every netCDF file keeps the structural rules of CF-1.11; docs/verification.md names a public checker of all rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from netCDF4 import Dataset

GRACE: dict[str, Any] = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}
TWO_STEP: dict[str, Any] = {
    "satellites": {"grace": GRACE},
    "free_forecasts": {"every_h": 1.0, "length_h": 1.0},
    "analysis": {"adaptive_inflation": {}, "forgetting_factor": None},
}
DIRECT: dict[str, Any] = {
    "data_grid": {"assimilate": False},
    "direct_tracks": {"champ_track": {"satellite": "champ", "window_min": 60.0, "relative_error": 0.1}},
    "analysis": {"variable": "ln_density"},
}
ALONE: dict[str, Any] = {"experiment": {"assimilate": False}}
STANDARD_NAMES = {
    "air_density": "kg m-3",
    "air_temperature": "K",
    "height_above_reference_ellipsoid": "(m|km)",
    "latitude": "degrees_north",
    "longitude": "degrees_east",
    "time": "seconds since 1970-01-01( 00:00:00)?",
}
"""Names used, all of the CF table, with their units or units that convert to them."""

NAMED_BY_DIMENSION = {
    "time": "time",
    "lat": "latitude",
    "latitude": "latitude",
    "lon": "longitude",
    "longitude": "longitude",
    "height": "height",
    "depth": "depth",
    "altitude": "altitude",
    "pressure": "air_pressure",
}
"""What readers take a coordinate for by its name; any other quantity must have another name."""

UNITS = re.compile(
    r"1|percent|h|s|m|km|K|sfu|GW|kV|kg m-3|1e-22 W m-2 Hz-1|degrees_(north|east)|seconds since 1970-01-01( 00:00:00)?"
)


def check(path: Path) -> None:
    """Assert the rules on one file; a section of the conventions follows each."""
    with Dataset(path) as file:
        assert file.Conventions == "CF-1.11", path  # 2.6.1
        assert file.title.strip(), path  # 2.6.2
        for name in (*file.variables, *file.dimensions):
            assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name), (path, name)  # 2.3
        for name, variable in file.variables.items():
            check_variable(file, name, variable, f"{path.name}: {name}")
            if variable.dimensions == (name,):
                check_coordinate(variable, f"{path.name}: {name}")


def check_variable(file: Dataset, name: str, variable: Any, where: str) -> None:
    assert variable.long_name.strip(), where  # 3.2
    # Texts have no units, and items of a configuration have theirs in the name of the key.
    without = variable.dtype is str or variable.dimensions == ("run",)
    units = getattr(variable, "units", "") if without else variable.units
    assert without or UNITS.fullmatch(units), (where, units)  # 3.1
    given = getattr(variable, "standard_name", None)
    if given is not None:
        assert re.fullmatch(STANDARD_NAMES[given], units), where  # 3.3
    for other in getattr(variable, "coordinates", "").split():  # 5
        assert other != name, where
        assert set(file.variables[other].dimensions) <= set(variable.dimensions), (where, other)
    if hasattr(variable, "flag_values"):  # 3.5
        assert variable.flag_values.dtype == variable.dtype, where
        assert len(variable.flag_meanings.split()) == np.size(variable.flag_values), where
    for dimension in variable.dimensions:  # 5.1
        if dimension in NAMED_BY_DIMENSION and dimension in file.variables:
            assert file.variables[dimension].standard_name == NAMED_BY_DIMENSION[dimension], where
    if {"latitude", "longitude"} <= file.variables.keys() - {name} and given not in STANDARD_NAMES:
        places = file.variables["latitude"].dimensions
        if set(places) <= set(variable.dimensions):  # 5.6, 9
            assert {"latitude", "longitude"} <= set(variable.coordinates.split()), where
    if units == "K":  # 3.1.2
        assert variable.units_metadata in ("temperature: on_scale", "temperature: difference"), where


def check_coordinate(variable: Any, where: str) -> None:
    assert not {"_FillValue", "missing_value"} & set(variable.ncattrs()), where  # 2.5.1
    if variable.dtype is not str:
        values = np.asarray(variable[:])
        assert np.isfinite(values).all(), where
        assert np.all(np.diff(values) > 0) or np.all(np.diff(values) < 0), where  # 5
    if getattr(variable, "standard_name", "").startswith("height"):
        assert variable.positive == "up", where  # 4.3


def test_that_every_file_follows_the_structural_rules_of_the_cf_conventions(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    folder = tmp_path / "runs"
    for name, changes in (("two_step", TWO_STEP), ("direct", DIRECT), ("alone", ALONE)):
        own = {"name": name, "output_folder": str(folder / name)} | changes.get("experiment", {})
        file = tiny_experiment(**{**changes, "experiment": own})
        assert command_line("run", file).status == 0
        assert command_line("evaluate", folder / name, "--no-figures").status == 0
    for options in ([], ["--local-time"]):
        assert command_line("density", folder / "two_step", *options).status == 0
        check(folder / "two_step" / "density_statistics.nc")
    assert command_line("collect", folder).status == 0
    files = sorted(folder.rglob("*.nc"))
    free = {"free_forecast_20100405T000000"}
    fields = {"open_loop", "forecast", "analysis", "calibration", "track_champ", "track_grace", "evaluation"}
    assert {path.stem for path in files if path.parent.name == "two_step"} == fields | free | {
        "observations", "filter", "density_statistics"
    }  # fmt: skip
    assert {path.stem for path in files if "key_figures" in str(path)} == {"two_step", "direct", "alone", "key_figures"}
    for path in files:
        check(path)


def test_that_the_numbers_of_a_fresh_run_are_all_known(
    tmp_path: Path, tiny_experiment: Callable[..., Path], command_line: Callable[..., Any]
) -> None:
    assert command_line("run", tiny_experiment()).status == 0
    files = sorted((tmp_path / "runs" / "tiny").glob("*.nc"))
    assert len(files) == 7
    for path in files:
        with Dataset(path) as file:
            for name, variable in file.variables.items():
                assert not np.any(np.ma.getmaskarray(variable[:])), (path.name, name)
                assert np.isfinite(variable[:]).all(), (path.name, name)
