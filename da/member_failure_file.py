"""The list of members that failed in a run, as a table that is complete after every line."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from da.atomic_file import replacing
from da.member_failure import MemberEvent

COLUMNS = ("time", "ensemble", "member", "step_divisor", "donor", "plus", "minus", "remedy", "cause")
"""``step_divisor`` is that of the attempt that succeeded, 0 for a member that was replaced: it is now member ``donor``
with a part of the difference of ``plus`` and ``minus``, which are empty for the others."""


class MemberFailureFile:
    """A comma-separated table with a line per failed member.

    Parameters
    ----------
    path : Path
    kept : int or None
        How many lines of the table that is there are kept, at a restart; None: a new one replaces it.
    """

    def __init__(self, path: Path, kept: int | None = None) -> None:
        self._path = path
        rows: list[Sequence[object]] = [COLUMNS]
        if kept is not None:
            with path.open(encoding="utf-8", newline="") as file:
                rows += list(csv.reader(file))[1 : 1 + kept]
        with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    def append(self, events: Sequence[MemberEvent]) -> None:
        """Write events, and return when they are on disk."""
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(_row(event) for event in events)
            file.flush()
            os.fsync(file.fileno())


def _row(event: MemberEvent) -> list[object]:
    made = event.replacement
    others = ["", "", ""] if made is None else [made.donor, made.first, made.second]
    time = np.datetime_as_string(event.time, unit="s")
    return [time, event.ensemble, event.member, event.step_divisor, *others, event.remedy, event.cause]
