"""The exceptions that mean "the user's input or data are at fault", or "a member of the ensemble failed"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

LONGEST_MESSAGE = 2000
"""Characters of a message; what a damaged file holds may be of any length."""

_KEPT_END = 500


class ThermodaError(Exception):
    r"""An error to be shown to the user as one clear line, without a traceback.

    The message names the file, key or value at fault and says what would be right. Programming errors are never
    wrapped in this class: they keep their own type and their traceback. What a message repeats of a file may be
    anything: blanks take the place of line breaks and tabs, escapes that of other characters that do not print, and of
    a very long message the middle is left out.

    Parameters
    ----------
    message : str

    Examples
    --------
    >>> print(ThermodaError("track.txt, line 3: found 'a\x00\nb'"))
    track.txt, line 3: found 'a\x00 b'
    """

    def __init__(self, message: str) -> None:
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[: LONGEST_MESSAGE - _KEPT_END - 5]} ... {message[-_KEPT_END:]}"
        super().__init__("".join(map(_printable, message)))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else ascii(character)[1:-1]


class MemberForecastError(ThermodaError):
    """Some members could not be forecast, and the others could: what follows is the framework's to decide.

    Its text is the cause of the first of them.

    Parameters
    ----------
    causes : dict of position -> str
        Of the members that failed, by their place among those that were to be forecast; each cause is one line that
        names member, time, and where to look.
    states : array (state_size, members)
        At the end of the forecast; the columns of members that failed hold nothing of use.

    Raises
    ------
    ValueError
        If no member failed, or a position lies outside.
    """

    def __init__(self, causes: Mapping[int, str], states: NDArray[np.float64]) -> None:
        if not causes or not all(0 <= position < states.shape[1] for position in causes):
            raise ValueError(f"positions {list(causes)} of failed members, among {states.shape[1]}")
        self.causes = dict(sorted(causes.items()))
        self.states = states
        super().__init__(next(iter(self.causes.values())))
