"""When, where and with what a benchmark ran: the lines at the head of a printed table."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from da.provenance import source_commit, versions


def circumstances() -> str:
    """Return date, machine, commit and versions, a line each."""
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n"
        f"machine   {_processor()}, {os.cpu_count()} cores, {platform.system()}\n"
        f"commit    {source_commit()}\n"
        f"versions  {used}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
