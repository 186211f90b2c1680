"""Shared fixtures: where the real data are, and a network that fails loudly."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def shared_folder(name: str) -> Path | None:
    """Return the sibling folder of the real data called ``name``, or None where it is absent."""
    candidates = [REPOSITORY.parent / "shared" / name]
    if root := os.environ.get("THERMODA_DATA"):
        candidates.insert(0, Path(root) if name == "data" else Path(root).parent / name)
    return next((folder for folder in candidates if folder.is_dir()), None)


def _required(name: str) -> Path:
    folder = shared_folder(name)
    if folder is None:
        pytest.skip(f"no folder '{name}': set THERMODA_DATA to the folder of the real data")
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real measurements and drivers."""
    return _required("data")


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Folder of the independently computed analysis cases."""
    return _required("reference")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse every connection beyond this machine: no run and no test may use the network."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and str(address[0]) not in ("127.0.0.1", "::1"):  # type: ignore[index]
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
    return
