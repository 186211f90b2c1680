"""Program for the tests: the command line with an adapter that fails on the last rank, as its first argument says."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from da.cli import main
from da.parallel import MpiCommunicator
from model_adapters import registry
from model_adapters.template import TemplateModel, TemplateSettings

KIND = sys.argv.pop(1)


class LastRankFails(TemplateModel):
    """Fails in its forecasts on the last rank."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        result = super().forecast(states, start, stop, inputs)
        comm = MpiCommunicator()
        if comm.rank == comm.size - 1 and stop > start:
            if KIND == "bug":
                raise RuntimeError("a programming error")
            result[0, 0] = np.nan
        return result


registry.ADAPTERS["failing"] = registry.Adapter(TemplateSettings, LastRankFails)
main()
