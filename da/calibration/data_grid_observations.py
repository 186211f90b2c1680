"""The calibrated model on the data grid, with standard deviations, as observations of one analysis time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.calibration.calibrated_msis import CalibratedMsis
from da.calibration.data_grid import DataGrid
from da.calibration.gaps import ContinuedFactor, FactorState, FactorValues
from da.calibration.observation_error import ObservationError
from da.calibration.scale_factors import track_latitude
from da.errors import ThermodaError
from da.geodesy import geocentric_position
from da.observations import ObservationBatch
from da.tracks.track import DensityTrack

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

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
    calibrated: CalibratedMsis,
    grid: DataGrid,
    time: np.datetime64,
    track: DensityTrack,
    error: ObservationError,
    persisted: FactorValues | None = None,
) -> ObservationBatch:
    r"""Return the pseudo-observations of one analysis time.

    Where the factor is persisted, with variance v of its logarithm, the standard deviation of Eqs. 5-8 becomes
    :math:`(\sigma_\rho^2 + (s \rho_\mathrm{MSIS})^2 v)^{1/2}`.

    Parameters
    ----------
    calibrated : CalibratedMsis
    grid : DataGrid
    time : datetime64[ns]
    track : DensityTrack
        Of the calibrating satellite, for its position.
    error : ObservationError
    persisted : FactorValues or None
        Of this one time, in place of the calibrated model's own.
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
    source = f"NRLMSIS {calibrated.msis.version} calibrated along {calibrated.satellite}"
    if persisted is None:
        values = calibrated.factor(np.atleast_1d(time)) * density
    else:
        values = np.exp(persisted.ln_factor) * density
        sigma = np.hypot(sigma, values * np.sqrt(persisted.variance))
        source += ", persisted"
    return ObservationBatch(
        values=values,
        error_standard_deviation=sigma,
        latitude=latitude,
        longitude=longitude,
        altitude_km=altitude_km,
        time=time,
        source=source,
        unmodelled_mass_ratio=atmosphere.unmodelled_mass_ratio.ravel(),
    )


@dataclass(frozen=True)
class DataGridSource:
    """The data grid at any time at which there is something to make it of.

    Parameters
    ----------
    factor : ContinuedFactor
    tracks : dict of satellite -> DensityTrack
        Of the satellites whose factors are used, for their positions.
    grid : DataGrid
    error : ObservationError
    """

    factor: ContinuedFactor
    tracks: Mapping[str, DensityTrack]
    grid: DataGrid
    error: ObservationError

    def state(self, time: TimeArray) -> NDArray[np.int8]:
        """Return whence the factor of times (n,) is, :class:`FactorState`; HELD: there are no observations.

        Where the error depends on the satellite's place and that is unknown, in a gap however short, there are none.
        """
        state = self.factor.at(time).state.copy()
        if np.isfinite(self.error.half_life_horizontal_rad):
            for one, calibrated in (
                (FactorState.KNOWN, self.factor.calibrated),
                (FactorState.FALLBACK, self.factor.fallback),
            ):
                if calibrated is not None:
                    far = self._distance_in_time(calibrated.satellite, time) > LARGEST_POSITION_AGE
                    state[(state == one) & far] = FactorState.HELD
            state[state == FactorState.PERSISTED] = FactorState.HELD
        return state

    def batch(self, time: np.datetime64) -> ObservationBatch:
        """Return the observations of a time at which the state is another than HELD; ValueError elsewhere."""
        times = np.atleast_1d(time)
        state = self.state(times)[0]
        if state == FactorState.HELD:
            raise ValueError(f"there is nothing to observe at {time}")
        calibrated = self.factor.calibrated
        if state == FactorState.FALLBACK and self.factor.fallback is not None:
            calibrated = self.factor.fallback
        persisted = self.factor.at(times) if state == FactorState.PERSISTED else None
        track = self.tracks[calibrated.satellite]
        return data_grid_batch(calibrated, self.grid, time, track, self.error, persisted)

    def _distance_in_time(self, satellite: str, time: TimeArray) -> NDArray[np.timedelta64]:
        """Return how far the nearest record of a satellite is from times (n,)."""
        known = self.tracks[satellite].time
        after = np.searchsorted(known, time)
        before, after = np.maximum(after - 1, 0), np.minimum(after, known.size - 1)
        return np.asarray(np.minimum(np.abs(time - known[before]), np.abs(known[after] - time)))
