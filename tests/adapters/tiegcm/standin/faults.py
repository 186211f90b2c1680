"""The ways in which the stand-in for TIE-GCM can be made to fail, and the ways in which it stops by itself.

A fault is asked for by the environment variable ``TIEGCM_STANDIN_FAULT`` or by a file ``standin_fault`` in the folder
of the member: a word and, for some, a number. ``once`` before the word removes the file when it is read.

========================  =============================================================================================
``crash [status]``        MODEL SHUTDOWN half-way, with this exit status (0: what no one set)
``killed``                ends itself with a segmentation fault half-way
``hang``                  stops moving half-way
``hang_deaf``             the same, deaf to SIGTERM, with a child of its own in a session of its own
``nan``                   NaN in all fields of the last history, NORMAL EXIT
``unbounded``             a temperature of 1e9 K in the last history, NORMAL EXIT
``unstable step_s``       NaN where STEP is longer than this, NORMAL EXIT
``missing_time``          only the echo of the start is written, NORMAL EXIT
``no_output``             no history at all, NORMAL EXIT
``truncated``             the output is cut in half, NORMAL EXIT
``no_normal_exit``        everything is written, exit status 0, but the last line is absent
``slow seconds``          waits before it begins, then does all it should
========================  =============================================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "TIEGCM_STANDIN_FAULT"
FILE = "standin_fault"
WORDS = (
    "crash",
    "killed",
    "hang",
    "hang_deaf",
    "nan",
    "unbounded",
    "unstable",
    "missing_time",
    "no_output",
    "truncated",
    "no_normal_exit",
    "slow",
)


class ShutdownError(Exception):
    """The model stops by its own decision: MODEL SHUTDOWN."""


class FortranError(Exception):
    """The Fortran library stops the model."""


@dataclass(frozen=True)
class Fault:
    """A fault that was asked for; an empty word is none."""

    word: str = ""
    number: float | None = None


def requested_fault(folder: Path) -> Fault:
    """Return the fault that the environment or the file in ``folder`` asks for."""
    file = folder / FILE
    words = os.environ.get(VARIABLE, "").split()
    if not words and file.exists():
        words = file.read_text(encoding="utf-8").split()
        if words[:1] == ["once"]:
            file.unlink()
            words = words[1:]
    if not words:
        return Fault()
    if words[0] not in WORDS:
        raise ValueError(f"the stand-in has no fault '{words[0]}'; it has {', '.join(WORDS)}")
    return Fault(words[0], float(words[1]) if len(words) > 1 else None)
