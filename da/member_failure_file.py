"""The list of members that failed in a run, as a table that is complete after every line."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from da.atomic_file import replacing
from da.errors import ThermodaError
from da.input_file import is_there
from da.member_remedies import Draw, MemberEvent, Replacement, ShorterStep

COLUMNS = ("time", "ensemble", "member", "outcome", "step_divisor", "donor", "plus", "minus", "remedy", "cause")
"""``outcome`` is one of :data:`da.member_remedies.KINDS`; ``step_divisor`` that of the attempt that succeeded, else 0.
A replaced member is now member ``donor`` with a part of the difference of ``plus`` and ``minus``; a drawn one has what
is neither state nor input from ``donor``. They are empty for the others."""


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
            rows += _first_rows(path, kept)
        with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    def append(self, events: Sequence[MemberEvent]) -> None:
        """Write events, and return when they are on disk."""
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(_row(event) for event in events)
            file.flush()
            os.fsync(file.fileno())


def _first_rows(path: Path, count: int) -> list[Sequence[object]]:
    try:
        if not is_there(path):
            raise FileNotFoundError(0, "there is no such file")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(islice(csv.reader(file), 1, 1 + count))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ThermodaError(f"{path}: cannot be gone on with ({why}); begin anew with run --overwrite") from error
    if len(rows) < count:
        raise ThermodaError(
            f"{path}: has {len(rows)} lines, the restart point was written after {count}; begin anew with run "
            "--overwrite"
        )
    return list(rows)


def _row(event: MemberEvent) -> list[object]:
    made = event.outcome
    others: list[object] = ["", "", ""]
    if isinstance(made, Replacement):
        others = [made.donor, made.first, made.second]
    elif isinstance(made, Draw):
        others = [made.donor, "", ""]
    divisor = made.divisor if isinstance(made, ShorterStep) else 0
    time = np.datetime_as_string(event.time, unit="s")
    return [time, event.ensemble, event.member, made.kind, divisor, *others, made.words, event.cause]
