"""What a reader of a run's results must be warned of, with the thresholds by which it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.report.reported_run import ReportedRun
from da.stored_dataset import stored_dataset, stored_values
from da.verification.analysis_records import AnalysisRecords, read_analyses
from da.verification.bootstrap import Significance
from da.verification.details import EvaluationDetails
from da.verification.evaluation import Activity, Row

FloatArray = NDArray[np.float64]

COLLAPSE = 0.5
"""The spread collapses where an analysis leaves less than this part of it."""

OVERSHOOT = 1.1
"""An analysis overshoots where it adopts more than this part of the innovation."""

PUSHED_AWAY = -0.05
"""An analysis is pushed away from the observations where it adopts less than this part of the innovation."""

PUSHED_SHARE = 0.25
"""Part of the later analyses' layers from which on that is worth a warning."""

HIGH_KM = 350.0
"""Above this height, the analyses of Corbin & Kusche (2022) overshoot."""

CHI_SQUARE = (0.5, 2.0)
"""Bounds of squared innovations over their assumed variance; one if right."""

SPREAD_TO_ERROR = 0.5
"""An ensemble whose spread is less than this part of its error is too sure of itself."""

SIGNIFICANT = 0.05

MOST_COUNTED = 1e12
"""Of anything in one analysis; more would be a damaged number."""


@dataclass(frozen=True)
class Finding:
    """One warning.

    Parameters
    ----------
    name : str
        Of what is wrong, in two or three words.
    text : str
        With the numbers and the threshold.
    """

    name: str
    text: str


def findings(run: ReportedRun) -> list[Finding]:
    """Return the warnings of a run; what its folder lacks is among them."""
    found = [Finding("missing", gap) for gap in run.gaps]
    if assimilates(run):
        found += [*_of_analyses(run), *filter_counts(run)]
    if run.details is not None:
        found += [*inconsistent_innovations(run.details), *scores(run.details)]
    return found


def assimilates(run: ReportedRun) -> bool:
    """Return whether a run has analyses, as far as its configuration tells."""
    experiment = run.provenance.get("configuration", {}).get("experiment", {})
    return bool(experiment.get("assimilate", True))


def _of_analyses(run: ReportedRun) -> list[Finding]:
    try:
        records = read_analyses(run.folder)
    except ThermodaError as error:
        return [Finding("missing", f"the analyses cannot be judged: {error}")]
    return [*spread_collapse(records), *overshoot(records)]


def _range(height: FloatArray, chosen: NDArray[np.bool_]) -> str:
    low, high = height[chosen].min(), height[chosen].max()
    return f"at {low:g} km" if low == high else f"between {low:g} and {high:g} km"


def spread_collapse(records: AnalysisRecords) -> list[Finding]:
    """Return whether the first analysis leaves less than half of the spread at any height (median)."""
    height, quartiles = records.quartiles(records.spread_ratio())
    median = quartiles[1, 0]
    low = median < COLLAPSE
    if not low.any():
        return []
    worst = int(np.nanargmin(median))
    text = (
        f"The first analysis leaves less than {COLLAPSE:g} of the forecast's spread {_range(height, low)}; least "
        f"{median[worst]:.2f} at {height[worst]:g} km (medians over observations)."
    )
    return [Finding("collapse of spread", text)]


def overshoot(records: AnalysisRecords) -> list[Finding]:
    """Return whether the first analysis goes beyond the observations above 350 km, or later ones away from them."""
    height, quartiles = records.quartiles(records.adopted_fraction())
    high = height > HIGH_KM
    found = []
    first = np.where(high, quartiles[1, 0], np.nan)
    beyond = first > OVERSHOOT
    if beyond.any():
        worst = int(np.nanargmax(first))
        text = (
            f"The first analysis adopts more than {OVERSHOOT:g} of the innovation {_range(height, beyond)}; most "
            f"{first[worst]:.2f} at {height[worst]:g} km (medians)."
        )
        found.append(Finding("overshoot", text))
    later = quartiles[1, 1:][:, high]
    known = np.isfinite(later)
    share = float(np.mean(later[known] < PUSHED_AWAY)) if known.any() else 0.0
    if share > PUSHED_SHARE:
        text = (
            f"Of the later analyses, layer by layer above {HIGH_KM:g} km, {100.0 * share:.0f} % are pushed away from "
            f"the observations (median adopted part below {PUSHED_AWAY:g})."
        )
        found.append(Finding("pushed away", text))
    return found


def filter_counts(run: ReportedRun) -> list[Finding]:
    """Return warnings of constraint hits, replaced members and sub-domains without observations."""
    found = []
    try:
        hits, replaced, unobserved = read_filter_counts(run.folder / "filter.nc")
    except ThermodaError as error:
        found.append(Finding("missing", f"constraint hits are not known: {error}"))
    else:
        if total := sum(hits.values()):
            parts = ", ".join(f"{name} {number:,}" for name, number in hits.items() if number)
            text = f"{total:,} values of members, over all analyses, were put within their bounds: {parts}."
            found.append(Finding("constraint hits", text))
        if replaced:
            text = f"{replaced} members were made anew between analyses, because they had failed."
            found.append(Finding("members replaced", text))
        if unobserved:
            text = f"Up to {unobserved} sub-domains saw no observation and were not analysed."
            found.append(Finding("unobserved", text))
    failures = run.provenance.get("member_failures", {})
    if dropped := failures.get("dropped", 0):
        text = f"{dropped} members were left out for good, because they had failed; spread and mean are of the others."
        found.append(Finding("members dropped", text))
    if shorter := failures.get("with_a_shorter_step", 0):
        found.append(Finding("shorter steps", f"{shorter} times a shorter time step saved a member that had failed."))
    return found


def read_filter_counts(path: Path) -> tuple[dict[str, int], int, int]:
    """Return constraint hits by name, members replaced, and the largest number of sub-domains without observations.

    What an older file does not hold counts as zero.

    Raises
    ------
    ThermodaError
        If the file is missing or cannot be read.
    """
    with stored_dataset(path) as dataset:
        hits: dict[str, int] = {}
        if "constraint_hits" in dataset.variables and "constraint" in dataset.variables:
            names = str(dataset["constraint"].attrs.get("flag_meanings", "")).split()
            counts = _counts(path, dataset, "constraint_hits", ("time", "constraint")).sum(axis=0)
            hits = {name: int(count) for name, count in zip(names, counts, strict=False)}
        replaced = _counts(path, dataset, "members_replaced", ("time",))
        unobserved = _counts(path, dataset, "unobserved_sub_domains", ("time",))
    return hits, int(replaced.sum()), int(unobserved.max(initial=0.0))


def _counts(path: Path, dataset: xr.Dataset, name: str, dimensions: tuple[str, ...]) -> FloatArray:
    """Return counts; none where an older file does not hold them, and zero where they are missing values."""
    if name not in dataset.variables:
        return np.zeros((0,) * len(dimensions))
    counts = stored_values(path, dataset, name, dimensions)
    return np.where((counts >= 0.0) & (counts < MOST_COUNTED), counts, 0.0)


def inconsistent_innovations(details: EvaluationDetails) -> list[Finding]:
    """Return whether innovations are much larger or smaller than spread and assumed errors say, at any height."""
    if details.innovations is None:
        return []
    values = details.innovations.value()
    found = []
    for label, chosen in (
        (f"more than {CHI_SQUARE[1]:g} times", [one for one in values if one.chi_square > CHI_SQUARE[1]]),
        (f"less than {CHI_SQUARE[0]:g} times", [one for one in values if one.chi_square < CHI_SQUARE[0]]),
    ):
        if not chosen:
            continue
        worst = max(chosen, key=lambda one: abs(np.log(one.chi_square)))
        height = np.array([one.altitude_km for one in chosen])
        text = (
            f"Squared innovations are {label} their assumed variance {_range(height, np.ones(height.size, dtype=bool))}"
            f" ({len(chosen)} of {len(values)} heights); {worst.chi_square:.2f} times at {worst.altitude_km:g} km."
        )
        found.append(Finding("innovations inconsistent", text))
    return found


def scores(details: EvaluationDetails) -> list[Finding]:
    """Return along which satellites the forecast is worse than calibrated MSIS, or too sure of itself.

    In a run that assimilates nothing, the open loop takes the place of the forecast.
    """
    found = []
    for one in details.satellites:
        name, rows = one.satellite.satellite, one.satellite.statistics[Activity.ALL]
        tested, calibrated = (rows[row].pairs.value() for row in (one.tested, Row.CALIBRATED_MSIS))
        if tested.rms_log_ratio > calibrated.rms_log_ratio:
            more = 100.0 * (tested.rms_log_ratio / calibrated.rms_log_ratio - 1.0)
            text = (
                f"Along {name} the {one.tested} is worse than calibrated MSIS: RMS ln(observed/modelled) "
                f"{tested.rms_log_ratio:.3f} against {calibrated.rms_log_ratio:.3f}, {more:.0f} % more "
                f"({_meaning(one.significance[Row.CALIBRATED_MSIS])})."
            )
            found.append(Finding("no gain", text))
        if tested.spread_to_error < SPREAD_TO_ERROR:
            text = (
                f"Along {name} the spread of the {one.tested} is {tested.spread_to_error:.2f} of its error, less than "
                f"{SPREAD_TO_ERROR:g}."
            )
            found.append(Finding("too little spread", text))
    return found


def _meaning(test: Significance) -> str:
    values = (test.p_bootstrap, test.p_diebold_mariano)
    if not np.isfinite(values).all():
        return "too few orbits for a test"
    kind = "significant" if max(values) < SIGNIFICANT else "not significant"
    return f"{kind}: p {values[0]:.3f} and {values[1]:.3f}"
