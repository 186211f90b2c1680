"""Namelists of members: those of real runs reproduced, indices from the drivers, and perturbed inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset
from pydantic import ValidationError

from da.drivers import Drivers, SolarWind
from da.errors import ThermodaError
from model_adapters.tiegcm.history import HistoryHeader, read_header
from model_adapters.tiegcm.inputs import (
    ALL_INPUTS,
    FLOORS,
    MemberFiles,
    member_entries,
    member_namelist,
    parts_of_period,
    perturbable_inputs,
    refuse_inert_inputs,
)
from model_adapters.tiegcm.lower_boundary import write_lower_boundary_files
from model_adapters.tiegcm.namelist import Scalar, parse_namelist
from model_adapters.tiegcm.namelist_settings import OWN_KEYS, LowerBoundaryFiles, TiegcmNamelistSettings

Entries = dict[str, tuple[Scalar, ...]]
Member = Callable[..., Entries]

STORM = np.datetime64("2010-04-05T06:00", "ns")
HOUR = np.timedelta64(1, "h")
WEIMER = {"potential_model": "WEIMER"}
PATCHED = {"patched_characteristic_energies": True}
CONSTANT = {"power_gw": 18.0, "cross_tail_potential_kv": 30.0, "f107_sfu": 120.0, "f107a_sfu": 120.0}


@pytest.fixture(scope="session")
def headers(
    small_history: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, HistoryHeader]:
    """Headers of small histories of both versions."""
    folder = tmp_path_factory.mktemp("headers")
    return {version: read_header(small_history(folder / f"{version}.nc", version)) for version in ("2.0", "3.0")}


@pytest.fixture(scope="session")
def wind(april_2010: Drivers) -> Drivers:
    """Drivers of April 2010 with a made-up solar wind of four days."""
    time = np.arange(STORM - 48 * HOUR, STORM + 48 * HOUR, np.timedelta64(5, "m"))
    phase = np.linspace(0.0, 20.0, time.size)
    quantities = {"bx_nt": 2.0 + np.sin(phase), "by_nt": np.cos(phase), "bz_nt": -5.0 * np.sin(phase)}
    quantities |= {"velocity_km_s": 500.0 + 100.0 * np.sin(phase), "density_cm3": 4.0 + np.cos(phase)}
    return replace(april_2010, solar_wind=SolarWind(time, **quantities, temperature_k=np.full(time.size, 1e5)))


@pytest.fixture
def member(headers: Mapping[str, HistoryHeader], wind: Drivers, april_2010: Drivers) -> Member:
    """Return entries of a member: ``member({"f107_sfu": 5.0}, "3.0", hours=2, step_s=30)``.

    The drivers hold a solar wind with Weimer's model, and where ``windy`` says so.
    """

    def build(
        offsets: Mapping[str, float] | None = None,
        version: str = "2.0",
        *,
        start: np.datetime64 = STORM,
        hours: float = 1.0,
        files: MemberFiles | None = None,
        windy: bool = False,
        **settings: Any,
    ) -> Entries:
        stop = start + np.timedelta64(round(3600 * hours), "s")
        files = files or MemberFiles("analysis.nc", "forecast.nc")
        own = TiegcmNamelistSettings(**settings)
        drivers = wind if windy or "potential_model" in settings else april_2010
        return member_entries(own, headers[version], start, stop, drivers, offsets or {}, files)

    return build


def series(entries: Entries, key: str, parts: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return times (n, parts) and values (n,) of a series."""
    table = np.array(entries[f"{key}_TIME"]).reshape(-1, parts + 1)
    return table[:, :-1], table[:, -1]


def written(
    headers: Mapping[str, HistoryHeader], drivers: Drivers, version: str, minutes: int, **changes: Any
) -> Entries:
    start = np.datetime64("2002-03-22", "ns")
    settings = TiegcmNamelistSettings(**CONSTANT, **changes)
    files = MemberFiles({"2.0": "../b81.nc", "3.0": "src20.nc"}[version], "prim.nc")
    stop = start + np.timedelta64(minutes, "m")
    return parse_namelist(member_namelist(settings, headers[version], start, stop, drivers, {}, files))


def test_that_the_namelist_of_a_real_run_of_version_2_is_reproduced(
    headers: Mapping[str, HistoryHeader], april_2010: Drivers, tiegcm_folder: Path
) -> None:
    expected = parse_namelist((tiegcm_folder / "namelist_2.0_1hour.inp").read_text())
    changes = {"label": "exp", "step_s": 60, "history_interval_min": 30.0, "max_histories_per_file": 100}
    assert written(headers, april_2010, "2.0", 60, **changes) == expected


def test_that_the_namelist_of_a_real_run_of_version_3_is_reproduced(
    headers: Mapping[str, HistoryHeader], april_2010: Drivers, tiegcm_folder: Path
) -> None:
    expected = parse_namelist((tiegcm_folder / "namelist_3.0_10min.inp").read_text())
    changes = {"label": "synthetic start v3", "step_s": 30, "o_plus_substeps": 5}
    assert written(headers, april_2010, "3.0", 10, **changes) == expected


def test_that_times_and_step_are_those_of_the_forecast_and_of_the_history(member: Member) -> None:
    entries = member()
    assert entries["START_YEAR"] == (2010,)
    assert entries["START"] == entries["SOURCE_START"] == (95, 6, 0)
    assert entries["STOP"] == (95, 7, 0)
    assert entries["HIST"] == (0, 1, 0)
    assert entries["STEP"] == (60,)
    assert member(version="3.0")["PRISTOP"] == (95, 7, 0, 0)
    assert member(version="3.0", hours=1 + 1 / 120)["PRIHIST"] == (0, 1, 0, 30)


def test_that_version_2_refuses_seconds(member: Member) -> None:
    with pytest.raises(ThermodaError, match="not a whole minute"):
        member(hours=1 + 1 / 120)
    with pytest.raises(ThermodaError, match=r"history_interval_min \(0.5\) must be a multiple of 60 s"):
        member(history_interval_min=0.5)
    with pytest.raises(ThermodaError, match=r"index_interval_min \(7.5\) must be a multiple of 60 s"):
        member(index_interval_min=7.5)


def test_that_a_source_of_another_day_is_taken_and_of_another_hour_refused(
    headers: Mapping[str, HistoryHeader], april_2010: Drivers
) -> None:
    arguments = (headers["2.0"], STORM, STORM + HOUR, april_2010, {}, MemberFiles("a.nc", "b.nc"))
    day_before = member_entries(TiegcmNamelistSettings(), *arguments, source_time=STORM - 24 * HOUR)
    assert day_before["SOURCE_START"] == (94, 6, 0)
    with pytest.raises(ThermodaError, match="SOURCE_START .* time of day of START"):
        member_entries(TiegcmNamelistSettings(), *arguments, source_time=STORM - HOUR)


def test_that_a_forecast_may_end_at_new_year_and_is_cut_there_in_two(
    headers: Mapping[str, HistoryHeader], april_2010: Drivers
) -> None:
    start, stop = np.datetime64("2003-12-31T18", "ns"), np.datetime64("2004-01-01T06", "ns")
    settings, files = TiegcmNamelistSettings(**CONSTANT), MemberFiles("a.nc", "b.nc")
    with pytest.raises(ThermodaError, match="beyond the end of 2003"):
        member_entries(settings, headers["2.0"], start, stop, april_2010, {}, files)
    periods = [
        member_entries(settings, headers["2.0"], *part, april_2010, {}, files) for part in parts_of_period(start, stop)
    ]
    assert [entries["STOP"] for entries in periods] == [(366, 0, 0), (1, 6, 0)]
    assert [entries["SOURCE_START"] for entries in periods] == [(365, 18, 0), (1, 0, 0)]
    assert [entries["START_YEAR"] for entries in periods] == [(2003,), (2004,)]


def test_that_power_and_potential_follow_the_drivers_in_time(member: Member, april_2010: Drivers) -> None:
    entries = member(hours=3)
    times, power = series(entries, "POWER")
    _, potential = series(entries, "CTPOTEN")
    np.testing.assert_array_equal(times[[0, 1, -1]], [[95, 6, 0], [95, 6, 15], [95, 9, 0]])
    at = STORM + np.arange(13) * np.timedelta64(15, "m")
    np.testing.assert_allclose(power, april_2010.hemispheric_power_gw(at), rtol=1e-8)
    np.testing.assert_allclose(potential, april_2010.cross_tail_potential_kv(at), rtol=1e-8)
    assert series(member(hours=1, version="3.0"), "POWER", parts=4)[0][1].tolist() == [95, 6, 15, 0]


def test_that_a_series_always_ends_at_the_stop(member: Member) -> None:
    times, _ = series(member(hours=1, index_interval_min=25.0), "POWER")
    assert times[:, 1:].tolist() == [[6, 0], [6, 25], [6, 50], [7, 0]]


def test_that_more_index_times_than_the_model_holds_are_refused(member: Member) -> None:
    with pytest.raises(ThermodaError, match="601 times. must have at most 500"):
        member(hours=10, index_interval_min=1.0)


def test_that_f107_is_linear_between_the_noons_of_the_days(member: Member, wind: Drivers) -> None:
    day = (np.datetime64("2010-04-05") - wind.day[0]).astype(int)
    flux, mean = wind.f107_observed_sfu, wind.f107_81day_sfu
    _, values = series(member(hours=6, index_interval_min=60.0), "F107")
    weight = 0.75 + np.arange(7) / 24
    np.testing.assert_allclose(values, flux[day - 1] + weight * (flux[day] - flux[day - 1]), rtol=1e-8)
    _, means = series(member(hours=6, index_interval_min=60.0), "F107A")
    np.testing.assert_allclose(means[-1], mean[day], rtol=1e-8)


def test_that_f107_of_the_previous_day_is_constant_within_a_day(member: Member, wind: Drivers) -> None:
    entries = member(f107_day="previous_day")
    assert entries["F107"] == pytest.approx(wind.f107_previous_day(STORM))
    assert entries["F107A"] == pytest.approx(wind.f107_81day(STORM))


def test_that_kp_alone_drives_heelis_where_wished(member: Member, wind: Drivers) -> None:
    entries = member(heelis_inputs="kp", hours=3)
    assert not {"POWER", "POWER_TIME", "CTPOTEN", "CTPOTEN_TIME"} & set(entries)
    _, kp = series(entries, "KP")
    # At 10:30, the middle of the interval 09-12 UT, Kp is that of the interval.
    middle = series(member(heelis_inputs="kp", hours=4.5), "KP")[1][-1]
    assert middle == pytest.approx(wind.kp(STORM + 3 * HOUR)[0], abs=1e-6)
    assert kp.max() <= 9.0


def test_that_weimer_takes_the_solar_wind_and_constant_flux(member: Member, wind: Drivers) -> None:
    entries = member(**WEIMER)
    names = {"BXIMF": "bx_nt", "BYIMF": "by_nt", "BZIMF": "bz_nt", "SWVEL": "velocity_km_s", "SWDEN": "density_cm3"}
    assert wind.solar_wind is not None
    for key, name in names.items():
        _, values = series(entries, key)
        for number in (0, 4):
            # The mean from 20 to 5 minutes before the time.
            before = STORM + np.timedelta64(15 * number, "m") - np.arange(5, 21, 5) * np.timedelta64(1, "m")
            assert values[number] == pytest.approx(getattr(wind.solar_wind.at(before), name).mean(), rel=1e-8)
    heelis = series(member(), "F107")[1]
    assert entries["F107"][0] == pytest.approx(heelis.mean())
    assert not {"POWER", "CTPOTEN", "KP", "POWER_TIME", "CTPOTEN_TIME", "KP_TIME"} & set(entries)


def test_that_offsets_of_the_solar_wind_act_on_heelis_through_the_drivers(member: Member, wind: Drivers) -> None:
    before, after = member(windy=True), member({"solar_wind_velocity_km_s": 45.0}, windy=True)
    at = STORM + np.arange(5) * np.timedelta64(15, "m")
    expected = wind.high_latitude(at, velocity_offset_km_s=45.0)
    np.testing.assert_allclose(series(after, "CTPOTEN")[1], expected.cross_tail_potential_kv[:, 0], rtol=1e-8)
    np.testing.assert_allclose(series(after, "POWER")[1], expected.hemispheric_power_gw[:, 0], rtol=1e-8)
    assert {key for key in before if before[key] != after[key]} == {"CTPOTEN_TIME", "POWER_TIME"}
    with pytest.raises(ThermodaError, match="solar_wind_velocity_km_s cannot be perturbed"):
        member({"solar_wind_velocity_km_s": 45.0}, windy=True, **CONSTANT)


def test_that_kp_is_that_of_the_indices_even_with_solar_wind(member: Member) -> None:
    assert member(heelis_inputs="kp")["KP_TIME"] == member(heelis_inputs="kp", windy=True)["KP_TIME"]


def test_that_weimer_without_solar_wind_is_refused(headers: Mapping[str, HistoryHeader], april_2010: Drivers) -> None:
    settings = TiegcmNamelistSettings(potential_model="WEIMER")
    with pytest.raises(ThermodaError, match="WEIMER. needs the solar wind"):
        member_entries(settings, headers["2.0"], STORM, STORM + HOUR, april_2010, {}, MemberFiles("a.nc", "b.nc"))


@pytest.mark.parametrize(
    ("name", "offset", "keys", "settings"),
    [
        ("f107_sfu", -7.5, ("F107", "F107A"), CONSTANT),
        ("hemispheric_power_gw", 5.0, ("POWER",), CONSTANT),
        ("cross_tail_potential_kv", -8.0, ("CTPOTEN",), CONSTANT),
        ("cusp_energy_kev", 0.03, ("ALFAC",), CONSTANT | PATCHED),
        ("drizzle_energy_kev", -0.15, ("ALFAD",), CONSTANT | PATCHED),
    ],
)
def test_that_an_offset_is_added_to_its_inputs_and_to_nothing_else(
    member: Member, name: str, offset: float, keys: tuple[str, ...], settings: dict[str, Any]
) -> None:
    before, after = member(**settings), member({name: offset}, **settings)
    assert {key for key in before if before[key] != after[key]} == set(keys)
    for key in keys:
        assert after[key][0] == pytest.approx(float(before[key][0]) + offset)


@pytest.mark.parametrize(
    ("name", "key", "offset"), [("solar_wind_velocity_km_s", "SWVEL", 45.0), ("solar_wind_density_cm3", "SWDEN", -0.3)]
)
def test_that_the_solar_wind_of_a_member_is_shifted_at_all_times(
    member: Member, name: str, key: str, offset: float
) -> None:
    before, after = member(**WEIMER), member({name: offset}, **WEIMER)
    np.testing.assert_allclose(series(after, key)[1] - series(before, key)[1], offset, atol=1e-6)
    assert {one for one in before if before[one] != after[one]} == {f"{key}_TIME"}


@pytest.mark.parametrize(("name", "key"), [("joule_ln_factor", "JOULEFAC"), ("collision_ln_factor", "COLFAC")])
def test_that_factors_are_multiplied_from_the_default_of_the_model_or_the_setting(
    member: Member, name: str, key: str
) -> None:
    assert key not in member()
    assert member({name: np.log(1.2)})[key][0] == pytest.approx(1.8)
    setting = {"JOULEFAC": "joule_factor", "COLFAC": "collision_factor"}[key]
    assert member({name: np.log(0.5)}, **{setting: 1.0})[key][0] == pytest.approx(0.5)


def test_that_offsets_beyond_what_is_physical_end_at_the_floors(member: Member) -> None:
    down = dict.fromkeys(("f107_sfu", "hemispheric_power_gw", "cross_tail_potential_kv", "cusp_energy_kev"), -1e3)
    entries = member(down, **PATCHED)
    for key in ("F107", "F107A", "POWER", "CTPOTEN", "ALFAC"):
        assert entries[key] == (FLOORS[key],)
    assert member({"solar_wind_density_cm3": -50.0}, **WEIMER)["SWDEN"] == (FLOORS["SWDEN"],)


def test_that_every_input_acts_under_some_settings_and_inert_ones_are_not_offered() -> None:
    heelis, weimer = TiegcmNamelistSettings(), TiegcmNamelistSettings(**WEIMER, **PATCHED)
    assert set(perturbable_inputs(heelis)) | set(perturbable_inputs(weimer)) == set(ALL_INPUTS)
    assert not {"solar_wind_velocity_km_s", "cusp_energy_kev", "drizzle_energy_kev"} & set(perturbable_inputs(heelis))
    assert not {"hemispheric_power_gw", "cross_tail_potential_kv"} & set(perturbable_inputs(weimer))


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("solar_wind_velocity_km_s", {}, "Heelis model takes no solar wind.*ignore it; set potential_model: WEIMER"),
        ("solar_wind_density_cm3", {}, "Heelis model takes no solar wind"),
        ("hemispheric_power_gw", WEIMER, "with WEIMER it follows from the solar wind"),
        ("cross_tail_potential_kv", {"heelis_inputs": "kp"}, "set heelis_inputs: power_and_potential"),
        ("cusp_energy_kev", {}, "ALFAC is a constant in the source.*patched_characteristic_energies: true"),
        ("drizzle_energy_kev", {}, "ALFAD is a constant in the source"),
        ("lower_boundary_height_m", {"namelist": {"tide": [0.0] * 10}}, "refuses beside TIDE"),
        ("helium_ln_ratio", {}, "TIE-GCM has no such input; it has f107_sfu"),
    ],
)
def test_that_an_input_that_could_not_act_is_refused_by_name_with_the_reason(
    member: Member, name: str, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ThermodaError, match=f"{name} cannot be perturbed: .*{reason}"):
        refuse_inert_inputs(TiegcmNamelistSettings(**settings), [name])
    with pytest.raises(ThermodaError, match=f"{name} cannot be perturbed"):
        member({name: 0.1}, **settings)


def test_that_an_offset_that_is_not_finite_is_refused(member: Member) -> None:
    with pytest.raises(ThermodaError, match=r"the offset of f107_sfu \(nan\) must be finite"):
        member({"f107_sfu": np.nan})


def test_that_offsets_of_the_lower_boundary_without_files_are_a_wrong_call(member: Member) -> None:
    with pytest.raises(ValueError, match="write_lower_boundary_files"):
        member({"lower_boundary_temperature_k": 3.0})
    files = MemberFiles("a.nc", "b.nc", lower_boundary={"SABER_NCFILE": ("saber.nc",)})
    assert member({"lower_boundary_temperature_k": 3.0}, files=files)["SABER_NCFILE"] == ("saber.nc",)


def test_that_secondary_histories_come_at_the_end_or_after_each_interval(member: Member) -> None:
    last = member(secondary={"fields": ["DEN", "ZG"]}, hours=2)
    assert last["SECSTART"] == last["SECSTOP"] == (95, 8, 0)
    assert last["SECFLDS"] == ("DEN", "ZG")
    each = member(secondary={"fields": ["DEN"], "interval_min": 30.0, "bytes_per_value": 8}, hours=2)
    assert each["SECSTART"] == (95, 6, 30)
    assert each["SECHIST"] == (0, 0, 30)
    assert each["MXHIST_SECH"] == (4,)
    assert each["SECH_NBYTE"] == (8,)


def test_that_enough_histories_fit_into_the_output(member: Member) -> None:
    assert "MXHIST_PRIM" not in member(hours=9, history_interval_min=60.0)
    assert member(hours=10, history_interval_min=60.0)["MXHIST_PRIM"] == (11,)


def test_that_keys_of_the_user_are_written_and_checked(member: Member) -> None:
    entries = member(namelist={"eddy_dif": 1, "TIDE2": [1000.0, 6.0]})
    assert entries["EDDY_DIF"] == (1,)
    assert entries["TIDE2"] == (1000.0, 6.0)
    with pytest.raises(ThermodaError, match="EDDY_DIFF is no key of this version; did you mean EDDY_DIF"):
        member(namelist={"EDDY_DIFF": 1})
    with pytest.raises(ThermodaError, match="GPI_NCFILE .* must not be given together with F107"):
        member(namelist={"GPI_NCFILE": "$TGCMDATA/gpi.nc"})
    with pytest.raises(ThermodaError, match="HE_COEFS_NCFILE is no key of this version; version 3.0 alone"):
        member(helium_coefficients_file="/he.nc")
    assert member(version="3.0", helium_coefficients_file="/he.nc")["HE_COEFS_NCFILE"] == ("/he.nc",)


@pytest.mark.parametrize("key", ["SOURCE", "step", "F107_TIME", "prihist", "ALFAC", "SABER_NCFILE"])
def test_that_keys_written_by_us_are_refused_by_name(key: str) -> None:
    with pytest.raises(ValidationError, match=f"{key.upper()} is written by {OWN_KEYS[key.upper()]}"):
        TiegcmNamelistSettings(namelist={key: 1})


@pytest.mark.parametrize(
    "settings",
    [
        {"stepp_s": 60},
        {"step_s": 0},
        {"step_s": True},
        {"power_gw": -1.0},
        {"f107_sfu": np.inf},
        {"secondary": {"fields": []}},
        {"secondary": {"fields": ["DEN"], "bytes_per_value": 2}},
        {"namelist": {"dynamo": 1, "DYNAMO": 1}},
        # The model would look for them in the folders of the members.
        {"namelist": {"see_ncfile": "data/see.nc"}},
        {"helium_coefficients_file": "data/he.nc"},
    ],
)
def test_that_settings_are_strict(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TiegcmNamelistSettings(**settings)


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_that_a_member_of_a_real_history_gets_a_whole_namelist_and_files_on_its_grid(
    real_history: Mapping[str, Path], april_2010: Drivers, tmp_path: Path, version: str
) -> None:
    header = read_header(real_history[version])
    start, offsets = header.times[-1], {"lower_boundary_zonal_wind_m_s": 5.0, "hemispheric_power_gw": 3.0}
    boundary = write_lower_boundary_files(tmp_path, header, start, start + HOUR, offsets, LowerBoundaryFiles())
    files = MemberFiles("analysis.nc", "forecast.nc", lower_boundary=boundary)
    arguments = (header, start, start + HOUR, april_2010, offsets, files)
    entries = parse_namelist(member_namelist(TiegcmNamelistSettings(**CONSTANT), *arguments))
    assert entries["TIDI_NCFILE"] == ("tidi.nc",)
    assert entries["POWER"] == (21.0,)
    with Dataset(tmp_path / "tidi.nc") as file:
        assert file["U"].shape[1:] == (36, 72)


def test_that_half_the_step_is_written_where_a_retry_asks_for_it(member: Member) -> None:
    assert member(step_s=30)["STEP"] == (30,)
    with pytest.raises(ThermodaError, match=r"must be a multiple of STEP=7 s"):
        member(step_s=7, **CONSTANT)
