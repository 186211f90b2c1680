"""JSON files of runs, read back without trusting them: a kill, a copy or an editor may have damaged them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from da.input_file import MEBIBYTE, read_limited

SIZE_LIMIT = 16 * MEBIBYTE
"""Largest file [bytes]: what a run tells of itself has some 20 kB, with long lists of members or files a thousand."""

DEEPEST = 40
"""Levels of lists and objects within each other; a run writes less than ten."""


def read_json(path: Path) -> Any:
    """Return what is in a JSON file.

    Raises
    ------
    OSError
        If it cannot be read, is no regular file, or is larger than `SIZE_LIMIT`.
    ValueError
        If it is not JSON, is nested more than `DEEPEST` levels deep, or holds half a character of UTF-16, which could
        not be written again.
    """
    return parse_json(read_limited(path, SIZE_LIMIT).decode("utf-8"))


def parse_json(text: str) -> Any:
    """Return what is in a JSON text; ValueError as for `read_json`."""
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"nested more than {DEEPEST} levels deep") from error
    level = [content]
    for _ in range(DEEPEST):
        for text_ in (one for one in level if isinstance(one, str)):
            text_.encode()
        objects = [one for one in level if isinstance(one, dict)]
        level = [value for one in level if isinstance(one, list) for value in one]
        level += [part for one in objects for part in (*one, *one.values())]
        if not level:
            return content
    raise ValueError(f"nested more than {DEEPEST} levels deep")
