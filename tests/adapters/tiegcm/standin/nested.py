"""Program for the tests: run members under MPI from processes that run under MPI themselves.

``mpiexec -n 2 python nested.py FOLDER EXECUTABLE COMMAND...``: each rank runs the members in ``FOLDER/memNNN`` whose
number has its remainder, and rank 0 prints the outcomes as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from da.parallel import start_communicator
from model_adapters.tiegcm.judging import finite_and_bounded
from model_adapters.tiegcm.launch_outcome import MemberJob
from model_adapters.tiegcm.launcher import run_members
from model_adapters.tiegcm.launcher_settings import LauncherSettings


def main() -> None:
    """Run this rank's members."""
    root, executable, *command = sys.argv[1:]
    comm = start_communicator()
    folders = sorted(Path(root).glob("mem*"))
    time = np.datetime64("2002-03-22T01:00", "ns")
    jobs = [
        MemberJob(number, folder, "m.inp", "forecast.nc", time)
        for number, folder in enumerate(folders)
        if number % comm.size == comm.rank
    ]
    settings = LauncherSettings(command=tuple(command), executable=Path(executable), ranks=2, time_out_s=60.0)
    outcomes = run_members(jobs, settings, finite_and_bounded)
    gathered = comm.gather([(one.job.member, comm.rank, comm.size, one.message, one.succeeded) for one in outcomes])
    if gathered is not None:
        sys.stdout.write(json.dumps(sorted(row for rows in gathered for row in rows)) + "\n")


if __name__ == "__main__":
    main()
