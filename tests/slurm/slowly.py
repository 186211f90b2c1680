"""Program for the tests: ``python slowly.py python -m mpi4py -m da run ...`` with a model that takes its time.

It stands where job scripts have the launcher's last words, so that a small run outlives Slurm's shortest time limit on
any machine.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from da.cli import main
from model_adapters import registry
from model_adapters.msis_relaxation import MsisRelaxation, MsisRelaxationSettings

PAUSE_S = 0.5


class Slowly(MsisRelaxation):
    """The model itself, after a pause."""

    def forecast(self, states: Any, start: Any, stop: Any, inputs: Any) -> Any:
        """Return the members at ``stop``."""
        time.sleep(PAUSE_S)
        return super().forecast(states, start, stop, inputs)


if __name__ == "__main__":
    registry.ADAPTERS["msis_relaxation"] = registry.Adapter(MsisRelaxationSettings, Slowly)
    sys.argv = sys.argv[sys.argv.index("da") :]
    main()
