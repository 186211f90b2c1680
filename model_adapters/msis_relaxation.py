r"""The simplest thermosphere that can be assimilated into: NRLMSIS at each member's own drivers, plus fading anomalies.

With the state written as :math:`s = (\ln T, \ln w_O/w_{N2}, \ln w_{O2}/w_{N2}, \ln w_{He}/w_{N2})`, in which any
value is physical, and :math:`s_m` that of NRLMSIS at the member's drivers,

.. math:: s(t) = s_m(t) + (s(t_0) - s_m(t_0)) \, e^{-(t - t_0)/\tau(zp)}.

What an analysis changed decays with a time :math:`\tau` that goes geometrically from the bottom to the top of the
grid; nothing is transported, and a spin-up changes nothing. Spread comes from the perturbed drivers and lower boundary
and is restored as increments decay. The members' lower-boundary heights are inputs, not part of the state: an analysis
sees the spread that they cause but cannot change them, so that they should stay small (Table 1 of Corbin & Kusche
2022: 70 m). An unperturbed member differs from NRLMSIS by about 1 % in density at satellite heights, since NRLMSIS is
not exactly hydrostatic.

Perturbed inputs: F10.7; hemispheric power and cross-tail potential (as a Kp offset, :func:`member_kp_offset`); lower
boundary temperature, fading upward over two scale heights, and height; ln(w_O/w_N2) and ln(w_He/w_N2) as offsets at
all heights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.hydrostatics import mid_level_height
from da.model import PREVIOUS, MemberInputs
from da.msis import GeomagneticActivity, MsisVersion
from da.operators import mean_molar_mass
from model_adapters.msis_reference import SPECIES, DriverNodes, MsisReference, member_kp_offset
from model_adapters.tiegcm_grid import LEVEL_STEP, LEVELS, ResolutionDeg, thermosphere_layout

FloatArray = NDArray[np.float64]
Variables = dict[str, FloatArray]

LOWER_BOUNDARY_FADING = 2.0
"""Scale heights over which an offset of the lower-boundary temperature fades."""

SMALLEST_FRACTION = 1e-12
"""Mass fractions are bounded from below before their logarithm is taken."""


class MsisRelaxationSettings(BaseModel):
    """Section ``model.settings`` of this adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    resolution_deg: ResolutionDeg = Field(5.0, le=30.0)
    msis_version: MsisVersion = Field(MsisVersion.MSIS21, description="'2.1', '2.0' or '00' (NRLMSISE-00)")
    geomagnetic_activity: GeomagneticActivity = Field(GeomagneticActivity.STORM, description="ap history, or daily Ap")
    decay_time_bottom_h: float = Field(48.0, gt=0.0, description="tau at the lowest level")
    decay_time_top_h: float = Field(12.0, gt=0.0, description="tau at the highest level")
    step_s: float = Field(60.0, gt=0.0, description="Model step: how far back the fields '..._previous' lie")
    f107_node_sfu: float = Field(16.0, gt=0.0, description="F10.7 offsets between which NRLMSIS is interpolated")
    kp_node: float = Field(1.5, gt=0.0, le=3.0, description="Kp offsets between which NRLMSIS is interpolated")


class MsisRelaxation:
    """NRLMSIS at the member's own drivers plus anomalies that decay."""

    perturbable_inputs = (
        "f107_sfu",
        "hemispheric_power_gw",
        "cross_tail_potential_kv",
        "lower_boundary_temperature_k",
        "lower_boundary_height_m",
        "atomic_oxygen_ln_ratio",
        "helium_ln_ratio",
    )
    reference_pressure = TIEGCM_REFERENCE_PRESSURE

    def __init__(self, settings: MsisRelaxationSettings) -> None:
        self._settings = settings
        self.layout = thermosphere_layout(settings.resolution_deg)
        nodes = DriverNodes(settings.f107_node_sfu, settings.kp_node)
        self._reference = MsisReference(
            self.layout.grid, self.reference_pressure, settings.msis_version, settings.geomagnetic_activity, nodes
        )
        share_from_bottom = (LEVELS - LEVELS[0]) / (LEVELS[-1] - LEVELS[0])
        ratio = settings.decay_time_top_h / settings.decay_time_bottom_h
        self._decay_time_s = 3600.0 * settings.decay_time_bottom_h * ratio**share_from_bottom
        self._fading = np.exp(-(LEVELS - LEVELS[0] + 0.5 * LEVEL_STEP) / LOWER_BOUNDARY_FADING)

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Return members without anomalies; what differs between them are their inputs."""
        members = len(rngs)
        now = self._member_reference(time, inputs, members)[0]
        before = self._member_reference(time - self._step(), inputs, members)[0]
        return self._to_states(now, before)

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the exact solution at ``stop``.

        The previous fields lie a model step earlier, but not before ``start``, and take the reference as linear in
        time between ``start`` and ``stop``.

        Raises
        ------
        ValueError
            If ``stop`` comes before ``start``.
        """
        if stop < start:
            raise ValueError(f"stop {stop} comes before start {start}")
        if stop == start:
            return states.copy()
        members = states.shape[1]
        duration_s = float((stop - start) / np.timedelta64(1, "s"))
        step_s = min(self._settings.step_s, duration_s)
        at_start = self._member_reference(start, inputs, members)[0]
        at_stop = self._member_reference(stop, inputs, members)[0]
        anomaly = {name: value - at_start[name] for name, value in self._from_states(states).items()}
        decay = np.exp(-duration_s / self._decay_time_s)[:, None, None, None]
        decay_before = np.exp(-(duration_s - step_s) / self._decay_time_s)[:, None, None, None]
        now, before = {}, {}
        for name, value in anomaly.items():
            now[name] = at_stop[name] + decay * value
            rate = (at_start[name] - at_stop[name]) * (step_s / duration_s)
            before[name] = at_stop[name] + rate + decay_before * value
        return self._to_states(now, before)

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return hydrostatic heights [m] of the mid-levels above the member's own lower boundary."""
        members = states.shape[1]
        bottom = self._member_reference(time, inputs, members)[1]
        fields = self.layout.split(states)
        molar_mass = mean_molar_mass(*(fields[f"mass_fraction_{name}"] for name in SPECIES))
        return mid_level_height(fields["temperature"], molar_mass, bottom, self.layout.grid.latitude, LEVEL_STEP)

    def _step(self) -> np.timedelta64:
        return np.timedelta64(round(1e9 * self._settings.step_s), "ns")

    def _member_reference(
        self, time: np.datetime64, inputs: MemberInputs, members: int
    ) -> tuple[Variables, FloatArray]:
        """Return s_m with ln T as ``temperature``, and the height of the bottom interface [m]."""
        drivers = inputs.required_drivers()
        kp_offset = member_kp_offset(
            drivers,
            time,
            inputs.perturbation("hemispheric_power_gw", members),
            inputs.perturbation("cross_tail_potential_kv", members),
        )
        variables, bottom = self._reference.at(drivers, time, inputs.perturbation("f107_sfu", members), kp_offset)
        warming = inputs.perturbation("lower_boundary_temperature_k", members) * self._fading[:, None, None, None]
        variables["temperature"] = np.log(variables["temperature"] + warming)
        variables["O"] = variables["O"] + inputs.perturbation("atomic_oxygen_ln_ratio", members)
        variables["He"] = variables["He"] + inputs.perturbation("helium_ln_ratio", members)
        return variables, bottom + inputs.perturbation("lower_boundary_height_m", members)

    def _from_states(self, states: FloatArray) -> Variables:
        fields = self.layout.split(states)
        fractions = {name: fields[f"mass_fraction_{name}"] for name in SPECIES}
        nitrogen = np.maximum(1.0 - sum(fractions.values()), SMALLEST_FRACTION)
        ratios = {name: np.log(np.maximum(value, SMALLEST_FRACTION) / nitrogen) for name, value in fractions.items()}
        return {"temperature": np.log(fields["temperature"]), **ratios}

    def _to_states(self, now: Mapping[str, FloatArray], before: Mapping[str, FloatArray]) -> FloatArray:
        return self.layout.join(
            _physical_fields(now) | {name + PREVIOUS: value for name, value in _physical_fields(before).items()}
        )


def _physical_fields(variables: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return temperature and mass fractions from ln T and ln(w_i/w_N2): positive, and summing to one with N2."""
    ratios = {name: np.exp(variables[name]) for name in SPECIES}
    nitrogen = 1.0 / (1.0 + sum(ratios.values()))
    fractions = {f"mass_fraction_{name}": ratio * nitrogen for name, ratio in ratios.items()}
    return {"temperature": np.exp(variables["temperature"]), **fractions}
