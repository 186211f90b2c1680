r"""A thermosphere with memory: linear column physics about a quiet NRLMSIS that moves with time.

Temperature is that of the reference plus an anomaly tau, and so are the logarithms ln(w_i/w_N2) of O, O2 and He, with
anomalies c_i: whatever an analysis leaves is a valid state, and comes back unchanged for zero length. Over a step

.. math:: \dot\tau = A \tau - D c + b_T \, \tau_{lb} + Q(t), \qquad \dot c = B c + b_c \, c_{lb} + C \tau,

with vertical conduction and radiative cooling in A (:mod:`~model_adapters.column_physics.vertical`,
:mod:`~model_adapters.column_physics.cooling`), diffusion of three species through N2 and each other in B, thermal
diffusion in C (:mod:`~model_adapters.column_physics.composition`), and cooling that grows with O in D, solved exactly
with Q held over quarters of an hour; anomalies spread over the globe and follow local time in part meanwhile
(:mod:`~model_adapters.column_physics.horizontal`). All operators are linearised about the global-mean column of the
day's reference (:mod:`~model_adapters.column_physics.step_operators`); a nonlinear column
(:mod:`~model_adapters.column_physics.nonlinear_column`) says what that costs: a few percent of storm responses.

Q is Joule and auroral heating beyond that of the reference's quiet Kp, which waves take out of the oval within hours
(:mod:`~model_adapters.column_physics.high_latitude`, :mod:`~model_adapters.column_physics.waves`), less cooling by the
NO that the aurora has made, and each member's own EUV (:mod:`~model_adapters.column_physics.forcing`). Offsets of eddy
mixing and of the wind at the lower boundary act on the reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.drivers import Drivers
from da.hydrostatics import mid_level_height
from da.model import PREVIOUS, MemberInputs
from da.msis import MsisVersion
from da.operators import mean_molar_mass
from model_adapters.column_physics import fitted
from model_adapters.column_physics.advection import advection_per_wind
from model_adapters.column_physics.anomalies import FRACTIONS, anomalies_of, fields_of
from model_adapters.column_physics.forcing import Forcing
from model_adapters.column_physics.geomagnetic import LARGEST_DECLINATION_DEG, subsolar_point
from model_adapters.column_physics.horizontal import HorizontalOperator, meridional_wind
from model_adapters.column_physics.reference import QuietReference, ReferenceState
from model_adapters.column_physics.step_operators import OperatorsByDay, StepOperators
from model_adapters.column_physics.thermal import SPECIES
from model_adapters.column_physics.waves import WaveAdjustment, WaveSettings
from model_adapters.tiegcm_grid import LEVEL_STEP, LevelStep, ResolutionDeg, thermosphere_layout

FloatArray = NDArray[np.float64]

LONGEST_STEP_S = 3600.0
"""After a step of at most this length NO and the reference are taken anew."""

MEMBERS_AT_ONCE = 16
"""Whole cache lines of a row of the ensemble, and temporaries that are small beside it."""


LARGEST_COOLING_RATIO = 2.0
"""No composition cools or heats more than anomalies of ln(w/w_N2) of this size on all levels. What is linear in them
has no bounds otherwise, and an analysis that leaves hardly any O would heat by hundreds of kelvins in hours."""

FLAT_TEMPERATURE_K = 181.0
FLAT_HEIGHT_M = 96.37e3
"""TIE-GCM's lower boundary without a climatology, at zp = -7."""


class LowerBoundary(StrEnum):
    """What temperature and height members have at zp = -7, offsets apart."""

    CLIMATOLOGY = "climatology"
    FLAT = "flat"


class ColumnPhysicsSettings(BaseModel):
    """Section ``model.settings`` of this adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    resolution_deg: ResolutionDeg = Field(5.0, le=15.0)
    longitude_resolution_deg: ResolutionDeg | None = Field(
        None, le=15.0, description="Of longitudes, where it is not that of latitudes"
    )
    level_step: LevelStep = LEVEL_STEP
    msis_version: MsisVersion = Field(MsisVersion.MSIS21, description="'2.1', '2.0' or '00' (NRLMSISE-00)")
    lower_boundary: LowerBoundary = Field(
        LowerBoundary.CLIMATOLOGY, description="climatology: that of NRLMSIS; flat: 181 K and 96.37 km, as in TIE-GCM"
    )
    quiet_kp: float = Field(1.0, ge=0.0, le=3.0, description="Kp of the reference; beyond it the model heats by itself")
    step_s: float = Field(60.0, gt=0.0, description="Model step: how far back the fields '..._previous' lie")

    @field_validator("quiet_kp")
    @classmethod
    def _is_a_third(cls, kp: float) -> float:
        if abs(3.0 * kp - round(3.0 * kp)) > 0.02:
            raise ValueError("must be a whole number of thirds, as Kp is")
        return round(3.0 * kp) / 3.0


@dataclass(frozen=True)
class Uniform:
    """What a step adds everywhere: K (levels, members), and c (3 levels, members)."""

    temperature: FloatArray
    ratio: FloatArray


@dataclass(frozen=True)
class Advection:
    """What a step adds by winds [m/s] (2, members): K and c per m/s, (levels or 3 levels, latitudes, longitudes, 2)."""

    temperature: FloatArray
    ratio: FloatArray
    winds: FloatArray


@dataclass(frozen=True)
class Warming:
    """What heating in a step leaves [K], as products of few factors.

    Parameters
    ----------
    profiles, maps : array (levels, sources), (sources, latitudes, longitudes, members)
    patterns, amplitudes : array (levels, latitudes, longitudes, n), (n, members)
    """

    profiles: FloatArray
    maps: FloatArray
    patterns: FloatArray
    amplitudes: FloatArray

    def of(self, part: slice) -> FloatArray:
        """Return it for some members (levels, latitudes, longitudes, members)."""
        warmed = _on_levels(self.profiles, self.maps[..., part])
        if self.patterns.shape[-1]:
            warmed += self.patterns @ self.amplitudes[:, part]
        return warmed


class ColumnPhysics:
    """Quiet NRLMSIS plus anomalies that obey linear column physics."""

    perturbable_inputs = (
        "f107_sfu",
        "hemispheric_power_gw",
        "cross_tail_potential_kv",
        "solar_wind_velocity_km_s",
        "solar_wind_density_cm3",
        "joule_ln_factor",
        "nitric_oxide_ln_factor",
        "auroral_energy_kev",
        "eddy_ln_factor",
        "lower_boundary_temperature_k",
        "lower_boundary_height_m",
        "lower_boundary_zonal_wind_m_s",
        "lower_boundary_meridional_wind_m_s",
        "atomic_oxygen_ln_ratio",
        "helium_ln_ratio",
    )
    reference_pressure = TIEGCM_REFERENCE_PRESSURE
    understands_solar_wind = True

    def __init__(self, settings: ColumnPhysicsSettings) -> None:
        self._settings = settings
        self.layout = thermosphere_layout(
            settings.resolution_deg, settings.longitude_resolution_deg, settings.level_step
        )
        grid = self.layout.grid
        self._reference = QuietReference(grid, self.reference_pressure, settings.msis_version, settings.quiet_kp)
        self._operators = OperatorsByDay(self._reference, settings.quiet_kp)
        wave = WaveSettings(
            fitted.WAVE_SPEED, fitted.WAVE_DRAG_RATE, fitted.HORIZONTAL_DIFFUSIVITY, fitted.ROTATION_DEG_PER_H
        )
        self._forcing = Forcing(grid, WaveAdjustment(grid.latitude, grid.longitude, wave))
        self._horizontal: tuple[np.datetime64, HorizontalOperator] | None = None
        self._flat = settings.lower_boundary is LowerBoundary.FLAT

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Return members in balance with their lower boundaries, without any other anomaly.

        What heating a member's inputs bring builds up in forecasts: a spin-up of two or three days.
        """
        members, drivers = len(rngs), inputs.required_drivers()
        offsets = self._offsets(inputs, members)
        physics = self._operators.day(drivers, time)
        anomalies = physics.balance(
            offsets["lower_boundary_temperature_k"], _bottom_ratio(offsets), np.expm1(offsets["eddy_ln_factor"])
        )
        tau, ratio = (np.asarray(values[:, None, None]) for values in anomalies)
        if self._flat:
            flat = physics.balance_with_bottom(self._flat_offset(drivers, time).ravel())
            tau, ratio = (
                whole + part.reshape(-1, *self.layout.grid.shape[1:], 1)
                for whole, part in zip((tau, ratio), flat, strict=True)
            )
        step = np.timedelta64(round(1e9 * self._settings.step_s), "ns")
        states = np.empty((self.layout.state_size, members))
        for suffix, at in (("", time), (PREVIOUS, time - step)):
            for name, values in fields_of(self._reference.at(drivers, at), tau, ratio).items():
                self.layout.field(states, name + suffix)[:] = values
        return states

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the states at ``stop``, in equal steps of an hour at most.

        The previous fields lie a model step earlier, but not before the beginning of the last step, linear in time
        over it.

        Raises
        ------
        ValueError
            If ``stop`` comes before ``start``.
        """
        if stop < start:
            raise ValueError(f"stop {stop} comes before start {start}")
        if stop == start:
            return states.copy()
        count = int(np.ceil((stop - start) / np.timedelta64(1, "s") / LONGEST_STEP_S))
        start, length = start.astype("datetime64[ns]"), (stop - start).astype("timedelta64[ns]")
        edges = [start + length * number // count for number in range(count + 1)]
        source, target = states, np.empty(states.shape)
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            self._step(source, target, first, last, inputs)
            source = target
        return target

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return hydrostatic heights [m] of the mid-levels above the member's own lower boundary."""
        offsets = self._offsets(inputs, states.shape[1])
        bottom = self._reference.at(inputs.required_drivers(), time).bottom_height
        if self._flat:
            bottom = np.full_like(bottom, FLAT_HEIGHT_M)
        latitude = self.layout.grid.latitude
        result = np.empty((*self.layout.grid.shape, states.shape[1]))
        for part in _parts(states.shape[1]):
            fields = {name: self.layout.field(states, name)[..., part] for name in ("temperature", *FRACTIONS)}
            molar_mass = mean_molar_mass(*(fields[name] for name in FRACTIONS))
            member_bottom = bottom + offsets["lower_boundary_height_m"][part]
            result[..., part] = mid_level_height(
                fields["temperature"], molar_mass, member_bottom, latitude, self._settings.level_step
            )
        return result

    def _step(
        self, source: FloatArray, target: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> None:
        """Write the states at ``stop`` of members that are ``source`` at ``start``; ``target`` may be ``source``."""
        drivers, members = inputs.required_drivers(), source.shape[1]
        duration_s = float((stop - start) / np.timedelta64(1, "s"))
        step = self._operators.step(drivers, start, duration_s)
        middle, quiet = start + (stop - start) // 2, self._reference.quiet(drivers)
        horizontal = self._horizontal_operator(middle)
        warming = self._warming(step, start, stop, inputs, members)
        more_nitric_oxide = self._forcing.more_nitric_oxide(middle, inputs, quiet, members)
        # NO beyond its climatology, which is in the matrix: half of it before and half after what the matrix does.
        damping = np.exp(-0.5 * duration_s * (step.day.nitric_oxide_rate @ more_nitric_oxide))
        uniform = self._uniform(step, inputs, more_nitric_oxide)
        before, after = self._reference.at(drivers, start), self._reference.at(drivers, stop)
        advected = self._advection(step, before, inputs, members)
        flat = self._flat_warming(step, drivers, middle) if self._flat else None
        share = min(self._settings.step_s / duration_s, 1.0)
        most_cooled = LARGEST_COOLING_RATIO * np.abs(step.cooling_by_composition).sum(axis=1)[:, None, None, None]
        for part in _parts(members):
            then = {name: self.layout.field(source, name)[..., part] for name in ("temperature", *FRACTIONS)}
            tau, ratio = anomalies_of(then, before)
            warmed = _on_levels(step.temperature, tau * damping[:, None, None, part])
            warmed += uniform.temperature[:, None, None, part]
            cooled = _on_levels(step.cooling_by_composition, ratio)
            warmed -= np.clip(cooled, -most_cooled, most_cooled, out=cooled)
            if flat is not None:
                warmed += flat
            warmed = _spread(horizontal, warmed, duration_s)
            warmed += warming.of(part)
            warmed *= damping[:, None, None, part]
            ratio = _on_levels(step.composition, ratio)
            ratio += uniform.ratio[:, None, None, part]
            # tau drives c by half as it was, spread with c, and by half as it has become.
            ratio += _on_levels(0.5 * step.coupling, tau)
            ratio = _spread(horizontal, ratio, duration_s)
            ratio += _on_levels(0.5 * step.coupling, warmed)
            if advected is not None:
                warmed += advected.temperature @ advected.winds[:, part]
                ratio += advected.ratio @ advected.winds[:, part]
            for name, now in fields_of(after, warmed, ratio).items():
                previous = self.layout.field(target, name + PREVIOUS)
                previous[..., part] = now + share * (then[name] - now)
                self.layout.field(target, name)[..., part] = now

    def _uniform(self, step: StepOperators, inputs: MemberInputs, more_nitric_oxide: FloatArray) -> Uniform:
        """Return what lower boundary, eddies and NO beyond those of the reference do in a step."""
        members, day = more_nitric_oxide.shape[1], step.day
        offsets = self._offsets(inputs, members)
        more_eddies = np.expm1(offsets["eddy_ln_factor"])
        heating = np.outer(day.bottom_temperature, offsets["lower_boundary_temperature_k"])
        heating += np.outer(day.eddy_temperature, more_eddies)
        heating -= day.nitric_oxide_cooling @ more_nitric_oxide
        mixing = day.bottom_ratio @ _bottom_ratio(offsets) + np.outer(day.eddy_ratio, more_eddies)
        return Uniform(step.heating @ heating, step.mixing @ mixing)

    def _flat_offset(self, drivers: Drivers, time: np.datetime64) -> FloatArray:
        """Return what a flat lower boundary is warmer than that of the reference [K] (latitudes, longitudes)."""
        return FLAT_TEMPERATURE_K - self._reference.at(drivers, time).bottom_temperature[..., 0]

    def _flat_warming(self, step: StepOperators, drivers: Drivers, time: np.datetime64) -> FloatArray:
        """Return what that does in a step [K] (levels, latitudes, longitudes, 1)."""
        per_kelvin = step.heating @ step.day.bottom_temperature
        return np.asarray(np.multiply.outer(per_kelvin, self._flat_offset(drivers, time)))[..., None]

    def _advection(
        self, step: StepOperators, reference: ReferenceState, inputs: MemberInputs, members: int
    ) -> Advection | None:
        """Return what offsets of the wind do in a step; None without any."""
        names = ("lower_boundary_zonal_wind_m_s", "lower_boundary_meridional_wind_m_s")
        winds = np.stack([inputs.perturbation(name, members) for name in names])
        if not winds.any():
            return None
        temperature = advection_per_wind(reference.temperature, self.layout.grid)
        ratios = [advection_per_wind(reference.log_ratio[name], self.layout.grid) for name in SPECIES]
        return Advection(_on_levels(step.heating, temperature), _on_levels(step.mixing, np.concatenate(ratios)), winds)

    def _warming(
        self, step: StepOperators, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs, members: int
    ) -> Warming:
        """Return what is left at ``stop`` of the heating since ``start`` [K], conducted and spread meanwhile.

        Heat of a part of the step spreads from its middle. Profiles are conducted, maps spread.
        """
        quiet = self._reference.quiet(inputs.required_drivers())
        part_s = float((stop - start) / np.timedelta64(1, "s")) / step.parts
        profiles, maps, patterns, amplitudes = [], [], [], []
        conducted = step.part_heating
        for number in reversed(range(step.parts)):
            middle = start + (stop - start) * (2 * number + 1) // (2 * step.parts)
            heating = self._forcing.heating(step.day.column, step.day.height, middle, inputs, quiet, members)
            profiles.append(conducted @ heating.profiles)
            left_s = (step.parts - number - 0.5) * part_s
            maps.append(self._forcing.high_latitude.spread(heating.spectra, left_s))
            patterns.append(_on_levels(conducted, heating.patterns))
            amplitudes.append(heating.amplitudes)
            conducted = step.part_temperature @ conducted
        return Warming(
            np.concatenate(profiles, axis=1),
            np.concatenate(maps),
            np.concatenate(patterns, axis=-1),
            np.concatenate(amplitudes),
        )

    def _horizontal_operator(self, time: np.datetime64) -> HorizontalOperator:
        """Return the operator with the seasonal wind of the day, from summer to winter."""
        day = time.astype("datetime64[D]")
        if self._horizontal is None or self._horizontal[0] != day:
            grid = self.layout.grid
            noon = day.astype("datetime64[ns]") + np.timedelta64(12, "h")
            season = np.sin(np.radians(subsolar_point(noon).latitude)) / np.sin(np.radians(LARGEST_DECLINATION_DEG))
            wind = meridional_wind(grid.latitude, summer_to_winter_m_s=fitted.SEASONAL_WIND_M_S * season)
            operator = HorizontalOperator(
                grid.latitude, grid.longitude, fitted.HORIZONTAL_DIFFUSIVITY, fitted.ROTATION_DEG_PER_H, wind
            )
            self._horizontal = (day, operator)
        return self._horizontal[1]

    def _offsets(self, inputs: MemberInputs, members: int) -> dict[str, FloatArray]:
        """Return the offsets of all inputs; ValueError where one has another number of members."""
        return {name: inputs.perturbation(name, members) for name in self.perturbable_inputs}


def _spread(operator: HorizontalOperator, anomaly: FloatArray, duration_s: float) -> FloatArray:
    return np.asarray(operator.advance(anomaly, duration_s), dtype=np.float64)


def _parts(members: int) -> Iterator[slice]:
    """Yield slices of a few members."""
    for first in range(0, members, MEMBERS_AT_ONCE):
        yield slice(first, min(first + MEMBERS_AT_ONCE, members))


def _on_levels(matrix: FloatArray, values: FloatArray) -> FloatArray:
    """Return the product of a matrix with the levels of values (levels, latitudes, longitudes, ...)."""
    return np.asarray((matrix @ values.reshape(values.shape[0], -1)).reshape(matrix.shape[0], *values.shape[1:]))


def _bottom_ratio(offsets: Mapping[str, FloatArray]) -> FloatArray:
    """Return offsets of ln(w/w_N2) at the lower boundary (3, members)."""
    oxygen, helium = offsets["atomic_oxygen_ln_ratio"], offsets["helium_ln_ratio"]
    return np.stack([oxygen, np.zeros_like(oxygen), helium])
