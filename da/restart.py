"""Restart points: what a run needs to go on as if nothing had happened, on any number of processes.

A point holds states and perturbed inputs of the members of both ensembles, observations that wait for the next analysis
with their counterparts H(x), the state of adaptive inflation, how the work was dealt out, and what was counted. It
holds no random state: every stream is made anew from the seed, its purpose, and a member or a time
(:mod:`da.seeding`). Members are stored by rank, and read by their numbers in the whole ensemble.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.analysis import LocalizedAnalysis
from da.analysis_observations import ObservedBatch
from da.cycle import CycleRecord, MemberForecasts, Phase
from da.errors import ThermodaError
from da.inflation import InflationState
from da.model import ASSIMILATION, OPEN_LOOP, ForecastModel, MembersInFiles
from da.observations import ObservationBatch
from da.parallel import AgreedError, Communicator, collective, from_root
from da.restart_description import RunDescription
from da.restart_file import (
    INDEX,
    DamagedRestartError,
    RestartFolder,
    read_arrays,
    read_index,
    write_arrays,
    write_index,
)
from da.restart_members import MemberFile, MemberPart, part_of_rank

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

FORMAT = 2
DESCRIBED = ("configuration", "inputs", "code", "files")
"""What a point belongs to: the keys of :meth:`RunDescription.content` that are compared."""

COMMON_FILE = "common.arrays"
PHASES = {Phase.FORECAST: 1, Phase.ANALYSIS: 2}
"""Their order at one time, in the names of the points."""
BATCH_COLUMNS = (
    "values",
    "error_standard_deviation",
    "latitude",
    "longitude",
    "altitude_km",
    "unmodelled_mass_ratio",
)
"""Of what waits; where an observation samples a track is not among them, for H was applied to it at its time."""


@dataclass(frozen=True)
class Restored:
    """What a rank has of a restart point.

    Parameters
    ----------
    time : datetime64[ns]
    phase : Phase
        Of the last record of the leading ensemble: the assimilating one, or the open loop where nothing is assimilated.
    assimilation, open_loop : MemberPart or None
        Members of this rank; None for an ensemble that the run does not make.
    waiting : tuple of ObservedBatch
    inflation : InflationState or None
    shares : tuple of arrays
        Work of each rank that wrote the point.
    counted : dict
        As it was given to :meth:`RestartWriter.write`.
    stopped_by : str
        Name of a signal, or empty.
    skipped : tuple of str
        What is wrong with later points, which cannot be used.
    earlier : tuple of datetime64
        Times of the points that are kept before this one.
    """

    time: np.datetime64
    phase: Phase
    assimilation: MemberPart | None
    open_loop: MemberPart | None
    waiting: tuple[ObservedBatch, ...]
    inflation: InflationState | None
    shares: tuple[IndexArray, ...]
    counted: Mapping[str, Any]
    stopped_by: str = ""
    skipped: tuple[str, ...] = ()
    earlier: tuple[np.datetime64, ...] = ()

    def records(self, forecasts: MemberForecasts) -> tuple[CycleRecord | None, CycleRecord | None]:
        """Return the last records of assimilation and open loop, from which :func:`da.cycle.run_on` goes on."""
        assimilation = open_loop = None
        if self.assimilation is not None:
            members = self.assimilation.forecasts(forecasts, ASSIMILATION)
            assimilation = CycleRecord(self.time, self.phase, self.assimilation.states, members, waiting=self.waiting)
        if self.open_loop is not None:
            members = self.open_loop.forecasts(forecasts, OPEN_LOOP)
            open_loop = CycleRecord(self.time, Phase.FORECAST, self.open_loop.states, members)
        return assimilation, open_loop

    @property
    def describe(self) -> str:
        """When it was, in words."""
        return f"{np.datetime_as_string(self.time, unit='s')} ({self.phase})"


@dataclass
class RestartWriter:
    """Writes restart points; every method is called on all ranks.

    Parameters
    ----------
    comm : Communicator
    folder : RestartFolder
    description : RunDescription
        On rank 0.
    interval : timedelta64
        Time between two points; 0: none is written unless the run is stopped.
    keep : int
        How many are kept.
    kept : list of datetime64
        Times of those that there are, oldest first.
    """

    comm: Communicator
    folder: RestartFolder
    description: RunDescription | None
    interval: np.timedelta64
    keep: int
    kept: list[np.datetime64] = field(default_factory=list)

    def go_on(self, found: Restored, model: ForecastModel) -> None:
        """Count a restart point, from which a run goes on, and those before it as written."""
        self.kept = [*found.earlier, found.time][-self.keep :]
        if isinstance(model, MembersInFiles):
            model.hold(self.kept)

    def due(self, record: CycleRecord) -> bool:
        """Return whether a point is to be written after this record of the leading ensemble.

        The first one follows the spin-up. The others follow an analysis, whether or not anything was observed; in a
        run without any, a forecast.
        """
        if self.interval == np.timedelta64(0):
            return False
        if not self.kept:
            return True
        elapsed = record.time - self.kept[-1]
        return bool(elapsed >= self.interval if record.phase is Phase.ANALYSIS else elapsed > self.interval)

    def write(
        self,
        leading: CycleRecord,
        open_loop: CycleRecord | None,
        analysis: LocalizedAnalysis | None,
        counted: Mapping[str, Any],
        stopped_by: str = "",
    ) -> None:
        """Write the point after these records, and remove the oldest.

        Parameters
        ----------
        leading : CycleRecord
            Of the assimilating ensemble, or of the open loop where nothing is assimilated.
        open_loop : CycleRecord or None
            Of the same time, where the run makes it beside the assimilation.
        analysis : LocalizedAnalysis or None
        counted : dict
            What JSON can hold; on rank 0.
        stopped_by : str
            Name of the signal that ends the run, or empty.

        Raises
        ------
        ThermodaError
            On all ranks, if a file cannot be written; earlier points are as they were.
        """
        time = leading.time
        when, times = f"restart point of {time}", [*self.kept, time][-self.keep :]
        try:
            from_root(self.comm, self.folder.begin)
            with collective(self.comm, when):
                name = f"members_{self.comm.rank:05d}.arrays"
                arrays = _member_arrays(leading) | ({} if open_loop is None else _member_arrays(open_loop))
                entry = {
                    "file": name,
                    "numbers": _numbers(leading) | ({} if open_loop is None else _numbers(open_loop)),
                    "sha256": write_arrays(self.folder.writing / name, arrays),
                }
                if isinstance(leading.forecasts.model, MembersInFiles):
                    leading.forecasts.model.hold(times)
            entries = self.comm.gather(entry)
            common, waiting = _common(leading.waiting, analysis)
            index = {
                "format": FORMAT,
                "time": str(np.datetime_as_string(time, unit="ns")),
                "phase": str(leading.phase),
                "members": entries,
                "waiting": waiting,
                "counted": dict(counted),
                "stopped_by": stopped_by,
            }
            from_root(self.comm, partial(self._commit, index, common))
        except AgreedError:
            if self.comm.rank == 0:
                self.folder.give_up()
            raise
        self.kept = times

    def _commit(self, index: dict[str, Any], common: Arrays) -> None:
        if self.description is None:
            raise ValueError("rank 0 must hold the description of the run")
        folder = self.folder.writing
        checksum = write_arrays(folder / COMMON_FILE, common)
        index |= {"common": {"file": COMMON_FILE, "sha256": checksum}, "run": self.description.content()}
        write_index(folder, index)
        stamp = index["time"].removesuffix(".000000000").replace("-", "").replace(":", "")
        phase = Phase(index["phase"])
        self.folder.commit(f"{stamp}_{PHASES[phase]}_{phase}", self.keep)


def _numbers(record: CycleRecord) -> dict[str, list[int]]:
    inputs = record.forecasts.inputs
    return {inputs.ensemble: inputs.member_numbers(record.states.shape[1]).tolist()}


def _member_arrays(record: CycleRecord) -> Arrays:
    inputs = record.forecasts.inputs
    numbers = inputs.member_numbers(record.states.shape[1])
    return MemberPart(record.states, inputs.perturbations, numbers, inputs.lowest).arrays(inputs.ensemble)


def _common(
    waiting: Sequence[ObservedBatch], analysis: LocalizedAnalysis | None
) -> tuple[Arrays, list[dict[str, str]]]:
    """Return what all ranks have alike: arrays, and the rest of the waiting batches."""
    arrays: Arrays = {}
    if analysis is not None:
        arrays |= {f"share.{rank}": one for rank, one in enumerate(analysis.shares)}
    if analysis is not None and analysis.inflation is not None:
        arrays["inflation.mean"] = analysis.inflation.mean
        arrays["inflation.standard_deviation"] = analysis.inflation.standard_deviation
    described = []
    for number, one in enumerate(waiting):
        batch = one.batch
        columns = {name: getattr(batch, name) for name in BATCH_COLUMNS} | {"forecast": one.forecast}
        arrays |= {f"waiting.{number}.{name}": values for name, values in columns.items()}
        time = str(np.datetime_as_string(batch.time, unit="ns"))
        described.append({"name": one.source, "source": batch.source, "time": time, "operator": batch.operator})
    return arrays, described


def restored(comm: Communicator, folder: RestartFolder, forecasts: MemberForecasts) -> Restored | None:
    """Return the newest restart point that can be used, or None where there is none; called on all ranks.

    What is wrong with a newer one is logged as a warning.

    Parameters
    ----------
    comm : Communicator
    folder : RestartFolder
    forecasts : MemberForecasts
        Of this rank.

    Raises
    ------
    ThermodaError
        On all ranks, if there are restart points and none can be used.
    """
    names = from_root(comm, lambda: [point.name for point in folder.points()])
    skipped: list[str] = []
    for name in reversed(names):
        try:
            with collective(comm, ""):
                found = _read(folder, name, comm.size, comm.rank)
                _require_files(forecasts, found)
        except AgreedError as error:
            skipped.append(str(error))
            if comm.rank == 0:
                logging.getLogger(__name__).warning("%s: the restart point before it is tried", error)
            continue
        earlier = from_root(comm, partial(_times, folder, names[: names.index(name)]))
        return replace(found, skipped=tuple(skipped), earlier=earlier)
    if skipped:
        raise AgreedError(f"{skipped[-1]}; no restart point is left: begin anew with python -m da run --overwrite")
    return None


def newest_description(folder: RestartFolder) -> dict[str, Any] | None:
    """Return what the newest readable restart point belongs to, None where there is none."""
    for point in reversed(folder.points()):
        try:
            content: dict[str, Any] = read_index(point)["run"]
        except (ThermodaError, KeyError):
            continue
        if isinstance(content, dict) and all(isinstance(content.get(key), dict) for key in DESCRIBED):
            return content
    return None


def _times(folder: RestartFolder, names: Sequence[str]) -> tuple[np.datetime64, ...]:
    found = []
    for name in names:
        try:
            found.append(np.datetime64(read_index(folder.path / name)["time"], "ns"))
        except (ThermodaError, KeyError, ValueError):
            continue
    return tuple(found)


def _require_files(forecasts: MemberForecasts, found: Restored) -> None:
    """Raise ThermodaError where the model keeps files of members and one of this time is not there."""
    model = forecasts.model
    if not isinstance(model, MembersInFiles):
        return
    for ensemble, part in ((ASSIMILATION, found.assimilation), (OPEN_LOOP, found.open_loop)):
        if part is None:
            continue
        inputs = part.forecasts(forecasts, ensemble).inputs
        there = model.stored(found.time, inputs)
        if not there.all():
            number = inputs.member_numbers(there.size)[np.argmin(there)]
            raise ThermodaError(f"restart point of {found.describe}: member {number} of {ensemble} has no file there")


def _read(folder: RestartFolder, name: str, size: int, rank: int) -> Restored:
    """Return what a rank of so many has of a point; ThermodaError where it is damaged."""
    point = folder.path / name
    index = read_index(point)
    if (found := index.get("format")) != FORMAT:
        raise ThermodaError(f"{point / INDEX}: has format {found}, not {FORMAT}: another version wrote it")
    try:
        return _of_index(point, index, size, rank)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DamagedRestartError(f"{point / INDEX}: is not as this version writes it ({error!r})") from error


def _of_index(point: Path, index: Mapping[str, Any], size: int, rank: int) -> Restored:
    files = [MemberFile.of(point, entry) for entry in index["members"]]
    common = read_arrays(point / index["common"]["file"], index["common"]["sha256"])
    shares = [common[f"share.{rank}"] for rank in range(len(index["members"])) if f"share.{rank}" in common]
    return Restored(
        np.datetime64(index["time"], "ns"),
        Phase(index["phase"]),
        part_of_rank(ASSIMILATION, files, size, rank),
        part_of_rank(OPEN_LOOP, files, size, rank),
        tuple(_waiting(number, one, common) for number, one in enumerate(index["waiting"])),
        InflationState(common["inflation.mean"], common["inflation.standard_deviation"])
        if "inflation.mean" in common
        else None,
        tuple(shares),
        index["counted"],
        index["stopped_by"],
    )


def _waiting(number: int, described: Mapping[str, str], common: Arrays) -> ObservedBatch:
    columns = {name: common[f"waiting.{number}.{name}"] for name in BATCH_COLUMNS}
    batch = ObservationBatch(
        time=np.datetime64(described["time"], "ns"),
        source=described["source"],
        operator=described["operator"],
        sampled=None,
        **columns,
    )
    return ObservedBatch(described["name"], batch, common[f"waiting.{number}.forecast"])
