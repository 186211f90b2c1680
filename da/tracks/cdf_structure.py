"""Whether a file in the Common Data Format keeps its own promises, looked at before the CDF library reads it.

The library follows every offset and believes every count and size: a few wrong bytes make it go round in circles, or
ask for more memory than there is. Here each record is visited once, must lie within the file, and may announce no more
than the file can hold or a track can need.

Layout: CDF Internal Format Description, version 3.9 (NASA/GSFC); numbers are big-endian, offsets are from the begin of
the file. Only files of version 3 in one piece are taken, as all density products are.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\xcd\xf3\x00\x01"
PLAIN, COMPRESSED = b"\x00\x00\xff\xff", b"\xcc\xcc\x00\x01"

MOST_RECORDS = 4_000_000
"""Of a variable: a year has 3.2 million records of 10 s."""

LARGEST_VARIABLE = 256 * 1024**2
"""Bytes of a variable's values."""

MOST_DIMENSIONS = 10
"""As many as the CDF library of its authors allows."""

_CDR, _GDR, _RVDR, _ADR, _AGR_EDR, _VXR, _VVR, _ZVDR, _AZ_EDR, _CCR, _CPR, _CVVR = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13
_GZIP = 5
_GZIP_WINDOW = 31
_COMPRESSED_FLAG = 4
_SIZES = {1: 1, 2: 2, 4: 4, 8: 8, 11: 1, 12: 2, 14: 4, 21: 4, 22: 8, 31: 8, 32: 16, 33: 8, 41: 1, 44: 4, 45: 8}
_TEXTS = (51, 52)


@dataclass(frozen=True)
class _Record:
    """An internal record: its bytes, size and type included."""

    data: memoryview
    kind: int

    def number(self, at: int) -> int:
        """Return a count of four bytes, which must not be negative."""
        value = self.signed(at)
        if value < 0:
            raise ValueError(f"a count of {value}")
        return value

    def signed(self, at: int) -> int:
        return int(struct.unpack_from(">i", self.data, at)[0])

    def offset(self, at: int) -> int:
        return int(struct.unpack_from(">q", self.data, at)[0])


def checked_cdf(data: bytes, limit: int) -> bytes:
    """Return a file as plain CDF, unpacked where it is compressed as a whole, after checking its structure.

    Parameters
    ----------
    data : bytes
        The file.
    limit : int
        Largest size of the unpacked file.

    Raises
    ------
    ValueError
        If the file is of another version, damaged, or promises more than there is or is needed.
    """
    if data[:4] != MAGIC or data[4:8] not in (PLAIN, COMPRESSED):
        raise ValueError("expected CDF of version 3 in one file")
    if data[4:8] == COMPRESSED:
        data = _unpacked(data, limit)
    try:
        _Walk(data).check()
    except struct.error as error:
        raise ValueError("a record ends too early") from error
    return data


def _unpacked(data: bytes, limit: int) -> bytes:
    walk = _Walk(data)
    whole = walk.record(8, _CCR)
    if walk.record(whole.offset(12), _CPR).number(12) != _GZIP:
        raise ValueError("compressed by another method than gzip")
    return MAGIC + PLAIN + _inflated(whole.data[32:], limit)


def _inflated(packed: memoryview, limit: int) -> bytes:
    """Return what gzip packed, of which no more than a limit is unpacked."""
    unpacking = zlib.decompressobj(_GZIP_WINDOW)
    content = unpacking.decompress(packed, limit + 1)
    if len(content) > limit:
        raise ValueError(f"unpacks to more than {limit} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("a compressed part is cut short or followed by something else")
    return content


class _Walk:
    """A visit of every record that the library would read, each once."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._seen: set[int] = set()

    def record(self, offset: int, *kinds: int) -> _Record:
        if not 8 <= offset <= len(self._data) - 12:
            raise ValueError(f"the offset {offset} lies outside the file")
        if offset in self._seen:
            raise ValueError(f"the record at {offset} is referred to twice")
        self._seen.add(offset)
        size, kind = struct.unpack_from(">qi", self._data, offset)
        if kind not in kinds:
            raise ValueError(f"the record at {offset} is of type {kind}, expected {' or '.join(map(str, kinds))}")
        if not 12 <= size <= len(self._data) - offset:
            raise ValueError(f"the record at {offset} claims {size} bytes")
        return _Record(self._data[offset : offset + size], kind)

    def check(self) -> None:
        first = self.record(8, _CDR)
        info = self.record(8 + len(first.data), _GDR)
        dimensions = info.number(56)
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"variables of {dimensions} dimensions")
        sizes = [info.number(84 + 4 * place) for place in range(dimensions)]
        for variable in self._chain(info.offset(12), info.number(44), _RVDR):
            varies = [variable.signed(340 + 4 * place) for place in range(dimensions)]
            self._check_variable(variable, [size for size, one in zip(sizes, varies, strict=True) if one])
        for variable in self._chain(info.offset(20), info.number(60), _ZVDR):
            self._check_variable(variable, self._own_sizes(variable))
        for attribute in self._chain(info.offset(28), info.number(48), _ADR):
            attribute.data[323]
            for at, count, kind in ((20, 36, _AGR_EDR), (48, 56, _AZ_EDR)):
                for entry in self._chain(attribute.offset(at), attribute.number(count), kind):
                    _check_size(entry, entry.number(24), entry.number(32), 56)

    def _chain(self, offset: int, count: int, kind: int) -> Iterator[_Record]:
        """Walk through records that each name the next one; the library believes their count."""
        for _ in range(count):
            record = self.record(offset, kind)
            yield record
            offset = record.offset(12)

    def _own_sizes(self, variable: _Record) -> list[int]:
        dimensions = variable.number(340)
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"a variable of {dimensions} dimensions")
        varies = [variable.signed(344 + 4 * (dimensions + place)) for place in range(dimensions)]
        return [variable.number(344 + 4 * place) for place in range(dimensions) if varies[place]]

    def _check_variable(self, variable: _Record, sizes: list[int]) -> None:
        records, elements = variable.signed(24) + 1, variable.number(64)
        value = _size(variable.number(20), elements)
        for size in sizes:
            value *= size
        if records > MOST_RECORDS or max(records, 1) * value > LARGEST_VARIABLE:
            raise ValueError(f"a variable of {records} records of {value} bytes")
        if variable.number(48):
            raise ValueError("sparse records are not read")
        if variable.signed(44) & _COMPRESSED_FLAG:
            self.record(variable.offset(72), _CPR).number(24)
        if records > 0:
            held = sum(self._blocks(variable.offset(28), value))
            if held < records:
                raise ValueError(f"a variable of {records} records has {held}")

    def _blocks(self, offset: int, value: int) -> Iterator[int]:
        """Walk through the index of a variable's values; yield how many records each block holds."""
        pending = [offset]
        while pending:
            index = self.record(pending.pop(), _VXR)
            room, used = index.number(20), index.number(24)
            if used > room:
                raise ValueError(f"an index with {used} of {room} entries")
            for entry in range(used):
                first, last = index.number(28 + 4 * entry), index.number(28 + 4 * (room + entry))
                target = index.offset(28 + 8 * room + 8 * entry)
                block = self.record(target, _VXR, _VVR, _CVVR)
                if block.kind == _VXR:
                    self._seen.discard(target)
                    pending.append(target)
                else:
                    yield _records_held(block, first, last, value)
            if following := index.offset(12):
                pending.append(following)


def _records_held(block: _Record, first: int, last: int, value: int) -> int:
    count = last - first + 1
    if not 0 < count <= MOST_RECORDS:
        raise ValueError(f"a block of the records {first} to {last}")
    if block.kind == _CVVR:
        packed = block.offset(16)
        if not 0 <= packed <= len(block.data) - 24:
            raise ValueError(f"a block of {packed} compressed bytes")
        size = len(_inflated(block.data[24 : 24 + packed], LARGEST_VARIABLE))
    else:
        size = len(block.data) - 12
    if size < count * value:
        raise ValueError(f"a block of {size} bytes for {count} records of {value} bytes")
    return count


def _size(kind: int, elements: int) -> int:
    """Return the bytes of one value."""
    if kind in _TEXTS:
        return elements
    if kind not in _SIZES:
        raise ValueError(f"data type {kind}")
    return _SIZES[kind] * elements


def _check_size(record: _Record, kind: int, elements: int, header: int) -> None:
    if _size(kind, elements) > len(record.data) - header:
        raise ValueError(f"an attribute of {elements} elements in {len(record.data)} bytes")
