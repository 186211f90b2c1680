"""Settings of TIE-GCM's namelist, as the experiment file gives them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from da.errors import ThermodaError
from model_adapters.tiegcm.namelist import Scalar

UserValue = bool | int | float | str | tuple[bool | int | float | str, ...]


class PotentialModel(StrEnum):
    """Model of the convection electric field at high latitudes."""

    HEELIS = "HEELIS"
    WEIMER = "WEIMER"


class HeelisInputs(StrEnum):
    """What drives the Heelis model and the aurora: power and potential, or Kp, from which TIE-GCM derives both."""

    POWER_AND_POTENTIAL = "power_and_potential"
    KP = "kp"


class FluxDay(StrEnum):
    """Which F10.7 a time has.

    ``noon``: linear between the noons of the days, as TIE-GCM reads its own index files; it needs the value of the day
    after the forecast. ``previous_day``: that of the day before, as NRLMSIS takes it.
    """

    NOON = "noon"
    PREVIOUS_DAY = "previous_day"


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must not be {str(value).lower()}")
    return value


def _found_from_anywhere(name: str) -> str:
    if not name.startswith(("/", "$")):
        raise ValueError(
            f"{name!r} must begin with / or a variable such as $TGCMDATA: members run in their own folders"
        )
    return name


ModelFile = Annotated[str, AfterValidator(_found_from_anywhere)]
"""A file that the model itself opens."""

Positive = Annotated[float, BeforeValidator(_no_truth), Field(gt=0.0)]
Count = Annotated[int, BeforeValidator(_no_truth), Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SecondaryHistories(_Section):
    """Diagnostic fields that the model writes beside its state."""

    fields: tuple[str, ...] = Field(min_length=1, description="Short names of fields, such as DEN, ZG, NE, TEC")
    interval_min: Positive | None = Field(None, description="Between histories; by default at the end alone")
    bytes_per_value: int = Field(4, description="4 or 8")

    @field_validator("bytes_per_value")
    @classmethod
    def _is_real_or_double(cls, value: int) -> int:
        if value not in (4, 8):
            raise ValueError("must be 4 or 8")
        return value


class LowerBoundaryFiles(_Section):
    """Tides or climatology at the lower boundary that all members share; a member's offsets are added to them.

    Without any, the lower boundary is TIE-GCM's own: 181 K, no wind, 96.37 km. Paths may begin with ``$TGCMDATA``.
    """

    gswm_mi_di_file: str | None = Field(None, description="GSWM, migrating diurnal tide")
    gswm_mi_sdi_file: str | None = Field(None, description="GSWM, migrating semi-diurnal tide")
    gswm_nm_di_file: str | None = Field(None, description="GSWM, non-migrating diurnal tides (not at 5 degrees)")
    gswm_nm_sdi_file: str | None = Field(None, description="GSWM, non-migrating semi-diurnal tides (not at 5 degrees)")
    saber_file: str | None = Field(None, description="Temperature and height, hourly; not with GSWM")
    tidi_file: str | None = Field(None, description="Winds, hourly; not with GSWM")

    def with_data_folder(self, folder: Path | None) -> Self:
        """Return the same files with ``$TGCMDATA`` replaced, where the launcher sets it for members."""
        if folder is None:
            return self
        named = {key: name for key, name in self.model_dump().items() if name is not None}
        return self.model_copy(
            update={key: name.replace("$TGCMDATA", str(folder.absolute())) for key, name in named.items()}
        )


class TiegcmNamelistSettings(_Section):
    """What the namelist says apart from times, files and the members' inputs."""

    label: str = Field("thermoda", min_length=1, max_length=80)
    step_s: Count | None = Field(None, description="Model step; by default that of the start-up history")
    history_interval_min: Positive | None = Field(None, description="Between primary histories; default: the end alone")
    max_histories_per_file: Count | None = Field(None, description="By default as many as the forecast writes")
    secondary: SecondaryHistories | None = None
    potential_model: PotentialModel = PotentialModel.HEELIS
    heelis_inputs: HeelisInputs = HeelisInputs.POWER_AND_POTENTIAL
    power_gw: Positive | None = Field(None, description="Constant hemispheric power; by default from the drivers")
    cross_tail_potential_kv: Positive | None = Field(None, description="Constant potential; default: from the drivers")
    f107_sfu: Positive | None = Field(None, description="Constant F10.7; by default from the drivers")
    f107a_sfu: Positive | None = Field(None, description="Constant 81-day mean of F10.7; default: from the drivers")
    f107_day: FluxDay = FluxDay.NOON
    index_interval_min: Positive = Field(15.0, description="Spacing of the time series of the indices")
    joule_factor: Positive | None = Field(None, description="By default the model's, 1.5")
    collision_factor: Positive | None = Field(None, description="By default the model's, 1.5")
    calculate_helium: bool = True
    helium_coefficients_file: ModelFile | None = Field(None, description="HE_COEFS_NCFILE of version 3.0")
    o_plus_substeps: Count | None = Field(None, description="NSTEP_SUB of version 3.0")
    lower_boundary: LowerBoundaryFiles = LowerBoundaryFiles()
    patched_characteristic_energies: bool = Field(
        False, description="Whether the build reads ALFAC and ALFAD from the namelist"
    )
    cusp_energy_kev: Positive = Field(0.1, description="ALFAC of a patched build")
    drizzle_energy_kev: Positive = Field(0.5, description="ALFAD of a patched build")
    namelist: dict[str, UserValue] = Field(default_factory=dict, description="Further keys of the model's namelist")

    @field_validator("namelist")
    @classmethod
    def _is_not_ours(cls, entries: dict[str, UserValue]) -> dict[str, UserValue]:
        for key in entries:
            if (setting := OWN_KEYS.get(key.upper())) is not None:
                raise ValueError(f"{key.upper()} is written by {setting}; it must not be given here")
        if len({key.upper() for key in entries}) != len(entries):
            raise ValueError("holds a key twice; capitals do not count")
        for key, name in entries.items():
            if key.upper().endswith("_NCFILE") and isinstance(name, str):
                _found_from_anywhere(name)
        return entries

    def further_entries(self) -> dict[str, tuple[Scalar, ...]]:
        """Return the user's own keys as entries."""
        return {key.upper(): value if isinstance(value, tuple) else (value,) for key, value in self.namelist.items()}


def _owned() -> dict[str, str]:
    """Return the keys that this package writes, with what decides their values."""
    period, members = "the period of each forecast", "the files of each member"
    owned = {
        **dict.fromkeys(["START_YEAR", "START_DAY", "CALENDAR_ADVANCE", "SOURCE_START"], period),
        **dict.fromkeys(["START", "STOP", "PRISTART", "PRISTOP"], period),
        **dict.fromkeys(["SOURCE", "OUTPUT", "SECOUT"], members),
        **dict.fromkeys(["HIST", "PRIHIST"], "history_interval_min"),
        **dict.fromkeys(["SECSTART", "SECSTOP", "SECHIST", "SECFLDS", "SECH_NBYTE", "MXHIST_SECH"], "secondary"),
        **dict.fromkeys(["SABER_NCFILE", "TIDI_NCFILE"], "lower_boundary"),
        **dict.fromkeys([f"GSWM_{name}_NCFILE" for name in ("MI_DI", "MI_SDI", "NM_DI", "NM_SDI")], "lower_boundary"),
        **dict.fromkeys(["ALFAC", "ALFAD"], "patched_characteristic_energies, cusp_energy_kev and drizzle_energy_kev"),
        "LABEL": "label",
        "STEP": "step_s",
        "MXHIST_PRIM": "max_histories_per_file",
        "POTENTIAL_MODEL": "potential_model",
        "JOULEFAC": "joule_factor",
        "COLFAC": "collision_factor",
        "CALC_HELIUM": "calculate_helium",
        "HE_COEFS_NCFILE": "helium_coefficients_file",
        "NSTEP_SUB": "o_plus_substeps",
    }
    indices = {"POWER": "power_gw", "CTPOTEN": "cross_tail_potential_kv", "F107": "f107_sfu", "F107A": "f107a_sfu"}
    wind = dict.fromkeys(["BXIMF", "BYIMF", "BZIMF", "SWVEL", "SWDEN"], "the drivers' solar wind")
    for key, setting in {**indices, **wind, "KP": "heelis_inputs"}.items():
        owned |= {key: setting, f"{key}_TIME": setting}
    return owned


OWN_KEYS = _owned()
"""Keys that the user does not give under ``namelist``, and what decides them instead."""


def refuse(key: str, value: object, right: str) -> ThermodaError:
    """Return the error for a setting that does not suit the model or the run."""
    return ThermodaError(f"model.settings: {key} ({value}) {right}")
