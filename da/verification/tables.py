"""Scores as a table for the terminal, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from da.atomic_file import replace_text
from da.verification.evaluation import Activity, Evaluation, Row, RowStatistics, SatelliteEvaluation

PRINTED = (
    "n",
    "mean_difference_kg_m3",
    "median_difference_kg_m3",
    "rmse_kg_m3",
    "mean_log_ratio",
    "std_log_ratio",
    "rms_log_ratio",
    "correlation",
    "spread_to_error",
)
"""Columns of the first table."""

COLUMNS = (
    *PRINTED,
    "median_log_ratio",
    "mean_absolute_difference_kg_m3",
    "mape_percent",
    "prediction_efficiency",
    "nrmse_mean",
    "nrmse_range",
    "crps_ln_density",
    "reduced_bias",
    "reduced_dispersion",
)
"""All scores of a row in the files, and the names that an experiment's ``expect`` may use."""


def score_columns(satellite: SatelliteEvaluation, activity: Activity, row: Row) -> dict[str, float]:
    """Return the scores of one row by column name, in SI units; NaN where a score is not defined."""
    return statistics_columns(satellite.statistics[activity][row])


def statistics_columns(statistics: RowStatistics) -> dict[str, float]:
    """Return the scores of any points by column name, in SI units; NaN where a score is not defined.

    Without any spread the CRPS of ln density is the mean absolute ln ratio, that of a forecast sure of itself.
    """
    scores, median = statistics.value()
    distribution = statistics.distribution.value()
    certain = not distribution.n
    values = {
        **asdict(scores),
        "median_difference": median,
        "median_log_ratio": statistics.log_ratios.median(),
        "crps_ln_density": scores.mean_absolute_log_ratio if certain else distribution.crps,
        "reduced_bias": distribution.bias,
        "reduced_dispersion": distribution.dispersion,
    }
    return {column: values[column.removesuffix("_kg_m3")] for column in COLUMNS}


def density_exponent(satellite: SatelliteEvaluation) -> int:
    """Return the power of ten of the median observed density, the unit of the table's densities.

    Examples
    --------
    A satellite in a density of 3e-12 kg m-3 is shown in 1e-12 kg m-3.
    """
    return math.floor(math.log10(float(np.median(satellite.observed))))


def tables(evaluation: Evaluation) -> list[Table]:
    """Return one table per satellite, at most 120 characters wide; blank cells are scores that are not defined."""
    return [_table(evaluation, satellite) for satellite in evaluation.satellites]


def _table(evaluation: Evaluation, satellite: SatelliteEvaluation) -> Table:
    exponent = density_exponent(satellite)
    title, caption = evaluation.title(satellite).replace("; ", "\n", 1), _caption(evaluation, satellite)
    table = Table(title=title, caption=caption, box=box.HORIZONTALS, pad_edge=False, collapse_padding=True)
    table.title_justify = table.caption_justify = "left"
    table.add_column("", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for header in ("mean diff.", "median diff.", "RMSE"):
        table.add_column(f"{header}\n1e{exponent} kg m-3", justify="right", no_wrap=True)
    for header in ("mean", "std", "RMS"):
        table.add_column(f"{header}\nln(o/m)", justify="right", no_wrap=True)
    table.add_column("corr.\n", justify="right", no_wrap=True)
    table.add_column("spread/\nerror", justify="right", no_wrap=True)
    for activity, rows in satellite.statistics.items():
        table.add_section()
        table.add_row(f"[bold]{activity}[/bold]")
        for row in rows:
            table.add_row(f" {row}", *_cells(score_columns(satellite, activity, row), exponent))
    return table


def _cells(scores: dict[str, float], exponent: int) -> list[str]:
    cells = []
    for column in PRINTED:
        value = scores[column]
        scaled = value * 10.0**-exponent if column.endswith("_kg_m3") else value
        cells.append(f"{value:d}" if isinstance(value, int) else "" if math.isnan(value) else f"{scaled:.3f}")
    return cells


def _caption(evaluation: Evaluation, satellite: SatelliteEvaluation) -> str:
    first, last = (str(time)[:16].replace("T", " ") for time in satellite.points.time[[0, -1]])
    left_out = "; ".join(f"{number} points left out: {reason}" for reason, number in satellite.left_out.items())
    parts = [
        "diff. = model - observation; ln(o/m): of observation over model; densities are total densities",
        f"all rows compared at the same {satellite.points.time.size} points, {first} to {last} UTC",
        left_out,
        *evaluation.notes,
    ]
    return "\n".join(part for part in parts if part)


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write one line per satellite, activity and row, in SI units, undefined scores left blank.

    The file appears under its name only when it is whole.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("satellite", "role", "activity", "row", *COLUMNS))
    for satellite in evaluation.satellites:
        for activity, rows in satellite.statistics.items():
            for row in rows:
                scores = score_columns(satellite, activity, row).values()
                blanked = ["" if math.isnan(value) else repr(value) for value in scores]
                writer.writerow((satellite.satellite, satellite.role, activity.name.lower(), row, *blanked))
    replace_text(path, text.getvalue())


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write run, period, satellites, left-out points and scores in SI units; undefined scores are null."""
    content = {
        "name": evaluation.name,
        "start": evaluation.start,
        "stop": evaluation.stop,
        "notes": list(evaluation.notes),
        "satellites": [_as_json(satellite) for satellite in evaluation.satellites],
    }
    replace_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _as_json(satellite: SatelliteEvaluation) -> dict[str, Any]:
    scores = {
        activity.name.lower(): {
            str(row): {
                column: None if math.isnan(value) else value
                for column, value in score_columns(satellite, activity, row).items()
            }
            for row in rows
        }
        for activity, rows in satellite.statistics.items()
    }
    first, last = (f"{time}Z" for time in satellite.points.time[[0, -1]].astype("datetime64[s]"))
    return {
        "satellite": satellite.satellite,
        "role": satellite.role,
        "first_point": first,
        "last_point": last,
        "left_out": dict(satellite.left_out),
        "scores": scores,
    }


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write ``evaluation.csv`` and ``evaluation.json`` into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "evaluation.csv", folder / "evaluation.json"]
    write_csv(evaluation, paths[0])
    write_json(evaluation, paths[1])
    return paths
