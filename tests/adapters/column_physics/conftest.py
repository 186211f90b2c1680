"""Columns to test vertical physics with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from da.constants import GAS_CONSTANT, MOLAR_MASS, TIEGCM_REFERENCE_PRESSURE
from model_adapters.column_physics.thermal import SPECIES, FloatArray, ReferenceColumn

GRAVITY = 9.0
BOTTOM_FRACTION = {"O": 0.03, "O2": 0.2, "He": 2.0e-6}


def levels(step: float = 0.5) -> FloatArray:
    """Mid-levels between the interfaces zp = -7 and 7.5."""
    return np.arange(-7.0 + 0.5 * step, 7.5, step)


def warming(zp: FloatArray) -> FloatArray:
    """Temperature [K] from 190 K at the bottom to 1000 K."""
    return 190.0 + 810.0 / (1.0 + np.exp(-(zp + 2.5)))


@pytest.fixture
def thermosphere() -> ReferenceColumn:
    """A column like the thermosphere's: warming upward, O over N2 above zp = 0, He on top."""
    zp = levels()
    ratio = {
        "O": -3.2 + 0.42 * (zp + 7.0),
        "O2": -1.3 - 0.18 * (zp + 7.0),
        "He": -13.0 + 0.85 * (zp + 7.0),
    }
    gravity = GRAVITY * np.exp(-0.004 * (zp + 7.0))
    return ReferenceColumn.from_log_ratio(zp, warming(zp), ratio, gravity)


@pytest.fixture
def isothermal() -> Callable[..., tuple[ReferenceColumn, dict[str, float]]]:
    """Make an isothermal column of gases each with its own scale height; return it and its ln(w/w_N2) at zp = -7."""

    def make(
        step: float = 0.5, temperature: float = 800.0, **offsets: float
    ) -> tuple[ReferenceColumn, dict[str, float]]:
        zp = levels(step)
        nitrogen = 1.0 - sum(BOTTOM_FRACTION.values())
        bottom = {name: np.log(BOTTOM_FRACTION[name] / nitrogen) + offsets.get(name, 0.0) for name in SPECIES}
        mass = np.array([*(np.exp(bottom[name]) for name in SPECIES), 1.0])
        molar = np.array([MOLAR_MASS[name] for name in (*SPECIES, "N2")])
        mole = (mass / molar) / np.sum(mass / molar)
        decline = molar * GRAVITY / (GAS_CONSTANT * temperature)
        bottom_pressure = TIEGCM_REFERENCE_PRESSURE * np.exp(7.0)

        def excess(height: float, level: float) -> float:
            partial = np.sum(mole * np.exp(-decline * height)) * bottom_pressure
            return float(np.log(partial / TIEGCM_REFERENCE_PRESSURE) + level)

        height = np.array([brentq(excess, 0.0, 1.0e7, args=(level,), xtol=1e-6) for level in zp])
        ratio = {name: bottom[name] + (decline[3] - decline[i]) * height for i, name in enumerate(SPECIES)}
        gravity = np.full(zp.size, GRAVITY)
        return ReferenceColumn.from_log_ratio(zp, np.full(zp.size, temperature), ratio, gravity), bottom

    return make
