"""The folders of the members: ``<work_folder>/<ensemble>/mem0007``, where a member runs and its histories are kept.

A history is kept under the name of its time. It appears there complete or not at all, and is never written to again,
so that two ensembles may share one file on disk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from da.atomic_file import replace_text, replacing
from da.errors import ThermodaError
from da.run_lock import LOCK_NAME, acquired, holder_of
from da.stored_json import read_json

HISTORY_PREFIX = "history_"
UNLABELLED = "members"
"""Folder of an ensemble without a label."""

DESCRIPTION = "made_from.json"
LONGEST_SHOWN = 60


def stamp(time: np.datetime64) -> str:
    """Return a time as it stands in file names.

    >>> stamp(np.datetime64("2002-03-22T01:00", "ns"))
    '20020322T010000'
    """
    return str(np.datetime_as_string(time, unit="s")).replace("-", "").replace(":", "")


@dataclass(frozen=True)
class MemberFolder:
    """One member of one ensemble.

    Parameters
    ----------
    path : Path
    """

    path: Path

    def history(self, time: np.datetime64) -> Path:
        """Return where the history of a time is kept."""
        return self.path / f"{HISTORY_PREFIX}{stamp(time)}.nc"

    def required_history(self, time: np.datetime64) -> Path:
        """Return where the history of a time is; ThermodaError where there is none."""
        path = self.history(time)
        if not path.is_file():
            when = np.datetime_as_string(time, unit="s")
            kept = ", ".join(one.stem.removeprefix(HISTORY_PREFIX) for one in self.histories()) or "none"
            raise ThermodaError(f"{self.path}: has no history of {when} to start from; it holds {kept}")
        return path

    def histories(self) -> list[Path]:
        """Return the histories that are kept, oldest first."""
        return sorted(self.path.glob(f"{HISTORY_PREFIX}*.nc"))

    def make(self) -> None:
        """Create the folder, and remove what an interrupted run left half-written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for partial in self.path.glob(".*.partial"):
                partial.unlink()
        except OSError as error:
            raise ThermodaError(f"{self.path}: cannot be created or written ({error.strerror})") from error

    def remove(self, names: list[str]) -> None:
        """Remove files by name or pattern, if they are there."""
        for name in names:
            for path in self.path.glob(name):
                path.unlink(missing_ok=True)

    def keep_latest(self, count: int, stop: np.datetime64, needed: Sequence[np.datetime64]) -> None:
        """Remove histories before ``stop`` but for the last ones, and but for those of the times that are needed."""
        kept, last = {self.history(time) for time in needed}, self.history(stop)
        older = [path for path in self.histories() if path < last]
        for path in older[:-count]:
            if path not in kept:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all histories."""
        self.remove([f"{HISTORY_PREFIX}*.nc"])


@dataclass(frozen=True)
class MemberFolders:
    """The folders of all members of all ensembles.

    Parameters
    ----------
    root : Path
    """

    root: Path

    def ensemble(self, label: str) -> Path:
        """Return the folder of an ensemble."""
        return self.root / (label or UNLABELLED)

    def member(self, label: str, number: int) -> MemberFolder:
        """Return the folder of a member."""
        return MemberFolder(self.ensemble(label) / f"mem{number:04d}")

    @contextmanager
    def of_one_run(self) -> Iterator[None]:
        """Keep other runs out for a while; ThermodaError where one is at work in these folders."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = acquired(self.root)
        except OSError as error:
            raise ThermodaError(f"{self.root}: cannot be created or written ({error.strerror})") from error
        except ThermodaError as error:
            raise ThermodaError(
                f"model.settings.work_folder: another run is at work in {self.root} ({holder_of(self.root)}); wait for "
                f"it or choose another folder; if it runs no more, remove {self.root / LOCK_NAME}"
            ) from error
        with lock:
            try:
                yield
            finally:
                # Who finds a name there takes it for that of a process which was killed.
                lock.truncate(0)

    def discard(self, label: str) -> None:
        """Remove the folder of an ensemble."""
        shutil.rmtree(self.ensemble(label), ignore_errors=True)

    def claim(self, label: str, description: Mapping[str, Any]) -> None:
        """Note what an ensemble is made from; ThermodaError where its folder was made from something else."""
        folder = self.ensemble(label)
        path, content = folder / DESCRIPTION, json.loads(json.dumps(description, default=str))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                replace_text(path, json.dumps(content, indent=2) + "\n")
                return
            before = read_json(path)
        except OSError as error:
            raise ThermodaError(f"{folder}: cannot be created or written ({error.strerror})") from error
        except ValueError as error:
            raise ThermodaError(f"{path}: cannot be read; remove {folder} to begin anew") from error
        if not isinstance(before, dict):
            raise ThermodaError(f"{path}: must hold a JSON object; remove {folder} to begin anew")
        differing = [key for key in content if before.get(key) != content[key]]
        if differing:
            key = differing[0]
            was, now = (_shown(one) for one in (before.get(key), content[key]))
            raise ThermodaError(
                f"{folder}: was made with another {key} ({was}, now {now}); "
                "remove that folder or choose another model.settings.work_folder"
            )


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def copied(source: Path, destination: Path) -> None:
    """Copy a file so that it appears at once and complete; ThermodaError where that fails."""
    try:
        with replacing(destination) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        raise ThermodaError(f"{destination}: cannot be copied from {source} ({error.strerror})") from error


def shared(source: Path, destination: Path) -> None:
    """Give a history a second name, on disk once where the file system can; else copy it."""
    destination.unlink(missing_ok=True)
    try:
        destination.hardlink_to(source)
    except OSError:
        copied(source, destination)
