"""Verification: stored densities along tracks, statistics that add up, and tables.

In the order in which the data flow::

    run_folder -> sampling, baselines -> statistics, quantiles, probabilistic -> evaluation
    evaluation -> orbits, strata, storm, bootstrap, observation_space -> details
    evaluation, details -> tables, detail_tables, evaluation_file, expectations
    analysis_records -> analysis_behaviour

``chunks`` reduces any of the statistics over long series; docs/verification.md says what each means.
"""

from da.verification.baselines import persisted_scale_factor
from da.verification.bootstrap import (
    Interval,
    Significance,
    bootstrap_interval,
    compare_models,
    confidence_intervals,
    diebold_mariano,
    error_sums,
)
from da.verification.chunks import map_reduce
from da.verification.detail_tables import detail_tables
from da.verification.details import EvaluationDetails, RunComparison, SatelliteDetails, compare_runs, details
from da.verification.evaluation import Activity, Evaluation, Row, RowStatistics, SatelliteEvaluation, evaluate
from da.verification.evaluation_file import evaluation_dataset, write_evaluation_netcdf
from da.verification.expectations import Comparison, compare_expectations, expectations_table
from da.verification.observation_space import InnovationStatistics, chi_square, read_innovation_statistics
from da.verification.orbits import OrbitMeans, OrbitSums, argument_of_latitude_deg, orbits_of
from da.verification.probabilistic import EnsembleScores, LogNormalScores, Reliability, SpreadSkill
from da.verification.quantiles import LogRatioHistogram
from da.verification.sampling import Points, Samples, forecast_trajectories, linear_trajectory, open_fields, sample
from da.verification.statistics import CollectedValues, PairStatistics, Scores
from da.verification.storm import PeakErrors, StormPhase, epoch_of_dst, epoch_of_kp, peak_errors
from da.verification.strata import Grouping, groupings
from da.verification.tables import tables, write_csv, write_evaluation, write_json

__all__ = [
    "Activity",
    "CollectedValues",
    "Comparison",
    "EnsembleScores",
    "Evaluation",
    "EvaluationDetails",
    "Grouping",
    "InnovationStatistics",
    "Interval",
    "LogNormalScores",
    "LogRatioHistogram",
    "OrbitMeans",
    "OrbitSums",
    "PairStatistics",
    "PeakErrors",
    "Points",
    "Reliability",
    "Row",
    "RowStatistics",
    "RunComparison",
    "Samples",
    "SatelliteDetails",
    "SatelliteEvaluation",
    "Scores",
    "Significance",
    "SpreadSkill",
    "StormPhase",
    "argument_of_latitude_deg",
    "bootstrap_interval",
    "chi_square",
    "compare_expectations",
    "compare_models",
    "compare_runs",
    "confidence_intervals",
    "detail_tables",
    "details",
    "diebold_mariano",
    "epoch_of_dst",
    "epoch_of_kp",
    "error_sums",
    "evaluate",
    "evaluation_dataset",
    "expectations_table",
    "forecast_trajectories",
    "groupings",
    "linear_trajectory",
    "map_reduce",
    "open_fields",
    "orbits_of",
    "peak_errors",
    "persisted_scale_factor",
    "read_innovation_statistics",
    "sample",
    "tables",
    "write_csv",
    "write_evaluation",
    "write_evaluation_netcdf",
    "write_json",
]
