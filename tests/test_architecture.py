"""The direction of imports: data flow down the house, and the numerical core knows numpy and scipy alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = sorted((REPOSITORY / "da").rglob("*.py")) + sorted((REPOSITORY / "model_adapters").rglob("*.py"))
NUMERICAL_PACKAGES = ("da.filters", "da.localization", "da.inflation", "da.observation_handling")
NUMERICAL_CORE = ("constraints", "operators", "hydrostatics", "moments", "load_balance", "diagnostics")
STANDARD = set(sys.stdlib_module_names)
ADAPTER_MAY_IMPORT = {
    "atomic_file",
    "checksums",
    "classic_netcdf",
    "constants",
    "drivers",
    "errors",
    "hdf5_heaps",
    "hydrostatics",
    "input_file",
    "model",
    "msis",
    "operators",
    "run_lock",
    "stored_json",
    "twin",
}
FORBIDDEN_NAMES = {"io", "types", "logging", "random", "utils"}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _is_core(path: Path) -> bool:
    name = _name(path)
    return name.startswith(NUMERICAL_PACKAGES) or name in {f"da.{part}" for part in NUMERICAL_CORE}


@pytest.mark.parametrize("path", [path for path in MODULES if _is_core(path)], ids=_name)
def test_that_the_numerical_core_imports_numpy_and_scipy_alone(path: Path) -> None:
    allowed = STANDARD | {"numpy", "scipy"}
    core = ("da.constants", *NUMERICAL_PACKAGES, *(f"da.{part}" for part in NUMERICAL_CORE))
    strangers = [one for one in _imports(path) if one.split(".")[0] not in allowed and not one.startswith(core)]
    assert strangers == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_that_imports_point_down_the_house(path: Path) -> None:
    name, imports = _name(path), _imports(path)
    if name.startswith("da") and name != "da.cli":
        assert [one for one in imports if one.startswith("model_adapters")] == []
    if name.startswith("model_adapters"):
        own = [one for one in imports if one.split(".")[0] == "da"]
        assert [one for one in own if one.split(".")[1] not in ADAPTER_MAY_IMPORT] == []
    if name != "da.parallel":
        assert [one for one in imports if one.split(".")[0] == "mpi4py"] == []
    assert [one for one in imports if one.split(".")[0] in ("tests", "experiments", "slurm", "benchmarks")] == []


def test_that_no_module_has_a_name_that_says_nothing() -> None:
    assert [_name(path) for path in MODULES if path.stem in FORBIDDEN_NAMES] == []


def test_that_imports_between_packages_have_no_cycle() -> None:
    graph: dict[str, set[str]] = {}
    names = {_name(path) for path in MODULES}
    for path in MODULES:
        targets = {one if one in names else one.rpartition(".")[0] for one in _imports(path)}
        graph[_name(path)] = {one for one in targets if one in names and one != _name(path)}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())
