"""A working minimal adapter: copy this file, keep its shape, replace its law.

What an adapter has to do, in the order in which the framework asks:

1. ``layout`` says which fields there are, in which unit, within which bounds and on which grid.
2. ``perturbable_inputs`` names what may differ between members, with the unit in the name; others are refused.
3. ``initial`` returns the members of this rank at the start, shape ``(state_size, members)``.
4. ``forecast`` advances them together to ``stop``. It must not change its input, must be the identity for zero length,
   give the same bits twice, give each member the same result whoever its neighbours are, and refuse to go back.
   Where single members can fail, it raises :class:`da.errors.MemberForecastError` with the others' results.
5. ``height`` returns the geometric height of the mid-levels, from the state alone and the member's inputs.

Then add one line to ``model_adapters/registry.py`` and run ``pytest tests/adapters``, which holds every adapter to
this.

The law of this one: an isothermal, well-mixed atmosphere whose temperature relaxes towards a member's equilibrium
temperature, dT/dt = (T_eq - T) / tau.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.hydrostatics import mid_level_height
from da.model import PREVIOUS, THERMOSPHERE_FIELDS, MemberInputs, StateGrid, StateLayout
from da.operators import mean_molar_mass

FloatArray = NDArray[np.float64]

COMPOSITION = {"mass_fraction_O": 0.25, "mass_fraction_O2": 0.18, "mass_fraction_He": 1e-6}
"""Well-mixed mass fractions; the rest is N2."""


class TemplateSettings(BaseModel):
    """Section ``model.settings`` of this adapter; each key has a unit in its name and a range."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    equilibrium_temperature_k: float = Field(800.0, gt=100.0, le=3000.0, description="T_eq without perturbation")
    relaxation_time_h: float = Field(12.0, gt=0.0, description="tau, the e-folding time")
    bottom_height_km: float = Field(97.0, gt=80.0, lt=120.0, description="Height of the bottom interface")
    step_s: float = Field(60.0, gt=0.0, description="Model step: how far back the fields '..._previous' lie")


class TemplateModel:
    """Isothermal atmosphere that relaxes towards an equilibrium temperature."""

    perturbable_inputs = ("equilibrium_temperature_k",)
    reference_pressure = TIEGCM_REFERENCE_PRESSURE

    def __init__(self, settings: TemplateSettings) -> None:
        self._settings = settings
        grid = StateGrid(np.arange(-6.75, 7.5, 0.5), np.arange(-75.0, 90.0, 30.0), np.arange(-180.0, 180.0, 45.0))
        self.layout = StateLayout(THERMOSPHERE_FIELDS, grid)

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Return members at their own equilibrium, (state_size, members)."""
        shape = (*self.layout.grid.shape, len(rngs))
        fields = {name: np.full(shape, value) for name, value in COMPOSITION.items()}
        fields["temperature"] = np.broadcast_to(self._equilibrium(inputs, len(rngs)), shape)
        return self.layout.join(fields | {name + PREVIOUS: values for name, values in fields.items()})

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the exact solution at ``stop``, and the one a model step earlier as the previous fields."""
        if stop < start:
            raise ValueError(f"stop {stop} comes before start {start}")
        duration_s = (stop - start) / np.timedelta64(1, "s")
        if duration_s == 0.0:
            return states.copy()
        fields = self.layout.split(states)
        equilibrium = self._equilibrium(inputs, states.shape[1])
        departure = fields["temperature"] - equilibrium
        result = {}
        for suffix, elapsed_s in (("", duration_s), (PREVIOUS, max(duration_s - self._settings.step_s, 0.0))):
            decay = np.exp(-elapsed_s / (3600.0 * self._settings.relaxation_time_h))
            result["temperature" + suffix] = equilibrium + decay * departure
            result.update({name + suffix: fields[name] for name in COMPOSITION})
        return self.layout.join(result)

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return hydrostatic heights [m] of the mid-levels, (levels, latitudes, longitudes, members)."""
        fields = self.layout.split(states)
        molar_mass = mean_molar_mass(*(fields[name] for name in COMPOSITION))
        bottom = np.full(fields["temperature"].shape[1:], 1e3 * self._settings.bottom_height_km)
        return mid_level_height(fields["temperature"], molar_mass, bottom, self.layout.grid.latitude, 0.5)

    def _equilibrium(self, inputs: MemberInputs, members: int) -> FloatArray:
        return self._settings.equilibrium_temperature_k + inputs.perturbation("equilibrium_temperature_k", members)
