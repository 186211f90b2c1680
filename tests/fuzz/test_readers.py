"""Whatever a file holds, a reader gives a result or one line that names the file, in bounded memory and time."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from da.errors import LONGEST_MESSAGE, ThermodaError
from da.tracks import content as content_module
from da.tracks import read_tracks
from da.tracks.content import load_content

SLOW = {"yaml", "history_hdf5", "inflation_state", "history_classic", "perturbation_set", "overlay", "provenance"}
SLOW |= {"track", "fields", "observations", "filter", "calibration", "evaluation", "key_figures", "lower_boundary"}
DO_WITHOUT = {"interruptions", "lock", "key_figures", "spin_up_description", "restart_index"}
"""Files that need not be there, or whose place another one takes."""

IN_THIS_PROCESS = HealthCheck.function_scoped_fixture, HealthCheck.too_slow
MEMORY = 1024**3
"""Bytes of address space beyond what the interpreter with its libraries has: four times the limit of a file."""


@pytest.fixture(scope="session")
def seeds(readers: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[bytes]]]:
    """Return of each reader a folder and valid files, made once."""
    found = {}
    for name, reader in readers.READERS.items():
        folder = tmp_path_factory.mktemp(name)
        found[name] = folder, reader.seeds(folder)
    return found


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], tokens: tuple[bytes, ...]) -> bytes:
    """Return a valid file with one to four damages of the kinds that disks, transfers and editors make."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(0, 64))
        kind = draw(st.sampled_from(list(DAMAGES)))
        data = DAMAGES[kind](data, at, length, draw(st.sampled_from([*tokens, b"\n", b"\0"])))
    return data


def _swapped_lines(data: bytes, at: int, length: int, token: bytes) -> bytes:
    lines = data.split(b"\n")
    first, second = at % len(lines), length % len(lines)
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _replaced_word(data: bytes, at: int, length: int, token: bytes) -> bytes:
    start = max(data.rfind(b" ", 0, at), data.rfind(b"\n", 0, at), data.rfind(b",", 0, at)) + 1
    ends = [end for end in (data.find(mark, at) for mark in (b" ", b"\n", b",")) if end >= 0]
    return data[:start] + token + data[min(ends, default=len(data)) :]


def _wrong_byte_order(data: bytes, at: int, length: int, token: bytes) -> bytes:
    return data[:at] + data[at : at + 8][::-1] + data[at + 8 :]


Damage = Callable[[bytes, int, int, bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "a bit flipped": lambda data, at, length, token: (
        data[:at] + bytes([data[at] ^ 1 << length % 8]) + data[at + 1 :] if data else data
    ),
    "cut short": lambda data, at, length, token: data[:at],
    "begin lost": lambda data, at, length, token: data[at:],
    "part doubled": lambda data, at, length, token: data[: at + length] + data[at:],
    "part zeroed": lambda data, at, length, token: data[:at] + b"\0" * length + data[at + length :],
    "lines swapped": _swapped_lines,
    "word replaced": _replaced_word,
    "bytes overwritten": lambda data, at, length, token: data[:at] + token + data[at + len(token) :],
    "token put in": lambda data, at, length, token: data[:at] + token + data[at:],
    "wrong byte order": _wrong_byte_order,
    "Windows line ends": lambda data, at, length, token: data.replace(b"\n", b"\r\n"),
    "old Macintosh line ends": lambda data, at, length, token: data.replace(b"\n", b"\r"),
    "byte-order mark": lambda data, at, length, token: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data, at, length, token: data.decode("latin-1").encode("utf-16"),
    "Latin-1": lambda data, at, length, token: data[:at] + b"\xe4\xf6" + data[at:],
}


def test_that_the_files_to_start_from_are_valid(readers: Any, seeds: Any, reader_name: str) -> None:
    folder, valid = seeds[reader_name]
    reader = readers.READERS[reader_name]
    path = reader.path_in(folder)
    for data in valid[: 2 if reader_name == "yaml" else None]:
        readers.put(path, data)
        reader.read(path)


def test_that_a_damaged_file_gives_a_result_or_one_line(readers: Any, seeds: Any, reader_name: str) -> None:
    folder, valid = seeds[reader_name]
    reader = readers.READERS[reader_name]
    path = reader.path_in(folder)

    @settings(max_examples=25 if reader_name in SLOW else 80, suppress_health_check=IN_THIS_PROCESS)
    @given(data=mutated(valid, reader.tokens))
    @example(data=b"")
    @example(data=b"\0" * 1000)
    @example(data=valid[0] * 2)
    @example(data=valid[-1][:-1])
    def check(data: bytes) -> None:
        readers.put(path, data)
        assert readers.fault_of(reader, path) is None

    check()


def test_that_any_bytes_give_a_result_or_one_line(readers: Any, seeds: Any, reader_name: str) -> None:
    folder, _ = seeds[reader_name]
    reader = readers.READERS[reader_name]
    path = reader.path_in(folder)

    @settings(max_examples=15, suppress_health_check=IN_THIS_PROCESS)
    @given(data=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
    def check(data: bytes) -> None:
        readers.put(path, data)
        assert readers.fault_of(reader, path) is None

    check()


def test_that_faults_of_the_past_stay_mended(readers: Any, corpus: Path, tmp_path: Path, reader_name: str) -> None:
    reader = readers.READERS[reader_name]
    reader.seeds(tmp_path)
    path = reader.path_in(tmp_path)
    faults = {}
    for kept in sorted((corpus / reader_name).glob("*")):
        readers.put(path, kept.read_bytes())
        faults[kept.name] = readers.fault_of(reader, path)
        if not kept.name.startswith("seed"):
            with pytest.raises(ThermodaError):
                reader.read(path)
    assert not {name: fault for name, fault in faults.items() if fault is not None}


def test_that_the_kept_inputs_are_few(corpus: Path) -> None:
    assert sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file()) < 200_000


def test_that_a_path_that_is_no_file_is_refused_at_once(readers: Any, tmp_path: Path, reader_name: str) -> None:
    reader = readers.READERS[reader_name]
    if reader_name in ("namelist", "classic_header", "lock"):
        pytest.skip("is given text, an open file, or what this program made a moment ago")
    for case in ("pipe", "folder", "absent", "long" * 100):
        if reader.file and case == "long" * 100:
            continue
        folder = tmp_path / case[:10]
        folder.mkdir()
        reader.seeds(folder)
        path = reader.path_in(folder)
        path = path if reader.file else path.with_name(f"{case}{reader.suffix}")
        if case == "pipe":
            path.unlink(missing_ok=True)
            os.mkfifo(path)
        elif case == "folder":
            path.unlink(missing_ok=True)
            path.mkdir()
        else:
            path.with_name(path.name[:50]).unlink(missing_ok=True)
        assert readers.fault_of(reader, path) is None
        if reader_name not in DO_WITHOUT:
            with pytest.raises((ThermodaError, ValueError)):
                reader.read(path)


SIZE = 300 * 1024**2
"""Bytes of what bombs unpack to, a little more than the limit."""

BOMBS = {
    "a zip that unpacks to 300 MiB": "zip",
    "a zip that lies about its size": "lying",
    "a text of a hundred million lines": "lines",
    "a classic header that promises a hundred million records": "classic",
    "an HDF5 file without values for a billion records": "hdf5",
    "a CDF that promises two billion records": "cdf",
    "a CDF whose index refers to itself": "cdf loop",
    "a compressed CDF that unpacks to 300 MiB": "cdf bomb",
}


def _write_bomb(kind: str, path: Path, seeds: Any) -> None:
    if kind in ("zip", "lying"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.txt", "w") as member:
            for _ in range(300):
                member.write(b"0" * 2**20)
        if kind == "lying":
            data = bytearray(path.read_bytes())
            struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 100)
            path.write_bytes(data)
    elif kind == "lines":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.txt", "w") as member:
            for _ in range(100):
                member.write(b"\n" * 10**6)
    elif kind == "classic":
        data = bytearray(seeds["tnd_igg_classic"][1][0])
        at = data.index(b"time") + 4
        struct.pack_into(">i", data, at, 100_000_000)
        path.write_bytes(data)
    elif kind == "hdf5":
        from netCDF4 import Dataset

        with Dataset(path, "w") as dataset:
            dataset.createDimension("time", 10**9)
            for name in ("time", "density", "lat", "lon", "alt"):
                dataset.createVariable(name, "f8", ("time",), chunksizes=(1000,)).units = "m"
    else:
        _write_cdf_bomb(kind, path, bytearray(seeds["swarm_cdf"][1][0]))


def _write_cdf_bomb(kind: str, path: Path, data: bytearray) -> None:
    (first,) = struct.unpack_from(">q", data, 8)
    (variable,) = struct.unpack_from(">q", data, 8 + first + 20)
    if kind == "cdf":
        struct.pack_into(">i", data, variable + 24, 2**31 - 2)
    elif kind == "cdf loop":
        (index,) = struct.unpack_from(">q", data, variable + 28)
        struct.pack_into(">q", data, index + 12, index)
    else:
        import gzip

        packed = gzip.compress(b"\0" * SIZE, compresslevel=1)
        head = struct.pack(">qiqqi", 32 + len(packed), 10, 40 + len(packed), 1000, 0)
        method = struct.pack(">qiiiii", 28, 11, 5, 0, 1, 6)
        data = bytearray(b"\xcd\xf3\x00\x01\xcc\xcc\x00\x01" + head + packed + method)
    path.write_bytes(data)


@pytest.mark.parametrize("bomb", BOMBS)
def test_that_a_bomb_is_refused_before_it_bursts(tmp_path: Path, seeds: Any, bomb: str) -> None:
    path = tmp_path / "bomb.bin"
    _write_bomb(BOMBS[bomb], path, seeds)
    code = f"""
        import resource, sys
        from pathlib import Path
        from da.errors import ThermodaError
        from da.tracks import read_tracks
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + {MEMORY}, used + {MEMORY}))
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        try:
            read_tracks([Path(sys.argv[1])], "champ")
        except ThermodaError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert path.name in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_that_a_member_outside_the_archive_is_read_and_never_written(tmp_path: Path, seeds: Any) -> None:
    path = tmp_path / "inner" / "track.zip"
    path.parent.mkdir()
    outside = tmp_path / "escaped.txt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(str(outside)), seeds["sutton_start"][1][0])
    assert len(read_tracks([path], "champ")) == 4
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped.txt", seeds["sutton_start"][1][0])
    with pytest.raises(ThermodaError, match="the archive holds no data file"):
        read_tracks([path], "champ")
    assert not outside.exists()


def test_that_an_archive_in_an_archive_is_not_opened(tmp_path: Path, seeds: Any) -> None:
    path = tmp_path / "outer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", seeds["zip"][1][0])
    with pytest.raises(ThermodaError, match=r"outer\.zip: the archive holds no data file"):
        load_content(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.txt", seeds["zip"][1][1])
    with pytest.raises(ThermodaError, match=r"inner\.txt: not a known density product"):
        read_tracks([path], "champ")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_that_methods_without_a_bound_on_what_they_unpack_are_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.txt", b"0" * 1000)
    with pytest.raises(ThermodaError, match=rf"a\.zip: .*method {method}, expected stored or deflated"):
        load_content(path)


def test_that_archives_and_texts_beyond_their_limits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: Any
) -> None:
    monkeypatch.setattr(content_module, "ARCHIVE_LIMIT", 100)
    path = tmp_path / "a.zip"
    path.write_bytes(seeds["zip"][1][0])
    with pytest.raises(ThermodaError, match=r"a\.zip: larger than the limit of 100 bytes of an archive"):
        load_content(path)
    monkeypatch.setattr("da.tracks.text.too_many_lines", lambda content: True)
    path.write_bytes(seeds["sutton_start"][1][0])
    with pytest.raises(ThermodaError, match=r"a\.zip: more than 4000000 lines"):
        read_tracks([path], "champ")


def test_that_a_message_is_one_printable_line_of_bounded_length() -> None:
    error = ThermodaError("a.txt: \x1b[31m" + "\n\r\t\u2028\x85" + "\ud800" + "x" * 10**6 + " expected y")
    message = str(error)
    assert message.isprintable()
    assert len(message) < LONGEST_MESSAGE + 100
    assert message.startswith("a.txt: \\x1b[31m")
    assert message.endswith(" expected y")
    assert str(ThermodaError("Füße: 3 µm")) == "Füße: 3 µm"


def test_that_the_memory_limit_of_these_tests_is_this_process_own() -> None:
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
