"""Run an experiment, evaluate it, and print both with the machine and the versions.

python benchmarks/run_experiment.py experiments/champ_grace_2002/direct.yaml > benchmarks/champ_grace_2002_direct.txt
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from circumstances import circumstances

from da.config import read_experiment
from da.doctor import find_launcher


def main() -> None:
    """Run, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    experiment, _ = read_experiment(arguments.experiment)
    launcher = find_launcher()
    if launcher is None:
        sys.exit("no mpiexec found")
    print(circumstances())
    run = ["-m", "mpi4py", "-m", "da", "run", str(arguments.experiment), "--overwrite"]
    evaluate = ["-m", "da", "evaluate", str(experiment.experiment.output_folder)]
    for command in ([str(launcher), "-n", str(arguments.ranks), sys.executable, *run], [sys.executable, *evaluate]):
        print(
            "\n$ "
            + " ".join(
                [
                    "python" if part == sys.executable else Path(part).name if part == str(launcher) else part
                    for part in command
                ]
            ),
            flush=True,
        )
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
