r"""Heating at high latitudes: Joule heating and auroral particles, as a profile times a map times a power.

A profile holds the share of a column's power per mass [m2 kg-1], a map the share of the globe's power per area [m-2];
their sums over layer mass and cell area are one, so that the heat on the grid is the power asked for, exactly.

Oval of Roble & Ridley (1987), Annales Geophysicae 5A, 369, with the coefficients that TIE-GCM gives to hemispheric
power and cross-tail potential: a circle about a point one degree from the magnetic pole towards midnight, across which
everything falls off as a Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import roots_genlaguerre

from da.constants import AVOGADRO, EARTH_RADIUS
from model_adapters.column_physics.geomagnetic import LARGEST_DECLINATION_DEG
from model_adapters.column_physics.thermal import ReferenceColumn

FloatArray = NDArray[np.float64]

GIGAWATT = 1e9

SMALLEST_POWER_GW = 1.0
SMALLEST_POTENTIAL_KV = 5.0
"""Smaller values count as these, so that offsets of members cannot switch a hemisphere off."""

OVAL_OFFSET_DEG = 1.0
JOULE_HALF_WIDTH_DEG = 5.0
"""Where the Gaussian of Joule heating has fallen to 1/e: convection reaches further than precipitation (Foster et al.
1983, Journal of Geophysical Research 88, 4885: between 60 and 80 degrees of invariant latitude). A choice."""

SUMMER_JOULE_SHARE = 0.6
"""Share of the globe's Joule heating in the summer hemisphere at solstice, whose ionosphere sunlight makes conduct: 1.5
times that of the winter hemisphere. Conductances of a sunlit and a dark polar cap by themselves differ by far more
(Moen & Brekke 1993, doi:10.1029/92GL02109). A choice."""

BACKGROUND_CONDUCTANCE = 3.0
"""Pedersen conductance without particles [S]: between a sunlit and a dark polar cap. A choice."""

MEAN_TO_CHARACTERISTIC_ENERGY = 2.0
"""Of a Maxwellian of electrons."""

CHARACTERISTIC_ENERGY_KEV = 2.0
"""TIE-GCM's, noon and midnight alike."""

PARTICLE_EFFICIENCY = 0.5
"""Share of the particles' power that heats the neutral gas, Rees et al. (1983), doi:10.1029/JA088iA08p06289."""

MAGNETIC_FIELD_T = 5.2e-5
ION_MASS = 30.5e-3 / AVOGADRO
"""Of NO+ and O2+ [kg], the ions where conductivity is largest."""
ELEMENTARY_CHARGE = 1.602176634e-19

ELECTRON_LAYERS = ((2.0e11, -4.5), (3.0e11, 1.5))
"""Peak density [m-3] and its zp of the E and F2 layer of the oval. Only their ratio matters here. A choice."""

FANG_COEFFICIENTS = np.array(
    [
        [1.24616, 1.45903, -2.42269e-1, 5.95459e-2],
        [2.23976, -4.22918e-7, 1.36458e-2, 2.53332e-3],
        [1.41754, 1.44597e-1, 1.70433e-2, 6.39717e-4],
        [2.48775e-1, -1.50890e-1, 6.30894e-9, 1.23707e-3],
        [-4.65119e-1, -1.05081e-1, -8.95701e-2, 1.22450e-2],
        [3.86019e-1, 1.75430e-3, -7.42960e-4, 4.60881e-4],
        [-6.45454e-1, 8.49555e-4, -4.28581e-2, -2.99302e-3],
        [9.48930e-1, 1.97385e-1, -2.50660e-3, -2.06938e-3],
    ]
)
"""Table 1 of Fang et al. (2010), doi:10.1029/2010GL045406: rows are C1 to C8, columns powers of ln E [keV]."""

FANG_SMALLEST_ENERGY_KEV = 0.1
SPECTRUM_NODES = 32


@dataclass(frozen=True)
class AuroralOval:
    """The oval of each member, in degrees about its own centre; arrays (members,).

    Attributes
    ----------
    radius_deg
        Of the circle along which precipitation is strongest.
    noon_half_width_deg, midnight_half_width_deg
        Distance from it at which precipitation has fallen to 1/e.
    noon_flux, midnight_flux
        Energy flux on the circle [mW m-2]. Only the ratio is used.
    """

    radius_deg: FloatArray
    noon_half_width_deg: FloatArray
    midnight_half_width_deg: FloatArray
    noon_flux: FloatArray
    midnight_flux: FloatArray

    @property
    def width_deg(self) -> FloatArray:
        """Width of a ring that carries, at the flux of the circle, what the Gaussian carries [degrees]."""
        return np.asarray(0.5 * np.sqrt(np.pi) * (self.noon_half_width_deg + self.midnight_half_width_deg))

    @property
    def area(self) -> FloatArray:
        """Area of that ring [m2]."""
        circle = 2.0 * np.pi * EARTH_RADIUS * np.sin(np.radians(self.radius_deg))
        return np.asarray(circle * EARTH_RADIUS * np.radians(self.width_deg))


def auroral_oval(hemispheric_power_gw: ArrayLike, cross_tail_potential_kv: ArrayLike) -> AuroralOval:
    r"""Return the oval for given drivers.

    With :math:`L = 2.09 \ln HP` the radius is the larger of :math:`9.69 \Phi^{0.1875} - 0.43` and
    :math:`14.20 + 0.96 L` degrees; widths and fluxes are linear in L or HP.

    Parameters
    ----------
    hemispheric_power_gw, cross_tail_potential_kv : array (members,)
        HP [GW] and Phi [kV]; see `SMALLEST_POWER_GW`.
    """
    power, potential = _bounded(hemispheric_power_gw, cross_tail_potential_kv)
    level = 2.09 * np.log(power)
    return AuroralOval(
        radius_deg=np.maximum(9.69 * potential**0.1875 - 0.43, 14.20 + 0.96 * level),
        noon_half_width_deg=np.minimum(2.35, 0.83 + 0.33 * level),
        midnight_half_width_deg=2.87 + 0.15 * level,
        noon_flux=np.maximum(0.5, 0.62 * level - 2.15),
        midnight_flux=0.95 + 0.117 * power,
    )


def joule_power_gw(hemispheric_power_gw: ArrayLike, cross_tail_potential_kv: ArrayLike) -> FloatArray:
    r"""Return the Joule heating of both hemispheres together [GW], (members,).

    A potential :math:`(\Phi/2) \sin\lambda` times r/R within the circle of the oval and R/r outside it, on a plane of
    conductance :math:`\Sigma_0`, dissipates :math:`\pi \Sigma_0 \Phi^2 / 4` within and as much outside, whatever R is.
    In a ring of width w about the circle conductance is :math:`\Sigma`:

    .. math:: P = 2 \cdot \frac{\pi}{4} \Phi^2 \left( (2 - s) \Sigma_0 + s \Sigma \right), \qquad
              s = 2 - (1 - x)^2 - (1 + x)^{-2}, \quad x = \frac{w}{2 R}

    .. math:: \Sigma^2 = \Sigma_0^2 + \left(\frac{40 \bar E}{16 + \bar E^2}\right)^2 \frac{HP}{A}

    Conductance by particles of mean energy E [keV] and flux HP/A [mW m-2] over the ring's area A is that of Robinson
    et al. (1987), doi:10.1029/JA092iA03p02565. Of the same order, Knipp et al. (2004),
    doi:10.1007/s11207-005-6393-4, found 95 GW in the mean of 1975 to 2003, storms included.

    Parameters
    ----------
    hemispheric_power_gw, cross_tail_potential_kv : array (members,)
        HP [GW] of one hemisphere and Phi [kV]; see `SMALLEST_POWER_GW`.
    """
    power, potential = _bounded(hemispheric_power_gw, cross_tail_potential_kv)
    oval = auroral_oval(power, potential)
    half_widths = 0.5 * oval.width_deg / oval.radius_deg
    share = 2.0 - (1.0 - half_widths) ** 2 - (1.0 + half_widths) ** -2
    energy = MEAN_TO_CHARACTERISTIC_ENERGY * CHARACTERISTIC_ENERGY_KEV
    particles = 40.0 * energy / (16.0 + energy**2) * np.sqrt(1e3 * GIGAWATT * power / oval.area)
    conductance = (2.0 - share) * BACKGROUND_CONDUCTANCE + share * np.hypot(BACKGROUND_CONDUCTANCE, particles)
    return np.asarray(0.5 * np.pi * conductance * (1e3 * potential) ** 2 / GIGAWATT)


def particle_heating_power_gw(hemispheric_power_gw: ArrayLike) -> FloatArray:
    """Return the heat that auroral particles leave in both hemispheres together [GW], (members,)."""
    power = np.maximum(np.asarray(hemispheric_power_gw, dtype=np.float64), SMALLEST_POWER_GW)
    return np.asarray(2.0 * PARTICLE_EFFICIENCY * power)


def cell_areas(latitude: FloatArray, longitudes: int, radius: float = EARTH_RADIUS) -> FloatArray:
    """Return the areas of the cells of a grid [m2], (latitudes, longitudes); their sum is the sphere's area.

    Parameters
    ----------
    latitude : array (latitudes,)
        Increasing, degrees. Cells meet half-way; the outermost reach the poles.
    longitudes : int
        Equally spaced.
    radius : float
        m.
    """
    edges = np.concatenate([[-90.0], 0.5 * (latitude[1:] + latitude[:-1]), [90.0]])
    zones = 2.0 * np.pi * radius**2 * np.diff(np.sin(np.radians(edges)))
    return np.repeat(zones[:, None] / longitudes, longitudes, axis=1)


def joule_map(
    oval: AuroralOval,
    magnetic_latitude: FloatArray,
    magnetic_local_time_h: FloatArray,
    area: FloatArray,
    *,
    half_width_deg: float = JOULE_HALF_WIDTH_DEG,
    offset_deg: float = OVAL_OFFSET_DEG,
    northern_share: float = 0.5,
) -> FloatArray:
    """Return the share of the globe's Joule heating per area [m-2]: a ring of the oval's radius, the same all around.

    Parameters
    ----------
    oval : AuroralOval
    magnetic_latitude, magnetic_local_time_h, area : array (latitudes, longitudes)
        Degrees, hours and m2 of the cells.
    half_width_deg : float
        Distance from the circle at which heating has fallen to 1/e.
    offset_deg : float
        Distance of the circle's centre from the magnetic pole, towards midnight.
    northern_share : float
        Share of the power in the northern magnetic hemisphere, see `northern_joule_share`.

    Returns
    -------
    array (latitudes, longitudes, members)

    Raises
    ------
    ValueError
        If a hemisphere has no cell near the oval.
    """
    distance, _ = _about_centre(magnetic_latitude, magnetic_local_time_h, offset_deg)
    ring = np.exp(-(((distance[..., None] - oval.radius_deg) / half_width_deg) ** 2))
    return _shared(ring, magnetic_latitude, area, northern_share)


def northern_joule_share(solar_latitude_deg: float, summer_share: float = SUMMER_JOULE_SHARE) -> float:
    """Return the share of the globe's Joule heating in the northern hemisphere, one half at equinox.

    Parameters
    ----------
    solar_latitude_deg : float
        Declination of the sun [degrees].
    summer_share : float
        Share of the summer hemisphere at solstice.
    """
    season = np.sin(np.radians(solar_latitude_deg)) / np.sin(np.radians(LARGEST_DECLINATION_DEG))
    return float(0.5 + (summer_share - 0.5) * season)


def particle_map(
    oval: AuroralOval,
    magnetic_latitude: FloatArray,
    magnetic_local_time_h: FloatArray,
    area: FloatArray,
    *,
    resolution_deg: float = 0.0,
    offset_deg: float = OVAL_OFFSET_DEG,
) -> FloatArray:
    """Return the share of the globe's particle heating per area [m-2]: stronger and wider at midnight than at noon.

    Parameters and results as of `joule_map`, half of the power in each hemisphere; ``resolution_deg`` is added in
    quadrature to the half-widths, so that an oval narrower than the grid's cells does not fall between them.
    """
    distance, midnight = _about_centre(magnetic_latitude, magnetic_local_time_h, offset_deg)
    share = 0.5 * (1.0 + midnight[..., None])
    width = oval.noon_half_width_deg + share * (oval.midnight_half_width_deg - oval.noon_half_width_deg)
    flux = oval.noon_flux + share * (oval.midnight_flux - oval.noon_flux)
    from_circle = (distance[..., None] - oval.radius_deg) / np.hypot(width, resolution_deg)
    return _shared(flux * np.exp(-(from_circle**2)), magnetic_latitude, area)


def joule_profile(column: ReferenceColumn) -> FloatArray:
    r"""Return the share of a column's Joule heating per mass [m2 kg-1], (levels,).

    Proportional to :math:`\sigma_P / \rho`, as the electric field is the same along a field line, with

    .. math:: \sigma_P = \frac{n_e e}{B} \frac{r}{1 + r^2}, \qquad r = \nu_{in} m_i / (e B), \qquad
              \nu_{in} = 2.6 \cdot 10^{-15} \, n \, \bar A^{-1/2}

    (Kelley 2009, The Earth's Ionosphere, 2nd ed., chapter 2; n in m-3, A the mean molecular mass in u). Conductivity
    is largest where r = 1, at 125 km; heating per mass grows up to the F2 layer, as the electron density does.
    """
    number_density = column.density / column.mean_molar_mass * AVOGADRO
    collisions = 2.6e-15 * number_density / np.sqrt(1e3 * column.mean_molar_mass)
    ratio = collisions * ION_MASS / (ELEMENTARY_CHARGE * MAGNETIC_FIELD_T)
    pedersen = _electron_density(column.zp) * ratio / (1.0 + ratio**2)
    return _per_mass(pedersen / column.density, column)


def particle_profile(column: ReferenceColumn, characteristic_energy_kev: ArrayLike) -> FloatArray:
    r"""Return the share of a column's particle heating per mass [m2 kg-1], (levels, members).

    Fang et al. (2010): electrons of energy E leave the share :math:`f(y, E) / (\rho H)` of their power per mass, with
    :math:`\rho H = p / g` and :math:`y = (2/E) ((\rho H) / 6 \cdot 10^{-6})^{0.7}` (keV and g cm-2). Averaged over a
    Maxwellian, in which power per energy goes as :math:`E^2 e^{-E/\alpha}`. What passes the lowest level is counted as
    heating above it: below 97 km, 1 % of the power at 2 keV and 11 % at 5 keV.

    Parameters
    ----------
    column : ReferenceColumn
    characteristic_energy_kev : array (members,)
        alpha, positive: half of the mean energy.

    Raises
    ------
    ValueError
        If an energy is not positive.
    """
    characteristic = np.atleast_1d(np.asarray(characteristic_energy_kev, dtype=np.float64))
    if not np.all(characteristic > 0.0):
        raise ValueError("the characteristic energy must be positive")
    nodes, weights = roots_genlaguerre(SPECTRUM_NODES, 2.0)
    column_mass = column.pressure / column.gravity
    dissipated = np.zeros((column.zp.size, characteristic.size))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        energy = np.maximum(node * characteristic, FANG_SMALLEST_ENERGY_KEV)
        dissipated += weight * fang_dissipation(column_mass[:, None], energy)
    return _per_mass(dissipated / column_mass[:, None], column)


def fang_dissipation(column_mass: FloatArray, energy_kev: FloatArray) -> FloatArray:
    """Return f(y, E) of Fang et al. (2010), Eq. 4: the share of power left per scale height.

    Parameters
    ----------
    column_mass : array
        Pressure over gravity [kg m-2].
    energy_kev : array, broadcasts against it
        0.1 to 1000 keV.
    """
    powers = np.log(energy_kev) ** np.arange(4).reshape(4, *(1,) * np.ndim(energy_kev))
    c = np.exp(np.tensordot(FANG_COEFFICIENTS, powers, axes=1))
    y = 2.0 / energy_kev * (0.1 * column_mass / 6e-6) ** 0.7
    return np.asarray(c[0] * y ** c[1] * np.exp(-c[2] * y ** c[3]) + c[4] * y ** c[5] * np.exp(-c[6] * y ** c[7]))


def heating_rate(
    profile: FloatArray, horizontal: FloatArray, power_gw: ArrayLike, heat_capacity: FloatArray
) -> FloatArray:
    """Return the heating rate [K s-1] of a power spread by a profile and a map.

    Parameters
    ----------
    profile : array (levels,) or (levels, members)
        m2 kg-1.
    horizontal : array (latitudes, longitudes, members)
        m-2.
    power_gw : array (members,)
        Power on the whole globe [GW]; a factor or an offset of a member is applied to it before.
    heat_capacity : array (levels,)
        J kg-1 K-1.

    Returns
    -------
    array (levels, latitudes, longitudes, members)
    """
    by_member = profile if profile.ndim == 2 else profile[:, None]
    per_level = by_member * (GIGAWATT * np.asarray(power_gw, dtype=np.float64)) / heat_capacity[:, None]
    return np.asarray(per_level[:, None, None, :] * horizontal[None])


def _bounded(power_gw: ArrayLike, potential_kv: ArrayLike) -> tuple[FloatArray, FloatArray]:
    power = np.maximum(np.asarray(power_gw, dtype=np.float64), SMALLEST_POWER_GW)
    return power, np.maximum(np.asarray(potential_kv, dtype=np.float64), SMALLEST_POTENTIAL_KV)


def _about_centre(latitude: FloatArray, local_time_h: FloatArray, offset_deg: float) -> tuple[FloatArray, FloatArray]:
    """Return the distance from the oval's centre [degrees], and 1 towards midnight to -1 towards noon."""
    colatitude = np.radians(90.0 - np.abs(latitude))
    towards_midnight = np.cos(np.radians(15.0 * local_time_h))
    offset = np.radians(offset_deg)
    along = np.cos(colatitude) * np.cos(offset) + np.sin(colatitude) * np.sin(offset) * towards_midnight
    midnight = np.sin(colatitude) * towards_midnight * np.cos(offset) - np.cos(colatitude) * np.sin(offset)
    dusk = np.sin(colatitude) * np.sin(np.radians(15.0 * local_time_h))
    sine = np.hypot(midnight, dusk)
    direction = midnight / np.where(sine > 0.0, sine, 1.0)
    return np.degrees(np.arctan2(sine, along)), direction


def _shared(
    strength: FloatArray, magnetic_latitude: FloatArray, area: FloatArray, northern_share: float = 0.5
) -> FloatArray:
    """Scale strengths (latitudes, longitudes, members) so that their integral is one, with a share in the north."""
    shared, north = np.zeros_like(strength), magnetic_latitude >= 0.0
    for inside, share in ((north, northern_share), (~north, 1.0 - northern_share)):
        total = np.sum(np.where(inside[..., None], strength * area[..., None], 0.0), axis=(0, 1))
        if not np.all(total > 0.0):
            raise ValueError("a magnetic hemisphere has no cell near the auroral oval")
        shared += np.where(inside[..., None], share * strength / total, 0.0)
    return shared


def _electron_density(zp: FloatArray) -> FloatArray:
    """Return the electron density of Chapman layers (recombination as the square of density) [m-3]."""
    layers = [peak * np.exp(0.5 * (1.0 - (zp - at) - np.exp(-(zp - at)))) for peak, at in ELECTRON_LAYERS]
    return np.asarray(np.sum(layers, axis=0))


def _per_mass(shape: FloatArray, column: ReferenceColumn) -> FloatArray:
    """Scale a profile (levels, ...) so that its sum over layer mass is one."""
    return np.asarray(shape / np.tensordot(column.layer_mass, shape, axes=1))
