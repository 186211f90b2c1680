"""Free forecasts: from an analysis on, the same members without assimilation, at once and within the run.

Their drivers are those of the times that they reach, as in the open loop: what they measure is how long the analysed
state is worth something, not how well indices can be forecast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from da.config import Experiment, to_datetime64
from da.cycle import CycleRecord, MemberForecasts, Phase, Schedule, run
from da.model import FREE_FORECAST, MembersInFiles
from da.observations import SourceBatch
from da.parallel import collective

_NO_TIME = np.timedelta64(0, "ns")


def free_forecast_name(start: np.datetime64) -> str:
    """Return the name of the file of a free forecast, without its suffix.

    Examples
    --------
    >>> free_forecast_name(np.datetime64("2010-04-05T06:00", "ns"))
    'free_forecast_20100405T060000'
    """
    stamp = str(np.datetime_as_string(start, unit="s")).replace("-", "").replace(":", "")
    return f"free_forecast_{stamp}"


@dataclass(frozen=True)
class FreeForecastPlan:
    """From which analyses free forecasts start, and how long they are.

    Parameters
    ----------
    starts : tuple of datetime64[ns]
        Analysis times.
    length, interval : timedelta64[ns]
        Longest lead time, and time between records.
    stop : datetime64[ns]
        End of the run, beyond which there are neither drivers nor densities to compare with.
    """

    starts: tuple[np.datetime64, ...]
    length: np.timedelta64
    interval: np.timedelta64
    stop: np.datetime64

    @classmethod
    def of(cls, experiment: Experiment) -> FreeForecastPlan:
        """Return the plan of an experiment, without any start where it has no free forecasts."""
        section, whole = experiment.free_forecasts, experiment.experiment
        start, stop = to_datetime64(whole.start), to_datetime64(whole.stop)
        if section is None:
            return cls((), _NO_TIME, _NO_TIME, stop)
        starts = tuple(to_datetime64(time) for time in section.start)
        if section.every_h is not None:
            starts = tuple(np.arange(start, stop, np.timedelta64(round(3.6e12 * section.every_h), "ns")))
        interval_min = section.interval_min or experiment.output.interval_min
        return cls(
            starts,
            np.timedelta64(round(3.6e12 * section.length_h), "ns"),
            np.timedelta64(round(6e10 * interval_min), "ns"),
            stop,
        )

    def schedule(self, record: CycleRecord) -> Schedule | None:
        """Return the times of the forecast that starts from a record of the cycle, None where none does.

        It has the planned length, or as many records as fit before the end of the run.
        """
        if record.phase is not Phase.ANALYSIS or record.time not in self.starts:
            return None
        length = min(self.length, (self.stop - record.time) // self.interval * self.interval)
        if length <= _NO_TIME:
            return None
        return Schedule(record.time, record.time + length, self.interval, self.interval)


def free_forecast(analysed: CycleRecord, schedule: Schedule) -> Iterator[CycleRecord]:
    """Yield the records of a free forecast, the analysed state first; called on all ranks.

    Parameters
    ----------
    analysed : CycleRecord
        Its states are not changed.
    schedule : Schedule
        Begins at its time.
    """
    forecasts = analysed.forecasts.branched(FREE_FORECAST, analysed.time)
    yield from run(forecasts, analysed.states, schedule, None, _nothing_due)
    _discard(forecasts)


def _nothing_due(time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
    return []


def _discard(forecasts: MemberForecasts) -> None:
    """Remove what the model keeps of the members of a free forecast, when all ranks are through with it."""
    model = forecasts.model
    if isinstance(model, MembersInFiles):
        with collective(forecasts.comm, FREE_FORECAST):
            if forecasts.comm.rank == 0:
                model.discard(FREE_FORECAST)
