"""Whether the heaps of an HDF5 file can be walked through, looked at before the HDF5 library does so.

In a global heap, where netCDF-4 keeps texts and the links of its dimensions, each object says how long it is, and where
the length of free space is damaged to zero the library stays at that place for ever. Who refers to an object says how
long it is too, and the library asks for that much memory, up to 4 GiB, before it looks. Layout: HDF5 File Format
Specification, version 3.0, sections III.E and IV.B (a reference is a length, the address of a heap, and an index).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from da.errors import ThermodaError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\x01\x00\x00\x00"
_HEADER = 16

LONGEST_SEQUENCE = 16 * 1024**2
"""Items of a text or list in a heap. What is taken for a reference may be other values: that these have the address of
a heap, an index of it, and such a length before them is out of the question."""


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
        objects = _objects(content, begin)
        if objects is None:
            raise ThermodaError(f"{name}: damaged HDF5 file: the heap at byte {begin} has an object of a wrong size")
        if (place := _endless_reference(content, begin, objects)) is not None:
            raise ThermodaError(f"{name}: damaged HDF5 file: what byte {place} refers to is longer than can be")
        begin = content.find(_HEAP, begin + len(_HEAP))


def _objects(content: bytes | mmap.mmap, begin: int) -> set[int] | None:
    """Return the indices of the objects of a heap, None where one of them has a wrong size."""
    if begin + _HEADER > len(content):
        return None
    end = begin + int(struct.unpack_from("<Q", content, begin + 8)[0])
    place, found = begin + _HEADER, set()
    if end > len(content):
        return None
    while place + _HEADER <= end:
        number, _, _, size = struct.unpack_from("<HHIQ", content, place)
        place += _HEADER + size + -size % 8 if number else size
        if not number and size < _HEADER:
            return None
        found.add(number)
    return found - {0} if place <= end else None


def _endless_reference(content: bytes | mmap.mmap, begin: int, objects: set[int]) -> int | None:
    """Return where a reference to an object of a heap is that makes it longer than any, None where there is none."""
    address = struct.pack("<Q", begin)
    place = content.find(address, 4)
    while 0 <= place <= len(content) - 12:
        length, index = struct.unpack_from("<I8xI", content, place - 4)
        if length > LONGEST_SEQUENCE and index in objects:
            return place - 4
        place = content.find(address, place + 1)
    return None
