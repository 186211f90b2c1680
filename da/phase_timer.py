"""How long the phases of a run take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from da.cycle import CycleRecord


@dataclass
class PhaseTimer:
    """Wall time per phase [s] on this rank."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def measure(self, phase: str, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returns, its time added to the phase."""
        began = time.perf_counter()
        result = work()
        self.seconds[phase] += time.perf_counter() - began
        return result

    def records(self, name: str, records: Iterable[CycleRecord]) -> Iterator[CycleRecord]:
        """Yield the records, the time that each took added to its phase."""
        iterator = iter(records)
        while True:
            began = time.perf_counter()
            record = next(iterator, None)
            if record is None:
                return
            self.seconds[f"{name} {record.phase}"] += time.perf_counter() - began
            yield record

    def add(self, seconds: dict[str, float]) -> None:
        """Add what earlier processes of the same run took."""
        for phase, value in seconds.items():
            self.seconds[phase] += value
