"""A Slurm cluster for the tests of this folder: started for them, and stopped after the last."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("one_node_cluster.py")
POLL_S = 0.5
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")


def manage(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script that starts and stops clusters."""
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


@dataclass(frozen=True)
class Slurm:
    """The cluster as its user sees it.

    Parameters
    ----------
    environment : dict
        For all of Slurm's commands.
    """

    environment: dict[str, str]

    def command(self, *arguments: object, folder: Path | None = None, limit_s: float = 120.0, **variables: str) -> str:
        """Return what a command prints."""
        done = subprocess.run(
            [str(argument) for argument in arguments],
            env=self.environment | variables,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout.strip()

    def submit(self, folder: Path, script: str, *arguments: object, options: tuple[str, ...], **variables: str) -> str:
        """Submit a job script of the repository from a folder, and return the job's number."""
        site = {
            "THERMODA_SOURCE": str(REPOSITORY),
            "THERMODA_ENVIRONMENT": sys.prefix,
            "PYTHONPATH": str(REPOSITORY),
        } | variables
        small = ("--parsable", "--mem-per-cpu=100M", *options)
        return self.command("sbatch", *small, REPOSITORY / "slurm" / script, *arguments, folder=folder, **site)

    def jobs(self, number: str) -> list[dict[str, str]]:
        """Return what the controller says of a job, or of each task of an array."""
        lines = self.command("scontrol", "--oneliner", "show", "job", number).splitlines()
        return [dict(part.partition("=")[::2] for part in line.split() if "=" in part) for line in lines if line]

    def ended(self, number: str, limit_s: float) -> list[dict[str, str]]:
        """Return the same when all of them have ended."""
        until = time.monotonic() + limit_s
        while not all(job["JobState"] in OVER for job in self.jobs(number)):
            assert time.monotonic() < until, (self.jobs(number), self.command("squeue"))
            time.sleep(POLL_S)
        return self.jobs(number)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Return a running cluster; skips where there is no Slurm or no root."""
    reason = manage("missing")
    if reason.returncode:
        pytest.skip(f"no Slurm cluster can be started here: {reason.stderr.strip()}")
    # Names of sockets hold at most 108 characters: the folder must have a short one.
    with tempfile.TemporaryDirectory(prefix="slurm") as name:
        started = manage("start", name)
        assert started.returncode == 0, started.stderr
        try:
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SBATCH_"))}
            yield Slurm(kept | {"SLURM_CONF": started.stdout.strip()})
        finally:
            stopped = manage("stop", name)
            assert stopped.returncode == 0, stopped.stderr
