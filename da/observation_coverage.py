"""What the analyses are made of where observations fail, known before a run begins: for log, files, provenance."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.calibration import Agreement, CalibrationReport, ContinuedFactor, FactorState
from da.calibration_setup import disagreements
from da.config import Experiment
from da.errors import ThermodaError
from da.observation_plan import ObservationPlan
from da.preparation import StepOne

TimeArray = NDArray[np.datetime64]
Span = tuple[np.datetime64, np.datetime64]


@dataclass(frozen=True, eq=False)
class ObservationCoverage:
    """Analyses without observations, and those of a data grid that stands in for the calibrating satellite's.

    Parameters
    ----------
    analyses : array of datetime64[ns]
        All analysis times.
    skipped : array of datetime64[ns]
        Those without any observation: the analysis is the forecast.
    state : array of int (analyses,)
        Whence the data grid's factor is at each of them, :class:`FactorState`.
    assimilates_grid : bool
    factor : ContinuedFactor
    report : CalibrationReport
    gaps : tuple of (from, until)
        Where the calibrating satellite has no factor between the first and the last analysis.
    outliers : dict of name -> int
        Number of densities of direct tracks that were left out.
    agreements : tuple of Agreement
        Of the satellites that enter the analyses.
    disagreeing : tuple of str
        A sentence for each pair of them that does not agree.
    """

    analyses: TimeArray
    skipped: TimeArray
    state: NDArray[np.int8]
    assimilates_grid: bool
    factor: ContinuedFactor
    report: CalibrationReport
    gaps: tuple[Span, ...]
    outliers: Mapping[str, int]
    agreements: tuple[Agreement, ...]
    disagreeing: tuple[str, ...]

    @property
    def spans(self) -> list[tuple[np.datetime64, np.datetime64, int]]:
        """First and last of analyses in a row that have no observation, and their number."""
        number = np.searchsorted(self.analyses, self.skipped)
        edges = [0, *(np.flatnonzero(np.diff(number) > 1) + 1).tolist(), number.size]
        runs = [self.skipped[first:last] for first, last in pairwise(edges)]
        return [(run[0], run[-1], run.size) for run in runs if run.size]

    def times_of(self, state: FactorState) -> TimeArray:
        """Return the analysis times at which the data grid is assimilated with a factor from there."""
        return self.analyses[self.state == state] if self.assimilates_grid else self.analyses[:0]

    def described(self) -> dict[str, Any]:
        """Return what the provenance tells."""
        persistence, fallback = self.factor.persistence, self.factor.fallback
        told: dict[str, Any] = {
            "analyses": int(self.analyses.size),
            "skipped": [{"first": _text(one), "last": _text(last), "analyses": n} for one, last, n in self.spans],
            "gaps": [{"from": _text(begin), "until": _text(end)} for begin, end in self.gaps],
            "outliers": {"calibration": self.report.outliers, **self.outliers},
            "filled_steps": self.report.filled,
            "agreement": [
                {"satellites": [one.first, one.second], "ln_ratio": one.difference, "error": one.error}
                for one in self.agreements
                if one.known
            ],
            "warnings": self.warnings(),
        }
        if persistence is not None:
            told["persisted"] = [_text(time) for time in self.times_of(FactorState.PERSISTED)]
            told["persistence"] = {
                "relaxation_time_h": persistence.relaxation_time_h,
                "standard_deviation": persistence.standard_deviation,
            }
        if fallback is not None:
            told[f"along_{fallback.satellite}"] = [_text(time) for time in self.times_of(FactorState.FALLBACK)]
        return told

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of files that have a record per analysis."""
        return {
            "analyses_without_observations": np.int32(self.skipped.size),
            "times_without_observations": " ".join(_text(time) for time in self.skipped),
        }

    def warnings(self) -> list[str]:
        """Return a sentence for everything that a user should know."""
        count, told = self.analyses.size, list(self.disagreeing)
        told += [
            f"nothing is assimilated from {_text(first)} to {_text(last)} ({number} of {count} analyses)"
            for first, last, number in self.spans
        ]
        if persisted := self.times_of(FactorState.PERSISTED).size:
            told.append(f"{persisted} of {count} analyses use a scale factor that persists (calibration.gaps)")
        if self.factor.fallback is not None and (other := self.times_of(FactorState.FALLBACK).size):
            told.append(f"{other} of {count} analyses use the scale factor of {self.factor.fallback.satellite}")
        return told

    def log(self) -> None:
        """Write the warnings to the log."""
        for sentence in self.warnings():
            logging.getLogger(__name__).warning("%s", sentence)


def observation_coverage(
    experiment: Experiment, step_one: StepOne, plan: ObservationPlan, analyses: TimeArray
) -> ObservationCoverage:
    """Return the coverage of a run that assimilates.

    Raises
    ------
    ThermodaError
        If no analysis has an observation.
    """
    skipped = plan.unobserved
    if skipped.size == analyses.size:
        raise ThermodaError(
            f"none of the {analyses.size} analyses from {_text(analyses[0])} to {_text(analyses[-1])} has an "
            f"observation: {_sources(experiment, step_one)}"
        )
    return ObservationCoverage(
        analyses,
        skipped,
        step_one.data_grid.state(analyses),
        experiment.data_grid.assimilate,
        step_one.factor,
        step_one.report,
        tuple(step_one.calibrated.gaps(analyses[0], analyses[-1])),
        plan.outliers,
        step_one.agreements,
        tuple(disagreements(experiment, step_one.agreements)),
    )


def _sources(experiment: Experiment, step_one: StepOne) -> str:
    """Say when the satellites that should be assimilated have densities."""
    names: Sequence[str] = experiment.used_satellites
    return ", ".join(
        f"{name} has densities from {_text(step_one.tracks[name].time[0])} to {_text(step_one.tracks[name].time[-1])}"
        for name in names
    )


def _text(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="s"))
