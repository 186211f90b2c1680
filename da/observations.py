"""What the filter is given: values, errors, positions. Nothing in the filter knows where a batch comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ObservationBatch:
    """Observations of one analysis time.

    Parameters
    ----------
    values, error_standard_deviation : array (observations,)
        Total mass density and its standard deviation [kg m-3].
    latitude, longitude, altitude_km : array (observations,)
        Geodetic position.
    time : datetime64[ns]
        UTC.
    source : str
        Where they come from.
    unmodelled_mass_ratio : array (observations,)
        Total density over that of the species in the state; the observation operator multiplies by it.
    operator : str
        Name of the observation operator.

    Raises
    ------
    ValueError
        If lengths differ.
    ThermodaError
        If a value is not finite or an error is not positive.
    """

    values: FloatArray
    error_standard_deviation: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray
    time: np.datetime64
    source: str
    unmodelled_mass_ratio: FloatArray
    operator: str = "density"

    def __post_init__(self) -> None:
        for name in (
            "error_standard_deviation",
            "latitude",
            "longitude",
            "altitude_km",
            "unmodelled_mass_ratio",
            "values",
        ):
            column = getattr(self, name)
            if column.shape != (self.values.size,):
                raise ValueError(f"observations: {name} has shape {column.shape}, expected ({self.values.size},)")
            if not np.isfinite(column).all():
                first = int(np.flatnonzero(~np.isfinite(column))[0])
                raise ThermodaError(
                    f"observations at {self.time} from {self.source}: {name}[{first}] is {column[first]}"
                )
        if not (self.error_standard_deviation > 0.0).all():
            raise ThermodaError(f"observations at {self.time} from {self.source}: errors must be positive")

    def __len__(self) -> int:
        return int(self.values.size)
