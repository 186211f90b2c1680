"""Checks of what callers outside this package hand to an analysis: every fault is told by the argument's name.

Each function returns an array that the filter can work with, or raises a ValueError that says what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.localization import LocalObservations

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CompressedRows:
    """Rows of sub-domains, one after the other: sub-domain b holds ``index[start[b]:start[b + 1]]``.

    Parameters
    ----------
    start : array of int (sub-domains + 1,)
        From zero to the length of ``index``, increasing.
    index : array of int
        Rows of the state.
    """

    start: ArrayLike
    index: ArrayLike


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations and their ensemble, checked.

    Parameters
    ----------
    ensemble : array (observations, members)
        HX.
    values, standard_deviation : array (observations,)
    """

    ensemble: FloatArray
    values: FloatArray
    standard_deviation: FloatArray


@dataclass(frozen=True, eq=False)
class DomainRows:
    """Disjoint rows of the sub-domains, checked.

    Parameters
    ----------
    rows : list of arrays or slices
    owner : array (state_size,)
        Number of the sub-domain of each row, -1 for rows of none.
    """

    rows: Sequence[IndexArray | slice]
    owner: IndexArray

    @classmethod
    def whole(cls, state_size: int) -> DomainRows:
        """Return one sub-domain of all rows."""
        return cls([slice(0, state_size)], np.zeros(state_size, dtype=np.int64))


def _numbers(name: str, value: ArrayLike) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked numbers: leave those observations or rows out, or fill them")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from error
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold real numbers, not {array.dtype}")
    return array


def _finite(name: str, array: NDArray[Any]) -> None:
    bad = np.logical_not(np.isfinite(array))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} must be finite: {name}{list(place)} is {array[place]}, one of {bad.sum()} such numbers"
        )


def _array(name: str, value: ArrayLike, shape: tuple[int, ...], meaning: str) -> FloatArray:
    """Return a finite array of one shape in double precision."""
    array = _numbers(name, value)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, {meaning}, not {array.shape}")
    _finite(name, array)
    return np.asarray(array, dtype=np.float64)


def missing(name: str) -> ValueError:
    """Return the error to raise where an argument is missing without which there is no localization."""
    return ValueError(
        f"{name} is missing: a Localization needs sub_domains, centre, position and metric, LocalObservations need "
        "sub_domains; localization=None is the global filter"
    )


def refuse_given(localization: str, arguments: Mapping[str, object]) -> None:
    """Raise a ValueError where an argument is given that this kind of localization would not look at."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name} has no meaning where localization is {localization}: leave it out")


def checked_ensemble(ensemble: ArrayLike) -> FloatArray:
    """Return the ensemble (state_size, members) in single precision where it is so, else in double."""
    array = _numbers("ensemble", ensemble)
    if array.ndim != 2 or not array.shape[0]:
        raise ValueError(f"ensemble must have shape (state_size, members), members last, not {array.shape}")
    if array.shape[1] < 2:
        raise ValueError(f"ensemble has {array.shape[1]} member(s): a spread needs 2 at least; members come last")
    single = array.dtype.kind == "f" and array.dtype.itemsize == 4
    return np.asarray(array, dtype=np.float32 if single else np.float64)


def checked_observations(
    observed_ensemble: ArrayLike, values: ArrayLike, error_standard_deviation: ArrayLike, members: int
) -> Observations:
    """Return observations that agree in number and are finite; one error may stand for all."""
    observed = _numbers("observed_ensemble", observed_ensemble)
    if observed.ndim != 2 or observed.shape[1] != members:
        raise ValueError(
            f"observed_ensemble must have shape (observations, {members}), one column per member of the ensemble, "
            f"not {observed.shape}"
        )
    _finite("observed_ensemble", observed)
    count = observed.shape[0]
    meaning = "one per row of observed_ensemble"
    errors = _numbers("error_standard_deviation", error_standard_deviation)
    errors = np.full(count, errors) if errors.ndim == 0 else errors
    errors = _array("error_standard_deviation", errors, (count,), f"{meaning} or one number for all")
    # The square is what the filter divides by.
    bad = (errors <= 0.0) | (errors**2 == 0.0) | np.isinf(errors**2)
    if bad.any():
        place = int(np.argmax(bad))
        raise ValueError(
            f"error_standard_deviation must be positive, its square neither zero nor infinite in double precision: "
            f"that of observation {place} is {errors[place]}"
        )
    return Observations(observed.astype(np.float64), _array("values", values, (count,), meaning), errors)


def checked_rows(sub_domains: Sequence[ArrayLike] | CompressedRows, state_size: int) -> DomainRows:
    """Return rows that exist and belong to one sub-domain at most; none is empty."""
    parts = _split(sub_domains) if isinstance(sub_domains, CompressedRows) else sub_domains
    rows = [_row_numbers(f"sub_domains[{number}]", part) for number, part in enumerate(parts)]
    if not rows:
        raise ValueError("sub_domains must name one sub-domain at least")
    sizes = np.array([part.size for part in rows])
    if not sizes.all():
        raise ValueError(f"sub_domains[{int(np.argmin(sizes))}] is empty: every sub-domain needs a row at least")
    row, domain = np.concatenate(rows), np.repeat(np.arange(len(rows)), sizes)
    outside = (row < 0) | (row >= state_size)
    if outside.any():
        first = int(np.argmax(outside))
        raise ValueError(
            f"sub_domains[{domain[first]}] holds row {row[first]}: the ensemble has rows 0 to {state_size - 1}"
        )
    owner = np.full(state_size, -1, dtype=np.int64)
    owner[row] = domain
    twice = np.bincount(row, minlength=state_size) > 1
    if twice.any():
        repeated = int(np.argmax(twice))
        first, second = domain[row == repeated][:2]
        raise ValueError(
            f"sub_domains overlap: row {repeated} is in sub-domain {first} and again in {second}; a row may belong to "
            "one alone, and once"
        )
    return DomainRows(rows, owner)


def _row_numbers(name: str, part: ArrayLike) -> IndexArray:
    try:
        array = np.asarray(part)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from error
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} must be a one-dimensional array of row numbers, as np.flatnonzero makes of a mask, not "
            f"{array.dtype} of shape {array.shape}"
        )
    return array.astype(np.int64, copy=False)


def _split(compressed: CompressedRows) -> list[IndexArray]:
    start, index = _row_numbers("start of sub_domains", compressed.start), _row_numbers("index", compressed.index)
    if start.size < 2 or start[0] != 0 or start[-1] != index.size or (np.diff(start) < 0).any():
        raise ValueError(
            f"start of sub_domains must begin with 0, never fall, and end with the length of index, {index.size}, with "
            "one number more than there are sub-domains"
        )
    return np.split(index, start[1:-1])


def refuse_missing_rows(ensemble: FloatArray, owner: IndexArray) -> None:
    """Raise a ValueError where a row of a sub-domain holds a number that is not finite."""
    bad = np.logical_not(np.isfinite(ensemble).all(axis=1)) & (owner >= 0)
    if bad.any():
        row = int(np.argmax(bad))
        member = int(np.argmin(np.isfinite(ensemble[row])))
        raise ValueError(
            f"ensemble must be finite in all rows of sub-domains: row {row} of sub-domain {owner[row]} is "
            f"{ensemble[row, member]} in member {member}, one of {bad.sum()} such rows"
        )


def checked_places(name: str, places: ArrayLike | None, count: int, of: str) -> FloatArray:
    """Return coordinates (count, 3)."""
    if places is None:
        raise missing(name)
    meaning = f"one row per {of} with the three coordinates of the metric (zeros for those not in use)"
    return _array(name, places, (count, 3), meaning)


def checked_local_observations(local: LocalObservations, domains: int, observations: int) -> LocalObservations:
    """Return local observations that fit the sub-domains and the observations."""
    if local.start.shape != (domains + 1,):
        raise ValueError(f"localization is of {local.start.size - 1} sub-domains, sub_domains of {domains}")
    entries = (int(local.start[-1]),)
    if local.start[0] != 0 or (local.counts < 0).any() or not local.index.shape == local.weight.shape == entries:
        raise ValueError(
            f"localization has {local.index.shape} indices and {local.weight.shape} weights: its start must begin with "
            "0, never fall, and end with the number of both"
        )
    if local.index.size and not (local.index.min() >= 0 and local.index.max() < observations):
        raise ValueError(
            f"localization refers to observations {local.index.min()} to {local.index.max()}: there are 0 to "
            f"{observations - 1}"
        )
    if not (np.isfinite(local.weight).all() and (local.weight >= 0.0).all()):
        raise ValueError("the weights of localization must be finite and not negative")
    return local


def checked_update_fraction(update_fraction: ArrayLike | None, state_size: int) -> FloatArray | None:
    """Return the part of its increment that each row receives."""
    if update_fraction is None:
        return None
    fraction = _array("update_fraction", update_fraction, (state_size,), "one per row of the ensemble")
    if not ((fraction >= 0.0) & (fraction <= 1.0)).all():
        raise ValueError(f"update_fraction must lie within [0, 1], not {fraction.min()} to {fraction.max()}")
    return fraction
