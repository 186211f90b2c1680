"""Shared fixtures: where the real data are, a network that fails loudly, a tiny experiment and the command line."""

from __future__ import annotations

import copy
import io
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[1]

# No test may depend on the speed of the machine; in continuous integration none may depend on luck either.
hypothesis.settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("project")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a file on one process of pytest, and all that start mpiexec on one: its ranks wait busily."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    launching = {item.path for item in items if item.get_closest_marker("mpi")}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("launchers" if item.path in launching else str(item.path)))


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


TINY_EXPERIMENT: dict[str, Any] = {
    "experiment": {
        "name": "tiny",
        "start": "2010-04-05T00:00:00Z",
        "stop": "2010-04-05T01:00:00Z",
        "seed": 7,
    },
    "satellites": {"champ": {"synthetic": {"altitude_km": 302, "inclination_deg": 87.3, "sampling_s": 120}}},
    "calibration": {"satellite": "champ"},
    "data_grid": {
        "longitude_step_deg": 90,
        "latitude_step_deg": 40,
        "altitude_min_km": 200,
        "altitude_step_km": 100,
    },
    "observation_error": {"weight_p0": 4.0, "half_life_vertical_km": 100.0},
    "model": {"adapter": "msis_relaxation", "settings": {"resolution_deg": 30.0}},
    "ensemble": {
        "members": 4,
        "spin_up_days": 0.0,
        "perturbations": {"f107_sfu": {"standard_deviation": 8.0, "truncation": 24.0}},
    },
    "analysis": {"interval_h": 1.0, "localization": {"cutoff_radius_cells": 4.0, "weighting": "uniform"}},
    "output": {"interval_min": 30},
}
"""A whole twin experiment of two analyses on a 30-degree grid; it runs in about a second."""


def _merge(section: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if value is None:
            section.pop(key, None)
        elif isinstance(value, dict):
            _merge(section.setdefault(key, {}), value)
        else:
            section[key] = value


WriteExperiment = Callable[..., Path]


@pytest.fixture
def tiny_experiment(tmp_path: Path) -> WriteExperiment:
    """Write the tiny experiment, changed: ``tiny_experiment(ensemble={"members": 1})``; None removes a key."""

    def write(**changes: Any) -> Path:
        content = copy.deepcopy(TINY_EXPERIMENT)
        content["experiment"]["output_folder"] = str(tmp_path / "runs" / "tiny")
        _merge(content, changes)
        stream, yaml = io.StringIO(), YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.dump(content, stream)
        path = tmp_path / "tiny.yaml"
        path.write_text(stream.getvalue(), encoding="utf-8")
        return path

    return write


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one error line; the command must have ended with status 2 and have said nothing else on stderr."""
        assert self.status == 2, (self.status, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        return lines[0].removeprefix("error: ")


CommandLine = Callable[..., Ended]


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Run the command line in this process: ``command_line("run", path)``."""
    from da.cli import main

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["thermoda", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        streams = capsys.readouterr()
        return Ended(int(ended.value.code or 0), streams.out, streams.err)

    return call
