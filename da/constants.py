"""Physical constants and species data, each with its unit and source."""

from __future__ import annotations

BOLTZMANN = 1.380649e-23
"""Boltzmann constant [J K-1], exact, SI brochure (2019)."""

AVOGADRO = 6.02214076e23
"""Avogadro constant [mol-1], exact, SI brochure (2019)."""

GAS_CONSTANT = BOLTZMANN * AVOGADRO
"""Molar gas constant R [J mol-1 K-1], exact by definition: 8.31446..."""

MOLAR_MASS = {
    "N2": 28.0134e-3,
    "O2": 31.9988e-3,
    "O": 15.9994e-3,
    "He": 4.002602e-3,
    "H": 1.00794e-3,
    "Ar": 39.948e-3,
    "N": 14.0067e-3,
    "NO": 30.0061e-3,
}
"""Molar masses [kg mol-1], CIAAW standard atomic weights (2007)."""

TIEGCM_REFERENCE_PRESSURE = 5.0e-5
"""Reference pressure p0 of zp = ln(p0/p) [Pa], TIE-GCM: 5e-4 microbar."""

EARTH_RADIUS = 6371.0088e3
"""Mean radius of the Earth (2a + b)/3 [m], WGS84, Moritz (2000), doi:10.1007/s001900050278."""

EARTH_EQUATORIAL_RADIUS = 6378137.0
"""Semi-major axis of the WGS84 ellipsoid [m], NIMA TR8350.2."""

EARTH_FLATTENING = 1.0 / 298.257223563
"""Flattening of the WGS84 ellipsoid [-], NIMA TR8350.2."""

EARTH_GM = 3.986004418e14
"""Geocentric gravitational constant [m3 s-2], NIMA TR8350.2."""

EARTH_J2 = 1.08263e-3
"""Second zonal harmonic of the geopotential [-], NIMA TR8350.2 (EGM96)."""

EARTH_ROTATION_RATE = 7.292115e-5
"""Angular velocity of the Earth [rad s-1], NIMA TR8350.2."""
