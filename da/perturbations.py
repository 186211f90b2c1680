"""Perturbed inputs of the members: a truncated multivariate normal (Corbin & Kusche 2022, Table 1).

Each input has zero mean, a standard deviation and a symmetric truncation; pairs may be correlated (hemispheric power
and cross-tail potential by 0.9). A draw with any input beyond its truncation is rejected as a whole and repeated. The
standard deviations are those before truncation, as in the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError

FloatArray = NDArray[np.float64]

MAXIMUM_DRAWS = 10_000
"""Rejected draws per member after which the truncation is taken to be a mistake."""


@dataclass(frozen=True)
class Perturbation:
    """One perturbed input.

    Parameters
    ----------
    standard_deviation, truncation : float
        In the unit that the input's name gives; values beyond +-truncation are rejected.
    """

    standard_deviation: float
    truncation: float


@dataclass(frozen=True)
class PerturbationModel:
    """Distribution of all perturbed inputs.

    Parameters
    ----------
    inputs : dict of name -> Perturbation
    correlations : sequence of (name, name, correlation)
        Pairs not listed are uncorrelated.

    Raises
    ------
    ThermodaError
        If a correlation names an unknown input, a pair is listed twice, or the correlations contradict each other.
    """

    inputs: Mapping[str, Perturbation]
    correlations: Sequence[tuple[str, str, float]] = ()

    def __post_init__(self) -> None:
        self.factor()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(self.inputs)

    def factor(self) -> FloatArray:
        """Return the Cholesky factor (inputs, inputs) of the covariance before truncation."""
        correlation = np.eye(len(self.names))
        paired: set[frozenset[str]] = set()
        for first, second, value in self.correlations:
            for name in (first, second):
                if name not in self.names:
                    raise ThermodaError(f"ensemble.correlations: '{name}' is not among the perturbed inputs")
            i, j = self.names.index(first), self.names.index(second)
            if i == j:
                raise ThermodaError(f"ensemble.correlations: '{first}' is paired with itself")
            if frozenset((first, second)) in paired:
                raise ThermodaError(f"ensemble.correlations: '{first}' and '{second}' are paired twice")
            paired.add(frozenset((first, second)))
            correlation[i, j] = correlation[j, i] = value
        try:
            root = np.linalg.cholesky(correlation)
        except np.linalg.LinAlgError as error:
            raise ThermodaError(
                "ensemble.correlations: they contradict each other (the matrix is not positive definite)"
            ) from error
        deviations = np.array([self.inputs[name].standard_deviation for name in self.names])
        return np.asarray(deviations[:, None] * root)

    def draw(self, rngs: Sequence[np.random.Generator]) -> dict[str, FloatArray]:
        """Return one draw per generator: dict of name -> array (members,)."""
        factor = self.factor()
        limits = np.array([self.inputs[name].truncation for name in self.names])
        draws = np.array([self._draw_one(factor, limits, rng) for rng in rngs]).reshape(len(rngs), len(self.names))
        return {name: draws[:, i].copy() for i, name in enumerate(self.names)}

    def _draw_one(self, factor: FloatArray, limits: FloatArray, rng: np.random.Generator) -> FloatArray:
        for _ in range(MAXIMUM_DRAWS):
            values = factor @ rng.standard_normal(limits.size)
            if np.all(np.abs(values) <= limits):
                return np.asarray(values)
        raise ThermodaError(
            f"ensemble.perturbations: none of {MAXIMUM_DRAWS} draws lay within all truncations; "
            "widen the truncation of the inputs whose truncation is far below their standard deviation"
        )
