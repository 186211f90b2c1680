"""Step one of Corbin & Kusche (2022), doi:10.21203/rs.3.rs-1616740/v1: from a track to observations for the filter.

In order: `scale_factors` divides measured by modelled density; `QualityControl` leaves outliers out, makes the series
regular and fills its gaps; `LowPass` takes the orbital signal away; `CalibratedMsis` multiplies NRLMSIS by what is left
(`calibrate` does all of this); `DataGrid` says where it is evaluated, `ObservationError` how far it is trusted (Eqs.
5-8), and `data_grid_batch` makes the observations of one analysis time.
"""

from da.calibration.calibrated_msis import CalibratedMsis, CalibrationReport, calibrate
from da.calibration.data_grid import DataGrid
from da.calibration.data_grid_observations import data_grid_batch
from da.calibration.low_pass import FilterKind, LowPass
from da.calibration.observation_error import ObservationError
from da.calibration.quality_control import QualityControl
from da.calibration.scale_factors import ScaleFactors, scale_factors, track_latitude

__all__ = [
    "CalibratedMsis",
    "CalibrationReport",
    "DataGrid",
    "FilterKind",
    "LowPass",
    "ObservationError",
    "QualityControl",
    "ScaleFactors",
    "calibrate",
    "data_grid_batch",
    "scale_factors",
    "track_latitude",
]
