"""Fortran namelists as text and as entries: what TIE-GCM reads, and what it is read back by.

Entries map a key in capitals to a tuple of values; a single value is a tuple of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from da.errors import ThermodaError

Scalar = bool | int | float | str
Entries = Mapping[str, tuple[Scalar, ...]]

GROUP = "tgcm_input"
"""The one namelist group of TIE-GCM."""

WRAPPED_LENGTH = 96
"""Columns after which a list of values goes on in a new line."""

LONGEST_LINE = 132
"""Columns of a line that every Fortran 90 compiler reads."""

MOST_VALUES = 100_000
"""Values of a namelist, repeated ones (``3*0.``) written out: the longest list, of times, has some thousands."""

LONGEST_NUMBER = 100
"""Characters of a number, with the number of its repetitions."""

_TOKEN = re.compile(
    r"""(?P<space>[\s,]+)
      | (?P<comment>![^\n]*)
      | (?P<text>'(?:[^'\n]|'')*'|"(?:[^"\n]|"")*")
      | (?P<end>/|&end\b)
      | (?P<group>&\w+)
      | (?P<key>[A-Za-z]\w*)\s*=
      | (?P<value>[^\s,'"!/=&]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_REPEATED = re.compile(r"(\d+)\*(.*)", re.DOTALL)
_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([ed][+-]?\d+)?", re.IGNORECASE)
_TRUTHS = {".true.": True, "t": True, ".t.": True, ".false.": False, "f": False, ".f.": False}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def format_namelist(entries: Entries, group: str = GROUP, series_width: int = 1) -> str:
    """Return the Fortran text of a namelist, one key a line, long lists on several lines.

    Parameters
    ----------
    entries : mapping of str to tuple
        Texts are quoted here; reals are written so that they are read back bit for bit.
    group : str
    series_width : int
        Numbers that stay together on a line in keys that end in ``_TIME``.

    Raises
    ------
    ThermodaError
        If a value cannot be written: not finite, or a text with characters other than printable ASCII or too long
        for a line.
    """
    lines = [f"&{group}"]
    for key, values in entries.items():
        texts = [_formatted(key, value) for value in values]
        width = series_width if key.endswith("_TIME") else 1
        lines += _wrapped(key, [", ".join(texts[first : first + width]) for first in range(0, len(texts), width)])
    return "\n".join([*lines, "/", ""])


def parse_namelist(text: str, source: str = "namelist", group: str = GROUP) -> dict[str, tuple[Scalar, ...]]:
    """Read one group of a namelist back into entries; keys come out in capitals, comments are left out.

    Parameters
    ----------
    text : str
    source : str
        Name of the file, for messages.
    group : str

    Returns
    -------
    dict
        In the order of the text; repeated values (``3*0.``) are written out.

    Raises
    ------
    ThermodaError
        If the group is absent or not ended, or a line is not of the form ``KEY = values``.

    >>> parse_namelist("&tgcm_input STEP=60 TIDE2=2*0. LABEL='o''clock' /")
    {'STEP': (60,), 'TIDE2': (0.0, 0.0), 'LABEL': ("o'clock",)}
    """
    tokens = _tokens(text, source)
    begin = [n for n, token in enumerate(tokens) if token.kind == "group" and token.text[1:].lower() == group.lower()]
    if not begin:
        raise ThermodaError(f"{source}: there is no group &{group}")
    entries: dict[str, list[Scalar]] = {}
    key, room = "", MOST_VALUES
    for token in tokens[begin[0] + 1 :]:
        if token.kind == "end":
            return {name: tuple(values) for name, values in entries.items()}
        if token.kind == "key":
            key = token.text.upper()
            if key in entries:
                raise ThermodaError(f"{source}, line {token.line}: {key} is given twice")
            entries[key] = []
        elif not key:
            raise ThermodaError(f"{source}, line {token.line}: expected KEY = value, found {token.text!r}")
        else:
            values = _values(token, source)
            room -= len(values)
            if room < 0:
                raise ThermodaError(f"{source}, line {token.line}: more than {MOST_VALUES} values")
            entries[key] += values
    raise ThermodaError(f"{source}: the group &{group} is not ended by '/'")


def _tokens(text: str, source: str) -> list[_Token]:
    """Return everything but blanks, commas and comments."""
    position, line, found = 0, 1, []
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ThermodaError(f"{source}, line {line}: cannot be read from {text[position : position + 20]!r} on")
        kind = str(match.lastgroup)
        if kind not in ("space", "comment"):
            found.append(_Token(kind, match.group(kind), line))
        line += text.count("\n", position, match.end())
        position = match.end()
    return found


def _values(token: _Token, source: str) -> list[Scalar]:
    if token.kind == "text":
        quote = token.text[0]
        return [token.text[1:-1].replace(2 * quote, quote)]
    repeated = _REPEATED.fullmatch(token.text)
    if len(token.text) > LONGEST_NUMBER:
        raise ThermodaError(f"{source}, line {token.line}: a number of {len(token.text)} characters")
    count, text = (int(repeated[1]), repeated[2]) if repeated else (1, token.text)
    if count > MOST_VALUES:
        raise ThermodaError(f"{source}, line {token.line}: more than {MOST_VALUES} values")
    if text.lower() in _TRUTHS:
        return [_TRUTHS[text.lower()]] * count
    if _INTEGER.fullmatch(text):
        return [int(text)] * count
    if _REAL.fullmatch(text):
        return [float(text.lower().replace("d", "e"))] * count
    raise ThermodaError(f"{source}, line {token.line}: {token.text!r} is no number, truth value or quoted text")


def _formatted(key: str, value: Scalar) -> str:
    if isinstance(value, bool | np.bool_):
        return ".TRUE." if value else ".FALSE."
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, str):
        if not value.isascii() or not value.isprintable():
            raise ThermodaError(f"TIE-GCM namelist: {key}={value!r} must hold printable ASCII characters only")
        return "'" + value.replace("'", "''") + "'"
    if not np.isfinite(value):
        raise ThermodaError(f"TIE-GCM namelist: {key}={value} must be finite")
    return repr(float(value))


def _wrapped(key: str, texts: list[str]) -> list[str]:
    lines, line = [], f" {key} = "
    for number, text in enumerate(texts):
        piece = text + (", " if number < len(texts) - 1 else "")
        if len(line) + len(piece) > WRAPPED_LENGTH and line.strip() and number:
            lines.append(line.rstrip())
            line = "   "
        line += piece
    lines.append(line.rstrip())
    if any(len(one) > LONGEST_LINE for one in lines):
        raise ThermodaError(f"TIE-GCM namelist: {key} holds a text too long for a line of {LONGEST_LINE} characters")
    return lines
