"""Program for the tests: the command line with an adapter that fails as its first argument says."""

from __future__ import annotations

import ctypes
import errno
import signal
import sys
import time
from typing import Any

import numpy as np

from da import cycle
from da.cli import main
from da.errors import MemberForecastError, ThermodaError
from da.parallel import MpiCommunicator
from model_adapters import registry
from model_adapters.template import TemplateModel, TemplateSettings


class LastRankIsSick(TemplateModel):
    """A member of the last rank is not a number after a forecast."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        result = super().forecast(states, start, stop, inputs)
        comm = MpiCommunicator()
        if comm.rank == comm.size - 1 and stop > start:
            result[0, 0] = np.nan
        return result


class LastRankHasABug(TemplateModel):
    """The forecast of the last rank raises what no user can mend."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        comm = MpiCommunicator()
        if comm.rank == comm.size - 1 and stop > start:
            raise RuntimeError("a programming error")
        return super().forecast(states, start, stop, inputs)


class LastRankHasNoHeight(TemplateModel):
    """The heights of the last rank are refused where the ranks do not ask each other."""

    def height(self, states: Any, time: Any, inputs: Any) -> Any:
        comm = MpiCommunicator()
        if comm.rank == comm.size - 1:
            raise ThermodaError("height.table: has no such level")
        return super().height(states, time, inputs)


class LastRankLosesItsDisk(TemplateModel):
    """The forecast of the last rank meets a fault of the system."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        comm = MpiCommunicator()
        if comm.rank == comm.size - 1 and stop > start:
            raise OSError(errno.EIO, "Input/output error")
        return super().forecast(states, start, stop, inputs)


class LastMemberFails(TemplateModel):
    """Member 3 fails in every forecast, in turn by an exception and by its state."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        result = super().forecast(states, start, stop, inputs)
        places = np.flatnonzero(inputs.member_numbers(states.shape[1]) == 3).tolist()
        if stop > start and places:
            result[:, places] = np.nan
            if inputs.ensemble == "assimilation":
                raise MemberForecastError({places[0]: "member 3 ended with MODEL SHUTDOWN"}, result)
        return result


class Stopping(LastMemberFails):
    """The same, and the last rank is asked to stop during its second forecast."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        comm = MpiCommunicator()
        if comm.rank == comm.size - 1 and "run" in sys.argv and str(stop)[11:16] == "00:30":
            signal.raise_signal(signal.SIGUSR1)
        return super().forecast(states, start, stop, inputs)


class LastMemberHangs(TemplateModel):
    """Member 3 needs for ever."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        while stop > start and 3 in inputs.member_numbers(states.shape[1]):
            time.sleep(0.01)
        return super().forecast(states, start, stop, inputs)


class LastRankIsLost(TemplateModel):
    """The last rank waits, from its second hour on, in compiled code that nothing interrupts."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        comm = MpiCommunicator()
        if comm.rank == comm.size - 1 and str(stop)[11:16] == "01:30":
            mutex = ctypes.create_string_buffer(256)
            for _ in range(2):
                ctypes.CDLL(None).pthread_mutex_lock(mutex)
        return super().forecast(states, start, stop, inputs)


MODELS = {
    "member": LastMemberFails,
    "stopping": Stopping,
    "slow": LastMemberHangs,
    "lost": LastRankIsLost,
    "nan": LastRankIsSick,
    "bug": LastRankHasABug,
    "height": LastRankHasNoHeight,
    "disk": LastRankLosesItsDisk,
}

if __name__ == "__main__":
    model = MODELS[sys.argv.pop(1)]
    cycle.GRACE_S = 0.5
    registry.ADAPTERS["failing"] = registry.Adapter(TemplateSettings, model)
    main()
