"""The observation operator of a model: densities from its states, at observations and on its grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.model import ForecastModel
from da.observations import ObservationBatch
from da.operators import DENSITY_FIELDS, DensityOperator

FloatArray = NDArray[np.float64]


def density_operator(model: ForecastModel) -> DensityOperator:
    """Return H for the grid of a model."""
    grid = model.layout.grid
    return DensityOperator(model.reference_pressure * np.exp(-grid.level), grid.latitude, grid.longitude)


def observe_density(
    model: ForecastModel, states: FloatArray, height: FloatArray, batch: ObservationBatch
) -> FloatArray:
    """Return HX (observations, members) [kg m-3] of density observations (Corbin & Kusche 2022, Eq. 2).

    Parameters
    ----------
    model : ForecastModel
    states : array (state_size, members)
    height : array (levels, latitudes, longitudes, members)
        Geometric height [m] of the mid-levels.
    batch : ObservationBatch

    Raises
    ------
    ValueError
        If the batch asks for another operator.
    """
    if batch.operator != "density":
        raise ValueError(f"there is no observation operator '{batch.operator}', only 'density'")
    operator = density_operator(model)
    density = operator.on_grid(model.layout.split(states))
    stencil = operator.stencil(batch.latitude, batch.longitude)
    return operator.at_points(density, height, stencil, batch.altitude_km, batch.unmodelled_mass_ratio)


def require_density(model_name: str, model: ForecastModel) -> None:
    """Raise ThermodaError for a model whose state gives no density."""
    missing = [name for name in DENSITY_FIELDS if name not in model.layout.names]
    if missing:
        raise ThermodaError(
            f"model.adapter: '{model_name}' has no {', '.join(missing)} in its state, from which densities are "
            "computed; it serves tests of the filter only"
        )
