r"""How heat that is released in the auroral ovals spreads over the sphere and is radiated away.

The thermosphere above 200 km is taken as one shallow, compressible layer without rotation. With the relative
expansion :math:`h` (the change of ln density at the reference height) and the velocity potential :math:`\phi`,

.. math::

   \partial_t h &= -\nabla \cdot [(1 + h) \nabla \phi] + Q - [h + b n (h + h_0)] / \tau \\
   \partial_t \phi &= -c^2 h - \tfrac12 |\nabla \phi|^2 - \phi / \tau_d \\
   \dot n &= (\max(\bar h, 0) - n) / \tau_n

These are the shallow-water equations of an irrotational flow (Vallis 2017, Atmospheric and Oceanic Fluid Dynamics,
Chap. 3): small disturbances travel at :math:`c`, large ones faster by :math:`\sqrt{1 + h}`; drag :math:`\tau_d` (the
ions') lets them equalise instead of ringing. Heat is lost within :math:`\tau`, the faster the larger :math:`n`: the
lagged global mean stands for nitric oxide, which storms make and which then cools what was there before them, too
(:math:`h_0`), so that density ends below where it began. Without heating, loss, drag and smoothing the total
:math:`\int h` is conserved, and so is the energy :math:`\int [(1 + h) |\nabla \phi|^2 + c^2 h^2] / 2`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from da.constants import EARTH_RADIUS
from da.twin.harmonics import HarmonicGrid, Harmonics

FloatArray = NDArray[np.float64]

STEP_S = 600.0
"""Step of the fourth-order Runge-Kutta scheme: less than a third of what the shortest waves allow at 700 m/s."""

HIGHEST_DEGREE = 12
"""Waves down to 3300 km; smaller ones are left to the travelling disturbances."""

_MEAN_OF_FIRST = np.sqrt(0.25 / np.pi)


@dataclass(frozen=True)
class LayerState:
    """Harmonic coefficients (K,) of expansion and potential [m2 s-1], and the nitric oxide."""

    expansion: FloatArray
    potential: FloatArray
    nitric_oxide: float

    @property
    def mean_expansion(self) -> float:
        """Global mean of h."""
        return float(self.expansion[0] * _MEAN_OF_FIRST)


@dataclass(frozen=True)
class StormLayer:
    """The layer's equations; times of infinity switch a process off.

    Parameters
    ----------
    speed_m_s : float
        c.
    drag_time_h : float
        tau_d.
    cooling_time_h : float
        tau.
    overcooling : float
        b, increase of the cooling rate per unit of n.
    overcooled_background : float
        h_0.
    nitric_oxide_time_h : float
        tau_n.
    smoothing_time_h : float
        Within which the smallest resolved waves are damped; it grows with the fourth power of the wavelength.
    """

    speed_m_s: float = 700.0
    drag_time_h: float = 1.5
    cooling_time_h: float = 28.0
    overcooling: float = 1.2
    overcooled_background: float = 0.2
    nitric_oxide_time_h: float = 12.0
    smoothing_time_h: float = 1.0

    @cached_property
    def harmonics(self) -> Harmonics:
        """Truncation of the state."""
        return Harmonics(HIGHEST_DEGREE)

    @cached_property
    def grid(self) -> HarmonicGrid:
        """Grid on which products are formed and the heating is given."""
        return self.harmonics.grid()

    @cached_property
    def _projection(self) -> FloatArray:
        return np.ascontiguousarray((self.grid.value * self.grid.weight[:, None]).T)

    @cached_property
    def _divergence(self) -> tuple[FloatArray, FloatArray]:
        weight = self.grid.weight[:, None] / EARTH_RADIUS
        slopes = (self.grid.southward_slope, self.grid.eastward_slope)
        south, east = (np.ascontiguousarray((slope * weight).T) for slope in slopes)
        return south, east

    @cached_property
    def _smoothing(self) -> FloatArray:
        scale = self.harmonics.degree * (self.harmonics.degree + 1.0)
        return np.asarray(np.exp(-STEP_S / (3600.0 * self.smoothing_time_h) * (scale / scale[-1]) ** 2))

    def at_rest(self) -> LayerState:
        """Return the state without any disturbance."""
        size = self.harmonics.degree.size
        return LayerState(np.zeros(size), np.zeros(size), 0.0)

    def project(self, field: FloatArray) -> FloatArray:
        """Return the coefficients (K,) of a field on the grid (n,)."""
        return np.asarray(self._projection @ field)

    def energy(self, state: LayerState) -> float:
        """Return the conserved energy per unit of the layer's depth on the unit sphere [m2 s-2]."""
        h = self.grid.value @ state.expansion
        south, east = self._wind(state.potential)
        density = (1.0 + h) * (south**2 + east**2) + self.speed_m_s**2 * h**2
        return float(0.5 * np.sum(self.grid.weight * density))

    def step(self, state: LayerState, heating: FloatArray) -> LayerState:
        """Return the state a step later under a heating with coefficients (K,) [s-1] that lasts over the step."""

        def rate(now: LayerState) -> LayerState:
            return self._rate(now, heating)

        after = _runge_kutta(rate, state, STEP_S)
        return LayerState(after.expansion * self._smoothing, after.potential * self._smoothing, after.nitric_oxide)

    def _wind(self, potential: FloatArray) -> tuple[FloatArray, FloatArray]:
        south = self.grid.southward_slope @ potential / EARTH_RADIUS
        east = self.grid.eastward_slope @ potential / EARTH_RADIUS
        return south, east

    def _rate(self, state: LayerState, heating: FloatArray) -> LayerState:
        south, east = self._wind(state.potential)
        depth = 1.0 + self.grid.value @ state.expansion
        to_south, to_east = self._divergence
        spreading = to_south @ (depth * south) + to_east @ (depth * east)
        excess = self.overcooling * state.nitric_oxide
        loss = (1.0 + excess) * state.expansion
        loss[0] += excess * self.overcooled_background / _MEAN_OF_FIRST
        potential = (
            -(self.speed_m_s**2) * state.expansion
            - self._projection @ (0.5 * (south**2 + east**2))
            - state.potential / (3600.0 * self.drag_time_h)
        )
        made = max(state.mean_expansion, 0.0) - state.nitric_oxide
        return LayerState(
            spreading + heating - loss / (3600.0 * self.cooling_time_h),
            potential,
            made / (3600.0 * self.nitric_oxide_time_h),
        )


def _runge_kutta(rate: Callable[[LayerState], LayerState], state: LayerState, step_s: float) -> LayerState:
    first = rate(state)
    second = rate(_moved(state, first, 0.5 * step_s))
    third = rate(_moved(state, second, 0.5 * step_s))
    fourth = rate(_moved(state, third, step_s))
    mean = _moved(_moved(_moved(first, second, 2.0), third, 2.0), fourth, 1.0)
    return _moved(state, mean, step_s / 6.0)


def _moved(state: LayerState, rate: LayerState, factor: float) -> LayerState:
    return LayerState(
        state.expansion + factor * rate.expansion,
        state.potential + factor * rate.potential,
        state.nitric_oxide + factor * rate.nitric_oxide,
    )
