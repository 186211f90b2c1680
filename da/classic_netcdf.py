"""Whether a file in the classic netCDF format is as long as its own header says.

The netCDF library reads zeros where a classic file ends too early, without a word: a history cut short by a full disk
or a killed job would give an atmosphere of 0 K. The header says where each variable begins and how long it is (NetCDF
Classic Format Specification, https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html).
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from da.errors import ThermodaError

SIGNATURE = b"CDF"

TYPE_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value by the number of its type."""

HEADER_LIMIT = 16 * 1024**2
"""Bytes of a header; that of a primary history has some 50 kB."""

STREAMING = {4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}
"""Number of records that means: as many as the file has room for."""

PADDING = 3
"""At most this many bytes fill up a variable to a multiple of four; at the end of a file they may be left out."""


@dataclass(frozen=True)
class _Place:
    """Where a variable lies: ``size`` bytes from ``begin``, per record where ``per_record``."""

    begin: int
    size: int
    per_record: bool

    @property
    def padded(self) -> int:
        return self.size + -self.size % 4


class _Header:
    """The header of a classic file, read from its beginning."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left = stream, min(size, HEADER_LIMIT)
        magic = self._bytes(4)
        if magic[:3] != b"CDF" or magic[3] not in (1, 2, 5):
            raise EOFError
        self._count_size = 8 if magic[3] == 5 else 4
        self._offset_size = 4 if magic[3] == 1 else 8
        count = self._count()
        self.records = None if count == STREAMING[self._count_size] else count
        self.lengths = self._dimensions()
        self._skip_attributes()
        self.places = self._variables()

    def _bytes(self, size: int) -> bytes:
        if size > self._left:
            raise EOFError
        self._left -= size
        return self._stream.read(size)

    def _number(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), "big")

    def _count(self) -> int:
        return self._number(self._count_size)

    def _padded(self, size: int) -> None:
        self._bytes(size + -size % 4)

    def _list_length(self) -> int:
        self._number(4)
        return self._count()

    def _dimensions(self) -> list[int]:
        lengths = []
        for _ in range(self._list_length()):
            self._padded(self._count())
            lengths.append(self._count())
        return lengths

    def _skip_attributes(self) -> None:
        for _ in range(self._list_length()):
            self._padded(self._count())
            size = TYPE_SIZE.get(self._number(4), 0)
            self._padded(size * self._count())

    def _variables(self) -> list[_Place]:
        places = []
        for _ in range(self._list_length()):
            self._padded(self._count())
            dimensions = [self._count() for _ in range(self._count())]
            self._skip_attributes()
            size = TYPE_SIZE.get(self._number(4), 0)
            # The size that the header states is not used by the library either: it has no room for large variables.
            self._count()
            begin = self._number(self._offset_size)
            if not all(number < len(self.lengths) for number in dimensions):
                raise EOFError
            lengths = [self.lengths[number] for number in dimensions]
            per_record = bool(lengths) and lengths[0] == 0
            places.append(_Place(begin, size * math.prod(lengths[per_record:]), per_record))
        return places

    def end(self) -> int:
        """Return the offset of the first byte after all variables."""
        in_records = [place for place in self.places if place.per_record]
        # The records of a single variable are not filled up.
        stride = in_records[0].size if len(in_records) == 1 else sum(place.padded for place in in_records)
        earlier = max((self.records or 0) - 1, 0) * stride
        present = [place for place in self.places if self.records or not place.per_record]
        return max((place.begin + place.padded + earlier * place.per_record for place in present), default=0)


def check_complete(path: Path) -> None:
    """Raise ThermodaError where a file in the classic format is not as long as its header says; others are passed over.

    To be called before the netCDF library opens a file: it believes a damaged header, and may ask for any memory.
    """
    with path.open("rb") as stream:
        if stream.read(len(SIGNATURE)) == SIGNATURE:
            stream.seek(0)
            _check(stream, path.stat().st_size, str(path))


def check_complete_content(content: bytes, name: str) -> None:
    """Do what `check_complete` does for a file in memory; ``name`` is that of the file, for the message."""
    if content.startswith(SIGNATURE):
        _check(io.BytesIO(content), len(content), name)


def _check(stream: BinaryIO, size: int, name: str) -> None:
    try:
        end = _Header(stream, size).end()
    except EOFError as error:
        raise ThermodaError(f"{name}: is damaged or cut short within its header; it has {size} bytes") from error
    if size < end - PADDING:
        raise ThermodaError(f"{name}: is cut short: it has {size} bytes and must have {end}")
