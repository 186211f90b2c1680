"""What the reader finds in a history, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset
from numpy.testing import assert_array_equal

from da.errors import ThermodaError
from model_adapters.tiegcm.history import REQUIRED, read_header

HISTORY = Callable[..., Path]
VERSIONS = ("2.0", "3.0")


def _edit(path: Path, change: Callable[[Dataset], None]) -> Path:
    with Dataset(path, "r+") as dataset:
        dataset.set_auto_maskandscale(False)
        change(dataset)
    return path


def _without(source: Path, target: Path, *names: str) -> Path:
    """Copy a history without some variables."""
    with Dataset(source) as old, Dataset(target, "w", format=old.data_model) as new:
        old.set_auto_maskandscale(False)
        new.setncatts({name: old.getncattr(name) for name in old.ncattrs()})
        for name, dimension in old.dimensions.items():
            new.createDimension(name, None if dimension.isunlimited() else dimension.size)
        for name, variable in old.variables.items():
            if name not in names:
                copy = new.createVariable(name, variable.dtype, variable.dimensions)
                copy[...] = variable[...]
    return target


@pytest.mark.parametrize("file_format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4"])
@pytest.mark.parametrize("version", VERSIONS)
def test_that_the_length_of_mtime_tells_the_version_whatever_the_kind_of_netcdf(
    tmp_path: Path, small_history: HISTORY, version: str, file_format: str
) -> None:
    header = read_header(small_history(tmp_path / "a.nc", version, file_format=file_format))
    assert header.version == version
    assert header.file_format.startswith(file_format[:7])
    assert header.step_s == {"2.0": 60, "3.0": 30}[version]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("levels", "level_step", "latitudes", "longitudes"),
    [(29, 0.5, 36, 72), (57, 0.25, 6, 12), (4, 0.25, 72, 144), (33, 0.5, 2, 2)],
)
def test_that_grid_and_pressure_come_from_the_file_at_any_size(
    tmp_path: Path,
    small_history: HISTORY,
    version: str,
    levels: int,
    level_step: float,
    latitudes: int,
    longitudes: int,
) -> None:
    sizes = {"levels": levels, "level_step": level_step, "latitudes": latitudes, "longitudes": longitudes}
    header = read_header(small_history(tmp_path / "a.nc", version, **sizes))
    assert header.grid.shape == (levels, latitudes, longitudes)
    assert header.level_step == level_step
    assert header.longitude[0] == -180.0
    assert header.latitude[0] == -90.0 + 90.0 / latitudes
    # FORMAT: the interface zp = -7 lies at 5.48e-2 Pa.
    assert header.interface_pressure[0] == pytest.approx(5.48e-2, rel=1e-3)
    # One step of zp is one e-folding of pressure per unit.
    assert header.pressure[1] / header.pressure[0] == pytest.approx(np.exp(-level_step), rel=1e-12)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_records_are_found_by_their_time_across_a_year_end(
    tmp_path: Path, small_history: HISTORY, version: str
) -> None:
    times = np.datetime64("2004-12-31T23:00", "ns") + np.timedelta64(30, "m") * np.arange(4)
    path = small_history(tmp_path / "a.nc", version, times=times)
    header = read_header(path)
    assert_array_equal(header.times, times)
    assert [header.index_of(time) for time in times] == [0, 1, 2, 3]
    with pytest.raises(ThermodaError) as error:
        header.index_of(np.datetime64("2005-01-01T02:00"))
    assert str(error.value) == (
        f"{path}: has no history of 2005-01-01T02:00:00; it holds 2004-12-31T23:00:00, 2004-12-31T23:30:00, "
        "2005-01-01T00:00:00, 2005-01-01T00:30:00"
    )


def test_that_a_time_held_twice_is_refused(tmp_path: Path, small_history: HISTORY) -> None:
    time = np.datetime64("2002-03-22", "ns")
    header = read_header(small_history(tmp_path / "a.nc", times=(time, time)))
    with pytest.raises(ThermodaError, match="holds the time 2002-03-22T00:00:00 2 times; it must be there once"):
        header.index_of(time)


def test_that_scalars_are_numbers_where_used_and_nan_where_not(tmp_path: Path, small_history: HISTORY) -> None:
    scalars = read_header(small_history(tmp_path / "a.nc", scalars={"f107d": 151.0, "Kp": 5.0})).scalars
    assert scalars["f107d"] == [151.0]
    assert scalars["Kp"] == [5.0]
    assert np.isnan(scalars["bzimf"][0])
    assert "time" not in scalars


@pytest.mark.parametrize("name", REQUIRED)
def test_that_a_file_without_a_needed_variable_is_refused_by_its_name(
    tmp_path: Path, small_history: HISTORY, name: str
) -> None:
    path = _without(small_history(tmp_path / "a.nc", latitudes=2, longitudes=2, levels=4), tmp_path / "b.nc", name)
    with pytest.raises(ThermodaError) as error:
        read_header(path)
    assert str(error.value) == f"{path}: is not a TIE-GCM primary history: it has no {name}"


def test_that_a_secondary_history_is_refused_with_what_it_lacks(real_history: dict[str, Path]) -> None:
    with pytest.raises(ThermodaError, match="calls itself secondary: it has no UN, VN, TI, TE, TN_NM, .* and 4 more"):
        read_header(real_history["secondary"])


CHANGES: list[tuple[str, Callable[[Dataset], Any]]] = [
    ("its history_type is 'secondary'; it must be 'primary'", lambda d: d.setncattr("history_type", "secondary")),
    ("tuv_lbc_intop must be there and 0", lambda d: d.setncattr("tuv_lbc_intop", np.int32(1))),
    ("tuv_lbc_intop must be there and 0", lambda d: d.delncattr("tuv_lbc_intop")),
    ("mtime 400 0 0 is no time of the year 2002", lambda d: d["mtime"].__setitem__(0, [400, 0, 0])),
    ("reference pressure p0 is 0.0001 Pa; it must be 5e-05 Pa", lambda d: d["p0_model"].__setitem__(..., 1e-3)),
    ("lev must be two or more values that increase", lambda d: d["lev"].__setitem__(1, 7.0)),
    ("ilev must lie half a step below lev", lambda d: d["ilev"].__setitem__(slice(None), d["lev"][:])),
]


@pytest.mark.parametrize(("message", "change"), CHANGES)
def test_that_a_history_with_a_fault_is_refused_by_one_line_with_its_name(
    tmp_path: Path, small_history: HISTORY, message: str, change: Callable[[Dataset], None]
) -> None:
    path = _edit(small_history(tmp_path / "a.nc"), change)
    with pytest.raises(ThermodaError, match=message) as error:
        read_header(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_that_absent_foreign_and_empty_files_are_refused(tmp_path: Path, small_history: HISTORY) -> None:
    with pytest.raises(ThermodaError, match="there is no such file"):
        read_header(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("&tgcm_input /")
    with pytest.raises(ThermodaError, match="cannot be read as netCDF"):
        read_header(tmp_path / "text.nc")
    with pytest.raises(ThermodaError, match="holds no history"):
        read_header(small_history(tmp_path / "a.nc", times=()))
    with pytest.raises(ThermodaError, match="has 3 levels; at least 4"):
        read_header(small_history(tmp_path / "b.nc", levels=3))


@pytest.mark.parametrize("file_format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("lost", [8, 1000, 100_000])
def test_that_a_classic_file_cut_short_is_refused_where_the_library_would_read_zeros(
    tmp_path: Path, small_history: HISTORY, file_format: str, lost: int
) -> None:
    times = np.datetime64("2002-03-22", "ns") + np.timedelta64(1, "h") * np.arange(2)
    path = small_history(tmp_path / "a.nc", file_format=file_format, times=times)
    size = path.stat().st_size
    assert read_header(path).times.size == 2
    with path.open("r+b") as stream:
        stream.truncate(size - lost)
    with pytest.raises(ThermodaError, match=f"is cut short: it has {size - lost} bytes and must have {size}"):
        read_header(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.6, 0.99])
@pytest.mark.parametrize("version", VERSIONS)
def test_that_a_file_cut_anywhere_gives_one_clear_error(
    tmp_path: Path, small_history: HISTORY, version: str, share: float
) -> None:
    path = small_history(tmp_path / "a.nc", version)
    with path.open("r+b") as stream:
        stream.truncate(int(share * path.stat().st_size))
    with pytest.raises(ThermodaError, match=r"cut short|cannot be read|is not a TIE-GCM primary history") as error:
        read_header(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_the_real_histories_are_read(tmp_path: Path, real_history: dict[str, Path], version: str) -> None:
    header = read_header(real_history[version])
    assert header.version == version
    assert header.file_format == {"2.0": "NETCDF3_CLASSIC", "3.0": "NETCDF4"}[version]
    assert header.grid.shape == (29, 36, 72)
    assert header.level[[0, -1]].tolist() == [-6.75, 7.25]
    assert header.interface[[0, -1]].tolist() == [-7.0, 7.0]
    time = {"2.0": "2002-03-24T00:00", "3.0": "2002-03-22T00:10"}[version]
    assert header.index_of(np.datetime64(time)) == 0
    assert header.step_s == {"2.0": 60, "3.0": 30}[version]
    assert header.scalars["ctpoten"] == [30.0]
    assert np.isnan(header.scalars["Kp"][0])


def test_that_a_real_history_cut_short_is_refused(tmp_path: Path, real_history: dict[str, Path]) -> None:
    for version in VERSIONS:
        path = tmp_path / f"{version}.nc"
        shutil.copyfile(real_history[version], path)
        with path.open("r+b") as stream:
            stream.truncate(path.stat().st_size - 10_000)
        with pytest.raises(ThermodaError, match=r"cut short|cannot be read"):
            read_header(path)
