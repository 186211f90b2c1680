"""Time series of density at cells of the data grid with their spread (Figures 6 and 7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.data_grid import GridSeries, calibrated_on_grid, errors_on_grid, grid_times, read_grid, stored_rows
from da.figures.style import COLOUR, WIDTH_IN, Drawing, date_axis, day_numbers, hide_dates, in_style, minute
from da.verification.analysis_records import AnalysisRecords, read_analyses
from da.verification.evaluation import Row

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]
Cell = tuple[int, int, int]
Window = tuple[np.datetime64, np.datetime64]

ALTITUDES_KM = (300.0, 400.0, 500.0)
LATITUDES = (60.0, 0.0, -60.0)
LONGITUDE = 0.0
PERIOD = np.timedelta64(48, "h")


def periods(times: TimeArray, epoch: np.datetime64 | None) -> list[tuple[str, Window]]:
    """Return the first two days and, where it is another period, the two days about the epoch of the storm.

    Parameters
    ----------
    times : array, datetime64[ns]
        Of the analyses.
    epoch : datetime64[ns] or None
        Without a storm.
    """
    first, last = times[0], times[-1]
    found = [("first_days", (first, min(first + PERIOD, last)))]
    if epoch is not None and last - first > PERIOD:
        start = max(first, min(epoch - PERIOD / 2, last - PERIOD))
        if start > first:
            found.append(("storm", (start, start + PERIOD)))
    return found


def sawtooth(forecast: GridSeries, analysis: GridSeries, cell: Cell) -> tuple[TimeArray, FloatArray, FloatArray]:
    """Return times, means and spreads of forecasts and analyses in turn; at an analysis the forecast comes first."""
    time = np.concatenate([forecast.time, analysis.time])
    order = np.argsort(time, kind="stable")
    mean, spread = (
        np.concatenate([getattr(one, name)[(slice(None), *cell)] for one in (forecast, analysis)])[order]
        for name in ("mean", "spread")
    )
    return time[order], mean, spread


@in_style
def cell_drawing(run: Path, name: str, window: Window) -> Drawing:
    """Return the time series of nine cells of the data grid over one period.

    Parameters
    ----------
    run : Path
    name : str
        Of the period, for the file.
    window : tuple of datetime64
        First and last time.

    Raises
    ------
    ThermodaError
        If a file is missing or cannot be read.
    """
    series = {row: _inside(path, window) for row, path in stored_rows(run).items()}
    grid = series[Row.OPEN_LOOP]
    observed = _observations(run, grid, window)
    # The labels of dates reach beyond the panels on both sides.
    figure = Figure(figsize=(WIDTH_IN, 6.2), layout=ConstrainedLayoutEngine(w_pad=0.14))
    panels = figure.subplots(len(LATITUDES), len(ALTITUDES_KM), sharex=True, sharey="col")
    for row, latitude in enumerate(LATITUDES):
        for column, altitude in enumerate(ALTITUDES_KM):
            cell = grid.nearest(altitude, latitude, LONGITUDE)
            _draw_cell(panels[row, column], series, observed, cell)
    for axes in panels.flat:
        date_axis(axes, ticks=5)
        if axes not in panels[-1]:
            hide_dates(axes)
    _name_columns(panels, grid)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return Drawing(
        f"cells_{name}",
        f"Density at cells of the data grid, {minute(window[0])} to {minute(window[1])} UTC",
        "Forecasts and analyses in turn (each analysis is a step), open loop and assimilated calibrated NRLMSIS at "
        f"cells of longitude {LONGITUDE:g}°. Bands and bars: ± one standard deviation.",
        _in_words(series, observed),
        figure,
    )


def _inside(path: Path, window: Window) -> GridSeries:
    times = grid_times(path)
    return read_grid(path, times[(times >= window[0]) & (times <= window[1])])


def _observations(run: Path, grid: GridSeries, window: Window) -> tuple[TimeArray, FloatArray, FloatArray] | None:
    """Return times, densities and errors of the assimilated cells; None where a run has no such observations."""
    try:
        records: AnalysisRecords = read_analyses(run)
    except ThermodaError:
        return None
    chosen = (records.time >= window[0]) & (records.time <= window[1])
    density, error = calibrated_on_grid(records, grid)[chosen], errors_on_grid(records, grid)[chosen]
    return (records.time[chosen], density, error) if np.isfinite(density).any() else None


def _draw_cell(
    axes: Axes,
    series: dict[Row, GridSeries],
    observed: tuple[TimeArray, FloatArray, FloatArray] | None,
    cell: Cell,
) -> None:
    loop = series[Row.OPEN_LOOP]
    lines = {Row.OPEN_LOOP: (loop.time, loop.mean[(slice(None), *cell)], loop.spread[(slice(None), *cell)])}
    if Row.ANALYSIS in series:
        lines[Row.FORECAST] = sawtooth(series[Row.FORECAST], series[Row.ANALYSIS], cell)
    labels = {Row.OPEN_LOOP: "open loop", Row.FORECAST: "forecast and analysis"}
    for row, (time, mean, spread) in lines.items():
        days = day_numbers(time)
        axes.plot(days, mean, color=COLOUR[row], label=labels[row], zorder=3)
        axes.fill_between(days, mean - spread, mean + spread, color=COLOUR[row], alpha=0.25, lw=0)
    if observed is not None:
        time, density, error = observed
        axes.errorbar(
            day_numbers(time),
            density[(slice(None), *cell)],
            error[(slice(None), *cell)],
            fmt=".",
            ms=2.5,
            lw=0.6,
            color=COLOUR[Row.CALIBRATED_MSIS],
            label="calibrated MSIS",
            zorder=2,
        )


def _name_columns(panels: NDArray[np.object_], grid: GridSeries) -> None:
    for row, latitude in enumerate(LATITUDES):
        for column, altitude in enumerate(ALTITUDES_KM):
            level, place, _ = grid.nearest(altitude, latitude, LONGITUDE)
            panels[row, column].set_title(f"{grid.altitude_km[level]:g} km, {_parallel(grid.latitude[place])}")
            panels[row, column].set_ylim(bottom=0.0)
        panels[row, 0].set_ylabel("density [kg m$^{-3}$]")


def _parallel(latitude: float) -> str:
    return f"{abs(latitude):g}°{'N' if latitude > 0.0 else 'S' if latitude < 0.0 else ''}"


def _in_words(series: dict[Row, GridSeries], observed: tuple[TimeArray, FloatArray, FloatArray] | None) -> str:
    parts = []
    for altitude in ALTITUDES_KM:
        grid = series[Row.OPEN_LOOP]
        level, row, column = cell = grid.nearest(altitude, 0.0, LONGITUDE)
        means = [
            f"{name} {series[name].mean[(slice(None), *cell)].mean():.2e}"
            for name in (Row.OPEN_LOOP, Row.ANALYSIS)
            if name in series
        ]
        parts.append(f"{grid.altitude_km[level]:g} km: {', '.join(means)}")
        if observed is not None:
            parts[-1] += f", calibrated MSIS {np.nanmean(observed[1][:, level, row, column]):.2e}"
    return f"Time series of density at nine cells. Means [kg m-3] nearest the equator at {'; '.join(parts)}."
