"""A file that gets records while others read it, and that no kill can damage.

HDF5 changes a file in several places for every record: one who opens it meanwhile, or a process that is killed
meanwhile, finds half of it. A growing file is therefore kept twice. Records are added to a hidden copy, which takes the
file's name when it is closed again; what had the name until then is the next hidden copy, one record behind. Whoever
opens the file gets a whole one that stays as it is for as long as he keeps it open: a hidden copy that somebody has
open is left to him and replaced by a new one. Of readers on other hosts only the locks of HDF5 are seen; a plain copy
made there must not take longer than a record.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from da.atomic_file import flush_to_disk
from da.restart_file import cannot_be_written


class Closable(Protocol):
    """An open file."""

    def close(self) -> None:
        """Close it, if it is open."""
        ...


Writer = TypeVar("Writer", bound=Closable)

COPY, FORMER = "copy", "former"


def refuse_open_elsewhere(path: Path) -> None:
    """Raise OSError where a file is not there, or anybody of this host has it open, for reading too."""
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        raise
    except OSError as error:
        # Some file systems of networks have no leases: there the locks of HDF5 must do.
        logging.getLogger(__name__).debug("%s: no lease (%s)", path, error)
    finally:
        os.close(handle)


class GrowingFile(Generic[Writer]):
    """A file in two copies, of which the named one is always whole.

    Parameters
    ----------
    path : Path
    create : callable
        ``create(path)`` makes a new file without records and returns it open.
    reopen : callable
        ``reopen(path)`` opens it for more records.
    continued : bool
        Whether the file of an earlier process is gone on with.

    Raises
    ------
    ThermodaError
        If it cannot be written.
    """

    def __init__(
        self, path: Path, create: Callable[[Path], Writer], reopen: Callable[[Path], Writer], continued: bool = False
    ) -> None:
        self.path, self._reopen = path, reopen
        self._copy, self._former = (path.with_name(f".{path.stem}.{kind}{path.suffix}") for kind in (COPY, FORMER))
        self._missing: list[Callable[[Writer], None]] = []
        """Records that the named file has and the hidden copy has not."""
        try:
            if continued:
                self._recover()
            else:
                create(self._copy).close()
                shutil.copyfile(self._copy, self._former)
                self._former.replace(path)
        except (OSError, RuntimeError) as error:
            raise cannot_be_written(path, error) from error

    def append(self, write: Callable[[Writer], None]) -> None:
        """Add a record.

        Parameters
        ----------
        write : callable
            Writes the record to an open file; it is called once for each copy.

        Raises
        ------
        ThermodaError
            If it cannot be written; the named file is then as it was.
        """
        try:
            self._write([*self._missing, write])
            self._exchange()
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                self._copy.unlink()
            raise cannot_be_written(self.path, error) from error
        self._missing = [write]

    def flush(self) -> None:
        """Return when the named file is on the disk; ThermodaError where that fails."""
        try:
            flush_to_disk(self.path)
        except OSError as error:
            raise cannot_be_written(self.path, error) from error

    def close(self) -> None:
        """Remove the hidden copy."""
        for path in (self._copy, self._former):
            path.unlink(missing_ok=True)

    def _write(self, records: list[Callable[[Writer], None]]) -> None:
        try:
            refuse_open_elsewhere(self._copy)
            writer = self._reopen(self._copy)
        except OSError:
            # Somebody reads it, or it is lost: the named file is whole, and has what was missing.
            self._recover()
            writer, records = self._reopen(self._copy), records[-1:]
        try:
            for write in records:
                write(writer)
        except (OSError, RuntimeError):
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()
            raise
        writer.close()

    def _exchange(self) -> None:
        """Let the hidden copy and the named file change places; at every moment the name stands for one of them."""
        self._former.unlink(missing_ok=True)
        try:
            self._former.hardlink_to(self.path)
        except OSError:
            # Without hard links the name is gone for an instant; after a kill just then the former file has it again.
            self.path.replace(self._former)
        self._copy.replace(self.path)
        self._former.replace(self._copy)

    def _recover(self) -> None:
        """Make a new hidden copy, of a new file on disk, from the named one."""
        if not self.path.exists():
            self._former.replace(self.path)
        for path in (self._copy, self._former):
            path.unlink(missing_ok=True)
        shutil.copyfile(self.path, self._copy)
        self._missing = []
