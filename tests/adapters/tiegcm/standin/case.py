"""What a test needs to start the stand-in for TIE-GCM: an executable and a namelist. Loaded by its path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def write_executable(path: Path, version: str = "2.0", **environment: str) -> Path:
    """Write a shell script that starts the stand-in as a version of the model, and return it."""
    settings = {"TIEGCM_STANDIN_VERSION": version, **environment}
    lines = [f"export {name}='{value}'" for name, value in settings.items()]
    start = f"exec '{sys.executable}' '{Path(__file__).resolve().parent}' \"$@\""
    path.write_text("\n".join(["#!/bin/sh", "# A stand-in for tests, not TIE-GCM.", *lines, start, ""]))
    path.chmod(0o755)
    return path


def namelist_text(
    version: str = "2.0",
    start: tuple[int, int, int] = (81, 0, 0),
    stop: tuple[int, int, int] = (81, 1, 0),
    step_s: int = 60,
    history: tuple[int, int, int] = (0, 1, 0),
    **more: Any,
) -> str:
    """Return a namelist that runs from ``analysis.nc`` to ``forecast.nc``; ``more`` adds keys, None removes one."""
    prefix, end = ("", "") if version == "2.0" else ("PRI", " 0")
    times = {
        f"{prefix}{name}": " ".join(map(str, time)) + end
        for name, time in (("START", start), ("STOP", stop), ("HIST", history))
    }
    entries: dict[str, Any] = {
        "LABEL": "'stand-in'",
        "START_YEAR": 2002,
        "START_DAY": start[0],
        "CALENDAR_ADVANCE": 1,
        "SOURCE": "'analysis.nc'",
        "SOURCE_START": times[f"{prefix}START"],
        **times,
        "STEP": step_s,
        "OUTPUT": "'forecast.nc'",
        "POTENTIAL_MODEL": "'HEELIS'",
        "POWER": "18.",
        "CTPOTEN": "30.",
        "F107": "120.",
        "F107A": "120.",
        "CALC_HELIUM": 1,
        **more,
    }
    body = [f" {name}={value}" for name, value in entries.items() if value is not None]
    return "\n".join(["&tgcm_input", *body, "/", ""])
