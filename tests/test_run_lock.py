"""The lock of a run: one process at a time, named, and taken over from one that runs no more."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from da.errors import ThermodaError
from da.run_lock import LOCK_NAME, Holder, acquired, holder_of, is_held


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_that_a_second_process_is_refused_and_told_who_has_the_lock(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with acquired(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(ThermodaError, match=rf"another run is writing there \(process {os.getpid()} on "):
            acquired(tmp_path)
        assert f"process {os.getpid()} on " in holder_of(tmp_path)
    assert not is_held(tmp_path)


def test_that_the_lock_of_a_dead_process_is_taken_over_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead = _ended_process()
    (tmp_path / LOCK_NAME).write_text(json.dumps({"process": dead, "host": "there", "since": "2010"}), encoding="utf-8")
    acquired(tmp_path).close()
    assert f"the lock of process {dead} on there, since 2010, which runs no more, is taken over" in caplog.text
    assert json.loads((tmp_path / LOCK_NAME).read_text(encoding="utf-8"))["process"] == os.getpid()


def test_that_a_lock_file_of_another_kind_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("nobody", encoding="utf-8")
    assert holder_of(tmp_path) == "a process that is not named"
    acquired(tmp_path).close()
    assert str(os.getpid()) in holder_of(tmp_path)


@pytest.mark.parametrize("where", ["dead here", "alive here", "another host"])
def test_that_without_locks_the_name_in_the_file_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def refused(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    here = Holder.here()
    process = {"dead here": _ended_process(), "alive here": os.getppid(), "another host": 1}[where]
    host = "elsewhere" if where == "another host" else here.host
    (tmp_path / LOCK_NAME).write_text(json.dumps({"process": process, "host": host, "since": "2010"}), encoding="utf-8")
    monkeypatch.setattr("fcntl.flock", refused)
    assert is_held(tmp_path) == (where != "dead here")
    if where == "dead here":
        acquired(tmp_path).close()
    else:
        with pytest.raises(ThermodaError, match=r"if it runs no more, remove .*lock"):
            acquired(tmp_path)
