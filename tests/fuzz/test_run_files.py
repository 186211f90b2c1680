"""Files of runs whose structure is whole and whose content is wrong: every value, key and promise of them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from netCDF4 import Dataset

from da.errors import ThermodaError
from da.stored_dataset import TEXTS, TIMES, stored_dataset, stored_values
from da.stored_json import DEEPEST, SIZE_LIMIT, read_json

OF_JSON = ("restart_index", "provenance", "interruptions", "lock", "spin_up_description")
DEEP = "[" * 30 + "]" * 30
WRONG = (
    *("null", "true", "-1", "0", "0.5", "NaN", "-Infinity", "1e999", "1e300", "9" * 400, "9" * 5000),
    *('""', '"x"', r'"\ud800"', r'"\u0000"', r'"../../x"', f'"{"y" * 5000}"', "[]", "{}", "[[1, null]]", '{"": {}}'),
    *('[1, "a", {}]', '{"a": null}', DEEP, "[" * 5000 + "]" * 5000, "["),
)
"""What may stand in place of any value."""


def _keys(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all values in each other."""
    if isinstance(content, dict):
        parts = list(content.items())
    elif isinstance(content, list):
        parts = list(enumerate(content))
    else:
        return []
    return [place for key, value in parts for place in ((*path, key), *_keys(value, (*path, key)))]


def _changed(content: Any, place: tuple[Any, ...], change: Callable[[Any, Any], None]) -> str:
    """Return a content as JSON, changed at a place; a number stands for the text that JSON does not allow."""
    whole = json.loads(json.dumps(content))
    parent = whole
    for key in place[:-1]:
        parent = parent[key]
    change(parent, place[-1])
    return json.dumps(whole)


@pytest.mark.parametrize("name", OF_JSON)
def test_that_any_wrong_value_or_missing_key_gives_a_result_or_one_line(
    readers: Any, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    reader, folder = readers.READERS[name], tmp_path_factory.mktemp(name)
    content = json.loads(reader.seeds(folder)[0])
    path, places = reader.path_in(folder), _keys(content)
    mark = '"what stands here"'

    def put(parent: Any, key: Any) -> None:
        parent[key] = json.loads(mark)

    def take(parent: Any, key: Any) -> None:
        del parent[key]

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(place=st.sampled_from(places), wrong=st.sampled_from((*WRONG, "no key", "key twice")))
    def check(place: tuple[Any, ...], wrong: str) -> None:
        if wrong == "no key":
            text = _changed(content, place, take)
        elif wrong == "key twice":
            text = _changed(content, place, put).replace("{", '{"name": 1, "name": "x", ', 1)
        else:
            text = _changed(content, place, put).replace(mark, wrong)
        readers.put(path, text.encode())
        assert readers.fault_of(reader, path) is None

    check()


@pytest.mark.parametrize("wrong", ["[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "[" * 10**6, r'"\udc00"', "9" * 5000, ""])
def test_that_json_that_cannot_be_used_is_refused(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(wrong)
    with pytest.raises(ValueError, match=r"nested|surrogates|digits|Expecting"):
        read_json(path)


def test_that_json_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(SIZE_LIMIT + 1)
    with pytest.raises(OSError, match="larger than the limit"):
        read_json(tmp_path / "a.json")


def test_that_any_changed_byte_of_a_restart_point_is_noticed(readers: Any, tmp_path: Path) -> None:
    arrays = readers.READERS["restart_arrays"]
    valid = arrays.seeds(tmp_path)[0]
    path = arrays.path_in(tmp_path)
    for place in range(0, len(valid), 7):
        readers.put(path, valid[:place] + bytes([valid[place] ^ 1 << place % 8]) + valid[place + 1 :])
        with pytest.raises(ThermodaError, match=r"input\.arrays: is damaged: its SHA-256"):
            arrays.read(path)


def _promise(path: Path, kind: str) -> None:
    """Write a file whose header promises a billion values that are not there."""
    with Dataset(path, "w", format=kind) as dataset:
        dataset.createDimension("time", 10**9)
        options = {"chunksizes": (1000,)} if kind == "NETCDF4" else {}
        dataset.createVariable("time", "f8", ("time",), **options).units = "seconds since 2010-04-05"


def test_that_a_promise_of_a_billion_values_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    _promise(path, "NETCDF4")
    assert path.stat().st_size < 100_000
    expected = r"a\.nc is not readable netCDF \(up to time it promises 8000000000 bytes"
    with pytest.raises(ThermodaError, match=expected), stored_dataset(path):
        pass


def test_that_a_text_that_says_it_has_gigabytes_is_refused(readers: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"a": ("x", ["one", "three"])}).to_netcdf(path, engine="netcdf4")
    data = path.read_bytes()
    heap = data.index(b"GCOL")
    # A reference: length, address of the heap, index of the object.
    read = [(place, *struct.unpack_from("<IQI", data, place)) for place in range(len(data) - 15)]
    references = [place for place, _, address, index in read if address == heap and 0 < index < 10]
    assert len(references) >= 2
    for place in references:
        readers.put(path, data[: place + 3] + b"\xff" + data[place + 4 :])
        told = rf"a\.nc: damaged HDF5 file: what byte {place} refers to is longer"
        with pytest.raises(ThermodaError, match=told), stored_dataset(path):
            pass
    readers.put(path, data)
    with stored_dataset(path) as dataset:
        assert stored_values(path, dataset, "a", ("x",), TEXTS).tolist() == ["one", "three"]


def test_that_a_file_that_packs_as_tightly_as_can_be_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"a": ("x", [0.0] * 2_000_000)}).to_netcdf(path, encoding={"a": {"zlib": True, "complevel": 9}})
    with stored_dataset(path) as dataset:
        assert not stored_values(path, dataset, "a", ("x",)).any()


def test_that_what_a_variable_is_not_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"a": (("x", "y"), [[1.0]]), "b": ("x", ["text"])}).to_netcdf(path)
    with stored_dataset(path) as dataset:
        for name, dimensions, kinds, told in (
            ("c", ("x",), TIMES, "has no variable c; repeat the run"),
            ("a", ("x",), TIMES, "a has the dimensions x, y, not x; repeat the run"),
            ("a", ("y", "x"), TIMES, "a has the type float64, which no run writes; repeat the run"),
        ):
            with pytest.raises(ThermodaError, match=told):
                stored_values(path, dataset, name, dimensions, kinds)
        assert stored_values(path, dataset, "a", ("y", "x")).shape == (1, 1)


def test_that_a_file_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(path)
    with stored_dataset(path) as dataset:
        assert stored_values(path, dataset, "a").tolist() == [1.0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ThermodaError, match=r"a\.nc is not readable netCDF"), stored_dataset(path):
        pass
