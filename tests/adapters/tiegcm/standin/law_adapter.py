"""Program for the tests: the command line with a model that follows the law of the stand-in in memory, without files.

``python law_adapter.py STATES.npz run FILE``: an adapter ``standin_law`` makes the same forecasts as TIE-GCM's adapter
does with the stand-in, constraints on what an analysis may change included. Its last states are saved by ensemble.
THIS IS NOT TIE-GCM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import law
import netCDF4
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from da.cli import main
from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.model import SPIN_UP, MemberInputs
from model_adapters import registry
from model_adapters.tiegcm.constraints import admissible
from model_adapters.tiegcm.heights import read_bottom, state_height
from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.state import VARIABLES, fill_top, layout_of

FloatArray = NDArray[np.float64]
Fields = dict[str, FloatArray]
MODELS: list[StandInLaw] = []


class StandInLawSettings(BaseModel):
    """Inputs are constants here."""

    start_up_history: Path
    f107_sfu: float
    f107a_sfu: float
    power_gw: float
    cross_tail_potential_kv: float


class StandInLaw:
    """What a member's history would hold is kept by ensemble, member and time."""

    perturbable_inputs = ("f107_sfu", "joule_ln_factor")
    reference_pressure = TIEGCM_REFERENCE_PRESSURE

    def __init__(self, settings: StandInLawSettings) -> None:
        self._settings = settings
        self._header = read_header(settings.start_up_history)
        self.layout = layout_of(self._header)
        self.kept: dict[tuple[str, int, Any], Fields] = {}
        MODELS.append(self)

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        with netCDF4.Dataset(self._settings.start_up_history) as dataset:
            dataset.set_auto_maskandscale(False)
            fields = {name: np.asarray(dataset[name][0]) for name in (*VARIABLES.values(), "TE", "TI")}
        for number in inputs.member_numbers(len(rngs)):
            self.kept[inputs.ensemble, int(number), time.item()] = fields
        return np.repeat(self.state(fields)[:, None], len(rngs), axis=1)

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        if start == stop:
            return states.copy()
        result = np.empty_like(states)
        for place, number in enumerate(inputs.member_numbers(states.shape[1]).tolist()):
            of_spin_up = self.kept.get((SPIN_UP, number, start.item()), {})
            before = self.kept.get((inputs.ensemble, number, start.item()), of_spin_up)
            fields, _ = admissible(self._header.version, before, self._wanted(states[:, place], before))
            steps = round((stop - start) / np.timedelta64(self._header.step_s, "s"))
            forcing = self._forcing({name: float(values[place]) for name, values in inputs.perturbations.items()})
            moved = {name: fields[name] for name in VARIABLES.values()}
            after = law.advance(moved, self._header.level, float(self._header.step_s), steps, forcing)
            self.kept[inputs.ensemble, number, stop.item()] = {**fields, **after}
            result[:, place] = self.state(after)
        return result

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        bottom = read_bottom(self._settings.start_up_history, self._header.times[0])[0]
        members = np.repeat(bottom[..., None], states.shape[1], axis=-1)
        return state_height(self._header.version, states, self.layout, members)

    def state(self, fields: Fields) -> FloatArray:
        """Return the state (state_size,) of what a history holds."""
        whole = self.layout.join({name: fields[VARIABLES[name]][..., None] for name in self.layout.names})
        return np.asarray(fill_top(whole, self.layout)[:, 0])

    def _wanted(self, state: FloatArray, before: Fields) -> Fields:
        wanted = {}
        for field in self.layout.fields:
            values = self.layout.field(state[:, None], field.name)[..., 0].copy()
            if field.missing_top_levels:
                values[-1] = before[VARIABLES[field.name]][-1]
            wanted[VARIABLES[field.name]] = values
        return wanted

    def _forcing(self, offsets: dict[str, float]) -> law.Forcing:
        settings, flux = self._settings, offsets.get("f107_sfu", 0.0)
        # The namelist holds nine digits of an index.
        f107, f107a = (float(f"{value + flux:.9g}") for value in (settings.f107_sfu, settings.f107a_sfu))
        joule = 1.5 * float(np.exp(offsets.get("joule_ln_factor", 0.0)))
        return law.Forcing(f107, f107a, settings.power_gw, settings.cross_tail_potential_kv, joule)


def save(path: str) -> None:
    """Save the last states (state_size, members) of each ensemble."""
    model = MODELS[-1]
    last = max(time for _, _, time in model.kept)
    states: dict[str, list[FloatArray]] = {}
    for (ensemble, _, time), fields in sorted(model.kept.items(), key=lambda item: item[0][:2]):
        if time == last:
            states.setdefault(ensemble, []).append(model.state(fields))
    np.savez(path, **{ensemble: np.stack(members, axis=1) for ensemble, members in states.items()})


if __name__ == "__main__":
    registry.ADAPTERS["standin_law"] = registry.Adapter(StandInLawSettings, StandInLaw)
    target = sys.argv.pop(1)
    try:
        main()
    finally:
        save(target)
