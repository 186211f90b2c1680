"""What a complete run tells of itself, read back: ``provenance.json``, looked at before anything relies on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from da.errors import ThermodaError
from da.stored_json import read_json

FILE = "provenance.json"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,199}")
"""Of experiments and satellites: they become parts of the names of files."""

SECTIONS = ("experiment", "analysis", "drivers", "model", "ensemble", "output", "calibration", "data_grid")


def read_provenance(folder: Path, remedy: str) -> dict[str, Any]:
    """Return what is in the provenance of a run; keys that an older run has not are absent.

    Parameters
    ----------
    folder : Path
        Of the run.
    remedy : str
        What the user can do about a damaged file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ThermodaError
        If it cannot be read, or what stands at a key is not what a run writes there.
    """
    path = folder / FILE
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ThermodaError(f"{path} cannot be read as JSON ({reason}); {remedy}") from error
    if not isinstance(content, dict):
        raise ThermodaError(f"{path} must hold a JSON object; {remedy}")
    for key, (fits, expected) in _WRITTEN.items():
        if key in content and not fits(content[key]):
            raise ThermodaError(f"{path}: {key} must be {expected}; {remedy}")
    return content


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= 200


def _is_name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _is_number(value: object) -> bool:
    # A whole number may have more digits than any float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15


def _are_numbers(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_number, value.values()))


def _are_sections(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(value[key], Mapping) for key in SECTIONS if value.get(key) is not None)


_Kind = tuple[Callable[[object], bool], str]
_TEXT: _Kind = (_is_text, "a text of one line")
_NUMBERS: _Kind = (_are_numbers, "numbers by name")

_WRITTEN: dict[str, _Kind] = {
    "complete": (lambda value: isinstance(value, bool), "true or false"),
    "name": (_is_name, "a name that begins with a letter and holds letters, digits, '-' and '_' only"),
    **dict.fromkeys(("start", "stop", "finished", "model", "commit"), _TEXT),
    "satellites": (_are_names, "a list of names"),
    "phase_seconds": _NUMBERS,
    "member_failures": _NUMBERS,
    "open_loop_from": (lambda value: isinstance(value, Mapping) and _is_text(value.get("run", "")), "a run and folder"),
    "configuration": (_are_sections, "the sections of an experiment"),
}
"""Keys that are relied on, and what a run writes there."""
