"""The observation operator of a model: densities from its states, at observations and on its grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.model import ForecastModel
from da.observations import DENSITY, LN_DENSITY, ObservationBatch
from da.operators import DENSITY_FIELDS, DensityOperator

FloatArray = NDArray[np.float64]


def density_operator(model: ForecastModel) -> DensityOperator:
    """Return H for the grid of a model."""
    grid = model.layout.grid
    return DensityOperator(model.reference_pressure * np.exp(-grid.level), grid.latitude, grid.longitude)


def observe_density(
    model: ForecastModel, states: FloatArray, height: FloatArray, batch: ObservationBatch
) -> FloatArray:
    """Return HX (observations, members) of observations of density [kg m-3] or of its logarithm.

    Density as in Corbin & Kusche (2022), Eq. 2, where observations are averages along a track the mean over the places
    sampled, all at the time of the states; for the operator "ln_density" the logarithm of that.

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
    ThermodaError
        If a density is not positive where its logarithm is asked for.
    """
    if batch.operator not in (DENSITY, LN_DENSITY):
        raise ValueError(f"there is no observation operator '{batch.operator}', only '{DENSITY}' and '{LN_DENSITY}'")
    if batch.operator == DENSITY:
        return _density(model, states, height, batch)
    # A cell whose density is not positive makes NaN on the way to the points; it is found, and told, afterwards.
    with np.errstate(divide="ignore", invalid="ignore"):
        density = _density(model, states, height, batch)
    return _logarithm(density, batch)


def _density(model: ForecastModel, states: FloatArray, height: FloatArray, batch: ObservationBatch) -> FloatArray:
    operator = density_operator(model)
    density = operator.on_grid(model.layout.split(states))
    places = batch if batch.sampled is None else batch.sampled
    stencil = operator.stencil(places.latitude, places.longitude)
    at_points = operator.at_points(density, height, stencil, places.altitude_km, places.unmodelled_mass_ratio)
    return at_points if batch.sampled is None else batch.sampled.mean(at_points)


def _logarithm(density: FloatArray, batch: ObservationBatch) -> FloatArray:
    wrong = np.argwhere(~((density > 0.0) & np.isfinite(density)))
    if wrong.size:
        row, column = wrong[0]
        raise ThermodaError(
            f"{batch.locate(int(row))}: the density of the state there is {density[row, column]}, which has no "
            "logarithm; its temperature or mean molar mass is out of range"
        )
    return np.asarray(np.log(density))


def require_density(model_name: str, model: ForecastModel) -> None:
    """Raise ThermodaError for a model whose state gives no density."""
    missing = [name for name in DENSITY_FIELDS if name not in model.layout.names]
    if missing:
        raise ThermodaError(
            f"model.adapter: '{model_name}' has no {', '.join(missing)} in its state, from which densities are "
            "computed; it serves tests of the filter only"
        )
