"""The one table of a study: a row per run, a line in it per satellite."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr
from rich import box
from rich.markup import escape
from rich.table import Table

from da.key_figures import belongs_to, configuration_items
from da.study import PlannedRun, State
from da.verification import Row

SHORT = {
    Row.MSIS: "MSIS",
    Row.CALIBRATED_MSIS: "calibr.\nMSIS",
    Row.PERSISTED: "persist.\nfactor",
    Row.OPEN_LOOP: "open\nloop",
    Row.FORECAST: "fore-\ncast",
    Row.ANALYSIS: "ana-\nlysis",
}
OF_FORECAST = {"mean_log_ratio": "forecast\nmean", "spread_to_error": "spread/\nerror"}
MOST_ITEMS = 3
"""Configuration items shown; where more differ, they are in the file alone."""

CAPTION = (
    "RMS of ln(observation / model) at all points; then mean of ln(observation / model), and spread over error, of the "
    "forecast."
)


def shown_items(figures: xr.Dataset) -> list[str]:
    """Return the coordinates that the table shows: what was swept, or what differs if that is little."""
    items = [str(name) for name in figures.coords if figures[name].dims == ("run",) and name != "run_name"]
    if figures.attrs["swept"]:
        swept = figures.attrs["swept"].split(", ")
        return [name for name in items if belongs_to(figures[name].attrs["long_name"], swept)]
    return items if len(items) <= MOST_ITEMS else []


def study_table(figures: xr.Dataset, runs: Sequence[PlannedRun]) -> Table:
    """Return completion and key figures of runs along every satellite.

    Where what was swept tells the runs apart, it takes the place of their names.

    Parameters
    ----------
    figures : Dataset
        Collected by :func:`da.key_figures.collect`.
    runs : sequence of PlannedRun
        In the order of the table; those without key figures are rows without numbers.
    """
    items = shown_items(figures)
    known = {str(name) for name in figures["run_name"].to_numpy()}
    rows = [_row(run, figures.sel(run_name=run.name) if run.name in known else None, items) for run in runs]
    points = {tuple(row[1 : len(items) + 1]) for row in rows}
    unnamed = bool(figures.attrs["swept"]) and len(points) == len(rows)
    table = Table(title=figures.attrs["title"], caption=CAPTION, box=box.HORIZONTALS, pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    table.collapse_padding, table.show_lines = True, figures.sizes.get("satellite", 0) > 1
    if not unnamed:
        table.add_column("run", overflow="fold")
    for name in items:
        header = str(figures[name].attrs["long_name"]).rpartition(".")[2].replace("_", "_\n")
        table.add_column(header, justify="right", overflow="fold")
    table.add_column("completion", overflow="fold")
    table.add_column("satellite", no_wrap=True)
    for header in (*SHORT.values(), *OF_FORECAST.values()):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[1:] if unnamed else row))
    return table


def _row(run: PlannedRun, figures: xr.Dataset | None, items: Sequence[str]) -> list[str]:
    numbers = len(SHORT) + len(OF_FORECAST)
    if figures is None:
        return [escape(run.name), *[""] * len(items), "not run", *[""] * (numbers + 1)]
    lines = _satellite_lines(figures)
    columns = ["\n".join(column) for column in zip(*lines, strict=True)] if lines else [""] * (numbers + 1)
    return [escape(run.name), *(_item(figures[name].item()) for name in items), _completion(run, figures), *columns]


def _completion(run: PlannedRun, figures: xr.Dataset) -> str:
    """Return "complete", or how far the run came, or that the figures are of another configuration than the file."""
    if json.loads(str(figures["configuration"].item())) != configuration_items(run.experiment):
        return "other configuration"
    outcome, completion = str(figures["outcome"].item()), float(figures["completion"])
    if outcome == State.COMPLETE:
        return outcome
    return "complete, see below" if completion == 1.0 else f"failed at {100.0 * completion:.0f} %"


def _satellite_lines(figures: xr.Dataset) -> list[list[str]]:
    """Return a line of cells per satellite that the run has."""
    if "satellite_name" not in figures.coords:
        return []
    lines = []
    for satellite in figures["satellite_name"].to_numpy():
        role = str(figures["role"].sel(satellite_name=satellite).item())
        if not role:
            continue
        points = figures.sel(satellite_name=satellite, group_name="all")
        scores = [points["rms_log_ratio"].sel(row_name=str(row)).item() for row in SHORT]
        scores += [points[name].sel(row_name=str(Row.FORECAST)).item() for name in OF_FORECAST]
        lines.append([escape(f"{satellite} ({role})"), *map(_number, scores)])
    return lines


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _item(value: float | str) -> str:
    return value if isinstance(value, str) else "" if np.isnan(value) else f"{value:g}"
