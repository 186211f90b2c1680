r"""Superobbing: averages of consecutive densities of a track, with the error that an average has.

Within a window of some tens of seconds ln rho is close to linear along the orbit, whereas rho itself is curved. With
:math:`\rho_i = \exp(a + b x_i)` at the positions :math:`x_i` the density at the mean position is

.. math:: \rho(\bar x) = \exp(a + b \bar x) = \exp\Big(\frac{1}{n} \sum_i \ln \rho_i\Big),

the geometric mean, exactly; the arithmetic mean lies above it by the factor :math:`1 + \mathrm{var}(\ln \rho_i)/2` to
second order (Jensen). The average of ln rho is therefore what the observation operator finds at the mean position, and
it is taken here. Its price: noise that is symmetric in rho with relative standard deviation s lowers it by the factor
:math:`1 - s^2/2` to second order, 0.5 % for s = 0.1 and nothing for noise that is symmetric in ln rho.

Errors are relative: :math:`\epsilon_i` is the error of :math:`\ln \rho_i`, with standard deviation :math:`\sigma` and
correlation :math:`\exp(-|t_i - t_j|/\tau)`, that of a first-order autoregressive process. Their mean then has

.. math:: \sigma_{mean}^2 = \frac{1}{n^2} \sum_{ij} \langle \epsilon_i \epsilon_j \rangle
   = \frac{\sigma^2}{n^2} \Big( n + 2 \sum_{j=2}^{n} c_j \Big),
   \quad c_j = \sum_{i<j} e^{-(t_j - t_i)/\tau} = e^{-(t_j - t_{j-1})/\tau} (1 + c_{j-1}), \quad c_1 = 0.

Without correlation this is :math:`\sigma/\sqrt n`; with full correlation :math:`c_j = j - 1` and the mean is no better
than one record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.observation_handling.time_steps import increasing_nanoseconds, whole_nanoseconds

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
TimeArray = NDArray[np.datetime64]

SMALLEST_RESULTANT = 0.5
"""Length of the mean of unit vectors below which their direction says little: an arc of 217 degrees has it."""


@dataclass(frozen=True, eq=False)
class SuperObservations:
    """Averages of a track, one per window that holds a record.

    Parameters
    ----------
    time : array (m,), datetime64[ns]
        Mean time.
    latitude, longitude : array (m,)
        Mean direction, degrees; longitude in [-180, 180).
    altitude_km : array (m,)
        Mean altitude.
    density : array (m,)
        Geometric mean, in the unit of the records.
    error_factor : array (m,)
        Standard deviation of the average over that of one record, in (0, 1].
    count : array (m,)
        Records in each.
    """

    time: TimeArray
    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray
    density: FloatArray
    error_factor: FloatArray
    count: IndexArray


def error_factor_of_mean(count: int, step_s: float, correlation_time_s: float) -> float:
    """Return the standard deviation of the mean of equally spaced values over that of one value.

    With the lag-one correlation ``phi = exp(-step/tau)`` the sum of the module's docstring, ordered by lag, is
    ``sigma_mean^2 / sigma^2 = (n + 2 sum_{k=1}^{n-1} (n - k) phi^k) / n^2``.

    Parameters
    ----------
    count : int
        Number n of values.
    step_s : float
        Time between them.
    correlation_time_s : float
        tau: zero for none, infinity for fully correlated errors.

    Examples
    --------
    >>> [round(error_factor_of_mean(4, 10.0, tau), 3) for tau in (0.0, 20.0, float("inf"))]
    [0.5, 0.773, 1.0]
    """
    if count < 1 or not 0.0 <= step_s < np.inf:
        raise ValueError(f"a mean needs at least one value and a step that is not negative, not {count} and {step_s}")
    correlation = _correlation(np.array([step_s]), correlation_time_s)[0]
    lag = np.arange(1, count)
    return float(np.sqrt(count + 2.0 * np.sum((count - lag) * correlation**lag)) / count)


def superobservations(
    time: TimeArray,
    latitude: FloatArray,
    longitude: FloatArray,
    altitude_km: FloatArray,
    density: FloatArray,
    superobbing_s: float,
    correlation_time_s: float,
) -> SuperObservations:
    """Average the records of a track over windows of time.

    Window k holds the records with ``k w <= t < (k + 1) w``, t counted from 1970-01-01 00:00 UTC: averages do not
    depend on where a file begins, other than the first and the last one, of which a part may be missing.

    Parameters
    ----------
    time : array (n,), datetime64
        UTC, strictly increasing.
    latitude, longitude : array (n,)
        Degrees; averaged as unit vectors, so that neither the poles nor the date line matter.
    altitude_km, density : array (n,)
        Altitude, averaged; density, positive, its logarithm averaged (see the module's docstring).
    superobbing_s : float
        Length w of the windows [s].
    correlation_time_s : float
        tau of the relative errors: zero for none, infinity for fully correlated errors.

    Raises
    ------
    ValueError
        If times do not increase strictly, a density or the window is not positive, lengths differ, or a window is so
        long that its positions have no common direction.
    """
    stamps, width = increasing_nanoseconds(time), whole_nanoseconds(superobbing_s, "the superobbing window")
    for name, column in (("latitude", latitude), ("longitude", longitude), ("altitude", altitude_km)):
        if column.shape != stamps.shape:
            raise ValueError(f"{name} has shape {column.shape}, time has {stamps.shape}")
    if density.shape != stamps.shape or not (density > 0.0).all():
        raise ValueError(f"densities must have shape {stamps.shape} and be positive")
    first, count = np.unique(stamps // width, return_index=True, return_counts=True)[1:]
    elapsed = stamps - np.repeat(stamps[first], count)
    mean_time = stamps[first] + np.add.reduceat(elapsed, first) // count
    mean_latitude, mean_longitude = _mean_direction(latitude, longitude, first, count)
    return SuperObservations(
        time=mean_time.astype("datetime64[ns]"),
        latitude=mean_latitude,
        longitude=mean_longitude,
        altitude_km=np.add.reduceat(altitude_km, first) / count,
        density=np.exp(np.add.reduceat(np.log(density), first) / count),
        error_factor=_error_factors(elapsed / 1e9, first, count, correlation_time_s),
        count=count.astype(np.int64),
    )


def _mean_direction(
    latitude: FloatArray, longitude: FloatArray, first: IndexArray, count: IndexArray
) -> tuple[FloatArray, FloatArray]:
    phi, lam = np.radians(latitude), np.radians(longitude)
    vectors = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    x, y, z = np.add.reduceat(vectors, first, axis=1) / count
    spread_out = np.sqrt(x**2 + y**2 + z**2) < SMALLEST_RESULTANT
    if spread_out.any():
        raise ValueError(
            f"window {int(np.flatnonzero(spread_out)[0])} spans so much of an orbit that its records have no mean "
            "position; shorten the superobbing window"
        )
    mean_longitude = np.degrees(np.arctan2(y, x))
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.where(mean_longitude >= 180.0, -180.0, mean_longitude)


def _correlation(lag_s: FloatArray, correlation_time_s: float) -> FloatArray:
    if not correlation_time_s >= 0.0:
        raise ValueError(f"the correlation time must not be negative: {correlation_time_s}")
    if correlation_time_s == 0.0:
        return np.zeros_like(lag_s)
    # A ratio beyond the largest number is as good as infinity: no correlation.
    with np.errstate(over="ignore"):
        return np.exp(-lag_s / correlation_time_s)


def _error_factors(
    elapsed_s: FloatArray, first: IndexArray, count: IndexArray, correlation_time_s: float
) -> FloatArray:
    # The recursion for c_j, one step for all windows at a time; ``elapsed_s`` begins at zero in each window.
    partial = np.zeros(first.size)
    total = count.astype(np.float64)
    for number in range(1, int(count.max(initial=0))):
        longer = np.flatnonzero(count > number)
        record = first[longer] + number
        step = _correlation(elapsed_s[record] - elapsed_s[record - 1], correlation_time_s)
        partial[longer] = step * (1.0 + partial[longer])
        total[longer] += 2.0 * partial[longer]
    # Rounding must not make fully correlated errors larger than one record's.
    return np.minimum(np.sqrt(total) / count, 1.0)
