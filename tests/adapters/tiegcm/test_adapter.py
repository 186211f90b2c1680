"""The adapter of TIE-GCM with the stand-in as its executable, which is not TIE-GCM: no skill is read off it."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import netCDF4
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError

from da.config import read_experiment
from da.cycle import MemberForecasts
from da.drivers import Drivers
from da.errors import MemberForecastError, ThermodaError
from da.member_failure import Afterwards, MemberFailurePolicy
from da.member_remedies import ShorterStep
from da.model import MemberInputs, MembersInFiles, ReadsFiles, StepDivisible, refuse_unknown_perturbations
from da.parallel import SerialCommunicator
from model_adapters.registry import find_adapter
from model_adapters.tiegcm.adapter import Tiegcm
from model_adapters.tiegcm.heights import state_height
from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.inputs import perturbable_inputs
from model_adapters.tiegcm.member_folders import MemberFolders
from model_adapters.tiegcm.namelist import parse_namelist
from model_adapters.tiegcm.repacking import repack
from model_adapters.tiegcm.settings import TiegcmSettings
from model_adapters.tiegcm.state import VARIABLES, read_state

REPOSITORY = Path(__file__).resolve().parents[3]
STAND_IN = Path(__file__).with_name("standin")
case = SimpleNamespace(**runpy.run_path(str(STAND_IN / "case.py")))
law = SimpleNamespace(**runpy.run_path(str(STAND_IN / "law.py")))
START = np.datetime64("2010-04-05T09:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
STOP = START + HOUR
CONSTANTS = {"power_gw": 20.0, "cross_tail_potential_kv": 40.0, "f107_sfu": 80.0, "f107a_sfu": 85.0}
MakeModel = Callable[..., Tiegcm]


@pytest.fixture
def make_model(tmp_path: Path, small_history: Any) -> MakeModel:
    """Build the adapter on 9 levels; ``version`` is that of the executable, ``executable_version`` the setting."""

    def make(
        version: str = "2.0",
        history_version: str | None = None,
        time: np.datetime64 = START,
        executable_version: str | None = None,
        **settings: Any,
    ) -> Tiegcm:
        start_up = tmp_path / "start_up.nc"
        if not start_up.exists():
            small_history(start_up, history_version or version, times=(time,), levels=9, level_step=1.75)
        executable = case.write_executable(tmp_path / "tiegcm", version)
        launcher = {"command": ["{executable}", "{namelist}"], "executable": executable, "ranks": 1, "at_once": 3}
        content = {
            "start_up_history": start_up,
            "work_folder": tmp_path / "work",
            "launcher": {**launcher, "time_out_s": 60.0, "grace_s": 1.0, **settings.pop("launcher", {})},
            "namelist": {**CONSTANTS, **settings.pop("namelist", {})},
            "version": executable_version,
            **settings,
        }
        return Tiegcm(TiegcmSettings(**content))

    return make


def _inputs(drivers: Drivers, members: int, ensemble: str = "test", **offsets: Any) -> MemberInputs:
    perturbations = {name: np.asarray(values, dtype=float) for name, values in offsets.items()}
    return MemberInputs(perturbations, drivers, np.arange(members), ensemble)


def _initial(model: Tiegcm, inputs: MemberInputs, time: np.datetime64 = START) -> np.ndarray:
    return model.initial(time, inputs, [np.random.default_rng(0)] * len(inputs.member_numbers(inputs.numbers.size)))


def _member(tmp_path: Path, number: int, ensemble: str = "test") -> Path:
    return tmp_path / "work" / ensemble / f"mem{number:04d}"


def _history_names(tmp_path: Path, number: int = 0, ensemble: str = "test") -> list[str]:
    return sorted(path.name for path in _member(tmp_path, number, ensemble).glob("history_*.nc"))


def _by_law(model: Tiegcm, states: np.ndarray, steps: int, step_s: float, **forcing: Any) -> np.ndarray:
    """Return what the law of the stand-in makes of states, highest temperatures as those below them."""
    names = {name: VARIABLES[name] for name in model.layout.names}
    fields = {names[name]: values for name, values in model.layout.split(states).items()}
    inputs = {"f107_sfu": 80.0, "f107a_sfu": 85.0, "power_gw": 20.0, "potential_kv": 40.0, **forcing}
    after = law.advance(fields, model.layout.grid.level, step_s, steps, law.Forcing(**inputs))
    for name in ("TN", "TN_NM"):
        after[name][-1] = after[name][-2]
    return model.layout.join({name: after[variable] for name, variable in names.items()})


def test_that_members_begin_as_copies_of_the_start_up_history_that_stays_as_it_is(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model, inputs = make_model(), _inputs(april_2010, 3)
    start_up = (tmp_path / "start_up.nc").read_bytes()
    states = _initial(model, inputs)
    expected = read_state(tmp_path / "start_up.nc", START, model.layout)
    assert_array_equal(states, np.repeat(expected[:, None], 3, axis=1))
    model.forecast(0.99 * states, START, STOP, inputs)
    for number in range(3):
        kept = _member(tmp_path, number) / "history_20100405T090000.nc"
        assert kept.read_bytes() == start_up
        assert not kept.is_symlink()
    assert (tmp_path / "start_up.nc").read_bytes() == start_up


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_that_a_forecast_is_the_law_from_the_analysed_state_with_each_members_inputs(
    make_model: MakeModel, april_2010: Drivers, version: str
) -> None:
    model = make_model(version)
    f107, joule = np.array([-10.0, 0.0, 12.5]), np.array([0.0, 0.25, -0.5])
    inputs = _inputs(april_2010, 3, f107_sfu=f107, joule_ln_factor=joule)
    states = _initial(model, inputs)
    # Temperature and its twin differ from member to member; composition above the lowest level is scaled down.
    states = states.copy()
    for name in ("temperature", "temperature_previous"):
        model.layout.field(states, name)[:-1] += np.array([-20.0, 0.0, 35.0])
        model.layout.field(states, name)[-1] = model.layout.field(states, name)[-2]
    for name in ("mass_fraction_O", "mass_fraction_O_previous"):
        model.layout.field(states, name)[1:] *= np.array([0.97, 1.0, 0.9])
    step_s = {"2.0": 60.0, "3.0": 30.0}[version]
    forcing = {"f107_sfu": 80.0 + f107, "f107a_sfu": 85.0 + f107, "joule_factor": 1.5 * np.exp(joule)}
    expected = _by_law(model, states, int(3600 / step_s), step_s, **forcing)
    # The law is a chain of up to 120 multiplications and additions, each rounded by 1e-16.
    assert_allclose(model.forecast(states, START, STOP, inputs), expected, rtol=1e-13)


def test_that_a_forecast_can_be_made_again_after_others_with_the_same_bits(
    make_model: MakeModel, april_2010: Drivers
) -> None:
    model, inputs = make_model(), _inputs(april_2010, 2, f107_sfu=[0.0, 5.0])
    states = _initial(model, inputs)
    first = model.forecast(states, START, STOP, inputs)
    elsewhere = model.forecast(1.001 * first, STOP, STOP + HOUR, inputs)
    assert_array_equal(model.forecast(states, START, STOP, inputs), first)
    assert_array_equal(make_model().forecast(1.001 * first, STOP, STOP + HOUR, inputs), elsewhere)


def test_that_only_the_last_cycles_stay_and_nothing_half_written(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model, inputs = make_model(namelist={"secondary": {"fields": ["DEN"]}}), _inputs(april_2010, 1)
    states, time = _initial(model, inputs), START
    (_member(tmp_path, 0) / ".history_20100405T100000.nc.abc.partial").write_text("half")
    for _ in range(3):
        states, time = model.forecast(states, time, time + HOUR, inputs), time + HOUR
    assert _history_names(tmp_path) == [f"history_20100405T{hour}0000.nc" for hour in (10, 11, 12)]
    left = {path.name for path in _member(tmp_path, 0).iterdir()}
    secondary = {f"secondary_20100405T{hour}0000.nc" for hour in (10, 11, 12)}
    logs = {f"model_20100405T{hour}0000.log" for hour in (11, 12)}
    assert left == {*_history_names(tmp_path), *secondary, *logs, "m.inp"}
    with pytest.raises(ThermodaError, match=r"mem0000: has no history of 2010-04-05T09:00:00 .*20100405T120000"):
        model.forecast(states, START, STOP, inputs)


def test_that_fewer_cycles_stay_where_asked_for(make_model: MakeModel, april_2010: Drivers, tmp_path: Path) -> None:
    model, inputs = make_model(keep_cycles=1), _inputs(april_2010, 1)
    states = model.forecast(_initial(model, inputs), START, STOP, inputs)
    model.forecast(states, STOP, STOP + HOUR, inputs)
    assert _history_names(tmp_path) == ["history_20100405T100000.nc", "history_20100405T110000.nc"]


def test_that_histories_of_restart_points_stay_until_others_are_named(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model, inputs = make_model(keep_cycles=1), _inputs(april_2010, 1)
    states, time = _initial(model, inputs), START
    model.hold([START])
    for _ in range(2):
        states, time = model.forecast(states, time, time + HOUR, inputs), time + HOUR
    assert _history_names(tmp_path) == [f"history_20100405T{hour}0000.nc" for hour in ("09", "10", "11")]
    model.hold([STOP])
    model.forecast(states, time, time + HOUR, inputs)
    assert _history_names(tmp_path) == [f"history_20100405T{hour}0000.nc" for hour in ("10", "11", "12")]


FAULTS = {
    "crash": "told to crash",
    "killed": "signal 11",
    "hang": "ran into the time-out",
    "nan": "not finite",
    "unbounded": "leaves",
    "missing_time": "has no history of 2010-04-05T10:00:00",
    "no_output": "was not written",
    "truncated": "cut short",
    "no_normal_exit": "did not end with NORMAL EXIT",
}


def test_that_each_way_to_fail_is_told_with_member_cycle_folder_and_log_and_leaves_the_others_alone(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    # The stand-in needs less than a second; the one that hangs is ended after six.
    model, inputs = make_model(launcher={"time_out_s": 6.0, "at_once": 3}), _inputs(april_2010, len(FAULTS) + 1)
    states = _initial(model, inputs)
    for number, fault in enumerate(FAULTS):
        (_member(tmp_path, number) / "standin_fault").write_text(fault)
    with pytest.raises(MemberForecastError) as raised:
        model.forecast(states, START, STOP, inputs)
    assert list(raised.value.causes) == list(range(len(FAULTS)))
    for (number, cause), said in zip(raised.value.causes.items(), FAULTS.values(), strict=True):
        assert said in cause
        assert f"member {number}, cycle to 2010-04-05T10:00:00, in {_member(tmp_path, number)}" in cause
        assert "model_20100405T100000.log ends with: " in cause
    assert_allclose(raised.value.states[:, -1:], _by_law(model, states[:, -1:], 60, 60.0), rtol=1e-13)


def _advance(model: Tiegcm, states: np.ndarray, inputs: MemberInputs, **policy: Any) -> Any:
    chosen = MemberFailurePolicy(**{"retries_with_half_step": 1, "then": Afterwards.REPLACE, **policy})
    return MemberForecasts(SerialCommunicator(), model, inputs, 0, chosen).advance(states, START, STOP)


def test_that_a_member_that_needs_a_shorter_step_gets_it_once_and_is_replaced_where_that_does_not_help(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model, inputs = make_model(), _inputs(april_2010, 5, f107_sfu=[-8.0, -4.0, 0.0, 4.0, 8.0])
    states = _initial(model, inputs)
    (_member(tmp_path, 1) / "standin_fault").write_text("unstable 30")
    (_member(tmp_path, 3) / "standin_fault").write_text("nan")
    result = _advance(model, states, inputs)
    finer, replaced = result.events
    assert (finer.member, finer.outcome) == (1, ShorterStep(2))
    flux = np.array([-4.0])
    by_law = _by_law(model, states[:, [1]], 120, 30.0, f107_sfu=80.0 + flux, f107a_sfu=85.0 + flux)
    assert_allclose(result.states[:, [1]], by_law, rtol=1e-13)
    assert (replaced.member, replaced.outcome.kind) == (3, "replaced")
    # What is on file is what the framework holds, and the next forecast starts from it, with the common step again.
    on_file = read_state(_member(tmp_path, 3) / "history_20100405T100000.nc", STOP, model.layout)
    assert_array_equal(result.states[:, 3], on_file)
    (_member(tmp_path, 3) / "standin_fault").unlink()
    (_member(tmp_path, 1) / "standin_fault").unlink()
    after = result.forecasts.advance(result.states, STOP, STOP + HOUR)
    assert not after.events
    offsets = result.forecasts.inputs.perturbations["f107_sfu"]
    expected = _by_law(model, result.states, 60, 60.0, f107_sfu=80.0 + offsets, f107a_sfu=85.0 + offsets)
    assert_allclose(after.states, expected, rtol=1e-13)


@pytest.mark.parametrize("then", [Afterwards.DRAW, Afterwards.DROP])
def test_that_histories_of_members_made_anew_are_what_the_framework_holds_and_those_of_the_dropped_are_left_alone(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path, then: Afterwards
) -> None:
    model, inputs = make_model(), _inputs(april_2010, 4, f107_sfu=[-8.0, -4.0, 4.0, 8.0])
    states = _initial(model, inputs)
    (_member(tmp_path, 0) / "standin_fault").write_text("nan")
    result = _advance(model, states, inputs, retries_with_half_step=0, then=then)
    (event,) = result.events
    numbers = result.forecasts.inputs.numbers.tolist()
    assert (event.member, numbers) == (0, [0, 1, 2, 3] if then is Afterwards.DRAW else [1, 2, 3])
    for place, number in enumerate(numbers):
        on_file = read_state(_member(tmp_path, number) / "history_20100405T100000.nc", STOP, model.layout)
        assert_array_equal(result.states[:, place], on_file)
    (_member(tmp_path, 0) / "standin_fault").unlink()
    # The lowest member that is left keeps other runs out, and the next forecast starts from its own history.
    with MemberFolders(tmp_path / "work").of_one_run(), pytest.raises(ThermodaError, match="another run is at work"):
        result.forecasts.advance(result.states, STOP, STOP + HOUR)
    after = result.forecasts.advance(result.states, STOP, STOP + HOUR)
    offsets = result.forecasts.inputs.perturbations["f107_sfu"]
    expected = _by_law(model, result.states, 60, 60.0, f107_sfu=80.0 + offsets, f107a_sfu=85.0 + offsets)
    # The namelist has nine digits of an input.
    assert_allclose(after.states, expected, rtol=1e-10)


def test_that_a_step_that_cannot_be_divided_is_not(make_model: MakeModel) -> None:
    model = make_model()
    assert isinstance(model, StepDivisible)
    assert isinstance(model, MembersInFiles)
    assert model.with_step_divided(4) is not None
    assert model.with_step_divided(8) is None


def test_that_a_version_other_than_the_histories_fails_with_the_reason_unless_it_is_named(
    make_model: MakeModel, april_2010: Drivers
) -> None:
    inputs = _inputs(april_2010, 1)
    wrong = make_model("3.0", history_version="2.0")
    states = _initial(wrong, inputs)
    with pytest.raises(MemberForecastError, match="Cannot match namelist object name start"):
        wrong.forecast(states, START, STOP, inputs)
    named = make_model("3.0", executable_version="3.0")
    result = named.forecast(states, START, STOP, inputs)
    assert_allclose(result, _by_law(named, states, 60, 60.0), rtol=1e-13)
    named.forecast(result, STOP, STOP + HOUR, inputs)


def test_that_a_forecast_over_new_year_is_made_in_two_runs(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    start = np.datetime64("2010-12-31T23:00", "ns")
    model, inputs = make_model(time=start), _inputs(april_2010, 2)
    states = _initial(model, inputs, start)
    result = model.forecast(states, start, start + 2 * HOUR, inputs)
    assert_allclose(result, _by_law(model, states, 120, 60.0), rtol=1e-13)
    assert _history_names(tmp_path)[-1] == "history_20110101T010000.nc"
    assert_array_equal(model.forecast(states, start, start + 2 * HOUR, inputs), result)


def test_that_packed_histories_hold_every_bit_and_only_what_is_needed_again(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path, small_history: Any
) -> None:
    # Large enough for the bookkeeping of HDF5, some 0.2 MB, to count for little.
    small_history(tmp_path / "start_up.nc", times=(START,), levels=9, level_step=1.75, latitudes=18, longitudes=36)
    inputs = _inputs(april_2010, 1)
    plain, packed = make_model(), make_model(compression=4, work_folder=tmp_path / "packed")
    states = _initial(plain, inputs)
    _initial(packed, inputs)
    assert_array_equal(packed.forecast(states, START, STOP, inputs), plain.forecast(states, START, STOP, inputs))
    name = Path("test") / "mem0000" / "history_20100405T100000.nc"
    whole, small = tmp_path / "work" / name, tmp_path / "packed" / name
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    assert read_header(small).times.tolist() == [STOP.item()]
    with netCDF4.Dataset(whole) as before, netCDF4.Dataset(small) as after:
        before.set_auto_maskandscale(False)
        after.set_auto_maskandscale(False)
        assert list(after.variables) == list(before.variables)
        for variable in before.variables:
            expected = before[variable][1] if "time" in before[variable].dimensions else before[variable][...]
            found = after[variable][0] if "time" in after[variable].dimensions else after[variable][...]
            assert np.asarray(found).tobytes() == np.asarray(expected).tobytes(), variable
            attributes = [
                {key: one.getncattr(key) for key in one.ncattrs()} for one in (before[variable], after[variable])
            ]
            assert str(attributes[0]) == str(attributes[1])
    once = plain.forecast(states, STOP, STOP + HOUR, inputs)
    assert_array_equal(packed.forecast(states, STOP, STOP + HOUR, inputs), once)


def test_that_ensembles_begin_where_another_ends_and_go_their_own_ways(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model, spin_up = make_model(), _inputs(april_2010, 2, "spin_up")
    states = _initial(model, spin_up)
    ours = _inputs(april_2010, 2, "assimilation")
    stale = _member(tmp_path, 0, "assimilation")
    stale.mkdir(parents=True)
    (stale / "history_20100405T080000.nc").write_text("of an earlier run")
    model.begin(START, ours, "spin_up")
    assert _history_names(tmp_path, 0, "assimilation") == ["history_20100405T090000.nc"]
    model.forecast(0.99 * states, START, STOP, ours)
    assert model.stored(STOP, ours).tolist() == [True, True]
    assert model.stored(STOP, spin_up).tolist() == [False, False]
    assert_array_equal(model.restored(START, ours), states)
    kept = model.adopt(0.98 * states[:, 0], START, "assimilation", 1, 0)
    assert_array_equal(model.restored(START, ours)[:, 0], kept)
    assert_array_equal(model.restored(START, spin_up), states)
    model.discard("assimilation")
    assert not stale.exists()
    with pytest.raises(ValueError, match="cannot begin with itself"):
        model.begin(START, spin_up, "spin_up")


def test_that_an_ensemble_made_from_something_else_is_refused_with_what_differs(
    make_model: MakeModel, small_history: Any, tmp_path: Path
) -> None:
    description = {"experiment.seed": 7, "ensemble.perturbations": {"f107_sfu": {"standard_deviation": 8.0}}}
    make_model().claim("spin_up", description)
    make_model(launcher={"at_once": 1}, keep_cycles=4).claim("spin_up", description)
    with pytest.raises(ThermodaError, match=r"made with another experiment.seed \(7, now 8\); remove that folder"):
        make_model().claim("spin_up", {**description, "experiment.seed": 8})
    with pytest.raises(ThermodaError, match=r"another model.settings.namelist.power_gw \(20.0, now 25.0\)"):
        make_model(namelist={"power_gw": 25.0}).claim("spin_up", description)
    small_history(tmp_path / "start_up.nc", times=(START,), levels=9, level_step=1.75, scalars={"f107d": 150.0})
    with pytest.raises(ThermodaError, match=r"another model.settings.start_up_history \(SHA-256\)"):
        make_model().claim("spin_up", description)


def test_that_a_start_up_history_of_another_day_is_taken_where_it_is_named(
    make_model: MakeModel, april_2010: Drivers
) -> None:
    inputs, later = _inputs(april_2010, 1), START + 24 * HOUR
    with pytest.raises(ThermodaError, match=r"no history of the begin, 2010-04-06T09:00:00; .*start_up_time"):
        _initial(make_model(), inputs, later)
    model = make_model(start_up_time="2010-04-05T11:00:00+02:00")
    states = _initial(model, inputs, later)
    model.height(states, later, inputs)
    assert_allclose(model.forecast(states, later, later + HOUR, inputs), _by_law(model, states, 60, 60.0), rtol=1e-13)
    with pytest.raises(ThermodaError, match="must have the time of day"):
        _initial(model, inputs, later + HOUR)


def test_that_heights_stand_on_the_bottom_of_each_members_history(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model, inputs = make_model(), _inputs(april_2010, 2)
    states = _initial(model, inputs)
    with netCDF4.Dataset(_member(tmp_path, 1) / "history_20100405T090000.nc", "r+") as history:
        history["Z"][0, 0] += 1e5
    bottom = np.full((*model.layout.grid.shape[1:], 2), 96_372.29)
    bottom[..., 1] += 1000.0
    height = model.height(states, START, inputs)
    # The file holds the bottom in centimetres.
    assert_allclose(height, state_height("2.0", states, model.layout, bottom), rtol=1e-14)
    assert np.ptp(height, axis=-1).min() > 900.0


def test_that_offsets_of_the_lower_boundary_come_as_files_of_the_member(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model = make_model()
    inputs = _inputs(april_2010, 2, lower_boundary_temperature_k=[0.0, 5.0], lower_boundary_height_m=[0.0, 200.0])
    model.forecast(_initial(model, inputs), START, STOP, inputs)
    entries = [parse_namelist((_member(tmp_path, number) / "m.inp").read_text()) for number in range(2)]
    assert "SABER_NCFILE" not in entries[0]
    assert entries[1]["SABER_NCFILE"] == ("saber.nc",)
    with netCDF4.Dataset(_member(tmp_path, 1) / "saber.nc") as file:
        assert np.all(file["T"][:] == 5.0)
        assert np.all(file["Z"][:] == 0.2)


def test_that_the_files_that_the_model_reads_are_named_with_the_data_folder_of_the_launcher(
    make_model: MakeModel, tmp_path: Path
) -> None:
    boundary = {"lower_boundary": {"tidi_file": "$TGCMDATA/tidi.nc"}}
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(ThermodaError, match=r"lower_boundary.tidi_file .*data/tidi.nc\) must be an existing file"):
        make_model(namelist=boundary, launcher={"data_folder": data})
    (data / "tidi.nc").touch()
    model = make_model(namelist=boundary, launcher={"data_folder": data})
    assert isinstance(model, ReadsFiles)
    assert list(model.files_read) == [tmp_path / "start_up.nc", tmp_path / "tiegcm", data / "tidi.nc"]


def test_that_a_second_run_in_the_same_work_folder_is_refused_while_the_first_is_at_work(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path
) -> None:
    model, inputs = make_model(), _inputs(april_2010, 2)
    states = _initial(model, inputs)
    others = MemberInputs({}, april_2010, np.arange(1, 2), "test")
    said = r"work_folder: another run is at work in .*work \(process \d+ on .*choose another folder"
    with MemberFolders(tmp_path / "work").of_one_run():
        with pytest.raises(ThermodaError, match=said):
            model.forecast(states, START, STOP, inputs)
        with pytest.raises(ThermodaError, match=said):
            model.claim("test", {})
        with pytest.raises(ThermodaError, match=said):
            model.begin(START, _inputs(april_2010, 2, "assimilation"), "test")
        # The other processes of a run leave that to the one that has member 0.
        model.forecast(states[:, 1:], START, STOP, others)
    assert not (tmp_path / "work" / "assimilation").exists()
    model.forecast(states, START, STOP, inputs)
    assert (tmp_path / "work" / "lock").read_text() == ""


def test_that_a_full_disk_ends_a_forecast_with_one_line_and_all_histories_as_they_were(
    make_model: MakeModel, april_2010: Drivers, tmp_path: Path, full_disk: Any
) -> None:
    model = make_model()
    inputs = _inputs(april_2010, 1, lower_boundary_temperature_k=[5.0])
    states = _initial(model, inputs)
    kept = _member(tmp_path, 0) / "history_20100405T090000.nc"
    before = kept.read_bytes()
    for size in (1_000, 20_000):
        with full_disk(size), pytest.raises(ThermodaError, match=r"mem0000.* cannot be written") as raised:
            model.forecast(0.99 * states, START, STOP, inputs)
        assert "\n" not in str(raised.value)
        assert _history_names(tmp_path) == [kept.name]
    said = r"packed.nc: cannot be written from history_20100405T090000.nc"
    with full_disk(20_000), pytest.raises(ThermodaError, match=said):
        repack(kept, tmp_path / "packed.nc", START, 1, all_records=False)
    assert kept.read_bytes() == before
    assert not [*kept.parent.glob(".*"), *tmp_path.glob("*packed.nc*")]
    model.forecast(0.99 * states, START, STOP, inputs)


def test_that_inputs_that_cannot_act_are_refused_with_the_reason(make_model: MakeModel) -> None:
    model = make_model()
    assert "f107_sfu" in model.perturbable_inputs
    with pytest.raises(ThermodaError, match=r"'tiegcm' has no input 'cusp_energy_kev' to perturb: ALFAC is a constant"):
        refuse_unknown_perturbations("tiegcm", model, ["cusp_energy_kev"])
    with pytest.raises(ThermodaError, match="the Heelis model takes no solar wind"):
        refuse_unknown_perturbations("tiegcm", model, ["solar_wind_density_cm3"])
    assert not model.understands_solar_wind
    free = make_model(namelist=dict.fromkeys(("power_gw", "cross_tail_potential_kv")))
    assert free.understands_solar_wind
    assert "solar_wind_density_cm3" in free.perturbable_inputs


def test_that_a_missing_history_or_executable_is_named_before_anything_is_done(
    make_model: MakeModel, tmp_path: Path
) -> None:
    said = r"model.settings.start_up_history: .*absent.nc: there is no such file; a TIE-GCM primary history is needed"
    with pytest.raises(ThermodaError, match=said):
        make_model(start_up_history=tmp_path / "absent.nc")
    with pytest.raises(ThermodaError, match=r"model.settings.launcher.executable: .*gone: there is no such file"):
        make_model(launcher={"executable": tmp_path / "gone"})
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        make_model(keep_cycles=0)
    assert not (tmp_path / "work").exists()


def test_that_the_example_is_accepted_up_to_the_files_that_it_needs() -> None:
    experiment, source = read_experiment(REPOSITORY / "experiments" / "tiegcm_example.yaml")
    settings = source.validate(find_adapter(experiment.model.adapter).settings, ("model", "settings"))
    with pytest.raises(ThermodaError, match=r"start_up_history: tiegcm/start_up_prim.nc: there is no such file"):
        find_adapter("tiegcm").build(settings)
    assert isinstance(settings, TiegcmSettings)
    allowed = perturbable_inputs(settings.namelist)
    assert [name for name in experiment.ensemble.perturbations if name not in allowed] == []


def test_that_a_real_history_goes_through_a_forecast(
    make_model: MakeModel, april_2010: Drivers, real_history: Mapping[str, Path], tmp_path: Path
) -> None:
    time, ten_minutes = np.datetime64("2002-03-24T00:00", "ns"), np.timedelta64(10, "m")
    model = make_model(start_up_history=real_history["2.0"])
    inputs = _inputs(april_2010, 1)
    states = _initial(model, inputs, time)
    warmer = states.copy()
    for name in ("temperature", "temperature_previous"):
        model.layout.field(warmer, name)[:] *= 1.02
    forecast = model.forecast(warmer, time, time + ten_minutes, inputs)
    assert_allclose(forecast, _by_law(model, warmer, 10, 60.0), rtol=1e-13)
    # 17 MB for each of two records, the start and the end, as TIE-GCM itself writes them.
    size = (_member(tmp_path, 0) / "history_20020324T001000.nc").stat().st_size
    assert 30e6 < size < 36e6
