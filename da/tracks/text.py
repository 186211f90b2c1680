"""Tables in text files: fast parsing, and a message with the line number where it fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.input_file import LINE_LIMIT, too_many_lines
from da.tracks.content import Content

COMMENT = "#"
_TEXT_WIDTH = 32


def text_lines(content: Content) -> list[str]:
    """Return the lines of a text file without their ends.

    Raises
    ------
    ThermodaError
        If the bytes are no text.
    """
    if too_many_lines(content.data):
        raise ThermodaError(f"{content.name}: more than {LINE_LIMIT} lines, expected a year of records at most")
    try:
        text = content.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ThermodaError(f"{content.name}: not a text file (byte {error.start} is not UTF-8)") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def parse_table(lines: Sequence[str], first: int, names: Sequence[str], text: Sequence[str], name: str) -> NDArray[Any]:
    """Parse the records from line index ``first`` on: blanks between columns, ``#`` starts a comment.

    Parameters
    ----------
    lines : sequence of str
        The whole file.
    first : int
        Index of the first line that may hold a record.
    names : sequence of str
        One name per column; every record must have exactly these columns.
    text : sequence of str
        Names of the columns that hold words; all others hold numbers.
    name : str
        Name of the file, for messages.

    Returns
    -------
    structured array (n,)
        One field per name, float64 or unicode.

    Raises
    ------
    ThermodaError
        If there is no record, or one does not have these columns.
    """
    if next(_records(lines, first), None) is None:
        raise ThermodaError(f"{name}: no records after the header (line {first})")
    dtype = np.dtype([(column, f"U{_TEXT_WIDTH}" if column in text else "f8") for column in names])
    try:
        return np.atleast_1d(np.loadtxt(lines[first:], dtype=dtype, comments=COMMENT))
    except ValueError as error:
        raise _located(lines, first, dtype, name) from error


def record_line(lines: Sequence[str], first: int, index: int) -> int:
    """Return the line number, counted from 1, of the record with the given index."""
    for position, (number, _) in enumerate(_records(lines, first)):
        if position == index:
            return number
    raise IndexError(f"there are fewer than {index + 1} records")


def check_records(valid: NDArray[np.bool_], lines: Sequence[str], first: int, name: str, problem: str) -> None:
    """Raise for the first record that is not valid.

    Parameters
    ----------
    valid : array (n,) of bool
        One per record.
    lines, first : sequence of str, int
        As in `parse_table`.
    name, problem : str
        Name of the file, and what is wrong and would be right.

    Raises
    ------
    ThermodaError
        If any record is not valid.
    """
    wrong = np.flatnonzero(~valid)
    if wrong.size:
        number = record_line(lines, first, int(wrong[0]))
        raise ThermodaError(f"{name}, line {number}: {problem}; found '{_excerpt(lines[number - 1])}'")


def _records(lines: Sequence[str], first: int) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines[first:], start=first + 1):
        content = line.split(COMMENT, 1)[0].strip()
        if content:
            yield number, content


def _located(lines: Sequence[str], first: int, dtype: np.dtype[Any], name: str) -> ThermodaError:
    """Find the first record that the fast parser cannot have understood."""
    fields: list[str] = list(dtype.names or ())
    for number, content in _records(lines, first):
        words = content.split()
        if len(words) != len(fields):
            expected = f"expected {len(fields)} columns, found {len(words)}"
            return ThermodaError(f"{name}, line {number}: {expected}: '{_excerpt(content)}'")
        for column, word in zip(fields, words, strict=True):
            if dtype[column].kind == "f" and not _is_number(word):
                return ThermodaError(f"{name}, line {number}: {column} is '{_excerpt(word)}', expected a number")
    return ThermodaError(f"{name}: the table of {len(fields)} columns after line {first} cannot be parsed")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def _excerpt(text: str) -> str:
    stripped = text.strip()
    return stripped if len(stripped) <= 80 else stripped[:77] + "..."
