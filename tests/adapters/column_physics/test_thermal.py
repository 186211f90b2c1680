from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from da.constants import BOLTZMANN, GAS_CONSTANT, MOLAR_MASS
from model_adapters.column_physics.thermal import SPECIES, ReferenceColumn, eddy_rate

ZP = np.arange(-6.75, 7.5, 0.5)


def uniform(temperature: float = 1000.0, **fractions: float) -> ReferenceColumn:
    ones = np.ones(ZP.size)
    held = {name: ones * fractions.get(name, 1e-9) for name in SPECIES}
    return ReferenceColumn(ZP, temperature * ones, held, 9.0 * ones)


def test_that_pure_gases_have_their_own_properties() -> None:
    oxygen = 1.0 - 3e-9
    nitrogen, atoms = uniform(), uniform(O=oxygen)
    assert_allclose(nitrogen.heat_capacity, 3.5 * GAS_CONSTANT / MOLAR_MASS["N2"], rtol=1e-7)
    assert_allclose(atoms.heat_capacity, 2.5 * GAS_CONSTANT / MOLAR_MASS["O"], rtol=1e-7)
    assert_allclose(atoms.mean_molar_mass, MOLAR_MASS["O"], rtol=1e-7)


def test_that_conductivity_at_1000_k_is_that_measured_for_nitrogen() -> None:
    # Tables give 0.064-0.066 W m-1 K-1 for N2 at 1000 K and 0.026 at 300 K; the fit gives 0.029 there.
    assert_allclose(uniform(1000.0).conductivity, 0.065, rtol=0.03)
    assert_allclose(uniform(300.0).conductivity, 0.026, rtol=0.12)


def test_that_density_obeys_the_gas_law_and_hydrostatic_balance(thermosphere: ReferenceColumn) -> None:
    molecule = thermosphere.mean_molar_mass / (GAS_CONSTANT / BOLTZMANN)
    number = thermosphere.pressure / (BOLTZMANN * thermosphere.temperature)
    assert_allclose(thermosphere.density, number * molecule, rtol=1e-12)
    assert_allclose(thermosphere.density * thermosphere.gravity * thermosphere.scale_height, thermosphere.pressure)


def test_that_layers_carry_the_weight_of_the_column(thermosphere: ReferenceColumn) -> None:
    edge = thermosphere.reference_pressure * np.exp(-np.array([-7.0, 7.5]))
    assert_allclose(np.sum(thermosphere.layer_mass * thermosphere.gravity), edge[0] - edge[1], rtol=1e-12)


def test_that_diffusion_is_that_of_the_pair_in_two_gases_and_blancs_law_for_a_trace() -> None:
    pair = uniform(O=0.4)
    assert_allclose(pair.mixture_diffusion("O"), pair.binary_diffusion("O", "N2"), rtol=1e-7)
    mixed = uniform(O=0.3, O2=0.2)
    blanc = sum(mixed.mole_fraction(other) / mixed.binary_diffusion("He", other) for other in ("O", "O2", "N2"))
    assert_allclose(1.0 / mixed.mixture_diffusion("He"), blanc, rtol=1e-7)


def test_that_molecular_diffusion_of_oxygen_equals_eddy_mixing_between_100_and_110_km() -> None:
    # The turbopause, by definition; it lies at zp of -6.5 to -5, where T is about 190-230 K.
    column = uniform(200.0, O=0.05, O2=0.2)
    eddy = eddy_rate(ZP) * column.scale_height**2
    crossing = np.interp(0.0, np.log(column.mixture_diffusion("O") / eddy), ZP)
    assert -6.6 < crossing < -5.0
    assert_allclose(eddy_rate(np.array([-7.0])) * 5.5e3**2, 150.0, rtol=0.02)


def test_that_mass_fractions_come_back_from_their_log_ratios(thermosphere: ReferenceColumn) -> None:
    nitrogen = thermosphere.fraction("N2")
    ratios = {name: np.log(thermosphere.fraction(name) / nitrogen) for name in SPECIES}
    again = ReferenceColumn.from_log_ratio(thermosphere.zp, thermosphere.temperature, ratios, thermosphere.gravity)
    for name in SPECIES:
        assert_allclose(again.fraction(name), thermosphere.fraction(name), rtol=1e-12)


def test_that_impossible_columns_are_refused(thermosphere: ReferenceColumn) -> None:
    with pytest.raises(ValueError, match="equally spaced"):
        replace(thermosphere, zp=thermosphere.zp**3)
    with pytest.raises(ValueError, match="equally spaced"):
        replace(thermosphere, zp=thermosphere.zp[::-1])
    with pytest.raises(ValueError, match="temperature must be positive"):
        replace(thermosphere, temperature=thermosphere.temperature - 500.0)
    with pytest.raises(ValueError, match="one value per level"):
        replace(thermosphere, gravity=thermosphere.gravity[:-1])
    with pytest.raises(ValueError, match="mass fractions must be those of"):
        replace(thermosphere, mass_fraction={"O": thermosphere.fraction("O")})
    crowded = dict(thermosphere.mass_fraction, O2=np.ones(thermosphere.zp.size))
    with pytest.raises(ValueError, match="mass fraction of N2 must be positive"):
        replace(thermosphere, mass_fraction=crowded)
