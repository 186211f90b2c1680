"""Configurations of runs, compared key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from da.key_figures import NOT_COMPARED
from da.report.reported_run import ReportedRun

ABSENT = "—"


def configuration_keys(configuration: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a nested configuration by dotted key; an empty section is a value.

    >>> configuration_keys({"ensemble": {"members": 40}, "expect": {}})
    {'ensemble.members': 40, 'expect': {}}
    """
    found: dict[str, Any] = {}
    for name, value in configuration.items():
        key = f"{prefix}{name}"
        found |= configuration_keys(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return found


def differences(configurations: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the values of all configurations by dotted key, where they are not the same in all of them.

    A key that a configuration lacks has the value None there. What says nothing of the numbers of a run, such as its
    folder, is left out.
    """
    items = [configuration_keys(one) for one in configurations]
    keys = dict.fromkeys(key for one in items for key in one)
    left_out = (*NOT_COMPARED, "experiment.name")
    values = {key: tuple(one.get(key) for one in items) for key in keys if not key.startswith(left_out)}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}


def differences_table(runs: Sequence[ReportedRun]) -> Table:
    """Return the table of the keys in which runs differ."""
    found = differences([run.provenance.get("configuration", {}) for run in runs])
    caption = (
        "Resolved configurations; all other keys are the same in all runs." if found else "There is no difference."
    )
    table = Table(title="Keys in which the runs differ", caption=caption, box=box.HORIZONTALS)
    table.add_column("key")
    for run in runs:
        table.add_column(escape(run.label), justify="right")
    for key, values in found.items():
        table.add_row(key, *(_text(value) for value in values))
    return table


def whole_table(run: ReportedRun) -> Table:
    """Return the table of the whole configuration of a run."""
    table = Table(title=escape(f"Resolved configuration of {run.label}"), box=box.HORIZONTALS)
    table.add_column("key")
    table.add_column("value")
    for key, value in configuration_keys(run.provenance.get("configuration", {})).items():
        table.add_row(key, _text(value))
    return table


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    return escape(value if isinstance(value, str) else json.dumps(value))
