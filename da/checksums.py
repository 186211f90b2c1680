"""Checksums of files, by which an input is known again."""

from __future__ import annotations

import hashlib
from pathlib import Path

HASHED_BYTES = 2**22


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal; OSError where it cannot be read."""
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256", _bufsize=HASHED_BYTES).hexdigest()
