"""Both ensembles of a run, driven together: every record is written, and restart points between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from da.analysis import LocalizedAnalysis
from da.cycle import CycleRecord, Phase
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
    analysis : LocalizedAnalysis
        Whose state goes into restart points.
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
    analysis: LocalizedAnalysis
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
        self, cycle: Iterator[CycleRecord], open_loop: Iterator[CycleRecord], last_open_loop: CycleRecord | None
    ) -> None:
        """Write the records of both ensembles, and restart points where they are due.

        Parameters
        ----------
        cycle, open_loop : iterator of CycleRecord
            Of the assimilating ensemble and of the other one.
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
        for record in cycle:
            if record.diagnostics is not None:
                blind = int(np.count_nonzero(record.diagnostics.local_observations == 0))
                self.unobserved = max(self.unobserved, blind)
            # Both runs advance together, so that a model may use what it computed for a time for both.
            if record.phase is Phase.FORECAST:
                free = next(open_loop)
                self.timer.measure("output", partial(self.recorder.open_loop, free))
                self.done += 1
                if self.comm.rank == 0:
                    self.progress(self.done, str(record.time)[:16])
            self.timer.measure("output", partial(self.recorder.assimilation, record))
            if free is None:
                raise ValueError("an analysis needs the record of the open loop before it")
            self._restart_point(record, free)

    def _restart_point(self, record: CycleRecord, free: CycleRecord) -> None:
        signal = self.stop.agreed(self.comm)
        if not (signal or self.restarts.due(record)):
            return
        self.timer.measure("restart points", partial(self._write, record, free, signal))
        if signal:
            raise RunStopped(
                f"stopped by {signal} after {record.time} ({record.phase}); go on with: python -m da resume "
                f"{self.recorder.final_folder}"
            )

    def _write(self, record: CycleRecord, free: CycleRecord, signal: str) -> None:
        self.recorder.flush()
        counted = self.recorder.counted | {
            "done": self.done,
            "unobserved": self.unobserved,
            "phase_seconds": dict(self.timer.seconds),
        }
        self.restarts.write(record, free, self.analysis, counted, signal)
