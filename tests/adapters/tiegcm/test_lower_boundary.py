"""Files of members' own lower boundaries, read back as the model reads them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset

from da.errors import ThermodaError
from model_adapters.tiegcm.history import HistoryHeader, read_header
from model_adapters.tiegcm.lower_boundary import LOWER_BOUNDARY_INPUTS, write_lower_boundary_files
from model_adapters.tiegcm.namelist_rules import LONGEST_PATH
from model_adapters.tiegcm.namelist_settings import LowerBoundaryFiles

TEMPERATURE, HEIGHT, ZONAL, MERIDIONAL = LOWER_BOUNDARY_INPUTS
START = np.datetime64("2002-12-31T22:10", "ns")
STOP = np.datetime64("2003-01-01T00:00", "ns")
OFFSETS = {TEMPERATURE: 3.0, HEIGHT: -70.0, ZONAL: 5.0, MERIDIONAL: -6.5}
NONE = LowerBoundaryFiles()
SHAPE = (4, 8)

Write = Callable[..., dict]


@pytest.fixture
def header(small_history: Callable[..., Path], tmp_path: Path) -> HistoryHeader:
    """Header of a history of 4 x 8 columns."""
    return read_header(small_history(tmp_path / "analysis.nc", "2.0", latitudes=SHAPE[0], longitudes=SHAPE[1]))


@pytest.fixture
def write(header: HistoryHeader, tmp_path: Path) -> Write:
    """Write the files of a member into ``tmp_path / "member"``."""
    folder = tmp_path / "member"
    folder.mkdir()

    def call(offsets: Mapping[str, float], background: LowerBoundaryFiles = NONE, start=START, stop=STOP) -> dict:
        return write_lower_boundary_files(folder, header, start, stop, offsets, background)

    return call


@pytest.fixture
def member_folder(tmp_path: Path, write: Write) -> Path:
    """Folder of the member."""
    return tmp_path / "member"


def contents(path: Path) -> dict[str, np.ndarray]:
    with Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return {name: np.asarray(variable[:]) for name, variable in file.variables.items()}


def write_hourly(
    path: Path, names: Mapping[str, str], *, first: str = "2002-12-31T20", hours: int = 8, shape: tuple = SHAPE
) -> Path:
    """Write an hourly climatology of the user with random fields; names of variables -> units."""
    time = np.datetime64(first, "h") + np.arange(hours) * np.timedelta64(1, "h")
    rng = np.random.default_rng(5)
    with Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        for name, size in zip(("time", "lat", "lon"), (hours, *shape), strict=True):
            file.createDimension(name, size)
        year = time.astype("M8[Y]")
        file.createVariable("year", "i4", ("time",))[:] = year.astype(int) + 1970
        file.createVariable("day", "i4", ("time",))[:] = (time.astype("M8[D]") - year.astype("M8[D]")).astype(int) + 1
        file.createVariable("hour", "i4", ("time",))[:] = (time - time.astype("M8[D]")).astype(int)
        for name, units in names.items():
            variable = file.createVariable(name, "f8", ("time", "lat", "lon"))
            variable.setncatts({"units": units, "missing_data": -999.0})
            variable[:] = rng.normal(size=(hours, *shape))
            variable[0, 0, 0] = -999.0
    return path


def write_gswm(path: Path, *, kind: str = "f8", order: tuple = ("time", "nmonth", "lat", "lon")) -> Path:
    """Write tides in the layout of GSWM files with random fields."""
    sizes = {"time": 24, "nmonth": 12, "lat": SHAPE[0], "lon": SHAPE[1]}
    rng = np.random.default_rng(6)
    with Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        for name, size in sizes.items():
            file.createDimension(name, size)
        for name in ("Z", "TN", "UN", "VN"):
            shape = tuple(sizes[one] for one in order)
            file.createVariable(name, kind, order)[:] = rng.normal(scale=20.0, size=shape)
    return path


def test_that_no_files_are_written_where_nothing_is_perturbed(write: Write, member_folder: Path) -> None:
    assert write({}) == {}
    assert write(dict.fromkeys(LOWER_BOUNDARY_INPUTS, 0.0) | {"f107_sfu": 5.0}) == {}
    assert list(member_folder.iterdir()) == []


def test_that_offsets_are_uniform_fields_in_the_units_of_the_model(write: Write, member_folder: Path) -> None:
    entries = write(OFFSETS)
    assert entries == {"SABER_NCFILE": ("saber.nc",), "TIDI_NCFILE": ("tidi.nc",)}
    for file_name, expected in (
        ("saber.nc", {"T": ("deg K", 3.0), "Z": ("km", -0.07)}),
        ("tidi.nc", {"U": ("m/s", 5.0), "V": ("m/s", -6.5)}),
    ):
        with Dataset(member_folder / file_name) as file:
            assert file.data_model == "NETCDF3_CLASSIC"
            for name, (units, value) in expected.items():
                variable = file[name]
                assert variable.dimensions == ("time", "lat", "lon")
                assert variable.shape[1:] == SHAPE
                assert variable.dtype == np.float64
                assert variable.units == units
                np.testing.assert_allclose(variable[:], value, rtol=1e-15)


def test_that_the_number_for_missing_data_is_given_and_occurs_nowhere(write: Write, member_folder: Path) -> None:
    # Without the attribute the model compares with whatever is in memory, zero as often as not.
    write({TEMPERATURE: 3.0})
    with Dataset(member_folder / "saber.nc") as file:
        for name in ("T", "Z"):
            assert not np.any(np.asarray(file[name][:]) == file[name].missing_data)


def test_that_one_offset_brings_its_file_alone_and_the_other_variable_is_zero(
    write: Write, member_folder: Path
) -> None:
    assert write({HEIGHT: 100.0}) == {"SABER_NCFILE": ("saber.nc",)}
    found = contents(member_folder / "saber.nc")
    assert np.all(found["T"] == 0.0)
    np.testing.assert_allclose(found["Z"], 0.1)
    assert write({MERIDIONAL: 1.0}) == {"TIDI_NCFILE": ("tidi.nc",)}


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("2002-12-31T22:10", "2003-01-01T00:00"),
        ("2004-02-29T00:00", "2004-02-29T01:00"),
        ("2003-12-31T00:00", "2004-01-01T00:00"),
        ("2004-12-30T23:59", "2004-12-31T12:30"),
        ("2002-01-01T00:00", "2002-01-01T00:10"),
    ],
)
def test_that_the_hours_bracket_the_run_in_the_fractions_of_a_year_that_the_model_computes(
    write: Write, member_folder: Path, start: str, stop: str
) -> None:
    write(OFFSETS, start=np.datetime64(start, "ns"), stop=np.datetime64(stop, "ns"))
    found = contents(member_folder / "saber.nc")

    def fraction(year: np.ndarray, day: np.ndarray, hour: np.ndarray) -> np.ndarray:
        return year + (day - 1 + hour / 24.0) / np.where(year % 4 == 0, 366.0, 365.0)

    data = fraction(found["year"], found["day"], found["hour"])
    assert np.all(np.diff(data) > 0)
    year = int(start[:4])
    for time in (start, stop):
        since = (np.datetime64(time) - np.datetime64(f"{year}-01-01")) / np.timedelta64(1, "h")
        model = fraction(np.array(year), np.array(since // 24 + 1), np.array(since % 24))
        assert np.sum((data[:-1] <= model) & (data[1:] >= model)) >= 1
        # Single precision tells hours of a year apart badly; half an hour to spare on both sides even so.
        assert data[0] + 0.5 / 8784 < model < data[-1] - 0.5 / 8784


def test_that_offsets_are_added_to_a_climatology_whose_missing_values_stay(
    write: Write, member_folder: Path, tmp_path: Path
) -> None:
    saber = write_hourly(tmp_path / "my_saber.nc", {"T": "deg K", "Z": "cm"})
    tidi = write_hourly(tmp_path / "my_tidi.nc", {"U": "m/s", "V": "cm/s"})
    before = contents(saber)
    entries = write(OFFSETS, LowerBoundaryFiles(saber_file=str(saber), tidi_file=str(tidi)))
    assert entries == {"SABER_NCFILE": ("saber.nc",), "TIDI_NCFILE": ("tidi.nc",)}
    for original, copy, added in (
        (saber, "saber.nc", {"T": 3.0, "Z": -7000.0}),
        (tidi, "tidi.nc", {"U": 5.0, "V": -650.0}),
    ):
        old, new = contents(original), contents(member_folder / copy)
        for name, value in added.items():
            valid = old[name] != -999.0
            np.testing.assert_allclose((new[name] - old[name])[valid], value, rtol=1e-12)
            assert np.all(new[name][~valid] == -999.0)
        np.testing.assert_array_equal(new["hour"], old["hour"])
    np.testing.assert_array_equal(contents(saber)["T"], before["T"])


def test_that_a_member_without_offsets_gets_a_link_of_a_short_name(
    write: Write, member_folder: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    saber = write_hourly(deep / "saber.nc", {"T": "deg K", "Z": "km"})
    for offsets in ({}, {ZONAL: 5.0}, {}):
        entries = write(offsets, LowerBoundaryFiles(saber_file=str(saber)))
        assert entries["SABER_NCFILE"] == ("saber.nc",)
        assert (member_folder / "saber.nc").resolve() == saber.resolve()
    assert all(len(name) <= LONGEST_PATH for names in entries.values() for name in names)


def test_that_a_copy_replaces_a_link_without_touching_what_it_pointed_to(
    write: Write, member_folder: Path, tmp_path: Path
) -> None:
    saber = write_hourly(tmp_path / "saber.nc", {"T": "deg K", "Z": "km"})
    before = saber.read_bytes()
    write({}, LowerBoundaryFiles(saber_file=str(saber)))
    write({TEMPERATURE: 5.0}, LowerBoundaryFiles(saber_file=str(saber)))
    assert not (member_folder / "saber.nc").is_symlink()
    assert saber.read_bytes() == before


@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_that_offsets_are_added_once_to_the_sum_of_tidal_files(
    write: Write, member_folder: Path, tmp_path: Path, kind: str
) -> None:
    diurnal, semi = write_gswm(tmp_path / "diurnal.nc", kind=kind), write_gswm(tmp_path / "semi.nc", kind=kind)
    files = LowerBoundaryFiles(gswm_mi_di_file=str(diurnal), gswm_mi_sdi_file=str(semi))
    entries = write(OFFSETS, files)
    assert entries == {"GSWM_MI_DI_NCFILE": ("gswm_mi_di.nc",), "GSWM_MI_SDI_NCFILE": ("gswm_mi_sdi.nc",)}
    old = [contents(path) for path in (diurnal, semi)]
    new = [contents(member_folder / str(name[0])) for name in entries.values()]
    # Values of about 100 in single precision: 1e-5.
    tolerance = {"f8": 1e-12, "f4": 2e-5}[kind]
    for name, value in {"TN": 3.0, "Z": -70.0, "UN": 5.0, "VN": -6.5}.items():
        difference = sum(one[name] for one in new) - sum(one[name] for one in old)
        np.testing.assert_allclose(difference, value, atol=tolerance)
        assert new[0][name].shape == (24, 12, *SHAPE)
        assert new[0][name].dtype == np.dtype(kind)


def test_that_tides_are_taken_as_they_are_without_offsets(write: Write, member_folder: Path, tmp_path: Path) -> None:
    semi = write_gswm(tmp_path / "semi.nc")
    assert write({}, LowerBoundaryFiles(gswm_mi_sdi_file=str(semi))) == {"GSWM_MI_SDI_NCFILE": ("gswm_mi_sdi.nc",)}
    assert (member_folder / "gswm_mi_sdi.nc").is_symlink()


def test_that_a_full_disk_is_told_at_once_and_ends_no_process_later(
    write: Write, member_folder: Path, full_disk: Any
) -> None:
    with full_disk(1000), pytest.raises(OSError, match="File too large"):
        write({HEIGHT: 100.0})
    gc.collect()
    assert write({HEIGHT: 100.0}) == {"SABER_NCFILE": ("saber.nc",)}
    with Dataset(member_folder / "saber.nc") as file:
        assert np.all(file["Z"][:] == 0.1)


def test_that_the_data_folder_of_the_launcher_stands_for_its_variable(tmp_path: Path) -> None:
    files = LowerBoundaryFiles(gswm_mi_di_file="$TGCMDATA/di.nc", saber_file="/elsewhere/saber.nc")
    there = files.with_data_folder(tmp_path)
    assert (there.gswm_mi_di_file, there.saber_file) == (f"{tmp_path}/di.nc", "/elsewhere/saber.nc")
    assert there.tidi_file is None
    assert files.with_data_folder(None) == files


def test_that_paths_may_begin_with_a_variable_of_the_environment(
    write: Write, member_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    semi = write_gswm(tmp_path / "semi.nc")
    monkeypatch.setenv("TGCMDATA", str(tmp_path))
    write({}, LowerBoundaryFiles(gswm_mi_sdi_file="$TGCMDATA/semi.nc"))
    assert (member_folder / "gswm_mi_sdi.nc").resolve() == semi.resolve()
    monkeypatch.delenv("TGCMDATA")
    with pytest.raises(ThermodaError, match="gswm_mi_sdi_file .* environment variable that is not set"):
        write({}, LowerBoundaryFiles(gswm_mi_sdi_file="$TGCMDATA/semi.nc"))


def test_that_files_that_exclude_each_other_are_refused(write: Write, tmp_path: Path) -> None:
    tides, saber = write_gswm(tmp_path / "g.nc"), write_hourly(tmp_path / "s.nc", {"T": "deg K", "Z": "km"})
    with pytest.raises(ThermodaError, match="lower_boundary.saber_file .* must not be given with GSWM files"):
        write({}, LowerBoundaryFiles(gswm_mi_di_file=str(tides), saber_file=str(saber)))


@pytest.mark.parametrize(
    ("name", "value"), [(TEMPERATURE, 100.0), (HEIGHT, -3e4), (ZONAL, np.inf), (MERIDIONAL, np.nan)]
)
def test_that_offsets_out_of_range_are_refused(write: Write, name: str, value: float) -> None:
    with pytest.raises(ThermodaError, match=rf"the offset of {name} \({value:g}\) must be within"):
        write({name: value})


def test_that_a_file_that_the_model_could_not_read_is_refused(write: Write, tmp_path: Path) -> None:
    def saber(path: Path) -> LowerBoundaryFiles:
        return LowerBoundaryFiles(saber_file=str(path))

    text = tmp_path / "text.nc"
    text.write_text("no netCDF")
    units = write_hourly(tmp_path / "units.nc", {"T": "deg C", "Z": "km"})
    both = {"T": "deg K", "Z": "km"}
    for background, words in (
        (saber(tmp_path / "absent.nc"), "saber_file .* must be an existing file"),
        (saber(text), "cannot be read or copied as netCDF"),
        (saber(write_hourly(tmp_path / "t.nc", {"T": "deg K"})), "has no variable Z, which TIE-GCM reads from SABER"),
        (saber(write_hourly(tmp_path / "fine.nc", both, shape=(6, 8))), "has 6 lat; the model grid and format need 4"),
        (saber(write_hourly(tmp_path / "late.nc", both, first="2002-12-31T23")), "must enclose 2002-12-31T22:10"),
        (saber(write_hourly(tmp_path / "short.nc", both, hours=3)), "holds 2002-12-31T20 to 2002-12-31T22"),
        (saber(units), "T has the units 'deg C'; must be 'deg K' or 'K'"),
        (LowerBoundaryFiles(gswm_mi_di_file=str(write_gswm(tmp_path / "i.nc", kind="i2"))), "packed or not real"),
        (
            LowerBoundaryFiles(
                gswm_mi_di_file=str(write_gswm(tmp_path / "o.nc", order=("nmonth", "time", "lat", "lon")))
            ),
            "Z has the dimensions nmonth, time, lat, lon; must be time, nmonth, lat, lon",
        ),
    ):
        with pytest.raises(ThermodaError, match=words):
            write(OFFSETS, background)
