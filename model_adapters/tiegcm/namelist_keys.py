"""The keys of TIE-GCM's namelist: which version knows which, and of what kind their values are."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum

from da.errors import ThermodaError
from model_adapters.tiegcm.model_time import MTIME_LENGTH, Version
from model_adapters.tiegcm.namelist import Scalar


class Kind(StrEnum):
    """What stands after a key."""

    INTEGER = "a whole number"
    REAL = "a number"
    TEXT = "a text in quotes"
    LOGICAL = "true or false"
    MODEL_TIME = "a model time"
    TEXTS = "texts in quotes"
    REALS = "numbers"
    INTEGERS = "whole numbers"
    LOGICALS = "truth values"
    SERIES = "a time series"


@dataclass(frozen=True)
class Dialect:
    """How one version spells the namelist.

    Parameters
    ----------
    version : str
    start, stop, hist : str
        Keys of the period and of the interval of primary histories.
    """

    version: Version
    start: str
    stop: str
    hist: str

    @property
    def time_parts(self) -> tuple[str, ...]:
        """What the numbers of a model time count."""
        return ("day", "hour", "minute", "second")[: MTIME_LENGTH[self.version]]

    @property
    def keys(self) -> dict[str, Kind]:
        """Every key that this version reads."""
        return {**_COMMON, **_OWN[self.version]}

    def kind(self, key: str) -> Kind:
        """Return the kind of a key's values.

        Raises
        ------
        ThermodaError
            If this version does not know the key.
        """
        keys = self.keys
        if key in keys:
            return keys[key]
        other: Version = "3.0" if self.version == "2.0" else "2.0"
        if key in _OTHER_NAMES and _OTHER_NAMES[key] in keys:
            hint = f"its name there is {_OTHER_NAMES[key]}"
        elif key in _PATCHED:
            hint = "it needs a patched build: set patched_characteristic_energies where yours is"
        elif key in DIALECTS[other].keys:
            hint = f"version {other} alone knows it"
        else:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]}?" if near else "see the list of namelist parameters in the model's guide"
        raise ThermodaError(f"TIE-GCM {self.version} namelist: {key} is no key of this version; {hint}")


MAX_SERIES_TIMES = 500
"""Most times of one series (mxind_time of both versions)."""

SERIES = tuple(f"{name}_TIME" for name in ("POWER", "CTPOTEN", "KP", "F107", "F107A"))
SOLAR_WIND = ("BXIMF", "BYIMF", "BZIMF", "SWVEL", "SWDEN")
GSWM_FILES = ("GSWM_MI_DI_NCFILE", "GSWM_MI_SDI_NCFILE", "GSWM_NM_DI_NCFILE", "GSWM_NM_SDI_NCFILE")

_COMMON: dict[str, Kind] = {
    **dict.fromkeys(
        [
            "START_YEAR",
            "START_DAY",
            "CALENDAR_ADVANCE",
            "STEP",
            "MXHIST_PRIM",
            "MXHIST_SECH",
            "SECH_NBYTE",
            "NTASK_LAT",
            "NTASK_LON",
            "EDDY_DIF",
            "DYNAMO",
            "AURORA",
            "CURRENT_PG",
            "CURRENT_KQ",
            "CALC_HELIUM",
            "INDICES_INTERP",
            "AMIE_IBKG",
        ],
        Kind.INTEGER,
    ),
    **dict.fromkeys(
        [
            "F107",
            "F107A",
            "POWER",
            "CTPOTEN",
            "KP",
            "AL",
            "COLFAC",
            "JOULEFAC",
            "OPDIFFCAP",
            "BXIMF",
            "BYIMF",
            "BZIMF",
            "SWVEL",
            "SWDEN",
        ],
        Kind.REAL,
    ),
    **dict.fromkeys((*SERIES, "AL_TIME", *(f"{name}_TIME" for name in SOLAR_WIND)), Kind.SERIES),
    **dict.fromkeys(["TIDE", "TIDE2", "TIDE3M3"], Kind.REALS),
    **dict.fromkeys(
        [
            "LABEL",
            "SOURCE",
            "POTENTIAL_MODEL",
            "HPSS_PATH",
            "GPI_NCFILE",
            "IMF_NCFILE",
            "SEE_NCFILE",
            "SABER_NCFILE",
            "TIDI_NCFILE",
            "BGRDDATA_NCFILE",
            "CTMT_NCFILE",
            "AMIENH",
            "AMIESH",
        ]
        + list(GSWM_FILES),
        Kind.TEXT,
    ),
    **dict.fromkeys(["OUTPUT", "SECOUT", "SECFLDS"], Kind.TEXTS),
    **dict.fromkeys(["SOURCE_START", "SECSTART", "SECSTOP", "SECHIST"], Kind.MODEL_TIME),
}
_OWN: dict[str, dict[str, Kind]] = {
    "2.0": {
        **dict.fromkeys(("START", "STOP", "HIST"), Kind.MODEL_TIME),
        "ENFORCE_OPFLOOR": Kind.INTEGER,
    },
    "3.0": {
        **dict.fromkeys(("PRISTART", "PRISTOP", "PRIHIST"), Kind.MODEL_TIME),
        **dict.fromkeys(["NSTEP_SUB", "ELECTRON_HEATING"], Kind.INTEGER),
        **dict.fromkeys(
            [
                "OPDIFFRATE",
                "OPDIFFLEV",
                "OPFLOOR",
                "OPRATE",
                "OPLEV",
                "OPLATWIDTH",
                "TE_CAP",
                "TI_CAP",
                "NUDGE_ALPHA",
            ],
            Kind.REAL,
        ),
        **dict.fromkeys(
            [
                "DUFF",
                "ENFORCE_N2",
                "ET",
                "SAPS",
                "DOECLIPSE",
                "ONEWAY",
                "NUDGE_USE_REFDATE",
            ],
            Kind.LOGICAL,
        ),
        **dict.fromkeys(
            [
                "HE_COEFS_NCFILE",
                "SUBAUR_DATA",
                "ECLIPSE_LIST",
                "MIXFILE",
                "NUDGE_NCPRE",
                "NUDGE_NCPOST",
            ],
            Kind.TEXT,
        ),
        **dict.fromkeys(["NUDGE_NCFILE", "NUDGE_FLDS"], Kind.TEXTS),
        **dict.fromkeys(["NUDGE_LBC", "NUDGE_F4D"], Kind.LOGICALS),
        **dict.fromkeys(["NUDGE_SPONGE", "NUDGE_DELTA", "NUDGE_POWER"], Kind.REALS),
        "NUDGE_REFDATE": Kind.INTEGERS,
    },
}
_PATCHED = {"ALFAC": Kind.REAL, "ALFAD": Kind.REAL}
_PRIMARY_NAMES = {"START": "PRISTART", "STOP": "PRISTOP", "HIST": "PRIHIST"}
_OTHER_NAMES = {**_PRIMARY_NAMES, **{new: old for old, new in _PRIMARY_NAMES.items()}}

DIALECTS: dict[Version, Dialect] = {
    "2.0": Dialect("2.0", "START", "STOP", "HIST"),
    "3.0": Dialect("3.0", "PRISTART", "PRISTOP", "PRIHIST"),
}

_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.INTEGER: (int,),
    Kind.INTEGERS: (int,),
    Kind.MODEL_TIME: (int,),
    Kind.REAL: (int, float),
    Kind.REALS: (int, float),
    Kind.SERIES: (int, float),
    Kind.TEXT: (str,),
    Kind.TEXTS: (str,),
    Kind.LOGICAL: (bool,),
    Kind.LOGICALS: (bool,),
}
_SINGLE = (Kind.INTEGER, Kind.REAL, Kind.TEXT, Kind.LOGICAL)


def kind_of(key: str, dialect: Dialect, *, patched: bool = False) -> Kind:
    """Return the kind of a key, those of a patched build included where it is one; ThermodaError if unknown."""
    return _PATCHED[key] if patched and key in _PATCHED else dialect.kind(key)


def fits(values: tuple[Scalar, ...], kind: Kind) -> bool:
    """Return whether values are as many and of the type that a kind asks for."""
    if not values or (kind in _SINGLE and len(values) != 1):
        return False
    truth = kind in (Kind.LOGICAL, Kind.LOGICALS)
    return all(isinstance(value, _TYPES[kind]) and isinstance(value, bool) == truth for value in values)
