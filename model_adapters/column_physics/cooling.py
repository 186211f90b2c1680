r"""Infrared cooling about a reference column, as damping rates of temperature anomalies, and how storms raise it.

Three emissions: CO2 at 15 um, atomic oxygen at 63 um and NO at 5.3 um, each seen from space without absorption (oxygen
with a factor for what is absorbed). An anomaly at fixed pressure and composition decays at

.. math:: \lambda = \frac{1}{c_p} \frac{\partial L}{\partial T}

with L [W kg-1] the cooling and c_p [J kg-1 K-1]. As density falls with temperature at fixed pressure, collisions become
rarer in a warm anomaly: CO2 stabilises up to its 960 K and no further.

NO also follows activity: aurora makes it, sunlight destroys it within a day or so. To the climatology comes
:math:`g \, (\overline{HP} - HP_q)` times what it is at medium solar activity, as aurora needs no Sun;
:math:`\overline{HP}` is the hemispheric power seen through an exponential filter (:func:`lagged`), which needs the
drivers' past alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.constants import AVOGADRO, BOLTZMANN, MOLAR_MASS
from model_adapters.column_physics.thermal import SPECIES, ReferenceColumn

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

CO2_PHOTON_ENERGY = 1.325e-20
"""Of the 15 um band at 667 cm-1 [J]."""
CO2_TEMPERATURE = 960.0
"""That energy over Boltzmann's constant [K]."""
CO2_DEGENERACY = 2.0
CO2_MOLAR_MASS = 44.0095e-3
CO2_AT_BOTTOM = 3.0e-4
"""Mole fraction at zp = -7, where it has begun to fall below that of the lower atmosphere. A choice."""
CO2_BOTTOM_ZP = -7.0
CO2_DEACTIVATION_BY_O = 3.0e-18
"""Rate coefficient [m3 s-1]: between 1.5e-18 of the laboratory (Castle et al. 2012, doi:10.1029/2012JA017519) and
6.5e-18 of satellites (Feofilov et al. 2012, doi:10.5194/acp-12-9013-2012)."""
CO2_DEACTIVATION_BY_MOLECULES = 2.5e-21
"""Rate coefficient of N2 and O2 up to 200 K [m3 s-1], above growing by 3 % of itself per kelvin: TIE-GCM, after
Dickinson (1984)."""

OXYGEN_POWER = 1.67e-25
"""Of the 63 um line, per atom in its upper level [W], Bates (1951) in the form of Kockarts & Peetermans (1970)."""
OXYGEN_NONLOCAL = 0.5
"""Factor for the populations' departure from equilibrium and for trapping, Roble et al. (1987),
doi:10.1029/JA092iA08p08745."""
OXYGEN_ESCAPE_ZP = np.array([-6.0, -5.5, -5.0, -4.5, -4.0, -3.5, -3.0, -2.5, -2.0])
OXYGEN_ESCAPE = np.array([0.01, 0.05, 0.10, 0.20, 0.40, 0.55, 0.70, 0.75, 0.80])
"""Share of the line's power that is not absorbed again, by zp, constant beyond both ends: TIE-GCM."""

NO_PHOTON_ENERGY = 3.726e-20
"""Of the 5.3 um band at 1876 cm-1 [J]."""
NO_TEMPERATURE = 2700.0
NO_EINSTEIN = 13.3
"""Probability of emission [s-1], Kockarts (1980), doi:10.1029/GL007i002p00137."""
NO_DEACTIVATION_BY_O = 4.2e-17
"""Rate coefficient [m3 s-1], Hwang et al. (2003), doi:10.1029/2002JA009688."""
NO_DEACTIVATION_BY_O2 = 2.4e-20

NO_ZP = np.array([-7.0, -6.0, -5.0, -4.0, -3.0, -2.0, 0.0, 3.0])
NO_DENSITY = np.array([4.07e13, 6.80e13, 8.01e13, 4.98e13, 2.35e13, 1.10e13, 9.41e11, 7.42e9])
NO_F107_EXPONENT = np.array([0.323, 0.952, 1.351, 1.387, 1.096, 0.381, -0.258, -0.571])
NO_KP_SLOPE = np.array([0.038, 0.063, 0.094, 0.110, 0.139, 0.089, 0.079, 0.136])
"""Global mean of NO [m-3] at F10.7 = 120 and Kp = 3, power of F10.7/120, and slope of its logarithm with Kp, fitted to
NRLMSIS 2.1 (Emmert et al. 2022, doi:10.1029/2022JA030896) at F10.7 of 70 to 200 sfu and Kp 1 to 5 in four seasons, to
12 % rms. The peak lies at 106 to 109 km, as in NOEM (Marsh et al. 2004, doi:10.1029/2003JA010199)."""

AURORAL_F107_SFU = 120.0
"""The climatological NO of this F10.7 is the unit of auroral NO."""


@dataclass(frozen=True)
class CoolingRates:
    """Damping rates of temperature anomalies [s-1], (levels,).

    Attributes
    ----------
    carbon_dioxide, oxygen, nitric_oxide
        By emission; the last with climatological NO.
    """

    carbon_dioxide: FloatArray
    oxygen: FloatArray
    nitric_oxide: FloatArray

    def total(self, nitric_oxide_factor: float = 1.0) -> FloatArray:
        """Return the sum [s-1], (levels,), NO multiplied by a factor."""
        return np.asarray(self.carbon_dioxide + self.oxygen + nitric_oxide_factor * self.nitric_oxide)


def cooling_rates(column: ReferenceColumn, nitric_oxide: FloatArray) -> CoolingRates:
    """Return the damping rates about a column with a given mole fraction of NO, (levels,)."""
    capacity = column.heat_capacity
    return CoolingRates(
        carbon_dioxide=carbon_dioxide_cooling(column)[1] / capacity,
        oxygen=oxygen_cooling(column)[1] / capacity,
        nitric_oxide=nitric_oxide_cooling(column, nitric_oxide)[1] / capacity,
    )


def cooling_by_composition(column: ReferenceColumn, nitric_oxide: FloatArray) -> FloatArray:
    r"""Return the derivatives of the cooling of the column, all emissions, by ln(w_i/w_N2) [K s-1], (levels, 3 levels).

    More O excites more CO2 and NO and emits itself. Temperature, pressure and the mole fraction of NO are kept, that
    of CO2 follows the mean molar mass below. Centred differences of :math:`10^{-4}`, good to their square.

    Parameters
    ----------
    column : ReferenceColumn
    nitric_oxide : array (levels,)
        Mole fraction of NO.
    """
    ratios = {name: np.log(column.fraction(name) / column.fraction("N2")) for name in SPECIES}
    result = np.empty((column.zp.size, len(SPECIES) * column.zp.size))
    for number, name in enumerate(SPECIES):
        for level in range(column.zp.size):
            sides = []
            for step in (-1e-4, 1e-4):
                changed = {**ratios, name: ratios[name] + step * (np.arange(column.zp.size) == level)}
                other = ReferenceColumn.from_log_ratio(
                    column.zp, column.temperature, changed, column.gravity, column.reference_pressure
                )
                sides.append(_total_cooling(other, nitric_oxide))
            result[:, number * column.zp.size + level] = (sides[1] - sides[0]) / 2e-4
    return result


def _total_cooling(column: ReferenceColumn, nitric_oxide: FloatArray) -> FloatArray:
    """Return the cooling by all emissions (levels,) [K s-1]."""
    total = carbon_dioxide_cooling(column)[0] + oxygen_cooling(column)[0]
    return np.asarray((total + nitric_oxide_cooling(column, nitric_oxide)[0]) / column.heat_capacity)


def carbon_dioxide_fraction(column: ReferenceColumn) -> FloatArray:
    r"""Return the mole fraction of CO2, (levels,), in diffusive equilibrium above zp = -7.

    Its partial pressure obeys :math:`d \ln p_{CO2} / dzp = -M_{CO2} / \bar M`.
    """
    heavier = CO2_MOLAR_MASS / column.mean_molar_mass - 1.0
    steps = 0.5 * column.step * (heavier[1:] + heavier[:-1])
    from_bottom = heavier[0] * (column.zp[0] - CO2_BOTTOM_ZP) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(CO2_AT_BOTTOM * np.exp(-from_bottom))


def carbon_dioxide_cooling(column: ReferenceColumn) -> tuple[FloatArray, FloatArray]:
    r"""Return cooling at 15 um [W kg-1] and its derivative [W kg-1 K-1], (levels,).

    .. math:: L = 2 h\nu \, \frac{n_{CO2}}{\rho} \, e^{-960/T} \sum_j k_j n_j

    over j = O, O2, N2: each collision that lifts CO2 ends in emission, which holds above about 110 km; below, where
    the band is absorbed again, the rate is too high.
    """
    temperature, number = column.temperature, _number_density(column)
    molecules = column.mole_fraction("O2") + column.mole_fraction("N2")
    growth = 0.03 * CO2_DEACTIVATION_BY_MOLECULES * (temperature > 200.0)
    by_molecules = CO2_DEACTIVATION_BY_MOLECULES + growth * (temperature - 200.0)
    collisions = number * (molecules * by_molecules + column.mole_fraction("O") * CO2_DEACTIVATION_BY_O)
    per_kilogram = carbon_dioxide_fraction(column) * AVOGADRO / column.mean_molar_mass
    emission = CO2_DEGENERACY * CO2_PHOTON_ENERGY * per_kilogram * np.exp(-CO2_TEMPERATURE / temperature)
    cooling = emission * collisions
    derivative = cooling * (CO2_TEMPERATURE / temperature - 1.0) / temperature + emission * number * molecules * growth
    return np.asarray(cooling), np.asarray(derivative)


def oxygen_cooling(column: ReferenceColumn) -> tuple[FloatArray, FloatArray]:
    r"""Return cooling at 63 um [W kg-1] and its derivative [W kg-1 K-1], (levels,).

    .. math:: L = X \, \frac{n_O}{\rho} \, P \, \frac{e^{-228/T}}{1 + 0.6 e^{-228/T} + 0.2 e^{-326/T}}

    levels in thermal equilibrium, P the power per atom and X the factors for absorption and trapping.
    """
    temperature = column.temperature
    escape = OXYGEN_NONLOCAL * np.interp(column.zp, OXYGEN_ESCAPE_ZP, OXYGEN_ESCAPE)
    middle, upper = np.exp(-228.0 / temperature), np.exp(-326.0 / temperature)
    partition = 1.0 + 0.6 * middle + 0.2 * upper
    per_kilogram = column.fraction("O") * AVOGADRO / MOLAR_MASS["O"]
    cooling = escape * per_kilogram * OXYGEN_POWER * middle / partition
    mean_energy = (0.6 * 228.0 * middle + 0.2 * 326.0 * upper) / partition
    return np.asarray(cooling), np.asarray(cooling * (228.0 - mean_energy) / temperature**2)


def nitric_oxide_cooling(column: ReferenceColumn, nitric_oxide: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Return cooling at 5.3 um [W kg-1] and its derivative [W kg-1 K-1], (levels,).

    .. math:: L = h\nu \, \frac{n_{NO}}{\rho} \, A \, \omega \, e^{-2700/T}, \qquad
              \omega = \frac{k_O n_O + k_{O2} n_{O2}}{k_O n_O + k_{O2} n_{O2} + A}

    (Kockarts 1980, doi:10.1029/GL007i002p00137).

    Parameters
    ----------
    column : ReferenceColumn
    nitric_oxide : array (levels,)
        Mole fraction.
    """
    temperature = column.temperature
    rate = NO_DEACTIVATION_BY_O * column.mole_fraction("O") + NO_DEACTIVATION_BY_O2 * column.mole_fraction("O2")
    collisions = _number_density(column) * rate
    excited = collisions / (collisions + NO_EINSTEIN)
    per_kilogram = nitric_oxide * AVOGADRO / column.mean_molar_mass
    cooling = NO_PHOTON_ENERGY * per_kilogram * NO_EINSTEIN * excited * np.exp(-NO_TEMPERATURE / temperature)
    derivative = cooling * (NO_TEMPERATURE / temperature - (1.0 - excited)) / temperature
    return np.asarray(cooling), np.asarray(derivative)


def nitric_oxide_fraction(column: ReferenceColumn, f107_sfu: float, kp: float) -> FloatArray:
    """Return the climatological mole fraction of NO, (levels,), global mean.

    Number density on pressure levels as in `NO_DENSITY`, the logarithm linear in zp between the nodes and beyond them.

    Parameters
    ----------
    column : ReferenceColumn
    f107_sfu : float
        F10.7 [sfu], positive.
    kp : float
        Of the past days; fitted between 1 and 5.
    """
    nodes = np.log(NO_DENSITY) + NO_F107_EXPONENT * np.log(f107_sfu / 120.0) + NO_KP_SLOPE * (kp - 3.0)
    slope = np.diff(nodes) / np.diff(NO_ZP)
    interval = np.clip(np.searchsorted(NO_ZP, column.zp, side="right") - 1, 0, slope.size - 1)
    logarithm = nodes[interval] + slope[interval] * (column.zp - NO_ZP[interval])
    return np.asarray(np.exp(logarithm) / _number_density(column))


def auroral_nitric_oxide(lagged_power_gw: ArrayLike, quiet_power_gw: float, gain_per_gw: float) -> FloatArray:
    """Return the NO that aurora adds, in units of the climatology at `AURORAL_F107_SFU`: g (lagged - quiet).

    Parameters
    ----------
    lagged_power_gw : array
        Hemispheric power through `lagged` [GW].
    quiet_power_gw : float
        At which the climatology holds: that of its Kp [GW].
    gain_per_gw : float
        g [1/GW], not negative.
    """
    return np.asarray(gain_per_gw * (np.asarray(lagged_power_gw, dtype=np.float64) - quiet_power_gw))


def lagged(times: TimeArray, values: FloatArray, at: ArrayLike, tau_s: float) -> FloatArray:
    r"""Return a piecewise linear series through an exponential filter, exactly.

    .. math:: y(t) = \frac{1}{\tau} \int_{-\infty}^t x(s) \, e^{-(t-s)/\tau} \, ds

    with x linear between times, and x constant before the first. Over an interval h in which x rises by s per second,

    .. math:: y(t+h) = y e^{-h/\tau} + x (1 - e^{-h/\tau}) + s (h - \tau (1 - e^{-h/\tau})).

    Parameters
    ----------
    times : array (n,), datetime64
        Strictly increasing, UTC.
    values : array (n, ...)
        Members, if any, behind.
    at : array (m,), datetime64
        Within ``times``.
    tau_s : float
        tau, positive [s].

    Returns
    -------
    array (m, ...)

    Raises
    ------
    ValueError
        If times do not increase, a time asked for lies outside, or tau is not positive.
    """
    seconds = _seconds_after(times[0], times)
    wanted = _seconds_after(times[0], np.atleast_1d(np.asarray(at)))
    if values.shape[:1] != seconds.shape or np.any(np.diff(seconds) <= 0.0) or not tau_s > 0.0:
        raise ValueError("times must increase strictly, one value each, and tau_s be positive")
    if np.any((wanted < 0.0) | (wanted > seconds[-1])):
        raise ValueError(f"the series holds {times[0]} to {times[-1]}; a time outside was asked for")
    at_knots = np.empty(values.shape)
    at_knots[0] = values[0]
    for k in range(seconds.size - 1):
        slope = (values[k + 1] - values[k]) / (seconds[k + 1] - seconds[k])
        at_knots[k + 1] = _filtered(at_knots[k], values[k], slope, seconds[k + 1] - seconds[k], tau_s)
    if seconds.size == 1:
        return np.repeat(at_knots, wanted.size, axis=0)
    before = np.clip(np.searchsorted(seconds, wanted, side="right") - 1, 0, seconds.size - 2)
    trailing = (-1, *(1,) * (values.ndim - 1))
    slopes = (np.diff(values, axis=0) / np.diff(seconds).reshape(trailing))[before]
    return _filtered(at_knots[before], values[before], slopes, (wanted - seconds[before]).reshape(trailing), tau_s)


def _filtered(
    filtered: FloatArray, value: FloatArray, slope: FloatArray, elapsed: ArrayLike, tau_s: float
) -> FloatArray:
    """Advance the filter over a time in which the series is linear."""
    passed = np.asarray(elapsed, dtype=np.float64)
    forgotten = -np.expm1(-passed / tau_s)
    return np.asarray(filtered + (value - filtered) * forgotten + slope * (passed - tau_s * forgotten))


def _seconds_after(start: np.datetime64, times: TimeArray) -> FloatArray:
    return np.asarray((times - start) / np.timedelta64(1, "ns") * 1e-9, dtype=np.float64)


def _number_density(column: ReferenceColumn) -> FloatArray:
    return np.asarray(column.pressure / (BOLTZMANN * column.temperature))
