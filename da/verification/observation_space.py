r"""What innovations and residuals of a run's analyses say about assumed errors, by height; addable over analyses.

With :math:`d = y - \overline{Hx^f}`, :math:`r = y - \overline{Hx^a}`, the spread :math:`s` of HX before and
:math:`s_a` after the analysis and the assumed error :math:`\sigma`, all per observation (Desroziers et al. 2005,
doi:10.1256/qj.05.108, Eqs. 1-4)

.. math:: E[d^2] = s^2 + \sigma^2, \quad E[(d - r)\,d] = s^2, \quad E[r\,d] = \sigma^2, \quad E[(d - r)\,r] = s_a^2.

Densities span orders of magnitude, so everything is in units of :math:`\sigma`. The left sides estimate the right ones
if the gain rests on true covariances; a localized filter's gain does not entirely, so read them as diagnostics.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.stats
import xarray as xr

from da.errors import ThermodaError
from da.observations import DENSITY, LN_DENSITY
from da.stored_dataset import require_variable, stored_dataset, stored_values
from da.verification.keyed_sums import FloatArray, KeyedSums
from da.verification.strata import BoolArray

SMALLEST_ERROR, LARGEST_VALUE = 1e-30, 1e6
"""Of densities [kg m-3], their logarithms and altitudes [km]; others would be damaged numbers."""

_VARIABLES = ("error_standard_deviation", "forecast_mean", "forecast_spread", "analysis_mean", "analysis_spread")
_NAMES = ("innovation", "innovation_squared", "chi_square", "forecast", "residual", "analysis", "prior", "signal")


@dataclass(frozen=True)
class InnovationValue:
    """Diagnostics of the observations at one height, in units of the assumed error.

    Parameters
    ----------
    altitude_km : float
        Lower bound of the class of height.
    n : int
    mean_innovation, rms_innovation : float
        Of d / sigma.
    chi_square : float
        Mean of d^2 / (s^2 + sigma^2): 1 if spread and error are right, above 1 if too small.
    observation_error_ratio : float
        Estimated over assumed observation error, sqrt(mean(r d) / sigma^2); NaN where the estimate is negative.
    background_error_ratio : float
        Estimated over assumed background error, sqrt(mean((d - r) d) / mean(s^2)); NaN as above.
    analysis_error_ratio : float
        The same of the analysis, sqrt(mean((d - r) r) / mean(s_a^2)); NaN as above.
    degrees_of_freedom : float
        For signal, sum of (s_a / sigma)^2 = tr(H A H^T R^-1): exact without localization and inflation after the
        analysis, else an indication; the filter's own numbers are in ``filter.nc``.
    """

    altitude_km: float
    n: int
    mean_innovation: float
    rms_innovation: float
    chi_square: float
    observation_error_ratio: float
    background_error_ratio: float
    analysis_error_ratio: float
    degrees_of_freedom: float


@dataclass(frozen=True)
class InnovationStatistics:
    """Sums of the products of innovations and residuals per class of height.

    Parameters
    ----------
    step_km : float
        Width of the classes; the key of a class is its lower bound over this width.
    sums : KeyedSums
    """

    step_km: float
    sums: KeyedSums

    @classmethod
    def zero(cls, step_km: float = 25.0) -> InnovationStatistics:
        """Return the statistics of no observations, the neutral element of the addition."""
        return cls(step_km, KeyedSums.zero(_NAMES))

    @classmethod
    def of(
        cls,
        altitude_km: FloatArray,
        innovation: FloatArray,
        residual: FloatArray,
        error_standard_deviation: FloatArray,
        forecast_spread: FloatArray,
        analysis_spread: FloatArray,
        step_km: float = 25.0,
    ) -> InnovationStatistics:
        """Return the statistics of observations (n,); those with a NaN are left out.

        Raises
        ------
        ValueError
            If an error is not positive.
        """
        if np.any(error_standard_deviation <= 0.0):
            raise ValueError("observation errors must be positive")
        d, r, prior, posterior = (
            values / error_standard_deviation for values in (innovation, residual, forecast_spread, analysis_spread)
        )
        columns = (d, d**2, d**2 / (prior**2 + 1.0), (d - r) * d, r * d, (d - r) * r, prior**2, posterior**2)
        known = np.isfinite(altitude_km)
        # Altitudes are multiples of the step up to the rounding of their storage.
        keys = np.floor(altitude_km[known] / step_km + 1e-6).astype(np.int64)
        quantities = {name: column[known] for name, column in zip(_NAMES, columns, strict=True)}
        return cls(step_km, KeyedSums.of(keys, quantities))

    def __add__(self, other: InnovationStatistics) -> InnovationStatistics:
        """Return the statistics of both sets of observations; ValueError if the classes differ."""
        if self.step_km != other.step_km:
            raise ValueError("statistics of different classes of height cannot be added")
        return InnovationStatistics(self.step_km, self.sums + other.sums)

    def value(self) -> list[InnovationValue]:
        """Return the diagnostics of each class of height, from below; empty without observations."""
        return [self._of_key(number) for number in range(self.sums.keys.size)]

    def total(self) -> InnovationValue:
        """Return the diagnostics of all heights together; its altitude is NaN."""
        every = self.sums.sums.sum(axis=0)
        return _diagnostics(float("nan"), int(self.sums.count.sum()), every)

    def _of_key(self, number: int) -> InnovationValue:
        altitude = self.step_km * float(self.sums.keys[number])
        return _diagnostics(altitude, int(self.sums.count[number]), self.sums.sums[number])


def _diagnostics(altitude_km: float, n: int, sums: FloatArray) -> InnovationValue:
    if not n:
        nan = float("nan")
        return InnovationValue(altitude_km, 0, nan, nan, nan, nan, nan, nan, 0.0)
    mean = dict(zip(_NAMES, sums / n, strict=True))
    return InnovationValue(
        altitude_km,
        n,
        float(mean["innovation"]),
        float(np.sqrt(mean["innovation_squared"])),
        float(mean["chi_square"]),
        _root_ratio(mean["residual"], 1.0),
        _root_ratio(mean["forecast"], mean["prior"]),
        _root_ratio(mean["analysis"], mean["signal"]),
        float(n * mean["signal"]),
    )


def _root_ratio(estimated: float, assumed: float) -> float:
    return float(np.sqrt(estimated / assumed)) if assumed > 0.0 and estimated >= 0.0 else float("nan")


@dataclass(frozen=True)
class ChiSquare:
    """Mahalanobis distance of the innovations of one analysis.

    Parameters
    ----------
    statistic : float
        d^T (HPH^T + R)^-1 d; its expectation is the number of observations.
    n : int
    p_value : float
        Probability of a larger value if the covariances are right and all is Gaussian.
    """

    statistic: float
    n: int
    p_value: float


def chi_square(innovation: FloatArray, observed_anomalies: FloatArray, error_variance: FloatArray) -> ChiSquare:
    r"""Return the chi-square consistency of one analysis with the full covariance of the ensemble.

    By the Woodbury identity with :math:`S = R^{-1/2} HX'/\sqrt{N-1}`, :math:`\tilde d = R^{-1/2} d`:
    :math:`\tilde d^T\tilde d - (S^T\tilde d)^T (I + S^T S)^{-1} S^T\tilde d`, of cost O(p N^2).

    Parameters
    ----------
    innovation : array (p,)
    observed_anomalies : array (p, members)
        HX minus its mean.
    error_variance : array (p,)
    """
    p, members = observed_anomalies.shape
    if innovation.shape != (p,) or error_variance.shape != (p,) or members < 2:
        raise ValueError(f"{innovation.shape} innovations do not go with anomalies {observed_anomalies.shape}")
    scaled = observed_anomalies / np.sqrt((members - 1.0) * error_variance)[:, None]
    d = innovation / np.sqrt(error_variance)
    projected = scaled.T @ d
    inner = np.linalg.solve(np.eye(members) + scaled.T @ scaled, projected)
    statistic = float(d @ d - projected @ inner)
    return ChiSquare(statistic, p, float(scipy.stats.chi2.sf(statistic, p)))


def read_innovation_statistics(path: Path, step_km: float = 25.0) -> InnovationStatistics:
    """Return the statistics of all analyses in ``observations.nc``, one analysis at a time; refused ones are left out.

    Raises
    ------
    ThermodaError
        If the file cannot be read or lacks a variable.
    """
    with stored_dataset(path) as dataset:
        return _read_innovations(path, dataset, step_km)


def _read_innovations(path: Path, dataset: xr.Dataset, step_km: float) -> InnovationStatistics:
    value_name = next((name for name in (DENSITY, LN_DENSITY) if name in dataset.variables), "")
    if missing := [name for name in (*_VARIABLES, "altitude", "used") if name not in dataset.variables]:
        raise ThermodaError(f"{path} has no variable {', '.join(missing)}; repeat the run")
    if not value_name:
        raise ThermodaError(f"{path} has no observed values; repeat the run")
    names = ("used", "altitude", value_name, *_VARIABLES)
    for name in names:
        require_variable(path, dataset, name, ("time", "observation"))
    whole = InnovationStatistics.zero(step_km)
    for number in range(dataset.sizes["time"]):
        record = dataset[list(names)].isel(time=number)
        flags, *whole_columns = (stored_values(path, record, name, ("observation",)) for name in names)
        used: BoolArray = flags == 1
        columns = [one[used] for one in whole_columns]
        altitude, values, error, forecast, forecast_spread, analysis, analysis_spread = columns
        if not np.all(error > SMALLEST_ERROR) or any(np.any(np.abs(one) > LARGEST_VALUE) for one in columns):
            raise ThermodaError(f"{path}: analysis {number + 1} holds numbers that no observation has; repeat the run")
        whole = whole + InnovationStatistics.of(
            altitude, values - forecast, values - analysis, error, forecast_spread, analysis_spread, step_km
        )
    return whole
