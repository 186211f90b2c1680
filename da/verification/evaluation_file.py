"""An evaluation with all its details as one CF netCDF file, so that hundreds of runs can be compared with xarray.

Dimensions: ``satellite``, ``row`` (what is compared), ``group`` ("all", "quiet", "storm", then "Kp: 0 to 2" and so on),
``orbit`` (padded with missing values), ``bound`` (lower, upper), ``pit_bin``, ``spread_class``, ``probability_class``,
``layer`` of altitude, and ``lead_time`` where there are free forecasts.
Scores that are not defined are missing values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from da.atomic_file import replacing
from da.storage import CONVENTIONS, TIME_UNITS
from da.verification.details import SPREAD_EDGES, EvaluationDetails, SatelliteDetails
from da.verification.evaluation import Activity, Row, RowStatistics
from da.verification.keyed_sums import FloatArray
from da.verification.lead_time import LeadTimeStatistics
from da.verification.observation_space import InnovationStatistics
from da.verification.probabilistic import PIT_BINS, PROBABILITY_CLASSES
from da.verification.storm import PHASES
from da.verification.tables import COLUMNS, statistics_columns

_ROWS = tuple(Row)
_PERCENT = ("mape_percent", "amplitude_percent", "density_percent")
_INTERVALS = ("mean_difference", "rmse", "mean_log_ratio", "std_log_ratio", "rms_log_ratio", "mape_percent")
_ORBIT_SCORES = ("mean_log_ratio", "std_log_ratio", "rms_log_ratio", "correlation")
_INNOVATION_NAMES = {
    "mean_innovation": "mean innovation over assumed error",
    "rms_innovation": "root mean square innovation over assumed error",
    "chi_square": "mean of squared innovation over assumed variance of the innovation",
    "observation_error_ratio": "estimated over assumed observation error (Desroziers et al. 2005)",
    "background_error_ratio": "estimated over assumed forecast error (Desroziers et al. 2005)",
    "analysis_error_ratio": "estimated over assumed analysis error (Desroziers et al. 2005)",
    "degrees_of_freedom": "degrees of freedom for signal, sum of squared analysis spread over error variance",
}
_EVENT = "a density above the median of those observed"
_BRIER_SCORES = {
    "brier": f"Brier score of {_EVENT}",
    "reliability": f"Brier score of {_EVENT}: reliability",
    "resolution": f"Brier score of {_EVENT}: resolution",
    "uncertainty": f"Brier score of {_EVENT}: uncertainty",
}
_RELIABILITY_DIAGRAM = {
    "count": "number of points",
    "probability": f"mean predicted probability of {_EVENT}",
    "frequency": f"observed frequency of {_EVENT}",
}

Variable = tuple[tuple[str, ...], Any, dict[str, Any]]


def write_evaluation_netcdf(details: EvaluationDetails, path: Path) -> Path:
    """Write ``evaluation.nc``; the file appears under its name only when it is whole.

    Parameters
    ----------
    details : EvaluationDetails
    path : Path

    Returns
    -------
    Path
        The path, for the list of what was written.
    """
    data = evaluation_dataset(details)
    encoding: dict[str, Any] = {str(name): {"_FillValue": None} for name in data.variables}
    for name, variable in data.variables.items():
        if variable.dtype.kind == "f" and name not in data.coords:
            encoding[str(name)] = {"_FillValue": np.nan}
        elif variable.dtype.kind == "M":
            encoding[str(name)] = {"units": TIME_UNITS, "dtype": "f8", "_FillValue": np.nan}
    with replacing(path) as partial:
        data.to_netcdf(partial, engine="netcdf4", encoding=encoding)
    return path


def evaluation_dataset(details: EvaluationDetails) -> xr.Dataset:
    """Return the evaluation as a dataset; see the module for its dimensions."""
    evaluation, satellites = details.evaluation, details.satellites
    groups = _all_groups(satellites)
    variables = {
        **_scores(satellites, groups),
        **_intervals(satellites),
        **_orbits(satellites),
        **_peaks(satellites),
        **_spread_skill(satellites),
        **_reliability(satellites),
        **(_innovations(details.innovations) if details.innovations is not None else {}),
        **_lead_times(details.free_forecasts),
    }
    coordinates: dict[str, Any] = {
        "satellite_name": ("satellite", [one.satellite.satellite for one in satellites], {"long_name": "satellite"}),
        "role": ("satellite", [one.satellite.role for one in satellites], {"long_name": "use in the run"}),
        "row_name": ("row", [str(row) for row in _ROWS], {"long_name": "what is compared with the observations"}),
        "group_name": ("group", list(groups), {"long_name": "which points are compared"}),
    }
    if details.free_forecasts:
        labels = list(details.free_forecasts[0].classes)
        coordinates["lead_time_name"] = ("lead_time", labels, {"long_name": "lead time of the free forecasts"})
    attributes = {
        "Conventions": CONVENTIONS,
        "title": f"evaluation of run {evaluation.name}",
        "run": evaluation.name,
        "period": f"{evaluation.start} to {evaluation.stop}",
        "storm_phases": "; ".join(f"{phase}: {start:+g} to {stop:+g} h" for phase, (start, stop) in PHASES.items()),
    }
    if evaluation.notes:
        attributes["comment"] = " ".join(evaluation.notes)
    return xr.Dataset(variables, coords=coordinates, attrs=attributes)


def _all_groups(satellites: tuple[SatelliteDetails, ...]) -> dict[str, None]:
    """Return the names of the groups of all satellites, each once, in order."""
    names: dict[str, None] = dict.fromkeys(activity.name.lower() for activity in Activity)
    for one in satellites:
        for name, groups in one.groups.items():
            names |= dict.fromkeys(f"{name}: {label}" for label in groups)
    return names


def _by_group(one: SatelliteDetails) -> dict[str, Mapping[Row, RowStatistics]]:
    found: dict[str, Mapping[Row, RowStatistics]] = {
        activity.name.lower(): rows for activity, rows in one.satellite.statistics.items()
    }
    for name, groups in one.groups.items():
        found |= {f"{name}: {label}": rows for label, rows in groups.items()}
    return found


def _attributes(name: str) -> dict[str, str]:
    """Return units and long name of a score from its column name."""
    units = "kg m-3" if name.endswith("_kg_m3") else "percent" if name in _PERCENT else "1"
    words = name.removesuffix("_kg_m3").removesuffix("_percent").replace("_", " ")
    return {"units": units, "long_name": f"{words} (log ratio: observation over model)" if "log" in words else words}


def _scores(satellites: tuple[SatelliteDetails, ...], groups: Mapping[str, None]) -> dict[str, Variable]:
    shape = (len(satellites), len(groups), len(_ROWS))
    values = {column: np.full(shape, np.nan) for column in COLUMNS}
    pit = np.full((*shape, PIT_BINS), np.nan)
    place = {name: number for number, name in enumerate(groups)}
    for i, one in enumerate(satellites):
        for name, rows in _by_group(one).items():
            for row, statistics in rows.items():
                at = (i, place[name], _ROWS.index(row))
                for column, value in statistics_columns(statistics).items():
                    values[column][at] = value
                pit[at] = statistics.distribution.value().pit
    number = values.pop("n")
    along = ("satellite", "group", "row")
    text = "relative frequency of the probability integral transform in bins of equal width"
    return {
        "number": (along, np.nan_to_num(number).astype(np.int32), {"units": "1", "long_name": "number of points"}),
        **{name: (along, array, _attributes(name)) for name, array in values.items()},
        "pit_frequency": ((*along, "pit_bin"), pit, {"units": "1", "long_name": text}),
    }


def _intervals(satellites: tuple[SatelliteDetails, ...]) -> dict[str, Variable]:
    shape = (len(satellites), len(_ROWS))
    bounds = {name: np.full((*shape, 2), np.nan) for name in (*_INTERVALS, "skill")}
    tests = {name: np.full(shape, np.nan) for name in ("skill", "p_bootstrap", "p_diebold_mariano")}
    for i, one in enumerate(satellites):
        for row, intervals in one.intervals.items():
            for name in _INTERVALS:
                bounds[name][i, _ROWS.index(row)] = intervals[name].lower, intervals[name].upper
        for row, test in one.significance.items():
            j = _ROWS.index(row)
            bounds["skill"][i, j] = test.skill.lower, test.skill.upper
            tests["skill"][i, j] = test.skill.value
            tests["p_bootstrap"][i, j], tests["p_diebold_mariano"][i, j] = test.p_bootstrap, test.p_diebold_mariano
    along = ("satellite", "row")
    tested = satellites[0].tested
    names = {
        "skill": f"1 - mean squared ln ratio of the {tested} over that of the row",
        "p_bootstrap": f"two-sided p-value of no difference to the {tested}, paired block bootstrap over orbits",
        "p_diebold_mariano": f"two-sided p-value of no difference to the {tested}, Diebold-Mariano over orbits",
    }
    found: dict[str, Variable] = {
        name: (along, tests[name], {"units": "1", "long_name": long_name}) for name, long_name in names.items()
    }
    for name, values in bounds.items():
        density = "_kg_m3" if name in ("mean_difference", "rmse") else ""
        attributes = _attributes(name + density)
        attributes["long_name"] = f"95 percent interval of {attributes['long_name']}"
        found[f"{name}{density}_interval"] = ((*along, "bound"), values, attributes)
    return found


def _orbits(satellites: tuple[SatelliteDetails, ...]) -> dict[str, Variable]:
    size = max(means.count.size for one in satellites for means in one.orbits.values())
    time = np.full((len(satellites), size), np.datetime64("NaT", "ns"))
    observed, modelled = np.full(time.shape, np.nan), np.full((len(satellites), len(_ROWS), size), np.nan)
    scores = {name: np.full((len(satellites), len(_ROWS)), np.nan) for name in _ORBIT_SCORES}
    for i, one in enumerate(satellites):
        for row, means in one.orbits.items():
            n, j = means.count.size, _ROWS.index(row)
            time[i, :n], observed[i, :n], modelled[i, j, :n] = means.time, means.observed, means.modelled
            for name, value in asdict(one.orbit_scores[row]).items():
                if name in scores:
                    scores[name][i, j] = value
    density = {"units": "kg m-3"}
    return {
        "orbit_time": (("satellite", "orbit"), time, {"long_name": "mean time of the points of the orbit (UTC)"}),
        "orbit_observed": (("satellite", "orbit"), observed, density | {"long_name": "observed mean over the orbit"}),
        "orbit_modelled": (
            ("satellite", "row", "orbit"),
            modelled,
            density | {"long_name": "modelled mean over the orbit"},
        ),
        **{
            f"orbit_{name}": (("satellite", "row"), values, {"units": "1", "long_name": f"{name}, orbit means"})
            for name, values in scores.items()
        },
    }


def _peaks(satellites: tuple[SatelliteDetails, ...]) -> dict[str, Variable]:
    names = {
        "amplitude_percent": ("percent", "error of the relative rise of orbit-mean density to the peak of the storm"),
        "density_percent": ("percent", "error of the largest orbit-mean density of the storm"),
        "time_h": ("h", "modelled minus observed time of the largest orbit-mean density of the storm"),
    }
    values = {name: np.full((len(satellites), len(_ROWS)), np.nan) for name in names}
    for i, one in enumerate(satellites):
        for row, peak in one.peaks.items():
            for name in names:
                values[name][i, _ROWS.index(row)] = getattr(peak, name)
    return {
        f"peak_{name}": (("satellite", "row"), values[name], {"units": units, "long_name": long_name})
        for name, (units, long_name) in names.items()
    }


def _spread_skill(satellites: tuple[SatelliteDetails, ...]) -> dict[str, Variable]:
    edges = np.array(SPREAD_EDGES)
    shape = (len(satellites), len(_ROWS), edges.size - 1)
    spread, error, number = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int32)
    for i, one in enumerate(satellites):
        for row, classes in one.spread_skill.items():
            at = (i, _ROWS.index(row))
            number[at] = classes.count
            spread[at], error[at] = classes.value()
    along = ("satellite", "row", "spread_class")
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    return {
        "spread_class_bounds": (
            ("spread_class", "bound"),
            bounds,
            {"units": "1", "long_name": "bounds of the classes of spread of ln density"},
        ),
        "spread_class_number": (along, number, {"units": "1", "long_name": "number of points in the class of spread"}),
        "spread_class_spread": (along, spread, {"units": "1", "long_name": "root mean square spread of ln density"}),
        "spread_class_error": (along, error, {"units": "1", "long_name": "root mean square error of ln density"}),
    }


def _reliability(satellites: tuple[SatelliteDetails, ...]) -> dict[str, Variable]:
    shape, along = (len(satellites), len(_ROWS)), ("satellite", "row")
    scores = {name: np.full(shape, np.nan) for name in _BRIER_SCORES}
    diagram = {name: np.full((*shape, PROBABILITY_CLASSES), np.nan) for name in _RELIABILITY_DIAGRAM}
    for i, one in enumerate(satellites):
        for row, reliability in one.reliability.items():
            value = reliability.value()
            for name, values in (*scores.items(), *diagram.items()):
                values[i, _ROWS.index(row)] = getattr(value, name)
    found: dict[str, Variable] = {
        "brier" if name == "brier" else f"brier_{name}": (along, values, {"units": "1", "long_name": long_name})
        for (name, long_name), values in zip(_BRIER_SCORES.items(), scores.values(), strict=True)
    }
    for (name, long_name), values in zip(_RELIABILITY_DIAGRAM.items(), diagram.values(), strict=True):
        attributes = {"units": "1", "long_name": f"{long_name}, in classes of the predicted probability"}
        found[f"reliability_{name}"] = ((*along, "probability_class"), values, attributes)
    return found


def _lead_times(satellites: tuple[LeadTimeStatistics, ...]) -> dict[str, Variable]:
    """Return the scores of the free forecasts; the row "forecast" is theirs, and there is no analysis among them."""
    if not satellites:
        return {}
    edges, along = satellites[0].edges_h, ("satellite", "lead_time", "row")
    values = {column: np.full((len(satellites), edges.size - 1, len(_ROWS)), np.nan) for column in COLUMNS}
    for i, one in enumerate(satellites):
        for k, rows in enumerate(one.classes.values()):
            for row, statistics in rows.items():
                for column, value in statistics_columns(statistics).items():
                    values[column][i, k, _ROWS.index(row)] = value
    number = np.nan_to_num(values.pop("n")).astype(np.int32)
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    long_name = "lead times of the class, from the analysis at which the free forecasts start"
    return {
        "lead_time_bounds": (("lead_time", "bound"), bounds, {"units": "h", "long_name": long_name}),
        "free_forecast_number": (along, number, {"units": "1", "long_name": "number of points, all free forecasts"}),
        **{f"free_forecast_{name}": (along, array, _attributes(name)) for name, array in values.items()},
    }


def _innovations(statistics: InnovationStatistics) -> dict[str, Variable]:
    classes = statistics.value()
    low: FloatArray = np.array([one.altitude_km for one in classes])
    number = np.array([one.n for one in classes], dtype=np.int32)
    attributes = {"units": "km", "long_name": "lowest altitude of the layer"}
    return {
        "layer": (
            ("layer",),
            low,
            attributes,
        ),
        "innovation_number": (("layer",), number, {"units": "1", "long_name": "number of observations used"}),
        **{
            f"innovation_{name}" if not name.endswith("innovation") else name: (
                ("layer",),
                np.array([getattr(one, name) for one in classes], dtype=np.float64),
                {"units": "1", "long_name": long_name},
            )
            for name, long_name in _INNOVATION_NAMES.items()
        },
    }
