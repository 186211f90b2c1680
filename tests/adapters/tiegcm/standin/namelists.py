"""What the stand-in for TIE-GCM reads of a namelist, and what it refuses, as version 2.0 and 3.0 do.

Written apart from the adapter's own reader and writer, so that neither can hide a fault of the other.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from faults import FortranError, ShutdownError
from law import Forcing

Value = str | float
Entries = dict[str, list[Value]]

MAX_PATH = 120
"""Characters of TIE-GCM's buffers for file names."""

DAY_S = 86_400

_INDICES = "f107 f107a power ctpoten bximf byimf bzimf swvel swden al kp"
_COMMON = (
    "label step source source_start output secout secstart secstop sechist secflds potential_model eddy_dif dynamo "
    "tide tide2 colfac joulefac aurora gpi_ncfile gswm_mi_di_ncfile gswm_mi_sdi_ncfile gswm_nm_di_ncfile "
    "gswm_nm_sdi_ncfile mxhist_prim mxhist_sech ntask_lat ntask_lon start_day start_year calendar_advance see_ncfile "
    "indices_interp imf_ncfile saber_ncfile tidi_ncfile sech_nbyte current_pg current_kq calc_helium bgrddata_ncfile "
    "ctmt_ncfile opdiffcap "
)
_ONLY = {
    "2.0": "start stop hist enforce_opfloor ncep_ncfile",
    "3.0": "pristart pristop prihist nstep_sub tide3m3 hpss_path electron_heating duff amienh amiesh amie_ibkg "
    "he_coefs_ncfile enforce_n2 et saps subaur_data doeclipse eclipse_list oneway mixfile nudge_ncpre nudge_ncfile "
    "nudge_ncpost nudge_flds nudge_lbc nudge_f4d nudge_use_refdate nudge_refdate nudge_sponge nudge_delta nudge_power "
    "nudge_alpha opdiffrate opdifflev opfloor oprate oplev oplatwidth te_cap ti_cap",
}
PATCHED = ("alfac", "alfad")
"""Names that only a patched build knows; ``TIEGCM_STANDIN_PATCHED=1`` makes the stand-in one."""

_TOKEN = re.compile(r"\s*(?:!.*|,|(?P<text>'[^']*'|\"[^\"]*\")|(?P<key>[a-z]\w*)\s*=|(?P<value>[^\s,'\"!=/]+))", re.I)


def known_names(version: str) -> set[str]:
    """Return the names of the namelist of a version, in lower case."""
    names = set((_COMMON + _INDICES + " " + _ONLY[version]).split()) | {f"{one}_time" for one in _INDICES.split()}
    return names | set(PATCHED) if os.environ.get("TIEGCM_STANDIN_PATCHED") else names


def _value(text: str) -> list[Value]:
    count, _, rest = text.rpartition("*")
    if rest.lower() in (".true.", ".false.", "t", "f"):
        one: Value = rest.lower()
    else:
        try:
            one = float(rest.lower().replace("d", "e"))
        except ValueError as error:
            raise FortranError(f"Bad value during namelist read: {text}") from error
    return [one] * (int(count) if count else 1)


def read_namelist(path: Path, version: str) -> Entries:
    """Return the values of each key, keys in lower case; unknown names end the run as the Fortran library does."""
    body = re.search(r"^\s*&tgcm_input\b(.*?)^\s*/", path.read_text(encoding="ascii"), re.S | re.M | re.I)
    if body is None:
        raise FortranError("End of file")
    entries: Entries = {}
    key = ""
    for line in body.group(1).splitlines():
        for token in _TOKEN.finditer(line):
            if token["key"]:
                key = token["key"].lower()
                if key not in known_names(version):
                    raise FortranError(f"Cannot match namelist object name {key}")
                entries[key] = []
            elif token["text"] or token["value"]:
                entries[key] += [token["text"][1:-1]] if token["text"] else _value(token["value"])
    return entries


@dataclass(frozen=True)
class Run:
    """What a namelist asks for; times are seconds since the begin of day 0, as the model counts them."""

    version: str
    entries: Entries
    step_s: int
    start_s: int
    stop_s: int
    history_s: int
    year: int
    output: Path
    source: Path | None
    source_time: tuple[int, ...]

    def forcing(self, time_s: float) -> Forcing:
        """Return the inputs of the law at a time: constants, or series interpolated linearly."""
        kp = self.index("kp", time_s)
        power, potential = self.index("power", time_s), self.index("ctpoten", time_s)
        if self.weimer:
            potential = 20.0 + 0.02 * self.needed("swvel", time_s) - 2.0 * min(self.needed("bzimf", time_s), 0.0)
            power = potential if power is None else power
        if kp is not None:
            power = 5.0 + 10.0 * kp if power is None else power
            potential = 15.0 + 15.0 * kp if potential is None else potential
        if power is None or potential is None:
            raise ShutdownError("inp_solar: need POWER and CTPOTEN, or KP")
        f107, f107a = self.needed("f107", time_s), self.needed("f107a", time_s)
        factor = self.entries.get("joulefac", [1.5])[0]
        return Forcing(f107, f107a, power, potential, float(factor))

    @property
    def weimer(self) -> bool:
        """Whether the potential is Weimer's."""
        return str(self.entries.get("potential_model", ["HEELIS"])[0]).upper() == "WEIMER"

    def index(self, name: str, time_s: float) -> float | None:
        """Return one input at a time, or None where the namelist does not give it."""
        if name in self.entries:
            return float(self.entries[name][0])
        series = self.entries.get(f"{name}_time")
        if series is None:
            return None
        width = 4 if self.version == "2.0" else 5
        rows = [[float(one) for one in series[i : i + width]] for i in range(0, len(series), width)]
        times = [_seconds(row[:-1]) for row in rows]
        if not times[0] <= time_s <= times[-1]:
            raise ShutdownError(f"inp_solar: {name.upper()}_TIME does not span the run")
        after = next((i for i, time in enumerate(times) if time >= time_s and i), 1)
        before = after - 1
        if len(times) == 1:
            return rows[0][-1]
        fraction = (time_s - times[before]) / (times[after] - times[before])
        return rows[before][-1] + fraction * (rows[after][-1] - rows[before][-1])

    def needed(self, name: str, time_s: float) -> float:
        """Return one input at a time; the model stops where the namelist does not give it."""
        value = self.index(name, time_s)
        if value is None:
            raise ShutdownError(f"inp_solar: need {name.upper()}")
        return value


def _seconds(time: list[float] | list[Value]) -> int:
    day, hour, minute, second = ([float(one) for one in time] + [0.0])[:4]
    return int(day * DAY_S + hour * 3600 + minute * 60 + second)


def _path(entries: Entries, name: str) -> Path:
    text = os.path.expandvars(str(entries[name][0]))
    if len(text) > MAX_PATH:
        raise FortranError("End of record")
    return Path(text)


def _refuse(entries: Entries) -> None:
    """Stop on what may not stand together."""
    given = {name.removesuffix("_time") for name in entries}
    weimer = str(entries.get("potential_model", ["HEELIS"])[0]).upper() == "WEIMER"
    if weimer and given & {"ctpoten", "kp"}:
        raise ShutdownError("inp_solar: CTPOTEN and KP may not be given with WEIMER")
    if {"kp", "power", "ctpoten"} <= given:
        raise ShutdownError("inp_solar: KP may not be given with both POWER and CTPOTEN")
    unread = [name for name in ("gpi_ncfile", "imf_ncfile") if entries.get(name)]
    if unread:
        raise ShutdownError(f"the stand-in does not read {unread[0].upper()}")


def planned_run(entries: Entries, version: str) -> Run:
    """Return the run that a namelist asks for, or stop as the model's checks do (inp_primhist, inp_solar)."""
    prefix, width = ("", 3) if version == "2.0" else ("pri", 4)
    for name in (f"{prefix}start", f"{prefix}stop", f"{prefix}hist", "step", "output", "start_year"):
        if not entries.get(name):
            raise ShutdownError(f"input: need {name.upper()}")
    for name in (f"{prefix}start", f"{prefix}stop", f"{prefix}hist", "source_start"):
        if name in entries and len(entries[name]) != width:
            raise ShutdownError(f"inp_primhist: {name.upper()} needs {width} numbers")
    step_s = int(float(entries["step"][0]))
    start_s, stop_s, history_s = (_seconds(entries[f"{prefix}{one}"]) for one in ("start", "stop", "hist"))
    if any(time % step_s for time in (start_s, stop_s, history_s)):
        raise ShutdownError("inp_primhist: START, STOP and HIST must be multiples of STEP")
    if stop_s <= start_s:
        raise ShutdownError("inp_primhist: STOP must be later than START")
    if history_s <= 0 or (stop_s - start_s) % history_s:
        raise ShutdownError("inp_primhist: STOP - START must be a multiple of HIST")
    advance = entries.get("calendar_advance", [0.0])[0]
    if advance and float(entries.get("start_day", [-1.0])[0]) != start_s // DAY_S:
        raise ShutdownError("inp_primhist: START must be on START_DAY where CALENDAR_ADVANCE is set")
    source = _path(entries, "source") if entries.get("source") else None
    source_time = tuple(int(float(one)) for one in entries.get("source_start", []))
    if source is not None and len(source_time) != width:
        raise ShutdownError("inp_primhist: need SOURCE_START")
    if source is not None and _seconds([0.0, *entries["source_start"][1:]]) != start_s % DAY_S:
        raise ShutdownError("inp_primhist: hour and minute of START must be those of SOURCE_START")
    _refuse(entries)
    year = int(float(entries["start_year"][0]))
    output = _path(entries, "output")
    run = Run(version, entries, step_s, start_s, stop_s, history_s, year, output, source, source_time)
    for time_s in (start_s, stop_s - step_s):
        run.forcing(time_s)
    return run
