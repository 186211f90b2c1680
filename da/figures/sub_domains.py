"""Maps of what the sub-domains of the filter see: number of local observations, and degrees of freedom for signal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.figures.maps import draw_field, draw_world
from da.figures.style import LIGHT_CIVIDIS, WIDTH_IN, Drawing, in_style
from da.verification.sampling import open_fields

FloatArray = NDArray[np.float64]

CENTRE = ("level_index", "latitude_index", "longitude_index")
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


def read_sub_domains(run: Path) -> SubDomainMaps:
    """Return the maps of a run from ``filter.nc``; ``analysis.nc`` tells where its cells are.

    Raises
    ------
    ThermodaError
        If a file is missing, cannot be read, or holds no sub-domains.
    """
    path = run / "filter.nc"
    if not path.is_file():
        raise ThermodaError(f"{path} is missing")
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            if missing := [name for name in (*CENTRE, *QUANTITIES) if name not in dataset.variables]:
                raise ThermodaError(f"{path} has no variable {', '.join(missing)}; repeat the run")
            centre = [np.asarray(dataset[name].to_numpy(), dtype=np.float64) for name in CENTRE]
            means = {name: np.asarray(dataset[name].mean("time").to_numpy(), np.float64) for name in QUANTITIES}
    except (OSError, ValueError) as error:
        raise ThermodaError(f"{path} is not readable netCDF ({error}); repeat the run") from error
    axes, places = zip(*(np.unique(one, return_inverse=True) for one in centre), strict=True)
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
            axes.set_title(f"about {maps.altitude_km[layer]:.0f} km: {label}")
        figure.colorbar(mesh, ax=panels[:, column].tolist(), location="bottom", aspect=30, label=label)
    numbers = maps.values["local_observations"]
    means = ", ".join(
        f"{np.nanmean(numbers[layer]):.1f} at {maps.altitude_km[layer]:.0f} km" for layer in range(len(numbers))
    )
    return Drawing(
        "sub_domains",
        "Local observations and degrees of freedom",
        "Means over all analyses by sub-domain, at the levels of the centres (heights: means of the last analysis). "
        "Blocks with many observations and few degrees of freedom see the same information many times.",
        f"World maps of the sub-domains. Mean number of local observations: {means}.",
        figure,
    )
