from __future__ import annotations

import numpy as np
import pytest

from da.errors import ThermodaError
from da.tracks.content import Content
from da.tracks.text import check_records, parse_table, record_line, text_lines

LINES = ["# header", "one 1.0 2e-3", "", "two nan -4.5  # remark", "three 3 4"]
NAMES = ("word", "x", "y")


def test_that_comments_and_blank_lines_are_no_records():
    table = parse_table(LINES, 1, NAMES, ("word",), "f")
    assert table["word"].tolist() == ["one", "two", "three"]
    np.testing.assert_array_equal(table["x"], [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(table["y"], [2e-3, -4.5, 4.0])


def test_that_one_record_is_still_a_table():
    assert parse_table(LINES[:2], 1, NAMES, ("word",), "f").shape == (1,)


def test_that_records_are_counted_by_line():
    assert [record_line(LINES, 1, index) for index in range(3)] == [2, 4, 5]
    with pytest.raises(IndexError):
        record_line(LINES, 1, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("four 5", r"f\.txt, line 6: expected 3 columns, found 2: 'four 5'"),
        ("four 5 6 7", r"f\.txt, line 6: expected 3 columns, found 4"),
        ("four 5 x6", r"f\.txt, line 6: y is 'x6', expected a number"),
        ("four ***** 6", r"f\.txt, line 6: x is '\*\*\*\*\*', expected a number"),
        ("four 1_0 6", r"f\.txt, line 6: x is '1_0', expected a number"),
    ],
)
def test_that_a_malformed_record_is_named_by_its_line(line: str, message: str):
    with pytest.raises(ThermodaError, match=message):
        parse_table([*LINES, line, "five 1 2"], 1, NAMES, ("word",), "f.txt")


def test_that_a_file_of_header_only_is_refused():
    with pytest.raises(ThermodaError, match="no records after the header"):
        parse_table(["# header", ""], 1, NAMES, (), "f")


def test_that_a_failed_check_quotes_the_line():
    with pytest.raises(ThermodaError, match=r"f, line 4: bad x; found 'two nan"):
        check_records(np.array([True, False, False]), LINES, 1, "f", "bad x")
    check_records(np.ones(3, dtype=bool), LINES, 1, "f", "bad x")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_that_any_line_end_is_understood(end: bytes):
    content = Content(data=end.join([b"a", b"b c"]), name="f", suffix=".txt")
    assert text_lines(content) == ["a", "b c"]


def test_that_bytes_that_are_no_text_are_refused():
    with pytest.raises(ThermodaError, match="byte 2 is not UTF-8"):
        text_lines(Content(data=b"ab\xff", name="f", suffix=".txt"))
