"""How members are started: the command, its ranks, how many at once, and what is checked before the first one."""

from __future__ import annotations

import os
import shutil
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from da.errors import ThermodaError
from model_adapters.tiegcm.launch_outcome import MemberJob
from model_adapters.tiegcm.model_time import Version

PLACEHOLDERS = ("ranks", "executable", "namelist", "member", "folder")

RANKS_2_0 = (1, 4, 8, 12, 16, 24, 32, 48, 64, 72, 80)
"""Numbers of MPI tasks that version 2.0 knows how to lay out."""


def _known_placeholders(command: tuple[str, ...]) -> tuple[str, ...]:
    known = ", ".join("{" + name + "}" for name in PLACEHOLDERS)
    names: list[str | None] = []
    for part in command:
        try:
            fields = list(string.Formatter().parse(part))
        except ValueError as error:
            raise ValueError(f"{part!r}: {error}; write {{{{ and }}}} for braces") from error
        for _, name, form, conversion in fields:
            if name is not None and (name not in PLACEHOLDERS or form or conversion):
                raise ValueError(f"{part!r}: unknown placeholder; there are {known}")
            names.append(name)
    if "namelist" not in names:
        raise ValueError("must hold {namelist}: the model reads the name of its namelist from the command line")
    return command


def _variables(variables: dict[str, str]) -> dict[str, str]:
    wrong = [name for name in variables if not name or "=" in name or "\0" in name + variables[name]]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no name and value of an environment variable")
    return variables


class LauncherSettings(BaseModel):
    """How members are started.

    The command is a list and never goes through a shell. ``{executable}`` becomes the absolute path, ``{namelist}`` a
    name in the member's folder, which is the working directory and which ``{folder}`` names in full.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    command: Annotated[tuple[str, ...], AfterValidator(_known_placeholders)] = Field(
        ("mpirun", "-n", "{ranks}", "{executable}", "{namelist}"),
        min_length=1,
        description="Program and arguments; {ranks}, {executable}, {namelist}, {member} and {folder} are replaced",
    )
    executable: Path | None = Field(None, description="TIE-GCM as it was built; relative to the working directory")
    ranks: int = Field(4, ge=1, description="MPI processes of one member")
    at_once: int | None = Field(
        None, ge=1, description="Members that each of our ranks runs together; default: what a Slurm job holds, else 1"
    )
    time_out_s: float = Field(3600.0, gt=0.0, description="Longest time that one forecast of one member may take")
    grace_s: float = Field(10.0, ge=0.0, description="Time between the request to end and the end by force")
    environment: Annotated[dict[str, str], AfterValidator(_variables)] = Field(
        default_factory=dict, description="Variables of the members' environment; they replace what is there"
    )
    data_folder: Path | None = Field(None, description="TGCMDATA: folder of the model's own data files")
    keep_binding: bool = Field(
        False, description="Leave members on the processors to which our own rank is bound, rather than on all granted"
    )

    @model_validator(mode="after")
    def _has_executable(self) -> LauncherSettings:
        if self.executable is None and any("{executable}" in part for part in self.command):
            raise ValueError("executable: must name the model, for the command holds {executable}")
        return self

    def command_of(self, job: MemberJob) -> list[str]:
        """Return program and arguments for a job."""
        values = {
            "ranks": self.ranks,
            "executable": "" if self.executable is None else self.executable.absolute(),
            "namelist": job.namelist,
            "member": job.member,
            "folder": job.folder.absolute(),
        }
        return [part.format_map(values) for part in self.command]


def check_launcher(settings: LauncherSettings, version: Version, base: Mapping[str, str] = os.environ) -> None:
    """Refuse what cannot be started, before hours are spent on the first forecast.

    Parameters
    ----------
    settings : LauncherSettings
    version : {"2.0", "3.0"}
        Of the model, for the numbers of ranks that it accepts.
    base : mapping
        Environment of this process.

    Raises
    ------
    ThermodaError
        If the executable is absent or may not be executed, if the launcher is not found, if ``data_folder`` is no
        folder, or if the version refuses this number of ranks.
    """
    _check_executable(settings.executable)
    program = settings.command[0]
    path = settings.environment.get("PATH", base.get("PATH", os.defpath))
    if "{" not in program and shutil.which(program, path=path) is None:
        raise ThermodaError(f"launcher.command: there is no program '{program}' on the PATH; give its whole path")
    if settings.data_folder is not None and not settings.data_folder.is_dir():
        raise ThermodaError(f"launcher.data_folder: {settings.data_folder} is no folder")
    _check_ranks(settings.ranks, version)


def _check_executable(executable: Path | None) -> None:
    if executable is None:
        return
    if not executable.is_file():
        raise ThermodaError(f"launcher.executable: {executable}: there is no such file")
    if not os.access(executable, os.X_OK):
        raise ThermodaError(f"launcher.executable: {executable}: may not be executed; chmod +x makes it executable")


def _check_ranks(ranks: int, version: Version) -> None:
    if version == "2.0" and ranks not in RANKS_2_0:
        raise ThermodaError(f"launcher.ranks: TIE-GCM 2.0 runs on {', '.join(map(str, RANKS_2_0))} ranks, not {ranks}")
    if version == "3.0" and ranks > 2 and all(ranks % divisor for divisor in range(2, ranks)):
        raise ThermodaError(f"launcher.ranks: TIE-GCM 3.0 needs a number of ranks that is not prime, not {ranks}")
