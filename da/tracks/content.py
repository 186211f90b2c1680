"""The bytes of a product file, be it plain or the one data file inside a zip archive."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from da.errors import ThermodaError

SIZE_LIMIT = 2 * 1024**3
"""Largest number of uncompressed bytes that is read from one file: 2 GiB."""

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_DATA_SUFFIXES = (".txt", ".ascii", ".asc", ".dat", ".cdf", ".nc", ".nc4")
_COMPANIONS = ("readme", "license", "licence")


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
        with path.open("rb") as handle:
            is_archive = handle.read(4) in _ZIP_MAGIC
            handle.seek(0)
            data = b"" if is_archive else handle.read(limit + 1)
    except FileNotFoundError as error:
        raise ThermodaError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ThermodaError(f"{path}: is a folder, expected a density file") from error
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be read ({error.strerror})") from error
    if is_archive:
        return _unpack(path, limit)
    return _checked(data, str(path), path.suffix.lower(), limit)


def _unpack(path: Path, limit: int) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_data_member(path, archive.infolist())
            if member.file_size > limit:
                raise ThermodaError(
                    f"{path}: member {member.filename} declares {member.file_size} bytes, "
                    f"more than the limit of {limit}"
                )
            if member.flag_bits & 1:
                raise ThermodaError(f"{path}: member {member.filename} is encrypted, expected a plain archive")
            with archive.open(member) as handle:
                data = handle.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
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
    return not member.is_dir() and not hidden and not companion and name.suffix.lower() in _DATA_SUFFIXES


def _checked(data: bytes, name: str, suffix: str, limit: int) -> Content:
    if not data:
        raise ThermodaError(f"{name}: the file is empty")
    if len(data) > limit:
        raise ThermodaError(f"{name}: larger than the limit of {limit} bytes")
    return Content(data=data, name=name, suffix=suffix)
