"""The scripts of ``benchmarks/``, loaded as they find each other: by their file names."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Iterator[Callable[[str], ModuleType]]:
    """Return a loader of scripts; those that a script imports must be loaded before it."""
    loaded: list[str] = []

    def load(name: str) -> ModuleType:
        specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        loaded.append(name)
        specification.loader.exec_module(module)
        return module

    yield load
    for name in loaded:
        del sys.modules[name]
