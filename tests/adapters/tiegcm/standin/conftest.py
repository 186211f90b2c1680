"""Keep the test collection out of the stand-in: its files are a program, started as one or loaded by their path."""

from __future__ import annotations

collect_ignore_glob = ["*.py"]
