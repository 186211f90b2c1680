"""The members at the start of a run: made, and forecast freely from some days before.

Members that live in files are spun up in parts of a day. A member whose file of the end of a part is there is not run
again, so that an interrupted spin-up goes on from the last part that each member completed; one that is complete is
only read. A member that was replaced on the way has the inputs it was drawn with again when its spin-up is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.config import Experiment, to_datetime64
from da.cycle import Forecasted, MemberForecasts
from da.errors import MemberForecastError, ThermodaError
from da.model import ForecastModel, MemberInputs, MembersInFiles
from da.parallel import collective
from da.seeding import Purpose, streams

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Progress = Callable[[int, int, str], None]
"""``progress(total, done, text)``."""

PART = np.timedelta64(1, "D").astype("timedelta64[ns]")


def spin_up_edges(experiment: Experiment) -> list[np.datetime64]:
    """Return the times between which members are spun up: the begin, then every day, and the start of the run."""
    start = to_datetime64(experiment.experiment.start)
    begin = start - np.timedelta64(round(86_400e9 * experiment.ensemble.spin_up_days), "ns")
    return [*np.arange(begin, start, PART), start]


def require_files(model_name: str, model: ForecastModel) -> None:
    """Raise ThermodaError for a model whose members cannot be spun up by a command of its own."""
    if not isinstance(model, MembersInFiles):
        raise ThermodaError(
            f"model.adapter: '{model_name}' keeps its members in memory, where no later command finds them; "
            "'run' spins them up itself"
        )


def spun_up(
    experiment: Experiment, forecasts: MemberForecasts, progress: Progress = lambda total, done, text: None
) -> Forecasted:
    """Return this rank's members at the start of the run; called on all ranks.

    Parameters
    ----------
    experiment : Experiment
    forecasts : MemberForecasts
    progress : callable
        Called on rank 0 after each part of members in files.

    Raises
    ------
    ThermodaError
        On all ranks, where a member fails and the policy ends the run, or files were made from other settings.
    """
    edges = spin_up_edges(experiment)
    rngs = streams(experiment.experiment.seed, Purpose.INITIAL_STATE, _numbers(forecasts))
    if isinstance(forecasts.model, MembersInFiles):
        return _spun_up_in_files(experiment, forecasts, forecasts.model, edges, rngs, progress)
    with collective(forecasts.comm, "initial states"):
        states = forecasts.model.initial(edges[0], forecasts.inputs, rngs)
    return forecasts.advance(states, edges[0], edges[-1])


def _numbers(forecasts: MemberForecasts) -> list[int]:
    numbers = forecasts.inputs.numbers
    if numbers is None:
        raise ValueError("members that are spun up must have numbers")
    return [int(number) for number in numbers]


def _spun_up_in_files(
    experiment: Experiment,
    forecasts: MemberForecasts,
    files: MembersInFiles,
    edges: Sequence[np.datetime64],
    rngs: Sequence[np.random.Generator],
    progress: Progress,
) -> Forecasted:
    comm, inputs = forecasts.comm, forecasts.inputs
    with collective(comm, "spin-up"):
        if comm.rank == 0:
            files.claim(inputs.ensemble, _description(experiment))
    with collective(comm, "spin-up"):
        ahead = _Ahead(forecasts.model, files, edges, _last_edges(files, edges, inputs))
        new = np.flatnonzero(ahead.last < 0)
        if new.size:
            forecasts.model.initial(edges[0], inputs.of(new), [rngs[place] for place in new.tolist()])
            ahead = _Ahead(forecasts.model, files, edges, np.maximum(ahead.last, 0))
        states = ahead.states(inputs)
    first = min(comm.allgather(int(ahead.last.min())))
    result = Forecasted(states, forecasts)
    for part in range(first, len(edges) - 1):
        stop = edges[part + 1]
        made = result.forecasts.advance(result.states, edges[part], stop, ahead.forecast)
        result = Forecasted(made.states, made.forecasts, result.events + made.events)
        if made.kept is not None:
            # Other members are here now, and nobody is ahead of what its files say.
            own = made.forecasts.inputs
            with collective(comm, "spin-up"):
                ahead = _Ahead(forecasts.model, files, edges, _last_edges(files, edges, own))
        if comm.rank == 0:
            progress(len(edges) - 1, part + 1, str(stop)[:16])
    return result


def _last_edges(files: MembersInFiles, edges: Sequence[np.datetime64], inputs: MemberInputs) -> IndexArray:
    """Return the number of the last edge of which each member has a file, -1 where there is none."""
    there = np.array([files.stored(edge, inputs) for edge in edges])
    return np.asarray(np.max(np.where(there, np.arange(len(edges))[:, None], -1), axis=0), dtype=np.int64)


@dataclass(frozen=True)
class _Ahead:
    """Members of this rank that may have come further than others.

    Parameters
    ----------
    model : ForecastModel
    files : MembersInFiles
        The same object.
    edges : sequence of datetime64
    last : array of int (members,)
        Number of the last edge of which a member has a file.
    """

    model: ForecastModel
    files: MembersInFiles
    edges: Sequence[np.datetime64]
    last: IndexArray

    def states(self, inputs: MemberInputs) -> FloatArray:
        """Return the states (state_size, members) of the last files."""
        states = np.empty((self.model.layout.state_size, self.last.size))
        for edge in np.unique(self.last):
            places = np.flatnonzero(self.last == edge)
            states[:, places] = self.files.restored(self.edges[edge], inputs.of(places))
        return states

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the states at ``stop``, or what a member that was there already has on file now."""
        behind = np.flatnonzero(self.last < self.edges.index(stop))
        result = states.copy()
        if not behind.size:
            return result
        try:
            result[:, behind] = self.model.forecast(states[:, behind], start, stop, inputs.of(behind))
        except MemberForecastError as error:
            result[:, behind] = error.states
            causes = {int(behind[position]): cause for position, cause in error.causes.items()}
            raise MemberForecastError(causes, result) from error
        return result


def _description(experiment: Experiment) -> dict[str, Any]:
    """Return what a spun-up ensemble is made from, apart from its model; without the number of members."""
    content = json.loads(experiment.model_dump_json(include={"experiment", "drivers", "ensemble"}))
    ensemble = content["ensemble"]
    return {
        "experiment.start": content["experiment"]["start"],
        "experiment.seed": content["experiment"]["seed"],
        **{f"drivers.{key}": value for key, value in content["drivers"].items()},
        **{f"ensemble.{key}": ensemble[key] for key in ("spin_up_days", "perturbations", "correlations")},
    }
