from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from da.errors import ThermodaError
from da.tracks.content import load_content

FileWriter = Callable[[str, str | bytes], Path]
ZipWriter = Callable[[str, Mapping[str, bytes]], Path]


def test_that_a_plain_file_and_its_zip_have_the_same_bytes(write: FileWriter, write_zip: ZipWriter):
    assert load_content(write("a.txt", "data")).data == load_content(write_zip("a.zip", {"a.txt": b"data"})).data


def test_that_headers_and_licences_in_an_archive_are_passed_over(write_zip: ZipWriter):
    members = {"a.cdf": b"data", "a.HDR": b"<x/>", "license.txt": b"CC", "ReadMe.txt": b"me", "__MACOSX/a.cdf": b"x"}
    content = load_content(write_zip("a.ZIP", members))
    assert content.data == b"data"
    assert content.suffix == ".cdf"


def test_that_a_missing_file_a_folder_and_an_empty_file_are_named(tmp_path: Path, write: FileWriter):
    with pytest.raises(ThermodaError, match=r"gone\.txt: no such file"):
        load_content(tmp_path / "gone.txt")
    with pytest.raises(ThermodaError, match="is a folder"):
        load_content(tmp_path)
    with pytest.raises(ThermodaError, match=r"void\.txt: the file is empty"):
        load_content(write("void.txt", ""))


def test_that_an_archive_needs_exactly_one_data_file(write_zip: ZipWriter):
    with pytest.raises(ThermodaError, match=r"several data files \(a\.txt, b\.txt\)"):
        load_content(write_zip("two.zip", {"a.txt": b"1", "b.txt": b"2"}))
    with pytest.raises(ThermodaError, match=r"no data file \(a\.HDR\)"):
        load_content(write_zip("none.zip", {"a.HDR": b"1"}))
    with pytest.raises(ThermodaError, match=r"no data file \(nothing\)"):
        load_content(write_zip("empty.zip", {}))
    with pytest.raises(ThermodaError, match=r"member a\.txt: the file is empty"):
        load_content(write_zip("void.zip", {"a.txt": b""}))


@pytest.mark.parametrize("keep", [10, 60, -30])
def test_that_a_truncated_archive_is_called_corrupt(write: FileWriter, write_zip: ZipWriter, keep: int):
    whole = write_zip("whole.zip", {"a.txt": bytes(range(256)) * 40}).read_bytes()
    with pytest.raises(ThermodaError, match=r"cut\.zip: corrupt or unreadable zip archive"):
        load_content(write("cut.zip", whole[:keep]))


def test_that_a_damaged_member_is_called_corrupt(write: FileWriter, write_zip: ZipWriter):
    data = bytearray(write_zip("whole.zip", {"a.txt": bytes(range(256)) * 40}).read_bytes())
    data[60] ^= 0xFF
    with pytest.raises(ThermodaError, match="corrupt or unreadable zip archive"):
        load_content(write("bad.zip", bytes(data)))


def test_that_an_archive_declaring_too_much_is_refused_before_unpacking(write: FileWriter, write_zip: ZipWriter):
    data = bytearray(write_zip("bomb.zip", {"a.txt": b"x" * 100}).read_bytes())
    # Uncompressed size in the central directory record (APPNOTE 4.3.12): 24 bytes after its signature.
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    with pytest.raises(ThermodaError, match="declares 4294967280 bytes, more than the limit"):
        load_content(write("huge.zip", bytes(data)))


def test_that_no_more_than_the_limit_is_read(write: FileWriter, write_zip: ZipWriter):
    assert len(load_content(write("fits.txt", b"x" * 100), limit=100).data) == 100
    with pytest.raises(ThermodaError, match="limit of 100 bytes"):
        load_content(write("large.txt", b"x" * 101), limit=100)
    with pytest.raises(ThermodaError, match="limit of 100"):
        load_content(write_zip("large.zip", {"a.txt": b"x" * 101}), limit=100)


def test_that_an_encrypted_member_is_refused(write: FileWriter, write_zip: ZipWriter):
    data = bytearray(write_zip("open.zip", {"a.txt": b"secret"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(ThermodaError, match="encrypted"):
        load_content(write("closed.zip", bytes(data)))


def test_that_an_unknown_compression_is_reported(write: FileWriter, write_zip: ZipWriter):
    data = bytearray(write_zip("plain.zip", {"a.txt": b"data"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.index(signature) + offset
        data[at : at + 2] = (97).to_bytes(2, "little")
    path = write("odd.zip", bytes(data))
    assert zipfile.is_zipfile(path)
    with pytest.raises(ThermodaError, match="corrupt or unreadable"):
        load_content(path)
