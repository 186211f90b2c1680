"""The bytes of a product file, be it plain or the one data file inside a zip archive."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from da.errors import ThermodaError
from da.input_file import MEBIBYTE, read_limited

SIZE_LIMIT = 256 * MEBIBYTE
"""Largest number of uncompressed bytes that is read from one file. Products come by the day or month, of 50 MB at
most; a year in one text of 10 s records would have 250 MB."""

ARCHIVE_LIMIT = 64 * MEBIBYTE
"""Largest zip archive [bytes]: its directory, which may fill it, is read as a whole."""

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DATA_SUFFIXES = (".txt", ".ascii", ".asc", ".dat", ".cdf", ".nc", ".nc4")
_COMPANIONS = ("readme", "license", "licence")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class Content:
    """What a product file holds.

    Parameters
    ----------
    data : bytes
        Never empty.
    name : str
        For messages: the file, and the member of the archive where there is one.
    suffix : str
        Of the file that holds the data, in lower case.
    """

    data: bytes
    name: str
    suffix: str


def load_content(path: Path, limit: int = SIZE_LIMIT) -> Content:
    """Read a product file, unpacking the only data file of a zip archive.

    Parameters
    ----------
    path : Path
        A plain file or a zip archive with exactly one data file (text, CDF or netCDF by its suffix); header files
        (``.HDR``), read-me and licence files beside it are passed over.
    limit : int
        Largest number of uncompressed bytes.

    Returns
    -------
    Content

    Raises
    ------
    ThermodaError
        If the file is missing, unreadable, empty or too large, or if the archive is corrupt, encrypted, or holds no
        or several data files.
    """
    try:
        data = read_limited(path, max(limit, ARCHIVE_LIMIT))
    except FileNotFoundError as error:
        raise ThermodaError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ThermodaError(f"{path}: is a folder, expected a density file") from error
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be read ({error.strerror})") from error
    if data.startswith(_ZIP_MAGIC):
        return _unpack(path, data, limit)
    return _checked(data, str(path), path.suffix.lower(), limit)


def _unpack(path: Path, packed: bytes, limit: int) -> Content:
    if len(packed) > ARCHIVE_LIMIT:
        raise ThermodaError(f"{path}: larger than the limit of {ARCHIVE_LIMIT} bytes of an archive")
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            member = _only_data_member(path, archive.infolist())
            if member.file_size > limit:
                raise ThermodaError(
                    f"{path}: member {member.filename} declares {member.file_size} bytes, "
                    f"more than the limit of {limit}"
                )
            if member.flag_bits & 1:
                raise ThermodaError(f"{path}: member {member.filename} is encrypted, expected a plain archive")
            # The other methods unpack all that a member holds, whatever size it declares.
            if member.compress_type not in _COMPRESSIONS:
                raise NotImplementedError(f"method {member.compress_type}, expected stored or deflated members")
            with archive.open(member) as handle:
                data = handle.read(limit + 1)
    except _UNREADABLE as error:
        raise ThermodaError(f"{path}: corrupt or unreadable zip archive ({error})") from error
    return _checked(data, f"{path}, member {member.filename}", Path(member.filename).suffix.lower(), limit)


def _only_data_member(path: Path, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    found = [member for member in members if _is_data(member)]
    if len(found) != 1:
        names = ", ".join(member.filename for member in found or members) or "nothing"
        count = "several data files" if found else "no data file"
        raise ThermodaError(f"{path}: the archive holds {count} ({names}), expected exactly one")
    return found[0]


def _is_data(member: zipfile.ZipInfo) -> bool:
    name = Path(member.filename)
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    companion = name.name.lower().startswith(_COMPANIONS)
    is_folder = member.filename.endswith("/")
    return not is_folder and not hidden and not companion and name.suffix.lower() in _DATA_SUFFIXES


def _checked(data: bytes, name: str, suffix: str, limit: int) -> Content:
    if not data:
        raise ThermodaError(f"{name}: the file is empty")
    if len(data) > limit:
        raise ThermodaError(f"{name}: larger than the limit of {limit} bytes")
    return Content(data=data, name=name, suffix=suffix)
