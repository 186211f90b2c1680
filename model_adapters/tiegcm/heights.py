r"""Heights and densities of TIE-GCM from its temperature and composition, as the model diagnoses them itself.

The model integrates the geopotential height Z upwards with a constant gravity of 8.70 m s-2, and diagnoses the
geometric height ZG with a gravity that depends on latitude and height (routines addiag and calczg; SI units here):

.. math::
    Z_{k+1} = Z_k + \frac{R}{8.70} \frac{T_k \Delta}{\bar M_k}, \qquad
    ZG_{k+1} = ZG_k + \frac{R' T_k \Delta}{\bar M_k \, g_k}, \qquad
    g_k = g_0 \left(\frac{r_0}{r_0 + (ZG_k + Z_{k+1})/2}\right)^2

for interfaces k and levels k half a step above them, with ZG = Z at the bottom. In Z, version 2.0 takes for
:math:`\bar M_k` the mean of the masses at the two interfaces, which are themselves means of levels; version 3.0 takes
the mass of the level. With the fields of the step before, from which the model computed it, Z on file is reproduced to
0.5 m (2.0) and 16 m (3.0, whose time filter acts in between).

At the top the model does not integrate: its highest ZG is extrapolated linearly from the two below, and ZGMID from
that. Where helium takes over, the true layers are thicker, and the model's two highest levels lie up to 4 and 20 km
too low for their pressure. An observation there would meet a density some ten percent wrong, so that heights here are
integrated through the highest level, isothermal from the level below, and differ from the file's there alone.

The gas constants and molar masses are the model's, so that heights agree with ZG on file; they differ from those of
:mod:`da.constants` by up to 7e-4. Because g above is taken halfway between a geometric and a geopotential height, ZG
lies about 0.6 km above the exact integral (:func:`da.hydrostatics.mid_level_height`) at 550 km.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.hydrostatics import effective_radius, surface_gravity
from da.model import StateLayout
from model_adapters.tiegcm.history import opened, read_header
from model_adapters.tiegcm.model_time import Version

FloatArray = NDArray[np.float64]

MODEL_MOLAR_MASS = {"O": 16e-3, "O2": 32e-3, "He": 4e-3, "N2": 28e-3}
"""Molar masses of the model [kg mol-1]."""

MODEL_GAS_CONSTANT = 8.314
"""R of the model [J K-1 mol-1]."""

HEIGHT_GAS_CONSTANT = 1.38e-23 * 6.023e23
"""R' of the model's geometric height [J K-1 mol-1]: its Boltzmann constant times its Avogadro constant."""

MODEL_GRAVITY = 8.70
"""Constant gravity of the model's geopotential height [m s-2]."""

CENTIMETRE = 1e-2
GRAM_PER_CUBIC_CENTIMETRE = 1e3
"""Units of the file in SI: heights and densities."""


def molar_mass(w_o: FloatArray, w_o2: FloatArray, w_he: FloatArray) -> FloatArray:
    """Return the mean molar mass [kg mol-1] from mass fractions, with the masses of the model."""
    mass = MODEL_MOLAR_MASS
    w_n2 = 1.0 - w_o - w_o2 - w_he
    return np.asarray(1.0 / (w_o / mass["O"] + w_o2 / mass["O2"] + w_he / mass["He"] + w_n2 / mass["N2"]))


def interface_molar_mass(mass: FloatArray) -> FloatArray:
    """Return the molar mass at the interfaces, half a step below each level: means, extrapolated at the bottom.

    Parameters
    ----------
    mass : array (levels, ...)
        At the levels.
    """
    bottom = 1.5 * mass[:1] - 0.5 * mass[1:2]
    return np.concatenate([bottom, 0.5 * (mass[1:] + mass[:-1])])


def interface_temperature(temperature: FloatArray, bottom_temperature: FloatArray) -> FloatArray:
    """Return the temperature at the interfaces [K]: TLBC at the bottom, means, and that of the level below at the top.

    Parameters
    ----------
    temperature : array (levels, ...)
        At the levels [K]; the highest is not used.
    bottom_temperature : array (...)
        TLBC [K].
    """
    between = 0.5 * (temperature[1:-1] + temperature[:-2])
    return np.concatenate([bottom_temperature[None], between, temperature[-2:-1]])


def interface_density(
    interface: FloatArray, temperature: FloatArray, mass: FloatArray, bottom_temperature: FloatArray
) -> FloatArray:
    """Return the density [kg m-3] at the interfaces, as the model's DEN but at the highest one.

    There DEN on file is exp(1/2) times too large: a fault of the model, which makes it unfit for any comparison.

    Parameters
    ----------
    interface : array (levels,)
        zp of the interfaces.
    temperature, mass : array (levels, ...)
        K and kg mol-1 at the levels; the highest temperature is not used.
    bottom_temperature : array (...)
        TLBC [K].
    """
    pressure = TIEGCM_REFERENCE_PRESSURE * np.exp(-interface).reshape(-1, *(1,) * (temperature.ndim - 1))
    scale = MODEL_GAS_CONSTANT * interface_temperature(temperature, bottom_temperature)
    return np.asarray(pressure * interface_molar_mass(mass) / scale)


def level_density(level: FloatArray, temperature: FloatArray, mass: FloatArray) -> FloatArray:
    """Return the density [kg m-3] at the levels with the model's constants (see :func:`interface_density`)."""
    pressure = TIEGCM_REFERENCE_PRESSURE * np.exp(-level).reshape(-1, *(1,) * (temperature.ndim - 1))
    return np.asarray(pressure * mass / (MODEL_GAS_CONSTANT * temperature))


def geopotential_height(
    version: Version, temperature: FloatArray, mass: FloatArray, bottom_height: FloatArray, level_step: float
) -> FloatArray:
    """Return the model's geopotential height Z [m] of the interfaces, (levels + 1, ...).

    Parameters
    ----------
    version : {"2.0", "3.0"}
    temperature, mass : array (levels, ...)
        K and kg mol-1 at the levels; the highest temperature is not used.
    bottom_height : array (...)
        Of the lowest interface [m].
    level_step : float
        Step of zp between levels.

    Returns
    -------
    array (levels + 1, ...)
        The last, a step above the highest interface of the file, bounds the highest level from above.
    """
    layer_mass = mass
    if version == "2.0":
        at_interfaces = interface_molar_mass(mass)
        layer_mass = np.concatenate([0.5 * (at_interfaces[1:] + at_interfaces[:-1]), mass[-1:]])
    thickness = MODEL_GAS_CONSTANT / MODEL_GRAVITY * level_step * _isothermal_top(temperature) / layer_mass
    return np.concatenate([bottom_height[None], bottom_height + np.cumsum(thickness, axis=0)])


def geometric_height(
    version: Version,
    temperature: FloatArray,
    mass: FloatArray,
    bottom_height: FloatArray,
    latitude: FloatArray,
    level_step: float,
) -> FloatArray:
    """Return the geometric height [m] of the interfaces, (levels + 1, latitudes, longitudes, ...).

    It is the model's ZG below its highest interface, to which the model extrapolates.

    Parameters
    ----------
    version : {"2.0", "3.0"}
    temperature, mass : array (levels, latitudes, longitudes, ...)
        K and kg mol-1 at the levels; the highest temperature is not used. Members may follow as a last axis.
    bottom_height : array (latitudes, longitudes, ...)
        Of the lowest interface [m].
    latitude : array (latitudes,)
        Degrees.
    level_step : float
        Step of zp between levels.
    """
    column = (-1, *(1,) * (temperature.ndim - 2))
    gravity, radius = surface_gravity(latitude).reshape(column), effective_radius(latitude).reshape(column)
    geopotential = geopotential_height(version, temperature, mass, bottom_height, level_step)
    weight = HEIGHT_GAS_CONSTANT * level_step * _isothermal_top(temperature) / mass
    height = np.empty_like(geopotential)
    height[0] = bottom_height
    for below, layer in enumerate(weight):
        middle = 0.5 * (height[below] + geopotential[below + 1])
        height[below + 1] = height[below] + layer / (gravity * (radius / (radius + middle)) ** 2)
    return height


def at_levels(interface_height: FloatArray) -> FloatArray:
    """Return the height of the levels (levels, ...) from that of the interfaces (levels + 1, ...): means."""
    return np.asarray(0.5 * (interface_height[1:] + interface_height[:-1]))


def _isothermal_top(temperature: FloatArray) -> FloatArray:
    """Return temperatures (levels, ...) with that of the second highest level in the highest slot."""
    return np.concatenate([temperature[:-1], temperature[-2:-1]])


def state_height(version: Version, states: FloatArray, layout: StateLayout, bottom_height: FloatArray) -> FloatArray:
    """Return the geometric height [m] of the levels, (levels, latitudes, longitudes, members).

    Parameters
    ----------
    version : {"2.0", "3.0"}
    states : array (state_size, members)
    layout : StateLayout
    bottom_height : array (latitudes, longitudes, members)
        Of the lowest interface [m], from :func:`read_bottom`; an analysis does not change it.
    """
    fractions = (layout.field(states, f"mass_fraction_{species}") for species in ("O", "O2", "He"))
    grid = layout.grid
    step = float(grid.level[1] - grid.level[0])
    temperature = layout.field(states, "temperature")
    heights = geometric_height(version, temperature, molar_mass(*fractions), bottom_height, grid.latitude, step)
    return at_levels(heights)


def read_bottom(path: Path, time: np.datetime64) -> tuple[FloatArray, FloatArray]:
    """Return height [m] and temperature TLBC [K] of the lowest interface at one time, each (latitudes, longitudes).

    Raises
    ------
    ThermodaError
        As :func:`model_adapters.tiegcm.history.read_header`, and where there is no record of that time.
    """
    index = read_header(path).index_of(time)
    with opened(path) as dataset:
        height = CENTIMETRE * np.asarray(dataset["Z"][index, 0], dtype=np.float64)
        return height, np.asarray(dataset["TLBC"][index], dtype=np.float64)
