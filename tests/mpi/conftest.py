"""Start programs under the launcher of this environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from da.doctor import find_launcher

LIMIT_S = 180
Launch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def launch() -> Launch:
    """Return a function ``launch(ranks, *python_arguments)`` that runs Python under mpiexec."""
    launcher = find_launcher()
    if launcher is None:
        pytest.fail("no mpiexec: install the extra 'mpi'")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "OMPI_", "PMIX_"))}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])

    def run(ranks: int, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(launcher), "-n", str(ranks), sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    return run
