"""Program for the tests: the command line with an adapter that fails on the last rank, as its first argument says."""

from __future__ import annotations

import errno
import sys
from typing import Any

import numpy as np

from da.cli import main
from da.errors import ThermodaError
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


MODELS = {
    "nan": LastRankIsSick,
    "bug": LastRankHasABug,
    "height": LastRankHasNoHeight,
    "disk": LastRankLosesItsDisk,
}

if __name__ == "__main__":
    model = MODELS[sys.argv.pop(1)]
    registry.ADAPTERS["failing"] = registry.Adapter(TemplateSettings, model)
    main()
