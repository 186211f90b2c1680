"""The YAML that the documents show is accepted as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from da.config import read_experiment

REPOSITORY = Path(__file__).resolve().parents[1]
GRACE = {"synthetic": {"altitude_km": 474, "inclination_deg": 89.0, "sampling_s": 120}}


def sections(page: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (REPOSITORY / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [YAML(typ="safe").load(block) for block in blocks]


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/drivers.md", "docs/member_failures.md", "docs/observations.md", "docs/tiegcm.md"],
)
def test_that_sections_shown_are_accepted(tiny_experiment: Callable[..., Path], page: str) -> None:
    shown = [one for one in sections(page) if not one.keys() <= {"satellites"}]
    assert shown
    for one in shown:
        experiment = read_experiment(tiny_experiment(**({"satellites": {"grace": GRACE}} | one)))[0]
        for key in one:
            assert getattr(experiment, key)
