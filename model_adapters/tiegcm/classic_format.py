"""Whether a file in the classic netCDF format is as long as its own header says.

The netCDF library reads zeros where a classic file ends too early, without a word: a history cut short by a full disk
or a killed job would give an atmosphere of 0 K. The header says where each variable begins and how long it is (NetCDF
Classic Format Specification, https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from da.errors import ThermodaError

TYPE_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value by the number of its type."""

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


class _Header:
    """The header of a classic file, read from its beginning."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
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
        content = self._stream.read(size)
        if len(content) != size:
            raise EOFError
        return content

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
            self._number(4)
            size, begin = self._count(), self._number(self._offset_size)
            per_record = bool(dimensions) and self.lengths[dimensions[0]] == 0
            places.append(_Place(begin, size, per_record))
        return places

    def end(self) -> int:
        """Return the offset of the first byte after all variables."""
        stride = sum(place.size for place in self.places if place.per_record)
        earlier = max((self.records or 0) - 1, 0) * stride
        present = [place for place in self.places if self.records or not place.per_record]
        return max((place.begin + place.size + earlier * place.per_record for place in present), default=0)


def check_complete(path: Path) -> None:
    """Raise ThermodaError where a classic netCDF file ends before its last variable does."""
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            end = _Header(stream).end()
    except EOFError as error:
        raise ThermodaError(f"{path}: is cut short within its header, after {size} bytes") from error
    if size < end - PADDING:
        raise ThermodaError(f"{path}: is cut short: it has {size} bytes and must have {end}")
