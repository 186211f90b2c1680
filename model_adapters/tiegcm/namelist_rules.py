"""What TIE-GCM asks of a namelist, checked before the model is started: it would stop with a message of its own.

Each rule is one that versions 2.0 and 3.0 hold in their input module, or a trap of the file system (paths).
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from da.errors import ThermodaError
from model_adapters.tiegcm.model_time import Version
from model_adapters.tiegcm.namelist import Entries, Scalar
from model_adapters.tiegcm.namelist_keys import (
    DIALECTS,
    GSWM_FILES,
    MAX_SERIES_TIMES,
    SOLAR_WIND,
    Dialect,
    Kind,
    fits,
    kind_of,
)

LONGEST_PATH = 99
"""Characters of a path: the model copies some into buffers of 120 together with words of its own."""

COARSE_STEP_DEG = 5.0
"""At this resolution the model refuses background, CTMT and non-migrating GSWM files."""

_PARTS_S = (86400, 3600, 60, 1)
_LARGEST = (366, 23, 59, 59)
_RANGES: dict[str, tuple[float, float]] = {
    "F107": (40.0, 600.0),
    "F107A": (40.0, 600.0),
    "POWER": (0.1, 2000.0),
    "CTPOTEN": (0.1, 1000.0),
    "KP": (0.0, 9.0),
    "BXIMF": (-300.0, 300.0),
    "BYIMF": (-300.0, 300.0),
    "BZIMF": (-300.0, 300.0),
    "SWVEL": (50.0, 5000.0),
    "SWDEN": (0.01, 500.0),
    "COLFAC": (0.01, 100.0),
    "JOULEFAC": (0.01, 100.0),
    "ALFAC": (0.001, 10.0),
    "ALFAD": (0.001, 10.0),
    "STEP": (1, 600),
    "START_YEAR": (1900, 2200),
    "NSTEP_SUB": (1, 1000),
    "MXHIST_PRIM": (1, 10**6),
    "MXHIST_SECH": (1, 10**6),
}
_CHOICES: dict[str, tuple[Scalar, ...]] = {
    "CALENDAR_ADVANCE": (0, 1),
    "CALC_HELIUM": (0, 1),
    "SECH_NBYTE": (4, 8),
    "POTENTIAL_MODEL": ("HEELIS", "WEIMER", "WEIMER01", "WEIMER05", "NONE"),
}
_COUNTS = {"TIDE": 10, "TIDE2": 2, "TIDE3M3": 2}


def check_namelist(
    entries: Entries, version: Version, *, latitude_step_deg: float, patched_characteristic_energies: bool = False
) -> None:
    """Refuse what the model would refuse, or would take and then go wrong with.

    Parameters
    ----------
    entries : mapping of str to tuple
        The whole namelist of one forecast from a source history.
    version : str
    latitude_step_deg : float
        Of the model's grid.
    patched_characteristic_energies : bool
        Whether the build reads ALFAC and ALFAD.

    Raises
    ------
    ThermodaError
        Naming the key, its value and what would be right.
    """
    rules = _Rules(entries, DIALECTS[version], latitude_step_deg, patched_characteristic_energies)
    rules.check_kinds_and_ranges()
    rules.check_paths()
    rules.check_period()
    rules.check_source()
    rules.check_primary_histories()
    rules.check_secondary_histories()
    rules.check_series()
    rules.check_forcing()
    rules.check_lower_boundary()


def days_of_year(year: int) -> int:
    """Return 365, or 366 in leap years."""
    first = np.datetime64(f"{year:04d}-01-01")
    return int((np.datetime64(f"{year + 1:04d}-01-01") - first).astype(int))


def default_histories_per_file(latitude_step_deg: float) -> int:
    """Return how many primary histories go into a file where MXHIST_PRIM says nothing."""
    return 4 if latitude_step_deg == 2.5 else 10


class _Rules:
    """The rules for one namelist; every method refuses by raising."""

    def __init__(self, entries: Entries, dialect: Dialect, latitude_step_deg: float, patched: bool) -> None:
        self._entries = entries
        self._dialect = dialect
        self._step_deg = latitude_step_deg
        self._patched = patched
        self._start, self._stop, self._hist = dialect.start, dialect.stop, dialect.hist

    def check_kinds_and_ranges(self) -> None:
        kinds = {key: kind_of(key, self._dialect, patched=self._patched) for key in self._entries}
        for key, values in self._entries.items():
            kind = kinds[key]
            if not fits(values, kind):
                self._refuse(key, f"must be {kind}")
            if any(isinstance(value, float) and not np.isfinite(value) for value in values):
                self._refuse(key, "must be finite")
            if key in _COUNTS and len(values) != _COUNTS[key]:
                self._refuse(key, f"must have {_COUNTS[key]} values")
            if kind is Kind.MODEL_TIME:
                self._check_model_time(key)
            if key in _CHOICES and values[0] not in _CHOICES[key]:
                self._refuse(key, "must be " + " or ".join(map(str, _CHOICES[key])))
            name = key.removesuffix("_TIME")
            if name in _RANGES:
                self._check_range(key, self._series_values(key) if kind is Kind.SERIES else values, _RANGES[name])

    def check_paths(self) -> None:
        for key, values in self._entries.items():
            is_path = key.endswith("NCFILE") or key in ("SOURCE", "OUTPUT", "SECOUT", "AMIENH", "AMIESH", "SUBAUR_DATA")
            for text in values if is_path else ():
                if not 0 < len(str(text).strip()) <= LONGEST_PATH:
                    self._refuse(key, f"must have 1 to {LONGEST_PATH} characters; link to the file by a shorter path")

    def check_period(self) -> None:
        self._require(self._start, self._stop, self._hist, "STEP", "START_YEAR", "START_DAY")
        year, start_day = self._int("START_YEAR"), self._int("START_DAY")
        days = days_of_year(year)
        if not 1 <= start_day <= days:
            self._refuse("START_DAY", f"must be 1 to {days} in {year}; after the last day go on with day 1 of the next")
        if self._int("CALENDAR_ADVANCE", 1) == 1 and self._int(self._start) != start_day:
            self._refuse(self._start, f"must begin with START_DAY={start_day}, as CALENDAR_ADVANCE is 1")
        step = self._int("STEP")
        for key in (self._start, self._stop, self._hist):
            if self._seconds(key) % step:
                self._refuse(key, f"must be a multiple of STEP={step} s")
        if self._seconds(self._stop) <= self._seconds(self._start):
            self._refuse(self._stop, f"must come after {self._start}={self._shown(self._start)}")
        if self._seconds(self._stop) > (days + 1) * 86400:
            self._refuse(
                self._stop,
                f"must not pass the end of {year}: stop at {days + 1} 0 0 and go on from day 1 of {year + 1}",
            )

    def check_source(self) -> None:
        self._require("SOURCE", "SOURCE_START")
        if self._entries["SOURCE_START"][1:] != self._entries[self._start][1:]:
            clock = " ".join(map(str, self._entries[self._start][1:]))
            self._refuse("SOURCE_START", f"must have the time of day of {self._start}, {clock}; days may differ")

    def check_primary_histories(self) -> None:
        self._require("OUTPUT")
        interval = self._seconds(self._hist)
        length = self._seconds(self._stop) - self._seconds(self._start)
        if interval <= 0 or length % interval:
            self._refuse(self._hist, f"must divide the {length} s from {self._start} to {self._stop}")
        if self._entries["SOURCE"][0] in self._entries["OUTPUT"]:
            self._refuse("OUTPUT", "must not be SOURCE")
        default = default_histories_per_file(self._step_deg)
        self._check_room("OUTPUT", "MXHIST_PRIM", default, length // interval + 1)

    def check_secondary_histories(self) -> None:
        keys = ("SECSTART", "SECSTOP", "SECHIST", "SECOUT", "SECFLDS")
        if not any(key in self._entries for key in keys):
            return
        self._require(*keys[:4])
        step = self._int("STEP")
        for key in keys[:3]:
            if self._seconds(key) % step:
                self._refuse(key, f"must be a multiple of STEP={step} s")
        start, stop, interval = (self._seconds(key) for key in keys[:3])
        if start < self._seconds(self._start):
            self._refuse("SECSTART", f"must not come before {self._start}={self._shown(self._start)}")
        if not start <= stop <= self._seconds(self._stop):
            self._refuse("SECSTOP", f"must lie from SECSTART to {self._stop}={self._shown(self._stop)}")
        if interval <= 0 or (stop - start) % interval:
            self._refuse("SECHIST", f"must divide the {stop - start} s from SECSTART to SECSTOP")
        fields = self._entries.get("SECFLDS", ())
        if len(set(fields)) != len(fields):
            self._refuse("SECFLDS", "must not hold a field twice")
        if set(self._entries["SECOUT"]) & {*self._entries["OUTPUT"], *self._entries["SOURCE"]}:
            self._refuse("SECOUT", "must differ from OUTPUT and SOURCE")
        self._check_room("SECOUT", "MXHIST_SECH", 10 if self._step_deg == 2.5 else 24, (stop - start) // interval + 1)

    def check_series(self) -> None:
        for key in self._entries:
            if kind_of(key, self._dialect, patched=self._patched) is not Kind.SERIES:
                continue
            if (constant := key.removesuffix("_TIME")) in self._entries:
                self._refuse(key, f"must not be given together with {constant}")
            times = self._series_seconds(key)
            if len(times) > MAX_SERIES_TIMES:
                self._fault(key, f"{len(times)} times", f"must have at most {MAX_SERIES_TIMES}")
            if times[0] != self._seconds(self._start):
                self._refuse(key, f"must begin at {self._start}={self._shown(self._start)}")
            if any(later <= earlier for earlier, later in zip(times[:-1], times[1:], strict=True)):
                self._refuse(key, "must have increasing times")
            if times[-1] > self._seconds(self._stop):
                self._refuse(key, f"must not go beyond {self._stop}={self._shown(self._stop)}")

    def check_forcing(self) -> None:
        for key, other in (("GPI_NCFILE", "F107"), ("GPI_NCFILE", "F107A")):
            if key in self._entries and self._given(other):
                self._refuse(key, f"must not be given together with {other}")
        model = str(self._entries.get("POTENTIAL_MODEL", ("HEELIS",))[0])
        if self._given("KP") and self._given("POWER") and self._given("CTPOTEN"):
            self._refuse(self._name("KP"), "must not be given together with both POWER and CTPOTEN: it replaces them")
        if model == "HEELIS":
            self._check_heelis()
        elif model.startswith("WEIMER"):
            self._check_weimer()

    def check_lower_boundary(self) -> None:
        tides = tuple(key for key in ("TIDE", "TIDE2") if any(self._entries.get(key, ())))
        groups = {
            "GSWM": tuple(key for key in GSWM_FILES if key in self._entries),
            "SABER and TIDI": tuple(key for key in ("SABER_NCFILE", "TIDI_NCFILE") if key in self._entries),
            "Hough tides": tides,
            "CTMT": tuple(key for key in ("CTMT_NCFILE",) if key in self._entries),
        }
        used = [keys[0] for keys in groups.values() if keys]
        if len(used) > 1:
            kinds = ", ".join(groups)
            self._refuse(used[1], f"must not be given together with {used[0]}: {kinds} exclude each other")
        for key in ("BGRDDATA_NCFILE", "CTMT_NCFILE", *GSWM_FILES[2:]):
            if key in self._entries and self._step_deg == COARSE_STEP_DEG:
                self._refuse(key, "must not be given at 5 degrees: the model takes it at 2.5 degrees only")

    def _check_heelis(self) -> None:
        if "IMF_NCFILE" in self._entries:
            self._refuse("IMF_NCFILE", "must not be given with POTENTIAL_MODEL='HEELIS'; WEIMER takes it")
        if "GPI_NCFILE" in self._entries:
            return
        for key in ("POWER", "CTPOTEN"):
            if not self._given(key) and not self._given("KP"):
                self._fault(key, "absent", f"must be given with HEELIS, as {key}, {key}_TIME or by KP")
        for key in ("F107", "F107A"):
            if not self._given(key):
                self._fault(key, "absent", f"must be given, as {key} or {key}_TIME")

    def _check_weimer(self) -> None:
        for key in ("CTPOTEN", "KP"):
            if self._given(key):
                self._refuse(self._name(key), "must not be given with WEIMER, which has a potential of its own")
        if "GPI_NCFILE" not in self._entries:
            for key in ("F107", "F107A"):
                if key not in self._entries:
                    self._fault(key, "absent", "must be given as a constant with WEIMER; a time series is not enough")
        for key in SOLAR_WIND if "IMF_NCFILE" not in self._entries else ():
            if not self._given(key):
                self._fault(key, "absent", f"must be given with WEIMER, as {key}, {key}_TIME or by IMF_NCFILE")

    def _check_model_time(self, key: str) -> None:
        values, parts = self._entries[key], self._dialect.time_parts
        if len(values) != len(parts):
            self._refuse(key, f"must be {len(parts)} numbers: {', '.join(parts)}")
        largest = (367, *_LARGEST[1 : len(parts)])
        if any(not 0 <= int(value) <= most for value, most in zip(values, largest, strict=True)):
            self._refuse(key, f"must be {', '.join(parts)} within 0 and {', '.join(map(str, largest))}")

    def _check_range(self, key: str, values: tuple[Scalar, ...], limits: tuple[float, float]) -> None:
        for value in values:
            if not limits[0] <= float(value) <= limits[1]:
                self._fault(key, value, f"must lie within {limits[0]:g} and {limits[1]:g}")

    def _check_room(self, files: str, limit: str, default: int, histories: int) -> None:
        room = self._int(limit, default) * len(self._entries[files])
        if histories > room:
            self._fault(limit, self._int(limit, default), f"must be at least {histories} for the histories of this run")

    def _series_table(self, key: str) -> list[tuple[Scalar, ...]]:
        width, values = len(self._dialect.time_parts) + 1, self._entries[key]
        if len(values) % width:
            parts = ", ".join(self._dialect.time_parts)
            self._refuse(key, f"must be groups of {width} numbers: {parts}, value; there are {len(values)}")
        return [values[first : first + width] for first in range(0, len(values), width)]

    def _series_values(self, key: str) -> tuple[Scalar, ...]:
        return tuple(row[-1] for row in self._series_table(key))

    def _series_seconds(self, key: str) -> list[int]:
        rows = [row[:-1] for row in self._series_table(key)]
        if any(float(part) != int(part) for row in rows for part in row):
            self._refuse(key, f"must have whole numbers for {', '.join(self._dialect.time_parts)}")
        return [_to_seconds(row) for row in rows]

    def _seconds(self, key: str) -> int:
        return _to_seconds(self._entries[key])

    def _int(self, key: str, default: int = 0) -> int:
        return int(self._entries[key][0]) if key in self._entries else default

    def _given(self, key: str) -> bool:
        return key in self._entries or f"{key}_TIME" in self._entries

    def _name(self, key: str) -> str:
        return key if key in self._entries else f"{key}_TIME"

    def _require(self, *keys: str) -> None:
        for key in keys:
            if key not in self._entries:
                self._fault(key, "absent", "must be given")

    def _shown(self, key: str) -> str:
        values = " ".join(map(str, self._entries[key]))
        return values if len(values) <= 60 else values[:57] + "..."

    def _refuse(self, key: str, right: str) -> NoReturn:
        self._fault(key, self._shown(key), right)

    def _fault(self, key: str, value: object, right: str) -> NoReturn:
        raise ThermodaError(f"TIE-GCM {self._dialect.version} namelist: {key} ({value}) {right}")


def _to_seconds(parts: tuple[Scalar, ...]) -> int:
    return sum(int(part) * seconds for part, seconds in zip(parts, _PARTS_S, strict=False))
