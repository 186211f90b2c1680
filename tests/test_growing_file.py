"""Growing files: whole at every moment, also for readers that stay, after kills, and on a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from netCDF4 import Dataset

from da.errors import ThermodaError
from da.growing_file import GrowingFile
from da.storage import record_of, write_time

START = np.datetime64("2010-04-05", "ns")
HOUR = np.timedelta64(3600, "s")


class _File:
    """A netCDF file with one value per time."""

    def __init__(self, path: Path, mode: str = "w") -> None:
        self._file = Dataset(path, mode)
        if mode == "w":
            write_time(self._file)
            self._file.createVariable("value", "f8", ("time",))

    @classmethod
    def reopened(cls, path: Path) -> _File:
        return cls(path, "r+")

    def append(self, number: int, value: float) -> None:
        record = record_of(self._file, START + number * HOUR)
        self._file["value"][record] = value
        self._file["time"][record] = ((START + number * HOUR) - np.datetime64(0, "s")) / np.timedelta64(1, "s")

    def close(self) -> None:
        self._file.close()


def _grown(path: Path, continued: bool = False) -> GrowingFile[_File]:
    return GrowingFile(path, _File, _File.reopened, continued)


def _add(file: GrowingFile[_File], number: int, value: float | None = None) -> None:
    file.append(lambda one: one.append(number, float(number if value is None else value)))


def _values(path: Path) -> list[float]:
    with xr.open_dataset(path) as dataset:
        return dataset["value"].to_numpy().tolist()


def test_that_every_record_can_be_read_as_soon_as_it_is_added(tmp_path: Path) -> None:
    file = _grown(tmp_path / "a.nc")
    assert _values(tmp_path / "a.nc") == []
    for number in range(5):
        _add(file, number)
        assert _values(tmp_path / "a.nc") == list(range(number + 1))
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]


def test_that_another_process_reads_the_file_while_it_grows(tmp_path: Path) -> None:
    file = _grown(tmp_path / "a.nc")
    _add(file, 0)
    program = "import sys, xarray; print(xarray.open_dataset(sys.argv[1]).sizes['time'])"
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    command = [sys.executable, "-c", program, str(tmp_path / "a.nc")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "1\n", done.stderr


def test_that_what_a_reader_keeps_open_is_never_changed(tmp_path: Path) -> None:
    file = _grown(tmp_path / "a.nc")
    _add(file, 0)
    with (tmp_path / "a.nc").open("rb") as kept, Dataset(tmp_path / "a.nc") as reader:
        before = kept.read()
        # Of the records that follow, the second one would be written into the file that is read here.
        for number in (1, 2, 3):
            _add(file, number)
            kept.seek(0)
            assert kept.read() == before
        assert reader["value"][:].tolist() == [0.0]
    assert _values(tmp_path / "a.nc") == [0.0, 1.0, 2.0, 3.0]


def test_that_what_is_being_copied_is_never_changed(tmp_path: Path) -> None:
    file = _grown(tmp_path / "a.nc")
    _add(file, 0)
    with (tmp_path / "a.nc").open("rb") as copied:
        first = copied.read(1000)
        for number in (1, 2, 3):
            _add(file, number)
        (tmp_path / "copy.nc").write_bytes(first + copied.read())
    assert _values(tmp_path / "copy.nc") == [0.0]
    assert _values(tmp_path / "a.nc") == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("left", ["copy half written", "copy lost", "between the two renames", "without hard links"])
def test_that_a_file_is_gone_on_with_whatever_a_kill_left(tmp_path: Path, left: str) -> None:
    path, copy, former = (tmp_path / name for name in ("a.nc", ".a.copy.nc", ".a.former.nc"))
    file = _grown(path)
    for number in range(3):
        _add(file, number)
    if left == "copy half written":
        copy.write_bytes(copy.read_bytes()[:100])
    elif left == "copy lost":
        copy.unlink()
    elif left == "between the two renames":
        copy.replace(former)
    else:
        path.replace(former)
    again = _grown(path, continued=True)
    assert _values(path) == [0.0, 1.0, 2.0]
    for number in range(3, 6):
        _add(again, number)
    again.close()
    assert _values(path) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert [one.name for one in tmp_path.iterdir()] == ["a.nc"]


def test_that_records_are_written_anew_from_an_earlier_time_on(tmp_path: Path) -> None:
    file = _grown(tmp_path / "a.nc")
    for number in range(4):
        _add(file, number)
    again = _grown(tmp_path / "a.nc", continued=True)
    _add(again, 2, 20.0)
    assert _values(tmp_path / "a.nc") == [0.0, 1.0, 20.0, 3.0]
    _add(again, 3, 30.0)
    _add(again, 4, 40.0)
    assert _values(tmp_path / "a.nc") == [0.0, 1.0, 20.0, 30.0, 40.0]


def test_that_a_file_system_without_hard_links_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    file = _grown(tmp_path / "a.nc")
    for number in range(3):
        _add(file, number)
        assert _values(tmp_path / "a.nc") == list(range(number + 1))


def test_that_a_record_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = _grown(tmp_path / "a.nc")
    _add(file, 0)

    def half(one: _File) -> None:
        one.append(1, 1.0)
        raise OSError(28, "No space left on device")

    with pytest.raises(ThermodaError, match=r"a\.nc: cannot be written \(No space left on device.*make room"):
        file.append(half)
    assert _values(tmp_path / "a.nc") == [0.0]
    _add(file, 1)
    assert _values(tmp_path / "a.nc") == [0.0, 1.0]


def test_that_copies_taken_while_a_record_is_written_are_whole(tmp_path: Path) -> None:
    file = _grown(tmp_path / "a.nc")
    seen = []

    def spied(one: _File) -> None:
        for step in (lambda: None, lambda: one.append(2, 2.0)):
            step()
            shutil.copyfile(tmp_path / "a.nc", tmp_path / "taken.nc")
            seen.append(_values(tmp_path / "taken.nc"))

    _add(file, 0)
    _add(file, 1)
    file.append(spied)
    assert seen == [[0.0, 1.0], [0.0, 1.0]]
    assert _values(tmp_path / "a.nc") == [0.0, 1.0, 2.0]
