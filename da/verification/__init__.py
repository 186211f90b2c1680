"""Verification: stored densities along tracks, statistics that add up, tables and figures.

In the order in which the data flow::

    run_folder -> sampling -> statistics -> evaluation -> tables, expectations, figures
"""

from da.verification.evaluation import Activity, Evaluation, Row, SatelliteEvaluation, evaluate
from da.verification.expectations import Comparison, compare_expectations, expectations_table
from da.verification.figures import write_figures
from da.verification.sampling import Points, Samples, forecast_trajectories, linear_trajectory, open_fields, sample
from da.verification.statistics import CollectedValues, PairStatistics, Scores
from da.verification.tables import tables, write_csv, write_evaluation, write_json

__all__ = [
    "Activity",
    "CollectedValues",
    "Comparison",
    "Evaluation",
    "PairStatistics",
    "Points",
    "Row",
    "Samples",
    "SatelliteEvaluation",
    "Scores",
    "compare_expectations",
    "evaluate",
    "expectations_table",
    "forecast_trajectories",
    "linear_trajectory",
    "open_fields",
    "sample",
    "tables",
    "write_csv",
    "write_evaluation",
    "write_figures",
    "write_json",
]
