"""What the filter is given: values, errors, positions. Nothing in the filter knows where a batch comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DENSITY, LN_DENSITY = "density", "ln_density"
"""Names of the observation operators: total mass density [kg m-3], and the natural logarithm of its value in kg m-3."""


@dataclass(frozen=True, eq=False)
class SampledPlaces:
    """Places over which observations are averages: the operator gives the weighted mean of the densities there.

    Parameters
    ----------
    latitude, longitude, altitude_km : array (samples,)
        Geodetic, those of one observation after those of the other.
    unmodelled_mass_ratio : array (samples,)
    weight : array (samples,)
        Those of one observation sum to one.
    first : array (observations,)
        Where the samples of each observation begin.
    """

    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray
    unmodelled_mass_ratio: FloatArray
    weight: FloatArray
    first: NDArray[np.int64]

    def mean(self, values: FloatArray) -> FloatArray:
        """Return weighted means (observations, members) of values (samples, members)."""
        return np.asarray(np.add.reduceat(self.weight[:, None] * values, self.first, axis=0))


@dataclass(frozen=True)
class ObservationBatch:
    """Observations of one source for one analysis.

    Parameters
    ----------
    values, error_standard_deviation : array (observations,)
        What the operator gives, and its standard deviation: total mass density [kg m-3] or its logarithm.
    latitude, longitude, altitude_km : array (observations,)
        Geodetic position.
    time : datetime64[ns]
        UTC; of the state that they are compared with.
    source : str
        Where they come from.
    unmodelled_mass_ratio : array (observations,)
        Total density over that of the species in the state; the observation operator multiplies by it.
    operator : {"density", "ln_density"}
        Name of the observation operator.
    sampled : SampledPlaces or None
        Where observations are averages along a track; None: they are of their positions.

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
    operator: str = DENSITY
    sampled: SampledPlaces | None = None

    def __post_init__(self) -> None:
        if self.sampled is not None and self.sampled.first.shape != self.values.shape:
            raise ValueError(f"places sampled for {self.sampled.first.size} of {self.values.size} observations")
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

    @property
    def position(self) -> FloatArray:
        """Latitude, longitude [degrees] and altitude [km], (observations, 3)."""
        return np.column_stack([self.latitude, self.longitude, self.altitude_km])

    def select(self, mask: BoolArray) -> ObservationBatch:
        """Return the observations for which the mask (observations,) is true, in their order; perhaps none.

        Raises
        ------
        ValueError
            If the mask is not boolean or has another length, or observations are averages of sampled places.
        """
        if self.sampled is not None:
            raise ValueError("observations that are averages of sampled places cannot be selected")
        if mask.shape != self.values.shape or mask.dtype != np.bool_:
            raise ValueError(f"a mask of {self.values.size} booleans is needed, not {mask.dtype} {mask.shape}")
        return replace(
            self,
            values=self.values[mask],
            error_standard_deviation=self.error_standard_deviation[mask],
            latitude=self.latitude[mask],
            longitude=self.longitude[mask],
            altitude_km=self.altitude_km[mask],
            unmodelled_mass_ratio=self.unmodelled_mass_ratio[mask],
        )

    def with_error_factor(self, factor: FloatArray | float) -> ObservationBatch:
        """Return the observations with standard deviations multiplied by a positive factor, one or one for each.

        Raises
        ------
        ValueError
            If a factor is not positive and finite, or their number is wrong.
        """
        factors = np.asarray(factor, dtype=np.float64)
        if factors.shape not in ((), self.values.shape):
            raise ValueError(f"{factors.shape} error factors for {self.values.size} observations")
        if not ((factors > 0.0) & (factors < np.inf)).all():
            raise ValueError("error factors must be positive and finite")
        return replace(self, error_standard_deviation=self.error_standard_deviation * factors)

    def in_ln_density(self) -> ObservationBatch:
        r"""Return the same observations as logarithms: ln y with standard deviation s = sigma / y, to first order.

        How good that is depends on what the errors are:

        - normal errors of y: ln y has the standard deviation :math:`s (1 + 5 s^2/4) + O(s^5)` and the bias
          :math:`-s^2/2 + O(s^4)`. For s = 0.1 the first is 1.2 % larger than s and the bias 5 % of it.
        - lognormal errors with mean y and standard deviation sigma: exactly :math:`\sqrt{\ln(1 + s^2)}`, that is
          :math:`s (1 - s^2/4) + O(s^5)`, and the mean of ln y is lower by half the square of it. One who knows the
          errors to be lognormal can give such values and errors instead.

        First order lies between the two, and needs no decision about the distribution.

        Raises
        ------
        ThermodaError
            If a density is not positive.
        ValueError
            If the observations are not densities.
        """
        if self.operator != DENSITY:
            raise ValueError(f"observations of '{self.operator}' are no densities")
        wrong = np.flatnonzero(self.values <= 0.0)
        if wrong.size:
            raise ThermodaError(
                f"{self.locate(int(wrong[0]))}: density {self.values[wrong[0]]} has no logarithm; "
                "analysis.variable: ln_density needs positive densities"
            )
        return replace(
            self,
            values=np.log(self.values),
            error_standard_deviation=self.error_standard_deviation / self.values,
            operator=LN_DENSITY,
        )

    def locate(self, number: int) -> str:
        """Return time, source and place of one observation, for messages."""
        return (
            f"observation at {self.time} from {self.source} at latitude {self.latitude[number]:.2f}, "
            f"longitude {self.longitude[number]:.2f}, altitude {self.altitude_km[number]:.1f} km"
        )


@dataclass(frozen=True, eq=False)
class JoinedObservations:
    """The columns that one analysis of several sources needs; each source keeps its place.

    Parameters
    ----------
    values, error_standard_deviation : array (observations,)
        In the order of the sources.
    position : array (observations, 3)
        Latitude, longitude [degrees], altitude [km].
    sizes : tuple of int
        Number of observations of each source.
    """

    values: FloatArray
    error_standard_deviation: FloatArray
    position: FloatArray
    sizes: tuple[int, ...]

    @property
    def parts(self) -> tuple[slice, ...]:
        """The rows of each source."""
        edges = np.cumsum([0, *self.sizes]).tolist()
        return tuple(slice(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True))


def join_batches(batches: Sequence[ObservationBatch]) -> JoinedObservations:
    """Return the observations of several sources one after the other.

    Raises
    ------
    ValueError
        If there is no batch, or their operators differ: an analysis is made in density or in its logarithm.
    """
    if not batches:
        raise ValueError("no observations to join")
    operators = sorted({batch.operator for batch in batches})
    if len(operators) > 1:
        raise ValueError(f"observations of one analysis must have one operator, not {' and '.join(operators)}")
    return JoinedObservations(
        values=np.concatenate([batch.values for batch in batches]),
        error_standard_deviation=np.concatenate([batch.error_standard_deviation for batch in batches]),
        position=np.concatenate([batch.position for batch in batches]),
        sizes=tuple(len(batch) for batch in batches),
    )


@dataclass(frozen=True)
class SourceBatch:
    """A batch and the name of its source in the configuration, under which its localization is found.

    Parameters
    ----------
    source : str
    batch : ObservationBatch
    """

    source: str
    batch: ObservationBatch
