"""Sums per key - per orbit, say - that add over chunks: the raw material of orbit averages and of block bootstraps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class KeyedSums:
    """Number of values and sums of several quantities for each key.

    Parameters
    ----------
    names : tuple of str
        Of the quantities.
    keys : array of int (keys,)
        Increasing; a key appears once.
    count : array of int (keys,)
        Number of values summed.
    sums : array (keys, quantities)
    """

    names: tuple[str, ...]
    keys: IntArray
    count: IntArray
    sums: FloatArray

    @classmethod
    def zero(cls, names: tuple[str, ...]) -> KeyedSums:
        """Return no sums, the neutral element of the addition."""
        return cls(names, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, len(names))))

    @classmethod
    def of(cls, keys: IntArray, quantities: Mapping[str, FloatArray]) -> KeyedSums:
        """Return the sums over values (n,); a value with a quantity that is not finite (a gap) is left out entirely.

        Parameters
        ----------
        keys : array of int (n,)
            In any order.
        quantities : mapping of name -> array (n,)

        Raises
        ------
        ValueError
            If the lengths differ.
        """
        names = tuple(quantities)
        if any(values.shape != keys.shape for values in quantities.values()) or keys.ndim != 1:
            raise ValueError(f"{keys.shape} keys do not go with quantities {[v.shape for v in quantities.values()]}")
        columns = np.stack([*quantities.values()], axis=1) if names else np.zeros((keys.size, 0))
        finite = np.isfinite(columns).all(axis=1)
        return cls._grouped(names, keys[finite], np.ones(np.count_nonzero(finite), np.int64), columns[finite])

    @classmethod
    def _grouped(cls, names: tuple[str, ...], keys: IntArray, count: IntArray, columns: FloatArray) -> KeyedSums:
        unique, group = np.unique(keys, return_inverse=True)
        total, sums = np.zeros(unique.size, np.int64), np.zeros((unique.size, len(names)))
        np.add.at(total, group, count)
        np.add.at(sums, group, columns)
        return cls(names, unique, total, sums)

    def __add__(self, other: KeyedSums) -> KeyedSums:
        """Return the sums of both; equal keys are one key, such as an orbit cut by the border of two chunks.

        Raises
        ------
        ValueError
            If the quantities differ.
        """
        if self.names != other.names:
            raise ValueError(f"sums of {self.names} and of {other.names} cannot be added")
        return self._grouped(
            self.names,
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.count, other.count]),
            np.concatenate([self.sums, other.sums]),
        )

    def mean(self, name: str) -> FloatArray:
        """Return the mean of one quantity for each key (keys,)."""
        return np.asarray(self.sums[:, self.names.index(name)] / self.count)

    def total(self, name: str) -> FloatArray:
        """Return the sum of one quantity for each key (keys,)."""
        return self.sums[:, self.names.index(name)]

    def take(self, chosen: NDArray[np.bool_]) -> KeyedSums:
        """Return the sums of the chosen keys alone."""
        return KeyedSums(self.names, self.keys[chosen], self.count[chosen], self.sums[chosen])
