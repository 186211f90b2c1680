"""Members in restart points: written by rank, read by their numbers in the whole ensemble, on any number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.cycle import MemberForecasts
from da.parallel import share
from da.restart_file import read_arrays

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class MemberPart:
    """Some members of one ensemble.

    Parameters
    ----------
    states : array (state_size, members)
    perturbations : dict of name -> array (members,)
    numbers : array of int (members,)
    lowest : int
        Lowest number in the whole ensemble.
    """

    states: FloatArray
    perturbations: Mapping[str, FloatArray]
    numbers: IndexArray
    lowest: int

    def arrays(self, ensemble: str) -> Arrays:
        """Return what is stored of them."""
        named = {f"{ensemble}.perturbation.{name}": values for name, values in self.perturbations.items()}
        return {f"{ensemble}.states": self.states, **named}

    @classmethod
    def of_files(cls, ensemble: str, files: Sequence[MemberFile], own: IndexArray, lowest: int) -> MemberPart:
        """Return the members ``own``, increasing, of the files that hold any of them, in the order of the ranks."""
        prefix = f"{ensemble}.perturbation."
        holding = [(one.arrays(), np.isin(one.numbers[ensemble], own)) for one in files if one.has(ensemble, own)]

        def joined(name: str) -> FloatArray:
            return np.ascontiguousarray(np.concatenate([arrays[name][..., part] for arrays, part in holding], axis=-1))

        names = [name for name in holding[0][0] if name.startswith(prefix)]
        perturbations = {name.removeprefix(prefix): joined(name) for name in names}
        return cls(joined(f"{ensemble}.states"), perturbations, own, lowest)

    def forecasts(self, forecasts: MemberForecasts, ensemble: str) -> MemberForecasts:
        """Return the members of a rank with these inputs, as another ensemble."""
        inputs = replace(
            forecasts.inputs,
            perturbations=self.perturbations,
            ensemble=ensemble,
            numbers=self.numbers,
            lowest=self.lowest,
        )
        return replace(forecasts, inputs=inputs, first_member=int(self.numbers[0]))


@dataclass(frozen=True)
class MemberFile:
    """What one rank has written of its members.

    Parameters
    ----------
    numbers : dict of ensemble -> array of int
        In the order in which they are stored.
    arrays : callable
        Returns what is stored; it is read once.
    """

    numbers: Mapping[str, IndexArray]
    arrays: Callable[[], Arrays]

    @classmethod
    def of(cls, point: Path, entry: Mapping[str, Any]) -> MemberFile:
        """Return the file of an entry of the index of a point."""
        numbers = {ensemble: np.array(held, dtype=np.int64) for ensemble, held in entry["numbers"].items()}
        return cls(numbers, cache(partial(read_arrays, point / entry["file"], entry["sha256"])))

    def has(self, ensemble: str, members: IndexArray) -> bool:
        """Return whether any of some members are there."""
        return bool(np.isin(self.numbers[ensemble], members).any())


def part_of_rank(ensemble: str, files: Sequence[MemberFile], size: int, rank: int) -> MemberPart | None:
    """Return the members of a rank of an ensemble, its share of all; None where no such ensemble is stored.

    Parameters
    ----------
    ensemble : str
    files : sequence of MemberFile
        Of all ranks that wrote the point, in their order.
    size, rank : int
        Of those that read it.
    """
    if ensemble not in files[0].numbers:
        return None
    whole = np.concatenate([one.numbers[ensemble] for one in files])
    return MemberPart.of_files(ensemble, files, whole[np.asarray(share(whole.size, size, rank))], int(whole.min()))
