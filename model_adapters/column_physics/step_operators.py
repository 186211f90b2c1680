"""Exact operators of one step, linearised about the global-mean column of the reference of the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers
from model_adapters.column_physics import fitted
from model_adapters.column_physics.composition import (
    composition_boundary,
    composition_matrix,
    eddy_tendency,
    temperature_coupling,
)
from model_adapters.column_physics.cooling import (
    AURORAL_F107_SFU,
    cooling_by_composition,
    cooling_rates,
    nitric_oxide_cooling,
    nitric_oxide_fraction,
)
from model_adapters.column_physics.reference import QuietReference
from model_adapters.column_physics.thermal import SPECIES, ReferenceColumn, eddy_rate
from model_adapters.column_physics.vertical import (
    conduction_boundary,
    conduction_matrix,
    eddy_heating,
    forced,
    propagator,
)

FloatArray = NDArray[np.float64]

LONGEST_SUB_STEP_S = 900.0
"""Heating is held over a part of a step of at most this length."""

CACHED_DAYS = 2
CACHED_STEPS = 8


@dataclass(frozen=True)
class ColumnPhysicsOfDay:
    r"""The linear physics of anomalies tau [K] and c of a day.

    :math:`\dot\tau = A\tau - D c + b_T \tau_{lb}`, :math:`\dot c = B c + C \tau + b_c c_{lb}`.

    Parameters
    ----------
    column : ReferenceColumn
        About which it is linearised.
    height : array (levels,)
        Of its levels [m].
    conduction, diffusion, coupling : array (levels, levels), (3 levels, 3 levels), (3 levels, levels)
        A and B [s-1], C [s-1 K-1].
    cooling_by_composition : array (levels, 3 levels)
        D [K s-1].
    bottom_temperature, bottom_ratio : array (levels,), (3 levels, 3)
        Rates b_T and b_c [s-1] at which offsets of the lower boundary work.
    eddy_temperature, eddy_ratio : array (levels,), (3 levels,)
        What eddies do to the reference [K s-1], [s-1]; a member's factor multiplies it.
    nitric_oxide_rate, nitric_oxide_cooling : array (levels, 2)
        Damping [s-1] of anomalies and cooling [K s-1] of the reference by NO of the climatology, and by one unit of
        auroral NO. The damping by climatological NO is in A.
    """

    column: ReferenceColumn
    height: FloatArray
    conduction: FloatArray
    diffusion: FloatArray
    coupling: FloatArray
    cooling_by_composition: FloatArray
    bottom_temperature: FloatArray
    bottom_ratio: FloatArray
    eddy_temperature: FloatArray
    eddy_ratio: FloatArray
    nitric_oxide_rate: FloatArray
    nitric_oxide_cooling: FloatArray

    @classmethod
    def of(cls, column: ReferenceColumn, height: FloatArray, f107_sfu: float, kp: float) -> ColumnPhysicsOfDay:
        """Return the physics about a column, NO being that of an F10.7 [sfu] and a Kp."""
        eddy = eddy_rate(column.zp)
        nitric_oxide = nitric_oxide_fraction(column, f107_sfu, kp)
        rates = cooling_rates(column, nitric_oxide)
        kinds = (nitric_oxide, nitric_oxide_fraction(column, AURORAL_F107_SFU, kp))
        cooling, derivative = np.stack([nitric_oxide_cooling(column, kind) for kind in kinds], axis=-1)
        expansion = fitted.EXPANSION_RATE / (1.0 + np.exp(fitted.EXPANSION_BOTTOM_ZP - column.zp))
        vertical = composition_matrix(column, eddy)
        # The circulation brings air that is in balance with the same forcing, which the forcing has to make up for.
        brought = np.eye(len(vertical)) - fitted.OVERTURNING_RATE * np.linalg.inv(vertical)
        return cls(
            column=column,
            height=height,
            conduction=conduction_matrix(column, eddy) - np.diag(rates.total() + expansion),
            diffusion=vertical - fitted.OVERTURNING_RATE * np.eye(len(vertical)),
            coupling=brought @ temperature_coupling(column),
            cooling_by_composition=cooling_by_composition(column, nitric_oxide),
            bottom_temperature=conduction_boundary(column, eddy),
            bottom_ratio=brought @ composition_boundary(column, eddy),
            eddy_temperature=eddy_heating(column, eddy),
            eddy_ratio=brought @ eddy_tendency(column, eddy),
            nitric_oxide_rate=derivative / column.heat_capacity[:, None],
            nitric_oxide_cooling=cooling / column.heat_capacity[:, None],
        )

    def balance(
        self, bottom_temperature: FloatArray, bottom_ratio: FloatArray, more_eddies: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return tau (levels, members) and c (3 levels, members) that lower boundary and eddies uphold.

        Parameters
        ----------
        bottom_temperature, bottom_ratio : array (members,), (3, members)
            Offsets [K], and of ln(w/w_N2) of O, O2, He.
        more_eddies : array (members,)
            Factor of the eddies less one.
        """
        heating = np.outer(self.bottom_temperature, bottom_temperature) + np.outer(self.eddy_temperature, more_eddies)
        mixing = self.bottom_ratio @ bottom_ratio + np.outer(self.eddy_ratio, more_eddies)
        matrix = np.block([[self.conduction, -self.cooling_by_composition], [self.coupling, self.diffusion]])
        found = np.linalg.solve(matrix, -np.concatenate([heating, mixing]))
        return np.asarray(found[: len(heating)]), np.asarray(found[len(heating) :])

    def balance_with_bottom(self, bottom_temperature: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return tau and c, as of :meth:`balance`, that offsets of the bottom temperature [K] alone uphold."""
        none = np.zeros_like(bottom_temperature)
        return self.balance(bottom_temperature, np.stack([none] * len(SPECIES)), none)


@dataclass(frozen=True)
class StepOperators:
    """Exact operators of one length of step: heating is held over parts of it, tau and c where they drive each other.

    Parameters
    ----------
    day : ColumnPhysicsOfDay
    temperature, composition : array (levels, levels), (3 levels, 3 levels)
        exp(A dt) and exp(B dt).
    coupling, cooling_by_composition : array (3 levels, levels), (levels, 3 levels)
        Integral of exp(B s), times C [K-1]; integral of exp(A s), times D [K].
    heating, mixing : array (levels, levels), (3 levels, 3 levels)
        Integrals of exp(A s) and exp(B s) [s], the answers to constant tendencies.
    parts : int
        Of the step.
    part_temperature, part_heating : array (levels, levels)
        exp(A h) over a part, and the integral of exp(A s) [s], the answer to a constant heating.
    """

    day: ColumnPhysicsOfDay
    temperature: FloatArray
    composition: FloatArray
    coupling: FloatArray
    cooling_by_composition: FloatArray
    heating: FloatArray
    mixing: FloatArray
    parts: int
    part_temperature: FloatArray
    part_heating: FloatArray

    @classmethod
    def of(cls, day: ColumnPhysicsOfDay, duration_s: float) -> StepOperators:
        """Return the operators of a step of ``duration_s``."""
        heating, mixing = forced(day.conduction, duration_s), forced(day.diffusion, duration_s)
        parts = int(np.ceil(duration_s / LONGEST_SUB_STEP_S))
        return cls(
            day=day,
            temperature=propagator(day.conduction, duration_s),
            composition=propagator(day.diffusion, duration_s),
            coupling=mixing @ day.coupling,
            cooling_by_composition=heating @ day.cooling_by_composition,
            heating=heating,
            mixing=mixing,
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
