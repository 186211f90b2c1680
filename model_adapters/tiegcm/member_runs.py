"""Forecasts of members as jobs: what a member's folder must hold before its job, and what is kept of it afterwards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.atomic_file import replace_text
from da.drivers import Drivers
from da.errors import ThermodaError
from da.model import StateLayout
from model_adapters.tiegcm.allocation import members_at_once
from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.inputs import MemberFiles, member_namelist
from model_adapters.tiegcm.judging import finite_and_bounded
from model_adapters.tiegcm.launch_outcome import MemberJob, Outcome
from model_adapters.tiegcm.launcher import run_members
from model_adapters.tiegcm.launcher_settings import LauncherSettings
from model_adapters.tiegcm.lower_boundary import write_lower_boundary_files
from model_adapters.tiegcm.member_folders import MemberFolder, stamp
from model_adapters.tiegcm.model_time import Version
from model_adapters.tiegcm.namelist_settings import TiegcmNamelistSettings
from model_adapters.tiegcm.repacking import repack
from model_adapters.tiegcm.state import write_state

FloatArray = NDArray[np.float64]

SOURCE, OUTPUT, NAMELIST = "analysis.nc", "forecast.nc", "m.inp"
"""Names of a job's files in the folder of its member: short, as the model's buffers are."""

LEFT_BEHIND = ["PET*.ESMF_LogFile", "cwd", OUTPUT]
"""What an earlier job left and a new one would add to or be taken for."""


@dataclass(frozen=True)
class MemberStart:
    """What a member's part of a forecast starts from.

    Parameters
    ----------
    number : int
        In the ensemble.
    folder : MemberFolder
    history : Path
    record : datetime64
        Of the history; another day than that of the start for a start-up history of another time.
    state : array (state_size,) or None
        Replaces that of the history; None: as it is there.
    offsets : dict of str to float
        Perturbed inputs.
    """

    number: int
    folder: MemberFolder
    history: Path
    record: np.datetime64
    state: FloatArray | None
    offsets: dict[str, float]


@dataclass(frozen=True)
class MemberRuns:
    """How members of one model are forecast.

    Parameters
    ----------
    launcher : LauncherSettings
    namelist : TiegcmNamelistSettings
        With the step that is used.
    version : {"2.0", "3.0"}
        Of the executable.
    layout : StateLayout
    compression : int or None
    attempt : int
        Number of the attempt, for the names of logs.
    """

    launcher: LauncherSettings
    namelist: TiegcmNamelistSettings
    version: Version
    layout: StateLayout
    compression: int | None
    attempt: int = 1

    def run(
        self,
        starts: Sequence[MemberStart],
        start: np.datetime64,
        stop: np.datetime64,
        drivers: Drivers,
        processes: int,
    ) -> list[Outcome]:
        """Run members from ``start`` to ``stop``, within one calendar year; histories of those that succeed are kept.

        Parameters
        ----------
        starts : sequence of MemberStart
        start, stop : datetime64
        drivers : Drivers
        processes : int
            Number of our own that run members at the same time.

        Raises
        ------
        ThermodaError
            If what a job needs cannot be written, whatever member it is for.
        """
        jobs = [self._prepared(one, start, stop, drivers) for one in starts]
        at_once = members_at_once(self.launcher, processes, os.environ)
        outcomes = run_members(jobs, self.launcher, self._faults, at_once)
        for one, outcome in zip(starts, outcomes, strict=True):
            if outcome.succeeded:
                self._keep(one.folder, stop)
        return outcomes

    def _prepared(self, member: MemberStart, start: np.datetime64, stop: np.datetime64, drivers: Drivers) -> MemberJob:
        """Write what a member's run needs and return its job."""
        try:
            return self._written(member, start, stop, drivers)
        except (OSError, RuntimeError) as error:
            # The netCDF library tells a full disk by the one or the other.
            raise ThermodaError(f"{member.folder.path}: what TIE-GCM reads cannot be written ({error})") from error

    def _written(self, member: MemberStart, start: np.datetime64, stop: np.datetime64, drivers: Drivers) -> MemberJob:
        """Write source, lower boundary and namelist of a member and return its job."""
        folder = member.folder
        folder.make()
        folder.remove(LEFT_BEHIND)
        header = read_header(member.history)
        source = folder.path / SOURCE
        if member.state is None:
            source.unlink(missing_ok=True)
            source.symlink_to(member.history.name)
        else:
            write_state(member.history, member.record, member.state, self.layout, source)
        # Either executable reads the histories of both versions, and wants the namelist of its own.
        dialect = replace(header, version=self.version)
        boundary = write_lower_boundary_files(
            folder.path, dialect, start, stop, member.offsets, self.namelist.lower_boundary
        )
        files = MemberFiles(SOURCE, OUTPUT, f"secondary_{stamp(stop)}.nc", boundary)
        text = member_namelist(
            self.namelist, dialect, start, stop, drivers, member.offsets, files, source_time=member.record
        )
        replace_text(folder.path / NAMELIST, text)
        return MemberJob(member.number, folder.path, NAMELIST, OUTPUT, stop, self.attempt)

    def _faults(self, path: Path, time: np.datetime64) -> list[str]:
        """Return what is wrong with an output: also what no look at its fields tells."""
        faults = finite_and_bounded(path, time)
        if faults:
            return faults
        header = read_header(path)
        if header.version != self.version:
            return [f"{path}: was written by version {header.version}; model.settings.version says {self.version}"]
        if header.grid.shape != self.layout.grid.shape:
            return [f"{path}: has {header.grid.shape} cells; the start-up history has {self.layout.grid.shape}"]
        return []

    def _keep(self, folder: MemberFolder, stop: np.datetime64) -> None:
        output, kept = folder.path / OUTPUT, folder.history(stop)
        try:
            if self.compression is None:
                output.replace(kept)
            else:
                several = self.namelist.history_interval_min is not None
                repack(output, kept, stop, self.compression, all_records=several)
            folder.remove([SOURCE, OUTPUT])
        except OSError as error:
            raise ThermodaError(f"{kept}: cannot be written ({error.strerror})") from error
