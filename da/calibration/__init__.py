"""Step one of Corbin & Kusche (2022), doi:10.21203/rs.3.rs-1616740/v1: from a track to observations for the filter.

In order: `scale_factors` divides measured by modelled density; `QualityControl` leaves outliers out, makes the series
regular and fills its short gaps; `LowPass` takes the orbital signal away; `CalibratedMsis` multiplies NRLMSIS by what
is left (`calibrate` does all of this), and `ContinuedFactor` says what takes its place in long gaps; `DataGrid` says
where it is evaluated, `ObservationError` how far it is trusted (Eqs. 5-8), and `DataGridSource` makes the observations
of an analysis time. `refuse_other_unit` and `agreement` tell measurements that cannot be true, or not together.
"""

from da.calibration.agreement import Agreement, agreement
from da.calibration.calibrated_msis import CalibratedMsis, CalibrationReport, calibrate
from da.calibration.data_grid import DataGrid
from da.calibration.data_grid_observations import DataGridSource, data_grid_batch
from da.calibration.gaps import ContinuedFactor, FactorState, FactorValues, Persistence, estimated_persistence
from da.calibration.low_pass import FilterKind, LowPass
from da.calibration.measured_unit import refuse_other_unit
from da.calibration.observation_error import ObservationError
from da.calibration.quality_control import QualityControl, without_outliers
from da.calibration.scale_factors import ScaleFactors, scale_factors, track_latitude

__all__ = [
    "Agreement",
    "CalibratedMsis",
    "CalibrationReport",
    "ContinuedFactor",
    "DataGrid",
    "DataGridSource",
    "FactorState",
    "FactorValues",
    "FilterKind",
    "LowPass",
    "ObservationError",
    "Persistence",
    "QualityControl",
    "ScaleFactors",
    "agreement",
    "calibrate",
    "data_grid_batch",
    "estimated_persistence",
    "refuse_other_unit",
    "scale_factors",
    "track_latitude",
    "without_outliers",
]
