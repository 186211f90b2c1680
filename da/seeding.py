"""Random streams: one seed in the configuration, one independent stream per purpose and member.

A stream depends on the seed, the purpose and the number of the member alone, never on the rank that uses it, so that
results do not depend on how members are spread over processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is used for; the numbers are part of the reproducibility of a run."""

    PERTURBATIONS = 1
    INITIAL_STATE = 2
    TWIN_TRUTH = 3
    TWIN_NOISE = 4
    ADDITIVE_INFLATION = 5
    MEMBER_REPLACEMENT = 6


def stream(seed: int, purpose: Purpose, number: int = 0) -> np.random.Generator:
    """Return the random stream of one purpose and number (of a member, a satellite or an analysis)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), number)))


def streams(seed: int, purpose: Purpose, numbers: Iterable[int]) -> list[np.random.Generator]:
    """Return one stream per number."""
    return [stream(seed, purpose, number) for number in numbers]
