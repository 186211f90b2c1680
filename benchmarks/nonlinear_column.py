"""How well the linear column physics does what the nonlinear equations do, in one column.

    python benchmarks/nonlinear_column.py > benchmarks/nonlinear_column.txt

The global-mean column of quiet NRLMSIS 2.1 (equinox, Kp 1) at three levels of F10.7 is heated for 24 h with the
profile of Joule heating, then left to itself; the heating is such that the topmost temperature of the linear model
changes by a given amount in these 24 h. The linear model is that of `column_physics`: matrices A, B, C about the
column, advanced exactly. The nonlinear one is :mod:`model_adapters.column_physics.nonlinear_column`, where the same
column is steady. Both lose temperature anomalies at the rate of the model; its overturning of composition is in
neither, so that composition counts for more than it does there. Printed are tau on the pressure levels that lie at the
given heights in the reference, ln of density over that of the reference at fixed heights, times to 1/e, what each
nonlinearity contributes, and the same for more NO, for offsets of O and He at the lower boundary, and for columns of
day and night, which the model advances with the operators of the mean. No wind, no exchange between columns: this is
what the linear model owes to a column, not to a globe.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.drivers import Drivers
from da.hydrostatics import mid_level_height
from da.msis import MsisVersion
from da.operators import HorizontalStencil, interpolate_log_linear
from da.parallel import limit_blas_threads
from da.provenance import source_commit, versions
from model_adapters.column_physics.composition import composition_boundary, composition_matrix, temperature_coupling
from model_adapters.column_physics.cooling import (
    carbon_dioxide_cooling,
    cooling_rates,
    nitric_oxide_cooling,
    nitric_oxide_fraction,
    oxygen_cooling,
)
from model_adapters.column_physics.euv import global_mean_euv_heating
from model_adapters.column_physics.heating import joule_profile
from model_adapters.column_physics.nonlinear_column import Disturbance, NonlinearColumn, Term
from model_adapters.column_physics.reference import MEAN_LATITUDE, QuietReference, ReferenceState
from model_adapters.column_physics.step_operators import ColumnPhysicsOfDay
from model_adapters.column_physics.thermal import SPECIES, ReferenceColumn, eddy_rate
from model_adapters.column_physics.vertical import conduction_boundary, conduction_matrix, forced, propagator
from model_adapters.tiegcm_grid import thermosphere_layout

FloatArray = NDArray[np.float64]

F107_SFU = (70.0, 120.0, 200.0)
QUIET_KP = 1.0
MEDIUM_F107_SFU = 120.0
TOP_ANOMALY_K = (-300.0, -150.0, -50.0, 50.0, 150.0, 300.0, 500.0)
TAU_HEIGHT_KM = (150.0, 200.0, 300.0, 400.0, 500.0)
DENSITY_HEIGHT_KM = (150.0, 302.0, 474.0)
TIME = np.datetime64("2010-03-21", "ns")
GRID = thermosphere_layout(15.0).grid
HOUR_S = 3600.0
HEATED_H, WATCHED_H = 24, 60
TOLERANCE = 1e-5
"""Relative, of the time integration."""
SPHERE_M2 = 4.0 * np.pi * 6.5e6**2
"""At 130 km, to tell heating in GW."""


@dataclass(frozen=True)
class Linear:
    """The linear model of a column: its matrix (4 levels, 4 levels) [s-1], advanced exactly hour by hour."""

    matrix: FloatArray

    def run(self, anomaly: FloatArray, source: FloatArray, hours: int) -> FloatArray:
        """Return hourly states (hours, 4 levels) under a constant source (4 levels,) [K s-1, s-1]."""
        step, gain = propagator(self.matrix, HOUR_S), forced(self.matrix, HOUR_S) @ source
        states = []
        for _ in range(hours):
            anomaly = step @ anomaly + gain
            states.append(anomaly)
        return np.stack(states)


@dataclass(frozen=True)
class Case:
    """A column with both models of it."""

    f107: float
    reference: ReferenceColumn
    height: FloatArray
    bottom_height: float
    nonlinear: NonlinearColumn
    linear: Linear

    @classmethod
    def of(cls, f107: float) -> Case:
        """Return the global-mean column at an F10.7 [sfu]."""
        reference, state = quiet_reference(f107)
        column, height = reference.column(state)
        area = np.cos(np.radians(GRID.latitude))[:, None, None] * np.ones(state.bottom_height.shape)
        bottom = float(np.average(state.bottom_height, weights=area))
        nitric_oxide = nitric_oxide_fraction(column, f107, QUIET_KP)
        eddy = eddy_rate(column.zp)
        physics = conduction_matrix(column, eddy) - np.diag(cooling_rates(column, nitric_oxide).total())
        operated = ColumnPhysicsOfDay.of(column, height, f107, QUIET_KP).conduction
        loss = np.diag(physics - operated)
        none = np.zeros((column.zp.size, 3 * column.zp.size))
        matrix = np.block([[operated, none], [temperature_coupling(column), composition_matrix(column, eddy)]])
        return cls(f107, column, height, bottom, NonlinearColumn(column, eddy, nitric_oxide, loss), Linear(matrix))

    @property
    def levels(self) -> int:
        """How many there are."""
        return self.reference.zp.size

    def source(self, disturbance: Disturbance, *, own_cooling: bool = True) -> FloatArray:
        """Return what a disturbance adds to the linear tendency, with or without the cooling of the reference."""
        column, more = self.reference, disturbance.nitric_oxide_factor - 1.0
        heat = disturbance.heating.copy()
        if own_cooling:
            heat -= more * nitric_oxide_cooling(column, self.nonlinear.nitric_oxide)[0]
        warming = heat / column.heat_capacity
        warming += conduction_boundary(column, self.nonlinear.eddy) * disturbance.bottom_temperature
        return np.concatenate([warming, composition_boundary(column, self.nonlinear.eddy) @ disturbance.bottom_ratio])

    def linear_with(self, disturbance: Disturbance) -> Linear:
        """Return the linear model with what more NO adds to damping."""
        matrix = self.linear.matrix.copy()
        rate = cooling_rates(self.reference, self.nonlinear.nitric_oxide).nitric_oxide
        diagonal = np.arange(self.levels)
        matrix[diagonal, diagonal] -= (disturbance.nitric_oxide_factor - 1.0) * rate
        return Linear(matrix)

    def whole_derivative(self, disturbance: Disturbance) -> Linear:
        """Return the linear model of the whole derivative of the nonlinear equations at rest."""
        only_nitric_oxide = replace(self.nonlinear.undisturbed, nitric_oxide_factor=disturbance.nitric_oxide_factor)
        return Linear(self.nonlinear.jacobian(self.nonlinear.rest, only_nitric_oxide))

    def slope(self, disturbance: Disturbance) -> FloatArray:
        """Return the derivative of the nonlinear tendency by offsets of the bottom's ratios, times the offsets."""
        share = 1e-3
        more, less = (
            replace(disturbance, bottom_ratio=sign * share * disturbance.bottom_ratio) for sign in (1.0, -1.0)
        )
        rest = self.nonlinear.rest
        return (self.nonlinear.tendency(rest, more) - self.nonlinear.tendency(rest, less)) / (2.0 * share)

    def heating(self, top_anomaly: float) -> Disturbance:
        """Return the heating that changes the topmost temperature of the linear model by so much [K]."""
        unit = Disturbance(joule_profile(self.reference))
        reached = self.linear.run(self.nonlinear.rest, self.source(unit), HEATED_H)[-1, self.levels - 1]
        return Disturbance(top_anomaly / reached * unit.heating)

    def tau(self, states: FloatArray, height_km: Sequence[float]) -> FloatArray:
        """Return tau [K] (times, heights) on the levels that lie at heights in the reference; NaN above the top."""
        at = 1e3 * np.array(height_km)
        return np.stack([np.interp(at, self.height, state[: self.levels], right=np.nan) for state in states])

    def log_density(self, states: FloatArray, height_km: Sequence[float]) -> FloatArray:
        """Return ln(density / reference) (times, heights) at fixed geometric heights."""
        at = 1e3 * np.array(height_km)
        stencil = HorizontalStencil(np.zeros((at.size, 4), dtype=np.int64), np.full((at.size, 4), 0.25))
        columns = [self.nonlinear.column(state) for state in [self.nonlinear.rest, *states]]
        fields = [np.stack(values, axis=-1)[:, None, None] for values in zip(*map(_profiles, columns), strict=True)]
        bottom = np.full((1, 1, len(columns)), self.bottom_height)
        height = mid_level_height(fields[0], fields[1], bottom, MEAN_LATITUDE, self.reference.step)
        logarithm = np.log(interpolate_log_linear(fields[2], height, stencil, at))
        return np.asarray((logarithm[:, 1:] - logarithm[:, :1]).T)


def _profiles(column: ReferenceColumn) -> tuple[FloatArray, FloatArray, FloatArray]:
    return column.temperature, column.mean_molar_mass, column.density


def quiet_reference(f107: float) -> tuple[QuietReference, ReferenceState]:
    """Return the reference of `column_physics` under constant drivers, and its state."""
    day = np.arange(TIME - np.timedelta64(10, "D"), TIME + np.timedelta64(2, "D"), np.timedelta64(1, "D"))
    constant = np.full(day.size, f107)
    drivers = Drivers(day.astype("datetime64[D]"), constant, constant, np.full(8 * day.size, round(3 * QUIET_KP)))
    reference = QuietReference(GRID, TIEGCM_REFERENCE_PRESSURE, MsisVersion.MSIS21, QUIET_KP)
    return reference, reference.at(drivers, TIME)


def storm(case: Case, top_anomaly: float) -> tuple[FloatArray, FloatArray]:
    """Return hourly states of both models, heated and then not, (84, 4 levels) each."""
    heating, none = case.heating(top_anomaly), case.nonlinear.undisturbed
    return both(case, [(heating, HEATED_H), (none, WATCHED_H)])


def both(case: Case, phases: Sequence[tuple[Disturbance, int]]) -> tuple[FloatArray, FloatArray]:
    """Return hourly states of the linear and the nonlinear model through phases of constant disturbance."""
    linear, nonlinear = [case.nonlinear.rest[None]], [case.nonlinear.rest[None]]
    for disturbance, hours in phases:
        model = case.linear_with(disturbance)
        linear.append(model.run(linear[-1][-1], case.source(disturbance), hours))
        seconds = HOUR_S * np.arange(1, hours + 1)
        nonlinear.append(case.nonlinear.integrate(nonlinear[-1][-1], disturbance, seconds.tolist(), TOLERANCE))
    return np.concatenate(linear[1:]), np.concatenate(nonlinear[1:])


def folding_time(series: FloatArray) -> float:
    """Return after how many hours from the end of heating a series (84,) has fallen to 1/e; infinite if it has not."""
    left = series[HEATED_H - 1 :] / series[HEATED_H - 1] - np.exp(-1.0)
    if not np.any(left < 0.0):
        return np.inf
    below = int(np.argmax(left < 0.0))
    return float(below - 1 + left[below - 1] / (left[below - 1] - left[below]))


def side_by_side(digits: int, *rows: FloatArray) -> str:
    """Return rows of several models as text, value by value."""
    width = digits + 6
    values = [
        [f"{value:+{width}.{digits}f}" if np.isfinite(value) else f"{'-':>{width}}" for value in row] for row in rows
    ]
    return "".join("".join(column) + "  " for column in zip(*values, strict=True))


def print_heading(title: str) -> None:
    """Print the title of a section."""
    print(f"\n== {title}")


def print_operators(case: Case) -> None:
    """Print how much the derivative of the nonlinear tendency at rest differs from the linear operators."""
    levels, linear = case.levels, case.linear.matrix
    exact = case.nonlinear.jacobian(case.nonlinear.rest, case.nonlinear.undisturbed)
    held = replace(case.nonlinear, tangent=frozenset({Term.DIFFUSION}))
    tangent = held.jacobian(held.rest, held.undisturbed)

    def furthest(jacobian: FloatArray, rows: slice, columns: slice) -> float:
        difference = np.abs(jacobian - linear)[rows, columns].sum(axis=1)
        return float(np.max(difference / np.maximum(np.abs(linear)[rows, columns].sum(axis=1), 1e-12)))

    heat, gas = slice(0, levels), slice(levels, 4 * levels)
    helium = slice(3 * levels, 4 * levels)
    print(
        f"  F10.7 {case.f107:3.0f}   A {furthest(exact, heat, heat):.0e}   B {furthest(exact, gas, gas):.3f}, with the"
        f" coefficients of the reference {furthest(tangent, gas, gas):.0e}   C of He"
        f" {furthest(exact, helium, heat):.3f}, {furthest(tangent, helium, heat):.0e}"
    )
    feedback = 3600.0 * exact[heat, gas].reshape(levels, 3, levels).sum(axis=2)
    for name, rates in zip(SPECIES, feedback.T, strict=True):
        ends = [(rates[k], 1e-3 * case.height[k]) for k in (int(np.argmin(rates)), int(np.argmax(rates)))]
        span = " to ".join(f"{rate:+.1f} K/h at {km:.0f} km" for rate, km in ends)
        print(
            "     heating (cooling alone is in the linear model) by ln(w/w_N2) of"
            f" {name:2s} greater by 1 everywhere: {span}"
        )


def print_feedback(case: Case) -> None:
    """Print the steady answer of temperature to more O on all levels, and what of it is whose."""
    levels, share, more = case.levels, 0.01, case.nonlinear.rest
    more[levels : 2 * levels] = share
    now, then, nitric_oxide = case.nonlinear.column(more), case.reference, case.nonlinear.nitric_oxide
    whole = case.nonlinear.tendency(more, case.nonlinear.undisturbed)[:levels] / share

    def warming(heat: Callable[[ReferenceColumn], FloatArray]) -> FloatArray:
        return np.asarray((heat(now) - heat(then)) / share / then.heat_capacity)

    parts = {
        "all": whole,
        "CO2": -warming(lambda column: carbon_dioxide_cooling(column)[0]),
        "O": -warming(lambda column: oxygen_cooling(column)[0]),
        "NO": -warming(lambda column: nitric_oxide_cooling(column, nitric_oxide)[0]),
        "EUV, which is held here": warming(lambda column: global_mean_euv_heating(column, case.height, case.f107)),
    }
    print(
        f"  F10.7 {case.f107:3.0f}   steady tau [K] at 120, 150, 300 km for ln(w/w_N2) of O greater by 0.1 everywhere"
    )
    for name, rate in parts.items():
        tau = np.interp(
            [120e3, 150e3, 300e3], case.height, np.linalg.solve(case.linear.matrix[:levels, :levels], -0.1 * rate)
        )
        print(f"     {name:25s}" + "".join(f"{value:+8.1f}" for value in tau))


def print_column(case: Case) -> None:
    """Print what the reference looks like."""
    column, top = case.reference, 1e-3 * case.height[-1]
    cooling = {
        "CO2": carbon_dioxide_cooling(column)[0],
        "O": oxygen_cooling(column)[0],
        "NO": nitric_oxide_cooling(column, case.nonlinear.nitric_oxide)[0],
    }
    power = ", ".join(f"{name} {1e-9 * SPHERE_M2 * (column.layer_mass @ rate):.0f}" for name, rate in cooling.items())
    loss = 3600.0 * np.broadcast_to(case.nonlinear.loss_rate, column.zp.shape)
    per_kelvin = 1e-9 * SPHERE_M2 * (column.layer_mass @ case.heating(1.0).heating)
    print(
        f"  F10.7 {case.f107:3.0f}   top {top:.0f} km {column.temperature[-1]:.0f} K   cooling [GW] {power}"
        f"   heating for 1 K on top after 24 h: {per_kelvin:.2f} GW"
        f"   loss of anomalies outside the equations {loss.min():.4f} to {loss.max():.4f} per h"
    )


def print_storms(case: Case) -> None:
    """Print tau and ln rho of both models."""
    for amount in TOP_ANOMALY_K:
        linear, nonlinear = storm(case, amount)
        taus = [case.tau(states, TAU_HEIGHT_KM) for states in (linear, nonlinear)]
        densities = [case.log_density(states, DENSITY_HEIGHT_KM) for states in (linear, nonlinear)]
        for hour in (6, 12, 24, 36, 48, 60):
            label = f"on  {hour:2d}" if hour <= HEATED_H else f"off {hour - HEATED_H:2d}"
            tau, density = ([values[hour - 1] for values in found] for found in (taus, densities))
            print(f"  {case.f107:3.0f} {amount:+5.0f} {label}  {side_by_side(1, *tau)}| {side_by_side(3, *density)}")
        tops = [folding_time(states[:, case.levels - 1]) for states in (linear, nonlinear)]
        text = f"top {tops[0]:.1f} {tops[1]:.1f}, ln rho"
        for place, km in enumerate(DENSITY_HEIGHT_KM):
            text += f" {km:.0f} km " + " ".join(f"{folding_time(found[:, place]):.1f}" for found in densities) + ","
        worst = np.max(np.abs(densities[1] - densities[0]), axis=0) / np.max(np.abs(densities[1]), axis=0)
        shares = ", ".join(f"{100.0 * share:.1f}" for share in worst)
        print(f"  {case.f107:3.0f} {amount:+5.0f} 1/e [h]  {text} largest error [% of the peak] {shares}")


def print_contributions(case: Case, amount: float) -> None:
    """Print what is left of the error when single nonlinearities are replaced by their tangents."""
    linear, _ = storm(case, amount)
    chosen: list[tuple[str, frozenset[Term]]] = [("none: full equations", frozenset())]
    chosen += [(term.value, frozenset({term})) for term in Term]
    chosen += [("all of them", frozenset(Term))]
    for label, tangent in chosen:
        other = replace(case, nonlinear=replace(case.nonlinear, tangent=tangent))
        nonlinear = storm(other, amount)[1]
        rows = [HEATED_H - 1, HEATED_H + 11, HEATED_H + 35]
        tau = (nonlinear - linear)[rows][:, [_level(case, 150.0), case.levels - 1]]
        density = case.log_density(nonlinear[rows], (302.0, 474.0)) - case.log_density(linear[rows], (302.0, 474.0))
        errors = "".join(
            f"   {a[0]:+6.2f} {a[1]:+6.2f} K {b[0]:+.4f} {b[1]:+.4f}" for a, b in zip(tau, density, strict=True)
        )
        print(f"  {case.f107:3.0f} {amount:+5.0f} {label:55s}{errors}")


def _level(case: Case, height_km: float) -> int:
    return int(np.argmin(np.abs(case.height - 1e3 * height_km)))


def print_nitric_oxide(case: Case, more: float, amount: float) -> None:
    """Print storms with more NO, from the beginning to the end; and without the reference's own share of cooling."""
    heating = case.heating(amount).heating
    medium = nitric_oxide_fraction(case.reference, MEDIUM_F107_SFU, QUIET_KP)
    factor = 1.0 + more * medium / case.nonlinear.nitric_oxide
    phases = [(Disturbance(heating, factor), HEATED_H), (Disturbance(0.0 * heating, factor), WATCHED_H)]
    linear, nonlinear = both(case, phases)
    damped = [case.nonlinear.rest[None]]
    for disturbance, hours in phases:
        source = case.source(disturbance, own_cooling=False)
        damped.append(case.linear_with(disturbance).run(damped[-1][-1], source, hours))
    for hour in (12, 24, 36, 60):
        rows = [states[hour - 1 : hour] for states in (np.concatenate(damped[1:]), linear, nonlinear)]
        tau = np.array([case.tau(row, (150.0, 400.0))[0] for row in rows]).T
        density = np.array([case.log_density(row, (302.0, 474.0))[0] for row in rows]).T
        label = f"on  {hour:2d}" if hour <= HEATED_H else f"off {hour - HEATED_H:2d}"
        text = "".join("".join(f"{value:+8.1f}" for value in values) + "  " for values in tau)
        text += "| " + "".join("".join(f"{value:+8.3f}" for value in values) + "  " for values in density)
        print(f"  {case.f107:3.0f} {amount:+5.0f} NO +{more:.0f} {label}  {text}")


def print_offsets(case: Case, species: str, offset: float) -> None:
    """Print the answer to an offset of a ratio at the lower boundary after 1, 3 and 10 days."""
    ratio = np.array([offset if name == species else 0.0 for name in SPECIES])
    disturbance = Disturbance(np.zeros(case.levels), bottom_ratio=ratio)
    linear, nonlinear = both(case, [(disturbance, 240)])
    models = (
        linear,
        case.whole_derivative(disturbance).run(case.nonlinear.rest, case.slope(disturbance), 240),
        nonlinear,
    )
    levels = [(SPECIES.index(species) + 1) * case.levels + _level(case, km) for km in (120.0, 400.0)]
    for day in (1, 3, 10):
        at = slice(24 * day - 1, 24 * day)
        ratios = side_by_side(3, *(states[at][0, levels] for states in models))
        tau = side_by_side(1, *(case.tau(states[at], (150.0, 400.0))[0] for states in models))
        density = side_by_side(3, *(case.log_density(states[at], DENSITY_HEIGHT_KM)[0] for states in models))
        print(f"  {case.f107:3.0f} {species:2s} {offset:+.1f}  {day:2d} d  {ratios}| {tau}| {density}")


def print_local(case: Case) -> None:
    """Print heating of columns of day and night, by their own nonlinear equations and by the operators of the mean."""
    _, state = quiet_reference(case.f107)
    heating = case.heating(150.0)
    temperature = np.where(np.abs(GRID.latitude)[:, None] < 60.0, state.temperature[-1, :, :, 0], np.nan)
    for name, index in (("warmest", np.nanargmax(temperature)), ("coldest", np.nanargmin(temperature))):
        row, column = np.unravel_index(index, temperature.shape)
        ratios = {gas: state.log_ratio[gas][:, row, column, 0] for gas in SPECIES}
        mean = case.reference
        local = ReferenceColumn.from_log_ratio(mean.zp, state.temperature[:, row, column, 0], ratios, mean.gravity)
        twin = replace(case.nonlinear, reference=local)
        bottom = float(state.bottom_height[row, column, 0])
        here = replace(case, reference=local, nonlinear=twin, bottom_height=bottom)
        seconds = HOUR_S * np.arange(1, HEATED_H + 1)
        on = twin.integrate(twin.rest, heating, seconds.tolist(), TOLERANCE)
        off = twin.integrate(on[-1], twin.undisturbed, (HOUR_S * np.arange(1, WATCHED_H + 1)).tolist(), TOLERANCE)
        nonlinear = np.concatenate([on, off])
        linear = np.concatenate(linear_storm(case, heating))
        rho = [here.log_density(states, DENSITY_HEIGHT_KM) for states in (linear, nonlinear)]
        tops = [states[:, case.levels - 1] for states in (linear, nonlinear)]
        times = [folding_time(values) for values in (*tops, rho[0][:, 1], rho[1][:, 1])]
        found = side_by_side(3, rho[0][HEATED_H - 1], rho[1][HEATED_H - 1])
        top = " ".join(f"{values[HEATED_H - 1]:+.0f}" for values in tops)
        print(
            f"  {case.f107:3.0f} {name} column, {local.temperature[-1]:.0f} K: after 24 h top {top} K, ln rho {found}"
            f"  1/e [h] of top {times[0]:.1f} {times[1]:.1f}, of ln rho at 302 km {times[2]:.1f} {times[3]:.1f}"
        )


def linear_storm(case: Case, heating: Disturbance) -> tuple[FloatArray, FloatArray]:
    """Return hourly states of the linear model of the mean column, heated and then not."""
    on = case.linear.run(case.nonlinear.rest, case.source(heating), HEATED_H)
    return on, case.linear.run(on[-1], np.zeros(on.shape[1]), WATCHED_H)


def main() -> None:
    """Run all sections."""
    limit_blas_threads()
    used = ", ".join(f"{name} {versions()[name]}" for name in ("python", "numpy", "scipy", "pymsis"))
    print(f"{datetime.now(UTC):%Y-%m-%d} UTC, commit {source_commit()}; {used}; {platform.machine()}, one core")
    cases = [Case.of(f107) for f107 in F107_SFU]
    print_heading("columns")
    for case in cases:
        print_column(case)
    print_heading(
        "largest relative difference of a row of the nonlinear tendency's derivative from the linear operators"
    )
    for case in cases:
        print_operators(case)
        print_feedback(case)
    print_heading("heated for 24 h, then not: linear and nonlinear, side by side")
    print(
        "  F10.7, topmost tau of the linear model [K], time [h]; tau [K] at 150, 200, 300, 400, 500 km of the column |"
    )
    print("  ln(density / reference) at 150, 302, 474 km")
    for case in cases:
        print_storms(case)
    print_heading("nonlinear less linear with one nonlinearity replaced by its tangent")
    print("  tau at 150 km and on top, ln rho at 302 and 474 km; after 24 h of heating, 12 h and 36 h of recovery")
    for case in cases[1:]:
        for amount in (-300.0, 300.0):
            print_contributions(case, amount)
    print_heading(
        "more NO throughout: linear by damping of anomalies alone, linear with the reference's own, nonlinear"
    )
    print(f"  more by once or twice what it is at {MEDIUM_F107_SFU:.0f} sfu")
    print("  tau [K] at 150 and 400 km | ln rho at 302 and 474 km")
    for case in cases:
        for amount in (0.0, 300.0):
            for more in (1.0, 2.0):
                print_nitric_oxide(case, more, amount)
    print_heading("offset of ln(w/w_N2) at the bottom: linear, linear by the whole derivative, nonlinear")
    print("  change of the same at 120 and 400 km | tau [K] at 150 and 400 km | ln rho at 150, 302, 474 km")
    for case in cases:
        for species in ("O", "He"):
            for offset in (-0.4, 0.2, 0.6):
                print_offsets(case, species, offset)
    print_heading(
        "columns of day and night, heated as the mean by 150 K: operators of the mean, own nonlinear equations"
    )
    for case in cases:
        print_local(case)


if __name__ == "__main__":
    main()
