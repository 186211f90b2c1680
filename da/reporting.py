"""What a run tells its user on the terminal: progress while it runs, times and memory at the end."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from da.config import Experiment
from da.member_remedies import KINDS, MemberEvent

FAILURES_IN_WORDS = dict(
    zip(
        KINDS,
        (
            "{} times a shorter step saved a member that had failed",
            "{} times a failed member was replaced",
            "{} times a failed member was drawn anew",
            "{} failed members were left out for good",
        ),
        strict=True,
    )
)
"""By what was done about members that failed."""

LINE_SHARE = 0.1
"""Where the output is no terminal, a line is printed for every tenth of the run."""


class RunProgress:
    """Progress with the time left: a bar on a terminal, a few lines elsewhere (mpirun's pipes, log files).

    Parameters
    ----------
    console : Console
    enabled : bool
        On rank 0 only.
    """

    def __init__(self, console: Console, *, enabled: bool) -> None:
        self._console, self._enabled = console, enabled
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._began = time.perf_counter()
        self._next_line = LINE_SHARE

    def __enter__(self) -> RunProgress:
        if self._enabled and self._console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task("preparing", total=None)
            self._bar.start()
        elif self._enabled:
            self._console.print("preparing: indices, tracks, step one, initial states")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, total: int, done: int, text: str) -> None:
        """Show that ``done`` of ``total`` steps are done, the latest being ``text``."""
        if done == 1:
            self._began = time.perf_counter()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, description=text)
        elif done / total >= self._next_line or done == total:
            elapsed = time.perf_counter() - self._began
            left = elapsed * (total - done) / max(done - 1, 1)
            self._console.print(f"{100 * done // total:3d} %  {text}  elapsed {elapsed:.0f} s, about {left:.0f} s left")
            self._next_line = done / total + LINE_SHARE


def _ranks(number: int) -> str:
    return "1 rank" if number == 1 else f"{number} ranks"


def cutoff_keys(experiment: Experiment) -> list[str]:
    """Return the keys of the cut-off radii by which the sub-domains see the sources, without those that have none."""
    sections = {name: track.localization for name, track in experiment.direct_tracks.items()}
    keys = []
    shared = experiment.analysis.localization
    if shared.cutoff_radius is not None and (experiment.data_grid.assimilate or None in sections.values()):
        keys.append(f"analysis.localization.cutoff_radius_{shared.metric.unit}")
    own = {name: section.metric.unit for name, section in sections.items() if section is not None}
    return keys + [f"direct_tracks.{name}.localization.cutoff_radius_{unit}" for name, unit in own.items()]


def _unobserved_warning(experiment: Experiment, sub_domains: int) -> str:
    seen = f"warning: up to {sub_domains} sub-domains saw no observation and were not analysed"
    keys = cutoff_keys(experiment)
    return f"{seen}; {' or '.join(keys)} may be too small" if keys else seen


def _print_member_failures(console: Console, failures: Mapping[str, int], where: str = "") -> None:
    """Print how many members were mended, made anew or left out, where any were."""
    told = [text.format(failures[kind]) for kind, text in FAILURES_IN_WORDS.items() if failures.get(kind)]
    if not told:
        return
    console.print(
        f"warning: {', '.join(told)}{where}",
        style="yellow",
        soft_wrap=True,
        markup=False,
    )


def print_spin_up_summary(
    console: Console, experiment: Experiment, events: Sequence[MemberEvent], seconds: float
) -> None:
    """Print what was spun up, and what became of members that failed."""
    section = experiment.ensemble
    console.print(
        f"{experiment.experiment.name}: {section.members} members spun up over {section.spin_up_days:g} days, "
        f"in {seconds:.0f} s; run it with: python -m da run",
        soft_wrap=True,
        markup=False,
    )
    _print_member_failures(console, Counter(event.outcome.kind for event in events))


def print_run_summary(console: Console, experiment: Experiment, provenance: dict[str, Any], seconds: float) -> None:
    """Print times per phase, memory per rank and where the results are."""
    name = experiment.experiment.name
    table = Table(title=f"{name}: {experiment.ensemble.members} members on {_ranks(provenance['ranks'])}")
    table.add_column("phase")
    table.add_column(escape("wall time [s]"), justify="right")
    for phase, elapsed in provenance["phase_seconds"].items():
        table.add_row(phase, f"{elapsed:.1f}")
    table.add_row("everything", f"{seconds:.1f}", style="bold")
    console.print(table)
    memory = ", ".join(f"{size / 2**20:.0f}" for size in provenance["peak_memory_bytes"])
    console.print(f"peak memory per rank [MiB]: {memory}")
    if unobserved := provenance["sub_domains_without_observations"]:
        console.print(_unobserved_warning(experiment, unobserved), style="yellow", soft_wrap=True, markup=False)
    observations = provenance.get("observations", {})
    outliers = ", ".join(f"{name} {count}" for name, count in observations.get("outliers", {}).items() if count)
    if outliers:
        console.print(f"densities left out as outliers: {outliers}", soft_wrap=True, markup=False)
    for sentence in observations.get("warnings", ()):
        console.print(f"warning: {sentence}", style="yellow", soft_wrap=True, markup=False)
    folder = experiment.experiment.output_folder
    _print_member_failures(console, provenance["member_failures"], f"; see {folder / 'member_failures.csv'}")
    console.print(
        f"results: {folder}   evaluate them with: python -m da evaluate {shlex.quote(str(folder))}",
        soft_wrap=True,
        markup=False,
    )
