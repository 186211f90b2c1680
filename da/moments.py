"""Mean and variance of an ensemble as an addable object: the same however members are spread over ranks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class EnsembleMoments:
    """Number, mean and sum of squared deviations of some members.

    Two sets are merged by the pairwise formula of Chan et al. (1983, doi:10.1080/00031305.1983.10483115), which does
    not cancel as sums of squares do.

    >>> whole = EnsembleMoments.of(np.array([[1.0, 2.0, 6.0]]))
    >>> parts = EnsembleMoments.of(np.array([[1.0]])) + EnsembleMoments.of(np.array([[2.0, 6.0]]))
    >>> bool(np.allclose(whole.spread, parts.spread)), parts.mean
    (True, array([3.]))
    """

    members: int
    mean: FloatArray
    squared_deviations: FloatArray

    @classmethod
    def of(cls, ensemble: FloatArray) -> EnsembleMoments:
        """Return the moments over the last axis."""
        mean = ensemble.mean(axis=-1)
        return cls(ensemble.shape[-1], mean, np.sum((ensemble - mean[..., None]) ** 2, axis=-1))

    def __add__(self, other: EnsembleMoments) -> EnsembleMoments:
        members = self.members + other.members
        difference = other.mean - self.mean
        return EnsembleMoments(
            members,
            self.mean + difference * (other.members / members),
            self.squared_deviations
            + other.squared_deviations
            + difference**2 * (self.members * other.members / members),
        )

    @property
    def spread(self) -> FloatArray:
        """Standard deviation with ``members - 1`` in the denominator; ValueError for fewer than two members."""
        if self.members < 2:
            raise ValueError(f"a spread needs at least two members, not {self.members}")
        return np.asarray(np.sqrt(self.squared_deviations / (self.members - 1)))


def merged(parts: Iterable[EnsembleMoments]) -> EnsembleMoments:
    """Return the moments of all parts together."""
    return reduce(lambda first, second: first + second, parts)
