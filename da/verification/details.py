"""All that an evaluation says beyond its table of scores: groups, orbits, the storm's peak, intervals, significance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.verification.bootstrap import Interval, Significance, compare_models, confidence_intervals, error_sums
from da.verification.evaluation import Evaluation, Row, RowStatistics, SatelliteEvaluation
from da.verification.lead_time import LeadTimeStatistics, lead_time_statistics
from da.verification.observation_space import InnovationStatistics, read_innovation_statistics
from da.verification.orbits import OrbitMeans, OrbitSums, orbits_of
from da.verification.probabilistic import Reliability, SpreadSkill, exceedance_probability
from da.verification.statistics import Scores
from da.verification.storm import PeakErrors, StormPhase, peak_errors, phase_masks, pre_storm_ratio
from da.verification.strata import groupings

BASELINES = (Row.MSIS, Row.CALIBRATED_MSIS, Row.PERSISTED, Row.OPEN_LOOP)
"""What the forecast is tested against."""

SPREAD_EDGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
"""Classes of the spread of ln density."""

BOOTSTRAP_SEED = 2022
DEBIASED = "storm phase, debiased"

Groups = Mapping[str, Mapping[str, Mapping[Row, RowStatistics]]]


@dataclass(frozen=True)
class SatelliteDetails:
    """Details of one satellite.

    Parameters
    ----------
    satellite : SatelliteEvaluation
    groups : mapping of grouping to mapping of group to mapping of Row to RowStatistics
        Groups without points are absent; the phases of the storm twice, the second time with each row debiased on the
        pre-storm density, where there is one.
    orbits : mapping of Row to OrbitMeans
        Averages over complete orbits.
    orbit_scores : mapping of Row to Scores
        Of those averages.
    peaks : mapping of Row to PeakErrors
    intervals : mapping of Row to mapping of statistic to Interval
        95 % block-bootstrap intervals over orbits.
    significance : mapping of Row to Significance
        Of the row :attr:`tested` against each other one of :data:`BASELINES`.
    spread_skill : mapping of Row to SpreadSkill
        Errors of ln density in classes of its spread, of the rows with an ensemble.
    reliability : mapping of Row to Reliability
        Of the probability that the density is above the median of those observed at the points; a row without an
        ensemble is certain of its density.
    """

    satellite: SatelliteEvaluation
    groups: Groups
    orbits: Mapping[Row, OrbitMeans]
    orbit_scores: Mapping[Row, Scores]
    peaks: Mapping[Row, PeakErrors]
    intervals: Mapping[Row, Mapping[str, Interval]]
    significance: Mapping[Row, Significance]
    spread_skill: Mapping[Row, SpreadSkill]
    reliability: Mapping[Row, Reliability]

    @property
    def tested(self) -> Row:
        """What is tested against the others: the forecast, or the open loop of a run without assimilation."""
        return tested_row(self.satellite)


def tested_row(satellite: SatelliteEvaluation) -> Row:
    """Return the row that is tested against the others."""
    return Row.FORECAST if Row.FORECAST in satellite.modelled else Row.OPEN_LOOP


@dataclass(frozen=True)
class EvaluationDetails:
    """Details of a run.

    Parameters
    ----------
    evaluation : Evaluation
    satellites : tuple of SatelliteDetails
        In the order of the evaluation.
    innovations : InnovationStatistics or None
        None where the run has no ``observations.nc``.
    free_forecasts : tuple of LeadTimeStatistics
        One per satellite; none where the run has no free forecasts.
    """

    evaluation: Evaluation
    satellites: tuple[SatelliteDetails, ...]
    innovations: InnovationStatistics | None
    free_forecasts: tuple[LeadTimeStatistics, ...] = ()


def details(evaluation: Evaluation, run: Path) -> EvaluationDetails:
    """Return the details of an evaluated run.

    Parameters
    ----------
    evaluation : Evaluation
    run : Path
        Its folder, for ``observations.nc`` and free forecasts.
    """
    path = run / "observations.nc"
    innovations = read_innovation_statistics(path) if path.is_file() else None
    return EvaluationDetails(
        evaluation,
        tuple(satellite_details(one) for one in evaluation.satellites),
        innovations,
        lead_time_statistics(evaluation, run),
    )


def satellite_details(satellite: SatelliteEvaluation) -> SatelliteDetails:
    """Return the details of one satellite; the same evaluation gives the same intervals, bit for bit."""
    orbit = orbits_of(satellite.points)
    observed, modelled = satellite.observed, satellite.modelled
    orbits = {row: OrbitSums.of(orbit, satellite.points.time, observed, modelled[row]).value() for row in modelled}
    # One seed for all rows: they are resampled alike, and their intervals can be compared.
    intervals = {
        row: confidence_intervals(error_sums(orbit, observed, modelled[row]), np.random.default_rng(BOOTSTRAP_SEED))
        for row in modelled
    }
    tested = tested_row(satellite)
    significance = {
        row: compare_models(orbit, observed, modelled[tested], modelled[row], np.random.default_rng(BOOTSTRAP_SEED))
        for row in BASELINES
        if row is not tested
    }
    return SatelliteDetails(
        satellite,
        _groups(satellite),
        orbits,
        {row: means.statistics().value() for row, means in orbits.items()},
        {row: peak_errors(means, satellite.epoch) for row, means in orbits.items()},
        intervals,
        significance,
        {row: _spread_skill(satellite, row) for row in satellite.spread},
        {row: _reliability(satellite, row) for row in satellite.modelled},
    )


def _spread_skill(satellite: SatelliteEvaluation, row: Row) -> SpreadSkill:
    """Return the classes of one row; the log-normal law has its mean half a variance below the ln of the mean."""
    variance = np.log1p((satellite.spread[row] / satellite.modelled[row]) ** 2)
    error = np.log(satellite.observed / satellite.modelled[row]) + 0.5 * variance
    return SpreadSkill.of(error, np.sqrt(variance), np.array(SPREAD_EDGES))


def _reliability(satellite: SatelliteEvaluation, row: Row) -> Reliability:
    threshold = float(np.median(satellite.observed))
    modelled = satellite.modelled[row]
    certain = (modelled > threshold).astype(np.float64)
    probability = (
        exceedance_probability(modelled, satellite.spread[row], np.full(modelled.size, threshold))
        if row in satellite.spread
        else certain
    )
    return Reliability.of(probability, (satellite.observed > threshold).astype(np.float64))


def _groups(satellite: SatelliteEvaluation) -> Groups:
    found: dict[str, dict[str, dict[Row, RowStatistics]]] = {}
    for grouping in groupings(satellite.points, satellite.kp, satellite.epoch):
        found[grouping.name] = {
            label: {row: satellite.row_statistics(row, mask) for row in satellite.modelled}
            for label, mask in grouping.masks()
        }
    if satellite.epoch is not None and (debiased := _debiased_phases(satellite, satellite.epoch)):
        found[DEBIASED] = debiased
    return found


def _debiased_phases(satellite: SatelliteEvaluation, epoch: np.datetime64) -> dict[str, dict[Row, RowStatistics]]:
    """Return the phases with each row times its pre-storm ratio; empty without a pre-storm phase."""
    time, observed = satellite.points.time, satellite.observed
    masks = phase_masks(time, epoch)
    if not masks[StormPhase.PRE_STORM].any():
        return {}
    ratios = {row: pre_storm_ratio(time, epoch, observed, values) for row, values in satellite.modelled.items()}

    def of(row: Row, mask: NDArray[np.bool_]) -> RowStatistics:
        spread = ratios[row] * satellite.spread[row][mask] if row in satellite.spread else None
        return RowStatistics.of(observed[mask], ratios[row] * satellite.modelled[row][mask], spread)

    return {str(phase): {row: of(row, mask) for row in ratios} for phase, mask in masks.items() if mask.any()}


@dataclass(frozen=True)
class RunComparison:
    """One row of two runs along one satellite, at the points that both have.

    Parameters
    ----------
    satellite : str
    row : Row
    n : int
        Points compared.
    first, second : Scores
    significance : Significance
        Of the first against the second.
    """

    satellite: str
    row: Row
    n: int
    first: Scores
    second: Scores
    significance: Significance


def compare_runs(
    first: Evaluation, second: Evaluation, satellite: str, row: Row = Row.FORECAST, seed: int = BOOTSTRAP_SEED
) -> RunComparison:
    """Return how one row of two runs compares, with its significance.

    Raises
    ------
    ThermodaError
        If a run has no such satellite, no point is common to both, or the observations of the two differ.
    """
    one, other = (_satellite(evaluation, satellite) for evaluation in (first, second))
    _, here, there = np.intersect1d(one.points.time, other.points.time, assume_unique=True, return_indices=True)
    if not here.size:
        raise ThermodaError(f"{first.name} and {second.name}: no common points along {satellite} to compare")
    observed = one.observed[here]
    if not np.allclose(observed, other.observed[there], rtol=1e-6, atol=0.0):
        raise ThermodaError(f"{first.name} and {second.name}: the densities of {satellite} differ; use the same data")
    mine, theirs = one.modelled[row][here], other.modelled[row][there]
    spreads = [run.spread[row][at] if row in run.spread else None for run, at in ((one, here), (other, there))]
    orbit = orbits_of(one.points.take(here))
    return RunComparison(
        satellite,
        row,
        int(here.size),
        RowStatistics.of(observed, mine, spreads[0]).pairs.value(),
        RowStatistics.of(observed, theirs, spreads[1]).pairs.value(),
        compare_models(orbit, observed, mine, theirs, np.random.default_rng(seed)),
    )


def _satellite(evaluation: Evaluation, name: str) -> SatelliteEvaluation:
    for one in evaluation.satellites:
        if one.satellite == name:
            return one
    known = ", ".join(one.satellite for one in evaluation.satellites)
    raise ThermodaError(f"run {evaluation.name}: there is no satellite '{name}', only {known}")
