"""Memory of a run under MPI, day by day of the experiment.

    python benchmarks/memory.py experiments/corbin_kusche_2022/13.yaml > benchmarks/memory.txt

The experiment runs on two ranks (``--ranks``). Meanwhile the proportional set size of every rank, in which pages that
ranks share count once, is read from /proc twice a second; the newest restart point tells how far the run
is. Printed are the largest sum over the ranks on each day, and the growth from the second day to the last; a run whose
memory is flat grows by less than what one analysis needs beyond the ensemble, which its own peaks vary by.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
from circumstances import circumstances
from processes import ranks_of

from da.config import read_experiment
from da.doctor import find_launcher, launcher_environment
from da.storage import RESTART_NAME, partial_path

INTERVAL_S = 0.5
MIB = 2**20


def proportional_set_size(process: int) -> int:
    """Return the bytes that a process holds, its share of those that it shares included; 0 where it is no more."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return 0


def newest_point(partial: Path, last_day: str) -> str:
    """Return the date of the newest restart point, the last day at most; ``spin-up`` where there is none."""
    names = [point.name for point in (partial / RESTART_NAME).glob("[0-9]*")]
    return min(max(names)[:8], last_day) if names else "spin-up"


def largest_by_day(process: subprocess.Popen[bytes], partial: Path, last_day: str) -> dict[str, int]:
    """Return the largest memory [bytes] of all ranks together on each day of a run, in order, when it has ended."""
    largest: dict[str, int] = defaultdict(int)
    while process.poll() is None:
        day = newest_point(partial, last_day)
        largest[day] = max(largest[day], sum(map(proportional_set_size, ranks_of(process.pid))))
        time.sleep(INTERVAL_S)
    return dict(largest)


def growth(largest: Mapping[str, int]) -> float:
    """Return the mean growth per day [bytes] after the first day, by a straight line through the days' largest."""
    days = [size for day, size in largest.items() if day != "spin-up"][1:]
    return float(np.polyfit(np.arange(len(days)), days, 1)[0]) if len(days) > 1 else np.nan


def main() -> None:
    """Run, watch, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    experiment, _ = read_experiment(arguments.experiment)
    launcher = find_launcher()
    if launcher is None:
        sys.exit("no mpiexec found")
    began = time.monotonic()
    command = [str(launcher), "-n", str(arguments.ranks), sys.executable, "-m", "mpi4py", "-m", "da", "run"]
    process = subprocess.Popen(
        [*command, str(arguments.experiment), "--overwrite"], env=launcher_environment(), stdout=subprocess.DEVNULL
    )
    last_day = f"{experiment.experiment.stop - timedelta(seconds=1):%Y%m%d}"
    largest = largest_by_day(process, partial_path(Path(experiment.experiment.output_folder)), last_day)
    if process.returncode:
        sys.exit(process.returncode)
    print(circumstances())
    print(f"\n{arguments.experiment}: {experiment.ensemble.members} members, {arguments.ranks} rank(s), ", end="")
    print(f"{(time.monotonic() - began) / 60.0:.1f} min\n\n{'day':10s} {'largest memory of all ranks [MiB]':>34s}")
    for day, size in largest.items():
        print(f"{day:10s} {size / MIB:34.0f}")
    print(f"\ngrowth after the first day: {growth(largest) / MIB:+.2f} MiB per day")


if __name__ == "__main__":
    main()
