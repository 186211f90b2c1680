"""How often a run was interrupted: a list beside its unfinished results, which ends in its provenance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from da.atomic_file import replace_text
from da.restart import Restored
from da.storage import INTERRUPTIONS_NAME
from da.stored_json import read_json


def interruptions(folder: Path) -> list[dict[str, Any]]:
    """Return the interruptions of an unfinished run so far; none where they cannot be read."""
    try:
        found = read_json(folder / INTERRUPTIONS_NAME)
    except (OSError, ValueError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def interruption(restored: Restored | None, ranks: int, other_code: Sequence[str]) -> dict[str, Any]:
    """Return what is noted when a run is gone on with.

    Parameters
    ----------
    restored : Restored or None
        The restart point that is used; None: the run begins anew.
    ranks : int
        Of the process that goes on.
    other_code : sequence of str
        How the code differs from that of the restart point.
    """
    return {
        "resumed": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": "the begin: there was no restart point" if restored is None else restored.describe,
        "stopped_by": (restored.stopped_by if restored is not None else "") or "not known",
        "ranks": ranks,
        "damaged_restart_points": list(restored.skipped) if restored is not None else [],
        "code_differences": list(other_code),
    }


def write_interruptions(folder: Path, found: Sequence[dict[str, Any]]) -> None:
    """Write the list; OSError where that fails."""
    replace_text(folder / INTERRUPTIONS_NAME, json.dumps(list(found), indent=2) + "\n")
