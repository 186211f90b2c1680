"""Maps of what the sub-domains of the filter see: number of local observations, and degrees of freedom for signal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.maps import draw_field, draw_world
from da.figures.style import LIGHT_CIVIDIS, WIDTH_IN, Drawing, in_style
from da.stored_dataset import stored_dataset, stored_values
from da.verification.sampling import open_fields

FloatArray = NDArray[np.float64]

CENTRE = ("level_index", "latitude_index", "longitude_index")
LARGEST_INDEX, SPARSEST_GRID = 1e6, 100
"""Of the centres of sub-domains, in index units; and places of their grid to a sub-domain."""

MOST_LAYERS = 4
QUANTITIES = {"local_observations": "local observations", "degrees_of_freedom": "degrees of freedom for signal"}


@dataclass(frozen=True)
class SubDomainMaps:
    """Means over all analyses by place of the sub-domains.

    Parameters
    ----------
    level_index : array (layers,)
    altitude_km : array (layers,)
        Mean height of the centres in the last analysis.
    latitude, longitude : array
        Of the centres [degrees].
    values : dict of name -> array (layers, latitudes, longitudes)
        NaN where there is no sub-domain.
    """

    level_index: FloatArray
    altitude_km: FloatArray
    latitude: FloatArray
    longitude: FloatArray
    values: dict[str, FloatArray]

    def place(self, layer: int) -> str:
        """Return the height of a layer in words; a single layer is made of whole columns."""
        return "all heights" if self.level_index.size == 1 else f"about {self.altitude_km[layer]:.0f} km"


def read_sub_domains(run: Path) -> SubDomainMaps:
    """Return the maps of a run from ``filter.nc``; ``analysis.nc`` tells where its cells are.

    Raises
    ------
    ThermodaError
        If a file is missing, cannot be read, or holds no sub-domains.
    """
    path = run / "filter.nc"
    with stored_dataset(path) as dataset:
        if missing := [name for name in (*CENTRE, *QUANTITIES) if name not in dataset.variables]:
            raise ThermodaError(f"{path} has no variable {', '.join(missing)}; repeat the run")
        centre = [stored_values(path, dataset, name, ("sub_domain",)) for name in CENTRE]
        records = {name: stored_values(path, dataset, name, ("time", "sub_domain")) for name in QUANTITIES}
    if not next(iter(records.values())).size:
        raise ThermodaError(f"{path}: holds no analysis")
    axes, places = zip(*(np.unique(one, return_inverse=True) for one in centre), strict=True)
    on_a_grid = np.prod([one.size for one in axes]) <= SPARSEST_GRID * centre[0].size
    if not on_a_grid or not np.all(np.abs(np.concatenate(axes)) < LARGEST_INDEX):
        raise ThermodaError(f"{path}: {', '.join(CENTRE)} are no places of sub-domains; repeat the run")
    means = {name: _mean(one) for name, one in records.items()}
    values = {name: np.full([one.size for one in axes], np.nan) for name in QUANTITIES}
    for name, mean in means.items():
        values[name][places] = mean
    with open_fields(run / "analysis.nc") as fields:
        latitude, longitude = fields.coordinate("lat"), fields.coordinate("lon")
        height = 1e-3 * fields.record("height", fields.time.size - 1, ("level", "lat", "lon")).mean(axis=(1, 2))
    return SubDomainMaps(
        axes[0],
        np.interp(axes[0], np.arange(height.size), height),
        np.interp(axes[1], np.arange(latitude.size), latitude),
        longitude[0] + axes[2] * 360.0 / longitude.size,
        values,
    )


def _mean(values: FloatArray) -> FloatArray:
    """Return means over the analyses, of those that have a value."""
    count = np.isfinite(values).sum(axis=0)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=0)
    mean: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


@in_style
def sub_domain_drawing(run: Path) -> Drawing:
    """Return maps of local observations and degrees of freedom at up to four levels.

    Raises
    ------
    ThermodaError
        If a file is missing or cannot be read.
    """
    maps = read_sub_domains(run)
    layers = np.unique(np.linspace(0, maps.level_index.size - 1, MOST_LAYERS).astype(int))[::-1]
    figure = Figure(figsize=(WIDTH_IN, 0.6 + 1.7 * layers.size), layout="constrained")
    panels = figure.subplots(layers.size, 2, squeeze=False, sharex=True, sharey=True)
    for column, (name, label) in enumerate(QUANTITIES.items()):
        values = maps.values[name]
        scale = Normalize(0.0, float(np.nanmax(values)) or 1.0)
        for row, layer in enumerate(layers):
            axes = panels[row, column]
            mesh = draw_field(axes, maps.latitude, maps.longitude, values[layer], scale, LIGHT_CIVIDIS)
            draw_world(axes, left=column == 0, bottom=row == layers.size - 1)
            axes.set_title(f"{maps.place(layer)}: {label}")
        figure.colorbar(mesh, ax=panels[:, column].tolist(), location="bottom", aspect=30, label=label)
    numbers = maps.values["local_observations"]
    means = ", ".join(f"{np.nanmean(numbers[layer]):.1f} ({maps.place(layer)})" for layer in range(len(numbers)))
    return Drawing(
        "sub_domains",
        "Local observations and degrees of freedom",
        "Means over all analyses by sub-domain, at the levels of the centres (heights: means of the last analysis). "
        "Blocks with many observations and few degrees of freedom see the same information many times.",
        f"World maps of the sub-domains. Mean number of local observations: {means}.",
        figure,
    )
