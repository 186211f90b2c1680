"""The stand-in for TIE-GCM keeps to the file formats and to its own law. It is not TIE-GCM: no skill is read off it."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import netCDF4
import numpy as np
import pytest

from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.judging import finite_and_bounded

STAND_IN = Path(__file__).with_name("standin")
case = SimpleNamespace(**runpy.run_path(str(STAND_IN / "case.py")))
law = SimpleNamespace(**runpy.run_path(str(STAND_IN / "law.py")))
NAMES = [name + twin for name in law.FIELDS for twin in ("", "_NM")]
END = np.datetime64("2002-03-22T01:00", "ns")
Ended = subprocess.CompletedProcess[str]
Member = Callable[..., Path]


@pytest.fixture
def member(tmp_path: Path, small_history: Any) -> Member:
    """Make a member's folder with a start history, a namelist and an executable of a version."""

    def make(version: str = "2.0", history_version: str | None = None, **namelist: Any) -> Path:
        folder = tmp_path / "mem001"
        folder.mkdir()
        small_history(folder / "analysis.nc", history_version or version, levels=9, level_step=1.75)
        (folder / "m.inp").write_text(case.namelist_text(version, **namelist))
        case.write_executable(tmp_path / "tiegcm", version)
        return folder

    return make


def _run(folder: Path, logname: str = "tester") -> Ended:
    environment = {**os.environ, "LOGNAME": logname}
    command = [str(folder.parent / "tiegcm"), "m.inp"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def _fields(path: Path, record: int) -> dict[str, np.ndarray]:
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_maskandscale(False)
        timed = [name for name, one in dataset.variables.items() if one.dimensions[:1] == ("time",) and one.ndim > 2]
        return {name: dataset[name][record] for name in timed}


def _level(path: Path) -> np.ndarray:
    with netCDF4.Dataset(path) as dataset:
        return np.asarray(dataset["lev"][:])


def test_that_the_profiles_are_fixed_points_of_the_law() -> None:
    level, forcing = np.linspace(-6.75, 7.25, 29), law.Forcing()
    profiles = {name: one[:, None, None] for name, one in law.profiles(level, forcing).items()}
    fields = {name + twin: one for name, one in profiles.items() for twin in ("", "_NM")}
    after = law.advance(fields, level, 60.0, 10, forcing)
    for name in NAMES:
        np.testing.assert_allclose(after[name], fields[name], rtol=1e-13)


def test_that_the_law_approaches_its_profile_at_the_rate_of_the_level() -> None:
    # The filtered leapfrog with the damping at the new time lags by half of 2 dt: over 2 days of 60 s steps the
    # distance deviates from exp(-k t) by k dt in k, less than 1e-3 of the exponent.
    level, forcing, steps = np.linspace(-6.75, 7.25, 29), law.Forcing(), 2880
    profile = law.profiles(level, forcing)["TN"]
    fields = {name: np.full((29, 1, 1), 0.1) for name in NAMES}
    fields["TN"] = fields["TN_NM"] = profile[:, None, None] + 50.0
    left = (law.advance(fields, level, 60.0, steps, forcing)["TN"][:, 0, 0] - profile) / 50.0
    np.testing.assert_allclose(np.log(left), -law.rate(level) * 60.0 * steps, rtol=2e-3)


def test_that_an_increment_without_its_twin_rings_as_in_the_model() -> None:
    level, forcing = np.linspace(-6.75, 7.25, 9), law.Forcing()
    fields = {name: np.full((9, 1, 1), 0.1) for name in NAMES}
    fields["TN"] = fields["TN_NM"] = np.full((9, 1, 1), 800.0)
    shifted = {**fields, "TN": 1.05 * fields["TN"]}
    ratios = []
    for _ in range(4):
        fields, shifted = (law.step(one, level, 60.0, forcing) for one in (fields, shifted))
        ratios.append(float((shifted["TN"] / fields["TN"])[0, 0, 0]))
    # The specification reports 1.0000, 1.047, 1.003, 1.045 of a real run.
    np.testing.assert_allclose(ratios, [1.0, 1.0475, 1.0024, 1.045], atol=1.5e-3)


def test_that_fractions_stay_fractions_under_any_forcing() -> None:
    level = np.linspace(-6.75, 9.25, 33)
    rng = np.random.default_rng(3)
    for heating in (0.0, 100.0, 5000.0):
        parts = rng.dirichlet(np.ones(4), size=(33, 2, 3))
        fields = {f"{name}{twin}": parts[..., i] for i, name in enumerate(("O1", "O2", "HE")) for twin in ("", "_NM")}
        fields |= {"TN": np.full((33, 2, 3), 900.0), "TN_NM": np.full((33, 2, 3), 900.0)}
        after = law.advance(fields, level, 3600.0, 100, law.Forcing(power_gw=heating))
        for twin in ("", "_NM"):
            species = [after[name + twin] for name in ("O1", "O2", "HE")]
            assert min(one.min() for one in species) >= 0.0
            assert sum(species).max() <= 1.0


def test_that_every_input_moves_the_law() -> None:
    level = np.linspace(-6.75, 7.25, 9)
    standard = law.profiles(level, law.Forcing())["TN"]
    for name in ("f107_sfu", "f107a_sfu", "power_gw", "potential_kv", "joule_factor"):
        assert np.all(law.profiles(level, law.Forcing(**{name: 200.0}))["TN"] != standard), name


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_that_an_initial_run_echoes_the_start_and_follows_the_law_to_the_last_bit(member: Member, version: str) -> None:
    folder = member(version, POWER="40.", JOULEFAC="2.0")
    done = _run(folder)
    assert done.stdout.splitlines()[-1] == "NORMAL EXIT", done.stdout + done.stderr
    assert "not TIE-GCM" in done.stdout
    header = read_header(folder / "forecast.nc")
    assert header.version == version
    assert header.file_format == {"2.0": "NETCDF3_CLASSIC", "3.0": "NETCDF4"}[version]
    assert list(header.times) == [END - np.timedelta64(1, "h"), END]
    assert finite_and_bounded(folder / "forecast.nc", END) == []
    source, echo, last = (
        _fields(folder / name, record) for name, record in (("analysis.nc", 0), ("forecast.nc", 0), ("forecast.nc", 1))
    )
    forcing = law.Forcing(power_gw=40.0, joule_factor=2.0)
    start = {name: source[name] for name in NAMES}
    expected = law.advance(start, _level(folder / "analysis.nc"), 60.0, 60, forcing)
    for name, value in source.items():
        np.testing.assert_array_equal(echo[name], value, err_msg=name)
        np.testing.assert_array_equal(last[name], expected.get(name, value), err_msg=name)
    assert np.abs(expected["TN"][:-1] - start["TN"][:-1]).max() > 1.0
    assert (last["TN"][-1] == 1e36).all()


def test_that_several_members_in_memory_follow_the_same_law(member: Member) -> None:
    power = np.array([18.0, 25.0, 60.0])
    folder = member()
    files = []
    for number, value in enumerate(power):
        (folder / "m.inp").write_text(case.namelist_text(POWER=str(value)))
        _run(folder)
        files.append(_fields(folder / "forecast.nc", 1))
        (folder / "forecast.nc").rename(folder / f"forecast{number}.nc")
    source = {name: _fields(folder / "analysis.nc", 0)[name][..., None].repeat(3, axis=-1) for name in NAMES}
    together = law.advance(source, _level(folder / "analysis.nc"), 60.0, 60, law.Forcing(power_gw=power))
    for name in NAMES:
        np.testing.assert_array_equal(together[name], np.stack([one[name] for one in files], axis=-1), err_msg=name)


@pytest.mark.parametrize(("version", "history"), [("2.0", "3.0"), ("3.0", "2.0")])
def test_that_each_version_reads_a_history_of_the_other_and_writes_its_own(
    member: Member, version: str, history: str
) -> None:
    folder = member(version, history)
    assert _run(folder).stdout.endswith("NORMAL EXIT\n")
    assert read_header(folder / "forecast.nc").version == version


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_that_a_continuation_appends_in_place_and_equals_one_long_run(member: Member, version: str) -> None:
    folder = member(version, stop=(81, 2, 0))
    _run(folder)
    (folder / "forecast.nc").rename(folder / "long.nc")
    (folder / "m.inp").write_text(case.namelist_text(version))
    _run(folder)
    more = {"start": (81, 1, 0), "stop": (81, 2, 0), "SOURCE": None, "SOURCE_START": None}
    (folder / "m.inp").write_text(case.namelist_text(version, **more))
    assert _run(folder).stdout.endswith("NORMAL EXIT\n")
    ours, long = (read_header(folder / name) for name in ("forecast.nc", "long.nc"))
    assert list(ours.times) == list(long.times)
    assert len(ours.times) == 3
    for name, value in _fields(folder / "long.nc", 2).items():
        np.testing.assert_array_equal(_fields(folder / "forecast.nc", 2)[name], value, err_msg=name)
    with netCDF4.Dataset(folder / "forecast.nc") as one, netCDF4.Dataset(folder / "long.nc") as other:
        np.testing.assert_array_equal(one["time"][:], other["time"][:])


def test_that_a_run_over_new_year_is_written_with_day_one(member: Member, small_history: Any) -> None:
    folder = member(start=(365, 23, 0), stop=(366, 0, 0))
    small_history(folder / "analysis.nc", times=(np.datetime64("2002-12-31T23:00"),), levels=9, level_step=1.75)
    assert _run(folder).stdout.endswith("NORMAL EXIT\n")
    assert read_header(folder / "forecast.nc").times[-1] == np.datetime64("2003-01-01T00:00")


def test_that_series_of_inputs_are_interpolated_to_the_model_time(member: Member) -> None:
    folder = member(step_s=1800, POWER=None, POWER_TIME="81 0 0 10., 81 1 0 30.")
    assert _run(folder).stdout.endswith("NORMAL EXIT\n")
    level, source = _level(folder / "analysis.nc"), _fields(folder / "analysis.nc", 0)
    expected = {name: source[name] for name in NAMES}
    for power in (10.0, 20.0):
        expected = law.step(expected, level, 1800.0, law.Forcing(power_gw=power))
    for name in NAMES:
        np.testing.assert_array_equal(_fields(folder / "forecast.nc", 1)[name], expected[name], err_msg=name)


REFUSALS: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "unknown name": ("2.0", {"ALFAC": "0.3"}, "Cannot match namelist object name alfac"),
    "a path too long": ("2.0", {"SOURCE": f"'{'x' * 121}'"}, "End of record"),
    "times no multiples of the step": ("2.0", {"step_s": 7 * 60}, "multiples of STEP"),
    "no length": ("2.0", {"stop": (81, 0, 0)}, "STOP must be later"),
    "output that misses the end": ("2.0", {"history": (0, 0, 25)}, "multiple of HIST"),
    "a start at another hour": ("2.0", {"SOURCE_START": "81 1 0"}, "those of SOURCE_START"),
    "a start on another day": ("2.0", {"START_DAY": 80}, "START_DAY"),
    "a time that the source lacks": ("2.0", {"SOURCE_START": "80 0 0"}, "not found"),
    "three numbers for 3.0": ("3.0", {"PRISTOP": "81 1 0"}, "needs 4 numbers"),
    "KP with POWER and CTPOTEN": ("2.0", {"KP": "3."}, "KP may not be given"),
    "CTPOTEN with Weimer": ("2.0", {"POTENTIAL_MODEL": "'WEIMER'"}, "may not be given with WEIMER"),
    "no geomagnetic input": ("3.0", {"POWER": None}, "need POWER"),
    "no source file": ("2.0", {"SOURCE": "'absent.nc'"}, "Error from netcdf library"),
}


@pytest.mark.parametrize("version_changes_said", REFUSALS.values(), ids=REFUSALS)
def test_that_a_run_is_refused_for(member: Member, version_changes_said: tuple[str, dict[str, Any], str]) -> None:
    version, changes, said = version_changes_said
    folder = member(version, **changes)
    done = _run(folder)
    assert said in done.stdout + done.stderr
    assert "NORMAL EXIT" not in done.stdout
    assert not (folder / "forecast.nc").exists()


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_that_it_refuses_the_namelist_of_the_other_version(member: Member, version: str) -> None:
    folder = member(version)
    (folder / "m.inp").write_text(case.namelist_text("3.0" if version == "2.0" else "2.0"))
    assert "Cannot match namelist object name" in _run(folder).stderr


def test_that_it_refuses_to_run_without_logname(member: Member) -> None:
    done = _run(member(), logname="")
    assert "LOGNAME" in done.stdout
    assert "MODEL SHUTDOWN" in done.stdout


@pytest.mark.parametrize(
    ("changes", "sick"), [({"O1": 0.99}, ("UN", "VN", "POTEN")), ({"HE": 1e36}, ("TN", "O1", "HE_NM"))]
)
def test_that_unphysical_species_turn_to_nan_with_a_normal_exit(
    member: Member, small_history: Any, changes: dict[str, float], sick: tuple[str, ...]
) -> None:
    folder = member()
    small_history(folder / "analysis.nc", levels=9, level_step=1.75, fields=changes)
    done = _run(folder)
    assert done.stdout.endswith("NORMAL EXIT\n")
    assert done.returncode == 0
    for name in sick:
        assert np.isnan(_fields(folder / "forecast.nc", 1)[name]).all(), name


def test_that_a_secondary_history_holds_the_fields_that_were_asked_for(member: Member) -> None:
    folder = member(
        SECSTART="81 1 0", SECSTOP="81 1 0", SECHIST="0 1 0", SECOUT="'sech.nc'", SECFLDS="'TN','DEN','N2','NE'"
    )
    assert _run(folder).stdout.endswith("NORMAL EXIT\n")
    primary = _fields(folder / "forecast.nc", 1)
    with netCDF4.Dataset(folder / "sech.nc") as dataset:
        dataset.set_auto_maskandscale(False)
        assert {"TN", "O1", "O2", "Z", "DEN", "N2", "NE"} <= set(dataset.variables)
        assert "UN" not in dataset.variables
        np.testing.assert_array_equal(dataset["TN"][0], primary["TN"].astype(np.float32))
        density = dataset["DEN"][0]
    # The pressure falls by e^1.75 from interface to interface; temperature and mass change by less than a factor of 3.
    assert np.all(density[:-2] > 1.5 * density[1:-1])


@pytest.mark.parametrize(("version", "start"), [("2.0", (83, 0, 0)), ("3.0", (81, 0, 10))])
def test_that_it_runs_from_real_histories(
    member: Member, real_history: Mapping[str, Path], version: str, start: tuple[int, int, int]
) -> None:
    folder = member(version, start=start, stop=(start[0], 1, start[2]))
    shutil.copy(real_history[version], folder / "analysis.nc")
    done = _run(folder)
    assert done.stdout.endswith("NORMAL EXIT\n"), done.stdout + done.stderr
    header = read_header(folder / "forecast.nc")
    assert finite_and_bounded(folder / "forecast.nc", header.times[-1]) == []
    echo, source = _fields(folder / "forecast.nc", 0), _fields(real_history[version], 0)
    assert echo.keys() == source.keys()
    assert all(np.array_equal(echo[name], value) for name, value in source.items())
