"""The namelist of one member's forecast: its period, files, indices from the drivers and its own perturbed inputs.

What the drivers say is in :mod:`~model_adapters.tiegcm.indices`. Inputs that an offset makes impossible are held at
`FLOORS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from da.drivers import SOLAR_WIND_INPUTS, Drivers
from da.errors import ThermodaError
from model_adapters.tiegcm.history import HistoryHeader
from model_adapters.tiegcm.indices import indices
from model_adapters.tiegcm.lower_boundary import LOWER_BOUNDARY_INPUTS
from model_adapters.tiegcm.model_time import MTIME_LENGTH, Version, mtime_of, year_of
from model_adapters.tiegcm.namelist import Entries, Scalar, format_namelist
from model_adapters.tiegcm.namelist_keys import DIALECTS
from model_adapters.tiegcm.namelist_rules import check_namelist, days_of_year, default_histories_per_file
from model_adapters.tiegcm.namelist_settings import HeelisInputs, PotentialModel, TiegcmNamelistSettings, refuse

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

HEELIS_INPUTS = ("hemispheric_power_gw", "cross_tail_potential_kv")
ENERGY_INPUTS = ("cusp_energy_kev", "drizzle_energy_kev")
ALL_INPUTS = (
    "f107_sfu",
    *HEELIS_INPUTS,
    *SOLAR_WIND_INPUTS,
    "joule_ln_factor",
    "collision_ln_factor",
    *LOWER_BOUNDARY_INPUTS,
    *ENERGY_INPUTS,
)
"""Every input of Corbin & Kusche (2022), Table 1, and the collision factor."""

DEFAULT_FACTOR = 1.5
"""JOULEFAC and COLFAC of the model where the namelist says nothing."""

FLOORS = {
    "F107": 50.0,
    "F107A": 50.0,
    "POWER": 1.0,
    "CTPOTEN": 1.0,
    "SWVEL": 100.0,
    "SWDEN": 0.1,
    "ALFAC": 0.01,
    "ALFAD": 0.01,
}
"""Smallest values that are written, units of the model; below them an offset does not act any more."""

SIGNIFICANT_DIGITS = 9

_SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True)
class MemberFiles:
    """Names of a member's files as the model opens them, relative to its folder.

    Parameters
    ----------
    source : str
        History to start from.
    output : str
        Primary histories of the forecast.
    secondary : str
        Secondary histories, where the settings ask for them.
    lower_boundary : mapping
        What `write_lower_boundary_files` returned.
    """

    source: str
    output: str
    secondary: str = "secondary.nc"
    lower_boundary: Entries = field(default_factory=dict)


def perturbable_inputs(settings: TiegcmNamelistSettings, *, solar_wind: bool = False) -> tuple[str, ...]:
    """Return the names of the inputs whose perturbation acts; see `reason_against` for ``solar_wind``."""
    return tuple(name for name in ALL_INPUTS if not reason_against(settings, name, solar_wind=solar_wind))


def refuse_inert_inputs(settings: TiegcmNamelistSettings, names: Sequence[str], *, solar_wind: bool = False) -> None:
    """Raise ThermodaError for a perturbed input that the model cannot take or would ignore, with the reason."""
    for name in names:
        if reason := reason_against(settings, name, solar_wind=solar_wind):
            raise ThermodaError(f"ensemble.perturbations: {name} cannot be perturbed: {reason}")


def reason_against(settings: TiegcmNamelistSettings, name: str, *, solar_wind: bool = False) -> str:
    """Return why an input cannot be perturbed, empty where it can.

    Parameters
    ----------
    settings : TiegcmNamelistSettings
    name : str
    solar_wind : bool
        Whether the drivers hold the solar wind, from which they then compute what the Heelis model takes.
    """
    heelis = settings.potential_model is PotentialModel.HEELIS
    if name not in ALL_INPUTS:
        return f"TIE-GCM has no such input; it has {', '.join(perturbable_inputs(settings))}"
    by_drivers = settings.heelis_inputs is HeelisInputs.POWER_AND_POTENTIAL and solar_wind
    constant = settings.power_gw is not None and settings.cross_tail_potential_kv is not None
    if name in SOLAR_WIND_INPUTS and heelis and (constant or not by_drivers):
        return (
            "the Heelis model takes no solar wind, so that TIE-GCM would read it and ignore it; "
            f"set potential_model: WEIMER, or drive power and potential by solar wind, or perturb {HEELIS_INPUTS[0]}"
        )
    if name in HEELIS_INPUTS and not heelis:
        return f"with WEIMER it follows from the solar wind; perturb {' and '.join(SOLAR_WIND_INPUTS)}"
    if name in HEELIS_INPUTS and settings.heelis_inputs is HeelisInputs.KP:
        return "heelis_inputs: kp leaves it to the model, from Kp; set heelis_inputs: power_and_potential"
    if name in ENERGY_INPUTS and not settings.patched_characteristic_energies:
        key = "ALFAC" if name == "cusp_energy_kev" else "ALFAD"
        return (
            f"{key} is a constant in the source of TIE-GCM (aurora.F); patch the build to read it from the namelist "
            "and set patched_characteristic_energies: true"
        )
    tides = [key for key in ("CTMT_NCFILE", "TIDE", "TIDE2") if key in settings.further_entries()]
    if name in LOWER_BOUNDARY_INPUTS and tides:
        return f"its offsets need SABER and TIDI files, which the model refuses beside {tides[0]}"
    return ""


def parts_of_period(start: np.datetime64, stop: np.datetime64) -> list[tuple[np.datetime64, np.datetime64]]:
    """Return a period cut at the turns of the year, which one run of the model cannot pass.

    >>> [str(end) for _, end in parts_of_period(np.datetime64("2003-12-31T18"), np.datetime64("2004-01-01T06"))]
    ['2004-01-01T00', '2004-01-01T06']
    """
    turns = [np.datetime64(f"{year:04d}-01-01", "ns") for year in range(year_of(start) + 1, year_of(stop) + 1)]
    edges = [start, *(turn.astype(start.dtype) for turn in turns if start < turn < stop), stop]
    return list(zip(edges[:-1], edges[1:], strict=True))


def member_namelist(
    settings: TiegcmNamelistSettings,
    header: HistoryHeader,
    start: np.datetime64,
    stop: np.datetime64,
    drivers: Drivers,
    offsets: Mapping[str, float],
    files: MemberFiles,
    *,
    source_time: np.datetime64 | None = None,
) -> str:
    """Return the namelist of one member's forecast from a source history, checked against the model's rules.

    Parameters
    ----------
    settings : TiegcmNamelistSettings
    header : HistoryHeader
        Of the source history: version, step and grid.
    start, stop : datetime64
        Of the forecast, within one calendar year or up to its very end.
    drivers : Drivers
    offsets : mapping of str to float
        This member's perturbed inputs, see `ALL_INPUTS`; those of the lower boundary stand in ``files``.
    files : MemberFiles
    source_time : datetime64
        Of the record in the source; by default ``start``. Its time of day must be that of ``start``.

    Raises
    ------
    ThermodaError
        If a setting, an offset or a combination of keys is one that the model refuses or ignores.
    ValueError
        If offsets of the lower boundary come without its files.
    """
    entries = member_entries(settings, header, start, stop, drivers, offsets, files, source_time=source_time)
    return format_namelist(entries, series_width=MTIME_LENGTH[header.version] + 1)


def member_entries(
    settings: TiegcmNamelistSettings,
    header: HistoryHeader,
    start: np.datetime64,
    stop: np.datetime64,
    drivers: Drivers,
    offsets: Mapping[str, float],
    files: MemberFiles,
    *,
    source_time: np.datetime64 | None = None,
) -> dict[str, tuple[Scalar, ...]]:
    """Return the entries of `member_namelist`, which see."""
    used = _checked_offsets(settings, drivers, offsets)
    if any(name in LOWER_BOUNDARY_INPUTS for name in used) and not files.lower_boundary:
        raise ValueError("offsets of the lower boundary need files: call write_lower_boundary_files")
    latitude_step = float(header.latitude[1] - header.latitude[0])
    period = _Period(start, stop, header.version)
    entries = {
        **_run_entries(settings, header, period, files, latitude_step, source_time),
        **_secondary_entries(settings, period, files),
        "POTENTIAL_MODEL": (settings.potential_model.value,),
        **_index_entries(settings, period, drivers, used),
        **_constant_entries(settings, used),
        **files.lower_boundary,
        **settings.further_entries(),
    }
    check_namelist(
        entries,
        header.version,
        latitude_step_deg=latitude_step,
        patched_characteristic_energies=settings.patched_characteristic_energies,
    )
    return entries


@dataclass(frozen=True)
class _Period:
    """A forecast in the terms of one version's namelist."""

    start: np.datetime64
    stop: np.datetime64
    version: Version

    def __post_init__(self) -> None:
        if not self.start < self.stop:
            raise ValueError(f"stop {self.stop} must come after start {self.start}")
        if self.stop > np.datetime64(f"{self.year + 1:04d}-01-01"):
            raise ThermodaError(
                f"TIE-GCM {self.version}: a run cannot go from {self.start} beyond the end of {self.year}; "
                "run up to midnight and start again from there"
            )

    @property
    def year(self) -> int:
        return year_of(self.start)

    @property
    def length_s(self) -> int:
        return int((self.stop - self.start) / _SECOND)

    def model_time(self, time: np.datetime64) -> tuple[int, ...]:
        """Return the numbers of a time, in days of the year of ``start``."""
        day, *clock = mtime_of(time, self.version)
        return (day + (days_of_year(self.year) if year_of(time) > self.year else 0), *clock)

    def interval(self, seconds: float, key: str) -> tuple[int, ...]:
        """Return the numbers of a length of time; ThermodaError names the setting where it is too fine."""
        unit = 60 if self.version == "2.0" else 1
        if seconds % unit:
            raise refuse(key, f"{seconds / 60:g}", f"must be a multiple of {unit} s in version {self.version}")
        whole = int(seconds)
        numbers = (whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60)
        return numbers[: MTIME_LENGTH[self.version]]

    def samples(self, interval_min: float) -> TimeArray:
        """Return times from start to stop, both included."""
        self.interval(60.0 * interval_min, "index_interval_min")
        step = np.timedelta64(round(60.0 * interval_min), "s")
        return np.append(np.arange(self.start, self.stop, step), self.stop).astype("datetime64[ns]")


def _checked_offsets(
    settings: TiegcmNamelistSettings, drivers: Drivers, offsets: Mapping[str, float]
) -> dict[str, float]:
    """Return the offsets that are not zero; refuse those that could not act."""
    for name, value in offsets.items():
        if not np.isfinite(value):
            raise ThermodaError(f"TIE-GCM: the offset of {name} ({value}) must be finite")
    used = {name: float(value) for name, value in offsets.items() if value}
    named = [name for name in offsets if name in used or name not in ALL_INPUTS]
    refuse_inert_inputs(settings, named, solar_wind=drivers.solar_wind is not None)
    return used


def _run_entries(
    settings: TiegcmNamelistSettings,
    header: HistoryHeader,
    period: _Period,
    files: MemberFiles,
    latitude_step: float,
    source_time: np.datetime64 | None,
) -> dict[str, tuple[Scalar, ...]]:
    dialect = DIALECTS[period.version]
    first = period.model_time(period.start)
    source_time = period.start if source_time is None else source_time
    interval_s = period.length_s if settings.history_interval_min is None else 60.0 * settings.history_interval_min
    entries: dict[str, tuple[Scalar, ...]] = {
        "LABEL": (settings.label,),
        "START_YEAR": (period.year,),
        "START_DAY": first[:1],
        "CALENDAR_ADVANCE": (1,),
        "SOURCE": (files.source,),
        "SOURCE_START": mtime_of(source_time, period.version),
        dialect.start: first,
        dialect.stop: period.model_time(period.stop),
        "STEP": (settings.step_s or header.step_s,),
        dialect.hist: period.interval(interval_s, "history_interval_min"),
        "OUTPUT": (files.output,),
    }
    histories = int(period.length_s // interval_s) + 1
    if settings.max_histories_per_file is not None:
        entries["MXHIST_PRIM"] = (settings.max_histories_per_file,)
    elif histories > default_histories_per_file(latitude_step):
        entries["MXHIST_PRIM"] = (histories,)
    if settings.o_plus_substeps is not None:
        entries["NSTEP_SUB"] = (settings.o_plus_substeps,)
    return entries


def _secondary_entries(
    settings: TiegcmNamelistSettings, period: _Period, files: MemberFiles
) -> dict[str, tuple[Scalar, ...]]:
    """Return the keys of secondary histories: at the end alone, or after each interval; never at the start."""
    wanted = settings.secondary
    if wanted is None:
        return {}
    interval_s = period.length_s if wanted.interval_min is None else round(60.0 * wanted.interval_min)
    first = period.start + np.timedelta64(interval_s, "s")
    return {
        "SECSTART": period.model_time(first),
        "SECSTOP": period.model_time(period.stop),
        "SECHIST": period.interval(interval_s, "secondary.interval_min"),
        "SECOUT": (files.secondary,),
        "MXHIST_SECH": (period.length_s // interval_s,),
        "SECFLDS": wanted.fields,
        "SECH_NBYTE": (wanted.bytes_per_value,),
    }


def _index_entries(
    settings: TiegcmNamelistSettings, period: _Period, drivers: Drivers, offsets: Mapping[str, float]
) -> dict[str, tuple[Scalar, ...]]:
    """Return solar flux and high-latitude forcing over the period."""
    times = period.samples(settings.index_interval_min)
    entries: dict[str, tuple[Scalar, ...]] = {}
    for key, values in indices(settings, drivers, times, offsets).items():
        entries |= _constant_or_series(key, np.maximum(values, FLOORS.get(key, -np.inf)), times, period)
    return entries


def _constant_or_series(
    key: str, values: FloatArray, times: TimeArray, period: _Period
) -> dict[str, tuple[Scalar, ...]]:
    rounded = [float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in values]
    if len(set(rounded)) == 1:
        return {key: (rounded[0],)}
    rows = zip((period.model_time(time) for time in times), rounded, strict=True)
    return {f"{key}_TIME": tuple(number for numbers, value in rows for number in (*numbers, value))}


def _constant_entries(settings: TiegcmNamelistSettings, offsets: Mapping[str, float]) -> dict[str, tuple[Scalar, ...]]:
    entries: dict[str, tuple[Scalar, ...]] = {}
    for key, base, name in (
        ("JOULEFAC", settings.joule_factor, "joule_ln_factor"),
        ("COLFAC", settings.collision_factor, "collision_ln_factor"),
    ):
        if base is not None or name in offsets:
            entries[key] = (float((base or DEFAULT_FACTOR) * np.exp(offsets.get(name, 0.0))),)
    entries["CALC_HELIUM"] = (int(settings.calculate_helium),)
    if settings.helium_coefficients_file is not None:
        entries["HE_COEFS_NCFILE"] = (settings.helium_coefficients_file,)
    if settings.patched_characteristic_energies:
        for key, base, name in (
            ("ALFAC", settings.cusp_energy_kev, "cusp_energy_kev"),
            ("ALFAD", settings.drizzle_energy_kev, "drizzle_energy_kev"),
        ):
            entries[key] = (max(base + offsets.get(name, 0.0), FLOORS[key]),)
    return entries
