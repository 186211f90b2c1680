"""The regular grid on which the calibrated model is evaluated (Corbin & Kusche 2022, "Spatial resolution")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DataGrid:
    """Axes of the data grid, ellipsoidal altitude and geodetic latitude.

    Parameters
    ----------
    altitude_km, latitude, longitude : array
        Increasing.

    Raises
    ------
    ValueError
        If an axis is empty, not finite or does not increase, a latitude lies beyond a pole, or the longitudes go round
        the globe more than once.
    """

    altitude_km: FloatArray
    latitude: FloatArray
    longitude: FloatArray

    def __post_init__(self) -> None:
        for name in ("altitude_km", "latitude", "longitude"):
            axis = getattr(self, name)
            if axis.ndim != 1 or axis.size == 0 or not np.isfinite(axis).all() or np.any(np.diff(axis) <= 0.0):
                raise ValueError(f"data grid: {name} must be finite, must increase and must not be empty")
        if np.any(np.abs(self.latitude) > 90.0):
            raise ValueError("data grid: latitudes must lie within [-90, 90] degrees")
        if self.longitude[-1] - self.longitude[0] >= 360.0:
            raise ValueError("data grid: longitudes must not go round the globe more than once")

    @classmethod
    def regular(
        cls,
        longitude_step_deg: float = 20.0,
        latitude_step_deg: float = 20.0,
        latitude_limit_deg: float = 80.0,
        altitude_min_km: float = 100.0,
        altitude_max_km: float = 550.0,
        altitude_step_km: float = 25.0,
    ) -> DataGrid:
        """Return the grid with the given steps; the defaults are the paper's 18 x 9 x 19 = 3078 points.

        >>> DataGrid.regular().shape
        (19, 9, 18)
        """
        rows = int(np.floor(latitude_limit_deg / latitude_step_deg + 1e-9))
        levels = int(np.floor((altitude_max_km - altitude_min_km) / altitude_step_km + 1e-9)) + 1
        columns = int(np.ceil(360.0 / longitude_step_deg - 1e-9))
        return cls(
            altitude_min_km + altitude_step_km * np.arange(levels, dtype=np.float64),
            latitude_step_deg * np.arange(-rows, rows + 1, dtype=np.float64),
            longitude_step_deg * np.arange(columns, dtype=np.float64),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of altitudes, latitudes, longitudes."""
        return self.altitude_km.size, self.latitude.size, self.longitude.size

    def points(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return altitude_km, latitude, longitude of all points, each flattened in C order of :attr:`shape`."""
        axes = np.meshgrid(self.altitude_km, self.latitude, self.longitude, indexing="ij")
        altitude, latitude, longitude = (axis.ravel() for axis in axes)
        return altitude, latitude, longitude
