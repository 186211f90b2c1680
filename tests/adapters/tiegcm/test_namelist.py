"""The namelist as text: written, read back, and held to the rules of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.errors import ThermodaError
from model_adapters.tiegcm.namelist import LONGEST_LINE, format_namelist, parse_namelist
from model_adapters.tiegcm.namelist_rules import check_namelist, days_of_year

EXAMPLE_20 = """&tgcm_input
 LABEL='exp'  ! a comment with 'quotes' and / in it
 START_YEAR=2002 START_DAY=81 CALENDAR_ADVANCE=1
 SOURCE='source.nc' SOURCE_START=81 0 0
 START=81 0 0, STOP=81,1,0  STEP=60
 HIST=0 0 30
 OUTPUT='prim.nc'
 POTENTIAL_MODEL='HEELIS' POWER=18. CTPOTEN=3.d1 F107=120.0 F107A=120
 CALC_HELIUM=1
/
"""
KEYS_OF_30 = {"START": "PRISTART", "STOP": "PRISTOP", "HIST": "PRIHIST"}
TIMES = ("SOURCE_START", "PRISTART", "PRISTOP", "PRIHIST")


def example(version: str = "2.0", **changes: object) -> dict[str, tuple]:
    """Return a valid namelist, changed: None removes a key, a single value becomes a tuple of one."""
    entries = parse_namelist(EXAMPLE_20)
    if version == "3.0":
        entries = {KEYS_OF_30.get(key, key): values for key, values in entries.items()}
        entries |= {key: (*entries[key], 0) for key in TIMES}
    for key, value in changes.items():
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value if isinstance(value, tuple) else (value,)
    return entries


def weimer(**changes: object) -> dict[str, tuple]:
    wind = {"BXIMF": 0.0, "BYIMF": 1.0, "BZIMF": -2.0, "SWVEL": 400.0, "SWDEN": 5.0}
    return example(**{"POTENTIAL_MODEL": "WEIMER", "CTPOTEN": None, "POWER": None, **wind, **changes})


def secondary(**changes: object) -> dict[str, tuple]:
    own = {
        "SECSTART": (81, 0, 30),
        "SECSTOP": (81, 1, 0),
        "SECHIST": (0, 0, 15),
        "SECOUT": "sech.nc",
        "SECFLDS": ("DEN", "ZG"),
    }
    return example(**{**own, **changes})


def test_that_a_namelist_in_the_style_of_the_model_is_read_into_entries() -> None:
    entries = parse_namelist(EXAMPLE_20)
    assert entries["LABEL"] == ("exp",)
    assert entries["STOP"] == (81, 1, 0)
    assert entries["CTPOTEN"] == (30.0,)
    assert entries["F107A"] == (120,)


@pytest.mark.parametrize("name", ["namelist_2.0_1hour.inp", "namelist_3.0_10min.inp"])
def test_that_the_namelists_of_real_runs_pass_every_rule(tiegcm_folder: Path, name: str) -> None:
    entries = parse_namelist((tiegcm_folder / name).read_text(), name)
    check_namelist(entries, name[9:12], latitude_step_deg=5.0)
    assert parse_namelist(format_namelist(entries)) == entries


scalars = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90),
)


@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,15}", fullmatch=True), st.lists(scalars, min_size=1).map(tuple))
)
def test_that_entries_are_read_back_as_they_were_written(entries: dict[str, tuple]) -> None:
    text = format_namelist(entries)
    back = parse_namelist(text)
    assert back == entries
    assert [type(v) for values in back.values() for v in values] == [type(v) for vs in entries.values() for v in vs]
    assert max(len(line) for line in text.splitlines()) <= LONGEST_LINE


def test_that_repeats_doubled_quotes_and_truth_values_are_understood() -> None:
    text = '&tgcm_input tide = 2*0., 3*1 LABEL="it\'s" ET=.true. SAPS=F /'
    assert parse_namelist(text) == {"TIDE": (0.0, 0.0, 1, 1, 1), "LABEL": ("it's",), "ET": (True,), "SAPS": (False,)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("&other STEP=60 /", "no group &tgcm_input"),
        ("&tgcm_input STEP=60", "not ended"),
        ("&tgcm_input\n STEP=60\n STEP=30\n/", "line 3: STEP is given twice"),
        ("&tgcm_input\n 60 STEP=60 /", "line 2: expected KEY = value"),
        ("&tgcm_input\n SOURCE=analysis.nc /", "line 2: 'analysis.nc' is no number"),
        ("&tgcm_input\n SOURCE='a.nc\n /", "line 2: cannot be read"),
    ],
)
def test_that_a_malformed_namelist_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ThermodaError, match=words):
        parse_namelist(text, "m.inp")


@pytest.mark.parametrize("value", [np.inf, np.nan, "Gr\u00fc\u00dfe", "two\nlines", "x" * 140])
def test_that_values_that_fortran_would_misread_are_not_written(value: object) -> None:
    with pytest.raises(ThermodaError, match="LABEL"):
        format_namelist({"LABEL": (value,)})  # type: ignore[dict-item]


def test_that_long_series_are_wrapped_and_read_back_bit_for_bit() -> None:
    values = tuple(np.random.default_rng(1).normal(size=400).tolist())
    text = format_namelist({"POWER_TIME": values}, series_width=4)
    assert parse_namelist(text)["POWER_TIME"] == values
    assert max(map(len, text.splitlines())) <= 100
    assert all(line.split("=")[-1].count(",") % 4 in (0, 3) for line in text.splitlines()[1:-1])


@pytest.mark.parametrize("entries", [example(), weimer(), secondary()])
def test_that_valid_namelists_pass(entries: dict[str, tuple]) -> None:
    check_namelist(entries, "2.0", latitude_step_deg=5.0)


VIOLATIONS = {
    "step does not divide": (example(STEP=7), "START .* multiple of STEP=7"),
    "interval no multiple of step": (example(STEP=480, STOP=(81, 8, 0)), "HIST .* multiple of STEP=480"),
    "stop no multiple of step": (example(STEP=420, START=(84, 0, 0), START_DAY=84), "STOP .* multiple of STEP"),
    "interval does not divide": (example(HIST=(0, 0, 25)), r"HIST \(0 0 25\) must divide the 3600 s"),
    "interval of zero": (example(HIST=(0, 0, 0)), "HIST .* must divide"),
    "stop not after start": (example(STOP=(81, 0, 0)), "STOP .* must come after START"),
    "start hour unlike the source": (example(SOURCE_START=(80, 3, 0)), "SOURCE_START .* time of day of START"),
    "start day unlike START_DAY": (example(START_DAY=80), "START .* begin with START_DAY=80"),
    "start after the year": (example(START_DAY=366, START=(366, 0, 0), STOP=(366, 1, 0)), "START_DAY .* 1 to 365"),
    "stop after the year": (
        example(START_DAY=365, START=(365, 0, 0), STOP=(366, 1, 0)),
        r"STOP .* must not pass the end of 2002: stop at 366 0 0 and go on from day 1 of 2003",
    ),
    "hour of 24": (example(STOP=(81, 24, 0)), "STOP .* within 0 and 367, 23, 59"),
    "too few numbers": (example(STOP=(81, 1)), "STOP .* must be 3 numbers: day, hour, minute"),
    "too many numbers": (example(STOP=(81, 1, 0, 0)), "STOP .* must be 3 numbers"),
    "no STEP": (example(STEP=None), "STEP .absent. must be given"),
    "STEP of zero": (example(STEP=0), "STEP .0. must lie within 1 and 600"),
    "STEP of a half": (example(STEP=0.5), "STEP .* must be a whole number"),
    "no source time": (example(SOURCE_START=None), "SOURCE_START .absent."),
    "text without quotes": (example(SOURCE=5), "SOURCE .* must be a text in quotes"),
    "two sources": (example(SOURCE=("a.nc", "b.nc")), "SOURCE .* must be a text"),
    "truth for a number": (example(POWER=True), "POWER .* must be a number"),
    "not finite": (example(POWER=np.nan), "POWER .* finite"),
    "path too long": (example(SOURCE="x" * 100), "SOURCE .* 1 to 99 characters"),
    "path of another key too long": (example(SEE_NCFILE="x" * 158), "SEE_NCFILE .* 1 to 99 characters"),
    "empty path": (example(OUTPUT=" "), "OUTPUT .* 1 to 99 characters"),
    "output over source": (example(OUTPUT="source.nc"), "OUTPUT .* must not be SOURCE"),
    "output too small": (example(MXHIST_PRIM=2), "MXHIST_PRIM .2. must be at least 3"),
    "unknown key": (example(JOULEFACT=1.5), "JOULEFACT is no key of this version; did you mean JOULEFAC"),
    "key of 3.0": (example(NSTEP_SUB=5), "NSTEP_SUB is no key of this version; version 3.0 alone knows it"),
    "name of 3.0": (example(PRISTOP=(81, 1, 0)), "PRISTOP is no key of this version; its name there is STOP"),
    "unpatched": (example(ALFAC=0.1), "ALFAC .* patched_characteristic_energies"),
    "Kp with both": (example(KP=3.0), "KP .* both POWER and CTPOTEN"),
    "Kp out of range": (example(KP=9.3, POWER=None), "KP .9.3. must lie within 0 and 9"),
    "no power": (example(POWER=None), "POWER .absent. must be given with HEELIS"),
    "no potential": (example(CTPOTEN=None), "CTPOTEN .absent. must be given with HEELIS"),
    "no flux": (example(F107A=None), "F107A .absent. must be given"),
    "negative power": (example(POWER=-2.0), "POWER .-2.0. must lie within 0.1 and"),
    "flux of zero": (example(F107=0.0), "F107 .* must lie within 40 and 600"),
    "joule factor of zero": (example(JOULEFAC=0.0), "JOULEFAC .* must lie within"),
    "IMF file with Heelis": (example(IMF_NCFILE="imf.nc"), "IMF_NCFILE .* must not be given with POTENTIAL_MODEL"),
    "GPI file with F107": (example(GPI_NCFILE="gpi.nc"), "GPI_NCFILE .* together with F107"),
    "potential with Weimer": (weimer(CTPOTEN=30.0), "CTPOTEN .* must not be given with WEIMER"),
    "Kp with Weimer": (weimer(KP=3.0), "KP .* must not be given with WEIMER"),
    "Weimer without wind": (weimer(SWDEN=None), "SWDEN .absent. must be given with WEIMER"),
    "Weimer with a flux series": (
        weimer(F107=None, F107_TIME=(81, 0, 0, 120.0)),
        "F107 .absent. must be given as a constant with WEIMER",
    ),
    "potential model misspelt": (example(POTENTIAL_MODEL="HEELYS"), "POTENTIAL_MODEL .HEELYS. must be HEELIS"),
    "helium of 2": (example(CALC_HELIUM=2), "CALC_HELIUM .2. must be 0 or 1"),
    "SABER with GSWM": (example(SABER_NCFILE="s.nc", GSWM_MI_DI_NCFILE="g.nc"), "SABER_NCFILE .* GSWM_MI_DI_NCFILE"),
    "TIDI with GSWM": (example(TIDI_NCFILE="t.nc", GSWM_MI_SDI_NCFILE="g.nc"), "TIDI_NCFILE .* GSWM_MI_SDI_NCFILE"),
    "SABER with Hough": (example(SABER_NCFILE="s.nc", TIDE2=(5.0, 1.0)), "TIDE2 .* together with SABER_NCFILE"),
    "GSWM with Hough": (example(GSWM_MI_DI_NCFILE="g.nc", TIDE=(1.0,) * 10), "TIDE .* together with GSWM_MI_DI_NCFILE"),
    "GSWM with CTMT": (example(GSWM_MI_DI_NCFILE="g.nc", CTMT_NCFILE="c.nc"), "CTMT_NCFILE .* together with GSWM"),
    "CTMT at 5 degrees": (example(CTMT_NCFILE="c.nc"), "CTMT_NCFILE .* 2.5 degrees only"),
    "background at 5 degrees": (example(BGRDDATA_NCFILE="b.nc"), "BGRDDATA_NCFILE .* 2.5 degrees only"),
    "non-migrating tides at 5 degrees": (example(GSWM_NM_DI_NCFILE="g.nc"), "GSWM_NM_DI_NCFILE .* 2.5 degrees only"),
    "nine tidal numbers": (example(TIDE=(0.0,) * 9), "TIDE .* must have 10 values"),
    "series and constant": (example(POWER_TIME=(81, 0, 0, 18.0)), "POWER_TIME .* together with POWER"),
    "series in odd groups": (example(POWER=None, POWER_TIME=(81, 0, 0)), "POWER_TIME .* groups of 4 numbers"),
    "series that begins late": (example(POWER=None, POWER_TIME=(81, 0, 1, 18.0)), "POWER_TIME .* must begin at START"),
    "series beyond the stop": (
        example(POWER=None, POWER_TIME=(81, 0, 0, 18.0, 81, 1, 1, 18.0)),
        "POWER_TIME .* must not go beyond STOP",
    ),
    "series that stands": (
        example(POWER=None, POWER_TIME=(81, 0, 0, 18.0, 81, 0, 0, 19.0)),
        "POWER_TIME .* increasing times",
    ),
    "series of half minutes": (
        example(POWER=None, POWER_TIME=(81, 0, 0, 18.0, 81, 0, 0.5, 19.0)),
        "POWER_TIME .* whole numbers",
    ),
    "series out of range": (example(POWER=None, POWER_TIME=(81, 0, 0, -1.0)), "POWER_TIME .-1.0. must lie within"),
    "series too long": (
        example(
            START_DAY=1,
            START=(1, 0, 0),
            STOP=(11, 0, 0),
            HIST=(1, 0, 0),
            MXHIST_PRIM=20,
            POWER=None,
            POWER_TIME=tuple(n for i in range(501) for n in (1 + i // 96, i // 4 % 24, 15 * (i % 4), 18.0)),
        ),
        "POWER_TIME .501 times. must have at most 500",
    ),
    "secondary without a file": (secondary(SECOUT=None), "SECOUT .absent."),
    "secondary before the start": (secondary(SECSTART=(80, 0, 0)), "SECSTART .* must not come before START"),
    "secondary after the stop": (secondary(SECSTOP=(81, 2, 0)), "SECSTOP .* must lie from SECSTART to STOP"),
    "secondary backward": (secondary(SECSTOP=(81, 0, 15)), "SECSTOP .* must lie from SECSTART"),
    "secondary interval": (secondary(SECHIST=(0, 0, 20)), "SECHIST .* must divide the 1800 s"),
    "secondary field twice": (secondary(SECFLDS=("DEN", "DEN")), "SECFLDS .* twice"),
    "secondary over primary": (secondary(SECOUT="prim.nc"), "SECOUT .* must differ"),
    "secondary full": (secondary(MXHIST_SECH=2), "MXHIST_SECH .2. must be at least 3"),
    "secondary no multiple of step": (secondary(STEP=600, SECSTART=(81, 0, 25)), "SECSTART .* multiple of STEP"),
    "bytes": (secondary(SECH_NBYTE=2), "SECH_NBYTE .2. must be 4 or 8"),
}


@pytest.mark.parametrize(("entries", "words"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_that_a_violated_rule_is_named_with_key_value_and_what_would_be_right(
    entries: dict[str, tuple], words: str
) -> None:
    with pytest.raises(ThermodaError, match=words) as raised:
        check_namelist(entries, "2.0", latitude_step_deg=5.0)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("TIE-GCM 2.0 namelist: ")


def test_that_version_3_takes_times_of_four_numbers_and_its_own_names_alone() -> None:
    entries = example(
        "3.0", PRISTOP=(81, 1, 0, 30), STEP=10, PRIHIST=(0, 1, 0, 30), NSTEP_SUB=5, HE_COEFS_NCFILE="he.nc"
    )
    check_namelist(entries, "3.0", latitude_step_deg=5.0)
    with pytest.raises(ThermodaError, match="START is no key of this version; its name there is PRISTART"):
        check_namelist(example(), "3.0", latitude_step_deg=5.0)
    with pytest.raises(ThermodaError, match="ENFORCE_OPFLOOR is no key of this version; version 2.0 alone"):
        check_namelist(example("3.0", ENFORCE_OPFLOOR=1), "3.0", latitude_step_deg=5.0)
    with pytest.raises(ThermodaError, match="PRISTOP .* must be 4 numbers"):
        check_namelist(example("3.0", PRISTOP=(81, 1, 0)), "3.0", latitude_step_deg=5.0)


def test_that_a_patched_build_takes_characteristic_energies_within_bounds() -> None:
    check_namelist(example(ALFAC=0.2), "2.0", latitude_step_deg=5.0, patched_characteristic_energies=True)
    with pytest.raises(ThermodaError, match="ALFAC .0.0. must lie within"):
        check_namelist(example(ALFAC=0.0), "2.0", latitude_step_deg=5.0, patched_characteristic_energies=True)


@pytest.mark.parametrize(("year", "last"), [(2003, 366), (2004, 367), (2000, 367), (1900, 366)])
def test_that_a_run_may_end_at_the_turn_of_the_year_and_no_later(year: int, last: int) -> None:
    assert days_of_year(year) == last - 1
    period = {"START_YEAR": year, "START_DAY": last - 1, "START": (last - 1, 23, 0), "SOURCE_START": (last - 1, 23, 0)}
    check_namelist(example(**period, STOP=(last, 0, 0)), "2.0", latitude_step_deg=5.0)
    with pytest.raises(ThermodaError, match=f"must not pass the end of {year}"):
        check_namelist(example(**period, STOP=(last, 0, 30)), "2.0", latitude_step_deg=5.0)


def test_that_finer_grids_take_files_that_the_coarse_one_refuses_but_fewer_histories() -> None:
    for key in ("CTMT_NCFILE", "BGRDDATA_NCFILE", "GSWM_NM_DI_NCFILE"):
        check_namelist(example(**{key: "file.nc"}), "2.0", latitude_step_deg=2.5)
    with pytest.raises(ThermodaError, match=r"MXHIST_PRIM \(4\) must be at least 5"):
        check_namelist(example(HIST=(0, 0, 15)), "2.0", latitude_step_deg=2.5)
