"""The consumer of the cycle's records that writes: ensemble moments from all ranks, files on rank 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.analysis import AnalysisDiagnostics
from da.analysis_storage import FilterFile, ObservationFile
from da.borrowed_open_loop import BorrowedOpenLoop
from da.config import Experiment, to_datetime64
from da.cycle import CycleRecord, Phase
from da.errors import ThermodaError
from da.free_forecasts import free_forecast_name
from da.growing_file import GrowingFile
from da.interruptions import write_interruptions
from da.member_failure_file import MemberFailureFile
from da.member_remedies import KINDS, Draw, Drop, MemberEvent, Replacement
from da.model import FREE_FORECAST, ForecastModel
from da.moments import EnsembleMoments, merged
from da.observation_coverage import ObservationCoverage
from da.observing import density_operator
from da.operators import DENSITY_FIELDS, HorizontalStencil
from da.parallel import Communicator, from_root
from da.preparation import StepOne
from da.storage import EnsembleFile, OutputAxes, RunFolder, require_records, write_table

FloatArray = NDArray[np.float64]

ENSEMBLE_FILES = {
    "open_loop": "ensemble without assimilation",
    "forecast": "forecasts started from the latest analysis",
    "analysis": "analyses",
}
OPEN_LOOP_FILE = "open_loop"
OBSERVATIONS, FILTER = "observations", "filter"
"""Names of the files that get records, without their suffix."""


class RunRecorder:
    """Writes a run; every method is called on all ranks.

    Parameters
    ----------
    comm : Communicator
    experiment : Experiment
    configuration_text : str
        Copied into the folder.
    model : ForecastModel
    step_one : StepOne or None
        On rank 0.
    overwrite : bool
        See :class:`da.storage.RunFolder`.
    counted : dict or None
        What :attr:`counted` was at the restart point from which an unfinished run is gone on with; None: a new run.
    borrowed : BorrowedOpenLoop or None
        The run whose open loop this one takes.
    coverage : ObservationCoverage or None
        Of the analyses, on rank 0 where something is assimilated.

    Raises
    ------
    ThermodaError
        On all ranks, if the folder cannot be used or a file cannot be written.
    """

    def __init__(
        self,
        comm: Communicator,
        experiment: Experiment,
        configuration_text: str,
        model: ForecastModel,
        step_one: StepOne | None,
        overwrite: bool,
        counted: Mapping[str, Any] | None = None,
        borrowed: BorrowedOpenLoop | None = None,
        coverage: ObservationCoverage | None = None,
    ) -> None:
        self._comm, self._experiment, self._model, self._step_one = comm, experiment, model, step_one
        self._grid = experiment.data_grid.grid()
        self._operator = density_operator(model)
        self._altitude_km, latitude, longitude = self._grid.points()
        self._stencil: HorizontalStencil = self._operator.stencil(latitude, longitude)
        self._files: dict[str, GrowingFile[Any]] = {}
        before = counted or {"member_failures": dict.fromkeys(KINDS, 0)}
        self._failed = Counter(before["member_failures"])
        self._failed_since_analysis = Counter[str](before.get("failed_since_analysis", {}))
        self._left: dict[str, int] = dict(before.get("members_left", {}))
        self._records = Counter[str](before.get("records", {}))
        self._folder: RunFolder | None = None
        self._borrowed, self._coverage = borrowed, coverage
        self._on_root(lambda: self._open(configuration_text, overwrite, continued=counted is not None))

    @property
    def final_folder(self) -> Path:
        """Name that the folder has when the run is complete."""
        return self._experiment.experiment.output_folder

    @property
    def member_failures(self) -> dict[str, int]:
        """Number of members, over both ensembles and their spin-up, by what was done about their failure."""
        return dict(self._failed)

    @property
    def members_left(self) -> dict[str, int]:
        """Number of members at the last record of each ensemble, on rank 0."""
        return dict(self._left)

    @property
    def counted(self) -> dict[str, Any]:
        """What a restart point holds of the recorder, on rank 0; see the class."""
        return {
            "member_failures": self.member_failures,
            "failed_since_analysis": dict(self._failed_since_analysis),
            "members_left": self.members_left,
            "records": dict(self._records),
        }

    def flush(self) -> None:
        """Return when all records are on the disk."""

        def flush() -> None:
            for file in self._files.values():
                file.flush()

        self._on_root(flush)

    def member_events(self, events: Sequence[MemberEvent]) -> None:
        """Write what became of members that failed; called with the same events on all ranks."""
        if events:
            self._failed.update(event.outcome.kind for event in events)
            self._on_root(lambda: self._failures.append(events))

    def open_loop(self, record: CycleRecord) -> None:
        """Write one record of the run without assimilation."""
        self.member_events(record.events)
        self._record(OPEN_LOOP_FILE, record)

    def assimilation(self, record: CycleRecord) -> None:
        """Write one record of the assimilating run: the forecast, or an analysis with its observations."""
        self.member_events(record.events)
        self._failed_since_analysis.update(event.outcome.kind for event in record.events)
        self._record(str(record.phase), record)
        diagnostics = record.diagnostics
        if record.phase is Phase.ANALYSIS and diagnostics is not None:
            self._on_root(lambda: self._record_analysis(record.time, diagnostics))

    @contextmanager
    def free_forecast(self, start: np.datetime64) -> Iterator[Callable[[CycleRecord], None]]:
        """Give what writes the records of a free forecast; its file has its name when it is whole."""
        name, files = free_forecast_name(start), list[EnsembleFile]()
        hidden = f".{name}.writing"

        def write(record: CycleRecord) -> None:
            self.member_events(record.events)
            self._write_moments(record, lambda write_to: write_to(files[0]))

        def begin() -> None:
            title = f"free forecast from the analysis of {np.datetime_as_string(start, unit='s')} UTC, driven as it was"
            files.append(self._ensemble_file(title)(self._required_folder.path / hidden))

        def end() -> None:
            files[0].close()
            folder = self._required_folder.path
            (folder / hidden).replace(folder / f"{name}.nc")

        self._on_root(begin)
        try:
            yield write
        finally:
            for file in files:
                file.close()
        self._on_root(end)

    def note_interruptions(self, found: Sequence[dict[str, Any]]) -> None:
        """Write how often the run was interrupted, to be read when it is so again; ``found`` counts on rank 0."""
        self._on_root(lambda: write_interruptions(self._required_folder.path, found))

    def complete(self, provenance: dict[str, Any]) -> None:
        """Close the files and give the folder its final name."""

        def finish() -> None:
            for file in self._files.values():
                file.close()
            self._required_folder.complete(provenance)

        self._on_root(finish)

    def close(self) -> None:
        """Release what this rank holds, at the end of any run; needs no other rank."""
        for file in self._files.values():
            file.close()
        if self._folder is not None:
            self._folder.close()

    @property
    def _required_folder(self) -> RunFolder:
        if self._folder is None:
            raise ValueError("only rank 0 has the folder of the run")
        return self._folder

    def _record_analysis(self, time: np.datetime64, diagnostics: AnalysisDiagnostics) -> None:
        failed = self._failed_since_analysis
        replaced, dropped = failed[Replacement.kind] + failed[Draw.kind], failed[Drop.kind]
        one, record = diagnostics, diagnostics.filter_record(replaced, dropped)
        self._append(OBSERVATIONS, lambda file: file.append(time, one.batches, one.forecast, one.analysis, one.used))
        self._append(FILTER, lambda file: file.append(record))
        self._failed_since_analysis.clear()

    def _append(self, kind: str, write: Callable[[Any], None]) -> None:
        self._files[kind].append(write)
        self._records[kind] += 1

    def _on_root(self, work: Callable[[], None]) -> None:
        def guarded() -> bool:
            try:
                work()
            except (OSError, RuntimeError) as error:
                raise ThermodaError(
                    f"{self._experiment.experiment.output_folder}: cannot be written ({error})"
                ) from error
            return True

        from_root(self._comm, guarded)

    def _open(self, configuration_text: str, overwrite: bool, continued: bool) -> None:
        experiment = self._experiment
        folder = self._folder = RunFolder(experiment.experiment.output_folder, overwrite, continued)
        if not continued:
            folder.write_text("experiment.yaml", configuration_text)
        for kind, title in ENSEMBLE_FILES.items():
            if kind == OPEN_LOOP_FILE and self._borrowed is not None:
                if not continued:
                    self._borrowed.put_into(folder.path)
            elif kind == OPEN_LOOP_FILE or experiment.experiment.assimilate:
                self._add(kind, self._ensemble_file(title), EnsembleFile.reopened, continued)
        if experiment.experiment.assimilate:
            self._add_files_of_analyses(continued)
        failures = folder.path / "member_failures.csv"
        self._failures = MemberFailureFile(failures, sum(self._failed.values()) if continued else None)
        if not continued:
            self._write_tracks()

    def _ensemble_file(self, title: str) -> Callable[[Path], EnsembleFile]:
        """Return what makes a file of ensemble means and spreads."""
        experiment, grid = self._experiment, self._grid
        axes = OutputAxes(self._model.layout.grid, grid.altitude_km, grid.latitude, grid.longitude)
        composition = DENSITY_FIELDS if experiment.output.composition else ()
        fields = ("density", "height", *composition, "data_grid_density")
        attributes = {"title": f"{experiment.experiment.name}: {title}", "model": experiment.model.adapter}
        return partial(EnsembleFile, axes=axes, fields=fields, attributes=attributes)

    def _add_files_of_analyses(self, continued: bool) -> None:
        name = self._experiment.experiment.name
        missing = {} if self._coverage is None else self._coverage.attributes()
        self._add(
            OBSERVATIONS,
            partial(ObservationFile, attributes={"title": f"{name}: observation space", **missing}),
            ObservationFile.reopened,
            continued,
        )
        self._add(
            FILTER,
            partial(FilterFile, attributes={"title": f"{name}: diagnostics of the filter", **missing}),
            FilterFile.reopened,
            continued,
        )

    def _add(self, kind: str, create: Callable[[Path], Any], reopen: Callable[[Path], Any], continued: bool) -> None:
        path = self._required_folder.path / f"{kind}.nc"
        if continued:
            require_records(path, self._records[kind])
        self._files[kind] = GrowingFile(path, create, reopen, continued)

    def _write_tracks(self) -> None:
        step_one = self._root_step_one()
        start = to_datetime64(self._experiment.experiment.start)
        stop = to_datetime64(self._experiment.experiment.stop)
        for name, whole in step_one.tracks.items():
            track = whole.between(start, stop)
            calibrated, atmosphere, state = step_one.factor.along_track(track)
            columns = {
                "time": (track.time, "", "time"),
                "latitude": (track.latitude, "degrees_north", f"{track.latitude_kind} latitude"),
                "longitude": (track.longitude, "degrees_east", "longitude"),
                "altitude": (track.altitude_km, "km", "altitude"),
                "density": (track.density, "kg m-3", "measured total mass density"),
                "density_msis": (atmosphere.density, "kg m-3", "total mass density of NRLMSIS"),
                "density_calibrated_msis": (calibrated, "kg m-3", "total mass density of calibrated NRLMSIS"),
                "unmodelled_mass_ratio": (
                    atmosphere.unmodelled_mass_ratio,
                    "1",
                    "total mass density over that of O, O2, He and N2, from NRLMSIS",
                ),
                "scale_factor_state": (
                    state,
                    "1",
                    "scale factor of calibrated NRLMSIS: 0 known, 1 persisted, 2 another satellite's, 3 held",
                ),
                "kp": (step_one.drivers.kp(track.time), "1", "Kp of the 3-hour interval"),
            }
            # A satellite that only calibrates NRLMSIS is not independent of all that it is compared with.
            role = "assimilated" if name in self._experiment.used_satellites else "independent"
            if not self._experiment.experiment.assimilate and name == self._experiment.calibration.satellite:
                role = "calibrating"
            attributes = {
                "title": f"{self._experiment.experiment.name}: densities along the track of {name}",
                "satellite": name,
                "role": role,
                "source": track.source,
                "smoothing_s": track.smoothing_s,
                "comment": "density: running mean along the track over smoothing_s (0: none); all else: at the points",
            }
            write_table(self._required_folder.path / f"track_{name}.nc", columns, attributes)
        series = step_one.report.series
        columns = {
            "time": (series.time, "", "time"),
            "ln_factor": (series.values, "1", "ln of measured over NRLMSIS density, short gaps filled"),
            "filled": (series.filled.astype(np.int8), "1", "1 where the value was filled"),
            "outliers": (series.outliers.astype(np.int32), "1", "number of densities left out as outliers"),
            "ln_factor_filtered": (step_one.report.filtered, "1", "the same after the low-pass filter"),
        }
        report = step_one.report
        outcome = {
            "title": f"{self._experiment.experiment.name}: calibration of NRLMSIS",
            "satellite": step_one.calibrated.satellite,
            "records": report.records,
            "outliers": report.outliers,
            "filled_steps": report.filled,
            "gaps": report.gaps,
            "gaps_not_filled": report.long_gaps,
        }
        write_table(self._required_folder.path / "calibration.nc", columns, outcome)

    def _root_step_one(self) -> StepOne:
        if self._step_one is None:
            raise ValueError("only rank 0 holds step one")
        return self._step_one

    def _record(self, kind: str, record: CycleRecord) -> None:
        self._write_moments(record, partial(self._append, kind))

    def _write_moments(self, record: CycleRecord, append: Callable[[Callable[[Any], None]], None]) -> None:
        """Let rank 0 write means and spreads of a record; ``append`` is given what writes to an open file."""
        moments = self._moments(record)
        parts = self._comm.gather(moments)

        def write() -> None:
            if parts is None:
                raise ValueError("the moments are gathered on rank 0")
            whole = {name: merged(part[name] for part in parts) for name in moments}
            if record.forecasts.inputs.ensemble != FREE_FORECAST:
                self._left[record.forecasts.inputs.ensemble] = whole["density"].members
            whole["data_grid_density"] = self._total(whole["data_grid_density"], record.time)
            append(lambda file: file.append(record.time, whole))

        self._on_root(write)

    def _moments(self, record: CycleRecord) -> dict[str, EnsembleMoments]:
        fields = self._model.layout.split(record.states)
        height = record.forecasts.height(record.states, record.time)
        density = self._operator.on_grid(fields)
        moments = {"density": EnsembleMoments.of(density), "height": EnsembleMoments.of(height)}
        if self._experiment.output.composition:
            moments |= {name: EnsembleMoments.of(fields[name]) for name in DENSITY_FIELDS}
        ones = np.ones_like(self._altitude_km)
        on_grid = self._operator.at_points(density, height, self._stencil, self._altitude_km, ones)
        moments["data_grid_density"] = EnsembleMoments.of(on_grid.reshape(*self._grid.shape, -1))
        return moments

    def _total(self, modelled: EnsembleMoments, time: np.datetime64) -> EnsembleMoments:
        """Return the moments of total density from those of the modelled species, by NRLMSIS's ratio at this time."""
        msis = self._root_step_one().calibrated.msis
        grid = self._grid
        ratio = msis.on_grid(time, grid.latitude, grid.longitude, grid.altitude_km).unmodelled_mass_ratio
        return EnsembleMoments(modelled.members, modelled.mean * ratio, modelled.squared_deviations * ratio**2)
