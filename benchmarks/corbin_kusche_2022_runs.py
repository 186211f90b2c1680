"""The tables of Corbin & Kusche (2022), and the runs of a study of the same design."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from da.config import Experiment, read_experiment, to_datetime64
from da.errors import ThermodaError
from da.localization.weights import Weighting
from da.storage import partial_path
from da.study_runs import evaluated
from da.verification import Row

CHAMP, GRACE = SATELLITES = ("champ", "grace")

G_CM3 = 1e-3
"""kg m-3 in g cm-3."""

INFINITE, NONE = float("inf"), float("nan")
WIDTH = 150
"""Of what is printed."""


@dataclass(frozen=True)
class PaperRun:
    """A row of Table 3 of the paper; medians in g cm-3."""

    completion: float
    half_life_km: float
    weight_p0: float
    forgetting_factor: float
    localized: bool
    champ: float
    grace: float


TABLE_3 = {
    "10": PaperRun(1.00, 600.0, 3.0, 1.00, True, -5.3e-16, -1.5e-16),
    "11": PaperRun(1.00, 600.0, 4.0, 1.00, True, -6.4e-16, -1.5e-16),
    "12": PaperRun(1.00, 100.0, 4.0, 1.00, True, -6.8e-17, -1.5e-16),
    "13": PaperRun(1.00, 100.0, 4.0, 1.00, False, -7.1e-17, -1.3e-16),
    "14": PaperRun(1.00, 100.0, 1.0, 1.00, False, 3.7e-16, -1.4e-16),
    "15": PaperRun(1.00, 100.0, 6.0, 1.00, False, 4.1e-17, -1.3e-16),
    "16": PaperRun(0.08, INFINITE, 4.0, 0.75, False, -1.0e-17, -1.3e-16),
    "17": PaperRun(0.54, INFINITE, 2.0, 0.90, False, -6.5e-16, -1.5e-16),
    "18": PaperRun(0.20, 900.0, 2.0, 0.85, False, -4.5e-16, -1.3e-16),
    "19": PaperRun(0.22, 300.0, 3.0, 0.85, False, -3.7e-16, -1.3e-16),
    "20": PaperRun(1.00, 500.0, 4.0, 1.00, False, 9.0e-17, -1.3e-16),
    "21": PaperRun(0.80, 500.0, 3.0, 0.95, False, -1.8e-16, -1.2e-16),
}
"""Corbin & Kusche (2022), doi:10.21203/rs.3.rs-1616740/v1, Table 3: the assimilations."""

SHOWN = "13"
"""The experiment whose analyses the paper shows."""

REFERENCE = "ols_3"
"""The open loop of all assimilations."""

PAPER_OPEN_LOOP = {CHAMP: 7.3e-15, GRACE: 9.2e-17}
"""Last row of Table 3 [g cm-3]; there are no numbers of the other open loops."""

TABLE_2 = {"ols_1": ("Heelis", "flat"), "ols_2": ("Heelis", "MSIS & HWM"), "ols_3": ("Weimer", "MSIS & HWM")}
"""Table 2: high-latitude potential and lower boundary of the open loops."""

OPEN_LOOP_RISES = (("ols_2", "ols_1", 0.05), ("ols_3", "ols_2", 0.10))
"""By which the median density along CHAMP of one open loop exceeds that of another (text below Table 2)."""


@dataclass(frozen=True)
class StudyRun:
    """A run of the study.

    Parameters
    ----------
    identifier : str
        That of the paper.
    folder : Path
        With the suffix of an unfinished run, where it is one.
    experiment : Experiment
    completion : float
        Part of the experiment's time that the last record of the run has reached.
    evaluation : Dataset or None
        With its labels as indexes; None where the run did not end.
    """

    identifier: str
    folder: Path
    experiment: Experiment
    completion: float
    evaluation: xr.Dataset | None

    @property
    def assimilates(self) -> bool:
        """Whether it has analyses."""
        return bool(self.experiment.experiment.assimilate)

    def score(self, name: str, satellite: str, row: Row, group: str = "all") -> float:
        """Return a score of the evaluation, NaN where there is none."""
        if self.evaluation is None or satellite not in self.evaluation["satellite_name"]:
            return NONE
        values = self.evaluation[name]
        labels = {"satellite_name": satellite, "row_name": str(row), "group_name": group}
        return float(values.sel({key: one for key, one in labels.items() if key.removesuffix("_name") in values.dims}))

    def median(self, satellite: str, row: Row) -> float:
        """Return the median difference [g cm-3], model minus observation."""
        return self.score("median_difference_kg_m3", satellite, row) * G_CM3

    def ratio_to_open_loop(self, satellite: str) -> float:
        """Return the median difference of the forecast over that of the open loop, at the same points."""
        open_loop = self.median(satellite, Row.OPEN_LOOP)
        return self.median(satellite, Row.FORECAST) / open_loop if open_loop else NONE

    def localized(self) -> bool:
        """Return whether observations are weighted by their distance from the sub-domain."""
        return self.experiment.analysis.localization.weighting is not Weighting.UNIFORM

    def unlike_the_paper(self) -> list[str]:
        """Return in what an assimilation differs from its row of Table 3."""
        paper, error = TABLE_3[self.identifier], self.experiment.observation_error
        pairs = {
            "half-life": (error.half_life_vertical_km, paper.half_life_km),
            "p0": (error.weight_p0, paper.weight_p0),
            "forgetting factor": (self.experiment.analysis.forgetting_factor, paper.forgetting_factor),
            "observation localization": (self.localized(), paper.localized),
        }
        return [f"{name} {found} instead of {wanted}" for name, (found, wanted) in pairs.items() if found != wanted]


def study_runs(folder: Path) -> dict[str, StudyRun]:
    """Return the runs of the paper that a folder holds, whole or unfinished, by identifier.

    Raises
    ------
    ThermodaError
        If it holds none.
    """
    found = {}
    for identifier in (*TABLE_3, *TABLE_2):
        whole = folder / identifier
        if (whole / "provenance.json").is_file():
            evaluation = evaluated(whole)
            for label in ("satellite_name", "row_name", "group_name"):
                evaluation = evaluation.set_xindex(label)
            found[identifier] = _study_run(identifier, whole, evaluation)
        elif (partial_path(whole) / "experiment.yaml").is_file():
            found[identifier] = _study_run(identifier, partial_path(whole), None)
    if not found:
        raise ThermodaError(f"{folder}: holds no run of the paper, whose folders are {', '.join((*TABLE_3, *TABLE_2))}")
    return found


def _study_run(identifier: str, folder: Path, evaluation: xr.Dataset | None) -> StudyRun:
    experiment, _ = read_experiment(folder / "experiment.yaml")
    return StudyRun(identifier, folder, experiment, completion(folder, experiment), evaluation)


def completion(folder: Path, experiment: Experiment) -> float:
    """Return the part of an experiment's time that the last analysis, or the open loop, of a run has reached."""
    path = folder / ("analysis.nc" if experiment.experiment.assimilate else "open_loop.nc")
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            last = dataset["time"].to_numpy()[-1:]
    except (OSError, ValueError, KeyError):
        return 0.0
    start, stop = to_datetime64(experiment.experiment.start), to_datetime64(experiment.experiment.stop)
    return float((last[0] - start) / (stop - start)) if last.size else 0.0


def wrapped(text: str, head: str = "", indent: int = 13) -> str:
    """Return a text within the width of the tables, hanging behind its head."""
    return textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=indent * " ", break_on_hyphens=False)


def ranging(values: Sequence[float], form: str) -> str:
    """Return the least and the greatest of some numbers, or the one that there is."""
    low, high = format(min(values), form), format(max(values), form)
    return low if len(values) == 1 else f"{low} to {high}"
