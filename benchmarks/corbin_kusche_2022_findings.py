"""The findings of Corbin & Kusche (2022): numbers and criteria by which runs are judged, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from corbin_kusche_2022_runs import (
    CHAMP,
    G_CM3,
    GRACE,
    INFINITE,
    NONE,
    PAPER_OPEN_LOOP,
    SATELLITES,
    SHOWN,
    TABLE_3,
    PaperRun,
    StudyRun,
    ranging,
    wrapped,
)
from numpy.typing import NDArray

from da.report.findings import COLLAPSE, HIGH_KM, read_filter_counts
from da.verification import Row
from da.verification.analysis_behaviour import (
    LATER_ANALYSES,
    AnalysisProfiles,
    analysis_course,
    analysis_profiles,
    storm_factor,
)
from da.verification.analysis_records import read_analyses
from da.verification.run_folder import read_track
from da.verification.storm import STORM_KP

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

ORDER_OF_MAGNITUDE = 10.0
NOTHING = 0.1
"""A median of less than this part of the open loop's counts as zero: it has no sign that means anything."""

LARGER = 1.5
"""From which factor on something is called larger in the storm; the paper has no number."""


@dataclass(frozen=True)
class Behaviour:
    """What the analyses of a run did.

    Parameters
    ----------
    profiles : AnalysisProfiles
    height_km : dict of satellite -> float
        Median along its track.
    quiet_correction, storm_correction, storm_departure : dict of satellite -> float
        At the height of a satellite: median root mean square of ln(analysis / forecast) for Kp < 5; by which factor it
        is larger in the storm; and the same factor of the departure during forecasts.
    """

    profiles: AnalysisProfiles
    height_km: Mapping[str, float]
    quiet_correction: Mapping[str, float]
    storm_correction: Mapping[str, float]
    storm_departure: Mapping[str, float]

    @classmethod
    def of(cls, run: StudyRun) -> Behaviour:
        """Return that of a complete run."""
        records, found = read_analyses(run.folder), dict[str, tuple[float, ...]]()
        for satellite in (CHAMP, GRACE):
            track = read_track(run.folder / f"track_{satellite}.nc")
            height = float(np.median(track.points.altitude_km))
            course = analysis_course(records, height)
            storm = kp_during(track.points.time, track.kp, course.start, course.stop) >= STORM_KP
            quiet = float(np.median(course.correction[~storm])) if not storm.all() else NONE
            factors = (storm_factor(one, storm) for one in (course.correction, course.departure))
            found[satellite] = (height, quiet, *factors)
        return cls(analysis_profiles(records), *({name: one[k] for name, one in found.items()} for k in range(4)))


def kp_during(time: TimeArray, kp: FloatArray, start: TimeArray, stop: TimeArray) -> FloatArray:
    """Return Kp in the middle of intervals, from its values along a track."""
    place = np.searchsorted(time, start + (stop - start) // 2, side="right") - 1
    return kp[np.clip(place, 0, time.size - 1)]


@dataclass(frozen=True)
class Judged:
    """A finding in one run: the number, and whether it is what the paper found; None where it cannot be told."""

    value: float
    text: str
    reproduced: bool | None

    @classmethod
    def of(cls, value: float, form: str, reproduced: Callable[[float], bool]) -> Judged:
        """Return the verdict on a number, open where it is not known."""
        return cls(value, format(value, form), reproduced(value)) if np.isfinite(value) else cls(value, "", None)

    def __str__(self) -> str:
        """Return the number with the verdict."""
        return f"{self.text} {'-' if self.reproduced is None else 'yes' if self.reproduced else 'no'}"


@dataclass(frozen=True)
class Finding:
    """A finding of the paper.

    Parameters
    ----------
    key, heading : str
    says : str
        What the paper says.
    criterion : str
        By what it is judged here.
    judge : callable
    of_paper : callable
        The same number of the paper's own run where Table 3 tells, else NaN.
    """

    key: str
    heading: str
    says: str
    criterion: str
    judge: Callable[[StudyRun, Behaviour], Judged]
    of_paper: Callable[[PaperRun], float] = lambda _: NONE

    def verdict(self, judged: Mapping[str, Judged]) -> str:
        """Return in how many runs the finding is reproduced, in which where not in all, and the range of the number."""
        known = {name: one for name, one in judged.items() if one.reproduced is not None}
        if not known:
            return "cannot be judged"
        good = [name for name, one in known.items() if one.reproduced]
        values = [one.value for one in known.values()]
        whole = "reproduced" if len(good) == len(known) else "reproduced in part" if good else "not reproduced"
        which = f" ({' '.join(good)})" if 0 < len(good) < len(known) else ""
        shown = f"; {SHOWN}: {judged[SHOWN]}" if SHOWN in judged else ""
        return f"{whole}, in {len(good)} of {len(known)}{which}; {ranging(values, '.2f')}{shown}"


def improvement(run: StudyRun, _: Behaviour) -> Judged:
    """Return by which factor the median difference along CHAMP is smaller than that of the open loop."""
    ratio = abs(run.ratio_to_open_loop(CHAMP))
    return Judged.of(1.0 / ratio if ratio else INFINITE, ".1f", lambda factor: factor >= ORDER_OF_MAGNITUDE)


def sign_swap(run: StudyRun, _: Behaviour) -> Judged:
    """Return the median difference along GRACE over that of the open loop."""
    return Judged.of(run.ratio_to_open_loop(GRACE), "+.2f", lambda ratio: ratio < -NOTHING)


def no_gain(run: StudyRun, _: Behaviour) -> Judged:
    """Return the size of the same."""
    return Judged.of(abs(run.ratio_to_open_loop(GRACE)), ".2f", lambda ratio: ratio >= 1.0)


def overshoot(_: StudyRun, behaviour: Behaviour) -> Judged:
    """Return what the first analysis adopts at great heights."""
    return Judged.of(behaviour.profiles.first_adopted(HIGH_KM), "+.2f", lambda part: part > 1.0)


def pushed_away(_: StudyRun, behaviour: Behaviour) -> Judged:
    """Return what the next analyses adopt there."""
    return Judged.of(behaviour.profiles.later_adopted(HIGH_KM), "+.2f", lambda part: part < 0.0)


def collapse(_: StudyRun, behaviour: Behaviour) -> Judged:
    """Return how assumed error over forecast spread grows from the first to the second analysis there."""
    high = behaviour.profiles.height_km > HIGH_KM
    growth = float(np.median(behaviour.profiles.error_ratio_growth()[high]))
    return Judged.of(growth, ".1f", lambda factor: factor > 1.0 / COLLAPSE)


def storm_jumps(_: StudyRun, behaviour: Behaviour) -> Judged:
    """Return corrections in the storm over those in quiet conditions."""
    return Judged.of(behaviour.storm_correction[CHAMP], ".1f", lambda factor: factor >= LARGER)


def storm_departure(_: StudyRun, behaviour: Behaviour) -> Judged:
    """Return departures during forecasts in the storm over those in quiet conditions."""
    return Judged.of(behaviour.storm_departure[CHAMP], ".1f", lambda factor: factor >= LARGER)


FINDINGS = (
    Finding(
        "a",
        "CHAMP",
        "the median difference along CHAMP is smaller than that of OLS 3 by an order of magnitude",
        f"|median of the open loop| / |median of the forecast| >= {ORDER_OF_MAGNITUDE:g}",
        improvement,
        lambda paper: abs(PAPER_OPEN_LOOP[CHAMP] / paper.champ),
    ),
    Finding(
        "b1",
        "sign swap",
        "the median difference along GRACE changes its sign against OLS 3",
        f"median of the forecast / median of the open loop < {-NOTHING:g}: what is closer to zero has no sign",
        sign_swap,
        lambda paper: paper.grace / PAPER_OPEN_LOOP[GRACE],
    ),
    Finding(
        "b2",
        "no gain",
        "and its size is not improved",
        "the size of the same ratio >= 1",
        no_gain,
        lambda paper: abs(paper.grace / PAPER_OPEN_LOOP[GRACE]),
    ),
    Finding(
        "c1",
        "overshoot",
        "the first analysis overshoots above about 350 km (Figure 8)",
        "adopted part of the innovation at the first analysis > 1; median over the heights of the data grid above "
        f"{HIGH_KM:g} km of the medians of each height",
        overshoot,
    ),
    Finding(
        "c2",
        "pushed away",
        "after it the analyses are pushed away from the observations there (Figure 8)",
        f"the same median, of the next {LATER_ANALYSES} analyses, < 0",
        pushed_away,
    ),
    Finding(
        "d",
        "collapse",
        "the first analysis drastically reduces the spread, most of all at great heights (Figure 9)",
        "assumed error / forecast spread at the second analysis over that at the first "
        f"> {1.0 / COLLAPSE:g}, median of these heights",
        collapse,
    ),
    Finding(
        "e1",
        "jumps",
        "corrections per analysis are larger in the storm (Figure 7)",
        f"RMS ln(analysis / forecast) on the data grid at CHAMP's height, median over analyses with Kp >= {STORM_KP:g} "
        f"/ over the others without the first, >= {LARGER:g} (the paper has no number)",
        storm_jumps,
    ),
    Finding(
        "e2",
        "departure",
        "the model departs much faster from the analysed state in the storm (Figure 7)",
        "the same of the change of ln density during a forecast less that of the observed density",
        storm_departure,
    ),
)

PAPER_FORMS = (".1f", "+.2f", ".2f")


def print_findings(runs: Mapping[str, StudyRun], behaviours: Mapping[str, Behaviour]) -> None:
    """Print what the paper finds, by what it is judged, the number of every run and whether it is reproduced."""
    print("\n== findings of the paper")
    for one in FINDINGS:
        print(wrapped(f"{one.key:<3} {one.says}: {one.criterion}", indent=4))
    print("f   assimilations that crashed end here, whatever the set-up")
    print(
        f"\n{'ID':<5}"
        + "".join(f"{f'{one.key} {one.heading}':>16}" for one in FINDINGS)
        + f"{'overshoot':>13}{'pushed away':>15}  [km]"
    )
    verdicts = {name: [one.judge(runs[name], behaviour) for one in FINDINGS] for name, behaviour in behaviours.items()}
    for name, judged in verdicts.items():
        print(f"{name:<5}" + "".join(f"{one!s:>16}" for one in judged) + _heights(behaviours[name].profiles))
        paper = [one.of_paper(TABLE_3[name]) for one in FINDINGS]
        texts = [format(one, form) if np.isfinite(one) else "" for one, form in zip(paper, PAPER_FORMS, strict=False)]
        print(f"{'paper':<5}" + "".join(f"{f'{text}    ':>16}" for text in texts).rstrip())
    print("The paper shows c to e of experiment 13 and calls the others alike; its overshoot begins at about 350 km.")
    for number, one in enumerate(FINDINGS):
        print(f"{one.key:<3} {one.heading}: {one.verdict({name: found[number] for name, found in verdicts.items()})}")
    _print_completion(runs)


def _heights(profiles: AnalysisProfiles) -> str:
    """Return from which height on the first analysis overshoots, and between which the next ones are pushed away."""
    start, away = profiles.overshoot_from_km(), profiles.height_km[profiles.later_adopted_by_height() < 0.0]
    overshoots = f"from {start:.0f}" if np.isfinite(start) else "nowhere"
    pushed = " to ".join(f"{height:.0f}" for height in sorted({away.min(), away.max()})) if away.size else "nowhere"
    return f"{overshoots:>13}{pushed:>15}"


def _print_completion(runs: Mapping[str, StudyRun]) -> None:
    crashed = [name for name, paper in TABLE_3.items() if paper.completion < 1.0 and name in runs]
    ended = [name for name in crashed if runs[name].completion >= 1.0]
    if crashed:
        print(f"f   completion: {len(ended)} of {len(crashed)} that crashed in the paper end here ({' '.join(ended)})")
    complete = [run for run in runs.values() if run.assimilates and run.evaluation is not None]
    counts = {run.identifier: read_filter_counts(run.folder / "filter.nc") for run in complete}
    replaced = {name: number for name, (_, number, _) in counts.items() if number}
    hits = {name: number for name, (found, _, _) in counts.items() if (number := sum(found.values()))}
    for what, found in (("members replaced", replaced), ("values put within their bounds", hits)):
        told = ", ".join(f"{name} {number:,}" for name, number in found.items())
        print(wrapped(told or "none in any run", f"    {what}: ", indent=4))


def print_first_analyses(run: StudyRun, behaviour: Behaviour) -> None:
    """Print by height what decides whether the first analysis overshoots."""
    one = behaviour.profiles
    columns = {
        "innovation": one.innovation[0],
        "spread": one.forecast_spread[0],
        "error": one.error[0],
        "left": one.spread_left[0],
        "growth": one.error_ratio_growth(),
        "adopted": one.adopted[0],
        "one pattern": one.adopted_by_one_pattern(behaviour.height_km[CHAMP]),
        "later": one.later_adopted_by_height(),
    }
    print(f"\n== experiment {run.identifier} by height: medians of the first analysis")
    print(f"{'km':>5}" + "".join(f"{name:>13}" for name in columns))
    for number, height in enumerate(one.height_km):
        print(f"{height:>5.0f}" + "".join(f"{values[number]:>13.3f}" for values in columns.values()))
    print(
        wrapped(
            "innovation: ln(calibrated MSIS / forecast); spread, error: of the forecast and assumed, over the density; "
            "left: spread after over before; growth: of error / spread to the second analysis (Figure 9); adopted: "
            "part of the innovation (Figure 8); one pattern: what that would be if members differed by multiples of "
            f"one profile, from that at CHAMP's height; later: adopted by the next {LATER_ANALYSES} analyses",
            indent=0,
        )
    )


def print_conditions(run: StudyRun, behaviour: Behaviour) -> None:
    """Print what an order of magnitude and an overshoot rest on: how wrong the open loop is, and where."""
    print("\n== what the findings rest on")
    for satellite in SATELLITES:
        track = read_track(run.folder / f"track_{satellite}.nc")
        density = float(np.median(track.observed)) * G_CM3
        here, paper = run.median(satellite, Row.OPEN_LOOP) / density, PAPER_OPEN_LOOP[satellite] / density
        print(
            f"OLS 3 along {satellite.upper()}: median difference {100.0 * here:+.0f} % of the median observed density "
            f"{density:.1e} g cm-3; the paper's number is {100.0 * paper:+.0f} % of the same"
        )
    one = behaviour.profiles
    low, high = (one.nearest(behaviour.height_km[name]) for name in SATELLITES)
    innovation, spread = (values[0, high] / values[0, low] for values in (one.innovation, one.forecast_spread))
    print(
        f"{run.identifier}, first analysis, {one.height_km[high]:.0f} over {one.height_km[low]:.0f} km: innovation "
        f"{innovation:.2f}, spread {spread:.2f}; an overshoot above CHAMP needs the larger spread, and the same sign"
    )
    for satellite in SATELLITES:
        quiet, storm = behaviour.quiet_correction[satellite], behaviour.storm_correction[satellite]
        print(
            f"{run.identifier}, height of {satellite.upper()}: corrections of {quiet:.3f} in ln density when quiet, "
            f"{storm:.1f} times as large in the storm; departures {behaviour.storm_departure[satellite]:.1f} times"
        )
