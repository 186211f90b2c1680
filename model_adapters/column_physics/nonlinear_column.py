r"""One column with the full nonlinear equations: the slow twin by which linearisation is measured.

Temperature T and q_i = ln(w_i/w_N2) of O, O2 and He obey, on levels of zp = ln(p0/p),

.. math:: c_p \left( \frac{\partial T}{\partial t} + r \tau \right) = \frac{g}{p} \frac{\partial}{\partial zp} \left[
          \frac{\kappa}{H} \frac{\partial T}{\partial zp}
          + \frac{p}{g} c_p k_E \left( \frac{\partial T}{\partial zp} + \frac{g H}{c_p} \right) \right]
          - L_{CO_2} - L_O - f L_{NO} + Q_0 + Q,

.. math:: \frac{p}{g} \frac{\partial w_i}{\partial t} = \frac{\partial}{\partial zp} \left\{ \frac{p}{g} \left[
          - \frac{w_i}{H} \Big( U_i - \sum_j w_j U_j \Big) + k_E \frac{\partial w_i}{\partial zp} \right] \right\}
          + \frac{p}{g} S_i

(Dickinson et al. 1984, doi:10.1175/1520-0469(1984)041<0205:TGCWCD>2.0.CO;2) with conductivity, heat capacity, scale
height, diffusion and cooling of the column as it is at the time, not of its reference. U are the velocities of the
Stefan-Maxwell equations, as in :mod:`model_adapters.column_physics.composition`. Q_0 [W kg-1] and the rates of
ln(w/w_N2) behind S are fixed, and just so large that the reference is exactly steady: they stand for sunlight,
photochemistry, circulation and the quiet aurora. Q and the factor f of nitric oxide are what disturbs it. r is the loss
of anomalies that the linear model has, linear here too.

By design the same in both models: gravity is that of the reference's levels; the mole fraction of NO and its profile
in the vertical follow no temperature; heating is given per mass; the bottom interface, half a step below the lowest
level, keeps temperature and composition, offsets apart.

Discretisation: the finite volumes of :mod:`model_adapters.column_physics.vertical`, written independently. With
:math:`\kappa \propto T^{0.69}` and :math:`H \propto T` molecular conduction is the gradient of :math:`T^{0.69}` times
what composition alone determines, so that steady profiles of a well-mixed gas are exact at any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.sparse import csr_matrix

from da.constants import GAS_CONSTANT, MOLAR_MASS
from model_adapters.column_physics.cooling import carbon_dioxide_cooling, nitric_oxide_cooling, oxygen_cooling
from model_adapters.column_physics.thermal import (
    CONDUCTIVITY_EXPONENT,
    GASES,
    SPECIES,
    THERMAL_DIFFUSION_FACTOR,
    ReferenceColumn,
)

FloatArray = NDArray[np.float64]

RELATIVE_TOLERANCE = 1e-6
ABSOLUTE_TOLERANCE_K = 100.0
ABSOLUTE_TOLERANCE_RATIO = 0.1
"""Of the time integration; the absolute ones are multiplied by the relative one."""


class Term(Enum):
    """A nonlinearity that may be replaced by its tangent at the reference, to see what it contributes."""

    CONDUCTIVITY = "conductivity and scale height in conduction"
    HEAT_COMPOSITION = "composition in heat capacity, conduction and cooling"
    CARBON_DIOXIDE = "CO2 cooling"
    OXYGEN = "O cooling"
    NITRIC_OXIDE = "NO cooling"
    DIFFUSION = "coefficients of diffusion"


@dataclass(frozen=True)
class Disturbance:
    """What acts on a column beyond what holds its reference.

    Parameters
    ----------
    heating : array (levels,)
        W kg-1.
    nitric_oxide_factor : float or array (levels,)
        What multiplies the climatological mole fraction of NO.
    bottom_temperature : float
        Offset at the bottom interface [K].
    bottom_ratio : array (3,)
        Offsets of ln(w/w_N2) of O, O2 and He there.
    """

    heating: FloatArray
    nitric_oxide_factor: float | FloatArray = 1.0
    bottom_temperature: float = 0.0
    bottom_ratio: FloatArray = field(default_factory=lambda: np.zeros(len(SPECIES)))


@dataclass(frozen=True)
class NonlinearColumn:
    """The equations of one column. Its state is the anomaly (4 levels,): tau [K], then c of O, O2 and He.

    Parameters
    ----------
    reference : ReferenceColumn
        Made steady by a fixed forcing.
    eddy : array (levels,)
        Eddy diffusion coefficient over the squared scale height [s-1].
    nitric_oxide : array (levels,)
        Mole fraction of NO that holds in the reference.
    loss_rate : float or array (levels,)
        r: of temperature anomalies to everything that is not in a column [s-1].
    tangent : set of Term
        Nonlinearities that are replaced by their tangents.
    closed : bool
        Nothing flows through the bottom.
    """

    reference: ReferenceColumn
    eddy: FloatArray
    nitric_oxide: FloatArray
    loss_rate: float | FloatArray = 0.0
    tangent: frozenset[Term] = frozenset()
    closed: bool = False

    @property
    def rest(self) -> FloatArray:
        """The state of the reference: no anomaly."""
        return np.zeros(4 * self.reference.zp.size)

    @property
    def undisturbed(self) -> Disturbance:
        """Nothing beyond what holds the reference."""
        return Disturbance(np.zeros(self.reference.zp.size))

    def column(self, anomaly: FloatArray) -> ReferenceColumn:
        """Return the properties of the gas at a state (4 levels,)."""
        tau, ratio = self._split(anomaly)
        return self._with(self.reference.temperature + tau, self._log_ratio + ratio)

    def tendency(self, anomaly: FloatArray, disturbance: Disturbance) -> FloatArray:
        """Return the rates of change (4 levels,) [K s-1 and s-1] of a state: zero at rest and undisturbed."""
        tau, _ = self._split(anomaly)
        heat_at_rest, ratio_at_rest = self._at_rest
        mixture = self._mixture(anomaly)
        heat = self._net_heat(anomaly, disturbance) - heat_at_rest + disturbance.heating
        warming = heat / mixture.heat_capacity - self.loss_rate * tau
        enrichment = self._diffusion(anomaly, disturbance) - ratio_at_rest
        return np.concatenate([warming, enrichment.ravel()])

    def jacobian(self, anomaly: FloatArray, disturbance: Disturbance) -> FloatArray:
        """Return the derivative (4 levels, 4 levels) of the tendency, by central differences of 0.01 K and 1e-5."""
        levels = self.reference.zp.size
        sizes = np.concatenate([np.full(levels, 1e-2), np.full(3 * levels, 1e-5)])
        columns = [
            (self.tendency(anomaly + shift, disturbance) - self.tendency(anomaly - shift, disturbance)) / (2.0 * size)
            for shift, size in zip(np.diag(sizes), sizes, strict=True)
        ]
        return np.stack(columns, axis=1)

    def integrate(
        self,
        anomaly: FloatArray,
        disturbance: Disturbance,
        seconds: Sequence[float],
        relative_tolerance: float = RELATIVE_TOLERANCE,
    ) -> FloatArray:
        """Return the states (times, 4 levels) at times [s], increasing, after a state under a constant disturbance.

        Raises
        ------
        ArithmeticError
            If the integration fails.
        """
        levels = self.reference.zp.size
        scale = np.repeat([ABSOLUTE_TOLERANCE_K, ABSOLUTE_TOLERANCE_RATIO], [levels, 3 * levels])
        solution = solve_ivp(
            lambda _, state: self.tendency(state, disturbance),
            (0.0, seconds[-1]),
            anomaly,
            method="BDF",
            t_eval=seconds,
            rtol=relative_tolerance,
            atol=relative_tolerance * scale,
            jac_sparsity=_neighbours(levels),
        )
        if not solution.success:
            raise ArithmeticError(f"the integration of the column failed: {solution.message}")
        return np.asarray(solution.y.T)

    @cached_property
    def _log_ratio(self) -> FloatArray:
        nitrogen = np.log(self.reference.fraction("N2"))
        return np.stack([np.log(self.reference.fraction(name)) - nitrogen for name in SPECIES])

    @cached_property
    def _at_rest(self) -> tuple[FloatArray, FloatArray]:
        """What the physics does to the reference [W kg-1] (levels,) and [s-1] (3, levels), taken away from it."""
        return self._net_heat(self.rest, self.undisturbed), self._diffusion(self.rest, self.undisturbed)

    def _split(self, anomaly: FloatArray) -> tuple[FloatArray, FloatArray]:
        tau, *ratio = anomaly.reshape(4, -1)
        return tau, np.stack(ratio)

    def _with(self, temperature: FloatArray, log_ratio: FloatArray) -> ReferenceColumn:
        ratios = dict(zip(SPECIES, log_ratio, strict=True))
        reference = self.reference
        return ReferenceColumn.from_log_ratio(
            reference.zp, temperature, ratios, reference.gravity, reference.reference_pressure
        )

    def _mixture(self, anomaly: FloatArray) -> ReferenceColumn:
        """Return the column as heat sees it."""
        if Term.HEAT_COMPOSITION not in self.tangent:
            return self.column(anomaly)
        return self._with(self.reference.temperature + self._split(anomaly)[0], self._log_ratio)

    def _net_heat(self, anomaly: FloatArray, disturbance: Disturbance) -> FloatArray:
        return self._conduction(anomaly, disturbance) - self._cooling(anomaly, disturbance)

    def _cooling(self, anomaly: FloatArray, disturbance: Disturbance) -> FloatArray:
        """Return the radiative cooling (levels,) [W kg-1]."""
        tau, _ = self._split(anomaly)
        now, total = self._mixture(anomaly), np.zeros(tau.size)
        for term in (Term.CARBON_DIOXIDE, Term.OXYGEN, Term.NITRIC_OXIDE):
            if term in self.tangent:
                cooling, slope = self._emission(term, self.reference)
                cooling = cooling + slope * tau
            else:
                cooling = self._emission(term, now)[0]
            total += disturbance.nitric_oxide_factor * cooling if term is Term.NITRIC_OXIDE else cooling
        return total

    def _emission(self, term: Term, column: ReferenceColumn) -> tuple[FloatArray, FloatArray]:
        if term is Term.NITRIC_OXIDE:
            return nitric_oxide_cooling(column, self.nitric_oxide)
        return carbon_dioxide_cooling(column) if term is Term.CARBON_DIOXIDE else oxygen_cooling(column)

    def _conduction(self, anomaly: FloatArray, disturbance: Disturbance) -> FloatArray:
        """Return the convergence (levels,) of molecular and eddy heat flux [W kg-1]."""
        mixture = self._mixture(anomaly)
        rest = np.append(_below(self.reference.temperature), self.reference.temperature)
        tau = np.append(disturbance.bottom_temperature, self._split(anomaly)[0])
        potential = rest**CONDUCTIVITY_EXPONENT / CONDUCTIVITY_EXPONENT
        if Term.CONDUCTIVITY in self.tangent:
            potential = potential + rest ** (CONDUCTIVITY_EXPONENT - 1.0) * tau
        else:
            potential = (rest + tau) ** CONDUCTIVITY_EXPONENT / CONDUCTIVITY_EXPONENT
        molar_mass, distance = mixture.mean_molar_mass, self._distance
        per_gradient = mixture.conductivity_coefficient * molar_mass * mixture.gravity / GAS_CONSTANT
        mixing = _faces(mixture.heat_capacity * mixture.pressure / mixture.gravity * self.eddy) / distance
        # Eddies carry heat down the gradient of potential temperature, seen from the middle between two levels.
        adiabatic = 0.5 * distance * _faces(GAS_CONSTANT / (molar_mass * mixture.heat_capacity))
        upper, lower = (rest + tau)[1:] * np.exp(adiabatic), (rest + tau)[:-1] * np.exp(-adiabatic)
        downward = _faces(per_gradient) / distance * np.diff(potential) + mixing * (upper - lower)
        return self._convergence(downward)

    def _diffusion(self, anomaly: FloatArray, disturbance: Disturbance) -> FloatArray:
        """Return the rates (3, levels) [s-1] of ln(w/w_N2) by molecular and eddy diffusion."""
        tau, ratio = self._split(anomaly)
        rest_temperature = np.append(_below(self.reference.temperature), self.reference.temperature)
        rest_ratio = np.column_stack([1.5 * self._log_ratio[:, 0] - 0.5 * self._log_ratio[:, 1], self._log_ratio])
        temperature = rest_temperature + np.append(disturbance.bottom_temperature, tau)
        log_ratio = rest_ratio + np.column_stack([disturbance.bottom_ratio, ratio])
        levels, faces = self._with(temperature[1:], log_ratio[:, 1:]), self._faces(temperature, log_ratio)
        gradient = np.diff(log_ratio) / self._distance
        driving = gradient + _separation(levels, faces)
        thermal = np.array([THERMAL_DIFFUSION_FACTOR[name] for name in SPECIES])
        driving += np.multiply.outer(thermal, np.diff(np.log(temperature)) / self._distance)
        if Term.DIFFUSION in self.tangent:
            levels, faces = self.reference, self._faces(rest_temperature, rest_ratio)
        # Downward, times the scale height: velocities relative to N2, then relative to the centre of mass.
        velocity = np.linalg.solve(_friction(faces), driving.T[..., None])[..., 0].T / faces.scale_height**2
        velocity += self._eddy_on_faces * gradient
        fraction = np.stack([faces.fraction(name) for name in SPECIES])
        relative = velocity - np.sum(fraction * velocity, axis=0)
        gain = self._convergence(faces.pressure / faces.gravity * fraction * relative)
        own = np.stack([levels.fraction(name) for name in SPECIES])
        return np.asarray(gain / own + gain.sum(axis=0) / levels.fraction("N2"))

    def _faces(self, temperature: FloatArray, log_ratio: FloatArray) -> ReferenceColumn:
        """Return the gas on the interfaces below the levels, from its values at the bottom interface and on levels."""
        reference = self.reference
        between = np.column_stack([log_ratio[:, 0], 0.5 * (log_ratio[:, 2:] + log_ratio[:, 1:-1])])
        gravity = np.append(1.5 * reference.gravity[0] - 0.5 * reference.gravity[1], reference.gravity)
        return ReferenceColumn.from_log_ratio(
            reference.zp - 0.5 * reference.step,
            np.append(temperature[0], np.sqrt(temperature[2:] * temperature[1:-1])),
            dict(zip(SPECIES, between, strict=True)),
            np.append(gravity[0], 0.5 * (gravity[2:] + gravity[1:-1])),
            reference.reference_pressure,
        )

    def _convergence(self, downward: FloatArray) -> FloatArray:
        """Return what each layer gains per mass from fluxes (..., levels) through the interfaces below the levels."""
        below = downward.copy()
        if self.closed:
            below[..., 0] = 0.0
        above = np.zeros_like(below)
        above[..., :-1] = below[..., 1:]
        return np.asarray((above - below) / self.reference.layer_mass)

    @property
    def _distance(self) -> FloatArray:
        return np.append(0.5 * self.reference.step, np.full(self.reference.zp.size - 1, self.reference.step))

    @property
    def _eddy_on_faces(self) -> FloatArray:
        lowest = _below(self.eddy) if self.eddy[1] > 0.0 else self.eddy[0]
        return np.append(lowest, np.sqrt(self.eddy[1:] * self.eddy[:-1]))


def _below(profile: FloatArray, steps: float = 0.5) -> float:
    """Return a positive profile some steps below its lowest level, exponential as between the lowest two."""
    return float(profile[0] * (profile[0] / profile[1]) ** steps)


def _faces(profile: FloatArray) -> FloatArray:
    """Return a profile half-way between levels; first: between the bottom interface and the lowest level."""
    lowest = _below(profile, 0.25) if profile[1] > 0.0 else profile[0]
    return np.append(lowest, np.sqrt(profile[1:] * profile[:-1]))


def _separation(levels: ReferenceColumn, faces: ReferenceColumn) -> FloatArray:
    """Return the gradient (3, interfaces) of ln(w/w_N2) that gravity takes away by mass, with the sign of that."""
    inverse = np.append(1.0 / faces.mean_molar_mass[0], 1.0 / levels.mean_molar_mass)
    lighter = np.array([MOLAR_MASS["N2"] - MOLAR_MASS[name] for name in SPECIES])
    return np.asarray(np.multiply.outer(-lighter, 0.5 * (inverse[1:] + inverse[:-1])))


def _friction(column: ReferenceColumn) -> FloatArray:
    r"""Return the friction (levels, 3, 3) [s m-2] against velocities relative to N2, by subtraction of its equation.

    The Stefan-Maxwell equations of all four gases, :math:`y_i = \sum_j x_j (U_i - U_j) / D_{ij}` up to a common term.
    """
    matrix = np.zeros((column.zp.size, len(GASES), len(GASES)))
    for i, first in enumerate(GASES):
        for j, second in enumerate(GASES):
            if i != j:
                drag = column.mole_fraction(second) / column.binary_diffusion(first, second)
                matrix[:, i, i] += drag
                matrix[:, i, j] -= drag
    return np.asarray(matrix[:, :-1, :-1] - matrix[:, -1:, :-1])


def _neighbours(levels: int) -> csr_matrix:
    """Return which tendencies depend on which state, but for CO2, which feels the whole column below it weakly."""
    ones = np.ones((levels, levels))
    return csr_matrix(np.kron(np.ones((4, 4)), np.triu(np.tril(ones, 1), -1)))
