r"""The nature run as states on pressure levels: the observation operator makes the synthetic truth of them.

A truth of :class:`da.twin.TwinTruth` is a density at every point. In each column of the state grid it becomes a state
by hydrostatic balance, :math:`dp = -\rho g \, dz`:

- the total density is divided by what Ar, N, H and anomalous O add to it in NRLMSISE-00, by which the operator
  multiplies;
- the pressure at 1300 km is that of NRLMSISE-00 times the truth's factor there, and the integral downward gives the
  height of the top level;
- each level below lies where the trapezoidal rule of `da.hydrostatics` puts it, with the scale height
  :math:`p / (\rho g)` of that same height (downward, errors of this rule fade; upward they would grow);
- composition is that of NRLMSISE-00 at those heights, and temperature what the gas law asks for,
  :math:`T = p \bar M / (R \rho)`.

So density, height and pressure are consistent with each other in the model's own discretisation, while temperature
carries what the truth adds to NRLMSISE-00: it is the temperature of a hydrostatic atmosphere of that density, not
NRLMSISE-00's.

A nature run does not listen: it has no equation for what a state differs by. A departure of the state from the truth,
in :math:`\ln T` and :math:`\ln(w_i/w_{N2})`, is kept and decays with one time constant, without any claim to physics,
so that any analysed state is accepted. Members differ by their realization: the seed of a member is that of the
settings for realization 0, and a fixed other one for every other whole number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.interpolate import CubicSpline

from da.constants import GAS_CONSTANT, MOLAR_MASS, TIEGCM_REFERENCE_PRESSURE
from da.drivers import Drivers
from da.errors import ThermodaError
from da.hydrostatics import effective_radius, geometric_height, geopotential_height, mid_level_height, surface_gravity
from da.model import PREVIOUS, MemberInputs
from da.operators import mean_molar_mass
from da.twin import TwinTruth, TwinTruthSettings
from model_adapters.msis_reference import SPECIES
from model_adapters.tiegcm_grid import LEVEL_STEP, LEVELS, ResolutionDeg, thermosphere_layout

FloatArray = NDArray[np.float64]
Variables = dict[str, FloatArray]

ALTITUDE_KM = np.concatenate(
    [
        np.arange(84.0, 132.0, 3.0),
        np.arange(132.0, 200.0, 6.0),
        np.arange(200.0, 640.0, 20.0),
        np.arange(640.0, 1301.0, 60.0),
    ]
)
"""Heights of the truth's columns; a cubic spline in between."""

SMALLEST_FRACTION = 1e-12
"""Mass fractions are bounded from below before their logarithm is taken."""

SEED_STEP = 1_000_003
"""Distance of the seeds of neighbouring realizations."""

_FINE_STEP_KM = 2.0
_ROUNDS = 12
_KEPT_TIMES = 3


class NatureSettings(BaseModel):
    """Section ``model.settings`` of this adapter; all else is at the defaults of the experiment's section ``twin``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    resolution_deg: ResolutionDeg = Field(5.0, le=30.0)
    seed: int = Field(0, ge=0, description="Of realization 0; the experiment's: the truth of its tracks")
    decay_time_h: float = Field(24.0, gt=0.0, description="e-folding time of a state's departure from the truth")
    step_s: float = Field(60.0, gt=0.0, description="Model step: how far back the fields '..._previous' lie")


class Nature:
    """The synthetic truth, member by member."""

    perturbable_inputs = ("realization",)
    reference_pressure = TIEGCM_REFERENCE_PRESSURE

    def __init__(self, settings: NatureSettings) -> None:
        self._settings = settings
        self.layout = thermosphere_layout(settings.resolution_deg)
        self._pressure = self.reference_pressure * np.exp(-LEVELS)
        # The drivers are kept with what was computed from them: the identity of a living object is unique.
        self._truths: dict[tuple[int, int], tuple[Drivers, TwinTruth]] = {}
        self._columns: dict[tuple[int, int, int], tuple[Drivers, Variables, FloatArray]] = {}

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Return the truths of the members' realizations, (state_size, members)."""
        now = self._truth_fields(time, inputs, len(rngs))[0]
        before = self._truth_fields(time - self._step(), inputs, len(rngs))[0]
        return self._to_states(now, before)

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the truths at ``stop`` with what is left of the states' departures.

        The previous fields lie a model step earlier, but not before ``start``.

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
        at_start = self._truth_fields(start, inputs, members)[0]
        departure = {name: value - at_start[name] for name, value in self._from_states(states).items()}
        moments = []
        for time in (stop, max(start, stop - self._step())):
            left = np.exp(-float((time - start) / np.timedelta64(1, "s")) / (3600.0 * self._settings.decay_time_h))
            truth = self._truth_fields(time, inputs, members)[0]
            moments.append({name: truth[name] + left * value for name, value in departure.items()})
        return self._to_states(*moments)

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return hydrostatic heights [m] of the mid-levels above the truth's height of the bottom interface."""
        bottom = self._truth_fields(time, inputs, states.shape[1])[1]
        fields = self.layout.split(states)
        molar_mass = mean_molar_mass(*(fields[f"mass_fraction_{name}"] for name in SPECIES))
        return mid_level_height(fields["temperature"], molar_mass, bottom, self.layout.grid.latitude, LEVEL_STEP)

    def _step(self) -> np.timedelta64:
        return np.timedelta64(round(1e9 * self._settings.step_s), "ns")

    def _truth_fields(self, time: np.datetime64, inputs: MemberInputs, members: int) -> tuple[Variables, FloatArray]:
        """Return ln T (as ``temperature``) and ln(w_i/w_N2), and the height of the bottom interface [m], per member."""
        drivers = inputs.required_drivers()
        seeds = [self._seed(float(number)) for number in inputs.perturbation("realization", members)]
        columns = {seed: self._column(drivers, seed, time) for seed in dict.fromkeys(seeds)}
        names = ("temperature", *SPECIES)
        fields = {name: np.stack([columns[seed][0][name] for seed in seeds], axis=-1) for name in names}
        return fields, np.stack([columns[seed][1] for seed in seeds], axis=-1)

    def _seed(self, realization: float) -> int:
        number = round(realization)
        return self._settings.seed + SEED_STEP * (2 * number if number >= 0 else -2 * number - 1)

    def _truth(self, drivers: Drivers, seed: int) -> TwinTruth:
        key = (id(drivers), seed)
        if key not in self._truths:
            if any(kept is not drivers for kept, _ in self._truths.values()):
                self._truths.clear()
            self._truths[key] = (drivers, TwinTruth(drivers, TwinTruthSettings(), seed))
        return self._truths[key][1]

    def _column(self, drivers: Drivers, seed: int, time: np.datetime64) -> tuple[Variables, FloatArray]:
        key = (id(drivers), seed, int(time.astype("datetime64[ns]").astype(np.int64)))
        if key not in self._columns:
            balanced = self._balanced(self._truth(drivers, seed), time)
            while len(self._columns) >= _KEPT_TIMES * len(self._truths):
                self._columns.pop(next(iter(self._columns)))
            self._columns[key] = (drivers, *balanced)
        return self._columns[key][1:]

    def _balanced(self, truth: TwinTruth, time: np.datetime64) -> tuple[Variables, FloatArray]:
        """Return the state of a truth at a time, (levels, latitudes, longitudes), and its bottom height [m]."""
        grid = self.layout.grid
        atmosphere, departure = truth.on_grid(time, grid.latitude, grid.longitude, ALTITUDE_KM)
        ln_density = np.log(atmosphere.modelled_density) + departure
        mass = {name: MOLAR_MASS[name] * atmosphere.number_density[name] for name in (*SPECIES, "N2")}
        ratios = [np.log(mass[name] / mass["N2"]) for name in SPECIES]
        profile = _Profiles(np.stack([ln_density, *ratios]))
        gravity = surface_gravity(grid.latitude)[:, None]
        radius = effective_radius(grid.latitude)[:, None]
        top_pressure = atmosphere.pressure[-1] * np.exp(departure[-1])
        top = _height_of_pressure(profile, top_pressure, self._pressure[-1], gravity, radius)
        if np.any(top >= 1e3 * ALTITUDE_KM[-1]):
            raise ThermodaError(
                f"nature: at {time} the top level lies above {ALTITUDE_KM[-1]:g} km; profiles end there"
            )
        height, scale = self._march_down(profile, top, gravity, radius)
        values = np.stack([profile.at(level) for level in height], axis=1)
        fields = {name: values[i + 1] for i, name in enumerate(SPECIES)}
        fractions = _fractions(fields)
        molar_mass = mean_molar_mass(*(fractions[name] for name in SPECIES))
        fields["temperature"] = np.log(scale * molar_mass * gravity / GAS_CONSTANT)
        bottom_half = 0.5 * LEVEL_STEP * (1.25 * scale[0] - 0.25 * scale[1])
        bottom = geometric_height(geopotential_height(height[0], radius) - bottom_half, radius)
        return fields, bottom

    def _march_down(
        self, profile: _Profiles, top: FloatArray, gravity: FloatArray, radius: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return heights and scale heights [m] of the levels that obey the trapezoidal rule and the truth's density.

        The height of a level appears in its own scale height; as a fixed point that gains half a digit in a round.
        """
        height = np.empty((LEVELS.size, *top.shape))
        scale = np.empty_like(height)
        height[-1], scale[-1] = top, self._scale_height(profile, top, -1, gravity)
        for level in range(LEVELS.size - 2, -1, -1):
            above = geopotential_height(height[level + 1], radius)
            scale[level] = scale[level + 1]
            for _ in range(_ROUNDS):
                below = above - 0.5 * LEVEL_STEP * (scale[level + 1] + scale[level])
                height[level] = geometric_height(below, radius)
                scale[level] = self._scale_height(profile, height[level], level, gravity)
        return height, scale

    def _scale_height(self, profile: _Profiles, height: FloatArray, level: int, gravity: FloatArray) -> FloatArray:
        return np.asarray(self._pressure[level] / (np.exp(profile.at(height)[0]) * gravity))

    def _from_states(self, states: FloatArray) -> Variables:
        fields = self.layout.split(states)
        fractions = {name: fields[f"mass_fraction_{name}"] for name in SPECIES}
        nitrogen = np.maximum(1.0 - sum(fractions.values()), SMALLEST_FRACTION)
        ratios = {name: np.log(np.maximum(value, SMALLEST_FRACTION) / nitrogen) for name, value in fractions.items()}
        return {"temperature": np.log(fields["temperature"]), **ratios}

    def _to_states(self, now: Mapping[str, FloatArray], before: Mapping[str, FloatArray]) -> FloatArray:
        fields = {}
        for suffix, variables in (("", now), (PREVIOUS, before)):
            fields["temperature" + suffix] = np.exp(variables["temperature"])
            fields.update({f"mass_fraction_{name}{suffix}": one for name, one in _fractions(variables).items()})
        return self.layout.join(fields)


class _Profiles:
    """Cubic splines over `ALTITUDE_KM` of several variables in all columns, (variables, heights, lat, lon)."""

    def __init__(self, values: FloatArray) -> None:
        self._coefficients = CubicSpline(1e3 * ALTITUDE_KM, values, axis=1).c
        self._rows, self._columns = np.ogrid[: values.shape[2], : values.shape[3]]

    def at(self, height: FloatArray) -> FloatArray:
        """Return the variables at one height [m] per column, (variables, lat, lon)."""
        nodes = 1e3 * ALTITUDE_KM
        piece = np.clip(np.searchsorted(nodes, height, side="right") - 1, 0, nodes.size - 2)
        distance = height - nodes[piece]
        cubic, square, linear, constant = (
            np.moveaxis(part[piece, :, self._rows, self._columns], -1, 0) for part in self._coefficients
        )
        return np.asarray(((cubic * distance + square) * distance + linear) * distance + constant)


def _height_of_pressure(
    profile: _Profiles, top_pressure: FloatArray, pressure: float, gravity: FloatArray, radius: FloatArray
) -> FloatArray:
    """Return the height [m] of a pressure, integrating ``dp = -rho g dz`` downward from the uppermost node.

    Trapezoids of ``rho g`` over 2 km are good to (2/H)^2 / 12 for a scale height of H km: 1e-4 at 50 km.
    """
    heights = np.arange(1e3 * ALTITUDE_KM[-1], 2.5e5, -1e3 * _FINE_STEP_KM)
    levels = np.stack([np.full(top_pressure.shape, height) for height in heights])
    weight = np.stack([np.exp(profile.at(level)[0]) for level in levels])
    weight *= gravity * (radius / (radius + levels)) ** 2
    steps = 0.5 * (weight[1:] + weight[:-1]) * (1e3 * _FINE_STEP_KM)
    ln_pressure = np.log(np.concatenate([top_pressure[None], top_pressure + np.cumsum(steps, axis=0)]))
    below = np.clip(np.sum(ln_pressure < np.log(pressure), axis=0), 1, heights.size - 1)
    upper = np.take_along_axis(ln_pressure, below[None] - 1, axis=0)[0]
    lower = np.take_along_axis(ln_pressure, below[None], axis=0)[0]
    share = (np.log(pressure) - upper) / (lower - upper)
    return np.asarray(heights[below - 1] - share * 1e3 * _FINE_STEP_KM)


def _fractions(ratios: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return mass fractions from ln(w_i/w_N2): positive, and summing to one with N2."""
    parts = {name: np.exp(ratios[name]) for name in SPECIES}
    nitrogen = 1.0 / (1.0 + sum(parts.values()))
    return {name: part * nitrogen for name, part in parts.items()}
