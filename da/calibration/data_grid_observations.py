"""The calibrated model on the data grid, with standard deviations, as observations of one analysis time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.calibration.calibrated_msis import CalibratedMsis
from da.calibration.data_grid import DataGrid
from da.calibration.observation_error import ObservationError
from da.calibration.scale_factors import track_latitude
from da.errors import ThermodaError
from da.geodesy import geocentric_position
from da.observations import ObservationBatch
from da.tracks.track import DensityTrack

FloatArray = NDArray[np.float64]

LARGEST_POSITION_AGE = np.timedelta64(5, "m")
"""A satellite moves 20 degrees in this time, one step of the data grid."""


def satellite_position(track: DensityTrack, time: np.datetime64, needs_horizontal: bool) -> tuple[float, float, float]:
    """Return geodetic latitude, longitude [degrees] and altitude [km] of the record nearest in time.

    Inside a gap of the track the altitude of the nearest record is taken however old it is: along a near-circular orbit
    it changes by tens of kilometres, little against the half-lives of Eq. 8 in use.

    Raises
    ------
    ThermodaError
        If the horizontal position matters and the nearest record is more than five minutes away.
    """
    nearest = int(np.argmin(np.abs(track.time - time)))
    age = np.abs(track.time[nearest] - time)
    if needs_horizontal and age > LARGEST_POSITION_AGE:
        raise ThermodaError(
            f"{track.satellite}: where it was at {time} is unknown (nearest record {track.time[nearest]}); "
            "observation_error.half_life_horizontal_rad needs it unless it is .inf"
        )
    return (
        float(track_latitude(track)[nearest]),
        float(track.longitude[nearest]),
        float(track.altitude_km[nearest]),
    )


def spherical_distance(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the angle [rad] between position vectors (..., 3), accurate at small and large angles alike."""
    cross = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.asarray(np.arctan2(cross, np.sum(first * second, axis=-1)))


def data_grid_batch(
    calibrated: CalibratedMsis, grid: DataGrid, time: np.datetime64, track: DensityTrack, error: ObservationError
) -> ObservationBatch:
    """Return the pseudo-observations of one analysis time.

    Parameters
    ----------
    calibrated : CalibratedMsis
    grid : DataGrid
    time : datetime64[ns]
    track : DensityTrack
        Of the calibrating satellite, for its position.
    error : ObservationError
    """
    atmosphere = calibrated.msis.on_grid(time, grid.latitude, grid.longitude, grid.altitude_km)
    density = atmosphere.density.ravel()
    altitude_km, latitude, longitude = grid.points()
    needs_horizontal = bool(np.isfinite(error.half_life_horizontal_rad))
    own_latitude, own_longitude, own_altitude_km = satellite_position(track, time, needs_horizontal)
    points = geocentric_position(latitude, longitude, 1e3 * altitude_km)
    satellite = geocentric_position(
        np.array([own_latitude]), np.array([own_longitude]), np.array([1e3 * own_altitude_km])
    )
    vertical_km = 1e-3 * (np.linalg.norm(points, axis=-1) - np.linalg.norm(satellite, axis=-1))
    sigma = error.standard_deviation(
        density,
        altitude_km,
        float(calibrated.msis.drivers.kp(time)[0]),
        spherical_distance(points, satellite),
        vertical_km,
    )
    return ObservationBatch(
        values=calibrated.factor(np.atleast_1d(time)) * density,
        error_standard_deviation=sigma,
        latitude=latitude,
        longitude=longitude,
        altitude_km=altitude_km,
        time=time,
        source=f"NRLMSIS {calibrated.msis.version} calibrated along {calibrated.satellite}",
        unmodelled_mass_ratio=atmosphere.unmodelled_mass_ratio.ravel(),
    )
