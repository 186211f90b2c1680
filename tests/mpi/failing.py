"""Program for the tests: the command line with an adapter that fails on the last rank, as its first argument says."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from da.cli import main
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


if __name__ == "__main__":
    model = {"nan": LastRankIsSick, "bug": LastRankHasABug}[sys.argv.pop(1)]
    registry.ADAPTERS["failing"] = registry.Adapter(TemplateSettings, model)
    main()
