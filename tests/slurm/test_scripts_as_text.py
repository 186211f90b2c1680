"""What can be said of the job scripts and container recipes without Slurm and without building an image."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from da.endings import EXIT_STOPPED

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for path in (REPOSITORY / "slurm").glob("*.sh") if path.name != "common.sh")
PAGE = (REPOSITORY / "docs" / "slurm.md").read_text(encoding="utf-8")
RECIPES = [REPOSITORY / "slurm" / "containers" / name for name in ("Containerfile", "thermoda.def")]


def lines_of_the_site(script: Path) -> list[str]:
    """Return the values that a site sets, without those that differ from script to script."""
    text = script.read_text(encoding="utf-8")
    block = text[text.index("# ---- Site: set") : text.index("# ---- Site: end")]
    return [line for line in block.splitlines() if not line.startswith("#SBATCH")]


def test_that_all_scripts_have_the_same_values_of_the_site_at_their_top() -> None:
    assert [script.name for script in SCRIPTS] == ["restart_chain.sh", "run.sh", "sweep.sh", "tiegcm.sh"]
    assert all(lines_of_the_site(script) == lines_of_the_site(SCRIPTS[0]) for script in SCRIPTS)
    for name in re.findall(r"^(?:: \"\$\{)?([A-Z_]+)[:=]", "\n".join(lines_of_the_site(SCRIPTS[0])), re.MULTILINE):
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_that_slurm_finds_all_directives_before_the_first_command(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    commands = [number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    assert all(number < commands[0] for number, line in enumerate(lines) if line.startswith(("#SBATCH", "##SBATCH")))
    assert len(lines) < 45
    assert f"slurm/{script.name}" in PAGE


@pytest.mark.parametrize("script", [*SCRIPTS, REPOSITORY / "slurm" / "common.sh"], ids=lambda script: script.name)
def test_that_scripts_are_sound(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: the syntax alone was checked")
    done = subprocess.run(
        ["shellcheck", "--external-sources", str(script)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_that_scripts_know_the_status_of_a_run_that_was_stopped() -> None:
    common = (REPOSITORY / "slurm" / "common.sh").read_text(encoding="utf-8")
    assert f"STOPPED={EXIT_STOPPED} " in common


def test_that_both_recipes_make_the_same_image() -> None:
    texts = [recipe.read_text(encoding="utf-8") for recipe in RECIPES]
    for shared in (
        '"/source[mpi,cluster]"',
        "mpiexec -n 2 python -m mpi4py -m da round-trip",
        "python:3.12-slim-bookworm",
    ):
        assert all(shared in text for text in texts)
    for name in ("pyproject.toml", "README.md", "LICENSE", "da", "model_adapters", "experiments"):
        assert (REPOSITORY / name).exists()
        assert all(name in text for text in texts)
