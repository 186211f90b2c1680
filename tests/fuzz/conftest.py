"""The readers under test, and files that are as wrong as a file can be."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent
READERS_FILE = FOLDER / "readers.py"


def _loaded() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz_readers", READERS_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def readers() -> Any:
    """The module ``readers.py`` beside this file."""
    return _loaded()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of kept inputs, one folder per reader."""
    return FOLDER / "corpus"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that take a ``reader_name`` for every reader."""
    if "reader_name" in metafunc.fixturenames:
        metafunc.parametrize("reader_name", list(_loaded().READERS))
