"""Feeds damaged files to every reader, guided by the branches that they reach, and prints what came of it.

    python benchmarks/fuzz.py --results build/fuzz --executions 20000 sutton_start yaml
    python benchmarks/fuzz.py --results build/fuzz --print > benchmarks/fuzz.txt

The fuzzer is atheris (libFuzzer for Python), which is no dependency of the package: ``pip install atheris``. Each
reader of ``tests/fuzz/readers.py`` runs in a process of its own, with a limit of its memory; where it is killed by a
library it is started again. A later call goes on where an earlier one ended: the folder of results keeps inputs and
counts.

An execution writes one mutated file and reads it. It is a fault if anything but `ThermodaError` is raised, if its
message is not one printable line or does not name the file, or if the process ends. Inputs of faults are kept in
``RESULTS/READER/faults``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time as clock
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
READERS_FILE = REPOSITORY / "tests" / "fuzz" / "readers.py"
MEMORY_LIMIT = 6 * 1024**3
"""Bytes of address space of a reader's process: what asks for more fails with MemoryError."""

SLOWEST_S = 20
"""An input that takes longer ends the process, as a fault."""

WARM_UP = 20
"""Executions of a process whose memory is that of what they import."""

LARGEST_INPUT = {
    "history_hdf5": 110_000,
    "perturbation_set": 16_000,
    "inflation_state": 24_000,
    "tnd_igg_hdf5": 12_000,
    **dict.fromkeys(("track", "fields", "observations", "filter", "calibration", "evaluation", "key_figures"), 20_000),
    "lower_boundary": 66_000,
}
USUAL_INPUT = 6_000
"""Largest input [bytes]; those of HDF5 begin larger."""

PACKAGES = ("atheris", "numpy", "netCDF4", "cdflib", "xarray", "ruamel.yaml", "pydantic", "sgp4")


def load_readers() -> Any:
    """Return the module of the readers, loaded by its file name."""
    spec = importlib.util.spec_from_file_location("fuzz_readers", READERS_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Tally:
    """Counts of one reader, on disk after every second.

    Parameters
    ----------
    folder : Path
        Of the reader's results; an earlier tally there is gone on with.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._faults = folder / "tally.json", folder / "faults"
        self._faults.mkdir(parents=True, exist_ok=True)
        empty = {"executions": 0, "seconds": 0.0, "faults": {}, "slowest_s": 0.0, "memory_mib": 0.0, "deaths": 0}
        self.content: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else empty
        self._begin = self._written = clock.perf_counter()
        self._before = self.content["seconds"]
        self._here = 0
        self._peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def add(self, data: bytes, seconds: float, fault: str | None) -> None:
        """Count one execution."""
        content = self.content
        content["executions"] += 1
        if seconds > max(content["slowest_s"], 1.0):
            (self._faults / "slowest.bin").write_bytes(data)
        content["slowest_s"] = max(content["slowest_s"], seconds)
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._here += 1
        if self._here > WARM_UP:
            content["memory_mib"] = max(content["memory_mib"], (peak_kib - self._peak_kib) / 1024)
        self._peak_kib = peak_kib
        if fault is not None:
            if fault not in content["faults"]:
                (self._faults / f"{len(content['faults'])}.bin").write_bytes(data)
            content["faults"][fault] = content["faults"].get(fault, 0) + 1
        if content["executions"] % 250 == 0 or clock.perf_counter() - self._written > 1.0 or fault is not None:
            self.write()

    def write(self) -> None:
        """Put the counts on disk."""
        self._written = clock.perf_counter()
        self.content["seconds"] = self._before + self._written - self._begin
        temporary = self._path.with_suffix(".partial")
        temporary.write_text(json.dumps(self.content, indent=1))
        temporary.replace(self._path)


def fuzz_one(name: str, modules: list[str], results: Path, executions: int, seconds: int, work: Path) -> None:
    """Fuzz one reader, with its files in a folder, in this process, which libFuzzer ends."""
    import logging

    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=modules):
        readers = load_readers()
    reader = readers.READERS[name]
    folder = results / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(reader.seeds(work)):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / "words.txt"
    words.write_text(
        "".join('"' + "".join(f"\\x{one:02x}" for one in token) + '"\n' for token in reader.tokens if token)
    )
    path, tally = reader.path_in(work), Tally(folder)

    def once(data: bytes) -> None:
        readers.put(path, data)
        begin, fault = clock.perf_counter(), None
        try:
            fault = readers.fault_of(reader, path)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            fault = _described(error)
        tally.add(data, clock.perf_counter() - begin, fault)

    longest = LARGEST_INPUT.get(name, USUAL_INPUT)
    options = [f"-runs={executions}", f"-max_total_time={seconds}", f"-timeout={SLOWEST_S}", f"-max_len={longest}"]
    options += ["-len_control=0", "-rss_limit_mb=0", "-verbosity=0", f"-dict={words}", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


def _described(error: Exception) -> str:
    """Return type and place of an error, by which it is told from others."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if str(REPOSITORY) in frame.filename and "fuzz" not in frame.filename]
    place = f"{Path(own[-1].filename).name}:{own[-1].name}" if own else "?"
    return f"{type(error).__name__} in {place} ({Path(frames[-1].filename).name}:{frames[-1].name}): {str(error)[:90]}"


def fuzz(name: str, modules: Sequence[str], results: Path, executions: int, seconds: int) -> None:
    """Fuzz one reader in a process of its own, started again after a death until the executions are done."""
    folder, end = results / name, clock.monotonic() + seconds
    folder.mkdir(parents=True, exist_ok=True)
    begin = Tally(folder).content["executions"]
    while True:
        left = executions - (Tally(folder).content["executions"] - begin)
        remaining = int(end - clock.monotonic())
        if left <= 0 or remaining <= 1:
            return
        command = [sys.executable, str(Path(__file__)), "--results", str(results), "--inside", name]
        command += ["--executions", str(left), "--seconds", str(remaining), "--modules", *modules]
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as work, (folder / "log.txt").open("ab") as log:
            command += ["--work", work]
            done = subprocess.run(
                command, stdout=log, stderr=log, check=False, env={**os.environ, "MALLOC_ARENA_MAX": "2"}
            )
        if done.returncode == 0:
            return
        tally = Tally(folder)
        tally.content["deaths"] += 1
        tally.write()


def table(results: Path) -> str:
    """Return the counts of all readers as text."""
    columns = {"executions": 11, "seconds": 9, "paths": 7, "faults": 8, "deaths": 8, "slowest s": 11, "MiB": 7}
    head = "reader".ljust(18) + "".join(name.rjust(width) for name, width in columns.items())
    lines, total = [head, "-" * len(head)], [0, 0.0, 0, 0, 0]
    for name in load_readers().READERS:
        folder = results / name
        if not (folder / "tally.json").exists():
            continue
        content = json.loads((folder / "tally.json").read_text())
        paths = sum(1 for _ in (folder / "corpus").iterdir())
        row = [content["executions"], content["seconds"], paths, len(content["faults"]), content["deaths"]]
        total = [one + other for one, other in zip(total, row, strict=True)]
        lines.append(_row(name, row) + f"{content['slowest_s']:>11.2f}{content['memory_mib']:>7.0f}")
    return "\n".join([*lines, "-" * len(head), _row("all", total)])


def _row(name: str, row: list[Any]) -> str:
    return f"{name:<18}{row[0]:>11}{row[1]:>9.0f}{row[2]:>7}{row[3]:>8}{row[4]:>8}"


def heading() -> str:
    """Return machine, date and versions."""
    libraries = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Reader fuzzing, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}\n{libraries}\n\n"
        "paths: inputs kept because they reached new branches; faults: distinct undocumented exceptions or messages;\n"
        "deaths: ends of the process (signal, or an input of more than "
        f"{SLOWEST_S} s); slowest s, MiB: of one input.\n"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", help="names of readers; default: all")
    parser.add_argument("--results", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--executions", type=int, default=10_000, help="of each reader")
    parser.add_argument("--seconds", type=int, default=120, help="longest time of each reader")
    parser.add_argument("--print", action="store_true", help="print the table and do nothing else")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--modules", nargs="*", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        limits = arguments.executions, arguments.seconds
        fuzz_one(arguments.inside, arguments.modules, arguments.results, *limits, arguments.work)
        return
    if not arguments.print:
        readers = load_readers().READERS
        for name in arguments.readers or readers:
            fuzz(name, readers[name].modules, arguments.results, arguments.executions, arguments.seconds)
    print(heading())
    print(table(arguments.results))


if __name__ == "__main__":
    main()
