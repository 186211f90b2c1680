"""Densities that a synthetic satellite would measure in the synthetic truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.observation_handling import running_mean
from da.tracks.track import DensityTrack
from da.twin.orbit import Orbit
from da.twin.truth import TwinTruth

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]


def synthetic_track(
    satellite: str,
    orbit: Orbit,
    truth: TwinTruth,
    start: np.datetime64,
    stop: np.datetime64,
    *,
    rng: np.random.Generator,
    step_s: float = 30.0,
    relative_noise: float = 0.03,
    smoothing_s: float = 0.0,
) -> DensityTrack:
    """Return noisy densities along an orbit in the half-open window ``[start, stop)``.

    The noise is multiplicative and unbiased, ``exp(e - s^2 / 2)`` with ``e`` from ``N(0, s^2)``, white in
    time. With ``s^2 = ln(1 + relative_noise^2)`` its mean is 1 and its standard deviation is
    ``relative_noise``, both exactly.

    Parameters
    ----------
    satellite : str
        Name for tables.
    orbit : Orbit
    truth : TwinTruth
    start, stop : datetime64, UTC
    rng : numpy.random.Generator
        Of the noise; not used where ``relative_noise`` is 0.
    step_s : float
        Sampling interval [s].
    relative_noise : float
        Standard deviation of the noise relative to the density; 0 gives the truth itself.
    smoothing_s : float
        Width of the running mean of the truth that is measured [s], to which noise is added; the times at either end
        around which it does not exist are left out.

    Returns
    -------
    DensityTrack
        ``sigma`` is ``relative_noise`` times the measured density, None without noise.

    Raises
    ------
    ThermodaError
        If the drivers of the truth do not cover the window.
    ValueError
        If the window is empty, the step not positive or the noise negative.
    """
    if not start < stop:
        raise ValueError(f"the window must not be empty: {start} to {stop}")
    if not step_s > 0.0:
        raise ValueError(f"step_s must be positive, not {step_s}")
    if not (np.isfinite(relative_noise) and relative_noise >= 0.0):
        raise ValueError(f"relative_noise must not be negative, not {relative_noise}")
    step = np.timedelta64(round(step_s * 1.0e9), "ns")
    first, last = start.astype("datetime64[ns]"), stop.astype("datetime64[ns]")
    time: TimeArray = first + step * np.arange(-((first - last) // step))
    position = orbit.positions(time)
    density = truth.density(time, position.latitude, position.longitude, position.altitude_km)
    density = running_mean(time, density, smoothing_s)
    if relative_noise > 0.0:
        density = density * _unbiased_noise(rng, relative_noise, time.size)
    known = np.isfinite(density)
    return DensityTrack(
        satellite=satellite,
        time=time[known],
        latitude=position.latitude[known],
        longitude=position.longitude[known],
        altitude_km=position.altitude_km[known],
        density=density[known],
        sigma=relative_noise * density[known] if relative_noise > 0.0 else None,
        latitude_kind="geodetic",
        source=f"synthetic truth with seed {truth.seed}, relative noise {relative_noise:g}",
        smoothing_s=smoothing_s,
    )


def _unbiased_noise(rng: np.random.Generator, relative_noise: float, size: int) -> FloatArray:
    variance = float(np.log1p(relative_noise**2))
    return np.asarray(np.exp(rng.normal(0.0, np.sqrt(variance), size) - 0.5 * variance), dtype=np.float64)
