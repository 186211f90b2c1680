"""What the framework asks of a model: a state layout, and forecasts of the members of one rank together.

An ensemble array has the shape ``(state_size, members)`` in C order, members last: a row is one variable's ensemble, a
sub-domain of the analysis is a set of rows, and the ensemble transform is one matrix product from the right.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError

if TYPE_CHECKING:
    from da.drivers import Drivers

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PREVIOUS = "_previous"
"""Suffix of the twin of a field at the previous model step (the prime of Eq. 1)."""

SPIN_UP, ASSIMILATION, OPEN_LOOP = "spin_up", "assimilation", "open_loop"
"""Labels of the ensembles of one run: both others begin where the spin-up ends."""

FREE_FORECAST = "free_forecast"
"""Label of the ensemble that branches off the assimilation at an analysis; there is one at a time."""


@dataclass(frozen=True)
class StateField:
    """One field of the state vector.

    Parameters
    ----------
    name, unit : str
        Name as it appears in files and messages, and its unit.
    lower, upper : float
        Bounds that the constraints enforce after an analysis.
    missing_top_levels : int
        Number of levels at the top whose slots hold no data (temperature of TIE-GCM: 1).
    failing_below, failing_above : float
        Beyond these a forecast counts as failed. They are wider than the bounds by what rounding and time filters do.
    """

    name: str
    unit: str
    lower: float = -np.inf
    upper: float = np.inf
    missing_top_levels: int = 0
    failing_below: float = -np.inf
    failing_above: float = np.inf


POSSIBLE_TEMPERATURE_K = (99.9, 5000.0)
"""The minimum of TIE-GCM, 100 K, less what rounding and filters take off; twice the hottest of a great storm."""

FRACTION_TOLERANCE = 1e-9
"""By how much a mass fraction, or the sum of several, may leave [0, 1] by rounding."""

POSSIBLE_FRACTION = (-FRACTION_TOLERANCE, 1.0 + FRACTION_TOLERANCE)

THERMOSPHERE_FIELDS = tuple(
    StateField(name + suffix, unit, lower, upper, 0, *possible)
    for name, unit, lower, upper, possible in (
        ("temperature", "K", 100.0, np.inf, POSSIBLE_TEMPERATURE_K),
        ("mass_fraction_O", "1", 1e-9, 1.0, POSSIBLE_FRACTION),
        ("mass_fraction_O2", "1", 1e-9, 1.0, POSSIBLE_FRACTION),
        ("mass_fraction_He", "1", 1e-9, 1.0, POSSIBLE_FRACTION),
    )
    for suffix in ("", PREVIOUS)
)
"""State of Corbin & Kusche (2022), Eq. 1, in its order; the lower bounds are those of TIE-GCM 3.0."""


@dataclass(frozen=True)
class StateGrid:
    """Regular state grid: pressure levels, latitudes, periodic longitudes.

    Parameters
    ----------
    level : array (levels,)
        zp = ln(p0/p) of the mid-levels, increasing (for models without pressure: any increasing coordinate).
    latitude, longitude : array
        Degrees, increasing, equally spaced.
    periodic_longitude : bool
        Whether the last longitude neighbours the first one.

    Raises
    ------
    ValueError
        If an axis is empty or not equally spaced and increasing.
    """

    level: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    periodic_longitude: bool = True

    def __post_init__(self) -> None:
        for name in ("level", "latitude", "longitude"):
            axis = getattr(self, name)
            if axis.ndim != 1 or axis.size == 0:
                raise ValueError(f"state grid: {name} must be a non-empty one-dimensional array, not {axis.shape}")
            steps = np.diff(axis)
            if steps.size and not (np.all(steps > 0) and np.allclose(steps, steps[0], rtol=1e-9)):
                raise ValueError(f"state grid: {name} must increase in equal steps")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of levels, latitudes, longitudes."""
        return self.level.size, self.latitude.size, self.longitude.size

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class StateLayout:
    """Where each field lies in the flat state vector: C order of (field, level, latitude, longitude).

    >>> grid = StateGrid(np.arange(3.0), np.array([-45.0, 45.0]), np.arange(0.0, 360.0, 90.0))
    >>> layout = StateLayout((StateField("temperature", "K"), StateField("mass_fraction_O", "1")), grid)
    >>> layout.state_size, layout.offset("mass_fraction_O")
    (48, 24)
    """

    fields: tuple[StateField, ...]
    grid: StateGrid

    @property
    def state_size(self) -> int:
        """Length of the state vector."""
        return len(self.fields) * self.grid.cells

    @property
    def names(self) -> tuple[str, ...]:
        """Field names in the order of the state vector."""
        return tuple(field.name for field in self.fields)

    def offset(self, name: str) -> int:
        """Return the index of the first element of field ``name``; KeyError where there is none."""
        if name not in self.names:
            raise KeyError(f"the state has no field '{name}'; it has {', '.join(self.names)}")
        return self.names.index(name) * self.grid.cells

    def field(self, states: FloatArray, name: str) -> FloatArray:
        """Return the view (levels, latitudes, longitudes, members) of one field of ``states`` (state_size, members)."""
        start = self.offset(name)
        return states[start : start + self.grid.cells].reshape(*self.grid.shape, states.shape[1])

    def split(self, states: FloatArray) -> dict[str, FloatArray]:
        """Return views of all fields by name, each (levels, latitudes, longitudes, members)."""
        return {name: self.field(states, name) for name in self.names}

    def join(self, fields: Mapping[str, FloatArray]) -> FloatArray:
        """Return the ensemble array (state_size, members) of the given fields, the inverse of :meth:`split`."""
        members = next(iter(fields.values())).shape[-1]
        return np.concatenate([fields[name].reshape(self.grid.cells, members) for name in self.names])

    def locate(self, index: int) -> str:
        """Describe one element of the state vector in words, for error messages."""
        field, cell = divmod(int(index), self.grid.cells)
        level, row, column = np.unravel_index(cell, self.grid.shape)
        grid = self.grid
        return (
            f"{self.names[field]} at level {grid.level[level]:g}, "
            f"latitude {grid.latitude[row]:g}, longitude {grid.longitude[column]:g}"
        )


def composition_groups(layout: StateLayout) -> tuple[tuple[str, ...], ...]:
    """Return the groups of mass fractions that may sum to at most one: those of now, those of the previous step."""
    fractions = [name for name in layout.names if name.startswith("mass_fraction_")]
    now = tuple(name for name in fractions if not name.endswith(PREVIOUS))
    before = tuple(name for name in fractions if name.endswith(PREVIOUS))
    return tuple(group for group in (now, before) if group)


@dataclass(frozen=True)
class MemberInputs:
    """External inputs of the members of one rank.

    Parameters
    ----------
    perturbations : dict of name -> array (members,)
        Offsets of perturbed inputs, constant in time; units are in the names.
    drivers : Drivers or None
        Solar and geomagnetic indices; None for models that need none.
    numbers : array of int (members,) or None
        Numbers of the members in the whole ensemble, for models that keep something of each member apart from its
        state; None: they are counted from zero.
    ensemble : str
        Label of the ensemble: one model object serves several in one run.
    processes : int
        Number of processes that share the ensemble, for models that start programs.
    lowest : int
        Lowest number in the whole ensemble. The process that has this member does what one of them must do for all.
    """

    perturbations: Mapping[str, FloatArray]
    drivers: Drivers | None = None
    numbers: IndexArray | None = None
    ensemble: str = ""
    processes: int = 1
    lowest: int = 0

    def member_numbers(self, members: int) -> IndexArray:
        """Return the numbers (members,) of the members in the whole ensemble."""
        if self.numbers is None:
            return np.arange(members)
        if self.numbers.shape != (members,):
            raise ValueError(f"numbers of the members have shape {self.numbers.shape}, expected ({members},)")
        return self.numbers

    def of(self, positions: Sequence[int] | IndexArray) -> MemberInputs:
        """Return the inputs of the members at some positions, in that order."""
        chosen = np.asarray(positions, dtype=np.int64)
        perturbations = {name: values[chosen] for name, values in self.perturbations.items()}
        return replace(
            self, perturbations=perturbations, numbers=None if self.numbers is None else self.numbers[chosen]
        )

    def perturbation(self, name: str, members: int) -> FloatArray:
        """Return the offsets (members,) of one input: zeros where it is not perturbed."""
        offsets = self.perturbations.get(name)
        if offsets is None:
            return np.zeros(members)
        if offsets.shape != (members,):
            raise ValueError(f"perturbation '{name}' has shape {offsets.shape}, expected ({members},)")
        return offsets

    def required_drivers(self) -> Drivers:
        """Return the drivers, or raise where the run has none."""
        if self.drivers is None:
            raise ThermodaError("drivers: this model needs solar and geomagnetic indices, but the section is missing")
        return self.drivers


class ForecastModel(Protocol):
    """A model of the thermosphere (or a toy), advancing the members of one rank together.

    A forecast leaves its input untouched, lands on ``stop``, is the identity for zero length, is bitwise repeatable,
    and a member's result does not depend on its neighbours. ``tests/adapters`` holds every adapter to this.

    A model that takes hemispheric power and cross-tail potential from :meth:`da.drivers.Drivers.high_latitude`,
    whatever they come from, says so by the class attribute ``understands_solar_wind = True``; others leave it out.

    Where single members may fail while others do not, the forecast raises :class:`da.errors.MemberForecastError`; a
    member that is not finite, or beyond what its fields can be, needs no exception. Models may offer more:
    :class:`StepDivisible`, :class:`MembersInFiles`, :class:`ReadsFiles`, and ``reason_against(name)``, which says why
    an input cannot be perturbed.
    """

    @property
    def layout(self) -> StateLayout:
        """Fields, bounds and grid of the state vector."""
        ...

    @property
    def perturbable_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that may be perturbed per member; units are in the names."""
        ...

    @property
    def reference_pressure(self) -> float:
        """Pressure p0 of zp = ln(p0/p) [Pa]."""
        ...

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Return the states (state_size, members) at ``time``, one generator per member."""
        ...

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the states (state_size, members) at ``stop`` of members that are ``states`` at ``start``."""
        ...

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return the geometric height [m] of the mid-levels, (levels, latitudes, longitudes, members)."""
        ...


@runtime_checkable
class StepDivisible(Protocol):
    """What a model offers besides, which may be tried again with a shorter step where a member failed."""

    def with_step_divided(self, divisor: int) -> ForecastModel | None:
        """Return the same model with its step divided by ``divisor``; None where that is no step of it."""
        ...


@runtime_checkable
class MembersInFiles(Protocol):
    """What a model offers besides, whose members live in files: there is more to them than their states.

    Members are known by the label of their ensemble and their number (:class:`MemberInputs`). A file of a time is there
    completely or not at all, and what a forecast started from stays as it is.
    """

    def claim(self, ensemble: str, description: Mapping[str, Any]) -> None:
        """Note what an ensemble is made from, or raise ThermodaError where files made from something else are there."""
        ...

    def begin(self, time: np.datetime64, inputs: MemberInputs, source: str) -> None:
        """Let an ensemble begin at ``time`` with what ensemble ``source`` has there; older files of it are removed."""
        ...

    def stored(self, time: np.datetime64, inputs: MemberInputs) -> BoolArray:
        """Return which members (members,) have a file of ``time``; the inputs hold their numbers."""
        ...

    def restored(self, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return the states (state_size, members) that the files of ``time`` hold."""
        ...

    def adopt(self, state: FloatArray, time: np.datetime64, ensemble: str, source: int, member: int) -> FloatArray:
        """Make a member at ``time`` from the file of member ``source`` and a state (state_size,); return it as kept."""
        ...

    def hold(self, times: Sequence[np.datetime64]) -> None:
        """Keep what members have of these times, of restart points, however old; replaces what was held before.

        Else files that no forecast needs any more are removed. It is told on every rank, before a restart point counts
        as written, with the times of all points that are kept, and before the first forecast of a resumed run.
        """
        ...

    def discard(self, ensemble: str) -> None:
        """Remove all files of an ensemble."""
        ...


@runtime_checkable
class ReadsFiles(Protocol):
    """What a model offers besides, whose settings name files: a resumed run must find them as they were."""

    @property
    def files_read(self) -> Sequence[Path]:
        """Files that the model reads; not those that it writes."""
        ...


def refuse_unknown_perturbations(model_name: str, model: ForecastModel, names: Sequence[str]) -> None:
    """Raise ThermodaError for a perturbed input that the model does not have."""
    unknown = [name for name in names if name not in model.perturbable_inputs]
    if unknown:
        reason_against = getattr(model, "reason_against", None)
        if reason_against is not None and (reason := reason_against(unknown[0])):
            raise ThermodaError(
                f"ensemble.perturbations: model '{model_name}' has no input '{unknown[0]}' to perturb: {reason}"
            )
        allowed = ", ".join(model.perturbable_inputs) or "none"
        near = difflib.get_close_matches(unknown[0], model.perturbable_inputs, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; it has: {allowed}"
        raise ThermodaError(
            f"ensemble.perturbations: model '{model_name}' has no input '{unknown[0]}' to perturb{hint}"
        )


def refuse_unused_high_latitude(model_name: str, model: ForecastModel, keys: Sequence[str]) -> None:
    """Raise ThermodaError for a model that follows Kp alone where ``keys`` of the configuration say otherwise."""
    if keys and not getattr(model, "understands_solar_wind", False):
        raise ThermodaError(
            f"{keys[0]}: model '{model_name}' takes nothing but Kp at high latitudes and would ignore it; "
            "leave it out or choose another model.adapter"
        )


def refuse_unusable_time_limit(model_name: str, model: ForecastModel, limit_s: float | None) -> None:
    """Raise ThermodaError for a limit of time to a model whose forecasts are not computed in this process."""
    if limit_s is not None and isinstance(model, MembersInFiles):
        raise ThermodaError(
            f"ensemble.on_member_failure.time_limit_s: model '{model_name}' starts programs of its own, which "
            "model.settings limit; leave it out"
        )
