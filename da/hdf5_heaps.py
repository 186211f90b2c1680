"""Whether the heaps of an HDF5 file can be walked through, looked at before the HDF5 library does so.

In a global heap, where netCDF-4 keeps the links of its dimensions, each object says how long it is, and where the
length of free space is damaged to zero the library stays at that place for ever. Layout: HDF5 File Format
Specification, version 3.0, section III.E.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from da.errors import ThermodaError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\x01\x00\x00\x00"
_HEADER = 16


def check_heaps(path: Path) -> None:
    """Raise ThermodaError where a global heap of an HDF5 file is damaged; other files are passed over."""
    with path.open("rb") as stream:
        if stream.read(len(SIGNATURE)) == SIGNATURE:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _check(content, str(path))


def check_heaps_of_content(content: bytes, name: str) -> None:
    """Do what `check_heaps` does for a file in memory; ``name`` is that of the file, for the message."""
    if content.startswith(SIGNATURE):
        _check(content, name)


def _check(content: bytes | mmap.mmap, name: str) -> None:
    begin = content.find(_HEAP)
    while begin >= 0:
        if not _is_whole(content, begin):
            raise ThermodaError(f"{name}: damaged HDF5 file: the heap at byte {begin} has an object of a wrong size")
        begin = content.find(_HEAP, begin + len(_HEAP))


def _is_whole(content: bytes | mmap.mmap, begin: int) -> bool:
    if begin + _HEADER > len(content):
        return False
    end = begin + int(struct.unpack_from("<Q", content, begin + 8)[0])
    place = begin + _HEADER
    if end > len(content):
        return False
    while place + _HEADER <= end:
        number, _, _, size = struct.unpack_from("<HHIQ", content, place)
        place += _HEADER + size + -size % 8 if number else size
        if not number and size < _HEADER:
            return False
    return place <= end
