"""Both ensembles of a run, driven together: every record is written, and restart points between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from da.analysis import LocalizedAnalysis
from da.cycle import CycleRecord, Phase
from da.free_forecasts import FreeForecastPlan, free_forecast
from da.parallel import Communicator
from da.phase_timer import PhaseTimer
from da.recording import RunRecorder
from da.restart import RestartWriter
from da.stopping import RunStopped, StopRequest


@dataclass
class RunLoop:
    """Drives both ensembles; used on all ranks.

    Parameters
    ----------
    comm : Communicator
    recorder : RunRecorder
    restarts : RestartWriter
    analysis : LocalizedAnalysis or None
        Whose state goes into restart points; None: the run makes the open loop alone.
    free_forecasts : FreeForecastPlan
    timer : PhaseTimer
    stop : StopRequest
    progress : callable
        ``progress(done, text)`` is called on rank 0 after every output time.
    done : int
        Number of output times recorded.
    unobserved : int
        How many sub-domains saw no observation, at most.
    """

    comm: Communicator
    recorder: RunRecorder
    restarts: RestartWriter
    analysis: LocalizedAnalysis | None
    free_forecasts: FreeForecastPlan
    timer: PhaseTimer
    stop: StopRequest
    progress: Callable[[int, str], None]
    done: int = 0
    unobserved: int = 0

    def go_on(self, counted: Mapping[str, Any]) -> None:
        """Take what an earlier process of this run had counted at a restart point."""
        self.done, self.unobserved = counted["done"], counted["unobserved"]
        self.timer.add(counted["phase_seconds"])

    def drive(
        self,
        leading: Iterator[CycleRecord],
        open_loop: Iterator[CycleRecord] | None,
        last_open_loop: CycleRecord | None,
    ) -> None:
        """Write the records of both ensembles, free forecasts, and restart points where they are due.

        Parameters
        ----------
        leading : iterator of CycleRecord
            Of the assimilating ensemble; without any analysis, of the open loop.
        open_loop : iterator of CycleRecord or None
            Of the open loop where the run makes it beside the assimilation.
        last_open_loop : CycleRecord or None
            That of a restart point, after which the iterators begin.

        Raises
        ------
        RunStopped
            On all ranks, after a restart point, where any rank has noted a signal.
        ThermodaError
            On all ranks, if a file cannot be written.
        """
        free = last_open_loop
        write = self.recorder.open_loop if self.analysis is None else self.recorder.assimilation
        for record in leading:
            if record.diagnostics is not None:
                blind = int(np.count_nonzero(record.diagnostics.local_observations == 0))
                self.unobserved = max(self.unobserved, blind)
            # Both runs advance together, so that a model may use what it computed for a time for both.
            if record.phase is Phase.FORECAST:
                if open_loop is not None:
                    free = next(open_loop)
                    self.timer.measure("output", partial(self.recorder.open_loop, free))
                self.done += 1
                if self.comm.rank == 0:
                    self.progress(self.done, str(record.time)[:16])
            self.timer.measure("output", partial(write, record))
            # Before the restart point: where there is one of an analysis, its free forecast is complete.
            self._free_forecast(record)
            self._restart_point(record, free)

    def _free_forecast(self, record: CycleRecord) -> None:
        schedule = self.free_forecasts.schedule(record)
        if schedule is None:
            return
        with self.recorder.free_forecast(record.time) as write:
            for one in self.timer.records("free", free_forecast(record, schedule)):
                self.timer.measure("output", partial(write, one))

    def _restart_point(self, record: CycleRecord, free: CycleRecord | None) -> None:
        signal = self.stop.agreed(self.comm)
        if not (signal or self.restarts.due(record)):
            return
        self.timer.measure("restart points", partial(self._write, record, free, signal))
        if signal:
            when = f"{np.datetime_as_string(record.time, unit='s')} ({record.phase})"
            raise RunStopped(
                f"stopped by {signal} after {when}; go on with: python -m da resume {self.recorder.final_folder}"
            )

    def _write(self, record: CycleRecord, free: CycleRecord | None, signal: str) -> None:
        self.recorder.flush()
        counted = self.recorder.counted | {
            "done": self.done,
            "unobserved": self.unobserved,
            "phase_seconds": dict(self.timer.seconds),
        }
        self.restarts.write(record, free, self.analysis, counted, signal)
