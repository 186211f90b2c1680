r"""Gas properties of a reference column: heat capacity, conductivity, diffusion coefficients, eddy mixing.

Everything is a profile on equally spaced mid-levels of zp = ln(p0/p), of a mixture of O, O2, He and N2.

Sources: conductivity of the mixture as a mole-fraction average of :math:`\kappa_i T^{0.69}`, Banks & Kockarts (1973),
Aeronomy, Part B, with the coefficients of TIE-GCM (Dickinson et al. 1984,
doi:10.1175/1520-0469(1984)041<0205:TGCWCD>2.0.CO;2; helium: Sutton et al. 2015, doi:10.1002/2015JA021223); binary
diffusion coefficients of Colegrove et al. (1966), doi:10.1029/JZ071i009p02227, in the form of the same two papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.constants import GAS_CONSTANT, MOLAR_MASS, TIEGCM_REFERENCE_PRESSURE

FloatArray = NDArray[np.float64]

SPECIES = ("O", "O2", "He")
"""Species that a state holds, relative to N2."""

GASES = (*SPECIES, "N2")

CONDUCTIVITY_EXPONENT = 0.69
"""Power of temperature in the conductivity of every gas."""

CONDUCTIVITY = {"O": 75.9e-5, "O2": 56.0e-5, "He": 299.0e-5, "N2": 56.0e-5}
"""Conductivity over T^0.69 [W m-1 K-1.69]."""

MOLAR_HEAT_CAPACITY = {"O": 2.5, "O2": 3.5, "He": 2.5, "N2": 3.5}
"""Molar heat capacity at constant pressure, in units of the gas constant: rigid molecules, no vibration."""

THERMAL_DIFFUSION_FACTOR = {"O": 0.0, "O2": 0.0, "He": -0.38}
"""Thermal diffusion factor in a heavier gas: Banks & Kockarts (1973), Part B; Sutton et al. (2015) for TIE-GCM."""

STANDARD_PRESSURE = 101325.0
STANDARD_TEMPERATURE = 273.0
DIFFUSION_EXPONENT = 1.75

STANDARD_DIFFUSION = {
    frozenset({"O2", "N2"}): 0.18e-4,
    frozenset({"O", "N2"}): 0.26e-4,
    frozenset({"O", "O2"}): 0.26e-4,
    frozenset({"He", "N2"}): 0.621e-4,
    frozenset({"He", "O2"}): 0.648e-4,
    frozenset({"He", "O"}): 0.866e-4,
}
"""Binary diffusion coefficients [m2 s-1] at 273 K and 101325 Pa: those behind the matrix of TIE-GCM."""

TURBOPAUSE_EDDY_RATE = 5.0e-6
"""Eddy diffusion coefficient over the squared scale height [s-1] at zp = -7, TIE-GCM (Roble et al. 1988,
doi:10.1029/GL015i012p01325): 150 m2 s-1 at 97 km, where H = 5.5 km. Of the
order that the ratio of argon to nitrogen and the height of the turbopause ask for, 100-200 m2 s-1."""


def eddy_rate(zp: FloatArray, bottom_rate: float = TURBOPAUSE_EDDY_RATE, bottom_zp: float = -7.0) -> FloatArray:
    """Return the eddy diffusion coefficient over the squared scale height.

    It falls off as exp(-zp), in proportion to density: waves break up to the turbopause, molecular viscosity damps
    them above it. Molecular diffusion, which grows as exp(zp), takes over within two scale heights.

    Parameters
    ----------
    zp : array (levels,)
    bottom_rate : float
        Its value [s-1] at ``bottom_zp``.
    bottom_zp : float

    Returns
    -------
    array (levels,)
        s-1.
    """
    return np.asarray(bottom_rate * np.exp(bottom_zp - zp))


@dataclass(frozen=True)
class ReferenceColumn:
    """Profiles about which the physics is linearised.

    Parameters
    ----------
    zp : array (levels,)
        Mid-levels ln(p0/p), equally spaced, upward.
    temperature : array (levels,)
        K.
    mass_fraction : mapping of O, O2, He -> array (levels,)
        N2 is the rest.
    gravity : array (levels,)
        m s-2.
    reference_pressure : float
        p0 [Pa].

    Raises
    ------
    ValueError
        If levels are not equally spaced, shapes differ, or a profile is not positive.
    """

    zp: FloatArray
    temperature: FloatArray
    mass_fraction: Mapping[str, FloatArray]
    gravity: FloatArray
    reference_pressure: float = TIEGCM_REFERENCE_PRESSURE

    def __post_init__(self) -> None:
        steps = np.diff(self.zp)
        if steps.size == 0 or not np.all(steps > 0.0) or not np.allclose(steps, steps[0], rtol=1e-6):
            raise ValueError("zp must be at least two equally spaced levels, upward")
        if set(self.mass_fraction) != set(SPECIES):
            raise ValueError(f"mass fractions must be those of {', '.join(SPECIES)}, not {sorted(self.mass_fraction)}")
        profiles = {"temperature": self.temperature, "gravity": self.gravity}
        profiles |= {f"mass fraction of {name}": self.fraction(name) for name in GASES}
        for name, profile in profiles.items():
            if profile.shape != self.zp.shape or not np.all(profile > 0.0):
                raise ValueError(f"{name} must be positive, one value per level")

    @classmethod
    def from_log_ratio(
        cls,
        zp: FloatArray,
        temperature: FloatArray,
        log_ratio: Mapping[str, FloatArray],
        gravity: FloatArray,
        reference_pressure: float = TIEGCM_REFERENCE_PRESSURE,
    ) -> ReferenceColumn:
        """Return the column whose ln(w_i/w_N2) of O, O2, He are given, each (levels,)."""
        ratio = {name: np.exp(log_ratio[name]) for name in SPECIES}
        nitrogen = 1.0 / (1.0 + sum(ratio.values()))
        fraction = {name: ratio[name] * nitrogen for name in SPECIES}
        return cls(zp, temperature, fraction, gravity, reference_pressure)

    @property
    def step(self) -> float:
        """Distance of the levels in zp."""
        return float(self.zp[1] - self.zp[0])

    @property
    def pressure(self) -> FloatArray:
        """Pressure [Pa]."""
        return np.asarray(self.reference_pressure * np.exp(-self.zp))

    @property
    def layer_mass(self) -> FloatArray:
        """Mass between the interfaces half a step below and above each level [kg m-2], for gravity constant in it."""
        return np.asarray(2.0 * np.sinh(0.5 * self.step) * self.pressure / self.gravity)

    @property
    def mean_molar_mass(self) -> FloatArray:
        """Mean molar mass of the mixture [kg mol-1]."""
        return np.asarray(1.0 / np.sum([self.fraction(name) / MOLAR_MASS[name] for name in GASES], axis=0))

    @property
    def scale_height(self) -> FloatArray:
        """Pressure scale height R T / (M g) [m]."""
        return np.asarray(GAS_CONSTANT * self.temperature / (self.mean_molar_mass * self.gravity))

    @property
    def density(self) -> FloatArray:
        """Mass density [kg m-3], ideal gas."""
        return np.asarray(self.pressure / (self.gravity * self.scale_height))

    @property
    def heat_capacity(self) -> FloatArray:
        """Heat capacity of the mixture at constant pressure [J kg-1 K-1]: 7/2 R of molecules, 5/2 R of atoms."""
        molar = np.sum([MOLAR_HEAT_CAPACITY[name] * self.mole_fraction(name) for name in GASES], axis=0)
        return np.asarray(GAS_CONSTANT * molar / self.mean_molar_mass)

    @property
    def conductivity_coefficient(self) -> FloatArray:
        """Conductivity of the mixture over T^0.69 [W m-1 K-1.69], Banks & Kockarts (1973), Part B."""
        return np.asarray(np.sum([CONDUCTIVITY[name] * self.mole_fraction(name) for name in GASES], axis=0))

    @property
    def conductivity(self) -> FloatArray:
        """Thermal conductivity of the mixture [W m-1 K-1]."""
        return np.asarray(self.conductivity_coefficient * self.temperature**CONDUCTIVITY_EXPONENT)

    def fraction(self, gas: str) -> FloatArray:
        """Return the mass fraction of a species or of N2."""
        if gas == "N2":
            return np.asarray(1.0 - np.sum([self.mass_fraction[name] for name in SPECIES], axis=0))
        return np.asarray(self.mass_fraction[gas], dtype=np.float64)

    def mole_fraction(self, gas: str) -> FloatArray:
        """Return the mole (volume) fraction of a species or of N2."""
        return np.asarray(self.fraction(gas) * self.mean_molar_mass / MOLAR_MASS[gas])

    def binary_diffusion(self, first: str, second: str) -> FloatArray:
        r"""Return the coefficient of mutual diffusion of two gases [m2 s-1].

        .. math:: D_{ij} = D^0_{ij} \left(\frac{T}{273\,\mathrm K}\right)^{1.75} \frac{101325\,\mathrm{Pa}}{p}

        (Colegrove et al. 1966; the coefficients are those of TIE-GCM.)
        """
        standard = STANDARD_DIFFUSION[frozenset({first, second})]
        heated = (self.temperature / STANDARD_TEMPERATURE) ** DIFFUSION_EXPONENT
        return np.asarray(standard * heated * STANDARD_PRESSURE / self.pressure)

    def mixture_diffusion(self, species: str) -> FloatArray:
        r"""Return the coefficient [m2 s-1] with which a species moves relative to N2, the other two at rest to N2.

        .. math:: \frac{1}{D_i} = \frac{x_i + x_{N2}}{D_{i,N2}} + \sum_{j \neq i, N2} \frac{x_j}{D_{ij}}

        with mole fractions x: the diagonal of the Stefan-Maxwell equations written for velocities relative to N2.
        It is the binary coefficient in a mixture with N2 alone, and Blanc's law for a trace gas.
        """
        drag = (self.mole_fraction(species) + self.mole_fraction("N2")) / self.binary_diffusion(species, "N2")
        for other in SPECIES:
            if other != species:
                drag = drag + self.mole_fraction(other) / self.binary_diffusion(species, other)
        return np.asarray(1.0 / drag)
