r"""Lorenz (1996) model, for tests of the cycle against theory and literature.

.. math:: dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F

on a periodic ring, integrated with the classical fourth-order Runge-Kutta scheme. One time unit stands for five days
(Lorenz & Emanuel 1998, doi:10.1175/1520-0469(1998)055<0399:OSFSWO>2.0.CO;2), so that the usual step of 0.05 is six
hours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from da.errors import ThermodaError
from da.model import MemberInputs, StateField, StateGrid, StateLayout

FloatArray = NDArray[np.float64]

DAYS_PER_TIME_UNIT = 5.0


class Lorenz96Settings(BaseModel):
    """Section ``model.settings`` of Lorenz-96."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    variables: int = Field(40, ge=4, description="Number of variables on the ring")
    forcing: float = Field(8.0, description="F; chaotic around 8")
    step_time_units: float = Field(0.05, gt=0.0, le=0.1, description="Runge-Kutta step in model time units")
    spin_up_steps: int = Field(1000, ge=0, description="Steps from the perturbed rest state to the initial state")


class Lorenz96:
    """The ring as a grid of one level, one latitude and ``variables`` longitudes."""

    perturbable_inputs = ("forcing",)
    reference_pressure = 1.0

    def __init__(self, settings: Lorenz96Settings) -> None:
        self._settings = settings
        longitude = np.arange(settings.variables, dtype=np.float64) * (360.0 / settings.variables)
        grid = StateGrid(np.zeros(1), np.zeros(1), longitude)
        self.layout = StateLayout((StateField("x", "1"),), grid)
        self._step_ns = round(settings.step_time_units * DAYS_PER_TIME_UNIT * 86_400e9)

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Return members on the attractor, each spun up from its own perturbation of the rest state x = F."""
        noise = np.stack([rng.standard_normal(self._settings.variables) for rng in rngs], axis=1)
        return self._advance(self._settings.forcing + noise, self._settings.spin_up_steps, inputs)

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the states (variables, members) after a whole number of steps.

        Raises
        ------
        ThermodaError
            If ``stop - start`` is not a multiple of the step.
        ValueError
            If ``stop`` comes before ``start``.
        """
        if stop < start:
            raise ValueError(f"stop {stop} comes before start {start}")
        duration_ns = int((stop.astype("datetime64[ns]") - start.astype("datetime64[ns]")).astype(np.int64))
        steps, rest = divmod(duration_ns, self._step_ns)
        if rest:
            raise ThermodaError(
                f"lorenz96: {stop - start} is not a multiple of the step of {self._step_ns / 3.6e12:g} h"
            )
        return self._advance(states, steps, inputs)

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return zeros: the ring has no vertical."""
        return np.zeros((*self.layout.grid.shape, states.shape[1]))

    def _advance(self, states: FloatArray, steps: int, inputs: MemberInputs) -> FloatArray:
        forcing = self._settings.forcing + inputs.perturbation("forcing", states.shape[1])
        h = self._settings.step_time_units
        x = states.copy()
        for _ in range(steps):
            k1 = _tendency(x, forcing)
            k2 = _tendency(x + 0.5 * h * k1, forcing)
            k3 = _tendency(x + 0.5 * h * k2, forcing)
            k4 = _tendency(x + h * k3, forcing)
            x = x + (h / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        return x


def _tendency(x: FloatArray, forcing: FloatArray) -> FloatArray:
    return np.asarray((np.roll(x, -1, axis=0) - np.roll(x, 2, axis=0)) * np.roll(x, 1, axis=0) - x + forcing)
