"""Between the fields of a state and anomalies of the reference: both ways, without loss but for rounding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from da.model import THERMOSPHERE_FIELDS
from model_adapters.column_physics.reference import ReferenceState
from model_adapters.column_physics.thermal import SPECIES

FloatArray = NDArray[np.float64]

FRACTIONS = tuple(f"mass_fraction_{name}" for name in SPECIES)

SMALLEST_FRACTION = 1e-12
"""Mass fractions are bounded from below before their logarithm is taken."""

LOWEST_TEMPERATURE_K = THERMOSPHERE_FIELDS[0].lower


def anomalies_of(fields: Mapping[str, FloatArray], reference: ReferenceState) -> tuple[FloatArray, FloatArray]:
    """Return the anomalies of fields, without their twins.

    Parameters
    ----------
    fields : mapping of name -> array (levels, latitudes, longitudes, members)
        Temperature [K] and mass fractions of O, O2 and He.
    reference : ReferenceState

    Returns
    -------
    tau : array (levels, latitudes, longitudes, members)
        Anomaly of temperature [K].
    ratio : array (3 levels, latitudes, longitudes, members)
        Anomalies c of ln(w/w_N2), species by species.
    """
    oxygen, molecular_oxygen, helium = (fields[name] for name in FRACTIONS)
    nitrogen = 1.0 - oxygen - molecular_oxygen - helium
    log_nitrogen = np.log(np.maximum(nitrogen, SMALLEST_FRACTION, out=nitrogen), out=nitrogen)
    levels = fields["temperature"].shape[0]
    ratio = np.empty((len(SPECIES) * levels, *nitrogen.shape[1:]))
    for number, name in enumerate(SPECIES):
        own = ratio[number * levels : (number + 1) * levels]
        np.log(np.maximum(fields[f"mass_fraction_{name}"], SMALLEST_FRACTION, out=own), out=own)
        own -= log_nitrogen
        own -= reference.log_ratio[name]
    return fields["temperature"] - reference.temperature, ratio


def fields_of(reference: ReferenceState, tau: FloatArray, ratio: FloatArray) -> dict[str, FloatArray]:
    """Return the fields of anomalies as :func:`anomalies_of` gives them.

    Temperature does not fall below its bound; mass fractions are positive and sum to one with that of N2.
    """
    levels = tau.shape[0]
    parts = {}
    for number, name in enumerate(SPECIES):
        own = ratio[number * levels : (number + 1) * levels] + reference.log_ratio[name]
        parts[f"mass_fraction_{name}"] = np.exp(own, out=own)
    nitrogen = 1.0 / (1.0 + sum(parts.values()))
    for part in parts.values():
        part *= nitrogen
    temperature = reference.temperature + tau
    return {"temperature": np.maximum(temperature, LOWEST_TEMPERATURE_K, out=temperature), **parts}
