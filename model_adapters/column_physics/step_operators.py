"""Exact operators of one step, linearised about the global-mean column of the reference of the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers
from model_adapters.column_physics import fitted
from model_adapters.column_physics.composition import composition_boundary, composition_matrix, temperature_coupling
from model_adapters.column_physics.cooling import cooling_rates, nitric_oxide_fraction
from model_adapters.column_physics.reference import QuietReference
from model_adapters.column_physics.thermal import ReferenceColumn, eddy_rate
from model_adapters.column_physics.vertical import conduction_boundary, conduction_matrix, forced, propagator

FloatArray = NDArray[np.float64]

LONGEST_SUB_STEP_S = 900.0
"""Heating is held over a part of a step of at most this length."""

CACHED_DAYS = 2
CACHED_STEPS = 8


@dataclass(frozen=True)
class ColumnPhysicsOfDay:
    r"""The linear physics of anomalies tau [K] and c of a day, :math:`\dot\tau = A\tau + b_T \tau_{lb}` and so on.

    Parameters
    ----------
    column : ReferenceColumn
        About which it is linearised.
    height : array (levels,)
        Of its levels [m].
    conduction, diffusion, coupling : array (levels, levels), (3 levels, 3 levels), (3 levels, levels)
        A and B [s-1], C [s-1 K-1].
    bottom_temperature, bottom_ratio : array (levels,), (3 levels, 3)
        Rates b_T and b_c [s-1] at which offsets of the lower boundary work.
    nitric_oxide_rate : array (levels,)
        What climatological NO contributes to the cooling in A [s-1].
    """

    column: ReferenceColumn
    height: FloatArray
    conduction: FloatArray
    diffusion: FloatArray
    coupling: FloatArray
    bottom_temperature: FloatArray
    bottom_ratio: FloatArray
    nitric_oxide_rate: FloatArray

    @classmethod
    def of(cls, column: ReferenceColumn, height: FloatArray, f107_sfu: float, kp: float) -> ColumnPhysicsOfDay:
        """Return the physics about a column, NO being that of an F10.7 [sfu] and a Kp."""
        eddy = eddy_rate(column.zp)
        rates = cooling_rates(column, nitric_oxide_fraction(column, f107_sfu, kp))
        return cls(
            column=column,
            height=height,
            conduction=conduction_matrix(column, eddy) - np.diag(rates.total() + fitted.EXPANSION_RATE),
            diffusion=composition_matrix(column, eddy),
            coupling=temperature_coupling(column),
            bottom_temperature=conduction_boundary(column, eddy),
            bottom_ratio=composition_boundary(column, eddy),
            nitric_oxide_rate=rates.nitric_oxide,
        )

    def balance(self, bottom_temperature: FloatArray, bottom_ratio: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return tau (levels, members) and c (3 levels, members) that offsets of the lower boundary uphold.

        Parameters
        ----------
        bottom_temperature, bottom_ratio : array (members,), (3, members)
            K, and ln(w/w_N2) of O, O2, He.
        """
        per_kelvin = np.linalg.solve(self.conduction, -self.bottom_temperature)
        driven = np.column_stack([self.bottom_ratio, self.coupling @ per_kelvin])
        response = np.linalg.solve(self.diffusion, -driven)
        ratio = response @ np.vstack([bottom_ratio, bottom_temperature])
        return np.asarray(np.multiply.outer(per_kelvin, bottom_temperature)), np.asarray(ratio)


@dataclass(frozen=True)
class StepOperators:
    """Exact operators of one length of step, whose heating is held over equal parts of it; tau held where it drives c.

    Parameters
    ----------
    day : ColumnPhysicsOfDay
    temperature, composition : array (levels, levels), (3 levels, 3 levels)
        exp(A dt) and exp(B dt).
    coupling : array (3 levels, levels)
        Integral of exp(B s), times C [K-1].
    bottom_temperature, bottom_ratio : array (levels,), (3 levels, 3)
        Answers to offsets of the lower boundary.
    parts : int
        Of the step.
    part_temperature, part_heating : array (levels, levels)
        exp(A h) over a part, and the integral of exp(A s) [s], the answer to a constant heating.
    """

    day: ColumnPhysicsOfDay
    temperature: FloatArray
    composition: FloatArray
    coupling: FloatArray
    bottom_temperature: FloatArray
    bottom_ratio: FloatArray
    parts: int
    part_temperature: FloatArray
    part_heating: FloatArray

    @classmethod
    def of(cls, day: ColumnPhysicsOfDay, duration_s: float) -> StepOperators:
        """Return the operators of a step of ``duration_s``."""
        mixing = forced(day.diffusion, duration_s)
        parts = int(np.ceil(duration_s / LONGEST_SUB_STEP_S))
        return cls(
            day=day,
            temperature=propagator(day.conduction, duration_s),
            composition=propagator(day.diffusion, duration_s),
            coupling=mixing @ day.coupling,
            bottom_temperature=forced(day.conduction, duration_s) @ day.bottom_temperature,
            bottom_ratio=mixing @ day.bottom_ratio,
            parts=parts,
            part_temperature=propagator(day.conduction, duration_s / parts),
            part_heating=forced(day.conduction, duration_s / parts),
        )


class OperatorsByDay:
    """The operators of days and lengths of step, the last few kept.

    Parameters
    ----------
    reference : QuietReference
    quiet_kp : float
    """

    def __init__(self, reference: QuietReference, quiet_kp: float) -> None:
        self._reference, self._quiet_kp = reference, quiet_kp
        # The drivers are kept with what was computed from them: the identity of a living object is unique.
        self._days: dict[tuple[int, int], tuple[Drivers, ColumnPhysicsOfDay]] = {}
        self._steps: dict[tuple[int, float], StepOperators] = {}

    def day(self, drivers: Drivers, time: np.datetime64) -> ColumnPhysicsOfDay:
        """Return the physics about the reference at the beginning of the day."""
        midnight = time.astype("datetime64[D]").astype("datetime64[ns]")
        key = (id(drivers), int(midnight.astype(np.int64)))
        if key not in self._days:
            column, height = self._reference.column(self._reference.at(drivers, midnight))
            f107 = float(drivers.f107_81day(np.array([midnight]))[0])
            while len(self._days) >= CACHED_DAYS:
                self._days.pop(next(iter(self._days)))
            self._days[key] = (drivers, ColumnPhysicsOfDay.of(column, height, f107, self._quiet_kp))
        return self._days[key][1]

    def step(self, drivers: Drivers, time: np.datetime64, duration_s: float) -> StepOperators:
        """Return the operators of a step that begins at a time."""
        day = self.day(drivers, time)
        key = (id(day), duration_s)
        if key not in self._steps:
            while len(self._steps) >= CACHED_STEPS:
                self._steps.pop(next(iter(self._steps)))
            self._steps[key] = StepOperators.of(day, duration_s)
        return self._steps[key]
