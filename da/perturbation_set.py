"""Additive inflation of the members of all ranks, from a supplied set of perturbations.

The file of the set is described in :mod:`da.perturbation_file`. What counts of a sample is how it differs from the mean
of those that are drawn with it, so that a set of whole states serves as well as one of differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from netCDF4 import Dataset
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.inflation import add_centred_perturbations, draw_sample_numbers
from da.model import StateLayout
from da.parallel import Communicator, collective, share
from da.perturbation_file import (
    check_variable,
    opened,
    perturbed_fields,
    real_cells,
    sample_count_of,
    write_perturbation_set,
)
from da.seeding import Purpose, stream

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

__all__ = ["AdditiveInflation", "PerturbationSet", "write_perturbation_set"]

ROWS_PER_EXCHANGE = 2**17
"""Rows of which the ranks exchange sums at a time: one MiB for each rank."""


@dataclass(frozen=True, eq=False)
class PerturbationSet:
    """A checked file of perturbations; values are read when they are asked for. Made by :meth:`open`.

    Parameters
    ----------
    path : Path
    layout : StateLayout
    sample_count : int
        At least two.
    fields : dict of variable -> tuple of field names
        Which fields of the state each variable of the file perturbs.
    """

    path: Path
    layout: StateLayout
    sample_count: int
    fields: Mapping[str, tuple[str, ...]]

    @classmethod
    def open(cls, path: Path, layout: StateLayout, *, check_values: bool = True) -> PerturbationSet:
        """Return the set of a file after checking names, units, shapes, coordinates and every value.

        Parameters
        ----------
        path : Path
        layout : StateLayout
            Of the model whose states are perturbed.
        check_values : bool
            False leaves the values unread until they are drawn; of several processes one is enough to read them all.

        Raises
        ------
        ThermodaError
            For the first fault, with file, variable and what would be right.
        """
        with opened(path, check=True) as dataset:
            fields = perturbed_fields(path, dataset, layout)
            for variable in fields:
                check_variable(path, dataset, variable, layout)
            sample_count = sample_count_of(path, dataset, tuple(fields))
            found = cls(path, layout, sample_count, fields)
            if check_values:
                for variable in fields:
                    for number in range(sample_count):
                        found._sample(dataset, variable, number)
        return found

    def rows(self, field: str) -> slice:
        """Return the rows of the state that hold data of a field."""
        one = self.layout.fields[self.layout.names.index(field)]
        start = self.layout.offset(field)
        return slice(start, start + real_cells(self.layout, one))

    def samples(self, numbers: IndexArray) -> FloatArray:
        """Return samples as states (state_size, numbers), zero where nothing is perturbed.

        Parameters
        ----------
        numbers : array (n,)
            Numbers below ``sample_count``, in any order, repeated or not.

        Raises
        ------
        ValueError
            If there is no such sample.
        ThermodaError
            If the file cannot be read, or a value is not finite.
        """
        result = np.zeros((self.layout.state_size, len(numbers)))
        for variable, fields in self.fields.items():
            values = self.variable_samples(variable, numbers)
            for field in fields:
                rows = self.rows(field)
                result[rows] = values[: rows.stop - rows.start]
        return result

    def variable_samples(self, variable: str, numbers: IndexArray) -> FloatArray:
        """Return samples of one variable (cells, numbers), as :meth:`samples` does; one sample is read at a time."""
        wanted = np.asarray(numbers, dtype=np.int64)
        if wanted.ndim != 1 or (wanted < 0).any() or (wanted >= self.sample_count).any():
            raise ValueError(f"numbers of samples must lie between 0 and {self.sample_count - 1}, not {numbers}")
        result = np.zeros((self.layout.grid.cells, wanted.size))
        with opened(self.path) as dataset:
            for number in np.unique(wanted).tolist():
                sample = self._sample(dataset, variable, number)
                result[: sample.size, wanted == number] = sample[:, None]
        return result

    def _sample(self, dataset: Dataset, variable: str, number: int) -> FloatArray:
        """Return the real cells of one sample, checked."""
        try:
            # Scaled and masked as the attributes say; what is missing becomes NaN.
            stored = np.ma.asarray(dataset.variables[variable][number], dtype=np.float64)
        except (OSError, RuntimeError, KeyError, IndexError) as error:
            raise ThermodaError(f"{self.path}: sample {number} of {variable} cannot be read ({error})") from error
        if stored.shape != self.layout.grid.shape:
            raise ThermodaError(f"{self.path}: {variable} has changed its shape since the file was checked")
        fields = self.fields[variable]
        rows = max((self.rows(field) for field in fields), key=lambda rows: rows.stop - rows.start)
        values = stored.filled(np.nan).ravel()[: rows.stop - rows.start]
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            place = self.layout.locate(rows.start + int(bad[0])).partition(" at ")[2]
            raise ThermodaError(
                f"{self.path}: {variable} of sample {number} is {values[bad[0]]} or missing at {place}; "
                "every value must be finite"
            )
        return np.asarray(values)


@dataclass(frozen=True, eq=False)
class AdditiveInflation:
    """Perturbations from a set, added to the members of all ranks without moving the mean of the ensemble.

    Parameters
    ----------
    perturbations : PerturbationSet
    factor : float
        Not negative; the covariance grows by its square times that of the set.
    comm : Communicator
    members : int
        Of the whole ensemble; each rank holds the contiguous share that :func:`da.parallel.share` gives it.
    seed : int
        Of the run.
    """

    perturbations: PerturbationSet
    factor: float
    comm: Communicator
    members: int
    seed: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.factor) and self.factor >= 0.0):
            raise ValueError(f"the factor of additive inflation must be finite and not negative, not {self.factor}")

    def drawn(self, cycle_number: int) -> IndexArray:
        """Return which sample each member (members,) gets in a cycle; it depends on seed and cycle alone."""
        # Streams are numbered from zero, cycles by their times perhaps, which before 1970 are negative.
        number = 2 * cycle_number if cycle_number >= 0 else -2 * cycle_number - 1
        rng = stream(self.seed, Purpose.ADDITIVE_INFLATION, number)
        return draw_sample_numbers(rng, self.perturbations.sample_count, self.members)

    def add(self, states: FloatArray, cycle_number: int) -> FloatArray:
        """Return the states (state_size, local members) with perturbations; called on all ranks.

        The result does not depend on the number of ranks, to rounding: sums are formed rank by rank. Beside the states
        it holds the samples of one field. Bounds of the state may be passed; the caller constrains.

        Parameters
        ----------
        states : array (state_size, local members)
        cycle_number : int
            Of the analysis: any whole number; another one draws others.

        Raises
        ------
        ValueError
            If the states are not those of this rank's members.
        ThermodaError
            On all ranks, if the file cannot be read on one.
        """
        own = self.drawn(cycle_number)[np.asarray(share(self.members, self.comm.size, self.comm.rank), dtype=np.int64)]
        if states.shape != (self.perturbations.layout.state_size, own.size):
            raise ValueError(f"states {states.shape} are not those of {own.size} members of this layout")
        result = states.copy()
        for variable, fields in self.perturbations.fields.items():
            with collective(self.comm, "additive inflation"):
                samples = self.perturbations.variable_samples(variable, own)
            mean = self._mean(samples)
            for field in fields:
                rows = self.perturbations.rows(field)
                real = rows.stop - rows.start
                result[rows] = add_centred_perturbations(states[rows], samples[:real], mean[:real], self.factor)
        return result

    def _mean(self, samples: FloatArray) -> FloatArray:
        """Return the mean (cells,) of the samples of all ranks."""
        total = np.empty(len(samples))
        for start in range(0, len(samples), ROWS_PER_EXCHANGE):
            block = slice(start, start + ROWS_PER_EXCHANGE)
            total[block] = np.sum(self.comm.allgather(samples[block].sum(axis=1)), axis=0)
        return np.asarray(total / self.members)
