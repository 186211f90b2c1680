"""The one exception that means "the user's input or data are at fault"."""

from __future__ import annotations


class ThermodaError(Exception):
    """An error to be shown to the user as one clear line, without a traceback.

    The message names the file, key or value at fault and says what would be right. Programming errors are never
    wrapped in this class: they keep their own type and their traceback.
    """
