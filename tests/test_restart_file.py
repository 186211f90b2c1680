"""Files of restart points: exact round trip, damage of every kind noticed, and commits that are whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from da.errors import ThermodaError
from da.restart_file import (
    INDEX,
    DamagedRestartError,
    RestartFolder,
    read_arrays,
    read_index,
    write_arrays,
    write_index,
)

ARRAYS = {
    "states": np.random.default_rng(1).normal(size=(50, 3)),
    "turned": np.arange(12.0).reshape(3, 4).T,
    "empty": np.zeros((0, 4)),
    "numbers": np.arange(5),
    "name with blanks, and é": np.array([np.nan, -0.0, np.inf]),
}


def test_that_arrays_come_back_bit_for_bit(tmp_path: Path) -> None:
    found = read_arrays(tmp_path / "a", write_arrays(tmp_path / "a", ARRAYS))
    assert list(found) == list(ARRAYS)
    for name, values in ARRAYS.items():
        assert found[name].dtype == values.dtype
        assert found[name].shape == values.shape
        assert found[name].tobytes() == values.tobytes()


@pytest.mark.parametrize("place", [0, 7, 300, -1])
def test_that_a_single_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    checksum = write_arrays(tmp_path / "a", ARRAYS)
    content = bytearray((tmp_path / "a").read_bytes())
    content[place] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DamagedRestartError, match="is damaged"):
        read_arrays(tmp_path / "a", checksum)


def test_that_a_file_cut_short_or_lost_is_noticed(tmp_path: Path) -> None:
    checksum = write_arrays(tmp_path / "a", ARRAYS)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1])
    with pytest.raises(DamagedRestartError, match="is damaged"):
        read_arrays(tmp_path / "a", checksum)
    (tmp_path / "a").unlink()
    with pytest.raises(DamagedRestartError, match="cannot be read"):
        read_arrays(tmp_path / "a", checksum)


def _without_its_end(text: str) -> str:
    return text[:-20]


def _with_another_value(text: str) -> str:
    return text.replace("12", "13")


@pytest.mark.parametrize("change", [_without_its_end, _with_another_value, lambda text: "[]", lambda text: ""])
def test_that_an_index_that_was_changed_is_noticed(tmp_path: Path, change: Callable[[str], str]) -> None:
    write_index(tmp_path, {"members": 12, "ratio": 0.1})
    assert read_index(tmp_path) == {"members": 12, "ratio": 0.1}
    path = tmp_path / INDEX
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DamagedRestartError, match=INDEX):
        read_index(tmp_path)


def _commit(folder: RestartFolder, name: str, keep: int = 2) -> None:
    folder.begin()
    write_index(folder.writing, {"name": name})
    folder.commit(name, keep)


def test_that_the_last_points_are_kept_and_sorted(tmp_path: Path) -> None:
    folder = RestartFolder(tmp_path / "restart")
    assert folder.points() == []
    for name in ("20100405T000000_1_forecast", "20100405T000000_2_analysis", "20100405T010000_2_analysis"):
        _commit(folder, name)
    assert [point.name for point in folder.points()] == ["20100405T000000_2_analysis", "20100405T010000_2_analysis"]


def test_that_a_point_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    folder = RestartFolder(tmp_path / "restart")
    _commit(folder, "2010")
    (folder.points()[0] / "old").touch()
    _commit(folder, "2010")
    assert [path.name for path in folder.points()[0].iterdir()] == [INDEX]


def test_that_what_was_not_committed_is_no_point(tmp_path: Path) -> None:
    folder = RestartFolder(tmp_path / "restart")
    folder.begin()
    write_index(folder.writing, {})
    assert folder.points() == []
    folder.give_up()
    assert list(folder.path.iterdir()) == []


def test_that_a_file_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ThermodaError, match=r"lost/a: cannot be written \(No such file.*go on with python -m da resume"
    ):
        write_arrays(tmp_path / "lost" / "a", ARRAYS)


def test_that_the_index_tells_its_own_checksum(tmp_path: Path) -> None:
    write_index(tmp_path, {"b": 1, "a": [1.5, None]})
    whole = json.loads((tmp_path / INDEX).read_text(encoding="utf-8"))
    assert set(whole) == {"sha256", "content"}
    assert len(whole["sha256"]) == 64
