"""Files that appear at once and complete, and are on the disk when they do."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def flush_to_disk(path: Path) -> None:
    """Return when what was written to a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name under which a new file is to be written; it gets its own name when the body ends well.

    The temporary name is hidden and in the same folder. Whatever ends the process, ``path`` is the old file, the new
    one, or none.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
        If the file cannot be written to disk or renamed.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        # What mkstemp makes is the owner's alone; a result is as readable as any other file of its user.
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)
        yield partial
        flush_to_disk(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    flush_to_disk(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Write a small file as :func:`replacing` does."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
