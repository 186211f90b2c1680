"""The files of a restart point: arrays with a checksum, and an index that names them all.

A restart point is a folder. It is written under a hidden name, flushed to disk, and renamed: it is there completely or
not at all. Its ``index.json`` holds the SHA-256 of every other file and, beside its content, its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from da.atomic_file import flush_to_disk
from da.checksums import file_checksum
from da.errors import ThermodaError
from da.stored_json import read_json

INDEX = "index.json"
WRITING, RETIRED = ".writing", ".retired"
"""Names in the folder of restart points that are not one."""


class DamagedRestartError(ThermodaError):
    """A restart point that is not as it was written: an older one may serve."""


class _Hashing:
    """What is written to a file and into its checksum."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._hash = stream, hashlib.sha256()

    def write(self, content: bytes | memoryview) -> None:
        self._hash.update(content)
        self._stream.write(content)

    def write_array(self, values: NDArray[Any]) -> None:
        """Write an array as numpy's own format has it, without copying it."""
        whole, header = np.ascontiguousarray(values), io.BytesIO()
        description = np.lib.format.header_data_from_array_1_0(whole)
        np.lib.format.write_array_header_2_0(header, description)
        self.write(header.getvalue())
        self.write(whole.view(np.uint8).reshape(-1).data if whole.size else b"")

    @property
    def checksum(self) -> str:
        return self._hash.hexdigest()


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write arrays by name, and return the file's SHA-256 when it is on the disk.

    The file is an array of the names, then the arrays in their order, each as in a ``.npy`` file.

    Raises
    ------
    ThermodaError
        If the file cannot be written.
    """
    try:
        with path.open("wb") as stream:
            hashing = _Hashing(stream)
            hashing.write_array(np.array(list(arrays), dtype=np.str_))
            for values in arrays.values():
                hashing.write_array(values)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise cannot_be_written(path, error) from error
    return hashing.checksum


def read_arrays(path: Path, checksum: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name.

    Raises
    ------
    DamagedRestartError
        If it is not there, not readable, or has another checksum.
    """
    try:
        if not path.is_file():
            raise DamagedRestartError(f"{path}: cannot be read (there is no such file)")
        found = file_checksum(path)
        if found != checksum:
            raise DamagedRestartError(f"{path}: is damaged: its SHA-256 is {found[:12]}..., not {checksum[:12]}...")
        with path.open("rb") as stream:
            names = np.lib.format.read_array(stream, allow_pickle=False)
            return {str(name): np.lib.format.read_array(stream, allow_pickle=False) for name in names}
    except (OSError, ValueError) as error:
        raise DamagedRestartError(f"{path}: cannot be read ({error})") from error


def write_index(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the index of a restart point, when all its other files are on the disk.

    Raises
    ------
    ThermodaError
        If it cannot be written.
    """
    path, text = folder / INDEX, _canonical(content)
    try:
        with path.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps({"sha256": _text_checksum(text), "content": content}, indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        flush_to_disk(folder)
    except OSError as error:
        raise cannot_be_written(path, error) from error


def read_index(folder: Path) -> dict[str, Any]:
    """Return the index of a restart point.

    Raises
    ------
    DamagedRestartError
        If there is none, or it is not as it was written.
    """
    path = folder / INDEX
    try:
        whole = read_json(path)
        content, checksum = whole["content"], whole["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedRestartError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict) or _text_checksum(_canonical(content)) != checksum:
        raise DamagedRestartError(f"{path}: is damaged: its content does not have the checksum that it names")
    return content


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _text_checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class RestartFolder:
    """The restart points of one run.

    Parameters
    ----------
    path : Path
    """

    path: Path

    @property
    def writing(self) -> Path:
        """Where a point is written before it has its name."""
        return self.path / WRITING

    def points(self) -> list[Path]:
        """Return the folders of the points, oldest first; none where there is no such folder."""
        if not self.path.is_dir():
            return []
        return sorted(one for one in self.path.iterdir() if one.is_dir() and not one.name.startswith("."))

    def begin(self) -> None:
        """Make an empty folder to write into; ThermodaError where that fails."""
        try:
            self.path.mkdir(exist_ok=True)
            shutil.rmtree(self.writing, ignore_errors=True)
            self.writing.mkdir()
        except OSError as error:
            raise cannot_be_written(self.writing, error) from error

    def give_up(self) -> None:
        """Remove what was written of a point that cannot be completed."""
        shutil.rmtree(self.writing, ignore_errors=True)

    def commit(self, name: str, keep: int) -> None:
        """Give what was written its name, and remove all but the last points.

        Parameters
        ----------
        name : str
            Later points have names that sort after it. One of the same name is replaced.
        keep : int
            How many are kept, this one included.

        Raises
        ------
        ThermodaError
            If that fails.
        """
        final, retired = self.path / name, self.path / RETIRED
        try:
            shutil.rmtree(retired, ignore_errors=True)
            if final.exists():
                final.replace(retired)
            self.writing.replace(final)
            flush_to_disk(self.path)
        except OSError as error:
            raise cannot_be_written(final, error) from error
        shutil.rmtree(retired, ignore_errors=True)
        for old in self.points()[:-keep]:
            shutil.rmtree(old, ignore_errors=True)


def cannot_be_written(path: Path, error: OSError | RuntimeError) -> ThermodaError:
    """Return the error of a file that cannot be written: its name, the reason, what is free, and what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    try:
        free = f"; {shutil.disk_usage(path.parent).free / 2**20:.1f} MiB are free there"
    except OSError:
        free = ""
    return ThermodaError(f"{path}: cannot be written ({reason}{free}): make room, then go on with python -m da resume")
