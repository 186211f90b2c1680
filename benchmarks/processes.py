"""Processes below a launcher, for benchmarks that watch or kill them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def descendants(process: int) -> list[int]:
    """Return the numbers of the processes below one."""
    parent: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent[int(path.parent.name)] = int(
                path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
            )
    found = [process]
    for one in found:
        found += [child for child, own in parent.items() if own == one]
    return found[1:]


def ranks_of(process: int) -> list[int]:
    """Return the numbers of the Python processes below a launcher."""
    found = []
    for one in descendants(process):
        with suppress(OSError):
            if b"python" in Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")[0]:
                found.append(one)
    return found
