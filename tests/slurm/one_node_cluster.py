"""A Slurm cluster of this machine alone, in a folder of its own: munged, slurmctld and slurmd without accounting.

``python one_node_cluster.py start FOLDER`` prints the ``slurm.conf`` to be named by ``SLURM_CONF``;
``python one_node_cluster.py stop FOLDER`` cancels all jobs and ends the three daemons by the process numbers that they
wrote. Needs root, and the programs of the Debian packages slurmctld, slurmd, slurm-client and munge. Nothing outside of
the folder is written or read, so that an installed Slurm of the machine is left alone.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "sinfo")
PARTITION = "all"
LIMIT_S = 30.0
POLL_S = 0.1
TIMES_OVERSUBSCRIBED = 2
"""Slurm is told of twice the processors, so that two jobs of two ranks run beside each other on a small machine."""

CONFIGURATION = """\
ClusterName=thermoda
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={requeue_delay_s}
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait={kill_wait_s}
MinJobAge=3600
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs={processors} RealMemory={memory_mib} State=UNKNOWN
PartitionName={partition} Nodes={host} Default=YES MaxTime=60 OverSubscribe=NO State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """The folder of a cluster.

    Parameters
    ----------
    folder : Path
        Its configuration, its logs and the process numbers of its daemons.
    """

    folder: Path

    @property
    def configuration(self) -> Path:
        """File that ``SLURM_CONF`` must name."""
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which Slurm's commands see this cluster, without what an outer job has set."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        return kept | {"SLURM_CONF": str(self.configuration)}

    def start(self, requeue_delay_s: int, kill_wait_s: int) -> None:
        """Start the daemons and return when the node takes jobs."""
        self._write_configuration(requeue_delay_s, kill_wait_s)
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._start_munge()
            self._run("slurmctld", "-c")
            self._await("slurmctld answers", self._controller_answers)
            self._run("slurmd", "-c")
            self._await("the node is idle", lambda: "idle" in self._output("sinfo", "--noheader", "--format=%T"))
            undo.pop_all()

    def stop(self) -> None:
        """Cancel all jobs and end the daemons; each is gone when this returns."""
        if (self.folder / "slurmctld.pid").is_file() and self._controller_answers():
            subprocess.run(["scancel", f"--partition={PARTITION}", "--full"], env=self.environment, check=False)
            self._await("all jobs have ended", lambda: not self._output("squeue", "--noheader"))
        for daemon in ("slurmd", "slurmctld", "munged"):
            self._end(daemon)

    def _write_configuration(self, requeue_delay_s: int, kill_wait_s: int) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o755)
        controller_port, node_port = _free_ports(2)
        text = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0],
            folder=self.folder,
            controller_port=controller_port,
            node_port=node_port,
            processors=TIMES_OVERSUBSCRIBED * (os.cpu_count() or 1),
            memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
            partition=PARTITION,
            requeue_delay_s=requeue_delay_s,
            kill_wait_s=kill_wait_s,
        )
        self.configuration.write_text(text, encoding="utf-8")

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = {"key-file": key, "socket": self.folder / "munge.socket", "pid-file": self.folder / "munged.pid"}
        files |= {"log-file": self.folder / "munged.log", "seed-file": self.folder / "munge.seed"}
        # Temporary folders are often writable for all, which munge refuses unless it is forced.
        self._run("munged", "--force", *(f"--{name}={path}" for name, path in files.items()))

    def _run(self, *command: str) -> None:
        # A daemon keeps the streams that it was started with: pipes would never end.
        with (self.folder / "daemons.log").open("ab") as log:
            done = subprocess.run(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
        if done.returncode:
            told = (self.folder / "daemons.log").read_text(encoding="utf-8", errors="replace")
            raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{told}")

    def _output(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def _controller_answers(self) -> bool:
        return "UP" in self._output("scontrol", "ping")

    def _await(self, what: str, there: Callable[[], bool]) -> None:
        limit = time.monotonic() + LIMIT_S
        while not there():
            if time.monotonic() > limit:
                raise SystemExit(f"after {LIMIT_S:g} s it is not yet true that {what}; see {self.folder}/*.log")
            time.sleep(POLL_S)

    def _end(self, daemon: str) -> None:
        file = self.folder / f"{daemon}.pid"
        if not file.is_file():
            return
        process = int(file.read_text(encoding="utf-8"))
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not _is(process, daemon):
                break
            os.kill(process, number)
            limit = time.monotonic() + LIMIT_S / 2
            while _is(process, daemon) and time.monotonic() < limit:
                time.sleep(POLL_S)
        file.unlink(missing_ok=True)


def _is(process: int, program: str) -> bool:
    """Return whether a process number still belongs to a running program: another may have been given it since."""
    try:
        status = (Path("/proc") / str(process) / "stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    name, _, rest = status.partition("(")[2].rpartition(")")
    # Z: it has ended, and nobody has asked how.
    return name == program and rest.split()[0] != "Z"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def missing() -> str:
    """Return why no cluster can be started here, or an empty string."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"no {', '.join(absent)}: install slurmctld, slurmd, slurm-client and munge"
    return "" if os.geteuid() == 0 else "slurmd and slurmctld are started by root only"


def main() -> None:
    """Start or stop a cluster."""
    parser = argparse.ArgumentParser(description="A Slurm cluster of this machine alone.")
    parser.add_argument("action", choices=("start", "stop", "missing"))
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("--requeue-delay-s", type=int, default=5, help="Slurm's time between requeue and next start")
    parser.add_argument("--kill-wait-s", type=int, default=30, help="time between SIGTERM and SIGKILL at the limit")
    options = parser.parse_args()
    cluster = Cluster(options.folder.resolve())
    if reason := missing():
        raise SystemExit(reason)
    if options.action == "start":
        cluster.start(options.requeue_delay_s, options.kill_wait_s)
        sys.stdout.write(f"{cluster.configuration}\n")
    elif options.action == "stop":
        cluster.stop()


if __name__ == "__main__":
    main()
