"""Tables of the details of an evaluation, for the terminal: further scores, significance, groups, observation space."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table

from da.verification.bootstrap import Interval
from da.verification.details import EvaluationDetails, SatelliteDetails
from da.verification.evaluation import Activity, Row
from da.verification.lead_time import LEAD_TIME_ROWS, LeadTimeStatistics
from da.verification.observation_space import InnovationStatistics, InnovationValue
from da.verification.storm import PHASES
from da.verification.tables import density_exponent, score_columns

_SHORT = {
    Row.MSIS: "MSIS",
    Row.CALIBRATED_MSIS: "calibrated",
    Row.PERSISTED: "persisted",
    Row.OPEN_LOOP: "open loop",
    Row.FORECAST: "forecast",
    Row.ANALYSIS: "analysis",
}


def detail_tables(details: EvaluationDetails) -> list[Table]:
    """Return the tables of all satellites and of the observation space, at most 120 characters wide."""
    tables = []
    for one in details.satellites:
        tables += [_further(one), _probabilities(one), _uncertainty(one), _groups(one)]
    for statistics in details.free_forecasts:
        tables += [_lead_times(statistics), _lead_time_skill(statistics)]
    if details.innovations is not None and details.innovations.value():
        tables.append(_innovations(details.innovations))
    return tables


def _table(title: str, caption: str) -> Table:
    table = Table(title=title, caption=caption, box=box.HORIZONTALS, pad_edge=False, collapse_padding=True)
    table.title_justify = table.caption_justify = "left"
    table.add_column("", no_wrap=True)
    return table


def _number(value: float, digits: int = 3) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(interval: Interval, digits: int = 3) -> str:
    value, lower, upper = (_number(number, digits) for number in (interval.value, interval.lower, interval.upper))
    # The backslash keeps rich from reading brackets as markup.
    return f"{value} \\[{lower}, {upper}]" if lower else value


def _probability(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}" if value >= 0.001 else "<0.001"


def _further(details: SatelliteDetails) -> Table:
    satellite = details.satellite
    epoch = (
        "none: Kp stays below 5" if satellite.epoch is None else str(satellite.epoch)[:16].replace("T", " ") + " UTC"
    )
    table = _table(
        f"{satellite.satellite}: further scores of all points, orbit means, and peak of the storm",
        "MAE: mean absolute difference in kg m-3; PE: prediction efficiency; NRMSE: RMSE over the observed mean;\n"
        f"{details.orbits[Row.MSIS].count.size} complete orbits; storm epoch (largest Kp) {epoch}; "
        "O, M: orbit means; their peak: amplitude over pre-storm",
    )
    exponent = density_exponent(satellite)
    for header in (
        "median\nln(o/m)",
        f"MAE\n1e{exponent}",
        "MAPE\n%",
        "PE\n",
        "NRMSE\n",
        "mean\nln(O/M)",
        "std\nln(O/M)",
        "orbit\ncorr.",
        "peak\nampl. %",
        "peak\ndens. %",
        "peak\ntime h",
    ):
        table.add_column(header, justify="right", no_wrap=True)
    for row in satellite.modelled:
        scores = score_columns(satellite, Activity.ALL, row)
        orbit, peak = details.orbit_scores[row], details.peaks[row]
        table.add_row(
            f" {row}",
            _number(scores["median_log_ratio"]),
            _number(scores["mean_absolute_difference_kg_m3"] * 10.0**-exponent),
            _number(scores["mape_percent"], 1),
            _number(scores["prediction_efficiency"]),
            _number(scores["nrmse_mean"]),
            _number(orbit.mean_log_ratio),
            _number(orbit.std_log_ratio),
            _number(orbit.correlation),
            _number(peak.amplitude_percent, 1),
            _number(peak.density_percent, 1),
            _number(peak.time_h, 1),
        )
    return table


def _probabilities(details: SatelliteDetails) -> Table:
    satellite = details.satellite
    table = _table(
        f"{satellite.satellite}: predicted distributions of density",
        "CRPS of ln density; z = (ln o - mean)/spread: 0 and 1 if reliable; outer tenths: observations in the\n"
        "lowest and highest tenth of the distribution, 10 % each if reliable; Brier score (reliability - resolution\n"
        "+ uncertainty) of a density above the observed median; a row without an ensemble is certain of its density",
    )
    for header in ("CRPS\n", "z\nmean", "z\nstd", "lowest\ntenth %", "highest\ntenth %", "Brier\nscore"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("relia-\nbility", "reso-\nlution"):
        table.add_column(header, justify="right", no_wrap=True)
    for row, statistics in satellite.statistics[Activity.ALL].items():
        scores = score_columns(satellite, Activity.ALL, row)
        pit, event = statistics.distribution.value().pit, details.reliability[row].value()
        table.add_row(
            f" {row}",
            _number(scores["crps_ln_density"]),
            _number(scores["reduced_bias"], 2),
            _number(scores["reduced_dispersion"], 2),
            *(_number(100.0 * share, 1) for share in (pit[0], pit[-1])),
            *(_number(score) for score in (event.brier, event.reliability, event.resolution)),
        )
    return table


def _uncertainty(details: SatelliteDetails) -> Table:
    orbits, tested = details.significance[Row.MSIS].orbits, details.tested
    table = _table(
        f"{details.satellite.satellite}: 95 % intervals, and is the {tested} better?",
        f"block bootstrap over {orbits} orbits (blank: fewer than 6); skill = 1 - MSE({tested})/MSE(row)\n"
        "of ln(o/m); p: of no difference, by paired block bootstrap and by Diebold-Mariano over orbits",
    )
    for header in ("mean ln(o/m)", "RMS ln(o/m)", f"skill of {tested}", "p boot.", "p D.-M."):
        table.add_column(header, justify="right", no_wrap=True)
    for row, intervals in details.intervals.items():
        cells = [_interval(intervals["mean_log_ratio"]), _interval(intervals["rms_log_ratio"])]
        if row in details.significance:
            test = details.significance[row]
            cells += [_interval(test.skill, 2), _probability(test.p_bootstrap), _probability(test.p_diebold_mariano)]
        table.add_row(f" {row}", *cells)
    return table


def _groups(details: SatelliteDetails) -> Table:
    satellite = details.satellite
    phases = "; ".join(f"{phase} {start:g} to {stop:g} h" for phase, (start, stop) in PHASES.items())
    table = _table(
        f"{satellite.satellite}: mean / RMS of ln(o/m) by group",
        f"phases about the epoch: {phases}\ndebiased: each row times observed/modelled mean density before the storm",
    )
    table.add_column("n", justify="right", no_wrap=True)
    for row in satellite.modelled:
        table.add_column(_SHORT[row], justify="right", no_wrap=True)
    for name, groups in details.groups.items():
        table.add_section()
        table.add_row(f"[bold]{name}[/bold]")
        for label, rows in groups.items():
            scores = [rows[row].pairs.value() for row in satellite.modelled]
            cells = [f"{one.mean_log_ratio:+.2f} / {one.rms_log_ratio:.2f}" for one in scores]
            table.add_row(f" {label}", str(scores[0].n), *cells)
    return table


def _lead_times(statistics: LeadTimeStatistics) -> Table:
    table = _table(
        f"{statistics.satellite}: {statistics.forecasts} free forecasts, mean / RMS of ln(o/m) by lead time",
        "free forecasts know the indices and the solar wind of their own time,\nas the open loop does; "
        "persisted: scale factor of the start; calibrated:\na hindsight, with the factor of the time of the point",
    )
    table.add_column("n", justify="right", no_wrap=True)
    for row in LEAD_TIME_ROWS:
        name = "free forecast" if row is Row.FORECAST else _SHORT[row]
        table.add_column(name, justify="right", no_wrap=True)
    for label, rows in statistics.classes.items():
        scores = [rows[row].pairs.value() for row in LEAD_TIME_ROWS]
        cells = [f"{one.mean_log_ratio:+.2f} / {one.rms_log_ratio:.3f}" if one.n else "" for one in scores]
        table.add_row(f" {label}", str(scores[0].n), *cells)
    return table


def _lead_time_skill(statistics: LeadTimeStatistics) -> Table:
    table = _table(
        f"{statistics.satellite}: skill of the free forecasts against each row by lead time",
        "1 - MSE(free forecast)/MSE(row) of ln(o/m): 1 perfect, 0 no better than the row, negative worse",
    )
    errors = statistics.rms_log_ratio()
    against = [row for row in LEAD_TIME_ROWS if row is not Row.FORECAST]
    for row in against:
        table.add_column(str(row), justify="right", no_wrap=True)
    for number, label in enumerate(statistics.classes):
        ratios = (errors[Row.FORECAST][number] / errors[row][number] for row in against)
        table.add_row(f" {label}", *(_number(1.0 - ratio**2, 2) for ratio in ratios))
    return table


def _innovations(statistics: InnovationStatistics) -> Table:
    table = _table(
        "observation space of the analyses, by height; in units of the assumed error sigma",
        "d: innovation; chi2: mean of d^2/(spread^2 + sigma^2), 1 if right\n"
        "sigma_o, _f, _a: estimated over assumed errors of observation,\nforecast and analysis "
        "(Desroziers et al. 2005), blank if negative\nDFS: sum of (analysis spread/sigma)^2",
    )
    for header in ("n", "mean d", "RMS d", "chi2", "sigma_o", "sigma_f", "sigma_a", "DFS"):
        table.add_column(header, justify="right", no_wrap=True)
    for one in statistics.value():
        table.add_row(f" {one.altitude_km:g} km", *_innovation_cells(one))
    table.add_section()
    table.add_row(" all", *_innovation_cells(statistics.total()))
    return table


def _innovation_cells(one: InnovationValue) -> list[str]:
    return [
        str(one.n),
        _number(one.mean_innovation, 2),
        _number(one.rms_innovation, 2),
        _number(one.chi_square, 2),
        _number(one.observation_error_ratio, 2),
        _number(one.background_error_ratio, 2),
        _number(one.analysis_error_ratio, 2),
        _number(one.degrees_of_freedom, 1),
    ]
