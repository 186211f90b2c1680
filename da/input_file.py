"""The bytes of an input file, without trusting it: its kind and its size are looked at before its content."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

MEBIBYTE = 1024**2

TEXT_LIMIT = 64 * MEBIBYTE
"""Largest text of drivers or orbits [bytes]. The longest that is in use, a year of minutes of solar wind, has 55 MB; a
text takes up to twenty times its size as separate lines, so that this bounds the memory."""

LINE_LIMIT = 4_000_000
"""Most lines of a text: a year has 3.2 million records of 10 s."""

_LINE_ENDS = tuple(bytes([one]) for one in b"\n\r\v\f\x1c\x1d\x1e")


def read_limited(path: Path, limit: int) -> bytes:
    """Return what is in a file, of which no more than a limit is ever read.

    Parameters
    ----------
    path : Path
    limit : int
        Largest number of bytes.

    Raises
    ------
    OSError
        If the file cannot be read, is larger, or is no regular file: a pipe would be waited for, and a device may have
        no end. ``strerror`` says which.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except ValueError as error:
        raise OSError(errno.EINVAL, "no file can have this name") from error
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than the limit of {limit} bytes")
    return content


def read_ascii_lines(path: Path, limit: int = TEXT_LIMIT) -> list[str]:
    """Return the lines of an ASCII text, without their ends.

    Raises
    ------
    OSError
        As `read_limited`, and if there are more than `LINE_LIMIT` lines.
    UnicodeDecodeError
        If a byte is not ASCII.
    """
    content = read_limited(path, limit)
    if too_many_lines(content):
        raise OSError(errno.EFBIG, f"more than {LINE_LIMIT} lines")
    return content.decode("ascii").splitlines()


def too_many_lines(content: bytes) -> bool:
    """Return whether a text has more than `LINE_LIMIT` lines, by any of the characters that end one."""
    return sum(map(content.count, _LINE_ENDS)) > LINE_LIMIT


def is_there(path: Path) -> bool:
    """Return whether a path is that of a regular file, False also for a name that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False
